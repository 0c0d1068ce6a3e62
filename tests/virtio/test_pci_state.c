/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of a whole virtio PCI device: a guest and its memory go on in another machine,
 * whose bus is loaded, and the driver notices nothing.
 */
#include "backend/local.h"
#include "capture.h"
#include "saved.h"
#include "virtio/pci.h"
#include "virtio_guest.h"
#include "unit.h"

#include <poll.h>
#include <string.h>

enum { QUEUES = 2, SIZE = 16, PIN = 10, NO_VECTOR = VIRTIO_MSI_NO_VECTOR };
enum {
	READY = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK,
	LIVE = READY | VIRTIO_CONFIG_S_DRIVER_OK,
	NEEDS_RESET = VIRTIO_CONFIG_S_NEEDS_RESET,
};

/* It answers each request at once, with nothing; its own state is a number. */
struct device {
	struct virtio_dev dev;
	uint32_t number;
};

struct machine {
	struct virtio_guest g;
	struct device *d;
};

struct fixture {
	struct machine old, new;
	struct mock_ring ring; /* of queue 0 */
	uint64_t data;
};

static struct device *of_dev(struct virtio_dev *dev)
{
	return container_of(dev, struct device, dev);
}

static void serve(struct virtio_dev *dev, struct virtq *q)
{
	struct virtq_chain chain;
	int ret;

	(void)dev;
	virtq_disable_kicks(q);
	while ((ret = virtq_pop(q, &chain)) > 0)
		virtq_push(q, chain.head, 0);
	virtio_end_turn(q, ret, "bad ring");
}

static int model_state(struct virtio_dev *dev, struct state *state)
{
	static const struct state_field fields[] = {
		STATE_NUMBER(struct device, number),
		STATE_END,
	};
	static const struct state_table table = {
		.name = "virtio-test",
		.version = 1,
		.size = sizeof(struct device),
		.fields = fields,
	};

	return state_section(state, &table, dev->name, of_dev(dev));
}

static void model_reset(struct virtio_dev *dev)
{
	of_dev(dev)->number = 0;
}

static void model_destroy(struct virtio_dev *dev)
{
	virtio_dev_destroy(dev);
	free(of_dev(dev));
}

static const struct virtio_model model = {
	.name = "virtio-test",
	.id = 42,
	.pci_class = 0x078000,
	.serve = serve,
	.state = model_state,
	.reset = model_reset,
	.destroy = model_destroy,
};

static void machine_init(struct machine *m)
{
	virtio_guest_init(&m->g);
	m->d = calloc(1, sizeof(*m->d));
	assert_non_null(m->d);
	assert_int_equal(virtio_dev_init(&m->d->dev, &model, &m->g.env.virtio, 0, VIRTQ_FEATURES, 0,
					 QUEUES, SIZE), 0);
	assert_int_equal(local_backend_bind(&m->d->dev, 0, QUEUES), 0);
	assert_int_equal(virtio_pci_add(&m->g.pci, &m->d->dev), 0);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	machine_init(&f->old);
	machine_init(&f->new);
	mock_ring_init(&f->ring, &f->old.g.env, SIZE);
	f->data = mock_alloc(&f->old.g.env, 4096, 4096);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_guest_destroy(&f->old.g);
	virtio_guest_destroy(&f->new.g);
	test_free(f);
	return 0;
}

static int bus_state(void *object, struct state *state)
{
	return pci_bus_state(object, state);
}

static struct saved take(struct fixture *f)
{
	virtio_freeze(&f->old.d->dev);
	return saved_take(bus_state, &f->old.g.pci);
}

/* Its memory, as far as it is used, and what the driver knows. */
static void move_guest(struct fixture *f)
{
	const struct mock_env *from = &f->old.g.env;
	struct mock_env *to = &f->new.g.env;

	memcpy(to->mem.slots[0].hva, from->mem.slots[0].hva, from->next);
	f->ring.mem = &to->mem;
	f->ring.q = &f->new.d->dev.queues[0];
}

/* The new machine becomes the old one, up to the thaw; saved again, it is the same. */
static void move(struct fixture *f)
{
	virtio_freeze(&f->old.d->dev);
	saved_move(bus_state, &f->old.g.pci, &f->new.g.pci);
	move_guest(f);
}

static void thaw(struct fixture *f)
{
	virtio_thaw(&f->new.d->dev);
	mock_env_dispatch(&f->new.g.env);
	guest_probe(&f->new.g, 1);
}

