// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doctor's checks, second part: one card, up to where a driver has taken it: does it answer on the bus, has it its addresses,
 * who has it, and why the driver did not. Each looks at the facts and at nothing else, and gives one result.
 */
#include "doctor.h"

#include <errno.h>
#include <string.h>

#include "aipu/manage.h"
#include "aipu_registers.h"

#define DEVICES "/sys/bus/pci/devices"
#define DRIVERS "/sys/bus/pci/drivers"
#define CLOCKS_US 500000u /* by which the clocks of the log and of files may differ */
#define BIND "echo %s >" DRIVERS "/" CARD_DRIVER "/bind"
#define ABI(version) AIPU_ABI_MAJOR(version), AIPU_ABI_MINOR(version)

static bool is_bound(const struct doctor_card *card)
{
	return !strcmp(card->pci.driver, CARD_DRIVER);
}

/* The driver is there, and nobody has the card */
static bool was_refused(const struct doctor_facts *facts, const struct doctor_card *card)
{
	return facts->machine.module.loaded && !card->pci.driver[0];
}

void doctor_check_config(const struct doctor_facts *facts, const struct doctor_card *card,
			 struct doctor_result *result)
{
	const char *pci = card->pci.pci;

	(void)facts;
	if (card->pci.command != 0xffff) {
		doctor_ok(result, "configuration space answers");
		return;
	}
	doctor_problem(
		result, SMI_NOT_ANSWERING,
		"configuration space reads as all ones: the card has no power, fell off the "
		"bus, or hangs; if this does not bring it back, switch the machine off and on");
	doctor_remedy_script(result, true,
			     "echo 1 >" DEVICES "/%s/remove; echo 1 >/sys/bus/pci/rescan", pci);
}

void doctor_check_bars(const struct doctor_facts *facts, const struct doctor_card *card,
		       struct doctor_result *result)
{
	static const int bars[] = { AIPU_BAR_REGISTERS, AIPU_BAR_MEMORY };

	if (card->pci.command == 0xffff) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "configuration space does not answer");
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		uint64_t bytes = card->pci.bar_bytes[bars[i]];
		char size[48] = "";

		if (card->pci.bar_start[bars[i]] && bytes)
			continue;
		if (bytes)
			snprintf(size, sizeof(size), " of %llu MiB",
				 (unsigned long long)((bytes + 0xfffff) >> 20));
		doctor_problem(result, CLI_FAILED,
			       "BAR%d%s has no address: no room for it behind its bridge; switch "
			       "\"Above 4G Decoding\" on in the machine's firmware setup%s",
			       bars[i], size,
			       facts->machine.realloc ? " (pci=realloc is given already)"
						      : ", or let the kernel assign anew");
		if (!facts->machine.realloc)
			doctor_remedy_script(result, true,
					     "sed -i \"s/^GRUB_CMDLINE_LINUX=\\\"/&pci=realloc "
					     "/\" /etc/default/grub && update-grub && reboot");
		return;
	}
	doctor_ok(result, "BAR0 and BAR2 (%llu MiB) have addresses",
		  (unsigned long long)(card->pci.bar_bytes[AIPU_BAR_MEMORY] >> 20));
}

void doctor_check_driver(const struct doctor_facts *facts, const struct doctor_card *card,
			 struct doctor_result *result)
{
	const char *pci = card->pci.pci;
	bool forced = card->override[0] && strcmp(card->override, CARD_DRIVER);

	if (is_bound(card)) {
		doctor_ok(result, CARD_DRIVER " has the card");
	} else if (card->pci.driver[0]) {
		doctor_problem(result, SMI_NO_DRIVER,
			       "the driver %s has the card, not " CARD_DRIVER "%s",
			       card->pci.driver, forced ? " (driver_override names it)" : "");
		doctor_remedy_script(result, true,
				     "echo %s >" DRIVERS "/%s/unbind; echo " CARD_DRIVER
				     " >" DEVICES "/%s/driver_override; modprobe " CARD_DRIVER
				     "; echo %s >/sys/bus/pci/drivers_probe",
				     pci, card->pci.driver, pci, pci);
	} else if (forced) {
		doctor_problem(result, SMI_NO_DRIVER,
			       "driver_override keeps the card for the driver %s", card->override);
		doctor_remedy_script(result, true,
				     "echo " CARD_DRIVER " >" DEVICES
				     "/%s/driver_override; echo %s >/sys/bus/pci/drivers_probe",
				     pci, pci);
	} else if (facts->machine.module.loaded) {
		doctor_say(result, DOCTOR_NOTE,
			   "no driver has the card, though " CARD_DRIVER " is loaded");
	} else {
		doctor_say(result, DOCTOR_NOT_CHECKED, CARD_DRIVER " is not loaded");
	}
}

