/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: the test is its clients, the machine, and the main thread's loop. */
#include "../../vmm/control/internal.h"
#include "fake_sys.h"
#include "unit.h"

#include "base/log.h"
#include "core/irq.h"
#include "core/vcpu.h"
#include "virtio/virtio.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { ASKS_MAX = 64 };

struct rig {
	struct loop loop;
	struct control_server *server;
	struct machine_config config;
	struct machine_parts parts;
	struct machine_ops ops;
	struct irqs irqs;
	struct vcpu vcpu;
	struct virtio_dev balloon, *devices[1];
	char folder[32], path[64];
	int client;
	unsigned fds; /* open before */
	/* The machine. */
	struct machine_ask *asked[ASKS_MAX];
	unsigned ask_count;
	bool stuck; /* its thread does not answer */
	int pause_result, power_result, resize_result, save_result;
	char saved[64]; /* folder and base, or a migration's target */
	dev_t passed;	/* with that */
	uint64_t downtime_ns;
	const char *says; /* logged by migrate */
	uint64_t target;
	struct verdict end;
	char typed[64];
	size_t key_room; /* keys that it takes now */
};

static struct rig *the_rig; /* for the operations, whose vm is opaque */

/* --- The machine ------------------------------------------------------------------------------ */

static void answer_all(struct rig *rig)
{
	for (unsigned i = 0; i < rig->ask_count; i++) {
		rig->asked[i]->run(rig->asked[i]);
		rig->asked[i]->answered(rig->asked[i]);
	}
	rig->ask_count = 0;
}

static void ask(struct vm *vm, struct machine_ask *ask)
{
	(void)vm;
	assert_true(the_rig->ask_count < ASKS_MAX);
	the_rig->asked[the_rig->ask_count++] = ask;
}

static int pause_vcpus(struct vm *vm)
{
	(void)vm;
	return the_rig->pause_result;
}

static int save(struct vm *vm, const char *dir, const char *base)
{
	(void)vm;
	snprintf(the_rig->saved, sizeof(the_rig->saved), "%s %s", dir, base ? base : "-");
	return the_rig->save_result;
}

static int migrate(struct vm *vm, const struct machine_move *move)
{
	struct stat st;

	(void)vm;
	assert_int_equal(fstat(move->fd, &st), 0);
	the_rig->passed = st.st_rdev;
	close(move->fd);
	the_rig->downtime_ns = move->downtime_ns;
	if (the_rig->says)
		log_error("%s", the_rig->says);
	snprintf(the_rig->saved, sizeof(the_rig->saved), "%s", move->target);
	return the_rig->save_result;
}

static int cancel_migration(struct vm *vm)
{
	(void)vm;
	return the_rig->save_result;
}

static int press_power(struct vm *vm)
{
	(void)vm;
	return the_rig->power_result;
}

static void end(struct vm *vm, const struct verdict *verdict)
{
	(void)vm;
	the_rig->end = *verdict;
}

static size_t type(struct vm *vm, const uint8_t *keys, size_t len)
{
	size_t taken = len < the_rig->key_room ? len : the_rig->key_room;

	(void)vm;
	the_rig->key_room -= taken;
	strncat(the_rig->typed, (const char *)keys, taken);
	return taken;
}

static int resize(struct virtio_dev *dev, uint64_t bytes)
{
	(void)dev;
	the_rig->target = bytes;
	return the_rig->resize_result;
}

static unsigned get_stats(struct virtio_dev *dev, struct virtio_stat *stats)
{
	(void)dev;
	stats[0] = (struct virtio_stat){ "actual", 4096 };
	return 1;
}

static const struct virtio_model balloon = {
	.name = "virtio-balloon",
	.resize = resize,
	.get_stats = get_stats,
};
static const struct virtio_model other = { .name = "virtio-rng" };

/* --- The main thread -------------------------------------------------------------------------- */

/* Until nothing is left to do: each turn serves what is there, and 4 KiB of each client. */
static void turn(struct rig *rig)
{
	for (unsigned i = 0; i < 40; i++) {
		loop_stop(&rig->loop);
		assert_int_equal(loop_run(&rig->loop), 0);
		if (!rig->stuck)
			answer_all(rig);
	}
}

static int queue_up(const struct rig *rig)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int connect_to(struct rig *rig)
{
	int fd = queue_up(rig);

	turn(rig);
	return fd;
}

/* A line without its newline; empty: the end. */
static const char *hear(struct rig *rig, int fd)
{
	static char line[CLIENT_OUT_MAX];
	size_t len = 0;
	ssize_t got;

	for (;;) {
		struct pollfd wait = { .fd = fd, .events = POLLIN };

		while (!poll(&wait, 1, 1))
			turn(rig);
		got = recv(fd, line + len, 1, 0);
		if (got <= 0 || line[len] == '\n')
			break;
		assert_true(++len < sizeof(line));
	}
	line[len] = '\0';
	return line;
}

static bool hears_nothing(struct rig *rig, int fd)
{
	char byte;

	turn(rig);
	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void say(struct rig *rig, int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
	turn(rig);
}

static void expect(struct rig *rig, const char *line, const char *reply)
{
	say(rig, rig->client, line);
	say(rig, rig->client, "\n");
	assert_string_equal(hear(rig, rig->client), reply);
}

static void open_server(struct rig *rig, const char *where)
{
	const struct control_config config = { .name = "m1", .where = where };

	assert_int_equal(control_server_new(&rig->server, &config), 0);
	assert_int_equal(control_server_ops.begin(rig->server, &rig->parts), 0);
}

static void end_run(struct rig *rig)
{
	const struct verdict verdict = { OUTCOME_STATUS, 7, "exit port" };

	loop_destroy(&rig->loop);
	rig->loop = (struct loop){ .epoll_fd = -1, .stop_fd = -1 };
	control_server_end(rig->server, &verdict, "guest-status");
}

/* A machine that runs, and a client that has been greeted. */
static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->fds = fake_open_fds();
	the_rig = rig;
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/kinglet-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/sock", rig->folder);
	rig->ops = (struct machine_ops){
		.ask = ask, .pause = pause_vcpus, .resume = pause_vcpus,
		.press_power = press_power, .save = save, .end = end, .type = type,
		.migrate = migrate, .cancel_migration = cancel_migration,
	};
	rig->key_room = sizeof(rig->typed) - 1;
	rig->config.cpus = 2;
	rig->config.memory = 1 << 28;
	rig->config.boot.kernel = "k\xff";
	rig->balloon = (struct virtio_dev){ .model = &balloon, .name = "virtio-balloon 0" };
	rig->devices[0] = &rig->balloon;
	rig->irqs.table = calloc(1, sizeof(*rig->irqs.table));
	assert_non_null(rig->irqs.table);
	assert_int_equal(loop_init(&rig->loop), 0);
	rig->parts = (struct machine_parts){
		.config = &rig->config, .control_loop = &rig->loop, .irqs = &rig->irqs,
		.devices = rig->devices, .device_count = 1, .vcpus = &rig->vcpu, .vcpu_count = 1,
		.ops = &rig->ops,
	};
	open_server(rig, rig->path);
	control_server_ops.built(rig->server, &rig->parts);
	control_server_ops.phase(rig->server, NULL, MACHINE_RUNS);
	rig->client = connect_to(rig);
	hear(rig, rig->client);
	*state = rig;
	return 0;
}

