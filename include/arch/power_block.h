/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of the power block: described by the ACPI tables, implemented by
 * devices/platform/power.c. One byte each, except the event word. (ACPI 6.4 §4.8.3.6 and §4.8.3.7)
 */
#ifndef KINGLET_ARCH_POWER_BLOCK_H
#define KINGLET_ARCH_POWER_BLOCK_H

enum {
	/* Offsets. */
	POWER_SLEEP_CONTROL = 0,
	POWER_SLEEP_STATUS = 1,
	POWER_RESET = 2,  /* write POWER_RESET_VALUE */
	POWER_EVENTS = 4, /* 32 bits, read clears: reasons of the event device's interrupt */
	POWER_BLOCK_LEN = 8,

	POWER_RESET_VALUE = 0x01,
	POWER_SLEEP_TYPE_S5 = 5,
	POWER_EVENT_BUTTON = 0x1,
	POWER_EVENT_VMGENID = 0x2, /* the VM generation id has changed */
	POWER_EVENT_ALL = 0x3,
};

#endif
