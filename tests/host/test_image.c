/* SPDX-License-Identifier: Apache-2.0 */
/* Every test but the last few runs once on each engine. */
#include "host/image.h"
#include "host/image_engine.h"
#include "unit.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { MIB = 1 << 20, IMAGE_SIZE = 4 * MIB, DEPTH = 64, PIECES = 64, PATIENCE_MS = 60000 };

/* A request and how it ended. */
struct tracked {
	struct image_request req;
	struct iovec iov[PIECES];
	unsigned dones;
	int result;
};

/* Sits between an image and its engine: shortens transfers, refuses calls, counts. */
struct meddler {
	struct image_engine engine;
	struct image_engine *real;
	size_t cut;	     /* the most bytes to move of the first piece; 0: all */
	int fallocate_error; /* instead of the call */
	unsigned steps, fdatasyncs;
	size_t longest; /* step */
	int last_fd;
	struct image_request inner, *outer, *refused;
	struct iovec iov;
};

struct fixture {
	bool threads;
	char dir[64], path[96];
	struct image image;
	struct meddler meddler;
	uint8_t *data, *copy;
};

static void make_file(const char *path, off_t size)
{
	_cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
}

static struct image_options options_of(const struct fixture *f)
{
	return (struct image_options){ .path = f->path, .threads = f->threads, .depth = DEPTH };
}

static void reopen(struct fixture *f, const struct image_options *options)
{
	image_close(&f->image);
	assert_int_equal(image_open(&f->image, options), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct image_options options;

	assert_non_null(f);
	f->threads = *state != NULL;
	strcpy(f->dir, "/tmp/kinglet-image-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/disk.img", f->dir);
	make_file(f->path, IMAGE_SIZE);
	options = options_of(f);
	assert_int_equal(image_open(&f->image, &options), 0);
	f->data = aligned_alloc(4096, IMAGE_SIZE);
	f->copy = aligned_alloc(4096, IMAGE_SIZE);
	assert_true(f->data && f->copy);
	for (uint32_t i = 0, x = 1; i < IMAGE_SIZE; i++, x = x * 1664525 + 1013904223)
		f->data[i] = (uint8_t)(x >> 24);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	image_close(&f->image);
	unlink(f->path);
	rmdir(f->dir);
	free(f->data);
	free(f->copy);
	free(f);
	return 0;
}

/* A kernel without io_uring has only one engine to test. */
static void need_engine(struct fixture *f)
{
	if (!f->threads && strcmp(f->image.engine->ops->name, "io_uring"))
		skip();
}

static void note_done(struct image_request *req, int result)
{
	struct tracked *t = container_of(req, struct tracked, req);

	t->dones++;
	t->result = result;
}

static void prepare(struct tracked *t, enum image_op op, uint64_t offset, void *buf, uint64_t len)
{
	*t = (struct tracked){
		.req = { .op = op, .offset = offset, .len = len, .done = note_done },
		.iov[0] = { .iov_base = buf, .iov_len = buf ? len : 0 },
	};
	t->req.iov = t->iov;
	t->req.iov_count = buf ? 1 : 0;
}

/* As the event loop would: waits for the event fd, then processes. */
static void wait_done(struct fixture *f, struct tracked *t)
{
	image_process(&f->image);
	while (!t->dones) {
		struct pollfd pfd = { .fd = f->image.event_fd, .events = POLLIN };

		/* io_uring interrupts it when it has work for this thread. */
		errno = 0;
		assert_true(poll(&pfd, 1, PATIENCE_MS) == 1 || errno == EINTR);
		image_process(&f->image);
	}
	assert_int_equal(t->dones, 1);
}

static int run(struct fixture *f, enum image_op op, uint64_t offset, void *buf, uint64_t len)
{
	struct tracked t;
	int err;

	prepare(&t, op, offset, buf, len);
	err = image_submit(&f->image, &t.req);
	if (err)
		return err;
	wait_done(f, &t);
	return t.result;
}

/* What the file holds, read without the image. */
static void file_read(const struct fixture *f, uint64_t offset, uint8_t *buf, size_t len)
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, buf, len, (off_t)offset), len);
}

static void assert_zero(const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], 0);
}

/* --- The meddler --- */

