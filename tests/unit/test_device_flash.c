// SPDX-License-Identifier: MIT
/*
 * The card's flash: what starts after power-on, how an image gets there, and that neither a bad image nor a loss of power
 * at any byte leaves a card that does not start. (spec.md, section 14)
 */
#include "mount.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu/firmware.h"

#define FLASH_BYTES (128u << 10)
#define V1 (1u << 24)
#define V2 (2u << 24)
#define R(offset) aipu_dm_read32(mount->dm, offset)
#define W(offset, value) aipu_dm_write32(mount->dm, offset, value)

static uint8_t storage[FLASH_BYTES];
static struct mount_flash flash;

/* Power goes after `power` more bytes were written */
static struct mount *power_on(uint64_t power)
{
	const struct mount_options options = {
		.config = { .flash_bytes = FLASH_BYTES,
			    .ready_timeout_ms = 20,
			    .cores = 1,
			    .memory_bytes = 1u << 20 },
		.arena_bytes = 1u << 20,
		.flash = &flash,
	};
	struct mount *mount;

	flash = (struct mount_flash){ .bytes = storage, .power = power };
	mount = mount_create(&options);
	while (mount_state(mount) == AIPU_STATE_LOADING)
		;
	return mount;
}

static void reset(struct mount *mount, uint32_t more)
{
	W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET | more);
	while (mount_state(mount) == AIPU_STATE_RESETTING ||
	       mount_state(mount) == AIPU_STATE_LOADING)
		;
}

static void image_make(struct aipu_firmware_header *header, const char *payload, uint32_t version)
{
	mount_image(header, payload);
	header->version = version;
	mount_seal(header, payload);
}

#define COMMAND(op, ...)                                                  \
	(struct aipu_admin)                                               \
	{                                                                 \
		.opcode = AIPU_ADMIN_FLASH_##op, .flash = { __VA_ARGS__ } \
	}

static unsigned int give(struct mount *mount, struct aipu_admin command, uint32_t *detail)
{
	return mount_admin(mount, &command, detail);
}

/* Writes the image by pieces of `piece` bytes; the first status that is not OK */
static unsigned int write_slot(struct mount *mount, uint32_t slot,
			       const struct aipu_firmware_header *header, const char *payload,
			       uint32_t piece)
{
	uint32_t bytes = (uint32_t)(sizeof(*header) + strlen(payload)), done, count;
	uint64_t image = mount_alloc(mount, bytes);
	unsigned int status = AIPU_STATUS_OK;

	memcpy(mount_pointer(mount, image), header, sizeof(*header));
	memcpy((uint8_t *)mount_pointer(mount, image) + sizeof(*header), payload, strlen(payload));
	for (done = 0; done < bytes && !status; done += count) {
		count = bytes - done < piece ? bytes - done : piece;
		status = give(mount,
			      COMMAND(WRITE, .slot = slot, .bytes = count, .offset = done,
				      .address = image + done),
			      NULL);
	}
	return status;
}

/* The whole way to a slot that starts next; the first status that is not OK */
static unsigned int install(struct mount *mount, uint32_t slot, const char *payload,
			    uint32_t version)
{
	struct aipu_firmware_header header;
	unsigned int status;

	image_make(&header, payload, version);
	status = write_slot(mount, slot, &header, payload, 256);
	if (!status)
		status = give(mount, COMMAND(COMMIT, .slot = slot), NULL);
	if (!status)
		status = give(mount, COMMAND(ACTIVATE, .slot = slot), NULL);
	return status;
}

static struct aipu_flash_info info_of(struct mount *mount)
{
	uint64_t page = mount_alloc(mount, 4096);

	assert_int_equal(give(mount, COMMAND(INFO, .address = page), NULL), AIPU_STATUS_OK);
	return *(struct aipu_flash_info *)mount_pointer(mount, page);
}

/* A card whose slot A has V1, confirmed */
static void card_with_v1(void)
{
	struct mount *mount;

	memset(storage, 0, sizeof(storage));
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(install(mount, 0, "one", V1), AIPU_STATUS_OK);
	reset(mount, 0);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(R(AIPU_REG_BOOT_SOURCE), AIPU_BOOT_FROM_SLOT_A);
	mount_destroy(mount);
}

/* The same, powered on and READY */
static struct mount *card_at_work(void)
{
	struct mount *mount;

