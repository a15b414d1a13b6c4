/* SPDX-License-Identifier: MIT */
/*
 * Inside aipu-emu: what its files call of each other. From the outside in: main.c (options, signals), listen.c (the socket's
 * file) → session.c (one client, from connect to disconnect), message.c (the bytes of the protocol), trace.c → request.c
 * (what messages do) → pci.c (configuration space), card.c (the device model mounted) → dma.c and
 * view.c under it, irq.c, fault.c, counters.c.
 *
 * Threads: the message thread runs all from main.c to pci.c, and never waits for the device. The model's threads call
 * card.c's operations and through them dma.c and irq.c. What has to wait for DMA in flight (an unmap, Bus Master off,
 * reset) is an emu_wait: its done() comes when the last slice has ended, and the session answers then.
 */
#ifndef AIPU_EMU_H
#define AIPU_EMU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* --- options (main.c) --------------------------------------------------------------------------- */

enum emu_fault_kind {
	EMU_FAULT_HANG, /* job N: the engine stands still, heartbeat included, until a reset */
	EMU_FAULT_SLOW_JOB, /* job N takes VALUE ms longer (default 5000); the heartbeat goes on */
	EMU_FAULT_LOST_INTERRUPT, /* interrupt N is not raised */
	EMU_FAULT_INTERRUPT_STORM, /* interrupt N is raised VALUE times more (default 100000) */
	EMU_FAULT_BAD_COMPLETION, /* I/O completion N: VALUE 0 wrong id, 1 sq_head beyond the ring, 2 unknown status */
	EMU_FAULT_CORRUPT_REPLY, /* admin completion N: VALUE 0 unknown status, 1 wrong id, 2 sq_head beyond the ring, 3 ABORTED */
	EMU_FAULT_EVENT, /* with admin completion N an error of memory is to be reported, corrected */
	EMU_FAULT_FATAL_ERROR, /* at job N the state goes to FAILED with ERROR = FATAL */
	EMU_FAULT_ALL_ONES, /* from register access N on the function is gone: all ones, no interrupt, no DMA */
	EMU_FAULT_SLOW_BOOT, /* LOAD N takes VALUE ms (default 5000) */
	EMU_FAULT_BOOT_FAILURE, /* LOAD N ends in FAILED, ERROR = VALUE (default FIRMWARE_DIGEST) */
	EMU_FAULT_POWER_CUT, /* at job N the process ends at once, as by SIGKILL */
	EMU_FAULT_FLASH_CUT, /* likewise in write N to the flash, of which VALUE bytes are done (default 0) */
	EMU_FAULT_MEMORY_ERROR, /* in job N's data: VALUE 0 corrected (default), 1 not: the job ends with INTERNAL */
	EMU_FAULT_AMBIENT, /* from job N on the air has VALUE degrees Celsius (default 95) */
	EMU_FAULT_LOAD_AMBIENT, /* from LOAD N on (default 25) */
	EMU_FAULT_KINDS
};

#define EMU_MAX_FAULTS 16u

struct emu_fault {
	enum emu_fault_kind kind;
	uint64_t at; /* N, from 1, counted since power-on (each client is one) */
	uint64_t value;
};

struct emu_options {
	const char *socket;
	uint64_t memory; /* BAR2: a power of two, 1 MiB to 16 GiB */
	uint32_t cores; /* 0: the model's default */
	uint32_t queues, vectors; /* 0: likewise */
	uint32_t rollback;
	uint32_t abi_oldest, abi_newest; /* of the boot ROM; both 0: the model's default */
	uint64_t serial;
	bool msi; /* MSI in place of MSI-X */
	bool no_signatures; /* firmware images are not signed; else by the development key */
	const char *flash; /* the file that plays it; NULL: the card has none */
	bool no_shadows; /* shadow doorbells are not offered */
	uint32_t linger_us; /* so long they are looked at without work */
	bool trap_memory; /* BAR2 without mmap: each access is a message, and counted */
	FILE *trace; /* NULL: none */
	struct emu_fault faults[EMU_MAX_FAULTS];
	unsigned int fault_count;
};

