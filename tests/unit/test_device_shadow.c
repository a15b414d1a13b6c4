// SPDX-License-Identifier: MIT
/*
 * Shadow doorbells: when a device that is awake needs no doorbell, that one which falls asleep misses none, what its
 * rescue timer finds and counts, and that a word of the page is believed as little as a doorbell.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mount.h"

#define ENTRIES 8u
#define RACES 5000u
#define LONG_US 60000000u /* no test takes so long: it stays awake */
#define LIMIT_NS 60000000000ull
#define NOP (&(struct aipu_job){ .opcode = AIPU_JOB_NOP })

static struct mount *mount;
static struct mount_queue *queue;
static struct aipu_shadow *page;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- the host's side ------------------------------------------------------------------------------- */

static void begin(uint32_t linger_us, bool map, uint32_t entries)
{
	const struct mount_options options = { .config = { .linger_us = linger_us }, .map = map };

	mount = mount_ready(&options);
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	queue = mount_create_shadowed(mount, 1, 1, entries);
	page = mount_pointer(mount, queue->shadow);
}

static void end(void)
{
	free(queue);
	mount_destroy(mount);
}

static uint32_t word(const uint32_t *place)
{
	return __atomic_load_n(place, __ATOMIC_ACQUIRE);
}

static void set(uint32_t *place, uint32_t value)
{
	__atomic_store_n(place, value, __ATOMIC_RELEASE);
}

static void full_barrier(void)
{
#if defined(__x86_64__)
	__builtin_ia32_mfence();
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static bool passed(uint32_t event, uint32_t old, uint32_t new)
{
	uint32_t mask = queue->entries - 1;

	return event < queue->entries && ((event - old) & mask) < ((new - old) & mask);
}

/* Shows the tail as the contract has it. true: the doorbell is to be rung */
static bool show(const struct aipu_job *job)
{
	uint32_t old = queue->tail;

	mount_put(queue, job);
	set(&page->sq_tail, queue->tail);
	full_barrier();
	return passed(word(&page->sq_event), old, queue->tail);
}

static bool submit(const struct aipu_job *job)
{
	if (!show(job))
		return false;
	mount_ring(queue);
	return true;
}

static void ring_head(void)
{
	aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(queue->id) + AIPU_DOORBELL_CQ_HEAD,
			queue->head);
}

/* Takes the next completion and frees it. true: the device wanted to be told */
static bool take(unsigned int status)
{
	uint64_t limit = now_ns() + LIMIT_NS;
	struct aipu_completion done = { 0 };
	uint32_t old = queue->head;

	while (!mount_next(queue, &done, false)) {
		assert_true(now_ns() < limit);
		sched_yield();
	}
	assert_int_equal(done.status, status);
	set(&page->cq_head, queue->head);
	full_barrier();
	return passed(word(&page->cq_event), old, queue->head);
}

/* Waits for the device to write a word */
static void wait_word(const uint32_t *place, uint32_t value)
{
	uint64_t limit = now_ns() + LIMIT_NS;

	while (word(place) != value) {
		assert_true(now_ns() < limit);
		usleep(20);
	}
}

static void wait_register(uint32_t offset, uint32_t value)
{
	uint64_t limit = now_ns() + LIMIT_NS;

	while (aipu_dm_read32(mount->dm, offset) != value) {
		assert_true(now_ns() < limit);
		usleep(20);
	}
}

static uint32_t rescues(void)
{
	return aipu_dm_read32(mount->dm, AIPU_REG_RESCUES);
}

static void destroy_queue(void)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_DESTROY_QUEUE,
				      .queue = { .context = 1, .queue = 1 } };

	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
}

/* --- awake, asleep ---------------------------------------------------------------------------------- */

/* [RING-10] */
static void refused_where_it_is_not_offered(void **state)
{
	const struct mount_options options = { .config = { .no_shadows = true } };
	struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_QUEUE,
				      .queue = { .context = 1, .queue = 1, .entries = 8 } };
	uint32_t detail;

	(void)state;
	mount = mount_ready(&options);
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	command.queue.sq_address = mount_alloc(mount, 4096);
	command.queue.cq_address = mount_alloc(mount, 4096);
	command.queue.shadow_address = mount_alloc(mount, 4096);
	assert_false(aipu_dm_read32(mount->dm, AIPU_REG_CAP_LO) & AIPU_CAP_SHADOW_DOORBELLS);
	assert_int_equal(mount_admin(mount, &command, &detail), AIPU_STATUS_UNSUPPORTED);
	assert_int_equal(detail, offsetof(struct aipu_admin, queue.shadow_address));
	mount_destroy(mount);
}

