// SPDX-License-Identifier: MIT
/*
 * The emulated card at work, seen over aipu-emu's socket: interrupts, registers that are answered whatever the
 * engine does, resets, eventfds that are traps, memory of all sizes, servers side by side. Counters have a file of their own.
 */
#include "emu_bench.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "aipu-emu/emu.h"

#define MSIX VFIO_PCI_MSIX_IRQ_INDEX
#define EVENTS (VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER)

static int setup_msi(void **state)
{
	return setup_with(state, (const char *const[]){ "--msi", NULL });
}

/* --- interrupts ------------------------------------------------------------------------------------------ */

static uint32_t interrupts(struct bench *b, unsigned int vector)
{
	return __atomic_load_n(&b->d.access.interrupts[vector], __ATOMIC_SEQ_CST);
}

/* So many, and not one more: the wait behind is time for a fault to show. */
static void assert_interrupts(struct bench *b, unsigned int vector, uint32_t want)
{
	for (unsigned int ms = 0; interrupts(b, vector) < want && ms < CLIENT_PATIENCE_MS; ms++)
		usleep(1000);
	usleep(5000);
	assert_int_equal(interrupts(b, vector), want);
}

static void test_interrupts(void **state)
{
	struct bench *b = *state;
	const uint64_t before = bench_counter(b, EMU_COUNT_INTERRUPTS);
	const uint32_t admin = interrupts(b, 0);

	for (unsigned int i = 0; i < 20; i++)
		NOP_OK(b, 1);
	for (unsigned int i = 0; i < 7; i++)
		NOP_OK(b, 2);
	assert_interrupts(b, 1, 20);
	assert_interrupts(b, 2, 7);
	assert_interrupts(b, 0, admin);
	for (unsigned int i = 3; i < GUEST_VECTORS; i++)
		assert_int_equal(interrupts(b, i), 0);
	assert_int_equal(bench_counter(b, EMU_COUNT_INTERRUPTS) - before, 27);
	/* A vector without an eventfd loses its own and no other's. */
	assert_int_equal(client_irqs(client_of(b), MSIX, EVENTS, 1, 1, NULL, 0), 0);
	for (unsigned int i = 0; i < 5; i++) {
		NOP_OK(b, 1);
		NOP_OK(b, 2);
	}
	assert_interrupts(b, 2, 12);
	assert_interrupts(b, 1, 20);
	assert_int_equal(bench_counter(b, EMU_COUNT_INTERRUPTS) - before, 32);
	/* Masked by nothing: Bus Master decides */
	assert_int_equal(client_irqs(client_of(b), MSIX, EVENTS, 1, 1, &b->guest->irq_fds[1], 1),
			 0);
	NOP_OK(b, 1);
	assert_interrupts(b, 1, 21);
}

/* [PCI-1] With fewer messages than vectors all queues share those there are; one suffices. */
static void test_one_vector(void **state)
{
	struct bench *b = *state;
	const uint32_t index = b->guest->irq_index;
	uint32_t before;

	assert_int_equal(client_irqs(client_of(b), index,
				     VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0,
				     NULL, 0),
			 0);
	assert_int_equal(client_irqs(client_of(b), index, EVENTS, 0, 1, b->guest->irq_fds, 1), 0);
	before = interrupts(b, 0);
	for (unsigned int i = 0; i < 4; i++) {
		NOP_OK(b, 1);
		NOP_OK(b, 2);
	}
	assert_int_equal(BENCH_ADMIN(b, CREATE_CONTEXT, .context = { .context = 2 }),
			 AIPU_STATUS_OK);
	assert_interrupts(b, 0, before + 9);
}

static void test_msi(void **state)
{
	struct bench *b = *state;

	assert_int_equal(b->guest->irq_index, VFIO_PCI_MSI_IRQ_INDEX);
	for (unsigned int i = 0; i < 6; i++)
		NOP_OK(b, 2);
	assert_interrupts(b, 2, 6);
	assert_interrupts(b, 1, 0);
}

