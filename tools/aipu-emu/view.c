// SPDX-License-Identifier: MIT
/*
 * What lies behind the maps of DMA space: each file mapped once for all its maps, and copies that survive when the
 * client makes a file shorter. dma.c calls, with its lock where the tree of views changes and without where bytes move.
 *
 * A handler is global here: a signal's disposition is the process's. SIGBUS in a copy ends that copy and
 * nothing else, by a jump out of it on the same thread; every other SIGBUS goes to the handler that was there before.
 */
#include "view.h"

#include <errno.h>
#include <search.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>

#include "emu.h"

#if defined(__SANITIZE_THREAD__)
#define EMU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EMU_TSAN 1
#endif
#endif

/* The guest changes its memory under our hands whenever it likes, and is in no sanitizer's sight anyway */
#ifdef EMU_TSAN
#define SHARED_ACCESS __attribute__((no_sanitize("thread"), noinline))
#else
#define SHARED_ACCESS
#endif

/* --- bytes -------------------------------------------------------------------------------------- */

SHARED_ACCESS static void copy_bytes(void *to, const void *from, size_t bytes)
{
#ifdef EMU_TSAN
	volatile uint8_t *out = to;
	const volatile uint8_t *in = from;
	size_t i = 0;

	if (((uintptr_t)to | (uintptr_t)from) % 8 == 0)
		for (; i + 8 <= bytes; i += 8)
			*(volatile uint64_t *)(out + i) = *(const volatile uint64_t *)(in + i);
	for (; i < bytes; i++)
		out[i] = in[i];
#else
	memcpy(to, from, bytes);
#endif
}

SHARED_ACCESS void emu_shared_read(void *to, const void *shared, size_t bytes)
{
	uintptr_t place = (uintptr_t)shared;

	if (bytes == 8 && place % 8 == 0) {
		uint64_t word = __atomic_load_n((const uint64_t *)shared, __ATOMIC_ACQUIRE);

		memcpy(to, &word, sizeof(word));
	} else if (bytes == 4 && place % 4 == 0) {
		uint32_t word = __atomic_load_n((const uint32_t *)shared, __ATOMIC_ACQUIRE);

		memcpy(to, &word, sizeof(word));
	} else {
		copy_bytes(to, shared, bytes);
	}
}

SHARED_ACCESS void emu_shared_write(void *shared, const void *from, size_t bytes)
{
	uintptr_t place = (uintptr_t)shared;

	if (bytes == 8 && place % 8 == 0) {
		uint64_t word;

		memcpy(&word, from, sizeof(word));
		__atomic_store_n((uint64_t *)shared, word, __ATOMIC_RELEASE);
	} else if (bytes == 4 && place % 4 == 0) {
		uint32_t word;

		memcpy(&word, from, sizeof(word));
		__atomic_store_n((uint32_t *)shared, word, __ATOMIC_RELEASE);
	} else {
		copy_bytes(shared, from, bytes);
	}
}

/* --- SIGBUS --------------------------------------------------------------------------------------- */

/* The copy that this thread is in. Initial-exec: a handler may not allocate. */
static _Thread_local struct {
	sigjmp_buf out;
	uintptr_t start, end; /* of the view's memory; end 0: it is in none */
} guard __attribute__((tls_model("initial-exec")));

/* This thread is in the previous handler: should that lie above this one by now, the circle ends */
static _Thread_local bool chaining __attribute__((tls_model("initial-exec")));

static struct sigaction previous;

static void chain(int signal, siginfo_t *info, void *context)
{
	static const struct sigaction none = { .sa_handler = SIG_DFL };
	const struct sigaction *next = chaining ? &none : &previous;

	chaining = true;
	if (next->sa_flags & SA_SIGINFO) {
		next->sa_sigaction(signal, info, context);
	} else if (next->sa_handler == SIG_DFL ||
		   (next->sa_handler == SIG_IGN && info->si_code > 0)) {
		/* A fault comes again with its instruction; a signal that was sent would not */
		sigaction(SIGBUS, &none, NULL);
		if (info->si_code <= 0)
			raise(SIGBUS);
	} else if (next->sa_handler != SIG_IGN) {
		next->sa_handler(signal);
	}
	chaining = false;
}

