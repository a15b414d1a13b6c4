// SPDX-License-Identifier: GPL-2.0-or-later
/* Fuzz target: what other processes' fdinfo says, as aipu-smi ps reads it. */
#include <string.h>

#include "aipu-smi/fdinfo.h"
#include "aipu-smi/snapshot.h"
#include "compile_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smi_client c;

	if (!smi_fdinfo_parse((const char *)data, size, &c))
		return 0;
	fuzz_require(c.pci[0] && strnlen(c.pci, sizeof(c.pci)) < sizeof(c.pci), "it has a card");
	for (const char *p = c.pci; *p; p++)
		fuzz_require(*p >= 0x20 && *p < 0x7f, "whose name is fit for a terminal");
	fuzz_require(c.engine_ns == SMI_UNKNOWN || c.engine_ns >= 0, "time is known or positive");
	fuzz_require(c.device_bytes == SMI_UNKNOWN || c.device_bytes >= 0, "so is memory");
	fuzz_require(c.host_bytes == SMI_UNKNOWN || c.host_bytes >= 0, "of both kinds");
	fuzz_require(c.device_kv_bytes == SMI_UNKNOWN || c.device_kv_bytes >= 0, "and KV caches");
	fuzz_require(c.host_kv_bytes == SMI_UNKNOWN || c.host_kv_bytes >= 0, "of both kinds");
	return 0;
}
