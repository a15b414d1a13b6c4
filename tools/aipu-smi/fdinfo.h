/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /proc/PID/fdinfo/FD of a card's node, in the form that DRM drivers share (Documentation/gpu/drm-usage-stats.rst). Parsing is a
 * pure function; fuzzed by tests/fuzz/fuzz_fdinfo.c.
 */
#ifndef AIPU_SMI_FDINFO_H
#define AIPU_SMI_FDINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An open file of the driver; files that were inherited or copied are one client. Unknown numbers are SMI_UNKNOWN. */
struct smi_client {
	char pci[32];
	uint64_t id; /* of the client, on its card */
	int64_t engine_ns; /* time on the card, all engines together */
	int64_t jobs; /* that have ended */
	int64_t device_bytes, device_resident_bytes, device_kv_bytes; /* kv: of it in KV caches */
	int64_t host_bytes, host_resident_bytes, host_kv_bytes;
};

/* True if it is of our driver and names card and client. `text` need not end with zero. */
bool smi_fdinfo_parse(const char *text, size_t bytes, struct smi_client *client);

#endif
