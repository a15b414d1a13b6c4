// SPDX-License-Identifier: MIT
/*
 * What the compiler writes: the same bytes each time, weights that read back as the source's, tables of RoPE, and
 * programs that the device's verifier accepts for shapes of all kinds.
 */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "aipu_numerics_float.h"
#include "compile_fixture.h"
#include "compute/compute.h"
#include "device_limits.h"
#include "graph.h"
#include "model.h"

static void same_bytes_each_time(void **state)
{
	struct compile_shape shape = fixture_shape();
	static const uint32_t threads[] = { 1, 1, 2, 5 };
	uint8_t *first = NULL, *bytes;
	size_t first_size = 0, size, i;

	(void)state;
	shape.dim = 1000; /* several digests, and tiles that straddle them */
	shape.hidden_dim = 1400;
	for (i = 0; i < 4; i++) {
		struct compile_options options = { .precision = AIPU_PRECISION_FP32,
						   .threads = threads[i] };
		int fd = fixture_compile(&shape, &options);

		bytes = fixture_bytes(fd, &size);
		if (!first) {
			first = bytes;
			first_size = size;
		} else {
			assert_int_equal(size, first_size);
			assert_memory_equal(bytes, first, size);
			free(bytes);
		}
		close(fd);
	}
	assert_true(first_size > 3 * AIPU_QPC_DIGEST_STEP);
	free(first);
}

/* --- weights --- */

struct tables {
	struct aipu_qpc *qpc;
	const struct aipu_program_header *header;
	const struct aipu_tensor *tensors;
	const struct aipu_instruction *code;
	uint8_t *weights;
	const uint8_t *constants;
};

static void tables_open(struct tables *t, int fd)
{
	struct aipu_message message = { "" };
	const struct aipu_qpc_section *section;
	const uint8_t *image;

	if (fixture_open(fd, &t->qpc, &message))
		fail_msg("%s", message.text);
	image = aipu_qpc_data(t->qpc, aipu_qpc_section(t->qpc, AIPU_QPC_PROGRAM, 0));
	t->header = (const void *)image;
	t->tensors = (const void *)(image + sizeof(*t->header) +
				    t->header->slot_count * sizeof(struct aipu_slot));
	t->code = (const void *)((const uint8_t *)(t->tensors + t->header->tensor_count) +
				 t->header->entry_count * sizeof(struct aipu_entry));
	t->constants = aipu_qpc_data(t->qpc, aipu_qpc_section(t->qpc, AIPU_QPC_CONSTANTS, 0));
	section = aipu_qpc_section(t->qpc, AIPU_QPC_WEIGHTS, 0);
	t->weights = aligned_alloc(64, (section->bytes + 63) / 64 * 64);
	assert_non_null(t->weights);
	assert_int_equal(pread(fd, t->weights, section->bytes, (off_t)section->offset),
			 section->bytes);
}

static void tables_close(struct tables *t)
{
	free(t->weights);
	aipu_qpc_close(t->qpc);
}

/* What the container should hold of a row */
static void row_round(float *row, uint32_t columns, uint32_t format)
{
	uint32_t i, j;

	for (i = 0; i < columns && format == AIPU_FMT_F16; i++)
		row[i] = aipu_f16_to_f32(aipu_f32_to_f16(row[i]));
	for (i = 0; i < columns && format == AIPU_FMT_I8_G32; i += AIPU_GROUP) {
		uint32_t n = columns - i < AIPU_GROUP ? columns - i : AIPU_GROUP;
		int8_t q[AIPU_GROUP];
		float scale = aipu_f16_to_f32(aipu_quantize_weights(row + i, n, q));

		for (j = 0; j < n; j++)
			row[i + j] = (float)q[j] * scale;
	}
}

