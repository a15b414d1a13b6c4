// SPDX-License-Identifier: MIT
/*
 * A new image for one device: checked, written to the slot that does not run, read back, committed, activated, started, and
 * then looked at whether it is what runs. Whenever this ends, the device starts: until ACTIVATE what runs stays the active
 * image, afterwards the boot ROM falls back to it.
 */
#include "update.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fw.h"
#include "hostimage.h"
#include "text.h"

#define BUSY_POLL_NS 200000000

volatile sig_atomic_t fw_interrupted;

struct update {
	struct aipu_device *device;
	const char *name;
	const struct fw_request *request;
	struct fw_outcome *outcome;
	struct aipu_device_info info;
	struct aipu_flash_info flash;
	uint32_t slot, version; /* of the image that is to run */
	uint8_t digest[32];
	bool emptied; /* the slot has lost what it had */
};

/* Sets how it ended; -1, for the caller to pass on */
__attribute__((format(printf, 4, 5))) static int end(struct update *u, int code, const char *result,
						     const char *format, ...)
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

static char letter(uint32_t slot)
{
	return slot ? 'B' : 'A';
}

/* ", slot B is empty; 1.0.0 runs from slot A": what the device is like now */
static const char *now(const struct update *u, char text[128])
{
	char running[64];

	fw_running_text(running, sizeof(running), u->info.firmware_version, u->info.boot_source);
	if (u->emptied)
		snprintf(text, 128, "slot %c is empty, %s", letter(u->slot), running);
	else
		snprintf(text, 128, "%s", running);
	return text;
}

/* Its flash is a file, and a card has a node */
static bool is_soft(const struct update *u)
{
	return u->info.board_id == AIPU_BOARD_SOFT && !u->info.node[0];
}

/* A call of manage.h failed */
static int failed(struct update *u, const char *what, int err)
{
	char text[128], file[SOFTFLASH_TEXT] = "";

	if (is_soft(u))
		softflash_text(file, sizeof(file));
	switch (err) {
	case -EPERM:
	case -EACCES:
		return end(u, CLI_NO_PERMISSION, "failed",
			   "no permission to change its firmware: that takes %s%s; %s",
			   file[0] ? "the right to write its flash file " : "CAP_SYS_ADMIN (root)",
			   file, now(u, text));
	case -EBUSY:
		return end(u, FW_BUSY, "busy", "busy: another process keeps its flash; %s",
			   now(u, text));
	case -EINVAL:
		return end(u, CLI_FAILED, "failed",
			   "%s: not the piece that was to come next: was it reset meanwhile? %s",
			   what, now(u, text));
	case -ESTALE:
		return end(
			u, CLI_FAILED, "failed",
			"another process changed its flash meanwhile: look at it, and try again; %s",
			now(u, text));
	case -ECANCELED:
		return end(u, CLI_FAILED, "failed", "%s: it was reset meanwhile; %s", what,
			   now(u, text));
	case -ENODEV:
		return end(u, CLI_NO_DEVICE, "failed", "%s: the card is gone", what);
	default:
		return end(u, CLI_FAILED, "failed", "%s: %s%s%s; %s", what, file,
			   file[0] ? ": " : "", strerror(-err), now(u, text));
	}
}

static int interrupted(struct update *u)
{
	char text[128];

	return end(u, CLI_INTERRUPTED, "interrupted", "interrupted: %s", now(u, text));
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
		return end(
			u, CLI_FAILED, "failed",
			"its driver, of version %u.%u, cannot change firmware: install a newer one",
			u->info.driver_version >> 16, u->info.driver_version & 0xffff);
	if (err == -EOPNOTSUPP)
		return end(u, CLI_FAILED, "failed", "keeps no firmware of its own: %s",
			   is_soft(u) && !softflash_text(text, sizeof(text))
				   ? FW_NO_STATE_DIRECTORY
				   : "it is given an image at each start");
	if (err && is_soft(u) && softflash_fault(err, text, sizeof(text)))
		return end(u, cli_exit_code(err), "failed", "its flash cannot be read: %s", text);
	return err ? failed(u, "its flash cannot be read", err) : 0;
}

static bool holds_image(const struct update *u, uint32_t slot)
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
		if (!holds_image(u, slot))
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
	return !holds_image(u, 0);
}

/* Is there something to start? */
static int check_slot(struct update *u)
{
	const struct aipu_flash_slot *own = &u->flash.slots[u->slot];
	char text[128];

	if (own->state == AIPU_FLASH_EMPTY)
		return end(u, CLI_FAILED, "refused",
			   "slot %c is empty: there is nothing to start; %s", letter(u->slot),
			   now(u, text));
	if (own->state == AIPU_FLASH_FAILED && u->request->slot < 0)
		return end(u, CLI_FAILED, "refused",
			   "slot %c did not start before: --slot %c tries it again; %s",
			   letter(u->slot), u->slot ? 'b' : 'a', now(u, text));
	if (own->rollback < u->flash.rollback && !u->request->force)
		return end(u, CLI_FAILED, "refused",
			   "slot %c would be refused: its anti-rollback counter is %u, below %u "
			   "(--force lets the device decide); %s",
			   letter(u->slot), own->rollback, u->flash.rollback, now(u, text));
	if (u->flash.source == AIPU_BOOT_FROM_SLOT_A + u->slot && u->flash.active == u->slot)
		return end(u, CLI_OK, "unchanged", "%s already", now(u, text));
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
		return end(u, CLI_FAILED, "refused",
			   "slot %c runs and cannot be written: --slot %c, or auto",
			   letter(u->slot), u->slot ? 'a' : 'b');
	return request->image ? 0 : check_slot(u);
}

