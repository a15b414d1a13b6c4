// SPDX-License-Identifier: MIT
/*
 * The PCI function as its configuration space shows it, and BAR4 with the MSI-X table. Called by session.c, on the message
 * thread only. It knows which bits may be written and what a function-level reset leaves alone, and tells its caller what
 * a write means for the card; it never touches the card itself, but for reading its counters and whether it is gone.
 *
 * Clauses are those of the PCI Express Base Specification 4.0.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_registers.h"
#include "emu.h"

#define SUBSYSTEM_ID 0x0001
#define REVISION 0x01
#define TABLE_BAR 4

/* Where the capabilities lie */
enum {
	AT_PM = 0x40,
	AT_EXP = 0x48,
	AT_MSI = 0x84, /* or MSI-X */
	AT_AER = 0x100,
	AT_DSN = 0x148,
	AT_VSEC = 0x158,
	AT_COUNTERS = AT_VSEC + 8,
	VSEC_BYTES = 8 + 8 * EMU_COUNTERS,
};

_Static_assert(AT_COUNTERS % 8 == 0, "a counter is read by two aligned words");
_Static_assert(AT_VSEC + VSEC_BYTES <= EMU_PCI_BYTES, "the counters fit");

struct emu_pci {
	const struct emu_card *card;
	uint8_t value[EMU_PCI_BYTES];
	uint8_t initial[EMU_PCI_BYTES]; /* after power-on */
	uint8_t rw[EMU_PCI_BYTES]; /* bits that take what is written */
	uint8_t rw1c[EMU_PCI_BYTES]; /* bits that a 1 clears */
	uint8_t keep[EMU_PCI_BYTES]; /* bits that a function-level reset leaves alone */
	uint64_t latch[EMU_COUNTERS]; /* as of the read of the low word */
	unsigned int messages;
	uint32_t table_bytes; /* of BAR4; 0: there is none */
	uint32_t pending_at;
	uint8_t *table;
};

struct pci_register {
	uint16_t at;
	uint8_t bytes;
	uint32_t value, rw, rw1c, keep;
};

/* Uncorrectable and correctable errors that an endpoint can have; both registers are sticky */
#define UNCORRECTABLE 0x005ff010u
#define CORRECTABLE 0x0000f1c1u

