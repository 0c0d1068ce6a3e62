/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inputs are scripts, and any bytes are a valid one. libFuzzer's mutations grow them slowly from
 * empty ones; so every fourth input is a long random script, which is then mutated further.
 */
#include "fuzz.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

static uint32_t next_random(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
	uint32_t state = seed | 1;
	size_t len;

	if (seed % 4)
		return LLVMFuzzerMutate(data, size, max_size);
	len = 1 + next_random(&state) % max_size;
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(next_random(&state) >> 24);
	return len;
}
