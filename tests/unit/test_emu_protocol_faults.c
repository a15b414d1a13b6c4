// SPDX-License-Identifier: MIT
/*
 * Each --fault of aipu-emu as the host of the card meets it, over the socket: what it sees, that registers go on being
 * answered, and what brings the card back.
 */
#include "emu_bench.h"

#include <signal.h>
#include <stdio.h>

#include "aipu-emu/emu.h"

#define NOP_START(b, n) BENCH_START(b, n, NOP, .timeout_ms = 0)

static void with_fault(struct bench *b, const char *fault)
{
	bench_ready(b, (const char *const[]){ "--fault", fault, NULL });
}

static uint32_t state_of(struct bench *b)
{
	return BENCH_REG(b, STATUS) & AIPU_STATUS_STATE_MASK;
}

/* The next completion, whoever's it says it is */
static struct aipu_completion next_completion(struct bench *b, struct ring *r)
{
	const uint32_t head = r->head;
	struct aipu_completion c;

	for (unsigned int ms = 0; r->head == head; ms++) {
		assert_true(ms < CLIENT_PATIENCE_MS);
		ring_ended(&b->d, r, 0);
		usleep(1000);
	}
	memcpy(&c, r->cq[head], sizeof(c));
	return c;
}

static uint32_t interrupts(struct bench *b, unsigned int vector)
{
	return __atomic_load_n(&b->d.access.interrupts[vector], __ATOMIC_SEQ_CST);
}

static void await_interrupts(struct bench *b, unsigned int vector, uint32_t want)
{
	for (unsigned int ms = 0; interrupts(b, vector) < want; ms++) {
		assert_true(ms < CLIENT_PATIENCE_MS);
		usleep(1000);
	}
}

/* Starts a job that hangs. What comes now finds it hung: a reset before that would find the fault still to strike. */
static uint16_t hang(struct bench *b)
{
	uint64_t entries = bench_counter(b, EMU_COUNT_ENTRIES);
	uint16_t id = NOP_START(b, 1);
	uint32_t beat;

	while (bench_counter(b, EMU_COUNT_ENTRIES) == entries)
		usleep(1000);
	do {
		beat = BENCH_REG(b, HEARTBEAT);
		usleep(300000);
	} while (BENCH_REG(b, HEARTBEAT) != beat);
	return id;
}

/* Reset by register, firmware anew, and it works: the fault has struck once and is over. */
static void comes_back(struct bench *b)
{
	assert_int_equal(device_reset(&b->d), AIPU_STATE_ROM);
	bench_again(b);
	for (unsigned int i = 0; i < 4; i++)
		NOP_OK(b, 1);
}

/* Job 2 never ends and the heartbeat stands, but every register is read; nothing else of the device moves. */
static void test_hang(void **state)
{
	struct bench b;
	uint16_t id;

	(void)state;
	with_fault(&b, "hang@2");
	NOP_OK(&b, 1);
	id = hang(&b);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(BENCH_REG(&b, MAGIC), AIPU_MAGIC);
	assert_int_equal(state_of(&b), AIPU_STATE_READY);
	assert_false(ring_ended(&b.d, &b.q[1], id));
	id = NOP_START(&b, 2);
	usleep(50000);
	assert_false(ring_ended(&b.d, &b.q[2], id));
	comes_back(&b);
	bench_close(&b);
}

