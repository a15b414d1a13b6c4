/* SPDX-License-Identifier: MIT */
/*
 * Golden bytes: the structures of firmware-abi/ as bytes, against tests/golden/abi_bytes.txt, whose script holds the
 * layouts a second time. Every field takes the next number, so that a field which moved, shrank or changed places
 * with its neighbour is found.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "aipu_firmware.h"
#include "aipu_program.h"
#include "aipu_qpc.h"
#include "aipu_queue.h"
#include "test_env.h"

/* Fields are numbered from 1 in the order in which they are given; n is the counter. */
#define SET(field) ((field) = (__typeof__(field))++n)
#define BYTES(field) memset(field, (int)(++n & 0xff), sizeof(field))

static void compare(const char *name, const void *bytes, size_t size)
{
	char *path = test_source_path("tests/golden/abi_bytes.txt"), *text, *line, *save = NULL;
	char *hex = malloc(2 * size + 1);
	size_t length = strlen(name), i;

	text = test_read_file(path, NULL);
	assert_non_null(text);
	for (i = 0; i < size; i++)
		snprintf(hex + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (!strncmp(line, name, length) && line[length] == ' ')
			break;
	if (!line)
		fail_msg("%s is not in %s", name, path);
	if (strcmp(line + length + 1, hex))
		fail_msg("%s\nis   %s\nwant %s", name, hex, line + length + 1);
	free(hex);
	free(text);
	free(path);
}

static unsigned int job_head(struct aipu_job *job)
{
	unsigned int n = 0;

	memset(job, 0, sizeof(*job));
	SET(job->opcode);
	SET(job->flags);
	SET(job->id);
	SET(job->timeout_ms);
	return n;
}

static void jobs(void **state)
{
	struct aipu_job job;
	unsigned int n, i;

	(void)state;
	n = job_head(&job);
	SET(job.copy.src_segment);
	SET(job.copy.dst_segment);
	SET(job.copy.src_offset);
	SET(job.copy.dst_offset);
	SET(job.copy.length);
	SET(job.copy.list_count);
	SET(job.copy.flags);
	SET(job.copy.reserved);
	SET(job.reserved);
	compare("job_copy", &job, sizeof(job));

	n = job_head(&job);
	SET(job.fill.segment);
	SET(job.fill.pattern);
	SET(job.fill.offset);
	SET(job.fill.length);
	for (i = 0; i < 3; i++)
		SET(job.fill.reserved[i]);
	SET(job.reserved);
	compare("job_fill", &job, sizeof(job));

	n = job_head(&job);
	SET(job.step.block_segment);
	SET(job.step.block_count);
	SET(job.step.block_offset);
	SET(job.step.lane_segment);
	SET(job.step.lane_count);
	SET(job.step.lane_offset);
	SET(job.step.ring_segment);
	SET(job.step.ring_entries);
	SET(job.step.ring_offset);
	SET(job.reserved);
	compare("job_step", &job, sizeof(job));
}

static void job_memory(void **state)
{
	struct aipu_copy_entry entry;
	struct aipu_block block;
	struct aipu_operand operand;
	struct aipu_lane_result result;
	struct aipu_token_record record;
	unsigned int n;

	(void)state;
	n = 0;
	SET(entry.src_segment);
	SET(entry.dst_segment);
	SET(entry.src_offset);
	SET(entry.dst_offset);
	SET(entry.length);
	BYTES(entry.digest);
	compare("copy_entry", &entry, sizeof(entry));
	n = 0;
	SET(block.program);
	SET(block.entry);
	SET(block.operand_segment);
	SET(block.operand_count);
	SET(block.operand_offset);
	SET(block.reserved);
	compare("block", &block, sizeof(block));
	n = 0;
	SET(operand.segment);
	SET(operand.reserved0);
	SET(operand.offset);
	SET(operand.length);
	SET(operand.reserved1);
	compare("operand", &operand, sizeof(operand));
	n = 0;
	SET(result.kv_length);
	SET(result.tokens);
	SET(result.reason);
	SET(result.generation);
	SET(result.reserved);
	compare("lane_result", &result, sizeof(result));
	n = 0;
	SET(record.sequence);
	SET(record.lane);
	SET(record.reason);
	SET(record.token);
	SET(record.position);
	SET(record.logprob);
	SET(record.reserved);
	SET(record.time_ns);
	compare("token_record", &record, sizeof(record));
}

static void sampler(void **state)
{
	struct aipu_sampler s;
	unsigned int n = 0, i;

	(void)state;
	SET(s.temperature);
	SET(s.top_k);
	SET(s.top_p);
	SET(s.min_p);
	SET(s.seed);
	SET(s.repeat_penalty);
	SET(s.presence_penalty);
	SET(s.frequency_penalty);
	SET(s.penalty_window);
	SET(s.logprob_count);
	SET(s.bias_segment);
	SET(s.bias_offset);
	SET(s.bias_count);
	SET(s.bitmap_segment);
	SET(s.bitmap_offset);
	SET(s.bitmap_bits);
	SET(s.stop_segment);
	SET(s.stop_offset);
	SET(s.stop_count);
	SET(s.token_limit);
	for (i = 0; i < 3; i++)
		SET(s.reserved[i]);
	compare("sampler", &s, sizeof(s));
}

static unsigned int admin_head(struct aipu_admin *admin)
{
	unsigned int n = 0;

	memset(admin, 0, sizeof(*admin));
	SET(admin->opcode);
	SET(admin->flags);
	SET(admin->id);
	SET(admin->reserved0);
	return n;
}

static unsigned int descriptor(struct aipu_segment_descriptor *d, unsigned int n)
{
	SET(d->kind);
	SET(d->access);
	SET(d->reserved0);
	SET(d->extent_count);
	SET(d->length);
	SET(d->address);
	SET(d->peer);
	SET(d->reserved1);
	return n;
}

static void admin(void **state)
{
	struct aipu_admin a;
	unsigned int n, i;

	(void)state;
	n = admin_head(&a);
	SET(a.bind.context);
	SET(a.bind.segment);
	n = descriptor(&a.bind.descriptor, n);
	SET(a.reserved1);
	compare("admin_bind", &a, sizeof(a));

	n = admin_head(&a);
	SET(a.queue.context);
	SET(a.queue.queue);
	SET(a.queue.sq_address);
	SET(a.queue.cq_address);
	SET(a.queue.shadow_address);
	SET(a.queue.entries);
	SET(a.queue.vector);
	SET(a.queue.coalesce_count);
	SET(a.queue.coalesce_us);
	SET(a.queue.reserved);
	SET(a.reserved1);
	compare("admin_queue", &a, sizeof(a));

	n = admin_head(&a);
	SET(a.program.context);
	SET(a.program.program);
	SET(a.program.segment);
	SET(a.program.bytes);
	SET(a.program.offset);
	for (i = 0; i < 3; i++)
		SET(a.program.reserved[i]);
	SET(a.reserved1);
	compare("admin_program", &a, sizeof(a));

	n = admin_head(&a);
	SET(a.context.context);
	SET(a.context.priority);
	SET(a.context.weight);
	SET(a.context.reserved0);
	for (i = 0; i < 4; i++)
		SET(a.context.reserved[i]);
	SET(a.reserved1);
	compare("admin_context", &a, sizeof(a));

	n = admin_head(&a);
	SET(a.abort.queue);
	SET(a.abort.job);
	for (i = 0; i < 5; i++)
		SET(a.abort.reserved[i]);
	SET(a.reserved1);
	compare("admin_abort", &a, sizeof(a));
}

static void queue_memory(void **state)
{
	struct aipu_segment_descriptor d;
	struct aipu_completion c;
	struct aipu_progress p;
	struct aipu_extent e;
	unsigned int n;

	(void)state;
	n = 0;
	SET(c.time_ns);
	SET(c.detail);
	SET(c.step_seen);
	SET(c.step_start);
	SET(c.step_end);
	SET(c.id);
	SET(c.sq_head);
	SET(c.status);
	SET(c.phase);
	compare("completion", &c, sizeof(c));
	descriptor(&d, 0);
	compare("segment_descriptor", &d, sizeof(d));
	n = 0;
	SET(e.address);
	SET(e.bytes);
	compare("extent", &e, sizeof(e));
	n = 0;
	SET(p.queue);
	SET(p.job);
	SET(p.running);
	SET(p.block);
	SET(p.instruction);
	SET(p.step);
	SET(p.reserved);
	compare("progress", &p, sizeof(p));
}

static void program(void **state)
{
	struct aipu_program_header h;
	struct aipu_slot s;
	struct aipu_tensor t;
	struct aipu_instruction i;
	struct aipu_entry e;
	unsigned int n, k;

	(void)state;
	n = 0;
	SET(s.kind);
	SET(s.access);
	SET(s.reserved0);
	SET(s.reserved1);
	SET(s.min_bytes);
	BYTES(s.name);
	compare("slot", &s, sizeof(s));
	n = 0;
	SET(t.slot);
	SET(t.format);
	SET(t.layout);
	SET(t.rows);
	BYTES(t.reserved0);
	SET(t.offset);
	SET(t.stride);
	for (k = 0; k < 4; k++)
		SET(t.dims[k]);
	SET(t.index_count);
	SET(t.index_tensor);
	SET(t.index_stride);
	SET(t.reserved1);
	compare("tensor", &t, sizeof(t));
	n = 0;
	SET(i.opcode);
	SET(i.activation_format);
	SET(i.epilogue);
	SET(i.reserved0);
	SET(i.dst);
	SET(i.a);
	SET(i.b);
	SET(i.c);
	SET(i.d);
	SET(i.encodings);
	for (k = 0; k < 4; k++)
		SET(i.u[k]);
	for (k = 0; k < 4; k++)
		SET(i.f[k]);
	for (k = 0; k < 2; k++)
		SET(i.reserved1[k]);
	compare("instruction", &i, sizeof(i));
	n = 0;
	BYTES(e.name);
	SET(e.first_instruction);
	SET(e.instruction_count);
	SET(e.max_tokens);
	SET(e.max_lanes);
	SET(e.max_selected);
	SET(e.ctx_len);
	SET(e.logits);
	SET(e.input);
	SET(e.hidden);
	SET(e.reserved0);
	compare("entry", &e, sizeof(e));
	n = 0;
	SET(h.magic);
	SET(h.header_bytes);
	SET(h.abi_oldest);
	SET(h.abi_newest);
	SET(h.image_bytes);
	SET(h.numerics);
	SET(h.operations);
	SET(h.capabilities);
	SET(h.slot_count);
	SET(h.tensor_count);
	SET(h.entry_count);
	SET(h.instruction_count);
	SET(h.vocabulary);
	SET(h.kv_kind);
	SET(h.kv_slots);
	SET(h.rank);
	SET(h.world);
	SET(h.reserved0);
	for (k = 0; k < 19; k++)
		SET(h.reserved[k]);
	compare("program_header", &h, sizeof(h));
}

static void files(void **state)
{
	struct aipu_firmware_header f;
	struct aipu_qpc_section s;
	struct aipu_qpc_model m;
	unsigned int n, k;

	(void)state;
	n = 0;
	SET(f.magic);
	SET(f.header_version);
	SET(f.header_bytes);
	SET(f.payload_bytes);
	SET(f.version);
	SET(f.abi_oldest);
	SET(f.abi_newest);
	SET(f.board_id);
	SET(f.rollback);
	SET(f.signature_kind);
	BYTES(f.build);
	BYTES(f.digest);
	BYTES(f.key_id);
	BYTES(f.signature);
	BYTES(f.reserved);
	compare("firmware_header", &f, sizeof(f));
	n = 0;
	SET(s.kind);
	SET(s.flags);
	SET(s.offset);
	SET(s.bytes);
	BYTES(s.digest);
	SET(s.reserved);
	compare("qpc_section", &s, sizeof(s));
	n = 0;
	BYTES(m.name);
	BYTES(m.architecture);
	SET(m.parameters);
	SET(m.precision);
	SET(m.kv_format);
	SET(m.vocabulary);
	SET(m.layers);
	SET(m.dim);
	SET(m.hidden_dim);
	SET(m.heads);
	SET(m.kv_heads);
	SET(m.head_dim);
	SET(m.ctx_len);
	SET(m.prompt_len);
	SET(m.batch_size);
	SET(m.cores);
	SET(m.prefill_entry);
	SET(m.decode_entry);
	SET(m.logits_entry);
	SET(m.bos_id);
	SET(m.stop_count);
	for (k = 0; k < 8; k++)
		SET(m.stop_ids[k]);
	SET(m.kv_slot_bytes);
	for (k = 0; k < 16; k++)
		SET(m.reserved[k]);
	compare("qpc_model", &m, sizeof(m));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs),	 cmocka_unit_test(job_memory),	 cmocka_unit_test(sampler),
		cmocka_unit_test(admin), cmocka_unit_test(queue_memory), cmocka_unit_test(program),
		cmocka_unit_test(files),
	};

	return cmocka_run_group_tests_name("abi_bytes", tests, NULL, NULL);
}
