// SPDX-License-Identifier: MIT
/*
 * aipu-fwcheck's verdict: every rule, both sides of each bound, as a table; the words say what to upgrade from what to what. One
 * row changes one thing of a card, or of a software device, where all fits.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "aipu-fwcheck/verdict.h"
#include "aipu_firmware.h"
#include "aipu_program.h"
#include "aipu_queue.h"
#include "aipu_registers.h"

#define V(major, minor) AIPU_ABI_VERSION(major, minor)
#define RANGE(a, b, c, d) ((struct fw_range){ V(a, b), V(c, d) })
#define FW(major, minor, patch) ((uint32_t)(major) << 24 | (uint32_t)(minor) << 16 | (patch))

static struct fw_machine machine;
static struct fw_card card;

static struct fw_image image_of(const char *path, uint32_t version)
{
	struct fw_image image = { .state = FW_IMAGE_WHOLE,
				  .version = version,
				  .abi = RANGE(1, 0, 1, 1),
				  .board = 7,
				  .rollback = 3,
				  .signature_kind = AIPU_SIGNATURE_ED25519 };

	snprintf(image.path, sizeof(image.path), "%s", path);
	return image;
}

/* A card whose driver took it; all speak 1.0 to 1.1, and the image is what runs */
static void card_ready(void)
{
	memset(&machine, 0, sizeof(machine));
	facts_program_clear(&machine.program);
	machine.driver_loaded = true;
	machine.driver = machine.library = RANGE(1, 0, 1, 1);
	machine.driver_api = machine.library_api = V(1, 1);
	facts_card_clear(&card);
	snprintf(card.pci.address, sizeof(card.pci.address), "0000:01:00.0");
	card.access = FW_READY;
	card.abi = RANGE(1, 0, 1, 1);
	card.abi_in_use = V(1, 1);
	card.firmware_version = FW(1, 2, 0);
	card.source = AIPU_BOOT_FROM_HOST;
	card.board = 7;
	card.rollback = 3;
	card.image = image_of("/lib/firmware/a.fw", FW(1, 2, 0));
	card.offer = (struct fw_offer){ .capabilities = 0,
					.operations = 0xfff,
					.formats = 0xff,
					.kv_formats = 6,
					.kv_kinds = 2,
					.numerics = 2,
					.activations = 3,
					.memory_bytes = 1000,
					.memory_free = 800 };
}

/* Its driver did not take it: no firmware runs, and the boot ROM speaks 1.0 to 1.1 */
static void card_in_rom(void)
{
	card_ready();
	card.access = FW_NOT_TAKEN;
	card.abi = (struct fw_range){ 0, 0 };
	card.firmware_version = card.source = card.abi_in_use = 0;
	card.rom = RANGE(1, 0, 1, 1);
	memset(&card.offer, 0xff, sizeof(card.offer));
}

static void card_with_program(void)
{
	card_ready();
	machine.program = (struct fw_program){ .present = true,
					       .path = "m",
					       .container = 1,
					       .abi = RANGE(1, 0, 1, 1),
					       .program_abi = RANGE(1, 0, 1, 1),
					       .operations = 0xf0,
					       .formats = 0x10,
					       .kv_formats = 4,
					       .kv_kinds = 2,
					       .numerics = 2,
					       .activations = 2,
					       .mapped_bytes = 500,
					       .memory_bytes = 300 };
}

static void soft_ready(void)
{
	card_ready();
	card.pci.address[0] = '\0';
	card.rom = RANGE(1, 0, 1, 1);
	card.board = card.image.board = AIPU_BOARD_SOFT;
	card.image.signature = FW_SIGNATURE_GOOD;
}

/* The card's second slot runs nothing; the first does */
static void card_with_slots(void)
{
	card_ready();
	card.image.state = FW_IMAGE_MISSING;
	card.source = AIPU_BOOT_FROM_SLOT_A;
	card.flash.active = 0;
	for (int i = 0; i < 2; i++)
		card.flash.slots[i] =
			(struct card_slot){ .present = true,
					    .state = i ? AIPU_FLASH_GOOD : AIPU_FLASH_CONFIRMED,
					    .version = FW(1, 2 + i, 0),
					    .contract_oldest = V(1, 0),
					    .contract_newest = V(1, 1),
					    .rollback = 3,
					    .board = 7 };
}

/* --- the table ------------------------------------------------------------------------------------ */

struct row {
	void (*base)(void);
	void (*change)(void);
	const char *name;
	const char *check; /* whose result and text are looked at; NULL: there is no verdict but ok */
	enum verdict_result result;
	const char *text; /* a part of it */
	int exit, strict; /* exit codes, the second one with --strict */
};