	card_with_v1();
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	return mount;
}

/* [FLS-1] */
static void an_empty_flash_waits_for_the_host(void **state)
{
	struct aipu_flash_info info;
	struct mount *mount;

	(void)state;
	memset(storage, 0, sizeof(storage));
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_state(mount), AIPU_STATE_ROM);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_NONE);
	assert_int_equal(R(AIPU_REG_BOOT_SOURCE), AIPU_BOOT_FROM_NONE);
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(R(AIPU_REG_BOOT_SOURCE), AIPU_BOOT_FROM_HOST);
	assert_true(R(AIPU_REG_CAP_LO) & AIPU_CAP_FLASH);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	info = info_of(mount);
	assert_int_equal(info.active, ~0u);
	assert_int_equal(info.source, AIPU_BOOT_FROM_HOST);
	assert_int_equal(info.chunk_bytes, 65536);
	assert_int_equal(info.slot_bytes, (FLASH_BYTES - 8192) / 2);
	assert_int_equal(info.slots[0].state, AIPU_FLASH_EMPTY);
	assert_int_equal(info.slots[1].state, AIPU_FLASH_EMPTY);
	mount_destroy(mount);
}

/* [FLS-1] [FLS-2] */
static void what_was_installed_starts(void **state)
{
	struct aipu_flash_info info;
	struct mount *mount;

	(void)state;
	card_with_v1();
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_state(mount), AIPU_STATE_RUNNING);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V1);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(install(mount, 1, "two", V2), AIPU_STATUS_OK);
	info = info_of(mount);
	assert_int_equal(info.active, 1);
	assert_int_equal(info.slots[0].state, AIPU_FLASH_CONFIRMED);
	assert_int_equal(info.slots[1].state, AIPU_FLASH_TRIAL);
	assert_int_equal(info.slots[1].tries, 3);
	assert_int_equal(info.slots[1].version, V2);
	assert_int_equal(info.slots[1].bytes, sizeof(struct aipu_firmware_header) + 3);
	assert_string_equal(info.slots[1].build, "test");
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V1); /* until RESET */
	reset(mount, 0);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V2);
	assert_int_equal(R(AIPU_REG_BOOT_SOURCE), AIPU_BOOT_FROM_SLOT_B);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	info = info_of(mount);
	assert_int_equal(info.slots[1].state, AIPU_FLASH_CONFIRMED);
	assert_int_equal(info.source, AIPU_BOOT_FROM_SLOT_B);
	/* And back */
	assert_int_equal(give(mount, COMMAND(ACTIVATE, .slot = 0), NULL), AIPU_STATUS_OK);
	mount_destroy(mount);
	mount = power_on(UINT64_MAX);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V1);
	mount_destroy(mount);
}

/* [FLS-3] An image that passes all checks and does not come up: three times, then never again */
static void an_image_that_does_not_come_up(void **state)
{
	struct aipu_flash_info info;
	struct mount *mount = card_at_work();

	(void)state;
	assert_int_equal(install(mount, 1, "start: never\n", V2), AIPU_STATUS_OK);
	for (uint32_t tries = 3; tries-- > 0;) {
		reset(mount, 0);
		assert_int_equal(mount_state(mount), AIPU_STATE_RUNNING);
		assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V1);
		assert_int_equal(R(AIPU_REG_SLOT_B_ERROR), AIPU_ERROR_SLOT_TRIED);
		assert_int_equal(R(AIPU_REG_SLOT_A_ERROR), AIPU_ERROR_NONE);
		assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
		info = info_of(mount);
		assert_int_equal(info.slots[1].state, AIPU_FLASH_TRIAL);
		assert_int_equal(info.slots[1].tries, tries);
	}
	reset(mount, 0);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	info = info_of(mount);
	assert_int_equal(info.slots[1].state, AIPU_FLASH_FAILED);
	assert_int_equal(info.slots[1].error, AIPU_ERROR_SLOT_TRIED);
	assert_int_equal(info.slots[0].state, AIPU_FLASH_CONFIRMED);
	mount_destroy(mount);
}

