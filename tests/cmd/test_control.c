/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands that speak to a running machine, against a socket that says what the test wants:
 * what they ask, what they print, and the one line and status of each failure.
 */
#include "../../vmm/cmd/control/client.h"
#include "../../vmm/cmd/control/control.h"
#include "cmd/commands.h"
#include "core/sys.h"

#include "capture.h"
#include "unit.h"

#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define GREETING "{\"kinglet\":\"0.1.0\",\"protocol\":1,\"name\":\"demo\",\"pid\":12}\n"
#define OK(object) "{\"id\":1,\"ok\":" object "}\n"
#define VERDICT(object) "{\"id\":2,\"ok\":" object "}\n" /* to wait */
#define ERROR(code) "{\"id\":1,\"error\":{\"code\":\"" code "\",\"message\":\"the reason\"}}\n"

enum { OUTPUT_MAX = 8192 };

/* --- A machine that says what it is told ------------------------------------------------------ */

struct machine {
	const char *name; /* demo, if NULL */
	const char *greeting;
	const char *reply;  /* after a request; NULL: none */
	size_t reply_len;   /* 0: all of it */
	size_t piece;	    /* bytes at once; 0: all */
	bool stays_silent;  /* instead of closing, until the client does */
	char request[400];  /* the one that came last */
	int listener;
	pthread_t thread;
};

static char folder[] = "/tmp/test_control.XXXXXX";

static struct sockaddr_un address_of(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/kinglet/%s.sock", folder, name);
	return address;
}

static int listen_as(const char *name, int backlog)
{
	struct sockaddr_un address = address_of(name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(address.sun_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, backlog), 0);
	return fd;
}

/* Until the client has read it all, or has closed. */
static void await_reader(int fd)
{
	int left = 1;

	while (!ioctl(fd, SIOCOUTQ, &left) && left)
		sched_yield();
}

