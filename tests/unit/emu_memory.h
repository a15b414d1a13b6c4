/* SPDX-License-Identifier: MIT */
/*
 * Memory of a guest for test_emu_*.c, as a client of aipu-emu has it: a memfd, mapped here too. And what this process
 * holds, to see that nothing is left behind.
 */
#ifndef AIPU_TEST_EMU_MEMORY_H
#define AIPU_TEST_EMU_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory {
	int fd;
	size_t size;
	uint8_t *bytes;
};

void memory_open(struct memory *memory, size_t bytes);
void memory_close(struct memory *memory);
/* A descriptor of its own, to give away */
int memory_fd(const struct memory *memory);
int open_again(const char *path, bool write);
unsigned int open_fds(void);
unsigned int mappings(void);

#endif
