/* SPDX-License-Identifier: MIT */
/*
 * Loading a model: the container is mapped and bound as it lies in the page cache (or copied once to a
 * device that computes from its own memory only), the program is loaded, KV cache and work space are placed
 * in device memory. Everything that later jobs name is prepared here, so that a step is one submission.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_registers.h"
#include "llm_internal.h"

#define QUEUE_ENTRIES 8u
#define COPY_SLICE (64ull << 20)

int llm_fail(struct aipu_llm *llm, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(llm->error.text, sizeof(llm->error.text), format, args);
	va_end(args);
	return err;
}

int llm_check(struct aipu_llm *llm, const char *what, const struct aipu_result *result)
{
	if (result->status == AIPU_STATUS_OK)
		return 0;
	return llm_fail(llm, aipu_status_errno(result->status), "%s: %s (status %u, detail 0x%x)",
			what, aipu_status_text(result->status), result->status, result->detail);
}

const char *aipu_llm_error(const struct aipu_llm *llm)
{
	return llm->error.text;
}

int llm_run(struct aipu_llm *llm, const char *what)
{
	struct aipu_result result;
	int err;

	do
		err = aipu_queue_submit_and_wait(llm->queue, &result);
	while (err == -EINTR && !atomic_load(&llm->abort));
	if (err)
		return llm_fail(llm, err, "%s: %s", what, strerror(-err));
	return llm_check(llm, what, &result);
}

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
	struct aipu_device_info info;
	int err;

	memory->bytes = (bytes + AIPU_PAGE_BYTES - 1) / AIPU_PAGE_BYTES * AIPU_PAGE_BYTES;
	err = aipu_buffer_create(llm->device, kind, memory->bytes, &memory->buffer);
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
	if (memory->segment >= 0)
		aipu_segment_unbind(llm->context, memory->segment);
	if (memory->buffer)
		aipu_buffer_destroy(memory->buffer);
}

/* A program's slots, as far as the loader needs them; the device verifies the rest */
static const struct aipu_slot *find_slots(struct aipu_llm *llm, uint32_t *count)
{
	const struct aipu_qpc_section *section = aipu_qpc_section(llm->qpc, AIPU_QPC_PROGRAM, 0);
	const struct aipu_program_header *header = section ? aipu_qpc_data(llm->qpc, section)
							   : NULL;

	if (!header || section->bytes < sizeof(*header) || header->magic != AIPU_PROGRAM_MAGIC ||
	    header->header_bytes != sizeof(*header) || header->slot_count > AIPU_MAX_SLOTS ||
	    section->bytes < sizeof(*header) + header->slot_count * sizeof(struct aipu_slot))
		return NULL;
	*count = header->slot_count;
	return (const struct aipu_slot *)(header + 1);
}

/* Copies a section of the mapped container to device memory, for devices that are not UMA */
static int upload(struct aipu_llm *llm, const struct aipu_qpc_section *section,
		  struct llm_memory *memory, const char *what)
{
	uint64_t done;
	int err = llm_memory_create(llm, memory, AIPU_BUFFER_DEVICE, section->bytes, what);

