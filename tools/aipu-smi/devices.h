/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cards that a command works on: found on the bus, chosen by -i, and open where a driver is there. One that cannot be opened
 * stays in the list, with the reason.
 */
#ifndef AIPU_SMI_DEVICES_H
#define AIPU_SMI_DEVICES_H

#include <getopt.h>

#include "cards.h"
#include "picks.h"
#include "snapshot.h"

/* options.c: the option loop of a command */
struct smi_options {
	const struct option *
		own; /* long ones but --device and --help; their numbers are above 255, or letters */
	const char *letters; /* ":i:h" and the command's own */
	/* Of any other; `to` is the command's. False after a message */
	bool (*take)(void *to, int c, char **argv);
};
/* An exit code, after a message if it is none; optind is that of the first operand then */
int smi_options(int argc, char **argv, const struct smi_options *options, struct picks *picks,
		void *to);
/* The same, for commands that take none */
int smi_no_operand(int argc, char **argv);

struct smi_device {
	struct card card; /* all zero for the software device */
	bool soft;
	struct aipu_device *device; /* NULL: not open */
	char serial[33]; /* "": it was not asked */
	char state[48]; /* of one that is not open: "no driver", ... */
	char problem[256]; /* one line for people; "" if it is open */
	int code; /* exit code for it if it is not open */
};

struct smi_devices {
	struct smi_device *list; /* by PCI address, then the software device */
	size_t count;
};

/* An exit code, after a message if it is none. What is there has to be closed if it is CLI_OK */
int smi_devices_open(struct smi_devices *devices, const struct picks *picks);
/* The same, but opens none, unless it takes that to find a serial number */
int smi_devices_find(struct smi_devices *devices, const struct picks *picks);
void smi_devices_close(struct smi_devices *devices);
/* How a card is called in messages and rows: its PCI address, or "soft" */
const char *smi_device_name(const struct smi_device *device);

/* Opens all that were picked, does it with each, and closes them; the worst exit code */
int smi_devices_each(const struct picks *picks,
		     int (*one)(const struct smi_device *device, const void *how), const void *how);
/* The worse of two exit codes of cards: not answering, no driver, no permission, failed, in this order */
int smi_worse(int code, int other);

/* Opens a card whose `card` is known; what keeps it from that is in it then. Nothing of it is open yet */
void smi_card_open(struct smi_device *device);
/* Makes a card that is closed one that is not there */
void smi_card_gone(struct smi_device *device);
/* Of a card, now: its configuration space is gone, or reads as ones */
bool smi_off_the_bus(const struct card *card);
/* The exit code for an -errno that a card's device gave */
int smi_error_code(int err);

#define SMI_OFF_THE_BUS \
	"its configuration space reads as ones: it fell off the bus, or has no power"

/* One look at a card */
struct smi_sample {
	struct aipu_device_info info;
	struct aipu_telemetry telemetry;
	int info_error, telemetry_error; /* -errno */
	char state[48]; /* of one that is not open, as in struct smi_device, or that its driver let go of; else "" */
	bool off_the_bus; /* configuration space does not answer, whatever the driver still says */
	double at_ms; /* cli_now_ms() */
};

/*
 * again.c: between two looks: closes what its driver let go of, opens what has a driver now, and with `all` takes in cards that
 * came to the bus. last: a sample of each device, allocated; grows with the list. -ENOMEM
 */
int smi_devices_again(struct smi_devices *devices, struct smi_sample **last, bool all);

/* collect.c. Never fails: what could not be had is in the sample */
void smi_settle(struct smi_sample *sample,
		int (*reading)(struct aipu_device *device, struct aipu_telemetry *telemetry),
		struct aipu_device *device);
void smi_sample(const struct smi_device *device, struct smi_sample *sample);
/* before: an earlier one that rates are taken from, or NULL */
void smi_describe(const struct smi_device *device, const struct smi_sample *before,
		  const struct smi_sample *now, struct smi_card *card);
/* "none", or what AIPU_THROTTLE_* bits say; "" if they are unknown */
void smi_throttle_text(char *text, size_t bytes, int64_t bits);
/* The exit code that a card in this state gives */
int smi_state_code(const struct smi_device *device, const struct smi_sample *sample);
/* All of them; `before` has a sample of each from earlier, or is NULL. -ENOMEM */
int smi_collect(const struct smi_devices *devices, const struct smi_sample *before,
		struct smi_sample *now, struct smi_snapshot *snapshot);

#endif
