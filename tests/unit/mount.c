// SPDX-License-Identifier: MIT
/*
 * The test mount's host side (DMA, interrupts) and its little driver. Called by test_device_*.c.
 */
#include "mount.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu/firmware.h"
#include "sign.h"

#define LIMIT_NS 30000000000ull

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- host services -------------------------------------------------------------------------------- */

static uint8_t *translate(struct mount *mount, uint64_t address, size_t bytes)
{
	uint64_t offset = address - MOUNT_BASE;
	uint64_t hole = atomic_load(&mount->hole), hole_bytes = atomic_load(&mount->hole_bytes);

	if (atomic_load(&mount->closed))
		atomic_fetch_add(&mount->late, 1);
	if (address < MOUNT_BASE || offset > mount->bytes || bytes > mount->bytes - offset)
		return NULL;
	if (hole_bytes && address < hole + hole_bytes && hole < address + bytes)
		return NULL;
	if (bytes >= 4096 && atomic_load(&mount->slow_us))
		usleep(atomic_load(&mount->slow_us));
	return mount->arena + offset;
}

static int dma_read(void *host, uint64_t address, void *to, size_t bytes)
{
	struct mount *mount = host;
	const uint8_t *from;
	uint32_t word;

	atomic_fetch_add(&mount->inside, 1);
	atomic_fetch_add(&mount->reads, 1);
	from = translate(mount, address, bytes);
	if (from && bytes == sizeof(word) && (uintptr_t)from % sizeof(word) == 0) {
		word = __atomic_load_n((const uint32_t *)(const void *)from, __ATOMIC_ACQUIRE);
		memcpy(to, &word, sizeof(word));
	} else if (from) {
		memcpy(to, from, bytes);
	}
	atomic_fetch_sub(&mount->inside, 1);
	return from ? 0 : -14;
}

static int dma_write(void *host, uint64_t address, const void *from, size_t bytes)
{
	struct mount *mount = host;
	uint64_t word;
	uint32_t half;
	uint8_t *to;

	atomic_fetch_add(&mount->inside, 1);
	atomic_fetch_add(&mount->writes, 1);
	if (mount->before_write)
		mount->before_write(address);
	to = translate(mount, address, bytes);
	if (to && bytes == sizeof(word) && (uintptr_t)to % sizeof(word) == 0) {
		memcpy(&word, from, sizeof(word));
		__atomic_store_n((uint64_t *)(void *)to, word, __ATOMIC_RELEASE);
	} else if (to && bytes == sizeof(half) && (uintptr_t)to % sizeof(half) == 0) {
		memcpy(&half, from, sizeof(half));
		__atomic_store_n((uint32_t *)(void *)to, half, __ATOMIC_RELEASE);
	} else if (to) {
		memcpy(to, from, bytes);
	}
	atomic_fetch_sub(&mount->inside, 1);
	return to ? 0 : -14;
}

static void *dma_map(void *host, uint64_t address, size_t bytes, bool write,
		     const volatile bool **lost)
{
	struct mount *mount = host;
	uint8_t *pointer = translate(mount, address, bytes);

	(void)write;
	if (!pointer)
		return NULL;
	if (mount->lost_from && address >= mount->lost_from)
		*lost = &mount->lost_flag;
	atomic_fetch_add(&mount->maps, 1);
	return pointer;
}

static void dma_unmap(void *host, void *pointer, size_t bytes)
{
	struct mount *mount = host;

	(void)pointer;
	(void)bytes;
	atomic_fetch_sub(&mount->maps, 1);
}

static void interrupt(void *host, unsigned int vector)
{
	struct mount *mount = host;

	atomic_store(&mount->status, aipu_dm_read32(mount->dm, AIPU_REG_STATUS));
	if (vector < MOUNT_VECTORS)
		atomic_fetch_add(&mount->interrupts[vector], 1);
}

static void strike(void *host, enum aipu_dm_point point, struct aipu_dm_fault *fault)
{
	struct mount *mount = host;
	unsigned int asked = atomic_fetch_add(&mount->asked[point], 1) + 1;

	if (mount->fault->point == point && mount->fault->at == asked)
		*fault = mount->fault->fault;
}

static int flash_read(void *host, uint64_t offset, void *to, size_t bytes)
{
	struct mount *mount = host;

	memcpy(to, mount->flash->bytes + offset, bytes);
	return 0;
}

