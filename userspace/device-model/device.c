// SPDX-License-Identifier: MIT
/*
 * The device as a whole: its making and its end, its memory, and the calls of a mount that wait (bus master,
 * function-level reset). Everything that happens in between happens in engine.c.
 */
#include "device.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "compute/compute.h"

uint64_t dm_real_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t dm_clock(const struct aipu_dm *dm)
{
	return dm->ops.clock ? dm->ops.clock(dm->host) : dm_real_clock();
}

uint32_t dm_steps(struct aipu_dm *dm)
{
	return atomic_load_explicit(&dm->steps, memory_order_relaxed);
}

bool dm_stopping(struct aipu_dm *dm)
{
	return atomic_load(&dm->generation) != dm->engine_generation;
}

void dm_stop_request(struct aipu_dm *dm, enum dm_stop stop)
{
	if (stop > dm->stop)
		dm->stop = stop;
	dm->reset_count += stop == DM_STOP_RESET; /* each, also where one is under way */
	dm->state = AIPU_STATE_RESETTING;
	dm->enabled = false;
	dm->load_pending = false;
	dm->enable_pending = false;
	dm->idle = false;
	atomic_fetch_add(&dm->generation, 1);
	pthread_cond_signal(&dm->wake);
}

/* --- create --------------------------------------------------------------------------------------- */

static uint32_t affine_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		return 1;
	return (uint32_t)CPU_COUNT(&set);
}

static int take_config(struct aipu_dm *dm, const struct aipu_dm_config *config)
{
	struct aipu_dm_config *own = &dm->config;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	*own = *config;
	if (!own->memory_bytes)
		own->memory_bytes = 1ull << 30;
	if (!own->cores) {
		own->cores = affine_cpus();
		if (own->cores > DM_MAX_CORES)
			own->cores = DM_MAX_CORES;
	}
	if (!own->max_queues)
		own->max_queues = 64;
	if (!own->vectors)
		own->vectors = 64;
	if (!own->ready_timeout_ms)
		own->ready_timeout_ms = DM_READY_TIMEOUT_MS;
	if (!own->board_id)
		own->board_id = AIPU_BOARD_SOFT;
	if (!own->abi_oldest && !own->abi_newest) {
		own->abi_oldest = AIPU_ABI_OLDEST;
		own->abi_newest = AIPU_ABI_CURRENT;
	}
	if (own->memory_bytes % page || own->memory_bytes > 1ull << 46 ||
	    own->cores > DM_MAX_CORES || own->max_queues > DM_MAX_QUEUES ||
	    own->vectors > DM_MAX_VECTORS || own->abi_oldest > own->abi_newest ||
	    own->simd > AIPU_DM_SIMD_AVX512 || own->ambient_c > DM_AMBIENT_MAX_C ||
	    (own->uma && !dm->ops.dma_map))
		return -EINVAL;
	return 0;
}

static void set_limits(struct aipu_dm *dm)
{
	dm->limits = (struct dm_limits){
		.capabilities = AIPU_CAP_COPY_DIGEST | AIPU_CAP_COALESCING | AIPU_CAP_PRIORITIES |
				AIPU_CAP_LIMITS | AIPU_CAP_RAS |
				(dm->config.no_shadows ? 0 : AIPU_CAP_SHADOW_DOORBELLS) |
				(dm->config.flash_bytes ? AIPU_CAP_FLASH : 0) |
				(dm->config.uma ? AIPU_CAP_UMA : 0),
		.operations = 1ull << AIPU_OP_EMBED | 1ull << AIPU_OP_RMSNORM |
			      1ull << AIPU_OP_MATMUL | 1ull << AIPU_OP_ROPE |
			      1ull << AIPU_OP_KV_UPDATE | 1ull << AIPU_OP_ATTENTION |
			      1ull << AIPU_OP_ACTIVATE | 1ull << AIPU_OP_ADD |
			      1ull << AIPU_OP_SELECT,
		.formats = 1ull << AIPU_FMT_F32 | 1ull << AIPU_FMT_F16 | 1ull << AIPU_FMT_I8_G32,
		.kv_formats = 1u << AIPU_FMT_F32 | 1u << AIPU_FMT_F16,
		.kv_kinds = 1u << AIPU_KV_NONE | 1u << AIPU_KV_SMART_MASK,
		.numerics = 1u << AIPU_NUMERICS_1,
		.layouts = 1u << AIPU_LAYOUT_ROWS | 1u << AIPU_LAYOUT_TILE16 |
			   1u << AIPU_LAYOUT_KV_K | 1u << AIPU_LAYOUT_KV_V,
		.activations = 1u << AIPU_ACT_PLAIN | 1u << AIPU_ACT_DYNAMIC_I8_G32,
		.abi_oldest = dm->config.abi_oldest,
		.abi_newest = dm->config.abi_newest,
		.max_lanes = DM_MAX_LANES,
		.max_program_bytes = DM_MAX_PROGRAM_BYTES,
	};
}

