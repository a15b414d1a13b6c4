// SPDX-License-Identifier: MIT
/*
 * The verifier: accepts the small model, and refuses each single change that breaks a rule, with
 * the status, reason and index that name it. A change is a few bytes at an offset of a table, so
 * the list below reads like the rules.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "program_llama.h"

static const struct llama_shape shape = { AIPU_FMT_I8_G32, AIPU_FMT_F16, true, 4, 2 };

/* Indices in the model's tables, found by what stands there */
struct places {
	uint32_t op[AIPU_OP_COUNT]; /* first instruction of each opcode */
	uint32_t matmul_add; /* first with an epilogue */
	uint32_t embed, key, value, norm, rope, x, selected, logits; /* tensors */
};

static struct places places_find(const struct llama *m)
{
	const struct builder *b = &m->b;
	struct places p = { 0 };

	for (uint32_t i = b->header.instruction_count; i-- > 0;) {
		p.op[b->instructions[i].opcode] = i;
		if (b->instructions[i].epilogue)
			p.matmul_add = i;
	}
	p.embed = b->instructions[p.op[AIPU_OP_EMBED]].a;
	p.key = b->instructions[p.op[AIPU_OP_KV_UPDATE]].dst;
	p.value = b->instructions[p.op[AIPU_OP_KV_UPDATE]].d;
	p.norm = b->instructions[p.op[AIPU_OP_RMSNORM]].b;
	p.rope = m->rope;
	p.x = b->instructions[0].dst;
	p.selected = b->instructions[p.op[AIPU_OP_SELECT]].dst;
	p.logits = m->logits;
	return p;
}

static bool given[AIPU_REFUSAL_COUNT];

static void expect(struct builder *b, const struct dm_limits *limits, unsigned int status,
		   enum aipu_refusal reason, uint32_t index, const char *what, int line)
{
	struct dm_program *program = NULL;
	uint32_t detail = 0;
	unsigned int got = build_load(b, limits, &program, &detail);

	if (got == AIPU_STATUS_OK)
		dm_program_put(program);
	else
		given[reason] = true;
	if (got != status || (got != AIPU_STATUS_OK && detail != AIPU_REFUSAL(reason, index)))
		fail_msg("line %d, %s: status %u, reason %u, index %u; expected %u, %u, %u", line,
			 what, got, detail >> 24, detail & 0xffffff, status, reason, index);
}

static struct llama model; /* as it should be; each check changes a copy */
static struct places at;

/* One change of a copy and what the verifier says of it */
#define REFUSED(status, reason, index, change)                                                   \
	do {                                                                                     \
		struct builder b = model.b;                                                      \
		struct dm_limits limits = rig_limits();                                          \
		(void)limits;                                                                    \
		change;                                                                          \
		expect(&b, &limits, AIPU_STATUS_##status, AIPU_REFUSAL_##reason, index, #change, \
		       __LINE__);                                                                \
	} while (0)
#define BAD(reason, index, change) REFUSED(INVALID_PROGRAM, reason, index, change)
#define ABSENT(reason, index, change) REFUSED(UNSUPPORTED, reason, index, change)
#define FINE(change) REFUSED(OK, NONE, 0, change)

#define H b.header
#define T(name) b.tensors[at.name]
#define IN(opcode) b.instructions[at.op[AIPU_OP_##opcode]]
#define AT(opcode) at.op[AIPU_OP_##opcode]

/* [PRG-3] */
static void accepted(void **state)
{
	(void)state;
	FINE(b.header.vocabulary += 0);
	FINE(H.operations |= 1ull << AIPU_OP_ADD); /* a superset of what is used */
	FINE(b.instructions[b.header.instruction_count++].opcode = AIPU_OP_END);
	FINE(H.abi_newest = AIPU_ABI_VERSION(1, 3));
	FINE(b.entries[0].ctx_len = 1);
	FINE(b.slots[SLOT_KV].min_bytes = UINT64_MAX);
	/* Tensors may lie on each other: values are then undefined, safety is not */
	FINE(T(x).offset = b.tensors[at.x + 1].offset);
	FINE(IN(MATMUL).activation_format = AIPU_ACT_PLAIN);
}

