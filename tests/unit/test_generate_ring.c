// SPDX-License-Identifier: MIT
/*
 * GENERATE: the same tokens as single RUN steps with a sampler beside them, each reason to end, the
 * token ring full, wrapped and hostile, lanes in company as alone, abort at any time.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "compute/sampler.h"
#include "program_llama.h"

static const struct llama_shape shape = { AIPU_FMT_I8_G32, AIPU_FMT_F16, true, 4, 2 };
static struct llama model;

#define LANE(field) ((uint32_t)offsetof(struct aipu_lane, field))
#define JOB(field) ((uint32_t)offsetof(struct aipu_job, step.field))

static void job_open(struct llama_job *j, unsigned int cores, uint32_t entries)
{
	llama_job_open(j, &model, cores, AIPU_SIMD_AUTO);
	for (uint32_t i = 0; i < JOB_TOKENS; i++)
		j->tokens[i] = (i * 13 + 5) % LLAMA_VOCAB;
	j->job.opcode = AIPU_JOB_GENERATE;
	j->job.step.ring_segment = SEG_RING;
	j->job.step.ring_entries = entries;
}

/* A lane that draws with its own seed, temperature 0.8, all cuts in use */
static struct aipu_lane *lane_sampled(struct llama_job *j, uint32_t lane, uint32_t kv_slot,
				      uint32_t first, uint32_t count, uint32_t limit)
{
	struct aipu_lane *l = llama_lane(j, lane, kv_slot, 0, first, count);

	l->sampler.temperature = aipu_f32_bits(0.8f);
	l->sampler.top_k = 30;
	l->sampler.top_p = aipu_f32_bits(0.95f);
	l->sampler.min_p = aipu_f32_bits(0.01f);
	l->sampler.seed = 42 + first;
	l->sampler.token_limit = limit;
	l->sequence = 500 + first;
	return l;
}

static struct dm_step_job *job_begin(struct llama_job *j)
{
	struct dm_step_job *job = NULL;
	uint32_t detail = 0;
	unsigned int status = dm_step_job_begin(&j->context, &j->job, &job, &detail);

	if (status != AIPU_STATUS_OK)
		fail_msg("status %u, detail %#x", status, detail);
	return job;
}

static unsigned int job_end(struct llama_job *j, struct dm_step_job *job)
{
	uint32_t detail;
	unsigned int status = dm_step_job_end(job, AIPU_STATUS_OK, true, &detail);

	assert_int_equal(rig_holds(&j->context), 0);
	return status;
}

/* Tokens of one lane by single RUN steps, sampled here */
static uint32_t by_single_steps(struct llama_job *j, const struct aipu_lane *like, uint32_t limit,
				uint32_t *tokens, float *logprobs)
{
	struct aipu_job keep = j->job;
	struct aipu_lane *l = &j->lanes[0], lane = *like;
	uint8_t *scratch =
		aligned_alloc(64, (aipu_sample_scratch_bytes(LLAMA_VOCAB) + 63) / 64 * 64);
	struct aipu_sampler_params p = {
		.temperature = aipu_f32(lane.sampler.temperature),
		.top_k = lane.sampler.top_k,
		.top_p = aipu_f32(lane.sampler.top_p),
		.min_p = aipu_f32(lane.sampler.min_p),
		.seed = lane.sampler.seed,
	};
	uint32_t n = 0, detail;

	j->job.opcode = AIPU_JOB_RUN;
	j->job.step.ring_segment = j->job.step.ring_entries = 0;
	memset(&lane.sampler, 0, sizeof(lane.sampler));
	memset(j->lanes, 0, JOB_LANES * sizeof(*j->lanes));
	*l = lane;
	while (n < limit) {
		assert_int_equal(llama_job_do(j, &detail), AIPU_STATUS_OK);
		l->position += l->n_valid;
		tokens[n] = aipu_sample(j->context.kernels, j->logits, LLAMA_VOCAB, &p,
					lane.sequence, l->position, scratch, &logprobs[n]);
		l->token_source = AIPU_TOKENS_INLINE;
		l->token_offset = tokens[n++];
		l->n_valid = 1;
		if (l->position == LLAMA_CTX)
			break;
	}
	free(scratch);
	memset(j->lanes, 0, JOB_LANES * sizeof(*j->lanes));
	j->job = keep;
	return n;
}

