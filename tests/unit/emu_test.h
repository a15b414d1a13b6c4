/* SPDX-License-Identifier: MIT */
/*
 * What the protocol tests of aipu-emu share: a server for the whole group, a client for each test, and what a refusal is.
 * Called by test_emu_*.c.
 */
#ifndef AIPU_EMU_TEST_H
#define AIPU_EMU_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "client.h"

#define EMU_UNUSED __attribute__((unused))
#define BAR0 VFIO_PCI_BAR0_REGION_INDEX
#define BAR2 VFIO_PCI_BAR2_REGION_INDEX
#define CONFIG VFIO_PCI_CONFIG_REGION_INDEX
#define EMU_COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct emu_fixture {
	struct server server;
	struct client client;
};

/* Tells what the server said before it fails: it is in another process. */
EMU_UNUSED static void emu_started(struct server *s, int error)
{
	char said[512];

	if (!error)
		return;
	server_output(s, said, sizeof(said));
	server_stop(s);
	fail_msg("no server: %s; it said: %s", strerror(-error), said);
}

EMU_UNUSED static int emu_group_setup_with(void **state, const char *const *options)
{
	struct emu_fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->client.fd = -1;
	emu_started(&f->server, server_start(&f->server, options));
	*state = f;
	return 0;
}

EMU_UNUSED static int emu_group_setup(void **state)
{
	return emu_group_setup_with(state, (const char *const[]){ "--memory", "64M", NULL });
}

/* The server has outlived everything, and ends as it should. */
EMU_UNUSED static int emu_group_teardown(void **state)
{
	struct emu_fixture *f = *state;
	char said[4096];
	int status;

	client_close(&f->client);
	server_output(&f->server, said, sizeof(said));
	status = server_stop(&f->server);
	if (status)
		print_error("# the server ended with status %#x; it said:\n%s\n", status, said);
	free(f);
	return status;
}

EMU_UNUSED static int emu_setup(void **state)
{
	struct emu_fixture *f = *state;

	assert_int_equal(client_open(&f->client, &f->server), 0);
	return 0;
}

EMU_UNUSED static int emu_teardown(void **state)
{
	struct emu_fixture *f = *state;

	client_close(&f->client);
	return 0;
}

EMU_UNUSED static bool emu_answers(struct client *c)
{
	const struct vfu_info ask = { .argsz = sizeof(ask) };

	return client_call(c, VFU_GET_INFO, &ask, sizeof(ask), NULL, 0) == (int)sizeof(ask);
}

/*
 * What client_call() gave is a refusal: an error reply of a header alone, after which this client is served as before,
 * or the end of the connection. In both cases the next client is served.
 */
EMU_UNUSED static void emu_refused(struct emu_fixture *f, int result, const char *what)
{
	struct client *c = &f->client;

	if (result >= 0 || result == -ETIMEDOUT || result == -EBADMSG)
		fail_msg("%s: %d where a refusal was due", what, result);
	if (result != -EPIPE) {
		if (c->bytes || c->fd_count ||
		    (c->header.flags & (VFU_REPLY | VFU_ERROR)) != (VFU_REPLY | VFU_ERROR))
			fail_msg("%s: the error reply has flags %#x, %u bytes and %u descriptors",
				 what, c->header.flags, c->bytes, c->fd_count);
		if (!emu_answers(c))
			fail_msg("%s: an error reply, and then no answer", what);
	} else {
		client_close(c);
		if (client_open(c, &f->server) || !emu_answers(c))
			fail_msg("%s: the next client is not served", what);
	}
}

#endif