/* [RING-12] [RING-13] */
static void awake_it_needs_no_doorbell(void **state)
{
	(void)state;
	for (int map = 0; map < 2; map++) {
		unsigned int doorbells = 0;

		begin(LONG_US, map, ENTRIES);
		assert_int_equal(word(&page->sq_event), 0);
		assert_int_equal(word(&page->cq_event), AIPU_SHADOW_AWAKE);
		assert_true(submit(NOP)); /* a new queue is asleep */
		assert_false(take(AIPU_STATUS_OK));
		for (unsigned int i = 0; i < 1000; i++) {
			unsigned int batch = 1 + i % (ENTRIES - 2);

			for (unsigned int j = 0; j < batch; j++)
				doorbells += submit(NOP);
			for (unsigned int j = 0; j < batch; j++)
				assert_false(take(AIPU_STATUS_OK));
		}
		assert_int_equal(doorbells, 0);
		assert_int_equal(word(&page->sq_event), AIPU_SHADOW_AWAKE);
		assert_int_equal(rescues(), 0);
		end();
	}
}

/* [RING-14]: jobs that come just when the device falls asleep: some have to be rung for, others not */
static void falling_asleep_it_misses_none(void **state)
{
	static const uint32_t lingers[] = { 0, 5, 50, 1000000 };
	unsigned int rung = 0, seen = 0;

	(void)state;
	for (unsigned int i = 0; i < 2 * sizeof(lingers) / sizeof(lingers[0]); i++) {
		begin(lingers[i / 2], i % 2, ENTRIES);
		for (unsigned int job = 0; job < RACES; job++) {
			/* About as long as it takes to fall asleep, sooner and later */
			for (volatile unsigned int wait =
				     job % 64 * (1 + 100 * (lingers[i / 2] % 1000));
			     wait; wait--)
				;
			if (submit(NOP))
				rung++;
			else
				seen++;
			take(AIPU_STATUS_OK);
		}
		destroy_queue();
		assert_int_equal(rescues(), 0);
		end();
	}
	print_message("# rung %u, seen %u\n", rung, seen);
	assert_true(rung && seen);
}

/* [REG-5] */
static void awake_its_heart_beats(void **state)
{
	uint64_t limit = now_ns() + LIMIT_NS;
	uint32_t beat;

	(void)state;
	begin(LONG_US, true, ENTRIES);
	submit(NOP);
	take(AIPU_STATUS_OK);
	for (unsigned int i = 0; i < 10; i++) {
		beat = aipu_dm_read32(mount->dm, AIPU_REG_HEARTBEAT);
		while (aipu_dm_read32(mount->dm, AIPU_REG_HEARTBEAT) == beat)
			assert_true(now_ns() < limit);
	}
	assert_int_equal(word(&page->sq_event), AIPU_SHADOW_AWAKE);
	end();
}

static atomic_uint shown, to_be_rung;

/* The last moment: the device writes its event, which says that it is awake still. */
static void show_before_the_event(uint64_t address)
{
	if (address != queue->shadow + offsetof(struct aipu_shadow, sq_event) ||
	    atomic_load(&shown) || word(&page->sq_event) != AIPU_SHADOW_AWAKE)
		return;
	atomic_fetch_add(&to_be_rung, show(NOP));
	atomic_store(&shown, 1);
}

/* [RING-14]: what was shown just before the event is found by the look behind it, not by the timer. */
static void the_last_look_finds_it(void **state)
{
	(void)state;
	begin(0, false, ENTRIES);
	atomic_store(&shown, 1);
	mount->before_write = show_before_the_event;
	for (unsigned int i = 0; i < 200; i++) {
		wait_word(&page->sq_event, queue->tail);
		atomic_store(&shown, 0);
		assert_true(submit(NOP));
		take(AIPU_STATUS_OK);
		take(AIPU_STATUS_OK);
	}
	assert_int_equal(atomic_load(&to_be_rung), 0);
	destroy_queue();
	assert_int_equal(rescues(), 0);
	end();
}

/* [RING-14] */
static void asleep_it_names_its_tail(void **state)
{
	(void)state;
	begin(0, true, ENTRIES);
	for (unsigned int i = 0; i < 3 * ENTRIES; i++) {
		submit(NOP);
		take(AIPU_STATUS_OK);
		wait_word(&page->sq_event, queue->tail);
		assert_true(mount_wait_idle(mount));
	}
	end();
}

