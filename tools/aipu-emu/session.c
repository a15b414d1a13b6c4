// SPDX-License-Identifier: MIT
/*
 * One client, from connect to disconnect: its socket, the order of replies, its end. Called by main.c; this is the message
 * thread. It polls the socket and an eventfd by which the model's threads say that a reply may go, and waits for nothing
 * else: a client that does not read its replies is not read from either, and never for the device. What the messages do
 * is in request.c.
 */
#include "session.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli.h"

#define KERNEL_MAX_FDS 253 /* SCM_MAX_FD: more never come in one call */
#define CUT_MS 1000 /* for replies that wait for DMA in flight when the power is cut */

/* --- replies --------------------------------------------------------------------------------------- */

/*
 * Sends it all, waiting for room as long as the client lives and nobody wants an end. `fd` goes with the first byte.
 * False: the client is gone, or the end is wanted.
 */
static bool send_reply(struct emu_session *s, const struct emu_header *header, const void *payload,
		       size_t bytes, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	const size_t total = sizeof(*header) + bytes;
	size_t sent = 0;

	while (sent < total) {
		const size_t head = sent < sizeof(*header) ? sent : sizeof(*header);
		struct iovec parts[2] = {
			{ (char *)(uintptr_t)header + head, sizeof(*header) - head },
			{ (char *)(uintptr_t)payload + (sent - head), bytes - (sent - head) },
		};
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
		struct pollfd room = { .fd = s->socket, .events = POLLOUT };
		ssize_t n;

		if (fd >= 0 && !sent) {
			message.msg_control = control.bytes;
			message.msg_controllen = sizeof(control.bytes);
			CMSG_FIRSTHDR(&message)->cmsg_level = SOL_SOCKET;
			CMSG_FIRSTHDR(&message)->cmsg_type = SCM_RIGHTS;
			CMSG_FIRSTHDR(&message)->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &fd, sizeof(fd));
		}
		n = sendmsg(s->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0)
			sent += (size_t)n;
		else if (errno == EAGAIN)
			ppoll(&room, 1, NULL, &s->waiting);
		else if (errno != EINTR)
			return false;
		if (atomic_load(s->stop))
			return false;
	}
	return true;
}

static struct emu_header reply_header(const struct emu_message *m, const struct emu_answer *answer)
{
	return (struct emu_header){
		.id = m->id,
		.command = m->command,
		.bytes = (uint32_t)(sizeof(struct emu_header) + answer->bytes),
		.flags = EMU_FLAG_REPLY | (answer->error ? EMU_FLAG_ERROR : 0),
		.error = (uint32_t)answer->error,
	};
}

/* --- replies that wait ----------------------------------------------------------------------------- */

/* Any thread. What it points to may be gone once `done` is set. */
static void pending_done(struct emu_wait *wait)
{
	struct emu_pending *pending =
		(struct emu_pending *)((char *)wait - offsetof(struct emu_pending, wait));
	const int kick = pending->kick;
	const uint64_t one = 1;

	atomic_store(&pending->done, true);
	if (write(kick, &one, sizeof(one)) < 0)
		return; /* the eventfd is full: the thread is woken already */
}

struct emu_pending *emu_session_pend(struct emu_session *s)
{
	struct emu_pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->wait.done = pending_done;
	pending->kick = s->kick;
	pending->place = s->last;
	*s->last = pending;
	s->last = &pending->next;
	s->pending_count++;
	return pending;
}

void emu_session_forget(struct emu_session *s, struct emu_pending *pending)
{
	s->last = pending->place;
	*s->last = NULL;
	s->pending_count--;
	free(pending);
}

/* Sends those at the head of the list whose time has come. */
static bool pending_flush(struct emu_session *s)
{
	while (s->first && atomic_load(&s->first->done)) {
		struct emu_pending *pending = s->first;
		const struct emu_answer answer = { .error = (int)pending->header.error };
		bool sent = true;

		if (!pending->silent)
			sent = send_reply(s, &pending->header, pending->payload,
					  pending->payload_bytes, -1);
		if (*pending->text)
			emu_trace_result(s, pending->text, &answer, true);
		s->first = pending->next;
		if (!s->first)
			s->last = &s->first;
		s->pending_count--;
		free(pending);
		if (!sent)
			return false;
	}
	return true;
}

