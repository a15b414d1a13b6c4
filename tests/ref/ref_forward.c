// SPDX-License-Identifier: MIT
/*
 * The reference interpreter's forward pass: Llama as its paper and the two checkpoint formats
 * define it (Touvron et al. 2023; RoPE: Su et al. 2021; grouped queries: Ainslie et al. 2023), one
 * token at a time, in double precision. Called by tests through ref_model.h. It must never copy the
 * device's order of operations.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ref_model.h"

struct ref_session {
	const struct ref_model *model;
	float *k; /* [layer][position][kv_head][head_dim], rotated */
	float *v; /* the same shape */
	double *x; /* [dim], the residual stream */
	double *normed; /* [dim] */
	double *q; /* [n_heads * head_dim] */
	double *kv; /* [n_kv_heads * head_dim] */
	double *mixed; /* [n_heads * head_dim] */
	double *gate; /* [hidden_dim] */
	double *up; /* [hidden_dim] */
	double *scores; /* [seq_len] */
	double *out; /* [dim] or [vocab_size] */
	float *quantized; /* the widest input of a matrix */
};

static size_t max_size(size_t a, size_t b)
{
	return a > b ? a : b;
}

struct ref_session *ref_session_new(const struct ref_model *m)
{
	size_t q = (size_t)m->n_heads * m->head_dim, kv = (size_t)m->n_kv_heads * m->head_dim;
	struct ref_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->model = m;
	s->k = calloc(m->n_layers * (size_t)m->seq_len * kv, sizeof(*s->k));
	s->v = calloc(m->n_layers * (size_t)m->seq_len * kv, sizeof(*s->v));
	s->x = calloc(m->dim, sizeof(*s->x));
	s->normed = calloc(m->dim, sizeof(*s->normed));
	s->q = calloc(q, sizeof(*s->q));
	s->kv = calloc(kv, sizeof(*s->kv));
	s->mixed = calloc(q, sizeof(*s->mixed));
	s->gate = calloc(m->hidden_dim, sizeof(*s->gate));
	s->up = calloc(m->hidden_dim, sizeof(*s->up));
	s->scores = calloc(m->seq_len, sizeof(*s->scores));
	s->out = calloc(max_size(m->dim, m->vocab_size), sizeof(*s->out));
	s->quantized = calloc(max_size(max_size(m->dim, m->hidden_dim), q), sizeof(*s->quantized));
	if (s->k && s->v && s->x && s->normed && s->q && s->kv && s->mixed && s->gate && s->up &&
	    s->scores && s->out && s->quantized)
		return s;
	ref_session_free(s);
	return NULL;
}

void ref_session_free(struct ref_session *s)
{
	if (!s)
		return;
	free(s->k);
	free(s->v);
	free(s->x);
	free(s->normed);
	free(s->q);
	free(s->kv);
	free(s->mixed);
	free(s->gate);
	free(s->up);
	free(s->scores);
	free(s->out);
	free(s->quantized);
	free(s);
}

/* out = w · in, with the input quantized first when the precision says so. */
static void multiply(struct ref_session *s, double *out, const float *w, const double *in,
		     size_t rows, size_t columns)
{
	for (size_t i = 0; i < columns; i++)
		s->quantized[i] = (float)in[i];
	if (s->model->precision == REF_INT8)
		ref_round_int8(s->quantized, columns, false);
	for (size_t r = 0; r < rows; r++) {
		double sum = 0;

		for (size_t i = 0; i < columns; i++)
			sum += (double)w[r * columns + i] * s->quantized[i];
		out[r] = sum;
	}
}

static void normalize(double *out, const double *x, const float *weight, size_t n, double eps)
{
	double squares = 0, factor;

	for (size_t i = 0; i < n; i++)
		squares += x[i] * x[i];
	factor = 1 / sqrt(squares / (double)n + eps);
	for (size_t i = 0; i < n; i++)
		out[i] = weight[i] * (x[i] * factor);
}

/* Turn pair i of each head by position · theta^(-2i / head_dim). */
static void rotate(const struct ref_model *m, double *x, size_t heads, uint32_t position)
{
	size_t half = m->head_dim / 2;

	for (size_t h = 0; h < heads; h++) {
		for (size_t i = 0; i < half; i++) {
			double angle =
				position * pow(m->rope_theta, -2.0 * (double)i / m->head_dim);
			double *a = x + h * m->head_dim + (m->rope_halves ? i : 2 * i);
			double *b = m->rope_halves ? a + half : a + 1;
			double turned = *a * cos(angle) - *b * sin(angle);

			*b = *a * sin(angle) + *b * cos(angle);
			*a = turned;
		}
	}
}

