// SPDX-License-Identifier: MIT
/* aipu-emu as a process of the test: see client.h. */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_OPTIONS 32
#define NAP_US 1000u

static void output_path(const struct server *s, char path[96])
{
	snprintf(path, 96, "%s/output", s->directory);
}

/* In the child. Only what is safe after fork() of a process with threads. */
static void run(char *const *argv, const char *output, pid_t parent)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int out = open(output, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0 || out < 0)
		_exit(126);
	if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(126);
	execv(argv[0], argv);
	_exit(127);
}

static int spawn(struct server *s, const char *const *options)
{
	const char *build = getenv("BUILD");
	const pid_t parent = getpid();
	char program[4096], output[96];
	char *argv[MAX_OPTIONS + 4];
	unsigned int n = 0;

	snprintf(program, sizeof(program), "%s/bin/aipu-emu", build ? build : "build");
	output_path(s, output);
	argv[n++] = program;
	argv[n++] = (char[]){ "--socket" };
	argv[n++] = s->socket;
	for (unsigned int i = 0; options && options[i]; i++) {
		if (i >= MAX_OPTIONS)
			return -E2BIG;
		argv[n++] = (char *)(uintptr_t)options[i];
	}
	argv[n] = NULL;
	s->pid = fork();
	if (s->pid < 0) {
		s->pid = 0;
		return -errno;
	}
	if (!s->pid)
		run(argv, output, parent);
	return 0;
}

/* The file appears when a client can connect; one that was there before proves nothing, so look who it is. */
static int wait_socket(struct server *s, ino_t old)
{
	struct stat st;

	for (unsigned int us = 0; us < CLIENT_PATIENCE_MS * 1000u; us += NAP_US) {
		if (!stat(s->socket, &st) && S_ISSOCK(st.st_mode) && st.st_ino != old)
			return 0;
		if (!server_runs(s))
			return -ECHILD;
		usleep(NAP_US);
	}
	return -ETIMEDOUT;
}

int server_restart(struct server *s, const char *const *options)
{
	struct stat st = { 0 };
	ino_t old = stat(s->socket, &st) ? 0 : st.st_ino;
	int error = spawn(s, options);

	if (!error)
		error = wait_socket(s, old);
	if (error == -ETIMEDOUT)
		server_stop(s);
	return error;
}

int server_start(struct server *s, const char *const *options)
{
	const char *tmp = getenv("TMPDIR");

	*s = (struct server){ 0 };
	if ((size_t)snprintf(s->directory, sizeof(s->directory), "%s/emu-XXXXXX",
			     tmp && strlen(tmp) < 56 ? tmp : "/tmp") >= sizeof(s->directory))
		return -ENAMETOOLONG;
	if (!mkdtemp(s->directory))
		return -errno;
	snprintf(s->socket, sizeof(s->socket), "%s/socket", s->directory);
	return server_restart(s, options);
}

int server_wait(struct server *s, unsigned int ms)
{
	for (unsigned int us = 0; s->pid && us <= ms * 1000u; us += NAP_US) {
		if (!server_runs(s))
			break;
		usleep(NAP_US);
	}
	return s->pid ? -ETIMEDOUT : s->status;
}

bool server_runs(struct server *s)
{
	if (s->pid && waitpid(s->pid, &s->status, WNOHANG) == s->pid)
		s->pid = 0;
	return s->pid;
}

int server_stop(struct server *s)
{
	char path[96];
	int status;

	if (s->pid)
		kill(s->pid, SIGTERM);
	status = server_wait(s, CLIENT_PATIENCE_MS);
	if (s->pid) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, &s->status, 0);
		s->pid = 0;
	}
	output_path(s, path);
	unlink(path);
	unlink(s->socket);
	rmdir(s->directory);
	return status;
}

void server_output(const struct server *s, char *to, size_t bytes)
{
	char path[96];
	ssize_t n;
	int fd;

	output_path(s, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, to, bytes - 1);
	to[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
}
