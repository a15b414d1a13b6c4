// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doctor's checks, third part: what a process needs to use a card that its driver has: node, rights, an answer, io_uring,
 * locked memory; and what only makes it slower. Each looks at the facts and at nothing else, and gives one result.
 */
#include "doctor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_types.h"

#define LOAD_WINDOW (4ull << 20) /* struct aipu_load_options: the default */
#define TRIGGER "udevadm trigger --action=add --subsystem-match=accel"

void doctor_check_node(const struct doctor_facts *facts, const struct doctor_card *card,
		       struct doctor_result *result)
{
	const struct doctor_node *node = &card->node;
	const char *path = card->pci.node;

	if (!path[0]) {
		doctor_problem(result, CLI_FAILED,
			       CARD_DRIVER " has the card and gave it no node in /dev/accel");
		doctor_remedy(result, true, "dmesg | grep %s", card->pci.pci);
	} else if (!node->error && node->is_device &&
		   (node->want_major == DOCTOR_UNKNOWN ||
		    (node->major == (unsigned int)node->want_major &&
		     node->minor == (unsigned int)node->want_minor))) {
		doctor_ok(result, "%s", path);
	} else if (node->error == EACCES) {
		doctor_problem(result, CLI_NO_PERMISSION, "%s: its directory may not be entered",
			       path);
		doctor_remedy(result, true, "chmod 755 /dev/accel");
	} else if (node->error && node->error != ENOENT) {
		doctor_problem(result, CLI_FAILED, "%s: %s", path, strerror(node->error));
	} else if (facts->machine.process.in_container) {
		doctor_problem(result, CLI_FAILED,
			       "%s is not in this container: give it to the container when it is "
			       "started",
			       path);
		doctor_remedy(result, false, "docker run --device %s ...", path);
	} else {
		doctor_problem(result, CLI_FAILED, "%s %s: udev makes it", path,
			       node->error ? "is missing" : "is not the driver's node");
		if (node->error)
			doctor_remedy_script(result, true, TRIGGER);
		else
			doctor_remedy_script(result, true, "rm %s; " TRIGGER, path);
	}
}

void doctor_check_permission(const struct doctor_facts *facts, const struct doctor_card *card,
			     struct doctor_result *result)
{
	const struct doctor_process *process = &facts->machine.process;
	const struct doctor_node *node = &card->node;
	const char *path = card->pci.node, *group = node->group_name;
	bool by_group = (node->mode & 060) == 060 && node->group;

	if (!node->access_error) {
		doctor_ok(result, "%s may be opened", path);
	} else if (node->access_error == EROFS) {
		doctor_problem(result, CLI_NO_PERMISSION, "%s is on a read-only file system", path);
	} else if (!by_group) {
		doctor_problem(result, CLI_NO_PERMISSION,
			       "%s is for its owner only (mode %04o, group %s): the rule "
			       "60-aipu.rules gives it to group render",
			       path, node->mode, group[0] ? group : "without a name");
		doctor_remedy_script(result, true, "udevadm control --reload && " TRIGGER);
	} else if (!group[0]) {
		doctor_problem(result, CLI_NO_PERMISSION,
			       "%s is for group %u, which has no name here%s", path,
			       (unsigned int)node->group,
			       process->in_container ? ": give the container that group" : "");
		if (process->in_container)
			doctor_remedy(result, false, "docker run --group-add %u ...",
				      (unsigned int)node->group);
		else
			doctor_remedy(result, true, "chgrp render %s", path);
	} else if (node->listed_in_group && !node->in_group) {
		doctor_problem(
			result, CLI_NO_PERMISSION,
			"%s is for group %s; user %s is in it, but this session began before: "
			"log in again, or for this shell",
			path, group, process->user);
		doctor_remedy(result, false, "newgrp %s", group);
	} else if (node->in_group) {
		doctor_problem(
			result, CLI_NO_PERMISSION,
			"%s is for group %s, which this process is in, and may not be opened all "
			"the same: %s",
			path, group, strerror(node->access_error));
		doctor_remedy(result, false, "getfacl %s", path);
	} else {
		doctor_problem(
			result, CLI_NO_PERMISSION,
			"%s is for group %s, and user %s is not in it: add the user, then log in "
			"again",
			path, group, process->user[0] ? process->user : "of this process");
		doctor_remedy(result, true, "usermod -aG %s %s", group,
			      process->user[0] ? process->user : "USER");
	}
}

void doctor_check_open(const struct doctor_facts *facts, const struct doctor_card *card,
		       struct doctor_result *result)
{
	const struct doctor_open *open = &card->open;

	if (!open->tried) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "%s",
			   facts->machine.captured ? "a captured machine has no card"
						   : "it may not be opened");
	} else if (open->error) {
		int code = cli_exit_code(open->error);

		doctor_problem(result, code == CLI_NO_DEVICE ? SMI_NOT_ANSWERING : code, "%s",
			       open->message[0]
				       ? smi_without_name(card->soft ? "soft" : card->pci.pci,
							  open->message)
				       : strerror(-open->error));
	} else if (open->info.state == AIPU_DEVICE_WEDGED) {
		doctor_problem(
			result, SMI_NOT_ANSWERING,
			"the card did not come back from a reset (wedged), %u so far; if this does "
			"not help, switch the machine off and on",
			open->info.resets);
		doctor_remedy_script(result, true,
				     "cd /sys/bus/pci/drivers/" CARD_DRIVER
				     "; echo %s >unbind; echo %s >bind",
				     card->pci.pci, card->pci.pci);
		if (facts->machine.log.error)
			doctor_append(result,
				      "; why, the kernel's log says, which only root can read: one "
				      "that is too hot has to cool down first");
	} else if (open->info.state == AIPU_DEVICE_RESETTING) {
		doctor_say(result, DOCTOR_WARNING, "the card is being reset now: ask again");
	} else {
		doctor_ok(result, "it answers: %s, firmware %u.%u.%u", open->info.model,
			  open->info.firmware_version >> 24,
			  open->info.firmware_version >> 16 & 0xff,
			  open->info.firmware_version & 0xffff);
	}
}

