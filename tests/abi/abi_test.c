// SPDX-License-Identifier: MIT
/*
 * The tests of the contract, in TAP: what a device maker runs first. A line names what it shows of
 * firmware-abi/spec.md. How it is run: docs/conformance.md, --help.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "image.h"

#define CHECK(t, cond) check(t, cond, #cond, __LINE__)
#define IS(t, name, call) check(t, (call) == AIPU_STATUS_##name, #name " from " #call, __LINE__)
#define COMMAND(op, ...) (&(struct aipu_admin){ .opcode = AIPU_ADMIN_##op, __VA_ARGS__ })
#define ADMIN(t, name, op, ...) IS(t, name, ring_run(&t->d, &t->d.admin, COMMAND(op, __VA_ARGS__)))
#define ENTRY(op, ...) (&(struct aipu_job){ .opcode = AIPU_JOB_##op, __VA_ARGS__ })
#define JOB(t, n, name, op, ...) IS(t, name, ring_run(&t->d, &t->q[n], ENTRY(op, __VA_ARGS__)))
#define GOOD(t, op) IS(t, OK, ring_run(&t->d, &t->q[1], job_good(t, AIPU_JOB_##op)))
#define REG(t, name) access_read(&(t)->d.access, AIPU_REG_##name)
#define SET(t, name, value) access_write(&(t)->d.access, AIPU_REG_##name, value)
#define BELL(t, q, which, value) \
	access_write(&(t)->d.access, AIPU_DOORBELL_PAGE(q) + AIPU_DOORBELL_##which, value)
#define ENDED(t, id, name) \
	(ring_ended(&(t)->d, &(t)->q[1], id) && (t)->q[1].got[id % 64].status == AIPU_STATUS_##name)
#define IN_WORK(field) ((uint32_t)offsetof(struct work, field))
#define WIDTH(field) sizeof(((struct work *)0)->field)
#define PROGRAM_IMAGE WORK, sizeof(program), IN_WORK(program)
#define PAGES (t->at + IN_WORK(page)) /* DMA address of w->page */
#define FAR_AT(i) ((i) / FAR_PIECE * FAR_PIECE + (i))
/* Failed checks after completions that did not come, with no test that passed between them */
#define LOST_MOST 3u
#define ANY 0xfffffffeu /* a detail that the contract leaves open */
enum { FAR_PIECE = 52, FAR_BYTES = 300 * FAR_PIECE, BIG_BYTES = 16 << 20, LOGITS_AT = 4096 };
enum { CTX_LEN = 64, KV = 16 * CTX_LEN * 2 /* bytes of K of one sequence */, ONE = 0x3f800000 };
enum { F32 = AIPU_FMT_F32, F16 = AIPU_FMT_F16, NO = AIPU_NO_TENSOR, ROWS = AIPU_LAYOUT_ROWS };
/* Segments of context 1. FAR: 300 extents, each followed by as many bytes that are in no segment */
enum { WORK, MEMORY, FAR, READ_ONLY, BIG, UNBOUND, DEVICE = AIPU_SEGMENT_DEVICE };
enum { PROGRAM = 0x186, IMAGE = 0x200, SEALED }; /* struct change.base, besides opcodes */

/* Token t becomes t + 1, by attention of the tokens to themselves. Vocabulary, width, head: 16 */
struct program {
	struct aipu_program_header header;
	struct aipu_slot slot[4];
	struct aipu_tensor tensor[8];
	struct aipu_entry entry;
	struct aipu_instruction code[5];
};

struct work { /* everything that jobs name; segment WORK */
	struct aipu_job job;
	struct aipu_admin command;
	struct aipu_block block[2];
	struct aipu_operand operand[4];
	struct aipu_lane lane[2];
	uint32_t tokens[4], stop[2];
	_Alignas(64) struct aipu_token_ring ring;
	struct aipu_token_record record[64];
	_Alignas(64) struct program program;
	struct aipu_copy_entry list[AIPU_COPY_MAX_LIST];
	uint8_t data[65536], far[2 * FAR_BYTES];
	_Alignas(4096) struct aipu_extent_page page[3];
	struct aipu_firmware_header image; /* what LOAD reads */
	uint8_t payload[IMAGE_MAX_BYTES - sizeof(struct aipu_firmware_header)];
};

/* Of the MiB that access.h gives: this, and four rings of three pages */
_Static_assert(sizeof(struct work) + 4 * 3 * 4096 <= 1 << 20, "host memory");

struct test {
	struct device d;
	struct ring q[4]; /* 1 and 2 of context 1, 3 of context 2 */
	struct image image; /* the firmware */
	uint32_t number, failed, bad, lost; /* bad: checks of one test */
	uint64_t at; /* DMA address of w */
	struct work *w;
};

struct change { /* values of one field of a good structure, each of which the device refuses */
	const char *text;
	uint32_t base, offset, bytes, status, detail, count;
	uint64_t values[4];
};

/* The end of all tests: the device is not as the rest of them needs it. What it shows follows */
static void bail(struct test *t, const char *what)
{
	printf("# STATUS %#x, ERROR %u (enum aipu_error in aipu_registers.h)\nBail out! %s\n",
	       REG(t, STATUS), REG(t, ERROR), what);
	access_close(&t->d.access);
	image_close(&t->image);
	exit(1);
}

static void check(struct test *t, bool good, const char *what, int line)
{
	if (good)
		return;
	if (t->bad++ < 4)
		printf("# line %d: %s; last status %u\n", line, what, t->d.done.status);
	if (REG(t, MAGIC) != AIPU_MAGIC)
		bail(t, "it is gone: MAGIC does not read AIPU_MAGIC any more");
	if (t->d.done.status == STATUS_LOST && ++t->lost == LOST_MOST)
		bail(t, "it does not answer: each entry is waited for 10 seconds");
}

/* The end of one test: failed if a check since the last one failed */
static void done(struct test *t, const char *text)
{
	printf("%sok %u - %s\n", t->bad ? "not " : "", ++t->number, text);
	t->failed += t->bad != 0;
	t->lost = t->bad ? t->lost : 0;
	t->bad = 0;
}

/* Wait until a word that the device writes is `value` */
static bool poll(const uint32_t *word, uint32_t value)
{
	uint32_t tries = 0;

	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value && tries++ < DEVICE_TIMEOUT_MS)
		usleep(1000);
	return tries < DEVICE_TIMEOUT_MS;
}

