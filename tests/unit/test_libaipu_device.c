// SPDX-License-Identifier: MIT
/*
 * Opening devices: names, options, firmware images of every bad kind, versions that do not overlap, and
 * two devices in one process. What a message says is part of what is tested: it names the value.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "aipu_firmware.h"
#include "aipu_program.h"
#include "libaipu_test.h"
#include "sign.h"

extern const unsigned char aipu_soft_firmware[];
extern const unsigned char aipu_soft_firmware_end[];

static int open_fails(const char *name, const struct aipu_device_options *options, const char *word)
{
	struct aipu_device *device = (struct aipu_device *)1;
	struct aipu_message message;
	int error = aipu_device_open(&device, name, options, &message);

	assert_int_not_equal(error, 0);
	assert_null(device);
	if (!strstr(message.text, word))
		print_error("# \"%s\" is not in \"%s\"\n", word, message.text);
	assert_non_null(strstr(message.text, word));
	assert_null(strchr(message.text, '\n'));
	/* The same without a message */
	assert_int_equal(aipu_device_open(&device, name, options, NULL), error);
	return error;
}

static void names_are_resolved(void **state)
{
	struct aipu_message message = { "?" };
	struct aipu_device *device;

	(void)state;
	test_not_on_cards("of the software device");
	assert_int_equal(open_fails("accel0", NULL, "accel0"), -ENODEV);
	assert_int_equal(open_fails("0", NULL, "\"soft\""), -ENODEV);
	assert_int_equal(open_fails("0000:03:00.0", NULL, "0000:03:00.0"), -ENODEV);
	assert_int_equal(open_fails("sofa", NULL, "sofa"), -ENODEV);
	assert_int_equal(open_fails("", NULL, "no such device"), -ENODEV);
	assert_int_equal(aipu_device_open(NULL, "soft", NULL, &message), -EINVAL);
	assert_int_equal(aipu_device_open(&device, "soft", NULL, &message), 0);
	assert_string_equal(message.text, "");
	aipu_device_close(device);
	/* auto has nothing to say, unless there is a card here that it could not have */
	assert_int_equal(aipu_device_open(&device, "auto", NULL, &message), 0);
	assert_true(!message.text[0] || strstr(message.text, "; using the software device"));
	aipu_device_close(device);
	assert_int_equal(aipu_device_open(&device, NULL, NULL, NULL), 0);
	aipu_device_close(device);
	aipu_device_close(NULL);
}

static void options_are_checked(void **state)
{
	struct aipu_device_options options = { .reserved = { 0, 0, 1 } };

	(void)state;
	test_not_on_cards("of the software device");
	assert_int_equal(open_fails("soft", &options, "reserved[2]"), -EINVAL);
	options = (struct aipu_device_options){ .cores = 1u << 20 };
	assert_int_equal(open_fails("soft", &options, "1048576"), -EINVAL);
	options = (struct aipu_device_options){ .simd = 77 };
	assert_true(open_fails("soft", &options, "77") < 0);
	options = (struct aipu_device_options){ .memory_bytes = UINT64_MAX };
	assert_true(open_fails("soft", &options, "soft") < 0);
}

static void query_tells_what_was_asked_for(void **state)
{
	struct aipu_device_options options = { .cores = 3, .memory_bytes = 32u << 20 };
	struct aipu_device_info info;
	struct aipu_device *device;
	uint32_t oldest, newest;

	(void)state;
	test_not_on_cards("of the software device");
	assert_int_equal(aipu_device_open(&device, "soft", &options, NULL), 0);
	assert_int_equal(aipu_device_query(device, &info), 0);
	assert_string_equal(info.name, "soft");
	assert_string_equal(info.transport, "soft");
	assert_int_equal(info.cores, 3);
	assert_int_equal(info.memory_bytes, 32u << 20);
	assert_int_equal(info.memory_free, 32u << 20);
	assert_int_equal(info.abi_in_use, AIPU_ABI_CURRENT);
	assert_true(info.abi_oldest <= info.abi_in_use && info.abi_in_use <= info.abi_newest);
	aipu_contract(&oldest, &newest);
	assert_int_equal(oldest, AIPU_ABI_OLDEST);
	assert_int_equal(newest, AIPU_ABI_CURRENT);
	assert_int_equal(info.kv_formats, 1u << AIPU_FMT_F32 | 1u << AIPU_FMT_F16);
	assert_true(info.kv_kinds >> AIPU_KV_SMART_MASK & 1);
	assert_int_equal(info.numerics, 1u << AIPU_NUMERICS_1);
	assert_int_equal(info.activations, 1u << AIPU_ACT_PLAIN | 1u << AIPU_ACT_DYNAMIC_I8_G32);
	assert_int_not_equal(info.firmware_version, 0);
	assert_true(info.firmware[0] && info.vendor[0] && info.model[0]);
	assert_true(info.max_queues && info.max_segments && info.max_lanes);
	assert_int_equal(aipu_device_query(device, NULL), -EINVAL);
	assert_int_equal(aipu_device_query(NULL, &info), -EINVAL);
	aipu_device_close(device);
}

