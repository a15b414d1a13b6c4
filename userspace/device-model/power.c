// SPDX-License-Identifier: MIT
/*
 * Energy, heat and clock of the device (power.h, docs/device.md). The engine calls around each unit of work and when there is
 * none; a register read looks ahead from the last such moment to now. Nothing here waits, and nothing is done where nobody
 * looks: the state moves by formulas from one moment to the next, not by a timer.
 */
#include "device.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FJ_PER_UJ 1000000000ull
#define NS_PER_S 1000000000ull

/* --- energy ------------------------------------------------------------------------------------- */

static uint64_t energy_of(const struct dm_work *work)
{
#define ONE(field, femtojoules) work->field *(femtojoules) +
	return DM_ENERGY_LIST(ONE) 0;
#undef ONE
}

/* Adds so many femtojoules and the idle power over a time; 1 mW for 1 ns is 1000 fJ, for 1 s 1000 uJ */
static void add_energy(uint64_t *uj, uint64_t *fj, uint64_t work_fj, uint64_t ns)
{
	*uj += ns / NS_PER_S * DM_POWER_IDLE_MW * 1000;
	*fj += ns % NS_PER_S * DM_POWER_IDLE_MW * 1000 + work_fj % FJ_PER_UJ;
	*uj += work_fj / FJ_PER_UJ + *fj / FJ_PER_UJ;
	*fj %= FJ_PER_UJ;
}

/* --- heat --------------------------------------------------------------------------------------- */

/*
 * Both quantities go towards what they would come to at this power for ever, each with its own time constant: exact for any
 * time as long as the power is constant. expm1: a time of nanoseconds still counts.
 */
static void advance(struct dm_heat *heat, double ambient, double mw, double ns)
{
	double end = ambient + DM_HEAT_RESISTANCE * mw;

	heat->temperature -= (end - heat->temperature) * expm1(-ns / DM_HEAT_TAU_NS);
	heat->mean -= (mw - heat->mean) * expm1(-ns / DM_POWER_MEAN_NS);
}

static uint64_t span(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0; /* a host's clock that goes back stands still here */
}

static uint64_t earlier_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Heat at `now`: the work of the steps that ended, spread over their time; then a step that runs, of which nothing is known
 * yet, at the power of before it; else idle power.
 */
static struct dm_heat heat_at(const struct aipu_dm *dm, uint64_t now)
{
	const struct dm_power *p = &dm->power;
	uint64_t step = atomic_load(&p->step_ns), work = atomic_load(&p->pending_fj);
	uint64_t worked = earlier_of(atomic_load(&p->until), now);
	struct dm_heat heat = p->heat;
	double ns = (double)span(p->since, worked);

	if (work && ns < 1)
		ns = 1; /* a clock that stood still: a pulse, not a division by zero */
	if (worked < p->since)
		worked = p->since;
	advance(&heat, p->ambient, DM_POWER_IDLE_MW + (work ? (double)work / ns / 1000 : 0), ns);
	if (step) {
		step = earlier_of(step, now);
		advance(&heat, p->ambient, DM_POWER_IDLE_MW, (double)span(worked, step));
		worked = worked > step ? worked : step;
		advance(&heat, p->ambient, heat.mean, (double)span(worked, now));
	} else {
		advance(&heat, p->ambient, DM_POWER_IDLE_MW, (double)span(worked, now));
	}
	return heat;
}

static bool is_hot(bool hot, double temperature)
{
	if (temperature >= DM_TEMPERATURE_THROTTLE)
		return true;
	return hot && temperature > DM_TEMPERATURE_THROTTLE - DM_TEMPERATURE_HYSTERESIS;
}

/* From idle power on: when the temperature passes a limit that changes something */
static uint64_t next_due(const struct dm_power *p)
{
	double end = p->ambient + DM_HEAT_RESISTANCE * DM_POWER_IDLE_MW;
	double from = p->heat.temperature, limit;

	if (from >= DM_TEMPERATURE_SHUTDOWN)
		return p->since;
	if (end > from)
		limit = p->hot ? DM_TEMPERATURE_SHUTDOWN : DM_TEMPERATURE_THROTTLE;
	else
		limit = DM_TEMPERATURE_THROTTLE - DM_TEMPERATURE_HYSTERESIS;
	if (end > from ? end <= limit : !p->hot || end >= limit)
		return DM_NEVER;
	/* A millisecond later it has certainly been passed, whatever was rounded */
	return p->since + 1000000u + (uint64_t)(DM_HEAT_TAU_NS * log((end - from) / (end - limit)));
}

