// SPDX-License-Identifier: MIT
/*
 * seeded_kcov FILE WORD: writes WORD to FILE with KCOV recording this thread; succeeds if places in
 * kernel code were recorded. Runs in the guest, called by _seeded.sh; every kernel but one with
 * KCOV and an instrumented module behind FILE makes it fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcov.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ENTRIES 4096u /* words; the first counts the others */

static int fail(const char *what)
{
	printf("# seeded_kcov: %s: %s\n", what, strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	uint64_t *cover, count;
	int fd, file;

	if (argc != 3) {
		fprintf(stderr, "usage: seeded_kcov FILE WORD\n");
		return 2;
	}
	file = open(argv[1], O_WRONLY);
	if (file < 0)
		return fail(argv[1]);
	fd = open("/sys/kernel/debug/kcov", O_RDWR);
	if (fd < 0)
		return fail("/sys/kernel/debug/kcov");
	if (ioctl(fd, KCOV_INIT_TRACE, (unsigned long)ENTRIES))
		return fail("KCOV_INIT_TRACE");
	cover = mmap(NULL, ENTRIES * sizeof(*cover), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (cover == MAP_FAILED)
		return fail("mmap of kcov");
	if (ioctl(fd, KCOV_ENABLE, (unsigned long)KCOV_TRACE_PC))
		return fail("KCOV_ENABLE");
	__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
	if (write(file, argv[2], strlen(argv[2])) < 0)
		return fail(argv[1]);
	count = __atomic_load_n(&cover[0], __ATOMIC_RELAXED);
	if (ioctl(fd, KCOV_DISABLE, 0UL))
		return fail("KCOV_DISABLE");
	printf("# seeded_kcov: %llu places, the first at 0x%llx\n", (unsigned long long)count,
	       (unsigned long long)cover[1]);
	return count > 0 ? 0 : 1;
}