/* --- checks before anything is written ------------------------------------------------------------ */

static bool ranges_overlap(const struct aipu_firmware_header *header, uint32_t oldest,
			   uint32_t newest)
{
	return header->abi_oldest <= newest && oldest <= header->abi_newest;
}

/* Why the image is refused, or of no use to this host, as far as that is known; "": it is perhaps not */
static void known_refusal(const struct update *u, char *why, size_t bytes)
{
	const struct fw_request *request = u->request;
	struct aipu_firmware_header header;
	char image_board[16], board[16];

	why[0] = '\0';
	if (fw_image_check(request->image, request->bytes, why, bytes))
		return;
	memcpy(&header, request->image, sizeof(header));
	text_board(image_board, header.board_id);
	text_board(board, u->info.board_id);
	if (header.board_id != u->info.board_id && header.board_id != AIPU_BOARD_ANY)
		snprintf(why, bytes, "it is for board %s, this is %s", image_board, board);
	else if (header.rollback < u->flash.rollback)
		snprintf(why, bytes, "its anti-rollback counter is %u, below %u", header.rollback,
			 u->flash.rollback);
	else if (!ranges_overlap(&header, AIPU_ABI_OLDEST, AIPU_ABI_CURRENT))
		snprintf(why, bytes, "it speaks contract %u.%u to %u.%u, this host %u.%u to %u.%u",
			 AIPU_ABI_MAJOR(header.abi_oldest), AIPU_ABI_MINOR(header.abi_oldest),
			 AIPU_ABI_MAJOR(header.abi_newest), AIPU_ABI_MINOR(header.abi_newest),
			 AIPU_ABI_MAJOR(AIPU_ABI_OLDEST), AIPU_ABI_MINOR(AIPU_ABI_OLDEST),
			 AIPU_ABI_MAJOR(AIPU_ABI_CURRENT), AIPU_ABI_MINOR(AIPU_ABI_CURRENT));
}

/*
 * What only the device can tell, for an image that is else in order. Its boot ROM's range may be another than that of the
 * firmware that runs, and whether it wants a signature it does not say.
 */
static void warn(const struct update *u)
{
	struct aipu_firmware_header header;

	memcpy(&header, u->request->image, sizeof(header));
	if (!ranges_overlap(&header, u->info.abi_oldest, u->info.abi_newest))
		fw_fail(0,
			"%s: warning: the image speaks contract %u.%u to %u.%u, what runs %u.%u to "
			"%u.%u: it may not come up",
			u->name, AIPU_ABI_MAJOR(header.abi_oldest),
			AIPU_ABI_MINOR(header.abi_oldest), AIPU_ABI_MAJOR(header.abi_newest),
			AIPU_ABI_MINOR(header.abi_newest), AIPU_ABI_MAJOR(u->info.abi_oldest),
			AIPU_ABI_MINOR(u->info.abi_oldest), AIPU_ABI_MAJOR(u->info.abi_newest),
			AIPU_ABI_MINOR(u->info.abi_newest));
	if (header.signature_kind == AIPU_SIGNATURE_NONE)
		fw_fail(0,
			"%s: warning: %s is not signed: a device that wants a signature refuses it "
			"once it is written",
			u->name, u->request->path);
}

/* Once an image ran the device takes no smaller counter, not even where it needs the host's image since nothing in flash starts */
static void warn_recovery(const struct update *u)
{
	struct aipu_firmware_header header;
	struct hostimage image;
	uint32_t rollback = 0;

	memcpy(&header, u->request->image, sizeof(header));
	if (header.rollback <= u->flash.rollback)
		return;
	if (is_soft(u)) {
		fw_fail(0,
			"%s: warning: once it ran, images of an anti-rollback counter below %u are "
			"refused, perhaps the built-in one too: keep %s, in case that its flash is "
			"damaged",
			u->name, header.rollback, u->request->path);
		return;
	}
	if (!hostimage_find(&image, u->info.board_id))
		fw_fail(0,
			"%s: warning: once it ran, the card is recovered only by an image of "
			"anti-rollback counter %u or more, and there is no %s",
			u->name, header.rollback, image.path);
	else if (!hostimage_rollback(&image, &rollback))
		fw_fail(0,
			"%s: warning: once it ran, the card is recovered only by an image of "
			"anti-rollback counter %u or more; that of %s cannot be read here",
			u->name, header.rollback, image.path);
	else if (rollback < header.rollback)
		fw_fail(0,
			"%s: warning: once it ran, the card refuses %s, which it is recovered with: "
			"its anti-rollback counter is %u, below %u; install %s there",
			u->name, image.path, rollback, header.rollback, u->request->path);
}

