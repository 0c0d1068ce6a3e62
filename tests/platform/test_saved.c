/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved state of the platform devices: what is saved, loaded and saved again is the same, what a
 * guest cannot have made is refused, and a reset forgets all of it.
 */
#include "arch/power_block.h"
#include "arch/x86_64/layout.h"
#include "platform/cmos.h"
#include "platform/i8042.h"
#include "platform/power.h"
#include "platform/serial.h"

#include "mock_ring.h"
#include "saved.h"
#include "unit.h"

#include <linux/serial_reg.h>
#include <string.h>

/* One machine's devices. */
struct board {
	struct mock_env env;
	struct serial serial;
	struct i8042 i8042;
	struct cmos cmos;
	struct power power;
	size_t out_len;
};

/* The one that is saved, and the one that is loaded. */
struct fixture {
	struct board a, b;
};

static size_t sink(void *owner, const uint8_t *data, size_t len)
{
	(void)data;
	((struct board *)owner)->out_len += len;
	return len;
}

static void ignore(void *owner)
{
	(void)owner;
}

static void board_up(struct board *board)
{
	const struct serial_options serial = {
		.irqs = &board->env.irqs,
		.gsi = X86_COM1_GSI,
		.output = sink,
		.input_ready = ignore,
		.owner = board,
	};
	const struct power_options power = { .irqs = &board->env.irqs, .gsi = X86_POWER_GSI };

	mock_env_init(&board->env);
	serial_init(&board->serial, &serial);
	i8042_init(&board->i8042, X86_I8042_DATA, X86_I8042_COMMAND, ignore, board);
	cmos_init(&board->cmos, X86_CMOS_INDEX);
	power_init(&board->power, &power);
}

static void board_down(struct board *board)
{
	serial_destroy(&board->serial);
	power_destroy(&board->power);
	mock_env_destroy(&board->env);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	board_up(&f->a);
	board_up(&f->b);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	board_down(&f->a);
	board_down(&f->b);
	test_free(f);
	return 0;
}

/* Two fresh machines. */
static struct fixture *renew(void **state)
{
	teardown(state);
	setup(state);
	return *state;
}

/* As the machine does. */
static int board_state(void *object, struct state *state)
{
	struct board *board = object;

	return serial_state(&board->serial, state) ?:
	       i8042_state(&board->i8042, state) ?:
	       cmos_state(&board->cmos, state) ?:
	       power_state(&board->power, state);
}

static void board_reset(struct board *board)
{
	serial_reset(&board->serial);
	i8042_reset(&board->i8042);
	cmos_reset(&board->cmos);
	power_reset(&board->power);
}

static uint8_t in(struct bus_region *region, uint64_t offset)
{
	return (uint8_t)region->ops->read(region->owner, offset, 1);
}

static void out(struct bus_region *region, uint64_t offset, uint8_t value)
{
	region->ops->write(region->owner, offset, value, 1);
}

static void type(struct board *board, const char *text)
{
	assert_int_equal(serial_input(&board->serial, (const uint8_t *)text, strlen(text)),
			 strlen(text));
}

/* --- Statuses --------------------------------------------------------------------------------- */

static void nothing_done(struct board *board)
{
	(void)board;
}

/* Linux's console, with input that waits, and an interrupt that the guest has not taken. */
static void live(struct board *board)
{
	out(&board->serial.region, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_8);
	out(&board->serial.region, UART_LCR, UART_LCR_WLEN8);
	out(&board->serial.region, UART_IER, UART_IER_RDI | UART_IER_THRI);
	out(&board->serial.region, UART_SCR, 0x5a);
	out(&board->serial.region, UART_TX, 'x');
	type(board, "skipped, waiting");
	for (unsigned i = 0; i < strlen("skipped, "); i++)
		in(&board->serial.region, UART_RX);
	in(&board->i8042.data, 0);
	out(&board->cmos.region, 0, 0x32);
	assert_int_equal(power_raise(&board->power, POWER_EVENT_BUTTON), 0);
	assert_int_equal(power_raise(&board->power, POWER_EVENT_VMGENID), 0);
}

static void half_set_up(struct board *board)
{
	out(&board->serial.region, UART_LCR, UART_LCR_DLAB);
	out(&board->serial.region, UART_DLL, 0x34);
	out(&board->serial.region, UART_DLM, 0x12);
	out(&board->serial.region, UART_MCR, UART_MCR_RTS);
	while (in(&board->i8042.command, 0) & 1)
		in(&board->i8042.data, 0);
}

static void polling(struct board *board)
{
	type(board, "p");
	for (unsigned i = 0; i < 100; i++)
		in(&board->serial.region, UART_LSR);
}

static void looped_and_overrun(struct board *board)
{
	out(&board->serial.region, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2);
	for (unsigned i = 0; i <= SERIAL_FIFO_SIZE; i++)
		out(&board->serial.region, UART_TX, (uint8_t)i);
	out(&board->serial.region, UART_IER, UART_IER_RLSI | UART_IER_MSI);
}

static void (*const statuses[])(struct board *) = {
	nothing_done, live, half_set_up, polling, looped_and_overrun,
};

static void every_status_comes_back(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct fixture *f = renew(state);

		statuses[i](&f->a);
		saved_move(board_state, &f->a, &f->b);
	}
}

