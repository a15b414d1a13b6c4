/* SPDX-License-Identifier: MIT */
/*
 * See cli.h. Error lines go to stderr and nothing else does; stdout belongs to the tool's data.
 */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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

/* Only what a handler may call */
static void on_interrupt(int number)
{
	(void)number;
	_exit(CLI_INTERRUPTED);
}

void cli_interruptible(void)
{
	const struct sigaction action = { .sa_handler = on_interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* Control characters; those above 0x7f are two bytes in UTF-8, the first of them 0xc2 */
static void make_plain(char *text)
{
	for (unsigned char *c = (unsigned char *)text; *c; c++) {
		if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
			c[0] = c[1] = '?';
		else if (*c < 0x20 || *c == 0x7f)
			*c = '?';
	}
}

int cli_fail(const char *tool, int code, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		make_plain(text);
	fprintf(stderr, "%s: %s\n", tool, text ? text : "out of memory");
	free(text);
	return code;
}

/* getopt_long() stopped within a word of several letters: optind is still at it */
static bool within_letters(const char *word)
{
	const char *at = NULL;

	if (word && word[0] == '-' && word[1] != '-' && optopt > 0 && optopt < 0x80)
		at = strchr(word + 1, optopt);
	return at && at[1];
}

int cli_bad_option(const char *tool, const char *command, int c, char **argv)
{
	const char *argument = argv[optind - 1];
	char letter[] = { '-', (char)optopt, '\0' };
	char before[64] = "";

	if (command)
		snprintf(before, sizeof(before), "%s: ", command);
	if (c == ':')
		return cli_fail(tool, CLI_USAGE, "%sa value is missing after '%s'; see %s --help",
				before, argument, tool);
	/* A letter is left in optopt, also from within an argument. */
	if (strncmp(argument, "--", 2) || within_letters(argv[optind]))
		argument = letter;
	else if (optopt) /* of a long option only if it is known */
		return cli_fail(tool, CLI_USAGE, "%s'%.*s' takes no value; see %s --help", before,
				(int)strcspn(argument, "="), argument, tool);
	return cli_fail(tool, CLI_USAGE, "%sunknown option '%s'; see %s --help", before, argument,
			tool);
}

bool cli_before_command(const char *tool, void (*help)(void), int *argc, char ***argv, int *code)
{
	enum { OPT_VERSION = 256 };
	static const struct option options[] = {
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	opterr = 0; /* one line, ours */
	c = getopt_long(*argc, *argv, "+:h", options, NULL);
	if (c == -1) {
		*argc -= optind;
		*argv += optind;
		optind = 0; /* from the start, and options behind operands too */
		return true;
	}
	if (c == 'h')
		help();
	if (c == OPT_VERSION) {
		cli_version(tool);
		*code = cli_finish(tool, CLI_OK);
	} else {
		*code = cli_bad_option(tool, NULL, c, *argv);
	}
	return false;
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
	/* Of what strtod() takes, decimal digits alone */
	if (text[0] && !text[strspn(text, "0123456789.eE+-")] && !*end && isfinite(*value) &&
	    *value >= min && *value <= max)
		return true;
	/* Digits as they are typed: %g alone makes 4e+06 of 4000000 */
	cli_fail(tool, CLI_USAGE, "%s '%s': a number from %.15g to %.15g is expected", option, text,
		 min, max);
	return false;
}

bool cli_text(const char *tool, const char *option, const char *text, const char *what,
	      const char **value)
{
	*value = text;
	if (text[0])
		return true;
	cli_fail(tool, CLI_USAGE, "%s '': %s is expected", option, what);
	return false;
}

bool cli_dotted(const char *text, const unsigned long *limits, unsigned int count,
		unsigned long *parts)
{
	for (unsigned int i = 0; i < count; i++) {
		char *end;

		if (*text < '0' || *text > '9')
			return false;
		errno = 0;
		parts[i] = strtoul(text, &end, 10);
		if (errno || parts[i] > limits[i] || *end != (i + 1 < count ? '.' : '\0'))
			return false;
		text = end + 1;
	}
	return true;
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
	/* Why a write failed earlier is not known any more. As a rule the next one says it; what is there is broken anyway. */
	if (!errno) {
		clearerr(stdout);
		putchar('\n');
		fflush(stdout);
	}
	err = errno;
	if (err == EPIPE)
		return CLI_CLOSED_PIPE;
	return cli_fail(tool, CLI_FAILED, "cannot write to standard output: %s",
			err ? strerror(err) : "an earlier write failed");
}
