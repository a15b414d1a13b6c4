// SPDX-License-Identifier: MIT
/*
 * See compile_fixture.h.
 */
#include "compile_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct compile_shape fixture_shape(void)
{
	return (struct compile_shape){ .vocabulary = 50,
				       .layers = 3,
				       .dim = 36,
				       .hidden_dim = 76,
				       .heads = 6,
				       .kv_heads = 3,
				       .head_dim = 10,
				       .positions = 70,
				       .tied = true,
				       .norm_epsilon = 1e-5f,
				       .rope_theta = 10000.0,
				       .bos_id = 1,
				       .stop_count = 1,
				       .stop_ids = { 2 } };
}

int fixture_compile(const struct compile_shape *shape, const struct compile_options *options)
{
	struct aipu_message message = { "" };
	struct compile_source source;
	int fd = memfd_create("container", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(compile_open_random(shape, 7, &source, &message), 0);
	if (compile_write(&source, options, fd, &message))
		fail_msg("%s", message.text);
	source.close(&source);
	return fd;
}

int fixture_open(int fd, struct aipu_qpc **qpc, struct aipu_message *message)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return aipu_qpc_open(path, qpc, message);
}

uint8_t *fixture_bytes(int fd, size_t *size)
{
	struct stat st;
	uint8_t *bytes;

	assert_int_equal(fstat(fd, &st), 0);
	*size = (size_t)st.st_size;
	bytes = malloc(*size);
	assert_non_null(bytes);
	assert_int_equal(pread(fd, bytes, *size, 0), *size);
	return bytes;
}

int fixture_memory(const void *data, size_t size)
{
	int fd = memfd_create("bytes", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	return fd;
}
