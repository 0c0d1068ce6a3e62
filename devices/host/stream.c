/* SPDX-License-Identifier: Apache-2.0 */
#include "host/stream.h"

#include "base/log.h"

#include <string.h>

/* --- Input ------------------------------------------------------------------------------------ */

static void read_some(struct stream_in *in)
{
	ssize_t n = input_read(&in->input, in->data, sizeof(in->data));

	if (n == -EAGAIN)
		return;
	/* A terminal that hangs up reads EIO, which is its end of file. */
	if (n < 0 && n != -EIO)
		log_warning("standard input: read: %s", strerror((int)-n));
	if (n <= 0)
		in->ended = true;
	else
		in->len = (size_t)n;
}

static void deliver(struct stream_in *in)
{
	size_t taken = in->ops->input(in->owner, in->data, in->len);

	in->len -= taken;
	memmove(in->data, in->data + taken, in->len);
}

static void serve(struct stream_in *in, bool ready)
{
	if (!in->len && !in->ended && ready)
		read_some(in);
	if (in->len)
		deliver(in);
	if (input_watch(&in->input, in->loop, &in->event, !in->ended && !in->len))
		in->ended = true; /* no memory for it */
	if (in->len)
		return;
	if (!in->ended && in->input.always_ready) {
		/* At the loop's next turn, when others have had theirs. */
		stream_in_resume(in);
	} else if (in->ended && !in->told) {
		in->told = true;
		in->ops->ended(in->owner);
	}
}

static void readable(struct loop_event *event, uint32_t events)
{
	(void)events;
	serve(container_of(event, struct stream_in, event), true);
}

static void resumed(struct loop_event *event, uint32_t events)
{
	struct stream_in *in = container_of(event, struct stream_in, resume);

	(void)events;
	eventfd_drain(event->fd);
	serve(in, in->input.always_ready);
}

void stream_in_resume(struct stream_in *in)
{
	eventfd_signal(in->resume.fd);
}

int stream_in_init(struct stream_in *in, struct loop *loop, int fd, const struct stream_in_ops *ops,
		   void *owner)
{
	int ret;

	in->loop = loop;
	in->ops = ops;
	in->owner = owner;
	in->resume = (struct loop_event){ .fd = -1, .fn = resumed };
	in->ended = in->told = false;
	in->len = 0;
	ret = input_open(&in->input, fd);
	if (ret)
		return ret;
	in->event = (struct loop_event){ .fd = in->input.fd, .fn = readable };
	ret = loop_eventfd_add(loop, &in->resume);
	if (ret)
		input_close(&in->input);
	return ret;
}

void stream_in_destroy(struct stream_in *in)
{
	if (in->input.watched)
		loop_remove(in->loop, &in->event);
	loop_eventfd_remove(in->loop, &in->resume);
	input_close(&in->input);
}

/* --- Output ----------------------------------------------------------------------------------- */

static void break_pipe(struct stream_out *out, ssize_t err)
{
	out->error = (int)-err;
	eventfd_signal(out->broken_pipe.fd);
}

static void await_room(struct stream_out *out)
{
	int ret;

	if (out->waiting)
		return;
	ret = loop_add(out->loop, &out->event, EPOLLOUT);
	out->waiting = !ret;
	if (ret)
		break_pipe(out, ret);
}

size_t stream_out_write(struct stream_out *out, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t taken = 0;

	while (taken < len && !out->error && !out->waiting) {
		ssize_t n = output_write(&out->output, bytes + taken, len - taken);

		if (n > 0)
			taken += (size_t)n;
		else if (n == -EAGAIN)
			await_room(out);
		else if (n < 0)
			break_pipe(out, n);
	}
	return out->error ? len : taken;
}

static void writable(struct loop_event *event, uint32_t events)
{
	struct stream_out *out = container_of(event, struct stream_out, event);

	(void)events;
	loop_remove(out->loop, event);
	out->waiting = false;
	out->ops->ready(out->owner);
}

static void pipe_broke(struct loop_event *event, uint32_t events)
{
	struct stream_out *out = container_of(event, struct stream_out, broken_pipe);

	(void)events;
	eventfd_drain(event->fd);
	out->ops->broken(out->owner);
}

int stream_out_init(struct stream_out *out, struct loop *loop, int fd,
		    const struct stream_out_ops *ops, void *owner)
{
	int ret;

	*out = (struct stream_out){
		.loop = loop,
		.ops = ops,
		.owner = owner,
		.event.fn = writable,
		.broken_pipe = { .fd = -1, .fn = pipe_broke },
	};
	ret = output_open(&out->output, fd);
	out->event.fd = out->output.fd;
	if (!ret)
		ret = loop_eventfd_add(loop, &out->broken_pipe);
	if (ret)
		output_close(&out->output);
	return ret;
}

void stream_out_destroy(struct stream_out *out)
{
	if (out->waiting)
		loop_remove(out->loop, &out->event);
	loop_eventfd_remove(out->loop, &out->broken_pipe);
	output_close(&out->output);
}
