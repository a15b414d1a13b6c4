// SPDX-License-Identifier: GPL-2.0
/*
 * The card's firmware slots by DRM_IOCTL_AIPU_FLASH: what it takes and refuses, an update into each slot, recovery. Runs as root in a
 * guest with the driver loaded, in the kernel's own test harness; of the first card, which needs a flash (aipu-emu --flash). The
 * image is the one that the driver would give the card; it is out of its place for a moment.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "kselftest_harness.h"

#include "accel.h"
#include "aipu_firmware.h"
#include "aipu_queue.h"
#include "aipu_registers.h"

#define FIRMWARE "/lib/firmware/aipu/534f4654.fw"
#define CHUNK 65536u
#define PIECE 100u /* an image is written in several */

static int flash(int fd, uint32_t op, uint32_t slot, uint64_t offset, const void *data,
		 uint32_t bytes, uint32_t *detail)
{
	struct drm_aipu_flash args = { .op = op,
				       .slot = slot,
				       .offset = offset,
				       .data = (uintptr_t)data,
				       .bytes = bytes,
				       .detail = 0xeeeeeeee };
	int err = call(fd, DRM_IOCTL_AIPU_FLASH, &args);

	if (detail)
		*detail = args.detail;
	return err;
}

static int info_of(int fd, struct aipu_flash_info *info)
{
	memset(info, 0xee, sizeof(*info));
	return flash(fd, DRM_AIPU_FLASH_INFO, 0, 0, info, sizeof(*info), NULL);
}

static uint32_t state_of(int fd, uint32_t slot)
{
	struct aipu_flash_info info;

	return info_of(fd, &info) ? ~0u : info.slots[slot].state;
}

static int reset(int fd, uint32_t flags)
{
	struct drm_aipu_reset args = { .flags = flags };

	return call(fd, DRM_IOCTL_AIPU_RESET, &args);
}

static struct drm_aipu_device device_of(int fd)
{
	struct drm_aipu_device device = {};

	query(fd, DRM_AIPU_QUERY_DEVICE, &device, sizeof(device));
	return device;
}

/* Written from the slot's start */
static int write_image(int fd, uint32_t slot, const void *image, uint32_t bytes)
{
	int err = 0;

	for (uint32_t done = 0; done < bytes && !err; done += PIECE)
		err = flash(fd, DRM_AIPU_FLASH_WRITE, slot, done, (const char *)image + done,
			    bytes - done < PIECE ? bytes - done : PIECE, NULL);
	return err;
}

FIXTURE(flash)
{
	int fd;
	struct drm_aipu_device device;
	uint32_t running; /* slot; 2: none */
	uint32_t other; /* one that does not run */
	char image[CHUNK];
	uint32_t bytes; /* of it */
};

FIXTURE_SETUP(flash)
{
	FILE *file = fopen(FIRMWARE, "re");

	self->fd = card_open(0);
	ASSERT_LE(0, self->fd);
	self->device = device_of(self->fd);
	if (!(self->device.capabilities & AIPU_CAP_FLASH))
		SKIP(return, "the card has no flash");
	ASSERT_NE(NULL, file);
	self->bytes = fread(self->image, 1, sizeof(self->image), file);
	fclose(file);
	ASSERT_LT(sizeof(struct aipu_firmware_header), self->bytes);
	self->running = self->device.boot_source == AIPU_BOOT_FROM_SLOT_A   ? 0
			: self->device.boot_source == AIPU_BOOT_FROM_SLOT_B ? 1
									    : 2;
	self->other = self->running ? 0 : 1;
}

FIXTURE_TEARDOWN(flash)
{
	close(self->fd);
}

#define FLASH_TEST(name) TEST_F_TIMEOUT(flash, name, 240)

/* --- arguments ---------------------------------------------------------------------------------------- */