static bool registers_known(const struct doctor_card *card)
{
	return !card->registers.unread[0] && card->registers.magic == AIPU_MAGIC;
}

static uint32_t state_of(const struct doctor_card *card)
{
	return card->registers.status & AIPU_STATUS_STATE_MASK;
}

/* --- heat ----------------------------------------------------------------------------------------- */

/* Switched off by its own sensor, and not back since: by its registers, or as the driver said it */
static bool is_hot(const struct doctor_facts *facts, const struct doctor_card *card)
{
	const struct doctor_open *open = &card->open;

	if (registers_known(card))
		return state_of(card) == AIPU_STATE_FAILED &&
		       card->registers.error == AIPU_ERROR_OVERHEATED;
	if (card->pci.driver[0] && !is_bound(card))
		return false;
	if (is_bound(card) &&
	    !(open->tried && !open->error && open->info.state == AIPU_DEVICE_WEDGED))
		return false;
	return cardlog_hot(&facts->machine.log, card->pci.pci);
}

void doctor_check_temperature(const struct doctor_facts *facts, const struct doctor_card *card,
			      struct doctor_result *result)
{
	const struct aipu_telemetry *now = &card->open.telemetry;
	char limit[48] = "";

	if (is_hot(facts, card)) {
		doctor_problem(
			result, SMI_NOT_ANSWERING,
			"the card is too hot and switched its cores off: let it cool down, see to its "
			"airflow and to the temperature around it; a reset before that fails again; "
			"then");
		if (is_bound(card))
			doctor_remedy(result, true, "aipu-smi reset -i %s", card->pci.pci);
		else
			doctor_remedy_script(result, true, BIND, card->pci.pci);
		return;
	}
	if (!card->open.tried || card->open.error || card->open.telemetry_error ||
	    now->temperature_mc == AIPU_UNKNOWN) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "the temperature is not known");
		return;
	}
	if (now->throttle_mc == AIPU_UNKNOWN || now->temperature_mc < now->throttle_mc) {
		doctor_ok(result, "%.1f C", (double)now->temperature_mc / 1e3);
		return;
	}
	if (now->shutdown_mc != AIPU_UNKNOWN)
		snprintf(limit, sizeof(limit), ", and off from %.1f C on",
			 (double)now->shutdown_mc / 1e3);
	doctor_say(result, DOCTOR_WARNING,
		   "%.1f C: the card is slowed down from %.1f C on%s: its airflow, and the "
		   "temperature around it",
		   (double)now->temperature_mc / 1e3, (double)now->throttle_mc / 1e3, limit);
}

/* --- firmware ------------------------------------------------------------------------------------- */

static void image_remedy(const struct doctor_card *card, struct doctor_result *result)
{
	char board[16] = "BOARD";

	if (card->image.board)
		snprintf(board, sizeof(board), "%08x", card->image.board);
	doctor_append(result, " (IMAGE: from the card's maker)");
	doctor_remedy_script(result, true,
			     "install -D -m 644 IMAGE /lib/firmware/aipu/%s.fw && echo %s >" DRIVERS
			     "/" CARD_DRIVER "/bind",
			     board, card->pci.pci);
}

/* The image is there and whole: does the boot ROM's range fit, as far as it is known */
static bool image_fits_rom(const struct doctor_card *card)
{
	const struct aipu_firmware_header *header = &card->image.header;

	return !registers_known(card) || state_of(card) == AIPU_STATE_RUNNING ||
	       (header->abi_oldest <= card->registers.abi_newest &&
		header->abi_newest >= card->registers.abi_oldest);
}

