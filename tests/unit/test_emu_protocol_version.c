// SPDX-License-Identifier: MIT
/*
 * aipu-emu's socket before any device is spoken of: VERSION, the header of a message, pieces, several clients.
 */
#include "emu_test.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include <jansson.h>

/* --- VERSION ------------------------------------------------------------------------------------------- */

struct hello {
	const char *what;
	uint16_t major, minor;
	const char *data; /* NULL: none */
	int extra; /* bytes of data beyond strlen(); 1: its NUL */
};

/* Its reply's payload bytes, or -errno */
static int hello_say(struct client *c, const struct hello *h)
{
	const size_t data = h->data ? strlen(h->data) + (size_t)h->extra : 0;
	uint8_t *payload = calloc(1, 4 + data + 1);
	int n;

	assert_non_null(payload);
	memcpy(payload, &h->major, 2);
	memcpy(payload + 2, &h->minor, 2);
	if (data)
		memcpy(payload + 4, h->data, strlen(h->data));
	n = client_call(c, VFU_VERSION, payload, 4 + data, NULL, 0);
	free(payload);
	return n;
}

/* The capabilities of the reply in c; the caller's */
static json_t *capabilities(const struct client *c, const char *what)
{
	uint16_t major, minor;
	json_error_t error;
	json_t *root, *list;

	memcpy(&major, c->payload, 2);
	memcpy(&minor, c->payload + 2, 2);
	assert_int_equal(major, 0);
	assert_int_equal(minor,
			 0); /* not above the one proposed, of which 0 is the only one there is */
	if (c->bytes < 6 || c->payload[c->bytes - 1] ||
	    strlen((const char *)c->payload + 4) != c->bytes - 5)
		fail_msg("%s: the text does not end with its only NUL", what);
	root = json_loads((const char *)c->payload + 4, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		fail_msg("%s: %s in %s", what, error.text, (const char *)c->payload + 4);
	list = json_incref(json_object_get(root, "capabilities"));
	json_decref(root);
	assert_true(json_is_object(list));
	return list;
}

static void test_version_good(void **state)
{
	static const struct hello rows[] = {
		{ "no data", 0, 0, NULL, 0 },
		{ "an empty object", 0, 0, "{}", 1 },
		{ "no capabilities", 0, 0, "{\"capabilities\": {}}", 1 },
		{ "a later minor version", 0, 65535, "{}", 1 },
		{ "unknown names", 0, 1, "{\"x\": [1], \"capabilities\": {\"y\": null}}", 1 },
		{ "a server-to-client channel", 0, 0,
		  "{\"capabilities\": {\"twin_socket\": {\"supported\": true}}}", 1 },
		{ "one number", 0, 0, "{\"capabilities\": {\"max_msg_fds\": 1}}", 1 },
	};
	struct emu_fixture *f = *state;
	const char *name;
	json_t *list, *value;

	for (size_t i = 0; i < EMU_COUNT(rows); i++) {
		assert_int_equal(client_connect(&f->client, &f->server), 0);
		if (hello_say(&f->client, &rows[i]) < 0)
			fail_msg("%s: refused", rows[i].what);
		list = capabilities(&f->client, rows[i].what);
		json_object_foreach(list, name,
				    value) if (!rows[i].data || !strstr(rows[i].data, name))
			fail_msg("%s: %s was not proposed", rows[i].what, name);
		json_decref(list);
		assert_int_equal(f->client.fd_count, 0);
		assert_true(emu_answers(&f->client));
		client_close(&f->client);
	}
}

static void test_version_of_qemu(void **state)
{
	struct emu_fixture *f = *state;
	json_t *list;

	assert_int_equal(client_open(&f->client, &f->server), 0);
	list = capabilities(&f->client, "as QEMU says it");
	/* QEMU calls a larger number malformed, and ends */
	assert_in_range(json_integer_value(json_object_get(list, "max_msg_fds")), 1, 16);
	assert_int_equal(json_integer_value(json_object_get(list, "max_data_xfer_size")), 1 << 20);
	assert_int_equal(json_integer_value(json_object_get(list, "max_dma_maps")), 65535);
	assert_int_equal(json_integer_value(json_object_get(list, "pgsizes")), 4096);
	assert_null(json_object_get(list, "migration"));
	json_decref(list);
	client_close(&f->client);
}

static void test_version_bad(void **state)
{
	static const struct hello rows[] = {
		{ "major version 1", 1, 0, "{}", 1 },
		{ "major version 65535", 65535, 0, "{}", 1 },
		{ "no NUL", 0, 0, "{}", 0 },
		{ "a NUL alone", 0, 0, "", 1 },
		{ "bytes behind the NUL", 0, 0, "{}", 3 },
		{ "text that is no JSON", 0, 0, "capabilities", 1 },
		{ "half of an object", 0, 0, "{\"capabilities\": {", 1 },
		{ "an array", 0, 0, "[]", 1 },
		{ "a number", 0, 0, "1", 1 },
		{ "capabilities that are none", 0, 0, "{\"capabilities\": 3}", 1 },
		{ "capabilities that are a list", 0, 0, "{\"capabilities\": []}", 1 },
		{ "a number that is a text", 0, 0, "{\"capabilities\": {\"max_msg_fds\": \"1\"}}",
		  1 },
		{ "a negative number", 0, 0, "{\"capabilities\": {\"max_dma_maps\": -1}}", 1 },
		{ "no UTF-8", 0, 0, "{\"\xff\": 1}", 1 },
	};
	struct emu_fixture *f = *state;

	for (size_t i = 0; i < EMU_COUNT(rows); i++) {
		int result;

		assert_int_equal(client_connect(&f->client, &f->server), 0);
		result = hello_say(&f->client, &rows[i]);
		if (result >= 0 || result == -ETIMEDOUT)
			fail_msg("%s: %d", rows[i].what, result);
		client_close(&f->client);
	}
	assert_int_equal(client_open(&f->client, &f->server), 0);
}

/* Nothing but the stack's depth or a copy could suffer from these */
static void test_version_large(void **state)
{
	const size_t bytes = 1 << 20;
	struct emu_fixture *f = *state;
	char *deep = malloc(bytes + 1);
	int result;

	assert_non_null(deep);
	for (unsigned int way = 0; way < 2; way++) {
		const struct hello h = { "large", 0, 0, deep, 1 };

		memset(deep, way ? ' ' : '[', bytes);
		deep[bytes - 64] = 0;
		assert_int_equal(client_connect(&f->client, &f->server), 0);
		result = hello_say(&f->client, &h);
		assert_true(result < 0 && result != -ETIMEDOUT);
		client_close(&f->client);
	}
	free(deep);
	assert_int_equal(client_open(&f->client, &f->server), 0);
}

static void test_version_short(void **state)
{
	static const uint8_t zeros[4];
	struct emu_fixture *f = *state;

	for (size_t bytes = 0; bytes < 4; bytes++) {
		int result;

		assert_int_equal(client_connect(&f->client, &f->server), 0);
		result = client_call(&f->client, VFU_VERSION, zeros, bytes, NULL, 0);
		assert_true(result < 0 && result != -ETIMEDOUT);
		client_close(&f->client);
	}
	assert_int_equal(client_open(&f->client, &f->server), 0);
}

/* What a client did not propose is not used on it: here no descriptors, and no writes in one message. */
static void test_version_of_less(void **state)
{
	static const struct hello less = { "less", 0, 0, "{\"capabilities\": {\"max_msg_fds\": 0}}",
					   1 };
	static const struct {
		uint64_t count;
		struct vfu_access access;
		uint64_t data;
	} multi = { 1, { 0x3c, VFIO_PCI_CONFIG_REGION_INDEX, 1 }, 7 };
	struct emu_fixture *f = *state;
	struct vfio_region_info info;
	uint32_t word = 0x01020304, back = 0;
	int fd;

	assert_int_equal(client_connect(&f->client, &f->server), 0);
	assert_true(hello_say(&f->client, &less) > 0);
	assert_int_equal(client_region_info(&f->client, VFIO_PCI_BAR2_REGION_INDEX, &info, &fd), 0);
	assert_int_equal(fd, -1);
	assert_false(info.flags & VFIO_REGION_INFO_FLAG_MMAP);
	assert_int_equal(client_write(&f->client, VFIO_PCI_BAR2_REGION_INDEX, 8, &word, 4), 0);
	assert_int_equal(client_read(&f->client, VFIO_PCI_BAR2_REGION_INDEX, 8, &back, 4), 0);
	assert_int_equal(back, word);
	assert_true(client_call(&f->client, VFU_REGION_WRITE_MULTI, &multi, sizeof(multi), NULL,
				0) < 0);
	assert_int_equal(client_config(&f->client, 0x3c, 1), 0);
}

static void test_version_twice(void **state)
{
	struct emu_fixture *f = *state;

	assert_int_equal(client_open(&f->client, &f->server), 0);
	emu_refused(f, client_hello(&f->client), "a second VERSION");
}

static void test_before_version(void **state)
{
	struct emu_fixture *f = *state;
	static const uint8_t zeros[64];
	int result;

	for (unsigned int command = VFU_DMA_MAP; command <= 18; command++) {
		assert_int_equal(client_connect(&f->client, &f->server), 0);
		result = client_call(&f->client, command, zeros,
				     command == VFU_DEVICE_RESET ? 0 : 16, NULL, 0);
		if (result >= 0 || result == -ETIMEDOUT)
			fail_msg("command %u before VERSION: %d", command, result);
		client_close(&f->client);
	}
	/* Nor does one that would be good do anything. */
	assert_int_equal(client_connect(&f->client, &f->server), 0);
	assert_true(client_set_config(&f->client, 4, 2, 6) < 0);
	client_close(&f->client);
	assert_int_equal(client_open(&f->client, &f->server), 0);
	assert_int_equal(client_config(&f->client, 4, 2), 0);
}

/* --- headers ------------------------------------------------------------------------------------------- */

static void test_header_bad(void **state)
{
	static const struct {
		const char *what;
		struct vfu_header header;
	} rows[] = {
		{ "size 0", { 1, VFU_GET_INFO, 0, 0, 0 } },
		{ "size of less than a header", { 1, VFU_GET_INFO, 15, 0, 0 } },
		{ "size beyond everything", { 1, VFU_REGION_WRITE, 0xffffffff, 0, 0 } },
		{ "size beyond the largest write",
		  { 1, VFU_REGION_WRITE, 16 + 16 + (1 << 20) + 1, 0, 0 } },
		{ "command 0", { 1, 0, 16, 0, 0 } },
		{ "command 14", { 1, 14, 16, 0, 0 } },
		{ "a command of the server's", { 1, VFU_DMA_READ, 16, 0, 0 } },
		{ "command 19", { 1, 19, 16, 0, 0 } },
		{ "command 65535", { 1, 65535, 16, 0, 0 } },
		{ "a reply", { 1, VFU_DEVICE_RESET, 16, VFU_REPLY, 0 } },
		{ "type 2", { 1, VFU_DEVICE_RESET, 16, 2, 0 } },
		{ "type 15", { 1, VFU_DEVICE_RESET, 16, 15, 0 } },
		{ "the error flag", { 1, VFU_DEVICE_RESET, 16, VFU_ERROR, 0 } },
		{ "an unknown flag", { 1, VFU_DEVICE_RESET, 16, 1u << 31, 0 } },
	};
	struct emu_fixture *f = *state;
	int result;

	assert_int_equal(client_open(&f->client, &f->server), 0);
	for (size_t i = 0; i < EMU_COUNT(rows); i++) {
		assert_int_equal(client_send(&f->client, &rows[i].header, 16, NULL, 0), 0);
		result = client_receive(&f->client, CLIENT_PATIENCE_MS);
		if (!result) {
			assert_int_equal(f->client.header.id, rows[i].header.id);
			assert_int_equal(f->client.header.command, rows[i].header.command);
			result = f->client.header.flags & VFU_ERROR ? -EINVAL : 0;
		}
		emu_refused(f, result, rows[i].what);
	}
}

/* What wants no reply gets none, good or bad: the next reply is the next command's. */
static void test_no_reply(void **state)
{
	const struct vfu_info info = { .argsz = sizeof(info) };
	static const uint8_t junk[64];
	struct emu_fixture *f = *state;
	struct {
		struct vfu_access access;
		uint32_t value;
	} write = { { 0x3c, VFIO_PCI_CONFIG_REGION_INDEX, 1 }, 0x5a };

	assert_int_equal(client_open(&f->client, &f->server), 0);
	assert_true(client_request(&f->client, VFU_GET_INFO, VFU_NO_REPLY, &info, sizeof(info),
				   NULL, 0) > 0);
	assert_true(client_request(&f->client, VFU_REGION_WRITE, VFU_NO_REPLY, &write,
				   sizeof(write.access) + 1, NULL, 0) > 0);
	assert_int_equal(client_config(&f->client, 0x3c, 1), 0x5a);
	assert_true(client_request(&f->client, VFU_REGION_READ, VFU_NO_REPLY, junk, 3, NULL, 0) >
		    0);
	if (!emu_answers(&f->client)) {
		client_close(&f->client);
		assert_int_equal(client_open(&f->client, &f->server), 0);
	}
}

/* --- pieces -------------------------------------------------------------------------------------------- */

static void test_message_in_pieces(void **state)
{
	struct emu_fixture *f = *state;
	struct {
		struct vfu_header header;
		struct vfu_info info;
	} m = { { 77, VFU_GET_INFO, sizeof(m), 0, 0 }, { .argsz = sizeof(m.info) } };

	assert_int_equal(client_open(&f->client, &f->server), 0);
	for (size_t i = 0; i < sizeof(m); i++) {
		assert_int_equal(client_send(&f->client, (const uint8_t *)&m + i, 1, NULL, 0), 0);
		if (i % 7 == 0)
			usleep(1000);
	}
	assert_int_equal(client_receive(&f->client, CLIENT_PATIENCE_MS), 0);
	assert_int_equal(f->client.header.id, 77);
	assert_int_equal(f->client.bytes, sizeof(m.info));
}

/* Many at once, more than one read of the server takes; answered in order, with ids that repeat */
static void test_messages_together(void **state)
{
	enum { MESSAGES = 3000 };
	struct emu_fixture *f = *state;
	struct message {
		struct vfu_header header;
		struct vfu_access access;
	} *m = calloc(MESSAGES, sizeof(*m));

	assert_non_null(m);
	assert_int_equal(client_open(&f->client, &f->server), 0);
	for (unsigned int i = 0; i < MESSAGES; i++)
		m[i] = (struct message){ { (uint16_t)(i / 2), VFU_REGION_READ, sizeof(*m), 0, 0 },
					 { i % 64, VFIO_PCI_CONFIG_REGION_INDEX, 1 } };
	for (unsigned int i = 0; i < MESSAGES; i += MESSAGES / 10) {
		assert_int_equal(
			client_send(&f->client, m + i, MESSAGES / 10 * sizeof(*m), NULL, 0), 0);
		for (unsigned int n = i; n < i + MESSAGES / 10; n++) {
			assert_int_equal(client_receive(&f->client, CLIENT_PATIENCE_MS), 0);
			assert_int_equal(f->client.header.id, n / 2);
			assert_memory_equal(f->client.payload, &m[n].access, sizeof(m[n].access));
		}
	}
	free(m);
}

static void test_disconnect_in_message(void **state)
{
	struct {
		struct vfu_header header;
		struct vfu_access access;
		uint8_t data[4096];
	} m = { { 1, VFU_REGION_WRITE, sizeof(m), 0, 0 },
		{ 0, VFIO_PCI_BAR2_REGION_INDEX, sizeof(m.data) },
		{ 0 } };
	static const size_t cuts[] = { 0, 1, 15, 16, 17, 31, 32, 33, 4127 };
	struct emu_fixture *f = *state;

	for (size_t i = 0; i < EMU_COUNT(cuts); i++)
		for (unsigned int hello = 0; hello < 2; hello++) {
			assert_int_equal(hello ? client_open(&f->client, &f->server)
					       : client_connect(&f->client, &f->server),
					 0);
			assert_int_equal(client_send(&f->client, &m, cuts[i], NULL, 0), 0);
			client_close(&f->client);
		}
	assert_int_equal(client_open(&f->client, &f->server), 0);
	assert_true(emu_answers(&f->client));
}

/* Gone before its answers are read */
static void test_disconnect_with_answers(void **state)
{
	const struct vfu_access access = { 0, VFIO_PCI_BAR2_REGION_INDEX, 1 << 20 };
	struct emu_fixture *f = *state;

	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(client_open(&f->client, &f->server), 0);
		for (unsigned int n = 0; n < 4; n++)
			assert_true(client_request(&f->client, VFU_REGION_READ, 0, &access,
						   sizeof(access), NULL, 0) > 0);
		client_close(&f->client);
	}
	assert_int_equal(client_open(&f->client, &f->server), 0);
	assert_true(emu_answers(&f->client));
}

