// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See verdict.h. Pairs of ranges first, each with the words for either side being too old; then images, slots, the program; then
 * what all of it comes to.
 */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aipu/manage.h"
#include "aipu_firmware.h"
#include "aipu_qpc.h"
#include "aipu_queue.h"
#include "names.h"

#define WHY_BYTES 600u /* of one sentence with a path in it */

__attribute__((format(printf, 4, 5))) static void
say(struct verdicts *v, const char *check, enum verdict_result result, const char *format, ...)
{
	struct verdict *verdict;
	va_list args;

	if (v->count == VERDICTS_MAX)
		return;
	verdict = &v->list[v->count++];
	verdict->check = check;
	verdict->result = result;
	va_start(args, format);
	vsnprintf(verdict->text, sizeof(verdict->text), format, args);
	va_end(args);
}

/* --- ranges --------------------------------------------------------------------------------------- */

/* Half a range says nothing: what fits it is not known. */
static bool is_known(struct fw_range range)
{
	return range.oldest && range.newest;
}

static bool is_older(struct fw_range a, struct fw_range b)
{
	return a.newest < b.oldest;
}

static bool overlap(struct fw_range a, struct fw_range b)
{
	return a.oldest <= a.newest && b.oldest <= b.newest && !is_older(a, b) && !is_older(b, a);
}

static struct fw_range intersection(struct fw_range a, struct fw_range b)
{
	return (struct fw_range){ a.oldest > b.oldest ? a.oldest : b.oldest,
				  a.newest < b.newest ? a.newest : b.newest };
}

/* One of a pair, as it is called in texts, and what to do if it is the one that is too old */
struct side {
	struct fw_range range;
	const char *name, *upgrade; /* "the driver", "install a newer driver" */
};

/* a is what the sentence is about: firmware, a program. The newer one needs its oldest version of the other. */
static void judge_pair(struct verdicts *v, const char *check, struct side a, struct side b)
{
	const struct side *old = is_older(a.range, b.range) ? &a : &b;
	const struct side *new = old == &a ? &b : &a;
	char speaks[40], other[40], needed[16];

	text_range(speaks, old->range);
	text_range(other, new->range);
	text_abi(needed, new->range.oldest);
	if (a.range.oldest > a.range.newest || b.range.oldest > b.range.newest)
		say(v, check, VERDICT_UPGRADE, "%s names no range: %s; %s: %s", a.name, speaks,
		    b.name, other);
	else if (overlap(a.range, b.range))
		say(v, check, VERDICT_OK, "%s speaks %s, %s %s", a.name, old == &a ? speaks : other,
		    b.name, old == &a ? other : speaks);
	else
		say(v, check, VERDICT_UPGRADE, "%s (it speaks %s, %s needs %s)", old->upgrade,
		    speaks, new->name, needed);
}

/* --- images --------------------------------------------------------------------------------------- */

/* Why a boot ROM would not start the image, with what would be right, or false */
static bool image_problem(const struct fw_card *card, const struct fw_image *image,
			  char why[WHY_BYTES])
{
	char speaks[40], rom[40], board[16], other[16];

	why[0] = '\0';
	text_board(board, card->board);
	text_board(other, image->board);
	text_range(speaks, image->abi);
	text_range(rom, card->rom);
	if (image->state == FW_IMAGE_MISSING)
		snprintf(why, WHY_BYTES, "install an image for board %s: there is no %s", board,
			 image->path);
	else if (image->state == FW_IMAGE_DAMAGED)
		snprintf(why, WHY_BYTES, "install a whole image: %s: %s", image->path,
			 aipu_error_text(image->error));
	else if (image->state != FW_IMAGE_WHOLE)
		return false;
	else if (image->board != AIPU_BOARD_ANY && card->board != UNKNOWN64 &&
		 image->board != card->board)
		snprintf(why, WHY_BYTES, "install an image for board %s: %s is for board %s", board,
			 image->path, other);
	else if (image->signature == FW_SIGNATURE_BAD)
		snprintf(why, WHY_BYTES, "install an image that is signed for this device: %s: %s",
			 image->path, aipu_error_text(AIPU_ERROR_FIRMWARE_SIGNATURE));
	else if (card->rollback != UNKNOWN32 && image->rollback != UNKNOWN32 &&
		 image->rollback < card->rollback)
		snprintf(why, WHY_BYTES,
			 "install firmware with a rollback counter of %u or more: that of %s is %u",
			 card->rollback, image->path, image->rollback);
	else if (is_known(card->rom) && is_older(image->abi, card->rom))
		snprintf(why, WHY_BYTES,
			 "install newer firmware, for contract %s (%s speaks %s, the boot ROM %s)",
			 rom, image->path, speaks, rom);
	else if (is_known(card->rom) && is_older(card->rom, image->abi))
		snprintf(why, WHY_BYTES,
			 "install older firmware, for contract %s (%s speaks %s, the boot ROM %s)",
			 rom, image->path, speaks, rom);
	return why[0];
}

