# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The cache that scripts share: sourced by those that make something expensive (unpacked packages,
# kernels, built modules), run by none. An entry is a directory or file whose name says what it was
# made from; it appears whole, by a rename, or not at all, and is never changed afterwards. Two runs
# that need the same entry take its lock, so one makes it and the other finds it.
#
# Entries are searched in $AIPU_CACHE (read only, may belong to somebody else) and then in the
# directory that cache_dir names. Needs bash, coreutils and flock.

# cache_dir: prints the directory that this user may write; makes it.
cache_dir()
{
	local dir

	dir=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/aipu
	if ! { mkdir -p "$dir" && [ -w "$dir" ] && [ -x "$dir" ]; } 2>/dev/null; then
		# An ordinary user with a home of somebody else's. Others may write beside it, so it
		# must be this user's own.
		dir=${TMPDIR:-/tmp}/aipu-cache-$(id -u)
		mkdir -p -m 700 "$dir" 2>/dev/null || true
		if [ ! -d "$dir" ] || [ -L "$dir" ] || [ ! -O "$dir" ] || [ ! -w "$dir" ]; then
			echo "${0##*/}: no cache: neither ${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}" \
				"nor $dir can be written; set XDG_CACHE_HOME" >&2
			return 1
		fi
	fi
	printf '%s\n' "$dir"
}

# cache_find ENTRY: prints where it is, or fails.
cache_find()
{
	local dir

	for dir in "${AIPU_CACHE:-}" "$(cache_dir)"; do
		if [ -n "$dir" ] && [ -e "$dir/$1" ] && [ -r "$dir/$1" ]; then
			printf '%s\n' "$dir/$1"
			return 0
		fi
	done
	return 1
}

# cache_newest PREFIX/: prints the entry below it that was made or used last, or fails.
cache_newest()
{
	local dir entry newest=""

	for dir in "${AIPU_CACHE:-}" "$(cache_dir)"; do
		[ -n "$dir" ] || continue
		for entry in "$dir/$1"*; do
			[ -d "$entry" ] && [ -r "$entry" ] || continue
			if [ -z "$newest" ] || [ "$entry" -nt "$newest" ]; then
				newest=$entry
			fi
		done
	done
	[ -n "$newest" ] || return 1
	printf '%s\n' "$newest"
}

# cache_key FILE...: prints a digest of their contents; without files, of standard input.
cache_key()
{
	cat -- "$@" | sha256sum | cut -c1-32
}

# cache_lock VARIABLE NAME: waits until nobody else holds that name and keeps it until
# cache_unlock VARIABLE or the end of this process and of its children that inherited the file.
cache_lock()
{
	local cache_file cache_fd
	cache_file=$(cache_dir)/locks || return 1
	mkdir -p "$cache_file"
	cache_file=$cache_file/${2//\//,}
	exec {cache_fd}>>"$cache_file"
	if ! flock -n "$cache_fd"; then
		echo "${0##*/}: another run makes $2, waiting for it" >&2
		flock "$cache_fd"
	fi
	printf -v "$1" '%s' "$cache_fd"
}

cache_unlock()
{
	local cache_fd=${!1}
	exec {cache_fd}>&-
}

# What runs that were killed left: a temporary directory whose lock nobody holds.
cache_sweep()
{
	local lock fd

	for lock in "$1"/*.lock; do
		[ -e "$lock" ] || continue
		exec {fd}>>"$lock"
		if flock -n "$fd"; then
			chmod -R u+w "${lock%.lock}" 2>/dev/null || true
			rm -rf --one-file-system "${lock%.lock}" "$lock"
		fi
		exec {fd}>&-
	done
}

# cache_temp VARIABLE: sets it to a new empty directory that cache_publish can rename from. It is
# removed by a later run if this one dies.
cache_temp()
{
	local cache_tmp cache_new cache_fd
	cache_tmp=$(cache_dir)/tmp || return 1
	mkdir -p "$cache_tmp"
	cache_sweep "$cache_tmp"
	while :; do
		cache_new=$(mktemp "$cache_tmp/XXXXXXXX.lock") || return 1
		exec {cache_fd}>>"$cache_new"
		flock "$cache_fd"
		# Swept by another run between the two lines above?
		[ -e "$cache_new" ] && break
		exec {cache_fd}>&-
	done
	mkdir "${cache_new%.lock}"
	printf -v "$1" '%s' "${cache_new%.lock}"
}

# cache_drop DIRECTORY: of cache_temp, when it is not wanted any more.
cache_drop()
{
	chmod -R u+w "$1" 2>/dev/null || true
	rm -rf --one-file-system "$1" "$1.lock"
}

# cache_publish DIRECTORY ENTRY: what was made in DIRECTORY (of cache_temp, or below one) becomes
# that entry; prints where it is. If the entry exists already, that one stays.
cache_publish()
{
	local to
	to=$(cache_dir)/$2 || return 1
	mkdir -p "$(dirname "$to")"
	mv -T -n "$1" "$to" 2>/dev/null || true
	if [ -e "$1" ]; then
		[ -e "$to" ] || {
			echo "${0##*/}: cannot make the cache entry $to" >&2
			return 1
		}
		cache_drop "$1"
	fi
	rm -f "$1.lock"
	printf '%s\n' "$to"
}

# cache_touch PATH: says that it is used, which keeps it from cache_expire.
cache_touch()
{
	touch -c "$1" 2>/dev/null || true
}

# cache_expire PREFIX/: removes the entries below it that nothing used for 30 days.
cache_expire()
{
	local entry

	for entry in "$(cache_dir)/$1"*; do
		[ -d "$entry" ] && [ ! -L "$entry" ] || continue
		if [ -n "$(find "$entry" -maxdepth 0 -mtime +30)" ]; then
			chmod -R u+w "$entry" 2>/dev/null || true
			rm -rf --one-file-system "$entry"
		fi
	done
}
