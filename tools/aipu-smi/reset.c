// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-smi reset: resets cards, and looks afterwards whether they were. A card that did not come back, or did not count the reset, is
 * a failure whatever the driver said.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "devices.h"
#include "hostimage.h"

#define DEFAULT_WAIT_S 60
#define POLL_MS 50

struct how {
	bool wait, force, recovery;
	const char *waits_for; /* as it was given; NULL: wait_s is the default */
	uint64_t wait_s;
};

static void sleep_ms(long ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* While jobs run, again and again until the time is over: jobs end, and the reset comes between two */
static int reset_when_idle(const struct smi_device *d, const struct how *how, unsigned int flags,
			   struct aipu_message *message)
{
	double end = cli_now_ms() + (how->wait ? (double)how->wait_s * 1e3 : 0);
	int err;

	for (;;) {
		err = aipu_device_reset(d->device, flags | AIPU_RESET_IDLE, message);
		if (err != -EBUSY || cli_now_ms() >= end)
			return err;
		sleep_ms(POLL_MS);
	}
}

static int refused(const struct smi_device *d, const struct how *how, int err, const char *why,
		   int64_t running)
{
	char jobs[48] = "jobs run";

	if (err == -EBUSY) {
		if (running > 0)
			snprintf(jobs, sizeof(jobs), "%" PRId64 " job%s", running,
				 running == 1 ? " runs" : "s run");
		if (how->wait)
			return smi_fail(CLI_FAILED,
					"%s: busy: %s after %" PRIu64 " s; --force ends them",
					smi_device_name(d), jobs, how->wait_s);
		return smi_fail(CLI_FAILED,
				"%s: busy: %s; --wait waits for them, --force ends them",
				smi_device_name(d), jobs);
	}
	if (err == -EOPNOTSUPP && how->recovery)
		return smi_fail(
			CLI_FAILED,
			"%s: not reset: it keeps no firmware, which --recovery would pass over",
			smi_device_name(d));
	return smi_fail(smi_error_code(err), "%s: %s", smi_device_name(d),
			why[0] ? smi_without_name(smi_device_name(d), why) : strerror(-err));
}

/* Whether it is what it should be; the driver's word alone is not enough */
static int verify(const struct smi_device *d, const struct how *how,
		  const struct smi_sample *before, const struct smi_sample *after)
{
	const struct aipu_telemetry *a = &before->telemetry, *b = &after->telemetry;
	const char *name = smi_device_name(d);

	if (after->info_error)
		return smi_fail(SMI_NOT_ANSWERING, "%s: did not come back from its reset: %s", name,
				strerror(-after->info_error));
	if (after->info.state != AIPU_DEVICE_READY)
		return smi_fail(
			SMI_NOT_ANSWERING, "%s: did not come back from its reset: it is %s", name,
			after->info.state == AIPU_DEVICE_WEDGED ? "wedged" : "still resetting");
	if (!before->info_error && after->info.resets == before->info.resets)
		return smi_fail(CLI_FAILED, "%s: was not reset: the driver still counts %u", name,
				after->info.resets);
	if (!before->telemetry_error && !after->telemetry_error && a->card_resets != SMI_UNKNOWN &&
	    b->card_resets == a->card_resets)
		return smi_fail(CLI_FAILED, "%s: was not reset: the card still counts %" PRId64,
				name, b->card_resets);
	if (how->recovery && after->info.boot_source != AIPU_BOOT_FROM_HOST)
		return smi_fail(
			CLI_FAILED,
			"%s: reset, but its firmware came from flash; --recovery asks for the host's",
			name);
	return CLI_OK;
}

static int say_done(const struct smi_device *d, const struct smi_sample *before,
		    const struct smi_sample *after, double ms)
{
	uint32_t version = after->info.firmware_version;

	printf("%s: reset in %.0f ms: ready, firmware %u.%u.%u, resets ", smi_device_name(d), ms,
	       version >> 24, version >> 16 & 0xff, version & 0xffff);
	if (!before->info_error)
		printf("%u -> ", before->info.resets);
	printf("%u", after->info.resets);
	/* The card counts for itself, also what came before the driver and by other ways */
	if (!before->telemetry_error && before->telemetry.card_resets != SMI_UNKNOWN &&
	    !after->telemetry_error && after->telemetry.card_resets != SMI_UNKNOWN)
		printf(", card_resets %" PRId64 " -> %" PRId64, before->telemetry.card_resets,
		       after->telemetry.card_resets);
	putchar('\n');
	return smi_flush(CLI_OK);
}

/*
 * Does the card refuse what --recovery would start it with, so that it would be lost? Only what is known counts; that of the software
 * device is built in.
 */
static int check_recovery(const struct smi_device *d, const struct aipu_device_info *info)
{
	struct hostimage image;
	uint32_t rollback;

	if (!info->node[0])
		return CLI_OK;
	if (!hostimage_find(&image, info->board_id))
		return smi_fail(CLI_OK,
				"%s: warning: --recovery starts it with the host's image: there is "
				"no %s here",
				smi_device_name(d), image.path);
	if (!hostimage_rollback(&image, &rollback) || rollback >= info->rollback)
		return CLI_OK;
	return smi_fail(CLI_FAILED,
			"%s: not reset: --recovery starts it with %s, which the card refuses: its "
			"anti-rollback counter is %u, %u or more is needed",
			smi_device_name(d), image.path, rollback, info->rollback);
}

static int reset_card(const struct smi_device *d, const void *argument)
{
	const struct how *how = argument;
	unsigned int flags = how->recovery ? AIPU_RESET_RECOVERY : 0;
	struct aipu_message message = { "" };
	struct smi_sample before, after;
	double start;
	int err = -EBUSY;

	if (!d->device)
		return smi_fail(d->code, "%s: not reset: %s", smi_device_name(d), d->problem);
	smi_sample(d, &before);
	if (how->recovery && !before.info_error && before.info.capabilities & AIPU_CAP_FLASH) {
		err = check_recovery(d, &before.info);
		if (err)
			return err;
		err = -EBUSY;
	}
	start = cli_now_ms();
	if (how->wait || !how->force)
		err = reset_when_idle(d, how, flags, &message);
	if (err == -EBUSY && how->force) {
		start = cli_now_ms();
		err = aipu_device_reset(d->device, flags, &message);
	}
	smi_sample(d, &after);
	if (err)
		return refused(d, how, err, message.text,
			       after.telemetry_error ? SMI_UNKNOWN : after.telemetry.running_jobs);
	err = verify(d, how, &before, &after);
	return err ? err : say_done(d, &before, &after, cli_now_ms() - start);
}

enum { OPT_WAIT = 256, OPT_FORCE, OPT_RECOVERY };

static bool take(void *to, int c, char **argv)
{
	struct how *how = to;

	(void)argv;
	switch (c) {
	case OPT_WAIT:
		how->wait = true;
		how->waits_for = optarg;
		return !optarg || cli_integer(SMI_TOOL, "--wait", optarg, 0, 86400, &how->wait_s);
	case OPT_FORCE:
		how->force = true;
		return true;
	default:
		how->recovery = true;
		return true;
	}
}

int smi_reset(int argc, char **argv)
{
	static const struct option own[] = { { "wait", optional_argument, NULL, OPT_WAIT },
					     { "force", no_argument, NULL, OPT_FORCE },
					     { "recovery", no_argument, NULL, OPT_RECOVERY },
					     { NULL, 0, NULL, 0 } };
	static const struct smi_options options = { own, ":i:h", take };
	struct how how = { .wait_s = DEFAULT_WAIT_S };
	struct picks picks = { .count = 0 };
	int code = smi_options(argc, argv, &options, &picks, &how);

	if (!code && optind < argc && how.wait && !how.waits_for &&
	    argv[optind][strspn(argv[optind], "0123456789")] == '\0')
		return smi_fail(CLI_USAGE,
				"reset: '%s' is not expected; seconds stand behind a =, --wait=%s",
				argv[optind], argv[optind]);
	if (!code)
		code = smi_no_operand(argc, argv);
	return code ? code : smi_devices_each(&picks, reset_card, &how);
}
