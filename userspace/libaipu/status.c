// SPDX-License-Identifier: MIT
/*
 * Version, status texts and the errno that stands for each status. Pure tables, no state; called by
 * everyone.
 */
#include <errno.h>

#include "internal.h"

#ifndef AIPU_PACKAGE_VERSION
#define AIPU_PACKAGE_VERSION "0.9.0"
#endif

const char *aipu_version(void)
{
	return AIPU_PACKAGE_VERSION;
}

void aipu_contract(uint32_t *oldest, uint32_t *newest)
{
	*oldest = AIPU_ABI_OLDEST;
	*newest = AIPU_ABI_CURRENT;
}

const char *aipu_status_text(unsigned int status)
{
	static const char *const texts[] = {
#define TEXT(name, code, text) [code] = (text),
		AIPU_STATUS_LIST(TEXT)
#undef TEXT
	};

	if (status >= AIPU_STATUS_COUNT)
		return "a status that this library does not know";
	return texts[status];
}

const char *aipu_error_text(uint32_t error)
{
	static const char *const texts[] = {
#define TEXT(name, code, text) [code] = (text),
		AIPU_ERROR_LIST(TEXT)
#undef TEXT
	};

	if (error >= AIPU_ERROR_COUNT)
		return "an error that this library does not know";
	return texts[error];
}

int aipu_status_errno(unsigned int status)
{
	switch (status) {
	case AIPU_STATUS_OK:
		return 0;
	case AIPU_STATUS_INVALID_OPCODE:
	case AIPU_STATUS_INVALID_FIELD:
	case AIPU_STATUS_ALIGNMENT:
	case AIPU_STATUS_INVALID_OPERAND:
	case AIPU_STATUS_INVALID_LANE:
	case AIPU_STATUS_INVALID_CONTEXT:
	case AIPU_STATUS_INVALID_QUEUE:
	case AIPU_STATUS_INVALID_RING:
		return -EINVAL;
	case AIPU_STATUS_UNSUPPORTED:
		return -ENOTSUP;
	case AIPU_STATUS_INVALID_SEGMENT:
	case AIPU_STATUS_DMA_ERROR:
		return -EFAULT;
	case AIPU_STATUS_OUT_OF_RANGE:
	case AIPU_STATUS_INVALID_INDEX:
		return -ERANGE;
	case AIPU_STATUS_ACCESS_DENIED:
		return -EACCES;
	case AIPU_STATUS_INVALID_PROGRAM:
		return -ENOEXEC;
	case AIPU_STATUS_ABORTED:
	case AIPU_STATUS_CONTEXT_RESET:
		return -ECANCELED;
	case AIPU_STATUS_TIMEOUT:
		return -ETIMEDOUT;
	case AIPU_STATUS_DATA_LOST:
		return -ENODATA;
	case AIPU_STATUS_DIGEST_MISMATCH:
		return -EBADMSG;
	case AIPU_STATUS_NO_RESOURCES:
		return -ENOSPC;
	case AIPU_STATUS_BUSY:
		return -EBUSY;
	case AIPU_STATUS_NOT_FOUND:
		return -ENOENT;
	case AIPU_STATUS_VERSION:
		return -EPROTO;
	case AIPU_STATUS_FIRMWARE_REFUSED:
		return -EKEYREJECTED;
	default:
		return -EIO;
	}
}