/*
 * What the firmware speaks: the one that runs, or the one that would, in so far as the boot ROM does too. Unknown: there is none,
 * or it would not start.
 */
static struct fw_range expected(const struct fw_card *card)
{
	const struct fw_range unknown = { 0, 0 };
	char why[WHY_BYTES];

	if ((is_known(card->abi) || card->firmware_version) && !card->image_given)
		return card->abi;
	if (card->image.state != FW_IMAGE_WHOLE || image_problem(card, &card->image, why))
		return unknown;
	return is_known(card->rom) ? intersection(card->rom, card->image.abi) : card->image.abi;
}

/* And whether the card takes such an image is not known; a software device wants a signature, so that one is a problem */
static bool is_unsigned(const struct fw_image *image)
{
	return image->signature_kind == AIPU_SIGNATURE_NONE &&
	       image->signature == FW_SIGNATURE_UNCHECKED;
}

static void judge_image(struct verdicts *v, const struct fw_card *card)
{
	static const char check[] = "image";
	const struct fw_image *image = &card->image;
	bool runs = is_known(card->abi), from_flash = card->source == AIPU_BOOT_FROM_SLOT_A ||
						      card->source == AIPU_BOOT_FROM_SLOT_B;
	char why[WHY_BYTES], speaks[40], version[20], rom[60] = "";

	if (image_problem(card, image, why)) {
		if (!runs || card->image_given)
			say(v, check, VERDICT_UPGRADE, "%s", why);
		else if (!from_flash)
			say(v, check, VERDICT_NOTE, "the next reset needs another one: %s", why);
		else if (image->state != FW_IMAGE_MISSING)
			say(v, check, VERDICT_NOTE,
			    "if nothing in its flash starts, or by reset --recovery, the card needs "
			    "another one: %s",
			    why);
		return;
	}
	if (image->state == FW_IMAGE_UNREADABLE) {
		say(v, check, runs ? VERDICT_NOTE : VERDICT_UNKNOWN, "%s cannot be read here",
		    image->path);
		return;
	}
	if (image->state == FW_IMAGE_NONE) {
		if (!runs)
			say(v, check, VERDICT_UNKNOWN,
			    "the card's board id is not known here, so neither is its image");
		return;
	}
	text_version(version, image->version);
	text_range(speaks, image->abi);
	if (is_known(card->rom)) {
		text_range(rom, card->rom);
		memmove(rom + strlen(", the boot ROM "), rom, strlen(rom) + 1);
		memcpy(rom, ", the boot ROM ", strlen(", the boot ROM "));
	}
	say(v, check, VERDICT_OK, "%s: %s, speaks %s%s", image->path, version, speaks, rom);
	if (is_unsigned(image))
		say(v, "signature", VERDICT_NOTE,
		    "%s is not signed: the device may refuse it, which only loading or flashing it "
		    "tells",
		    image->path);
}

