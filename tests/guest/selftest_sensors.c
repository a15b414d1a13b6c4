// SPDX-License-Identifier: GPL-2.0
/*
 * What an operator reads of a card and sets: telemetry, the same values in hwmon and in the attributes that monitors read, limits,
 * time of running jobs in fdinfo, and resets that take nothing from anybody. Runs as root in a guest with the driver loaded, in the
 * kernel's own test harness; of the first card. A value that a card does not know is no failure, unless its capabilities promise it.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "kselftest_harness.h"

#include "accel.h"
#include "aipu_registers.h"

CARD_FIXTURE()

#define FIRMWARE "/lib/firmware/aipu/534f4654.fw"
#define UNKNOWN DRM_AIPU_UNKNOWN
#define FILL_BYTES (32ull << 20)
#define JOBS 63u
#define LIST (2 * PAGE / sizeof(struct aipu_copy_entry))

static struct drm_aipu_telemetry telemetry_of(int fd)
{
	struct drm_aipu_telemetry now;

	memset(&now, 0xee, sizeof(now));
	query(fd, DRM_AIPU_QUERY_TELEMETRY, &now, sizeof(now));
	return now;
}

static int reset(int fd, uint32_t flags)
{
	struct drm_aipu_reset args = { .flags = flags };

	return call(fd, DRM_IOCTL_AIPU_RESET, &args);
}

static uint32_t resets_of(int fd)
{
	struct drm_aipu_device device = {};

	query(fd, DRM_AIPU_QUERY_DEVICE, &device, sizeof(device));
	return device.resets;
}

/* --- telemetry ---------------------------------------------------------------------------------------- */

CARD_TEST(telemetry_negotiates_sizes)
{
	struct drm_aipu_query args = { .kind = DRM_AIPU_QUERY_TELEMETRY };
	unsigned char room[sizeof(struct drm_aipu_telemetry) + 64];
	char *page =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	EXPECT_TRUE(self->device.features & DRM_AIPU_FEATURE_TELEMETRY);
	ASSERT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
	EXPECT_EQ(sizeof(struct drm_aipu_telemetry), args.bytes);
	memset(room, 0xee, sizeof(room));
	ASSERT_EQ(0, query(self->fd, DRM_AIPU_QUERY_TELEMETRY, room, 12));
	EXPECT_EQ(0, others(room + 12, sizeof(room) - 12, 0xee));
	ASSERT_EQ(0, query(self->fd, DRM_AIPU_QUERY_TELEMETRY, room, sizeof(room)));
	EXPECT_EQ(0, others(room + sizeof(struct drm_aipu_telemetry), 64, 0));
	/* To the end of a page, and not one byte beyond */
	mprotect(page + PAGE, PAGE, PROT_NONE);
	args.data = (uintptr_t)page + PAGE - args.bytes;
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
	args.data++;
	EXPECT_EQ(-EFAULT, call(self->fd, DRM_IOCTL_AIPU_QUERY, &args));
	munmap(page, 2 * PAGE);
}

CARD_TEST(telemetry_of_what_a_card_promises)
{
	const struct drm_aipu_telemetry now = telemetry_of(self->fd);
	const int64_t always[] = { now.busy_us,	    now.steps,	    now.longest_step_us,
				   now.card_resets, now.ras_events, now.temperature_events,
				   now.running_jobs };
	const int64_t limits[] = { now.temperature_mc, now.power_mw,	    now.clock_mhz,
				   now.power_limit_mw, now.clock_limit_mhz, now.throttle_mc,
				   now.shutdown_mc,    now.throttle,	    now.energy_uj };
	const int64_t errors[] = { now.corrected_errors, now.uncorrected_errors };

	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		EXPECT_LE(0, always[i]);
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		EXPECT_EQ(!(self->device.capabilities & AIPU_CAP_RAS), errors[i] == UNKNOWN);
	if (!(self->device.capabilities & AIPU_CAP_LIMITS))
		SKIP(return, "the card has no limits: its sensors may be unknown");
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		EXPECT_NE(UNKNOWN, limits[i]);
	EXPECT_LT(now.throttle_mc, now.shutdown_mc);
	EXPECT_LE(now.clock_mhz, now.clock_limit_mhz);
}