/* Rows of the source at `first_row` of the stored matrix; returns the row after them, on a tile boundary */
static uint32_t expect_part(const struct tables *t, const struct aipu_tensor *w,
			    const struct compile_source *source, enum compile_tensor tensor,
			    uint32_t layer, uint32_t first_row)
{
	uint32_t rows = tensor_rows(&source->shape, tensor),
		 columns = tensor_columns(&source->shape, tensor), i;
	float expected[256], got[256];

	assert_int_equal(w->layout, AIPU_LAYOUT_TILE16);
	assert_int_equal(w->dims[1], columns);
	assert_true(first_row + rows <= w->dims[0] && columns <= 256);
	for (i = 0; i < rows; i++) {
		assert_int_equal(source->read(source, tensor, layer, i, 1, expected), 0);
		row_round(expected, columns, w->format);
		assert_int_equal(aipu_kernels_scalar.embed_tile(t->weights + w->offset, w->format,
								w->dims[0], columns, first_row + i,
								got),
				 0);
		assert_memory_equal(got, expected, columns * sizeof(float));
	}
	return (first_row + rows + 15) / 16 * 16;
}

static const struct aipu_instruction *expect(const struct aipu_instruction **at, uint8_t opcode)
{
	assert_int_equal((*at)->opcode, opcode);
	return (*at)++;
}

static void expect_norm(const struct tables *t, const struct aipu_instruction **at)
{
	const struct aipu_instruction *in = expect(at, AIPU_OP_RMSNORM);
	const float *norm = (const void *)(t->constants + t->tensors[in->b].offset);
	uint32_t i;

	assert_int_equal(in->f[0], aipu_f32_bits(1e-5f));
	for (i = 0; i < t->tensors[in->b].dims[1]; i++)
		assert_true(norm[i] == 1.0f);
}

static void check_weights(enum aipu_qpc_precision precision, bool tied)
{
	struct compile_shape shape = fixture_shape();
	struct compile_options options = { .precision = precision };
	const struct aipu_instruction *at, *in;
	const struct aipu_tensor *w;
	struct compile_source source;
	struct tables t;
	uint32_t layer, row;
	int fd;

	shape.tied = tied;
	fd = fixture_compile(&shape, &options);
	tables_open(&t, fd);
	assert_int_equal(compile_open_random(&shape, 7, &source, NULL), 0);
	at = t.code;
	w = &t.tensors[expect(&at, AIPU_OP_EMBED)->a];
	expect_part(&t, w, &source, COMPILE_EMBEDDING, 0, 0);
	for (layer = 0; layer < shape.layers; layer++) {
		expect_norm(&t, &at);
		w = &t.tensors[expect(&at, AIPU_OP_MATMUL)->b];
		row = expect_part(&t, w, &source, COMPILE_WQ, layer, 0);
		row = expect_part(&t, w, &source, COMPILE_WK, layer, row);
		expect_part(&t, w, &source, COMPILE_WV, layer, row);
		expect(&at, AIPU_OP_ROPE);
		expect(&at, AIPU_OP_ROPE);
		expect(&at, AIPU_OP_KV_UPDATE);
		expect(&at, AIPU_OP_ATTENTION);
		in = expect(&at, AIPU_OP_MATMUL);
		assert_int_equal(in->epilogue, AIPU_EPILOGUE_ADD);
		expect_part(&t, &t.tensors[in->b], &source, COMPILE_WO, layer, 0);
		expect_norm(&t, &at);
		w = &t.tensors[expect(&at, AIPU_OP_MATMUL)->b];
		row = expect_part(&t, w, &source, COMPILE_GATE, layer, 0);
		expect_part(&t, w, &source, COMPILE_UP, layer, row);
		expect(&at, AIPU_OP_ACTIVATE);
		in = expect(&at, AIPU_OP_MATMUL);
		assert_int_equal(in->epilogue, AIPU_EPILOGUE_ADD);
		expect_part(&t, &t.tensors[in->b], &source, COMPILE_DOWN, layer, 0);
	}
	expect(&at, AIPU_OP_SELECT);
	expect_norm(&t, &at);
	in = expect(&at, AIPU_OP_MATMUL);
	assert_int_equal(in->activation_format,
			 precision == AIPU_PRECISION_INT8 ? AIPU_ACT_DYNAMIC_I8_G32 : 0);
	assert_int_equal(in->b == t.code[0].a, tied);
	expect_part(&t, &t.tensors[in->b], &source, tied ? COMPILE_EMBEDDING : COMPILE_CLASSIFIER,
		    0, 0);
	assert_int_equal(at - t.code, t.header->instruction_count);
	source.close(&source);
	tables_close(&t);
	close(fd);
}

