/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A UART (National Semiconductor PC16550D data sheet), register-complete.
 *
 * Output leaves byte by byte through a callback, whose owner batches. When it takes nothing, the
 * writing vCPU waits: the guest is slowed down, no byte is lost.
 *
 * Input waits in the receive FIFO, and then with the caller, until the guest listens: until it has
 * enabled the receive interrupt, or only polls the line status. Until then the data ready bit stays
 * clear, and neither clearing the FIFO nor reading the empty receiver discards a byte. A real UART
 * would: Linux does both several times between power-on and the first open of the port, and input
 * piped into Kinglet would be lost. A change of FIFO mode keeps the bytes too.
 *
 * The interrupt is not gated by OUT2, as on a PC: small kernels forget to set it.
 */
#ifndef KINGLET_PLATFORM_SERIAL_H
#define KINGLET_PLATFORM_SERIAL_H

#include "core/bus.h"
#include "core/irq.h"
#include "core/state.h"

enum {
	SERIAL_FIFO_SIZE = 64,
	SERIAL_PORTS = 8,
	SERIAL_HELD_MAX = 4096, /* what one OUTS brings to user space at most: a page */
};

struct serial_options {
	const char *name; /* of the region, for narration: "COM1"; borrowed */
	uint64_t base; /* of the eight registers, on the bus of the caller's choice */
	struct irqs *irqs;
	uint32_t gsi;
	/*
	 * Called with the device's lock held, so they must not call into the device.
	 *
	 * Returns how many bytes it took; 0: wait until serial_output_ready() is called. vCPU
	 * threads, and the thread of that call.
	 */
	size_t (*output)(void *owner, const uint8_t *data, size_t len);
	/* The FIFO has room again after a partial serial_input(). vCPU threads. */
	void (*input_ready)(void *owner);
	void *owner; /* borrowed */
};

struct serial {
	struct bus_region region; /* the caller puts it on a bus */
	struct serial_options options;
	pthread_mutex_t lock;
	pthread_cond_t output_ready;
	uint8_t ier, fcr, lcr, mcr, msr, scr, dll, dlm;
	bool overrun;       /* LSR bit: only loopback can overrun the receiver */
	bool thre_pending;  /* the transmitter's interrupt: set when it empties, cleared by IIR */
	bool level;         /* of the interrupt pin */
	bool polling;       /* the guest reads only LSR: it polls for input */
	unsigned lsr_reads; /* in a row */
	bool refused;       /* serial_input() took less than all */
	bool stopped;
	uint8_t held[SERIAL_HELD_MAX]; /* written while stopped; the output takes it later */
	size_t held_len;
	uint8_t fifo[SERIAL_FIFO_SIZE]; /* receiver; the oldest byte comes first */
	size_t fifo_len;
};

void serial_init(struct serial *serial, const struct serial_options *options);
/* vCPUs must be gone. */
void serial_destroy(struct serial *serial);

/* Registers as after power-on, pin low. Received and held bytes stay. vCPUs must not run. */
void serial_reset(struct serial *serial);

/* Bytes for the guest; returns how many were taken. Any thread, but not from a callback. */
size_t serial_input(struct serial *serial, const uint8_t *data, size_t len);

/* The output has room again: waiting vCPUs continue. Any thread, but not from a callback. */
void serial_output_ready(struct serial *serial);

/*
 * Until serial_continue() or serial_reset(), bytes that the output does not take are held, so that
 * vCPUs do not wait and can be stopped: SERIAL_HELD_MAX of them, the rest is dropped. The output
 * gets them first once it has room; they are no part of the saved state. Any thread, but not from a
 * callback.
 */
void serial_stop(struct serial *serial);
/* vCPUs wait for the output again. Any thread, but not from a callback. */
void serial_continue(struct serial *serial);

/*
 * Saves it, or loads it into a port that has had no input; vCPUs must not run. The interrupt
 * controller is saved in the same pause and loaded before: it has the pin's level. -EBADMSG, logged.
 */
extern const struct state_table serial_state_table;
__must_check int serial_state(struct serial *serial, struct state *state);

#endif