/* --- clock -------------------------------------------------------------------------------------- */

/*
 * The work took `work_fj` in `busy_ns` at the full clock; at clock c it takes max / c as long, and the idle power comes on
 * top: the clock at which both together are the limit.
 */
static uint32_t clock_for(uint64_t work_fj, uint64_t busy_ns, uint32_t power_limit)
{
	double mw = (double)work_fj / (double)(busy_ns ? busy_ns : 1) / 1000;
	double room = (double)power_limit - DM_POWER_IDLE_MW;

	if (mw <= room)
		return DM_CLOCK_MAX_MHZ;
	mw = DM_CLOCK_MAX_MHZ * room / mw;
	return mw < DM_CLOCK_LOW_MHZ ? DM_CLOCK_LOW_MHZ : (uint32_t)mw;
}

static uint32_t clock_of(const struct dm_power *p, bool hot, uint32_t allowed)
{
	uint32_t clock = allowed < p->clock_limit ? allowed : p->clock_limit;

	return hot ? DM_CLOCK_LOW_MHZ : clock;
}

/* --- moments ------------------------------------------------------------------------------------ */

/* The engine's look at its sensors; called and left with the lock held. true: something follows from it */
static bool look(struct aipu_dm *dm, uint64_t now)
{
	struct dm_power *p = &dm->power;
	uint64_t work = atomic_load(&p->pending_fj);
	bool hot = p->hot, runs = dm->state == AIPU_STATE_RUNNING || dm->state == AIPU_STATE_READY;

	p->heat = heat_at(dm, now);
	add_energy(&p->energy_uj, &p->energy_fj, work, span(p->since, now));
	p->since = now > p->since ? now : p->since;
	atomic_store(&p->pending_fj, 0);
	p->allowed = clock_for(work, p->busy_ns, p->power_limit);
	p->busy_ns = 0;
	p->hot = is_hot(hot, p->heat.temperature);
	p->clock = clock_of(p, p->hot, p->allowed);
	p->due = next_due(p);
	if (p->hot != hot)
		dm_engine_event(dm, AIPU_EVENT_TEMPERATURE);
	if (p->heat.temperature < DM_TEMPERATURE_SHUTDOWN || !runs)
		return p->hot != hot;
	dm->fatal = AIPU_ERROR_OVERHEATED;
	return true;
}

static bool look_locked(struct aipu_dm *dm, uint64_t now)
{
	bool follows;

	pthread_mutex_lock(&dm->lock);
	follows = look(dm, now);
	pthread_mutex_unlock(&dm->lock);
	return follows;
}

void dm_power_begin(struct aipu_dm *dm, uint64_t now)
{
	struct dm_power *p = &dm->power;

	if (now - p->since >= DM_POWER_PERIOD_NS && now > p->since)
		look_locked(dm, now);
	atomic_store_explicit(&p->step_ns, now ? now : 1, memory_order_relaxed);
}

/* The engine is the only writer, so an addition needs no locked instruction */
static void count(_Atomic uint64_t *counter, uint64_t n)
{
	if (n)
		atomic_store_explicit(counter,
				      atomic_load_explicit(counter, memory_order_relaxed) + n,
				      memory_order_relaxed);
}

uint64_t dm_power_end(struct aipu_dm *dm, uint64_t now, uint64_t spent, const struct dm_work *work)
{
	struct dm_power *p = &dm->power;
	uint64_t longer = spent * (DM_CLOCK_MAX_MHZ - p->clock) / p->clock;

	atomic_store_explicit(&p->step_ns, 0, memory_order_relaxed);
	count(&p->read, work->read);
	count(&p->written, work->written);
	count(&p->operations, work->operations);
	count(&p->pending_fj, energy_of(work));
	p->busy_ns += spent;
	now += spent + longer;
	atomic_store_explicit(&p->until, now, memory_order_relaxed);
	if (!longer && now > p->since && now - p->since >= DM_POWER_PERIOD_NS)
		look_locked(dm, now);
	return longer;
}

