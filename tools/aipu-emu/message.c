// SPDX-License-Identifier: MIT
/*
 * The one parser of what a vfio-user client sends. See message.h. Nothing here reads beyond the payload it is given,
 * allocates for longer than a call (jansson, for VERSION), or believes a number before it is checked.
 */
#include "message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

static const char *const names[EMU_COMMANDS] = {
	[EMU_VERSION] = "version",
	[EMU_DMA_MAP] = "dma-map",
	[EMU_DMA_UNMAP] = "dma-unmap",
	[EMU_DEVICE_GET_INFO] = "device-info",
	[EMU_DEVICE_GET_REGION_INFO] = "region-info",
	[EMU_DEVICE_GET_REGION_IO_FDS] = "region-io-fds",
	[EMU_DEVICE_GET_IRQ_INFO] = "irq-info",
	[EMU_DEVICE_SET_IRQS] = "set-irqs",
	[EMU_REGION_READ] = "region-read",
	[EMU_REGION_WRITE] = "region-write",
	[EMU_DMA_READ] = "dma-read",
	[EMU_DMA_WRITE] = "dma-write",
	[EMU_DEVICE_RESET] = "device-reset",
	[EMU_DIRTY_PAGES] = "dirty-pages",
	[EMU_REGION_WRITE_MULTI] = "region-write-multi",
	[EMU_DEVICE_FEATURE] = "device-feature",
	[EMU_MIG_DATA_READ] = "mig-data-read",
	[EMU_MIG_DATA_WRITE] = "mig-data-write",
};

const char *emu_command_name(unsigned int command)
{
	return command < EMU_COMMANDS && names[command] ? names[command] : "?";
}

int emu_message_payload(const void *header, size_t *payload_bytes)
{
	struct emu_header h;

	memcpy(&h, header, sizeof(h));
	if (h.bytes < sizeof(h) || h.bytes - sizeof(h) > EMU_MESSAGE_MAX_PAYLOAD)
		return -EBADMSG;
	*payload_bytes = h.bytes - sizeof(h);
	return 0;
}

/* --- VERSION --------------------------------------------------------------------------------------- */

/* A capability that is a number: absent or a number that is not negative */
static bool take_number(const json_t *capabilities, const char *name, unsigned int bit,
			struct emu_version *version, uint64_t *value)
{
	const json_t *entry = json_object_get(capabilities, name);

	if (!entry)
		return true;
	if (!json_is_integer(entry) || json_integer_value(entry) < 0)
		return false;
	version->proposed |= bit;
	if (value)
		*value = (uint64_t)json_integer_value(entry);
	return true;
}

static bool take_capabilities(const json_t *root, struct emu_version *version)
{
	const json_t *list = json_object_get(root, "capabilities"), *entry;

	if (!json_is_object(root))
		return false;
	if (!list)
		return true;
	if (!json_is_object(list))
		return false;
	entry = json_object_get(list, "write_multiple");
	if (entry && !json_is_boolean(entry))
		return false;
	if (entry && json_is_true(entry))
		version->proposed |= EMU_CAP_WRITE_MULTIPLE;
	/* What else it says (twin_socket, migration) is not offered here, and so of no interest. */
	return take_number(list, "max_msg_fds", EMU_CAP_MAX_MSG_FDS, version,
			   &version->max_msg_fds) &&
	       take_number(list, "max_data_xfer_size", EMU_CAP_MAX_DATA_XFER_SIZE, version, NULL) &&
	       take_number(list, "max_dma_maps", EMU_CAP_MAX_DMA_MAPS, version, NULL) &&
	       take_number(list, "pgsizes", EMU_CAP_PGSIZES, version, NULL);
}

static int parse_version(const uint8_t *payload, size_t bytes, struct emu_version *version)
{
	json_t *root;
	bool good;

	memset(version, 0, sizeof(*version));
	version->max_msg_fds = 1;
	if (bytes < 4)
		return EINVAL;
	memcpy(&version->major, payload, 2);
	memcpy(&version->minor, payload + 2, 2);
	if (version->major)
		return EINVAL;
	if (bytes == 4)
		return 0;
	/* One text, its NUL at the very end */
	if (memchr(payload + 4, 0, bytes - 4) != payload + bytes - 1)
		return EINVAL;
	root = json_loadb((const char *)payload + 4, bytes - 5, 0, NULL);
	good = root && take_capabilities(root, version);
	json_decref(root);
	return good ? 0 : EINVAL;
}