static void store(const struct ref_model *m, float *cache, const double *x, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cache[i] = (float)(m->kv_fp16 ? ref_round_fp16(x[i]) : x[i]);
}

/* One head: softmax over the positions 0 to @position of q · k / sqrt(head_dim), applied to v. */
static void attend_head(struct ref_session *s, size_t layer, size_t head, uint32_t position)
{
	const struct ref_model *m = s->model;
	size_t kv_stride = (size_t)m->n_kv_heads * m->head_dim;
	size_t kv_head = head / (m->n_heads / m->n_kv_heads);
	size_t base = layer * m->seq_len * kv_stride + kv_head * m->head_dim;
	const double *q = s->q + head * m->head_dim;
	double *out = s->mixed + head * m->head_dim;
	double largest = -INFINITY, total = 0;

	for (uint32_t t = 0; t <= position; t++) {
		const float *k = s->k + base + t * kv_stride;
		double score = 0;

		for (uint32_t i = 0; i < m->head_dim; i++)
			score += q[i] * k[i];
		s->scores[t] = score / sqrt(m->head_dim);
		largest = fmax(largest, s->scores[t]);
	}
	memset(out, 0, m->head_dim * sizeof(*out));
	for (uint32_t t = 0; t <= position; t++) {
		const float *v = s->v + base + t * kv_stride;
		double weight = exp(s->scores[t] - largest);

		total += weight;
		for (uint32_t i = 0; i < m->head_dim; i++)
			out[i] += weight * v[i];
	}
	for (uint32_t i = 0; i < m->head_dim; i++)
		out[i] /= total;
}

static void attend(struct ref_session *s, size_t layer, uint32_t position)
{
	const struct ref_model *m = s->model;
	const struct ref_layer *l = &m->layers[layer];
	size_t q = (size_t)m->n_heads * m->head_dim, kv = (size_t)m->n_kv_heads * m->head_dim;
	size_t row = (layer * m->seq_len + position) * kv;

	normalize(s->normed, s->x, l->rms_att, m->dim, m->rms_eps);
	multiply(s, s->q, l->wq, s->normed, q, m->dim);
	rotate(m, s->q, m->n_heads, position);
	multiply(s, s->kv, l->wk, s->normed, kv, m->dim);
	rotate(m, s->kv, m->n_kv_heads, position);
	store(m, s->k + row, s->kv, kv);
	multiply(s, s->kv, l->wv, s->normed, kv, m->dim);
	store(m, s->v + row, s->kv, kv);
	for (uint32_t head = 0; head < m->n_heads; head++)
		attend_head(s, layer, head, position);
	multiply(s, s->out, l->wo, s->mixed, m->dim, q);
	for (uint32_t i = 0; i < m->dim; i++)
		s->x[i] += s->out[i];
}

/* w2 · (silu(w1 · x) * (w3 · x)) */
static void feed_forward(struct ref_session *s, const struct ref_layer *l)
{
	const struct ref_model *m = s->model;

	normalize(s->normed, s->x, l->rms_ffn, m->dim, m->rms_eps);
	multiply(s, s->gate, l->w1, s->normed, m->hidden_dim, m->dim);
	multiply(s, s->up, l->w3, s->normed, m->hidden_dim, m->dim);
	for (uint32_t i = 0; i < m->hidden_dim; i++)
		s->gate[i] = s->gate[i] / (1 + exp(-s->gate[i])) * s->up[i];
	multiply(s, s->out, l->w2, s->gate, m->dim, m->hidden_dim);
	for (uint32_t i = 0; i < m->dim; i++)
		s->x[i] += s->out[i];
}

int ref_forward(struct ref_session *s, uint32_t token, uint32_t position, float *logits)
{
	const struct ref_model *m = s->model;

	if (token >= m->vocab_size || position >= m->seq_len)
		return -EINVAL;
	for (uint32_t i = 0; i < m->dim; i++)
		s->x[i] = m->embedding[(size_t)token * m->dim + i];
	for (uint32_t layer = 0; layer < m->n_layers; layer++) {
		attend(s, layer, position);
		feed_forward(s, &m->layers[layer]);
	}
	if (!logits)
		return 0;
	normalize(s->normed, s->x, m->rms_final, m->dim, m->rms_eps);
	multiply(s, s->out, m->classifier, s->normed, m->vocab_size, m->dim);
	for (uint32_t i = 0; i < m->vocab_size; i++)
		logits[i] = (float)s->out[i];
	return 0;
}