/* Queue i has vector i + 1, if MSI-X is enabled; vector 0 is for the configuration. */
static void go_live(struct fixture *f, bool msix)
{
	struct virtio_guest *g = &f->old.g;

	guest_probe(g, 1);
	guest_msix_enable(g, msix);
	for (unsigned i = 0; msix && i < g->vectors; i++)
		guest_set_vector(g, i, 0xfee00000, i, false);
	assert_true(guest_negotiate(g, VIRTQ_FEATURES));
	if (msix)
		common_set(g, msix_config, 0);
	f->ring.q = &f->old.d->dev.queues[0];
	guest_setup_queue(g, 0, &f->ring, msix ? 1 : NO_VECTOR);
	guest_driver_ok(g);
	assert_int_equal(common_get(g, device_status), LIVE);
	mock_env_dispatch(&g->env);
}

static void add(struct fixture *f)
{
	const struct mock_buf buf = { f->data, 8, false };

	mock_ring_set_used_event(&f->ring, f->ring.last_used);
	mock_ring_add(&f->ring, &buf, 1);
}

static bool reap(struct fixture *f)
{
	uint16_t head;
	uint32_t written;

	return mock_ring_reap(&f->ring, &head, &written);
}

static bool works(struct fixture *f, struct machine *m)
{
	add(f);
	guest_kick(&m->g, 0);
	mock_env_dispatch(&m->g.env);
	return reap(f);
}

static bool event_waits(const struct irq_line *line)
{
	struct pollfd pfd = { .fd = line->fd, .events = POLLIN };

	return poll(&pfd, 1, 0) == 1;
}

/* The data of the message that KVM injects for the line; -1: it is not attached. */
static int message_of(struct machine *m, const struct irq_line *line)
{
	const struct kvm_irq_routing_entry *route;
	uint32_t gsi;

	if (!fake_irqfd_attached(&m->g.env.fake, line->fd, &gsi))
		return -1;
	route = fake_route(&m->g.env.fake, gsi);
	assert_non_null(route);
	return (int)route->u.msi.data;
}

/* --- Identity --------------------------------------------------------------------------------- */

static void test_power_on(void **state)
{
	struct fixture *f = *state;

	move(f);
	thaw(f);
	assert_int_equal(common_get(&f->new.g, device_status), 0);
}

static void test_half_set_up(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->old.g;

	guest_probe(g, 1);
	guest_msix_enable(g, true);
	assert_true(guest_negotiate(g, VIRTQ_FEATURES));
	common_set(g, device_feature_select, 7);
	common_set(g, queue_select, 1);
	common_set(g, queue_size, 4);
	common_set(g, queue_desc_hi, UINT32_MAX);
	common_set(g, queue_msix_vector, 2);
	common_set(g, queue_select, 999);
	move(f);
	thaw(f);
	g = &f->new.g;
	assert_int_equal(common_get(g, device_status), READY);
	assert_int_equal(common_get(g, device_feature_select), 7);
	assert_int_equal(common_get(g, queue_select), 999);
	common_set(g, queue_select, 1);
	assert_int_equal(common_get(g, queue_size), 4);
	assert_int_equal(common_get(g, queue_desc_hi), UINT32_MAX);
	assert_int_equal(common_get(g, queue_msix_vector), 2);
	assert_int_equal(common_get(g, queue_enable), 0);
	/* It can still be configured. */
	common_set(g, queue_size, 8);
	assert_int_equal(common_get(g, queue_size), 8);
}

static void test_reset_leaves_what_power_on_does(void **state)
{
	struct fixture *f = *state;
	struct saved fresh = take(f);

	virtio_thaw(&f->old.d->dev);
	go_live(f, true);
	assert_true(works(f, &f->old));
	f->old.d->number = 5;
	common_set(&f->old.g, guest_feature_select, 1);
	pci_bus_reset(&f->old.g.pci);
	virtio_freeze(&f->old.d->dev);
	saved_expect_same(&fresh, bus_state, &f->old.g.pci);
	saved_free(&fresh);
}

static void test_broken(void **state)
{
	struct fixture *f = *state;

	go_live(f, false);
	mock_ring_set_avail_index(&f->ring, 1000);
	guest_kick(&f->old.g, 0);
	mock_env_dispatch(&f->old.g.env);
	assert_int_equal(common_get(&f->old.g, device_status), LIVE | NEEDS_RESET);
	move(f);
	thaw(f);
	assert_int_equal(common_get(&f->new.g, device_status), LIVE | NEEDS_RESET);
	assert_false(f->new.d->dev.started);
	/* A reset mends it. */
	guest_reset(&f->new.g);
	assert_true(guest_negotiate(&f->new.g, VIRTQ_FEATURES));
}