/* [FLS-3] An image that runs, and under which no host ever got to READY */
static void an_image_that_is_never_ready(void **state)
{
	struct mount *mount = card_at_work();

	(void)state;
	assert_int_equal(install(mount, 1, "two", V2), AIPU_STATUS_OK);
	for (uint32_t i = 0; i < 3; i++) {
		reset(mount, 0);
		assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V2);
	}
	reset(mount, 0);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V1);
	assert_int_equal(R(AIPU_REG_SLOT_B_ERROR), AIPU_ERROR_SLOT_TRIED);
	mount_destroy(mount);
}

/* [FLS-4] */
static void recovery_starts_nothing(void **state)
{
	struct mount *mount;

	(void)state;
	card_with_v1();
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_state(mount), AIPU_STATE_RUNNING);
	reset(mount, AIPU_CONTROL_RECOVERY);
	assert_int_equal(mount_state(mount), AIPU_STATE_ROM);
	assert_int_equal(R(AIPU_REG_BOOT_SOURCE), AIPU_BOOT_FROM_NONE);
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	/* Neither slot runs, so both may be written; what the host gave confirms neither. */
	assert_int_equal(install(mount, 0, "two", V2), AIPU_STATUS_OK);
	assert_int_equal(info_of(mount).slots[0].state, AIPU_FLASH_TRIAL);
	reset(mount, 0);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V2);
	mount_destroy(mount);
}

/* [FLS-4] Nothing that may start: the active slot's reason, and the host's image is taken */
static void neither_slot_starts(void **state)
{
	struct mount *mount;

	(void)state;
	card_with_v1();
	storage[8192 + 513] ^= 1;
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_state(mount), AIPU_STATE_ROM);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_DIGEST);
	assert_int_equal(R(AIPU_REG_SLOT_A_ERROR), AIPU_ERROR_FIRMWARE_DIGEST);
	assert_int_equal(R(AIPU_REG_SLOT_B_ERROR), AIPU_ERROR_SLOT_EMPTY);
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_NONE);
	mount_destroy(mount);
}

/* [FLS-5] The counter rises when the image has proved itself, not before; then older ones are refused */
static void the_rollback_counter_rises(void **state)
{
	struct aipu_firmware_header header;
	struct mount *mount;
	uint32_t code;

	(void)state;
	mount = card_at_work();
	mount_image(&header, "two");
	header.version = V2;
	header.rollback = 7;
	mount_seal(&header, "two");
	assert_int_equal(write_slot(mount, 1, &header, "two", 65536), AIPU_STATUS_OK);
	assert_int_equal(give(mount, COMMAND(COMMIT, .slot = 1), NULL), AIPU_STATUS_OK);
	assert_int_equal(give(mount, COMMAND(ACTIVATE, .slot = 1), NULL), AIPU_STATUS_OK);
	reset(mount, 0);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V2);
	assert_int_equal(R(AIPU_REG_ROLLBACK), 0);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(R(AIPU_REG_ROLLBACK), 7);
	assert_int_equal(give(mount, COMMAND(ACTIVATE, .slot = 0), NULL), AIPU_STATUS_OK);
	reset(mount, 0);
	assert_int_equal(R(AIPU_REG_SLOT_A_ERROR), AIPU_ERROR_FIRMWARE_ROLLBACK);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), V2);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	image_make(&header, "old", V1);
	assert_int_equal(write_slot(mount, 0, &header, "old", 65536), AIPU_STATUS_OK);
	assert_int_equal(give(mount, COMMAND(COMMIT, .slot = 0), &code),
			 AIPU_STATUS_FIRMWARE_REFUSED);
	assert_int_equal(code, AIPU_ERROR_FIRMWARE_ROLLBACK);
	mount_destroy(mount);
}