/* Nothing is left: neither descriptors nor files. */
static int teardown(void **state)
{
	struct rig *rig = *state;

	end_run(rig);
	control_server_free(rig->server);
	close_fd(&rig->client);
	assert_int_equal(rmdir(rig->folder), 0);
	assert_int_equal(fake_open_fds(), rig->fds);
	free(rig->irqs.table);
	free(rig);
	return 0;
}

/* --- Requests --------------------------------------------------------------------------------- */

static void a_client_is_greeted(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);
	char text[128];

	snprintf(text, sizeof(text),
		 "{\"kinglet\":\"%s\",\"protocol\":1,\"name\":\"m1\",\"pid\":%d}",
		 KINGLET_VERSION, (int)getpid());
	assert_string_equal(hear(rig, fd), text);
	close(fd);
}

/* A kernel's name need not be UTF-8. */
static void info_tells_of_the_machine(void **state)
{
	struct rig *rig = *state;
	char text[400];

	snprintf(text, sizeof(text),
		 "{\"id\":1,\"ok\":{\"name\":\"m1\",\"pid\":%d,\"version\":\"%s\",\"cpus\":2,"
		 "\"memory\":268435456,\"kernel\":\"k\xef\xbf\xbd\",\"state\":\"running\","
		 "\"devices\":[{\"name\":\"virtio-balloon 0\",\"kind\":\"virtio-balloon\"}],"
		 "\"can_move\":true}}",
		 (int)getpid(), KINGLET_VERSION);
	expect(rig, "{\"id\":1,\"do\":\"info\"}", text);
}

static void stats_are_numbers(void **state)
{
	struct rig *rig = *state;

	rig->vcpu.exits = 5;
	rig->vcpu.exits_by_reason[KVM_EXIT_MMIO] = 3;
	rig->vcpu.exits_by_reason[60] = 2;
	rig->balloon.guest_exits = 7;
	rig->balloon.loop_wakeups = 8;
	expect(rig, "{\"do\":\"stats\"}",
	       "{\"id\":null,\"ok\":{\"exits\":{\"MMIO\":3,\"60\":2,\"all\":5},"
	       "\"interrupts\":{\"MSI\":0},"
	       "\"devices\":{\"virtio-balloon 0\":{\"exits\":7,\"wakeups\":8,"
	       "\"actual\":4096}}}}");
}

