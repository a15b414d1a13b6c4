// SPDX-License-Identifier: MIT
/*
 * COPY and FILL: bytes between segments, in slices that end at a step boundary. Called through job.c. A scatter
 * list is copied once, and all its pieces are checked before the first byte moves. What a job names is held
 * until it ends, so that UNBIND waits for it.
 */
#include "device.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#define FIELD(name) ((uint32_t)offsetof(struct aipu_job, name))
#define BOUNCE_BYTES (256u << 10)
#define PIECES_PER_STEP 64u

/* --- begin ---------------------------------------------------------------------------------------- */

/* *which becomes 0 where the source is wrong, 1 where the destination is */
static unsigned int hold_piece(struct dm_context *context, const struct aipu_copy_entry *piece,
			       struct dm_binding **src, struct dm_binding **dst,
			       unsigned int *which)
{
	unsigned int status;

	*which = 0;
	status = dm_binding_get(context, piece->src_segment, piece->src_offset, piece->length,
				AIPU_ACCESS_READ, src);
	if (status)
		return status;
	*which = 1;
	status = dm_binding_get(context, piece->dst_segment, piece->dst_offset, piece->length,
				AIPU_ACCESS_WRITE, dst);
	if (status) {
		dm_binding_put(*src);
		*src = NULL;
	}
	return status;
}

static void set_piece(struct dm_transfer *transfer, const struct aipu_copy_entry *piece)
{
	transfer->src_offset = piece->src_offset;
	transfer->dst_offset = piece->dst_offset;
	transfer->length = piece->length;
	transfer->done = 0;
}

/* *detail: the index of the entry at fault */
static unsigned int hold_list(struct dm_context *context, struct dm_transfer *transfer,
			      uint32_t *detail)
{
	static const uint8_t zeros[AIPU_DIGEST_BYTES];
	unsigned int status, which;

	transfer->held = calloc(transfer->list_count, sizeof(*transfer->held));
	if (!transfer->held)
		return AIPU_STATUS_NO_RESOURCES;
	for (uint32_t i = 0; i < transfer->list_count; i++) {
		const struct aipu_copy_entry *piece = &transfer->list[i];

		*detail = i;
		if (!piece->length ||
		    (!transfer->verify && memcmp(piece->digest, zeros, sizeof(zeros))))
			return AIPU_STATUS_INVALID_FIELD;
		status = hold_piece(context, piece, &transfer->held[i].src, &transfer->held[i].dst,
				    &which);
		if (status)
			return status;
	}
	return AIPU_STATUS_OK;
}

static unsigned int begin_list(struct dm_context *context, const struct aipu_job_copy *copy,
			       struct dm_transfer *transfer, uint32_t *detail)
{
	size_t bytes = copy->list_count * sizeof(*transfer->list);
	unsigned int status;

	*detail = FIELD(copy.dst_segment);
	if (copy->dst_segment)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = FIELD(copy.dst_offset);
	if (copy->dst_offset)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = FIELD(copy.length);
	if (copy->length)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = FIELD(copy.src_offset);
	if (copy->src_offset % 8)
		return AIPU_STATUS_ALIGNMENT;
	*detail = FIELD(copy.src_segment);
	transfer->list = malloc(bytes);
	if (!transfer->list)
		return AIPU_STATUS_NO_RESOURCES;
	transfer->list_count = copy->list_count;
	status = dm_segment_read(context, copy->src_segment, copy->src_offset, transfer->list,
				 bytes);
	return status ? status : hold_list(context, transfer, detail);
}

static unsigned int begin_copy(struct dm_context *context, const struct aipu_job_copy *copy,
			       struct dm_transfer *transfer, uint32_t *detail)
{
	struct aipu_copy_entry piece = {
		.src_segment = copy->src_segment,
		.dst_segment = copy->dst_segment,
		.src_offset = copy->src_offset,
		.dst_offset = copy->dst_offset,
		.length = copy->length,
	};
	unsigned int status, which;