/* --- messages -------------------------------------------------------------------------------------- */

static void close_fds(struct emu_session *s)
{
	unsigned int i;

	for (i = 0; i < s->fd_count; i++)
		if (s->fds[i] >= 0)
			close(s->fds[i]);
	s->fd_count = 0;
	s->fds_lost = false;
}

/* The reply takes its place in the list: it waits itself, or for those before it. */
static bool keep_reply(struct emu_session *s, const struct emu_message *m,
		       const struct emu_answer *answer, const char *text)
{
	struct emu_pending *pending = answer->pending;

	if (!pending) {
		pending = emu_session_pend(s);
		if (!pending)
			return false;
		atomic_store(&pending->done, true);
	}
	pending->header = reply_header(m, answer);
	pending->silent = m->no_reply;
	/* What is ordered is answered with little: an unmap's request, an access without data, a count. */
	pending->payload_bytes = answer->bytes;
	memcpy(pending->payload, answer->payload, answer->bytes);
	memcpy(pending->text, text, EMU_TEXT_BYTES);
	return true;
}

/* False: the client is to be left. */
static bool message_handle(struct emu_session *s, uint8_t *out)
{
	struct emu_answer answer = { .payload = out, .fd = -1 };
	char text[EMU_TEXT_BYTES];
	struct emu_message message;
	struct emu_header header;
	bool good = true;

	answer.error =
		emu_message_parse(s->header, s->payload, s->payload_bytes, s->fd_count, &message);
	if (s->fds_lost)
		answer.error = EINVAL;
	emu_trace_describe(s, &message, text, sizeof(text));
	if (!answer.error)
		emu_request_run(s, &message, &answer);
	close_fds(s);
	if (answer.pending || (answer.ordered && s->first)) {
		good = keep_reply(s, &message, &answer, text);
		if (!good)
			cli_fail(EMU_TOOL, 0, "no memory for a reply: the client is disconnected");
	} else {
		header = reply_header(&message, &answer);
		if (!message.no_reply)
			good = send_reply(s, &header, answer.payload, answer.bytes,
					  answer.error ? -1 : answer.fd);
		emu_trace_result(s, text, &answer, false);
	}
	return good;
}

/* --- receiving ------------------------------------------------------------------------------------- */

static void take_fds(struct emu_session *s, struct msghdr *message)
{
	struct cmsghdr *c;
	size_t i, count;
	int fd;

	for (c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (s->fd_count < EMU_MESSAGE_MAX_FDS) {
				s->fds[s->fd_count++] = fd;
			} else {
				close(fd);
				s->fds_lost = true;
			}
		}
	}
	if (message->msg_flags & MSG_CTRUNC)
		s->fds_lost = true;
}

