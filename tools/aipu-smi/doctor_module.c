// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Facts for doctor: the driver's module. Is it loaded; is there one for this kernel, and what keeps it from being loaded. Reads
 * what depmod and modprobe read, and starts neither.
 */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MODULES "/lib/modules"
#define MODULE_LIMIT (64ull << 20)
#define TEXT_LIMIT (16ull << 20)
#define DEPTH 8 /* of directories below MODULES/KERNEL */

static bool is_there(const char *path)
{
	return !access(path, F_OK);
}

static bool is_module_file(const char *name)
{
	static const char file[] = CARD_DRIVER ".ko";

	return !strncmp(name, file, strlen(file)) &&
	       (!name[strlen(file)] || name[strlen(file)] == '.');
}

/* Looks for the module below a directory; its path from there on. build and source are links, and not followed. */
static bool find_below(const char *directory, int depth, char *found, size_t bytes)
{
	DIR *entries = depth ? opendir(directory) : NULL;
	const struct dirent *entry;
	bool is_found = false;

	while (entries && !is_found && (entry = readdir(entries))) {
		char path[PATH_MAX], rest[256];
		struct stat status;

		if (entry->d_name[0] == '.' ||
		    snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name) >=
			    (int)sizeof(path) ||
		    lstat(path, &status))
			continue;
		if (is_module_file(entry->d_name)) {
			is_found = snprintf(found, bytes, "%s", entry->d_name) < (int)bytes;
		} else if (S_ISDIR(status.st_mode) &&
			   find_below(path, depth - 1, rest, sizeof(rest))) {
			is_found = snprintf(found, bytes, "%s/%s", entry->d_name, rest) <
				   (int)bytes;
		}
	}
	if (entries)
		closedir(entries);
	return is_found;
}

/* For a kernel that has none: does another one have it */
static void find_elsewhere(const char *kernel, struct doctor_module *module)
{
	char modules[PATH_MAX], path[PATH_MAX + 256], found[256];
	const struct dirent *entry;
	DIR *entries;

	cards_path(modules, MODULES);
	entries = opendir(modules);
	while (entries && !module->elsewhere[0] && (entry = readdir(entries))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, kernel))
			continue;
		snprintf(path, sizeof(path), "%s/%s", modules, entry->d_name);
		if (find_below(path, DEPTH, found, sizeof(found)))
			text_clean(module->elsewhere, sizeof(module->elsewhere), entry->d_name,
				   sizeof(entry->d_name));
	}
	if (entries)
		closedir(entries);
}

static int64_t microseconds(const struct timespec *time)
{
	return (int64_t)time->tv_sec * 1000000 + time->tv_nsec / 1000;
}

/* In microseconds since 1970; of a captured machine as /proc/stat has it */
static bool boot_time(int64_t *boot)
{
	char path[PATH_MAX], *text, *line;
	struct timespec now, up;
	size_t bytes;

	if (!cards_root()[0]) {
		if (clock_gettime(CLOCK_REALTIME, &now) || clock_gettime(CLOCK_MONOTONIC, &up))
			return false;
		*boot = microseconds(&now) - microseconds(&up);
		return true;
	}
	cards_path(path, "/proc/stat");
	text = doctor_read(path, TEXT_LIMIT, &bytes);
	line = text ? strstr(text, "btime ") : NULL;
	if (line)
		*boot = strtoll(line + strlen("btime "), NULL, 10) * 1000000;
	free(text);
	return line;
}

/*
 * The log has to be told what is newer: the file, or what was said of one in its place. ctime, since copies may keep the time of
 * their contents; captured files have theirs of the capture, and only that of their contents from before.
 */
uint64_t doctor_changed(const char *path)
{
	struct stat status;
	int64_t boot, changed;

	if (stat(path, &status) || !boot_time(&boot))
		return 0;
	changed = microseconds(cards_root()[0] ? &status.st_mtim : &status.st_ctim) - boot;
	return changed > 0 ? (uint64_t)changed : 0;
}

static void look_into(const char *kernel, struct doctor_module *module)
{
	char path[PATH_MAX];
	size_t bytes, length = strlen(module->file);
	char *file;

	cards_path(path, MODULES "/%s/%s", kernel, module->file);
	module->changed = doctor_changed(path);

	module->compressed = length < 3 || strcmp(module->file + length - 3, ".ko");
	if (module->compressed)
		return;
	file = doctor_read(path, MODULE_LIMIT, &bytes);
	if (!file)
		return;
	if (!doctor_vermagic(file, bytes, module->vermagic, sizeof(module->vermagic)))
		module->vermagic[0] = '\0';
	module->is_signed = doctor_module_signed(file, bytes);
	free(file);
}

