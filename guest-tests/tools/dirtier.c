/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirtier MIB RATE - rewrites its memory, page after page, RATE KiB a second, until it is killed.
 *
 * Each word of a page says which page it is and how often that was rewritten. Prints "ready" when
 * all of it has been written once, then a line each second; fails when a page is not what was
 * written to it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

enum {
	WORDS = 512,	  /* of a page */
	TICK_NS = 5000000,
	BURST = 40,	  /* the most ticks that are made good after the guest stood still */
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t word_of(uint64_t page, uint64_t times)
{
	return page << 32 | times;
}

static void rewrite(uint64_t *words, uint64_t page, uint64_t times)
{
	for (unsigned i = 0; i < WORDS; i++) {
		if (times > 1 && words[i] != word_of(page, times - 1)) {
			printf("dirtier: page %llu, word %u: %llx\n", (unsigned long long)page, i,
			       (unsigned long long)words[i]);
			exit(1);
		}
		words[i] = word_of(page, times);
	}
}

int main(int argc, char **argv)
{
	uint64_t pages = argc == 3 ? strtoull(argv[1], NULL, 10) << 8 : 0;
	uint64_t rate = pages ? strtoull(argv[2], NULL, 10) << 10 : 0; /* bytes/s */
	uint64_t size = pages * WORDS * sizeof(uint64_t), n = 0, due = 0, last, second;
	uint64_t *words = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (!pages || words == MAP_FAILED) {
		fprintf(stderr, "usage: dirtier MIB RATE\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (n < pages) {
		rewrite(&words[n * WORDS], n, 1);
		n++;
	}
	puts("ready");
	for (last = second = now_ns();;) {
		const struct timespec tick = { .tv_sec = !rate, .tv_nsec = rate ? TICK_NS : 0 };
		uint64_t now, passed;

		nanosleep(&tick, NULL);
		now = now_ns();
		passed = now - last < BURST * TICK_NS ? now - last : BURST * TICK_NS;
		last = now;
		for (due += rate * passed / 1000000000; due >= WORDS * sizeof(*words);
		     due -= WORDS * sizeof(*words)) {
			rewrite(&words[n % pages * WORDS], n % pages, n / pages + 1);
			n++;
		}
		if (now - second < 1000000000)
			continue;
		printf("%llu\n", (unsigned long long)n);
		second = now;
	}
}