/* --- several clients ----------------------------------------------------------------------------------- */

static void test_clients_one_after_another(void **state)
{
	struct emu_fixture *f = *state;
	struct client *second = calloc(1, sizeof(*second));
	static const uint8_t hello[4];

	assert_non_null(second);
	assert_int_equal(client_open(&f->client, &f->server), 0);
	assert_int_equal(client_set_config(&f->client, 0x3c, 1, 0x42), 0);
	/* The second may knock, but the first is served until it goes. */
	assert_int_equal(client_connect(second, &f->server), 0);
	assert_true(client_request(second, VFU_VERSION, 0, hello, sizeof(hello), NULL, 0) > 0);
	for (unsigned int i = 0; i < 100; i++)
		assert_true(emu_answers(&f->client));
	assert_int_equal(client_receive(second, 0), -ETIMEDOUT);
	client_close(&f->client);
	assert_int_equal(client_receive(second, CLIENT_PATIENCE_MS), 0);
	assert_int_equal(second->header.flags, VFU_REPLY);
	/* For it the function was just powered on. */
	assert_int_equal(client_config(second, 0x3c, 1), 0);
	client_close(second);
	free(second);
}

static unsigned int open_files(const struct server *s)
{
	unsigned int n = 0;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)s->pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Descriptors that came with good and bad messages are closed with their client at the latest. */
