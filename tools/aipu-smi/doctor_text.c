// SPDX-License-Identifier: GPL-2.0-or-later
/* See doctor_text.h. */
#include "doctor_text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "smi.h"

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
	text_clean(text, text_bytes, at, (size_t)(end - at));
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