#define ERROR(code, message)                                                                       \
	"{\"id\":null,\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define OK "{\"id\":null,\"ok\":{}}"

static void what_is_wrong_is_refused_by_name(void **state)
{
	static const struct {
		const char *line, *reply;
	} cases[] = {
		{ "x", ERROR("bad-request", "the line is no JSON object") },
		{ "[1]", ERROR("bad-request", "the line is no JSON object") },
		{ "{}{}", ERROR("bad-request", "the line is no JSON object") },
		{ "{\"do\":\"info\"", ERROR("bad-request", "the line is no JSON object") },
		{ "{}", ERROR("bad-request",
			      "\\\"do\\\" is missing or no string: it names the request") },
		{ "{\"do\":1}", ERROR("bad-request",
				      "\\\"do\\\" is missing or no string: it names the request") },
		{ "{\"do\":\"info\",\"id\":[]}",
		  ERROR("bad-request",
			"\\\"id\\\" is neither a string nor a number up to 2^53 - 1") },
		{ "{\"do\":\"info\",\"id\":9007199254740993}",
		  ERROR("bad-request",
			"\\\"id\\\" is neither a string nor a number up to 2^53 - 1") },
		{ "{\"do\":\"info\",\"args\":1}",
		  ERROR("bad-request", "\\\"args\\\" is no object") },
		{ "{\"do\":\"info\",\"x\":1}",
		  ERROR("bad-request", "\\\"x\\\" is no member of a request: id, do, args") },
		{ "{\"do\":\"info\\u0000\"}", ERROR("bad-request", "the line has a NUL") },
		{ "{\"do\":\"info\",\"do\":\"stop\"}",
		  ERROR("bad-request", "\\\"do\\\" is there twice") },
		{ "{\"do\":\"stop\",\"args\":{},\"args\":{\"now\":true}}",
		  ERROR("bad-request", "\\\"args\\\" is there twice") },
		{ "{\"do\":\"stop\",\"args\":{\"now\":false,\"now\":true}}",
		  ERROR("bad-request", "\\\"now\\\" of stop is there twice") },
		/* Not a NUL, but a backslash. */
		{ "{\"do\":\"\\\\u0000\"}",
		  ERROR("unknown-request", "there is no request \\\"\\\\u0000\\\"") },
		{ "{\"do\":\"nix\"}",
		  ERROR("unknown-request", "there is no request \\\"nix\\\"") },
		{ "{\"do\":\"info\",\"args\":{\"x\":1}}",
		  ERROR("bad-request", "info has no argument \\\"x\\\"") },
		{ "{\"do\":\"stop\",\"args\":{\"now\":1}}",
		  ERROR("bad-request", "\\\"now\\\" of stop is not true or false") },
		{ "{\"do\":\"snapshot\",\"args\":{\"base\":\"/b\"}}",
		  ERROR("bad-request", "snapshot needs \\\"dir\\\", a path from the root") },
		{ "{\"do\":\"snapshot\",\"args\":{\"dir\":\"d\"}}",
		  ERROR("bad-request", "\\\"dir\\\" of snapshot is not a path from the root") },
		{ "{\"do\":\"snapshot\",\"args\":{\"dir\":\"/d\",\"base\":7}}",
		  ERROR("bad-request", "\\\"base\\\" of snapshot is not a path from the root") },
		{ "{\"do\":\"resize\"}",
		  ERROR("bad-request",
			"resize needs \\\"memory\\\", a whole number of bytes") },
		{ "{\"do\":\"resize\",\"args\":{\"memory\":-1}}",
		  ERROR("bad-request", "\\\"memory\\\" of resize is not a whole number of bytes") },
		{ "{\"do\":\"resize\",\"args\":{\"memory\":0.5}}",
		  ERROR("bad-request", "\\\"memory\\\" of resize is not a whole number of bytes") },
		{ "{\"do\":\"resize\",\"args\":{\"memory\":1e300}}",
		  ERROR("bad-request", "\\\"memory\\\" of resize is not a whole number of bytes") },
	};
	struct rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		expect(rig, cases[i].line, cases[i].reply);
	assert_int_equal(rig->ask_count, 0);
}

static void a_nul_is_refused_as_a_byte_too(void **state)
{
	static const char line[] = "{\"do\":\"info\0\"}\n";
	struct rig *rig = *state;

	assert_int_equal(send(rig->client, line, sizeof(line) - 1, MSG_NOSIGNAL), sizeof(line) - 1);
	turn(rig);
	assert_string_equal(hear(rig, rig->client), ERROR("bad-request", "the line has a NUL"));
}

/* As it came, but in UTF-8; what is refused has it, too. */
static void a_reply_has_the_id_of_its_request(void **state)
{
	struct rig *rig = *state;

	expect(rig, "{\"id\":\"\\u00e4\xff\",\"do\":\"resume\"}",
	       "{\"id\":\"\xc3\xa4\xef\xbf\xbd\",\"ok\":{}}");
	expect(rig, "{\"id\":-9007199254740991,\"do\":\"resume\"}",
	       "{\"id\":-9007199254740991,\"ok\":{}}");
	expect(rig, "{\"id\":0.30000000000000004,\"do\":\"resume\"}",
	       "{\"id\":0.30000000000000004,\"ok\":{}}");
	expect(rig, "{\"id\":7.5,\"do\":\"x\"}",
	       "{\"id\":7.5,\"error\":{\"code\":\"unknown-request\","
	       "\"message\":\"there is no request \\\"x\\\"\"}}");
}

static void a_machine_is_saved(void **state)
{
	struct rig *rig = *state;

	expect(rig, "{\"do\":\"snapshot\",\"args\":{\"dir\":\"/d\"}}", OK);
	assert_string_equal(rig->saved, "/d -");
	expect(rig, "{\"do\":\"snapshot\",\"args\":{\"base\":\"/b\",\"dir\":\"/d\"}}", OK);
	assert_string_equal(rig->saved, "/d /b");
}

static void a_save_that_fails_says_whose_fault_it_is(void **state)
{
	static const struct {
		int error;
		const char *answer;
	} cases[] = {
#define CASE(error, code, text)                                                                    \
	{ error, ERROR(code, "the machine could not be saved in /d: " text                         \
			     "; its own messages say more") }
		CASE(ENOSPC, "failed", "No space left on device"),
		CASE(EACCES, "failed", "Permission denied"),
		CASE(EEXIST, "refused", "File exists"),
		CASE(ENOENT, "refused", "No such file or directory"),
		CASE(EOPNOTSUPP, "refused", "Operation not supported"),
		CASE(EBUSY, "bad-state", "Device or resource busy"),
		CASE(ECANCELED, "bad-state", "Operation canceled"),
#undef CASE
	};
	struct rig *rig = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		rig->save_result = -cases[i].error;
		expect(rig, "{\"do\":\"snapshot\",\"args\":{\"dir\":\"/d\"}}", cases[i].answer);
	}
}

#define MIGRATE(arg) "{\"do\":\"migrate\",\"args\":{" arg "}}"

/* One passes with the line: descriptors, of which the last counts. */
static void expect_passing(struct rig *rig, const char *line, unsigned count, const char *reply)
{
	_Alignas(struct cmsghdr) char passed[CMSG_SPACE(2 * sizeof(int))] = "";
	int fds[2] = { open("/dev/null", O_RDONLY), open("/dev/zero", O_RDONLY) };
	struct iovec bytes = { (char *)line, strlen(line) };
	struct msghdr message = {
		.msg_iov = &bytes, .msg_iovlen = 1,
		.msg_control = passed, .msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};

	*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(count * sizeof(int)),
	};
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), fds, count * sizeof(int));
	assert_int_equal(sendmsg(rig->client, &message, MSG_NOSIGNAL), strlen(line));
	close(fds[0]);
	close(fds[1]);
	expect(rig, "", reply);
}

