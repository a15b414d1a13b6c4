/* SPDX-License-Identifier: MIT */
/*
 * Views: the files behind DMA maps as memory of this process. Internal to dma.c and view.c.
 */
#ifndef AIPU_EMU_VIEW_H
#define AIPU_EMU_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file, mapped whole: a client with an IOMMU has thousands of maps of one file, and faults its pages once */
struct emu_view {
	uint64_t device, inode;
	uint64_t bytes;
	uint8_t *memory;
	bool writable;
	unsigned int users; /* maps */
	struct emu_view *next; /* the caller's, once it is released */
};

/*
 * The view of fd's file that holds [0, end), with a user more. *views is the tree of those there are. -EINVAL: no
 * regular file, or shorter; -ENOMEM; -errno of mmap (-EACCES: a read-only file cannot be written).
 */
int emu_view_get(void **views, int fd, uint64_t end, bool writable, struct emu_view **out);
/* true: that was the last user; the caller calls emu_view_unmap, without its locks */
bool emu_view_put(void **views, struct emu_view *view);
void emu_view_unmap(struct emu_view *view);
/* Before the first copy, and while no other thread copies. Stays until the process ends. */
void emu_view_catch_sigbus(void);
/* In range. false: the file became shorter. */
bool emu_view_read(const struct emu_view *view, uint64_t offset, void *to, size_t bytes);
bool emu_view_write(const struct emu_view *view, uint64_t offset, const void *from, size_t bytes);

#endif
