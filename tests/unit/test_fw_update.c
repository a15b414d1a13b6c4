// SPDX-License-Identifier: MIT
/*
 * aipu-fw's update of one device over a device that the test plays: what is asked of it and in which order it stops, whatever the
 * device answers, and that what is said at the end is what is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu-fw/fw.h"
#include "aipu-fw/update.h"
#include "fake_card.h"
#include "sign.h"

#define V(major, minor) ((uint32_t)(major) << 24 | (uint32_t)(minor) << 16)
#define PAYLOAD (3 * FAKE_CHUNK) /* with the header: four pieces, the last one short */

static struct fake_card card;
static struct {
	struct aipu_firmware_header header;
	uint8_t payload[PAYLOAD];
} image;

/* After a change of the header */
static void resign(void)
{
	uint8_t key[32];

	sign_key_development(key);
	sign_image(&image.header, image.payload, PAYLOAD, key, NULL);
}

static int image_up(void **state)
{
	(void)state;
	memset(&image, 0x5a, sizeof(image));
	image.header = (struct aipu_firmware_header){
		.magic = AIPU_FIRMWARE_MAGIC,
		.header_version = AIPU_FIRMWARE_HEADER_VERSION,
		.header_bytes = sizeof(image.header),
		.payload_bytes = PAYLOAD,
		.version = V(2, 0),
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.board_id = 0x1234,
	};
	resign();
	fake_card_reset(&card, V(1, 0));
	fw_interrupted = 0;
	return 0;
}

static struct fw_outcome update(struct fw_request request)
{
	struct aipu_device *device = fake_card_open(&card, false);
	struct fw_outcome outcome;

	fw_update(device, "accel7", &request, &outcome);
	aipu_device_close(device);
	assert_non_null(outcome.result);
	assert_int_equal(strncmp(outcome.text, "accel7: ", 8), 0);
	assert_null(strchr(outcome.text, '\n'));
	return outcome;
}

/* A flash of the image, but for what the test changes */
static struct fw_request a_flash(void)
{
	return (struct fw_request){ .path = "new.fw",
				    .image = (const uint8_t *)&image,
				    .bytes = sizeof(image),
				    .slot = -1,
				    .activate = true };
}

/* What update() says on standard error, for a machine whose files are below `root`; to be freed */
static char *warnings_of(struct fw_request request, const char *root)
{
	char *said = calloc(1, 4096);
	int own = dup(STDERR_FILENO);
	FILE *file = tmpfile();

	assert_true(said && file && own >= 0);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	setenv("AIPU_TEST_ROOT", root, 1);
	update(request);
	unsetenv("AIPU_TEST_ROOT");
	fflush(stderr);
	dup2(own, STDERR_FILENO);
	close(own);
	rewind(file);
	said[fread(said, 1, 4095, file)] = '\0';
	fclose(file);
	return said;
}

static void write_file(const char *path, const void *data, size_t bytes)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

/* An image that raises the counter: is that which the card is recovered with still good enough? */
static void a_recovery_image_left_behind(void **state)
{
	static const char *const directories[] = { "lib", "lib/firmware", "lib/firmware/aipu" };
	struct aipu_firmware_header host = { .magic = AIPU_FIRMWARE_MAGIC, .rollback = 6 };
	char root[] = "/tmp/aipu-fw-update.XXXXXX", path[128], expected[256];
	struct fw_request request = a_flash();
	char *said;

	(void)state;
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", root, directories[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	request.dry_run = true;
	image.header.rollback = card.flash.rollback + 7;
	resign();
	said = warnings_of(request, root);
	assert_non_null(strstr(said, "there is no /lib/firmware/aipu/00001234.fw\n"));
	free(said);
	host.rollback = image.header.rollback - 1;
	snprintf(path, sizeof(path), "%s/lib/firmware/aipu/00001234.fw", root);
	write_file(path, &host, sizeof(host));
	said = warnings_of(request, root);
	snprintf(expected, sizeof(expected),
		 "aipu-fw: accel7: warning: once it ran, the card refuses "
		 "/lib/firmware/aipu/00001234.fw, which it is recovered with: its anti-rollback "
		 "counter is %u, below %u; install new.fw there\n",
		 host.rollback, image.header.rollback);
	assert_string_equal(said, expected);
	free(said);
	write_file(path, "no image", 8);
	said = warnings_of(request, root);
	assert_non_null(strstr(said, "that of /lib/firmware/aipu/00001234.fw cannot be read here"));
	free(said);
	host.rollback = image.header.rollback;
	write_file(path, &host, sizeof(host));
	said = warnings_of(request, root);
	assert_string_equal(said, "");
	free(said);
	/* One that raises nothing loses nothing */
	unlink(path);
	image.header.rollback = card.flash.rollback;
	resign();
	said = warnings_of(request, root);
	assert_string_equal(said, "");
	free(said);
	for (size_t i = 3; i-- > 0;) {
		snprintf(path, sizeof(path), "%s/%s", root, directories[i]);
		rmdir(path);
	}
	assert_int_equal(rmdir(root), 0);
}

