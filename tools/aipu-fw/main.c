// SPDX-License-Identifier: MIT
/*
 * aipu-fw: packs, shows and checks firmware images. Runs at build time too (the default image of the
 * software device), so it needs no device and no library of the project, and its output depends on its
 * arguments only. An error is one line on stderr. Never writes to anything but a regular file.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "cli.h"
#include "image.h"

static const char default_payload[] =
	"AIPU software device, firmware payload.\n"
	"The software device carries its behaviour in the device model; this payload exists so "
	"that the\n"
	"boot sequence, the digest and the version checks are those of a card.\n";

static int help(void)
{
	fputs("usage: aipu-fw pack -o FILE [--default] [--version X.Y.Z] [--abi-oldest X.Y]\n"
	      "               [--abi-newest X.Y] [--board soft|any|ID] [--rollback N]\n"
	      "               [--payload FILE] [--build TEXT]\n"
	      "       aipu-fw show FILE [--json]\n"
	      "       aipu-fw verify FILE\n"
	      "       aipu-fw --help | --version\n"
	      "\n"
	      "Exit status: 0 done, 1 failed, 2 usage, 3 no device, 4 no permission,\n"
	      "130 interrupted, 141 closed pipe.\n",
	      stdout);
	return CLI_OK;
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

/* One line whatever is in the arguments that it names: a control character shows as '?'. Returns `code` */
__attribute__((format(printf, 2, 3))) static int fail(int code, const char *format, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	for (char *c = text; c && *c; c++)
		*c = is_control(*c) ? '?' : *c;
	fprintf(stderr, "aipu-fw: %s\n", text ? text : "out of memory");
	free(text);
	return code;
}

/* `err` is a -errno */
static int fail_file(const char *path, int err)
{
	return fail(cli_exit_code(err), "%s: %s", path, strerror(-err));
}

static int bad_value(const char *option, const char *value, const char *right)
{
	return fail(CLI_USAGE, "--%s %s: %s expected", option, value, right);
}

/* What getopt_long() stopped at, with opterr 0 and a leading ':' in its letters */
static int bad_option(int c, char **argv)
{
	const char *argument = argv[optind - 1];

	if (c == ':')
		return fail(CLI_USAGE, "%s: a value is missing after '%s'; see aipu-fw --help",
			    argv[0], argument);
	/* A letter is left in optopt, also from within an argument. */
	if (strncmp(argument, "--", 2))
		return fail(CLI_USAGE, "%s: unknown option '-%c'; see aipu-fw --help", argv[0],
			    optopt);
	return fail(CLI_USAGE, "%s: unknown option '%s'; see aipu-fw --help", argv[0], argument);
}

/* "a.b" or "a.b.c" into `parts`; every part at most its limit, nothing after it */
static bool parse_dotted(const char *text, unsigned int count, const unsigned long *limits,
			 unsigned long *parts)
{
	for (unsigned int i = 0; i < count; i++) {
		char *end;

		if (*text < '0' || *text > '9')
			return false;
		errno = 0;
		parts[i] = strtoul(text, &end, 10);
		if (errno || parts[i] > limits[i] || *end != (i + 1 < count ? '.' : '\0'))
			return false;
		text = end + 1;
	}
	return true;
}

static bool parse_abi(const char *text, uint32_t *abi)
{
	static const unsigned long limits[] = { 0xffff, 0xffff };
	unsigned long parts[2];

	if (!parse_dotted(text, 2, limits, parts))
		return false;
	*abi = AIPU_ABI_VERSION(parts[0], parts[1]);
	return true;
}

static bool parse_u32(const char *text, uint32_t *value)
{
	char *end;
	unsigned long long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 0);
	if (errno || *end || number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}

