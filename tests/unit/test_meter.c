// SPDX-License-Identifier: MIT
/*
 * tools/common/meter.c over a device that the test plays: what two readings of its sensors and counters come to, and that what it
 * does not tell is not a number, never 0. The clock is the test's too (--wrap=cli_now_ms).
 */
#include <math.h>

#include "internal.h"
#include "libaipu_test.h"
#include "meter.h"

struct aipu_transport_device {
	struct aipu_telemetry telemetry;
	int error;
	unsigned int reads;
	/* Of the card below: a reading takes so long, and shows what was in its middle */
	double read_ms, idle_w;
};
static struct aipu_transport_device fake;
static double now_ms = 1000;

double __wrap_cli_now_ms(void);
double __wrap_cli_now_ms(void)
{
	return now_ms;
}

static void pass(double ms, double watt)
{
	now_ms += ms;
	fake.telemetry.energy_uj += (int64_t)(ms * watt * 1e3);
}

static int fake_open(struct aipu_transport_device **device, const char *name,
		     const struct aipu_device_options *options, struct aipu_message *message)
{
	(void)name;
	(void)options;
	(void)message;
	*device = &fake;
	return 0;
}

static void fake_close(struct aipu_transport_device *device)
{
	(void)device;
}

static int fake_telemetry(struct aipu_transport_device *device, struct aipu_telemetry *telemetry)
{
	device->reads++;
	pass(device->read_ms / 2, device->idle_w);
	if (!device->error)
		*telemetry = device->telemetry;
	pass(device->read_ms / 2, device->idle_w);
	return device->error;
}

static const struct aipu_transport_ops ops = {
	.device_open = fake_open,
	.device_close = fake_close,
	.device_telemetry = fake_telemetry,
};
/* As a transport that was written before telemetry */
static const struct aipu_transport_ops old_ops = {
	.device_open = fake_open,
	.device_close = fake_close,
};

static struct aipu_device *open_fake(const struct aipu_transport_ops *with)
{
	struct aipu_message message = { "" };
	struct aipu_device *device;
	int64_t *values = (int64_t *)&fake.telemetry;

	fake = (struct aipu_transport_device){ .error = 0 };
	for (size_t i = 0; i < sizeof(fake.telemetry) / sizeof(*values); i++)
		values[i] = AIPU_UNKNOWN;
	assert_int_equal(aipu_device_open_transport(&device, with, "fake", NULL, &message), 0);
	return device;
}

static void assert_all_unknown(const struct meter_reading *r)
{
	assert_true(isnan(r->temperature_c) && isnan(r->power_w) && isnan(r->energy_j));
	assert_true(isnan(r->read_bytes) && isnan(r->peak_gbs));
}

static void reads_differences(void **state)
{
	struct aipu_device *device = open_fake(&ops);
	struct meter_reading r;
	struct meter meter;

	(void)state;
	fake.telemetry.energy_uj = 5000000;
	fake.telemetry.memory_read_bytes = INT64_C(1) << 53;
	fake.telemetry.power_mw = 99000; /* the counter knows better */
	meter_start(&meter, device);
	now_ms += 125;
	fake.telemetry.energy_uj += 250000;
	fake.telemetry.memory_read_bytes += 4096;
	fake.telemetry.temperature_mc = -1500;
	fake.telemetry.memory_peak_mbs = 25600;
	meter_stop(&meter, device, &r);
	assert_int_equal(fake.reads, 2);
	assert_true(fabs(r.energy_j - 0.25) < 1e-12);
	assert_true(r.read_bytes == 4096);
	assert_true(r.temperature_c == -1.5);
	assert_true(fabs(r.peak_gbs - 25.6) < 1e-12);
	assert_true(fabs(r.seconds - 0.125) < 1e-12);
	assert_true(fabs(r.power_w - 2) < 1e-12);
	aipu_device_close(device);
}

