/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vcpu.h"

#include "base/log.h"
#include "base/thread.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Its only job is to interrupt KVM_RUN; the handler does nothing. */
static int kick_signal(void)
{
	return SIGRTMIN;
}

static void kicked(int signal)
{
	(void)signal;
}

static int install_kick_handler(void)
{
	struct sigaction action = { .sa_handler = kicked };

	/* Without SA_RESTART: a vCPU thread must not fall back into the guest. */
	sigemptyset(&action.sa_mask);
	return sigaction(kick_signal(), &action, NULL) ? -errno : 0;
}

int vcpu_ioctl_from(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
		    void *arg)
{
	return sys_ioctl_from(vcpu->kvm->sys, site, vcpu->fd, request, arg);
}

int vcpu_call_from(struct vcpu *vcpu, const struct sys_site *site, unsigned long request,
		   const char *name, void *arg)
{
	int ret = vcpu_ioctl_from(vcpu, site, request, arg);

	if (ret < 0)
		log_error("vCPU %u: %s: %s", vcpu->id, name, strerror(-ret));
	return ret;
}

int vcpu_init(struct vcpu *vcpu, struct kvm *kvm, unsigned id, struct bus *pio, struct bus *mmio,
	      const struct vcpu_ops *ops, void *owner)
{
	struct sys *sys = kvm->sys;
	int ret;

	*vcpu = (struct vcpu){
		.id = id,
		.fd = -1,
		.kvm = kvm,
		.pio = pio,
		.mmio = mmio,
		.ops = ops,
		.owner = owner,
	};
	sem_init(&vcpu->parked, 0, 0);
	sem_init(&vcpu->resume, 0, 0);

	ret = install_kick_handler();
	if (ret)
		goto err;
	ret = sys_ioctl_value(sys, kvm->vm_fd, KVM_CREATE_VCPU, id);
	if (ret < 0)
		goto err;
	vcpu->fd = ret;
	vcpu->run = sys->ops->mmap(sys, vcpu->fd, kvm->vcpu_mmap_size, &ret);
	if (!vcpu->run)
		goto err;
	return 0;
err:
	vcpu_destroy(vcpu);
	return ret;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		vcpu->kvm->sys->ops->munmap(vcpu->kvm->sys, vcpu->run, vcpu->kvm->vcpu_mmap_size);
	vcpu->run = NULL;
	close_fd(&vcpu->fd);
}

/* KVM api.rst 5: `count` elements of `size` bytes, at data_offset in the kvm_run page. */
static void handle_io(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	char *data = (char *)run + run->io.data_offset;

	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			bus_read(vcpu->pio, run->io.port, data, run->io.size);
		else
			bus_write(vcpu->pio, run->io.port, data, run->io.size);
	}
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.is_write)
		bus_write(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	else
		bus_read(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
}

static enum vcpu_end handle_system_event(struct vcpu *vcpu, char *detail, size_t len)
{
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return VCPU_POWEROFF;
	case KVM_SYSTEM_EVENT_RESET:
		return VCPU_RESET;
	case KVM_SYSTEM_EVENT_CRASH:
		return VCPU_CRASH;
	default:
		snprintf(detail, len, "KVM_EXIT_SYSTEM_EVENT type %u",
			 vcpu->run->system_event.type);
		return VCPU_UNKNOWN_EXIT;
	}
}

/* The vCPU requests its own pause: it parks with its pending I/O completed, like any other. */
static enum vcpu_end handle_debug(struct vcpu *vcpu, char *detail, size_t len)
{
	if (!vcpu->ops->debugged)
		return vcpu->ops->exit(vcpu, detail, len);
	atomic_fetch_or(&vcpu->request, VCPU_REQ_PAUSE);
	vcpu->ops->debugged(vcpu->owner, vcpu);
	return VCPU_RUNNING;
}

/* VCPU_RUNNING: back into the guest. */
static enum vcpu_end handle_exit(struct vcpu *vcpu, char *detail, size_t len)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_IO:
		handle_io(vcpu);
		return VCPU_RUNNING;
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return VCPU_RUNNING;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		return VCPU_RUNNING;
	case KVM_EXIT_DEBUG:
		return handle_debug(vcpu, detail, len);
	case KVM_EXIT_HLT:
		return VCPU_HALTED;
	case KVM_EXIT_SHUTDOWN:
		return VCPU_SHUTDOWN;
	case KVM_EXIT_SYSTEM_EVENT:
		return handle_system_event(vcpu, detail, len);
	case KVM_EXIT_FAIL_ENTRY:
		snprintf(detail, len, "KVM_EXIT_FAIL_ENTRY: hardware reason 0x%llx",
			 (unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason);
		return VCPU_FAIL_ENTRY;
	default:
		return vcpu->ops->exit(vcpu, detail, len);
	}
}

