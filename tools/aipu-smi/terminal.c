// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The terminal of a live view, and the signals of commands that go on until they are ended. Signals are read from a descriptor, so
 * no handler runs in the middle of anything, and the terminal is given back however the program ends, but by SIGKILL.
 */
#include "watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SCREEN_TAKE "\033[?1049h\033[?25l\033[2J" /* another screen, no cursor, empty */
#define SCREEN_GIVE "\033[?25h\033[?1049l"

/* ours: the terminal is, so changes of its size are of interest, and it is given back before a stop */
static void held(sigset_t *set, bool ours)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
	sigaddset(set, SIGQUIT);
	if (ours) {
		sigaddset(set, SIGWINCH);
		sigaddset(set, SIGTSTP);
	}
}

void smi_signals_hold(void)
{
	sigset_t set;

	held(&set, true);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static bool can_move_cursor(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && term[0] && strcmp(term, "dumb");
}

bool smi_terminal_colour(void)
{
	const char *no = getenv("NO_COLOR");

	return can_move_cursor() && !(no && no[0]);
}

/* A job of the background would be stopped by the change of the terminal's mode; lines go on there without keys */
static bool has_keys(const struct smi_terminal *t)
{
	return t->take_keys && isatty(STDIN_FILENO) &&
	       (t->live || tcgetpgrp(STDIN_FILENO) == getpgrp());
}

static void take(struct smi_terminal *t)
{
	struct termios raw;

	t->keys = has_keys(t) && !tcgetattr(STDIN_FILENO, &t->saved);
	if (t->keys) {
		raw = t->saved;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 1;
		raw.c_cc[VTIME] = 0;
		tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	}
	if (!t->live)
		return;
	fputs(SCREEN_TAKE, stdout);
	fflush(stdout);
}

static void give(struct smi_terminal *t)
{
	if (t->live) {
		fputs(SCREEN_GIVE, stdout);
		fflush(stdout);
	}
	if (t->keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &t->saved);
	t->keys = false;
}

int smi_terminal_start(struct smi_terminal *t, bool live, bool keys)
{
	sigset_t set, unheld;

	memset(t, 0, sizeof(*t));
	t->live = live && can_move_cursor();
	/* What is piped on leaves the keys to the reader */
	t->take_keys = keys && isatty(STDOUT_FILENO);
	held(&set, t->live || t->take_keys);
	/* Without a terminal there is nothing to do at ^Z */
	held(&unheld, true);
	pthread_sigmask(SIG_UNBLOCK, &unheld, NULL);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals < 0)
		return -errno;
	if (t->live || t->take_keys)
		take(t);
	return 0;
}

void smi_terminal_end(struct smi_terminal *t)
{
	give(t);
	t->live = false;
	close(t->signals);
}

static bool next_signal(struct smi_terminal *t, enum smi_event *event)
{
	struct signalfd_siginfo info;

	if (read(t->signals, &info, sizeof(info)) != sizeof(info))
		return false;
	switch ((int)info.ssi_signo) {
	case SIGWINCH:
		*event = SMI_RESIZED;
		break;
	case SIGTSTP:
		give(t);
		raise(SIGSTOP);
		take(t);
		*event = SMI_STOPPED;
		break;
	default:
		t->signal = (int)info.ssi_signo;
		*event = SMI_SIGNAL;
	}
	return true;
}

/* q, or nobody is there any more */
static bool quit_pressed(void)
{
	char keys[64];
	ssize_t count = read(STDIN_FILENO, keys, sizeof(keys));

	if (count <= 0)
		return count == 0 || errno == EIO;
	return memchr(keys, 'q', (size_t)count) || memchr(keys, 'Q', (size_t)count) ||
	       memchr(keys, 4, (size_t)count); /* ^D */
}

enum smi_event smi_terminal_wait(struct smi_terminal *t, double ms)
{
	double end = cli_now_ms() + ms;
	enum smi_event event;

	for (;;) {
		struct pollfd fds[2] = { { .fd = t->signals, .events = POLLIN },
					 { .fd = t->keys ? STDIN_FILENO : -1, .events = POLLIN } };
		double left = end - cli_now_ms();

		if (poll(fds, 2, left > 0 ? (int)(left + 0.999) : 0) < 0 && errno != EINTR)
			return SMI_TIME;
		if (fds[0].revents && next_signal(t, &event))
			return event;
		if (fds[1].revents && quit_pressed())
			return SMI_QUIT;
		if (cli_now_ms() >= end)
			return SMI_TIME;
	}
}

int smi_terminal_code(const struct smi_terminal *t)
{
	sigset_t set;

	if (!t->signal)
		return CLI_OK;
	if (t->signal == SIGINT)
		return CLI_INTERRUPTED;
	fflush(stdout);
	signal(t->signal, SIG_DFL);
	raise(t->signal);
	sigemptyset(&set);
	sigaddset(&set, t->signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return CLI_FAILED; /* not reached: the signal ends us */
}

/* --- drawing ------------------------------------------------------------------------------------- */

/* Bytes of the line's beginning that take at most `columns` on the screen */
static size_t that_fit(const char *line, size_t bytes, size_t columns)
{
	size_t i = 0, used = 0;

	while (i < bytes) {
		if (line[i] == '\033') {
			while (i < bytes && line[i] != 'm')
				i++;
			i += i < bytes;
			continue;
		}
		if (used == columns)
			return i;
		used++;
		i++;
	}
	return bytes;
}

void smi_terminal_draw(const char *text)
{
	struct winsize size = { 0 };
	size_t rows = 24, columns = 80;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row && size.ws_col) {
		rows = size.ws_row;
		columns = size.ws_col;
	}
	fputs("\033[H", stdout);
	for (size_t row = 0; *text && row < rows; row++) {
		size_t bytes = strcspn(text, "\n");

		fwrite(text, 1, that_fit(text, bytes, columns), stdout);
		/* Colours that a cut left on; the rest of the line; no line end after the last row: it would scroll */
		fputs("\033[0m\033[K", stdout);
		text += bytes + (text[bytes] == '\n');
		if (*text && row + 1 < rows)
			fputs("\r\n", stdout);
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}
