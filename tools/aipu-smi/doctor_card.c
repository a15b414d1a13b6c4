// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Facts for doctor: one card. Its registers past the driver where none is bound, the firmware that the driver would load, its
 * node, and whether it answers. Registers are read only, and of those only such as change nothing.
 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "aipu/firmware.h"
#include "aipu_registers.h"

#define PCI_DEVICES "/sys/bus/pci/devices"
#define PCI_COMMAND_MEMORY 2u /* PCI 3.0, 6.2.2: the function answers at its BARs */

/* --- BAR0 ----------------------------------------------------------------------------------------- */

static void copy_registers(struct doctor_registers *registers, const volatile uint32_t *bar)
{
	const struct {
		uint32_t offset, *value;
	} wanted[] = {
		{ AIPU_REG_MAGIC, &registers->magic },
		{ AIPU_REG_ABI_NEWEST, &registers->abi_newest },
		{ AIPU_REG_ABI_OLDEST, &registers->abi_oldest },
		{ AIPU_REG_BOARD_ID, &registers->board },
		{ AIPU_REG_FIRMWARE_VERSION, &registers->firmware_version },
		{ AIPU_REG_ROLLBACK, &registers->rollback },
		{ AIPU_REG_SLOT_A_ERROR, &registers->slot_errors[0] },
		{ AIPU_REG_SLOT_B_ERROR, &registers->slot_errors[1] },
		{ AIPU_REG_STATUS, &registers->status },
		{ AIPU_REG_ERROR, &registers->error },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		*wanted[i].value = bar[wanted[i].offset / sizeof(*bar)];
}

/* Why the registers must not, or cannot, be read; NULL: they can */
static const char *registers_forbidden(const struct doctor_card *card)
{
	if (card->pci.driver[0])
		return "a driver is bound";
	if (card->pci.command == 0xffff)
		return "configuration space does not answer";
	if (!card->pci.bar_start[0] || card->pci.bar_bytes[0] < AIPU_PAGE_BYTES)
		return "BAR0 is not assigned";
	if (!(card->pci.command & PCI_COMMAND_MEMORY))
		return "the function is not enabled";
	if (card->power_state[0] && strcmp(card->power_state, "D0"))
		return "the function is in a low-power state";
	return NULL;
}

static bool has_driver(const char *pci)
{
	char path[PATH_MAX];

	cards_path(path, PCI_DEVICES "/%s/driver", pci);
	return !access(path, F_OK);
}

static void read_registers(struct doctor_card *card)
{
	struct doctor_registers *registers = &card->registers;
	const char *why = registers_forbidden(card);
	struct stat status;
	char path[PATH_MAX];
	void *bar;
	int fd;

	if (why) {
		snprintf(registers->unread, sizeof(registers->unread), "%s", why);
		return;
	}
	cards_path(path, PCI_DEVICES "/%s/resource0", card->pci.pci);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Beyond the end of a captured file there is nothing to read. */
	bar = fd >= 0 && !fstat(fd, &status) && status.st_size >= AIPU_PAGE_BYTES
		      ? mmap(NULL, AIPU_PAGE_BYTES, PROT_READ, MAP_SHARED, fd, 0)
		      : MAP_FAILED;
	if (bar == MAP_FAILED) {
		snprintf(registers->unread, sizeof(registers->unread), "BAR0: %s",
			 errno == EACCES || errno == EPERM ? "only root may read it"
							   : strerror(errno));
	} else {
		copy_registers(registers, bar);
		munmap(bar, AIPU_PAGE_BYTES);
	}
	if (fd >= 0)
		close(fd);
	/* Bound meanwhile: what was read may be anything. */
	if (has_driver(card->pci.pci))
		snprintf(registers->unread, sizeof(registers->unread),
			 "a driver was bound meanwhile");
}

/* --- the image in /lib/firmware ------------------------------------------------------------------- */

/* All checks of a boot ROM but the signature, whose key only it has */
static unsigned int image_fault(const void *data, size_t bytes,
				const struct aipu_firmware_header *header, uint32_t board)
{
	struct aipu_firmware_policy policy = {
		.board_id = board,
		.rollback = 0,
		.abi_oldest = header->abi_oldest,
		.abi_newest = header->abi_newest,
	};
	unsigned int fault = aipu_firmware_check(data, bytes, &policy);

	return fault == AIPU_ERROR_FIRMWARE_SIGNATURE ? AIPU_ERROR_NONE : fault;
}

static void look_into_image(struct doctor_image *image)
{
	char *data;
	size_t bytes;

	image->changed = doctor_changed(image->file.real);
	data = doctor_read(image->file.real, AIPU_FIRMWARE_MAX_BYTES, &bytes);
	if (!data) {
		image->error = errno;
		return;
	}
	if (bytes >= sizeof(image->header))
		memcpy(&image->header, data, sizeof(image->header));
	image->fault = image_fault(data, bytes, &image->header, image->board);
	free(data);
}

static void find_image(struct doctor_image *image)
{
	if (!hostimage_find(&image->file, image->board))
		image->error = ENOENT;
	else if (!image->file.compressed)
		look_into_image(image);
}

static void gather_image(const struct doctor_machine *machine, struct doctor_card *card)
{
	const char *reason = cardlog_reason(&machine->log, card->pci.pci);
	struct doctor_image *image = &card->image;
	char path[PATH_MAX];

	cards_path(path, "/lib/firmware/aipu");
	image->any = !access(path, F_OK);
	if (!card->registers.unread[0] && card->registers.magic == AIPU_MAGIC)
		image->board = card->registers.board;
	else if (reason)
		image->board = cardlog_board(reason);
	if (image->board)
		find_image(image);
}

/* --- the node ------------------------------------------------------------------------------------- */

/* From the machine's own list where it is a captured one; of a directory of names (LDAP) else */
static bool group_entry(gid_t group, const char *user, char *name, size_t bytes)
{
	const struct group *entry = NULL;
	char path[PATH_MAX];
	FILE *list = NULL;
	bool listed = false;

	if (cards_root()[0]) {
		cards_path(path, "/etc/group");
		list = fopen(path, "re");
		while (list && (entry = fgetgrent(list)) && entry->gr_gid != group)
			;
	} else {
		entry = getgrgid(group);
	}
	text_clean(name, bytes, entry ? entry->gr_name : "", bytes);
	for (char **member = entry ? entry->gr_mem : NULL; member && *member; member++)
		listed = listed || !strcmp(*member, user);
	if (list)
		fclose(list);
	return listed;
}

static bool process_in(gid_t group)
{
	gid_t groups[1024];
	int count = getgroups(1024, groups);
	bool in = getegid() == group;

	for (int i = 0; i < count; i++)
		in = in || groups[i] == group;
	return in;
}

static void gather_node(const struct doctor_machine *machine, struct doctor_card *card)
{
	struct doctor_node *node = &card->node;
	char path[PATH_MAX], line[32];
	struct stat status;

	node->want_major = node->want_minor = DOCTOR_UNKNOWN;
	if (!card->pci.node[0])
		return;
	if (cards_read_line(line, sizeof(line), PCI_DEVICES "/%s/accel/%s/dev", card->pci.pci,
			    strrchr(card->pci.node, '/') + 1) &&
	    sscanf(line, "%d:%d", &node->want_major, &node->want_minor) != 2)
		node->want_major = node->want_minor = DOCTOR_UNKNOWN;
	cards_path(path, "%s", card->pci.node);
	if (stat(path, &status)) {
		node->error = errno;
		return;
	}
	/* A captured machine has a file in its place. */
	node->is_device = S_ISCHR(status.st_mode) || cards_root()[0];
	node->major = S_ISCHR(status.st_mode) ? major(status.st_rdev) : 0;
	node->minor = S_ISCHR(status.st_mode) ? minor(status.st_rdev) : 0;
	if (!S_ISCHR(status.st_mode))
		node->want_major = node->want_minor = DOCTOR_UNKNOWN;
	node->mode = status.st_mode & 07777;
	node->owner = status.st_uid;
	node->group = status.st_gid;
	node->access_error = faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) ? errno : 0;
	node->in_group = process_in(status.st_gid);
	node->listed_in_group = group_entry(status.st_gid, machine->process.user, node->group_name,
					    sizeof(node->group_name));
}