static void meddler_start(struct image_engine *engine, struct image_request *req)
{
	struct meddler *m = (struct meddler *)engine;

	m->steps++;
	m->longest = req->step.len > m->longest ? req->step.len : m->longest;
	m->last_fd = req->step.fd;
	m->fdatasyncs += req->step.call == IMAGE_FDATASYNC;
	if (req->step.call == IMAGE_FALLOCATE && m->fallocate_error) {
		req->step.result = m->fallocate_error;
		m->refused = req;
		return;
	}
	if (!m->cut || !req->step.iov_count) {
		m->real->ops->start(m->real, req);
		return;
	}
	m->outer = req;
	m->inner = *req;
	m->iov = req->iov[0];
	if (m->iov.iov_len > m->cut)
		m->iov.iov_len = m->cut;
	m->inner.iov = &m->iov;
	m->inner.step.iov_count = 1;
	m->real->ops->start(m->real, &m->inner);
}

static bool meddler_submit(struct image_engine *engine)
{
	struct meddler *m = (struct meddler *)engine;

	return (!m->real->ops->submit || m->real->ops->submit(m->real)) && !m->refused;
}

static struct image_request *meddler_reap(struct image_engine *engine, bool wait)
{
	struct meddler *m = (struct meddler *)engine;
	struct image_request *req = m->refused;

	m->refused = NULL;
	if (req)
		return req;
	req = m->real->ops->reap(m->real, wait);
	if (req != &m->inner)
		return req;
	m->outer->step.result = req->step.result;
	return m->outer;
}

static void meddler_destroy(struct image_engine *engine)
{
	struct meddler *m = (struct meddler *)engine;

	m->real->ops->destroy(m->real);
}

static struct meddler *meddle(struct fixture *f)
{
	static const struct image_engine_ops ops = {
		.name = "meddler",
		.start = meddler_start,
		.submit = meddler_submit,
		.reap = meddler_reap,
		.destroy = meddler_destroy,
	};

	f->meddler = (struct meddler){
		.engine = { .ops = &ops, .event_fd = f->image.event_fd },
		.real = f->image.engine,
	};
	f->image.engine = &f->meddler.engine;
	return &f->meddler;
}

/* --- Tests --- */

static void reads_what_was_written(void **state)
{
	struct fixture *f = *state;
	struct tracked t;

	need_engine(f);
	assert_int_equal(run(f, IMAGE_WRITE, 0, f->data, IMAGE_SIZE), 0);
	file_read(f, 0, f->copy, IMAGE_SIZE);
	assert_memory_equal(f->copy, f->data, IMAGE_SIZE);

	/* Scattered, at an odd sector, with a piece that is no multiple of a sector. */
	memset(f->copy, 0, IMAGE_SIZE);
	prepare(&t, IMAGE_READ, 7 * 512, f->copy, 8192);
	t.iov[0] = (struct iovec){ f->copy, 100 };
	t.iov[1] = (struct iovec){ f->copy + 5000, 4000 };
	t.iov[2] = (struct iovec){ f->copy + 10000, 8192 - 4100 };
	t.req.iov_count = 3;
	assert_int_equal(image_submit(&f->image, &t.req), 0);
	wait_done(f, &t);
	assert_int_equal(t.result, 0);
	assert_memory_equal(f->copy, f->data + 3584, 100);
	assert_memory_equal(f->copy + 5000, f->data + 3684, 4000);
	assert_memory_equal(f->copy + 10000, f->data + 7684, 8192 - 4100);
}

static void short_transfers_go_on_where_they_ended(void **state)
{
	struct fixture *f = *state;
	struct meddler *m;
	struct tracked t;

	need_engine(f);
	m = meddle(f);
	m->cut = 1000;
	prepare(&t, IMAGE_WRITE, 512, f->data, 4096);
	t.iov[0] = (struct iovec){ f->data, 700 };
	t.iov[1] = (struct iovec){ f->data + 700, 4096 - 700 };
	t.req.iov_count = 2;
	assert_int_equal(image_submit(&f->image, &t.req), 0);
	wait_done(f, &t);
	assert_int_equal(t.result, 0);
	assert_int_equal(m->steps, 5); /* 700, 3 × 1000, 396 */
	file_read(f, 0, f->copy, 8192);
	assert_zero(f->copy, 512);
	assert_memory_equal(f->copy + 512, f->data, 4096);
	assert_zero(f->copy + 4608, 8192 - 4608);

	memset(f->copy, 0, 8192);
	assert_int_equal(run(f, IMAGE_READ, 512, f->copy, 4096), 0);
	assert_memory_equal(f->copy, f->data, 4096);
}

