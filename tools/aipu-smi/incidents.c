// SPDX-License-Identifier: GPL-2.0-or-later
/* See incidents.h. Keeps nothing. */
#include "incidents.h"

#include <string.h>

#define HALF (1ull << 31)

struct incident_list {
	struct smi_incident *at;
	size_t count;
};

static void add(struct incident_list *list, const char *kind, const char *text, const char *counter,
		int64_t count, int64_t total)
{
	struct smi_incident *i = &list->at[list->count++];

	*i = (struct smi_incident){
		.kind = kind, .counter = counter, .count = count, .total = total
	};
	snprintf(i->text, sizeof(i->text), "%s", text);
}

static const char *state_name(const struct smi_sample *sample)
{
	static const char *const names[] = { "ready", "resetting", "wedged" };

	if (sample->state[0])
		return sample->state;
	if (sample->info_error)
		return "not responding";
	return sample->info.state < 3 ? names[sample->info.state] : "unknown";
}

/*
 * What a counter grew by. Those of the card are 32 bits wide and wrap; one that is lower by more than half of that range did not
 * wrap: the card lost its power, and the counter began anew.
 */
static int64_t growth(int64_t before, int64_t now)
{
	uint64_t wrapped = (uint64_t)now - (uint64_t)before;

	if (before == SMI_UNKNOWN || now == SMI_UNKNOWN)
		return 0;
	if (now >= before)
		return now - before;
	wrapped &= UINT32_MAX;
	return before <= UINT32_MAX && wrapped < HALF ? (int64_t)wrapped : now;
}

static void count(struct incident_list *list, const char *kind, const char *counter, int64_t before,
		  int64_t now)
{
	int64_t more = growth(before, now);

	if (more > 0)
		add(list, kind, "", counter, more, now);
}

static void throttle(struct incident_list *list, int64_t before, int64_t now)
{
	char text[64];

	if (before == SMI_UNKNOWN || now == SMI_UNKNOWN || before == now)
		return;
	smi_throttle_text(text, sizeof(text), now);
	add(list, "throttle", text, NULL, SMI_UNKNOWN, SMI_UNKNOWN);
}

size_t smi_incidents(const struct smi_sample *before, const struct smi_sample *now,
		     struct smi_incident incidents[SMI_MAX_INCIDENTS])
{
	const struct aipu_telemetry *a = &before->telemetry, *b = &now->telemetry;
	struct incident_list list = { .at = incidents };

	if (!before->telemetry_error && !now->telemetry_error && a->card_resets != SMI_UNKNOWN)
		count(&list, "reset", "card_resets", a->card_resets, b->card_resets);
	else if (!before->info_error && !now->info_error)
		count(&list, "reset", "resets", before->info.resets, now->info.resets);
	if (strcmp(state_name(before), state_name(now)))
		add(&list, "state", state_name(now), NULL, SMI_UNKNOWN, SMI_UNKNOWN);
	if (before->telemetry_error || now->telemetry_error)
		return list.count;
	count(&list, "corrected_errors", "corrected_errors", a->corrected_errors,
	      b->corrected_errors);
	count(&list, "uncorrected_errors", "uncorrected_errors", a->uncorrected_errors,
	      b->uncorrected_errors);
	count(&list, "ras", "ras_events", a->ras_events, b->ras_events);
	count(&list, "temperature", "temperature_events", a->temperature_events,
	      b->temperature_events);
	throttle(&list, a->throttle, b->throttle);
	return list.count;
}
