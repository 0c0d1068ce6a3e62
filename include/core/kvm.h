/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev/kvm and one VM: the two fds, capabilities, and nothing else. (KVM api.rst)
 */
#ifndef KINGLET_CORE_KVM_H
#define KINGLET_CORE_KVM_H

#include "core/sys.h"

#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>

struct kvm {
	struct sys *sys;	/* borrowed */
	int dev_fd;		/* /dev/kvm, owned */
	int vm_fd;		/* owned */
	size_t vcpu_mmap_size;	/* bytes of struct kvm_run and its rings */
	unsigned max_vcpus;	/* KVM_CAP_MAX_VCPUS */
	unsigned coalesced_page; /* of the vCPU mmap, in pages; 0: KVM has no coalescing */
	pthread_mutex_t coalesced_lock; /* for the consumer of the VM's one ring */
	bool has_irqchip;	/* set by arch when the in-kernel interrupt controller exists */
};

/*
 * Opens /dev/kvm, checks the API version (12) and creates a VM of the machine type that the arch
 * asks for (0 on x86; the IPA size on arm64). Logs the reason on failure.
 * Errors: -ENOENT, -EACCES, … of open(2); -ENOSYS for another API version; those of KVM_CREATE_VM.
 */
__must_check int kvm_init(struct kvm *kvm, struct sys *sys, unsigned long machine_type);

/* Closes both fds. All vCPUs must be gone. Safe after a failed kvm_init(). */
void kvm_destroy(struct kvm *kvm);

/*
 * On an open /dev/kvm, before there is a VM: the API version, or a negative errno; 0 when the
 * extension is absent, else its positive value.
 */
__must_check int kvm_device_version(struct sys *sys, int dev_fd);
int kvm_device_extension(struct sys *sys, int dev_fd, long extension);

/* KVM api.rst 4.4 on the VM fd: 0 when the extension is absent, else its positive value. */
#define kvm_check_extension(kvm, extension) kvm_check_extension_from(kvm, SYS_HERE, extension)
int kvm_check_extension_from(struct kvm *kvm, const struct sys_site *site, long extension);

/* An ioctl on the VM fd: >= 0 or a negative errno. Any thread. */
#define kvm_vm_ioctl(kvm, request, arg) kvm_vm_ioctl_from(kvm, SYS_HERE, request, arg)
__must_check int kvm_vm_ioctl_from(struct kvm *kvm, const struct sys_site *site,
				   unsigned long request, void *arg);

/* The same for one that must not fail: logs its name and why when it does. */
#define kvm_vm_call(kvm, request, arg) kvm_vm_call_from(kvm, SYS_HERE, request, #request, arg)
__must_check int kvm_vm_call_from(struct kvm *kvm, const struct sys_site *site,
				  unsigned long request, const char *name, void *arg);

/*
 * Lets KVM collect guest writes to the ports [port, port + len) instead of leaving the guest for
 * each: vCPUs get them in order before their next exit is handled (KVM api.rst 4.116). For
 * registers whose write has no effect before another register is accessed. Lasts as long as the VM.
 * If KVM cannot do it, each write is an exit as before, and nothing is lost: hence no result.
 */
void kvm_coalesce_port(struct kvm *kvm, uint16_t port, unsigned len);

/*
 * Registers (attach) or drops eventfd `fd` for guest writes to MMIO address gpa, of any length
 * where KVM can (KVM_CAP_IOEVENTFD_ANY_LENGTH), else of two bytes; any value. `fd` is borrowed: KVM
 * keeps its own reference until it is dropped. Errors of KVM_IOEVENTFD (KVM api.rst 4.59):
 * -EEXIST, -ENOSPC, …
 */
__must_check int kvm_ioeventfd(struct kvm *kvm, uint64_t gpa, int fd, bool attach);

#endif
