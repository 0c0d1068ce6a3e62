/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/serial.h"

#include <linux/serial_reg.h>
#include <string.h>

enum {
	IER_MASK = UART_IER_RDI | UART_IER_THRI | UART_IER_RLSI | UART_IER_MSI,
	MCR_MASK = UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT1 | UART_MCR_OUT2 | UART_MCR_LOOP,
	IIR_FIFOS = 0xc0,
	DIVISOR_9600 = 12,
	/*
	 * This number of reads of LSR alone means a guest that waits for input. One that waits for
	 * the transmitter finds it empty at its first read.
	 */
	POLLING_READS = 8,
};

/* The external pins: carrier, data set ready and clear to send, always set. */
static const uint8_t msr_connected = UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;

static bool listening(const struct serial *serial)
{
	return serial->ier & UART_IER_RDI || serial->polling;
}

static bool data_ready(const struct serial *serial)
{
	return serial->fifo_len && listening(serial);
}

/* From this number of bytes it is "data available"; below, "character timeout". */
static unsigned trigger_level(const struct serial *serial)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return serial->fcr & UART_FCR_ENABLE_FIFO ? levels[serial->fcr >> 6] : 1;
}

/* The pending interrupt of highest priority, PC16550D table IV. */
static uint8_t interrupt_id(const struct serial *serial)
{
	if (serial->ier & UART_IER_RLSI && serial->overrun)
		return UART_IIR_RLSI;
	if (serial->ier & UART_IER_RDI && serial->fifo_len)
		return serial->fifo_len >= trigger_level(serial) ? UART_IIR_RDI
								 : UART_IIR_RX_TIMEOUT;
	if (serial->ier & UART_IER_THRI && serial->thre_pending)
		return UART_IIR_THRI;
	if (serial->ier & UART_IER_MSI && serial->msr & UART_MSR_ANY_DELTA)
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}

static void update_interrupt(struct serial *serial)
{
	bool level = interrupt_id(serial) != UART_IIR_NO_INT;

	if (level == serial->level)
		return;
	serial->level = level;
	/* Fails only where there is no interrupt controller: such a guest polls. */
	if (irqs_set_level(serial->options.irqs, serial->options.gsi, level))
		return;
}

static bool fifo_push(struct serial *serial, uint8_t byte)
{
	if (serial->fifo_len == SERIAL_FIFO_SIZE)
		return false;
	serial->fifo[serial->fifo_len++] = byte;
	return true;
}

static void input_consumed(struct serial *serial)
{
	if (!serial->refused || serial->fifo_len)
		return;
	serial->refused = false;
	serial->options.input_ready(serial->options.owner);
}

static uint8_t receive(struct serial *serial)
{
	uint8_t byte;

	if (!data_ready(serial))
		return 0;
	byte = serial->fifo[0];
	memmove(serial->fifo, serial->fifo + 1, --serial->fifo_len);
	input_consumed(serial);
	return byte;
}

/* What is held was there first. */
static bool send_held(struct serial *serial)
{
	size_t taken = 0;

	if (serial->held_len)
		taken = serial->options.output(serial->options.owner, serial->held, serial->held_len);
	serial->held_len -= taken;
	memmove(serial->held, serial->held + taken, serial->held_len);
	return !serial->held_len;
}

static bool send(struct serial *serial, uint8_t byte)
{
	return send_held(serial) && serial->options.output(serial->options.owner, &byte, 1);
}

static void transmit(struct serial *serial, uint8_t byte)
{
	if (serial->mcr & UART_MCR_LOOP) {
		if (!fifo_push(serial, byte))
			serial->overrun = true;
	} else {
		while (!send(serial, byte)) {
			if (serial->stopped) {
				if (serial->held_len < SERIAL_HELD_MAX)
					serial->held[serial->held_len++] = byte;
				break;
			}
			pthread_cond_wait(&serial->output_ready, &serial->lock);
		}
	}
	serial->thre_pending = true; /* sent at once */
}

static uint8_t read_line_status(struct serial *serial)
{
	uint8_t lsr = UART_LSR_THRE | UART_LSR_TEMT;

	if (serial->lsr_reads < POLLING_READS && ++serial->lsr_reads == POLLING_READS)
		serial->polling = true;
	if (data_ready(serial))
		lsr |= UART_LSR_DR;
	if (serial->overrun)
		lsr |= UART_LSR_OE;
	serial->overrun = false;
	return lsr;
}