/* [FLS-6] The device checks, whatever the tool did */
static void commit_checks(void **state)
{
	struct aipu_firmware_header header;
	struct mount *mount;
	uint32_t code;

	(void)state;
	mount = card_at_work();
	assert_int_equal(give(mount, COMMAND(COMMIT, .slot = 1), &code),
			 AIPU_STATUS_FIRMWARE_REFUSED);
	assert_int_equal(code, AIPU_ERROR_SLOT_EMPTY);
	assert_int_equal(give(mount, COMMAND(ACTIVATE, .slot = 1), NULL), AIPU_STATUS_NOT_FOUND);
	image_make(&header, "two", V2);
	header.board_id = 7;
	mount_seal(&header, "two");
	assert_int_equal(write_slot(mount, 1, &header, "two", 100), AIPU_STATUS_OK);
	assert_int_equal(give(mount, COMMAND(COMMIT, .slot = 1), &code),
			 AIPU_STATUS_FIRMWARE_REFUSED);
	assert_int_equal(code, AIPU_ERROR_FIRMWARE_BOARD);
	assert_int_equal(give(mount, COMMAND(ACTIVATE, .slot = 1), NULL), AIPU_STATUS_NOT_FOUND);
	/* Cut short: the payload that was digested is not there. */
	image_make(&header, "two", V2);
	assert_int_equal(write_slot(mount, 1, &header, "tw", 100), AIPU_STATUS_OK);
	assert_int_equal(give(mount, COMMAND(COMMIT, .slot = 1), &code),
			 AIPU_STATUS_FIRMWARE_REFUSED);
	assert_int_equal(code, AIPU_ERROR_FIRMWARE_SIZE);
	assert_int_equal(write_slot(mount, 1, &header, "twe", 100), AIPU_STATUS_OK);
	assert_int_equal(give(mount, COMMAND(COMMIT, .slot = 1), &code),
			 AIPU_STATUS_FIRMWARE_REFUSED);
	assert_int_equal(code, AIPU_ERROR_FIRMWARE_DIGEST);
	mount_destroy(mount);
}

