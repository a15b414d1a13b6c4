// SPDX-License-Identifier: GPL-2.0-or-later
/* aipu-smi events: a line for all that happens to cards, until it is ended. Looks every so often; see incidents.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "incidents.h"
#include "watch.h"

#define DEFAULT_INTERVAL_MS 1000

struct events {
	struct smi_devices devices;
	struct smi_sample *samples; /* the last of each card that answered */
	struct smi_terminal terminal;
	uint64_t interval_ms, count, written;
	bool as_json;
	bool all; /* no card was named: those that come are of interest too */
	int code;
};

static void time_text(char text[32])
{
	struct timespec now;
	struct tm utc;
	size_t used;

	clock_gettime(CLOCK_REALTIME, &now);
	used = strftime(text, 24, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &utc));
	snprintf(text + used, 32 - used, ".%03dZ", (int)(now.tv_nsec / 1000000));
}

static json_t *number(int64_t value)
{
	return value == SMI_UNKNOWN ? json_null() : json_integer(value);
}

static void write_json(const struct smi_device *device, const struct smi_incident *i,
		       const char *when)
{
	json_t *line = json_pack("{s:i, s:s, s:s, s:s, s:s?, s:o, s:o, s:s?}", "schema_version",
				 SMI_SCHEMA_VERSION, "time", when, "device",
				 smi_device_name(device), "event", i->kind, "is",
				 i->text[0] ? i->text : NULL, "count", number(i->count), "total",
				 number(i->total), "counter", i->counter);

	if (!line)
		return;
	json_dumpf(line, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(line);
}

static void write_text(const struct smi_device *device, const struct smi_incident *i,
		       const char *when)
{
	printf("%s  %s  %s ", when, smi_device_name(device), i->kind);
	if (i->text[0])
		printf("%s\n", i->text);
	else
		printf("%" PRId64 ", %s%snow %" PRId64 "\n", i->count,
		       strcmp(i->kind, i->counter) ? i->counter : "",
		       strcmp(i->kind, i->counter) ? " " : "", i->total);
}

static void keep_known(int64_t *last, int64_t now)
{
	if (now != SMI_UNKNOWN)
		*last = now;
}

/* Counters of a card that does not answer, or is being reset, are compared when they are known again */
static void keep(struct smi_sample *last, const struct smi_sample *now)
{
	last->info_error = now->info_error;
	last->off_the_bus = now->off_the_bus;
	memcpy(last->state, now->state, sizeof(last->state));
	if (!now->info_error)
		last->info = now->info;
	if (now->telemetry_error)
		return;
	if (last->telemetry_error) {
		last->telemetry = now->telemetry;
		last->telemetry_error = 0;
		return;
	}
	keep_known(&last->telemetry.card_resets, now->telemetry.card_resets);
	keep_known(&last->telemetry.corrected_errors, now->telemetry.corrected_errors);
	keep_known(&last->telemetry.uncorrected_errors, now->telemetry.uncorrected_errors);
	keep_known(&last->telemetry.ras_events, now->telemetry.ras_events);
	keep_known(&last->telemetry.temperature_events, now->telemetry.temperature_events);
	keep_known(&last->telemetry.throttle, now->telemetry.throttle);
}

/* False when there is no more to be done; e->code says why */
static bool look(struct events *e, size_t index)
{
	const struct smi_device *device = &e->devices.list[index];
	struct smi_incident incidents[SMI_MAX_INCIDENTS];
	struct smi_sample now;
	size_t count;
	char when[32];

	smi_sample(device, &now);
	count = smi_incidents(&e->samples[index], &now, incidents);
	time_text(when);
	for (size_t i = 0; i < count; i++) {
		if (e->as_json)
			write_json(device, &incidents[i], when);
		else
			write_text(device, &incidents[i], when);
		e->code = smi_flush(CLI_OK);
		if (e->code || ++e->written == e->count)
			return false;
	}
	keep(&e->samples[index], &now);
	return true;
}

static void run(struct events *e)
{
	for (;;) {
		switch (smi_terminal_wait(&e->terminal, (double)e->interval_ms)) {
		case SMI_TIME:
			if (smi_devices_again(&e->devices, &e->samples, e->all)) {
				e->code = smi_fail(CLI_FAILED, "out of memory");
				return;
			}
			for (size_t i = 0; i < e->devices.count; i++)
				if (!look(e, i))
					return;
			break;
		default:
			return;
		}
	}
}

/* A line for each card that cannot be looked at; false: there is no other */
static bool some_open(const struct smi_devices *devices, int *code)
{
	bool some = false;

	for (size_t i = 0; i < devices->count; i++) {
		const struct smi_device *d = &devices->list[i];

		if (!d->device)
			*code = smi_worse(*code, smi_fail(d->code, "%s: %s", smi_device_name(d),
							  d->problem));
		some = some || d->device;
	}
	return some;
}

static int events_run(struct events *e)
{
	int code = CLI_OK;

	if (!some_open(&e->devices, &code))
		return code;
	e->samples = calloc(e->devices.count, sizeof(*e->samples));
	if (!e->samples)
		return smi_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < e->devices.count; i++)
		smi_sample(&e->devices.list[i], &e->samples[i]);
	if (smi_terminal_start(&e->terminal, false, false))
		return smi_fail(CLI_FAILED, "signals cannot be read");
	run(e);
	smi_terminal_end(&e->terminal);
	if (e->terminal.signal)
		return smi_terminal_code(&e->terminal);
	return e->code ? e->code : code;
}

enum { OPT_COUNT = 256, OPT_INTERVAL, OPT_JSON };

static bool take(void *to, int c, char **argv)
{
	struct events *e = to;

	(void)argv;
	switch (c) {
	case OPT_COUNT:
		return cli_integer(SMI_TOOL, "--count", optarg, 1, INT64_MAX, &e->count);
	case OPT_INTERVAL:
		return cli_integer(SMI_TOOL, "--interval", optarg, 10, 86400000, &e->interval_ms);
	default:
		e->as_json = true;
		return true;
	}
}

int smi_events(int argc, char **argv)
{
	static const struct option own[] = { { "count", required_argument, NULL, OPT_COUNT },
					     { "interval", required_argument, NULL, OPT_INTERVAL },
					     { "json", no_argument, NULL, OPT_JSON },
					     { NULL, 0, NULL, 0 } };
	static const struct smi_options options = { own, ":i:h", take };
	struct events e = { .interval_ms = DEFAULT_INTERVAL_MS };
	struct picks picks = { .count = 0 };
	int code = smi_options(argc, argv, &options, &picks, &e);

	if (!code)
		code = smi_no_operand(argc, argv);
	if (code)
		return code;
	smi_signals_hold();
	code = smi_devices_open(&e.devices, &picks);
	if (code)
		return code;
	e.all = !picks.count;
	code = events_run(&e);
	free(e.samples);
	smi_devices_close(&e.devices);
	return code;
}
