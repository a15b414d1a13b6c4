// SPDX-License-Identifier: MIT
/*
 * Fuzz target: configuration space and the MSI-X table of aipu-emu's function, under any accesses that a guest can make.
 * The first byte chooses the card's shape; then each access is its kind, offset (two bytes), length and data. Whatever
 * was written, the function keeps its identity, and reads never differ by their width.
 */
#include <string.h>
#include <stdlib.h>

#include "aipu-emu/emu.h"
#include "aipu_registers.h"
#include "compile_fuzz.h"

enum { READ, WRITE, TABLE_READ, TABLE_WRITE, RESET, KINDS };

struct input {
	const uint8_t *data;
	size_t size;
};

/* The next byte, 0 behind the end */
static uint8_t next(struct input *in)
{
	if (!in->size)
		return 0;
	in->size--;
	return *in->data++;
}

/* In memory of exactly its size, so that one byte too many is seen */
static uint8_t *take(struct input *in, size_t bytes)
{
	uint8_t *p = malloc(bytes ? bytes : 1);

	fuzz_require(p != NULL, "memory");
	for (size_t i = 0; i < bytes; i++)
		p[i] = next(in);
	return p;
}

static uint32_t word(struct emu_pci *pci, uint32_t at)
{
	uint8_t byte[4];
	uint32_t value, same = 0;

	emu_pci_read(pci, at, &value, 4);
	for (uint32_t i = 0; i < 4; i++) {
		emu_pci_read(pci, at + i, &byte[i], 1);
		same |= (uint32_t)byte[i] << 8 * i;
	}
	fuzz_require(value == same, "a word is its bytes");
	return value;
}

static void identity_kept(struct emu_pci *pci, const struct emu_card *card)
{
	const uint64_t memory = word(pci, 0x18) | (uint64_t)word(pci, 0x1c) << 32;

	fuzz_require(word(pci, 0) == (AIPU_PCI_DEVICE_ID << 16 | AIPU_PCI_VENDOR_ID), "identity");
	fuzz_require(word(pci, 8) >> 8 == AIPU_PCI_CLASS, "class");
	fuzz_require((word(pci, 0x10) & ~0xfu) % card->bar0_bytes == 0, "BAR0 is aligned");
	fuzz_require((memory & ~0xfull) % card->memory_bytes == 0, "BAR2 is aligned");
	fuzz_require((word(pci, 0x18) & 0xf) == 0xc, "BAR2 is of 64 bits, prefetchable");
	fuzz_require(!(word(pci, 4) & 1), "there is no I/O space");
}

static void one(struct emu_pci *pci, struct input *in)
{
	const uint8_t kind = next(in) % KINDS;
	uint32_t offset = next(in), bytes, room;
	struct emu_pci_effect effect;
	uint8_t *data;

	offset |= (uint32_t)next(in) << 8;
	room = kind < TABLE_READ ? EMU_PCI_BYTES : emu_pci_table_bytes(pci);
	if (kind != RESET && !room)
		return;
	offset %= room ? room : 1;
	bytes = next(in);
	if (bytes > room - offset)
		bytes = room - offset;
	data = take(in, kind == WRITE || kind == TABLE_WRITE ? bytes : 0);
	if (kind == READ || kind == TABLE_READ) {
		free(data);
		data = take(&(struct input){ NULL, 0 }, bytes);
	}
	switch (kind) {
	case READ:
		emu_pci_read(pci, offset, data, bytes);
		break;
	case WRITE:
		emu_pci_write(pci, offset, data, bytes, &effect);
		fuzz_require(!effect.reset || !(word(pci, 4) & 4), "a reset closes Bus Master");
		fuzz_require(!effect.bus_master_changed ||
				     effect.bus_master == !!(word(pci, 4) & 4),
			     "Bus Master is what it says");
		break;
	case TABLE_READ:
		emu_pci_table_read(pci, offset, data, bytes);
		break;
	case TABLE_WRITE:
		emu_pci_table_write(pci, offset, data, bytes);
		break;
	default:
		emu_pci_reset(pci);
		fuzz_require(!(word(pci, 4) & 0xffff), "a reset clears the command register");
	}
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const uint8_t shape = next(&in);
	const struct emu_options options = { .serial = 0x1122334455667788, .msi = shape & 1 };
	struct emu_card *card = calloc(1, sizeof(*card));
	struct emu_pci *pci;

	fuzz_require(card != NULL, "memory");
	card->options = &options;
	card->bar0_bytes = 4096u << (shape >> 1 & 7);
	card->memory_bytes = 1ull << (20 + (shape >> 4 & 15) % 15);
	card->vectors = 1 + shape * 8u;
	fuzz_require(!emu_pci_create(card, &pci), "memory");
	while (in.size) {
		one(pci, &in);
		identity_kept(pci, card);
	}
	emu_pci_destroy(pci);
	free(card);
	return 0;
}
