/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image_engine.h"

#include <liburing.h>

struct uring {
	struct image_engine engine;
	struct io_uring ring;
	struct image_queue queued; /* in the submission queue, not yet taken by the kernel */
	struct image_queue failed; /* never reached the kernel */
	unsigned in_kernel;
	bool dead; /* io_uring_enter() failed permanently; the ring takes nothing more */
};

static struct uring *to_uring(struct image_engine *engine)
{
	return (struct uring *)engine;
}

static void uring_fail(struct uring *uring, struct image_request *req)
{
	req->step.result = -EIO;
	image_queue_append(&uring->failed, req);
}

static void uring_prepare(struct io_uring_sqe *sqe, struct image_request *req)
{
	const struct image_step *step = &req->step;

	switch (step->call) {
	case IMAGE_READV:
		io_uring_prep_readv(sqe, step->fd, req->iov, step->iov_count, req->offset);
		break;
	case IMAGE_WRITEV:
		io_uring_prep_writev(sqe, step->fd, req->iov, step->iov_count, req->offset);
		break;
	case IMAGE_FDATASYNC:
		io_uring_prep_fsync(sqe, step->fd, IORING_FSYNC_DATASYNC);
		break;
	case IMAGE_FALLOCATE:
		io_uring_prep_fallocate(sqe, step->fd, step->mode, (off_t)req->offset,
					(off_t)step->len);
		break;
	}
	io_uring_sqe_set_data(sqe, req);
}

static void uring_start(struct image_engine *engine, struct image_request *req)
{
	struct uring *uring = to_uring(engine);
	struct io_uring_sqe *sqe = uring->dead ? NULL : io_uring_get_sqe(&uring->ring);

	if (!sqe) {
		uring_fail(uring, req);
		return;
	}
	uring_prepare(sqe, req);
	image_queue_append(&uring->queued, req);
}

static void uring_submit_queued(struct uring *uring)
{
	while (uring->queued.first) {
		int taken = io_uring_submit(&uring->ring);

		if (taken == -EINTR)
			continue;
		/* Short of memory for now: the next completion calls us again, if one is due. */
		if ((taken == -EAGAIN || taken == -EBUSY) && uring->in_kernel)
			return;
		if (taken <= 0) {
			uring->dead = true;
			while (uring->queued.first)
				uring_fail(uring, image_queue_take(&uring->queued));
			return;
		}
		for (; taken && image_queue_take(&uring->queued); taken--)
			uring->in_kernel++;
	}
}

static bool uring_submit(struct image_engine *engine)
{
	struct uring *uring = to_uring(engine);

	uring_submit_queued(uring);
	return !uring->failed.first;
}

static struct image_request *uring_reap(struct image_engine *engine, bool wait)
{
	struct uring *uring = to_uring(engine);
	struct image_request *req = image_queue_take(&uring->failed);
	struct io_uring_cqe *cqe;
	int ret;

	if (req)
		return req;
	do {
		ret = wait ? io_uring_wait_cqe(&uring->ring, &cqe) :
			     io_uring_peek_cqe(&uring->ring, &cqe);
	} while (ret == -EINTR);
	if (ret)
		return NULL;
	req = io_uring_cqe_get_data(cqe);
	req->step.result = cqe->res;
	io_uring_cqe_seen(&uring->ring, cqe);
	uring->in_kernel--;
	return req;
}

static void uring_destroy(struct image_engine *engine)
{
	struct uring *uring = to_uring(engine);

	io_uring_queue_exit(&uring->ring);
	free(uring);
}

static const struct image_engine_ops uring_ops = {
	.name = "io_uring",
	.start = uring_start,
	.submit = uring_submit,
	.reap = uring_reap,
	.destroy = uring_destroy,
};

int image_uring_new(struct image_engine **out, unsigned depth)
{
	/* The last flag came with 5.6, as IORING_OP_FALLOCATE did. */
	const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS;
	_cleanup_free_ struct uring *uring = calloc(1, sizeof(*uring));
	int ret;

	if (!uring)
		return -ENOMEM;
	/*
	 * Requests are submitted by one thread and may be reaped by another (a reset runs on a vCPU
	 * thread), so IORING_SETUP_SINGLE_ISSUER and DEFER_TASKRUN cannot be used.
	 */
	ret = io_uring_queue_init(depth, &uring->ring, 0);
	if (ret)
		return ret;
	if ((uring->ring.features & needed) != needed) {
		io_uring_queue_exit(&uring->ring);
		return -EOPNOTSUPP;
	}
	uring->engine.ops = &uring_ops;
	/* The ring is itself pollable: readable while its completion queue is not empty. */
	uring->engine.event_fd = uring->ring.ring_fd;
	image_queue_init(&uring->queued);
	image_queue_init(&uring->failed);
	*out = &steal_ptr(uring)->engine;
	return 0;
}
