// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What goes into a report, and nothing that is not named here: versions, machine, settings, cards, doctor's findings, the
 * kernel's log of the driver, coredumps by name. Files are never copied whole.
 */
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define TEXT_LIMIT (1u << 20)
#define DUMP_LIMIT (64u << 20)

static void section(FILE *out, const char *name)
{
	fprintf(out, "\n== %s\n", name);
}

void report_line(FILE *out, const char *name, const char *path)
{
	char line[512], clean[512];

	if (!cards_read_line(line, sizeof(line), "%s", path))
		return;
	text_clean(clean, sizeof(clean), line, sizeof(line));
	fprintf(out, "%s: %s\n", name, clean);
}

/* Lines of a file that begin with one of these, up to a NULL; with `once` the first of each only */
static void some_lines(FILE *out, const char *path, const char *const *wanted, bool once)
{
	char full[PATH_MAX], line[512], clean[512];
	unsigned int seen = 0;
	FILE *in;

	cards_path(full, "%s", path);
	in = fopen(full, "re");
	while (in && fgets(line, sizeof(line), in)) {
		line[strcspn(line, "\n")] = '\0';
		for (char *c = line; *c; c++)
			*c = *c == '\t' ? ' ' : *c;
		for (unsigned int i = 0; wanted[i]; i++) {
			if (strncmp(line, wanted[i], strlen(wanted[i])) || (once && seen >> i & 1))
				continue;
			seen |= 1u << i;
			text_clean(clean, sizeof(clean), line, sizeof(line));
			fprintf(out, "%s\n", clean);
		}
	}
	if (in)
		fclose(in);
}

/* --- versions and machine ------------------------------------------------------------------------- */

static void versions(const struct doctor_facts *facts, FILE *out)
{
	static const char *const distribution[] = { "PRETTY_NAME=", NULL };
	struct utsname name;

	fprintf(out, "aipu-smi: %s\nlibaipu: %s\ncontract: %u.%u to %u.%u\n", AIPU_PACKAGE_VERSION,
		aipu_version(), AIPU_ABI_MAJOR(AIPU_ABI_OLDEST), AIPU_ABI_MINOR(AIPU_ABI_OLDEST),
		AIPU_ABI_MAJOR(AIPU_ABI_CURRENT), AIPU_ABI_MINOR(AIPU_ABI_CURRENT));
	fprintf(out, "driver: %s\n", facts->machine.module.loaded ? "loaded" : "not loaded");
	report_line(out, "driver version", "/sys/module/" CARD_DRIVER "/version");
	report_line(out, "driver source version", "/sys/module/" CARD_DRIVER "/srcversion");
	report_line(out, "driver taints", "/sys/module/" CARD_DRIVER "/taint");
	fprintf(out, "kernel: %s\n", facts->machine.kernel[0] ? facts->machine.kernel : "unknown");
	report_line(out, "kernel build", "/proc/sys/kernel/version");
	if (!uname(&name))
		fprintf(out, "architecture: %s\n", name.machine);
	some_lines(out, "/etc/os-release", distribution, true);
}

static void machine(FILE *out)
{
	static const char *const cpu[] = { "model name", NULL };
	static const char *const memory[] = { "MemTotal:", "MemAvailable:", "SwapTotal:",
					      "HugePages_Total:", NULL };

	some_lines(out, "/proc/cpuinfo", cpu, true);
	report_line(out, "processors online", "/sys/devices/system/cpu/online");
	report_line(out, "NUMA nodes", "/sys/devices/system/node/online");
	some_lines(out, "/proc/meminfo", memory, true);
}

/* --- settings ------------------------------------------------------------------------------------- */

/* To the kernel '-' and '_' are one in names; what stands behind a name is its value */
static bool is_parameter(const char *word, const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++)
		if ((word[i] == '-' ? '_' : word[i]) != name[i])
			return false;
	return !word[i] || word[i] == '=';
}

/* Of PCI, IOMMUs and modules, by their whole names: others name disks, hosts, and what not. */
static bool is_harmless(const char *word)
{
	static const char *const names[] = {
		"pci",
		"pcie_aspm",
		"pcie_ports",
		"pcie_port_pm",
		"iommu",
		"iommu.passthrough",
		"iommu.strict",
		"iommu.forcedac",
		"intel_iommu",
		"amd_iommu",
		"amd_iommu_intr",
		"swiotlb",
		"module_blacklist",
		"modprobe.blacklist",
		"module.sig_enforce",
		"lockdown",
		CARD_DRIVER ".dyndbg",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (is_parameter(word, names[i]))
			return true;
	return false;
}

static void command_line(FILE *out)
{
	char path[PATH_MAX], *line, *rest = NULL, clean[256];
	size_t bytes;

	cards_path(path, "/proc/cmdline");
	line = doctor_read(path, TEXT_LIMIT, &bytes);
	if (!line)
		return;
	for (char *word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest))
		if (is_harmless(word)) {
			text_clean(clean, sizeof(clean), word, strlen(word));
			fprintf(out, "kernel parameter: %s\n", clean);
		}
	free(line);
}

static void module_parameters(FILE *out)
{
	char path[PATH_MAX], name[300], file[PATH_MAX];
	const struct dirent *entry;
	DIR *entries;

	cards_path(path, "/sys/module/" CARD_DRIVER "/parameters");
	entries = opendir(path);
	while (entries && (entry = readdir(entries))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "module parameter %s", entry->d_name);
		snprintf(file, sizeof(file), "/sys/module/" CARD_DRIVER "/parameters/%s",
			 entry->d_name);
		report_line(out, name, file);
	}
	if (entries)
		closedir(entries);
}