	*detail = FIELD(copy.flags);
	if (copy->flags & ~AIPU_COPY_VERIFY || (copy->flags && !copy->list_count))
		return AIPU_STATUS_INVALID_FIELD;
	*detail = FIELD(copy.reserved);
	if (copy->reserved)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = FIELD(copy.list_count);
	if (copy->list_count > AIPU_COPY_MAX_LIST)
		return AIPU_STATUS_INVALID_FIELD;
	transfer->bounce = malloc(BOUNCE_BYTES);
	if (!transfer->bounce)
		return AIPU_STATUS_NO_RESOURCES;
	if (copy->flags & AIPU_COPY_VERIFY) {
		transfer->verify = true;
		transfer->digest = EVP_MD_CTX_new();
		if (!transfer->digest)
			return AIPU_STATUS_NO_RESOURCES;
	}
	if (copy->list_count)
		return begin_list(context, copy, transfer, detail);
	*detail = FIELD(copy.length);
	if (!copy->length)
		return AIPU_STATUS_INVALID_FIELD;
	set_piece(transfer, &piece);
	status = hold_piece(context, &piece, &transfer->src, &transfer->dst, &which);
	*detail = which ? FIELD(copy.dst_segment) : FIELD(copy.src_segment);
	return status;
}

static unsigned int begin_fill(struct dm_context *context, const struct aipu_job_fill *fill,
			       struct dm_transfer *transfer, uint32_t *detail)
{
	for (unsigned int i = 0; i < 3; i++) {
		*detail = FIELD(fill.reserved) + 8 * i;
		if (fill->reserved[i])
			return AIPU_STATUS_INVALID_FIELD;
	}
	*detail = FIELD(fill.length);
	if (!fill->length)
		return AIPU_STATUS_INVALID_FIELD;
	*detail = FIELD(fill.segment);
	transfer->bounce = malloc(BOUNCE_BYTES);
	if (!transfer->bounce)
		return AIPU_STATUS_NO_RESOURCES;
	for (size_t i = 0; i < BOUNCE_BYTES; i += sizeof(fill->pattern))
		memcpy(transfer->bounce + i, &fill->pattern, sizeof(fill->pattern));
	transfer->fill = true;
	transfer->dst_offset = fill->offset;
	transfer->length = fill->length;
	return dm_binding_get(context, fill->segment, fill->offset, fill->length, AIPU_ACCESS_WRITE,
			      &transfer->dst);
}

unsigned int dm_transfer_begin(struct dm_context *context, const struct aipu_job *job,
			       struct dm_transfer **out, uint32_t *detail)
{
	struct dm_transfer *transfer = calloc(1, sizeof(*transfer));
	unsigned int status;

	if (!transfer)
		return AIPU_STATUS_NO_RESOURCES;
	if (job->opcode == AIPU_JOB_FILL)
		status = begin_fill(context, &job->fill, transfer, detail);
	else
		status = begin_copy(context, &job->copy, transfer, detail);
	if (status) {
		dm_transfer_end(transfer);
		return status;
	}
	*detail = 0;
	*out = transfer;
	return AIPU_STATUS_OK;
}

void dm_transfer_end(struct dm_transfer *transfer)
{
	if (transfer->held) {
		for (uint32_t i = 0; i < transfer->list_count; i++) {
			dm_binding_put(transfer->held[i].src);
			dm_binding_put(transfer->held[i].dst);
		}
	} else {
		dm_binding_put(transfer->src);
		dm_binding_put(transfer->dst);
	}
	EVP_MD_CTX_free(transfer->digest);
	free(transfer->held);
	free(transfer->list);
	free(transfer->bounce);
	free(transfer);
}

/* --- bytes ------------------------------------------------------------------------------------------ */

static unsigned int fill_slice(struct dm_transfer *transfer, uint64_t bytes)
{
	uint64_t offset = transfer->dst_offset + transfer->done;
	unsigned int status = AIPU_STATUS_OK;

	/* Slices and bounce pieces are multiples of 4, so each starts with the pattern's first byte. */
	while (bytes && !status) {
		size_t piece = bytes < BOUNCE_BYTES ? (size_t)bytes : BOUNCE_BYTES;

		status = dm_binding_write(transfer->dst, offset, transfer->bounce, piece);
		offset += piece;
		bytes -= piece;
	}
	return status;
}

static bool hash(struct dm_transfer *transfer, const void *data, size_t bytes)
{
	return !transfer->verify || EVP_DigestUpdate(transfer->digest, data, bytes) == 1;
}

/*
 * The digest is over what arrived: with a host on either side of the bounce buffer that is the buffer, so
 * that a source which changes meanwhile cannot pass with other bytes than those that were written.
 */
