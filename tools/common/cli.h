/* SPDX-License-Identifier: MIT */
/*
 * What all tools share: exit codes, one-line errors, strict numbers, --version. Called by the tools' main.c
 * only; keeps no state.
 */
#ifndef AIPU_CLI_H
#define AIPU_CLI_H

#include <stdbool.h>
#include <stdint.h>

/* What the value of --device is, for cli_text() */
#define CLI_CARD_NAME "soft or a card's index, node, PCI address or serial number"
#define CLI_DEVICE_NAME "auto, " CLI_CARD_NAME

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NO_DEVICE = 3,
	CLI_NO_PERMISSION = 4,
	CLI_INTERRUPTED = 130,
	CLI_CLOSED_PIPE = 141,
};

/*
 * First thing in main(): ignores SIGPIPE, and gives closed standard streams a descriptor on which they fail, so that
 * nothing that is opened later takes their place.
 */
void cli_start(void);
/* From here on SIGINT and SIGTERM end the program at once, with 130: where nothing is left half done */
void cli_interruptible(void);
/*
 * "tool: text" on stderr; returns `code`. One line, whatever names and texts of others it is made of: a control character
 * shows as '?'.
 */
int cli_fail(const char *tool, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * The line for what getopt_long() stopped at, with opterr 0 and ':' first in its letters (after '+'): an option that is unknown,
 * has no value, or has one and takes none; `command` is named in it unless NULL. CLI_USAGE
 */
int cli_bad_option(const char *tool, const char *command, int c, char **argv);
/*
 * What stands before a tool's command: --help, by `help`, which does not return, and --version. True: the rest, from the command
 * on, is in *argc and *argv, ready for a getopt_long() of its own; false: *code is what the tool ends with.
 */
bool cli_before_command(const char *tool, void (*help)(void), int *argc, char ***argv, int *code);
/* The exit code for an -errno of libaipu */
int cli_exit_code(int err);
/* "tool 0.9.0 (contract 1.0)" on stdout */
void cli_version(const char *tool);

/*
 * Strict numbers: the whole text, nothing else. False after an error line that names the option, the value
 * and the range.
 */
bool cli_integer(const char *tool, const char *option, const char *text, uint64_t min, uint64_t max,
		 uint64_t *value);
bool cli_real(const char *tool, const char *option, const char *text, double min, double max,
	      double *value);

/* What is not empty, as a name; false after an error line that says that `what` is expected */
bool cli_text(const char *tool, const char *option, const char *text, const char *what,
	      const char **value);

/* "1.2.3": `count` numbers with dots between, none above its limit, nothing else. Without a line */
bool cli_dotted(const char *text, const unsigned long *limits, unsigned int count,
		unsigned long *parts);

/* Milliseconds, monotonic */
double cli_now_ms(void);

/*
 * Flushes stdout; the exit code for what became of it: `code` if all was written, CLI_CLOSED_PIPE if the
 * reader went away, else CLI_FAILED with an error line. Call it last. SIGPIPE has to be ignored.
 */
int cli_finish(const char *tool, int code);

#endif
