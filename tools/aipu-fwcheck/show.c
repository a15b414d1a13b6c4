// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See show.h. A card is a head line, a row for each part that has versions, a line for each verdict, and what it comes to.
 */
#include "show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "aipu/manage.h"
#include "aipu_firmware.h"
#include "aipu_queue.h"
#include "snapshot.h"

__attribute__((format(printf, 3, 4))) static void row(FILE *out, const char *name,
						      const char *format, ...)
{
	va_list args;

	fprintf(out, "  %-14s ", name);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('\n', out);
}

/* --- parts of rows -------------------------------------------------------------------------------- */

static const char *contract(struct fw_range range)
{
	static char text[60], speaks[40]; /* of one row */

	text_range(speaks, range);
	snprintf(text, sizeof(text), "contract %s", speaks);
	return text;
}

static const char *board(uint64_t id)
{
	static char text[16]; /* of one row */

	text_board(text, id);
	return text;
}

static const char *or_unknown(const char *text)
{
	return text[0] ? text : "unknown";
}

static const char *lanes(char text[12], uint32_t width)
{
	snprintf(text, 12, "%u", width);
	return width == UNKNOWN32 ? "?" : text;
}

static void pci_rows(FILE *out, const struct fw_card *card)
{
	const struct fw_pci *pci = &card->pci;
	/* That a snapshot of another tool does not name it does not say that there is none */
	const char *no_driver = card->access == FW_READY ? "unknown" : "none";
	char bytes[32], now[12], most[12], revision[12];

	if (!pci->address[0])
		return;
	snprintf(revision, sizeof(revision), "%02x", pci->revision);
	row(out, "PCI", "%s revision %s, subsystem %s, driver %s", or_unknown(pci->id),
	    pci->revision == UNKNOWN32 ? "unknown" : revision, or_unknown(pci->subsystem),
	    pci->driver[0] ? pci->driver : no_driver);
	if (pci->link_speed[0])
		row(out, "link", "%s x%s, at most %s x%s", pci->link_speed,
		    lanes(now, pci->link_width),
		    pci->link_speed_max[0] ? pci->link_speed_max : "unknown",
		    lanes(most, pci->link_width_max));
	for (int i = 0; i < FW_BARS; i++) {
		if (!pci->bars[i].present)
			continue;
		snprintf(bytes, sizeof(bytes), "BAR%d", i);
		row(out, bytes, "%" PRIu64 " bytes at 0x%" PRIx64 "%s", pci->bars[i].bytes,
		    pci->bars[i].start, pci->bars[i].start ? "" : " (not assigned)");
	}
}

static void rom_row(FILE *out, const struct fw_card *card)
{
	char version[20], rollback[12];

	text_version(version, card->rom_version);
	snprintf(rollback, sizeof(rollback), "%u", card->rollback);
	if (card->rollback == UNKNOWN32)
		snprintf(rollback, sizeof(rollback), "unknown");
	if (card->rom.newest || card->board != UNKNOWN64)
		row(out, "boot ROM", "%s, board %s, rollback counter %s%s%s",
		    card->rom_version ? version : "unknown version", board(card->board), rollback,
		    card->rom.newest ? ", " : "", card->rom.newest ? contract(card->rom) : "");
	else
		row(out, "boot ROM", "unknown");
}

static void firmware_row(FILE *out, const struct fw_card *card)
{
	static const char *const from[] = { "", ", from the host", ", from slot A",
					    ", from slot B" };
	char version[20], in_use[16];

	text_version(version, card->firmware_version);
	text_abi(in_use, card->abi_in_use);
	if (!card->firmware_version)
		row(out, "firmware", "%s",
		    card->access == FW_READY || card->access == UNKNOWN32 ? "unknown"
									  : "none known to run");
	else
		row(out, "firmware", "%s%s%s%s%s, %s%s%s", version, card->firmware[0] ? " (" : "",
		    card->firmware, card->firmware[0] ? ")" : "",
		    from[card->source <= AIPU_BOOT_FROM_SLOT_B ? card->source : 0],
		    contract(card->abi), card->abi_in_use ? ", in use " : "",
		    card->abi_in_use ? in_use : "");
}

static void slot_row(FILE *out, const struct fw_card *card, uint32_t index)
{
	static const char *const states[] = { "empty", "good", "on trial", "confirmed", "failed" };
	static const char *const names[] = { "slot A", "slot B" };
	const struct card_slot *slot = &card->flash.slots[index];
	const struct fw_range range = { slot->contract_oldest, slot->contract_newest };
	const char *state = slot->state <= AIPU_FLASH_FAILED ? states[slot->state] : "unknown";
	const char *active = card->flash.active == index ? ", active" : "";
	bool failed = slot->error && slot->error != UNKNOWN32;
	char version[20];

	text_version(version, slot->version);
	if (!slot->present)
		row(out, names[index], "%s", card->flash.count ? "unknown" : "none");
	else if (!slot->version)
		row(out, names[index], "%s%s", state, active);
	else
		row(out, names[index], "%s%s: %s (%s), %s%s%s", state, active, version, slot->build,
		    contract(range), failed ? ": " : "",
		    failed ? aipu_error_text(slot->error) : "");
}