/* The vector of a queue of that id: one of its own, or one that it shares */
static uint16_t vector_of(struct test *t, uint32_t id)
{
	return (uint16_t)(id % (REG(t, VECTORS) ? REG(t, VECTORS) : 1));
}

/* The count of interrupts of queue 1's vector */
static const uint32_t *interrupts(struct test *t)
{
	return &t->d.access.interrupts[vector_of(t, 1)];
}

/* It, when the interrupts of completions that were polled for have come too: none for 200 ms */
static uint32_t interrupts_settled(struct test *t)
{
	const uint32_t *now = interrupts(t);
	uint32_t count, still = 0;

	do {
		count = __atomic_load_n(now, __ATOMIC_ACQUIRE);
		usleep(10000);
		still = __atomic_load_n(now, __ATOMIC_ACQUIRE) == count ? still + 1 : 0;
	} while (still < 20);
	return count;
}

/* Load the good image, a field of it xored with a value; SEALED: with a digest that fits */
static uint32_t image_boot(struct test *t, const struct change *c, uint64_t value)
{
	struct aipu_firmware_header *h = memcpy(&t->w->image, t->image.file, t->image.bytes);
	uint32_t i;

	device_reset(&t->d);
	h->rollback = REG(t, ROLLBACK);
	/* As the device under test takes it, so that what is checked after the signature is reached */
	image_sign(&t->image, h);
	for (i = 0; c && i < c->bytes; i++)
		((uint8_t *)t->w)[c->offset + i] ^= (uint8_t)(value >> 8 * i);
	memset(h->digest, 0, sizeof(h->digest));
	if (!c || c->base == SEALED)
		image_seal(&t->image, h);
	i = device_load(&t->d, t->at + IN_WORK(image), t->image.bytes);
	return i == (c ? AIPU_STATE_FAILED : AIPU_STATE_RUNNING) ? REG(t, ERROR) : ~0u;
}

#pragma GCC diagnostic ignored "-Wmissing-field-initializers" /* what is not named is zero */
/* clang-format off */
#define KVS { 4, 1, 16, CTX_LEN } /* slots, heads, width of a head, positions */
static const struct program program = {
	.header = { AIPU_PROGRAM_MAGIC, sizeof(program.header), AIPU_ABI_OLDEST, AIPU_ABI_CURRENT,
		    sizeof(program), 1, 0x26a, 0, 4, 8, 1, 5, 16, AIPU_KV_SMART_MASK, 4, 0, 1 },
	.slot = { { AIPU_SLOT_WEIGHTS, 1, 0, 0, 2048, "" }, { AIPU_SLOT_LOGITS, 3, 0, 0, 2048, "" },
		  { AIPU_SLOT_SCRATCH, 3, 0, 0, 6144, "" }, { AIPU_SLOT_KV, 3, 0, 0, 8 * KV, "" } },
	.tensor = { { 0, F32, ROWS, 0, {}, 0, 64, { 16, 16, 1, 1 } },
		    { 0, F32, AIPU_LAYOUT_TILE16, 0, {}, 1024, 0, { 16, 16, 1, 1 } },
		    { 3, F16, AIPU_LAYOUT_KV_K, 0, {}, 0, KV, KVS },
		    { 3, F16, AIPU_LAYOUT_KV_V, 0, {}, 4 * KV, KV, KVS },
		    { 2, F32, ROWS, AIPU_ROWS_TOKENS, {}, 0, 64, { 32, 16, 1, 1 } },
		    { 2, F32, ROWS, AIPU_ROWS_TOKENS, {}, 2048, 64, { 32, 16, 1, 1 } },
		    { 2, F32, ROWS, AIPU_ROWS_SELECTED, {}, 4096, 64, { 32, 16, 1, 1 } },
		    { 1, F32, ROWS, AIPU_ROWS_SELECTED, {}, 0, 64, { 32, 16, 1, 1 } } },
	.entry = { "all", 0, 5, 32, 2, 32, CTX_LEN, 7, NO, NO, 0 },
	/* the scale of ATTENTION is 64: tokens other than the row's own weigh next to nothing */
	.code = { { AIPU_OP_EMBED, 0, 0, 0, 4, 0, NO, NO, NO },
		  { AIPU_OP_KV_UPDATE, 0, 0, 0, 2, 4, 4, NO, 3 },
		  { AIPU_OP_ATTENTION, 0, 0, 0, 5, 4, 2, 3, NO, 0, { 1 }, { 0x42800000 } },
		  { AIPU_OP_SELECT, 0, 0, 0, 6, 5, NO, NO, NO },
		  { AIPU_OP_MATMUL, 0, 0, 0, 7, 6, 1, NO, NO } },
};

/* Good jobs: lane 0 has the tokens 3 and 4, lane 1 the token 9 */
#define STEP WORK, 2, IN_WORK(block), WORK, 2, IN_WORK(lane)
static const struct work good = {
	.block = { { 0, 0, WORK, 4, IN_WORK(operand), 0 }, { 0, 0, WORK, 4, IN_WORK(operand), 0 } },
	.operand = { { MEMORY, 0, 0, 2048, 0 }, { MEMORY, 0, LOGITS_AT, 2048, 0 },
		     { MEMORY, 0, 8192, 6144, 0 }, { MEMORY, 0, 16384, 8 * KV, 0 } },
	.lane = { { 0, 7, 0, 0, 2, AIPU_LOGITS_LAST, AIPU_TOKENS_SEGMENT, IN_WORK(tokens) },
		  { 1, 7, 1, 0, 1, AIPU_LOGITS_LAST, AIPU_TOKENS_INLINE, 9 } },
	.tokens = { 3, 4 }, .stop = { 99, 11 },
};
static const struct aipu_job jobs[] = {
	{ 0 }, { .opcode = AIPU_JOB_COPY, .copy = { 0, 0, IN_WORK(list), .list_count = 2 } },
	{ .opcode = AIPU_JOB_FILL, .fill = { WORK, 0x44332211, IN_WORK(data) + 1, 7, {} } },
	{ .opcode = AIPU_JOB_RUN, .step = { STEP, 0, 0, 0 } },
	{ .opcode = AIPU_JOB_GENERATE, .step = { STEP, WORK, 64, IN_WORK(ring) } },
};

#define ROW(req, base, field, status, detail, ...) \
	{ "[" #req "] " #base " " #field ": " #status, base, IN_WORK(field), WIDTH(field), status, \
	  detail, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, { __VA_ARGS__ } }
