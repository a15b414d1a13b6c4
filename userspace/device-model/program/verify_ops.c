// SPDX-License-Identifier: MIT
/*
 * The verifier, instructions half: what each opcode asks of its operands, and of an entry's bounds.
 * Called by verify.c after all tensors were found to lie inside their slots. The executor adds no
 * check of its own to these, so a new opcode or parameter begins here.
 */
#include <string.h>

#include "program/program.h"

/* Which operands and parameters an opcode has; the rest is NO_TENSOR and zero */
enum { DST = 1, A = 2, B = 4, C = 8, D = 16 };
struct shape_of_opcode {
	uint8_t operands; /* must be there */
	uint8_t optional; /* may be there */
	uint8_t integers; /* bit i: u[i] is used */
	uint8_t floats;
	uint8_t writes; /* of the operands */
	uint8_t reads;
};

static const struct shape_of_opcode opcode_shapes[AIPU_OP_COUNT] = {
	[AIPU_OP_EMBED] = { DST | A, 0, 0, 0, DST, A },
	[AIPU_OP_RMSNORM] = { DST | A | B, 0, 1, 3, DST, A | B },
	[AIPU_OP_MATMUL] = { DST | A | B, C, 0, 0, DST, A | B | C },
	[AIPU_OP_ROPE] = { DST | A, 0, 3, 0, DST, DST | A },
	[AIPU_OP_KV_UPDATE] = { DST | A | B | D, 0, 0, 0, DST | D, A | B },
	[AIPU_OP_ATTENTION] = { DST | A | B | C, 0, 15, 3, DST, A | B | C },
	[AIPU_OP_ACTIVATE] = { DST | A, B, 1, 0, DST, A | B },
	[AIPU_OP_ADD] = { DST | A | B, 0, 0, 0, DST, A | B },
	[AIPU_OP_SELECT] = { DST | A, 0, 0, 0, DST, A },
};

static unsigned int malformed(struct verifier *v, enum aipu_refusal reason, uint32_t index)
{
	return verifier_refuse(v, AIPU_STATUS_INVALID_PROGRAM, reason, index);
}

static unsigned int not_offered(struct verifier *v, enum aipu_refusal reason, uint32_t index)
{
	return verifier_refuse(v, AIPU_STATUS_UNSUPPORTED, reason, index);
}

static const struct aipu_tensor *tensor(const struct verifier *v, uint32_t index)
{
	return &v->program->tensors[index];
}

static bool finite(uint32_t bits)
{
	return (bits & 0x7f800000u) != 0x7f800000u;
}

/* Finite and above zero */
static bool positive(uint32_t bits)
{
	return finite(bits) && bits && !(bits >> 31);
}

/* Rows of the step: what an instruction may have as M */
static bool is_activation(const struct aipu_tensor *t)
{
	return t->layout == AIPU_LAYOUT_ROWS && t->rows != AIPU_ROWS_FIXED;
}

static bool is_table(const struct aipu_tensor *t)
{
	return t->layout == AIPU_LAYOUT_ROWS && t->rows == AIPU_ROWS_FIXED;
}

/* --- operands and parameters, by the table above ---------------------------------------------- */

static void instruction_operands(const struct aipu_instruction *in, uint32_t operands[5])
{
	operands[0] = in->dst;
	operands[1] = in->a;
	operands[2] = in->b;
	operands[3] = in->c;
	operands[4] = in->d;
}

static unsigned int operands_verify(struct verifier *v, uint32_t index)
{
	const struct aipu_instruction *in = &v->program->instructions[index];
	const struct shape_of_opcode *s = &opcode_shapes[in->opcode];
	uint32_t operands[5];

	instruction_operands(in, operands);
	for (unsigned int i = 0; i < 5; i++) {
		uint32_t bit = 1u << i;
		const struct aipu_slot *slot;

		if (operands[i] == AIPU_NO_TENSOR) {
			if (s->operands & bit)
				return malformed(v, AIPU_REFUSAL_OPERAND, index);
			continue;
		}
		if (!((s->operands | s->optional) & bit) ||
		    operands[i] >= v->program->header->tensor_count)
			return malformed(v, AIPU_REFUSAL_OPERAND, index);
		slot = &v->program->slots[tensor(v, operands[i])->slot];
		if ((s->writes & bit && !(slot->access & AIPU_ACCESS_WRITE)) ||
		    (s->reads & bit && !(slot->access & AIPU_ACCESS_READ)))
			return malformed(v, AIPU_REFUSAL_ACCESS, index);
	}
	for (unsigned int i = 0; i < 4; i++) {
		if (in->u[i] && !(s->integers >> i & 1))
			return malformed(v, AIPU_REFUSAL_RESERVED, index);
		if (in->f[i] && !(s->floats >> i & 1))
			return malformed(v, AIPU_REFUSAL_RESERVED, index);
	}
	if (in->opcode != AIPU_OP_MATMUL && (in->activation_format || in->epilogue))
		return malformed(v, AIPU_REFUSAL_RESERVED, index);
	return AIPU_STATUS_OK;
}

