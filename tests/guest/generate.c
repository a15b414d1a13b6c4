// SPDX-License-Identifier: MIT
/*
 * A whole generation by registers and rings, written from firmware-abi/ alone and through tests/abi's driver: boots the card,
 * puts a compiled model into device memory, prefills, runs one GENERATE and prints the token ids, which tests compare with
 * those of aipu-gen. Linked with each access layer, so it runs wherever the contract's tests run. Never uses libaipu, and
 * leaves the container's digests to aipu-qpc.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu_qpc.h"
#include "driver.h"

#define HOST_BYTES (1u << 20) /* what access.h gives */
#define COMMAND(op, ...) (&(struct aipu_admin){ .opcode = AIPU_ADMIN_##op, __VA_ARGS__ })
enum {
	MOST_TOKENS = 4096,
	RING_ENTRIES = 16,
	STAGE_BYTES = 1 << 18,
	CONTEXT = 1,
	QUEUE = 1,
	PROGRAM = 0
};
enum { PREFILL, DECODE, ENTRIES }; /* of struct control's blocks */
enum { CONTROL, MEMORY }; /* segments */

struct control { /* everything that jobs name; segment CONTROL */
	struct aipu_block block[ENTRIES];
	struct aipu_operand operand[AIPU_MAX_SLOTS];
	struct aipu_lane lane;
	uint32_t tokens[MOST_TOKENS], stops[8];
	_Alignas(64) struct aipu_token_ring ring;
	struct aipu_token_record record[RING_ENTRIES];
	_Alignas(4096) struct aipu_extent_page page;
	uint8_t stage[STAGE_BYTES]; /* on the way to device memory by COPY */
};

struct generate {
	struct device d;
	struct ring q;
	struct control *c;
	uint64_t at; /* DMA address of c */
	uint32_t vector; /* of q */
	uint64_t memory_bytes, memory_used; /* of device memory */
	const uint8_t *file; /* the container */
	size_t file_bytes;
	const struct aipu_qpc_model *model;
	uint32_t tokens[MOST_TOKENS]; /* the prompt, then the answer */
	uint32_t prompt, count;
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "generate: %s: %s\n", what, why);
	return 1;
}

/* How an admin command or a job ended */
static int check(struct generate *g, const char *what, uint32_t status)
{
	if (status == AIPU_STATUS_OK)
		return 0;
	fprintf(stderr, "generate: %s: %s %u, detail 0x%x; register STATUS 0x%x, ERROR %u\n", what,
		status == STATUS_LOST ? "no completion came: status" : "status", status,
		status == STATUS_LOST ? 0 : g->d.done.detail,
		access_read(&g->d.access, AIPU_REG_STATUS),
		access_read(&g->d.access, AIPU_REG_ERROR));
	return 1;
}

static int admin(struct generate *g, const char *what, const struct aipu_admin *command)
{
	return check(g, what, ring_run(&g->d, &g->d.admin, command));
}

static void *file_read(const char *path, size_t *bytes)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL, *more;
	size_t n = 1;

	for (*bytes = 0; f && n; *bytes += n) {
		more = realloc(data, *bytes + (1 << 20));
		if (!more)
			break;
		data = more;
		n = fread(data + *bytes, 1, 1 << 20, f);
	}
	if (!f || ferror(f) || n) {
		fprintf(stderr, "generate: %s: cannot read: %s\n", path, strerror(errno));
		free(data);
		data = NULL;
	}
	if (f)
		fclose(f);
	return data;
}

static int boot(struct generate *g, const char *path)
{
	struct access *a = &g->d.access;
	uint64_t address;
	size_t bytes;
	void *image;

	if (access_read(a, AIPU_REG_MAGIC) != AIPU_MAGIC)
		return fail("the card", "its first register is not that of an AIPU");
	if (device_reset(&g->d) != AIPU_STATE_ROM)
		return fail("reset", "the card does not come to its boot ROM");
	image = file_read(path, &bytes);
	if (!image)
		return 1;
	if (bytes > HOST_BYTES - g->d.used) {
		free(image);
		return fail(path, "too large for this program, which has 1 MiB of host memory");
	}
	memcpy(dma_alloc(&g->d, bytes, &address), image, bytes);
	free(image);
	if (device_load(&g->d, address, (uint32_t)bytes) != AIPU_STATE_RUNNING) {
		fprintf(stderr, "generate: %s: refused by the boot ROM: ERROR %u\n", path,
			access_read(a, AIPU_REG_ERROR));
		return 1;
	}
	device_setup(&g->d);
	if (device_enable(&g->d) != AIPU_STATE_READY)
		return fail("enable", "the card does not get ready");
	g->vector = access_read(a, AIPU_REG_VECTORS) > 1; /* one suffices */
	g->memory_bytes = (uint64_t)access_read(a, AIPU_REG_MEMORY_HI) << 32 |
			  access_read(a, AIPU_REG_MEMORY_LO);
	return 0;
}