/* [GEN-2] [GEN-4] */
static void same_as_single_steps(void **state)
{
	uint32_t tokens[LLAMA_CTX];
	float logprobs[LLAMA_CTX];
	struct llama_job j;

	(void)state;
	for (unsigned int cores = 1; cores <= 3; cores++) {
		struct dm_step_job *job;
		struct aipu_lane like;
		uint32_t n;

		job_open(&j, cores, 32);
		like = *lane_sampled(&j, 0, 1, 9, 5, 12);
		n = by_single_steps(&j, &like, 12, tokens, logprobs);
		assert_int_equal(n, 12);
		j.lanes[4] = like;
		j.ring->producer = j.ring->consumer = 0xfffffff9; /* wraps in the middle */
		job = job_begin(&j);
		for (uint32_t i = 0; i < n; i++) {
			const struct aipu_token_record *r = &j.records[(0xfffffff9u + i) % 32];

			assert_int_equal(dm_step_job_step(job),
					 i + 1 < n ? DM_STEP_MORE : DM_STEP_DONE);
			assert_int_equal(j.ring->producer, 0xfffffff9u + i + 1);
			assert_int_equal(j.ring->paused, 0);
			assert_int_equal(r->sequence, 0xfffffff9u + i);
			assert_int_equal(r->lane, 4);
			assert_int_equal(r->token, tokens[i]);
			assert_int_equal(r->position, 5 + i);
			assert_int_equal(r->logprob, aipu_f32_bits(logprobs[i]));
			assert_int_equal(r->reason, i + 1 < n ? AIPU_END_NONE : AIPU_END_LIMIT);
			assert_int_equal(r->reserved, 0);
			assert_int_equal(r->time_ns, i + 1);
		}
		assert_int_equal(dm_step_job_step(job), DM_STEP_DONE); /* and stays so */
		assert_int_equal(job_end(&j, job), AIPU_STATUS_OK);
		/* The last token's own K and V were not computed */
		assert_int_equal(j.lanes[4].result.kv_length, 5 + 11);
		assert_int_equal(j.lanes[4].result.tokens, 12);
		assert_int_equal(j.lanes[4].result.reason, AIPU_END_LIMIT);
		assert_int_equal(j.lanes[4].result.generation, 7);
		llama_job_close(&j);
	}
}

/* [GEN-3] */
static void reasons_to_end(void **state)
{
	uint32_t tokens[LLAMA_CTX + 1], n, at;
	float logprobs[LLAMA_CTX + 1];
	struct llama_job j;
	struct aipu_lane like;
	uint32_t detail;

	(void)state;
	/*
	 * The context: from position 20 of 24, the tokens at 21 .. 24 are given, the last is not
	 * fed back
	 */
	job_open(&j, 2, 32);
	like = *lane_sampled(&j, 0, 0, 3, 2, 1000);
	like.position = 19;
	n = by_single_steps(&j, &like, LLAMA_CTX, tokens, logprobs);
	assert_int_equal(n, 4);
	j.lanes[0] = like;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	assert_int_equal(j.ring->producer, 4);
	assert_int_equal(j.records[3].position, LLAMA_CTX);
	assert_int_equal(j.records[3].reason, AIPU_END_CONTEXT);
	assert_int_equal(j.records[2].reason, AIPU_END_NONE);
	assert_int_equal(j.lanes[0].result.kv_length, LLAMA_CTX);
	assert_int_equal(j.lanes[0].result.reason, AIPU_END_CONTEXT);

	/* A stop id: the first token that did not come before */
	like.position = 0;
	n = by_single_steps(&j, &like, 16, tokens, logprobs);
	for (at = 3; at < n; at++) {
		uint32_t i = 0;

		while (tokens[i] != tokens[at])
			i++;
		if (i == at)
			break;
	}
	assert_true(at < n);
	j.stops[0] = LLAMA_VOCAB + 7; /* may be any number */
	j.stops[1] = tokens[at];
	like.sampler.stop_count = 2;
	like.sampler.stop_segment = SEG_STOPS;
	/* STOP is named before LIMIT, LIMIT before CONTEXT */
	for (unsigned int pass = 0; pass < 3; pass++) {
		uint32_t base = j.ring->producer, count = pass == 2 ? at : at + 1;

		j.ring->consumer = base;
		like.sampler.token_limit = pass ? count : 1000;
		j.lanes[0] = like;
		assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
		assert_int_equal(j.ring->producer, base + count);
		assert_int_equal(j.records[(base + count - 1) % 32].reason,
				 pass == 2 ? AIPU_END_LIMIT : AIPU_END_STOP);
		assert_int_equal(j.lanes[0].result.tokens, count);
	}
	/* All lanes idle: nothing happens, and that is fine */
	memset(j.lanes, 0, JOB_LANES * sizeof(*j.lanes));
	n = j.ring->producer;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	assert_int_equal(j.ring->producer, n);
	llama_job_close(&j);
}

