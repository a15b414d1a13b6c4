// SPDX-License-Identifier: MIT
/*
 * What a client's messages do: the device as vfio-user shows it, its regions and interrupts, the client's memory. Called
 * by session.c on the message thread with messages that message.c found well-formed; what depends on this card (does the
 * region exist, is the vector there) is checked here. It never waits: what has to is left pending.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "aipu_registers.h"
#include "session.h"

#define BAR_TABLE 4

/* --- what there is --------------------------------------------------------------------------------- */

static uint64_t region_bytes(const struct emu_session *s, uint32_t region)
{
	switch (region) {
	case AIPU_BAR_REGISTERS:
		return s->card->bar0_bytes;
	case AIPU_BAR_MEMORY:
		return s->card->memory_bytes;
	case BAR_TABLE:
		return emu_pci_table_bytes(s->pci);
	case EMU_MESSAGE_REGION_CONFIG:
		return EMU_PCI_BYTES;
	default:
		return 0;
	}
}

static uint32_t message_index(const struct emu_session *s)
{
	return s->options->msi ? VFIO_PCI_MSI_IRQ_INDEX : VFIO_PCI_MSIX_IRQ_INDEX;
}

static uint32_t irq_count(const struct emu_session *s, uint32_t index)
{
	if (index == message_index(s))
		return emu_pci_messages(s->pci);
	return index == VFIO_PCI_ERR_IRQ_INDEX || index == VFIO_PCI_REQ_IRQ_INDEX;
}

static void answer_with(struct emu_answer *answer, const void *from, size_t bytes)
{
	memcpy(answer->payload, from, bytes);
	answer->bytes = bytes;
}

static void device_info(struct emu_answer *answer)
{
	const struct emu_device_info info = {
		.argsz = sizeof(info),
		.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI,
		.regions = EMU_MESSAGE_REGIONS,
		.irqs = EMU_MESSAGE_IRQS,
	};

	answer_with(answer, &info, sizeof(info));
}

static void region_info(struct emu_session *s, uint32_t index, struct emu_answer *answer)
{
	struct emu_region_info info = {
		.argsz = sizeof(info),
		.index = index,
		.size = region_bytes(s, index),
	};

	if (info.size)
		info.flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	/* A client that takes no descriptors gets there by messages. */
	if (index == AIPU_BAR_MEMORY && !s->options->trap_memory && s->takes_fds) {
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
		answer->fd = emu_card_memory_fd(s->card);
	}
	answer_with(answer, &info, sizeof(info));
}

static void region_io_fds(uint32_t index, struct emu_answer *answer)
{
	const struct emu_region_io_fds info = { .argsz = sizeof(info), .index = index };

	answer_with(answer, &info, sizeof(info));
}

static void irq_info(struct emu_session *s, uint32_t index, struct emu_answer *answer)
{
	struct emu_irq_info info = {
		.argsz = sizeof(info),
		.index = index,
		.count = irq_count(s, index),
	};

	if (info.count)
		info.flags = VFIO_IRQ_INFO_EVENTFD;
	answer_with(answer, &info, sizeof(info));
}

static int agree(struct emu_session *s, const struct emu_version *version,
		 struct emu_answer *answer)
{
	if (s->versioned)
		return EINVAL;
	answer->bytes =
		emu_message_version(version->proposed, answer->payload, EMU_MESSAGE_MAX_PAYLOAD);
	s->versioned = true;
	s->write_multiple = version->proposed & EMU_CAP_WRITE_MULTIPLE;
	s->takes_fds = version->max_msg_fds > 0;
	return 0;
}

/* --- the client's memory --------------------------------------------------------------------------- */

static int take_fd(struct emu_session *s, unsigned int index)
{
	int fd = -1;

	if (index < s->fd_count) {
		fd = s->fds[index];
		s->fds[index] = -1;
	}
	return fd;
}

/* Whether a call that may have left `pending` to wait did so; an errno if it failed. */
static int settle(struct emu_session *s, struct emu_pending *pending, int err,
		  struct emu_answer *answer)
{
	answer->ordered = true;
	if (err == -EINPROGRESS) {
		answer->pending = pending;
		return 0;
	}
	emu_session_forget(s, pending);
	return -err;
}