#define CHANGE(name, ...)      \
	static void name(void) \
	{                      \
		__VA_ARGS__;   \
	}
CHANGE(nothing, (void)0)
/* firmware and driver */
CHANGE(firmware_older, card.abi = RANGE(0, 1, 0, 9))
CHANGE(firmware_newer, card.abi = RANGE(1, 2, 1, 3))
CHANGE(firmware_meets_below, card.abi = RANGE(0, 9, 1, 0))
CHANGE(firmware_meets_above, card.abi = RANGE(1, 1, 2, 0))
CHANGE(firmware_no_range, card.abi = RANGE(1, 1, 1, 0))
CHANGE(driver_silent, machine.driver = (struct fw_range){ 0, 0 })
CHANGE(library_silent, machine.library = (struct fw_range){ 0, 0 })
CHANGE(nobody_speaks, machine.driver = (struct fw_range){ 0, 0 }; card.abi_in_use = 0)
CHANGE(driver_unknown, nobody_speaks(); machine.driver_loaded = UNKNOWN32)
CHANGE(access_unknown, card.access = UNKNOWN32)
CHANGE(library_only_newer, machine.library = RANGE(1, 2, 1, 3))
CHANGE(library_only_older, machine.library = RANGE(0, 8, 0, 9))
/* user API */
CHANGE(api_major_newer, card.driver_api = V(2, 0))
CHANGE(api_major_older, card.driver_api = V(0, 9))
CHANGE(api_minor_older, card.driver_api = V(1, 0))
CHANGE(api_minor_newer, card.driver_api = V(1, 7))
CHANGE(api_unknown, machine.driver_api = 0)
/* images, when one is needed */
CHANGE(image_missing, card.image.state = FW_IMAGE_MISSING)
CHANGE(image_none, card.image.state = FW_IMAGE_NONE)
CHANGE(image_unreadable, card.image.state = FW_IMAGE_UNREADABLE)
CHANGE(image_damaged, card.image.state = FW_IMAGE_DAMAGED;
       card.image.error = AIPU_ERROR_FIRMWARE_DIGEST)
CHANGE(image_board, card.image.board = 8)
CHANGE(image_any_board, card.image.board = AIPU_BOARD_ANY)
CHANGE(image_rollback, card.image.rollback = 2)
CHANGE(image_unsigned, card.image.signature_kind = AIPU_SIGNATURE_NONE)
CHANGE(newer_unsigned, card.image.version = FW(1, 2, 1);
       card.image.signature_kind = AIPU_SIGNATURE_NONE)
CHANGE(recovery_rollback, card.image.state = FW_IMAGE_WHOLE; card.image.rollback = 2)
CHANGE(image_signature, card.image.signature = FW_SIGNATURE_BAD)
CHANGE(image_rom_older, card.image.abi = RANGE(0, 1, 0, 9))
CHANGE(image_rom_newer, card.image.abi = RANGE(1, 2, 1, 3))
CHANGE(rom_narrows_to_old, card.rom = RANGE(0, 8, 0, 9); card.image.abi = RANGE(0, 1, 1, 1))
CHANGE(rom_narrows_to_new, card.rom = RANGE(1, 2, 1, 9); card.image.abi = RANGE(1, 0, 1, 5))
CHANGE(registers_not_read, card.rom = (struct fw_range){ 0, 0 }; card.board = UNKNOWN64;
       card.image.state = FW_IMAGE_NONE)
/* an image that was asked about, while another one runs */
CHANGE(given_fits, card.image_given = true)
CHANGE(given_too_new, card.image_given = true; card.image.abi = RANGE(1, 2, 1, 3))
CHANGE(given_too_old, card.image_given = true; card.image.abi = RANGE(0, 8, 0, 9))
CHANGE(given_board, card.image_given = true; card.image.board = 8)
CHANGE(given_helps, card.image_given = true; card.abi = RANGE(3, 0, 3, 0))
/* updates */
CHANGE(newer_on_disk, card.image.version = FW(1, 2, 1))
CHANGE(older_on_disk, card.image.version = FW(1, 1, 99))
CHANGE(newer_for_other_board, card.image.version = FW(2, 0, 0); card.image.board = 9)
CHANGE(newer_for_newer_driver, card.image.version = FW(2, 0, 0); card.image.abi = RANGE(2, 0, 2, 0);
       machine.library = RANGE(1, 0, 2, 0))
CHANGE(newer_for_newer_library, card.image.version = FW(2, 0, 0);
       card.image.abi = RANGE(2, 0, 2, 0); machine.driver = RANGE(1, 0, 2, 0))
