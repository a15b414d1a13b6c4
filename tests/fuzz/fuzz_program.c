// SPDX-License-Identifier: MIT
/*
 * Fuzz target of the program verifier: bytes are an image, or a recipe that changes a valid one.
 * Whatever is accepted is executed with lanes at the edges of what its entries permit, in segments
 * of exactly the promised size.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "aipu/qpc.h"
#include "compiler.h"
#include "program_hostile.h"
#include "program_llama.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define BASES 3
static struct {
	uint8_t *image;
	size_t bytes;
} bases[BASES];
static struct dm_context context;

/* What the compiler makes of a small model; a container on the way, in memory */
static void base_compile(unsigned int index)
{
	const struct compile_shape shape = { .vocabulary = 50,
					     .layers = 1,
					     .dim = 36,
					     .hidden_dim = 76,
					     .heads = 6,
					     .kv_heads = 3,
					     .head_dim = 10,
					     .positions = 20,
					     .tied = true,
					     .norm_epsilon = 1e-5f,
					     .rope_theta = 10000.0,
					     .bos_id = 1 };
	const struct compile_options options = { .precision = AIPU_PRECISION_INT8,
						 .prompt_len = 8,
						 .ctx_len = 20,
						 .batch_size = 2,
						 .threads = 1 };
	const struct aipu_qpc_section *section;
	struct aipu_message message;
	struct compile_source source;
	struct aipu_qpc *qpc;
	char path[64];
	int fd = memfd_create("container", MFD_CLOEXEC);

	if (fd < 0 || compile_open_random(&shape, 7, &source, &message) ||
	    compile_write(&source, &options, fd, &message))
		abort();
	source.close(&source);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (aipu_qpc_open(path, &qpc, &message))
		abort();
	section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 0);
	bases[index].bytes = section->bytes;
	bases[index].image = malloc(section->bytes);
	memcpy(bases[index].image, aipu_qpc_data(qpc, section), section->bytes);
	aipu_qpc_close(qpc);
	close(fd);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const struct llama_shape shapes[] = {
		{ AIPU_FMT_I8_G32, AIPU_FMT_F16, true, 4, 2 },
		{ AIPU_FMT_F32, AIPU_FMT_F32, false, 5, 5 },
	};

	(void)argc;
	(void)argv;
	for (unsigned int i = 0; i < 2; i++) {
		struct llama m;

		llama_build(&m, &shapes[i]);
		bases[i].image = build_image(&m.b, &bases[i].bytes);
		llama_free(&m);
	}
	base_compile(2);
	rig_open(&context, 1, AIPU_SIMD_AUTO);
	return 0;
}

/* Loads a copy; *t describes `image`, which stays the caller's */
static void image_try(uint8_t *image, size_t bytes, struct choices *c)
{
	struct dm_limits limits = rig_limits();
	struct dm_program *program;
	struct image_tables t;
	uint8_t *copy = malloc(bytes ? bytes : 1);
	uint32_t detail;

	memcpy(copy, image, bytes);
	if (dm_program_create(&limits, copy, bytes, &program, &detail) != AIPU_STATUS_OK)
		return;
	t = image_tables(image);
	hostile_execute(&context, &t, program, 1u << 18, c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices c = { .data = data, .size = size };
	uint32_t how = choose(&c);
	uint8_t *image;
	size_t bytes;

	if (how % 8 == 0) { /* the rest is the image */
		image = malloc(c.size ? c.size : 1);
		bytes = c.size;
		memcpy(image, c.data, bytes);
		c = (struct choices){ .random = how | 1 };
	} else {
		struct image_tables t;

		bytes = bases[how % BASES].bytes;
		image = malloc(bytes);
		memcpy(image, bases[how % BASES].image, bytes);
		t = image_tables(image);
		/* Tables move when a count changes, so counts are changed by bytes, and last */
		for (uint32_t n = how >> 8 & 7; n-- > 0;)
			image_mutate(&c, &t, choose_below(&c, MUTATE_COUNT));
		for (uint32_t n = how >> 16 & 3; n-- > 0;)
			image[choose_below(&c, (uint32_t)bytes)] = (uint8_t)choose(&c);
	}
	image_try(image, bytes, &c);
	free(image);
	return 0;
}
