// SPDX-License-Identifier: MIT
/*
 * A new image for one device: checked, written to the slot that does not run, read back, committed, activated, started, and
 * then looked at whether it is what runs. Whenever this ends, the device starts: until ACTIVATE what runs stays the active
 * image, afterwards the boot ROM falls back to it.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fw.h"
#include "update_one.h"

#define BUSY_POLL_NS 200000000

volatile sig_atomic_t fw_interrupted;

int fw_end(struct update *u, int code, const char *result, const char *format, ...)
{
	int used = snprintf(u->outcome->text, sizeof(u->outcome->text), "%s: ", u->name);
	va_list args;

	va_start(args, format);
	vsnprintf(u->outcome->text + used, sizeof(u->outcome->text) - (size_t)used, format, args);
	va_end(args);
	u->outcome->code = code;
	u->outcome->result = result;
	return -1;
}

char fw_letter(uint32_t slot)
{
	return slot ? 'B' : 'A';
}

/* ", slot B is empty; 1.0.0 runs from slot A": what the device is like now */
static const char *now(const struct update *u, char text[128])
{
	char running[64];

	fw_running_text(running, sizeof(running), u->info.firmware_version, u->info.boot_source);
	if (u->emptied)
		snprintf(text, 128, "slot %c is empty, %s", fw_letter(u->slot), running);
	else
		snprintf(text, 128, "%s", running);
	return text;
}

bool fw_is_soft(const struct update *u)
{
	return u->info.board_id == AIPU_BOARD_SOFT && !u->info.node[0];
}

/* A call of manage.h failed */
static int failed(struct update *u, const char *what, int err)
{
	char text[128], file[SOFTFLASH_TEXT] = "";

	if (fw_is_soft(u))
		softflash_text(file, sizeof(file));
	switch (err) {
	case -EPERM:
	case -EACCES:
		return fw_end(u, CLI_NO_PERMISSION, "failed",
			      "no permission to change its firmware: that takes %s%s; %s",
			      file[0] ? "the right to write its flash file "
				      : "CAP_SYS_ADMIN (root)",
			      file, now(u, text));
	case -EBUSY:
		return fw_end(u, FW_BUSY, "busy", "busy: another process keeps its flash; %s",
			      now(u, text));
	case -EINVAL:
		return fw_end(u, CLI_FAILED, "failed",
			      "%s: not the piece that was to come next: was it reset meanwhile? %s",
			      what, now(u, text));
	case -ESTALE:
		return fw_end(
			u, CLI_FAILED, "failed",
			"another process changed its flash meanwhile: look at it, and try again; %s",
			now(u, text));
	case -ECANCELED:
		return fw_end(u, CLI_FAILED, "failed", "%s: it was reset meanwhile; %s", what,
			      now(u, text));
	case -ENODEV:
		return fw_end(u, CLI_NO_DEVICE, "failed", "%s: the card is gone", what);
	default:
		return fw_end(u, CLI_FAILED, "failed", "%s: %s%s%s; %s", what, file,
			      file[0] ? ": " : "", strerror(-err), now(u, text));
	}
}

static int interrupted(struct update *u)
{
	char text[128];

	return fw_end(u, CLI_INTERRUPTED, "interrupted", "interrupted: %s", now(u, text));
}

/* --- what there is -------------------------------------------------------------------------------- */

static int look(struct update *u)
{
	int err = aipu_device_query(u->device, &u->info);
	char text[SOFTFLASH_TEXT + 80];

	if (err)
		return failed(u, "it does not tell what it is", err);
	/* However it was asked for */
	if (u->info.name[0])
		u->name = u->info.name;
	err = aipu_flash_query(u->device, &u->flash);
	if (err == -EOPNOTSUPP && u->info.capabilities & AIPU_CAP_FLASH)
		return fw_end(
			u, CLI_FAILED, "failed",
			"its driver, of version %u.%u, cannot change firmware: install a newer one",
			u->info.driver_version >> 16, u->info.driver_version & 0xffff);
	if (err == -EOPNOTSUPP)
		return fw_end(u, CLI_FAILED, "failed", "keeps no firmware of its own: %s",
			      fw_is_soft(u) && !softflash_text(text, sizeof(text))
				      ? FW_NO_STATE_DIRECTORY
				      : "it is given an image at each start");
	if (err && fw_is_soft(u) && softflash_fault(err, text, sizeof(text)))
		return fw_end(u, cli_exit_code(err), "failed", "its flash cannot be read: %s",
			      text);
	return err ? failed(u, "its flash cannot be read", err) : 0;
}

