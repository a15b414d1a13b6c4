/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is decided of the words of a card or a process, and of time: without state and without the
 * card. Called by the files that read those words, tested by KUnit (tests/). Nothing here believes
 * that a number is in any range.
 */
#ifndef AIPU_CHECK_H
#define AIPU_CHECK_H

#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/overflow.h>
#include <linux/scatterlist.h>
#include <drm/aipu_accel.h>

#include "aipu_drv.h"

#define AIPU_ROM_TIMEOUT_MS 10000u /* of any change before firmware runs */
#define AIPU_MAX_TIMEOUT_MS 120000u /* what a card may ask for */
#define AIPU_RESCUE_TICKS 10u /* ticks that a completion outlives without its interrupt */
/*
 * The heartbeat changes every 100 ms, or the card stands still: seen by as many looks and for as
 * long, since a guest that stood still itself looks only once.
 */
#define AIPU_STILL_LOOKS 4u
#define AIPU_STILL_JIFFIES HZ
#define AIPU_DEVICE_ALIGN 64u /* of offsets and lengths in device memory, SEG-2 */
#define AIPU_FLASH_CHUNK_BYTES (64u << 10) /* of one flash command; a card may take more */

/* --- the card's words ------------------------------------------------------------------------- */

/*
 * Of two ranges of versions, ours and the card's: 0 and *version, the newest in both; -EPROTO: the
 * card's are too old; -EPROTONOSUPPORT: too new; -EIO: not a range.
 */
static inline int aipu_version_choose(u32 oldest, u32 newest, u32 card_oldest, u32 card_newest,
				      u32 *version)
{
	if (card_oldest > card_newest)
		return -EIO;
	if (card_newest < oldest)
		return -EPROTO;
	if (card_oldest > newest)
		return -EPROTONOSUPPORT;
	*version = min(newest, card_newest);
	return 0;
}

/*
 * Cuts what the card reports down to what BAR0 and BAR2 hold and the driver can number. NULL, or
 * what makes the card unusable.
 */
static inline const char *aipu_limits_check(struct aipu_limits *limits, u64 register_bytes,
					    u64 memory_bytes)
{
	if (register_bytes < AIPU_BAR0_BYTES(1))
		return "BAR0 holds no queue's doorbells";
	limits->max_queues = min3((u64)limits->max_queues, AIPU_MAX_QUEUES,
				  register_bytes / AIPU_PAGE_BYTES - 2);
	limits->max_queue_entries = min(limits->max_queue_entries, AIPU_MAX_ENTRIES);
	limits->max_contexts = min(limits->max_contexts, AIPU_MAX_CONTEXTS);
	limits->max_segments = min(limits->max_segments, AIPU_MAX_SEGMENTS);
	limits->max_programs = min(limits->max_programs, AIPU_MAX_PROGRAMS);
	limits->max_extents = min(limits->max_extents, AIPU_MAX_EXTENTS);
	limits->memory_bytes = min(limits->memory_bytes, memory_bytes);
	limits->memory_bytes = round_down(limits->memory_bytes, PAGE_SIZE);
	if (!limits->max_queues || !limits->max_contexts)
		return "it offers no queue or no context";
	if (limits->max_queue_entries < 2 || !is_power_of_2(limits->max_queue_entries))
		return "its queues' size is no power of two from 2";
	if (limits->max_segments < 2 || !limits->max_programs || !limits->max_extents)
		return "it offers too few segments, programs or extents";
	if (!limits->memory_bytes)
		return "it has no device memory";
	if (!limits->vectors)
		return "it has no interrupt vector";
	return NULL;
}

/*
 * What a register of telemetry says: a number, a signed number, a counter of 64 bits. All ones: the
 * card does not know it. No counter gets to 2^63.
 */
static inline s64 aipu_value(u32 raw)
{
	return aipu_gone(raw) ? DRM_AIPU_UNKNOWN : (s64)raw;
}

static inline s64 aipu_signed_value(u32 raw)
{
	return aipu_gone(raw) ? DRM_AIPU_UNKNOWN : (s64)(s32)raw;
}

static inline s64 aipu_counter_value(u64 raw)
{
	return raw > S64_MAX ? DRM_AIPU_UNKNOWN : (s64)raw;
}

/* `value` in units of which `unit` are one of its own */
static inline s64 aipu_value_in(s64 value, u32 unit)
{
	s64 product;

	return value == DRM_AIPU_UNKNOWN || check_mul_overflow(value, (s64)unit, &product)
		       ? DRM_AIPU_UNKNOWN
		       : product;
}

/* The most that was seen of what never goes back, `value` with it */
static inline s64 aipu_never_back(atomic64_t *most, s64 value)
{
	s64 seen = atomic64_read(most);

	while (seen < value)
		if (atomic64_try_cmpxchg(most, &seen, value))
			return value;
	return seen;
}

