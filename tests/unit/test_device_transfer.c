// SPDX-License-Identifier: MIT
/*
 * COPY and FILL: every direction, scatter lists, digests, every refusal, with and without direct mappings.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/sha.h>

#include "mount.h"

#define RW (AIPU_ACCESS_READ | AIPU_ACCESS_WRITE)
#define HOST_BYTES (4u << 20)
#define DEVICE_BYTES (16u << 20)

enum { HOST_A, HOST_B, DEVICE, DEVICE_B, READ_ONLY, WRITE_ONLY, LIST };

struct rig {
	struct mount *mount;
	struct mount_queue *queue;
	uint64_t host_a, host_b, list;
	uint8_t *device;
	uint16_t id;
};

/* HOST_B is 1,024 extents in reverse order: its byte n lies elsewhere than host_b + n */
#define PIECES 1024u

static uint8_t *at_b(struct rig *rig, uint64_t offset)
{
	uint64_t piece = HOST_BYTES / PIECES;

	return mount_pointer(rig->mount,
			     rig->host_b + (PIECES - 1 - offset / piece) * piece + offset % piece);
}

static void rig_init(struct rig *rig, bool map, bool uma)
{
	struct mount_options options = { .map = map, .config = { .uma = uma } };

	memset(rig, 0, sizeof(*rig));
	rig->mount = mount_ready(&options);
	rig->device = aipu_dm_memory(rig->mount->dm, NULL, NULL);
	rig->host_a = mount_alloc(rig->mount, HOST_BYTES);
	rig->host_b = mount_alloc(rig->mount, HOST_BYTES);
	rig->list = mount_alloc(rig->mount, 65536);
	assert_int_equal(mount_create_context(rig->mount, 1), AIPU_STATUS_OK);
	assert_int_equal(mount_bind_host(rig->mount, 1, HOST_A, rig->host_a, HOST_BYTES, RW, 1), 0);
	assert_int_equal(
		mount_bind_host(rig->mount, 1, HOST_B, rig->host_b, HOST_BYTES, RW, PIECES), 0);
	assert_int_equal(mount_bind_device(rig->mount, 1, DEVICE, 0, DEVICE_BYTES, RW), 0);
	assert_int_equal(mount_bind_device(rig->mount, 1, DEVICE_B, DEVICE_BYTES, DEVICE_BYTES, RW),
			 0);
	assert_int_equal(mount_bind_device(rig->mount, 1, READ_ONLY, 0, 4096, AIPU_ACCESS_READ), 0);
	assert_int_equal(mount_bind_device(rig->mount, 1, WRITE_ONLY, 0, 4096, AIPU_ACCESS_WRITE),
			 0);
	assert_int_equal(mount_bind_host(rig->mount, 1, LIST, rig->list, 65536, RW, 1), 0);
	rig->queue = mount_create_queue(rig->mount, 1, 3, 8, 2);
}

static void rig_free(struct rig *rig)
{
	mount_destroy(rig->mount);
	free(rig->queue);
}

static unsigned int run(struct rig *rig, struct aipu_job *job, uint32_t *detail)
{
	struct aipu_completion completion;

	job->id = rig->id++;
	completion = mount_job(rig->queue, job);
	assert_int_equal(completion.id, job->id);
	if (detail)
		*detail = completion.detail;
	return completion.status;
}

static unsigned int copy(struct rig *rig, uint32_t src, uint64_t src_offset, uint32_t dst,
			 uint64_t dst_offset, uint64_t length, uint32_t *detail)
{
	struct aipu_job job = { .opcode = AIPU_JOB_COPY,
				.copy = { .src_segment = src,
					  .dst_segment = dst,
					  .src_offset = src_offset,
					  .dst_offset = dst_offset,
					  .length = length } };

	return run(rig, &job, detail);
}

static unsigned int fill(struct rig *rig, uint32_t segment, uint64_t offset, uint64_t length,
			 uint32_t pattern, uint32_t *detail)
{
	struct aipu_job job = { .opcode = AIPU_JOB_FILL,
				.fill = { .segment = segment,
					  .pattern = pattern,
					  .offset = offset,
					  .length = length } };

	return run(rig, &job, detail);
}

