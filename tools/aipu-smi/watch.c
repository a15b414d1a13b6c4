// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The live view: the overview again and again, on a screen of its own, or line after line where stdout is no terminal. The rates of
 * a look are those since the look before.
 */
#include "watch.h"

#include <stdlib.h>
#include <string.h>

struct watch {
	struct smi_devices *devices;
	const struct smi_view *view;
	struct smi_terminal terminal;
	struct smi_sample *before, *now;
	struct smi_snapshot snapshot; /* that is shown */
	uint64_t looks;
	int code;
};

static void draw(struct watch *w)
{
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return;
	smi_view_write(out, w->view, &w->snapshot, true, false);
	fputs("\nq ends\n", out);
	if (!fclose(out))
		smi_terminal_draw(text);
	free(text);
}

/* Which cards there are now, and room for a look at each */
static bool again(struct watch *w)
{
	size_t count = w->devices->count;
	struct smi_sample *now;
	int err = smi_devices_again(w->devices, &w->before, w->view->all);

	if (!err && w->devices->count > count) {
		now = realloc(w->now, w->devices->count * sizeof(*now));
		err = now ? 0 : -1;
		w->now = now ? now : w->now;
	}
	if (err)
		w->code = smi_fail(CLI_FAILED, "out of memory");
	return !err;
}

/* False when there is no more to be done; the code says why */
static bool look(struct watch *w)
{
	struct smi_sample *samples;

	if (!again(w))
		return false;
	samples = w->before;
	smi_snapshot_free(&w->snapshot);
	if (smi_collect(w->devices, w->before, w->now, &w->snapshot)) {
		w->code = CLI_FAILED;
		return false;
	}
	w->before = w->now;
	w->now = samples;
	if (w->terminal.live)
		draw(w);
	else
		w->code = smi_view_write(stdout, w->view, &w->snapshot, !w->looks, true);
	w->looks++;
	/* A reader that went away is found here, not when a buffer is full */
	w->code = smi_flush(w->code);
	if (w->code)
		return false;
	return !w->view->count || w->looks < w->view->count;
}

/* False when the view ends */
static bool wait_for(struct watch *w, double ms)
{
	double end = cli_now_ms() + ms;

	for (;;) {
		double left = end - cli_now_ms();

		switch (smi_terminal_wait(&w->terminal, left > 0 ? left : 0)) {
		case SMI_TIME:
			return true;
		case SMI_RESIZED:
		case SMI_STOPPED:
			if (w->terminal.live && w->snapshot.cards)
				draw(w);
			break;
		default:
			return false;
		}
	}
}

static int watch_run(struct watch *w)
{
	double interval = w->view->interval_s * 1e3;
	size_t count = w->devices->count;

	for (size_t i = 0; i < count; i++)
		smi_sample(&w->devices->list[i], &w->before[i]);
	if (!wait_for(w, interval < SMI_SAMPLE_MS ? interval : SMI_SAMPLE_MS))
		return CLI_OK;
	while (look(w))
		if (!wait_for(w, interval))
			break;
	return w->code;
}

/* Of the last look */
static int cards_code(const struct watch *w)
{
	int code = CLI_OK;

	for (size_t i = 0; i < w->devices->count; i++)
		code = smi_worse(code, smi_state_code(&w->devices->list[i], &w->before[i]));
	return code;
}

static int watch_screen(struct watch *w)
{
	int code = watch_run(w);

	smi_terminal_end(&w->terminal);
	return code ? code : cards_code(w);
}

int smi_watch(struct smi_devices *devices, const struct smi_view *view)
{
	struct watch w = { .devices = devices, .view = view };
	int code;

	w.before = calloc(devices->count, sizeof(*w.before));
	w.now = calloc(devices->count, sizeof(*w.now));
	if (!w.before || !w.now)
		code = smi_fail(CLI_FAILED, "out of memory");
	else if (smi_terminal_start(&w.terminal, view->form == SMI_TABLE, true))
		code = smi_fail(CLI_FAILED, "signals cannot be read");
	else
		code = watch_screen(&w);
	smi_snapshot_free(&w.snapshot);
	free(w.before);
	free(w.now);
	return w.terminal.signal ? smi_terminal_code(&w.terminal) : code;
}