CARD_TEST(the_card_behind_the_driver)
{
	EXPECT_EQ(0, self->device.pad);
	if (self->device.capabilities & AIPU_CAP_FLASH)
		SKIP(return, "this card boots from flash: selftest_flash");
	EXPECT_EQ(AIPU_BOOT_FROM_HOST, self->device.boot_source);
	EXPECT_EQ(0, self->device.slot_errors[0]);
	EXPECT_EQ(0, self->device.slot_errors[1]);
}

/* --- jobs --------------------------------------------------------------------------------------------- */

struct fills {
	int context, queue;
	struct aipu_job job;
};

/* Jobs that together take long enough to be seen running */
static int fills_new(int fd, struct fills *fills)
{
	struct drm_aipu_queue_create args = { .entries = JOBS, .eventfd = -1 };
	int handle = buffer_new(fd, DRM_AIPU_BUFFER_DEVICE, FILL_BYTES), segment, err;

	fills->context = args.context = context_new(fd);
	if (handle < 0 || fills->context < 0)
		return handle < 0 ? handle : fills->context;
	segment = bind_range(fd, fills->context, handle, 0, FILL_BYTES, ACCESS_BOTH);
	/* Bound, it stays: the handle is not needed */
	err = buffer_close(fd, handle);
	if (!err)
		err = segment < 0 ? segment : call(fd, DRM_IOCTL_AIPU_QUEUE_CREATE, &args);
	fills->queue = args.queue;
	fills->job = fill_job(segment, FILL_BYTES, 1);
	return err;
}

/* JOBS of them, from `sequence` on */
static int fills_give(int fd, const struct fills *fills, uint64_t sequence)
{
	struct aipu_job jobs[JOBS];
	struct drm_aipu_submit args = {
		.queue = fills->queue, .jobs = (uintptr_t)jobs, .count = JOBS, .sequence = sequence
	};

	for (unsigned int i = 0; i < JOBS; i++)
		jobs[i] = fills->job;
	return call(fd, DRM_IOCTL_AIPU_SUBMIT, &args);
}

/* The number of those that ended well; each has to */
static unsigned int fills_end(int fd, const struct fills *fills)
{
	struct drm_aipu_result results[JOBS] = {};
	struct drm_aipu_wait args = { .queue = fills->queue,
				      .count = JOBS,
				      .minimum = JOBS,
				      .results = (uintptr_t)results,
				      .timeout_ns = INT64_MAX };
	unsigned int well = 0;

	call(fd, DRM_IOCTL_AIPU_WAIT, &args);
	for (unsigned int i = 0; i < args.taken; i++)
		well += !results[i].error && !results[i].status;
	return well;
}

/* A busy machine may look too late, so it is looked at more than once */
CARD_TEST(running_jobs_are_told)
{
	struct drm_aipu_telemetry before = telemetry_of(self->fd), now;
	uint64_t sequence = 1;
	int64_t seen = 0;
	struct fills fills;

	ASSERT_EQ(0, fills_new(self->fd, &fills));
	EXPECT_EQ(0, before.running_jobs);
	for (int i = 0; i < 20 && !seen; i++, sequence += JOBS) {
		ASSERT_EQ(0, fills_give(self->fd, &fills, sequence));
		now = telemetry_of(self->other);
		seen = now.running_jobs;
		EXPECT_EQ(JOBS, fills_end(self->fd, &fills));
	}
	EXPECT_LT(0, seen);
	EXPECT_GE(JOBS, seen);
	now = telemetry_of(self->other);
	EXPECT_EQ(0, now.running_jobs);
	EXPECT_LT(before.steps, now.steps);
	EXPECT_LT(before.busy_us, now.busy_us);
	EXPECT_LT(0, now.longest_step_us);
}

/* --- hwmon -------------------------------------------------------------------------------------------- */

/* A number in a file of the function behind the first card, or of its hwmon; -errno */
static int64_t attribute_of(int fd, const char *name)
{
	char address[64], path[512], text[32] = "";
	int64_t value = -ENOENT;
	ssize_t got;
	int file;

	address_of(fd, address, sizeof(address));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	got = read(file, text, sizeof(text) - 1);
	value = got < 0 ? -errno : strtoll(text, NULL, 10);
	close(file);
	return value;
}

