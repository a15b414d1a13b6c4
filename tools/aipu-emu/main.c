// SPDX-License-Identifier: MIT
/*
 * aipu-emu: the device model as a PCIe function, for QEMU's vfio-user-pci. The command line, the socket, signals; clients
 * are served one after another, each by session.c. Exit codes: 0 ended by SIGTERM, 1 failed, 2 usage, 4 no permission,
 * 130 ended by SIGINT.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aipu_types.h"
#include "cli.h"
#include "aipu/flash_file.h"
#include "emu.h"
#include "listen.h"

#define TOOL "aipu-emu"

#define MIB (1ull << 20)
#define DEFAULT_MEMORY (1024 * MIB)
#define MAX_MEMORY (16384 * MIB)
#define MAX_CORES 256u
#define MAX_QUEUES 1022u
#define MAX_VECTORS 2048u
#define DEFAULT_POLL_US 200u
#define MAX_POLL_US 10000000u

static const char help[] =
	"usage: aipu-emu --socket PATH [--memory SIZE] [--cores N] [--queues N]\n"
	"                [--vectors N] [--rollback N] [--abi OLDEST-NEWEST] [--serial N]\n"
	"                [--unsigned] [--flash FILE] [--msi] [--trap-bar2] [--no-shadow]\n"
	"                [--poll-us N] [--trace FILE] [--fault KIND@N[:VALUE]]...\n"
	"       aipu-emu -h | --help | --version\n"
	"\n"
	"Serves the software AIPU as a PCIe function by the vfio-user protocol, for the\n"
	"device vfio-user-pci of QEMU 10.1 or later, until it is ended by a signal. Clients\n"
	"are served one after another, and each of them powers the card on.\n"
	"\n"
	"  --socket PATH     the socket to listen on; when the file is there it is ready\n"
	"  --memory SIZE     device memory (BAR2): a power of two from 1M to 16G; default 1G\n"
	"  --cores N         compute threads, 1 to 256; default: the CPUs that it may use\n"
	"  --queues N        I/O queues, 1 to 1022; default 64\n"
	"  --vectors N       interrupt vectors, 1 to 2048; default 64\n"
	"  --rollback N      the smallest anti-rollback counter of firmware that boots; default 0\n"
	"  --abi OLDEST-NEWEST\n"
	"                    contract versions of the boot ROM, as 1.0-1.4; default: this build's\n"
	"  --serial N        the serial number, as 222 or 0xde; default 0\n"
	"  --unsigned        the boot ROM takes images without a signature, and no others; default:\n"
	"                    those that are signed with the development key\n"
	"  --flash FILE      the card keeps firmware of its own, in this file, which comes to be when\n"
	"                    it is written first: spec.md, section 14. Default: it keeps none\n"
	"  --msi             MSI in place of MSI-X, with at most 32 messages\n"
	"  --trap-bar2       each access to BAR2 is a message, and its bytes are counted\n"
	"  --no-shadow       does not offer shadow doorbells: each batch of jobs is a register write\n"
	"  --poll-us N       looks at shadow doorbells for N microseconds after its last work, 0 to\n"
	"                    10000000, in which new work needs no doorbell; default 200\n"
	"  --trace FILE      a line for each message, and the counters at each client's end\n"
	"  --fault KIND@N[:VALUE]\n"
	"                    goes wrong once; N counts from 1, for each client:\n"
	"                      hang@JOB                 the engine stands still, heartbeat "
	"included\n"
	"                      slow-job@JOB[:MS]        takes MS longer; default 5000\n"
	"                      lost-interrupt@INTERRUPT is not raised\n"
	"                      interrupt-storm@INTERRUPT[:COUNT]\n"
	"                                               is raised COUNT times more; default "
	"100000\n"
	"                      bad-completion@COMPLETION[:HOW]\n"
	"                                               0 wrong id, 1 sq_head beyond the ring,\n"
	"                                               2 unknown status; default 0\n"
	"                      corrupt-reply@REPLY[:HOW]\n"
	"                                               of the admin queue: 0 unknown status,\n"
	"                                               1 wrong id, 2 sq_head beyond the ring,\n"
	"                                               3 ABORTED; default 0\n"
	"                      event@REPLY              an error of its memory, corrected, is to be\n"
	"                                               reported from then on\n"
	"                      fatal-error@JOB          the device fails\n"
	"                      all-ones@ACCESS          from this register access on it is gone\n"
	"                      slow-boot@LOAD[:MS]      takes MS; default 5000\n"
	"                      boot-failure@LOAD[:ERROR]\n"
	"                                               fails, with 5 (wrong digest) by default\n"
	"                      power-cut@JOB            the process ends at once\n"
	"                      flash-cut@WRITE[:BYTES]  likewise, with BYTES of a write to the\n"
	"                                               flash done; default none\n"
	"                      memory-error@JOB[:HOW]   in its data: 0 corrected, 1 not, so that it\n"
	"                                               ends with INTERNAL; default 0\n"
	"                      ambient@JOB[:DEGREES]    from here on the air has DEGREES Celsius, 0\n"
	"                                               to 150; default 95. It has 25 before\n"
	"                      load-ambient@LOAD[:DEGREES]\n"
	"                                               likewise; default 25\n"
	"\n"
	"Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	"130 interrupted, 141 closed pipe.\n";

/* --- signals --------------------------------------------------------------------------------------- */

