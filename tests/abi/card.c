// SPDX-License-Identifier: MIT
/* See card.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu-emu/emu.h"
#include "aipu_registers.h"
#include "card.h"

#define SETTLE_MS 500u /* for an interrupt that will not come any more */
enum { EXTENDED = 0x100, VENDOR_SPECIFIC = 0x000b };

int card_missing(const char *what, const char *how)
{
	fprintf(stderr, "card: %s: %s; %s\n", what, strerror(errno), how);
	return -ENODEV;
}

bool text_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

long number_read(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool good = fd >= 0 && read(fd, text, sizeof(text) - 1) > 0;

	if (fd >= 0)
		close(fd);
	return good ? strtol(text, NULL, 0) : -1;
}

struct card_path card_file(const char *address, const char *name)
{
	struct card_path path;

	snprintf(path.text, sizeof(path.text), CARD_PCI "devices/%s/%s", address, name);
	return path;
}

static bool is_card(const char *address)
{
	return number_read(card_file(address, "vendor").text) == AIPU_PCI_VENDOR_ID &&
	       number_read(card_file(address, "device").text) == AIPU_PCI_DEVICE_ID;
}

int card_find(char address[32])
{
	const char *given = getenv("AIPU_PCI");
	struct dirent **list = NULL;
	int i, n;

	errno = ENODEV;
	snprintf(address, 32, "%s", given ? given : "");
	if (given)
		return is_card(address) ? 0
					: card_missing(given, "AIPU_PCI names no card of 1af4:10f0 "
							      "(0000:01:00.0, for instance)");
	n = scandir(CARD_PCI "devices", &list, NULL, alphasort);
	for (i = 0; i < n; free(list[i++]))
		if (!address[0] && is_card(list[i]->d_name))
			snprintf(address, 32, "%.31s", list[i]->d_name);
	free(list);
	errno = ENODEV;
	return address[0] ? 0
			  : card_missing("no card", "none of 1af4:10f0 is in " CARD_PCI "devices");
}

void card_unbind(const char *address)
{
	text_write(card_file(address, "driver/unbind").text, address);
}

static uint32_t config_read(const struct card_count *c, uint32_t offset)
{
	uint32_t value = 0;

	return pread(c->fd, &value, 4, (off_t)(c->base + offset)) == 4 ? value : 0;
}

/* PCI Express Base Specification 4.0, 7.6.3 and 7.9.5: vendor-specific extended capability 1, revision 1 */
void card_count_start(struct card_count *c, int fd, uint64_t base)
{
	uint32_t at = EXTENDED, header, most = 64;

	*c = (struct card_count){ .fd = fd, .base = base };
	for (header = 0; at >= EXTENDED && most--; at = header >> 20) {
		header = config_read(c, at);
		if ((header & 0xffff) == VENDOR_SPECIFIC &&
		    (config_read(c, at + 4) & 0xfffff) == (1 << 16 | 1))
			c->at = at + 8 + 8 * EMU_COUNT_INTERRUPTS;
	}
	if (c->at)
		c->start = config_read(c, c->at);
}

void card_count_add(struct card_count *c, struct access *a, unsigned int vector,
		    unsigned int vectors, uint32_t n)
{
	__atomic_fetch_add(&c->come, n, __ATOMIC_SEQ_CST);
	for (; vector < CARD_VECTORS; vector += vectors)
		__atomic_fetch_add(&a->interrupts[vector], n, __ATOMIC_SEQ_CST);
}

void card_count_settle(struct card_count *c)
{
	uint32_t ms = 0, missing;

	do {
		usleep(1000);
		missing = c->at ? config_read(c, c->at) - c->start - c->merged -
					  __atomic_load_n(&c->come, __ATOMIC_SEQ_CST)
				: 0;
	} while (missing && ms++ < SETTLE_MS);
	c->merged += missing;
}
