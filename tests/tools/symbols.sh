#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What the libraries export, need and reach: exactly the symbol maps, all of them versioned, none of a
# name that another vendor's library already has; libaipu alone on libc; the soft transport knows the
# device model by its registers, its memory window, create and destroy only.
# shellcheck source=tests/tools/_tap.sh
. "$(dirname "$0")/_tap.sh"

cd "$SRC" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Function names of the Zhouyi NPU's user library (libaipudrv), which shares the prefix.
foreign="add_batch clean_batch_queue clean_job config_batch_dump config_global config_job
	create_batch_queue create_job debugger_bind_job debugger_free debugger_get_core_info
	debugger_get_job_info debugger_malloc debugger_run_job deinit_context finish_batch finish_job
	flush_job free get_cluster_count get_core_count get_device_status get_elf_note_size
	get_error_message get_job_status get_partition_count get_status_message get_target get_tensor
	get_tensor_count get_tensor_descriptor get_va init_context ioctl load_graph load_graph_helper
	load_output_tensor load_share_weight_graph load_tensor malloc memcpy printf read_elf_note
	rewrite_rodata specify_iobuf unload_graph"

# exported FILE: "name version" of each defined dynamic symbol but the version nodes themselves
exported()
{
	nm -D --defined-only --with-symbol-versions "$1" |
		awk '$2 != "A" { split($3, part, "@+"); print part[1], part[2] }' | sort
}

# mapped FILE: the same from a version script
mapped()
{
	awk '/\{/ { node = $1 } /global:/ { on = 1 } /local:/ { on = 0 }
		on && /^[ \t]*[a-z][a-z0-9_]*;/ { sub(/;.*/, "", $1); print $1, node }' "$1" | sort
}

same()
{
	exported "$1" >"$work/exported"
	mapped "$2" >"$work/mapped"
	[ -s "$work/mapped" ] || return 1
	diff -u "$work/mapped" "$work/exported"
}

prefixed()
{
	! exported "$1" | grep -v '^aipu_'
}

unlike()
{
	# shellcheck disable=SC2086
	printf 'aipu_%s\n' $foreign | sort >"$work/foreign"
	exported "$1" | cut -d' ' -f1 | sort -u >"$work/names"
	[ -z "$(comm -12 "$work/foreign" "$work/names" | tee /dev/stderr)" ]
}

# needs FILE: what it is linked with, but the C library and a sanitizer's run time
needs()
{
	readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -vE '^(libc|ld-linux.*|lib(dl|pthread)|lib[a-z]*san)\.so'
}

only_libc()
{
	[ -z "$(needs "$1" | tee /dev/stderr)" ]
}

without()
{
	! needs "$1" | grep -E "$2"
}

# header_is_mapped MAP HEADER...: the functions of the public headers are those of the map
header_is_mapped()
{
	map=$1
	shift
	sed 's,/\*.*\*/,,; /\/\*/,/\*\//d' "$@" | grep -v '^#\|^	' | grep -oE '\baipu_[a-z0-9_]+\(' |
		tr -d '(' | sort -u >"$work/declared"
	mapped "$map" | cut -d' ' -f1 >"$work/mapped"
	diff -u "$work/declared" "$work/mapped"
}

# The transport's own objects; the archive is made for the tests from the same ones
model_entries()
{
	printf 'aipu_dm_%s\n' create destroy memory read32 write32 >"$work/allowed"
	find "$BUILD/obj/userspace/libaipu/soft" -name '*.o' -exec nm -u {} + |
		grep -oE '\b(aipu_)?dm_[a-z0-9_]+' | sort -u >"$work/used"
	diff -u "$work/allowed" "$work/used"
}

for pair in libaipu.so.0:userspace/libaipu/libaipu.map \
	libaipu-llm.so.0:userspace/llm/libaipu-llm.map \
	libaipu-soft.so:userspace/libaipu/soft/libaipu-soft.map; do
	library=$BUILD/lib/${pair%%:*}
	name=${pair%%:*}
	tap_ok "$name exports what its map says" same "$library" "${pair#*:}"
	tap_ok "$name exports only aipu_ names" prefixed "$library"
	tap_ok "$name exports no name of the Zhouyi library" unlike "$library"
done
tap_ok "libaipu.map is aipu.h and manage.h" header_is_mapped userspace/libaipu/libaipu.map \
	userspace/include/aipu/aipu.h userspace/include/aipu/manage.h
tap_ok "libaipu-llm.map is llm.h and qpc.h" header_is_mapped userspace/llm/libaipu-llm.map \
	userspace/include/aipu/llm.h userspace/include/aipu/qpc.h
tap_ok "libaipu.so needs libc only" only_libc "$BUILD/lib/libaipu.so.0"
tap_ok "libaipu-llm.so is not linked with a transport" \
	without "$BUILD/lib/libaipu-llm.so.0" '^libaipu-(soft|dm)'
tap_ok "the soft transport reaches the model by registers and BAR2 only" model_entries

# They can fail: a library that exports what no map says
bad_library()
{
	echo 'int aipu_init_context(void) { return 0; } int stray;' |
		"${CC:-gcc}" -xc -shared -fPIC -o "$work/bad.so" - || return 1
	! same "$work/bad.so" userspace/libaipu/libaipu.map >/dev/null && ! prefixed "$work/bad.so" &&
		! unlike "$work/bad.so" 2>/dev/null
}
tap_ok "a library with stray and foreign names fails each of these" bad_library
tap_done
