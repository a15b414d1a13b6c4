/* SPDX-License-Identifier: MIT */
/*
 * Whose step is next: three classes of contexts, and weights within a class (JOB-8 and PRIO-1 to PRIO-4 of the
 * contract). It knows turns and numbers only; what a queue is, and when it is ready, is the engine's affair, which
 * offers all that are ready at a step boundary and is told one of them.
 */
#ifndef AIPU_DM_ARBITER_H
#define AIPU_DM_ARBITER_H

#include <stdint.h>

#define DM_CLASSES 3u /* 0 goes first */
#define DM_CLASS_PATIENCE 64u /* steps of other classes through which one waits */
#define DM_MAX_WEIGHT 256u

/* What a context has: its class, and what is left of its part of the round */
struct dm_share {
	unsigned int class;
	uint32_t weight; /* steps in a round */
	uint32_t left; /* of those, in round `round` */
	uint64_t round;
	uint64_t turn; /* its last one */
};

/* One of those that wait for a turn: a queue's place */
struct dm_place {
	struct dm_share *share;
	uint64_t turn; /* its last one */
};

/* All zero at first */
struct dm_arbiter {
	uint64_t turns; /* taken so far */
	struct {
		uint64_t round;
		uint32_t waited; /* steps of others since its own last one, or since it was not ready */
		struct dm_place *best; /* of those offered */
	} classes[DM_CLASSES];
};

/* A share that comes last among those of its class; `priority`: enum aipu_priority; weight 0 is 1 */
void dm_arbiter_share(const struct dm_arbiter *arbiter, unsigned int priority, uint32_t weight,
		      struct dm_share *share);
/* A place that is ready at this boundary; it must stay until dm_arbiter_take */
void dm_arbiter_offer(struct dm_arbiter *arbiter, struct dm_place *place);
/* Gives the turn to one of those offered, and forgets the others. NULL: there was none. */
struct dm_place *dm_arbiter_take(struct dm_arbiter *arbiter);

#endif
