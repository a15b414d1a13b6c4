// SPDX-License-Identifier: MIT
/*
 * What may be compiled: shape and options checked before anything is built, with one line that says which value
 * is wrong and what would be right. Called by compile_write() and, to fail early, by tools.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "aipu_program.h"
#include "compiler.h"

#define MAX_VOCABULARY (1u << 22)
#define MAX_LAYERS 1024u
#define MAX_WIDTH (1u << 20) /* of any matrix but the embedding */
#define MAX_HEAD_DIM 512u
#define MAX_STEP_TOKENS 65536u

int compile_fail(struct aipu_message *message, int err, const char *format, ...)
{
	va_list args;
	char *c;

	if (message) {
		va_start(args, format);
		vsnprintf(message->text, sizeof(message->text), format, args);
		va_end(args);
		/* Names come from files: it stays one line whatever they hold. */
		for (c = message->text; *c; c++)
			if (*(unsigned char *)c < ' ' || *c == 0x7f)
				*c = '?';
	}
	return err;
}

const char *compile_precision_name(uint32_t precision)
{
	static const char *const names[] = { NULL, "fp32", "fp16", "int8" };

	return precision < sizeof(names) / sizeof(names[0]) ? names[precision] : NULL;
}

static int check_shape(const struct compile_shape *s, struct aipu_message *message)
{
	const struct {
		const char *name;
		uint32_t value, most;
	} sizes[] = {
		{ "vocabulary", s->vocabulary, MAX_VOCABULARY },
		{ "number of layers", s->layers, MAX_LAYERS },
		{ "dimension", s->dim, MAX_WIDTH },
		{ "hidden dimension", s->hidden_dim, MAX_WIDTH },
		{ "number of heads", s->heads, MAX_WIDTH / 2 },
		{ "number of KV heads", s->kv_heads, MAX_WIDTH / 2 },
		{ "head dimension", s->head_dim, MAX_HEAD_DIM },
		{ "context", s->positions, 1u << 24 },
	};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (!sizes[i].value || sizes[i].value > sizes[i].most)
			return compile_fail(message, -EINVAL,
					    "the model's %s is %u: 1 to %u can be compiled",
					    sizes[i].name, sizes[i].value, sizes[i].most);
	if (s->head_dim % 2)
		return compile_fail(message, -EINVAL,
				    "the model's head dimension is %u: it must be even",
				    s->head_dim);
	if (s->heads % s->kv_heads)
		return compile_fail(message, -EINVAL,
				    "the model has %u heads and %u KV heads: the first must be a "
				    "multiple of the second",
				    s->heads, s->kv_heads);
	if ((uint64_t)s->heads * s->head_dim > MAX_WIDTH)
		return compile_fail(message, -EINVAL,
				    "the model has %u heads of %u: at most %u elements together "
				    "can be compiled",
				    s->heads, s->head_dim, MAX_WIDTH);
	if (!(s->norm_epsilon >= 1e-30f && s->norm_epsilon <= 1.0f))
		return compile_fail(message, -EINVAL,
				    "the model's norm epsilon is %g: 1e-30 to 1 is expected",
				    (double)s->norm_epsilon);
	if (!(s->rope_theta >= 1.0 && s->rope_theta <= 1e12))
		return compile_fail(message, -EINVAL,
				    "the model's RoPE theta is %g: 1 to 1e12 is expected",
				    s->rope_theta);
	if (s->rope != COMPILE_ROPE_PLAIN && !(s->rope_factor >= 1.0 && s->rope_factor <= 1e6))
		return compile_fail(message, -EINVAL,
				    "the model's RoPE scaling factor is %g: 1 to 1e6 is expected",
				    s->rope_factor);
	if (s->rope == COMPILE_ROPE_LLAMA3 && !(s->rope_low > 0.0 && s->rope_high > s->rope_low &&
						s->rope_high <= 1e6 && s->rope_positions))
		return compile_fail(message, -EINVAL,
				    "the model's RoPE scaling has factors %g and %g over %u "
				    "positions: two ascending ones above 0 and up to 1e6 are "
				    "expected",
				    s->rope_low, s->rope_high, s->rope_positions);
	if (s->stop_count > 8)
		return compile_fail(message, -EINVAL,
				    "the model has %u stop ids: at most 8 can be compiled",
				    s->stop_count);
	for (i = 0; i < s->stop_count; i++)
		if (s->stop_ids[i] >= s->vocabulary)
			return compile_fail(message, -EINVAL,
					    "stop id %u is not below the vocabulary, %u",
					    s->stop_ids[i], s->vocabulary);
	if (s->bos_id != ~0u && s->bos_id >= s->vocabulary)
		return compile_fail(message, -EINVAL, "bos id %u is not below the vocabulary, %u",
				    s->bos_id, s->vocabulary);
	return 0;
}

int compile_check(const struct compile_shape *shape, struct compile_options *o,
		  struct aipu_message *message)
{
	int err = check_shape(shape, message);

	if (err)
		return err;
	if (!compile_precision_name(o->precision))
		return compile_fail(message, -EINVAL, "precision %d is not fp32, fp16 or int8",
				    o->precision);
	if (!o->kv_format)
		o->kv_format = o->precision == AIPU_PRECISION_FP32 ? AIPU_FMT_F32 : AIPU_FMT_F16;
	if (o->kv_format != AIPU_FMT_F32 && o->kv_format != AIPU_FMT_F16)
		return compile_fail(message, -EINVAL, "KV format %u is not fp32 or fp16",
				    o->kv_format);
	if (o->precision == AIPU_PRECISION_FP32 && o->kv_format != AIPU_FMT_F32)
		return compile_fail(message, -ENOTSUP,
				    "fp32 weights need an fp32 KV cache: leave --kv-precision out "
				    "or choose another --precision");
	if (!o->ctx_len)
		o->ctx_len = shape->positions < COMPILE_DEFAULT_CONTEXT ? shape->positions
									: COMPILE_DEFAULT_CONTEXT;
	if (o->ctx_len > shape->positions || o->ctx_len > COMPILE_MAX_CONTEXT)
		return compile_fail(message, -EINVAL,
				    "--ctx-len %u is longer than the model's context, %u",
				    o->ctx_len,
				    shape->positions < COMPILE_MAX_CONTEXT ? shape->positions
									   : COMPILE_MAX_CONTEXT);
	if (!o->prompt_len)
		o->prompt_len = o->ctx_len < COMPILE_DEFAULT_PROMPT ? o->ctx_len
								    : COMPILE_DEFAULT_PROMPT;
	if (o->prompt_len > o->ctx_len)
		return compile_fail(message, -EINVAL,
				    "--prompt-len %u is longer than the context, %u", o->prompt_len,
				    o->ctx_len);
	if (!o->batch_size)
		o->batch_size = 1;
	if (o->batch_size > COMPILE_MAX_BATCH)
		return compile_fail(message, -EINVAL, "--batch-size %u: 1 to %u can be compiled",
				    o->batch_size, COMPILE_MAX_BATCH);
	if (o->prompt_len * (uint64_t)o->batch_size > MAX_STEP_TOKENS)
		return compile_fail(message, -EINVAL,
				    "--prompt-len %u times --batch-size %u: at most %u tokens a "
				    "step can be compiled",
				    o->prompt_len, o->batch_size, MAX_STEP_TOKENS);
	return 0;
}
