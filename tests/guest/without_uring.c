// SPDX-License-Identifier: MIT
/*
 * without_uring PROGRAM [ARGUMENT...]: runs the program, and all that it starts, as containers often do: io_uring_setup() fails
 * with EPERM, by a seccomp filter. Sees for itself that it does, or runs nothing. Called by tests in guests.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Its number is the same on every architecture that has it since it came to be. */
static int refuse_setup(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(filter) / sizeof(filter[0]), .filter = filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) ? -errno : 0;
}

int main(int argc, char **argv)
{
	int err;

	if (argc < 2) {
		fprintf(stderr, "usage: without_uring PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	err = refuse_setup();
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