/* --- counters (counters.c) ----------------------------------------------------------------------- */

/*
 * Counted in the DMA and register layer, since power-on. X(NAME, name, text). A record is a DMA write of 32 bytes, a
 * submission entry a DMA read of 64, a completion a DMA write of 8 at an offset of 24 in 32: the layer knows sizes only.
 * The guest reads them in a vendor-specific extended capability (pci.c), the host with --trace and at the client's end.
 */
#define EMU_COUNTER_LIST(X)                                                             \
	X(BYTES_TO_HOST, bytes_to_host, "bytes written to host memory")                 \
	X(BYTES_FROM_HOST, bytes_from_host, "bytes read from host memory")              \
	X(DMA_WRITES, dma_writes, "DMA writes")                                         \
	X(DMA_READS, dma_reads, "DMA reads")                                            \
	X(DMA_REFUSED, dma_refused, "DMA refused: not mapped, or Bus Master off")       \
	X(ENTRIES, entries, "submission entries read")                                  \
	X(COMPLETIONS, completions, "completions written")                              \
	X(RECORDS, records, "token records written")                                    \
	X(REGISTER_READS, register_reads, "register reads")                             \
	X(REGISTER_WRITES, register_writes, "register writes, doorbells not counted")   \
	X(DOORBELLS, doorbells, "submission doorbells")                                 \
	X(HEAD_DOORBELLS, head_doorbells, "completion and kick doorbells")              \
	X(INTERRUPTS, interrupts, "interrupts raised")                                  \
	X(MEMORY_READ, memory_read, "bytes of device memory read by trapped access")    \
	X(MEMORY_WRITTEN, memory_written, "bytes of device memory written likewise")    \
	X(MAPS, maps, "DMA maps")                                                       \
	X(UNMAPS, unmaps, "DMA unmaps")                                                 \
	X(UNMAPS_DEFERRED, unmaps_deferred, "DMA unmaps that waited for DMA in flight") \
	X(RESETS, resets, "function-level and device resets")                           \
	X(LOOKS, looks, "words of shadow doorbells read; not among the DMA reads")
#define EMU_COUNTER_ENUM(name, lower, text) EMU_COUNT_##name,
enum emu_counter { EMU_COUNTER_LIST(EMU_COUNTER_ENUM) EMU_COUNTERS };
#undef EMU_COUNTER_ENUM

struct emu_counters {
	_Atomic uint64_t value[EMU_COUNTERS];
};

static inline void emu_count(struct emu_counters *c, enum emu_counter what, uint64_t n)
{
	atomic_fetch_add_explicit(&c->value[what], n, memory_order_relaxed);
}
uint64_t emu_counter(const struct emu_counters *c, enum emu_counter what);
const char *emu_counter_name(enum emu_counter what); /* "bytes_to_host" */
void emu_counters_print(const struct emu_counters *c, FILE *to); /* one line, name=value */

/* --- waiting for DMA in flight --------------------------------------------------------------------- */

/*
 * The caller's, and dma.c's from a call that returns -EINPROGRESS to done(), which may come before that call returns.
 * Only `done` needs a value. Where a call takes a wait, NULL says that nobody waits: it returns 0 at once.
 */
struct emu_wait {
	void (*done)(struct emu_wait *wait); /* once, from any thread, no lock of dma.c held */
	/* dma.c's, under its lock: */
	struct emu_wait *next;
	uint64_t epoch;
	unsigned int pending;
};

/* --- DMA (dma.c) ------------------------------------------------------------------------------------ */

#define EMU_DMA_MAX_MAPS 65535u /* QEMU's own limit of a container */
#define EMU_DMA_SLICE (4u << 20)

enum emu_dma_access { EMU_DMA_READABLE = 1, EMU_DMA_WRITABLE = 2 };

struct emu_dma;

