// SPDX-License-Identifier: MIT
/*
 * Fuzz target of the device model's control plane, by its registers and the host's memory alone: admin commands, jobs of
 * transfers, descriptors, extent and copy lists, doorbells, shadow pages and flash, good ones with some fields spoilt, and the
 * host that rewrites its memory meanwhile. The sanitizers judge; and a device at rest does no DMA, keeps no mapping, and
 * always comes back from a reset.
 */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aipu/dm.h"
#include "aipu/firmware.h"
#include "aipu_job.h"
#include "aipu_queue.h"
#include "aipu_registers.h"
#include "aipu_segment.h"
#include "compile_fuzz.h"
#include "choices.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

#define PAGE AIPU_PAGE_BYTES
#define BASE 0x100000000ull
#define PAGES 48u
#define QUEUES 3u /* the admin queue and two of a context each */
#define ENTRIES 16u
#define MEMORY_BYTES (256u << 10)
#define FLASH_BYTES (64u << 10)
#define ACTIONS 48u
#define PATIENCE_NS 60000000000ll /* reached by what hangs */

/* Pages of the host's memory: three for each queue (entries, completions, shadow), then these */
enum { AT_LISTS = 3 * QUEUES, AT_COPIES = AT_LISTS + 3, AT_IMAGE, AT_DATA = AT_IMAGE + 2 };

struct host {
	struct aipu_dm *dm;
	uint8_t *memory;
	uint8_t flash[FLASH_BYTES];
	uint32_t tail[QUEUES], head[QUEUES];
	uint32_t image_bytes;
	atomic_int maps;
	atomic_bool at_rest; /* no DMA may come */
};

static struct aipu_firmware_header firmware;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	firmware = (struct aipu_firmware_header){
		.magic = AIPU_FIRMWARE_MAGIC,
		.header_version = AIPU_FIRMWARE_HEADER_VERSION,
		.header_bytes = sizeof(firmware),
		.version = 1u << 24,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.board_id = AIPU_BOARD_ANY,
		.build = "fuzz",
	};
	return aipu_firmware_digest(&firmware, "", 0);
}

/* --- the device's host ------------------------------------------------------------------------------ */

static uint8_t *reach(struct host *host, uint64_t address, size_t bytes)
{
	fuzz_require(!atomic_load(&host->at_rest), "no DMA after a reset");
	if (address < BASE || address - BASE > PAGES * PAGE ||
	    bytes > PAGES * PAGE - (address - BASE))
		return NULL;
	return host->memory + (address - BASE);
}

static int dma_read(void *host, uint64_t address, void *to, size_t bytes)
{
	const uint8_t *from = reach(host, address, bytes);

	if (from)
		memcpy(to, from, bytes);
	return from ? 0 : -EFAULT;
}

static int dma_write(void *host, uint64_t address, const void *from, size_t bytes)
{
	uint8_t *to = reach(host, address, bytes);

	if (to)
		memcpy(to, from, bytes);
	return to ? 0 : -EFAULT;
}

static void *dma_map(void *arg, uint64_t address, size_t bytes, bool write,
		     const volatile bool **lost)
{
	struct host *host = arg;
	void *pointer = reach(host, address, bytes);

	(void)write;
	*lost = NULL;
	atomic_fetch_add(&host->maps, pointer != NULL);
	return pointer;
}

static void dma_unmap(void *arg, void *pointer, size_t bytes)
{
	struct host *host = arg;

	fuzz_require((uint8_t *)pointer >= host->memory &&
			     (uint8_t *)pointer + bytes <= host->memory + PAGES * PAGE,
		     "what is unmapped was mapped");
	atomic_fetch_sub(&host->maps, 1);
}

static void interrupt(void *host, unsigned int vector)
{
	(void)host;
	fuzz_require(vector < 4, "an interrupt of a vector that there is");
}

static int flash_read(void *host, uint64_t offset, void *to, size_t bytes)
{
	fuzz_require(offset <= FLASH_BYTES && bytes <= FLASH_BYTES - offset, "flash is so large");
	memcpy(to, ((struct host *)host)->flash + offset, bytes);
	return 0;
}

