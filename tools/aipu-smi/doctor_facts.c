// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Facts for doctor, gathered once: the machine, this process, the kernel's log; which cards. Of a captured machine
 * (AIPU_TEST_ROOT) only files are read: nothing is opened or tried that would be this machine's. Changes nothing anywhere.
 */
#include "doctor.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/io_uring.h>

#define LOG_BYTES (16ull << 20) /* that are read at most */
#define RECORD_BYTES 8192u /* of the kernel's log, CONSOLE_EXT_LOG_MAX */

char *doctor_read(const char *path, size_t limit, size_t *bytes)
{
	FILE *in = fopen(path, "re");
	char *data = NULL;
	size_t room = 0, count = 0, more = 1;

	*bytes = 0;
	if (!in)
		return NULL;
	while (more && count <= limit) {
		if (room - count < 4096) {
			char *larger = realloc(data, room ? 2 * room : 16384);

			if (!larger)
				break;
			data = larger;
			room = room ? 2 * room : 16384;
		}
		more = fread(data + count, 1, room - count - 1, in);
		count += more;
	}
	if (!data || more || ferror(in)) {
		int err = !data ? ENOMEM : ferror(in) ? errno : EFBIG;

		free(data);
		fclose(in);
		errno = err;
		return NULL;
	}
	fclose(in);
	data[count] = '\0';
	*bytes = count;
	return data;
}

long doctor_number(long unknown, const char *format, ...)
{
	char path[PATH_MAX], line[64], *end;
	va_list args;
	long value;

	va_start(args, format);
	vsnprintf(path, sizeof(path), format, args);
	va_end(args);
	if (!cards_read_line(line, sizeof(line), "%s", path))
		return unknown;
	value = strtol(line, &end, 0);
	return end == line || *end ? unknown : value;
}

/* --- this process --------------------------------------------------------------------------------- */

/* Effective capabilities, of this very process */
static bool has_capability(unsigned int capability)
{
	FILE *in = fopen("/proc/self/status", "re");
	unsigned long long effective = 0;
	char line[256];

	while (in && fgets(line, sizeof(line), in))
		if (sscanf(line, "CapEff: %llx", &effective) == 1)
			break;
	if (in)
		fclose(in);
	return effective >> capability & 1;
}

/* Makes a ring and closes it: rights, groups and filters of system calls all show there. */
static int try_uring(void)
{
	struct io_uring_params params = { 0 };
	long fd = syscall(SYS_io_uring_setup, 1, &params);

	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

static bool is_container(void)
{
	char path[PATH_MAX];

	for (const char *const *mark = (const char *const[]){ "/.dockerenv", "/run/.containerenv",
							      "/run/systemd/container", NULL };
	     *mark; mark++) {
		cards_path(path, "%s", *mark);
		if (!access(path, F_OK))
			return true;
	}
	return false;
}

static uint64_t limit_of(rlim_t limit)
{
	return limit == RLIM_INFINITY ? UINT64_MAX : limit;
}

static void gather_process(struct doctor_process *process)
{
	const struct passwd *user = getpwuid(geteuid());
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	process->uid = geteuid();
	smi_text_clean(process->user, sizeof(process->user), user ? user->pw_name : "",
		       sizeof(process->user));
	process->in_container = is_container();
	getrlimit(RLIMIT_MEMLOCK, &limit);
	process->memlock = limit_of(limit.rlim_cur);
	process->memlock_hard = limit_of(limit.rlim_max);
	process->may_lock = has_capability(CAP_IPC_LOCK);
	process->uring_disabled =
		(int)doctor_number(DOCTOR_UNKNOWN, "/proc/sys/kernel/io_uring_disabled");
	process->uring_group = doctor_number(-1, "/proc/sys/kernel/io_uring_group");
	process->uring_error = cards_root()[0] ? DOCTOR_UNKNOWN : try_uring();
}

/* --- the kernel's log ----------------------------------------------------------------------------- */

static bool add_line(struct doctor_log *log, const struct doctor_log_line *line)
{
	if (!log->lines)
		log->lines = calloc(DOCTOR_LOG_LINES, sizeof(*log->lines));
	if (!log->lines)
		return false;
	if (log->count == DOCTOR_LOG_LINES) {
		memmove(log->lines, log->lines + 1, (log->count - 1) * sizeof(*log->lines));
		log->count--;
	}
	log->lines[log->count++] = *line;
	return true;
}

/* Records end with a line; lines that begin with a space belong to the one before and say of which device it is. */
static void take_records(struct doctor_log *log, char *text, const struct card_list *cards)
{
	char *rest = NULL;

	for (char *record = strtok_r(text, "\n", &rest); record;
	     record = strtok_r(NULL, "\n", &rest)) {
		struct doctor_log_line line;

		if (doctor_kmsg_parse(record, strlen(record), &line) &&
		    doctor_log_concerns(line.text, cards) && !add_line(log, &line))
			return;
	}
}

/* The device gives a record a read, and EPIPE where some were overwritten meanwhile; a captured one is a file. */
static void read_log(struct doctor_log *log, const struct card_list *cards)
{
	char path[PATH_MAX], record[RECORD_BYTES + 1];
	uint64_t total = 0;
	size_t kept = 0;
	int fd;

	cards_path(path, "/dev/kmsg");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		log->error = errno;
		return;
	}
	while (total < LOG_BYTES) {
		ssize_t count = read(fd, record + kept, RECORD_BYTES - kept);
		char *end;

		if (count < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (count < 0 && errno != EAGAIN)
			log->error = errno;
		if (count <= 0)
			break;
		total += (uint64_t)count;
		kept += (size_t)count;
		record[kept] = '\0';
		/* What follows the last end of a line is the beginning of a next one. */
		end = memrchr(record, '\n', kept);
		if (!end && kept < RECORD_BYTES)
			continue;
		end = end ? end : record + kept - 1;
		*end = '\0';
		take_records(log, record, cards);
		kept -= (size_t)(end + 1 - record);
		memmove(record, end + 1, kept);
	}
	close(fd);
}

/* --- all of it ------------------------------------------------------------------------------------ */

static bool has_iommu(void)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	bool any = false;
	DIR *entries;

	cards_path(path, "/sys/class/iommu");
	entries = opendir(path);
	while (entries && (entry = readdir(entries)))
		any = any || entry->d_name[0] != '.';
	if (entries)
		closedir(entries);
	return any;
}

