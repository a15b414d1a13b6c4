// SPDX-License-Identifier: MIT
/*
 * Buffers and bindings, on the software device or a card of 64 MiB: every kind, every bad argument, device memory to its last
 * page, the bus.
 */
#include <sys/mman.h>

#include "libaipu_test.h"
#include "soft/soft.h"

#define PAGE 4096u

static void host_buffers(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer;

	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 1, &buffer), 0);
	assert_int_equal(aipu_buffer_bytes(buffer), 1);
	assert_int_equal((uintptr_t)aipu_buffer_data(buffer) % PAGE, 0);
	assert_int_equal(*(unsigned char *)aipu_buffer_data(buffer), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_buffer_create(NULL, AIPU_BUFFER_HOST, 1, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 1, NULL), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 0, &buffer), -EINVAL);
	assert_null(buffer);
	assert_int_equal(aipu_buffer_create(bench->device, 0, 1, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, 3, 1, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, UINT64_MAX, &buffer),
			 -ENOMEM);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_HOST, 1ull << 48, &buffer),
			 -ENOMEM);
	assert_int_equal(aipu_buffer_destroy(NULL), 0);
	assert_null(aipu_buffer_data(NULL));
	assert_int_equal(aipu_buffer_bytes(NULL), 0);
}

/* A label changes nothing that the caller sees; what is not known is refused */
static void labels(void **state)
{
	static const enum aipu_buffer_kind kinds[] = { AIPU_BUFFER_HOST, AIPU_BUFFER_DEVICE };
	const struct aipu_buffer_options label = { .flags = AIPU_BUFFER_KV };
	const struct aipu_buffer_options bad[] = { { .flags = 2 },
						   { .flags = AIPU_BUFFER_KV | 1u << 31 },
						   { .pad = 1 },
						   { .reserved = { 0, 0, 1 } } };
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer;

	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(
			aipu_buffer_create_with(bench->device, kinds[i], PAGE, &label, &buffer), 0);
		assert_int_equal(aipu_buffer_bytes(buffer), PAGE);
		assert_int_equal(aipu_buffer_destroy(buffer), 0);
		for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++) {
			buffer = (struct aipu_buffer *)&label;
			assert_int_equal(aipu_buffer_create_with(bench->device, kinds[i], PAGE,
								 &bad[j], &buffer),
					 -EINVAL);
			assert_null(buffer);
		}
	}
	assert_int_equal(
		aipu_buffer_create_with(bench->device, AIPU_BUFFER_HOST, PAGE, NULL, &buffer), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_buffer_create_with(NULL, AIPU_BUFFER_HOST, PAGE, &label, &buffer),
			 -EINVAL);
	assert_int_equal(aipu_buffer_create_with(bench->device, AIPU_BUFFER_HOST, PAGE, &label,
						 NULL),
			 -EINVAL);
	assert_int_equal(aipu_buffer_create_with(bench->device, 0, PAGE, &label, &buffer), -EINVAL);
}

static void bindings_are_checked(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffer = test_buffer(bench->device, 3 * PAGE + 5);
	struct aipu_context *context = bench->context;
	struct aipu_device_info info;
	int segment, *segments;
	unsigned int count = 0;

	assert_int_equal(aipu_segment_bind(NULL, buffer, 0, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, NULL, 0, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 0, 0, 0), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 0, 0, 4), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 64, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 4 * PAGE, 0, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, 0, 3 * PAGE + 6, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_bind(context, buffer, PAGE, UINT64_MAX, AIPU_READ), -EINVAL);
	assert_int_equal(aipu_segment_unbind(context, -1), -EINVAL);
	assert_int_equal(aipu_segment_unbind(NULL, 0), -EINVAL);
	assert_int_equal(aipu_segment_unbind(context, 0), -ENOENT);
	/* Length 0 is to the end, exactly */
	segment = aipu_segment_bind(context, buffer, 3 * PAGE, 0, AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(test_fill(bench->queue, segment, 0, 5, 0x41414141), AIPU_STATUS_OK);
	assert_int_equal(test_fill(bench->queue, segment, 0, 6, 0), AIPU_STATUS_OUT_OF_RANGE);
	assert_memory_equal((char *)aipu_buffer_data(buffer) + 3 * PAGE, "AAAAA", 5);
	assert_int_equal(aipu_buffer_destroy(buffer), -EBUSY);
	assert_int_equal(aipu_segment_unbind(context, segment), 0);
	assert_int_equal(aipu_segment_unbind(context, segment), -ENOENT);
	/* All ids of a context, and again */
	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	segments = calloc(info.max_segments, sizeof(*segments));
	for (unsigned int round = 0; round < 2; round++) {
		while ((segment = aipu_segment_bind(context, buffer, 0, PAGE, AIPU_READ)) >= 0)
			segments[count++] = segment;
		assert_int_equal(segment, -ENOSPC);
		assert_int_equal(count, info.max_segments);
		while (count)
			assert_int_equal(aipu_segment_unbind(context, segments[--count]), 0);
	}
	free(segments);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
}

