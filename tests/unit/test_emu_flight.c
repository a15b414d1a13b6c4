// SPDX-License-Identifier: MIT
/*
 * DMA in flight while its map goes or the gate closes: both outcomes, at once and later, come to pass; and once the
 * answer is there nothing is written any more, however often maps come and go.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu-emu/emu.h"

#include "emu_memory.h"

#define RW (EMU_DMA_READABLE | EMU_DMA_WRITABLE)
#define BYTES (4u << 20)
#define BASE 0x100000000ull
#define WRITERS 2u
#define ROUNDS 40u /* at least, and until both outcomes came */
#define MOST_ROUNDS 4000u

struct answer {
	struct emu_wait wait;
	sem_t came;
	atomic_uint times;
};

struct bench {
	struct emu_counters counters;
	struct emu_dma *dma;
	struct memory memory;
	uint8_t *before;
	pthread_t writers[WRITERS];
	atomic_bool stop;
	atomic_uint good, refused, other;
	/* What the rounds saw */
	unsigned int at_once, later;
};

static void answer_done(struct emu_wait *wait)
{
	struct answer *answer = (struct answer *)(void *)wait;

	atomic_fetch_add(&answer->times, 1);
	sem_post(&answer->came);
}

static void answer_init(struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->wait.done = answer_done;
	sem_init(&answer->came, 0, 0);
}

/* 0: at once, and done() never comes */
static void answer_await(struct bench *bench, struct answer *answer, int err)
{
	if (!err) {
		bench->at_once++;
		return;
	}
	assert_int_equal(err, -EINPROGRESS);
	bench->later++;
	while (sem_wait(&answer->came))
		;
}

static void answer_check(struct answer *answer, int err)
{
	assert_int_equal(atomic_load(&answer->times), err == -EINPROGRESS);
	sem_destroy(&answer->came);
}

static void *write_always(void *arg)
{
	struct bench *bench = arg;
	uint8_t *bytes = malloc(BYTES);

	for (unsigned int i = 0; !atomic_load(&bench->stop); i++) {
		int err;

		memset(bytes, (int)i, BYTES);
		err = emu_dma_write(bench->dma, BASE, bytes, BYTES);
		atomic_fetch_add(
			err ? err == -EFAULT ? &bench->refused : &bench->other : &bench->good, 1);
		if (err)
			sched_yield();
	}
	free(bytes);
	return NULL;
}

static void map_again(struct bench *bench)
{
	/* In two halves: a write is in one slice or the other, and both go at once */
	for (uint64_t half = 0; half < 2; half++)
		assert_int_equal(emu_dma_map(bench->dma, BASE + half * (BYTES / 2), BYTES / 2,
					     memory_fd(&bench->memory), half * (BYTES / 2), RW),
				 0);
}

static void bench_open(struct bench *bench)
{
	memset(bench, 0, sizeof(*bench));
	memory_open(&bench->memory, BYTES);
	bench->before = malloc(BYTES);
	assert_non_null(bench->before);
	assert_int_equal(emu_dma_create(&bench->counters, &bench->dma), 0);
	assert_int_equal(emu_dma_gate(bench->dma, true, NULL), 0);
	for (unsigned int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&bench->writers[i], NULL, write_always, bench), 0);
}

static void bench_close(struct bench *bench)
{
	atomic_store(&bench->stop, true);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(bench->writers[i], NULL);
	emu_dma_destroy(bench->dma);
	assert_int_equal(atomic_load(&bench->other), 0);
	assert_true(atomic_load(&bench->good) && atomic_load(&bench->refused));
	assert_true(bench->at_once && bench->later);
	free(bench->before);
	memory_close(&bench->memory);
}

static bool enough(const struct bench *bench, unsigned int round)
{
	return round >= MOST_ROUNDS || (round >= ROUNDS && bench->at_once && bench->later);
}

