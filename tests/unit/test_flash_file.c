// SPDX-License-Identifier: MIT
/* Files that play a card's flash: absent, kept, of one writer, and names that are no such file. */
#include "aipu/flash_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64], path[128];

static int setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/aipu-test-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/a/b/card.flash", directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	snprintf(path, sizeof(path), "%s/a/b", directory);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/a", directory);
	rmdir(path);
	return rmdir(directory);
}

static struct aipu_flash_file *file_open(void)
{
	struct aipu_flash_file *file;

	assert_int_equal(aipu_flash_file_open(path, AIPU_FLASH_FILE_BYTES, &file), 0);
	return file;
}

static void an_absent_file_is_empty_and_stays_absent(void **state)
{
	struct aipu_flash_file *file = file_open();
	uint8_t got[3] = { 1, 2, 3 };

	(void)state;
	assert_int_equal(aipu_flash_file_bytes(file), AIPU_FLASH_FILE_BYTES);
	assert_int_equal(aipu_flash_file_read(file, 4096, got, 3), 0);
	assert_memory_equal(got, "\0\0\0", 3);
	aipu_flash_file_close(file);
	assert_int_equal(access(path, F_OK), -1);
}

/* What is wrong with the directory is told, not that there is no file then. Permissions do not bind root: as somebody else */
static void a_directory_that_cannot_be_made(void **state)
{
	struct aipu_flash_file *file = file_open();
	uid_t own = geteuid();
	int err;

	(void)state;
	assert_int_equal(chmod(directory, 0555), 0);
	if (!own && seteuid(65534)) {
		aipu_flash_file_close(file);
		skip(); /* a user namespace without another user */
	}
	err = aipu_flash_file_write(file, 0, "x", 1);
	assert_int_equal(seteuid(own), 0);
	assert_int_equal(chmod(directory, 0700), 0);
	aipu_flash_file_close(file);
	assert_int_equal(err, -EACCES);
}

static void what_is_written_is_kept(void **state)
{
	struct aipu_flash_file *file = file_open();
	struct stat status;
	char got[6] = "";

	(void)state;
	assert_int_equal(aipu_flash_file_write(file, 8190, "hello", 5), 0);
	assert_int_equal(aipu_flash_file_read(file, 8190, got, 5), 0);
	assert_string_equal(got, "hello");
	aipu_flash_file_close(file);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_size, AIPU_FLASH_FILE_BYTES);
	assert_int_equal(status.st_mode & 0777, 0600);
	file = file_open();
	memset(got, 0, sizeof(got));
	assert_int_equal(aipu_flash_file_read(file, 8190, got, 5), 0);
	assert_string_equal(got, "hello");
	aipu_flash_file_close(file);
}

static void one_writes_at_a_time(void **state)
{
	struct aipu_flash_file *first = file_open(), *second = file_open();
	char got;

	(void)state;
	assert_int_equal(aipu_flash_file_write(first, 9000, "1", 1), 0);
	assert_int_equal(aipu_flash_file_write(second, 9000, "2", 1), -EBUSY);
	aipu_flash_file_close(first);
	assert_int_equal(aipu_flash_file_write(second, 9000, "2", 1), 0);
	assert_int_equal(aipu_flash_file_read(second, 9000, &got, 1), 0);
	assert_int_equal(got, '2');
	aipu_flash_file_close(second);
}

/* The records lie at the beginning: who knows them as they were does not write by that */
static void an_older_view_writes_no_more(void **state)
{
	struct aipu_flash_file *first = file_open(), *second = file_open(), *third;

	(void)state;
	assert_int_equal(aipu_flash_file_write(first, 4096, "A", 1), 0);
	third = file_open();
	aipu_flash_file_release(first);
	assert_int_equal(aipu_flash_file_write(second, 9000, "2", 1), -ESTALE);
	assert_int_equal(aipu_flash_file_write(third, 4096, "AI", 2), 0);
	assert_int_equal(aipu_flash_file_write(first, 9000, "1", 1), -EBUSY);
	aipu_flash_file_release(third);
	assert_int_equal(aipu_flash_file_write(first, 9000, "1", 1), -ESTALE);
	assert_int_equal(aipu_flash_file_write(third, 9000, "3", 1), 0);
	/* Replaced by another file */
	aipu_flash_file_release(third);
	unlink(path);
	assert_int_equal(aipu_flash_file_write(third, 9000, "3", 1), -ESTALE);
	aipu_flash_file_close(first);
	aipu_flash_file_close(second);
	aipu_flash_file_close(third);
}

static void what_is_no_flash(void **state)
{
	struct aipu_flash_file *file = file_open();

	(void)state;
	assert_int_equal(aipu_flash_file_write(file, 0, "1", 1), 0);
	aipu_flash_file_close(file);
	assert_int_equal(aipu_flash_file_open(path, 1 << 20, &file), -EBADMSG);
	assert_int_equal(aipu_flash_file_open(directory, 1 << 20, &file), -EINVAL);
	assert_int_equal(truncate(path, 1000), 0);
	assert_int_equal(aipu_flash_file_open(path, 1 << 20, &file), -EFBIG);
	assert_int_equal(truncate(path, 33 << 20), 0);
	assert_int_equal(aipu_flash_file_open(path, 1 << 20, &file), -EFBIG);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(aipu_flash_file_open(path, 1 << 20, &file), -EINVAL);
	unlink(path);
	assert_int_equal(symlink("card.flash", path), 0);
	assert_int_equal(aipu_flash_file_open(path, 1 << 20, &file), -ELOOP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_absent_file_is_empty_and_stays_absent, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_made, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_written_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(one_writes_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(an_older_view_writes_no_more, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_no_flash, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
