/* SPDX-License-Identifier: MIT */
/*
 * Shared by the two checkpoint readers of the reference interpreter and by nobody else.
 */
#ifndef REF_INTERNAL_H
#define REF_INTERNAL_H

#include "ref_model.h"

/*
 * Check the shape, allocate layers and all tensors (the classifier only when @separate). NULL, or
 * what is wrong.
 */
const char *ref_model_allocate(struct ref_model *model, bool separate);

/* Read a Hugging Face directory into a zeroed model. NULL, or what is wrong. */
const char *ref_hf_read(struct ref_model *model, const char *directory);

#endif