FLASH_TEST(info)
{
	struct aipu_flash_info info, part;
	struct drm_aipu_device now;

	EXPECT_TRUE(self->device.features & DRM_AIPU_FEATURE_FLASH);
	ASSERT_EQ(0, info_of(self->fd, &info));
	EXPECT_LT(0, info.chunk_bytes);
	EXPECT_GE(CHUNK, info.chunk_bytes);
	EXPECT_LE(info.chunk_bytes, info.slot_bytes);
	EXPECT_EQ(self->device.rom_version, info.rom_version);
	EXPECT_EQ(self->device.rollback, info.rollback);
	EXPECT_EQ(self->device.boot_source, info.source);
	EXPECT_EQ(0, others(info.reserved, sizeof(info.reserved), 0));
	/* No byte beyond what was asked for */
	memset(&part, 0xee, sizeof(part));
	EXPECT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_INFO, 0, 0, &part, 40, NULL));
	EXPECT_EQ(0, memcmp(&part, &info, 40));
	EXPECT_EQ(0, others((char *)&part + 40, sizeof(part) - 40, 0xee));
	now = device_of(self->fd);
	EXPECT_EQ(self->device.resets, now.resets);
}

FLASH_TEST(arguments)
{
	const struct drm_aipu_flash bad[] = {
		{ .op = 5, .bytes = 64 },
		{ .op = ~0u },
		{ .op = DRM_AIPU_FLASH_INFO, .slot = 1, .bytes = 64 },
		{ .op = DRM_AIPU_FLASH_INFO, .offset = 1, .bytes = 64 },
		{ .op = DRM_AIPU_FLASH_INFO, .bytes = 0 },
		{ .op = DRM_AIPU_FLASH_INFO, .bytes = 4097 },
		{ .op = DRM_AIPU_FLASH_WRITE, .slot = 2, .bytes = 64 },
		{ .op = DRM_AIPU_FLASH_WRITE, .slot = ~0u, .bytes = 64 },
		{ .op = DRM_AIPU_FLASH_WRITE, .slot = self->other, .bytes = 0 },
		{ .op = DRM_AIPU_FLASH_WRITE, .slot = self->other, .bytes = CHUNK + 1 },
		{ .op = DRM_AIPU_FLASH_WRITE, .slot = self->other, .bytes = ~0u },
		{ .op = DRM_AIPU_FLASH_READ, .slot = 2, .bytes = 64 },
		{ .op = DRM_AIPU_FLASH_READ, .slot = self->other, .bytes = 0 },
		{ .op = DRM_AIPU_FLASH_READ, .slot = self->other, .bytes = CHUNK + 1 },
		{ .op = DRM_AIPU_FLASH_READ, .bytes = 1, .offset = 1ull << 40 },
		{ .op = DRM_AIPU_FLASH_READ, .bytes = 64, .offset = ~0ull },
		{ .op = DRM_AIPU_FLASH_COMMIT, .slot = 2 },
		{ .op = DRM_AIPU_FLASH_COMMIT, .slot = self->other, .offset = 1 },
		{ .op = DRM_AIPU_FLASH_COMMIT, .slot = self->other, .bytes = 1 },
		{ .op = DRM_AIPU_FLASH_ACTIVATE, .slot = 2 },
		{ .op = DRM_AIPU_FLASH_ACTIVATE, .slot = self->other, .offset = 1 },
		{ .op = DRM_AIPU_FLASH_ACTIVATE, .slot = self->other, .bytes = 1 },
	};
	static char room[CHUNK + 4096];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct drm_aipu_flash args = bad[i];

		args.data = args.bytes ? (uintptr_t)room : 0;
		args.detail = 0xeeeeeeee;
		EXPECT_EQ(-EINVAL, call(self->fd, DRM_IOCTL_AIPU_FLASH, &args))
		{
			TH_LOG("case %zu", i);
		}
		EXPECT_EQ(0, args.detail);
	}
	EXPECT_EQ(-EINVAL, flash(self->fd, DRM_AIPU_FLASH_COMMIT, self->other, 0, room, 0, NULL));
	EXPECT_EQ(-EINVAL, flash(self->fd, DRM_AIPU_FLASH_ACTIVATE, self->other, 0, room, 0, NULL));
}

