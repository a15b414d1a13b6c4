/* SPDX-License-Identifier: MIT */
/*
 * aipu-fw's commands that have a device: flash, activate, status. update.c changes one device, devices.c finds them, state.c
 * knows what a device, or a snapshot, tells of its firmware, render.c puts it into words. A device decides what it runs; the tool
 * spares it what it would refuse.
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
#include "picks.h"
#include "slots.h"
#include "snapfile.h"
#include "softflash.h"

#define FW_BUSY 7 /* exit code: jobs run, or another process keeps the flash */
#define FW_WAIT_SECONDS 60u

/* ---- state.c ---- */

/* What is known of a device's firmware; as in slots.h, a version 0 is unknown, else all ones are, and "" */
struct fw_state {
	char state[16], problem[256]; /* "ready", ...; why no more is known */
	char pci_address[16], node[32]; /* "": the software device */
	char model[64], serial[33];
	uint64_t board;
	uint32_t rom_version,
		rollback; /* smallest anti-rollback counter that the boot ROM accepts */
	char firmware[64];
	uint32_t firmware_version, source; /* of what runs; enum aipu_boot_source */
	uint32_t contract_oldest, contract_newest, contract_in_use;
	struct card_flash flash;
};

void fw_state_clear(struct fw_state *state);
/* As a device says it; flash NULL: it keeps no firmware. *info and *flash may hold anything */
void fw_state_take(struct fw_state *state, const struct aipu_device_info *info,
		   const struct aipu_flash_info *flash);
/* Of a software device that did not start: what its flash file tells */
void fw_state_take_file(struct fw_state *state);
bool fw_state_runs(const struct fw_state *state, uint32_t slot);
/*
 * Whether a slot may start: not if it has failed or has no try left, or the boot ROM refuses what is in it. An error of another kind
 * may pass.
 */
bool fw_state_may_start(const struct fw_state *state, uint32_t slot);
/* The root of a snapshot; NULL: out of memory */
json_t *fw_state_make(const struct snapfile_head *head, const struct fw_state *states,
		      size_t count);
/* 0, or -EINVAL after a line in `why`; *states is to be freed */
int fw_state_parse(const char *text, size_t bytes, struct snapfile_head *head,
		   struct fw_state **states, size_t *count, char why[FIELD_WHY]);

/* ---- render.c: pure functions ---- */

/* "1.2.3" of major << 24 | minor << 16 | patch */
struct fw_version {
	char text[16];
} fw_version_text(uint32_t version);
/* "1.2.3 runs from slot B"; source: enum aipu_boot_source */
void fw_running_text(char *text, size_t bytes, uint32_t version, uint32_t source);
/* A line for the device, and one for each slot that it has */
void fw_render(FILE *out, const struct fw_state *state);

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

struct fw_target {
	char name[16]; /* for libaipu and for messages: "accel0", "soft" */
	char node[32], pci[16]; /* "" of the software device */
	char problem[128]; /* why its driver has no node for it; then its name is the PCI address */
	const char *state; /* in a word, as in snapshots, */
	int code; /* and as an exit code */
};

struct fw_targets {
	struct fw_target *
		list; /* by index, then without one, then the software device; to be freed, also after an error */
	size_t count;
};

/* Those that are meant, all cards if none was named. An exit code */
int fw_targets_find(struct fw_targets *targets, const struct picks *picks);
/* How -i takes it, for JSON: "0000:01:00.0", "soft" */
const char *fw_target_device(const struct fw_target *target);

#define FW_NO_STATE_DIRECTORY \
	"neither XDG_STATE_HOME nor HOME is set, so its flash file has no place"

#endif
