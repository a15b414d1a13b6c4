// SPDX-License-Identifier: MIT
/*
 * The card of aipu-emu without a socket: registers, interrupts, Bus Master, function-level reset and what is counted.
 * The model has no direct pointers to host memory here: everything goes through dma_read and dma_write.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu_status.h"
#include "emu_rig.h"

#define RW (AIPU_ACCESS_READ | AIPU_ACCESS_WRITE)
#define BYTES (8u << 20)

static const struct aipu_job nop = { .opcode = AIPU_JOB_NOP, .id = 7 };

/* --- registers ------------------------------------------------------------------------------------------ */

static void sizes(void **state)
{
	static const struct {
		uint32_t queues, bytes;
	} bars[] = { { 0, 512u << 10 },
		     { 1, 16u << 10 },
		     { 2, 16u << 10 },
		     { 3, 32u << 10 },
		     { 1022, 4u << 20 } };

	(void)state;
	for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++) {
		struct emu_options options = { .memory = 1u << 20,
					       .queues = bars[i].queues,
					       .cores = 1 };
		uint32_t magic = AIPU_MAGIC, value;
		struct emu_card *card;

		assert_int_equal(emu_card_create(&options, &card), 0);
		assert_int_equal(card->bar0_bytes, bars[i].bytes);
		assert_int_equal(card->memory_bytes, 1u << 20);
		assert_int_equal(card->vectors, 64);
		/* The whole of BAR0 answers, and nothing beyond */
		emu_card_write(card, card->bar0_bytes - 4, &magic, 4);
		emu_card_read(card, card->bar0_bytes - 4, &value, 4);
		assert_int_equal(value, 0);
		emu_card_read(card, (1ull << 32) + AIPU_REG_MAGIC, &value, 4);
		assert_int_equal(value, 0);
		emu_card_destroy(card);
	}
	assert_int_equal(
		emu_card_create(&(struct emu_options){ .memory = 1u << 20, .queues = 100000 },
				&(struct emu_card *){ NULL }),
		-EINVAL);
}

/* [REG-1] */
static void words_and_pairs(void **state)
{
	uint32_t pair[2], out[2] = { 0x11111111, 0x22222222 };
	uint8_t bytes[16];
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	assert_int_equal(rig_read(&rig, AIPU_REG_MAGIC), AIPU_MAGIC);
	emu_card_read(rig.card, AIPU_REG_SERIAL_LO, pair, 8);
	assert_int_equal(pair[0], 0x55667788);
	assert_int_equal(pair[1], 0x11223344);
	emu_card_write(rig.card, AIPU_REG_BOOT_ADDRESS_LO, out, 8);
	assert_int_equal(rig_read(&rig, AIPU_REG_BOOT_ADDRESS_LO), out[0]);
	assert_int_equal(rig_read(&rig, AIPU_REG_BOOT_ADDRESS_HI), out[1]);
	emu_card_read(rig.card, AIPU_REG_MAGIC - 4 + 8, pair,
		      8); /* aligned to a word, not to a pair */
	assert_int_equal(pair[0], rig_read(&rig, 4));
	assert_int_equal(rig_count(&rig, EMU_COUNT_REGISTER_READS), 8);
	assert_int_equal(rig_count(&rig, EMU_COUNT_REGISTER_WRITES), 2);
	/* Anything else reads 0 and writes nothing */
	for (size_t size = 1; size <= 16; size++) {
		for (uint32_t offset = 0; offset < 4; offset++) {
			if (!offset && (size == 4 || size == 8))
				continue;
			memset(bytes, 0xaa, sizeof(bytes));
			emu_card_write(rig.card, AIPU_REG_BOOT_ADDRESS_LO + offset, bytes, size);
			emu_card_read(rig.card, AIPU_REG_MAGIC + offset, bytes, size);
			for (size_t i = 0; i < size; i++)
				assert_int_equal(bytes[i], 0);
		}
	}
	assert_int_equal(rig_read(&rig, AIPU_REG_BOOT_ADDRESS_LO), out[0]);
	rig_close(&rig, NULL);
}

