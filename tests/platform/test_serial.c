/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/serial.h"

#include "mock_ring.h"
#include "unit.h"

#include <linux/serial_reg.h>
#include <string.h>

enum { GSI = 4 };

struct fixture {
	struct mock_env env;
	struct serial serial;
	char out[256];
	size_t out_len;
	_Atomic size_t out_room; /* bytes that the sink still accepts */
	_Atomic unsigned refusals;
	unsigned input_ready;
};

static size_t sink(void *owner, const uint8_t *data, size_t len)
{
	struct fixture *f = owner;

	if (len > f->out_room) {
		f->refusals++;
		len = f->out_room;
	}
	f->out_room -= len;
	memcpy(f->out + f->out_len, data, len);
	f->out_len += len;
	return len;
}

static void input_ready(void *owner)
{
	((struct fixture *)owner)->input_ready++;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	struct serial_options options = {
		.base = 0x3f8,
		.irqs = &f->env.irqs,
		.gsi = GSI,
		.output = sink,
		.input_ready = input_ready,
		.owner = f,
	};

	f->out_room = sizeof(f->out);
	mock_env_init(&f->env);
	serial_init(&f->serial, &options);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	serial_destroy(&f->serial);
	return mock_env_teardown(state);
}

static uint8_t in(struct fixture *f, unsigned reg)
{
	return (uint8_t)f->serial.region.ops->read(&f->serial, reg, 1);
}

static void out(struct fixture *f, unsigned reg, uint8_t value)
{
	f->serial.region.ops->write(&f->serial, reg, value, 1);
}

static bool pin(const struct fixture *f)
{
	return f->env.fake.levels[GSI];
}

static size_t type(struct fixture *f, const char *text)
{
	return serial_input(&f->serial, (const uint8_t *)text, strlen(text));
}

static void registers_at_power_on(void **state)
{
	static const uint8_t want[SERIAL_PORTS] = { 0, 0, 1, 0, 0, 0x60, 0xb0, 0 };
	struct fixture *f = *state;

	assert_int_equal(f->serial.region.base, 0x3f8);
	assert_int_equal(f->serial.region.len, SERIAL_PORTS);
	for (unsigned reg = 0; reg < SERIAL_PORTS; reg++)
		assert_int_equal(in(f, reg), want[reg]);
	assert_false(pin(f));
}

static void registers_keep_their_bits(void **state)
{
	struct fixture *f = *state;

	out(f, UART_SCR, 0x5a);
	assert_int_equal(in(f, UART_SCR), 0x5a);
	out(f, UART_IER, 0xff);
	assert_int_equal(in(f, UART_IER), 0x0f);
	out(f, UART_MCR, 0xff);
	assert_int_equal(in(f, UART_MCR), 0x1f);
	out(f, UART_LSR, 0xff); /* read-only */
	assert_int_equal(in(f, UART_LSR), 0x60);

	out(f, UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
	out(f, UART_DLL, 0x34);
	out(f, UART_DLM, 0x12);
	assert_int_equal(in(f, UART_DLL), 0x34);
	assert_int_equal(in(f, UART_DLM), 0x12);
	out(f, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in(f, UART_LCR), UART_LCR_WLEN8);
	assert_int_equal(in(f, UART_IER), 0x0f);
	assert_int_equal(f->out_len, 0);
}

/* PC16550D §8.6.2: without bit 0 the others are not programmed. */
static void fifo_enable_shows_in_iir(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in(f, UART_IIR), 0x01);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_14);
	assert_int_equal(in(f, UART_IIR), 0xc1);
	out(f, UART_FCR, UART_FCR_TRIGGER_14);
	assert_int_equal(in(f, UART_IIR), 0x01);
}

static void output_reaches_the_sink(void **state)
{
	struct fixture *f = *state;

	for (const char *p = "hello\r\n"; *p; p++) {
		assert_int_equal(in(f, UART_LSR) & 0x60, 0x60);
		out(f, UART_TX, (uint8_t)*p);
	}
	assert_int_equal(f->out_len, 7);
	assert_memory_equal(f->out, "hello\r\n", 7);
}

