// SPDX-License-Identifier: MIT
/*
 * Programs and token rings through libaipu, on the software device or a card: load, run, a ring that fills up and is
 * read slowly, abort while it is full, and weights in a mapped file that becomes shorter under the compute.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aipu/qpc.h"
#include "aipu_program.h"
#include "libaipu_test.h"
#include "llm_fixture.h"

#define PAGE 4096u
#define CTX_LEN 256u
#define RING_ENTRIES 4u
#define MAX_SLOTS 8u

/* Places in the control buffer */
#define AT_BLOCK 0u
#define AT_OPERANDS 1024u
#define AT_LANE 4096u
#define AT_RING 8192u

struct place {
	struct aipu_device *device;
	struct aipu_context *context;
	struct aipu_queue *queue;
	struct aipu_qpc *qpc;
	struct aipu_program *program;
	struct aipu_buffer *image, *control, *slots[MAX_SLOTS];
	int image_segment, control_segment, slot_segments[MAX_SLOTS];
	int file, weights; /* what the container lies in; the weights' file and its slot's index */
	uint32_t slot_count;
	struct aipu_lane *lane;
	struct aipu_ring ring;
};

/* The weights lie in a file (for a card in device memory), all else in device memory; values are zero, which is as good as any here */
static void slots_make(struct place *p, const struct aipu_program_header *header)
{
	const struct aipu_slot *slots = (const struct aipu_slot *)(header + 1);
	struct aipu_block *block;
	struct aipu_operand *operands;
	unsigned char *control = aipu_buffer_data(p->control);

	p->slot_count = header->slot_count;
	assert_true(p->slot_count <= MAX_SLOTS);
	block = (struct aipu_block *)(control + AT_BLOCK);
	block->program = aipu_program_id(p->program);
	block->entry = 1; /* decode */
	block->operand_segment = (uint32_t)p->control_segment;
	block->operand_count = p->slot_count;
	block->operand_offset = AT_OPERANDS;
	operands = (struct aipu_operand *)(control + AT_OPERANDS);
	for (uint32_t i = 0; i < p->slot_count; i++) {
		uint64_t bytes = (slots[i].min_bytes + PAGE - 1) / PAGE * PAGE;

		if (slots[i].kind == AIPU_SLOT_WEIGHTS && !test_is_card()) {
			p->weights = memfd_create("weights", MFD_CLOEXEC);
			assert_true(p->weights >= 0 && !ftruncate(p->weights, (off_t)bytes));
			assert_int_equal(aipu_buffer_map_file(p->device, p->weights, 0, bytes,
							      &p->slots[i]),
					 0);
		} else {
			assert_int_equal(aipu_buffer_create(p->device, AIPU_BUFFER_DEVICE, bytes,
							    &p->slots[i]),
					 0);
		}
		p->slot_segments[i] =
			aipu_segment_bind(p->context, p->slots[i], 0, 0, slots[i].access);
		assert_true(p->slot_segments[i] >= 0);
		operands[i].segment = (uint32_t)p->slot_segments[i];
		operands[i].length = slots[i].min_bytes;
	}
}

