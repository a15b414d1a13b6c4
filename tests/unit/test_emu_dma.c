// SPDX-License-Identifier: MIT
/*
 * DMA space of aipu-emu: which maps there can be, what an access may reach, and that after an unmap or a closed gate
 * is answered not one byte changes any more, whatever was in flight.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu-emu/emu.h"

#include "emu_memory.h"

#define PAGE 4096u
#define RW (EMU_DMA_READABLE | EMU_DMA_WRITABLE)

struct bench {
	struct emu_counters counters;
	struct emu_dma *dma;
	struct memory memory;
};

static void bench_open(struct bench *bench, size_t bytes)
{
	memset(bench, 0, sizeof(*bench));
	memory_open(&bench->memory, bytes);
	assert_int_equal(emu_dma_create(&bench->counters, &bench->dma), 0);
	assert_int_equal(emu_dma_gate(bench->dma, true, NULL), 0);
}

static void bench_close(struct bench *bench)
{
	emu_dma_destroy(bench->dma);
	memory_close(&bench->memory);
}

static int map(struct bench *bench, uint64_t address, uint64_t size, uint64_t offset,
	       unsigned int access)
{
	return emu_dma_map(bench->dma, address, size, memory_fd(&bench->memory), offset, access);
}

static bool readable(struct bench *bench, uint64_t address)
{
	uint8_t byte;

	return !emu_dma_read(bench->dma, address, &byte, 1);
}

static void done_never(struct emu_wait *wait)
{
	(void)wait;
	fail_msg("done() although nothing was in flight");
}

/* --- maps ------------------------------------------------------------------------------------------- */

static void wrong_arguments(void **state)
{
	unsigned int fds = open_fds();
	struct bench bench;
	int pipes[2];

	(void)state;
	bench_open(&bench, 4 * PAGE);
	assert_int_equal(map(&bench, 0, 0, 0, RW), -EINVAL);
	assert_int_equal(map(&bench, 1, PAGE, 0, RW), -EINVAL);
	assert_int_equal(map(&bench, 0, PAGE - 1, 0, RW), -EINVAL);
	assert_int_equal(map(&bench, 0, PAGE, 8, RW), -EINVAL);
	assert_int_equal(map(&bench, -(uint64_t)PAGE, 2 * PAGE, 0, RW), -EINVAL);
	assert_int_equal(map(&bench, 0, 2 * PAGE, -(uint64_t)PAGE, RW), -EINVAL);
	assert_int_equal(map(&bench, 0, 5 * PAGE, 0, RW), -EINVAL);
	assert_int_equal(map(&bench, 0, PAGE, 4 * PAGE, RW), -EINVAL);
	assert_int_equal(map(&bench, 0, 1ull << 62, 1ull << 62, RW), -EINVAL);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(emu_dma_map(bench.dma, 0, PAGE, pipes[0], 0, RW), -EINVAL);
	close(pipes[1]);
	assert_int_equal(emu_dma_unmap(bench.dma, 0, 0, false, NULL), -EINVAL);
	assert_int_equal(emu_dma_unmap(bench.dma, PAGE, UINT64_MAX, false, NULL), -EINVAL);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_MAPS), 0);
	bench_close(&bench);
	assert_int_equal(open_fds(), fds);
}

static void maps_do_not_overlap(void **state)
{
	struct bench bench;

	(void)state;
	bench_open(&bench, 16 * PAGE);
	assert_int_equal(map(&bench, 4 * PAGE, 4 * PAGE, 0, RW), 0);
	assert_int_equal(map(&bench, 4 * PAGE, 4 * PAGE, 0, RW), -EEXIST);
	assert_int_equal(map(&bench, 7 * PAGE, PAGE, 0, RW), -EEXIST);
	assert_int_equal(map(&bench, 0, 5 * PAGE, 0, RW), -EEXIST);
	assert_int_equal(map(&bench, 7 * PAGE, 8 * PAGE, 0, RW), -EEXIST);
	assert_int_equal(map(&bench, 0, 16 * PAGE, 0, RW), -EEXIST);
	assert_int_equal(map(&bench, 0, 4 * PAGE, 0, RW), 0); /* neighbours do not */
	assert_int_equal(map(&bench, 8 * PAGE, PAGE, 0, RW), 0);
	/* Also where nothing lies behind it, and at the very end */
	assert_int_equal(emu_dma_map(bench.dma, 3 * PAGE, PAGE, -1, 0, RW), -EEXIST);
	assert_int_equal(emu_dma_map(bench.dma, -(uint64_t)PAGE, PAGE, -1, 0, RW), 0);
	assert_int_equal(map(&bench, -(uint64_t)(2 * PAGE), 2 * PAGE, 0, RW), -EEXIST);
	assert_int_equal(map(&bench, -(uint64_t)(2 * PAGE), PAGE, 0, RW), 0);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_MAPS), 5);
	bench_close(&bench);
}

