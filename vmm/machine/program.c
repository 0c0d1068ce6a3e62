/* SPDX-License-Identifier: Apache-2.0 */
#include "program.h"

#include "base/log.h"
#include "base/real_time.h"
#include "base/text.h"
#include "devices/console.h"
#include "host/stream.h"

#include <string.h>
#include <sys/random.h>

const char *const program_ports[PROGRAM_PORTS] = {
	[PROGRAM_STDIN] = "kinglet.stdin",
	[PROGRAM_STDOUT] = "kinglet.stdout",
	[PROGRAM_STDERR] = "kinglet.stderr",
	[PROGRAM_FILES] = "kinglet.files",
};

struct program_out {
	struct program *program;
	unsigned port;
	const char *name;
	struct stream_out stream;
};

struct program_in {
	struct program *program;
	unsigned port;
	struct stream_in stream;
};

struct program {
	struct ending *ending;
	struct virtio_dev *console;
	unsigned port; /* the first */
	struct program_in in, files;
	bool *begun, begun_here; /* the guest has taken some of the files: config's or our own */
	struct program_out out, err;
};

static size_t input(void *owner, const uint8_t *data, size_t len)
{
	const struct program_in *in = owner;
	struct program *program = in->program;
	size_t taken = virtio_console_input(program->console, in->port, data, len);

	if (in == &program->files && taken && !*program->begun) {
		*program->begun = true;
		stream_in_resume(&program->in.stream);
	}
	return taken;
}

static void input_ended(void *owner)
{
	const struct program_in *in = owner;

	virtio_console_hang_up(in->program->console, in->port);
}

static void output_ready(void *owner)
{
	const struct program_out *out = owner;

	virtio_console_output_ready(out->program->console, out->port);
}

static void output_broken(void *owner)
{
	const struct program_out *out = owner;

	virtio_console_hang_up(out->program->console, out->port);
}

size_t program_output(struct program *program, unsigned port, const uint8_t *data, size_t len)
{
	struct program_out *out = port == program->out.port ? &program->out : &program->err;
	size_t taken;

	if (port != out->port)
		return len;
	taken = stream_out_write(&out->stream, data, len);
	/* At once: the program's status may arrive before the loop's next turn. */
	if (out->stream.error)
		ending_output_lost(program->ending, out->name, out->stream.error);
	return taken;
}

void program_input_wanted(struct program *program, unsigned port)
{
	stream_in_resume(port == program->files.port ? &program->files.stream : &program->in.stream);
}

void program_ended(struct program *program)
{
	ending_decide(program->ending, OUTCOME_STATUS, atomic_load(&program->ending->guest_status),
		      "the program ended");
}

static int init_out(struct program *program, struct program_out *out, struct loop *loop,
		    unsigned port, int fd, const char *name)
{
	static const struct stream_out_ops ops = { .ready = output_ready, .broken = output_broken };

	*out = (struct program_out){ .program = program, .port = port, .name = name };
	return stream_out_init(&out->stream, loop, fd, &ops, out);
}

static int init_in(struct program *program, struct program_in *in, struct loop *loop, unsigned port,
		   int fd)
{
	static const struct stream_in_ops ops = { .input = input, .ended = input_ended };

	in->program = program;
	in->port = port;
	return stream_in_init(&in->stream, loop, fd, &ops, in);
}

static int init_streams(struct program *program, struct loop *loop, int files)
{
	int ret = lseek(files, 0, SEEK_SET) < 0 ? -errno : 0;

	if (!ret)
		ret = init_out(program, &program->out, loop, program->port + PROGRAM_STDOUT, STDOUT_FILENO,
			       "standard output");
	if (ret)
		return ret;
	ret = init_out(program, &program->err, loop, program->port + PROGRAM_STDERR, STDERR_FILENO, "standard error");
	if (ret)
		goto err_out;
	ret = init_in(program, &program->in, loop, program->port + PROGRAM_STDIN, STDIN_FILENO);
	if (ret)
		goto err_err;
	ret = init_in(program, &program->files, loop, program->port + PROGRAM_FILES, files);
	if (ret)
		goto err_in;
	stream_in_resume(&program->files.stream);
	return 0;

err_in:
	stream_in_destroy(&program->in.stream);
err_err:
	stream_out_destroy(&program->err.stream);
err_out:
	stream_out_destroy(&program->out.stream);
	return ret;
}

int program_new(struct program **out, const struct machine_config *config, struct loop *loop,
		struct ending *ending, struct virtio_dev *console, unsigned port)
{
	_cleanup_free_ struct program *program = calloc(1, sizeof(*program));
	int ret;

	if (!program)
		return -ENOMEM;
	program->ending = ending;
	program->console = console;
	program->port = port;
	program->begun = config->program_begun ? config->program_begun : &program->begun_here;
	ret = init_streams(program, loop, config->program_files);
	if (ret)
		log_error("the program's streams: %s", strerror(-ret));
	else
		*out = steal_ptr(program);
	return ret;
}

void program_free(struct program *program)
{
	if (!program)
		return;
	stream_in_destroy(&program->files.stream);
	stream_in_destroy(&program->in.stream);
	stream_out_destroy(&program->err.stream);
	stream_out_destroy(&program->out.stream);
	free(program);
}

int program_renewal(char out[PROGRAM_RENEWAL_MAX])
{
	struct text text = text_of(out, PROGRAM_RENEWAL_MAX);
	uint8_t random[32];
	struct timespec now = real_time();

	if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
		log_error("the guest's random numbers: getrandom: %s", strerror(errno));
		return -errno;
	}
	text_add(&text, "%lld %ld ", (long long)now.tv_sec, now.tv_nsec);
	for (unsigned i = 0; i < sizeof(random); i++)
		text_add(&text, "%02x", random[i]);
	return 0;
}