static void a_machine_moves_or_not(void **state)
{
	struct rig *rig = *state;

	expect_passing(rig, MIGRATE("\"target\":\"there\",\"downtime_ms\":5000"), 1, OK);
	assert_int_equal(rig->downtime_ns, 5000000000);
	expect(rig, MIGRATE("\"target\":\"there\",\"downtime_ms\":5001"),
	       ERROR("bad-request", "\\\"downtime_ms\\\" of migrate is not a whole number of "
				    "milliseconds, at most 5000"));
	assert_string_equal(rig->saved, "there");
	assert_int_equal(rig->passed, makedev(1, 3));
	expect(rig, MIGRATE("\"cancel\":true"), OK);
	expect(rig, MIGRATE(""),
	       ERROR("bad-request", "migrate needs \\\"target\\\" or \\\"cancel\\\""));
	/* It has been taken. */
	expect(rig, MIGRATE("\"target\":\"x\""),
	       ERROR("bad-request", "migrate needs a socket that is connected to its target "
				    "(SCM_RIGHTS)"));
	rig->save_result = -ENOTSOCK;
	expect_passing(rig, MIGRATE("\"target\":\"x\""), 2,
		       ERROR("refused", "Socket operation on non-socket"));
	assert_int_equal(rig->passed, makedev(1, 5));
	rig->save_result = -EBUSY;
	rig->says = "it is paused";
	/* For another request it is not. */
	expect_passing(rig, "{\"do\":\"pause\"}", 1, OK);
	expect(rig, MIGRATE("\"target\":\"x\""),
	       ERROR("bad-state", "it is paused"));
	expect(rig, MIGRATE("\"cancel\":true"), ERROR("bad-state", "it is too late"));
	rig->save_result = -EALREADY;
	expect(rig, MIGRATE("\"cancel\":true"), ERROR("bad-state", "the machine is not moving"));
	/* Nor is it for anyone when its client leaves. */
	expect_passing(rig, "{\"do\":\"resume\"}", 2, OK);
}

static void expect_state(struct rig *rig, const char *state)
{
	char text[64];

	snprintf(text, sizeof(text), "\"state\":\"%s\"", state);
	say(rig, rig->client, "{\"do\":\"info\"}\n");
	assert_non_null(strstr(hear(rig, rig->client), text));
}

/* Numbers for programs; and info says where it stands. */
static void rounds_are_told(void **state)
{
	const struct machine_progress first = { .round = 1, .left = 1 << 20,
						.expected_ns = UINT64_MAX };
	const struct machine_progress last = { .round = 2, .left = 4096, .sent = 5000, .rate = 70,
					       .written = 8, .expected_ns = 12345678,
					       .stands = true };
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	say(rig, fd, "{\"do\":\"events\"}\n");
	assert_string_equal(hear(rig, fd), OK);
	control_server_ops.moves(rig->server, &first);
	assert_string_equal(hear(rig, fd),
			    "{\"event\":\"moves\",\"round\":1,\"left\":1048576,\"sent\":0,"
			    "\"rate\":0,\"written\":0,\"stands\":false}");
	expect_state(rig, "moving");
	control_server_ops.moves(rig->server, &last);
	assert_string_equal(hear(rig, fd),
			    "{\"event\":\"moves\",\"round\":2,\"left\":4096,\"sent\":5000,"
			    "\"rate\":70,\"written\":8,\"expected_ms\":12,\"stands\":true}");
	control_server_ops.happened(rig->server, MACHINE_STAYS, "why");
	assert_string_equal(hear(rig, fd), "{\"event\":\"stays\",\"detail\":\"why\"}");
	expect_state(rig, "running");
	control_server_ops.happened(rig->server, MACHINE_FROZEN, "silence");
	assert_string_equal(hear(rig, fd), "{\"event\":\"frozen\",\"detail\":\"silence\"}");
	expect_state(rig, "frozen");
	say(rig, rig->client, "{\"do\":\"info\"}\n");
	assert_non_null(strstr(hear(rig, rig->client),
			       "\"can_move\":false,\"stays_because\":\"it may have moved;"));
	expect(rig, "{\"do\":\"resume\"}", OK);
	expect_state(rig, "running");
	/* What was paused while it moved stays so. */
	control_server_ops.moves(rig->server, &first);
	expect(rig, "{\"do\":\"pause\"}", OK);
	control_server_ops.happened(rig->server, MACHINE_STAYS, "paused");
	expect_state(rig, "paused");
	close(fd);
}

static void a_machine_is_paused_and_resumed(void **state)
{
	struct rig *rig = *state;

	expect(rig, "{\"do\":\"pause\"}", OK);
	say(rig, rig->client, "{\"do\":\"info\"}\n");
	assert_non_null(strstr(hear(rig, rig->client), "\"state\":\"paused\""));
	expect(rig, "{\"do\":\"resume\"}", OK);
	rig->pause_result = -EALREADY;
	expect(rig, "{\"do\":\"pause\"}", ERROR("bad-state", "the machine is paused already"));
	expect(rig, "{\"do\":\"resume\"}", ERROR("bad-state", "the machine is not paused"));
	rig->pause_result = -EBUSY;
	expect(rig, "{\"do\":\"pause\"}",
	       ERROR("bad-state", "a debugger decides which vCPUs run (--gdb)"));
	say(rig, rig->client, "{\"do\":\"info\"}\n");
	assert_non_null(strstr(hear(rig, rig->client), "\"state\":\"running\""));
}

static void stop_presses_the_button_or_ends_the_run(void **state)
{
	struct rig *rig = *state;

	expect(rig, "{\"do\":\"stop\"}", OK);
	rig->power_result = -EOPNOTSUPP;
	expect(rig, "{\"do\":\"stop\",\"args\":{\"now\":false}}",
	       ERROR("refused", "this machine has no power button; \\\"now\\\":true "
				"(kinglet stop --now) ends the run without asking the guest"));
	rig->power_result = -ENXIO;
	expect(rig, "{\"do\":\"stop\"}",
	       ERROR("failed", "the power button: No such device or address"));
	assert_string_equal(rig->end.detail, "");
	expect(rig, "{\"do\":\"stop\",\"args\":{\"now\":true}}", OK);
	assert_int_equal(rig->end.outcome, OUTCOME_QUIT);
}

static void resize_sets_the_balloon(void **state)
{
	struct rig *rig = *state;

	expect(rig, "{\"do\":\"resize\",\"args\":{\"memory\":8192}}", OK);
	assert_int_equal(rig->target, 8192);
	rig->resize_result = -EINVAL;
	expect(rig, "{\"do\":\"resize\",\"args\":{\"memory\":1}}",
	       ERROR("bad-request", "\\\"memory\\\" is no multiple of 4096 below the guest's "
				    "memory"));
	rig->balloon.model = &other;
	expect(rig, "{\"do\":\"resize\",\"args\":{\"memory\":8192}}",
	       ERROR("refused", "the machine has no balloon (--balloon)"));
}

