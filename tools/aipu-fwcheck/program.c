// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a compiled model needs of a device: the ranges of container and program, and what the device's verifier will ask for,
 * gathered from the program's tables. Only the first program counts, which is the one that libaipu-llm loads.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aipu/qpc.h"
#include "aipu_program.h"
#include "aipu_qpc.h"
#include "sources.h"

static uint64_t bit(uint32_t index)
{
	return index < 63 ? 1ull << index : 0;
}

static void tensor_needs(struct fw_program *p, const struct aipu_tensor *tensor)
{
	if (tensor->layout == AIPU_LAYOUT_KV_K || tensor->layout == AIPU_LAYOUT_KV_V)
		p->kv_formats |= bit(tensor->format);
	else if (tensor->layout == AIPU_LAYOUT_TILE16 || tensor->format != AIPU_FMT_F32)
		p->formats |= bit(tensor->format);
}

static void slot_needs(struct fw_program *p, const struct aipu_slot *slot)
{
	/* As libaipu-llm asks for it: in pages */
	uint64_t bytes =
		(slot->min_bytes + AIPU_PAGE_BYTES - 1) / AIPU_PAGE_BYTES * AIPU_PAGE_BYTES;

	if (slot->kind == AIPU_SLOT_WEIGHTS || slot->kind == AIPU_SLOT_CONSTANTS)
		return; /* the whole section, see program_read() */
	if (bytes < slot->min_bytes ||
	    __builtin_add_overflow(p->memory_bytes, bytes, &p->memory_bytes))
		p->memory_bytes = UNKNOWN64 - 1;
}

bool program_needs(struct fw_program *p, const void *image, size_t bytes)
{
	const struct aipu_program_header *h = image;
	const struct aipu_instruction *code;
	const struct aipu_tensor *tensors;
	const struct aipu_slot *slots;
	uint64_t need = sizeof(*h);

	if (bytes < need || h->magic != AIPU_PROGRAM_MAGIC || h->header_bytes != sizeof(*h))
		return false;
	need += (uint64_t)h->slot_count * sizeof(*slots) +
		(uint64_t)h->tensor_count * sizeof(*tensors) +
		(uint64_t)h->entry_count * sizeof(struct aipu_entry) +
		(uint64_t)h->instruction_count * sizeof(*code);
	if (need != bytes)
		return false;
	slots = (const struct aipu_slot *)(h + 1);
	tensors = (const struct aipu_tensor *)(slots + h->slot_count);
	code = (const struct aipu_instruction *)((const struct aipu_entry *)(tensors +
									     h->tensor_count) +
						 h->entry_count);
	p->program_abi = (struct fw_range){ h->abi_oldest, h->abi_newest };
	p->capabilities = h->capabilities & ~bit(63);
	p->operations = h->operations & ~bit(AIPU_OP_END); /* which needs no device */
	p->numerics = bit(h->numerics);
	p->kv_kinds = h->kv_kind ? bit(h->kv_kind) : 0;
	p->formats = p->kv_formats = p->activations = p->memory_bytes = 0;
	for (uint32_t i = 0; i < h->slot_count; i++)
		slot_needs(p, &slots[i]);
	for (uint32_t i = 0; i < h->tensor_count; i++)
		tensor_needs(p, &tensors[i]);
	for (uint32_t i = 0; i < h->instruction_count; i++)
		if (code[i].opcode == AIPU_OP_MATMUL)
			p->activations |= bit(code[i].activation_format);
	return true;
}

static uint64_t section_pages(const struct aipu_qpc *qpc, uint32_t kind)
{
	const struct aipu_qpc_section *section = aipu_qpc_section(qpc, kind, 0);

	return section ? (section->bytes + AIPU_PAGE_BYTES - 1) / AIPU_PAGE_BYTES * AIPU_PAGE_BYTES
		       : 0;
}

/* Of a container that this libaipu-llm refuses for its version: as much of the header as is the same in all versions */
static void refused(struct fw_program *p, const char *path)
{
	struct aipu_qpc_header header;
	char file[PATH_MAX + 16];
	FILE *in;

	snprintf(file, sizeof(file), "%s/model.qpc", path);
	in = fopen(access(file, F_OK) ? path : file, "rbe");
	if (!in)
		return;
	if (fread(&header, sizeof(header), 1, in) == 1 && header.magic == AIPU_QPC_MAGIC) {
		p->container = header.version;
		if (header.version == AIPU_QPC_VERSION)
			p->abi = (struct fw_range){ header.abi_oldest, header.abi_newest };
	}
	fclose(in);
}

int program_read(struct fw_program *p, const char *path, char why[512])
{
	const struct aipu_qpc_section *section;
	struct aipu_message message = { "" };
	struct aipu_qpc *qpc;
	int err;

	facts_program_clear(p);
	p->present = true;
	text_clean(p->path, sizeof(p->path), path, strlen(path));
	err = aipu_qpc_open(path, &qpc, &message);
	if (err == -EPROTO) {
		refused(p, path);
		return 0;
	}
	if (err == -EINVAL) { /* damaged, as the message says */
		TEXT_CLEAN(p->problem, message.text);
		return 0;
	}
	if (err) {
		text_clean(why, 512, message.text, sizeof(message.text));
		return err;
	}
	p->container = aipu_qpc_header(qpc)->version;
	p->abi = (struct fw_range){ aipu_qpc_header(qpc)->abi_oldest,
				    aipu_qpc_header(qpc)->abi_newest };
	p->mapped_bytes =
		section_pages(qpc, AIPU_QPC_WEIGHTS) + section_pages(qpc, AIPU_QPC_CONSTANTS);
	section = aipu_qpc_section(qpc, AIPU_QPC_PROGRAM, 0);
	if (!section || !program_needs(p, aipu_qpc_data(qpc, section), section->bytes))
		snprintf(p->problem, sizeof(p->problem), "%.200s: %s", p->path,
			 section ? "the program's tables do not fit its size"
				 : "there is no program in it");
	aipu_qpc_close(qpc);
	return 0;
}
