// SPDX-License-Identifier: MIT
/* aipu-fw flash, activate and status: which devices, their lines on stdout, and the exit code of all of them. */
#include "fw.h"
#include "text.h"
#include "update.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
	const char *command, *read; /* a snapshot */
	struct picks picks; /* none: the one card */
	bool all, as_json, bare_wait; /* bare: --wait without seconds */
	struct fw_request request;
};

/* More than one card is never a guess, where something is changed */
static int find_targets(const struct options *o, struct fw_targets *targets)
{
	bool changes = strcmp(o->command, "status") != 0;
	int code = fw_targets_find(targets, &o->picks);

	if (!code && targets->count > 1 && changes && !o->all && !o->picks.count)
		return fw_fail(CLI_USAGE, "%zu cards: -i CARD or --all is expected",
			       targets->count);
	return code;
}

const char *fw_target_device(const struct fw_target *target)
{
	return target->pci[0] ? target->pci : target->name;
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
	case 'i':
	case 'd':
		return picks_take(FW_TOOL, &o->picks, c == 'i' ? "-i" : "--device", optarg)
			       ? CLI_OK
			       : CLI_USAGE;
	case 'R':
		return cli_text(FW_TOOL, "--read", optarg, "a file, or - for standard input,",
				&o->read)
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
	while (!code && (c = getopt_long(argc, argv, ":i:h", options, NULL)) != -1)
		code = take_option(c, argv, o);
	for (int i = optind; !code && o->bare_wait && i < argc; i++)
		if (parse_seconds(argv[i], &o->request.wait_s))
			code = fw_fail(CLI_USAGE, "%s: '%s': seconds are given as --wait=%s",
				       argv[0], argv[i], argv[i]);
	if (!code && o->all && o->picks.count)
		code = fw_fail(CLI_USAGE, "%s: -i and --all exclude each other", argv[0]);
	if (!code && o->read && (o->all || o->picks.count))
		code = fw_fail(CLI_USAGE,
			       "%s: --read shows a file: it takes no -i, --device and --all",
			       argv[0]);
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

/*
 * A software device in whose flash nothing starts, and which refuses the built-in image, is started with the image that it is to
 * keep: whatever that is, the boot ROM judges it.
 */
static int open_to_change(struct aipu_device **device, const char *name,
			  const struct fw_request *request, struct aipu_message *message)
{
	const struct aipu_device_options given = { .firmware = request->path };
	int err = aipu_device_open(device, name, NULL, message);

	if (err == -ENOEXEC && request->image && !strcmp(name, "soft"))
		err = aipu_device_open(device, name, &given, message);
	return err;
}

static void change(const struct fw_target *target, const struct fw_request *request,
		   struct fw_outcome *outcome)
{
	const char *name = target->name;
	struct aipu_message message = { "" };
	struct aipu_device *device;
	int err;

	if (fw_interrupted) {
		say(outcome, CLI_INTERRUPTED, "interrupted", name,
		    "interrupted before it was touched");
		return;
	}
	if (target->problem[0]) {
		say(outcome, target->code, "failed", name, target->problem);
		return;
	}
	err = open_to_change(&device, name, request, &message);
	if (err) {
		say(outcome, cli_exit_code(err), "failed", name,
		    message.text[0] ? message.text : strerror(-err));
		return;
	}
	fw_update(device, name, request, outcome);
	aipu_device_close(device);
}

static json_t *outcome_json(const struct fw_target *target, const struct fw_outcome *outcome)
{
	return json_pack("{s:s, s:s, s:i, s:s?, s:o, s:s?, s:s}", "device",
			 fw_target_device(target), "result", outcome->result, "exit_status",
			 outcome->code, "slot",
			 outcome->slot < 0 ? NULL : slot_words[outcome->slot & 1], "error",
			 outcome->error ? json_integer(outcome->error) : json_null(), "error_text",
			 outcome->error ? aipu_error_text(outcome->error) : NULL, "message",
			 outcome->text);
}

/* Takes the list; text of devices is plain by now */
static int print_results(json_t *list)
{
	json_t *root = list ? json_pack("{s:i, s:s, s:o}", "schema_version", SNAPFILE_SCHEMA,
					"tool", FW_TOOL, "results", list)
			    : NULL;

	if (!root || snapfile_write(stdout, root, false))
		return fw_fail(CLI_FAILED, "out of memory");
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
static int change_all(const struct options *o, const struct fw_targets *targets)
{
	json_t *list = o->as_json ? json_array() : NULL;
	struct fw_outcome outcome;
	int code = CLI_OK, lost = 0;

	take_signals();
	for (size_t i = 0; i < targets->count; i++) {
		change(&targets->list[i], &o->request, &outcome);
		TEXT_CLEAN(outcome.text, outcome.text);
		code = code ? code : outcome.code;
		if (o->as_json)
			json_array_append_new(list, outcome_json(&targets->list[i], &outcome));
		else
			print_line(outcome.text, &lost);
	}
	if (o->as_json && print_results(list))
		return CLI_FAILED;
	return lost ? lost_output(lost) : code;
}

static int run(const struct options *o)
{
	struct fw_targets targets;
	int code = find_targets(o, &targets);

	if (!code)
		code = change_all(o, &targets);
	free(targets.list);
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

/* --- status --------------------------------------------------------------------------------------- */

/* An exit code after a message; what is known then is in *state all the same */
static int look(const struct fw_target *target, struct fw_state *state)
{
	struct aipu_message message = { "" };
	struct aipu_flash_info flash;
	struct aipu_device_info info = { .board_id = 0 };
	struct aipu_device *device;
	const char *name = target->name;
	char fault[SOFTFLASH_TEXT + 80];
	int err, has_flash;
	bool soft = !target->node[0];

	fw_state_clear(state);
	snprintf(state->pci_address, sizeof(state->pci_address), "%s", target->pci);
	snprintf(state->node, sizeof(state->node), "%s", target->node);
	if (target->problem[0]) {
		snprintf(state->state, sizeof(state->state), "%s", target->state);
		snprintf(state->problem, sizeof(state->problem), "%s", target->problem);
		return fw_fail(target->code, "%s: %s", name, target->problem);
	}
	err = aipu_device_open(&device, name, NULL, &message);
	if (err) {
		if (soft)
			fw_state_take_file(state);
		TEXT_CLEAN(state->problem, message.text);
		return fw_fail(cli_exit_code(err), "%s",
			       message.text[0] ? message.text : strerror(-err));
	}
	err = aipu_device_query(device, &info);
	has_flash = err ? err : aipu_flash_query(device, &flash);
	aipu_device_close(device);
	if (!err)
		fw_state_take(state, &info, has_flash ? NULL : &flash);
	if (has_flash && has_flash != -EOPNOTSUPP) {
		state->flash.count = UNKNOWN32;
		snprintf(state->problem, sizeof(state->problem), "its flash cannot be read: %.200s",
			 soft && softflash_fault(has_flash, fault, sizeof(fault))
				 ? fault
				 : strerror(-has_flash));
		return fw_fail(cli_exit_code(has_flash), "%s: %s", name, state->problem);
	}
	if (has_flash && soft && !softflash_text(fault, sizeof(fault)))
		fw_fail(0, "%s: %s", name, FW_NO_STATE_DIRECTORY);
	return CLI_OK;
}

static int print_states(const struct snapfile_head *head, const struct fw_state *states,
			size_t count)
{
	json_t *root = fw_state_make(head, states, count);

	if (!root || snapfile_write(stdout, root, false))
		return fw_fail(CLI_FAILED, "out of memory");
	return CLI_OK;
}

static int status_of_devices(const struct options *o)
{
	struct fw_targets targets;
	struct snapfile_head head;
	struct fw_state *states;
	int code = find_targets(o, &targets), one;

	states = calloc(targets.count + 1, sizeof(*states));
	if (!code && !states)
		code = fw_fail(CLI_FAILED, "out of memory");
	if (code)
		targets.count = 0;
	for (size_t i = 0; i < targets.count; i++) {
		one = look(&targets.list[i], &states[i]);
		/* Of one that does not start its flash may be known */
		if (!o->as_json && (!one || states[i].flash.count == CARD_SLOTS))
			fw_render(stdout, &states[i]);
		code = code ? code : one;
	}
	snapfile_now(&head, aipu_version());
	if (o->as_json && targets.count && print_states(&head, states, targets.count))
		code = CLI_FAILED;
	free(states);
	free(targets.list);
	return code;
}

static int status_of_file(const struct options *o)
{
	struct snapfile_head head;
	struct fw_state *states;
	char *text, why[FIELD_WHY];
	size_t bytes, count;
	int code;

	text = snapfile_read(FW_TOOL, o->read, &bytes, &code);
	if (!text)
		return code;
	if (fw_state_parse(text, bytes, &head, &states, &count, why))
		code = fw_fail(CLI_FAILED, "%s: %s", o->read, why);
	else if (o->as_json)
		code = print_states(&head, states, count);
	for (size_t i = 0; !o->as_json && i < count; i++)
		fw_render(stdout, &states[i]);
	free(states);
	free(text);
	return code;
}

int fw_status(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' }, { "all", no_argument, NULL, 'a' },
		{ "read", required_argument, NULL, 'R' },   { "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },	    { NULL, 0, NULL, 0 },
	};
	struct options o = { 0 };
	int code = parse(argc, argv, options, &o);

	if (code)
		return code;
	if (optind < argc)
		return fw_fail(CLI_USAGE, "status: '%s': only options are expected", argv[optind]);
	return o.read ? status_of_file(&o) : status_of_devices(&o);
}
