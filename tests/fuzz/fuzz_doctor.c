// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fuzz target: text of others that aipu-smi doctor and report read. The first byte says which format the rest is. Of what report
 * gives out nothing private is left, wherever it stood. GPL as the code that it is linked with.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "aipu-smi/doctor_text.h"
#include "aipu-smi/report.h"
#include "cardlog.h"

#define SECRET "secret"

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void log_of(const char *text, size_t bytes)
{
	struct card card = { .pci = "0000:01:00.0" };
	const struct card_list cards = { &card, 1 };
	struct cardlog_line line;
	struct cardlog log = { 0, &line, 1 };
	const char *reason;

	if (!cardlog_parse(text, bytes, &line))
		return;
	require(line.level <= 7 && strlen(line.text) < sizeof(line.text));
	for (const char *c = line.text; *c; c++)
		require(*c >= ' ' && *c < 0x7f);
	reason = cardlog_reason(&log, card.pci);
	require(!reason || cardlog_concerns(line.text, &cards));
	if (reason)
		cardlog_board(reason);
	cardlog_refusal(&log, 0);
	require(!reason || cardlog_time(&log, reason) == line.microseconds);
	require(cardlog_time(&log, text) == 0);
	/* It took the card and said nothing of why not, or the other way round */
	require(!cardlog_taken(&log, card.pci) || !reason);
	require(cardlog_says(&log, card.pci, &reason) != CARDLOG_TOOK || !reason);
	cardlog_hot(&log, card.pci);
}

static bool is_name_part(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static void redacted(const char *text, size_t bytes)
{
	struct redact redact = { 0 };
	char *out;

	redact_add(&redact, SECRET, "[host]");
	redact_add(&redact, "/srv/" SECRET, "[home]");
	require(!redact.failed);
	out = redact_text(&redact, text, bytes);
	require(out != NULL);
	for (const char *at = out; (at = strcasestr(at, SECRET)); at++)
		require((at > out && is_name_part(at[-1])) || is_name_part(at[strlen(SECRET)]));
	/* Only where no name followed; '[': what was taken out there */
	for (const char *at = out; (at = strstr(at, "/home/")); at += 6)
		require(at[6] <= ' ' || strchr("\"'`,;:)]}>[", at[6]));
	free(out);
	redact_free(&redact);
}

/* A word for a shell, whatever it is made of */
static void quoted(const char *text, size_t bytes)
{
	char name[512], word[2048];

	if (bytes >= sizeof(name))
		return;
	memcpy(name, text, bytes);
	name[bytes] = '\0';
	require(doctor_quote(word, sizeof(word), name) || (bytes && memchr(name, '\n', bytes)) ||
		strlen(word) + 8 >= sizeof(word));
	for (const char *c = word; *c; c++)
		require(*c >= ' ' && *c < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t bytes = size ? size - 1 : 0;
	char path[64],
		*text = malloc(bytes ? bytes : 1); /* of its very size: one byte beyond is seen */
	bool blocked;

	memcpy(text, data + (size ? 1 : 0), bytes);
	switch (size ? data[0] % 6 : 0) {
	case 0:
		log_of(text, bytes);
		break;
	case 1:
		doctor_vermagic(text, bytes, path, sizeof(path));
		doctor_module_signed(text, bytes);
		break;
	case 2:
		doctor_modules_dep(text, bytes, CARD_DRIVER, path, sizeof(path));
		break;
	case 3:
		require(doctor_blacklisted(text, bytes, CARD_DRIVER, &blocked) || !blocked);
		break;
	case 4:
		doctor_command_line(text, bytes, "module_blacklist", CARD_DRIVER);
		break;
	default:
		quoted(text, bytes);
		redacted(text, bytes);
	}
	free(text);
	return 0;
}
