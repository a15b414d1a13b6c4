/* SPDX-License-Identifier: MIT */
/*
 * A neighbour that disturbs, on the whole way through libaipu: a long GENERATE beside another context's jobs, and a
 * thread that rewrites program images, blocks, operands, lane tables and scatter lists while the device reads them. The
 * rewritten memory is mapped twice, so that the race is between processes' views, as it will be on a card.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "aipu/llm.h"
#include "aipu/qpc.h"
#include "aipu_program.h"
#include "llm_fixture.h"

#define PAGE 4096u

static struct aipu_device *device_open(uint32_t cores)
{
	struct aipu_device_options options = { .cores = cores, .memory_bytes = 64u << 20 };
	struct aipu_message message = { "" };
	struct aipu_device *device;

	if (aipu_device_open(&device, "soft", &options, &message))
		fail_msg("device: %s", message.text);
	return device;
}

struct generator {
	struct aipu_llm *llm;
	atomic_bool end;
	atomic_uint tokens, err;
};

static int count_token(void *arg, const struct aipu_token *token)
{
	struct generator *g = arg;

	(void)token;
	atomic_fetch_add(&g->tokens, 1);
	return atomic_load(&g->end);
}

static void *generate_all_the_time(void *arg)
{
	struct aipu_sampling sampling = { .temperature = 1, .ignore_stop = true };
	struct generator *g = arg;
	struct aipu_session *session;
	uint32_t first = 1;

	if (aipu_session_create(g->llm, &session)) {
		atomic_store(&g->err, 1);
		return NULL;
	}
	while (!atomic_load(&g->end) && !atomic_load(&g->err))
		if (aipu_session_rewind(session, 0) ||
		    aipu_session_prefill(session, &first, 1, NULL) ||
		    aipu_llm_generate(g->llm, &session, &sampling, 1, count_token, g, NULL))
			atomic_store(&g->err, 1);
	aipu_session_destroy(session);
	return NULL;
}

/* [JOB-8] [RING-9] [FLT-1] */
static void generate_delays_by_one_step(void **state)
{
	struct aipu_device *device = device_open(2);
	struct generator g = { 0 };
	struct aipu_message message = { "" };
	struct aipu_context *context;
	struct aipu_queue *queue;
	struct aipu_buffer *buffer;
	struct aipu_result result;
	uint32_t first_step = 0, last_step = 0;
	char path[64];
	pthread_t thread;
	int fd = llm_fixture_random(2048), segment, i;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (aipu_llm_open(device, path, NULL, &g.llm, &message))
		fail_msg("%s", message.text);
	assert_int_equal(aipu_context_create(device, &context), 0);
	assert_int_equal(aipu_queue_create(context, 4, &queue), 0);
	assert_int_equal(aipu_buffer_create(device, AIPU_BUFFER_DEVICE, 2 * PAGE, &buffer), 0);
	segment = aipu_segment_bind(context, buffer, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(pthread_create(&thread, NULL, generate_all_the_time, &g), 0);
	while (!atomic_load(&g.tokens) && !atomic_load(&g.err))
		usleep(100);
	for (i = 0; i < 300; i++) {
		struct aipu_job *job = aipu_queue_get_job(queue, (uint64_t)i);

		if (i % 3 == 0)
			aipu_prep_nop(job);
		else if (i % 3 == 1)
			aipu_prep_fill(job, segment, 0, PAGE, (uint32_t)i);
		else
			aipu_prep_copy(job, segment, PAGE, segment, 0, PAGE);
		assert_int_equal(aipu_queue_submit_and_wait(queue, &result), 0);
		assert_int_equal(result.status, AIPU_STATUS_OK);
		assert_true(result.step_start - result.step_seen <= 1);
		assert_true(result.step_end - result.step_start <= 1);
		first_step = i ? first_step : result.step_seen;
		last_step = result.step_end;
	}
	assert_int_equal(atomic_load(&g.err), 0);
	atomic_store(&g.end, true);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&g.err), 0);
	/* They did run side by side: some of the steps were the other's. */
	assert_true(last_step - first_step > 300);
	aipu_queue_destroy(queue);
	assert_int_equal(aipu_segment_unbind(context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	aipu_context_destroy(context);
	aipu_llm_close(g.llm);
	aipu_device_close(device);
	close(fd);
}

/* Places in the shared memory */
#define AT_LIST 0u /* scatter list, 8 entries */
#define AT_BLOCK 512u
#define AT_OPERANDS 1024u
#define AT_LANES 4096u
#define AT_TOKENS 8192u
#define AT_RING 12288u
#define AT_PROGRAM 65536u
#define RING_ENTRIES 64u
#define LIST 8u
#define LOADS 100u
#define MOST_LOADS 10000u

struct rewriter {
	unsigned char *view; /* a second mapping of the same memory */
	const unsigned char *good; /* contents that make sense */
	size_t bytes, program_bytes;
	atomic_bool end;
	atomic_ulong writes;
};

/* Mostly restores, sometimes damages: what the device reads is now sound, now not, now in between */
static void *rewrite(void *arg)
{
	struct rewriter *r = arg;
	uint64_t random = 88172645463325252ull;
	const size_t span = AT_PROGRAM + r->program_bytes;

	while (!atomic_load(&r->end)) {
		static const uint32_t values[] = { 0, 1, 2, 0xffffffffu, 0x80000000u, 64, 4096 };
		size_t at;
		uint32_t value;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		at = (random >> 8) % 4 ? (random >> 16) % AT_RING
				       : AT_PROGRAM + (random >> 16) % r->program_bytes;
		at &= ~(size_t)3;
		if (at + 4 > span)
			continue;
		value = random & 0x80 ? values[(random >> 56) % 7] : (uint32_t)(random >> 32);
		__atomic_store_n((uint32_t *)(r->view + at), value, __ATOMIC_RELAXED);
		atomic_fetch_add(&r->writes, 1);
		if (!(random & 3))
			sched_yield();
		memcpy(&value, r->good + at, 4);
		__atomic_store_n((uint32_t *)(r->view + at), value, __ATOMIC_RELAXED);
	}
	return NULL;
}

struct place {
	struct aipu_device *device;
	struct aipu_context *context;
	struct aipu_queue *queue;
	struct aipu_buffer *shared, *slots[8], *guards[9];
	int shared_segment, slot_segments[8];
	uint32_t slot_count;
};

/* Guards lie between the operands in device memory, bound in no segment of the context */
static void place_make(struct place *p, const struct aipu_program_header *header, void *memory,
		       size_t bytes)
{
	const struct aipu_slot *slots = (const struct aipu_slot *)(header + 1);
	uint32_t i;

	p->slot_count = header->slot_count;
	assert_true(p->slot_count <= 8);
	assert_int_equal(aipu_context_create(p->device, &p->context), 0);
	assert_int_equal(aipu_queue_create(p->context, 8, &p->queue), 0);
	assert_int_equal(aipu_buffer_import(p->device, memory, bytes, AIPU_READ | AIPU_WRITE,
					    &p->shared),
			 0);
	p->shared_segment = aipu_segment_bind(p->context, p->shared, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(p->shared_segment >= 0);
	for (i = 0; i < p->slot_count; i++) {
		assert_int_equal(
			aipu_buffer_create(p->device, AIPU_BUFFER_DEVICE, PAGE, &p->guards[i]), 0);
		assert_int_equal(aipu_buffer_create(p->device, AIPU_BUFFER_DEVICE,
						    (slots[i].min_bytes + PAGE - 1) / PAGE * PAGE,
						    &p->slots[i]),
				 0);
		p->slot_segments[i] =
			aipu_segment_bind(p->context, p->slots[i], 0, 0, slots[i].access);
		assert_true(p->slot_segments[i] >= 0);
		memset(aipu_buffer_data(p->guards[i]), 0x5a, PAGE);
	}
}

static void place_free(struct place *p)
{
	uint32_t i, k;

	aipu_queue_destroy(p->queue);
	assert_int_equal(aipu_segment_unbind(p->context, p->shared_segment), 0);
	for (i = 0; i < p->slot_count; i++) {
		const unsigned char *guard = aipu_buffer_data(p->guards[i]);

		for (k = 0; k < PAGE; k++)
			assert_int_equal(guard[k], 0x5a);
		assert_int_equal(aipu_segment_unbind(p->context, p->slot_segments[i]), 0);
		assert_int_equal(aipu_buffer_destroy(p->slots[i]), 0);
		assert_int_equal(aipu_buffer_destroy(p->guards[i]), 0);
	}
	assert_int_equal(aipu_buffer_destroy(p->shared), 0);
	aipu_context_destroy(p->context);
}

static void fill_good(const struct place *p, unsigned char *good, const void *image, size_t bytes)
{
	const struct aipu_program_header *header = image;
	const struct aipu_slot *slots = (const struct aipu_slot *)(header + 1);
	struct aipu_copy_entry *list = (struct aipu_copy_entry *)(good + AT_LIST);
	struct aipu_block *block = (struct aipu_block *)(good + AT_BLOCK);
	struct aipu_operand *operands = (struct aipu_operand *)(good + AT_OPERANDS);
	struct aipu_lane *lane = (struct aipu_lane *)(good + AT_LANES);
	uint32_t i;

	for (i = 0; i < LIST; i++) {
		list[i].src_segment = (uint32_t)p->shared_segment;
		list[i].dst_segment = (uint32_t)p->slot_segments[p->slot_count - 1];
		list[i].length = 64;
	}
	block->entry = 1; /* decode */
	block->operand_segment = (uint32_t)p->shared_segment;
	block->operand_count = p->slot_count;
	block->operand_offset = AT_OPERANDS;
	for (i = 0; i < p->slot_count; i++) {
		operands[i].segment = (uint32_t)p->slot_segments[i];
		operands[i].length = slots[i].min_bytes;
	}
	lane->n_valid = 1;
	lane->position = 3;
	lane->logits = AIPU_LOGITS_LAST;
	lane->token_source = AIPU_TOKENS_SEGMENT;
	lane->token_segment = (uint32_t)p->shared_segment;
	lane->token_offset = AT_TOKENS;
	memcpy(good + AT_PROGRAM, image, bytes);
}

enum work { WORK_RUN, WORK_GENERATE, WORK_COPY, WORK_KINDS };

/* One job; true: it ended with OK. It always ends, with a status of the contract. */
static bool one_job(struct place *p, struct aipu_program *program, enum work work,
		    unsigned char *memory)
{
	struct aipu_job *job = aipu_queue_get_job(p->queue, 1);
	struct aipu_result result;

	assert_non_null(job);
	assert_int_equal(aipu_program_id(program), 0); /* as in the good block */
	memset(memory + AT_RING, 0, sizeof(struct aipu_token_ring));
	if (work == WORK_RUN)
		aipu_prep_run(job, p->shared_segment, AT_BLOCK, 1, p->shared_segment, AT_LANES, 1);
	else if (work == WORK_GENERATE)
		aipu_prep_generate(job, p->shared_segment, AT_BLOCK, 1, p->shared_segment, AT_LANES,
				   1, p->shared_segment, AT_RING, RING_ENTRIES);
	else
		aipu_prep_copy_list(job, p->shared_segment, AT_LIST, LIST);
	aipu_job_set_timeout(job, 50); /* a rewritten limit may be large */
	if (aipu_queue_submit(p->queue) != 1)
		fail();
	/* A full ring pauses, and pauses do not count: it is aborted then. */
	for (;;) {
		const struct aipu_result *r;
		int err = aipu_queue_wait(p->queue, &r, 100 * 1000 * 1000);

		if (!err) {
			result = *r;
			aipu_queue_seen(p->queue, r);
			break;
		}
		assert_true(err == -ETIME || err == -EINTR);
		aipu_queue_abort(p->queue, 1);
	}
	assert_true(result.status < AIPU_STATUS_COUNT);
	assert_int_not_equal(result.status, AIPU_STATUS_INTERNAL);
	return result.status == AIPU_STATUS_OK;
}

/* [PRG-1] [RUN-7] [RING-8] [SEG-7] */
static void rewriting_changes_nothing_that_was_checked(void **state)
{
	const struct aipu_qpc_section *section;
	struct rewriter r = { 0 };
	struct place p = { 0 };
	struct aipu_qpc *qpc;
	unsigned int loaded = 0, refused = 0, ok[WORK_KINDS] = { 0 }, bad[WORK_KINDS] = { 0 }, i, k;
	unsigned char *memory, *good;
	char path[64];
	pthread_t thread;
	int fd = llm_fixture_random(256), shared;
	const void *image;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(aipu_qpc_open(path, &qpc, NULL), 0);
	section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 0);
	assert_non_null(section);
	image = aipu_qpc_data(qpc, section);
	r.program_bytes = section->bytes;
	r.bytes = (AT_PROGRAM + section->bytes + PAGE - 1) / PAGE * PAGE;
	shared = memfd_create("shared", MFD_CLOEXEC);
	assert_true(shared >= 0 && !ftruncate(shared, (off_t)r.bytes));
	memory = mmap(NULL, r.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
	r.view = mmap(NULL, r.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
	assert_true(memory != MAP_FAILED && r.view != MAP_FAILED);
	p.device = device_open(2);
	place_make(&p, image, memory, r.bytes);
	good = calloc(1, r.bytes);
	assert_non_null(good);
	fill_good(&p, good, image, section->bytes);
	((struct aipu_lane *)(good + AT_LANES))->sampler.token_limit = 0; /* as RUN wants it */
	r.good = good;
	memcpy(memory, good, r.bytes);
	assert_int_equal(pthread_create(&thread, NULL, rewrite, &r), 0);
	/* Both outcomes must be seen, or the race was none: it goes on until they are. */
	for (i = 0; i < LOADS || (i < MOST_LOADS && !(loaded && refused && ok[WORK_RUN] &&
						      bad[WORK_RUN] && ok[WORK_COPY]));
	     i++) {
		struct aipu_program *program;
		int err = aipu_program_load(p.context, p.shared_segment, AT_PROGRAM,
					    (uint32_t)r.program_bytes, &program, NULL);

		if (err) {
			refused++;
			continue;
		}
		loaded++;
		for (k = 0; k < 12; k++) {
			enum work work = k % WORK_KINDS;
			struct aipu_lane *lane = (struct aipu_lane *)(r.view + AT_LANES);

			__atomic_store_n(&lane->sampler.token_limit, work == WORK_GENERATE ? 20 : 0,
					 __ATOMIC_RELAXED);
			if (one_job(&p, program, work, r.view))
				ok[work]++;
			else
				bad[work]++;
		}
		assert_int_equal(aipu_program_unload(program), 0);
	}
	atomic_store(&r.end, true);
	pthread_join(thread, NULL);
	print_message("%lu writes; loads: %u accepted, %u refused; OK/refused: run %u/%u, generate "
		      "%u/%u, copy %u/%u\n",
		      atomic_load(&r.writes), loaded, refused, ok[0], bad[0], ok[1], bad[1], ok[2],
		      bad[2]);
	assert_true(loaded && refused);
	assert_true(ok[WORK_RUN] && bad[WORK_RUN] && ok[WORK_COPY]);
	place_free(&p);
	aipu_qpc_close(qpc);
	aipu_device_close(p.device);
	munmap(memory, r.bytes);
	munmap(r.view, r.bytes);
	free(good);
	close(shared);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(generate_delays_by_one_step),
		cmocka_unit_test(rewriting_changes_nothing_that_was_checked),
	};

	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
