/* SPDX-License-Identifier: MIT */
/*
 * The emulated card set up for a driver, as firmware and kernel of a guest leave it: server started, host memory mapped for
 * DMA, device memory mapped into the process, vectors at eventfds that a thread counts, Bus Master on. Fills the access
 * layer of tests/abi, so that its driver runs on it. Never touches the device's registers.
 */
#ifndef EMU_RIG_H
#define EMU_RIG_H

#include <pthread.h>

#include "access.h"
#include "client.h"

#define RIG_HOST_BYTES (1u << 20)
#define RIG_HOST_ADDRESS 0x740000000ull /* nothing to do with pointers: a mix-up is found */
#define RIG_VECTORS 8u /* of struct access */

struct rig {
	struct server server;
	struct client client;
	struct access *access;
	uint64_t memory_bytes; /* of BAR2 */
	int host_fd;
	uint32_t irq_index, vectors; /* MSI-X or MSI; in use */
	int irq_fds[RIG_VECTORS], stop_fd;
	pthread_t thread;
	bool counting;
};

/* The shape of the device that tests/abi expects, as options */
extern const char *const rig_shape[];

/* Starts a server with the options and connects. 0 or -errno; then there is nothing to close. */
int rig_open(struct rig **out, struct access *a, const char *const *options);
void rig_close(struct rig *r);
/* A client on the server that runs, with fresh host memory; and its end, without a word to the server */
int rig_connect(struct rig *r);
void rig_disconnect(struct rig *r);

/* access_read() and access_write() */
uint32_t rig_read(struct rig *r, uint32_t offset);
void rig_write(struct rig *r, uint32_t offset, uint32_t value);

#endif