/* What is newer than the image and would be gone, or no longer run */
static int refuse_older(struct update *u)
{
	const struct aipu_flash_slot *old = &u->flash.slots[u->slot];

	if (u->info.firmware_version > u->version)
		return end(u, CLI_FAILED, "refused",
			   "%s runs, which is newer than %s: --force replaces it",
			   fw_version_text(u->info.firmware_version).text,
			   fw_version_text(u->version).text);
	if (holds_image(u, u->slot) && old->version > u->version && !u->info.slot_errors[u->slot])
		return end(u, CLI_FAILED, "refused",
			   "slot %c holds %s, which is newer than %s: --force replaces it",
			   letter(u->slot), fw_version_text(old->version).text,
			   fw_version_text(u->version).text);
	return 0;
}

static int check(struct update *u)
{
	const struct fw_request *request = u->request;
	char why[200];

	if (request->bytes > u->flash.slot_bytes)
		return end(u, CLI_FAILED, "refused", "%s has %zu bytes, a slot of this device %llu",
			   request->path, request->bytes, (unsigned long long)u->flash.slot_bytes);
	known_refusal(u, why, sizeof(why));
	if (why[0] && !request->force)
		return end(u, CLI_FAILED, "refused",
			   "%s would be refused: %s; nothing was written (--force lets the device "
			   "decide)",
			   request->path, why);
	if (why[0])
		fw_fail(0, "%s: warning: %s: %s", u->name, request->path, why);
	else
		warn(u);
	if (request->force) {
		if (!why[0])
			warn_recovery(u);
		return 0;
	}
	for (uint32_t slot = 0; slot < 2 && request->slot < 0; slot++)
		if (u->flash.source == AIPU_BOOT_FROM_SLOT_A + slot && u->flash.active == slot &&
		    !memcmp(u->flash.slots[slot].digest, u->digest, sizeof(u->digest)))
			return end(u, CLI_OK, "unchanged",
				   "%s runs from slot %c already: nothing was written",
				   fw_version_text(u->version).text, letter(slot));
	if (refuse_older(u))
		return -1;
	if (!why[0])
		warn_recovery(u);
	return 0;
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
			return end(u, CLI_FAILED, "failed",
				   "slot %c does not hold what was written at %llu: its flash is "
				   "failing",
				   letter(u->slot), (unsigned long long)done);
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
		return end(u, CLI_FAILED, "refused", "refused by the device: %s (error %u); %s",
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
		return end(u, CLI_INTERRUPTED, "interrupted",
			   "interrupted: slot %c is activated, and the next reset starts %s; %s",
			   letter(u->slot), fw_version_text(u->version).text, running);
	if (err == -EBUSY)
		return end(u, FW_BUSY, "busy",
			   "busy: jobs run. Slot %c is activated, and the next reset starts %s; %s",
			   letter(u->slot), fw_version_text(u->version).text, running);
	return end(u, cli_exit_code(err), "failed", "slot %c is activated, but not started: %s",
		   letter(u->slot), message.text[0] ? message.text : strerror(-err));
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
		return end(u, CLI_FAILED, "fallback",
			   "fell back: %s; %s in slot %c did not start: %s (error %u)", running,
			   fw_version_text(u->version).text, letter(u->slot),
			   error ? aipu_error_text(error) : "the device does not say why", error);
	}
	if (u->info.firmware_version != u->version ||
	    memcmp(own->digest, u->digest, sizeof(u->digest)))
		return end(u, CLI_FAILED, "failed",
			   "%s, which is not the image that was to be started there", running);
	if (own->state != AIPU_FLASH_CONFIRMED)
		return end(u, CLI_FAILED, "failed",
			   "%s, but its flash does not keep that it does: tries left: %u", running,
			   own->tries);
	return end(u, CLI_OK, "running", "%s", running);
}

/* --- all of it ------------------------------------------------------------------------------------ */

static int plan(struct update *u)
{
	char text[128];

	if (!u->request->dry_run)
		return 0;
	return end(u, CLI_OK, "planned", "%s would be %s slot %c%s; %s",
		   fw_version_text(u->version).text,
		   u->request->image ? "written to" : "started from", letter(u->slot),
		   u->request->image && u->request->activate ? " and started" : "", now(u, text));
}

static int install(struct update *u)
{
	if (!u->request->image)
		return plan(u);
	if (check(u) || plan(u) || write_image(u) || commit(u))
		return -1;
	if (!u->request->activate)
		return end(u, CLI_OK, "written",
			   "%s is in slot %c; aipu-fw activate --slot %c starts it",
			   fw_version_text(u->version).text, letter(u->slot), u->slot ? 'b' : 'a');
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
