/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * aipu-smi doctor: why a card cannot be used. Facts are gathered once (doctor_facts.c, doctor_card.c, doctor_qpc.c), then
 * checks look at them and at nothing else (doctor_checks*.c), then doctor.c says what they found. What is not known is told
 * apart from what is not so: a check that lacks a fact says that it was not made.
 */
#ifndef AIPU_SMI_DOCTOR_H
#define AIPU_SMI_DOCTOR_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "aipu/aipu.h"
#include "aipu/manage.h"
#include "aipu_firmware.h"
#include "aipu_qpc.h"
#include "cardlog.h"
#include "doctor_text.h"
#include "hostimage.h"
#include "picks.h"
#include "smi.h"

#define DOCTOR_UNKNOWN (-1) /* of an int that is not negative when it is known */

/* ---- facts ---- */

/* The driver's module, for the running kernel */
struct doctor_module {
	bool loaded;
	bool directory; /* /lib/modules/KERNEL is there */
	char file[256]; /* below it; "": none */
	uint64_t changed; /* when that file came there, in microseconds since boot; 0: before, or unknown */
	bool in_dep; /* modules.dep names it */
	bool compressed; /* then the two below are unknown */
	char vermagic[128]; /* "": unknown */
	int is_signed;
	char elsewhere[128]; /* another kernel that has one; "": none */
	char blacklist[PATH_MAX]; /* the first file that forbids it; "": none */
	const char *parameter; /* of the kernel that does, "modprobe.blacklist"; NULL: none */
	bool blocked; /* modprobe by name is forbidden too */
	char source[128]; /* of DKMS, "aipu/0.9.0"; "": none */
	int sig_enforce; /* the kernel takes signed modules only */
	char lockdown[32]; /* "none", "integrity", "confidentiality"; "": unknown */
	int secure_boot;
};

/* This process and its user */
struct doctor_process {
	uid_t uid;
	char user[64]; /* "": has no name */
	bool in_container;
	uint64_t memlock, memlock_hard; /* bytes; UINT64_MAX: no limit */
	bool may_lock; /* CAP_IPC_LOCK: the limit does not hold */
	int uring_disabled; /* kernel.io_uring_disabled */
	long uring_group; /* kernel.io_uring_group; -1: none, or unknown */
	int uring_error; /* errno of io_uring_setup(), 0: it works; unknown: not tried */
};

struct doctor_machine {
	bool captured; /* files of a machine, which cannot be asked or opened */
	int pci_error; /* of cards_list() */
	size_t pci_cards; /* that it found, before one was chosen */
	char kernel[128]; /* release; "": unknown */
	bool realloc; /* pci=realloc was given */
	bool has_iommu; /* any is at work */
	struct doctor_module module;
	struct doctor_process process;
	struct cardlog log;
};

/* BAR0, read past the driver: only where none is bound */
struct doctor_registers {
	char unread[128]; /* why they were not read; "": they were */
	uint32_t magic, status, error, abi_oldest, abi_newest, board, firmware_version;
	uint32_t rollback, slot_errors[2];
};

/* What the driver would load: the first file of its name, in the kernel's order */
struct doctor_image {
	uint32_t board; /* of the card; 0: unknown, and then nothing below is known but `any` */
	bool any; /* there is an image for some board */
	struct hostimage file; /* that was read, unless it is compressed, or where it would belong */
	int error; /* 0, or errno: ENOENT: none */
	uint64_t changed; /* when it came there, in microseconds since boot; 0: before, or unknown */
	unsigned int fault; /* enum aipu_error of the checks that need no key; NONE: good */
	struct aipu_firmware_header header; /* zero if it is too short */
};

struct doctor_node {
	int error; /* errno of stat(): 0, ENOENT, ... */
	bool is_device;
	unsigned int major, minor; /* of the node */
	int want_major, want_minor; /* as the driver says; unknown */
	mode_t mode;
	uid_t owner;
	gid_t group;
	char group_name[64]; /* "": has no name */
	int access_error; /* errno of access(), 0: may be opened */
	bool in_group, listed_in_group; /* the process; the user, in the list of groups */
};

struct doctor_open {
	bool tried;
	int error; /* -errno */
	char message[512];
	struct aipu_device_info info;
	int telemetry_error; /* -errno */
	struct aipu_telemetry telemetry;
};

struct doctor_card {
	bool soft; /* the software device: only `open` is filled in */
	struct card pci;
	char override[64]; /* driver_override; "": none */
	char power_state[16]; /* "D0"; "": unknown */
	struct doctor_registers registers;
	struct doctor_image image;
	struct doctor_node node;
	struct doctor_open open;
};

/* A compiled model that shall run on the card */
struct doctor_qpc {
	const char *path; /* NULL: none was named */
	int error; /* -errno of opening it */
	char message[512];
	uint32_t abi_oldest, abi_newest; /* both of container and program */
	uint64_t operations, capabilities,
		formats; /* that the program needs, as bits of AIPU_CAP_* and so on */
	uint64_t weights, constants, kv,
		other; /* bytes; the first two are host memory where the device can compute from it */
	uint32_t lanes;
};

