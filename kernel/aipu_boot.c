// SPDX-License-Identifier: GPL-2.0
/*
 * Boot: the boot ROM's handshake, firmware by request_firmware(), the versions of both sides, the
 * admin queue's registers. Called at probe and by recovery, never beside itself. It believes no
 * limit that the card reports before it was checked.
 */
#include <linux/firmware.h>
#include <linux/iopoll.h>

#include "aipu_boot.h"
#include "aipu_check.h"
#include "aipu_drv.h"
#include "aipu_firmware.h"

#define POLL_US 1000u
#define RANGES_BYTES 144u /* of the text of ranges() */

/* X(name, code, text) of the contract */
static const char *error_text(u32 error)
{
	static const char *const texts[] = {
#define TEXT(name, code, text) [code] = text,
		AIPU_ERROR_LIST(TEXT)
#undef TEXT
	};

	return error < ARRAY_SIZE(texts) && texts[error] ? texts[error]
							 : "an error this driver does not know";
}

static u32 state_of(u32 status)
{
	return status & AIPU_STATUS_STATE_MASK;
}

/* Waits for one of the states whose bits are set; *state is what it came to */
static int wait_state(struct aipu_device *aipu, u32 states, u32 timeout_ms, u32 *state)
{
	u32 status;
	int err;

	err = read_poll_timeout(aipu_read, status,
				aipu_gone(status) || BIT(state_of(status)) & states, POLL_US,
				timeout_ms * 1000ull, false, aipu, AIPU_REG_STATUS);
	if (aipu_gone(status))
		return -ENODEV;
	*state = state_of(status);
	return err;
}

/* CONTROL.ENABLE off; as aipu_boot_reset() */
static int disable(struct aipu_device *aipu)
{
	u32 state;
	int err;

	aipu_write(aipu, AIPU_REG_CONTROL, 0);
	err = wait_state(aipu, BIT(AIPU_STATE_RUNNING) | BIT(AIPU_STATE_FAILED),
			 aipu_timeout_ms(aipu), &state);
	return err ?: state == AIPU_STATE_RUNNING ? 0 : -EIO;
}

/* Until the boot ROM has tried both slots of a flash, each for as long as anything may take */
static int wait_loaded(struct aipu_device *aipu, u32 states, u32 *state)
{
	return wait_state(aipu, states, 2 * aipu_timeout_ms(aipu), state);
}

/* A card that failed may still be at what it had begun. */
static int wait_idle(struct aipu_device *aipu)
{
	u32 status;

	return read_poll_timeout(aipu_read, status, status & AIPU_STATUS_IDLE, POLL_US,
				 aipu_timeout_ms(aipu) * 1000ull, false, aipu, AIPU_REG_STATUS);
}

int aipu_boot_reset(struct aipu_device *aipu)
{
	/* RUNNING: with firmware of its own; FAILED: that failed at once, as it does in heat */
	const u32 ends = BIT(AIPU_STATE_ROM) | BIT(AIPU_STATE_RUNNING) | BIT(AIPU_STATE_FAILED);
	u32 state;
	int err;

	aipu_write(aipu, AIPU_REG_CONTROL,
		   AIPU_CONTROL_RESET | (aipu->recovery ? AIPU_CONTROL_RECOVERY : 0));
	err = wait_state(aipu, ends | BIT(AIPU_STATE_LOADING), aipu_timeout_ms(aipu), &state);
	err = err ?: wait_loaded(aipu, ends, &state);
	return err ?: state == AIPU_STATE_FAILED ? wait_idle(aipu) : 0;
}

/* FAILED: says why. -EAGAIN: nothing but time helps, else as aipu_boot() */
static int failed(struct aipu_device *aipu)
{
	u32 error = aipu_read(aipu, AIPU_REG_ERROR);

	drm_err(&aipu->drm, "the card did not come up: %s (error %u)\n", error_text(error), error);
	switch (error) {
	case AIPU_ERROR_ABI_TOO_OLD:
		return -EPROTONOSUPPORT;
	case AIPU_ERROR_ABI_TOO_NEW:
		return -EPROTO;
	case AIPU_ERROR_OVERHEATED:
		drm_err(&aipu->drm,
			"the card is too hot to start: reset it when it has cooled down\n");
		return -EAGAIN;
	default:
		return -EIO;
	}
}

