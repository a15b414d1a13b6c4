// SPDX-License-Identifier: MIT
/*
 * Fuzz target: the container reader, and what aipu-qpc shows of a program. Inputs are recipes of containers, because
 * blind bytes would never pass a digest: sections, changes to the header, then payload. The digests are made good unless
 * the recipe asks otherwise.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

#include "aipu-qpc/program.h"
#include "aipu/qpc.h"
#include "aipu_program.h"
#include "compile_fuzz.h"

#define PAGES 24u

enum {
	FLAG_BAD_HEADER_DIGEST = 1,
	FLAG_BAD_SECTION_DIGESTS = 2,
	FLAG_PROGRAM_HEADER = 4, /* begin programs with a header that fits */
};

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t take(struct input *in)
{
	if (!in->size)
		return 0;
	in->size--;
	return *in->data++;
}

static uint32_t take16(struct input *in)
{
	uint32_t low = take(in);

	return low | (uint32_t)take(in) << 8;
}

static uint8_t file[PAGES * 4096];

static void program_begin(uint8_t *at, size_t bytes, struct input *in)
{
	struct aipu_program_header h = { .magic = AIPU_PROGRAM_MAGIC, .header_bytes = sizeof(h) };

	h.slot_count = take(in) % 3;
	h.tensor_count = take(in) % 4;
	h.entry_count = take(in) % 3;
	if (bytes < sizeof(h))
		return;
	h.instruction_count = (uint32_t)((bytes - sizeof(h)) / 64) - h.slot_count - h.tensor_count -
			      h.entry_count;
	memcpy(at, &h, sizeof(h));
}

static void sections_make(struct aipu_qpc_header *h, struct input *in)
{
	uint32_t i, page = 1;

	h->section_count = take(in) % 10;
	for (i = 0; i < h->section_count; i++) {
		struct aipu_qpc_section *s = &h->sections[i];

		s->kind = take(in) % 9;
		s->bytes = s->kind == AIPU_QPC_MODEL ? sizeof(struct aipu_qpc_model) : take16(in);
		s->offset = (uint64_t)page * 4096;
		page += (uint32_t)((s->bytes + 4095) / 4096);
	}
}

static void payload_make(struct aipu_qpc_header *h, uint8_t flags, struct input *in)
{
	uint32_t i;

	for (i = 0; i < h->section_count && i < AIPU_QPC_MAX_SECTIONS; i++) {
		struct aipu_qpc_section *s = &h->sections[i];
		uint64_t at = s->offset < sizeof(file) ? s->offset : 0, room = sizeof(file) - at, j;
		struct aipu_qpc_model *m = (void *)(file + at);
		uint64_t bytes = s->bytes < room ? s->bytes : room;

		if (s->kind == AIPU_QPC_MODEL && bytes >= sizeof(*m)) {
			m->precision = AIPU_PRECISION_INT8;
			m->vocabulary = m->ctx_len = m->prompt_len = m->batch_size = 1;
			m->stop_count = take(in) % 10;
			m->name[take(in) % 64] = (char)take(in);
		} else if (s->kind == AIPU_QPC_PROGRAM && flags & FLAG_PROGRAM_HEADER) {
			program_begin(file + at, bytes, in);
		}
		for (j = 0; j < bytes && j < 256 && in->size; j++)
			file[at + bytes - 1 - j] ^= take(in);
		if (!(flags & FLAG_BAD_SECTION_DIGESTS) && s->kind != AIPU_QPC_WEIGHTS)
			EVP_Digest(file + at, bytes, s->digest, NULL, EVP_sha256(), NULL);
	}
}

static size_t container_make(struct input *in)
{
	struct aipu_qpc_header *h = (void *)file;
	uint8_t flags = take(in), changes = take(in) % 8;
	size_t size = (1 + take(in) % PAGES) * 4096u - take(in) % 2;

	memset(file, 0, sizeof(file));
	h->magic = AIPU_QPC_MAGIC;
	h->version = AIPU_QPC_VERSION;
	h->header_bytes = sizeof(*h);
	h->abi_oldest = h->abi_newest = AIPU_ABI_CURRENT;
	h->file_bytes = size;
	sections_make(h, in);
	payload_make(h, flags, in);
	while (changes--) {
		uint32_t at = take16(in) % sizeof(*h);

		file[at] ^= take(in);
	}
	memset(h->digest, 0, sizeof(h->digest));
	if (!(flags & FLAG_BAD_HEADER_DIGEST))
		EVP_Digest(file, sizeof(*h), h->digest, NULL, EVP_sha256(), NULL);
	return size;
}

static uint64_t touch(const uint8_t *data, uint64_t bytes)
{
	uint64_t sum = 0;

	while (bytes--)
		sum += *data++;
	return sum;
}

/* Everything a user of the reader may do */
static void use(struct aipu_qpc *qpc, size_t size)
{
	struct aipu_message message;
	uint32_t kind, i;

	fuzz_require(aipu_qpc_bytes(qpc) == size, "the file has the length that its header says");
	fuzz_require(!aipu_qpc_model(qpc)->name[63], "the model's name ends");
	fuzz_require(aipu_qpc_model(qpc)->stop_count <= 8, "at most 8 stop ids");
	for (kind = 0; kind < 10; kind++) {
		const struct aipu_qpc_section *s;

		for (i = 0; (s = aipu_qpc_section(qpc, kind, i)); i++) {
			const uint8_t *data = aipu_qpc_data(qpc, s);

			fuzz_require(s->offset + s->bytes <= size && s->bytes,
				     "sections lie in the file");
			fuzz_require(!data == (kind == AIPU_QPC_WEIGHTS),
				     "all but weights are loaded");
			if (data)
				fuzz_require(touch(data, s->bytes) <= 255 * s->bytes, "readable");
			if (kind == AIPU_QPC_PROGRAM)
				json_decref(program_describe(data, s->bytes, true));
		}
	}
	aipu_qpc_verify(qpc, &message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	size_t length = container_make(&in);
	struct aipu_message message = { "" };
	char path[FUZZ_PATH_BYTES];
	struct aipu_qpc *qpc;

	fuzz_file(file, length, path);
	if (!aipu_qpc_open(path, &qpc, &message)) {
		use(qpc, length);
		aipu_qpc_close(qpc);
	} else {
		fuzz_require(message.text[0] && !qpc, "a refusal says why");
	}
	return 0;
}