static void gather_machine(struct doctor_machine *machine)
{
	struct utsname name;

	if (!cards_read_line(machine->kernel, sizeof(machine->kernel),
			     "/proc/sys/kernel/osrelease") &&
	    !cards_root()[0] && !uname(&name))
		snprintf(machine->kernel, sizeof(machine->kernel), "%s", name.release);
	/* It becomes a part of paths. */
	if (strchr(machine->kernel, '/'))
		machine->kernel[0] = '\0';
	machine->has_iommu = has_iommu();
	doctor_module_gather(machine);
}

static void take_card(struct doctor_facts *facts, const struct card *pci)
{
	struct doctor_card *card = &facts->cards[facts->card_count];

	for (size_t i = 0; i < facts->card_count; i++)
		if (!strcmp(facts->cards[i].pci.pci, pci->pci))
			return;
	*card = (struct doctor_card){ .pci = *pci };
	doctor_card_gather(&facts->machine, card);
	facts->card_count++;
}

/* The card that one -i means; by serial number only where nothing else fits, since that takes opening cards */
static bool take_named(struct doctor_facts *facts, const struct card_list *list, const char *name)
{
	for (size_t i = 0; i < list->count; i++)
		if (card_is(&list->cards[i], name)) {
			take_card(facts, &list->cards[i]);
			return true;
		}
	for (size_t i = 0; i < list->count; i++) {
		size_t before = facts->card_count;

		take_card(facts, &list->cards[i]);
		if (facts->card_count == before)
			continue;
		if (!strcmp(facts->cards[before].open.info.serial, name))
			return true;
		facts->card_count = before;
	}
	return false;
}

static int take_cards(struct doctor_facts *facts, const struct card_list *list,
		      const char *const *names)
{
	facts->cards = calloc(list->count ? list->count : 1, sizeof(*facts->cards));
	if (!facts->cards)
		return smi_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; !names[0] && i < list->count; i++)
		take_card(facts, &list->cards[i]);
	/* Where there is none at all, that is what the checks say. */
	for (; *names && list->count; names++)
		if (!take_named(facts, list, *names))
			return smi_fail(CLI_NO_DEVICE,
					"-i %s: no such card: an index, a node, a PCI address or a "
					"serial number is expected; there %s %zu, the first is %s",
					*names, list->count == 1 ? "is" : "are", list->count,
					list->cards[0].pci);
	return CLI_OK;
}

static int gather_soft(struct doctor_facts *facts)
{
	struct aipu_message message = { "" };
	struct aipu_device *device;
	struct doctor_open *open;

	facts->cards = calloc(1, sizeof(*facts->cards));
	if (!facts->cards)
		return smi_fail(CLI_FAILED, "out of memory");
	facts->card_count = 1;
	facts->cards[0].soft = true;
	open = &facts->cards[0].open;
	open->tried = true;
	open->error = aipu_device_open(&device, "soft", NULL, &message);
	snprintf(open->message, sizeof(open->message), "%s", message.text);
	if (open->error)
		return CLI_OK;
	open->error = aipu_device_query(device, &open->info);
	aipu_device_close(device);
	return CLI_OK;
}

int doctor_gather(struct doctor_facts *facts, const char *const *names, bool soft, const char *qpc)
{
	struct card_list list;
	int code;

	*facts = (struct doctor_facts){ .qpc.path = qpc };
	if (qpc)
		doctor_qpc_gather(&facts->qpc);
	facts->machine.captured = cards_root()[0];
	gather_process(&facts->machine.process);
	if (soft)
		return gather_soft(facts);
	gather_machine(&facts->machine);
	facts->machine.pci_error = cards_list(&list);
	facts->machine.pci_cards = list.count;
	read_log(&facts->machine.log, &list);
	code = take_cards(facts, &list, names);
	cards_free(&list);
	return code;
}

void doctor_free(struct doctor_facts *facts)
{
	free(facts->machine.log.lines);
	free(facts->cards);
	*facts = (struct doctor_facts){ 0 };
}