static unsigned int copy_bounced(struct dm_transfer *transfer, uint64_t src, uint64_t dst,
				 uint64_t bytes)
{
	while (bytes) {
		size_t piece = bytes < BOUNCE_BYTES ? (size_t)bytes : BOUNCE_BYTES;
		unsigned int status = dm_binding_read(transfer->src, src, transfer->bounce, piece);

		if (status)
			return status;
		if (!hash(transfer, transfer->bounce, piece))
			return AIPU_STATUS_INTERNAL;
		status = dm_binding_write(transfer->dst, dst, transfer->bounce, piece);
		if (status)
			return status;
		src += piece;
		dst += piece;
		bytes -= piece;
	}
	return AIPU_STATUS_OK;
}

static unsigned int copy_slice(struct dm_transfer *transfer, uint64_t bytes)
{
	uint64_t src = transfer->src_offset + transfer->done;
	uint64_t dst = transfer->dst_offset + transfer->done;
	bool from_device = transfer->src->kind == AIPU_SEGMENT_DEVICE;
	bool to_device = transfer->dst->kind == AIPU_SEGMENT_DEVICE;

	if (transfer->verify || (!from_device && !to_device))
		return copy_bounced(transfer, src, dst, bytes);
	if (!to_device)
		return dm_binding_write(transfer->dst, dst, dm_binding_memory(transfer->src, src),
					bytes);
	if (!from_device)
		return dm_binding_read(transfer->src, src, dm_binding_memory(transfer->dst, dst),
				       bytes);
	dm_move_shared(dm_binding_memory(transfer->dst, dst), dm_binding_memory(transfer->src, src),
		       bytes);
	return AIPU_STATUS_OK;
}

/* --- step ------------------------------------------------------------------------------------------- */

static unsigned int start_listed(struct dm_transfer *transfer)
{
	if (transfer->verify && EVP_DigestInit_ex(transfer->digest, EVP_sha256(), NULL) != 1)
		return AIPU_STATUS_INTERNAL;
	transfer->src = transfer->held[transfer->next].src;
	transfer->dst = transfer->held[transfer->next].dst;
	set_piece(transfer, &transfer->list[transfer->next]);
	return AIPU_STATUS_OK;
}

static unsigned int end_listed(struct dm_transfer *transfer)
{
	const struct aipu_copy_entry *piece = &transfer->list[transfer->next];
	uint8_t digest[EVP_MAX_MD_SIZE];

	transfer->src = NULL; /* the next one starts afresh */
	transfer->dst = NULL;
	if (!transfer->verify)
		return AIPU_STATUS_OK;
	if (EVP_DigestFinal_ex(transfer->digest, digest, NULL) != 1)
		return AIPU_STATUS_INTERNAL;
	return memcmp(digest, piece->digest, AIPU_DIGEST_BYTES) ? AIPU_STATUS_DIGEST_MISMATCH
								: AIPU_STATUS_OK;
}

static void count_work(struct dm_transfer *transfer, uint64_t bytes)
{
	struct dm_work *work = &transfer->work;

	if (!transfer->fill)
		*(transfer->src->kind == AIPU_SEGMENT_DEVICE ? &work->read : &work->bus) += bytes;
	*(transfer->dst->kind == AIPU_SEGMENT_DEVICE ? &work->written : &work->bus) += bytes;
}

bool dm_transfer_step(struct dm_transfer *transfer, unsigned int *status, uint32_t *detail)
{
	uint64_t budget = DM_SLICE_BYTES;

	transfer->work = (struct dm_work){ 0 };
	*detail = 0;
	for (unsigned int pieces = 0; pieces < PIECES_PER_STEP; pieces++) {
		uint64_t bytes;

		if (transfer->list) {
			*detail = transfer->next; /* which piece an error is about */
			*status = transfer->dst ? AIPU_STATUS_OK : start_listed(transfer);
			if (*status)
				return false;
		}
		bytes = transfer->length - transfer->done;
		if (bytes > budget)
			bytes = budget;
		*status = transfer->fill ? fill_slice(transfer, bytes)
					 : copy_slice(transfer, bytes);
		if (*status)
			return false;
		count_work(transfer, bytes);
		transfer->done += bytes;
		budget -= bytes;
		if (transfer->done < transfer->length)
			return true;
		if (!transfer->list)
			return false;
		*status = end_listed(transfer);
		if (*status)
			return false;
		*detail = 0;
		if (++transfer->next == transfer->list_count)
			return false;
		if (!budget)
			return true;
	}
	return true;
}