static void an_access_spans_neighbours(void **state)
{
	struct bench bench;
	uint8_t bytes[4 * PAGE], back[4 * PAGE];

	(void)state;
	bench_open(&bench, 4 * PAGE);
	/* Backwards, so that neighbours in DMA space are none in memory */
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(map(&bench, (10 + i) * PAGE, PAGE, (3 - i) * PAGE, RW), 0);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / PAGE);
	assert_int_equal(emu_dma_write(bench.dma, 10 * PAGE + 5, bytes, sizeof(bytes) - 5), 0);
	assert_memory_equal(bench.memory.bytes + 3 * PAGE + 5, bytes, PAGE - 5);
	assert_memory_equal(bench.memory.bytes + 2 * PAGE, bytes + PAGE - 5, PAGE);
	assert_int_equal(emu_dma_read(bench.dma, 10 * PAGE + 5, back, sizeof(back) - 5), 0);
	assert_memory_equal(bytes, back, sizeof(back) - 5);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_DMA_WRITES), 1);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_DMA_READS), 1);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_BYTES_TO_HOST), 4 * PAGE - 5);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_BYTES_FROM_HOST), 4 * PAGE - 5);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_RECORDS), 0);
	assert_int_equal(emu_dma_write(bench.dma, 10 * PAGE, bytes, 32), 0);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_RECORDS), 1);
	/* One byte more has none behind it, one before neither */
	assert_int_equal(emu_dma_read(bench.dma, 10 * PAGE, back, sizeof(back)), 0);
	assert_int_equal(emu_dma_read(bench.dma, 10 * PAGE + 1, back, sizeof(back)), -EFAULT);
	assert_int_equal(emu_dma_read(bench.dma, 10 * PAGE - 1, back, 2), -EFAULT);
	assert_int_equal(emu_dma_read(bench.dma, UINT64_MAX, back, 2), -EFAULT);
	assert_int_equal(emu_dma_read(bench.dma, 0, back, 0), 0);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_DMA_REFUSED), 3);
	bench_close(&bench);
}

/* They cost no DMA that is counted as work. */
static void looks_are_counted_apart(void **state)
{
	struct bench bench;
	uint32_t word = 0x12345678;

	(void)state;
	bench_open(&bench, 2 * PAGE);
	assert_int_equal(map(&bench, PAGE, PAGE, PAGE, RW), 0);
	memcpy(bench.memory.bytes + 2 * PAGE - 4, &word, sizeof(word));
	word = 0;
	assert_int_equal(emu_dma_look(bench.dma, 2 * PAGE - 4, &word), 0);
	assert_int_equal(word, 0x12345678);
	assert_int_equal(emu_dma_look(bench.dma, 2 * PAGE, &word), -EFAULT);
	assert_int_equal(emu_dma_gate(bench.dma, false, NULL), 0);
	assert_int_equal(emu_dma_look(bench.dma, PAGE, &word), -EFAULT);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_LOOKS), 1);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_DMA_REFUSED), 2);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_DMA_READS), 0);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_BYTES_FROM_HOST), 0);
	bench_close(&bench);
}