/* [PRG-3] [PRG-4] */
static void header(void **state)
{
	(void)state;
	BAD(HEADER, 0, H.magic++);
	BAD(HEADER, 0, H.header_bytes--);
	BAD(HEADER, 0, H.abi_oldest = H.abi_newest + 1);
	ABSENT(VERSION, 0, H.abi_newest = H.abi_oldest = AIPU_ABI_VERSION(1, 1));
	ABSENT(VERSION, 0, H.abi_newest = H.abi_oldest = AIPU_ABI_VERSION(0, 9));
	ABSENT(NUMERICS, 0, H.numerics = 2);
	ABSENT(NUMERICS, 0, H.numerics = 0xffffffff);
	BAD(OPCODE, 0, H.operations |= 1ull << AIPU_OP_COUNT);
	BAD(OPCODE, 0, H.operations |= 1ull << 63);
	ABSENT(OPCODE, 0, H.operations |= 1ull << AIPU_OP_ALL_REDUCE);
	BAD(OPCODE, AT(ROPE), H.operations &= ~(1ull << AIPU_OP_ROPE));
	ABSENT(CAPABILITY, 0, H.capabilities = AIPU_CAP_SOFT_CAP);
	ABSENT(CAPABILITY, 0, H.capabilities = 1ull << 63);
	BAD(HEADER, 0, H.slot_count = 0);
	BAD(HEADER, 0, H.slot_count = AIPU_MAX_SLOTS + 1);
	BAD(HEADER, 0, H.tensor_count = 0);
	BAD(HEADER, 0, H.tensor_count = AIPU_MAX_TENSORS + 1);
	BAD(HEADER, 0, H.entry_count = 0);
	BAD(HEADER, 0, H.entry_count = AIPU_MAX_ENTRIES + 1);
	BAD(HEADER, 0, H.instruction_count = 0);
	BAD(HEADER, 0, H.kv_kind = AIPU_KV_COUNT);
	BAD(HEADER, 0, H.kv_kind = AIPU_KV_NONE);
	BAD(HEADER, 0, H.kv_slots = 0);
	ABSENT(CAPABILITY, 0, H.kv_kind = AIPU_KV_PAGED);
	ABSENT(CAPABILITY, 0, limits.kv_kinds = 0);
	BAD(HEADER, 0, H.rank = 1);
	BAD(HEADER, 0, H.world = 0);
	ABSENT(CAPABILITY, 0, H.world = 2);
	BAD(RESERVED, 0, H.reserved0 = 1);
	BAD(RESERVED, 0, H.reserved[18] = 1);
	BAD(SIZE, 0, limits.max_program_bytes = 500);
}

/* What the tables' sizes say, and how many bytes there are */
static void sizes(void **state)
{
	struct dm_limits limits = rig_limits();
	size_t bytes;

	(void)state;
	free(build_image(&model.b, &bytes));
	for (int change = -64; change <= 64; change++) {
		uint8_t *image = build_image(&model.b, &bytes), *copy = malloc(bytes + 64);
		struct aipu_program_header *h = (void *)copy;
		struct dm_program *program;
		uint32_t detail;
		size_t size = bytes + (size_t)change;

		memset(copy, 0, bytes + 64);
		memcpy(copy, image, bytes);
		if (change % 2)
			h->image_bytes = (uint32_t)size;
		free(image);
		if (!change) {
			free(copy);
			continue;
		}
		copy = realloc(copy, size);
		assert_int_equal(dm_program_create(&limits, copy, size, &program, &detail),
				 AIPU_STATUS_INVALID_PROGRAM);
		assert_int_equal(detail, AIPU_REFUSAL(AIPU_REFUSAL_SIZE, 0));
	}
	for (size_t size = 1; size < sizeof(struct aipu_program_header); size += 7) {
		struct dm_program *program;
		uint32_t detail;

		assert_int_equal(dm_program_create(&limits, calloc(1, size), size, &program,
						   &detail),
				 AIPU_STATUS_INVALID_PROGRAM);
		assert_int_equal(detail, AIPU_REFUSAL(AIPU_REFUSAL_SIZE, 0));
	}
}

static void slots(void **state)
{
	(void)state;
	BAD(SLOT, 0, b.slots[0].kind = 0);
	BAD(SLOT, 3, b.slots[3].kind = AIPU_SLOT_OUTPUT + 1);
	BAD(SLOT, 2, b.slots[2].access = 4);
	BAD(SLOT, 1, memset(b.slots[1].name, 'x', sizeof(b.slots[1].name)));
	BAD(SLOT, 1, b.slots[1].name[47] = 'x');
	BAD(RESERVED, 4, b.slots[4].reserved0 = 1);
	BAD(RESERVED, 4, b.slots[4].reserved1 = 1);
}

