// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is taken out of a report: names of host and users, home directories with what is in them, addresses of mail, IP and MAC
 * addresses, serial numbers. It works on text of any origin and knows no section: a name that is a word of the text for another reason goes too.
 */
#include "report.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/utsname.h>
#include <unistd.h>

#define FIRST_USER 1000 /* uids of people begin there (login.defs); 65534 is nobody */
#define NOBODY 65534

static int longer_first(const void *a, const void *b)
{
	const struct redact_word *x = a, *y = b;
	size_t first = strlen(x->text), second = strlen(y->text);

	return first < second ? 1 : first > second ? -1 : strcmp(x->text, y->text);
}

void redact_add(struct redact *redact, const char *text, const char *replacement)
{
	struct redact_word *words;
	char *copy;

	if (!text || !text[0])
		return;
	words = realloc(redact->words, (redact->count + 1) * sizeof(*words));
	redact->words = words ? words : redact->words;
	copy = words ? strdup(text) : NULL;
	if (!copy) {
		redact->failed = true;
		return;
	}
	words[redact->count++] = (struct redact_word){ copy, replacement };
	qsort(words, redact->count, sizeof(*words), longer_first);
}

void redact_free(struct redact *redact)
{
	for (size_t i = 0; i < redact->count; i++)
		free(redact->words[i].text);
	free(redact->words);
	*redact = (struct redact){ 0 };
}

/* --- whose machine -------------------------------------------------------------------------------- */

/* "localhost", with or without a domain; or no name at all */
static bool is_everybodys(const char *name)
{
	size_t length = strcspn(name, ".");

	return !length || (length == 9 && !strncasecmp(name, "localhost", length)) ||
	       !strcmp(name, "(none)");
}

/* "name.example.org": as a whole, its first part, and its domain */
static void add_host(struct redact *redact, const char *name)
{
	const char *dot = strchr(name, '.');
	char first[256];

	if (is_everybodys(name))
		return;
	redact_add(redact, name, "[host]");
	if (!dot)
		return;
	snprintf(first, sizeof(first), "%.*s", (int)(dot - name), name);
	redact_add(redact, first, "[host]");
	redact_add(redact, dot + 1, "[domain]");
}

/* All names in a line of /etc/hosts that has ours: "127.0.1.1 name.example.org name other" */
static void add_aliases(struct redact *redact, const char *host)
{
	size_t length = strcspn(host, ".");
	char path[PATH_MAX], line[1024];
	FILE *hosts;

	cards_path(path, "/etc/hosts");
	hosts = is_everybodys(host) ? NULL : fopen(path, "re");
	while (hosts && fgets(line, sizeof(line), hosts)) {
		char *names[32], *rest = NULL, *name;
		size_t count = 0;
		bool ours = false;

		line[strcspn(line, "#\n")] = '\0';
		strtok_r(line, " \t", &rest);
		while (count < 32 && (name = strtok_r(NULL, " \t", &rest))) {
			names[count++] = name;
			ours = ours || (!strncasecmp(name, host, length) &&
					(!name[length] || name[length] == '.'));
		}
		for (size_t i = 0; ours && i < count; i++)
			add_host(redact, names[i]);
	}
	if (hosts)
		fclose(hosts);
}

static void add_user(struct redact *redact, const struct passwd *user)
{
	/* "root" and its home are the same everywhere. */
	if (!user || !user->pw_uid)
		return;
	redact_add(redact, user->pw_name, "[user]");
	if (user->pw_dir[0] == '/' && user->pw_dir[1])
		redact_add(redact, user->pw_dir, "[home]");
}

static void add_users(struct redact *redact)
{
	char path[PATH_MAX];
	struct passwd *user;
	FILE *list;

	cards_path(path, "/etc/passwd");
	list = fopen(path, "re");
	while (list && (user = fgetpwent(list)))
		if (user->pw_uid >= FIRST_USER && user->pw_uid != NOBODY)
			add_user(redact, user);
	if (list)
		fclose(list);
	add_user(redact, getpwuid(getuid()));
	add_user(redact, getpwuid(geteuid()));
}

static void add_environment(struct redact *redact)
{
	static const char *const users[] = { "USER", "LOGNAME", "SUDO_USER" };
	const char *home = getenv("HOME");

	for (size_t i = 0; i < 3; i++) {
		const char *user = getenv(users[i]);

		if (user && strcmp(user, "root"))
			redact_add(redact, user, "[user]");
	}
	if (home && home[0] == '/' && home[1] && strcmp(home, "/root"))
		redact_add(redact, home, "[home]");
}

void redact_machine(struct redact *redact)
{
	char line[256];
	struct utsname name;

	if (!uname(&name)) {
		add_host(redact, name.nodename);
		add_aliases(redact, name.nodename);
	}
	if (cards_read_line(line, sizeof(line), "/proc/sys/kernel/hostname")) {
		add_host(redact, line);
		add_aliases(redact, line);
	}
	if (cards_read_line(line, sizeof(line), "/etc/hostname"))
		add_host(redact, line);
	if (cards_read_line(line, sizeof(line), "/etc/mailname"))
		add_host(redact, line);
	add_users(redact);
	add_environment(redact);
}

/* --- what is recognized by its form --------------------------------------------------------------- */

