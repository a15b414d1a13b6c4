// SPDX-License-Identifier: MIT
/*
 * Faults to order: KIND@N[:VALUE] as an option, and where each strikes. card.c asks at every job, completion, boot,
 * interrupt and register access; this file counts them and answers. What a fault does inside the device is the
 * model's (aipu/dm.h); here is only when, and the power cut. A fault strikes once.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aipu/dm.h"
#include "aipu_registers.h"
#include "emu.h"

#define MAX_MS 600000u
#define MAX_STORM 1000000u
#define MAX_DEGREES 150u /* aipu/dm.h */

/* What N counts */
enum point {
	POINT_LOAD,
	POINT_JOB,
	POINT_COMPLETION,
	POINT_REPLY,
	POINT_INTERRUPT,
	POINT_REGISTER,
	POINT_FLASH,
	POINTS
};

/* X(KIND, name, point, smallest value, largest, default, what a value must be). Largest 0: it takes none. */
#define FAULT_LIST(X)                                                                              \
	X(HANG, "hang", JOB, 0, 0, 0, "")                                                          \
	X(SLOW_JOB, "slow-job", JOB, 1, MAX_MS, 5000, "milliseconds from 1 to 600000")             \
	X(LOST_INTERRUPT, "lost-interrupt", INTERRUPT, 0, 0, 0, "")                                \
	X(INTERRUPT_STORM, "interrupt-storm", INTERRUPT, 1, MAX_STORM, 100000,                     \
	  "interrupts from 1 to 1000000")                                                          \
	X(BAD_COMPLETION, "bad-completion", COMPLETION, 0, 2, 0,                                   \
	  "0 (wrong id), 1 (sq_head beyond the ring) or 2 (unknown status)")                       \
	X(CORRUPT_REPLY, "corrupt-reply", REPLY, 0, 3, 0,                                          \
	  "0 (unknown status), 1 (wrong id), 2 (sq_head beyond the ring) or 3 (ABORTED)")          \
	X(EVENT, "event", REPLY, 0, 0, 0, "")                                                      \
	X(FATAL_ERROR, "fatal-error", JOB, 0, 0, 0, "")                                            \
	X(ALL_ONES, "all-ones", REGISTER, 0, 0, 0, "")                                             \
	X(SLOW_BOOT, "slow-boot", LOAD, 1, MAX_MS, 5000, "milliseconds from 1 to 600000")          \
	X(BOOT_FAILURE, "boot-failure", LOAD, 1, AIPU_ERROR_COUNT - 1, AIPU_ERROR_FIRMWARE_DIGEST, \
	  "an error code of the device, from 1")                                                   \
	X(POWER_CUT, "power-cut", JOB, 0, 0, 0, "")                                                \
	X(FLASH_CUT, "flash-cut", FLASH, 0, 65536, 0, "bytes from 0 to 65536")                     \
	X(MEMORY_ERROR, "memory-error", JOB, 0, 1, 0, "0 (corrected) or 1 (not)")                  \
	X(AMBIENT, "ambient", JOB, 0, MAX_DEGREES, 95, "degrees Celsius from 0 to 150")            \
	X(LOAD_AMBIENT, "load-ambient", LOAD, 0, MAX_DEGREES, 25, "degrees Celsius from 0 to 150")

struct kind {
	const char *name;
	enum point point;
	uint64_t min, max, value; /* max 0: takes no value */
	const char *range;
};

static const struct kind kinds[EMU_FAULT_KINDS] = {
#define ROW(kind, name, point, min, max, value, range) \
	[EMU_FAULT_##kind] = { name, POINT_##point, min, max, value, "VALUE must be " range },
	FAULT_LIST(ROW)
#undef ROW
};

struct emu_faults {
	const struct emu_options *options;
	int socket; /* the client's, or -1 */
	atomic_bool cut;
	_Atomic uint64_t count[POINTS];
};

/* --- parsing -------------------------------------------------------------------------------------- */

/* Digits and nothing else; *text moves behind them. False: none, or too many. */
static bool parse_number(const char **text, uint64_t *value)
{
	const char *at = *text;

	*value = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (*value > (UINT64_MAX - digit) / 10)
			return false;
		*value = *value * 10 + digit;
	}
	if (at == *text)
		return false;
	*text = at;
	return true;
}

static bool parse_kind(const char *text, size_t bytes, enum emu_fault_kind *kind)
{
	for (enum emu_fault_kind i = 0; i < EMU_FAULT_KINDS; i++) {
		if (strlen(kinds[i].name) == bytes && !memcmp(kinds[i].name, text, bytes)) {
			*kind = i;
			return true;
		}
	}
	return false;
}

const char *emu_fault_parse(const char *text, struct emu_fault *fault)
{
	size_t bytes = strcspn(text, "@");
	const struct kind *kind;

	if (!parse_kind(text, bytes, &fault->kind))
#define NAME(kind, name, ...) " " name
		return "unknown kind; KIND@N[:VALUE] is expected with a KIND of" FAULT_LIST(NAME);
#undef NAME
	kind = &kinds[fault->kind];
	fault->value = kind->value;
	text += bytes;
	if (*text++ != '@' || !parse_number(&text, &fault->at) || !fault->at)
		return "KIND@N[:VALUE] is expected with a number N from 1";
	if (!*text)
		return NULL;
	if (*text++ != ':')
		return "nothing but :VALUE may follow N";
	if (!kind->max)
		return "this kind takes no VALUE";
	if (!parse_number(&text, &fault->value) || *text || fault->value < kind->min ||
	    fault->value > kind->max)
		return kind->range;
	return NULL;
}