bool dm_power_idle(struct aipu_dm *dm, uint64_t now, uint64_t *deadline)
{
	struct dm_power *p = &dm->power;
	bool follows = false;

	if (now >= p->due || atomic_load_explicit(&p->pending_fj, memory_order_relaxed))
		follows = look_locked(dm, now);
	if (p->due < *deadline)
		*deadline = p->due;
	return follows;
}

/* --- commands and faults ------------------------------------------------------------------------ */

void dm_power_open(struct aipu_dm *dm)
{
	struct dm_power *p = &dm->power;

	p->since = dm_clock(dm);
	p->ambient = 1000.0 * (dm->config.ambient_c ? dm->config.ambient_c : DM_AMBIENT_C);
	/* As it is after a while at rest: who powers a card on does not watch it get warm */
	p->heat.mean = DM_POWER_IDLE_MW;
	p->heat.temperature = p->ambient + DM_HEAT_RESISTANCE * DM_POWER_IDLE_MW;
	p->hot = is_hot(false, p->heat.temperature);
	dm_power_reset(dm);
}

bool dm_power_too_hot(const struct aipu_dm *dm)
{
	return heat_at(dm, dm_clock(dm)).temperature >= DM_TEMPERATURE_SHUTDOWN;
}

/* With the default of each as the limit; under lock */
static void set_ranges(struct dm_power *p, struct dm_range power, struct dm_range clock)
{
	p->power_range = power;
	p->clock_range = clock;
	p->power_limit = power.most;
	p->clock_limit = clock.most;
	p->clock = clock_of(p, p->hot, p->allowed);
}

void dm_power_reset(struct aipu_dm *dm)
{
	struct dm_power *p = &dm->power;

	p->allowed = DM_CLOCK_MAX_MHZ;
	set_ranges(p, (struct dm_range){ DM_POWER_LIMIT_MIN_MW, DM_POWER_LIMIT_MAX_MW },
		   (struct dm_range){ DM_CLOCK_LIMIT_MIN_MHZ, DM_CLOCK_MAX_MHZ });
	p->due = next_due(p);
}

static bool within(const struct dm_range *range, uint32_t least, uint32_t most)
{
	return least <= range->least && range->least <= range->most && range->most <= most;
}

void dm_power_firmware(struct aipu_dm *dm, const uint8_t *payload, size_t bytes)
{
	struct dm_range power, clock;
	char text[64] = "", end;

	memcpy(text, payload, bytes < sizeof(text) ? bytes : sizeof(text) - 1);
	if (sscanf(text, "limits: %9u-%9u mW, %9u-%9u MHz%c", &power.least, &power.most,
		   &clock.least, &clock.most, &end) != 5 ||
	    end != '\n' || !within(&power, DM_POWER_LIMIT_MIN_MW, DM_POWER_LIMIT_MAX_MW) ||
	    !within(&clock, DM_CLOCK_LIMIT_MIN_MHZ, DM_CLOCK_MAX_MHZ))
		return;
	pthread_mutex_lock(&dm->lock);
	set_ranges(&dm->power, power, clock);
	pthread_mutex_unlock(&dm->lock);
}

unsigned int dm_power_set_limits(struct aipu_dm *dm, uint32_t power_mw, uint32_t clock_mhz,
				 unsigned int *wrong)
{
	struct dm_power *p = &dm->power;

	if (!power_mw)
		power_mw = p->power_range.most;
	if (!clock_mhz)
		clock_mhz = p->clock_range.most;
	*wrong = 0;
	if (power_mw < p->power_range.least || power_mw > p->power_range.most)
		return AIPU_STATUS_INVALID_FIELD;
	*wrong = 1;
	if (clock_mhz < p->clock_range.least || clock_mhz > p->clock_range.most)
		return AIPU_STATUS_INVALID_FIELD;
	pthread_mutex_lock(&dm->lock);
	p->power_limit = power_mw;
	p->clock_limit = clock_mhz;
	p->clock = clock_of(p, p->hot, p->allowed);
	pthread_mutex_unlock(&dm->lock);
	return AIPU_STATUS_OK;
}

