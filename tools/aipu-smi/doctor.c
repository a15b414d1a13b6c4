// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-smi doctor: the table of checks, the run through it, and what is said: a line a check, or JSON. Exit status: that of the
 * first problem in the table's order, which is the order in which things have to be right.
 */
#include "doctor.h"
#include "devices.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#define SCHEMA 1

const struct doctor_check doctor_checks[] = {
	{ "card", DOCTOR_OF_MACHINE, false, doctor_check_card },
	{ "module", DOCTOR_OF_MACHINE, false, doctor_check_module },
	{ "blacklist", DOCTOR_OF_MACHINE, false, doctor_check_blacklist },
	{ "signature", DOCTOR_OF_MACHINE, false, doctor_check_signature },
	{ "config", DOCTOR_OF_CARD, false, doctor_check_config },
	{ "bars", DOCTOR_OF_CARD, false, doctor_check_bars },
	{ "driver", DOCTOR_OF_CARD, false, doctor_check_driver },
	{ "loaded", DOCTOR_OF_MACHINE, true, doctor_check_loaded },
	{ "temperature", DOCTOR_OF_CARD, false, doctor_check_temperature },
	{ "firmware", DOCTOR_OF_CARD, false, doctor_check_firmware },
	{ "contract", DOCTOR_OF_CARD, false, doctor_check_contract },
	{ "slots", DOCTOR_OF_CARD, false, doctor_check_slots },
	{ "probe", DOCTOR_OF_CARD, true, doctor_check_probe },
	{ "node", DOCTOR_OF_CARD, true, doctor_check_node },
	{ "permission", DOCTOR_OF_CARD, true, doctor_check_permission },
	{ "open", DOCTOR_OF_DEVICE, true, doctor_check_open },
	{ "io_uring", DOCTOR_OF_MACHINE, false, doctor_check_uring },
	{ "memlock", DOCTOR_OF_MACHINE, false, doctor_check_memlock },
	{ "iommu", DOCTOR_OF_CARD, false, doctor_check_iommu },
	{ "link", DOCTOR_OF_CARD, false, doctor_check_link },
	{ "qpc", DOCTOR_OF_MACHINE, false, doctor_check_qpc },
	{ "qpc-contract", DOCTOR_OF_DEVICE, false, doctor_check_qpc_contract },
	{ "qpc-program", DOCTOR_OF_DEVICE, false, doctor_check_qpc_program },
	{ "qpc-memory", DOCTOR_OF_DEVICE, false, doctor_check_qpc_memory },
};
const size_t doctor_check_count = sizeof(doctor_checks) / sizeof(doctor_checks[0]);

static const char *const status_names[] = {
	[DOCTOR_OK] = "ok",	[DOCTOR_PROBLEM] = "problem",	      [DOCTOR_WARNING] = "warning",
	[DOCTOR_NOTE] = "note", [DOCTOR_NOT_CHECKED] = "not checked",
};

/* --- what checks say ------------------------------------------------------------------------------ */

/* Names of files, drivers and models may hold anything; terminals and JSON must not get it. */
static void clean(char *text)
{
	for (; *text; text++)
		*text = *text >= ' ' && *text < 0x7f ? *text : '?';
}

static void set(struct doctor_result *result, enum doctor_status status, int code,
		const char *format, va_list args)
{
	result->status = status;
	result->code = code;
	result->remedy[0] = '\0';
	vsnprintf(result->text, sizeof(result->text), format, args);
	clean(result->text);
}

void doctor_ok(struct doctor_result *result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(result, DOCTOR_OK, CLI_OK, format, args);
	va_end(args);
}

void doctor_problem(struct doctor_result *result, int code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(result, DOCTOR_PROBLEM, code, format, args);
	va_end(args);
}

void doctor_say(struct doctor_result *result, enum doctor_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	set(result, status, CLI_OK, format, args);
	va_end(args);
}

void doctor_append(struct doctor_result *result, const char *text)
{
	size_t used = strlen(result->text);

	snprintf(result->text + used, sizeof(result->text) - used, "%s", text);
}

/* --- the run -------------------------------------------------------------------------------------- */

/* The software device needs no card, no driver, no right and no pinned page. */
static bool concerns_soft(const struct doctor_check *check)
{
	return check->scope == DOCTOR_OF_DEVICE || check->look == doctor_check_qpc;
}

/* With the machine, or with this card; NULL: none */
static bool had_problem(const struct doctor_report *report, const struct doctor_card *card)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct doctor_line *line = &report->lines[i];

		if (line->result.status == DOCTOR_PROBLEM &&
		    (line->card == card ||
		     (!line->card && (!card->soft || concerns_soft(line->check)))))
			return true;
	}
	return false;
}

static void add(const struct doctor_facts *facts, const struct doctor_check *check,
		const struct doctor_card *card, struct doctor_report *report)
{
	struct doctor_line *line = &report->lines[report->count];

	*line = (struct doctor_line){ .check = check, .card = card };
	if (check->needs_all && had_problem(report, card))
		doctor_say(&line->result, DOCTOR_NOT_CHECKED, "a problem above comes first");
	else
		check->look(facts, card, &line->result);
	if (line->result.status == DOCTOR_PROBLEM && !report->code)
		report->code = line->result.code;
	report->count++;
}

