/* SPDX-License-Identifier: MIT */
/*
 * aipu-fw's commands and what they share. A command gets its own name as argv[0] and returns an exit code after at
 * most one line on stderr. An image in memory is one buffer: header, then payload.
 */
#ifndef AIPU_FW_H
#define AIPU_FW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aipu/firmware.h"
#include "cli.h"

#define FW_TOOL "aipu-fw"
#define FW_KEY_BYTES 65536u /* a key file is no longer */

int fw_pack(int argc, char **argv);
int fw_sign(int argc, char **argv);
int fw_inspect(int argc, char **argv);
int fw_verify(int argc, char **argv);
/* With a device: flash.c */
int fw_flash(int argc, char **argv);
int fw_activate(int argc, char **argv);
int fw_status(int argc, char **argv);

/* file.c. All return an exit code. */
#define fw_fail(code, ...) cli_fail(FW_TOOL, code, __VA_ARGS__)
int fw_fail_file(const char *path, int err); /* err: -errno */
int fw_bad_value(const char *option, const char *value, const char *right);
/* For what a command does not take itself: -h and --help, which end the program, or CLI_USAGE after a message */
int fw_other_option(int c, char **argv);
/* main.c: --help of the tool and of every command: prints it and ends the program */
_Noreturn void fw_help(void);
/* Is it UTF-8 that a terminal shows as it is: no control characters, none that hide or reorder others */
bool fw_build_shows(const char *text);
/* The whole file, at most `limit` bytes, to be freed; NULL after a message, *code is the exit code then */
void *fw_read_file(const char *path, size_t limit, size_t *bytes, int *code);
/* Under its name only when whole: a failed write leaves what was there */
int fw_write_file(const char *path, const void *data, size_t bytes);

/* key.c. Key files are PEM. Signs the image with a private key, or fails with a message that names `path` */
int fw_key_sign(const char *path, void *image, size_t bytes);
/* The public half of a private or public key */
int fw_key_public(const char *path, uint8_t key[AIPU_PUBLIC_KEY_BYTES]);

/*
 * image.c: the checks of a boot ROM that need no device and no key: size, magic, header, digest. 0, or -EBADMSG with one
 * line in `why`.
 */
int fw_image_check(const void *image, size_t bytes, char *why, size_t why_bytes);

#endif
