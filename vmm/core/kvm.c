/* SPDX-License-Identifier: Apache-2.0 */
#include "core/kvm.h"

#include "base/log.h"
#include "core/node.h"

#include <fcntl.h>
#include <string.h>

static const struct device_node kvm_node = {
	.path = "/dev/kvm",
	.absent = "x86: load the kvm_intel or kvm_amd module; is virtualisation on in the firmware? "
		  "arm64: was the kernel started at EL2?",
	.forbidden = "join the group that owns it: usermod -aG kvm USER",
};

static int open_device(struct sys *sys)
{
	int ret = sys_open(sys, kvm_node.path, O_RDWR);
	char reason[200];

	if (ret < 0) {
		node_reason(&kvm_node, sys, ret, reason, sizeof(reason));
		log_error("/dev/kvm: open: %s", reason);
	}
	return ret;
}

/* KVM api.rst 4.2: the type is only refused, never adjusted; EINTR is documented and transient. */
static int create_vm(struct kvm *kvm, unsigned long machine_type)
{
	int ret;

	do
		ret = sys_ioctl_value(kvm->sys, kvm->dev_fd, KVM_CREATE_VM, machine_type);
	while (ret == -EINTR);
	return ret;
}

/* KVM api.rst 4.2: a type other than 0 is a number of address bits, where KVM limits them. */
static void log_create(struct kvm *kvm, int err, unsigned long machine_type)
{
	int bits = kvm_device_extension(kvm->sys, kvm->dev_fd, KVM_CAP_ARM_VM_IPA_SIZE);

	if (err == -EINVAL && bits && machine_type > (unsigned)bits)
		log_error("/dev/kvm: guests of this host have %d address bits, and this one takes "
			  "%lu; give it less --memory", bits, machine_type);
	else
		log_error("/dev/kvm: KVM_CREATE_VM: %s", strerror(-err));
}

int kvm_init(struct kvm *kvm, struct sys *sys, unsigned long machine_type)
{
	int ret;

	*kvm = (struct kvm){ .sys = sys, .dev_fd = -1, .vm_fd = -1 };
	pthread_mutex_init(&kvm->coalesced_lock, NULL);

	kvm->dev_fd = ret = open_device(sys);
	if (ret < 0)
		return ret;

	ret = kvm_device_version(sys, kvm->dev_fd);
	if (ret < 0) {
		log_error("/dev/kvm: KVM_GET_API_VERSION: %s", strerror(-ret));
		goto err_destroy;
	}
	if (ret != KVM_API_VERSION) {
		log_error("/dev/kvm: API version %d, need %d", ret, KVM_API_VERSION);
		ret = -ENOSYS;
		goto err_destroy;
	}

	ret = sys_ioctl_value(sys, kvm->dev_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (ret < (int)sizeof(struct kvm_run)) {
		log_error("/dev/kvm: KVM_GET_VCPU_MMAP_SIZE: %d", ret);
		ret = ret < 0 ? ret : -ENOSYS;
		goto err_destroy;
	}
	kvm->vcpu_mmap_size = (size_t)ret;

	ret = create_vm(kvm, machine_type);
	if (ret < 0) {
		log_create(kvm, ret, machine_type);
		goto err_destroy;
	}
	kvm->vm_fd = ret;

	/* KVM api.rst 4.4: kernels without the capability allow four vCPUs. */
	ret = kvm_check_extension(kvm, KVM_CAP_MAX_VCPUS);
	kvm->max_vcpus = ret > 0 ? (unsigned)ret : 4;

	kvm->coalesced_page = (unsigned)kvm_check_extension(kvm, KVM_CAP_COALESCED_MMIO);
	if (!kvm_check_extension(kvm, KVM_CAP_IMMEDIATE_EXIT)) {
		log_error("/dev/kvm: no KVM_CAP_IMMEDIATE_EXIT (Linux 4.13 or newer is needed)");
		ret = -ENOSYS;
		goto err_destroy;
	}
	return 0;

err_destroy:
	kvm_destroy(kvm);
	return ret;
}

void kvm_destroy(struct kvm *kvm)
{
	close_fd(&kvm->vm_fd);
	close_fd(&kvm->dev_fd);
	pthread_mutex_destroy(&kvm->coalesced_lock);
}

int kvm_device_version(struct sys *sys, int dev_fd)
{
	return sys_ioctl_value(sys, dev_fd, KVM_GET_API_VERSION, 0);
}

int kvm_device_extension(struct sys *sys, int dev_fd, long extension)
{
	int ret = sys_ioctl_value(sys, dev_fd, KVM_CHECK_EXTENSION, (unsigned long)extension);

	return ret > 0 ? ret : 0;
}

int kvm_check_extension_from(struct kvm *kvm, const struct sys_site *site, long extension)
{
	int ret = sys_ioctl_from(kvm->sys, site, kvm->vm_fd, KVM_CHECK_EXTENSION,
				 (void *)extension);

	return ret > 0 ? ret : 0;
}

int kvm_vm_ioctl_from(struct kvm *kvm, const struct sys_site *site, unsigned long request,
		      void *arg)
{
	return sys_ioctl_from(kvm->sys, site, kvm->vm_fd, request, arg);
}

int kvm_vm_call_from(struct kvm *kvm, const struct sys_site *site, unsigned long request,
		     const char *name, void *arg)
{
	int ret = kvm_vm_ioctl_from(kvm, site, request, arg);

	if (ret < 0)
		log_error("/dev/kvm: %s: %s", name, strerror(-ret));
	return ret;
}