/* What a client gives as an eventfd may be anything: a full pipe, a closed one, a counter at its end. */
static void test_hostile_eventfds(void **state)
{
	struct bench *b = *state;
	const uint64_t top = UINT64_MAX - 1;
	int full[2], closed[2], counter, null;
	char junk[4096] = { 0 };

	assert_int_equal(pipe2(full, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(full[1], junk, sizeof(junk)) > 0)
		;
	assert_int_equal(fcntl(full[1], F_SETFL, 0), 0);
	assert_int_equal(pipe2(closed, O_CLOEXEC), 0);
	close(closed[0]);
	counter = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(write(counter, &top, sizeof(top)), sizeof(top));
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_true(null >= 0);
	const int fds[] = { full[1], closed[1], counter, null };

	for (size_t i = 0; i < EMU_COUNT(fds); i++) {
		for (uint32_t v = 0; v < 3; v++) {
			int error = client_irqs(client_of(b), MSIX, EVENTS, v, 1, &fds[i], 1);

			assert_true(error != -EPIPE && error != -ETIMEDOUT);
		}
		NOP_OK(b, 1);
		NOP_OK(b, 2);
		client_irqs(client_of(b), MSIX,
			    VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 3, NULL, 0);
		assert_int_equal(BENCH_REG(b, MAGIC), AIPU_MAGIC);
	}
	/* Likewise for the error and the request interrupt */
	for (uint32_t index = VFIO_PCI_ERR_IRQ_INDEX; index <= VFIO_PCI_REQ_IRQ_INDEX; index++)
		for (size_t i = 0; i < EMU_COUNT(fds); i++) {
			client_irqs(client_of(b), index, EVENTS, 0, 1, &fds[i], 1);
			client_irqs(client_of(b), index,
				    VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1,
				    NULL, 0);
			assert_int_equal(BENCH_REG(b, MAGIC), AIPU_MAGIC);
		}
	close(full[0]);
	close(full[1]);
	close(closed[1]);
	close(counter);
	close(null);
}

/* --- work that lasts ------------------------------------------------------------------------------------- */

/* [REG-6] However long a job, a register is read in its midst: many times before it ends. */
static void test_registers_while_busy(void **state)
{
	struct bench *b = *state;
	uint16_t id = bench_copy_long(b, 1, BENCH_BIG, BENCH_BIG);
	uint32_t steps;

	steps = BENCH_REG(b, STEPS);
	for (unsigned int i = 0; i < 300; i++)
		assert_int_equal(BENCH_REG(b, MAGIC), AIPU_MAGIC);
	assert_false(ring_ended(&b->d, &b->q[1], id));
	/* Another queue's job gets its turn within it, and it goes on. */
	NOP_OK(b, 2);
	assert_false(ring_ended(&b->d, &b->q[1], id));
	assert_true(BENCH_REG(b, STEPS) != steps);
	assert_int_equal(BENCH_ADMIN(b, ABORT, .abort = { .queue = 1, .job = id }), AIPU_STATUS_OK);
	assert_int_equal(ring_wait(&b->d, &b->q[1], id), AIPU_STATUS_ABORTED);
}

static uint32_t express(struct bench *b)
{
	uint32_t at = client_config(client_of(b), 0x34, 1);

	while (at && client_config(client_of(b), at, 1) != 0x10)
		at = client_config(client_of(b), at + 1, 1);
	return at;
}

struct config_write {
	struct vfu_access access;
	uint16_t value;
};

/* [PCI-2] [RST-2] Each kind of reset in the midst of a DMA: from its reply on nothing is written any more. */
static void test_reset_while_busy(void **state)
{
	struct bench *b = *state;
	const struct config_write flr = { { express(b) + 8, VFIO_PCI_CONFIG_REGION_INDEX, 2 },
					  0x8000 };
	const struct config_write master = { { 4, VFIO_PCI_CONFIG_REGION_INDEX, 2 }, 6 };
	uint8_t *memory, *want = malloc(BENCH_PIECE);
	int fd;

	assert_non_null(want);
	memset(want, 0x5a, BENCH_PIECE);
	memory = bench_memory(BENCH_PIECE, 0xff, &fd);
	assert_int_equal(client_map(client_of(b), 1ull << 40, BENCH_PIECE, fd, 0, 3), 0);
	for (unsigned int round = 0; round < 10; round++) {
		const uint32_t count = BENCH_REG(b, RESET_COUNT);

		memset(memory, 0xff, BENCH_PIECE);
		assert_int_equal(bench_bind(b, BENCH_FREE, 1ull << 40, BENCH_PIECE), 0);
		bench_copy_long(b, 1, BENCH_BIG, BENCH_FREE);
		for (unsigned int ms = 0; __atomic_load_n(memory, __ATOMIC_ACQUIRE) == 0xff; ms++) {
			assert_true(ms < CLIENT_PATIENCE_MS);
			usleep(1000);
		}
		/* Bus Master comes back at once, before STATUS was looked at: still nothing of before */
		assert_true(client_request(client_of(b),
					   round % 2 ? VFU_DEVICE_RESET : VFU_REGION_WRITE, 0, &flr,
					   round % 2 ? 0 : sizeof(flr.access) + 2, NULL, 0) >= 0);
		assert_true(client_request(client_of(b), VFU_REGION_WRITE, 0, &master,
					   sizeof(master.access) + 2, NULL, 0) >= 0);
		for (unsigned int i = 0; i < 2; i++) {
			assert_int_equal(client_receive(client_of(b), CLIENT_PATIENCE_MS), 0);
			assert_int_equal(client_of(b)->header.flags, VFU_REPLY);
		}
		memset(memory, 0x5a, BENCH_PIECE);
		usleep(20000);
		assert_memory_equal(memory, want, BENCH_PIECE);
		assert_int_equal(device_wait(&b->d, AIPU_STATE_ROM, AIPU_STATE_ROM),
				 AIPU_STATE_ROM);
		assert_int_equal(BENCH_REG(b, RESET_COUNT), count + 1);
		bench_again(b);
		NOP_OK(b, 1);
	}
	assert_int_equal(bench_counter(b, EMU_COUNT_RESETS), 10);
	munmap(memory, BENCH_PIECE);
	close(fd);
	free(want);
}

/* Several writes in one message, the first of which closes the gate: its reply waits for the last slice. */
static void test_write_multi_while_busy(void **state)
{
	const struct {
		uint64_t count;
		struct {
			struct vfu_access access;
			uint64_t data;
		} writes[2];
	} m = { 2,
		{ { { 4, VFIO_PCI_CONFIG_REGION_INDEX, 2 }, 2 },
		  { { 64, BAR2, 8 }, 0x1122334455667788 } } };
	struct bench *b = *state;
	uint8_t *memory, *want = malloc(BENCH_PIECE);
	int fd;

	assert_non_null(want);
	memset(want, 0x5a, BENCH_PIECE);
	memory = bench_memory(BENCH_PIECE, 0xff, &fd);
	assert_int_equal(client_map(client_of(b), 1ull << 40, BENCH_PIECE, fd, 0, 3), 0);
	for (unsigned int round = 0; round < 4; round++) {
		memset(memory, 0xff, BENCH_PIECE);
		assert_int_equal(bench_bind(b, BENCH_FREE, 1ull << 40, BENCH_PIECE), 0);
		bench_copy_long(b, 1, BENCH_BIG, BENCH_FREE);
		for (unsigned int ms = 0; __atomic_load_n(memory, __ATOMIC_ACQUIRE) == 0xff; ms++) {
			assert_true(ms < CLIENT_PATIENCE_MS);
			usleep(1000);
		}
		assert_int_equal(client_call(client_of(b), VFU_REGION_WRITE_MULTI, &m, sizeof(m),
					     NULL, 0),
				 8);
		memset(memory, 0x5a, BENCH_PIECE);
		usleep(20000);
		assert_memory_equal(memory, want, BENCH_PIECE);
		assert_memory_equal(b->d.access.memory + 64, &m.writes[1].data, 8);
		assert_int_equal(client_set_config(client_of(b), 4, 2, 6), 0);
		assert_int_equal(device_reset(&b->d), AIPU_STATE_ROM);
		bench_again(b);
	}
	munmap(memory, BENCH_PIECE);
	close(fd);
	free(want);
}

/* SIGTERM and SIGINT end the server at once, whatever it does, and it takes its socket file along. */
static void test_signals_while_busy(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT };
	static const int codes[] = { 0, 130 };
	struct bench *b = *state;

	for (unsigned int i = 0; i < 2; i++) {
		bench_copy_long(b, 1, BENCH_BIG, BENCH_BIG);
		assert_int_equal(BENCH_REG(b, MAGIC), AIPU_MAGIC);
		kill(b->guest->server.pid, signals[i]);
		assert_int_equal(server_wait(&b->guest->server, CLIENT_PATIENCE_MS), codes[i] << 8);
		assert_int_equal(access(b->guest->server.socket, F_OK), -1);
		assert_true(client_config(client_of(b), 0, 4) == ~0u);
		guest_disconnect(b->guest);
		/* And leaves room for the next of that name */
		assert_int_equal(server_restart(&b->guest->server,
						(const char *const[]){ "--memory", "64M", NULL }),
				 0);
		assert_int_equal(guest_connect(b->guest), 0);
		bench_again(b);
	}
}

