// SPDX-License-Identifier: MIT
/*
 * The QPC directory: container, tokenizer, generation settings, specializations.json. Called by aipu-compile. It is
 * made under a hidden name beside the target and renamed when whole, so that no half of one ever stands under
 * the target's name; what fails is removed again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "input.h"

#define TOKENIZER_LIMIT (64u << 20)
#define GENERATION_CONFIG_LIMIT (1u << 20)

static const char *const file_names[] = { "model.qpc", "tokenizer.model", "generation_config.json",
					  "specializations.json" };

/* The directory while it is filled, and the name that it will get, for messages */
struct place {
	int fd;
	const char *path;
};

static int put_file(const struct place *at, const char *name, const void *data, size_t bytes,
		    struct aipu_message *message)
{
	int fd = openat(at->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	const char *from = data;
	int err = fd < 0 ? -errno : 0;

	while (!err && bytes) {
		ssize_t n = write(fd, from, bytes);

		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n > 0) {
			from += n;
			bytes -= (size_t)n;
		}
	}
	if (fd >= 0 && close(fd) && !err)
		err = -errno;
	if (err)
		return compile_fail(message, err, "%s/%s: cannot write it: %s", at->path, name,
				    strerror(-err));
	return 0;
}

static int put_json(const struct place *at, const char *name, json_t *root,
		    struct aipu_message *message)
{
	char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
	char *line = NULL;
	int err;

	json_decref(root);
	if (!text || asprintf(&line, "%s\n", text) < 0)
		err = compile_fail(message, -ENOMEM, "%s", strerror(ENOMEM));
	else
		err = put_file(at, name, line, strlen(line), message);
	free(text);
	free(line);
	return err;
}

static int put_copy(const struct place *at, const char *name, const char *from, size_t limit,
		    struct aipu_message *message)
{
	size_t bytes;
	char *text;
	int err = input_load(from, limit, &text, &bytes, message);

	if (err)
		return err;
	err = put_file(at, name, text, bytes, message);
	free(text);
	return err;
}

static int put_generation_config(const struct place *at, const struct compile_shape *s,
				 struct aipu_message *message)
{
	json_t *root = json_object(), *stop = json_array();
	uint32_t i;

	if (s->bos_id != ~0u)
		json_object_set_new(root, "bos_token_id", json_integer(s->bos_id));
	for (i = 0; i < s->stop_count; i++)
		json_array_append_new(stop, json_integer(s->stop_ids[i]));
	json_object_set_new(root, "eos_token_id", stop);
	return put_json(at, "generation_config.json", root, message);
}

static int put_specializations(const struct place *at, const struct compile_options *o,
			       struct aipu_message *message)
{
	return put_json(at, "specializations.json",
			json_pack("{s:[{s:s, s:i, s:i, s:i}, {s:s, s:i, s:i, s:i}]}",
				  "specializations", "name", "prefill", "batch_size",
				  (int)o->batch_size, "seq_len", (int)o->prompt_len, "ctx_len",
				  (int)o->ctx_len, "name", "decode", "batch_size",
				  (int)o->batch_size, "seq_len", 1, "ctx_len", (int)o->ctx_len),
			message);
}

static int put_container(const struct place *at, const struct compile_source *source,
			 const struct compile_options *options, struct aipu_message *message)
{
	int fd = openat(at->fd, file_names[0], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666), err;

	if (fd < 0) {
		err = -errno;
		return compile_fail(message, err, "%s/%s: cannot write it: %s", at->path,
				    file_names[0], strerror(-err));
	}
	err = compile_write(source, options, fd, message);
	/* Errors that only writing has; the line knew of no path. */
	if (err == -ENOSPC || err == -EFBIG || err == -EDQUOT)
		compile_fail(message, err, "%s/%s: cannot write it: %s", at->path, file_names[0],
			     strerror(-err));
	/* No fsync(): it would take longer than the work, and digests show what a power failure spoilt. */
	if (close(fd) && !err)
		err = compile_fail(message, -errno, "%s/%s: cannot write it: %s", at->path,
				   file_names[0], strerror(errno));
	return err;
}

