// SPDX-License-Identifier: MIT
/*
 * aipu/manage.h over a transport that the test plays: what is checked before a device is asked, what is not believed of one,
 * and transports that lack an operation.
 */
#include "fake_card.h"
#include "libaipu_test.h"

static struct fake_card card;

static void arguments_are_checked(void **state)
{
	struct aipu_device *device;
	struct aipu_message message;
	struct aipu_flash_info info;
	struct aipu_telemetry telemetry;
	uint32_t error;
	char byte = 0;

	(void)state;
	fake_card_reset(&card, 1);
	device = fake_card_open(&card, false);
	assert_int_equal(aipu_device_telemetry(NULL, &telemetry), -EINVAL);
	assert_int_equal(aipu_device_telemetry(device, NULL), -EINVAL);
	assert_int_equal(aipu_device_set_limits(NULL, 1, 1), -EINVAL);
	assert_int_equal(aipu_device_reset(NULL, 0, &message), -EINVAL);
	assert_int_equal(aipu_device_reset(device, 4, &message), -EINVAL);
	assert_non_null(strstr(message.text, "flags"));
	assert_int_equal(aipu_flash_query(NULL, &info), -EINVAL);
	assert_int_equal(aipu_flash_query(device, NULL), -EINVAL);
	assert_int_equal(aipu_flash_write(device, 2, 0, &byte, 1), -EINVAL);
	assert_int_equal(aipu_flash_write(device, 0, 0, NULL, 1), -EINVAL);
	assert_int_equal(aipu_flash_write(device, 0, 0, &byte, 0), -EINVAL);
	assert_int_equal(aipu_flash_read(device, 2, 0, &byte, 1), -EINVAL);
	assert_int_equal(aipu_flash_read(device, 0, 0, NULL, 1), -EINVAL);
	assert_int_equal(aipu_flash_read(device, 0, 0, &byte, 0), -EINVAL);
	assert_int_equal(aipu_flash_commit(device, 2, &error), -EINVAL);
	assert_int_equal(aipu_flash_commit(device, 0, NULL), -EINVAL);
	assert_int_equal(aipu_flash_activate(device, 2), -EINVAL);
	assert_int_equal(card.operations, 0);
	aipu_device_close(device);
}

static void the_transport_is_asked_as_it_was_called(void **state)
{
	struct aipu_telemetry telemetry;
	struct aipu_device *device;
	struct aipu_message message;
	uint32_t error = 99;
	char data[3] = "abc", back[3];

	(void)state;
	fake_card_reset(&card, 1);
	card.telemetry.power_mw = 12345;
	device = fake_card_open(&card, false);
	assert_int_equal(aipu_device_telemetry(device, &telemetry), 0);
	assert_int_equal(telemetry.power_mw, 12345);
	assert_true(telemetry.energy_uj == AIPU_UNKNOWN && telemetry.reserved[9] == AIPU_UNKNOWN);
	assert_int_equal(aipu_device_set_limits(device, 50000, 900), -EINVAL);
	assert_int_equal(card.power_mw, 50000);
	assert_int_equal(card.clock_mhz, 900);
	assert_int_equal(aipu_flash_write(device, 1, 0, data, 3), 0);
	assert_int_equal(aipu_flash_write(device, 1, 5, data, 3), -EINVAL);
	assert_int_equal(aipu_flash_read(device, 1, 0, back, 3), 0);
	assert_memory_equal(back, data, 3);
	card.refusal = AIPU_ERROR_FIRMWARE_BOARD;
	assert_int_equal(aipu_flash_commit(device, 1, &error), -EKEYREJECTED);
	assert_int_equal(error, AIPU_ERROR_FIRMWARE_BOARD);
	assert_int_equal(aipu_flash_activate(device, 1), -ENOENT);
	card.refusal = 0;
	assert_int_equal(aipu_flash_commit(device, 1, &error), 0);
	assert_int_equal(error, AIPU_ERROR_NONE);
	assert_int_equal(aipu_flash_activate(device, 1), 0);
	card.busy = 1;
	assert_int_equal(aipu_device_reset(device, AIPU_RESET_IDLE, &message), -EBUSY);
	assert_string_equal(message.text, "fake: busy");
	assert_int_equal(card.reset_flags, AIPU_RESET_IDLE);
	assert_int_equal(aipu_device_reset(device, AIPU_RESET_RECOVERY, NULL), 0);
	assert_int_equal(card.reset_flags, AIPU_RESET_RECOVERY);
	aipu_device_close(device);
}

static void what_a_transport_lacks_is_not_supported(void **state)
{
	struct aipu_telemetry telemetry;
	struct aipu_message message;
	struct aipu_flash_info info;
	struct aipu_device *device;
	uint32_t error;
	char byte = 0;

	(void)state;
	fake_card_reset(&card, 1);
	device = fake_card_open(&card, true);
	assert_int_equal(aipu_device_telemetry(device, &telemetry), -EOPNOTSUPP);
	assert_true(telemetry.temperature_mc == AIPU_UNKNOWN);
	assert_int_equal(aipu_device_set_limits(device, 0, 0), -EOPNOTSUPP);
	assert_int_equal(aipu_device_reset(device, 0, &message), -EOPNOTSUPP);
	assert_non_null(strstr(message.text, "fake"));
	assert_int_equal(aipu_flash_query(device, &info), -EOPNOTSUPP);
	assert_int_equal(aipu_flash_write(device, 0, 0, &byte, 1), -EOPNOTSUPP);
	assert_int_equal(aipu_flash_read(device, 0, 0, &byte, 1), -EOPNOTSUPP);
	assert_int_equal(aipu_flash_commit(device, 0, &error), -EOPNOTSUPP);
	assert_int_equal(aipu_flash_activate(device, 0), -EOPNOTSUPP);
	aipu_device_close(device);
}

/* Texts end, and a piece has a size that somebody can ask for */
static void a_device_is_not_believed(void **state)
{
	struct aipu_flash_info info;
	struct aipu_device *device;

	(void)state;
	fake_card_reset(&card, 1);
	device = fake_card_open(&card, false);
	memset(card.flash.slots[0].build, 'x', sizeof(card.flash.slots[0].build));
	memset(card.flash.slots[1].build, 'y', sizeof(card.flash.slots[1].build));
	assert_int_equal(aipu_flash_query(device, &info), 0);
	assert_int_equal(strlen(info.slots[0].build), sizeof(info.slots[0].build) - 1);
	assert_int_equal(strlen(info.slots[1].build), sizeof(info.slots[1].build) - 1);
	card.flash.chunk_bytes = 0;
	assert_int_equal(aipu_flash_query(device, &info), -EIO);
	card.flash.chunk_bytes = UINT32_MAX;
	assert_int_equal(aipu_flash_query(device, &info), -EIO);
	aipu_device_close(device);
	assert_string_equal(aipu_error_text(AIPU_ERROR_NONE), "no error");
	assert_non_null(strstr(aipu_error_text(AIPU_ERROR_COUNT), "does not know"));
	assert_non_null(strstr(aipu_error_text(UINT32_MAX), "does not know"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments_are_checked),
		cmocka_unit_test(the_transport_is_asked_as_it_was_called),
		cmocka_unit_test(what_a_transport_lacks_is_not_supported),
		cmocka_unit_test(a_device_is_not_believed),
	};

	return cmocka_run_group_tests_name("libaipu_manage_front", tests, NULL, NULL);
}
