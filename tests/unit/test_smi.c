// SPDX-License-Identifier: GPL-2.0-or-later
/* aipu-smi's parsers and what it makes of two looks at a card. GPL as it takes the code of a tool that is. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu-smi/fdinfo.h"
#include "aipu-smi/incidents.h"
#include "aipu-smi/snapshot.h"

/* --- fdinfo -------------------------------------------------------------------------------------- */

static bool parse(const char *text, struct smi_client *client)
{
	char *exact = malloc(strlen(text) + 1);
	bool ours;

	/* No zero behind it that a reader beyond the end would find */
	memcpy(exact, text, strlen(text));
	ours = smi_fdinfo_parse(exact, strlen(text), client);
	free(exact);
	return ours;
}

#define HEAD "drm-driver:\taipu_accel\ndrm-client-id:\t7\ndrm-pdev:\t0000:01:00.0\n"

static void a_client_of_the_driver(void **state)
{
	struct smi_client c;

	(void)state;
	assert_true(parse("pos:\t0\nflags:\t02100002\n" HEAD
			  "drm-engine-compute:\t123456789012 ns\n"
			  "drm-total-device:\t3 MiB\ndrm-shared-device:\t0\n"
			  "drm-resident-device:\t2 MiB\ndrm-total-host:\t12 KiB\n"
			  "drm-resident-host:\t4096\naipu_accel-jobs:\t42\n"
			  "aipu_accel-kv-device:\t1024 KiB\naipu_accel-kv-host:\t0 KiB\n",
			  &c));
	assert_string_equal(c.pci, "0000:01:00.0");
	assert_int_equal(c.id, 7);
	assert_int_equal(c.engine_ns, 123456789012);
	assert_int_equal(c.device_bytes, 3 << 20);
	assert_int_equal(c.device_resident_bytes, 2 << 20);
	assert_int_equal(c.host_bytes, 12 << 10);
	assert_int_equal(c.host_resident_bytes, 4096);
	assert_int_equal(c.device_kv_bytes, 1 << 20);
	assert_int_equal(c.host_kv_bytes, 0);
	assert_int_equal(c.jobs, 42);
}

static void engines_are_summed_and_capacities_are_not(void **state)
{
	struct smi_client c;

	(void)state;
	assert_true(parse(HEAD "drm-engine-compute:\t5 ns\ndrm-engine-copy:\t6 ns\n"
			       "drm-engine-capacity-compute:\t4\n",
			  &c));
	assert_int_equal(c.engine_ns, 11);
}

static void what_is_not_there_is_unknown(void **state)
{
	struct smi_client c;

	(void)state;
	assert_true(parse(HEAD, &c));
	assert_true(c.engine_ns == SMI_UNKNOWN && c.jobs == SMI_UNKNOWN);
	assert_true(c.device_bytes == SMI_UNKNOWN && c.host_bytes == SMI_UNKNOWN);
	assert_true(c.device_kv_bytes == SMI_UNKNOWN && c.host_kv_bytes == SMI_UNKNOWN);
	/* A last line may have no end */
	assert_true(parse(HEAD "drm-total-device:\t5", &c));
	assert_int_equal(c.device_bytes, 5);
}

static void a_number_that_is_none_is_unknown(void **state)
{
	static const char *const bad[] = { "",
					   "-1",
					   "0x10",
					   "5 GB",
					   "KiB",
					   "5 KiB ",
					   "9223372036854775808",
					   "9007199254740993 KiB",
					   "5\t" };
	struct smi_client c;
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(text, sizeof(text), HEAD "drm-total-device:\t%s\n", bad[i]);
		assert_true(parse(text, &c));
		assert_true(c.device_bytes == SMI_UNKNOWN);
	}
}

static void others_are_not_ours(void **state)
{
	struct smi_client c;

	(void)state;
	assert_false(parse("", &c));
	assert_false(parse("drm-driver:\ti915\ndrm-client-id:\t7\ndrm-pdev:\t0000:01:00.0\n", &c));
	assert_false(parse("drm-driver:\taipu_accel2\ndrm-client-id:\t7\ndrm-pdev:\tx\n", &c));
	assert_false(parse("drm-driver:\taipu_accel\ndrm-pdev:\t0000:01:00.0\n", &c));
	assert_false(parse("drm-driver:\taipu_accel\ndrm-client-id:\t7\n", &c));
	assert_false(parse("drm-driver:\taipu_accel\ndrm-client-id:\t7x\ndrm-pdev:\tx\n", &c));
	assert_false(parse("drm-driver aipu_accel\n", &c));
}

