/* SPDX-License-Identifier: MIT */
/* A device that offers what the compiler's programs need. Included by tests and fuzz targets that have no whole device. */
#ifndef DEVICE_LIMITS_H
#define DEVICE_LIMITS_H

#include "model.h"

static inline struct dm_limits device_limits(void)
{
	return (struct dm_limits){
		.operations = 0x3fe,
		.formats = 1u << AIPU_FMT_F32 | 1u << AIPU_FMT_F16 | 1u << AIPU_FMT_I8_G32,
		.kv_formats = 1u << AIPU_FMT_F32 | 1u << AIPU_FMT_F16,
		.kv_kinds = 1u << AIPU_KV_SMART_MASK,
		.numerics = 1u << AIPU_NUMERICS_1,
		.layouts = 1u << AIPU_LAYOUT_ROWS | 1u << AIPU_LAYOUT_TILE16 |
			   1u << AIPU_LAYOUT_KV_K | 1u << AIPU_LAYOUT_KV_V,
		.activations = 1u << AIPU_ACT_PLAIN | 1u << AIPU_ACT_DYNAMIC_I8_G32,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.max_lanes = 64, /* COMPILE_MAX_BATCH */
		.max_program_bytes = 1u << 20,
	};
}

#endif
