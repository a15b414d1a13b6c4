// SPDX-License-Identifier: MIT
/*
 * SIGBUS in a mapped file that became shorter. The one global of the libraries: a signal's disposition is
 * the process's, so the table of watched ranges is too. The handler maps zeros over what was lost, sets
 * the range's flag, and hands every other SIGBUS to the handler that was there before. It takes no lock
 * and calls nothing but mmap and sigaction.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "soft.h"

/*
 * A place for one range. Read by the handler at any time, so places are never freed, only used again;
 * `sequence` is odd while one changes.
 */
struct watch {
	struct watch *next;
	uint32_t sequence;
	uintptr_t start, end; /* end 0: not in use */
	bool *lost;
};

static struct {
	pthread_mutex_t lock; /* for those who change it; not for the handler */
	struct watch *watches; /* atomic */
	unsigned int used;
	struct sigaction previous; /* what was there when it was installed last, */
	struct sigaction
		first; /* and before it came at all; differs where another lay over it meanwhile */
	bool placed; /* first is valid */
} sigbus = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* This thread is in `previous`, called from here. Initial-exec: a handler may not allocate TLS. */
static _Thread_local bool chaining __attribute__((tls_model("initial-exec")));

static bool watch_read(const struct watch *watch, uintptr_t address, uintptr_t *end, bool **lost)
{
	uint32_t before = __atomic_load_n(&watch->sequence, __ATOMIC_ACQUIRE);
	uintptr_t start = __atomic_load_n(&watch->start, __ATOMIC_RELAXED);

	*end = __atomic_load_n(&watch->end, __ATOMIC_RELAXED);
	*lost = __atomic_load_n(&watch->lost, __ATOMIC_RELAXED);
	/* An acquire read-modify-write of nothing: orders the loads above before this one */
	if ((before & 1) ||
	    __atomic_fetch_add((uint32_t *)&watch->sequence, 0, __ATOMIC_ACQ_REL) != before)
		return false; /* it changes, so it is not the one that this thread uses */
	return address >= start && address < *end;
}

static void watch_write(struct watch *watch, uintptr_t start, uintptr_t end, bool *lost)
{
	__atomic_fetch_add(&watch->sequence, 1, __ATOMIC_ACQ_REL);
	__atomic_store_n(&watch->start, start, __ATOMIC_RELAXED);
	__atomic_store_n(&watch->end, end, __ATOMIC_RELAXED);
	__atomic_store_n(&watch->lost, lost, __ATOMIC_RELAXED);
	__atomic_fetch_add(&watch->sequence, 1, __ATOMIC_ACQ_REL);
}

static bool range_lost(uintptr_t address)
{
	const struct watch *watch = __atomic_load_n(&sigbus.watches, __ATOMIC_ACQUIRE);
	uintptr_t page = address & ~(uintptr_t)(AIPU_PAGE_BYTES - 1), end;
	bool *lost;

	for (; watch; watch = watch->next) {
		if (!watch_read(watch, address, &end, &lost))
			continue;
		__atomic_store_n(lost, true, __ATOMIC_RELEASE);
		/*
		 * A file ends somewhere, so all that follows is lost with this page. By the system call itself: to the thread
		 * sanitizer mmap() is a write, and others may read here.
		 */
		return syscall(SYS_mmap, page, end - page, PROT_READ,
			       MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			       0) != -1;
	}
	return false;
}

static void chain(const struct sigaction *next, int signal, siginfo_t *info, void *context)
{
	if (next->sa_flags & SA_SIGINFO) {
		next->sa_sigaction(signal, info, context);
	} else if (next->sa_handler == SIG_DFL ||
		   (next->sa_handler == SIG_IGN && info->si_code > 0)) {
		struct sigaction fallback = { .sa_handler = SIG_DFL };

		/* A fault comes again when the instruction does; a sent signal would not */
		sigaction(SIGBUS, &fallback, NULL);
		if (info->si_code <= 0)
			raise(SIGBUS);
	} else if (next->sa_handler != SIG_IGN) {
		next->sa_handler(signal);
	}
}

static void sigbus_handler(int signal, siginfo_t *info, void *context)
{
	int error = errno;

	if (info->si_code == BUS_ADRERR && range_lost((uintptr_t)info->si_addr)) {
		errno = error;
		return;
	}
	/* One that lay over this handler and now lies under it comes back here: that circle ends */
	if (chaining) {
		chain(&sigbus.first, signal, info, context);
	} else {
		/* A handler that jumps out leaves the flag; it matters only where there is a circle */
		chaining = sigbus.first.sa_sigaction != sigbus.previous.sa_sigaction;
		chain(&sigbus.previous, signal, info, context);
		chaining = false;
	}
	errno = error;
}

static bool is_ours(const struct sigaction *action)
{
	return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == sigbus_handler;
}

static void handler_install(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	struct sigaction current;

	sigemptyset(&action.sa_mask);
	action.sa_sigaction = sigbus_handler;
	sigaction(SIGBUS, NULL, &current);
	if (is_ours(&current))
		return;
	if (!sigbus.placed)
		sigbus.first = current;
	sigbus.placed = true;
	sigbus.previous = current;
	sigaction(SIGBUS, &action, NULL);
}

static void handler_remove(void)
{
	struct sigaction current;

	/* Another one was installed over it and may chain to it: then it stays, and finds no range */
	sigaction(SIGBUS, NULL, &current);
	if (!is_ours(&current))
		return;
	sigaction(SIGBUS, &sigbus.previous, NULL);
	/* With one below that lay above, it may still be chained to */
	sigbus.placed = sigbus.first.sa_sigaction != sigbus.previous.sa_sigaction;
}

int soft_sigbus_watch(void *memory, size_t bytes, bool *lost)
{
	uintptr_t start = (uintptr_t)memory;
	struct watch *watch;

	pthread_mutex_lock(&sigbus.lock);
	for (watch = sigbus.watches; watch && watch->end; watch = watch->next)
		;
	if (!watch) {
		watch = calloc(1, sizeof(*watch));
		if (!watch) {
			pthread_mutex_unlock(&sigbus.lock);
			return -ENOMEM;
		}
		watch->next = sigbus.watches;
		__atomic_store_n(&sigbus.watches, watch, __ATOMIC_RELEASE);
	}
	watch_write(watch, start, start + soft_page_align(bytes), lost);
	sigbus.used++;
	/* Each time: somebody may have taken the signal over since */
	handler_install();
	pthread_mutex_unlock(&sigbus.lock);
	return 0;
}

void soft_sigbus_unwatch(void *memory)
{
	pthread_mutex_lock(&sigbus.lock);
	for (struct watch *watch = sigbus.watches; watch; watch = watch->next) {
		if (!watch->end || watch->start != (uintptr_t)memory)
			continue;
		watch_write(watch, 0, 0, NULL);
		if (!--sigbus.used)
			handler_remove();
		break;
	}
	pthread_mutex_unlock(&sigbus.lock);
}
