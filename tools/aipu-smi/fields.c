// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of a card's fields, and the snapshot as a container. What a field means is said in snapshot.h, aipu.h and manage.h.
 */
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MIB (1 << 20)

#define JSON(name, kind, member) FIELD(struct smi_card, name, kind, member, NULL)
/* group, member, which is the JSON key too */
#define TEXT(group, member)                                             \
	{                                                               \
		group, #member, NULL, 1, 0, JSON(#member, TEXT, member) \
	}
#define COUNT(group, member)                                               \
	{                                                                  \
		group, #member, NULL, 1, 0, JSON(#member, INTEGER, member) \
	}
/* A number with a unit: name without it, member with that of the snapshot */
#define UNIT(group, name, member, unit, divisor, decimals)                           \
	{                                                                            \
		group, name, unit, divisor, decimals, JSON(#member, INTEGER, member) \
	}
/* What follows from other members */
#define SHOWN(group, member)                                         \
	{                                                            \
		group, #member, NULL, 1, 0, JSON(NULL, TEXT, member) \
	}

const struct smi_field smi_fields[] = {
	TEXT("card", time),
	COUNT("card", index),
	TEXT("card", pci_address),
	TEXT("card", node),
	TEXT("card", state),
	TEXT("card", problem),
	TEXT("card", driver),
	TEXT("card", driver_user_api),

	TEXT("identity", vendor),
	TEXT("identity", model),
	TEXT("identity", serial),
	TEXT("identity", board_id),
	TEXT("identity", pci_id),
	TEXT("identity", subsystem_id),
	COUNT("identity", revision),

	TEXT("firmware", firmware),
	TEXT("firmware", firmware_version),
	TEXT("firmware", firmware_source),
	TEXT("firmware", rom_version),
	SHOWN("firmware", slot_a_error),
	SHOWN("firmware", slot_b_error),
	COUNT("firmware", rollback),
	TEXT("firmware", contract_in_use),
	TEXT("firmware", contract_oldest),
	TEXT("firmware", contract_newest),

	COUNT("resources", cores),
	COUNT("resources", max_lanes),
	COUNT("resources", max_queues),
	COUNT("resources", max_segments),

	UNIT("memory", "memory_total", memory_total_bytes, "MiB", MIB, 1),
	UNIT("memory", "memory_used", memory_used_bytes, "MiB", MIB, 1),
	UNIT("memory", "memory_free", memory_free_bytes, "MiB", MIB, 1),
	UNIT("memory", "memory_peak", memory_peak_mbs, "MB/s", 1, 0),

	UNIT("sensors", "temperature", temperature_mc, "C", 1000, 1),
	UNIT("sensors", "throttle_temperature", throttle_mc, "C", 1000, 1),
	UNIT("sensors", "shutdown_temperature", shutdown_mc, "C", 1000, 1),
	UNIT("sensors", "power", power_mw, "W", 1000, 1),
	UNIT("sensors", "power_limit", power_limit_mw, "W", 1000, 1),
	UNIT("sensors", "clock", clock_mhz, "MHz", 1, 0),
	UNIT("sensors", "clock_limit", clock_limit_mhz, "MHz", 1, 0),
	TEXT("sensors", throttle),

	UNIT("sample", "utilization", utilization_permille, "%", 10, 1),
	UNIT("sample", "memory_bandwidth", memory_mbs, "MB/s", 1, 0),

	COUNT("counters", running_jobs),
	UNIT("counters", "busy", busy_us, "ms", 1000, 3),
	COUNT("counters", steps),
	UNIT("counters", "longest_step", longest_step_us, "ms", 1000, 3),
	COUNT("counters", operations),
	UNIT("counters", "memory_read", memory_read_bytes, "MiB", MIB, 1),
	UNIT("counters", "memory_written", memory_written_bytes, "MiB", MIB, 1),
	UNIT("counters", "energy", energy_uj, "J", 1000000, 3),
	COUNT("counters", corrected_errors),
	COUNT("counters", uncorrected_errors),
	COUNT("counters", ras_events),
	COUNT("counters", temperature_events),
	COUNT("counters", card_resets),
	COUNT("counters", resets),

	COUNT("link", link_generation),
	COUNT("link", link_generation_max),
	COUNT("link", link_width),
	COUNT("link", link_width_max),
	TEXT("link", link_speed),
	TEXT("link", link_speed_max),
	COUNT("link", numa_node),
	COUNT("link", iommu_group),
};
const size_t smi_field_count = sizeof(smi_fields) / sizeof(smi_fields[0]);

const struct smi_field *smi_field_find(const char *name, size_t bytes)
{
	for (size_t i = 0; i < smi_field_count; i++) {
		const struct smi_field *f = &smi_fields[i];

		if ((strlen(f->name) == bytes && !memcmp(f->name, name, bytes)) ||
		    (f->json.name && strlen(f->json.name) == bytes &&
		     !memcmp(f->json.name, name, bytes)))
			return f;
	}
	return NULL;
}

int64_t smi_field_number(const struct smi_field *field, const struct smi_card *card)
{
	int64_t value;

	memcpy(&value, (const char *)card + field->json.offset, sizeof(value));
	return value;
}

const char *smi_field_text(const struct smi_field *field, const struct smi_card *card)
{
	return (const char *)card + field->json.offset;
}

void smi_number_show(int64_t value, int64_t divisor, int decimals, char *text, size_t bytes)
{
	if (value == SMI_UNKNOWN)
		text[0] = '\0';
	else if (divisor == 1)
		snprintf(text, bytes, "%" PRId64, value);
	else
		snprintf(text, bytes, "%.*f", decimals, (double)value / (double)divisor);
}

void smi_field_show(const struct smi_field *field, const struct smi_card *card, char *text,
		    size_t bytes)
{
	if (field->json.kind == FIELD_TEXT)
		snprintf(text, bytes, "%s", smi_field_text(field, card));
	else
		smi_number_show(smi_field_number(field, card), field->divisor, field->decimals,
				text, bytes);
}

void smi_card_clear(struct smi_card *card)
{
	const int64_t unknown = SMI_UNKNOWN;

	memset(card, 0, sizeof(*card));
	for (size_t i = 0; i < smi_field_count; i++)
		if (smi_fields[i].json.kind == FIELD_INTEGER)
			memcpy((char *)card + smi_fields[i].json.offset, &unknown, sizeof(unknown));
	slots_clear(&card->flash);
}

void smi_card_slots(struct smi_card *card)
{
	char *const texts[CARD_SLOTS] = { card->slot_a_error, card->slot_b_error };

	for (uint32_t i = 0; i < CARD_SLOTS; i++) {
		uint32_t error = card->flash.slots[i].error;

		if (error != UNKNOWN32)
			text_clean(texts[i], sizeof(card->slot_a_error), aipu_error_text(error),
				   SIZE_MAX);
	}
}

int smi_snapshot_init(struct smi_snapshot *snapshot, size_t count)
{
	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->window_ms = SMI_UNKNOWN;
	snapfile_now(&snapshot->head, aipu_version());
	snapshot->cards = calloc(count ? count : 1, sizeof(*snapshot->cards));
	if (!snapshot->cards)
		return -ENOMEM;
	snapshot->count = count;
	for (size_t i = 0; i < count; i++)
		smi_card_clear(&snapshot->cards[i]);
	return 0;
}

void smi_snapshot_free(struct smi_snapshot *snapshot)
{
	free(snapshot->cards);
	memset(snapshot, 0, sizeof(*snapshot));
}
