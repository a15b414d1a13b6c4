// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Facts for doctor: what a compiled model asks of a device. Its program's tables are found as libaipu-llm finds them; what they
 * say of memory is what the model will be given.
 */
#include "doctor.h"

#include <errno.h>
#include <string.h>

#include "aipu/qpc.h"
#include "aipu_program.h"

static int damaged(struct doctor_qpc *qpc, const char *what)
{
	snprintf(qpc->message, sizeof(qpc->message), "%s: damaged container: %s", qpc->path, what);
	return -EINVAL;
}

static uint64_t pages(uint64_t bytes)
{
	return bytes > UINT64_MAX - AIPU_PAGE_BYTES
		       ? UINT64_MAX
		       : (bytes + AIPU_PAGE_BYTES - 1) / AIPU_PAGE_BYTES * AIPU_PAGE_BYTES;
}

static uint64_t section_bytes(const struct aipu_qpc *file, uint32_t kind)
{
	const struct aipu_qpc_section *section = aipu_qpc_section(file, kind, 0);

	return section ? pages(section->bytes) : 0;
}

static uint64_t sum(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static void take_slots(struct doctor_qpc *qpc, const struct aipu_qpc *file,
		       const struct aipu_slot *slots, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		switch (slots[i].kind) {
		case AIPU_SLOT_WEIGHTS:
			qpc->weights = section_bytes(file, AIPU_QPC_WEIGHTS);
			break;
		case AIPU_SLOT_CONSTANTS:
			qpc->constants = section_bytes(file, AIPU_QPC_CONSTANTS);
			break;
		case AIPU_SLOT_KV:
			qpc->kv = pages(slots[i].min_bytes);
			break;
		default:
			qpc->other = sum(qpc->other, pages(slots[i].min_bytes));
		}
}

/* Of which layouts CAP_FORMATS is: those of weights and other tables; the KV cache has a mask of its own. */
static void take_formats(struct doctor_qpc *qpc, const struct aipu_tensor *tensors, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (tensors[i].format < 64 &&
		    (tensors[i].layout == AIPU_LAYOUT_TILE16 ||
		     (tensors[i].layout == AIPU_LAYOUT_ROWS && tensors[i].format != AIPU_FMT_F32)))
			qpc->formats |= 1ull << tensors[i].format;
}

static int take_program(struct doctor_qpc *qpc, const struct aipu_qpc *file)
{
	const struct aipu_qpc_section *section = aipu_qpc_section(file, AIPU_QPC_PROGRAM, 0);
	const struct aipu_program_header *header = section ? aipu_qpc_data(file, section) : NULL;
	const struct aipu_slot *slots;

	if (!header || section->bytes < sizeof(*header) || header->magic != AIPU_PROGRAM_MAGIC ||
	    header->header_bytes != sizeof(*header) || header->slot_count > AIPU_MAX_SLOTS ||
	    header->tensor_count > AIPU_MAX_TENSORS ||
	    section->bytes < sizeof(*header) + header->slot_count * sizeof(struct aipu_slot) +
				     header->tensor_count * sizeof(struct aipu_tensor))
		return damaged(qpc, "no usable program");
	slots = (const struct aipu_slot *)(header + 1);
	qpc->abi_oldest = header->abi_oldest;
	qpc->abi_newest = header->abi_newest;
	qpc->operations = header->operations;
	qpc->capabilities = header->capabilities;
	take_slots(qpc, file, slots, header->slot_count);
	take_formats(qpc, (const struct aipu_tensor *)(slots + header->slot_count),
		     header->tensor_count);
	return 0;
}

void doctor_qpc_gather(struct doctor_qpc *qpc)
{
	struct aipu_message message = { "" };
	struct aipu_qpc *file;

	qpc->error = aipu_qpc_open(qpc->path, &file, &message);
	if (qpc->error) {
		text_clean(qpc->message, sizeof(qpc->message), message.text, sizeof(message.text));
		if (!qpc->message[0])
			snprintf(qpc->message, sizeof(qpc->message), "%s: %s", qpc->path,
				 strerror(-qpc->error));
		return;
	}
	qpc->lanes = aipu_qpc_model(file)->batch_size;
	qpc->error = take_program(qpc, file);
	aipu_qpc_close(file);
}