static void test_descriptors_closed(void **state)
{
	struct emu_fixture *f = *state;
	int fds[CLIENT_MAX_FDS];
	unsigned int before = 0;

	for (size_t i = 0; i < EMU_COUNT(fds); i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int n = 1; n <= EMU_COUNT(fds); n++) {
			static const uint8_t junk[48];
			int result;

			assert_int_equal(client_connect(&f->client, &f->server), 0);
			if (n % 2)
				assert_int_equal(client_hello(&f->client), 0);
			result = client_call(&f->client, n, junk, n * 3, fds, n);
			assert_true(result < 0 && result != -ETIMEDOUT);
			client_close(&f->client);
			assert_int_equal(client_open(&f->client, &f->server), 0);
			client_irqs(&f->client, VFIO_PCI_MSIX_IRQ_INDEX,
				    VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, n,
				    fds, n);
			client_close(&f->client);
		}
		assert_int_equal(client_open(&f->client, &f->server), 0);
		if (!round)
			before = open_files(&f->server);
		assert_int_equal(open_files(&f->server), before);
		client_close(&f->client);
	}
	for (size_t i = 0; i < EMU_COUNT(fds); i++)
		close(fds[i]);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_teardown(function, emu_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_version_good),
		TEST(test_version_of_qemu),
		TEST(test_version_bad),
		TEST(test_version_large),
		TEST(test_version_short),
		TEST(test_version_of_less),
		TEST(test_version_twice),
		TEST(test_before_version),
		TEST(test_header_bad),
		TEST(test_no_reply),
		TEST(test_message_in_pieces),
		TEST(test_messages_together),
		TEST(test_disconnect_in_message),
		TEST(test_disconnect_with_answers),
		TEST(test_clients_one_after_another),
		TEST(test_descriptors_closed),
	};

	return cmocka_run_group_tests(tests, emu_group_setup, emu_group_teardown);
}
