/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of a machine and its cards, as plain numbers: collected by collect.c and its helpers or read from a snapshot,
 * judged by verdict.c, shown by show.c. Versions of firmware are major << 24 | minor << 16 | patch, those of contract and user API
 * major << 16 | minor; 0 is unknown. Of other numbers all ones is unknown. Texts are printable ASCII.
 */
#ifndef AIPU_FWCHECK_FACTS_H
#define AIPU_FWCHECK_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slots.h"
#include "snapfile.h"
#include "text.h"

/* Contract versions that somebody speaks; newest 0: unknown */
struct fw_range {
	uint32_t oldest, newest;
};

enum fw_image_state {
	FW_IMAGE_NONE, /* not looked for: nobody knows for which board */
	FW_IMAGE_MISSING, /* there is no such file */
	FW_IMAGE_UNREADABLE, /* there is, and nobody here can read it */
	FW_IMAGE_DAMAGED, /* `error` says why */
	FW_IMAGE_WHOLE,
};

enum fw_signature {
	FW_SIGNATURE_UNCHECKED, /* with which keys is the card's affair */
	FW_SIGNATURE_GOOD,
	FW_SIGNATURE_BAD,
};

/* A firmware image in a file; all but state, path and error of a whole one only */
struct fw_image {
	uint32_t state; /* enum fw_image_state */
	char path[256]; /* "(built in)" */
	uint32_t error; /* AIPU_ERROR_FIRMWARE_* */
	uint32_t version;
	struct fw_range abi;
	uint64_t board; /* 32 bits */
	uint32_t rollback;
	uint32_t signature; /* enum fw_signature */
	uint32_t signature_kind; /* AIPU_SIGNATURE_* */
	uint8_t key_id[32]; /* of the key that it says to be signed with; all zero: none, or unknown */
	char build[64];
};

/* What the device offers; masks are registers CAP_* */
struct fw_offer {
	uint64_t capabilities, operations, formats, kv_formats, kv_kinds, numerics, activations;
	uint64_t memory_bytes, memory_free;
};

/* A compiled model, and what its program needs */
struct fw_program {
	bool present;
	char path[256];
	char problem[256]; /* why it cannot be used whatever the device; "": nothing is wrong */
	uint32_t container; /* version of the file format */
	struct fw_range abi; /* of the container */
	struct fw_range program_abi;
	uint64_t capabilities, operations, formats, kv_formats, kv_kinds, numerics, activations;
	uint64_t mapped_bytes; /* weights and constants: in device memory unless the device is UMA */
	uint64_t memory_bytes; /* KV cache, work space, logits: always there */
};

struct fw_bar {
	bool present;
	uint64_t start, bytes;
};
#define FW_BARS 6

/* Of configuration space and sysfs; numbers are unknown where a card has no such thing */
struct fw_pci {
	char address[16]; /* "": the software device */
	uint32_t index; /* of the node */
	char id[16], subsystem[16]; /* "1af4:10f0" */
	uint32_t revision;
	char driver[32]; /* bound to it */
	char link_speed[32], link_speed_max[32];
	uint32_t link_width, link_width_max; /* lanes */
	uint32_t bar_count;
	struct fw_bar bars[FW_BARS];
};

/* How far the card could be asked */
enum fw_access {
	FW_READY, /* its firmware runs and answers */
	FW_NO_DRIVER, /* the driver is not loaded, or the card is another one's */
	FW_NO_PERMISSION,
	FW_NOT_TAKEN, /* the driver is there and did not take the card, or libaipu did not */
	FW_NOT_ANSWERING,
	FW_UNBOUND, /* the driver is there, had the card, and somebody took it away */
};

struct fw_card {
	uint32_t access; /* enum fw_access; unknown: a snapshot does not say, or another word */
	char reason[256]; /* why it is not FW_READY, in words */
	struct fw_pci pci;
	char node[32], model[64], serial[32];
	uint32_t rom_version;
	struct fw_range rom; /* known while no firmware runs, and of the software device */
	uint32_t firmware_version; /* of what runs */
	char firmware[64];
	struct fw_range abi; /* of what runs */
	uint32_t abi_in_use;
	uint32_t source; /* enum aipu_boot_source, of what runs */
	uint64_t board; /* 32 bits */
	uint32_t rollback; /* smallest counter that the boot ROM takes */
	uint32_t error; /* AIPU_ERROR_* of a device in FAILED */
	uint32_t driver_api; /* of the driver that opened it */
	struct card_flash flash;
	struct fw_offer offer;
	struct fw_image image; /* what the device gets, or would get, from the host */
	bool image_given; /* by --firmware: would it do in place of what runs? */
	struct fw_image builtin; /* of the software device, when it was given another one */
};

struct fw_machine {
	struct snapfile_head head; /* library_version too */
	struct fw_range library;
	uint32_t library_api; /* version of the driver's user API that libaipu was written for */
	uint32_t driver_loaded; /* 0, 1 */
	struct fw_range driver;
	uint32_t driver_api;
	struct fw_program program;
};

struct facts {
	struct fw_machine machine;
	struct fw_card *cards; /* to be freed */
	size_t count;
};

/* text.c */
void text_range(char text[40], struct fw_range range); /* "1.0 to 1.2", "1.0", "unknown" */

static inline bool is_card(const struct fw_card *card)
{
	return card->pci.address[0];
}

/* Nothing is known */
void facts_card_clear(struct fw_card *card);
void facts_program_clear(struct fw_program *program);

#endif