/* At most `bytes`: their number, 0 if there are none now, -1 at the client's end. */
static ssize_t receive(struct emu_session *s, void *to, size_t bytes)
{
	union {
		char bytes[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = { to, bytes };
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n = recvmsg(s->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	take_fds(s, &message);
	return n ? n : -1;
}

/* Reads on, and handles the message if that was its last byte. False: the client is to be left. */
static bool message_receive(struct emu_session *s, uint8_t *out)
{
	ssize_t n;

	if (s->have < sizeof(s->header)) {
		n = receive(s, s->header + s->have, sizeof(s->header) - s->have);
		if (n <= 0)
			return !n;
		s->have += (size_t)n;
		if (s->have < sizeof(s->header))
			return true;
		if (emu_message_payload(s->header, &s->payload_bytes)) {
			struct emu_header h;

			memcpy(&h, s->header, sizeof(h));
			cli_fail(EMU_TOOL, 0,
				 "a message of %u bytes came, from %u to %u are expected: the "
				 "client "
				 "is disconnected",
				 h.bytes, EMU_MESSAGE_HEADER_BYTES,
				 EMU_MESSAGE_HEADER_BYTES + EMU_MESSAGE_MAX_PAYLOAD);
			return false;
		}
	}
	while (s->have < sizeof(s->header) + s->payload_bytes) {
		const size_t have = s->have - sizeof(s->header);

		n = receive(s, s->payload + have, s->payload_bytes - have);
		if (n <= 0)
			return !n;
		s->have += (size_t)n;
	}
	s->have = 0;
	return message_handle(s, out);
}

/* --- the client ------------------------------------------------------------------------------------ */

static void serve(struct emu_session *s, uint8_t *out)
{
	uint64_t kicks;

	while (!atomic_load(s->stop)) {
		struct pollfd on[2] = {
			{ .fd = s->socket,
			  .events = s->pending_count < EMU_MAX_PENDING ? POLLIN : 0 },
			{ .fd = s->kick, .events = POLLIN },
		};

		if (ppoll(on, 2, NULL, &s->waiting) < 0) {
			if (errno == EINTR)
				continue;
			cli_fail(EMU_TOOL, 0, "cannot wait for the client: %s", strerror(errno));
			return;
		}
		if (on[1].revents && read(s->kick, &kicks, sizeof(kicks)) < 0 && errno != EAGAIN)
			return;
		if (!pending_flush(s))
			return;
		if (on[0].revents & POLLIN) {
			if (!message_receive(s, out))
				return;
		} else if (on[0].revents) {
			return; /* hung up, with nothing left to read that we may read */
		}
	}
}

/* After a power cut: replies that are due still go out, then it is the end of all. */
static _Noreturn void session_die(struct emu_session *s)
{
	const double end = cli_now_ms() + CUT_MS;
	struct pollfd on = { .fd = s->kick, .events = POLLIN };
	uint64_t kicks;

	while (pending_flush(s) && s->first && cli_now_ms() < end)
		if (poll(&on, 1, CUT_MS) > 0 && read(s->kick, &kicks, sizeof(kicks)) < 0)
			break;
	emu_faults_die(s->card->faults);
}

static void session_release(struct emu_session *s)
{
	struct emu_pending *pending;

	close_fds(s);
	if (s->error_fd >= 0)
		close(s->error_fd);
	if (s->request_fd >= 0)
		close(s->request_fd);
	emu_pci_destroy(s->pci);
	/* With the card gone nobody is left who could say that one of these is done. */
	if (s->card)
		emu_card_destroy(s->card);
	while (s->first) {
		pending = s->first;
		s->first = pending->next;
		free(pending);
	}
	if (s->kick >= 0)
		close(s->kick);
	close(s->socket);
	free(s->payload);
}

static int session_start(struct emu_session *s)
{
	int err;

	s->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->kick < 0)
		return -errno;
	s->payload = malloc(EMU_MESSAGE_MAX_PAYLOAD);
	if (!s->payload)
		return -ENOMEM;
	err = emu_card_create(s->options, &s->card);
	if (err)
		return err;
	emu_faults_client(s->card->faults, s->socket);
	return emu_pci_create(s->card, &s->pci);
}

int emu_session_run(const struct emu_options *options, int socket, const atomic_bool *stop)
{
	struct emu_session s = {
		.options = options,
		.stop = stop,
		.start_ms = cli_now_ms(),
		.socket = socket,
		.kick = -1,
		.error_fd = -1,
		.request_fd = -1,
		.last = &s.first,
	};
	uint8_t *out = malloc(EMU_MESSAGE_MAX_PAYLOAD);
	int err = -ENOMEM;

	/* The signals that end us are blocked but for the moments when this thread waits. */
	pthread_sigmask(SIG_SETMASK, NULL, &s.waiting);
	sigdelset(&s.waiting, SIGINT);
	sigdelset(&s.waiting, SIGTERM);
	if (out)
		err = session_start(&s);
	if (!err) {
		if (options->trace)
			fprintf(options->trace, "%12.6f client connected: power on\n", 0.0);
		serve(&s, out);
		if (emu_faults_cut(s.card->faults))
			session_die(&s);
		if (options->trace) {
			fprintf(options->trace, "%12.6f client gone: power off; ",
				(cli_now_ms() - s.start_ms) / 1e3);
			emu_counters_print(&s.card->counters, options->trace);
		}
	}
	session_release(&s);
	free(out);
	return err;
}