static void say(const struct machine *machine, int fd, const char *text, size_t len)
{
	while (len) {
		size_t piece = machine->piece && machine->piece < len ? machine->piece : len;
		ssize_t n = send(fd, text, piece, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
		if (machine->piece)
			await_reader(fd);
	}
}

/* What the client says, up to a newline. */
static void hear(struct machine *machine, int fd)
{
	size_t len = 0;

	while (len + 1 < sizeof(machine->request) &&
	       recv(fd, machine->request + len, 1, 0) == 1 && machine->request[len] != '\n')
		len++;
	machine->request[len] = '\0';
}

static void *serve(void *arg)
{
	struct machine *machine = arg;
	const char *reply = machine->reply;
	int fd;

	while ((fd = accept(machine->listener, NULL, NULL)) >= 0) {
		char rest[64];

		say(machine, fd, machine->greeting, strlen(machine->greeting));
		if (reply) {
			hear(machine, fd);
			say(machine, fd, reply,
			    machine->reply_len ? machine->reply_len : strlen(reply));
		}
		while (machine->stays_silent && recv(fd, rest, sizeof(rest), 0) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void start(struct machine *machine)
{
	machine->listener = listen_as(machine->name ? machine->name : "demo", 16);
	assert_int_equal(pthread_create(&machine->thread, NULL, serve, machine), 0);
}

static void end(struct machine *machine)
{
	shutdown(machine->listener, SHUT_RDWR);
	pthread_join(machine->thread, NULL);
	close(machine->listener);
	unlink(address_of(machine->name ? machine->name : "demo").sun_path);
}

static int setup(void **state)
{
	char path[64];

	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/kinglet", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	return setenv("XDG_RUNTIME_DIR", folder, 1);
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

/* --- Commands --------------------------------------------------------------------------------- */

struct said {
	int status;
	char out[OUTPUT_MAX], err[OUTPUT_MAX];
};

static int stdout_begin(int *saved)
{
	int fd = memfd_create("stdout", MFD_CLOEXEC);

	fflush(stdout);
	*saved = dup(STDOUT_FILENO);
	assert_true(fd >= 0 && *saved >= 0);
	assert_int_equal(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	return fd;
}

static void stdout_end(int fd, int saved, char *text, size_t len)
{
	ssize_t got;

	fflush(stdout);
	got = pread(fd, text, len - 1, 0);
	assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
	close(saved);
	close(fd);
	assert_true(got >= 0);
	text[got] = '\0';
}

/* `kinglet` with these arguments. */
static void kinglet(struct said *said, const char *const *args)
{
	char *argv[8] = { NULL };
	struct capture capture;
	int argc = 0, fd, saved;

	for (; args[argc]; argc++)
		argv[argc] = (char *)args[argc];
	fd = stdout_begin(&saved);
	capture_stderr_begin(&capture);
	said->status = command_execute(command_find(argv[0]), argc - 1, argv + 1);
	capture_stderr_end(&capture, said->err, sizeof(said->err));
	stdout_end(fd, saved, said->out, sizeof(said->out));
}
#define KINGLET(said, ...) kinglet(said, (const char *const[]){ __VA_ARGS__, NULL })

/* The same, with a machine to speak to, which is started and ended. */
#define KINGLET_WITH(machine, said, ...)                                                           \
	do {                                                                                       \
		start(machine);                                                                    \
		KINGLET(said, __VA_ARGS__);                                                        \
		end(machine);                                                                      \
	} while (0)

static void each_command_asks_for_what_it_is_called(void **state)
{
	static const struct {
		const char *args[4], *request;
	} orders[] = {
		{ { "pause", "demo" }, "{\"id\":1,\"do\":\"pause\",\"args\":{}}" },
		{ { "resume", "demo" }, "{\"id\":1,\"do\":\"resume\",\"args\":{}}" },
		{ { "stop", "demo" }, "{\"id\":1,\"do\":\"stop\",\"args\":{}}" },
		{ { "stop", "--now", "demo" },
		  "{\"id\":1,\"do\":\"stop\",\"args\":{\"now\":true}}" },
		{ { "resize", "demo", "64M" },
		  "{\"id\":1,\"do\":\"resize\",\"args\":{\"memory\":67108864}}" },
		{ { "resize", "demo", "0" },
		  "{\"id\":1,\"do\":\"resize\",\"args\":{\"memory\":0}}" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(orders); i++) {
		struct machine machine = { .greeting = GREETING, .reply = OK("{}") };
		struct said said;

		start(&machine);
		kinglet(&said, orders[i].args);
		end(&machine);
		assert_string_equal(said.err, "");
		assert_string_equal(said.out, "");
		assert_int_equal(said.status, 0);
		assert_string_equal(machine.request, orders[i].request);
	}
}

#define INFO                                                                                       \
	"{\"name\":\"demo\",\"pid\":12,\"version\":\"0.1.0\",\"cpus\":2,\"memory\":268435456,"     \
	"\"kernel\":\"/boot/vmlinuz\",\"state\":\"running\",\"devices\":"                          \
	"[{\"name\":\"disk0\",\"kind\":\"disk\"},{\"name\":\"rng0\",\"kind\":\"rng\"}]}"

static void info_shows_all_that_the_machine_says(void **state)
{
	struct machine machine = { .greeting = GREETING, .reply = OK(INFO) };
	struct said said;

	(void)state;
	KINGLET_WITH(&machine, &said, "info", "demo");
	assert_int_equal(said.status, 0);
	assert_string_equal(machine.request, "{\"id\":1,\"do\":\"info\",\"args\":{}}");
	assert_string_equal(said.out, "name                 demo\n"
				      "pid                  12\n"
				      "version              0.1.0\n"
				      "cpus                 2\n"
				      "memory               256 MiB\n"
				      "kernel               /boot/vmlinuz\n"
				      "state                running\n"
				      "devices\n"
				      "  disk0              kind disk\n"
				      "  rng0               kind rng\n");
}

static void stats_are_shown_as_text_and_as_json(void **state)
{
	struct machine machine = {
		.greeting = GREETING,
		.reply = OK("{\"exits\":{\"IO\":7,\"all\":7},\"interrupts\":{\"MSI\":3},"
			    "\"devices\":{\"disk0\":{\"exits\":1,\"wakeups\":2}},\"ratio\":0.5,"
			    "\"deep\":{\"er\":{\"est\":[1,{}]}},\"list\":[1,\"two\",[],{}],"
			    "\"none\":null}"),
	};
	struct said said;
	cJSON *json;

	(void)state;
	KINGLET_WITH(&machine, &said, "stats", "demo");
	assert_int_equal(said.status, 0);
	assert_string_equal(said.out, "exits\n"
				      "  IO                 7\n"
				      "  all                7\n"
				      "interrupts\n"
				      "  MSI                3\n"
				      "devices\n"
				      "  disk0              exits 1  wakeups 2\n"
				      "ratio                0.5\n"
				      "deep\n"
				      "  er                 est [1,{}]\n"
				      "list\n"
				      "  1\n"
				      "  two\n"
				      "  []\n"
				      "  {}\n"
				      "none                 null\n");
	KINGLET_WITH(&machine, &said, "stats", "--json", "demo");
	assert_int_equal(said.status, 0);
	json = cJSON_Parse(said.out);
	assert_int_equal(cJSON_GetObjectItem(cJSON_GetObjectItem(json, "exits"), "all")->valueint,
			 7);
	cJSON_Delete(json);
}

static void what_a_machine_says_does_not_reach_the_terminal(void **state)
{
	struct machine machine = {
		.greeting = GREETING,
		.reply = OK("{\"kernel\":\"\\u001b[31m\\u009b\x1b\xff\",\"\\u001bkey\":"
			    "[{\"\\u001b\":\"\\u001b\",\"\\u001b2\":1}]}"),
	};
	struct said said;

	(void)state;
	KINGLET_WITH(&machine, &said, "info", "demo");
	assert_int_equal(said.status, 0);
	assert_null(strchr(said.out, '\x1b'));
	assert_null(strstr(said.out, "\xc2\x9b"));
	assert_null(strstr(said.out, "\xff"));
	machine.reply = ERROR("busy\\u001b[31m");
	KINGLET_WITH(&machine, &said, "info", "demo");
	assert_null(strchr(said.err, '\x1b'));
}

static void a_path_with_a_slash_is_a_socket(void **state)
{
	struct machine machine = { .greeting = GREETING, .reply = OK("{}") };
	struct sockaddr_un address = address_of("demo");
	struct said said;

	(void)state;
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	KINGLET_WITH(&machine, &said, "pause", address.sun_path);
	assert_string_equal(said.err, "");
	assert_int_equal(said.status, 0);
}

/* The schema in docs/control.md; the caller deletes it. */
static cJSON *documented_schema(void)
{
	static const char begin[] = "```json\n";
	FILE *in = fopen("docs/control.md", "re");
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	char *start, *stop;

	assert_non_null(in);
	assert_true(getdelim(&text, &size, '\0', in) > 0);
	fclose(in);
	start = strstr(text, begin);
	assert_non_null(start);
	start += strlen(begin);
	stop = strstr(start, "```\n");
	assert_non_null(stop);
	return cJSON_ParseWithLength(start, (size_t)(stop - start));
}

static void each_request_is_in_the_documented_schema(void **state)
{
	static const char *const requests[] = { "info",	  "stats",  "pause",
						"resume", "events", "wait",
						"console" };
	static const char *const others[] = { "stop", "resize", "migrate",
					      "snapshot" }; /* with args */
	cJSON *schema = documented_schema();
	const cJSON *all = cJSON_GetObjectItem(schema, "$defs"), *plain;

	(void)state;
	all = cJSON_GetObjectItem(cJSON_GetObjectItem(all, "request"), "oneOf");
	assert_int_equal(cJSON_GetArraySize(all), 1 + ARRAY_SIZE(others));
	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		const cJSON *other = cJSON_GetArrayItem(all, 1 + (int)i);

		other = cJSON_GetObjectItem(cJSON_GetObjectItem(other, "properties"), "do");
		other = cJSON_GetObjectItem(other, "const");
		assert_string_equal(cJSON_GetStringValue(other), others[i]);
		assert_non_null(command_find(others[i]));
	}
	plain = cJSON_GetObjectItem(cJSON_GetArrayItem(all, 0), "properties");
	plain = cJSON_GetObjectItem(cJSON_GetObjectItem(plain, "do"), "enum");
	assert_int_equal(cJSON_GetArraySize(plain), ARRAY_SIZE(requests));
	for (unsigned i = 0; i < ARRAY_SIZE(requests); i++) {
		assert_string_equal(cJSON_GetArrayItem(plain, (int)i)->valuestring, requests[i]);
		assert_non_null(command_find(requests[i]));
	}
	cJSON_Delete(schema);
}

/* --- wait and events -------------------------------------------------------------------------- */

static void wait_ends_with_the_status_of_the_machine(void **state)
{
	static const struct {
		const char *reply;
		int status;
		const char *out;
	} ends[] = {
		{ VERDICT("{\"outcome\":\"powered-off\",\"status\":0,\"detail\":\"\"}"), 0,
		  "outcome=powered-off status=0\n" },
		{ VERDICT("{\"outcome\":\"guest-status\",\"status\":7}"), 7,
		  "outcome=guest-status status=7\n" },
		/* Events may come before the reply, in the same read. */
		{ "{\"event\":\"panicked\"}\n{\"event\":\"ended\",\"status\":3}\n"
		  VERDICT("{\"outcome\":\"panic\",\"status\":102,\"detail\":\"say \\\"no\\\"\\u001b\"}"),
		  102, "outcome=panic status=102 \"say \\\"no\\\"\\u001b\"\n" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(ends); i++) {
		struct machine machine = { .greeting = GREETING, .reply = ends[i].reply };
		struct said said;

		KINGLET_WITH(&machine, &said, "wait", "demo");
		assert_string_equal(said.err, "");
		assert_string_equal(said.out, ends[i].out);
		assert_int_equal(said.status, ends[i].status);
		assert_string_equal(machine.request, "{\"id\":2,\"do\":\"wait\",\"args\":{}}");
	}
}

/* The machine replies to wait only, at once: as one that ends as soon as it is stopped. */
static void a_machine_that_is_stopped_is_waited_for_from_before(void **state)
{
	struct machine machine = {
		.greeting = GREETING,
		.reply = OK("{}") VERDICT("{\"outcome\":\"quit\",\"status\":0,"
					 "\"detail\":\"stopped by control\"}"),
		.stays_silent = true,
	};
	struct said said;

	(void)state;
	KINGLET_WITH(&machine, &said, "stop", "demo", "--now", "--wait");
	assert_string_equal(said.err, "");
	assert_string_equal(said.out, "outcome=quit status=0 \"stopped by control\"\n");
	assert_int_equal(said.status, 0);
	assert_string_equal(machine.request, "{\"id\":2,\"do\":\"wait\",\"args\":{}}");
}

static void a_stop_that_is_refused_is_not_waited_for(void **state)
{
	struct machine machine = {
		.greeting = GREETING, .reply = ERROR("refused"), .stays_silent = true,
	};
	struct said said;

	(void)state;
	KINGLET_WITH(&machine, &said, "stop", "demo", "--wait");
	assert_string_equal(said.err, "kinglet: machine demo: stop: the reason (refused)\n");
	assert_int_equal(said.status, 100);
}

/* Never a success, and never a status that a shell would cut to one. */
static void wait_trusts_no_verdict_that_is_none(void **state)
{
	static const char err[] = "kinglet: machine demo: wait: its answer is none of the control "
				  "protocol\n";
	static const char *const replies[] = {
		VERDICT("{}"),
		VERDICT("{\"outcome\":\"powered-off\"}"),
		VERDICT("{\"status\":0}"),
		VERDICT("{\"outcome\":7,\"status\":0}"),
		VERDICT("{\"outcome\":\"panic\",\"status\":256}"),
		VERDICT("{\"outcome\":\"panic\",\"status\":-1}"),
		VERDICT("{\"outcome\":\"panic\",\"status\":\"0\"}"),
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(replies); i++) {
		struct machine machine = { .greeting = GREETING, .reply = replies[i] };
		struct said said;

		KINGLET_WITH(&machine, &said, "wait", "demo");
		assert_string_equal(said.err, err);
		assert_int_equal(said.status, 101);
	}
}

static void a_machine_that_dies_while_it_is_waited_for_is_lost(void **state)
{
	static const char *const commands[] = { "wait", "events" };
	struct machine machine = { .greeting = GREETING, .reply = "" };
	struct said said;

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		KINGLET_WITH(&machine, &said, commands[i], "demo");
		assert_string_equal(said.err,
				    "kinglet: machine demo: went away without a verdict\n");
		assert_int_equal(said.status, 104);
	}
}

static void events_are_printed_until_the_last(void **state)
{
	static const char events[] = "{\"event\":\"started\"}\n"
				     "{\"event\":\"ended\",\"outcome\":\"panic\",\"status\":102}\n";
	char reply[400];
	struct machine machine = { .greeting = GREETING, .reply = reply };
	struct said said;

	(void)state;
	snprintf(reply, sizeof(reply), OK("{}") "{\"other\":1}\n%s{\"event\":\"late\"}\n", events);
	KINGLET_WITH(&machine, &said, "events", "demo");
	assert_string_equal(said.err, "");
	assert_string_equal(said.out, events);
	assert_int_equal(said.status, 0);
	snprintf(reply, sizeof(reply), OK("{}") "{\"event\":\"started\"}\n");
	KINGLET_WITH(&machine, &said, "events", "demo");
	assert_string_equal(said.out, "{\"event\":\"started\"}\n");
	assert_int_equal(said.status, 104);
}

/* Until the machine closes it; what comes with the reply is not lost. */
static void the_console_is_shown_as_it_comes(void **state)
{
	struct machine machine = {
		.greeting = GREETING,
		.reply = OK("{}") "boot\r\n\x1b[0m~ # \xff\n",
	};
	struct said said;

	(void)state;
	KINGLET_WITH(&machine, &said, "console", "demo");
	assert_string_equal(said.err, "");
	assert_string_equal(said.out, "boot\r\n\x1b[0m~ # \xff\n");
	assert_int_equal(said.status, 0);
	machine.piece = 1;
	KINGLET_WITH(&machine, &said, "console", "demo");
	assert_string_equal(said.out, "boot\r\n\x1b[0m~ # \xff\n");
	assert_string_equal(machine.request, "{\"id\":1,\"do\":\"console\",\"args\":{}}");
	machine.reply = ERROR("refused");
	KINGLET_WITH(&machine, &said, "console", "demo");
	assert_string_equal(said.err, "kinglet: machine demo: console: the reason (refused)\n");
	assert_int_equal(said.status, 100);
}

/* --- list ------------------------------------------------------------------------------------- */

static void expect_machine(const cJSON *list, int i, const char *name, const char *key,
			   const char *value)
{
	const cJSON *machine = cJSON_GetArrayItem(list, i);

	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(machine, "name")), name);
	assert_string_equal(cJSON_GetStringValue(cJSON_GetObjectItem(machine, key)), value);
}

static void list_shows_those_that_live(void **state)
{
	struct machine fine = { .name = "fine", .greeting = GREETING, .reply = OK(INFO) };
	struct machine busy = { .name = "busy", .greeting = GREETING, .reply = ERROR("busy") };
	struct machine odd = { .name = "odd", .greeting = "hello\n" };
	struct machine next = {
		.name = "next",
		.greeting = "{\"kinglet\":\"9\",\"protocol\":2}\n",
	};
	struct machine hidden = { .name = ".hidden", .greeting = GREETING };
	char dead[sizeof(address_of("").sun_path)];
	struct said said;
	cJSON *list;

	(void)state;
	snprintf(dead, sizeof(dead), "%s", address_of("dead").sun_path);
	close(listen_as("dead", 1));
	start(&fine);
	start(&busy);
	start(&odd);
	start(&next);
	start(&hidden);
	KINGLET(&said, "list");
	assert_string_equal(said.err, "");
	assert_string_equal(
		said.out,
		"NAME                     PID      STATE          CPUS  MEMORY     KERNEL\n"
		"busy                     -        busy           -     -          -\n"
		"fine                     12       running        2     256 MiB    /boot/vmlinuz\n"
		"next                     -        other-version  -     -          -\n"
		"odd                      -        unknown        -     -          -\n");
	assert_int_equal(said.status, 0);
	assert_int_equal(access(dead, F_OK), 0);
	KINGLET(&said, "list", "--json");
	list = cJSON_Parse(said.out);
	assert_int_equal(cJSON_GetArraySize(list), 4);
	expect_machine(list, 0, "busy", "error", "busy");
	expect_machine(list, 1, "fine", "state", "running");
	expect_machine(list, 3, "odd", "error", "unknown");
	cJSON_Delete(list);
	end(&fine);
	end(&busy);
	end(&odd);
	end(&next);
	end(&hidden);
}

static void list_does_not_wait_for_a_machine_that_hangs(void **state)
{
	struct machine stuck = { .name = "stuck", .greeting = "", .stays_silent = true };
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	start(&stuck);
	assert_int_equal(control_print_list(out, false, 1), 0);
	end(&stuck);
	fclose(out);
	assert_non_null(strstr(text, "\nstuck                    -        no-answer      -"));
	free(text);
}

static void no_machines_are_a_list_too(void **state)
{
	struct said said;
	char path[64];

	(void)state;
	KINGLET(&said, "list");
	assert_int_equal(said.status, 0);
	assert_non_null(strstr(said.out, "NAME"));
	KINGLET(&said, "list", "--json");
	assert_string_equal(said.out, "[]\n");
	snprintf(path, sizeof(path), "%s/kinglet", folder);
	assert_int_equal(rmdir(path), 0);
	KINGLET(&said, "list");
	assert_int_equal(said.status, 0);
	assert_string_equal(said.err, "");
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	KINGLET(&said, "list");
	assert_int_equal(said.status, 100);
	assert_non_null(strstr(said.err, "XDG_RUNTIME_DIR names no folder"));
}

/* --- Failures --------------------------------------------------------------------------------- */

static void a_command_line_that_is_wrong_is_a_usage_error(void **state)
{
	static const struct {
		const char *args[5], *err;
	} lines[] = {
		{ { "stop" }, "write kinglet stop NAME [--now] [--wait]\n" },
		{ { "stop", "a", "b" }, "b: a second machine beside a; name one\n" },
		{ { "stop", "a", "--", "b" }, "write kinglet stop NAME [--now] [--wait]\n" },
		{ { "resize", "a" }, "write kinglet resize NAME SIZE\n" },
		{ { "resize", "a", "much" }, "much: not a size" },
		{ { "resize", "a", "5T" }, "5T: " },
		{ { "resize", "a", "1M", "2M" }, "2M: a second machine beside a; name one\n" },
		{ { "list", "a" }, "kinglet list takes no such argument" },
		{ { "pause", "a", "--json" }, "--json: unknown option" },
		{ { "info", "a b" }, "machine a b: is no name of a machine" },
		{ { "info", "" }, "machine : is no name of a machine" },
		{ { "info", ".a" }, "machine .a: is no name of a machine" },
		{ { "info", "12345678901234567890123456789012345678901234567890123456789012345" },
		  "is no name of a machine" },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		struct said said;

		kinglet(&said, lines[i].args);
		if (!strstr(said.err, lines[i].err))
			fail_msg("no \"%s\" in: %s", lines[i].err, said.err);
		assert_ptr_equal(strchr(said.err, '\n'), said.err + strlen(said.err) - 1);
		assert_int_equal(said.status, 100);
	}
}

static void a_machine_that_is_not_there_is_said_to_be_missing(void **state)
{
	char path[256];
	struct said said;

	(void)state;
	KINGLET(&said, "stop", "demo");
	assert_string_equal(said.err, "kinglet: machine demo: no such machine; kinglet list shows "
				      "those that run\n");
	assert_int_equal(said.status, 100);
	close(listen_as("demo", 1));
	KINGLET(&said, "stop", "demo");
	assert_string_equal(said.err,
			    "kinglet: machine demo: runs no more: its socket is dead\n");
	assert_int_equal(said.status, 100);
	memset(path, 'a', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	KINGLET(&said, "stop", path);
	assert_non_null(strstr(said.err, "the path is too long for a socket\n"));
	assert_int_equal(said.status, 100);
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	KINGLET(&said, "stop", "demo");
	assert_non_null(strstr(said.err, "demo: XDG_RUNTIME_DIR names no folder; give the path"));
	assert_int_equal(said.status, 100);
}

/* What a machine says, and what comes of `kinglet info`. */
static void assert_fails(struct machine machine, const char *err, int status)
{
	struct said said;

	KINGLET_WITH(&machine, &said, "info", "demo");
	if (strncmp(said.err, "kinglet: machine demo: ", 23) != 0 || !strstr(said.err, err))
		fail_msg("no \"%s\" in: %s", err, said.err);
	assert_ptr_equal(strchr(said.err, '\n'), said.err + strlen(said.err) - 1);
	assert_string_equal(said.out, "");
	assert_int_equal(said.status, status);
}

static void a_refusal_is_passed_on_with_its_reason(void **state)
{
	static const struct {
		const char *reply, *err;
		int status;
	} refusals[] = {
		{ ERROR("unknown-request"), "info: the reason (unknown-request)\n", 100 },
		{ ERROR("bad-request"), "info: the reason (bad-request)\n", 100 },
		{ ERROR("bad-state"), "info: the reason (bad-state)\n", 100 },
		{ ERROR("refused"), "info: the reason (refused)\n", 100 },
		{ ERROR("failed"), "info: the reason (failed)\n", 101 },
		{ ERROR("busy"), "info: the reason (busy)\n", 101 },
		{ ERROR("of-tomorrow"), "info: the reason (of-tomorrow)\n", 101 },
		{ "{\"id\":null,\"error\":{\"code\":\"bad-request\",\"message\":\"too long\"}}\n",
		  "info: too long (bad-request)\n", 100 },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(refusals); i++)
		assert_fails((struct machine){ .greeting = GREETING, .reply = refusals[i].reply },
			     refusals[i].err, refusals[i].status);
	/* Instead of the greeting: too many clients, or another user. */
	assert_fails((struct machine){ .greeting = ERROR("busy") }, "demo: the reason (busy)\n",
		     101);
}

static void another_version_is_not_spoken_to(void **state)
{
	struct machine machine = {
		.greeting = "{\"kinglet\":\"9.1\",\"protocol\":2}\n",
		.stays_silent = true,
	};
	struct control_client client = { .name = "demo", .version = "9.1" };
	struct capture capture;

	(void)state;
	assert_fails(machine, "demo: of Kinglet 9.1, which speaks another version of the control "
				"protocol",
		     101);
	capture_stderr_begin(&capture);
	assert_int_equal(control_client_log_failure(&client, NULL, -EACCES), 101);
	capture_expect_all(&capture, "kinglet: machine demo: belongs to another user\n");
	assert_string_equal(control_client_failure_word(&client, -EACCES), "other-user");
}

static void garbage_is_no_answer(void **state)
{
	static const char *const greetings[] = {
		"hello\n", "\n", "{}\n", "[1]\n", "{\"kinglet\":1,\"protocol\":1}\n",
		"{\"kinglet\":\"1\",\"protocol\":\"1\"}\n", "{\"error\":3}\n",
		"{\"kinglet\":\"1\"}\n",
		"{\"kinglet\":\"1\",\"protocol\":1} x\n",
	};
	static const char *const replies[] = {
		"hello\n", "\n", "[1]\n", "\xff\xfe\n", "{\"id\":1}\n", OK("3"), OK("[]"),
		OK("null"),
		"{\"id\":1,\"error\":\"x\"}\n", "{\"id\":1,\"error\":{\"code\":3,\"message\":4}}\n",
		"{\"id\":1,\"ok\":{}} {}\n", "{\"id\":1,\"ok\":{}\n",
	};
	static const char none[] = "its answer is none of the control protocol\n";

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(greetings); i++)
		assert_fails((struct machine){ .greeting = greetings[i] }, none, 101);
	for (unsigned i = 0; i < ARRAY_SIZE(replies); i++)
		assert_fails((struct machine){ .greeting = GREETING, .reply = replies[i] }, none,
			     101);
}

static void a_machine_that_dies_in_between_is_noticed(void **state)
{
	static const char *const replies[] = {
		NULL, "", "{\"id\":1,\"ok", "{\"id\":2,\"ok\":{}}\n", "{\"event\":\"ended\"}\n",
		"{\"id\":\"1\",\"ok\":{}}\n",
	};
	static const char gone[] = "went away before it answered\n";

	(void)state;
	assert_fails((struct machine){ .greeting = "" }, gone, 101);
	assert_fails((struct machine){ .greeting = "{\"kinglet\":" }, gone, 101);
	for (unsigned i = 0; i < ARRAY_SIZE(replies); i++)
		assert_fails((struct machine){ .greeting = GREETING, .reply = replies[i] }, gone,
			     101);
}

static void lines_come_in_pieces(void **state)
{
	static const size_t pieces[] = { 1, 2, 7 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct machine machine = {
			.greeting = GREETING,
			.reply = "{\"event\":\"started\"}\n" OK("{\"name\":\"demo\"}"),
			.piece = pieces[i],
		};
		struct said said;

		KINGLET_WITH(&machine, &said, "info", "demo");
		assert_string_equal(said.err, "");
		assert_string_equal(said.out, "name                 demo\n");
	}
}

/* A reply of `len` bytes without its newline; the caller frees it. */
static char *long_reply(size_t len)
{
	static const char head[] = "{\"id\":1,\"ok\":{\"", tail[] = "\":7}}\n";
	char *text = malloc(len + 2);

	assert_non_null(text);
	memset(text, 'x', len + 1);
	memcpy(text, head, sizeof(head) - 1);
	strcpy(text + len + 2 - sizeof(tail), tail);
	return text;
}

static void a_line_may_have_a_mebibyte_and_no_more(void **state)
{
	_cleanup_free_ char *largest = long_reply(CONTROL_CLIENT_LINE_MAX);
	_cleanup_free_ char *larger = long_reply(CONTROL_CLIENT_LINE_MAX + 1);
	_cleanup_free_ char *endless = malloc(8 * CONTROL_CLIENT_LINE_MAX);
	struct machine machine = { .greeting = GREETING, .reply = largest };
	struct control_client client;
	cJSON *answer;

	(void)state;
	start(&machine);
	assert_int_equal(control_client_open(&client, "demo", CONTROL_CLIENT_PATIENCE_MS), 0);
	assert_int_equal(control_client_ask(&client, "info", "{}", &answer), 0);
	assert_int_equal(answer->child->valueint, 7);
	cJSON_Delete(answer);
	control_client_close(&client);
	end(&machine);
	assert_fails((struct machine){ .greeting = GREETING, .reply = larger },
		     "its answer is longer than the control protocol allows\n", 101);
	assert_non_null(endless);
	memset(endless, '[', 8 * CONTROL_CLIENT_LINE_MAX);
	assert_fails((struct machine){ .greeting = GREETING, .reply = endless,
				       .reply_len = 8 * CONTROL_CLIENT_LINE_MAX },
		     "its answer is longer than the control protocol allows\n", 101);
	/* Deeply nested. */
	endless[CONTROL_CLIENT_LINE_MAX] = '\n';
	assert_fails((struct machine){ .greeting = GREETING, .reply = endless,
				       .reply_len = CONTROL_CLIENT_LINE_MAX + 1 },
		     "its answer is none of the control protocol\n", 101);
}

static void a_machine_that_hangs_is_given_up(void **state)
{
	struct machine machine = { .greeting = "", .stays_silent = true };
	struct control_client client;
	cJSON *answer;

	(void)state;
	start(&machine);
	assert_int_equal(control_client_open(&client, "demo", 1), -ETIMEDOUT);
	control_client_close(&client);
	end(&machine);
	machine.greeting = GREETING;
	start(&machine);
	assert_int_equal(control_client_open(&client, "demo", CONTROL_CLIENT_PATIENCE_MS), 0);
	client.deadline_ns = sys_now_ns();
	assert_int_equal(control_client_ask(&client, "info", "{}", &answer), -ETIMEDOUT);
	assert_null(answer);
	control_client_close(&client);
	end(&machine);
	assert_string_equal(control_client_failure_word(&client, -ETIMEDOUT), "no-answer");
}

/* It accepts nobody, and its queue is full. */
static void a_machine_that_does_not_accept_is_given_up(void **state)
{
	struct sockaddr_un address = address_of("demo");
	int listener = listen_as("demo", 0), waiting[8], count = 0;
	struct control_client client;

	(void)state;
	for (; count < (int)ARRAY_SIZE(waiting); count++) {
		waiting[count] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(waiting[count], (struct sockaddr *)&address, sizeof(address)))
			break;
	}
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(control_client_open(&client, "demo", 1), -ETIMEDOUT);
	control_client_close(&client);
	for (int i = 0; i <= count; i++)
		close(waiting[i]);
	close(listener);
}

/* Lines that are no answer do not hold it up. */
static void a_flood_of_events_does_not_move_the_deadline(void **state)
{
	static const char event[] = "{\"event\":\"x\"}\n";
	size_t len = 3 * CONTROL_CLIENT_LINE_MAX / (sizeof(event) - 1) * (sizeof(event) - 1);
	_cleanup_free_ char *flood = malloc(len);
	struct machine machine = { .greeting = GREETING, .reply = flood, .reply_len = len,
				   .stays_silent = true };
	struct control_client client;
	cJSON *answer;

	(void)state;
	assert_non_null(flood);
	for (size_t i = 0; i < len; i += sizeof(event) - 1)
		memcpy(flood + i, event, sizeof(event) - 1);
	start(&machine);
	assert_int_equal(control_client_open(&client, "demo", CONTROL_CLIENT_PATIENCE_MS), 0);
	client.deadline_ns = sys_now_ns() + 1000000;
	assert_int_equal(control_client_ask(&client, "info", "{}", &answer), -ETIMEDOUT);
	control_client_close(&client);
	end(&machine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_command_asks_for_what_it_is_called),
		TEST(info_shows_all_that_the_machine_says),
		TEST(stats_are_shown_as_text_and_as_json),
		TEST(what_a_machine_says_does_not_reach_the_terminal),
		TEST(a_path_with_a_slash_is_a_socket),
		TEST(each_request_is_in_the_documented_schema),
		TEST(wait_ends_with_the_status_of_the_machine),
		TEST(a_machine_that_is_stopped_is_waited_for_from_before),
		TEST(a_stop_that_is_refused_is_not_waited_for),
		TEST(wait_trusts_no_verdict_that_is_none),
		TEST(a_machine_that_dies_while_it_is_waited_for_is_lost),
		TEST(events_are_printed_until_the_last),
		TEST(the_console_is_shown_as_it_comes),
		TEST(list_shows_those_that_live),
		TEST(list_does_not_wait_for_a_machine_that_hangs),
		TEST(no_machines_are_a_list_too),
		TEST(a_command_line_that_is_wrong_is_a_usage_error),
		TEST(a_machine_that_is_not_there_is_said_to_be_missing),
		TEST(a_refusal_is_passed_on_with_its_reason),
		TEST(another_version_is_not_spoken_to),
		TEST(garbage_is_no_answer),
		TEST(a_machine_that_dies_in_between_is_noticed),
		TEST(lines_come_in_pieces),
		TEST(a_line_may_have_a_mebibyte_and_no_more),
		TEST(a_machine_that_hangs_is_given_up),
		TEST(a_machine_that_does_not_accept_is_given_up),
		TEST(a_flood_of_events_does_not_move_the_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