/* A context with a queue, and the two segments: the control block, and all of device memory */
static int prepare(struct generate *g)
{
	struct aipu_extent_page *page = &g->c->page;
	const uint64_t page_at = g->at + offsetof(struct control, page);

	*page = (struct aipu_extent_page){ .extents = { { g->at, sizeof(*g->c) } } };
	ring_restart(&g->q);
	return admin(g, "CREATE_CONTEXT",
		     COMMAND(CREATE_CONTEXT, .context = { .context = CONTEXT })) ||
	       admin(g, "CREATE_QUEUE",
		     COMMAND(CREATE_QUEUE, .queue = { .context = CONTEXT,
						      .queue = QUEUE,
						      .sq_address = g->q.sq_address,
						      .cq_address = g->q.cq_address,
						      .entries = g->q.entries,
						      .vector = (uint16_t)g->vector })) ||
	       admin(g, "BIND of host memory",
		     COMMAND(BIND, .bind = { CONTEXT,
					     CONTROL,
					     { .kind = AIPU_SEGMENT_HOST,
					       .access = AIPU_ACCESS_READ | AIPU_ACCESS_WRITE,
					       .extent_count = 1,
					       .length = sizeof(*g->c),
					       .address = page_at } })) ||
	       admin(g, "BIND of device memory",
		     COMMAND(BIND, .bind = { CONTEXT,
					     MEMORY,
					     { .kind = AIPU_SEGMENT_DEVICE,
					       .access = AIPU_ACCESS_READ | AIPU_ACCESS_WRITE,
					       .length = g->memory_bytes } }));
}

static const void *section(const struct generate *g, uint32_t kind, uint64_t *bytes)
{
	const struct aipu_qpc_header *h = (const void *)g->file;
	uint32_t i;

	for (i = 0; i < h->section_count && i < AIPU_QPC_MAX_SECTIONS; i++) {
		const struct aipu_qpc_section *s = &h->sections[i];

		if (s->kind != kind || s->offset % 4096 || s->offset > g->file_bytes ||
		    s->bytes > g->file_bytes - s->offset)
			continue;
		*bytes = s->bytes;
		return g->file + s->offset;
	}
	return NULL;
}

static int container(struct generate *g, const char *path)
{
	const struct aipu_qpc_header *h;
	uint64_t bytes = 0;

	g->file = file_read(path, &g->file_bytes);
	h = (const void *)g->file;
	if (!h)
		return 1;
	if (g->file_bytes < sizeof(*h) || h->magic != AIPU_QPC_MAGIC ||
	    h->version != AIPU_QPC_VERSION)
		return fail(path, "not a container of this version");
	g->model = section(g, AIPU_QPC_MODEL, &bytes);
	if (bytes < sizeof(*g->model) || g->model->stop_count > 8 || !g->model->prompt_len)
		return fail(path, "no usable description of the model");
	return 0;
}

/* Room in device memory; 0 and the offset, or 1 */
static int memory_take(struct generate *g, uint64_t bytes, uint64_t *offset)
{
	*offset = g->memory_used;
	if (bytes > g->memory_bytes - g->memory_used)
		return fail("device memory", "too small for this model");
	g->memory_used += (bytes + 4095) & ~4095ull;
	if (g->memory_used > g->memory_bytes)
		g->memory_used = g->memory_bytes;
	return 0;
}

/* Into device memory by jobs, through the control block */
static int copy_in(struct generate *g, uint64_t offset, const uint8_t *data, uint64_t bytes)
{
	uint64_t piece;

	for (; bytes; offset += piece, data += piece, bytes -= piece) {
		struct aipu_job job = { .opcode = AIPU_JOB_COPY };

		piece = bytes < STAGE_BYTES ? bytes : STAGE_BYTES;
		memcpy(g->c->stage, data, piece);
		job.copy = (struct aipu_job_copy){ .src_segment = CONTROL,
						   .dst_segment = MEMORY,
						   .src_offset = offsetof(struct control, stage),
						   .dst_offset = offset,
						   .length = piece };
		if (check(g, "COPY", ring_run(&g->d, &g->q, &job)))
			return 1;
	}
	return 0;
}

/* Weights go by CPU writes to BAR2, constants by COPY: both ways bring what a program computes from. */
static int operand_fill(struct generate *g, const struct aipu_slot *slot,
			struct aipu_operand *operand)
{
	const bool weights = slot->kind == AIPU_SLOT_WEIGHTS;
	uint64_t bytes = 0;
	const void *data;

