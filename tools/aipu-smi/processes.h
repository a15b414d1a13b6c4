/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has cards open: what /proc says of all processes that may be looked into. Called by ps.c. */
#ifndef AIPU_SMI_PROCESSES_H
#define AIPU_SMI_PROCESSES_H

#include <sys/types.h>

#include "fdinfo.h"

/* A process on one card: the sum of its clients. One that several processes share is the first one's, by number. */
struct smi_process {
	pid_t pid;
	char name[64];
	struct smi_client sum; /* id is of the first client */
	int64_t clients;
	int64_t engine_before_ns; /* of the same clients in an earlier scan */
};

struct smi_process_list {
	struct smi_process *list; /* by pid, then as their files come */
	size_t count;
	size_t unreadable; /* processes that we may not look into */
	/* All clients of the scan */
	struct smi_owned_client {
		pid_t pid;
		struct smi_client client;
	} * clients;
	size_t client_count;
	double at_ms;
};

/* before: an earlier scan, or NULL. -errno: /proc cannot be read, or -ENOMEM. Our own process is left out. */
int smi_processes_scan(struct smi_process_list *now, const struct smi_process_list *before);
void smi_processes_free(struct smi_process_list *processes);

#endif
