// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * aipu-smi report: gathers, takes out what is private, writes one file that only its owner may read. Opens cards as doctor
 * does, and changes nothing.
 */
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char head[] =
	"AIPU report, format 1\n"
	"\n"
	"Read this file before you send it. It has: versions, machine and settings, the cards with\n"
	"the bridges above them, what aipu-smi --json and aipu-smi doctor say, the kernel's log of the\n"
	"driver and of the cards, coredumps by name. Names of host and users, home directories, IP\n"
	"and MAC addresses and serial numbers were taken out: [host], [domain], [user], [home], [ip],\n"
	"[mac], [serial]. Look whether anything else is private to you.\n";

struct arguments {
	const char *file; /* NULL: a name with the time; "-": stdout */
	bool force;
};

static int take_arguments(int argc, char **argv, struct arguments *arguments)
{
	enum { OPT_FORCE = 256 };
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "force", no_argument, NULL, OPT_FORCE },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, ":o:h", options, NULL)) != -1) {
		if (c == 'o')
			arguments->file = optarg;
		else if (c == OPT_FORCE)
			arguments->force = true;
		else if (c == 'h')
			smi_help();
		else
			return smi_bad_option(c, argv);
	}
	if (optind < argc)
		return smi_fail(CLI_USAGE, "%s: unexpected '%s'; see aipu-smi --help", argv[0],
				argv[optind]);
	if (arguments->file && !arguments->file[0])
		return smi_fail(CLI_USAGE, "-o '': a file is expected, or - for standard output");
	return CLI_OK;
}

/* --- the text ------------------------------------------------------------------------------------- */

static void add_serials(const struct doctor_facts *facts, struct redact *redact)
{
	for (size_t i = 0; i < facts->card_count; i++) {
		const char *serial = facts->cards[i].open.info.serial;

		/* All zeros is no number, and stands in many places. */
		if (serial[strspn(serial, "0")])
			redact_add(redact, serial, "[serial]");
	}
}

/* The whole report, to be freed; NULL: out of memory */
static char *make_text(const struct doctor_facts *facts)
{
	struct redact redact = { 0 };
	char *text = NULL, *clean = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	if (!out)
		return NULL;
	report_sections(facts, out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	redact_machine(&redact);
	add_serials(facts, &redact);
	if (!redact.failed)
		clean = redact_text(&redact, text, bytes);
	redact_free(&redact);
	free(text);
	return clean;
}

/* --- the file ------------------------------------------------------------------------------------- */

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t count = write(fd, text, left);

		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0)
			return -errno;
		text += count;
		left -= (size_t)count;
	}
	return 0;
}

/* A new file, of its owner only, under a name of its own until it is whole */
static int write_file(const char *path, const char *text)
{
	int err, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	err = fchmod(fd, 0600) ? -errno : 0;
	err = err ? err : write_all(fd, head);
	err = err ? err : write_all(fd, text);
	if (close(fd) && !err)
		err = -errno;
	if (err)
		unlink(path);
	return err;
}

/* Over a regular file or nothing, whole or not at all */
static int replace_file(const char *path, const char *text)
{
	struct stat status;
	char *part;
	int err;

	if (!lstat(path, &status) && !S_ISREG(status.st_mode))
		return -EEXIST;
	if (asprintf(&part, "%s.part.%ld", path, (long)getpid()) < 0)
		return -ENOMEM;
	err = write_file(part, text);
	if (!err && rename(part, path)) {
		err = -errno;
		unlink(part);
	}
	free(part);
	return err;
}

static int deliver(const struct arguments *arguments, const char *text)
{
	char name[64];
	const char *file = arguments->file ? arguments->file : name;
	time_t now = time(NULL);
	struct tm parts;
	int err;

	if (!strcmp(file, "-")) {
		fputs(head, stdout);
		fputs(text, stdout);
		return CLI_OK;
	}
	strftime(name, sizeof(name), "aipu-report-%Y%m%d-%H%M%S.txt", gmtime_r(&now, &parts));
	err = arguments->force ? replace_file(file, text) : write_file(file, text);
	if (err == -EEXIST)
		return smi_fail(CLI_FAILED, "%s: is there already%s", file,
				arguments->force ? ", and no regular file"
						 : ": another name or --force is expected");
	if (err)
		return smi_fail(cli_exit_code(err), "%s: %s", file, strerror(-err));
	fprintf(stderr,
		SMI_TOOL
		": %s: written: versions, machine, settings, cards, findings, the driver's "
		"kernel log; names and addresses were taken out: read it before you send it\n",
		file);
	return CLI_OK;
}

int smi_report(int argc, char **argv)
{
	static const struct picks all = { .count = 0 };
	struct arguments arguments = { 0 };
	struct doctor_facts facts;
	int code = take_arguments(argc, argv, &arguments);
	char *text;

	if (code)
		return code;
	code = doctor_gather(&facts, &all, NULL);
	if (!code) {
		text = make_text(&facts);
		code = text ? deliver(&arguments, text) : smi_fail(CLI_FAILED, "out of memory");
		free(text);
	}
	doctor_free(&facts);
	return code;
}
