// SPDX-License-Identifier: MIT
/*
 * Fuzz target: what aipu-fw shows of a device's flash. The input is what the device tells: its info page, then the fields of its
 * registers. Whatever that is, each line is text of one line, as many as there are slots, and the JSON is JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu-fw/update.h"

static void check_text(const char *text, size_t bytes, unsigned int lines)
{
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] == '\n')
			lines--;
		else if (text[i] < 0x20 || text[i] >= 0x7f)
			abort();
	}
	if (lines || text[bytes - 1] != '\n')
		abort();
}

static void show(const struct aipu_device_info *device, const struct aipu_flash_info *flash)
{
	char *text = NULL, *dumped;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	json_t *object, *again;

	if (!out)
		abort();
	fw_render(out, "accel0", device, flash);
	fclose(out);
	check_text(text, bytes, flash ? 3 : 1);
	free(text);
	object = fw_render_json("accel0", device, flash);
	dumped = object ? json_dumps(object, JSON_ENSURE_ASCII) : NULL;
	again = dumped ? json_loads(dumped, 0, NULL) : NULL;
	if (!again || !json_equal(object, again) ||
	    json_array_size(json_object_get(object, "slots")) != (flash ? 2 : 0))
		abort();
	json_decref(object);
	json_decref(again);
	free(dumped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct aipu_device_info device;
	static struct aipu_flash_info flash;
	size_t first = size < sizeof(flash) ? size : sizeof(flash);

	memset(&device, 0, sizeof(device));
	memset(&flash, 0, sizeof(flash));
	memcpy(&flash, data, first);
	memcpy(&device, data + first,
	       size - first < sizeof(device) ? size - first : sizeof(device));
	show(&device, &flash);
	show(&device, NULL);
	return 0;
}