/* Loopback wires the modem control outputs to the modem status inputs (PC16550D §8.6.7). */
static uint8_t modem_inputs(uint8_t mcr)
{
	if (!(mcr & UART_MCR_LOOP))
		return msr_connected;
	return (uint8_t)((mcr & UART_MCR_RTS ? UART_MSR_CTS : 0) |
			 (mcr & UART_MCR_DTR ? UART_MSR_DSR : 0) |
			 (mcr & UART_MCR_OUT1 ? UART_MSR_RI : 0) |
			 (mcr & UART_MCR_OUT2 ? UART_MSR_DCD : 0));
}

static void write_modem_control(struct serial *serial, uint8_t value)
{
	uint8_t inputs = modem_inputs(value & MCR_MASK);
	uint8_t changed = (serial->msr ^ inputs) & 0xf0;

	/* Ring indicator counts at its trailing edge only. */
	if (inputs & UART_MSR_RI)
		changed &= (uint8_t)~UART_MSR_RI;
	serial->mcr = value & MCR_MASK;
	serial->msr = (uint8_t)(inputs | (serial->msr & UART_MSR_ANY_DELTA) | changed >> 4);
}

static void write_fifo_control(struct serial *serial, uint8_t value)
{
	/* Without the enable bit the others are not programmed. */
	if (!(value & UART_FCR_ENABLE_FIFO)) {
		serial->fcr = 0;
		return;
	}
	serial->fcr = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
	if (value & UART_FCR_CLEAR_RCVR && listening(serial)) {
		serial->fifo_len = 0;
		input_consumed(serial);
	}
}

static void write_interrupt_enable(struct serial *serial, uint8_t value)
{
	/* Enabling the transmitter's interrupt raises it: the transmitter is empty. */
	if (value & ~serial->ier & UART_IER_THRI)
		serial->thre_pending = true;
	serial->ier = value & IER_MASK;
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;
	uint8_t id;

	if (offset != UART_LSR)
		serial->lsr_reads = 0;
	switch (offset) {
	case UART_RX:
		return dlab ? serial->dll : receive(serial);
	case UART_IER:
		return dlab ? serial->dlm : serial->ier;
	case UART_IIR:
		id = interrupt_id(serial);
		if (id == UART_IIR_THRI)
			serial->thre_pending = false;
		return serial->fcr & UART_FCR_ENABLE_FIFO ? id | IIR_FIFOS : id;
	case UART_LCR:
		return serial->lcr;
	case UART_MCR:
		return serial->mcr;
	case UART_LSR:
		return read_line_status(serial);
	case UART_MSR:
		id = serial->msr;
		serial->msr &= (uint8_t)~UART_MSR_ANY_DELTA;
		return id;
	default:
		return serial->scr;
	}
}

static void write_register(struct serial *serial, uint64_t offset, uint8_t value)
{
	bool dlab = serial->lcr & UART_LCR_DLAB;

	serial->lsr_reads = 0;
	/* A guest that sets up the port is not waiting for input yet. */
	if (offset != UART_TX && offset != UART_SCR)
		serial->polling = false;
	switch (offset) {
	case UART_TX:
		if (dlab)
			serial->dll = value;
		else
			transmit(serial, value);
		break;
	case UART_IER:
		if (dlab)
			serial->dlm = value;
		else
			write_interrupt_enable(serial, value);
		break;
	case UART_FCR:
		write_fifo_control(serial, value);
		break;
	case UART_LCR:
		serial->lcr = value;
		break;
	case UART_MCR:
		write_modem_control(serial, value);
		break;
	case UART_SCR:
		serial->scr = value;
		break;
	default: /* LSR and MSR are read-only */
		break;
	}
}