static int place_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	const struct aipu_qpc_section *section;
	struct aipu_message message;
	char path[64];

	p->weights = -1;
	p->file = llm_fixture_random(CTX_LEN);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->file);
	assert_int_equal(aipu_qpc_open(path, &p->qpc, NULL), 0);
	section = aipu_qpc_section(p->qpc, AIPU_QPC_PROGRAM, 0);
	assert_non_null(section);
	p->device = test_open(2, 32u << 20);
	assert_int_equal(aipu_context_create(p->device, &p->context), 0);
	assert_int_equal(aipu_queue_create(p->context, 4, &p->queue), 0);
	p->control = test_buffer(p->device, 4 * PAGE);
	p->control_segment =
		aipu_segment_bind(p->context, p->control, 0, 0, AIPU_READ | AIPU_WRITE);
	p->image = test_buffer(p->device, section->bytes);
	memcpy(aipu_buffer_data(p->image), aipu_qpc_data(p->qpc, section), section->bytes);
	p->image_segment = aipu_segment_bind(p->context, p->image, 0, 0, AIPU_READ);
	assert_true(p->control_segment >= 0 && p->image_segment >= 0);
	if (aipu_program_load(p->context, p->image_segment, 0, (uint32_t)section->bytes,
			      &p->program, &message))
		fail_msg("%s", message.text);
	slots_make(p, aipu_qpc_data(p->qpc, section));
	p->lane = (struct aipu_lane *)((unsigned char *)aipu_buffer_data(p->control) + AT_LANE);
	p->lane->n_valid = 1;
	p->lane->logits = AIPU_LOGITS_LAST;
	p->lane->token_source = AIPU_TOKENS_INLINE;
	p->lane->token_offset = 1;
	assert_int_equal(aipu_ring_init(&p->ring, p->queue,
					(unsigned char *)aipu_buffer_data(p->control) + AT_RING,
					RING_ENTRIES),
			 0);
	*state = p;
	return 0;
}

static int place_down(void **state)
{
	struct place *p = *state;

	aipu_queue_destroy(p->queue);
	assert_int_equal(aipu_program_unload(p->program), 0);
	aipu_context_destroy(p->context);
	for (uint32_t i = 0; i < p->slot_count; i++)
		assert_int_equal(aipu_buffer_destroy(p->slots[i]), 0);
	assert_int_equal(aipu_buffer_destroy(p->control), 0);
	assert_int_equal(aipu_buffer_destroy(p->image), 0);
	aipu_device_close(p->device);
	aipu_qpc_close(p->qpc);
	close(p->weights);
	close(p->file);
	free(p);
	return 0;
}

static void generate_start(struct place *p, uint32_t limit)
{
	struct aipu_job *job = aipu_queue_get_job(p->queue, 77);

	assert_non_null(job);
	p->lane->sampler.token_limit = limit;
	aipu_prep_generate(job, p->control_segment, AT_BLOCK, 1, p->control_segment, AT_LANE, 1,
			   p->control_segment, AT_RING, RING_ENTRIES);
	assert_int_equal(aipu_queue_submit(p->queue), 1);
}

static void program_is_loaded_run_and_unloaded(void **state)
{
	struct place *p = *state;
	struct aipu_program *second;
	struct aipu_message message;
	struct aipu_result result;
	struct aipu_job *job = aipu_queue_get_job(p->queue, 0);

	aipu_prep_run(job, p->control_segment, AT_BLOCK, 1, p->control_segment, AT_LANE, 1);
	assert_int_equal(test_run(p->queue, &result), AIPU_STATUS_OK);
	assert_int_equal(p->lane->result.kv_length, 1);
	/* The same image again is another program; a broken one is refused with a reason */
	assert_int_equal(aipu_program_load(p->context, p->image_segment, 0,
					   (uint32_t)aipu_buffer_bytes(p->image), &second,
					   &message),
			 0);
	assert_int_not_equal(aipu_program_id(second), aipu_program_id(p->program));
	assert_int_equal(aipu_program_unload(second), 0);
	((struct aipu_program_header *)aipu_buffer_data(p->image))->magic ^= 1;
	assert_int_equal(aipu_program_load(p->context, p->image_segment, 0,
					   (uint32_t)aipu_buffer_bytes(p->image), &second,
					   &message),
			 -ENOEXEC);
	assert_null(second);
	assert_non_null(strstr(message.text, "header"));
	/* Not in the segment; segment not bound; longer than any program */
	assert_int_equal(aipu_program_load(p->context, p->image_segment, 1u << 30, 512, &second,
					   &message),
			 -ERANGE);
	assert_int_equal(aipu_program_load(p->context, 200, 0, 512, &second, &message), -EFAULT);
	assert_int_equal(aipu_program_load(p->context, p->image_segment, 0, UINT32_MAX, &second,
					   &message),
			 -EINVAL);
	assert_true(message.text[0]);
}

