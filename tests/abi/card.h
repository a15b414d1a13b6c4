/* SPDX-License-Identifier: MIT */
/* Finding a PCI card in sysfs, for the access layers that run where one is. Never touches a card's registers. */
#ifndef CARD_H
#define CARD_H

#include "access.h"

#define CARD_PCI "/sys/bus/pci/"
#define CARD_VECTORS 8u /* those of struct access */

struct card_path {
	char text[160];
};

/* One line on stderr with errno's text: what is missing, and how to get it; returns -ENODEV */
int card_missing(const char *what, const char *how);
/* The card of AIPU_PCI (0000:01:00.0), or the first there is; 0 or -ENODEV with that line */
int card_find(char address[32]);
/* "<the card's directory in sysfs>/<name>" */
struct card_path card_file(const char *address, const char *name);
/* Takes it from its driver, if one has it */
void card_unbind(const char *address);

bool text_write(const char *path, const char *text);
long number_read(const char *path); /* -1: there is none */

/*
 * Interrupts that came. An interrupt takes a way of its own, through an emulator and threads, and comes later than the
 * completion that a driver has polled for; the contract's tests count exactly. So before completions are freed all that
 * were raised are waited for: by the counter of aipu-emu's cards, which is in configuration space, else for a moment.
 */
struct card_count {
	int fd; /* of configuration space, which begins at `base` */
	uint64_t base;
	uint32_t at; /* offset of the counter; 0: the card has none */
	uint32_t start; /* what it was at first */
	uint32_t come; /* by messages; atomic */
	uint32_t merged; /* that came as one with others */
};

void card_count_start(struct card_count *c, int fd, uint64_t base);
/* `n` interrupts of one of `vectors`. With fewer than the contract's they share: counted for all it stands for. */
void card_count_add(struct card_count *c, struct access *a, unsigned int vector,
		    unsigned int vectors, uint32_t n);
/* access_settle() of cards */
void card_count_settle(struct card_count *c);

#endif
