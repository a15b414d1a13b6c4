// SPDX-License-Identifier: MIT
/*
 * Compiling: passes in order, then the container. The weights are written in stretches of one digest each, by
 * several threads, so the digests are computed while the bytes are at hand and a thread holds one stretch.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "graph.h"

#define MAX_THREADS 16u

static int digest(const void *data, size_t bytes, uint8_t *to)
{
	return EVP_Digest(data, bytes, to, NULL, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

static int write_at(int fd, const void *data, size_t bytes, uint64_t offset)
{
	const uint8_t *from = data;

	while (bytes) {
		ssize_t n = pwrite(fd, from, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		from += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* --- weights --- */

struct stream {
	const struct fill *fill;
	const struct compile_options *options;
	int fd;
	uint64_t offset, bytes; /* of the section in the file */
	uint8_t *digests;
	atomic_uint_fast64_t next, done; /* stretches taken; bytes written */
	atomic_int err; /* the first */
	char *why; /* FILL_WHY_BYTES, written by who set err */
};

static int stream_stretch(struct stream *s, struct fill_scratch *scratch, uint64_t index,
			  uint8_t *buffer)
{
	uint64_t begin = index * AIPU_QPC_DIGEST_STEP, left = s->bytes - begin;
	size_t bytes = left < AIPU_QPC_DIGEST_STEP ? (size_t)left : AIPU_QPC_DIGEST_STEP;
	int err = fill_bytes(s->fill, scratch, begin, bytes, buffer);

	if (!err)
		err = digest(buffer, bytes, s->digests + index * AIPU_DIGEST_BYTES);
	if (!err)
		err = write_at(s->fd, buffer, bytes, s->offset + begin);
	if (!err)
		atomic_fetch_add(&s->done, bytes);
	return err;
}

static void stream_work(struct stream *s, bool report)
{
	uint64_t stretches = (s->bytes + AIPU_QPC_DIGEST_STEP - 1) / AIPU_QPC_DIGEST_STEP, index;
	uint8_t *buffer = malloc(AIPU_QPC_DIGEST_STEP);
	struct fill_scratch *scratch = NULL;
	int err = buffer ? fill_scratch_create(s->fill, &scratch) : -ENOMEM, none = 0;

	while (!err && !atomic_load(&s->err) &&
	       (index = atomic_fetch_add(&s->next, 1)) < stretches) {
		if (s->options->stop && *s->options->stop)
			err = -EINTR;
		else
			err = stream_stretch(s, scratch, index, buffer);
		if (report && s->options->progress)
			s->options->progress(s->options->progress_arg, atomic_load(&s->done),
					     s->bytes);
	}
	if (err && atomic_compare_exchange_strong(&s->err, &none, err) && scratch)
		memcpy(s->why, fill_scratch_why(scratch), FILL_WHY_BYTES);
	fill_scratch_free(scratch);
	free(buffer);
}

static void *stream_thread(void *arg)
{
	stream_work(arg, false);
	return NULL;
}

static uint32_t thread_count(const struct compile_options *options)
{
	uint32_t count = options->threads;
	cpu_set_t cpus;

	if (!count)
		count = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (uint32_t)CPU_COUNT(&cpus);
	return count > MAX_THREADS ? MAX_THREADS : count;
}

