// SPDX-License-Identifier: MIT
/*
 * The socket file, from check to removal. Called by main.c. A client that sees the file can connect: it gets its name only
 * when the socket listens. It takes the place of nothing but a dead server's socket.
 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli.h"

#define TOOL "aipu-emu"
#define BACKLOG 16

/* The name before it is ready: PATH, a dot, a process id of at most seven digits */
#define SUFFIX_BYTES 8u
#define MAX_PATH_BYTES (sizeof(((struct sockaddr_un *)0)->sun_path) - 1 - SUFFIX_BYTES)

static int fail(const char *path, int err)
{
	return cli_fail(TOOL, cli_exit_code(err), "--socket %s: %s", path, strerror(-err));
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, strnlen(path, sizeof(address.sun_path) - 1));
	return address;
}

/* 0: nobody listens there any more; 1: somebody does; -errno */
static int is_live(const char *path)
{
	const struct sockaddr_un address = address_of(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		err = errno;
	close(fd);
	if (!err || err == EAGAIN) /* its queue of clients is full */
		return 1;
	return err == ECONNREFUSED || err == ENOENT ? 0 : -err;
}

int emu_listen_check(const char *path)
{
	struct stat info;
	int live;

	if (!*path)
		return cli_fail(TOOL, CLI_USAGE, "--socket '': a path is expected");
	if (strlen(path) > MAX_PATH_BYTES)
		return cli_fail(
			TOOL, CLI_USAGE,
			"--socket %s: a path of %zu bytes is too long for a socket, at most "
			"%zu are expected",
			path, strlen(path), MAX_PATH_BYTES);
	if (lstat(path, &info))
		return errno == ENOENT ? 0 : fail(path, -errno);
	if (!S_ISSOCK(info.st_mode))
		return cli_fail(TOOL, CLI_FAILED, "--socket %s: there is a file that is no socket",
				path);
	live = is_live(path);
	if (live < 0)
		return fail(path, live);
	return live ? cli_fail(TOOL, CLI_FAILED, "--socket %s: another server listens there", path)
		    : 0;
}

/* Gives the listening socket its name. One that came meanwhile is looked at; a dead server's is replaced. */
static int publish(const char *temporary, const char *path)
{
	int code;

	if (!renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE))
		return 0;
	/* EINVAL: the file system cannot do that */
	if (errno != EEXIST && errno != EINVAL)
		return fail(path, -errno);
	code = emu_listen_check(path);
	if (code)
		return code;
	return rename(temporary, path) ? fail(path, -errno) : 0;
}

int emu_listen_open(const char *path, struct emu_listener *listener)
{
	char temporary[sizeof(((struct sockaddr_un *)0)->sun_path)];
	struct sockaddr_un address;
	struct stat info;
	int code;

	code = emu_listen_check(path);
	if (code)
		return code;
	snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid());
	address = address_of(temporary);
	listener->path = path;
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return fail(path, -errno);
	/* Left by a server of the same number that was killed at the wrong moment */
	if (!lstat(temporary, &info) && S_ISSOCK(info.st_mode))
		unlink(temporary);
	if (bind(listener->fd, (const struct sockaddr *)&address, sizeof(address))) {
		code = fail(path, -errno);
		goto close_socket;
	}
	if (listen(listener->fd, BACKLOG) || lstat(temporary, &info)) {
		code = fail(path, -errno);
		goto remove_file;
	}
	listener->device = info.st_dev;
	listener->inode = info.st_ino;
	code = publish(temporary, path);
	if (!code)
		return 0;
remove_file:
	unlink(temporary);
close_socket:
	close(listener->fd);
	return code;
}

void emu_listen_close(struct emu_listener *listener)
{
	struct stat info;

	if (!lstat(listener->path, &info) && info.st_dev == listener->device &&
	    info.st_ino == listener->inode)
		unlink(listener->path);
	close(listener->fd);
}

int emu_listen_accept(int listener)
{
	const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		return fd;
	/* A client that went away again is no error of ours. */
	return errno == EINTR || errno == ECONNABORTED || errno == EWOULDBLOCK ? -EAGAIN : -errno;
}
