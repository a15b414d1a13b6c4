// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * For commands that go on: which cards are there now, and which of them have a driver. A card is who it was by its PCI address; a
 * file of a driver that let go of it is no use any more, whatever comes after (-ENODEV for ever).
 */
#include "devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct card *find(const struct card_list *list, const char *pci)
{
	for (size_t i = 0; i < list->count; i++)
		if (!strcmp(list->cards[i].pci, pci))
			return &list->cards[i];
	return NULL;
}

/* A card that was bound anew has another node, since we have the old one open */
static bool has_same_driver(const struct card *a, const struct card *b)
{
	return !strcmp(a->driver, b->driver) && !strcmp(a->node, b->node);
}

/* Closes what is open; what it is now, smi_card_open() says */
static void close_card(struct smi_device *d)
{
	aipu_device_close(d->device);
	d->device = NULL;
	d->state[0] = d->problem[0] = '\0';
	d->code = CLI_OK;
}

static void look_again(struct smi_device *d, const struct smi_sample *last, const struct card *now)
{
	if (d->soft)
		return;
	if (!now) {
		close_card(d);
		smi_card_gone(d);
		return;
	}
	/* One that answers stays open, and so does one that is only silent */
	if (d->device && has_same_driver(&d->card, now) &&
	    (last->info_error != -ENODEV || last->off_the_bus))
		return;
	if (!d->device && d->code == SMI_NOT_ANSWERING && has_same_driver(&d->card, now) &&
	    d->card.command == now->command)
		return;
	close_card(d);
	d->card = *now;
	smi_card_open(d);
}

/* A card that nobody named, and that was not there before, with a last look at it that saw nothing */
static int append(struct smi_devices *devices, struct smi_sample **last, const struct card *card)
{
	size_t count = devices->count;
	struct smi_device *list = realloc(devices->list, (count + 1) * sizeof(*list));
	struct smi_sample *samples;

	if (!list)
		return -ENOMEM;
	devices->list = list;
	samples = realloc(*last, (count + 1) * sizeof(*samples));
	if (!samples)
		return -ENOMEM;
	*last = samples;
	list[count] = (struct smi_device){ .card = *card };
	smi_sample(&list[count], &samples[count]);
	smi_card_open(&list[count]);
	devices->count++;
	return 0;
}

int smi_devices_again(struct smi_devices *devices, struct smi_sample **last, bool all)
{
	struct card_list list;
	int err = 0;

	/* A bus that cannot be read now is no reason to give anything up */
	if (cards_list(&list))
		return 0;
	for (size_t i = 0; i < devices->count; i++)
		look_again(&devices->list[i], &(*last)[i], find(&list, devices->list[i].card.pci));
	for (size_t i = 0; all && !err && i < list.count; i++) {
		bool known = false;

		for (size_t j = 0; j < devices->count; j++)
			known = known || !strcmp(devices->list[j].card.pci, list.cards[i].pci);
		if (!known)
			err = append(devices, last, &list.cards[i]);
	}
	cards_free(&list);
	return err;
}
