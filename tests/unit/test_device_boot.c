// SPDX-License-Identifier: MIT
/*
 * Boot, ENABLE, registers, disable, reset, bus master: the device's states from outside.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aipu_program.h"
#include "mount.h"

#define R(offset) aipu_dm_read32(mount->dm, offset)
#define W(offset, value) aipu_dm_write32(mount->dm, offset, value)

/* [BOOT-1] [BOOT-4] [BOOT-6] [REG-2] [REG-3] */
static void boots_and_enables(void **state)
{
	struct mount *mount = mount_create(NULL);

	(void)state;
	assert_int_equal(R(AIPU_REG_MAGIC), AIPU_MAGIC);
	assert_int_equal(R(AIPU_REG_ABI_NEWEST), AIPU_ABI_CURRENT);
	assert_int_equal(mount_state(mount), AIPU_STATE_ROM);
	assert_true(mount_wait_idle(mount));
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), 0);
	assert_int_equal(R(AIPU_REG_BOOT_SOURCE), AIPU_BOOT_FROM_NONE);
	for (uint32_t offset = AIPU_REG_CAP_LO; offset < AIPU_REG_CONTROL; offset += 4)
		assert_int_equal(R(offset), 0);
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), 1u << 24 | 2u << 16 | 3u);
	assert_int_equal(R(AIPU_REG_BOOT_SOURCE), AIPU_BOOT_FROM_HOST);
	assert_int_equal(R(AIPU_REG_MEMORY_LO), 64u << 20);
	assert_int_equal(R(AIPU_REG_CORES), 2);
	assert_int_equal(R(AIPU_REG_MAX_QUEUES), 64);
	assert_int_equal(R(AIPU_REG_CAP_LO), AIPU_CAP_COPY_DIGEST | AIPU_CAP_COALESCING |
						     AIPU_CAP_PRIORITIES | AIPU_CAP_LIMITS |
						     AIPU_CAP_RAS | AIPU_CAP_SHADOW_DOORBELLS);
	assert_int_equal(R(AIPU_REG_ABI_IN_USE), 0);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(R(AIPU_REG_ABI_IN_USE), AIPU_ABI_CURRENT);
	assert_int_equal(R(AIPU_REG_CONTROL), AIPU_CONTROL_ENABLE);
	assert_true(mount_wait_idle(mount));
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	mount_destroy(mount);
}

struct bad_image {
	const char *what;
	uint32_t error;
	void (*spoil)(struct aipu_firmware_header *header);
	bool reseal;
};

#define SPOIL(name, statement)                                \
	static void name(struct aipu_firmware_header *header) \
	{                                                     \
		statement;                                    \
	}
SPOIL(spoil_magic, header->magic ^= 1)
SPOIL(spoil_size, header->payload_bytes++)
SPOIL(spoil_short, header->payload_bytes--)
SPOIL(spoil_version, header->header_version = 2)
SPOIL(spoil_header_bytes, header->header_bytes = 511)
SPOIL(spoil_reserved, header->reserved[271] = 1)
SPOIL(spoil_build, memset(header->build, 'x', sizeof(header->build)))
SPOIL(spoil_zero_version, header->version = 0)
SPOIL(spoil_digest, header->digest[31] ^= 1)
SPOIL(spoil_board, header->board_id = 7)
SPOIL(spoil_kind, header->signature_kind = AIPU_SIGNATURE_ED25519)
SPOIL(spoil_signature, header->signature[0] = 1)
SPOIL(spoil_key, header->key_id[1] = 1)
SPOIL(spoil_rollback, header->rollback = 4)
SPOIL(spoil_abi_old, header->abi_oldest = header->abi_newest = AIPU_ABI_OLDEST - 1)
SPOIL(spoil_abi_new, header->abi_oldest = header->abi_newest = AIPU_ABI_CURRENT + 1)
SPOIL(spoil_abi_range, header->abi_newest = header->abi_oldest - 1)