FLASH_TEST(pointers)
{
	char *page =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct drm_aipu_flash args = { .op = DRM_AIPU_FLASH_INFO,
				       .data = (uintptr_t)page,
				       .bytes = 64 };
	char *end = page + PAGE;

	mprotect(end, PAGE, PROT_NONE);
	memcpy(end - sizeof(args), &args, sizeof(args));
	EXPECT_EQ(0, call(self->fd, DRM_IOCTL_AIPU_FLASH, end - sizeof(args)));
	for (size_t i = 1; i <= sizeof(args); i++)
		EXPECT_EQ(-EFAULT, call(self->fd, DRM_IOCTL_AIPU_FLASH, end - sizeof(args) + i));
	EXPECT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_INFO, 0, 0, end - 64, 64, NULL));
	EXPECT_EQ(-EFAULT, flash(self->fd, DRM_AIPU_FLASH_INFO, 0, 0, end - 63, 64, NULL));
	EXPECT_EQ(-EFAULT, flash(self->fd, DRM_AIPU_FLASH_INFO, 0, 0, NULL, 64, NULL));
	EXPECT_EQ(-EFAULT,
		  flash(self->fd, DRM_AIPU_FLASH_READ, self->other, 0, end - 63, 64, NULL));
	EXPECT_EQ(-EFAULT,
		  flash(self->fd, DRM_AIPU_FLASH_WRITE, self->other, 0, end - 63, 64, NULL));
	EXPECT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_READ, self->other, 0, end - 64, 64, NULL));
	/* Not even read-only memory gets what a READ reads */
	mprotect(page, PAGE, PROT_READ);
	EXPECT_EQ(-EFAULT, flash(self->fd, DRM_AIPU_FLASH_READ, self->other, 0, page, 64, NULL));
	munmap(page, 2 * PAGE);
}

static int flash_as_anybody(int fd)
{
	struct aipu_flash_info info;
	char room[64];

	if (setresuid(65534, 65534, 65534))
		return 1;
	if (info_of(fd, &info))
		return 2;
	if (flash(fd, DRM_AIPU_FLASH_WRITE, 0, 0, room, 64, NULL) != -EPERM ||
	    flash(fd, DRM_AIPU_FLASH_READ, 0, 0, room, 64, NULL) != -EPERM)
		return 3;
	if (flash(fd, DRM_AIPU_FLASH_COMMIT, 0, 0, NULL, 0, NULL) != -EPERM ||
	    flash(fd, DRM_AIPU_FLASH_ACTIVATE, 0, 0, NULL, 0, NULL) != -EPERM)
		return 4;
	return 0;
}

FLASH_TEST(rights)
{
	EXPECT_EQ(0, in_child(flash_as_anybody, self->fd));
}

/* --- what is written ----------------------------------------------------------------------------------- */

FLASH_TEST(bytes_come_back)
{
	static char out[CHUNK], in[CHUNK];

	for (uint32_t i = 0; i < 2; i++) {
		fill_bytes(out, CHUNK, i);
		ASSERT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_WRITE, self->other, i * CHUNK, out,
				   CHUNK, NULL));
	}
	/* Across the border of two pieces, and single bytes */
	ASSERT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_READ, self->other, CHUNK, in, CHUNK, NULL));
	EXPECT_EQ(0, differences(in, CHUNK, 1));
	ASSERT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_READ, self->other, CHUNK - 1, in, 2, NULL));
	fill_bytes(out, CHUNK, 0);
	EXPECT_EQ(out[CHUNK - 1], in[0]);
	fill_bytes(out, CHUNK, 1);
	EXPECT_EQ(out[0], in[1]);
	/* No gap, no piece twice */
	EXPECT_EQ(-EINVAL,
		  flash(self->fd, DRM_AIPU_FLASH_WRITE, self->other, 2 * CHUNK + 1, out, 1, NULL));
	EXPECT_EQ(-EINVAL, flash(self->fd, DRM_AIPU_FLASH_WRITE, self->other, CHUNK, out, 1, NULL));
	EXPECT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_WRITE, self->other, 2 * CHUNK, out, 1, NULL));
	EXPECT_EQ(AIPU_FLASH_EMPTY, state_of(self->fd, self->other));
}

