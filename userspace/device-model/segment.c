// SPDX-License-Identifier: MIT
/*
 * Segments: what BIND makes of a descriptor, and every access that a job makes through one. The admin
 * commands change a context's table, jobs look it up; a binding that somebody holds outlives its row until
 * the hold ends. No address of the host is used here but one that a descriptor's private copy gave, and no
 * offset but one that was checked against that copy's length.
 */
#include "device.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) ((uint32_t)offsetof(struct aipu_segment_descriptor, name))

static bool in_range(uint64_t length, uint64_t offset, uint64_t bytes)
{
	return offset <= length && bytes <= length - offset;
}

/* --- BIND --------------------------------------------------------------------------------------- */

static unsigned int add_extent(struct dm_binding *binding, uint32_t *capacity,
			       const struct aipu_extent *extent, uint64_t *start)
{
	struct dm_extent *last;

	if (!extent->bytes || extent->address + extent->bytes < extent->address ||
	    *start + extent->bytes < *start)
		return AIPU_STATUS_INVALID_FIELD;
	last = binding->extent_count ? &binding->extents[binding->extent_count - 1] : NULL;
	if (last && last->address + last->bytes == extent->address) {
		last->bytes += extent->bytes;
	} else {
		if (binding->extent_count == *capacity) {
			uint32_t more = *capacity ? *capacity * 2 : 8;
			struct dm_extent *grown = realloc(binding->extents, more * sizeof(*grown));

			if (!grown)
				return AIPU_STATUS_NO_RESOURCES;
			binding->extents = grown;
			*capacity = more;
		}
		binding->extents[binding->extent_count++] = (struct dm_extent){
			.start = *start, .address = extent->address, .bytes = extent->bytes
		};
	}
	*start += extent->bytes;
	return AIPU_STATUS_OK;
}

/* The chain ends with the count, so a loop in it costs no more than a straight one */
static unsigned int copy_extents(struct dm_binding *binding, uint64_t address, uint32_t count)
{
	struct aipu_extent_page *page = malloc(sizeof(*page));
	unsigned int status = page ? AIPU_STATUS_OK : AIPU_STATUS_NO_RESOURCES;
	uint64_t start = 0;
	uint32_t capacity = 0;

	while (!status && count) {
		uint32_t here = count < AIPU_EXTENTS_PER_PAGE ? count : AIPU_EXTENTS_PER_PAGE;

		if (!address && binding->extent_count) {
			status = AIPU_STATUS_INVALID_FIELD; /* the chain ends early */
			break;
		}
		if (address % AIPU_PAGE_BYTES) {
			status = AIPU_STATUS_ALIGNMENT;
			break;
		}
		if (dm_dma_read(binding->dm, address, page, sizeof(*page), NULL)) {
			status = AIPU_STATUS_DMA_ERROR;
			break;
		}
		for (uint32_t i = 0; i < here && !status; i++)
			status = add_extent(binding, &capacity, &page->extents[i], &start);
		count -= here;
		address = page->next;
		if (!status && (page->reserved || (!count && address)))
			status = AIPU_STATUS_INVALID_FIELD;
	}
	if (!status && start != binding->length)
		status = AIPU_STATUS_INVALID_FIELD;
	free(page);
	return status;
}

/* *field names the first field that is wrong by itself */
static unsigned int check_descriptor(struct aipu_dm *dm,
				     const struct aipu_segment_descriptor *descriptor,
				     uint32_t *field)
{
	bool host = descriptor->kind == AIPU_SEGMENT_HOST;

	*field = FIELD(kind);
	if (descriptor->kind < AIPU_SEGMENT_HOST || descriptor->kind > AIPU_SEGMENT_PEER)
		return AIPU_STATUS_INVALID_FIELD;
	if (descriptor->kind == AIPU_SEGMENT_PEER)
		return AIPU_STATUS_UNSUPPORTED;
	*field = FIELD(access);
	if (!descriptor->access || descriptor->access & ~(AIPU_ACCESS_READ | AIPU_ACCESS_WRITE))
		return AIPU_STATUS_INVALID_FIELD;
	*field = FIELD(reserved0);
	if (descriptor->reserved0)
		return AIPU_STATUS_INVALID_FIELD;
	*field = FIELD(extent_count);
	if (host ? !descriptor->extent_count || descriptor->extent_count > DM_MAX_EXTENTS
		 : descriptor->extent_count != 0)
		return AIPU_STATUS_INVALID_FIELD;
	*field = FIELD(length);
	if (!descriptor->length)
		return AIPU_STATUS_INVALID_FIELD;
	*field = FIELD(peer);
	if (descriptor->peer)
		return AIPU_STATUS_INVALID_FIELD;
	*field = FIELD(reserved1);
	if (descriptor->reserved1)
		return AIPU_STATUS_INVALID_FIELD;
	*field = FIELD(address);
	if (host && descriptor->address % AIPU_PAGE_BYTES)
		return AIPU_STATUS_ALIGNMENT;
	if (!host && descriptor->address % 64)
		return AIPU_STATUS_ALIGNMENT;
	*field = FIELD(length);
	if (!host && descriptor->length % 64)
		return AIPU_STATUS_ALIGNMENT;
	*field = FIELD(address);
	if (!host && !in_range(dm->config.memory_bytes, descriptor->address, descriptor->length))
		return AIPU_STATUS_OUT_OF_RANGE;
	return AIPU_STATUS_OK;
}

