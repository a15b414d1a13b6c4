#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What `make install` puts down is enough to build a program and to run a tool, from any prefix, and
# `make uninstall` takes it all away. Installs what is built; builds nothing in the build directory.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

: "${CC:=gcc}"
cd "$SRC" || exit 1
stage=$TMPDIR/stage
prefix=/opt/aipu
mk()
{
	make -s BUILD="$BUILD" PREFIX="$prefix" DESTDIR="$stage" "$@"
}

pc()
{
	PKG_CONFIG_LIBDIR="$stage$prefix/lib/pkgconfig" PKG_CONFIG_SYSROOT_DIR="$stage" pkg-config "$@"
}

# A program of a user: only installed headers and libraries. Runs without a device.
cat >"$TMPDIR/user.c" <<'T'
#include <aipu/aipu.h>
#include <aipu/llm.h>
#include <stdio.h>

int main(void)
{
	struct aipu_device *device;
	struct aipu_message message = { "" };

	if (aipu_device_open(&device, "no-such-device", NULL, &message) == 0 || !message.text[0])
		return 1;
	puts(aipu_version());
	return 0;
}
T

compile_user()
{
	# shellcheck disable=SC2046,SC2086
	$CC -std=c17 -Wall -Wextra -Werror ${SAN:+-fsanitize=$SAN} -o "$TMPDIR/user" "$TMPDIR/user.c" \
		$(pc --cflags --libs aipu-llm aipu)
}

run_user()
{
	out=$(LD_LIBRARY_PATH="$stage$prefix/lib" "$TMPDIR/user") || return
	[ "$out" = "$(pc --modversion aipu)" ] || { echo "library $out, pkg-config another"; return 1; }
}

# The tree moved elsewhere: nothing in it may name the build directory or the prefix.
run_tool()
{
	"$stage$prefix/bin/$1" --version
}

no_build_path()
{
	! grep -rlF -e "$BUILD/" "$stage$prefix/bin" "$stage$prefix/lib/pkgconfig" &&
		! readelf -d "$stage$prefix"/bin/* "$stage$prefix"/lib/*.so "$stage$prefix"/lib/aipu/*.so |
		grep -E 'R(UN)?PATH.*/' | grep -v 'ORIGIN'
}

soft_device()
{
	cat >"$TMPDIR/soft.c" <<'T'
#include <aipu/aipu.h>
#include <stdio.h>

int main(void)
{
	struct aipu_device *device;
	struct aipu_message message = { "" };
	int err = aipu_device_open(&device, "soft", NULL, &message);

	if (err)
		return printf("%d: %s\n", err, message.text), 1;
	aipu_device_close(device);
	return 0;
}
T
	# shellcheck disable=SC2046,SC2086
	$CC -std=c17 ${SAN:+-fsanitize=$SAN} -o "$TMPDIR/soft" "$TMPDIR/soft.c" \
		$(pc --cflags --libs aipu) && LD_LIBRARY_PATH="$stage$prefix/lib" "$TMPDIR/soft"
}

tap_ok "install into a staging directory" mk install-files
tap_ok "headers and libraries are enough for a program" compile_user
tap_ok "the program runs" run_user
tap_ok "the installed library finds and boots the software device" soft_device
for tool in "$stage$prefix"/bin/*; do
	name=${tool##*/}
	tap_ok "$name --version from the staging directory" run_tool "$name"
done
tap_ok "every man page of a tool is installed" \
	sh -c "for p in docs/man/*.1; do [ ! -e \$p ] || [ -f '$stage$prefix/share/man/man1/'\${p##*/} ] || exit 1; done"
if command -v readelf >/dev/null; then
	tap_ok "nothing names the build directory" no_build_path
else
	tap_skip "nothing names the build directory" "no readelf"
fi
tap_ok "uninstall" mk uninstall
tap_ok "nothing is left" test -z "$(find "$stage" ! -type d)"
tap_done