/* Waits until somebody wrote (`whole`: all of it) since, but every fourth time not */
static void let_them_write(struct bench *bench, unsigned int round)
{
	uint64_t bytes = emu_counter(&bench->counters, EMU_COUNT_BYTES_TO_HOST);

	while (round % 4 && emu_counter(&bench->counters, EMU_COUNT_BYTES_TO_HOST) == bytes)
		usleep(50);
}

static void nothing_changes(struct bench *bench)
{
	emu_shared_read(bench->before, bench->memory.bytes, BYTES);
	usleep(1000);
	assert_memory_equal(bench->before, bench->memory.bytes, BYTES);
}

static void after_an_unmap_nothing_is_written(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	for (unsigned int round = 0; !enough(&bench, round); round++) {
		struct answer answer;
		uint8_t byte;
		int err;

		answer_init(&answer);
		map_again(&bench);
		let_them_write(&bench, round);
		err = emu_dma_unmap(bench.dma, BASE, BYTES, round % 2, &answer.wait);
		/* Whatever is still in flight, nothing new begins */
		assert_int_equal(emu_dma_read(bench.dma, BASE, &byte, 1), -EFAULT);
		/* And the addresses are free for another map */
		if (round % 3 == 0) {
			map_again(&bench);
			assert_int_equal(emu_dma_read(bench.dma, BASE, &byte, 1), 0);
			answer_await(&bench, &answer, err);
			answer_check(&answer, err);
			answer_init(&answer);
			err = emu_dma_unmap(bench.dma, BASE, BYTES, false, &answer.wait);
		}
		answer_await(&bench, &answer, err);
		nothing_changes(&bench);
		answer_check(&answer, err);
	}
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_MAPS),
			 emu_counter(&bench.counters, EMU_COUNT_UNMAPS));
	assert_true(emu_counter(&bench.counters, EMU_COUNT_UNMAPS_DEFERRED) >= bench.later);
	bench_close(&bench);
}

static void after_the_gate_closed_nothing_is_written(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	map_again(&bench);
	for (unsigned int round = 0; !enough(&bench, round); round++) {
		struct answer answer, second;
		int err, again;
		uint8_t byte;

		answer_init(&answer);
		answer_init(&second);
		let_them_write(&bench, round);
		err = emu_dma_gate(bench.dma, false, &answer.wait);
		assert_int_equal(emu_dma_read(bench.dma, BASE, &byte, 1), -EFAULT);
		if (round % 3 == 0) { /* opened and closed again while the first one waits */
			emu_dma_gate(bench.dma, true, NULL);
			assert_int_equal(emu_dma_read(bench.dma, BASE, &byte, 1), 0);
		}
		again = emu_dma_gate(bench.dma, false, &second.wait);
		answer_await(&bench, &second, again);
		nothing_changes(&bench);
		/* The first closing waited for no more than the second one */
		assert_int_equal(atomic_load(&answer.times), err == -EINPROGRESS);
		answer_await(&bench, &answer, err);
		answer_check(&answer, err);
		answer_check(&second, again);
		emu_dma_gate(bench.dma, true, NULL);
	}
	bench_close(&bench);
}

/* A closing and an unmap wait for the same slices, and each is told once */
static void both_at_once(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench);
	for (unsigned int round = 0; !enough(&bench, round); round++) {
		struct answer closing, unmap;
		int closed, unmapped;

		answer_init(&closing);
		answer_init(&unmap);
		map_again(&bench);
		let_them_write(&bench, round);
		closed = emu_dma_gate(bench.dma, false, &closing.wait);
		unmapped = emu_dma_unmap(bench.dma, 0, 0, true, &unmap.wait);
		answer_await(&bench, &unmap, unmapped);
		answer_await(&bench, &closing, closed);
		nothing_changes(&bench);
		answer_check(&closing, closed);
		answer_check(&unmap, unmapped);
		emu_dma_gate(bench.dma, true, NULL);
	}
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_an_unmap_nothing_is_written),
		cmocka_unit_test(after_the_gate_closed_nothing_is_written),
		cmocka_unit_test(both_at_once),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
