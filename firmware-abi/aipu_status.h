/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * Status codes of completions, with their text, as one list: enumerations and name tables of driver,
 * runtime and tools are all made from it. Codes are append-only.
 */
#ifndef AIPU_STATUS_H
#define AIPU_STATUS_H

/* X(name, code, text) */
#define AIPU_STATUS_LIST(X)                                                                     \
	X(OK, 0, "done")                                                                        \
	X(INVALID_OPCODE, 1, "the opcode is not known")                                         \
	X(INVALID_FIELD, 2, "a field is out of range, or a reserved one is not zero")           \
	X(UNSUPPORTED, 3, "defined by the contract, but not offered by this device")            \
	X(INVALID_SEGMENT, 4, "no such segment is bound in the context")                        \
	X(OUT_OF_RANGE, 5, "offset and length lie outside the segment")                         \
	X(ACCESS_DENIED, 6, "the segment does not permit this access")                          \
	X(ALIGNMENT, 7, "an address, offset or length is not aligned as required")              \
	X(INVALID_PROGRAM, 8, "the program was refused by the verifier")                        \
	X(INVALID_OPERAND, 9, "an operand is missing, too short or not permitted for its slot") \
	X(INVALID_LANE, 10, "a field of the lane table is out of range")                        \
	X(INVALID_INDEX, 11, "a token id or position read at run time is out of range")         \
	X(ABORTED, 12, "ended by ABORT")                                                        \
	X(TIMEOUT, 13, "the job's time limit passed")                                           \
	X(DMA_ERROR, 14, "host memory could not be read or written")                            \
	X(DATA_LOST, 15, "the file behind a mapped segment became shorter while it was in use") \
	X(DIGEST_MISMATCH, 16, "the data do not have the expected digest")                      \
	X(CONTEXT_RESET, 17, "the context was reset")                                           \
	X(NO_RESOURCES, 18, "a limit of the device is reached")                                 \
	X(INVALID_CONTEXT, 19, "no such context")                                               \
	X(INVALID_QUEUE, 20, "no such queue")                                                   \
	X(BUSY, 21, "the object is in use, or its id is taken")                                 \
	X(NOT_FOUND, 22, "no such job or program")                                              \
	X(INTERNAL, 23, "the device failed")                                                    \
	X(VERSION, 24, "the contract versions do not overlap")                                  \
	X(INVALID_RING, 25, "an index in the token ring is out of range")                       \
	X(FIRMWARE_REFUSED, 26, "the firmware image was refused, detail is the boot ROM's code")

#define AIPU_STATUS_ENUM(name, code, text) AIPU_STATUS_##name = (code),
enum aipu_status { AIPU_STATUS_LIST(AIPU_STATUS_ENUM) AIPU_STATUS_COUNT };
#undef AIPU_STATUS_ENUM

#endif
