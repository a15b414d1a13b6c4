// SPDX-License-Identifier: MIT
/*
 * See meter.h. Keeps nothing.
 */
#include "meter.h"

#include <math.h>

#include "cli.h"

static double known(int64_t value, double unit)
{
	return value == AIPU_UNKNOWN ? NAN : (double)value * unit;
}

static double difference(int64_t before, int64_t after, double unit)
{
	if (before == AIPU_UNKNOWN || after == AIPU_UNKNOWN || after < before)
		return NAN;
	return (double)(after - before) * unit;
}

double meter_ratio(double value, double by)
{
	return by > 0 ? value / by : NAN;
}

void meter_unknown(struct meter_reading *reading)
{
	*reading = (struct meter_reading){ NAN, NAN, NAN, NAN, NAN, NAN };
}

/*
 * Returns when it was read: the middle of the call, which takes milliseconds on a card. The counters go on meanwhile, so a time
 * from before one reading and from after the other would leave out, or count twice, what they counted in between.
 */
static double read_at_ms(struct aipu_device *device, struct aipu_telemetry *telemetry)
{
	double before_ms = cli_now_ms();

	/* Where that fails everything is AIPU_UNKNOWN */
	aipu_device_telemetry(device, telemetry);
	return (before_ms + cli_now_ms()) / 2;
}

void meter_start(struct meter *meter, struct aipu_device *device)
{
	meter->start_ms = read_at_ms(device, &meter->start);
}

void meter_stop(const struct meter *meter, struct aipu_device *device,
		struct meter_reading *reading)
{
	const struct aipu_telemetry *start = &meter->start;
	struct aipu_telemetry stop;
	double stop_ms = read_at_ms(device, &stop);

	reading->seconds = (stop_ms - meter->start_ms) * 1e-3;
	reading->temperature_c = known(stop.temperature_mc, 1e-3);
	reading->energy_j = difference(start->energy_uj, stop.energy_uj, 1e-6);
	reading->power_w = meter_ratio(reading->energy_j, reading->seconds);
	if (isnan(reading->power_w))
		reading->power_w = known(stop.power_mw, 1e-3);
	reading->read_bytes = difference(start->memory_read_bytes, stop.memory_read_bytes, 1);
	reading->peak_gbs = known(stop.memory_peak_mbs, 1e-3);
}
