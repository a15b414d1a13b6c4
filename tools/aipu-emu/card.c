// SPDX-License-Identifier: MIT
/*
 * The card: the device model mounted behind DMA space, eventfds, faults and counters. The message thread calls, and
 * never waits here for the device; the model's threads come in through the operations below. Each client gets a new
 * one: power-on is create, power-off is destroy.
 *
 * A function-level reset is answered when no DMA is in flight, but the model may then still be in a step, and a DMA of
 * it may have been permitted and not begun. So after a reset the gate stays closed, whatever Bus Master says, until
 * STATUS has left RESETTING; a driver looks at STATUS before it uses the card, and that look opens the gate.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aipu/dm.h"
#include "aipu/firmware.h"
#include "aipu/flash_file.h"
#include "aipu_registers.h"
#include "emu.h"

#define DEFAULT_QUEUES 64u
#define DEFAULT_VECTORS 64u

/* --- what the model asks of its host --------------------------------------------------------------- */

static int host_read(void *host, uint64_t address, void *to, size_t bytes)
{
	return emu_dma_read(((struct emu_card *)host)->dma, address, to, bytes);
}

static int host_write(void *host, uint64_t address, const void *from, size_t bytes)
{
	return emu_dma_write(((struct emu_card *)host)->dma, address, from, bytes);
}

static int host_look(void *host, uint64_t address, uint32_t *word)
{
	return emu_dma_look(((struct emu_card *)host)->dma, address, word);
}

static void host_interrupt(void *host, unsigned int vector)
{
	struct emu_card *card = host;

	for (uint64_t times = emu_faults_interrupt(card->faults); times; times--) {
		if (!emu_irq_raise(card->irq, vector))
			return;
		emu_count(&card->counters, EMU_COUNT_INTERRUPTS, 1);
	}
}

static int host_flash_read(void *host, uint64_t offset, void *to, size_t bytes)
{
	return aipu_flash_file_read(((struct emu_card *)host)->flash, offset, to, bytes);
}

static int host_flash_write(void *host, uint64_t offset, const void *from, size_t bytes)
{
	struct emu_card *card = host;
	bool cut = emu_faults_flash(card->faults, &bytes);
	int err = aipu_flash_file_write(card->flash, offset, from, bytes);

	if (cut)
		emu_faults_cut_power(card->faults);
	return err;
}

static void host_fault(void *host, enum aipu_dm_point point, struct aipu_dm_fault *fault)
{
	emu_faults_model(((struct emu_card *)host)->faults, point, fault);
}

/* --- power ------------------------------------------------------------------------------------------ */

static int make_model(struct emu_card *card)
{
	static const struct aipu_dm_ops ops = {
		.dma_read = host_read,
		.dma_write = host_write,
		.dma_look = host_look,
		.interrupt = host_interrupt,
		.fault = host_fault,
		.flash_read = host_flash_read,
		.flash_write = host_flash_write,
	};
	const struct emu_options *options = card->options;
	struct aipu_dm_config config = {
		.memory_bytes = options->memory,
		.cores = options->cores,
		.max_queues = options->queues ? options->queues : DEFAULT_QUEUES,
		.vectors = card->vectors,
		.rollback = options->rollback,
		.abi_oldest = options->abi_oldest,
		.abi_newest = options->abi_newest,
		.firmware_keys = aipu_development_key,
		.firmware_key_count = options->no_signatures ? 0 : 1,
		.serial = options->serial,
		.no_shadows = options->no_shadows,
		.linger_us = options->linger_us,
	};
	int err = 0;

	if (options->flash) {
		err = aipu_flash_file_open(options->flash, AIPU_FLASH_FILE_BYTES, &card->flash);
		config.flash_bytes = err ? 0 : aipu_flash_file_bytes(card->flash);
	}
	if (!err)
		err = aipu_dm_create(&config, &ops, card, &card->dm);
	if (err)
		return err;
	card->memory = aipu_dm_memory(card->dm, &card->memory_bytes, NULL);
	card->bar0_bytes = AIPU_PAGE_BYTES;
	while (card->bar0_bytes < aipu_dm_bar0_bytes(card->dm))
		card->bar0_bytes *= 2;
	return 0;
}

int emu_card_create(const struct emu_options *options, struct emu_card **out)
{
	struct emu_card *card = calloc(1, sizeof(*card));
	int err;

	if (!card)
		return -ENOMEM;
	card->options = options;
	card->vectors = options->vectors ? options->vectors : DEFAULT_VECTORS;
	err = emu_dma_create(&card->counters, &card->dma);
	if (!err)
		err = emu_irq_create(card->vectors, &card->irq);
	if (!err)
		err = emu_faults_create(options, &card->faults);
	if (!err)
		err = make_model(card);
	if (err) {
		emu_card_destroy(card);
		return err;
	}
	*out = card;
	return 0;
}