static bool is_name_part(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static size_t span(const char *text, size_t bytes, const char *characters)
{
	size_t count = 0;

	while (count < bytes && text[count] && strchr(characters, text[count]))
		count++;
	return count;
}

/* "02:42:ac:11:00:02", with six or eight bytes, by colons or dashes; how long, or 0 */
static size_t mac_length(const char *text, size_t bytes)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	size_t at = 0, count = 0;
	char between = '\0';

	while (span(text + at, bytes - at, digits) == 2) {
		at += 2;
		count++;
		if (at >= bytes || (text[at] != ':' && text[at] != '-') ||
		    (between && text[at] != between) ||
		    span(text + at + 1, bytes - at - 1, digits) != 2)
			break;
		between = text[at++];
	}
	return count == 6 || count == 8 ? at : 0;
}

/* An address of either kind, as long as inet_pton() takes it */
static size_t ip_length(const char *text, size_t bytes)
{
	size_t count = span(text, bytes, "0123456789abcdefABCDEF:.");
	unsigned char address[16];
	char copy[64];

	/* What follows in a sentence belongs to it only if it must. */
	while (count && (text[count - 1] == '.' ||
			 (text[count - 1] == ':' && (count < 2 || text[count - 2] != ':'))))
		count--;
	if (count < 2 || count >= sizeof(copy))
		return 0;
	memcpy(copy, text, count);
	copy[count] = '\0';
	if (inet_pton(AF_INET, copy, address) == 1)
		return count;
	/* Of "::" alone nothing is private. */
	return inet_pton(AF_INET6, copy, address) == 1 && span(copy, count, ":") < count ? count
											 : 0;
}

/* An IPv4 address that a port, or anything with a colon, follows */
static size_t ip_before_colon(const char *text, size_t bytes)
{
	size_t count = span(text, bytes, "0123456789.");

	return count < bytes && text[count] == ':' ? ip_length(text, count) : 0;
}

static bool is_of_mail(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("._%+-", c));
}

/* "name@example.org", from the beginning of its name on; how long, or 0 */
static size_t mail_length(const char *text, size_t bytes)
{
	size_t at = 0, host;

	while (at < bytes && is_of_mail(text[at]))
		at++;
	if (!at || at == bytes || text[at] != '@')
		return 0;
	host = ++at;
	while (at < bytes && is_of_mail(text[at]))
		at++;
	/* The end of a sentence is none of its */
	while (at > host && !isalnum((unsigned char)text[at - 1]))
		at--;
	return at > host ? at : 0;
}

/* "/home/NAME" and all that is below it; how long, or 0 */
static size_t home_length(const char *text, size_t bytes)
{
	static const char home[] = "/home/";
	size_t at = sizeof(home) - 1;

	if (bytes <= at || memcmp(text, home, at))
		return 0;
	while (at < bytes && text[at] > ' ' && !strchr("\"'`,;:)]}>", text[at]))
		at++;
	return at > sizeof(home) - 1 ? at : 0;
}

/* --- the text ------------------------------------------------------------------------------------- */

/* A path goes with all that is below it, a host with the domain that follows, any other word alone */
static size_t word_length(const struct redact_word *word, const char *text, size_t bytes)
{
	size_t length = strlen(word->text), at = length;

	if (length > bytes || strncasecmp(text, word->text, length))
		return 0;
	if (word->text[0] == '/') {
		if (at < bytes && is_name_part(text[at]))
			return 0;
		while (at < bytes && text[at] > ' ' && !strchr("\"'`,;:)]}>", text[at]))
			at++;
		return at;
	}
	if (at < bytes && is_name_part(text[at]))
		return 0;
	while (!strcmp(word->replacement, "[host]") && at + 1 < bytes && text[at] == '.' &&
	       isalpha((unsigned char)text[at + 1]))
		for (at++; at < bytes && (is_name_part(text[at]) || text[at] == '-'); at++)
			;
	return at;
}

/* What to take out at this place: its length, and what comes there instead */
static size_t private_length(const struct redact *redact, const char *text, size_t bytes,
			     bool at_mail, bool at_word, bool in_number, const char **replacement)
{
	size_t length;

	*replacement = "[home]";
	length = home_length(text, bytes);
	if (length)
		return length;
	*replacement = "[email]";
	length = at_mail ? mail_length(text, bytes) : 0;
	if (length)
		return length;
	for (size_t i = 0; i < redact->count; i++) {
		const struct redact_word *word = &redact->words[i];

		if (!at_word && word->text[0] != '/')
			continue;
		*replacement = word->replacement;
		length = word_length(word, text, bytes);
		if (length)
			return length;
	}
	if (!at_word)
		return 0;
	*replacement = "[mac]";
	length = mac_length(text, bytes);
	if (length && (length == bytes || !is_name_part(text[length])))
		return length;
	if (in_number)
		return 0;
	*replacement = "[ip]";
	length = ip_length(text, bytes);
	if (!length)
		length = ip_before_colon(text, bytes);
	return length && (length == bytes || !is_name_part(text[length])) ? length : 0;
}

char *redact_text(const struct redact *redact, const char *text, size_t bytes)
{
	char *out = NULL;
	size_t out_bytes;
	FILE *to = open_memstream(&out, &out_bytes);
	size_t at = 0;

	if (!to)
		return NULL;
	while (at < bytes) {
		const char *replacement;
		bool at_word = !at || !is_name_part(text[at - 1]);
		/* "1." stands before: of five numbers, no four are an address */
		bool in_number = at > 1 && text[at - 1] == '.' &&
				 isdigit((unsigned char)text[at - 2]);
		bool at_mail = !at || !is_of_mail(text[at - 1]);
		size_t length = private_length(redact, text + at, bytes - at, at_mail, at_word,
					       in_number, &replacement);

		if (length) {
			fputs(replacement, to);
			at += length;
		} else {
			fputc(text[at++], to);
		}
	}
	if (fclose(to)) {
		free(out);
		return NULL;
	}
	return out;
}