/* "hwmon/hwmonN/NAME" of the card; false: it has none */
static bool sensor_name(int fd, const char *name, char *path, size_t room)
{
	char address[64], directory[128];
	struct dirent *entry;
	bool found = false;
	DIR *hwmon;

	address_of(fd, address, sizeof(address));
	snprintf(directory, sizeof(directory), "/sys/bus/pci/devices/%s/hwmon", address);
	hwmon = opendir(directory);
	while (hwmon && !found && (entry = readdir(hwmon)) != NULL) {
		found = entry->d_name[0] != '.';
		snprintf(path, room, "hwmon/%.64s/%s", entry->d_name, name);
	}
	if (hwmon)
		closedir(hwmon);
	return found;
}

static int64_t sensor_of(int fd, const char *name)
{
	char path[256];

	return sensor_name(fd, name, path, sizeof(path)) ? attribute_of(fd, path) : -ENOENT;
}

/* Fields of telemetry and the files that show the same, in units of which `unit` are one of telemetry's */
static const struct shown {
	const char *name;
	size_t offset;
	int64_t unit;
	uint32_t bit; /* not 0: only whether it is set */
	bool hwmon;
} shown[] = {
#define SHOWN(name, field, unit, bit, hwmon)                                       \
	{                                                                          \
		name, offsetof(struct drm_aipu_telemetry, field), unit, bit, hwmon \
	}
	SHOWN("temp1_input", temperature_mc, 1, 0, true),
	SHOWN("temp1_max", throttle_mc, 1, 0, true),
	SHOWN("temp1_crit", shutdown_mc, 1, 0, true),
	SHOWN("temp1_max_alarm", throttle, 1, AIPU_THROTTLE_TEMPERATURE, true),
	SHOWN("power1_input", power_mw, 1000, 0, true),
	SHOWN("power1_cap", power_limit_mw, 1000, 0, true),
	SHOWN("power1_cap_alarm", throttle, 1, AIPU_THROTTLE_POWER, true),
	SHOWN("energy1_input", energy_uj, 1, 0, true),
	SHOWN("npu_current_frequency_mhz", clock_mhz, 1, 0, false),
	SHOWN("npu_max_frequency_mhz", clock_limit_mhz, 1, 0, false),
};

static int64_t telemetry_at(int fd, const struct shown *what)
{
	struct drm_aipu_telemetry now = telemetry_of(fd);
	int64_t value;

	memcpy(&value, (char *)&now + what->offset, sizeof(value));
	if (value == UNKNOWN)
		return value;
	return what->bit ? !!(value & what->bit) : value * what->unit;
}

/* What moves is read again, until it stands still in between, or goes on from the one to the other */
static bool shown_as_told(int fd, const struct shown *what)
{
	for (int i = 0; i < 1000; i++) {
		int64_t before = telemetry_at(fd, what);
		int64_t value = what->hwmon ? sensor_of(fd, what->name)
					    : attribute_of(fd, what->name);
		int64_t after = telemetry_at(fd, what);

		if (before == UNKNOWN && after == UNKNOWN)
			return value == -ENOENT;
		if (before <= value && value <= after)
			return true;
	}
	return false;
}

CARD_TEST(files_say_what_telemetry_says)
{
	int unknown = 0;

	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		unknown += telemetry_at(self->fd, &shown[i]) == UNKNOWN;
		EXPECT_TRUE(shown_as_told(self->fd, &shown[i]))
		{
			TH_LOG("%s", shown[i].name);
		}
	}
	if (unknown)
		SKIP(return, "the card knows %d of these %zu values not; they are absent", unknown,
			   sizeof(shown) / sizeof(shown[0]));
}

CARD_TEST(monitors_see_memory_and_time)
{
	int64_t before = attribute_of(self->fd, "npu_memory_utilization"), busy, later;
	int handle = buffer_new(self->fd, DRM_AIPU_BUFFER_DEVICE, 16 * PAGE);
	struct drm_aipu_memory memory = memory_of(self->fd);

	ASSERT_LT(0, handle);
	EXPECT_EQ((int64_t)(memory.total - memory.free),
		  attribute_of(self->fd, "npu_memory_utilization"));
	EXPECT_EQ(before + (int64_t)(16 * PAGE), attribute_of(self->fd, "npu_memory_utilization"));
	busy = attribute_of(self->fd, "npu_busy_time_us");
	EXPECT_LE(telemetry_of(self->fd).busy_us, busy);
	/* The card counts from its boot on; this goes on */
	EXPECT_EQ(0, reset(self->fd, 0));
	EXPECT_GE(busy, telemetry_of(self->fd).busy_us);
	later = attribute_of(self->fd, "npu_busy_time_us");
	EXPECT_LE(busy, later);
	EXPECT_EQ(later, attribute_of(self->fd, "npu_busy_time_us"));
}

