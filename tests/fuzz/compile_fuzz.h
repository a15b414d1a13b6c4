/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets of compiler and container reader share: a file in memory, given anew for each input.
 */
#ifndef COMPILE_FUZZ_H
#define COMPILE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

#define FUZZ_PATH_BYTES 64

/* Makes the bytes the contents of a file in memory; its path to `path`. Returns its descriptor, kept open */
int fuzz_file(const void *data, size_t size, char path[FUZZ_PATH_BYTES]);
/* Stops the fuzzer */
void fuzz_require(int condition, const char *what);

#endif
