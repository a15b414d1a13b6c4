// SPDX-License-Identifier: MIT
/*
 * See arbiter.h. Within a class a round gives each context as many turns as its weight, one at a time, and it is over
 * when none that is ready has any left: so shares are exact in every round, and who has just become ready waits for
 * one turn of each other context at most. Nothing here depends on how long a step takes.
 */
#include "arbiter.h"

#include <stdbool.h>
#include <stddef.h>

#include "aipu_queue.h"

void dm_arbiter_share(const struct dm_arbiter *arbiter, unsigned int priority, uint32_t weight,
		      struct dm_share *share)
{
	static const unsigned int classes[] = {
		[AIPU_PRIORITY_HIGH] = 0,
		[AIPU_PRIORITY_NORMAL] = 1,
		[AIPU_PRIORITY_LOW] = 2,
	};

	*share = (struct dm_share){
		.class = classes[priority],
		.weight = weight ? weight : 1,
		.turn = arbiter->turns,
	};
	share->left = share->weight;
	share->round = arbiter->classes[share->class].round;
}

/* In a round that it took no part in yet it has all of its turns. */
static uint32_t turns_left(const struct dm_arbiter *arbiter, const struct dm_share *share)
{
	return share->round == arbiter->classes[share->class].round ? share->left : share->weight;
}

/* Of one class: who has turns left, then whose context, then who itself has waited longer */
static bool goes_before(const struct dm_arbiter *arbiter, const struct dm_place *a,
			const struct dm_place *b)
{
	bool a_left = turns_left(arbiter, a->share), b_left = turns_left(arbiter, b->share);

	if (a_left != b_left)
		return a_left;
	if (a->share->turn != b->share->turn)
		return a->share->turn < b->share->turn;
	return a->turn < b->turn;
}

void dm_arbiter_offer(struct dm_arbiter *arbiter, struct dm_place *place)
{
	struct dm_place **best = &arbiter->classes[place->share->class].best;

	if (!*best || goes_before(arbiter, place, *best))
		*best = place;
}

/* The first class that is ready, but for one that ran out of patience */
static unsigned int class_to_serve(const struct dm_arbiter *arbiter)
{
	unsigned int first = DM_CLASSES;

	for (unsigned int i = DM_CLASSES; i-- > 0;)
		if (arbiter->classes[i].best)
			first = i;
	for (unsigned int i = first; i < DM_CLASSES; i++)
		if (arbiter->classes[i].best && arbiter->classes[i].waited >= DM_CLASS_PATIENCE)
			return i;
	return first;
}

/* Counts the turn of class `served`, and forgets what was offered */
static void note_classes(struct dm_arbiter *arbiter, unsigned int served)
{
	for (unsigned int i = 0; i < DM_CLASSES; i++) {
		bool waits = arbiter->classes[i].best && i != served;

		arbiter->classes[i].waited = waits ? arbiter->classes[i].waited + 1 : 0;
		arbiter->classes[i].best = NULL;
	}
}

struct dm_place *dm_arbiter_take(struct dm_arbiter *arbiter)
{
	unsigned int class = class_to_serve(arbiter);
	struct dm_place *place;
	struct dm_share *share;

	if (class == DM_CLASSES)
		return NULL;
	place = arbiter->classes[class].best;
	share = place->share;
	note_classes(arbiter, class);
	if (!turns_left(arbiter, share))
		arbiter->classes[class].round++;
	share->left = turns_left(arbiter, share) - 1;
	share->round = arbiter->classes[class].round;
	share->turn = ++arbiter->turns;
	place->turn = share->turn;
	return place;
}
