/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A raw disk image: a regular file or a block device, read and written asynchronously.
 *
 *   owner ──image_submit()──▶ image ──one system call at a time──▶ engine (io_uring or threads)
 *         ◀── done(request) ──      ◀── its result, any thread ──
 *
 * The image turns a request into system calls, continues short ones, and decides what an error
 * means; the engine (host/image_engine.h) only runs them without blocking the owner.
 *
 * A guest can ask for 4 GiB in one request. No system call moves more than 1 MiB of it, or works on
 * more than 64 MiB of a range; then the other requests have their turn, and only a few MiB are in
 * flight at once. So neither a turn nor a drain takes long, whatever the guest requested. The time
 * of fdatasync(2), and of storage that does not answer, cannot be bounded.
 *
 * Locking: an image has no lock of its own. Its owner has one (the virtio device's lock) and holds
 * it around every call here; `done` runs inside image_process(), image_finish() and image_drain(),
 * so under that lock too. Waiting in the last two cannot deadlock, whichever thread calls them:
 * finishing a request needs neither the loop thread nor the owner's lock (the kernel, or a worker
 * that takes only the engine's own lock, leaves the result in a queue), and they take the results
 * from that queue themselves. The loop thread may meanwhile wait for the owner's lock in its
 * completion handler; when it gets it, it finds nothing left to do.
 *
 * Durability: a write that is done is in the page cache (or, with `direct`, at the storage device),
 * so it survives the death of this process, but not of the host. A flush that is done without error
 * has put every write that was done before its submission onto stable storage (fdatasync(2)). Once
 * a flush has failed, all later ones fail: the kernel drops pages that it could not write, so a
 * second fdatasync(2) would report success for lost data.
 */
#ifndef KINGLET_HOST_IMAGE_H
#define KINGLET_HOST_IMAGE_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct image_engine;

enum { IMAGE_SECTOR = 512 }; /* bytes; an image is a multiple of it */

enum image_op {
	IMAGE_READ,
	IMAGE_WRITE,
	IMAGE_FLUSH,
	IMAGE_DISCARD,	  /* contents undefined afterwards; -EOPNOTSUPP where the host cannot */
	IMAGE_ZERO,	  /* keeps the space allocated */
	IMAGE_ZERO_UNMAP, /* may deallocate the space */
};

/*
 * The system call that performs the next part of a request: for the image and its engine only.
 */
struct image_step {
	enum image_call { IMAGE_READV, IMAGE_WRITEV, IMAGE_FDATASYNC, IMAGE_FALLOCATE } call;
	int fd;		    /* borrowed */
	int mode;	    /* of fallocate(2) */
	size_t len;	    /* bytes from the request's offset on */
	unsigned iov_count; /* the request's entries that hold them */
	size_t cut;	    /* bytes by which the last of these is shortened during the step */
	int result;	    /* what the call returned, or a negative errno */
	struct image_request *next;
};

/* Requests, first come, first served. Linked by step.next, so each is in one queue at most. */
struct image_queue {
	struct image_request *first, **tail;
};

struct image_request {
	enum image_op op;
	uint64_t offset; /* bytes into the image */
	uint64_t len;	 /* bytes; for a read or write the sum of iov */
	/* Of a read or write, at most IOV_MAX entries. Borrowed and consumed until done. */
	struct iovec *iov;
	unsigned iov_count;
	/* 0 or a negative errno. The request belongs to the caller again and may be resubmitted. */
	void (*done)(struct image_request *req, int result);
	struct image_step step; /* private */
	struct iovec zeros;	/* private */
};

struct image_options {
	const char *path; /* borrowed, outlives the image: for messages */
	bool readonly;
	bool copy;	/* opened read-only, and copied: changes are lost (host/image_copy.h) */
	bool direct;	/* O_DIRECT: past the host's page cache */
	bool raw;	/* accept what looks like an image of another format */
	bool threads;	/* do not try io_uring */
	bool later;	/* neither locked nor claimed: image_take() follows */
	unsigned depth; /* largest number of requests in flight */
};

struct image {
	const char *path;
	bool readonly, copied, block_device;
	bool taken;    /* locked and claimed */
	bool was_away; /* others may have written to it */
	uint64_t size; /* bytes, as it was at open */
	uint32_t logical_block, physical_block; /* bytes, powers of two */
	int event_fd; /* borrowed from the engine; readable while finished requests wait */
	/* private: */
	int fd;	       /* owned; holds the lock */
	int claim_fd;  /* owned; O_EXCL, of a writable block device; or -1 */
	int direct_fd; /* owned; -1 unless `direct` */
	struct image_engine *engine;
	unsigned in_flight;
	struct image_queue waiting; /* for the start of their next step */
	size_t under_way;	    /* bytes of the steps in flight */
	void *zeros;	 /* a read-only mapping of zero bytes, owned */
	int flush_error; /* of the first flush that failed */
	bool error_logged;
};

/*
 * Opens and locks an image: a writable one exclusively, a read-only one shared, by an open file
 * description lock over the whole file, released when the process ends. A writable block device is
 * also opened O_EXCL, so one that is mounted is refused. With `later` neither is done. The format is raw; an image of another
 * format (host/image_format.h) is refused unless `raw` is set.
 *
 * If io_uring is not available, or lacks the operations needed here (Linux 5.6), threads do the
 * work.
 *
 * Logs `disk PATH: what: reason` on failure. -EINVAL, -ENOENT and -ENOTDIR say that the path or the
 * file is wrong (a directory, a character device, empty, of another format, not a multiple of 512
 * bytes, O_DIRECT on a file system without it): a usage error. Everything else is a host error,
 * such as -EBUSY (locked by another process, or mounted), -EACCES, -EROFS, -ENOMEM, and those of a
 * copy.
 */
__must_check int image_open(struct image *image, const struct image_options *options);

/* Whether image_open() would succeed if the image were not locked; the same errors. */
__must_check int image_check(const struct image_options *options);

/* Closes and unlocks. Nothing may be in flight. Idempotent after a successful image_open(). */
void image_close(struct image *image);

/*
 * Queues a request, to be started by the next image_process(); requests are not ordered among each
 * other. -EINVAL for an empty range or one outside the image, -EROFS for a change of a read-only
 * image, the old error after a failed flush: then `done` is not called.
 */
__must_check int image_submit(struct image *image, struct image_request *req);

/*
 * Starts what was submitted and calls `done` for what has finished. Never waits. Work left for the
 * next turn makes event_fd readable.
 */
void image_process(struct image *image);

/* Waits until all that was submitted is done, however much that is. */
void image_finish(struct image *image);

/*
 * Puts every write that is done onto stable storage, as a flush does, for the image's owner. Waits
 * for it. Its error, or that of an earlier flush, logged; then later flushes fail, too.
 */
__must_check int image_sync(struct image *image);

/*
 * For a machine that moves: others may have the image from here on, and read what was written to
 * it; and it is this one's again, of which nothing is known any more. In between, nothing may be
 * submitted. Both are idempotent. The first one's errors are those of image_sync(), and the image
 * is let go nevertheless. The second one's: -EBUSY, not logged: another user has it; or errno of
 * open(2).
 */
__must_check int image_let_go(struct image *image);
__must_check int image_take(struct image *image);

/*
 * Waits only for the system calls in flight: a request that they do not complete is cancelled, so
 * its `done` gets -ECANCELED; a part of it may have been done. Then nothing is in flight.
 */
void image_drain(struct image *image);

#endif