	*operand = (struct aipu_operand){ .segment = MEMORY, .length = slot->min_bytes };
	if (memory_take(g, slot->min_bytes, &operand->offset))
		return 1;
	if (slot->kind == AIPU_SLOT_KV || slot->kind == AIPU_SLOT_SCRATCH ||
	    slot->kind == AIPU_SLOT_LOGITS)
		return 0;
	if (!weights && slot->kind != AIPU_SLOT_CONSTANTS)
		return fail("program", "a slot of a kind that this program cannot fill");
	data = section(g, weights ? AIPU_QPC_WEIGHTS : AIPU_QPC_CONSTANTS, &bytes);
	if (!data || bytes < slot->min_bytes)
		return fail("container", "its weights or constants are missing or too short");
	if (!weights)
		return copy_in(g, operand->offset, data, slot->min_bytes);
	memcpy(g->d.access.memory + operand->offset, data, slot->min_bytes);
	return 0;
}

static int load(struct generate *g)
{
	const struct aipu_program_header *h;
	const struct aipu_slot *slots;
	uint64_t bytes, offset;
	uint32_t i;

	h = section(g, AIPU_QPC_PROGRAM, &bytes);
	if (!h || bytes < sizeof(*h) || h->slot_count > AIPU_MAX_SLOTS ||
	    bytes < sizeof(*h) + h->slot_count * sizeof(*slots))
		return fail("container", "no usable program");
	slots = (const void *)(h + 1);
	for (i = 0; i < h->slot_count; i++)
		if (operand_fill(g, &slots[i], &g->c->operand[i]))
			return 1;
	for (i = 0; i < ENTRIES; i++)
		g->c->block[i] = (struct aipu_block){
			.program = PROGRAM,
			.entry = i == PREFILL ? g->model->prefill_entry : g->model->decode_entry,
			.operand_segment = CONTROL,
			.operand_count = h->slot_count,
			.operand_offset = offsetof(struct control, operand),
		};
	return memory_take(g, bytes, &offset) || copy_in(g, offset, (const void *)h, bytes) ||
	       admin(g, "LOAD_PROGRAM",
		     COMMAND(LOAD_PROGRAM, .program = { .context = CONTEXT,
							.program = PROGRAM,
							.segment = MEMORY,
							.bytes = (uint32_t)bytes,
							.offset = offset }));
}

static struct aipu_job step_job(uint32_t block)
{
	struct aipu_job job = { .opcode = block == PREFILL ? AIPU_JOB_RUN : AIPU_JOB_GENERATE };

	job.step = (struct aipu_job_step){
		.block_segment = CONTROL,
		.block_count = 1,
		.block_offset = offsetof(struct control, block) + block * sizeof(struct aipu_block),
		.lane_segment = CONTROL,
		.lane_count = 1,
		.lane_offset = offsetof(struct control, lane),
	};
	if (block == DECODE) {
		job.step.ring_segment = CONTROL;
		job.step.ring_entries = RING_ENTRIES;
		job.step.ring_offset = offsetof(struct control, ring);
	}
	return job;
}

/* Every token of the prompt but the last, which GENERATE begins with */
static int prefill(struct generate *g)
{
	const struct aipu_job job = step_job(PREFILL);
	uint32_t at, n;

	for (at = 0; at < g->prompt - 1; at += n) {
		n = g->prompt - 1 - at < g->model->prompt_len ? g->prompt - 1 - at
							      : g->model->prompt_len;
		memcpy(g->c->tokens, g->tokens + at, n * sizeof(*g->tokens));
		g->c->lane = (struct aipu_lane){ .position = at,
						 .n_valid = n,
						 .logits = AIPU_LOGITS_NONE,
						 .token_source = AIPU_TOKENS_SEGMENT,
						 .token_segment = CONTROL,
						 .token_offset = offsetof(struct control, tokens) };
		if (check(g, "prefill", ring_run(&g->d, &g->q, &job)))
			return 1;
		if (g->c->lane.result.kv_length != at + n)
			return fail("prefill",
				    "the lane's result tells another length of the KV cache");
	}
	return 0;
}

/* Records that the ring holds go to g->tokens; their number, or -1 */
static int take(struct generate *g)
{
	struct aipu_token_ring *ring = &g->c->ring;
	uint32_t producer = __atomic_load_n(&ring->producer, __ATOMIC_ACQUIRE), i = ring->consumer;
	int n = 0;

	for (; i != producer; i++, n++) {
		const struct aipu_token_record *r = &g->c->record[i & (RING_ENTRIES - 1)];

		if (r->sequence != i || r->position != g->count || g->count == MOST_TOKENS) {
			fprintf(stderr,
				"generate: record %u: sequence %u, position %u; %u was due\n", i,
				r->sequence, r->position, g->count);
			return -1;
		}
		g->tokens[g->count++] = r->token;
	}
	if (!n)
		return 0;
	__atomic_store_n(&ring->consumer, i, __ATOMIC_RELEASE);
	__atomic_store_n(&ring->wake, i + 1, __ATOMIC_RELAXED);
	__sync_synchronize();
	if (__atomic_load_n(&ring->paused, __ATOMIC_ACQUIRE))
		access_write(&g->d.access, AIPU_DOORBELL_PAGE(QUEUE) + AIPU_DOORBELL_KICK, 1);
	return n;
}

