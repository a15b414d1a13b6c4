// SPDX-License-Identifier: GPL-2.0-or-later
/* See fdinfo.h. Keys that are not known are passed over, as their form asks for. */
#include "fdinfo.h"

#include <string.h>

#include "cards.h"
#include "snapshot.h"

struct line {
	const char *key, *value; /* value: without the blanks before it */
	size_t key_bytes, value_bytes;
};

static bool key_is(const struct line *line, const char *key)
{
	return line->key_bytes == strlen(key) && !memcmp(line->key, key, line->key_bytes);
}

static bool key_begins(const struct line *line, const char *key)
{
	return line->key_bytes >= strlen(key) && !memcmp(line->key, key, strlen(key));
}

/* "KEY:<blanks>VALUE"; false: no such line */
static bool split(const char *text, size_t bytes, struct line *line)
{
	const char *colon = memchr(text, ':', bytes);

	if (!colon)
		return false;
	line->key = text;
	line->key_bytes = (size_t)(colon - text);
	line->value = colon + 1;
	line->value_bytes = bytes - line->key_bytes - 1;
	while (line->value_bytes && (*line->value == ' ' || *line->value == '\t')) {
		line->value++;
		line->value_bytes--;
	}
	return true;
}

/* Digits at the start, *used of them; false: none, or more than an int64_t holds */
static bool digits(const struct line *line, int64_t *number, size_t *used)
{
	*number = 0;
	for (*used = 0; *used < line->value_bytes; ++*used) {
		char c = line->value[*used];

		if (c < '0' || c > '9')
			break;
		if (__builtin_mul_overflow(*number, 10, number) ||
		    __builtin_add_overflow(*number, c - '0', number))
			return false;
	}
	return *used > 0;
}

/* "12", "12 KiB", "12 ns": the number with its unit; SMI_UNKNOWN if it is none */
static int64_t amount(const struct line *line)
{
	static const struct {
		const char *name;
		int64_t factor;
	} units[] = {
		{ "", 1 }, { "ns", 1 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 }
	};
	struct line rest = *line;
	int64_t number;
	size_t used;

	if (!digits(line, &number, &used))
		return SMI_UNKNOWN;
	rest.key = line->value + used;
	rest.key_bytes = line->value_bytes - used;
	while (rest.key_bytes && *rest.key == ' ') {
		rest.key++;
		rest.key_bytes--;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (key_is(&rest, units[i].name) &&
		    !__builtin_mul_overflow(number, units[i].factor, &number))
			return number;
	return SMI_UNKNOWN;
}

static void add(int64_t *sum, int64_t more)
{
	if (more == SMI_UNKNOWN)
		return;
	if (*sum == SMI_UNKNOWN || __builtin_add_overflow(*sum, more, sum))
		*sum = more;
}

struct seen {
	bool driver, card, id;
};

static void take(const struct line *line, struct smi_client *client, struct seen *seen)
{
	int64_t number;
	size_t used;

	if (key_is(line, "drm-driver")) {
		seen->driver = line->value_bytes == strlen(CARD_DRIVER) &&
			       !memcmp(line->value, CARD_DRIVER, line->value_bytes);
	} else if (key_is(line, "drm-pdev")) {
		text_clean(client->pci, sizeof(client->pci), line->value, line->value_bytes);
		seen->card = client->pci[0];
	} else if (key_is(line, "drm-client-id")) {
		seen->id = digits(line, &number, &used) && used == line->value_bytes;
		client->id = seen->id ? (uint64_t)number : 0;
	} else if (key_begins(line, "drm-engine-") && !key_begins(line, "drm-engine-capacity-")) {
		add(&client->engine_ns, amount(line));
	} else if (key_is(line, "drm-total-device")) {
		client->device_bytes = amount(line);
	} else if (key_is(line, "drm-resident-device")) {
		client->device_resident_bytes = amount(line);
	} else if (key_is(line, "drm-total-host")) {
		client->host_bytes = amount(line);
	} else if (key_is(line, "drm-resident-host")) {
		client->host_resident_bytes = amount(line);
	} else if (key_is(line, CARD_DRIVER "-kv-device")) {
		client->device_kv_bytes = amount(line);
	} else if (key_is(line, CARD_DRIVER "-kv-host")) {
		client->host_kv_bytes = amount(line);
	} else if (key_is(line, CARD_DRIVER "-jobs")) {
		client->jobs = amount(line);
	}
}

bool smi_fdinfo_parse(const char *text, size_t bytes, struct smi_client *client)
{
	const char *end = text + bytes;
	struct seen seen = { false, false, false };

	*client = (struct smi_client){ .engine_ns = SMI_UNKNOWN,
				       .jobs = SMI_UNKNOWN,
				       .device_bytes = SMI_UNKNOWN,
				       .device_resident_bytes = SMI_UNKNOWN,
				       .device_kv_bytes = SMI_UNKNOWN,
				       .host_bytes = SMI_UNKNOWN,
				       .host_resident_bytes = SMI_UNKNOWN,
				       .host_kv_bytes = SMI_UNKNOWN };
	while (text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		struct line line;

		if (!stop)
			stop = end;
		if (split(text, (size_t)(stop - text), &line))
			take(&line, client, &seen);
		text = stop + 1;
	}
	return seen.driver && seen.card && seen.id;
}