static void device_memory_by_message(void **state)
{
	struct rig rig;
	uint8_t bytes[100], back[100] = { 0 }, *own;
	int fd;

	(void)state;
	rig_open(&rig, NULL);
	memset(bytes, 0x42, sizeof(bytes));
	emu_card_memory_write(rig.card, 1000, bytes, sizeof(bytes));
	emu_card_memory_read(rig.card, 1000, back, sizeof(back));
	assert_memory_equal(bytes, back, sizeof(back));
	emu_card_memory_read(rig.card, rig.card->memory_bytes - 1, back, 1);
	assert_int_equal(back[0], 0);
	assert_int_equal(rig_count(&rig, EMU_COUNT_MEMORY_WRITTEN), 100);
	assert_int_equal(rig_count(&rig, EMU_COUNT_MEMORY_READ), 101);
	own = aipu_dm_memory(rig.card->dm, NULL, NULL);
	assert_memory_equal(own + 1000, bytes, sizeof(bytes));
	/* Who gets the descriptor cannot take the memory away */
	fd = emu_card_memory_fd(rig.card);
	assert_int_equal(pread(fd, back, 1, 1000), 1);
	assert_int_equal(back[0], 0x42);
	assert_int_not_equal(ftruncate(fd, 0), 0);
	rig_close(&rig, NULL);
}

/* --- what is counted ------------------------------------------------------------------------------------- */

static void the_counters(void **state)
{
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, NULL);
	uint64_t entries, completions, to, from, interrupts;
	uint64_t source;
	struct aipu_job copy = { .opcode = AIPU_JOB_COPY,
				 .copy = { .src_segment = 0, .dst_segment = 1, .length = 10000 } };

	(void)state;
	source = mount_alloc(&rig.mount, 10000);
	assert_int_equal(mount_bind_host(&rig.mount, 1, 0, source, 10000, RW, 1), 0);
	assert_int_equal(mount_bind_device(&rig.mount, 1, 1, 0, 1u << 20, RW), 0);
	assert_true(mount_wait_idle(&rig.mount));
	entries = rig_count(&rig, EMU_COUNT_ENTRIES);
	completions = rig_count(&rig, EMU_COUNT_COMPLETIONS);
	to = rig_count(&rig, EMU_COUNT_BYTES_TO_HOST);
	from = rig_count(&rig, EMU_COUNT_BYTES_FROM_HOST);
	interrupts = rig_count(&rig, EMU_COUNT_INTERRUPTS);
	assert_int_equal(entries, 4); /* the admin commands */
	assert_int_equal(completions, 4);
	mount_put(queue, &copy);
	rig_write(&rig, AIPU_DOORBELL_PAGE(1) + AIPU_DOORBELL_SQ_TAIL, queue->tail);
	assert_int_equal(mount_wait(queue).status, AIPU_STATUS_OK);
	rig_write(&rig, AIPU_DOORBELL_PAGE(1) + AIPU_DOORBELL_CQ_HEAD, queue->head);
	rig_write(&rig, AIPU_DOORBELL_PAGE(1) + AIPU_DOORBELL_KICK, 0);
	assert_true(mount_wait_idle(&rig.mount));
	assert_int_equal(rig_count(&rig, EMU_COUNT_ENTRIES), entries + 1);
	assert_int_equal(rig_count(&rig, EMU_COUNT_COMPLETIONS), completions + 1);
	assert_int_equal(rig_count(&rig, EMU_COUNT_BYTES_TO_HOST), to + 32);
	assert_int_equal(rig_count(&rig, EMU_COUNT_BYTES_FROM_HOST), from + 64 + 10000);
	assert_int_equal(rig_count(&rig, EMU_COUNT_INTERRUPTS), interrupts + 1);
	assert_int_equal(rig_count(&rig, EMU_COUNT_DOORBELLS), 1);
	assert_int_equal(rig_count(&rig, EMU_COUNT_HEAD_DOORBELLS), 2);
	assert_int_equal(rig_count(&rig, EMU_COUNT_DMA_REFUSED), 0);
	assert_int_equal(rig_count(&rig, EMU_COUNT_MAPS), 1);
	rig_close(&rig, queue);
}