static void limit(FILE *out, const char *name, uint64_t bytes)
{
	if (bytes == UINT64_MAX)
		fprintf(out, "%s: unlimited\n", name);
	else
		fprintf(out, "%s: %llu\n", name, (unsigned long long)bytes);
}

static void settings(const struct doctor_facts *facts, FILE *out)
{
	static const char *const sysctls[] = {
		"kernel/io_uring_disabled", "kernel/io_uring_group",   "kernel/dmesg_restrict",
		"kernel/tainted",	    "kernel/modules_disabled", "vm/overcommit_memory",
		"vm/max_map_count",
	};
	const struct doctor_process *process = &facts->machine.process;
	char path[64];

	command_line(out);
	module_parameters(out);
	for (size_t i = 0; i < sizeof(sysctls) / sizeof(sysctls[0]); i++) {
		snprintf(path, sizeof(path), "/proc/sys/%s", sysctls[i]);
		report_line(out, sysctls[i], path);
	}
	report_line(out, "lockdown", "/sys/kernel/security/lockdown");
	limit(out, "locked memory, soft limit", process->memlock);
	limit(out, "locked memory, hard limit", process->memlock_hard);
	fprintf(out, "root: %s\ncontainer: %s\n", process->uid ? "no" : "yes",
		process->in_container ? "yes" : "no");
}

/* --- what happened -------------------------------------------------------------------------------- */

static void findings(const struct doctor_facts *facts, FILE *out)
{
	struct doctor_facts shown = *facts;
	char *name = strrchr(shown.machine.module.blacklist, '/');
	struct doctor_report report;

	/* Where the file is helps; what somebody called it does not */
	if (name)
		snprintf(name, sizeof("/[file]"), "/[file]");
	if (!doctor_run(&shown, &report)) {
		fprintf(out, "out of memory\n");
		return;
	}
	doctor_print(&report, out);
	fprintf(out, "exit status %d\n", report.code);
	doctor_report_free(&report);
}

static void kernel_log(const struct cardlog *log, FILE *out)
{
	if (log->error)
		fprintf(out, "cannot be read: %s (root can)\n", strerror(log->error));
	else if (!log->count)
		fprintf(out, "nothing of the driver or a card\n");
	for (size_t i = 0; i < log->count; i++)
		fprintf(out, "[%5llu.%06llu] <%u> %s\n",
			(unsigned long long)(log->lines[i].microseconds / 1000000),
			(unsigned long long)(log->lines[i].microseconds % 1000000),
			log->lines[i].level, log->lines[i].text);
}

/* sysfs gives the file no size: it is read to its end, and thrown away. -1: may not be read */
static long dump_bytes(const char *path)
{
	size_t bytes;
	char *data = doctor_read(path, DUMP_LIMIT, &bytes);

	free(data);
	return data ? (long)bytes : -1;
}

static void dump(const struct doctor_facts *facts, const char *directory, const char *name,
		 FILE *out)
{
	char path[PATH_MAX + 300], target[PATH_MAX], when[32] = "?";
	const char *pci;
	struct stat status;
	struct tm time;
	ssize_t count;
	bool ours = false;
	long bytes;

	snprintf(path, sizeof(path), "%s/%s/failing_device", directory, name);
	count = readlink(path, target, sizeof(target) - 1);
	target[count > 0 ? count : 0] = '\0';
	pci = strrchr(target, '/');
	for (size_t i = 0; pci && i < facts->card_count; i++)
		ours = ours || !strcmp(pci + 1, facts->cards[i].pci.pci);
	if (!ours)
		return;
	snprintf(path, sizeof(path), "%s/%s/data", directory, name);
	if (!stat(path, &status) && gmtime_r(&status.st_mtime, &time))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &time);
	bytes = dump_bytes(path);
	fprintf(out, "%s: %s, %s, ", name, pci + 1, when);
	if (bytes < 0)
		fprintf(out, "size unknown (root can read it)\n");
	else
		fprintf(out, "%ld bytes\n", bytes);
}

static void dumps(const struct doctor_facts *facts, FILE *out)
{
	static const char note[] = "(contents are not in here: /sys/class/devcoredump/NAME/data)";
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *entries;

	cards_path(path, "/sys/class/devcoredump");
	entries = opendir(path);
	fprintf(out, "%s\n", entries ? note : "this kernel has none");
	while (entries && (entry = readdir(entries)))
		if (!strncmp(entry->d_name, "devcd", 5))
			dump(facts, path, entry->d_name, out);
	if (entries)
		closedir(entries);
}

void report_sections(const struct doctor_facts *facts, FILE *out)
{
	section(out, "versions");
	versions(facts, out);
	section(out, "machine");
	machine(out);
	section(out, "settings");
	settings(facts, out);
	section(out, "cards and bridges");
	report_cards(facts, out);
	section(out, "aipu-smi --json");
	report_snapshot(out);
	section(out, "aipu-smi doctor");
	findings(facts, out);
	section(out, "kernel log of the driver and the cards");
	kernel_log(&facts->machine.log, out);
	section(out, "coredumps");
	dumps(facts, out);
}