/* --- servers --------------------------------------------------------------------------------------------- */

/* Two cards on two sockets are two: neither work nor a reset of one is seen at the other. */
static void test_two_servers(void **state)
{
	struct bench *one = *state, *two = calloc(1, sizeof(*two));
	uint16_t id;

	assert_non_null(two);
	bench_ready(two, (const char *const[]){ "--serial", "2", NULL });
	for (unsigned int i = 0; i < 10; i++) {
		NOP_OK(one, 1);
		NOP_OK(two, 1);
		NOP_OK(two, 1);
	}
	assert_interrupts(one, 1, 10);
	assert_interrupts(two, 1, 20);
	assert_int_equal(BENCH_REG(one, SERIAL_LO), 0);
	assert_int_equal(BENCH_REG(two, SERIAL_LO), 2);
	id = bench_copy_long(one, 1, BENCH_BIG, BENCH_BIG);
	assert_int_equal(device_reset(&two->d), AIPU_STATE_ROM);
	assert_int_equal(BENCH_REG(one, STATUS) & AIPU_STATUS_STATE_MASK, AIPU_STATE_READY);
	assert_false(ring_ended(&one->d, &one->q[1], id));
	two->d.access.memory[4096] = 0x77;
	assert_int_equal(one->d.access.memory[4096], 0);
	bench_close(two);
	free(two);
	NOP_OK(one, 2);
}

