// SPDX-License-Identifier: MIT
/*
 * The reference interpreter's model: memory, the llama2.c checkpoint reader and the rounding that
 * emulates lower precisions. Called by tests through ref_model.h. It must never share code with the
 * compiler's readers: a mistake made in both would not be seen.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ref_internal.h"

#define LIMIT 1000000u

const char *ref_model_allocate(struct ref_model *m, bool separate)
{
	size_t dim = m->dim, hidden = m->hidden_dim, q, kv;
	bool ok;

	if (!m->dim || !m->hidden_dim || !m->n_layers || !m->n_heads || !m->n_kv_heads ||
	    !m->head_dim || !m->vocab_size || !m->seq_len)
		return "a dimension of the model is zero";
	if (m->dim > LIMIT || m->hidden_dim > LIMIT || m->n_layers > LIMIT || m->n_heads > LIMIT ||
	    m->head_dim > LIMIT || m->vocab_size > LIMIT || m->seq_len > LIMIT)
		return "a dimension of the model is over a million";
	if (m->n_heads % m->n_kv_heads)
		return "the number of heads is no multiple of the number of KV heads";
	if (m->head_dim % 2)
		return "the head dimension is odd";

	q = (size_t)m->n_heads * m->head_dim;
	kv = (size_t)m->n_kv_heads * m->head_dim;
	m->embedding = calloc(m->vocab_size * dim, sizeof(float));
	m->rms_final = calloc(dim, sizeof(float));
	m->classifier = separate ? calloc(m->vocab_size * dim, sizeof(float)) : m->embedding;
	m->layers = calloc(m->n_layers, sizeof(*m->layers));
	ok = m->embedding && m->rms_final && m->classifier && m->layers;
	for (uint32_t i = 0; ok && i < m->n_layers; i++) {
		struct ref_layer *l = &m->layers[i];

		l->rms_att = calloc(dim, sizeof(float));
		l->wq = calloc(q * dim, sizeof(float));
		l->wk = calloc(kv * dim, sizeof(float));
		l->wv = calloc(kv * dim, sizeof(float));
		l->wo = calloc(dim * q, sizeof(float));
		l->rms_ffn = calloc(dim, sizeof(float));
		l->w1 = calloc(hidden * dim, sizeof(float));
		l->w2 = calloc(dim * hidden, sizeof(float));
		l->w3 = calloc(hidden * dim, sizeof(float));
		ok = l->rms_att && l->wq && l->wk && l->wv && l->wo && l->rms_ffn && l->w1 &&
		     l->w2 && l->w3;
	}
	return ok ? NULL : "not enough memory for the model";
}

void ref_model_free(struct ref_model *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; m->layers && i < m->n_layers; i++) {
		struct ref_layer *l = &m->layers[i];

		free(l->rms_att);
		free(l->wq);
		free(l->wk);
		free(l->wv);
		free(l->wo);
		free(l->rms_ffn);
		free(l->w1);
		free(l->w2);
		free(l->w3);
	}
	free(m->layers);
	if (m->classifier != m->embedding)
		free(m->classifier);
	free(m->embedding);
	free(m->rms_final);
	free(m);
}

/*
 * llama2.c, version 0 (export.py, legacy_export): seven int32, then float32 tensors, each kind for
 * all layers in turn. Both are little endian, and so is every machine that runs these tests.
 */
