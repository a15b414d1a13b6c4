/* SPDX-License-Identifier: GPL-2.0 */
/* Differences between kernels, and nothing else. Each is told apart by a trial compile (Kbuild), never by a version. */
#ifndef AIPU_COMPAT_H
#define AIPU_COMPAT_H

#ifdef AIPU_HAS_DRIVER_DATE
#define AIPU_DRIVER_DATE .date = "20261121",
#else
#define AIPU_DRIVER_DATE
#endif

/* A name space of exported symbols was a token, and became a text. */
#ifdef AIPU_HAS_NAMESPACE_TOKEN
#define AIPU_IMPORT_NS(name) MODULE_IMPORT_NS(name)
#else
#define AIPU_IMPORT_NS(name) MODULE_IMPORT_NS(#name)
#endif

#endif
