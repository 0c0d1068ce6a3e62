/* SPDX-License-Identifier: Apache-2.0 */
#include "trace/wiring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void learn(struct wiring *wiring, unsigned long request, const void *arg, int result)
{
	const struct sys_event event = {
		.kind = SYS_IOCTL, .request = request, .arg = arg, .result = result
	};

	wiring_learn(wiring, &event);
}

static void learn_route(struct wiring *wiring, uint32_t gsi, uint32_t address, uint32_t data)
{
	_Alignas(struct kvm_irq_routing) char buf[sizeof(struct kvm_irq_routing) +
						  sizeof(struct kvm_irq_routing_entry)] = { 0 };
	struct kvm_irq_routing *table = (struct kvm_irq_routing *)buf;
	const struct kvm_irq_routing_entry entry = {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = address, .data = data },
	};

	table->nr = 1;
	memcpy(table->entries, &entry, sizeof(entry));
	learn(wiring, KVM_SET_GSI_ROUTING, table, 0);
}

/* The message is known before the irqfd, and changes after it. */
static void test_an_interrupt_has_its_message(void **state)
{
	struct wiring wiring = { 0 };

	(void)state;
	learn_route(&wiring, 24, 0xfee00000, 0x41);
	learn(&wiring, KVM_IRQFD, &(struct kvm_irqfd){ .fd = 18, .gsi = 24 }, 0);
	assert_int_equal(wiring_find(&wiring, 18)->gsi, 24);
	assert_int_equal(wiring_find(&wiring, 18)->msi_data, 0x41);
	learn_route(&wiring, 24, 0xfee01000, 0x42);
	assert_int_equal(wiring_find(&wiring, 18)->msi_address, 0xfee01000);
	assert_int_equal(wiring_find(&wiring, 18)->msi_data, 0x42);
	wiring_destroy(&wiring);
}

static void test_what_is_taken_away_stays_known(void **state)
{
	struct kvm_ioeventfd io = { .addr = 0xc0003000, .fd = 17 };
	struct wiring wiring = { 0 };

	(void)state;
	learn(&wiring, KVM_IOEVENTFD, &io, 0);
	io.flags = KVM_IOEVENTFD_FLAG_DEASSIGN;
	learn(&wiring, KVM_IOEVENTFD, &io, 0);
	assert_int_equal(wiring_find(&wiring, 17)->kick_gpa, 0xc0003000);
	assert_int_equal(wiring_find(&wiring, 17)->gsi, IRQ_NO_GSI);
	wiring_destroy(&wiring);
}

static void test_failures_teach_nothing(void **state)
{
	struct wiring wiring = { 0 };

	(void)state;
	learn(&wiring, KVM_IRQFD, &(struct kvm_irqfd){ .fd = 18, .gsi = 24 }, -EBUSY);
	assert_null(wiring_find(&wiring, 18));
	wiring_destroy(&wiring);
}

static void test_a_queue_that_runs_is_known(void **state)
{
	const struct sys_event runs = { .kind = SYS_NOTE, .topic = SYS_TOPIC_QUEUE, .fd = 17 };
	struct wiring wiring = { 0 };

	(void)state;
	wiring_learn(&wiring, &runs);
	assert_int_equal(wiring_find(&wiring, 17)->kick_gpa, 0);
	wiring_destroy(&wiring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_interrupt_has_its_message),
		cmocka_unit_test(test_what_is_taken_away_stays_known),
		cmocka_unit_test(test_failures_teach_nothing),
		cmocka_unit_test(test_a_queue_that_runs_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
