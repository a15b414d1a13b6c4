// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes and offsets of all wire and file structures as kernel C lays them out, against numbers that are
 * written down here once more: a field that moves must be moved in two places. Part of the KUnit module
 * of the contract, run by tests/guest/kunit.sh.
 */
#include <kunit/test.h>
#include <linux/stddef.h>

#include "aipu_firmware.h"
#include "aipu_job.h"
#include "aipu_program.h"
#include "aipu_qpc.h"
#include "aipu_queue.h"
#include "aipu_segment.h"

#define SIZE(type, due)                         \
	{                                       \
#type, sizeof(struct type), due \
	}
#define OFFSET(type, field, due)                                    \
	{                                                           \
#type "." #field, offsetof(struct type, field), due \
	}

static const struct layout {
	const char *name;
	size_t is;
	size_t due;
} layouts[] = {
	SIZE(aipu_firmware_header, 512),
	OFFSET(aipu_firmware_header, magic, 0),
	OFFSET(aipu_firmware_header, header_version, 8),
	OFFSET(aipu_firmware_header, header_bytes, 12),
	OFFSET(aipu_firmware_header, payload_bytes, 16),
	OFFSET(aipu_firmware_header, version, 24),
	OFFSET(aipu_firmware_header, abi_oldest, 28),
	OFFSET(aipu_firmware_header, abi_newest, 32),
	OFFSET(aipu_firmware_header, board_id, 36),
	OFFSET(aipu_firmware_header, rollback, 40),
	OFFSET(aipu_firmware_header, signature_kind, 44),
	OFFSET(aipu_firmware_header, build, 48),
	OFFSET(aipu_firmware_header, digest, 112),
	OFFSET(aipu_firmware_header, key_id, 144),
	OFFSET(aipu_firmware_header, signature, 176),
	OFFSET(aipu_firmware_header, reserved, 240),
	SIZE(aipu_job_copy, 48),
	OFFSET(aipu_job_copy, src_segment, 0),
	OFFSET(aipu_job_copy, dst_segment, 4),
	OFFSET(aipu_job_copy, src_offset, 8),
	OFFSET(aipu_job_copy, dst_offset, 16),
	OFFSET(aipu_job_copy, length, 24),
	OFFSET(aipu_job_copy, list_count, 32),
	OFFSET(aipu_job_copy, flags, 36),
	OFFSET(aipu_job_copy, reserved, 40),

	SIZE(aipu_copy_entry, 64),
	OFFSET(aipu_copy_entry, src_segment, 0),
	OFFSET(aipu_copy_entry, dst_segment, 4),
	OFFSET(aipu_copy_entry, src_offset, 8),
	OFFSET(aipu_copy_entry, dst_offset, 16),
	OFFSET(aipu_copy_entry, length, 24),
	OFFSET(aipu_copy_entry, digest, 32),

	SIZE(aipu_job_fill, 48),
	OFFSET(aipu_job_fill, segment, 0),
	OFFSET(aipu_job_fill, pattern, 4),
	OFFSET(aipu_job_fill, offset, 8),
	OFFSET(aipu_job_fill, length, 16),
	OFFSET(aipu_job_fill, reserved, 24),

	SIZE(aipu_job_step, 48),
	OFFSET(aipu_job_step, block_segment, 0),
	OFFSET(aipu_job_step, block_count, 4),
	OFFSET(aipu_job_step, block_offset, 8),
	OFFSET(aipu_job_step, lane_segment, 16),
	OFFSET(aipu_job_step, lane_count, 20),
	OFFSET(aipu_job_step, lane_offset, 24),
	OFFSET(aipu_job_step, ring_segment, 32),
	OFFSET(aipu_job_step, ring_entries, 36),
	OFFSET(aipu_job_step, ring_offset, 40),

	SIZE(aipu_job, 64),
	OFFSET(aipu_job, opcode, 0),
	OFFSET(aipu_job, flags, 1),
	OFFSET(aipu_job, id, 2),
	OFFSET(aipu_job, timeout_ms, 4),
	OFFSET(aipu_job, body, 8),
	OFFSET(aipu_job, copy, 8),
	OFFSET(aipu_job, fill, 8),
	OFFSET(aipu_job, step, 8),
	OFFSET(aipu_job, reserved, 56),

	SIZE(aipu_block, 32),
	OFFSET(aipu_block, program, 0),
	OFFSET(aipu_block, entry, 4),
	OFFSET(aipu_block, operand_segment, 8),
	OFFSET(aipu_block, operand_count, 12),
	OFFSET(aipu_block, operand_offset, 16),
	OFFSET(aipu_block, reserved, 24),

	SIZE(aipu_operand, 32),
	OFFSET(aipu_operand, segment, 0),
	OFFSET(aipu_operand, reserved0, 4),
	OFFSET(aipu_operand, offset, 8),
	OFFSET(aipu_operand, length, 16),
	OFFSET(aipu_operand, reserved1, 24),

	SIZE(aipu_sampler, 120),
	OFFSET(aipu_sampler, temperature, 0),
	OFFSET(aipu_sampler, top_k, 4),
	OFFSET(aipu_sampler, top_p, 8),
	OFFSET(aipu_sampler, min_p, 12),
	OFFSET(aipu_sampler, seed, 16),
	OFFSET(aipu_sampler, repeat_penalty, 24),
	OFFSET(aipu_sampler, presence_penalty, 28),
	OFFSET(aipu_sampler, frequency_penalty, 32),
	OFFSET(aipu_sampler, penalty_window, 36),
	OFFSET(aipu_sampler, logprob_count, 40),
	OFFSET(aipu_sampler, bias_segment, 44),
	OFFSET(aipu_sampler, bias_offset, 48),
	OFFSET(aipu_sampler, bias_count, 56),
	OFFSET(aipu_sampler, bitmap_segment, 60),
	OFFSET(aipu_sampler, bitmap_offset, 64),
	OFFSET(aipu_sampler, bitmap_bits, 72),
	OFFSET(aipu_sampler, stop_segment, 76),
	OFFSET(aipu_sampler, stop_offset, 80),
	OFFSET(aipu_sampler, stop_count, 88),
	OFFSET(aipu_sampler, token_limit, 92),
	OFFSET(aipu_sampler, reserved, 96),

	SIZE(aipu_lane_result, 24),
	OFFSET(aipu_lane_result, kv_length, 0),
	OFFSET(aipu_lane_result, tokens, 4),
	OFFSET(aipu_lane_result, reason, 8),
	OFFSET(aipu_lane_result, generation, 12),
	OFFSET(aipu_lane_result, reserved, 16),

	SIZE(aipu_lane, 224),
	OFFSET(aipu_lane, sequence, 0),
	OFFSET(aipu_lane, generation, 8),
	OFFSET(aipu_lane, kv_slot, 12),
	OFFSET(aipu_lane, position, 16),
	OFFSET(aipu_lane, n_valid, 20),
	OFFSET(aipu_lane, logits, 24),
	OFFSET(aipu_lane, token_source, 28),
	OFFSET(aipu_lane, token_offset, 32),
	OFFSET(aipu_lane, token_segment, 40),
	OFFSET(aipu_lane, adapter, 44),
	OFFSET(aipu_lane, reserved0, 48),
	OFFSET(aipu_lane, sampler, 56),
	OFFSET(aipu_lane, reserved1, 176),
	OFFSET(aipu_lane, result, 200),

	SIZE(aipu_token_ring, 128),
	OFFSET(aipu_token_ring, producer, 0),
	OFFSET(aipu_token_ring, paused, 4),
	OFFSET(aipu_token_ring, reserved0, 8),
	OFFSET(aipu_token_ring, consumer, 64),
	OFFSET(aipu_token_ring, wake, 68),
	OFFSET(aipu_token_ring, reserved1, 72),

	SIZE(aipu_token_record, 32),
	OFFSET(aipu_token_record, sequence, 0),
	OFFSET(aipu_token_record, lane, 4),
	OFFSET(aipu_token_record, reason, 6),
	OFFSET(aipu_token_record, token, 8),
	OFFSET(aipu_token_record, position, 12),
	OFFSET(aipu_token_record, logprob, 16),
	OFFSET(aipu_token_record, reserved, 20),
	OFFSET(aipu_token_record, time_ns, 24),

	SIZE(aipu_completion, 32),
	OFFSET(aipu_completion, time_ns, 0),
	OFFSET(aipu_completion, detail, 8),
	OFFSET(aipu_completion, step_seen, 12),
	OFFSET(aipu_completion, step_start, 16),
	OFFSET(aipu_completion, step_end, 20),
	OFFSET(aipu_completion, id, 24),
	OFFSET(aipu_completion, sq_head, 26),
	OFFSET(aipu_completion, status, 28),
	OFFSET(aipu_completion, phase, 30),

	SIZE(aipu_admin_identify, 48),
	OFFSET(aipu_admin_identify, address, 0),
	OFFSET(aipu_admin_identify, reserved, 8),

	SIZE(aipu_admin_context, 48),
	OFFSET(aipu_admin_context, context, 0),
	OFFSET(aipu_admin_context, priority, 4),
	OFFSET(aipu_admin_context, weight, 8),
	OFFSET(aipu_admin_context, reserved0, 12),
	OFFSET(aipu_admin_context, reserved, 16),

	SIZE(aipu_admin_bind, 48),
	OFFSET(aipu_admin_bind, context, 0),
	OFFSET(aipu_admin_bind, segment, 4),
	OFFSET(aipu_admin_bind, descriptor, 8),

	SIZE(aipu_admin_unbind, 48),
	OFFSET(aipu_admin_unbind, context, 0),
	OFFSET(aipu_admin_unbind, segment, 4),
	OFFSET(aipu_admin_unbind, reserved, 8),

	SIZE(aipu_admin_program, 48),
	OFFSET(aipu_admin_program, context, 0),
	OFFSET(aipu_admin_program, program, 4),
	OFFSET(aipu_admin_program, segment, 8),
	OFFSET(aipu_admin_program, bytes, 12),
	OFFSET(aipu_admin_program, offset, 16),
	OFFSET(aipu_admin_program, reserved, 24),

	SIZE(aipu_admin_queue, 48),
	OFFSET(aipu_admin_queue, context, 0),
	OFFSET(aipu_admin_queue, queue, 4),
	OFFSET(aipu_admin_queue, sq_address, 8),
	OFFSET(aipu_admin_queue, cq_address, 16),
	OFFSET(aipu_admin_queue, shadow_address, 24),
	OFFSET(aipu_admin_queue, entries, 32),
	OFFSET(aipu_admin_queue, vector, 36),
	OFFSET(aipu_admin_queue, coalesce_count, 38),
	OFFSET(aipu_admin_queue, coalesce_us, 40),
	OFFSET(aipu_admin_queue, reserved, 44),

	SIZE(aipu_admin_abort, 48),
	OFFSET(aipu_admin_abort, queue, 0),
	OFFSET(aipu_admin_abort, job, 4),
	OFFSET(aipu_admin_abort, reserved, 8),

	SIZE(aipu_admin_progress, 48),
	OFFSET(aipu_admin_progress, context, 0),
	OFFSET(aipu_admin_progress, reserved0, 4),
	OFFSET(aipu_admin_progress, address, 8),
	OFFSET(aipu_admin_progress, reserved, 16),

	SIZE(aipu_admin, 64),
	OFFSET(aipu_admin, opcode, 0),
	OFFSET(aipu_admin, flags, 1),
	OFFSET(aipu_admin, id, 2),
	OFFSET(aipu_admin, reserved0, 4),
	OFFSET(aipu_admin, body, 8),
	OFFSET(aipu_admin, identify, 8),
	OFFSET(aipu_admin, context, 8),
	OFFSET(aipu_admin, bind, 8),
	OFFSET(aipu_admin, unbind, 8),
	OFFSET(aipu_admin, program, 8),
	OFFSET(aipu_admin, queue, 8),
	OFFSET(aipu_admin, abort, 8),
	OFFSET(aipu_admin, progress, 8),
	OFFSET(aipu_admin, reserved1, 56),

	SIZE(aipu_identify, 4096),
	OFFSET(aipu_identify, vendor, 0),
	OFFSET(aipu_identify, model, 32),
	OFFSET(aipu_identify, serial, 96),
	OFFSET(aipu_identify, firmware, 128),
	OFFSET(aipu_identify, abi_newest, 192),
	OFFSET(aipu_identify, abi_oldest, 196),
	OFFSET(aipu_identify, capabilities, 200),
	OFFSET(aipu_identify, operations, 208),
	OFFSET(aipu_identify, memory_bytes, 216),
	OFFSET(aipu_identify, cores, 224),
	OFFSET(aipu_identify, longest_step_us, 228),
	OFFSET(aipu_identify, reserved, 232),

	SIZE(aipu_progress, 32),
	OFFSET(aipu_progress, queue, 0),
	OFFSET(aipu_progress, job, 4),
	OFFSET(aipu_progress, running, 8),
	OFFSET(aipu_progress, block, 12),
	OFFSET(aipu_progress, instruction, 16),
	OFFSET(aipu_progress, step, 20),
	OFFSET(aipu_progress, reserved, 24),

	SIZE(aipu_shadow, 256),
	OFFSET(aipu_shadow, sq_tail, 0),
	OFFSET(aipu_shadow, reserved0, 4),
	OFFSET(aipu_shadow, cq_head, 64),
	OFFSET(aipu_shadow, reserved1, 68),
	OFFSET(aipu_shadow, sq_event, 128),
	OFFSET(aipu_shadow, reserved2, 132),
	OFFSET(aipu_shadow, cq_event, 192),
	OFFSET(aipu_shadow, reserved3, 196),

	SIZE(aipu_segment_descriptor, 40),
	OFFSET(aipu_segment_descriptor, kind, 0),
	OFFSET(aipu_segment_descriptor, access, 1),
	OFFSET(aipu_segment_descriptor, reserved0, 2),
	OFFSET(aipu_segment_descriptor, extent_count, 4),
	OFFSET(aipu_segment_descriptor, length, 8),
	OFFSET(aipu_segment_descriptor, address, 16),
	OFFSET(aipu_segment_descriptor, peer, 24),
	OFFSET(aipu_segment_descriptor, reserved1, 32),

	SIZE(aipu_extent, 16),
	OFFSET(aipu_extent, address, 0),
	OFFSET(aipu_extent, bytes, 8),

	SIZE(aipu_extent_page, 4096),
	OFFSET(aipu_extent_page, extents, 0),
	OFFSET(aipu_extent_page, next, 4080),
	OFFSET(aipu_extent_page, reserved, 4088),

	SIZE(aipu_program_header, 232),
	OFFSET(aipu_program_header, magic, 0),
	OFFSET(aipu_program_header, header_bytes, 4),
	OFFSET(aipu_program_header, abi_oldest, 8),
	OFFSET(aipu_program_header, abi_newest, 12),
	OFFSET(aipu_program_header, image_bytes, 16),
	OFFSET(aipu_program_header, numerics, 20),
	OFFSET(aipu_program_header, operations, 24),
	OFFSET(aipu_program_header, capabilities, 32),
	OFFSET(aipu_program_header, slot_count, 40),
	OFFSET(aipu_program_header, tensor_count, 44),
	OFFSET(aipu_program_header, entry_count, 48),
	OFFSET(aipu_program_header, instruction_count, 52),
	OFFSET(aipu_program_header, vocabulary, 56),
	OFFSET(aipu_program_header, kv_kind, 60),
	OFFSET(aipu_program_header, kv_slots, 64),
	OFFSET(aipu_program_header, rank, 68),
	OFFSET(aipu_program_header, world, 72),
	OFFSET(aipu_program_header, reserved0, 76),
	OFFSET(aipu_program_header, reserved, 80),

	SIZE(aipu_slot, 64),
	OFFSET(aipu_slot, kind, 0),
	OFFSET(aipu_slot, access, 1),
	OFFSET(aipu_slot, reserved0, 2),
	OFFSET(aipu_slot, reserved1, 4),
	OFFSET(aipu_slot, min_bytes, 8),
	OFFSET(aipu_slot, name, 16),

	SIZE(aipu_tensor, 64),
	OFFSET(aipu_tensor, slot, 0),
	OFFSET(aipu_tensor, format, 2),
	OFFSET(aipu_tensor, layout, 3),
	OFFSET(aipu_tensor, rows, 4),
	OFFSET(aipu_tensor, reserved0, 5),
	OFFSET(aipu_tensor, offset, 8),
	OFFSET(aipu_tensor, stride, 16),
	OFFSET(aipu_tensor, dims, 24),
	OFFSET(aipu_tensor, index_count, 40),
	OFFSET(aipu_tensor, index_tensor, 44),
	OFFSET(aipu_tensor, index_stride, 48),
	OFFSET(aipu_tensor, reserved1, 56),

	SIZE(aipu_instruction, 64),
	OFFSET(aipu_instruction, opcode, 0),
	OFFSET(aipu_instruction, activation_format, 1),
	OFFSET(aipu_instruction, epilogue, 2),
	OFFSET(aipu_instruction, reserved0, 3),
	OFFSET(aipu_instruction, dst, 4),
	OFFSET(aipu_instruction, a, 6),
	OFFSET(aipu_instruction, b, 8),
	OFFSET(aipu_instruction, c, 10),
	OFFSET(aipu_instruction, d, 12),
	OFFSET(aipu_instruction, encodings, 14),
	OFFSET(aipu_instruction, u, 16),
	OFFSET(aipu_instruction, f, 32),
	OFFSET(aipu_instruction, reserved1, 48),

	SIZE(aipu_entry, 64),
	OFFSET(aipu_entry, name, 0),
	OFFSET(aipu_entry, first_instruction, 32),
	OFFSET(aipu_entry, instruction_count, 36),
	OFFSET(aipu_entry, max_tokens, 40),
	OFFSET(aipu_entry, max_lanes, 44),
	OFFSET(aipu_entry, max_selected, 48),
	OFFSET(aipu_entry, ctx_len, 52),
	OFFSET(aipu_entry, logits, 56),
	OFFSET(aipu_entry, input, 58),
	OFFSET(aipu_entry, hidden, 60),
	OFFSET(aipu_entry, reserved0, 62),

	SIZE(aipu_qpc_section, 64),
	OFFSET(aipu_qpc_section, kind, 0),
	OFFSET(aipu_qpc_section, flags, 4),
	OFFSET(aipu_qpc_section, offset, 8),
	OFFSET(aipu_qpc_section, bytes, 16),
	OFFSET(aipu_qpc_section, digest, 24),
	OFFSET(aipu_qpc_section, reserved, 56),

	SIZE(aipu_qpc_header, 4096),
	OFFSET(aipu_qpc_header, magic, 0),
	OFFSET(aipu_qpc_header, version, 8),
	OFFSET(aipu_qpc_header, header_bytes, 12),
	OFFSET(aipu_qpc_header, abi_oldest, 16),
	OFFSET(aipu_qpc_header, abi_newest, 20),
	OFFSET(aipu_qpc_header, file_bytes, 24),
	OFFSET(aipu_qpc_header, section_count, 32),
	OFFSET(aipu_qpc_header, reserved0, 36),
	OFFSET(aipu_qpc_header, digest, 40),
	OFFSET(aipu_qpc_header, reserved1, 72),
	OFFSET(aipu_qpc_header, sections, 256),

	SIZE(aipu_qpc_model, 344),
	OFFSET(aipu_qpc_model, name, 0),
	OFFSET(aipu_qpc_model, architecture, 64),
	OFFSET(aipu_qpc_model, parameters, 96),
	OFFSET(aipu_qpc_model, precision, 104),
	OFFSET(aipu_qpc_model, kv_format, 108),
	OFFSET(aipu_qpc_model, vocabulary, 112),
	OFFSET(aipu_qpc_model, layers, 116),
	OFFSET(aipu_qpc_model, dim, 120),
	OFFSET(aipu_qpc_model, hidden_dim, 124),
	OFFSET(aipu_qpc_model, heads, 128),
	OFFSET(aipu_qpc_model, kv_heads, 132),
	OFFSET(aipu_qpc_model, head_dim, 136),
	OFFSET(aipu_qpc_model, ctx_len, 140),
	OFFSET(aipu_qpc_model, prompt_len, 144),
	OFFSET(aipu_qpc_model, batch_size, 148),
	OFFSET(aipu_qpc_model, cores, 152),
	OFFSET(aipu_qpc_model, prefill_entry, 156),
	OFFSET(aipu_qpc_model, decode_entry, 160),
	OFFSET(aipu_qpc_model, logits_entry, 164),
	OFFSET(aipu_qpc_model, bos_id, 168),
	OFFSET(aipu_qpc_model, stop_count, 172),
	OFFSET(aipu_qpc_model, stop_ids, 176),
	OFFSET(aipu_qpc_model, kv_slot_bytes, 208),
	OFFSET(aipu_qpc_model, reserved, 216),
};

