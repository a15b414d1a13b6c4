// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-fwcheck: do boot ROM, firmware, driver, libaipu and a compiled model fit each other, and if not, what is to be upgraded.
 * This file has the command line and what it asks for; GPL as it is linked with libpci.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "picks.h"
#include "show.h"
#include "snapshot.h"
#include "sources.h"

#define TOOL SNAPSHOT_TOOL

static const char help[] =
	"usage: aipu-fwcheck [-i CARD]... [--qpc DIR] [--firmware FILE] [--strict] [--json]\n"
	"       aipu-fwcheck --read FILE [--strict] [--json]\n"
	"       aipu-fwcheck -h | --help | --version\n"
	"\n"
	"Shows the versions of boot ROM, firmware, driver and libaipu of each card, and\n"
	"whether they fit; where they do not it says what to upgrade. It changes nothing.\n"
	"\n"
	"  -i CARD          this card only: index, PCI address, serial number or node; may be\n"
	"                   given several times. Default: all\n"
	"  --device CARD    the same; soft: the software device\n"
	"  --qpc DIR        is this compiled model fit for it, too?\n"
	"  --firmware FILE  with this image instead of the one that is installed; the software\n"
	"                   device is booted with it\n"
	"  --strict         an update that is available is exit status 7\n"
	"  --json           one JSON object: all versions, and the verdicts\n"
	"  --read FILE      judge what --json of this tool, aipu-smi or aipu-fw status\n"
	"                   wrote, here or elsewhere; - is standard input\n"
	"  --version        print the version\n"
	"  -h, --help       print this\n"
	"\n"
	"Exit status: 0 compatible, 1 incompatible or failed, 2 usage, 3 no card, 4 no permission,\n"
	"5 driver not loaded, 6 card not answering or unknown whether it fits, 7 update available\n"
	"(--strict), 130 interrupted, 141 closed pipe. Of several cards the first that holds of\n"
	"any, in the order 1, 6, 5, 4, 7.\n";

struct request {
	struct picks picks;
	bool strict, json;
	const char *program, *firmware, *snapshot;
};

/* One line whatever the arguments and files hold */
#define fail(code, ...) cli_fail(TOOL, code, __VA_ARGS__)

/* --- options -------------------------------------------------------------------------------------- */

static int check_request(const struct request *r)
{
	if (r->snapshot && (r->picks.count || r->program || r->firmware))
		return fail(CLI_USAGE, "--read goes with --strict and --json only");
	return CLI_OK;
}

