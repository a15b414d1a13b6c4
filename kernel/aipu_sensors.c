// SPDX-License-Identifier: GPL-2.0
/*
 * What the card measures, counts and reports of itself: telemetry, hwmon, the attributes that
 * monitors read, events; and the limits of power and clock. Called by the cores of each, by the
 * watch and by recovery. A value that the card does not know is absent or an error, never 0;
 * nothing here waits for a job, and who only reads does not wait for a reset.
 */
#include <linux/capability.h>
#include <linux/hwmon.h>
#include <linux/ratelimit.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <drm/drm_accel.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include <drm/aipu_accel.h>

#include "aipu_check.h"
#include "aipu_ioq.h"
#include "aipu_sensors.h"

#define MICRO 1000u /* microwatts in a milliwatt */
#define EVENT_INTERVAL (5 * HZ) /* in which so many events are told to userspace; counted are all */
#define EVENT_BURST 10

/**
 * struct aipu_sensors - what is kept of it
 * @lock: one who sets limits; inside reset_lock
 * @power_mw: the limit that was set last, 0: the card's default; under @lock, or reset_lock for
 *	writing
 * @clock_mhz: likewise
 * @busy_us: time in steps since the last boot, the most that was read
 * @busy_before_us: of all boots before; changed under reset_lock for writing
 * @ras_events: since probe
 * @temperature_events: likewise
 * @uncorrected: errors that the log knows of
 * @events: limits what userspace is told
 */
struct aipu_sensors {
	struct mutex lock; /* see above */
	u32 power_mw, clock_mhz;
	atomic64_t busy_us;
	s64 busy_before_us;
	atomic64_t ras_events, temperature_events;
	u32 uncorrected;
	struct ratelimit_state events;
};

/* --- values, or DRM_AIPU_UNKNOWN; under aipu_look() or aipu_enter() --------------------------- */

static s64 value_of(const struct aipu_device *aipu, u32 offset)
{
	return aipu_value(aipu_read(aipu, offset));
}

static s64 degrees_of(const struct aipu_device *aipu, u32 offset)
{
	return aipu_signed_value(aipu_read(aipu, offset));
}

static s64 counter_of(const struct aipu_device *aipu, u32 low)
{
	return aipu_counter_value(aipu_read_counter(aipu, low));
}

/* Of a card that does not count errors the register is not there. */
static s64 errors_of(const struct aipu_device *aipu, u32 offset)
{
	return aipu->limits.capabilities & AIPU_CAP_RAS ? value_of(aipu, offset) : DRM_AIPU_UNKNOWN;
}

static s64 throttled(const struct aipu_device *aipu, u32 reason)
{
	s64 value = value_of(aipu, AIPU_REG_THROTTLE);

	return value == DRM_AIPU_UNKNOWN ? value : !!(value & reason);
}

/* Goes on over resets, and never back */
static s64 busy_us(const struct aipu_device *aipu)
{
	struct aipu_sensors *sensors = aipu->sensors;
	s64 now;

	/* Where it could not be stopped the register has what was added already. */
	if (aipu->state == AIPU_WEDGED)
		return sensors->busy_before_us;
	now = counter_of(aipu, AIPU_REG_BUSY_US_LO);
	if (now == DRM_AIPU_UNKNOWN)
		return now;
	return sensors->busy_before_us + aipu_never_back(&sensors->busy_us, now);
}

static s64 memory_used(struct aipu_device *aipu)
{
	guard(mutex)(&aipu->memory_lock);
	return aipu->memory_used;
}

/* Of all files; the kernel's own are nobody's */
static s64 running_jobs(struct aipu_device *aipu)
{
	struct aipu_ioq *queue;
	unsigned long id;
	s64 jobs = 0;

	xa_lock(&aipu->queues);
	xa_for_each(&aipu->queues, id, queue)
		if (queue->file)
			jobs += READ_ONCE(queue->running);
	xa_unlock(&aipu->queues);
	return jobs;
}

/* --- telemetry -------------------------------------------------------------------------------- */