static void outcome_is(struct fw_outcome outcome, int code, const char *result, const char *text,
		       int line)
{
	if (outcome.code == code && !strcmp(outcome.result, result) && strstr(outcome.text, text))
		return;
	print_error("# line %d: %d %s: %s\n", line, outcome.code, outcome.result, outcome.text);
	fail();
}
#define assert_outcome(outcome, code, result, text) \
	outcome_is(outcome, code, result, text, __LINE__)

static void all_the_way(void **state)
{
	struct fw_outcome outcome = update(a_flash());

	(void)state;
	assert_outcome(outcome, CLI_OK, "running", "accel7: 2.0.0 runs from slot B");
	assert_int_equal(outcome.slot, 1);
	assert_int_equal(card.writes, 4);
	assert_int_equal(card.reads, 4);
	assert_int_equal(card.commits, 1);
	assert_int_equal(card.activates, 1);
	assert_int_equal(card.resets, 1);
	assert_int_equal(card.reset_flags, AIPU_RESET_IDLE);
	assert_memory_equal(card.slots[1], &image, sizeof(image));
	/* Once more is nothing, but by force, then into the other slot */
	outcome = update(a_flash());
	assert_outcome(outcome, CLI_OK, "unchanged", "runs from slot B already");
	assert_int_equal(card.writes, 4);
	outcome = update((struct fw_request){ .path = "new.fw",
					      .image = (const uint8_t *)&image,
					      .bytes = sizeof(image),
					      .slot = -1,
					      .activate = true,
					      .force = true });
	assert_outcome(outcome, CLI_OK, "running", "2.0.0 runs from slot A");
}

/* Nothing is lost that would have been of use */
static void the_slot_that_is_taken(void **state)
{
	struct fw_request request = a_flash();
	struct fw_outcome outcome;

	(void)state;
	request.slot = 0;
	outcome = update(request);
	assert_outcome(outcome, CLI_FAILED, "refused", "slot A runs");
	assert_int_equal(card.operations, 0);
	request.slot = -1;
	request.dry_run = true;
	card.flash.source = card.info.boot_source = AIPU_BOOT_FROM_SLOT_B;
	assert_int_equal(update(request).slot, 0);
	/* Loaded by the host: what is empty, what failed, what is not tried first */
	card.flash.source = card.info.boot_source = AIPU_BOOT_FROM_HOST;
	card.flash.active = 0;
	assert_int_equal(update(request).slot, 1);
	card.flash.slots[1].state = AIPU_FLASH_GOOD;
	assert_int_equal(update(request).slot, 1);
	card.flash.active = 1;
	assert_int_equal(update(request).slot, 0);
	card.flash.slots[1].state = AIPU_FLASH_FAILED;
	assert_int_equal(update(request).slot, 1);
	assert_int_equal(card.operations, 0);
}

