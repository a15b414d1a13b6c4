// SPDX-License-Identifier: MIT
/*
 * See names.h. Tables in the order of the enumerations in firmware-abi/.
 */
#include "names.h"

#include <stddef.h>

#include "aipu_program.h"
#include "aipu_qpc.h"
#include "aipu_registers.h"

#define PICK(table, index)                                                               \
	((index) < sizeof(table) / sizeof((table)[0]) && (table)[index] ? (table)[index] \
									: "unknown")

const char *section_name(uint32_t kind)
{
	static const char *const names[] = {
		[AIPU_QPC_MODEL] = "model",
		[AIPU_QPC_PROGRAM] = "program",
		[AIPU_QPC_CONSTANTS] = "constants",
		[AIPU_QPC_WEIGHTS] = "weights",
		[AIPU_QPC_WEIGHT_DIGESTS] = "weight_digests",
		[AIPU_QPC_INVERSE_FREQUENCIES] = "inverse_frequencies",
		[AIPU_QPC_SOURCE] = "source",
	};

	return PICK(names, kind);
}

const char *format_name(uint32_t format)
{
	static const char *const names[AIPU_FMT_COUNT] = {
		[AIPU_FMT_NONE] = "none",
		[AIPU_FMT_F32] = "f32",
		[AIPU_FMT_F16] = "f16",
		[AIPU_FMT_BF16] = "bf16",
		[AIPU_FMT_I8_G32] = "i8_g32",
		[AIPU_FMT_I4_G32] = "i4_g32",
		[AIPU_FMT_I4_G64] = "i4_g64",
		[AIPU_FMT_I4_G128] = "i4_g128",
		[AIPU_FMT_I8_CHANNEL] = "i8_channel",
		[AIPU_FMT_I16_CHANNEL] = "i16_channel",
		[AIPU_FMT_MXINT8] = "mxint8",
		[AIPU_FMT_MX9] = "mx9",
		[AIPU_FMT_MX6] = "mx6",
		[AIPU_FMT_MXFP6] = "mxfp6",
		[AIPU_FMT_MX4] = "mx4",
		[AIPU_FMT_I4_G32_MIN] = "i4_g32_min",
		[AIPU_FMT_I4_G32_2L] = "i4_g32_2l",
		[AIPU_FMT_I32] = "i32",
	};

	return PICK(names, format);
}

const char *layout_name(uint32_t layout)
{
	static const char *const names[AIPU_LAYOUT_COUNT] = {
		[AIPU_LAYOUT_ROWS] = "rows",
		[AIPU_LAYOUT_TILE16] = "tile16",
		[AIPU_LAYOUT_KV_K] = "kv_k",
		[AIPU_LAYOUT_KV_V] = "kv_v",
	};

	return PICK(names, layout);
}

const char *slot_kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[AIPU_SLOT_WEIGHTS] = "weights", [AIPU_SLOT_CONSTANTS] = "constants",
		[AIPU_SLOT_KV] = "kv",		 [AIPU_SLOT_SCRATCH] = "scratch",
		[AIPU_SLOT_LOGITS] = "logits",	 [AIPU_SLOT_INPUT] = "input",
		[AIPU_SLOT_OUTPUT] = "output",
	};

	return PICK(names, kind);
}

const char *rows_name(uint32_t rows)
{
	static const char *const names[] = {
		[AIPU_ROWS_FIXED] = "fixed",
		[AIPU_ROWS_TOKENS] = "tokens",
		[AIPU_ROWS_SELECTED] = "selected",
	};

	return PICK(names, rows);
}

