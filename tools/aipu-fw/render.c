// SPDX-License-Identifier: MIT
/* What is known of a device's firmware, in words. Its texts are printable by now. */
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

static void render_image(FILE *out, const struct card_slot *slot)
{
	fprintf(out, "%s \"%s\", %s", slot->version ? fw_version_text(slot->version).text : "?",
		slot->build, state_word(slot->state));
	if (slot->state == AIPU_FLASH_TRIAL && slot->tries == UNKNOWN32)
		fprintf(out, ", tries left: ?");
	else if (slot->state == AIPU_FLASH_TRIAL)
		fprintf(out, ", tries left: %u", slot->tries);
}

static void render_slot(FILE *out, const struct fw_state *state, uint32_t index)
{
	const struct card_slot *slot = &state->flash.slots[index];

	fprintf(out, "  slot %s: ", slot_names[index]);
	if (!slot->present || slot->state == AIPU_FLASH_EMPTY) {
		fprintf(out, "%s\n", slot->present ? "empty" : "unknown");
		return;
	}
	render_image(out, slot);
	if (fw_state_runs(state, index))
		fprintf(out, ", runs");
	if (slot->rollback != UNKNOWN32 && state->rollback != UNKNOWN32 &&
	    slot->rollback < state->rollback)
		fprintf(out, ", older than the device permits (anti-rollback counter %u)",
			slot->rollback);
	if (state->flash.active == index)
		fprintf(out, fw_state_may_start(state, index) ? ", first at the next reset"
							      : ", active, but cannot start");
	if (slot->error && slot->error != UNKNOWN32)
		fprintf(out, ": %s (error %u)", aipu_error_text(slot->error), slot->error);
	fputc('\n', out);
}

/* "accel0" of its node; without one its address */
static const char *name_of(const struct fw_state *state)
{
	const char *last = strrchr(state->node, '/');

	if (last && last[1])
		return last + 1;
	return state->pci_address[0] ? state->pci_address : "soft";
}

void fw_render(FILE *out, const struct fw_state *state)
{
	bool problem = state->problem[0] && !state->firmware_version;
	char running[64] = "no firmware is known to run";

	if (problem && state->flash.count != CARD_SLOTS) {
		fprintf(out, "%s: %s\n", name_of(state), state->problem);
		return;
	}
	if (state->firmware_version)
		fw_running_text(running, sizeof(running), state->firmware_version, state->source);
	fprintf(out, "%s: %s; ", name_of(state), running);
	if (!state->flash.count) {
		fprintf(out, "keeps no firmware of its own\n");
		return;
	}
	if (state->rom_version)
		fprintf(out, "boot ROM %s, ", fw_version_text(state->rom_version).text);
	if (state->rollback != UNKNOWN32)
		fprintf(out, "anti-rollback counter %u", state->rollback);
	else
		fprintf(out, "anti-rollback counter unknown");
	fprintf(out, "%s\n", state->flash.count == UNKNOWN32 ? ", what it keeps is unknown" : "");
	for (uint32_t i = 0; state->flash.count != UNKNOWN32 && i < CARD_SLOTS; i++)
		render_slot(out, state, i);
	if (problem)
		fprintf(out, "  problem: %s\n", state->problem);
}
