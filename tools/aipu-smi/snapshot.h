/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of the cards at one moment: filled by collect.c or read from a file, shown by table.c, query.c, csv.c and
 * snapshot_json.c. Every field of a card stands once in the table of fields.c; what shows or reads cards goes through it, so a
 * new field is a line there.
 *
 * Texts in a snapshot are printable ASCII whatever a device or a file says (text_clean): they may go to a terminal.
 */
#ifndef AIPU_SMI_SNAPSHOT_H
#define AIPU_SMI_SNAPSHOT_H

#include <stdio.h>

#include "aipu/manage.h"
#include "slots.h"
#include "smi.h"
#include "snapfile.h"

#define SMI_SCHEMA_VERSION SNAPFILE_SCHEMA
#define SMI_UNKNOWN AIPU_UNKNOWN /* of a number; of a text: "" */

struct smi_card {
	/* the card */
	char time[32]; /* of the look at it, "2026-01-31T23:59:59Z" */
	int64_t index;
	char pci_address[32], node[32], state[48], problem[256], driver[32], driver_user_api[16];
	/* identity */
	char vendor[33], model[65], serial[33], board_id[16], pci_id[16], subsystem_id[16];
	int64_t revision;
	/* firmware */
	char firmware[65], firmware_version[20], firmware_source[16], rom_version[20];
	char slot_a_error[96], slot_b_error[96]; /* of `flash`, in words */
	int64_t rollback;
	char contract_in_use[16], contract_oldest[16], contract_newest[16];
	struct card_flash flash; /* in JSON only */
	/* resources */
	int64_t cores, max_lanes, max_queues, max_segments;
	/* memory */
	int64_t memory_total_bytes, memory_used_bytes, memory_free_bytes, memory_peak_mbs;
	/* sensors */
	int64_t temperature_mc, throttle_mc, shutdown_mc;
	int64_t power_mw, power_limit_mw, clock_mhz, clock_limit_mhz;
	char throttle[64];
	/* of the sample window */
	int64_t utilization_permille, memory_mbs;
	/* counters */
	int64_t running_jobs, busy_us, steps, longest_step_us, operations;
	int64_t memory_read_bytes, memory_written_bytes, energy_uj;
	int64_t corrected_errors, uncorrected_errors, ras_events, temperature_events;
	int64_t card_resets, resets;
	/* PCIe */
	int64_t link_generation, link_generation_max, link_width, link_width_max;
	char link_speed[33], link_speed_max[33];
	int64_t numa_node, iommu_group;
};

struct smi_snapshot {
	struct snapfile_head head;
	int64_t window_ms; /* between the two samples that rates come from */
	struct smi_card *cards;
	size_t count;
};

struct smi_field {
	const char *group; /* heading of -q */
	const char *name; /* of --csv; of -q with spaces for '_' */
	const char *unit; /* of --csv and -q; NULL: none */
	int64_t divisor; /* number of a snapshot / divisor = number in `unit` */
	int decimals; /* shown of that */
	struct field
		json; /* INTEGER or TEXT; its name has the unit of the number there; NULL: not in JSON */
};
extern const struct smi_field smi_fields[];
extern const size_t smi_field_count;

/* By the name of either; NULL: none */
const struct smi_field *smi_field_find(const char *name, size_t bytes);
int64_t smi_field_number(const struct smi_field *field, const struct smi_card *card);
const char *smi_field_text(const struct smi_field *field, const struct smi_card *card);
/* The value as people read it, without its unit; "" if unknown */
void smi_field_show(const struct smi_field *field, const struct smi_card *card, char *text,
		    size_t bytes);
/* The same for a number that is no field */
void smi_number_show(int64_t value, int64_t divisor, int decimals, char *text, size_t bytes);

/* What there is of its flash in words: slot_a_error, slot_b_error */
void smi_card_slots(struct smi_card *card);
/* Nothing is known of it */
void smi_card_clear(struct smi_card *card);
/* `count` cards that are cleared, and the time and versions of now; -ENOMEM */
int smi_snapshot_init(struct smi_snapshot *snapshot, size_t count);
void smi_snapshot_free(struct smi_snapshot *snapshot);

/* table.c: for people, the form may change. colour: with escapes for it */
void smi_table_write(FILE *out, const struct smi_snapshot *snapshot, bool colour);
/* One line a card, for a log; heading: with the names of its columns first */
void smi_lines_write(FILE *out, const struct smi_snapshot *snapshot, bool heading);

/* query.c: all fields, grouped, for people */
void smi_query_write(FILE *out, const struct smi_snapshot *snapshot);

/* csv.c. fields: as of smi_csv_fields(), `count` of them */
struct smi_csv {
	const struct smi_field **fields;
	size_t count;
	bool no_header, no_units;
};
/* list: "a,b", NULL: all. An exit code, after a message if it is none; fields is to be freed */
int smi_csv_fields(struct smi_csv *csv, const char *list);
void smi_csv_header(FILE *out, const struct smi_csv *csv);
void smi_csv_rows(FILE *out, const struct smi_csv *csv, const struct smi_snapshot *snapshot);

/* snapshot_json.c. 0 or -errno (-ENOMEM) */
int smi_json_write(FILE *out, const struct smi_snapshot *snapshot, bool one_line);
/* 0, or -EINVAL after a line in `why`. To be freed if 0 */
int smi_json_read(const char *text, size_t bytes, struct smi_snapshot *snapshot,
		  char why[FIELD_WHY]);

#endif
