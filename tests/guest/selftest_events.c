// SPDX-License-Identifier: GPL-2.0
/*
 * What a card reports by itself: errors of its memory, heat. Who is told: telemetry, a uevent, hwmon, the kernel's log. Runs as root in a
 * guest with the driver loaded, in the kernel's own test harness; the first card does what events_card of objects.sh orders for its
 * jobs 2, 4, 6 and 8, and has run none yet.
 */
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include "kselftest_harness.h"

#include "accel.h"
#include "aipu_registers.h"

#define WAIT_MS 120000 /* the air has to warm the card first, and a busy machine is slow */

FIXTURE(events)
{
	int fd, uevents, context, queue;
	uint64_t next;
	char name[32]; /* accelN */
	struct drm_aipu_device device;
};

FIXTURE_SETUP(events)
{
	struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	char path[64], target[64] = "";

	self->fd = card_open(0);
	ASSERT_LE(0, self->fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	ASSERT_LT(0, readlink(path, target, sizeof(target) - 1));
	snprintf(self->name, sizeof(self->name), "%.31s", strrchr(target, '/') + 1);
	ASSERT_EQ(0, query(self->fd, DRM_AIPU_QUERY_DEVICE, &self->device, sizeof(self->device)));
	self->uevents = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);
	ASSERT_LE(0, self->uevents);
	ASSERT_EQ(0, bind(self->uevents, (struct sockaddr *)&all, sizeof(all)));
	self->context = context_new(self->fd);
	self->queue = queue_new(self->fd, self->context);
	ASSERT_LT(0, self->queue);
	self->next = 1;
}

FIXTURE_TEARDOWN(events)
{
	close(self->fd);
	close(self->uevents);
}

/* Is one of the texts of a uevent, each of which ends with a zero, this one? */
static bool has_text(const char *message, size_t bytes, const char *text)
{
	for (size_t at = 0; at < bytes; at += strlen(message + at) + 1)
		if (!strcmp(message + at, text))
			return true;
	return false;
}

/* The next change of the node `name`, if it is `event`; what others have to tell is passed over */
static bool told(int uevents, const char *name, const char *event)
{
	struct pollfd wait = { .fd = uevents, .events = POLLIN };
	char message[4097], node[64], text[64];
	ssize_t bytes;

	snprintf(node, sizeof(node), "DEVNAME=accel/%s", name);
	snprintf(text, sizeof(text), "AIPU_EVENT=%s", event);
	while (poll(&wait, 1, WAIT_MS) == 1) {
		bytes = recv(uevents, message, sizeof(message) - 1, 0);
		if (bytes < 0)
			return false;
		message[bytes] = '\0';
		if (has_text(message, bytes, "ACTION=change") && has_text(message, bytes, node))
			return has_text(message, bytes, text);
	}
	return false;
}

/* A job that does nothing, and what it is the turn of; -errno of the job */
static int step(int fd, uint32_t queue, uint64_t *next)
{
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };

	return run(fd, queue, (*next)++, &job);
}

static struct drm_aipu_telemetry telemetry_of(int fd)
{
	struct drm_aipu_telemetry now = {};

	query(fd, DRM_AIPU_QUERY_TELEMETRY, &now, sizeof(now));
	return now;
}

TEST_F_TIMEOUT(events, errors_and_heat, 400)
{
	struct drm_aipu_telemetry first = telemetry_of(self->fd), now;

	if (!(self->device.capabilities & AIPU_CAP_RAS) ||
	    !(self->device.capabilities & AIPU_CAP_LIMITS))
		SKIP(return, "the card has no counters of errors, or no limits");
	/* Job 2: one that was corrected */
	EXPECT_EQ(0, step(self->fd, self->queue, &self->next));
	EXPECT_EQ(0, step(self->fd, self->queue, &self->next));
	EXPECT_TRUE(told(self->uevents, self->name, "ras"));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.ras_events + 1, now.ras_events);
	EXPECT_EQ(first.corrected_errors + 1, now.corrected_errors);
	EXPECT_EQ(first.uncorrected_errors, now.uncorrected_errors);
	EXPECT_FALSE(logged("uncorrected errors"));
	/* Job 4: one that was not */
	EXPECT_EQ(0, step(self->fd, self->queue, &self->next));
	EXPECT_EQ(-EIO, step(self->fd, self->queue, &self->next));
	EXPECT_TRUE(told(self->uevents, self->name, "ras"));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.ras_events + 2, now.ras_events);
	EXPECT_EQ(first.corrected_errors + 1, now.corrected_errors);
	EXPECT_EQ(first.uncorrected_errors + 1, now.uncorrected_errors);
	EXPECT_TRUE(logged("1 more uncorrected errors, 1 since power-on"));
	/* From job 6 on it is hot, from job 8 on it is not */
	EXPECT_EQ(0, step(self->fd, self->queue, &self->next));
	EXPECT_EQ(0, step(self->fd, self->queue, &self->next));
	EXPECT_TRUE(told(self->uevents, self->name, "temperature"));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.temperature_events + 1, now.temperature_events);
	EXPECT_LE(now.throttle_mc, now.temperature_mc);
	EXPECT_TRUE(now.throttle & AIPU_THROTTLE_TEMPERATURE);
	EXPECT_GT(now.clock_limit_mhz, now.clock_mhz);
	EXPECT_EQ(0, step(self->fd, self->queue, &self->next));
	EXPECT_EQ(0, step(self->fd, self->queue, &self->next));
	EXPECT_TRUE(told(self->uevents, self->name, "temperature"));
	now = telemetry_of(self->fd);
	EXPECT_EQ(first.temperature_events + 2, now.temperature_events);
	EXPECT_EQ(0, now.throttle);
	EXPECT_EQ(now.clock_limit_mhz, now.clock_mhz);
	EXPECT_EQ(first.ras_events + 2, now.ras_events);
}

TEST_HARNESS_MAIN