/* What needs no machine is served; the end of it all is possible. */
static void what_a_machine_cannot_yet_or_no_more_is_refused(void **state)
{
	struct rig *rig = *state;

	rig->server->state = STATE_BUILDING;
	expect(rig, "{\"do\":\"pause\"}", ERROR("bad-state", "the machine is being built"));
	expect(rig, "{\"do\":\"stop\"}", ERROR("bad-state", "the machine is being built"));
	expect(rig, "{\"do\":\"stop\",\"args\":{\"now\":true}}", OK);
	control_server_ops.phase(rig->server, NULL, MACHINE_ENDS);
	expect(rig, "{\"do\":\"stats\"}", ERROR("bad-state", "the run is ending"));
	expect(rig, "{\"do\":\"stop\"}", ERROR("bad-state", "the run is ending"));
	say(rig, rig->client, "{\"do\":\"info\"}\n");
	assert_non_null(strstr(hear(rig, rig->client), "\"state\":\"ending\""));
}

/* --- Events ----------------------------------------------------------------------------------- */

static void events_reach_those_who_want_them(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	expect(rig, "{\"do\":\"events\"}", OK);
	say(rig, fd, "{\"do\":\"pause\"}\n");
	assert_string_equal(hear(rig, fd), OK);
	assert_string_equal(hear(rig, rig->client), "{\"event\":\"paused\"}");
	say(rig, rig->client, "{\"do\":\"resume\"}\n");
	assert_string_equal(hear(rig, rig->client), "{\"event\":\"resumed\"}");
	assert_string_equal(hear(rig, rig->client), OK);
	control_server_ops.happened(rig->server, MACHINE_BROKEN, "virtio-blk 0: a ring is damaged");
	control_server_ops.happened(rig->server, MACHINE_PANICKED, "no init");
	control_server_ops.happened(rig->server, MACHINE_PANICKED, "by its console, too");
	assert_string_equal(hear(rig, rig->client),
			    "{\"event\":\"broken\",\"detail\":\"virtio-blk 0: a ring is damaged\"}");
	assert_string_equal(hear(rig, rig->client),
			    "{\"event\":\"panicked\",\"detail\":\"no init\"}");
	assert_true(hears_nothing(rig, fd));
	close(fd);
}

/* Devices may take seconds to go. */
static void a_panic_is_told_before_the_machine_is_destroyed(void **state)
{
	const struct verdict verdict = { OUTCOME_PANIC, 102, "no init" };
	struct rig *rig = *state;

	expect(rig, "{\"do\":\"events\"}", OK);
	control_server_ops.stopped(rig->server, &verdict);
	assert_string_equal(hear(rig, rig->client),
			    "{\"event\":\"panicked\",\"detail\":\"no init\"}");
}

static void the_verdict_is_told_to_those_who_wait(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	say(rig, fd, "{\"do\":\"events\"}\n");
	hear(rig, fd);
	say(rig, rig->client, "{\"id\":\"w\",\"do\":\"wait\"}\n");
	expect(rig, "{\"do\":\"wait\"}", ERROR("bad-state", "this client waits already"));
	/* Nor has half a connection to end for it. */
	shutdown(rig->client, SHUT_WR);
	assert_true(hears_nothing(rig, rig->client));
	end_run(rig);
	assert_string_equal(hear(rig, rig->client),
			    "{\"id\":\"w\",\"ok\":{\"outcome\":\"guest-status\",\"status\":7,"
			    "\"detail\":\"exit port\"}}");
	assert_string_equal(hear(rig, rig->client), "");
	assert_string_equal(hear(rig, fd), "{\"event\":\"ended\",\"outcome\":\"guest-status\","
					   "\"status\":7,\"detail\":\"exit port\"}");
	assert_string_equal(hear(rig, fd), "");
	close(fd);
}

/* --- Lines and limits ------------------------------------------------------------------------- */

static void lines_come_in_any_pieces(void **state)
{
	static const char text[] = "{\"do\":\"pause\"}\r\n\n";
	struct rig *rig = *state;

	for (unsigned i = 0; i < sizeof(text) - 1; i++)
		say(rig, rig->client, (const char[]){ text[i], '\0' });
	assert_string_equal(hear(rig, rig->client), OK);
	say(rig, rig->client, "{\"do\":\"pause\"}\n{\"do\":\"x\"}\n{\"do\":\"resume\"}\n{\"do");
	assert_string_equal(hear(rig, rig->client), OK);
	assert_string_equal(hear(rig, rig->client),
			    ERROR("unknown-request", "there is no request \\\"x\\\""));
	assert_string_equal(hear(rig, rig->client), OK);
	assert_true(hears_nothing(rig, rig->client));
}

/* As by printf | socat: the last line may have no newline, and its reply still comes. */
static void a_client_that_only_listens_has_its_reply(void **state)
{
	struct rig *rig = *state;

	rig->stuck = true;
	say(rig, rig->client, "{\"do\":\"pause\"}");
	shutdown(rig->client, SHUT_WR);
	assert_true(hears_nothing(rig, rig->client));
	rig->stuck = false;
	assert_string_equal(hear(rig, rig->client), OK);
	assert_string_equal(hear(rig, rig->client), "");
}

/* An answer to it may come in the same turn of the loop, and find that it has gone. */
static void a_client_that_has_gone_may_still_have_an_event(void **state)
{
	struct rig *rig = *state;
	struct loop_event *event = &rig->server->clients.list[0].event;

	close_fd(&rig->client);
	turn(rig);
	assert_int_equal(event->fd, -1);
	event->fn(event, EPOLLIN);
}

static void what_a_client_said_before_it_went_is_done(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(send(rig->client, "{\"do\":\"pause\"}\n", 15, 0), 15);
	close_fd(&rig->client);
	turn(rig);
	assert_int_equal(rig->server->state, STATE_PAUSED);
}

