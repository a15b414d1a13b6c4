// SPDX-License-Identifier: MIT
/*
 * The admin commands of the flash: their fields are checked here, what they do is flash.c's. Called by admin.c with
 * the device's own copy of the entry, whose common fields were checked.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

#define FIELD(name) ((uint32_t)offsetof(struct aipu_admin, flash.name))

struct request {
	struct aipu_dm *dm;
	const struct aipu_admin_flash *body;
	uint32_t detail;
};

static unsigned int refuse(struct request *r, uint32_t detail, unsigned int status)
{
	r->detail = detail;
	return status;
}

static unsigned int info(struct request *r)
{
	struct aipu_flash_info data;

	if (r->body->address % AIPU_PAGE_BYTES)
		return refuse(r, FIELD(address), AIPU_STATUS_ALIGNMENT);
	dm_flash_info(r->dm, &data);
	if (dm_dma_write(r->dm, r->body->address, &data, sizeof(data), NULL))
		return refuse(r, FIELD(address), AIPU_STATUS_DMA_ERROR);
	return AIPU_STATUS_OK;
}

/* One piece; nothing of it is in flash before all of it was read from the host */
static unsigned int move(struct request *r, bool write)
{
	const struct aipu_admin_flash *body = r->body;
	unsigned int status = AIPU_STATUS_OK;
	uint8_t *piece;

	if (!body->bytes || body->bytes > DM_FLASH_CHUNK)
		return refuse(r, FIELD(bytes), AIPU_STATUS_INVALID_FIELD);
	piece = malloc(body->bytes);
	if (!piece)
		return AIPU_STATUS_NO_RESOURCES;
	if (write && dm_dma_read(r->dm, body->address, piece, body->bytes, NULL))
		status = refuse(r, FIELD(address), AIPU_STATUS_DMA_ERROR);
	else if (write)
		status = dm_flash_write(r->dm, body->slot, body->offset, piece, body->bytes);
	else
		status = dm_flash_read(r->dm, body->slot, body->offset, piece, body->bytes);
	if (status == AIPU_STATUS_BUSY)
		r->detail = FIELD(slot);
	else if (status == AIPU_STATUS_INVALID_FIELD)
		r->detail = FIELD(offset);
	else if (!status && !write && dm_dma_write(r->dm, body->address, piece, body->bytes, NULL))
		status = refuse(r, FIELD(address), AIPU_STATUS_DMA_ERROR);
	free(piece);
	return status;
}

static unsigned int commit(struct request *r)
{
	uint32_t code = 0;
	unsigned int status = dm_flash_commit(r->dm, r->body->slot, &code);

	return refuse(r, status == AIPU_STATUS_BUSY ? FIELD(slot) : code, status);
}

static unsigned int activate(struct request *r)
{
	return refuse(r, FIELD(slot), dm_flash_activate(r->dm, r->body->slot));
}

/* The first field that is set and has no meaning for the command; 0: none */
static uint32_t meaningless(uint8_t opcode, const struct aipu_admin_flash *body)
{
	bool moves = opcode == AIPU_ADMIN_FLASH_READ || opcode == AIPU_ADMIN_FLASH_WRITE;
	bool is_info = opcode == AIPU_ADMIN_FLASH_INFO;

	for (size_t i = 0; i < sizeof(body->reserved) / sizeof(body->reserved[0]); i++)
		if (body->reserved[i])
			return FIELD(reserved) + (uint32_t)(i * sizeof(body->reserved[0]));
	if (body->slot >= (is_info ? 1 : DM_FLASH_SLOTS))
		return FIELD(slot);
	if (body->bytes && !moves)
		return FIELD(bytes);
	if (body->offset && !moves)
		return FIELD(offset);
	return body->address && !moves && !is_info ? FIELD(address) : 0;
}

unsigned int dm_flash_admin(struct aipu_dm *dm, const struct aipu_admin *entry, uint32_t *detail)
{
	struct request r = { .dm = dm, .body = &entry->flash };
	unsigned int status;
	uint32_t field;

	*detail = offsetof(struct aipu_admin, opcode);
	if (!dm->flash.slot_bytes)
		return AIPU_STATUS_UNSUPPORTED;
	field = meaningless(entry->opcode, r.body);
	if (field)
		status = refuse(&r, field, AIPU_STATUS_INVALID_FIELD);
	else if (entry->opcode == AIPU_ADMIN_FLASH_INFO)
		status = info(&r);
	else if (entry->opcode == AIPU_ADMIN_FLASH_COMMIT)
		status = commit(&r);
	else if (entry->opcode == AIPU_ADMIN_FLASH_ACTIVATE)
		status = activate(&r);
	else
		status = move(&r, entry->opcode == AIPU_ADMIN_FLASH_WRITE);
	*detail = r.detail;
	return status;
}