#define NOT(status, field, op, ...)                                              \
	do {                                                                     \
		uint32_t got;                                                    \
		assert_int_equal(give(mount, COMMAND(op, __VA_ARGS__), &got),    \
				 AIPU_STATUS_##status);                          \
		assert_int_equal(got, offsetof(struct aipu_admin, flash.field)); \
	} while (0)

/* [FLS-7] */
static void bad_commands(void **state)
{
	const uint32_t slot_bytes = (FLASH_BYTES - 8192) / 2;
	struct mount *mount;
	uint64_t page;

	(void)state;
	mount = card_at_work();
	page = mount_alloc(mount, 65536 + 4096);
	NOT(INVALID_FIELD, slot, INFO, .slot = 1, .address = page);
	NOT(INVALID_FIELD, bytes, INFO, .bytes = 1, .address = page);
	NOT(INVALID_FIELD, offset, INFO, .offset = 1, .address = page);
	NOT(ALIGNMENT, address, INFO, .address = page + 8);
	NOT(DMA_ERROR, address, INFO, .address = 4096);
	NOT(INVALID_FIELD, reserved[2], INFO, .reserved = { 0, 0, 1 }, .address = page);
	NOT(INVALID_FIELD, slot, WRITE, .slot = 2, .bytes = 1, .address = page);
	NOT(INVALID_FIELD, bytes, WRITE, .slot = 1, .address = page);
	NOT(INVALID_FIELD, bytes, WRITE, .slot = 1, .bytes = 65537, .address = page);
	NOT(DMA_ERROR, address, WRITE, .slot = 1, .bytes = 1, .address = 4096);
	NOT(BUSY, slot, WRITE, .slot = 0, .bytes = 1, .address = page);
	NOT(BUSY, slot, COMMIT, .slot = 0);
	NOT(INVALID_FIELD, offset, WRITE, .slot = 1, .bytes = 1, .offset = 1, .address = page);
	NOT(INVALID_FIELD, offset, READ, .bytes = 2, .offset = slot_bytes - 1, .address = page);
	NOT(INVALID_FIELD, offset, READ, .bytes = 1, .offset = UINT64_MAX, .address = page);
	NOT(DMA_ERROR, address, READ, .bytes = 1, .address = 4096);
	NOT(INVALID_FIELD, bytes, COMMIT, .slot = 1, .bytes = 1);
	NOT(INVALID_FIELD, offset, ACTIVATE, .slot = 1, .offset = 1);
	NOT(INVALID_FIELD, address, ACTIVATE, .slot = 1, .address = page);
	NOT(INVALID_FIELD, slot, ACTIVATE, .slot = 2);
	/* A piece that the slot is too small for is refused before the slot is emptied for it */
	assert_int_equal(install(mount, 1, "two", V2), AIPU_STATUS_OK);
	NOT(INVALID_FIELD, offset, WRITE, .slot = 1, .bytes = slot_bytes + 1, .address = page);
	assert_int_equal(info_of(mount).slots[1].state, AIPU_FLASH_TRIAL);
	assert_int_equal(info_of(mount).slots[1].version, V2);
	/* To the end of the slot, and no further */
	assert_int_equal(
		give(mount, COMMAND(WRITE, .slot = 1, .bytes = slot_bytes, .address = page), NULL),
		AIPU_STATUS_OK);
	NOT(INVALID_FIELD, offset, WRITE, .slot = 1, .bytes = 1, .offset = slot_bytes,
	    .address = page);
	mount_destroy(mount);
}

/* [FLS-7] */
static void what_is_read_is_what_was_written(void **state)
{
	struct aipu_firmware_header header;
	struct mount *mount;
	uint64_t page;

	(void)state;
	mount = card_at_work();
	image_make(&header, "two", V2);
	assert_int_equal(write_slot(mount, 1, &header, "two", 77), AIPU_STATUS_OK);
	page = mount_alloc(mount, 4096);
	assert_int_equal(give(mount, COMMAND(READ, .slot = 1, .bytes = 515, .address = page), NULL),
			 AIPU_STATUS_OK);
	assert_memory_equal(mount_pointer(mount, page), &header, sizeof(header));
	assert_memory_equal((uint8_t *)mount_pointer(mount, page) + 512, "two", 3);
	mount_destroy(mount);
}

/* What starts after the power went: a version; the card always starts */
static uint32_t version_after_cut(void)
{
	struct mount *mount = power_on(UINT64_MAX);
	uint32_t version = R(AIPU_REG_FIRMWARE_VERSION);

	assert_int_equal(mount_state(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	mount_destroy(mount);
	return version;
}

/* [FLS-8] An update that loses power after each byte that it writes */
static void power_goes_at_each_byte_of_an_update(void **state)
{
	static uint8_t before[FLASH_BYTES];
	uint32_t old = 0, new = 0;
	uint64_t total;
	struct mount *mount;

	(void)state;
	card_with_v1();
	memcpy(before, storage, sizeof(before));
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(install(mount, 1, "two", V2), AIPU_STATUS_OK);
	total = flash.written;
	mount_destroy(mount);
	for (uint64_t power = 0; power <= total; power++) {
		uint32_t version;
		bool done;

		memcpy(storage, before, sizeof(before));
		mount = power_on(power);
		assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
		done = install(mount, 1, "two", V2) == AIPU_STATUS_OK;
		mount_destroy(mount);
		assert_int_equal(done, power == total);
		version = version_after_cut();
		assert_true(version == V1 || version == V2);
		assert_true(!done || version == V2);
		old += version == V1;
		new += version == V2;
	}
	/* The last record's bytes decide, and only its last one makes it whole. */
	assert_int_equal(new, 1);
	assert_int_equal(old, total);
}

/* [FLS-8] The first start of a new image that loses power after each byte that the boot writes */
static void power_goes_at_each_byte_of_a_trial(void **state)
{
	static uint8_t before[FLASH_BYTES];
	struct mount *mount;
	uint64_t total;

	(void)state;
	mount = card_at_work();
	assert_int_equal(install(mount, 1, "two", V2), AIPU_STATUS_OK);
	mount_destroy(mount);
	memcpy(before, storage, sizeof(before));
	mount = power_on(UINT64_MAX);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	total = flash.written;
	assert_true(total > 200); /* a try, and the confirmation */
	mount_destroy(mount);
	for (uint64_t power = 0; power <= total; power++) {
		memcpy(storage, before, sizeof(before));
		mount = power_on(power);
		assert_int_equal(mount_state(mount), AIPU_STATE_RUNNING);
		if (power >= total / 2)
			assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
		mount_destroy(mount);
		assert_int_equal(version_after_cut(), V2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_flash_waits_for_the_host),
		cmocka_unit_test(what_was_installed_starts),
		cmocka_unit_test(an_image_that_does_not_come_up),
		cmocka_unit_test(an_image_that_is_never_ready),
		cmocka_unit_test(recovery_starts_nothing),
		cmocka_unit_test(neither_slot_starts),
		cmocka_unit_test(the_rollback_counter_rises),
		cmocka_unit_test(commit_checks),
		cmocka_unit_test(bad_commands),
		cmocka_unit_test(what_is_read_is_what_was_written),
		cmocka_unit_test(power_goes_at_each_byte_of_an_update),
		cmocka_unit_test(power_goes_at_each_byte_of_a_trial),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
