// SPDX-License-Identifier: MIT
/*
 * aipu-emu under clients that do everything at once, leave in the midst of it, do not listen, or talk nonsense: it never
 * waits for them, never loses a reply, and serves the next one.
 */
#include "emu_bench.h"

#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "aipu-emu/emu.h"

#define AREA (1ull << 40)

struct small_write {
	struct vfu_access access;
	uint32_t value;
};

static int send_write(struct bench *b, uint32_t region, uint64_t offset, uint32_t bytes,
		      uint32_t value)
{
	const struct small_write w = { { offset, region, bytes }, value };

	return client_request(client_of(b), VFU_REGION_WRITE, 0, &w, sizeof(w.access) + bytes, NULL,
			      0);
}

static uint32_t express(struct bench *b)
{
	uint32_t at = client_config(client_of(b), 0x34, 1);

	while (at && client_config(client_of(b), at, 1) != 0x10)
		at = client_config(client_of(b), at + 1, 1);
	return at;
}

/* A long copy to `*fd`, which is mapped at AREA, on its way */
static uint16_t copy_to_area(struct bench *b, uint8_t **memory, int *fd)
{
	uint16_t id;

	*memory = bench_memory(BENCH_PIECE, 0xff, fd);
	assert_int_equal(client_map(client_of(b), AREA, BENCH_PIECE, *fd, 0, 3), 0);
	assert_int_equal(bench_bind(b, BENCH_FREE, AREA, BENCH_PIECE), AIPU_STATUS_OK);
	id = bench_copy_long(b, 1, BENCH_BIG, BENCH_FREE);
	for (unsigned int ms = 0; __atomic_load_n(*memory, __ATOMIC_ACQUIRE); ms++) {
		assert_true(ms < CLIENT_PATIENCE_MS);
		usleep(1000);
	}
	return id;
}

/* The first unmet replies, in the order of their requests */
static void receive_in_order(struct bench *b, int first, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(client_receive(client_of(b), CLIENT_PATIENCE_MS), 0);
		assert_int_equal(client_of(b)->header.flags, VFU_REPLY);
		assert_int_equal(client_of(b)->header.id, (uint16_t)(first + (int)i));
	}
}

/* Bus Master on and off, as fast as it goes, while DMA is in flight: each write is answered, in order. */
static void test_bus_master_toggled(void **state)
{
	enum { TOGGLES = 150 };
	struct bench *b = *state;
	uint8_t *memory;
	int fd, first;

	for (unsigned int round = 0; round < 3; round++) {
		copy_to_area(b, &memory, &fd);
		first = client_of(b)->next_id;
		for (unsigned int i = 0; i < TOGGLES; i++)
			assert_true(send_write(b, CONFIG, 4, 2, i % 2 ? 6 : 2) >= 0);
		receive_in_order(b, first, TOGGLES);
		assert_int_equal(client_config(client_of(b), 4, 2), 6);
		assert_int_equal(device_reset(&b->d), AIPU_STATE_ROM);
		assert_int_equal(client_unmap(client_of(b), AREA, BENCH_PIECE, 0), 0);
		munmap(memory, BENCH_PIECE);
		close(fd);
		bench_again(b);
		NOP_OK(b, 1);
	}
}

/* Resets of all kinds on top of each other; each counts once, and the last one's end is a card that works. */
static void test_resets_together(void **state)
{
	enum { ROUNDS = 40 };
	struct bench *b = *state;
	const uint32_t flr = express(b) + 8;
	uint8_t *memory;
	int fd, first;

	copy_to_area(b, &memory, &fd);
	first = client_of(b)->next_id;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		assert_true(client_request(client_of(b), VFU_DEVICE_RESET, 0, NULL, 0, NULL, 0) >=
			    0);
		assert_true(send_write(b, CONFIG, 4, 2, 6) >= 0);
		assert_true(send_write(b, BAR0, AIPU_REG_CONTROL, 4, AIPU_CONTROL_RESET) >= 0);
		assert_true(send_write(b, BAR0, AIPU_REG_BOOT_COMMAND, 4, AIPU_BOOT_LOAD) >= 0);
		assert_true(send_write(b, CONFIG, flr, 2, 0x8000) >= 0);
		/* Register writes have nothing to wait for, so their replies may overtake. */
		for (unsigned int n = 0; n < 5; n++) {
			assert_int_equal(client_receive(client_of(b), CLIENT_PATIENCE_MS), 0);
			assert_int_equal(client_of(b)->header.flags, VFU_REPLY);
			assert_in_range((uint16_t)(client_of(b)->header.id - first), i * 5,
					i * 5 + 4);
		}
	}
	assert_int_equal(client_set_config(client_of(b), 4, 2, 6), 0);
	assert_int_equal(device_wait(&b->d, AIPU_STATE_ROM, AIPU_STATE_ROM), AIPU_STATE_ROM);
	assert_int_equal(BENCH_REG(b, RESET_COUNT), 3 * ROUNDS);
	munmap(memory, BENCH_PIECE);
	close(fd);
	bench_again(b);
	NOP_OK(b, 1);
}

