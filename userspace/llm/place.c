/* SPDX-License-Identifier: MIT */
/*
 * A model's place on the device: its context, queue and program, and all memory that its jobs name. Made after the host's part
 * (model.c) and again after a loss (rebuild.c): what is here holds no state that cannot be made again from the container and the
 * sessions' tokens. Weights are bound as they lie in the page cache, or read into the memory of a device that computes from
 * that only. Everything that later jobs name is prepared here, so that a step is one submission.
 */
#include <errno.h>
#include <string.h>

#include "aipu_registers.h"
#include "llm_internal.h"

#define QUEUE_ENTRIES 8u

static int bind(struct aipu_llm *llm, struct llm_memory *memory, unsigned int access,
		const char *what)
{
	memory->segment = aipu_segment_bind(llm->context, memory->buffer, 0, 0, access);
	if (memory->segment < 0)
		return llm_fail(llm, memory->segment, "%s: cannot bind %llu bytes: %s", what,
				(unsigned long long)memory->bytes, strerror(-memory->segment));
	memory->data = aipu_buffer_data(memory->buffer);
	return 0;
}

int llm_memory_create(struct aipu_llm *llm, struct llm_memory *memory, enum aipu_buffer_kind kind,
		      uint64_t bytes, const char *what)
{
	const struct aipu_buffer_options options = { .flags = memory == &llm->kv ? AIPU_BUFFER_KV
										 : 0 };
	struct aipu_device_info info;
	int err;

	memory->bytes = (bytes + AIPU_PAGE_BYTES - 1) / AIPU_PAGE_BYTES * AIPU_PAGE_BYTES;
	err = aipu_buffer_create_with(llm->device, kind, memory->bytes, &options, &memory->buffer);
	if (err == -ENOSPC && !aipu_device_query(llm->device, &info))
		return llm_fail(llm, err,
				"%s needs %llu bytes of device memory, %llu of %llu are free: "
				"compile with a smaller "
				"--ctx-len or --batch-size",
				what, (unsigned long long)memory->bytes,
				(unsigned long long)info.memory_free,
				(unsigned long long)info.memory_bytes);
	if (err)
		return llm_fail(llm, err, "%s: cannot get %llu bytes: %s", what,
				(unsigned long long)memory->bytes, strerror(-err));
	return bind(llm, memory, AIPU_READ | AIPU_WRITE, what);
}

static void memory_release(struct aipu_llm *llm, struct llm_memory *memory)
{
	if (memory->segment >= 0 && llm->context)
		aipu_segment_unbind(llm->context, memory->segment);
	if (memory->buffer)
		aipu_buffer_destroy(memory->buffer);
	*memory = (struct llm_memory){ .segment = -1 };
}

static int load_goes_on(void *argument, uint64_t bytes)
{
	struct aipu_llm *llm = argument;

	(void)bytes;
	return atomic_load(&llm->abort) ? -EINTR : 0;
}

/* Reads a section of the container to device memory, for devices that are not UMA */
static int upload(struct aipu_llm *llm, const struct aipu_qpc_section *section,
		  struct llm_memory *memory, const char *what)
{
	struct aipu_load_options options = { .progress = load_goes_on, .argument = llm };
	struct aipu_message message;
	int err = llm_memory_create(llm, memory, AIPU_BUFFER_DEVICE, section->bytes, what);

	if (err)
		return err;
	err = aipu_load(llm->queue, memory->segment, 0, aipu_qpc_fd(llm->qpc), section->offset,
			section->bytes, &options, &message);
	return err ? llm_fail(llm, err, "%s: %s", what, message.text) : 0;
}

/* The operand for a slot: where this model keeps that kind of memory */
static int operand_for(struct aipu_llm *llm, const struct aipu_slot *slot, bool uma,
		       struct aipu_operand *operand)
{
	const struct aipu_qpc_section *section = NULL;
	struct llm_memory *memory = NULL;
	const char *what = "";
	int err = 0;

	memset(operand, 0, sizeof(*operand));
	switch (slot->kind) {
	case AIPU_SLOT_WEIGHTS:
		section = aipu_qpc_section(llm->qpc, AIPU_QPC_WEIGHTS, 0);
		memory = &llm->weights;
		what = "weights";
		break;
	case AIPU_SLOT_CONSTANTS:
		section = aipu_qpc_section(llm->qpc, AIPU_QPC_CONSTANTS, 0);
		memory = &llm->constants;
		what = "constants";
		break;
	case AIPU_SLOT_KV:
		memory = &llm->kv;
		what = "KV cache";
		llm->kv_bytes = slot->min_bytes;
		break;
	case AIPU_SLOT_SCRATCH:
		memory = &llm->scratch;
		what = "work space";
		llm->scratch_bytes = slot->min_bytes;
		break;
	case AIPU_SLOT_LOGITS:
		memory = &llm->logits;
		what = "logits";
		break;
	default:
		return llm_fail(llm, -ENOTSUP,
				"the program has a slot of kind %u, which needs a newer runtime",
				slot->kind);
	}
	if (section && section->bytes < slot->min_bytes)
		return llm_fail(
			llm, -EINVAL,
			"damaged container: section %s has %llu bytes, the program needs %llu",
			what, (unsigned long long)section->bytes,
			(unsigned long long)slot->min_bytes);
	if ((slot->kind == AIPU_SLOT_WEIGHTS || slot->kind == AIPU_SLOT_CONSTANTS) && !section)
		return llm_fail(llm, -EINVAL, "damaged container: there is no section of %s", what);
	if (memory->buffer)
		return llm_fail(llm, -ENOTSUP,
				"the program has two slots for %s, which needs a newer runtime",
				what);
	operand->length = slot->min_bytes;
	if (section && uma) {
		operand->segment = (uint32_t)llm->file.segment;
		operand->offset = section->offset;
		return 0;
	}
	if (section)
		err = upload(llm, section, memory, what);
	else
		err = llm_memory_create(llm, memory, AIPU_BUFFER_DEVICE, slot->min_bytes, what);
	operand->segment = (uint32_t)memory->segment;
	return err;
}

