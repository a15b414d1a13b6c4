/* SPDX-License-Identifier: MIT */
/*
 * What tests of libaipu-llm on a device that is lost stand on: a model on a device that can be reset and whose jobs can fail, and a
 * story, with everything that its caller saw of it. Included by one source file of a program, which is linked with
 * --wrap=aipu_dm_create. Not a test itself.
 */
#ifndef REBUILD_STAGE_H
#define REBUILD_STAGE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu/dm.h"
#include "internal.h"
#include "llm_fixture.h"
#include "llm_internal.h"
#include "lossy.h"

#define CONTEXT 1500u
/* The host takes 32 records at a time: beyond so many tokens none can have been made when the first one is seen. */
#define AHEAD (LLM_RING_ENTRIES + 32u)
#define TEXT 400u /* tokens; more than AHEAD and 40 */
#define LANES 3u
#define MOST_TOKENS (CONTEXT + 1)
#define VOCABULARY 96u

static int container; /* a memfd, for all tests */

/* --- what a device with a fault is ---------------------------------------------------------------- */

static uint32_t fatal_at; /* which job of the device model ends it; 0: none */
static uint32_t abort_at; /* before which one another thread wants an end of `aborted`; 0: none */
static struct aipu_llm *aborted;
static atomic_uint jobs_seen;

int __real_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm);
int __wrap_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm);

static inline void fault(void *host, enum aipu_dm_point point, struct aipu_dm_fault *fault)
{
	uint32_t job;

	(void)host;
	if (point != AIPU_DM_POINT_JOB)
		return;
	job = atomic_fetch_add(&jobs_seen, 1) + 1;
	if (job == fatal_at)
		fault->kind = AIPU_DM_FAULT_FATAL;
	if (job == abort_at)
		aipu_llm_abort(aborted);
}

int __wrap_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm)
{
	static struct aipu_dm_ops ours;

	ours = *ops;
	ours.fault = fault;
	return __real_aipu_dm_create(config, &ours, host, dm);
}

/* --- a model on such a device ---------------------------------------------------------------------- */

struct stage {
	struct lossy *lossy;
	struct aipu_device *device;
	struct aipu_llm *llm;
	struct aipu_session *sessions[LANES];
	/* What its callback does: at token number `when` of the generation, counted from 1 */
	uint32_t when, tokens;
	void (*then)(struct stage *stage);
	int answer;
};

/* Everything that a caller saw of the sessions */
struct told {
	uint32_t count[LANES];
	uint32_t tokens[LANES][MOST_TOKENS];
	float logprobs[LANES][MOST_TOKENS];
	uint32_t last_reason[LANES];
	uint32_t reasons[8];
	float logits[2][7 * VOCABULARY];
};

static struct told *told_now; /* the callback's; lanes are sessions in the order of the generation */
static uint32_t told_order[LANES];

static inline int on_token(void *arg, const struct aipu_token *token)
{
	struct stage *stage = arg;
	uint32_t session = told_order[token->lane];
	uint32_t n = told_now->count[session]++;

	assert_true(n < MOST_TOKENS);
	assert_int_equal(told_now->last_reason[session], AIPU_END_NONE);
	told_now->tokens[session][n] = token->token;
	told_now->logprobs[session][n] = token->logprob;
	told_now->last_reason[session] = token->reason;
	if (++stage->tokens != stage->when)
		return 0;
	if (stage->then)
		stage->then(stage);
	return stage->answer;
}

static inline void container_path(char path[64])
{
	snprintf(path, 64, "/proc/self/fd/%d", container);
}

static inline int stage_try_open(struct stage *stage, struct lossy set,
				 struct aipu_message *message)
{
	char path[64];

	memset(stage, 0, sizeof(*stage));
	stage->device = lossy_open(&stage->lossy);
	*stage->lossy = set;
	container_path(path);
	return aipu_llm_open(stage->device, path, NULL, &stage->llm, message);
}

static inline void stage_open(struct stage *stage, struct lossy set)
{
	struct aipu_message message;

	if (stage_try_open(stage, set, &message))
		fail_msg("%s", message.text);
	for (uint32_t i = 0; i < LANES; i++)
		assert_int_equal(aipu_session_create(stage->llm, &stage->sessions[i]), 0);
}