/* What both sides speak, for messages; of `who` it is what the limits say. */
static const char *ranges(const struct aipu_limits *limits, const char *who,
			  char text[RANGES_BYTES])
{
	snprintf(text, RANGES_BYTES,
		 "%s speaks the contract from %u.%u to %u.%u, this driver from %u.%u to %u.%u", who,
		 AIPU_ABI_ARGS(limits->abi_oldest), AIPU_ABI_ARGS(limits->abi_newest),
		 AIPU_ABI_ARGS(AIPU_ABI_OLDEST), AIPU_ABI_ARGS(AIPU_ABI_CURRENT));
	return text;
}

/* --- firmware --------------------------------------------------------------------------------- */

static void say_refused(struct aipu_device *aipu, const struct firmware *image, const char *name)
{
	static const struct aipu_firmware_header none;
	const struct aipu_firmware_header *header =
		image->size < sizeof(none) ? &none : (const void *)image->data;
	u32 error = aipu_read(aipu, AIPU_REG_ERROR);
	char text[RANGES_BYTES];

	drm_err(&aipu->drm,
		"the card refused firmware %s: %s (error %u); image %u.%u.%u is for the contract from %u.%u to %u.%u, %s\n",
		name, error_text(error), error, AIPU_FIRMWARE_ARGS(le32_to_cpu(header->version)),
		AIPU_ABI_ARGS(le32_to_cpu(header->abi_oldest)),
		AIPU_ABI_ARGS(le32_to_cpu(header->abi_newest)),
		ranges(&aipu->limits, "the boot ROM", text));
}

static int give_image(struct aipu_device *aipu, const struct firmware *image, const char *name)
{
	struct device *dev = aipu->drm.dev;
	dma_addr_t address;
	void *copy;
	u32 state;
	int err;

	if (!image->size || image->size > AIPU_FIRMWARE_MAX_BYTES) {
		drm_err(&aipu->drm, "firmware %s has %zu bytes, 1 to %u are possible\n", name,
			image->size, AIPU_FIRMWARE_MAX_BYTES);
		return -EFBIG;
	}
	copy = dma_alloc_coherent(dev, image->size, &address, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, image->data, image->size);
	aipu_write64(aipu, AIPU_REG_BOOT_ADDRESS_LO, address);
	aipu_write(aipu, AIPU_REG_BOOT_BYTES, image->size);
	aipu_write(aipu, AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	err = wait_state(aipu, BIT(AIPU_STATE_RUNNING) | BIT(AIPU_STATE_FAILED),
			 AIPU_ROM_TIMEOUT_MS, &state);
	if (!err && state == AIPU_STATE_FAILED) {
		if (aipu_read(aipu, AIPU_REG_ERROR) == AIPU_ERROR_OVERHEATED) {
			err = failed(aipu);
		} else {
			say_refused(aipu, image, name);
			err = -EKEYREJECTED;
		}
	}
	/*
	 * A card that did not answer may still read it: its memory is given back only after a
	 * reset.
	 */
	if (err == -ETIMEDOUT && aipu_boot_reset(aipu)) {
		drm_err(&aipu->drm, "no answer to firmware %s; its memory is left to the card\n",
			name);
		pci_clear_master(aipu->pdev);
		return err;
	}
	dma_free_coherent(dev, image->size, copy, address);
	return err;
}

static int load_firmware(struct aipu_device *aipu)
{
	u32 board = aipu_read(aipu, AIPU_REG_BOARD_ID);
	const struct firmware *image;
	char name[32], text[RANGES_BYTES];
	int err;

	aipu->limits.abi_newest = aipu_read(aipu, AIPU_REG_ABI_NEWEST);
	aipu->limits.abi_oldest = aipu_read(aipu, AIPU_REG_ABI_OLDEST);
	snprintf(name, sizeof(name), "aipu/%08x.fw", board);
	err = request_firmware(&image, name, aipu->drm.dev);
	if (err) {
		drm_err(&aipu->drm,
			"the card (board %08x) runs no firmware, and /lib/firmware/%s cannot be read (%d): install an image for this board; %s\n",
			board, name, err, ranges(&aipu->limits, "the boot ROM", text));
		return err == -ENOENT ? -ENOENT : err;
	}
	err = give_image(aipu, image, name);
	release_firmware(image);
	return err;
}

/* --- versions --------------------------------------------------------------------------------- */

static int check_versions(struct aipu_device *aipu)
{
	struct aipu_limits *limits = &aipu->limits;
	char text[RANGES_BYTES];
	int err;

	limits->firmware_version = aipu_read(aipu, AIPU_REG_FIRMWARE_VERSION);
	limits->abi_newest = aipu_read(aipu, AIPU_REG_ABI_NEWEST);
	limits->abi_oldest = aipu_read(aipu, AIPU_REG_ABI_OLDEST);
	err = aipu_version_choose(AIPU_ABI_OLDEST, AIPU_ABI_CURRENT, limits->abi_oldest,
				  limits->abi_newest, &limits->abi_in_use);
	if (err)
		drm_err(&aipu->drm, "firmware %u.%u.%u: %s: %s\n",
			AIPU_FIRMWARE_ARGS(limits->firmware_version), ranges(limits, "it", text),
			err == -EPROTO ? "the firmware is too old, install a newer one"
			: err == -EPROTONOSUPPORT
				? "the firmware is too new, install a newer driver"
				: "that is no range");
	return err;
}

/* --- limits ----------------------------------------------------------------------------------- */

/* Firmware in flash that should have been started, and was not */
static void say_slots(struct aipu_device *aipu)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(aipu->limits.slot_errors); i++) {
		u32 error = aipu->limits.slot_errors[i];

		if (error && error != AIPU_ERROR_SLOT_EMPTY)
			drm_warn(&aipu->drm,
				 "the card passed over firmware slot %c: %s (error %u)\n", 'A' + i,
				 error_text(error), error);
	}
}