static void the_line_of_counters(void **state)
{
	struct emu_counters counters = { 0 };
	char line[2048], *at = line;
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	for (enum emu_counter what = 0; what < EMU_COUNTERS; what++)
		emu_count(&counters, what, 100 + what);
	emu_counters_print(&counters, file);
	rewind(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	for (enum emu_counter what = 0; what < EMU_COUNTERS; what++) {
		char word[64];

		snprintf(word, sizeof(word), "%s=%u%c", emu_counter_name(what), 100 + what,
			 what + 1 < EMU_COUNTERS ? ' ' : '\n');
		assert_memory_equal(at, word, strlen(word));
		at += strlen(word);
	}
	assert_int_equal(*at, 0);
	assert_string_equal(emu_counter_name(EMU_COUNT_BYTES_TO_HOST), "bytes_to_host");
}

/* --- jobs ------------------------------------------------------------------------------------------------ */

static void copies_through_many_maps(void **state)
{
	struct rig rig;
	struct mount_queue *queue = rig_ready(&rig, NULL);
	uint64_t a = mount_alloc(&rig.mount, BYTES), b = mount_alloc(&rig.mount, BYTES);
	struct aipu_job job = { .opcode = AIPU_JOB_COPY, .copy = { .length = BYTES } };

	(void)state;
	/* The same memory again, elsewhere, page by page and backwards */
	for (uint64_t i = 0; i < BYTES / 4096; i++)
		assert_int_equal(emu_dma_map(rig.card->dma, (1ull << 40) + BYTES - (i + 1) * 4096,
					     4096, memory_fd(&rig.memory),
					     a - MOUNT_BASE + i * 4096,
					     EMU_DMA_READABLE | EMU_DMA_WRITABLE),
				 0);
	for (uint32_t i = 0; i < BYTES; i += 4)
		memcpy((uint8_t *)mount_pointer(&rig.mount, a) + i, &i, 4);
	assert_int_equal(mount_bind_host(&rig.mount, 1, 0, 1ull << 40, BYTES, RW, 1), 0);
	assert_int_equal(mount_bind_host(&rig.mount, 1, 1, b, BYTES, RW, 1024), 0);
	assert_int_equal(mount_bind_device(&rig.mount, 1, 2, 0, BYTES, RW), 0);
	job.copy.src_segment = 0;
	job.copy.dst_segment = 2;
	assert_int_equal(mount_job(queue, &job).status, AIPU_STATUS_OK);
	job.copy.src_segment = 2;
	job.copy.dst_segment = 1;
	assert_int_equal(mount_job(queue, &job).status, AIPU_STATUS_OK);
	for (uint32_t i = 0; i < BYTES / 4096; i++) {
		/* Pages of a backwards, and extents of b backwards: 8 KiB each */
		uint32_t place = (1023 - i / 2) * 8192 + i % 2 * 4096;

		assert_memory_equal(
			(uint8_t *)mount_pointer(&rig.mount, b) + place,
			(uint8_t *)mount_pointer(&rig.mount, a) + BYTES - (i + 1) * 4096, 4096);
	}
	/* One page less: the job says so, the card lives on */
	assert_int_equal(emu_dma_unmap(rig.card->dma, (1ull << 40) + 5 * 4096, 4096, false, NULL),
			 0);
	job.copy.src_segment = 0;
	job.copy.dst_segment = 2;
	assert_int_equal(mount_job(queue, &job).status, AIPU_STATUS_DMA_ERROR);
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	rig_close(&rig, queue);
}

/* --- Bus Master -------------------------------------------------------------------------------------------- */

/* [RST-5] */
static void bus_master_off(void **state)
{
	struct rig rig;
	struct mount_queue *queue, *other;
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT, .id = 3 };
	struct aipu_completion completion;
	uint64_t written;

	(void)state;
	/* A boot that cannot be read */
	rig_open(&rig, NULL);
	assert_int_equal(emu_card_bus_master(rig.card, false, NULL), 0);
	assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_FAILED);
	assert_int_equal(rig_read(&rig, AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_DMA);
	rig_close(&rig, NULL);

	/* A queue that cannot be read is an event, which cannot be posted: the end of the admin queue */
	queue = rig_ready(&rig, NULL);
	mount_submit(rig.mount.admin, &event);
	assert_true(mount_wait_idle(&rig.mount));
	assert_int_equal(emu_card_bus_master(rig.card, false, NULL), 0);
	written = rig_count(&rig, EMU_COUNT_BYTES_TO_HOST);
	rig_interrupts(rig.interrupts[0]);
	mount_submit(queue, &nop);
	assert_true(mount_wait_state(&rig.mount, AIPU_STATE_FAILED));
	assert_int_equal(rig_read(&rig, AIPU_REG_ERROR), AIPU_ERROR_ADMIN_DMA);
	assert_false(mount_peek(rig.mount.admin, &completion));
	assert_int_equal(rig_count(&rig, EMU_COUNT_BYTES_TO_HOST), written);
	assert_int_equal(rig_interrupts(rig.interrupts[0]), 0);
	assert_false(emu_irq_raise(rig.card->irq, 0));
	rig_close(&rig, queue);

	/* Nobody waits for an event: that queue is silent from then on, and others work */
	queue = rig_ready(&rig, NULL);
	other = mount_create_queue(&rig.mount, 1, 2, 8, 1);
	assert_true(mount_wait_idle(&rig.mount));
	assert_int_equal(emu_card_bus_master(rig.card, false, NULL), 0);
	mount_submit(queue, &nop);
	while (rig_read(&rig, AIPU_REG_ERROR) != AIPU_ERROR_QUEUE)
		usleep(20);
	assert_int_equal(emu_card_bus_master(rig.card, true, NULL), 0);
	assert_true(emu_irq_raise(rig.card->irq, 0));
	assert_int_equal(mount_job(other, &nop).status, AIPU_STATUS_OK);
	mount_ring(queue);
	assert_true(mount_wait_idle(&rig.mount));
	assert_false(mount_peek(queue, &completion));
	free(other);
	rig_close(&rig, queue);

	/* An admin command that cannot be read */
	queue = rig_ready(&rig, NULL);
	assert_int_equal(emu_card_bus_master(rig.card, false, NULL), 0);
	mount_submit(rig.mount.admin, &event);
	assert_true(mount_wait_state(&rig.mount, AIPU_STATE_FAILED));
	assert_int_equal(rig_read(&rig, AIPU_REG_ERROR), AIPU_ERROR_ADMIN_DMA);
	rig_close(&rig, queue);
}

