// SPDX-License-Identifier: MIT
/* What a device tells of its firmware, in words and as JSON. Nothing that it tells reaches a terminal as it is. */
#include "update.h"

#include <inttypes.h>
#include <string.h>

static const char *const slot_names[] = { "A", "B" };

struct fw_version fw_version_text(uint32_t version)
{
	struct fw_version out;

	snprintf(out.text, sizeof(out.text), "%u.%u.%u", version >> 24, version >> 16 & 0xff,
		 version & 0xffff);
	return out;
}

void fw_plain(char *to, size_t to_bytes, const char *from, size_t from_bytes)
{
	size_t count = strnlen(from, from_bytes < to_bytes ? from_bytes : to_bytes - 1);

	for (size_t i = 0; i < count; i++)
		to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
	to[count < to_bytes ? count : to_bytes - 1] = '\0';
}

const char *fw_board_text(uint32_t board, char text[16])
{
	if (board == AIPU_BOARD_SOFT)
		return "soft";
	if (board == AIPU_BOARD_ANY)
		return "any";
	snprintf(text, 16, "0x%08" PRIx32, board);
	return text;
}

void fw_running_text(char *text, size_t bytes, uint32_t version, uint32_t source)
{
	const char *from = "";

	if (source == AIPU_BOOT_FROM_HOST)
		from = ", loaded by the host";
	else if (source == AIPU_BOOT_FROM_SLOT_A)
		from = " from slot A";
	else if (source == AIPU_BOOT_FROM_SLOT_B)
		from = " from slot B";
	if (version)
		snprintf(text, bytes, "%s runs%s", fw_version_text(version).text, from);
	else
		snprintf(text, bytes, "no firmware runs");
}

static const char *state_word(uint32_t state)
{
	static const char *const words[] = {
		[AIPU_FLASH_EMPTY] = "empty",	[AIPU_FLASH_GOOD] = "good",
		[AIPU_FLASH_TRIAL] = "trial",	[AIPU_FLASH_CONFIRMED] = "confirmed",
		[AIPU_FLASH_FAILED] = "failed",
	};

	return state < sizeof(words) / sizeof(words[0]) ? words[state] : "unknown";
}

/* What the boot ROM had against a slot: at the last boot, or before */
static uint32_t slot_error(const struct aipu_device_info *device,
			   const struct aipu_flash_info *flash, unsigned int slot)
{
	return device->slot_errors[slot] && flash->slots[slot].state != AIPU_FLASH_EMPTY
		       ? device->slot_errors[slot]
		       : flash->slots[slot].error;
}

static bool runs(const struct aipu_flash_info *flash, unsigned int slot)
{
	return flash->source == AIPU_BOOT_FROM_SLOT_A + slot;
}

/* No: it has failed or has no try left, or the boot ROM refuses what is in it. An error of another kind may pass */
static bool may_start(const struct aipu_device_info *device, const struct aipu_flash_info *flash,
		      unsigned int slot)
{
	const struct aipu_flash_slot *own = &flash->slots[slot];
	uint32_t error = slot_error(device, flash, slot);

	if (runs(flash, slot))
		return true;
	if (own->state == AIPU_FLASH_EMPTY || own->state == AIPU_FLASH_FAILED ||
	    (own->state == AIPU_FLASH_TRIAL && !own->tries))
		return false;
	return own->rollback >= flash->rollback &&
	       (error < AIPU_ERROR_FIRMWARE_SIZE || error > AIPU_ERROR_FIRMWARE_ABI);
}

static void render_slot(FILE *out, const struct aipu_device_info *device,
			const struct aipu_flash_info *flash, unsigned int slot)
{
	const struct aipu_flash_slot *own = &flash->slots[slot];
	uint32_t error = slot_error(device, flash, slot);
	char build[sizeof(own->build)];

	fprintf(out, "  slot %s: ", slot_names[slot]);
	if (own->state == AIPU_FLASH_EMPTY) {
		fprintf(out, "empty\n");
		return;
	}
	fw_plain(build, sizeof(build), own->build, sizeof(own->build));
	fprintf(out, "%s \"%s\", %s", fw_version_text(own->version).text, build,
		state_word(own->state));
	if (own->state == AIPU_FLASH_TRIAL)
		fprintf(out, ", tries left: %u", own->tries);
	if (runs(flash, slot))
		fprintf(out, ", runs");
	if (own->rollback < flash->rollback)
		fprintf(out, ", older than the device permits (anti-rollback counter %u)",
			own->rollback);
	if (flash->active == slot)
		fprintf(out, may_start(device, flash, slot) ? ", first at the next reset"
							    : ", active, but cannot start");
	if (error)
		fprintf(out, ": %s (error %u)", aipu_error_text(error), error);
	fputc('\n', out);
}