unsigned int dm_binding_create(struct aipu_dm *dm, const struct aipu_segment_descriptor *descriptor,
			       struct dm_binding **out, uint32_t *field)
{
	unsigned int status = check_descriptor(dm, descriptor, field);
	struct dm_binding *binding;

	if (status)
		return status;
	*field = 0;
	binding = calloc(1, sizeof(*binding));
	if (!binding)
		return AIPU_STATUS_NO_RESOURCES;
	binding->dm = dm;
	binding->kind = descriptor->kind;
	binding->access = descriptor->access;
	binding->length = descriptor->length;
	if (descriptor->kind == AIPU_SEGMENT_DEVICE)
		binding->address = descriptor->address;
	else
		status = copy_extents(binding, descriptor->address, descriptor->extent_count);
	if (status) {
		*field = FIELD(address); /* the list behind it */
		dm_binding_destroy(binding);
		return status;
	}
	*out = binding;
	return AIPU_STATUS_OK;
}

void dm_binding_destroy(struct dm_binding *binding)
{
	if (!binding)
		return;
	free(binding->extents);
	free(binding);
}

/* --- look-up ------------------------------------------------------------------------------------- */

static unsigned int find(struct dm_context *context, uint32_t segment, uint64_t offset,
			 uint64_t length, unsigned int access, struct dm_binding **out)
{
	struct dm_binding *binding;

	if (segment >= DM_MAX_SEGMENTS)
		return AIPU_STATUS_INVALID_SEGMENT;
	binding = context->segments[segment];
	if (!binding || binding->unbinding)
		return AIPU_STATUS_INVALID_SEGMENT;
	if (access & ~(unsigned int)binding->access)
		return AIPU_STATUS_ACCESS_DENIED;
	if (!in_range(binding->length, offset, length))
		return AIPU_STATUS_OUT_OF_RANGE;
	*out = binding;
	return AIPU_STATUS_OK;
}

unsigned int dm_binding_get(struct dm_context *context, uint32_t segment, uint64_t offset,
			    uint64_t length, unsigned int access, struct dm_binding **out)
{
	unsigned int status = find(context, segment, offset, length, access, out);

	if (!status)
		(*out)->refs++;
	return status;
}

/* The row itself stays: whoever waits for refs == 0 (UNBIND) looks at the next boundary */
void dm_binding_put(struct dm_binding *binding)
{
	if (binding)
		binding->refs--;
}

unsigned int dm_segment_check(struct dm_context *context, uint32_t segment, uint64_t offset,
			      uint64_t length, unsigned int access)
{
	struct dm_binding *binding;

	return find(context, segment, offset, length, access, &binding);
}

/* --- copies --------------------------------------------------------------------------------------- */

uint8_t *dm_binding_memory(const struct dm_binding *binding, uint64_t offset)
{
	return binding->dm->memory + binding->address + offset;
}

/* The extent that holds `offset`, which is below the binding's length */
static const struct dm_extent *extent_at(const struct dm_binding *binding, uint64_t offset)
{
	uint32_t low = 0, high = binding->extent_count;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (binding->extents[middle].start <= offset)
			low = middle;
		else
			high = middle;
	}
	return &binding->extents[low];
}

static unsigned int host_copy(struct dm_binding *binding, uint64_t offset, void *to,
			      const void *from, size_t bytes)
{
	const struct dm_extent *extent = bytes ? extent_at(binding, offset) : NULL;
	bool lost = false;

	while (bytes) {
		uint64_t within = offset - extent->start;
		size_t piece = extent->bytes - within < bytes ? (size_t)(extent->bytes - within)
							      : bytes;
		int err = to ? dm_dma_read(binding->dm, extent->address + within, to, piece, &lost)
			     : dm_dma_write(binding->dm, extent->address + within, from, piece,
					    &lost);

		if (err)
			return AIPU_STATUS_DMA_ERROR;
		if (to)
			to = (uint8_t *)to + piece;
		else
			from = (const uint8_t *)from + piece;
		offset += piece;
		bytes -= piece;
		extent++;
	}
	return lost ? AIPU_STATUS_DATA_LOST : AIPU_STATUS_OK;
}

