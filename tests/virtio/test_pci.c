/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI transport, from the driver's side. Sections of virtio 1.2. All of it four times, because
 * a driver cannot tell which backend runs the queues: Kinglet, vhost with a fake kernel, a fake
 * vhost-user daemon, or a fake vDPA device. The last three leave the last queue to Kinglet, as models
 * do with control queues.
 */
#include "backend/local.h"
#include "backend/vhost_user.h"
#include "backend/vhost_vdpa.h"
#include "base/iov.h"
#include "base/le.h"
#include "fake_daemon.h"
#include "fake_vdpa.h"
#include "virtio/pci.h"
#include "virtio_guest.h"
#include "unit.h"

enum { QUEUES = 3, SIZE = 16, CONFIG_LEN = 13, FEATURE = 7, PIN = 10 };
enum { NO_VECTOR = VIRTIO_MSI_NO_VECTOR };
enum {
	LIVE = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
	       VIRTIO_CONFIG_S_DRIVER_OK,
};

enum { DECODING_MASTER = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER };

/* Who runs the queues. */
enum runner { LOCAL, KERNEL, DAEMON, VDPA };

/* A device that echoes data. */
struct echo {
	struct virtio_dev dev;
	unsigned *destroyed;
	uint8_t config[CONFIG_LEN];
};

struct fixture {
	struct virtio_guest g;
	struct echo *echo;
	struct virtio_dev *dev;
	struct mock_ring rings[QUEUES];
	uint64_t data; /* GPA of 4 KiB */
	unsigned created, destroyed;
	unsigned fds; /* open before */
	unsigned fail_in; /* attachments to KVM until one fails; 0: never */
	enum runner runner;
	struct fake_vhost kernel;
	struct fake_daemon daemon;
	struct fake_vdpa vdpa;
	/* What KVM refuses. */
	int (*refuse)(struct fixture *f, unsigned long request, void *arg);
};

static void echo_serve(struct virtio_dev *dev, struct virtq *q)
{
	struct virtq_chain chain;
	uint8_t buf[256];
	int ret;

	do {
		while ((ret = virtq_pop(q, &chain)) > 0) {
			size_t n = iov_read(chain.iov, chain.out_count, 0, buf, sizeof(buf));

			n = iov_write(chain.iov + chain.out_count, chain.in_count, 0, buf, n);
			virtq_push(q, chain.head, (uint32_t)n);
		}
	} while (!ret && virtq_enable_kicks(q));
	virtq_notify(q);
	if (ret)
		virtio_broken(dev, "bad ring");
}

static void echo_config_read(struct virtio_dev *dev, unsigned off, void *buf, unsigned len)
{
	memcpy(buf, container_of(dev, struct echo, dev)->config + off, len);
}

static void echo_config_write(struct virtio_dev *dev, unsigned off, const void *buf, unsigned len)
{
	memcpy(container_of(dev, struct echo, dev)->config + off, buf, len);
}

static void echo_destroy(struct virtio_dev *dev)
{
	struct echo *echo = container_of(dev, struct echo, dev);

	(*echo->destroyed)++;
	virtio_dev_destroy(dev);
	free(echo);
}

static const struct virtio_model echo_model = {
	.name = "virtio-echo",
	.id = 42,
	.pci_class = 0x078000,
	.config_read = echo_config_read,
	.config_write = echo_config_write,
	.serve = echo_serve,
	.destroy = echo_destroy,
};

/* --- Backends --- */

/* vhost-vsock's switch, which is one for all rings. */
static int set_running(struct vhost *vhost, int running)
{
	return vhost_request(vhost, VHOST_VSOCK_SET_RUNNING, &running);
}

static int echo_run(struct vhost *vhost)
{
	return set_running(vhost, 1);
}

static void echo_halt(struct vhost *vhost)
{
	assert_int_equal(set_running(vhost, 0), 0);
}

static void echo_vhost_destroy(struct backend *backend)
{
	struct vhost *vhost = container_of(backend, struct vhost, backend);

	vhost_close(vhost);
	free(vhost);
}

static const struct vhost_kind echo_kind = {
	.ops = {
		.name = "vhost-echo",
		.start = vhost_start,
		.stop = vhost_stop,
		.destroy = echo_vhost_destroy,
	},
	.node = { "/dev/vhost-echo", .absent = "modprobe vhost_echo" },
	.vhost = { .request = vhost_ioctl, .run = echo_run, .halt = echo_halt },
};

static int fake_ioctl(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct fixture *f = fake->hook_data;
	int ret = f->refuse ? f->refuse(f, request, arg) : FAKE_PASS;

	(void)fd;
	if (ret == FAKE_PASS && f->runner == KERNEL)
		ret = fake_vhost_ioctl(&f->kernel, request, arg);
	else if (ret == FAKE_PASS && f->runner == VDPA)
		ret = fake_vdpa_ioctl(&f->vdpa, request, arg);
	return ret;
}

static void bind_kernel(struct fixture *f, struct virtio_dev *dev, unsigned count)
{
	struct vhost *vhost = calloc(1, sizeof(*vhost));

	assert_non_null(vhost);
	assert_int_equal(vhost_open(vhost, &echo_kind, &f->g.env.fake.sys, -1, false), 0);
	assert_int_equal(vhost_bind(vhost, dev, 0, count), 0);
}

static void bind_daemon(struct fixture *f, struct virtio_dev *dev, unsigned count)
{
	const struct vhost_user_options options = { .path = f->daemon.address.sun_path };
	struct vhost *vhost;

	assert_int_equal(vhost_user_open(&vhost, &f->g.env.fake.sys, &options), 0);
	assert_int_equal(vhost_user_bind(vhost, dev, 0, count), 0);
}

static void bind_vdpa(struct fixture *f, struct virtio_dev *dev, unsigned count)
{
	struct vhost *vhost;

	assert_int_equal(vhost_vdpa_open(&vhost, &f->g.env.fake.sys, "/dev/vhost-vdpa-0"), 0);
	assert_int_equal(vhost_vdpa_bind(vhost, dev, count), 0);
}

static void bind_queues(struct fixture *f, struct virtio_dev *dev)
{
	unsigned first_local = f->runner == LOCAL ? 0 : QUEUES - 1;

	if (f->runner == KERNEL)
		bind_kernel(f, dev, first_local);
	else if (f->runner == DAEMON)
		bind_daemon(f, dev, first_local);
	else if (f->runner == VDPA)
		bind_vdpa(f, dev, first_local);
	assert_int_equal(local_backend_bind(dev, first_local, QUEUES - first_local), 0);
}

static struct echo *echo_new(struct fixture *f)
{
	struct echo *echo = calloc(1, sizeof(*echo));

	assert_non_null(echo);
	echo->destroyed = &f->destroyed;
	f->created++;
	assert_int_equal(virtio_dev_init(&echo->dev, &echo_model, &f->g.env.virtio, 0,
					 VIRTQ_FEATURES | 1 << FEATURE, CONFIG_LEN, QUEUES, SIZE),
			 0);
	bind_queues(f, &echo->dev);
	return echo;
}

