// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-smi without a command: looks at the cards once or, with -w, again and again, or at a snapshot in a file, and shows them in
 * one of four forms.
 */
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DEFAULT_INTERVAL_S 1.0

struct options {
	struct picks picks;
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
	struct smi_view view = o->view;
	struct smi_devices devices;
	int code;

	if (o->view.interval_s > 0)
		smi_signals_hold();
	code = smi_devices_open(&devices, &o->picks);
	if (code)
		return code;
	view.all = !o->picks.count;
	if (view.interval_s > 0)
		code = smi_watch(&devices, &view);
	else
		code = look_once(&devices, &o->view);
	smi_devices_close(&devices);
	return code;
}

/* --- a file -------------------------------------------------------------------------------------- */

static int show_file(const struct options *o)
{
	struct smi_snapshot snapshot;
	char *text, why[FIELD_WHY];
	size_t bytes;
	int code;

	text = snapfile_read(SMI_TOOL, o->read, &bytes, &code);
	if (!text)
		return code;
	if (smi_json_read(text, bytes, &snapshot, why))
		code = smi_fail(CLI_FAILED, "%s: %s", o->read, why);
	else
		code = smi_view_write(stdout, &o->view, &snapshot, true, false);
	smi_snapshot_free(&snapshot);
	free(text);
	return code;
}

/* --- options ------------------------------------------------------------------------------------- */

enum { OPT_JSON = 256, OPT_CSV, OPT_NO_HEADER, OPT_NO_UNITS, OPT_COUNT, OPT_READ, OPT_VERSION };

static const struct option table[] = {
	{ "json", no_argument, NULL, OPT_JSON },
	{ "csv", optional_argument, NULL, OPT_CSV },
	{ "no-header", no_argument, NULL, OPT_NO_HEADER },
	{ "no-units", no_argument, NULL, OPT_NO_UNITS },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ "read", required_argument, NULL, OPT_READ },
	{ "version", no_argument, NULL, OPT_VERSION },
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

static bool take(void *to, int c, char **argv)
{
	struct options *o = to;

	switch (c) {
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
	default: /* OPT_VERSION */
		cli_version(SMI_TOOL);
		exit(cli_finish(SMI_TOOL, CLI_OK));
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
	static const struct smi_options options = { table, ":i:qw::h", take };
	struct options o = { .view.colour = smi_terminal_colour() };
	int code = smi_options(argc, argv, &options, &o.picks, &o);

	if (!code)
		code = check(&o, argc, argv);
	if (!code && o.view.form == SMI_CSV)
		code = smi_csv_fields(&o.view.csv, o.csv_list);
	if (!code)
		code = o.read ? show_file(&o) : look(&o);
	free(o.view.csv.fields);
	return code;
}