/* [RING-13]: with one place left the head is looked at, and asleep its doorbell is wanted */
static void completions_wait_for_room(void **state)
{
	(void)state;
	for (int awake = 0; awake < 2; awake++) {
		begin(awake ? LONG_US : 0, true, 4);
		for (unsigned int i = 0; i < 3; i++)
			submit(NOP);
		wait_register(AIPU_REG_STEPS, 3);
		submit(NOP); /* all three entries have been freed; for its completion there is no place */
		if (!awake)
			wait_word(&page->cq_event, 0);
		assert_int_equal(take(AIPU_STATUS_OK), !awake);
		if (!awake) {
			assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_STEPS), 3);
			ring_head();
		}
		wait_register(AIPU_REG_STEPS, 4);
		for (unsigned int i = 0; i < 3; i++)
			if (take(AIPU_STATUS_OK))
				ring_head();
		end();
	}
}

/* --- doorbells that do not come ----------------------------------------------------------------------- */

/* The device sleeps, and has taken every doorbell that was written: none of another queue makes it look. */
static void wait_asleep(void)
{
	wait_word(&page->sq_event, queue->tail);
	assert_true(mount_wait_idle(mount));
}

/* [RING-16] */
static void lost_doorbells_are_counted(void **state)
{
	(void)state;
	begin(0, true, ENTRIES);
	for (unsigned int i = 1; i <= 5; i++) {
		wait_asleep();
		assert_true(show(NOP)); /* and is not rung */
		take(AIPU_STATUS_OK);
		/* It may be on its way still; that it was not shows at the next one. */
		wait_asleep();
		assert_int_equal(rescues(), i - 1);
		if (i == 5)
			break;
		assert_true(submit(NOP));
		take(AIPU_STATUS_OK);
		assert_int_equal(rescues(), i);
	}
	destroy_queue();
	assert_int_equal(rescues(), 5);
	end();
}

/* [RING-16]: the timer came between the tail and the doorbell, which is no loss */
static void late_doorbells_are_not(void **state)
{
	(void)state;
	begin(0, true, ENTRIES);
	for (unsigned int i = 0; i < 5; i++) {
		wait_asleep();
		assert_true(show(NOP));
		take(AIPU_STATUS_OK);
		mount_ring(queue);
	}
	destroy_queue();
	assert_int_equal(rescues(), 0);
	end();
}

/* [RING-16]: the timer came between the tail and the look at the event; the host finds it as it was, and rings */
static void late_looks_at_the_event_are_not(void **state)
{
	(void)state;
	begin(0, true, ENTRIES);
	for (unsigned int i = 0; i < 5; i++) {
		uint32_t old = queue->tail;

		wait_asleep();
		mount_put(queue, NOP);
		set(&page->sq_tail, queue->tail);
		full_barrier();
		take(AIPU_STATUS_OK); /* the timer was there */
		assert_true(passed(word(&page->sq_event), old, queue->tail));
		mount_ring(queue);
	}
	destroy_queue();
	assert_int_equal(rescues(), 0);
	end();
}

/* --- what is not believed ------------------------------------------------------------------------------- */

static void queue_stops(void)
{
	struct aipu_admin other = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
				    .context = { .context = 2 } };

	wait_register(AIPU_REG_ERROR, AIPU_ERROR_QUEUE);
	assert_int_equal(mount_admin(mount, &other, NULL), AIPU_STATUS_OK);
	assert_int_equal(mount_state(mount), AIPU_STATE_READY);
	destroy_queue();
}

/* [RING-2] [RING-13] */
static void values_are_checked(void **state)
{
	static const uint32_t bad[] = { ENTRIES, 0x80000000u, UINT32_MAX };

	(void)state;
	for (unsigned int i = 0; i < 2 * sizeof(bad) / sizeof(bad[0]); i++) {
		begin(i % 2 ? LONG_US : 0, true, ENTRIES);
		submit(NOP);
		take(AIPU_STATUS_OK);
		if (i % 2 == 0)
			wait_word(&page->sq_event, queue->tail);
		set(&page->sq_tail, bad[i / 2]);
		if (i % 2 == 0)
			mount_ring(queue);
		queue_stops();
		end();
	}
	/* The doorbell's own value too, though it is not used */
	begin(LONG_US, true, ENTRIES);
	submit(NOP);
	take(AIPU_STATUS_OK);
	aipu_dm_write32(mount->dm, AIPU_DOORBELL_PAGE(1) + AIPU_DOORBELL_SQ_TAIL, ENTRIES);
	queue_stops();
	end();
}

/* [RING-5] [RING-13]: a head that frees more than there is; what waits for room then ends with ABORTED */
static void heads_are_checked(void **state)
{
	(void)state;
	begin(LONG_US, true, 4);
	for (unsigned int i = 0; i < 3; i++)
		submit(NOP);
	wait_register(AIPU_REG_STEPS, 3);
	set(&page->cq_head, 4);
	wait_register(AIPU_REG_ERROR, AIPU_ERROR_QUEUE);
	for (unsigned int i = 0; i < 3; i++)
		take(AIPU_STATUS_OK);
	destroy_queue();
	end();
}

