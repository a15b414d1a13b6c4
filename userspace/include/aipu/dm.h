/* SPDX-License-Identifier: MIT */
/*
 * The device model: a software AIPU behind its registers. It is mounted by libaipu's soft transport and
 * by the vfio-user server. A mount drives it through register accesses only, and serves its DMA. No
 * globals: any number of models live in one process. Register accesses may come from any thread and
 * never block on device work.
 */
#ifndef AIPU_DM_H
#define AIPU_DM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct aipu_dm;

/* Where a host may make the device fail, in the order of the device's work; each is asked once */
enum aipu_dm_point {
	AIPU_DM_POINT_LOAD, /* a firmware image is about to be read */
	AIPU_DM_POINT_JOB, /* an I/O queue's entry was taken and is about to be checked and started */
	AIPU_DM_POINT_COMPLETION, /* the completion of an I/O queue is about to be written */
	AIPU_DM_POINT_REPLY /* likewise of the admin queue */
};

enum aipu_dm_fault_kind {
	AIPU_DM_FAULT_NONE,
	/*
	 * The engine stands still, HEARTBEAT with it; registers answer. Ended by what stops the device: disable, RESET,
	 * function-level reset, destroy.
	 */
	AIPU_DM_FAULT_HANG,
	/*
	 * The engine does nothing for `value` ms; HEARTBEAT goes on. Commands wait, as for any long step; a stop
	 * ends it at once.
	 */
	AIPU_DM_FAULT_SLOW,
	AIPU_DM_FAULT_FATAL, /* internal failure, FLT-2 of the specification */
	AIPU_DM_FAULT_FAIL, /* LOAD: FAILED with ERROR = `value` */
	AIPU_DM_FAULT_CORRUPT, /* COMPLETION, REPLY: `value` is enum aipu_dm_corrupt */
	/* JOB, REPLY: an error of memory, corrected, or not where `value` is 1: in the job's data */
	AIPU_DM_FAULT_MEMORY,
	AIPU_DM_FAULT_AMBIENT /* JOB: from now on the air has `value` degrees Celsius, at most 150 */
};

enum aipu_dm_corrupt {
	AIPU_DM_CORRUPT_ID, /* of no job or command that was submitted: its bits inverted */
	AIPU_DM_CORRUPT_SQ_HEAD, /* beyond the ring */
	AIPU_DM_CORRUPT_STATUS, /* no status that there is */
	AIPU_DM_CORRUPT_ABORTED /* ABORTED, whatever was done */
};

struct aipu_dm_fault {
	enum aipu_dm_fault_kind kind;
	uint32_t value;
};

/*
 * What the host offers. Called from the model's own threads, several at a time; none may call back into
 * the model, but for interrupt(), which may wake somebody who does.
 */
struct aipu_dm_ops {
	/*
	 * Copy between the model and host memory. 0, or -EFAULT where the range is not wholly DMA-able.
	 * 4 bytes at a multiple of 4 and 8 bytes at a multiple of 8 are one access: the last eight bytes of
	 * a completion and the indices of a token ring must never be seen in halves.
	 */
	int (*dma_read)(void *host, uint64_t address, void *to, size_t bytes);
	int (*dma_write)(void *host, uint64_t address, const void *from, size_t bytes);
	/*
	 * Optional: as dma_read of 4 bytes at a multiple of 4. The model looks at shadow doorbells by it, over and over: a
	 * mount that counts what work costs keeps these apart.
	 */
	int (*dma_look)(void *host, uint64_t address, uint32_t *word);
	/*
	 * A direct pointer to host memory, valid until dma_unmap; NULL if there is none (the range is not
	 * contiguous for the process, say). Optional: without it the UMA capability reads 0.
	 * *lost, if set, points to a flag that becomes true when the memory behind the pointer went away
	 * (a mapped file was truncated) and reads as zeros since.
	 */
	void *(*dma_map)(void *host, uint64_t address, size_t bytes, bool write,
			 const volatile bool **lost);
	void (*dma_unmap)(void *host, void *pointer, size_t bytes);
	void (*interrupt)(void *host, unsigned int vector);
	/* Nanoseconds, monotonic; optional (CLOCK_MONOTONIC) */
	uint64_t (*clock)(void *host);
	/*
	 * Optional, for testing drivers: what shall go wrong at this point. *fault is NONE when it is called; a kind that
	 * the point does not know does nothing.
	 */
	void (*fault)(void *host, enum aipu_dm_point point, struct aipu_dm_fault *fault);
	/*
	 * The card's flash of config.flash_bytes bytes, zeros at first, which outlives the model; optional where that is
	 * 0. 0 or -errno. What flash_write returned for is kept whatever happens next; of a write under way when the
	 * power goes any part may be.
	 */
	int (*flash_read)(void *host, uint64_t offset, void *to, size_t bytes);
	int (*flash_write)(void *host, uint64_t offset, const void *from, size_t bytes);
};

