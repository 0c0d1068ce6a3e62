/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs tests in separate processes and waits for their results: a Kinglet that dies is also a
 * result. A worker is a slot for one process.
 */

#include "suite.h"

#include "base/files.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/text.h"
#include "base/utf8.h"
#include "cmd/commands.h"
#include "core/sys.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

/* A result has at most TAIL_LINES, KTAP_TESTS_MAX tests and JUDGE_MAX_VCPUS. */
enum { RESULT_MAX = 64 << 20 };
/* A run ends by itself within seconds of its timeout; this is for one that does not. */
enum { GRACE_SECONDS = 60 };

struct worker {
	int pipe; /* owned; -1: idle */
	struct test_case *test;
	pid_t pid;
	pid_t leaving; /* has given its result, and KVM takes its VM down; 0: none */
	double start;
	bool killed; /* killed by us */
	char *text;  /* the result received so far, owned */
	size_t len;
};

struct runner {
	int signals_fd;
	sigset_t signals_before;
	struct suite *suite;
	unsigned next, done, failed; /* cases started, ended, failed */
	int signal; /* that ends the suite */
	bool progress;
	struct worker workers[TEST_MAX_JOBS];
	unsigned worker_count, running;
};

static double seconds_now(void)
{
	return (double)sys_now_ns() / 1e9;
}

/* --- The process of one run ------------------------------------------------------------------- */

static struct symbols *load_symbols(const struct test_options *options)
{
	const char *path = options->symbols ? options->symbols : options->run.config.boot.kernel;
	struct symbols *symbols = NULL;
	int ret = symbols_load(path, &symbols);

	/* Most kernels have no symbols. */
	if (ret && options->symbols)
		log_warning("--symbols %.200s: %s", path,
			    ret == -ENODATA ? "has no symbols" : strerror(-ret));
	return symbols;
}

/* *gone: nothing of the machine is left but KVM's VM. */
static cJSON *run_once(const struct test_options *options, bool *gone)
{
	struct run_options run = options->run;
	struct verdict verdict = { 0 };
	struct symbols *symbols = NULL;
	struct judge judge;
	cJSON *result;
	double seconds;

	if (judge_init(&judge, options) < 0)
		return NULL;
	run.config.started_ns = sys_now_ns();
	run.config.leaves_vm = true;
	run.config.observers[run.config.observer_count++] =
		(struct machine_observer){ .ops = &judge_ops, .owner = &judge };
	*gone = !run_timed(&run, &judge.log, &verdict, &seconds);
	if (judge.vcpu_count)
		symbols = load_symbols(options);
	result = result_of_run(&judge, &verdict, seconds, symbols);
	symbols_destroy(symbols);
	judge_destroy(&judge);
	return result;
}

