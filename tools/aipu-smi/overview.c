// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-smi without a command: looks at the cards once or, with -w, again and again, or at a snapshot in a file, and shows them in
 * one of four forms.
 */
#include "watch.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_FILE_BYTES (16u << 20)
#define DEFAULT_INTERVAL_S 1.0

struct options {
	struct smi_picks picks;
	struct smi_view view;
	const char *read; /* file; "-": stdin */
	const char *csv_list;
	int forms; /* of -q, --json, --csv, how many were given */
};

int smi_view_write(FILE *out, const struct smi_view *view, const struct smi_snapshot *snapshot,
		   bool first, bool log)
{
	switch (view->form) {
	case SMI_QUERY:
		smi_query_write(out, snapshot);
		break;
	case SMI_CSV:
		if (first)
			smi_csv_header(out, &view->csv);
		smi_csv_rows(out, &view->csv, snapshot);
		break;
	case SMI_JSON:
		if (smi_json_write(out, snapshot, log))
			return smi_fail(CLI_FAILED, "out of memory");
		break;
	case SMI_TABLE:
		if (log)
			smi_lines_write(out, snapshot, first);
		else
			smi_table_write(out, snapshot, view->colour);
	}
	return CLI_OK;
}

/* --- looking ------------------------------------------------------------------------------------- */

static int look_once(const struct smi_devices *devices, const struct smi_view *view)
{
	struct timespec window = { .tv_nsec = SMI_SAMPLE_MS * 1000000l };
	struct smi_sample *samples = calloc(2 * devices->count, sizeof(*samples));
	struct smi_sample *now = samples + devices->count;
	struct smi_snapshot snapshot;
	int code = CLI_OK;

	if (!samples)
		return smi_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; i < devices->count; i++)
		smi_sample(&devices->list[i], &samples[i]);
	while (nanosleep(&window, &window) && errno == EINTR)
		;
	if (smi_collect(devices, samples, now, &snapshot)) {
		free(samples);
		return smi_fail(CLI_FAILED, "out of memory");
	}
	code = smi_view_write(stdout, view, &snapshot, true, false);
	for (size_t i = 0; i < devices->count; i++)
		code = smi_worse(code, smi_state_code(&devices->list[i], &now[i]));
	smi_snapshot_free(&snapshot);
	free(samples);
	return code;
}

static int look(const struct options *o)
{
	struct smi_devices devices;
	int code;

	if (o->view.interval_s > 0)
		smi_signals_hold();
	code = smi_devices_open(&devices, &o->picks);
	if (code)
		return code;
	if (o->view.interval_s > 0)
		code = smi_watch(&devices, &o->view);
	else
		code = look_once(&devices, &o->view);
	smi_devices_close(&devices);
	return code;
}

/* --- a file -------------------------------------------------------------------------------------- */

/* Nothing is written yet, and the file may be a pipe that never ends */
static void on_interrupt(int signal)
{
	(void)signal;
	_exit(CLI_INTERRUPTED);
}

static char *read_all(const char *path, size_t *bytes)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *in = is_stdin ? stdin : fopen(path, "re");
	char *text;

	if (!in)
		return NULL;
	text = malloc(MAX_FILE_BYTES + 1);
	if (text) {
		*bytes = fread(text, 1, MAX_FILE_BYTES + 1, in);
		if (ferror(in)) {
			free(text);
			text = NULL;
		}
	}
	if (!is_stdin)
		fclose(in);
	return text;
}

static int show_file(const struct options *o)
{
	struct sigaction interrupt = { .sa_handler = on_interrupt };
	struct smi_snapshot snapshot;
	size_t bytes = 0;
	char why[256];
	char *text;
	int err;

	sigaction(SIGINT, &interrupt, NULL);
	sigaction(SIGTERM, &interrupt, NULL);
	errno = 0;
	text = read_all(o->read, &bytes);
	if (!text)
		return smi_fail(cli_exit_code(-errno), "%s: %s", o->read,
				strerror(errno ? errno : ENOMEM));
	if (bytes > MAX_FILE_BYTES) {
		free(text);
		return smi_fail(CLI_FAILED, "%s: larger than the %u bytes that are permitted",
				o->read, MAX_FILE_BYTES);
	}
	err = smi_json_read(text, bytes, &snapshot, why, sizeof(why));
	free(text);
	if (err)
		return smi_fail(CLI_FAILED, "%s: %s", o->read, why);
	err = smi_view_write(stdout, &o->view, &snapshot, true, false);
	smi_snapshot_free(&snapshot);
	return err;
}