static int flash_write(void *host, uint64_t offset, const void *from, size_t bytes)
{
	fuzz_require(offset <= FLASH_BYTES && bytes <= FLASH_BYTES - offset, "flash is so large");
	memcpy(((struct host *)host)->flash + offset, from, bytes);
	return 0;
}

static uint64_t page(unsigned int n)
{
	return BASE + (uint64_t)n * PAGE;
}

static void *at(struct host *host, unsigned int n)
{
	return host->memory + (size_t)n * PAGE;
}

static void write64(struct host *host, uint32_t offset, uint64_t value)
{
	aipu_dm_write32(host->dm, offset, (uint32_t)value);
	aipu_dm_write32(host->dm, offset + 4, (uint32_t)(value >> 32));
}

static int64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Until STATUS, of the bits in `mask`, is no longer `value` */
static uint32_t status_leave(struct host *host, uint32_t mask, uint32_t value)
{
	int64_t end = now() + PATIENCE_NS;
	uint32_t status;

	do {
		status = aipu_dm_read32(host->dm, AIPU_REG_STATUS);
		if ((status & mask) != value)
			return status & AIPU_STATUS_STATE_MASK;
		fuzz_require(now() < end, "the device answers");
		sched_yield();
	} while (1);
}

/* A moment for what it was told; what waits for the host goes on waiting */
static void settle(struct host *host)
{
	for (unsigned int i = 0; i < 100; i++) {
		if (aipu_dm_read32(host->dm, AIPU_REG_STATUS) & AIPU_STATUS_IDLE)
			return;
		sched_yield();
	}
}

/* --- what it is told ---------------------------------------------------------------------------------- */

static void spoil(struct choices *c, void *entry, uint32_t bytes)
{
	uint8_t *field = (uint8_t *)entry + choose_below(c, bytes / 4) * 4;
	uint64_t value;

	if (choose_below(c, 2) && (field - (uint8_t *)entry) % 8 == 0) {
		memcpy(&value, field, sizeof(value));
		value = choose_number(c, value, 64);
		memcpy(field, &value, sizeof(value));
	} else {
		uint32_t word;

		memcpy(&word, field, sizeof(word));
		word = (uint32_t)choose_number(c, word, 32);
		memcpy(field, &word, sizeof(word));
	}
}

static void submit(struct host *host, struct choices *c, uint32_t queue, const void *entry,
		   uint32_t how)
{
	struct aipu_shadow *shadow = at(host, 3 * queue + 2);
	uint32_t tail = host->tail[queue];

	memcpy((uint8_t *)at(host, 3 * queue) + (size_t)tail * 64, entry, 64);
	host->tail[queue] = tail = (tail + 1) % ENTRIES;
	if (queue)
		__atomic_store_n(&shadow->sq_tail, tail, __ATOMIC_RELEASE);
	if (how % 8 == 1)
		tail = (uint32_t)choose_number(c, tail, 32);
	if (how % 8)
		aipu_dm_write32(host->dm, AIPU_DOORBELL_PAGE(queue) + AIPU_DOORBELL_SQ_TAIL, tail);
}

/* Extents of [0, bytes) from the data pages on, `pieces` of them */
static uint64_t lay_list(struct host *host, uint32_t pieces, uint64_t bytes)
{
	for (uint32_t i = 0; i < pieces && i < 3 * AIPU_EXTENTS_PER_PAGE; i++) {
		struct aipu_extent_page *list = at(host, AT_LISTS + i / AIPU_EXTENTS_PER_PAGE);

		list->reserved = 0;
		list->next = i + AIPU_EXTENTS_PER_PAGE - i % AIPU_EXTENTS_PER_PAGE < pieces
				     ? page(AT_LISTS + i / AIPU_EXTENTS_PER_PAGE + 1)
				     : 0;
		list->extents[i % AIPU_EXTENTS_PER_PAGE] = (struct aipu_extent){
			/* In reverse, so that they stay apart */
			.address = page(AT_DATA) + (pieces - 1 - i) * (bytes / pieces),
			.bytes = bytes / pieces,
		};
	}
	return page(AT_LISTS);
}