int emu_dma_create(struct emu_counters *counters, struct emu_dma **out);
/* Drops every map. Who does DMA is gone by then. */
void emu_dma_destroy(struct emu_dma *dma);
/*
 * fd is taken over also on failure; -1: a map that cannot be reached from here (a ROM, a BAR): kept, and DMA to it
 * refused. -EINVAL: size 0, address wraps, not page aligned, file too short; -EEXIST: overlaps a map;
 * -ENOSPC: too many; -errno of mmap.
 */
int emu_dma_map(struct emu_dma *dma, uint64_t address, uint64_t size, int fd, uint64_t offset,
		unsigned int access);
/*
 * Every map that lies wholly in [address, address + size), which may be none; `all`: every one there is. From the return on
 * no new DMA reaches them. 0: done; -EINPROGRESS: wait->done() will come; -EINVAL: a map lies partly in it (nothing is
 * removed).
 */
int emu_dma_unmap(struct emu_dma *dma, uint64_t address, uint64_t size, bool all,
		  struct emu_wait *wait);
/* PCI's Bus Master; closed at first. Closing: 0, or -EINPROGRESS and wait->done() when no DMA is in flight. */
int emu_dma_gate(struct emu_dma *dma, bool open, struct emu_wait *wait);
/*
 * 0 or -EFAULT (not mapped, not permitted, gate closed, memory went away). May span maps that are neighbours. Runs in slices;
 * aligned words of 4 and 8 bytes are one access.
 */
int emu_dma_read(struct emu_dma *dma, uint64_t address, void *to, size_t bytes);
int emu_dma_write(struct emu_dma *dma, uint64_t address, const void *from, size_t bytes);
/* As a read of 4 bytes at a multiple of 4, but for its counter: a look at a shadow doorbell */
int emu_dma_look(struct emu_dma *dma, uint64_t address, uint32_t *word);
/* Copies (view.c) from and to memory that guests touch too; there an aligned word of 4 or 8 bytes is one access */
void emu_shared_read(void *to, const void *shared, size_t bytes);
void emu_shared_write(void *shared, const void *from, size_t bytes);

/* --- interrupts (irq.c) ------------------------------------------------------------------------------ */

struct emu_irq;

int emu_irq_create(unsigned int vectors, struct emu_irq **out);
void emu_irq_destroy(struct emu_irq *irq);
/* fd is taken over also on failure; -1 removes. -EINVAL: no such vector. */
int emu_irq_set(struct emu_irq *irq, unsigned int vector, int fd);
void emu_irq_clear(struct emu_irq *irq);
/* Bus Master; off at first. After `off` returns nothing is raised. */
void emu_irq_gate(struct emu_irq *irq, bool open);
/*
 * Any thread. A vector beyond the last one that is set shares: vector modulo (last + 1). false: nothing was raised, there
 * is no eventfd for it or the gate is closed.
 */
bool emu_irq_raise(struct emu_irq *irq, unsigned int vector);

/* --- the card (card.c): the device model and all of the above ---------------------------------------- */

struct emu_card {
	const struct emu_options *options;
	struct aipu_dm *dm;
	struct emu_dma *dma;
	struct emu_irq *irq;
	struct emu_faults *faults;
	struct aipu_flash_file *flash; /* NULL: none */
	struct emu_counters counters;
	atomic_bool gone; /* ALL_ONES has struck */
	uint32_t bar0_bytes; /* a power of two */
	uint64_t memory_bytes;
	uint32_t vectors;
	uint8_t *memory; /* BAR2 */
	/* The message thread's: Bus Master as it was set; a function-level reset is not over yet (see card.c) */
	bool bus_master, resetting;
};

