/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Interrupt Translation Service: a message is a write of an event number to its one register,
 * and the bus identifies the writer. The ITS translates both to an LPI, using tables in our memory
 * that it fills in response to commands. (Arm IHI 0069, chapter 5)
 */
#include "gic.h"

static const uintptr_t its = 0x08080000, redistributor = 0x080a0000;

enum {
	GITS_CTLR = 0x00,
	GITS_CBASER = 0x80,
	GITS_CWRITER = 0x88,
	GITS_CREADR = 0x90,
	GITS_BASER = 0x100,
	GITS_TRANSLATER = 0x10040,
	BASERS = 8,
	BASER_TYPE_SHIFT = 56,

	GICR_CTLR = 0x00,
	GICR_PROPBASER = 0x70,
	GICR_PENDBASER = 0x78,
	ENABLE_LPIS = 1,

	LPI_BITS = 14, /* numbers below 16384, of which the upper half are LPIs */
	LPIS = 1 << (LPI_BITS - 1),
	LPI_ENABLED = 0xa0 | 2 | 1, /* priority; a bit that is RES1; enabled */

	FUNCTIONS = 256, /* of bus 0 */
	EVENT_BITS = 2,
	ITT = 256, /* bytes for a function's events: the required alignment */
	PAGE = 65536,
};

#define VALID (1ull << 63)
#define SHARED_CACHED (7ull << 59 | 1 << 10) /* as the CPU maps it */
#define REDISTRIBUTOR_SHARED_CACHED (7ull << 7 | 1 << 10) /* the same, at other bits */
#define PAGES_64K (2 << 8)

static uint8_t lpi_config[LPIS] __attribute__((aligned(4096)));
static uint8_t lpi_pending[PAGE] __attribute__((aligned(65536)));
static uint8_t tables[BASERS][PAGE] __attribute__((aligned(65536)));
static uint8_t itts[FUNCTIONS][ITT] __attribute__((aligned(256)));
static uint64_t commands[PAGE / 8] __attribute__((aligned(65536)));
static bool mapped[FUNCTIONS];

enum command { SYNC = 0x05, MAPD = 0x08, MAPC = 0x09, MAPTI = 0x0a, INV = 0x0c };

/* Puts four words into the queue and waits until they are read. */
static void order(enum command command, uint64_t device, uint64_t second, uint64_t third)
{
	uint64_t at = read64(its + GITS_CWRITER), next = (at + 32) % PAGE;
	uint64_t *words = &commands[at / 8];

	words[0] = command | device << 32;
	words[1] = second;
	words[2] = third;
	words[3] = 0;
	order_writes();
	write64(its + GITS_CWRITER, next);
	while (read64(its + GITS_CREADR) != next)
		relax();
}

void its_init(void)
{
	for (unsigned i = 0; i < BASERS; i++) {
		uint64_t type = read64(its + GITS_BASER + 8 * i) >> BASER_TYPE_SHIFT & 7;

		if (type)
			write64(its + GITS_BASER + 8 * i,
				VALID | SHARED_CACHED | PAGES_64K | (uintptr_t)tables[i]);
	}
	write64(redistributor + GICR_PROPBASER,
		REDISTRIBUTOR_SHARED_CACHED | (LPI_BITS - 1) | (uintptr_t)lpi_config);
	write64(redistributor + GICR_PENDBASER,
		REDISTRIBUTOR_SHARED_CACHED | (uintptr_t)lpi_pending);
	write32(redistributor + GICR_CTLR, ENABLE_LPIS);

	write64(its + GITS_CBASER, VALID | SHARED_CACHED | (uintptr_t)commands | (PAGE / 4096 - 1));
	write64(its + GITS_CWRITER, 0);
	write32(its + GITS_CTLR, 1);
	/* Collection 0: everything mapped to it goes to redistributor 0 (by number). */
	order(MAPC, 0, 0, VALID);
	order(SYNC, 0, 0, 0);
}

struct irq_message its_map(unsigned requester, unsigned number, unsigned lpi)
{
	check(requester < FUNCTIONS && number < 1u << EVENT_BITS && lpi - GIC_LPIS < LPIS);
	if (!mapped[requester])
		order(MAPD, requester, EVENT_BITS - 1, VALID | (uintptr_t)itts[requester]);
	mapped[requester] = true;
	lpi_config[lpi - GIC_LPIS] = LPI_ENABLED;
	order(MAPTI, requester, (uint64_t)lpi << 32 | number, 0);
	order(INV, requester, number, 0); /* drop its cached configuration */
	order(SYNC, 0, 0, 0);
	return (struct irq_message){ its + GITS_TRANSLATER, number };
}