/* --- limits ------------------------------------------------------------------------------------------- */

static int set_limits(int fd, uint32_t power_mw, uint32_t clock_mhz)
{
	struct drm_aipu_limits args = { .power_mw = power_mw, .clock_mhz = clock_mhz };

	return call(fd, DRM_IOCTL_AIPU_SET_LIMITS, &args);
}

static int limits_as_anybody(int fd)
{
	if (setresuid(65534, 65534, 65534))
		return 1;
	return set_limits(fd, 0, 0) == -EPERM ? 0 : 2;
}

/* 0 or -errno */
static int write_cap(int fd, const char *microwatts)
{
	char name[256], address[64], path[512];
	int file, err;

	if (!sensor_name(fd, "power1_cap", name, sizeof(name)))
		return -ENOENT;
	address_of(fd, address, sizeof(address));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, name);
	file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	err = write(file, microwatts, strlen(microwatts)) < 0 ? -errno : 0;
	close(file);
	return err;
}

CARD_TEST(limits)
{
	struct drm_aipu_telemetry first = telemetry_of(self->fd), now;
	char text[32];

	EXPECT_EQ(0, in_child(limits_as_anybody, self->fd));
	if (!(self->device.capabilities & AIPU_CAP_LIMITS)) {
		EXPECT_EQ(-EOPNOTSUPP, set_limits(self->fd, 0, 0));
		SKIP(return, "the card has no limits");
	}
	EXPECT_EQ(-EINVAL, set_limits(self->fd, UINT32_MAX, 0));
	EXPECT_EQ(-EINVAL, set_limits(self->fd, 0, UINT32_MAX));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.power_limit_mw, now.power_limit_mw);
	EXPECT_EQ(first.clock_limit_mhz, now.clock_limit_mhz);
	ASSERT_EQ(0, set_limits(self->fd, first.power_limit_mw - 1, first.clock_limit_mhz - 1));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.power_limit_mw - 1, now.power_limit_mw);
	EXPECT_EQ(first.clock_limit_mhz - 1, now.clock_limit_mhz);
	/* By hwmon, which leaves the clock as it is, and of which 0 is the default */
	snprintf(text, sizeof(text), "%lld", (first.power_limit_mw - 2) * 1000ll);
	EXPECT_EQ(0, write_cap(self->fd, text));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.power_limit_mw - 2, now.power_limit_mw);
	EXPECT_EQ(first.clock_limit_mhz - 1, now.clock_limit_mhz);
	EXPECT_EQ(-EINVAL, write_cap(self->fd, "-1"));
	EXPECT_EQ(-EINVAL, write_cap(self->fd, "4294967296000"));
	EXPECT_EQ(0, write_cap(self->fd, "0"));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.power_limit_mw, now.power_limit_mw);
	EXPECT_EQ(first.clock_limit_mhz - 1, now.clock_limit_mhz);
	EXPECT_EQ(0, set_limits(self->fd, 0, 0));
	EXPECT_EQ(first.clock_limit_mhz, telemetry_of(self->fd).clock_limit_mhz);
}

