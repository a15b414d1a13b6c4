// SPDX-License-Identifier: MIT
/*
 * Every job crosses the ring. A recorder sits on the bus between the soft transport and the device model:
 * each entry of the model is wrapped, and so are the host's operations that the model gets. From register
 * writes alone it learns where the rings are, as a bus analyser would, and at each doorbell it reads the
 * new entries through the same DMA as the device. What it saw must be what was submitted, byte for byte,
 * and no other way into the model may have been used.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "aipu/dm.h"
#include "aipu_queue.h"
#include "aipu_registers.h"
#include "internal.h"
#include "libaipu_test.h"

#define MAX_JOBS 256u
#define MAX_QUEUES 65u

/* What the recorder knows; the test drives the device from one thread */
static struct {
	struct aipu_dm_ops ops; /* the transport's own */
	void *host;
	unsigned int creates, destroys, memories, others;
	struct {
		uint64_t sq;
		uint32_t entries, tail;
	} queues[MAX_QUEUES];
	uint32_t admin_low, admin_high, admin_entries;
	struct aipu_job jobs[MAX_JOBS];
	uint32_t job_queue[MAX_JOBS];
	unsigned int job_count, doorbells;
	unsigned int commands[256];
	atomic_uint interrupts;
} record;

/* What the test submitted */
static struct aipu_job expected[MAX_JOBS];
static unsigned int expected_count;

int __real_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm);
void __real_aipu_dm_destroy(struct aipu_dm *dm);
uint32_t __real_aipu_dm_read32(struct aipu_dm *dm, uint32_t offset);
void __real_aipu_dm_write32(struct aipu_dm *dm, uint32_t offset, uint32_t value);
void *__real_aipu_dm_memory(struct aipu_dm *dm, uint64_t *bytes, int *fd);

int __wrap_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm);
void __wrap_aipu_dm_destroy(struct aipu_dm *dm);
uint32_t __wrap_aipu_dm_read32(struct aipu_dm *dm, uint32_t offset);
void __wrap_aipu_dm_write32(struct aipu_dm *dm, uint32_t offset, uint32_t value);
void *__wrap_aipu_dm_memory(struct aipu_dm *dm, uint64_t *bytes, int *fd);
uint32_t __wrap_aipu_dm_bar0_bytes(const struct aipu_dm *dm);
void __wrap_aipu_dm_bus_master(struct aipu_dm *dm, bool on);
void __wrap_aipu_dm_reset(struct aipu_dm *dm);

static void recorded_interrupt(void *host, unsigned int vector)
{
	atomic_fetch_add(&record.interrupts, 1);
	record.ops.interrupt(host, vector);
}

int __wrap_aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops,
			  void *host, struct aipu_dm **dm)
{
	static struct aipu_dm_ops ours;

	record.creates++;
	record.ops = *ops;
	record.host = host;
	ours = *ops;
	ours.interrupt = recorded_interrupt;
	return __real_aipu_dm_create(config, &ours, host, dm);
}

void __wrap_aipu_dm_destroy(struct aipu_dm *dm)
{
	record.destroys++;
	__real_aipu_dm_destroy(dm);
}

uint32_t __wrap_aipu_dm_read32(struct aipu_dm *dm, uint32_t offset)
{
	return __real_aipu_dm_read32(dm, offset);
}

void *__wrap_aipu_dm_memory(struct aipu_dm *dm, uint64_t *bytes, int *fd)
{
	record.memories++;
	return __real_aipu_dm_memory(dm, bytes, fd);
}

/* A driver needs none of these */
uint32_t __wrap_aipu_dm_bar0_bytes(const struct aipu_dm *dm)
{
	(void)dm;
	record.others++;
	return 0;
}

void __wrap_aipu_dm_bus_master(struct aipu_dm *dm, bool on)
{
	(void)dm;
	(void)on;
	record.others++;
}