/* Checked before others see them: queries do not wait for a reset. */
static int read_limits(struct aipu_device *aipu)
{
	struct aipu_limits copy = aipu->limits, *limits = &copy;
	const char *wrong;

	limits->capabilities = aipu_read64(aipu, AIPU_REG_CAP_LO);
	limits->operations = aipu_read64(aipu, AIPU_REG_CAP_OPS_LO);
	limits->formats = aipu_read64(aipu, AIPU_REG_CAP_FORMATS_LO);
	limits->kv_formats = aipu_read(aipu, AIPU_REG_CAP_KV_FORMATS);
	limits->kv_kinds = aipu_read(aipu, AIPU_REG_CAP_KV_KINDS);
	limits->numerics = aipu_read(aipu, AIPU_REG_CAP_NUMERICS);
	limits->layouts = aipu_read(aipu, AIPU_REG_CAP_LAYOUTS);
	limits->activations = aipu_read(aipu, AIPU_REG_CAP_ACTIVATIONS);
	limits->serial = aipu_read64(aipu, AIPU_REG_SERIAL_LO);
	limits->board_id = aipu_read(aipu, AIPU_REG_BOARD_ID);
	limits->memory_bytes = aipu_read64(aipu, AIPU_REG_MEMORY_LO);
	limits->cores = aipu_read(aipu, AIPU_REG_CORES);
	limits->max_queues = aipu_read(aipu, AIPU_REG_MAX_QUEUES);
	limits->max_queue_entries = aipu_read(aipu, AIPU_REG_MAX_QUEUE_ENTRIES);
	limits->max_contexts = aipu_read(aipu, AIPU_REG_MAX_CONTEXTS);
	limits->max_segments = aipu_read(aipu, AIPU_REG_MAX_SEGMENTS);
	limits->max_programs = aipu_read(aipu, AIPU_REG_MAX_PROGRAMS);
	limits->max_lanes = aipu_read(aipu, AIPU_REG_MAX_LANES);
	limits->vectors = aipu_read(aipu, AIPU_REG_VECTORS);
	limits->ready_timeout_ms = aipu_read(aipu, AIPU_REG_READY_TIMEOUT_MS);
	limits->max_program_bytes = aipu_read(aipu, AIPU_REG_MAX_PROGRAM_BYTES);
	limits->max_extents = aipu_read(aipu, AIPU_REG_MAX_EXTENTS);
	limits->rom_version = aipu_read(aipu, AIPU_REG_ROM_VERSION);
	limits->boot_source = aipu_read(aipu, AIPU_REG_BOOT_SOURCE);
	limits->slot_errors[0] = aipu_read(aipu, AIPU_REG_SLOT_A_ERROR);
	limits->slot_errors[1] = aipu_read(aipu, AIPU_REG_SLOT_B_ERROR);
	wrong = aipu_limits_check(limits, aipu->register_bytes, aipu->memory_bytes);
	if (!wrong) {
		aipu->limits = copy;
		say_slots(aipu);
		return 0;
	}
	drm_err(&aipu->drm, "the card is unusable: %s\n", wrong);
	return -EIO;
}

