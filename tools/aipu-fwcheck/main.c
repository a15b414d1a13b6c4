// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-fwcheck: do boot ROM, firmware, driver, libaipu and a compiled model fit each other, and if not, what is to be upgraded.
 * This file has the command line and what it asks for; GPL as it is linked with libpci.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "show.h"
#include "snapshot.h"
#include "sources.h"

#define TOOL "aipu-fwcheck"
#define NAMES_MAX 64u

static const char help[] =
	"usage: aipu-fwcheck [-i CARD]... [--device soft] [--qpc DIR] [--firmware FILE]\n"
	"                    [--strict] [--json]\n"
	"       aipu-fwcheck --read FILE [--strict] [--json]\n"
	"       aipu-fwcheck -h | --help | --version\n"
	"\n"
	"Shows the versions of boot ROM, firmware, driver and libaipu of each card, and\n"
	"whether they fit; where they do not it says what to upgrade. It changes nothing.\n"
	"\n"
	"  -i CARD          this card: index, node, PCI address or serial number; may be given\n"
	"                   several times. Default: all; soft: as --device soft\n"
	"  --device soft    the software device instead\n"
	"  --qpc DIR        is this compiled model fit for it, too?\n"
	"  --firmware FILE  with this image instead of the one that is installed; the software\n"
	"                   device is booted with it\n"
	"  --strict         an update that is available is exit status 7\n"
	"  --json           one JSON object: all versions, and the verdicts\n"
	"  --read FILE      judge what --json wrote, here or elsewhere; - is standard input\n"
	"  --version        print the version\n"
	"  -h, --help       print this\n"
	"\n"
	"Exit status: 0 compatible, 1 incompatible or failed, 2 usage, 3 no card, 4 no permission,\n"
	"5 driver not loaded, 6 card not answering or unknown whether it fits, 7 update available\n"
	"(--strict), 130 interrupted, 141 closed pipe. Of several cards the first that holds of\n"
	"any, in the order 1, 6, 5, 4, 7.\n";

struct request {
	const char *cards[NAMES_MAX];
	size_t count;
	bool soft, strict, json;
	const char *program, *firmware, *snapshot;
};

/* One line whatever the arguments and files hold */
#define fail(code, ...) cli_fail(TOOL, code, __VA_ARGS__)

/* --- options -------------------------------------------------------------------------------------- */

static int check_request(const struct request *r)
{
	if (r->snapshot && (r->count || r->soft || r->program || r->firmware))
		return fail(CLI_USAGE, "--read goes with --strict and --json only");
	if (r->soft && r->count)
		return fail(CLI_USAGE,
			    "-i and --device soft: cards or the software device, not both");
	return CLI_OK;
}