CHANGE(newer_built_in, card.builtin = image_of("(built in)", FW(9, 0, 0));
       card.builtin.board = AIPU_BOARD_SOFT)
/* slots */
CHANGE(slot_next, card.flash.active = 1)
CHANGE(slot_failed, card.flash.slots[1].state = AIPU_FLASH_FAILED)
CHANGE(slot_error, card.flash.slots[1].error = AIPU_ERROR_FIRMWARE_DIGEST)
CHANGE(slot_too_new, card.flash.slots[1].contract_oldest = V(2, 0);
       card.flash.slots[1].contract_newest = V(2, 1); card.flash.active = 1)
CHANGE(slot_failed_next, slot_failed(); card.flash.active = 1)
CHANGE(slot_no_try, card.flash.slots[1].state = AIPU_FLASH_TRIAL; card.flash.slots[1].tries = 0;
       card.flash.active = 1)
CHANGE(slot_last_try, slot_no_try(); card.flash.slots[1].tries = 1)
CHANGE(slot_rollback, card.flash.slots[1].rollback = 2; card.flash.active = 1)
CHANGE(slot_rollback_enough, slot_next(); card.flash.slots[1].rollback = 3)
CHANGE(slot_board, card.flash.slots[1].board = 8; card.flash.active = 1)
CHANGE(slot_any_board, card.flash.slots[1].board = AIPU_BOARD_ANY; card.flash.active = 1)
CHANGE(slot_rom, card.rom = RANGE(1, 2, 1, 3); card.flash.active = 1)
CHANGE(slot_state_unknown, card.flash.slots[1].state = UNKNOWN32; card.flash.active = 1)
CHANGE(slot_error_unknown, card.flash.slots[1].error = UNKNOWN32; card.flash.active = 1)
CHANGE(slot_empty, card.flash.slots[1].state = AIPU_FLASH_EMPTY)
CHANGE(slots_absent, card.flash.slots[0].present = card.flash.slots[1].present = false)
/* programs */
CHANGE(container_newer, machine.program.container = 2)
CHANGE(container_older, machine.program.container = 0)
CHANGE(container_range_newer, machine.program.abi = RANGE(1, 2, 1, 2))
CHANGE(container_range_older, machine.program.abi = RANGE(0, 9, 0, 9))
CHANGE(program_range_newer, machine.program.program_abi = RANGE(1, 2, 1, 2))
CHANGE(program_range_older, machine.program.program_abi = RANGE(0, 9, 0, 9))
CHANGE(program_damaged, strcpy(machine.program.problem, "m: damaged: its digest"))
CHANGE(program_operations, machine.program.operations |= 1ull << AIPU_OP_ROUTE)
CHANGE(program_capabilities, machine.program.capabilities = AIPU_CAP_SLIDING_WINDOW | AIPU_CAP_GELU)
CHANGE(program_formats, machine.program.formats |= 1u << AIPU_FMT_MX6)
CHANGE(program_kv_formats, machine.program.kv_formats |= 1u << AIPU_FMT_MXINT8)
CHANGE(program_kv_kinds, machine.program.kv_kinds = 1u << AIPU_KV_PAGED)
CHANGE(program_activations, machine.program.activations = 1u << AIPU_ACT_MX)
CHANGE(program_numerics, machine.program.numerics = 1u << 5)
CHANGE(memory_all_of_it, machine.program.mapped_bytes = 700; card.offer.memory_free = 1000)
CHANGE(memory_one_too_many, machine.program.mapped_bytes = 701)
CHANGE(memory_busy, card.offer.memory_free = 799)
CHANGE(memory_mapped, machine.program.mapped_bytes = 1ull << 40;
       card.offer.capabilities = AIPU_CAP_UMA)
CHANGE(memory_wraps, machine.program.mapped_bytes = UNKNOWN64 - 1)
CHANGE(offer_unknown, memset(&card.offer, 0xff, sizeof(card.offer)))
CHANGE(offer_half_known, card.offer.kv_kinds = UNKNOWN64)
CHANGE(offer_half_missing, card.offer.kv_kinds = UNKNOWN64; card.offer.operations = 0)
CHANGE(container_silent, machine.program.abi = (struct fw_range){ 0, 0 })
CHANGE(program_silent, machine.program.program_abi = (struct fw_range){ 0, 0 })
/* cards that were not asked */
CHANGE(no_driver, card.access = FW_NO_DRIVER; machine.driver_loaded = false;
       machine.driver = (struct fw_range){ 0, 0 }; machine.driver_api = 0)