static void find_module(const char *kernel, struct doctor_module *module)
{
	char path[PATH_MAX], *dep;
	size_t bytes;

	cards_path(path, MODULES "/%s", kernel);
	module->directory = kernel[0] && is_there(path);
	if (!module->directory)
		return;
	cards_path(path, MODULES "/%s/modules.dep", kernel);
	dep = doctor_read(path, TEXT_LIMIT, &bytes);
	module->in_dep = dep && doctor_modules_dep(dep, bytes, CARD_DRIVER, module->file,
						   sizeof(module->file));
	free(dep);
	cards_path(path, MODULES "/%s/%s", kernel, module->file);
	/* Named there, and gone since: depmod is due, as where it was never run */
	if (module->in_dep && !is_there(path))
		module->in_dep = false;
	if (!module->in_dep) {
		cards_path(path, MODULES "/%s", kernel);
		if (!find_below(path, DEPTH, module->file, sizeof(module->file)))
			module->file[0] = '\0';
	}
	if (module->file[0])
		look_into(kernel, module);
	else
		find_elsewhere(kernel, module);
}

/* --- what keeps it from being loaded -------------------------------------------------------------- */

/* The first of a directory's files that forbids the module; one that blocks it before one that only blacklists it */
static void find_blacklist(const char *directory, struct doctor_module *module)
{
	char path[PATH_MAX + 256], directory_path[PATH_MAX], *file;
	const struct dirent *entry;
	DIR *entries;
	size_t bytes;
	bool blocked;

	cards_path(directory_path, "%s", directory);
	entries = opendir(directory_path);
	while (entries && !module->blocked && (entry = readdir(entries))) {
		size_t length = strlen(entry->d_name);

		if (length < 6 || strcmp(entry->d_name + length - 5, ".conf"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory_path, entry->d_name);
		file = doctor_read(path, TEXT_LIMIT, &bytes);
		if (file && doctor_blacklisted(file, bytes, CARD_DRIVER, &blocked) &&
		    (blocked || !module->blacklist[0])) {
			module->blocked = blocked;
			snprintf(module->blacklist, sizeof(module->blacklist), "%s/%.255s",
				 directory, entry->d_name);
		}
		free(file);
	}
	if (entries)
		closedir(entries);
}

static void read_command_line(struct doctor_machine *machine)
{
	struct doctor_module *module = &machine->module;
	char path[PATH_MAX], *line;
	size_t bytes;

	cards_path(path, "/proc/cmdline");
	line = doctor_read(path, TEXT_LIMIT, &bytes);
	if (!line)
		return;
	machine->realloc = doctor_command_line(line, bytes, "pci", "realloc");
	if (doctor_command_line(line, bytes, "module_blacklist", CARD_DRIVER)) {
		module->blocked = true;
		module->parameter = "module_blacklist";
	} else if (doctor_command_line(line, bytes, "modprobe.blacklist", CARD_DRIVER)) {
		module->parameter = "modprobe.blacklist";
	}
	free(line);
}

/* "none [integrity] confidentiality": the one in brackets */
static void read_lockdown(struct doctor_module *module)
{
	char line[128], *open, *close;

	module->lockdown[0] = '\0';
	if (!cards_read_line(line, sizeof(line), "/sys/kernel/security/lockdown"))
		return;
	open = strchr(line, '[');
	close = open ? strchr(open, ']') : NULL;
	if (close)
		text_clean(module->lockdown, sizeof(module->lockdown), open + 1,
			   (size_t)(close - open - 1));
}

/* A variable of EFI: four bytes of attributes, then its value */
static int read_secure_boot(void)
{
	char path[PATH_MAX], *variable;
	size_t bytes;
	int on = DOCTOR_UNKNOWN;

	cards_path(path, "/sys/firmware/efi/efivars/"
			 "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
	variable = doctor_read(path, 64, &bytes);
	if (variable && bytes == 5)
		on = variable[4] == 1;
	free(variable);
	return on;
}

/* "aipu-0.9.0" in /usr/src: what dkms builds from */
static void find_source(struct doctor_module *module)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	DIR *entries;

	cards_path(path, "/usr/src");
	entries = opendir(path);
	while (entries && !module->source[0] && (entry = readdir(entries)))
		if (!strncmp(entry->d_name, "aipu-", 5) && entry->d_name[5] >= '0' &&
		    entry->d_name[5] <= '9') {
			char version[64];

			text_clean(version, sizeof(version), entry->d_name + 5,
				   sizeof(entry->d_name) - 5);
			snprintf(module->source, sizeof(module->source), "aipu/%s", version);
		}
	if (entries)
		closedir(entries);
}

void doctor_module_gather(struct doctor_machine *machine)
{
	static const char *const directories[] = { "/etc/modprobe.d", "/run/modprobe.d",
						   "/usr/local/lib/modprobe.d",
						   "/usr/lib/modprobe.d", "/lib/modprobe.d" };
	struct doctor_module *module = &machine->module;
	char path[PATH_MAX], line[16];

	module->is_signed = DOCTOR_UNKNOWN;
	module->sig_enforce = DOCTOR_UNKNOWN;
	cards_path(path, "/sys/module/" CARD_DRIVER);
	module->loaded = is_there(path);
	find_module(machine->kernel, module);
	find_source(module);
	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		find_blacklist(directories[i], module);
	read_command_line(machine);
	if (cards_read_line(line, sizeof(line), "/sys/module/module/parameters/sig_enforce"))
		module->sig_enforce = line[0] == 'Y';
	read_lockdown(module);
	module->secure_boot = read_secure_boot();
}
