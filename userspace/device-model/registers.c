// SPDX-License-Identifier: MIT
/*
 * BAR0: what a read gives and what a write starts. Called by the mount from any thread. A register access takes
 * the device's lock for a few instructions and never waits for work: boot, enable, disable and reset are noted
 * here and done by the engine, and a state changes in STATUS when they are.
 */
#include "device.h"

/* Bits of a 64-bit value at register `base` (low half first) */
static uint32_t half(uint64_t value, uint32_t offset, uint32_t base)
{
	return (uint32_t)(offset == base ? value : value >> 32);
}

static uint32_t stored(const struct aipu_dm *dm, uint32_t offset)
{
	return dm->stored[offset / 4];
}

static uint64_t stored64(const struct aipu_dm *dm, uint32_t offset)
{
	return stored(dm, offset) | (uint64_t)stored(dm, offset + 4) << 32;
}

/* --- reads -------------------------------------------------------------------------------------- */

static uint32_t read_identity(const struct aipu_dm *dm, uint32_t offset)
{
	bool runs = dm->firmware.version;

	switch (offset) {
	case AIPU_REG_MAGIC:
		return AIPU_MAGIC;
	case AIPU_REG_ABI_NEWEST:
		return runs ? dm->firmware.abi_newest : dm->config.abi_newest;
	case AIPU_REG_ABI_OLDEST:
		return runs ? dm->firmware.abi_oldest : dm->config.abi_oldest;
	case AIPU_REG_BOARD_ID:
		return dm->config.board_id;
	case AIPU_REG_FIRMWARE_VERSION:
		return dm->firmware.version;
	case AIPU_REG_ROLLBACK:
		return dm->rollback;
	case AIPU_REG_SERIAL_LO:
	case AIPU_REG_SERIAL_HI:
		return half(dm->config.serial, offset, AIPU_REG_SERIAL_LO);
	case AIPU_REG_BOOT_SOURCE:
		return dm->boot_source;
	case AIPU_REG_ROM_VERSION:
		return DM_ROM_VERSION;
	case AIPU_REG_SLOT_A_ERROR:
	case AIPU_REG_SLOT_B_ERROR:
		return dm->slot_errors[offset == AIPU_REG_SLOT_B_ERROR];
	default:
		return 0;
	}
}

static uint32_t read_capability(const struct aipu_dm *dm, uint32_t offset)
{
	if (!dm->firmware.version)
		return 0;
	switch (offset) {
	case AIPU_REG_CAP_LO:
	case AIPU_REG_CAP_HI:
		return half(dm->limits.capabilities, offset, AIPU_REG_CAP_LO);
	case AIPU_REG_CAP_OPS_LO:
	case AIPU_REG_CAP_OPS_HI:
		return half(dm->limits.operations, offset, AIPU_REG_CAP_OPS_LO);
	case AIPU_REG_CAP_FORMATS_LO:
	case AIPU_REG_CAP_FORMATS_HI:
		return half(dm->limits.formats, offset, AIPU_REG_CAP_FORMATS_LO);
	case AIPU_REG_CAP_KV_FORMATS:
		return dm->limits.kv_formats;
	case AIPU_REG_CAP_KV_KINDS:
		return dm->limits.kv_kinds;
	case AIPU_REG_CAP_NUMERICS:
		return dm->limits.numerics;
	case AIPU_REG_CAP_LAYOUTS:
		return dm->limits.layouts;
	case AIPU_REG_CAP_ACTIVATIONS:
		return dm->limits.activations;
	case AIPU_REG_MEMORY_LO:
	case AIPU_REG_MEMORY_HI:
		return half(dm->config.memory_bytes, offset, AIPU_REG_MEMORY_LO);
	case AIPU_REG_CORES:
		return dm->config.cores;
	case AIPU_REG_MAX_QUEUES:
		return dm->config.max_queues;
	case AIPU_REG_MAX_QUEUE_ENTRIES:
		return DM_MAX_QUEUE_ENTRIES;
	case AIPU_REG_MAX_CONTEXTS:
		return DM_MAX_CONTEXTS;
	case AIPU_REG_MAX_SEGMENTS:
		return DM_MAX_SEGMENTS;
	case AIPU_REG_MAX_PROGRAMS:
		return DM_MAX_PROGRAMS;
	case AIPU_REG_MAX_LANES:
		return dm->limits.max_lanes;
	case AIPU_REG_VECTORS:
		return dm->config.vectors;
	case AIPU_REG_READY_TIMEOUT_MS:
		return dm->config.ready_timeout_ms;
	case AIPU_REG_MAX_PROGRAM_BYTES:
		return dm->limits.max_program_bytes;
	case AIPU_REG_MAX_EXTENTS:
		return DM_MAX_EXTENTS;
	default:
		return 0;
	}
}