static void fill_bind(struct host *host, struct choices *c, struct aipu_admin *entry)
{
	static const uint32_t counts[] = { 1, 1, 2, 3, 255, 256, 600 };
	struct aipu_segment_descriptor *d = &entry->bind.descriptor;
	uint32_t how = choose(c), pieces = counts[how % 7];

	entry->bind.segment = how >> 4 & 3;
	d->access = (uint8_t)(1 + (how >> 8) % 3);
	d->kind = how >> 6 & 1 ? AIPU_SEGMENT_HOST : AIPU_SEGMENT_DEVICE;
	d->length = (uint64_t)pieces * (64 + (how >> 16 & 63) * (pieces < 4 ? 512 : 0));
	if (d->kind == AIPU_SEGMENT_DEVICE) {
		d->address = (how >> 12 & 15) * 1024;
	} else {
		d->extent_count = pieces;
		d->address = lay_list(host, pieces, d->length);
	}
}

static void fill_queue(struct host *host, struct choices *c, struct aipu_admin *entry)
{
	uint32_t how = choose(c), queue = entry->context.context;

	entry->queue.queue = queue;
	if (entry->opcode != AIPU_ADMIN_CREATE_QUEUE)
		return;
	entry->queue.sq_address = page(3 * queue);
	entry->queue.cq_address = page(3 * queue + 1);
	entry->queue.shadow_address = how & 1 ? page(3 * queue + 2) : 0;
	entry->queue.entries = ENTRIES;
	entry->queue.vector = how >> 1 & 3;
	if (how >> 3 & 1) {
		entry->queue.coalesce_count = how >> 4 & 3;
		entry->queue.coalesce_us = how >> 6 & 127;
	}
	host->tail[queue] = host->head[queue] = 0;
	memset(at(host, 3 * queue + 1), 0, 2 * PAGE);
}

static void fill_flash(struct aipu_admin *entry, uint32_t how)
{
	const uint8_t opcode = entry->opcode;

	entry->flash.slot = opcode == AIPU_ADMIN_FLASH_INFO ? 0 : how & 1;
	if (opcode <= AIPU_ADMIN_FLASH_READ)
		entry->flash.address = page(AT_IMAGE);
	if (opcode == AIPU_ADMIN_FLASH_WRITE || opcode == AIPU_ADMIN_FLASH_READ)
		entry->flash.bytes = sizeof(firmware);
}

/* As it should be; of contexts and queues there are two, of segments four in each */
static void fill_command(struct host *host, struct choices *c, struct aipu_admin *entry,
			 uint32_t how)
{
	if (entry->opcode >= AIPU_ADMIN_FLASH_INFO && entry->opcode <= AIPU_ADMIN_FLASH_ACTIVATE) {
		fill_flash(entry, how >> 1);
		return;
	}
	if (entry->opcode != AIPU_ADMIN_IDENTIFY && entry->opcode != AIPU_ADMIN_ASYNC_EVENT)
		entry->context.context = 1 + (how & 1);
	switch (entry->opcode) {
	case AIPU_ADMIN_IDENTIFY:
		entry->identify.address = page(AT_DATA);
		break;
	case AIPU_ADMIN_BIND:
		fill_bind(host, c, entry);
		break;
	case AIPU_ADMIN_UNBIND:
		entry->unbind.segment = how >> 1 & 3;
		break;
	case AIPU_ADMIN_CREATE_QUEUE:
	case AIPU_ADMIN_DESTROY_QUEUE:
		fill_queue(host, c, entry);
		break;
	case AIPU_ADMIN_ABORT:
		entry->abort.job = how >> 1 & 15;
		break;
	case AIPU_ADMIN_GET_PROGRESS:
		entry->progress.address = page(AT_DATA);
		break;
	case AIPU_ADMIN_LOAD_PROGRAM:
		entry->program.bytes = 8 + (how >> 1 & 0xff);
		entry->program.segment = how >> 12 & 3;
		break;
	case AIPU_ADMIN_SET_LIMITS:
		entry->limits.power_mw = 10500 + (how >> 1 & 0xffff);
		entry->limits.clock_mhz = 200 + (how >> 17) * 8;
		break;
	default:
		break;
	}
}