/*
 * [GEN-5] Four lanes of different lengths, alone and together, with every size of ring and slow and
 * fast callers
 */
static void together_as_alone(void **state)
{
	static uint32_t want[4][LLAMA_CTX], n[4];
	static float logprobs[LLAMA_CTX];
	static const uint32_t limits[4] = { 9, 20, 3, 14 }, lengths[4] = { 1, 4, 2, 5 };
	struct aipu_lane like[4];

	(void)state;
	for (uint32_t entries = 2; entries <= 64; entries *= 4) {
		for (uint32_t taken = 1; taken <= entries && taken <= 8; taken += 3) {
			struct llama_job j;
			struct dm_step_job *job;
			uint32_t given[4] = { 0 }, pauses = 0, steps = 0, take;
			/* Takes records only where the device waits for it, or after each step */
			bool lazy = taken % 2;
			enum dm_step_result result;

			job_open(&j, 2, entries);
			for (uint32_t i = 0; i < 4; i++) {
				like[i] = *lane_sampled(&j, i, i, 7 * i + 1, lengths[i], limits[i]);
				n[i] = by_single_steps(&j, &like[i], limits[i], want[i], logprobs);
			}
			for (uint32_t i = 0; i < 4; i++)
				j.lanes[i * 2] = like[i];
			j.ring->consumer = j.ring->producer = 0xfffffff0;
			job = job_begin(&j);
			do {
				result = dm_step_job_step(job);
				steps++;
				assert_true(j.ring->producer - j.ring->consumer <= entries);
				assert_int_equal(j.ring->paused, result == DM_STEP_PAUSED);
				if (result == DM_STEP_PAUSED)
					assert_int_equal(j.ring->producer - j.ring->consumer,
							 entries);
				pauses += result == DM_STEP_PAUSED;
				take = result == DM_STEP_DONE		   ? entries
				       : result == DM_STEP_PAUSED || !lazy ? taken
									   : 0;
				while (take--) {
					const struct aipu_token_record *r =
						&j.records[j.ring->consumer % entries];

					if (j.ring->consumer == j.ring->producer)
						break;
					assert_int_equal(r->token,
							 want[r->lane / 2][given[r->lane / 2]]);
					given[r->lane / 2]++;
					j.ring->consumer++;
				}
			} while (result != DM_STEP_DONE && steps < 1000);
			assert_int_equal(job_end(&j, job), AIPU_STATUS_OK);
			for (uint32_t i = 0; i < 4; i++) {
				assert_int_equal(given[i], n[i]);
				assert_int_equal(j.lanes[i * 2].result.tokens, n[i]);
			}
			assert_int_equal(pauses > 0, lazy);
			llama_job_close(&j);
		}
	}
}

