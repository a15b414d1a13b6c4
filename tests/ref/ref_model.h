/* SPDX-License-Identifier: MIT */
/*
 * The reference interpreter: a Llama model read from its checkpoint and computed as plainly as
 * possible, so that the device's results can be compared with something that shares nothing with
 * them. Called by tests only. It must never include a header of the device model, the compiler or
 * the device's contract, and promises closeness, not bits.
 */
#ifndef REF_MODEL_H
#define REF_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ref_precision {
	REF_FP32, /* weights as they are, float32 KV */
	REF_FP16, /* matrices and KV rounded to fp16 */
	/* Matrices and activations int8 in groups of 32, the matrices' scales fp16; KV fp16 */
	REF_INT8,
};

/* Matrices are row-major [output][input], as both file formats hold them. */
struct ref_layer {
	float *rms_att; /* [dim] */
	float *wq; /* [n_heads * head_dim][dim] */
	float *wk; /* [n_kv_heads * head_dim][dim] */
	float *wv; /* [n_kv_heads * head_dim][dim] */
	float *wo; /* [dim][n_heads * head_dim] */
	float *rms_ffn; /* [dim] */
	float *w1; /* gate [hidden_dim][dim] */
	float *w2; /* down [dim][hidden_dim] */
	float *w3; /* up [hidden_dim][dim] */
};

struct ref_model {
	uint32_t dim;
	uint32_t hidden_dim;
	uint32_t n_layers;
	uint32_t n_heads;
	uint32_t n_kv_heads;
	uint32_t head_dim;
	uint32_t vocab_size;
	uint32_t seq_len;
	double rms_eps;
	double rope_theta;
	bool rope_halves; /* pairs are (i, i + head_dim / 2), not (2i, 2i + 1) */
	enum ref_precision precision;
	bool kv_fp16; /* set with the precision; a test may set it otherwise */
	float *embedding; /* [vocab_size][dim] */
	float *rms_final; /* [dim] */
	float *classifier; /* [vocab_size][dim]; the same pointer as embedding when tied */
	struct ref_layer *layers;
};

/**
 * ref_model_load() - read a checkpoint
 * @path: a llama2.c version-0 file, or a Hugging Face directory (config.json and model.safetensors,
 * whole or sharded)
 * @error: set to a constant sentence when the result is NULL
 *
 * Return: the model at REF_FP32, to be released with ref_model_free(), or NULL.
 */
struct ref_model *ref_model_load(const char *path, const char **error);

/**
 * ref_model_set_precision() - round the weights as a less precise container would hold them
 * @model: a model at REF_FP32; rounding is done in place and cannot be taken back
 * @precision: what to emulate; an independent estimate, not the device's bits
 *
 * Norm weights stay float32. Call before the first ref_session_new().
 *
 * Return: 0, or -EINVAL when the model was rounded before.
 */
int ref_model_set_precision(struct ref_model *model, enum ref_precision precision);

void ref_model_free(struct ref_model *model);

/*
 * One sequence: the KV cache and scratch memory. Several sessions may use one model, also from
 * several threads.
 */
struct ref_session;

/* The model must outlive the session. NULL when memory is short. */
struct ref_session *ref_session_new(const struct ref_model *model);
void ref_session_free(struct ref_session *session);

/**
 * ref_forward() - one token through the model
 * @session: its KV cache gets this position; positions below it must have been given before
 * @token: input token, below vocab_size
 * @position: counted from 0, below seq_len; going back is allowed, what lies behind is forgotten
 * @logits: [vocab_size], or NULL when they are not wanted
 *
 * Return: 0, or -EINVAL when token or position is out of range.
 */
int ref_forward(struct ref_session *session, uint32_t token, uint32_t position, float *logits);

/* Round to the nearest fp16 value, ties to even; beyond its range to infinity. */
double ref_round_fp16(double x);

/*
 * The values of @n numbers after int8 quantization in groups of 32, in place; scales are fp16 when
 * @fp16_scale.
 */
void ref_round_int8(float *x, size_t n, bool fp16_scale);

#endif
