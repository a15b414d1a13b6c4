/* SPDX-License-Identifier: MIT */
/*
 * One client, as session.c (its socket), request.c (what its messages do) and trace.c (what is written of them) share it.
 * All of it is the message thread's, but for what stands under "any thread".
 */
#ifndef AIPU_EMU_SESSION_H
#define AIPU_EMU_SESSION_H

#include <signal.h>

#include "emu.h"
#include "message.h"

#define EMU_TOOL "aipu-emu"
#define EMU_TEXT_BYTES 160u

/*
 * A reply that waits, for DMA in flight or for its turn: replies to messages that change what DMA may reach, and to
 * resets, keep their order, because a client may take the youngest one's reply for all of them.
 */
struct emu_pending {
	struct emu_wait wait;
	struct emu_pending *next;
	struct emu_pending **place; /* what points to it, while it is the youngest */
	int kick;
	atomic_bool done; /* any thread */
	bool silent; /* there is nobody to tell */
	struct emu_header header;
	uint8_t payload[sizeof(struct emu_unmap)];
	size_t payload_bytes;
	char text[EMU_TEXT_BYTES]; /* for the trace */
};

#define EMU_MAX_PENDING \
	64u /* with as many, nothing more is read from the client until one is done */

struct emu_session {
	const struct emu_options *options;
	const atomic_bool *stop;
	sigset_t waiting; /* the signal mask while it waits */
	double start_ms;
	int socket;
	int kick; /* eventfd: some pending reply is done */
	struct emu_card *card;
	struct emu_pci *pci;

	bool versioned;
	bool write_multiple; /* as agreed */
	bool takes_fds; /* the client does */
	int error_fd,
		request_fd; /* the eventfds of VFIO's ERR and REQ, or -1: nothing here raises them */

	struct emu_pending *first, **last;
	unsigned int pending_count;

	/* The message that is coming in, and what came along */
	uint8_t header[EMU_MESSAGE_HEADER_BYTES];
	uint8_t *payload; /* EMU_MESSAGE_MAX_PAYLOAD */
	size_t have, payload_bytes;
	int fds[EMU_MESSAGE_MAX_FDS];
	unsigned int fd_count;
	bool fds_lost; /* more came than that */
};

struct emu_answer {
	int error; /* an errno, positive; 0: none */
	uint8_t *payload; /* room for EMU_MESSAGE_MAX_PAYLOAD */
	size_t bytes;
	int fd; /* goes along, stays the card's; -1: none */
	bool ordered; /* keeps its place behind pending replies */
	struct emu_pending *pending; /* in the list already: its reply waits for done() */
};

/* session.c: appends to the list; NULL: no memory. Forgetting is for the youngest one, that need not wait after all. */
struct emu_pending *emu_session_pend(struct emu_session *session);
void emu_session_forget(struct emu_session *session, struct emu_pending *pending);

/*
 * request.c: does what the message says. Takes descriptors out of session->fds (sets them to -1) where it keeps them.
 */
void emu_request_run(struct emu_session *session, const struct emu_message *message,
		     struct emu_answer *answer);

/* trace.c: the command and its arguments, cut at the size of the text */
void emu_trace_describe(const struct emu_session *session, const struct emu_message *message,
			char *text, size_t bytes);
/* The line: time since the client came, the text, the result. Nothing without --trace. */
void emu_trace_result(const struct emu_session *session, const char *text,
		      const struct emu_answer *answer, bool waited);

#endif
