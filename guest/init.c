/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first process of a guest of `kinglet exec`: sets up the system, runs one program and reports
 * how it ended. It is embedded in Kinglet, which puts it into the guest's initramfs together with
 * modules (include/cmd/guest_init.h). The program, its files and how to run it come through a
 * virtio-console port: until this process opens that one, nothing in the guest depends on them, so
 * that a snapshot can serve every program. In a guest of `kinglet run --root` it becomes the init of
 * that folder instead.
 *
 * The program is a child: the kernel drops most signals to process 1 and panics when it exits. Its
 * standard input, output and error are pipes, whose other ends are copied from and to
 * virtio-console ports here: unlike a port, a pipe can be reopened (/dev/stderr), and its writer
 * notices when the reader has closed.
 *
 * A failure before the program is started is written to the kernel's log; then this process exits,
 * and the guest panics.
 */
#include "log.h"
#include "memory.h"
#include "mounts.h"
#include "ports.h"
#include "renew.h"
#include "sys.h"
#include "text.h"
#include "unpack.h"

#include <errno.h>
#include <linux/module.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { STATUS_CANNOT_EXECUTE = 126, STATUS_NOT_FOUND = 127 };
/* uapi/linux/module.h has it since 5.17. */
enum { COMPRESSED_FILE = 4 };

void init_main(char **stack);

/* --- Instructions ----------------------------------------------------------------------------- */

struct instructions {
	char *start, *end; /* strings, whose first byte is the kind */
	char **args, **env;
	char *folder;
};

static char *next_of(char *at)
{
	return at + length(at) + 1;
}

static char **collect(const struct instructions *todo, char kind)
{
	char **list;
	size_t count = 0;

	for (char *at = todo->start; at < todo->end; at = next_of(at))
		count += *at == kind;
	list = allocate((count + 1) * sizeof(*list));
	count = 0;
	for (char *at = todo->start; at < todo->end; at = next_of(at))
		if (*at == kind)
			list[count++] = at + 1;
	return list;
}

static void read_instructions(struct instructions *todo, const char *path)
{
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	long size = SYS(lseek, fd, 0, SEEK_END, 0, 0), got = 0, n = 0;

	if (size < 0)
		give_up(path, NULL, fd < 0 ? -fd : EIO);
	SYS(lseek, fd, 0, SEEK_SET, 0, 0);
	todo->start = allocate((size_t)size + 1);
	while (got < size && (n = sys_read(fd, todo->start + got, (size_t)(size - got))) > 0)
		got += n;
	sys_close(&fd);
	if (got < size)
		give_up(path, NULL, EIO);
	todo->end = todo->start + size;
}

/* Calls it for each string of a kind. */
static void for_each(const struct instructions *todo, char kind, void (*call)(const char *path))
{
	for (char *at = todo->start; at < todo->end; at = next_of(at))
		if (*at == kind)
			call(at + 1);
}

/* --- The system ------------------------------------------------------------------------------- */

static void remove_file(const char *path)
{
	SYS(unlinkat, AT_FDCWD, path, 0, 0, 0);
}

static void remove_folder(const char *path)
{
	SYS(unlinkat, AT_FDCWD, path, AT_REMOVEDIR, 0, 0);
}

/* So that a program finds 127.0.0.1. A kernel without networks has none. */
static void start_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = (int)SYS(socket, AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0, 0, 0);

	SYS(ioctl, fd, 0x8914 /* SIOCSIFFLAGS */, &request, 0, 0);
	sys_close(&fd);
}

/* A failure shows as a missing device; the reason is in the log. */
static void load_module(const char *path)
{
	size_t len = length(path);
	bool packed = len < 3 || !equal(path + len - 3, ".ko");
	int fd = sys_open(path, O_RDONLY | O_CLOEXEC);
	long ret = fd < 0 ? fd : SYS(finit_module, fd, "", packed ? COMPRESSED_FILE : 0, 0, 0);

	sys_close(&fd);
	if (packed && (ret == -EINVAL || ret == -EOPNOTSUPP))
		complain("this kernel cannot unpack modules (CONFIG_MODULE_DECOMPRESS); unpack it "
			 "on the host",
			 path, 0);
	else if (ret < 0 && ret != -EEXIST)
		complain("module", path, (int)-ret);
}

/* Loads the modules, and removes Kinglet's files, which the program must not see. */
static void load_modules(struct instructions *todo)
{
	static const char list[] = FOLDER "/modules";

	read_instructions(todo, list);
	for_each(todo, 'M', load_module);
	for_each(todo, 'M', remove_file);
	remove_file(list);
	remove_file(FOLDER "/init");
}