static void a_line_has_an_end(void **state)
{
	struct rig *rig = *state;
	char *line = malloc(CLIENT_LINE_MAX + 2);

	memset(line, 'x', CLIENT_LINE_MAX + 1);
	line[CLIENT_LINE_MAX] = '\0';
	expect(rig, line, ERROR("bad-request", "the line is no JSON object"));
	line[CLIENT_LINE_MAX] = 'x';
	line[CLIENT_LINE_MAX + 1] = '\0';
	say(rig, rig->client, line);
	assert_string_equal(hear(rig, rig->client),
			    ERROR("bad-request", "a line has more than 65536 bytes"));
	assert_string_equal(hear(rig, rig->client), "");
	free(line);
}

static void one_client_too_many_is_told_so(void **state)
{
	struct rig *rig = *state;
	int fds[CLIENTS_MAX];

	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		fds[i] = connect_to(rig);
	assert_string_equal(hear(rig, fds[CLIENTS_MAX - 1]),
			    ERROR("busy", "as many clients as may be are connected"));
	assert_string_equal(hear(rig, fds[CLIENTS_MAX - 1]), "");
	close(fds[0]);
	close(fds[CLIENTS_MAX - 1]);
	turn(rig);
	fds[0] = connect_to(rig);
	assert_non_null(strstr(hear(rig, fds[0]), "\"protocol\":1"));
	for (unsigned i = 0; i < CLIENTS_MAX - 1; i++)
		close(fds[i]);
}

/* A client that cannot be let in must not keep the loop busy. It is, when there is room. */
static void a_process_without_descriptors_waits_for_one(void **state)
{
	struct rig *rig = *state;
	struct rlimit before, none;
	int fd;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	fd = queue_up(rig);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn(rig);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(epoll_ctl(rig->loop.epoll_fd, EPOLL_CTL_DEL, rig->server->listener.fd,
				   NULL), -1);
	assert_true(hears_nothing(rig, fd));
	assert_non_null(strstr(hear(rig, fd), "\"protocol\":1"));
	close(fd);
}

static void a_thousand_requests_a_second(void **state)
{
	struct client client = { .lines = 0 };
	const uint64_t second = UINT64_C(1000000000), now = 5 * second;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_true(client_may_ask(&client, now + i));
	assert_false(client_may_ask(&client, now + second - 1));
	assert_true(client_may_ask(&client, now + second));
}

static void an_excess_is_refused(void **state)
{
	struct rig *rig = *state;

	request_serve(rig->server, &rig->server->clients.list[0], "{\"do\":\"pause\"}", 14, true);
	assert_string_equal(hear(rig, rig->client),
			    ERROR("busy", "more than 1000 requests in a second"));
	assert_int_equal(rig->ask_count, 0);
}

/* It gets every reply, in order, once it reads; meanwhile others are served. */
static void a_client_that_does_not_read_is_not_read_from(void **state)
{
	struct rig *rig = *state;
	char line[64];
	int fd, on = 4096;
	unsigned said = 0;

	fd = connect_to(rig);
	hear(rig, fd);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &on, sizeof(on));
	for (;;) {
		int len = snprintf(line, sizeof(line), "{\"id\":%u,\"do\":\"x\"}\n", said);

		if (send(fd, line, (size_t)len, MSG_DONTWAIT) != len)
			break;
		said++;
		turn(rig);
	}
	expect(rig, "{\"do\":\"pause\"}", OK);
	for (unsigned i = 0; i < said; i++) {
		snprintf(line, sizeof(line), "{\"id\":%u,\"error\":", i);
		assert_memory_equal(hear(rig, fd), line, strlen(line));
	}
	close(fd);
}

/* Events cannot wait: a client that does not read them is dropped, and no other. */
static void a_client_that_does_not_read_its_events_is_dropped(void **state)
{
	struct rig *rig = *state;
	char what[160];
	int fd = connect_to(rig);

	hear(rig, fd);
	say(rig, fd, "{\"do\":\"events\"}\n");
	memset(what, 'x', sizeof(what) - 1);
	what[sizeof(what) - 1] = '\0';
	while (rig->server->clients.list[1].event.fd >= 0) {
		control_server_ops.happened(rig->server, MACHINE_BROKEN, what);
		turn(rig);
	}
	expect(rig, "{\"do\":\"pause\"}", OK);
	close(fd);
}

/* --- The console ------------------------------------------------------------------------------ */

static void print(struct rig *rig, enum guest_stream stream, const char *text)
{
	struct verdict end;

	assert_false(control_server_ops.console(rig->server, stream, (const uint8_t *)text,
						strlen(text), &end));
	turn(rig);
}

/* Both ways, from the request on; with what was printed before. */
static void a_connection_becomes_the_console(void **state)
{
	struct rig *rig = *state;

	print(rig, GUEST_SERIAL, "before\n");
	print(rig, GUEST_HVC, "not this one\n");
	say(rig, rig->client, "{\"do\":\"console\"}\n{\"do");
	assert_string_equal(hear(rig, rig->client), OK);
	assert_string_equal(hear(rig, rig->client), "before");
	print(rig, GUEST_SERIAL, "after\n");
	assert_string_equal(hear(rig, rig->client), "after");
	say(rig, rig->client, "\n\n");
	assert_string_equal(rig->typed, "{\"do\n\n");
	control_server_ops.happened(rig->server, MACHINE_BROKEN, "no event here");
	assert_true(hears_nothing(rig, rig->client));
	print(rig, GUEST_SERIAL, "last\n");
	end_run(rig);
	assert_string_equal(hear(rig, rig->client), "last");
	assert_string_equal(hear(rig, rig->client), "");
}

static void what_a_client_shows_is_the_latest(void **state)
{
	struct rig *rig = *state;
	char text[101];
	unsigned lines = 0;

	memset(text, 'x', sizeof(text) - 1);
	text[99] = '\n';
	text[100] = '\0';
	for (unsigned i = 0; i < 1000; i++)
		print(rig, GUEST_SERIAL, text);
	expect(rig, "{\"do\":\"console\"}", OK);
	print(rig, GUEST_SERIAL, "end\n");
	while (strcmp(hear(rig, rig->client), "end") != 0)
		lines++;
	assert_int_equal(lines, 4096 / 100 + 1);
}

