// SPDX-License-Identifier: MIT
/*
 * aipu/manage.h on the software device: sensors, limits, resets, and firmware in a flash that is a file of the test's own.
 * test_libaipu_manage_front.c has the front's half.
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aipu/manage.h"
#include "aipu_firmware.h"
#include "libaipu_test.h"
#include "sign.h"

#define V(major, minor) ((uint32_t)(major) << 24 | (uint32_t)(minor) << 16)
#define NEVER "start: never\n" /* a payload that does not come up: device-model/flash.c */

static char state_home[64], flash_path[96];

/* Each test has an empty state directory */
static int state_up(void **state)
{
	(void)state;
	strcpy(state_home, "/tmp/aipu-test-XXXXXX");
	assert_non_null(mkdtemp(state_home));
	snprintf(flash_path, sizeof(flash_path), "%s/aipu/soft.flash", state_home);
	assert_int_equal(setenv("XDG_STATE_HOME", state_home, 1), 0);
	return 0;
}

static int state_down(void **state)
{
	char directory[96];

	(void)state;
	snprintf(directory, sizeof(directory), "%s/aipu", state_home);
	unlink(flash_path);
	rmdir(directory);
	assert_int_equal(rmdir(state_home), 0); /* nothing else was left there */
	return 0;
}

static struct aipu_device *open_soft(void)
{
	struct aipu_device_options options = { .cores = 1, .memory_bytes = 8u << 20 };
	struct aipu_device *device;
	struct aipu_message message;
	int error = aipu_device_open(&device, "soft", &options, &message);

	if (error)
		print_error("# %d: %s\n", error, message.text);
	assert_int_equal(error, 0);
	return device;
}

static struct aipu_device_info info_of(struct aipu_device *device)
{
	struct aipu_device_info info;

	assert_int_equal(aipu_device_query(device, &info), 0);
	return info;
}

static struct aipu_flash_info flash_of(struct aipu_device *device)
{
	struct aipu_flash_info info;

	assert_int_equal(aipu_flash_query(device, &info), 0);
	return info;
}

static struct aipu_telemetry telemetry_of(struct aipu_device *device)
{
	struct aipu_telemetry telemetry;

	memset(&telemetry, 0, sizeof(telemetry));
	assert_int_equal(aipu_device_telemetry(device, &telemetry), 0);
	return telemetry;
}

/* --- images --------------------------------------------------------------------------------------- */

struct image {
	struct aipu_firmware_header header;
	char payload[200000]; /* some pieces and a bit */
	size_t bytes; /* of both */
};

static void image_seal(struct image *image)
{
	uint8_t key[32];

	sign_key_development(key);
	sign_image(&image->header, image->payload, image->header.payload_bytes, key, NULL);
}

/* The same bytes for the same arguments; *payload is a text that it begins with */
static struct image *image_make(uint32_t version, const char *payload)
{
	struct image *image = calloc(1, sizeof(*image));

	assert_non_null(image);
	image->header = (struct aipu_firmware_header){
		.magic = AIPU_FIRMWARE_MAGIC,
		.header_version = AIPU_FIRMWARE_HEADER_VERSION,
		.header_bytes = sizeof(image->header),
		.payload_bytes = sizeof(image->payload),
		.version = version,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.board_id = AIPU_BOARD_SOFT,
		.build = "a test's",
	};
	for (size_t i = 0; i < sizeof(image->payload); i++)
		image->payload[i] = (char)(i * 7 + version);
	memcpy(image->payload, payload, strlen(payload));
	image->bytes = sizeof(image->header) + sizeof(image->payload);
	image_seal(image);
	return image;
}

static int write_slot(struct aipu_device *device, uint32_t slot, const struct image *image)
{
	uint32_t chunk = flash_of(device).chunk_bytes;
	int error = 0;

	for (uint64_t done = 0; done < image->bytes && !error; done += chunk)
		error = aipu_flash_write(
			device, slot, done, (const uint8_t *)image + done,
			(uint32_t)(image->bytes - done < chunk ? image->bytes - done : chunk));
	return error;
}

/* Written, read back, committed, activated; then the image is gone */
static void install(struct aipu_device *device, uint32_t slot, struct image *image)
{
	uint32_t chunk = flash_of(device).chunk_bytes, error = 77;
	uint8_t *back = malloc(chunk);

	assert_int_equal(write_slot(device, slot, image), 0);
	for (uint64_t done = 0; done < image->bytes; done += chunk) {
		uint32_t bytes =
			(uint32_t)(image->bytes - done < chunk ? image->bytes - done : chunk);

		assert_int_equal(aipu_flash_read(device, slot, done, back, bytes), 0);
		assert_memory_equal(back, (const uint8_t *)image + done, bytes);
	}
	assert_int_equal(aipu_flash_commit(device, slot, &error), 0);
	assert_int_equal(error, AIPU_ERROR_NONE);
	assert_int_equal(flash_of(device).slots[slot].state, AIPU_FLASH_GOOD);
	assert_int_equal(aipu_flash_activate(device, slot), 0);
	free(back);
	free(image);
}

