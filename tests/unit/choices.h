/* SPDX-License-Identifier: MIT */
/*
 * Choices of a test that hurts: from a seed, or from a fuzzer's bytes as long as they last. Shared by tests and fuzz targets.
 */
#ifndef TEST_CHOICES_H
#define TEST_CHOICES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* xorshift64*: the same numbers everywhere */
static inline uint32_t rig_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * 2685821657736338717ull >> 32);
}

struct choices {
	const uint8_t *data;
	size_t size;
	uint64_t random; /* 0: bytes alone, then zeros */
};

static inline uint32_t choose(struct choices *c)
{
	uint32_t value = 0;
	size_t n = c->size < 4 ? c->size : 4;

	if (!c->data)
		return rig_random(&c->random);
	memcpy(&value, c->data, n);
	c->data += n;
	c->size -= n;
	return value;
}

static inline uint32_t choose_below(struct choices *c, uint32_t limit)
{
	return limit ? choose(c) % limit : 0;
}

/* A number near another one, or one of those on which arithmetic breaks */
static inline uint64_t choose_number(struct choices *c, uint64_t old, unsigned int bits)
{
	static const uint64_t edges[] = {
		0,	1,	2,	    15,		16,	    17,	       63,	  64,
		0x7fff, 0xffff, 0x7fffffff, 0xffffffff, 1ull << 32, INT64_MAX, UINT64_MAX
	};
	uint64_t mask = bits == 64 ? UINT64_MAX : (1ull << bits) - 1, value;

	switch (choose_below(c, 6)) {
	case 0:
		value = old + 1;
		break;
	case 1:
		value = old - 1;
		break;
	case 2:
		value = old / 2;
		break;
	case 3:
		value = old + ((uint64_t)choose_below(c, 9) - 4) * 64;
		break;
	case 4:
		value = choose_below(c, (uint32_t)(old < UINT32_MAX ? old + 2 : UINT32_MAX));
		break;
	default:
		value = edges[choose_below(c, sizeof(edges) / sizeof(edges[0]))];
		break;
	}
	return value & mask;
}

#endif
