// SPDX-License-Identifier: MIT
/*
 * Interrupts: one eventfd a vector, given by the client and written by the model's threads. The message thread
 * sets and clears; the lock is held for one write at most, so that no eventfd is closed under a raise. A raise
 * never waits: a counter that is full already says all that it could say.
 */
#include "emu.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct emu_irq {
	pthread_mutex_t lock;
	bool open;
	unsigned int vectors;
	unsigned int there; /* one past the last vector that is set */
	int fd[]; /* -1: not set */
};

int emu_irq_create(unsigned int vectors, struct emu_irq **out)
{
	struct emu_irq *irq = calloc(1, sizeof(*irq) + vectors * sizeof(irq->fd[0]));

	if (!irq)
		return -ENOMEM;
	pthread_mutex_init(&irq->lock, NULL);
	irq->vectors = vectors;
	for (unsigned int i = 0; i < vectors; i++)
		irq->fd[i] = -1;
	*out = irq;
	return 0;
}

void emu_irq_destroy(struct emu_irq *irq)
{
	if (!irq)
		return;
	emu_irq_clear(irq);
	pthread_mutex_destroy(&irq->lock);
	free(irq);
}

static void replace(struct emu_irq *irq, unsigned int vector, int fd)
{
	if (irq->fd[vector] >= 0)
		close(irq->fd[vector]);
	irq->fd[vector] = fd;
}

int emu_irq_set(struct emu_irq *irq, unsigned int vector, int fd)
{
	if (vector >= irq->vectors) {
		if (fd >= 0)
			close(fd);
		return -EINVAL;
	}
	pthread_mutex_lock(&irq->lock);
	replace(irq, vector, fd < 0 ? -1 : fd);
	irq->there = irq->vectors;
	while (irq->there && irq->fd[irq->there - 1] < 0)
		irq->there--;
	pthread_mutex_unlock(&irq->lock);
	return 0;
}

void emu_irq_clear(struct emu_irq *irq)
{
	pthread_mutex_lock(&irq->lock);
	for (unsigned int i = 0; i < irq->vectors; i++)
		replace(irq, i, -1);
	irq->there = 0;
	pthread_mutex_unlock(&irq->lock);
}

void emu_irq_gate(struct emu_irq *irq, bool open)
{
	pthread_mutex_lock(&irq->lock);
	irq->open = open;
	pthread_mutex_unlock(&irq->lock);
}

/* The eventfd is the client's too and may be a blocking one, which a write to a full counter would wait for */
static void signal_fd(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	uint64_t one = 1;

	while (poll(&ready, 1, 0) < 0 && errno == EINTR)
		;
	if (ready.revents & POLLOUT && write(fd, &one, sizeof(one)) < 0)
		return; /* filled meanwhile, or closed at the other end: nobody to tell */
}

bool emu_irq_raise(struct emu_irq *irq, unsigned int vector)
{
	bool raised = false;

	pthread_mutex_lock(&irq->lock);
	if (irq->open && irq->there) {
		int fd = irq->fd[vector < irq->there ? vector : vector % irq->there];

		raised = fd >= 0;
		if (raised)
			signal_fd(fd);
	}
	pthread_mutex_unlock(&irq->lock);
	return raised;
}