static void tensors(void **state)
{
	(void)state;
	BAD(TENSOR, at.x, T(x).slot = SLOT_COUNT);
	BAD(TENSOR, at.x, T(x).format = AIPU_FMT_NONE);
	BAD(TENSOR, at.x, T(x).format = AIPU_FMT_COUNT);
	BAD(TENSOR, at.x, T(x).layout = 0);
	BAD(TENSOR, at.x, T(x).layout = AIPU_LAYOUT_COUNT);
	BAD(TENSOR, at.x, T(x).rows = 3);
	BAD(TENSOR, at.x, T(x).dims[1] = 0);
	BAD(TENSOR, at.x, T(x).dims[2] = 2);
	BAD(TENSOR, at.x, T(x).dims[0] = 0x80000000);
	BAD(TENSOR, at.x, T(x).stride += 2);
	BAD(TENSOR, at.x, T(x).stride = LLAMA_DIM * 4 - 4);
	BAD(TENSOR, at.x, T(x).offset += 2);
	BAD(TENSOR, at.embed, T(embed).offset += 32);
	BAD(TENSOR, at.embed, T(embed).stride = 64);
	BAD(TENSOR, at.embed, T(embed).rows = AIPU_ROWS_TOKENS);
	BAD(TENSOR, at.embed, T(embed).dims[3] = 4);
	BAD(TENSOR, at.key, T(key).rows = AIPU_ROWS_TOKENS);
	BAD(TENSOR, at.key, T(key).stride -= 2);
	BAD(TENSOR, at.key, T(key).stride += 1);
	BAD(TENSOR, at.value, T(value).dims[2] = AIPU_MAX_HEAD_DIM + 1);
	BAD(RESERVED, at.key, T(key).reserved0[2] = 1);
	BAD(RESERVED, at.key, T(key).reserved1 = 1);
	ABSENT(CAPABILITY, at.x, T(x).index_count = 1);
	BAD(TENSOR, at.x, T(x).index_tensor = 1);
	BAD(TENSOR, at.x, T(x).index_stride = 64);
	/* Formats and layouts */
	BAD(FORMAT, at.x, T(x).format = AIPU_FMT_I8_G32);
	BAD(FORMAT, at.x, T(x).format = AIPU_FMT_I32);
	ABSENT(FORMAT, at.embed, T(embed).format = AIPU_FMT_I4_G32);
	ABSENT(FORMAT, at.embed, T(embed).format = AIPU_FMT_BF16);
	ABSENT(FORMAT, at.embed, limits.formats &= ~(1ull << AIPU_FMT_I8_G32));
	ABSENT(FORMAT, at.key, T(key).format = AIPU_FMT_MXINT8);
	/* No executor for it, whatever the registers say */
	ABSENT(FORMAT, at.key, T(key).format = AIPU_FMT_BF16; limits.kv_formats = UINT32_MAX);
	ABSENT(FORMAT, at.key, limits.kv_formats = 1u << AIPU_FMT_F32);
	ABSENT(FORMAT, at.embed, limits.layouts &= ~(1u << AIPU_LAYOUT_TILE16));
	ABSENT(FORMAT, at.x, T(x).format = AIPU_FMT_BF16; T(x).offset = 0;
	       limits.formats &= ~(1ull << AIPU_FMT_BF16));
	/* Extents, each by one step too far, and by numbers that overflow */
	BAD(TENSOR_RANGE, at.logits, b.slots[SLOT_LOGITS].min_bytes--);
	BAD(TENSOR_RANGE, at.logits, T(logits).offset += 4);
	BAD(TENSOR_RANGE, at.logits, T(logits).dims[0]++);
	BAD(TENSOR_RANGE, at.logits, T(logits).stride += 4);
	BAD(TENSOR_RANGE, at.logits, T(logits).stride = UINT64_MAX - 3);
	BAD(TENSOR_RANGE, at.logits, T(logits).offset = UINT64_MAX - 3);
	BAD(TENSOR_RANGE, at.embed, T(embed).dims[0] = 0x7fffffff);
	BAD(TENSOR_RANGE, at.embed, T(embed).dims[0] = 0x7fffffff; T(embed).dims[1] = 0x7fffffff);
	BAD(TENSOR_RANGE, at.embed, T(embed).offset = UINT64_MAX - 63);
	BAD(TENSOR_RANGE, at.embed, b.slots[SLOT_WEIGHTS].min_bytes = 0);
	BAD(TENSOR_RANGE, at.key, T(key).dims[3] = 0x7fffffff; T(key).dims[1] = 0x7fffffff;
	    T(key).dims[2] = 512);
	BAD(TENSOR_RANGE, at.key, T(key).stride = UINT64_MAX - 1);
	BAD(TENSOR_RANGE, at.value + 0, b.slots[SLOT_KV].min_bytes = T(value).offset);
	/* Memory that a slot's holder could not have: range holds, dims do not overflow */
	FINE(b.slots[SLOT_LOGITS].min_bytes = UINT64_MAX; T(logits).dims[0] = 0x7fffffff);
}