static void escapes_do_not_get_through(void **state)
{
	struct smi_client c;

	(void)state;
	assert_true(parse("drm-driver:\taipu_accel\ndrm-client-id:\t7\ndrm-pdev:\t\033[2J\n", &c));
	assert_string_equal(c.pci, "?[2J");
}

/* --- what happened between two looks ------------------------------------------------------------- */

static void clear(struct smi_sample *sample)
{
	int64_t *values = (int64_t *)&sample->telemetry;

	memset(sample, 0, sizeof(*sample));
	for (size_t i = 0; i < sizeof(sample->telemetry) / sizeof(*values); i++)
		values[i] = SMI_UNKNOWN;
}

static void nothing_happened(void **state)
{
	struct smi_incident got[SMI_MAX_INCIDENTS];
	struct smi_sample a, b;

	(void)state;
	clear(&a);
	clear(&b);
	assert_int_equal(smi_incidents(&a, &b, got), 0);
	/* What becomes known has not happened now */
	b.telemetry.ras_events = 5;
	b.telemetry.throttle = 1;
	assert_int_equal(smi_incidents(&a, &b, got), 0);
}

static void everything_happened(void **state)
{
	static const char *const kinds[SMI_MAX_INCIDENTS] = {
		"reset", "state",	"corrected_errors", "uncorrected_errors",
		"ras",	 "temperature", "throttle",
	};
	struct smi_incident got[SMI_MAX_INCIDENTS];
	struct smi_sample a, b;

	(void)state;
	clear(&a);
	a.telemetry.card_resets = a.telemetry.corrected_errors = 1;
	a.telemetry.uncorrected_errors = a.telemetry.ras_events = 1;
	a.telemetry.temperature_events = a.telemetry.throttle = 1;
	b = a;
	b.telemetry.card_resets = 2;
	b.telemetry.corrected_errors = 4;
	b.telemetry.uncorrected_errors = 5;
	b.telemetry.ras_events = 6;
	b.telemetry.temperature_events = 7;
	b.telemetry.throttle = 0;
	b.info.state = AIPU_DEVICE_WEDGED;
	assert_int_equal(smi_incidents(&a, &b, got), 7);
	for (int i = 0; i < 7; i++)
		assert_string_equal(got[i].kind, kinds[i]);
	/* Two count resets: which one it is has to be told */
	assert_string_equal(got[0].counter, "card_resets");
	assert_string_equal(got[4].counter, "ras_events");
	assert_null(got[1].counter);
	assert_null(got[6].counter);
	assert_int_equal(got[0].count, 1);
	assert_int_equal(got[2].count, 3);
	assert_int_equal(got[5].total, 7);
	assert_string_equal(got[1].text, "wedged");
	assert_string_equal(got[6].text, "none");
}

static void a_driver_goes_and_comes(void **state)
{
	struct smi_incident got[SMI_MAX_INCIDENTS];
	struct smi_sample a, b;

	(void)state;
	clear(&a);
	b = a;
	b.info_error = b.telemetry_error = -ENODEV;
	strcpy(b.state, "no driver");
	assert_int_equal(smi_incidents(&a, &b, got), 1);
	assert_string_equal(got[0].text, "no driver");
	assert_int_equal(smi_incidents(&b, &b, got), 0);
	assert_int_equal(smi_incidents(&b, &a, got), 1);
	assert_string_equal(got[0].text, "ready");
}

static void counters_wrap_or_begin_anew(void **state)
{
	struct smi_incident got[SMI_MAX_INCIDENTS];
	struct smi_sample a, b;

	(void)state;
	clear(&a);
	a.telemetry.corrected_errors = 0xfffffffe;
	b = a;
	b.telemetry.corrected_errors = 3;
	assert_int_equal(smi_incidents(&a, &b, got), 1);
	assert_int_equal(got[0].count, 5);
	a.telemetry.corrected_errors = 1000;
	assert_int_equal(smi_incidents(&a, &b, got), 1);
	assert_int_equal(got[0].count, 3);
}

static void resets_are_counted_without_telemetry_too(void **state)
{
	struct smi_incident got[SMI_MAX_INCIDENTS];
	struct smi_sample a, b;

	(void)state;
	clear(&a);
	a.telemetry_error = -EOPNOTSUPP;
	a.info.resets = 3;
	b = a;
	b.info.resets = 5;
	assert_int_equal(smi_incidents(&a, &b, got), 1);
	assert_string_equal(got[0].kind, "reset");
	assert_int_equal(got[0].count, 2);
	b.info_error = -ENODEV;
	assert_int_equal(smi_incidents(&a, &b, got), 1);
	assert_string_equal(got[0].text, "not responding");
}