static void the_guest_goes_on_where_it_was(void **state)
{
	struct fixture *f = *state;
	struct bus_region *com1 = &f->b.serial.region;

	live(&f->a);
	saved_move(board_state, &f->a, &f->b);
	assert_int_equal(in(com1, UART_SCR), 0x5a);
	assert_int_equal(in(com1, UART_IIR), 0xc0 | UART_IIR_RX_TIMEOUT);
	for (const char *p = "waiting"; *p; p++)
		assert_int_equal(in(com1, UART_RX), *p);
	assert_int_equal(in(com1, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(in(com1, UART_IIR), 0xc0 | UART_IIR_THRI);
	assert_int_equal(in(com1, UART_IIR), 0xc0 | UART_IIR_NO_INT);
	assert_int_equal(f->b.out_len, 0);
	assert_int_equal(in(&f->b.cmos.region, 1), 0x20); /* the century */
	assert_int_equal(f->b.power.region.ops->read(&f->b.power, POWER_EVENTS, 4),
			 POWER_EVENT_BUTTON | POWER_EVENT_VMGENID);
}

/* A pin's level is the interrupt controller's to restore: set again it would be a second edge. */
static void loading_makes_no_edge_and_loses_none(void **state)
{
	struct fixture *f = *state;
	const bool *pin = &f->b.env.fake.levels[X86_COM1_GSI];

	live(&f->a);
	assert_true(f->a.env.fake.levels[X86_COM1_GSI]);
	f->b.env.fake.levels[X86_COM1_GSI] = true;
	f->b.env.fake.levels[X86_POWER_GSI] = true;
	saved_move(board_state, &f->a, &f->b);
	assert_int_equal(fake_sys_count(&f->b.env.fake, KVM_IRQ_LINE), 0);

	/* It goes low when the guest has served it. */
	out(&f->b.serial.region, UART_IER, 0);
	assert_false(*pin);
	out(&f->b.serial.region, UART_IER, UART_IER_RDI);
	assert_true(*pin);
	f->b.power.region.ops->read(&f->b.power, POWER_EVENTS, 4);
	assert_false(f->b.env.fake.levels[X86_POWER_GSI]);
}

/* Only what the host has typed stays. */
static void reset_forgets_everything(void **state)
{
	for (unsigned i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct fixture *f = renew(state);
		struct saved fresh = saved_take(board_state, &f->b);

		statuses[i](&f->a);
		out(&f->a.serial.region, UART_IER, UART_IER_RDI);
		while (in(&f->a.serial.region, UART_LSR) & UART_LSR_DR)
			in(&f->a.serial.region, UART_RX);
		board_reset(&f->a);
		saved_expect_same(&fresh, board_state, &f->a);
		saved_free(&fresh);
	}
}

/* --- Hostile ---------------------------------------------------------------------------------- */

struct hostile {
	size_t offset; /* in struct board */
	size_t size;
	uint64_t value;
	const char *refusal;
};

#define HOSTILE(member, number, text)                                                              \
	{                                                                                          \
		offsetof(struct board, member), sizeof(((struct board *)NULL)->member), number,    \
			text                                                                       \
	}

static void what_no_guest_can_have_made_is_refused(void **state)
{
	static const struct hostile hostile[] = {
		HOSTILE(serial.ier, 0x10, "section serial: ier is 16, more than 15"),
		HOSTILE(serial.mcr, 0x20, "section serial: mcr is 32"),
		HOSTILE(serial.overrun, 2, "section serial: overrun is 2"),
		HOSTILE(serial.lsr_reads, 9, "section serial: lsr_reads is 9"),
		HOSTILE(i8042.buffered, 33, "section i8042: buffered is 33"),
		HOSTILE(cmos.index, 0x80, "section CMOS: index is 128"),
		HOSTILE(power.events, POWER_EVENT_ALL + 1, "section power: events is"),
	};

	for (unsigned i = 0; i < ARRAY_SIZE(hostile); i++) {
		struct fixture *f = renew(state);
		struct saved saved;

		memcpy((char *)&f->a + hostile[i].offset, &hostile[i].value, hostile[i].size);
		saved = saved_take(board_state, &f->a);
		saved_refused(&saved, board_state, &f->b, hostile[i].refusal);
		saved_free(&saved);
	}
}

/* More input than a port has room for. */
static int too_much_input(void *object, struct state *state)
{
	uint8_t input[SERIAL_FIFO_SIZE + 1] = { 0 };
	struct board *board = object;
	size_t len = sizeof(input);

	return state_section(state, &serial_state_table, "", &board->serial) ?:
	       state_bytes(state, "serial input", input, sizeof(input), &len);
}

static void more_input_than_room_is_refused(void **state)
{
	struct fixture *f = *state;
	struct saved saved = saved_take(too_much_input, &f->a);

	saved_refused(&saved, board_state, &f->b, "(serial input): 65 objects; there is room for 64");
	saved_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_status_comes_back),
		TEST(the_guest_goes_on_where_it_was),
		TEST(loading_makes_no_edge_and_loses_none),
		TEST(reset_forgets_everything),
		TEST(what_no_guest_can_have_made_is_refused),
		TEST(more_input_than_room_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