/* A reset by the driver, of an idle card, or by somebody else (a function-level reset): what was set holds as before */
static int any_reset(int fd, int kind)
{
	char address[64], path[128];
	int file, err;

	if (kind < 2)
		return reset(fd, kind ? DRM_AIPU_RESET_IDLE : 0);
	address_of(fd, address, sizeof(address));
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", address);
	file = open(path, O_WRONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	err = write(file, "1", 1) < 0 ? -errno : 0;
	close(file);
	return err;
}

CARD_TEST(limits_hold_over_resets)
{
	struct drm_aipu_telemetry first = telemetry_of(self->fd), now;
	uint32_t resets = resets_of(self->fd);

	if (!(self->device.capabilities & AIPU_CAP_LIMITS))
		SKIP(return, "the card has no limits");
	for (int kind = 0; kind < 3; kind++) {
		int64_t power = first.power_limit_mw - 2 - kind,
			clock = first.clock_limit_mhz - 2 - kind;

		ASSERT_EQ(0, set_limits(self->fd, power, clock));
		/* What was refused is not kept */
		EXPECT_EQ(-EINVAL, set_limits(self->fd, UINT32_MAX, 0));
		for (int twice = 0; twice < 2; twice++) {
			ASSERT_EQ(0, any_reset(self->fd, kind));
			EXPECT_EQ(++resets, resets_of(self->fd));
			now = telemetry_of(self->fd);
			EXPECT_EQ(power, now.power_limit_mw);
			EXPECT_EQ(clock, now.clock_limit_mhz);
		}
	}
	/* One of them alone; and what hwmon set */
	ASSERT_EQ(0, set_limits(self->fd, 0, first.clock_limit_mhz - 1));
	ASSERT_EQ(0, reset(self->fd, 0));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.power_limit_mw, now.power_limit_mw);
	EXPECT_EQ(first.clock_limit_mhz - 1, now.clock_limit_mhz);
	ASSERT_EQ(0, write_cap(self->fd, "42000000"));
	ASSERT_EQ(0, reset(self->fd, 0));
	now = telemetry_of(self->fd);
	EXPECT_EQ(42000, now.power_limit_mw);
	EXPECT_EQ(first.clock_limit_mhz - 1, now.clock_limit_mhz);
	/* The default holds too */
	ASSERT_EQ(0, set_limits(self->fd, 0, 0));
	ASSERT_EQ(0, reset(self->fd, 0));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.power_limit_mw, now.power_limit_mw);
	EXPECT_EQ(first.clock_limit_mhz, now.clock_limit_mhz);
}

/* The image that the driver finds when it looks next */
static int install(const char *image)
{
	char bytes[65536];
	FILE *from = fopen(image, "re"), *to = fopen(FIRMWARE, "we");
	size_t count = from ? fread(bytes, 1, sizeof(bytes), from) : 0;
	int err = !to || !count || fwrite(bytes, 1, count, to) != count;

	if (from)
		fclose(from);
	if (to)
		err |= fclose(to) != 0;
	return err;
}

/* Firmware of 20 to 60 W and 300 to 500 MHz: what was set is not forgotten, but it cannot do all of that */
CARD_TEST(limits_that_other_firmware_cannot_have)
{
	static const struct {
		uint32_t power, clock; /* set */
		int64_t has_power, has_clock;
		bool said;
	} cases[] = {
		{ 50000, 400, 50000, 400, false },
		{ 80000, 400, 60000, 400, true },
		{ 50000, 700, 50000, 500, true },
		/* Below what it takes: then it has its defaults */
		{ 15000, 400, 60000, 500, true },
	};
	const char *other = getenv("AIPU_LOW_LIMITS");
	struct drm_aipu_telemetry first = telemetry_of(self->fd), now;
	char text[128];

	if (!other)
		SKIP(return, "needs AIPU_LOW_LIMITS, an image of lower limits");
	if (self->device.capabilities & AIPU_CAP_FLASH)
		SKIP(return, "this card has flash: it is not given an image");
	ASSERT_EQ(0, rename(FIRMWARE, FIRMWARE ".first"));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text),
			 "limits were set to %u mW, %u MHz; this firmware cannot", cases[i].power,
			 cases[i].clock);
		ASSERT_EQ(0, set_limits(self->fd, cases[i].power, cases[i].clock));
		EXPECT_EQ(0, install(other));
		EXPECT_EQ(0, reset(self->fd, 0));
		now = telemetry_of(self->fd);
		EXPECT_EQ(cases[i].has_power, now.power_limit_mw);
		EXPECT_EQ(cases[i].has_clock, now.clock_limit_mhz);
		EXPECT_EQ(cases[i].said, logged(text));
		EXPECT_EQ(0, install(FIRMWARE ".first"));
		EXPECT_EQ(0, reset(self->fd, 0));
		now = telemetry_of(self->fd);
		EXPECT_EQ(cases[i].power, now.power_limit_mw);
		EXPECT_EQ(cases[i].clock, now.clock_limit_mhz);
	}
	EXPECT_EQ(0, set_limits(self->fd, 0, 0));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.power_limit_mw, now.power_limit_mw);
	EXPECT_EQ(0, rename(FIRMWARE ".first", FIRMWARE));
}

