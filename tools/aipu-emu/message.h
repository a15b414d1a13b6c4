/* SPDX-License-Identifier: MIT */
/*
 * The wire format of vfio-user, as far as a device without migration needs it: what a client may send, checked, and the
 * layout of what is answered. Pure: no I/O and no state, so that a fuzz target can drive it. Called by session.c; knows
 * nothing of the card (whether a region or a vector exists is the session's to say).
 *
 * All fields are in the byte order of the host, which is little endian here (aipu_types.h insists).
 */
#ifndef AIPU_EMU_MESSAGE_H
#define AIPU_EMU_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EMU_MESSAGE_HEADER_BYTES 16u
#define EMU_MESSAGE_MAX_DATA (1u << 20) /* of one region access: max_data_xfer_size */
#define EMU_MESSAGE_MAX_PAYLOAD (EMU_MESSAGE_MAX_DATA + 16u)
#define EMU_MESSAGE_MAX_FDS \
	16u /* max_msg_fds: what we take in one message; QEMU takes no larger number */
#define EMU_MESSAGE_MAX_MAPS 65535u /* max_dma_maps */
#define EMU_MESSAGE_PAGE_BYTES 4096u

#define EMU_MESSAGE_REGIONS 9u /* VFIO's numbering: six BARs, ROM, configuration space, VGA */
#define EMU_MESSAGE_REGION_CONFIG 7u
#define EMU_MESSAGE_IRQS 5u /* INTx, MSI, MSI-X, ERR, REQ */

enum emu_command {
	EMU_VERSION = 1,
	EMU_DMA_MAP,
	EMU_DMA_UNMAP,
	EMU_DEVICE_GET_INFO,
	EMU_DEVICE_GET_REGION_INFO,
	EMU_DEVICE_GET_REGION_IO_FDS,
	EMU_DEVICE_GET_IRQ_INFO,
	EMU_DEVICE_SET_IRQS,
	EMU_REGION_READ,
	EMU_REGION_WRITE,
	EMU_DMA_READ,
	EMU_DMA_WRITE,
	EMU_DEVICE_RESET,
	EMU_DIRTY_PAGES,
	EMU_REGION_WRITE_MULTI,
	EMU_DEVICE_FEATURE,
	EMU_MIG_DATA_READ,
	EMU_MIG_DATA_WRITE,
	EMU_COMMANDS
};

/* flags of the header */
#define EMU_FLAG_TYPE 0xfu
#define EMU_FLAG_REPLY 0x1u
#define EMU_FLAG_NO_REPLY 0x10u
#define EMU_FLAG_ERROR 0x20u

struct emu_header {
	uint16_t id;
	uint16_t command;
	uint32_t bytes; /* of the whole message */
	uint32_t flags;
	uint32_t error;
};
_Static_assert(sizeof(struct emu_header) == EMU_MESSAGE_HEADER_BYTES, "the header is 16 bytes");

/* Capabilities in a VERSION message; what the client did not propose is not answered */
enum emu_capability {
	EMU_CAP_MAX_MSG_FDS = 1,
	EMU_CAP_MAX_DATA_XFER_SIZE = 2,
	EMU_CAP_MAX_DMA_MAPS = 4,
	EMU_CAP_PGSIZES = 8,
	EMU_CAP_WRITE_MULTIPLE = 16,
};

struct emu_version {
	uint16_t major, minor;
	unsigned int proposed; /* EMU_CAP_*; WRITE_MULTIPLE if it is true */
	uint64_t max_msg_fds; /* what the client takes in one message; 1 if it does not say */
};

struct emu_map {
	uint32_t argsz, flags; /* 1 readable, 2 writable */
	uint64_t offset, address, size;
};

#define EMU_UNMAP_DIRTY_BITMAP 1u
#define EMU_UNMAP_ALL 2u

struct emu_unmap {
	uint32_t argsz, flags;
	uint64_t address, size;
};