/* --- rates --------------------------------------------------------------------------------------- */

static struct smi_card described(int64_t busy_before, int64_t busy_now, double ms)
{
	struct smi_device device = { .soft = true, .device = (struct aipu_device *)1 };
	struct smi_sample a, b;
	struct smi_card card;

	clear(&a);
	clear(&b);
	a.telemetry.busy_us = busy_before;
	b.telemetry.busy_us = busy_now;
	b.at_ms = ms;
	smi_describe(&device, &a, &b, &card);
	return card;
}

static void utilization_is_growth_over_time(void **state)
{
	(void)state;
	assert_int_equal(described(1000, 51000, 200).utilization_permille, 250);
	assert_int_equal(described(0, 0, 200).utilization_permille, 0);
	assert_int_equal(described(0, 201000, 200).utilization_permille, 1000);
	/* A reset in between, or no time */
	assert_true(described(51000, 1000, 200).utilization_permille == SMI_UNKNOWN);
	assert_true(described(0, 0, 0).utilization_permille == SMI_UNKNOWN);
	assert_true(described(SMI_UNKNOWN, 1, 200).utilization_permille == SMI_UNKNOWN);
}

/* A step ends within the first `torn` readings: traffic is read before it, time and number of steps behind it */
static int readings, torn;

static int reading(struct aipu_device *device, struct aipu_telemetry *telemetry)
{
	int steps = readings < torn ? readings : torn;

	(void)device;
	memset(telemetry, 0, sizeof(*telemetry));
	telemetry->memory_read_bytes = 1000 * steps;
	readings++;
	steps = readings < torn ? readings : torn;
	telemetry->busy_us = 10 * steps;
	telemetry->steps = steps;
	return 0;
}

static int no_reading(struct aipu_device *device, struct aipu_telemetry *telemetry)
{
	(void)device;
	(void)telemetry;
	readings++;
	return -EIO;
}

static void counters_are_of_one_moment(void **state)
{
	struct smi_sample sample;

	(void)state;
	for (torn = 0; torn < 4; torn++) {
		readings = 0;
		smi_settle(&sample, reading, NULL);
		assert_int_equal(sample.telemetry.memory_read_bytes, 1000 * torn);
		assert_int_equal(sample.telemetry.busy_us, 10 * torn);
		assert_int_equal(readings, torn ? torn + 1 : 2);
	}
	/* It comes to an end whatever the card does */
	torn = 1000000;
	readings = 0;
	smi_settle(&sample, reading, NULL);
	assert_in_range(readings, 2, 10);
	readings = 0;
	smi_settle(&sample, no_reading, NULL);
	assert_int_equal(readings, 1);
	assert_int_equal(sample.telemetry_error, -EIO);
}

/* --- snapshots ----------------------------------------------------------------------------------- */

/* Each field another value, so that none takes the place of another */
static void fill(struct smi_card *card)
{
	for (size_t i = 0; i < smi_field_count; i++) {
		const struct field *field = &smi_fields[i].json;
		char *at = (char *)card + field->offset;
		int64_t number = (int64_t)i - 5;

		if (field->name && field->kind == FIELD_TEXT)
			snprintf(at, field->bytes, "v%zu", i);
		else if (field->name)
			memcpy(at, &number, sizeof(number));
	}
	card->flash.count = CARD_SLOTS;
	card->flash.active = 1;
	for (uint32_t i = 0; i < CARD_SLOTS; i++) {
		struct card_slot *slot = &card->flash.slots[i];

		slot->present = true;
		slot->state = AIPU_FLASH_TRIAL + i;
		slot->tries = 1 + i;
		slot->error = AIPU_ERROR_FIRMWARE_DIGEST + i;
		slot->version = 0x01020003 + i;
		slot->contract_oldest = 0x10000 + i;
		slot->contract_newest = 0x10005 + i;
		slot->board = 0x1234 + i;
		slot->rollback = 7 + i;
		slot->bytes = 123456789012 + i;
		snprintf(slot->build, sizeof(slot->build), "build %u", i);
		snprintf(slot->error_text, sizeof(slot->error_text), "error %u", i);
		memset(slot->digest, (int)(0xf0 + i), sizeof(slot->digest));
	}
	smi_card_slots(card);
}