/* [BOOT-2] [BOOT-3] [BOOT-5] [BOOT-8] [BOOT-9] */
static void refuses_each_bad_image(void **state)
{
	static const struct bad_image images[] = {
		{ "magic", AIPU_ERROR_FIRMWARE_MAGIC, spoil_magic, true },
		{ "payload longer than the image", AIPU_ERROR_FIRMWARE_SIZE, spoil_size, true },
		{ "payload shorter than the image", AIPU_ERROR_FIRMWARE_SIZE, spoil_short, true },
		{ "header version", AIPU_ERROR_FIRMWARE_HEADER, spoil_version, true },
		{ "header size", AIPU_ERROR_FIRMWARE_HEADER, spoil_header_bytes, true },
		{ "reserved", AIPU_ERROR_FIRMWARE_HEADER, spoil_reserved, true },
		{ "build text without end", AIPU_ERROR_FIRMWARE_HEADER, spoil_build, true },
		{ "version zero", AIPU_ERROR_FIRMWARE_HEADER, spoil_zero_version, true },
		{ "range upside down", AIPU_ERROR_FIRMWARE_HEADER, spoil_abi_range, true },
		{ "digest", AIPU_ERROR_FIRMWARE_DIGEST, spoil_digest, false },
		{ "contents", AIPU_ERROR_FIRMWARE_DIGEST, spoil_board, false },
		{ "board", AIPU_ERROR_FIRMWARE_BOARD, spoil_board, true },
		{ "signature kind", AIPU_ERROR_FIRMWARE_SIGNATURE, spoil_kind, true },
		{ "signature", AIPU_ERROR_FIRMWARE_SIGNATURE, spoil_signature, true },
		{ "key", AIPU_ERROR_FIRMWARE_SIGNATURE, spoil_key, true },
		{ "rollback", AIPU_ERROR_FIRMWARE_ROLLBACK, spoil_rollback, true },
		{ "contract too old", AIPU_ERROR_FIRMWARE_ABI, spoil_abi_old, true },
		{ "contract too new", AIPU_ERROR_FIRMWARE_ABI, spoil_abi_new, true },
	};
	struct mount_options options = { .config = { .rollback = 5 } };
	struct mount *mount = mount_create(&options);
	struct aipu_firmware_header header;

	(void)state;
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		mount_image(&header, "payload");
		header.rollback = 5;
		mount_seal(&header, "payload");
		images[i].spoil(&header);
		if (images[i].reseal)
			mount_seal(&header, "payload");
		print_message("# %s\n", images[i].what);
		assert_int_equal(mount_load(mount, &header, "payload"), AIPU_STATE_FAILED);
		assert_int_equal(R(AIPU_REG_ERROR), images[i].error);
		assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), 0);
		/* A failed device takes no command but RESET. */
		W(AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
		W(AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
		assert_int_equal(mount_state(mount), AIPU_STATE_FAILED);
		assert_int_equal(R(AIPU_REG_ERROR), images[i].error);
		assert_int_equal(R(AIPU_REG_CONTROL), 0);
		W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
		assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_NONE);
		assert_int_equal(R(AIPU_REG_RESET_COUNT), i + 1);
	}
	header.rollback = 6;
	mount_image(&header, "payload");
	header.rollback = 6;
	header.board_id = AIPU_BOARD_ANY;
	mount_seal(&header, "payload");
	assert_int_equal(mount_load(mount, &header, "payload"), AIPU_STATE_RUNNING);
	mount_destroy(mount);
}

static void sign_good(struct aipu_firmware_header *header)
{
	mount_sign(header, "payload", 2, NULL);
}

static void sign_nothing(struct aipu_firmware_header *header)
{
	mount_seal(header, "payload");
}

static void sign_by_another(struct aipu_firmware_header *header)
{
	mount_sign(header, "payload", 3, NULL);
}

static void sign_in_the_name_of_another(struct aipu_firmware_header *header)
{
	uint8_t key[32];

	mount_sign(header, "payload", 2, key);
	memcpy(header->key_id, key, sizeof(header->key_id)); /* not the id of any key */
	mount_seal(header, "payload");
}

static void sign_and_change_signature(struct aipu_firmware_header *header)
{
	sign_good(header);
	header->signature[63] ^= 1;
}

static void sign_then_change_version(struct aipu_firmware_header *header)
{
	sign_good(header);
	header->version++;
	mount_seal(header, "payload");
}

static void sign_then_deny(struct aipu_firmware_header *header)
{
	sign_good(header);
	header->signature_kind = AIPU_SIGNATURE_NONE;
	mount_seal(header, "payload");
}