struct doctor_facts {
	struct doctor_machine machine;
	bool only_soft; /* nothing is known of the machine, since nothing else was asked for */
	struct doctor_card *cards; /* the software device behind the cards */
	size_t card_count;
	struct doctor_qpc qpc;
};

/*
 * picks: the cards to look at, the software device behind them. Opens what may be opened, but nothing of a captured machine. 0, or an
 * exit code after a message. To be freed, also then.
 */
int doctor_gather(struct doctor_facts *facts, const struct picks *picks, const char *qpc);
void doctor_free(struct doctor_facts *facts);
/* doctor_card.c: `card->pci` is known, and facts->machine; fills in the rest */
void doctor_card_gather(const struct doctor_machine *machine, struct doctor_card *card);
/* A file of the machine, at most `limit` bytes, with a NUL behind; NULL with errno. The caller's to free() */
char *doctor_read(const char *path, size_t limit, size_t *bytes);
/* Whole number in a file below cards_root(), or `unknown` */
long doctor_number(long unknown, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* doctor_module.c */
/* When a file came there, in microseconds since boot, as the kernel's log counts; 0: before, or unknown */
uint64_t doctor_changed(const char *path);
void doctor_module_gather(struct doctor_machine *machine);
/* doctor_qpc.c */
void doctor_qpc_gather(struct doctor_qpc *qpc);

/* ---- checks ---- */

enum doctor_status {
	DOCTOR_OK,
	DOCTOR_PROBLEM, /* the card cannot be used */
	DOCTOR_WARNING, /* it can, but slower or for a time */
	DOCTOR_NOTE,
	DOCTOR_NOT_CHECKED,
};

#define DOCTOR_REMEDY 2048u

struct doctor_result {
	enum doctor_status status;
	int code; /* exit code of a problem */
	char text[640];
	char remedy[DOCTOR_REMEDY]; /* what to type; "": nothing of that kind */
	bool as_root; /* the remedy takes root */
};

/* One line; the last of these calls in a check counts, append and remedies come after it */
void doctor_ok(struct doctor_result *result, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void doctor_problem(struct doctor_result *result, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_say(struct doctor_result *result, enum doctor_status status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_append(struct doctor_result *result, const char *text);

/*
 * doctor_remedy.c: a command, and one that is a script of `sh -c`. In the format %s is quoted for a shell, once for each shell that
 * reads it; %u and %c are all else that there is. What does not fit is left out as a whole.
 */
void doctor_remedy(struct doctor_result *result, bool as_root, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void doctor_remedy_script(struct doctor_result *result, bool as_root, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Any text as one word for a shell, in printable ASCII; false: it does not fit, or ends with a line break */
bool doctor_quote(char *to, size_t bytes, const char *text);

enum doctor_scope {
	DOCTOR_OF_MACHINE, /* once, `card` is NULL */
	DOCTOR_OF_CARD, /* each card, not the software device */
	DOCTOR_OF_DEVICE, /* each card, or the software device */
};

struct doctor_check {
	const char *name;
	enum doctor_scope scope;
	/* Says nothing that helps where a problem was found before, with the machine or this card */
	bool needs_all;
	void (*look)(const struct doctor_facts *facts, const struct doctor_card *card,
		     struct doctor_result *result);
};
extern const struct doctor_check doctor_checks[];
extern const size_t doctor_check_count;

/* doctor_checks_*.c: one for each cause, in the order in which things have to be right */
#define DOCTOR_CHECK(name)                                                                         \
	void doctor_check_##name(const struct doctor_facts *facts, const struct doctor_card *card, \
				 struct doctor_result *result)
DOCTOR_CHECK(card);
DOCTOR_CHECK(module);
DOCTOR_CHECK(blacklist);
DOCTOR_CHECK(signature);
DOCTOR_CHECK(loaded);
DOCTOR_CHECK(config);
DOCTOR_CHECK(bars);
DOCTOR_CHECK(driver);
DOCTOR_CHECK(temperature);
DOCTOR_CHECK(firmware);
DOCTOR_CHECK(contract);
DOCTOR_CHECK(slots);
DOCTOR_CHECK(probe);
DOCTOR_CHECK(node);
DOCTOR_CHECK(permission);
DOCTOR_CHECK(open);
DOCTOR_CHECK(uring);
DOCTOR_CHECK(memlock);
DOCTOR_CHECK(iommu);
DOCTOR_CHECK(link);
DOCTOR_CHECK(qpc);
DOCTOR_CHECK(qpc_contract);
DOCTOR_CHECK(qpc_program);
DOCTOR_CHECK(qpc_memory);
#undef DOCTOR_CHECK

/* ---- the report ---- */

struct doctor_line {
	const struct doctor_check *check;
	const struct doctor_card *card; /* NULL: of the machine */
	struct doctor_result result;
};
struct doctor_report {
	struct doctor_line
		*lines; /* in the order of the table, cards one after another within a scope */
	size_t count;
	int code; /* that of the first problem, or 0 */
};
/* False: out of memory */
bool doctor_run(const struct doctor_facts *facts, struct doctor_report *report);
void doctor_report_free(struct doctor_report *report);
void doctor_print(const struct doctor_report *report, FILE *out);

#endif
