/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"
#include "core/loop.h"
#include "host/image_engine.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

enum { WORKERS = 4 };

struct threads {
	struct image_engine engine;
	pthread_mutex_t lock; /* of everything below */
	pthread_cond_t work, finished;
	struct image_queue todo, done;
	bool signalled; /* event_fd is readable */
	bool stop;
	unsigned count;
	pthread_t workers[WORKERS];
};

static struct threads *to_threads(struct image_engine *engine)
{
	return (struct threads *)engine;
}

static int run_step(const struct image_request *req)
{
	const struct image_step *step = &req->step;
	int iov_count = (int)step->iov_count;
	ssize_t n = -1;

	switch (step->call) {
	case IMAGE_READV:
		n = preadv(step->fd, req->iov, iov_count, (off_t)req->offset);
		break;
	case IMAGE_WRITEV:
		n = pwritev(step->fd, req->iov, iov_count, (off_t)req->offset);
		break;
	case IMAGE_FDATASYNC:
		n = fdatasync(step->fd);
		break;
	case IMAGE_FALLOCATE:
		n = fallocate(step->fd, step->mode, (off_t)req->offset, (off_t)step->len);
		break;
	}
	return n < 0 ? -errno : (int)n;
}

static void *worker_main(void *arg)
{
	struct threads *threads = arg;

	pthread_mutex_lock(&threads->lock);
	for (;;) {
		struct image_request *req;

		while (!threads->todo.first && !threads->stop)
			pthread_cond_wait(&threads->work, &threads->lock);
		if (!threads->todo.first)
			break;
		req = image_queue_take(&threads->todo);
		pthread_mutex_unlock(&threads->lock);
		req->step.result = run_step(req);
		pthread_mutex_lock(&threads->lock);
		image_queue_append(&threads->done, req);
		if (!threads->signalled)
			eventfd_signal(threads->engine.event_fd);
		threads->signalled = true;
		pthread_cond_signal(&threads->finished);
	}
	pthread_mutex_unlock(&threads->lock);
	return NULL;
}

static void threads_start(struct image_engine *engine, struct image_request *req)
{
	struct threads *threads = to_threads(engine);

	pthread_mutex_lock(&threads->lock);
	image_queue_append(&threads->todo, req);
	pthread_cond_signal(&threads->work);
	pthread_mutex_unlock(&threads->lock);
}

static struct image_request *threads_reap(struct image_engine *engine, bool wait)
{
	struct threads *threads = to_threads(engine);
	struct image_request *req;

	pthread_mutex_lock(&threads->lock);
	while (wait && !threads->done.first)
		pthread_cond_wait(&threads->finished, &threads->lock);
	req = image_queue_take(&threads->done);
	if (!req && threads->signalled) {
		eventfd_drain(threads->engine.event_fd);
		threads->signalled = false;
	}
	pthread_mutex_unlock(&threads->lock);
	return req;
}

static void threads_destroy(struct image_engine *engine)
{
	struct threads *threads = to_threads(engine);

	pthread_mutex_lock(&threads->lock);
	threads->stop = true;
	pthread_cond_broadcast(&threads->work);
	pthread_mutex_unlock(&threads->lock);
	while (threads->count)
		pthread_join(threads->workers[--threads->count], NULL);
	pthread_cond_destroy(&threads->finished);
	pthread_cond_destroy(&threads->work);
	pthread_mutex_destroy(&threads->lock);
	close_fd(&threads->engine.event_fd);
	free(threads);
}

static const struct image_engine_ops threads_ops = {
	.name = "threads",
	.start = threads_start,
	.reap = threads_reap,
	.destroy = threads_destroy,
};

int image_threads_new(struct image_engine **out)
{
	struct threads *threads = calloc(1, sizeof(*threads));
	sigset_t all;
	int ret = 0;

	if (!threads)
		return -ENOMEM;
	threads->engine.ops = &threads_ops;
	threads->engine.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (threads->engine.event_fd < 0) {
		ret = -errno;
		free(threads);
		return ret;
	}
	image_queue_init(&threads->todo);
	image_queue_init(&threads->done);
	pthread_mutex_init(&threads->lock, NULL);
	pthread_cond_init(&threads->work, NULL);
	pthread_cond_init(&threads->finished, NULL);

	/* Workers take no signals. */
	sigfillset(&all);
	while (!ret && threads->count < WORKERS) {
		ret = thread_start(&threads->workers[threads->count], &all, worker_main, threads);
		if (!ret)
			threads->count++;
	}
	if (ret) {
		threads_destroy(&threads->engine);
		return ret;
	}
	*out = &threads->engine;
	return 0;
}