static int generate(struct generate *g, float temperature, uint64_t seed, uint32_t most)
{
	const struct aipu_job job = step_job(DECODE);
	struct aipu_sampler sampler = { .seed = seed,
					.stop_segment = CONTROL,
					.stop_offset = offsetof(struct control, stops),
					.stop_count = g->model->stop_count,
					.token_limit = most };
	uint32_t idle = 0;
	int n = 0;
	bool ended;
	uint16_t id;

	memcpy(&sampler.temperature, &temperature, sizeof(temperature));
	memcpy(g->c->stops, g->model->stop_ids, sizeof(g->c->stops));
	g->c->lane = (struct aipu_lane){ .position = g->prompt - 1,
					 .n_valid = 1,
					 .logits = AIPU_LOGITS_LAST,
					 .token_source = AIPU_TOKENS_INLINE,
					 .token_offset = g->tokens[g->prompt - 1],
					 .sampler = sampler };
	g->count = g->prompt;
	id = ring_start(&g->d, &g->q, &job);
	do {
		ended = ring_ended(&g->d, &g->q, id); /* records come before the completion */
		n = take(g);
		idle = n ? 0 : idle + 1;
	} while (n >= 0 && (n || !ended) && idle < DEVICE_TIMEOUT_MS && (n || !usleep(1000)));
	if (n < 0 || check(g, "GENERATE", ring_wait(&g->d, &g->q, id)))
		return 1;
	if (g->c->lane.result.tokens != g->count - g->prompt)
		return fail("GENERATE", "the lane's result tells another number of tokens");
	return 0;
}

/* The queue's vector was raised by every completion, at the latest now. */
static int interrupted(struct generate *g)
{
	uint32_t ms = 0;

	while (!__atomic_load_n(&g->d.access.interrupts[g->vector], __ATOMIC_SEQ_CST) &&
	       ms++ < DEVICE_TIMEOUT_MS)
		usleep(1000);
	return ms < DEVICE_TIMEOUT_MS ? 0 : fail("interrupts", "none came by the queue's vector");
}

static int arguments(struct generate *g, int argc, char **argv, float *temperature, uint64_t *seed,
		     uint32_t *most)
{
	char *end = "";
	int i;

	if (argc < 7 || argc - 6 > MOST_TOKENS / 2)
		return 1;
	*temperature = strtof(argv[3], &end);
	if (!*argv[3] || *end)
		return 1;
	*seed = strtoull(argv[4], &end, 10);
	if (!*argv[4] || *end)
		return 1;
	*most = (uint32_t)strtoul(argv[5], &end, 10);
	if (!*argv[5] || *end || !*most || *most > MOST_TOKENS / 2)
		return 1;
	for (i = 6; i < argc; i++) {
		g->tokens[g->prompt++] = (uint32_t)strtoul(argv[i], &end, 10);
		if (!*argv[i] || *end)
			return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static struct generate g;
	uint32_t most, i;
	float temperature;
	uint64_t seed;
	int bad;

	if (arguments(&g, argc, argv, &temperature, &seed, &most)) {
		fprintf(stderr,
			"usage: generate FIRMWARE MODEL.QPC TEMPERATURE SEED TOKENS PROMPT-ID...\n"
			"Prints the ids of at most TOKENS (1 to %u) tokens.\n",
			MOST_TOKENS / 2);
		return 2;
	}
	if (access_open(&g.d.access)) {
		fail("no card", "see above, where the access layer can tell why");
		return 3;
	}
	g.c = dma_alloc(&g.d, sizeof(*g.c), &g.at);
	ring_alloc(&g.d, &g.d.admin, 0, 32);
	ring_alloc(&g.d, &g.q, QUEUE, 8);
	bad = container(&g, argv[2]) || boot(&g, argv[1]) || prepare(&g) || load(&g) ||
	      prefill(&g) || generate(&g, temperature, seed, most) || interrupted(&g) ||
	      admin(&g, "DESTROY_CONTEXT",
		    COMMAND(DESTROY_CONTEXT, .context = { .context = CONTEXT }));
	device_reset(&g.d);
	access_close(&g.d.access);
	for (i = g.prompt; !bad && i < g.count; i++)
		printf("%u%c", g.tokens[i], i + 1 < g.count ? ' ' : '\n');
	free((void *)g.file);
	return bad || fflush(stdout) || ferror(stdout);
}
