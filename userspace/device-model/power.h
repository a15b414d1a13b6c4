/* SPDX-License-Identifier: MIT */
/*
 * What the device takes and how warm it gets: energy, power, temperature, and the clock that both decide. docs/device.md
 * has the theory, and a reason for each number of this page, which is the only place where they stand.
 *
 * The engine changes all of this, under the device's lock where others read it; a register read computes what has become of
 * it since, and changes nothing. Time is the host's clock (ops.clock).
 */
#ifndef AIPU_DM_POWER_H
#define AIPU_DM_POWER_H

#include "model.h"

struct aipu_dm;

/* Energy of the work, in femtojoules: X(field of struct dm_work, energy of one) */
#define DM_ENERGY_LIST(X)                                       \
	X(read, 64000) /* a byte from device memory */          \
	X(written, 72000) /* a byte to it */                    \
	X(operations, 400) /* a multiplication with addition */ \
	X(bus, 48000) /* a byte that COPY or FILL moves over the bus */

#define DM_POWER_IDLE_MW 10000u /* always, at any clock */
#define DM_POWER_LIMIT_MAX_MW 150000u /* and default */
#define DM_POWER_LIMIT_MIN_MW 10500u
#define DM_POWER_MEAN_NS 100000000u /* time constant of what POWER reads */
/* The firmware looks at its sensors, and sets the clock, so often at most; at each step boundary where steps are longer */
#define DM_POWER_PERIOD_NS 1000000u

#define DM_CLOCK_MAX_MHZ 1000u /* limit by default: the work at its own speed */
#define DM_CLOCK_LIMIT_MIN_MHZ 200u
#define DM_CLOCK_LOW_MHZ 100u /* the lowest: too warm, or power that no clock limit gets down to */

/* Millidegrees Celsius */
#define DM_AMBIENT_C 25u /* unless configured, in degrees */
#define DM_AMBIENT_MAX_C 150u
#define DM_HEAT_RESISTANCE 0.4 /* kelvin per watt: millikelvin per milliwatt */
#define DM_HEAT_TAU_NS 10e9
#define DM_TEMPERATURE_THROTTLE 95000
#define DM_TEMPERATURE_HYSTERESIS 5000
#define DM_TEMPERATURE_SHUTDOWN 105000

/* At one moment */
struct dm_heat {
	double temperature; /* millidegrees */
	double mean; /* what POWER reads, mW */
};

/* What SET_LIMITS takes; the most is also the default */
struct dm_range {
	uint32_t least, most;
};

struct dm_power {
	/* As of `since`; the engine writes it under the device's lock, and is the only one to read it without */
	uint64_t since;
	struct dm_heat heat;
	uint64_t energy_uj, energy_fj; /* since power-on; the second below 1 uJ */
	double ambient; /* millidegrees */
	bool hot; /* the temperature holds the clock down */
	uint32_t allowed; /* clock that the power limit leaves, MHz */
	uint32_t clock; /* what all reasons together leave, MHz */
	uint32_t power_limit, clock_limit; /* mW, MHz */
	struct dm_range power_range, clock_range; /* of the firmware that runs */
	uint64_t due; /* without work a limit of the temperature is passed then; DM_NEVER: none */

	/* Of the steps that ended after `since`; written by the engine only */
	_Atomic uint64_t pending_fj;
	_Atomic uint64_t until; /* end of the last step, with what a lower clock made it longer */
	uint64_t busy_ns; /* time of the work alone */
	_Atomic uint64_t step_ns; /* since when a step runs; 0: none does */

	/* Since power-on; likewise */
	_Atomic uint64_t read, written, operations;
	atomic_uint corrected, uncorrected;
};

/* Power-on */
void dm_power_open(struct aipu_dm *dm);
/* Firmware that is started now would fail. Under lock */
bool dm_power_too_hot(const struct aipu_dm *dm);
/* RESET: the limits of before are forgotten; heat and counters are not. Under lock */
void dm_power_reset(struct aipu_dm *dm);
/*
 * Firmware is about to run. It has the ranges above, or less if its payload begins with a line
 * "limits: LEAST-MOST mW, LEAST-MOST MHz"
 */
void dm_power_firmware(struct aipu_dm *dm, const uint8_t *payload, size_t bytes);
/* SET_LIMITS. enum aipu_status; *wrong: 0 power, 1 clock, where it is INVALID_FIELD */
unsigned int dm_power_set_limits(struct aipu_dm *dm, uint32_t power_mw, uint32_t clock_mhz,
				 unsigned int *wrong);
/* By fault.c: the air from now on, in degrees Celsius; an error of memory, counted and told */
void dm_power_ambient(struct aipu_dm *dm, uint32_t degrees);
void dm_power_memory_error(struct aipu_dm *dm, bool uncorrected);

/* Around each unit of work, which began at `now` and took `spent`. How much longer a lower clock makes it */
void dm_power_begin(struct aipu_dm *dm, uint64_t now);
uint64_t dm_power_end(struct aipu_dm *dm, uint64_t now, uint64_t spent, const struct dm_work *work);
/* Nothing is to be done now. Brings *deadline forward to the moment at which a limit is passed; true: it has been */
bool dm_power_idle(struct aipu_dm *dm, uint64_t now, uint64_t *deadline);

/* TEMPERATURE .. CLOCK, POWER_LIMIT .. MEMORY_PEAK_MBS; under lock, any thread */
uint32_t dm_power_register(const struct aipu_dm *dm, uint32_t offset);

#endif
