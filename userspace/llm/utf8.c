/* SPDX-License-Identifier: MIT */
/*
 * Holding back split UTF-8: tokens may end inside a character, output may not. Called for every piece of
 * generated text. Rules: Unicode 15, section 3.9, table 3-7; a maximal subpart that can never become a
 * character is replaced by one U+FFFD.
 */
#include <string.h>

#include "aipu/llm.h"

static const char replacement[] = "\xef\xbf\xbd";

/* Length of the character that `lead` opens, 0 if it opens none; lo..hi bounds its second byte. */
static unsigned int lead_length(unsigned char lead, unsigned char *lo, unsigned char *hi)
{
	*lo = 0x80;
	*hi = 0xbf;
	if (lead < 0x80)
		return 1;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef) {
		if (lead == 0xe0)
			*lo = 0xa0;
		if (lead == 0xed)
			*hi = 0x9f;
		return 3;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		if (lead == 0xf0)
			*lo = 0x90;
		if (lead == 0xf4)
			*hi = 0x8f;
		return 4;
	}
	return 0;
}

static size_t replace(struct aipu_utf8 *state, char *out)
{
	state->count = 0;
	memcpy(out, replacement, 3);
	return 3;
}

size_t aipu_utf8_push(struct aipu_utf8 *state, const char *in, size_t bytes, char *out)
{
	size_t n = 0, i;

	for (i = 0; i < bytes; i++) {
		unsigned char c = (unsigned char)in[i], lo, hi;
		unsigned int need;

		if (state->count) {
			lead_length(state->held[0], &lo, &hi);
			if (state->count > 1) {
				lo = 0x80;
				hi = 0xbf;
			}
			if (c < lo || c > hi) /* c opens something new */
				n += replace(state, out + n);
		}
		if (!state->count && !lead_length(c, &lo, &hi)) {
			n += replace(state, out + n);
			continue;
		}
		state->held[state->count++] = c;
		need = lead_length(state->held[0], &lo, &hi);
		if (state->count == need) {
			memcpy(out + n, state->held, need);
			n += need;
			state->count = 0;
		}
	}
	return n;
}

size_t aipu_utf8_flush(struct aipu_utf8 *state, char *out)
{
	return state->count ? replace(state, out) : 0;
}