/*
 * dst and `other` are rows of the same kind, in F32; `columns` of both are the caller's to compare
 */
static unsigned int activations_verify(struct verifier *v, uint32_t index, uint32_t dst,
				       uint32_t other)
{
	const struct aipu_tensor *d = tensor(v, dst), *o = tensor(v, other);

	if (!is_activation(d) || !is_activation(o))
		return malformed(v, AIPU_REFUSAL_OPERAND, index);
	if (d->format != AIPU_FMT_F32 || o->format != AIPU_FMT_F32)
		return malformed(v, AIPU_REFUSAL_FORMAT, index);
	if (d->rows != o->rows)
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return AIPU_STATUS_OK;
}

/* One row of `columns` constants */
static unsigned int vector_verify(struct verifier *v, uint32_t index, uint32_t vector,
				  uint32_t columns)
{
	const struct aipu_tensor *t = tensor(v, vector);

	if (!is_table(t))
		return malformed(v, AIPU_REFUSAL_OPERAND, index);
	if (t->format != AIPU_FMT_F32)
		return malformed(v, AIPU_REFUSAL_FORMAT, index);
	if (t->dims[0] != 1 || t->dims[1] != columns)
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return AIPU_STATUS_OK;
}

static unsigned int same_columns(struct verifier *v, uint32_t index, uint32_t dst, uint32_t other)
{
	unsigned int status = activations_verify(v, index, dst, other);

	if (status == AIPU_STATUS_OK && tensor(v, dst)->dims[1] != tensor(v, other)->dims[1])
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return status;
}

static unsigned int tokens_only(struct verifier *v, uint32_t index, uint32_t operand)
{
	if (tensor(v, operand)->rows != AIPU_ROWS_TOKENS)
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return AIPU_STATUS_OK;
}

/* --- one function for each opcode ------------------------------------------------------------- */

static unsigned int embed_verify(struct verifier *v, uint32_t index,
				 const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(v, in->dst), *a = tensor(v, in->a);
	uint32_t vocabulary = v->program->header->vocabulary;

	if (!is_activation(dst) || (a->layout != AIPU_LAYOUT_TILE16 && !is_table(a)))
		return malformed(v, AIPU_REFUSAL_OPERAND, index);
	if (dst->format != AIPU_FMT_F32)
		return malformed(v, AIPU_REFUSAL_FORMAT, index);
	if (!vocabulary || a->dims[0] != vocabulary || a->dims[1] != dst->dims[1])
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return tokens_only(v, index, in->dst);
}

static unsigned int rmsnorm_verify(struct verifier *v, uint32_t index,
				   const struct aipu_instruction *in)
{
	uint32_t columns = tensor(v, in->dst)->dims[1];
	uint32_t group = in->u[0] ? in->u[0] : columns;
	unsigned int status = same_columns(v, index, in->dst, in->a);

	if (status != AIPU_STATUS_OK)
		return status;
	if (columns % group || !positive(in->f[0]) || !finite(in->f[1]))
		return malformed(v, AIPU_REFUSAL_PARAMETER, index);
	if (group != columns) {
		status = verifier_capability(v, AIPU_CAP_HEAD_NORM, index);
		if (status != AIPU_STATUS_OK)
			return status;
	}
	return vector_verify(v, index, in->b, group);
}

static unsigned int matmul_verify(struct verifier *v, uint32_t index,
				  const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(v, in->dst), *a = tensor(v, in->a);
	const struct aipu_tensor *b = tensor(v, in->b);
	unsigned int status = activations_verify(v, index, in->dst, in->a);

	if (status != AIPU_STATUS_OK)
		return status;
	if (in->activation_format >= AIPU_ACT_COUNT || in->epilogue & ~AIPU_EPILOGUE_ADD)
		return malformed(v, AIPU_REFUSAL_PARAMETER, index);
	if (in->activation_format > AIPU_ACT_DYNAMIC_I8_G32 ||
	    !(v->limits->activations >> in->activation_format & 1))
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	if (b->layout != AIPU_LAYOUT_TILE16)
		return malformed(v, AIPU_REFUSAL_OPERAND, index);
	if (in->activation_format == AIPU_ACT_DYNAMIC_I8_G32 && b->format != AIPU_FMT_I8_G32)
		return malformed(v, AIPU_REFUSAL_FORMAT, index);
	if (b->dims[0] != dst->dims[1] || b->dims[1] != a->dims[1])
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	if (in->epilogue & AIPU_EPILOGUE_ADD &&
	    !(v->program->slots[dst->slot].access & AIPU_ACCESS_READ))
		return malformed(v, AIPU_REFUSAL_ACCESS, index);
	if (in->c == AIPU_NO_TENSOR)
		return AIPU_STATUS_OK;
	status = verifier_capability(v, AIPU_CAP_MATMUL_BIAS, index);
	return status == AIPU_STATUS_OK ? vector_verify(v, index, in->c, dst->dims[1]) : status;
}

