/* SPDX-License-Identifier: MIT */
/*
 * The emulated card set up for a driver, as firmware and kernel of a guest leave it: server started, host memory mapped for
 * DMA, device memory mapped into the process, vectors at eventfds that a thread counts, Bus Master on. Fills the access
 * layer of tests/abi, so that its driver runs on it. Never touches the device's registers.
 */
#ifndef EMU_GUEST_H
#define EMU_GUEST_H

#include <pthread.h>

#include "access.h"
#include "client.h"

#define GUEST_HOST_BYTES (1u << 20)
#define GUEST_HOST_ADDRESS 0x740000000ull /* nothing to do with pointers: a mix-up is found */
#define GUEST_VECTORS 8u /* of struct access */

struct guest {
	struct server server;
	struct client client;
	struct access *access;
	uint64_t memory_bytes; /* of BAR2 */
	int host_fd;
	uint32_t irq_index, vectors; /* MSI-X or MSI; in use */
	int irq_fds[GUEST_VECTORS], stop_fd;
	pthread_t thread;
	bool counting;
};

/* The shape of the device that tests/abi expects, as options */
#define GUEST_SHAPE_WORDS 11u
extern const char *const guest_shape[GUEST_SHAPE_WORDS + 1]; /* ended by NULL */

/* Starts a server with the options and connects. 0 or -errno; then there is nothing to close. */
int guest_open(struct guest **out, struct access *a, const char *const *options);
/* How the server ended, as server_stop() */
int guest_close(struct guest *g);
/* A client on the server that runs, with fresh host memory; and its end, without a word to the server */
int guest_connect(struct guest *g);
void guest_disconnect(struct guest *g);

/* access_read() and access_write() */
uint32_t guest_read(struct guest *g, uint32_t offset);
void guest_write(struct guest *g, uint32_t offset, uint32_t value);

#endif
