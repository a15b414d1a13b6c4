/* SPDX-License-Identifier: MIT */
/*
 * Where the operator's tools look for /sys, /proc, /dev and /lib: the machine's own, or in tests the directory of a captured
 * machine, which AIPU_TEST_ROOT names. Only reads. Programs with raised rights take none.
 */
#ifndef AIPU_TOOLS_ROOT_H
#define AIPU_TOOLS_ROOT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

/* "" but in tests */
const char *cards_root(void);
/* A path below it: of /sys/..., /proc/..., /dev/... */
void cards_path(char path[PATH_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The first line of a file below it without its end; false: it cannot be read */
bool cards_read_line(char *line, size_t bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What a symbolic link below it points to, without the way there; "": nothing */
void cards_link_name(char *name, size_t bytes, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* The release of the kernel, which has no '/', so it may become a part of a path; "": unknown */
void cards_kernel(char *release, size_t bytes);
/* The index of the node that a driver made for a PCI function, -1: none */
int cards_node_index(const char *pci);

#endif