/* Nothing is half written that anybody would miss, so the end may come anywhere, also while a read waits for its input. */
static void on_interrupt(int signal)
{
	(void)signal;
	_exit(CLI_INTERRUPTED);
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
			if (!strcmp(optarg, "soft")) {
				r->soft = true;
				break;
			}
			if (!*optarg)
				return fail(CLI_USAGE,
					    "-i '': an index, a node, a PCI address, a serial "
					    "number or soft is expected");
			if (r->count == NAMES_MAX)
				return fail(CLI_USAGE, "-i: at most %u cards are expected",
					    NAMES_MAX);
			r->cards[r->count++] = optarg;
			break;
		case DEVICE:
			if (strcmp(optarg, "soft") != 0)
				return fail(
					CLI_USAGE,
					"--device '%s': soft is expected; cards are chosen by -i",
					optarg);
			r->soft = true;
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
	bool is_stdin = !strcmp(r->snapshot, "-");
	FILE *in = is_stdin ? stdin : fopen(r->snapshot, "rbe");
	char *text, why[256] = "";
	int code = CLI_OK;
	size_t bytes;

	if (!in)
		return fail(cli_exit_code(-errno), "%s: %s", r->snapshot, strerror(errno));
	text = malloc(SNAPSHOT_BYTES + 1);
	errno = 0;
	bytes = text ? fread(text, 1, SNAPSHOT_BYTES + 1, in) : 0;
	if (!text || ferror(in))
		code = fail(CLI_FAILED, "%s: %s", r->snapshot, strerror(text ? errno : ENOMEM));
	else if (bytes > SNAPSHOT_BYTES)
		code = fail(CLI_FAILED, "%s: longer than the %u bytes that a snapshot has at most",
			    r->snapshot, SNAPSHOT_BYTES);
	else if (snapshot_parse(facts, text, bytes, why))
		code = fail(CLI_FAILED, "%s: not a snapshot of aipu-fwcheck: %s", r->snapshot, why);
	free(text);
	if (!is_stdin)
		fclose(in);
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
		err = image_read(&image, r->firmware, r->soft);
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

/* Was the card asked for, by any of its names? Marks those that were found. */
static bool is_wanted(const struct request *r, const struct card *pci, const struct fw_card *card,
		      bool *found)
{
	bool wanted = !r->count;

	for (size_t i = 0; i < r->count; i++) {
		if (!card_is(pci, r->cards[i]) &&
		    (!card->serial[0] || strcasecmp(card->serial, r->cards[i]) != 0))
			continue;
		found[i] = true;
		wanted = true;
	}
	return wanted;
}

/* Known by PCI alone, without asking the card? Then the others need not be asked. */
static bool named_by_pci(const struct request *r, const struct card_list *list)
{
	for (size_t i = 0; i < r->count; i++) {
		bool named = false;

		for (size_t j = 0; j < list->count; j++)
			named |= card_is(&list->cards[j], r->cards[i]);
		if (!named)
			return false;
	}
	return true;
}

static int take_cards(const struct request *r, const struct card_list *list, struct facts *facts)
{
	const struct fw_card nobody = { .serial = "" };
	bool found[NAMES_MAX] = { false }, by_pci = named_by_pci(r, list);

	facts->cards = calloc(list->count, sizeof(*facts->cards));
	if (!facts->cards)
		return fail(CLI_FAILED, "%s", strerror(ENOMEM));
	for (size_t i = 0; i < list->count; i++) {
		struct fw_card *card = &facts->cards[facts->count];

		if (by_pci && !is_wanted(r, &list->cards[i], &nobody, found))
			continue;
		collect_card(card, &facts->machine, &list->cards[i], r->firmware);
		facts->count += is_wanted(r, &list->cards[i], card, found);
	}
	for (size_t i = 0; i < r->count; i++)
		if (!found[i])
			return fail(CLI_NO_DEVICE,
				    "-i '%s': no such card: an index, a node, a PCI address or a "
				    "serial number is expected",
				    r->cards[i]);
	return CLI_OK;
}

static int collect(const struct request *r, struct facts *facts)
{
	struct card_list list;
	int code, err;

	collect_machine(&facts->machine);
	if (r->soft) {
		facts->cards = calloc(1, sizeof(*facts->cards));
		if (!facts->cards)
			return fail(CLI_FAILED, "%s", strerror(ENOMEM));
		facts->count = 1;
		collect_soft(facts->cards, &facts->machine, r->firmware);
		return CLI_OK;
	}
	err = cards_list(&list);
	if (err && err != -ENOENT)
		return fail(CLI_FAILED, "the PCI bus cannot be looked at: %s", strerror(-err));
	if (err || !list.count) {
		cards_free(&list);
		return fail(
			CLI_NO_DEVICE,
			"no card: none on the PCI bus; --device soft checks the software device");
	}
	code = take_cards(r, &list, facts);
	cards_free(&list);
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
	struct request r = { .count = 0 };
	struct facts facts = { .count = 0 };
	struct sigaction interrupt = { .sa_handler = on_interrupt };
	int code;

	cli_start();
	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGTERM, &interrupt, NULL);
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