static void command(struct host *host, struct choices *c)
{
	uint32_t how = choose(c);
	struct aipu_admin entry = {
		.opcode = (uint8_t)(AIPU_ADMIN_IDENTIFY +
				    how % (AIPU_ADMIN_SET_LIMITS - AIPU_ADMIN_IDENTIFY + 1)),
		.id = (uint16_t)(how >> 16),
	};

	fill_command(host, c, &entry, how >> 8);
	if (how >> 12 & 1)
		spoil(c, &entry, sizeof(entry));
	submit(host, c, 0, &entry, how >> 13);
}

static void fill_copies(struct host *host, struct choices *c, struct aipu_job *job)
{
	struct aipu_copy_entry *list = at(host, AT_COPIES);
	uint32_t how = choose(c);

	/* More than one step's, now and then */
	job->copy = (struct aipu_job_copy){ .src_segment = 3,
					    .list_count = how >> 28 & 1 ? 200 : 1 + (how & 7) };
	for (uint32_t i = 0; i < job->copy.list_count; i++) {
		list[i] = (struct aipu_copy_entry){ .src_segment = how >> (3 + i % 8) & 1,
						    .dst_segment = how >> (11 + i % 8) & 1,
						    .src_offset = i * 16,
						    .dst_offset = i * 64,
						    .length = 1 + (how >> 20 & 63) };
		if (how >> 19 & 1 && i < 8)
			spoil(c, &list[i], sizeof(list[i]));
	}
	if (how >> 27 & 1)
		job->copy.flags = AIPU_COPY_VERIFY;
}

static void job(struct host *host, struct choices *c)
{
	uint32_t how = choose(c), queue = 1 + (how & 1);
	struct aipu_job entry = { .opcode = (uint8_t)(how >> 1 & 3),
				  .id = how >> 4 & 15,
				  .timeout_ms = how >> 27 == 31 };

	if (entry.opcode == AIPU_JOB_COPY) {
		entry.copy.src_segment = how >> 8 & 3;
		entry.copy.dst_segment = how >> 10 & 3;
		entry.copy.length = 1 + (how >> 16 & 0x3fff);
		entry.copy.dst_offset = (how >> 24 & 7) * 2048;
		if (how >> 15 & 1)
			fill_copies(host, c, &entry);
	} else if (entry.opcode == AIPU_JOB_FILL) {
		entry.fill.segment = how >> 8 & 3;
		entry.fill.length = 1 + (how >> 16 & 0x3fff);
		entry.fill.offset = (how >> 24 & 7) * 2048; /* beyond the segment's end, often */
		entry.fill.pattern = how;
	}
	if (how >> 12 & 1)
		spoil(c, &entry, sizeof(entry));
	submit(host, c, queue, &entry, how >> 13 & 3 ? 2 : how >> 28);
}

/* The host takes completions: all that a phase bit shows, or more or fewer than there are */
static void take(struct host *host, struct choices *c)
{
	uint32_t how = choose(c), queue = how % QUEUES;
	struct aipu_shadow *shadow = at(host, 3 * queue + 2);
	uint32_t head = (host->head[queue] + (how >> 4 & 15)) % ENTRIES;

	if (how >> 8 & 1)
		head = (uint32_t)choose_number(c, head, 32);
	host->head[queue] = head % ENTRIES;
	if (queue)
		__atomic_store_n(&shadow->cq_head, head, __ATOMIC_RELEASE);
	if (how >> 9 & 3)
		aipu_dm_write32(host->dm, AIPU_DOORBELL_PAGE(queue) + AIPU_DOORBELL_CQ_HEAD, head);
}

static void overwrite(struct host *host, struct choices *c)
{
	uint32_t how = choose(c);

	if (how >> 31) /* the record in flash, both copies */
		spoil(c, host->flash + (how >> 8 & 1) * PAGE, 128);
	spoil(c, (uint8_t *)at(host, how % AT_DATA) + (how >> 8 & 63) * 64, 64);
}

/* --- its life ----------------------------------------------------------------------------------------- */