bool doctor_run(const struct doctor_facts *facts, struct doctor_report *report)
{
	size_t most = doctor_check_count * (facts->card_count + 1);

	*report = (struct doctor_report){ .lines = calloc(most, sizeof(*report->lines)) };
	if (!report->lines)
		return false;
	for (size_t i = 0; i < doctor_check_count; i++) {
		const struct doctor_check *check = &doctor_checks[i];

		if (check->scope == DOCTOR_OF_MACHINE &&
		    (!facts->only_soft || concerns_soft(check)))
			add(facts, check, NULL, report);
		for (size_t j = 0; check->scope != DOCTOR_OF_MACHINE && j < facts->card_count; j++)
			if (!facts->cards[j].soft || concerns_soft(check))
				add(facts, check, &facts->cards[j], report);
	}
	return true;
}

void doctor_report_free(struct doctor_report *report)
{
	free(report->lines);
	*report = (struct doctor_report){ 0 };
}

/* --- what is said --------------------------------------------------------------------------------- */

static const char *device_name(const struct doctor_card *card)
{
	return !card ? "" : card->soft ? "soft" : card->pci.pci;
}

static const char *sudo(const struct doctor_result *result)
{
	return result->as_root && geteuid() ? "sudo " : "";
}

void doctor_print(const struct doctor_report *report, FILE *out)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct doctor_line *line = &report->lines[i];
		const struct doctor_result *result = &line->result;

		fprintf(out, "%-11s  %-12s  %s%s%s", status_names[result->status],
			line->check->name, device_name(line->card), line->card ? ": " : "",
			result->text);
		if (result->remedy[0])
			fprintf(out, "; do: %s%s", sudo(result), result->remedy);
		fputc('\n', out);
	}
	fprintf(out, "%s\n", report->code ? "not usable" : "usable");
}

static json_t *text_or_null(const char *text)
{
	return text[0] ? json_string(text) : json_null();
}

static json_t *line_describe(const struct doctor_line *line)
{
	const struct doctor_result *result = &line->result;
	char remedy[sizeof(result->remedy) + 8] = "";

	if (result->remedy[0])
		snprintf(remedy, sizeof(remedy), "%s%s", sudo(result), result->remedy);
	return json_pack(
		"{s:s, s:o, s:s, s:s, s:o, s:o}", "check", line->check->name, "device",
		text_or_null(device_name(line->card)), "status", status_names[result->status],
		"text", result->text, "remedy", text_or_null(remedy), "code",
		result->status == DOCTOR_PROBLEM ? json_integer(result->code) : json_null());
}

static int print_json(const struct doctor_report *report)
{
	json_t *checks = json_array(), *root;

	for (size_t i = 0; i < report->count; i++)
		json_array_append_new(checks, line_describe(&report->lines[i]));
	root = json_pack("{s:i, s:b, s:i, s:o}", "schema_version", SCHEMA, "usable", !report->code,
			 "exit_status", report->code, "checks", checks);
	if (!root)
		return smi_fail(CLI_FAILED, "out of memory");
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(root);
	return report->code;
}

/* --- the command ---------------------------------------------------------------------------------- */

struct arguments {
	struct picks picks;
	const char *qpc;
	bool json;
};

enum { OPT_QPC = 256, OPT_JSON };

static bool take(void *to, int c, char **argv)
{
	struct arguments *arguments = to;

	(void)argv;
	if (c == OPT_JSON) {
		arguments->json = true;
		return true;
	}
	arguments->qpc = optarg;
	if (!optarg[0])
		smi_fail(CLI_USAGE, "--qpc '': a directory is expected");
	return optarg[0];
}

/* An exit code after a message, or 0 */
static int take_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option own[] = {
		{ "qpc", required_argument, NULL, OPT_QPC },
		{ "json", no_argument, NULL, OPT_JSON },
		{ NULL, 0, NULL, 0 },
	};
	static const struct smi_options options = { own, ":i:h", take };
	int code = smi_options(argc, argv, &options, &arguments->picks, arguments);

	return code ? code : smi_no_operand(argc, argv);
}

static int look(const struct arguments *arguments)
{
	struct doctor_report report;
	struct doctor_facts facts;
	int code = doctor_gather(&facts, &arguments->picks, arguments->qpc);

	if (!code && !doctor_run(&facts, &report)) {
		code = smi_fail(CLI_FAILED, "out of memory");
	} else if (!code) {
		code = report.code;
		if (arguments->json)
			code = print_json(&report);
		else
			doctor_print(&report, stdout);
		doctor_report_free(&report);
	}
	doctor_free(&facts);
	return code;
}

int smi_doctor(int argc, char **argv)
{
	struct arguments arguments = { .qpc = NULL };
	int code = take_arguments(argc, argv, &arguments);

	return code ? code : look(&arguments);
}
