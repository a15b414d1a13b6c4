// SPDX-License-Identifier: MIT
/*
 * Fuzz target: what aipu-fw status shows. The input is what the device tells: its info page, then the fields of its registers; or,
 * if it begins with '{', a snapshot of any of the tools. Whatever that is, each line is text of one line, as many as there are
 * slots, and the JSON is read back, shown the same and written the same.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu-fw/update.h"

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* Its lines, to be freed */
static char *text_of(const struct fw_state *state)
{
	char *text = NULL;
	size_t bytes = 0;
	unsigned int lines = 0, slots = 1 + CARD_SLOTS; /* and one more for a problem */
	FILE *out = open_memstream(&text, &bytes);

	require(out);
	fw_render(out, state);
	fclose(out);
	for (size_t i = 0; i < bytes; i++) {
		require(text[i] == '\n' || (text[i] >= 0x20 && text[i] < 0x7f));
		lines += text[i] == '\n';
	}
	require(bytes && text[bytes - 1] == '\n' &&
		(lines == 1 || lines == slots || lines == slots + 1));
	return text;
}

static char *json_of(const struct snapfile_head *head, const struct fw_state *states, size_t count,
		     size_t *bytes)
{
	char *json = NULL;
	FILE *out = open_memstream(&json, bytes);
	json_t *root = fw_state_make(head, states, count);

	require(out && root && !snapfile_write(out, root, false) && !fclose(out));
	return json;
}

static void show(const struct snapfile_head *head, const struct fw_state *states, size_t count)
{
	struct snapfile_head head_again;
	struct fw_state *again;
	size_t bytes, bytes_again, count_again;
	char *json = json_of(head, states, count, &bytes), *json_again, why[FIELD_WHY];

	require(!fw_state_parse(json, bytes, &head_again, &again, &count_again, why));
	require(count == count_again);
	for (size_t i = 0; i < count; i++) {
		char *text = text_of(&states[i]), *text_again = text_of(&again[i]);

		/* A device may say what no snapshot has a word for: that is unknown there */
		require(text[0] && text_again[0]);
		free(text);
		free(text_again);
	}
	json_again = json_of(&head_again, again, count, &bytes_again);
	require(bytes == bytes_again);
	free(json);
	free(json_again);
	free(again);
}

static void read_and_show(const char *text, size_t size)
{
	struct snapfile_head head;
	struct fw_state *states;
	char why[FIELD_WHY] = "";
	size_t count;

	if (fw_state_parse(text, size, &head, &states, &count, why)) {
		require(why[0] && !states && !count);
		return;
	}
	show(&head, states, count);
	free(states);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct aipu_device_info device;
	static struct aipu_flash_info flash;
	const struct snapfile_head head = { .kernel = "" };
	size_t first = size < sizeof(flash) ? size : sizeof(flash);
	struct fw_state state;

	if (size && data[0] == '{') {
		read_and_show((const char *)data, size);
		return 0;
	}
	memset(&device, 0, sizeof(device));
	memset(&flash, 0, sizeof(flash));
	memcpy(&flash, data, first);
	memcpy(&device, data + first,
	       size - first < sizeof(device) ? size - first : sizeof(device));
	fw_state_take(&state, &device, &flash);
	show(&head, &state, 1);
	fw_state_take(&state, &device, NULL);
	show(&head, &state, 1);
	return 0;
}