static void access_is_checked(void **state)
{
	struct bench bench;
	uint8_t byte = 9;

	(void)state;
	bench_open(&bench, 4 * PAGE);
	assert_int_equal(map(&bench, 0, PAGE, 0, EMU_DMA_READABLE), 0);
	assert_int_equal(map(&bench, PAGE, PAGE, PAGE, EMU_DMA_WRITABLE), 0);
	assert_int_equal(emu_dma_map(bench.dma, 2 * PAGE, PAGE, -1, 0, RW), 0);
	assert_int_equal(map(&bench, 3 * PAGE, PAGE, 0, 0), 0);
	assert_int_equal(emu_dma_read(bench.dma, 0, &byte, 1), 0);
	assert_int_equal(byte, 0);
	byte = 9;
	assert_int_equal(emu_dma_write(bench.dma, 0, &byte, 1), -EFAULT);
	assert_int_equal(emu_dma_write(bench.dma, PAGE, &byte, 1), 0);
	assert_int_equal(emu_dma_read(bench.dma, PAGE, &byte, 1), -EFAULT);
	assert_int_equal(emu_dma_write(bench.dma, 2 * PAGE, &byte, 1), -EFAULT);
	assert_int_equal(emu_dma_read(bench.dma, 2 * PAGE, &byte, 1), -EFAULT);
	assert_int_equal(emu_dma_read(bench.dma, 3 * PAGE, &byte, 1), -EFAULT);
	assert_int_equal(bench.memory.bytes[0], 0);
	assert_int_equal(bench.memory.bytes[PAGE], 9);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_DMA_REFUSED), 5);
	bench_close(&bench);
}

/* A file that may only be read is mapped for reading, and then again where another descriptor permits more */
static void read_only_files(void **state)
{
	char path[32];
	struct bench bench;
	uint8_t byte = 3;

	(void)state;
	bench_open(&bench, 2 * PAGE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", bench.memory.fd);
	assert_int_equal(emu_dma_map(bench.dma, 0, PAGE, open_again(path, false), 0, RW), -EACCES);
	assert_int_equal(
		emu_dma_map(bench.dma, 0, PAGE, open_again(path, false), 0, EMU_DMA_READABLE), 0);
	assert_int_equal(emu_dma_map(bench.dma, PAGE, PAGE, open_again(path, true), PAGE, RW), 0);
	assert_int_equal(emu_dma_write(bench.dma, 0, &byte, 1), -EFAULT);
	assert_int_equal(emu_dma_write(bench.dma, PAGE, &byte, 1), 0);
	bench.memory.bytes[0] = 8;
	assert_int_equal(emu_dma_read(bench.dma, 0, &byte, 1), 0);
	assert_int_equal(byte, 8);
	assert_int_equal(emu_dma_unmap(bench.dma, 0, PAGE, false, NULL), 0);
	assert_int_equal(emu_dma_write(bench.dma, PAGE, &byte, 1), 0);
	bench_close(&bench);
}

static void unmap_takes_what_lies_within(void **state)
{
	struct emu_wait wait = { .done = done_never };
	struct bench bench;

	(void)state;
	bench_open(&bench, 16 * PAGE);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(map(&bench, i * 4 * PAGE, 2 * PAGE, 0, RW), 0);
	/* Nothing there */
	assert_int_equal(emu_dma_unmap(bench.dma, 2 * PAGE, 2 * PAGE, false, &wait), 0);
	/* Partly in it, at either end and inside: nothing is removed */
	assert_int_equal(emu_dma_unmap(bench.dma, PAGE, 9 * PAGE, false, &wait), -EINVAL);
	assert_int_equal(emu_dma_unmap(bench.dma, 0, 9 * PAGE, false, &wait), -EINVAL);
	assert_int_equal(emu_dma_unmap(bench.dma, 0, PAGE, false, &wait), -EINVAL);
	assert_int_equal(emu_dma_unmap(bench.dma, PAGE, PAGE, false, &wait), -EINVAL);
	for (uint64_t i = 0; i < 8; i++)
		assert_true(readable(&bench, i * 4 * PAGE));
	/* Three of them, with room at both ends */
	assert_int_equal(emu_dma_unmap(bench.dma, 2 * PAGE, 12 * PAGE, false, &wait), 0);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(readable(&bench, i * 4 * PAGE), i < 1 || i > 3);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_UNMAPS), 3);
	/* As an IOMMU does: from somewhere to the end of the address space */
	assert_int_equal(map(&bench, -(uint64_t)PAGE, PAGE, 0, RW), 0);
	assert_int_equal(emu_dma_unmap(bench.dma, 20 * PAGE, -(uint64_t)(20 * PAGE), false, &wait),
			 0);
	assert_false(readable(&bench, UINT64_MAX));
	assert_true(readable(&bench, 16 * PAGE));
	assert_int_equal(emu_dma_unmap(bench.dma, 0, 0, true, &wait), 0);
	assert_false(readable(&bench, 0));
	assert_false(readable(&bench, 16 * PAGE));
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_UNMAPS),
			 emu_counter(&bench.counters, EMU_COUNT_MAPS));
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_UNMAPS_DEFERRED), 0);
	bench_close(&bench);
}

