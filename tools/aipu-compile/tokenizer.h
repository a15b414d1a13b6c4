/* SPDX-License-Identifier: MIT */
/*
 * Whether a file is a tokenizer that fits a model: a sentencepiece model with no more pieces than the model's
 * vocabulary has rows. Used by main.c.
 */
#ifndef AIPU_COMPILE_TOKENIZER_H
#define AIPU_COMPILE_TOKENIZER_H

#include <stdint.h>

#include "aipu/aipu.h" /* struct aipu_message */

/*
 * 0, or -errno with one line in *message. Models pad their vocabulary; one that has many more rows than there are
 * pieces is accepted with a warning on stderr.
 */
int tokenizer_check(const char *path, uint32_t vocabulary, struct aipu_message *message);

#endif