/* The checks that Linux makes before it trusts the transmitter's interrupt. */
static void thre_interrupt(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 2; i++) {
		out(f, UART_IER, UART_IER_THRI);
		assert_true(pin(f));
		assert_int_equal(in(f, UART_IIR), UART_IIR_THRI);
		assert_int_equal(in(f, UART_IIR), UART_IIR_NO_INT);
		assert_false(pin(f));
		out(f, UART_IER, 0);
	}
	out(f, UART_IER, UART_IER_THRI);
	in(f, UART_IIR);
	out(f, UART_TX, 'x');
	assert_true(pin(f));
	out(f, UART_IER, 0);
	assert_false(pin(f));
	/* Writing the same bit again raises nothing. */
	out(f, UART_IER, UART_IER_THRI);
	in(f, UART_IIR);
	out(f, UART_IER, UART_IER_THRI);
	assert_false(pin(f));
}

static void receive_interrupt(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_4);
	out(f, UART_IER, UART_IER_RDI | UART_IER_THRI);
	in(f, UART_IIR);
	assert_false(pin(f));
	assert_int_equal(type(f, "abc"), 3);
	assert_true(pin(f));
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT);
	assert_int_equal(type(f, "d"), 1);
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_RDI);
	/* The receiver comes before the transmitter. */
	out(f, UART_TX, 'x');
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_RDI);
	for (const char *p = "abcd"; *p; p++) {
		assert_true(in(f, UART_LSR) & UART_LSR_DR);
		assert_int_equal(in(f, UART_RX), *p);
	}
	assert_false(in(f, UART_LSR) & UART_LSR_DR);
	assert_int_equal(in(f, UART_IIR), 0xc0 | UART_IIR_THRI);
	assert_false(pin(f));
	assert_int_equal(in(f, UART_RX), 0);
}

/* One of two that type was refused: what the other then types does not make it wait for ever. */
static void a_refusal_is_not_forgotten(void **state)
{
	uint8_t data[SERIAL_FIFO_SIZE + 1] = { 0 };
	struct fixture *f = *state;

	out(f, UART_IER, UART_IER_RDI);
	assert_int_equal(serial_input(&f->serial, data, sizeof(data)), SERIAL_FIFO_SIZE);
	in(f, UART_RX);
	assert_int_equal(serial_input(&f->serial, data, 1), 1);
	for (unsigned i = 0; i < SERIAL_FIFO_SIZE; i++)
		in(f, UART_RX);
	assert_int_equal(f->input_ready, 1);
}

/* No input is lost before the guest listens: Linux's own sequence up to the first open. */
static void early_input_survives_probing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(type(f, "ls\n"), 3);
	assert_false(pin(f));
	/* autoconfig() */
	out(f, UART_IER, 0x0f);
	out(f, UART_IER, 0);
	assert_false(pin(f));
	out(f, UART_MCR, UART_MCR_LOOP | 0x0a);
	assert_int_equal(in(f, UART_MSR) & 0xf0, 0x90);
	out(f, UART_MCR, 0);
	/* startup() */
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	out(f, UART_FCR, 0);
	assert_int_equal(in(f, UART_LSR), 0x60);
	assert_int_equal(in(f, UART_RX), 0);
	/* set_termios() */
	out(f, UART_IER, UART_IER_RDI | UART_IER_RLSI);
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_true(pin(f));
	assert_int_equal(in(f, UART_RX), 'l');
	assert_int_equal(in(f, UART_RX), 's');
	assert_int_equal(in(f, UART_RX), '\n');
	assert_false(pin(f));
}

static void a_polling_guest_gets_its_input(void **state)
{
	struct fixture *f = *state;

	type(f, "ab");
	/* Waiting for the transmitter is not waiting for input. */
	for (unsigned i = 0; i < 20; i++) {
		assert_false(in(f, UART_LSR) & UART_LSR_DR);
		out(f, UART_TX, '.');
	}
	for (unsigned i = 0; i < 20 && !(in(f, UART_LSR) & UART_LSR_DR); i++)
		;
	assert_int_equal(in(f, UART_RX), 'a');
	out(f, UART_TX, 'a');
	assert_true(in(f, UART_LSR) & UART_LSR_DR);
	assert_false(pin(f));
	/* A driver that takes over starts again. */
	out(f, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in(f, UART_RX), 0);
	out(f, UART_IER, UART_IER_RDI);
	assert_int_equal(in(f, UART_RX), 'b');
}