void fw_render(FILE *out, const char *name, const struct aipu_device_info *device,
	       const struct aipu_flash_info *flash)
{
	char running[64];

	fw_running_text(running, sizeof(running), device->firmware_version, device->boot_source);
	fprintf(out, "%s: %s; ", name, running);
	if (!flash) {
		fprintf(out, "keeps no firmware of its own\n");
		return;
	}
	if (flash->rom_version)
		fprintf(out, "boot ROM %s, ", fw_version_text(flash->rom_version).text);
	fprintf(out, "anti-rollback counter %u\n", flash->rollback);
	render_slot(out, device, flash, 0);
	render_slot(out, device, flash, 1);
}

/* --- JSON ----------------------------------------------------------------------------------------- */

/* 0: not known */
static json_t *version_json(uint32_t version)
{
	return version ? json_string(fw_version_text(version).text) : json_null();
}

static json_t *error_json(uint32_t error)
{
	if (!error)
		return json_null();
	return json_pack("{s:I, s:s}", "code", (json_int_t)error, "text", aipu_error_text(error));
}

static json_t *digest_json(const uint8_t digest[32])
{
	char text[65];

	for (unsigned int i = 0; i < 32; i++)
		snprintf(text + 2 * (size_t)i, 3, "%02x", digest[i]);
	return json_string(text);
}

static json_t *abi_json(uint32_t abi)
{
	char text[16];

	snprintf(text, sizeof(text), "%u.%u", AIPU_ABI_MAJOR(abi), AIPU_ABI_MINOR(abi));
	return json_string(text);
}

static json_t *board_json(uint32_t board)
{
	return json_sprintf("0x%08" PRIx32, board);
}

/* A slot that holds an image has these too */
static int image_json(json_t *object, const struct aipu_flash_slot *own)
{
	char build[sizeof(own->build)];

	fw_plain(build, sizeof(build), own->build, sizeof(own->build));
	return json_object_set_new(object, "version", version_json(own->version)) ||
	       json_object_set_new(object, "build", json_string(build)) ||
	       json_object_set_new(object, "abi_oldest", abi_json(own->abi_oldest)) ||
	       json_object_set_new(object, "abi_newest", abi_json(own->abi_newest)) ||
	       json_object_set_new(object, "board_id", board_json(own->board_id)) ||
	       json_object_set_new(object, "rollback", json_integer(own->rollback)) ||
	       json_object_set_new(object, "bytes", json_integer((json_int_t)own->bytes)) ||
	       json_object_set_new(object, "sha256", digest_json(own->digest));
}

static json_t *slot_json(const struct aipu_device_info *device, const struct aipu_flash_info *flash,
			 unsigned int slot)
{
	const struct aipu_flash_slot *own = &flash->slots[slot];
	json_t *object =
		json_pack("{s:s, s:s, s:o, s:b, s:b, s:b, s:o}", "slot", slot_names[slot], "state",
			  state_word(own->state), "tries",
			  own->state == AIPU_FLASH_TRIAL ? json_integer(own->tries) : json_null(),
			  "runs", runs(flash, slot), "active", flash->active == slot, "can_start",
			  may_start(device, flash, slot), "error",
			  error_json(slot_error(device, flash, slot)));

	if (object && own->state != AIPU_FLASH_EMPTY && image_json(object, own)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static const char *source_word(uint32_t source)
{
	static const char *const words[] = { [AIPU_BOOT_FROM_HOST] = "host",
					     [AIPU_BOOT_FROM_SLOT_A] = "A",
					     [AIPU_BOOT_FROM_SLOT_B] = "B" };

	return source < sizeof(words) / sizeof(words[0]) ? words[source] : NULL;
}

json_t *fw_render_json(const char *name, const struct aipu_device_info *device,
		       const struct aipu_flash_info *flash)
{
	char serial[sizeof(device->serial)];
	json_t *object, *slots = NULL;

	fw_plain(serial, sizeof(serial), device->serial, sizeof(device->serial));
	if (flash)
		slots = json_pack("[o, o]", slot_json(device, flash, 0),
				  slot_json(device, flash, 1));
	object = json_pack("{s:s, s:s, s:o, s:o, s:s?, s:o, s:o, s:o}", "device", name, "serial",
			   serial, "board_id", board_json(device->board_id), "running",
			   version_json(device->firmware_version), "source",
			   source_word(device->boot_source), "boot_rom",
			   version_json(flash ? flash->rom_version : device->rom_version),
			   "rollback", flash ? json_integer(flash->rollback) : json_null(), "slots",
			   slots || flash ? slots : json_null());
	return object;
}
