/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole runs of a machine on a fake KVM, of whose ioctls the nth fails. Once it is built, its thread
 * is asked to do what `asks` says; when that is done, the guest ends with status 7.
 */
#ifndef KINGLET_TESTS_FAULT_RIG_H
#define KINGLET_TESTS_FAULT_RIG_H

#include "capture.h"
#include "fake_machine.h"
#include "fake_sys.h"
#include "fake_vhost.h"
#include "unit.h"

#include "machine/machine.h"
#include "machine/snapshot.h"

#include <linux/virtio_config.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

enum { EXIT_PORT = 0xf4, CPUS = 2, IOCTLS_MAX = 300 };

struct rig {
	struct fake_sys fake;
	struct machine_config config;
	struct verdict verdict;
	char *place;
	struct fake_kernel kernel;
	struct fake_vhost vhost;
	unsigned fail_at; /* the nth ioctl that counts, once there are vCPUs; 0: none */
	atomic_bool counts, done;
	atomic_uint ioctls, entries;
	unsigned long failed;
	int result; /* of what was asked for */
	char said[4096];
	struct loop_event built;
	void (*asks)(struct machine_ask *ask);	   /* its machine_ask.run */
	void (*answered)(struct machine_ask *ask); /* NULL: then it is done */
	struct machine_ask ask;
	const struct machine_parts *parts;
	void *owner; /* the test's */
};

static struct rig *rig_of(struct fake_sys *fake)
{
	return container_of(fake, struct rig, fake);
}

static int play(struct fake_sys *fake, int fd, struct kvm_run *run)
{
	struct rig *r = rig_of(fake);

	(void)fd;
	if (__atomic_load_n(&run->immediate_exit, __ATOMIC_SEQ_CST))
		return -EINTR;
	r->entries++;
	if (!r->done) {
		poll(NULL, 0, 1);
		return -EINTR;
	}
	fake_port_access(run, KVM_EXIT_IO_OUT, EXIT_PORT, 7);
	return 0;
}

static void set_ioapic(struct kvm_irqchip *chip)
{
	if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		chip->chip.ioapic.base_address = 0xfec00000;
}

static int breaks(struct fake_sys *fake, int fd, unsigned long request, void *arg)
{
	struct rig *r = rig_of(fake);

	(void)fd;
	if (r->counts && fake->vcpu_count == CPUS && ++r->ioctls == r->fail_at) {
		r->failed = request;
		return -EIO;
	}
	if (request == KVM_GET_NESTED_STATE) /* VMX is off: the guest runs no guests */
		((struct kvm_nested_state *)arg)->hdr.vmx.vmxon_pa = UINT64_MAX;
	else if (request == KVM_GET_IRQCHIP)
		set_ioapic(arg);
	else
		return fake_vhost_ioctl(&r->vhost, request, arg);
	return 0;
}

static void finish(struct machine_ask *ask)
{
	container_of(ask, struct rig, ask)->done = true;
}

static void ask(struct loop_event *event, uint32_t events)
{
	struct rig *r = container_of(event, struct rig, built);
	uint64_t count;

	(void)events;
	assert_int_equal(read(event->fd, &count, sizeof(count)), sizeof(count));
	r->parts->ops->ask(r->parts->vm, &r->ask);
}

static int built(void *owner, const struct machine_parts *parts)
{
	struct rig *r = owner;

	r->parts = parts;
	r->ask = (struct machine_ask){ r->asks, r->answered ? r->answered : finish, NULL };
	r->built.fn = ask;
	return loop_add(parts->control_loop, &r->built, EPOLLIN);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	fake_sys_init(&r->fake);
	r->fake.run = play;
	r->fake.hook = breaks;
	r->place = strdup("/tmp/kinglet-faults-XXXXXX");
	fake_machine_init(&r->config, &r->kernel);
	r->config.cpus = r->config.boot.cpus = CPUS;
	*state = r;
	return mkdtemp(r->place) && !chdir(r->place) ? 0 : -1;
}

static int teardown(void **state)
{
	struct rig *r = *state;
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", r->place);
	close_fd(&r->kernel.fd);
	fake_sys_destroy(&r->fake);
	free(r->place);
	free(r);
	return chdir("/") || system(command); /* NOLINT: no input */
}

/* Its failure says that this KVM has no such thing. */
static bool may_fail(unsigned long request)
{
	return request == KVM_CHECK_EXTENSION || request == KVM_HAS_DEVICE_ATTR ||
	       request == KVM_GET_TSC_KHZ;
}

static void run_once(struct rig *r, unsigned fail_at)
{
	struct capture capture;

	r->fail_at = fail_at;
	r->ioctls = r->entries = 0;
	r->fake.vcpu_count = 0;
	fake_vhost_init(&r->vhost, NULL, 1ULL << VIRTIO_F_VERSION_1 | 1ULL << VHOST_F_LOG_ALL);
	capture_stderr_begin(&capture);
	alarm(100); /* a machine that hangs */
	assert_true(machine_run(&r->config, &r->fake.sys, &r->verdict));
	alarm(0);
	capture_stderr_end(&capture, r->said, sizeof(r->said));
}

/* ops: `built`, and others of the test. */
static void run_asked(struct rig *r, const struct machine_observer_ops *ops, unsigned fail_at)
{
	r->config.observers[0] = (struct machine_observer){ ops, r };
	r->config.observer_count = 1;
	r->built.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	r->done = false;
	run_once(r, fail_at);
	close_fd(&r->built.fd);
}

#endif
