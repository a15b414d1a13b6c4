/* SPDX-License-Identifier: MIT */
/*
 * Inside the compiler: the graph and what its passes know of each other. A graph is a plain list of nodes in
 * the order of execution over a plain list of values; passes run one after another and each leaves a graph
 * that computes the same.
 */
#ifndef AIPU_COMPILE_GRAPH_H
#define AIPU_COMPILE_GRAPH_H

#include "aipu_program.h"
#include "compiler.h"

#define GRAPH_NONE (~0u)

enum value_kind {
	VALUE_ACTIVATION, /* [T or S][columns] binary32 */
	VALUE_MATRIX, /* weights in tiles */
	VALUE_NORM, /* [1][columns] binary32 */
	VALUE_ROPE, /* [ctx_len][rotary dimensions] binary32 */
	VALUE_KV_K,
	VALUE_KV_V,
	VALUE_LOGITS, /* [S][vocabulary] binary32 */
};

/* Slots of every program, in this order */
enum graph_slot { SLOT_WEIGHTS, SLOT_CONSTANTS, SLOT_KV, SLOT_SCRATCH, SLOT_LOGITS, SLOT_COUNT };

#define VALUE_MAX_PARTS 4u

/* Source rows that make up a weight; in tiles each part begins on a tile of its own */
struct value_part {
	enum compile_tensor tensor;
	uint32_t layer;
	uint32_t rows;
};

struct value {
	enum value_kind kind;
	uint8_t rows; /* enum aipu_rows of activations */
	uint32_t columns;
	/* Activations that are a stretch of another one's columns: which, and where it begins */
	uint32_t base; /* value, or GRAPH_NONE */
	uint32_t first_column;
	/* Weights */
	uint32_t part_count;
	struct value_part parts[VALUE_MAX_PARTS];
	uint32_t format; /* enum aipu_format; set by graph_choose_formats */
	/* Place; set by graph_place_* */
	uint32_t slot;
	uint64_t offset, stride, bytes;
	bool placed;
};

/* a..d, dst: values */
struct node {
	uint8_t opcode;
	uint8_t activation_format;
	uint8_t epilogue;
	bool dead; /* taken up by another node */
	uint32_t dst, a, b, c, d;
	uint32_t u[4];
	float f[4];
};

struct graph {
	struct compile_shape shape;
	struct compile_options options;
	uint32_t max_tokens, max_selected,
		max_logits; /* of any entry: T, S; S of entry "logits", 0: none */
	struct value *values;
	uint32_t value_count, value_room;
	struct node *nodes;
	uint32_t node_count, node_room;
	uint64_t slot_bytes[SLOT_COUNT];
	uint64_t kv_slot_bytes;
	uint32_t logits; /* value */
	bool short_of_memory;
};

/* Options as compile_check() left them. -ENOMEM. Release with graph_free(), also after a failure. */
int graph_build(struct graph *graph, const struct compile_shape *shape,
		const struct compile_options *options);
void graph_free(struct graph *graph);
uint32_t graph_add_value(struct graph *graph, struct value value);

/* The passes, in this order */
int graph_fuse_matmuls(struct graph *graph);
void graph_fuse_adds(struct graph *graph);
void graph_choose_formats(struct graph *graph);
void graph_place_weights(struct graph *graph);
void graph_place_kv(struct graph *graph);
int graph_place_scratch(struct graph *graph);

/* Where a view's columns lie: the value that owns the memory, and the first column in it */
uint32_t graph_owner(const struct graph *graph, uint32_t value, uint32_t *column);

/* Rows of a weight matrix as it is stored, the padding between its parts included */
uint32_t value_stored_rows(const struct value *value);

/* The program image, malloc'ed. -ENOMEM, -E2BIG */
int graph_emit(const struct graph *graph, void **image, size_t *bytes);

/* --- contents of the sections (weights.c) --- */

/* Bytes [begin, begin + bytes) of slot WEIGHTS or CONSTANTS; any thread. 0 or -errno */
struct fill;
int fill_create(const struct graph *graph, const struct compile_source *source, uint32_t slot,
		struct fill **fill);
void fill_free(struct fill *fill);
struct fill_scratch; /* of one thread */
int fill_scratch_create(const struct fill *fill, struct fill_scratch **scratch);
void fill_scratch_free(struct fill_scratch *scratch);
/* -ERANGE for a weight that cannot be held; what fill_scratch_why() says is of the last failure */
int fill_bytes(const struct fill *fill, struct fill_scratch *scratch, uint64_t begin, size_t bytes,
	       uint8_t *to);
#define FILL_WHY_BYTES 256u
const char *fill_scratch_why(const struct fill_scratch *scratch); /* "": the error says it all */

/* Inverse frequencies, scaling included: head_dim / 2 numbers */
void rope_inverse_frequencies(const struct compile_shape *shape, double *inverse);

uint32_t tensor_rows(const struct compile_shape *shape, enum compile_tensor tensor);
uint32_t tensor_columns(const struct compile_shape *shape, enum compile_tensor tensor);
bool tensor_is_norm(enum compile_tensor tensor);

/* "layers.3.wq", for people (source_section.c) */
void part_name(const struct value_part *part, char *name, size_t bytes);
/* JSON text of section SOURCE, malloc'ed (source_section.c). -ENOMEM */
int source_section(const struct graph *graph, const struct compile_source *source, char **text);

#endif
