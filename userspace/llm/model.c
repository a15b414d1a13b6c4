/* SPDX-License-Identifier: MIT */
/*
 * A model as its user sees it: opened, asked, closed. Here is what the host has of it: container, tokenizer, description,
 * lanes. What the device has is placed by place.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm_internal.h"

int llm_fail(struct aipu_llm *llm, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(llm->error.text, sizeof(llm->error.text), format, args);
	va_end(args);
	return err;
}

const char *aipu_llm_error(const struct aipu_llm *llm)
{
	return llm->error.text;
}

/* A program's slots, as far as the host needs them; the device verifies the rest */
static int find_slots(struct aipu_llm *llm)
{
	const struct aipu_qpc_section *section = aipu_qpc_section(llm->qpc, AIPU_QPC_PROGRAM, 0);
	const struct aipu_program_header *header = section ? aipu_qpc_data(llm->qpc, section)
							   : NULL;

	if (!header || section->bytes < sizeof(*header) || header->magic != AIPU_PROGRAM_MAGIC ||
	    header->header_bytes != sizeof(*header) || header->slot_count > AIPU_MAX_SLOTS ||
	    section->bytes < sizeof(*header) + header->slot_count * sizeof(struct aipu_slot))
		return llm_fail(llm, -EINVAL, "damaged container: no usable program");
	llm->slot_count = header->slot_count;
	llm->slots = (const struct aipu_slot *)(header + 1);
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

/* Everything that needs no device */
static int load(struct aipu_llm *llm, const char *qpc, const struct aipu_llm_options *options,
		struct aipu_message *message)
{
	const struct aipu_qpc_section *weights;
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
	weights = aipu_qpc_section(llm->qpc, AIPU_QPC_WEIGHTS, 0);
	if (!aipu_qpc_section(llm->qpc, AIPU_QPC_PROGRAM, 0) || !weights)
		return llm_fail(llm, -EINVAL, "%s: damaged container: no %s", qpc,
				weights ? "program" : "weights");
	llm->weights_bytes = weights->bytes;
	err = find_slots(llm);
	if (err)
		return err;
	return load_tokenizer(llm, qpc, message);
}

int aipu_llm_open(struct aipu_device *device, const char *qpc,
		  const struct aipu_llm_options *options, struct aipu_llm **llm,
		  struct aipu_message *message)
{
	struct aipu_device_info info;
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
	if (!err && !aipu_device_query(device, &info))
		m->resets = info.resets;
	if (!err)
		err = llm_begin(m);
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
	llm_unplace(llm);
	for (i = 0; llm->sessions && i < llm->lanes; i++)
		aipu_session_destroy(llm->sessions[i]);
	free(llm->sessions);
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
	info->rebuilds = llm->places ? llm->places - 1 : 0;
	return 0;
}

struct aipu_tokenizer *aipu_llm_tokenizer(struct aipu_llm *llm)
{
	return llm->tokenizer;
}