static int unmap(struct emu_session *s, const struct emu_unmap *u, struct emu_answer *answer)
{
	struct emu_pending *pending = emu_session_pend(s);

	if (!pending)
		return ENOMEM;
	answer_with(answer, u, sizeof(*u));
	return settle(s, pending,
		      emu_dma_unmap(s->card->dma, u->address, u->size, u->flags & EMU_UNMAP_ALL,
				    &pending->wait),
		      answer);
}

static int map(struct emu_session *s, const struct emu_map *m, struct emu_answer *answer)
{
	_Static_assert((int)EMU_DMA_READABLE == VFIO_DMA_MAP_FLAG_READ, "the flags are VFIO's");
	_Static_assert((int)EMU_DMA_WRITABLE == VFIO_DMA_MAP_FLAG_WRITE, "the flags are VFIO's");
	answer->ordered = true;
	return -emu_dma_map(s->card->dma, m->address, m->size, take_fd(s, 0), m->offset, m->flags);
}

/* --- regions --------------------------------------------------------------------------------------- */

static int device_reset(struct emu_session *s, struct emu_answer *answer)
{
	struct emu_pending *pending;

	/* Nobody is there any more to be reset. */
	if (atomic_load(&s->card->gone))
		return 0;
	pending = emu_session_pend(s);
	if (!pending)
		return ENOMEM;
	emu_pci_reset(s->pci);
	return settle(s, pending, emu_card_reset(s->card, &pending->wait), answer);
}

static int config_write(struct emu_session *s, const struct emu_access *a, const uint8_t *data,
			struct emu_answer *answer)
{
	struct emu_pending *pending = emu_session_pend(s);
	struct emu_pci_effect effect;

	if (!pending)
		return ENOMEM;
	emu_pci_write(s->pci, (uint32_t)a->offset, data, a->count, &effect);
	if (effect.reset)
		return settle(s, pending, emu_card_reset(s->card, &pending->wait), answer);
	if (effect.bus_master_changed)
		return settle(s, pending,
			      emu_card_bus_master(s->card, effect.bus_master, &pending->wait),
			      answer);
	emu_session_forget(s, pending);
	return 0;
}

static bool in_region(const struct emu_session *s, const struct emu_access *a)
{
	const uint64_t size = region_bytes(s, a->region);

	return size && a->offset <= size && a->count <= size - a->offset;
}

static int region_write(struct emu_session *s, const struct emu_access *a, const uint8_t *data,
			struct emu_answer *answer)
{
	if (!a->count)
		return 0; /* and no data that could be pointed to */
	switch (a->region) {
	case AIPU_BAR_REGISTERS:
		emu_card_write(s->card, a->offset, data, a->count);
		return 0;
	case AIPU_BAR_MEMORY:
		emu_card_memory_write(s->card, a->offset, data, a->count);
		return 0;
	case BAR_TABLE:
		emu_pci_table_write(s->pci, a->offset, data, a->count);
		return 0;
	default:
		return config_write(s, a, data, answer);
	}
}

static int region_read(struct emu_session *s, const struct emu_access *a, struct emu_answer *answer)
{
	uint8_t *to = answer->payload + sizeof(*a);

	if (!in_region(s, a))
		return EINVAL;
	switch (a->region) {
	case AIPU_BAR_REGISTERS:
		emu_card_read(s->card, a->offset, to, a->count);
		break;
	case AIPU_BAR_MEMORY:
		emu_card_memory_read(s->card, a->offset, to, a->count);
		break;
	case BAR_TABLE:
		emu_pci_table_read(s->pci, a->offset, to, a->count);
		break;
	default:
		emu_pci_read(s->pci, (uint32_t)a->offset, to, a->count);
		break;
	}
	answer_with(answer, a, sizeof(*a));
	answer->bytes += a->count;
	return 0;
}

static int write_one(struct emu_session *s, const struct emu_message *m, struct emu_answer *answer)
{
	if (!in_region(s, &m->access))
		return EINVAL;
	answer_with(answer, &m->access, sizeof(m->access));
	return region_write(s, &m->access, m->data, answer);
}

