/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs tests in processes of their own and waits for their results: a Kinglet that dies is a
 * result, too. One loop; a worker is a place for one process.
 */
#include "cmd/suite.h"

#include "base/files.h"
#include "base/log.h"
#include "base/signals.h"
#include "base/utf8.h"
#include "cmd/commands.h"
#include "core/loop.h"

#include <fcntl.h>
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

struct runner;

struct worker {
	struct loop_event pipe; /* fd owned; -1: idle */
	struct runner *runner;
	struct test_case *test;
	pid_t pid;
	double start;
	bool killed; /* it did not end by itself */
	char *text;  /* what has come of the result, owned */
	size_t len;
};

struct runner {
	struct loop loop;
	struct loop_event signals;
	struct loop_timer tick;
	sigset_t signals_before;
	struct suite *suite;
	unsigned next, done, failed; /* cases started, ended, ended badly */
	unsigned running;
	int signal; /* that ends it all */
	bool progress;
	struct worker *workers;
	unsigned worker_count;
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

	/* A kernel without symbols is no wonder. */
	if (ret && options->symbols)
		log_warning("--symbols %.200s: %s", path,
			    ret == -ENODATA ? "has no symbols" : strerror(-ret));
	return symbols;
}

static cJSON *run_once(const struct test_options *options)
{
	struct run_options run = options->run;
	struct verdict verdict = { 0 };
	struct symbols *symbols = NULL;
	struct judge judge;
	cJSON *result;
	double seconds;
	int ret;

	if (judge_init(&judge, options) < 0)
		return NULL;
	run.config.started_ns = sys_now_ns();
	run.config.observers[run.config.observer_count++] =
		(struct machine_observer){ .ops = &guest_log_ops, .owner = &judge.log };
	run.config.observers[run.config.observer_count++] =
		(struct machine_observer){ .ops = &judge_ops, .owner = &judge };
	ret = run_timed(&run, &verdict, &seconds);
	(void)ret; /* what is left ends with the process, by _exit(2) in any case */
	if (judge.vcpu_count)
		symbols = load_symbols(options);
	result = result_of_run(&judge, &verdict, seconds, symbols);
	symbols_destroy(symbols);
	judge_destroy(&judge);
	return result;
}

