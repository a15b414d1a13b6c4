// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * doctor's checks, first part: is there a card, is there a driver for this kernel, is it loaded. Each looks at the facts and at
 * nothing else, and gives one result.
 */
#include "doctor.h"

#include <errno.h>
#include <string.h>

#include "aipu_registers.h"

/* As modprobe reads its files: '-' and '_' are one */
#define ALLOW \
	"sed -E -i '/^[[:space:]]*(blacklist|install)[[:space:]]+aipu[-_]accel([[:space:]]|$)/d' %s"
#define EDIT_LINE "${EDITOR:-vi} /etc/default/grub && update-grub && reboot"

void doctor_check_card(const struct doctor_facts *facts, const struct doctor_card *card,
		       struct doctor_result *result)
{
	const struct doctor_machine *machine = &facts->machine;

	(void)card;
	if (machine->pci_error == -ENOENT) {
		doctor_problem(result, CLI_NO_DEVICE,
			       "this system has no PCI bus to look at: there is no /sys/bus/pci");
		return;
	}
	if (machine->pci_error) {
		doctor_problem(result, CLI_NO_DEVICE, "the PCI bus cannot be read: %s",
			       strerror(-machine->pci_error));
		return;
	}
	if (machine->pci_cards) {
		doctor_ok(result, "%zu function%s %04x:%04x on the PCI bus", machine->pci_cards,
			  machine->pci_cards == 1 ? "" : "s", AIPU_PCI_VENDOR_ID,
			  AIPU_PCI_DEVICE_ID);
		return;
	}
	doctor_problem(
		result, CLI_NO_DEVICE,
		"no function %04x:%04x is on the PCI bus: card, slot and power; in a virtual "
		"machine, is it passed through; look again",
		AIPU_PCI_VENDOR_ID, AIPU_PCI_DEVICE_ID);
	doctor_remedy_script(result, true, "echo 1 >/sys/bus/pci/rescan");
}

static void build_remedy(const struct doctor_machine *machine, struct doctor_result *result)
{
	if (machine->module.source[0]) {
		doctor_remedy(result, true, "dkms install %s -k %s", machine->module.source,
			      machine->kernel);
		return;
	}
	doctor_append(result, " (SOURCE: the directory of AIPU's source)");
	doctor_remedy_script(
		result, true,
		"apt install linux-headers-%s && make -C SOURCE modules modules_install",
		machine->kernel);
}

/*
 * "6.12.1 SMP preempt mod_unload " is for 6.12.1. A module with versions of symbols may be for another one: the kernel then
 * looks at those (kernel/module/version.c).
 */
static bool may_fit(const char *vermagic, const char *kernel)
{
	size_t length = strcspn(vermagic, " ");

	return strstr(vermagic, " modversions") ||
	       (length == strlen(kernel) && !memcmp(vermagic, kernel, length));
}

void doctor_check_module(const struct doctor_facts *facts, const struct doctor_card *card,
			 struct doctor_result *result)
{
	const struct doctor_machine *machine = &facts->machine;
	const struct doctor_module *module = &machine->module;

	(void)card;
	if (module->loaded) {
		doctor_ok(result, "the module " CARD_DRIVER " is loaded");
	} else if (!machine->kernel[0]) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "the kernel's release is not known");
	} else if (!module->file[0] && module->elsewhere[0]) {
		doctor_problem(result, SMI_NO_DRIVER,
			       "there is a module " CARD_DRIVER
			       " for kernel %s, but none for %s, which runs",
			       module->elsewhere, machine->kernel);
		build_remedy(machine, result);
	} else if (!module->file[0]) {
		doctor_problem(result, SMI_NO_DRIVER,
			       "there is no " CARD_DRIVER ".ko for kernel %s: %s/lib/modules/%s",
			       machine->kernel, module->directory ? "none in " : "there is no ",
			       machine->kernel);
		build_remedy(machine, result);
	} else if (module->vermagic[0] && !may_fit(module->vermagic, machine->kernel)) {
		doctor_problem(result, SMI_NO_DRIVER,
			       "/lib/modules/%s/%s was built for kernel %.*s", machine->kernel,
			       module->file, (int)strcspn(module->vermagic, " "), module->vermagic);
		build_remedy(machine, result);
	} else if (!module->in_dep) {
		doctor_problem(result, SMI_NO_DRIVER,
			       "/lib/modules/%s/%s is not in modules.dep, so modprobe does not "
			       "find it",
			       machine->kernel, module->file);
		doctor_remedy(result, true, "depmod %s", machine->kernel);
	} else {
		doctor_ok(result, "/lib/modules/%s/%s", machine->kernel, module->file);
	}
}

