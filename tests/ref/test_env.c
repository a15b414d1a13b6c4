// SPDX-License-Identifier: MIT
/*
 * Finding models, directories and files for tests, and reading reference transcripts; see
 * test_env.h. Linked into every unit test; it must never pass judgement on what it reads beyond its
 * syntax, and it keeps no state.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test_env.h"

#ifndef AIPU_SRC_DIR
#define AIPU_SRC_DIR "."
#endif

static char *path_join(const char *dir, const char *middle, const char *name)
{
	char *path;

	if (asprintf(&path, "%s%s%s%s", dir, middle, *name ? "/" : "", name) < 0)
		abort();
	return path;
}

static const char *env_or(const char *variable, const char *fallback)
{
	const char *value = getenv(variable);

	return value && *value ? value : fallback;
}

char *test_source_path(const char *name)
{
	return path_join(env_or("SRC", AIPU_SRC_DIR), "", name);
}

char *test_build_path(const char *name)
{
	const char *build = env_or("BUILD", NULL);

	if (build)
		return path_join(build, "", name);
	return path_join(env_or("SRC", AIPU_SRC_DIR), "/build", name);
}

char *test_models_path(const char *name)
{
	const char *models = env_or("AIPU_TEST_MODELS", NULL);

	if (models)
		return path_join(models, "", name);
	return path_join(env_or("SRC", AIPU_SRC_DIR), "/../shared/models", name);
}

/* Frees @path. */
static bool path_is_there(char *path, const char *hint)
{
	bool there = access(path, R_OK) == 0;

	if (!there) {
		/* A comment of TAP, whole lines in order with what cmocka prints on stdout. */
		printf("# %s is missing%s\n", path, hint);
		fflush(stdout);
	}
	free(path);
	return there;
}

bool test_models_have(const char *name)
{
	return path_is_there(test_models_path(name), " (AIPU_TEST_MODELS names the directory)");
}

bool test_source_have(const char *name)
{
	return path_is_there(test_source_path(name), "");
}

void *test_read_file(const char *path, size_t *size)
{
	struct stat st;
	size_t done = 0;
	char *data;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st)) {
		close(fd);
		return NULL;
	}
	data = malloc((size_t)st.st_size + 1);
	while (data && done < (size_t)st.st_size) {
		ssize_t n = read(fd, data + done, (size_t)st.st_size - done);

		if (n <= 0) {
			free(data);
			data = NULL;
			if (n == 0)
				errno = EIO;
			break;
		}
		done += (size_t)n;
	}
	close(fd);
	if (!data)
		return NULL;
	data[done] = 0;
	if (size)
		*size = done;
	return data;
}

int test_write_file(const char *path, const void *data, size_t size)
{
	FILE *f = fopen(path, "wbe");
	int err = 0;

	if (!f)
		return -errno;
	if (size && fwrite(data, 1, size, f) != size)
		err = -EIO;
	if (fclose(f))
		err = -EIO;
	return err;
}

char *test_make_temp_dir(void)
{
	char *path = path_join(env_or("TMPDIR", "/tmp"), "", "aipu-test-XXXXXX");

	if (mkdtemp(path))
		return path;
	free(path);
	return NULL;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

int test_remove_tree(const char *path)
{
	return nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) ? -errno : 0;
}

int test_ids_read(const char *path, struct test_ids *ids)
{
	char *text, *line, *rest;
	size_t lines = 0;

	memset(ids, 0, sizeof(*ids));
	text = test_read_file(path, NULL);
	if (!text)
		return -errno;
	for (char *c = text; *c; c++)
		lines += *c == '\n';
	ids->steps = calloc(lines + 1, sizeof(*ids->steps));
	if (!ids->steps) {
		free(text);
		return -ENOMEM;
	}
	rest = text;
	while ((line = strsep(&rest, "\n")) && *line) {
		struct test_step *step = &ids->steps[ids->n];
		int end = 0;

		if (sscanf(line, "%" SCNu32 " %" SCNu32 " %" SCNu32 " %f%n", &step->position,
			   &step->input, &step->next, &step->logit, &end) != 4 ||
		    line[end] || step->position != ids->n) {
			free(text);
			return -EINVAL;
		}
		ids->n++;
	}
	free(text);
	return ids->n ? 0 : -EINVAL;
}

void test_ids_free(struct test_ids *ids)
{
	free(ids->steps);
	memset(ids, 0, sizeof(*ids));
}

struct piece {
	const char *bytes;
	uint32_t length;
};

/* The file: int32 longest piece, then for each entry float32 score, int32 length, the bytes. */
static struct piece *vocab_parse(const char *data, size_t size, size_t vocab_size)
{
	struct piece *pieces = calloc(vocab_size, sizeof(*pieces));
	size_t at = 4;

	for (size_t i = 0; pieces && i < vocab_size; i++) {
		if (at + 8 > size) {
			free(pieces);
			return NULL;
		}
		memcpy(&pieces[i].length, data + at + 4, 4);
		pieces[i].bytes = data + at + 8;
		at += 8;
		if (pieces[i].length > size - at) {
			free(pieces);
			return NULL;
		}
		at += pieces[i].length;
	}
	return pieces;
}

/* Bytes that a piece stands for: itself, or one byte when it is spelled "<0xHH>". */
static size_t piece_spell(const struct piece *piece, char out[], size_t room)
{
	unsigned int byte;

	if (piece->length == 6 && room >= 1 && !strncmp(piece->bytes, "<0x", 3) &&
	    sscanf(piece->bytes, "<0x%02X>", &byte) == 1) {
		out[0] = (char)byte;
		return 1;
	}
	if (piece->length > room)
		return room + 1;
	memcpy(out, piece->bytes, piece->length);
	return piece->length;
}

size_t test_ids_count_prompt(const struct test_ids *ids, const char *vocab_path, size_t vocab_size,
			     const char *prompt)
{
	size_t length = strlen(prompt), spelled = 0, size, count = 0;
	struct piece *pieces;
	char *data, *text;

	if (!ids->n)
		return 0;
	if (!length)
		return 1;
	data = test_read_file(vocab_path, &size);
	if (!data)
		return 0;
	pieces = vocab_parse(data, size, vocab_size);
	/* The tokenizer puts one space before the text. */
	text = malloc(length + 1);
	for (size_t i = 1; pieces && text && i < ids->n && ids->steps[i].input < vocab_size; i++) {
		size_t n = piece_spell(&pieces[ids->steps[i].input], text + spelled,
				       length + 1 - spelled);

		if (n > length + 1 - spelled)
			break;
		spelled += n;
		if (spelled == length + 1) {
			if (text[0] == ' ' && !memcmp(text + 1, prompt, length))
				count = i + 1;
			break;
		}
	}
	free(text);
	free(pieces);
	free(data);
	return count;
}
