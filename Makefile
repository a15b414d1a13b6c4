# SPDX-License-Identifier: MIT
#
# The one build file. Every list is a wildcard: a new source file needs no change here.
#
#   make                      libraries, tools, default firmware -> $(BUILD)
#   make check [PATTERN=...]  build the tests and run them
#   make install DESTDIR= PREFIX=/usr/local
#   make modules | modules_install INSTALL_MOD_PATH= | install-dkms    the kernel driver, for the headers in KDIR
#   make guest-tests          tests for guests that are written with the kernel's harness (fetches it)
#   make fuzz                 fuzz targets (clang, libFuzzer) -> $(BUILD)/tests/fuzz
#   make format-check | clean | uninstall
#
# WERROR=1 makes warnings errors, SAN=address,undefined or SAN=thread builds into a directory of
# its own with those sanitizers, V=1 shows the commands.

VERSION := 0.9.0
SOVERSION := 0

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
ifeq ($(origin AR),default)
AR := gcc-ar
endif
FUZZ_CC ?= clang
FUZZ_CXX ?= clang++
CLANG_FORMAT ?= clang-format
PKG_CONFIG ?= pkg-config

comma := ,
SRC := $(CURDIR)
BUILD ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))

# Before anything is built: lists of make and the -I and -L of pkg-config are split at spaces.
no_space = $(foreach v,$(1),$(if $(word 2,-$($(v))-),$(error \
	$(v)="$($(v))" has a space in it; a directory without one is expected)))
$(call no_space,BUILD)

DESTDIR ?=
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
MANDIR ?= $(PREFIX)/share/man
# What README, docs and man pages name by its place in the source has the same one here.
DOCDIR ?= $(PREFIX)/share/doc/aipu
UDEVDIR ?= $(PREFIX)/lib/udev/rules.d
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
# Where the kernel looks, whatever the prefix
FIRMWAREDIR ?= /lib/firmware
KDIR ?= /lib/modules/$(shell uname -r)/build
INSTALL_MOD_PATH ?= $(DESTDIR)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

# -- flags -----------------------------------------------------------------------------------------

ifeq ($(origin CFLAGS),undefined)
# Checks around every access make a compiler slow; at -O1 it is bearable and finds no less.
CFLAGS := $(if $(SAN)$(FUZZ),-O1,-O2) -g
OPT_COMPUTE := $(if $(SAN)$(FUZZ),,-O3)
endif
CXXFLAGS ?= $(CFLAGS)

san_flags := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer $(if \
	$(findstring undefined,$(SAN)),-fno-sanitize-recover=undefined))
# Set by the fuzz target's own make: compile for libFuzzer, build archives only.
ifdef FUZZ
san_flags := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
endif

WARN := -Wall -Wextra
WERROR_FLAG := $(if $(filter 1,$(WERROR)),-Werror)
base_cpp := -D_GNU_SOURCE -DAIPU_PACKAGE_VERSION='"$(VERSION)"' -Ifirmware-abi -Iuserspace/include
# No contraction of a*b+c anywhere: numerics are contract, a compiler must not change a bit.
base_c := -fPIC -pthread -ffp-contract=off -fno-math-errno $(san_flags)
all_c = $(base_cpp) $(INC) $(CPPFLAGS) -std=c17 $(base_c) $(WARN) $(CFLAGS) $(OPT) $(SIMD)
all_cxx = $(base_cpp) $(INC) $(CPPFLAGS) -std=c++17 $(base_c) $(WARN) $(CXXFLAGS) $(OPT)
all_ld = -pthread $(san_flags) -Wl,--as-needed -Wl,-z,now -Wl,-z,relro $(LDFLAGS)
lib_ld = -shared $(if $(FUZZ),,-Wl,--no-undefined) $(all_ld)

PKGS := jansson libcrypto
SYS_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null || echo -ljansson -lcrypto)
# For fmaf() where the CPU has no FMA: exact by IEEE 754, and the only thing numerics take from libm.
MATH_LIBS := -lm
DRM_CFLAGS := $(subst -I,-isystem ,$(shell $(PKG_CONFIG) --cflags libdrm 2>/dev/null || echo -I/usr/include/libdrm))
DRM_LIBS := $(shell $(PKG_CONFIG) --libs libdrm liburing 2>/dev/null || echo -ldrm -luring)
PCI_LIBS := $(shell $(PKG_CONFIG) --libs libpci 2>/dev/null || echo -lpci)
SPM_LIBS := $(shell $(PKG_CONFIG) --libs sentencepiece 2>/dev/null || echo -lsentencepiece)

