// SPDX-License-Identifier: MIT
/*
 * Reads of files by io_uring, for libaipu's loading of device memory. An own ring: those of queues belong to jobs. Refused where
 * io_uring is not permitted; the front then reads for itself.
 */
#include <errno.h>
#include <stdlib.h>

#include "card.h"

struct aipu_transport_reader {
	struct io_uring ring;
};

int card_reader_open(struct aipu_transport_device *device, uint32_t depth,
		     struct aipu_transport_reader **out)
{
	struct aipu_transport_reader *reader = calloc(1, sizeof(*reader));
	int err;

	(void)device;
	if (!reader)
		return -ENOMEM;
	err = io_uring_queue_init(depth, &reader->ring, IORING_SETUP_CLAMP);
	if (err) {
		free(reader);
		return err;
	}
	/* A filter may permit rings and nothing that is done with them. */
	err = io_uring_get_events(&reader->ring);
	if (err < 0) {
		card_reader_close(reader);
		return err;
	}
	*out = reader;
	return 0;
}

int card_reader_start(struct aipu_transport_reader *reader, uint32_t tag, int fd, void *memory,
		      uint32_t bytes, uint64_t offset)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&reader->ring);
	int ret;

	if (!sqe)
		return -EAGAIN;
	io_uring_prep_read(sqe, fd, memory, bytes, offset);
	io_uring_sqe_set_data64(sqe, tag);
	do {
		ret = io_uring_submit(&reader->ring);
	} while (ret == -EINTR || ret == -EAGAIN || ret == -EBUSY);
	return ret < 0 ? ret : 0;
}

int card_reader_take(struct aipu_transport_reader *reader, uint32_t *tag, int *result)
{
	struct io_uring_cqe *cqe;

	if (io_uring_peek_cqe(&reader->ring, &cqe))
		return 0;
	*tag = (uint32_t)io_uring_cqe_get_data64(cqe);
	*result = cqe->res;
	io_uring_cqe_seen(&reader->ring, cqe);
	return 1;
}

int card_reader_fd(struct aipu_transport_reader *reader)
{
	return reader->ring.ring_fd;
}

void card_reader_close(struct aipu_transport_reader *reader)
{
	io_uring_queue_exit(&reader->ring);
	free(reader);
}
