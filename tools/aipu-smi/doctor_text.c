// SPDX-License-Identifier: GPL-2.0-or-later
/* See doctor_text.h. */
#include "doctor_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "smi.h"

#define LEVEL_ERROR 3u

/* The next line of [*at, end), without its end; false: there is none */
static bool next_line(const char **at, const char *end, const char **line, size_t *bytes)
{
	const char *stop;

	if (*at >= end)
		return false;
	*line = *at;
	stop = memchr(*at, '\n', (size_t)(end - *at));
	*bytes = (size_t)((stop ? stop : end) - *line);
	*at = stop ? stop + 1 : end;
	return true;
}

/* The next word of a line, between spaces; false: there is none */
static bool next_word(const char **at, const char *end, const char **word, size_t *bytes)
{
	while (*at < end && isspace((unsigned char)**at))
		(*at)++;
	*word = *at;
	while (*at < end && !isspace((unsigned char)**at))
		(*at)++;
	*bytes = (size_t)(*at - *word);
	return *bytes > 0;
}

static bool is_word(const char *word, size_t bytes, const char *expected)
{
	return bytes == strlen(expected) && !memcmp(word, expected, bytes);
}

static bool ends_with(const char *word, size_t bytes, const char *end)
{
	return bytes >= strlen(end) && !memcmp(word + bytes - strlen(end), end, strlen(end));
}

/* To modprobe and the kernel '-' and '_' are one */
static bool is_module(const char *word, size_t bytes, const char *module)
{
	if (bytes != strlen(module))
		return false;
	for (size_t i = 0; i < bytes; i++)
		if ((word[i] == '-' ? '_' : word[i]) != module[i])
			return false;
	return true;
}

/* --- the kernel's log ----------------------------------------------------------------------------- */

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

bool doctor_kmsg_parse(const char *record, size_t bytes, struct doctor_log_line *line)
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
	smi_text_clean(line->text, sizeof(line->text), text, (size_t)((stop ? stop : end) - text));
	return true;
}

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

bool doctor_log_concerns(const char *text, const struct card_list *cards)
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
static bool says_taken(const struct doctor_log_line *line, const char *text)
{
	return line->level > LEVEL_ERROR && strstr(text, ", firmware ");
}

const char *doctor_log_reason(const struct doctor_log *log, const char *pci)
{
	static const char mark[] = "*ERROR* ";
	const char *other = NULL;

	for (size_t i = log->count; i--;) {
		const char *text = behind_device(log->lines[i].text, CARD_DRIVER, pci), *error;

		if (!text)
			continue;
		if (says_taken(&log->lines[i], text))
			break;
		error = strstr(text, mark);
		text = error ? error + strlen(mark) : text;
		if (!strncmp(text, "probe with driver ", 18) || !strncmp(text, "boot failed", 11))
			other = other ? other : text;
		else if (log->lines[i].level <= LEVEL_ERROR)
			return text;
	}
	return other;
}

uint64_t doctor_log_time(const struct doctor_log *log, const char *reason)
{
	for (size_t i = 0; i < log->count; i++) {
		const char *text = log->lines[i].text;

		if (reason >= text && reason < text + sizeof(log->lines[i].text))
			return log->lines[i].microseconds;
	}
	return 0;
}

bool doctor_log_taken(const struct doctor_log *log, const char *pci)
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

bool doctor_log_hot(const struct doctor_log *log, const char *pci)
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

const char *doctor_log_refusal(const struct doctor_log *log, uint64_t since)
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

uint32_t doctor_log_board(const char *text)
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

/* --- modules -------------------------------------------------------------------------------------- */

/* Of section .modinfo the strings are found by themselves: each stands behind a NUL, and ends with one. */
bool doctor_vermagic(const char *file, size_t bytes, char *text, size_t text_bytes)
{
	static const char mark[] = "\0vermagic=";
	const char *at = memmem(file, bytes, mark, sizeof(mark) - 1), *end;

	if (!at)
		return false;
	at += sizeof(mark) - 1;
	end = memchr(at, '\0', bytes - (size_t)(at - file));
	if (!end)
		return false;
	smi_text_clean(text, text_bytes, at, (size_t)(end - at));
	return true;
}

bool doctor_module_signed(const char *file, size_t bytes)
{
	static const char mark[] = "~Module signature appended~\n";

	return bytes >= sizeof(mark) - 1 &&
	       !memcmp(file + bytes - (sizeof(mark) - 1), mark, sizeof(mark) - 1);
}

bool doctor_modules_dep(const char *file, size_t bytes, const char *module, char *path,
			size_t path_bytes)
{
	const char *at = file, *line;
	size_t length;

	while (next_line(&at, file + bytes, &line, &length)) {
		const char *colon = memchr(line, ':', length), *name, *dot;

		if (!colon)
			continue;
		name = memrchr(line, '/', (size_t)(colon - line));
		name = name ? name + 1 : line;
		dot = memchr(name, '.', (size_t)(colon - name));
		if (!dot || !is_module(name, (size_t)(dot - name), module))
			continue;
		snprintf(path, path_bytes, "%.*s", (int)(colon - line), line);
		return true;
	}
	return false;
}

bool doctor_blacklisted(const char *file, size_t bytes, const char *module, bool *blocked)
{
	const char *at = file, *line, *word;
	size_t length, count;
	bool found = false;

	*blocked = false;
	while (next_line(&at, file + bytes, &line, &length)) {
		const char *end = line + length;
		bool install;

		if (!next_word(&line, end, &word, &count))
			continue;
		install = is_word(word, count, "install");
		if ((!install && !is_word(word, count, "blacklist")) ||
		    !next_word(&line, end, &word, &count) || !is_module(word, count, module))
			continue;
		if (!install) {
			found = true;
			continue;
		}
		/* Another command may well load it in the end. */
		if (next_word(&line, end, &word, &count) &&
		    (ends_with(word, count, "/false") || ends_with(word, count, "/true")))
			found = *blocked = true;
	}
	return found;
}

bool doctor_command_line(const char *line, size_t bytes, const char *name, const char *value)
{
	const char *at = line, *end = line + bytes, *word;
	size_t count, length = strlen(name);

	while (next_word(&at, end, &word, &count)) {
		const char *item = word + length + 1, *stop = word + count;

		if (count <= length || memcmp(word, name, length) || word[length] != '=')
			continue;
		while (item < stop) {
			const char *comma = memchr(item, ',', (size_t)(stop - item));
			size_t item_bytes = (size_t)((comma ? comma : stop) - item);

			if (is_module(item, item_bytes, value))
				return true;
			item += item_bytes + 1;
		}
	}
	return false;
}
