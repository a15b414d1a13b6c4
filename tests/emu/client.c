// SPDX-License-Identifier: MIT
/* The connection and its messages: see client.h. */
#include "client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* What QEMU 11 proposes */
static const char proposal[] =
	"{\"capabilities\": {\"max_msg_fds\": 16, \"max_data_xfer_size\": 1048576, "
	"\"max_dma_maps\": 65535, \"pgsizes\": 4096, \"migration\": {\"pgsize\": 4096}, "
	"\"write_multiple\": true}}";

/* --- bytes ------------------------------------------------------------------------------------------------ */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void close_fds(struct client *c)
{
	for (unsigned int i = 0; i < c->fd_count; i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
	c->fd_count = 0;
}

int client_connect(struct client *c, const struct server *s)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	/* A server that no longer reads must not hold up the test */
	const struct timeval limit = { .tv_sec = CLIENT_PATIENCE_MS / 1000 };

	c->next_id = 1;
	c->fd_count = 0;
	if (strlen(s->socket) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, s->socket, strlen(s->socket));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) ||
	    connect(c->fd, (const struct sockaddr *)&address, sizeof(address))) {
		const int error = -errno;

		client_close(c);
		return error;
	}
	return 0;
}

void client_close(struct client *c)
{
	close_fds(c);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

int client_send(struct client *c, const void *bytes, size_t count, const int *fds,
		unsigned int fd_count)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * CLIENT_MAX_SEND_FDS)];
	struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = count };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	struct cmsghdr *head;
	ssize_t n;

	if (fd_count > CLIENT_MAX_SEND_FDS)
		return -E2BIG;
	if (fd_count) {
		memset(control, 0, sizeof(control));
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
		memcpy(CMSG_DATA(head), fds, sizeof(int) * fd_count);
	}
	while (part.iov_len) {
		n = sendmsg(c->fd, &message, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		message.msg_control = NULL;
		message.msg_controllen = 0;
		part.iov_base = (uint8_t *)part.iov_base + n;
		part.iov_len -= (size_t)n;
	}
	return 0;
}

static void take_fds(struct client *c, struct msghdr *message)
{
	struct cmsghdr *head;
	size_t n;

	for (head = CMSG_FIRSTHDR(message); head; head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && c->fd_count < CLIENT_MAX_FDS; i++)
			memcpy(&c->fds[c->fd_count++], CMSG_DATA(head) + i * sizeof(int),
			       sizeof(int));
	}
}

/* All of it, by the deadline */
static int receive_bytes(struct client *c, void *to, size_t count, uint64_t deadline)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int) * CLIENT_MAX_FDS)];
	struct pollfd ready = { .fd = c->fd, .events = POLLIN };
	struct iovec part = { .iov_base = to, .iov_len = count };
	uint64_t now;
	ssize_t n;

	while (part.iov_len) {
		struct msghdr message = { .msg_iov = &part,
					  .msg_iovlen = 1,
					  .msg_control = control,
					  .msg_controllen = sizeof(control) };

		now = now_ms();
		n = poll(&ready, 1, deadline > now ? (int)(deadline - now) : 0);
		if (!n)
			return -ETIMEDOUT;
		if (n > 0)
			n = recvmsg(c->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		else
			message.msg_controllen = 0;
		if (!n || (n < 0 && errno == ECONNRESET))
			return -EPIPE;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n < 0)
			continue;
		take_fds(c, &message);
		part.iov_base = (uint8_t *)part.iov_base + n;
		part.iov_len -= (size_t)n;
	}
	return 0;
}

int client_receive(struct client *c, unsigned int ms)
{
	const uint64_t deadline = now_ms() + ms;
	int error;

	close_fds(c);
	c->bytes = 0;
	error = receive_bytes(c, &c->header, sizeof(c->header), deadline);
	if (error)
		return error;
	if (c->header.size < sizeof(c->header) ||
	    c->header.size - sizeof(c->header) > sizeof(c->payload))
		return -EBADMSG;
	c->bytes = c->header.size - (uint32_t)sizeof(c->header);
	return receive_bytes(c, c->payload, c->bytes, deadline);
}

/* --- requests --------------------------------------------------------------------------------------------- */

int client_request(struct client *c, unsigned int command, uint32_t flags, const void *payload,
		   size_t bytes, const int *fds, unsigned int fd_count)
{
	struct vfu_header header = { .id = c->next_id++,
				     .command = (uint16_t)command,
				     .size = (uint32_t)(sizeof(header) + bytes),
				     .flags = flags };
	uint8_t small[256];
	int error;

	/* In one piece where it is short, as QEMU does; a long one shows that the server takes pieces, too. */
	if (bytes <= sizeof(small) - sizeof(header)) {
		memcpy(small, &header, sizeof(header));
		if (bytes)
			memcpy(small + sizeof(header), payload, bytes);
		error = client_send(c, small, sizeof(header) + bytes, fds, fd_count);
	} else {
		error = client_send(c, &header, sizeof(header), fds, fd_count);
		if (!error)
			error = client_send(c, payload, bytes, NULL, 0);
	}
	return error ? error : header.id;
}

