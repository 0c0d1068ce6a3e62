/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A UART (National Semiconductor PC16550D data sheet), register-complete.
 *
 * Output leaves byte by byte through a callback; whoever is behind it batches. When it takes
 * nothing, the writing vCPU waits: the guest is slowed down, no byte is lost.
 *
 * Input waits in the receive FIFO, and behind it with the caller, until the guest listens: it has
 * enabled the receive interrupt, or does nothing but poll the line status. Until then the data
 * ready bit stays clear, and neither clearing the FIFO nor reading the empty receiver throws a byte
 * away. A real UART would: Linux does both several times between power-on and the first open of the
 * port, and input piped into Kinglet would be gone. A change of FIFO mode keeps the bytes too.
 *
 * The interrupt is not gated by OUT2, as on a PC: small kernels forget to set it.
 */
#ifndef KINGLET_PLATFORM_SERIAL_H
#define KINGLET_PLATFORM_SERIAL_H

#include "core/bus.h"
#include "core/irq.h"

enum { SERIAL_FIFO_SIZE = 64, SERIAL_PORTS = 8 };

struct serial_options {
	const char *name; /* of the region, for narration: "COM1"; borrowed */
	uint64_t base; /* of the eight registers, on whatever bus they are put */
	struct irqs *irqs;
	uint32_t gsi;
	/*
	 * Called with the device's lock held, so they must not call back into it.
	 *
	 * Returns how many bytes it took; 0 means: wait, serial_output_ready() will be called. vCPU
	 * threads.
	 */
	size_t (*output)(void *owner, const uint8_t *data, size_t len);
	/* The FIFO has room again after serial_input() had taken less than all. vCPU threads. */
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
	bool polling;       /* the guest reads LSR and nothing else: it waits for input */
	unsigned lsr_reads; /* in a row */
	bool refused;       /* serial_input() took less than all */
	bool stopped;
	uint8_t fifo[SERIAL_FIFO_SIZE]; /* receiver */
	unsigned fifo_head, fifo_len;
};

void serial_init(struct serial *serial, const struct serial_options *options);
/* vCPUs must be gone. */
void serial_destroy(struct serial *serial);

/* Registers as after power-on, pin low. Received bytes stay. vCPUs must not run. */
void serial_reset(struct serial *serial);

/* Bytes for the guest; returns how many were taken. Any thread but a callback's. */
size_t serial_input(struct serial *serial, const uint8_t *data, size_t len);

/* The output has room again: waiting vCPUs go on. Any thread but a callback's. */
void serial_output_ready(struct serial *serial);

/*
 * From now on a byte that the output does not take is dropped instead of waited for, so that vCPUs
 * can be stopped; until serial_continue() or serial_reset(). Any thread but a callback's.
 */
void serial_stop(struct serial *serial);
/* Bytes are waited for again. Any thread but a callback's. */
void serial_continue(struct serial *serial);

#endif