/* Never returns: this process must not flush or close what the supervisor has open. */
static _Noreturn void child_main(const struct runner *runner, const struct test_options *options,
				 pid_t parent, int out_fd)
{
	bool gone = false;
	cJSON *result;
	char *text;

	sigprocmask(SIG_SETMASK, &runner->signals_before, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	result = run_once(options, &gone);
	text = cJSON_PrintUnformatted(result);
	if (!text || write_all(out_fd, text, strlen(text)) < 0)
		_exit(1);
	if (gone)
		close(out_fd); /* the next one may start */
	_exit(0); /* with the threads that are left, if any */
}

/* --- Progress --------------------------------------------------------------------------------- */

static void clear_progress(const struct runner *runner)
{
	if (runner->progress)
		fputs("\r\033[K", stdout);
}

static unsigned terminal_columns(void)
{
	struct winsize size;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_col ? 80 : size.ws_col;
}

static const char *case_title(const struct test_case *test)
{
	return *test->name ? test->name : test->options->run.config.boot.kernel;
}

/* One line, redrawn in place: "[3/20] 1 failed; boot 2 s, smp 0 s". */
static void draw_progress(const struct runner *runner)
{
	char line[1024], shown[1024];
	struct text text = text_of(line, sizeof(line));
	size_t columns = terminal_columns();
	const char *between = "; ";

	if (!runner->progress)
		return;
	text_add(&text, "[%u/%u] %u failed", runner->done, runner->suite->count, runner->failed);
	for (unsigned i = 0; i < runner->worker_count; i++) {
		const struct worker *worker = &runner->workers[i];

		if (worker->pipe < 0)
			continue;
		text_add(&text, "%s%.60s %u s", between, case_title(worker->test),
			 (unsigned)(seconds_now() - worker->start));
		between = ", ";
	}
	/* A wrapped line could not be redrawn. */
	utf8_clean(shown, columns < sizeof(shown) ? columns : sizeof(shown), line, text.len);
	printf("\r\033[K%s", shown);
	fflush(stdout);
}

/* --- The supervisor --------------------------------------------------------------------------- */

static int start_process(struct runner *runner, struct worker *worker)
{
	pid_t parent = getpid();
	int ends[2], ret;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fflush(stdout);
	worker->pid = fork();
	ret = worker->pid < 0 ? -errno : 0;
	if (worker->pid == 0)
		child_main(runner, worker->test->options, parent, ends[1]);
	close(ends[1]);
	worker->pipe = ends[0];
	if (ret)
		close_fd(&worker->pipe);
	return ret;
}

static int start_run(struct runner *runner, struct worker *worker, struct test_case *test)
{
	int ret;

	worker->test = test;
	worker->start = seconds_now();
	worker->killed = false;
	worker->len = 0;
	ret = start_process(runner, worker);
	if (ret)
		log_error("%.80s: starting its process: %s", case_title(test), strerror(-ret));
	else
		runner->running++;
	return ret;
}

static void start_next(struct runner *runner, struct worker *worker)
{
	if (!runner->signal && runner->next < runner->suite->count &&
	    start_run(runner, worker, &runner->suite->cases[runner->next++]) < 0)
		runner->signal = SIGABRT; /* a host error for one applies to all */
}

static int await_end(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Why a process that is about to end has no result. */
static cJSON *result_of_none(const struct worker *worker)
{
	double seconds = seconds_now() - worker->start;
	int status = await_end(worker->pid);
	char detail[120];

	if (worker->killed)
		snprintf(detail, sizeof(detail), "Kinglet did not end by itself");
	else if (WIFSIGNALED(status))
		snprintf(detail, sizeof(detail), "Kinglet was ended by SIG%s",
			 sigabbrev_np(WTERMSIG(status)));
	else
		snprintf(detail, sizeof(detail), "Kinglet ended with status %d and no result",
			 WEXITSTATUS(status));
	return result_of_death(detail, seconds);
}

/* The result of a process that has closed its pipe: then it has one, or ends without. */
static cJSON *take_result(struct worker *worker)
{
	cJSON *result = cJSON_ParseWithLength(worker->text, worker->len);

	if (!result)
		return result_of_none(worker);
	if (worker->leaving)
		await_end(worker->leaving);
	worker->leaving = worker->pid;
	return result;
}

static void finish_run(struct runner *runner, struct worker *worker)
{
	struct test_case *test = worker->test;
	cJSON *result;

	close_fd(&worker->pipe);
	result = take_result(worker);
	runner->running--;
	/* In a list it counts as not run: we stopped it. */
	if (runner->signal && test->owns_options) {
		cJSON_Delete(result);
		return;
	}
	cJSON_AddItemToArray(test->attempts, result);
	if (result_may_be_retried(result) && !runner->signal &&
	    (unsigned)cJSON_GetArraySize(test->attempts) <= test->options->retries) {
		if (start_run(runner, worker, test) < 0)
			start_next(runner, worker);
		return;
	}
	runner->done++;
	runner->failed += !result_passed(result);
	clear_progress(runner);
	print_result(stdout, test->name, test->attempts);
	fflush(stdout);
	start_next(runner, worker);
}

static void read_result(struct runner *runner, struct worker *worker)
{
	char piece[65536];
	ssize_t got = read(worker->pipe, piece, sizeof(piece));
	char *text;

	if (got < 0 && errno == EINTR)
		return;
	if (got <= 0) {
		finish_run(runner, worker);
		return;
	}
	text = worker->len + (size_t)got <= RESULT_MAX ?
		       realloc(worker->text, worker->len + (size_t)got) :
		       NULL;
	if (!text) {
		/* Then it has no result. */
		kill(worker->pid, SIGKILL);
		finish_run(runner, worker);
		return;
	}
	worker->text = text;
	memcpy(text + worker->len, piece, (size_t)got);
	worker->len += (size_t)got;
}

/* Passes the signal to the running processes, which then stop in an orderly way and report it. */
static void pass_signal_on(struct runner *runner)
{
	struct signalfd_siginfo info;

	if (read(runner->signals_fd, &info, sizeof(info)) != sizeof(info))
		return;
	runner->signal = (int)info.ssi_signo;
	for (unsigned i = 0; i < runner->worker_count; i++)
		if (runner->workers[i].pipe >= 0)
			kill(runner->workers[i].pid, runner->signal);
}

static void kill_overdue(struct runner *runner)
{
	for (unsigned i = 0; i < runner->worker_count; i++) {
		struct worker *worker = &runner->workers[i];
		double limit;

		if (worker->pipe < 0)
			continue;
		limit = (double)worker->test->options->run.config.timeout_ns / 1e9 + GRACE_SECONDS;
		if (seconds_now() - worker->start < limit)
			continue;
		worker->killed = true;
		kill(worker->pid, SIGKILL);
	}
}

/* Waits for a result, a signal, or the next second. */
static void serve(struct runner *runner)
{
	struct pollfd fds[TEST_MAX_JOBS + 1], *signals = &fds[runner->worker_count];

	for (unsigned i = 0; i < runner->worker_count; i++)
		fds[i] = (struct pollfd){ .fd = runner->workers[i].pipe, .events = POLLIN };
	*signals = (struct pollfd){ .fd = runner->signals_fd, .events = POLLIN };
	if (poll(fds, runner->worker_count + 1, 1000) <= 0)
		return;
	if (signals->revents)
		pass_signal_on(runner);
	for (unsigned i = 0; i < runner->worker_count; i++)
		if (fds[i].revents)
			read_result(runner, &runner->workers[i]);
}

/* Signals stay blocked: a second one waits until the results are printed. */
static int open_signals(struct runner *runner)
{
	sigset_t set;

	sigemptyset(&set);
	signals_add_ends(&set);
	signal(SIGXFSZ, SIG_IGN); /* reported as a write error of the report */
	sigprocmask(SIG_BLOCK, &set, &runner->signals_before);
	runner->signals_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return runner->signals_fd < 0 ? -errno : 0;
}

int suite_run(struct suite *suite, unsigned jobs, double *seconds)
{
	double start = seconds_now();
	struct runner runner = {
		.suite = suite,
		.worker_count = jobs < suite->count ? jobs : suite->count,
		.progress = isatty(STDOUT_FILENO) && !suite->cases[0].options->verbose,
	};
	int ret = open_signals(&runner);

	if (ret) {
		log_error("running tests: signalfd: %s", strerror(-ret));
		return ret;
	}
	for (unsigned i = 0; i < runner.worker_count; i++) {
		runner.workers[i].pipe = -1;
		start_next(&runner, &runner.workers[i]);
	}
	while (runner.running) {
		draw_progress(&runner);
		serve(&runner);
		kill_overdue(&runner);
	}
	clear_progress(&runner);
	close(runner.signals_fd);
	for (unsigned i = 0; i < runner.worker_count; i++) {
		if (runner.workers[i].leaving)
			await_end(runner.workers[i].leaving);
		free(runner.workers[i].text);
	}
	*seconds = seconds_now() - start;
	return runner.done < suite->count ? 128 + runner.signal : 0;
}