/* Moves with the engine's passes and the cores' barriers, and by the clock while the engine rests */
static uint32_t read_heartbeat(const struct aipu_dm *dm)
{
	uint32_t beat = dm->heartbeat + dm_cores_progress(dm->cores);

	if (!dm->firmware.version)
		return 0;
	if (dm->sleeping)
		beat += (uint32_t)((dm_real_clock() - dm->sleep_ns) / DM_HEARTBEAT_NS);
	return beat;
}

static uint32_t read_telemetry(struct aipu_dm *dm, uint32_t offset)
{
	switch (offset) {
	case AIPU_REG_HEARTBEAT:
		return read_heartbeat(dm);
	case AIPU_REG_TEMPERATURE:
	case AIPU_REG_POWER:
	case AIPU_REG_CLOCK:
	case AIPU_REG_POWER_LIMIT ... AIPU_REG_MEMORY_PEAK_MBS:
		return dm_power_register(dm, offset);
	case AIPU_REG_STEPS:
		return dm_steps(dm);
	case AIPU_REG_LONGEST_STEP_US:
		return atomic_load(&dm->longest_us);
	case AIPU_REG_BUSY_US_LO:
	case AIPU_REG_BUSY_US_HI:
		return half(atomic_load(&dm->busy_ns) / 1000, offset, AIPU_REG_BUSY_US_LO);
	case AIPU_REG_RESCUES:
		return dm->rescues;
	default:
		return 0;
	}
}

static uint32_t read_control(const struct aipu_dm *dm, uint32_t offset)
{
	switch (offset) {
	case AIPU_REG_CONTROL:
		return dm->enabled ? AIPU_CONTROL_ENABLE : 0;
	case AIPU_REG_STATUS:
		return dm->state | (dm->idle ? AIPU_STATUS_IDLE : 0);
	case AIPU_REG_ERROR:
		return dm->error;
	case AIPU_REG_ABI_IN_USE:
		return dm->abi_in_use;
	case AIPU_REG_RESET_COUNT:
		return dm->reset_count;
	case AIPU_REG_HOST_ABI_OLDEST:
	case AIPU_REG_HOST_ABI_NEWEST:
	case AIPU_REG_BOOT_ADDRESS_LO:
	case AIPU_REG_BOOT_ADDRESS_HI:
	case AIPU_REG_BOOT_BYTES:
	case AIPU_REG_ADMIN_SQ_LO:
	case AIPU_REG_ADMIN_SQ_HI:
	case AIPU_REG_ADMIN_CQ_LO:
	case AIPU_REG_ADMIN_CQ_HI:
	case AIPU_REG_ADMIN_ENTRIES:
	case AIPU_REG_ADMIN_VECTOR:
		return stored(dm, offset);
	default:
		return 0;
	}
}

uint32_t aipu_dm_read32(struct aipu_dm *dm, uint32_t offset)
{
	uint32_t value;

	if (offset % 4 || offset >= sizeof(dm->stored))
		return 0;
	pthread_mutex_lock(&dm->lock);
	if (offset < AIPU_REG_CAP_LO)
		value = read_identity(dm, offset);
	else if (offset < AIPU_REG_CONTROL)
		value = read_capability(dm, offset);
	else if (offset < AIPU_REG_HEARTBEAT)
		value = read_control(dm, offset);
	else
		value = read_telemetry(dm, offset);
	pthread_mutex_unlock(&dm->lock);
	return value;
}

/* --- writes ------------------------------------------------------------------------------------- */