/* [RING-15]: while the gate is closed nobody looks, and what was shown meanwhile is found then. */
static void bus_master_off_beside_a_shadow(void **state)
{
	struct aipu_completion completion;
	struct mount_queue *queue, *other;
	struct aipu_shadow *page;
	struct rig rig;
	uint64_t looks;

	(void)state;
	queue = rig_ready(&rig, NULL);
	other = mount_create_shadowed(&rig.mount, 1, 2, 8);
	page = mount_pointer(&rig.mount, other->shadow);
	for (uint32_t i = 1; i <= 5; i++) {
		mount_put(other, &nop);
		__atomic_store_n(&page->sq_tail, i, __ATOMIC_RELEASE);
		if (i == 1)
			mount_ring(other);
		while (!mount_next(other, &completion, false))
			usleep(20);
		assert_int_equal(completion.status, AIPU_STATUS_OK);
		assert_int_equal(__atomic_load_n(&page->sq_event, __ATOMIC_ACQUIRE),
				 AIPU_SHADOW_AWAKE);
	}
	assert_int_equal(emu_card_bus_master(rig.card, false, NULL), 0);
	do { /* until a look that had begun is over */
		looks = rig_count(&rig, EMU_COUNT_LOOKS);
		usleep(10000);
	} while (rig_count(&rig, EMU_COUNT_LOOKS) != looks);
	mount_put(other, &nop);
	__atomic_store_n(&page->sq_tail, 6, __ATOMIC_RELEASE);
	usleep(30000); /* the rescue timer comes by */
	assert_int_equal(rig_count(&rig, EMU_COUNT_LOOKS), looks);
	assert_false(mount_next(other, &completion, false));
	assert_int_equal(rig_read(&rig, AIPU_REG_ERROR), AIPU_ERROR_NONE);
	assert_int_equal(emu_card_bus_master(rig.card, true, NULL), 0);
	while (!mount_next(other, &completion, false))
		usleep(20);
	assert_int_equal(completion.status, AIPU_STATUS_OK);
	assert_int_equal(rig_read(&rig, AIPU_REG_RESCUES), 0);
	free(other);
	rig_close(&rig, queue);
}

/* [RST-5] */
static void bus_master_off_in_a_copy(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		struct rig rig;
		struct mount_queue *queue = rig_ready(&rig, NULL);
		uint64_t target = mount_alloc(&rig.mount, BYTES);
		struct aipu_job job = { .opcode = AIPU_JOB_FILL, .fill = { .length = BYTES } };
		struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_CONTEXT };
		uint64_t bytes = 0;

		assert_int_equal(mount_bind_host(&rig.mount, 1, 0, target, BYTES, RW, 1), 0);
		for (uint32_t k = 0; k < 7; k++) {
			job.fill.pattern = k;
			mount_put(queue, &job);
		}
		mount_ring(queue);
		while (rig_count(&rig, EMU_COUNT_BYTES_TO_HOST) < i * (BYTES / 2))
			usleep(20);
		assert_int_equal(emu_card_bus_master(rig.card, false, NULL), 0);
		mount_submit(rig.mount.admin, &command); /* should the jobs be over already */
		while (rig_count(&rig, EMU_COUNT_DMA_REFUSED) == 0)
			usleep(20);
		bytes = rig_count(&rig, EMU_COUNT_BYTES_TO_HOST);
		usleep(1000);
		assert_int_equal(rig_count(&rig, EMU_COUNT_BYTES_TO_HOST), bytes);
		rig_close(&rig, queue);
	}
}

