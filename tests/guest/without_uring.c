// SPDX-License-Identifier: MIT
/*
 * without_uring PROGRAM [ARGUMENT...]: runs the program, and all that it starts, as containers often do: io_uring_setup() fails
 * with EPERM, by a seccomp filter. Sees for itself that it does, or runs nothing. Called by tests in guests.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "refuse_call.h"

int main(int argc, char **argv)
{
	int err;

	if (argc < 2) {
		fprintf(stderr, "usage: without_uring PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	err = refuse_call(SYS_io_uring_setup);
	if (err) {
		fprintf(stderr, "without_uring: no seccomp filter: %s\n", strerror(-err));
		return 1;
	}
	if (syscall(SYS_io_uring_setup, 1, NULL) != -1 || errno != EPERM) {
		fprintf(stderr, "without_uring: io_uring_setup is not refused\n");
		return 1;
	}
	execvp(argv[1], argv + 1);
	fprintf(stderr, "without_uring: %s: %s\n", argv[1], strerror(errno));
	return 127;
}
