/* SPDX-License-Identifier: MIT */
/*
 * The software device's flash, a file, as the operator's tools see it without that device: which file, what is wrong with it, and
 * what is in it, also where nothing in it starts. Called by aipu-fw and aipu-fwcheck; changes nothing. Needs libaipu-dm.a.
 */
#ifndef AIPU_TOOLS_SOFTFLASH_H
#define AIPU_TOOLS_SOFTFLASH_H

#include <stdbool.h>
#include <stddef.h>

#include "aipu_queue.h" /* struct aipu_flash_info */

#define SOFTFLASH_TEXT 256u /* of its path: longer ones end in the middle */

/* Its path; false: there is no place for it */
bool softflash_text(char *text, size_t bytes);
/* "PATH: is a directory; ...": why it cannot be read, from what there is and the -errno; false: it has no place */
bool softflash_fault(int err, char *text, size_t bytes);
/*
 * What a software device that is switched on now would tell of its flash, with what its boot ROM has against each slot. 0;
 * -ENOENT: there is no such file; -errno
 */
int softflash_info(struct aipu_flash_info *info);

#endif
