// SPDX-License-Identifier: GPL-2.0
/*
 * Recovery: from READY to no DMA and back. Called at probe and remove, by the watchdog, by FLR and suspend. It is the only file that
 * begins an epoch, and it never gives memory back that the card may still reach.
 */
#include <drm/drm_print.h>

#include "aipu_boot.h"
#include "aipu_ioq.h"
#include "aipu_reset.h"

int aipu_reset_init(struct aipu_device *aipu)
{
	return 0;
}

void aipu_reset_fini(struct aipu_device *aipu)
{
}

static int identify(struct aipu_device *aipu)
{
	struct aipu_admin entry = { .opcode = AIPU_ADMIN_IDENTIFY };
	struct device *dev = aipu->drm.dev;
	struct aipu_identify *answer;
	dma_addr_t address;
	int err;

	answer = dma_alloc_coherent(dev, sizeof(*answer), &address, GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	entry.identify.address = cpu_to_le64(address);
	err = aipu_admin_run(aipu, &entry, NULL);
	if (err == -EIO) {
		drm_err(&aipu->drm, "no answer to IDENTIFY\n");
		aipu_boot_reset(aipu);
	}
	aipu->identify = *answer;
	/* What the card wrote may lack the end of its texts. */
	aipu->identify.model[sizeof(aipu->identify.model) - 1] = 0;
	aipu->identify.firmware[sizeof(aipu->identify.firmware) - 1] = 0;
	dma_free_coherent(dev, sizeof(*answer), answer, address);
	return err;
}

int aipu_start(struct aipu_device *aipu)
{
	int err;

	pci_set_master(aipu->pdev);
	err = aipu_boot(aipu);
	if (!err) {
		aipu_admin_start(aipu);
		err = identify(aipu);
	}
	if (err)
		aipu_stop(aipu, "not started");
	else
		aipu->state = AIPU_READY;
	return err;
}

int aipu_stop(struct aipu_device *aipu, const char *why)
{
	int err;

	aipu_admin_stop(aipu);
	err = aipu_boot_disable(aipu);
	pci_clear_master(aipu->pdev);
	return err;
}
