/* SPDX-License-Identifier: MIT */
/*
 * The socket file. See listen.c.
 */
#ifndef AIPU_EMU_LISTEN_H
#define AIPU_EMU_LISTEN_H

#include <sys/types.h>

struct emu_listener {
	int fd;
	const char *path; /* the caller's */
	dev_t device; /* of our file: another's is never removed */
	ino_t inode;
};

/* 0, or an exit code after one error line: PATH is too long, is no socket, or a server listens there. */
int emu_listen_check(const char *path);
/* Likewise. When PATH is there, a client can connect; a dead server's file has been replaced. */
int emu_listen_open(const char *path, struct emu_listener *listener);
/* Removes the file, if it is still ours */
void emu_listen_close(struct emu_listener *listener);
/* A connected socket; -EAGAIN: nobody (any more); -errno */
int emu_listen_accept(int listener);

#endif