static void start(struct host *host)
{
	uint32_t state;

	memcpy(at(host, AT_IMAGE), &firmware, sizeof(firmware));
	memset(host->tail, 0, sizeof(host->tail));
	memset(host->head, 0, sizeof(host->head));
	memset(host->memory, 0, (size_t)AT_LISTS * PAGE);
	atomic_store(&host->at_rest, false);
	state = aipu_dm_read32(host->dm, AIPU_REG_STATUS) & AIPU_STATUS_STATE_MASK;
	if (state == AIPU_STATE_ROM) {
		write64(host, AIPU_REG_BOOT_ADDRESS_LO, page(AT_IMAGE));
		aipu_dm_write32(host->dm, AIPU_REG_BOOT_BYTES, sizeof(firmware));
		aipu_dm_write32(host->dm, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
		state = status_leave(host, AIPU_STATUS_STATE_MASK, AIPU_STATE_LOADING);
	}
	if (state != AIPU_STATE_RUNNING)
		return;
	aipu_dm_write32(host->dm, AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_OLDEST);
	aipu_dm_write32(host->dm, AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_CURRENT);
	write64(host, AIPU_REG_ADMIN_SQ_LO, page(0));
	write64(host, AIPU_REG_ADMIN_CQ_LO, page(1));
	aipu_dm_write32(host->dm, AIPU_REG_ADMIN_ENTRIES, ENTRIES);
	aipu_dm_write32(host->dm, AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	status_leave(host, AIPU_STATUS_STATE_MASK, AIPU_STATE_RUNNING);
}

static void reset(struct host *host, uint32_t how)
{
	if (how & 1)
		aipu_dm_reset(host->dm);
	else
		aipu_dm_write32(
			host->dm, AIPU_REG_CONTROL,
			how & 2 ? 0 : AIPU_CONTROL_RESET | (how & 4 ? AIPU_CONTROL_RECOVERY : 0));
	status_leave(host, AIPU_STATUS_STATE_MASK, AIPU_STATE_RESETTING);
	status_leave(host, AIPU_STATUS_STATE_MASK, AIPU_STATE_LOADING);
	fuzz_require((aipu_dm_read32(host->dm, AIPU_REG_CONTROL) & AIPU_CONTROL_ENABLE) == 0,
		     "a reset device is not enabled");
	atomic_store(&host->at_rest, true);
	fuzz_require(!atomic_load(&host->maps), "a device at rest has let go of the host's memory");
	start(host);
}

/* The image in both slots; the second is to be tried first */
static void install(struct host *host, struct choices *c)
{
	for (uint32_t slot = 0; slot < 2; slot++) {
		struct aipu_admin entry = { .opcode = AIPU_ADMIN_FLASH_WRITE };

		entry.flash.slot = slot;
		entry.flash.bytes = sizeof(firmware);
		entry.flash.address = page(AT_IMAGE);
		submit(host, c, 0, &entry, 2);
		entry = (struct aipu_admin){ .opcode = AIPU_ADMIN_FLASH_COMMIT };
		entry.flash.slot = slot;
		submit(host, c, 0, &entry, 2);
		entry.opcode = AIPU_ADMIN_FLASH_ACTIVATE;
		submit(host, c, 0, &entry, 2);
	}
	settle(host);
	reset(host, 0);
}

/* Two contexts with a queue each, and segments: 0 and 1 of device memory, 2 the host's, 3 the lists' page */
static void begin(struct host *host, struct choices *c, uint32_t how)
{
	for (uint32_t context = 1; context < QUEUES; context++) {
		struct aipu_admin create = { .opcode = AIPU_ADMIN_CREATE_CONTEXT };
		struct aipu_admin queue = { .opcode = AIPU_ADMIN_CREATE_QUEUE };
		struct aipu_admin bind = { .opcode = AIPU_ADMIN_BIND };

		create.context.context = context;
		submit(host, c, 0, &create, 2);
		queue.context.context = context;
		queue.queue.queue = context;
		queue.queue.sq_address = page(3 * context);
		queue.queue.cq_address = page(3 * context + 1);
		queue.queue.shadow_address = how >> context & 1 ? page(3 * context + 2) : 0;
		queue.queue.entries = ENTRIES;
		submit(host, c, 0, &queue, 2);
		for (uint32_t i = 0; i < 4; i++) {
			struct aipu_segment_descriptor *d = &bind.bind.descriptor;

			bind.bind.context = context;
			bind.bind.segment = i;
			*d = (struct aipu_segment_descriptor){ .access = 3, .length = 16384 };
			d->kind = i < 2 ? AIPU_SEGMENT_DEVICE : AIPU_SEGMENT_HOST;
			d->address = i < 2 ? i * 65536 : 0;
			if (i >= 2) {
				struct aipu_extent_page *list = at(host, AT_LISTS + i - 2);

				memset(list, 0, sizeof(*list));
				list->extents[0].address = page(i == 2 ? AT_DATA : AT_COPIES);
				list->extents[0].bytes = 16384;
				d->extent_count = 1;
				d->address = page(AT_LISTS + i - 2);
			}
			submit(host, c, 0, &bind, 2);
		}
		settle(host);
		aipu_dm_write32(host->dm, AIPU_DOORBELL_PAGE(0) + AIPU_DOORBELL_CQ_HEAD,
				host->tail[0]);
		host->head[0] = host->tail[0];
	}
}

static void act(struct host *host, struct choices *c)
{
	uint32_t how = choose(c);

	switch (how % 16) {
	case 0:
		overwrite(host, c);
		break;
	case 1:
		aipu_dm_write32(host->dm, (how >> 8) % aipu_dm_bar0_bytes(host->dm) & ~3u,
				(uint32_t)choose_number(c, how >> 16, 32));
		break;
	case 2:
		aipu_dm_read32(host->dm, (how >> 8) % 0x400);
		break;
	case 3:
		take(host, c);
		break;
	case 4:
		settle(host);
		break;
	case 5:
		if (how >> 8 & 1)
			aipu_dm_gate(host->dm, how >> 9 & 1);
		else
			aipu_dm_bus_master(host->dm, how >> 9 & 1);
		break;
	case 6:
		if (!(how >> 8 & 3))
			reset(host, how >> 10);
		break;
	case 7:
	case 8:
	case 9:
	case 10:
	case 11:
		job(host, c);
		break;
	default:
		command(host, c);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct aipu_dm_ops ops = {
		.dma_read = dma_read,
		.dma_write = dma_write,
		.dma_map = dma_map,
		.dma_unmap = dma_unmap,
		.interrupt = interrupt,
		.flash_read = flash_read,
		.flash_write = flash_write,
	};
	struct choices c = { .data = data, .size = size };
	uint32_t how = choose(&c);
	struct aipu_dm_config config = {
		.memory_bytes = MEMORY_BYTES,
		.cores = 1,
		.max_queues = 2,
		.vectors = 4,
		.flash_bytes = how & 1 ? FLASH_BYTES : 0,
		.ready_timeout_ms = 1,
		.uma = how >> 1 & 1,
		.linger_us = how >> 2 & 1 ? 50 : 0,
		.ambient_c = how >> 8 & 127,
	};
	struct host *host = calloc(1, sizeof(*host));
	struct aipu_dm_ops own = ops;

	fuzz_require(host != NULL, "memory");
	host->memory = aligned_alloc(PAGE, PAGES * PAGE);
	fuzz_require(host->memory != NULL, "memory");
	memset(host->memory, 0, PAGES * PAGE);
	if (!config.uma && how >> 3 & 1)
		own.dma_map = NULL;
	fuzz_require(!aipu_dm_create(&config, &own, host, &host->dm), "a device");
	status_leave(host, AIPU_STATUS_STATE_MASK, AIPU_STATE_LOADING);
	start(host);
	if ((how >> 18 & how) & 1)
		install(host, &c);
	begin(host, &c, how >> 4);
	for (unsigned int i = 0; i < ACTIONS && c.size; i++)
		act(host, &c);
	settle(host);
	if (how >> 16 & 1)
		reset(host, how >> 17);
	aipu_dm_destroy(host->dm);
	fuzz_require(!atomic_load(&host->maps), "a device that is gone has no mapping");
	free(host->memory);
	free(host);
	return 0;
}
