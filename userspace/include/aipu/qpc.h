/* SPDX-License-Identifier: MIT */
/*
 * Reader of QPC containers (aipu_qpc.h): used by libaipu-llm to load a model and by aipu-qpc to show and
 * check one. Opening verifies the header, the section table and the digests of all sections but WEIGHTS.
 * Rules for errors, ownership and threads are libaipu's.
 */
#ifndef AIPU_QPC_READER_H
#define AIPU_QPC_READER_H

#include "aipu/aipu.h"
#include "aipu_qpc.h"

#ifdef __cplusplus
extern "C" {
#endif

struct aipu_qpc;

/*
 * path: a QPC directory, or its model.qpc. -ENOENT, -EACCES; -EINVAL: damaged, the message names the check
 * that found it; -EPROTO: made for a newer contract or container version, the message names both.
 */
int aipu_qpc_open(const char *path, struct aipu_qpc **qpc, struct aipu_message *message);
void aipu_qpc_close(struct aipu_qpc *qpc);

/* The file, open for reading; the reader's */
int aipu_qpc_fd(const struct aipu_qpc *qpc);
uint64_t aipu_qpc_bytes(const struct aipu_qpc *qpc);
const struct aipu_qpc_header *aipu_qpc_header(const struct aipu_qpc *qpc);
const struct aipu_qpc_model *aipu_qpc_model(const struct aipu_qpc *qpc);
/* The index-th section of a kind, or NULL */
const struct aipu_qpc_section *aipu_qpc_section(const struct aipu_qpc *qpc, uint32_t kind,
						uint32_t index);
/* Contents of a section other than WEIGHTS, as verified; the reader's, until close. NULL for WEIGHTS */
const void *aipu_qpc_data(const struct aipu_qpc *qpc, const struct aipu_qpc_section *section);
/* Checks the weights against their digests. -EINVAL: the message names the first range that differs */
int aipu_qpc_verify(struct aipu_qpc *qpc, struct aipu_message *message);

#ifdef __cplusplus
}
#endif
#endif