static void weights_fp32(void **state)
{
	(void)state;
	check_weights(AIPU_PRECISION_FP32, true);
	check_weights(AIPU_PRECISION_FP32, false);
}

static void weights_fp16(void **state)
{
	(void)state;
	check_weights(AIPU_PRECISION_FP16, true);
}

static void weights_int8(void **state)
{
	(void)state;
	check_weights(AIPU_PRECISION_INT8, true);
	check_weights(AIPU_PRECISION_INT8, false);
}

/* --- RoPE --- */

static double inverse_expected(const struct compile_shape *s, uint32_t i)
{
	double f = pow(s->rope_theta, -2.0 * i / s->head_dim), turns, blend;

	if (s->rope == COMPILE_ROPE_LINEAR)
		return f / s->rope_factor;
	if (s->rope == COMPILE_ROPE_PLAIN)
		return f;
	/* In the terms of the paper's authors: by wave length. */
	turns = s->rope_positions / (2.0 * acos(-1.0) / f);
	if (turns > s->rope_high)
		return f;
	if (turns < s->rope_low)
		return f / s->rope_factor;
	blend = (turns - s->rope_low) / (s->rope_high - s->rope_low);
	return (1 - blend) * f / s->rope_factor + blend * f;
}

static void rotary_tables(void **state)
{
	struct compile_options options = { .precision = AIPU_PRECISION_FP32 };
	struct compile_shape shape = fixture_shape();
	uint32_t kind, p, i;

	(void)state;
	shape.head_dim = 64;
	shape.rope_factor = 8.0;
	shape.rope_low = 1.0;
	shape.rope_high = 4.0;
	shape.rope_positions = 8192;
	shape.rope_theta = 500000.0;
	for (kind = COMPILE_ROPE_PLAIN; kind <= COMPILE_ROPE_LLAMA3; kind++) {
		const float *table, *inverse;
		struct tables t;
		int fd;

		shape.rope = kind;
		fd = fixture_compile(&shape, &options);
		tables_open(&t, fd);
		assert_int_equal(t.code[3].opcode, AIPU_OP_ROPE);
		table = (const void *)(t.constants + t.tensors[t.code[3].a].offset);
		inverse = aipu_qpc_data(t.qpc,
					aipu_qpc_section(t.qpc, AIPU_QPC_INVERSE_FREQUENCIES, 0));
		for (i = 0; i < 32; i++) {
			double f = inverse_expected(&shape, i);

			assert_true(fabs(inverse[i] - f) <= f * 1e-6);
			for (p = 0; p < shape.positions; p++) {
				assert_true(fabs(table[p * 64 + i] - cos(p * f)) < 1e-6);
				assert_true(fabs(table[p * 64 + 32 + i] - sin(p * f)) < 1e-6);
			}
		}
		tables_close(&t);
		close(fd);
	}
}

/* --- programs --- */

static void check_program(const struct compile_shape *shape, const struct compile_options *options)
{
	struct aipu_message message = { "" };
	const struct dm_limits offered = device_limits();
	const struct aipu_qpc_section *section;
	struct dm_program *program;
	struct aipu_qpc *qpc;
	uint32_t detail = 0;
	unsigned int status;
	void *image;
	int fd = fixture_compile(shape, options);

	if (fixture_open(fd, &qpc, &message))
		fail_msg("%s", message.text);
	assert_int_equal(aipu_qpc_verify(qpc, &message), 0);
	section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 0);
	image = malloc(section->bytes);
	assert_non_null(image);
	memcpy(image, aipu_qpc_data(qpc, section), section->bytes);
	status = dm_program_create(&offered, image, section->bytes, &program, &detail);
	if (status)
		fail_msg("refused: status %u, reason %u at %u", status, detail >> 24,
			 detail & 0xffffff);
	dm_program_put(program);
	aipu_qpc_close(qpc);
	close(fd);
}

