/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_sys.h"

#include "core/irq.h"
#include "unit.h"

struct bench {
	struct fake_sys fake;
	struct kvm kvm;
	struct loop loop;
	struct irqs irqs;
	struct irq_line line;
	unsigned relayed;
};

static const struct kvm_irq_routing_entry pins[] = {
	{ .gsi = 4, .type = KVM_IRQ_ROUTING_IRQCHIP },
	{ .gsi = 5, .type = KVM_IRQ_ROUTING_IRQCHIP },
};

static const struct msi_message message_a = { .address = 0xfee00000, .data = 0x41 };
static const struct msi_message message_b = { .address = 0x1fee01000, .data = 0x42 };

static void relay(struct irq_line *line)
{
	struct bench *b = container_of(line, struct bench, line);

	b->relayed++;
	loop_stop(&b->loop);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	fake_sys_init(&b->fake);
	assert_int_equal(kvm_init(&b->kvm, &b->fake.sys, 0), 0);
	assert_int_equal(loop_init(&b->loop), 0);
	assert_int_equal(irqs_init(&b->irqs, &b->kvm, &b->loop, pins, ARRAY_SIZE(pins)), 0);
	assert_int_equal(irq_line_init(&b->line, &b->irqs, relay), 0);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	irq_line_destroy(&b->line);
	irqs_destroy(&b->irqs);
	loop_destroy(&b->loop);
	kvm_destroy(&b->kvm);
	fake_sys_destroy(&b->fake);
	free(b);
	return 0;
}

static void test_held_event_stays_pending(void **state)
{
	struct bench *b = *state;

	assert_false(irq_line_pending(&b->line));
	irq_line_raise(&b->line);
	assert_true(irq_line_pending(&b->line));
	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	/* KVM checks the eventfd when the irqfd is attached; the event was not read here. */
	assert_int_equal(eventfd_drain(b->line.fd), 1);
	assert_false(irq_line_pending(&b->line));
}

static void test_route_carries_the_whole_message(void **state)
{
	struct bench *b = *state;
	const struct kvm_irq_routing_entry *route;
	uint32_t gsi;

	assert_int_equal(irq_line_to_kvm(&b->line, &message_b), 0);
	assert_true(fake_irqfd_attached(&b->fake, b->line.fd, &gsi));
	assert_in_range(gsi, IRQ_LEGACY_GSIS, 4095);
	route = fake_route(&b->fake, gsi);
	assert_non_null(route);
	assert_int_equal(route->type, KVM_IRQ_ROUTING_MSI);
	assert_int_equal(route->u.msi.address_lo, 0xfee01000);
	assert_int_equal(route->u.msi.address_hi, 1);
	assert_int_equal(route->u.msi.data, 0x42);
	assert_non_null(fake_route(&b->fake, 4));
	assert_int_equal(b->fake.route_count, 3);
}

static void test_unmask_with_the_same_message_commits_no_routes(void **state)
{
	struct bench *b = *state;

	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	irq_line_hold(&b->line);
	assert_false(fake_irqfd_attached(&b->fake, b->line.fd, NULL));
	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	assert_true(fake_irqfd_attached(&b->fake, b->line.fd, NULL));
	assert_int_equal(fake_sys_count(&b->fake, KVM_SET_GSI_ROUTING), 1);
	assert_int_equal(irq_line_to_kvm(&b->line, &message_b), 0);
	assert_int_equal(fake_sys_count(&b->fake, KVM_SET_GSI_ROUTING), 2);
	assert_int_equal(b->fake.irqfd_count, 1);
}

static void test_gsis_are_reused(void **state)
{
	struct bench *b = *state;
	uint32_t first, gsi;

	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	first = b->line.gsi;
	for (int i = 0; i < 5000; i++) {
		struct irq_line other;

		assert_int_equal(irq_line_init(&other, &b->irqs, NULL), 0);
		assert_int_equal(irq_line_to_kvm(&other, &message_b), 0);
		gsi = other.gsi;
		assert_int_equal(gsi, first + 1);
		irq_line_hold(&other); /* the fake does not see that an eventfd is closed */
		irq_line_destroy(&other);
	}
	assert_int_equal(irqs_msi_count(&b->irqs), 1);
	assert_int_equal(b->fake.irqfd_count, 1);
}

static void test_gsis_run_out_with_enospc(void **state)
{
	struct bench *b = *state;
	struct irq_line second;

	b->irqs.capacity = IRQ_LEGACY_GSIS + 1;
	assert_int_equal(irq_line_init(&second, &b->irqs, NULL), 0);
	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	irq_line_raise(&second);
	assert_int_equal(irq_line_to_kvm(&second, &message_a), -ENOSPC);
	assert_true(irq_line_pending(&second));
	irq_line_destroy(&second);
}

