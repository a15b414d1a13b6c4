// SPDX-License-Identifier: MIT
/*
 * Stops while work is under way: after disable, reset, function-level reset and bus master off are acknowledged,
 * no byte of host memory changes any more. And the cores, whose pool stands still in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model.h"
#include "mount.h"

#define RW (AIPU_ACCESS_READ | AIPU_ACCESS_WRITE)
#define BYTES (8u << 20)

enum stop { DISABLE, RESET, FUNCTION_RESET, BUS_MASTER, STOPS };

static void stop_device(struct mount *mount, enum stop how)
{
	switch (how) {
	case DISABLE:
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
		assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
		break;
	case RESET:
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
		break;
	case FUNCTION_RESET:
		aipu_dm_reset(mount->dm);
		assert_int_equal(mount_state(mount), AIPU_STATE_ROM);
		break;
	default:
		aipu_dm_bus_master(mount->dm, false);
	}
}

/* Copies back and forth, several queued, and stops in the middle */
static void stop_in_the_middle(enum stop how, bool map, unsigned int after_us)
{
	struct mount_options options = { .map = map };
	struct mount *mount = mount_ready(&options);
	uint64_t source = mount_alloc(mount, BYTES), target = mount_alloc(mount, BYTES);
	struct mount_queue *queue;
	uint8_t *before, *now;

	assert_int_equal(mount_create_context(mount, 1), 0);
	assert_int_equal(mount_bind_host(mount, 1, 0, source, BYTES, RW, 2048), 0);
	assert_int_equal(mount_bind_host(mount, 1, 1, target, BYTES, RW, 2048), 0);
	queue = mount_create_queue(mount, 1, 1, 8, 1);
	memset(mount_pointer(mount, source), 0x5a, BYTES);
	atomic_store(&mount->slow_us, 20);
	for (uint16_t i = 0; i < 7; i++) {
		struct aipu_job job = {
			.opcode = AIPU_JOB_COPY,
			.id = i,
			.copy = { .src_segment = i % 2, .dst_segment = 1 - i % 2, .length = BYTES }
		};

		mount_put(queue, &job);
	}
	mount_ring(queue);
	usleep(after_us);
	stop_device(mount, how);
	atomic_store(&mount->closed, true);
	now = mount_pointer(mount, MOUNT_BASE);
	before = malloc(mount->bytes);
	memcpy(before, now, mount->bytes);
	usleep(2000);
	assert_memory_equal(before, now, mount->bytes);
	assert_int_equal(atomic_load(&mount->late), 0);
	if (how != BUS_MASTER) {
		assert_int_equal(atomic_load(&mount->maps), 0);
		assert_true(mount_wait_idle(mount));
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_RESET_COUNT), how != DISABLE);
	}
	free(before);
	free(queue);
	mount_destroy(mount);
}

/* [RST-3] [RST-5] */
static void no_dma_after_a_stop(void **state)
{
	(void)state;
	for (enum stop how = 0; how < STOPS; how++)
		for (unsigned int i = 0; i < 6; i++)
			stop_in_the_middle(how, i % 2, i * 900);
}

/* [RST-3] [RST-5] */
static void a_stop_waits_for_the_access_in_flight(void **state)
{
	(void)state;
	for (enum stop how = 0; how < STOPS; how++) {
		struct mount *mount = mount_ready(NULL);
		uint64_t source = mount_alloc(mount, BYTES);
		struct aipu_job job = { .opcode = AIPU_JOB_FILL, .fill = { .length = BYTES } };
		struct mount_queue *queue;

		assert_int_equal(mount_create_context(mount, 1), 0);
		assert_int_equal(mount_bind_host(mount, 1, 0, source, BYTES, RW, 1), 0);
		queue = mount_create_queue(mount, 1, 1, 4, 1);
		atomic_store(&mount->slow_us, 50000);
		mount_submit(queue, &job);
		while (!atomic_load(&mount->inside))
			usleep(20);
		stop_device(mount, how);
		assert_int_equal(atomic_load(&mount->inside), 0);
		atomic_store(&mount->slow_us, 0);
		free(queue);
		mount_destroy(mount);
	}
}

/* [RST-2] */
static void reset_ends_a_boot(void **state)
{
	struct mount *mount = mount_create(NULL);
	uint32_t bytes = 16u << 20;

	(void)state;
	atomic_store(&mount->slow_us, 5000);
	mount_write64(mount, AIPU_REG_BOOT_ADDRESS_LO, mount_alloc(mount, bytes));
	struct aipu_firmware_header *header = mount_pointer(mount, MOUNT_BASE);

	mount_image(header, "");
	header->payload_bytes = bytes - sizeof(*header);
	aipu_dm_write32(mount->dm, AIPU_REG_BOOT_BYTES, bytes);
	for (int i = 0; i < 4; i++) {
		aipu_dm_write32(mount->dm, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
		assert_int_equal(mount_state(mount), AIPU_STATE_LOADING);
		usleep(4000);
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), 0);
		mount_write64(mount, AIPU_REG_BOOT_ADDRESS_LO, MOUNT_BASE);
		aipu_dm_write32(mount->dm, AIPU_REG_BOOT_BYTES, bytes);
	}
	/* Left alone it finds what is wrong */
	aipu_dm_write32(mount->dm, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
	assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_DIGEST);
	mount_destroy(mount);
}