/* [BOOT-3] A ROM with keys, of which the second has signed: nothing else runs */
static void takes_what_its_keys_signed(void **state)
{
	static const struct {
		const char *what;
		void (*sign)(struct aipu_firmware_header *header);
		unsigned int error;
	} images[] = {
		{ "good", sign_good, AIPU_ERROR_NONE },
		{ "not signed", sign_nothing, AIPU_ERROR_FIRMWARE_SIGNATURE },
		{ "by another key", sign_by_another, AIPU_ERROR_FIRMWARE_SIGNATURE },
		{ "in another's name", sign_in_the_name_of_another, AIPU_ERROR_FIRMWARE_SIGNATURE },
		{ "spoiled signature", sign_and_change_signature, AIPU_ERROR_FIRMWARE_SIGNATURE },
		{ "changed and sealed", sign_then_change_version, AIPU_ERROR_FIRMWARE_SIGNATURE },
		{ "kind denied", sign_then_deny, AIPU_ERROR_FIRMWARE_SIGNATURE },
	};
	uint8_t keys[2][32];
	struct mount_options options = { .config = { .firmware_keys = keys[0],
						     .firmware_key_count = 2 } };
	struct mount *mount = mount_create(&options);
	struct aipu_firmware_header header;

	(void)state;
	mount_image(&header, "payload");
	mount_sign(&header, "payload", 1, keys[0]);
	mount_sign(&header, "payload", 2, keys[1]);
	for (size_t i = 0; i < sizeof(images) / sizeof(images[0]); i++) {
		mount_image(&header, "payload");
		images[i].sign(&header);
		print_message("# %s\n", images[i].what);
		assert_int_equal(mount_load(mount, &header, "payload"),
				 images[i].error ? AIPU_STATE_FAILED : AIPU_STATE_RUNNING);
		assert_int_equal(R(AIPU_REG_ERROR), images[i].error);
		W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	}
	mount_destroy(mount);
}

/* [BOOT-2] */
static void refuses_images_by_size_and_address(void **state)
{
	struct mount *mount = mount_create(NULL);

	(void)state;
	static const uint32_t sizes[] = { 0, 511, (64u << 20) + 1 };

	for (size_t i = 0; i < 3; i++) {
		mount_write64(mount, AIPU_REG_BOOT_ADDRESS_LO, MOUNT_BASE);
		W(AIPU_REG_BOOT_BYTES, sizes[i]);
		W(AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
		assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
		assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_SIZE);
		W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	}
	static const uint64_t addresses[] = { 0, MOUNT_BASE - 1, MOUNT_BASE + (32u << 20) - 100,
					      UINT64_MAX - 10 };

	for (size_t i = 0; i < 4; i++) {
		mount_write64(mount, AIPU_REG_BOOT_ADDRESS_LO, addresses[i]);
		W(AIPU_REG_BOOT_BYTES, 4096);
		W(AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
		assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
		assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_DMA);
		W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	}
	/* A payload that cannot be read: the header can */
	struct aipu_firmware_header header;
	static char payload[20000];

	memset(payload, 'p', sizeof(payload) - 1);
	mount_image(&header, payload);
	atomic_store(&mount->hole, MOUNT_BASE + mount->used + 8192);
	atomic_store(&mount->hole_bytes, 1);
	assert_int_equal(mount_load(mount, &header, payload), AIPU_STATE_FAILED);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_DMA);
	mount_destroy(mount);
}

/* [BOOT-5] [BOOT-8] */
static void refuses_commands_out_of_turn(void **state)
{
	struct mount *mount = mount_create(NULL);

	(void)state;
	W(AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_STATE);
	assert_int_equal(R(AIPU_REG_CONTROL), 0);
	assert_int_equal(mount_state(mount), AIPU_STATE_ROM);
	W(AIPU_REG_BOOT_COMMAND, 2);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_STATE);
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_NONE);
	W(AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_STATE);
	assert_int_equal(mount_state(mount), AIPU_STATE_RUNNING);
	mount_destroy(mount);
}