bool fw_holds_image(const struct update *u, uint32_t slot)
{
	return u->flash.slots[slot].state != AIPU_FLASH_EMPTY &&
	       u->flash.slots[slot].state != AIPU_FLASH_FAILED;
}

/* What is lost least: nothing, an image that does not start, one that is not tried first */
static uint32_t slot_to_write(const struct update *u)
{
	if (u->flash.source == AIPU_BOOT_FROM_SLOT_A)
		return 1;
	if (u->flash.source == AIPU_BOOT_FROM_SLOT_B)
		return 0;
	for (uint32_t slot = 0; slot < 2; slot++)
		if (u->flash.slots[slot].state == AIPU_FLASH_EMPTY)
			return slot;
	for (uint32_t slot = 0; slot < 2; slot++)
		if (!fw_holds_image(u, slot))
			return slot;
	return u->flash.active == 0;
}

/* The active slot waits for a reset that starts it */
static bool is_pending(const struct update *u)
{
	return u->flash.active < 2 && u->flash.source != AIPU_BOOT_FROM_SLOT_A + u->flash.active &&
	       u->flash.slots[u->flash.active].state == AIPU_FLASH_TRIAL;
}

/* What was activated, or the other one than what runs, if it may start */
static uint32_t slot_to_start(const struct update *u)
{
	if (is_pending(u))
		return u->flash.active;
	if (u->flash.source == AIPU_BOOT_FROM_SLOT_A)
		return 1;
	if (u->flash.source == AIPU_BOOT_FROM_SLOT_B)
		return 0;
	return !fw_holds_image(u, 0);
}

/* Is there something to start? */
static int check_slot(struct update *u)
{
	const struct aipu_flash_slot *own = &u->flash.slots[u->slot];
	char text[128];

	if (own->state == AIPU_FLASH_EMPTY)
		return fw_end(u, CLI_FAILED, "refused",
			      "slot %c is empty: there is nothing to start; %s", fw_letter(u->slot),
			      now(u, text));
	if (own->state == AIPU_FLASH_FAILED && u->request->slot < 0)
		return fw_end(u, CLI_FAILED, "refused",
			      "slot %c did not start before: --slot %c tries it again; %s",
			      fw_letter(u->slot), u->slot ? 'b' : 'a', now(u, text));
	if (own->rollback < u->flash.rollback && !u->request->force)
		return fw_end(u, CLI_FAILED, "refused",
			      "slot %c would be refused: its anti-rollback counter is %u, below %u "
			      "(--force lets the device decide); %s",
			      fw_letter(u->slot), own->rollback, u->flash.rollback, now(u, text));
	if (u->flash.source == AIPU_BOOT_FROM_SLOT_A + u->slot && u->flash.active == u->slot)
		return fw_end(u, CLI_OK, "unchanged", "%s already", now(u, text));
	return 0;
}

static int choose_slot(struct update *u)
{
	const struct fw_request *request = u->request;

	u->slot = request->slot >= 0 ? (uint32_t)request->slot
		  : request->image   ? slot_to_write(u)
				     : slot_to_start(u);
	u->outcome->slot = (int)u->slot;
	if (request->image && u->flash.source == AIPU_BOOT_FROM_SLOT_A + u->slot)
		return fw_end(u, CLI_FAILED, "refused",
			      "slot %c runs and cannot be written: --slot %c, or auto",
			      fw_letter(u->slot), u->slot ? 'a' : 'b');
	return request->image ? 0 : check_slot(u);
}

/* --- writing -------------------------------------------------------------------------------------- */

static void progress(const struct update *u, const char *what, uint64_t done, uint64_t all)
{
	if (u->request->progress)
		fprintf(stderr, "\r%s: %s %3u %%", u->name, what,
			all ? (unsigned int)(done * 100 / all) : 0);
}

