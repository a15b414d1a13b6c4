/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Facts as JSON and back. A snapshot is all that the tool knew where it was made, so another machine can judge it anew; the
 * verdicts in it are for readers and are not read back.
 */
#ifndef AIPU_FWCHECK_SNAPSHOT_H
#define AIPU_FWCHECK_SNAPSHOT_H

#include <jansson.h>

#include "facts.h"

#define SNAPSHOT_TOOL "aipu-fwcheck"

/* NULL: out of memory */
json_t *snapshot_make(const struct facts *facts);

/* 0, or -EINVAL with one line in `why`: what is wrong where. facts->cards is to be freed */
int snapshot_parse(struct facts *facts, const char *text, size_t bytes, char why[FIELD_WHY]);

#endif
