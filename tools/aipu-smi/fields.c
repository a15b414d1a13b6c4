// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of a card's fields, and the snapshot as a container. What a field means is said in snapshot.h, aipu.h and manage.h.
 */
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#define MIB (1 << 20)

/* group, member, which is the JSON key too */
#define TEXT(group, member)                                                                       \
	{                                                                                         \
		group, #member, #member, NULL, 1, 0, SMI_TEXT, offsetof(struct smi_card, member), \
			sizeof(((struct smi_card *)0)->member)                                    \
	}
#define COUNT(group, member)                                               \
	{                                                                  \
		group, #member, #member, NULL, 1, 0, SMI_INTEGER,          \
			offsetof(struct smi_card, member), sizeof(int64_t) \
	}
/* A number with a unit: name without it, member with that of the snapshot */
#define UNIT(group, name, member, unit, divisor, decimals)                  \
	{                                                                   \
		group, name, #member, unit, divisor, decimals, SMI_INTEGER, \
			offsetof(struct smi_card, member), sizeof(int64_t)  \
	}

const struct smi_field smi_fields[] = {
	TEXT("card", time),
	COUNT("card", index),
	TEXT("card", pci),
	TEXT("card", node),
	TEXT("card", state),
	TEXT("card", problem),
	TEXT("card", driver),
	TEXT("card", driver_version),

	TEXT("identity", vendor),
	TEXT("identity", model),
	TEXT("identity", serial),
	TEXT("identity", board_id),
	TEXT("identity", pci_id),
	TEXT("identity", subsystem_id),
	COUNT("identity", revision),

	TEXT("firmware", firmware),
	TEXT("firmware", firmware_version),
	TEXT("firmware", boot_source),
	TEXT("firmware", rom_version),
	TEXT("firmware", slot_a_error),
	TEXT("firmware", slot_b_error),
	COUNT("firmware", rollback),
	TEXT("firmware", abi_in_use),
	TEXT("firmware", abi_oldest),
	TEXT("firmware", abi_newest),

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
		    (strlen(f->key) == bytes && !memcmp(f->key, name, bytes)))
			return f;
	}
	return NULL;
}

int64_t smi_field_number(const struct smi_field *field, const struct smi_card *card)
{
	int64_t value;

	memcpy(&value, (const char *)card + field->offset, sizeof(value));
	return value;
}

const char *smi_field_text(const struct smi_field *field, const struct smi_card *card)
{
	return (const char *)card + field->offset;
}

void smi_field_set_number(const struct smi_field *field, struct smi_card *card, int64_t value)
{
	memcpy((char *)card + field->offset, &value, sizeof(value));
}

void smi_field_set_text(const struct smi_field *field, struct smi_card *card, const char *text)
{
	smi_text_clean((char *)card + field->offset, field->bytes, text, strlen(text) + 1);
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
	if (field->kind == SMI_TEXT)
		snprintf(text, bytes, "%s", smi_field_text(field, card));
	else
		smi_number_show(smi_field_number(field, card), field->divisor, field->decimals,
				text, bytes);
}

void smi_card_clear(struct smi_card *card)
{
	memset(card, 0, sizeof(*card));
	for (size_t i = 0; i < smi_field_count; i++)
		if (smi_fields[i].kind == SMI_INTEGER)
			smi_field_set_number(&smi_fields[i], card, SMI_UNKNOWN);
}

int smi_snapshot_init(struct smi_snapshot *snapshot, size_t count)
{
	struct utsname name;
	time_t now = time(NULL);
	struct tm utc;

	memset(snapshot, 0, sizeof(*snapshot));
	snapshot->window_ms = SMI_UNKNOWN;
	strftime(snapshot->time, sizeof(snapshot->time), "%Y-%m-%dT%H:%M:%SZ",
		 gmtime_r(&now, &utc));
	snprintf(snapshot->tool_version, sizeof(snapshot->tool_version), "%s",
		 AIPU_PACKAGE_VERSION);
	smi_text_clean(snapshot->library_version, sizeof(snapshot->library_version), aipu_version(),
		       SIZE_MAX);
	if (!uname(&name))
		smi_text_clean(snapshot->kernel, sizeof(snapshot->kernel), name.release,
			       sizeof(name.release));
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