/* [RST-4] */
static void doorbells_of_before_do_not_ring_after(void **state)
{
	struct mount *mount = mount_ready(NULL);
	struct aipu_completion completion;

	(void)state;
	for (int i = 0; i < 20; i++) {
		struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
					      .context = { .context = 1 } };

		mount_submit(mount->admin, &command);
		aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, 0);
		mount_ring(mount->admin); /* while it is being disabled, and */
		assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
		mount_ring(mount->admin); /* after */
		assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
		/* The first command of the new time finds an empty ring and no context */
		assert_false(mount_peek(mount->admin, &completion));
		assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
		mount->used = 65536; /* rings of the past may be used again */
	}
	mount_destroy(mount);
}

/* [RST-5] */
static void bus_master_off_fails_what_needs_dma(void **state)
{
	struct mount *mount = mount_ready(NULL);
	struct mount_queue *queue;
	struct aipu_job job = { .opcode = AIPU_JOB_NOP };

	(void)state;
	assert_int_equal(mount_create_context(mount, 1), 0);
	queue = mount_create_queue(mount, 1, 1, 4, 0);
	aipu_dm_bus_master(mount->dm, false);
	atomic_store(&mount->closed, true);
	mount_submit(queue, &job);
	/* The queue cannot be read, so it stops; the device stays */
	assert_true(mount_wait_idle(mount));
	assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_QUEUE);
	assert_int_equal(mount_state(mount), AIPU_STATE_READY);
	assert_int_equal(atomic_load(&mount->late), 0);
	atomic_store(&mount->closed, false);
	aipu_dm_bus_master(mount->dm, true);
	assert_int_equal(mount_create_context(mount, 2), AIPU_STATUS_OK);
	free(queue);
	mount_destroy(mount);
}

static void destroy_while_busy(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		struct mount *mount = mount_ready(NULL);
		struct aipu_job job = { .opcode = AIPU_JOB_FILL,
					.fill = { .length = 64u << 20, .pattern = 7 } };
		struct mount_queue *queue;

		assert_int_equal(mount_create_context(mount, 1), 0);
		assert_int_equal(mount_bind_device(mount, 1, 0, 0, 64u << 20, RW), 0);
		queue = mount_create_queue(mount, 1, 1, 4, 0);
		mount_submit(queue, &job);
		usleep((unsigned int)i * 500);
		mount_destroy(mount);
		free(queue);
	}
}

/* --- cores ------------------------------------------------------------------------------------------ */

struct rounds {
	struct dm_cores *cores;
	unsigned int sums[8]; /* one per core, read by all after the barrier */
	atomic_uint wrong, ran;
};

static void play_rounds(void *arg, unsigned int core, unsigned int cores)
{
	struct rounds *rounds = arg;

	for (unsigned int round = 1; round <= 50; round++) {
		rounds->sums[core] = round * (core + 1);
		dm_cores_barrier(rounds->cores, core);
		for (unsigned int i = 0; i < cores; i++)
			if (rounds->sums[i] != round * (i + 1))
				atomic_fetch_add(&rounds->wrong, 1);
		dm_cores_barrier(rounds->cores, core);
	}
	atomic_fetch_add(&rounds->ran, 1);
}

static void cores_meet_at_barriers(void **state)
{
	(void)state;
	for (unsigned int count = 1; count <= 8; count++) {
		struct rounds rounds = { 0 };

		assert_int_equal(dm_cores_create(count, &rounds.cores), 0);
		assert_int_equal(dm_cores_count(rounds.cores), count);
		for (int i = 0; i < 10; i++)
			dm_cores_run(rounds.cores, play_rounds, &rounds);
		assert_int_equal(atomic_load(&rounds.ran), 10 * count);
		assert_int_equal(atomic_load(&rounds.wrong), 0);
		usleep(1000); /* all sleep now */
		dm_cores_run(rounds.cores, play_rounds, &rounds);
		assert_int_equal(atomic_load(&rounds.ran), 11 * count);
		dm_cores_destroy(rounds.cores);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_dma_after_a_stop),
		cmocka_unit_test(a_stop_waits_for_the_access_in_flight),
		cmocka_unit_test(reset_ends_a_boot),
		cmocka_unit_test(doorbells_of_before_do_not_ring_after),
		cmocka_unit_test(bus_master_off_fails_what_needs_dma),
		cmocka_unit_test(destroy_while_busy),
		cmocka_unit_test(cores_meet_at_barriers),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
