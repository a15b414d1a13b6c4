// SPDX-License-Identifier: MIT
/*
 * The reader of containers against damage: each kind is found, and by the check that should find it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <openssl/evp.h>

#include "compile_fixture.h"

static uint8_t *good; /* one undamaged container */
static size_t good_size;

static int make_good(void **state)
{
	struct compile_options options = { .precision = AIPU_PRECISION_FP32 };
	struct compile_shape shape = fixture_shape();
	int fd;

	(void)state;
	shape.dim = 700; /* more than one digest of weights */
	shape.hidden_dim = 900;
	fd = fixture_compile(&shape, &options);
	good = fixture_bytes(fd, &good_size);
	close(fd);
	return 0;
}

static int free_good(void **state)
{
	(void)state;
	free(good);
	return 0;
}

/* Opens (and verifies) what is there; the result, and the words in its message */
static void expect(const void *data, size_t size, int err, const char *words)
{
	struct aipu_message message = { "" };
	struct aipu_qpc *qpc;
	int fd = fixture_memory(data, size), got = fixture_open(fd, &qpc, &message);

	if (!got)
		got = aipu_qpc_verify(qpc, &message);
	assert_int_equal(got, err);
	if (!strstr(message.text, words))
		fail_msg("no '%s' in '%s'", words, message.text);
	aipu_qpc_close(qpc);
	close(fd);
}

static struct aipu_qpc_header *header_of(uint8_t *bytes)
{
	return (struct aipu_qpc_header *)(void *)bytes;
}

static uint8_t *copy_good(void)
{
	uint8_t *bytes = malloc(good_size);

	assert_non_null(bytes);
	memcpy(bytes, good, good_size);
	return bytes;
}

/* As one who damages on purpose would */
static void seal(uint8_t *bytes)
{
	struct aipu_qpc_header *h = header_of(bytes);

	memset(h->digest, 0, sizeof(h->digest));
	assert_int_equal(EVP_Digest(bytes, sizeof(*h), h->digest, NULL, EVP_sha256(), NULL), 1);
}

static void undamaged(void **state)
{
	(void)state;
	expect(good, good_size, 0, "");
}

static void truncated(void **state)
{
	(void)state;
	expect(good, 0, -EINVAL, "only 0 bytes");
	expect(good, 4095, -EINVAL, "truncated");
	expect(good, 4096, -EINVAL, "truncated");
	expect(good, good_size - 1, -EINVAL, "truncated");
}

static void no_container(void **state)
{
	struct aipu_message message = { "" };
	uint8_t bytes[8192] = "\x7f"
			      "ELF";
	struct aipu_qpc *qpc;

	(void)state;
	expect(bytes, sizeof(bytes), -EINVAL, "magic");
	assert_int_equal(aipu_qpc_open("/nowhere/at/all", &qpc, &message), -ENOENT);
	assert_non_null(strstr(message.text, "/nowhere/at/all: No such file"));
	assert_int_equal(aipu_qpc_open("/dev/null", &qpc, &message), -EINVAL);
	assert_non_null(strstr(message.text, "regular file"));
	assert_int_equal(aipu_qpc_open("/tmp", &qpc, &message), -ENOENT);
	assert_non_null(strstr(message.text, "/tmp/model.qpc"));
}

static void versions(void **state)
{
	uint8_t *bytes = copy_good();

	(void)state;
	/* Newer ones need not even hash as ours do. */
	header_of(bytes)->version = 2;
	expect(bytes, good_size, -EPROTO, "version 2, this runtime reads version 1: upgrade");
	header_of(bytes)->version = 0;
	expect(bytes, good_size, -EPROTO, "compile the model again");
	header_of(bytes)->version = 1;
	header_of(bytes)->abi_oldest = AIPU_ABI_VERSION(7, 3);
	header_of(bytes)->abi_newest = AIPU_ABI_VERSION(7, 4);
	seal(bytes);
	expect(bytes, good_size, -EPROTO, "contract 7.3 to 7.4, this runtime speaks 1.0 to 1.0");
	free(bytes);
}