/* --- fdinfo ------------------------------------------------------------------------------------------- */

/* A job that copies the half of `fills` again and again, and so is seen running */
static struct aipu_job long_job(int fd, const struct fills *fills)
{
	int handle = buffer_new(fd, DRM_AIPU_BUFFER_HOST, LIST * sizeof(struct aipu_copy_entry));
	struct aipu_copy_entry *list = buffer_map(fd, handle, LIST * sizeof(*list));
	uint32_t segment = fills->job.fill.segment;

	for (unsigned int i = 0; i < LIST; i++)
		list[i] = (struct aipu_copy_entry){ .src_segment = segment,
						    .dst_segment = segment,
						    .dst_offset = FILL_BYTES / 2,
						    .length = FILL_BYTES / 2 };
	munmap(list, LIST * sizeof(*list));
	return (struct aipu_job){
		.opcode = AIPU_JOB_COPY,
		.copy = { .src_segment = bind_range(fd, fills->context, handle, 0,
						    LIST * sizeof(*list), ACCESS_BOTH),
			  .list_count = LIST },
	};
}

/* Of a job that runs its time counts already, and it never goes back, also when the job ends */
CARD_TEST(time_of_running_jobs)
{
	long long now, last = 0, moved = 0;
	struct drm_aipu_result result;
	struct aipu_job job;
	struct fills fills;

	ASSERT_EQ(0, fills_new(self->fd, &fills));
	EXPECT_EQ(0, usage(self->fd, "drm-engine-compute"));
	job = long_job(self->fd, &fills);
	for (int i = 0; i < 20 && moved < 2; i++) {
		ASSERT_EQ(0, submit(self->fd, fills.queue, i + 1, &job));
		do {
			now = usage(self->fd, "drm-engine-compute");
			EXPECT_LE(last, now);
			/* No job ended before it was read */
			moved += now > last && usage(self->fd, "aipu_accel-jobs") == i;
			last = now;
		} while (telemetry_of(self->fd).running_jobs);
		ASSERT_EQ(0, result_of(self->fd, fills.queue, &result));
		EXPECT_EQ(0, result.error);
		now = usage(self->fd, "drm-engine-compute");
		EXPECT_LE(last, now);
		EXPECT_LE(result.time_ns, now);
		last = now;
	}
	EXPECT_LE(2, moved);
	/* Nothing runs: it stands still, and another file has none of it */
	EXPECT_EQ(last, usage(self->fd, "drm-engine-compute"));
	EXPECT_EQ(0, usage(self->other, "drm-engine-compute"));
}

static bool has_line(int fd, const char *line)
{
	char path[64], text[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && !found && fgets(text, sizeof(text), file)) {
		text[strcspn(text, "\n")] = '\0';
		found = !strcmp(text, line);
	}
	if (file)
		fclose(file);
	return found;
}

CARD_TEST(keys_that_monitors_read)
{
	char address[64], line[128];

	address_of(self->fd, address, sizeof(address));
	snprintf(line, sizeof(line), "drm-pdev:\t%s", address);
	EXPECT_TRUE(has_line(self->fd, line));
	EXPECT_TRUE(has_line(self->fd, "drm-driver:\t" AIPU_DRIVER_NAME));
	EXPECT_LT(0, usage(self->fd, "drm-client-id"));
	EXPECT_NE(usage(self->fd, "drm-client-id"), usage(self->other, "drm-client-id"));
	EXPECT_EQ(0, usage(self->fd, "drm-total-device"));
	EXPECT_EQ(0, usage(self->fd, "drm-resident-device"));
}

/* --- resets -------------------------------------------------------------------------------------------- */

static int reset_as_anybody(int fd)
{
	if (setresuid(65534, 65534, 65534))
		return 1;
	return reset(fd, DRM_AIPU_RESET_IDLE) == -EPERM ? 0 : 2;
}