void dm_power_ambient(struct aipu_dm *dm, uint32_t degrees)
{
	pthread_mutex_lock(&dm->lock);
	look(dm, dm_clock(dm)); /* what was until now was in the air of before */
	dm->power.ambient = 1000.0 * (degrees < DM_AMBIENT_MAX_C ? degrees : DM_AMBIENT_MAX_C);
	dm->power.due = next_due(&dm->power);
	pthread_mutex_unlock(&dm->lock);
}

void dm_power_memory_error(struct aipu_dm *dm, bool uncorrected)
{
	atomic_fetch_add(uncorrected ? &dm->power.uncorrected : &dm->power.corrected, 1);
	dm_engine_event(dm, AIPU_EVENT_RAS);
}

/* --- registers ---------------------------------------------------------------------------------- */

static uint64_t energy_at(const struct dm_power *p, uint64_t now)
{
	uint64_t uj = p->energy_uj, fj = p->energy_fj;

	add_energy(&uj, &fj, atomic_load(&p->pending_fj), span(p->since, now));
	return uj;
}

/* The clock of this moment, and why it is below its limit: AIPU_THROTTLE_* */
static uint32_t clock_at(const struct aipu_dm *dm, uint64_t now, uint32_t *why)
{
	const struct dm_power *p = &dm->power;
	bool hot = is_hot(p->hot, heat_at(dm, now).temperature);
	bool works = atomic_load(&p->step_ns) || now < atomic_load(&p->until) + DM_POWER_PERIOD_NS;
	uint32_t allowed = works ? p->allowed
				 : DM_CLOCK_MAX_MHZ; /* at rest nothing holds it down */

	*why = (hot ? AIPU_THROTTLE_TEMPERATURE : 0) |
	       (allowed < p->clock_limit ? AIPU_THROTTLE_POWER : 0);
	return clock_of(p, hot, allowed);
}

static uint32_t half(uint64_t value, bool high)
{
	return (uint32_t)(high ? value >> 32 : value);
}

uint32_t dm_power_register(const struct aipu_dm *dm, uint32_t offset)
{
	const struct dm_power *p = &dm->power;
	bool high = offset & 4;
	uint64_t now = dm_clock(dm);
	uint32_t why;

	switch (offset) {
	case AIPU_REG_TEMPERATURE:
		return (uint32_t)(int32_t)lround(heat_at(dm, now).temperature);
	case AIPU_REG_POWER:
		return (uint32_t)lround(heat_at(dm, now).mean);
	case AIPU_REG_CLOCK:
		return clock_at(dm, now, &why);
	case AIPU_REG_POWER_LIMIT:
		return p->power_limit;
	case AIPU_REG_CLOCK_LIMIT:
		return p->clock_limit;
	case AIPU_REG_TEMPERATURE_THROTTLE:
		return DM_TEMPERATURE_THROTTLE;
	case AIPU_REG_TEMPERATURE_SHUTDOWN:
		return DM_TEMPERATURE_SHUTDOWN;
	case AIPU_REG_THROTTLE:
		clock_at(dm, now, &why);
		return why;
	case AIPU_REG_CORRECTED_ERRORS:
		return atomic_load(&p->corrected);
	case AIPU_REG_UNCORRECTED_ERRORS:
		return atomic_load(&p->uncorrected);
	case AIPU_REG_ENERGY_UJ_LO:
	case AIPU_REG_ENERGY_UJ_HI:
		return half(energy_at(p, now), high);
	case AIPU_REG_MEMORY_READ_LO:
	case AIPU_REG_MEMORY_READ_HI:
		return half(atomic_load(&p->read), high);
	case AIPU_REG_MEMORY_WRITTEN_LO:
	case AIPU_REG_MEMORY_WRITTEN_HI:
		return half(atomic_load(&p->written), high);
	case AIPU_REG_OPERATIONS_LO:
	case AIPU_REG_OPERATIONS_HI:
		return half(atomic_load(&p->operations), high);
	default: /* AIPU_REG_MEMORY_PEAK_MBS */
		return dm->config.memory_peak_mbs ? dm->config.memory_peak_mbs : UINT32_MAX;
	}
}
