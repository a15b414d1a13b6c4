// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Facts for doctor, gathered once: the machine, this process, the kernel's log; which cards. Of a captured machine
 * (AIPU_TEST_ROOT) only files are read: nothing is opened or tried that would be this machine's. Changes nothing anywhere.
 */
#include "doctor.h"

#include <dirent.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/io_uring.h>

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
	text_clean(process->user, sizeof(process->user), user ? user->pw_name : "",
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
	cards_kernel(machine->kernel, sizeof(machine->kernel));
	machine->has_iommu = has_iommu();
	doctor_module_gather(machine);
}

/* --- cards ---------------------------------------------------------------------------------------- */

/* The cards of the bus, in their order in facts->cards: gathered are those that were asked, for a serial number or for good */
struct gathering {
	struct doctor_facts *facts;
	struct card_list list;
};

static void gather_card(struct gathering *g, size_t index)
{
	struct doctor_card *card = &g->facts->cards[index];

	if (card->pci.pci[0])
		return;
	card->pci = g->list.cards[index];
	doctor_card_gather(&g->facts->machine, card);
}

static void names_of(const void *gathering, size_t index, const char **pci, const char **node)
{
	const struct gathering *g = gathering;

	*pci = g->list.cards[index].pci;
	*node = g->list.cards[index].node;
}

static const char *serial_of(void *gathering, size_t index)
{
	struct gathering *g = gathering;
	const struct doctor_open *open = &g->facts->cards[index].open;

	gather_card(g, index);
	return open->tried && !open->error ? open->info.serial : NULL;
}

static void gather_soft(struct doctor_card *card)
{
	struct aipu_message message = { "" };
	struct aipu_device *device;
	struct doctor_open *open = &card->open;

	*card = (struct doctor_card){ .soft = true };
	open->tried = true;
	open->error = aipu_device_open(&device, "soft", NULL, &message);
	snprintf(open->message, sizeof(open->message), "%s", message.text);
	if (open->error)
		return;
	open->error = aipu_device_query(device, &open->info);
	aipu_device_close(device);
}

/* Where there is no card at all, that is what the checks say. */
static int choose(struct gathering *g, const struct picks *picks, bool *chosen)
{
	const struct pick_list list = { g->list.count, g, names_of, serial_of, NULL };

	if (list.count)
		return picks_choose(SMI_TOOL, picks, &list, chosen);
	chosen[0] = picks_have_soft(picks);
	return CLI_OK;
}

static int gather_cards(struct gathering *g, const struct picks *picks)
{
	struct doctor_facts *facts = g->facts;
	bool *chosen = calloc(g->list.count + 1, sizeof(*chosen));
	int code;

	facts->cards = calloc(g->list.count + 1, sizeof(*facts->cards));
	if (chosen && facts->cards)
		code = choose(g, picks, chosen);
	else
		code = smi_fail(CLI_FAILED, "out of memory");
	for (size_t i = 0; !code && i <= g->list.count; i++) {
		if (!chosen[i])
			continue;
		if (i < g->list.count)
			gather_card(g, i);
		else
			gather_soft(&facts->cards[i]);
		facts->cards[facts->card_count++] = facts->cards[i];
	}
	free(chosen);
	return code;
}

static bool only_soft(const struct picks *picks)
{
	for (size_t i = 0; i < picks->count; i++)
		if (strcmp(picks->names[i], "soft") != 0)
			return false;
	return picks->count;
}

int doctor_gather(struct doctor_facts *facts, const struct picks *picks, const char *qpc)
{
	struct gathering g = { .facts = facts };
	int code;

	*facts = (struct doctor_facts){ .qpc.path = qpc, .only_soft = only_soft(picks) };
	if (qpc)
		doctor_qpc_gather(&facts->qpc);
	facts->machine.captured = cards_root()[0];
	gather_process(&facts->machine.process);
	if (!facts->only_soft) {
		gather_machine(&facts->machine);
		facts->machine.pci_error = cards_list(&g.list);
		facts->machine.pci_cards = g.list.count;
		cardlog_read(&facts->machine.log, &g.list);
	}
	code = gather_cards(&g, picks);
	cards_free(&g.list);
	return code;
}

void doctor_free(struct doctor_facts *facts)
{
	cardlog_free(&facts->machine.log);
	free(facts->cards);
	*facts = (struct doctor_facts){ 0 };
}