/* [RING-15] */
static void without_the_page_the_queue_is_dead(void **state)
{
	(void)state;
	for (int awake = 0; awake < 2; awake++) {
		begin(awake ? LONG_US : 0, false, ENTRIES);
		submit(NOP);
		take(AIPU_STATUS_OK);
		if (!awake)
			wait_word(&page->sq_event, queue->tail);
		atomic_store(&mount->hole, queue->shadow);
		atomic_store(&mount->hole_bytes, 4096);
		if (!awake)
			mount_ring(queue);
		queue_stops();
		end();
	}
}

/* [RST-5]: while no DMA may start nothing is looked at; the queue lives, and what came meanwhile is found. */
static void bus_master_off(void **state)
{
	(void)state;
	for (int gate = 0; gate < 2; gate++) {
		begin(LONG_US, false, ENTRIES);
		submit(NOP);
		take(AIPU_STATUS_OK);
		if (gate) {
			aipu_dm_gate(mount->dm, false);
			atomic_store(&mount->hole, MOUNT_BASE);
			atomic_store(&mount->hole_bytes, mount->bytes);
		} else {
			aipu_dm_bus_master(mount->dm, false);
			atomic_store(&mount->closed, true);
		}
		assert_false(submit(NOP));
		usleep(30000); /* the rescue timer comes by */
		assert_int_equal(aipu_dm_read32(mount->dm, AIPU_REG_ERROR), AIPU_ERROR_NONE);
		assert_int_equal(atomic_load(&mount->late), 0);
		atomic_store(&mount->closed, false);
		atomic_store(&mount->hole_bytes, 0);
		if (gate)
			aipu_dm_gate(mount->dm, true);
		else
			aipu_dm_bus_master(mount->dm, true);
		take(AIPU_STATUS_OK);
		destroy_queue();
		assert_int_equal(rescues(), 0);
		end();
	}
}

/* --- commands ------------------------------------------------------------------------------------------- */

static uint64_t fill_at;
static atomic_bool held, held_up;

/* The device stands in the middle of a FILL until it is let go. */
static void hold_the_fill(uint64_t address)
{
	if (address != fill_at)
		return;
	atomic_store(&held, true);
	while (atomic_load(&held_up))
		sched_yield();
}

/* [RING-17]: what an ABORT names was shown before, though no doorbell told of it */
static void commands_find_what_was_shown(void **state)
{
	struct aipu_job fill = { .opcode = AIPU_JOB_FILL, .fill = { .length = 4096 } };
	struct aipu_job nop = { .opcode = AIPU_JOB_NOP, .id = 2 };
	struct aipu_admin abort = { .opcode = AIPU_ADMIN_ABORT, .abort = { .queue = 1, .job = 2 } };
	struct mount_queue *busy;

	(void)state;
	begin(LONG_US, false, ENTRIES);
	fill_at = mount_alloc(mount, 4096);
	assert_int_equal(mount_bind_host(mount, 1, 0, fill_at, 4096, AIPU_ACCESS_WRITE, 1), 0);
	busy = mount_create_queue(mount, 1, 2, 4, 0);
	submit(NOP);
	take(AIPU_STATUS_OK);
	mount->before_write = hold_the_fill;
	for (unsigned int i = 0; i < 20; i++) {
		atomic_store(&held, false);
		atomic_store(&held_up, true);
		mount_submit(busy, &fill);
		while (!atomic_load(&held))
			usleep(20);
		assert_false(submit(&nop));
		mount_submit(mount->admin, &abort);
		atomic_store(&held_up, false);
		assert_int_equal(mount_wait(mount->admin).status, AIPU_STATUS_OK);
		take(AIPU_STATUS_ABORTED);
		assert_int_equal(mount_wait(busy).status, AIPU_STATUS_OK);
	}
	free(busy);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_where_it_is_not_offered),
		cmocka_unit_test(awake_it_needs_no_doorbell),
		cmocka_unit_test(awake_its_heart_beats),
		cmocka_unit_test(falling_asleep_it_misses_none),
		cmocka_unit_test(the_last_look_finds_it),
		cmocka_unit_test(asleep_it_names_its_tail),
		cmocka_unit_test(completions_wait_for_room),
		cmocka_unit_test(lost_doorbells_are_counted),
		cmocka_unit_test(late_doorbells_are_not),
		cmocka_unit_test(late_looks_at_the_event_are_not),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(heads_are_checked),
		cmocka_unit_test(without_the_page_the_queue_is_dead),
		cmocka_unit_test(bus_master_off),
		cmocka_unit_test(commands_find_what_was_shown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
