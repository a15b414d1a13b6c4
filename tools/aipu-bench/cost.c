/* SPDX-License-Identifier: MIT */
/*
 * See cost.h. The container was opened by aipu_qpc_open, so digests hold; indices are checked all the same.
 */
#include "cost.h"

#include <errno.h>
#include <string.h>

#include "aipu_numerics.h"
#include "aipu_program.h"

struct tables {
	const struct aipu_program_header *header;
	const struct aipu_tensor *tensors;
	const struct aipu_entry *entries;
	const struct aipu_instruction *instructions;
};

static int find_tables(const struct aipu_qpc *qpc, struct tables *t)
{
	const struct aipu_qpc_section *section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 0);
	const uint8_t *image = section ? aipu_qpc_data(qpc, section) : NULL;
	const struct aipu_program_header *h = (const struct aipu_program_header *)image;
	uint64_t at = sizeof(*h);

	if (!image || section->bytes < at || h->magic != AIPU_PROGRAM_MAGIC ||
	    h->header_bytes != at)
		return -EINVAL;
	at += (uint64_t)h->slot_count * sizeof(struct aipu_slot);
	t->header = h;
	t->tensors = (const void *)(image + at);
	at += (uint64_t)h->tensor_count * sizeof(struct aipu_tensor);
	t->entries = (const void *)(image + at);
	at += (uint64_t)h->entry_count * sizeof(struct aipu_entry);
	t->instructions = (const void *)(image + at);
	at += (uint64_t)h->instruction_count * sizeof(struct aipu_instruction);
	return at == section->bytes ? 0 : -EINVAL;
}

int cost_of(const struct aipu_qpc *qpc, struct cost *cost)
{
	const struct aipu_qpc_model *model = aipu_qpc_model(qpc);
	const struct aipu_entry *entry;
	struct tables t;
	uint32_t i;

	memset(cost, 0, sizeof(*cost));
	if (find_tables(qpc, &t) || model->decode_entry >= t.header->entry_count)
		return -EINVAL;
	entry = &t.entries[model->decode_entry];
	if (entry->first_instruction > t.header->instruction_count ||
	    entry->instruction_count > t.header->instruction_count - entry->first_instruction)
		return -EINVAL;
	for (i = 0; i < entry->instruction_count; i++) {
		const struct aipu_instruction *in = &t.instructions[entry->first_instruction + i];
		const struct aipu_tensor *w, *dst;

		if (in->opcode != AIPU_OP_MATMUL)
			continue;
		if (in->b >= t.header->tensor_count || in->dst >= t.header->tensor_count)
			return -EINVAL;
		w = &t.tensors[in->b];
		dst = &t.tensors[in->dst];
		cost->decode_bytes += aipu_weight_bytes(w->format, w->dims[0], w->dims[1]);
		if (dst->rows == AIPU_ROWS_TOKENS)
			cost->prefill_operations += 2ull * w->dims[0] * w->dims[1];
		cost->int8 = in->activation_format == AIPU_ACT_DYNAMIC_I8_G32;
	}
	return 0;
}