struct refusal {
	size_t at; /* the byte that is wrong; 0: none */
	uint32_t missing; /* bytes at the end */
	uint32_t detail;
};

FLASH_TEST(refused_images)
{
	const struct refusal refusals[] = {
		{ 1, 0, AIPU_ERROR_FIRMWARE_MAGIC },
		{ offsetof(struct aipu_firmware_header, header_version), 0,
		  AIPU_ERROR_FIRMWARE_HEADER },
		{ self->bytes - 1, 0, AIPU_ERROR_FIRMWARE_DIGEST },
		{ offsetof(struct aipu_firmware_header, signature), 0,
		  AIPU_ERROR_FIRMWARE_SIGNATURE },
		{ 0, 1, AIPU_ERROR_FIRMWARE_SIZE },
	};
	uint32_t detail;

	/* Of what was never written */
	ASSERT_EQ(0, reset(self->fd, 0));
	EXPECT_EQ(-EKEYREJECTED,
		  flash(self->fd, DRM_AIPU_FLASH_COMMIT, self->other, 0, NULL, 0, &detail));
	EXPECT_EQ(AIPU_ERROR_SLOT_EMPTY, detail);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		char image[CHUNK];

		memcpy(image, self->image, self->bytes);
		if (refusals[i].at)
			image[refusals[i].at] ^= 0x10;
		ASSERT_EQ(0, write_image(self->fd, self->other, image,
					 self->bytes - refusals[i].missing));
		EXPECT_EQ(-EKEYREJECTED,
			  flash(self->fd, DRM_AIPU_FLASH_COMMIT, self->other, 0, NULL, 0, &detail));
		EXPECT_EQ(refusals[i].detail, detail);
		EXPECT_EQ(AIPU_FLASH_EMPTY, state_of(self->fd, self->other));
		EXPECT_EQ(-ENOENT, flash(self->fd, DRM_AIPU_FLASH_ACTIVATE, self->other, 0, NULL, 0,
					 &detail));
		EXPECT_EQ(0, detail);
	}
}

/* What was written goes with a reset, and the slot with it */
FLASH_TEST(a_reset_in_the_middle)
{
	uint32_t detail;

	ASSERT_EQ(0,
		  flash(self->fd, DRM_AIPU_FLASH_WRITE, self->other, 0, self->image, PIECE, NULL));
	ASSERT_EQ(0, reset(self->fd, 0));
	EXPECT_EQ(-EINVAL, flash(self->fd, DRM_AIPU_FLASH_WRITE, self->other, PIECE,
				 self->image + PIECE, PIECE, NULL));
	EXPECT_EQ(AIPU_FLASH_EMPTY, state_of(self->fd, self->other));
	EXPECT_EQ(-EKEYREJECTED,
		  flash(self->fd, DRM_AIPU_FLASH_COMMIT, self->other, 0, NULL, 0, &detail));
	EXPECT_EQ(AIPU_ERROR_SLOT_EMPTY, detail);
}

/* --- an update is one file's ---------------------------------------------------------------------------- */

/* What changes something; the bytes are those of an image's start */
static int changes(int fd, uint32_t slot, const char *image, uint32_t op)
{
	bool writes = op == DRM_AIPU_FLASH_WRITE;

	return flash(fd, op, slot, 0, writes ? image : NULL, writes ? PIECE : 0, NULL);
}