static void keys_wait_until_the_guest_takes_them(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	rig->key_room = 2;
	expect(rig, "{\"do\":\"console\"}", OK);
	say(rig, rig->client, "abcd");
	assert_string_equal(rig->typed, "ab");
	say(rig, fd, "{\"do\":\"console\"}\n");
	say(rig, fd, "12");
	assert_int_equal(rig->ask_count, 0);
	rig->key_room = 10;
	control_server_ops.happened(rig->server, MACHINE_TAKES_KEYS, "");
	turn(rig);
	/* In whatever order, but each one's own. */
	assert_int_equal(strlen(rig->typed), 6);
	assert_non_null(strstr(rig->typed, "cd"));
	assert_non_null(strstr(rig->typed, "12"));
	close(fd);
}

/* It may say so before its answer is here. */
static void a_guest_that_takes_keys_at_once_is_not_waited_for(void **state)
{
	struct rig *rig = *state;

	expect(rig, "{\"do\":\"console\"}", OK);
	rig->stuck = true;
	rig->key_room = 1;
	say(rig, rig->client, "ab");
	control_server_ops.happened(rig->server, MACHINE_TAKES_KEYS, "");
	turn(rig);
	rig->asked[0]->run(rig->asked[0]);
	rig->ask_count = 0;
	rig->key_room = 1;
	rig->server->typing.ask.answered(&rig->server->typing.ask);
	rig->stuck = false;
	turn(rig);
	assert_string_equal(rig->typed, "ab");
}

/* By then it may be gone, with what it would be asked by. */
static void the_end_asks_nothing_of_the_machine(void **state)
{
	struct rig *rig = *state;

	rig->key_room = 0;
	expect(rig, "{\"do\":\"console\"}", OK);
	say(rig, rig->client, "ab");
	assert_string_equal(rig->typed, "");
	control_server_ops.happened(rig->server, MACHINE_TAKES_KEYS, "");
	end_run(rig);
	assert_int_equal(rig->ask_count, 0);
}

static void keys_of_a_client_that_has_left_are_not_another_s(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	rig->stuck = true;
	say(rig, fd, "{\"do\":\"console\"}\nab");
	close(fd);
	turn(rig);
	fd = connect_to(rig);
	hear(rig, fd);
	say(rig, fd, "{\"do\":\"console\"}\ncd");
	rig->stuck = false;
	turn(rig);
	assert_string_equal(rig->typed, "abcd");
	close(fd);
}

/* All that is there, and comes of reading it; its length. */
static size_t read_all(struct rig *rig, int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t got;

	while (turn(rig), (got = recv(fd, text + len, size - len - 1, MSG_DONTWAIT)) > 0)
		len += (size_t)got;
	text[len] = '\0';
	return len;
}

/* The guest prints on, and others see all of it. */
static void a_client_that_does_not_read_the_console_loses_some(void **state)
{
	enum { CHUNK = 1024, CHUNKS = 512 };
	static const char said[] = " bytes lost: read faster]\r\n";
	struct rig *rig = *state;
	char chunk[CHUNK + 1], *text = malloc(2 * CHUNK * CHUNKS), *notice;
	char *end;
	int fd = connect_to(rig);
	size_t seen = 0, lost;

	assert_non_null(text);
	hear(rig, fd);
	say(rig, fd, "{\"do\":\"console\"}\n");
	assert_string_equal(hear(rig, fd), OK);
	expect(rig, "{\"do\":\"console\"}", OK);
	memset(chunk, 'x', CHUNK);
	chunk[CHUNK] = '\0';
	for (unsigned i = 0; i < CHUNKS; i++) {
		print(rig, GUEST_SERIAL, chunk);
		seen += read_all(rig, rig->client, text, 2 * CHUNK * CHUNKS);
	}
	assert_int_equal(seen, CHUNK * CHUNKS);
	seen = read_all(rig, fd, text, 2 * CHUNK * CHUNKS);
	notice = strstr(text, "\r\n[kinglet: ");
	assert_non_null(notice);
	lost = strtoul(notice + strlen("\r\n[kinglet: "), &end, 10);
	assert_memory_equal(end, said, strlen(said));
	seen -= (size_t)(end + strlen(said) - notice);
	assert_int_equal(seen + lost, CHUNK * CHUNKS);
	free(text);
	close(fd);
}

static void a_machine_without_a_console_says_so(void **state)
{
	struct rig *rig = *state;

	rig->config.serial = SERIAL_OFF;
	expect(rig, "{\"do\":\"console\"}",
	       ERROR("refused", "the machine has no console (--serial, --console)"));
	rig->config.serial = SERIAL_STDIO;
	say(rig, rig->client, "{\"do\":\"wait\"}\n");
	expect(rig, "{\"do\":\"console\"}",
	       ERROR("bad-state", "this client waits for the end"));
}

/* --- A machine that is stuck ------------------------------------------------------------------ */

static void a_stuck_machine_costs_an_error(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	rig->stuck = true;
	rig->server->patience_ns = 1;
	expect(rig, "{\"do\":\"pause\"}",
	       ERROR("busy", "the machine does not answer; what was asked may yet be done"));
	expect(rig, "{\"do\":\"resume\"}",
	       ERROR("busy", "the machine has not answered an earlier request yet"));
	assert_int_equal(rig->ask_count, 1);
	say(rig, fd, "{\"do\":\"info\"}\n");
	assert_non_null(strstr(hear(rig, fd), "\"state\":\"running\""));
	/* It was only slow. */
	say(rig, fd, "{\"do\":\"events\"}\n");
	assert_string_equal(hear(rig, fd), OK);
	rig->stuck = false;
	rig->server->patience_ns = UINT64_C(3600000000000);
	assert_string_equal(hear(rig, fd), "{\"event\":\"paused\"}");
	expect(rig, "{\"do\":\"resume\"}", OK);
	close(fd);
}

static void do_nothing(struct job *job)
{
	(void)job;
}