/* --- the whole way ---------------------------------------------------------------------------- */

/* 0: in ROM or RUNNING */
static int reset_first(struct aipu_device *aipu)
{
	int err = aipu_boot_reset(aipu);

	if (!err && state_of(aipu_read(aipu, AIPU_REG_STATUS)) == AIPU_STATE_FAILED)
		err = failed(aipu);
	return err;
}

/*
 * From whatever somebody left: a card that is enabled or failed may hold addresses of a host that
 * is no more.
 */
static int quiesce(struct aipu_device *aipu)
{
	u32 status = aipu_read(aipu, AIPU_REG_STATUS), state;

	if (aipu_read(aipu, AIPU_REG_MAGIC) != AIPU_MAGIC) {
		drm_err(&aipu->drm, "BAR0 begins with %08x, not with %08x: %s\n",
			aipu_read(aipu, AIPU_REG_MAGIC), AIPU_MAGIC,
			aipu_gone(status) ? "the card does not answer" : "not this kind of card");
		return -ENODEV;
	}
	switch (state_of(status)) {
	case AIPU_STATE_ROM:
	case AIPU_STATE_RUNNING:
		return 0;
	case AIPU_STATE_READY:
		return disable(aipu);
	case AIPU_STATE_LOADING:
		/* From flash: a reset would take another try off its slot. Else it only reads. */
		if (!wait_loaded(aipu, ~(u32)BIT(AIPU_STATE_LOADING), &state) &&
		    (state == AIPU_STATE_ROM || state == AIPU_STATE_RUNNING))
			return 0;
		return reset_first(aipu);
	default:
		return reset_first(aipu);
	}
}

static int enable(struct aipu_device *aipu)
{
	u32 state, version;
	int err;

	aipu_write(aipu, AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_OLDEST);
	aipu_write(aipu, AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_CURRENT);
	aipu_admin_prepare(aipu);
	aipu_write64(aipu, AIPU_REG_ADMIN_SQ_LO, aipu->admin.sq_address);
	aipu_write64(aipu, AIPU_REG_ADMIN_CQ_LO, aipu->admin.cq_address);
	aipu_write(aipu, AIPU_REG_ADMIN_ENTRIES, AIPU_ADMIN_ENTRIES);
	aipu_write(aipu, AIPU_REG_ADMIN_VECTOR, 0);
	aipu_write(aipu, AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	err = wait_state(aipu, BIT(AIPU_STATE_READY) | BIT(AIPU_STATE_FAILED),
			 aipu_timeout_ms(aipu), &state);
	if (err)
		return err;
	if (state == AIPU_STATE_READY) {
		version = aipu_read(aipu, AIPU_REG_ABI_IN_USE);
		/* Rises when firmware from flash is READY */
		aipu->limits.rollback = aipu_read(aipu, AIPU_REG_ROLLBACK);
		if (version == aipu->limits.abi_in_use)
			return 0;
		drm_err(&aipu->drm, "the card chose contract %u.%u, %u.%u was due\n",
			AIPU_ABI_ARGS(version), AIPU_ABI_ARGS(aipu->limits.abi_in_use));
		return -EIO;
	}
	return failed(aipu);
}

int aipu_boot(struct aipu_device *aipu)
{
	int err;

	err = quiesce(aipu);
	/* Not before: what the card knows of memory until then may be given back since long. */
	if (!err)
		pci_set_master(aipu->pdev);
	if (!err && state_of(aipu_read(aipu, AIPU_REG_STATUS)) == AIPU_STATE_ROM)
		err = load_firmware(aipu);
	if (!err)
		err = check_versions(aipu);
	if (!err)
		err = read_limits(aipu);
	if (!err)
		err = enable(aipu);
	if (err)
		drm_err(&aipu->drm, "boot failed (%d)\n", err);
	return err;
}