/* An image that is newer than what runs: does it fit the rest? One that may be refused is no update. */
static void judge_update(struct verdicts *v, const struct fw_machine *machine,
			 const struct fw_card *card, const struct fw_image *image)
{
	char why[WHY_BYTES], version[20], running[20], speaks[40];
	struct fw_range range = image->abi;

	if (!card->firmware_version || image->state != FW_IMAGE_WHOLE ||
	    image->version <= card->firmware_version || is_unsigned(image) ||
	    image_problem(card, image, why))
		return;
	text_version(version, image->version);
	text_version(running, card->firmware_version);
	text_range(speaks, range);
	if (is_known(machine->driver) && is_card(card) && !overlap(range, machine->driver))
		say(v, "update", VERDICT_NOTE,
		    "%s: firmware %s is newer than %s, which runs, and speaks %s: the driver does not",
		    image->path, version, running, speaks);
	else if (is_known(machine->library) && !overlap(range, machine->library))
		say(v, "update", VERDICT_NOTE,
		    "%s: firmware %s is newer than %s, which runs, and speaks %s: libaipu does not",
		    image->path, version, running, speaks);
	else
		say(v, "update", VERDICT_UPDATE, "%s: firmware %s is newer than %s, which runs",
		    image->path, version, running);
}

/* --- slots ---------------------------------------------------------------------------------------- */

static struct fw_range slot_range(const struct card_slot *slot)
{
	return (struct fw_range){ slot->contract_oldest, slot->contract_newest };
}

/* Why the boot ROM would not start what is in a slot, AIPU_ERROR_*; 0: nothing that is known speaks against it */
static uint32_t slot_error(const struct fw_card *card, const struct card_slot *slot)
{
	if (slot->error != UNKNOWN32 && slot->error && slot->error != AIPU_ERROR_SLOT_EMPTY)
		return slot->error;
	if (slot->state == AIPU_FLASH_FAILED ||
	    (slot->state == AIPU_FLASH_TRIAL && slot->tries == 0))
		return AIPU_ERROR_SLOT_TRIED;
	if (slot->board != UNKNOWN64 && slot->board != AIPU_BOARD_ANY && card->board != UNKNOWN64 &&
	    slot->board != card->board)
		return AIPU_ERROR_FIRMWARE_BOARD;
	if (card->rollback != UNKNOWN32 && slot->rollback != UNKNOWN32 &&
	    slot->rollback < card->rollback)
		return AIPU_ERROR_FIRMWARE_ROLLBACK;
	if (is_known(card->rom) && is_known(slot_range(slot)) &&
	    !overlap(slot_range(slot), card->rom))
		return AIPU_ERROR_FIRMWARE_ABI;
	return AIPU_ERROR_NONE;
}

static void judge_slot(struct verdicts *v, const struct fw_machine *machine,
		       const struct fw_card *card, uint32_t index)
{
	static const char *const checks[] = { "slot A", "slot B" };
	const struct card_slot *slot = &card->flash.slots[index];
	bool runs = card->source == AIPU_BOOT_FROM_SLOT_A + index;
	bool next = card->flash.active == index && !runs;
	char version[20], speaks[40], driver[40];
	uint32_t error;

	if (!slot->present || runs || slot->state == AIPU_FLASH_EMPTY)
		return;
	text_version(version, slot->version);
	text_range(speaks, slot_range(slot));
	text_range(driver, machine->driver);
	error = slot_error(card, slot);
	if (error)
		say(v, checks[index], VERDICT_NOTE, "firmware %s does not start%s: %s", version,
		    next ? ", though the next reset tries it first" : "", aipu_error_text(error));
	else if (is_known(machine->driver) && is_known(slot_range(slot)) &&
		 !overlap(slot_range(slot), machine->driver))
		say(v, checks[index], VERDICT_NOTE,
		    "firmware %s%s does not fit this driver: it speaks %s, the driver %s", version,
		    next ? ", which the next reset starts," : "", speaks, driver);
	else if (next)
		say(v, checks[index], VERDICT_NOTE, "the next reset %s firmware %s",
		    slot->state > AIPU_FLASH_FAILED || slot->error == UNKNOWN32 ? "first tries"
										: "starts",
		    version);
}

/* --- driver and library --------------------------------------------------------------------------- */

