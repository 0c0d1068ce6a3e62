/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock-check LIMIT - on each CPU, sleeps of 50 ms and work of 10 ms, until SIGTERM.
 *
 * Fails when a sleep was too short, when the monotonic clock of one CPU is before that of another,
 * or when more than one sleep on a CPU took longer than LIMIT ms: a guest that is saved and goes on
 * sees its clock jump once, ahead. Prints the number of sleeps and of those jumps.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { MS = 1000000, SLEEP_MS = 50, WORK_MS = 10, CPUS_MAX = 64 };

struct sleeper {
	pthread_t thread;
	int cpu;
	unsigned sleeps, jumps;
};

static _Atomic uint64_t latest; /* ns, of any CPU */
static atomic_bool over;
static uint64_t limit_ns;

static uint64_t read_clock(void)
{
	struct timespec ts;
	uint64_t before = atomic_load(&latest), now;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
	if (now < before) {
		printf("clock-check: the clock went back by %llu ns\n",
		       (unsigned long long)(before - now));
		exit(1);
	}
	while (before < now && !atomic_compare_exchange_weak(&latest, &before, now))
		;
	return now;
}

static void *sleep_and_work(void *arg)
{
	struct sleeper *sleeper = arg;
	const struct timespec pause = { .tv_nsec = SLEEP_MS * MS };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sleeper->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		exit(2);
	while (!over) {
		uint64_t start = read_clock(), took;

		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
		took = read_clock() - start;
		if (took < SLEEP_MS * MS) {
			printf("clock-check: a sleep took %llu ns\n", (unsigned long long)took);
			exit(1);
		}
		sleeper->sleeps++;
		sleeper->jumps += took > limit_ns;
		for (start = read_clock(); read_clock() - start < WORK_MS * MS;)
			;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct sleeper sleepers[CPUS_MAX];
	int cpus = (int)sysconf(_SC_NPROCESSORS_ONLN), signal, status = 0;
	sigset_t term;

	if (argc != 2 || cpus > CPUS_MAX) {
		fputs("usage: clock-check LIMIT\n", stderr);
		return 2;
	}
	limit_ns = strtoull(argv[1], NULL, 10) * MS;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &term, NULL);
	for (int i = 0; i < cpus; i++) {
		sleepers[i].cpu = i;
		if (pthread_create(&sleepers[i].thread, NULL, sleep_and_work, &sleepers[i]))
			return 2;
	}
	sigwait(&term, &signal);
	atomic_store(&over, 1);
	for (int i = 0; i < cpus; i++) {
		pthread_join(sleepers[i].thread, NULL);
		printf("clock-check: CPU %d: %u sleeps, %u jumps\n", i, sleepers[i].sleeps,
		       sleepers[i].jumps);
		if (!sleepers[i].sleeps || sleepers[i].jumps > 1)
			status = 1;
	}
	return status;
}