static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;

	if (info->si_code > 0 && at >= guard.start && at < guard.end) {
		guard.end = 0;
		/* The jump does not give the signal mask back: saving it would cost each copy a system call */
		pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)context)->uc_sigmask, NULL);
		siglongjmp(guard.out, 1);
	}
	chain(signal, info, context);
}

void emu_view_catch_sigbus(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction now;

	sigaction(SIGBUS, NULL, &now);
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_sigbus)
		return;
	previous = now;
	sigemptyset(&action.sa_mask);
	action.sa_sigaction = on_sigbus;
	sigaction(SIGBUS, &action, NULL);
}

/* `to` or `from` is `place`, in a view */
static bool copy_guarded(uint8_t *place, void *to, const void *from, size_t bytes)
{
	if (sigsetjmp(guard.out, 0))
		return false;
	guard.start = (uintptr_t)place;
	guard.end = (uintptr_t)place + bytes;
	atomic_signal_fence(memory_order_seq_cst);
	if (to)
		emu_shared_read(to, place, bytes);
	else
		emu_shared_write(place, from, bytes);
	atomic_signal_fence(memory_order_seq_cst);
	guard.end = 0;
	return true;
}

bool emu_view_read(const struct emu_view *view, uint64_t offset, void *to, size_t bytes)
{
	return copy_guarded(view->memory + offset, to, NULL, bytes);
}

bool emu_view_write(const struct emu_view *view, uint64_t offset, const void *from, size_t bytes)
{
	return copy_guarded(view->memory + offset, NULL, from, bytes);
}

/* --- views ---------------------------------------------------------------------------------------- */

static int by_file(const void *a, const void *b)
{
	const struct emu_view *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return x->inode == y->inode ? 0 : x->inode < y->inode ? -1 : 1;
}

static int map_file(int fd, struct emu_view *view)
{
	void *memory = mmap(NULL, view->bytes, PROT_READ | (view->writable ? PROT_WRITE : 0),
			    MAP_SHARED | MAP_NORESERVE, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	view->memory = memory;
	return 0;
}

int emu_view_get(void **views, int fd, uint64_t end, bool writable, struct emu_view **out)
{
	struct emu_view *view, **place;
	struct stat info;
	int err;

	if (fstat(fd, &info))
		return -errno;
	if (!S_ISREG(info.st_mode) || (uint64_t)info.st_size < end)
		return -EINVAL;
	view = calloc(1, sizeof(*view));
	if (!view)
		return -ENOMEM;
	*view = (struct emu_view){ .device = info.st_dev,
				   .inode = info.st_ino,
				   .bytes = (uint64_t)info.st_size,
				   .writable = writable };
	/* A file keeps its numbers while a view maps it */
	place = tsearch(view, views, by_file);
	if (!place) {
		free(view);
		return -ENOMEM;
	}
	if (*place != view && (*place)->bytes >= end && (*place)->writable >= writable) {
		free(view);
		(*place)->users++;
		*out = *place;
		return 0;
	}
	if (*place != view)
		view->writable |= (*place)->writable;
	err = map_file(fd, view);
	if (err) {
		if (*place == view)
			tdelete(view, views, by_file);
		free(view);
		return err;
	}
	view->users = 1;
	*place = view; /* one that the file has outgrown lives on with the maps it has */
	*out = view;
	return 0;
}

bool emu_view_put(void **views, struct emu_view *view)
{
	struct emu_view **place;

	if (--view->users)
		return false;
	place = tfind(view, views, by_file);
	if (place && *place == view)
		tdelete(view, views, by_file);
	return true;
}

void emu_view_unmap(struct emu_view *view)
{
	munmap(view->memory, view->bytes);
	free(view);
}
