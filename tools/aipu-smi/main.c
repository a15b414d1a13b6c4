// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-smi: what cards are there, how they do, who uses them; resets them and sets their limits. This file has the commands'
 * table; every command is a file of its own.
 */
#include "smi.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "ps", smi_ps },	  { "reset", smi_reset },   { "set", smi_set },
	{ "events", smi_events }, { "doctor", smi_doctor }, { "report", smi_report },
};

static int unknown(const char *name)
{
	char known[128] = "";

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 i ? ", " : "", commands[i].name);
	return smi_fail(CLI_USAGE,
			"unknown command '%s': one of %s is expected; see aipu-smi --help", name,
			known);
}

/* A command that stands behind options, which belong to it then; NULL: there is none */
static const char *late_command(int argc, char **argv)
{
	static const char *const with_value[] = { "-i", "--device", "--read", "--count" };

	for (int i = 2; i < argc; i++) {
		bool is_value = false;

		for (size_t j = 0; j < sizeof(with_value) / sizeof(with_value[0]); j++)
			is_value = is_value || !strcmp(argv[i - 1], with_value[j]);
		for (size_t j = 0; !is_value && j < sizeof(commands) / sizeof(commands[0]); j++)
			if (!strcmp(argv[i], commands[j].name))
				return argv[i];
	}
	return NULL;
}

static int without_command(int argc, char **argv)
{
	const char *late = late_command(argc, argv);

	/* What asks for nothing but a text gets it */
	if (!late || !strcmp(argv[1], "-h") || !strcmp(argv[1], "--help") ||
	    !strcmp(argv[1], "--version"))
		return smi_overview(argc, argv);
	return smi_fail(CLI_USAGE,
			"a command comes first: aipu-smi %s, then its options; '%s' is before it",
			late, argv[1]);
}

int main(int argc, char **argv)
{
	cli_start();
	opterr = 0; /* one line, ours */
	if (argc < 2 || argv[1][0] == '-')
		return cli_finish(SMI_TOOL, without_command(argc, argv));
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return cli_finish(SMI_TOOL, commands[i].run(argc - 1, argv + 1));
	return unknown(argv[1]);
}
