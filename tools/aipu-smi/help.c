// SPDX-License-Identifier: GPL-2.0-or-later
/* --help, of the tool and of every command: a test compares it with the man page, and completion reads it. */
#include <stdio.h>
#include <stdlib.h>

#include "smi.h"

static const char help[] =
	"usage: aipu-smi [-i CARD]... [-q | --json | --csv [FIELD,...]] [-w [SECONDS]]\n"
	"       aipu-smi ps [-i CARD]... [--json]\n"
	"       aipu-smi reset [-i CARD]... [--wait[=SECONDS]] [--force] [--recovery]\n"
	"       aipu-smi set [-i CARD]... [--power-limit W] [--clock-limit MHZ] [--default]\n"
	"       aipu-smi events [-i CARD]... [--count N] [--interval MS] [--json]\n"
	"       aipu-smi doctor [-i CARD]... [--qpc DIR] [--json]\n"
	"       aipu-smi report [-o FILE] [--force]\n"
	"       aipu-smi --read FILE [-q | --json | --csv [FIELD,...]]\n"
	"       aipu-smi -h | --help | --version\n"
	"\n"
	"Without a command: the cards, one a row, utilization of 200 ms.\n"
	"  -i CARD            this card only: index, PCI address, serial number or node; may be\n"
	"                     given several times. Default: all\n"
	"  --device CARD      the same; soft: the software device of this process\n"
	"  -q                 all that is known, by groups\n"
	"  --json             the same for programs; what is unknown is null\n"
	"  --csv [FIELD,...]  these fields, or all: a header, then a row a card\n"
	"  --no-header        no header\n"
	"  --no-units         no units after the values\n"
	"  -w [SECONDS]       again every so often (default: 1); q ends it. Lines where\n"
	"                     standard output is no terminal\n"
	"  --count N          of -w: end after N looks; of events: after N lines\n"
	"  --read FILE        no card, but what --json of this tool, aipu-fwcheck or aipu-fw status\n"
	"                     wrote into a file; - is standard input\n"
	"\n"
	"ps       processes on the cards: memory, of it KV caches, time, share of 200 ms\n"
	"reset    resets cards, if nobody's job runs, and says whether they are back\n"
	"  --wait[=SECONDS]   wait for running jobs to end (default: 60)\n"
	"  --force            end running jobs; with --wait, those that did not end\n"
	"  --recovery         start the host's firmware, not that in the card's flash\n"
	"set      limits of power and clock; resets do not change them\n"
	"  --power-limit W    watts\n"
	"  --clock-limit MHZ  megahertz\n"
	"  --default          the card's default, of what is not named\n"
	"events   a line for each reset, error, change of throttling or state\n"
	"  --interval MS      look that often (default: 1000); nothing is lost in between\n"
	"doctor   why a card cannot be used, and what to type; changes nothing. Its exit\n"
	"         status is that of the first problem; 0: usable\n"
	"  --qpc DIR          would this compiled model run, and does it fit\n"
	"report   writes a text file for a report of a bug, without names and addresses\n"
	"  -o, --output FILE  default: aipu-report-TIME.txt; - is standard output\n"
	"  --force            replace the file\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 usage, 3 no card, 4 no permission,\n"
	"5 driver not loaded, 6 card not answering, 130 interrupted, 141 closed pipe.\n";

void smi_help(void)
{
	fputs(help, stdout);
	exit(cli_finish(SMI_TOOL, CLI_OK));
}