/* As a snapshot does; those that others ask meanwhile are told the machine is busy. */
static void a_request_may_take_longer_than_others(void **state)
{
	struct rig *rig = *state;
	struct job *job = calloc(1, sizeof(*job));
	int fd = connect_to(rig);

	assert_non_null(job);
	hear(rig, fd);
	rig->stuck = true;
	rig->server->patience_ns = 1;
	job->run = do_nothing;
	job->passed_fd = -1;
	job->ok = cJSON_CreateObject();
	job->patience_ns = UINT64_C(600000000000);
	job_start(rig->server, &rig->server->clients.list[0], job);
	say(rig, fd, "{\"do\":\"pause\"}\n");
	assert_string_equal(hear(rig, fd),
			    ERROR("busy", "the machine does not answer; what was asked may yet be "
					  "done"));
	assert_true(hears_nothing(rig, rig->client));
	rig->stuck = false;
	assert_string_equal(hear(rig, rig->client), OK);
	close(fd);
}

/* A client's own limits do not count then. */
static void clients_that_come_and_go_leave_no_more_than_64_requests(void **state)
{
	struct rig *rig = *state;

	rig->stuck = true;
	rig->server->patience_ns = UINT64_C(3600000000000);
	for (unsigned i = 0; i < ASKS_MAX; i++) {
		int fd = connect_to(rig);

		say(rig, fd, "{\"do\":\"pause\"}\n");
		close(fd);
		turn(rig);
	}
	expect(rig, "{\"do\":\"pause\"}",
	       ERROR("busy", "the machine has not answered an earlier request yet"));
}

static void requests_of_several_wait_side_by_side(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	rig->stuck = true;
	say(rig, rig->client, "{\"id\":1,\"do\":\"pause\"}\n{\"id\":2,\"do\":\"resume\"}\n");
	say(rig, fd, "{\"id\":3,\"do\":\"stop\"}\n");
	assert_int_equal(rig->ask_count, 2);
	rig->stuck = false;
	assert_string_equal(hear(rig, fd), "{\"id\":3,\"ok\":{}}");
	assert_string_equal(hear(rig, rig->client), "{\"id\":1,\"ok\":{}}");
	assert_string_equal(hear(rig, rig->client), "{\"id\":2,\"ok\":{}}");
	close(fd);
}

/* Its place may be another's when the answer comes. */
static void a_client_leaves_before_its_answer(void **state)
{
	struct rig *rig = *state;
	int fd = connect_to(rig);

	hear(rig, fd);
	rig->stuck = true;
	say(rig, fd, "{\"do\":\"pause\"}\n");
	close(fd);
	turn(rig);
	fd = connect_to(rig);
	hear(rig, fd);
	rig->stuck = false;
	assert_true(hears_nothing(rig, fd));
	assert_int_equal(rig->server->state, STATE_PAUSED);
	close(fd);
}

static void what_the_end_finds_unanswered_is_refused(void **state)
{
	struct rig *rig = *state;

	rig->stuck = true;
	say(rig, rig->client, "{\"do\":\"pause\"}\n");
	end_run(rig);
	assert_string_equal(hear(rig, rig->client), ERROR("bad-state", "the run has ended"));
	assert_string_equal(hear(rig, rig->client), "");
}

/* --- A socket that is connected already ------------------------------------------------------- */

static void an_inherited_socket_is_the_only_client(void **state)
{
	struct rig *rig = *state;
	struct control_server *first = rig->server;
	char where[16];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	snprintf(where, sizeof(where), "fd=%d", ends[0]);
	open_server(rig, where);
	assert_non_null(strstr(hear(rig, ends[1]), "\"name\":\"m1\""));
	say(rig, ends[1], "{\"do\":\"info\"}\n");
	assert_non_null(strstr(hear(rig, ends[1]), "\"state\":\"building\",\"devices\":[]"));
	loop_remove(&rig->loop, &rig->server->wake);
	control_server_end(rig->server, &(struct verdict){ .outcome = OUTCOME_QUIT }, "quit");
	control_server_free(rig->server);
	assert_string_equal(hear(rig, ends[1]), "");
	close(ends[1]);
	rig->server = first;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_client_is_greeted),
		TEST(info_tells_of_the_machine),
		TEST(stats_are_numbers),
		TEST(what_is_wrong_is_refused_by_name),
		TEST(a_nul_is_refused_as_a_byte_too),
		TEST(a_reply_has_the_id_of_its_request),
		TEST(a_machine_is_saved),
		TEST(a_save_that_fails_says_whose_fault_it_is),
		TEST(a_machine_moves_or_not),
		TEST(rounds_are_told),
		TEST(a_machine_is_paused_and_resumed),
		TEST(stop_presses_the_button_or_ends_the_run),
		TEST(resize_sets_the_balloon),
		TEST(what_a_machine_cannot_yet_or_no_more_is_refused),
		TEST(events_reach_those_who_want_them),
		TEST(a_panic_is_told_before_the_machine_is_destroyed),
		TEST(the_verdict_is_told_to_those_who_wait),
		TEST(lines_come_in_any_pieces),
		TEST(a_client_that_only_listens_has_its_reply),
		TEST(a_client_that_has_gone_may_still_have_an_event),
		TEST(what_a_client_said_before_it_went_is_done),
		TEST(a_line_has_an_end),
		TEST(one_client_too_many_is_told_so),
		TEST(a_process_without_descriptors_waits_for_one),
		cmocka_unit_test(a_thousand_requests_a_second),
		TEST(an_excess_is_refused),
		TEST(a_client_that_does_not_read_is_not_read_from),
		TEST(a_client_that_does_not_read_its_events_is_dropped),
		TEST(a_connection_becomes_the_console),
		TEST(what_a_client_shows_is_the_latest),
		TEST(keys_wait_until_the_guest_takes_them),
		TEST(a_guest_that_takes_keys_at_once_is_not_waited_for),
		TEST(the_end_asks_nothing_of_the_machine),
		TEST(keys_of_a_client_that_has_left_are_not_another_s),
		TEST(a_client_that_does_not_read_the_console_loses_some),
		TEST(a_machine_without_a_console_says_so),
		TEST(a_stuck_machine_costs_an_error),
		TEST(a_request_may_take_longer_than_others),
		TEST(clients_that_come_and_go_leave_no_more_than_64_requests),
		TEST(requests_of_several_wait_side_by_side),
		TEST(a_client_leaves_before_its_answer),
		TEST(what_the_end_finds_unanswered_is_refused),
		TEST(an_inherited_socket_is_the_only_client),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
