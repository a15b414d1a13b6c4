// SPDX-License-Identifier: MIT
/* Setting up and taking down, in mirror image: see rig.h. */
#include "rig.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define PCI_COMMAND 4u
#define PCI_COMMAND_MEMORY_AND_MASTER 6u

const char *const rig_shape[] = { "--memory",  "64M", "--cores",    "2", "--queues", "4",
				  "--vectors", "8",   "--rollback", "1", NULL };

/* --- interrupts ---------------------------------------------------------------------------------------------- */

static void *count(void *arg)
{
	struct rig *r = arg;
	struct pollfd ready[RIG_VECTORS + 1];
	uint64_t n;

	for (uint32_t i = 0; i < r->vectors; i++)
		ready[i] = (struct pollfd){ .fd = r->irq_fds[i], .events = POLLIN };
	ready[r->vectors] = (struct pollfd){ .fd = r->stop_fd, .events = POLLIN };
	while (poll(ready, r->vectors + 1, -1) >= 0 || errno == EINTR) {
		if (ready[r->vectors].revents)
			break;
		for (uint32_t i = 0; i < r->vectors; i++)
			if (ready[i].revents && read(r->irq_fds[i], &n, sizeof(n)) == sizeof(n))
				__atomic_fetch_add(&r->access->interrupts[i], (uint32_t)n,
						   __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static int connect_irqs(struct rig *r)
{
	struct vfio_irq_info info;
	int error = client_irq_info(&r->client, VFIO_PCI_MSIX_IRQ_INDEX, &info);

	if (!error && !info.count)
		error = client_irq_info(&r->client, VFIO_PCI_MSI_IRQ_INDEX, &info);
	if (error)
		return error;
	r->irq_index = info.index;
	r->stop_fd = eventfd(0, EFD_CLOEXEC);
	for (r->vectors = 0; r->vectors < RIG_VECTORS && r->vectors < info.count; r->vectors++) {
		r->irq_fds[r->vectors] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (r->irq_fds[r->vectors] < 0)
			return -errno;
	}
	error = client_irqs(&r->client, r->irq_index,
			    VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0, r->vectors,
			    r->irq_fds, r->vectors);
	if (!error)
		error = -pthread_create(&r->thread, NULL, count, r);
	r->counting = !error;
	return error;
}

static void disconnect_irqs(struct rig *r)
{
	const uint64_t one = 1;

	if (r->counting && write(r->stop_fd, &one, sizeof(one)) == sizeof(one))
		pthread_join(r->thread, NULL);
	r->counting = false;
	for (uint32_t i = 0; i < r->vectors; i++)
		if (r->irq_fds[i] >= 0)
			close(r->irq_fds[i]);
	if (r->stop_fd >= 0)
		close(r->stop_fd);
	r->vectors = 0;
	r->stop_fd = -1;
}

/* --- memory -------------------------------------------------------------------------------------------------- */

static int connect_host(struct rig *r)
{
	r->host_fd = memfd_create("host", MFD_CLOEXEC);
	if (r->host_fd < 0 || ftruncate(r->host_fd, RIG_HOST_BYTES))
		return -errno;
	r->access->host =
		mmap(NULL, RIG_HOST_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->host_fd, 0);
	if (r->access->host == MAP_FAILED) {
		r->access->host = NULL;
		return -errno;
	}
	r->access->host_address = RIG_HOST_ADDRESS;
	return client_map(&r->client, RIG_HOST_ADDRESS, RIG_HOST_BYTES, r->host_fd, 0,
			  VFU_MAP_READ | VFU_MAP_WRITE);
}

/* Where BAR2 cannot be mapped (--trap-bar2) there is no pointer */
static int connect_memory(struct rig *r)
{
	struct vfio_region_info info;
	int fd, error = client_region_info(&r->client, VFIO_PCI_BAR2_REGION_INDEX, &info, &fd);
	void *p;

	if (error)
		return error;
	r->memory_bytes = info.size;
	if (fd < 0)
		return 0;
	p = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
		 (off_t)info.offset);
	error = p == MAP_FAILED ? -errno : 0;
	close(fd);
	if (!error)
		r->access->memory = p;
	return error;
}

int rig_connect(struct rig *r)
{
	int error = client_open(&r->client, &r->server);

	if (!error)
		error = connect_host(r);
	if (!error)
		error = connect_memory(r);
	if (!error)
		error = connect_irqs(r);
	if (!error)
		error = client_set_config(&r->client, PCI_COMMAND, 2,
					  PCI_COMMAND_MEMORY_AND_MASTER);
	if (error)
		rig_disconnect(r);
	return error;
}

void rig_disconnect(struct rig *r)
{
	disconnect_irqs(r);
	if (r->access->memory)
		munmap(r->access->memory, r->memory_bytes);
	r->access->memory = NULL;
	if (r->access->host)
		munmap(r->access->host, RIG_HOST_BYTES);
	r->access->host = NULL;
	if (r->host_fd >= 0)
		close(r->host_fd);
	r->host_fd = -1;
	client_close(&r->client);
}

/* --- all ------------------------------------------------------------------------------------------------------- */

int rig_open(struct rig **out, struct access *a, const char *const *options)
{
	struct rig *r = calloc(1, sizeof(*r));
	int error;

	if (!r)
		return -ENOMEM;
	*a = (struct access){ .device = r };
	r->access = a;
	r->client.fd = r->host_fd = r->stop_fd = -1;
	error = server_start(&r->server, options);
	if (!error)
		error = rig_connect(r);
	if (error) {
		server_stop(&r->server);
		free(r);
		return error;
	}
	*out = r;
	return 0;
}

void rig_close(struct rig *r)
{
	rig_disconnect(r);
	server_stop(&r->server);
	free(r);
}

uint32_t rig_read(struct rig *r, uint32_t offset)
{
	uint32_t value;

	return client_read(&r->client, VFIO_PCI_BAR0_REGION_INDEX, offset, &value, sizeof(value))
		       ? ~0u
		       : value;
}

void rig_write(struct rig *r, uint32_t offset, uint32_t value)
{
	client_write(&r->client, VFIO_PCI_BAR0_REGION_INDEX, offset, &value, sizeof(value));
}