static void entries(void **state)
{
	(void)state;
	BAD(ENTRY, 0, memset(b.entries[0].name, 'x', sizeof(b.entries[0].name)));
	BAD(ENTRY, 1, b.entries[1].name[31] = 1);
	BAD(ENTRY, 0, b.entries[0].instruction_count = 0);
	BAD(ENTRY, 1, b.entries[1].instruction_count++);
	BAD(ENTRY, 1, b.entries[1].first_instruction = 1);
	BAD(ENTRY, 1, b.entries[1].first_instruction = 0xffffffff);
	BAD(ENTRY, 0, b.entries[0].max_tokens = 0);
	BAD(ENTRY, 0, b.entries[0].max_lanes = 0);
	BAD(ENTRY, 0, b.entries[0].ctx_len = 0);
	BAD(ENTRY, 1, b.entries[1].max_selected = b.entries[1].max_tokens + 1);
	BAD(ENTRY, 1, b.entries[1].max_selected = 0);
	BAD(ENTRY, 0, b.entries[0].logits = (uint16_t)at.x);
	BAD(ENTRY, 0, b.entries[0].logits = (uint16_t)at.selected);
	BAD(ENTRY, 0, b.entries[0].logits = (uint16_t)H.tensor_count);
	BAD(ENTRY, 0, b.entries[0].hidden = (uint16_t)at.embed);
	BAD(ENTRY, 0, b.entries[0].hidden = (uint16_t)H.tensor_count);
	FINE(b.entries[0].hidden = (uint16_t)at.x);
	ABSENT(CAPABILITY, 0, b.entries[0].input = (uint16_t)at.x);
	ABSENT(ENTRY, 0, b.entries[0].max_lanes = 65);
	ABSENT(ENTRY, 0, b.entries[0].max_tokens = 65537);
	BAD(RESERVED, 1, b.entries[1].reserved0 = 1);
	/* Bounds of one entry that the tensors do not reach */
	BAD(SHAPE, 0, b.entries[1].max_tokens = LLAMA_PREFILL + 1;
	    b.entries[0].max_tokens = LLAMA_PREFILL + 1);
	BAD(SHAPE, AT(ROPE), b.entries[1].ctx_len = LLAMA_CTX + 1);
	BAD(SHAPE, AT(KV_UPDATE), T(rope).dims[0] = 1; b.slots[SLOT_CONSTANTS].min_bytes += 4096;
	    T(rope).dims[0] = LLAMA_CTX + 1; b.entries[1].ctx_len = LLAMA_CTX + 1);
	BAD(SHAPE, AT(SELECT), T(selected).dims[0]--);
	BAD(OPCODE, 5, memset(&b.instructions[5], 0, sizeof(b.instructions[5])));
}