/* A server that was killed leaves a socket file; the next one of that name takes its place. */
static void test_stale_socket(void **state)
{
	struct bench *b = *state;

	kill(b->guest->server.pid, SIGKILL);
	assert_int_equal(server_wait(&b->guest->server, CLIENT_PATIENCE_MS), SIGKILL);
	assert_int_equal(access(b->guest->server.socket, F_OK), 0);
	guest_disconnect(b->guest);
	assert_int_equal(server_restart(&b->guest->server,
					(const char *const[]){ "--memory", "64M", NULL }),
			 0);
	assert_int_equal(guest_connect(b->guest), 0);
	bench_again(b);
	NOP_OK(b, 1);
}

/* Each client finds a card just powered on: nothing of the one before is left in it. */
static void test_power_on_for_each_client(void **state)
{
	struct bench *b = *state;

	for (unsigned int i = 0; i < 5; i++) {
		NOP_OK(b, 1);
		memset(b->d.access.memory + (1 << 20), 0x33, 4096);
		guest_disconnect(b->guest);
		assert_int_equal(guest_connect(b->guest), 0);
		assert_int_equal(BENCH_REG(b, STATUS) & AIPU_STATUS_STATE_MASK, AIPU_STATE_ROM);
		assert_int_equal(BENCH_REG(b, RESET_COUNT), 0);
		assert_int_equal(bench_counter(b, EMU_COUNT_DOORBELLS), 0);
		for (unsigned int n = 0; n < 4096; n++)
			assert_int_equal(b->d.access.memory[(1 << 20) + n], 0);
		bench_again(b);
	}
}

