// SPDX-License-Identifier: MIT
/*
 * aipu-fw: packs, signs, shows and checks firmware images, and brings them to devices. Runs at build time too (the default image
 * of the software device), so it is linked before any transport is, and only what has a device opens one. An error is one line
 * on stderr.
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
	      "       aipu-fw flash IMAGE [--device NAME | --all] [--slot a|b|auto] [--no-activate]\n"
	      "               [--wait[=SECONDS]] [--force] [--dry-run] [--json]\n"
	      "       aipu-fw activate [--device NAME | --all] [--slot a|b|auto] [--wait[=SECONDS]]\n"
	      "               [--force] [--dry-run] [--json]\n"
	      "       aipu-fw status [--device NAME | --all] [--json]\n"
	      "       aipu-fw --help | --version\n"
	      "\n"
	      "KEY is an Ed25519 key in a PEM file: openssl genpkey -algorithm ed25519. To verify, its\n"
	      "public half is enough. The software device takes the key firmware-abi/development.pem.\n"
	      "\n"
	      "flash writes an image to the slot that does not run, starts it and sees it run; a device\n"
	      "whose new image does not come up goes on with the one before. NAME is a card's index,\n"
	      "node, PCI address or serial number, soft, the software device, or auto, a card if there is\n"
	      "one, else soft; without it: the one card.\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission, 7 busy,\n"
	      "130 interrupted, 141 closed pipe.\n",
	      stdout);
	return CLI_OK;
}

static int version(void)
{
	puts("aipu-fw " AIPU_PACKAGE_VERSION);
	return CLI_OK;
}

/* Of a command: --help anywhere, -h where no value can stand */
static bool wants_help(int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || (i == 2 && !strcmp(argv[i], "-h")))
			return true;
	return false;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(int argc, char **argv);
	} commands[] = { { "pack", fw_pack },	    { "sign", fw_sign },
			 { "inspect", fw_inspect }, { "verify", fw_verify },
			 { "flash", fw_flash },	    { "activate", fw_activate },
			 { "status", fw_status } };

	cli_start();
	opterr = 0; /* one line, ours */
	if (argc < 2)
		return fw_fail(
			CLI_USAGE,
			"a command is missing: pack, sign, inspect, verify, flash, activate or status; see "
			"aipu-fw --help");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cli_finish("aipu-fw", help());
	if (!strcmp(argv[1], "--version"))
		return cli_finish("aipu-fw", version());
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[1], commands[i].name) && wants_help(argc, argv))
			return cli_finish("aipu-fw", help());
		else if (!strcmp(argv[1], commands[i].name))
			return cli_finish("aipu-fw", commands[i].run(argc - 1, argv + 1));
	if (argv[1][0] == '-')
		return fw_fail(CLI_USAGE, "unknown option '%s'; see aipu-fw --help", argv[1]);
	return fw_fail(
		CLI_USAGE,
		"unknown command '%s': pack, sign, inspect, verify, flash, activate or status is "
		"expected",
		argv[1]);
}