/* In a folder of the host, which is the root from now on, with the kernel's arguments. */
static void become_init(const struct instructions *todo, char **paths, char **stack)
{
	char **args = stack + 1, **env = args + (long)stack[0] + 1;
	long ret;

	for_each(todo, 'W', enter_root);
	for_each(todo, 'O', enter_readonly_root);
	do {
		args[0] = *paths;
		ret = SYS(execve, args[0], args, env, 0, 0);
	} while (*++paths);
	give_up("--root: no init; the last one tried is", args[0], (int)-ret);
}

/* What the program gets: its files, and how to run it. */
static void receive_program(struct instructions *todo, int port)
{
	static const char path[] = FOLDER "/exec";

	unpack(port);
	read_instructions(todo, path);
	for_each(todo, 'L', enter_live_root);
	mount_systems();
	todo->args = collect(todo, 'A');
	todo->env = collect(todo, 'E');
	todo->folder = collect(todo, 'C')[0];
	if (!todo->args[0] || !todo->folder)
		give_up(path, "damaged", 0);
	for_each(todo, 'R', mount_read_only);
	remove_file(path);
	remove_folder(EARLY_DEV);
	remove_folder(EARLY_SYS);
	remove_folder(FOLDER);
}

/* --- Copying ---------------------------------------------------------------------------------- */

/* Copies bytes from one descriptor to another; neither blocks. */
struct flow {
	int from, to; /* -1 when it has ended */
	char data[32768];
	size_t at, len;
};

static void flow_end(struct flow *flow)
{
	sys_close(&flow->from);
	sys_close(&flow->to);
}

/* Copies one piece, so that the other flows have their turn. */
static void flow_copy(struct flow *flow)
{
	long n;

	if (flow->at == flow->len) {
		n = sys_read(flow->from, flow->data, sizeof(flow->data));
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			flow_end(flow);
			return;
		}
		flow->at = 0;
		flow->len = (size_t)n;
	}
	n = sys_write(flow->to, flow->data + flow->at, flow->len - flow->at);
	if (n >= 0)
		flow->at += (size_t)n;
	else if (n != -EAGAIN)
		flow_end(flow);
}

/* Sets up polling for flow_copy(): [0] its source, [1] its sink. */
static void flow_poll(const struct flow *flow, struct pollfd polls[2])
{
	bool waiting = flow->at < flow->len;

	/* poll() always reports a hang-up: so the source is only polled in its turn. */
	polls[0] = (struct pollfd){ .fd = waiting ? -1 : flow->from, .events = POLLIN };
	polls[1] = (struct pollfd){ .fd = flow->to, .events = waiting ? POLLOUT : 0 };
}

static void flow_serve(struct flow *flow, const struct pollfd polls[2])
{
	/* The reader has closed: the writer must notice. */
	if (polls[1].revents & (POLLHUP | POLLERR))
		flow_end(flow);
	else if (polls[0].revents | polls[1].revents)
		flow_copy(flow);
}

/* --- The program ------------------------------------------------------------------------------ */

static const char *variable(char *const *env, const char *name)
{
	for (; *env; env++)
		if (begins_with(*env, name))
			return *env + length(name);
	return "";
}

/* As execvp(3). Returns an errno. */
static int execute(char *const *args, char *const *env)
{
	const char *path = variable(env, "PATH=");
	int error = ENOENT;

	if (contains(args[0], '/') || !*path)
		return (int)-SYS(execve, args[0], args, env, 0, 0);
	for (;;) {
		struct text file = { .len = 0 };
		long ret;

		while (*path && *path != ':' && file.len < sizeof(file.data) - 1)
			file.data[file.len++] = *path++;
		text_append(&file, "/");
		text_append(&file, args[0]);
		ret = SYS(execve, file.data, args, env, 0, 0);
		if (ret != -ENOENT && ret != -ENOTDIR)
			error = (int)-ret;
		if (!*path || (error != ENOENT && error != EACCES))
			return error;
		path++;
	}
}

static void run_program(const struct instructions *todo, const int pipes[3])
{
	static const uint64_t no_signals;
	struct text text = { .len = 0 };
	const char *what = "working directory", *name = todo->folder;
	long ret;

	for (int i = 0; i < 3; i++)
		SYS(dup3, pipes[i], i, 0, 0, 0);
	SYS(rt_sigprocmask, SIG_SETMASK, &no_signals, NULL, sizeof(no_signals), 0);
	SYS(setsid, 0, 0, 0, 0, 0);
	ret = SYS(chdir, todo->folder, 0, 0, 0, 0);
	if (ret == 0) {
		what = "exec";
		name = todo->args[0];
		ret = -execute(todo->args, todo->env);
	}
	text_append(&text, "kinglet: ");
	text_describe(&text, what, name, (int)-ret);
	sys_write(2, text.data, text.len);
	sys_exit(ret == -ENOENT ? STATUS_NOT_FOUND : STATUS_CANNOT_EXECUTE);
}