static uint32_t enable_with(struct mount *mount, uint32_t reg, uint32_t value)
{
	uint64_t ring = mount_alloc(mount, 4096);

	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	mount_write64(mount, AIPU_REG_ADMIN_SQ_LO, ring);
	mount_write64(mount, AIPU_REG_ADMIN_CQ_LO, ring);
	W(AIPU_REG_ADMIN_ENTRIES, 16);
	W(AIPU_REG_ADMIN_VECTOR, 0);
	W(AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_OLDEST);
	W(AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_CURRENT);
	W(reg, value);
	W(AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
	assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
	uint32_t error = R(AIPU_REG_ERROR);

	assert_int_equal(R(AIPU_REG_CONTROL), 0);
	W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	assert_int_equal(R(reg), 0); /* back to the state after power-on */
	return error;
}

/* [BOOT-6] [BOOT-7] */
static void refuses_each_bad_enable(void **state)
{
	struct mount *mount = mount_create(NULL);

	(void)state;
	assert_int_equal(enable_with(mount, AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_OLDEST - 1),
			 AIPU_ERROR_ABI_TOO_OLD);
	assert_int_equal(enable_with(mount, AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_CURRENT + 1),
			 AIPU_ERROR_ABI_TOO_NEW);
	/* An empty range: newest is AIPU_ABI_CURRENT, then the smallest that is not too old */
	assert_int_equal(enable_with(mount, AIPU_REG_HOST_ABI_OLDEST, UINT32_MAX),
			 AIPU_ERROR_ABI_TOO_NEW);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_SQ_LO, 64), AIPU_ERROR_ADMIN_QUEUE);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_CQ_LO, 64), AIPU_ERROR_ADMIN_QUEUE);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_ENTRIES, 0), AIPU_ERROR_ADMIN_QUEUE);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_ENTRIES, 1), AIPU_ERROR_ADMIN_QUEUE);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_ENTRIES, 12), AIPU_ERROR_ADMIN_QUEUE);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_ENTRIES, 8192), AIPU_ERROR_ADMIN_QUEUE);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_VECTOR, 64), AIPU_ERROR_ADMIN_QUEUE);
	assert_int_equal(enable_with(mount, AIPU_REG_ADMIN_CQ_HI, 0), AIPU_ERROR_ADMIN_DMA);
	mount_destroy(mount);
}

/* [RST-1] [RST-2] [RST-6] */
static void disable_keeps_firmware_and_reset_loses_it(void **state)
{
	struct mount *mount = mount_ready(NULL);

	(void)state;
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	W(AIPU_REG_CONTROL, 0);
	assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
	assert_true(mount_wait_idle(mount));
	assert_int_equal(R(AIPU_REG_ABI_IN_USE), 0);
	assert_int_not_equal(R(AIPU_REG_FIRMWARE_VERSION), 0);
	assert_int_equal(R(AIPU_REG_RESET_COUNT), 0);
	/* Contexts went with the disable: the id is free. */
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	assert_int_equal(R(AIPU_REG_FIRMWARE_VERSION), 0);
	assert_int_equal(R(AIPU_REG_RESET_COUNT), 1);
	aipu_dm_reset(mount->dm);
	assert_int_equal(R(AIPU_REG_RESET_COUNT), 2);
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	mount_destroy(mount);
}

/* [REG-1] [REG-4] [RING-2] */
static void stray_accesses_do_nothing(void **state)
{
	struct mount *mount = mount_ready(NULL);
	uint32_t bytes = aipu_dm_bar0_bytes(mount->dm);

	(void)state;
	assert_int_equal(bytes, AIPU_BAR0_BYTES(64));
	assert_int_equal(R(1), 0);
	assert_int_equal(R(0x3f0), 0);
	assert_int_equal(R(bytes), 0);
	assert_int_equal(R(AIPU_DOORBELL_PAGE(0)), 0);
	W(AIPU_REG_MAGIC, 1);
	W(AIPU_REG_CORES, 1);
	W(AIPU_REG_STATUS, 0);
	W(2, 7);
	W(bytes, 7);
	W(UINT32_MAX - 3, 7);
	W(AIPU_DOORBELL_PAGE(64) + 4092, 7);
	/* Doorbells of queues that do not exist */
	for (uint32_t queue = 1; queue <= 64; queue++)
		W(AIPU_DOORBELL_PAGE(queue), 3);
	assert_int_equal(R(AIPU_REG_MAGIC), AIPU_MAGIC);
	assert_int_equal(R(AIPU_REG_CORES), 2);
	assert_int_equal(mount_create_context(mount, 1), AIPU_STATUS_OK);
	assert_int_equal(mount_state(mount), AIPU_STATE_READY);
	mount_destroy(mount);
}

/* [REG-5] */
static void heartbeat_moves_while_the_device_rests(void **state)
{
	struct mount *mount = mount_ready(NULL);
	uint32_t first;
	int turns = 0;

	(void)state;
	assert_true(mount_wait_idle(mount));
	first = R(AIPU_REG_HEARTBEAT);
	while (R(AIPU_REG_HEARTBEAT) == first && turns++ < 3000)
		usleep(10000);
	assert_true(turns < 3000);
	mount_destroy(mount);
}