/* Of the process, as signals are */
static atomic_bool stop;
static volatile sig_atomic_t stop_signal;

static void on_signal(int signal)
{
	stop_signal = signal;
	atomic_store(&stop, true);
}

/* Blocked in every thread, but for the moments when the message thread waits */
static void signals_prepare(sigset_t *waiting)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t ours;

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&ours);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &ours, waiting);
	sigdelset(waiting, SIGINT);
	sigdelset(waiting, SIGTERM);
}

/* --- options --------------------------------------------------------------------------------------- */

/* Decimal, or as all that show it print it */
static bool take_serial(const char *text, uint64_t *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;

	errno = 0;
	*value = strtoull(digits, NULL, hex ? 16 : 10);
	if (digits[0] && !errno &&
	    !digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")])
		return true;
	cli_fail(TOOL, CLI_USAGE,
		 "--serial '%s': an integer below 2^64 is expected, such as 222 or 0xde", text);
	return false;
}

static bool take_memory(const char *text, uint64_t *value)
{
	static const char units[] = "KMG";
	uint64_t bytes = 0;
	const char *at = text, *unit;

	while (*at >= '0' && *at <= '9' && bytes <= MAX_MEMORY)
		bytes = 10 * bytes + (uint64_t)(*at++ - '0');
	unit = *at && at > text ? strchr(units, *at) : NULL;
	if (unit && bytes <= MAX_MEMORY) {
		bytes <<= 10 * (unit - units + 1);
		at++;
	}
	*value = bytes;
	if (!*at && bytes >= MIB && bytes <= MAX_MEMORY && !(bytes & (bytes - 1)))
		return true;
	cli_fail(TOOL, CLI_USAGE, "--memory '%s': a power of two from 1M to 16G is expected", text);
	return false;
}

static bool take_u32(const char *option, const char *text, uint32_t min, uint32_t max,
		     uint32_t *value)
{
	uint64_t number;

	if (!cli_integer(TOOL, option, text, min, max, &number))
		return false;
	*value = (uint32_t)number;
	return true;
}

static bool take_abi(const char *text, struct emu_options *options)
{
	unsigned int v[4];
	int end = 0;

	/* %u alone would take spaces and signs. */
	if (strspn(text, "0123456789.-") == strlen(text) &&
	    sscanf(text, "%5u.%5u-%5u.%5u%n", &v[0], &v[1], &v[2], &v[3], &end) == 4 &&
	    !text[end] && (v[0] | v[1] | v[2] | v[3]) <= UINT16_MAX) {
		options->abi_oldest = AIPU_ABI_VERSION(v[0], v[1]);
		options->abi_newest = AIPU_ABI_VERSION(v[2], v[3]);
		if (options->abi_oldest && options->abi_oldest <= options->abi_newest)
			return true;
	}
	cli_fail(TOOL, CLI_USAGE,
		 "--abi '%s': a range of versions from 0.1 on is expected, as 1.0-1.4", text);
	return false;
}

static bool take_fault(const char *text, struct emu_options *options)
{
	const char *wrong;

	if (options->fault_count == EMU_MAX_FAULTS) {
		cli_fail(TOOL, CLI_USAGE, "--fault '%s': at most %u of them are expected", text,
			 EMU_MAX_FAULTS);
		return false;
	}
	wrong = emu_fault_parse(text, &options->faults[options->fault_count]);
	if (wrong) {
		cli_fail(TOOL, CLI_USAGE, "--fault '%s': %s", text, wrong);
		return false;
	}
	options->fault_count++;
	return true;
}

enum {
	OPT_SOCKET = 256,
	OPT_MEMORY,
	OPT_CORES,
	OPT_QUEUES,
	OPT_VECTORS,
	OPT_ROLLBACK,
	OPT_ABI,
	OPT_SERIAL,
	OPT_UNSIGNED,
	OPT_FLASH,
	OPT_MSI,
	OPT_TRAP,
	OPT_NO_SHADOW,
	OPT_POLL,
	OPT_TRACE,
	OPT_FAULT,
	OPT_VERSION
};

static const struct option long_options[] = {
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "cores", required_argument, NULL, OPT_CORES },
	{ "queues", required_argument, NULL, OPT_QUEUES },
	{ "vectors", required_argument, NULL, OPT_VECTORS },
	{ "rollback", required_argument, NULL, OPT_ROLLBACK },
	{ "abi", required_argument, NULL, OPT_ABI },
	{ "serial", required_argument, NULL, OPT_SERIAL },
	{ "unsigned", no_argument, NULL, OPT_UNSIGNED },
	{ "flash", required_argument, NULL, OPT_FLASH },
	{ "msi", no_argument, NULL, OPT_MSI },
	{ "trap-bar2", no_argument, NULL, OPT_TRAP },
	{ "no-shadow", no_argument, NULL, OPT_NO_SHADOW },
	{ "poll-us", required_argument, NULL, OPT_POLL },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* One option with its value; false after an error line */
static bool take_option(int option, const char *value, struct emu_options *o,
			const char **trace_path)
{
	switch (option) {
	case OPT_SOCKET:
		o->socket = value;
		return true;
	case OPT_MEMORY:
		return take_memory(value, &o->memory);
	case OPT_CORES:
		return take_u32("--cores", value, 1, MAX_CORES, &o->cores);
	case OPT_QUEUES:
		return take_u32("--queues", value, 1, MAX_QUEUES, &o->queues);
	case OPT_VECTORS:
		return take_u32("--vectors", value, 1, MAX_VECTORS, &o->vectors);
	case OPT_ROLLBACK:
		return take_u32("--rollback", value, 0, UINT32_MAX, &o->rollback);
	case OPT_ABI:
		return take_abi(value, o);
	case OPT_SERIAL:
		return take_serial(value, &o->serial);
	case OPT_UNSIGNED:
		o->no_signatures = true;
		return true;
	case OPT_FLASH:
		return cli_text(TOOL, "--flash", value, "a file", &o->flash);
	case OPT_MSI:
		o->msi = true;
		return true;
	case OPT_TRAP:
		o->trap_memory = true;
		return true;
	case OPT_NO_SHADOW:
		o->no_shadows = true;
		return true;
	case OPT_POLL:
		return take_u32("--poll-us", value, 0, MAX_POLL_US, &o->linger_us);
	case OPT_TRACE:
		return cli_text(TOOL, "--trace", value, "a file", trace_path);
	default:
		return take_fault(value, o);
	}
}

/* -1 to go on, or the exit code */
static int options_take(int argc, char **argv, struct emu_options *options, const char **trace_path)
{
	int option;

	opterr = 0; /* one line, ours */
	while ((option = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
		switch (option) {
		case OPT_VERSION:
			cli_version(TOOL);
			return cli_finish(TOOL, CLI_OK);
		case 'h':
			fputs(help, stdout);
			return cli_finish(TOOL, CLI_OK);
		case ':':
		case '?':
			return cli_bad_option(TOOL, NULL, option, argv);
		default:
			if (!take_option(option, optarg, options, trace_path))
				return CLI_USAGE;
		}
	}
	if (optind < argc)
		return cli_fail(TOOL, CLI_USAGE,
				"'%s': only options are expected; see aipu-emu --help",
				argv[optind]);
	if (!options->socket)
		return cli_fail(TOOL, CLI_USAGE, "--socket PATH is expected; see aipu-emu --help");
	return -1;
}

/* --- serving --------------------------------------------------------------------------------------- */

static int serve(const struct emu_options *options, int listener, const sigset_t *waiting)
{
	struct pollfd on = { .fd = listener, .events = POLLIN };
	int client, err;

	while (!atomic_load(&stop)) {
		if (ppoll(&on, 1, NULL, waiting) < 0) {
			if (errno == EINTR)
				continue;
			return cli_fail(TOOL, CLI_FAILED, "cannot wait for clients: %s",
					strerror(errno));
		}
		client = emu_listen_accept(listener);
		if (client == -EAGAIN)
			continue;
		if (client < 0)
			return cli_fail(TOOL, CLI_FAILED, "cannot take a client: %s",
					strerror(-client));
		err = emu_session_run(options, client, &stop);
		if (err)
			return cli_fail(TOOL, cli_exit_code(err),
					"the card cannot be powered on: %s", strerror(-err));
	}
	return stop_signal == SIGINT ? CLI_INTERRUPTED : CLI_OK;
}

/* The exit code: `code`, unless that is success and some of the trace was not written. */
static int trace_close(const struct emu_options *options, const char *path, int code)
{
	bool bad;

	if (!options->trace)
		return code;
	bad = ferror(options->trace);
	bad |= fclose(options->trace);
	return bad && code == CLI_OK
		       ? cli_fail(TOOL, CLI_FAILED, "--trace %s: cannot be written", path)
		       : code;
}

/* Said now, not to the first client: a file that is no flash */
static int flash_check(const char *path)
{
	struct aipu_flash_file *file = NULL;
	int err = path ? aipu_flash_file_open(path, AIPU_FLASH_FILE_BYTES, &file) : 0;

	aipu_flash_file_close(file);
	if (err == -EFBIG)
		return cli_fail(TOOL, CLI_FAILED,
				"--flash %s: a file of 64 KiB to 32 MiB is expected, or a new name",
				path);
	if (err == -EINVAL)
		return cli_fail(TOOL, CLI_FAILED, "--flash %s: a regular file is expected", path);
	if (err == -EBADMSG)
		return cli_fail(
			TOOL, CLI_FAILED,
			"--flash %s: it holds something else than a flash: a new name is expected",
			path);
	return err ? cli_fail(TOOL, cli_exit_code(err), "--flash %s: %s", path, strerror(-err)) : 0;
}

int main(int argc, char **argv)
{
	struct emu_options options = { .memory = DEFAULT_MEMORY, .linger_us = DEFAULT_POLL_US };
	const char *trace_path = NULL;
	struct emu_listener listener;
	sigset_t waiting;
	int code;

	cli_start();
	signals_prepare(&waiting);
	code = options_take(argc, argv, &options, &trace_path);
	if (code >= 0)
		return code;
	code = emu_listen_check(options.socket);
	if (code)
		return code;
	code = flash_check(options.flash);
	if (code)
		return code;
	if (trace_path) {
		options.trace = fopen(trace_path, "we");
		if (!options.trace)
			return cli_fail(TOOL, cli_exit_code(-errno), "--trace %s: %s", trace_path,
					strerror(errno));
		setvbuf(options.trace, NULL, _IOLBF, 0);
	}
	code = emu_listen_open(options.socket, &listener);
	if (!code) {
		code = serve(&options, listener.fd, &waiting);
		emu_listen_close(&listener);
	}
	return trace_close(&options, trace_path, code);
}
