// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What doctor says to type. Names of files, drivers and users may hold anything; each goes through doctor_quote(), so that a shell
 * takes it as one word, and a terminal gets printable ASCII only. Keeps nothing.
 */
#include "doctor.h"

#include <stdarg.h>
#include <string.h>

/* A text that grows within its bounds; false in `whole` once it did not fit */
struct line {
	char *text;
	size_t bytes, used;
	bool whole;
};

static struct line line_new(char *text, size_t bytes)
{
	text[0] = '\0';
	return (struct line){ text, bytes, 0, true };
}

static void add(struct line *line, const char *text)
{
	size_t length = strlen(text);

	if (!line->whole || length >= line->bytes - line->used) {
		line->whole = false;
		return;
	}
	memcpy(line->text + line->used, text, length + 1);
	line->used += length;
}

static void add_char(struct line *line, char c)
{
	add(line, (char[]){ c, '\0' });
}

static bool is_printable(char c)
{
	return c >= ' ' && c < 0x7f;
}

static bool is_word(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./:+,@%=-";

	return text[0] && !text[strspn(text, plain)];
}

/* 'as it is'; a quote ends the quoted, stands behind a backslash, and begins it anew */
static void add_quoted(struct line *line, const char *text)
{
	add(line, "'");
	for (; *text; text++)
		if (*text == '\'')
			add(line, "'\\''");
		else
			add_char(line, *text);
	add(line, "'");
}

/* By printf and in octal, which every shell has ($'...' not: dash) */
static void add_printed(struct line *line, const char *text)
{
	char octal[8];

	add(line, "\"$(printf '");
	for (; *text; text++) {
		if (is_printable(*text) && !strchr("'\\%", *text)) {
			add_char(line, *text);
			continue;
		}
		snprintf(octal, sizeof(octal), "\\%03o", (unsigned char)*text);
		add(line, octal);
	}
	add(line, "')\"");
}

bool doctor_quote(char *to, size_t bytes, const char *text)
{
	struct line line = line_new(to, bytes);
	size_t length = strlen(text);
	bool printable = true;

	for (size_t i = 0; i < length; i++)
		printable = printable && is_printable(text[i]);
	if (is_word(text))
		add(&line, text);
	else if (printable)
		add_quoted(&line, text);
	else
		add_printed(&line, text);
	/* A shell drops line breaks from the end of what a command printed */
	return line.whole && (!length || text[length - 1] != '\n');
}

/* %s quoted, %u and %c; nothing else. False: it cannot be said whole */
static bool compose(char *to, size_t bytes, const char *format, va_list args)
{
	struct line line = line_new(to, bytes);
	char word[DOCTOR_REMEDY];

	for (; *format; format++) {
		if (*format != '%') {
			add_char(&line, *format);
			continue;
		}
		switch (*++format) {
		case 's':
			line.whole = doctor_quote(word, sizeof(word), va_arg(args, const char *)) &&
				     line.whole;
			add(&line, word);
			break;
		case 'u':
			snprintf(word, sizeof(word), "%u", va_arg(args, unsigned int));
			add(&line, word);
			break;
		case 'c':
			add_char(&line, (char)va_arg(args, int));
			break;
		default:
			add_char(&line, '%');
		}
	}
	return line.whole;
}

/* Half of a command does something else than the whole: then there is none */
static void give(struct doctor_result *result, bool as_root, bool whole)
{
	result->as_root = as_root;
	if (!whole)
		result->remedy[0] = '\0';
}

void doctor_remedy(struct doctor_result *result, bool as_root, const char *format, ...)
{
	va_list args;
	bool whole;

	va_start(args, format);
	whole = compose(result->remedy, sizeof(result->remedy), format, args);
	va_end(args);
	give(result, as_root, whole);
}

void doctor_remedy_script(struct doctor_result *result, bool as_root, const char *format, ...)
{
	struct line line = line_new(result->remedy, sizeof(result->remedy));
	char script[DOCTOR_REMEDY];
	va_list args;
	bool whole;

	va_start(args, format);
	whole = compose(script, sizeof(script), format, args);
	va_end(args);
	add(&line, "sh -c ");
	add_quoted(&line, script);
	give(result, as_root, whole && line.whole);
}
