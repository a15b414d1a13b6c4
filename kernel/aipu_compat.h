/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between kernels, and nothing else. Each is told apart by a trial compile (Kbuild),
 * never by a version.
 */
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

/*
 * Task work of a command of io_uring got the command and flags, and now gets a request that it is
 * found in.
 */
#ifdef AIPU_HAS_URING_TW_REQ
#define AIPU_URING_TASK_WORK(name, cmd, flags) \
	static void name(struct io_tw_req request, io_tw_token_t token)
#define AIPU_URING_TASK_WORK_ENTER(cmd, flags)                    \
	struct io_uring_cmd *cmd = io_uring_cmd_from_tw(request); \
	unsigned int flags = IO_URING_CMD_TASK_WORK_ISSUE_FLAGS
#else
#define AIPU_URING_TASK_WORK(name, cmd, flags) \
	static void name(struct io_uring_cmd *cmd, unsigned int flags)
#define AIPU_URING_TASK_WORK_ENTER(cmd, flags)
#endif

/* The ring of a command had no name outside io_uring. */
#ifdef AIPU_HAS_URING_CTX_HANDLE
#define aipu_uring_ring(cmd) io_uring_cmd_ctx_handle(cmd)
#else
#define aipu_uring_ring(cmd) ((const void *)cmd_to_io_kiocb(cmd)->ctx)
#endif

/* The second word of a completion was always an argument. */
#ifdef AIPU_HAS_URING_DONE32
#define aipu_uring_done(cmd, res, word, flags) io_uring_cmd_done32(cmd, res, word, flags)
#else
#define aipu_uring_done(cmd, res, word, flags) io_uring_cmd_done(cmd, res, word, flags)
#endif

#endif