static void copies(bool map, bool uma)
{
	struct rig rig;
	uint8_t *a;

	rig_init(&rig, map, uma);
	a = mount_pointer(rig.mount, rig.host_a);
	for (size_t i = 0; i < HOST_BYTES; i++)
		a[i] = (uint8_t)(i * 31 + i / 251);
	/* host → device, over a slice's border, at odd places */
	assert_int_equal(copy(&rig, HOST_A, 3, DEVICE, 4000001, 4000003, NULL), AIPU_STATUS_OK);
	assert_memory_equal(rig.device + 4000001, a + 3, 4000003);
	assert_int_equal(rig.device[4000000], 0);
	assert_int_equal(rig.device[8000004], 0);
	/* device → device */
	assert_int_equal(copy(&rig, DEVICE, 4000001, DEVICE_B, 7, 4000003, NULL), AIPU_STATUS_OK);
	assert_memory_equal(rig.device + DEVICE_BYTES + 7, a + 3, 4000003);
	/* device → host in pieces */
	assert_int_equal(copy(&rig, DEVICE_B, 7, HOST_B, 5, 4000003, NULL), AIPU_STATUS_OK);
	for (size_t i = 0; i < 4000003; i += 997)
		assert_int_equal(*at_b(&rig, 5 + i), a[3 + i]);
	/* host → host */
	memset(a, 0, HOST_BYTES);
	assert_int_equal(copy(&rig, HOST_B, 5, HOST_A, 100000, 1000000, NULL), AIPU_STATUS_OK);
	for (size_t i = 0; i < 1000000; i += 97)
		assert_int_equal(a[100000 + i], *at_b(&rig, 5 + i));
	assert_int_equal(a[99999], 0);
	assert_int_equal(a[1100000], 0);
	/* JOB-3: nothing at all is no copy */
	assert_int_equal(copy(&rig, DEVICE, DEVICE_BYTES, HOST_A, 0, 0, NULL),
			 AIPU_STATUS_INVALID_FIELD);
	/* Overlap must be safe; up to one slice it is a move */
	for (size_t i = 0; i < 1000; i++)
		rig.device[i] = (uint8_t)i;
	assert_int_equal(copy(&rig, DEVICE, 0, DEVICE, 3, 997, NULL), AIPU_STATUS_OK);
	for (size_t i = 0; i < 997; i++)
		assert_int_equal(rig.device[3 + i], (uint8_t)i);
	rig_free(&rig);
}

/* [JOB-3] */
static void copies_every_direction(void **state)
{
	(void)state;
	copies(false, false);
	copies(true, false);
	copies(true, true);
}

/* [JOB-6] */
static void fills(void **state)
{
	struct rig rig;
	uint32_t detail;

	(void)state;
	rig_init(&rig, false, false);
	assert_int_equal(fill(&rig, DEVICE, 1, 9000002, 0x04030201, NULL), AIPU_STATUS_OK);
	assert_int_equal(rig.device[0], 0);
	for (size_t i = 0; i < 9000002; i++)
		if (rig.device[1 + i] != i % 4 + 1)
			fail_msg("byte %zu", i);
	assert_int_equal(rig.device[9000003], 0);
	assert_int_equal(fill(&rig, DEVICE, 1, 0, 5, &detail), AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, offsetof(struct aipu_job, fill.length));
	assert_int_equal(fill(&rig, HOST_B, 4090, 10, 0x04030201, NULL), AIPU_STATUS_OK);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(*at_b(&rig, 4090 + i), i % 4 + 1);
	assert_int_equal(*at_b(&rig, 4100), 0);
	assert_int_equal(*at_b(&rig, 4089), 0);
	rig_free(&rig);
}

#define AT(name) offsetof(struct aipu_job, name)