static int flash_write(void *host, uint64_t offset, const void *from, size_t bytes)
{
	struct mount_flash *flash = ((struct mount *)host)->flash;
	uint64_t left = flash->power - flash->written;
	uint64_t most = bytes < left ? bytes : left;

	memcpy(flash->bytes + offset, from, most);
	flash->written += most;
	return most < bytes ? -EIO : 0;
}

/* --- making --------------------------------------------------------------------------------------- */

struct mount *mount_create(const struct mount_options *options)
{
	static const struct mount_options none;
	struct aipu_dm_ops ops = { .dma_read = dma_read,
				   .dma_write = dma_write,
				   .interrupt = interrupt };
	struct mount *mount = calloc(1, sizeof(*mount));
	struct aipu_dm_config config;

	assert_non_null(mount);
	if (!options)
		options = &none;
	config = options->config;
	if (!config.memory_bytes)
		config.memory_bytes = 64u << 20;
	if (!config.cores)
		config.cores = 2;
	mount->bytes = options->arena_bytes ? options->arena_bytes : 32u << 20;
	mount->arena = aligned_alloc(4096, mount->bytes);
	assert_non_null(mount->arena);
	memset(mount->arena, 0, mount->bytes);
	mount->map = options->map;
	ops.clock = options->clock;
	mount->flash = options->flash;
	if (options->flash) {
		ops.flash_read = flash_read;
		ops.flash_write = flash_write;
	}
	mount->fault = options->fault;
	ops.fault = options->fault ? strike : NULL;
	if (options->map) {
		ops.dma_map = dma_map;
		ops.dma_unmap = dma_unmap;
	}
	assert_int_equal(aipu_dm_create(&config, &ops, mount, &mount->dm), 0);
	return mount;
}

struct mount *mount_ready(const struct mount_options *options)
{
	struct mount *mount = mount_create(options);

	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	return mount;
}

void mount_destroy(struct mount *mount)
{
	aipu_dm_destroy(mount->dm);
	assert_int_equal(atomic_load(&mount->maps), 0); /* everything mapped was unmapped */
	free(mount->admin);
	free(mount->arena);
	free(mount);
}

uint64_t mount_alloc(struct mount *mount, size_t bytes)
{
	size_t offset = mount->used;

	mount->used += (bytes + 4095) / 4096 * 4096;
	assert_true(mount->used <= mount->bytes);
	memset(mount->arena + offset, 0, mount->used - offset);
	return MOUNT_BASE + offset;
}

void *mount_pointer(struct mount *mount, uint64_t address)
{
	return mount->arena + (address - MOUNT_BASE);
}

/* --- boot ----------------------------------------------------------------------------------------- */

uint32_t mount_state(struct mount *mount)
{
	return aipu_dm_read32(mount->dm, AIPU_REG_STATUS) & AIPU_STATUS_STATE_MASK;
}

static bool wait_status(struct mount *mount, uint32_t mask, uint32_t value)
{
	uint64_t limit = now_ns() + LIMIT_NS;

	while ((aipu_dm_read32(mount->dm, AIPU_REG_STATUS) & mask) != value) {
		if (now_ns() > limit)
			return false;
		usleep(20);
	}
	return true;
}

bool mount_wait_state(struct mount *mount, uint32_t state)
{
	return wait_status(mount, AIPU_STATUS_STATE_MASK, state);
}

bool mount_wait_idle(struct mount *mount)
{
	return wait_status(mount, AIPU_STATUS_IDLE, AIPU_STATUS_IDLE);
}

/* The state once it is no longer `old` */
static uint32_t left_state(struct mount *mount, uint32_t old)
{
	uint64_t limit = now_ns() + LIMIT_NS;
	uint32_t state;

	while ((state = mount_state(mount)) == old && now_ns() < limit)
		usleep(20);
	return state;
}

void mount_image(struct aipu_firmware_header *header, const char *payload)
{
	*header = (struct aipu_firmware_header){
		.magic = AIPU_FIRMWARE_MAGIC,
		.header_version = AIPU_FIRMWARE_HEADER_VERSION,
		.header_bytes = sizeof(*header),
		.payload_bytes = strlen(payload),
		.version = 1u << 24 | 2u << 16 | 3u,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.board_id = AIPU_BOARD_SOFT,
		.build = "test",
	};
	mount_seal(header, payload);
}

void mount_seal(struct aipu_firmware_header *header, const char *payload)
{
	assert_int_equal(aipu_firmware_digest(header, payload, strlen(payload)), 0);
}

void mount_sign(struct aipu_firmware_header *header, const char *payload, uint8_t seed,
		uint8_t key[32])
{
	uint8_t raw[32];

	sign_key_seed(seed, raw);
	sign_image(header, payload, strlen(payload), raw, key);
}

