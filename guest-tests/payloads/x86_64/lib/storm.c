/* SPDX-License-Identifier: Apache-2.0 */
/* The platform devices of a PC are at ports. */
#include "storm.h"

static void storm_port(uint16_t port)
{
	switch (dice(6)) {
	case 0:
		outb(port, (uint8_t)dice_value());
		break;
	case 1:
		outw(port, (uint16_t)dice_value());
		break;
	case 2:
		outl(port, dice_value());
		break;
	case 3:
		inb(port);
		break;
	case 4:
		inw(port);
		break;
	default:
		inl(port);
		break;
	}
}

static void storm_config_ports(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		outl(0xcf8, dice(4) ? 0x80000000u | dice(4) << 11 | dice(256) : dice_value());
		storm_port((uint16_t)(0xcfc + dice(4)));
	}
}

/* Every port except those that end the run: keyboard controller, exit, panic and power. */
static void storm_ports(unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		unsigned port = dice(4) ? dice(0x1000) : dice(0x10000);
		bool ends = (port >= 0x61 && port <= 0x64) || (port >= 0xf1 && port <= 0xf7) ||
			    (port >= 0x502 && port <= 0x505) || (port >= 0x5fd && port <= 0x607) ||
			    (port >= COM1 - 3 && port <= COM1) || port == 0xcf9;

		if (!ends)
			storm_port((uint16_t)port);
	}
}

void storm_platform(unsigned rounds)
{
	storm_config_ports(rounds);
	storm_ports(rounds);
	serial_write(SERIAL_LINE_CONTROL, 0); /* the divisor latch may hide the data register */
	serial_write(SERIAL_MODEM_CONTROL, 0); /* and the port's loopback may be on */
}
