/* SPDX-License-Identifier: MIT */
/*
 * A vfio-user client as QEMU is one, for tests that drive aipu-emu from outside: starts the server, connects, says
 * what the test wants said, right or wrong, and hands over what came back. It never asserts, never repeats, and
 * never waits without an end. The server dies with the thread that started it.
 */
#ifndef EMU_CLIENT_H
#define EMU_CLIENT_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CLIENT_PATIENCE_MS 60000u /* reached only by what hangs */
#define CLIENT_MAX_FDS 16u /* in a reply */
#define CLIENT_MAX_SEND_FDS 250u /* the kernel takes 253 */
#define CLIENT_MAX_DATA (1u << 20)

/* --- the server as a process ------------------------------------------------------------------------- */

struct server {
	pid_t pid; /* 0: there is none */
	int status; /* of waitpid, once it has ended */
	char directory[72]; /* of its own: socket, and "output": what it says on stdout and stderr */
	char socket[96];
};

/* Runs $BUILD/bin/aipu-emu with these options (NULL ends them) and waits for its socket. 0 or -errno. */
int server_start(struct server *s, const char *const *options);
/* Likewise on this socket path, with whatever lies there; the directory exists already. */
int server_restart(struct server *s, const char *const *options);
/* Its end, waited for: the status of waitpid, or -ETIMEDOUT */
int server_wait(struct server *s, unsigned int ms);
bool server_runs(struct server *s);
/* SIGTERM, its end, its directory removed. The status as above; what takes too long is killed. */
int server_stop(struct server *s);
/* What it said so far, ended by a NUL */
void server_output(const struct server *s, char *to, size_t bytes);

/* --- messages ------------------------------------------------------------------------------------------ */

enum vfu_command {
	VFU_VERSION = 1,
	VFU_DMA_MAP = 2,
	VFU_DMA_UNMAP = 3,
	VFU_GET_INFO = 4,
	VFU_GET_REGION_INFO = 5,
	VFU_GET_REGION_IO_FDS = 6,
	VFU_GET_IRQ_INFO = 7,
	VFU_SET_IRQS = 8,
	VFU_REGION_READ = 9,
	VFU_REGION_WRITE = 10,
	VFU_DMA_READ = 11,
	VFU_DMA_WRITE = 12,
	VFU_DEVICE_RESET = 13,
	VFU_REGION_WRITE_MULTI = 15,
	VFU_DEVICE_FEATURE = 16,
};

#define VFU_REPLY 1u
#define VFU_NO_REPLY 0x10u
#define VFU_ERROR 0x20u

struct vfu_header {
	uint16_t id, command;
	uint32_t size, flags, error;
};

struct vfu_map {
	uint32_t argsz, flags; /* bit 0: readable, bit 1: writable */
	uint64_t offset, address, size;
};
#define VFU_MAP_READ 1u
#define VFU_MAP_WRITE 2u

struct vfu_unmap {
	uint32_t argsz, flags;
	uint64_t address, size;
};
#define VFU_UNMAP_ALL 2u /* as VFIO_DMA_UNMAP_FLAG_ALL; address and size are 0 */

struct vfu_info {
	uint32_t argsz, flags, regions, irqs;
};

struct vfu_access {
	uint64_t offset;
	uint32_t region, count;
};

struct vfu_irqs {
	uint32_t argsz, flags, index, start, count;
};

struct client {
	int fd; /* -1: not connected */
	uint16_t next_id;
	/* The message received last; its fds are the caller's to close, or closed by the next receive */
	struct vfu_header header;
	uint32_t bytes; /* of payload */
	int fds[CLIENT_MAX_FDS];
	unsigned int fd_count;
	uint8_t payload[CLIENT_MAX_DATA + 64];
};

int client_connect(struct client *c, const struct server *s);
/* VERSION as QEMU says it */
int client_hello(struct client *c);
/* Both */
int client_open(struct client *c, const struct server *s);
void client_close(struct client *c);

/* Bytes as they are */
int client_send(struct client *c, const void *bytes, size_t count, const int *fds,
		unsigned int fd_count);
/* One message. -EPIPE: the server has closed; -ETIMEDOUT; -EBADMSG: no message of this protocol. */
int client_receive(struct client *c, unsigned int ms);
/* A good header before the payload; the id that was given, or -errno */
int client_request(struct client *c, unsigned int command, uint32_t flags, const void *payload,
		   size_t bytes, const int *fds, unsigned int fd_count);
/*
 * A request and its reply, now in c: the bytes of its payload. The server's error as -errno, -EPROTO where it named none or
 * the reply is another's; else as client_receive().
 */
int client_call(struct client *c, unsigned int command, const void *payload, size_t bytes,
		const int *fds, unsigned int fd_count);

/* --- what QEMU asks for; 0 or -errno as client_call() ----------------------------------------------------- */

int client_map(struct client *c, uint64_t address, uint64_t size, int fd, uint64_t offset,
	       uint32_t flags);
int client_unmap(struct client *c, uint64_t address, uint64_t size, uint32_t flags);
/* With the fd, if one comes (else -1): the caller's to close */
int client_region_info(struct client *c, uint32_t index, struct vfio_region_info *info, int *fd);
int client_irq_info(struct client *c, uint32_t index, struct vfio_irq_info *info);
int client_irqs(struct client *c, uint32_t index, uint32_t flags, uint32_t start, uint32_t count,
		const int *fds, unsigned int fd_count);
int client_read(struct client *c, uint32_t region, uint64_t offset, void *to, uint32_t count);
int client_write(struct client *c, uint32_t region, uint64_t offset, const void *from,
		 uint32_t count);
/* All ones where it failed, as a CPU sees it */
uint32_t client_config(struct client *c, uint32_t offset, uint32_t bytes);
int client_set_config(struct client *c, uint32_t offset, uint32_t bytes, uint32_t value);

#endif