CARD_TEST(reset_flags)
{
	uint32_t resets = resets_of(self->fd);

	EXPECT_TRUE(self->device.features & DRM_AIPU_FEATURE_RESET_FLAGS);
	EXPECT_EQ(0, in_child(reset_as_anybody, self->fd));
	EXPECT_EQ(-EINVAL, reset(self->fd, 4));
	EXPECT_EQ(-EINVAL, reset(self->fd, ~0u));
	EXPECT_EQ(resets, resets_of(self->fd));
	if (self->device.capabilities & AIPU_CAP_FLASH)
		SKIP(return, "this card has flash: selftest_flash");
	EXPECT_EQ(-EOPNOTSUPP, reset(self->fd, DRM_AIPU_RESET_RECOVERY));
	EXPECT_EQ(resets, resets_of(self->fd));
}

/* While jobs are in flight it changes nothing; where they ended before it came, they ended well */
CARD_TEST(reset_of_an_idle_card)
{
	struct drm_aipu_telemetry before = telemetry_of(self->fd);
	uint32_t resets = resets_of(self->fd), done = 0;
	bool busy = false;
	int err;

	for (int i = 0; i < 20 && !busy; i++) {
		struct fills fills;

		ASSERT_EQ(0, fills_new(self->fd, &fills));
		ASSERT_EQ(0, fills_give(self->fd, &fills, 1));
		err = reset(self->other, DRM_AIPU_RESET_IDLE);
		busy = err == -EBUSY;
		done += !err;
		EXPECT_TRUE(busy || !err);
		EXPECT_EQ(JOBS, fills_end(self->fd, &fills));
		/* And the context lives */
		EXPECT_EQ(busy ? 0 : -ECANCELED, run(self->fd, fills.queue, JOBS + 1, &fills.job));
		EXPECT_EQ(0, context_end(self->fd, fills.context));
	}
	EXPECT_TRUE(busy);
	EXPECT_EQ(resets + done, resets_of(self->fd));
	EXPECT_EQ(0, reset(self->other, DRM_AIPU_RESET_IDLE));
	EXPECT_EQ(resets + done + 1, resets_of(self->fd));
	EXPECT_LT(before.card_resets, telemetry_of(self->fd).card_resets);
	/* The fixture's context was lost as in any reset */
	EXPECT_EQ(-ECANCELED, queue_new(self->fd, self->context));
}

static atomic_bool enough;
static atomic_uint lost, ran;

/* Jobs one behind the other, in contexts of which each lives until a reset takes it */
static void *give_jobs(void *arg)
{
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };
	int fd = *(int *)arg;

	while (!atomic_load(&enough)) {
		int context = context_new(fd),
		    queue = context < 0 ? context : queue_new(fd, context);
		int err = queue < 0 ? queue : 0;

		for (uint64_t sequence = 1; !err && !atomic_load(&enough); sequence++) {
			err = run(fd, queue, sequence, &job);
			atomic_fetch_add(&ran, !err);
		}
		atomic_fetch_add(&lost, err == -ECANCELED);
		if (context > 0)
			context_end(fd, context);
	}
	return NULL;
}

/* Each context that is lost was lost to a reset that came to be: one that was refused took nothing */
CARD_TEST(reset_of_an_idle_card_among_jobs)
{
	uint32_t resets = resets_of(self->fd), done = 0, refused = 0;
	pthread_t thread;
	int err = 0;

	atomic_store(&enough, false);
	ASSERT_EQ(0, pthread_create(&thread, NULL, give_jobs, &self->other));
	for (int i = 0; i < 500 && done < 10; i++) {
		/* Once more when a job has ended: else they would come to nothing */
		for (unsigned int before = atomic_load(&ran); atomic_load(&ran) == before;)
			sched_yield();
		err = reset(self->fd, DRM_AIPU_RESET_IDLE);
		done += !err;
		refused += err == -EBUSY;
		if (err && err != -EBUSY)
			break;
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	EXPECT_TRUE(!err || err == -EBUSY);
	EXPECT_LT(0, done);
	EXPECT_GE(done, atomic_load(&lost));
	EXPECT_LT(0, atomic_load(&ran));
	EXPECT_EQ(resets + done, resets_of(self->fd));
	TH_LOG("%u resets, %u refused, %u jobs", done, refused, atomic_load(&ran));
}

TEST_HARNESS_MAIN