#define FW(seal, field, err, ...) ROW(BOOT-2, seal, image.field, AIPU_ERROR_##err, ANY, __VA_ARGS__)
#define A(req, op, field, status, ...) ROW(req, AIPU_ADMIN_##op, command.field, \
	AIPU_STATUS_##status, offsetof(struct aipu_admin, field), __VA_ARGS__)
#define QUEUE(field, status, ...) A(ADM-6, CREATE_QUEUE, queue.field, status, __VA_ARGS__)
#define SEG(req, field, status, ...) A(req, BIND, bind.descriptor.field, status, __VA_ARGS__)
#define PROG(field, reason, index, ...) ROW(PRG-3, PROGRAM, program.field, \
	AIPU_STATUS_INVALID_PROGRAM, AIPU_REFUSAL(AIPU_REFUSAL_##reason, index), __VA_ARGS__)
#define J(req, op, field, status, detail, ...) \
	ROW(req, AIPU_JOB_##op, field, AIPU_STATUS_##status, detail, __VA_ARGS__)
#define RUN(req, field, status, detail, ...) J(req, RUN, field, status, detail, __VA_ARGS__)
#define LANE(field) (1 << 16 | offsetof(struct aipu_lane, field))
static const struct change images[] = {
	FW(SEALED, signature_kind, FIRMWARE_SIGNATURE, 1), FW(SEALED, magic, FIRMWARE_MAGIC, 1),
	FW(SEALED, header_version, FIRMWARE_HEADER, 3),
	FW(SEALED, build[63], FIRMWARE_HEADER, 1), FW(SEALED, payload_bytes, FIRMWARE_SIZE, 1),
	FW(SEALED, board_id, FIRMWARE_BOARD, 1), FW(IMAGE, board_id, FIRMWARE_DIGEST, 1),
};
/* The value is the device's counter xored with the one below */
static const struct change rolled_back = FW(SEALED, rollback, FIRMWARE_ROLLBACK, 0);
static const struct change refusals[] = {
	A(ADM-3, CREATE_CONTEXT, context.context, INVALID_CONTEXT, 0, ~0u),
	A(ADM-3, CREATE_CONTEXT, context.priority, INVALID_FIELD, 3, ~0u),
	A(ADM-3, CREATE_CONTEXT, context.weight, INVALID_FIELD, 257, ~0u),
	QUEUE(queue, BUSY, 1, 3),
	J(GEN-1, GENERATE, lane[1].logits, INVALID_LANE, LANE(logits), 0),
	RUN(RUN-3, lane[1].kv_slot, INVALID_LANE, LANE(kv_slot), 0, 4),
	J(SEG-4, FILL, job.fill.segment, ACCESS_DENIED, 8, READ_ONLY),
	RUN(RUN-2, operand[2].length, INVALID_OPERAND, 2, 6143), PROG(slot[1].access, ACCESS, 4, 1),
	SEG(SEG-2, address, OUT_OF_RANGE, 1ull << 50, ~63ull), QUEUE(sq_address, ALIGNMENT, 0, 64),
	A(PRG-2, LOAD_PROGRAM, program.offset, ALIGNMENT, 4), SEG(SEG-1, kind, INVALID_FIELD, 0, 4),
	A(ADM-1, IDENTIFY, opcode, INVALID_OPCODE, 0, 0x93), QUEUE(entries, INVALID_FIELD, 0, 1, 3),
	A(ADM-2, IDENTIFY, identify.address, ALIGNMENT, 8), SEG(SEG-1, access, INVALID_FIELD, 0, 4),
	A(SEG-1, BIND, bind.segment, INVALID_SEGMENT, ~0u), SEG(SEG-2, address, ALIGNMENT, 1, 96),
	A(ADM-1, IDENTIFY, reserved1, INVALID_FIELD, 1), A(ADM-8, ABORT, abort.job, NOT_FOUND, 998),
	J(JOB-1, NOP, job.opcode, INVALID_OPCODE, 0, 5), A(SEG-1, BIND, bind.segment, BUSY, WORK),
	A(ADM-8, ABORT, abort.queue, INVALID_QUEUE, 4), RUN(RUN-4, tokens[1], INVALID_INDEX, 1, 16),
	PROG(slot[2].min_bytes, TENSOR_RANGE, 6, 6143), QUEUE(queue, INVALID_QUEUE, 0, ~0u),
	RUN(RUN-1, block[1].program, NOT_FOUND, 1, 1), PROG(code[3].b, OPERAND, 3, 0),
};
static const struct change shadows[] = { /* not offered; offered */
	A(RING-10, CREATE_QUEUE, queue.shadow_address, UNSUPPORTED, 4096),
	A(RING-12, CREATE_QUEUE, queue.shadow_address, ALIGNMENT, 64, 4097),
};
/* clang-format on */

static struct aipu_job *job_good(struct test *t, uint32_t opcode)
{
	uint32_t i;

	memcpy(t->w, &good, IN_WORK(program));
	for (i = 0; i < AIPU_COPY_MAX_LIST; i++)
		t->w->list[i] = (struct aipu_copy_entry){ BIG, BIG, 0, BIG_BYTES, BIG_BYTES };
	for (i = 0; i < 2; i++)
		t->w->lane[i].sampler.token_limit = opcode == AIPU_JOB_GENERATE ? 5 : 0;
	t->w->job = jobs[opcode];
	return &t->w->job;
}

/* Status of a good command, job or program, or ERROR of a boot, with one field changed */
static uint32_t refuse(struct test *t, const struct change *c, uint64_t value)
{
	struct aipu_admin commands[16] = {
		[0] = *COMMAND(IDENTIFY, .identify = { PAGES }),
		[1] = *COMMAND(CREATE_CONTEXT, .context = { 3 }),
		[4] = *COMMAND(BIND, .bind = { 1, UNBOUND, { DEVICE, 3, .length = 64 } }),
		[5] = *COMMAND(UNBIND, .unbind = { 1 }),
		[6] = *COMMAND(LOAD_PROGRAM, .program = { 1, 1, PROGRAM_IMAGE }),
		[8] = *COMMAND(CREATE_QUEUE, .queue = { 1, 4, PAGES, PAGES, .entries = 8 }),
		[10] = *COMMAND(ABORT, .abort = { 1, 999 }),
	};
	const bool is_job = c->base < AIPU_ADMIN_IDENTIFY;

	if (c->base >= IMAGE)
		return image_boot(t, c, value);
	if (is_job)
		job_good(t, c->base);
	t->w->program = program;
	t->w->command = commands[c->base & 15];
	memcpy((uint8_t *)t->w + c->offset, &value, c->bytes);
	if (is_job)
		return ring_run(&t->d, &t->q[1], &t->w->job);
	return ring_run(&t->d, &t->d.admin, &t->w->command);
}

static void test_changes(struct test *t, const struct change *c, size_t count)
{
	uint32_t i;

	for (; count--; done(t, c++->text))
		for (i = 0; i < c->count; i++) {
			CHECK(t, refuse(t, c, c->values[i]) == c->status);
			CHECK(t, c->detail == ANY || c->detail == t->d.done.detail);
		}
}

static bool offers_shadows(struct test *t)
{
	return REG(t, CAP_LO) & AIPU_CAP_SHADOW_DOORBELLS;
}

static void queue_create(struct test *t, struct ring *r, uint32_t context)
{
	r->shadowed = offers_shadows(t);
	ADMIN(t, OK, CREATE_QUEUE,
	      .queue = { context, r->id, r->sq_address, r->cq_address,
			 r->shadowed ? r->shadow_address : 0, 8, vector_of(t, r->id) });
}

/* Bring the device up: two contexts, three queues, six segments, one program */
static void test_fresh(struct test *t)
{
	const struct aipu_admin_bind binds[] = {
		{ 1, MEMORY, { DEVICE, 3, .length = 1u << 20 } },
		{ 1, READ_ONLY, { DEVICE, 1, .length = 65536, .address = 1u << 20 } },
		{ 1, BIG, { DEVICE, 3, .length = 2 * BIG_BYTES, .address = BIG_BYTES } },
		{ 2, WORK, { DEVICE, 3, .length = 65536, .address = 2u << 20 } },
		{ 1, FAR, { AIPU_SEGMENT_HOST, 3, 0, 300, FAR_BYTES, PAGES } },
		{ 1, WORK, { AIPU_SEGMENT_HOST, 3, 0, 1, sizeof(*t->w), PAGES + 8192 } },
	};
	uint32_t i, *weights = (uint32_t *)t->d.access.memory;
	struct ring *r;

	memset(t->w->page, 0, sizeof(t->w->page));
	for (i = 0; i < 300; i++)
		t->w->page[i / 255].extents[i % 255] =
			(struct aipu_extent){ t->at + IN_WORK(far[2 * FAR_PIECE * i]), FAR_PIECE };
	t->w->page[0].next = PAGES + 4096;
	t->w->page[2].extents[0] = (struct aipu_extent){ t->at, sizeof(*t->w) };
	if (image_boot(t, NULL, 0) != AIPU_ERROR_NONE)
		bail(t, "it does not start its firmware any more");
	device_setup(&t->d);
	if (device_enable(&t->d) != AIPU_STATE_READY)
		bail(t, "it does not become READY");
	ADMIN(t, OK, CREATE_CONTEXT, .context = { 1 });
	ADMIN(t, OK, CREATE_CONTEXT, .context = { 2 });
	for (i = 1, r = &t->q[1]; i <= 3; i++, r++) {
		ring_restart(r);
		queue_create(t, r, 1 + i / 3);
	}
	for (i = 0; i < sizeof(binds) / sizeof(*binds); i++)
		ADMIN(t, OK, BIND, .bind = binds[i]);
	memset(weights, 0, 2048);
	for (i = 0; i < 16; i++)
		weights[i * 16 + (i + 1) % 16] = weights[256 + i * 16 + i] = ONE;
	t->w->program = program;
	ADMIN(t, OK, LOAD_PROGRAM, .program = { 1, 0, PROGRAM_IMAGE });
	memset(t->w->page, 0xff, sizeof(t->w->page)); /* both were read once */
	memset(&t->w->program, 0xff, sizeof(program));
}

/* What the tests need beyond the contract; they would end in riddles without it. */
static void test_needs(struct test *t)
{
	const struct need {
		uint32_t reg, least;
		const char *text;
	} needs[] = {
		{ AIPU_REG_MAX_QUEUES, 4, "the tests need MAX_QUEUES of 4 or more" },
		{ AIPU_REG_MAX_QUEUE_ENTRIES, 8, "the tests need MAX_QUEUE_ENTRIES of 8 or more" },
		{ AIPU_REG_MAX_CONTEXTS, 3, "the tests need MAX_CONTEXTS of 3 or more" },
		{ AIPU_REG_MAX_SEGMENTS, UNBOUND + 1, "the tests need MAX_SEGMENTS of 6 or more" },
		{ AIPU_REG_MAX_PROGRAMS, 2, "the tests need MAX_PROGRAMS of 2 or more" },
		{ AIPU_REG_MAX_LANES, 2, "the tests need MAX_LANES of 2 or more" },
		{ AIPU_REG_MAX_EXTENTS, 300, "the tests need MAX_EXTENTS of 300 or more" },
	};
	const bool starts = image_boot(t, NULL, 0) == AIPU_ERROR_NONE;
	size_t i;

	if (!starts && REG(t, ERROR) == AIPU_ERROR_FIRMWARE_SIGNATURE)
		bail(t,
		     t->image.key
			     ? "it does not take images that this key signed: --key needs one that it knows"
			     : "it does not take images without a signature: --key KEY signs them");
	if (!starts)
		bail(t,
		     "it does not start the image; aipu-fw verify and aipu-fw inspect look at that");
	for (i = 0; i < sizeof(needs) / sizeof(*needs); i++)
		if (access_read(&t->d.access, needs[i].reg) < needs[i].least)
			bail(t, needs[i].text);
	if (!REG(t, MEMORY_HI) && REG(t, MEMORY_LO) < 3 * BIG_BYTES)
		bail(t, "the tests need 48 MiB of device memory or more (MEMORY)");
}

static void test_rollback(struct test *t)
{
	const uint32_t least = REG(t, ROLLBACK);
	struct change c = rolled_back;

	c.values[0] = least ^ (least - 1);
	if (least)
		test_changes(t, &c, 1);
	else
		printf("ok %u - %s # SKIP ROLLBACK is 0, and no counter is below\n", ++t->number,
		       c.text);
}

static void test_boot(struct test *t)
{
	uint32_t old;

	if (REG(t, MAGIC) != AIPU_MAGIC)
		bail(t, REG(t, MAGIC) == ~0u
				? "it is gone: MAGIC reads all ones"
				: "no device of this contract: MAGIC is not AIPU_MAGIC");
	if (device_wait(&t->d, AIPU_STATE_ROM, AIPU_STATE_RUNNING) != AIPU_STATE_ROM) {
		printf("# it starts firmware of its own: each RESET is one with RECOVERY\n");
		t->d.recovery = AIPU_CONTROL_RECOVERY;
		device_reset(&t->d);
	}
	CHECK(t, REG(t, MAGIC) == AIPU_MAGIC && !(REG(t, STATUS) & AIPU_STATUS_STATE_MASK) &&
			 !REG(t, FIRMWARE_VERSION));
	SET(t, CONTROL, AIPU_CONTROL_ENABLE);
	CHECK(t, REG(t, ERROR) == AIPU_ERROR_STATE && !REG(t, CONTROL) && !REG(t, CAP_OPS_LO));
	old = REG(t, RESET_COUNT);
	CHECK(t, device_reset(&t->d) == AIPU_STATE_ROM && REG(t, RESET_COUNT) == old + 1);
	SET(t, BOOT_COMMAND, 7);
	CHECK(t, REG(t, ERROR) == AIPU_ERROR_STATE && !(REG(t, STATUS) & AIPU_STATUS_STATE_MASK));
	done(t, "[BOOT-1] [BOOT-5] [BOOT-8] [RST-6] [REG-2] [REG-3] boot ROM");
	if (REG(t, STATUS) & AIPU_STATUS_STATE_MASK)
		bail(t, "a RESET does not lead to the state ROM");
	test_needs(t);
	test_changes(t, images, sizeof(images) / sizeof(*images));
	test_rollback(t);
	device_reset(&t->d);
	device_load(&t->d, 1ull << 60, t->image.bytes);
	CHECK(t, REG(t, ERROR) == AIPU_ERROR_FIRMWARE_DMA);
	image_boot(t, NULL, 0);
	device_setup(&t->d);
	SET(t, ADMIN_ENTRIES, 3);
	device_enable(&t->d);
	CHECK(t, REG(t, ERROR) == AIPU_ERROR_ADMIN_QUEUE);
	BELL(t, 0, SQ_TAIL, 3);
	test_fresh(t);
	CHECK(t, REG(t, ABI_IN_USE) == AIPU_ABI_CURRENT && REG(t, CAP_OPS_LO));
	done(t, "[BOOT-3] [BOOT-4] [BOOT-6] [BOOT-7] [BOOT-9] [RST-4] ENABLE");
	test_changes(t, refusals, sizeof(refusals) / sizeof(*refusals));
	test_changes(t, &shadows[offers_shadows(t)], 1);
	JOB(t, 1, OK, NOP);
	JOB(t, 3, INVALID_SEGMENT, FILL, .fill = { MEMORY, .length = 64 });
	done(t, "[FLT-1] [JOB-2] [SEG-7] all is well; contexts are apart");
}

/* A GENERATE of lane 0 alone on queue 1, paused by a ring of two entries at index -1 */
static uint16_t generate_paused(struct test *t)
{
	uint16_t id;

	job_good(t, AIPU_JOB_GENERATE)->timeout_ms = 500;
	t->w->job.step.ring_entries = 2;
	t->w->lane[1].n_valid = 0;
	t->w->ring.producer = t->w->ring.consumer = t->w->ring.wake = ~0u;
	id = ring_start(&t->d, &t->q[1], &t->w->job);
	CHECK(t, poll(&t->w->ring.paused, 1) && t->w->ring.producer == 1);
	return id;
}

/* A COPY of 16 GiB on queue 1 */
static uint16_t copy_long(struct test *t, uint32_t timeout_ms)
{
	job_good(t, AIPU_JOB_COPY)->timeout_ms = timeout_ms;
	t->w->job.copy.list_count = AIPU_COPY_MAX_LIST;
	return ring_start(&t->d, &t->q[1], &t->w->job);
}

static void test_rings(struct test *t)
{
	static const uint32_t way[] = { WORK, FAR, MEMORY, BIG, FAR, WORK };
	static const uint32_t at[] = { IN_WORK(data), 1, 300001, 77, 1, IN_WORK(data) };
	struct aipu_completion *last = &t->d.done;
	struct ring *r = &t->q[1];
	uint32_t i, irq = interrupts_settled(t);
	uint16_t id = 0;

	for (i = 0; i < 5 * r->entries; i++) {
		JOB(t, 1, OK, NOP);
		CHECK(t, last->sq_head == r->tail && last->phase <= 1 && !last->detail);
		CHECK(t, last->step_end == last->step_start + 1);
	}
	CHECK(t, poll(interrupts(t), irq + i));
	for (r->hold = true, i = 0; i <= r->entries; i++) { /* one more than the ring holds */
		id = ring_start(&t->d, r, ENTRY(NOP));
		if (i < r->entries - 1)
			IS(t, OK, ring_wait(&t->d, r, id));
	}
	usleep(50000);
	CHECK(t, !ring_ended(&t->d, r, id));
	r->hold = false;
	ring_show_head(&t->d, r);
	IS(t, OK, ring_wait(&t->d, r, id));
	done(t,
	     "[RING-1] [RING-3] [RING-4] [RING-5] [RING-6] [RING-7] [RING-9] small and full rings");
	id = generate_paused(t);
	BELL(t, 1, SQ_TAIL, r->entries);
	IS(t, ABORTED, ring_wait(&t->d, r, id));
	ADMIN(t, OK, ASYNC_EVENT);
	CHECK(t, last->detail == AIPU_EVENT_ERROR);
	ADMIN(t, OK, DESTROY_QUEUE, .queue = { 1, 1 });
	done(t, "[RING-2] [ADM-7] [ADM-9] a doorbell beyond the ring; event");
	test_fresh(t);
	memset(t->w->far, 0xee, 2 * FAR_BYTES);
	for (i = 0; i < FAR_BYTES - 1; i++)
		t->w->data[i] = (uint8_t)(i % 251);
	for (i = 0; i < 5; i++)
		JOB(t, 1, OK, COPY,
		    .copy = { way[i], way[i + 1], at[i], at[i + 1], FAR_BYTES - 1 });
	for (i = 0; i < FAR_BYTES - 1; i++)
		CHECK(t, t->w->data[i] == i % 251 && t->w->far[FAR_AT(i) + FAR_PIECE] == 0xee);
	ring_put(r, ENTRY(FILL, .fill = { BIG, 0x5a5a5a5a, 64, 64 }));
	JOB(t, 1, OK, COPY, .copy = { BIG, WORK, 96, IN_WORK(tokens), 4 });
	CHECK(t, t->w->tokens[0] == 0x5a5a5a5a);
	JOB(t, 1, OUT_OF_RANGE, COPY, .copy = { BIG, FAR, 0, 1, FAR_BYTES });
	CHECK(t, t->w->far[2] == 1);
	GOOD(t, FILL);
	CHECK(t, !memcmp(t->w->data, "\0\x11\x22\x33\x44\x11\x22\x33\x08", 9));
	GOOD(t, COPY);
	CHECK(t, !memcmp(t->d.access.memory + BIG_BYTES, t->d.access.memory + 2 * BIG_BYTES,
			 BIG_BYTES));
	done(t, "[JOB-3] [JOB-4] [JOB-6] [RING-11] [SEG-3] COPY all ways, 300 extents, list; FILL");
}

/* All queues have a shadow page where the device offers it; this is what follows from it, or from its absence. */
static void test_shadows(struct test *t)
{
	const uint32_t jobs[] = { 1, 7, 3, 2 };
	struct ring *r = &t->q[2];
	uint32_t i, n, rescues, rung = 0;
	uint16_t id = 0;

	test_fresh(t);
	rescues = REG(t, RESCUES);
	CHECK(t, !offers_shadows(t) ||
			 (!r->shadow->sq_event && r->shadow->cq_event == AIPU_SHADOW_AWAKE));
	for (i = 0; i < 400; i++) {
		usleep(i % 16 ? 0 : 1000 * (i % 3)); /* so that it falls asleep, or does not */
		/* Seldom several: their interrupts merge, and access_settle() waits long for what does not come. */
		for (n = 0; n < (i % 16 ? 1 : jobs[i / 16 % 4]); n++)
			id = ring_put(r, ENTRY(NOP));
		rung += ring_show_tail(&t->d, r);
		IS(t, OK, ring_wait(&t->d, r, id));
	}
	CHECK(t, rung >= 1 && REG(t, RESCUES) == rescues);
	CHECK(t, offers_shadows(t) || rung == i);
	done(t,
	     "[RING-13] [RING-14] [RING-16] it is told of jobs, and finds them without a rescue");
	if (!offers_shadows(t))
		return;
	id = generate_paused(t);
	ring_put(&t->q[1], ENTRY(NOP));
	ring_show_tail(&t->d, &t->q[1]);
	ADMIN(t, OK, ABORT, .abort = { 1, id + 1u });
	CHECK(t, !ring_ended(&t->d, &t->q[1], id));
	__atomic_store_n(&t->q[1].shadow->sq_tail, t->q[1].entries, __ATOMIC_RELEASE);
	BELL(t, 1, SQ_TAIL, 0);
	IS(t, ABORTED, ring_wait(&t->d, &t->q[1], id));
	CHECK(t, REG(t, ERROR) == AIPU_ERROR_QUEUE);
	JOB(t, 2, OK, NOP);
	done(t,
	     "[RING-2] [RING-13] [RING-17] a page is a doorbell: to commands, and when it is wrong");
	test_fresh(t);
}

static void test_generate(struct test *t)
{
	const uint32_t *logits = (uint32_t *)(t->d.access.memory + LOGITS_AT);
	struct aipu_token_ring *ring = &t->w->ring;
	struct aipu_token_record *r = t->w->record;
	struct aipu_lane *lane = t->w->lane;
	uint32_t i, l, irq, n[2] = { 0, 0 };
	uint16_t id;

	GOOD(t, RUN);
	CHECK(t, logits[16 + 9] == 0 && logits[16 + 10] == ONE && logits[16 + 11] == 0);
	CHECK(t, lane[0].result.kv_length == 2 && lane[0].result.generation == 7);
	job_good(t, AIPU_JOB_GENERATE);
	lane[0].position = 1; /* after what RUN left */
	lane[0].sampler.token_limit = 1000;
	lane[1].sampler.stop_count = 2;
	lane[1].sampler.stop_offset = IN_WORK(stop);
	IS(t, OK, ring_run(&t->d, &t->q[1], &t->w->job));
	for (i = 0; i < 64; i++) {
		l = r[i].lane & 1;
		CHECK(t, r[i].sequence == i && r[i].position == 3 - 2 * l + n[l] && !r[i].reserved);
		CHECK(t, r[i].token == ((l ? 10 : 5) + n[l]++) % 16);
		CHECK(t,
		      r[i].reason == (n[l] == lane[l].result.tokens ? lane[l].result.reason : 0));
	}
	CHECK(t, n[0] == 62 && lane[0].result.reason == AIPU_END_CONTEXT && ring->producer == 64);
	CHECK(t, n[1] == 2 && lane[1].result.reason == AIPU_END_STOP);
	done(t, "[PRG-1] [RUN-6] [GEN-2] [GEN-3] [GEN-4] logits; records, feedback, why lanes end");
	irq = interrupts_settled(t);
	id = generate_paused(t);
	CHECK(t, poll(interrupts(t), irq + 1));
	usleep(700000);
	CHECK(t, r[1].token == 5 && r[0].token == 6 && r[1].sequence == ~0u && !r[0].sequence);
	__atomic_store_n(&ring->consumer, 1, __ATOMIC_RELEASE);
	BELL(t, 1, KICK, 1);
	CHECK(t, poll(&ring->producer, 3) && r[1].token == 7 && r[0].token == 8);
	__atomic_store_n(&ring->consumer, 3, __ATOMIC_RELEASE); /* without KICK */
	IS(t, OK, ring_wait(&t->d, &t->q[1], id));
	CHECK(t, r[1].token == 9 && r[1].reason == AIPU_END_LIMIT && ring->producer == 4);
	done(t, "[GEN-5] [GEN-7] [JOB-7] a full ring pauses the job and its time");
}

static void test_control(struct test *t)
{
	struct ring *r = &t->q[1], *admin = &t->d.admin;
	struct device *d = &t->d;
	uint16_t id, queued, unbind;
	uint32_t way, state;

	id = generate_paused(t);
	queued = ring_start(d, r, ENTRY(NOP));
	ADMIN(t, OK, UNLOAD_PROGRAM, .program = { 1 });
	unbind = ring_start(d, admin, COMMAND(UNBIND, .unbind = { 1, MEMORY }));
	JOB(t, 2, OK, NOP);
	CHECK(t, !ring_ended(d, admin, unbind) && !ring_ended(d, r, id));
	ADMIN(t, OK, ABORT, .abort = { 1, queued });
	ADMIN(t, OK, ABORT, .abort = { 1, id });
	CHECK(t, ENDED(t, id, ABORTED) && ENDED(t, queued, ABORTED));
	CHECK(t, r->got[id % 64].sq_head == r->tail);
	CHECK(t, t->w->lane[0].result.reason == AIPU_END_ABORT && t->w->lane[0].result.tokens == 2);
	IS(t, OK, ring_wait(d, admin, unbind));
	done(t, "[ADM-8] [GEN-8] [PRG-5] [RING-4] [SEG-5] while a job runs");
	test_fresh(t);
	id = generate_paused(t);
	queued = ring_start(d, r, ENTRY(NOP));
	memset(t->w, 0xff, IN_WORK(ring)); /* all that was read once */
	__atomic_store_n(&t->w->ring.consumer, 1, __ATOMIC_RELEASE);
	CHECK(t, poll(&t->w->ring.producer, 3) && t->w->record[0].token == 8);
	ADMIN(t, OK, RESET_CONTEXT, .context = { 1 });
	CHECK(t, ENDED(t, id, CONTEXT_RESET) && ENDED(t, queued, CONTEXT_RESET));
	CHECK(t, r->got[queued % 64].sq_head == r->tail);
	id = generate_paused(t);
	ADMIN(t, OK, DESTROY_CONTEXT, .context = { 1 });
	CHECK(t, ENDED(t, id, ABORTED));
	JOB(t, 3, OK, NOP);
	ADMIN(t, INVALID_CONTEXT, UNBIND, .unbind = { 1, MEMORY });
	done(t, "[ADM-4] [ADM-5] [RING-4] [RUN-7] [RING-8] jobs end; all was read once");
	test_fresh(t);
	IS(t, TIMEOUT, ring_wait(d, r, copy_long(t, 1)));
	id = copy_long(t, 0);
	JOB(t, 2, OK, NOP);
	CHECK(t, !ring_ended(d, r, id) && REG(t, MAGIC) == AIPU_MAGIC);
	for (way = 0; way < 2; way++, id = copy_long(t, 0)) {
		state = way ? AIPU_STATE_ROM : AIPU_STATE_RUNNING;
		SET(t, CONTROL, way ? AIPU_CONTROL_RESET | d->recovery : 0);
		CHECK(t, device_wait(d, state, state) == state);
		CHECK(t, REG(t, STATUS) & AIPU_STATUS_IDLE);
		memset(t->d.access.memory + 2 * BIG_BYTES, 0xcc, BIG_BYTES);
		usleep(50000);
		CHECK(t, t->d.access.memory[2 * BIG_BYTES] == 0xcc && !ring_ended(d, r, id));
		test_fresh(t);
	}
	done(t,
	     "[JOB-7] [JOB-8] [PCI-3] [REG-6] [RST-1] [RST-2] [RST-3] timeout, disable, reset amid a COPY");
}

/*
 * Seven NOPs, given at once, of a context of this class and weight, while another, NORMAL with weight 1, copies on so many
 * queues: steps from the first one's start to the last one's
 */
static uint32_t turns(struct test *t, uint32_t priority, uint32_t weight, uint32_t copies)
{
	const struct aipu_progress *progress = (const void *)t->w->page;
	const struct aipu_completion *got = t->q[3].got;
	uint32_t i, tries = 0, steps;
	uint16_t id = 0, last[2] = { 0 };

	ADMIN(t, OK, DESTROY_CONTEXT, .context = { 2 });
	ADMIN(t, OK, CREATE_CONTEXT, .context = { 2, priority, weight });
	ring_restart(&t->q[3]);
	queue_create(t, &t->q[3], 2);
	/* Several one after another: a slow host shall not find them done. */
	for (i = 0, last[0] = copy_long(t, 0); i < 5; i++)
		last[0] = ring_start(&t->d, &t->q[1], &t->w->job);
	for (i = 0; copies > 1 && i < 6; i++)
		last[1] = ring_start(&t->d, &t->q[2], &t->w->job);
	for (steps = REG(t, STEPS); REG(t, STEPS) - steps < 4 && tries++ < DEVICE_TIMEOUT_MS;)
		usleep(1000);
	for (i = 0; i < 6; i++)
		id = ring_put(&t->q[3], ENTRY(NOP));
	IS(t, OK, ring_wait(&t->d, &t->q[3], id = ring_start(&t->d, &t->q[3], ENTRY(NOP))));
	ADMIN(t, OK, GET_PROGRESS, .progress = { .context = 1, .address = PAGES });
	CHECK(t, t->d.done.step_end - t->d.done.step_seen <= 1);
	CHECK(t, progress->running == 1);
	ADMIN(t, OK, RESET_CONTEXT, .context = { 1 });
	for (i = 0; i < copies; i++)
		IS(t, CONTEXT_RESET, ring_wait(&t->d, &t->q[i + 1], last[i]));
	if (priority == AIPU_PRIORITY_HIGH)
		CHECK(t, got[(id - 6) % 64].step_start - got[(id - 6) % 64].step_seen <= 2);
	return got[id % 64].step_start - got[(id - 6) % 64].step_start;
}

static void test_turns(struct test *t)
{
	uint32_t n;

	test_fresh(t);
	CHECK(t, (n = turns(t, AIPU_PRIORITY_NORMAL, 0, 1)) >= 11 && n <= 13);
	CHECK(t, (n = turns(t, AIPU_PRIORITY_NORMAL, 1, 2)) >= 11 && n <= 13);
	done(t,
	     "[ADM-6] [ADM-11] [JOB-8] [PRIO-2] [PRIO-3] contexts take turns, and their queues share them");
	if (!(REG(t, CAP_LO) & AIPU_CAP_PRIORITIES)) {
		ADMIN(t, UNSUPPORTED, CREATE_CONTEXT, .context = { 3, AIPU_PRIORITY_LOW });
		ADMIN(t, UNSUPPORTED, CREATE_CONTEXT, .context = { 3, 0, 2 });
		done(t, "[ADM-3] priorities are refused where they are not offered");
		return;
	}
	CHECK(t, (n = turns(t, AIPU_PRIORITY_NORMAL, 3, 1)) >= 7 && n <= 9);
	CHECK(t, (n = turns(t, AIPU_PRIORITY_NORMAL, 256, 1)) >= 6 && n <= 7);
	done(t, "[PRIO-2] steps are shared by weight");
	CHECK(t, (n = turns(t, AIPU_PRIORITY_HIGH, 1, 1)) == 6);
	CHECK(t, (n = turns(t, AIPU_PRIORITY_LOW, 256, 1)) >= 6 * 64 && n <= 6 * 66);
	done(t, "[PRIO-1] [PRIO-4] a higher class goes first, a lower one does not wait for ever");
}

/* A 64-bit counter, low half at `reg` */
static uint64_t counter(struct test *t, uint32_t reg)
{
	uint32_t high, low;

	do {
		high = access_read(&t->d.access, reg + 4);
		low = access_read(&t->d.access, reg);
	} while (access_read(&t->d.access, reg + 4) != high);
	return (uint64_t)high << 32 | low;
}

/* Whether a counter went from `old` to its present value by `n`, or is not there */
static bool counted(struct test *t, uint32_t reg, uint64_t old, uint64_t n)
{
	return old == ~0ull ? counter(t, reg) == old : counter(t, reg) - old == n;
}

static void test_counters(struct test *t)
{
	const uint32_t read = AIPU_REG_MEMORY_READ_LO, written = AIPU_REG_MEMORY_WRITTEN_LO;
	const uint32_t operations = AIPU_REG_OPERATIONS_LO, energy = AIPU_REG_ENERGY_UJ_LO;
	uint64_t r = counter(t, read), w = counter(t, written), o = counter(t, operations);
	uint64_t e = counter(t, energy);

	GOOD(t, COPY);
	CHECK(t, counted(t, read, r, 2 * BIG_BYTES) && counted(t, written, w, 2 * BIG_BYTES));
	JOB(t, 1, OK, FILL, .fill = { BIG, 0, 5, 12345 });
	JOB(t, 1, OK, COPY, .copy = { BIG, WORK, 0, IN_WORK(data), 321 });
	CHECK(t, counted(t, read, r, 2 * BIG_BYTES + 321));
	CHECK(t, counted(t, written, w, 2 * BIG_BYTES + 12345));
	CHECK(t, counted(t, operations, o, 0));
	/* Two blocks: two rows of logits, 16 by 16 each; one head of 16 over 1 + 2 and 1 positions */
	GOOD(t, RUN);
	CHECK(t, counted(t, operations, o, 2 * (2 * 16 * 16 + 2 * 16 * (1 + 2 + 1))));
	r = counter(t, read);
	CHECK(t, e == ~0ull || counter(t, energy) - e < 1ull << 40);
	test_fresh(t); /* by RESET */
	CHECK(t, counted(t, operations, o, 2 * 640) && counted(t, read, r, 0));
	done(t, "[NRG-1] [NRG-2] [NRG-3] [NRG-4] counters, where there are any");
}

static void test_limits(struct test *t)
{
	const uint32_t power = REG(t, POWER_LIMIT), clock = REG(t, CLOCK_LIMIT), low = clock / 2;
	const struct aipu_completion *last = &t->d.done;
	struct ring *admin = &t->d.admin;

	if (!(REG(t, CAP_LO) & AIPU_CAP_LIMITS)) {
		ADMIN(t, UNSUPPORTED, SET_LIMITS, .limits = { 0, 0 });
		done(t, "limits are refused where they are not offered");
		return;
	}
	CHECK(t, REG(t, TEMPERATURE) != ~0u && REG(t, POWER) != ~0u && power != ~0u);
	CHECK(t, REG(t, TEMPERATURE_THROTTLE) < REG(t, TEMPERATURE_SHUTDOWN));
	CHECK(t, REG(t, CLOCK) <= clock && clock != ~0u && REG(t, THROTTLE) != ~0u);
	ADMIN(t, INVALID_FIELD, SET_LIMITS, .limits = { power + 1, 1 });
	CHECK(t, last->detail == offsetof(struct aipu_admin, limits.power_mw));
	ADMIN(t, INVALID_FIELD, SET_LIMITS, .limits = { 1, clock });
	ADMIN(t, INVALID_FIELD, SET_LIMITS, .limits = { power, clock + 1 });
	CHECK(t, last->detail == offsetof(struct aipu_admin, limits.clock_mhz));
	ADMIN(t, INVALID_FIELD, SET_LIMITS, .limits = { 0, 0, { 0, 1 } });
	CHECK(t, REG(t, POWER_LIMIT) == power && REG(t, CLOCK_LIMIT) == clock);
	ADMIN(t, OK, SET_LIMITS, .limits = { power, clock });
	/* Half the clock, where the card takes it: the same results; until RESET */
	if (!ring_run(&t->d, admin, COMMAND(SET_LIMITS, .limits = { 0, low })))
		CHECK(t, REG(t, CLOCK_LIMIT) <= low && REG(t, CLOCK) <= REG(t, CLOCK_LIMIT));
	GOOD(t, RUN);
	CHECK(t, ((uint32_t *)(t->d.access.memory + LOGITS_AT))[16 + 10] == ONE);
	test_fresh(t);
	CHECK(t, REG(t, POWER_LIMIT) == power && REG(t, CLOCK_LIMIT) == clock);
	done(t, "[LIM-1] [LIM-2] [LIM-3] [LIM-4] limits: known, refused, set, until RESET");
}

int main(int argc, char **argv)
{
	static struct test t;
	uint32_t i;
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0); /* what is slow or stuck is seen */
	if (!image_open(&t.image, argc, argv, &status))
		return status;
	if (access_open(&t.d.access)) {
		printf("Bail out! no device can be reached\n");
		image_close(&t.image);
		return 1;
	}
	t.w = dma_alloc(&t.d, sizeof(*t.w), &t.at);
	ring_alloc(&t.d, &t.d.admin, 0, 32);
	for (i = 1; i <= 3; i++)
		ring_alloc(&t.d, &t.q[i], i, 8);
	test_boot(&t);
	test_rings(&t);
	test_shadows(&t);
	test_generate(&t);
	test_control(&t);
	test_turns(&t);
	test_fresh(&t);
	test_counters(&t);
	test_limits(&t);
	access_close(&t.d.access);
	image_close(&t.image);
	printf("1..%u\n", t.number);
	return t.failed ? 1 : 0;
}
