/* SPDX-License-Identifier: MIT */
/*
 * The compiler as a library: from a source of tensor rows to a QPC container. Called by aipu-compile (with
 * checkpoints as sources), by aipu-bench (with random weights) and by tests. It keeps no state between calls,
 * prints nothing, and never holds more of the weights in memory than a few tiles.
 */
#ifndef AIPU_COMPILER_H
#define AIPU_COMPILER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aipu/aipu.h" /* struct aipu_message */
#include "aipu_qpc.h"

/* The tensors of a Llama model. [rows][columns]; a norm is one row. */
enum compile_tensor {
	COMPILE_EMBEDDING, /* [vocabulary][dim] */
	COMPILE_NORM_ATTENTION, /* [1][dim], as are the other norms */
	COMPILE_WQ, /* [heads * head_dim][dim] */
	COMPILE_WK, /* [kv_heads * head_dim][dim] */
	COMPILE_WV, /* [kv_heads * head_dim][dim] */
	COMPILE_WO, /* [dim][heads * head_dim] */
	COMPILE_NORM_FFN,
	COMPILE_GATE, /* [hidden_dim][dim] */
	COMPILE_UP, /* [hidden_dim][dim] */
	COMPILE_DOWN, /* [dim][hidden_dim] */
	COMPILE_NORM_FINAL,
	COMPILE_CLASSIFIER, /* [vocabulary][dim]; not asked for when the embedding is tied */
	COMPILE_TENSORS
};

enum compile_rope { COMPILE_ROPE_PLAIN, COMPILE_ROPE_LINEAR, COMPILE_ROPE_LLAMA3 };

struct compile_shape {
	uint32_t vocabulary, layers, dim, hidden_dim, heads, kv_heads, head_dim;
	uint32_t positions; /* the longest context that the model was made for */
	bool tied; /* the classifier is the embedding */
	float norm_epsilon;
	double rope_theta;
	enum compile_rope rope;
	double rope_factor; /* LINEAR, LLAMA3 */
	double rope_low, rope_high; /* LLAMA3: low and high frequency factor */
	uint32_t rope_positions; /* LLAMA3: original context */
	uint32_t bos_id; /* ~0: none */
	uint32_t stop_count, stop_ids[8];
};

struct compile_source {
	struct compile_shape shape;
	char name[64]; /* of the model, for people */
	char kind[32]; /* "llama2.c", "huggingface", "random" */
	void *data; /* the source's own */
	/*
	 * Rows [row, row + count) as binary32, side by side. Rows of WQ and WK are in the order in which RoPE
	 * pairs element i of a head with i + head_dim / 2. Called by several threads at once. 0 or -errno.
	 */
	int (*read)(const struct compile_source *source, enum compile_tensor tensor, uint32_t layer,
		    uint32_t row, uint32_t count, float *to);
	void (*close)(struct compile_source *source);
};

struct compile_options {
	enum aipu_qpc_precision precision;
	uint32_t kv_format; /* AIPU_FMT_F32, AIPU_FMT_F16; 0: F32 for fp32, else F16 */
	uint32_t prompt_len; /* 0: 32, or the context if that is shorter */
	uint32_t ctx_len; /* 0: the model's, at most 4,096 */
	uint32_t batch_size; /* 0: 1 */
	uint32_t cores; /* a preference, 0: all */
	uint32_t threads; /* of the compiler; 0: as many as the process may use. Changes no byte. */
	const volatile sig_atomic_t
		*stop; /* not NULL: ends with -EINTR soon after it became non-zero */
	void (*progress)(void *arg, uint64_t done,
			 uint64_t total); /* bytes; from the calling thread */
	void *progress_arg;
};

#define COMPILE_MAX_CONTEXT 131072u
#define COMPILE_MAX_BATCH 64u
#define COMPILE_DEFAULT_PROMPT 32u
#define COMPILE_DEFAULT_CONTEXT 4096u

/*
 * Checks shape and options and fills the options' defaults in. -EINVAL: *message says which value and what
 * would be right; -ENOTSUP: fp32 with an fp16 KV cache.
 */
int compile_check(const struct compile_shape *shape, struct compile_options *options,
		  struct aipu_message *message);

/*
 * Writes the container to fd, an empty regular file open for reading and writing (a memfd will do). -ENOSPC,
 * -EFBIG, -EINTR, -EIO, or what compile_check() or the source returned; *message is one line.
 */
int compile_write(const struct compile_source *source, const struct compile_options *options,
		  int fd, struct aipu_message *message);

/* Number of weights in the model */
uint64_t compile_parameters(const struct compile_shape *shape);

/* "fp32", "fp16", "int8"; NULL for another number */
const char *compile_precision_name(uint32_t precision);

/* --- sources. 0, or -errno with one line in *message; close the source if 0 was returned. --- */

/* path: a checkpoint of llama2.c, version 0 */
int compile_open_llama2c(const char *path, struct compile_source *source,
			 struct aipu_message *message);
/* path: a Hugging Face directory of a Llama model */
int compile_open_hf(const char *path, struct compile_source *source, struct aipu_message *message);
/* Whichever of the two path is */
int compile_open(const char *path, struct compile_source *source, struct aipu_message *message);
/* Weights drawn from a seed, scaled so that activations stay of order 1; the shape's other fields are kept */
int compile_open_random(const struct compile_shape *shape, uint64_t seed,
			struct compile_source *source, struct aipu_message *message);

/* --- the directory --- */

struct compile_directory {
	const char *path; /* of the result */
	const char *tokenizer; /* tokenizer.model to copy; NULL: none is put there */
	const char *generation_config; /* to copy; NULL: made from the source's bos and stop ids */
	bool force; /* replace an existing directory */
};

/*
 * Compiles into a new directory beside the target, which gets its name when it is whole; whatever
 * fails before that, nothing is left. -EEXIST without `force`; the others as compile_write().
 */
int compile_to_directory(const struct compile_source *source, const struct compile_options *options,
			 const struct compile_directory *directory, struct aipu_message *message);

/* Sets the line and returns err */
int compile_fail(struct aipu_message *message, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
