// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel's log says last of a card that no driver has: did the driver refuse it, or has it had it before? Reads /dev/kmsg
 * as far as it goes, and only where one may.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sources.h"

#define RECORD_BYTES 8192u /* of the kernel, at most */
#define LOG_BYTES (64u << 20) /* a reader that is slower than the log has to end, too */
#define LEVEL_ERROR 3u

/* Of a record "PRIORITY,SEQUENCE,TIME,FLAGS;TEXT" that is the driver's, of this card, and the kernel's own: its text, or NULL */
static const char *text_of(const char *record, const char *pci, unsigned int *level)
{
	char front[64];
	const char *text = strchr(record, ';');

	if (sscanf(record, "%3u,", level) != 1 || *level > 7 || !text)
		return NULL;
	snprintf(front, sizeof(front), CARD_DRIVER " %s: ", pci);
	return strncmp(text + 1, front, strlen(front)) ? NULL : text + 1 + strlen(front);
}

static void take_record(const char *record, const char *pci, enum log_says *said, char reason[256])
{
	static const char mark[] = "*ERROR* ";
	unsigned int level;
	const char *text = text_of(record, pci, &level), *error;

	if (!text)
		return;
	/* Its line of success: "[drm] MODEL, firmware 1.0.0, contract 1.0, ..." */
	if (level > LEVEL_ERROR && strstr(text, ", firmware ")) {
		*said = LOG_TOOK;
		reason[0] = '\0';
		return;
	}
	if (level > LEVEL_ERROR)
		return;
	error = strstr(text, mark);
	text = error ? error + strlen(mark) : text;
	/* Both stand behind the reason. What goes wrong with a card that the driver has does not end with them */
	if (!strncmp(text, "boot failed", strlen("boot failed")) ||
	    !strncmp(text, "probe with driver ", strlen("probe with driver "))) {
		*said = LOG_REFUSED;
		if (reason[0])
			return;
	}
	if (*said == LOG_SILENT)
		*said = LOG_REFUSED;
	text_clean(reason, 256, text, strcspn(text, "\n"));
}

/* The device gives a record a read, and EPIPE where some were overwritten meanwhile; a captured log is a file. */
enum log_says log_of_card(const char *pci, char reason[256])
{
	enum log_says said = LOG_SILENT;
	char path[PATH_MAX], records[RECORD_BYTES + 1];
	size_t kept = 0, total = 0;
	int fd;

	reason[0] = '\0';
	cards_path(path, "/dev/kmsg");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while (fd >= 0 && total < LOG_BYTES) {
		ssize_t count = read(fd, records + kept, RECORD_BYTES - kept);
		char *at = records, *end;

		if (count < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (count <= 0)
			break;
		total += (size_t)count;
		kept += (size_t)count;
		records[kept] = '\0';
		while ((end = memchr(at, '\n', kept - (size_t)(at - records)))) {
			*end = '\0';
			take_record(at, pci, &said, reason);
			at = end + 1;
		}
		kept -= (size_t)(at - records);
		memmove(records, at, kept);
		if (kept == RECORD_BYTES)
			kept = 0; /* no record of the kernel's */
	}
	if (fd >= 0)
		close(fd);
	return said;
}