static const struct pci_register registers[] = {
	{ PCI_VENDOR_ID, 2, AIPU_PCI_VENDOR_ID, 0, 0, 0 },
	{ PCI_DEVICE_ID, 2, AIPU_PCI_DEVICE_ID, 0, 0, 0 },
	/* Memory, Bus Master, parity, SERR#, INTx off; there is no I/O space */
	{ PCI_COMMAND, 2, 0, 0x0546, 0, 0 },
	{ PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0, 0xf900, 0 },
	{ PCI_CLASS_REVISION, 4, (uint32_t)AIPU_PCI_CLASS << 8 | REVISION, 0, 0, 0 },
	{ PCI_CACHE_LINE_SIZE, 1, 0, 0xff, 0, 0 },
	{ PCI_SUBSYSTEM_VENDOR_ID, 2, AIPU_PCI_VENDOR_ID, 0, 0, 0 },
	{ PCI_SUBSYSTEM_ID, 2, SUBSYSTEM_ID, 0, 0, 0 },
	{ PCI_CAPABILITY_LIST, 1, AT_PM, 0, 0, 0 },
	{ PCI_INTERRUPT_LINE, 1, 0, 0xff, 0, 0 },

	/* Power management 1.2: D0 and D3hot, no PME; nothing is lost on the way back (No_Soft_Reset) */
	{ AT_PM, 2, AT_EXP << 8 | PCI_CAP_ID_PM, 0, 0, 0 },
	{ AT_PM + PCI_PM_PMC, 2, 3, 0, 0, 0 },
	{ AT_PM + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET, PCI_PM_CTRL_STATE_MASK, 0, 0 },

	/* PCI Express, version 2, endpoint */
	{ AT_EXP, 2, AT_MSI << 8 | PCI_CAP_ID_EXP, 0, 0, 0 },
	{ AT_EXP + PCI_EXP_FLAGS, 2, 2, 0, 0, 0 },
	/* Payload 256, extended tags, any latency of L0s and L1, role-based errors, FLR */
	{ AT_EXP + PCI_EXP_DEVCAP, 4, 0x10008fe1, 0, 0, 0 },
	/* Relaxed ordering, extended tags, no snoop, read requests of 512; keeps Max_Payload_Size (6.6.2) */
	{ AT_EXP + PCI_EXP_DEVCTL, 2, 0x2910, 0x79ff, 0, PCI_EXP_DEVCTL_PAYLOAD },
	{ AT_EXP + PCI_EXP_DEVSTA, 2, 0, 0, 0x000f, 0 },
	/* 16 GT/s, x8, no ASPM but compliant in that it is optional */
	{ AT_EXP + PCI_EXP_LNKCAP, 4, 0x00400084, 0, 0, 0 },
	/* ASPM, read completion boundary, common clock, extended synch: 6.6.2 keeps all of them */
	{ AT_EXP + PCI_EXP_LNKCTL, 2, 0, 0x00cb, 0, 0x00cb },
	{ AT_EXP + PCI_EXP_LNKSTA, 2, PCI_EXP_LNKSTA_SLC | 0x0084, 0, 0, 0 },
	/* Completion timeout ranges A to D and off, 10-bit tags as a completer (must be at 16 GT/s) */
	{ AT_EXP + PCI_EXP_DEVCAP2, 4, 0x0001001f, 0, 0, 0 },
	{ AT_EXP + PCI_EXP_DEVCTL2, 2, 0, 0x001f, 0, 0 },
	/* 2.5 to 16 GT/s; sees one and two retimers */
	{ AT_EXP + PCI_EXP_LNKCAP2, 4, 0x0180001e, 0, 0, 0 },
	/* Target link speed and the compliance fields are sticky */
	{ AT_EXP + PCI_EXP_LNKCTL2, 2, PCI_EXP_LNKCTL2_TLS_16_0GT, 0xffbf, 0, 0xffbf },
	/* Equalization at 8 GT/s is complete */
	{ AT_EXP + PCI_EXP_LNKSTA2, 2, 0x001e, 0, 0x0020, 0x0020 },

	/* Advanced error reporting, version 2; everything that can be written is sticky */
	{ AT_AER, 4, AT_DSN << 20 | 2 << 16 | PCI_EXT_CAP_ID_ERR, 0, 0, 0 },
	{ AT_AER + PCI_ERR_UNCOR_STATUS, 4, 0, 0, UNCORRECTABLE, UNCORRECTABLE },
	{ AT_AER + PCI_ERR_UNCOR_MASK, 4, PCI_ERR_UNC_INTN, UNCORRECTABLE, 0, UNCORRECTABLE },
	{ AT_AER + PCI_ERR_UNCOR_SEVER, 4, 0x00462030, UNCORRECTABLE, 0, UNCORRECTABLE },
	{ AT_AER + PCI_ERR_COR_STATUS, 4, 0, 0, CORRECTABLE, CORRECTABLE },
	{ AT_AER + PCI_ERR_COR_MASK, 4, 0xe000, CORRECTABLE, 0, CORRECTABLE },
	/* Can make and check ECRC */
	{ AT_AER + PCI_ERR_CAP, 4, 0x00a0, 0x0140, 0, 0x0140 },

	{ AT_DSN, 4, AT_VSEC << 20 | 1 << 16 | PCI_EXT_CAP_ID_DSN, 0, 0, 0 },

	/* Vendor-specific: the counters of EMU_COUNTER_LIST, 64 bits each, in its order */
	{ AT_VSEC, 4, 1 << 16 | PCI_EXT_CAP_ID_VNDR, 0, 0, 0 },
	{ AT_VSEC + PCI_VNDR_HEADER, 4, (uint32_t)VSEC_BYTES << 20 | 1 << 16 | 1, 0, 0, 0 },
};