CHANGE(no_permission, card.access = FW_NO_PERMISSION)
CHANGE(unbound, card.access = FW_UNBOUND)
CHANGE(unbound_misfit, card.access = FW_UNBOUND; card.image.board = 8)
CHANGE(unbound_unread, card.access = FW_UNBOUND; card.board = UNKNOWN64;
       card.rom = (struct fw_range){ 0, 0 }; card.image.state = FW_IMAGE_NONE)
CHANGE(not_answering, card.access = FW_NOT_ANSWERING)

static const struct row rows[] = {
	{ card_ready, nothing, "a card where all fits", NULL, 0, NULL, 0, 0 },
	{ card_ready, firmware_meets_below, "one version in common, the oldest", NULL, 0, NULL, 0,
	  0 },
	{ card_ready, firmware_meets_above, "one version in common, the newest", NULL, 0, NULL, 0,
	  0 },
	{ card_ready, firmware_older, "firmware too old", "firmware and driver", VERDICT_UPGRADE,
	  "install newer firmware (it speaks 0.1 to 0.9, the driver needs 1.0)", 1, 1 },
	{ card_ready, firmware_newer, "firmware too new", "firmware and driver", VERDICT_UPGRADE,
	  "install a newer driver (it speaks 1.0 to 1.1, the firmware needs 1.2)", 1, 1 },
	{ card_ready, firmware_newer, "and for libaipu", "firmware and libaipu", VERDICT_UPGRADE,
	  "install a newer libaipu (it speaks 1.0 to 1.1, the firmware needs 1.2)", 1, 1 },
	{ card_ready, firmware_no_range, "no range", "firmware and driver", VERDICT_UPGRADE,
	  "the firmware names no range: ", 1, 1 },
	{ card_ready, driver_silent, "a driver that does not say", NULL, 0, NULL, 0, 0 },
	{ card_ready, library_only_newer, "libaipu too new", "firmware and libaipu",
	  VERDICT_UPGRADE, "install newer firmware (it speaks 1.0 to 1.1, libaipu needs 1.2)", 1,
	  1 },
	{ card_ready, library_only_older, "libaipu too old", "firmware and libaipu",
	  VERDICT_UPGRADE, "install a newer libaipu (it speaks 0.8 to 0.9, the firmware needs 1.0)",
	  1, 1 },
	{ card_ready, api_major_newer, "user API of the next major version", "driver and libaipu",
	  VERDICT_UPGRADE, "install a newer libaipu (the driver's user API is 2.0, libaipu's 1.1)",
	  1, 1 },
	{ card_ready, api_major_older, "user API of the last major version", "driver and libaipu",
	  VERDICT_UPGRADE, "install a newer driver (the driver's user API is 0.9, libaipu's 1.1)",
	  1, 1 },
	{ card_ready, api_minor_older, "older user API", "driver and libaipu", VERDICT_NOTE,
	  "the driver's user API is 1.0: what came with 1.1 is not offered", 0, 0 },
	{ card_ready, api_minor_newer, "newer user API", NULL, 0, NULL, 0, 0 },
	{ card_ready, api_unknown, "unknown user API", "driver and libaipu", VERDICT_UNKNOWN,
	  "is not known", 6, 6 },
	{ card_ready, image_missing, "the file is gone while firmware runs", "image", VERDICT_NOTE,
	  "the next reset needs another one: install an image for board 0x00000007: there is no /lib",
	  0, 0 },
	{ card_in_rom, image_missing, "no image", "image", VERDICT_UPGRADE,
	  "install an image for board 0x00000007: there is no /lib/firmware/a.fw", 1, 1 },
	{ card_in_rom, image_none, "nobody knows the board", "image", VERDICT_UNKNOWN,
	  "board id is not known", 6, 6 },
	{ card_in_rom, image_unreadable, "an image one may not read", "image", VERDICT_UNKNOWN,
	  "cannot be read here", 6, 6 },
	{ card_in_rom, image_damaged, "a damaged image", "image", VERDICT_UPGRADE,
	  "install a whole image: /lib/firmware/a.fw: the firmware image does not have its digest",
	  1, 1 },
	{ card_in_rom, image_board, "another board's", "image", VERDICT_UPGRADE,
	  "install an image for board 0x00000007: /lib/firmware/a.fw is for board 0x00000008", 1,
	  1 },
	{ card_in_rom, image_any_board, "any board's", "image", VERDICT_OK, "a.fw: 1.2.0", 6, 6 },
	{ card_in_rom, image_rollback, "a counter below the card's", "image", VERDICT_UPGRADE,
	  "install firmware with a rollback counter of 3 or more: that of /lib/firmware/a.fw is 2",
	  1, 1 },
	{ soft_ready, nothing, "a software device where all fits", NULL, 0, NULL, 0, 0 },
	{ card_in_rom, image_signature, "a signature that is none", "image", VERDICT_UPGRADE,
	  "install an image that is signed for this device", 1, 1 },
	{ card_in_rom, image_rom_older, "older than the boot ROM", "image", VERDICT_UPGRADE,
	  "install newer firmware, for contract 1.0 to 1.1 (/lib/firmware/a.fw speaks 0.1 to 0.9, the boot ROM 1.0 to 1.1)",
	  1, 1 },
	{ card_in_rom, image_rom_newer, "newer than the boot ROM", "image", VERDICT_UPGRADE,
	  "install older firmware, for contract 1.0 to 1.1 (/lib/firmware/a.fw speaks 1.2 to 1.3",
	  1, 1 },
	{ card_in_rom, rom_narrows_to_old, "what boot ROM and image share is too old",
	  "firmware and driver", VERDICT_UPGRADE,
	  "install newer firmware (it speaks 0.8 to 0.9, the driver needs 1.0)", 1, 1 },
	{ card_in_rom, rom_narrows_to_new, "what they share is too new", "firmware and driver",
	  VERDICT_UPGRADE, "install a newer driver (it speaks 1.0 to 1.1, the firmware needs 1.2)",
	  1, 1 },
	{ card_in_rom, nothing, "all fits, and the driver did not take it", "firmware and driver",
	  VERDICT_OK, "the firmware speaks 1.0 to 1.1, the driver 1.0 to 1.1", 6, 6 },
	{ card_in_rom, registers_not_read, "as an ordinary user", "firmware and driver",
	  VERDICT_UNKNOWN, "what the firmware speaks is not known", 6, 6 },
	{ card_ready, given_fits, "an image that was asked about", NULL, 0, NULL, 0, 0 },
	{ card_ready, given_too_new, "too new, whatever runs", "firmware and driver",
	  VERDICT_UPGRADE, "install a newer driver (it speaks 1.0 to 1.1, the firmware needs 1.2)",
	  1, 1 },
	{ card_ready, given_too_old, "too old, whatever runs", "firmware and libaipu",
	  VERDICT_UPGRADE, "install newer firmware (it speaks 0.8 to 0.9, libaipu needs 1.0)", 1,
	  1 },
	{ card_ready, given_board, "another board's, whatever runs", "image", VERDICT_UPGRADE,
	  "install an image for board 0x00000007", 1, 1 },
	{ card_ready, given_helps, "it would do where what runs does not", NULL, 0, NULL, 0, 0 },
	{ card_ready, newer_on_disk, "an update", "update", VERDICT_UPDATE,
	  "/lib/firmware/a.fw: firmware 1.2.1 is newer than 1.2.0, which runs", 0, 7 },
	{ card_ready, newer_unsigned, "newer but not signed is no update", "signature",
	  VERDICT_NOTE, "/lib/firmware/a.fw is not signed: the device may refuse it", 0, 0 },
	{ card_in_rom, unbound, "unbound, and it would fit", "firmware and driver", VERDICT_OK,
	  "the firmware speaks", 5, 5 },
	{ card_in_rom, unbound_unread, "unbound, and no more is known", "image", VERDICT_UNKNOWN,
	  "board id is not known", 5, 5 },
	{ card_in_rom, unbound_misfit, "unbound, and it could not be bound", "image",
	  VERDICT_UPGRADE, "install an image for board", 1, 1 },
	{ card_in_rom, image_unsigned, "not signed", "signature", VERDICT_NOTE,
	  "the device may refuse it", 6, 6 },
	{ card_ready, older_on_disk, "no update", NULL, 0, NULL, 0, 0 },
	{ card_ready, newer_for_other_board, "an update for another board", "image", VERDICT_NOTE,
	  "for board 0x00000009", 0, 0 },
	{ card_ready, newer_for_newer_driver, "an update for a newer driver", "update",
	  VERDICT_NOTE, "speaks 2.0: the driver does not", 0, 0 },
	{ card_ready, newer_for_newer_library, "an update for a newer libaipu", "update",
	  VERDICT_NOTE, "speaks 2.0: libaipu does not", 0, 0 },
	{ soft_ready, newer_built_in, "the built-in image is newer", "update", VERDICT_UPDATE,
	  "(built in): firmware 9.0.0 is newer than 1.2.0, which runs", 0, 7 },
	{ card_with_slots, nothing, "firmware of its own needs no image", NULL, 0, NULL, 0, 0 },
	{ card_with_slots, recovery_rollback, "what it would be recovered with is too old", "image",
	  VERDICT_NOTE,
	  "if nothing in its flash starts, or by reset --recovery, the card needs another one: install firmware with a rollback counter of 3 or more: that of /lib/firmware/a.fw is 2",
	  0, 0 },
	{ card_with_slots, slot_next, "the other slot is next", "slot B", VERDICT_NOTE,
	  "the next reset starts firmware 1.3.0", 0, 0 },
	{ card_with_slots, slot_failed, "a slot without a try left", "slot B", VERDICT_NOTE,
	  "firmware 1.3.0 does not start: the image in the flash slot did not become ready", 0, 0 },
	{ card_with_slots, slot_error, "a slot that was passed over", "slot B", VERDICT_NOTE,
	  "firmware 1.3.0 does not start: the firmware image does not have its digest", 0, 0 },
	{ card_with_slots, slot_too_new, "a slot for a newer driver", "slot B", VERDICT_NOTE,
	  "firmware 1.3.0, which the next reset starts, does not fit this driver: it speaks 2.0 to 2.1, the driver 1.0 to 1.1",
	  0, 0 },
	{ card_with_slots, slot_failed_next, "the next one has no try left", "slot B", VERDICT_NOTE,
	  "firmware 1.3.0 does not start, though the next reset tries it first: the image in the flash slot did not become ready",
	  0, 0 },
	{ card_with_slots, slot_no_try, "on trial without a try", "slot B", VERDICT_NOTE,
	  "firmware 1.3.0 does not start, though the next reset tries it first: the image in the flash slot did not become ready",
	  0, 0 },
	{ card_with_slots, slot_last_try, "on trial with one", "slot B", VERDICT_NOTE,
	  "the next reset starts firmware 1.3.0", 0, 0 },
	{ card_with_slots, slot_rollback, "a counter below the card's in a slot", "slot B",
	  VERDICT_NOTE,
	  "firmware 1.3.0 does not start, though the next reset tries it first: the firmware image is older than the device permits",
	  0, 0 },
	{ card_with_slots, slot_rollback_enough, "the card's counter", "slot B", VERDICT_NOTE,
	  "the next reset starts firmware 1.3.0", 0, 0 },
	{ card_with_slots, slot_board, "another board's in a slot", "slot B", VERDICT_NOTE,
	  "firmware 1.3.0 does not start, though the next reset tries it first: the firmware image is for another board",
	  0, 0 },
	{ card_with_slots, slot_any_board, "any board's in a slot", "slot B", VERDICT_NOTE,
	  "the next reset starts firmware 1.3.0", 0, 0 },
	{ card_with_slots, slot_rom, "a slot that the boot ROM does not speak with", "slot B",
	  VERDICT_NOTE,
	  "firmware 1.3.0 does not start, though the next reset tries it first: the firmware speaks no contract version of the boot ROM",
	  0, 0 },
	{ card_with_slots, slot_state_unknown, "a slot in a state that nobody knows", "slot B",
	  VERDICT_NOTE, "the next reset first tries firmware 1.3.0", 0, 0 },
	{ card_with_slots, slot_error_unknown, "nor how it fared", "slot B", VERDICT_NOTE,
	  "the next reset first tries firmware 1.3.0", 0, 0 },
	{ card_with_slots, slot_empty, "an empty slot", NULL, 0, NULL, 0, 0 },
	{ card_with_slots, slots_absent, "slots that nobody knows of", NULL, 0, NULL, 0, 0 },
	{ card_with_program, nothing, "a model that fits", NULL, 0, NULL, 0, 0 },
	{ card_with_program, container_newer, "a newer container", "program and libaipu",
	  VERDICT_UPGRADE,
	  "install a newer libaipu (the container's version is 2, libaipu reads 1)", 1, 1 },
	{ card_with_program, container_older, "an older container", "program and libaipu",
	  VERDICT_UPGRADE,
	  "compile the model again (the container's version is 0, libaipu reads 1)", 1, 1 },
	{ card_with_program, container_range_newer, "made by a newer compiler",
	  "program and libaipu", VERDICT_UPGRADE,
	  "install a newer libaipu (it speaks 1.0 to 1.1, the program needs 1.2)", 1, 1 },
	{ card_with_program, container_range_older, "made by an older compiler",
	  "program and libaipu", VERDICT_UPGRADE,
	  "compile the model again (it speaks 0.9, libaipu needs 1.0)", 1, 1 },
	{ card_with_program, program_range_newer, "a program for newer firmware",
	  "program and firmware", VERDICT_UPGRADE,
	  "install newer firmware (it speaks 1.0 to 1.1, the program needs 1.2)", 1, 1 },
	{ card_with_program, program_range_older, "a program for older firmware",
	  "program and firmware", VERDICT_UPGRADE,
	  "compile the model again (it speaks 0.9, the firmware needs 1.0)", 1, 1 },
	{ card_with_program, program_damaged, "a damaged container", "program", VERDICT_UPGRADE,
	  "compile the model again: m: damaged: its digest", 1, 1 },
	{ card_with_program, program_operations, "an operation", "program and device",
	  VERDICT_UPGRADE, "operations not offered: route", 1, 1 },
	{ card_with_program, program_capabilities, "two capabilities", "program and device",
	  VERDICT_UPGRADE, "capabilities not offered: sliding_window, gelu", 1, 1 },
	{ card_with_program, program_formats, "a format", "program and device", VERDICT_UPGRADE,
	  "weight formats not offered: mx6", 1, 1 },
	{ card_with_program, program_kv_formats, "a format of the KV cache", "program and device",
	  VERDICT_UPGRADE, "KV formats not offered: mxint8", 1, 1 },
	{ card_with_program, program_kv_kinds, "a kind of KV cache", "program and device",
	  VERDICT_UPGRADE, "KV kinds not offered: paged", 1, 1 },
	{ card_with_program, program_activations, "an activation format", "program and device",
	  VERDICT_UPGRADE, "activation formats not offered: mx", 1, 1 },
	{ card_with_program, program_numerics, "arithmetic", "program and device", VERDICT_UPGRADE,
	  "numerics not offered", 1, 1 },
	{ card_with_program, memory_all_of_it, "all of the memory", NULL, 0, NULL, 0, 0 },
	{ card_with_program, memory_one_too_many, "a byte too many", "device memory",
	  VERDICT_UPGRADE,
	  "compile with a smaller --ctx-len or --batch-size: the program needs 1001 bytes, the device has 1000",
	  1, 1 },
	{ card_with_program, memory_busy, "memory that others have", "device memory", VERDICT_NOTE,
	  "the program needs 800 bytes; of 1000 there are 799 free now", 0, 0 },
	{ card_with_program, memory_mapped, "weights that stay in the file", "device memory",
	  VERDICT_OK, "the program needs 300 bytes, the device has 1000", 0, 0 },
	{ card_with_program, memory_wraps, "a sum that wraps", "device memory", VERDICT_UPGRADE,
	  "the program needs 18446744073709551615 bytes", 1, 1 },
	{ card_with_program, offer_unknown, "a device that says nothing", "program and device",
	  VERDICT_UNKNOWN, "what the device offers is not known", 6, 6 },
	{ card_with_program, offer_half_known, "a device that does not say all",
	  "program and device", VERDICT_UNKNOWN,
	  "whether the device offers the KV kinds that the program needs is not known", 6, 6 },
	{ card_with_program, offer_half_missing, "nor offer all", "program and device",
	  VERDICT_UPGRADE, "operations not offered", 1, 1 },
	{ card_with_program, container_silent, "a container that does not say",
	  "program and libaipu", VERDICT_UNKNOWN, "what the container speaks is not known", 6, 6 },
	{ card_with_program, program_silent, "a program that does not say", "program and firmware",
	  VERDICT_UNKNOWN, "what the program speaks is not known", 6, 6 },
	{ card_ready, library_silent, "a libaipu that does not say", "firmware and libaipu",
	  VERDICT_UNKNOWN, "what libaipu speaks is not known", 6, 6 },
	{ card_ready, nobody_speaks, "a driver that took it for nobody knows what",
	  "firmware and driver", VERDICT_UNKNOWN, "does not say what it speaks", 6, 6 },
	{ card_ready, driver_unknown, "a driver of which nothing is known", "firmware and driver",
	  VERDICT_UNKNOWN, "what the driver speaks is not known", 6, 6 },
	{ card_ready, access_unknown, "not known whether it was asked", NULL, 0, NULL, 6, 6 },
	{ card_ready, no_driver, "no driver", NULL, 0, NULL, 5, 5 },
	{ card_ready, no_permission, "no permission", NULL, 0, NULL, 4, 4 },
	{ card_ready, not_answering, "not answering", NULL, 0, NULL, 6, 6 },
};