static void ring_doorbell(struct aipu_dm *dm, uint32_t offset, uint32_t value)
{
	struct dm_doorbell *doorbell = &dm->doorbells[offset / AIPU_PAGE_BYTES - 1];

	/* A doorbell of the time before this ENABLE must not be seen after it. */
	if (dm->state != AIPU_STATE_READY || dm->stop)
		return;
	switch (offset % AIPU_PAGE_BYTES) {
	case AIPU_DOORBELL_SQ_TAIL:
		atomic_store(&doorbell->tail, value);
		dm_shadow_rung(dm, doorbell, value);
		break;
	case AIPU_DOORBELL_CQ_HEAD:
		atomic_store(&doorbell->head, value);
		break;
	case AIPU_DOORBELL_KICK:
		atomic_store(&doorbell->kick, true);
		break;
	default:
		return;
	}
	atomic_store(&dm->rung, true);
	dm->idle = false;
	if (dm->sleeping)
		pthread_cond_signal(&dm->wake);
}

/* A failed device keeps its reason until RESET */
static void refuse_command(struct aipu_dm *dm)
{
	if (dm->state != AIPU_STATE_FAILED)
		dm->error = AIPU_ERROR_STATE;
}

static void write_enable(struct aipu_dm *dm)
{
	if (dm->state != AIPU_STATE_RUNNING || dm->stop) {
		refuse_command(dm);
		return;
	}
	dm->enable = (struct dm_enable){
		.host_oldest = stored(dm, AIPU_REG_HOST_ABI_OLDEST),
		.host_newest = stored(dm, AIPU_REG_HOST_ABI_NEWEST),
		.admin = {
			.sq_address = stored64(dm, AIPU_REG_ADMIN_SQ_LO),
			.cq_address = stored64(dm, AIPU_REG_ADMIN_CQ_LO),
			.entries = stored(dm, AIPU_REG_ADMIN_ENTRIES),
			.vector = stored(dm, AIPU_REG_ADMIN_VECTOR),
		},
	};
	dm->enabled = true;
	dm->idle = false;
	dm->enable_pending = true;
	pthread_cond_signal(&dm->wake);
}

static void write_control(struct aipu_dm *dm, uint32_t value)
{
	if (value & AIPU_CONTROL_RESET) {
		dm->recovery = value & AIPU_CONTROL_RECOVERY;
		dm_stop_request(dm, DM_STOP_RESET);
	} else if (value & AIPU_CONTROL_ENABLE) {
		if (!dm->enabled)
			write_enable(dm);
	} else if (dm->enabled) {
		dm->enabled = false;
		if (dm->state == AIPU_STATE_READY || dm->state == AIPU_STATE_RUNNING)
			dm_stop_request(dm, DM_STOP_DISABLE);
	}
}

static void write_boot(struct aipu_dm *dm, uint32_t value)
{
	if (value != AIPU_BOOT_LOAD || dm->state != AIPU_STATE_ROM || dm->stop) {
		refuse_command(dm);
		return;
	}
	dm->error = AIPU_ERROR_NONE;
	dm->state = AIPU_STATE_LOADING;
	dm->idle = false;
	dm->load_address = stored64(dm, AIPU_REG_BOOT_ADDRESS_LO);
	dm->load_bytes = stored(dm, AIPU_REG_BOOT_BYTES);
	dm->load_pending = true;
	pthread_cond_signal(&dm->wake);
}

void aipu_dm_write32(struct aipu_dm *dm, uint32_t offset, uint32_t value)
{
	if (offset % 4 || offset >= aipu_dm_bar0_bytes(dm))
		return;
	pthread_mutex_lock(&dm->lock);
	if (offset >= AIPU_DOORBELL_PAGE(0)) /* one page for each queue up to the end of the BAR */
		ring_doorbell(dm, offset, value);
	else if (offset == AIPU_REG_CONTROL)
		write_control(dm, value);
	else if (offset == AIPU_REG_BOOT_COMMAND)
		write_boot(dm, value);
	else if (offset < sizeof(dm->stored))
		dm->stored[offset / 4] = value; /* read back only where the map says so */
	pthread_mutex_unlock(&dm->lock);
}

uint32_t aipu_dm_bar0_bytes(const struct aipu_dm *dm)
{
	return AIPU_BAR0_BYTES(dm->config.max_queues);
}