static inline void stage_close(struct stage *stage)
{
	aipu_llm_close(stage->llm);
	aipu_device_close(stage->device);
}

static inline uint64_t rebuilds(const struct stage *stage)
{
	struct aipu_llm_info info;

	assert_int_equal(aipu_llm_query(stage->llm, &info), 0);
	return info.rebuilds;
}

static inline void prefill(struct stage *stage, uint32_t session, uint32_t count, float *logits)
{
	uint32_t tokens[64];

	for (uint32_t i = 0; i < count; i++)
		tokens[i] = (7 * session + 13 * i + 5) % VOCABULARY;
	if (aipu_session_prefill(stage->sessions[session], tokens, count, logits))
		fail_msg("%s", aipu_llm_error(stage->llm));
}

/* Sessions `first` and, unless it is LANES, `second`, in that order */
static inline int generate(struct stage *stage, struct told *told, uint32_t first, uint32_t second,
			   uint32_t limit, uint32_t *reasons)
{
	struct aipu_session *sessions[2] = { stage->sessions[first] };
	struct aipu_sampling samplings[2] = {
		{ .temperature = 0.9f, .seed = 3 + first, .max_tokens = limit, .ignore_stop = true },
		{ .temperature = 1.3f,
		  .top_k = 30,
		  .seed = 3 + second,
		  .max_tokens = limit / 2 < 10 ? limit / 2 : 10 },
	};

	if (second < LANES)
		sessions[1] = stage->sessions[second];
	told_now = told;
	told_order[0] = first;
	told_order[1] = second;
	told->last_reason[first] = AIPU_END_NONE;
	if (second < LANES)
		told->last_reason[second] = AIPU_END_NONE;
	stage->tokens = 0;
	return aipu_llm_generate(stage->llm, sessions, samplings, 1 + (second < LANES), on_token,
				 stage, reasons);
}

/* Three sessions, one of which waits while two are at work, goes on alone, and the two once more */
static inline void tell(struct stage *stage, struct told *told)
{
	memset(told, 0, sizeof(*told));
	prefill(stage, 0, 11, NULL);
	prefill(stage, 1, 7, told->logits[0]);
	prefill(stage, 2, 9, NULL);
	if (generate(stage, told, 0, 1, 20, told->reasons))
		fail_msg("%s", aipu_llm_error(stage->llm));
	prefill(stage, 1, 7, told->logits[1]);
	if (generate(stage, told, 2, LANES, 9, told->reasons + 2) ||
	    generate(stage, told, 1, 0, 12, told->reasons + 4))
		fail_msg("%s", aipu_llm_error(stage->llm));
	assert_int_equal(told->count[0], 26);
	assert_int_equal(told->count[1], 22);
	assert_int_equal(told->count[2], 9);
}

static inline void undisturbed(struct told *told, struct lossy *counts)
{
	struct stage stage;

	stage_open(&stage, (struct lossy){ 0 });
	tell(&stage, told);
	assert_int_equal(rebuilds(&stage), 0);
	*counts = *stage.lossy;
	stage_close(&stage);
}

static inline void same(const struct told *told, const struct told *expected, const char *what,
			uint32_t n)
{
	if (memcmp(told, expected, sizeof(*told)))
		fail_msg("reset %s %u: another story", what, n);
}

static inline void reset(struct stage *stage)
{
	lossy_reset(stage->lossy);
}

/* What comes where nothing happens */
static inline void text(struct told *told)
{
	struct stage stage;

	memset(told, 0, sizeof(*told));
	stage_open(&stage, (struct lossy){ 0 });
	prefill(&stage, 0, 11, NULL);
	assert_int_equal(generate(&stage, told, 0, LANES, TEXT, told->reasons), 0);
	assert_int_equal(told->count[0], TEXT);
	assert_int_equal(told->reasons[0], AIPU_END_LIMIT);
	stage_close(&stage);
}

static inline int setup(void **state)
{
	(void)state;
	container = llm_fixture_random_lanes(CONTEXT, LANES);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	return close(container);
}

#endif