static const struct verdict *find(const struct verdicts *verdicts, const char *check)
{
	for (uint32_t i = 0; i < verdicts->count; i++)
		if (!strcmp(verdicts->list[i].check, check))
			return &verdicts->list[i];
	return NULL;
}

static void check_row(const struct row *row)
{
	const struct verdict *verdict;
	struct verdicts verdicts;

	row->base();
	row->change();
	verdict_judge(&machine, &card, &verdicts);
	for (uint32_t i = 0; i < verdicts.count; i++) {
		verdict = &verdicts.list[i];
		if (!row->check && verdict->result != VERDICT_OK && row->exit == 0)
			fail_msg("%s: %s: %s: %s", row->name, verdict_name(verdict->result),
				 verdict->check, verdict->text);
		assert_null(strchr(verdict->text, '\n'));
	}
	if (row->check) {
		verdict = find(&verdicts, row->check);
		if (!verdict)
			fail_msg("%s: no verdict on %s", row->name, row->check);
		if (verdict->result != row->result || !strstr(verdict->text, row->text))
			fail_msg("%s: %s: %s: %s", row->name, verdict_name(verdict->result),
				 verdict->check, verdict->text);
	}
	if (verdict_exit(&card, &verdicts, false) != row->exit ||
	    verdict_exit(&card, &verdicts, true) != row->strict)
		fail_msg("%s: exit codes %d and %d", row->name,
			 verdict_exit(&card, &verdicts, false),
			 verdict_exit(&card, &verdicts, true));
}