static void operands(void **state)
{
	const uint16_t none = AIPU_NO_TENSOR;

	(void)state;
	BAD(OPERAND, 0, IN(EMBED).a = none);
	BAD(OPERAND, 0, IN(EMBED).a = (uint16_t)at.x);
	BAD(OPERAND, 0, IN(EMBED).b = (uint16_t)at.x);
	BAD(OPERAND, 0, IN(EMBED).a = (uint16_t)H.tensor_count);
	BAD(OPERAND, AT(RMSNORM), IN(RMSNORM).b = (uint16_t)at.x);
	BAD(OPERAND, AT(MATMUL), IN(MATMUL).b = (uint16_t)at.x);
	BAD(OPERAND, AT(MATMUL), IN(MATMUL).d = (uint16_t)at.x);
	BAD(OPERAND, AT(ROPE), IN(ROPE).a = (uint16_t)at.x);
	BAD(OPERAND, AT(KV_UPDATE), IN(KV_UPDATE).d = none);
	BAD(OPERAND, AT(KV_UPDATE), IN(KV_UPDATE).dst = (uint16_t)at.value);
	BAD(OPERAND, AT(ATTENTION), IN(ATTENTION).c = (uint16_t)at.key);
	BAD(OPERAND, AT(ATTENTION), IN(ATTENTION).a = (uint16_t)at.key);
	BAD(OPERAND, AT(SELECT), IN(SELECT).a = (uint16_t)at.embed);
	BAD(OPERAND, AT(ACTIVATE), IN(ACTIVATE).b = (uint16_t)at.norm);
	BAD(ACCESS, 0, IN(EMBED).dst = (uint16_t)at.x;
	    b.slots[SLOT_SCRATCH].access = AIPU_ACCESS_READ);
	BAD(ACCESS, 0, b.slots[SLOT_WEIGHTS].access = AIPU_ACCESS_WRITE);
	BAD(ACCESS, AT(KV_UPDATE), b.slots[SLOT_KV].access = AIPU_ACCESS_READ);
	BAD(ACCESS, AT(ATTENTION), b.slots[SLOT_KV].access = AIPU_ACCESS_WRITE);
	BAD(ACCESS, H.instruction_count - 1, b.slots[SLOT_LOGITS].access = AIPU_ACCESS_WRITE;
	    b.instructions[H.instruction_count - 1].epilogue = AIPU_EPILOGUE_ADD);
	FINE(b.slots[SLOT_LOGITS].access = AIPU_ACCESS_WRITE);
}

static void shapes(void **state)
{
	(void)state;
	BAD(SHAPE, 0, H.vocabulary++; b.entries[0].logits = b.entries[1].logits = AIPU_NO_TENSOR);
	BAD(SHAPE, 0, IN(EMBED).dst = (uint16_t)at.selected);
	BAD(SHAPE, AT(RMSNORM), T(norm).dims[1]--);
	BAD(SHAPE, AT(RMSNORM), IN(RMSNORM).a = (uint16_t)at.selected);
	BAD(SHAPE, AT(MATMUL), IN(MATMUL).b = (uint16_t)at.embed);
	BAD(SHAPE, at.matmul_add, b.instructions[at.matmul_add].b = IN(MATMUL).b;
	    b.instructions[at.matmul_add].dst = IN(RMSNORM).b;
	    b.instructions[at.matmul_add].dst = (uint16_t)at.selected);
	BAD(SHAPE, AT(ROPE), T(rope).dims[1]--);
	BAD(SHAPE, AT(KV_UPDATE), H.kv_slots++);
	BAD(SHAPE, AT(KV_UPDATE), T(value).dims[3]--);
	BAD(SHAPE, AT(KV_UPDATE), IN(KV_UPDATE).a = (uint16_t)at.x);
	BAD(SHAPE, AT(KV_UPDATE), IN(KV_UPDATE).a = IN(KV_UPDATE).b = (uint16_t)at.x);
	BAD(SHAPE, AT(ATTENTION), IN(ATTENTION).u[0] = 3);
	BAD(SHAPE, AT(ATTENTION), IN(ATTENTION).u[0] = 0xfffffffe);
	BAD(SHAPE, AT(ACTIVATE), IN(ACTIVATE).a = (uint16_t)at.x);
	BAD(SHAPE, AT(SELECT), IN(SELECT).dst = (uint16_t)at.x);
	BAD(SHAPE, AT(SELECT), IN(SELECT).a = (uint16_t)at.selected);
	/* A format that does not belong there */
	BAD(FORMAT, AT(RMSNORM), T(norm).format = AIPU_FMT_F16; T(norm).offset = 0);
	BAD(FORMAT, AT(ROPE), T(rope).format = AIPU_FMT_F16; T(rope).offset = 0);
	BAD(FORMAT, 0, T(x).format = AIPU_FMT_F16; T(x).offset = 0);
	BAD(FORMAT, AT(MATMUL), b.tensors[IN(MATMUL).dst].format = AIPU_FMT_F16);
	BAD(FORMAT, AT(SELECT), T(selected).format = AIPU_FMT_F16);
	ABSENT(FORMAT, AT(KV_UPDATE), T(value).format = AIPU_FMT_F32;
	       T(value).dims[3] = LLAMA_CTX / 2; T(key).dims[3] = LLAMA_CTX / 2);
	BAD(FORMAT, AT(MATMUL), b.tensors[IN(MATMUL).b].format = AIPU_FMT_F16;
	    b.slots[SLOT_WEIGHTS].min_bytes += 1 << 20);
}