/* Signals are left to the calling thread: it was prepared for them, a helper was not. */
static int stream_run(struct stream *s)
{
	uint32_t count = thread_count(s->options), i, started = 0;
	pthread_t threads[MAX_THREADS];
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	for (i = 1; i < count; i++)
		started += !pthread_create(&threads[started], NULL, stream_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	stream_work(s, true);
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (!atomic_load(&s->err) && s->options->progress)
		s->options->progress(s->options->progress_arg, s->bytes, s->bytes);
	return atomic_load(&s->err);
}

/* --- container --- */

struct container {
	struct graph graph;
	struct aipu_qpc_header header;
	struct aipu_qpc_model model;
	void *program;
	size_t program_bytes;
	uint8_t *constants;
	float *inverse;
	char *source;
	uint8_t *digests;
	uint64_t end; /* of the file */
	char why[FILL_WHY_BYTES]; /* what failed, where an error number does not say it */
};

static struct aipu_qpc_section *section_add(struct container *c, uint32_t kind, uint64_t bytes)
{
	struct aipu_qpc_section *section = &c->header.sections[c->header.section_count++];

	section->kind = kind;
	section->bytes = bytes;
	section->offset = c->end;
	c->end += (bytes + AIPU_PAGE_BYTES - 1) / AIPU_PAGE_BYTES * AIPU_PAGE_BYTES;
	return section;
}

static int section_write(struct aipu_qpc_section *section, int fd, const void *data)
{
	int err = digest(data, section->bytes, section->digest);

	return err ? err : write_at(fd, data, section->bytes, section->offset);
}

static void model_describe(struct container *c, const struct compile_source *source)
{
	const struct compile_shape *s = &c->graph.shape;
	const struct compile_options *o = &c->graph.options;
	struct aipu_qpc_model *m = &c->model;

	memcpy(m->name, source->name, sizeof(m->name) - 1);
	memcpy(m->architecture, "llama", 5);
	m->parameters = compile_parameters(s);
	m->precision = o->precision;
	m->kv_format = o->kv_format;
	m->vocabulary = s->vocabulary;
	m->layers = s->layers;
	m->dim = s->dim;
	m->hidden_dim = s->hidden_dim;
	m->heads = s->heads;
	m->kv_heads = s->kv_heads;
	m->head_dim = s->head_dim;
	m->ctx_len = o->ctx_len;
	m->prompt_len = o->prompt_len;
	m->batch_size = o->batch_size;
	m->cores = o->cores;
	m->prefill_entry = 0;
	m->decode_entry = 1;
	m->logits_entry = c->graph.max_logits ? 2 : ~0u;
	m->bos_id = s->bos_id;
	m->stop_count = s->stop_count;
	memcpy(m->stop_ids, s->stop_ids, s->stop_count * sizeof(m->stop_ids[0]));
	m->kv_slot_bytes = c->graph.kv_slot_bytes;
}

static int passes_run(struct graph *graph, const struct compile_shape *shape,
		      const struct compile_options *options)
{
	int err = graph_build(graph, shape, options);

	if (!err)
		err = graph_fuse_matmuls(graph);
	if (err)
		return err;
	graph_fuse_adds(graph);
	graph_choose_formats(graph);
	graph_place_weights(graph);
	graph_place_kv(graph);
	return graph_place_scratch(graph);
}

/* Everything but the weights, in memory */
static int container_prepare(struct container *c, const struct compile_source *source)
{
	const struct graph *g = &c->graph;
	uint32_t half = g->shape.head_dim / 2, i;
	double *inverse = malloc(half * sizeof(*inverse));
	struct fill_scratch *scratch = NULL;
	struct fill *fill = NULL;
	int err;

	c->inverse = malloc(half * sizeof(*c->inverse));
	c->constants = malloc(g->slot_bytes[SLOT_CONSTANTS] + 1);
	c->digests =
		calloc(g->slot_bytes[SLOT_WEIGHTS] / AIPU_QPC_DIGEST_STEP + 1, AIPU_DIGEST_BYTES);
	err = c->inverse && c->constants && c->digests && inverse ? 0 : -ENOMEM;
	if (!err) {
		rope_inverse_frequencies(&g->shape, inverse);
		for (i = 0; i < half; i++)
			c->inverse[i] = (float)inverse[i];
		err = graph_emit(g, &c->program, &c->program_bytes);
	}
	if (!err)
		err = source_section(g, source, &c->source);
	if (!err)
		err = fill_create(g, source, SLOT_CONSTANTS, &fill);
	if (!err)
		err = fill_scratch_create(fill, &scratch);
	if (!err)
		err = fill_bytes(fill, scratch, 0, g->slot_bytes[SLOT_CONSTANTS], c->constants);
	if (err && scratch)
		memcpy(c->why, fill_scratch_why(scratch), sizeof(c->why));
	fill_scratch_free(scratch);
	fill_free(fill);
	free(inverse);
	return err;
}

/* So that a full disk is noticed before the work, where the file system can tell */
static int reserve(int fd, uint64_t bytes)
{
	if (!fallocate(fd, 0, 0, (off_t)bytes))
		return 0;
	if (errno != EOPNOTSUPP && errno != ENOSYS)
		return -errno;
	return ftruncate(fd, (off_t)bytes) ? -errno : 0;
}

static int container_write(struct container *c, const struct compile_source *source, int fd)
{
	const struct graph *g = &c->graph;
	uint64_t weights_bytes = g->slot_bytes[SLOT_WEIGHTS];
	uint64_t stretches = (weights_bytes + AIPU_QPC_DIGEST_STEP - 1) / AIPU_QPC_DIGEST_STEP;
	struct stream stream = { .options = &g->options, .fd = fd, .bytes = weights_bytes };
	const void *data[] = { &c->model,  c->program, c->constants,
			       c->inverse, c->source,  c->digests };
	struct fill *fill = NULL;
	uint32_t i;
	int err;

	c->end = sizeof(c->header);
	section_add(c, AIPU_QPC_MODEL, sizeof(c->model));
	section_add(c, AIPU_QPC_PROGRAM, c->program_bytes);
	section_add(c, AIPU_QPC_CONSTANTS, g->slot_bytes[SLOT_CONSTANTS]);
	section_add(c, AIPU_QPC_INVERSE_FREQUENCIES, g->shape.head_dim / 2 * sizeof(float));
	section_add(c, AIPU_QPC_SOURCE, strlen(c->source));
	section_add(c, AIPU_QPC_WEIGHT_DIGESTS, stretches * AIPU_DIGEST_BYTES);
	stream.offset = section_add(c, AIPU_QPC_WEIGHTS, weights_bytes)->offset;
	err = reserve(fd, c->end);
	if (!err)
		err = fill_create(g, source, SLOT_WEIGHTS, &fill);
	if (err)
		return err;
	stream.fill = fill;
	stream.digests = c->digests;
	stream.why = c->why;
	err = stream_run(&stream);
	fill_free(fill);
	for (i = 0; !err && i < sizeof(data) / sizeof(data[0]); i++)
		err = section_write(&c->header.sections[i], fd, data[i]);
	if (err)
		return err;
	c->header.magic = AIPU_QPC_MAGIC;
	c->header.version = AIPU_QPC_VERSION;
	c->header.header_bytes = sizeof(c->header);
	c->header.abi_oldest = AIPU_ABI_OLDEST;
	c->header.abi_newest = AIPU_ABI_CURRENT;
	c->header.file_bytes = c->end;
	err = digest(&c->header, sizeof(c->header), c->header.digest);
	return err ? err : write_at(fd, &c->header, sizeof(c->header), 0);
}

static int explain(struct aipu_message *message, int err, const char *why)
{
	if (err && why[0])
		return compile_fail(message, err, "%s", why);
	switch (err) {
	case 0:
		return 0;
	case -EINTR:
		return compile_fail(message, err, "interrupted");
	case -ENODATA:
		return compile_fail(message, err,
				    "the checkpoint became shorter while it was read");
	case -E2BIG:
		return compile_fail(message, err,
				    "the model has more layers than a program can describe");
	default:
		return compile_fail(message, err, "cannot write the container: %s", strerror(-err));
	}
}

int compile_write(const struct compile_source *source, const struct compile_options *options,
		  int fd, struct aipu_message *message)
{
	struct compile_options checked = *options;
	struct container *c;
	int err = compile_check(&source->shape, &checked, message);

	if (err)
		return err;
	c = calloc(1, sizeof(*c));
	if (!c)
		return explain(message, -ENOMEM, "");
	err = passes_run(&c->graph, &source->shape, &checked);
	if (!err)
		err = container_prepare(c, source);
	if (!err) {
		model_describe(c, source);
		err = container_write(c, source, fd);
	}
	explain(message, err, c->why);
	graph_free(&c->graph);
	free(c->program);
	free(c->constants);
	free(c->inverse);
	free(c->source);
	free(c->digests);
	free(c);
	return err;
}