static const char *llama2c_read(struct ref_model *m, FILE *f)
{
	int32_t header[7];
	size_t dim, q, kv, hidden;
	bool separate, ok;

	if (fread(header, sizeof(header), 1, f) != 1)
		return "the file is shorter than a llama2.c header";
	separate = header[5] < 0;
	if (header[5] == INT32_MIN)
		return "the vocabulary size is out of range";
	for (int i = 0; i < 7; i++)
		if (header[i] <= 0 && i != 5)
			return "the llama2.c header holds a dimension that is not positive";
	m->dim = (uint32_t)header[0];
	m->hidden_dim = (uint32_t)header[1];
	m->n_layers = (uint32_t)header[2];
	m->n_heads = (uint32_t)header[3];
	m->n_kv_heads = (uint32_t)header[4];
	m->vocab_size = (uint32_t)abs(header[5]);
	m->seq_len = (uint32_t)header[6];
	if (m->dim % m->n_heads)
		return "the dimension is no multiple of the number of heads";
	m->head_dim = m->dim / m->n_heads;
	m->rms_eps = 1e-5;
	m->rope_theta = 10000.0;
	m->rope_halves = false;

	const char *error = ref_model_allocate(m, separate);

	if (error)
		return error;
	dim = m->dim;
	hidden = m->hidden_dim;
	q = (size_t)m->n_heads * m->head_dim;
	kv = (size_t)m->n_kv_heads * m->head_dim;

	ok = fread(m->embedding, sizeof(float), m->vocab_size * dim, f) == m->vocab_size * dim;
#define READ_LAYERS(tensor, count)                       \
	for (uint32_t i = 0; ok && i < m->n_layers; i++) \
	ok = fread(m->layers[i].tensor, sizeof(float), (count), f) == (count)
	READ_LAYERS(rms_att, dim);
	READ_LAYERS(wq, q * dim);
	READ_LAYERS(wk, kv * dim);
	READ_LAYERS(wv, kv * dim);
	READ_LAYERS(wo, dim * q);
	READ_LAYERS(rms_ffn, dim);
	READ_LAYERS(w1, hidden * dim);
	READ_LAYERS(w2, dim * hidden);
	READ_LAYERS(w3, hidden * dim);
#undef READ_LAYERS
	ok = ok && fread(m->rms_final, sizeof(float), dim, f) == dim;
	/*
	 * Two tables of cosines and sines [seq_len][head_dim / 2], which this interpreter computes
	 * itself.
	 */
	ok = ok && !fseek(f, (long)((size_t)m->seq_len * m->head_dim * sizeof(float)), SEEK_CUR);
	if (ok && separate)
		ok = fread(m->classifier, sizeof(float), m->vocab_size * dim, f) ==
		     m->vocab_size * dim;
	if (!ok)
		return "the llama2.c file is shorter than its header says";

	struct stat st;

	if (fstat(fileno(f), &st) || ftell(f) != st.st_size)
		return "the llama2.c file has another length than its header says";
	return NULL;
}

struct ref_model *ref_model_load(const char *path, const char **error)
{
	struct ref_model *m = calloc(1, sizeof(*m));
	struct stat st;

	if (!m) {
		*error = "not enough memory for the model";
	} else if (stat(path, &st)) {
		*error = "there is no such file or directory";
	} else if (S_ISDIR(st.st_mode)) {
		*error = ref_hf_read(m, path);
	} else {
		FILE *f = fopen(path, "rbe");

		*error = f ? llama2c_read(m, f) : "the file cannot be opened";
		if (f)
			fclose(f);
	}
	if (!*error)
		return m;
	ref_model_free(m);
	return NULL;
}

double ref_round_fp16(double x)
{
	int exponent;
	double step;

	if (x == 0 || !isfinite(x))
		return x;
	frexp(x, &exponent);
	/* 11 significant bits; below 2^-14 the spacing stays 2^-24. */
	step = ldexp(1.0, exponent - 11 > -24 ? exponent - 11 : -24);
	x = nearbyint(x / step) * step;
	return fabs(x) > 65504.0 ? copysign(INFINITY, x) : x;
}

void ref_round_int8(float *x, size_t n, bool fp16_scale)
{
	for (size_t start = 0; start < n; start += 32) {
		size_t end = start + 32 < n ? start + 32 : n;
		double amax = 0, scale;

		for (size_t i = start; i < end; i++)
			amax = fmax(amax, fabs((double)x[i]));
		scale = (float)(amax / 127);
		if (fp16_scale)
			scale = ref_round_fp16(scale);
		for (size_t i = start; i < end; i++) {
			double level = scale > 0 ? nearbyint(x[i] / scale) : 0;

			x[i] = (float)(fmax(-127, fmin(127, level)) * scale);
		}
	}
}

static void matrix_round(float *w, size_t rows, size_t columns, enum ref_precision precision)
{
	for (size_t r = 0; r < rows; r++) {
		float *row = w + r * columns;

		if (precision == REF_INT8)
			ref_round_int8(row, columns, true);
		for (size_t i = 0; precision == REF_FP16 && i < columns; i++)
			row[i] = (float)ref_round_fp16(row[i]);
	}
}

int ref_model_set_precision(struct ref_model *m, enum ref_precision precision)
{
	size_t dim = m->dim, hidden = m->hidden_dim;
	size_t q = (size_t)m->n_heads * m->head_dim, kv = (size_t)m->n_kv_heads * m->head_dim;

	if (m->precision != REF_FP32)
		return -EINVAL;
	m->precision = precision;
	m->kv_fp16 = precision != REF_FP32;
	matrix_round(m->embedding, m->vocab_size, dim, precision);
	if (m->classifier != m->embedding)
		matrix_round(m->classifier, m->vocab_size, dim, precision);
	for (uint32_t i = 0; i < m->n_layers; i++) {
		struct ref_layer *l = &m->layers[i];

		matrix_round(l->wq, q, dim, precision);
		matrix_round(l->wk, kv, dim, precision);
		matrix_round(l->wv, kv, dim, precision);
		matrix_round(l->wo, dim, q, precision);
		matrix_round(l->w1, hidden, dim, precision);
		matrix_round(l->w2, dim, hidden, precision);
		matrix_round(l->w3, hidden, dim, precision);
	}
	return 0;
}
