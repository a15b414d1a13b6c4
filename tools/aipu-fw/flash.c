// SPDX-License-Identifier: MIT
/* aipu-fw flash, activate and status: which devices, their lines on stdout, and the exit code of all of them. */
#include "fw.h"
#include "update.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *command, *device; /* device NULL: the one card */
	bool all, as_json, bare_wait; /* bare: --wait without seconds */
	struct fw_request request;
};

/* The devices that a command is for; more than one card is never a guess */
struct targets {
	char (*names)[16];
	const char *one; /* as it was given */
	size_t count;
};

static const char *target_name(const struct targets *targets, size_t i)
{
	return targets->one ? targets->one : targets->names[i];
}

static int find_targets(const struct options *o, struct targets *targets)
{
	bool changes = strcmp(o->command, "status") != 0;
	int err;

	*targets = (struct targets){ .one = o->device, .count = 1 };
	if (o->device)
		return CLI_OK;
	err = fw_cards(&targets->names, &targets->count);
	if (err)
		return fw_fail_file("/dev/accel", err);
	if (!targets->count && !changes && !o->all) {
		targets->one = "soft";
		targets->count = 1;
		return CLI_OK;
	}
	if (!targets->count)
		return fw_fail(
			CLI_NO_DEVICE,
			"no card: no node in /dev/accel is of the driver aipu_accel; --device "
			"soft is the software device");
	if (targets->count > 1 && changes && !o->all)
		return fw_fail(CLI_USAGE, "%zu cards: --device NAME or --all is expected",
			       targets->count);
	return CLI_OK;
}

/* --- options -------------------------------------------------------------------------------------- */

static bool parse_slot(const char *text, int *slot)
{
	if (!strcmp(text, "auto"))
		*slot = -1;
	else if (!strcasecmp(text, "a"))
		*slot = 0;
	else if (!strcasecmp(text, "b"))
		*slot = 1;
	else
		return false;
	return true;
}

static bool parse_seconds(const char *text, unsigned int *seconds)
{
	char *end;
	unsigned long value;

	if (!text) {
		*seconds = FW_WAIT_SECONDS;
		return true;
	}
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	*seconds = (unsigned int)value;
	return !errno && !*end && value >= 1 && value <= 86400;
}

static int take_option(int c, char **argv, struct options *o)
{
	switch (c) {
	case 'd':
		return cli_text(FW_TOOL, "--device", optarg, CLI_DEVICE_NAME, &o->device)
			       ? CLI_OK
			       : CLI_USAGE;
	case 'a':
		o->all = true;
		return CLI_OK;
	case 'j':
		o->as_json = true;
		return CLI_OK;
	case 'n':
		o->request.activate = false;
		return CLI_OK;
	case 'f':
		o->request.force = true;
		return CLI_OK;
	case 'r':
		o->request.dry_run = true;
		return CLI_OK;
	case 's':
		return parse_slot(optarg, &o->request.slot)
			       ? CLI_OK
			       : fw_bad_value("slot", optarg, "a, b or auto");
	case 'w':
		o->bare_wait = !optarg;
		return parse_seconds(optarg, &o->request.wait_s)
			       ? CLI_OK
			       : fw_bad_value("wait", optarg, "1 to 86400 seconds");
	default:
		return fw_other_option(c, argv);
	}
}

static int parse(int argc, char **argv, const struct option *options, struct options *o)
{
	int c, code = CLI_OK;

	o->command = argv[0];
	o->request.slot = -1;
	o->request.activate = true;
	o->request.progress = isatty(STDERR_FILENO);
	while (!code && (c = getopt_long(argc, argv, ":h", options, NULL)) != -1)
		code = take_option(c, argv, o);
	for (int i = optind; !code && o->bare_wait && i < argc; i++)
		if (parse_seconds(argv[i], &o->request.wait_s))
			code = fw_fail(CLI_USAGE, "%s: '%s': seconds are given as --wait=%s",
				       argv[0], argv[i], argv[i]);
	if (!code && o->all && o->device)
		code = fw_fail(CLI_USAGE, "%s: --device and --all exclude each other", argv[0]);
	return code;
}

/* --- each device ---------------------------------------------------------------------------------- */

