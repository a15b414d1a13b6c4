/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aipu-smi's commands and what they share. A command gets its own name as argv[0] and returns an exit code; what it has to say
 * of an error is one line a card on stderr. GPL as it is linked with libpci.
 */
#ifndef AIPU_SMI_H
#define AIPU_SMI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"
#include "text.h"

#define SMI_TOOL "aipu-smi"

/* Exit codes beyond those of all tools (enum cli_exit) */
enum smi_exit {
	SMI_NO_DRIVER = 5, /* a card has no driver, or another one */
	SMI_NOT_ANSWERING = 6, /* a card is there and does not work */
};

int smi_overview(int argc, char **argv); /* without a command */
int smi_ps(int argc, char **argv);
int smi_reset(int argc, char **argv);
int smi_set(int argc, char **argv);
int smi_events(int argc, char **argv);
int smi_doctor(int argc, char **argv);
int smi_report(int argc, char **argv);

/* help.c: --help and -h of every command: prints it and ends the program */
_Noreturn void smi_help(void);

#define smi_fail(code, ...) cli_fail(SMI_TOOL, code, __VA_ARGS__)
#define smi_bad_option(c, argv) cli_bad_option(SMI_TOOL, NULL, c, argv)

/* --- text.c --- */

/*
 * Writes out what is in stdout, where a reader should not wait for it. `code`, or the exit code of a write that failed, after a
 * message; that failure is then dealt with.
 */
int smi_flush(int code);
/* Of "NAME: text" the text: for a line that begins with the device's name already. Any other as it is */
const char *smi_without_name(const char *name, const char *message);

#endif