const char *emu_fault_name(enum emu_fault_kind kind)
{
	return kinds[kind].name;
}

/* --- striking ------------------------------------------------------------------------------------- */

int emu_faults_create(const struct emu_options *options, struct emu_faults **out)
{
	struct emu_faults *faults = calloc(1, sizeof(*faults));

	if (!faults)
		return -ENOMEM;
	faults->options = options;
	faults->socket = -1;
	*out = faults;
	return 0;
}

void emu_faults_destroy(struct emu_faults *faults)
{
	free(faults);
}

/* Counts one more; the fault that was ordered for it, or NULL */
static const struct emu_fault *strike(struct emu_faults *faults, enum point point)
{
	const struct emu_options *options = faults->options;
	uint64_t now =
		atomic_fetch_add_explicit(&faults->count[point], 1, memory_order_relaxed) + 1;

	for (unsigned int i = 0; i < options->fault_count; i++) {
		const struct emu_fault *fault = &options->faults[i];

		if (fault->at != now || kinds[fault->kind].point != point)
			continue;
		if (options->trace)
			fprintf(options->trace, "fault %s@%llu\n", emu_fault_name(fault->kind),
				(unsigned long long)now);
		return fault;
	}
	return NULL;
}

void emu_faults_client(struct emu_faults *faults, int socket)
{
	faults->socket = socket;
}

bool emu_faults_cut(struct emu_faults *faults)
{
	return atomic_load(&faults->cut);
}

void emu_faults_die(const struct emu_faults *faults)
{
	if (faults->options->trace)
		fflush(faults->options->trace);
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/*
 * As if the plug were pulled: nothing is flushed, nobody is told. But a client that waits for a reply waits for minutes, as
 * no host does for a card without power: so from here on none can ask, and the message thread answers who has asked.
 */
static void cut_power(struct emu_faults *faults)
{
	if (faults->socket < 0)
		emu_faults_die(faults);
	atomic_store(&faults->cut, true);
	shutdown(faults->socket, SHUT_RD);
	for (;;)
		pause();
}

void emu_faults_model(struct emu_faults *faults, unsigned int point, struct aipu_dm_fault *fault)
{
	static const enum point points[] = {
		[AIPU_DM_POINT_LOAD] = POINT_LOAD,
		[AIPU_DM_POINT_JOB] = POINT_JOB,
		[AIPU_DM_POINT_COMPLETION] = POINT_COMPLETION,
		[AIPU_DM_POINT_REPLY] = POINT_REPLY,
	};
	static const enum aipu_dm_corrupt bad[] = { AIPU_DM_CORRUPT_ID, AIPU_DM_CORRUPT_SQ_HEAD,
						    AIPU_DM_CORRUPT_STATUS };
	static const enum aipu_dm_corrupt corrupt[] = { AIPU_DM_CORRUPT_STATUS, AIPU_DM_CORRUPT_ID,
							AIPU_DM_CORRUPT_SQ_HEAD,
							AIPU_DM_CORRUPT_ABORTED };
	const struct emu_fault *due = strike(faults, points[point]);

	*fault = (struct aipu_dm_fault){ .kind = AIPU_DM_FAULT_NONE };
	if (!due)
		return;
	fault->value = (uint32_t)due->value;
	switch (due->kind) {
	case EMU_FAULT_HANG:
		fault->kind = AIPU_DM_FAULT_HANG;
		break;
	case EMU_FAULT_SLOW_JOB:
	case EMU_FAULT_SLOW_BOOT:
		fault->kind = AIPU_DM_FAULT_SLOW;
		break;
	case EMU_FAULT_BAD_COMPLETION:
		fault->kind = AIPU_DM_FAULT_CORRUPT;
		fault->value = bad[due->value];
		break;
	case EMU_FAULT_CORRUPT_REPLY:
		fault->kind = AIPU_DM_FAULT_CORRUPT;
		fault->value = corrupt[due->value];
		break;
	case EMU_FAULT_FATAL_ERROR:
		fault->kind = AIPU_DM_FAULT_FATAL;
		break;
	case EMU_FAULT_BOOT_FAILURE:
		fault->kind = AIPU_DM_FAULT_FAIL;
		break;
	case EMU_FAULT_POWER_CUT:
		cut_power(faults);
		break;
	case EMU_FAULT_EVENT:
	case EMU_FAULT_MEMORY_ERROR:
		fault->kind = AIPU_DM_FAULT_MEMORY;
		break;
	case EMU_FAULT_AMBIENT:
	case EMU_FAULT_LOAD_AMBIENT:
		fault->kind = AIPU_DM_FAULT_AMBIENT;
		break;
	default:
		break;
	}
}

uint64_t emu_faults_interrupt(struct emu_faults *faults)
{
	const struct emu_fault *due = strike(faults, POINT_INTERRUPT);

	if (!due)
		return 1;
	return due->kind == EMU_FAULT_LOST_INTERRUPT ? 0 : 1 + due->value;
}

bool emu_faults_register(struct emu_faults *faults)
{
	return strike(faults, POINT_REGISTER);
}

bool emu_faults_flash(struct emu_faults *faults, size_t *bytes)
{
	const struct emu_fault *due = strike(faults, POINT_FLASH);

	if (due && due->value < *bytes)
		*bytes = due->value;
	return due;
}

void emu_faults_cut_power(struct emu_faults *faults)
{
	cut_power(faults);
}
