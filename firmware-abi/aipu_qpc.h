/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * QPC, the program container: the file "model.qpc" of a QPC directory, which the compiler writes and the
 * runtime loads. Header, section table, then the sections, each 4 KiB aligned, padded with zeros, so that
 * weights are executed straight from the page cache. Reproducible: equal input gives equal bytes.
 *
 * Loading verifies the header digest (header and section table) and the digests of all sections but
 * WEIGHTS; weights carry one digest per 4 MiB in a section of their own, checked on demand.
 */
#ifndef AIPU_QPC_H
#define AIPU_QPC_H

#include "aipu_types.h"

#define AIPU_QPC_MAGIC 0x31435055504941ull /* "AIPUPC1\0" */
#define AIPU_QPC_VERSION 1u
#define AIPU_QPC_MAX_SECTIONS 60u
#define AIPU_QPC_DIGEST_STEP (4u << 20)

enum aipu_qpc_section_kind {
	AIPU_QPC_MODEL = 1, /* struct aipu_qpc_model */
	AIPU_QPC_PROGRAM = 2, /* aipu_program.h; may occur several times, by name */
	/* what slot CONSTANTS holds: norms, RoPE table; under 1 MiB, or WEIGHTS */
	AIPU_QPC_CONSTANTS = 3,
	AIPU_QPC_WEIGHTS = 4,
	/* 32 bytes per AIPU_QPC_DIGEST_STEP bytes of WEIGHTS, the last shorter */
	AIPU_QPC_WEIGHT_DIGESTS = 5,
	AIPU_QPC_INVERSE_FREQUENCIES = 6, /* f32, rotary dimensions / 2: source of the RoPE table */
	AIPU_QPC_SOURCE = 7, /* JSON text for people: where it came from, options, tensor names */
};

struct aipu_qpc_section {
	aipu_le32 kind; /* enum aipu_qpc_section_kind */
	aipu_le32 flags; /* 0 */
	aipu_le64 offset; /* in the file, a multiple of 4096 */
	aipu_le64 bytes; /* > 0, without padding */
	uint8_t digest[32]; /* SHA-256; zero for WEIGHTS */
	aipu_le64 reserved;
};

struct aipu_qpc_header {
	aipu_le64 magic;
	aipu_le32 version;
	aipu_le32 header_bytes; /* 4096: header and section table */
	aipu_le32 abi_oldest; /* contract versions that the programs need */
	aipu_le32 abi_newest;
	aipu_le64 file_bytes;
	aipu_le32 section_count;
	aipu_le32 reserved0;
	uint8_t digest[32]; /* SHA-256 of the first header_bytes with this field zero */
	uint8_t reserved1[184];
	struct aipu_qpc_section sections[AIPU_QPC_MAX_SECTIONS];
};

enum aipu_qpc_precision {
	AIPU_PRECISION_FP32 = 1,
	AIPU_PRECISION_FP16 = 2,
	AIPU_PRECISION_INT8 = 3
};

/* What the runtime must know of the model. Shapes in elements, sizes in bytes. */
struct aipu_qpc_model {
	char name[64]; /* padded with zeros, ends with one */
	char architecture[32]; /* "llama" */
	aipu_le64 parameters;
	aipu_le32 precision; /* enum aipu_qpc_precision */
	aipu_le32 kv_format; /* enum aipu_format */
	aipu_le32 vocabulary;
	aipu_le32 layers;
	aipu_le32 dim;
	aipu_le32 hidden_dim;
	aipu_le32 heads;
	aipu_le32 kv_heads;
	aipu_le32 head_dim;
	aipu_le32 ctx_len;
	aipu_le32 prompt_len; /* tokens of a prefill step per lane */
	aipu_le32 batch_size; /* lanes */
	aipu_le32 cores; /* preference, 0: all */
	aipu_le32 prefill_entry; /* entry indices of program 0 */
	aipu_le32 decode_entry;
	aipu_le32 logits_entry; /* like prefill, with logits of all rows; ~0: none */
	aipu_le32 bos_id; /* ~0: none */
	aipu_le32 stop_count; /* at most 8 */
	aipu_le32 stop_ids[8];
	aipu_le64 kv_slot_bytes; /* for one lane */
	aipu_le64 reserved[16];
};

AIPU_ASSERT_SIZE(struct aipu_qpc_section, 64);
AIPU_ASSERT_SIZE(struct aipu_qpc_header, 4096);
AIPU_ASSERT_OFFSET(struct aipu_qpc_header, sections, 256);
AIPU_ASSERT_SIZE(struct aipu_qpc_model, 344);

#endif
