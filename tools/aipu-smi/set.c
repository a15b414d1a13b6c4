// SPDX-License-Identifier: GPL-2.0-or-later
/* aipu-smi set: the limits of power and clock, which the driver keeps over resets; and whether the card has them then. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices.h"

#define MAX_POWER_W 4e6 /* what 32 bits of milliwatts hold */

struct limits {
	bool power, clock, others_default;
	double power_w;
	uint64_t clock_mhz;
};

/* One that is not named stays as it is, or becomes the default */
static uint32_t other(const struct limits *limits, const struct smi_sample *now, int64_t value)
{
	if (limits->others_default || now->telemetry_error || value == SMI_UNKNOWN || value < 0 ||
	    value > UINT32_MAX)
		return 0;
	return (uint32_t)value;
}

/* The limits that were asked for */
static void describe(const struct limits *limits, char *text, size_t bytes)
{
	char power[32] = "", clock[32] = "";

	if (limits->power)
		snprintf(power, sizeof(power), "%.1f W", limits->power_w);
	if (limits->clock)
		snprintf(clock, sizeof(clock), "%" PRIu64 " MHz", limits->clock_mhz);
	snprintf(text, bytes, "%s%s%s", power, limits->power && limits->clock ? " and " : "",
		 clock);
	if (!limits->power && !limits->clock)
		snprintf(text, bytes, "the default");
}

static int refused(const struct smi_device *d, int err, const struct limits *limits)
{
	char asked[80];
	const char *name = smi_device_name(d);

	switch (err) {
	case -EOPNOTSUPP:
		return smi_fail(CLI_FAILED,
				"%s: the card, or its driver, has no limits that can be set", name);
	case -EINVAL:
		describe(limits, asked, sizeof(asked));
		return smi_fail(CLI_FAILED,
				"%s: %s: beyond what the card can; --default sets its own", name,
				asked);
	case -EPERM:
	case -EACCES:
		return smi_fail(CLI_NO_PERMISSION, "%s: no permission: limits are set by root",
				name);
	default:
		return smi_fail(smi_error_code(err), "%s: limits not set: %s", name,
				strerror(-err));
	}
}

/* What was asked for and what the card has are the same, as far as it tells */
static bool differs(uint32_t asked, int64_t has)
{
	return asked && has != SMI_UNKNOWN && has != asked;
}

static int say(const struct smi_device *d, const struct smi_sample *after)
{
	char power[48] = "", clock[48] = "";

	if (!after->telemetry_error) {
		smi_number_show(after->telemetry.power_limit_mw, 1000, 1, power, sizeof(power));
		smi_number_show(after->telemetry.clock_limit_mhz, 1, 0, clock, sizeof(clock));
	}
	printf("%s: power limit %s%s, clock limit %s%s%s\n", smi_device_name(d),
	       power[0] ? power : "-", power[0] ? " W" : "", clock[0] ? clock : "-",
	       clock[0] ? " MHz" : "",
	       d->soft ? "; they end with this process, as its software device does" : "");
	return smi_flush(CLI_OK);
}

static int set_card(const struct smi_device *d, const void *argument)
{
	const struct limits *limits = argument;
	struct smi_sample now, after;
	uint32_t power, clock;
	int err;

	if (!d->device)
		return smi_fail(d->code, "%s: limits not set: %s", smi_device_name(d), d->problem);
	smi_sample(d, &now);
	power = limits->power ? (uint32_t)(limits->power_w * 1e3 + 0.5)
			      : other(limits, &now, now.telemetry.power_limit_mw);
	clock = limits->clock ? (uint32_t)limits->clock_mhz
			      : other(limits, &now, now.telemetry.clock_limit_mhz);
	err = aipu_device_set_limits(d->device, power, clock);
	if (err)
		return refused(d, err, limits);
	smi_sample(d, &after);
	if (!after.telemetry_error && (differs(power, after.telemetry.power_limit_mw) ||
				       differs(clock, after.telemetry.clock_limit_mhz)))
		return smi_fail(CLI_FAILED,
				"%s: asked for %u mW and %u MHz, has %" PRId64 " mW and %" PRId64
				" MHz",
				smi_device_name(d), power, clock, after.telemetry.power_limit_mw,
				after.telemetry.clock_limit_mhz);
	return say(d, &after);
}

enum { OPT_POWER = 256, OPT_CLOCK, OPT_DEFAULT };

static bool take(void *to, int c, char **argv)
{
	struct limits *limits = to;

	(void)argv;
	switch (c) {
	case OPT_POWER:
		limits->power = true;
		return cli_real(SMI_TOOL, "--power-limit", optarg, 0.001, MAX_POWER_W,
				&limits->power_w);
	case OPT_CLOCK:
		limits->clock = true;
		return cli_integer(SMI_TOOL, "--clock-limit", optarg, 1, UINT32_MAX,
				   &limits->clock_mhz);
	default:
		limits->others_default = true;
		return true;
	}
}

int smi_set(int argc, char **argv)
{
	static const struct option own[] = { { "power-limit", required_argument, NULL, OPT_POWER },
					     { "clock-limit", required_argument, NULL, OPT_CLOCK },
					     { "default", no_argument, NULL, OPT_DEFAULT },
					     { NULL, 0, NULL, 0 } };
	static const struct smi_options options = { own, ":i:h", take };
	struct limits limits = { .power = false };
	struct picks picks = { .count = 0 };
	int code = smi_options(argc, argv, &options, &picks, &limits);

	if (!code)
		code = smi_no_operand(argc, argv);
	if (!code && !limits.power && !limits.clock && !limits.others_default)
		code = smi_fail(CLI_USAGE,
				"set: --power-limit, --clock-limit or --default is expected");
	return code ? code : smi_devices_each(&picks, set_card, &limits);
}