/* Gone while a reply is still waiting for DMA in flight, by each way there is to wait */
static void test_disconnect_with_waiting_reply(void **state)
{
	const struct vfu_unmap all = { sizeof(all), VFU_UNMAP_ALL, 0, 0 };
	struct bench *b = *state;
	const uint32_t flr = express(b) + 8;
	uint8_t *memory;
	int fd;

	for (unsigned int round = 0; round < 12; round++) {
		copy_to_area(b, &memory, &fd);
		for (unsigned int i = 0; i <= round / 4; i++)
			switch (round % 4) {
			case 0:
				client_request(client_of(b), VFU_DMA_UNMAP, 0, &all, sizeof(all),
					       NULL, 0);
				break;
			case 1:
				send_write(b, CONFIG, 4, 2, i % 2 ? 6 : 2);
				break;
			case 2:
				send_write(b, CONFIG, flr, 2, 0x8000);
				break;
			default:
				client_request(client_of(b), VFU_DEVICE_RESET, 0, NULL, 0, NULL, 0);
			}
		guest_disconnect(b->guest);
		assert_int_equal(guest_connect(b->guest), 0);
		memset(memory, 0x5a, BENCH_PIECE);
		usleep(5000);
		for (size_t i = 0; i < BENCH_PIECE; i += 512)
			assert_int_equal(memory[i], 0x5a);
		munmap(memory, BENCH_PIECE);
		close(fd);
		bench_again(b);
		NOP_OK(b, 2);
	}
}

/* Other maps come and go; a copy that does not use them goes on as if nothing were. */
static void test_maps_beside_a_copy(void **state)
{
	struct bench *b = *state;
	uint8_t *memory, *other;
	uint16_t id;
	int fd, second;

	id = copy_to_area(b, &memory, &fd);
	other = bench_memory(1 << 20, 0, &second);
	for (unsigned int i = 0; i < 400; i++) {
		assert_int_equal(client_map(client_of(b), 2 * AREA + i % 16 * 4096, 4096,
					    i % 2 ? second : fd, i % 16 * 4096, 3),
				 0);
		assert_int_equal(client_unmap(client_of(b), 2 * AREA + i % 16 * 4096, 4096, 0), 0);
	}
	assert_false(ring_ended(&b->d, &b->q[1], id));
	assert_int_equal(BENCH_ADMIN(b, ABORT, .abort = { .queue = 1, .job = id }), AIPU_STATUS_OK);
	assert_int_equal(ring_wait(&b->d, &b->q[1], id), AIPU_STATUS_ABORTED);
	munmap(memory, BENCH_PIECE);
	munmap(other, 1 << 20);
	close(fd);
	close(second);
}

/* A client that asks and never listens: the server ends at a signal nevertheless. */
static void test_signal_with_deaf_client(void **state)
{
	const struct vfu_access access = { 0, BAR2, CLIENT_MAX_DATA };
	struct bench *b = *state;

	for (unsigned int i = 0; i < 8; i++)
		assert_true(client_request(client_of(b), VFU_REGION_READ, 0, &access,
					   sizeof(access), NULL, 0) >= 0);
	usleep(50000);
	kill(b->guest->server.pid, SIGTERM);
	assert_int_equal(server_wait(&b->guest->server, CLIENT_PATIENCE_MS), 0);
}

/* More descriptors than the protocol has room for: refused, and none is kept. */
static void test_too_many_descriptors(void **state)
{
	const struct vfu_irqs set = { sizeof(set),
				      VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
				      VFIO_PCI_MSIX_IRQ_INDEX, 0, 8 };
	struct bench *b = *state;
	int fds[CLIENT_MAX_SEND_FDS];

	for (size_t i = 0; i < EMU_COUNT(fds); i++)
		fds[i] = b->guest->irq_fds[i % 8];
	for (unsigned int n = 9; n <= EMU_COUNT(fds); n += 5) {
		assert_true(client_call(client_of(b), VFU_SET_IRQS, &set, sizeof(set), fds, n) < 0);
		assert_true(emu_answers(client_of(b)));
	}
	NOP_OK(b, 1);
}

/* --- nonsense -------------------------------------------------------------------------------------------- */

static uint32_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (uint32_t)(*seed >> 32);
}

