/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where facts come from: files, a model's container, a card's first registers, libaipu. All of it only reads, and believes nothing
 * that it reads; nothing here judges.
 */
#ifndef AIPU_FWCHECK_SOURCES_H
#define AIPU_FWCHECK_SOURCES_H

#include "cards.h"
#include "facts.h"

/* image.c. path and state are set whatever comes out of it; bytes: of the whole image, soft: with the keys of that device */
void image_parse(struct fw_image *image, const void *data, size_t bytes, bool soft);
/* 0, or -errno: the state is MISSING or UNREADABLE then */
int image_read(struct fw_image *image, const char *path, bool soft);
/* The one that the kernel would give to a card of this board, as it looks for it */
void image_find(struct fw_image *image, uint32_t board);

/* program.c. 0, or -errno with a line in `why`: there is no such model */
int program_read(struct fw_program *program, const char *path, char why[512]);
/* The needs of a program image: ranges, masks, memory. False: its tables do not fit its size */
bool program_needs(struct fw_program *program, const void *image, size_t bytes);

/*
 * registers.c: identity and state of a card that has no driver, as BAR0 shows it; without the right to read it nothing becomes
 * known. 0; -EIO: it does not answer, or is no AIPU, and card->reason says so.
 */
int registers_read(struct fw_card *card, const struct card *pci);
/* Of 4096 bytes of BAR0 */
int registers_parse(struct fw_card *card, const volatile uint32_t *words);

struct aipu_device_info;

/* collect.c. firmware: a file, or NULL */
void collect_machine(struct fw_machine *machine);
void collect_card(struct fw_card *card, const struct fw_machine *machine, const struct card *pci,
		  const char *firmware);
/* What a device says of itself, however little of it may be true */
void collect_info(struct fw_card *card, const struct aipu_device_info *info);
void collect_soft(struct fw_card *card, const struct fw_machine *machine, const char *firmware);

#endif