/* ", signed by 3f0a8c...", the first eight bytes of the key's id; "" where it is not known */
static const char *signed_by(const struct fw_image *image)
{
	static char text[48]; /* of one row */
	size_t used;

	if (image->signature_kind == AIPU_SIGNATURE_NONE)
		return ", not signed";
	if (image->signature_kind == UNKNOWN32)
		return "";
	used = (size_t)snprintf(text, sizeof(text), ", signed by ");
	for (size_t i = 0; i < 8; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%02x",
					 image->key_id[i]);
	snprintf(text + used, sizeof(text) - used, "...");
	return text;
}

static void image_row(FILE *out, const char *name, const struct fw_image *image)
{
	char version[20];

	text_version(version, image->version);
	switch (image->state) {
	case FW_IMAGE_WHOLE:
		row(out, name, "%s: %s (%s), board %s, %s%s", image->path, version, image->build,
		    board(image->board), contract(image->abi), signed_by(image));
		break;
	case FW_IMAGE_DAMAGED:
		row(out, name, "%s: %s", image->path, aipu_error_text(image->error));
		break;
	case FW_IMAGE_UNREADABLE:
		row(out, name, "%s: cannot be read", image->path);
		break;
	case FW_IMAGE_MISSING:
		row(out, name, "none: there is no %s", image->path);
		break;
	default:
		row(out, name, "unknown");
	}
}

static void driver_row(FILE *out, const struct fw_machine *machine, const struct fw_card *card)
{
	uint32_t api = card->driver_api ? card->driver_api : machine->driver_api;
	char version[16];

	text_abi(version, api);
	if (!machine->driver_loaded && card->access != FW_READY)
		row(out, "driver", "not loaded");
	else
		row(out, "driver", "user API %s, %s", api ? version : "unknown",
		    contract(machine->driver));
}

static void program_row(FILE *out, const struct fw_program *p)
{
	char container[16] = "unknown", speaks[40];

	if (p->container != UNKNOWN32)
		snprintf(container, sizeof(container), "%u", p->container);
	text_range(speaks, p->program_abi);
	row(out, "program", "%s: container %s for %s", p->path, container, contract(p->abi));
	if (p->program_abi.newest)
		row(out, "",
		    "its program for contract %s, with %" PRIu64 " + %" PRIu64
		    " bytes of model and memory",
		    speaks, p->mapped_bytes, p->memory_bytes);
}

/* --- a card --------------------------------------------------------------------------------------- */

static const char *card_name(const struct fw_card *card)
{
	return is_card(card) ? card->pci.address : "soft";
}

void show_card(FILE *out, const struct fw_machine *machine, const struct fw_card *card,
	       const struct verdicts *verdicts)
{
	char library_api[16];

	fprintf(out, "%s%s%s%s%s%s%s\n", card_name(card), card->node[0] ? " " : "", card->node,
		card->model[0] ? ", " : "", card->model, card->serial[0] ? ", serial " : "",
		card->serial);
	pci_rows(out, card);
	rom_row(out, card);
	firmware_row(out, card);
	slot_row(out, card, 0);
	slot_row(out, card, 1);
	image_row(out, "image", &card->image);
	if (card->builtin.state != FW_IMAGE_NONE)
		image_row(out, "built in", &card->builtin);
	if (is_card(card))
		driver_row(out, machine, card);
	text_abi(library_api, machine->library_api);
	row(out, "libaipu", "%s, user API %s, %s", or_unknown(machine->head.library_version),
	    machine->library_api ? library_api : "unknown", contract(machine->library));
	if (machine->program.present)
		program_row(out, &machine->program);
	for (uint32_t i = 0; i < verdicts->count; i++)
		fprintf(out, "  %-8s %s: %s\n", verdict_name(verdicts->list[i].result),
			verdicts->list[i].check, verdicts->list[i].text);
	fprintf(out, "%s: %s%s%s\n", card_name(card), verdict_summary(card, verdicts),
		card->access != FW_READY && card->reason[0] ? ": " : "",
		card->access != FW_READY ? card->reason : "");
}

/* --- JSON ----------------------------------------------------------------------------------------- */

static json_t *verdicts_make(const struct verdicts *verdicts)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < verdicts->count; i++) {
		const struct verdict *v = &verdicts->list[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s}", "check", v->check, "result",
						verdict_name(v->result), "text", v->text));
	}
	return list;
}

int show_json(FILE *out, const struct facts *facts, const struct verdicts *verdicts,
	      int exit_status, bool strict)
{
	json_t *root = snapshot_make(facts);

	for (size_t i = 0; root && i < facts->count; i++) {
		json_t *card = snapfile_card(root, i);

		json_object_set_new(card, "verdicts", verdicts_make(&verdicts[i]));
		json_object_set_new(card, "result",
				    json_string(verdict_summary(&facts->cards[i], &verdicts[i])));
		json_object_set_new(
			card, "exit_status",
			json_integer(verdict_exit(&facts->cards[i], &verdicts[i], strict)));
	}
	if (root)
		json_object_set_new(root, "exit_status", json_integer(exit_status));
	return snapfile_write(out, root, false);
}