/* Power on. -errno; no DMA and no interrupt before the gate opens and vectors are set. */
int emu_card_create(const struct emu_options *options, struct emu_card **out);
/* Power off: waits for the model's current step, at most seconds */
void emu_card_destroy(struct emu_card *card);
/* BAR0. Aligned words of 4 bytes, pairs of them as two, low first; anything else reads 0 and ignores writes. */
void emu_card_read(struct emu_card *card, uint64_t offset, void *to, size_t bytes);
void emu_card_write(struct emu_card *card, uint64_t offset, const void *from, size_t bytes);
/* BAR2 by message; in range */
void emu_card_memory_read(struct emu_card *card, uint64_t offset, void *to, size_t bytes);
void emu_card_memory_write(struct emu_card *card, uint64_t offset, const void *from, size_t bytes);
int emu_card_memory_fd(const struct emu_card *card); /* the card's */
/* 0, or -EINPROGRESS and wait->done() */
int emu_card_bus_master(struct emu_card *card, bool on, struct emu_wait *wait);
/* Function-level reset (RST-2) and the gate closed; as above. The model itself comes to ROM later, as STATUS tells. */
int emu_card_reset(struct emu_card *card, struct emu_wait *wait);

/* --- faults (fault.c) ---------------------------------------------------------------------------------- */

/* "KIND@N" or "KIND@N:VALUE". NULL, or what is wrong with it, as a text for one error line. */
const char *emu_fault_parse(const char *text, struct emu_fault *fault);
const char *emu_fault_name(enum emu_fault_kind kind); /* "slow-job" */

struct emu_faults; /* what has been counted towards each N */
struct aipu_dm_fault;

int emu_faults_create(const struct emu_options *options, struct emu_faults **out);
void emu_faults_destroy(struct emu_faults *faults);
/* Before the first job: whose client is to see a power cut. Without one the process ends where it is. */
void emu_faults_client(struct emu_faults *faults, int socket);
/* The power is cut: once everything is answered that the client had sent, emu_faults_die() */
bool emu_faults_cut(struct emu_faults *faults);
_Noreturn void emu_faults_die(const struct emu_faults *faults);
/* The model asks at each of its points (enum aipu_dm_point); POWER_CUT does not return */
void emu_faults_model(struct emu_faults *faults, unsigned int point, struct aipu_dm_fault *fault);
/* How often the interrupt that comes now is to be raised: 1, 0 (lost), 1 + VALUE (storm) */
uint64_t emu_faults_interrupt(struct emu_faults *faults);
/* true: with this register access the function is gone */
bool emu_faults_register(struct emu_faults *faults);
/* true: the power goes in this write, after *bytes of it, which is lowered then; then emu_faults_cut_power() */
bool emu_faults_flash(struct emu_faults *faults, size_t *bytes);
void emu_faults_cut_power(struct emu_faults *faults); /* a thread of the model's; does not return */

/* --- configuration space (pci.c) ----------------------------------------------------------------------- */

#define EMU_PCI_BYTES 4096u

struct emu_pci;

/* What a write asks of the card, in this order */
struct emu_pci_effect {
	bool reset; /* function-level reset; Bus Master is off then */
	bool bus_master_changed, bus_master;
};

int emu_pci_create(const struct emu_card *card, struct emu_pci **out);
void emu_pci_destroy(struct emu_pci *pci);
/* offset + bytes within EMU_PCI_BYTES */
void emu_pci_read(struct emu_pci *pci, uint32_t offset, void *to, uint32_t bytes);
void emu_pci_write(struct emu_pci *pci, uint32_t offset, const void *from, uint32_t bytes,
		   struct emu_pci_effect *effect);
void emu_pci_reset(struct emu_pci *pci); /* as after power-on; counters are not touched */
unsigned int emu_pci_messages(const struct emu_pci *pci); /* of MSI-X, or of MSI with options.msi */
/*
 * BAR4, MSI-X's table and pending bits; no bytes with options.msi. It is there to be read back: whom an interrupt goes to,
 * and whether, is the client's business (emu_irq_set). offset + bytes within its size.
 */
uint32_t emu_pci_table_bytes(const struct emu_pci *pci);
void emu_pci_table_read(struct emu_pci *pci, uint64_t offset, void *to, size_t bytes);
void emu_pci_table_write(struct emu_pci *pci, uint64_t offset, const void *from, size_t bytes);

/* --- a client (session.c) ------------------------------------------------------------------------------ */

/* Serves the client of the connected socket to its end; takes the socket over. 0, or -errno of the card's creation. */
int emu_session_run(const struct emu_options *options, int socket, const atomic_bool *stop);

#endif