static void every_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check_row(&rows[i]);
}

/* All pairs of ranges among five versions: they fit exactly where one version is in both */
static void ranges_fit_where_they_overlap(void **state)
{
	struct verdicts verdicts;
	unsigned int fit = 0;

	(void)state;
	for (uint32_t code = 0; code < 625; code++) {
		uint32_t a = code % 5, b = code / 5 % 5, c = code / 25 % 5, d = code / 125,
			 common = 0;

		if (a > b || c > d)
			continue;
		for (uint32_t version = 0; version < 5; version++)
			common += version >= a && version <= b && version >= c && version <= d;
		card_ready();
		card.abi = (struct fw_range){ V(1, a), V(1, b) };
		machine.driver = machine.library = (struct fw_range){ V(1, c), V(1, d) };
		verdict_judge(&machine, &card, &verdicts);
		assert_int_equal(verdict_exit(&card, &verdicts, false), common ? 0 : 1);
		fit += common > 0;
	}
	assert_int_equal(fit, 155);
}

/* Every mask at once is one verdict each, and there is room for them */
static void there_is_room_for_all_verdicts(void **state)
{
	struct verdicts verdicts;
	unsigned int upgrades = 0;

	(void)state;
	card_with_program();
	card_with_slots();
	machine.program = (struct fw_program){ .present = true,
					       .problem = "p",
					       .container = 1,
					       .abi = RANGE(3, 0, 3, 0),
					       .program_abi = RANGE(3, 0, 3, 0),
					       .capabilities = UNKNOWN64 - 1,
					       .operations = UNKNOWN64 - 1,
					       .formats = UNKNOWN64 - 1,
					       .kv_formats = UNKNOWN64 - 1,
					       .kv_kinds = UNKNOWN64 - 1,
					       .numerics = UNKNOWN64 - 1,
					       .activations = UNKNOWN64 - 1,
					       .mapped_bytes = UNKNOWN64 - 1 };
	card.driver_api = V(2, 0);
	card.abi = RANGE(2, 0, 2, 0);
	card.flash.slots[1].state = AIPU_FLASH_FAILED;
	card.source = AIPU_BOOT_FROM_HOST;
	card.builtin = image_of("(built in)", FW(9, 0, 0));
	card.image = image_of("a", FW(8, 0, 0));
	verdict_judge(&machine, &card, &verdicts);
	assert_true(verdicts.count <= VERDICTS_MAX);
	assert_non_null(find(&verdicts, "device memory"));
	for (uint32_t i = 0; i < verdicts.count; i++)
		upgrades += verdicts.list[i].result == VERDICT_UPGRADE;
	/* driver, user API, libaipu; container, problem, program, seven masks, memory */
	assert_int_equal(upgrades, 14);
}

static void of_several_cards_the_worst(void **state)
{
	static const int order[] = { 0, 7, 4, 5, 6, 1 };

	(void)state;
	for (size_t i = 0; i < 6; i++)
		for (size_t j = 0; j < 6; j++)
			assert_int_equal(verdict_worse(order[i], order[j]), order[i > j ? i : j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_rule),
		cmocka_unit_test(ranges_fit_where_they_overlap),
		cmocka_unit_test(there_is_room_for_all_verdicts),
		cmocka_unit_test(of_several_cards_the_worst),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