static int setup(void **state, enum runner runner)
{
	const uint64_t features = 1ULL << VIRTIO_F_VERSION_1 | VIRTQ_FEATURES;
	const uint64_t daemons = 1ULL << 30, protocol = 1ULL << 3 | 1ULL << 12;
	struct fixture *f = test_calloc(1, sizeof(*f));

	f->runner = runner;
	f->fds = fake_open_fds();
	virtio_guest_init(&f->g);
	f->g.env.fake.hook = fake_ioctl;
	f->g.env.fake.hook_data = f;
	fake_vhost_init(&f->kernel, &f->g.env.loop, features);
	fake_daemon_init(&f->daemon, &f->g.env.loop, features | daemons, protocol);
	fake_vdpa_init(&f->vdpa, &f->g.env.loop, features);
	if (runner == DAEMON)
		fake_daemon_start(&f->daemon);
	f->echo = echo_new(f);
	f->dev = &f->echo->dev;
	assert_int_equal(virtio_pci_add(&f->g.pci, f->dev), 0);
	guest_probe(&f->g, 1);
	for (unsigned i = 0; i < QUEUES; i++)
		mock_ring_init(&f->rings[i], &f->g.env, SIZE);
	f->data = mock_alloc(&f->g.env, 4096, 4096);
	*state = f;
	return 0;
}

static int setup_local(void **state)
{
	return setup(state, LOCAL);
}

static int setup_vhost(void **state)
{
	return setup(state, KERNEL);
}

static int setup_daemon(void **state)
{
	return setup(state, DAEMON);
}

static int setup_vdpa(void **state)
{
	return setup(state, VDPA);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_guest_destroy(&f->g);
	fake_daemon_destroy(&f->daemon);
	assert_int_equal(f->daemon.errors, 0);
	assert_int_equal(fake_vhost_running(&f->daemon.vhost), 0);
	assert_int_equal(fake_vhost_running(&f->kernel), 0);
	assert_int_equal(fake_vhost_running(&f->vdpa.vhost), 0);
	assert_int_equal(f->vdpa.map_count, 0);
	assert_int_equal(f->kernel.refusals + f->daemon.vhost.refusals, 0);
	assert_int_equal(f->vdpa.vhost.refusals, 0);
	assert_int_equal(f->g.env.mem.pins, 0);
	assert_int_equal(f->destroyed, f->created);
	assert_int_equal(fake_open_fds(), f->fds);
	test_free(f);
	return 0;
}

static void go_live_with(struct fixture *f, unsigned queues, bool msix)
{
	assert_true(guest_negotiate(&f->g, VIRTQ_FEATURES));
	for (unsigned i = 0; i < queues; i++) {
		uint16_t size = f->rings[i].size;

		/* A driver that binds again has zeroed rings. */
		mock_ring_init(&f->rings[i], &f->g.env, size);
		f->rings[i].q = &f->dev->queues[i];
		guest_setup_queue(&f->g, i, &f->rings[i], msix ? (uint16_t)(i + 1) : NO_VECTOR);
	}
	guest_driver_ok(&f->g);
	assert_int_equal(common_get(&f->g, device_status), LIVE);
	mock_env_dispatch(&f->g.env);
}

/* Live with the first `queues` queues; queue i has vector i + 1 when MSI-X is enabled. */
static void go_live(struct fixture *f, unsigned queues)
{
	go_live_with(f, queues, guest_cfg_read(&f->g, f->g.msix + PCI_MSIX_FLAGS, 2) &
					PCI_MSIX_FLAGS_ENABLE);
}

/* MSI-X with unmasked vectors whose data is their number. */
static void enable_msix(struct fixture *f)
{
	guest_msix_enable(&f->g, true);
	for (unsigned i = 0; i < f->g.vectors; i++)
		guest_set_vector(&f->g, i, 0xfee00000, i, false);
}

/* One request through queue `index`, with any path of its kick; whether it completed. */
static bool echo_works(struct fixture *f, unsigned index)
{
	struct mock_ring *ring = &f->rings[index];
	const struct mock_buf bufs[] = { { f->data, 8, false }, { f->data + 64, 8, true } };
	uint8_t reply[8] = { 0 };
	uint32_t written;
	uint16_t head;

	assert_int_equal(gmem_write(&f->g.env.mem, f->data + 64, reply, sizeof(reply)), 0);
	assert_int_equal(gmem_write(&f->g.env.mem, f->data, "kinglet!", 8), 0);
	mock_ring_set_used_event(ring, ring->last_used);
	mock_ring_add_indirect(ring, bufs, 2);
	if (mock_ring_kick_wanted(ring))
		guest_kick(&f->g, index);
	mock_env_dispatch(&f->g.env);
	if (!mock_ring_reap(ring, &head, &written))
		return false;
	assert_int_equal(written, 8);
	assert_int_equal(gmem_read(&f->g.env.mem, f->data + 64, reply, sizeof(reply)), 0);
	assert_memory_equal(reply, "kinglet!", 8);
	return true;
}

/* --- 4.1.2, 4.1.3: discovery and accesses --- */

