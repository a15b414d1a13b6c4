// SPDX-License-Identifier: MIT
/*
 * The verifier is no wall of magic numbers: of mutants that change an operand, index, length or
 * opcode of a real program at least one in ten is accepted, and every accepted one is executed,
 * within its segments (the sanitizer builds see to that). Programs: the hand-built model, what the
 * compiler makes of three precisions, and the demo model (or the container that AIPU_TEST_QPC names).
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <unistd.h>
#include <cmocka.h>

#include "compile_fixture.h"
#include "llm_fixture.h"
#include "program_hostile.h"
#include "program_llama.h"

#define MUTANTS 1500 /* of each program */
#define SMALL_BYTES (1u << 18) /* of a slot that is executed */
#define LARGE_BYTES (1u << 26) /* the same for a model that somebody names */

/*
 * Cores write where aliased tensors make other cores read: no harm, but a race in a detector's eyes
 */
#if defined(__SANITIZE_THREAD__)
#define MUTANT_CORES 1
#else
#define MUTANT_CORES 2
#endif

static struct dm_context context;

static void *copy_of(const void *image, size_t bytes)
{
	void *copy = malloc(bytes);

	assert_non_null(copy);
	return memcpy(copy, image, bytes);
}

static void mutants_of(const char *name, const void *image, size_t bytes, uint64_t max_bytes)
{
	static const char *const kinds[] = { "operand", "index", "length", "opcode" };
	unsigned int tried[MUTATE_COUNT] = { 0 }, accepted[MUTATE_COUNT] = { 0 }, executed = 0,
		     all = 0;
	struct dm_limits limits = rig_limits();
	struct choices c = { .random = 7001 + bytes };
	struct dm_program *program;
	uint32_t detail;

	assert_int_equal(dm_program_create(&limits, copy_of(image, bytes), bytes, &program,
					   &detail),
			 AIPU_STATUS_OK);
	dm_program_put(program);
	for (unsigned int i = 0; i < MUTANTS; i++) {
		uint8_t *mutant = copy_of(image, bytes);
		struct image_tables t = image_tables(mutant);
		enum mutation kind = i % MUTATE_COUNT;

		do
			image_mutate(&c, &t, kind);
		while (!memcmp(mutant, image, bytes)); /* one that changes nothing is none */
		tried[kind]++;
		if (dm_program_create(&limits, copy_of(mutant, bytes), bytes, &program, &detail) ==
		    AIPU_STATUS_OK) {
			accepted[kind]++;
			executed += hostile_execute(&context, &t, program, max_bytes, &c) > 0;
		}
		free(mutant);
	}
	for (unsigned int k = 0; k < MUTATE_COUNT; k++) {
		print_message("# %s: %u of %u %s mutants accepted\n", name, accepted[k], tried[k],
			      kinds[k]);
		all += accepted[k];
	}
	print_message("# %s: %u of %u accepted (%.1f %%), %u ran to their end\n", name, all,
		      MUTANTS, 100.0 * all / MUTANTS, executed);
	assert_true(all * 10 >= MUTANTS);
	/* The rest declares more memory than the test has, and is refused when a job comes */
	assert_true(executed * 10 >= all * 8);
}

/* [PRG-3] [PRG-6] */
static void hand_built(void **state)
{
	static const struct llama_shape shapes[] = {
		{ AIPU_FMT_I8_G32, AIPU_FMT_F16, true, 4, 2 },
		{ AIPU_FMT_F32, AIPU_FMT_F32, false, 5, 5 },
	};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		struct llama m;
		size_t bytes;
		void *image;

		llama_build(&m, &shapes[i]);
		image = build_image(&m.b, &bytes);
		mutants_of(i ? "fp32" : "int8", image, bytes, SMALL_BYTES);
		free(image);
		llama_free(&m);
	}
}

static void mutants_of_container(const char *name, struct aipu_qpc *qpc, uint64_t max_bytes)
{
	const struct aipu_qpc_section *section;

	for (uint32_t i = 0; (section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, i)); i++)
		mutants_of(name, aipu_qpc_data(qpc, section), section->bytes, max_bytes);
	assert_non_null(aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 0));
}

static void compiled(void **state)
{
	static const char *const names[] = { "compiled fp32", "compiled fp16", "compiled int8" };
	struct compile_shape shape = fixture_shape();

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct compile_options options = { .precision = AIPU_PRECISION_FP32 + i,
						   .prompt_len = 8,
						   .ctx_len = 20,
						   .batch_size = 2,
						   .threads = 1 };
		int fd = fixture_compile(&shape, &options);
		struct aipu_message message;
		struct aipu_qpc *qpc;

		assert_int_equal(fixture_open(fd, &qpc, &message), 0);
		mutants_of_container(names[i], qpc, SMALL_BYTES);
		aipu_qpc_close(qpc);
		close(fd);
	}
}

static void real_container(void **state)
{
	const char *path = getenv("AIPU_TEST_QPC");
	struct llm_fixture demo = { 0 };
	struct aipu_message message;
	struct aipu_qpc *qpc;

	(void)state;
	if (!path || !*path) {
		llm_fixture_compile(&demo, "demo", "");
		path = demo.qpc;
	}
	assert_int_equal(aipu_qpc_open(path, &qpc, &message), 0);
	mutants_of_container("container", qpc, LARGE_BYTES);
	aipu_qpc_close(qpc);
	if (demo.dir)
		llm_fixture_close(&demo);
}

static int setup(void **state)
{
	(void)state;
	rig_open(&context, MUTANT_CORES, AIPU_SIMD_AUTO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(&context);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hand_built),
		cmocka_unit_test(compiled),
		cmocka_unit_test(real_container),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("program_mutants", tests, setup, teardown);
}