static void parameters(void **state)
{
	(void)state;
	BAD(PARAMETER, AT(RMSNORM), IN(RMSNORM).f[0] = 0);
	BAD(PARAMETER, AT(RMSNORM), IN(RMSNORM).f[0] = 0x80000001);
	BAD(PARAMETER, AT(RMSNORM), IN(RMSNORM).f[0] = 0x7fc00000);
	BAD(PARAMETER, AT(RMSNORM), IN(RMSNORM).f[1] = 0xff800000);
	BAD(PARAMETER, AT(RMSNORM), IN(RMSNORM).u[0] = 7);
	BAD(PARAMETER, AT(MATMUL), IN(MATMUL).activation_format = AIPU_ACT_COUNT);
	BAD(PARAMETER, AT(MATMUL), IN(MATMUL).epilogue = 2);
	BAD(PARAMETER, AT(ROPE), IN(ROPE).u[0] = 0);
	BAD(PARAMETER, AT(ROPE), IN(ROPE).u[0] = AIPU_MAX_HEAD_DIM + 8);
	BAD(PARAMETER, AT(ROPE), IN(ROPE).u[1] = 0);
	BAD(PARAMETER, AT(ROPE), IN(ROPE).u[1] = 7);
	BAD(PARAMETER, AT(ROPE), IN(ROPE).u[1] = 10);
	BAD(PARAMETER, AT(ATTENTION), IN(ATTENTION).u[0] = 0);
	BAD(PARAMETER, AT(ATTENTION), IN(ATTENTION).f[0] = 0x7f800000);
	BAD(PARAMETER, AT(ACTIVATE), IN(ACTIVATE).u[0] = 2);
	/* Parameters that an opcode does not have */
	BAD(RESERVED, 0, IN(EMBED).u[0] = 1);
	BAD(RESERVED, AT(MATMUL), IN(MATMUL).u[3] = 1);
	BAD(RESERVED, AT(SELECT), IN(SELECT).f[0] = 1);
	BAD(RESERVED, 0, IN(EMBED).activation_format = 1);
	BAD(RESERVED, 0, IN(EMBED).epilogue = 1);
	BAD(RESERVED, AT(MATMUL), IN(MATMUL).encodings = 1);
	BAD(RESERVED, 3, b.instructions[3].reserved0 = 1);
	BAD(RESERVED, 3, b.instructions[3].reserved1[1] = 1);
}

/* All that share the table */
static void rope_partial(struct builder *b)
{
	for (uint32_t i = 0; i < b->header.instruction_count; i++)
		if (b->instructions[i].opcode == AIPU_OP_ROPE)
			b->instructions[i].u[1] = 4;
	b->tensors[at.rope].dims[1] = 4;
}