static void judge_driver(struct verdicts *v, const struct fw_machine *machine,
			 const struct fw_card *card, struct fw_range firmware)
{
	static const char check[] = "firmware and driver";
	char in_use[16];

	if (is_known(firmware) && is_known(machine->driver)) {
		judge_pair(v, check,
			   (struct side){ firmware, "the firmware", "install newer firmware" },
			   (struct side){ machine->driver, "the driver",
					  "install a newer driver" });
	} else if (card->access == FW_READY && card->abi_in_use) {
		text_abi(in_use, card->abi_in_use);
		say(v, check, VERDICT_OK, "the driver took the card: contract %s is in use",
		    in_use);
	} else if (!is_known(machine->driver)) {
		say(v, check, VERDICT_UNKNOWN, "%s",
		    machine->driver_loaded == UNKNOWN32 ? "what the driver speaks is not known"
		    : machine->driver_loaded		? "the driver does not say what it speaks"
							: "the driver is not loaded");
	} else {
		say(v, check, VERDICT_UNKNOWN, "what the firmware speaks is not known");
	}
}

static void judge_library(struct verdicts *v, const struct fw_machine *machine,
			  struct fw_range firmware)
{
	static const char check[] = "firmware and libaipu";

	if (is_known(firmware) && is_known(machine->library))
		judge_pair(v, check,
			   (struct side){ firmware, "the firmware", "install newer firmware" },
			   (struct side){ machine->library, "libaipu", "install a newer libaipu" });
	else
		say(v, check, VERDICT_UNKNOWN, "what %s speaks is not known",
		    is_known(machine->library) ? "the firmware" : "libaipu");
}

/* Within a major version of the user API old and new work together: what is new has feature bits. */
static void judge_user_api(struct verdicts *v, const struct fw_machine *machine,
			   const struct fw_card *card)
{
	static const char check[] = "driver and libaipu";
	uint32_t driver = card->driver_api ? card->driver_api : machine->driver_api;
	uint32_t library = machine->library_api;
	char offered[16], wanted[16];

	text_abi(offered, driver);
	text_abi(wanted, library);
	if (!driver || !library)
		say(v, check, VERDICT_UNKNOWN, "the version of the driver's user API is not known");
	else if (AIPU_ABI_MAJOR(driver) != AIPU_ABI_MAJOR(library))
		say(v, check, VERDICT_UPGRADE,
		    "install a newer %s (the driver's user API is %s, libaipu's %s)",
		    driver < library ? "driver" : "libaipu", offered, wanted);
	else if (driver < library)
		say(v, check, VERDICT_NOTE,
		    "the driver's user API is %s: what came with %s is not offered", offered,
		    wanted);
	else
		say(v, check, VERDICT_OK, "the driver's user API is %s, libaipu's %s", offered,
		    wanted);
}

/* --- program -------------------------------------------------------------------------------------- */

/* Bits that are needed and not offered, by name; false: none */
static bool missing(uint64_t needed, uint64_t offered, const char *(*name)(uint32_t bit),
		    char text[128])
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t bit = 0; bit < 64; bit++) {
		if (!(needed & ~offered) || !((needed & ~offered) >> bit & 1))
			continue;
		used += (size_t)snprintf(text + used, 128 - used, "%s%s", used ? ", " : "",
					 name(bit));
		if (used >= 100) {
			snprintf(text + used, used < 128 ? 128 - used : 0, ", ...");
			break;
		}
	}
	return text[0];
}

static const char *numerics_name(uint32_t bit)
{
	return bit == 1 ? "1" : "unknown";
}