static void progress_end(const struct update *u)
{
	if (u->request->progress)
		fprintf(stderr, "\r%*s\r", (int)strlen(u->name) + 26, "");
}

/* Whether the slot is empty then only the device knows */
static int failed_at_slot(struct update *u, const char *what, int err)
{
	struct aipu_flash_info flash;

	if (!aipu_flash_query(u->device, &flash))
		u->emptied |= flash.slots[u->slot].state == AIPU_FLASH_EMPTY &&
			      u->flash.slots[u->slot].state != AIPU_FLASH_EMPTY;
	return failed(u, what, err);
}

/* Bytes of the piece that comes after `done` */
static uint32_t piece_bytes(const struct update *u, uint64_t done)
{
	uint64_t left = u->request->bytes - done;

	return left < u->flash.chunk_bytes ? (uint32_t)left : u->flash.chunk_bytes;
}

static int write_pieces(struct update *u)
{
	const struct fw_request *request = u->request;
	uint32_t bytes;
	int err;

	for (uint64_t done = 0; done < request->bytes; done += bytes) {
		if (fw_interrupted)
			return interrupted(u);
		progress(u, "writing", done, request->bytes);
		bytes = piece_bytes(u, done);
		err = aipu_flash_write(u->device, u->slot, done, request->image + done, bytes);
		if (err)
			return failed_at_slot(u, "not written", err);
		u->emptied = true;
	}
	return 0;
}

static int compare_pieces(struct update *u, uint8_t *back)
{
	const struct fw_request *request = u->request;
	uint32_t bytes;
	int err;

	for (uint64_t done = 0; done < request->bytes; done += bytes) {
		if (fw_interrupted)
			return interrupted(u);
		progress(u, "comparing", done, request->bytes);
		bytes = piece_bytes(u, done);
		err = aipu_flash_read(u->device, u->slot, done, back, bytes);
		if (err)
			return failed_at_slot(u, "not read back", err);
		if (memcmp(back, request->image + done, bytes))
			return fw_end(
				u, CLI_FAILED, "failed",
				"slot %c does not hold what was written at %llu: its flash is "
				"failing",
				fw_letter(u->slot), (unsigned long long)done);
	}
	return 0;
}

static int write_image(struct update *u)
{
	uint8_t *back = malloc(u->flash.chunk_bytes);
	int ended = back ? write_pieces(u) : failed(u, "not written", -ENOMEM);

	if (!ended)
		ended = compare_pieces(u, back);
	progress_end(u);
	free(back);
	return ended;
}

static int commit(struct update *u)
{
	uint32_t error;
	char text[128];
	int err = aipu_flash_commit(u->device, u->slot, &error);

	if (err == -EKEYREJECTED) {
		u->outcome->error = error;
		return fw_end(u, CLI_FAILED, "refused", "refused by the device: %s (error %u); %s",
			      aipu_error_text(error), error, now(u, text));
	}
	if (err)
		return failed_at_slot(u, "not committed", err);
	u->emptied = false;
	return 0;
}

/* --- starting ------------------------------------------------------------------------------------- */

static bool wait_more(const struct update *u, int64_t until_ms)
{
	const struct timespec pause = { .tv_nsec = BUSY_POLL_NS };
	int64_t left_ms = until_ms - (int64_t)cli_now_ms(), all_ms = u->request->wait_s * 1000ll;

	if (fw_interrupted || left_ms <= 0)
		return false;
	progress(u, "waiting for jobs", (uint64_t)(all_ms - left_ms), (uint64_t)all_ms);
	nanosleep(&pause, NULL);
	return true;
}