	for (done = 0; !err && done < section->bytes; done += COPY_SLICE) {
		uint64_t left = section->bytes - done;

		aipu_prep_copy(aipu_queue_get_job(llm->queue, 0), memory->segment, done,
			       llm->file.segment, section->offset + done,
			       left < COPY_SLICE ? left : COPY_SLICE);
		err = llm_run(llm, what);
	}
	return err;
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

static void control_layout(struct aipu_llm *llm, uint32_t slots)
{
	struct llm_control *at = &llm->at;

	at->blocks = 0;
	at->operands = align64(LLM_ENTRIES * sizeof(struct aipu_block));
	at->lanes = align64(at->operands + slots * sizeof(struct aipu_operand));
	at->stops = align64(at->lanes + llm->lanes * sizeof(struct aipu_lane));
	at->tokens = align64(at->stops + llm->lanes * LLM_STOP_IDS * sizeof(uint32_t));
	at->ring = align64(at->tokens + llm->step_tokens * sizeof(uint32_t));
	at->bytes = at->ring + AIPU_RING_BYTES(LLM_RING_ENTRIES);
}

static int place(struct aipu_llm *llm)
{
	const uint32_t entries[LLM_ENTRIES] = { llm->model.prefill_entry, llm->model.decode_entry,
						llm->model.logits_entry };
	const struct aipu_slot *slots;
	struct aipu_device_info info;
	struct aipu_operand *operands;
	uint32_t count, i;
	int err;

	slots = find_slots(llm, &count);
	if (!slots)
		return llm_fail(llm, -EINVAL, "damaged container: no usable program");
	err = aipu_device_query(llm->device, &info);
	if (err)
		return llm_fail(llm, err, "device: %s", strerror(-err));
	control_layout(llm, count);
	err = llm_memory_create(llm, &llm->control, AIPU_BUFFER_HOST, llm->at.bytes,
				"control block");
	if (err)
		return err;
	operands = (struct aipu_operand *)(llm->control.data + llm->at.operands);
	for (i = 0; i < count; i++) {
		err = operand_for(llm, &slots[i], info.capabilities & AIPU_CAP_UMA, &operands[i]);
		if (err)
			return err;
	}
	for (i = 0; i < LLM_ENTRIES; i++) {
		struct aipu_block *block =
			(struct aipu_block *)(llm->control.data + llm->at.blocks) + i;

		block->program = aipu_program_id(llm->program);
		block->entry = entries[i];
		block->operand_segment = (uint32_t)llm->control.segment;
		block->operand_count = count;
		block->operand_offset = llm->at.operands;
	}
	return 0;
}

static int load_tokenizer(struct aipu_llm *llm, const char *qpc, struct aipu_message *message)
{
	char path[4096];
	int err;

	if (snprintf(path, sizeof(path), "%s/tokenizer.model", qpc) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	err = aipu_tokenizer_open(path, &llm->tokenizer, message);
	if (err == -ENOENT || err == -ENOTDIR)
		return 0;
	if (!err && aipu_tokenizer_vocabulary(llm->tokenizer) > llm->model.vocabulary)
		return llm_fail(llm, -EINVAL, "%s: has %u pieces, the model's vocabulary is %u",
				path, aipu_tokenizer_vocabulary(llm->tokenizer),
				llm->model.vocabulary);
	return err;
}

static int check_model(struct aipu_llm *llm, const char *qpc)
{
	const struct aipu_qpc_model *m = &llm->model;

	if (!m->vocabulary || !m->ctx_len || !m->prompt_len || !m->batch_size ||
	    m->stop_count > 8 || m->ctx_len > 1u << 24 || m->batch_size > 1024 ||
	    m->prompt_len > m->ctx_len)
		return llm_fail(llm, -EINVAL,
				"%s: damaged container: model description out of range", qpc);
	return 0;
}

static int load(struct aipu_llm *llm, const char *qpc, const struct aipu_llm_options *options,
		struct aipu_message *message)
{
	const struct aipu_qpc_section *program, *weights;
	uint32_t lanes = options ? options->lanes : 0;
	int err;

	err = aipu_qpc_open(qpc, &llm->qpc, message);
	if (err)
		return err;
	if (options && options->verify) {
		err = aipu_qpc_verify(llm->qpc, message);
		if (err)
			return err;
	}
	llm->model = *aipu_qpc_model(llm->qpc);
	err = check_model(llm, qpc);
	if (err)
		return err;
	if (lanes > llm->model.batch_size)
		return llm_fail(llm, -EINVAL,
				"%u lanes asked for, the container has %u (--batch-size)", lanes,
				llm->model.batch_size);
	llm->lanes = lanes ? lanes : llm->model.batch_size;
	llm->step_tokens = llm->model.prompt_len;
	llm->sessions = calloc(llm->lanes, sizeof(*llm->sessions));
	if (!llm->sessions)
		return -ENOMEM;
	err = load_tokenizer(llm, qpc, message);
	if (err)
		return err;

	err = aipu_context_create(llm->device, &llm->context);
	if (!err)
		err = aipu_queue_create(llm->context, QUEUE_ENTRIES, &llm->queue);
	if (err)
		return llm_fail(llm, err, "device: cannot make a context: %s", strerror(-err));
	llm->file.bytes = aipu_qpc_bytes(llm->qpc);
	err = aipu_buffer_map_file(llm->device, aipu_qpc_fd(llm->qpc), 0, llm->file.bytes,
				   &llm->file.buffer);
	if (err)
		return llm_fail(llm, err, "%s: cannot map: %s", qpc, strerror(-err));
	err = bind(llm, &llm->file, AIPU_READ, "container");
	if (err)
		return err;
	program = aipu_qpc_section(llm->qpc, AIPU_QPC_PROGRAM, 0);
	weights = aipu_qpc_section(llm->qpc, AIPU_QPC_WEIGHTS, 0);
	if (!program || !weights)
		return llm_fail(llm, -EINVAL, "%s: damaged container: no %s", qpc,
				program ? "weights" : "program");
	llm->weights_bytes = weights->bytes;
	err = aipu_program_load(llm->context, llm->file.segment, program->offset,
				(uint32_t)program->bytes, &llm->program, message);
	if (err)
		return err;
	return place(llm);
}

int aipu_llm_open(struct aipu_device *device, const char *qpc,
		  const struct aipu_llm_options *options, struct aipu_llm **llm,
		  struct aipu_message *message)
{
	struct aipu_llm *m;
	unsigned int i;
	int err;

	if (!device || !qpc || !llm)
		return -EINVAL;
	*llm = NULL;
	if (message)
		message->text[0] = 0;
	for (i = 0; options && i < 4; i++) {
		if (options->reserved[i]) {
			if (message)
				snprintf(message->text, sizeof(message->text),
					 "options.reserved[%u] is not zero", i);
			return -EINVAL;
		}
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->device = device;
	atomic_init(&m->abort, false);
	m->file.segment = m->weights.segment = m->constants.segment = m->kv.segment = -1;
	m->scratch.segment = m->logits.segment = m->control.segment = m->readback.segment = -1;
	err = load(m, qpc, options, message);
	if (err) {
		if (message && m->error.text[0])
			*message = m->error;
		else if (message && !message->text[0])
			snprintf(message->text, sizeof(message->text), "%s: %s", qpc,
				 strerror(-err));
		aipu_llm_close(m);
		return err;
	}
	*llm = m;
	return 0;
}

void aipu_llm_close(struct aipu_llm *llm)
{
	uint32_t i;

	if (!llm)
		return;
	for (i = 0; llm->sessions && i < llm->lanes; i++)
		aipu_session_destroy(llm->sessions[i]);
	free(llm->sessions);
	if (llm->queue)
		aipu_queue_destroy(llm->queue);
	if (llm->program)
		aipu_program_unload(llm->program);
	memory_release(llm, &llm->readback);
	memory_release(llm, &llm->control);
	memory_release(llm, &llm->logits);
	memory_release(llm, &llm->scratch);
	memory_release(llm, &llm->kv);
	memory_release(llm, &llm->constants);
	memory_release(llm, &llm->weights);
	memory_release(llm, &llm->file);
	if (llm->context)
		aipu_context_destroy(llm->context);
	aipu_tokenizer_close(llm->tokenizer);
	aipu_qpc_close(llm->qpc);
	free(llm);
}

int aipu_llm_query(struct aipu_llm *llm, struct aipu_llm_info *info)
{
	const struct aipu_qpc_model *m = &llm->model;

	memset(info, 0, sizeof(*info));
	memcpy(info->name, m->name, sizeof(info->name));
	info->name[sizeof(info->name) - 1] = 0;
	info->parameters = m->parameters;
	info->precision = m->precision;
	info->kv_format = m->kv_format;
	info->vocabulary = m->vocabulary;
	info->layers = m->layers;
	info->dim = m->dim;
	info->ctx_len = m->ctx_len;
	info->prompt_len = m->prompt_len;
	info->batch_size = m->batch_size;
	info->weights_bytes = llm->weights_bytes;
	info->kv_bytes = llm->kv_bytes;
	info->scratch_bytes = llm->scratch_bytes;
	info->bos_id = m->bos_id;
	info->stop_count = m->stop_count;
	memcpy(info->stop_ids, m->stop_ids, sizeof(info->stop_ids));
	return 0;
}

struct aipu_tokenizer *aipu_llm_tokenizer(struct aipu_llm *llm)
{
	return llm->tokenizer;
}