/* The whole file, at most `limit` bytes; NULL after a message, with the exit code */
static void *read_file(const char *path, size_t limit, size_t *bytes, int *code)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data = NULL;

	if (!file) {
		*code = fail_file(path, -errno);
		return NULL;
	}
	data = malloc(limit + 1);
	if (!data) {
		*code = fail_file(path, -ENOMEM);
		goto fail;
	}
	*bytes = fread(data, 1, limit + 1, file);
	if (ferror(file)) {
		*code = fail_file(path, -errno);
		goto fail;
	}
	if (*bytes > limit) {
		*code = fail(CLI_FAILED, "%s: larger than the %zu bytes that are permitted", path,
			     limit);
		goto fail;
	}
	fclose(file);
	return data;
fail:
	fclose(file);
	free(data);
	return NULL;
}

static const char *kind_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return "a directory";
	case S_IFCHR:
	case S_IFBLK:
		return "a device";
	case S_IFIFO:
		return "a pipe";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a symbolic link to nothing";
	}
}

/*
 * The name that the image is renamed to. A rename would replace whatever has the name, so that is a
 * regular file or nothing; of a symbolic link it is the target. An exit code after a message.
 */
static int output_name(const char *path, char **name)
{
	struct stat status;

	*name = NULL;
	if (lstat(path, &status)) {
		if (errno != ENOENT)
			return fail_file(path, -errno);
		*name = strdup(path);
		return *name ? CLI_OK : fail_file(path, -ENOMEM);
	}
	if (S_ISLNK(status.st_mode) && stat(path, &status) && errno != ENOENT)
		return fail_file(path, -errno);
	if (!S_ISREG(status.st_mode))
		return fail(CLI_FAILED, "%s: is %s; a regular file or a new name is expected", path,
			    kind_name(status.st_mode));
	*name = realpath(path, NULL);
	return *name ? CLI_OK : fail_file(path, -errno);
}

/* Under its name only when whole: a failed write leaves what was there. Returns an exit code */
static int write_image(const char *path, const struct aipu_firmware_header *header,
		       const void *payload, size_t bytes)
{
	char *name, *part = NULL;
	FILE *file = NULL;
	int err = 0, code = output_name(path, &name);

	if (code)
		return code;
	if (asprintf(&part, "%s.part.%ld", name, (long)getpid()) < 0) {
		free(name);
		return fail_file(path, -ENOMEM);
	}
	file = fopen(part, "wb");
	if (!file)
		err = -errno;
	if (!err && (fwrite(header, sizeof(*header), 1, file) != 1 ||
		     (bytes && fwrite(payload, bytes, 1, file) != 1)))
		err = -errno;
	if (file && fclose(file) && !err)
		err = -errno;
	if (!err && rename(part, name))
		err = -errno;
	if (err && file)
		unlink(part);
	free(part);
	free(name);
	return err ? fail_file(path, err) : CLI_OK;
}

/* A text for people's terminals: no control character, neither ASCII nor one of C1 as UTF-8 */
static bool parse_build(const char *text, char *build, size_t bytes)
{
	size_t length = strlen(text);

	if (length >= bytes)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (is_control(text[i]))
			return false;
		if ((unsigned char)text[i] == 0xc2 && ((unsigned char)text[i + 1] & 0xe0) == 0x80)
			return false;
	}
	memset(build, 0, bytes);
	memcpy(build, text, length);
	return true;
}