static void interrupt(int number)
{
	(void)number;
	fw_interrupted = 1;
}

static void take_signals(void)
{
	const struct sigaction action = { .sa_handler = interrupt };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

static void say(struct fw_outcome *outcome, int code, const char *result, const char *name,
		const char *text)
{
	size_t length = strlen(name);
	/* Texts of libaipu begin with the name as a rule */
	bool named = !strncmp(text, name, length) && !strncmp(text + length, ": ", 2);

	*outcome = (struct fw_outcome){ .code = code, .result = result, .slot = -1 };
	snprintf(outcome->text, sizeof(outcome->text), "%s%s%s", named ? "" : name,
		 named ? "" : ": ", text);
}

/* False: there is no such device, and so it has no line of result */
static bool change(const char *name, const struct fw_request *request, struct fw_outcome *outcome)
{
	struct aipu_message message = { "" };
	struct aipu_device *device;
	int err;

	if (fw_interrupted) {
		say(outcome, CLI_INTERRUPTED, "interrupted", name,
		    "interrupted before it was touched");
		return true;
	}
	err = aipu_device_open(&device, name, NULL, &message);
	if (err) {
		say(outcome, cli_exit_code(err), "failed", name,
		    message.text[0] ? message.text : strerror(-err));
		return cli_exit_code(err) != CLI_NO_DEVICE && err != -EINVAL;
	}
	fw_update(device, name, request, outcome);
	aipu_device_close(device);
	return true;
}

static json_t *outcome_json(const char *name, const struct fw_outcome *outcome)
{
	static const char *const letters[] = { "A", "B" };
	json_t *error = outcome->error ? json_pack("{s:I, s:s}", "code", (json_int_t)outcome->error,
						   "text", aipu_error_text(outcome->error))
				       : json_null();

	return json_pack("{s:s, s:s, s:i, s:s?, s:o, s:s}", "device", name, "result",
			 outcome->result, "exit_status", outcome->code, "slot",
			 outcome->slot < 0 ? NULL : letters[outcome->slot & 1], "error", error,
			 "message", outcome->text);
}

/* Takes the list; text of devices is plain by now, and a name that is no UTF-8 names none */
static int print_json(json_t *list)
{
	json_t *object = list ? json_pack("{s:i, s:o}", "schema_version", 1, "devices", list)
			      : NULL;
	int err = object ? json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : -1;

	json_decref(object);
	if (err)
		return fw_fail(CLI_FAILED, "the result could not be put into JSON");
	putchar('\n');
	return CLI_OK;
}

/* At once, for whom it may take minutes; *lost: why one could not be written */
static void print_line(const char *text, int *lost)
{
	puts(text);
	if (!fflush(stdout))
		return;
	*lost = *lost ? *lost : errno;
	clearerr(stdout); /* whether it is told is ours now, not cli_finish's */
}

static int lost_output(int err)
{
	if (err == EPIPE)
		return CLI_CLOSED_PIPE;
	return fw_fail(CLI_FAILED, "cannot write to standard output: %s", strerror(err));
}

/* A line, or an object of the list, for each; of several that fail the first one's exit code is all of theirs */
static int change_all(const struct options *o, const struct targets *targets)
{
	json_t *list = o->as_json ? json_array() : NULL;
	struct fw_outcome outcome;
	int code = CLI_OK;
	int lost = 0;
	bool there;

	take_signals();
	for (size_t i = 0; i < targets->count; i++) {
		const char *name = target_name(targets, i);

		there = change(name, &o->request, &outcome);
		fw_plain(outcome.text, sizeof(outcome.text), outcome.text, sizeof(outcome.text));
		code = code ? code : outcome.code;
		if (o->as_json) {
			json_array_append_new(list, outcome_json(name, &outcome));
		} else if (!there) {
			fw_fail(0, "%s", outcome.text);
		} else {
			print_line(outcome.text, &lost);
		}
	}
	if (o->as_json && print_json(list))
		return CLI_FAILED;
	return lost ? lost_output(lost) : code;
}

static int run(const struct options *o)
{
	struct targets targets;
	int code = find_targets(o, &targets);

	if (!code)
		code = change_all(o, &targets);
	free(targets.names);
	return code;
}

/* --- the commands --------------------------------------------------------------------------------- */

int fw_flash(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "all", no_argument, NULL, 'a' },
		{ "slot", required_argument, NULL, 's' },
		{ "no-activate", no_argument, NULL, 'n' },
		{ "wait", optional_argument, NULL, 'w' },
		{ "force", no_argument, NULL, 'f' },
		{ "dry-run", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { 0 };
	int code = parse(argc, argv, options, &o);
	void *image;

	if (code)
		return code;
	if (optind == argc)
		return fw_fail(CLI_USAGE, "flash: IMAGE is missing: the file to write");
	if (optind + 1 < argc)
		return fw_fail(CLI_USAGE, "flash: '%s': one IMAGE is expected", argv[optind + 1]);
	o.request.path = argv[optind];
	if (!*o.request.path)
		return fw_fail(CLI_USAGE, "flash: IMAGE '': a file is expected");
	image = fw_read_file(o.request.path, AIPU_FIRMWARE_MAX_BYTES, &o.request.bytes, &code);
	if (!image)
		return code;
	o.request.image = image;
	if (!o.request.bytes)
		code = fw_fail(CLI_FAILED, "%s: empty: a firmware image is expected",
			       o.request.path);
	else
		code = run(&o);
	free(image);
	return code;
}

int fw_activate(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "all", no_argument, NULL, 'a' },
		{ "slot", required_argument, NULL, 's' },
		{ "wait", optional_argument, NULL, 'w' },
		{ "force", no_argument, NULL, 'f' },
		{ "dry-run", no_argument, NULL, 'r' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { 0 };
	int code = parse(argc, argv, options, &o);

	if (code)
		return code;
	if (optind < argc)
		return fw_fail(CLI_USAGE, "activate: '%s': only options are expected",
			       argv[optind]);
	return run(&o);
}

/* One device: its lines, or an object for *list */
static int show(const char *name, json_t *list)
{
	struct aipu_message message = { "" };
	struct aipu_flash_info flash;
	struct aipu_device_info info = { .board_id = 0 };
	struct aipu_device *device;
	int err = aipu_device_open(&device, name, NULL, &message);
	char fault[FW_FILE_TEXT + 80];
	int has_flash;
	bool soft;

	if (err)
		return fw_fail(cli_exit_code(err), "%s",
			       message.text[0] ? message.text : strerror(-err));
	err = aipu_device_query(device, &info);
	has_flash = err ? err : aipu_flash_query(device, &flash);
	aipu_device_close(device);
	soft = info.board_id == AIPU_BOARD_SOFT && !info.node[0];
	if (has_flash && has_flash != -EOPNOTSUPP)
		return fw_fail(cli_exit_code(has_flash), "%s: its flash cannot be read: %s", name,
			       soft && fw_flash_file_fault(has_flash, fault, sizeof(fault))
				       ? fault
				       : strerror(-has_flash));
	if (has_flash && soft && !fw_flash_file_text(fault, sizeof(fault)))
		fw_fail(0, "%s: %s", name, FW_NO_STATE_DIRECTORY);
	if (list)
		return json_array_append_new(list,
					     fw_render_json(name, &info, has_flash ? NULL : &flash))
			       ? fw_fail(CLI_FAILED, "%s: out of memory", name)
			       : CLI_OK;
	fw_render(stdout, info.name, &info, has_flash ? NULL : &flash);
	return CLI_OK;
}

int fw_status(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct options o = { 0 };
	int code = parse(argc, argv, options, &o), one;
	struct targets targets;
	json_t *list = NULL;

	if (code)
		return code;
	if (optind < argc)
		return fw_fail(CLI_USAGE, "status: '%s': only options are expected", argv[optind]);
	code = find_targets(&o, &targets);
	if (!code && o.as_json)
		list = json_array();
	for (size_t i = 0; i < targets.count && (!code || targets.count > 1); i++) {
		one = show(target_name(&targets, i), list);
		code = code ? code : one;
	}
	if (o.as_json && list && print_json(list))
		code = CLI_FAILED;
	free(targets.names);
	return code;
}