/* Creates pipes; their far ends, in `theirs`, are for the program and block. */
static void make_flows(struct flow flows[3], const int ports[PORTS], int theirs[3])
{
	for (int i = 0; i < 3; i++) {
		int ends[2], ours = i == IN;
		long ret = SYS(pipe2, ends, O_CLOEXEC, 0, 0, 0);

		if (ret < 0)
			give_up("pipe", NULL, (int)-ret);
		SYS(fcntl, ends[ours], F_SETFL, O_NONBLOCK, 0, 0);
		flows[i].from = i == IN ? ports[IN] : ends[0];
		flows[i].to = i == IN ? ends[1] : ports[i];
		theirs[i] = ends[!ours];
	}
}

static int exit_status(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

/* Reaps every child that has ended. True when the program is among them. */
static bool reap(long program, int *status)
{
	bool ended = false;
	int wait_status;
	long pid;

	while ((pid = SYS(wait4, -1, &wait_status, WNOHANG, NULL, 0)) > 0) {
		if (pid != program)
			continue;
		*status = exit_status(wait_status);
		ended = true;
	}
	return ended;
}

/* Runs until the program has exited and all its output is in the ports. Returns its status. */
static int attend(struct flow flows[3], long program, int children)
{
	struct pollfd polls[7];
	bool running = true;
	int status = 0;

	while (running || flows[OUT].from >= 0 || flows[ERR].from >= 0) {
		char info[128]; /* struct signalfd_siginfo */

		for (unsigned i = 0; i < 3; i++)
			flow_poll(&flows[i], polls + 2 * i);
		polls[6] = (struct pollfd){ .fd = children, .events = POLLIN };
		SYS(ppoll, polls, ARRAY_SIZE(polls), NULL, NULL, 0);
		for (unsigned i = 0; i < 3; i++)
			flow_serve(&flows[i], polls + 2 * i);
		if (polls[6].revents)
			sys_read(children, info, sizeof(info));
		if (!reap(program, &status))
			continue;
		/* Remaining processes would keep its output open. */
		running = false;
		SYS(kill, -1, SIGKILL, 0, 0, 0);
	}
	return status;
}

static int run(const struct instructions *todo, const int ports[PORTS])
{
	static const uint64_t child_ended = UINT64_C(1) << (SIGCHLD - 1);
	static struct flow flows[3];
	int theirs[3], children;
	long program;

	make_flows(flows, ports, theirs);
	SYS(rt_sigprocmask, SIG_BLOCK, &child_ended, NULL, sizeof(child_ended), 0);
	children = (int)SYS(signalfd4, -1, &child_ended, sizeof(child_ended), O_CLOEXEC | O_NONBLOCK,
			    0);
	program = SYS(clone, SIGCHLD, 0, 0, 0, 0);
	if (program < 0)
		give_up("fork", NULL, (int)-program);
	if (program == 0)
		run_program(todo, theirs);
	for (unsigned i = 0; i < 3; i++)
		sys_close(&theirs[i]);
	return attend(flows, program, children);
}

static void report(int port, int status)
{
	struct text text = { .len = 0 };

	text_append_number(&text, (unsigned)status);
	text_append(&text, "\n");
	sys_write(port, text.data, text.len);
}

/*
 * Here Kinglet may take a snapshot, and guests may start that are restored from it. A line says that
 * this one may go on, and in these what the snapshot cannot know.
 */
static void await_snapshot(struct ports *ports)
{
	static const char line[] = "ready\n";
	int *fd = &ports->fds[SNAPSHOT];
	char answer[160];
	size_t len = 0;

	if (!*ports->paths[SNAPSHOT])
		return;
	open_port(ports, SNAPSHOT);
	sys_write(*fd, line, sizeof(line) - 1);
	while (len < sizeof(answer) - 1 && sys_read(*fd, answer + len, 1) == 1 &&
	       answer[len] != '\n')
		len++;
	answer[len] = '\0';
	sys_close(fd);
	renew(answer);
}

/* `stack`: the number of arguments; these and NULL; the environment and NULL. */
void init_main(char **stack)
{
	struct instructions todo;
	struct ports ports;
	char **inits;
	int status;

	mount_early();
	load_modules(&todo);
	inits = collect(&todo, 'I');
	if (*inits)
		become_init(&todo, inits, stack);
	start_loopback();
	find_ports(&ports);
	await_snapshot(&ports);
	for (unsigned i = IN; i <= FILES; i++)
		open_port(&ports, i);
	receive_program(&todo, ports.fds[FILES]);
	status = run(&todo, ports.fds);
	SYS(sync, 0, 0, 0, 0, 0);
	report(ports.fds[STATUS], status);
	/* Kinglet ends the run when it has read all of it. */
	for (;;)
		SYS(ppoll, NULL, 0, NULL, NULL, 0);
}