/* --- Going on --------------------------------------------------------------------------------- */

static void test_live(void **state)
{
	struct fixture *f = *state;

	go_live(f, true);
	f->old.d->number = 5;
	assert_true(works(f, &f->old) && works(f, &f->old));
	move(f);
	assert_int_equal(f->new.d->number, 5);
	/* The MSI was delivered. */
	assert_false(f->old.d->dev.queues[0].state.pending);
	/* Not before the thaw. */
	assert_false(f->new.d->dev.started);
	assert_int_equal(f->new.g.env.fake.ioeventfd_count, 0);
	/* Of all vectors at once. */
	assert_int_equal(fake_sys_count(&f->new.g.env.fake, KVM_SET_GSI_ROUTING), 1);
	thaw(f);
	assert_int_equal(message_of(&f->new, &f->new.d->dev.queues[0].irq), 1);
	assert_int_equal(f->new.g.env.fake.ioeventfd_count, 1);
	assert_true(works(f, &f->new));
	assert_int_equal(mock_ring_used_index(&f->ring), 3);
}

static int refuses_vector_1(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	const struct kvm_irq_routing *table = arg;

	(void)fake;
	(void)fd;
	if (request != KVM_SET_GSI_ROUTING)
		return FAKE_PASS;
	for (unsigned i = 0; i < table->nr; i++)
		if (table->entries[i].type == KVM_IRQ_ROUTING_MSI && table->entries[i].u.msi.data == 1)
			return -EINVAL;
	return FAKE_PASS;
}

/* The guest has written a message that KVM refuses: it costs only that vector. */
static void test_a_vector_without_a_route(void **state)
{
	struct fixture *f = *state;
	struct virtio_dev *dev = &f->new.d->dev;

	go_live(f, true);
	f->new.g.env.fake.hook = refuses_vector_1;
	move(f);
	thaw(f);
	assert_int_equal(message_of(&f->new, &dev->config_irq), 0);
	assert_int_equal(message_of(&f->new, &dev->queues[0].irq), -1);
	f->new.g.env.fake.hook = NULL;
	guest_set_vector(&f->new.g, 1, 0xfee00000, 1, false);
	assert_int_equal(message_of(&f->new, &dev->queues[0].irq), 1);
}

static void test_moved_bar(void **state)
{
	struct fixture *f = *state;
	uint64_t bar = GUEST_MMIO32 + (1 << 20);

	go_live(f, true);
	guest_cfg_write(&f->old.g, PCI_BASE_ADDRESS_0, (uint32_t)bar, 4);
	guest_probe(&f->old.g, 1);
	assert_true(works(f, &f->old));
	move(f);
	thaw(f);
	assert_int_equal(f->new.g.bar, bar);
	assert_true(guest_ioeventfd(&f->new.g, guest_notify_gpa(&f->new.g, 0)) >= 0);
	assert_true(works(f, &f->new));
}

static void test_kick_while_frozen(void **state)
{
	struct fixture *f = *state;

	go_live(f, true);
	add(f);
	guest_kick(&f->old.g, 0);
	move(f);
	assert_false(reap(f));
	thaw(f);
	assert_true(reap(f));
}