static void look_at_image(const struct doctor_card *card, struct doctor_result *result)
{
	const struct doctor_image *image = &card->image;
	const struct aipu_firmware_header *header = &image->header;

	if (image->file.compressed) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "%s is compressed", image->file.path);
	} else if (image->error == ENOENT) {
		doctor_problem(result, CLI_FAILED, "%s is missing, and the card runs no firmware",
			       image->file.path);
		image_remedy(card, result);
	} else if (image->error == EACCES) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "%s: only root may read it",
			   image->file.path);
	} else if (image->error) {
		doctor_problem(result, CLI_FAILED, "%s: %s", image->file.path,
			       strerror(image->error));
		image_remedy(card, result);
	} else if (image->fault) {
		doctor_problem(result, CLI_FAILED, "%s: %s", image->file.path,
			       aipu_error_text(image->fault));
		image_remedy(card, result);
	} else if (!image_fits_rom(card)) {
		doctor_problem(result, CLI_FAILED,
			       "%s is for the contract from %u.%u to %u.%u, the card's boot ROM "
			       "speaks %u.%u to %u.%u",
			       image->file.path, ABI(header->abi_oldest), ABI(header->abi_newest),
			       ABI(card->registers.abi_oldest), ABI(card->registers.abi_newest));
		image_remedy(card, result);
	} else if (registers_known(card) && state_of(card) != AIPU_STATE_RUNNING &&
		   header->rollback < card->registers.rollback) {
		doctor_problem(result, CLI_FAILED,
			       "%s has the anti-rollback counter %u, the card takes %u and up",
			       image->file.path, header->rollback, card->registers.rollback);
		image_remedy(card, result);
	} else {
		doctor_ok(result, "%s is whole and fits; its signature only the card can check",
			  image->file.path);
	}
}

/* The image is of after what the driver said of one */
static bool is_newer(const struct doctor_facts *facts, const struct doctor_card *card,
		     const char *reason)
{
	uint64_t said = reason ? cardlog_time(&facts->machine.log, reason) : 0;

	return said && card->image.changed > said + CLOCKS_US;
}

void doctor_check_firmware(const struct doctor_facts *facts, const struct doctor_card *card,
			   struct doctor_result *result)
{
	/* As the driver says it (kernel/aipu_boot.c); a card that it has reset since does not know any more */
	static const char refused[] = "the card refused firmware";
	const char *reason = cardlog_reason(&facts->machine.log, card->pci.pci);
	const struct doctor_registers *registers = &card->registers;
	bool by_card;

	if (is_bound(card)) {
		doctor_ok(result, "the driver found the card's firmware");
		return;
	}
	if (card->pci.driver[0]) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "another driver has the card");
		return;
	}
	if (registers_known(card) &&
	    (state_of(card) == AIPU_STATE_RUNNING || state_of(card) == AIPU_STATE_READY)) {
		doctor_ok(result, "the card runs firmware %u.%u.%u",
			  registers->firmware_version >> 24,
			  registers->firmware_version >> 16 & 0xff,
			  registers->firmware_version & 0xffff);
		return;
	}
	if (!card->image.board) {
		if (!card->image.any && was_refused(facts, card)) {
			doctor_problem(
				result, CLI_FAILED,
				"there is no firmware at all: /lib/firmware/aipu is missing");
			image_remedy(card, result);
		} else {
			doctor_say(result, DOCTOR_NOT_CHECKED,
				   "which board this is, is not known: BAR0 was not read (%s)",
				   registers->unread[0] ? registers->unread
							: "it does not begin with AIPU");
		}
		return;
	}
	look_at_image(card, result);
	/* All that can be seen in the image is good, and the card said no all the same. */
	if (result->status == DOCTOR_PROBLEM)
		return;
	by_card = registers_known(card) && state_of(card) == AIPU_STATE_FAILED &&
		  registers->error >= AIPU_ERROR_FIRMWARE_DMA &&
		  registers->error <= AIPU_ERROR_FIRMWARE_ABI;
	if (!by_card && !(reason && !strncmp(reason, refused, strlen(refused))))
		return;
	if (is_newer(facts, card, reason)) {
		doctor_problem(result, CLI_FAILED,
			       "the card refused an image, and %s, which is whole and fits, came "
			       "there since: it was not tried yet",
			       card->image.file.path);
		doctor_remedy_script(result, true, BIND, card->pci.pci);
		return;
	}
	if (by_card)
		doctor_problem(result, CLI_FAILED, "the card refused %s: %s (error %u)",
			       card->image.file.path, aipu_error_text(registers->error),
			       registers->error);
	else
		doctor_problem(result, CLI_FAILED, "%s", reason);
	image_remedy(card, result);
}

void doctor_check_contract(const struct doctor_facts *facts, const struct doctor_card *card,
			   struct doctor_result *result)
{
	const struct doctor_registers *registers = &card->registers;
	bool newer;