/* From a hang a function-level reset, DEVICE_RESET and a disconnect get out as well. */
static void test_hang_ways_out(void **state)
{
	struct bench b;
	struct client *c;

	(void)state;
	for (unsigned int way = 0; way < 3; way++) {
		with_fault(&b, "hang@1");
		c = &b.guest->client;
		hang(&b);
		if (way == 0) {
			uint32_t at = client_config(c, 0x34, 1);

			while (at && client_config(c, at, 1) != 0x10)
				at = client_config(c, at + 1, 1);
			assert_int_equal(client_set_config(c, at + 8, 2, 0x8000), 0);
		} else if (way == 1) {
			assert_int_equal(client_call(c, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
		} else {
			guest_disconnect(b.guest);
			assert_int_equal(guest_connect(b.guest), 0);
		}
		assert_int_equal(client_set_config(c, 4, 2, 6), 0);
		assert_int_equal(device_wait(&b.d, AIPU_STATE_ROM, AIPU_STATE_ROM), AIPU_STATE_ROM);
		bench_again(&b);
		/* For a new client the fault is new as well: it counts from its power-on. */
		if (way < 2)
			NOP_OK(&b, 1);
		bench_close(&b);
	}
}

static void test_slow_job(void **state)
{
	struct bench b;
	uint32_t beat, beats = 0;
	uint16_t id;

	(void)state;
	with_fault(&b, "slow-job@1:1000");
	id = NOP_START(&b, 1);
	beat = BENCH_REG(&b, HEARTBEAT);
	while (!ring_ended(&b.d, &b.q[1], id)) {
		uint32_t now = BENCH_REG(&b, HEARTBEAT);

		beats += now != beat;
		beat = now;
		usleep(1000);
	}
	assert_int_equal(b.q[1].got[id % 64].status, AIPU_STATUS_OK);
	assert_true(b.q[1].got[id % 64].time_ns >= 1000000000u);
	/* It went on beating: a slow job is no hang */
	assert_true(beats >= 2);
	NOP_OK(&b, 1);
	assert_true(b.d.done.time_ns < 1000000000u);
	bench_close(&b);
}

static void test_lost_interrupt(void **state)
{
	struct bench b;

	(void)state;
	with_fault(&b, "lost-interrupt@8");
	for (unsigned int i = 0; i < 5; i++)
		NOP_OK(&b, 1);
	await_interrupts(&b, 0, BENCH_REPLIES);
	await_interrupts(&b, 1, 4);
	usleep(20000);
	assert_int_equal(interrupts(&b, 1), 4);
	assert_int_equal(bench_counter(&b, EMU_COUNT_INTERRUPTS), BENCH_REPLIES + 4);
	bench_close(&b);
}

static void test_interrupt_storm(void **state)
{
	struct bench b;

	(void)state;
	with_fault(&b, "interrupt-storm@7:3000");
	NOP_OK(&b, 1);
	NOP_OK(&b, 1);
	await_interrupts(&b, 1, 3002);
	usleep(5000);
	assert_int_equal(interrupts(&b, 1), 3002);
	assert_int_equal(bench_counter(&b, EMU_COUNT_INTERRUPTS), BENCH_REPLIES + 3002);
	bench_close(&b);
}

static void test_bad_completion(void **state)
{
	static const char *const faults[] = { "bad-completion@2", "bad-completion@2:1",
					      "bad-completion@2:2" };
	struct aipu_completion c;
	struct bench b;
	uint16_t id;

	(void)state;
	for (unsigned int i = 0; i < EMU_COUNT(faults); i++) {
		with_fault(&b, faults[i]);
		NOP_OK(&b, 1);
		id = NOP_START(&b, 1);
		c = next_completion(&b, &b.q[1]);
		assert_int_equal(c.id != id, i == 0);
		assert_int_equal(c.sq_head >= b.q[1].entries, i == 1);
		assert_int_equal(c.status >= AIPU_STATUS_COUNT, i == 2);
		assert_int_equal(c.status == AIPU_STATUS_OK, i != 2);
		NOP_OK(&b, 1);
		bench_close(&b);
	}
}

static void test_corrupt_reply(void **state)
{
	static const char *const faults[] = { "corrupt-reply@7", "corrupt-reply@7:1",
					      "corrupt-reply@7:2" };
	const struct aipu_admin create = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
					   .context = { .context = 2 } };
	struct aipu_completion c;
	struct bench b;
	uint16_t id;

	(void)state;
	for (unsigned int i = 0; i < EMU_COUNT(faults); i++) {
		with_fault(&b, faults[i]);
		id = ring_start(&b.d, &b.d.admin, &create);
		c = next_completion(&b, &b.d.admin);
		assert_int_equal(c.status >= AIPU_STATUS_COUNT, i == 0);
		assert_int_equal(c.id != id, i == 1);
		assert_int_equal(c.sq_head >= b.d.admin.entries, i == 2);
		/* Only the answer was wrong: the context is there */
		assert_int_equal(BENCH_ADMIN(&b, CREATE_CONTEXT, .context = { .context = 2 }),
				 AIPU_STATUS_BUSY);
		bench_close(&b);
	}
}

/* [FLT-2] */
static void test_fatal_error(void **state)
{
	const struct aipu_admin event = { .opcode = AIPU_ADMIN_ASYNC_EVENT };
	struct aipu_completion c;
	struct bench b;
	uint16_t id;

	(void)state;
	with_fault(&b, "fatal-error@3");
	NOP_OK(&b, 1);
	NOP_OK(&b, 2);
	id = ring_start(&b.d, &b.d.admin, &event);
	NOP_START(&b, 1);
	c = next_completion(&b, &b.d.admin);
	assert_int_equal(c.id, id);
	assert_int_equal(c.detail, AIPU_EVENT_ERROR);
	assert_int_equal(state_of(&b), AIPU_STATE_FAILED);
	assert_int_equal(BENCH_REG(&b, ERROR), AIPU_ERROR_FATAL);
	comes_back(&b);
	bench_close(&b);
}

/* [PCI-2] Gone from a register access on: registers, configuration space, DMA, interrupts, and no reset helps. */
static void test_all_ones(void **state)
{
	struct bench b;
	struct client *c;
	uint64_t both;
	unsigned int reads = 0;

	(void)state;
	/* Beyond what bench_ready() needs */
	with_fault(&b, "all-ones@2000");
	c = &b.guest->client;
	while (BENCH_REG(&b, MAGIC) == AIPU_MAGIC)
		assert_true(reads++ < 2000);
	assert_true(reads > 0);
	for (uint32_t at = 0; at < 4096; at += 4)
		assert_int_equal(guest_read(b.guest, at), ~0u);
	assert_int_equal(client_read(c, VFIO_PCI_BAR0_REGION_INDEX, 0, &both, 8), 0);
	assert_true(both == ~0ull);
	assert_int_equal(client_read(c, VFIO_PCI_BAR2_REGION_INDEX, 64, &both, 8), 0);
	assert_true(both == ~0ull);
	for (uint32_t at = 0; at < 4096; at += 4)
		assert_int_equal(client_config(c, at, 4), ~0u);
	/* Requests are still answered: it is the device that is gone, not the bus. */
	assert_int_equal(client_set_config(c, 4, 2, 6), 0);
	assert_int_equal(client_call(c, VFU_DEVICE_RESET, NULL, 0, NULL, 0), 0);
	assert_int_equal(client_unmap(c, 0, 0, VFU_UNMAP_ALL), 0);
	assert_int_equal(client_config(c, 0, 4), ~0u);
	NOP_START(&b, 1);
	usleep(20000);
	assert_int_equal(interrupts(&b, 1), 0);
	/* The next client has a card again */
	guest_disconnect(b.guest);
	assert_int_equal(guest_connect(b.guest), 0);
	bench_again(&b);
	NOP_OK(&b, 1);
	bench_close(&b);
}

/* A job that was under way when the function went ends in silence: no completion, no interrupt. */
static void test_all_ones_while_busy(void **state)
{
	enum { GONE_AT = 2000 };
	static const unsigned int accesses[] = { EMU_COUNT_REGISTER_READS,
						 EMU_COUNT_REGISTER_WRITES, EMU_COUNT_DOORBELLS,
						 EMU_COUNT_HEAD_DOORBELLS };
	struct bench b;
	uint64_t done = 0;
	uint16_t id;

	(void)state;
	bench_ready(&b, (const char *const[]){ "--fault", "all-ones@2000", "--fault",
					       "slow-job@1:1000", NULL });
	for (size_t i = 0; i < EMU_COUNT(accesses); i++)
		done += bench_counter(&b, accesses[i]);
	assert_true(done < GONE_AT - 2);
	/* The job's doorbell is the last access but one. */
	for (; done < GONE_AT - 2; done++)
		assert_int_equal(BENCH_REG(&b, MAGIC), AIPU_MAGIC);
	id = NOP_START(&b, 1);
	assert_int_equal(BENCH_REG(&b, MAGIC), ~0u);
	usleep(1500000);
	assert_false(ring_ended(&b.d, &b.q[1], id));
	assert_int_equal(interrupts(&b, 1), 0);
	bench_close(&b);
}

/* LOADING is seen for long, and registers are read all the while. */
static void test_slow_boot(void **state)
{
	struct bench b;
	unsigned int loading = 0;

	(void)state;
	bench_open(&b, (const char *const[]){ "--fault", "slow-boot@1:500", NULL });
	/* As bench_load(), but for the waiting */
	guest_write(b.guest, AIPU_REG_BOOT_BYTES, 4096);
	guest_write(b.guest, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	while (state_of(&b) == AIPU_STATE_LOADING)
		loading++;
	assert_true(loading > 10);
	assert_int_equal(state_of(&b), AIPU_STATE_FAILED); /* there was no image */
	comes_back(&b);
	bench_close(&b);
}

static void test_boot_failure(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, (const char *const[]){ "--fault", "boot-failure@1", "--fault",
					      "boot-failure@3:6", NULL });
	assert_int_equal(bench_load(&b), AIPU_STATE_FAILED);
	assert_int_equal(BENCH_REG(&b, ERROR), AIPU_ERROR_FIRMWARE_DIGEST);
	assert_int_equal(device_reset(&b.d), AIPU_STATE_ROM);
	assert_int_equal(bench_load(&b), AIPU_STATE_RUNNING);
	assert_int_equal(device_reset(&b.d), AIPU_STATE_ROM);
	assert_int_equal(bench_load(&b), AIPU_STATE_FAILED);
	assert_int_equal(BENCH_REG(&b, ERROR), AIPU_ERROR_FIRMWARE_BOARD);
	comes_back(&b);
	bench_close(&b);
}

/* The server is gone without a word, as by SIGKILL: the client sees the end of the connection and reads all ones. */
static void test_power_cut(void **state)
{
	struct bench b;
	struct client *c;

	(void)state;
	with_fault(&b, "power-cut@3");
	c = &b.guest->client;
	NOP_OK(&b, 1);
	NOP_OK(&b, 1);
	NOP_START(&b, 1);
	assert_int_equal(server_wait(&b.guest->server, CLIENT_PATIENCE_MS), SIGKILL);
	assert_int_equal(client_receive(c, CLIENT_PATIENCE_MS), -EPIPE);
	assert_int_equal(guest_read(b.guest, AIPU_REG_MAGIC), ~0u);
	/* The memory that it shared is still there, for what it is worth */
	b.d.access.memory[0] = 1;
	guest_disconnect(b.guest);
	assert_int_equal(server_restart(&b.guest->server,
					(const char *const[]){ "--memory", "64M", NULL }),
			 0);
	assert_int_equal(guest_connect(b.guest), 0);
	bench_again(&b);
	NOP_OK(&b, 1);
	bench_close(&b);
}

/* Several in one run, each at its own count */
/* QEMU waits for minutes for a reply that does not come, and the guest with it: who could still ask gets his answer. */
static void test_power_cut_answers(void **state)
{
	const struct vfu_access access = { .offset = AIPU_REG_MAGIC, .count = 4 };
	struct bench b;

	(void)state;
	for (unsigned int round = 0; round < 10; round++) {
		struct client *c;
		unsigned int sent;
		int err = 0;

		with_fault(&b, "power-cut@1");
		c = &b.guest->client;
		NOP_START(&b, 1);
		while (err >= 0) {
			for (sent = 0; sent < 8 && err >= 0; sent += err >= 0)
				err = client_request(c, VFU_REGION_READ, 0, &access, sizeof(access),
						     NULL, 0);
			while (sent--)
				assert_true(client_receive(c, CLIENT_PATIENCE_MS) >= 0);
		}
		assert_int_equal(err, -EPIPE);
		assert_int_equal(server_wait(&b.guest->server, CLIENT_PATIENCE_MS), SIGKILL);
		assert_int_equal(guest_close(b.guest), SIGKILL);
	}
}

static void test_many_faults(void **state)
{
	struct bench b;

	(void)state;
	bench_ready(&b, (const char *const[]){ "--fault", "lost-interrupt@8", "--fault",
					       "slow-job@2:20", "--fault", "fatal-error@5",
					       "--fault", "bad-completion@3:2", NULL });
	NOP_OK(&b, 1);
	NOP_OK(&b, 1);
	assert_true(b.d.done.time_ns >= 20000000u);
	NOP_START(&b, 1);
	assert_true(next_completion(&b, &b.q[1]).status >= AIPU_STATUS_COUNT);
	NOP_OK(&b, 1);
	await_interrupts(&b, 1, 3);
	NOP_START(&b, 1);
	assert_int_equal(device_wait(&b.d, AIPU_STATE_FAILED, AIPU_STATE_FAILED),
			 AIPU_STATE_FAILED);
	assert_int_equal(interrupts(&b, 1), 3);
	comes_back(&b);
	bench_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hang),
		cmocka_unit_test(test_hang_ways_out),
		cmocka_unit_test(test_slow_job),
		cmocka_unit_test(test_lost_interrupt),
		cmocka_unit_test(test_interrupt_storm),
		cmocka_unit_test(test_bad_completion),
		cmocka_unit_test(test_corrupt_reply),
		cmocka_unit_test(test_fatal_error),
		cmocka_unit_test(test_all_ones),
		cmocka_unit_test(test_all_ones_while_busy),
		cmocka_unit_test(test_slow_boot),
		cmocka_unit_test(test_boot_failure),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_answers),
		cmocka_unit_test(test_many_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