unsigned int dm_binding_read(struct dm_binding *binding, uint64_t offset, void *to, size_t bytes)
{
	if (binding->kind == AIPU_SEGMENT_HOST)
		return host_copy(binding, offset, to, NULL, bytes);
	dm_copy_shared(to, dm_binding_memory(binding, offset), bytes);
	return AIPU_STATUS_OK;
}

unsigned int dm_binding_write(struct dm_binding *binding, uint64_t offset, const void *from,
			      size_t bytes)
{
	if (binding->kind == AIPU_SEGMENT_HOST)
		return host_copy(binding, offset, NULL, from, bytes);
	dm_copy_shared(dm_binding_memory(binding, offset), from, bytes);
	return AIPU_STATUS_OK;
}

unsigned int dm_segment_read(struct dm_context *context, uint32_t segment, uint64_t offset,
			     void *to, size_t bytes)
{
	struct dm_binding *binding;
	unsigned int status = find(context, segment, offset, bytes, AIPU_ACCESS_READ, &binding);

	return status ? status : dm_binding_read(binding, offset, to, bytes);
}

unsigned int dm_segment_write(struct dm_context *context, uint32_t segment, uint64_t offset,
			      const void *from, size_t bytes)
{
	struct dm_binding *binding;
	unsigned int status = find(context, segment, offset, bytes, AIPU_ACCESS_WRITE, &binding);

	return status ? status : dm_binding_write(binding, offset, from, bytes);
}

/* --- direct pointers -------------------------------------------------------------------------------- */

unsigned int dm_segment_get(struct dm_context *context, uint32_t segment, uint64_t offset,
			    uint64_t bytes, unsigned int access, struct dm_mapping *mapping)
{
	struct aipu_dm *dm = context->dm;
	const struct dm_extent *extent;
	struct dm_binding *binding;
	unsigned int status = find(context, segment, offset, bytes, access, &binding);

	if (status)
		return status;
	*mapping = (struct dm_mapping){ .bytes = bytes, .offset = offset, .owner = binding };
	if (binding->kind == AIPU_SEGMENT_DEVICE) {
		mapping->pointer = dm_binding_memory(binding, offset);
	} else {
		if (!(dm->limits.capabilities & AIPU_CAP_UMA))
			return AIPU_STATUS_UNSUPPORTED;
		if (!bytes)
			return AIPU_STATUS_OUT_OF_RANGE;
		if (!dm_dma_permitted(dm))
			return AIPU_STATUS_DMA_ERROR;
		extent = extent_at(binding, offset);
		if (bytes > extent->bytes - (offset - extent->start))
			return AIPU_STATUS_UNSUPPORTED; /* in pieces, of which no one pointer is made */
		mapping->pointer = dm->ops.dma_map(dm->host,
						   extent->address + offset - extent->start, bytes,
						   access & AIPU_ACCESS_WRITE, &mapping->lost);
		if (!mapping->pointer)
			return AIPU_STATUS_UNSUPPORTED;
	}
	binding->refs++;
	return AIPU_STATUS_OK;
}

unsigned int dm_segment_hold(struct dm_context *context, uint32_t segment, uint64_t offset,
			     uint64_t bytes, unsigned int access, struct dm_mapping *mapping)
{
	unsigned int status = dm_segment_get(context, segment, offset, bytes, access, mapping);
	struct dm_binding *binding;

	if (!status)
		return status;
	*mapping = (struct dm_mapping){ .bytes = bytes, .offset = offset };
	if (status != AIPU_STATUS_UNSUPPORTED)
		return status;
	status = dm_binding_get(context, segment, offset, bytes, access, &binding);
	if (!status)
		mapping->owner = binding;
	return status;
}

unsigned int dm_mapping_read(const struct dm_mapping *mapping, uint64_t offset, void *to,
			     size_t bytes)
{
	return dm_binding_read(mapping->owner, mapping->offset + offset, to, bytes);
}

unsigned int dm_mapping_write(const struct dm_mapping *mapping, uint64_t offset, const void *from,
			      size_t bytes)
{
	return dm_binding_write(mapping->owner, mapping->offset + offset, from, bytes);
}

void dm_segment_put(struct dm_context *context, struct dm_mapping *mapping)
{
	struct dm_binding *binding = mapping->owner;

	if (!binding)
		return;
	if (binding->kind == AIPU_SEGMENT_HOST && mapping->pointer)
		context->dm->ops.dma_unmap(context->dm->host, mapping->pointer, mapping->bytes);
	dm_binding_put(binding);
	*mapping = (struct dm_mapping){ 0 };
}