static void read_telemetry(const struct aipu_device *aipu, struct drm_aipu_telemetry *out)
{
	*out = (struct drm_aipu_telemetry){
		.temperature_mc = degrees_of(aipu, AIPU_REG_TEMPERATURE),
		.power_mw = value_of(aipu, AIPU_REG_POWER),
		.clock_mhz = value_of(aipu, AIPU_REG_CLOCK),
		.power_limit_mw = value_of(aipu, AIPU_REG_POWER_LIMIT),
		.clock_limit_mhz = value_of(aipu, AIPU_REG_CLOCK_LIMIT),
		.throttle_mc = degrees_of(aipu, AIPU_REG_TEMPERATURE_THROTTLE),
		.shutdown_mc = degrees_of(aipu, AIPU_REG_TEMPERATURE_SHUTDOWN),
		.throttle = value_of(aipu, AIPU_REG_THROTTLE),
		.energy_uj = counter_of(aipu, AIPU_REG_ENERGY_UJ_LO),
		.memory_read_bytes = counter_of(aipu, AIPU_REG_MEMORY_READ_LO),
		.memory_written_bytes = counter_of(aipu, AIPU_REG_MEMORY_WRITTEN_LO),
		.operations = counter_of(aipu, AIPU_REG_OPERATIONS_LO),
		.memory_peak_mbs = value_of(aipu, AIPU_REG_MEMORY_PEAK_MBS),
		.corrected_errors = errors_of(aipu, AIPU_REG_CORRECTED_ERRORS),
		.uncorrected_errors = errors_of(aipu, AIPU_REG_UNCORRECTED_ERRORS),
		.busy_us = counter_of(aipu, AIPU_REG_BUSY_US_LO),
		.steps = value_of(aipu, AIPU_REG_STEPS),
		.longest_step_us = value_of(aipu, AIPU_REG_LONGEST_STEP_US),
		.card_resets = value_of(aipu, AIPU_REG_RESET_COUNT),
	};
}

int aipu_telemetry(struct aipu_device *aipu, struct drm_aipu_telemetry *out)
{
	const struct aipu_sensors *sensors = aipu->sensors;
	int idx, err;

	err = aipu_look(aipu, &idx);
	if (err == -ENODEV)
		return err;
	if (err) {
		memset64((u64 *)out, DRM_AIPU_UNKNOWN, sizeof(*out) / sizeof(u64));
	} else {
		read_telemetry(aipu, out);
		aipu_exit(aipu, idx);
	}
	out->ras_events = atomic64_read(&sensors->ras_events);
	out->temperature_events = atomic64_read(&sensors->temperature_events);
	out->running_jobs = running_jobs(aipu);
	return 0;
}

void aipu_sensors_stopping(struct aipu_device *aipu)
{
	struct aipu_sensors *sensors = aipu->sensors;

	/* A card that is gone tells no more: what was read last is all there is. */
	busy_us(aipu);
	sensors->busy_before_us += atomic64_xchg(&sensors->busy_us, 0);
}

/* --- limits ----------------------------------------------------------------------------------- */

static int give_limits(struct aipu_device *aipu, u32 power_mw, u32 clock_mhz)
{
	struct aipu_admin entry = { .opcode = AIPU_ADMIN_SET_LIMITS };

	entry.limits.power_mw = cpu_to_le32(power_mw);
	entry.limits.clock_mhz = cpu_to_le32(clock_mhz);
	return aipu_admin_run(aipu, &entry, NULL);
}

/* `clock_mhz` NULL: as it is. 0, -EOPNOTSUPP, -ERESTARTSYS, as aipu_enter(), -EINVAL: beyond it */
static int set_limits(struct aipu_device *aipu, u32 power_mw, const u32 *clock_mhz)
{
	struct aipu_sensors *sensors = aipu->sensors;
	int idx, err;
	u32 clock;

	if (!(aipu->limits.capabilities & AIPU_CAP_LIMITS))
		return -EOPNOTSUPP;
	err = aipu_enter(aipu, &idx);
	if (err)
		return err;
	err = mutex_lock_interruptible(&sensors->lock) ? -ERESTARTSYS : 0;
	if (!err) {
		clock = clock_mhz ? *clock_mhz : aipu_read(aipu, AIPU_REG_CLOCK_LIMIT);
		err = give_limits(aipu, power_mw, !clock_mhz && aipu_gone(clock) ? 0 : clock);
		if (!err) {
			sensors->power_mw = power_mw;
			sensors->clock_mhz = clock_mhz ? clock : sensors->clock_mhz;
		}
		mutex_unlock(&sensors->lock);
	}
	aipu_exit(aipu, idx);
	return err;
}

/*
 * The registers still say the defaults, which are also the most that the card takes: other firmware
 * may have lower ones. What was set is kept for the next reset, whatever this firmware makes of it.
 */
int aipu_sensors_restore(struct aipu_device *aipu)
{
	struct aipu_sensors *sensors = aipu->sensors;
	u32 power = sensors->power_mw, clock = sensors->clock_mhz;
	int err = -EOPNOTSUPP;

	if (!power && !clock)
		return 0;
	if (aipu->limits.capabilities & AIPU_CAP_LIMITS) {
		power = min(power, aipu_read(aipu, AIPU_REG_POWER_LIMIT));
		clock = min(clock, aipu_read(aipu, AIPU_REG_CLOCK_LIMIT));
		err = give_limits(aipu, power, clock);
	}
	/* Without an answer no card runs; any other refusal is of the limits alone. */
	if (err == -ETIMEDOUT || err == -ECANCELED || err == -ENODEV)
		return err;
	if (err || power != sensors->power_mw || clock != sensors->clock_mhz)
		drm_warn(&aipu->drm,
			 "limits were set to %u mW, %u MHz; this firmware cannot (%d): %s\n",
			 sensors->power_mw, sensors->clock_mhz, err,
			 err ? "it has its defaults" : "what is beyond its default is that now");
	return 0;
}

