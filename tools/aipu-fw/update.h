/* SPDX-License-Identifier: MIT */
/*
 * aipu-fw's commands that have a device: flash, activate, status. update.c changes one device, devices.c finds them, render.c
 * puts into words what a device tells of its flash. A device decides what it runs; the tool spares it what it would refuse.
 */
#ifndef AIPU_FW_UPDATE_H
#define AIPU_FW_UPDATE_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "aipu/manage.h"
#include "aipu_firmware.h"

#define FW_BUSY 7 /* exit code: jobs run, or another process keeps the flash */
#define FW_WAIT_SECONDS 60u

/* ---- render.c: pure functions; *info may hold anything ---- */

/* "1.2.3" of major << 24 | minor << 16 | patch */
struct fw_version {
	char text[16];
} fw_version_text(uint32_t version);
/* Printable ASCII only, ends with zero; what is none becomes '?' */
void fw_plain(char *to, size_t to_bytes, const char *from, size_t from_bytes);
/* "soft", "any", "0x00001234" */
const char *fw_board_text(uint32_t board, char text[16]);
/* "1.2.3 runs from slot B"; source: enum aipu_boot_source */
void fw_running_text(char *text, size_t bytes, uint32_t version, uint32_t source);
/* A line for the device, and, where flash is not NULL, one for each slot */
void fw_render(FILE *out, const char *name, const struct aipu_device_info *device,
	       const struct aipu_flash_info *flash);
/* The same as an object; NULL: out of memory */
json_t *fw_render_json(const char *name, const struct aipu_device_info *device,
		       const struct aipu_flash_info *flash);

/* ---- update.c ---- */

struct fw_request {
	const char *path; /* of the image, for messages */
	const uint8_t *image; /* NULL: a slot is activated as it is */
	size_t bytes;
	int slot; /* 0, 1; -1: the one that does not run */
	bool activate, force, dry_run;
	unsigned int wait_s; /* for jobs to end; 0: not at all */
	bool progress; /* on stderr */
};

/* How it ended for one device */
struct fw_outcome {
	int code; /* exit code */
	const char *result; /* a word */
	char text[1024]; /* the same for people, one line without its end */
	int slot; /* -1: it never came to one */
	uint32_t error; /* AIPU_ERROR_*, where the device refused or fell back */
};

/* Set by a signal: ends at the next place where the device is in order */
extern volatile sig_atomic_t fw_interrupted;

/* Writes the image, starts it and looks whether it runs */
void fw_update(struct aipu_device *device, const char *name, const struct fw_request *request,
	       struct fw_outcome *outcome);

/* ---- devices.c ---- */

/* Cards with a node of the driver: "accel0". Sorted; freed by the caller with free(). 0 or -errno */
int fw_cards(char (**names)[16], size_t *count);

/* ---- soft_file.c: the software device's flash, for messages. Reads no more than what a name is ---- */

#define FW_FILE_TEXT 256u /* of its path: longer ones end in the middle */
#define FW_NO_STATE_DIRECTORY \
	"neither XDG_STATE_HOME nor HOME is set, so its flash file has no place"

/* Its path; false: there is no place for it */
bool fw_flash_file_text(char *text, size_t bytes);
/* "PATH: is a directory; ...": why it cannot be read, from what there is and the -errno; false: it has no place */
bool fw_flash_file_fault(int err, char *text, size_t bytes);

#endif