static void a_listening_guest_can_clear_its_fifo(void **state)
{
	struct fixture *f = *state;

	out(f, UART_IER, UART_IER_RDI);
	type(f, "abc");
	out(f, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_false(in(f, UART_LSR) & UART_LSR_DR);
	assert_false(pin(f));
}

static void input_back_pressure(void **state)
{
	struct fixture *f = *state;
	uint8_t data[SERIAL_FIFO_SIZE + 10];

	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	out(f, UART_IER, UART_IER_RDI);
	assert_int_equal(serial_input(&f->serial, data, sizeof(data)), SERIAL_FIFO_SIZE);
	assert_int_equal(serial_input(&f->serial, data, 1), 0);
	for (unsigned i = 0; i < SERIAL_FIFO_SIZE; i++) {
		assert_int_equal(f->input_ready, 0);
		assert_int_equal(in(f, UART_RX), i);
	}
	assert_int_equal(f->input_ready, 1);
	assert_int_equal(serial_input(&f->serial, data + SERIAL_FIFO_SIZE, 10), 10);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(in(f, UART_RX), SERIAL_FIFO_SIZE + i);
	assert_int_equal(f->input_ready, 1); /* nothing was refused: no call */
}

static void loopback(void **state)
{
	struct fixture *f = *state;

	out(f, UART_IER, UART_IER_RDI | UART_IER_RLSI);
	out(f, UART_MCR, UART_MCR_LOOP);
	out(f, UART_TX, 'q');
	assert_int_equal(f->out_len, 0);
	assert_int_equal(in(f, UART_RX), 'q');
	for (unsigned i = 0; i < SERIAL_FIFO_SIZE; i++)
		out(f, UART_TX, 'q');
	assert_int_equal(in(f, UART_IIR), UART_IIR_RDI);
	out(f, UART_TX, 'q');
	assert_int_equal(in(f, UART_IIR), UART_IIR_RLSI);
	assert_int_equal(in(f, UART_LSR), 0x60 | UART_LSR_OE | UART_LSR_DR);
	assert_int_equal(in(f, UART_LSR), 0x60 | UART_LSR_DR);
}

static void modem_status(void **state)
{
	static const struct {
		uint8_t mcr, msr;
	} wired[] = {
		{ UART_MCR_RTS, UART_MSR_CTS },
		{ UART_MCR_DTR, UART_MSR_DSR },
		{ UART_MCR_OUT1, UART_MSR_RI },
		{ UART_MCR_OUT2, UART_MSR_DCD },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(wired); i++) {
		out(f, UART_MCR, UART_MCR_LOOP | wired[i].mcr);
		assert_int_equal(in(f, UART_MSR) & 0xf0, wired[i].msr);
	}
	out(f, UART_MCR, UART_MCR_LOOP);
	in(f, UART_MSR);
	out(f, UART_IER, UART_IER_MSI);
	assert_false(pin(f));
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	assert_true(pin(f));
	assert_int_equal(in(f, UART_IIR), UART_IIR_MSI);
	assert_int_equal(in(f, UART_MSR), UART_MSR_CTS | UART_MSR_DCTS);
	assert_int_equal(in(f, UART_MSR), UART_MSR_CTS);
	assert_false(pin(f));
	/* Ring counts when it ends. */
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS | UART_MCR_OUT1);
	assert_int_equal(in(f, UART_MSR), UART_MSR_CTS | UART_MSR_RI);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	assert_int_equal(in(f, UART_MSR), UART_MSR_CTS | UART_MSR_TERI);
}

static void wide_accesses_are_bytes(void **state)
{
	struct fixture *f = *state;

	f->serial.region.ops->write(&f->serial, UART_IER, 0x0005, 2); /* IER, FCR */
	assert_int_equal(in(f, UART_IER), 5);
	f->serial.region.ops->write(&f->serial, UART_LCR, 0x0303, 2); /* LCR, MCR */
	assert_int_equal(f->serial.region.ops->read(&f->serial, UART_LCR, 2), 0x0303);
	f->serial.region.ops->write(&f->serial, 0, 0x8877665503000541, 8);
	assert_int_equal(in(f, UART_SCR), 0x88);
	assert_int_equal(in(f, UART_LCR), 0x03);
	assert_int_equal(f->out[0], 0x41);
}

static void *print_two(void *data)
{
	struct fixture *f = data;

	out(f, UART_TX, 'a');
	out(f, UART_TX, 'b');
	return NULL;
}

/* A vCPU waits for the reader, without the device's lock, and loses nothing. */
static void output_waits_for_room(void **state)
{
	struct fixture *f = *state;
	pthread_t vcpu;

	f->out_room = 1;
	assert_int_equal(pthread_create(&vcpu, NULL, print_two, f), 0);
	while (!f->refusals)
		sched_yield();
	assert_int_equal(type(f, "x"), 1);
	f->out_room = 1;
	serial_output_ready(&f->serial);
	pthread_join(vcpu, NULL);
	assert_memory_equal(f->out, "ab", 2);
}