static void judge_needs(struct verdicts *v, const struct fw_program *p,
			const struct fw_offer *offer)
{
	const struct {
		const char *what;
		uint64_t needed, offered;
		const char *(*name)(uint32_t bit);
	} needs[] = {
		{ "operations", p->operations, offer->operations, opcode_name },
		{ "capabilities", p->capabilities, offer->capabilities, capability_name },
		{ "weight formats", p->formats, offer->formats, format_name },
		{ "KV formats", p->kv_formats, offer->kv_formats, format_name },
		{ "KV kinds", p->kv_kinds, offer->kv_kinds, kv_kind_name },
		{ "activation formats", p->activations, offer->activations,
		  activation_format_name },
		{ "numerics", p->numerics, offer->numerics, numerics_name },
	};
	const char *unknown = NULL;
	bool all = true, some = false;
	char text[128];

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (needs[i].needed == UNKNOWN64 || needs[i].offered == UNKNOWN64) {
			unknown = needs[i].what;
			continue;
		}
		some = true;
		if (!missing(needs[i].needed, needs[i].offered, needs[i].name, text))
			continue;
		all = false;
		say(v, "program and device", VERDICT_UPGRADE,
		    "install newer firmware, or compile the model for this device: %s not offered: %s",
		    needs[i].what, text);
	}
	if (!some)
		say(v, "program and device", VERDICT_UNKNOWN,
		    "what the device offers is not known");
	else if (unknown)
		say(v, "program and device", VERDICT_UNKNOWN,
		    "whether the device offers the %s that the program needs is not known",
		    unknown);
	else if (all)
		say(v, "program and device", VERDICT_OK, "all that the program needs is offered");
}

static void judge_memory(struct verdicts *v, const struct fw_program *p,
			 const struct fw_offer *offer)
{
	static const char check[] = "device memory";
	uint64_t needed = p->memory_bytes;

	if (p->memory_bytes == UNKNOWN64 || p->mapped_bytes == UNKNOWN64 ||
	    offer->memory_bytes == UNKNOWN64 || offer->capabilities == UNKNOWN64) {
		say(v, check, VERDICT_UNKNOWN, "what is needed, or there, is not known");
		return;
	}
	if (!(offer->capabilities & AIPU_CAP_UMA) &&
	    __builtin_add_overflow(needed, p->mapped_bytes, &needed))
		needed = UINT64_MAX;
	if (needed > offer->memory_bytes)
		say(v, check, VERDICT_UPGRADE,
		    "compile with a smaller --ctx-len or --batch-size: the program needs %llu bytes, the device has %llu",
		    (unsigned long long)needed, (unsigned long long)offer->memory_bytes);
	else if (offer->memory_free != UNKNOWN64 && needed > offer->memory_free)
		say(v, check, VERDICT_NOTE,
		    "the program needs %llu bytes; of %llu there are %llu free now",
		    (unsigned long long)needed, (unsigned long long)offer->memory_bytes,
		    (unsigned long long)offer->memory_free);
	else
		say(v, check, VERDICT_OK, "the program needs %llu bytes, the device has %llu",
		    (unsigned long long)needed, (unsigned long long)offer->memory_bytes);
}

static void judge_program(struct verdicts *v, const struct fw_machine *machine,
			  const struct fw_card *card, struct fw_range firmware)
{
	const struct fw_program *p = &machine->program;

	if (p->container != UNKNOWN32 && p->container != AIPU_QPC_VERSION) {
		say(v, "program and libaipu", VERDICT_UPGRADE,
		    "%s (the container's version is %u, libaipu reads %u)",
		    p->container > AIPU_QPC_VERSION ? "install a newer libaipu"
						    : "compile the model again",
		    p->container, AIPU_QPC_VERSION);
		return;
	}
	if (is_known(p->abi) && is_known(machine->library))
		judge_pair(v, "program and libaipu",
			   (struct side){ p->abi, "the program", "compile the model again" },
			   (struct side){ machine->library, "libaipu", "install a newer libaipu" });
	else if (!p->problem[0])
		say(v, "program and libaipu", VERDICT_UNKNOWN, "what %s speaks is not known",
		    is_known(machine->library) ? "the container" : "libaipu");
	if (p->problem[0])
		say(v, "program", VERDICT_UPGRADE, "compile the model again: %s", p->problem);
	if (!is_known(p->program_abi)) {
		if (!p->problem[0])
			say(v, "program and firmware", VERDICT_UNKNOWN,
			    "what the program speaks is not known");
		return;
	}
	if (is_known(firmware))
		judge_pair(v, "program and firmware",
			   (struct side){ p->program_abi, "the program",
					  "compile the model again" },
			   (struct side){ firmware, "the firmware", "install newer firmware" });
	else
		say(v, "program and firmware", VERDICT_UNKNOWN,
		    "what the firmware speaks is not known");
	judge_needs(v, p, &card->offer);
	judge_memory(v, p, &card->offer);
}

