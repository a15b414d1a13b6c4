// SPDX-License-Identifier: GPL-2.0-or-later
/* See processes.h. A process may end while it is looked at: what is gone is left out. */
#include "processes.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cards.h"
#include "snapshot.h"

#define FDINFO_BYTES 4096

static const struct smi_client *earlier(const struct smi_process_list *before, pid_t pid,
					const struct smi_client *client)
{
	for (size_t i = 0; before && i < before->client_count; i++) {
		const struct smi_owned_client *c = &before->clients[i];

		if (c->pid == pid && c->client.id == client->id &&
		    !strcmp(c->client.pci, client->pci))
			return &c->client;
	}
	return NULL;
}

static bool is_seen(const struct smi_process_list *p, const struct smi_client *client)
{
	for (size_t i = 0; i < p->client_count; i++)
		if (p->clients[i].client.id == client->id &&
		    !strcmp(p->clients[i].client.pci, client->pci))
			return true;
	return false;
}

static void sum(int64_t *to, int64_t more)
{
	if (*to == SMI_UNKNOWN || more == SMI_UNKNOWN || __builtin_add_overflow(*to, more, to))
		*to = SMI_UNKNOWN;
}

/* The process's row for that card: one of its own if there is none yet; NULL: out of memory */
static struct smi_process *row_of(struct smi_process_list *p, pid_t pid,
				  const struct smi_client *client)
{
	struct smi_process *row;
	char name[64];

	for (size_t i = 0; i < p->count; i++)
		if (p->list[i].pid == pid && !strcmp(p->list[i].sum.pci, client->pci))
			return &p->list[i];
	row = realloc(p->list, (p->count + 1) * sizeof(*row));
	if (!row)
		return NULL;
	p->list = row;
	row += p->count++;
	memset(row, 0, sizeof(*row));
	row->pid = pid;
	row->sum.id = client->id;
	snprintf(row->sum.pci, sizeof(row->sum.pci), "%s", client->pci);
	if (cards_read_line(name, sizeof(name), "/proc/%d/comm", pid))
		text_clean(row->name, sizeof(row->name), name, sizeof(name));
	return row;
}

static int count_client(struct smi_process_list *p, pid_t pid, const struct smi_client *client,
			const struct smi_process_list *before)
{
	const struct smi_client *old = earlier(before, pid, client);
	struct smi_owned_client *more;
	struct smi_process *row;

	if (is_seen(p, client))
		return 0;
	more = realloc(p->clients, (p->client_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	p->clients = more;
	more[p->client_count++] = (struct smi_owned_client){ pid, *client };
	row = row_of(p, pid, client);
	if (!row)
		return -ENOMEM;
	row->clients++;
	sum(&row->sum.engine_ns, client->engine_ns);
	sum(&row->sum.jobs, client->jobs);
	sum(&row->sum.device_bytes, client->device_bytes);
	sum(&row->sum.device_resident_bytes, client->device_resident_bytes);
	sum(&row->sum.device_kv_bytes, client->device_kv_bytes);
	sum(&row->sum.host_bytes, client->host_bytes);
	sum(&row->sum.host_resident_bytes, client->host_resident_bytes);
	sum(&row->sum.host_kv_bytes, client->host_kv_bytes);
	/* One that was opened since then began with nothing */
	sum(&row->engine_before_ns, old ? old->engine_ns : 0);
	return 0;
}

static bool read_fdinfo(pid_t pid, const char *fd, struct smi_client *client)
{
	char path[PATH_MAX], text[FDINFO_BYTES];
	ssize_t bytes;
	int file;

	cards_path(path, "/proc/%d/fdinfo/%s", pid, fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	bytes = read(file, text, sizeof(text));
	close(file);
	return bytes > 0 && smi_fdinfo_parse(text, (size_t)bytes, client);
}

/* Most files are no cards: their names tell, and cost less than what the kernel knows of them */
static bool is_card_node(pid_t pid, const char *fd)
{
	static const char nodes[] = "/dev/accel/";
	char path[PATH_MAX], target[64];
	ssize_t bytes;

	cards_path(path, "/proc/%d/fd/%s", pid, fd);
	bytes = readlink(path, target, sizeof(target));
	return bytes >= (ssize_t)sizeof(nodes) && !memcmp(target, nodes, sizeof(nodes) - 1);
}

static int scan_process(struct smi_process_list *p, pid_t pid,
			const struct smi_process_list *before)
{
	const struct dirent *entry;
	struct smi_client client;
	char path[PATH_MAX];
	DIR *directory;
	int err = 0;

	cards_path(path, "/proc/%d/fd", pid);
	directory = opendir(path);
	if (!directory) {
		p->unreadable += errno == EACCES || errno == EPERM;
		return 0;
	}
	while (!err && (entry = readdir(directory))) {
		if (isdigit((unsigned char)entry->d_name[0]) && is_card_node(pid, entry->d_name) &&
		    read_fdinfo(pid, entry->d_name, &client))
			err = count_client(p, pid, &client, before);
	}
	closedir(directory);
	return err;
}

static int is_process(const struct dirent *entry)
{
	size_t bytes = strlen(entry->d_name);

	return bytes < 10 && strspn(entry->d_name, "0123456789") == bytes;
}

static int by_number(const struct dirent **a, const struct dirent **b)
{
	return atoi((*a)->d_name) - atoi((*b)->d_name);
}

int smi_processes_scan(struct smi_process_list *now, const struct smi_process_list *before)
{
	struct dirent **entries;
	char path[PATH_MAX];
	int count, err = 0;

	memset(now, 0, sizeof(*now));
	cards_path(path, "/proc");
	count = scandir(path, &entries, is_process, by_number);
	if (count < 0)
		return -errno;
	now->at_ms = cli_now_ms();
	for (int i = 0; i < count; i++) {
		pid_t pid = atoi(entries[i]->d_name);

		/* Of a captured machine, our number may be another's */
		if (!err && (pid != getpid() || cards_root()[0]))
			err = scan_process(now, pid, before);
		free(entries[i]);
	}
	free(entries);
	if (err)
		smi_processes_free(now);
	return err;
}

void smi_processes_free(struct smi_process_list *processes)
{
	free(processes->list);
	free(processes->clients);
	memset(processes, 0, sizeof(*processes));
}
