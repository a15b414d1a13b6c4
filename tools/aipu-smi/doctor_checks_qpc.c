// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doctor's checks, last part: does a compiled model run on this device. Each looks at the facts and at nothing else, and
 * gives one result.
 */
#include "doctor.h"

#include <errno.h>
#include <string.h>

#include "aipu_registers.h"

#define ABI(version) AIPU_ABI_MAJOR(version), AIPU_ABI_MINOR(version)

void doctor_check_qpc(const struct doctor_facts *facts, const struct doctor_card *card,
		      struct doctor_result *result)
{
	const struct doctor_qpc *qpc = &facts->qpc;

	(void)card;
	if (!qpc->path) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "no model was named (--qpc DIR)");
	} else if (qpc->error) {
		doctor_problem(result, cli_exit_code(qpc->error), "%s", qpc->message);
		/* Of what is not there, or may not be read, nothing can be verified. */
		if (qpc->error == -ENOENT) {
			doctor_append(result, " (MODEL: a model's directory or file; DIR: a "
					      "directory that aipu-compile wrote)");
			doctor_remedy(result, false, "aipu-compile MODEL -o DIR");
		} else if (qpc->error == -EACCES || qpc->error == -EPERM) {
			doctor_remedy(result, false, "ls -la %s", qpc->path);
		} else {
			doctor_remedy(result, false, "aipu-qpc verify %s", qpc->path);
		}
	} else {
		doctor_ok(result, "%s is undamaged, weights aside (aipu-qpc verify)", qpc->path);
	}
}

/* What the three below need; false: it is lacking, and `result` says which */
static bool can_compare(const struct doctor_facts *facts, const struct doctor_card *card,
			struct doctor_result *result)
{
	const char *lacking = NULL;

	if (!facts->qpc.path)
		lacking = "no model was named (--qpc DIR)";
	else if (facts->qpc.error)
		lacking = "the model cannot be read";
	else if (!card->open.tried || card->open.error)
		lacking = "the device was not opened";
	if (lacking)
		doctor_say(result, DOCTOR_NOT_CHECKED, "%s", lacking);
	return !lacking;
}

void doctor_check_qpc_contract(const struct doctor_facts *facts, const struct doctor_card *card,
			       struct doctor_result *result)
{
	const struct aipu_device_info *info = &card->open.info;
	const struct doctor_qpc *qpc = &facts->qpc;
	bool newer = qpc->abi_oldest > info->abi_newest;

	if (!can_compare(facts, card, result))
		return;
	if (!newer && qpc->abi_newest >= info->abi_oldest) {
		doctor_ok(result, "the program fits the device's contract");
		return;
	}
	doctor_problem(
		result, CLI_FAILED,
		"the program is for the contract from %u.%u to %u.%u, the device speaks %u.%u "
		"to %u.%u: %s",
		ABI(qpc->abi_oldest), ABI(qpc->abi_newest), ABI(info->abi_oldest),
		ABI(info->abi_newest),
		newer ? "newer firmware is needed, or a compiler of the firmware's age"
		      : "compile it again");
	doctor_remedy(result, false, "aipu-compile MODEL -o %s", qpc->path);
}

/* "1, 5, 17": the bits of a mask */
static void list_bits(uint64_t mask, char *text, size_t bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < 64 && used < bytes; i++)
		if (mask >> i & 1)
			used += (size_t)snprintf(text + used, bytes - used, "%s%u",
						 used ? ", " : "", i);
}

void doctor_check_qpc_program(const struct doctor_facts *facts, const struct doctor_card *card,
			      struct doctor_result *result)
{
	const struct aipu_device_info *info = &card->open.info;
	const struct doctor_qpc *qpc = &facts->qpc;
	const struct {
		const char *what;
		uint64_t lacking;
	} masks[] = {
		{ "operations", qpc->operations & ~info->operations },
		{ "capabilities", qpc->capabilities & ~info->capabilities },
		{ "weight formats", qpc->formats & ~info->formats },
	};
	char text[400] = "";
	size_t used = 0;

	if (!can_compare(facts, card, result))
		return;
	for (size_t i = 0; i < sizeof(masks) / sizeof(masks[0]); i++) {
		char bits[100];

		if (!masks[i].lacking)
			continue;
		list_bits(masks[i].lacking, bits, sizeof(bits));
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %s",
					 used ? "; " : "", masks[i].what, bits);
	}
	if (!used && qpc->lanes > info->max_lanes)
		snprintf(text, sizeof(text), "%u lanes (it has %u)", qpc->lanes, info->max_lanes);
	if (!text[0]) {
		doctor_ok(result, "the device executes all that the program needs");
		return;
	}
	doctor_problem(result, CLI_FAILED,
		       "the device does not have what the program needs: %s (numbers as in the "
		       "contract)",
		       text);
	if (!used)
		doctor_remedy(result, false, "aipu-compile MODEL -o %s --batch-size %u", qpc->path,
			      info->max_lanes);
	else if (masks[2].lacking)
		doctor_remedy(result, false, "aipu-compile MODEL -o %s --precision int8",
			      qpc->path);
}

void doctor_check_qpc_memory(const struct doctor_facts *facts, const struct doctor_card *card,
			     struct doctor_result *result)
{
	const struct aipu_device_info *info = &card->open.info;
	const struct doctor_qpc *qpc = &facts->qpc;
	bool uma = info->capabilities & AIPU_CAP_UMA, overflow = false;
	uint64_t need = uma ? 0 : qpc->weights;

	if (!can_compare(facts, card, result))
		return;
	overflow |= __builtin_add_overflow(need, uma ? 0 : qpc->constants, &need);
	overflow |= __builtin_add_overflow(need, qpc->kv, &need);
	overflow |= __builtin_add_overflow(need, qpc->other, &need);
	if (info->memory_free == UINT64_MAX) {
		doctor_say(result, DOCTOR_NOT_CHECKED,
			   "the device does not tell how much of its memory is free");
		return;
	}
	if (!overflow && need <= info->memory_free) {
		doctor_ok(result, "%llu bytes of device memory are needed, %llu are free",
			  (unsigned long long)need, (unsigned long long)info->memory_free);
		return;
	}
	doctor_problem(
		result, CLI_FAILED,
		"%llu bytes of device memory are needed (weights %llu, KV cache %llu, rest %llu), "
		"%llu of %llu are free%s",
		(unsigned long long)(overflow ? UINT64_MAX : need),
		(unsigned long long)(uma ? 0 : qpc->weights), (unsigned long long)qpc->kv,
		(unsigned long long)(qpc->other + (uma ? 0 : qpc->constants)),
		(unsigned long long)info->memory_free, (unsigned long long)info->memory_bytes,
		need <= info->memory_bytes && !overflow
			? ": others use it (aipu-smi ps)"
			: ": compile with a smaller --ctx-len or --batch-size");
	if (need <= info->memory_bytes && !overflow)
		doctor_remedy(result, false, "aipu-smi ps");
	else
		doctor_remedy(result, false,
			      "aipu-compile MODEL -o %s --batch-size 1 --ctx-len TOKENS",
			      qpc->path);
}