/* [GEN-6] */
static void ring_fields(void **state)
{
	static const uint32_t bad_entries[] = { 0, 1, 3, 48, 131072, 0x80000000, 0xffffffff };
	struct llama_job j;
	uint32_t detail;

	(void)state;
	job_open(&j, 1, 32);
	lane_sampled(&j, 0, 1, 9, 5, 12);
	for (unsigned int i = 0; i < sizeof(bad_entries) / sizeof(bad_entries[0]); i++) {
		j.job.step.ring_entries = bad_entries[i];
		assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_INVALID_FIELD);
		assert_int_equal(detail, JOB(ring_entries));
	}
	j.job.step.ring_entries = 128; /* larger than the segment */
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(detail, JOB(ring_segment));
	j.job.step.ring_entries = 32;
	j.job.step.ring_offset = 4;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_ALIGNMENT);
	assert_int_equal(detail, JOB(ring_offset));
	j.job.step.ring_offset = UINT64_MAX - 7;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OUT_OF_RANGE);
	j.job.step.ring_offset = 0;
	j.job.step.ring_segment = 50;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_INVALID_SEGMENT);
	j.job.step.ring_segment = SEG_RING;
	j.context.segments[SEG_RING].access = AIPU_ACCESS_READ;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_ACCESS_DENIED);
	j.context.segments[SEG_RING].access = 3;
	j.ring->producer = 33;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_INVALID_RING);
	j.ring->producer = 5;
	j.ring->consumer = 6;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_INVALID_RING);
	j.ring->consumer = 5;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	assert_int_equal(rig_holds(&j.context), 0);
	llama_job_close(&j);
}

/*
 * [GEN-6] Garbage in the header while the job runs: consumer is caught, the device's own fields are
 * not believed
 */
static void ring_rewritten(void **state)
{
	struct llama_job j;
	struct dm_step_job *job;

	(void)state;
	job_open(&j, 1, 32);
	lane_sampled(&j, 0, 1, 9, 5, 12);
	job = job_begin(&j);
	assert_int_equal(dm_step_job_step(job), DM_STEP_MORE);
	j.ring->producer = 0x12345678;
	j.ring->paused = 7;
	memset(j.records, 0xff, 32 * sizeof(*j.records));
	assert_int_equal(dm_step_job_step(job), DM_STEP_MORE);
	assert_int_equal(j.ring->producer, 2);
	assert_int_equal(j.records[1].sequence, 1);
	j.ring->consumer = 3; /* more than there were */
	assert_int_equal(dm_step_job_step(job), DM_STEP_DONE);
	assert_int_equal(job_end(&j, job), AIPU_STATUS_INVALID_RING);
	assert_int_equal(j.lanes[0].result.kv_length, 6);
	assert_int_equal(j.lanes[0].result.tokens, 2);
	assert_int_equal(j.lanes[0].result.reason, AIPU_END_ERROR);
	llama_job_close(&j);
}