void mount_write64(struct mount *mount, uint32_t offset, uint64_t value)
{
	aipu_dm_write32(mount->dm, offset, (uint32_t)value);
	aipu_dm_write32(mount->dm, offset + 4, (uint32_t)(value >> 32));
}

uint32_t mount_load(struct mount *mount, const struct aipu_firmware_header *header,
		    const char *payload)
{
	size_t bytes = sizeof(*header) + strlen(payload);
	uint64_t image = mount_alloc(mount, bytes);

	memcpy(mount_pointer(mount, image), header, sizeof(*header));
	memcpy((uint8_t *)mount_pointer(mount, image) + sizeof(*header), payload, strlen(payload));
	mount_write64(mount, AIPU_REG_BOOT_ADDRESS_LO, image);
	aipu_dm_write32(mount->dm, AIPU_REG_BOOT_BYTES, (uint32_t)bytes);
	aipu_dm_write32(mount->dm, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	return left_state(mount, AIPU_STATE_LOADING);
}

uint32_t mount_boot(struct mount *mount)
{
	struct aipu_firmware_header header;

	mount_image(&header, "payload");
	return mount_load(mount, &header, "payload");
}

static struct mount_queue *new_queue(struct mount *mount, uint32_t id, uint32_t entries)
{
	struct mount_queue *queue = calloc(1, sizeof(*queue));

	assert_non_null(queue);
	queue->mount = mount;
	queue->id = id;
	queue->entries = entries;
	queue->sq = mount_alloc(mount, entries * sizeof(struct aipu_job));
	queue->cq = mount_alloc(mount, entries * sizeof(struct aipu_completion));
	queue->phase = 1;
	return queue;
}

uint32_t mount_enable(struct mount *mount)
{
	free(mount->admin);
	mount->admin = new_queue(mount, 0, 16);
	mount_write64(mount, AIPU_REG_ADMIN_SQ_LO, mount->admin->sq);
	mount_write64(mount, AIPU_REG_ADMIN_CQ_LO, mount->admin->cq);
	aipu_dm_write32(mount->dm, AIPU_REG_ADMIN_ENTRIES, mount->admin->entries);
	aipu_dm_write32(mount->dm, AIPU_REG_ADMIN_VECTOR, 0);
	aipu_dm_write32(mount->dm, AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_OLDEST);
	aipu_dm_write32(mount->dm, AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_CURRENT);
	aipu_dm_write32(mount->dm, AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	return left_state(mount, AIPU_STATE_RUNNING);
}

/* --- rings ---------------------------------------------------------------------------------------- */

void mount_put(struct mount_queue *queue, const void *entry)
{
	uint8_t *ring = mount_pointer(queue->mount, queue->sq);

	memcpy(ring + queue->tail * sizeof(struct aipu_job), entry, sizeof(struct aipu_job));
	queue->tail = (queue->tail + 1) & (queue->entries - 1);
}

void mount_ring(struct mount_queue *queue)
{
	aipu_dm_write32(queue->mount->dm, AIPU_DOORBELL_PAGE(queue->id) + AIPU_DOORBELL_SQ_TAIL,
			queue->tail);
}

void mount_submit(struct mount_queue *queue, const void *entry)
{
	mount_put(queue, entry);
	mount_ring(queue);
}

bool mount_next(struct mount_queue *queue, struct aipu_completion *completion, bool acknowledge)
{
	const uint8_t *place = mount_pointer(queue->mount, queue->cq);
	uint64_t word;

	place += queue->head * sizeof(*completion);
	word = __atomic_load_n((const uint64_t *)(const void *)(place + 24), __ATOMIC_ACQUIRE);
	if (word >> 48 != queue->phase)
		return false;
	memcpy(completion, place, 24);
	memcpy((uint8_t *)completion + 24, &word, sizeof(word));
	queue->head = (queue->head + 1) & (queue->entries - 1);
	if (!queue->head)
		queue->phase ^= 1;
	if (acknowledge)
		aipu_dm_write32(queue->mount->dm,
				AIPU_DOORBELL_PAGE(queue->id) + AIPU_DOORBELL_CQ_HEAD, queue->head);
	return true;
}

bool mount_peek(struct mount_queue *queue, struct aipu_completion *completion)
{
	return mount_next(queue, completion, true);
}

struct aipu_completion mount_wait(struct mount_queue *queue)
{
	uint64_t limit = now_ns() + LIMIT_NS;
	struct aipu_completion completion = { 0 };

	while (!mount_peek(queue, &completion)) {
		if (now_ns() > limit)
			fail_msg("queue %u: no completion", queue->id);
		usleep(20);
	}
	return completion;
}

/* --- commands ------------------------------------------------------------------------------------- */

unsigned int mount_admin(struct mount *mount, struct aipu_admin *command, uint32_t *detail)
{
	struct aipu_completion completion;

	command->id = (uint16_t)(0x100 + mount->admin->tail);
	mount_submit(mount->admin, command);
	completion = mount_wait(mount->admin);
	assert_int_equal(completion.id, command->id);
	if (detail)
		*detail = completion.detail;
	return completion.status;
}

unsigned int mount_create_context(struct mount *mount, uint32_t context)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_CONTEXT,
				      .context = { .context = context } };

	return mount_admin(mount, &command, NULL);
}

