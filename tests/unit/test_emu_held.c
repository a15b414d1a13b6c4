// SPDX-License-Identifier: MIT
/*
 * A slice of DMA that is held in its copy for as long as the test wants (userfaultfd lets its page wait), so that what
 * must wait for it can be seen to wait, and what must not, not.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu_status.h"
#include "emu_rig.h"

#define PAGE 4096u
#define RW (EMU_DMA_READABLE | EMU_DMA_WRITABLE)
#define BASE 0x100000000ull
#define PAGES 16u

/* --- holding ------------------------------------------------------------------------------------------ */

struct hold {
	int fd;
	struct uffdio_range range;
};

/* For faults of user code only: anybody may */
static int userfault_open(void)
{
	return (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
}

/* Before anything is made */
static void need_userfault(void)
{
	int fd = userfault_open();

	if (fd < 0) {
		print_message("# no userfaultfd here: %s\n", strerror(errno));
		skip();
	}
	close(fd);
}

/* Where else in this process the file is mapped */
static uint64_t other_mapping(const struct memory *memory)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t found = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		uint64_t start = strtoull(line, NULL, 16);

		if (strstr(line, "/memfd:guest") && start != (uint64_t)(uintptr_t)memory->bytes)
			found = start;
	}
	fclose(maps);
	assert_true(found);
	return found;
}

/* Whom the pages [offset, offset + bytes) of the view of this memory meet waits; nobody may have touched them */
static void hold_pages(struct hold *hold, const struct memory *memory, uint64_t offset,
		       uint64_t bytes)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register place = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	hold->fd = userfault_open();
	assert_true(hold->fd >= 0);
	hold->range = (struct uffdio_range){ other_mapping(memory) + offset, bytes };
	place.range = hold->range;
	assert_int_equal(ioctl(hold->fd, UFFDIO_API, &api), 0);
	assert_int_equal(ioctl(hold->fd, UFFDIO_REGISTER, &place), 0);
}

/* Until somebody waits there */
static void hold_await(struct hold *hold)
{
	struct pollfd ready = { .fd = hold->fd, .events = POLLIN };
	struct uffd_msg message;

	assert_int_equal(poll(&ready, 1, 30000), 1);
	assert_int_equal(read(hold->fd, &message, sizeof(message)), sizeof(message));
	assert_int_equal(message.event, UFFD_EVENT_PAGEFAULT);
}

static void hold_release(struct hold *hold)
{
	assert_int_equal(ioctl(hold->fd, UFFDIO_UNREGISTER, &hold->range), 0);
	close(hold->fd);
}

/* --- who waits ------------------------------------------------------------------------------------------ */