static int command_pack(int argc, char **argv)
{
	static const unsigned long version_limits[] = { 255, 255, 65535 };
	static const struct option options[] = {
		{ "default", no_argument, NULL, 'd' },
		{ "output", required_argument, NULL, 'o' },
		{ "version", required_argument, NULL, 'v' },
		{ "abi-oldest", required_argument, NULL, 'a' },
		{ "abi-newest", required_argument, NULL, 'n' },
		{ "board", required_argument, NULL, 'b' },
		{ "rollback", required_argument, NULL, 'r' },
		{ "payload", required_argument, NULL, 'p' },
		{ "build", required_argument, NULL, 't' },
		{ NULL, 0, NULL, 0 },
	};
	struct aipu_firmware_header header = {
		.magic = AIPU_FIRMWARE_MAGIC,
		.header_version = AIPU_FIRMWARE_HEADER_VERSION,
		.header_bytes = sizeof(header),
		.version = 0u << 24 | 9u << 16,
		.abi_oldest = AIPU_ABI_OLDEST,
		.abi_newest = AIPU_ABI_CURRENT,
		.board_id = AIPU_BOARD_SOFT,
		.signature_kind = AIPU_SIGNATURE_NONE,
		.build = "aipu-soft",
	};
	const char *output = NULL, *payload_path = NULL;
	const void *payload = default_payload;
	size_t bytes = sizeof(default_payload) - 1;
	bool use_default = false;
	void *file = NULL;
	unsigned long parts[3];
	uint32_t value;
	int c, code;

	while ((c = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
		switch (c) {
		case 'd': /* all values are those of the default image unless given */
			use_default = true;
			break;
		case 'o':
			output = optarg;
			break;
		case 'v':
			if (!parse_dotted(optarg, 3, version_limits, parts) ||
			    !(parts[0] || parts[1] || parts[2]))
				return bad_value("version", optarg,
						 "X.Y.Z up to 255.255.65535, not 0.0.0");
			header.version = (uint32_t)(parts[0] << 24 | parts[1] << 16 | parts[2]);
			break;
		case 'a':
			if (!parse_abi(optarg, &value))
				return bad_value("abi-oldest", optarg, "X.Y");
			header.abi_oldest = value;
			break;
		case 'n':
			if (!parse_abi(optarg, &value))
				return bad_value("abi-newest", optarg, "X.Y");
			header.abi_newest = value;
			break;
		case 'b':
			if (!strcmp(optarg, "soft"))
				value = AIPU_BOARD_SOFT;
			else if (!strcmp(optarg, "any"))
				value = AIPU_BOARD_ANY;
			else if (!parse_u32(optarg, &value))
				return bad_value("board", optarg, "soft, any or a 32-bit number");
			header.board_id = value;
			break;
		case 'r':
			if (!parse_u32(optarg, &value))
				return bad_value("rollback", optarg, "a 32-bit number");
			header.rollback = value;
			break;
		case 'p':
			payload_path = optarg;
			break;
		case 't':
			if (!parse_build(optarg, header.build, sizeof(header.build)))
				return bad_value(
					"build", optarg,
					"a text of at most 63 bytes without control characters");
			break;
		default:
			return bad_option(c, argv);
		}
	}
	if (optind != argc)
		return fail(CLI_USAGE, "pack: '%s': only options are expected; see aipu-fw --help",
			    argv[optind]);
	if (!output || !*output)
		return fail(CLI_USAGE, "pack: -o FILE is missing: the image to write");
	if (!use_default && !payload_path)
		return fail(CLI_USAGE,
			    "pack: --payload FILE or --default is missing: what to pack");
	if (header.abi_oldest > header.abi_newest)
		return fail(CLI_USAGE,
			    "contract versions %u.%u to %u.%u: the oldest is above the newest",
			    AIPU_ABI_MAJOR(header.abi_oldest), AIPU_ABI_MINOR(header.abi_oldest),
			    AIPU_ABI_MAJOR(header.abi_newest), AIPU_ABI_MINOR(header.abi_newest));
	if (payload_path) {
		file = read_file(payload_path, AIPU_FIRMWARE_MAX_BYTES - sizeof(header), &bytes,
				 &code);
		if (!file)
			return code;
		payload = file;
	}
	header.payload_bytes = bytes;
	if (image_digest(&header, payload, bytes))
		code = fail(CLI_FAILED, "the digest could not be computed");
	else
		code = write_image(output, &header, payload, bytes);
	free(file);
	return code;
}

static void hex(const uint8_t *bytes, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
}

static const char *board_name(uint32_t board, char *text, size_t bytes)
{
	if (board == AIPU_BOARD_SOFT)
		return "soft";
	if (board == AIPU_BOARD_ANY)
		return "any";
	snprintf(text, bytes, "0x%08" PRIx32, board);
	return text;
}

static int show(const struct aipu_firmware_header *header, bool as_json)
{
	char digest[2 * sizeof(header->digest) + 1], version[16], oldest[16], newest[16], board[16];
	const char *board_text = board_name(header->board_id, board, sizeof(board));
	const char *signature = header->signature_kind == AIPU_SIGNATURE_NONE ? "none" : "ed25519";
	json_t *object;
	int err;

	hex(header->digest, sizeof(header->digest), digest);
	snprintf(version, sizeof(version), "%u.%u.%u", header->version >> 24,
		 header->version >> 16 & 0xff, header->version & 0xffff);
	snprintf(oldest, sizeof(oldest), "%u.%u", AIPU_ABI_MAJOR(header->abi_oldest),
		 AIPU_ABI_MINOR(header->abi_oldest));
	snprintf(newest, sizeof(newest), "%u.%u", AIPU_ABI_MAJOR(header->abi_newest),
		 AIPU_ABI_MINOR(header->abi_newest));
	if (!as_json) {
		printf("version:          %s\n"
		       "build:            %s\n"
		       "contract:         %s to %s\n"
		       "board:            %s\n"
		       "rollback counter: %u\n"
		       "signature:        %s\n"
		       "payload:          %" PRIu64 " bytes\n"
		       "sha256:           %s\n",
		       version, header->build, oldest, newest, board_text, header->rollback,
		       signature, header->payload_bytes, digest);
		return 0;
	}
	/* A build text is bytes to the format, but JSON wants UTF-8: jansson refuses anything else. */
	object = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:I, s:s}", "schema", 1,
			   "version", version, "build", header->build, "abi_oldest", oldest,
			   "abi_newest", newest, "board", board_text, "rollback",
			   (json_int_t)header->rollback, "signature", signature, "payload_bytes",
			   (json_int_t)header->payload_bytes, "sha256", digest);
	if (!object) {
		fail(CLI_FAILED, "the build text is not UTF-8");
		return -EILSEQ;
	}
	err = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER) ? -EIO : 0;
	putchar('\n');
	json_decref(object);
	return err;
}