size_t emu_message_version(unsigned int capabilities, void *to, size_t room)
{
	static const struct {
		enum emu_capability bit;
		const char *text;
		unsigned int value;
	} numbers[] = {
		{ EMU_CAP_MAX_MSG_FDS, "max_msg_fds", EMU_MESSAGE_MAX_FDS },
		{ EMU_CAP_MAX_DATA_XFER_SIZE, "max_data_xfer_size", EMU_MESSAGE_MAX_DATA },
		{ EMU_CAP_MAX_DMA_MAPS, "max_dma_maps", EMU_MESSAGE_MAX_MAPS },
		{ EMU_CAP_PGSIZES, "pgsizes", EMU_MESSAGE_PAGE_BYTES },
	};
	char text[256] = "{\"capabilities\":{";
	const char *comma = "";
	size_t n = strlen(text), i;

	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (!(capabilities & numbers[i].bit))
			continue;
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"%s\":%u", comma,
				      numbers[i].text, numbers[i].value);
		comma = ",";
	}
	n += (size_t)snprintf(text + n, sizeof(text) - n, "%s}}",
			      capabilities & EMU_CAP_WRITE_MULTIPLE
				      ? (*comma ? ",\"write_multiple\":true"
						: "\"write_multiple\":true")
				      : "");
	if (room < 4 + n + 1)
		return 0;
	memset(to, 0, 4); /* 0.0: all that there is */
	memcpy((uint8_t *)to + 4, text, n + 1);
	return 4 + n + 1;
}

/* --- the others ------------------------------------------------------------------------------------ */

static bool wraps(uint64_t start, uint64_t size)
{
	return size && size - 1 > UINT64_MAX - start;
}

static bool aligned(uint64_t value)
{
	return value % EMU_MESSAGE_PAGE_BYTES == 0;
}

static int parse_map(const struct emu_map *m, unsigned int fds)
{
	if (m->argsz != sizeof(*m) || !m->flags || m->flags & ~3u)
		return EINVAL;
	if (!m->size || wraps(m->address, m->size) || !aligned(m->address) || !aligned(m->size))
		return EINVAL;
	/* A file offset is signed. */
	if (fds && (!aligned(m->offset) || m->offset > INT64_MAX || m->size > INT64_MAX ||
		    m->offset + m->size > INT64_MAX))
		return EINVAL;
	return 0;
}

static int parse_unmap(const struct emu_unmap *u, size_t bytes)
{
	if (u->argsz < sizeof(*u) || u->flags & ~(EMU_UNMAP_DIRTY_BITMAP | EMU_UNMAP_ALL))
		return EINVAL;
	if (u->flags & EMU_UNMAP_DIRTY_BITMAP)
		return ENOTSUP;
	if (bytes != sizeof(*u))
		return EINVAL;
	if (u->flags & EMU_UNMAP_ALL)
		return u->address || u->size ? EINVAL : 0;
	if (!u->size || wraps(u->address, u->size) || !aligned(u->address) || !aligned(u->size))
		return EINVAL;
	return 0;
}

static bool one_bit(uint32_t value)
{
	return value && !(value & (value - 1));
}

static int parse_irq_set(const struct emu_irq_set *s, size_t bytes, unsigned int fds)
{
	const uint32_t data = s->flags & EMU_IRQ_DATA;
	const bool clear = data == EMU_IRQ_DATA_NONE && !s->count;

	if (s->argsz != bytes || s->index >= EMU_MESSAGE_IRQS ||
	    s->flags & ~(EMU_IRQ_DATA | EMU_IRQ_ACTION) || !one_bit(data) ||
	    !one_bit(s->flags & EMU_IRQ_ACTION) || s->start > UINT32_MAX - s->count)
		return EINVAL;
	if (!s->count && (!clear || s->start))
		return EINVAL;
	if (bytes - sizeof(*s) != (data == EMU_IRQ_DATA_BOOL ? s->count : 0))
		return EINVAL;
	/* As many eventfds as interrupts, or none: those are taken away. */
	if (fds && (data != EMU_IRQ_DATA_EVENTFD || fds != s->count))
		return EINVAL;
	return s->flags & EMU_IRQ_TRIGGER ? 0 : ENOTSUP;
}

static int parse_access(const struct emu_access *a, uint32_t max)
{
	if (a->region >= EMU_MESSAGE_REGIONS || a->count > max || wraps(a->offset, a->count))
		return EINVAL;
	return 0;
}

void emu_message_multi(const struct emu_message *message, uint64_t index, struct emu_access *access,
		       const uint8_t **data)
{
	const uint8_t *entry = message->data + index * EMU_WRITE_MULTI_BYTES;

	memcpy(access, entry, sizeof(*access));
	*data = entry + sizeof(*access);
}

static int parse_multi(size_t bytes, struct emu_message *message)
{
	const size_t entries = bytes - sizeof(message->multi);
	struct emu_access access;
	const uint8_t *data;
	uint64_t i;

	if (entries % EMU_WRITE_MULTI_BYTES ||
	    message->multi.count != entries / EMU_WRITE_MULTI_BYTES)
		return EINVAL;
	for (i = 0; i < message->multi.count; i++) {
		emu_message_multi(message, i, &access, &data);
		if (parse_access(&access, EMU_WRITE_MULTI_BYTES - sizeof(access)))
			return EINVAL;
	}
	return 0;
}

