/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text of others that doctor and report read: modules, modprobe's files, the kernel's command line. Each function is one format, takes
 * memory and its length, and reads no byte beyond; opens nothing. tests/fuzz/fuzz_doctor.c
 */
#ifndef AIPU_SMI_DOCTOR_TEXT_H
#define AIPU_SMI_DOCTOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* vermagic of a module's file, "6.12.1 SMP preempt mod_unload ". False: there is none */
bool doctor_vermagic(const char *file, size_t bytes, char *text, size_t text_bytes);
bool doctor_module_signed(const char *file, size_t bytes);
/* The path of a module in modules.dep, "updates/aipu_accel.ko.xz". False: it is not there */
bool doctor_modules_dep(const char *file, size_t bytes, const char *module, char *path,
			size_t path_bytes);
/* A file of modprobe.d: is the module blacklisted; *blocked: or replaced ("install aipu_accel /bin/false") */
bool doctor_blacklisted(const char *file, size_t bytes, const char *module, bool *blocked);
/* The kernel's command line: does one of its words "NAME=a,b" have this value */
bool doctor_command_line(const char *line, size_t bytes, const char *name, const char *value);

#endif
