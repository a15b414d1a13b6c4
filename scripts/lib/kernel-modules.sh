# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Headers, and modules built against them: the part of scripts/kernel that compiles. Sourced by it
# alone. Sources are copied before anything is built, so that they stay clean and kernels do not mix.

# -- headers ---------------------------------------------------------------------------------------

# headers_fetched KERNEL RELEASE: Debian's headers as they are unpacked.
headers_fetched()
{
	local version=${2%-amd64}

	debs fetch "linux-headers-$1" "$(suite_of "$1")" "linux-headers-$2" \
		"linux-headers-$version-common" "linux-kbuild-$version"
}

# make_headers ENTRY ROOT RELEASE: a copy that works wherever it lies. Their makefiles name /usr/src.
# The image of the kernel's types (vmlinux) goes, since it asks for a tool that few have.
make_headers()
{
	local tmp dir

	cache_temp tmp
	mkdir -p "$tmp/h/usr/lib"
	cp -a "$2/usr/src" "$tmp/h/usr/"
	cp -a "$2"/usr/lib/linux-kbuild-* "$tmp/h/usr/lib/"
	dir=$tmp/h/usr/src/linux-headers-$3
	rm -f "$dir/vmlinux"
	# shellcheck disable=SC2016
	{
		echo 'headers_dir := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))'
		sed 's#/usr/src/#$(headers_dir)/../#g' "$2/usr/src/linux-headers-$3/Makefile"
	} >"$dir/Makefile.new"
	mv "$dir/Makefile.new" "$dir/Makefile"
	cache_publish "$tmp/h" "$1" >/dev/null
	cache_drop "$tmp"
}

# headers_host KERNEL RELEASE: prints the directory for "make -C".
headers_host()
{
	local root entry at

	root=$(headers_fetched "$1" "$2")
	entry=kernel/headers-$1/$({ declare -f make_headers; cat "${root%/root}/packages"; } | cache_key)
	if ! at=$(cache_find "$entry"); then
		cache_lock headers_lock "kernel/headers-$1"
		cache_find "$entry" >/dev/null || make_headers "$entry" "$root" "$2"
		cache_unlock headers_lock
		at=$(cache_find "$entry")
		cache_expire "kernel/headers-$1/"
	fi
	cache_touch "$at"
	printf '%s\n' "$at/usr/src/linux-headers-$2"
}

do_headers()
{
	local dir
	dir=$(do_kernel "$1")
	case $1 in
	debug) printf '%s\n' "$dir/headers" ;;
	*) headers_host "$1" "$(cat "$dir/release")" ;;
	esac
}

# -- where modules are compiled --------------------------------------------------------------------

# gcc_of KERNEL_DIRECTORY: the major version of the compiler that built it.
gcc_of()
{
	local v
	v=$(sed -n 's/^CONFIG_GCC_VERSION=//p' "$1/config")
	[ -n "$v" ] || die "$1/config does not say which gcc built it"
	echo $((v / 10000))
}

# Has this machine the compiler, and do the headers' own programs run here?
host_fits()
{
	local headers=$1 gcc=$2 said

	[ -z "${AIPU_MODULE_TREE:-}" ] || return 1
	command -v "x86_64-linux-gnu-gcc-$gcc" >/dev/null && command -v make >/dev/null || return 1
	# Without arguments it says how to be called and fails.
	said=$("$headers/scripts/basic/fixdep" 2>&1) || true
	[[ ${said,,} == *usage* ]]
}

# The Debian tree with the compiler for a kernel, and what its build calls.
build_tree()
{
	local kernel=$1 release=$2 gcc=$3 suite

	suite=$(suite_of "$kernel")
	debs tree "module-build-$kernel" "${suite%-backports},$suite" "gcc-$gcc" make \
		"linux-kbuild-${release%-amd64}" dash coreutils sed mawk grep findutils diffutils perl
}

