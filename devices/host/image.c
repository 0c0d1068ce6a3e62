/* SPDX-License-Identifier: Apache-2.0 */
#include "host/image.h"

#include "base/checked.h"
#include "base/log.h"
#include "host/image_copy.h"
#include "host/image_engine.h"
#include "host/image_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	STEP_BYTES = 1 << 20, /* the most that one system call moves */
	/* For fallocate(2): most file systems only change metadata, but some write. */
	RANGE_STEP_BYTES = 64 << 20,
	/*
	 * In flight at once: enough for fast storage, and little to wait for. It also bounds a
	 * turn: io_uring copies data in the page cache at submission.
	 */
	UNDER_WAY_BYTES = 8 << 20,
	/*
	 * The largest alignment of offsets, lengths and addresses that direct I/O needs with
	 * sectors of at most 4 KiB; only Linux 6.1 and later report the exact one.
	 */
	DIRECT_ALIGN = 4096,
	MAX_BLOCK = 65536,
};

/* --- Opening -------------------------------------------------------------------------------- */

static int fail(const char *path, const char *what, int error)
{
	log_error("disk %s: %s: %s", path, what, strerror(-error));
	return error;
}

static int refuse(const char *path, const char *what, const char *reason)
{
	log_error("disk %s: %s: %s", path, what, reason);
	return -EINVAL;
}

static int read_geometry(struct image *image, const struct stat *st)
{
	unsigned physical = (unsigned)st->st_blksize;
	int logical = IMAGE_SECTOR;

	image->size = (uint64_t)st->st_size;
	if (S_ISBLK(st->st_mode)) {
		if (ioctl(image->fd, BLKGETSIZE64, &image->size))
			return fail(image->path, "BLKGETSIZE64", -errno);
		if (ioctl(image->fd, BLKSSZGET, &logical))
			return fail(image->path, "BLKSSZGET", -errno);
		if (ioctl(image->fd, BLKPBSZGET, &physical))
			return fail(image->path, "BLKPBSZGET", -errno);
	}
	if (!image->size)
		return refuse(image->path, "size", "is empty");
	image->logical_block = (unsigned)logical;
	if (!is_power_of_two(physical) || physical < image->logical_block || physical > MAX_BLOCK)
		physical = image->logical_block;
	image->physical_block = physical;
	return 0;
}

/*
 * A second open of the same file. Aligned requests use it; the kernel keeps it coherent with the
 * first one, which the other requests use.
 */