/* [SEG-4] */
static void refuses_bad_ranges(void **state)
{
	struct rig rig;
	uint32_t detail;

	(void)state;
	rig_init(&rig, false, false);
	assert_int_equal(copy(&rig, 200, 0, DEVICE, 0, 1, &detail), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(detail, AT(copy.src_segment));
	assert_int_equal(copy(&rig, DEVICE, 0, UINT32_MAX, 0, 1, &detail),
			 AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(detail, AT(copy.dst_segment));
	assert_int_equal(copy(&rig, DEVICE, DEVICE_BYTES, HOST_A, 0, 1, &detail),
			 AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(detail, AT(copy.src_segment));
	assert_int_equal(copy(&rig, DEVICE, UINT64_MAX, HOST_A, 0, 2, NULL),
			 AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(copy(&rig, DEVICE, 1, HOST_A, 0, UINT64_MAX, NULL),
			 AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(copy(&rig, DEVICE, 0, HOST_A, HOST_BYTES - 1, 2, NULL),
			 AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(copy(&rig, WRITE_ONLY, 0, HOST_A, 0, 1, NULL), AIPU_STATUS_ACCESS_DENIED);
	assert_int_equal(copy(&rig, HOST_A, 0, READ_ONLY, 0, 1, NULL), AIPU_STATUS_ACCESS_DENIED);
	assert_int_equal(fill(&rig, READ_ONLY, 0, 1, 0, &detail), AIPU_STATUS_ACCESS_DENIED);
	assert_int_equal(fill(&rig, DEVICE, 1, DEVICE_BYTES, 0, NULL), AIPU_STATUS_OUT_OF_RANGE);
	rig_free(&rig);
}

/* [JOB-1] */
static void refuses_bad_fields(void **state)
{
	static const struct {
		size_t offset;
		uint8_t opcode;
		uint8_t status;
	} bytes[] = {
		{ AT(opcode), 5, AIPU_STATUS_INVALID_OPCODE },
		{ AT(opcode), 0x80, AIPU_STATUS_INVALID_OPCODE },
		{ AT(flags), AIPU_JOB_NOP, AIPU_STATUS_INVALID_FIELD },
		{ AT(body), AIPU_JOB_NOP, AIPU_STATUS_INVALID_FIELD },
		{ AT(reserved), AIPU_JOB_NOP, AIPU_STATUS_INVALID_FIELD },
		{ AT(reserved), AIPU_JOB_COPY, AIPU_STATUS_INVALID_FIELD },
		{ AT(copy.reserved), AIPU_JOB_COPY, AIPU_STATUS_INVALID_FIELD },
		{ AT(copy.flags), AIPU_JOB_COPY, AIPU_STATUS_INVALID_FIELD },
		{ AT(fill.reserved) + 8, AIPU_JOB_FILL, AIPU_STATUS_INVALID_FIELD },
	};
	struct rig rig;
	uint32_t detail;

	(void)state;
	rig_init(&rig, false, false);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		struct aipu_job job = { .opcode = bytes[i].opcode };

		if (bytes[i].offset)
			((uint8_t *)&job)[bytes[i].offset] = 1;
		assert_int_equal(run(&rig, &job, &detail), bytes[i].status);
		assert_int_equal(detail, bytes[i].offset);
	}
	rig_free(&rig);
}

static struct aipu_copy_entry *list_of(struct rig *rig)
{
	return mount_pointer(rig->mount, rig->list);
}

static unsigned int run_list(struct rig *rig, uint32_t count, uint32_t flags, uint64_t offset,
			     uint32_t *detail)
{
	struct aipu_job job = { .opcode = AIPU_JOB_COPY,
				.copy = { .src_segment = LIST,
					  .src_offset = offset,
					  .list_count = count,
					  .flags = flags } };

	return run(rig, &job, detail);
}

/* [JOB-4] */
static void scatter_lists(void **state)
{
	struct rig rig;
	struct aipu_copy_entry *list;
	uint32_t detail;
	uint8_t *a;

	(void)state;
	rig_init(&rig, true, false);
	a = mount_pointer(rig.mount, rig.host_a);
	list = list_of(&rig);
	for (size_t i = 0; i < HOST_BYTES; i++)
		a[i] = (uint8_t)(i ^ i >> 8);
	for (uint32_t i = 0; i < 1000; i++)
		list[i] = (struct aipu_copy_entry){ .src_segment = HOST_A,
						    .dst_segment = DEVICE,
						    .src_offset = i * 4001,
						    .dst_offset = (999 - i) * 5000,
						    .length = 4001 };
	assert_int_equal(run_list(&rig, 1000, 0, 0, NULL), AIPU_STATUS_OK);
	for (uint32_t i = 0; i < 1000; i++)
		assert_memory_equal(rig.device + (999 - i) * 5000, a + i * 4001, 4001);
	/* A bad piece ends the job, and nothing was moved */
	memset(rig.device, 0, 5000000);
	list[2].src_segment = 99;
	assert_int_equal(run_list(&rig, 1000, 0, 0, &detail), AIPU_STATUS_INVALID_SEGMENT);
	assert_int_equal(detail, 2);
	for (uint32_t i = 0; i < 5000000; i++)
		assert_int_equal(rig.device[i], 0);
	list[2].src_segment = HOST_A;
	list[3].length = 0;
	assert_int_equal(run_list(&rig, 1000, 0, 0, &detail), AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, 3);
	list[3].length = 4001;
	list[1].digest[5] = 1;
	assert_int_equal(run_list(&rig, 4, 0, 0, &detail), AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, 1);
	assert_int_equal(run_list(&rig, 1, 0, 4, &detail), AIPU_STATUS_ALIGNMENT);
	assert_int_equal(run_list(&rig, AIPU_COPY_MAX_LIST + 1, 0, 0, &detail),
			 AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, AT(copy.list_count));
	assert_int_equal(run_list(&rig, 2, 0, 65536 - 64, &detail), AIPU_STATUS_OUT_OF_RANGE);
	assert_int_equal(run_list(&rig, 2, 2, 0, &detail), AIPU_STATUS_INVALID_FIELD);
	rig_free(&rig);
}

/* [JOB-5] */
static void verified_copies(void **state)
{
	struct rig rig;
	struct aipu_copy_entry *list;
	uint32_t detail;
	uint8_t *a;

	(void)state;
	rig_init(&rig, true, false);
	a = mount_pointer(rig.mount, rig.host_a);
	list = list_of(&rig);
	for (size_t i = 0; i < HOST_BYTES; i++)
		a[i] = (uint8_t)(i * 7 ^ i >> 9);
	for (uint32_t i = 0; i < 3; i++) {
		list[i] = (struct aipu_copy_entry){ .src_segment = HOST_A,
						    .dst_segment = i == 1 ? HOST_B : DEVICE,
						    .src_offset = i * 1000003,
						    .dst_offset = i * 1100000,
						    .length = 1000003 };
		SHA256(a + i * 1000003, 1000003, list[i].digest);
	}
	assert_int_equal(run_list(&rig, 3, AIPU_COPY_VERIFY, 0, NULL), AIPU_STATUS_OK);
	assert_memory_equal(rig.device, a, 1000003);
	assert_int_equal(*at_b(&rig, 1100000 + 1000002), a[2000005]);
	a[2500000] ^= 1;
	assert_int_equal(run_list(&rig, 3, AIPU_COPY_VERIFY, 0, &detail),
			 AIPU_STATUS_DIGEST_MISMATCH);
	assert_int_equal(detail, 2);
	/* There is no list whose entries could hold digests */
	assert_int_equal(run_list(&rig, 0, AIPU_COPY_VERIFY, 0, &detail),
			 AIPU_STATUS_INVALID_FIELD);
	assert_int_equal(detail, AT(copy.flags));
	rig_free(&rig);
}

static void dma_faults_end_the_job(void **state)
{
	struct rig rig;

	(void)state;
	for (int map = 0; map < 2; map++) {
		rig_init(&rig, map, false);
		atomic_store(&rig.mount->hole, rig.host_a + 2000000);
		atomic_store(&rig.mount->hole_bytes, 1);
		assert_int_equal(copy(&rig, HOST_A, 0, DEVICE, 0, 3000000, NULL),
				 AIPU_STATUS_DMA_ERROR);
		assert_int_equal(copy(&rig, DEVICE, 0, HOST_A, 0, 3000000, NULL),
				 AIPU_STATUS_DMA_ERROR);
		assert_int_equal(fill(&rig, HOST_A, 0, 3000000, 1, NULL), AIPU_STATUS_DMA_ERROR);
		assert_int_equal(copy(&rig, HOST_A, 0, DEVICE, 0, 1000000, NULL), AIPU_STATUS_OK);
		rig_free(&rig);
	}
}

/* [SEG-8] */
static void lost_data_is_told(void **state)
{
	struct rig rig;

	(void)state;
	rig_init(&rig, true, false);
	rig.mount->lost_from = rig.host_a;
	assert_int_equal(copy(&rig, HOST_A, 0, DEVICE, 0, 1000, NULL), AIPU_STATUS_OK);
	rig.mount->lost_flag = true;
	assert_int_equal(copy(&rig, HOST_A, 0, DEVICE, 0, 1000, NULL), AIPU_STATUS_DATA_LOST);
	rig.mount->lost_from = 0;
	assert_int_equal(copy(&rig, HOST_A, 0, DEVICE, 0, 1000, NULL), AIPU_STATUS_OK);
	rig_free(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copies_every_direction), cmocka_unit_test(fills),
		cmocka_unit_test(refuses_bad_ranges),	  cmocka_unit_test(refuses_bad_fields),
		cmocka_unit_test(scatter_lists),	  cmocka_unit_test(verified_copies),
		cmocka_unit_test(dma_faults_end_the_job), cmocka_unit_test(lost_data_is_told),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