void emu_card_destroy(struct emu_card *card)
{
	if (!card)
		return;
	aipu_dm_destroy(card->dm); /* first: it uses all the others */
	aipu_flash_file_close(card->flash);
	emu_faults_destroy(card->faults);
	emu_irq_destroy(card->irq);
	emu_dma_destroy(card->dma);
	free(card);
}

/* --- Bus Master, reset ------------------------------------------------------------------------------ */

static uint32_t state(struct emu_card *card)
{
	return aipu_dm_read32(card->dm, AIPU_REG_STATUS) & AIPU_STATUS_STATE_MASK;
}

static int set_gates(struct emu_card *card, struct emu_wait *wait)
{
	bool open = card->bus_master && !card->resetting && !atomic_load(&card->gone);

	int err;

	/* The model is told before it closes, and when it is open. */
	if (!open)
		aipu_dm_gate(card->dm, false);
	emu_irq_gate(card->irq, open);
	err = emu_dma_gate(card->dma, open, wait);
	if (open)
		aipu_dm_gate(card->dm, true);
	return err;
}

/* Whether a reset is over shows at the next look */
static void look_at_reset(struct emu_card *card)
{
	if (!card->resetting || state(card) == AIPU_STATE_RESETTING)
		return;
	card->resetting = false;
	set_gates(card, NULL);
}

int emu_card_bus_master(struct emu_card *card, bool on, struct emu_wait *wait)
{
	card->bus_master = on;
	look_at_reset(card);
	return set_gates(card, wait);
}

int emu_card_reset(struct emu_card *card, struct emu_wait *wait)
{
	emu_count(&card->counters, EMU_COUNT_RESETS, 1);
	card->bus_master = false;
	card->resetting = true;
	aipu_dm_write32(card->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	return set_gates(card, wait);
}

/* --- BAR0 ------------------------------------------------------------------------------------------- */

/* false: the function is gone */
static bool still_there(struct emu_card *card)
{
	if (!atomic_load(&card->gone) && emu_faults_register(card->faults)) {
		atomic_store(&card->gone, true);
		set_gates(card, NULL);
	}
	return !atomic_load(&card->gone);
}

static bool are_words(uint64_t offset, size_t bytes)
{
	return offset % 4 == 0 && (bytes == 4 || bytes == 8);
}

void emu_card_read(struct emu_card *card, uint64_t offset, void *to, size_t bytes)
{
	memset(to, atomic_load(&card->gone) ? 0xff : 0, bytes);
	if (!are_words(offset, bytes))
		return;
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t value = UINT32_MAX;

		emu_count(&card->counters, EMU_COUNT_REGISTER_READS, 1);
		if (still_there(card)) {
			look_at_reset(card);
			value = offset + i < card->bar0_bytes
					? aipu_dm_read32(card->dm, (uint32_t)(offset + i))
					: 0;
		}
		memcpy((uint8_t *)to + i, &value, sizeof(value));
	}
}

static void count_write(struct emu_card *card, uint64_t offset, uint32_t value)
{
	enum emu_counter what = EMU_COUNT_REGISTER_WRITES;

	if (offset >= AIPU_DOORBELL_PAGE(0))
		what = offset % AIPU_PAGE_BYTES == AIPU_DOORBELL_SQ_TAIL ? EMU_COUNT_DOORBELLS
									 : EMU_COUNT_HEAD_DOORBELLS;
	emu_count(&card->counters, what, 1);
	if (offset == AIPU_REG_CONTROL && value & AIPU_CONTROL_RESET)
		emu_count(&card->counters, EMU_COUNT_RESETS, 1);
}

void emu_card_write(struct emu_card *card, uint64_t offset, const void *from, size_t bytes)
{
	if (!are_words(offset, bytes))
		return;
	for (size_t i = 0; i < bytes; i += 4) {
		uint32_t value;

		memcpy(&value, (const uint8_t *)from + i, sizeof(value));
		count_write(card, offset + i, value);
		if (!still_there(card) || offset + i >= card->bar0_bytes)
			continue;
		look_at_reset(card);
		aipu_dm_write32(card->dm, (uint32_t)(offset + i), value);
	}
}

/* --- BAR2 by message -------------------------------------------------------------------------------- */

int emu_card_memory_fd(const struct emu_card *card)
{
	int fd;

	aipu_dm_memory(card->dm, NULL, &fd);
	return fd;
}

void emu_card_memory_read(struct emu_card *card, uint64_t offset, void *to, size_t bytes)
{
	emu_count(&card->counters, EMU_COUNT_MEMORY_READ, bytes);
	if (atomic_load(&card->gone))
		memset(to, 0xff, bytes);
	else
		emu_shared_read(to, card->memory + offset, bytes);
}

void emu_card_memory_write(struct emu_card *card, uint64_t offset, const void *from, size_t bytes)
{
	emu_count(&card->counters, EMU_COUNT_MEMORY_WRITTEN, bytes);
	if (!atomic_load(&card->gone))
		emu_shared_write(card->memory + offset, from, bytes);
}
