/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text of others that doctor and report read: the kernel's log, modules, modprobe's files, the kernel's command line. Each
 * function is one format, takes memory and its length, and reads no byte beyond; opens nothing. tests/fuzz/fuzz_doctor.c
 */
#ifndef AIPU_SMI_DOCTOR_TEXT_H
#define AIPU_SMI_DOCTOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cards.h"

#define DOCTOR_LOG_LINES 200u /* the newest are kept */
#define DOCTOR_LOG_TEXT 512u

/* A line of the kernel's log: what the kernel itself said, never what a process wrote there */
struct doctor_log_line {
	uint64_t microseconds; /* since boot */
	unsigned int level; /* 0 to 7; up to 3: an error */
	char text[DOCTOR_LOG_TEXT]; /* printable ASCII */
};
struct doctor_log {
	int error; /* errno; 0: it was read */
	struct doctor_log_line *lines; /* that concern the driver or a card, the oldest first */
	size_t count;
};

/* A record of /dev/kmsg, "6,1234,56789,-;text". False: it is none, or a process wrote it */
bool doctor_kmsg_parse(const char *record, size_t bytes, struct doctor_log_line *line);
/* Does the driver say it, or the kernel of one of these cards, in front of all else */
bool doctor_log_concerns(const char *text, const struct card_list *cards);
/*
 * The last reason that the driver gave for not taking the card at this PCI address, without what stands in front of it; NULL:
 * none, or it took it since
 */
const char *doctor_log_reason(const struct doctor_log *log, const char *pci);
/* When that was said, in microseconds since boot; 0: it is no text of the log's */
uint64_t doctor_log_time(const struct doctor_log *log, const char *reason);
/* The driver took the card, and said of no failure since: somebody unbound it */
bool doctor_log_taken(const struct doctor_log *log, const char *pci);
/* The last reset that the driver began by itself came as the card is too hot; whether it is still, only the next reset shows */
bool doctor_log_hot(const struct doctor_log *log, const char *pci);
/* Why the kernel would not have the module, the last time that it was tried, if after `since`; NULL: it did not say */
const char *doctor_log_refusal(const struct doctor_log *log, uint64_t since);
/* "(board 534f4654)" in such a reason; 0: none */
uint32_t doctor_log_board(const char *text);

/* vermagic of a module's file, "6.12.1 SMP preempt mod_unload ". False: there is none */
bool doctor_vermagic(const char *file, size_t bytes, char *text, size_t text_bytes);
bool doctor_module_signed(const char *file, size_t bytes);
/* The path of a module in modules.dep, "updates/aipu_accel.ko.xz". False: it is not there */
bool doctor_modules_dep(const char *file, size_t bytes, const char *module, char *path,
			size_t path_bytes);
/* A file of modprobe.d: is the module blacklisted; *blocked: or replaced ("install aipu_accel /bin/false") */
bool doctor_blacklisted(const char *file, size_t bytes, const char *module, bool *blocked);
/* The kernel's command line: does one of its words "NAME=a,b" have this value */
bool doctor_command_line(const char *line, size_t bytes, const char *name, const char *value);

#endif