/* --- firmware ------------------------------------------------------------------------------------ */

struct image {
	char path[64];
	size_t bytes;
	union {
		unsigned char *data;
		struct aipu_firmware_header *header;
	};
};

static void image_take(struct image *image)
{
	int fd;

	image->bytes = (size_t)(aipu_soft_firmware_end - aipu_soft_firmware);
	image->data = malloc(image->bytes);
	memcpy(image->data, aipu_soft_firmware, image->bytes);
	strcpy(image->path, "/tmp/aipu-test-XXXXXX");
	fd = mkstemp(image->path);
	assert_true(fd >= 0);
	close(fd);
}

static void image_drop(struct image *image)
{
	unlink(image->path);
	free(image->data);
}

/* Gives the image the digest and signature that its bytes have, so that later checks are reached */
static void image_digest(struct image *image)
{
	uint8_t key[32];

	sign_key_development(key);
	sign_image(image->header, image->data + sizeof(*image->header),
		   image->bytes - sizeof(*image->header), key, NULL);
}

static void image_write(struct image *image, size_t bytes)
{
	int fd = open(image->path, O_WRONLY | O_TRUNC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image->data, bytes), bytes);
	close(fd);
}

static void firmware_is_loaded_from_a_file(void **state)
{
	struct aipu_device_options options = { .cores = 1 };
	struct aipu_device_info info;
	struct aipu_device *device;
	struct image image;

	(void)state;
	test_not_on_cards("of the software device");
	image_take(&image);
	image.header->version = 0x05060007;
	image_digest(&image);
	image_write(&image, image.bytes);
	options.firmware = image.path;
	assert_int_equal(aipu_device_open(&device, "soft", &options, NULL), 0);
	assert_int_equal(aipu_device_query(device, &info), 0);
	assert_int_equal(info.firmware_version, 0x05060007);
	aipu_device_close(device);
	image_drop(&image);
}

/* BOOT-2, BOOT-4: each refusal is an errno and words of its own */
static void bad_firmware_is_refused(void **state)
{
	struct aipu_device_options options = { .cores = 1, .firmware = "/nonexistent/image" };
	struct image image;

	(void)state;
	test_not_on_cards("of the software device");
	assert_int_equal(open_fails("soft", &options, "/nonexistent/image"), -ENOENT);
	options.firmware = "/tmp";
	assert_int_equal(open_fails("soft", &options, "not a file"), -ENOEXEC);
	image_take(&image);
	options.firmware = image.path;
	assert_int_equal(open_fails("soft", &options, image.path), -ENOEXEC); /* empty */
	image_write(&image, 100);
	assert_int_equal(open_fails("soft", &options, "shorter"), -ENOEXEC);
	image_write(&image, image.bytes - 1);
	assert_int_equal(open_fails("soft", &options, "shorter"), -ENOEXEC);
	image.data[0] ^= 1;
	image_write(&image, image.bytes);
	assert_int_equal(open_fails("soft", &options, "not a firmware image"), -ENOEXEC);
	image.data[0] ^= 1;
	image.header->header_version = 9;
	image_write(&image, image.bytes);
	assert_int_equal(open_fails("soft", &options, "header"), -ENOEXEC);
	image.header->header_version = AIPU_FIRMWARE_HEADER_VERSION;
	image.header->build[0] ^= 1;
	image_write(&image, image.bytes);
	assert_int_equal(open_fails("soft", &options, "digest"), -ENOEXEC);
	image.header->board_id = 0x12345678;
	image_digest(&image);
	image_write(&image, image.bytes);
	assert_int_equal(open_fails("soft", &options, "another board"), -ENOEXEC);
	image.header->board_id = AIPU_BOARD_SOFT;
	image_digest(&image);
	image.header->signature[0] ^= 1;
	image_write(&image, image.bytes);
	assert_int_equal(open_fails("soft", &options, "signature"), -ENOEXEC);
	image_drop(&image);
}

/* A firmware of another time: both ranges are named */
static void versions_that_do_not_overlap(void **state)
{
	struct aipu_device_options options = { .cores = 1 };
	struct image image;

	(void)state;
	test_not_on_cards("of the software device");
	image_take(&image);
	image.header->abi_oldest = AIPU_ABI_VERSION(3, 1);
	image.header->abi_newest = AIPU_ABI_VERSION(3, 4);
	image_digest(&image);
	image_write(&image, image.bytes);
	options.firmware = image.path;
	assert_int_equal(open_fails("soft", &options, "3.1 to 3.4"), -EPROTO);
	assert_int_equal(open_fails("soft", &options, "1.0"), -EPROTO);
	image_drop(&image);
}