/* [PRG-4] */
static void not_offered(void **state)
{
	(void)state;
	BAD(OPCODE, 4, b.instructions[4].opcode = AIPU_OP_COUNT);
	BAD(OPCODE, 4, b.instructions[4].opcode = 255);
	for (unsigned int op = AIPU_OP_QUANTIZE; op < AIPU_OP_COUNT; op++) {
		ABSENT(OPCODE, 4, b.instructions[4].opcode = (uint8_t)op);
		/* Not even where the registers say so */
		ABSENT(OPCODE, 4, b.instructions[4].opcode = (uint8_t)op;
		       limits.operations = UINT64_MAX);
	}
	ABSENT(FORMAT, AT(MATMUL), IN(MATMUL).activation_format = AIPU_ACT_STATIC_I8);
	ABSENT(FORMAT, AT(MATMUL), limits.activations = 1);
	ABSENT(CAPABILITY, AT(ATTENTION), IN(ATTENTION).f[1] = 0x41f00000);
	ABSENT(CAPABILITY, AT(ATTENTION), IN(ATTENTION).u[2] = 4);
	ABSENT(CAPABILITY, AT(ATTENTION), IN(ATTENTION).u[3] = 1);
	/* Offered, but not declared; declared and offered; neither */
#define CAPABILITY(cap, index, change)       \
	BAD(CAPABILITY, index, change);      \
	FINE(H.capabilities |= cap; change); \
	ABSENT(CAPABILITY, index, limits.capabilities = 0; change)
	CAPABILITY(AIPU_CAP_SLIDING_WINDOW, AT(ATTENTION), IN(ATTENTION).u[1] = 4);
	CAPABILITY(AIPU_CAP_GELU, AT(ACTIVATE), IN(ACTIVATE).u[0] = AIPU_ACTIVATION_GELU);
	CAPABILITY(AIPU_CAP_PARTIAL_ROTARY, AT(ROPE), rope_partial(&b));
	CAPABILITY(AIPU_CAP_HEAD_NORM, AT(RMSNORM), IN(RMSNORM).u[0] = 8; T(norm).dims[1] = 8);
	CAPABILITY(AIPU_CAP_MATMUL_BIAS, H.instruction_count - 1,
		   b.instructions[H.instruction_count - 1].c = (uint16_t)at.norm;
		   T(norm).dims[1] = LLAMA_VOCAB; IN(RMSNORM).b = (uint16_t)(at.norm + 1);
		   b.slots[SLOT_CONSTANTS].min_bytes += 4096);
}

/* [PRG-6] Entries that share instructions cannot make verification long */
static void bounded_work(void **state)
{
	enum { COUNT = 20000 };
	struct aipu_instruction repeated;
	struct dm_limits limits = rig_limits();
	struct dm_program *program;
	size_t bytes, fixed;
	uint8_t *small, *image;
	struct aipu_program_header *h;
	struct builder b = model.b;
	uint32_t detail;

	(void)state;
	repeated = b.instructions[at.op[AIPU_OP_SELECT]];
	while (b.header.entry_count < BUILD_ENTRIES)
		b.entries[b.header.entry_count++] = b.entries[0];
	b.header.instruction_count = 0;
	small = build_image(&b, &fixed);
	bytes = fixed + COUNT * sizeof(repeated) + 60 * sizeof(struct aipu_entry);
	image = calloc(1, bytes);
	memcpy(image, small, fixed);
	free(small);
	h = (void *)image;
	h->entry_count = 64;
	h->instruction_count = COUNT;
	h->image_bytes = (uint32_t)bytes;
	limits.max_program_bytes = UINT32_MAX;
	for (unsigned int i = 0; i < 64; i++) {
		struct aipu_entry *e = (void *)(image + fixed - BUILD_ENTRIES * sizeof(*e));

		e += i;
		*e = b.entries[0];
		e->instruction_count = COUNT;
	}
	for (unsigned int i = 0; i < COUNT; i++)
		memcpy(image + bytes - (i + 1) * sizeof(repeated), &repeated, sizeof(repeated));
	assert_int_equal(dm_program_create(&limits, image, bytes, &program, &detail),
			 AIPU_STATUS_UNSUPPORTED);
	assert_int_equal(detail, AIPU_REFUSAL(AIPU_REFUSAL_ENTRY, 52));
}

/* Runs last: each reason of the list was given by one of the checks above */
static void every_reason_was_given(void **state)
{
	(void)state;
#define CHECK_REASON(name, code, text) \
	if ((code) && !given[code])    \
		fail_msg("no check was refused for %s (%s)", #name, text);
	AIPU_REFUSAL_LIST(CHECK_REASON)
}

static int setup(void **state)
{
	(void)state;
	llama_build(&model, &shape);
	at = places_find(&model);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	llama_free(&model);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepted),	cmocka_unit_test(header),
		cmocka_unit_test(sizes),	cmocka_unit_test(slots),
		cmocka_unit_test(tensors),	cmocka_unit_test(entries),
		cmocka_unit_test(operands),	cmocka_unit_test(shapes),
		cmocka_unit_test(parameters),	cmocka_unit_test(not_offered),
		cmocka_unit_test(bounded_work), cmocka_unit_test(every_reason_was_given),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("program_verify", tests, setup, teardown);
}