static void read_past_a_truncated_end_fails(void **state)
{
	struct fixture *f = *state;

	need_engine(f);
	assert_int_equal(truncate(f->path, 1024), 0);
	assert_int_equal(run(f, IMAGE_READ, 0, f->copy, 1024), 0);
	assert_int_equal(run(f, IMAGE_READ, 512, f->copy, 1024), -EIO);
	assert_int_equal(run(f, IMAGE_READ, MIB, f->copy, 512), -EIO);
}

static void bad_ranges_are_refused(void **state)
{
	struct fixture *f = *state;

	need_engine(f);
	assert_int_equal(run(f, IMAGE_READ, IMAGE_SIZE - 512, f->copy, 512), 0);
	assert_int_equal(run(f, IMAGE_READ, IMAGE_SIZE - 512, f->copy, 1024), -EINVAL);
	assert_int_equal(run(f, IMAGE_WRITE, IMAGE_SIZE, f->data, 512), -EINVAL);
	assert_int_equal(run(f, IMAGE_WRITE, UINT64_MAX - 511, f->data, 1024), -EINVAL);
	assert_int_equal(run(f, IMAGE_READ, 0, f->copy, 0), -EINVAL);
	assert_int_equal(run(f, IMAGE_DISCARD, 512, NULL, UINT64_MAX), -EINVAL);
	assert_int_equal(f->image.in_flight, 0);
}

static void readonly_image_refuses_changes(void **state)
{
	struct fixture *f = *state;
	struct image_options options = options_of(f);

	need_engine(f);
	options.readonly = true;
	reopen(f, &options);
	assert_int_equal(run(f, IMAGE_WRITE, 0, f->data, 512), -EROFS);
	assert_int_equal(run(f, IMAGE_DISCARD, 0, NULL, 512), -EROFS);
	assert_int_equal(run(f, IMAGE_ZERO, 0, NULL, 512), -EROFS);
	assert_int_equal(run(f, IMAGE_ZERO_UNMAP, 0, NULL, 512), -EROFS);
	assert_int_equal(run(f, IMAGE_READ, 0, f->copy, 512), 0);
	assert_int_equal(run(f, IMAGE_FLUSH, 0, NULL, 0), 0);
}