static void programs_are_accepted(void **state)
{
	static const struct {
		uint32_t dim, hidden, heads, kv_heads, head_dim, vocabulary, layers;
	} shapes[] = {
		{ 36, 76, 6, 3, 10, 50, 3 },	 { 64, 172, 8, 4, 8, 512, 5 },
		{ 1, 1, 1, 1, 2, 1, 1 },	 { 33, 31, 3, 1, 34, 17, 2 },
		{ 192, 512, 6, 2, 32, 1024, 1 }, { 16, 16, 4, 4, 512, 3, 1 },
	};
	static const struct {
		uint32_t prompt, context, batch, kv;
	} sizes[] = {
		{ 0, 0, 0, 0 },
		{ 1, 1, 1, 0 },
		{ 70, 70, 1, AIPU_FMT_F32 },
		{ 32, 64, 8, 0 },
		{ 7, 63, COMPILE_MAX_BATCH, 0 },
		{ 1, 70, 3, AIPU_FMT_F32 },
	};
	uint32_t i, j, precision;

	(void)state;
	for (i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++)
			for (precision = 1; precision <= 3; precision++) {
				struct compile_shape shape = fixture_shape();
				struct compile_options options = {
					.precision = precision,
					.kv_format = sizes[j].kv,
					.prompt_len = sizes[j].prompt,
					.ctx_len = sizes[j].context,
					.batch_size = sizes[j].batch,
				};

				shape.dim = shapes[i].dim;
				shape.hidden_dim = shapes[i].hidden;
				shape.heads = shapes[i].heads;
				shape.kv_heads = shapes[i].kv_heads;
				shape.head_dim = shapes[i].head_dim;
				shape.vocabulary = shapes[i].vocabulary;
				shape.layers = shapes[i].layers;
				shape.bos_id = ~0u;
				shape.stop_count = 0;
				check_program(&shape, &options);
			}
}

/* Where a table would be too large for CONSTANTS it lies among the weights; large logits lose their entry. */
static void large_tables(void **state)
{
	struct compile_options options = { .precision = AIPU_PRECISION_INT8,
					   .ctx_len = 4096,
					   .prompt_len = 512,
					   .batch_size = 2 };
	struct compile_shape shape = fixture_shape();
	const struct aipu_qpc_model *model;
	struct tables t;
	int fd;

	(void)state;
	shape.positions = 4096;
	shape.head_dim = 128;
	shape.vocabulary = 30000;
	check_program(&shape, &options);
	fd = fixture_compile(&shape, &options);
	tables_open(&t, fd);
	model = aipu_qpc_model(t.qpc);
	assert_int_equal(t.tensors[t.code[3].a].slot, 0);
	assert_true(((const float *)(const void *)(t.weights + t.tensors[t.code[3].a].offset))[0] ==
		    1.0f);
	assert_int_equal(model->logits_entry, 2); /* cut to one lane's chunk */
	tables_close(&t);
	close(fd);
	options.prompt_len = 1024;
	check_program(&shape, &options);
	fd = fixture_compile(&shape, &options);
	tables_open(&t, fd);
	assert_int_equal(aipu_qpc_model(t.qpc)->logits_entry, ~0u);
	tables_close(&t);
	close(fd);
}

/* --- what is refused --- */

static void refuse(struct compile_shape shape, struct compile_options options, int err,
		   const char *words)
{
	struct aipu_message message = { "" };

	if (!options.precision)
		options.precision = AIPU_PRECISION_INT8;
	assert_int_equal(compile_check(&shape, &options, &message), err);
	if (!strstr(message.text, words))
		fail_msg("no '%s' in '%s'", words, message.text);
}