static void layouts_hold(struct kunit *test)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(layouts); i++)
		KUNIT_EXPECT_EQ_MSG(test, layouts[i].is, layouts[i].due, "%s", layouts[i].name);
}

/* Entries of rings and tables never straddle pages. */
static void ring_entries_divide_pages(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, AIPU_PAGE_BYTES % sizeof(struct aipu_job), 0);
	KUNIT_EXPECT_EQ(test, AIPU_PAGE_BYTES % sizeof(struct aipu_admin), 0);
	KUNIT_EXPECT_EQ(test, AIPU_PAGE_BYTES % sizeof(struct aipu_completion), 0);
	KUNIT_EXPECT_EQ(test, sizeof(struct aipu_job), sizeof(struct aipu_admin));
	KUNIT_EXPECT_EQ(test, sizeof(struct aipu_extent_page), AIPU_PAGE_BYTES);
	KUNIT_EXPECT_EQ(test, AIPU_EXTENTS_PER_PAGE * sizeof(struct aipu_extent) + 16,
			AIPU_PAGE_BYTES);
}

/* A field's bytes as the device sees them, whatever the byte order of this machine. */
static void fields_are_little_endian(struct kunit *test)
{
	struct aipu_job job = { .opcode = AIPU_JOB_COPY, .id = cpu_to_le16(0x0201) };
	const u8 *bytes = (const u8 *)&job;

	job.timeout_ms = cpu_to_le32(0x06050403);
	job.copy.src_offset = cpu_to_le64(0x0e0d0c0b0a090807);
	KUNIT_EXPECT_EQ(test, bytes[0], 1);
	KUNIT_EXPECT_EQ(test, bytes[2], 1);
	KUNIT_EXPECT_EQ(test, bytes[3], 2);
	KUNIT_EXPECT_EQ(test, bytes[4], 3);
	KUNIT_EXPECT_EQ(test, bytes[7], 6);
	KUNIT_EXPECT_EQ(test, bytes[16], 7);
	KUNIT_EXPECT_EQ(test, bytes[23], 14);
	KUNIT_EXPECT_EQ(test, le32_to_cpu(job.timeout_ms), 0x06050403);
}

static struct kunit_case structs_cases[] = { KUNIT_CASE(layouts_hold),
					     KUNIT_CASE(ring_entries_divide_pages),
					     KUNIT_CASE(fields_are_little_endian),
					     {} };

static struct kunit_suite structs_suite = {
	.name = "aipu_structs",
	.test_cases = structs_cases,
};

kunit_test_suite(structs_suite);

MODULE_DESCRIPTION("The contract with the AIPU device, in kernel C");
MODULE_LICENSE("GPL");