static int open_direct(struct image *image)
{
	int flags = O_CLOEXEC | O_DIRECT | (image->readonly ? O_RDONLY : O_RDWR);
	char self[32];

	/* By fd, not by path: the path may name another file by now. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", image->fd);
	image->direct_fd = open(self, flags);
	if (image->direct_fd >= 0)
		return 0;
	if (errno == EINVAL)
		return refuse(image->path, "O_DIRECT", "its file system does not support it");
	return fail(image->path, "O_DIRECT", -errno);
}

static int start_engine(struct image *image, const struct image_options *options)
{
	int ret = -ENOSYS;

	if (!options->threads)
		ret = image_uring_new(&image->engine, options->depth);
	if (ret)
		ret = image_threads_new(&image->engine);
	if (ret)
		return fail(image->path, "I/O threads", ret);
	image->event_fd = image->engine->event_fd;
	return 0;
}

static int open_files(struct image *image, const struct image_options *options)
{
	struct stat st;
	int ret;

	*image = (struct image){
		.path = options->path,
		.readonly = options->readonly || options->copy,
		.event_fd = -1,
		.direct_fd = -1,
		.claim_fd = -1,
	};
	image_queue_init(&image->waiting);
	image->fd = image_file_open("disk", options, &st);
	if (image->fd < 0)
		return image->fd;
	image->block_device = S_ISBLK(st.st_mode);
	ret = read_geometry(image, &st);
	if (!ret && options->direct)
		ret = open_direct(image);
	if (ret)
		close_fd(&image->fd);
	return ret;
}

/* Locked meanwhile; nothing else has the copy. */
static int use_copy(struct image *image)
{
	int copy = image_copy(image->fd, image->size);

	if (copy < 0)
		return fail(image->path, "copy", copy);
	close(image->fd);
	image->fd = copy;
	image->readonly = false;
	image->copied = true;
	return 0;
}

int image_check(const struct image_options *options)
{
	struct image image;
	int ret = open_files(&image, options);

	if (ret)
		return ret;
	close_fd(&image.direct_fd);
	close_fd(&image.fd);
	return 0;
}

int image_open(struct image *image, const struct image_options *options)
{
	int ret = open_files(image, options);

	if (ret)
		return ret;
	image->was_away = options->later && !image->readonly;
	if (!image->was_away)
		ret = image_take(image);
	if (ret == -EBUSY)
		log_error("disk %s: lock: in use by another program or another disk of this machine",
			  image->path);
	if (!ret && options->copy)
		ret = use_copy(image);
	if (ret)
		goto err_close;
	/* Never written, so it stays the kernel's shared zero page. */
	image->zeros = mmap(NULL, STEP_BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (image->zeros == MAP_FAILED) {
		ret = fail(image->path, "mmap", -errno);
		goto err_close;
	}
	ret = start_engine(image, options);
	if (ret)
		goto err_unmap;
	return 0;

err_unmap:
	munmap(image->zeros, STEP_BYTES);
err_close:
	close_fd(&image->claim_fd);
	close_fd(&image->direct_fd);
	close_fd(&image->fd);
	return ret;
}

void image_close(struct image *image)
{
	if (!image->engine)
		return;
	image->engine->ops->destroy(image->engine);
	image->engine = NULL;
	image->event_fd = -1;
	munmap(image->zeros, STEP_BYTES);
	close_fd(&image->claim_fd);
	close_fd(&image->direct_fd);
	close_fd(&image->fd);
}

/* --- Requests ------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	bool changes;
	enum image_call call;
	int mode;
} operations[] = {
	[IMAGE_READ] = { "read", false, IMAGE_READV, 0 },
	[IMAGE_WRITE] = { "write", true, IMAGE_WRITEV, 0 },
	[IMAGE_FLUSH] = { "flush", false, IMAGE_FDATASYNC, 0 },
	/* fallocate(2) also works on block devices, as discards and zero-outs. */
	[IMAGE_DISCARD] = { "discard", true, IMAGE_FALLOCATE,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
	[IMAGE_ZERO] = { "write zeroes", true, IMAGE_FALLOCATE,
			 FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE },
	[IMAGE_ZERO_UNMAP] = { "write zeroes", true, IMAGE_FALLOCATE,
			       FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE },
};

static bool moves_data(const struct image_request *req)
{
	return req->step.call == IMAGE_READV || req->step.call == IMAGE_WRITEV;
}

static bool writes_zeroes(const struct image_request *req)
{
	return req->op == IMAGE_ZERO || req->op == IMAGE_ZERO_UNMAP;
}

/* The next piece of zeroes, if the host has no faster way. */
static void take_zeros(struct image *image, struct image_request *req)
{
	req->zeros.iov_base = image->zeros;
	req->zeros.iov_len = req->len < STEP_BYTES ? req->len : STEP_BYTES;
	req->iov = &req->zeros;
	req->iov_count = 1;
}

/* As many of the request's entries as make a step. */
static void take_entries(struct image_request *req)
{
	struct image_step *step = &req->step;

	while (step->iov_count < req->iov_count && step->len < STEP_BYTES)
		step->len += req->iov[step->iov_count++].iov_len;
	if (step->len <= STEP_BYTES)
		return;
	step->cut = step->len - STEP_BYTES;
	step->len = STEP_BYTES;
	req->iov[step->iov_count - 1].iov_len -= step->cut;
}

/* A step also ends at a boundary of larger blocks of a file system or device. */
static void take_range(struct image_request *req)
{
	uint64_t len = RANGE_STEP_BYTES - req->offset % RANGE_STEP_BYTES;

	req->step.len = len < req->len ? len : req->len;
}

static bool direct_capable(const struct image *image, const struct image_request *req)
{
	uint64_t align = image->logical_block > DIRECT_ALIGN ? image->logical_block : DIRECT_ALIGN;
	uint64_t bits = req->offset;

	for (unsigned i = 0; i < req->step.iov_count; i++)
		bits |= (uintptr_t)req->iov[i].iov_base | req->iov[i].iov_len;
	return !(bits % align);
}

static void plan_step(struct image *image, struct image_request *req)
{
	req->step.fd = image->fd;
	req->step.len = req->step.cut = 0;
	req->step.iov_count = 0;
	if (!moves_data(req)) {
		take_range(req);
		return;
	}
	if (writes_zeroes(req))
		take_zeros(image, req);
	take_entries(req);
	if (image->direct_fd >= 0 && direct_capable(image, req))
		req->step.fd = image->direct_fd;
}

static size_t step_cost(const struct image_request *req)
{
	return moves_data(req) ? req->step.len : STEP_BYTES;
}

/* Starts the steps that may be in flight now; false as from the engine's submit(). */
static bool start_steps(struct image *image)
{
	struct image_engine *engine = image->engine;

	while (image->waiting.first && image->under_way < UNDER_WAY_BYTES) {
		struct image_request *req = image_queue_take(&image->waiting);

		plan_step(image, req);
		image->under_way += step_cost(req);
		engine->ops->start(engine, req);
	}
	return !engine->ops->submit || engine->ops->submit(engine);
}

int image_submit(struct image *image, struct image_request *req)
{
	if (operations[req->op].changes && image->readonly)
		return -EROFS;
	if (req->op == IMAGE_FLUSH) {
		if (image->flush_error)
			return image->flush_error;
	} else if (!req->len || !range_fits(req->offset, req->len, image->size)) {
		return -EINVAL;
	}
	req->step.call = operations[req->op].call;
	req->step.mode = operations[req->op].mode;
	image->in_flight++;
	image_queue_append(&image->waiting, req);
	return 0;
}

static void finish(struct image *image, struct image_request *req, int result)
{
	image->in_flight--;
	if (result && result != -EOPNOTSUPP && !image->error_logged) {
		image->error_logged = true;
		log_error("disk %s: %s: %s (further errors go to the guest only)", image->path,
			  operations[req->op].name, strerror(-result));
	}
	if (result && req->op == IMAGE_FLUSH)
		image->flush_error = result;
	req->done(req, result);
}

static void cancel(struct image *image, struct image_request *req)
{
	image->in_flight--;
	req->done(req, -ECANCELED);
}

/* Removes `bytes` that are done from the front. */
static void consume(struct image_request *req, size_t bytes)
{
	req->offset += bytes;
	req->len -= bytes;
	while (bytes && moves_data(req)) {
		struct iovec *iov = req->iov;
		size_t n = bytes < iov->iov_len ? bytes : iov->iov_len;

		iov->iov_base = (char *)iov->iov_base + n;
		iov->iov_len -= n;
		bytes -= n;
		if (!iov->iov_len) {
			req->iov++;
			req->iov_count--;
		}
	}
}

/* Evaluates a finished step: 1 when the request needs another, else the request's result. */
static int conclude(struct image_request *req)
{
	int result = req->step.result;

	if (result == -EINTR || result == -EAGAIN)
		return 1;
	if (req->step.call == IMAGE_FDATASYNC)
		return result;
	if (req->step.call == IMAGE_FALLOCATE) {
		/* -EINVAL: a block device with blocks larger than the range's alignment. */
		if (writes_zeroes(req) && (result == -EOPNOTSUPP || result == -EINVAL)) {
			req->step.call = IMAGE_WRITEV;
			return 1;
		}
		if (!result)
			result = (int)req->step.len;
	}
	if (!result)
		return -EIO; /* the file has been truncated since it was opened */
	if (result < 0)
		return result;
	consume(req, (size_t)result);
	return req->len > 0;
}

/* A step is complete: queues the next one, or completes the request. */
static void advance(struct image *image, struct image_request *req)
{
	int result;

	image->under_way -= step_cost(req);
	if (req->step.cut)
		req->iov[req->step.iov_count - 1].iov_len += req->step.cut;
	result = conclude(req);
	if (result > 0)
		image_queue_append(&image->waiting, req);
	else
		finish(image, req, result);
}

static void reap_steps(struct image *image)
{
	struct image_request *req;

	while ((req = image->engine->ops->reap(image->engine, false)))
		advance(image, req);
}

void image_process(struct image *image)
{
	/* At once, because submitted steps may complete before anyone waits for them. */
	start_steps(image);
	do
		reap_steps(image);
	while (!start_steps(image));
}

/* Something is in flight: waits for one system call. */
static void wait_for_step(struct image *image)
{
	struct image_request *req;

	start_steps(image); /* also for steps held in the engine */
	req = image->engine->ops->reap(image->engine, true);
	if (req)
		advance(image, req);
}

void image_finish(struct image *image)
{
	while (image->in_flight)
		wait_for_step(image);
}

void image_drain(struct image *image)
{
	while (image->in_flight) {
		struct image_request *req = image_queue_take(&image->waiting);

		if (req)
			cancel(image, req);
		else
			wait_for_step(image);
	}
}