void doctor_check_uring(const struct doctor_facts *facts, const struct doctor_card *card,
			struct doctor_result *result)
{
	static const char slower[] = "jobs go through ioctls, which is slower";
	const struct doctor_process *process = &facts->machine.process;
	bool refused = process->uring_error > 0;

	(void)card;
	/* 1: for who has CAP_SYS_ADMIN or is in io_uring_group; 2: for nobody */
	if (process->uring_disabled == 2 || (process->uring_disabled == 1 && refused) ||
	    (process->uring_disabled == 1 && process->uring_error == DOCTOR_UNKNOWN &&
	     process->uid)) {
		doctor_say(result, DOCTOR_WARNING, "kernel.io_uring_disabled is %d%s: %s",
			   process->uring_disabled,
			   process->uring_disabled == 2 ? ""
			   : process->uring_group < 0	? ", and no group is named"
							: ", and the user is not in its group",
			   slower);
		if (process->uring_disabled == 1 && process->uring_group >= 0)
			doctor_remedy_script(result, true,
					     "usermod -aG $(getent group %u | cut -d: -f1) %s",
					     (unsigned int)process->uring_group,
					     process->user[0] ? process->user : "USER");
		else
			doctor_remedy(result, true, "sysctl -w kernel.io_uring_disabled=0");
	} else if (refused && process->uring_error == ENOSYS) {
		doctor_say(result, DOCTOR_WARNING, "this kernel has no io_uring: %s", slower);
	} else if (refused) {
		doctor_say(
			result, DOCTOR_WARNING,
			"io_uring is refused (%s), by a filter of system calls as containers have "
			"one: %s",
			strerror(process->uring_error), slower);
		doctor_append(result, " (PROFILE: one that permits io_uring_setup, io_uring_enter "
				      "and io_uring_register)");
		doctor_remedy(result, false, "docker run --security-opt seccomp=PROFILE ...");
	} else if (process->uring_error == DOCTOR_UNKNOWN) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "a captured machine cannot be asked");
	} else {
		doctor_ok(result, "io_uring works");
	}
}

void doctor_check_memlock(const struct doctor_facts *facts, const struct doctor_card *card,
			  struct doctor_result *result)
{
	const struct doctor_process *process = &facts->machine.process;

	(void)card;
	if (process->may_lock || process->memlock == UINT64_MAX) {
		doctor_ok(result, "memory may be locked without limit");
		return;
	}
	if (process->memlock >= LOAD_WINDOW) {
		doctor_ok(result, "%llu KiB of memory may be locked",
			  (unsigned long long)(process->memlock >> 10));
		return;
	}
	if (process->memlock < AIPU_PAGE_BYTES)
		doctor_problem(
			result, CLI_FAILED,
			"not a page of memory may be locked (RLIMIT_MEMLOCK): no model can be "
			"loaded");
	else
		doctor_say(
			result, DOCTOR_WARNING,
			"%llu KiB of memory may be locked (RLIMIT_MEMLOCK), %llu are wanted: models "
			"load slower",
			(unsigned long long)(process->memlock >> 10), LOAD_WINDOW >> 10);
	if (process->memlock_hard >= LOAD_WINDOW) {
		doctor_remedy(result, false, "ulimit -l %u", (unsigned int)(LOAD_WINDOW >> 10));
		return;
	}
	doctor_append(result,
		      "; a new limit holds from the next login on, a service has LimitMEMLOCK=64M");
	doctor_remedy_script(result, true,
			     "echo \"* - memlock 65536\" >/etc/security/limits.d/aipu.conf");
}

void doctor_check_iommu(const struct doctor_facts *facts, const struct doctor_card *card,
			struct doctor_result *result)
{
	if (card->pci.iommu_group >= 0) {
		doctor_ok(result, "behind an IOMMU, group %d", card->pci.iommu_group);
		return;
	}
	doctor_say(result, DOCTOR_NOTE, "%s: the card can reach all memory of this machine",
		   facts->machine.has_iommu ? "the IOMMU does not cover this card"
					    : "there is no IOMMU, or it is off");
}

/* "16.0 GT/s PCIe" */
static double speed(const char *text)
{
	return strtod(text, NULL);
}

void doctor_check_link(const struct doctor_facts *facts, const struct doctor_card *card,
		       struct doctor_result *result)
{
	const struct card *pci = &card->pci;
	double now = speed(pci->link_speed), most = speed(pci->link_speed_max);

	(void)facts;
	if (!(now > 0) || !(most > 0) || !pci->link_width || !pci->link_width_max) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "the function does not tell of its link");
		return;
	}
	if (now >= most && pci->link_width >= pci->link_width_max) {
		doctor_ok(result, "x%u, %s", pci->link_width, pci->link_speed);
		return;
	}
	doctor_say(result, DOCTOR_NOTE,
		   "the link runs at x%u, %s; the card can x%u, %s: the slot, a riser or power "
		   "saving",
		   pci->link_width, pci->link_speed, pci->link_width_max, pci->link_speed_max);
	doctor_remedy(result, true, "lspci -vvs %s", pci->pci);
}