struct answer {
	struct emu_wait wait;
	sem_t came;
	atomic_uint times;
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

static bool answered(struct answer *answer)
{
	return atomic_load(&answer->times);
}

/* Waits for it; it came once */
static void answer_await(struct answer *answer)
{
	while (sem_wait(&answer->came))
		;
	assert_int_equal(atomic_load(&answer->times), 1);
	sem_destroy(&answer->came);
}

/* --- DMA space --------------------------------------------------------------------------------------------- */

struct bench {
	struct emu_counters counters;
	struct emu_dma *dma;
	struct memory memory;
	struct hold hold;
	pthread_t writer;
	int err; /* of the writer */
};

static void *write_pages(void *arg)
{
	struct bench *bench = arg;
	uint8_t *bytes = malloc(bench->memory.size);

	memset(bytes, 0x77, bench->memory.size);
	bench->err = emu_dma_write(bench->dma, BASE, bytes, bench->memory.size);
	free(bytes);
	return NULL;
}

/* A write of all pages is held at the second one */
static void bench_open_pages(struct bench *bench, size_t pages)
{
	memset(bench, 0, sizeof(*bench));
	memory_open(&bench->memory, pages * PAGE);
	assert_int_equal(emu_dma_create(&bench->counters, &bench->dma), 0);
	assert_int_equal(emu_dma_gate(bench->dma, true, NULL), 0);
	assert_int_equal(
		emu_dma_map(bench->dma, BASE, pages * PAGE, memory_fd(&bench->memory), 0, RW), 0);
	hold_pages(&bench->hold, &bench->memory, PAGE, PAGE);
	assert_int_equal(pthread_create(&bench->writer, NULL, write_pages, bench), 0);
	hold_await(&bench->hold);
}

static void bench_open(struct bench *bench)
{
	bench_open_pages(bench, PAGES);
}

/* After hold_release */
static void bench_close(struct bench *bench, int err)
{
	pthread_join(bench->writer, NULL);
	assert_int_equal(bench->err, err);
	emu_dma_destroy(bench->dma);
	memory_close(&bench->memory);
}

static void an_unmap_waits_for_its_own_slices(void **state)
{
	struct answer own, other;
	struct memory memory;
	struct bench bench;
	uint8_t byte = 5;

	(void)state;
	need_userfault();
	bench_open(&bench);
	memory_open(&memory, PAGE);
	answer_init(&own);
	answer_init(&other);
	assert_int_equal(emu_dma_map(bench.dma, 0, PAGE, memory_fd(&memory), 0, RW), 0);
	assert_int_equal(emu_dma_unmap(bench.dma, BASE, PAGES * PAGE, false, &own.wait),
			 -EINPROGRESS);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_UNMAPS_DEFERRED), 1);
	/* It is out of the way at once: others work, come and go */
	assert_int_equal(emu_dma_read(bench.dma, BASE, &byte, 1), -EFAULT);
	assert_int_equal(emu_dma_unmap(bench.dma, 0, PAGE, false, &other.wait), 0);
	assert_int_equal(emu_dma_map(bench.dma, BASE, PAGE, memory_fd(&memory), 0, RW), 0);
	assert_int_equal(emu_dma_write(bench.dma, BASE, &byte, 1), 0);
	assert_int_equal(memory.bytes[0], 5);
	assert_int_equal(emu_dma_unmap(bench.dma, 0, 0, true, &other.wait), 0);
	assert_false(answered(&own) || answered(&other));
	hold_release(&bench.hold);
	answer_await(&own);
	assert_false(answered(&other));
	sem_destroy(&other.came);
	/* What was in flight arrived, all of it before the answer */
	for (unsigned int i = 0; i < PAGES; i++)
		assert_int_equal(bench.memory.bytes[i * PAGE], 0x77);
	bench_close(&bench, 0);
	memory_close(&memory);
}

