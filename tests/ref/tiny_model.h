/* SPDX-License-Identifier: MIT */
/*
 * A very small Llama model with made-up weights, written in every checkpoint format that the
 * project reads, so that readers can be tested where no model is installed. Called by tests. It
 * must never depend on anything random.
 *
 * Its shape has the awkward features of real ones: hidden_dim no multiple of 32, several heads per
 * KV head, and head dimension times heads equal to dim only because llama2.c's format demands it.
 * Every weight is a multiple of 1/64 below 1 (norms: below 2), so all dtypes hold it exactly.
 */
#ifndef TINY_MODEL_H
#define TINY_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#define TINY_DIM 32
#define TINY_HIDDEN 44
#define TINY_LAYERS 2
#define TINY_HEADS 4
#define TINY_KV_HEADS 2
#define TINY_HEAD_DIM 8
#define TINY_VOCAB 50
#define TINY_CONTEXT 24

struct tiny_model;

/* How tiny_model_write_hf() writes the tensors. */
struct tiny_hf {
	const char *dtype; /* "F32", "F16" or "BF16" */
	unsigned int shards; /* 0: one model.safetensors; else that many files and an index */
};

/* @separate: with a classifier of its own, instead of the embedding. NULL when memory is short. */
struct tiny_model *tiny_model_new(bool separate);
void tiny_model_free(struct tiny_model *model);

/*
 * Both formats hold the same model; in the Hugging Face one, rows of q and k are permuted. 0 or
 * -errno.
 */
int tiny_model_write_llama2c(const struct tiny_model *model, const char *path);
int tiny_model_write_hf(const struct tiny_model *model, const char *directory,
			const struct tiny_hf *how);

#endif