static void flush_is_one_fdatasync(void **state)
{
	struct fixture *f = *state;
	struct meddler *m;

	need_engine(f);
	m = meddle(f);
	assert_int_equal(run(f, IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_int_equal(m->steps, 1);
	assert_int_equal(m->fdatasyncs, 1);
	assert_int_equal(m->last_fd, f->image.fd);
}

/* A pipe cannot be synced: the kernel's error shows that the call was made. */
static void failed_flush_stays_failed(void **state)
{
	struct fixture *f = *state;
	int ends[2], file;

	need_engine(f);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	file = dup(f->image.fd);
	assert_true(dup2(ends[1], f->image.fd) >= 0);
	assert_int_equal(run(f, IMAGE_FLUSH, 0, NULL, 0), -EINVAL);

	assert_true(dup2(file, f->image.fd) >= 0);
	assert_int_equal(run(f, IMAGE_FLUSH, 0, NULL, 0), -EINVAL);
	assert_int_equal(run(f, IMAGE_WRITE, 0, f->data, 512), 0);
	close(file);
	close(ends[0]);
	close(ends[1]);
}

/* The guest must not take data for safe that the kernel has dropped. */
static void flushes_fail_after_a_failed_sync(void **state)
{
	struct fixture *f = *state;
	int ends[2], file;

	need_engine(f);
	assert_int_equal(image_sync(&f->image), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	file = dup(f->image.fd);
	assert_true(dup2(ends[1], f->image.fd) >= 0);
	assert_int_equal(image_sync(&f->image), -EINVAL);

	assert_true(dup2(file, f->image.fd) >= 0);
	assert_int_equal(image_sync(&f->image), -EINVAL);
	assert_int_equal(run(f, IMAGE_FLUSH, 0, NULL, 0), -EINVAL);
	close(file);
	close(ends[0]);
	close(ends[1]);
}

static void discard_gives_space_back(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	need_engine(f);
	assert_int_equal(run(f, IMAGE_WRITE, 0, f->data, IMAGE_SIZE), 0);
	assert_int_equal(run(f, IMAGE_FLUSH, 0, NULL, 0), 0); /* allocates */
	assert_int_equal(stat(f->path, &before), 0);
	if (run(f, IMAGE_DISCARD, MIB, NULL, MIB) == -EOPNOTSUPP)
		skip();
	assert_int_equal(stat(f->path, &after), 0);
	assert_true(after.st_blocks <= before.st_blocks - MIB / 512);
	assert_int_equal(after.st_size, IMAGE_SIZE);
	file_read(f, 0, f->copy, IMAGE_SIZE);
	assert_memory_equal(f->copy, f->data, MIB);
	assert_zero(f->copy + MIB, MIB);
	assert_memory_equal(f->copy + 2 * MIB, f->data + 2 * MIB, 2 * MIB);
}

static void unsupported_discard_says_so(void **state)
{
	struct fixture *f = *state;

	need_engine(f);
	meddle(f)->fallocate_error = -EOPNOTSUPP;
	assert_int_equal(run(f, IMAGE_DISCARD, 0, NULL, 512), -EOPNOTSUPP);
}

static void check_zeroes(struct fixture *f, enum image_op op)
{
	const uint64_t off = 1536, len = 2 * MIB + 512;

	assert_int_equal(run(f, IMAGE_WRITE, 0, f->data, IMAGE_SIZE), 0);
	assert_int_equal(run(f, op, off, NULL, len), 0);
	file_read(f, 0, f->copy, IMAGE_SIZE);
	assert_memory_equal(f->copy, f->data, off);
	assert_zero(f->copy + off, len);
	assert_memory_equal(f->copy + off + len, f->data + off + len, IMAGE_SIZE - off - len);
}

static void zeroes_read_back_as_zero(void **state)
{
	struct fixture *f = *state;

	need_engine(f);
	check_zeroes(f, IMAGE_ZERO);
	check_zeroes(f, IMAGE_ZERO_UNMAP);
}

static void zeroes_are_written_where_fallocate_cannot(void **state)
{
	struct fixture *f = *state;
	struct meddler *m;

	need_engine(f);
	m = meddle(f);
	m->fallocate_error = -EOPNOTSUPP;
	check_zeroes(f, IMAGE_ZERO);
	assert_int_equal(m->steps, 8); /* 4 MiB of data, the refusal, 1 MiB, 1 MiB, 512 bytes */
	check_zeroes(f, IMAGE_ZERO_UNMAP);
	m->cut = 700000;
	m->fallocate_error = -EINVAL;
	check_zeroes(f, IMAGE_ZERO);
}

static void other_fallocate_errors_are_errors(void **state)
{
	struct fixture *f = *state;

	need_engine(f);
	meddle(f)->fallocate_error = -ENOSPC;
	assert_int_equal(run(f, IMAGE_ZERO, 0, NULL, 512), -ENOSPC);
}

/* A request for PIECES pieces of the same IMAGE_SIZE bytes of memory; the file becomes as large. */
static void prepare_huge(struct fixture *f, struct tracked *t, enum image_op op)
{
	const struct image_options options = options_of(f);

	make_file(f->path, (off_t)PIECES * IMAGE_SIZE);
	reopen(f, &options);
	prepare(t, op, 0, f->copy, (uint64_t)PIECES * IMAGE_SIZE);
	for (unsigned i = 0; i < PIECES; i++)
		t->iov[i] = (struct iovec){ f->copy, IMAGE_SIZE };
	t->req.iov_count = PIECES;
}

static void a_step_is_no_longer_than_1_mib(void **state)
{
	struct fixture *f = *state;
	struct meddler *m;
	struct tracked t;

	need_engine(f);
	m = meddle(f);
	/* Cut within the second entry, and the third. */
	prepare(&t, IMAGE_WRITE, 0, f->data, IMAGE_SIZE);
	t.iov[0] = (struct iovec){ f->data, 700 };
	t.iov[1] = (struct iovec){ f->data + 700, MIB };
	t.iov[2] = (struct iovec){ f->data + 700 + MIB, 3 * MIB - 700 };
	t.req.iov_count = 3;
	assert_int_equal(image_submit(&f->image, &t.req), 0);
	wait_done(f, &t);
	assert_int_equal(t.result, 0);
	assert_int_equal(m->steps, 4);
	assert_int_equal(m->longest, MIB);
	file_read(f, 0, f->copy, IMAGE_SIZE);
	assert_memory_equal(f->copy, f->data, IMAGE_SIZE);
}

static void a_range_is_worked_on_in_steps(void **state)
{
	struct fixture *f = *state;
	struct meddler *m;
	struct tracked t;

	need_engine(f);
	prepare_huge(f, &t, IMAGE_READ);
	m = meddle(f);
	if (run(f, IMAGE_DISCARD, MIB, NULL, 150 * MIB) == -EOPNOTSUPP)
		skip();
	assert_int_equal(m->steps, 3); /* they end at 64 MiB, 128 MiB, 151 MiB */
	assert_int_equal(m->longest, 64 * MIB);
}

static void a_long_request_lets_others_pass(void **state)
{
	struct fixture *f = *state;
	struct tracked huge, small;

	need_engine(f);
	prepare_huge(f, &huge, IMAGE_READ);
	prepare(&small, IMAGE_READ, 0, f->data, 512);
	assert_int_equal(image_submit(&f->image, &huge.req), 0);
	image_process(&f->image);
	assert_int_equal(image_submit(&f->image, &small.req), 0);
	wait_done(f, &small);
	assert_int_equal(small.result, 0);
	assert_int_equal(huge.dones, 0);
	wait_done(f, &huge);
	assert_int_equal(huge.result, 0);
}

static void little_is_under_way_at_once(void **state)
{
	struct fixture *f = *state;
	struct meddler *m;
	struct tracked *t;

	need_engine(f);
	m = meddle(f);
	t = calloc(DEPTH, sizeof(*t));
	assert_non_null(t);
	for (unsigned i = 0; i < DEPTH; i++) {
		prepare(&t[i], IMAGE_READ, 0, f->copy, MIB);
		assert_int_equal(image_submit(&f->image, &t[i].req), 0);
	}
	image_process(&f->image);
	assert_in_range(m->steps, 8, 16); /* some may have completed at once */
	for (unsigned i = 0; i < DEPTH; i++) {
		wait_done(f, &t[i]);
		assert_int_equal(t[i].result, 0);
	}
	assert_int_equal(m->steps, DEPTH);
	free(t);
}

static void drain_cancels_what_is_left(void **state)
{
	struct fixture *f = *state;
	struct tracked huge, waiting, flush;
	struct meddler *m;

	need_engine(f);
	prepare_huge(f, &huge, IMAGE_READ);
	m = meddle(f);
	prepare(&waiting, IMAGE_WRITE, 0, f->data, 512);
	prepare(&flush, IMAGE_FLUSH, 0, NULL, 0);
	assert_int_equal(image_submit(&f->image, &huge.req), 0);
	image_process(&f->image);
	assert_int_equal(image_submit(&f->image, &waiting.req), 0);
	assert_int_equal(image_submit(&f->image, &flush.req), 0);
	image_drain(&f->image);
	assert_int_equal(f->image.in_flight, 0);
	assert_in_range(m->steps, 1, 2);
	assert_int_equal(m->fdatasyncs, 0);
	assert_int_equal(huge.dones + waiting.dones + flush.dones, 3);
	assert_int_equal(huge.result, -ECANCELED);
	assert_int_equal(waiting.result, -ECANCELED);
	assert_int_equal(flush.result, -ECANCELED);
	file_read(f, 0, f->copy, 512);
	assert_zero(f->copy, 512);

	/* That was not a disk error. */
	assert_int_equal(run(f, IMAGE_FLUSH, 0, NULL, 0), 0);
	assert_false(f->image.error_logged);
}

/* However much it is, and what the first steps' completion queues, too. */
static void finish_completes_everything(void **state)
{
	struct fixture *f = *state;
	struct tracked huge, waiting, flush;

	need_engine(f);
	prepare_huge(f, &huge, IMAGE_READ);
	memset(f->data, 0x5a, 512);
	prepare(&waiting, IMAGE_WRITE, 0, f->data, 512);
	prepare(&flush, IMAGE_FLUSH, 0, NULL, 0);
	assert_int_equal(image_submit(&f->image, &huge.req), 0);
	image_process(&f->image);
	assert_int_equal(image_submit(&f->image, &waiting.req), 0);
	assert_int_equal(image_submit(&f->image, &flush.req), 0);
	image_finish(&f->image);
	assert_int_equal(f->image.in_flight, 0);
	assert_int_equal(huge.dones + waiting.dones + flush.dones, 3);
	assert_int_equal(huge.result | waiting.result | flush.result, 0);
	file_read(f, 0, f->copy, 512);
	assert_memory_equal(f->copy, f->data, 512);
	image_finish(&f->image);
}

/* A reset drains on a vCPU thread. */
static void *drain_main(void *arg)
{
	image_drain(arg);
	return NULL;
}

static void drain_waits_for_what_is_under_way(void **state)
{
	struct fixture *f = *state;
	const uint64_t piece = IMAGE_SIZE / DEPTH;
	struct tracked *t;
	pthread_t thread;

	need_engine(f);
	t = calloc(DEPTH, sizeof(*t));
	assert_non_null(t);
	for (unsigned i = 0; i < DEPTH; i++) {
		prepare(&t[i], IMAGE_WRITE, i * piece, f->data + i * piece, piece);
		assert_int_equal(image_submit(&f->image, &t[i].req), 0);
	}
	image_process(&f->image);
	assert_int_equal(pthread_create(&thread, NULL, drain_main, &f->image), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(f->image.in_flight, 0);
	for (unsigned i = 0; i < DEPTH; i++) {
		assert_int_equal(t[i].dones, 1);
		assert_int_equal(t[i].result, 0);
	}
	free(t);
	file_read(f, 0, f->copy, IMAGE_SIZE);
	assert_memory_equal(f->copy, f->data, IMAGE_SIZE);
	/* The loop thread then finds nothing, and the event fd is no longer readable. */
	image_process(&f->image);
	assert_int_equal(poll(&(struct pollfd){ .fd = f->image.event_fd, .events = POLLIN }, 1, 0),
			 0);
}

static void direct_takes_any_alignment(void **state)
{
	struct fixture *f = *state;
	struct image_options options = options_of(f);
	struct meddler *m;

	need_engine(f);
	options.direct = true;
	image_close(&f->image);
	if (image_open(&f->image, &options)) /* a file system without O_DIRECT */
		skip();
	m = meddle(f);
	assert_int_equal(run(f, IMAGE_WRITE, 0, f->data, IMAGE_SIZE), 0);
	assert_int_equal(m->last_fd, f->image.direct_fd);
	/* An unaligned address, then an unaligned offset: through the page cache, and coherent. */
	assert_int_equal(run(f, IMAGE_READ, 4096, f->copy + 8, 4096), 0);
	assert_int_equal(m->last_fd, f->image.fd);
	assert_memory_equal(f->copy + 8, f->data + 4096, 4096);
	assert_int_equal(run(f, IMAGE_WRITE, 512, f->data, 1024), 0);
	assert_int_equal(m->last_fd, f->image.fd);
	assert_int_equal(run(f, IMAGE_READ, 0, f->copy, 8192), 0);
	assert_int_equal(m->last_fd, f->image.direct_fd);
	assert_memory_equal(f->copy, f->data, 512);
	assert_memory_equal(f->copy + 512, f->data, 1024);
	assert_memory_equal(f->copy + 1536, f->data + 1536, 8192 - 1536);
}

/* --- Once, on any engine --- */

static int open_error(const char *path, bool readonly)
{
	const struct image_options options = { .path = path, .readonly = readonly, .depth = 1 };
	struct image image;
	int err = image_open(&image, &options);

	if (!err)
		image_close(&image);
	return err;
}

static void wrong_files_are_refused(void **state)
{
	struct fixture *f = *state;
	char other[128];

	snprintf(other, sizeof(other), "%s/other", f->dir);
	assert_int_equal(open_error(other, false), -ENOENT);
	assert_int_equal(open_error(f->dir, true), -EINVAL);
	assert_int_equal(open_error("/dev/null", false), -EINVAL);
	make_file(other, 0);
	assert_int_equal(open_error(other, true), -EINVAL);
	make_file(other, 1000);
	assert_int_equal(open_error(other, true), -EINVAL);
	make_file(other, 1024);
	assert_int_equal(open_error(other, true), 0);
	unlink(other);
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(open_error(other, true), -EINVAL); /* and does not wait for a writer */
	unlink(other);
}

/* The file keeps what it has; the copy has holes where it has, and its own end. */
static void a_copy_leaves_the_file_alone(void **state)
{
	struct fixture *f = *state;
	struct image_options options = options_of(f);
	struct image other, busy;
	struct stat st;

	assert_int_equal(run(f, IMAGE_WRITE, MIB, f->data, 8192), 0);
	options.copy = true;
	reopen(f, &options);
	assert_int_equal(f->image.size, IMAGE_SIZE);
	assert_false(f->image.readonly);
	assert_int_equal(fstat(f->image.fd, &st), 0);
	assert_in_range(st.st_blocks * 512, 8192, MIB);
	assert_int_equal(run(f, IMAGE_READ, MIB, f->copy, 8192), 0);
	assert_memory_equal(f->copy, f->data, 8192);
	assert_int_equal(run(f, IMAGE_WRITE, 0, f->data, 4096), 0);
	assert_int_equal(run(f, IMAGE_READ, 0, f->copy, 4096), 0);
	assert_memory_equal(f->copy, f->data, 4096);
	file_read(f, 0, f->copy, MIB);
	assert_zero(f->copy, MIB);

	/* It needs the file no more, and no lock of it; but a writer's file is none to copy. */
	options.copy = false;
	assert_int_equal(image_open(&other, &options), 0);
	options.copy = true;
	assert_int_equal(image_open(&busy, &options), -EBUSY);
	image_close(&other);
}

static void locks_keep_writers_alone(void **state)
{
	struct fixture *f = *state;
	struct image_options options = options_of(f);

	assert_int_equal(open_error(f->path, false), -EBUSY);
	assert_int_equal(open_error(f->path, true), -EBUSY);
	options.readonly = true;
	reopen(f, &options);
	assert_int_equal(open_error(f->path, true), 0);
	assert_int_equal(open_error(f->path, false), -EBUSY);
	image_close(&f->image);
	assert_int_equal(open_error(f->path, false), 0);
}

/* Of a machine that moves: what one has written the other one reads; and it is had by one at a time. */
static void it_is_handed_over(void **state)
{
	struct fixture *f = *state;
	struct image_options options = options_of(f);
	struct image other;

	options.later = true;
	assert_int_equal(image_open(&other, &options), 0);
	assert_int_equal(image_take(&other), -EBUSY);
	assert_int_equal(image_take(&f->image), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(image_let_go(&f->image), 0);
		assert_int_equal(image_let_go(&f->image), 0);
		assert_int_equal(image_take(&other), 0);
		assert_int_equal(image_take(&other), 0);
		assert_int_equal(image_take(&f->image), -EBUSY);
		assert_int_equal(open_error(f->path, false), -EBUSY);
		assert_int_equal(image_let_go(&other), 0);
		assert_int_equal(image_take(&f->image), 0);
		assert_int_equal(image_take(&other), -EBUSY);
	}
	image_close(&other);
	assert_int_equal(open_error(f->path, true), -EBUSY);
	/* An error of the flush does not keep it here. */
	f->image.flush_error = -EIO;
	assert_int_equal(image_let_go(&f->image), -EIO);
	assert_int_equal(open_error(f->path, false), 0);
}

/* Readers do not wait for each other. */
static void a_readonly_one_is_had_by_both(void **state)
{
	struct fixture *f = *state;
	struct image_options options = options_of(f);
	struct image other;

	options.readonly = options.later = true;
	reopen(f, &options);
	assert_int_equal(open_error(f->path, false), -EBUSY);
	assert_int_equal(image_open(&other, &options), 0);
	assert_int_equal(image_let_go(&f->image), 0);
	assert_int_equal(image_take(&other), 0);
	assert_int_equal(image_take(&f->image), 0);
	image_close(&other);
	assert_int_equal(open_error(f->path, false), -EBUSY);
}

static void geometry_is_plausible(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->image.size, IMAGE_SIZE);
	assert_int_equal(f->image.logical_block, 512);
	assert_true(f->image.physical_block >= 512);
	assert_int_equal(f->image.physical_block & (f->image.physical_block - 1), 0);
}

/* From now on this process gets EPERM from one system call. */
static bool forbid(unsigned call)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(code), .filter = code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Exit status of a child that runs `body`. */
static int in_child(int (*body)(struct fixture *f), struct fixture *f)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		_exit(body(f));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int open_without_io_uring(struct fixture *f)
{
	struct image_options options = options_of(f);

	if (!forbid(__NR_io_uring_setup))
		return 2;
	if (image_open(&f->image, &options))
		return 3;
	if (strcmp(f->image.engine->ops->name, "threads"))
		return 4;
	return run(f, IMAGE_WRITE, 0, f->data, 4096) ? 5 : 0;
}

static void threads_take_over_where_io_uring_is_refused(void **state)
{
	struct fixture *f = *state;

	image_close(&f->image); /* the child would inherit its lock */
	assert_int_equal(in_child(open_without_io_uring, f), 0);
	file_read(f, 0, f->copy, 4096);
	assert_memory_equal(f->copy, f->data, 4096);
}

static int lose_io_uring(struct fixture *f)
{
	struct image_options options = options_of(f);
	struct tracked t;

	if (image_open(&f->image, &options))
		return 2;
	if (!forbid(__NR_io_uring_enter))
		return 3;
	prepare(&t, IMAGE_WRITE, 0, f->data, 4096);
	if (image_submit(&f->image, &t.req))
		return 4;
	image_process(&f->image);
	if (t.dones != 1 || t.result != -EIO)
		return 5;
	return run(f, IMAGE_READ, 0, f->copy, 4096) == -EIO ? 0 : 6;
}

static void dead_ring_fails_requests(void **state)
{
	struct fixture *f = *state;

	need_engine(f);
	image_close(&f->image);
	assert_int_equal(in_child(lose_io_uring, f), 0);
}

int main(void)
{
	static bool threads;
/* On io_uring (no initial state), and on threads. */
#define BOTH(test)                                                                                 \
	{ #test " (io_uring)", test, setup, teardown, NULL },                                      \
		{ #test " (threads)", test, setup, teardown, &threads }
	const struct CMUnitTest tests[] = {
		BOTH(reads_what_was_written),
		BOTH(short_transfers_go_on_where_they_ended),
		BOTH(read_past_a_truncated_end_fails),
		BOTH(bad_ranges_are_refused),
		BOTH(readonly_image_refuses_changes),
		BOTH(flush_is_one_fdatasync),
		BOTH(failed_flush_stays_failed),
		BOTH(flushes_fail_after_a_failed_sync),
		BOTH(discard_gives_space_back),
		BOTH(unsupported_discard_says_so),
		BOTH(zeroes_read_back_as_zero),
		BOTH(zeroes_are_written_where_fallocate_cannot),
		BOTH(other_fallocate_errors_are_errors),
		BOTH(a_step_is_no_longer_than_1_mib),
		BOTH(a_range_is_worked_on_in_steps),
		BOTH(a_long_request_lets_others_pass),
		BOTH(little_is_under_way_at_once),
		BOTH(drain_cancels_what_is_left),
		BOTH(drain_waits_for_what_is_under_way),
		BOTH(finish_completes_everything),
		BOTH(direct_takes_any_alignment),
		TEST(wrong_files_are_refused),
		TEST(a_copy_leaves_the_file_alone),
		TEST(locks_keep_writers_alone),
		TEST(it_is_handed_over),
		TEST(a_readonly_one_is_had_by_both),
		TEST(geometry_is_plausible),
		TEST(threads_take_over_where_io_uring_is_refused),
		TEST(dead_ring_fails_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