static int make_memory(struct aipu_dm *dm)
{
	dm->memory_fd = memfd_create("aipu-device-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (dm->memory_fd < 0)
		return -errno;
	if (ftruncate(dm->memory_fd, (off_t)dm->config.memory_bytes))
		return -errno;
	/* A mount may hand the descriptor on, and to whom it does must not be able to take memory away. */
	if (fcntl(dm->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		return -errno;
	dm->memory = mmap(NULL, dm->config.memory_bytes, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_NORESERVE, dm->memory_fd, 0);
	if (dm->memory == MAP_FAILED) {
		dm->memory = NULL;
		return -errno;
	}
	return 0;
}

static void release(struct aipu_dm *dm)
{
	dm_cores_destroy(dm->cores);
	if (dm->memory)
		munmap(dm->memory, dm->config.memory_bytes);
	if (dm->memory_fd >= 0)
		close(dm->memory_fd);
	free(dm->doorbells);
	free(dm->queues);
	pthread_mutex_destroy(&dm->lock);
	pthread_cond_destroy(&dm->wake);
	pthread_cond_destroy(&dm->boundary_passed);
	free(dm);
}

static void init_sync(struct aipu_dm *dm)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&dm->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&dm->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	pthread_cond_init(&dm->boundary_passed, NULL);
	atomic_init(&dm->bus_master, true);
}

int aipu_dm_create(const struct aipu_dm_config *config, const struct aipu_dm_ops *ops, void *host,
		   struct aipu_dm **out)
{
	struct aipu_dm *dm = calloc(1, sizeof(*dm));
	int err;

	if (!dm)
		return -ENOMEM;
	dm->memory_fd = -1;
	dm->ops = *ops;
	dm->host = host;
	init_sync(dm);
	err = take_config(dm, config);
	if (!err)
		err = dm_flash_open(dm);
	if (err)
		goto fail;
	dm_rom_begin(dm);
	dm_power_open(dm);
	set_limits(dm);
	err = aipu_kernels_select((enum aipu_simd)dm->config.simd, &dm->kernels);
	if (err)
		goto fail;
	err = -ENOMEM;
	dm->doorbells = calloc(dm->config.max_queues + 1, sizeof(*dm->doorbells));
	dm->queues = calloc(dm->config.max_queues + 1, sizeof(struct dm_queue *));
	if (!dm->doorbells || !dm->queues)
		goto fail;
	err = make_memory(dm);
	if (err)
		goto fail;
	err = dm_cores_create(dm->config.cores, &dm->cores);
	if (err)
		goto fail;
	err = -pthread_create(&dm->engine, NULL, dm_engine_main, dm);
	if (err)
		goto fail;
	*out = dm;
	return 0;
fail:
	release(dm);
	return err;
}

/* --- calls that wait ------------------------------------------------------------------------------ */

void aipu_dm_destroy(struct aipu_dm *dm)
{
	if (!dm)
		return;
	pthread_mutex_lock(&dm->lock);
	dm->quit = true;
	dm_stop_request(dm, DM_STOP_RESET);
	pthread_mutex_unlock(&dm->lock);
	pthread_join(dm->engine, NULL);
	release(dm);
}

void *aipu_dm_memory(struct aipu_dm *dm, uint64_t *bytes, int *fd)
{
	if (bytes)
		*bytes = dm->config.memory_bytes;
	if (fd)
		*fd = dm->memory_fd;
	return dm->memory;
}

void aipu_dm_bus_master(struct aipu_dm *dm, bool on)
{
	uint64_t boundary;

	pthread_mutex_lock(&dm->lock);
	atomic_store(&dm->bus_master, on);
	if (on)
		pthread_cond_signal(&dm->wake); /* shadow doorbells were not looked at meanwhile */
	/* What began before the store ends at the engine's next boundary. */
	boundary = dm->boundaries;
	while (!on && !dm->sleeping && !dm->hung && dm->boundaries == boundary)
		pthread_cond_wait(&dm->boundary_passed, &dm->lock);
	pthread_mutex_unlock(&dm->lock);
}

void aipu_dm_gate(struct aipu_dm *dm, bool open)
{
	pthread_mutex_lock(&dm->lock);
	if (atomic_load(&dm->gate) % 2 == open)
		atomic_fetch_add(&dm->gate, 1);
	pthread_cond_signal(&dm->wake);
	pthread_mutex_unlock(&dm->lock);
}

void aipu_dm_reset(struct aipu_dm *dm)
{
	uint64_t stops;

	pthread_mutex_lock(&dm->lock);
	dm_stop_request(dm, DM_STOP_RESET);
	stops = dm->stops;
	while (dm->stops == stops)
		pthread_cond_wait(&dm->boundary_passed, &dm->lock);
	pthread_mutex_unlock(&dm->lock);
}