/* SIMD level of the compute kernels; all give the same bits */
enum aipu_dm_simd {
	AIPU_DM_SIMD_AUTO,
	AIPU_DM_SIMD_SCALAR,
	AIPU_DM_SIMD_AVX2,
	AIPU_DM_SIMD_AVX512
};

/* Zero means the default of each */
struct aipu_dm_config {
	uint64_t memory_bytes; /* device memory (BAR2); default 1 GiB; reserved, committed when touched */
	uint32_t cores; /* compute threads; default: the CPUs of the process's affinity mask */
	uint32_t max_queues; /* default 64 */
	uint32_t vectors; /* default 64 */
	uint32_t board_id; /* default AIPU_BOARD_SOFT */
	uint32_t rollback; /* smallest anti-rollback counter that the boot ROM takes */
	uint32_t abi_oldest; /* of the boot ROM; default AIPU_ABI_OLDEST .. AIPU_ABI_CURRENT */
	uint32_t abi_newest;
	/*
	 * Ed25519 public keys, 32 bytes each, one of which signs every image that the boot ROM takes; the
	 * caller's, as long as the model lives. Count 0: images are not signed.
	 */
	const uint8_t *firmware_keys;
	uint32_t firmware_key_count;
	uint64_t flash_bytes; /* 64 KiB to 32 MiB; default none: firmware comes from the host only */
	uint32_t ready_timeout_ms; /* READY_TIMEOUT_MS; default 30000 */
	uint64_t serial;
	uint32_t ambient_c; /* of the air around the card, degrees Celsius, at most 150; default 25 */
	uint32_t memory_peak_mbs; /* MEMORY_PEAK_MBS; default: not known */
	enum aipu_dm_simd simd;
	bool uma; /* offer AIPU_CAP_UMA (needs dma_map) */
	bool no_shadows; /* do not offer AIPU_CAP_SHADOW_DOORBELLS */
	/*
	 * So long the engine goes on looking at a queue's shadow doorbells when it has nothing to do, provided that work used
	 * to come within that time: until then new work needs no doorbell, and a processor is busy. Default 0: not at all.
	 */
	uint32_t linger_us;
};

/* 0; -ENOMEM; -EINVAL: a value of config is out of range; -ENOTSUP: no such SIMD level here */
int aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops, void *host,
		   struct aipu_dm **dm);
/* Stops all threads; afterwards no ops are called */
void aipu_dm_destroy(struct aipu_dm *dm);

/* 32-bit accesses to BAR0; misaligned or unknown offsets read 0 and ignore writes */
uint32_t aipu_dm_read32(struct aipu_dm *dm, uint32_t offset);
void aipu_dm_write32(struct aipu_dm *dm, uint32_t offset, uint32_t value);
uint32_t aipu_dm_bar0_bytes(const struct aipu_dm *dm);

/* BAR2, and the file descriptor behind it (memfd; owned by the model) */
void *aipu_dm_memory(struct aipu_dm *dm, uint64_t *bytes, int *fd);

/* PCI's Bus Master bit: while off no DMA starts; returns when none is in flight. On after create. */
void aipu_dm_bus_master(struct aipu_dm *dm, bool on);
/*
 * A mount that refuses DMA itself, Bus Master being off or for a reset, closes this before and opens it afterwards: meanwhile the
 * model does not look at shadow doorbells by itself. Does not wait; open after create.
 */
void aipu_dm_gate(struct aipu_dm *dm, bool open);
/* Function-level reset: like CONTROL.RESET; returns when no DMA is in flight */
void aipu_dm_reset(struct aipu_dm *dm);

#ifdef __cplusplus
}
#endif
#endif
