// SPDX-License-Identifier: GPL-2.0-or-later
/* See cardlog.h. */
#include "cardlog.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "text.h"

#define LOG_BYTES (16ull << 20) /* that are read at most */
#define RECORD_BYTES 8192u /* of the kernel's log, CONSOLE_EXT_LOG_MAX */
#define LEVEL_ERROR 3u

/* --- records -------------------------------------------------------------------------------------- */

/* A number that `stop` ends; false: it is none, or has more than 19 digits */
static bool take_number(const char **at, const char *end, char stop, uint64_t *value)
{
	const char *first = *at;

	*value = 0;
	while (*at < end && isdigit((unsigned char)**at) && *at - first < 19)
		*value = 10 * *value + (uint64_t)(*(*at)++ - '0');
	if (*at == first || *at >= end || **at != stop)
		return false;
	(*at)++;
	return true;
}

bool cardlog_parse(const char *record, size_t bytes, struct cardlog_line *line)
{
	const char *at = record, *end = record + bytes, *text, *stop;
	uint64_t priority, sequence;

	if (!take_number(&at, end, ',', &priority) || !take_number(&at, end, ',', &sequence) ||
	    !take_number(&at, end, ',', &line->microseconds))
		return false;
	/* The number is facility * 8 + level; the kernel's own facility is 0. */
	if (priority > 7)
		return false;
	line->level = (unsigned int)priority;
	text = memchr(at, ';', (size_t)(end - at));
	if (!text)
		return false;
	text++;
	stop = memchr(text, '\n', (size_t)(end - text));
	text_clean(line->text, sizeof(line->text), text, (size_t)((stop ? stop : end) - text));
	return true;
}

/* --- reading -------------------------------------------------------------------------------------- */

static bool add_line(struct cardlog *log, const struct cardlog_line *line)
{
	if (!log->lines)
		log->lines = calloc(CARDLOG_LINES, sizeof(*log->lines));
	if (!log->lines)
		return false;
	if (log->count == CARDLOG_LINES) {
		memmove(log->lines, log->lines + 1, (log->count - 1) * sizeof(*log->lines));
		log->count--;
	}
	log->lines[log->count++] = *line;
	return true;
}

/* Records end with a line; lines that begin with a space belong to the one before and say of which device it is. */
static void take_records(struct cardlog *log, char *text, const struct card_list *cards)
{
	char *rest = NULL;

	for (char *record = strtok_r(text, "\n", &rest); record;
	     record = strtok_r(NULL, "\n", &rest)) {
		struct cardlog_line line;

		if (cardlog_parse(record, strlen(record), &line) &&
		    cardlog_concerns(line.text, cards) && !add_line(log, &line))
			return;
	}
}

/* The device gives a record a read, and EPIPE where some were overwritten meanwhile; a captured one is a file. */
void cardlog_read(struct cardlog *log, const struct card_list *cards)
{
	char path[PATH_MAX], record[RECORD_BYTES + 1];
	uint64_t total = 0;
	size_t kept = 0;
	int fd;

	cards_path(path, "/dev/kmsg");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		log->error = errno;
		return;
	}
	while (total < LOG_BYTES) {
		ssize_t count = read(fd, record + kept, RECORD_BYTES - kept);
		char *end;

		if (count < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (count < 0 && errno != EAGAIN)
			log->error = errno;
		if (count <= 0)
			break;
		total += (uint64_t)count;
		kept += (size_t)count;
		record[kept] = '\0';
		/* What follows the last end of a line is the beginning of a next one. */
		end = memrchr(record, '\n', kept);
		if (!end && kept < RECORD_BYTES)
			continue;
		end = end ? end : record + kept - 1;
		*end = '\0';
		take_records(log, record, cards);
		kept -= (size_t)(end + 1 - record);
		memmove(record, end + 1, kept);
	}
	close(fd);
}

void cardlog_free(struct cardlog *log)
{
	free(log->lines);
	*log = (struct cardlog){ .error = 0 };
}

/* --- what it says ----------------------------------------------------------------------------------- */

/* "WORD ADDRESS: ", as the kernel begins what is said of a device; the text behind it, or NULL */
static const char *behind_device(const char *text, const char *word, const char *pci)
{
	size_t length = strlen(pci);

	if (word) {
		if (strncmp(text, word, strlen(word)))
			return NULL;
		text += strlen(word);
	} else {
		text += strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_-");
	}
	if (text[0] != ' ' || strncmp(text + 1, pci, length) || text[1 + length] != ':')
		return NULL;
	text += length + 2;
	return text + strspn(text, " ");
}

bool cardlog_concerns(const char *text, const struct card_list *cards)
{
	const size_t length = strlen(CARD_DRIVER);

	if (!strncmp(text, CARD_DRIVER, length) && (text[length] == ':' || text[length] == ' '))
		return true;
	for (size_t i = 0; i < cards->count; i++)
		if (behind_device(text, NULL, cards->cards[i].pci))
			return true;
	return false;
}

