/* SPDX-License-Identifier: Apache-2.0 */
#include "storm.h"

/* Numerical Recipes' generator; its upper bits are the better ones. */
unsigned dice(unsigned sides)
{
	static uint32_t state = 1;

	state = state * 1664525 + 1013904223;
	return (state >> 8) % sides;
}

uint32_t dice_value(void)
{
	unsigned kind = dice(3);

	return kind == 0 ? 0 : kind == 1 ? UINT32_MAX : dice(1 << 24) << 8 | dice(256);
}

static void read_memory(uintptr_t address, unsigned order)
{
	switch (order) {
	case 0:
		read8(address);
		break;
	case 1:
		read16(address);
		break;
	case 2:
		read32(address);
		break;
	default:
		read64(address);
		break;
	}
}

static void write_memory(uintptr_t address, unsigned order)
{
	switch (order) {
	case 0:
		write8(address, (uint8_t)dice_value());
		break;
	case 1:
		write16(address, (uint16_t)dice_value());
		break;
	case 2:
		write32(address, dice_value());
		break;
	default:
		write64(address, (uint64_t)dice_value() << 32 | dice_value());
		break;
	}
}

void storm_memory(uintptr_t address)
{
	unsigned order = dice(4);

	while (STRICT_ALIGNMENT && address & ((1u << order) - 1))
		order--;
	if (dice(2))
		write_memory(address, order);
	else
		read_memory(address, order);
}
