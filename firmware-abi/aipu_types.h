/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Fixed-width little-endian types and the version of the contract. Included by every other header of
 * firmware-abi/, in kernel C, userspace C17, C++17 and freestanding. Holds no structure of its own.
 */
#ifndef AIPU_TYPES_H
#define AIPU_TYPES_H

#if defined(__KERNEL__)
#include <linux/types.h>
#include <linux/build_bug.h>
typedef __le16 aipu_le16;
typedef __le32 aipu_le32;
typedef __le64 aipu_le64;
#define AIPU_STATIC_ASSERT(expr, text) static_assert(expr, text)
#else
#include <stddef.h>
#include <stdint.h>
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "AIPU structures are little endian: a big-endian host needs conversions outside the kernel"
#endif
typedef uint16_t aipu_le16;
typedef uint32_t aipu_le32;
typedef uint64_t aipu_le64;
#if defined(__cplusplus)
#define AIPU_STATIC_ASSERT(expr, text) static_assert(expr, text)
#else
#define AIPU_STATIC_ASSERT(expr, text) _Static_assert(expr, text)
#endif
#endif

/* Size and offset checks stand under every structure; the offsets are those of the written spec. */
#define AIPU_ASSERT_SIZE(type, bytes) \
	AIPU_STATIC_ASSERT(sizeof(type) == (bytes), #type " is not " #bytes " bytes")
#define AIPU_ASSERT_OFFSET(type, field, bytes) \
	AIPU_STATIC_ASSERT(offsetof(type, field) == (bytes), #type "." #field " is misplaced")

/*
 * A version of the contract: major in the upper, minor in the lower 16 bits. Within one major version
 * the contract only grows; a device, a firmware image, a driver, a container each name the *range* that
 * they work with, and two of them fit when their ranges overlap.
 */
#define AIPU_ABI_VERSION(major, minor) (((uint32_t)(major) << 16) | (uint32_t)(minor))
#define AIPU_ABI_MAJOR(version) ((uint32_t)(version) >> 16)
#define AIPU_ABI_MINOR(version) (0xffffu & (uint32_t)(version))
/* What this build speaks. Tests of the ranges make builds that speak others (-DAIPU_ABI_CURRENT=0x10001u). */
#ifndef AIPU_ABI_CURRENT
#define AIPU_ABI_CURRENT AIPU_ABI_VERSION(1, 0)
#endif
#ifndef AIPU_ABI_OLDEST
#define AIPU_ABI_OLDEST AIPU_ABI_VERSION(1, 0)
#endif

#define AIPU_PAGE_BYTES 4096u
#define AIPU_DIGEST_BYTES 32u /* SHA-256, FIPS 180-4 */

#endif