/* [REG-5] */
static void what_is_not_known_is_not_zero(void **state)
{
	struct mount *mount = mount_ready(NULL);

	(void)state;
	assert_int_equal(R(AIPU_REG_MEMORY_PEAK_MBS), UINT32_MAX);
	assert_int_equal(R(AIPU_REG_RESCUES), 0);
	assert_int_equal(R(AIPU_REG_MEMORY_PEAK_MBS + 4), 0);
	mount_destroy(mount);
}

/* [BOOT-4] [BOOT-6] [RST-1] [RST-2] The first read after a write never shows the state before it as settled */
static void the_first_read_shows_the_command(void **state)
{
	struct mount *mount = mount_create(NULL);
	uint64_t ring = mount_alloc(mount, 4096);
	uint32_t status;

	(void)state;
	for (int turn = 0; turn < 20; turn++) {
		struct aipu_firmware_header header;
		uint64_t image = mount_alloc(mount, 4096);

		mount_image(&header, "payload");
		memcpy(mount_pointer(mount, image), &header, sizeof(header));
		memcpy((uint8_t *)mount_pointer(mount, image) + sizeof(header), "payload",
		       header.payload_bytes);
		mount_write64(mount, AIPU_REG_BOOT_ADDRESS_LO, image);
		W(AIPU_REG_BOOT_BYTES, (uint32_t)sizeof(header) + header.payload_bytes);
		W(AIPU_REG_BOOT_COMMAND, AIPU_BOOT_LOAD);
		status = mount_state(mount);
		assert_true(status == AIPU_STATE_LOADING || status == AIPU_STATE_RUNNING);
		assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
		mount_write64(mount, AIPU_REG_ADMIN_SQ_LO, ring);
		mount_write64(mount, AIPU_REG_ADMIN_CQ_LO, ring);
		W(AIPU_REG_ADMIN_ENTRIES, 16);
		W(AIPU_REG_HOST_ABI_OLDEST, AIPU_ABI_OLDEST);
		W(AIPU_REG_HOST_ABI_NEWEST, AIPU_ABI_CURRENT);
		W(AIPU_REG_CONTROL, AIPU_CONTROL_ENABLE);
		status = R(AIPU_REG_STATUS);
		assert_int_not_equal(status, AIPU_STATE_RUNNING | AIPU_STATUS_IDLE);
		assert_int_equal(R(AIPU_REG_CONTROL), AIPU_CONTROL_ENABLE);
		assert_true(mount_wait_state(mount, AIPU_STATE_READY));
		W(AIPU_REG_CONTROL, 0);
		status = mount_state(mount);
		assert_true(status == AIPU_STATE_RESETTING || status == AIPU_STATE_RUNNING);
		assert_true(mount_wait_state(mount, AIPU_STATE_RUNNING));
		W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
		status = mount_state(mount);
		assert_true(status == AIPU_STATE_RESETTING || status == AIPU_STATE_ROM);
		assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	}
	mount_destroy(mount);
}

/* [PRG-4] What each device offers */
static void offers_at_least_the_minimum(void **state)
{
	struct mount *mount = mount_create(NULL);
	static const struct {
		uint32_t reg, bits;
	} least[] = {
		{ AIPU_REG_CAP_NUMERICS, 1u << AIPU_NUMERICS_1 },
		{ AIPU_REG_CAP_OPS_LO, (2u << AIPU_OP_SELECT) - (1u << AIPU_OP_EMBED) },
		{ AIPU_REG_CAP_FORMATS_LO, 1u << AIPU_FMT_F32 },
		{ AIPU_REG_CAP_ACTIVATIONS, 1u << AIPU_ACT_PLAIN },
		{ AIPU_REG_CAP_LAYOUTS, 1u << AIPU_LAYOUT_ROWS | 1u << AIPU_LAYOUT_TILE16 |
						1u << AIPU_LAYOUT_KV_K | 1u << AIPU_LAYOUT_KV_V },
		{ AIPU_REG_CAP_KV_KINDS, 1u << AIPU_KV_SMART_MASK },
	};

	(void)state;
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	for (size_t i = 0; i < sizeof(least) / sizeof(least[0]); i++)
		assert_int_equal(R(least[i].reg) & least[i].bits, least[i].bits);
	assert_int_not_equal(R(AIPU_REG_CAP_KV_FORMATS) & (1u << AIPU_FMT_F32 | 1u << AIPU_FMT_F16),
			     0);
	mount_destroy(mount);
}