static unsigned int rope_verify(struct verifier *v, uint32_t index,
				const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(v, in->dst), *a = tensor(v, in->a);
	uint32_t head_dim = in->u[0], rotated = in->u[1];

	if (!is_activation(dst) || !is_table(a))
		return malformed(v, AIPU_REFUSAL_OPERAND, index);
	if (dst->format != AIPU_FMT_F32 || a->format != AIPU_FMT_F32)
		return malformed(v, AIPU_REFUSAL_FORMAT, index);
	if (!head_dim || head_dim > AIPU_MAX_HEAD_DIM || !rotated || rotated % 2 ||
	    rotated > head_dim)
		return malformed(v, AIPU_REFUSAL_PARAMETER, index);
	if (dst->dims[1] % head_dim || a->dims[1] != rotated)
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	if (rotated < head_dim) {
		unsigned int status = verifier_capability(v, AIPU_CAP_PARTIAL_ROTARY, index);

		if (status != AIPU_STATUS_OK)
			return status;
	}
	return tokens_only(v, index, in->dst);
}

/* K and V of one layer: of one shape and format, with room for every lane */
static unsigned int kv_verify(struct verifier *v, uint32_t index, uint32_t k, uint32_t value)
{
	const struct aipu_program_header *h = v->program->header;
	const struct aipu_tensor *tk = tensor(v, k), *tv = tensor(v, value);

	if (h->kv_kind != AIPU_KV_SMART_MASK || tk->layout != AIPU_LAYOUT_KV_K ||
	    tv->layout != AIPU_LAYOUT_KV_V)
		return malformed(v, AIPU_REFUSAL_OPERAND, index);
	if (tk->format != tv->format)
		return not_offered(v, AIPU_REFUSAL_FORMAT, index);
	if (tk->dims[0] < h->kv_slots || tv->dims[0] < h->kv_slots ||
	    memcmp(&tk->dims[1], &tv->dims[1], 3 * sizeof(tk->dims[1])))
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return AIPU_STATUS_OK;
}

static unsigned int kv_update_verify(struct verifier *v, uint32_t index,
				     const struct aipu_instruction *in)
{
	const struct aipu_tensor *k = tensor(v, in->dst);
	unsigned int status = kv_verify(v, index, in->dst, in->d);

	if (status == AIPU_STATUS_OK)
		status = same_columns(v, index, in->a, in->b);
	if (status != AIPU_STATUS_OK)
		return status;
	if (tensor(v, in->a)->dims[1] != (uint64_t)k->dims[1] * k->dims[2])
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return tokens_only(v, index, in->a);
}

static unsigned int attention_verify(struct verifier *v, uint32_t index,
				     const struct aipu_instruction *in)
{
	const struct aipu_tensor *k = tensor(v, in->b);
	unsigned int status = kv_verify(v, index, in->b, in->c);

	if (status == AIPU_STATUS_OK)
		status = same_columns(v, index, in->dst, in->a);
	if (status != AIPU_STATUS_OK)
		return status;
	if (!in->u[0] || !finite(in->f[0]) || !finite(in->f[1]))
		return malformed(v, AIPU_REFUSAL_PARAMETER, index);
	if (in->u[0] % k->dims[1] || tensor(v, in->dst)->dims[1] != (uint64_t)in->u[0] * k->dims[2])
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	/* No executor for these, whatever the registers say */
	if (in->f[1] || in->u[2] || in->u[3])
		return not_offered(v, AIPU_REFUSAL_CAPABILITY, index);
	if (in->u[1]) {
		status = verifier_capability(v, AIPU_CAP_SLIDING_WINDOW, index);
		if (status != AIPU_STATUS_OK)
			return status;
	}
	return tokens_only(v, index, in->dst);
}

