// SPDX-License-Identifier: MIT
/*
 * Reader of QPC containers, aipu/qpc.h. Called by the model loader and by aipu-qpc. It trusts no field before it
 * was checked, and never reads the weights but to verify them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "aipu/qpc.h"

/* Sections but WEIGHTS are held in memory: a container that asks for more is no container. */
#define LOADED_LIMIT (256ull << 20)

struct aipu_qpc {
	int fd;
	char path[4096]; /* for messages */
	struct aipu_qpc_header header;
	void *data[AIPU_QPC_MAX_SECTIONS];
	struct aipu_qpc_model model;
};

static const char *section_name(uint32_t kind)
{
	static const char *const names[] = { "",
					     "MODEL",
					     "PROGRAM",
					     "CONSTANTS",
					     "WEIGHTS",
					     "WEIGHT_DIGESTS",
					     "INVERSE_FREQUENCIES",
					     "SOURCE" };

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "of unknown kind";
}

static int fail(struct aipu_message *message, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct aipu_message *message, int err, const char *format, ...)
{
	va_list args;

	if (message) {
		va_start(args, format);
		vsnprintf(message->text, sizeof(message->text), format, args);
		va_end(args);
	}
	return err;
}

static int read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	uint8_t *at = to;

	while (bytes) {
		ssize_t n = pread(fd, at, bytes, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		at += n;
		offset += (uint64_t)n;
		bytes -= (size_t)n;
	}
	return 0;
}

static bool digest_equals(const void *data, size_t bytes, const uint8_t *expected)
{
	uint8_t digest[EVP_MAX_MD_SIZE];

	return EVP_Digest(data, bytes, digest, NULL, EVP_sha256(), NULL) == 1 &&
	       !memcmp(digest, expected, AIPU_DIGEST_BYTES);
}

static bool all_zero(const void *data, size_t bytes)
{
	const uint8_t *at = data;

	while (bytes && !*at) {
		at++;
		bytes--;
	}
	return !bytes;
}

/* Magic and version first: a newer container may differ in all else. */
static int header_check(struct aipu_qpc *qpc, uint64_t file_bytes, struct aipu_message *message)
{
	struct aipu_qpc_header copy = qpc->header;
	const struct aipu_qpc_header *h = &qpc->header;

	if (h->magic != AIPU_QPC_MAGIC)
		return fail(message, -EINVAL, "%s: not a QPC container (magic)", qpc->path);
	if (h->version != AIPU_QPC_VERSION)
		return fail(message, -EPROTO,
			    "%s: container version %u, this runtime reads version %u: %s",
			    qpc->path, h->version, AIPU_QPC_VERSION,
			    h->version > AIPU_QPC_VERSION ? "upgrade the runtime"
							  : "compile the model again");
	memset(copy.digest, 0, sizeof(copy.digest));
	if (!digest_equals(&copy, sizeof(copy), h->digest))
		return fail(message, -EINVAL, "%s: damaged: the header's digest does not match",
			    qpc->path);
	if (h->abi_oldest > AIPU_ABI_CURRENT || h->abi_newest < AIPU_ABI_OLDEST)
		return fail(message, -EPROTO,
			    "%s: made for contract %u.%u to %u.%u, this runtime speaks %u.%u to "
			    "%u.%u: %s",
			    qpc->path, AIPU_ABI_MAJOR(h->abi_oldest), AIPU_ABI_MINOR(h->abi_oldest),
			    AIPU_ABI_MAJOR(h->abi_newest), AIPU_ABI_MINOR(h->abi_newest),
			    AIPU_ABI_MAJOR(AIPU_ABI_OLDEST), AIPU_ABI_MINOR(AIPU_ABI_OLDEST),
			    AIPU_ABI_MAJOR(AIPU_ABI_CURRENT), AIPU_ABI_MINOR(AIPU_ABI_CURRENT),
			    h->abi_oldest > AIPU_ABI_CURRENT ? "upgrade the runtime"
							     : "compile the model again");
	if (h->file_bytes != file_bytes)
		return fail(message, -EINVAL, "%s: %s: %llu bytes, its header says %llu", qpc->path,
			    file_bytes < h->file_bytes ? "truncated" : "damaged (file size)",
			    (unsigned long long)file_bytes, (unsigned long long)h->file_bytes);
	if (h->header_bytes != sizeof(*h) || h->abi_oldest > h->abi_newest || h->reserved0 ||
	    !h->section_count || h->section_count > AIPU_QPC_MAX_SECTIONS ||
	    !all_zero(h->reserved1, sizeof(h->reserved1)))
		return fail(message, -EINVAL, "%s: damaged: header field out of range", qpc->path);
	return 0;
}

