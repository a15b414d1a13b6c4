// SPDX-License-Identifier: MIT
/* See image.h. Digest and signature by OpenSSL alone, as firmware-abi/spec.md, section "Boot", has them. */
#include "image.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: aipu-abi-test[-WAY] [FIRMWARE] [--key KEY]\n"
	"\n"
	"The tests of the contract (firmware-abi/spec.md) on a device, in TAP: a line a test, with the requirements that\n"
	"it shows. WAY is how the device is reached: sysfs or vfio, a card on PCI (AIPU_PCI=0000:01:00.0 names it);\n"
	"emu, aipu-emu; none, the software device. See docs/conformance.md.\n"
	"\n"
	"  FIRMWARE    an image for the device, as aipu-fw pack makes it, at most 704 KiB; default: AIPU_FIRMWARE,\n"
	"              else that of the software device. Each test changes its header and seals it anew\n"
	"  --key KEY   sign what is sealed with this Ed25519 key, a PEM file, for a device that takes signed images\n"
	"              only. Without it images are not signed, and the device has to take that\n"
	"  -h, --help  print this\n"
	"\n"
	"Exit status: 0 passed, 1 failed or not begun, 2 usage.\n";

static bool bail(const char *what, const char *why)
{
	printf("Bail out! %s: %s\n", what, why);
	return false;
}

static bool file_read(struct image *i)
{
	FILE *f = fopen(i->path, "rb");
	uint64_t magic = 0;
	bool more;

	errno = f ? 0 : errno;
	i->bytes = f ? (uint32_t)fread(i->file, 1, sizeof(i->file), f) : 0;
	more = f && !ferror(f) && fgetc(f) != EOF;
	if (!f || ferror(f))
		bail(i->path, strerror(errno));
	if (f)
		fclose(f);
	if (!f || errno)
		return false;
	if (more)
		return bail(
			i->path,
			"has more than 720896 bytes, for which the tests have no memory: a shorter payload will do");
	memcpy(&magic, i->file, sizeof(magic));
	if (i->bytes < sizeof(struct aipu_firmware_header) || magic != AIPU_FIRMWARE_MAGIC)
		return bail(i->path, "no firmware image: one of aipu-fw pack is expected");
	return true;
}

static bool key_read(struct image *i, const char *path)
{
	uint8_t raw[32];
	size_t bytes = sizeof(raw);
	FILE *f = fopen(path, "r");

	if (!f)
		return bail(path, strerror(errno));
	i->key = PEM_read_PrivateKey(f, NULL, NULL, (void *)"");
	fclose(f);
	if (!i->key || !EVP_PKEY_is_a(i->key, "ED25519") ||
	    EVP_PKEY_get_raw_public_key(i->key, raw, &bytes) != 1 ||
	    EVP_Digest(raw, sizeof(raw), i->key_id, NULL, EVP_sha256(), NULL) != 1)
		return bail(path, "not an Ed25519 private key in a PEM file without a passphrase");
	return true;
}

bool image_open(struct image *i, int argc, char **argv, int *status)
{
	const char *build = getenv("BUILD"), *key = NULL, *wrong = NULL;
	static char path[4096];

	for (int n = 1; n < argc; n++) {
		if (!strcmp(argv[n], "-h") || !strcmp(argv[n], "--help")) {
			*status = fputs(help, stdout) == EOF || fflush(stdout);
			return false;
		}
		if (!strcmp(argv[n], "--key") && n + 1 < argc)
			key = argv[++n];
		else if (argv[n][0] == '-' || i->path)
			wrong = argv[n];
		else
			i->path = argv[n];
	}
	*status = 2;
	if (wrong)
		return bail(wrong, "[FIRMWARE] [--key KEY] is expected; see --help");
	snprintf(path, sizeof(path), "%s/firmware/aipu-soft.fw", build ? build : "build");
	if (!i->path)
		i->path = getenv("AIPU_FIRMWARE") ? getenv("AIPU_FIRMWARE") : path;
	*status = 1;
	return file_read(i) && (!key || key_read(i, key));
}

void image_sign(const struct image *i, struct aipu_firmware_header *h)
{
	h->signature_kind = i->key ? AIPU_SIGNATURE_ED25519 : AIPU_SIGNATURE_NONE;
	memset(h->key_id, 0, sizeof(h->key_id));
	if (i->key)
		memcpy(h->key_id, i->key_id, sizeof(h->key_id));
	memset(h->signature, 0, sizeof(h->signature));
}

void image_seal(const struct image *i, struct aipu_firmware_header *h)
{
	EVP_MD_CTX *ctx = i->key ? EVP_MD_CTX_new() : NULL;
	size_t bytes = sizeof(h->signature);

	memset(h->digest, 0, sizeof(h->digest));
	memset(h->signature, 0, sizeof(h->signature));
	EVP_Digest(h, i->bytes, h->digest, NULL, EVP_sha256(), NULL);
	if (ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, i->key) == 1)
		EVP_DigestSign(ctx, h->signature, &bytes, h->digest, sizeof(h->digest));
	EVP_MD_CTX_free(ctx);
}

void image_close(struct image *i)
{
	EVP_PKEY_free(i->key);
}