/* A card's reading takes longer than the work may: energy and bytes are set against the time in which they were counted */
static void a_slow_reading_is_time_too(void **state)
{
	static const double work_ms[] = { 0.25, 1, 40, 5000 }, read_ms[] = { 0, 4, 30 };
	struct aipu_device *device = open_fake(&ops);
	struct meter_reading r;
	struct meter meter;

	(void)state;
	fake.telemetry.energy_uj = 0;
	fake.idle_w = 10;
	for (size_t i = 0; i < 4; i++) {
		for (size_t j = 0; j < 3; j++) {
			fake.read_ms = read_ms[j];
			/* Nothing is more than it takes at work, or less than at rest */
			meter_start(&meter, device);
			pass(work_ms[i], 50);
			meter_stop(&meter, device, &r);
			assert_true(fabs(r.seconds * 1e3 - work_ms[i] - read_ms[j]) < 1e-9);
			assert_true(fabs(r.power_w * (work_ms[i] + read_ms[j]) -
					 (50 * work_ms[i] + 10 * read_ms[j])) < 1e-6);
			/* and at rest it is what the sensor shows */
			meter_start(&meter, device);
			pass(work_ms[i], 10);
			meter_stop(&meter, device, &r);
			assert_true(fabs(r.power_w - 10) < 1e-6);
		}
	}
	aipu_device_close(device);
}

/* A device with a sensor of power and nothing that counts energy */
static void takes_the_sensor(void **state)
{
	struct aipu_device *device = open_fake(&ops);
	struct meter_reading r;
	struct meter meter;

	(void)state;
	meter_start(&meter, device);
	fake.telemetry.power_mw = 12500;
	meter_stop(&meter, device, &r);
	assert_true(fabs(r.power_w - 12.5) < 1e-12);
	assert_true(isnan(r.energy_j));
	aipu_device_close(device);
}

static void a_counter_that_began_anew(void **state)
{
	struct aipu_device *device = open_fake(&ops);
	struct meter_reading r;
	struct meter meter;

	(void)state;
	fake.telemetry.energy_uj = 100;
	fake.telemetry.memory_read_bytes = 100;
	meter_start(&meter, device);
	fake.telemetry.energy_uj = 99;
	fake.telemetry.memory_read_bytes = 99;
	meter_stop(&meter, device, &r);
	assert_all_unknown(&r);
	/* and one that is there the second time only */
	fake.telemetry.energy_uj = AIPU_UNKNOWN;
	meter_start(&meter, device);
	fake.telemetry.energy_uj = 5;
	meter_stop(&meter, device, &r);
	assert_true(isnan(r.energy_j));
	/* Nothing happened is a number */
	meter_start(&meter, device);
	meter_stop(&meter, device, &r);
	assert_true(r.energy_j == 0 && r.read_bytes == 0);
	aipu_device_close(device);
}

static void unknown_is_no_number(void **state)
{
	struct aipu_device *device = open_fake(&ops);
	struct meter_reading r;
	struct meter meter;

	(void)state;
	meter_start(&meter, device);
	meter_stop(&meter, device, &r);
	assert_all_unknown(&r);
	fake.error = -EIO;
	fake.telemetry.energy_uj = 1;
	meter_start(&meter, device);
	meter_stop(&meter, device, &r);
	assert_all_unknown(&r);
	aipu_device_close(device);

	device = open_fake(&old_ops);
	meter_start(&meter, device);
	meter_stop(&meter, device, &r);
	assert_all_unknown(&r);
	aipu_device_close(device);

	meter_unknown(&r);
	assert_all_unknown(&r);
	assert_true(isnan(r.seconds));
}

static void ratios(void **state)
{
	(void)state;
	assert_true(meter_ratio(6, 4) == 1.5);
	assert_true(isnan(meter_ratio(6, 0)) && isnan(meter_ratio(NAN, 4)));
	assert_true(isnan(meter_ratio(6, NAN)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_differences),
		cmocka_unit_test(a_slow_reading_is_time_too),
		cmocka_unit_test(takes_the_sensor),
		cmocka_unit_test(a_counter_that_began_anew),
		cmocka_unit_test(unknown_is_no_number),
		cmocka_unit_test(ratios),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("meter", tests, NULL, NULL);
}
