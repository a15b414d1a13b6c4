// SPDX-License-Identifier: MIT
/*
 * The names of the counters and their one line. Counting itself is emu_count() in the DMA and register layer, from
 * any thread; reading never stops anybody, so the values of one line need not be of one moment.
 */
#include "emu.h"

uint64_t emu_counter(const struct emu_counters *c, enum emu_counter what)
{
	return atomic_load_explicit(&c->value[what], memory_order_relaxed);
}

const char *emu_counter_name(enum emu_counter what)
{
#define NAME(name, lower, text) [EMU_COUNT_##name] = #lower,
	static const char *const names[EMU_COUNTERS] = { EMU_COUNTER_LIST(NAME) };
#undef NAME

	return names[what];
}

void emu_counters_print(const struct emu_counters *c, FILE *to)
{
	for (enum emu_counter what = 0; what < EMU_COUNTERS; what++)
		fprintf(to, "%s%s=%llu", what ? " " : "", emu_counter_name(what),
			(unsigned long long)emu_counter(c, what));
	fputc('\n', to);
}
