// SPDX-License-Identifier: MIT
/*
 * Tokens per second of one generation after the other. "decode make SHAPE FILE" writes random int8 weights of a shape that
 * aipu-bench knows; "decode run DEVICE FILE TOKENS ROUNDS PAUSE" prints "tokens ROUND TOKENS NANOSECONDS" for each, and rests so
 * many seconds behind it, while somebody else has the machine. The software device takes one core. Called by
 * scripts/bench-guest, on the machine itself and in a guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aipu-bench/shapes.h"
#include "aipu/llm.h"
#include "compiler.h"

#define WARM_UP 8u

static int fail(const char *what, int err, const char *why)
{
	fprintf(stderr, "decode: %s: %s\n", what, why && *why ? why : strerror(-err));
	return 1;
}

static int make(const char *name, const char *path)
{
	struct compile_options options = { .precision = 1, .prompt_len = 32, .ctx_len = 1024 };
	struct aipu_message message = { "" };
	struct compile_source source;
	struct compile_shape shape;
	int fd, err;

	if (!shapes_find(name, &shape))
		return fail(name, -EINVAL, "no such shape");
	while (strcmp(compile_precision_name(options.precision), "int8"))
		options.precision++;
	err = compile_open_random(&shape, 1, &source, &message);
	if (err)
		return fail(name, err, message.text);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	err = fd < 0 ? -errno : compile_write(&source, &options, fd, &message);
	source.close(&source);
	if (fd >= 0)
		close(fd);
	return err ? fail(path, err, message.text) : 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Nanoseconds of so many tokens after the first, or 0 */
static uint64_t generate(struct aipu_llm *llm, uint32_t tokens)
{
	struct aipu_sampling sampling = { .max_tokens = tokens, .ignore_stop = true };
	struct aipu_session *session;
	uint32_t first = 1;
	uint64_t begin = 0;
	int err = aipu_session_create(llm, &session);

	if (!err) {
		err = aipu_session_prefill(session, &first, 1, NULL);
		begin = now_ns();
		if (!err)
			err = aipu_llm_generate(llm, &session, &sampling, 1, NULL, NULL, NULL);
		aipu_session_destroy(session);
	}
	return err ? 0 : now_ns() - begin;
}

static int run(const char *name, const char *path, uint32_t tokens, unsigned int rounds,
	       unsigned int pause)
{
	struct aipu_device_options options = { .cores = 1 };
	struct aipu_message message = { "" };
	struct aipu_device *device;
	struct aipu_llm *llm;
	uint64_t ns = 1;
	int err;

	err = aipu_device_open(&device, name, &options, &message);
	if (err)
		return fail(name, err, message.text);
	err = aipu_llm_open(device, path, NULL, &llm, &message);
	if (err)
		return fail(path, err, message.text);
	for (unsigned int round = 0; round < rounds && ns; round++) {
		ns = generate(llm, WARM_UP);
		if (ns)
			ns = generate(llm, tokens);
		printf("tokens %u %u %llu\n", round, tokens, (unsigned long long)ns);
		fflush(stdout);
		sleep(pause);
	}
	if (!ns)
		fail("generation", 0, aipu_llm_error(llm));
	aipu_llm_close(llm);
	aipu_device_close(device);
	return !ns;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "make"))
		return make(argv[2], argv[3]);
	if (argc == 7 && !strcmp(argv[1], "run"))
		return run(argv[2], argv[3], (uint32_t)atoi(argv[4]), (unsigned int)atoi(argv[5]),
			   (unsigned int)atoi(argv[6]));
	fprintf(stderr, "usage: decode make SHAPE FILE | run DEVICE FILE TOKENS ROUNDS PAUSE\n");
	return 2;
}
