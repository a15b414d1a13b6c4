# SPDX-License-Identifier: GPL-2.0
# Trial compiles: $(call aipu_try,NAME,INCLUDES,CODE) gives -DNAME where CODE compiles in this kernel. Distributions move
# interfaces between versions, so only the headers tell. Included by Kbuild files; what is found is used by aipu_compat.h.
hash := \#
aipu_try = $(shell printf '%s\n' $(foreach h,$(2),'$(hash)include <$(h)>') '$(3)' | \
	$(CC) $(NOSTDINC_FLAGS) $(LINUXINCLUDE) $(KBUILD_CPPFLAGS) $(KBUILD_CFLAGS) $(KBUILD_CFLAGS_MODULE) \
	-DKBUILD_BASENAME='"trial"' -DKBUILD_MODNAME='"trial"' -w -fsyntax-only -x c - 2>/dev/null && echo -D$(1))
ccflags-y += $(call aipu_try,AIPU_HAS_DRIVER_DATE,drm/drm_drv.h,const char *t(struct drm_driver *d) { return d->date; })
ccflags-y += $(call aipu_try,AIPU_HAS_NAMESPACE_TOKEN,linux/module.h,MODULE_IMPORT_NS(DMA_BUF);)
ccflags-y += $(call aipu_try,AIPU_HAS_URING_TW_REQ,linux/io_uring/cmd.h,void *t(struct io_tw_req r) { return io_uring_cmd_from_tw(r); })
ccflags-y += $(call aipu_try,AIPU_HAS_URING_DONE32,linux/io_uring/cmd.h,void *t(void) { return &io_uring_cmd_done32; })
ccflags-y += $(call aipu_try,AIPU_HAS_URING_CTX_HANDLE,linux/io_uring/cmd.h,void *t(void) { return &io_uring_cmd_ctx_handle; })