static uint64_t align64(uint64_t value)
{
	return (value + 63) / 64 * 64;
}

static void control_layout(struct aipu_llm *llm)
{
	struct llm_control *at = &llm->at;

	at->blocks = 0;
	at->operands = align64(LLM_ENTRIES * sizeof(struct aipu_block));
	at->lanes = align64(at->operands + llm->slot_count * sizeof(struct aipu_operand));
	at->stops = align64(at->lanes + llm->lanes * sizeof(struct aipu_lane));
	at->tokens = align64(at->stops + llm->lanes * LLM_STOP_IDS * sizeof(uint32_t));
	at->ring = align64(at->tokens + llm->step_tokens * sizeof(uint32_t));
	at->bytes = at->ring + AIPU_RING_BYTES(LLM_RING_ENTRIES);
}

static int fill_control(struct aipu_llm *llm, bool uma)
{
	const uint32_t entries[LLM_ENTRIES] = { llm->model.prefill_entry, llm->model.decode_entry,
						llm->model.logits_entry };
	struct aipu_operand *operands;
	struct aipu_block *blocks;
	uint32_t i;
	int err;

	operands = (struct aipu_operand *)(llm->control.data + llm->at.operands);
	for (i = 0; i < llm->slot_count; i++) {
		err = operand_for(llm, &llm->slots[i], uma, &operands[i]);
		if (err)
			return err;
	}
	blocks = (struct aipu_block *)(llm->control.data + llm->at.blocks);
	for (i = 0; i < LLM_ENTRIES; i++) {
		blocks[i].program = aipu_program_id(llm->program);
		blocks[i].entry = entries[i];
		blocks[i].operand_segment = (uint32_t)llm->control.segment;
		blocks[i].operand_count = llm->slot_count;
		blocks[i].operand_offset = llm->at.operands;
	}
	return 0;
}

static int map_container(struct aipu_llm *llm)
{
	int err;

	llm->file.bytes = aipu_qpc_bytes(llm->qpc);
	err = aipu_buffer_map_file(llm->device, aipu_qpc_fd(llm->qpc), 0, llm->file.bytes,
				   &llm->file.buffer);
	if (err)
		return llm_fail(llm, err, "container: cannot map: %s", strerror(-err));
	return bind(llm, &llm->file, AIPU_READ, "container");
}

static int load_program(struct aipu_llm *llm, bool uma)
{
	const struct aipu_qpc_section *program = aipu_qpc_section(llm->qpc, AIPU_QPC_PROGRAM, 0);
	struct llm_memory copy = { .segment = -1 };
	int err = uma ? map_container(llm) : upload(llm, program, &copy, "program");

	if (!err)
		err = aipu_program_load(llm->context, uma ? llm->file.segment : copy.segment,
					uma ? program->offset : 0, (uint32_t)program->bytes,
					&llm->program, &llm->error);
	memory_release(llm, &copy);
	return err;
}

int llm_place(struct aipu_llm *llm)
{
	struct aipu_device_info info;
	bool uma;
	int err;

	err = aipu_context_create(llm->device, &llm->context);
	if (!err)
		err = aipu_queue_create(llm->context, QUEUE_ENTRIES, &llm->queue);
	if (err)
		return llm_fail(llm, err, "device: cannot make a context: %s", strerror(-err));
	err = aipu_device_query(llm->device, &info);
	if (err)
		return llm_fail(llm, err, "device: %s", strerror(-err));
	uma = info.capabilities & AIPU_CAP_UMA;
	err = load_program(llm, uma);
	if (err)
		return err;
	control_layout(llm);
	err = llm_memory_create(llm, &llm->control, AIPU_BUFFER_HOST, llm->at.bytes,
				"control block");
	if (err)
		return err;
	return fill_control(llm, uma);
}

void llm_unplace(struct aipu_llm *llm)
{
	struct llm_memory *const memories[] = { &llm->readback, &llm->control, &llm->logits,
						&llm->scratch,	&llm->kv,      &llm->constants,
						&llm->weights,	&llm->file };
	unsigned int i;

	if (llm->queue)
		aipu_queue_destroy(llm->queue);
	if (llm->program)
		aipu_program_unload(llm->program);
	/* With all its bindings, also where the device cannot be told any more */
	if (llm->context)
		aipu_context_destroy(llm->context);
	llm->context = NULL;
	for (i = 0; i < sizeof(memories) / sizeof(memories[0]); i++)
		memory_release(llm, memories[i]);
	llm->queue = NULL;
	llm->program = NULL;
	for (i = 0; llm->sessions && i < llm->lanes; i++)
		if (llm->sessions[i])
			llm->sessions[i]->computed = 0;
}
