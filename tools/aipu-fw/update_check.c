// SPDX-License-Identifier: MIT
/*
 * Whether a new image may be written: what the device would refuse anyway, what is older than what would be lost, and warnings of
 * what only the device can tell. Writes nothing.
 */
#include <string.h>

#include "fw.h"
#include "hostimage.h"
#include "text.h"
#include "update_one.h"

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
	if (fw_is_soft(u)) {
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
		return fw_end(u, CLI_FAILED, "refused",
			      "%s runs, which is newer than %s: --force replaces it",
			      fw_version_text(u->info.firmware_version).text,
			      fw_version_text(u->version).text);
	if (fw_holds_image(u, u->slot) && old->version > u->version &&
	    !u->info.slot_errors[u->slot])
		return fw_end(u, CLI_FAILED, "refused",
			      "slot %c holds %s, which is newer than %s: --force replaces it",
			      fw_letter(u->slot), fw_version_text(old->version).text,
			      fw_version_text(u->version).text);
	return 0;
}

int fw_update_check(struct update *u)
{
	const struct fw_request *request = u->request;
	char why[200];

	if (request->bytes > u->flash.slot_bytes)
		return fw_end(u, CLI_FAILED, "refused",
			      "%s has %zu bytes, a slot of this device %llu", request->path,
			      request->bytes, (unsigned long long)u->flash.slot_bytes);
	known_refusal(u, why, sizeof(why));
	if (why[0] && !request->force)
		return fw_end(
			u, CLI_FAILED, "refused",
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
			return fw_end(u, CLI_OK, "unchanged",
				      "%s runs from slot %c already: nothing was written",
				      fw_version_text(u->version).text, fw_letter(slot));
	if (refuse_older(u))
		return -1;
	if (!why[0])
		warn_recovery(u);
	return 0;
}
