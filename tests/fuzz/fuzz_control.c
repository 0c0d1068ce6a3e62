/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that sends arbitrary bytes to a control socket, in pieces, to a machine that answers now,
 * later or never. What comes back is whole lines of JSON.
 */
#include "../../vmm/control/internal.h"
#include "fuzz.h"

#include "core/irq.h"
#include "core/vcpu.h"

#include <sys/socket.h>

struct scene {
	struct loop loop;
	struct control_server *server;
	struct machine_config config;
	struct machine_parts parts;
	struct irqs irqs;
	struct vcpu vcpu;
	struct machine_ask *asked; /* one client has one request served at a time */
	unsigned results;
	int client;
	char line[CLIENT_OUT_MAX];
	size_t len;
};

/* The operations' vm is opaque: here it is the scene. */
static struct scene *scene_of(struct vm *vm)
{
	return (struct scene *)(void *)vm;
}

static void ask(struct vm *vm, struct machine_ask *ask)
{
	struct scene *s = scene_of(vm);

	FUZZ_CHECK(!s->asked);
	s->asked = ask;
}

/* One of the answers that a request may have. */
static int result(struct vm *vm)
{
	static const int results[] = { 0, -EALREADY, -EBUSY, -EOPNOTSUPP };

	return results[scene_of(vm)->results++ % ARRAY_SIZE(results)];
}

static int migrate(struct vm *vm, const struct machine_move *move)
{
	close(move->fd);
	return result(vm);
}

static void end(struct vm *vm, const struct verdict *verdict)
{
	(void)vm;
	FUZZ_CHECK(verdict->outcome == OUTCOME_QUIT);
}

static const struct machine_ops ops = {
	.ask = ask, .pause = result, .resume = result, .press_power = result, .end = end,
	.migrate = migrate, .cancel_migration = result,
};

static void answer(struct scene *s)
{
	while (s->asked) {
		struct machine_ask *asked = s->asked;

		s->asked = NULL;
		asked->run(asked);
		asked->answered(asked);
	}
}

static void take_reply(struct scene *s, char byte)
{
	cJSON *json;

	FUZZ_CHECK(s->len < sizeof(s->line));
	if (byte != '\n') {
		s->line[s->len++] = byte;
		return;
	}
	json = cJSON_ParseWithLength(s->line, s->len);
	FUZZ_CHECK(cJSON_IsObject(json));
	cJSON_Delete(json);
	s->len = 0;
}

static void turn(struct scene *s)
{
	char text[4096];
	ssize_t got;

	for (unsigned i = 0; i < 3; i++) {
		loop_stop(&s->loop);
		FUZZ_CHECK(!loop_run(&s->loop));
		while ((got = recv(s->client, text, sizeof(text), MSG_DONTWAIT)) > 0)
			for (ssize_t at = 0; at < got; at++)
				take_reply(s, text[at]);
	}
}

static void begin(struct scene *s, char *where)
{
	const struct control_config config = { .where = where };
	int ends[2];

	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	snprintf(where, 16, "fd=%d", ends[0]);
	s->client = ends[1];
	s->irqs.table = calloc(1, sizeof(*s->irqs.table));
	s->config.boot.kernel = "kernel";
	FUZZ_CHECK(!loop_init(&s->loop));
	s->parts = (struct machine_parts){
		.config = &s->config, .control_loop = &s->loop, .irqs = &s->irqs,
		.vcpus = &s->vcpu, .vcpu_count = 1, .ops = &ops, .vm = (struct vm *)(void *)s,
	};
	FUZZ_CHECK(!control_server_new(&s->server, &config));
	FUZZ_CHECK(!control_server_ops.begin(s->server, &s->parts));
	FUZZ_CHECK(!control_server_ops.built(s->server, &s->parts));
	control_server_ops.phase(s->server, NULL, MACHINE_RUNS);
	/* No deadline, which would depend on the time. */
	s->server->patience_ns = UINT64_C(3600000000000);
	turn(s);
}

static void finish(struct scene *s)
{
	const struct verdict verdict = { .outcome = OUTCOME_QUIT };

	loop_destroy(&s->loop);
	control_server_end(s->server, &verdict, "quit");
	control_server_free(s->server);
	close(s->client);
	free(s->irqs.table);
	free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct scene *s = calloc(1, sizeof(*s));
	char where[16];

	FUZZ_CHECK(s);
	begin(s, where);
	while (in.left) {
		size_t piece = fuzz_pick(&in, 64);

		if (piece > in.left)
			piece = in.left;
		/* It may have been closed. */
		(void)!send(s->client, in.data, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
		in.data += piece;
		in.left -= piece;
		turn(s);
		if (piece & 1)
			answer(s);
	}
	finish(s);
	return 0;
}
