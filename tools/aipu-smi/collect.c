// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From an open card to what a snapshot says of it. Rates come from two samples. A value that the device, the driver or sysfs does
 * not know stays unknown; nothing is made up of another one.
 */
#include "devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aipu_registers.h"
#include "aipu_types.h"

/* Of a card whose steps are shorter than a reading none settles: then one step more or less is of no weight */
#define SETTLE_READINGS 5

/* A member of a card from bytes that need not end with zero */
#define TAKE(to, from) text_clean(to, sizeof(to), from, sizeof(from))

/*
 * A driver reads counters one after another, and a step that ends in between is in some and not in others: a card with bandwidth
 * and no work. The number of steps is read last; if it is as the reading before left it, all of this one is of one moment.
 */
void smi_settle(struct smi_sample *sample,
		int (*reading)(struct aipu_device *device, struct aipu_telemetry *telemetry),
		struct aipu_device *device)
{
	int64_t steps = SMI_UNKNOWN;

	for (int i = 0; i < SETTLE_READINGS; i++) {
		sample->at_ms = cli_now_ms();
		sample->telemetry_error = reading(device, &sample->telemetry);
		if (sample->telemetry_error || sample->telemetry.steps == SMI_UNKNOWN ||
		    (i && sample->telemetry.steps == steps))
			return;
		steps = sample->telemetry.steps;
	}
}

void smi_sample(const struct smi_device *device, struct smi_sample *sample)
{
	memset(sample, 0, sizeof(*sample));
	sample->info_error = sample->telemetry_error = -ENODEV;
	sample->at_ms = cli_now_ms();
	if (!device->device) {
		snprintf(sample->state, sizeof(sample->state), "%s", device->state);
		return;
	}
	sample->off_the_bus = !device->soft && smi_off_the_bus(&device->card);
	if (sample->off_the_bus)
		return;
	sample->info_error = aipu_device_query(device->device, &sample->info);
	/* The driver has let go of it, though sysfs may still name it */
	if (sample->info_error == -ENODEV)
		snprintf(sample->state, sizeof(sample->state), "no driver");
	smi_settle(sample, aipu_device_telemetry, device->device);
}

int smi_state_code(const struct smi_device *device, const struct smi_sample *sample)
{
	if (!device->device)
		return device->code;
	if (sample->info_error == -ENODEV && !sample->off_the_bus)
		return SMI_NO_DRIVER;
	if (sample->info_error || sample->info.state == AIPU_DEVICE_WEDGED)
		return SMI_NOT_ANSWERING;
	return CLI_OK;
}

/* --- of the bus ---------------------------------------------------------------------------------- */

/* "16.0 GT/s PCIe" is generation 4 */
static int64_t generation(const char *speed)
{
	static const char *const speeds[] = { "2.5 ", "5.0 ", "8.0 ", "16.0 ", "32.0 ", "64.0 " };

	for (size_t i = 0; i < sizeof(speeds) / sizeof(speeds[0]); i++)
		if (!strncmp(speed, speeds[i], strlen(speeds[i])))
			return (int64_t)i + 1;
	return SMI_UNKNOWN;
}

static int64_t known(int64_t value, int64_t unknown)
{
	return value == unknown ? SMI_UNKNOWN : value;
}

static void describe_bus(const struct card *from, struct smi_card *card)
{
	card->index = known(from->index, -1);
	TAKE(card->pci_address, from->pci);
	TAKE(card->node, from->node);
	TAKE(card->driver, from->driver);
	snprintf(card->pci_id, sizeof(card->pci_id), "%04x:%04x", from->vendor, from->device);
	if (from->command == 0xffff)
		return;
	snprintf(card->subsystem_id, sizeof(card->subsystem_id), "%04x:%04x",
		 from->subsystem_vendor, from->subsystem_device);
	card->revision = from->revision;
	card->link_generation = generation(from->link_speed);
	card->link_generation_max = generation(from->link_speed_max);
	card->link_width = known(from->link_width, 0);
	card->link_width_max = known(from->link_width_max, 0);
	TAKE(card->link_speed, from->link_speed);
	TAKE(card->link_speed_max, from->link_speed_max);
	card->numa_node = known(from->numa_node, -1);
	card->iommu_group = known(from->iommu_group, -1);
}

/* --- of the device ------------------------------------------------------------------------------- */