/* [GEN-10] A lane that the host fills while the job runs stays out of it */
static void lanes_fixed_at_the_start(void **state)
{
	struct llama_job j;
	struct dm_step_job *job;
	enum dm_step_result result;

	(void)state;
	job_open(&j, 1, 32);
	lane_sampled(&j, 0, 1, 9, 5, 4);
	job = job_begin(&j);
	lane_sampled(&j, 1, 2, 3, 2, 4);
	do
		result = dm_step_job_step(job);
	while (result == DM_STEP_MORE);
	assert_int_equal(job_end(&j, job), AIPU_STATUS_OK);
	assert_int_equal(j.ring->producer, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(j.records[i].lane, 0);
	assert_int_equal(j.lanes[1].result.tokens, 0);
	assert_int_equal(j.lanes[1].result.kv_length, 0);
	llama_job_close(&j);
}

/* [GEN-8] */
static void aborted(void **state)
{
	(void)state;
	for (unsigned int steps = 0; steps < 5; steps++) {
		struct llama_job j;
		struct dm_step_job *job;
		uint32_t detail;

		job_open(&j, 2, 4);
		lane_sampled(&j, 0, 1, 9, 5, 12);
		lane_sampled(&j, 1, 2, 3, 2, 1); /* ends with its first token */
		job = job_begin(&j);
		for (unsigned int i = 0; i < steps; i++)
			dm_step_job_step(job);
		/*
		 * Two tokens in the first step, one in each of the next two, then the ring is full
		 */
		assert_int_equal(j.ring->paused, steps == 4);
		assert_int_equal(dm_step_job_end(job, AIPU_STATUS_ABORTED, true, &detail),
				 AIPU_STATUS_ABORTED);
		assert_int_equal(j.ring->paused, 0);
		assert_int_equal(j.lanes[0].result.tokens, steps < 3 ? steps : 3);
		assert_int_equal(j.lanes[0].result.kv_length,
				 steps ? 5 + j.lanes[0].result.tokens - 1 : 0);
		assert_int_equal(j.lanes[0].result.reason, AIPU_END_ABORT);
		assert_int_equal(j.lanes[1].result.reason, steps ? AIPU_END_LIMIT : AIPU_END_ABORT);
		assert_int_equal(rig_holds(&j.context), 0);
		llama_job_close(&j);
	}
}

static void lost_memory_gives_no_record(void **state)
{
	struct llama_job j;
	struct dm_step_job *job;

	(void)state;
	job_open(&j, 1, 32);
	lane_sampled(&j, 0, 1, 9, 5, 12);
	job = job_begin(&j);
	assert_int_equal(dm_step_job_step(job), DM_STEP_MORE);
	j.context.segments[SLOT_WEIGHTS].lost = true;
	assert_int_equal(dm_step_job_step(job), DM_STEP_DONE);
	assert_int_equal(job_end(&j, job), AIPU_STATUS_DATA_LOST);
	assert_int_equal(j.ring->producer, 1);
	assert_int_equal(j.lanes[0].result.kv_length, 5);
	llama_job_close(&j);
}

/* A ring in a segment without a pointer, as on a device that reaches host memory by copies */
/* [SEG-4] Without pointers the ring and the lane table are held as well */
static void ring_by_copies(void **state)
{
	struct aipu_token_record want[12];
	int holds = 0;

	(void)state;
	for (unsigned int pass = 0; pass < 2; pass++) {
		struct llama_job j;
		struct dm_step_job *job;

		job_open(&j, 2, 16);
		lane_sampled(&j, 0, 1, 9, 5, 12);
		j.context.segments[SEG_RING].no_pointer = pass == 1;
		j.context.segments[SEG_LANES].no_pointer = pass == 1;
		j.ring->wake = 4;
		j.lanes[0].sampler.stop_segment = 99; /* not looked at where stop_count is 0 */
		j.lanes[0].sampler.stop_offset = UINT64_MAX;
		job = job_begin(&j);
		if (pass)
			assert_int_equal(rig_holds(&j.context), holds);
		holds = rig_holds(&j.context);
		for (unsigned int i = 1; i <= 12; i++) {
			assert_int_equal(dm_step_job_step(job),
					 i < 12 ? DM_STEP_MORE : DM_STEP_DONE);
			assert_int_equal(dm_step_job_wake(job), i == 4 || i == 5);
		}
		assert_int_equal(job_end(&j, job), AIPU_STATUS_OK);
		if (pass)
			assert_memory_equal(j.records, want, sizeof(want));
		memcpy(want, j.records, sizeof(want));
		assert_int_equal(j.lanes[0].result.tokens, 12);
		llama_job_close(&j);
	}
}

/*
 * [GEN-7] Raised with the step that reaches the wake index, and once more with the one that passes
 * it: the two readings of "passes" both find their interrupt. Never without a new record.
 */
static void wake_index(void **state)
{
	static const uint32_t base = 0xfffffffe;
	struct llama_job j;
	struct dm_step_job *job;

	(void)state;
	job_open(&j, 1, 32);
	lane_sampled(&j, 0, 1, 9, 5, 12);
	j.ring->producer = j.ring->consumer = base;
	j.ring->wake = base + 3;
	job = job_begin(&j);
	assert_false(dm_step_job_wake(job));
	for (uint32_t i = 1; i <= 6; i++) {
		dm_step_job_step(job);
		assert_int_equal(dm_step_job_wake(job), i == 3 || i == 4);
		assert_false(dm_step_job_wake(job));
	}
	/* Several steps before the engine asks */
	j.ring->wake = base + 8;
	for (uint32_t i = 7; i <= 10; i++)
		dm_step_job_step(job);
	assert_true(dm_step_job_wake(job));
	assert_int_equal(dm_step_job_step(job), DM_STEP_MORE);
	assert_false(dm_step_job_wake(job));
	assert_int_equal(dm_step_job_step(job), DM_STEP_DONE);
	assert_int_equal(job_end(&j, job), AIPU_STATUS_OK);
	llama_job_close(&j);
}

static void expect(struct llama_job *j, unsigned int status, uint32_t detail, const char *what,
		   int line)
{
	uint32_t got_detail = 0;
	unsigned int got = llama_job_do(j, &got_detail);

	if (got != status || (got && got_detail != detail))
		fail_msg("line %d, %s: status %u, detail %#x; expected %u, %#x", line, what, got,
			 got_detail, status, detail);
	assert_int_equal(rig_holds(&j->context), 0);
	llama_job_close(j);
}

#define CHECK(status, field, change)                                                        \
	do {                                                                                \
		struct llama_job j;                                                         \
		struct aipu_lane *l;                                                        \
		job_open(&j, 1, 32);                                                        \
		lane_sampled(&j, 0, 0, 0, 2, 3);                                            \
		l = lane_sampled(&j, 5, 1, 9, 3, 3);                                        \
		change;                                                                     \
		(void)l;                                                                    \
		expect(&j, AIPU_STATUS_##status, 5 << 16 | LANE(field), #change, __LINE__); \
	} while (0)

/* [GEN-1] [GEN-9] */
static void sampler_fields(void **state)
{
	(void)state;
	CHECK(OK, sequence, (void)0);
	CHECK(INVALID_LANE, logits, l->logits = AIPU_LOGITS_NONE);
	CHECK(INVALID_LANE, logits, l->logits = AIPU_LOGITS_ALL);
	CHECK(INVALID_LANE, sampler.token_limit, l->sampler.token_limit = 0);
	CHECK(INVALID_LANE, sampler.temperature, l->sampler.temperature = 0x7f800000);
	CHECK(INVALID_LANE, sampler.temperature, l->sampler.temperature = 0x7fc00000);
	CHECK(INVALID_LANE, sampler.temperature, l->sampler.temperature = 0x80000001);
	CHECK(OK, sequence, l->sampler.temperature = 0x7f7fffff);
	CHECK(OK, sequence, l->sampler.temperature = 1);
	CHECK(OK, sequence, l->sampler.temperature = 0);
	CHECK(INVALID_LANE, sampler.top_p, l->sampler.top_p = 0x3f800001);
	CHECK(INVALID_LANE, sampler.top_p, l->sampler.top_p = 0xbf800000);
	CHECK(INVALID_LANE, sampler.top_p, l->sampler.top_p = 0x7fc00000);
	CHECK(OK, sequence, l->sampler.top_p = 0x3f800000);
	CHECK(INVALID_LANE, sampler.min_p, l->sampler.min_p = 0x3f800001);
	CHECK(INVALID_LANE, sampler.min_p, l->sampler.min_p = 0xffc00000);
	CHECK(OK, sequence, l->sampler.min_p = 0x3f800000);
	CHECK(OK, sequence, l->sampler.top_k = 0xffffffff);
	CHECK(UNSUPPORTED, sampler.repeat_penalty, l->sampler.repeat_penalty = 1);
	CHECK(UNSUPPORTED, sampler.presence_penalty, l->sampler.presence_penalty = 1);
	CHECK(UNSUPPORTED, sampler.frequency_penalty, l->sampler.frequency_penalty = 1);
	CHECK(UNSUPPORTED, sampler.penalty_window, l->sampler.penalty_window = 1);
	CHECK(UNSUPPORTED, sampler.logprob_count, l->sampler.logprob_count = 1);
	CHECK(UNSUPPORTED, sampler.bias_segment, l->sampler.bias_segment = 1);
	CHECK(UNSUPPORTED, sampler.bias_count, l->sampler.bias_count = 1);
	CHECK(UNSUPPORTED, sampler.bitmap_offset, l->sampler.bitmap_offset = 1);
	CHECK(UNSUPPORTED, sampler.bitmap_bits, l->sampler.bitmap_bits = LLAMA_VOCAB);
	CHECK(INVALID_LANE, sampler.stop_count, l->sampler.stop_count = AIPU_MAX_STOP_IDS + 1);
	CHECK(INVALID_LANE, sampler.stop_count, l->sampler.stop_count = 0xffffffff);
	CHECK(OK, sequence, l->sampler.stop_count = AIPU_MAX_STOP_IDS;
	      l->sampler.stop_segment = SEG_STOPS; memset(j.stops, 0xff, AIPU_MAX_STOP_IDS * 4));
	CHECK(OUT_OF_RANGE, sampler.stop_segment, l->sampler.stop_count = AIPU_MAX_STOP_IDS;
	      l->sampler.stop_segment = SEG_STOPS; l->sampler.stop_offset = 4);
	CHECK(INVALID_SEGMENT, sampler.stop_segment, l->sampler.stop_count = 1;
	      l->sampler.stop_segment = 90);
	CHECK(INVALID_LANE, sampler.reserved[1], l->sampler.reserved[1] = 1ull << 32 >> 32);
}

/* [GEN-1] No logits to draw from; and a split model whose parts know different vocabularies */
static void no_logits(void **state)
{
	struct llama m;
	struct llama_job j;
	uint32_t detail;

	(void)state;
	llama_build(&m, &shape);
	m.b.entries[1].logits = AIPU_NO_TENSOR;
	llama_job_open(&j, &m, 1, AIPU_SIMD_AUTO);
	j.job.opcode = AIPU_JOB_GENERATE;
	j.job.step.ring_segment = SEG_RING;
	j.job.step.ring_entries = 8;
	lane_sampled(&j, 0, 0, 0, 2, 3);
	j.blocks[0].entry = 1;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, 0);
	j.blocks[1] = j.blocks[0];
	j.blocks[0].entry = 0;
	j.job.step.block_count = 2;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, 1);
	j.blocks[1].entry = 0;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_OK);
	/*
	 * Logits are read by the device: the segment has to permit that, whatever the slot declares
	 */
	j.context.segments[SLOT_LOGITS].access = AIPU_ACCESS_WRITE;
	assert_int_equal(llama_job_do(&j, &detail), AIPU_STATUS_INVALID_OPERAND);
	assert_int_equal(rig_holds(&j.context), 0);
	llama_job_close(&j);
	llama_free(&m);
}

static int setup(void **state)
{
	(void)state;
	llama_build(&model, &shape);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	llama_free(&model);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_single_steps),
		cmocka_unit_test(reasons_to_end),
		cmocka_unit_test(together_as_alone),
		cmocka_unit_test(ring_fields),
		cmocka_unit_test(ring_rewritten),
		cmocka_unit_test(lanes_fixed_at_the_start),
		cmocka_unit_test(aborted),
		cmocka_unit_test(lost_memory_gives_no_record),
		cmocka_unit_test(ring_by_copies),
		cmocka_unit_test(wake_index),
		cmocka_unit_test(sampler_fields),
		cmocka_unit_test(no_logits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("generate_ring", tests, setup, teardown);
}