struct emu_device_info {
	uint32_t argsz, flags, regions, irqs;
};

struct emu_region_info {
	uint32_t argsz, flags, index, cap_offset;
	uint64_t size, offset;
};

struct emu_region_io_fds {
	uint32_t argsz, flags, index, count;
};

struct emu_irq_info {
	uint32_t argsz, flags, index, count;
};

#define EMU_IRQ_DATA_NONE 1u
#define EMU_IRQ_DATA_BOOL 2u
#define EMU_IRQ_DATA_EVENTFD 4u
#define EMU_IRQ_DATA 7u
#define EMU_IRQ_MASK 8u
#define EMU_IRQ_UNMASK 16u
#define EMU_IRQ_TRIGGER 32u
#define EMU_IRQ_ACTION 56u

struct emu_irq_set {
	uint32_t argsz, flags, index, start, count;
};

struct emu_access {
	uint64_t offset;
	uint32_t region, count;
};

#define EMU_WRITE_MULTI_BYTES 24u /* one write: an emu_access and 8 bytes of data */

_Static_assert(sizeof(struct emu_map) == 32, "DMA_MAP is 32 bytes");
_Static_assert(sizeof(struct emu_unmap) == 24, "DMA_UNMAP is 24 bytes");
_Static_assert(sizeof(struct emu_device_info) == 16, "device info is 16 bytes");
_Static_assert(sizeof(struct emu_region_info) == 32, "region info is 32 bytes");
_Static_assert(sizeof(struct emu_region_io_fds) == 16, "region I/O fds are 16 bytes");
_Static_assert(sizeof(struct emu_irq_info) == 16, "interrupt info is 16 bytes");
_Static_assert(sizeof(struct emu_irq_set) == 20, "SET_IRQS is 20 bytes and data");
_Static_assert(sizeof(struct emu_access) == 16, "an access is 16 bytes and data");

struct emu_message {
	/* Valid even if the rest of the message is not */
	uint16_t id;
	uint16_t command;
	bool no_reply;
	union {
		uint8_t fixed[32]; /* the part of the payload that every message of its command has */
		struct emu_version version;
		struct emu_map map;
		struct emu_unmap unmap;
		struct emu_device_info device_info;
		struct emu_region_info region_info;
		struct emu_region_io_fds region_io_fds;
		struct emu_irq_info irq_info;
		struct emu_irq_set irq_set;
		struct emu_access access;
		struct {
			uint64_t count;
		} multi;
	};
	/*
	 * Into the payload: count booleans, bytes to write, or count entries of EMU_WRITE_MULTI_BYTES. NULL if there are
	 * none, or the message is not well-formed.
	 */
	const uint8_t *data;
};

/*
 * The payload that follows a header of EMU_MESSAGE_HEADER_BYTES, or -EBADMSG: its size is impossible and where the next
 * message begins is not known.
 */
int emu_message_payload(const void *header, size_t *payload_bytes);
/*
 * 0; or the errno (positive) to answer with: EINVAL malformed, ENOTSUP a command or a flag that is not offered. Every
 * size, count, flag and index that can be judged without the card is checked: no sum of two fields wraps, `data` has
 * what the message's counts say, an index is one of VFIO's. `fds` is the number that came along.
 */
int emu_message_parse(const void *header, const void *payload, size_t payload_bytes,
		      unsigned int fds, struct emu_message *message);
/* Entry `index` (below multi.count) of a REGION_WRITE_MULTI; its data follow in *data */
void emu_message_multi(const struct emu_message *message, uint64_t index, struct emu_access *access,
		       const uint8_t **data);
/*
 * The answer to a VERSION: numbers and a JSON text with its NUL, for `capabilities` (EMU_CAP_*). Its bytes, or 0 if
 * there is no room.
 */
size_t emu_message_version(unsigned int capabilities, void *to, size_t room);
/* "region-read"; "?" for a number that is none */
const char *emu_command_name(unsigned int command);

#endif
