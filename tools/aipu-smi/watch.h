/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the overview is shown, once or again and again; and the terminal and signals of commands that go on until they are ended. */
#ifndef AIPU_SMI_WATCH_H
#define AIPU_SMI_WATCH_H

#include <termios.h>

#include "devices.h"

#define SMI_SAMPLE_MS 200 /* between the two samples of a single look */

enum smi_form { SMI_TABLE, SMI_QUERY, SMI_CSV, SMI_JSON };

struct smi_view {
	enum smi_form form;
	struct smi_csv csv;
	bool colour;
	double interval_s; /* > 0: again and again */
	uint64_t count; /* of looks; 0: no end */
	bool all; /* no card was named: those that come are shown too */
};

/* overview.c. first: headings too; log: one of many, so no table and no JSON of many lines */
int smi_view_write(FILE *out, const struct smi_view *view, const struct smi_snapshot *snapshot,
		   bool first, bool log);

/* watch.c: an exit code. smi_signals_hold() was called before the devices were opened. */
int smi_watch(struct smi_devices *devices, const struct smi_view *view);

/* terminal.c */
enum smi_event {
	SMI_TIME, /* the time is over */
	SMI_QUIT, /* q */
	SMI_SIGNAL, /* a signal that ends: in `signal` */
	SMI_RESIZED,
	SMI_STOPPED, /* ^Z, and on again */
};

struct smi_terminal {
	int signals; /* signalfd */
	int signal; /* that ended it; 0: none */
	bool live; /* the screen is ours */
	bool take_keys; /* where there is a terminal to take them from */
	bool keys; /* stdin is a terminal in our mode */
	struct termios saved;
};

/*
 * From here on signals that end a program wait to be read, in threads that are started later too: nothing is left half done, and
 * a terminal is always given back.
 */
void smi_signals_hold(void);
/*
 * live: take the screen, if stdout is a terminal that can move its cursor. keys: q ends it, if stdin and stdout are a terminal, with
 * a screen or without. -errno
 */
int smi_terminal_start(struct smi_terminal *terminal, bool live, bool keys);
void smi_terminal_end(struct smi_terminal *terminal);
enum smi_event smi_terminal_wait(struct smi_terminal *terminal, double ms);
/* The exit code of a command that a signal ended. SIGINT: 130; others end the program here, as they would have without us */
int smi_terminal_code(const struct smi_terminal *terminal);
/* Replaces the screen by these lines, as many and as much of each as fit; escapes of colours in them take no room */
void smi_terminal_draw(const char *text);
bool smi_terminal_colour(void); /* stdout is a terminal, and nobody said NO_COLOR */

#endif