static unsigned int activate_verify(struct verifier *v, uint32_t index,
				    const struct aipu_instruction *in)
{
	unsigned int status = same_columns(v, index, in->dst, in->a);

	if (status == AIPU_STATUS_OK && in->b != AIPU_NO_TENSOR)
		status = same_columns(v, index, in->dst, in->b);
	if (status != AIPU_STATUS_OK)
		return status;
	if (in->u[0] > AIPU_ACTIVATION_GELU)
		return malformed(v, AIPU_REFUSAL_PARAMETER, index);
	return in->u[0] == AIPU_ACTIVATION_GELU ? verifier_capability(v, AIPU_CAP_GELU, index)
						: AIPU_STATUS_OK;
}

static unsigned int add_verify(struct verifier *v, uint32_t index,
			       const struct aipu_instruction *in)
{
	unsigned int status = same_columns(v, index, in->dst, in->a);

	return status == AIPU_STATUS_OK ? same_columns(v, index, in->dst, in->b) : status;
}

static unsigned int select_verify(struct verifier *v, uint32_t index,
				  const struct aipu_instruction *in)
{
	const struct aipu_tensor *dst = tensor(v, in->dst), *a = tensor(v, in->a);

	if (!is_activation(dst) || !is_activation(a))
		return malformed(v, AIPU_REFUSAL_OPERAND, index);
	if (dst->format != AIPU_FMT_F32 || a->format != AIPU_FMT_F32)
		return malformed(v, AIPU_REFUSAL_FORMAT, index);
	if (dst->rows != AIPU_ROWS_SELECTED || dst->dims[1] != a->dims[1])
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return tokens_only(v, index, in->a);
}

unsigned int instruction_verify(struct verifier *v, uint32_t index)
{
	const struct aipu_program_header *h = v->program->header;
	const struct aipu_instruction *in = &v->program->instructions[index];
	unsigned int status;

	if (in->reserved0 || in->reserved1[0] || in->reserved1[1] || in->encodings)
		return malformed(v, AIPU_REFUSAL_RESERVED, index);
	if (in->opcode == AIPU_OP_END)
		return AIPU_STATUS_OK; /* padding; entry ranges are searched for it below */
	if (in->opcode >= AIPU_OP_COUNT)
		return malformed(v, AIPU_REFUSAL_OPCODE, index);
	if (!(v->limits->operations >> in->opcode & 1) || !opcode_shapes[in->opcode].operands)
		return not_offered(v, AIPU_REFUSAL_OPCODE, index);
	if (!(h->operations >> in->opcode & 1))
		return malformed(v, AIPU_REFUSAL_OPCODE, index);
	status = operands_verify(v, index);
	if (status != AIPU_STATUS_OK)
		return status;
	switch (in->opcode) {
	case AIPU_OP_EMBED:
		return embed_verify(v, index, in);
	case AIPU_OP_RMSNORM:
		return rmsnorm_verify(v, index, in);
	case AIPU_OP_MATMUL:
		return matmul_verify(v, index, in);
	case AIPU_OP_ROPE:
		return rope_verify(v, index, in);
	case AIPU_OP_KV_UPDATE:
		return kv_update_verify(v, index, in);
	case AIPU_OP_ATTENTION:
		return attention_verify(v, index, in);
	case AIPU_OP_ACTIVATE:
		return activate_verify(v, index, in);
	case AIPU_OP_ADD:
		return add_verify(v, index, in);
	default:
		return select_verify(v, index, in);
	}
}

/* What depends on T, S and the positions that an entry permits */
unsigned int instruction_verify_bounds(struct verifier *v, uint32_t index,
				       const struct aipu_entry *entry)
{
	const struct aipu_instruction *in = &v->program->instructions[index];
	uint32_t operands[5];

	if (in->opcode == AIPU_OP_END)
		return malformed(v, AIPU_REFUSAL_OPCODE, index);
	instruction_operands(in, operands);
	for (unsigned int i = 0; i < 5; i++) {
		const struct aipu_tensor *t;

		if (operands[i] == AIPU_NO_TENSOR)
			continue;
		t = tensor(v, operands[i]);
		if (t->layout == AIPU_LAYOUT_ROWS) {
			if (t->rows == AIPU_ROWS_TOKENS && t->dims[0] < entry->max_tokens)
				return malformed(v, AIPU_REFUSAL_SHAPE, index);
			if (t->rows == AIPU_ROWS_SELECTED && t->dims[0] < entry->max_selected)
				return malformed(v, AIPU_REFUSAL_SHAPE, index);
		}
		if ((t->layout == AIPU_LAYOUT_KV_K || t->layout == AIPU_LAYOUT_KV_V) &&
		    t->dims[3] < entry->ctx_len)
			return malformed(v, AIPU_REFUSAL_SHAPE, index);
	}
	if (in->opcode == AIPU_OP_ROPE && tensor(v, in->a)->dims[0] < entry->ctx_len)
		return malformed(v, AIPU_REFUSAL_SHAPE, index);
	return AIPU_STATUS_OK;
}
