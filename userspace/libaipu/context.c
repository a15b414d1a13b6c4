// SPDX-License-Identifier: MIT
/*
 * Contexts and what they own besides queues: segment bindings and programs. Checks arguments and
 * ownership, then asks the transport.
 */
#include <errno.h>
#include <stdlib.h>

#include "aipu_program.h"
#include "internal.h"

static bool options_valid(const struct aipu_context_options *options)
{
	uint64_t reserved = 0;

	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(*options->reserved); i++)
		reserved |= options->reserved[i];
	return options->priority <= AIPU_PRIORITY_HIGH && options->weight <= 256 && !reserved;
}

int aipu_context_create_with(struct aipu_device *device, const struct aipu_context_options *options,
			     struct aipu_context **context)
{
	static const struct aipu_context_options defaults;
	struct aipu_context *created;
	int error;

	if (!options)
		options = &defaults;
	if (!device || !context || !options_valid(options))
		return -EINVAL;
	*context = NULL;
	created = calloc(1, sizeof(*created));
	if (!created)
		return -ENOMEM;
	created->device = device;
	error = device->ops->context_create(device->transport, options, &created->transport);
	if (error) {
		free(created);
		return error;
	}
	*context = created;
	return 0;
}

int aipu_context_create(struct aipu_device *device, struct aipu_context **context)
{
	return aipu_context_create_with(device, NULL, context);
}

void aipu_context_destroy(struct aipu_context *context)
{
	if (!context)
		return;
	context->device->ops->context_destroy(context->transport);
	free(context);
}

int aipu_context_reset(struct aipu_context *context)
{
	if (!context)
		return -EINVAL;
	return context->device->ops->context_reset(context->transport);
}

int aipu_segment_bind(struct aipu_context *context, struct aipu_buffer *buffer, uint64_t offset,
		      uint64_t length, unsigned int access)
{
	if (!context || !buffer || !access || (access & ~(AIPU_READ | AIPU_WRITE)))
		return -EINVAL;
	if (buffer->device != context->device)
		return -EXDEV;
	if (offset % AIPU_PAGE_BYTES || offset >= buffer->bytes || length > buffer->bytes - offset)
		return -EINVAL;
	if (access & ~buffer->access)
		return -EACCES;
	if (!length)
		length = buffer->bytes - offset;
	return context->device->ops->segment_bind(context->transport, buffer->transport, offset,
						  length, access);
}

int aipu_segment_unbind(struct aipu_context *context, int segment)
{
	if (!context || segment < 0)
		return -EINVAL;
	return context->device->ops->segment_unbind(context->transport, (uint32_t)segment);
}

static const char *refusal_text(uint32_t reason)
{
	static const char *const texts[] = {
#define TEXT(name, code, text) [code] = (text),
		AIPU_REFUSAL_LIST(TEXT)
#undef TEXT
	};

	return reason < AIPU_REFUSAL_COUNT ? texts[reason]
					   : "for a reason that this library does not know";
}

/* What the index of a refusal counts */
static const char *refusal_subject(uint32_t reason)
{
	switch (reason) {
	case AIPU_REFUSAL_SLOT:
		return "slot";
	case AIPU_REFUSAL_TENSOR:
	case AIPU_REFUSAL_TENSOR_RANGE:
	case AIPU_REFUSAL_FORMAT:
		return "tensor";
	case AIPU_REFUSAL_ENTRY:
		return "entry";
	case AIPU_REFUSAL_OPCODE:
	case AIPU_REFUSAL_OPERAND:
	case AIPU_REFUSAL_SHAPE:
	case AIPU_REFUSAL_PARAMETER:
	case AIPU_REFUSAL_ACCESS:
		return "instruction";
	default:
		return "index";
	}
}

int aipu_program_load(struct aipu_context *context, int segment, uint64_t offset, uint32_t bytes,
		      struct aipu_program **program, struct aipu_message *message)
{
	struct aipu_program *loaded;
	uint32_t detail = 0;
	int error;

	if (message)
		message->text[0] = '\0';
	if (!context || !program || segment < 0)
		return aipu_message_set(message, -EINVAL,
					"aipu_program_load: context or program is NULL, or segment "
					"%d is negative",
					segment);
	*program = NULL;
	if (offset % 8 || !bytes)
		return aipu_message_set(
			message, -EINVAL,
			"program of %u bytes at offset %llu: the size must not be 0 and "
			"the offset a multiple of 8",
			bytes, (unsigned long long)offset);
	loaded = calloc(1, sizeof(*loaded));
	if (!loaded)
		return aipu_message_set(message, -ENOMEM, "program: out of memory");
	loaded->context = context;
	error = context->device->ops->program_load(context->transport, (uint32_t)segment, offset,
						   bytes, &loaded->id, &detail);
	if (error) {
		free(loaded);
		if (error == -ENOEXEC)
			aipu_message_set(message, error,
					 "program refused by the device: %s (%s %u)",
					 refusal_text(detail >> 24), refusal_subject(detail >> 24),
					 detail & 0xffffffu);
		else
			aipu_message_set(
				message, error,
				"program of %u bytes at offset %llu of segment %d cannot be "
				"loaded: error %d",
				bytes, (unsigned long long)offset, segment, -error);
		return error;
	}
	*program = loaded;
	return 0;
}

int aipu_program_unload(struct aipu_program *program)
{
	int error;

	if (!program)
		return -EINVAL;
	error = program->context->device->ops->program_unload(program->context->transport,
							      program->id);
	free(program);
	return error;
}

uint32_t aipu_program_id(const struct aipu_program *program)
{
	return program ? program->id : UINT32_MAX;
}