static void describe_firmware(const struct aipu_device_info *info, struct smi_card *card)
{
	TAKE(card->firmware, info->firmware);
	if (info->firmware_version)
		text_version(card->firmware_version, info->firmware_version);
	if (info->rom_version)
		text_version(card->rom_version, info->rom_version);
	for (uint32_t i = 0; source_words[i]; i++)
		if (i == info->boot_source)
			snprintf(card->firmware_source, sizeof(card->firmware_source), "%s",
				 source_words[i]);
	/* The boot ROM that tells its version tells its counter too */
	if (info->rom_version)
		card->rollback = info->rollback;
	if (info->abi_in_use)
		text_abi(card->contract_in_use, info->abi_in_use);
	if (info->abi_oldest)
		text_abi(card->contract_oldest, info->abi_oldest);
	if (info->abi_newest)
		text_abi(card->contract_newest, info->abi_newest);
}

/* What it keeps; that a driver is too old to tell is not the same as nothing */
static void describe_flash(struct aipu_device *device, const struct aipu_device_info *info,
			   struct smi_card *card)
{
	struct aipu_flash_info flash;
	int err = aipu_flash_query(device, &flash);

	if (!err)
		slots_take(&card->flash, info, &flash);
	else if (err == -EOPNOTSUPP && !(info->capabilities & AIPU_CAP_FLASH))
		slots_take(&card->flash, info, NULL);
	smi_card_slots(card);
}

static void describe_info(const struct aipu_device_info *info, struct smi_card *card)
{
	static const char *const states[] = { "ready", "resetting", "wedged" };

	snprintf(card->state, sizeof(card->state), "%s",
		 info->state < sizeof(states) / sizeof(states[0]) ? states[info->state]
								  : "unknown");
	if (info->state == AIPU_DEVICE_WEDGED)
		snprintf(
			card->problem, sizeof(card->problem),
			"it did not come back from a reset: aipu-smi doctor says why and what to do");
	TAKE(card->vendor, info->vendor);
	TAKE(card->model, info->model);
	TAKE(card->serial, info->serial);
	if (info->board_id)
		snprintf(card->board_id, sizeof(card->board_id), "0x%08x", info->board_id);
	if (info->driver_version)
		text_abi(card->driver_user_api, info->driver_version);
	describe_firmware(info, card);
	card->cores = known(info->cores, 0);
	card->max_lanes = known(info->max_lanes, 0);
	card->max_queues = known(info->max_queues, 0);
	card->max_segments = known(info->max_segments, 0);
	if (info->memory_bytes <= INT64_MAX)
		card->memory_total_bytes = (int64_t)info->memory_bytes;
	if (info->memory_free <= INT64_MAX)
		card->memory_free_bytes = (int64_t)info->memory_free;
	if (info->memory_bytes <= INT64_MAX && info->memory_free <= info->memory_bytes)
		card->memory_used_bytes = (int64_t)(info->memory_bytes - info->memory_free);
}

void smi_throttle_text(char *text, size_t bytes, int64_t bits)
{
	int64_t others = bits & ~(int64_t)(AIPU_THROTTLE_TEMPERATURE | AIPU_THROTTLE_POWER);

	text[0] = '\0';
	if (bits == SMI_UNKNOWN)
		return;
	snprintf(text, bytes, "%s%s%s", bits & AIPU_THROTTLE_TEMPERATURE ? "temperature" : "",
		 (bits & 3) == 3 ? " and " : "", bits & AIPU_THROTTLE_POWER ? "power" : "");
	if (others)
		snprintf(text + strlen(text), bytes - strlen(text), "%sreasons 0x%llx",
			 text[0] ? " and " : "", (unsigned long long)others);
	if (!text[0])
		snprintf(text, bytes, "none");
}

static void describe_telemetry(const struct aipu_telemetry *t, struct smi_card *card)
{
	card->temperature_mc = t->temperature_mc;
	card->throttle_mc = t->throttle_mc;
	card->shutdown_mc = t->shutdown_mc;
	card->power_mw = t->power_mw;
	card->power_limit_mw = t->power_limit_mw;
	card->clock_mhz = t->clock_mhz;
	card->clock_limit_mhz = t->clock_limit_mhz;
	smi_throttle_text(card->throttle, sizeof(card->throttle), t->throttle);
	card->memory_peak_mbs = t->memory_peak_mbs;
	card->running_jobs = t->running_jobs;
	card->busy_us = t->busy_us;
	card->steps = t->steps;
	card->longest_step_us = t->longest_step_us;
	card->operations = t->operations;
	card->memory_read_bytes = t->memory_read_bytes;
	card->memory_written_bytes = t->memory_written_bytes;
	card->energy_uj = t->energy_uj;
	card->corrected_errors = t->corrected_errors;
	card->uncorrected_errors = t->uncorrected_errors;
	card->ras_events = t->ras_events;
	card->temperature_events = t->temperature_events;
	card->card_resets = t->card_resets;
}