/* As with a virtual IOMMU: many small maps of one file cost one mapping of it */
static void tens_of_thousands_of_maps(void **state)
{
	unsigned int before = mappings(), fds = open_fds();
	uint64_t pages = EMU_DMA_MAX_MAPS;
	uint8_t bytes[64 * PAGE];
	struct bench bench;

	(void)state;
	bench_open(&bench, (size_t)pages * PAGE);
	for (uint64_t i = 0; i < pages; i += 97)
		bench.memory.bytes[i * PAGE] = (uint8_t)i;
	for (uint64_t i = 0; i < pages; i++)
		assert_int_equal(map(&bench, (pages - 1 - i) * PAGE, PAGE, i * PAGE, RW), 0);
	assert_int_equal(map(&bench, pages * PAGE, PAGE, 0, RW), -ENOSPC);
	assert_true(mappings() < before + 64);
	assert_int_equal(open_fds(), fds + 1);
	for (uint64_t i = 0; i + 64 <= pages; i += 977) {
		assert_int_equal(emu_dma_read(bench.dma, i * PAGE, bytes, sizeof(bytes)), 0);
		for (uint64_t k = 0; k < 64; k++) {
			uint64_t page = pages - 1 - i - k;

			assert_int_equal(bytes[k * PAGE], page % 97 ? 0 : (uint8_t)page);
		}
	}
	assert_int_equal(emu_dma_unmap(bench.dma, PAGE, (pages - 2) * PAGE, false, NULL), 0);
	assert_true(readable(&bench, 0) && readable(&bench, (pages - 1) * PAGE));
	assert_false(readable(&bench, PAGE) || readable(&bench, (pages - 2) * PAGE));
	bench_close(&bench);
	assert_int_equal(open_fds(), fds);
}

/* --- files that change -------------------------------------------------------------------------------------- */

static void a_file_that_grew(void **state)
{
	struct bench bench;
	uint8_t byte = 5;

	(void)state;
	bench_open(&bench, 2 * PAGE);
	assert_int_equal(map(&bench, 0, 2 * PAGE, 0, RW), 0);
	assert_int_equal(map(&bench, 8 * PAGE, PAGE, 2 * PAGE, RW), -EINVAL);
	assert_int_equal(ftruncate(bench.memory.fd, 4 * PAGE), 0);
	assert_int_equal(map(&bench, 8 * PAGE, 2 * PAGE, 2 * PAGE, RW), 0);
	assert_int_equal(emu_dma_write(bench.dma, PAGE, &byte, 1), 0);
	assert_int_equal(emu_dma_write(bench.dma, 9 * PAGE, &byte, 1), 0);
	assert_int_equal(pread(bench.memory.fd, &byte, 1, 3 * PAGE), 1);
	assert_int_equal(byte, 5);
	/* The old view goes with its last map, the new one stays */
	assert_int_equal(emu_dma_unmap(bench.dma, 0, 2 * PAGE, false, NULL), 0);
	assert_int_equal(emu_dma_read(bench.dma, 9 * PAGE, &byte, 1), 0);
	assert_int_equal(map(&bench, 0, 2 * PAGE, PAGE, RW), 0);
	assert_int_equal(emu_dma_read(bench.dma, PAGE, &byte, 1), 0);
	bench_close(&bench);
}