static void test_4_1_2_identity(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;

	assert_int_equal(guest_cfg_read(g, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(guest_cfg_read(g, PCI_DEVICE_ID, 2), 0x1040 + 42);
	assert_int_equal(guest_cfg_read(g, PCI_SUBSYSTEM_VENDOR_ID, 2), 0x1af4);
	assert_true(guest_cfg_read(g, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_true(guest_cfg_read(g, PCI_REVISION_ID, 1) >= 1);
	assert_int_equal(guest_cfg_read(g, PCI_CLASS_REVISION, 4) >> 8, 0x078000);
}

static bool apart(const struct guest_region *a, const struct guest_region *b)
{
	return a->gpa + a->len <= b->gpa || b->gpa + b->len <= a->gpa;
}

static void test_4_1_4_structures(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;
	const struct guest_region table = { g->table, g->vectors * PCI_MSIX_ENTRY_SIZE };
	const struct guest_region pba = { g->pba, 8 };
	const struct guest_region *all[] = { &g->common, &g->notify, &g->isr,
					     &g->config, &table,     &pba };

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		for (unsigned j = 0; j < i; j++)
			assert_true(apart(all[i], all[j]));
	assert_int_equal(g->common.gpa % 4, 0);
	assert_int_equal(g->config.gpa % 4, 0);
	assert_int_equal(g->config.len, CONFIG_LEN);
	assert_int_equal(g->notify_multiplier, 4);
	assert_int_equal(g->vectors, QUEUES + 1);
	assert_int_not_equal(g->window, 0);
}

static void test_4_1_4_4_each_queue_has_its_notify_address(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;

	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(guest_notify_gpa(g, i), g->notify.gpa + 4 * i);
}

static void test_4_1_3_1_partial_reads(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;
	uint64_t offered = guest_offered(g);

	common_set(g, device_feature_select, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(guest_read(g, g->common.gpa + 4 + i, 1), offered >> 8 * i & 0xff);
	/* Select and feature at once. */
	assert_true(guest_read(g, g->common.gpa, 8) == offered << 32);
	common_set(g, queue_desc_lo, 0x11223340);
	common_set(g, queue_desc_hi, 0x55);
	assert_true(guest_read(g, COMMON_GPA(g, queue_desc_lo), 8) == 0x5511223340);
}

static void test_4_1_3_1_64_bit_write_is_two_halves(void **state)
{
	struct fixture *f = *state;

	guest_write(&f->g, COMMON_GPA(&f->g, queue_avail_lo), 0x1234567890abcdef, 8);
	assert_true(f->dev->queues[0].state.avail == 0x1234567890abcdef);
}

static void test_4_1_3_1_writes_of_another_size_are_ignored(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	guest_write(g, COMMON_GPA(g, queue_size), 4, 1);
	guest_write(g, COMMON_GPA(g, queue_size), 4, 4);
	assert_int_equal(common_get(g, queue_size), SIZE);
	guest_write(g, COMMON_GPA(g, queue_desc_lo) + 2, 0xffff, 2);
	guest_write(g, COMMON_GPA(g, queue_desc_lo) + 1, 0xff, 1);
	assert_int_equal(f->dev->queues[0].state.desc, 0);
	guest_write(g, COMMON_GPA(g, device_status), 1, 4);
	assert_int_equal(common_get(g, device_status), 0);
}

static void test_4_1_4_3_beyond_the_structure(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;
	const unsigned offs[] = { g->common.len, g->common.len - 2, 0xffc };

	for (unsigned i = 0; i < ARRAY_SIZE(offs); i++) {
		assert_int_equal(guest_read(g, g->common.gpa + offs[i], 4), UINT32_MAX);
		guest_write(g, g->common.gpa + offs[i], 1, 4);
	}
	/* Across the end of the page, into the next structure. */
	assert_int_equal(guest_read(g, g->common.gpa + 0xffe, 4), UINT32_MAX);
	guest_write(g, g->common.gpa + 0xffe, 0, 4);
	/* The last pages of the BAR hold nothing. */
	assert_int_equal(guest_read(g, g->bar + g->bar_size - 4, 4), UINT32_MAX);
	guest_write(g, g->bar + g->bar_size - 4, 0, 4);
	/* queue_notify_data and queue_reset: not offered. */
	assert_int_equal(guest_read(g, g->common.gpa + 56, 4), 0);
	guest_write(g, g->common.gpa + 58, 1, 2);
	assert_int_equal(guest_read(g, g->common.gpa + 58, 2), 0);
}

/* --- 4.1.4.3: common configuration --- */

static void test_4_1_4_3_features(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;

	assert_true(guest_offered(g) ==
		    (VIRTQ_FEATURES | 1 << FEATURE | 1ULL << VIRTIO_F_VERSION_1));
	common_set(g, device_feature_select, 2);
	assert_int_equal(common_get(g, device_feature), 0);
	common_set(g, device_feature_select, UINT32_MAX);
	assert_int_equal(common_get(g, device_feature), 0);
	assert_int_equal(common_get(g, device_feature_select), UINT32_MAX);

	common_set(g, guest_feature_select, 0);
	common_set(g, guest_feature, 1 << FEATURE);
	assert_int_equal(common_get(g, guest_feature), 1 << FEATURE);
	common_set(g, guest_feature_select, 1);
	assert_int_equal(common_get(g, guest_feature), 0);
	common_set(g, guest_feature_select, 0x80000001);
	common_set(g, guest_feature, 0xff);
	assert_int_equal(common_get(g, guest_feature), 0);
}

static void test_4_1_4_3_read_only_registers(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;
	uint64_t before;

	before = common_get(g, device_feature);
	common_set(g, device_feature, ~before & UINT32_MAX);
	assert_int_equal(common_get(g, device_feature), before);
	common_set(g, num_queues, 9);
	assert_int_equal(common_get(g, num_queues), QUEUES);
	before = common_get(g, config_generation);
	common_set(g, config_generation, before + 1);
	assert_int_equal(common_get(g, config_generation), before);
	common_set(g, queue_select, 2);
	common_set(g, queue_notify_off, 0);
	assert_int_equal(common_get(g, queue_notify_off), 2);
}

static void test_3_1_1_features_refused(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;

	assert_false(guest_negotiate(g, 1 << 6));
	assert_false(guest_negotiate(g, 1ULL << VIRTIO_F_RING_PACKED));
	assert_true(guest_negotiate_exactly(g, 0));
	assert_true(guest_negotiate(g, 1 << FEATURE));
	/* §3.1.1: settled. */
	common_set(g, guest_feature_select, 0);
	common_set(g, guest_feature, 0);
	assert_int_equal(common_get(g, guest_feature), 1 << FEATURE);
}

static void test_4_1_4_3_queue_select_out_of_range(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	const uint16_t bad[] = { QUEUES, 0x8000, 0xffff };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		common_set(g, queue_select, bad[i]);
		assert_int_equal(common_get(g, queue_select), bad[i]);
		assert_int_equal(common_get(g, queue_size), 0);
		assert_int_equal(common_get(g, queue_enable), 0);
		assert_int_equal(common_get(g, queue_msix_vector), NO_VECTOR);
		common_set(g, queue_size, 4);
		common_set(g, queue_msix_vector, 1);
		common_set(g, queue_desc_lo, 0x1000);
		common_set(g, queue_enable, 1);
		assert_int_equal(common_get(g, queue_size), 0);
		assert_int_equal(common_get(g, queue_enable), 0);
		assert_int_equal(common_get(g, queue_msix_vector), NO_VECTOR);
		assert_int_equal(common_get(g, queue_desc_lo), 0);
	}
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(f->dev->queues[i].state.enabled, 0);
}

static void test_4_1_4_3_queue_size(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;
	const uint16_t bad[] = { 0, 3, 12, 2 * SIZE, 0x8000 };

	common_set(g, queue_select, 1);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		common_set(g, queue_size, bad[i]);
		assert_int_equal(common_get(g, queue_size), SIZE);
	}
	common_set(g, queue_size, 1);
	assert_int_equal(common_get(g, queue_size), 1);
	common_set(g, queue_select, 0);
	assert_int_equal(common_get(g, queue_size), SIZE);
}

/* A queue cannot be changed once it is enabled, or DRIVER_OK is set. */
static void assert_queue_frozen(struct fixture *f, unsigned index)
{
	struct virtio_guest *g = &f->g;
	const struct virtq_state before = f->dev->queues[index].state;
	const struct virtq_state *s = &f->dev->queues[index].state;

	common_set(g, queue_select, index);
	common_set(g, queue_size, 2);
	common_set(g, queue_desc_lo, 0x100);
	common_set(g, queue_desc_hi, 1);
	common_set(g, queue_avail_lo, 0x100);
	common_set(g, queue_avail_hi, 1);
	common_set(g, queue_used_lo, 0x100);
	common_set(g, queue_used_hi, 1);
	assert_int_equal(s->size, before.size);
	assert_true(s->desc == before.desc && s->avail == before.avail && s->used == before.used);
}

static void test_4_1_4_3_2_queue_frozen_by_enable(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_negotiate(&f->g, 0));
	guest_setup_queue(&f->g, 1, &f->rings[1], NO_VECTOR);
	assert_queue_frozen(f, 1);
	common_set(&f->g, queue_enable, 0);
	assert_int_equal(common_get(&f->g, queue_enable), 1);
}

static void test_4_1_4_3_2_queue_frozen_by_driver_ok(void **state)
{
	struct fixture *f = *state;

	go_live(f, 1);
	assert_queue_frozen(f, 1);
	common_set(&f->g, queue_enable, 1);
	assert_int_equal(common_get(&f->g, queue_enable), 0);
}

static void test_4_1_4_3_2_only_1_enables(void **state)
{
	struct virtio_guest *g = &((struct fixture *)*state)->g;
	const uint16_t bad[] = { 0, 2, 0x101, 0xffff };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		common_set(g, queue_enable, bad[i]);
		assert_int_equal(common_get(g, queue_enable), 0);
	}
}

static void test_4_1_4_3_reset(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	enable_msix(f);
	go_live(f, QUEUES);
	common_set(g, msix_config, 0);
	common_set(g, device_feature_select, 1);
	common_set(g, queue_select, 2);
	guest_reset(g);
	assert_int_equal(common_get(g, device_feature_select), 0);
	assert_int_equal(common_get(g, queue_select), 0);
	assert_int_equal(common_get(g, msix_config), NO_VECTOR);
	common_set(g, guest_feature_select, 1);
	assert_int_equal(common_get(g, guest_feature), 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		common_set(g, queue_select, i);
		assert_int_equal(common_get(g, queue_size), SIZE);
		assert_int_equal(common_get(g, queue_enable), 0);
		assert_int_equal(common_get(g, queue_msix_vector), NO_VECTOR);
		assert_int_equal(common_get(g, queue_desc_lo), 0);
	}
	/* MSI-X belongs to PCI, and is not reset. */
	assert_true(guest_cfg_read(g, g->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(g->env.fake.ioeventfd_count, 0);
}

/* A reset leaves irqfds where they are, since KVM takes long to take one back. */
static void test_irqfds_after_a_reset(void **state)
{
	struct fixture *f = *state;
	struct fake_sys *fake = &f->g.env.fake;
	unsigned calls;

	enable_msix(f);
	go_live(f, QUEUES);
	common_set(&f->g, msix_config, 0);
	calls = fake_sys_count(fake, KVM_IRQFD);
	guest_reset(&f->g);
	assert_int_equal(fake_sys_count(fake, KVM_IRQFD), calls);
	for (unsigned i = 0; i < QUEUES; i++) {
		struct irq_line *line = &f->dev->queues[i].irq;

		irq_line_raise(line);
		assert_int_equal(eventfd_drain(line->fd), 0);
	}
	go_live(f, QUEUES);
	assert_int_equal(fake_sys_count(fake, KVM_IRQFD), calls);
	guest_reset(&f->g);
	/* A queue that runs has one only with a vector: vhost raises it without asking. */
	go_live_with(f, QUEUES, false);
	assert_int_equal(fake->irqfd_count, 1);
	assert_true(fake_irqfd_attached(fake, f->dev->config_irq.fd, NULL));
}

/* --- 4.1.4.6: device configuration --- */

static void test_4_1_4_6_device_config(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	uint64_t gpa = g->config.gpa;

	for (unsigned i = 0; i < CONFIG_LEN; i++)
		f->echo->config[i] = (uint8_t)(0x10 + i);
	assert_int_equal(guest_read(g, gpa, 1), 0x10);
	assert_int_equal(guest_read(g, gpa + 2, 2), 0x1312);
	assert_int_equal(guest_read(g, gpa + 4, 4), 0x17161514);
	assert_true(guest_read(g, gpa, 8) == 0x1716151413121110);
	assert_int_equal(guest_read(g, gpa + 12, 1), 0x1c);
	guest_write(g, gpa + 4, 0xa1a2a3a4, 4);
	assert_int_equal(guest_read(g, gpa + 4, 4), 0xa1a2a3a4);
}

static void test_4_1_4_6_beyond_the_device_config(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	const unsigned offs[] = { CONFIG_LEN - 1, CONFIG_LEN, 0xffc, 0xffe };
	uint8_t before[CONFIG_LEN];

	memset(f->echo->config, 0x77, CONFIG_LEN);
	memcpy(before, f->echo->config, CONFIG_LEN);
	for (unsigned i = 0; i < ARRAY_SIZE(offs); i++) {
		assert_int_equal(guest_read(g, g->config.gpa + offs[i], 4), 0);
		guest_write(g, g->config.gpa + offs[i], UINT32_MAX, 4);
	}
	assert_memory_equal(f->echo->config, before, CONFIG_LEN);
}

static void change_config(struct fixture *f)
{
	pthread_mutex_lock(&f->dev->lock);
	virtio_config_changed(f->dev);
	pthread_mutex_unlock(&f->dev->lock);
	mock_env_dispatch(&f->g.env);
}

static void test_4_1_4_3_1_config_generation(void **state)
{
	struct fixture *f = *state;
	uint64_t before = common_get(&f->g, config_generation);

	change_config(f);
	assert_int_not_equal(common_get(&f->g, config_generation), before);
}

/* --- 4.1.4.5: ISR status and INTx --- */

static bool pin(struct fixture *f)
{
	return f->g.env.fake.levels[PIN];
}

static uint64_t read_isr(struct fixture *f)
{
	return guest_read(&f->g, f->g.isr.gpa, 1);
}

static void test_4_1_4_5_intx_of_a_queue(void **state)
{
	struct fixture *f = *state;

	go_live(f, 1);
	assert_false(pin(f));
	assert_true(echo_works(f, 0));
	assert_true(pin(f));
	assert_true(guest_cfg_read(&f->g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(read_isr(f), 1);
	assert_false(pin(f));
	assert_false(guest_cfg_read(&f->g, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(read_isr(f), 0);
	assert_true(echo_works(f, 0));
	assert_true(pin(f));
}

static void test_4_1_4_5_intx_of_a_config_change(void **state)
{
	struct fixture *f = *state;

	change_config(f);
	assert_false(pin(f));
	go_live(f, 1);
	change_config(f);
	assert_true(pin(f));
	assert_true(echo_works(f, 0));
	assert_int_equal(read_isr(f), 3);
	assert_false(pin(f));
}

static void test_4_1_4_5_isr_is_read_only_and_one_byte(void **state)
{
	struct fixture *f = *state;

	go_live(f, 1);
	assert_true(echo_works(f, 0));
	guest_write(&f->g, f->g.isr.gpa, 0, 1);
	assert_true(pin(f));
	assert_int_equal(guest_read(&f->g, f->g.isr.gpa + 1, 1), 0);
	assert_true(pin(f));
	assert_int_equal(guest_read(&f->g, f->g.isr.gpa, 4), 1);
	assert_false(pin(f));
}

static void test_4_1_4_5_reset_lowers_intx(void **state)
{
	struct fixture *f = *state;

	go_live(f, 1);
	assert_true(echo_works(f, 0));
	guest_reset(&f->g);
	assert_false(pin(f));
	assert_int_equal(read_isr(f), 0);
}

/* The loop had read an event when the device was reset: it is dropped. */
static void test_relay_after_reset(void **state)
{
	struct fixture *f = *state;
	struct irq_line *line = &f->dev->queues[0].irq;

	go_live(f, 1);
	guest_reset(&f->g);
	line->relay_fn(line);
	assert_false(pin(f));
	assert_int_equal(read_isr(f), 0);
	mock_env_dispatch(&f->g.env);
	assert_false(pin(f));
}

/* The loop had read an event when MSI-X was enabled: it goes to the new sink. */
static void test_relay_after_msix_was_enabled(void **state)
{
	struct fixture *f = *state;
	struct irq_line *line = &f->dev->queues[0].irq;

	go_live(f, 1);
	enable_msix(f);
	common_set(&f->g, queue_select, 0);
	common_set(&f->g, queue_msix_vector, 1);
	assert_true(fake_irqfd_attached(&f->g.env.fake, line->fd, NULL));
	eventfd_drain(line->fd);
	line->relay_fn(line);
	assert_false(pin(f));
	assert_int_equal(eventfd_drain(line->fd), 1);
}

/* --- 4.1.5.1.2: MSI-X --- */

static void test_4_1_5_1_2_vectors(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	const uint16_t bad[] = { QUEUES + 1, 0x8000, 0xfffe };

	assert_int_equal(common_get(g, msix_config), NO_VECTOR);
	common_set(g, msix_config, QUEUES);
	assert_int_equal(common_get(g, msix_config), QUEUES);
	common_set(g, queue_msix_vector, 2);
	assert_int_equal(common_get(g, queue_msix_vector), 2);
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		common_set(g, msix_config, bad[i]);
		assert_int_equal(common_get(g, msix_config), NO_VECTOR);
		common_set(g, queue_msix_vector, bad[i]);
		assert_int_equal(common_get(g, queue_msix_vector), NO_VECTOR);
	}
	common_set(g, queue_msix_vector, 0);
	common_set(g, queue_msix_vector, NO_VECTOR);
	assert_int_equal(common_get(g, queue_msix_vector), NO_VECTOR);
}

static void test_4_1_5_1_2_queue_interrupt_by_msix(void **state)
{
	struct fixture *f = *state;
	struct irq_line *line = &f->dev->queues[1].irq;
	uint32_t gsi;

	enable_msix(f);
	go_live(f, 2);
	assert_true(fake_irqfd_attached(&f->g.env.fake, line->fd, &gsi));
	assert_int_equal(fake_route(&f->g.env.fake, gsi)->u.msi.address_lo, 0xfee00000);
	assert_int_equal(fake_route(&f->g.env.fake, gsi)->u.msi.data, 2);
	eventfd_drain(line->fd);
	assert_true(echo_works(f, 1));
	assert_int_equal(eventfd_drain(line->fd), 1);
	/* §4.1.4.5.1: no queue bit, and no pin, with MSI-X. */
	assert_false(pin(f));
	assert_int_equal(read_isr(f), 0);
}

static void test_4_1_4_5_1_config_bit_is_set_with_msix_too(void **state)
{
	struct fixture *f = *state;

	enable_msix(f);
	go_live(f, 1);
	common_set(&f->g, msix_config, 0);
	eventfd_drain(f->dev->config_irq.fd);
	change_config(f);
	assert_int_equal(eventfd_drain(f->dev->config_irq.fd), 1);
	assert_false(pin(f));
	assert_int_equal(read_isr(f), 2);
	assert_int_equal(read_isr(f), 0);
}

/* A masked vector holds its event: it shows in the PBA and is injected at unmask. */
static void test_masked_vector_loses_nothing(void **state)
{
	struct fixture *f = *state;
	struct irq_line *line = &f->dev->queues[0].irq;

	enable_msix(f);
	go_live(f, 1);
	eventfd_drain(line->fd);
	guest_set_vector(&f->g, 1, 0xfee01000, 0x55, true);
	assert_false(fake_irqfd_attached(&f->g.env.fake, line->fd, NULL));
	assert_int_equal(guest_read(&f->g, f->g.pba, 8), 0);
	assert_true(echo_works(f, 0));
	assert_int_equal(guest_read(&f->g, f->g.pba, 8), 1 << 1);
	guest_write(&f->g, f->g.table + PCI_MSIX_ENTRY_SIZE + PCI_MSIX_ENTRY_VECTOR_CTRL, 0, 4);
	assert_true(fake_irqfd_attached(&f->g.env.fake, line->fd, NULL));
	/* The fake KVM reads nothing: the event is still there for the real one to take. */
	assert_int_equal(eventfd_drain(line->fd), 1);
	assert_int_equal(guest_read(&f->g, f->g.pba, 8), 0);
}

static void test_no_vector_no_interrupt(void **state)
{
	struct fixture *f = *state;
	struct irq_line *line = &f->dev->queues[0].irq;

	enable_msix(f);
	go_live(f, 1);
	common_set(&f->g, queue_select, 0);
	common_set(&f->g, queue_msix_vector, NO_VECTOR);
	assert_true(echo_works(f, 0));
	assert_false(pin(f));
	common_set(&f->g, queue_msix_vector, 1);
	assert_int_equal(eventfd_drain(line->fd), 0);
}

/* --- 4.1.4.4, 4.1.5.2: kicks --- */

static void test_4_1_5_2_ioeventfds_live_from_driver_ok_to_reset(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	assert_true(guest_negotiate(g, 0));
	guest_setup_queue(g, 0, &f->rings[0], NO_VECTOR);
	guest_setup_queue(g, 2, &f->rings[2], NO_VECTOR);
	assert_int_equal(g->env.fake.ioeventfd_count, 0);
	guest_driver_ok(g);
	assert_int_equal(g->env.fake.ioeventfd_count, 2);
	assert_int_equal(guest_ioeventfd(g, g->notify.gpa), f->dev->queues[0].kick_fd);
	assert_int_equal(guest_ioeventfd(g, g->notify.gpa + 8), f->dev->queues[2].kick_fd);
	assert_int_equal(g->env.fake.ioeventfds[0].len, 0);
	assert_int_equal(g->env.fake.ioeventfds[0].flags, 0);
	guest_reset(g);
	assert_int_equal(g->env.fake.ioeventfd_count, 0);
}

static int no_any_length(struct fixture *f, unsigned long request, void *arg)
{
	(void)f;
	if (request == KVM_CHECK_EXTENSION && (long)arg == KVM_CAP_IOEVENTFD_ANY_LENGTH)
		return 0;
	return FAKE_PASS;
}

static void test_4_1_5_2_ioeventfds_of_two_bytes(void **state)
{
	struct fixture *f = *state;

	f->refuse = no_any_length;
	go_live(f, 1);
	assert_int_equal(f->g.env.fake.ioeventfds[0].len, 2);
	assert_int_equal(f->g.env.fake.ioeventfds[0].flags & KVM_IOEVENTFD_FLAG_DATAMATCH, 0);
	guest_reset(&f->g);
	assert_int_equal(f->g.env.fake.ioeventfd_count, 0);
}

static int no_ioeventfd(struct fixture *f, unsigned long request, void *arg)
{
	(void)f;
	(void)arg;
	return request == KVM_IOEVENTFD ? -ENOSPC : FAKE_PASS;
}

static void test_4_1_5_2_kicks_without_ioeventfds(void **state)
{
	struct fixture *f = *state;

	f->refuse = no_ioeventfd;
	go_live(f, QUEUES);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(echo_works(f, 0));
		assert_true(echo_works(f, 2));
	}
	guest_reset(&f->g);
}

/* For --stats: counts neither set-up, nor kicks by ioeventfd. */
static void test_count_of_exits(void **state)
{
	struct fixture *f = *state;
	uint64_t kick = guest_notify_gpa(&f->g, 0);
	uint64_t count;

	assert_true(guest_negotiate(&f->g, VIRTQ_FEATURES));
	assert_int_equal(f->dev->guest_exits, 0);
	go_live(f, 1);
	/* It has read the status back. */
	count = f->dev->guest_exits;
	assert_true(count <= 1);
	guest_write(&f->g, kick, 0, 2);
	assert_int_equal(f->dev->guest_exits, count);
	common_get(&f->g, device_status);
	assert_int_equal(f->dev->guest_exits, count + 1);
	guest_write(&f->g, kick + f->g.notify_multiplier, 0, 2); /* not enabled: no ioeventfd */
	assert_int_equal(f->dev->guest_exits, count + 2);
	guest_reset(&f->g);
	count = f->dev->guest_exits;
	guest_notify_gpa(&f->g, 0);
	assert_int_equal(f->dev->guest_exits, count);
}

/* The address selects the queue; value and size do not matter. */
static void test_4_1_5_2_notify_by_address(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	const unsigned sizes[] = { 1, 2, 4, 8 };

	f->refuse = no_ioeventfd;
	go_live(f, QUEUES);
	for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
		guest_write(g, g->notify.gpa + 4, 0xffff, sizes[i]);
		assert_int_equal(eventfd_drain(f->dev->queues[1].kick_fd), 1);
		assert_int_equal(eventfd_drain(f->dev->queues[0].kick_fd), 0);
	}
}

static void test_4_1_5_2_notify_out_of_range(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	const unsigned offs[] = { 1, 2, 3, 6, 4 * QUEUES, 0xffc, 0xffe };

	f->refuse = no_ioeventfd;
	go_live(f, QUEUES);
	for (unsigned i = 0; i < ARRAY_SIZE(offs); i++)
		guest_write(g, g->notify.gpa + offs[i], 0, 2);
	for (unsigned i = 0; i < QUEUES; i++)
		assert_int_equal(eventfd_drain(f->dev->queues[i].kick_fd), 0);
}

static void test_3_1_1_kick_before_driver_ok(void **state)
{
	struct fixture *f = *state;

	assert_true(guest_negotiate(&f->g, 0));
	guest_setup_queue(&f->g, 0, &f->rings[0], NO_VECTOR);
	guest_kick(&f->g, 0);
	assert_int_equal(eventfd_drain(f->dev->queues[0].kick_fd), 0);
}

static void move_bar(struct fixture *f, uint64_t to)
{
	struct virtio_guest *g = &f->g;

	guest_cfg_write(g, PCI_BASE_ADDRESS_0, (uint32_t)to, 4);
	guest_cfg_write(g, PCI_BASE_ADDRESS_1, (uint32_t)(to >> 32), 4);
}

/* No ioeventfd stays at the old address. */
static void test_ioeventfds_follow_the_bar(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	uint64_t old = g->notify.gpa, to = GUEST_MMIO32 + 0x10000000;

	go_live(f, 2);
	move_bar(f, to);
	guest_probe(g, 1);
	assert_int_equal(g->bar, to);
	assert_int_equal(guest_ioeventfd(g, old), -1);
	assert_int_equal(g->env.fake.ioeventfd_count, 2);
	assert_int_equal(guest_ioeventfd(g, g->notify.gpa), f->dev->queues[0].kick_fd);
	assert_true(echo_works(f, 1));
}

static void test_ioeventfds_go_with_the_bar(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	go_live(f, 2);
	guest_cfg_write(g, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	assert_int_equal(g->env.fake.ioeventfd_count, 0);
	guest_cfg_write(g, PCI_COMMAND, DECODING_MASTER, 2);
	assert_int_equal(g->env.fake.ioeventfd_count, 2);
	assert_true(echo_works(f, 0));
	/* Not while the device is not live. */
	guest_reset(g);
	guest_cfg_write(g, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	guest_cfg_write(g, PCI_COMMAND, DECODING_MASTER, 2);
	assert_int_equal(g->env.fake.ioeventfd_count, 0);
}

/* --- PCI 3.0 §6.2.2: bus mastering --- */

/* Whether a pending request in the ring is answered after all events were served. */
static bool answers(struct fixture *f)
{
	uint32_t written;
	uint16_t head;

	mock_env_dispatch(&f->g.env);
	return mock_ring_reap(&f->rings[0], &head, &written);
}

static void add_request(struct fixture *f)
{
	const struct mock_buf bufs[] = { { f->data, 8, false }, { f->data + 64, 8, true } };

	mock_ring_add_indirect(&f->rings[0], bufs, 2);
}

/*
 * Kicked or not, a device without bus mastering moves no data, nor when it gets it back: that may
 * be the next kernel's doing, after a kexec. A driver that sets DRIVER_OK again continues where it
 * was.
 */
static void test_6_2_2_stands_still_without_bus_mastering(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	go_live(f, 2);
	assert_true(echo_works(f, 0));
	for (unsigned i = 0; i < 3; i++) {
		guest_cfg_write(g, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
		assert_int_equal(g->env.fake.ioeventfd_count, 0);
		add_request(f);
		guest_kick(g, 0);
		assert_false(answers(f));
		guest_cfg_write(g, PCI_COMMAND, DECODING_MASTER, 2);
		guest_kick(g, 0);
		assert_false(answers(f));
		assert_int_equal(common_get(g, device_status), LIVE & ~VIRTIO_CONFIG_S_DRIVER_OK);
		guest_driver_ok(g);
		assert_int_equal(g->env.fake.ioeventfd_count, 2);
		assert_true(answers(f));
		assert_true(echo_works(f, 0));
	}
}

/* DRIVER_OK may come first. */
static void test_6_2_2_starts_with_bus_mastering(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	guest_cfg_write(g, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	go_live(f, 1);
	add_request(f);
	guest_kick(g, 0);
	assert_false(answers(f));
	guest_cfg_write(g, PCI_COMMAND, DECODING_MASTER, 2);
	assert_true(answers(f));
}

/* A device that is broken or was reset meanwhile does not start again. */
static void test_6_2_2_starts_nothing_that_is_not_live(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	go_live(f, 1);
	guest_cfg_write(g, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	guest_reset(g);
	guest_cfg_write(g, PCI_COMMAND, DECODING_MASTER, 2);
	assert_int_equal(g->env.fake.ioeventfd_count, 0);

	go_live(f, 1);
	guest_cfg_write(g, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	pthread_mutex_lock(&f->dev->lock);
	virtio_broken(f->dev, "for the test");
	pthread_mutex_unlock(&f->dev->lock);
	guest_cfg_write(g, PCI_COMMAND, DECODING_MASTER, 2);
	assert_int_equal(g->env.fake.ioeventfd_count, 0);
}

/* --- 4.1.4.9: access through configuration space --- */

static void aim_window(struct virtio_guest *g, uint8_t bar, uint32_t off, uint32_t len)
{
	guest_cfg_write(g, g->window + offsetof(struct virtio_pci_cap, bar), bar, 1);
	guest_cfg_write(g, g->window + offsetof(struct virtio_pci_cap, offset), off, 4);
	guest_cfg_write(g, g->window + offsetof(struct virtio_pci_cap, length), len, 4);
}

static uint32_t window_read(struct virtio_guest *g, uint32_t off, uint32_t len)
{
	aim_window(g, 0, off, len);
	return guest_cfg_read(g, g->window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data),
			      len);
}

static void window_write(struct virtio_guest *g, uint32_t off, uint32_t value, uint32_t len)
{
	aim_window(g, 0, off, len);
	guest_cfg_write(g, g->window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), value,
			len);
}

static void test_4_1_4_9_window(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	uint32_t common = (uint32_t)(g->common.gpa - g->bar);

	assert_int_equal(window_read(g, common + 18, 2), QUEUES);
	window_write(g, common + 22, 1, 2);
	assert_int_equal(common_get(g, queue_select), 1);
	window_write(g, common + 20, VIRTIO_CONFIG_S_ACKNOWLEDGE, 1);
	assert_int_equal(common_get(g, device_status), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_int_equal(window_read(g, common + 20, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	window_write(g, common + 32, 0xabcdef00, 4);
	assert_int_equal(common_get(g, queue_desc_lo), 0xabcdef00);
	assert_int_equal(window_read(g, common + 32, 4), 0xabcdef00);
	/* It works without a mapped BAR: that is its purpose. */
	guest_cfg_write(g, PCI_COMMAND, 0, 2);
	assert_int_equal(window_read(g, common + 18, 2), QUEUES);
}

static void test_4_1_4_9_window_bounds(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	uint32_t common = (uint32_t)(g->common.gpa - g->bar), size = (uint32_t)g->bar_size;
	uint32_t config = (uint32_t)(g->config.gpa - g->bar);
	const uint8_t zero[CONFIG_LEN] = { 0 };
	unsigned data = g->window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	const struct {
		uint8_t bar;
		uint32_t off, len;
	} bad[] = {
		{ 1, common + 20, 1 },	 { 6, common + 20, 1 }, { 255, common + 20, 1 },
		{ 0, common + 20, 0 },	 { 0, common + 20, 3 }, { 0, common + 20, 8 },
		{ 0, common + 20, 256 }, { 0, common + 21, 2 }, { 0, common + 18, 4 },
		{ 0, size, 1 },		 { 0, size - 2, 4 },	{ 0, 0xfffffffc, 4 },
		{ 0, 0xffffffff, 1 },	 { 0, 0, 0xffffffff },	{ 0, config + 1, 2 },
		{ 0, config + 1, 3 },	 { 0, config, 8 },	{ 0, config + 2, 4 },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		aim_window(g, bad[i].bar, bad[i].off, bad[i].len);
		guest_cfg_write(g, data, 0x01010101, 4);
		guest_cfg_read(g, data, 4);
		assert_int_equal(common_get(g, device_status), 0);
		assert_memory_equal(f->echo->config, zero, CONFIG_LEN);
	}
	/* The capability's other bytes are read-only. */
	guest_cfg_write(g, g->window + offsetof(struct virtio_pci_cap, cfg_type), 0xff, 1);
	assert_int_equal(guest_cfg_read(g, g->window + 3, 1), VIRTIO_PCI_CAP_PCI_CFG);
}

/* Reads have their side effects, and only through the data register. */
static void test_4_1_4_9_window_reads_isr(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	go_live(f, 1);
	assert_true(echo_works(f, 0));
	aim_window(g, 0, (uint32_t)(g->isr.gpa - g->bar), 1);
	assert_true(pin(f));
	assert_int_equal(window_read(g, (uint32_t)(g->isr.gpa - g->bar), 1), 1);
	assert_false(pin(f));
}

/* --- 2.1.2, 4.1.5.4: a device that gives up --- */

static void assert_broken(struct fixture *f)
{
	mock_env_dispatch(&f->g.env);
	assert_int_equal(common_get(&f->g, device_status), LIVE | VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(read_isr(f), 2);
	assert_int_equal(f->g.env.fake.ioeventfd_count, 0);
	go_live(f, 1);
	assert_true(echo_works(f, 0));
}

static void test_2_1_2_bad_ring_address(void **state)
{
	struct fixture *f = *state;
	const uint64_t bad[] = { MOCK_HOLE, f->rings[1].used + 1, f->g.bar, UINT64_MAX & ~15ULL };

	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mock_ring ring = f->rings[1];

		ring.used = bad[i];
		assert_true(guest_negotiate(&f->g, 0));
		guest_setup_queue(&f->g, 0, &f->rings[0], NO_VECTOR);
		guest_setup_queue(&f->g, 1, &ring, NO_VECTOR);
		guest_driver_ok(&f->g);
		assert_broken(f);
	}
}

/* DMA into the device's own BAR: a BAR is not RAM. */
static void test_2_1_2_dma_into_own_bar(void **state)
{
	struct fixture *f = *state;
	const struct mock_buf buf = { f->g.common.gpa, 64, true };

	go_live(f, 1);
	mock_ring_add(&f->rings[0], &buf, 1);
	guest_kick(&f->g, 0);
	assert_broken(f);
}

/* --- Life --- */

static void test_bind_and_unbind_leaks_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned fds = 0, routes = 0;

	for (unsigned i = 0; i < 5; i++) {
		enable_msix(f);
		go_live(f, QUEUES);
		common_set(&f->g, msix_config, 0);
		for (unsigned q = 0; q < QUEUES; q++)
			assert_true(echo_works(f, q));
		if (!i)
			routes = f->g.env.fake.route_count;
		assert_int_equal(f->g.env.fake.route_count, routes);
		assert_int_equal(f->g.env.fake.irqfd_count, QUEUES + 1);
		assert_int_equal(f->g.env.fake.ioeventfd_count, QUEUES);
		guest_reset(&f->g);
		guest_msix_enable(&f->g, false);
		assert_int_equal(f->g.env.fake.irqfd_count, 0);
		assert_int_equal(f->g.env.fake.ioeventfd_count, 0);
		/* And once with INTx. */
		go_live(f, 1);
		assert_true(echo_works(f, 0));
		assert_int_equal(read_isr(f), 1);
		guest_reset(&f->g);
		/* A daemon has some of its own, which all are gone at teardown(). */
		if (!i)
			fds = fake_open_fds();
	}
	assert_int_equal(fake_open_fds(), fds);
}

static void assert_as_after_power_on(struct fixture *f)
{
	assert_false(f->dev->started);
	assert_int_equal(f->dev->status, 0);
	assert_false(pin(f));
	assert_int_equal(f->g.env.fake.irqfd_count, 0);
	assert_int_equal(f->g.env.fake.ioeventfd_count, 0);
}

static void test_function_level_reset(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;
	uint64_t bar = g->bar;

	enable_msix(f);
	go_live(f, 2);
	guest_cfg_write(g, g->af + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 1);
	assert_as_after_power_on(f);
	/* The driver restores configuration space. */
	move_bar(f, bar);
	guest_probe(g, 1);
	go_live(f, 1);
	assert_true(echo_works(f, 0));
}

static void test_machine_reset(void **state)
{
	struct fixture *f = *state;
	uint64_t home = f->g.bar;

	go_live(f, 2);
	assert_true(echo_works(f, 0));
	move_bar(f, GUEST_MMIO32 + 0x10000000);
	pci_bus_reset(&f->g.pci);
	assert_as_after_power_on(f);
	guest_probe(&f->g, 1);
	assert_int_equal(f->g.bar, home);
	go_live(f, 1);
	assert_true(echo_works(f, 0));
}

static void test_destroyed_while_live(void **state)
{
	struct fixture *f = *state;

	enable_msix(f);
	go_live(f, 2);
	/* teardown() sees that nothing is left. */
}

static void test_add_failure_destroys_the_device(void **state)
{
	struct fixture *f = *state;
	unsigned added = 0;

	/* The daemon serves one device. */
	if (f->runner == DAEMON)
		f->runner = LOCAL;
	while (!virtio_pci_add(&f->g.pci, &echo_new(f)->dev))
		added++;
	/* Slots 0 and 1 were taken. */
	assert_int_equal(added, PCI_SLOTS - 2);
	assert_int_equal(f->destroyed, 1);
}

/* Counts fail_in down, and fails the attachment at which it gets to zero. */
static int fail_an_attachment(struct fixture *f, unsigned long request, void *arg)
{
	bool attaches = request == KVM_SET_GSI_ROUTING ||
			(request == KVM_IRQFD &&
			 !(((struct kvm_irqfd *)arg)->flags & KVM_IRQFD_FLAG_DEASSIGN)) ||
			(request == KVM_IOEVENTFD &&
			 !(((struct kvm_ioeventfd *)arg)->flags & KVM_IOEVENTFD_FLAG_DEASSIGN));

	return attaches && f->fail_in && !--f->fail_in ? -ENOMEM : FAKE_PASS;
}

/* Fails each attachment in KVM in turn: an interrupt may be lost, nothing else. */
static void test_every_failing_attachment(void **state)
{
	struct fixture *f = *state;
	struct virtio_guest *g = &f->g;

	f->refuse = fail_an_attachment;
	for (unsigned n = 1; !f->fail_in; n++) {
		f->fail_in = n;
		enable_msix(f);
		assert_true(guest_negotiate(g, VIRTQ_FEATURES));
		for (unsigned i = 0; i < QUEUES; i++) {
			mock_ring_init(&f->rings[i], &g->env, SIZE);
			f->rings[i].q = &f->dev->queues[i];
			guest_setup_queue(g, i, &f->rings[i], NO_VECTOR);
			common_set(g, queue_msix_vector, i);
		}
		guest_driver_ok(g);
		mock_env_dispatch(&g->env);
		for (unsigned i = 0; i < QUEUES; i++)
			assert_true(echo_works(f, i));
		guest_reset(g);
		guest_msix_enable(g, false);
		assert_int_equal(g->env.fake.irqfd_count, 0);
		assert_int_equal(g->env.fake.ioeventfd_count, 0);
		assert_true(n < 100);
	}
}

#define T(test)                                                                                    \
	{ "local: " #test, test, setup_local, teardown, NULL },                                    \
	{ "vhost: " #test, test, setup_vhost, teardown, NULL },                                    \
	{ "vhost-user: " #test, test, setup_daemon, teardown, NULL },                              \
	{ "vdpa: " #test, test, setup_vdpa, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_4_1_2_identity),
		T(test_4_1_4_structures),
		T(test_4_1_4_4_each_queue_has_its_notify_address),
		T(test_4_1_3_1_partial_reads),
		T(test_4_1_3_1_64_bit_write_is_two_halves),
		T(test_4_1_3_1_writes_of_another_size_are_ignored),
		T(test_4_1_4_3_beyond_the_structure),
		T(test_4_1_4_3_features),
		T(test_4_1_4_3_read_only_registers),
		T(test_3_1_1_features_refused),
		T(test_4_1_4_3_queue_select_out_of_range),
		T(test_4_1_4_3_queue_size),
		T(test_4_1_4_3_2_queue_frozen_by_enable),
		T(test_4_1_4_3_2_queue_frozen_by_driver_ok),
		T(test_4_1_4_3_2_only_1_enables),
		T(test_4_1_4_3_reset),
		T(test_irqfds_after_a_reset),
		T(test_4_1_4_6_device_config),
		T(test_4_1_4_6_beyond_the_device_config),
		T(test_4_1_4_3_1_config_generation),
		T(test_4_1_4_5_intx_of_a_queue),
		T(test_4_1_4_5_intx_of_a_config_change),
		T(test_4_1_4_5_isr_is_read_only_and_one_byte),
		T(test_4_1_4_5_reset_lowers_intx),
		T(test_relay_after_reset),
		T(test_relay_after_msix_was_enabled),
		T(test_4_1_5_1_2_vectors),
		T(test_4_1_5_1_2_queue_interrupt_by_msix),
		T(test_4_1_4_5_1_config_bit_is_set_with_msix_too),
		T(test_masked_vector_loses_nothing),
		T(test_no_vector_no_interrupt),
		T(test_4_1_5_2_ioeventfds_live_from_driver_ok_to_reset),
		T(test_4_1_5_2_ioeventfds_of_two_bytes),
		T(test_4_1_5_2_kicks_without_ioeventfds),
		T(test_count_of_exits),
		T(test_4_1_5_2_notify_by_address),
		T(test_4_1_5_2_notify_out_of_range),
		T(test_3_1_1_kick_before_driver_ok),
		T(test_ioeventfds_follow_the_bar),
		T(test_ioeventfds_go_with_the_bar),
		T(test_6_2_2_stands_still_without_bus_mastering),
		T(test_6_2_2_starts_with_bus_mastering),
		T(test_6_2_2_starts_nothing_that_is_not_live),
		T(test_4_1_4_9_window),
		T(test_4_1_4_9_window_bounds),
		T(test_4_1_4_9_window_reads_isr),
		T(test_2_1_2_bad_ring_address),
		T(test_2_1_2_dma_into_own_bar),
		T(test_bind_and_unbind_leaks_nothing),
		T(test_function_level_reset),
		T(test_machine_reset),
		T(test_destroyed_while_live),
		T(test_add_failure_destroys_the_device),
		T(test_every_failing_attachment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