/* --- options ------------------------------------------------------------------------------------- */

enum {
	OPT_DEVICE = 256,
	OPT_JSON,
	OPT_CSV,
	OPT_NO_HEADER,
	OPT_NO_UNITS,
	OPT_COUNT,
	OPT_READ,
	OPT_VERSION
};

static const struct option table[] = {
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "csv", optional_argument, NULL, OPT_CSV },
	{ "no-header", no_argument, NULL, OPT_NO_HEADER },
	{ "no-units", no_argument, NULL, OPT_NO_UNITS },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "read", required_argument, NULL, OPT_READ },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* The value of an option that need not have one: of "--csv=a" or "--csv a" */
static const char *optional_value(char **argv)
{
	if (optarg || !argv[optind] || argv[optind][0] == '-')
		return optarg;
	return argv[optind++];
}

static bool take_watch(struct options *o, char **argv)
{
	const char *text = optional_value(argv);

	o->view.interval_s = DEFAULT_INTERVAL_S;
	return !text || cli_real(SMI_TOOL, "-w", text, 0.05, 86400, &o->view.interval_s);
}

static bool take(struct options *o, int c, char **argv)
{
	switch (c) {
	case 'i':
		return smi_pick(&o->picks, "-i", optarg);
	case OPT_DEVICE:
		return smi_pick(&o->picks, "--device", optarg);
	case 'q':
		o->view.form = SMI_QUERY;
		o->forms++;
		return true;
	case OPT_JSON:
		o->view.form = SMI_JSON;
		o->forms++;
		return true;
	case OPT_CSV:
		o->view.form = SMI_CSV;
		o->csv_list = optional_value(argv);
		o->forms++;
		return true;
	case OPT_NO_HEADER:
		o->view.csv.no_header = true;
		return true;
	case OPT_NO_UNITS:
		o->view.csv.no_units = true;
		return true;
	case 'w':
		return take_watch(o, argv);
	case OPT_COUNT:
		return cli_integer(SMI_TOOL, "--count", optarg, 1, INT64_MAX, &o->view.count);
	case OPT_READ:
		return cli_text(SMI_TOOL, "--read", optarg, "a file, or - for standard input,",
				&o->read);
	case OPT_VERSION:
		cli_version(SMI_TOOL);
		exit(cli_finish(SMI_TOOL, CLI_OK));
	case 'h':
		smi_help();
	default:
		smi_bad_option(c, argv);
		return false;
	}
}

static int check(const struct options *o, int argc, char **argv)
{
	const struct smi_view *view = &o->view;

	if (optind < argc)
		return smi_fail(
			CLI_USAGE,
			"'%s' is not expected here; a command comes first, see aipu-smi --help",
			argv[optind]);
	if (o->forms > 1)
		return smi_fail(CLI_USAGE, "one of -q, --json and --csv is expected");
	if ((view->csv.no_header || view->csv.no_units) && view->form != SMI_CSV)
		return smi_fail(CLI_USAGE, "--no-header and --no-units belong to --csv");
	if (view->count && view->interval_s <= 0)
		return smi_fail(CLI_USAGE, "--count belongs to -w");
	if (o->read && (view->interval_s > 0 || o->picks.count))
		return smi_fail(CLI_USAGE, "--read shows a file: it takes no -i, --device and -w");
	return CLI_OK;
}

int smi_overview(int argc, char **argv)
{
	struct options o = { .view.colour = smi_terminal_colour() };
	int c, code;

	while ((c = getopt_long(argc, argv, ":i:qw::h", table, NULL)) != -1)
		if (!take(&o, c, argv))
			return CLI_USAGE;
	code = check(&o, argc, argv);
	if (!code && o.view.form == SMI_CSV)
		code = smi_csv_fields(&o.view.csv, o.csv_list);
	if (!code)
		code = o.read ? show_file(&o) : look(&o);
	free(o.view.csv.fields);
	return code;
}