/* -1: go on */
static int parse(int argc, char **argv, struct request *r)
{
	enum { DEVICE = 256, QPC, FIRMWARE, STRICT, JSON, READ, VERSION, HELP };
	static const struct option options[] = {
		{ "device", required_argument, NULL, DEVICE },
		{ "qpc", required_argument, NULL, QPC },
		{ "firmware", required_argument, NULL, FIRMWARE },
		{ "strict", no_argument, NULL, STRICT },
		{ "json", no_argument, NULL, JSON },
		{ "read", required_argument, NULL, READ },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	int c, code;

	while ((c = getopt_long(argc, argv, ":hi:", options, NULL)) != -1) {
		switch (c) {
		case 'i':
		case DEVICE:
			if (!picks_take(TOOL, &r->picks, c == 'i' ? "-i" : "--device", optarg))
				return CLI_USAGE;
			break;
		case QPC:
			if (!cli_text(TOOL, "--qpc", optarg, "a directory", &r->program))
				return CLI_USAGE;
			break;
		case FIRMWARE:
			if (!cli_text(TOOL, "--firmware", optarg, "an image", &r->firmware))
				return CLI_USAGE;
			break;
		case STRICT:
			r->strict = true;
			break;
		case JSON:
			r->json = true;
			break;
		case READ:
			if (!cli_text(TOOL, "--read", optarg, "a file, or - for standard input,",
				      &r->snapshot))
				return CLI_USAGE;
			break;
		case VERSION:
			cli_version(TOOL);
			return CLI_OK;
		case 'h':
		case HELP:
			fputs(help, stdout);
			return CLI_OK;
		default:
			return cli_bad_option(TOOL, NULL, c, argv);
		}
	}
	if (optind != argc)
		return fail(CLI_USAGE, "'%s': only options are expected; see aipu-fwcheck --help",
			    argv[optind]);
	code = check_request(r);
	return code ? code : -1;
}

/* --- what is asked for ---------------------------------------------------------------------------- */

static int read_snapshot(const struct request *r, struct facts *facts)
{
	char *text, why[FIELD_WHY];
	size_t bytes;
	int code;

	text = snapfile_read(TOOL, r->snapshot, &bytes, &code);
	if (!text)
		return code;
	if (snapshot_parse(facts, text, bytes, why))
		code = fail(CLI_FAILED, "%s: %s", r->snapshot, why);
	free(text);
	return code;
}

/* A model and an image that the command line names have to be there; whether they are any good is a verdict. */
static int read_files(const struct request *r, struct fw_program *program)
{
	struct fw_image image = { 0 };
	char why[512];
	int err;

	facts_program_clear(program);
	if (r->firmware) {
		err = image_read(&image, r->firmware, false);
		if (err)
			return fail(cli_exit_code(err), "--firmware %s: %s", r->firmware,
				    err == -EINVAL ? "a regular file is expected" : strerror(-err));
	}
	if (r->program) {
		err = program_read(program, r->program, why);
		if (err)
			return fail(cli_exit_code(err), "--qpc %s", why);
	}
	return CLI_OK;
}

/* The cards of the bus, and what became known of each that was asked, for its serial number or for good */
struct asked {
	const struct request *request;
	const struct fw_machine *machine;
	struct card_list list;
	struct fw_card *cards; /* one more than there are: the software device */
	bool *is_asked;
};

static void ask(struct asked *a, size_t index)
{
	if (a->is_asked[index])
		return;
	a->is_asked[index] = true;
	if (index == a->list.count)
		collect_soft(&a->cards[index], a->machine, a->request->firmware);
	else
		collect_card(&a->cards[index], a->machine, &a->list.cards[index],
			     a->request->firmware);
}

static void names_of(const void *asked, size_t index, const char **pci, const char **node)
{
	const struct asked *a = asked;

	*pci = a->list.cards[index].pci;
	*node = a->list.cards[index].node;
}

static const char *serial_of(void *asked, size_t index)
{
	struct asked *a = asked;

	ask(a, index);
	return a->cards[index].serial;
}

/* Asks those that are meant, and keeps them alone */
static int take_chosen(struct asked *a, const char *none, bool *chosen, struct facts *facts)
{
	const struct pick_list list = { a->list.count, a, names_of, serial_of, none };
	int code = picks_choose(TOOL, &a->request->picks, &list, chosen);

	for (size_t i = 0; !code && i <= a->list.count; i++) {
		if (!chosen[i])
			continue;
		ask(a, i);
		a->cards[facts->count++] = a->cards[i];
	}
	return code;
}

static int collect(const struct request *r, struct facts *facts)
{
	struct asked a = { .request = r, .machine = &facts->machine };
	bool *chosen = NULL;
	int code, err;

	collect_machine(&facts->machine);
	err = cards_list(&a.list);
	if (err && err != -ENOENT)
		return fail(CLI_FAILED, "the PCI bus cannot be read: %s", strerror(-err));
	a.cards = calloc(a.list.count + 1, sizeof(*a.cards));
	a.is_asked = calloc(a.list.count + 1, sizeof(*a.is_asked));
	chosen = calloc(a.list.count + 1, sizeof(*chosen));
	facts->cards = a.cards;
	if (a.cards && a.is_asked && chosen)
		code = take_chosen(&a, err ? CARDS_NO_BUS : CARDS_NONE, chosen, facts);
	else
		code = fail(CLI_FAILED, "%s", strerror(ENOMEM));
	free(a.is_asked);
	free(chosen);
	cards_free(&a.list);
	return code;
}

static int judge(const struct request *r, const struct facts *facts)
{
	struct verdicts *verdicts = calloc(facts->count, sizeof(*verdicts));
	int code = FWCHECK_COMPATIBLE;

	if (!verdicts)
		return fail(CLI_FAILED, "%s", strerror(ENOMEM));
	for (size_t i = 0; i < facts->count; i++) {
		verdict_judge(&facts->machine, &facts->cards[i], &verdicts[i]);
		code = verdict_worse(code, verdict_exit(&facts->cards[i], &verdicts[i], r->strict));
	}
	if (r->json && show_json(stdout, facts, verdicts, code, r->strict))
		code = fail(CLI_FAILED, "%s", strerror(ENOMEM));
	for (size_t i = 0; !r->json && i < facts->count; i++) {
		if (i)
			putchar('\n');
		show_card(stdout, &facts->machine, &facts->cards[i], &verdicts[i]);
	}
	free(verdicts);
	return code;
}

int main(int argc, char **argv)
{
	struct request r = { .strict = false };
	struct facts facts = { .count = 0 };
	int code;

	cli_start();
	cli_interruptible();
	opterr = 0; /* one line, ours */
	code = parse(argc, argv, &r);
	if (code >= 0)
		return cli_finish(TOOL, code);
	if (r.snapshot) {
		code = read_snapshot(&r, &facts);
	} else {
		code = read_files(&r, &facts.machine.program);
		if (!code)
			code = collect(&r, &facts);
	}
	if (!code)
		code = judge(&r, &facts);
	free(facts.cards);
	return cli_finish(TOOL, code);
}