static void test_relay_takes_the_event_and_calls(void **state)
{
	struct bench *b = *state;

	irq_line_raise(&b->line);
	assert_int_equal(irq_line_to_relay(&b->line), 0);
	assert_int_equal(irq_line_to_relay(&b->line), 0);
	assert_int_equal(loop_run(&b->loop), 0);
	assert_int_equal(b->relayed, 1);
	assert_int_equal(eventfd_drain(b->line.fd), 0);
}

static void test_relay_to_kvm_leaves_the_loop(void **state)
{
	struct bench *b = *state;

	assert_int_equal(irq_line_to_relay(&b->line), 0);
	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	irq_line_raise(&b->line);
	loop_stop(&b->loop);
	assert_int_equal(loop_run(&b->loop), 0);
	assert_int_equal(b->relayed, 0);
	assert_int_equal(irq_line_to_relay(&b->line), 0);
	assert_false(fake_irqfd_attached(&b->fake, b->line.fd, NULL));
}

/* Whatever KVM refuses, the line ends HELD with its event kept, and a later attempt succeeds. */
static void test_each_failing_ioctl_holds_the_event(void **state)
{
	struct bench *b = *state;

	for (unsigned n = 1; n <= 2; n++) {
		irq_line_raise(&b->line);
		b->fake.fail_at = b->fake.calls + n;
		assert_int_equal(irq_line_to_kvm(&b->line, n == 1 ? &message_a : &message_b), -EIO);
		assert_true(irq_line_pending(&b->line));
		assert_int_equal(b->fake.irqfd_count, 0);
	}
	assert_int_equal(irq_line_to_kvm(&b->line, &message_b), 0);
	assert_int_equal(fake_route(&b->fake, b->line.gsi)->u.msi.data, 0x42);
}

static void test_clear_drops_a_waiting_event(void **state)
{
	struct bench *b = *state;

	irq_line_raise(&b->line);
	irq_line_clear(&b->line);
	assert_false(irq_line_pending(&b->line));
}

static void test_a_resting_line_keeps_its_irqfd_and_loses_events(void **state)
{
	struct bench *b = *state;

	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	irq_line_rest(&b->line);
	irq_line_raise(&b->line);
	assert_int_equal(eventfd_drain(b->line.fd), 0);
	assert_false(irq_line_raised(&b->line));
	assert_int_equal(irq_line_to_kvm(&b->line, &message_b), 0);
	assert_int_equal(fake_sys_count(&b->fake, KVM_IRQFD), 1);
	assert_int_equal(fake_route(&b->fake, b->line.gsi)->u.msi.data, 0x42);
	irq_line_raise(&b->line);
	assert_int_equal(eventfd_drain(b->line.fd), 1);
}

static void test_a_line_that_wakes_is_held(void **state)
{
	struct bench *b = *state;

	irq_line_rest(&b->line);
	assert_int_equal(b->line.sink, IRQ_HELD);
	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	irq_line_wake(&b->line);
	assert_int_equal(b->line.sink, IRQ_KVM);
	irq_line_rest(&b->line);
	irq_line_wake(&b->line);
	assert_int_equal(b->fake.irqfd_count, 0);
	irq_line_raise(&b->line);
	assert_true(irq_line_pending(&b->line));
}

static void test_resting_to_relay_leaves_kvm(void **state)
{
	struct bench *b = *state;

	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	irq_line_rest(&b->line);
	assert_int_equal(irq_line_to_relay(&b->line), 0);
	assert_int_equal(b->fake.irqfd_count, 0);
}

/* KVM takes up to 20 ms to deassign one, and an eventfd that is closed is deassigned anyway. */
static void test_the_end_deassigns_nothing(void **state)
{
	struct bench *b = *state;

	assert_int_equal(irq_line_to_kvm(&b->line, &message_a), 0);
	irq_line_destroy(&b->line);
	assert_int_equal(fake_sys_count(&b->fake, KVM_IRQFD), 1);
}

static void test_level_reaches_the_pin(void **state)
{
	struct bench *b = *state;

	assert_int_equal(irqs_set_level(&b->irqs, 5, true), 0);
	assert_true(b->fake.levels[5]);
	assert_int_equal(irqs_set_level(&b->irqs, 5, false), 0);
	assert_false(b->fake.levels[5]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_held_event_stays_pending),
		TEST(test_route_carries_the_whole_message),
		TEST(test_unmask_with_the_same_message_commits_no_routes),
		TEST(test_gsis_are_reused),
		TEST(test_gsis_run_out_with_enospc),
		TEST(test_relay_takes_the_event_and_calls),
		TEST(test_relay_to_kvm_leaves_the_loop),
		TEST(test_each_failing_ioctl_holds_the_event),
		TEST(test_clear_drops_a_waiting_event),
		TEST(test_a_resting_line_keeps_its_irqfd_and_loses_events),
		TEST(test_a_line_that_wakes_is_held),
		TEST(test_resting_to_relay_leaves_kvm),
		TEST(test_the_end_deassigns_nothing),
		TEST(test_level_reaches_the_pin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