/* What a card says of its flash: texts with an end, pieces that the driver can give it */
static inline void aipu_flash_info_mask(struct aipu_flash_info *info)
{
	info->chunk_bytes =
		cpu_to_le32(min(le32_to_cpu(info->chunk_bytes), AIPU_FLASH_CHUNK_BYTES));
	for (unsigned int i = 0; i < ARRAY_SIZE(info->slots); i++)
		info->slots[i].build[sizeof(info->slots[i].build) - 1] = 0;
}

/* --- a process's words ------------------------------------------------------------------------ */

/* 0 or -EINVAL: a range of a buffer of `bytes`, and its access */
static inline int aipu_segment_check(u64 bytes, u64 offset, u64 length, u32 access, bool device)
{
	u64 end;

	if (!length || check_add_overflow(offset, length, &end) || end > bytes)
		return -EINVAL;
	if (!access || access & ~(DRM_AIPU_ACCESS_READ | DRM_AIPU_ACCESS_WRITE))
		return -EINVAL;
	if (device && (offset % AIPU_DEVICE_ALIGN || length % AIPU_DEVICE_ALIGN))
		return -EINVAL;
	return 0;
}

/*
 * Calls `put` for each piece of [offset, offset + length) of a mapped table, neighbours as one. The
 * number of pieces; 0: the table ends before
 */
static inline unsigned int
aipu_each_extent(struct sg_table *table, u64 offset, u64 length,
		 void (*put)(void *to, unsigned int i, u64 address, u64 bytes), void *to)
{
	u64 address = 0, bytes = 0;
	unsigned int count = 0, i;
	struct scatterlist *sg;

	for_each_sgtable_dma_sg(table, sg, i) {
		u64 start = sg_dma_address(sg), room = sg_dma_len(sg);

		if (offset >= room) {
			offset -= room;
			continue;
		}
		start += offset;
		room = min(room - offset, length);
		offset = 0;
		length -= room;
		if (bytes && address + bytes == start) {
			bytes += room;
		} else {
			if (bytes)
				put(to, count++, address, bytes);
			address = start;
			bytes = room;
		}
		if (!length)
			break;
	}
	if (bytes)
		put(to, count++, address, bytes);
	return length ? 0 : count;
}

/* 0, or what the driver itself refuses of a job that a user gave */
static inline int aipu_job_check(const struct aipu_job *job, u32 kind)
{
	if (job->opcode > AIPU_JOB_GENERATE || job->flags || job->id || job->reserved)
		return -EINVAL;
	return kind == DRM_AIPU_QUEUE_UNFENCED ? 0 : -EOPNOTSUPP;
}

/* 0 or -EINVAL: a flash command; what it does not use is 0 */
static inline int aipu_flash_check(const struct drm_aipu_flash *args)
{
	bool place = args->op == DRM_AIPU_FLASH_WRITE || args->op == DRM_AIPU_FLASH_READ;
	bool info = args->op == DRM_AIPU_FLASH_INFO;
	u32 room = info ? sizeof(struct aipu_flash_info) : place ? AIPU_FLASH_CHUNK_BYTES : 0;

	if (args->op > DRM_AIPU_FLASH_ACTIVATE || args->slot > (info ? 0 : 1))
		return -EINVAL;
	if ((!place && args->offset) || args->bytes > room || !args->bytes != !room ||
	    (!room && args->data))
		return -EINVAL;
	return 0;
}

/* --- time ------------------------------------------------------------------------------------- */

/* What any change of state of the card may take, admin commands included */
static inline u32 aipu_timeout_ms(const struct aipu_device *aipu)
{
	return clamp(aipu->limits.ready_timeout_ms, AIPU_ROM_TIMEOUT_MS, AIPU_MAX_TIMEOUT_MS);
}

/* What is left until a caller's `until_ns`, of CLOCK_MONOTONIC; 0: nothing */
static inline ktime_t aipu_time_left(s64 until_ns, ktime_t now)
{
	return until_ns > now ? until_ns - now : 0;
}

/*
 * Is a job over its time limit, `ran_ms` after the last one of its queue ended? One that may wait
 * for its taker never is: that time does not count.
 */
static inline bool aipu_job_overdue(u8 opcode, u32 timeout_ms, s64 ran_ms, u32 grace_ms)
{
	return timeout_ms && opcode != AIPU_JOB_GENERATE && ran_ms > (s64)timeout_ms + grace_ms;
}

/* Has a completion that is there for so long, in ticks and in time, lost its interrupt? */
static inline bool aipu_interrupt_lost(u32 ticks, s64 seen_us, u32 coalesce_us)
{
	return ticks >= AIPU_RESCUE_TICKS && seen_us > coalesce_us;
}

/* Has a heartbeat that so many looks found the same, since `changed`, stopped? */
static inline bool aipu_heart_stopped(u32 looks, unsigned long changed, unsigned long now)
{
	return looks >= AIPU_STILL_LOOKS && now - changed > AIPU_STILL_JIFFIES;
}

#endif