static int sections_check(const struct aipu_qpc *qpc, struct aipu_message *message)
{
	const struct aipu_qpc_header *h = &qpc->header;
	uint64_t end = h->header_bytes, loaded = 0, weights = 0, digests = 0;
	uint32_t i, models = 0, weight_sections = 0, digest_sections = 0;

	for (i = 0; i < h->section_count; i++) {
		const struct aipu_qpc_section *s = &h->sections[i];

		if (s->flags || s->reserved || !s->kind || !s->bytes ||
		    s->offset % AIPU_PAGE_BYTES || s->offset < end || s->offset > h->file_bytes ||
		    s->bytes > h->file_bytes - s->offset)
			return fail(
				message, -EINVAL,
				"%s: damaged: entry %u (%s) of the section table is out of range",
				qpc->path, i, section_name(s->kind));
		end = s->offset + s->bytes;
		if (s->kind == AIPU_QPC_WEIGHTS) {
			weights = s->bytes;
			weight_sections++;
		} else {
			loaded += s->bytes;
		}
		if (s->kind == AIPU_QPC_WEIGHT_DIGESTS) {
			digests = s->bytes;
			digest_sections++;
		}
		models += s->kind == AIPU_QPC_MODEL && s->bytes == sizeof(qpc->model);
	}
	if (weight_sections > 1 || digest_sections > 1)
		return fail(message, -EINVAL, "%s: damaged: %u sections WEIGHTS, %u WEIGHT_DIGESTS",
			    qpc->path, weight_sections, digest_sections);
	if (!all_zero(&h->sections[i], (AIPU_QPC_MAX_SECTIONS - i) * sizeof(h->sections[0])))
		return fail(message, -EINVAL, "%s: damaged: section table longer than its count",
			    qpc->path);
	if (models != 1)
		return fail(message, -EINVAL, "%s: damaged: no section MODEL of %zu bytes",
			    qpc->path, sizeof(qpc->model));
	if (loaded > LOADED_LIMIT)
		return fail(message, -EINVAL,
			    "%s: damaged: %llu bytes of sections beside the weights", qpc->path,
			    (unsigned long long)loaded);
	if (digests / AIPU_DIGEST_BYTES !=
		    weights / AIPU_QPC_DIGEST_STEP + (weights % AIPU_QPC_DIGEST_STEP != 0) ||
	    digests % AIPU_DIGEST_BYTES)
		return fail(message, -EINVAL,
			    "%s: damaged: %llu bytes of weight digests for %llu bytes of weights",
			    qpc->path, (unsigned long long)digests, (unsigned long long)weights);
	return 0;
}

static int sections_load(struct aipu_qpc *qpc, struct aipu_message *message)
{
	uint32_t i;

	for (i = 0; i < qpc->header.section_count; i++) {
		const struct aipu_qpc_section *s = &qpc->header.sections[i];
		int err;

		if (s->kind == AIPU_QPC_WEIGHTS)
			continue;
		qpc->data[i] = malloc(s->bytes);
		if (!qpc->data[i])
			return fail(message, -ENOMEM, "%s: %s", qpc->path, strerror(ENOMEM));
		err = read_at(qpc->fd, qpc->data[i], s->bytes, s->offset);
		if (err)
			return fail(message, err == -ENODATA ? -EINVAL : err,
				    "%s: cannot read section %s: %s", qpc->path,
				    section_name(s->kind),
				    err == -ENODATA ? "truncated" : strerror(-err));
		if (!digest_equals(qpc->data[i], s->bytes, s->digest))
			return fail(message, -EINVAL,
				    "%s: damaged: the digest of section %s does not match",
				    qpc->path, section_name(s->kind));
		if (s->kind == AIPU_QPC_MODEL && s->bytes == sizeof(qpc->model))
			memcpy(&qpc->model, qpc->data[i], sizeof(qpc->model));
	}
	return 0;
}

/* What users of the model section may rely on; shapes are the program's affair */
static int model_check(const struct aipu_qpc *qpc, struct aipu_message *message)
{
	const struct aipu_qpc_model *m = &qpc->model;

	if (m->name[sizeof(m->name) - 1] || m->architecture[sizeof(m->architecture) - 1] ||
	    !all_zero(m->reserved, sizeof(m->reserved)) || !m->precision ||
	    m->precision > AIPU_PRECISION_INT8 || m->stop_count > 8 || !m->vocabulary ||
	    !m->ctx_len || !m->prompt_len || m->prompt_len > m->ctx_len || !m->batch_size)
		return fail(message, -EINVAL,
			    "%s: damaged: section MODEL holds a value out of range", qpc->path);
	return 0;
}

/* fd of the container: path itself, or model.qpc in it */
static int container_open(struct aipu_qpc *qpc, const char *path, uint64_t *bytes,
			  struct aipu_message *message)
{
	struct stat st;
	int err;

