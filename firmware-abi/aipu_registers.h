/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * BAR0: registers in the first 4 KiB page, then one 4 KiB doorbell page per queue. All registers are
 * 32 bits wide and accessed as such; a 64-bit value is two registers, low half first, and is sampled by
 * the device only at the write that starts an action (CONTROL, BOOT_COMMAND). BAR2 is device memory.
 * Sequences and error cases: spec.md, sections "Boot" and "Reset".
 */
#ifndef AIPU_REGISTERS_H
#define AIPU_REGISTERS_H

#include "aipu_types.h"

#define AIPU_PCI_VENDOR_ID 0x1af4
#define AIPU_PCI_DEVICE_ID 0x10f0
#define AIPU_PCI_CLASS 0x120000 /* processing accelerator */

#define AIPU_BAR_REGISTERS 0
#define AIPU_BAR_MEMORY 2

/* Identity (read only) */
#define AIPU_REG_MAGIC 0x000
#define AIPU_MAGIC 0x55504941u /* "AIPU" */
#define AIPU_REG_ABI_NEWEST 0x004 /* of the boot ROM before firmware runs, of the firmware after */
#define AIPU_REG_ABI_OLDEST 0x008
#define AIPU_REG_BOARD_ID 0x00c
#define AIPU_REG_FIRMWARE_VERSION 0x010 /* major << 24 | minor << 16 | patch; 0: none runs */
#define AIPU_REG_ROLLBACK 0x014 /* smallest anti-rollback counter that the boot ROM accepts */
#define AIPU_REG_SERIAL_LO 0x018
#define AIPU_REG_SERIAL_HI 0x01c
#define AIPU_REG_ROM_VERSION 0x020 /* of the boot ROM, as FIRMWARE_VERSION; 0: not told */
#define AIPU_REG_BOOT_SOURCE 0x024 /* of the firmware that runs: enum aipu_boot_source */
#define AIPU_REG_SLOT_A_ERROR \
	0x028 /* AIPU_ERROR_*: why the boot ROM did not start slot A; CAP FLASH */
#define AIPU_REG_SLOT_B_ERROR 0x02c
enum aipu_boot_source {
	AIPU_BOOT_FROM_NONE = 0,
	AIPU_BOOT_FROM_HOST = 1, /* LOAD */
	AIPU_BOOT_FROM_SLOT_A = 2,
	AIPU_BOOT_FROM_SLOT_B = 3
};

/* Capabilities and limits (read only; valid once firmware runs) */
#define AIPU_REG_CAP_LO 0x040 /* AIPU_CAP_* */
#define AIPU_REG_CAP_HI 0x044
#define AIPU_REG_CAP_OPS_LO 0x048 /* bit n: program opcode n (aipu_program.h) is executed */
#define AIPU_REG_CAP_OPS_HI 0x04c
#define AIPU_REG_CAP_FORMATS_LO 0x050 /* bit n: weights of AIPU_FMT n are executed */
#define AIPU_REG_CAP_FORMATS_HI 0x054
#define AIPU_REG_CAP_KV_FORMATS 0x058 /* bit n: K and V of AIPU_FMT n */
#define AIPU_REG_CAP_KV_KINDS 0x05c /* bit n: AIPU_KV n */
#define AIPU_REG_CAP_NUMERICS 0x060 /* bit n: AIPU_NUMERICS n */
#define AIPU_REG_CAP_LAYOUTS 0x064 /* bit n: AIPU_LAYOUT n */
#define AIPU_REG_CAP_ACTIVATIONS 0x068 /* bit n: AIPU_ACT n */
#define AIPU_REG_MEMORY_LO 0x080 /* bytes of device memory */
#define AIPU_REG_MEMORY_HI 0x084
#define AIPU_REG_CORES 0x088
#define AIPU_REG_MAX_QUEUES 0x08c /* I/O queues; ids 1..MAX_QUEUES. 0 is the admin queue */
#define AIPU_REG_MAX_QUEUE_ENTRIES 0x090
#define AIPU_REG_MAX_CONTEXTS 0x094 /* ids 1..MAX_CONTEXTS */
#define AIPU_REG_MAX_SEGMENTS 0x098 /* per context; ids 0..MAX_SEGMENTS-1 */
#define AIPU_REG_MAX_PROGRAMS 0x09c /* per context; ids 0..MAX_PROGRAMS-1 */
#define AIPU_REG_MAX_LANES 0x0a0 /* per job */
#define AIPU_REG_VECTORS 0x0a4 /* interrupt vectors */
#define AIPU_REG_READY_TIMEOUT_MS 0x0a8 /* longest time any state change below takes */
#define AIPU_REG_MAX_PROGRAM_BYTES 0x0ac
#define AIPU_REG_MAX_EXTENTS 0x0b0 /* per segment, aipu_segment.h */

