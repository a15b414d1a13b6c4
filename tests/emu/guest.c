// SPDX-License-Identifier: MIT
/* Setting up and taking down, in mirror image: see guest.h. */
#include "guest.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCI_COMMAND 4u
#define PCI_COMMAND_MEMORY_AND_MASTER 6u

const char *const guest_shape[GUEST_SHAPE_WORDS + 1] = { "--memory",   "64M", "--cores",    "2",
							 "--queues",   "4",   "--vectors",  "8",
							 "--rollback", "1",   "--unsigned", NULL };

/* --- interrupts ---------------------------------------------------------------------------------------------- */

/*
 * One word, written at once. tests/abi reads it as a plain word, in a loop that ends when the number is there, and the
 * thread sanitizer is not to look at that.
 */
__attribute__((no_sanitize("thread"))) static void count_one(struct access *a, uint32_t vector,
							     uint64_t n)
{
	__atomic_fetch_add(&a->interrupts[vector], (uint32_t)n, __ATOMIC_SEQ_CST);
}

static void *count(void *arg)
{
	struct guest *g = arg;
	struct pollfd ready[GUEST_VECTORS + 1];
	uint64_t n;

	for (uint32_t i = 0; i < g->vectors; i++)
		ready[i] = (struct pollfd){ .fd = g->irq_fds[i], .events = POLLIN };
	ready[g->vectors] = (struct pollfd){ .fd = g->stop_fd, .events = POLLIN };
	while (poll(ready, g->vectors + 1, -1) >= 0 || errno == EINTR) {
		if (ready[g->vectors].revents)
			break;
		for (uint32_t i = 0; i < g->vectors; i++)
			if (ready[i].revents && read(g->irq_fds[i], &n, sizeof(n)) == sizeof(n))
				count_one(g->access, i, n);
	}
	return NULL;
}

static int connect_irqs(struct guest *g)
{
	struct vfio_irq_info info;
	int error = client_irq_info(&g->client, VFIO_PCI_MSIX_IRQ_INDEX, &info);

	if (!error && !info.count)
		error = client_irq_info(&g->client, VFIO_PCI_MSI_IRQ_INDEX, &info);
	if (error)
		return error;
	g->irq_index = info.index;
	g->stop_fd = eventfd(0, EFD_CLOEXEC);
	for (g->vectors = 0; g->vectors < GUEST_VECTORS && g->vectors < info.count; g->vectors++) {
		g->irq_fds[g->vectors] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (g->irq_fds[g->vectors] < 0)
			return -errno;
	}
	error = client_irqs(&g->client, g->irq_index,
			    VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, g->vectors,
			    g->irq_fds, g->vectors);
	if (!error)
		error = -pthread_create(&g->thread, NULL, count, g);
	g->counting = !error;
	return error;
}

static void disconnect_irqs(struct guest *g)
{
	const uint64_t one = 1;

	if (g->counting && write(g->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(g->thread, NULL);
	g->counting = false;
	for (uint32_t i = 0; i < g->vectors; i++)
		if (g->irq_fds[i] >= 0)
			close(g->irq_fds[i]);
	if (g->stop_fd >= 0)
		close(g->stop_fd);
	g->vectors = 0;
	g->stop_fd = -1;
}

/* --- memory -------------------------------------------------------------------------------------------------- */

static int connect_host(struct guest *g)
{
	g->host_fd = memfd_create("host", MFD_CLOEXEC);
	if (g->host_fd < 0 || ftruncate(g->host_fd, GUEST_HOST_BYTES))
		return -errno;
	g->access->host =
		mmap(NULL, GUEST_HOST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, g->host_fd, 0);
	if (g->access->host == MAP_FAILED) {
		g->access->host = NULL;
		return -errno;
	}
	g->access->host_address = GUEST_HOST_ADDRESS;
	return client_map(&g->client, GUEST_HOST_ADDRESS, GUEST_HOST_BYTES, g->host_fd, 0,
			  VFU_MAP_READ | VFU_MAP_WRITE);
}

/* Where BAR2 cannot be mapped (--trap-bar2) there is no pointer */
static int connect_memory(struct guest *g)
{
	struct vfio_region_info info;
	int fd, error = client_region_info(&g->client, VFIO_PCI_BAR2_REGION_INDEX, &info, &fd);
	void *p;

	if (error)
		return error;
	g->memory_bytes = info.size;
	if (fd < 0)
		return 0;
	p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		 (off_t)info.offset);
	error = p == MAP_FAILED ? -errno : 0;
	close(fd);
	if (!error)
		g->access->memory = p;
	return error;
}

int guest_connect(struct guest *g)
{
	int error = client_open(&g->client, &g->server);

	if (!error)
		error = connect_host(g);
	if (!error)
		error = connect_memory(g);
	if (!error)
		error = connect_irqs(g);
	if (!error)
		error = client_set_config(&g->client, PCI_COMMAND, 2,
					  PCI_COMMAND_MEMORY_AND_MASTER);
	if (error)
		guest_disconnect(g);
	return error;
}

void guest_disconnect(struct guest *g)
{
	disconnect_irqs(g);
	if (g->access->memory)
		munmap(g->access->memory, g->memory_bytes);
	g->access->memory = NULL;
	if (g->access->host)
		munmap(g->access->host, GUEST_HOST_BYTES);
	g->access->host = NULL;
	if (g->host_fd >= 0)
		close(g->host_fd);
	g->host_fd = -1;
	client_close(&g->client);
}

/* --- all ------------------------------------------------------------------------------------------------------- */

int guest_open(struct guest **out, struct access *a, const char *const *options)
{
	struct guest *g = calloc(1, sizeof(*g));
	int error;

	if (!g)
		return -ENOMEM;
	*a = (struct access){ .device = g };
	g->access = a;
	g->client.fd = g->host_fd = g->stop_fd = -1;
	error = server_start(&g->server, options);
	if (!error)
		error = guest_connect(g);
	if (error) {
		server_stop(&g->server);
		free(g);
		return error;
	}
	*out = g;
	return 0;
}

int guest_close(struct guest *g)
{
	int status;

	guest_disconnect(g);
	status = server_stop(&g->server);
	free(g);
	return status;
}

uint32_t guest_read(struct guest *g, uint32_t offset)
{
	uint32_t value;

	return client_read(&g->client, VFIO_PCI_BAR0_REGION_INDEX, offset, &value, sizeof(value))
		       ? ~0u
		       : value;
}

void guest_write(struct guest *g, uint32_t offset, uint32_t value)
{
	client_write(&g->client, VFIO_PCI_BAR0_REGION_INDEX, offset, &value, sizeof(value));
}