void doctor_check_blacklist(const struct doctor_facts *facts, const struct doctor_card *card,
			    struct doctor_result *result)
{
	const struct doctor_module *module = &facts->machine.module;
	bool file = module->blacklist[0];
	char what[PATH_MAX + 80], line[64] = "";

	(void)card;
	if (!file && !module->parameter) {
		doctor_ok(result, "nothing forbids " CARD_DRIVER);
		return;
	}
	if (module->parameter)
		snprintf(line, sizeof(line), "the kernel's command line (%s=)", module->parameter);
	snprintf(what, sizeof(what), "%s%s%s forbid%s", module->blacklist,
		 file && module->parameter ? " and " : "", line,
		 file && module->parameter ? "" : "s");
	if (module->loaded) {
		doctor_say(result, DOCTOR_NOTE,
			   "%s " CARD_DRIVER ": at the next start it will not be loaded", what);
		return;
	}
	doctor_problem(result, SMI_NO_DRIVER, "%s that " CARD_DRIVER " is loaded%s", what,
		       module->blocked ? "" : " by itself");
	if (!module->parameter)
		doctor_remedy(result, true, ALLOW, module->blacklist);
	else if (!file)
		doctor_remedy_script(result, true, EDIT_LINE);
	else
		doctor_remedy_script(result, true, ALLOW " && " EDIT_LINE, module->blacklist);
}

void doctor_check_signature(const struct doctor_facts *facts, const struct doctor_card *card,
			    struct doctor_result *result)
{
	const struct doctor_module *module = &facts->machine.module;
	bool locked = module->lockdown[0] && strcmp(module->lockdown, "none");

	(void)card;
	if (module->loaded) {
		doctor_ok(result, "the kernel took the module");
	} else if (module->sig_enforce == DOCTOR_UNKNOWN && !module->lockdown[0]) {
		doctor_say(result, DOCTOR_NOT_CHECKED,
			   "the kernel does not say whether it wants signatures");
	} else if (module->sig_enforce <= 0 && !locked) {
		doctor_ok(result, "this kernel takes modules without a signature");
	} else if (module->is_signed == DOCTOR_UNKNOWN) {
		doctor_say(result, DOCTOR_NOT_CHECKED, "%s",
			   module->compressed ? "the module is compressed"
					      : "there is no module to look into");
	} else if (module->is_signed) {
		doctor_ok(result, "the module is signed; whether by a key that this kernel knows, "
				  "only it can say");
	} else {
		doctor_problem(result, SMI_NO_DRIVER,
			       "the kernel takes signed modules only (%s), and %s has no signature",
			       module->secure_boot > 0 ? "secure boot"
			       : locked		       ? "lockdown"
						       : "module.sig_enforce",
			       module->file);
		doctor_append(result, "; the machine has to know the key: mokutil --import "
				      "/var/lib/dkms/mok.pub, then reboot");
		doctor_remedy(result, true,
			      "/usr/src/linux-headers-%s/scripts/sign-file sha256 "
			      "/var/lib/dkms/mok.key /var/lib/dkms/mok.pub /lib/modules/%s/%s",
			      facts->machine.kernel, facts->machine.kernel, module->file);
	}
}

void doctor_check_loaded(const struct doctor_facts *facts, const struct doctor_card *card,
			 struct doctor_result *result)
{
	const char *reason;

	(void)card;
	if (facts->machine.module.loaded) {
		doctor_ok(result, CARD_DRIVER " is loaded");
		return;
	}
	reason = cardlog_refusal(&facts->machine.log, facts->machine.module.changed);
	if (reason) {
		doctor_problem(result, SMI_NO_DRIVER, "the kernel refused " CARD_DRIVER ": %s",
			       reason);
		build_remedy(&facts->machine, result);
		return;
	}
	doctor_problem(result, SMI_NO_DRIVER, CARD_DRIVER " is there and not loaded");
	doctor_remedy(result, true, "modprobe " CARD_DRIVER);
}