/* One bit in every part of the file */
static void bit_flips(void **state)
{
	static const char *const checks[] = {
		[AIPU_QPC_MODEL] = "digest of section MODEL",
		[AIPU_QPC_PROGRAM] = "digest of section PROGRAM",
		[AIPU_QPC_CONSTANTS] = "digest of section CONSTANTS",
		[AIPU_QPC_WEIGHTS] = "of section WEIGHTS do not match their digest",
		[AIPU_QPC_WEIGHT_DIGESTS] = "digest of section WEIGHT_DIGESTS",
		[AIPU_QPC_INVERSE_FREQUENCIES] = "digest of section INVERSE_FREQUENCIES",
		[AIPU_QPC_SOURCE] = "digest of section SOURCE",
	};
	uint8_t *bytes = copy_good();
	const struct aipu_qpc_header *h = header_of(good);
	uint32_t i, kinds = 0;

	(void)state;
	for (i = 12; i < sizeof(*h); i += 123) {
		bytes[i] ^= 4;
		expect(bytes, good_size, -EINVAL, "header's digest");
		bytes[i] ^= 4;
	}
	for (i = 0; i < h->section_count; i++) {
		const struct aipu_qpc_section *s = &h->sections[i];
		uint64_t places[] = { 0, s->bytes / 2, s->bytes - 1 };
		size_t j;

		kinds |= 1u << s->kind;
		for (j = 0; j < 3; j++) {
			bytes[s->offset + places[j]] ^= 1;
			expect(bytes, good_size, -EINVAL, checks[s->kind]);
			bytes[s->offset + places[j]] ^= 1;
		}
	}
	assert_int_equal(kinds, 0xfe); /* all were there */
	expect(bytes, good_size, 0, "");
	/* The message names the range. */
	bytes[h->sections[h->section_count - 1].offset + AIPU_QPC_DIGEST_STEP] ^= 1;
	expect(bytes, good_size, -EINVAL, "bytes 4194304 to ");
	free(bytes);
}

/* Weights are checked on demand only */
static void weights_on_demand(void **state)
{
	struct aipu_message message = { "" };
	uint8_t *bytes = copy_good();
	struct aipu_qpc *qpc;
	int fd;

	(void)state;
	bytes[good_size - 4096] ^= 1;
	fd = fixture_memory(bytes, good_size);
	assert_int_equal(fixture_open(fd, &qpc, &message), 0);
	assert_null(aipu_qpc_data(qpc, aipu_qpc_section(qpc, AIPU_QPC_WEIGHTS, 0)));
	assert_non_null(aipu_qpc_data(qpc, aipu_qpc_section(qpc, AIPU_QPC_CONSTANTS, 0)));
	assert_null(aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 1));
	assert_int_equal(aipu_qpc_bytes(qpc), good_size);
	/* Truncated after it was opened */
	assert_int_equal(ftruncate(fd, (off_t)good_size - 8192), 0);
	assert_int_equal(aipu_qpc_verify(qpc, &message), -EINVAL);
	assert_non_null(strstr(message.text, "truncated"));
	aipu_qpc_close(qpc);
	close(fd);
	free(bytes);
}

/* Headers that hash well and lie */
static void sealed_lies(void **state)
{
	const struct aipu_qpc_header *h = header_of(good);
	uint32_t last = h->section_count - 1, i;
	static const struct {
		size_t offset;
		uint64_t value;
		const char *words;
	} lies[] = {
		{ offsetof(struct aipu_qpc_section, offset), 4097, "section table" },
		{ offsetof(struct aipu_qpc_section, offset), 4096, "section table" },
		{ offsetof(struct aipu_qpc_section, offset), ~4095ull, "section table" },
		{ offsetof(struct aipu_qpc_section, bytes), 0, "section table" },
		{ offsetof(struct aipu_qpc_section, bytes), ~0ull, "section table" },
		{ offsetof(struct aipu_qpc_section, bytes), 1, "weight digests" },
		{ offsetof(struct aipu_qpc_section, reserved), 1, "section table" },
		{ offsetof(struct aipu_qpc_section, kind), 0, "section table" },
		{ offsetof(struct aipu_qpc_section, kind), AIPU_QPC_WEIGHT_DIGESTS,
		  "2 WEIGHT_DIGESTS" },
	};
	uint8_t *bytes = copy_good();

	(void)state;
	for (i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		uint8_t *field = (uint8_t *)&header_of(bytes)->sections[last] + lies[i].offset;
		uint8_t saved[8];

		memcpy(saved, field, sizeof(saved));
		memcpy(field, &lies[i].value, sizeof(saved));
		seal(bytes);
		expect(bytes, good_size, -EINVAL, lies[i].words);
		memcpy(field, saved, sizeof(saved));
	}
	header_of(bytes)->section_count = AIPU_QPC_MAX_SECTIONS + 1;
	seal(bytes);
	expect(bytes, good_size, -EINVAL, "header field");
	header_of(bytes)->section_count = last;
	seal(bytes);
	expect(bytes, good_size, -EINVAL, "longer than its count");
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(undamaged),	cmocka_unit_test(truncated),
		cmocka_unit_test(no_container), cmocka_unit_test(versions),
		cmocka_unit_test(bit_flips),	cmocka_unit_test(weights_on_demand),
		cmocka_unit_test(sealed_lies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make_good, free_good);
}
