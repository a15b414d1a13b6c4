// SPDX-License-Identifier: GPL-2.0-or-later
/* aipu-smi ps: the processes that have cards open, what they hold there, and their share of the time of a window. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "processes.h"
#include "watch.h"

struct ps {
	struct smi_devices devices;
	struct smi_process_list before, now;
	int64_t window_ms;
};

/* Its card's place in our list, or NULL: not one that was asked for */
static const struct card *card_of(const struct ps *ps, const struct smi_process *process)
{
	for (size_t i = 0; i < ps->devices.count; i++)
		if (!strcmp(ps->devices.list[i].card.pci, process->sum.pci))
			return &ps->devices.list[i].card;
	return NULL;
}

static int64_t share_permille(const struct ps *ps, const struct smi_process *process)
{
	double ns = (ps->now.at_ms - ps->before.at_ms) * 1e6;
	int64_t growth;

	if (process->sum.engine_ns == SMI_UNKNOWN || process->engine_before_ns == SMI_UNKNOWN ||
	    process->sum.engine_ns < process->engine_before_ns || ns <= 0)
		return SMI_UNKNOWN;
	growth = (int64_t)((double)(process->sum.engine_ns - process->engine_before_ns) * 1e3 / ns +
			   0.5);
	return growth < 1000 ? growth : 1000;
}

/* --- text ---------------------------------------------------------------------------------------- */

static const char *show(int64_t value, int64_t divisor, int decimals, char text[48])
{
	smi_number_show(value, divisor, decimals, text, 48);
	return text[0] ? text : "-";
}

static void write_text(const struct ps *ps)
{
	char device[48], kv[48], host[48], engine[48], share[48];

	printf("%7s  %-16s  %-12s  %10s  %10s  %10s  %12s  %6s\n", "pid", "name", "card",
	       "device MiB", "KV MiB", "host MiB", "engine ms", "share");
	for (size_t i = 0; i < ps->now.count; i++) {
		const struct smi_process *p = &ps->now.list[i];

		if (!card_of(ps, p))
			continue;
		show(share_permille(ps, p), 10, 1, share);
		printf("%7d  %-16s  %-12s  %10s  %10s  %10s  %12s  %5s%s\n", p->pid,
		       p->name[0] ? p->name : "-", p->sum.pci,
		       show(p->sum.device_bytes, 1 << 20, 1, device),
		       show(p->sum.device_kv_bytes, 1 << 20, 1, kv),
		       show(p->sum.host_bytes, 1 << 20, 1, host),
		       show(p->sum.engine_ns, 1000000, 1, engine), share[0] ? share : "-",
		       share[0] ? "%" : " ");
	}
	printf("share: of %" PRId64 " ms\n", ps->window_ms);
	if (ps->now.unreadable)
		printf("%zu process%s of other users %s not shown: root sees all\n",
		       ps->now.unreadable, ps->now.unreadable == 1 ? "" : "es",
		       ps->now.unreadable == 1 ? "is" : "are");
}

/* --- JSON ---------------------------------------------------------------------------------------- */

static json_t *number(int64_t value)
{
	return value == SMI_UNKNOWN ? json_null() : json_integer(value);
}

static json_t *process_object(const struct ps *ps, const struct smi_process *p,
			      const struct card *card)
{
	const struct smi_client *s = &p->sum;

	return json_pack("{s:i, s:o, s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
			 "pid", (int)p->pid, "name",
			 p->name[0] ? json_string(p->name) : json_null(), "device", s->pci, "index",
			 number(card->index < 0 ? SMI_UNKNOWN : card->index), "clients",
			 (json_int_t)p->clients, "device_bytes", number(s->device_bytes),
			 "device_resident_bytes", number(s->device_resident_bytes),
			 "device_kv_bytes", number(s->device_kv_bytes), "host_bytes",
			 number(s->host_bytes), "host_resident_bytes",
			 number(s->host_resident_bytes), "host_kv_bytes", number(s->host_kv_bytes),
			 "jobs_ended", number(s->jobs), "engine_ns", number(s->engine_ns),
			 "share_permille", number(share_permille(ps, p)));
}

static int write_json(const struct ps *ps)
{
	json_t *processes = json_array(), *root;
	time_t now = time(NULL);
	struct tm utc;
	char text[32];

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
	for (size_t i = 0; processes && i < ps->now.count; i++) {
		const struct card *card = card_of(ps, &ps->now.list[i]);

		if (card &&
		    json_array_append_new(processes, process_object(ps, &ps->now.list[i], card))) {
			json_decref(processes);
			processes = NULL;
		}
	}
	root = json_pack("{s:i, s:s, s:s, s:I, s:I, s:o}", "schema_version", SMI_SCHEMA_VERSION,
			 "tool", SMI_TOOL, "time", text, "window_ms", (json_int_t)ps->window_ms,
			 "unreadable_processes", (json_int_t)ps->now.unreadable, "processes",
			 processes);
	if (!root)
		return smi_fail(CLI_FAILED, "out of memory");
	json_dumpf(root, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
	putchar('\n');
	json_decref(root);
	return CLI_OK;
}

/* --- command ------------------------------------------------------------------------------------- */

static int scan(struct ps *ps)
{
	struct timespec window = { .tv_nsec = SMI_SAMPLE_MS * 1000000l };
	int err = smi_processes_scan(&ps->before, NULL);

	while (!err && nanosleep(&window, &window) && errno == EINTR)
		;
	if (!err)
		err = smi_processes_scan(&ps->now, &ps->before);
	ps->window_ms = (int64_t)(ps->now.at_ms - ps->before.at_ms + 0.5);
	return err;
}

static int ps_run(const struct picks *picks, bool as_json)
{
	struct ps ps = { .window_ms = 0 };
	int code = smi_devices_find(&ps.devices, picks), err;

	if (code)
		return code;
	err = scan(&ps);
	if (err)
		code = smi_fail(CLI_FAILED, "/proc cannot be read: %s", strerror(-err));
	else if (as_json)
		code = write_json(&ps);
	else
		write_text(&ps);
	smi_processes_free(&ps.before);
	smi_processes_free(&ps.now);
	smi_devices_close(&ps.devices);
	return code;
}

static bool take(void *to, int c, char **argv)
{
	bool *as_json = to;

	(void)argv;
	(void)c; /* --json is all there is */
	*as_json = true;
	return true;
}

int smi_ps(int argc, char **argv)
{
	static const struct option own[] = { { "json", no_argument, NULL, 'j' },
					     { NULL, 0, NULL, 0 } };
	static const struct smi_options options = { own, ":i:h", take };
	struct picks picks = { .count = 0 };
	bool as_json = false;
	int code = smi_options(argc, argv, &options, &picks, &as_json);

	if (!code)
		code = smi_no_operand(argc, argv);
	if (!code && picks_have_soft(&picks))
		code = smi_fail(
			CLI_USAGE,
			"ps: the software device belongs to one process; a card is expected");
	return code ? code : ps_run(&picks, as_json);
}