/* The fixed part of each command's payload, and whether more may follow it */
static const struct {
	uint8_t bytes;
	bool more;
	uint8_t fds; /* at most; EMU_MESSAGE_MAX_FDS is what we announce */
} shapes[EMU_COMMANDS] = {
	[EMU_VERSION] = { 4, true, 0 },
	[EMU_DMA_MAP] = { sizeof(struct emu_map), false, 1 },
	[EMU_DMA_UNMAP] = { sizeof(struct emu_unmap), true, 0 },
	[EMU_DEVICE_GET_INFO] = { sizeof(struct emu_device_info), false, 0 },
	[EMU_DEVICE_GET_REGION_INFO] = { sizeof(struct emu_region_info), false, 0 },
	[EMU_DEVICE_GET_REGION_IO_FDS] = { sizeof(struct emu_region_io_fds), false, 0 },
	[EMU_DEVICE_GET_IRQ_INFO] = { sizeof(struct emu_irq_info), false, 0 },
	[EMU_DEVICE_SET_IRQS] = { sizeof(struct emu_irq_set), true, EMU_MESSAGE_MAX_FDS },
	[EMU_REGION_READ] = { sizeof(struct emu_access), false, 0 },
	[EMU_REGION_WRITE] = { sizeof(struct emu_access), true, 0 },
	[EMU_DEVICE_RESET] = { 0, false, 0 },
	[EMU_REGION_WRITE_MULTI] = { 8, true, 0 },
};

static bool offered(uint16_t command)
{
	return command == EMU_DEVICE_RESET || shapes[command].bytes;
}

/* After the fixed part was copied into the union */
static int parse_body(const uint8_t *payload, size_t bytes, unsigned int fds, struct emu_message *m)
{
	switch (m->command) {
	case EMU_VERSION:
		return parse_version(payload, bytes, &m->version);
	case EMU_DMA_MAP:
		return parse_map(&m->map, fds);
	case EMU_DMA_UNMAP:
		return parse_unmap(&m->unmap, bytes);
	case EMU_DEVICE_GET_INFO:
		return m->device_info.argsz < sizeof(m->device_info) || m->device_info.flags ||
				       m->device_info.regions || m->device_info.irqs
			       ? EINVAL
			       : 0;
	case EMU_DEVICE_GET_REGION_INFO:
		return m->region_info.argsz < sizeof(m->region_info) || m->region_info.flags ||
				       m->region_info.index >= EMU_MESSAGE_REGIONS ||
				       m->region_info.cap_offset || m->region_info.size ||
				       m->region_info.offset
			       ? EINVAL
			       : 0;
	case EMU_DEVICE_GET_REGION_IO_FDS:
		return m->region_io_fds.argsz < sizeof(m->region_io_fds) ||
				       m->region_io_fds.flags || m->region_io_fds.count ||
				       m->region_io_fds.index >= EMU_MESSAGE_REGIONS
			       ? EINVAL
			       : 0;
	case EMU_DEVICE_GET_IRQ_INFO:
		return m->irq_info.argsz < sizeof(m->irq_info) || m->irq_info.flags ||
				       m->irq_info.count || m->irq_info.index >= EMU_MESSAGE_IRQS
			       ? EINVAL
			       : 0;
	case EMU_DEVICE_SET_IRQS:
		return parse_irq_set(&m->irq_set, bytes, fds);
	case EMU_REGION_READ:
		return parse_access(&m->access, EMU_MESSAGE_MAX_DATA);
	case EMU_REGION_WRITE:
		if (m->access.count != bytes - sizeof(m->access))
			return EINVAL;
		return parse_access(&m->access, EMU_MESSAGE_MAX_DATA);
	case EMU_REGION_WRITE_MULTI:
		return parse_multi(bytes, m);
	default:
		return 0; /* DEVICE_RESET: nothing to it */
	}
}

int emu_message_parse(const void *header, const void *payload, size_t payload_bytes,
		      unsigned int fds, struct emu_message *message)
{
	struct emu_header h;
	size_t fixed;
	int err;

	memcpy(&h, header, sizeof(h));
	memset(message, 0, sizeof(*message));
	message->id = h.id;
	message->command = h.command;
	message->no_reply = (h.flags & (EMU_FLAG_TYPE | EMU_FLAG_NO_REPLY)) == EMU_FLAG_NO_REPLY;
	/* A reply, an error or an unknown flag: we asked nothing, so it can only be a mistake. */
	if (h.flags & ~EMU_FLAG_NO_REPLY)
		return EINVAL;
	if (!h.command || h.command >= EMU_COMMANDS)
		return EINVAL;
	if (!offered(h.command))
		return ENOTSUP;
	fixed = shapes[h.command].bytes;
	if (payload_bytes < fixed || (payload_bytes > fixed && !shapes[h.command].more) ||
	    fds > shapes[h.command].fds)
		return EINVAL;
	if (h.command != EMU_VERSION && fixed)
		memcpy(message->fixed, payload, fixed);
	message->data = payload_bytes > fixed ? (const uint8_t *)payload + fixed : NULL;
	err = parse_body(payload, payload_bytes, fds, message);
	if (err)
		message->data = NULL; /* its counts are not to be believed */
	return err;
}
