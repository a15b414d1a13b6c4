/* SPDX-License-Identifier: MIT */
/*
 * Versions and boards as people and JSON write them, and texts of devices, files and processes made safe for terminals. Pure.
 * Called by the operator's tools: aipu-smi, aipu-fw, aipu-fwcheck.
 */
#ifndef AIPU_TOOLS_TEXT_H
#define AIPU_TOOLS_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * What is no printable ASCII becomes '?', spaces at the end are cut, the rest of `to` is zero. `from` need not end within
 * from_bytes, and may be `to`.
 */
void text_clean(char *to, size_t to_bytes, const char *from, size_t from_bytes);
/* A member that is an array, from another */
#define TEXT_CLEAN(to, from) text_clean(to, sizeof(to), from, sizeof(from))

/* major << 16 | minor, as "1.0"; 0: "?" */
void text_abi(char text[16], uint32_t version);
/* major << 24 | minor << 16 | patch, as "0.9.0"; 0: "?" */
void text_version(char text[20], uint32_t version);
/* "soft", "any", "0x00001234"; more than 32 bits: "unknown" */
void text_board(char text[16], uint64_t id);

#endif