static void a_file_that_became_shorter(void **state)
{
	static uint8_t bytes[4 * PAGE];
	struct memory other;
	struct bench bench;
	uint64_t word = 1;

	(void)state;
	bench_open(&bench, 4 * PAGE);
	memory_open(&other, PAGE);
	assert_int_equal(map(&bench, 0, 4 * PAGE, 0, RW), 0);
	assert_int_equal(emu_dma_map(bench.dma, 8 * PAGE, PAGE, memory_fd(&other), 0, RW), 0);
	assert_int_equal(ftruncate(bench.memory.fd, PAGE), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(emu_dma_read(bench.dma, 0, bytes, 4 * PAGE), -EFAULT);
		assert_int_equal(emu_dma_write(bench.dma, PAGE - 8, bytes, 16), -EFAULT);
		assert_int_equal(emu_dma_write(bench.dma, 2 * PAGE, &word, sizeof(word)), -EFAULT);
		assert_int_equal(emu_dma_read(bench.dma, 2 * PAGE, &word, 4), -EFAULT);
		assert_int_equal(emu_dma_read(bench.dma, 0, bytes, PAGE), 0);
		assert_int_equal(emu_dma_write(bench.dma, 8 * PAGE, &word, sizeof(word)), 0);
	}
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_DMA_REFUSED), 400);
	assert_int_equal(map(&bench, 12 * PAGE, 2 * PAGE, 0, RW), -EINVAL);
	/* No slice is left behind: nobody has to wait */
	assert_int_equal(
		emu_dma_unmap(bench.dma, 0, 0, true, &(struct emu_wait){ .done = done_never }), 0);
	memory_close(&other);
	bench_close(&bench);
}

static void exit_42(int signal)
{
	(void)signal;
	_exit(42);
}

/* Touches lost memory not by a copy, with this handler in place before; how the process ended */
static int end_by_sigbus(void (*handler)(int))
{
	struct bench bench;
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		signal(SIGBUS, handler);
		bench_open(&bench, 2 * PAGE);
		assert_int_equal(map(&bench, 0, PAGE, 0, RW), 0);
		assert_int_equal(ftruncate(bench.memory.fd, 0), 0);
		assert_false(readable(&bench, 0));
		*(volatile uint8_t *)bench.memory.bytes = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* A SIGBUS that is none of a copy's goes to who was there before */
static void another_sigbus_is_not_swallowed(void **state)
{
	int status = end_by_sigbus(SIG_DFL);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	status = end_by_sigbus(SIG_IGN); /* a fault cannot be ignored */
	assert_true(WIFSIGNALED(status));
	status = end_by_sigbus(exit_42);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
}

/* --- words ------------------------------------------------------------------------------------------------- */

struct words {
	struct emu_dma *dma;
	uint64_t *place;
	atomic_bool stop;
	atomic_uint torn;
};

static void *watch_words(void *arg)
{
	struct words *words = arg;

	while (!atomic_load(&words->stop)) {
		uint64_t word = __atomic_load_n(words->place, __ATOMIC_ACQUIRE);

		if (word + 1 > 1)
			atomic_fetch_add(&words->torn, 1);
	}
	return NULL;
}

static void a_word_is_one_access(void **state)
{
	struct bench bench;
	struct words words = { 0 };
	pthread_t thread;

	(void)state;
	bench_open(&bench, PAGE);
	assert_int_equal(map(&bench, 0, PAGE, 0, RW), 0);
	words.dma = bench.dma;
	words.place = (uint64_t *)(void *)(bench.memory.bytes + 24);
	assert_int_equal(pthread_create(&thread, NULL, watch_words, &words), 0);
	for (int i = 0; i < 20000; i++) {
		uint8_t unaligned[9];
		uint64_t word = i % 2 ? UINT64_MAX : 0;

		memcpy(unaligned + 1, &word, sizeof(word));
		assert_int_equal(emu_dma_write(bench.dma, 24, unaligned + 1, sizeof(word)), 0);
	}
	atomic_store(&words.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&words.torn), 0);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_COMPLETIONS), 20000);
	bench_close(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_arguments),
		cmocka_unit_test(maps_do_not_overlap),
		cmocka_unit_test(an_access_spans_neighbours),
		cmocka_unit_test(looks_are_counted_apart),
		cmocka_unit_test(access_is_checked),
		cmocka_unit_test(read_only_files),
		cmocka_unit_test(unmap_takes_what_lies_within),
		cmocka_unit_test(tens_of_thousands_of_maps),
		cmocka_unit_test(a_file_that_grew),
		cmocka_unit_test(a_file_that_became_shorter),
		cmocka_unit_test(another_sigbus_is_not_swallowed),
		cmocka_unit_test(a_word_is_one_access),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