int client_call(struct client *c, unsigned int command, const void *payload, size_t bytes,
		const int *fds, unsigned int fd_count)
{
	int id = client_request(c, command, 0, payload, bytes, fds, fd_count);
	int error = id < 0 ? id : client_receive(c, CLIENT_PATIENCE_MS);

	if (error)
		return error;
	if (c->header.id != id || c->header.command != command ||
	    (c->header.flags & ~VFU_ERROR) != VFU_REPLY)
		return -EPROTO;
	if (c->header.flags & VFU_ERROR)
		return c->header.error && c->header.error < 4096 ? -(int)c->header.error : -EPROTO;
	return (int)c->bytes;
}

/* A reply of exactly so many bytes */
static int call_exact(struct client *c, unsigned int command, const void *payload, size_t bytes,
		      const int *fds, unsigned int fd_count, size_t answer)
{
	int n = client_call(c, command, payload, bytes, fds, fd_count);

	return n < 0 ? n : (size_t)n == answer ? 0 : -EPROTO;
}

int client_hello(struct client *c)
{
	uint8_t hello[4 + sizeof(proposal)] = { 0 };
	int n;

	memcpy(hello + 4, proposal, sizeof(proposal));
	n = client_call(c, VFU_VERSION, hello, sizeof(hello), NULL, 0);
	return n < 0 ? n : n < 4 ? -EPROTO : 0;
}

int client_open(struct client *c, const struct server *s)
{
	int error = client_connect(c, s);

	return error ? error : client_hello(c);
}

int client_map(struct client *c, uint64_t address, uint64_t size, int fd, uint64_t offset,
	       uint32_t flags)
{
	const struct vfu_map map = { .argsz = sizeof(map),
				     .flags = flags,
				     .offset = offset,
				     .address = address,
				     .size = size };

	return call_exact(c, VFU_DMA_MAP, &map, sizeof(map), &fd, fd >= 0, 0);
}

int client_unmap(struct client *c, uint64_t address, uint64_t size, uint32_t flags)
{
	const struct vfu_unmap unmap = {
		.argsz = sizeof(unmap), .flags = flags, .address = address, .size = size
	};

	return call_exact(c, VFU_DMA_UNMAP, &unmap, sizeof(unmap), NULL, 0, sizeof(unmap));
}

int client_region_info(struct client *c, uint32_t index, struct vfio_region_info *info, int *fd)
{
	const struct vfio_region_info ask = { .argsz = sizeof(ask), .index = index };
	int error = call_exact(c, VFU_GET_REGION_INFO, &ask, sizeof(ask), NULL, 0, sizeof(*info));

	if (fd)
		*fd = -1;
	if (error)
		return error;
	memcpy(info, c->payload, sizeof(*info));
	if (fd && c->fd_count == 1) {
		*fd = c->fds[0];
		c->fd_count = 0;
	}
	return 0;
}

int client_irq_info(struct client *c, uint32_t index, struct vfio_irq_info *info)
{
	const struct vfio_irq_info ask = { .argsz = sizeof(ask), .index = index };
	int error = call_exact(c, VFU_GET_IRQ_INFO, &ask, sizeof(ask), NULL, 0, sizeof(*info));

	if (!error)
		memcpy(info, c->payload, sizeof(*info));
	return error;
}

int client_irqs(struct client *c, uint32_t index, uint32_t flags, uint32_t start, uint32_t count,
		const int *fds, unsigned int fd_count)
{
	const struct vfu_irqs set = {
		.argsz = sizeof(set), .flags = flags, .index = index, .start = start, .count = count
	};

	return call_exact(c, VFU_SET_IRQS, &set, sizeof(set), fds, fd_count, 0);
}

int client_read(struct client *c, uint32_t region, uint64_t offset, void *to, uint32_t count)
{
	const struct vfu_access access = { .offset = offset, .region = region, .count = count };
	int error = call_exact(c, VFU_REGION_READ, &access, sizeof(access), NULL, 0,
			       sizeof(access) + count);

	if (!error && memcmp(c->payload, &access, sizeof(access)))
		error = -EPROTO;
	if (!error)
		memcpy(to, c->payload + sizeof(access), count);
	return error;
}

int client_write(struct client *c, uint32_t region, uint64_t offset, const void *from,
		 uint32_t count)
{
	const struct vfu_access access = { .offset = offset, .region = region, .count = count };
	int error;

	if (count > CLIENT_MAX_DATA)
		return -E2BIG;
	/* The reply comes into the same place only after all was sent */
	memcpy(c->payload, &access, sizeof(access));
	memcpy(c->payload + sizeof(access), from, count);
	error = call_exact(c, VFU_REGION_WRITE, c->payload, sizeof(access) + count, NULL, 0,
			   sizeof(access));
	if (!error && memcmp(c->payload, &access, sizeof(access)))
		error = -EPROTO;
	return error;
}

uint32_t client_config(struct client *c, uint32_t offset, uint32_t bytes)
{
	uint32_t value = 0;

	return client_read(c, VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, bytes) ? ~0u : value;
}

int client_set_config(struct client *c, uint32_t offset, uint32_t bytes, uint32_t value)
{
	return client_write(c, VFIO_PCI_CONFIG_REGION_INDEX, offset, &value, bytes);
}