/* --- all of it ------------------------------------------------------------------------------------ */

void verdict_judge(const struct fw_machine *machine, const struct fw_card *card,
		   struct verdicts *verdicts)
{
	struct fw_range firmware = expected(card);

	verdicts->count = 0;
	judge_image(verdicts, card);
	if (is_card(card)) {
		judge_driver(verdicts, machine, card, firmware);
		judge_user_api(verdicts, machine, card);
	}
	judge_library(verdicts, machine, firmware);
	if (machine->program.present)
		judge_program(verdicts, machine, card, firmware);
	judge_slot(verdicts, machine, card, 0);
	judge_slot(verdicts, machine, card, 1);
	judge_update(verdicts, machine, card, &card->image);
	judge_update(verdicts, machine, card, &card->builtin);
}

static bool has(const struct verdicts *verdicts, enum verdict_result result)
{
	for (uint32_t i = 0; i < verdicts->count; i++)
		if (verdicts->list[i].result == result)
			return true;
	return false;
}

const char *verdict_name(uint32_t result)
{
	static const char *const names[] = {
		[VERDICT_OK] = "ok",	       [VERDICT_NOTE] = "note",
		[VERDICT_UNKNOWN] = "unknown", [VERDICT_UPDATE] = "update",
		[VERDICT_UPGRADE] = "upgrade",
	};

	return names[result];
}

/*
 * A card that was not asked says nothing of itself, so what it would do does not count. One that the driver did not take is
 * explained by a verdict, or does not answer; one that was unbound is, unless it could not be bound again. Where anything is unknown nothing is compatible.
 */
int verdict_exit(const struct fw_card *card, const struct verdicts *verdicts, bool strict)
{
	switch (card->access) {
	case FW_NO_DRIVER:
		return FWCHECK_NO_DRIVER;
	case FW_NO_PERMISSION:
		return FWCHECK_NO_PERMISSION;
	case FW_NOT_ANSWERING:
		return FWCHECK_NOT_ANSWERING;
	default:
		break;
	}
	if (has(verdicts, VERDICT_UPGRADE))
		return FWCHECK_INCOMPATIBLE;
	if (card->access == FW_UNBOUND)
		return FWCHECK_NO_DRIVER;
	if (card->access != FW_READY || has(verdicts, VERDICT_UNKNOWN))
		return FWCHECK_NOT_ANSWERING;
	return strict && has(verdicts, VERDICT_UPDATE) ? FWCHECK_UPDATE : FWCHECK_COMPATIBLE;
}

const char *verdict_summary(const struct fw_card *card, const struct verdicts *verdicts)
{
	switch (verdict_exit(card, verdicts, true)) {
	case FWCHECK_COMPATIBLE:
		return "compatible";
	case FWCHECK_INCOMPATIBLE:
		return "incompatible";
	case FWCHECK_NO_PERMISSION:
		return "no permission";
	case FWCHECK_NO_DRIVER:
		return card->access == FW_UNBOUND ? "not bound" : "driver not loaded";
	case FWCHECK_UPDATE:
		return "compatible, update available";
	default:
		return card->access == FW_READY || card->access == UNKNOWN32 ? "unknown"
									     : "not answering";
	}
}

int verdict_worse(int a, int b)
{
	static const int worst_first[] = { FWCHECK_INCOMPATIBLE, FWCHECK_NOT_ANSWERING,
					   FWCHECK_NO_DRIVER, FWCHECK_NO_PERMISSION,
					   FWCHECK_UPDATE };

	for (size_t i = 0; i < sizeof(worst_first) / sizeof(worst_first[0]); i++)
		if (a == worst_first[i] || b == worst_first[i])
			return worst_first[i];
	return FWCHECK_COMPATIBLE;
}
