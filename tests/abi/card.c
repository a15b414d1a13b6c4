// SPDX-License-Identifier: MIT
/* See card.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu_registers.h"
#include "card.h"

#define SETTLE_US 1000u

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

void card_interrupts(struct access *a, unsigned int vector, unsigned int vectors, uint32_t n)
{
	for (; vector < CARD_VECTORS; vector += vectors)
		__atomic_fetch_add(&a->interrupts[vector], n, __ATOMIC_SEQ_CST);
}

void card_settle(uint32_t offset)
{
	if (offset >= AIPU_PAGE_BYTES && offset % AIPU_PAGE_BYTES == AIPU_DOORBELL_CQ_HEAD)
		usleep(SETTLE_US);
}