/* GEN-4, GEN-5, GEN-7: a ring of four for 200 tokens, read one by one; nothing is lost or repeated */
static void tokens_come_in_order_through_a_small_ring(void **state)
{
	struct place *p = *state;
	const struct aipu_result *result;
	struct aipu_token_record record;

	generate_start(p, 200);
	for (uint32_t i = 0; i < 200; i++) {
		assert_int_equal(aipu_ring_wait(&p->ring, PATIENCE), 0);
		assert_int_equal(aipu_ring_take(&p->ring, &record, 1), 1);
		assert_int_equal(record.sequence, i);
		assert_int_equal(record.lane, 0);
		assert_int_equal(record.position, i + 1);
		assert_int_equal(record.reason, i < 199 ? AIPU_END_NONE : AIPU_END_LIMIT);
	}
	result = test_wait(p->queue);
	assert_int_equal(result->user_data, 77);
	assert_int_equal(result->status, AIPU_STATUS_OK);
	aipu_queue_seen(p->queue, result);
	assert_int_equal(aipu_ring_take(&p->ring, &record, 1), 0);
	assert_int_equal(aipu_queue_peek(p->queue, &result), -EAGAIN);
	assert_int_equal(p->lane->result.tokens, 200);
}

/* The same by the fd alone, as an event loop does it: peek, look at the ring, poll */
static void tokens_wake_the_fd(void **state)
{
	struct place *p = *state;
	struct pollfd fd = { .fd = aipu_queue_fd(p->queue), .events = POLLIN };
	const struct aipu_result *result = NULL;
	struct aipu_token_record records[3];
	uint32_t tokens = 0;
	bool ended = false;

	generate_start(p, 100);
	while (!ended || tokens < 100) {
		int taken;

		if (!ended && !aipu_queue_peek(p->queue, &result)) {
			assert_int_equal(result->status, AIPU_STATUS_OK);
			aipu_queue_seen(p->queue, result);
			ended = true;
		}
		taken = aipu_ring_take(&p->ring, records, 3);
		assert_true(taken >= 0);
		for (int i = 0; i < taken; i++)
			assert_int_equal(records[i].sequence, tokens++);
		/* Arms the wake index, as aipu_ring_wait does, without sleeping */
		if (!taken && !ended && aipu_ring_wait(&p->ring, 0) == -ETIME)
			assert_int_equal(poll(&fd, 1, 120000), 1);
	}
}

struct unbinder {
	struct aipu_context *context;
	int segment, error;
	atomic_bool ended;
};

static void *unbind_thread(void *arg)
{
	struct unbinder *unbinder = arg;

	unbinder->error = aipu_segment_unbind(unbinder->context, unbinder->segment);
	atomic_store(&unbinder->ended, true);
	return NULL;
}