static int refused(struct aipu_device *device, struct image *image, uint32_t *error)
{
	int err;

	assert_int_equal(write_slot(device, 1, image), 0);
	err = aipu_flash_commit(device, 1, error);
	free(image);
	return err;
}

/* --- sensors, limits ------------------------------------------------------------------------------ */

static void counters_move_and_what_is_not_known_says_so(void **state)
{
	struct aipu_device *device = open_soft();
	struct aipu_telemetry before = telemetry_of(device), after;
	struct aipu_context *context;
	struct aipu_buffer *buffer;
	struct aipu_queue *queue;
	int segment;

	(void)state;
	assert_int_equal(before.running_jobs, 0);
	assert_int_equal(before.card_resets, 0);
	assert_int_equal(before.ras_events, 0);
	assert_int_equal(before.temperature_events, 0);
	for (size_t i = 0; i < sizeof(before.reserved) / sizeof(before.reserved[0]); i++)
		assert_true(before.reserved[i] == AIPU_UNKNOWN);
	assert_int_equal(aipu_context_create(device, &context), 0);
	assert_int_equal(aipu_queue_create(context, 4, &queue), 0);
	buffer = test_buffer(device, 4096);
	segment = aipu_segment_bind(context, buffer, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(segment >= 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(test_fill(queue, segment, 0, 4096, i), AIPU_STATUS_OK);
		after = telemetry_of(device);
		assert_int_equal(after.steps, before.steps + i + 1);
	}
	assert_true(after.busy_us >= before.busy_us);
	assert_int_equal(after.running_jobs, 0);
	/* One that was not taken back counts */
	aipu_prep_nop(aipu_queue_get_job(queue, 1));
	assert_int_equal(aipu_queue_submit(queue), 1);
	assert_int_equal(telemetry_of(device).running_jobs, 1);
	aipu_queue_seen(queue, test_wait(queue));
	assert_int_equal(telemetry_of(device).running_jobs, 0);
	aipu_queue_destroy(queue);
	assert_int_equal(aipu_segment_unbind(context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	aipu_context_destroy(context);
	aipu_device_close(device);
}

/* With the bit or without it: what the device cannot is refused, and changes nothing */
static void limits_are_the_devices_to_offer(void **state)
{
	struct aipu_device *device = open_soft();
	struct aipu_telemetry before = telemetry_of(device);

	(void)state;
	if (info_of(device).capabilities & AIPU_CAP_LIMITS) {
		assert_int_equal(aipu_device_set_limits(device, UINT32_MAX, 0), -EINVAL);
		assert_int_equal(aipu_device_set_limits(device, 0, 0), 0);
	} else {
		assert_int_equal(aipu_device_set_limits(device, 0, 0), -EOPNOTSUPP);
		assert_true(before.power_limit_mw == AIPU_UNKNOWN);
	}
	assert_true(telemetry_of(device).power_limit_mw == before.power_limit_mw);
	aipu_device_close(device);
}

/* --- reset ---------------------------------------------------------------------------------------- */

static void a_reset_takes_a_device_without_contexts(void **state)
{
	struct aipu_device *device = open_soft();
	struct aipu_message message = { "" };
	struct aipu_context *context;
	struct aipu_buffer *buffer, *memory;
	struct aipu_queue *queue;
	int segment;

	(void)state;
	buffer = test_buffer(device, 4096);
	/* The transport has a context of its own since */
	assert_int_equal(aipu_buffer_create(device, AIPU_BUFFER_DEVICE, 4096, &memory), 0);
	for (unsigned int i = 1; i < 4; i++) {
		assert_int_equal(aipu_context_create(device, &context), 0);
		assert_int_equal(aipu_device_reset(device, i & AIPU_RESET_RECOVERY, &message),
				 -EBUSY);
		assert_non_null(strstr(message.text, "contexts open"));
		assert_int_equal(aipu_queue_create(context, 2, &queue), 0);
		segment = aipu_segment_bind(context, memory, 0, 0, AIPU_WRITE);
		assert_true(segment >= 0);
		assert_int_equal(test_fill(queue, segment, 0, 4096, 0xabcdef01), AIPU_STATUS_OK);
		aipu_queue_destroy(queue);
		assert_int_equal(aipu_segment_unbind(context, segment), 0);
		aipu_context_destroy(context);
		assert_int_equal(aipu_device_reset(device, AIPU_RESET_IDLE, NULL), 0);
		assert_int_equal(info_of(device).resets, i);
		assert_int_equal(telemetry_of(device).card_resets, i);
		assert_int_equal(telemetry_of(device).steps, 0);
		assert_int_equal(info_of(device).state, AIPU_DEVICE_READY);
	}
	assert_int_equal(aipu_buffer_destroy(memory), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(info_of(device).memory_free, 8u << 20);
	aipu_device_close(device);
}

/* --- flash ---------------------------------------------------------------------------------------- */

static void looking_leaves_nothing_behind(void **state)
{
	struct aipu_device *device = open_soft();
	struct aipu_device_info info = info_of(device);
	struct aipu_flash_info flash = flash_of(device);

	(void)state;
	assert_true(info.capabilities & AIPU_CAP_FLASH);
	assert_int_equal(info.board_id, AIPU_BOARD_SOFT);
	assert_int_equal(info.boot_source, AIPU_BOOT_FROM_HOST);
	assert_int_not_equal(info.rom_version, 0);
	assert_int_equal(info.driver_version, 0);
	assert_string_equal(info.node, "");
	assert_string_equal(info.pci, "");
	assert_int_equal(flash.active, UINT32_MAX);
	assert_int_equal(flash.source, AIPU_BOOT_FROM_HOST);
	assert_int_equal(flash.rom_version, info.rom_version);
	assert_int_equal(flash.slots[0].state, AIPU_FLASH_EMPTY);
	assert_int_equal(flash.slots[1].state, AIPU_FLASH_EMPTY);
	assert_int_equal(aipu_flash_activate(device, 1), -ENOENT);
	assert_int_equal(aipu_device_reset(device, 0, NULL), 0);
	aipu_device_close(device);
	assert_int_equal(access(flash_path, F_OK), -1);
}

static void what_was_activated_runs_after_the_reset_and_in_the_next_process(void **state)
{
	struct aipu_device *device = open_soft();
	uint32_t built_in = info_of(device).firmware_version;
	struct aipu_device_info info;

	(void)state;
	install(device, 0, image_make(V(5, 1), ""));
	assert_int_equal(info_of(device).firmware_version, built_in);
	assert_int_equal(aipu_device_reset(device, AIPU_RESET_IDLE, NULL), 0);
	info = info_of(device);
	assert_int_equal(info.firmware_version, V(5, 1));
	assert_int_equal(info.boot_source, AIPU_BOOT_FROM_SLOT_A);
	assert_int_equal(flash_of(device).slots[0].state, AIPU_FLASH_CONFIRMED);
	assert_int_equal(aipu_flash_write(device, 0, 0, "x", 1), -EBUSY); /* it runs */
	install(device, 1, image_make(V(5, 2), ""));
	aipu_device_close(device);

	device = open_soft();
	info = info_of(device);
	assert_int_equal(info.firmware_version, V(5, 2));
	assert_int_equal(info.boot_source, AIPU_BOOT_FROM_SLOT_B);
	/* On request what is in flash is left alone, and stays */
	assert_int_equal(aipu_device_reset(device, AIPU_RESET_RECOVERY, NULL), 0);
	info = info_of(device);
	assert_int_equal(info.firmware_version, built_in);
	assert_int_equal(info.boot_source, AIPU_BOOT_FROM_HOST);
	assert_int_equal(aipu_device_reset(device, 0, NULL), 0);
	assert_int_equal(info_of(device).firmware_version, V(5, 2));
	aipu_device_close(device);
}

static void firmware_by_name_takes_no_try(void **state)
{
	struct aipu_device_options options = { .cores = 1 };
	struct aipu_device *device = open_soft();
	struct image *image = image_make(V(6, 0), "");
	char path[] = "/tmp/aipu-test-XXXXXX";
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, image, image->bytes), image->bytes);
	close(fd);
	free(image);
	install(device, 0, image_make(V(5, 1), ""));
	aipu_device_close(device);
	options.firmware = path;
	for (unsigned int i = 0; i < 200; i++) {
		assert_int_equal(aipu_device_open(&device, "soft", &options, NULL), 0);
		assert_int_equal(info_of(device).firmware_version, V(6, 0));
		assert_int_equal(info_of(device).boot_source, AIPU_BOOT_FROM_HOST);
		assert_int_equal(flash_of(device).slots[0].state, AIPU_FLASH_TRIAL);
		assert_int_equal(flash_of(device).slots[0].tries, 3);
		aipu_device_close(device);
	}
	device = open_soft();
	assert_int_equal(info_of(device).firmware_version, V(5, 1));
	aipu_device_close(device);
	unlink(path);
}

/* Each with a code of its own; what ran goes on */
static void bad_images_are_refused_by_the_device(void **state)
{
	struct aipu_device *device = open_soft();
	struct image *image;
	uint32_t error, slot_bytes = (uint32_t)flash_of(device).slot_bytes;

	(void)state;
	image = image_make(V(7, 0), "");
	image->payload[150000] ^= 1;
	assert_int_equal(refused(device, image, &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_FIRMWARE_DIGEST);
	image = image_make(V(7, 0), "");
	image->bytes -= 100;
	assert_int_equal(refused(device, image, &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_FIRMWARE_SIZE);
	image = image_make(V(7, 0), "");
	image->header.signature[5] ^= 1;
	assert_int_equal(refused(device, image, &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_FIRMWARE_SIGNATURE);
	image = image_make(V(7, 0), "");
	image->header.board_id = 0x1234;
	image_seal(image);
	assert_int_equal(refused(device, image, &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_FIRMWARE_BOARD);
	image = image_make(V(7, 0), "");
	image->header.abi_oldest = image->header.abi_newest = AIPU_ABI_VERSION(9, 0);
	image_seal(image);
	assert_int_equal(refused(device, image, &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_FIRMWARE_ABI);
	assert_int_equal(aipu_flash_activate(device, 1), -ENOENT);
	assert_int_equal(aipu_flash_commit(device, 0, &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_SLOT_EMPTY);
	/* The anti-rollback counter rises with what was READY */
	image = image_make(V(7, 1), "");
	image->header.rollback = 3;
	image_seal(image);
	install(device, 0, image);
	assert_int_equal(aipu_device_reset(device, 0, NULL), 0);
	assert_int_equal(info_of(device).rollback, 3);
	assert_int_equal(refused(device, image_make(V(7, 2), ""), &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_FIRMWARE_ROLLBACK);
	/* A gap, and beyond the slot */
	assert_int_equal(aipu_flash_write(device, 1, 0, "x", 1), 0);
	assert_int_equal(aipu_flash_write(device, 1, 2, "x", 1), -EINVAL);
	assert_int_equal(aipu_flash_read(device, 1, slot_bytes, &error, 1), -EINVAL);
	aipu_device_close(device);
}

/* What does not come up costs a try each time, and the other slot starts */
static void a_trial_that_never_comes_up_falls_back(void **state)
{
	struct aipu_device *device = open_soft();
	struct aipu_flash_info flash;
	struct aipu_device_info info;

	(void)state;
	install(device, 0, image_make(V(5, 1), ""));
	assert_int_equal(aipu_device_reset(device, 0, NULL), 0);
	install(device, 1, image_make(V(5, 2), NEVER));
	assert_int_equal(aipu_device_reset(device, 0, NULL), 0);
	info = info_of(device);
	assert_int_equal(info.firmware_version, V(5, 1));
	assert_int_equal(info.boot_source, AIPU_BOOT_FROM_SLOT_A);
	assert_int_equal(info.slot_errors[0], AIPU_ERROR_NONE);
	assert_int_equal(info.slot_errors[1], AIPU_ERROR_SLOT_TRIED);
	flash = flash_of(device);
	assert_int_equal(flash.slots[1].state, AIPU_FLASH_TRIAL);
	assert_int_equal(flash.slots[1].tries, 2);
	assert_int_equal(flash.active, 1);
	/* The user turns back */
	assert_int_equal(aipu_flash_activate(device, 0), 0);
	assert_int_equal(aipu_device_reset(device, 0, NULL), 0);
	assert_int_equal(info_of(device).slot_errors[1], AIPU_ERROR_NONE);
	aipu_device_close(device);
}

/* --- the file ------------------------------------------------------------------------------------- */

static void without_a_state_directory_there_is_no_flash(void **state)
{
	struct aipu_flash_info flash;
	struct aipu_device *device;
	char *home = strdup(getenv("HOME") ? getenv("HOME") : "");

	(void)state;
	unsetenv("XDG_STATE_HOME");
	unsetenv("HOME");
	device = open_soft();
	assert_false(info_of(device).capabilities & AIPU_CAP_FLASH);
	assert_int_equal(aipu_flash_query(device, &flash), -EOPNOTSUPP);
	assert_int_equal(aipu_flash_activate(device, 0), -EOPNOTSUPP);
	assert_int_equal(aipu_device_reset(device, AIPU_RESET_RECOVERY, NULL), 0);
	aipu_device_close(device);
	/* A relative path is as good as none, by the specification of these directories */
	setenv("XDG_STATE_HOME", "state", 1);
	device = open_soft();
	assert_int_equal(aipu_flash_query(device, &flash), -EOPNOTSUPP);
	aipu_device_close(device);
	/* The default of the one is below the other */
	unsetenv("XDG_STATE_HOME");
	setenv("HOME", state_home, 1);
	device = open_soft();
	assert_int_equal(aipu_flash_query(device, &flash), 0);
	aipu_device_close(device);
	setenv("HOME", home, 1);
	free(home);
}

/* What is no flash is told, and nothing else fails */
static void a_file_that_is_no_flash(void **state)
{
	struct aipu_flash_info flash;
	struct aipu_device *device;
	char directory[96];
	int fd;

	(void)state;
	snprintf(directory, sizeof(directory), "%s/aipu", state_home);
	assert_int_equal(mkdir(directory, 0700), 0);
	fd = open(flash_path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "seventeen bytes.\n", 17), 17);
	close(fd);
	device = open_soft();
	assert_false(info_of(device).capabilities & AIPU_CAP_FLASH);
	assert_int_equal(aipu_flash_query(device, &flash), -EFBIG);
	aipu_device_close(device);
	unlink(flash_path);
	assert_int_equal(mkdir(flash_path, 0700), 0);
	device = open_soft();
	assert_int_equal(aipu_flash_query(device, &flash), -EINVAL);
	aipu_device_close(device);
	rmdir(flash_path);
}

/*
 * Two processes: flock() tells two descriptions apart, so two devices of one process are as good. Who has a try to count that
 * another holds back starts without it, and the try is not lost.
 */
static void two_processes_at_once(void **state)
{
	struct aipu_device *first = open_soft(), *second;
	uint32_t built_in = info_of(first).firmware_version;

	(void)state;
	install(first, 0, image_make(V(5, 1), ""));
	second = open_soft();
	assert_int_equal(info_of(second).firmware_version, built_in);
	assert_int_equal(info_of(second).boot_source, AIPU_BOOT_FROM_HOST);
	assert_int_equal(info_of(second).slot_errors[0], AIPU_ERROR_FATAL);
	assert_int_equal(flash_of(second).slots[0].tries, 3);
	assert_int_equal(aipu_flash_write(second, 1, 0, "x", 1), -EBUSY);
	/* It is READY, and lets others write */
	assert_int_equal(aipu_device_reset(first, 0, NULL), 0);
	assert_int_equal(flash_of(first).slots[0].state, AIPU_FLASH_CONFIRMED);
	assert_int_equal(aipu_flash_write(second, 1, 0, "x", 1), -ESTALE); /* it knows of a trial */
	aipu_device_close(second);
	second = open_soft();
	assert_int_equal(info_of(second).firmware_version, V(5, 1));
	install(second, 1, image_make(V(5, 2), ""));
	assert_int_equal(aipu_flash_activate(first, 0), -EBUSY);
	aipu_device_close(second);
	assert_int_equal(aipu_flash_activate(first, 0), -ESTALE);
	aipu_device_close(first);
	first = open_soft();
	assert_int_equal(info_of(first).firmware_version, V(5, 2));
	aipu_device_close(first);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(counters_move_and_what_is_not_known_says_so,
						state_up, state_down),
		cmocka_unit_test_setup_teardown(limits_are_the_devices_to_offer, state_up,
						state_down),
		cmocka_unit_test_setup_teardown(a_reset_takes_a_device_without_contexts, state_up,
						state_down),
		cmocka_unit_test_setup_teardown(looking_leaves_nothing_behind, state_up,
						state_down),
		cmocka_unit_test_setup_teardown(
			what_was_activated_runs_after_the_reset_and_in_the_next_process, state_up,
			state_down),
		cmocka_unit_test_setup_teardown(firmware_by_name_takes_no_try, state_up,
						state_down),
		cmocka_unit_test_setup_teardown(bad_images_are_refused_by_the_device, state_up,
						state_down),
		cmocka_unit_test_setup_teardown(a_trial_that_never_comes_up_falls_back, state_up,
						state_down),
		cmocka_unit_test_setup_teardown(two_processes_at_once, state_up, state_down),
		cmocka_unit_test_setup_teardown(without_a_state_directory_there_is_no_flash,
						state_up, state_down),
		cmocka_unit_test_setup_teardown(a_file_that_is_no_flash, state_up, state_down),
	};

	return cmocka_run_group_tests_name("libaipu_manage", tests, NULL, NULL);
}