static void what_is_not_begun(void **state)
{
	struct fw_request request = a_flash();
	struct fw_outcome outcome;

	(void)state;
	card.info.firmware_version = V(2, 1);
	assert_outcome(update(request), CLI_FAILED, "refused", "2.1.0 runs, which is newer");
	card.info.firmware_version = V(1, 0);
	card.flash.slots[1] =
		(struct aipu_flash_slot){ .state = AIPU_FLASH_GOOD, .version = V(3, 0) };
	assert_outcome(update(request), CLI_FAILED, "refused", "slot B holds 3.0.0");
	/* One that did not start protects nothing */
	card.flash.slots[1].state = AIPU_FLASH_FAILED;
	request.dry_run = true;
	assert_outcome(update(request), CLI_OK, "planned", "2.0.0 would be written to slot B");
	card.flash.rollback = 1;
	assert_outcome(update(request), CLI_FAILED, "refused", "counter is 0, below 1");
	card.flash.rollback = 0;
	image.header.abi_oldest = image.header.abi_newest = AIPU_ABI_VERSION(9, 1);
	resign();
	assert_outcome(update(request), CLI_FAILED, "refused", "it speaks contract 9.1 to 9.1");
	image.header.abi_oldest = AIPU_ABI_OLDEST;
	image.header.abi_newest = AIPU_ABI_CURRENT;
	resign();
	card.info.board_id = 0x99;
	assert_outcome(update(request), CLI_FAILED, "refused",
		       "board 0x00001234, this is 0x00000099");
	request.bytes--;
	assert_outcome(update(request), CLI_FAILED, "refused", "the header says");
	request.bytes = FAKE_SLOT_BYTES + 1;
	request.force = true;
	assert_outcome(update(request), CLI_FAILED, "refused", "16385 bytes");
	assert_int_equal(card.operations, 0);
	/* By force the device decides, and what it says is told */
	request = a_flash();
	request.force = true;
	card.refusal = AIPU_ERROR_FIRMWARE_BOARD;
	outcome = update(request);
	assert_outcome(outcome, CLI_FAILED, "refused",
		       "another board (error 6); slot B is empty, 1.0.0 runs from slot A");
	assert_int_equal(outcome.error, AIPU_ERROR_FIRMWARE_BOARD);
	assert_int_equal(card.activates + card.resets, 0);
}

static void devices_that_cannot(void **state)
{
	(void)state;
	card.flash_error = -EOPNOTSUPP;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "of version 1.1, cannot change");
	card.info.capabilities = 0;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "keeps no firmware of its own");
	card.flash_error = -EPERM;
	assert_outcome(update(a_flash()), CLI_NO_PERMISSION, "failed", "CAP_SYS_ADMIN");
	card.flash_error = -ENODEV;
	assert_outcome(update(a_flash()), CLI_NO_DEVICE, "failed", "gone");
	card.flash_error = -EFBIG;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "flash cannot be read");
	card.query_error = -EIO;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "what it is");
}

/* Each write, each answer: nothing is committed that was not written, and the state of the slot is told */
static void writes_that_fail(void **state)
{
	static const struct {
		int error, code;
		const char *result, *text;
	} cases[] = {
		{ -EIO, CLI_FAILED, "failed", "not written" },
		{ -EPERM, CLI_NO_PERMISSION, "failed", "CAP_SYS_ADMIN" },
		{ -EBUSY, FW_BUSY, "busy", "another process" },
		{ -ESTALE, CLI_FAILED, "failed", "another process changed" },
		{ -EINVAL, CLI_FAILED, "failed", "was it reset meanwhile" },
		{ -ECANCELED, CLI_FAILED, "failed", "reset meanwhile" },
		{ -ENODEV, CLI_NO_DEVICE, "failed", "gone" },
		{ -ENOSPC, CLI_FAILED, "failed", "No space" },
	};

	for (uint32_t at = 1; at <= 4; at++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			struct fw_outcome outcome;

			image_up(state);
			card.flash.slots[1].state = AIPU_FLASH_GOOD;
			card.write_fails_at = at;
			card.write_error = cases[i].error;
			outcome = update(a_flash());
			assert_outcome(outcome, cases[i].code, cases[i].result, cases[i].text);
			if (cases[i].error != -ENODEV) {
				assert_non_null(strstr(outcome.text, "1.0.0 runs from slot A"));
				assert_int_equal(!!strstr(outcome.text, "slot B is empty"), at > 1);
			}
			assert_int_equal(card.writes, at);
			assert_int_equal(card.reads + card.commits + card.activates + card.resets,
					 0);
		}
}