/* All of them, or none if one is out of its region. The last reply that waits is that of the message. */
static int write_many(struct emu_session *s, const struct emu_message *m, struct emu_answer *answer)
{
	struct emu_access access;
	const uint8_t *data;
	uint64_t i;
	int err = 0;

	if (!s->write_multiple)
		return ENOTSUP;
	for (i = 0; i < m->multi.count; i++) {
		emu_message_multi(m, i, &access, &data);
		if (!in_region(s, &access))
			return EINVAL;
	}
	for (i = 0; !err && i < m->multi.count; i++) {
		emu_message_multi(m, i, &access, &data);
		/* Replies keep their order, so it is enough that the ones before are in the list. */
		if (answer->pending)
			answer->pending->silent = true;
		answer->pending = NULL;
		err = region_write(s, &access, data, answer);
	}
	answer_with(answer, &m->multi.count, sizeof(m->multi.count));
	return err;
}

/* --- interrupts ------------------------------------------------------------------------------------ */

static void trigger(struct emu_session *s, uint32_t index, uint32_t vector)
{
	const uint64_t one = 1;
	const int fd = index == VFIO_PCI_ERR_IRQ_INDEX ? s->error_fd : s->request_fd;
	struct pollfd room = { .fd = fd, .events = POLLOUT };

	if (index == message_index(s))
		emu_irq_raise(s->card->irq, vector);
	/* One that is full is raised already, and must not stop this thread. */
	else if (fd >= 0 && poll(&room, 1, 0) == 1 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void set_one(struct emu_session *s, uint32_t index, uint32_t vector, int fd)
{
	int *place = index == VFIO_PCI_ERR_IRQ_INDEX ? &s->error_fd : &s->request_fd;

	if (index == message_index(s)) {
		emu_irq_set(s->card->irq, vector, fd);
		return;
	}
	if (*place >= 0)
		close(*place);
	*place = fd;
}

static int set_irqs(struct emu_session *s, const struct emu_message *m)
{
	const struct emu_irq_set *set = &m->irq_set;
	const uint32_t count = irq_count(s, set->index);
	uint32_t i;

	if (!set->count) { /* all of the index */
		if (set->index == message_index(s))
			emu_irq_clear(s->card->irq);
		else if (count)
			set_one(s, set->index, 0, -1);
		return 0;
	}
	if (set->start + set->count > count)
		return EINVAL;
	for (i = 0; i < set->count; i++) {
		if (set->flags & EMU_IRQ_DATA_EVENTFD)
			set_one(s, set->index, set->start + i, take_fd(s, i));
		else if (set->flags & EMU_IRQ_DATA_NONE || m->data[i])
			trigger(s, set->index, set->start + i);
	}
	return 0;
}

/* --- all of them ----------------------------------------------------------------------------------- */

static int run(struct emu_session *s, const struct emu_message *m, struct emu_answer *answer)
{
	if (!s->versioned && m->command != EMU_VERSION)
		return EINVAL;
	switch (m->command) {
	case EMU_VERSION:
		return agree(s, &m->version, answer);
	case EMU_DMA_MAP:
		return map(s, &m->map, answer);
	case EMU_DMA_UNMAP:
		return unmap(s, &m->unmap, answer);
	case EMU_DEVICE_GET_INFO:
		device_info(answer);
		return 0;
	case EMU_DEVICE_GET_REGION_INFO:
		region_info(s, m->region_info.index, answer);
		return 0;
	case EMU_DEVICE_GET_REGION_IO_FDS:
		region_io_fds(m->region_io_fds.index, answer);
		return 0;
	case EMU_DEVICE_GET_IRQ_INFO:
		irq_info(s, m->irq_info.index, answer);
		return 0;
	case EMU_DEVICE_SET_IRQS:
		return set_irqs(s, m);
	case EMU_REGION_READ:
		return region_read(s, &m->access, answer);
	case EMU_REGION_WRITE:
		return write_one(s, m, answer);
	case EMU_DEVICE_RESET:
		return device_reset(s, answer);
	case EMU_REGION_WRITE_MULTI:
		return write_many(s, m, answer);
	default:
		return ENOTSUP;
	}
}

void emu_request_run(struct emu_session *session, const struct emu_message *message,
		     struct emu_answer *answer)
{
	answer->error = run(session, message, answer);
	if (answer->error)
		answer->bytes = 0;
}
