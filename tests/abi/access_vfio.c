// SPDX-License-Identifier: MIT
/*
 * A PCI card by vfio-pci: of AIPU_PCI (0000:01:00.0), or the first there is. Behind an IOMMU everything is VFIO's. Without
 * one BARs are mapped through sysfs, host memory is a locked huge page, and VFIO gives the interrupts alone. For guests that
 * are there for tests: it takes the card from its driver, permits VFIO what is not safe, and gives nothing back.
 */
#include <dirent.h>
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
#include <sys/stat.h>
#include <unistd.h>

#include "access.h"
#include "aipu_registers.h"

#define HOST_BYTES (1u << 20)
#define HOST_ADDRESS \
	0x740000000ull /* behind an IOMMU: nothing like any pointer or physical address */
#define HUGE_BYTES (2u << 20)
#define PCI "/sys/bus/pci/"
#define HUGE "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define NOIOMMU "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define UNSAFE "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts"
enum { VECTORS = 8, PCI_COMMAND = 4, PCI_COMMAND_BITS = 6 /* memory, Bus Master */ };

struct card {
	char address[32];
	int device, group, container; /* VFIO's */
	bool iommu;
	void *bar[3];
	uint64_t bar_bytes[3];
	int event[VECTORS + 1]; /* one for each vector; the last ends the thread */
	unsigned int vectors;
	pthread_t thread;
};

static int missing(const char *what, const char *how)
{
	fprintf(stderr, "access_vfio: %s: %s; %s\n", what, strerror(errno), how);
	return -ENODEV;
}

static bool text_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

/* The number in a file of one line, or -1 */
static long number_read(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0;

	if (fd >= 0)
		close(fd);
	return good ? strtol(text, NULL, 0) : -1;
}

/* "<sysfs directory of the card>/<name>" */
static const char *attribute(const struct card *c, const char *name, char path[128])
{
	snprintf(path, 128, PCI "devices/%s/%s", c->address, name);
	return path;
}

static int card_find(struct card *c)
{
	const char *given = getenv("AIPU_PCI");
	struct dirent **list;
	char path[128];
	int i, n;

	if (given) {
		snprintf(c->address, sizeof(c->address), "%s", given);
		return access(attribute(c, "config", path), R_OK)
			       ? missing(path, "AIPU_PCI is to name a card, like 0000:01:00.0")
			       : 0;
	}
	n = scandir(PCI "devices", &list, NULL, alphasort);
	for (i = 0; i < n; free(list[i++])) {
		if (c->address[0])
			continue;
		snprintf(c->address, sizeof(c->address), "%.31s", list[i]->d_name);
		if (number_read(attribute(c, "vendor", path)) != AIPU_PCI_VENDOR_ID ||
		    number_read(attribute(c, "device", path)) != AIPU_PCI_DEVICE_ID)
			c->address[0] = 0;
	}
	if (n >= 0)
		free(list);
	errno = ENODEV;
	return c->address[0] ? 0
			     : missing("no card", "there is none of 1af4:10f0 in " PCI "devices");
}

/* Makes vfio-pci the card's driver; its group's number, or -errno */
static int card_bind(struct card *c)
{
	char path[128], driver[128] = "", group[128] = "";

	if (access(PCI "drivers/vfio-pci", F_OK))
		return missing(PCI "drivers/vfio-pci", "load the module vfio-pci");
	if (readlink(attribute(c, "driver", path), driver, sizeof(driver) - 1) < 0 ||
	    strcmp(strrchr(driver, '/') + 1, "vfio-pci")) {
		/* What has no group has no IOMMU, and gets one from VFIO if this is permitted before. */
		if (access(attribute(c, "iommu_group", path), F_OK) && !text_write(NOIOMMU, "Y"))
			return missing(NOIOMMU, "without an IOMMU the kernel needs VFIO_NOIOMMU");
		text_write(attribute(c, "driver/unbind", path), c->address);
		if (!text_write(attribute(c, "driver_override", path), "vfio-pci") ||
		    !text_write(PCI "drivers_probe", c->address))
			return missing(path, "cannot be given to vfio-pci");
	}
	if (readlink(attribute(c, "iommu_group", path), group, sizeof(group) - 1) < 0)
		return missing(path, "vfio-pci did not take the card");
	return atoi(strrchr(group, '/') + 1);
}

