// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The report's snapshot: what this very program says with --json, started anew, since a card that hangs may hang it. Without
 * what is of a process or of one card only: those members are left out by their names.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#define TIMEOUT_MS 30000
#define LIMIT (4u << 20)

static pid_t start(int *from)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	child = fork();
	if (!child) {
		int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);

		if (dup2(ends[1], STDOUT_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0)
			_exit(127);
		execl("/proc/self/exe", SMI_TOOL, "--json", (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	*from = ends[0];
	if (child < 0)
		close(ends[0]);
	return child;
}

/* To its end; false: it took too long, or said too much */
static bool read_all(int from, char *text, size_t *bytes)
{
	double end = cli_now_ms() + TIMEOUT_MS;

	*bytes = 0;
	for (;;) {
		struct pollfd ready = { .fd = from, .events = POLLIN };
		double left = end - cli_now_ms();
		ssize_t count;

		if (left <= 0 || *bytes == LIMIT)
			return false;
		if (poll(&ready, 1, (int)left + 1) <= 0)
			continue;
		count = read(from, text + *bytes, LIMIT - *bytes);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count == 0;
		*bytes += (size_t)count;
	}
}

/* "firmware" is a version and the text of whoever built it, as "build" is; the version has a member of its own */
static void leave_out(json_t *value)
{
	static const char *const names[] = { "serial", "serial_number", "processes", "firmware",
					     "build" };
	const char *name;
	json_t *member;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_object_del(value, names[i]);
	json_object_foreach(value, name, member) leave_out(member);
	json_array_foreach(value, i, member) leave_out(member);
}

static void print(FILE *out, const char *text, size_t bytes, int status)
{
	json_t *root = json_loadb(text, bytes, 0, NULL);

	if (root) {
		leave_out(root);
		json_dumpf(root, out, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
		fputc('\n', out);
		json_decref(root);
	} else {
		fprintf(out, "said no JSON\n");
	}
	if (WIFEXITED(status))
		fprintf(out, "exit status %d\n", WEXITSTATUS(status));
	else
		fprintf(out, "ended by signal %d\n", WTERMSIG(status));
}

void report_snapshot(FILE *out)
{
	char *text = malloc(LIMIT);
	int from, status = 0;
	size_t bytes;
	bool whole;
	pid_t child;

	fflush(out);
	child = text ? start(&from) : -1;
	if (child < 0) {
		fprintf(out, "could not be started: %s\n", strerror(errno));
		free(text);
		return;
	}
	whole = read_all(from, text, &bytes);
	if (!whole)
		kill(child, SIGKILL);
	close(from);
	/* A process that hangs in the kernel does not even die: then it is left to init. */
	while (waitpid(child, &status, whole ? 0 : WNOHANG) < 0 && errno == EINTR)
		;
	if (whole)
		print(out, text, bytes, status);
	else
		fprintf(out, "no answer in %d seconds\n", TIMEOUT_MS / 1000);
	free(text);
}
