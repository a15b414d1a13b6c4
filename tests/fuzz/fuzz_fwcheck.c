// SPDX-License-Identifier: MIT
/*
 * Fuzz target: what aipu-fwcheck reads. The first byte says what the rest is: a snapshot, what a device says of itself and its
 * flash, its registers, a firmware image, a program. Whatever it is, it is judged and shown: in printable characters, as JSON that is
 * read back, and then judged the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aipu-fwcheck/show.h"
#include "aipu-fwcheck/snapshot.h"
#include "aipu-fwcheck/sources.h"
#include "aipu-fwcheck/verdict.h"
#include "aipu/manage.h"
#include "compile_fuzz.h"

enum { SNAPSHOT, DEVICE, REGISTERS, IMAGE, PROGRAM, KINDS };

static char *text_of(const struct facts *facts, struct verdicts *verdicts, int *worst)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);

	*worst = 0;
	for (size_t i = 0; i < facts->count; i++) {
		verdict_judge(&facts->machine, &facts->cards[i], &verdicts[i]);
		show_card(out, &facts->machine, &facts->cards[i], &verdicts[i]);
		*worst = verdict_worse(*worst, verdict_exit(&facts->cards[i], &verdicts[i], true));
	}
	fclose(out);
	for (size_t i = 0; i < bytes; i++)
		fuzz_require((text[i] >= 0x20 && text[i] < 0x7f) || text[i] == '\n',
			     "what is shown is printable");
	return text;
}

static void judge_and_show(const struct facts *facts, bool exact)
{
	static struct verdicts verdicts[SNAPFILE_CARDS];
	struct facts again;
	char *text, *json = NULL, *text_again, why[FIELD_WHY];
	size_t bytes = 0;
	int worst, worst_again;
	FILE *out;

	text = text_of(facts, verdicts, &worst);
	out = open_memstream(&json, &bytes);
	fuzz_require(!show_json(out, facts, verdicts, worst, true), "shown as JSON");
	fclose(out);
	fuzz_require(!snapshot_parse(&again, json, bytes, why), "which is read back");
	text_again = text_of(&again, verdicts, &worst_again);
	fuzz_require(worst == worst_again, "and judged the same");
	fuzz_require(!exact || !strcmp(text, text_again), "and shown the same");
	free(again.cards);
	free(text_again);
	free(json);
	free(text);
}

static void device(struct fw_card *card, const uint8_t *data, size_t size)
{
	struct aipu_device_info info;
	struct aipu_flash_info flash;
	size_t part = size < sizeof(info) ? size : sizeof(info);

	memset(&info, 0x5a, sizeof(info));
	memset(&flash, 0x5a, sizeof(flash));
	memcpy(&info, data, part);
	data += part;
	size -= part;
	memcpy(&flash, data, size < sizeof(flash) ? size : sizeof(flash));
	card->access = FW_READY;
	collect_info(card, &info);
	slots_take(&card->flash, &info, &flash);
}

static void registers(struct fw_card *card, const uint8_t *data, size_t size)
{
	uint32_t words[1024] = { 0 };

	memcpy(words, data, size < sizeof(words) ? size : sizeof(words));
	card->access = registers_parse(card, words) ? FW_NOT_ANSWERING : FW_NOT_TAKEN;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fw_card card;
	struct facts facts = { .cards = &card, .count = 1 };
	char why[FIELD_WHY] = "";
	uint8_t kind = size ? *data++ % KINDS : 0;
	void *copy;

	size -= size > 0;
	if (kind == SNAPSHOT) {
		if (!snapshot_parse(&facts, (const char *)data, size, why)) {
			judge_and_show(&facts, true);
			free(facts.cards);
		} else {
			fuzz_require(why[0] && !facts.cards, "a refusal says why");
		}
		return 0;
	}
	facts_program_clear(&facts.machine.program);
	facts.machine.driver = facts.machine.library =
		(struct fw_range){ AIPU_ABI_OLDEST, AIPU_ABI_CURRENT };
	facts.machine.driver_api = facts.machine.library_api = AIPU_ABI_VERSION(1, 1);
	facts_card_clear(&card);
	copy = malloc(size ? size : 1); /* of its very size: one byte beyond is seen */
	memcpy(copy, data, size);
	if (kind == DEVICE)
		device(&card, data, size);
	else if (kind == REGISTERS)
		registers(&card, data, size);
	else if (kind == IMAGE)
		image_parse(&card.image, copy, size, true);
	else if (program_needs(&facts.machine.program, copy, size))
		facts.machine.program.present = true;
	free(copy);
	judge_and_show(&facts, false);
	return 0;
}