static void a_bit_that_is_another(void **state)
{
	for (uint32_t at = 1; at <= 4; at++) {
		image_up(state);
		card.flip_read = at;
		assert_outcome(update(a_flash()), CLI_FAILED, "failed",
			       "does not hold what was written");
		assert_int_equal(card.commits, 0);
	}
}

static void commit_and_activate_fail(void **state)
{
	(void)state;
	card.commit_error = -EIO;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "not committed");
	assert_int_equal(card.activates, 0);
	card.commit_error = 0;
	card.activate_error = -EIO;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "not activated");
	assert_int_equal(card.resets, 0);
}

static void jobs_that_run(void **state)
{
	struct fw_request request = a_flash();

	(void)state;
	card.busy = UINT32_MAX;
	assert_outcome(update(request), FW_BUSY, "busy",
		       "Slot B is activated, and the next reset starts 2.0.0; 1.0.0 runs");
	assert_int_equal(card.resets, 1);
	request.wait_s = 1;
	request.force = true;
	assert_outcome(update(request), FW_BUSY, "busy", "jobs run");
	assert_true(card.resets > 2);
	card.busy = 3;
	card.resets = 0;
	request.wait_s = 600;
	assert_outcome(update(request), CLI_OK, "running", "2.0.0 runs from slot B");
	assert_int_equal(card.resets, 4);
}

/* What became of it is looked at, not believed */
static void the_end_is_what_the_device_says(void **state)
{
	struct fw_outcome outcome;

	(void)state;
	card.boot = FAKE_FALLS_BACK;
	outcome = update(a_flash());
	assert_outcome(
		outcome, CLI_FAILED, "fallback",
		"fell back: 1.0.0 runs from slot A; 2.0.0 in slot B did not start: the image "
		"in the flash slot did not become ready in any of its tries (error 18)");
	assert_int_equal(outcome.error, AIPU_ERROR_SLOT_TRIED);
	image_up(state);
	card.boot = FAKE_STARTS_ANOTHER;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "not the image");
	image_up(state);
	card.boot = FAKE_STAYS_ON_TRIAL;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed", "does not keep that it does");
	image_up(state);
	card.reset_error = -EIO;
	assert_outcome(update(a_flash()), CLI_FAILED, "failed",
		       "slot B is activated, but not started: fake: no reset");
	image_up(state);
	card.reset_error = -EPERM;
	assert_outcome(update(a_flash()), CLI_NO_PERMISSION, "failed", "not started");
}

static void interrupt_now(void)
{
	fw_interrupted = 1;
}

/* After each operation: it ends there or goes on to where the device is in order, and says which */
static void interrupted_at_every_operation(void **state)
{
	struct fw_outcome outcome;

	for (uint32_t at = 1; at <= 11; at++) {
		image_up(state);
		card.interrupt = interrupt_now;
		card.interrupt_at = at;
		outcome = update(a_flash());
		if (at <= 8) { /* four writes, four reads */
			assert_outcome(outcome, CLI_INTERRUPTED, "interrupted",
				       at < 8 ? "slot B is empty" : "1.0.0 runs");
			assert_int_equal(card.activates, 0);
		} else if (at == 9) { /* COMMIT */
			assert_outcome(outcome, CLI_INTERRUPTED, "interrupted",
				       "interrupted: 1.0.0 runs from slot A");
			assert_int_equal(card.activates, 0);
		} else if (at == 10) { /* ACTIVATE */
			assert_outcome(outcome, CLI_INTERRUPTED, "interrupted",
				       "slot B is activated, and the next reset starts 2.0.0");
			assert_int_equal(card.resets, 0);
		} else { /* the reset is not undone by a signal */
			assert_outcome(outcome, CLI_OK, "running", "2.0.0 runs");
		}
	}
	assert_int_equal(card.operations, 11);
}

