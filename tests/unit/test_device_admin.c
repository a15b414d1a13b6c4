// SPDX-License-Identifier: MIT
/*
 * The admin queue: each command done and refused, with the field that a refusal names.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aipu_program.h"
#include "mount.h"

#define RW (AIPU_ACCESS_READ | AIPU_ACCESS_WRITE)
#define AT(name) ((uint32_t)offsetof(struct aipu_admin, name))

static struct mount *mount;

static int setup(void **state)
{
	(void)state;
	mount = mount_ready(NULL);
	assert_int_equal(mount_create_context(mount, 3), AIPU_STATUS_OK);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mount_destroy(mount);
	return 0;
}

static void expect(struct aipu_admin command, unsigned int status, uint32_t detail)
{
	uint32_t got = 0;

	assert_int_equal(mount_admin(mount, &command, &got), status);
	assert_int_equal(got, detail);
}

#define OK(...) expect((struct aipu_admin){ __VA_ARGS__ }, AIPU_STATUS_OK, 0)
#define NOT(status, field, ...) \
	expect((struct aipu_admin){ __VA_ARGS__ }, AIPU_STATUS_##status, AT(field))

/* `good` with one assignment */
#define CHANGED(status, field, good, assignment)                  \
	do {                                                      \
		struct aipu_admin changed = good;                 \
		changed.assignment;                               \
		expect(changed, AIPU_STATUS_##status, AT(field)); \
	} while (0)

/* [ADM-1] */
static void header_fields(void **state)
{
	(void)state;
	NOT(INVALID_OPCODE, opcode, .opcode = 0);
	NOT(INVALID_OPCODE, opcode, .opcode = 0x7f);
	NOT(INVALID_OPCODE, opcode, .opcode = 0x93);
	/* Defined, not offered */
	NOT(UNSUPPORTED, opcode, .opcode = AIPU_ADMIN_FLASH_INFO);
	NOT(UNSUPPORTED, opcode, .opcode = AIPU_ADMIN_FLASH_WRITE);
	NOT(UNSUPPORTED, opcode, .opcode = AIPU_ADMIN_FLASH_READ);
	NOT(UNSUPPORTED, opcode, .opcode = AIPU_ADMIN_FLASH_COMMIT);
	NOT(UNSUPPORTED, opcode, .opcode = AIPU_ADMIN_FLASH_ACTIVATE);
	NOT(INVALID_OPCODE, opcode, .opcode = 0xff);
	NOT(INVALID_FIELD, flags, .opcode = AIPU_ADMIN_IDENTIFY, .flags = 1);
	NOT(INVALID_FIELD, reserved0, .opcode = AIPU_ADMIN_IDENTIFY, .reserved0 = 1);
	NOT(INVALID_FIELD, reserved1, .opcode = AIPU_ADMIN_IDENTIFY, .reserved1 = 1);
}

/* [ADM-2] */
static void identify(void **state)
{
	uint64_t page = mount_alloc(mount, 4096);
	const struct aipu_identify *data = mount_pointer(mount, page);

	(void)state;
	OK(.opcode = AIPU_ADMIN_IDENTIFY, .identify = { .address = page });
	assert_string_equal(data->model, "AIPU software device");
	assert_string_equal(data->firmware, "1.2.3 test");
	assert_int_equal(data->memory_bytes, 64u << 20);
	assert_int_equal(data->cores, 2);
	assert_int_equal(data->capabilities, aipu_dm_read32(mount->dm, AIPU_REG_CAP_LO));
	assert_int_equal(data->operations, aipu_dm_read32(mount->dm, AIPU_REG_CAP_OPS_LO));
	NOT(ALIGNMENT, identify.address, .opcode = AIPU_ADMIN_IDENTIFY,
	    .identify = { .address = page + 8 });
	NOT(DMA_ERROR, identify.address, .opcode = AIPU_ADMIN_IDENTIFY,
	    .identify = { .address = 4096 });
	NOT(INVALID_FIELD, identify.reserved[3], .opcode = AIPU_ADMIN_IDENTIFY,
	    .identify = { .address = page, .reserved = { 0, 0, 0, 1 } });
}

/* [ADM-3] [ADM-4] */
static void contexts(void **state)
{
	(void)state;
#define CREATE .opcode = AIPU_ADMIN_CREATE_CONTEXT
	OK(CREATE, .context = { .context = 1, .weight = 1 });
	OK(CREATE, .context = { .context = 64 });
	NOT(BUSY, context.context, CREATE, .context = { .context = 64 });
	NOT(INVALID_CONTEXT, context.context, CREATE, .context = { .context = 0 });
	NOT(INVALID_CONTEXT, context.context, CREATE, .context = { .context = 65 });
	NOT(INVALID_FIELD, context.priority, CREATE, .context = { .context = 2, .priority = 3 });
	NOT(INVALID_FIELD, context.weight, CREATE, .context = { .context = 2, .weight = 257 });
	NOT(INVALID_FIELD, context.weight, CREATE,
	    .context = { .context = 2, .priority = AIPU_PRIORITY_HIGH, .weight = 257 });
	OK(CREATE, .context = { .context = 5, .priority = AIPU_PRIORITY_HIGH, .weight = 256 });
	OK(CREATE, .context = { .context = 6, .priority = AIPU_PRIORITY_LOW });
	NOT(INVALID_FIELD, context.reserved0, CREATE, .context = { .context = 2, .reserved0 = 1 });
	NOT(INVALID_FIELD, context.reserved[3], CREATE,
	    .context = { .context = 2, .reserved = { 0, 0, 0, 1 } });
	for (unsigned int opcode = AIPU_ADMIN_DESTROY_CONTEXT; opcode <= AIPU_ADMIN_RESET_CONTEXT;
	     opcode++) {
		NOT(INVALID_CONTEXT, context.context, .opcode = (uint8_t)opcode,
		    .context = { .context = 2 });
		NOT(INVALID_CONTEXT, context.context, .opcode = (uint8_t)opcode,
		    .context = { .context = 0 });
		NOT(INVALID_CONTEXT, context.context, .opcode = (uint8_t)opcode,
		    .context = { .context = UINT32_MAX });
		NOT(INVALID_FIELD, context.priority, .opcode = (uint8_t)opcode,
		    .context = { .context = 1, .priority = 1 });
	}
	OK(.opcode = AIPU_ADMIN_RESET_CONTEXT, .context = { .context = 64 });
	OK(.opcode = AIPU_ADMIN_DESTROY_CONTEXT, .context = { .context = 64 });
	OK(CREATE, .context = { .context = 64 });
}

static struct aipu_admin bind_of(uint32_t segment, struct aipu_segment_descriptor descriptor)
{
	return (struct aipu_admin){
		.opcode = AIPU_ADMIN_BIND,
		.bind = { .context = 3, .segment = segment, .descriptor = descriptor }
	};
}

/* [SEG-1] [SEG-2] */
static void bind_checks_the_descriptor(void **state)
{
	const struct aipu_segment_descriptor device = { .kind = AIPU_SEGMENT_DEVICE,
							.access = RW,
							.length = 4096 };
	struct aipu_segment_descriptor bad;
	struct aipu_admin command;

	(void)state;
	expect(bind_of(0, device), AIPU_STATUS_OK, 0);
	expect(bind_of(255, device), AIPU_STATUS_OK, 0);
	expect(bind_of(255, device), AIPU_STATUS_BUSY, AT(bind.segment));
	expect(bind_of(256, device), AIPU_STATUS_INVALID_SEGMENT, AT(bind.segment));
	command = bind_of(1, device);
	command.bind.context = 4;
	expect(command, AIPU_STATUS_INVALID_CONTEXT, AT(bind.context));
#define BAD(field_, value, status)                                                         \
	do {                                                                               \
		bad = device;                                                              \
		bad.field_ = (value);                                                      \
		expect(bind_of(1, bad), AIPU_STATUS_##status, AT(bind.descriptor.field_)); \
	} while (0)
	BAD(kind, 0, INVALID_FIELD);
	BAD(kind, 4, INVALID_FIELD);
	BAD(kind, AIPU_SEGMENT_PEER, UNSUPPORTED);
	BAD(access, 0, INVALID_FIELD);
	BAD(access, 4, INVALID_FIELD);
	BAD(reserved0, 1, INVALID_FIELD);
	BAD(extent_count, 1, INVALID_FIELD);
	BAD(length, 0, INVALID_FIELD);
	BAD(peer, 1, INVALID_FIELD);
	BAD(reserved1, 1, INVALID_FIELD);
	BAD(address, (64u << 20) - 4032, OUT_OF_RANGE);
	BAD(address, UINT64_MAX - 63, OUT_OF_RANGE);
	BAD(address, 32, ALIGNMENT);
	bad = device;
	bad.length = 4000;
	expect(bind_of(1, bad), AIPU_STATUS_ALIGNMENT, AT(bind.descriptor.length));
	bad.length = 65;
	expect(bind_of(1, bad), AIPU_STATUS_ALIGNMENT, AT(bind.descriptor.length));
	bad.length = (64u << 20) + 64;
	expect(bind_of(1, bad), AIPU_STATUS_OUT_OF_RANGE, AT(bind.descriptor.address));
	bad = device;
	bad.kind = AIPU_SEGMENT_HOST;
	expect(bind_of(1, bad), AIPU_STATUS_INVALID_FIELD, AT(bind.descriptor.extent_count));
	bad.extent_count = (1u << 20) + 1;
	expect(bind_of(1, bad), AIPU_STATUS_INVALID_FIELD, AT(bind.descriptor.extent_count));
	/* A refused BIND left nothing behind */
	expect(bind_of(1, device), AIPU_STATUS_OK, 0);
}

/* [SEG-3] */
static void bind_checks_the_extents(void **state)
{
	const uint32_t count = 2 * AIPU_EXTENTS_PER_PAGE + 10;
	uint64_t list = mount_alloc(mount, 3 * 4096);
	struct aipu_extent_page *pages = mount_pointer(mount, list);
	struct aipu_segment_descriptor host = { .kind = AIPU_SEGMENT_HOST,
						.access = RW,
						.extent_count = count,
						.length = count * 8192ull,
						.address = list };
	const uint32_t at = AT(bind.descriptor.address);
	struct aipu_job fill = { .opcode = AIPU_JOB_FILL, .fill = { .segment = 1, .length = 4 } };
	struct mount_queue *queue;

	(void)state;
	for (uint32_t i = 0; i < count; i++)
		pages[i / 255].extents[i % 255] =
			(struct aipu_extent){ .address = MOUNT_BASE + i * 16384ull, .bytes = 8192 };
	pages[0].next = list + 4096;
	pages[1].next = list + 8192;
	expect(bind_of(1, host), AIPU_STATUS_OK, 0);
	assert_int_equal(mount_unbind(mount, 3, 1), AIPU_STATUS_OK);
	host.length--;
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	host.length += 2;
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	host.length--;
	host.address += 8;
	expect(bind_of(1, host), AIPU_STATUS_ALIGNMENT, at);
	host.address -= 8;
	pages[1].next = list + 8200;
	expect(bind_of(1, host), AIPU_STATUS_ALIGNMENT, at);
	pages[1].next = list; /* a loop: the count ends it, the last page's link does not fit */
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	pages[1].next = 0;
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	pages[1].next = 0x1000;
	expect(bind_of(1, host), AIPU_STATUS_DMA_ERROR, at);
	pages[1].next = list + 8192;
	pages[2].reserved = 1;
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	pages[2].reserved = 0;
	pages[2].next = list;
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	pages[2].next = 0;
	pages[2].extents[9].bytes = 0;
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	pages[2].extents[9].bytes = UINT64_MAX;
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	pages[2].extents[9] = (struct aipu_extent){ .address = UINT64_MAX - 100, .bytes = 8192 };
	expect(bind_of(1, host), AIPU_STATUS_INVALID_FIELD, at);
	/* Any alignment; memory that is not there, which only an access finds; slots beyond the count */
	pages[2].extents[9] = (struct aipu_extent){ .address = 3, .bytes = 8192 };
	memset(&pages[2].extents[10], 0xff, sizeof(pages[2].extents[10]));
	expect(bind_of(1, host), AIPU_STATUS_OK, 0);
	queue = mount_create_queue(mount, 3, 1, 4, 1);
	assert_int_equal(mount_job(queue, &fill).status, AIPU_STATUS_OK);
	fill.fill.offset = host.length - 4;
	assert_int_equal(mount_job(queue, &fill).status, AIPU_STATUS_DMA_ERROR);
	free(queue);
}

/* [SEG-3] */
static void later_changes_of_extents_have_no_effect(void **state)
{
	uint64_t a = mount_alloc(mount, 4096), b = mount_alloc(mount, 4096);
	uint64_t list = mount_alloc(mount, 4096);
	struct aipu_extent_page *page = mount_pointer(mount, list);
	struct mount_queue *queue = mount_create_queue(mount, 3, 1, 4, 1);
	struct aipu_segment_descriptor host = { .kind = AIPU_SEGMENT_HOST,
						.access = RW,
						.extent_count = 1,
						.length = 4096,
						.address = list };
	struct aipu_job job = { .opcode = AIPU_JOB_FILL,
				.fill = { .segment = 1, .pattern = 0x11111111, .length = 4096 } };

	(void)state;
	page->extents[0] = (struct aipu_extent){ .address = a, .bytes = 4096 };
	expect(bind_of(1, host), AIPU_STATUS_OK, 0);
	page->extents[0].address = b;
	assert_int_equal(mount_job(queue, &job).status, AIPU_STATUS_OK);
	assert_int_equal(*(uint8_t *)mount_pointer(mount, a), 0x11);
	assert_int_equal(*(uint8_t *)mount_pointer(mount, b), 0);
	free(queue);
}

/* [SEG-5] */
static void unbind(void **state)
{
	(void)state;
	assert_int_equal(mount_bind_device(mount, 3, 9, 0, 4096, RW), AIPU_STATUS_OK);
#define UNBIND .opcode = AIPU_ADMIN_UNBIND
	NOT(INVALID_SEGMENT, unbind.segment, UNBIND, .unbind = { .context = 3, .segment = 8 });
	NOT(INVALID_SEGMENT, unbind.segment, UNBIND, .unbind = { .context = 3, .segment = 256 });
	NOT(INVALID_CONTEXT, unbind.context, UNBIND, .unbind = { .context = 2, .segment = 9 });
	NOT(INVALID_FIELD, unbind.reserved, UNBIND,
	    .unbind = { .context = 3, .segment = 9, .reserved = { 1 } });
	OK(UNBIND, .unbind = { .context = 3, .segment = 9 });
	NOT(INVALID_SEGMENT, unbind.segment, UNBIND, .unbind = { .context = 3, .segment = 9 });
	assert_int_equal(mount_bind_device(mount, 3, 9, 0, 4096, RW), AIPU_STATUS_OK);
}

/* [ADM-6] [ADM-7] [RING-12] */
static void queues(void **state)
{
	uint64_t ring = mount_alloc(mount, 1u << 20);

	(void)state;
	const struct aipu_admin create = { .opcode = AIPU_ADMIN_CREATE_QUEUE,
					   .queue = { .context = 3,
						      .queue = 64,
						      .sq_address = ring,
						      .cq_address = ring + (512u << 10),
						      .entries = 4096,
						      .vector = 63 } };
	CHANGED(INVALID_QUEUE, queue.queue, create, queue.queue = 0);
	CHANGED(INVALID_QUEUE, queue.queue, create, queue.queue = 65);
	CHANGED(INVALID_CONTEXT, queue.context, create, queue.context = 9);
	CHANGED(ALIGNMENT, queue.sq_address, create, queue.sq_address = ring + 64);
	CHANGED(ALIGNMENT, queue.cq_address, create, queue.cq_address = ring + 32);
	CHANGED(ALIGNMENT, queue.sq_address, create, queue.sq_address = 0);
	CHANGED(ALIGNMENT, queue.cq_address, create, queue.cq_address = 0);
	CHANGED(ALIGNMENT, queue.shadow_address, create, queue.shadow_address = ring + 64);
	CHANGED(DMA_ERROR, queue.shadow_address, create, queue.shadow_address = 4096);
	CHANGED(INVALID_FIELD, queue.entries, create, queue.entries = 0);
	CHANGED(INVALID_FIELD, queue.entries, create, queue.entries = 1);
	CHANGED(INVALID_FIELD, queue.entries, create, queue.entries = 6);
	CHANGED(INVALID_FIELD, queue.entries, create, queue.entries = 8192);
	CHANGED(INVALID_FIELD, queue.vector, create, queue.vector = 64);
	CHANGED(INVALID_FIELD, queue.reserved, create, queue.reserved = 1);
	CHANGED(DMA_ERROR, queue.sq_address, create, queue.sq_address = 4096);
	CHANGED(DMA_ERROR, queue.cq_address, create, queue.cq_address = 4096);
	CHANGED(DMA_ERROR, queue.cq_address, create,
		queue.cq_address = MOUNT_BASE + (32u << 20) - 4096);
	expect(create, AIPU_STATUS_OK, 0);
	expect(create, AIPU_STATUS_BUSY, AT(queue.queue));
	const struct aipu_admin destroy = { .opcode = AIPU_ADMIN_DESTROY_QUEUE,
					    .queue = { .context = 3, .queue = 64 } };
	assert_int_equal(mount_create_context(mount, 5), AIPU_STATUS_OK);
	CHANGED(INVALID_QUEUE, queue.queue, destroy, queue.queue = 63);
	CHANGED(INVALID_QUEUE, queue.queue, destroy, queue.queue = 0);
	CHANGED(INVALID_QUEUE, queue.queue, destroy, queue.queue = UINT32_MAX);
	CHANGED(INVALID_QUEUE, queue.queue, destroy, queue.context = 5);
	CHANGED(INVALID_CONTEXT, queue.context, destroy, queue.context = 6);
	CHANGED(INVALID_FIELD, queue.entries, destroy, queue.entries = 2);
	expect(destroy, AIPU_STATUS_OK, 0);
	expect(create, AIPU_STATUS_OK, 0);
	OK(.opcode = AIPU_ADMIN_DESTROY_CONTEXT, .context = { .context = 3 });
	expect(destroy, AIPU_STATUS_INVALID_CONTEXT, AT(queue.context));
	OK(.opcode = AIPU_ADMIN_CREATE_CONTEXT, .context = { .context = 3 });
	expect(create, AIPU_STATUS_OK, 0);
}

/* [PRG-2] [PRG-5] */
static void programs(void **state)
{
	uint64_t image = mount_alloc(mount, 8192);

	(void)state;
	assert_int_equal(mount_bind_host(mount, 3, 0, image, 8192, AIPU_ACCESS_READ, 1), 0);
	assert_int_equal(mount_bind_device(mount, 3, 1, 0, 8192, AIPU_ACCESS_WRITE), 0);
	const struct aipu_admin load = { .opcode = AIPU_ADMIN_LOAD_PROGRAM,
					 .program = { .context = 3, .bytes = 4096 } };
	CHANGED(INVALID_CONTEXT, program.context, load, program.context = 2);
	CHANGED(INVALID_FIELD, program.program, load, program.program = 64);
	CHANGED(INVALID_FIELD, program.bytes, load, program.bytes = 0);
	CHANGED(INVALID_FIELD, program.bytes, load, program.bytes = (16u << 20) + 1);
	CHANGED(ALIGNMENT, program.offset, load, program.offset = 4);
	CHANGED(INVALID_FIELD, program.reserved[2], load, program.reserved[2] = 1);
	CHANGED(INVALID_SEGMENT, program.segment, load, program.segment = 2);
	CHANGED(OUT_OF_RANGE, program.segment, load, program.offset = 8192);
	CHANGED(ACCESS_DENIED, program.segment, load, program.segment = 1);
	/* Zeros are no program: the verifier's answer comes through */
	expect(load, AIPU_STATUS_INVALID_PROGRAM, AIPU_REFUSAL(AIPU_REFUSAL_HEADER, 0));
	const struct aipu_admin unload = { .opcode = AIPU_ADMIN_UNLOAD_PROGRAM,
					   .program = { .context = 3 } };
	expect(unload, AIPU_STATUS_NOT_FOUND, AT(program.program));
	CHANGED(INVALID_FIELD, program.program, unload, program.program = 64);
	CHANGED(INVALID_FIELD, program.bytes, unload, program.bytes = 1);
	CHANGED(INVALID_CONTEXT, program.context, unload, program.context = 1);
}

/* [ADM-8] */
static void aborts_of_nothing(void **state)
{
	struct mount_queue *queue = mount_create_queue(mount, 3, 2, 4, 0);
	struct aipu_job nop = { .opcode = AIPU_JOB_NOP, .id = 7 };

	(void)state;
	const struct aipu_admin abort = { .opcode = AIPU_ADMIN_ABORT,
					  .abort = { .queue = 2, .job = 7 } };
	expect(abort, AIPU_STATUS_NOT_FOUND, AT(abort.job));
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	expect(abort, AIPU_STATUS_NOT_FOUND, AT(abort.job));
	CHANGED(INVALID_QUEUE, abort.queue, abort, abort.queue = 1);
	CHANGED(INVALID_QUEUE, abort.queue, abort, abort.queue = 0);
	CHANGED(INVALID_FIELD, abort.job, abort, abort.job = 0x10007);
	CHANGED(INVALID_FIELD, abort.reserved[4], abort, abort.reserved[4] = 1);
	free(queue);
}

/* [ADM-10] */
static void progress(void **state)
{
	struct mount_queue *queue = mount_create_queue(mount, 3, 2, 4, 0);
	struct aipu_job nop = { .opcode = AIPU_JOB_NOP, .id = 70 };
	uint64_t page = mount_alloc(mount, 4096);
	const struct aipu_progress *data = mount_pointer(mount, page);

	(void)state;
	const struct aipu_admin progress = { .opcode = AIPU_ADMIN_GET_PROGRESS,
					     .progress = { .context = 3, .address = page } };
	expect(progress, AIPU_STATUS_OK, 0);
	assert_int_equal(data->queue, 0);
	assert_int_equal(mount_job(queue, &nop).status, AIPU_STATUS_OK);
	expect(progress, AIPU_STATUS_OK, 0);
	assert_int_equal(data->queue, 2);
	assert_int_equal(data->job, 70);
	assert_int_equal(data->running, 0);
	CHANGED(ALIGNMENT, progress.address, progress, progress.address = page + 4);
	CHANGED(DMA_ERROR, progress.address, progress, progress.address = 8);
	CHANGED(INVALID_CONTEXT, progress.context, progress, progress.context = 1);
	CHANGED(INVALID_FIELD, progress.reserved0, progress, progress.reserved0 = 1);
	free(queue);
}

/* [ADM-9] */
static void events_wait_and_have_a_limit(void **state)
{
	struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	struct aipu_completion completion;
	struct mount_queue *queue = mount_create_queue(mount, 3, 2, 4, 0);

	(void)state;
	event.body[3] = 1;
	assert_int_equal(mount_admin(mount, &event, NULL), AIPU_STATUS_INVALID_FIELD);
	event.body[3] = 0;
	for (uint16_t i = 0; i < 8; i++) {
		event.id = i;
		mount_submit(mount->admin, &event);
	}
	assert_int_equal(mount_admin(mount, &event, NULL), AIPU_STATUS_NO_RESOURCES);
	assert_false(mount_peek(mount->admin, &completion));
	/* A bad doorbell stops that queue and is told to the first who waits */
	aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(2), 4);
	completion = mount_wait(mount->admin);
	assert_int_equal(completion.id, 0);
	assert_int_equal(completion.status, AIPU_STATUS_OK);
	assert_int_equal(completion.detail, AIPU_EVENT_ERROR);
	assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_QUEUE);
	assert_int_equal(mount_state(mount), AIPU_STATE_READY);
	assert_false(mount_peek(mount->admin, &completion));
	/* The others go on; the dead one can be replaced */
	free(queue);
	OK(.opcode = AIPU_ADMIN_DESTROY_QUEUE, .queue = { .context = 3, .queue = 2 });
	queue = mount_create_queue(mount, 3, 2, 4, 0);
	assert_int_equal(mount_job(queue, &(struct aipu_job){ .id = 1 }).status, AIPU_STATUS_OK);
	free(queue);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(header_fields),
		T(identify),
		T(contexts),
		T(bind_checks_the_descriptor),
		T(bind_checks_the_extents),
		T(later_changes_of_extents_have_no_effect),
		T(unbind),
		T(queues),
		T(programs),
		T(aborts_of_nothing),
		T(progress),
		T(events_wait_and_have_a_limit),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