void __wrap_aipu_dm_reset(struct aipu_dm *dm)
{
	(void)dm;
	record.others++;
}

/* The analyser: an entry that became visible on a ring */
static void admin_seen(const struct aipu_admin *command)
{
	record.commands[command->opcode]++;
	if (command->opcode != AIPU_ADMIN_CREATE_QUEUE || command->queue.queue >= MAX_QUEUES)
		return;
	record.queues[command->queue.queue].sq = command->queue.sq_address;
	record.queues[command->queue.queue].entries = command->queue.entries;
	record.queues[command->queue.queue].tail = 0;
}

static void doorbell_seen(uint32_t queue, uint32_t tail)
{
	union {
		struct aipu_admin admin;
		struct aipu_job job;
	} entry;

	if (queue)
		record.doorbells++;
	while (record.queues[queue].tail != tail) {
		uint64_t address =
			record.queues[queue].sq + record.queues[queue].tail * sizeof(entry);

		assert_int_equal(record.ops.dma_read(record.host, address, &entry, sizeof(entry)),
				 0);
		if (!queue) {
			admin_seen(&entry.admin);
		} else {
			assert_true(record.job_count < MAX_JOBS);
			record.job_queue[record.job_count] = queue;
			record.jobs[record.job_count++] = entry.job;
		}
		record.queues[queue].tail =
			(record.queues[queue].tail + 1) % record.queues[queue].entries;
	}
}

void __wrap_aipu_dm_write32(struct aipu_dm *dm, uint32_t offset, uint32_t value)
{
	if (offset == AIPU_REG_ADMIN_SQ_LO)
		record.admin_low = value;
	if (offset == AIPU_REG_ADMIN_SQ_HI)
		record.admin_high = value;
	if (offset == AIPU_REG_ADMIN_ENTRIES)
		record.admin_entries = value;
	if (offset == AIPU_REG_CONTROL && value == AIPU_CONTROL_ENABLE) {
		record.queues[0].sq = (uint64_t)record.admin_high << 32 | record.admin_low;
		record.queues[0].entries = record.admin_entries;
		record.queues[0].tail = 0;
	}
	if (offset >= AIPU_PAGE_BYTES && offset % AIPU_PAGE_BYTES == AIPU_DOORBELL_SQ_TAIL)
		doorbell_seen(offset / AIPU_PAGE_BYTES - 1, value);
	__real_aipu_dm_write32(dm, offset, value);
}

/* --- the test ------------------------------------------------------------------------------------- */

static struct aipu_job *next_job(struct aipu_queue *queue)
{
	struct aipu_job *job = aipu_queue_get_job(queue, expected_count);

	assert_non_null(job);
	return job;
}

static void remember(const struct aipu_job *job)
{
	expected[expected_count++] = *job;
}

/* Submits what was prepped with one doorbell and waits for it; some jobs are meant to fail */
static void run_all(struct aipu_queue *queue, unsigned int jobs, unsigned int failures)
{
	unsigned int doorbells = record.doorbells, failed = 0;

	assert_int_equal(aipu_queue_submit(queue), jobs);
	assert_int_equal(record.doorbells, doorbells + 1);
	for (unsigned int i = 0; i < jobs; i++) {
		const struct aipu_result *result = test_wait(queue);

		failed += result->status != AIPU_STATUS_OK;
		aipu_queue_seen(queue, result);
	}
	assert_int_equal(failed, failures);
}

static void compare(unsigned int first)
{
	assert_int_equal(record.job_count, first + expected_count);
	for (unsigned int i = 0; i < expected_count; i++) {
		struct aipu_job seen = record.jobs[first + i];

		/* The id is the driver's own */
		seen.id = 0;
		assert_memory_equal(&seen, &expected[i], sizeof(seen));
		assert_int_equal(record.job_queue[first + i], record.job_queue[first]);
	}
}