/* Its line of success: "[drm] MODEL, firmware 1.0.0, contract 1.0, ..." */
static bool says_taken(const struct cardlog_line *line, const char *text)
{
	return line->level > LEVEL_ERROR && strstr(text, ", firmware ");
}

/* What the driver says of a card, without what marks it as an error */
static const char *without_mark(const char *text)
{
	static const char mark[] = "*ERROR* ";
	const char *error = strstr(text, mark);

	return error ? error + strlen(mark) : text;
}

/* Both stand behind the reason */
static bool says_end(const char *text)
{
	return !strncmp(text, "boot failed", strlen("boot failed")) ||
	       !strncmp(text, "probe with driver ", strlen("probe with driver "));
}

const char *cardlog_reason(const struct cardlog *log, const char *pci)
{
	const char *other = NULL;

	for (size_t i = log->count; i--;) {
		const char *text = behind_device(log->lines[i].text, CARD_DRIVER, pci);

		if (!text)
			continue;
		if (says_taken(&log->lines[i], text))
			break;
		text = without_mark(text);
		if (says_end(text))
			other = other ? other : text;
		else if (log->lines[i].level <= LEVEL_ERROR)
			return text;
	}
	return other;
}

uint64_t cardlog_time(const struct cardlog *log, const char *reason)
{
	for (size_t i = 0; i < log->count; i++) {
		const char *text = log->lines[i].text;

		if (reason >= text && reason < text + sizeof(log->lines[i].text))
			return log->lines[i].microseconds;
	}
	return 0;
}

bool cardlog_taken(const struct cardlog *log, const char *pci)
{
	for (size_t i = log->count; i--;) {
		const char *text = behind_device(log->lines[i].text, CARD_DRIVER, pci);

		if (text && says_taken(&log->lines[i], text))
			return true;
		if (text && (log->lines[i].level <= LEVEL_ERROR ||
			     !strncmp(text, "probe with driver ", 18)))
			return false;
	}
	return false;
}

enum cardlog_says cardlog_says(const struct cardlog *log, const char *pci, const char **reason)
{
	enum cardlog_says said = CARDLOG_SILENT;

	*reason = NULL;
	for (size_t i = 0; i < log->count; i++) {
		const struct cardlog_line *line = &log->lines[i];
		const char *text = behind_device(line->text, CARD_DRIVER, pci);

		if (text && says_taken(line, text)) {
			said = CARDLOG_TOOK;
			*reason = NULL;
			continue;
		}
		if (!text || line->level > LEVEL_ERROR)
			continue;
		text = without_mark(text);
		/* What goes wrong with a card that the driver has does not end with them. */
		if (says_end(text) || said == CARDLOG_SILENT)
			said = CARDLOG_REFUSED;
		if (!says_end(text) || !*reason)
			*reason = text;
	}
	return said;
}

bool cardlog_hot(const struct cardlog *log, const char *pci)
{
	/* As kernel/aipu_watch.c says it, in front of what it does about it */
	static const char hot[] = "the card is too hot";

	for (size_t i = log->count; i--;) {
		const char *text = behind_device(log->lines[i].text, CARD_DRIVER, pci), *mark;

		if (!text)
			continue;
		for (mark = text; (mark = strstr(mark, hot)); mark++)
			if (mark == text || mark[-1] == ' ')
				return true;
		/* A reset that an administrator asks for ends with nothing else in the log, whether the card is cool or not */
		if (says_taken(&log->lines[i], text) ||
		    (strstr(text, ": resetting the card") && !strstr(text, "administrator")))
			return false;
	}
	return false;
}

const char *cardlog_refusal(const struct cardlog *log, uint64_t since)
{
	static const char *const marks[] = { "version magic '",
					     "disagrees about version of symbol ",
					     "Unknown symbol " };
	static const char front[] = CARD_DRIVER ": ";

	for (size_t i = log->count; i--;) {
		const char *text = log->lines[i].text;

		if (log->lines[i].microseconds < since)
			break;
		if (strncmp(text, front, strlen(front)))
			continue;
		text += strlen(front);
		for (size_t j = 0; j < sizeof(marks) / sizeof(marks[0]); j++)
			if (!strncmp(text, marks[j], strlen(marks[j])))
				return text;
	}
	return NULL;
}

uint32_t cardlog_board(const char *text)
{
	static const char mark[] = "(board ";
	const char *at = strstr(text, mark);
	char *end;
	unsigned long board;

	if (!at)
		return 0;
	at += strlen(mark);
	board = strtoul(at, &end, 16);
	return end == at + 8 && *end == ')' ? (uint32_t)board : 0;
}