static int start(struct update *u)
{
	int64_t until_ms = (int64_t)cli_now_ms() + (int64_t)u->request->wait_s * 1000;
	struct aipu_message message = { "" };
	char running[64];
	int err = aipu_flash_activate(u->device, u->slot);

	if (err)
		return failed(u, "not activated", err);
	do {
		err = fw_interrupted ? -EINTR
				     : aipu_device_reset(u->device, AIPU_RESET_IDLE, &message);
	} while (err == -EBUSY && wait_more(u, until_ms));
	progress_end(u);
	if (!err)
		return 0;
	fw_running_text(running, sizeof(running), u->info.firmware_version, u->info.boot_source);
	if (fw_interrupted || err == -EINTR)
		return fw_end(u, CLI_INTERRUPTED, "interrupted",
			      "interrupted: slot %c is activated, and the next reset starts %s; %s",
			      fw_letter(u->slot), fw_version_text(u->version).text, running);
	if (err == -EBUSY)
		return fw_end(
			u, FW_BUSY, "busy",
			"busy: jobs run. Slot %c is activated, and the next reset starts %s; %s",
			fw_letter(u->slot), fw_version_text(u->version).text, running);
	return fw_end(u, cli_exit_code(err), "failed", "slot %c is activated, but not started: %s",
		      fw_letter(u->slot), message.text[0] ? message.text : strerror(-err));
}

/* Does it run? What the device is asked is told, whatever that is */
static int confirm(struct update *u)
{
	const struct aipu_flash_slot *own = &u->flash.slots[u->slot];
	uint32_t error;
	char running[64];

	if (look(u))
		return -1;
	fw_running_text(running, sizeof(running), u->info.firmware_version, u->info.boot_source);
	error = u->info.slot_errors[u->slot] ? u->info.slot_errors[u->slot] : own->error;
	if (u->flash.source != AIPU_BOOT_FROM_SLOT_A + u->slot) {
		u->outcome->error = error;
		return fw_end(u, CLI_FAILED, "fallback",
			      "fell back: %s; %s in slot %c did not start: %s (error %u)", running,
			      fw_version_text(u->version).text, fw_letter(u->slot),
			      error ? aipu_error_text(error) : "the device does not say why",
			      error);
	}
	if (u->info.firmware_version != u->version ||
	    memcmp(own->digest, u->digest, sizeof(u->digest)))
		return fw_end(u, CLI_FAILED, "failed",
			      "%s, which is not the image that was to be started there", running);
	if (own->state != AIPU_FLASH_CONFIRMED)
		return fw_end(u, CLI_FAILED, "failed",
			      "%s, but its flash does not keep that it does: tries left: %u",
			      running, own->tries);
	return fw_end(u, CLI_OK, "running", "%s", running);
}

/* --- all of it ------------------------------------------------------------------------------------ */

static int plan(struct update *u)
{
	char text[128];

	if (!u->request->dry_run)
		return 0;
	return fw_end(u, CLI_OK, "planned", "%s would be %s slot %c%s; %s",
		      fw_version_text(u->version).text,
		      u->request->image ? "written to" : "started from", fw_letter(u->slot),
		      u->request->image && u->request->activate ? " and started" : "",
		      now(u, text));
}

static int install(struct update *u)
{
	if (!u->request->image)
		return plan(u);
	if (fw_update_check(u) || plan(u) || write_image(u) || commit(u))
		return -1;
	if (!u->request->activate)
		return fw_end(u, CLI_OK, "written",
			      "%s is in slot %c; aipu-fw activate --slot %c starts it",
			      fw_version_text(u->version).text, fw_letter(u->slot),
			      u->slot ? 'b' : 'a');
	return fw_interrupted ? interrupted(u) : 0;
}

/* Version and digest of what is to run */
static void expect(struct update *u)
{
	struct aipu_firmware_header header = { .version = 0 };

	if (u->request->image) {
		memcpy(&header, u->request->image,
		       u->request->bytes < sizeof(header) ? u->request->bytes : sizeof(header));
		u->version = header.version;
		memcpy(u->digest, header.digest, sizeof(u->digest));
	} else {
		u->version = u->flash.slots[u->slot].version;
		memcpy(u->digest, u->flash.slots[u->slot].digest, sizeof(u->digest));
	}
}

void fw_update(struct aipu_device *device, const char *name, const struct fw_request *request,
	       struct fw_outcome *outcome)
{
	struct update u = { .device = device, .name = name, .request = request, .outcome = outcome };

	*outcome = (struct fw_outcome){ .slot = -1 };
	if (look(&u) || choose_slot(&u))
		return;
	expect(&u);
	if (!install(&u) && !start(&u))
		confirm(&u);
}
