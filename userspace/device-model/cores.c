// SPDX-License-Identifier: MIT
/*
 * The compute cores: a pool of threads that run one function together, with a barrier. Called by the engine
 * thread, which is core 0 of its pool, and by the step executor on every core. It knows nothing of what the
 * function does, and a pool at rest costs nothing: waiters spin for a few microseconds only, then sleep.
 */
#include "device.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Turns of the wait loop before it sleeps: 5 to 15 us on a current core */
#define SPIN_TURNS 300u

struct core_thread {
	struct dm_cores *cores;
	unsigned int index;
	pthread_t thread;
};

/* A word that somebody waits to change. `sleepers` saves the waker the system call. */
struct core_word {
	_Alignas(64) atomic_uint value;
	atomic_uint sleepers;
};

struct dm_cores {
	unsigned int count;
	unsigned int spin; /* turns before sleeping; 0 when there are more cores than CPUs */
	struct core_word start; /* generation of the function to run */
	struct core_word phase; /* generation of the barrier */
	_Alignas(64) atomic_uint arrived;
	dm_core_fn fn; /* valid for the generation in `start` */
	void *arg;
	bool stop;
	struct core_thread threads[];
};

static void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* Returns once the value is no longer `old` */
static void word_wait(struct core_word *word, unsigned int old, unsigned int spin)
{
	for (unsigned int i = 0; i < spin; i++) {
		if (atomic_load_explicit(&word->value, memory_order_acquire) != old)
			return;
		relax();
	}
	/* Sequentially consistent with word_bump: either it sees the sleeper, or the futex sees the value. */
	atomic_fetch_add(&word->sleepers, 1);
	while (atomic_load(&word->value) == old)
		syscall(SYS_futex, &word->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
	atomic_fetch_sub(&word->sleepers, 1);
}

static void word_bump(struct core_word *word)
{
	atomic_fetch_add(&word->value, 1);
	if (atomic_load(&word->sleepers))
		syscall(SYS_futex, &word->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void dm_cores_barrier(struct dm_cores *cores, unsigned int core)
{
	unsigned int phase = atomic_load_explicit(&cores->phase.value, memory_order_acquire);

	(void)core;
	if (cores->count == 1) {
		atomic_store_explicit(&cores->phase.value, phase + 1, memory_order_relaxed);
		return;
	}
	if (atomic_fetch_add_explicit(&cores->arrived, 1, memory_order_acq_rel) + 1 ==
	    cores->count) {
		atomic_store_explicit(&cores->arrived, 0, memory_order_relaxed);
		word_bump(&cores->phase);
	} else {
		word_wait(&cores->phase, phase, cores->spin);
	}
}

static void *core_main(void *arg)
{
	struct core_thread *self = arg;
	struct dm_cores *cores = self->cores;
	unsigned int seen = 0;

	for (;;) {
		word_wait(&cores->start, seen, cores->spin);
		seen++;
		if (cores->stop)
			return NULL;
		cores->fn(cores->arg, self->index, cores->count);
		dm_cores_barrier(cores, self->index);
	}
}

void dm_cores_run(struct dm_cores *cores, dm_core_fn fn, void *arg)
{
	if (cores->count > 1) {
		cores->fn = fn;
		cores->arg = arg;
		word_bump(&cores->start);
	}
	fn(arg, 0, cores->count);
	dm_cores_barrier(cores, 0);
}

static unsigned int online_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (unsigned int)CPU_COUNT(&set);
}

static void stop_threads(struct dm_cores *cores, unsigned int threads)
{
	cores->stop = true;
	word_bump(&cores->start);
	for (unsigned int i = 1; i < threads; i++)
		pthread_join(cores->threads[i].thread, NULL);
}

int dm_cores_create(unsigned int count, struct dm_cores **out)
{
	struct dm_cores *cores;
	size_t bytes = sizeof(*cores) + count * sizeof(cores->threads[0]);

	cores = aligned_alloc(64, (bytes + 63) / 64 * 64);
	if (!cores)
		return -ENOMEM;
	cores->count = count;
	cores->spin = count > online_cpus() ? 0 : SPIN_TURNS;
	atomic_init(&cores->start.value, 0);
	atomic_init(&cores->start.sleepers, 0);
	atomic_init(&cores->phase.value, 0);
	atomic_init(&cores->phase.sleepers, 0);
	atomic_init(&cores->arrived, 0);
	cores->fn = NULL;
	cores->arg = NULL;
	cores->stop = false;
	for (unsigned int i = 1; i < count; i++) {
		struct core_thread *thread = &cores->threads[i];
		int err;

		thread->cores = cores;
		thread->index = i;
		err = pthread_create(&thread->thread, NULL, core_main, thread);
		if (err) {
			stop_threads(cores, i);
			free(cores);
			return -err;
		}
	}
	*out = cores;
	return 0;
}

void dm_cores_destroy(struct dm_cores *cores)
{
	if (!cores)
		return;
	stop_threads(cores, cores->count);
	free(cores);
}

unsigned int dm_cores_count(const struct dm_cores *cores)
{
	return cores->count;
}

unsigned int dm_cores_progress(struct dm_cores *cores)
{
	return atomic_load_explicit(&cores->phase.value, memory_order_relaxed);
}
