/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fake kernel behind struct sys: it answers KVM's ioctls plausibly without /dev/kvm, records its
 * calls, and can make its Nth call fail. Its fds are real (of /dev/null), so that leaks show in
 * /proc/self/fd.
 *
 * A test that needs more (tun, vhost) sets `hook`, which sees every ioctl first.
 */
#ifndef KINGLET_TESTS_FAKE_SYS_H
#define KINGLET_TESTS_FAKE_SYS_H

#include "core/kvm.h"

#include <pthread.h>
#include <stdbool.h>

enum { FAKE_MAX_CALLS = 512, FAKE_MAX_ROUTES = 256, FAKE_MAX_IRQFDS = 64, FAKE_MAX_IOEVENTFDS = 64 };

/* Return from `hook`: not mine, let the fake answer. The request of a write: arg is the message. */
enum { FAKE_PASS = -1000, FAKE_WRITE = 0 };

struct fake_sys {
	struct sys sys; /* pass &fake->sys */
	pthread_mutex_t lock;
	int (*hook)(struct fake_sys *fake, int fd, unsigned long request, void *arg);
	void *hook_data;

	/* Fails the Nth call (from 1; open, ioctl, write and mmap count) with fail_errno; 0: never. */
	unsigned fail_at;
	int fail_errno;
	unsigned calls;

	/* What was set in KVM. */
	unsigned long requests[FAKE_MAX_CALLS];
	unsigned request_count;
	struct kvm_irq_routing_entry routes[FAKE_MAX_ROUTES];
	unsigned route_count;
	struct kvm_irqfd irqfds[FAKE_MAX_IRQFDS]; /* attached now */
	unsigned irqfd_count;
	struct kvm_ioeventfd ioeventfds[FAKE_MAX_IOEVENTFDS]; /* registered now */
	unsigned ioeventfd_count;
	struct kvm_userspace_memory_region slots[32]; /* by slot number; memory_size 0: none */
	bool levels[24];			      /* KVM_IRQ_LINE */
	int max_vcpus;
	bool no_irqchip; /* KVM has no pins */
	bool has_sysfs; /* what is below /sys can be opened, else it is missing */

	/*
	 * Called for KVM_RUN with the vCPU's kvm_run, so that a test can act as the guest: fill in
	 * an exit and return 0, or return -EINTR. NULL: -EINTR.
	 */
	int (*run)(struct fake_sys *fake, int vcpu_fd, struct kvm_run *run);
	struct {
		int fd;
		struct kvm_run *run;
	} vcpus[16];
	unsigned vcpu_count;
};

void fake_sys_init(struct fake_sys *fake);
void fake_sys_destroy(struct fake_sys *fake);

/* How often a request was made. */
unsigned fake_sys_count(const struct fake_sys *fake, unsigned long request);

/* Number of open fds of this process: equal before and after when nothing leaks. */
unsigned fake_open_fds(void);

/* The route of a GSI, NULL when it has none. */
const struct kvm_irq_routing_entry *fake_route(const struct fake_sys *fake, uint32_t gsi);

/* True when an irqfd on `fd` is attached; *gsi (may be NULL) says to which GSI. */
bool fake_irqfd_attached(const struct fake_sys *fake, int fd, uint32_t *gsi);

#endif
