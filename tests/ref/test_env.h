/* SPDX-License-Identifier: MIT */
/*
 * What every test needs to find its surroundings: the test models, the source and build
 * directories, whole files and reference transcripts. Called by the unit tests; it must never
 * decide whether a test passes, and it keeps no state: each returned pointer belongs to the caller.
 */
#ifndef TEST_ENV_H
#define TEST_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * test_models_path() - path of a file or directory below the test models
 * @name: for instance "stories260K/stories260K.bin"; "" for the directory itself
 *
 * The directory is $AIPU_TEST_MODELS (a relative one counts from the working directory), by default
 * ../shared/models next to the source directory.
 *
 * Return: a string to free(); the file need not exist (see test_models_have()).
 */
char *test_models_path(const char *name);

/*
 * Path below the source directory: $SRC, else the directory compiled in (AIPU_SRC_DIR), else ".".
 * To free().
 */
char *test_source_path(const char *name);

/* Path below the build directory: $BUILD, else build/ in the source directory. To free(). */
char *test_build_path(const char *name);

/**
 * test_models_have(), test_source_have() - whether a file is there, and say so on stdout when it is
 * not
 * @name: as for test_models_path(), test_source_path()
 *
 * Meant for "if (!test_models_have(name)) skip();" before anything is allocated: skip() does not
 * return.
 */
bool test_models_have(const char *name);
bool test_source_have(const char *name);

/**
 * test_read_file() - read a whole regular file
 * @path: what to read
 * @size: set to its length in bytes; may be NULL
 *
 * Return: the bytes, followed by one zero byte that @size does not count, to free(); NULL with
 * errno set on failure.
 */
void *test_read_file(const char *path, size_t *size);

/* Write a whole file, replacing what is there. 0 or -errno. */
int test_write_file(const char *path, const void *data, size_t size);

/**
 * test_make_temp_dir() - make an empty directory of one's own below $TMPDIR (default /tmp)
 *
 * Return: its path to free(), NULL with errno set on failure. Remove it with test_remove_tree().
 */
char *test_make_temp_dir(void);

/* Remove a directory and everything in it, symbolic links not followed. 0 or -errno. */
int test_remove_tree(const char *path);

/*
 * One line of a transcript: at this position this token went in and that one came next, with this
 * logit.
 */
struct test_step {
	uint32_t position;
	uint32_t input;
	uint32_t next;
	float logit;
};

struct test_ids {
	size_t n;
	struct test_step *steps;
};

/**
 * test_ids_read() - read a transcript (.ids): "position input next logit" on each line
 * @path: the file
 * @ids: filled in; release with test_ids_free(), which may also be called after a failure
 *
 * Return: 0, -errno when the file cannot be read, -EINVAL when a line is malformed or positions do
 * not count from 0.
 */
int test_ids_read(const char *path, struct test_ids *ids);
void test_ids_free(struct test_ids *ids);

/**
 * test_ids_count_prompt() - how many tokens at the start of a transcript are its prompt
 * @ids: the transcript; its first input is BOS
 * @vocab_path: the vocabulary in llama2.c's format (tok512.bin)
 * @vocab_size: number of entries in it
 * @prompt: the prompt's text
 *
 * The next token of step i was forced for i + 1 < the result; from there on it is the argmax. The
 * count is found by spelling out the input tokens, so it needs no tokenizer.
 *
 * Return: the count with BOS, 0 when the transcript does not begin with the prompt or the
 * vocabulary is unreadable.
 */
size_t test_ids_count_prompt(const struct test_ids *ids, const char *vocab_path, size_t vocab_size,
			     const char *prompt);

#endif