static void a_stopped_port_does_not_wait(void **state)
{
	struct fixture *f = *state;
	pthread_t vcpu;

	f->out_room = 0;
	assert_int_equal(pthread_create(&vcpu, NULL, print_two, f), 0);
	while (!f->refusals)
		sched_yield();
	serial_stop(&f->serial);
	pthread_join(vcpu, NULL);
	assert_int_equal(f->out_len, 0);
}

/* The machine was paused while its reader was stuck. */
static void bytes_of_a_stopped_port_come_later(void **state)
{
	struct fixture *f = *state;

	f->out_room = 0;
	serial_stop(&f->serial);
	print_two(f);
	serial_continue(&f->serial);
	f->out_room = 2;
	serial_output_ready(&f->serial);
	assert_memory_equal(f->out, "ab", 2);

	serial_stop(&f->serial);
	print_two(f);
	serial_continue(&f->serial);
	f->out_room = 4; /* before anything says so */
	print_two(f);
	assert_int_equal(f->out_len, 6);
	assert_memory_equal(f->out, "ababab", 6);
}

/* A vCPU that cannot be stopped writes on and on. */
static void a_stopped_port_holds_no_more_than_a_page(void **state)
{
	struct fixture *f = *state;

	f->out_room = 0;
	serial_stop(&f->serial);
	for (unsigned i = 0; i < SERIAL_HELD_MAX + 5; i++)
		out(f, UART_TX, 'x');
	assert_int_equal(f->serial.held_len, SERIAL_HELD_MAX);
	serial_continue(&f->serial);
	f->out_room = 1;
	serial_output_ready(&f->serial);
	assert_int_equal(f->serial.held_len, SERIAL_HELD_MAX - 1);
}

static void a_port_that_goes_on_waits_again(void **state)
{
	struct fixture *f = *state;
	pthread_t vcpu;

	f->out_room = 0;
	serial_stop(&f->serial);
	serial_continue(&f->serial);
	assert_int_equal(pthread_create(&vcpu, NULL, print_two, f), 0);
	while (!f->refusals)
		sched_yield();
	f->out_room = 2;
	serial_output_ready(&f->serial);
	pthread_join(vcpu, NULL);
	assert_memory_equal(f->out, "ab", 2);
}

static void reset_is_power_on(void **state)
{
	struct fixture *f = *state;

	out(f, UART_FCR, UART_FCR_ENABLE_FIFO);
	out(f, UART_IER, 0x0f);
	out(f, UART_SCR, 0x55);
	out(f, UART_MCR, UART_MCR_LOOP | UART_MCR_RTS);
	type(f, "k");
	serial_stop(&f->serial);
	assert_true(pin(f));
	serial_reset(&f->serial);
	assert_false(pin(f));
	registers_at_power_on(state);
	out(f, UART_IER, UART_IER_RDI);
	assert_int_equal(in(f, UART_RX), 'k');
	assert_false(f->serial.stopped);
}

/* --irqchip off: KVM has no pins. */
static void works_without_interrupts(void **state)
{
	struct fixture *f = *state;

	f->env.fake.no_irqchip = true;
	out(f, UART_IER, UART_IER_RDI | UART_IER_THRI);
	type(f, "z");
	assert_int_equal(in(f, UART_IIR), UART_IIR_RDI);
	assert_int_equal(in(f, UART_RX), 'z');
	/* One attempt a change of level, not one an access. */
	assert_int_equal(fake_sys_count(&f->env.fake, KVM_IRQ_LINE), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(registers_at_power_on),
		TEST(registers_keep_their_bits),
		TEST(fifo_enable_shows_in_iir),
		TEST(output_reaches_the_sink),
		TEST(thre_interrupt),
		TEST(receive_interrupt),
		TEST(early_input_survives_probing),
		TEST(a_polling_guest_gets_its_input),
		TEST(a_listening_guest_can_clear_its_fifo),
		TEST(input_back_pressure),
		TEST(a_refusal_is_not_forgotten),
		TEST(loopback),
		TEST(modem_status),
		TEST(wide_accesses_are_bytes),
		TEST(output_waits_for_room),
		TEST(a_stopped_port_does_not_wait),
		TEST(bytes_of_a_stopped_port_come_later),
		TEST(a_stopped_port_holds_no_more_than_a_page),
		TEST(a_port_that_goes_on_waits_again),
		TEST(reset_is_power_on),
		TEST(works_without_interrupts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
