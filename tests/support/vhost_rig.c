/* SPDX-License-Identifier: Apache-2.0 */
#include "vhost_rig.h"

#include "unit.h"

#include <linux/if_tun.h>
#include <string.h>

static int hook(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct vhost_rig *rig = fake->hook_data;

	(void)fd;
	if (request == rig->refused)
		return -EIO;
	/* vCPUs have written nothing. */
	if (request == TUNGETIFF || request == KVM_GET_DIRTY_LOG)
		return 0;
	return fake_vhost_ioctl(&rig->kernel, request, arg);
}

static void serve(struct virtio_dev *dev, struct virtq *q)
{
	(void)dev;
	(void)q;
}

static const struct virtio_model model = { .name = "virtio-net", .id = 1, .serve = serve };

struct vhost_rig *vhost_rig_new(uint64_t offered, uint64_t more, bool logs_data)
{
	struct vhost_rig *rig = test_calloc(1, sizeof(*rig));

	rig->offered = offered;
	mock_env_init(&rig->env);
	fake_vhost_init(&rig->kernel, &rig->env.loop, offered | more | BIT(VIRTIO_F_VERSION_1));
	rig->env.fake.hook = hook;
	rig->env.fake.hook_data = rig;
	assert_int_equal(gmem_kvm_attach(&rig->memslots, &rig->env.mem, &rig->env.kvm), 0);
	assert_int_equal(virtio_dev_init(&rig->dev, &model, &rig->env.virtio, 0, offered, 0, RINGS,
					 SIZE),
			 0);
	assert_int_equal(vhost_net_open(&rig->vhost, &rig->env.fake.sys, -1, false), 0);
	rig->kind = *rig->vhost->kind;
	rig->kind.logs_data = logs_data;
	rig->vhost->kind = &rig->kind;
	assert_int_equal(vhost_net_bind(rig->vhost, &rig->dev, 0, TAP_FD), 0);
	for (unsigned i = 0; i < RINGS; i++)
		mock_ring_init(&rig->rings[i], &rig->env, SIZE);
	rig->out = mock_alloc(&rig->env, 2 * PAGE, PAGE);
	memset(gmem_ptr(&rig->env.mem, rig->out, PAGE), 'x', PAGE);
	return rig;
}

unsigned vhost_rig_free(struct vhost_rig *rig)
{
	unsigned refusals;

	rig->refused = 0;
	rig->env.fake.fail_at = 0;
	dirty_log_stop(&rig->log);
	mock_driver_status(&rig->dev, 0);
	virtio_dev_destroy(&rig->dev);
	refusals = rig->kernel.refusals;
	mock_env_destroy(&rig->env);
	test_free(rig);
	return refusals;
}

void vhost_rig_start(struct vhost_rig *rig)
{
	for (unsigned i = 0; i < RINGS; i++)
		mock_ring_bind(&rig->rings[i], &rig->dev.queues[i]);
	assert_false(mock_driver_start(&rig->dev, &rig->transport, rig->offered) &
		     VIRTIO_CONFIG_S_NEEDS_RESET);
	mock_env_dispatch(&rig->env);
}

static void see(void *owner, uint64_t gpa)
{
	struct vhost_rig *rig = owner;

	assert_true(rig->seen_count < MAX_SEEN);
	rig->seen[rig->seen_count++] = gpa;
}

void vhost_rig_read_log(struct vhost_rig *rig)
{
	rig->seen_count = 0;
	assert_int_equal(dirty_log_read(&rig->log, see, rig), 0);
}

uint64_t page_of(uint64_t gpa)
{
	return gpa & ~(uint64_t)(PAGE - 1);
}
