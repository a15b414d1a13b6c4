// SPDX-License-Identifier: MIT
/*
 * A PCI card behind an IOMMU, by vfio-pci: registers, memory and interrupts from VFIO's file of the card, host memory mapped
 * for it at an address of our choice. For guests that are there for tests: it takes the card from its driver, permits VFIO to
 * do without remapped interrupts, and gives nothing back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aipu_registers.h"
#include "card.h"

#define HOST_BYTES (1u << 20)
#define HOST_ADDRESS 0x740000000ull /* nothing like any pointer or physical address */
#define UNSAFE "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
/* Configuration space: PCI Local Bus 3.0, 6.1 */
enum { COMMAND = 0x04, COMMAND_MEMORY = 2, COMMAND_MASTER = 4 };

struct card {
	char address[32];
	int device, group, container; /* VFIO's */
	void *bar[3];
	uint64_t bar_bytes[3];
	int event[CARD_VECTORS + 1]; /* one for each vector; the last ends the thread */
	unsigned int vectors;
	struct card_count count;
	pthread_t thread;
};

/* What a link in the card's directory ends with, or "" */
static const char *link_name(const struct card *c, const char *name, char text[128])
{
	ssize_t n = readlink(card_file(c->address, name).text, text, 127);
	const char *slash;

	text[n < 0 ? 0 : n] = 0;
	slash = strrchr(text, '/');
	return slash ? slash + 1 : text;
}

static int driver_bind(struct card *c)
{
	const struct card_path override = card_file(c->address, "driver_override");
	char text[128];

	if (access(CARD_PCI "drivers/vfio-pci", F_OK))
		return card_missing(CARD_PCI "drivers/vfio-pci", "load the module vfio-pci");
	if (access(UNSAFE, F_OK))
		return card_missing(UNSAFE, "load the module vfio_iommu_type1");
	errno = ENODEV;
	if (!link_name(c, "iommu_group", text)[0])
		return card_missing("there is no IOMMU", "take the program that uses sysfs");
	if (!strcmp(link_name(c, "driver", text), "vfio-pci"))
		return 0;
	card_unbind(c->address);
	if (!text_write(override.text, "vfio-pci") ||
	    !text_write(CARD_PCI "drivers_probe", c->address) ||
	    strcmp(link_name(c, "driver", text), "vfio-pci"))
		return card_missing(override.text, "vfio-pci does not take the card");
	return 0;
}

static int vfio_open(struct card *c)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char text[128], path[256];

	snprintf(path, sizeof(path), "/dev/vfio/%s", link_name(c, "iommu_group", text));
	c->group = open(path, O_RDWR | O_CLOEXEC);
	if (c->group < 0 || ioctl(c->group, VFIO_GROUP_GET_STATUS, &status))
		return card_missing(path, "somebody else has the card, or this is not root");
	errno = EBUSY;
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return card_missing(path, "another device of the group has a driver of its own");
	c->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (c->container < 0)
		return card_missing("/dev/vfio/vfio", "load the module vfio");
	/* virtio-iommu does not remap interrupts. */
	text_write(UNSAFE, "Y");
	if (ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &c->container) ||
	    ioctl(c->container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return card_missing("VFIO_SET_IOMMU", "the kernel's VFIO cannot use this IOMMU");
	c->device = ioctl(c->group, VFIO_GROUP_GET_DEVICE_FD, c->address);
	return c->device < 0 ? card_missing("VFIO_GROUP_GET_DEVICE_FD", "no way to the card") : 0;
}

/* VFIO's file holds all regions, configuration space among them, at offsets that it tells. */
static int region_find(struct card *c, uint32_t index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	errno = ENODEV;
	if (ioctl(c->device, VFIO_DEVICE_GET_REGION_INFO, info) || !info->size)
		return card_missing("VFIO_DEVICE_GET_REGION_INFO", "the card lacks a BAR");
	return 0;
}

static int command_write(struct card *c, uint16_t clear, uint16_t set)
{
	struct vfio_region_info info;
	uint16_t command;

	if (region_find(c, VFIO_PCI_CONFIG_REGION_INDEX, &info))
		return -ENODEV;
	info.offset += COMMAND;
	if (pread(c->device, &command, 2, (off_t)info.offset) != 2)
		return card_missing("configuration space", "cannot be read");
	command = (uint16_t)((command & ~clear) | set);
	if (pwrite(c->device, &command, 2, (off_t)info.offset) != 2)
		return card_missing("configuration space", "cannot be written");
	return 0;
}

static int bar_map(struct card *c, uint32_t index)
{
	struct vfio_region_info info;

	if (region_find(c, index, &info))
		return -ENODEV;
	c->bar_bytes[index] = info.size;
	c->bar[index] = mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, c->device,
			     (off_t)info.offset);
	return c->bar[index] == MAP_FAILED ? card_missing("VFIO", "a BAR cannot be mapped") : 0;
}