/* A missing, broken or foreign plug-in */
static void plugin_problems_are_named(void **state)
{
	char directory[] = "/tmp/aipu-test-XXXXXX", path[64];
	FILE *file;

	(void)state;
	test_not_on_cards("of the software device");
	assert_non_null(mkdtemp(directory));
	assert_int_equal(setenv("AIPU_PLUGIN_PATH", directory, 1), 0);
	assert_int_equal(open_fails("soft", NULL, directory), -ENOENT);
	snprintf(path, sizeof(path), "%s/libaipu-soft.so", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("not a shared object", file);
	fclose(file);
	assert_int_equal(open_fails("soft", NULL, path), -ENOEXEC);
	unlink(path);
	rmdir(directory);
	unsetenv("AIPU_PLUGIN_PATH");
}

/* --- two of them ---------------------------------------------------------------------------------- */

static void two_devices_in_one_process(void **state)
{
	struct aipu_device *devices[2];
	struct aipu_context *contexts[2];
	struct aipu_queue *queues[2];
	struct aipu_buffer *buffers[2];
	struct aipu_device_info info;
	int segments[2];

	(void)state;
	test_not_on_cards("two cards have the memory that they have");
	for (unsigned int i = 0; i < 2; i++) {
		devices[i] = test_open(1 + i, (8u + 8u * i) << 20);
		assert_int_equal(aipu_context_create(devices[i], &contexts[i]), 0);
		assert_int_equal(aipu_queue_create(contexts[i], 2, &queues[i]), 0);
		assert_int_equal(
			aipu_buffer_create(devices[i], AIPU_BUFFER_DEVICE, 8192, &buffers[i]), 0);
		segments[i] =
			aipu_segment_bind(contexts[i], buffers[i], 0, 0, AIPU_READ | AIPU_WRITE);
		assert_true(segments[i] >= 0);
	}
	/* Each has its own memory, and none takes the other's buffers */
	assert_int_equal(aipu_segment_bind(contexts[0], buffers[1], 0, 0, AIPU_READ), -EXDEV);
	assert_int_equal(test_fill(queues[0], segments[0], 0, 8192, 0x11111111), AIPU_STATUS_OK);
	assert_int_equal(test_fill(queues[1], segments[1], 0, 8192, 0x22222222), AIPU_STATUS_OK);
	for (unsigned int i = 0; i < 2; i++) {
		const uint32_t *words = aipu_buffer_data(buffers[i]);

		assert_int_equal(words[0], i ? 0x22222222 : 0x11111111);
		assert_int_equal(words[2047], i ? 0x22222222 : 0x11111111);
		assert_int_equal(aipu_device_query(devices[i], &info), 0);
		assert_int_equal(info.cores, 1 + i);
		assert_int_equal(info.memory_free, ((8u + 8u * i) << 20) - 8192);
	}
	/* One goes, the other stays */
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(test_fill(queues[i], segments[i], 0, 4, 0), AIPU_STATUS_OK);
		aipu_queue_destroy(queues[i]);
		assert_int_equal(aipu_segment_unbind(contexts[i], segments[i]), 0);
		assert_int_equal(aipu_buffer_destroy(buffers[i]), 0);
		aipu_context_destroy(contexts[i]);
		aipu_device_close(devices[i]);
	}
}

static void contexts_and_queues_are_limited(void **state)
{
	struct aipu_device *device = test_open(1, 8u << 20);
	struct aipu_context *context, *contexts[1024];
	struct aipu_queue *queues[1100];
	unsigned int count = 0, queue_count = 0;
	struct aipu_device_info info;
	int error;

	(void)state;
	assert_int_equal(aipu_context_create(device, NULL), -EINVAL);
	assert_int_equal(aipu_context_create(NULL, &context), -EINVAL);
	while (!(error = aipu_context_create(device, &contexts[count])))
		count++;
	assert_int_equal(error, -ENOSPC);
	assert_true(count > 1);
	assert_int_equal(aipu_device_query(device, &info), 0);
	while (!(error = aipu_queue_create(contexts[0], 1, &queues[queue_count])))
		queue_count++;
	assert_int_equal(error, -ENOSPC);
	/* A card has other users: the driver itself is one */
	assert_true(test_is_card() ? queue_count > 1 && queue_count < info.max_queues
				   : queue_count == info.max_queues);
	/* Vectors are shared or not: each of them wakes */
	for (unsigned int i = 0; i < queue_count; i++) {
		aipu_prep_nop(aipu_queue_get_job(queues[i], i));
		assert_int_equal(test_run(queues[i], NULL), AIPU_STATUS_OK);
	}
	while (queue_count)
		aipu_queue_destroy(queues[--queue_count]);
	while (count)
		aipu_context_destroy(contexts[--count]);
	/* All ids are free again */
	assert_int_equal(aipu_context_create(device, &context), 0);
	aipu_context_destroy(context);
	aipu_context_destroy(NULL);
	assert_int_equal(aipu_context_reset(NULL), -EINVAL);
	aipu_device_close(device);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_resolved),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(query_tells_what_was_asked_for),
		cmocka_unit_test(firmware_is_loaded_from_a_file),
		cmocka_unit_test(bad_firmware_is_refused),
		cmocka_unit_test(versions_that_do_not_overlap),
		cmocka_unit_test(plugin_problems_are_named),
		cmocka_unit_test(two_devices_in_one_process),
		cmocka_unit_test(contexts_and_queues_are_limited),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_device", tests, NULL, NULL);
}