static void put(uint8_t *at, uint32_t value, unsigned int bytes)
{
	unsigned int i;

	for (i = 0; i < bytes; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t get(const uint8_t *at, unsigned int bytes)
{
	uint32_t value = 0;

	while (bytes--)
		value = value << 8 | at[bytes];
	return value;
}

static void lay(struct emu_pci *pci, const struct pci_register *r)
{
	put(pci->initial + r->at, r->value, r->bytes);
	put(pci->rw + r->at, r->rw, r->bytes);
	put(pci->rw1c + r->at, r->rw1c, r->bytes);
	put(pci->keep + r->at, r->keep, r->bytes);
}

static void lay_bar(struct emu_pci *pci, unsigned int bar, uint64_t bytes, uint32_t type)
{
	const uint16_t at = (uint16_t)(PCI_BASE_ADDRESS_0 + 4 * bar);
	const uint64_t mask = ~(bytes - 1);
	const struct pci_register low = { at, 4, type, (uint32_t)mask & ~0xfu, 0, 0 };
	const struct pci_register high = { (uint16_t)(at + 4), 4, 0, (uint32_t)(mask >> 32), 0, 0 };

	lay(pci, &low);
	if (type & PCI_BASE_ADDRESS_MEM_TYPE_64)
		lay(pci, &high);
}

/* --- interrupts ------------------------------------------------------------------------------------ */

/* 64-bit MSI: the largest power of two of messages that there are vectors for, 32 at most */
static void lay_msi(struct emu_pci *pci)
{
	unsigned int log2 = 0;

	while (log2 < 5 && 2u << log2 <= pci->card->vectors)
		log2++;
	pci->messages = 1u << log2;
	const struct pci_register msi[] = {
		{ AT_MSI, 2, PCI_CAP_ID_MSI, 0, 0, 0 },
		{ AT_MSI + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT | log2 << 1,
		  PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE, 0, 0 },
		{ AT_MSI + PCI_MSI_ADDRESS_LO, 4, 0, ~3u, 0, 0 },
		{ AT_MSI + PCI_MSI_ADDRESS_HI, 4, 0, ~0u, 0, 0 },
		{ AT_MSI + PCI_MSI_DATA_64, 2, 0, 0xffff, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(msi) / sizeof(msi[0]); i++)
		lay(pci, &msi[i]);
}

/* Table at 0, pending bits behind it, each in a half of its own of a BAR of at least a page */
static int lay_msix(struct emu_pci *pci)
{
	uint32_t half = 2048;

	pci->messages = pci->card->vectors;
	while (half < pci->messages * PCI_MSIX_ENTRY_SIZE)
		half *= 2;
	pci->pending_at = half;
	pci->table_bytes = 2 * half;
	pci->table = calloc(1, pci->table_bytes);
	if (!pci->table)
		return -ENOMEM;
	const struct pci_register msix[] = {
		{ AT_MSI, 2, PCI_CAP_ID_MSIX, 0, 0, 0 },
		{ AT_MSI + PCI_MSIX_FLAGS, 2, pci->messages - 1,
		  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 0, 0 },
		{ AT_MSI + PCI_MSIX_TABLE, 4, TABLE_BAR, 0, 0, 0 },
		{ AT_MSI + PCI_MSIX_PBA, 4, pci->pending_at | TABLE_BAR, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(msix) / sizeof(msix[0]); i++)
		lay(pci, &msix[i]);
	lay_bar(pci, TABLE_BAR, pci->table_bytes, 0);
	return 0;
}

static void table_reset(struct emu_pci *pci)
{
	unsigned int i;

	if (!pci->table)
		return;
	memset(pci->table, 0, pci->table_bytes);
	for (i = 0; i < pci->messages; i++)
		pci->table[i * PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL] =
			PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

unsigned int emu_pci_messages(const struct emu_pci *pci)
{
	return pci->messages;
}

uint32_t emu_pci_table_bytes(const struct emu_pci *pci)
{
	return pci->table_bytes;
}

void emu_pci_table_read(struct emu_pci *pci, uint64_t offset, void *to, size_t bytes)
{
	if (atomic_load(&pci->card->gone))
		memset(to, 0xff, bytes);
	else
		memcpy(to, pci->table + offset, bytes);
}

void emu_pci_table_write(struct emu_pci *pci, uint64_t offset, const void *from, size_t bytes)
{
	static const uint8_t writable[PCI_MSIX_ENTRY_SIZE] = { 0xfc,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       0xff,
							       PCI_MSIX_ENTRY_CTRL_MASKBIT };
	const uint64_t end = (uint64_t)pci->messages * PCI_MSIX_ENTRY_SIZE;
	size_t i;

	if (atomic_load(&pci->card->gone))
		return;
	/* Pending bits and what lies between are read only. */
	for (i = 0; i < bytes && offset + i < end; i++)
		pci->table[offset + i] = ((const uint8_t *)from)[i] &
					 writable[(offset + i) % sizeof(writable)];
}

/* --- life ------------------------------------------------------------------------------------------ */

int emu_pci_create(const struct emu_card *card, struct emu_pci **out)
{
	struct emu_pci *pci = calloc(1, sizeof(*pci));
	size_t i;
	int err = 0;

	if (!pci)
		return -ENOMEM;
	pci->card = card;
	for (i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		lay(pci, &registers[i]);
	lay_bar(pci, AIPU_BAR_REGISTERS, card->bar0_bytes, 0);
	lay_bar(pci, AIPU_BAR_MEMORY, card->memory_bytes,
		PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH);
	put(pci->initial + AT_DSN + 4, (uint32_t)card->options->serial, 4);
	put(pci->initial + AT_DSN + 8, (uint32_t)(card->options->serial >> 32), 4);
	if (card->options->msi)
		lay_msi(pci);
	else
		err = lay_msix(pci);
	if (err) {
		emu_pci_destroy(pci);
		return err;
	}
	emu_pci_reset(pci);
	*out = pci;
	return 0;
}

void emu_pci_destroy(struct emu_pci *pci)
{
	if (pci)
		free(pci->table);
	free(pci);
}

void emu_pci_reset(struct emu_pci *pci)
{
	memcpy(pci->value, pci->initial, sizeof(pci->value));
	table_reset(pci);
}

static void function_reset(struct emu_pci *pci)
{
	unsigned int i;

	for (i = 0; i < EMU_PCI_BYTES; i++)
		pci->value[i] = (pci->initial[i] & ~pci->keep[i]) | (pci->value[i] & pci->keep[i]);
	table_reset(pci);
}

/* --- access ---------------------------------------------------------------------------------------- */

/*
 * A counter goes on while it is read. The read that includes its first byte takes all of it, and the others get what that
 * one took: two words, or eight bytes one after another, agree.
 */
static void read_counters(struct emu_pci *pci, uint32_t offset, uint8_t *to, uint32_t bytes)
{
	uint32_t i;

	for (i = 0; i < bytes; i++) {
		uint32_t at = offset + i - AT_COUNTERS;

		if (offset + i < AT_COUNTERS || at >= 8 * EMU_COUNTERS)
			continue;
		if (at % 8 == 0)
			pci->latch[at / 8] =
				emu_counter(&pci->card->counters, (enum emu_counter)(at / 8));
		to[i] = (uint8_t)(pci->latch[at / 8] >> (at % 8 * 8));
	}
}

void emu_pci_read(struct emu_pci *pci, uint32_t offset, void *to, uint32_t bytes)
{
	if (atomic_load(&pci->card->gone)) {
		memset(to, 0xff, bytes);
		return;
	}
	memcpy(to, pci->value + offset, bytes);
	read_counters(pci, offset, to, bytes);
}

/* A field that does not take every value that its bits allow keeps the one it had. */
static void restrict_fields(struct emu_pci *pci, const uint8_t *before)
{
	uint8_t *power = &pci->value[AT_PM + PCI_PM_CTRL];
	uint8_t *payload = &pci->value[AT_EXP + PCI_EXP_DEVCTL];
	uint8_t *msi = &pci->value[AT_MSI + PCI_MSI_FLAGS];
	const uint8_t state = *power & PCI_PM_CTRL_STATE_MASK;

	/* There is no D1 and no D2. */
	if (state == 1 || state == 2)
		*power = before[AT_PM + PCI_PM_CTRL];
	if ((*payload & PCI_EXP_DEVCTL_PAYLOAD) > PCI_EXP_DEVCTL_PAYLOAD_256B)
		*payload = (uint8_t)((*payload & ~PCI_EXP_DEVCTL_PAYLOAD) |
				     (before[AT_EXP + PCI_EXP_DEVCTL] & PCI_EXP_DEVCTL_PAYLOAD));
	/* No more messages are enabled than there are. */
	if (pci->card->options->msi &&
	    (*msi & PCI_MSI_FLAGS_QSIZE) >> 4 > (*msi & PCI_MSI_FLAGS_QMASK) >> 1)
		*msi = (uint8_t)((*msi & ~PCI_MSI_FLAGS_QSIZE) |
				 (before[AT_MSI + PCI_MSI_FLAGS] & PCI_MSI_FLAGS_QSIZE));
}

void emu_pci_write(struct emu_pci *pci, uint32_t offset, const void *from, uint32_t bytes,
		   struct emu_pci_effect *effect)
{
	/* The byte of Device Control that starts a function-level reset; the bit itself reads 0 */
	const uint32_t flr = AT_EXP + PCI_EXP_DEVCTL + 1;
	const uint8_t *data = from;
	uint8_t before[AT_MSI + PCI_CAP_MSIX_SIZEOF];
	const bool master_before = pci->value[PCI_COMMAND] & PCI_COMMAND_MASTER;
	bool master;
	uint32_t i;

	memset(effect, 0, sizeof(*effect));
	if (atomic_load(&pci->card->gone))
		return;
	memcpy(before, pci->value, sizeof(before));
	for (i = 0; i < bytes; i++) {
		const uint32_t at = offset + i;

		pci->value[at] =
			(uint8_t)(((pci->value[at] & ~pci->rw[at]) | (data[i] & pci->rw[at])) &
				  ~(data[i] & pci->rw1c[at]));
	}
	restrict_fields(pci, before);
	if (offset <= flr && flr - offset < bytes &&
	    data[flr - offset] & (PCI_EXP_DEVCTL_BCR_FLR >> 8)) {
		function_reset(pci);
		effect->reset = true;
		return;
	}
	master = get(pci->value + PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
	effect->bus_master_changed = master != master_before;
	effect->bus_master = master;
}