/* Full, freed, and zero again when it is handed out anew */
static void device_memory(void **state)
{
	struct test_bench *bench = *state;
	struct aipu_buffer *buffers[4], *buffer;
	struct aipu_device_info info;
	unsigned char *bytes;
	int segment;

	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 16u << 20,
						    &buffers[i]),
				 0);
	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	assert_int_equal(info.memory_free, 0);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 1, &buffer),
			 -ENOSPC);
	assert_null(buffer);
	segment = aipu_segment_bind(bench->context, buffers[2], 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(test_fill(bench->queue, segment, 0, 16u << 20, 0xdeadbeef),
			 AIPU_STATUS_OK);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffers[2]), 0);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, 17u << 20, &buffer),
			 -ENOSPC);
	assert_int_equal(aipu_buffer_create(bench->device, AIPU_BUFFER_DEVICE, (8u << 20) - 100,
					    &buffers[2]),
			 0);
	/* The whole buffer, and the rest of its last 64 bytes, are zero */
	segment = aipu_segment_bind(bench->context, buffers[2], 0, 0, AIPU_READ);
	assert_true(segment >= 0);
	buffer = test_buffer(bench->device, 8u << 20);
	memset(aipu_buffer_data(buffer), 0xff, 8u << 20);
	{
		int to = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_WRITE);

		assert_true(to >= 0);
		assert_int_equal(test_copy(bench->queue, to, 0, segment, 0, (8u << 20) - 128),
				 AIPU_STATUS_OK);
		assert_int_equal(aipu_segment_unbind(bench->context, to), 0);
	}
	bytes = aipu_buffer_data(buffer);
	for (unsigned int i = 0; i < (8u << 20) - 128; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(aipu_buffer_destroy(buffers[i]), 0);
	assert_int_equal(aipu_device_query(bench->device, &info), 0);
	assert_int_equal(info.memory_free, info.memory_bytes);
}

static void imported_memory(void **state)
{
	struct test_bench *bench = *state;
	unsigned char *memory =
		mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct aipu_buffer *buffer;
	int segment;

	assert_ptr_not_equal(memory, MAP_FAILED);
	assert_int_equal(aipu_buffer_import(NULL, memory, PAGE, AIPU_READ, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, NULL, PAGE, AIPU_READ, &buffer),
			 -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory + 8, PAGE, AIPU_READ, &buffer),
			 -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, 0, AIPU_READ, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, UINT64_MAX, AIPU_READ, &buffer),
			 -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, 0, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, 8, &buffer), -EINVAL);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, AIPU_READ, NULL), -EINVAL);
	/* A hole in it */
	munmap(memory + 2 * PAGE, PAGE);
	assert_int_equal(aipu_buffer_import(bench->device, memory, 3 * PAGE, AIPU_READ, &buffer),
			 -EFAULT);
	assert_null(buffer);
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE + 9, AIPU_READ | AIPU_WRITE,
					    &buffer),
			 0);
	assert_ptr_equal(aipu_buffer_data(buffer), memory);
	segment = aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(segment >= 0);
	assert_int_equal(test_fill(bench->queue, segment, 0, PAGE + 9, 0x61616161), AIPU_STATUS_OK);
	assert_memory_equal(memory + PAGE, "aaaaaaaaa", 10); /* and a zero */
	assert_int_equal(aipu_segment_unbind(bench->context, segment), 0);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	/* Still the caller's */
	assert_int_equal(memory[0], 'a');
	assert_int_equal(aipu_buffer_import(bench->device, memory, PAGE, AIPU_READ, &buffer), 0);
	assert_int_equal(aipu_segment_bind(bench->context, buffer, 0, 0, AIPU_WRITE), -EACCES);
	assert_int_equal(aipu_buffer_destroy(buffer), 0);
	munmap(memory, 2 * PAGE);
}

/* --- inner parts ------------------------------------------------------------------------------------ */

