// SPDX-License-Identifier: GPL-2.0
/*
 * A card that gets too hot, with firmware in its flash: it is given up at once, says why, loses nothing, and works again when it has
 * cooled down. Runs as root in a guest with the driver loaded, in the kernel's own test harness; the first card does what heat_card of
 * objects.sh orders: its first job heats the air, its second LOAD cools it. It has run no job yet, and its flash is empty.
 */
#include "kselftest_harness.h"

#include "accel.h"
#include "aipu_queue.h"
#include "aipu_registers.h"

#define FIRMWARE "/lib/firmware/aipu/534f4654.fw"

static int flash(int fd, uint32_t op, uint32_t slot, const void *data, uint32_t bytes)
{
	struct drm_aipu_flash args = {
		.op = op, .slot = slot, .data = (uintptr_t)data, .bytes = bytes
	};

	return call(fd, DRM_IOCTL_AIPU_FLASH, &args);
}

/* The driver's image into slot A, on trial; 0 or -errno */
static int activate_image(int fd)
{
	static char image[65536];
	FILE *file = fopen(FIRMWARE, "re");
	size_t bytes = file ? fread(image, 1, sizeof(image), file) : 0;

	if (file)
		fclose(file);
	return flash(fd, DRM_AIPU_FLASH_WRITE, 0, image, bytes)
		       ?: flash(fd, DRM_AIPU_FLASH_COMMIT, 0, NULL, 0)
			       ?: flash(fd, DRM_AIPU_FLASH_ACTIVATE, 0, NULL, 0);
}

static int reset(int fd, uint32_t flags)
{
	struct drm_aipu_reset args = { .flags = flags };

	return call(fd, DRM_IOCTL_AIPU_RESET, &args);
}

static struct drm_aipu_device device_of(int fd)
{
	struct drm_aipu_device device = { .state = ~0u };

	query(fd, DRM_AIPU_QUERY_DEVICE, &device, sizeof(device));
	return device;
}

static struct drm_aipu_telemetry telemetry_of(int fd)
{
	struct drm_aipu_telemetry now = { .temperature_mc = DRM_AIPU_UNKNOWN };

	query(fd, DRM_AIPU_QUERY_TELEMETRY, &now, sizeof(now));
	return now;
}

static int run_a_job(int fd)
{
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };
	int context = context_new(fd), queue = queue_new(fd, context);
	int err = queue < 0 ? queue : run(fd, queue, 1, &job);

	return context_end(fd, context) ?: err;
}

static void look_again(void)
{
	usleep(20000);
}

FIXTURE(heat)
{
	int fd;
};

FIXTURE_SETUP(heat)
{
	self->fd = card_open(0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(heat)
{
	close(self->fd);
}

TEST_F_TIMEOUT(heat, too_hot_and_cool_again, 400)
{
	struct drm_aipu_telemetry now;
	struct aipu_flash_info info;
	int fd = self->fd;

	if (!(device_of(fd).capabilities & AIPU_CAP_FLASH))
		SKIP(return, "the card has no flash");
	ASSERT_EQ(0, activate_image(fd));
	ASSERT_EQ(0, run_a_job(fd));
	while (device_of(fd).state != DRM_AIPU_STATE_WEDGED)
		look_again();
	EXPECT_TRUE(logged("the card is too hot: resetting the card"));
	EXPECT_TRUE(logged("the card is too hot to start: reset it when it has cooled down"));
	/* It was stopped, by its own reset */
	EXPECT_FALSE(logged("cannot be stopped"));
	/* Who looks is told of the heat; all else fails */
	now = telemetry_of(fd);
	EXPECT_LT(now.shutdown_mc, now.temperature_mc);
	EXPECT_EQ(0, now.running_jobs);
	EXPECT_GT(0, context_new(fd));
	/* As often as one tries: it fails, and takes no try off the image */
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(-EIO, reset(fd, 0));
	/* The host's image is of no more use, but here it brings cool air */
	EXPECT_EQ(-EIO, reset(fd, DRM_AIPU_RESET_RECOVERY));
	EXPECT_EQ(DRM_AIPU_STATE_WEDGED, device_of(fd).state);
	EXPECT_FALSE(logged("the card refused firmware"));
	EXPECT_FALSE(logged("cannot be stopped"));
	do {
		now = telemetry_of(fd);
		look_again();
	} while (now.temperature_mc >= now.shutdown_mc);
	EXPECT_EQ(0, reset(fd, 0));
	EXPECT_EQ(DRM_AIPU_STATE_READY, device_of(fd).state);
	EXPECT_EQ(AIPU_BOOT_FROM_SLOT_A, device_of(fd).boot_source);
	EXPECT_EQ(0, flash(fd, DRM_AIPU_FLASH_INFO, 0, &info, sizeof(info)));
	EXPECT_EQ(AIPU_FLASH_CONFIRMED, info.slots[0].state);
	EXPECT_EQ(0, run_a_job(fd));
}

TEST_HARNESS_MAIN
