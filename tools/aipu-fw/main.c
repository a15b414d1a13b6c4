// SPDX-License-Identifier: MIT
/*
 * aipu-fw: packs, signs, shows and checks firmware images, and brings them to devices. Runs at build time too (the default image
 * of the software device), so it is linked before any transport is, and only what has a device opens one. An error is one line
 * on stderr.
 */
#include "fw.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void fw_help(void)
{
	fputs("usage: aipu-fw pack -o FILE [--default] [--version X.Y.Z] [--abi-oldest X.Y]\n"
	      "               [--abi-newest X.Y] [--board soft|any|ID] [--rollback N]\n"
	      "               [--payload FILE] [--build TEXT] [--key KEY]\n"
	      "       aipu-fw sign FILE --key KEY [-o FILE]\n"
	      "       aipu-fw inspect FILE [--json]\n"
	      "       aipu-fw verify FILE [--key KEY]\n"
	      "       aipu-fw flash IMAGE [-i CARD]... [--all] [--slot a|b|auto] [--no-activate]\n"
	      "               [--wait[=SECONDS]] [--force] [--dry-run] [--json]\n"
	      "       aipu-fw activate [-i CARD]... [--all] [--slot a|b|auto] [--wait[=SECONDS]]\n"
	      "               [--force] [--dry-run] [--json]\n"
	      "       aipu-fw status [-i CARD]... [--all] [--json]\n"
	      "       aipu-fw status --read FILE [--json]\n"
	      "       aipu-fw -h | --help | --version\n"
	      "\n"
	      "KEY is an Ed25519 key in a PEM file: openssl genpkey -algorithm ed25519. To verify, its\n"
	      "public half is enough. The software device takes the key firmware-abi/development.pem.\n"
	      "TEXT of --build has at most 63 bytes and may be empty.\n"
	      "\n"
	      "flash writes an image to the slot that does not run, starts it and sees it run; a device\n"
	      "whose new image does not come up goes on with the one before.\n"
	      "\n"
	      "flash     writes an image and starts it\n"
	      "  -i CARD        this card only: index, PCI address, serial number or node; may be\n"
	      "                 given several times; soft: the software device. Default: the one card\n"
	      "  --device CARD  the same\n"
	      "  --all          all cards\n"
	      "activate  starts a slot without writing\n"
	      "  -i CARD        as of flash\n"
	      "  --device CARD  the same; soft: the software device\n"
	      "status    what runs, and what is kept\n"
	      "  -i CARD        as of flash; default: all cards\n"
	      "  --device CARD  the same; soft: the software device\n"
	      "  --read FILE    no card, but what --json of this command, aipu-smi or aipu-fwcheck wrote\n"
	      "                 into a file; - is standard input\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission, 7 busy,\n"
	      "130 interrupted, 141 closed pipe.\n",
	      stdout);
	exit(cli_finish(FW_TOOL, CLI_OK));
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
	int code;

	cli_start();
	if (!cli_before_command(FW_TOOL, fw_help, &argc, &argv, &code))
		return code;
	if (!argc)
		return fw_fail(
			CLI_USAGE,
			"a command is missing: pack, sign, inspect, verify, flash, activate or status; see "
			"aipu-fw --help");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(argv[0], commands[i].name))
			return cli_finish(FW_TOOL, commands[i].run(argc, argv));
	return fw_fail(
		CLI_USAGE,
		"unknown command '%s': pack, sign, inspect, verify, flash, activate or status is "
		"expected",
		argv[0]);
}