const char *opcode_name(uint32_t opcode)
{
	static const char *const names[AIPU_OP_COUNT] = {
		[AIPU_OP_END] = "end",
		[AIPU_OP_EMBED] = "embed",
		[AIPU_OP_RMSNORM] = "rmsnorm",
		[AIPU_OP_MATMUL] = "matmul",
		[AIPU_OP_ROPE] = "rope",
		[AIPU_OP_KV_UPDATE] = "kv_update",
		[AIPU_OP_ATTENTION] = "attention",
		[AIPU_OP_ACTIVATE] = "activate",
		[AIPU_OP_ADD] = "add",
		[AIPU_OP_SELECT] = "select",
		[AIPU_OP_QUANTIZE] = "quantize",
		[AIPU_OP_REQUANTIZE] = "requantize",
		[AIPU_OP_KV_SHIFT] = "kv_shift",
		[AIPU_OP_GATHER] = "gather",
		[AIPU_OP_ALL_REDUCE] = "all_reduce",
		[AIPU_OP_ALL_GATHER] = "all_gather",
		[AIPU_OP_SEND] = "send",
		[AIPU_OP_RECEIVE] = "receive",
		[AIPU_OP_LAYERNORM] = "layernorm",
		[AIPU_OP_ROUTE] = "route",
	};

	return PICK(names, opcode);
}

const char *activation_format_name(uint32_t format)
{
	static const char *const names[AIPU_ACT_COUNT] = {
		[AIPU_ACT_PLAIN] = "plain",
		[AIPU_ACT_DYNAMIC_I8_G32] = "dynamic_i8_g32",
		[AIPU_ACT_STATIC_I8] = "static_i8",
		[AIPU_ACT_STATIC_I16] = "static_i16",
		[AIPU_ACT_MX] = "mx",
	};

	return PICK(names, format);
}

const char *precision_name(uint32_t precision)
{
	static const char *const names[] = {
		[AIPU_PRECISION_FP32] = "fp32",
		[AIPU_PRECISION_FP16] = "fp16",
		[AIPU_PRECISION_INT8] = "int8",
	};

	return PICK(names, precision);
}

const char *kv_kind_name(uint32_t kind)
{
	static const char *const names[AIPU_KV_COUNT] = {
		[AIPU_KV_NONE] = "none",
		[AIPU_KV_SMART_MASK] = "smart_mask",
		[AIPU_KV_SHIFT] = "shift",
		[AIPU_KV_PAGED] = "paged",
	};

	return PICK(names, kind);
}

const char *capability_name(uint32_t bit)
{
#define BIT_OF(cap) (__builtin_ctzll(AIPU_CAP_##cap))
	static const char *const names[] = {
		[BIT_OF(UMA)] = "uma",
		[BIT_OF(SHADOW_DOORBELLS)] = "shadow_doorbells",
		[BIT_OF(COPY_DIGEST)] = "copy_digest",
		[BIT_OF(LANE_REFILL)] = "lane_refill",
		[BIT_OF(PENALTIES)] = "penalties",
		[BIT_OF(LOGIT_BIAS)] = "logit_bias",
		[BIT_OF(TOKEN_BITMAP)] = "token_bitmap",
		[BIT_OF(LOGPROBS)] = "logprobs",
		[BIT_OF(INDEXED_OPERANDS)] = "indexed_operands",
		[BIT_OF(PEER_SEGMENTS)] = "peer_segments",
		[BIT_OF(COLLECTIVES)] = "collectives",
		[BIT_OF(SLIDING_WINDOW)] = "sliding_window",
		[BIT_OF(SOFT_CAP)] = "soft_cap",
		[BIT_OF(TREE_MASK)] = "tree_mask",
		[BIT_OF(MATMUL_BIAS)] = "matmul_bias",
		[BIT_OF(HEAD_NORM)] = "head_norm",
		[BIT_OF(ROPE_FREQUENCIES)] = "rope_frequencies",
		[BIT_OF(GELU)] = "gelu",
		[BIT_OF(PRIORITIES)] = "priorities",
		[BIT_OF(PARTIAL_ROTARY)] = "partial_rotary",
		[BIT_OF(EMBEDDINGS_IN)] = "embeddings_in",
		[BIT_OF(COALESCING)] = "coalescing",
		[BIT_OF(SINKS)] = "sinks",
		[BIT_OF(FLASH)] = "flash",
		[BIT_OF(LIMITS)] = "limits",
		[BIT_OF(RAS)] = "ras",
	};
#undef BIT_OF

	return PICK(names, bit);
}