static int place_open(int parent, const char *name)
{
	return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/*
 * Removes a directory that holds nothing but files of a QPC directory. fd: of it, or negative when nothing was put
 * there. 0 or -errno
 */
static int place_remove(int parent, const char *name, int fd)
{
	size_t i;

	for (i = 0; fd >= 0 && i < sizeof(file_names) / sizeof(file_names[0]); i++)
		unlinkat(fd, file_names[i], 0);
	return unlinkat(parent, name, AT_REMOVEDIR) ? -errno : 0;
}

/*
 * What a compile of the same name left that was killed: its process is gone, and nobody holds the lock that it took
 * (a process of another PID namespace would hold it). Whatever goes wrong here is left for the next time.
 */
static void remove_stale(int parent, const char *name)
{
	int list = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, length;
	DIR *directory = list < 0 ? NULL : fdopendir(list);
	const struct dirent *entry;
	char begin[256];
	long pid;

	if (!directory) {
		if (list >= 0)
			close(list);
		return;
	}
	length = snprintf(begin, sizeof(begin), ".%s.", name);
	while ((entry = readdir(directory))) {
		char *end;

		if (strncmp(entry->d_name, begin, (size_t)length))
			continue;
		pid = strtol(entry->d_name + length, &end, 10);
		if (pid <= 0 || pid > INT32_MAX || strcmp(end, ".tmp") || !kill((pid_t)pid, 0) ||
		    errno != ESRCH)
			continue;
		fd = place_open(parent, entry->d_name);
		if (fd < 0)
			continue;
		if (!flock(fd, LOCK_EX | LOCK_NB))
			place_remove(parent, entry->d_name, fd);
		close(fd);
	}
	closedir(directory);
}

/*
 * Gives the finished directory its name. An older one is moved aside first and removed last: it must be a
 * QPC directory, so that --force never removes what the compiler did not make.
 */
static int publish(int parent, const char *temporary, const char *name, bool force,
		   const char *path, struct aipu_message *message)
{
	char old[300];
	int err, fd;

	if (!renameat2(parent, temporary, parent, name, RENAME_NOREPLACE))
		return 0;
	/* Not every file system knows RENAME_NOREPLACE; a plain rename replaces empty directories only. */
	if (errno == EINVAL && !renameat(parent, temporary, parent, name))
		return 0;
	err = -errno;
	if ((err != -EEXIST && err != -ENOTEMPTY) || !force)
		return compile_fail(message, err, "%s: %s", path, strerror(-err));
	snprintf(old, sizeof(old), "%s.old", temporary);
	if (renameat(parent, name, parent, old))
		return compile_fail(message, -errno, "%s: cannot replace it: %s", path,
				    strerror(errno));
	if (renameat(parent, temporary, parent, name)) {
		err = -errno;
		renameat(parent, old, parent, name);
		return compile_fail(message, err, "%s: %s", path, strerror(-err));
	}
	fd = place_open(parent, old);
	err = fd < 0 ? -errno : place_remove(parent, old, fd);
	if (fd >= 0)
		close(fd);
	if (err)
		return compile_fail(message, err, "%s: made, but the old one is left as %s: %s",
				    path, old, strerror(-err));
	return 0;
}

/* Whether a directory holds a container, and nothing that the compiler did not make. 0, or -errno and `foreign` */
static int only_ours(int parent, const char *name, char *foreign, size_t bytes)
{
	int fd = place_open(parent, name), err = 0;
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	bool container = false;
	size_t i;

	if (!directory) {
		err = -errno;
		if (fd >= 0)
			close(fd);
		return err == -ENOTDIR || err == -ELOOP ? -EEXIST : err;
	}
	while (!err && (entry = readdir(directory))) {
		for (i = 0; i < sizeof(file_names) / sizeof(file_names[0]); i++)
			if (!strcmp(entry->d_name, file_names[i]))
				break;
		container |= i == 0; /* file_names[0] */
		if (i < sizeof(file_names) / sizeof(file_names[0]) || !strcmp(entry->d_name, ".") ||
		    !strcmp(entry->d_name, ".."))
			continue;
		snprintf(foreign, bytes, "%s", entry->d_name);
		err = -EEXIST;
	}
	closedir(directory);
	return err ? err : container ? 0 : -EEXIST;
}

/* Whether the target may be made, or replaced */
static int check_target(int parent, const char *name, const struct compile_directory *d,
			struct aipu_message *message)
{
	char foreign[256] = "";
	struct stat st;
	int err;

	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT
			       ? 0
			       : compile_fail(message, -errno, "%s: %s", d->path, strerror(errno));
	if (!d->force)
		return compile_fail(message, -EEXIST, "%s: exists already; --force replaces it",
				    d->path);
	err = only_ours(parent, name, foreign, sizeof(foreign));
	if (err == -EEXIST)
		return compile_fail(message, err,
				    "%s: is not a QPC directory%s%s; --force replaces only those",
				    d->path, foreign[0] ? ", it holds " : "", foreign);
	return err ? compile_fail(message, err, "%s: %s", d->path, strerror(-err)) : 0;
}

static int fill_place(struct place *at, const struct compile_source *source,
		      const struct compile_options *options, const struct compile_directory *d,
		      struct aipu_message *message)
{
	int err = put_specializations(at, options, message);

	if (!err && d->tokenizer)
		err = put_copy(at, "tokenizer.model", d->tokenizer, TOKENIZER_LIMIT, message);
	if (!err && d->generation_config)
		err = put_copy(at, "generation_config.json", d->generation_config,
			       GENERATION_CONFIG_LIMIT, message);
	else if (!err)
		err = put_generation_config(at, &source->shape, message);
	return err ? err : put_container(at, source, options, message);
}

/* Splits path into its parent, opened, and its name. Returns the descriptor or -errno. */
static int open_parent(const char *path, char *name, size_t bytes, struct aipu_message *message)
{
	char *copy = strdup(path), *slash;
	size_t length;
	int fd;

	if (!copy)
		return compile_fail(message, -ENOMEM, "%s", strerror(ENOMEM));
	for (length = strlen(copy); length > 1 && copy[length - 1] == '/'; length--)
		copy[length - 1] = '\0';
	slash = strrchr(copy, '/');
	if ((size_t)snprintf(name, bytes, "%s", slash ? slash + 1 : copy) >= bytes || !name[0] ||
	    !strcmp(name, ".") || !strcmp(name, "..")) {
		free(copy);
		return compile_fail(message, -EINVAL, "%s: not a name for a new directory", path);
	}
	if (slash)
		slash[slash == copy] = '\0';
	fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = compile_fail(message, -errno, "%s: %s", slash ? copy : ".", strerror(errno));
	free(copy);
	return fd;
}

int compile_to_directory(const struct compile_source *source, const struct compile_options *options,
			 const struct compile_directory *directory, struct aipu_message *message)
{
	struct compile_options checked = *options;
	char name[200], temporary[280];
	struct place at;
	int parent, err;

	err = compile_check(&source->shape, &checked, message);
	if (err)
		return err;
	parent = open_parent(directory->path, name, sizeof(name), message);
	if (parent < 0)
		return parent;
	err = check_target(parent, name, directory, message);
	if (err)
		goto out;
	remove_stale(parent, name);
	snprintf(temporary, sizeof(temporary), ".%s.%ld.tmp", name, (long)getpid());
	if (mkdirat(parent, temporary, 0777)) {
		err = compile_fail(message, -errno, "%s: cannot make a directory there: %s",
				   directory->path, strerror(errno));
		goto out;
	}
	at.path = directory->path;
	at.fd = place_open(parent, temporary);
	err = at.fd < 0 ? compile_fail(message, -errno, "%s: %s", directory->path, strerror(errno))
			: 0;
	/* Held until the end, see remove_stale(); not every file system has locks. */
	if (!err)
		flock(at.fd, LOCK_EX | LOCK_NB);
	if (!err)
		err = fill_place(&at, source, &checked, directory, message);
	if (!err && checked.stop && *checked.stop)
		err = compile_fail(message, -EINTR, "interrupted");
	if (!err)
		err = publish(parent, temporary, name, directory->force, directory->path, message);
	if (err)
		place_remove(parent, temporary, at.fd);
	if (at.fd >= 0)
		close(at.fd);
out:
	close(parent);
	return err;
}