static int command_check(int argc, char **argv, bool print)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { NULL, 0, NULL, 0 } };
	bool as_json = false;
	char why[160];
	size_t bytes;
	void *image;
	int c, err, code;

	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (c != 'j' || !print)
			return bad_option(c, argv);
		as_json = true;
	}
	if (optind == argc)
		return fail(CLI_USAGE, "%s: FILE is missing: the image", argv[0]);
	if (optind + 1 < argc)
		return fail(CLI_USAGE, "%s: '%s': one FILE is expected", argv[0], argv[optind + 1]);
	image = read_file(argv[optind], AIPU_FIRMWARE_MAX_BYTES, &bytes, &code);
	if (!image)
		return code;
	err = image_check(image, bytes, why, sizeof(why));
	if (err)
		fail(CLI_FAILED, "%s: %s", argv[optind], why);
	else if (print)
		err = show(image, as_json);
	else
		printf("%s: good\n", argv[optind]);
	free(image);
	return cli_finish("aipu-fw", err ? CLI_FAILED : CLI_OK);
}

int main(int argc, char **argv)
{
	cli_start();
	opterr = 0; /* one line, ours */
	if (argc < 2)
		return fail(CLI_USAGE,
			    "a command is missing: pack, show or verify; see aipu-fw --help");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		return cli_finish("aipu-fw", help());
	if (!strcmp(argv[1], "--version")) {
		puts("aipu-fw " AIPU_PACKAGE_VERSION);
		return cli_finish("aipu-fw", CLI_OK);
	}
	if (!strcmp(argv[1], "pack"))
		return command_pack(argc - 1, argv + 1);
	if (!strcmp(argv[1], "show"))
		return command_check(argc - 1, argv + 1, true);
	if (!strcmp(argv[1], "verify"))
		return command_check(argc - 1, argv + 1, false);
	return fail(CLI_USAGE, "unknown command '%s': pack, show or verify is expected", argv[1]);
}
