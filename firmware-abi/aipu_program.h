/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The program: one SPMD instruction stream with its tables, as the compiler writes it and the device's
 * verifier accepts it. Layout in the image, all little endian, each table 8-byte aligned, in this order
 * and without gaps: header, slots, tensors, entries, instructions.
 *
 * A step has T token rows (the lanes' tokens one after another, in lane order) and S selected rows
 * (those whose logits are wanted). Each instruction is cut into tiles over the cores; the next starts
 * when all cores have ended it. Nothing depends on the number of cores. Arithmetic: numerics.md.
 */
#ifndef AIPU_PROGRAM_H
#define AIPU_PROGRAM_H

#include "aipu_types.h"

#define AIPU_PROGRAM_MAGIC 0x474f5250u /* "PROG" */

enum aipu_numerics {
	AIPU_NUMERICS_1 = 1, /* numerics.md */
};

/* Element formats. Bit numbers in capability masks. */
enum aipu_format {
	AIPU_FMT_NONE = 0,
	AIPU_FMT_F32 = 1, /* IEEE binary32 */
	AIPU_FMT_F16 = 2, /* IEEE binary16 */
	AIPU_FMT_BF16 = 3,
	AIPU_FMT_I8_G32 = 4, /* signed 8-bit, one fp16 scale per row and 32 columns */
	AIPU_FMT_I4_G32 = 5, /* the rest is defined by name only in 1.0 */
	AIPU_FMT_I4_G64 = 6,
	AIPU_FMT_I4_G128 = 7,
	AIPU_FMT_I8_CHANNEL = 8,
	AIPU_FMT_I16_CHANNEL = 9,
	AIPU_FMT_MXINT8 = 10,
	AIPU_FMT_MX9 = 11,
	AIPU_FMT_MX6 = 12,
	AIPU_FMT_MXFP6 = 13,
	AIPU_FMT_MX4 = 14,
	AIPU_FMT_I4_G32_MIN = 15, /* with a plane of minima */
	AIPU_FMT_I4_G32_2L = 16, /* with second-level scales */
	AIPU_FMT_I32 = 17,
	AIPU_FMT_COUNT
};

/* Activation formats of MATMUL: what becomes of the left operand's rows before the product */
enum aipu_activation_format {
	AIPU_ACT_PLAIN = 0, /* fp32 as it is */
	AIPU_ACT_DYNAMIC_I8_G32 = 1, /* quantized per row and group of 32 columns, numerics.md */
	AIPU_ACT_STATIC_I8 = 2, /* scale and zero point of an encodings id */
	AIPU_ACT_STATIC_I16 = 3,
	AIPU_ACT_MX = 4,
	AIPU_ACT_COUNT
};

enum aipu_layout {
	AIPU_LAYOUT_ROWS = 1, /* row r at offset + r * stride; elements of a row side by side */
	AIPU_LAYOUT_TILE16 = 2, /* weights in tiles of 16 rows, numerics.md */
	AIPU_LAYOUT_KV_K = 3, /* [slot][head][head_dim][position], slots `stride` bytes apart */
	AIPU_LAYOUT_KV_V = 4, /* [slot][head][position][head_dim] */
	AIPU_LAYOUT_COUNT
};

enum aipu_kv_kind {
	AIPU_KV_NONE = 0,
	/* position p lies at index p; positions above a row's own are masked */
	AIPU_KV_SMART_MASK = 1,
	AIPU_KV_SHIFT = 2, /* shift pointer */
	AIPU_KV_PAGED = 3,
	AIPU_KV_COUNT
};

/* What dims[0] of a ROWS tensor counts */
enum aipu_rows {
	AIPU_ROWS_FIXED = 0,
	AIPU_ROWS_TOKENS = 1, /* T of the step, at most dims[0] */
	AIPU_ROWS_SELECTED = 2, /* S of the step, at most dims[0] */
};

struct aipu_program_header {
	aipu_le32 magic;
	aipu_le32 header_bytes; /* of this structure */
	aipu_le32 abi_oldest; /* range of contract versions that the program needs */
	aipu_le32 abi_newest;
	aipu_le32 image_bytes; /* all tables included */
	aipu_le32 numerics; /* enum aipu_numerics */
	aipu_le64 operations; /* bitmap of the opcodes used */
	aipu_le64 capabilities; /* AIPU_CAP_* that it needs */
	aipu_le32 slot_count; /* 1..AIPU_MAX_SLOTS */
	aipu_le32 tensor_count; /* 1..AIPU_MAX_TENSORS */
	aipu_le32 entry_count; /* 1..AIPU_MAX_ENTRIES */
	aipu_le32 instruction_count;
	aipu_le32 vocabulary; /* token ids are below; 0: no EMBED and no logits */
	aipu_le32 kv_kind; /* enum aipu_kv_kind */
	aipu_le32 kv_slots; /* lanes' kv_slot is below; 0 with AIPU_KV_NONE, and only then */
	aipu_le32 rank; /* 0 of */
	aipu_le32 world; /* 1 */
	aipu_le32 reserved0;
	aipu_le64 reserved[19];
};
#define AIPU_MAX_SLOTS 64u
#define AIPU_MAX_TENSORS 65535u
#define AIPU_MAX_ENTRIES 64u
#define AIPU_NO_TENSOR 0xffffu

enum aipu_slot_kind {
	AIPU_SLOT_WEIGHTS = 1,
	AIPU_SLOT_CONSTANTS = 2,
	AIPU_SLOT_KV = 3,
	AIPU_SLOT_SCRATCH = 4, /* contents undefined before and after a job */
	AIPU_SLOT_LOGITS = 5,
	AIPU_SLOT_INPUT = 6, /* named boundary tensors of a block */
	AIPU_SLOT_OUTPUT = 7,
};

/* An operand slot: a stretch of memory that each RUN or GENERATE names anew */
struct aipu_slot {
	uint8_t kind; /* enum aipu_slot_kind */
	uint8_t access; /* AIPU_ACCESS_* that the segment must permit */
	aipu_le16 reserved0;
	aipu_le32 reserved1;
	aipu_le64 min_bytes;
	char name[48]; /* padded with zeros, ends with one */
};

struct aipu_tensor {
	aipu_le16 slot;
	uint8_t format; /* enum aipu_format */
	uint8_t layout; /* enum aipu_layout */
	uint8_t rows; /* enum aipu_rows */
	uint8_t reserved0[3];
	aipu_le64 offset; /* in the slot; a multiple of 64 (of 4 for a ROWS tensor of F32) */
	aipu_le64 stride; /* bytes: ROWS: from row to row, a multiple of 4; KV: from slot to slot; TILE16: 0 */
	aipu_le32 dims[4]; /* ROWS, TILE16: rows, columns, 1, 1; KV: slots, heads, head_dim, positions */
	aipu_le32 index_count; /* indexed operands: base + index * index_stride. 0: not indexed */
	aipu_le32 index_tensor;
	aipu_le64 index_stride;
	aipu_le64 reserved1;
};

/*
 * Opcodes. dst, a, b, c, d are tensor indices; M is T or S, as dst says. Bit numbers of CAP_OPS.
 * Activation tensors are ROWS of F32.
 */
enum aipu_opcode {
	AIPU_OP_END = 0, /* not in an entry's range; pads a stream */
	/* dst[T][C] = row token(t) of a[V][C] (TILE16 or ROWS; V = vocabulary) */
	AIPU_OP_EMBED = 1,
	/* dst[M][C] = RMS norm of a[M][C] times (b[1][C] + f[1]), epsilon f[0] > 0 and finite;
	 * f[1] finite; u[0]: group columns, 0 = C, else a divisor of C */
	AIPU_OP_RMSNORM = 2,
	/* dst[M][N] = a[M][K] x transposed b[N][K] (+ c[1][N]); AIPU_EPILOGUE_ADD: dst += instead of = */
	AIPU_OP_MATMUL = 3,
	/* in place: heads of dst[T][heads * u[0]] rotated by a[positions][u[1]] (cos, sin);
	 * u[0] 1..512, u[1] even, 2..u[0] */
	AIPU_OP_ROPE = 4,
	/* dst (KV_K) and d (KV_V) at the rows' positions = a[T][heads * head_dim] (K), b (V) */
	AIPU_OP_KV_UPDATE = 5,
	/* dst[T][u[0] * head_dim] = attention of a[T][u[0] * head_dim] over b (KV_K), c (KV_V); f[0]: scale,
	 * f[1]: soft cap (0 off), u[1]: window (0 off), u[2]: sinks (0), u[3]: mask kind (0 causal) */
	AIPU_OP_ATTENTION = 6,
	/* dst[M][C] = activation u[0] of a[M][C], times b[M][C] if there is one */
	AIPU_OP_ACTIVATE = 7,
	/* dst[M][C] = a[M][C] + b[M][C] */
	AIPU_OP_ADD = 8,
	/* dst[S][C] = the selected rows of a[T][C] */
	AIPU_OP_SELECT = 9,
	/* defined by name in 1.0, executed by no device yet */
	AIPU_OP_QUANTIZE = 10,
	AIPU_OP_REQUANTIZE = 11,
	AIPU_OP_KV_SHIFT = 12,
	AIPU_OP_GATHER = 13,
	AIPU_OP_ALL_REDUCE = 14,
	AIPU_OP_ALL_GATHER = 15,
	AIPU_OP_SEND = 16,
	AIPU_OP_RECEIVE = 17,
	AIPU_OP_LAYERNORM = 18,
	AIPU_OP_ROUTE = 19, /* experts */
	AIPU_OP_COUNT
};

#define AIPU_EPILOGUE_ADD (1u << 0)
enum aipu_activation { AIPU_ACTIVATION_SILU = 0, AIPU_ACTIVATION_GELU = 1 };

struct aipu_instruction {
	uint8_t opcode; /* enum aipu_opcode */
	uint8_t activation_format; /* MATMUL: enum aipu_activation_format; else 0 */
	uint8_t epilogue; /* MATMUL: AIPU_EPILOGUE_*; else 0 */
	uint8_t reserved0;
	aipu_le16 dst; /* tensor index, or AIPU_NO_TENSOR */
	aipu_le16 a;
	aipu_le16 b;
	aipu_le16 c;
	aipu_le16 d;
	aipu_le16 encodings; /* encodings id of static formats; else 0 */
	aipu_le32 u[4]; /* integers and */
	aipu_le32 f[4]; /* IEEE binary32 bit patterns, as the opcode says; unused ones 0 */
	aipu_le64 reserved1[2];
};

/* A specialization: a range of instructions and the bounds within which it was written */
struct aipu_entry {
	char name[32]; /* "prefill", "decode"; padded with zeros, ends with one */
	aipu_le32 first_instruction;
	aipu_le32 instruction_count; /* >= 1 */
	aipu_le32 max_tokens; /* T at most */
	aipu_le32 max_lanes; /* active lanes at most */
	aipu_le32 max_selected; /* S at most; 0: no logits */
	aipu_le32 ctx_len; /* position + n_valid at most */
	aipu_le16 logits; /* tensor [S][vocabulary], F32 ROWS, or AIPU_NO_TENSOR */
	aipu_le16 input; /* tensor of token source EMBEDDINGS, or AIPU_NO_TENSOR */
	aipu_le16 hidden; /* hidden-state output, or AIPU_NO_TENSOR */
	aipu_le16 reserved0;
};

/* Why the verifier refused. detail = reason << 24 | index (instruction, tensor, slot or entry) */
#define AIPU_REFUSAL(reason, index) (((uint32_t)(reason) << 24) | (0xffffffu & (uint32_t)(index)))
/* X(name, code, text) */
#define AIPU_REFUSAL_LIST(X)                                                               \
	X(NONE, 0, "accepted")                                                             \
	X(HEADER, 1, "header field out of range")                                          \
	X(SIZE, 2, "tables do not fill the image exactly")                                 \
	X(VERSION, 3, "contract version outside the device's range")                       \
	X(NUMERICS, 4, "numerics id not offered")                                          \
	X(CAPABILITY, 5, "needs a capability that the device does not have")               \
	X(SLOT, 6, "slot malformed")                                                       \
	X(TENSOR, 7, "tensor malformed")                                                   \
	X(TENSOR_RANGE, 8, "tensor reaches beyond its slot's min_bytes")                   \
	X(FORMAT, 9, "format or layout not offered, or not permitted here")                \
	X(ENTRY, 10, "entry malformed")                                                    \
	X(OPCODE, 11, "opcode unknown, not offered or not declared in the header")         \
	X(OPERAND, 12, "operand missing, superfluous or of the wrong kind")                \
	X(SHAPE, 13, "shapes of the operands do not fit each other or the entry's bounds") \
	X(PARAMETER, 14, "instruction parameter out of range")                             \
	X(ACCESS, 15, "writes to a slot that does not declare it")                         \
	X(RESERVED, 16, "reserved field not zero")
#define AIPU_REFUSAL_ENUM(name, code, text) AIPU_REFUSAL_##name = (code),
enum aipu_refusal { AIPU_REFUSAL_LIST(AIPU_REFUSAL_ENUM) AIPU_REFUSAL_COUNT };
#undef AIPU_REFUSAL_ENUM

AIPU_ASSERT_SIZE(struct aipu_program_header, 232);
AIPU_ASSERT_OFFSET(struct aipu_program_header, slot_count, 40);
AIPU_ASSERT_SIZE(struct aipu_slot, 64);
AIPU_ASSERT_SIZE(struct aipu_tensor, 64);
AIPU_ASSERT_OFFSET(struct aipu_tensor, dims, 24);
AIPU_ASSERT_SIZE(struct aipu_instruction, 64);
AIPU_ASSERT_OFFSET(struct aipu_instruction, u, 16);
AIPU_ASSERT_SIZE(struct aipu_entry, 64);

#endif
