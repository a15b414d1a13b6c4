# SPDX-License-Identifier: GPL-2.0
# Trial compiles: $(call aipu_try,NAME,INCLUDES,CODE) gives -DNAME where CODE compiles in this kernel. Distributions move
# interfaces between versions, so only the headers tell.
aipu_try = $(shell printf '%s\n' $(foreach h,$(2),'$(hash)include <$(h)>') '$(3)' | \
	$(CC) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) $(KBUILD_CFLAGS) $(KBUILD_CFLAGS_MODULE) \
	-DKBUILD_BASENAME='"trial"' -DKBUILD_MODNAME='"trial"' -w -fsyntax-only -x c - 2>/dev/null && echo -D$(1))
