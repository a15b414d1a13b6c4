/* SPDX-License-Identifier: MIT */
/*
 * Names for people of the numbers in a container and its programs, and of what a device offers. NULL-safe: an unknown number has
 * a name too. Called by aipu-qpc and aipu-fwcheck.
 */
#ifndef AIPU_NAMES_H
#define AIPU_NAMES_H

#include <stdint.h>

const char *section_name(uint32_t kind);
const char *format_name(uint32_t format);
const char *layout_name(uint32_t layout);
const char *slot_kind_name(uint32_t kind);
const char *rows_name(uint32_t rows);
const char *opcode_name(uint32_t opcode);
const char *activation_format_name(uint32_t format);
const char *precision_name(uint32_t precision);
const char *kv_kind_name(uint32_t kind);
const char *capability_name(uint32_t bit); /* of AIPU_CAP_* */

#endif