FLASH_TEST(one_update_at_a_time)
{
	const uint32_t ops[] = { DRM_AIPU_FLASH_WRITE, DRM_AIPU_FLASH_COMMIT,
				 DRM_AIPU_FLASH_ACTIVATE };
	int other = card_open(0);
	static char back[CHUNK];

	ASSERT_LE(0, other);
	/* From the first piece on, whichever slot the other file means */
	ASSERT_EQ(0, changes(self->fd, self->other, self->image, DRM_AIPU_FLASH_WRITE));
	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t slot = 0; slot < 2; slot++)
			EXPECT_EQ(-EBUSY, changes(other, slot, self->image, ops[i]));
	/* Who only reads may */
	EXPECT_EQ(AIPU_FLASH_EMPTY, state_of(other, self->other));
	ASSERT_EQ(0, flash(other, DRM_AIPU_FLASH_READ, self->other, 0, back, PIECE, NULL));
	EXPECT_EQ(0, memcmp(back, self->image, PIECE));
	/* It is what it would have been, to the end */
	ASSERT_EQ(0, write_image(self->fd, self->other, self->image, self->bytes));
	ASSERT_EQ(0, changes(self->fd, self->other, NULL, DRM_AIPU_FLASH_COMMIT));
	EXPECT_EQ(-EBUSY, changes(other, self->other, self->image, DRM_AIPU_FLASH_WRITE));
	EXPECT_EQ(AIPU_FLASH_GOOD, state_of(other, self->other));
	/* The other's turn when this file is closed */
	close(self->fd);
	self->fd = other;
	ASSERT_EQ(0, changes(other, self->other, NULL, DRM_AIPU_FLASH_ACTIVATE));
	/* What waits for its reset is not overwritten; who failed has begun nothing */
	other = card_open(0);
	ASSERT_LE(0, other);
	EXPECT_EQ(-EBUSY, changes(other, self->other, self->image, DRM_AIPU_FLASH_WRITE));
	EXPECT_EQ(0, changes(self->fd, self->other, self->image, DRM_AIPU_FLASH_WRITE));
	/* A reset by anybody ends it */
	ASSERT_EQ(0, reset(other, 0));
	EXPECT_EQ(0, changes(other, self->other, self->image, DRM_AIPU_FLASH_WRITE));
	EXPECT_EQ(-EBUSY, changes(self->fd, self->other, self->image, DRM_AIPU_FLASH_WRITE));
	close(other);
	EXPECT_EQ(0, changes(self->fd, self->other, self->image, DRM_AIPU_FLASH_WRITE));
}

/* --- updates ------------------------------------------------------------------------------------------- */

static const uint32_t sources[] = { AIPU_BOOT_FROM_SLOT_A, AIPU_BOOT_FROM_SLOT_B };

/* 0, or the line that failed */
static int update(int fd, uint32_t slot, const char *image, uint32_t bytes)
{
	static char back[CHUNK];
	uint32_t detail;

	if (write_image(fd, slot, image, bytes) ||
	    flash(fd, DRM_AIPU_FLASH_READ, slot, 0, back, bytes, NULL) ||
	    memcmp(back, image, bytes))
		return __LINE__;
	if (flash(fd, DRM_AIPU_FLASH_COMMIT, slot, 0, NULL, 0, &detail) || detail ||
	    state_of(fd, slot) != AIPU_FLASH_GOOD)
		return __LINE__;
	if (flash(fd, DRM_AIPU_FLASH_ACTIVATE, slot, 0, NULL, 0, &detail) || detail ||
	    state_of(fd, slot) != AIPU_FLASH_TRIAL)
		return __LINE__;
	/* What runs goes on until the reset */
	if (device_of(fd).boot_source == sources[slot] || reset(fd, 0))
		return __LINE__;
	return state_of(fd, slot) == AIPU_FLASH_CONFIRMED ? 0 : __LINE__;
}

/* Where the card was started by the host: likewise, of slot A */
static int run_from_slot(int fd, const char *image, uint32_t bytes)
{
	return device_of(fd).boot_source == AIPU_BOOT_FROM_HOST ? update(fd, 0, image, bytes) : 0;
}

