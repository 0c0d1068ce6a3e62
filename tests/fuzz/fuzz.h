/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the fuzz targets. A target is one file, fuzz_NAME.c, with LLVMFuzzerTestOneInput(): it
 * reads its input as a script of what a guest (or a file) does, runs it, and checks invariants
 * after each step. `make check-fuzz` runs all of them briefly; build-fuzz/tests/fuzz/fuzz_NAME runs
 * one for as long as you like (libFuzzer's options).
 *
 * Nothing may depend on an earlier input, or a finding could not be reproduced.
 */
#ifndef KINGLET_TESTS_FUZZ_H
#define KINGLET_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

/* The next `bytes` of the script as a number, little endian; zeros after its end. */
static inline uint64_t fuzz_take(struct fuzz_input *in, unsigned bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < bytes && in->left; i++, in->left--)
		value |= (uint64_t)*in->data++ << 8 * i;
	return value;
}

/* A number below `n`, from one byte. */
static inline unsigned fuzz_pick(struct fuzz_input *in, unsigned n)
{
	return (unsigned)fuzz_take(in, 1) % n;
}

/* Width of a register access. */
static inline unsigned fuzz_size(struct fuzz_input *in)
{
	return 1U << fuzz_pick(in, 4);
}

/* An invariant. Not assert(): it stays in every build. */
#define FUZZ_CHECK(condition)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