#define AIPU_CAP_UMA (1ull << 0) /* host segments may be compute operands */
#define AIPU_CAP_SHADOW_DOORBELLS (1ull << 1)
#define AIPU_CAP_COPY_DIGEST (1ull << 2)
#define AIPU_CAP_LANE_REFILL (1ull << 3) /* lanes may be filled while GENERATE runs */
#define AIPU_CAP_PENALTIES (1ull << 4)
#define AIPU_CAP_LOGIT_BIAS (1ull << 5)
#define AIPU_CAP_TOKEN_BITMAP (1ull << 6)
#define AIPU_CAP_LOGPROBS (1ull << 7) /* of further candidates; the chosen one's is always given */
#define AIPU_CAP_INDEXED_OPERANDS (1ull << 8)
#define AIPU_CAP_PEER_SEGMENTS (1ull << 9)
#define AIPU_CAP_COLLECTIVES (1ull << 10)
#define AIPU_CAP_SLIDING_WINDOW (1ull << 11)
#define AIPU_CAP_SOFT_CAP (1ull << 12)
#define AIPU_CAP_TREE_MASK (1ull << 13)
#define AIPU_CAP_MATMUL_BIAS (1ull << 14)
#define AIPU_CAP_HEAD_NORM (1ull << 15)
#define AIPU_CAP_ROPE_FREQUENCIES \
	(1ull << 16) /* ROPE computes sin and cos from inverse frequencies */
#define AIPU_CAP_GELU (1ull << 17)
#define AIPU_CAP_PRIORITIES (1ull << 18)
#define AIPU_CAP_PARTIAL_ROTARY (1ull << 19)
#define AIPU_CAP_EMBEDDINGS_IN (1ull << 20) /* token source EMBEDDINGS */
#define AIPU_CAP_COALESCING (1ull << 21)
#define AIPU_CAP_SINKS (1ull << 22)
#define AIPU_CAP_FLASH (1ull << 23) /* keeps firmware images of its own: spec.md, section 14 */
#define AIPU_CAP_LIMITS (1ull << 24) /* SET_LIMITS: power and clock */
#define AIPU_CAP_RAS (1ull << 25) /* counts errors of its memory and links */

/* Control */
#define AIPU_REG_CONTROL 0x0c0
#define AIPU_CONTROL_ENABLE (1u << 0) /* admin queue registers are sampled at 0 -> 1 */
#define AIPU_CONTROL_RESET (1u << 1) /* write 1: everything back to the state after power-on */
/* With RESET: the boot ROM starts nothing from flash, whatever is there, and waits for LOAD */
#define AIPU_CONTROL_RECOVERY (1u << 2)
#define AIPU_REG_STATUS 0x0c4
#define AIPU_STATUS_STATE_MASK 0xfu
#define AIPU_STATE_ROM 0 /* boot ROM waits for firmware */
#define AIPU_STATE_LOADING 1
#define AIPU_STATE_RUNNING 2 /* firmware runs, not enabled */
#define AIPU_STATE_READY 3 /* enabled */
#define AIPU_STATE_FAILED 4 /* see ERROR; leaves it by RESET only */
#define AIPU_STATE_RESETTING 5
#define AIPU_STATUS_IDLE (1u << 4) /* no DMA is in flight and none will start by itself */
#define AIPU_REG_ERROR 0x0c8 /* AIPU_ERROR_*; kept until RESET or the next BOOT_COMMAND */
#define AIPU_REG_HOST_ABI_OLDEST 0x0cc /* written by the host before ENABLE */
#define AIPU_REG_HOST_ABI_NEWEST 0x0d0
#define AIPU_REG_ABI_IN_USE 0x0d4 /* chosen at ENABLE: the newest version in both ranges */
#define AIPU_REG_RESET_COUNT 0x0d8 /* resets since power-on, of any kind */

/* X(name, code, text): why the state is FAILED, or why a boot command was refused */
#define AIPU_ERROR_LIST(X)                                                                         \
	X(NONE, 0, "no error")                                                                     \
	X(FIRMWARE_DMA, 1, "the firmware image could not be read")                                 \
	X(FIRMWARE_SIZE, 2, "the firmware image is shorter than its header says, or too large")    \
	X(FIRMWARE_MAGIC, 3, "not a firmware image")                                               \
	X(FIRMWARE_HEADER, 4, "the firmware header is of an unknown version or malformed")         \
	X(FIRMWARE_DIGEST, 5, "the firmware image does not have its digest")                       \
	X(FIRMWARE_BOARD, 6, "the firmware image is for another board")                            \
	X(FIRMWARE_SIGNATURE, 7, "the firmware signature is missing or wrong")                     \
	X(FIRMWARE_ROLLBACK, 8, "the firmware image is older than the device permits")             \
	X(FIRMWARE_ABI, 9, "the firmware speaks no contract version of the boot ROM")              \
	X(ABI_TOO_OLD, 10, "the host's newest contract version is older than the device's oldest") \
	X(ABI_TOO_NEW, 11, "the host's oldest contract version is newer than the device's newest") \
	X(ADMIN_QUEUE, 12, "address or size of the admin queue is not permitted")                  \
	X(STATE, 13, "the command is not permitted in this state")                                 \
	X(ADMIN_DMA, 14, "the admin queue could not be read or written")                           \
	X(FATAL, 15, "internal failure")                                                           \
	X(QUEUE, 16,                                                                               \
	  "a doorbell value or a ring of an I/O queue is not valid: that queue has stopped")       \
	X(SLOT_EMPTY, 17, "the flash slot holds no image")                                         \
	X(SLOT_TRIED, 18, "the image in the flash slot did not become ready in any of its tries")  \
	X(OVERHEATED, 19, "the temperature passed its limit: the cores were switched off")
