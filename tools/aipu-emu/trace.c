// SPDX-License-Identifier: MIT
/*
 * What --trace shows: a line a message, when its reply is sent. Called by session.c on the message thread; writes to the
 * trace only and changes nothing.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "session.h"

static const char *region_name(uint32_t region)
{
	static const char *const names[EMU_MESSAGE_REGIONS] = { "bar0", "bar1",	  "bar2",
								"bar3", "bar4",	  "bar5",
								"rom",	"config", "vga" };

	return region < EMU_MESSAGE_REGIONS ? names[region] : "?";
}

static const char *irq_name(uint32_t index)
{
	static const char *const names[EMU_MESSAGE_IRQS] = { "intx", "msi", "msi-x", "err", "req" };

	return index < EMU_MESSAGE_IRQS ? names[index] : "?";
}

struct text {
	char *to;
	size_t left;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text->to, text->left, format, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n >= text->left)
		n = (int)text->left - 1;
	text->to += n;
	text->left -= (size_t)n;
}

/* Up to eight bytes as one number, as the host stores them */
static void add_value(struct text *text, const uint8_t *data, size_t bytes)
{
	uint64_t value = 0;

	if (bytes > sizeof(value) || !bytes)
		return;
	memcpy(&value, data, bytes);
	add(text, " = 0x%0*" PRIx64, (int)(2 * bytes), value);
}

static void describe_irqs(const struct emu_session *session, const struct emu_irq_set *set,
			  struct text *text)
{
	const uint32_t data = set->flags & EMU_IRQ_DATA;

	add(text, " %s %u+%u %s", irq_name(set->index), set->start, set->count,
	    !set->count			   ? "clear"
	    : data == EMU_IRQ_DATA_EVENTFD ? "eventfds"
	    : data == EMU_IRQ_DATA_BOOL	   ? "trigger some"
					   : "trigger");
	if (data == EMU_IRQ_DATA_EVENTFD)
		add(text, " %u", session->fd_count);
}

void emu_trace_describe(const struct emu_session *session, const struct emu_message *m, char *to,
			size_t bytes)
{
	struct text text = { to, bytes };

	*to = 0;
	if (!session->options->trace)
		return;
	add(&text, "%s", emu_command_name(m->command));
	switch (m->command) {
	case EMU_VERSION:
		add(&text, " %u.%u", m->version.major, m->version.minor);
		break;
	case EMU_DMA_MAP:
		add(&text, " 0x%" PRIx64 "+0x%" PRIx64 " %s%s", m->map.address, m->map.size,
		    m->map.flags & EMU_DMA_READABLE ? "r" : "-",
		    m->map.flags & EMU_DMA_WRITABLE ? "w" : "-");
		if (session->fd_count)
			add(&text, " file+0x%" PRIx64, m->map.offset);
		break;
	case EMU_DMA_UNMAP:
		if (m->unmap.flags & EMU_UNMAP_ALL)
			add(&text, " all");
		else
			add(&text, " 0x%" PRIx64 "+0x%" PRIx64, m->unmap.address, m->unmap.size);
		break;
	case EMU_DEVICE_GET_REGION_INFO:
		add(&text, " %s", region_name(m->region_info.index));
		break;
	case EMU_DEVICE_GET_REGION_IO_FDS:
		add(&text, " %s", region_name(m->region_io_fds.index));
		break;
	case EMU_DEVICE_GET_IRQ_INFO:
		add(&text, " %s", irq_name(m->irq_info.index));
		break;
	case EMU_DEVICE_SET_IRQS:
		describe_irqs(session, &m->irq_set, &text);
		break;
	case EMU_REGION_READ:
	case EMU_REGION_WRITE:
		add(&text, " %s 0x%" PRIx64 "+%u", region_name(m->access.region), m->access.offset,
		    m->access.count);
		if (m->data)
			add_value(&text, m->data, m->access.count);
		break;
	case EMU_REGION_WRITE_MULTI:
		add(&text, " %" PRIu64, m->multi.count);
		break;
	default:
		break;
	}
	if (m->no_reply)
		add(&text, " (no reply)");
}

void emu_trace_result(const struct emu_session *session, const char *what,
		      const struct emu_answer *answer, bool waited)
{
	FILE *trace = session->options->trace;
	char result[64] = "";
	struct text text = { result, sizeof(result) };
	const size_t head = sizeof(struct emu_access);

	if (!trace)
		return;
	if (answer->error)
		add(&text, ": %s", strerrorname_np(answer->error));
	else
		add(&text, ": ok");
	if (!answer->error && answer->bytes > head && !strncmp(what, "region-read", 11))
		add_value(&text, answer->payload + head, answer->bytes - head);
	fprintf(trace, "%12.6f %s%s%s\n", (cli_now_ms() - session->start_ms) / 1e3, what, result,
		waited ? ", after DMA in flight" : "");
}