/* Into the one slot, from there into the other, and back */
FLASH_TEST(updates)
{
	uint32_t slot = self->other;

	for (int i = 0; i < 3; i++, slot ^= 1) {
		struct drm_aipu_device now;

		ASSERT_EQ(0, update(self->fd, slot, self->image, self->bytes));
		now = device_of(self->fd);
		EXPECT_EQ(sources[slot], now.boot_source);
		EXPECT_EQ(0, now.slot_errors[slot]);
		EXPECT_EQ(self->device.resets + i + 1, now.resets);
		EXPECT_LT(0, context_new(self->fd));
		/* What runs is not touched */
		EXPECT_EQ(-EBUSY,
			  flash(self->fd, DRM_AIPU_FLASH_WRITE, slot, 0, self->image, PIECE, NULL));
		EXPECT_EQ(-EBUSY, flash(self->fd, DRM_AIPU_FLASH_COMMIT, slot, 0, NULL, 0, NULL));
		EXPECT_EQ(AIPU_FLASH_CONFIRMED, state_of(self->fd, slot));
	}
}

static atomic_bool reset_ended;

static void *reset_now(void *arg)
{
	intptr_t err = reset(*(int *)arg, 0);

	atomic_store(&reset_ended, true);
	return (void *)err;
}

/* Asks until the reset has ended: the number of answers that came while the card was being reset; 0 too where one failed */
static unsigned int looks_during_a_reset(int fd)
{
	unsigned int looks = 0;
	pthread_t thread;
	void *err;

	atomic_store(&reset_ended, false);
	if (pthread_create(&thread, NULL, reset_now, &fd))
		return 0;
	while (!atomic_load(&reset_ended)) {
		struct drm_aipu_telemetry now;

		if (query(fd, DRM_AIPU_QUERY_TELEMETRY, &now, sizeof(now)))
			break;
		if (now.temperature_mc == DRM_AIPU_UNKNOWN && now.steps == DRM_AIPU_UNKNOWN &&
		    now.running_jobs == 0 && device_of(fd).state == DRM_AIPU_STATE_RESETTING)
			looks++;
		usleep(20000);
	}
	pthread_join(thread, &err);
	return err ? 0 : looks;
}

/* In time a card passes over an image that does not come up: half a minute, in which the driver leaves it alone */
FLASH_TEST(an_image_that_never_starts)
{
	const char *path = getenv("AIPU_NEVER_STARTS");
	struct aipu_flash_info info;
	struct drm_aipu_device now;
	char image[CHUNK];
	uint32_t bytes;
	FILE *file;

	if (!path)
		SKIP(return, "AIPU_NEVER_STARTS names no image: it takes half a minute");
	file = fopen(path, "re");
	ASSERT_NE(NULL, file);
	bytes = fread(image, 1, sizeof(image), file);
	fclose(file);
	ASSERT_EQ(0, run_from_slot(self->fd, self->image, self->bytes));
	self->device = device_of(self->fd);
	self->other = self->device.boot_source == AIPU_BOOT_FROM_SLOT_A ? 1 : 0;
	ASSERT_EQ(0, write_image(self->fd, self->other, image, bytes));
	ASSERT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_COMMIT, self->other, 0, NULL, 0, NULL));
	ASSERT_EQ(0, flash(self->fd, DRM_AIPU_FLASH_ACTIVATE, self->other, 0, NULL, 0, NULL));
	ASSERT_EQ(0, info_of(self->fd, &info));
	/* Who only looks does not wait for it */
	EXPECT_LT(0, looks_during_a_reset(self->fd));
	now = device_of(self->fd);
	EXPECT_EQ(self->device.boot_source, now.boot_source);
	EXPECT_EQ(AIPU_ERROR_SLOT_TRIED, now.slot_errors[self->other]);
	EXPECT_EQ(0, now.slot_errors[self->other ^ 1]);
	EXPECT_EQ(self->device.resets + 1, now.resets);
	EXPECT_TRUE(logged(self->other
				   ? "passed over firmware slot B: the image in the flash slot"
				   : "passed over firmware slot A: the image in the flash slot"));
	/* One try, though the driver may have looked often */
	bytes = info.slots[self->other].tries;
	ASSERT_EQ(0, info_of(self->fd, &info));
	EXPECT_EQ(bytes - 1, info.slots[self->other].tries);
	/* The next reset has something that starts */
	EXPECT_EQ(0, update(self->fd, self->other, self->image, self->bytes));
}