static int host_map(struct card *c, struct access *a)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = HOST_ADDRESS,
		.size = HOST_BYTES,
	};

	a->host_address = HOST_ADDRESS;
	a->host =
		mmap(NULL, HOST_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	map.vaddr = (uintptr_t)a->host;
	if (a->host == MAP_FAILED || ioctl(c->container, VFIO_IOMMU_MAP_DMA, &map))
		return card_missing("VFIO_IOMMU_MAP_DMA", "1 MiB cannot be mapped for the card");
	return 0;
}

static void *events_count(void *arg)
{
	struct access *a = arg;
	struct card *c = a->device;
	struct pollfd p[CARD_VECTORS + 1];
	unsigned int i;
	uint64_t n;

	for (i = 0; i <= CARD_VECTORS; i++)
		p[i] = (struct pollfd){ .fd = c->event[i], .events = POLLIN };
	while (!p[CARD_VECTORS].revents) {
		if (poll(p, CARD_VECTORS + 1, -1) < 0)
			continue;
		for (i = 0; i < c->vectors; i++)
			if (p[i].revents && read(p[i].fd, &n, sizeof(n)) == sizeof(n))
				card_count_add(&c->count, a, i, c->vectors, (uint32_t)n);
	}
	return NULL;
}

static int events_set(struct card *c, uint32_t index)
{
	struct vfio_irq_set *set = calloc(1, sizeof(*set) + sizeof(c->event));
	int given;

	if (!set)
		return -1;
	*set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(*set) + sizeof(c->event)),
				      .flags = VFIO_IRQ_SET_DATA_EVENTFD |
					       VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = index,
				      .count = c->vectors };
	memcpy(set->data, c->event, sizeof(c->event));
	given = ioctl(c->device, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	return given;
}

static int interrupts_open(struct card *c, struct access *a)
{
	static const uint32_t ways[] = { VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX };
	struct vfio_region_info config;
	struct vfio_irq_info info;
	unsigned int i;
	int given;

	for (i = 0; i < 2 && !c->vectors; i++) {
		info = (struct vfio_irq_info){ .argsz = sizeof(info), .index = ways[i] };
		if (!ioctl(c->device, VFIO_DEVICE_GET_IRQ_INFO, &info))
			c->vectors = info.count < CARD_VECTORS ? info.count : CARD_VECTORS;
	}
	errno = ENODEV;
	if (!c->vectors)
		return card_missing("interrupts", "the card has neither MSI-X nor MSI");
	for (i = 0; i <= CARD_VECTORS; i++)
		c->event[i] = eventfd(0, EFD_CLOEXEC);
	given = events_set(c, info.index);
	if (given > 0) { /* so many there are: of MSI one, where nothing remaps interrupts */
		c->vectors = (unsigned int)given;
		given = events_set(c, info.index);
	}
	if (given)
		return card_missing("VFIO_DEVICE_SET_IRQS", "there are no interrupts to be had");
	if (region_find(c, VFIO_PCI_CONFIG_REGION_INDEX, &config))
		return -ENODEV;
	card_count_start(&c->count, c->device, config.offset);
	errno = pthread_create(&c->thread, NULL, events_count, a);
	return errno ? card_missing("interrupts", "no thread can be started") : 0;
}

int access_open(struct access *a)
{
	struct card *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	a->device = c;
	if (card_find(c->address) || driver_bind(c) || vfio_open(c) || host_map(c, a) ||
	    command_write(c, 0, COMMAND_MEMORY | COMMAND_MASTER) ||
	    bar_map(c, AIPU_BAR_REGISTERS) || bar_map(c, AIPU_BAR_MEMORY) || interrupts_open(c, a))
		return -ENODEV;
	a->memory = c->bar[AIPU_BAR_MEMORY];
	return 0;
}

/* VFIO resets the card at the end, and takes its map of host memory away. */
void access_close(struct access *a)
{
	struct card *c = a->device;
	const uint64_t end = 1;
	unsigned int i;

	command_write(c, COMMAND_MASTER, 0);
	if (write(c->event[CARD_VECTORS], &end, sizeof(end)) == sizeof(end))
		pthread_join(c->thread, NULL);
	munmap(c->bar[AIPU_BAR_REGISTERS], c->bar_bytes[AIPU_BAR_REGISTERS]);
	munmap(c->bar[AIPU_BAR_MEMORY], c->bar_bytes[AIPU_BAR_MEMORY]);
	close(c->device);
	close(c->group);
	close(c->container);
	for (i = 0; i <= CARD_VECTORS; i++)
		close(c->event[i]);
	munmap(a->host, HOST_BYTES);
	free(c);
}

uint32_t access_read(struct access *a, uint32_t offset)
{
	struct card *c = a->device;

	return *(volatile uint32_t *)((uint8_t *)c->bar[AIPU_BAR_REGISTERS] + offset);
}

void access_write(struct access *a, uint32_t offset, uint32_t value)
{
	struct card *c = a->device;

	*(volatile uint32_t *)((uint8_t *)c->bar[AIPU_BAR_REGISTERS] + offset) = value;
}

void access_settle(struct access *a)
{
	struct card *c = a->device;

	card_count_settle(&c->count);
}
