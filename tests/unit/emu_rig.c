// SPDX-License-Identifier: MIT
/*
 * The card on the bench: makes it, gives it memory and eventfds, reads and writes its registers. Called by
 * test_emu_card.c and test_emu_faults.c.
 */
#include "emu_rig.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

static void add_faults(struct emu_options *options, const char *faults)
{
	char *words = strdup(faults), *rest = words, *word;

	while ((word = strsep(&rest, " "))) {
		const char *wrong = emu_fault_parse(word, &options->faults[options->fault_count++]);

		if (wrong)
			fail_msg("%s: %s", word, wrong);
	}
	free(words);
}

void rig_open(struct rig *rig, const char *faults)
{
	memset(rig, 0, sizeof(*rig));
	rig->options.memory = 64u << 20;
	rig->options.cores = 2;
	rig->options.no_signatures = true;
	rig->options.serial = 0x1122334455667788ull;
	rig->options.linger_us = 60000000; /* a queue with a shadow page stays awake */
	if (faults)
		add_faults(&rig->options, faults);
	memory_open(&rig->memory, RIG_BYTES);
	assert_int_equal(emu_card_create(&rig->options, &rig->card), 0);
	assert_int_equal(emu_dma_map(rig->card->dma, MOUNT_BASE, RIG_BYTES, memory_fd(&rig->memory),
				     0, EMU_DMA_READABLE | EMU_DMA_WRITABLE),
			 0);
	for (unsigned int i = 0; i < RIG_VECTORS; i++) {
		rig->interrupts[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(rig->interrupts[i] >= 0);
		assert_int_equal(emu_irq_set(rig->card->irq, i, dup(rig->interrupts[i])), 0);
	}
	assert_int_equal(emu_card_bus_master(rig->card, true, NULL), 0);
	rig->mount.dm = rig->card->dm;
	rig->mount.arena = rig->memory.bytes;
	rig->mount.bytes = RIG_BYTES;
}

struct mount_queue *rig_ready(struct rig *rig, const char *faults)
{
	rig_open(rig, faults);
	assert_int_equal(mount_boot(&rig->mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(&rig->mount), AIPU_STATE_READY);
	assert_int_equal(mount_create_context(&rig->mount, 1), 0);
	return mount_create_queue(&rig->mount, 1, 1, 8, 1);
}

void rig_close(struct rig *rig, struct mount_queue *queue)
{
	emu_card_destroy(rig->card);
	for (unsigned int i = 0; i < RIG_VECTORS; i++)
		close(rig->interrupts[i]);
	memory_close(&rig->memory);
	free(rig->mount.admin);
	free(queue);
}

uint32_t rig_read(struct rig *rig, uint32_t offset)
{
	uint32_t value;

	emu_card_read(rig->card, offset, &value, sizeof(value));
	return value;
}

void rig_write(struct rig *rig, uint32_t offset, uint32_t value)
{
	emu_card_write(rig->card, offset, &value, sizeof(value));
}

uint64_t rig_count(struct rig *rig, enum emu_counter what)
{
	return emu_counter(&rig->card->counters, what);
}

uint64_t rig_interrupts(int fd)
{
	uint64_t count;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

uint64_t rig_await_interrupt(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&ready, 1, 30000), 1);
	return rig_interrupts(fd);
}
