/* SPDX-License-Identifier: MIT */
/*
 * What a stretch of work took of the device: its sensors and counters, read before and after. Called by aipu-gen and
 * aipu-bench, where somebody asked for it: it reads the device twice and does nothing in between. The counters are the
 * device's: work of other processes on the same card is part of what they tell.
 */
#ifndef AIPU_METER_H
#define AIPU_METER_H

#include "aipu/manage.h"

struct meter {
	struct aipu_telemetry start;
	double start_ms;
};

/* NAN: the device does not tell, or its counter went back in between, as it does where it lost power */
struct meter_reading {
	double temperature_c; /* at the end */
	double power_w; /* mean of the time, by the counter of energy; without one the sensor's, at the end */
	double energy_j;
	double read_bytes; /* of device memory, by steps */
	double seconds; /* between the middles of the two readings: what the counters had for it */
	double peak_gbs; /* bandwidth of device memory as the device tells it, 10^9 bytes per second */
};

void meter_start(struct meter *meter, struct aipu_device *device);
void meter_stop(const struct meter *meter, struct aipu_device *device,
		struct meter_reading *reading);
/* A reading of nothing: all NAN */
void meter_unknown(struct meter_reading *reading);

/* value / by; NAN: one of them is not known, or there is nothing to divide by */
double meter_ratio(double value, double by);

#endif