/* --- recovery ------------------------------------------------------------------------------------------ */

static int run_a_job(int fd)
{
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };
	int context = context_new(fd), queue = queue_new(fd, context);
	int err = queue < 0 ? queue : run(fd, queue, 1, &job);

	return context_end(fd, context) ?: err;
}

FLASH_TEST(recovery)
{
	ASSERT_EQ(0, run_from_slot(self->fd, self->image, self->bytes));
	self->device = device_of(self->fd);
	ASSERT_EQ(0, reset(self->fd, DRM_AIPU_RESET_RECOVERY));
	EXPECT_EQ(AIPU_BOOT_FROM_HOST, device_of(self->fd).boot_source);
	EXPECT_EQ(0, run_a_job(self->fd));
	/* Only when nobody has jobs, both at once */
	ASSERT_EQ(0, reset(self->fd, DRM_AIPU_RESET_RECOVERY | DRM_AIPU_RESET_IDLE));
	EXPECT_EQ(AIPU_BOOT_FROM_HOST, device_of(self->fd).boot_source);
	ASSERT_EQ(0, reset(self->fd, 0));
	EXPECT_EQ(self->device.boot_source, device_of(self->fd).boot_source);
	EXPECT_EQ(0, run_a_job(self->fd));
}

FLASH_TEST(recovery_without_an_image)
{
	struct aipu_flash_info info;

	ASSERT_EQ(0, run_from_slot(self->fd, self->image, self->bytes));
	self->device = device_of(self->fd);
	ASSERT_EQ(0, rename(FIRMWARE, FIRMWARE ".away"));
	EXPECT_EQ(-EIO, reset(self->fd, DRM_AIPU_RESET_RECOVERY));
	ASSERT_EQ(0, rename(FIRMWARE ".away", FIRMWARE));
	EXPECT_EQ(DRM_AIPU_STATE_WEDGED, device_of(self->fd).state);
	EXPECT_EQ(-EIO, info_of(self->fd, &info));
	/* What is in flash is there still */
	EXPECT_EQ(0, reset(self->fd, 0));
	EXPECT_EQ(DRM_AIPU_STATE_READY, device_of(self->fd).state);
	EXPECT_EQ(self->device.boot_source, device_of(self->fd).boot_source);
}

/* --- at once ------------------------------------------------------------------------------------------- */

static atomic_bool enough;

/* The number of answers that are none of those that there may be */
static void *ask(void *arg)
{
	static char room[CHUNK];
	int fd = *(int *)arg;
	uintptr_t bad = 0;

	while (!atomic_load(&enough)) {
		int err = flash(fd, DRM_AIPU_FLASH_READ, 0, 0, room, CHUNK, NULL);

		bad += err && err != -ECANCELED;
	}
	return (void *)bad;
}

/* Commands in flight while the card is reset under them: each is answered, or says that it was not */
FLASH_TEST(resets_under_commands)
{
	pthread_t threads[3];
	struct aipu_flash_info info;
	void *bad;

	atomic_store(&enough, false);
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, ask, &self->fd));
	for (int i = 0; i < 10; i++)
		EXPECT_EQ(0, reset(self->fd, 0));
	atomic_store(&enough, true);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &bad);
		EXPECT_EQ(NULL, bad);
	}
	EXPECT_EQ(0, info_of(self->fd, &info));
}

TEST_HARNESS_MAIN