/* --- function-level reset -------------------------------------------------------------------------------------- */

/* [RST-2] [RST-3] [RST-6] [PCI-2] */
static void function_level_reset(void **state)
{
	unsigned int held_back = 0;

	(void)state;
	for (unsigned int i = 0; i < 8 || (!held_back && i < 400); i++) {
		struct rig rig;
		struct mount_queue *queue = rig_ready(&rig, NULL);
		uint64_t target = mount_alloc(&rig.mount, BYTES), bytes;
		struct aipu_job job = { .opcode = AIPU_JOB_FILL, .fill = { .length = BYTES } };
		uint8_t byte;

		assert_int_equal(mount_bind_host(&rig.mount, 1, 0, target, BYTES, RW, 1), 0);
		bytes = rig_count(&rig, EMU_COUNT_BYTES_TO_HOST);
		for (uint32_t k = 0; k < 7; k++) {
			job.fill.pattern = k;
			mount_put(queue, &job);
		}
		mount_ring(queue);
		while (rig_count(&rig, EMU_COUNT_BYTES_TO_HOST) < bytes + BYTES)
			usleep(20);
		assert_int_equal(emu_card_reset(rig.card, NULL), 0);
		/* A hasty driver: Bus Master on before the reset is over. No DMA until STATUS says that it is. */
		assert_int_equal(emu_card_bus_master(rig.card, true, NULL), 0);
		if (rig.card->resetting) {
			held_back++;
			assert_int_equal(emu_dma_read(rig.card->dma, MOUNT_BASE, &byte, 1),
					 -EFAULT);
		}
		while (rig_read(&rig, AIPU_REG_STATUS) != (AIPU_STATE_ROM | AIPU_STATUS_IDLE))
			usleep(20);
		assert_int_equal(emu_dma_read(rig.card->dma, MOUNT_BASE, &byte, 1), 0);
		bytes = rig_count(&rig, EMU_COUNT_BYTES_TO_HOST);
		assert_int_equal(rig_read(&rig, AIPU_REG_RESET_COUNT), 1);
		assert_int_equal(rig_read(&rig, AIPU_REG_FIRMWARE_VERSION), 0);
		assert_int_equal(rig_count(&rig, EMU_COUNT_RESETS), 1);
		usleep(1000);
		assert_int_equal(rig_count(&rig, EMU_COUNT_BYTES_TO_HOST), bytes);
		free(queue);
		rig.mount.used = 0;
		assert_int_equal(mount_boot(&rig.mount), AIPU_STATE_RUNNING);
		assert_int_equal(mount_enable(&rig.mount), AIPU_STATE_READY);
		assert_int_equal(mount_create_context(&rig.mount, 1), 0);
		rig_close(&rig, NULL);
	}
	assert_true(held_back);
}