int aipu_limits_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_aipu_limits *args = data;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return set_limits(to_aipu(drm), args->power_mw, &args->clock_mhz);
}

/* --- events ----------------------------------------------------------------------------------- */

static void say_errors(struct aipu_device *aipu)
{
	s64 now = errors_of(aipu, AIPU_REG_UNCORRECTED_ERRORS);
	u32 more;

	if (now == DRM_AIPU_UNKNOWN)
		return;
	more = (u32)now - aipu->sensors->uncorrected;
	aipu->sensors->uncorrected = now;
	if (more)
		drm_err_ratelimited(&aipu->drm, "%u more uncorrected errors, %lld since power-on\n",
				    more, now);
}

/* Only the watch calls it, from one work */
void aipu_sensors_event(struct aipu_device *aipu, u32 event)
{
	struct aipu_sensors *sensors = aipu->sensors;
	char *text[] = { NULL, NULL };

	switch (event) {
	case AIPU_EVENT_RAS:
		atomic64_inc(&sensors->ras_events);
		text[0] = "AIPU_EVENT=ras";
		say_errors(aipu);
		break;
	case AIPU_EVENT_TEMPERATURE:
		atomic64_inc(&sensors->temperature_events);
		text[0] = "AIPU_EVENT=temperature";
		break;
	default:
		return;
	}
	if (aipu->drm.registered && __ratelimit(&sensors->events))
		kobject_uevent_env(&aipu->drm.accel->kdev->kobj, KOBJ_CHANGE, text);
}

/* --- hwmon ------------------------------------------------------------------------------------ */

#if IS_REACHABLE(CONFIG_HWMON)
/* In hwmon's units: millidegrees, microwatts, microjoules */
static s64 sensor_value(const struct aipu_device *aipu, enum hwmon_sensor_types type, u32 attribute)
{
	if (type == hwmon_energy)
		return counter_of(aipu, AIPU_REG_ENERGY_UJ_LO);
	if (type == hwmon_power) {
		switch (attribute) {
		case hwmon_power_cap:
			return aipu_value_in(value_of(aipu, AIPU_REG_POWER_LIMIT), MICRO);
		case hwmon_power_cap_alarm:
			return throttled(aipu, AIPU_THROTTLE_POWER);
		default:
			return aipu_value_in(value_of(aipu, AIPU_REG_POWER), MICRO);
		}
	}
	switch (attribute) {
	case hwmon_temp_max:
		return degrees_of(aipu, AIPU_REG_TEMPERATURE_THROTTLE);
	case hwmon_temp_crit:
		return degrees_of(aipu, AIPU_REG_TEMPERATURE_SHUTDOWN);
	case hwmon_temp_max_alarm:
		return throttled(aipu, AIPU_THROTTLE_TEMPERATURE);
	default:
		return degrees_of(aipu, AIPU_REG_TEMPERATURE);
	}
}

/* What the card does not know at probe it never does. A label is there with its first value. */
static umode_t sensor_visible(const void *data, enum hwmon_sensor_types type, u32 attribute,
			      int channel)
{
	const struct aipu_device *aipu = data;

	if (sensor_value(aipu, type, attribute) == DRM_AIPU_UNKNOWN)
		return 0;
	if (type == hwmon_power && attribute == hwmon_power_cap &&
	    aipu->limits.capabilities & AIPU_CAP_LIMITS)
		return 0644;
	return 0444;
}

static int sensor_read(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel,
		       long *value)
{
	struct aipu_device *aipu = dev_get_drvdata(dev);
	int idx, err;
	s64 now;

	err = aipu_look(aipu, &idx);
	if (err)
		return err;
	now = sensor_value(aipu, type, attribute);
	aipu_exit(aipu, idx);
	if (now == DRM_AIPU_UNKNOWN)
		return -ENODATA;
	*value = now;
	return 0;
}

/* Only power1_cap can be written. 0: the card's default, which nothing else becomes by rounding */
static int sensor_write(struct device *dev, enum hwmon_sensor_types type, u32 attribute,
			int channel, long value)
{
	if (value < 0 || value > (s64)U32_MAX * MICRO)
		return -EINVAL;
	return set_limits(dev_get_drvdata(dev), DIV_ROUND_UP_ULL(value, MICRO), NULL);
}

static int sensor_label(struct device *dev, enum hwmon_sensor_types type, u32 attribute,
			int channel, const char **text)
{
	*text = "card";
	return 0;
}