static void count_exit(struct vcpu *vcpu)
{
	unsigned reason = vcpu->run->exit_reason;

	/* Only this thread writes them; a relaxed load and store avoid the locked add. */
	atomic_store_explicit(&vcpu->exits,
			      atomic_load_explicit(&vcpu->exits, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	if (reason < ARRAY_SIZE(vcpu->exits_by_reason))
		atomic_store_explicit(&vcpu->exits_by_reason[reason],
				      atomic_load_explicit(&vcpu->exits_by_reason[reason],
							   memory_order_relaxed) + 1,
				      memory_order_relaxed);
}

/*
 * One KVM_RUN and the handling of its exit. *interrupted is set when it returned without one: by a
 * signal or immediate_exit, with the previous port or memory access completed (KVM api.rst 5).
 */
static enum vcpu_end run_once(struct vcpu *vcpu, bool *interrupted, char *detail, size_t len)
{
	int ret = sys_run(vcpu->kvm->sys, vcpu->fd, vcpu->run);

	vcpu_drain_coalesced(vcpu);
	/* EAGAIN: a secondary vCPU was kicked before the boot CPU has started it. */
	*interrupted = ret == -EINTR || ret == -EAGAIN;
	if (*interrupted)
		return VCPU_RUNNING;
	if (ret < 0) {
		snprintf(detail, len, "KVM_RUN: %s", strerror(-ret));
		return VCPU_RUN_FAILED;
	}
	count_exit(vcpu);
	return handle_exit(vcpu, detail, len);
}

/*
 * Clearing immediate_exit first and reading the requests after it is one half of the handshake with
 * kick(), which does the reverse: a request is either seen here, or makes the next KVM_RUN return
 * at once.
 */
static unsigned take_requests(struct vcpu *vcpu)
{
	__atomic_store_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
	return atomic_load(&vcpu->request);
}

static void park(struct vcpu *vcpu)
{
	sem_post(&vcpu->parked);
	while (sem_wait(&vcpu->resume) && errno == EINTR)
		;
}

/*
 * Runs the guest until it ends (true) or the vCPU is requested to stop (false). KVM completes a
 * port or memory access at the next KVM_RUN, and would do so with registers that were set
 * meanwhile; so a request is only handled when KVM_RUN was interrupted.
 */
static bool run_guest(struct vcpu *vcpu, enum vcpu_end *end, char *detail, size_t len)
{
	for (;;) {
		unsigned request = take_requests(vcpu);
		bool interrupted;

		if (request)
			__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
		*end = run_once(vcpu, &interrupted, detail, len);
		if (*end != VCPU_RUNNING)
			return true;
		if (interrupted && request & VCPU_REQ_STOP)
			return false;
		if (interrupted && request & VCPU_REQ_PAUSE)
			park(vcpu);
	}
}

/* An ended vCPU still answers pauses, and leaves when it is stopped. */
static void wait_for_stop(struct vcpu *vcpu)
{
	int signal = kick_signal();
	sigset_t mask;

	/* Blocked and waited for: a kick sent before the wait is not lost. */
	sigemptyset(&mask);
	sigaddset(&mask, signal);
	pthread_sigmask(SIG_BLOCK, &mask, NULL);
	for (;;) {
		unsigned request = take_requests(vcpu);

		if (request & VCPU_REQ_STOP)
			return;
		if (request & VCPU_REQ_PAUSE)
			park(vcpu);
		else
			sigwait(&mask, &signal);
	}
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	char detail[160] = "";
	enum vcpu_end end;

	if (run_guest(vcpu, &end, detail, sizeof(detail))) {
		vcpu->ops->ended(vcpu->owner, vcpu, end, detail);
		wait_for_stop(vcpu);
	}
	return NULL;
}

static void drain(sem_t *sem)
{
	while (!sem_trywait(sem))
		;
}

static void wait_until_parked(struct vcpu *vcpu)
{
	while (sem_wait(&vcpu->parked) && errno == EINTR)
		;
}

/* A vCPU thread takes only the kick: the loop's signalfd gets the process's signals. */
int vcpu_start(struct vcpu *vcpu)
{
	sigset_t blocked;
	char name[16];
	int ret;

	atomic_store(&vcpu->request, vcpu->pauses ? VCPU_REQ_PAUSE : 0);
	drain(&vcpu->resume);
	drain(&vcpu->parked);
	sigfillset(&blocked);
	sigdelset(&blocked, kick_signal());
	ret = thread_start(&vcpu->thread, &blocked, vcpu_thread, vcpu);
	if (ret)
		return ret;
	vcpu->started = true;
	snprintf(name, sizeof(name), "vcpu-%u", vcpu->id);
	pthread_setname_np(vcpu->thread, name);
	if (vcpu->pauses)
		wait_until_parked(vcpu);
	return 0;
}

static void kick(struct vcpu *vcpu, unsigned request)
{
	atomic_fetch_or(&vcpu->request, request);
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	pthread_kill(vcpu->thread, kick_signal());
}

void vcpu_stop(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	kick(vcpu, VCPU_REQ_STOP);
	sem_post(&vcpu->resume); /* it may be parked */
	pthread_join(vcpu->thread, NULL);
	vcpu->started = false;
	vcpu->pauses = 0;
}

void vcpu_pause(struct vcpu *vcpu)
{
	if (vcpu->pauses++ || !vcpu->started)
		return;
	kick(vcpu, VCPU_REQ_PAUSE);
	wait_until_parked(vcpu);
}

void vcpu_resume(struct vcpu *vcpu)
{
	if (--vcpu->pauses || !vcpu->started)
		return;
	atomic_fetch_and(&vcpu->request, ~(unsigned)VCPU_REQ_PAUSE);
	sem_post(&vcpu->resume);
}