static void bad_values(void **state)
{
	const struct compile_options none = { 0 };
	struct compile_shape s = fixture_shape();

	(void)state;
	s.head_dim = 9;
	refuse(s, none, -EINVAL, "even");
	s = fixture_shape();
	s.kv_heads = 4;
	refuse(s, none, -EINVAL, "6 heads and 4 KV heads");
	s = fixture_shape();
	s.layers = 0;
	refuse(s, none, -EINVAL, "layers is 0");
	s = fixture_shape();
	s.stop_ids[0] = 50;
	refuse(s, none, -EINVAL, "stop id 50");
	s = fixture_shape();
	s.norm_epsilon = NAN;
	refuse(s, none, -EINVAL, "epsilon");
	s.norm_epsilon = 0.0f; /* the device's verifier refuses it too */
	refuse(s, none, -EINVAL, "epsilon is 0");
	s.norm_epsilon = 1.5f;
	refuse(s, none, -EINVAL, "epsilon is 1.5: 1e-30 to 1 is expected");
	s.norm_epsilon = 1.0f; /* limits are inclusive */
	refuse(s, none, 0, "");
	s.rope_theta = 1e12;
	refuse(s, none, 0, "");
	s.rope_theta = 2e12;
	refuse(s, none, -EINVAL, "theta is 2e+12: 1 to 1e12 is expected");
	s = fixture_shape();
	refuse(s, (struct compile_options){ .ctx_len = 71 }, -EINVAL, "--ctx-len 71");
	refuse(s, (struct compile_options){ .ctx_len = 8, .prompt_len = 9 }, -EINVAL, "9");
	refuse(s, (struct compile_options){ .batch_size = COMPILE_MAX_BATCH + 1 }, -EINVAL,
	       "batch");
	refuse(s,
	       (struct compile_options){ .precision = AIPU_PRECISION_FP32,
					 .kv_format = AIPU_FMT_F16 },
	       -ENOTSUP, "fp32");
}

static int read_fixed(const struct compile_source *source, enum compile_tensor tensor,
		      uint32_t layer, uint32_t row, uint32_t count, float *to)
{
	size_t n = (size_t)count * tensor_columns(&source->shape, tensor), i;

	for (i = 0; i < n; i++)
		to[i] = tensor == COMPILE_UP && layer == 1 && row == 16 && i == 5
				? *(float *)source->data
				: 0.5f;
	return 0;
}

/* A weight that the format cannot hold is an error, not an infinity */
static void weights_out_of_range(void **state)
{
	static const struct {
		float value;
		int err[4]; /* by precision */
		const char *words;
	} cases[] = {
		{ NAN, { 0, -ERANGE, -ERANGE, -ERANGE }, "is not a number: finite" },
		{ -INFINITY, { 0, -ERANGE, -ERANGE, -ERANGE }, "is infinite: finite" },
		{ 65505.0f, { 0, 0, -ERANGE, 0 }, "is 65505: fp16 holds up to 65504" },
		{ -9e6f, { 0, 0, -ERANGE, -ERANGE }, "is -9000000: " },
		{ 65504.0f, { 0, 0, 0, 0 }, "" },
	};
	size_t i;
	int p;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (p = 1; p <= 3; p++) {
			float value = cases[i].value;
			struct compile_source source = { .shape = fixture_shape(),
							 .name = "fixed",
							 .kind = "test",
							 .data = &value,
							 .read = read_fixed };
			struct compile_options options = { .precision = p };
			struct aipu_message message = { "" };
			int fd = fixture_memory("", 0);

			assert_int_equal(compile_write(&source, &options, fd, &message),
					 cases[i].err[p]);
			assert_int_equal(!message.text[0], !cases[i].err[p]);
			if (cases[i].err[p] &&
			    (!strstr(message.text, "weight layers.1.up row 16 column 5 is ") ||
			     !strstr(message.text, cases[i].words)))
				fail_msg("no '%s' in '%s'", cases[i].words, message.text);
			close(fd);
		}
	}
}

static void stops_when_asked(void **state)
{
	volatile sig_atomic_t stop = 1;
	struct compile_options options = { .precision = AIPU_PRECISION_INT8, .stop = &stop };
	struct compile_shape shape = fixture_shape();
	struct aipu_message message = { "" };
	struct compile_source source;
	int fd = fixture_memory("", 0);

	(void)state;
	assert_int_equal(compile_open_random(&shape, 1, &source, NULL), 0);
	assert_int_equal(compile_write(&source, &options, fd, &message), -EINTR);
	assert_string_equal(message.text, "interrupted");
	source.close(&source);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_each_time), cmocka_unit_test(weights_fp32),
		cmocka_unit_test(weights_fp16),		cmocka_unit_test(weights_int8),
		cmocka_unit_test(rotary_tables),	cmocka_unit_test(programs_are_accepted),
		cmocka_unit_test(large_tables),		cmocka_unit_test(bad_values),
		cmocka_unit_test(weights_out_of_range), cmocka_unit_test(stops_when_asked),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