static void activate_alone(void **state)
{
	struct fw_request request = { .slot = -1, .activate = true };

	(void)state;
	assert_outcome(update(request), CLI_FAILED, "refused", "slot B is empty");
	card.flash.slots[1] =
		(struct aipu_flash_slot){ .state = AIPU_FLASH_FAILED, .version = V(2, 0) };
	assert_outcome(update(request), CLI_FAILED, "refused", "--slot b tries it again");
	request.slot = 0;
	assert_outcome(update(request), CLI_OK, "unchanged", "1.0.0 runs from slot A already");
	assert_int_equal(card.operations, 0);
	request.slot = 1;
	assert_outcome(update(request), CLI_OK, "running", "2.0.0 runs from slot B");
	/* One that the device would pass over is not asked for, but by force */
	card.flash.rollback = 1;
	request.slot = -1;
	assert_outcome(update(request), CLI_FAILED, "refused", "counter is 0, below 1");
	request.force = request.dry_run = true;
	assert_outcome(update(request), CLI_OK, "planned", "1.0.0 would be started from slot A");
	request.force = false;
	card.flash.rollback = 0;
	/* Back to the one before, which is older */
	request.slot = -1;
	request.dry_run = true;
	assert_outcome(update(request), CLI_OK, "planned", "1.0.0 would be started from slot A");
	request.dry_run = false;
	assert_outcome(update(request), CLI_OK, "running", "1.0.0 runs from slot A");
	assert_int_equal(card.writes, 0);
}

/* Loaded by the host: what was activated last comes first, as the next reset would have it */
static void activate_what_is_pending(void **state)
{
	struct fw_request request = { .slot = -1, .activate = true };

	(void)state;
	card.flash.source = card.info.boot_source = AIPU_BOOT_FROM_HOST;
	card.flash.slots[1] = (struct aipu_flash_slot){ .state = AIPU_FLASH_TRIAL,
							.tries = 3,
							.version = V(2, 0) };
	card.flash.active = 1;
	request.dry_run = true;
	assert_outcome(update(request), CLI_OK, "planned", "2.0.0 would be started from slot B");
	/* One that is active and was ready is not: a reset alone starts it */
	card.flash.slots[1].state = AIPU_FLASH_CONFIRMED;
	assert_outcome(update(request), CLI_OK, "planned", "1.0.0 would be started from slot A");
	/* Nor one that runs */
	card.flash.slots[1].state = AIPU_FLASH_TRIAL;
	card.flash.source = card.info.boot_source = AIPU_BOOT_FROM_SLOT_B;
	assert_outcome(update(request), CLI_OK, "planned", "1.0.0 would be started from slot A");
	/* Before the reset of the one that waits */
	card.flash.source = card.info.boot_source = AIPU_BOOT_FROM_SLOT_A;
	request.dry_run = false;
	assert_outcome(update(request), CLI_OK, "running", "2.0.0 runs from slot B");
}

static void written_and_not_activated(void **state)
{
	struct fw_request request = a_flash();

	(void)state;
	request.activate = false;
	assert_outcome(update(request), CLI_OK, "written", "aipu-fw activate --slot b");
	assert_int_equal(card.flash.slots[1].state, AIPU_FLASH_GOOD);
	assert_int_equal(card.activates + card.resets, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_the_way, image_up),
		cmocka_unit_test_setup(a_recovery_image_left_behind, image_up),
		cmocka_unit_test_setup(the_slot_that_is_taken, image_up),
		cmocka_unit_test_setup(what_is_not_begun, image_up),
		cmocka_unit_test_setup(devices_that_cannot, image_up),
		cmocka_unit_test_setup(writes_that_fail, image_up),
		cmocka_unit_test_setup(a_bit_that_is_another, image_up),
		cmocka_unit_test_setup(commit_and_activate_fail, image_up),
		cmocka_unit_test_setup(jobs_that_run, image_up),
		cmocka_unit_test_setup(the_end_is_what_the_device_says, image_up),
		cmocka_unit_test_setup(interrupted_at_every_operation, image_up),
		cmocka_unit_test_setup(activate_alone, image_up),
		cmocka_unit_test_setup(activate_what_is_pending, image_up),
		cmocka_unit_test_setup(written_and_not_activated, image_up),
	};

	return cmocka_run_group_tests_name("fw_update", tests, NULL, NULL);
}