static int vfio_open(struct card *c, int number)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	char path[64];

	c->container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (c->container < 0)
		return missing("/dev/vfio/vfio", "load the modules vfio and vfio_iommu_type1");
	snprintf(path, sizeof(path), "/dev/vfio/noiommu-%d", number);
	c->iommu = access(path, F_OK);
	if (c->iommu)
		snprintf(path, sizeof(path), "/dev/vfio/%d", number);
	c->group = open(path, O_RDWR | O_CLOEXEC);
	if (c->group < 0)
		return missing(path, "somebody else has the card, or this is not root");
	if (ioctl(c->group, VFIO_GROUP_GET_STATUS, &status) ||
	    !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return missing(path, "another device of the group has a driver of its own");
	/* virtio-iommu does not remap interrupts. */
	if (c->iommu && access(UNSAFE, F_OK))
		return missing(UNSAFE, "load the module vfio_iommu_type1");
	if (c->iommu)
		text_write(UNSAFE, "Y");
	if (ioctl(c->group, VFIO_GROUP_SET_CONTAINER, &c->container) ||
	    ioctl(c->container, VFIO_SET_IOMMU, c->iommu ? VFIO_TYPE1v2_IOMMU : VFIO_NOIOMMU_IOMMU))
		return missing("VFIO_SET_IOMMU", "the kernel's VFIO cannot do this");
	c->device = ioctl(c->group, VFIO_GROUP_GET_DEVICE_FD, c->address);
	return c->device < 0 ? missing("VFIO_GROUP_GET_DEVICE_FD", "vfio-pci refuses the card") : 0;
}

/* VFIO's file holds all regions, at offsets that it tells; so is configuration space. */
static int region(struct card *c, uint32_t index, struct vfio_region_info *info)
{
	*info = (struct vfio_region_info){ .argsz = sizeof(*info), .index = index };
	if (ioctl(c->device, VFIO_DEVICE_GET_REGION_INFO, info) || !info->size)
		return missing("VFIO_DEVICE_GET_REGION_INFO", "the card lacks a BAR");
	return 0;
}

static int command_write(struct card *c, uint16_t set, uint16_t clear)
{
	struct vfio_region_info info;
	uint16_t command;

	if (region(c, VFIO_PCI_CONFIG_REGION_INDEX, &info))
		return -ENODEV;
	if (pread(c->device, &command, 2, (off_t)info.offset + PCI_COMMAND) != 2)
		return missing("PCI Command", "cannot be read");
	command = (uint16_t)((command & ~clear) | set);
	if (pwrite(c->device, &command, 2, (off_t)info.offset + PCI_COMMAND) != 2)
		return missing("PCI Command", "cannot be written");
	return 0;
}

static int bar_map(struct card *c, uint32_t index)
{
	char path[128], name[16];
	struct vfio_region_info info;
	int fd = c->device;

	if (region(c, index, &info))
		return -ENODEV;
	snprintf(name, sizeof(name), "resource%u", index);
	if (!c->iommu) {
		fd = open(attribute(c, name, path), O_RDWR | O_CLOEXEC);
		info.offset = 0;
	}
	c->bar_bytes[index] = info.size;
	c->bar[index] =
		mmap(NULL, info.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)info.offset);
	if (c->bar[index] == MAP_FAILED)
		return missing(name, "the BAR cannot be mapped");
	if (!c->iommu)
		close(fd);
	return 0;
}

static int host_iommu(struct card *c, struct access *a)
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
		return missing("VFIO_IOMMU_MAP_DMA", "1 MiB cannot be mapped for the card");
	return 0;
}

/* One huge page, which the kernel does not move: the only memory whose address a program may know */
static int host_huge(struct access *a)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
	uint64_t entry = 0;
	char count[32];
	int fd;

	if (number_read(HUGE "free_hugepages") == 0) {
		snprintf(count, sizeof(count), "%ld", number_read(HUGE "nr_hugepages") + 1);
		text_write(HUGE "nr_hugepages", count);
	}
	a->host = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (a->host == MAP_FAILED)
		return missing("no huge page of 2 MiB", "see " HUGE "nr_hugepages");
	memset(a->host, 0, HUGE_BYTES);
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (mlock(a->host, HUGE_BYTES) || fd < 0 ||
	    pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)a->host / 4096 * sizeof(entry))) !=
		    sizeof(entry))
		return missing("/proc/self/pagemap", "the huge page's address cannot be found out");
	close(fd);
	a->host_address = (entry & ((1ull << 55) - 1)) * 4096; /* reads 0 for who may not know */
	errno = EPERM;
	return a->host_address ? 0 : missing("/proc/self/pagemap", "this needs root");
}