/* [PCI-1] BARs and interrupts of the smallest, the usual and the largest card */
static void test_shapes(void **state)
{
	static const struct {
		const char *queues, *vectors, *memory;
		uint32_t queue_count, vector_count, msi_count;
		uint64_t bytes;
	} shapes[] = {
		{ "1", "1", "1M", 1, 1, 1, 1 << 20 },
		{ "63", "33", "2048K", 63, 33, 32, 2 << 20 },
		{ "1022", "2048", "1073741824", 1022, 2048, 32, 1 << 30 },
	};
	struct client *c = calloc(1, sizeof(*c));
	struct vfio_region_info info;
	struct vfio_irq_info irq;
	struct server s;

	(void)state;
	assert_non_null(c);
	for (unsigned int i = 0; i < 2 * EMU_COUNT(shapes); i++) {
		const bool msi = i % 2;
		const char *const options[] = { "--queues",	      shapes[i / 2].queues,
						"--vectors",	      shapes[i / 2].vectors,
						"--memory",	      shapes[i / 2].memory,
						msi ? "--msi" : NULL, NULL };
		const uint64_t least = AIPU_BAR0_BYTES(shapes[i / 2].queue_count);

		emu_started(&s, server_start(&s, options));
		assert_int_equal(client_open(c, &s), 0);
		assert_int_equal(client_region_info(c, BAR0, &info, NULL), 0);
		assert_true(info.size >= least && !(info.size & (info.size - 1)));
		assert_int_equal(client_region_info(c, BAR2, &info, NULL), 0);
		assert_int_equal(info.size, shapes[i / 2].bytes);
		assert_int_equal(client_region_info(c, 4, &info, NULL), 0);
		assert_true(msi ? !info.size : info.size >= 16 * shapes[i / 2].vector_count);
		assert_int_equal(client_irq_info(c, MSIX, &irq), 0);
		assert_int_equal(irq.count, msi ? 0 : shapes[i / 2].vector_count);
		assert_int_equal(client_irq_info(c, VFIO_PCI_MSI_IRQ_INDEX, &irq), 0);
		assert_int_equal(irq.count, msi ? shapes[i / 2].msi_count : 0);
		client_close(c);
		assert_int_equal(server_stop(&s), 0);
	}
	free(c);
}

static void test_largest_memory(void **state)
{
	const uint64_t bytes = 16ull << 30;
	struct server s;
	struct client *c = calloc(1, sizeof(*c));
	struct vfio_region_info info;
	uint64_t value = 0x0123456789abcdef, back;
	uint8_t *p;
	int fd;

	(void)state;
	assert_non_null(c);
	emu_started(&s, server_start(&s, (const char *const[]){ "--memory", "16G", NULL }));
	assert_int_equal(client_open(c, &s), 0);
	assert_int_equal(client_region_info(c, BAR2, &info, &fd), 0);
	assert_true(info.size == bytes);
	/* Nobody may make it shorter under the card's feet. */
	assert_int_equal(ftruncate(fd, 4096), -1);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	close(fd);
	assert_int_equal(client_write(c, BAR2, bytes - 8, &value, 8), 0);
	assert_memory_equal(p + bytes - 8, &value, 8);
	p[0] = 0x42;
	assert_int_equal(client_read(c, BAR2, 0, &back, 8), 0);
	assert_true(back == 0x42);
	assert_true(client_read(c, BAR2, bytes - 7, &back, 8) < 0);
	assert_int_equal(client_set_config(c, 0x18, 4, ~0u), 0);
	assert_int_equal(client_set_config(c, 0x1c, 4, ~0u), 0);
	assert_int_equal(client_config(c, 0x18, 4), 0xc);
	assert_int_equal(client_config(c, 0x1c, 4), ~3u);
	munmap(p, bytes);
	client_close(c);
	assert_int_equal(server_stop(&s), 0);
	free(c);
}

int main(void)
{
#define TEST(function, set_up) cmocka_unit_test_setup_teardown(function, set_up, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_interrupts, setup),
		TEST(test_one_vector, setup),
		{ "test_one_vector_with_msi", test_one_vector, setup_msi, teardown, NULL },
		TEST(test_msi, setup_msi),
		TEST(test_hostile_eventfds, setup),
		TEST(test_registers_while_busy, setup),
		TEST(test_reset_while_busy, setup),
		TEST(test_write_multi_while_busy, setup),
		TEST(test_signals_while_busy, setup),
		TEST(test_two_servers, setup),
		TEST(test_stale_socket, setup),
		TEST(test_power_on_for_each_client, setup),
		cmocka_unit_test(test_shapes),
		cmocka_unit_test(test_largest_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