/* [RST-6] */
static void resets_are_counted_each(void **state)
{
	struct rig rig;

	(void)state;
	rig_open(&rig, NULL);
	for (unsigned int i = 1; i <= 20; i++) {
		if (i % 2)
			emu_card_reset(rig.card, NULL);
		else
			rig_write(&rig, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	}
	assert_true(mount_wait_state(&rig.mount, AIPU_STATE_ROM));
	assert_int_equal(rig_read(&rig, AIPU_REG_RESET_COUNT), 20);
	assert_int_equal(rig_count(&rig, EMU_COUNT_RESETS), 20);
	rig_close(&rig, NULL);
}

/* --- interrupts -------------------------------------------------------------------------------------------------- */

static void vectors_are_shared(void **state)
{
	unsigned int fds = open_fds();
	struct emu_irq *irq;
	int own[3];

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		own[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(emu_irq_create(8, &irq), 0);
	assert_int_equal(emu_irq_set(irq, 8, dup(own[0])), -EINVAL);
	assert_int_equal(emu_irq_set(irq, 0, dup(own[0])), 0);
	assert_false(emu_irq_raise(irq, 0)); /* no Bus Master */
	emu_irq_gate(irq, true);
	assert_true(emu_irq_raise(irq, 0));
	/* MSI with one message: for all */
	assert_true(emu_irq_raise(irq, 7));
	assert_int_equal(rig_interrupts(own[0]), 2);
	/* 0, 1 and 2 */
	assert_int_equal(emu_irq_set(irq, 1, dup(own[1])), 0);
	assert_int_equal(emu_irq_set(irq, 2, dup(own[2])), 0);
	for (unsigned int vector = 0; vector < 8; vector++)
		assert_true(emu_irq_raise(irq, vector));
	assert_int_equal(rig_interrupts(own[0]), 3);
	assert_int_equal(rig_interrupts(own[1]), 3);
	assert_int_equal(rig_interrupts(own[2]), 2);
	/* One in between that is not set is nobody else's */
	assert_int_equal(emu_irq_set(irq, 1, -1), 0);
	assert_false(emu_irq_raise(irq, 1));
	assert_true(emu_irq_raise(irq, 2));
	assert_int_equal(rig_interrupts(own[0]), 0);
	assert_int_equal(rig_interrupts(own[2]), 1);
	/* A new one in its place */
	assert_int_equal(emu_irq_set(irq, 2, dup(own[1])), 0);
	assert_true(emu_irq_raise(irq, 2));
	assert_int_equal(rig_interrupts(own[1]), 1);
	emu_irq_gate(irq, false);
	assert_false(emu_irq_raise(irq, 0));
	emu_irq_gate(irq, true);
	emu_irq_clear(irq);
	assert_false(emu_irq_raise(irq, 0));
	assert_int_equal(open_fds(), fds + 3);
	assert_int_equal(emu_irq_set(irq, 5, dup(own[2])), 0);
	emu_irq_destroy(irq);
	for (unsigned int i = 0; i < 3; i++)
		close(own[i]);
	assert_int_equal(open_fds(), fds);
}

static void a_full_counter_holds_nobody_up(void **state)
{
	uint64_t most = UINT64_MAX - 1;
	struct emu_irq *irq;
	int own = eventfd(0, EFD_CLOEXEC); /* one that blocks */

	(void)state;
	assert_int_equal(write(own, &most, sizeof(most)), sizeof(most));
	assert_int_equal(emu_irq_create(1, &irq), 0);
	emu_irq_gate(irq, true);
	assert_int_equal(emu_irq_set(irq, 0, dup(own)), 0);
	assert_true(emu_irq_raise(irq, 0));
	assert_true(emu_irq_raise(irq, 0));
	assert_int_equal(rig_interrupts(own), most);
	emu_irq_destroy(irq);
	close(own);
}

/* --- power --------------------------------------------------------------------------------------------------------- */

static void power_off_leaves_nothing(void **state)
{
	unsigned int fds = open_fds();

	(void)state;
	for (unsigned int i = 0; i < 5; i++) {
		struct rig rig;
		struct mount_queue *queue = rig_ready(&rig, NULL);
		struct aipu_job job = { .opcode = AIPU_JOB_FILL,
					.fill = { .length = 64u << 20, .pattern = 7 } };

		/* Memory and counts are a new card's */
		assert_int_equal(rig.card->memory[0], 0);
		assert_int_equal(rig_count(&rig, EMU_COUNT_ENTRIES), 2);
		assert_int_equal(mount_bind_device(&rig.mount, 1, 0, 0, 64u << 20, RW), 0);
		mount_submit(queue, &job);
		usleep(i * 500);
		rig_close(&rig, queue);
		assert_int_equal(open_fds(), fds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes),
		cmocka_unit_test(words_and_pairs),
		cmocka_unit_test(device_memory_by_message),
		cmocka_unit_test(the_counters),
		cmocka_unit_test(the_line_of_counters),
		cmocka_unit_test(copies_through_many_maps),
		cmocka_unit_test(bus_master_off),
		cmocka_unit_test(bus_master_off_beside_a_shadow),
		cmocka_unit_test(bus_master_off_in_a_copy),
		cmocka_unit_test(function_level_reset),
		cmocka_unit_test(resets_are_counted_each),
		cmocka_unit_test(vectors_are_shared),
		cmocka_unit_test(a_full_counter_holds_nobody_up),
		cmocka_unit_test(power_off_leaves_nothing),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