static struct mount_queue *create_queue(struct mount *mount, uint32_t context, uint32_t id,
					uint32_t entries, uint16_t vector, uint64_t shadow)
{
	struct mount_queue *queue = new_queue(mount, id, entries);
	struct aipu_admin command = { .opcode = AIPU_ADMIN_CREATE_QUEUE,
				      .queue = { .context = context,
						 .queue = id,
						 .sq_address = queue->sq,
						 .cq_address = queue->cq,
						 .shadow_address = shadow,
						 .entries = entries,
						 .vector = vector } };

	queue->shadow = shadow;
	assert_int_equal(mount_admin(mount, &command, NULL), AIPU_STATUS_OK);
	return queue;
}

struct mount_queue *mount_create_queue(struct mount *mount, uint32_t context, uint32_t id,
				       uint32_t entries, uint16_t vector)
{
	return create_queue(mount, context, id, entries, vector, 0);
}

struct mount_queue *mount_create_shadowed(struct mount *mount, uint32_t context, uint32_t id,
					  uint32_t entries)
{
	return create_queue(mount, context, id, entries, 0,
			    mount_alloc(mount, sizeof(struct aipu_shadow)));
}

unsigned int mount_bind_device(struct mount *mount, uint32_t context, uint32_t segment,
			       uint64_t offset, uint64_t length, unsigned int access)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_BIND,
				      .bind = { .context = context,
						.segment = segment,
						.descriptor = { .kind = AIPU_SEGMENT_DEVICE,
								.access = (uint8_t)access,
								.address = offset,
								.length = length } } };

	return mount_admin(mount, &command, NULL);
}

unsigned int mount_bind_host(struct mount *mount, uint32_t context, uint32_t segment,
			     uint64_t address, uint64_t length, unsigned int access,
			     uint32_t pieces)
{
	uint32_t pages = (pieces + AIPU_EXTENTS_PER_PAGE - 1) / AIPU_EXTENTS_PER_PAGE;
	uint64_t list = mount_alloc(mount, pages * sizeof(struct aipu_extent_page));
	struct aipu_extent_page *page = mount_pointer(mount, list);
	struct aipu_admin command = { .opcode = AIPU_ADMIN_BIND,
				      .bind = { .context = context,
						.segment = segment,
						.descriptor = { .kind = AIPU_SEGMENT_HOST,
								.access = (uint8_t)access,
								.extent_count = pieces,
								.address = list,
								.length = length } } };

	for (uint32_t i = 0; i < pieces; i++) {
		struct aipu_extent_page *own = &page[i / AIPU_EXTENTS_PER_PAGE];

		own->extents[i % AIPU_EXTENTS_PER_PAGE] =
			(struct aipu_extent){ .address = address +
							 (pieces - 1 - i) * (length / pieces),
					      .bytes = length / pieces };
		if (i && i % AIPU_EXTENTS_PER_PAGE == 0)
			own[-1].next = list + i / AIPU_EXTENTS_PER_PAGE * sizeof(*own);
	}
	return mount_admin(mount, &command, NULL);
}

unsigned int mount_unbind(struct mount *mount, uint32_t context, uint32_t segment)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_UNBIND,
				      .unbind = { .context = context, .segment = segment } };

	return mount_admin(mount, &command, NULL);
}

unsigned int mount_abort(struct mount *mount, uint32_t queue, uint32_t job)
{
	struct aipu_admin command = { .opcode = AIPU_ADMIN_ABORT,
				      .abort = { .queue = queue, .job = job } };

	return mount_admin(mount, &command, NULL);
}

struct aipu_completion mount_job(struct mount_queue *queue, const struct aipu_job *job)
{
	mount_submit(queue, job);
	return mount_wait(queue);
}
