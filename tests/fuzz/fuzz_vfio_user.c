// SPDX-License-Identifier: MIT
/*
 * Fuzz target: a message of a vfio-user client, as aipu-emu's parser gets it. The first byte is the number of file
 * descriptors that came along, then the header, then the payload in memory of exactly its size. What is accepted must
 * keep the parser's promises: nothing wraps, every byte that the message speaks of is there.
 */
#include <string.h>
#include <stdlib.h>

#include "aipu-emu/message.h"
#include "compile_fuzz.h"

/* Reads every byte, so that one too many is seen */
static void touch(const uint8_t *bytes, size_t count)
{
	volatile uint8_t sum = 0;

	while (count--)
		sum = (uint8_t)(sum + *bytes++);
}

static void access_kept(const struct emu_access *access, uint32_t max)
{
	fuzz_require(access->region < EMU_MESSAGE_REGIONS, "a region of VFIO's");
	fuzz_require(access->count <= max, "no more data than announced");
	fuzz_require(!access->count || access->offset + access->count - 1 >= access->offset,
		     "an access does not wrap");
}

static void irqs_kept(const struct emu_message *m, unsigned int fds)
{
	const struct emu_irq_set *s = &m->irq_set;

	fuzz_require(s->index < EMU_MESSAGE_IRQS, "an interrupt of VFIO's");
	fuzz_require(s->start + s->count >= s->start, "a range of vectors does not wrap");
	fuzz_require(!fds || fds == s->count, "as many eventfds as vectors");
	if (s->flags & EMU_IRQ_DATA_BOOL)
		touch(m->data, s->count);
}

static void kept(const struct emu_message *m, unsigned int fds)
{
	struct emu_access access;
	const uint8_t *data;

	switch (m->command) {
	case EMU_DMA_MAP:
		fuzz_require(m->map.size && m->map.address + m->map.size - 1 >= m->map.address,
			     "a map does not wrap and is not empty");
		break;
	case EMU_DMA_UNMAP:
		fuzz_require(m->unmap.flags & EMU_UNMAP_ALL ||
				     (m->unmap.size &&
				      m->unmap.address + m->unmap.size - 1 >= m->unmap.address),
			     "an unmap does not wrap and is not empty");
		break;
	case EMU_DEVICE_SET_IRQS:
		irqs_kept(m, fds);
		break;
	case EMU_REGION_READ:
		access_kept(&m->access, EMU_MESSAGE_MAX_DATA);
		break;
	case EMU_REGION_WRITE:
		access_kept(&m->access, EMU_MESSAGE_MAX_DATA);
		touch(m->data, m->access.count);
		break;
	case EMU_REGION_WRITE_MULTI:
		for (uint64_t i = 0; i < m->multi.count; i++) {
			emu_message_multi(m, i, &access, &data);
			access_kept(&access, 8);
			touch(data, 8);
		}
		break;
	default:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t header[EMU_MESSAGE_HEADER_BYTES], answer[512], *payload;
	struct emu_message message;
	size_t bytes, have, n;
	uint32_t whole;
	unsigned int fds;
	int error;

	if (size < 1 + sizeof(header))
		return 0;
	fds = *data;
	memcpy(header, data + 1, sizeof(header));
	have = size - 1 - sizeof(header);
	if (!emu_message_payload(header, &bytes))
		fuzz_require(bytes <= EMU_MESSAGE_MAX_PAYLOAD, "a payload that has a place");
	/* The rest is parsed as if the header told its size, which then is so */
	whole = (uint32_t)(sizeof(header) + have);
	memcpy(header + 4, &whole, sizeof(whole));
	if (emu_message_payload(header, &bytes))
		return 0;
	fuzz_require(bytes == have, "the size is the size");
	payload = malloc(have ? have : 1);
	fuzz_require(payload != NULL, "memory");
	memcpy(payload, data + 1 + sizeof(header), have);
	error = emu_message_parse(header, payload, have, fds, &message);
	fuzz_require(error >= 0, "an errno is positive");
	fuzz_require(emu_command_name(message.command) != NULL, "each command has a name");
	if (!error) {
		kept(&message, fds);
		if (message.command == EMU_VERSION) {
			n = emu_message_version(message.version.proposed, answer, sizeof(answer));
			fuzz_require(n > 5 && n <= sizeof(answer) && !answer[n - 1],
				     "each VERSION has an answer");
		}
	}
	free(payload);
	return 0;
}