/* A wide access is split into byte accesses, as on the ISA bus. */
static uint64_t serial_read(void *owner, uint64_t offset, unsigned size)
{
	struct serial *serial = owner;
	uint64_t value = 0;

	pthread_mutex_lock(&serial->lock);
	for (unsigned i = 0; i < size; i++)
		value |= (uint64_t)read_register(serial, offset + i) << (8 * i);
	update_interrupt(serial);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

static void serial_write(void *owner, uint64_t offset, uint64_t value, unsigned size)
{
	struct serial *serial = owner;

	pthread_mutex_lock(&serial->lock);
	for (unsigned i = 0; i < size; i++)
		write_register(serial, offset + i, (uint8_t)(value >> (8 * i)));
	update_interrupt(serial);
	pthread_mutex_unlock(&serial->lock);
}

/* PC16550D table II; the first two are the divisor while DLAB is set. */
static void serial_describe(void *owner, uint64_t offset, struct text *out)
{
	static const char *const names[SERIAL_PORTS] = {
		"data",		"interrupt enable", "interrupt identity, FIFO control",
		"line control", "modem control",    "line status",
		"modem status", "scratch",
	};

	(void)owner;
	text_add(out, "%s", names[offset]);
}

static const struct bus_ops serial_bus_ops = {
	.read = serial_read,
	.write = serial_write,
	.describe = serial_describe,
};

static void power_on_state(struct serial *serial)
{
	serial->ier = serial->fcr = serial->lcr = serial->mcr = serial->scr = serial->dlm = 0;
	serial->dll = DIVISOR_9600;
	serial->msr = msr_connected;
	serial->overrun = serial->thre_pending = serial->polling = false;
	serial->lsr_reads = 0;
}

void serial_init(struct serial *serial, const struct serial_options *options)
{
	*serial = (struct serial){
		.region = { .base = options->base,
			    .len = SERIAL_PORTS,
			    .ops = &serial_bus_ops,
			    .owner = serial,
			    .name = options->name },
		.options = *options,
	};
	power_on_state(serial);
	pthread_mutex_init(&serial->lock, NULL);
	pthread_cond_init(&serial->output_ready, NULL);
}

void serial_destroy(struct serial *serial)
{
	pthread_cond_destroy(&serial->output_ready);
	pthread_mutex_destroy(&serial->lock);
}

void serial_reset(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	power_on_state(serial);
	serial->stopped = false;
	update_interrupt(serial);
	pthread_mutex_unlock(&serial->lock);
}

size_t serial_input(struct serial *serial, const uint8_t *data, size_t len)
{
	size_t taken = 0;

	pthread_mutex_lock(&serial->lock);
	while (taken < len && fifo_push(serial, data[taken]))
		taken++;
	serial->refused |= taken < len; /* for one of two that type */
	update_interrupt(serial);
	pthread_mutex_unlock(&serial->lock);
	return taken;
}

void serial_output_ready(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	send_held(serial);
	pthread_cond_broadcast(&serial->output_ready);
	pthread_mutex_unlock(&serial->lock);
}

void serial_stop(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	serial->stopped = true;
	pthread_cond_broadcast(&serial->output_ready);
	pthread_mutex_unlock(&serial->lock);
}

void serial_continue(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	serial->stopped = false;
	pthread_mutex_unlock(&serial->lock);
}

/* --- Saved state ------------------------------------------------------------------------------ */

static const struct state_field fields[] = {
	STATE_LIMITED(struct serial, ier, IER_MASK),
	STATE_LIMITED(struct serial, fcr, UART_FCR_TRIGGER_MASK | UART_FCR_ENABLE_FIFO),
	STATE_NUMBER(struct serial, lcr),
	STATE_LIMITED(struct serial, mcr, MCR_MASK),
	STATE_NUMBER(struct serial, msr),
	STATE_NUMBER(struct serial, scr),
	STATE_NUMBER(struct serial, dll),
	STATE_NUMBER(struct serial, dlm),
	STATE_FLAG(struct serial, overrun),
	STATE_FLAG(struct serial, thre_pending),
	STATE_FLAG(struct serial, polling),
	STATE_LIMITED(struct serial, lsr_reads, POLLING_READS),
	STATE_END,
};

const struct state_table serial_state_table = {
	.name = "serial",
	.version = 1,
	.size = sizeof(struct serial),
	.fields = fields,
};

int serial_state(struct serial *serial, struct state *state)
{
	int ret = state_section(state, &serial_state_table, "", serial);

	if (!ret)
		ret = state_bytes(state, "serial input", serial->fifo, sizeof(serial->fifo),
				  &serial->fifo_len);
	/*
	 * The pin has this level already: it is part of the interrupt controller's state. Setting
	 * it again would be a second edge.
	 */
	serial->level = interrupt_id(serial) != UART_IIR_NO_INT;
	return ret;
}