	(void)facts;
	if (card->open.tried && !card->open.error) {
		doctor_ok(result, "card and driver agree on the contract %u.%u",
			  ABI(card->open.info.abi_in_use));
		return;
	}
	if (is_bound(card)) {
		doctor_ok(result, "card and driver agree");
		return;
	}
	if (!registers_known(card)) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "BAR0 was not read: %s",
			   registers->unread[0] ? registers->unread
						: "it does not begin with AIPU");
		return;
	}
	newer = registers->abi_oldest > AIPU_ABI_CURRENT;
	if (!newer && registers->abi_newest >= AIPU_ABI_OLDEST) {
		doctor_ok(result, "the card speaks the contract from %u.%u to %u.%u",
			  ABI(registers->abi_oldest), ABI(registers->abi_newest));
		return;
	}
	doctor_problem(
		result, CLI_FAILED,
		"the card's %s speaks the contract from %u.%u to %u.%u, this release from %u.%u "
		"to %u.%u: a newer %s is needed",
		state_of(card) == AIPU_STATE_RUNNING ? "firmware" : "boot ROM",
		ABI(registers->abi_oldest), ABI(registers->abi_newest), ABI(AIPU_ABI_OLDEST),
		ABI(AIPU_ABI_CURRENT), newer ? "driver" : "firmware");
	if (!newer) {
		image_remedy(card, result);
		return;
	}
	doctor_append(result, " (SOURCE: the directory of a newer AIPU's source)");
	doctor_remedy(result, true, "make -C SOURCE modules modules_install");
}

void doctor_check_slots(const struct doctor_facts *facts, const struct doctor_card *card,
			struct doctor_result *result)
{
	bool opened = card->open.tried && !card->open.error;
	const uint32_t *errors = opened ? card->open.info.slot_errors : card->registers.slot_errors;

	(void)facts;
	if (!opened && !registers_known(card)) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "the card's registers were not read");
		return;
	}
	for (int i = 0; i < 2; i++) {
		if (errors[i] == AIPU_ERROR_NONE || errors[i] == AIPU_ERROR_SLOT_EMPTY)
			continue;
		doctor_say(result, DOCTOR_WARNING,
			   "the firmware in flash slot %c was not started: %s", 'A' + i,
			   aipu_error_text(errors[i]));
		doctor_append(result, " (IMAGE: from the card's maker)");
		doctor_remedy(result, true, "aipu-fw flash IMAGE --device %s --slot %c",
			      card->pci.pci, 'a' + i);
		return;
	}
	doctor_ok(result, "no firmware in flash was passed over");
}

void doctor_check_probe(const struct doctor_facts *facts, const struct doctor_card *card,
			struct doctor_result *result)
{
	const char *reason = cardlog_reason(&facts->machine.log, card->pci.pci);

	if (is_bound(card)) {
		doctor_ok(result, CARD_DRIVER " took the card");
		return;
	}
	if (!card->registers.unread[0] && card->registers.magic != AIPU_MAGIC) {
		doctor_problem(result, SMI_NOT_ANSWERING,
			       "BAR0 begins with %08x, not with %08x: %s", card->registers.magic,
			       AIPU_MAGIC,
			       card->registers.magic == 0xffffffff ? "the card does not answer"
								   : "no card of this kind");
		doctor_remedy_script(result, true,
				     "echo 1 >" DEVICES "/%s/reset; echo %s >" DRIVERS
				     "/" CARD_DRIVER "/bind",
				     card->pci.pci, card->pci.pci);
		return;
	}
	if (!reason && cardlog_taken(&facts->machine.log, card->pci.pci)) {
		doctor_problem(result, SMI_NO_DRIVER,
			       CARD_DRIVER " is loaded, had the card and was unbound from it");
		doctor_remedy_script(result, true, BIND, card->pci.pci);
		return;
	}
	if (reason) {
		doctor_problem(result, CLI_FAILED, CARD_DRIVER " did not take the card: %s%s",
			       reason,
			       is_newer(facts, card, reason)
				       ? " (with another image: the one that is there now is newer)"
				       : "");
	} else if (registers_known(card) && card->registers.error) {
		doctor_problem(result, CLI_FAILED,
			       CARD_DRIVER " did not take the card: %s (error %u)",
			       aipu_error_text(card->registers.error), card->registers.error);
	} else {
		doctor_problem(result, CLI_FAILED,
			       CARD_DRIVER " did not take the card, and the kernel's log %s%s",
			       facts->machine.log.error ? "cannot be read: " : "does not say why",
			       facts->machine.log.error ? strerror(facts->machine.log.error) : "");
	}
	doctor_remedy_script(result, true,
			     "echo %s >" DRIVERS "/" CARD_DRIVER "/bind; dmesg | grep %s",
			     card->pci.pci, card->pci.pci);
}
