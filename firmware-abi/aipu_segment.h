/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Segments: the per-context table of all memory that a context's jobs may touch. The device copies a
 * descriptor, and the whole extent list behind it, when it executes BIND; later changes of either in
 * host memory have no effect. Only the admin queue changes the table.
 */
#ifndef AIPU_SEGMENT_H
#define AIPU_SEGMENT_H

#include "aipu_types.h"

enum aipu_segment_kind {
	AIPU_SEGMENT_HOST = 1, /* an extent list of host memory */
	AIPU_SEGMENT_DEVICE = 2, /* a range of device memory */
	AIPU_SEGMENT_PEER = 3, /* a range of another card's memory: AIPU_CAP_PEER_SEGMENTS */
};

#define AIPU_ACCESS_READ (1u << 0)
#define AIPU_ACCESS_WRITE (1u << 1)

struct aipu_segment_descriptor {
	uint8_t kind; /* enum aipu_segment_kind */
	uint8_t access; /* AIPU_ACCESS_*, at least one */
	aipu_le16 reserved0;
	aipu_le32 extent_count; /* HOST: 1..MAX_EXTENTS, else 0 */
	aipu_le64 length; /* bytes, > 0 */
	aipu_le64 address; /* HOST: DMA address of the first extent page; DEVICE: offset in device memory */
	aipu_le64 peer; /* PEER: device id, else 0 */
	aipu_le64 reserved1;
};

/*
 * Extent list: a chain of 4 KiB pages, each with up to 255 extents in order and the address of the next
 * page (0 in the last). A page but the last is full; slots beyond extent_count are ignored. The extents'
 * lengths add up to the segment's.
 */
struct aipu_extent {
	aipu_le64 address; /* DMA address */
	aipu_le64 bytes; /* > 0 */
};
#define AIPU_EXTENTS_PER_PAGE 255u
struct aipu_extent_page {
	struct aipu_extent extents[AIPU_EXTENTS_PER_PAGE];
	aipu_le64 next;
	aipu_le64 reserved;
};

AIPU_ASSERT_SIZE(struct aipu_segment_descriptor, 40);
AIPU_ASSERT_OFFSET(struct aipu_segment_descriptor, length, 8);
AIPU_ASSERT_SIZE(struct aipu_extent, 16);
AIPU_ASSERT_SIZE(struct aipu_extent_page, 4096);

#endif