static void two_devices_share_nothing(void **state)
{
	struct mount_options other = { .config = { .serial = 77, .max_queues = 2, .cores = 1 } };
	struct mount *a = mount_ready(NULL), *b = mount_create(&other);

	(void)state;
	assert_int_equal(mount_state(b), AIPU_STATE_ROM);
	assert_int_equal(mount_create_context(a, 1), AIPU_STATUS_OK);
	assert_int_equal(mount_boot(b), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(b), AIPU_STATE_READY);
	assert_int_equal(aipu_dm_read32(b->dm, AIPU_REG_SERIAL_LO), 77);
	assert_int_equal(aipu_dm_read32(b->dm, AIPU_REG_MAX_QUEUES), 2);
	assert_int_equal(aipu_dm_read32(a->dm, AIPU_REG_SERIAL_LO), 0);
	assert_int_equal(mount_create_context(b, 1), AIPU_STATUS_OK);
	assert_int_equal(mount_create_context(b, 1), AIPU_STATUS_BUSY);
	mount_destroy(a);
	assert_int_equal(mount_create_context(b, 2), AIPU_STATUS_OK);
	mount_destroy(b);
}

static void create_refuses_bad_configs(void **state)
{
	static const struct aipu_dm_ops ops;
	static const struct aipu_dm_config configs[] = {
		{ .memory_bytes = 4097 },
		{ .cores = 10000 },
		{ .max_queues = 5000 },
		{ .vectors = 5000 },
		{ .abi_oldest = 2, .abi_newest = 1 },
		{ .uma = true },
		{ .simd = (enum aipu_dm_simd)9 },
		{ .ambient_c = 151 },
	};
	struct aipu_dm *dm;

	(void)state;
	for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++)
		assert_int_equal(aipu_dm_create(&configs[i], &ops, NULL, &dm), -22);
}

/* [RST-5] */
static void bus_master_off_stops_dma(void **state)
{
	struct mount *mount = mount_create(NULL);

	(void)state;
	aipu_dm_bus_master(mount->dm, false);
	atomic_store(&mount->closed, true);
	assert_int_equal(mount_boot(mount), AIPU_STATE_FAILED);
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_FIRMWARE_DMA);
	assert_int_equal(atomic_load(&mount->late), 0);
	atomic_store(&mount->closed, false);
	aipu_dm_bus_master(mount->dm, true);
	W(AIPU_REG_CONTROL, AIPU_CONTROL_RESET);
	assert_true(mount_wait_state(mount, AIPU_STATE_ROM));
	assert_int_equal(mount_boot(mount), AIPU_STATE_RUNNING);
	assert_int_equal(mount_enable(mount), AIPU_STATE_READY);
	/* The admin queue cannot be read any more: the device says so and stops. */
	aipu_dm_bus_master(mount->dm, false);
	atomic_store(&mount->closed, true);
	mount_submit(mount->admin, &(struct aipu_admin){ .opcode = AIPU_ADMIN_ASYNC_EVENT });
	assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_ADMIN_DMA);
	assert_int_equal(atomic_load(&mount->late), 0);
	mount_destroy(mount);
}

/* [RING-2] */
static void bad_admin_doorbell_fails_the_device(void **state)
{
	struct mount *mount = mount_ready(NULL);

	(void)state;
	W(AIPU_DOORBELL_PAGE(0), 16);
	assert_true(mount_wait_state(mount, AIPU_STATE_FAILED));
	assert_int_equal(R(AIPU_REG_ERROR), AIPU_ERROR_ADMIN_QUEUE);
	assert_true(mount_wait_idle(mount));
	mount_destroy(mount);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boots_and_enables),
		cmocka_unit_test(refuses_each_bad_image),
		cmocka_unit_test(takes_what_its_keys_signed),
		cmocka_unit_test(refuses_images_by_size_and_address),
		cmocka_unit_test(refuses_commands_out_of_turn),
		cmocka_unit_test(refuses_each_bad_enable),
		cmocka_unit_test(disable_keeps_firmware_and_reset_loses_it),
		cmocka_unit_test(stray_accesses_do_nothing),
		cmocka_unit_test(heartbeat_moves_while_the_device_rests),
		cmocka_unit_test(what_is_not_known_is_not_zero),
		cmocka_unit_test(the_first_read_shows_the_command),
		cmocka_unit_test(offers_at_least_the_minimum),
		cmocka_unit_test(two_devices_share_nothing),
		cmocka_unit_test(create_refuses_bad_configs),
		cmocka_unit_test(bus_master_off_stops_dma),
		cmocka_unit_test(bad_admin_doorbell_fails_the_device),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
