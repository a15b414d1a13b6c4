// SPDX-License-Identifier: MIT
/*
 * aipu-emu's flash, which is a file: what was activated starts with the next client and with the next process, and so does
 * the card when the power goes in any write of an update or of the first start after it.
 */
#include "bench.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "sign.h"

#define V1 (1u << 24)
#define V2 (2u << 24)
#define PIECE 300u
#define MOST_WRITES 40u

static char path[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/aipu-test-XXXXXX");
	fd = mkstemp(path);
	close(fd);
	return fd < 0 ? -1 : 0; /* of no bytes: a new flash */
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static void power_on(struct bench *b, const char *fault)
{
	const char *const options[] = { "--flash", path, fault ? "--fault" : NULL, fault, NULL };

	bench_open(b, options);
	assert_int_not_equal(device_wait(&b->d, AIPU_STATE_RUNNING, AIPU_STATE_ROM),
			     AIPU_STATE_LOADING);
}

/* false: refused, or the power went */
static bool give(struct bench *b, const struct aipu_admin *command)
{
	uint16_t id = ring_start(&b->d, &b->d.admin, command);

	while (!ring_ended(&b->d, &b->d.admin, id))
		if (BENCH_REG(b, MAGIC) != AIPU_MAGIC)
			return false;
	return b->d.admin.got[id % 64].status == AIPU_STATUS_OK;
}

#define COMMAND(op, ...) \
	(&(struct aipu_admin){ .opcode = AIPU_ADMIN_FLASH_##op, .flash = { __VA_ARGS__ } })

/* READY, unless the power goes on the way */
static bool enable(struct bench *b)
{
	uint32_t status;

	device_setup(&b->d);
	guest_write(b->guest, AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	do {
		status = BENCH_REG(b, STATUS);
	} while ((status & AIPU_STATUS_STATE_MASK) == AIPU_STATE_RUNNING);
	return (status & AIPU_STATUS_STATE_MASK) == AIPU_STATE_READY;
}

static bool install(struct bench *b, uint32_t slot, uint32_t version)
{
	static const char payload[] = "an image of more than one piece, as images are";
	struct aipu_firmware_header *header = (void *)b->data;
	uint32_t bytes = sizeof(*header) + sizeof(payload), done, count;
	uint8_t key[32];
	bool good = true;

	*header = (struct aipu_firmware_header){
		.magic = AIPU_FIRMWARE_MAGIC,
		.header_version = AIPU_FIRMWARE_HEADER_VERSION,
		.header_bytes = sizeof(*header),
		.payload_bytes = sizeof(payload),
		.version = version,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.board_id = AIPU_BOARD_SOFT,
	};
	memcpy(header + 1, payload, sizeof(payload));
	sign_key_development(key);
	sign_image(header, payload, sizeof(payload), key, NULL);
	for (done = 0; done < bytes && good; done += count) {
		count = bytes - done < PIECE ? bytes - done : PIECE;
		good = give(b, COMMAND(WRITE, .slot = slot, .bytes = count, .offset = done,
				       .address = b->data_address + done));
	}
	return good && give(b, COMMAND(COMMIT, .slot = slot)) &&
	       give(b, COMMAND(ACTIVATE, .slot = slot));
}

/* A flash whose slot A has V1, confirmed */
static void flash_with_v1(void)
{
	struct bench b;

	assert_int_equal(truncate(path, 0), 0);
	power_on(&b, NULL);
	assert_int_equal(bench_load(&b), AIPU_STATE_RUNNING);
	assert_true(enable(&b));
	assert_true(install(&b, 0, V1));
	bench_close(&b);
	power_on(&b, NULL);
	assert_int_equal(BENCH_REG(&b, FIRMWARE_VERSION), V1);
	assert_true(enable(&b));
	bench_close(&b);
}

static void test_survives(void **state)
{
	struct bench b;

	(void)state;
	flash_with_v1();
	power_on(&b, NULL);
	assert_int_equal(BENCH_REG(&b, FIRMWARE_VERSION), V1);
	assert_int_equal(BENCH_REG(&b, BOOT_SOURCE), AIPU_BOOT_FROM_SLOT_A);
	assert_true(enable(&b));
	assert_true(install(&b, 1, V2));
	/* The next client of the same process powers the card on */
	guest_disconnect(b.guest);
	assert_int_equal(guest_connect(b.guest), 0);
	assert_int_equal(device_wait(&b.d, AIPU_STATE_RUNNING, AIPU_STATE_ROM), AIPU_STATE_RUNNING);
	assert_int_equal(BENCH_REG(&b, FIRMWARE_VERSION), V2);
	bench_close(&b);
}

static void server_died(struct bench *b)
{
	static const char *const plain[] = { "--memory", "64M", NULL };

	assert_int_equal(server_wait(&b->guest->server, CLIENT_PATIENCE_MS), SIGKILL);
	guest_disconnect(b->guest);
	assert_int_equal(server_restart(&b->guest->server, plain), 0);
	assert_int_equal(guest_connect(b->guest), 0);
	bench_close(b);
}

/* An update to V2 in which the power goes in write n. true: it did not come to that write. */
static bool update_cut(unsigned int n, unsigned int bytes)
{
	char fault[32];
	struct bench b;
	uint32_t version;
	bool done;

	flash_with_v1();
	snprintf(fault, sizeof(fault), "flash-cut@%u:%u", n, bytes);
	power_on(&b, fault);
	assert_true(enable(&b));
	done = install(&b, 1, V2);
	if (done)
		bench_close(&b);
	else
		server_died(&b);
	power_on(&b, NULL);
	version = BENCH_REG(&b, FIRMWARE_VERSION);
	assert_true(version == V1 || version == V2);
	assert_true(!done || version == V2);
	assert_true(enable(&b));
	bench_close(&b);
	return done;
}

static void test_cut_update(void **state)
{
	unsigned int n = 1;

	(void)state;
	while (!update_cut(n, n * 37 % PIECE))
		assert_true(n++ < MOST_WRITES);
	/* Two pieces of the image, its commit, its activation */
	assert_int_equal(n, 5);
}

/*
 * Likewise when V2 starts for the first time: a try was taken, in write 1, which the power-on does before a client can
 * look; write 2 is to confirm the slot.
 */
static void test_cut_first_start(void **state)
{
	struct bench b;

	(void)state;
	flash_with_v1();
	power_on(&b, NULL);
	assert_true(enable(&b));
	assert_true(install(&b, 1, V2));
	bench_close(&b);
	power_on(&b, "flash-cut@2:50");
	assert_false(enable(&b));
	server_died(&b);
	power_on(&b, NULL);
	assert_int_equal(BENCH_REG(&b, FIRMWARE_VERSION), V2);
	assert_true(enable(&b));
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_survives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_update, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cut_first_start, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