static void what_is_written_is_read(void **state)
{
	struct smi_snapshot wrote, got;
	char *text = NULL, why[FIELD_WHY];
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	(void)state;
	assert_int_equal(smi_snapshot_init(&wrote, 1), 0);
	fill(&wrote.cards[0]);
	assert_string_equal(wrote.cards[0].slot_a_error,
			    aipu_error_text(AIPU_ERROR_FIRMWARE_DIGEST));
	assert_int_equal(smi_json_write(out, &wrote, true), 0);
	fclose(out);
	assert_int_equal(smi_json_read(text, bytes, &got, why), 0);
	assert_int_equal(got.count, 1);
	assert_memory_equal(got.cards, wrote.cards, sizeof(*got.cards));
	assert_memory_equal(&got.head, &wrote.head, sizeof(got.head));
	free(text);
	smi_snapshot_free(&wrote);
	smi_snapshot_free(&got);
}

static int read_text(const char *text, struct smi_snapshot *snapshot, char why[FIELD_WHY])
{
	return smi_json_read(text, strlen(text), snapshot, why);
}

#define ROOT "{\"tool\":\"aipu-smi\",\"schema_version\":2,"

static void what_is_no_snapshot_says_why(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "line" },
		{ "[]", "schema_version, tool and cards are expected" },
		{ "{\"schema_version\":2}", "tool is missing" },
		{ "{\"schema_version\":2,\"cards\":[]}", "tool is missing" },
		{ "{\"tool\":\"x\",\"schema_version\":2,\"cards\":[]}",
		  "tool is \"x\"; aipu-smi, aipu-fwcheck or aipu-fw is expected" },
		{ ROOT "\"a\":1}", "no list of cards" },
		{ ROOT "\"cards\":[]}\n{}\n", "line 2: more follows the snapshot" },
		{ ROOT "\"cards\":[],\"cards\":[]}", "line 1: duplicate" },
		{ "{\"tool\":\"aipu-smi\",\"schema_version\":3,\"cards\":[]}",
		  "schema_version is 3, this aipu-smi reads 2" },
		{ ROOT "\"window_ms\":\"1\",\"cards\":[]}",
		  "window_ms: \"1\": an integer or null is expected" },
		{ ROOT "\"cards\":[1]}", "cards[0]: 1: an object or null is expected" },
		{ ROOT "\"cards\":[{\"power_mw\":\"5\"}]}",
		  "cards[0].power_mw: \"5\": an integer or null" },
		{ ROOT "\"cards\":[{},{\"power_mw\":0.5}]}",
		  "cards[1].power_mw: 0.5: an integer or null" },
		{ ROOT "\"cards\":[{\"state\":5}]}", "cards[0].state: 5: a text or null" },
		{ ROOT "\"cards\":[{\"slots\":[{\"tries\":-1}]}]}",
		  "cards[0].slots[0].tries: -1: a number of 32 bits" },
	};
	struct smi_snapshot snapshot;
	char why[FIELD_WHY];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(read_text(bad[i].text, &snapshot, why), -EINVAL);
		if (!strstr(why, bad[i].why))
			fail_msg("%s: %s", bad[i].text, why);
	}
}

static void unknown_keys_are_passed_over_and_missing_ones_unknown(void **state)
{
	struct smi_snapshot snapshot;
	char why[FIELD_WHY];

	(void)state;
	assert_int_equal(read_text(ROOT "\"new\":{},\"cards\":[{\"new\":[1]}]}", &snapshot, why),
			 0);
	assert_int_equal(snapshot.count, 1);
	assert_true(snapshot.cards[0].power_mw == SMI_UNKNOWN);
	assert_string_equal(snapshot.cards[0].state, "");
	assert_int_equal(snapshot.cards[0].flash.count, UNKNOWN32);
	assert_string_equal(snapshot.cards[0].slot_a_error, "");
	smi_snapshot_free(&snapshot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_of_the_driver),
		cmocka_unit_test(engines_are_summed_and_capacities_are_not),
		cmocka_unit_test(what_is_not_there_is_unknown),
		cmocka_unit_test(a_number_that_is_none_is_unknown),
		cmocka_unit_test(others_are_not_ours),
		cmocka_unit_test(escapes_do_not_get_through),
		cmocka_unit_test(nothing_happened),
		cmocka_unit_test(everything_happened),
		cmocka_unit_test(a_driver_goes_and_comes),
		cmocka_unit_test(counters_wrap_or_begin_anew),
		cmocka_unit_test(resets_are_counted_without_telemetry_too),
		cmocka_unit_test(utilization_is_growth_over_time),
		cmocka_unit_test(counters_are_of_one_moment),
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_no_snapshot_says_why),
		cmocka_unit_test(unknown_keys_are_passed_over_and_missing_ones_unknown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