static uint32_t one_of(uint64_t *seed, const uint32_t *values, size_t count)
{
	return values[draw(seed) % count];
}
#define ONE_OF(seed, ...)                               \
	one_of(seed, (const uint32_t[]){ __VA_ARGS__ }, \
	       sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* A payload that makes sense, of maps and accesses that meet each other; its bytes */
static size_t sense(uint64_t *seed, unsigned int command, uint8_t *payload)
{
	const uint64_t page = 4096ull * (1 + draw(seed) % 8);
	const uint64_t pages = 4096ull * (1 + draw(seed) % 2);
	const struct vfu_map map = { 32, 1 + draw(seed) % 3, draw(seed) % 8 * 4096ull, page,
				     pages };
	const struct vfu_unmap unmap = { 24, 0, page, ONE_OF(seed, 4096, 8192, 1 << 20) };
	const struct vfio_region_info region = { .argsz = 32, .index = draw(seed) % 9 };
	const struct vfu_irqs irqs = { 20, ONE_OF(seed, 33, 36, 36), ONE_OF(seed, 2, 2, 3, 4),
				       draw(seed) % 8, ONE_OF(seed, 0, 1, 1, 2) };
	const struct vfu_access access = { draw(seed) % 512 * 4,
					   ONE_OF(seed, BAR0, BAR0, BAR2, 4, CONFIG, CONFIG),
					   ONE_OF(seed, 0, 1, 2, 4, 4, 4, 8) };
	const uint32_t four[4] = { 16, 0, draw(seed) % 5, 0 };
	const uint64_t one = 1;

	memset(payload, (int)draw(seed), 64);
	switch (command) {
	case VFU_DMA_MAP:
		memcpy(payload, &map, sizeof(map));
		return sizeof(map);
	case VFU_DMA_UNMAP:
		memcpy(payload, &unmap, sizeof(unmap));
		return sizeof(unmap);
	case VFU_GET_REGION_INFO:
		memcpy(payload, &region, sizeof(region));
		return sizeof(region);
	case VFU_GET_INFO:
		memcpy(payload, (const uint32_t[4]){ 16 }, 16);
		return 16;
	case VFU_GET_REGION_IO_FDS:
	case VFU_GET_IRQ_INFO:
		memcpy(payload, four, sizeof(four));
		return sizeof(four);
	case VFU_SET_IRQS:
		memcpy(payload, &irqs, sizeof(irqs));
		return sizeof(irqs);
	case VFU_REGION_READ:
	case VFU_REGION_WRITE:
		memcpy(payload, &access, sizeof(access));
		return sizeof(access) + (command == VFU_REGION_WRITE ? access.count : 0);
	case VFU_REGION_WRITE_MULTI:
		memcpy(payload, &one, 8);
		memcpy(payload + 8, &access, sizeof(access));
		return 32;
	default:
		return 0;
	}
}

/* A good message, and in one of three cases a word of it is spoiled */
static size_t nonsense(uint64_t *seed, uint8_t message[256])
{
	const unsigned int command = draw(seed) % 17;
	const size_t bytes = 16 + sense(seed, command, message + 16);
	struct vfu_header header = { .id = (uint16_t)draw(seed),
				     .command = (uint16_t)command,
				     .size = (uint32_t)bytes,
				     .flags = draw(seed) % 8 ? 0 : VFU_NO_REPLY };
	uint32_t bad = ONE_OF(seed, 0, 1, 4, 16, 0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff);

	if (draw(seed) % 200 == 0)
		header.size = bad % 100;
	if (draw(seed) % 50 == 0)
		header.flags = draw(seed);
	memcpy(message, &header, sizeof(header));
	if (draw(seed) % 3 == 0 && bytes >= 20)
		memcpy(message + 16 + draw(seed) % (bytes / 4 - 4) * 4, &bad, 4);
	return bytes;
}

/* Thousands of such messages, with descriptors now and then; whoever comes after them is served. */
static void test_nonsense(void **state)
{
	enum { NONSENSE = 40000 };
	static const char *const options[] = { "--memory", "1M", "--vectors", "8", NULL };
	struct client *c = calloc(1, sizeof(*c));
	uint64_t seed = 0x9e3779b97f4a7c15;
	unsigned int clients = 0, sent = 0;
	uint8_t message[256], *area;
	struct server s;
	int fds[2], fd;

	(void)state;
	assert_non_null(c);
	emu_started(&s, server_start(&s, options));
	area = bench_memory(1 << 20, 0, &fds[0]);
	fds[1] = eventfd(0, EFD_CLOEXEC);
	while (sent < NONSENSE) {
		assert_int_equal(client_open(c, &s), 0);
		clients++;
		for (unsigned int i = 0; i < 1000; i++, sent++) {
			const size_t bytes = nonsense(&seed, message);
			const uint32_t with = draw(&seed) % 8;
			int error;

			/* Memory for maps and eventfds for interrupts, as a rule */
			fd = fds[(message[2] == VFU_DMA_MAP) ^ (with != 0)];
			error = client_send(c, message, bytes, &fd,
					    message[2] == VFU_DMA_MAP || message[2] == VFU_SET_IRQS
						    ? with < 6
						    : with == 7);
			/* Replies are read now and then, so that the socket does not fill */
			while (!error && i % 16 == 15)
				error = client_receive(c, 0);
			if (error && error != -ETIMEDOUT)
				break;
		}
		client_close(c);
		assert_true(server_runs(&s));
	}
	assert_true(clients > 20);
	assert_int_equal(client_open(c, &s), 0);
	assert_true(emu_answers(c));
	client_close(c);
	assert_int_equal(server_stop(&s), 0);
	munmap(area, 1 << 20);
	close(fds[0]);
	close(fds[1]);
	free(c);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_bus_master_toggled),
		TEST(test_resets_together),
		TEST(test_disconnect_with_waiting_reply),
		TEST(test_maps_beside_a_copy),
		TEST(test_signal_with_deaf_client),
		TEST(test_too_many_descriptors),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