static const struct hwmon_channel_info *const sensor_channels[] = {
	HWMON_CHANNEL_INFO(temp, HWMON_T_INPUT | HWMON_T_LABEL | HWMON_T_MAX | HWMON_T_CRIT |
					 HWMON_T_MAX_ALARM),
	HWMON_CHANNEL_INFO(power, HWMON_P_INPUT | HWMON_P_LABEL | HWMON_P_CAP | HWMON_P_CAP_ALARM),
	HWMON_CHANNEL_INFO(energy, HWMON_E_INPUT | HWMON_E_LABEL), NULL
};

static const struct hwmon_ops sensor_ops = {
	.is_visible = sensor_visible,
	.read = sensor_read,
	.write = sensor_write,
	.read_string = sensor_label,
};

static const struct hwmon_chip_info sensor_chip = {
	.ops = &sensor_ops,
	.info = sensor_channels,
};

static int hwmon_init(struct aipu_device *aipu)
{
	if (!sensor_visible(aipu, hwmon_temp, hwmon_temp_input, 0) &&
	    !sensor_visible(aipu, hwmon_power, hwmon_power_input, 0) &&
	    !sensor_visible(aipu, hwmon_energy, hwmon_energy_input, 0))
		return 0;
	return PTR_ERR_OR_ZERO(devm_hwmon_device_register_with_info(aipu->drm.dev, "aipu", aipu,
								    &sensor_chip, NULL));
}
#else
static int hwmon_init(struct aipu_device *aipu)
{
	return 0;
}
#endif

/* --- what monitors read, by the names that another driver of accelerators gave ---------------- */

static ssize_t monitor_show(struct device *dev, struct device_attribute *attribute, char *text);

static struct device_attribute monitors[] = {
	__ATTR(npu_busy_time_us, 0444, monitor_show, NULL),
	__ATTR(npu_current_frequency_mhz, 0444, monitor_show, NULL),
	__ATTR(npu_max_frequency_mhz, 0444, monitor_show, NULL),
	__ATTR(npu_memory_utilization, 0444, monitor_show, NULL), /* bytes in use */
};

/* 0 and *value, -ENODATA, or as aipu_look() */
static int monitor_value(struct aipu_device *aipu, const struct attribute *attribute, s64 *value)
{
	int idx, err;

	err = aipu_look(aipu, &idx);
	if (err)
		return err;
	if (attribute == &monitors[0].attr)
		*value = busy_us(aipu);
	else if (attribute == &monitors[1].attr)
		*value = value_of(aipu, AIPU_REG_CLOCK);
	else if (attribute == &monitors[2].attr)
		*value = value_of(aipu, AIPU_REG_CLOCK_LIMIT);
	else
		*value = memory_used(aipu);
	aipu_exit(aipu, idx);
	return *value == DRM_AIPU_UNKNOWN ? -ENODATA : 0;
}

static ssize_t monitor_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	s64 value;
	int err = monitor_value(dev_get_drvdata(dev), &attribute->attr, &value);

	return err ?: sysfs_emit(text, "%lld\n", value);
}

/* When the card was started, as hwmon's */
static umode_t monitor_visible(struct kobject *kobj, struct attribute *attribute, int index)
{
	s64 value;

	return monitor_value(dev_get_drvdata(kobj_to_dev(kobj)), attribute, &value) == -ENODATA
		       ? 0
		       : attribute->mode;
}

static struct attribute *monitor_attributes[] = { &monitors[0].attr, &monitors[1].attr,
						  &monitors[2].attr, &monitors[3].attr, NULL };

static const struct attribute_group monitor_group = {
	.attrs = monitor_attributes,
	.is_visible = monitor_visible,
};

const struct attribute_group *aipu_monitor_groups[] = { &monitor_group, NULL };

/* --- its own life ----------------------------------------------------------------------------- */

static void sensors_release(struct drm_device *drm, void *data)
{
	struct aipu_sensors *sensors = data;

	mutex_destroy(&sensors->lock);
}

int aipu_sensors_init(struct aipu_device *aipu)
{
	struct aipu_sensors *sensors = drmm_kzalloc(&aipu->drm, sizeof(*sensors), GFP_KERNEL);

	if (!sensors)
		return -ENOMEM;
	mutex_init(&sensors->lock);
	ratelimit_state_init(&sensors->events, EVENT_INTERVAL, EVENT_BURST);
	/* Else it says so each time that something was left out */
	ratelimit_set_flags(&sensors->events, RATELIMIT_MSG_ON_RELEASE);
	aipu->sensors = sensors;
	return drmm_add_action_or_reset(&aipu->drm, sensors_release, sensors);
}

int aipu_sensors_start(struct aipu_device *aipu)
{
	aipu->sensors->uncorrected = aipu_read(aipu, AIPU_REG_UNCORRECTED_ERRORS);
	return hwmon_init(aipu);
}