/* [RST-5] */
static void a_closing_waits_for_the_slices_of_before(void **state)
{
	struct answer first, second;
	struct memory memory;
	struct bench bench;
	uint8_t byte = 5;

	(void)state;
	need_userfault();
	bench_open(&bench);
	memory_open(&memory, PAGE);
	answer_init(&first);
	answer_init(&second);
	assert_int_equal(emu_dma_map(bench.dma, 0, PAGE, memory_fd(&memory), 0, RW), 0);
	assert_int_equal(emu_dma_gate(bench.dma, false, &first.wait), -EINPROGRESS);
	assert_int_equal(emu_dma_write(bench.dma, 0, &byte, 1), -EFAULT);
	assert_int_equal(memory.bytes[0], 0);
	/* Those of a time when it was open again are none of them */
	assert_int_equal(emu_dma_gate(bench.dma, true, NULL), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(emu_dma_write(bench.dma, 0, &byte, 1), 0);
	assert_int_equal(emu_dma_gate(bench.dma, false, &second.wait), -EINPROGRESS);
	assert_false(answered(&first) || answered(&second));
	hold_release(&bench.hold);
	answer_await(&first);
	answer_await(&second);
	/* One slice, as it was less than 4 MiB: begun before, and so completed */
	bench_close(&bench, 0);
	memory_close(&memory);
}

/* The second slice of a longer write is refused */
static void a_closing_ends_a_write_at_its_slice(void **state)
{
	struct answer answer;
	struct bench bench;

	(void)state;
	need_userfault();
	bench_open_pages(&bench, EMU_DMA_SLICE / PAGE + 1);
	answer_init(&answer);
	assert_int_equal(emu_dma_gate(bench.dma, false, &answer.wait), -EINPROGRESS);
	hold_release(&bench.hold);
	answer_await(&answer);
	bench_close(&bench, -EFAULT);
	assert_int_equal(emu_counter(&bench.counters, EMU_COUNT_BYTES_TO_HOST), EMU_DMA_SLICE);
}

static void a_file_that_is_cut_under_a_slice(void **state)
{
	struct answer answer;
	struct bench bench;

	(void)state;
	need_userfault();
	bench_open(&bench);
	answer_init(&answer);
	assert_int_equal(ftruncate(bench.memory.fd, PAGE), 0);
	assert_int_equal(emu_dma_unmap(bench.dma, 0, 0, true, &answer.wait), -EINPROGRESS);
	hold_release(&bench.hold);
	answer_await(&answer);
	bench_close(&bench, -EFAULT);
}

/* --- the card ------------------------------------------------------------------------------------------------ */

/* The end of the arena, where nothing is allocated and nobody wrote */
#define TARGET (RIG_BYTES - PAGES * PAGE)

/* A FILL is held at its first page */
static struct mount_queue *rig_held(struct rig *rig, struct hold *hold)
{
	struct aipu_job fill = { .opcode = AIPU_JOB_FILL,
				 .fill = { .length = PAGES * PAGE, .pattern = 0x77777777 } };
	struct mount_queue *queue = rig_ready(rig, NULL);

	assert_int_equal(mount_bind_host(&rig->mount, 1, 0, MOUNT_BASE + TARGET, PAGES * PAGE,
					 AIPU_ACCESS_WRITE, 1),
			 0);
	hold_pages(hold, &rig->memory, TARGET, PAGE);
	mount_submit(queue, &fill);
	hold_await(hold);
	return queue;
}

/* [RST-2] [RST-3] [REG-6] */
static void a_reset_waits_for_the_slice(void **state)
{
	struct answer reset, hasty;
	struct hold hold;
	struct rig rig;
	struct mount_queue *queue;
	uint8_t byte;

	(void)state;
	need_userfault();
	queue = rig_held(&rig, &hold);
	answer_init(&reset);
	answer_init(&hasty);
	assert_int_equal(rig_read(&rig, AIPU_REG_STATUS), AIPU_STATE_READY);
	assert_int_equal(emu_card_reset(rig.card, &reset.wait), -EINPROGRESS);
	for (int i = 0; i < 100; i++)
		assert_int_equal(rig_read(&rig, AIPU_REG_STATUS), AIPU_STATE_RESETTING);
	assert_int_equal(rig_read(&rig, AIPU_REG_MAGIC), AIPU_MAGIC);
	/* Bus Master on changes nothing before the reset is over */
	assert_int_equal(emu_card_bus_master(rig.card, true, &hasty.wait), -EINPROGRESS);
	assert_int_equal(emu_dma_read(rig.card->dma, MOUNT_BASE, &byte, 1), -EFAULT);
	assert_false(answered(&reset) || answered(&hasty));
	hold_release(&hold);
	answer_await(&reset);
	answer_await(&hasty);
	while (rig_read(&rig, AIPU_REG_STATUS) != (AIPU_STATE_ROM | AIPU_STATUS_IDLE))
		usleep(20);
	assert_int_equal(emu_dma_read(rig.card->dma, MOUNT_BASE, &byte, 1), 0);
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_RUNNING);
	rig_close(&rig, queue);
}

/* [RST-5] */
static void bus_master_off_waits_for_the_slice(void **state)
{
	struct answer off;
	struct hold hold;
	struct rig rig;
	struct aipu_completion completion;
	struct mount_queue *queue;

	(void)state;
	need_userfault();
	queue = rig_held(&rig, &hold);
	answer_init(&off);
	assert_int_equal(emu_card_bus_master(rig.card, false, &off.wait), -EINPROGRESS);
	assert_int_equal(rig_read(&rig, AIPU_REG_STATUS), AIPU_STATE_READY);
	assert_false(answered(&off));
	hold_release(&hold);
	answer_await(&off);
	/* The step that it was in is done, but its completion is lost, and the queue with it */
	while (rig_read(&rig, AIPU_REG_ERROR) != AIPU_ERROR_QUEUE)
		usleep(20);
	assert_false(mount_peek(queue, &completion));
	rig_close(&rig, queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unmap_waits_for_its_own_slices),
		cmocka_unit_test(a_closing_waits_for_the_slices_of_before),
		cmocka_unit_test(a_closing_ends_a_write_at_its_slice),
		cmocka_unit_test(a_file_that_is_cut_under_a_slice),
		cmocka_unit_test(a_reset_waits_for_the_slice),
		cmocka_unit_test(bus_master_off_waits_for_the_slice),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
