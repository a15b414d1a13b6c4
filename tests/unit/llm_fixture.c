/* SPDX-License-Identifier: MIT */
/*
 * See llm_fixture.h.
 */
#include "llm_fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <setjmp.h>
#include <cmocka.h>

#include "aipu/dm.h"
#include "compiler.h"

void llm_fixture_compile(struct llm_fixture *f, const char *model, const char *arguments)
{
	char command[4096], *tool, *source, *tokenizer = NULL;

	memset(f, 0, sizeof(*f));
	f->dir = test_make_temp_dir();
	assert_non_null(f->dir);
	assert_true(asprintf(&f->qpc, "%s/qpc", f->dir) > 0);
	tool = test_build_path("bin/aipu-compile");
	if (!strcmp(model, "stories260K")) {
		source = test_models_path("stories260K/stories260K.bin");
		tokenizer = test_models_path("stories260K/tok512.model");
	} else if (!strcmp(model, "demo")) {
		source = test_source_path("models/demo");
	} else {
		source = strdup(model);
	}
	snprintf(command, sizeof(command), "'%s' '%s' %s%s%s -o '%s' %s >'%s/log' 2>&1", tool,
		 source, tokenizer ? "--tokenizer '" : "", tokenizer ? tokenizer : "",
		 tokenizer ? "'" : "", f->qpc, arguments, f->dir);
	if (system(command)) {
		char log[4096];
		void *text;

		snprintf(log, sizeof(log), "%s/log", f->dir);
		text = test_read_file(log, NULL);
		fail_msg("%s: %s", command, text ? (char *)text : "no log");
	}
	free(tokenizer);
	free(source);
	free(tool);
}

void llm_fixture_open(struct llm_fixture *f, uint32_t cores, uint32_t simd)
{
	struct aipu_device_options options = { .cores = cores, .simd = simd };
	struct aipu_message message = { "" };

	if (aipu_device_open(&f->device, "soft", &options, &message))
		fail_msg("device: %s", message.text);
	if (aipu_llm_open(f->device, f->qpc, NULL, &f->llm, &message))
		fail_msg("model: %s", message.text);
	assert_int_equal(aipu_llm_query(f->llm, &f->info), 0);
}

void llm_fixture_shut(struct llm_fixture *f)
{
	aipu_llm_close(f->llm);
	aipu_device_close(f->device);
	f->llm = NULL;
	f->device = NULL;
}

void llm_fixture_close(struct llm_fixture *f)
{
	if (f->device)
		llm_fixture_shut(f);
	assert_int_equal(test_remove_tree(f->dir), 0);
	free(f->qpc);
	free(f->dir);
}

struct aipu_session *llm_fixture_session(struct llm_fixture *f)
{
	struct aipu_session *session;

	if (aipu_session_create(f->llm, &session))
		fail_msg("session: %s", aipu_llm_error(f->llm));
	return session;
}

int llm_fixture_random(uint32_t context)
{
	return llm_fixture_random_lanes(context, 1);
}

int llm_fixture_random_lanes(uint32_t context, uint32_t lanes)
{
	struct compile_shape shape = {
		.vocabulary = 96,
		.layers = 2,
		.dim = 64,
		.hidden_dim = 96,
		.heads = 4,
		.kv_heads = 2,
		.head_dim = 16,
		.positions = context,
		.tied = true,
		.norm_epsilon = 1e-5f,
		.rope_theta = 10000,
		.bos_id = 1,
	};
	struct compile_options options = { .precision = AIPU_PRECISION_INT8,
					   .ctx_len = context,
					   .prompt_len = 4,
					   .batch_size = lanes };
	struct aipu_message message = { "" };
	struct compile_source source;
	int fd = memfd_create("container", MFD_CLOEXEC);

	assert_true(fd >= 0);
	if (compile_open_random(&shape, 3, &source, &message) ||
	    compile_write(&source, &options, fd, &message))
		fail_msg("%s", message.text);
	source.close(&source);
	return fd;
}

unsigned int llm_fixture_simd_levels(uint32_t levels[3])
{
	static const uint32_t all[3] = { AIPU_DM_SIMD_AVX512, AIPU_DM_SIMD_AVX2,
					 AIPU_DM_SIMD_SCALAR };
	unsigned int n = 0, i;

	for (i = 0; i < 3; i++) {
		struct aipu_device_options options = { .cores = 1, .simd = all[i] };
		struct aipu_device *device;

		if (aipu_device_open(&device, "soft", &options, NULL))
			continue;
		aipu_device_close(device);
		levels[n++] = all[i];
	}
	return n;
}