/* ADM-8, GEN-8, SEG-5: while the ring is full; UNBIND of the ring's memory waits for the job */
static void abort_while_the_ring_is_full(void **state)
{
	struct place *p = *state;
	struct aipu_buffer *buffer = test_buffer(p->device, PAGE);
	struct unbinder unbinder = { .context = p->context };
	struct aipu_context *beside = test_context_beside(p->context, p->device);
	const struct aipu_result *result;
	struct aipu_job *job;
	pthread_t thread;
	bool early;

	/* The lane and the ring stay; the block lies in a buffer of its own, which is unbound meanwhile */
	memcpy(aipu_buffer_data(buffer), aipu_buffer_data(p->control), PAGE);
	unbinder.segment = p->control_segment;
	generate_start(p, 200);
	while (!__atomic_load_n(&p->ring.header->paused, __ATOMIC_ACQUIRE))
		assert_int_equal(aipu_queue_peek(p->queue, &result), -EAGAIN);
	assert_int_equal(__atomic_load_n(&p->ring.header->producer, __ATOMIC_ACQUIRE),
			 RING_ENTRIES);
	assert_int_equal(pthread_create(&thread, NULL, unbind_thread, &unbinder), 0);
	/* Others are served: another queue, other bindings */
	for (unsigned int i = 0; i < 5; i++) {
		struct aipu_queue *queue;
		int segment;

		assert_int_equal(aipu_queue_create(beside, 1, &queue), 0);
		segment = aipu_segment_bind(beside, buffer, 0, 0, AIPU_READ | AIPU_WRITE);
		assert_true(segment >= 0);
		assert_int_equal(test_fill(queue, segment, 64, 64, i), AIPU_STATUS_OK);
		assert_int_equal(aipu_segment_unbind(beside, segment), 0);
		aipu_queue_destroy(queue);
	}
	early = atomic_load(&unbinder.ended);
	assert_int_equal(aipu_queue_abort(p->queue, 77), 0);
	pthread_join(thread, NULL);
	assert_false(early);
	assert_int_equal(unbinder.error, 0);
	result = test_wait(p->queue);
	assert_int_equal(result->status, AIPU_STATUS_ABORTED);
	aipu_queue_seen(p->queue, result);
	assert_int_equal(p->lane->result.reason, AIPU_END_ABORT);
	assert_int_equal(p->lane->result.tokens, RING_ENTRIES);
	/* Gone for the next job */
	job = aipu_queue_get_job(p->queue, 1);
	aipu_prep_run(job, p->control_segment, AT_BLOCK, 1, p->control_segment, AT_LANE, 1);
	assert_int_equal(test_run(p->queue, NULL), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	test_context_drop(beside);
}

/*
 * SEG-8: the cores read the weights in place; a core's SIGBUS becomes the job's DATA_LOST. Set up here and not
 * by cmocka, which puts a SIGBUS handler of its own over the transport's when it goes from setup to test.
 */
static void weights_become_shorter_under_the_compute(void **state)
{
	const struct aipu_result *result = NULL;
	struct aipu_token_record record;
	unsigned int tokens = 0;
	struct place *p;

	test_not_on_cards("a card's weights are in its own memory");
	assert_int_equal(place_up(state), 0);
	p = *state;
	generate_start(p, 200);
	assert_int_equal(aipu_ring_wait(&p->ring, PATIENCE), 0);
	assert_int_equal(aipu_ring_take(&p->ring, &record, 1), 1);
	assert_int_equal(ftruncate(p->weights, 0), 0);
	while (aipu_queue_peek(p->queue, &result)) {
		assert_int_equal(aipu_ring_wait(&p->ring, PATIENCE), 0);
		while (aipu_ring_take(&p->ring, &record, 1) == 1)
			tokens++;
	}
	assert_int_equal(result->status, AIPU_STATUS_DATA_LOST);
	assert_true(tokens < 100);
	aipu_queue_seen(p->queue, result);
	/* And again: it does not come back */
	aipu_prep_run(aipu_queue_get_job(p->queue, 0), p->control_segment, AT_BLOCK, 1,
		      p->control_segment, AT_LANE, 1);
	p->lane->sampler.token_limit = 0;
	assert_int_equal(test_run(p->queue, NULL), AIPU_STATUS_DATA_LOST);
	assert_int_equal(place_down(state), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_up, place_down)
	const struct CMUnitTest tests[] = {
		TEST(program_is_loaded_run_and_unloaded),
		TEST(tokens_come_in_order_through_a_small_ring),
		TEST(tokens_wake_the_fd),
		TEST(abort_while_the_ring_is_full),
		cmocka_unit_test(weights_become_shorter_under_the_compute),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_generate", tests, NULL, NULL);
}