/* Never returns: what the supervisor has open and buffered is not this process's to end. */
static _Noreturn void child_main(const struct runner *runner, const struct test_options *options,
				 pid_t parent, int out_fd)
{
	cJSON *result;
	char *text;

	sigprocmask(SIG_SETMASK, &runner->signals_before, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	result = run_once(options);
	text = cJSON_PrintUnformatted(result);
	_exit(!text || write_all(out_fd, text, strlen(text)) < 0);
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

/* One line, drawn over and over: "[3/20] 1 failed; boot 2 s, smp 0 s". */
static void draw_progress(const struct runner *runner)
{
	char line[1024], shown[1024];
	size_t columns = terminal_columns(), used;
	const char *between = "; ";

	if (!runner->progress)
		return;
	used = (size_t)snprintf(line, sizeof(line), "[%u/%u] %u failed", runner->done,
				runner->suite->count, runner->failed);
	for (unsigned i = 0; i < runner->worker_count && used < sizeof(line); i++) {
		const struct worker *worker = &runner->workers[i];

		if (worker->pipe.fd < 0)
			continue;
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%.60s %u s",
					 between, case_title(worker->test),
					 (unsigned)(seconds_now() - worker->start));
		between = ", ";
	}
	/* A line that wraps could not be drawn over. */
	utf8_clean(shown, columns < sizeof(shown) ? columns : sizeof(shown), line, strlen(line));
	printf("\r\033[K%s", shown);
	fflush(stdout);
}

/* --- The supervisor --------------------------------------------------------------------------- */

static void result_arrives(struct loop_event *event, uint32_t events);

static int start_process(struct worker *worker)
{
	struct runner *runner = worker->runner;
	pid_t parent = getpid();
	int ends[2], ret;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fflush(stdout);
	worker->pid = fork();
	if (worker->pid == 0)
		child_main(runner, worker->test->options, parent, ends[1]);
	ret = worker->pid < 0 ? -errno : 0;
	close(ends[1]);
	worker->pipe.fd = ends[0];
	if (!ret)
		ret = fcntl(worker->pipe.fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
	if (!ret)
		ret = loop_add(&runner->loop, &worker->pipe, EPOLLIN);
	if (ret) {
		close_fd(&worker->pipe.fd);
		if (worker->pid > 0) {
			kill(worker->pid, SIGKILL);
			waitpid(worker->pid, NULL, 0);
		}
	}
	return ret;
}

static int start_run(struct worker *worker, struct test_case *test)
{
	int ret;

	worker->test = test;
	worker->start = seconds_now();
	worker->killed = false;
	worker->len = 0;
	ret = start_process(worker);
	if (ret)
		log_error("%.80s: starting its process: %s", case_title(test), strerror(-ret));
	else
		worker->runner->running++;
	return ret;
}

static void start_next(struct worker *worker)
{
	struct runner *runner = worker->runner;

	if (!runner->signal && runner->next < runner->suite->count &&
	    start_run(worker, &runner->suite->cases[runner->next++]) < 0)
		runner->signal = SIGABRT; /* what the host denies one, it denies the others */
	if (!runner->running)
		loop_stop(&runner->loop);
}

/* What became of a process that has closed its pipe, which it does by ending only. */
static cJSON *take_result(struct worker *worker)
{
	double seconds = seconds_now() - worker->start;
	cJSON *result = NULL;
	char detail[120];
	int status = 0;

	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		result = cJSON_ParseWithLength(worker->text, worker->len);
	if (result)
		return result;
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

static void finish_run(struct worker *worker)
{
	struct runner *runner = worker->runner;
	struct test_case *test = worker->test;
	cJSON *result;

	loop_remove(&runner->loop, &worker->pipe);
	close_fd(&worker->pipe.fd);
	result = take_result(worker);
	runner->running--;
	/* Of a list it is a test that was not run: it was stopped by us. */
	if (runner->signal && test->owns_options) {
		cJSON_Delete(result);
		start_next(worker);
		return;
	}
	cJSON_AddItemToArray(test->attempts, result);
	if (result_may_be_retried(result) && !runner->signal &&
	    (unsigned)cJSON_GetArraySize(test->attempts) <= test->options->retries) {
		if (start_run(worker, test) < 0)
			start_next(worker);
		return;
	}
	runner->done++;
	runner->failed += !result_passed(result);
	clear_progress(runner);
	print_result(stdout, test->name, test->attempts);
	fflush(stdout);
	start_next(worker);
	draw_progress(runner);
}

static void result_arrives(struct loop_event *event, uint32_t events)
{
	struct worker *worker = container_of(event, struct worker, pipe);
	char piece[65536];
	ssize_t got = read(event->fd, piece, sizeof(piece));
	char *text;

	(void)events;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		finish_run(worker);
		return;
	}
	text = worker->len + (size_t)got <= RESULT_MAX ?
		       realloc(worker->text, worker->len + (size_t)got) :
		       NULL;
	if (!text) {
		/* It dies of the broken pipe, and has no result. */
		kill(worker->pid, SIGKILL);
		finish_run(worker);
		return;
	}
	worker->text = text;
	memcpy(text + worker->len, piece, (size_t)got);
	worker->len += (size_t)got;
}

/* It ends what runs; its processes then end in order, and tell of the same signal. */
static void signal_arrives(struct loop_event *event, uint32_t events)
{
	struct runner *runner = container_of(event, struct runner, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(event->fd, &info, sizeof(info)) != sizeof(info))
		return;
	runner->signal = (int)info.ssi_signo;
	for (unsigned i = 0; i < runner->worker_count; i++)
		if (runner->workers[i].pipe.fd >= 0)
			kill(runner->workers[i].pid, runner->signal);
	if (!runner->running)
		loop_stop(&runner->loop);
}

static int start_tick(struct runner *runner)
{
	return loop_timer_set(&runner->tick, UINT64_C(1000000000));
}

/* Once a second: the progress line, and runs that do not even end at their timeout. */
static void tick(struct loop_timer *timer)
{
	struct runner *runner = container_of(timer, struct runner, tick);
	int ret;

	for (unsigned i = 0; i < runner->worker_count; i++) {
		struct worker *worker = &runner->workers[i];
		double limit;

		if (worker->pipe.fd < 0)
			continue;
		limit = (double)worker->test->options->run.config.timeout_ns / 1e9 + GRACE_SECONDS;
		if (seconds_now() - worker->start < limit)
			continue;
		worker->killed = true;
		kill(worker->pid, SIGKILL);
	}
	draw_progress(runner);
	ret = start_tick(runner);
	(void)ret; /* arming a timer that is in the loop cannot fail */
}

static int init_runner(struct runner *runner)
{
	sigset_t set;
	int ret;

	runner->signals = (struct loop_event){ .fd = -1, .fn = signal_arrives };
	runner->tick.event.fd = -1;
	runner->tick.fn = tick;
	sigemptyset(&set);
	signals_add_ends(&set);
	signal(SIGXFSZ, SIG_IGN); /* a report that may not grow is an error of its own */
	sigprocmask(SIG_BLOCK, &set, &runner->signals_before);
	ret = loop_init(&runner->loop);
	if (ret)
		return ret;
	runner->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ret = runner->signals.fd < 0 ? -errno :
				       loop_add(&runner->loop, &runner->signals, EPOLLIN);
	if (!ret)
		ret = loop_timer_add(&runner->loop, &runner->tick);
	return ret ? ret : start_tick(runner);
}

static void destroy_runner(struct runner *runner)
{
	loop_timer_remove(&runner->loop, &runner->tick);
	close_fd(&runner->signals.fd);
	loop_destroy(&runner->loop);
	/* Signals stay blocked: a second one waits until the results are said. */
	for (unsigned i = 0; i < runner->worker_count; i++)
		free(runner->workers[i].text);
	free(runner->workers);
}

static int add_workers(struct runner *runner, unsigned count)
{
	runner->workers = calloc(count, sizeof(*runner->workers));
	if (!runner->workers)
		return -ENOMEM;
	runner->worker_count = count;
	for (unsigned i = 0; i < count; i++)
		runner->workers[i] = (struct worker){
			.runner = runner,
			.pipe = { .fd = -1, .fn = result_arrives },
		};
	return 0;
}

int suite_run(struct suite *suite, unsigned jobs, double *seconds)
{
	double start = seconds_now();
	struct runner runner = {
		.suite = suite,
		.loop = { .epoll_fd = -1, .stop_fd = -1 },
		.progress = isatty(STDOUT_FILENO) && !suite->cases[0].options->verbose,
	};
	int ret = init_runner(&runner);

	if (!ret)
		ret = add_workers(&runner, jobs < suite->count ? jobs : suite->count);
	if (!ret) {
		for (unsigned i = 0; i < runner.worker_count; i++)
			start_next(&runner.workers[i]);
		draw_progress(&runner);
		ret = loop_run(&runner.loop);
		clear_progress(&runner);
	}
	if (ret)
		log_error("running tests: %s", strerror(-ret));
	destroy_runner(&runner);
	*seconds = seconds_now() - start;
	if (!ret && runner.done < suite->count)
		ret = 128 + runner.signal;
	return ret;
}