static void every_job_crosses_the_ring(void **state)
{
	struct aipu_device_options options = { .cores = 2, .memory_bytes = 16u << 20 };
	struct aipu_message message;
	struct aipu_buffer *host, *memory;
	struct aipu_context *context;
	struct aipu_device *device;
	struct aipu_queue *queue;
	unsigned int first;
	int h, d;

	(void)state;
	assert_int_equal(aipu_device_open_transport(&device,
						    aipu_transport_plugin(AIPU_TRANSPORT_VERSION),
						    NULL, &options, &message),
			 0);
	assert_int_equal(record.commands[AIPU_ADMIN_IDENTIFY], 1);
	assert_int_equal(aipu_context_create(device, &context), 0);
	assert_int_equal(aipu_queue_create(context, 16, &queue), 0);
	host = test_buffer(device, 65536);
	assert_int_equal(aipu_buffer_create(device, AIPU_BUFFER_DEVICE, 65536, &memory), 0);
	/* Clearing device memory was a job as well, on a queue of its own */
	assert_int_equal(record.job_count, 1);
	assert_int_equal(record.jobs[0].opcode, AIPU_JOB_FILL);
	h = aipu_segment_bind(context, host, 0, 0, AIPU_READ | AIPU_WRITE);
	d = aipu_segment_bind(context, memory, 0, 0, AIPU_READ | AIPU_WRITE);
	assert_true(h >= 0 && d >= 0);
	first = record.job_count;
	for (unsigned int round = 0; round < 9; round++) {
		struct aipu_job *job;

		for (unsigned int i = 0; i < round; i++) {
			job = next_job(queue);
			aipu_prep_fill(job, d, i * 4096, 4096, round << 8 | i);
			remember(job);
		}
		job = next_job(queue);
		aipu_prep_copy(job, h, 0, d, 0, 65536);
		aipu_job_set_timeout(job, 60000);
		remember(job);
		job = next_job(queue);
		aipu_prep_run(job, h, 0, 1, h, 4096, 1);
		remember(job);
		job = next_job(queue);
		aipu_prep_generate(job, h, 0, 0, h, 0, 0, h, 0, 0);
		remember(job);
		job = next_job(queue);
		aipu_prep_nop(job);
		remember(job);
		run_all(queue, round + 4, 2);
		for (unsigned int i = 0; i < round; i++)
			assert_int_equal(((uint32_t *)aipu_buffer_data(host))[i * 1024],
					 round << 8 | i);
	}
	compare(first);
	assert_true(atomic_load(&record.interrupts) > 0);
	/* Each admin action is one command on queue 0: nothing else changes a table */
	assert_int_equal(record.commands[AIPU_ADMIN_CREATE_CONTEXT], 2);
	assert_int_equal(record.commands[AIPU_ADMIN_CREATE_QUEUE], 2);
	assert_int_equal(record.commands[AIPU_ADMIN_BIND], 3);
	assert_int_equal(record.commands[AIPU_ADMIN_UNBIND], 1);
	assert_int_equal(aipu_segment_unbind(context, h), 0);
	assert_int_equal(aipu_segment_unbind(context, d), 0);
	assert_int_equal(record.commands[AIPU_ADMIN_UNBIND], 3);
	aipu_queue_destroy(queue);
	assert_int_equal(aipu_buffer_destroy(host), 0);
	assert_int_equal(aipu_buffer_destroy(memory), 0);
	aipu_context_destroy(context);
	aipu_device_close(device);
	assert_int_equal(record.commands[AIPU_ADMIN_DESTROY_QUEUE], 2);
	assert_int_equal(record.commands[AIPU_ADMIN_DESTROY_CONTEXT], 2);
	assert_int_equal(record.creates, 1);
	assert_int_equal(record.destroys, 1);
	assert_int_equal(record.memories, 1); /* BAR2 */
	assert_int_equal(record.others, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_job_crosses_the_ring),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("libaipu_recording", tests, NULL, NULL);
}