static void dma_reaches_regions_only(void **state)
{
	struct soft_region *rw, *ro;
	const volatile bool *lost;
	static unsigned char memory[64];
	unsigned char byte = 7;
	uint64_t word = 0x1122334455667788, back = 0;
	struct soft_dma dma;

	(void)state;
	soft_dma_init(&dma);
	assert_int_equal(soft_dma_read(&dma, 0, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_alloc(&dma, 100, &rw), 0);
	assert_int_equal(rw->bytes, PAGE);
	assert_int_equal(soft_dma_add(&dma, memory, 63, false, &ro), 0);
	assert_int_equal(soft_dma_write(&dma, rw->address + 8, &word, 8), 0);
	assert_int_equal(soft_dma_read(&dma, rw->address + 8, &back, 8), 0);
	assert_true(back == word);
	assert_int_equal(soft_dma_write(&dma, rw->address + PAGE - 1, &byte, 1), 0);
	assert_int_equal(soft_dma_write(&dma, rw->address + PAGE, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_write(&dma, rw->address + PAGE - 1, &word, 2), -EFAULT);
	assert_int_equal(soft_dma_write(&dma, rw->address - 1, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_read(&dma, rw->address + 1, &byte, SIZE_MAX), -EFAULT);
	assert_int_equal(soft_dma_read(&dma, UINT64_MAX, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_read(&dma, ro->address + 62, &byte, 1), 0);
	assert_int_equal(soft_dma_read(&dma, ro->address + 63, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_write(&dma, ro->address, &byte, 1), -EFAULT);
	assert_null(soft_dma_map(&dma, ro->address, 1, true, &lost));
	assert_ptr_equal(soft_dma_map(&dma, ro->address + 1, 62, false, &lost), memory + 1);
	assert_false(*lost);
	assert_null(soft_dma_map(&dma, ro->address + 1, 63, false, NULL));
	/* An address is never used twice */
	word = rw->address;
	soft_dma_free(&dma, rw);
	assert_int_equal(soft_dma_read(&dma, word, &byte, 1), -EFAULT);
	assert_int_equal(soft_dma_alloc(&dma, 100, &rw), 0);
	assert_true(rw->address > word);
	soft_dma_remove(&dma, ro);
	soft_dma_finish(&dma); /* frees rw */
}

/* Never two owners of a byte, never lost bytes, long ones aligned */
static void device_memory_allocator(void **state)
{
	struct {
		uint64_t offset, bytes;
	} taken[64] = { 0 };
	const uint64_t total = 64ull << 20;
	struct soft_memory memory;
	uint32_t seed = 1;
	uint64_t used = 0;

	(void)state;
	assert_int_equal(soft_memory_init(&memory, total + 100), 0);
	for (unsigned int round = 0; round < 20000; round++) {
		unsigned int i;

		seed = seed * 1664525 + 1013904223;
		i = seed >> 26;
		if (taken[i].bytes) {
			soft_memory_give(&memory, taken[i].offset);
			used -= taken[i].bytes;
			taken[i].bytes = 0;
		} else {
			uint64_t bytes = 1 + (seed >> 8) % (seed & 0x80 ? 8u << 20 : 20000), offset;

			if (soft_memory_take(&memory, bytes, &offset))
				continue;
			bytes = soft_page_align(bytes);
			assert_int_equal(offset % (bytes >= 2u << 20 ? 2u << 20 : PAGE), 0);
			assert_true(offset + bytes <= total);
			for (unsigned int n = 0; n < 64; n++)
				assert_true(!taken[n].bytes ||
					    offset >= taken[n].offset + taken[n].bytes ||
					    taken[n].offset >= offset + bytes);
			taken[i].offset = offset;
			taken[i].bytes = bytes;
			used += bytes;
		}
		assert_int_equal(soft_memory_free(&memory), total - used);
	}
	for (unsigned int i = 0; i < 64; i++) {
		if (taken[i].bytes)
			soft_memory_give(&memory, taken[i].offset);
	}
	/* One piece again */
	assert_int_equal(soft_memory_take(&memory, total, &used), 0);
	assert_int_equal(used, 0);
	soft_memory_give(&memory, 12345); /* nobody's */
	assert_int_equal(soft_memory_free(&memory), 0);
	soft_memory_finish(&memory);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_up, bench_down)
	const struct CMUnitTest tests[] = {
		TEST(host_buffers),
		TEST(labels),
		TEST(bindings_are_checked),
		TEST(device_memory),
		TEST(imported_memory),
		cmocka_unit_test(dma_reaches_regions_only),
		cmocka_unit_test(device_memory_allocator),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_memory", tests, NULL, NULL);
}