/* With fewer vectors than the contract's they share: each of them is counted for all that it stands for. */
static void *interrupts_count(void *arg)
{
	struct access *a = arg;
	struct card *c = a->device;
	struct pollfd p[VECTORS + 1];
	unsigned int i, v;
	uint64_t n;

	for (i = 0; i <= c->vectors; i++)
		p[i] = (struct pollfd){ .fd = c->event[i < c->vectors ? i : VECTORS],
					.events = POLLIN };
	while (poll(p, c->vectors + 1, -1) >= 0 || errno == EINTR) {
		if (p[c->vectors].revents)
			break;
		for (i = 0; i < c->vectors; i++)
			if (p[i].revents && read(p[i].fd, &n, sizeof(n)) == sizeof(n))
				for (v = i; v < VECTORS; v += c->vectors)
					__atomic_fetch_add(&a->interrupts[v], (uint32_t)n,
							   __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static int interrupts_open(struct card *c, struct access *a)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = VFIO_PCI_MSIX_IRQ_INDEX };
	struct vfio_irq_set *set;
	unsigned int i;

	if (ioctl(c->device, VFIO_DEVICE_GET_IRQ_INFO, &info) || !info.count) {
		info = (struct vfio_irq_info){ .argsz = sizeof(info),
					       .index = VFIO_PCI_MSI_IRQ_INDEX };
		if (ioctl(c->device, VFIO_DEVICE_GET_IRQ_INFO, &info) || !info.count)
			return missing("VFIO_DEVICE_GET_IRQ_INFO",
				       "the card has neither MSI-X nor MSI");
	}
	c->vectors = info.count < VECTORS ? info.count : VECTORS;
	for (i = 0; i <= VECTORS; i++)
		c->event[i] = eventfd(0, EFD_CLOEXEC);
	set = calloc(1, sizeof(*set) + sizeof(c->event));
	if (!set)
		return missing("interrupts", "no memory");
	*set = (struct vfio_irq_set){ .argsz = (uint32_t)(sizeof(*set) + c->vectors * sizeof(int)),
				      .flags = VFIO_IRQ_SET_DATA_EVENTFD |
					       VFIO_IRQ_SET_ACTION_TRIGGER,
				      .index = info.index,
				      .count = c->vectors };
	memcpy(set->data, c->event, c->vectors * sizeof(int));
	if (ioctl(c->device, VFIO_DEVICE_SET_IRQS, set))
		return missing("VFIO_DEVICE_SET_IRQS", "the card's interrupts cannot be had");
	free(set);
	errno = pthread_create(&c->thread, NULL, interrupts_count, a);
	return errno ? missing("interrupts", "no thread can be started") : 0;
}

int access_open(struct access *a)
{
	struct card *c = calloc(1, sizeof(*c));
	int group;

	if (!c)
		return -ENOMEM;
	a->device = c;
	if (card_find(c))
		return -ENODEV;
	group = card_bind(c);
	if (group < 0 || vfio_open(c, group) || (c->iommu ? host_iommu(c, a) : host_huge(a)) ||
	    command_write(c, PCI_COMMAND_BITS, 0) || bar_map(c, AIPU_BAR_REGISTERS) ||
	    bar_map(c, AIPU_BAR_MEMORY) || interrupts_open(c, a))
		return -ENODEV;
	a->memory = c->bar[AIPU_BAR_MEMORY];
	return 0;
}

/* The card is reset by VFIO before the memory that it knows goes back to the kernel. */
void access_close(struct access *a)
{
	struct card *c = a->device;
	const uint64_t end = 1;
	int i;

	if (write(c->event[VECTORS], &end, sizeof(end)) == sizeof(end))
		pthread_join(c->thread, NULL);
	command_write(c, 0, PCI_COMMAND_BITS);
	for (i = 0; i < 3; i += 2)
		munmap(c->bar[i], c->bar_bytes[i]);
	close(c->device);
	close(c->group);
	close(c->container);
	for (i = 0; i <= VECTORS; i++)
		close(c->event[i]);
	munmap(a->host, c->iommu ? HOST_BYTES : HUGE_BYTES);
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
