// SPDX-License-Identifier: MIT
/*
 * aipu-fw: packs, signs, shows and checks firmware images. Runs at build time too (the default image of the
 * software device), so it needs no device and, but for the boot ROM's checks, no library of the project. An error is
 * one line on stderr.
 */
#include "fw.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

static int help(void)
{
	fputs("usage: aipu-fw pack -o FILE [--default] [--version X.Y.Z] [--abi-oldest X.Y]\n"
	      "               [--abi-newest X.Y] [--board soft|any|ID] [--rollback N]\n"
	      "               [--payload FILE] [--build TEXT] [--key KEY]\n"
	      "       aipu-fw sign FILE --key KEY [-o FILE]\n"
	      "       aipu-fw inspect FILE [--json]\n"
	      "       aipu-fw verify FILE [--key KEY]\n"
	      "       aipu-fw --help | --version\n"
	      "\n"
	      "KEY is an Ed25519 key in a PEM file: openssl genpkey -algorithm ed25519. To verify, its\n"
	      "public half is enough.\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	      "130 interrupted, 141 closed pipe.\n",
	      stdout);
	return CLI_OK;
}

static int version(void)
{
	puts("aipu-fw " AIPU_PACKAGE_VERSION);
	return CLI_OK;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = { { "pack", fw_pack },
			 { "sign", fw_sign },
			 { "inspect", fw_inspect },
			 { "verify", fw_verify } };

	cli_start();
	opterr = 0; /* one line, ours */
	if (argc < 2)
		return fw_fail(
			CLI_USAGE,
			"a command is missing: pack, sign, inspect or verify; see aipu-fw --help");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cli_finish("aipu-fw", help());
	if (!strcmp(argv[1], "--version"))
		return cli_finish("aipu-fw", version());
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name))
			return cli_finish("aipu-fw", commands[i].run(argc - 1, argv + 1));
	return fw_fail(CLI_USAGE, "unknown command '%s': pack, sign, inspect or verify is expected",
		       argv[1]);
}