/* --- does it answer ------------------------------------------------------------------------------- */

static void open_card(struct doctor_card *card)
{
	struct aipu_message message = { "" };
	struct aipu_device *device;
	struct doctor_open *open = &card->open;

	if (cards_root()[0] || !card->pci.node[0] || card->node.error || card->node.access_error)
		return;
	open->tried = true;
	open->error = aipu_device_open(&device, card->pci.pci, NULL, &message);
	text_clean(open->message, sizeof(open->message), message.text, sizeof(message.text));
	if (open->error)
		return;
	open->error = aipu_device_query(device, &open->info);
	if (open->error)
		snprintf(open->message, sizeof(open->message), "the driver's query: %s",
			 strerror(-open->error));
	open->telemetry_error = aipu_device_telemetry(device, &open->telemetry);
	aipu_device_close(device);
}

void doctor_card_gather(const struct doctor_machine *machine, struct doctor_card *card)
{
	const char *pci = card->pci.pci;

	cards_read_line(card->override, sizeof(card->override), PCI_DEVICES "/%s/driver_override",
			pci);
	/* What was never set, or taken back, reads so. */
	if (!strcmp(card->override, "(null)"))
		card->override[0] = '\0';
	cards_read_line(card->power_state, sizeof(card->power_state), PCI_DEVICES "/%s/power_state",
			pci);
	if (!strcmp(card->power_state, "unknown"))
		card->power_state[0] = '\0';
	read_registers(card);
	gather_image(machine, card);
	gather_node(machine, card);
	open_card(card);
}