static void test_no_bus_master(void **state)
{
	struct fixture *f = *state;

	go_live(f, true);
	guest_cfg_write(&f->old.g, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	guest_driver_ok(&f->old.g);
	move(f);
	virtio_thaw(&f->new.d->dev);
	assert_int_equal(f->new.d->dev.status, LIVE);
	assert_false(f->new.d->dev.started);
	/* Sets it. */
	guest_probe(&f->new.g, 1);
	assert_true(f->new.d->dev.started);
	assert_true(works(f, &f->new));
}

/* --- Interrupts ------------------------------------------------------------------------------- */

/* It waits in the line, not in a register, and belongs to the vector. */
static void test_masked_vector_with_a_pending_event(void **state)
{
	struct fixture *f = *state;
	struct irq_line *line = &f->new.d->dev.queues[0].irq;

	go_live(f, true);
	guest_set_vector(&f->old.g, 1, 0xfee00000, 1, true);
	assert_true(works(f, &f->old));
	assert_int_equal(guest_read(&f->old.g, f->old.g.pba, 8), 1 << 1);
	move(f);
	guest_probe(&f->new.g, 1);
	assert_int_equal(guest_read(&f->new.g, f->new.g.pba, 8), 1 << 1);
	assert_int_equal(message_of(&f->new, line), -1);
	guest_set_vector(&f->new.g, 1, 0xfee00000, 1, false);
	assert_int_equal(message_of(&f->new, line), 1);
	assert_true(event_waits(line));
}

static void test_masked_function_with_a_pending_configuration_change(void **state)
{
	struct fixture *f = *state;

	go_live(f, true);
	guest_cfg_write(&f->old.g, f->old.g.msix + PCI_MSIX_FLAGS,
			PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL, 2);
	pthread_mutex_lock(&f->old.d->dev.lock);
	virtio_config_changed(&f->old.d->dev);
	pthread_mutex_unlock(&f->old.d->dev.lock);
	move(f);
	guest_probe(&f->new.g, 1);
	assert_int_equal(guest_read(&f->new.g, f->new.g.pba, 8), 1);
	assert_int_equal(common_get(&f->new.g, config_generation), 1);
	thaw(f);
	guest_msix_enable(&f->new.g, true);
	assert_int_equal(message_of(&f->new, &f->new.d->dev.config_irq), 0);
	assert_true(event_waits(&f->new.d->dev.config_irq));
}

/* The event of an interrupt that no thread has read yet. */
static void test_relay_on_its_way(void **state)
{
	struct fixture *f = *state;

	go_live(f, false);
	irq_line_raise(&f->old.d->dev.config_irq);
	move(f);
	assert_false(f->new.g.env.fake.levels[PIN]);
	thaw(f);
	assert_true(f->new.g.env.fake.levels[PIN]);
	/* The queue's too, which is raised after each load. */
	assert_int_equal(guest_read(&f->new.g, f->new.g.isr.gpa, 1), 3);
	assert_false(f->new.g.env.fake.levels[PIN]);
}

static void test_intx_that_is_high(void **state)
{
	struct fixture *f = *state;

	go_live(f, false);
	assert_true(works(f, &f->old));
	assert_true(f->old.g.env.fake.levels[PIN]);
	move(f);
	assert_true(f->new.g.env.fake.levels[PIN]);
	guest_probe(&f->new.g, 1);
	assert_int_equal(guest_read(&f->new.g, f->new.g.isr.gpa, 1), 1);
	assert_false(f->new.g.env.fake.levels[PIN]);
}

/* --- What is refused -------------------------------------------------------------------------- */

static void refuse_byte(struct fixture *f, const char *table, unsigned off, uint8_t value,
			const char *why)
{
	struct saved saved = take(f);
	size_t len;

	saved_section(&saved, table, "virtio-test 0", &len)[off] = value;
	saved_refused(&saved, bus_state, &f->new.g.pci, why);
	saved_free(&saved);
	virtio_guest_destroy(&f->new.g);
	machine_init(&f->new);
}

static void test_refuses_vectors_that_do_not_exist(void **state)
{
	struct fixture *f = *state;

	go_live(f, true);
	refuse_byte(f, "virtio-pci", 10, 200, "MSI-X vector 200; this machine has 3");
	refuse_byte(f, "virtqueue", 2, 3, "MSI-X vector 3; this machine has 3");
	refuse_byte(f, "virtio-pci", 12, 4, "isr is 4");
}

static void test_any_byte_changed(void **state)
{
	struct fixture *f = *state;
	struct saved saved;
	struct capture capture;
	char text[2048];
	uint8_t *at;

	go_live(f, true);
	assert_true(works(f, &f->old));
	saved = take(f);
	capture_stderr_begin(&capture);
	for (size_t i = 0; (at = saved_byte(&saved, i)); i++) {
		for (unsigned bit = 1; bit <= 0x80; bit <<= 1) {
			*at ^= (uint8_t)bit;
			if (!saved_load(&saved, bus_state, &f->new.g.pci)) {
				move_guest(f);
				virtio_thaw(&f->new.d->dev);
			}
			mock_env_dispatch(&f->new.g.env);
			*at ^= (uint8_t)bit;
			virtio_guest_destroy(&f->new.g);
			machine_init(&f->new);
		}
	}
	capture_stderr_end(&capture, text, sizeof(text));
	saved_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_power_on),
		TEST(test_half_set_up),
		TEST(test_reset_leaves_what_power_on_does),
		TEST(test_broken),
		TEST(test_live),
		TEST(test_a_vector_without_a_route),
		TEST(test_moved_bar),
		TEST(test_kick_while_frozen),
		TEST(test_no_bus_master),
		TEST(test_masked_vector_with_a_pending_event),
		TEST(test_masked_function_with_a_pending_configuration_change),
		TEST(test_relay_on_its_way),
		TEST(test_intx_that_is_high),
		TEST(test_refuses_vectors_that_do_not_exist),
		TEST(test_any_byte_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
