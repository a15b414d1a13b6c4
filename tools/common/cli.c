/* SPDX-License-Identifier: MIT */
/*
 * See cli.h. Error lines go to stderr and nothing else does; stdout belongs to the tool's data.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "aipu_types.h"

void cli_start(void)
{
	int fd;

	signal(SIGPIPE, SIG_IGN);
	/* open() takes the lowest free number; the direction is the wrong one, so that use is an error. */
	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
			_exit(CLI_FAILED);
}

int cli_fail(const char *tool, int code, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", tool);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return code;
}

int cli_exit_code(int err)
{
	switch (err) {
	case 0:
		return CLI_OK;
	case -ENODEV:
	case -ENXIO:
		return CLI_NO_DEVICE;
	case -EACCES:
	case -EPERM:
		return CLI_NO_PERMISSION;
	case -EINTR:
		return CLI_INTERRUPTED;
	case -EPIPE:
		return CLI_CLOSED_PIPE;
	default:
		return CLI_FAILED;
	}
}

void cli_version(const char *tool)
{
	printf("%s %s (contract %u.%u)\n", tool, AIPU_PACKAGE_VERSION,
	       AIPU_ABI_MAJOR(AIPU_ABI_CURRENT), AIPU_ABI_MINOR(AIPU_ABI_CURRENT));
}

bool cli_integer(const char *tool, const char *option, const char *text, uint64_t min, uint64_t max,
		 uint64_t *value)
{
	char *end = NULL;

	errno = 0;
	*value = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && *value >= min && *value <= max)
		return true;
	cli_fail(tool, CLI_USAGE, "%s '%s': an integer from %llu to %llu is expected", option, text,
		 (unsigned long long)min, (unsigned long long)max);
	return false;
}

bool cli_real(const char *tool, const char *option, const char *text, double min, double max,
	      double *value)
{
	char *end = NULL;

	*value = strtod(text, &end);
	if (text[0] && text[0] != ' ' && !*end && isfinite(*value) && *value >= min &&
	    *value <= max)
		return true;
	cli_fail(tool, CLI_USAGE, "%s '%s': a number from %g to %g is expected", option, text, min,
		 max);
	return false;
}

double cli_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

int cli_finish(const char *tool, int code)
{
	int err;

	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	err = errno;
	if (err == EPIPE)
		return CLI_CLOSED_PIPE;
	return cli_fail(tool, CLI_FAILED, "cannot write to standard output: %s",
			err ? strerror(err) : "an earlier write failed");
}
