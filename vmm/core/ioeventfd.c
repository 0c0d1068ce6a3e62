/* SPDX-License-Identifier: Apache-2.0 */
#include "core/kvm.h"

int kvm_ioeventfd(struct kvm *kvm, uint64_t gpa, int fd, bool attach)
{
	struct kvm_ioeventfd args = {
		.addr = gpa,
		.len = kvm_check_extension(kvm, KVM_CAP_IOEVENTFD_ANY_LENGTH) ? 0 : 2,
		.fd = fd,
		.flags = attach ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	return kvm_vm_ioctl(kvm, KVM_IOEVENTFD, &args);
}