# SIMD sources are built for x86-64 only; the code that dispatches knows by __x86_64__.
x86 := $(findstring x86_64,$(shell $(CC) -dumpmachine))
simd_filter = $(if $(x86),$(1),$(filter-out %_avx2.c %_avx512.c,$(1)))

# -- sources ---------------------------------------------------------------------------------------

rwild = $(foreach d,$(wildcard $(1)/*),$(call rwild,$(d),$(2)) $(filter $(2),$(d)))
objs = $(patsubst %,$(BUILD)/obj/%.o,$(basename $(1)))

dm_src := $(call simd_filter,$(sort $(call rwild,userspace/device-model,%.c)))
aipu_src := $(sort $(wildcard userspace/libaipu/*.c))
soft_src := $(sort $(wildcard userspace/libaipu/soft/*.c))
drm_src := $(sort $(wildcard userspace/libaipu/drm/*.c))
llm_src := $(sort $(wildcard userspace/llm/*.c userspace/llm/*.cc))
# Any other directory of userspace/ is a static library for libaipu-llm, tools and tests.
part_names := $(filter-out include device-model libaipu llm,$(patsubst userspace/%/,%,$(sort \
	$(dir $(wildcard userspace/*/*.c)))))
part_src = $(sort $(wildcard userspace/$(1)/*.c))
all_part_src := $(foreach p,$(part_names),$(call part_src,$(p)))
common_src := $(sort $(wildcard tools/common/*.c))
# Of cards, GPL, partly since it needs libpci: linked by the tools that say so in libs.mk
cards_src := $(sort $(wildcard tools/cards/*.c))
tool_names := $(patsubst tools/%/main.c,%,$(sort $(wildcard tools/*/main.c)))
tool_src = $(sort $(wildcard tools/$(1)/*.c))
all_tool_src := $(filter-out $(common_src) $(cards_src),$(sort $(wildcard tools/*/*.c)))
ref_src := $(sort $(wildcard tests/ref/*.c))
unit_src := $(sort $(wildcard tests/unit/test_*.c))
unit_common_src := $(filter-out $(unit_src),$(sort $(wildcard tests/unit/*.c)))
bench_src := $(if $(x86),$(sort $(wildcard tests/bench/*.c)))
# One program for each way to reach a device: tests/abi/access_NAME.c.
abi_access := $(patsubst tests/abi/access_%.c,%,$(sort $(wildcard tests/abi/access_*.c)))
abi_src := $(sort $(wildcard tests/abi/*.c))
abi_common_src := $(filter-out tests/abi/access_%.c,$(abi_src))
# A client of aipu-emu for tests, and tests/abi's driver over it
emu_src := $(sort $(wildcard tests/emu/*.c))
fuzz_src := $(sort $(wildcard tests/fuzz/fuzz_*.c))
fuzz_common_src := $(filter-out $(fuzz_src),$(sort $(wildcard tests/fuzz/*.c)))

-include $(wildcard tools/*/libs.mk)
# LDFLAGS_<test> := ... of one unit test
-include $(wildcard tests/unit/*.mk)

# -- products --------------------------------------------------------------------------------------

L := $(BUILD)/lib
FW_TOOL ?= $(BUILD)/bin/aipu-fw
FW_IMAGE ?= $(BUILD)/firmware/aipu-soft.fw
have_fw := $(wildcard tools/aipu-fw/*.c)
fw_a := $(if $(have_fw),$(L)/libaipu-firmware.a)

dm_a := $(if $(dm_src),$(L)/libaipu-dm.a)
ref_a := $(if $(ref_src),$(L)/libaipu-ref.a)
parts_a := $(if $(part_names),$(L)/libaipu-parts.a)
common_a := $(if $(common_src),$(L)/libtools-common.a)
cards_a := $(if $(cards_src),$(L)/libtools-cards.a)
# Not installed and not linked by tools: lets tests and fuzz targets reach internals.
aipu_a := $(if $(aipu_src),$(L)/libaipu-static.a)
soft_a := $(if $(soft_src),$(L)/libaipu-soft-static.a)
llm_a := $(if $(llm_src),$(L)/libaipu-llm-static.a)
tools_a := $(if $(all_tool_src),$(L)/libtools-all.a)

emu_a := $(if $(emu_src),$(L)/libaipu-emu-test.a)

aipu_so := $(if $(aipu_src),$(L)/libaipu.so.$(SOVERSION))
llm_so := $(if $(llm_src),$(L)/libaipu-llm.so.$(SOVERSION))
soft_so := $(if $(soft_src),$(L)/libaipu-soft.so)
drm_so := $(if $(drm_src),$(L)/libaipu-drm.so)
links := $(patsubst %.$(SOVERSION),%,$(aipu_so) $(llm_so))

tools := $(addprefix $(BUILD)/bin/,$(tool_names))
units := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(unit_src))
benches := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(bench_src))
abi_program = $(BUILD)/tests/abi/aipu-abi-test$(if $(filter-out soft,$(1)),-$(1))
abi_tests := $(foreach a,$(abi_access),$(call abi_program,$(a)))
# The same for a whole generation, tests/guest/generate.c.
gen_src := $(wildcard tests/guest/generate.c)
gen_program = $(BUILD)/tests/guest/generate$(if $(filter-out soft,$(1)),-$(1))
gen_tests := $(if $(gen_src),$(foreach a,$(abi_access),$(call gen_program,$(a))))
# Small programs that run in guests; selftest_* are written with the test harness of the kernel.
guest_src := $(filter-out $(gen_src),$(sort $(wildcard tests/guest/*.c)))
guest_selftests := $(patsubst %.c,$(BUILD)/%,$(filter tests/guest/selftest_%,$(guest_src)))
guest_programs := $(filter-out $(guest_selftests),$(patsubst %.c,$(BUILD)/%,$(guest_src)))
FUZZ_OUT ?= $(BUILD)/tests/fuzz
fuzzers := $(patsubst tests/fuzz/%.c,$(FUZZ_OUT)/%,$(fuzz_src))

module_goals := modules modules_install modules_uninstall install-dkms
.PHONY: all tests guest-tests check install install-files uninstall clean format-check format fuzz \
	fuzz-targets $(module_goals)
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

all: $(dm_a) $(aipu_so) $(llm_so) $(soft_so) $(drm_so) $(links) $(tools) $(if $(have_fw),$(FW_IMAGE))
tests: all $(units) $(abi_tests) $(gen_tests) $(guest_programs) $(benches)
guest-tests: $(guest_programs) $(guest_selftests)

# -- compiling -------------------------------------------------------------------------------------

# A change of compiler or flags rebuilds; WERROR is not one of them (see below).
flags_now := $(CC) $(CXX) $(base_cpp) $(base_c) $(WARN) $(CPPFLAGS) $(CFLAGS) $(CXXFLAGS) $(LDFLAGS)
ifeq ($(filter clean uninstall install-files format-check format $(module_goals),$(MAKECMDGOALS)),)
$(shell mkdir -p $(BUILD) && f=$(BUILD)/.flags && printf '%s\n' '$(subst ','\'',$(flags_now))' >$$f.$$$$ && \
	if cmp -s $$f.$$$$ $$f; then rm -f $$f.$$$$; else mv $$f.$$$$ $$f; fi)
# An object that compiled with warnings while they were no errors is compiled again now that they are.
ifneq ($(WERROR_FLAG),)
$(shell find $(BUILD)/obj -name '*.o.warn' 2>/dev/null | while read -r w; do rm -f "$${w%.warn}" "$$w"; done)
endif
endif

$(BUILD)/.flags:
	@mkdir -p $(@D) && printf '%s\n' '$(subst ','\'',$(flags_now))' >$@

# $(1): compiler and flags. Keeps what the compiler said in $@.warn unless it said nothing.
define compile
@mkdir -p $(@D)
$(Q)$(1) $(WERROR_FLAG) -MMD -MP -c -o $@ $< 2>$@.warn; rc=$$?; \
	if [ -s $@.warn ]; then cat $@.warn >&2; else rm -f $@.warn; fi; exit $$rc
endef

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	$(call say,CC,$<)
	$(call compile,$(CC) $(all_c))

$(BUILD)/obj/%.o: %.cc $(BUILD)/.flags
	$(call say,CXX,$<)
	$(call compile,$(CXX) $(all_cxx))

# Who may include what: dependencies point down only.
$(BUILD)/obj/userspace/device-model/%: INC = -Iuserspace/device-model
$(BUILD)/obj/userspace/device-model/compute/%: OPT = $(OPT_COMPUTE)
$(BUILD)/obj/%_avx2.o: SIMD = -mavx2 -mfma -mf16c
# With undefined-behaviour checks clang needs minutes for these; the gcc builds have the checks.
$(BUILD)/obj/%_avx512.o: SIMD = -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mfma -mf16c \
	$(if $(FUZZ),-fno-sanitize=undefined)
$(BUILD)/obj/userspace/libaipu/%: INC = -Iuserspace/libaipu
# The system's own headers are no place for our warnings.
$(BUILD)/obj/userspace/libaipu/drm/%: INC = -Iuserspace/libaipu -Ikernel/include/uapi $(DRM_CFLAGS)
$(BUILD)/obj/userspace/llm/%: INC = -Iuserspace/llm
$(BUILD)/obj/tools/%: INC = -Itools/common -Itools/cards -Iuserspace $(part_names:%=-Iuserspace/%)
# Which versions of the driver's user API there are
$(BUILD)/obj/tools/aipu-fwcheck/collect.o: INC = -Itools/common -Itools/cards -Ikernel/include/uapi $(DRM_CFLAGS)
$(BUILD)/obj/tests/%: INC = -Iuserspace/device-model -Iuserspace/libaipu -Iuserspace/llm -Itests/ref \
	-Itests/unit -Itests/emu -Itests/abi -Itools -Itools/common -Itools/cards -Iuserspace $(part_names:%=-Iuserspace/%)
$(BUILD)/obj/tests/ref/%: INC = -Itests/ref
$(BUILD)/obj/tests/abi/%: INC = -Itests/abi -Itests/emu -Itools
$(BUILD)/obj/tests/emu/%: INC = -Itests/emu -Itests/abi
$(BUILD)/obj/tests/guest/%: INC = -Itests/abi
$(BUILD)/obj/tests/unit/test_libaipu_card.o: INC += -Itests/guest
$(BUILD)/obj/tests/guest/overdue.o: INC = -Ikernel/include/uapi $(DRM_CFLAGS)
$(BUILD)/obj/tests/bench/doors.o: INC = -Ikernel/include/uapi -Itests/guest $(DRM_CFLAGS)

# -- archives --------------------------------------------------------------------------------------

# Quick append to a new file: "r" would drop the first of two members of one name (a/x.o, b/x.o).
define archive
$(call say,AR,$@)
@mkdir -p $(@D)
$(Q)rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)
endef

# $(1): an archive, $(2): its sources, where there are any
archive_of = $(if $(1),$(eval $(1): $(call objs,$(2)) ; $$(archive)))
$(call archive_of,$(dm_a),$(dm_src))
$(call archive_of,$(ref_a),$(ref_src))
$(call archive_of,$(parts_a),$(all_part_src))
$(call archive_of,$(common_a),$(common_src))
$(call archive_of,$(cards_a),$(cards_src))
$(call archive_of,$(aipu_a),$(aipu_src))
$(call archive_of,$(soft_a),$(soft_src))
$(call archive_of,$(llm_a),$(llm_src))
$(call archive_of,$(emu_a),$(emu_src) tests/abi/driver.c tests/abi/access_emu.c)
$(call archive_of,$(tools_a),$(all_tool_src))

# -- the default firmware image --------------------------------------------------------------------

ifneq ($(have_fw),)
$(BUILD)/firmware/aipu-soft.fw: $(FW_TOOL) firmware-abi/development.pem
	$(call say,FW,$@)
	@mkdir -p $(@D)
	$(Q)$(FW_TOOL) pack --default --key firmware-abi/development.pem -o $@

# .incbin names the image by its path from the source directory, where the assembler runs.
$(BUILD)/firmware/aipu-soft-fw.S: $(FW_IMAGE) Makefile
	@mkdir -p $(@D)
	@printf '%s\n' \
		'	.section .rodata' \
		'	.balign 4096' \
		'	.globl aipu_soft_firmware, aipu_soft_firmware_end' \
		'	.type aipu_soft_firmware, %object' \
		'	.type aipu_soft_firmware_end, %object' \
		'aipu_soft_firmware:' \
		'	.incbin "$(FW_IMAGE)"' \
		'aipu_soft_firmware_end:' \
		'	.byte 0' \
		'	.section .note.GNU-stack,"",%progbits' >$@

$(BUILD)/firmware/aipu-soft-fw.o: $(BUILD)/firmware/aipu-soft-fw.S
	$(Q)$(CC) -c -o $@ $<

$(fw_a): $(BUILD)/firmware/aipu-soft-fw.o ; $(archive)
endif

# -- shared objects --------------------------------------------------------------------------------

# Without a map (a component that has just begun) a library exports everything.
ifneq ($(aipu_so),)
aipu_map := $(wildcard userspace/libaipu/libaipu.map)
$(aipu_so): $(call objs,$(aipu_src)) $(aipu_map)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(lib_ld) -Wl,-soname,$(@F) $(aipu_map:%=-Wl,--version-script=%) -o $@ \
		$(filter %.o,$^) $(SYS_LIBS)
endif

ifneq ($(llm_so),)
llm_map := $(wildcard userspace/llm/libaipu-llm.map)
$(llm_so): $(call objs,$(llm_src)) $(llm_map) $(aipu_so) $(parts_a)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(lib_ld) -Wl,-soname,$(@F) $(llm_map:%=-Wl,--version-script=%) \
		-Wl,-rpath,'$$ORIGIN' -Wl,--exclude-libs,ALL -o $@ \
		$(filter %.o,$^) $(parts_a) $(aipu_so) $(SPM_LIBS) $(SYS_LIBS)
endif

ifneq ($(soft_so),)
soft_map := $(wildcard userspace/libaipu/soft/libaipu-soft.map)
$(soft_so): $(call objs,$(soft_src)) $(soft_map) $(dm_a) $(fw_a) $(aipu_so)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(lib_ld) -Wl,-soname,$(@F) $(soft_map:%=-Wl,--version-script=%) \
		-Wl,--exclude-libs,ALL -Wl,-rpath,'$$ORIGIN:$$ORIGIN/..' -o $@ \
		$(filter %.o,$^) -Wl,--start-group $(dm_a) $(fw_a) -Wl,--end-group $(aipu_so) $(SYS_LIBS) $(MATH_LIBS)
endif

ifneq ($(drm_so),)
drm_map := $(wildcard userspace/libaipu/drm/libaipu-drm.map)
$(drm_so): $(call objs,$(drm_src)) $(drm_map) $(aipu_so)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(lib_ld) -Wl,-soname,$(@F) $(drm_map:%=-Wl,--version-script=%) \
		-Wl,-rpath,'$$ORIGIN:$$ORIGIN/..' -o $@ $(filter %.o,$^) $(aipu_so) $(DRM_LIBS) $(SYS_LIBS)
endif

$(links): %.so: %.so.$(SOVERSION)
	@ln -sf $(<F) $@

# -- tools -----------------------------------------------------------------------------------------

# aipu-fw makes the image that libaipu-soft.so holds, so it comes before all libraries but libaipu, which opens that one
# when a device is asked for; aipu-emu is the device.
no_libs := aipu-fw aipu-emu
tool_libs = $(if $(filter $(1),aipu-emu),,$(if $(filter $(1),aipu-fw),,$(llm_so)) $(aipu_so))
tool_parts = $(if $(filter $(1),$(no_libs)),,$(parts_a))

define tool_rule
$(BUILD)/bin/$(1): $(call objs,$(call tool_src,$(1))) $(common_a) $(call tool_libs,$(1)) \
		$(call tool_parts,$(1)) $(filter %.a,$(LIBS_$(1))) $(if $(filter $(1),$(no_libs)),,| $(links) $(soft_so) $(drm_so))
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(all_ld) -Wl,-rpath,'$$$$ORIGIN/../lib' -Wl,-rpath-link,$(L) -o $$@ \
		$$(filter %.o,$$^) $(common_a) $(call tool_parts,$(1)) $(LIBS_$(1)) $(common_a) \
		$(call tool_libs,$(1)) $$(SYS_LIBS) $$(MATH_LIBS)
endef
$(foreach t,$(tool_names),$(eval $(call tool_rule,$(t))))

# -- tests -----------------------------------------------------------------------------------------

# Shared libraries first: what they export comes from them; only internals come from the archives.
test_a := $(ref_a) $(emu_a) $(tools_a) $(cards_a) $(common_a) $(parts_a) $(soft_a) $(llm_a) $(aipu_a) $(dm_a) $(fw_a)
test_libs = $(llm_so) $(aipu_so) -Wl,--start-group $(test_a) -Wl,--end-group \
	$(SPM_LIBS) -lstdc++ $(SYS_LIBS) $(PCI_LIBS) $(MATH_LIBS)
CMOCKA_LIBS := $(shell $(PKG_CONFIG) --libs cmocka 2>/dev/null || echo -lcmocka)

$(units): $(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(call objs,$(unit_common_src)) $(test_a) \
		$(llm_so) $(aipu_so) | $(links) $(soft_so) $(drm_so)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ld) $(LDFLAGS_$*) -Wl,-rpath,'$$ORIGIN/../../lib' -Wl,-rpath-link,$(L) -o $@ \
		$(filter %.o,$^) $(test_libs) $(CMOCKA_LIBS)

define abi_rule
$(call abi_program,$(1)): $(call objs,$(abi_common_src) tests/abi/access_$(1).c) $(emu_a) $(dm_a) $(fw_a)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(all_ld) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) \
		-Wl,--end-group $$(SYS_LIBS) $$(MATH_LIBS)
endef
$(foreach a,$(abi_access),$(eval $(call abi_rule,$(a))))

define gen_rule
$(call gen_program,$(1)): $(call objs,$(gen_src) $(filter-out %/abi_test.c %/image.c,$(abi_common_src)) tests/abi/access_$(1).c) $(emu_a) $(dm_a) $(fw_a)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(all_ld) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) \
		-Wl,--end-group $$(SYS_LIBS) $$(MATH_LIBS)
endef
$(if $(gen_src),$(foreach a,$(abi_access),$(eval $(call gen_rule,$(a)))))

$(guest_programs): $(BUILD)/tests/guest/%: $(BUILD)/obj/tests/guest/%.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ld) -o $@ $<

# The harness is GPL-2.0 and stays in the kernel's source, which is fetched for it once.
kselftest := tools/testing/selftests
$(guest_selftests): $(BUILD)/tests/guest/%: tests/guest/%.c $(wildcard firmware-abi/*.h tests/guest/*.h) \
		$(wildcard kernel/include/uapi/drm/*.h) $(BUILD)/.flags $(llm_so) | $(links)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)source=$$(scripts/kernel --source $(addprefix $(kselftest)/,kselftest.h kselftest_harness.h)) && \
		$(CC) -D_GNU_SOURCE -Ifirmware-abi -Iuserspace/include -Ikernel/include/uapi $(DRM_CFLAGS) \
		-isystem $$source/$(kselftest) -std=gnu17 $(WARN) $(WERROR_FLAG) $(CFLAGS) -o $@ $< \
		-pthread -Wl,--as-needed,-rpath,'$$ORIGIN/../../lib',-rpath-link,$(L) $(llm_so) $(aipu_so) $(DRM_LIBS)

# Run by hand; built with the tests so that they keep compiling.
$(benches): $(BUILD)/tests/bench/%: $(BUILD)/obj/tests/bench/%.o $(test_a) $(llm_so) $(aipu_so) | $(links) $(soft_so) $(drm_so)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(all_ld) -Wl,-rpath,'$$ORIGIN/../../lib' -Wl,-rpath-link,$(L) -o $@ $< $(test_libs) $(DRM_LIBS)

# The fuzz targets are a second build of the same sources by clang, as archives only.
fuzz: $(if $(have_fw),$(FW_IMAGE))
	+$(Q)$(MAKE) --no-print-directory FUZZ=1 SAN= BUILD=$(BUILD)/fuzz FUZZ_OUT=$(FUZZ_OUT) \
		FW_TOOL=$(FW_TOOL) FW_IMAGE=$(FW_IMAGE) CC='$(FUZZ_CC)' CXX='$(FUZZ_CXX)' AR=ar \
		fuzz-targets

ifdef FUZZ
fuzz-targets: $(fuzzers)
$(fuzzers): $(FUZZ_OUT)/%: $(BUILD)/obj/tests/fuzz/%.o $(call objs,$(fuzz_common_src)) $(test_a)
	$(call say,FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CXX) $(all_ld) -fsanitize=fuzzer -o $@ $(filter %.o,$^) \
		-Wl,--start-group $(test_a) -Wl,--end-group $(SPM_LIBS) $(SYS_LIBS) $(PCI_LIBS)
endif

check: tests
	$(Q)tests/runner --build $(BUILD) $(if $(SAN),--san '$(SAN)') $(PATTERN)

# -- source form -----------------------------------------------------------------------------------

formatted = $(shell git ls-files '*.c' '*.h' '*.cc')

format-check:
	$(Q)BUILD=$(BUILD) SRC=$(SRC) CLANG_FORMAT=$(CLANG_FORMAT) bash tests/tools/format.sh

format:
	$(Q)$(CLANG_FORMAT) -i $(formatted)

# -- installing ------------------------------------------------------------------------------------

ifneq ($(filter install% uninstall modules_%,$(MAKECMDGOALS)),)
$(call no_space,DESTDIR INSTALL_MOD_PATH PREFIX BINDIR LIBDIR INCLUDEDIR MANDIR DOCDIR UDEVDIR FIRMWAREDIR BASHCOMPDIR \
	ZSHCOMPDIR FISHCOMPDIR)
endif

D := $(DESTDIR)
public_headers := $(wildcard $(addprefix userspace/include/aipu/,aipu.h llm.h manage.h qpc.h))
abi_headers := $(sort $(wildcard firmware-abi/*.h))
uapi_headers := $(wildcard kernel/include/uapi/drm/*.h)
man_pages := $(sort $(wildcard docs/man/*.1))
docs := README.md $(sort $(wildcard docs/*.md firmware-abi/*.md)) firmware-abi/development.pem

# $(1): name, $(2): description, $(3): other lines
define pc
prefix=$(PREFIX)
libdir=$(LIBDIR)
includedir=$(INCLUDEDIR)

Name: $(1)
Description: $(2)
Version: $(VERSION)
$(3)
Libs: -L$${libdir} -l$(1)
Cflags: -I$${includedir} -I$${includedir}/aipu/abi
endef
export AIPU_PC := $(call pc,aipu,Runtime of the AIPU accelerator: devices contexts buffers queues,)
export AIPU_LLM_PC := $(call pc,aipu-llm,Language models on the AIPU accelerator,Requires: aipu = $(VERSION))

install: all
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD) install-files

# What is built, as it is: for tests that must not build beside each other.
install-files:
	install -d $(D)$(BINDIR) $(D)$(LIBDIR)/aipu $(D)$(LIBDIR)/pkgconfig \
		$(D)$(INCLUDEDIR)/aipu/abi/drm $(D)$(MANDIR)/man1 $(D)$(UDEVDIR) \
		$(D)$(BASHCOMPDIR) $(D)$(ZSHCOMPDIR) $(D)$(FISHCOMPDIR)
	for t in $(tool_names); do install -m 755 $(BUILD)/bin/$$t $(D)$(BINDIR)/ || exit 1; done
	for l in $(notdir $(links)); do \
		install -m 644 $(L)/$$l.$(SOVERSION) $(D)$(LIBDIR)/$$l.$(VERSION) && \
		ln -sf $$l.$(VERSION) $(D)$(LIBDIR)/$$l.$(SOVERSION) && \
		ln -sf $$l.$(SOVERSION) $(D)$(LIBDIR)/$$l || exit 1; done
	for l in $(soft_so) $(drm_so); do install -m 644 $$l $(D)$(LIBDIR)/aipu/ || exit 1; done
	for h in $(public_headers); do install -m 644 $$h $(D)$(INCLUDEDIR)/aipu/ || exit 1; done
	for h in $(abi_headers); do install -m 644 $$h $(D)$(INCLUDEDIR)/aipu/abi/ || exit 1; done
	for h in $(uapi_headers); do install -m 644 $$h $(D)$(INCLUDEDIR)/aipu/abi/drm/ || exit 1; done
	for m in $(man_pages); do install -m 644 $$m $(D)$(MANDIR)/man1/ || exit 1; done
	for d in $(docs); do install -D -m 644 $$d $(D)$(DOCDIR)/$$d || exit 1; done
	for r in udev/*.rules; do install -m 644 $$r $(D)$(UDEVDIR)/ || exit 1; done
	install -m 644 completions/bash/aipu $(D)$(BASHCOMPDIR)/
	for t in $(tool_names); do ln -sf aipu $(D)$(BASHCOMPDIR)/$$t || exit 1; done
	install -m 644 completions/zsh/_aipu $(D)$(ZSHCOMPDIR)/
	install -m 644 completions/fish/aipu.fish $(D)$(FISHCOMPDIR)/
	for t in $(tool_names); do ln -sf aipu.fish $(D)$(FISHCOMPDIR)/$$t.fish || exit 1; done
	printf '%s\n' "$$AIPU_PC" >$(D)$(LIBDIR)/pkgconfig/aipu.pc
	printf '%s\n' "$$AIPU_LLM_PC" >$(D)$(LIBDIR)/pkgconfig/aipu-llm.pc

uninstall:
	rm -f $(addprefix $(D)$(BINDIR)/,$(tool_names)) \
		$(addprefix $(D)$(MANDIR)/man1/,$(notdir $(man_pages))) \
		$(addprefix $(D)$(UDEVDIR)/,$(notdir $(wildcard udev/*.rules))) $(addprefix $(D)$(DOCDIR)/,$(docs)) \
		$(addprefix $(D)$(BASHCOMPDIR)/,aipu $(tool_names)) $(D)$(ZSHCOMPDIR)/_aipu \
		$(addprefix $(D)$(FISHCOMPDIR)/,aipu.fish $(addsuffix .fish,$(tool_names))) \
		$(foreach l,$(notdir $(links)),$(addprefix $(D)$(LIBDIR)/$(l),.$(VERSION) .$(SOVERSION)) \
			$(D)$(LIBDIR)/$(l)) \
		$(addprefix $(D)$(LIBDIR)/pkgconfig/,aipu.pc aipu-llm.pc)
	rm -rf $(D)$(LIBDIR)/aipu $(D)$(INCLUDEDIR)/aipu
	rmdir $(addprefix $(D)$(DOCDIR)/,docs firmware-abi) $(D)$(DOCDIR) 2>/dev/null || :

# -- the kernel driver -----------------------------------------------------------------------------

ifneq ($(filter modules modules_install modules_uninstall,$(MAKECMDGOALS)),)
$(if $(wildcard $(KDIR)/Makefile),,$(error no headers of a kernel in KDIR="$(KDIR)": install the package \
	linux-headers-$(shell uname -r), or name their directory))
$(if $(word 2,-$(SRC)-),$(error kernels build no modules in "$(SRC)": it has a space in it))
endif
kbuild = $(MAKE) -C $(KDIR) M=$(SRC)
release = $(shell cat $(KDIR)/include/config/kernel.release)
modules_at = $(INSTALL_MOD_PATH)/lib/modules/$(release)
# Headers without System.map install without depmod. A staging directory that holds no kernel needs none.
depmod = PATH=$$PATH:/usr/sbin:/sbin; test ! -e $(modules_at)/modules.builtin || \
	depmod $(if $(INSTALL_MOD_PATH),-b $(INSTALL_MOD_PATH)) $(release)
# Headers of distributions have no key, and would complain of that at each module.
unsigned = $(if $(wildcard $(KDIR)/certs/signing_key.pem),,CONFIG_MODULE_SIG_ALL=)
# Boards whose firmware is built here, see AIPU_BOARD_SOFT
firmware_at = $(INSTALL_MOD_PATH)$(FIRMWAREDIR)/aipu/534f4654.fw
rules_at = $(INSTALL_MOD_PATH)$(UDEVDIR)

modules:
	+$(Q)$(kbuild) modules

# What an insmod by hand has no need of: where modprobe finds it, its firmware, the rights of its node.
modules_install: $(FW_IMAGE)
	$(Q)test -e aipu_accel.ko || { echo "make: there is no aipu_accel.ko: run make modules" >&2; exit 1; }
	+$(Q)mkdir -p $(BUILD) && said=$(BUILD)/modules_install.err && rc=0 && \
		$(kbuild) INSTALL_MOD_PATH=$(INSTALL_MOD_PATH) $(unsigned) modules_install 2>$$said || rc=$$?; \
		grep -v "'System.map'" $$said >&2; exit $$rc
	$(depmod)
	install -d $(rules_at) $(dir $(firmware_at))
	install -m 644 $(FW_IMAGE) $(firmware_at)
	for r in udev/*.rules; do install -m 644 $$r $(rules_at)/ || exit 1; done

modules_uninstall:
	rm -f $(modules_at)/updates/aipu_accel.ko* $(firmware_at) \
		$(addprefix $(rules_at)/,$(notdir $(wildcard udev/*.rules)))
	$(depmod)

# The driver's source where DKMS finds it: then dkms install aipu/$(VERSION)
dkms_at = $(D)/usr/src/aipu-$(VERSION)
install-dkms:
	install -d $(addprefix $(dkms_at)/,kernel/include/uapi/drm firmware-abi)
	install -m 644 Kbuild $(dkms_at)/
	install -m 644 $(wildcard kernel/*.c kernel/*.h kernel/*.mk) $(dkms_at)/kernel/
	install -m 644 $(uapi_headers) $(dkms_at)/kernel/include/uapi/drm/
	install -m 644 $(abi_headers) $(dkms_at)/firmware-abi/
	sed 's/@VERSION@/$(VERSION)/' kernel/dkms.conf.in >$(dkms_at)/dkms.conf

clean:
	rm -rf $(BUILD)
	rm -f aipu_accel.* Module.symvers modules.order .module-common.o .*.cmd kernel/*.o kernel/.*.cmd kernel/.*.d

-include $(patsubst %.o,%.d,$(call objs,$(dm_src) $(aipu_src) $(soft_src) $(drm_src) $(llm_src) $(all_part_src) $(common_src) $(cards_src) \
	$(all_tool_src) $(ref_src) $(unit_src) $(unit_common_src) $(abi_src) $(gen_src) $(emu_src) $(bench_src) $(fuzz_src) \
	$(fuzz_common_src)))
