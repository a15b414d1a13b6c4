/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The cards in a machine as PCI and sysfs show them, whether or not a driver is there: what the operator's tools start from.
 * Linked with libpci by aipu-smi and aipu-fwcheck; opens no device node and changes nothing.
 */
#ifndef AIPU_CARDS_H
#define AIPU_CARDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "root.h"

#define CARD_BARS 6
#define CARD_DRIVER "aipu_accel"

/* Why there is no card */
#define CARDS_NO_BUS "there is no PCI bus here"
#define CARDS_NONE "no PCI function is an AIPU (1af4:10f0)"

struct card {
	char pci[16]; /* "0000:01:00.0" */
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint8_t revision;
	uint16_t command; /* PCI_COMMAND_*; all ones: configuration space does not answer */
	char driver[32]; /* bound to it; "": none */
	char node[32]; /* "/dev/accel/accel0"; "": none */
	int index; /* of the node; -1: none */
	uint64_t bar_start[CARD_BARS], bar_bytes[CARD_BARS]; /* start 0 with bytes: not assigned */
	/* Of the link, "16.0 GT/s PCIe" as sysfs says it, and lanes; "" and 0: unknown */
	char link_speed[32], link_speed_max[32];
	unsigned int link_width, link_width_max;
	int iommu_group, numa_node; /* -1: none */
};

struct card_list {
	struct card *cards; /* by PCI address */
	size_t count;
};

/* All functions with the contract's PCI id. 0 or -errno: there is no PCI bus to look at (-ENOENT: no sysfs) */
int cards_list(struct card_list *list);
void cards_free(struct card_list *list);

#endif