# in_tree TREE HEADERS_ROOT WORK COMMAND...: runs it with TREE as the root, the headers in /usr/src and
# WORK in /mnt. The mounts are seen by the command alone and end with it.
in_tree()
{
	local tree=$1 headers=$2 work=$3 how=(-m --propagation private)
	shift 3

	if [ "$(id -u)" -ne 0 ]; then
		how=(-r "${how[@]}")
	elif ! unshare "${how[@]}" true 2>/dev/null; then
		# Within a chroot whose root is no mount of its own; what is mounted may be seen outside.
		how=(-m --propagation unchanged)
	fi
	# shellcheck disable=SC2016
	unshare "${how[@]}" -- /bin/sh -c '
		set -e
		tree=$1
		trap "cd /; for d in tmp proc dev mnt usr/src; do
			umount -l \"\$tree/\$d\" 2>/dev/null || true; done" EXIT
		mount --bind "$2" "$tree/usr/src"
		mount --bind "$3" "$tree/mnt"
		mount --rbind /dev "$tree/dev"
		mount --rbind /proc "$tree/proc"
		mount -t tmpfs tmpfs "$tree/tmp"
		shift 3
		chroot "$tree" /usr/bin/env -i PATH=/usr/bin LC_ALL=C "$@"
	' in_tree "$tree" "$headers" "$work" "$@"
}

# -- modules ---------------------------------------------------------------------------------------

# Of the repository, what modules may include from outside of their own directory.
shared_headers="firmware-abi userspace/include kernel tests/guest"