/* --- rates --------------------------------------------------------------------------------------- */

/* What a counter grew by; unknown if it began anew */
static int64_t growth(int64_t before, int64_t now)
{
	if (before == SMI_UNKNOWN || now == SMI_UNKNOWN || now < before)
		return SMI_UNKNOWN;
	return now - before;
}

static void describe_rates(const struct smi_sample *before, const struct smi_sample *now,
			   struct smi_card *card)
{
	const struct aipu_telemetry *a = &before->telemetry, *b = &now->telemetry;
	double ms = now->at_ms - before->at_ms;
	int64_t busy = growth(a->busy_us, b->busy_us);
	int64_t read = growth(a->memory_read_bytes, b->memory_read_bytes);
	int64_t written = growth(a->memory_written_bytes, b->memory_written_bytes);

	if (ms <= 0)
		return;
	if (busy != SMI_UNKNOWN) {
		/* The two clocks are read one after the other: a little over is full */
		card->utilization_permille = (int64_t)((double)busy / ms + 0.5);
		if (card->utilization_permille > 1000)
			card->utilization_permille = 1000;
	}
	if (read != SMI_UNKNOWN && written != SMI_UNKNOWN)
		card->memory_mbs = (int64_t)(((double)read + (double)written) / ms / 1e3 + 0.5);
}

/* --- all ----------------------------------------------------------------------------------------- */

static void describe_lost(const struct smi_sample *sample, struct smi_card *card)
{
	snprintf(card->state, sizeof(card->state), "%s",
		 sample->state[0] ? sample->state : "not responding");
	if (sample->state[0])
		snprintf(card->problem, sizeof(card->problem), "its driver has just let go of it");
	else if (sample->off_the_bus)
		snprintf(card->problem, sizeof(card->problem), SMI_OFF_THE_BUS);
	else
		snprintf(card->problem, sizeof(card->problem), "it does not tell what it is: %s",
			 strerror(-sample->info_error));
}

void smi_describe(const struct smi_device *device, const struct smi_sample *before,
		  const struct smi_sample *now, struct smi_card *card)
{
	smi_card_clear(card);
	if (!device->soft)
		describe_bus(&device->card, card);
	if (!device->device) {
		TAKE(card->state, device->state);
		TAKE(card->problem, device->problem);
		return;
	}
	if (now->info_error) {
		describe_lost(now, card);
		return;
	}
	describe_info(&now->info, card);
	card->resets = now->info.resets;
	if (now->telemetry_error) {
		if (!card->problem[0])
			snprintf(card->problem, sizeof(card->problem), "no telemetry: %s",
				 now->telemetry_error == -EOPNOTSUPP
					 ? "the driver is too old for it"
					 : strerror(-now->telemetry_error));
		return;
	}
	describe_telemetry(&now->telemetry, card);
	if (before && !before->info_error && !before->telemetry_error)
		describe_rates(before, now, card);
}

int smi_collect(const struct smi_devices *devices, const struct smi_sample *before,
		struct smi_sample *now, struct smi_snapshot *snapshot)
{
	double longest = 0;

	for (size_t i = 0; i < devices->count; i++)
		smi_sample(&devices->list[i], &now[i]);
	if (smi_snapshot_init(snapshot, devices->count))
		return -ENOMEM;
	for (size_t i = 0; i < devices->count; i++) {
		smi_describe(&devices->list[i], before ? &before[i] : NULL, &now[i],
			     &snapshot->cards[i]);
		if (devices->list[i].device && !now[i].info_error)
			describe_flash(devices->list[i].device, &now[i].info, &snapshot->cards[i]);
		TAKE(snapshot->cards[i].time, snapshot->head.time);
		if (before && now[i].at_ms - before[i].at_ms > longest)
			longest = now[i].at_ms - before[i].at_ms;
	}
	if (before)
		snapshot->window_ms = (int64_t)(longest + 0.5);
	return 0;
}
