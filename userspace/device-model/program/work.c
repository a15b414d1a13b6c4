// SPDX-License-Identifier: MIT
/*
 * What a step comes to: bytes of operands and operations, computed from shapes once a step, so that the kernels count nothing and
 * no number depends on cores, instruction sets or how work was cut. Called by step.c after a step. Each instruction moves
 * each byte of its operands that takes part once (spec.md, NRG-2; docs/device.md).
 */
#include "program/program.h"

#define F32_BYTES 4ull

struct work_state {
	const struct exec *x;
	const struct exec_block *block;
	struct dm_work *work;
	uint64_t selected; /* rows of this block that are */
};

static const struct aipu_tensor *tensor(const struct work_state *s, uint32_t index)
{
	return &s->block->program->tensors[index];
}

static uint64_t element_bytes(uint32_t format)
{
	return format == AIPU_FMT_F32 ? F32_BYTES : 2;
}

/* One row of a table: its elements, and for int8 the scales of its groups */
static uint64_t table_row_bytes(const struct aipu_tensor *t)
{
	uint64_t columns = t->dims[1];

	if (t->format == AIPU_FMT_I8_G32)
		return columns + (columns + AIPU_GROUP - 1) / AIPU_GROUP * 2;
	return columns * element_bytes(t->format);
}

static void add_matmul(struct work_state *s, const struct aipu_instruction *in, uint64_t rows)
{
	const struct aipu_tensor *b = tensor(s, in->b);
	uint64_t n = tensor(s, in->dst)->dims[1], k = tensor(s, in->a)->dims[1];

	if (!rows)
		return; /* the weights stay where they are */
	s->work->read +=
		aipu_weight_bytes(b->format, b->dims[0], b->dims[1]) + rows * k * F32_BYTES;
	if (in->c != AIPU_NO_TENSOR)
		s->work->read += n * F32_BYTES;
	if (in->epilogue & AIPU_EPILOGUE_ADD)
		s->work->read += rows * n * F32_BYTES;
	s->work->written += rows * n * F32_BYTES;
	s->work->operations += rows * n * k;
}

/*
 * Rows of a lane stand side by side and share its keys and values: those of the positions that any of them attends to are
 * read once. A window takes the first ones from each row.
 */
static void add_attention(struct work_state *s, const struct aipu_instruction *in, uint64_t rows)
{
	const struct aipu_tensor *k = tensor(s, in->b);
	uint64_t window = in->u[1], pairs = 0, positions = 0;
	const struct exec_row *r = s->x->rows;

	for (uint64_t i = 0; i < rows; i++) {
		uint64_t end = (uint64_t)r[i].position + 1;
		uint64_t from = window && window < end ? end - window : 0;

		pairs += end - from;
		positions += end - from;
		/* Of what the row before it read only its own position is new, and what the window left out is not read again */
		if (i && r[i].kv_slot == r[i - 1].kv_slot) {
			uint64_t before = (uint64_t)r[i - 1].position + 1;

			positions -= before > from ? before - from : 0;
		}
	}
	s->work->read += rows * tensor(s, in->a)->dims[1] * F32_BYTES +
			 2 * positions * k->dims[1] * k->dims[2] * element_bytes(k->format);
	s->work->written += rows * tensor(s, in->dst)->dims[1] * F32_BYTES;
	s->work->operations += 2 * pairs * in->u[0] * k->dims[2];
}

static void add_instruction(struct work_state *s, const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(s, in->dst);
	uint64_t rows = dst->rows == AIPU_ROWS_SELECTED ? s->selected : s->x->row_count;
	uint64_t bytes = rows * dst->dims[1] * F32_BYTES;

	switch (in->opcode) {
	case AIPU_OP_EMBED:
		s->work->read += rows * table_row_bytes(tensor(s, in->a));
		s->work->written += bytes;
		break;
	case AIPU_OP_RMSNORM:
		s->work->read += bytes + (rows ? tensor(s, in->b)->dims[1] * F32_BYTES : 0);
		s->work->written += bytes;
		break;
	case AIPU_OP_MATMUL:
		add_matmul(s, in, rows);
		break;
	case AIPU_OP_ROPE: /* in place, the part of each head that is rotated */
		bytes = bytes / in->u[0] * in->u[1];
		s->work->read += bytes + rows * in->u[1] * F32_BYTES;
		s->work->written += bytes;
		break;
	case AIPU_OP_KV_UPDATE: /* dst is the cache: [slot][head][head_dim][position] */
		bytes = (uint64_t)s->x->row_count * dst->dims[1] * dst->dims[2];
		s->work->read += 2 * bytes * F32_BYTES;
		s->work->written += 2 * bytes * element_bytes(dst->format);
		break;
	case AIPU_OP_ATTENTION:
		add_attention(s, in, rows);
		break;
	case AIPU_OP_ACTIVATE:
	case AIPU_OP_ADD:
		s->work->read += bytes * (in->b == AIPU_NO_TENSOR ? 1 : 2);
		s->work->written += bytes;
		break;
	case AIPU_OP_SELECT:
		s->work->read += bytes;
		s->work->written += bytes;
		break;
	default:
		break; /* the verifier lets no other in */
	}
}

void exec_work(const struct exec *x, struct dm_work *work)
{
	const struct exec_block *last = &x->blocks[x->block_count - 1];

	*work = (struct dm_work){ 0 };
	for (uint32_t b = 0; b < x->block_count; b++) {
		const struct exec_block *block = &x->blocks[b];
		const struct aipu_entry *entry = block->entry;
		struct work_state s = {
			.x = x,
			.block = block,
			.work = work,
			.selected = entry->max_selected ? x->selected_count : 0,
		};

		for (uint32_t i = 0; i < entry->instruction_count; i++)
			add_instruction(
				&s, &block->program->instructions[entry->first_instruction + i]);
	}
	if (x->sample_count) /* each draw looks at its row of logits */
		work->read += x->sample_count * F32_BYTES *
			      last->program->tensors[last->entry->logits].dims[1];
}