# mirror DIR TO: copies it to where it lies below TO, with the headers around it; prints where.
mirror()
{
	local dir=$1 to=$2 rel d

	if [ "$dir" = "$top" ]; then
		# The driver: of the whole tree this is what it is made of.
		tar -C "$top" -ch --exclude='*.o' --exclude='*.ko' --exclude='*.cmd' --exclude='*.mod' \
			--exclude='*.mod.c' Kbuild kernel firmware-abi | tar -C "$to" -x
		echo .
		return
	fi
	rel=${dir#"$top"/}
	if [ "$rel" != "$dir" ]; then
		for d in $shared_headers; do
			[ -d "$top/$d" ] || continue
			(cd "$top" && find "$d" -name '*.h' -print0 -o -name '*.mk' -print0 | tar -ch --null -T -) |
				tar -C "$to" -x
		done
	else
		rel=${dir##*/}
	fi
	mkdir -p "$to/$rel"
	tar -C "$dir" -ch --exclude='*.o' --exclude='*.ko' --exclude='*.cmd' --exclude='*.mod' \
		--exclude='*.mod.c' --exclude='Module.symvers' --exclude='modules.order' . |
		tar -C "$to/$rel" -x
	printf '%s\n' "$rel"
}

# digest DIRECTORY: of all names and contents in it.
digest()
{
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum) | cache_key
}

# kbuild_args HEADERS SOURCE WORK: the arguments of make, one a line.
kbuild_args()
{
	printf '%s\n' -C "$1" "M=$2" W=1 "KCFLAGS=-Werror -fmacro-prefix-map=$3/=" \
		KBUILD_BUILD_USER=aipu KBUILD_BUILD_HOST=aipu KBUILD_BUILD_TIMESTAMP=@0 \
		CONFIG_DEBUG_INFO_BTF_MODULES= "-j$(nproc)" modules
}

# compile_modules WORK REL LOG
compile_modules()
{
	local work=$1 rel=$2 args

	if [ -n "$tree" ]; then
		mapfile -t args < <(kbuild_args "/usr/src/linux-headers-$release" "/mnt/$rel" /mnt)
		in_tree "$tree" "$headers_root/usr/src" "$work" make "${args[@]}"
	else
		mapfile -t args < <(kbuild_args "$headers" "$work/$rel" "$work")
		[ "$kernel" != debug ] || args+=("CC=${AIPU_KERNEL_CC:-gcc}")
		env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u O -u V -u C -u KBUILD_OUTPUT LC_ALL=C \
			make "${args[@]}"
	fi >"$3" 2>&1 </dev/null
}

# show LOG WORK REL DIR: the log, without what went well, with names as the caller knows them.
show()
{
	grep -v '^ *\(CC\|LD\|AR\|MODPOST\) \|^make.*ing directory' "$1" | tail -n 60 |
		sed "s#\(/mnt\|$2\)/$3/#$4/#g; s#\(/mnt\|$2\)/##g" >&2
}

# make_modules ENTRY MIRROR REL DIR
make_modules()
{
	local entry=$1 rel=$3 dir=$4 work tmp start=$SECONDS

	# A place that does not change with each run: compilers write it into coverage data.
	work=$(cache_dir)/work/${entry//\//-}
	mkdir -p "${work%/*}"
	find "${work%/*}" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -rf {} +
	rm -rf "$work"
	mv "$2" "$work"
	cache_temp tmp
	if ! compile_modules "$work" "$rel" "$tmp/log"; then
		show "$tmp/log" "$work" "$rel" "$dir"
		cache_drop "$tmp"
		rm -rf "$work"
		die "$dir does not compile for $kernel"
	fi
	# Kbuild's own remarks about tools that are not those of the kernel's builder are none.
	if grep -vE '^warning: (the compiler|pahole) ' "$tmp/log" | grep -qiE '(^|[ :])warning: '; then
		show "$tmp/log" "$work" "$rel" "$dir"
		cache_drop "$tmp"
		rm -rf "$work"
		die "$dir compiles with warnings for $kernel"
	fi
	mkdir "$tmp/out"
	find "$work/$rel" \( -name '*.ko' -o -name '*.gcno' -o -name Module.symvers \) \
		-exec cp -t "$tmp/out" {} +
	compgen -G "$tmp/out/*.ko" >/dev/null || die "$dir builds no module for $kernel"
	printf '%s\n' "$work/$rel" >"$tmp/out/where"
	cache_publish "$tmp/out" "$entry" >/dev/null
	cache_drop "$tmp"
	rm -rf "$work"
	cache_expire "${entry%/*}/"
	say "$kernel: $dir built in $((SECONDS - start)) s"
}

# Sets $headers, and $tree and $headers_root if this machine cannot build for the kernel itself.
prepare_compiler()
{
	local image gcc

	image=$(do_kernel "$kernel")
	release=$(cat "$image/release")
	if [ "$kernel" = debug ]; then
		need "${AIPU_KERNEL_CC:-gcc}" make
		headers=$image/headers
		compiler=$("${AIPU_KERNEL_CC:-gcc}" --version)
		return
	fi
	gcc=$(gcc_of "$image")
	headers=$(headers_host "$kernel" "$release")
	if host_fits "$headers" "$gcc"; then
		compiler=$("x86_64-linux-gnu-gcc-$gcc" --version)
		return
	fi
	need unshare chroot
	headers_root=$(headers_fetched "$kernel" "$release")
	tree=$(build_tree "$kernel" "$release" "$gcc")
	compiler=$(cat "${tree%/root}/packages")
	in_tree "$tree" "$headers_root/usr/src" "$tree/tmp" true || die "$kernel needs gcc-$gcc, which" \
		"this machine has not, and the Debian tree with it cannot be entered: neither root with" \
		"the right to mount nor user name spaces"
}

do_modules()
{
	local kernel=$1 dir out=$3 headers="" headers_root="" tree="" release compiler
	local tmp rel key entry at

	dir=$(cd "$2" && pwd -P)
	prepare_compiler
	cache_temp tmp
	mkdir "$tmp/m"
	rel=$(mirror "$dir" "$tmp/m")
	key=$({
		digest "$tmp/m"
		declare -f compile_modules kbuild_args make_modules in_tree
		printf '%s\n' "$rel" "$release" "$compiler" "$(cache_key <"$headers/Module.symvers")" \
			"$(cache_key <"$headers/.config")"
	} | cache_key)
	entry=kernel/modules/$key
	if ! at=$(cache_find "$entry"); then
		cache_lock lock "kernel/modules-${key:0:2}"
		at=$(cache_find "$entry") || make_modules "$entry" "$tmp/m" "$rel" "$dir"
		cache_unlock lock
		at=$(cache_find "$entry")
	fi
	cache_drop "$tmp"
	cache_touch "$at"
	if [ -n "$out" ]; then
		mkdir -p "$out"
		cp "$at"/* "$out/"
		at=$out
	fi
	printf '%s\n' "$at"
}
