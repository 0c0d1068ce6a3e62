/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs the system calls of an image's requests. All functions are called under the image
 * owner's lock (host/image.h); what an engine does on other threads never takes that lock.
 */
#ifndef KINGLET_HOST_IMAGE_ENGINE_H
#define KINGLET_HOST_IMAGE_ENGINE_H

#include "host/image.h"

struct image_engine;

struct image_engine_ops {
	const char *name;
	/* Takes a request whose step is to be run; it may be held until submit(). Never fails. */
	void (*start)(struct image_engine *engine, struct image_request *req);
	/*
	 * Starts everything taken. False when some of it failed at once: reap() returns it, but
	 * event_fd does not signal it. May be NULL.
	 */
	bool (*submit)(struct image_engine *engine);
	/*
	 * The next request whose step is complete, with step.result set, or NULL when there is
	 * none. `wait`: sleeps until there is one; the caller knows that one is in flight.
	 */
	struct image_request *(*reap)(struct image_engine *engine, bool wait);
	/* Nothing is in flight. */
	void (*destroy)(struct image_engine *engine);
};

struct image_engine {
	const struct image_engine_ops *ops;
	int event_fd; /* readable while reap() has a request; owned by the engine */
};

static inline void image_queue_init(struct image_queue *queue)
{
	queue->first = NULL;
	queue->tail = &queue->first;
}

static inline void image_queue_append(struct image_queue *queue, struct image_request *req)
{
	req->step.next = NULL;
	*queue->tail = req;
	queue->tail = &req->step.next;
}

/* The first one, or NULL. */
static inline struct image_request *image_queue_take(struct image_queue *queue)
{
	struct image_request *req = queue->first;

	if (!req)
		return NULL;
	queue->first = req->step.next;
	if (!queue->first)
		queue->tail = &queue->first;
	return req;
}

/*
 * At most `depth` requests are in flight at once. Errors of io_uring_setup(2): -ENOSYS, -EPERM,
 * -ENOMEM and so on; -EOPNOTSUPP for a kernel older than 5.6.
 */
__must_check int image_uring_new(struct image_engine **out, unsigned depth);

/* -ENOMEM, -EAGAIN, -EMFILE. The workers block all signals. */
__must_check int image_threads_new(struct image_engine **out);

#endif