	if ((size_t)snprintf(qpc->path, sizeof(qpc->path), "%s", path) >= sizeof(qpc->path))
		return fail(message, -ENAMETOOLONG, "%.100s...: %s", path, strerror(ENAMETOOLONG));
	if (!stat(path, &st) && S_ISDIR(st.st_mode) &&
	    (size_t)snprintf(qpc->path, sizeof(qpc->path), "%s/model.qpc", path) >=
		    sizeof(qpc->path))
		return fail(message, -ENAMETOOLONG, "%.100s...: %s", path, strerror(ENAMETOOLONG));
	qpc->fd = open(qpc->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (qpc->fd < 0) {
		err = -errno;
		if (err == -ENOENT && strcmp(qpc->path, path))
			return fail(message, err,
				    "%s: %s; a directory that aipu-compile made is expected",
				    qpc->path, strerror(-err));
		return fail(message, err, "%s: %s", qpc->path, strerror(-err));
	}
	if (fstat(qpc->fd, &st))
		return fail(message, -errno, "%s: %s", qpc->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(message, -EINVAL, "%s: not a regular file", qpc->path);
	*bytes = (uint64_t)st.st_size;
	if (*bytes < sizeof(qpc->header))
		return fail(message, -EINVAL, "%s: truncated or no QPC container: only %llu bytes",
			    qpc->path, (unsigned long long)*bytes);
	return 0;
}

int aipu_qpc_open(const char *path, struct aipu_qpc **out, struct aipu_message *message)
{
	struct aipu_qpc *qpc = calloc(1, sizeof(*qpc));
	uint64_t bytes = 0;
	int err;

	*out = NULL;
	if (!qpc)
		return fail(message, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
	qpc->fd = -1;
	err = container_open(qpc, path, &bytes, message);
	if (!err) {
		err = read_at(qpc->fd, &qpc->header, sizeof(qpc->header), 0);
		if (err)
			err = fail(message, err == -ENODATA ? -EINVAL : err,
				   "%s: cannot read its header: %s", qpc->path,
				   err == -ENODATA ? "truncated" : strerror(-err));
	}
	if (!err)
		err = header_check(qpc, bytes, message);
	if (!err)
		err = sections_check(qpc, message);
	if (!err)
		err = sections_load(qpc, message);
	if (!err)
		err = model_check(qpc, message);
	if (err) {
		aipu_qpc_close(qpc);
		return err;
	}
	*out = qpc;
	return 0;
}

void aipu_qpc_close(struct aipu_qpc *qpc)
{
	uint32_t i;

	if (!qpc)
		return;
	for (i = 0; i < AIPU_QPC_MAX_SECTIONS; i++)
		free(qpc->data[i]);
	if (qpc->fd >= 0)
		close(qpc->fd);
	free(qpc);
}

int aipu_qpc_fd(const struct aipu_qpc *qpc)
{
	return qpc->fd;
}

uint64_t aipu_qpc_bytes(const struct aipu_qpc *qpc)
{
	return qpc->header.file_bytes;
}

const struct aipu_qpc_header *aipu_qpc_header(const struct aipu_qpc *qpc)
{
	return &qpc->header;
}

const struct aipu_qpc_model *aipu_qpc_model(const struct aipu_qpc *qpc)
{
	return &qpc->model;
}

const struct aipu_qpc_section *aipu_qpc_section(const struct aipu_qpc *qpc, uint32_t kind,
						uint32_t index)
{
	uint32_t i;

	for (i = 0; i < qpc->header.section_count; i++)
		if (qpc->header.sections[i].kind == kind && !index--)
			return &qpc->header.sections[i];
	return NULL;
}

const void *aipu_qpc_data(const struct aipu_qpc *qpc, const struct aipu_qpc_section *section)
{
	return section ? qpc->data[section - qpc->header.sections] : NULL;
}

int aipu_qpc_verify(struct aipu_qpc *qpc, struct aipu_message *message)
{
	const struct aipu_qpc_section *weights = aipu_qpc_section(qpc, AIPU_QPC_WEIGHTS, 0);
	const uint8_t *digests =
		aipu_qpc_data(qpc, aipu_qpc_section(qpc, AIPU_QPC_WEIGHT_DIGESTS, 0));
	uint64_t done;
	uint8_t *buffer;
	int err = 0;

	if (!weights)
		return 0;
	buffer = malloc(AIPU_QPC_DIGEST_STEP);
	if (!buffer)
		return fail(message, -ENOMEM, "%s: %s", qpc->path, strerror(ENOMEM));
	for (done = 0; !err && done < weights->bytes; done += AIPU_QPC_DIGEST_STEP) {
		uint64_t left = weights->bytes - done;
		size_t bytes = left < AIPU_QPC_DIGEST_STEP ? (size_t)left : AIPU_QPC_DIGEST_STEP;

		err = read_at(qpc->fd, buffer, bytes, weights->offset + done);
		if (err)
			err = fail(message, err == -ENODATA ? -EINVAL : err,
				   "%s: cannot read section WEIGHTS: %s", qpc->path,
				   err == -ENODATA ? "truncated" : strerror(-err));
		else if (!digest_equals(buffer, bytes,
					digests + done / AIPU_QPC_DIGEST_STEP * AIPU_DIGEST_BYTES))
			err = fail(message, -EINVAL,
				   "%s: damaged: bytes %llu to %llu of section WEIGHTS do not "
				   "match their digest",
				   qpc->path, (unsigned long long)done,
				   (unsigned long long)(done + bytes - 1));
	}
	free(buffer);
	return err;
}