#define AIPU_ERROR_ENUM(name, code, text) AIPU_ERROR_##name = (code),
enum aipu_error { AIPU_ERROR_LIST(AIPU_ERROR_ENUM) AIPU_ERROR_COUNT };
#undef AIPU_ERROR_ENUM

/* Boot: the image (aipu_firmware.h) lies in one DMA-contiguous range of host memory */
#define AIPU_REG_BOOT_ADDRESS_LO 0x100
#define AIPU_REG_BOOT_ADDRESS_HI 0x104
#define AIPU_REG_BOOT_BYTES 0x108
#define AIPU_REG_BOOT_COMMAND 0x10c
#define AIPU_BOOT_LOAD 1 /* in state ROM */

/* Admin queue (queue 0): sampled at ENABLE. Addresses 4 KiB aligned, entries a power of two 2..4096 */
#define AIPU_REG_ADMIN_SQ_LO 0x140
#define AIPU_REG_ADMIN_SQ_HI 0x144
#define AIPU_REG_ADMIN_CQ_LO 0x148
#define AIPU_REG_ADMIN_CQ_HI 0x14c
#define AIPU_REG_ADMIN_ENTRIES 0x150
#define AIPU_REG_ADMIN_VECTOR 0x154

/* Telemetry (read only); a value of ~0 is unknown */
#define AIPU_REG_HEARTBEAT 0x180 /* changes at least every 100 ms while firmware runs */
#define AIPU_REG_TEMPERATURE 0x184 /* millidegrees Celsius, signed */
#define AIPU_REG_POWER 0x188 /* mW */
#define AIPU_REG_CLOCK 0x18c /* MHz */
#define AIPU_REG_STEPS 0x190 /* steps since boot: the step counter of completions */
#define AIPU_REG_LONGEST_STEP_US 0x194 /* since boot */
#define AIPU_REG_BUSY_US_LO 0x198 /* time spent in steps since boot */
#define AIPU_REG_BUSY_US_HI 0x19c
#define AIPU_REG_RESCUES \
	0x1a0 /* submissions found by the device's rescue timer, not by a doorbell */

#define AIPU_REG_POWER_LIMIT 0x1a4 /* mW */
#define AIPU_REG_CLOCK_LIMIT 0x1a8 /* MHz */
#define AIPU_REG_TEMPERATURE_THROTTLE 0x1ac /* millidegrees: the clock is lowered from here on */
#define AIPU_REG_TEMPERATURE_SHUTDOWN 0x1b0 /* millidegrees: FAILED with OVERHEATED */
#define AIPU_REG_THROTTLE 0x1b4 /* AIPU_THROTTLE_*: why the clock is below its limit right now */
#define AIPU_THROTTLE_TEMPERATURE (1u << 0)
#define AIPU_THROTTLE_POWER (1u << 1)
#define AIPU_REG_CORRECTED_ERRORS 0x1b8 /* since power-on; wraps. CAP RAS */
#define AIPU_REG_UNCORRECTED_ERRORS 0x1bc
/* 64-bit counters since power-on; ~0 in both halves: unknown */
#define AIPU_REG_ENERGY_UJ_LO 0x1c0 /* microjoules */
#define AIPU_REG_ENERGY_UJ_HI 0x1c4
#define AIPU_REG_MEMORY_READ_LO 0x1c8 /* bytes that steps read of device memory */
#define AIPU_REG_MEMORY_READ_HI 0x1cc
#define AIPU_REG_MEMORY_WRITTEN_LO 0x1d0
#define AIPU_REG_MEMORY_WRITTEN_HI 0x1d4
#define AIPU_REG_OPERATIONS_LO 0x1d8 /* multiplications with addition */
#define AIPU_REG_OPERATIONS_HI 0x1dc
#define AIPU_REG_MEMORY_PEAK_MBS 0x1e0 /* bandwidth of device memory, 10^6 bytes per second */

/* Doorbells: page 1 + queue id */
#define AIPU_DOORBELL_PAGE(queue) ((1u + (uint32_t)(queue)) * AIPU_PAGE_BYTES)
#define AIPU_DOORBELL_SQ_TAIL 0x0 /* index of the next entry that the host will write */
#define AIPU_DOORBELL_CQ_HEAD 0x4 /* index of the next completion that the host will read */
#define AIPU_DOORBELL_KICK 0x8 /* any value: the host took records from a full token ring */

#define AIPU_BAR0_BYTES(max_queues) AIPU_DOORBELL_PAGE((max_queues) + 1u)

#endif
