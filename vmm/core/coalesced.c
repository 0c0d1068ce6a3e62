/* SPDX-License-Identifier: Apache-2.0 */
#include "core/vcpu.h"

void kvm_coalesce_port(struct kvm *kvm, uint16_t port, unsigned len)
{
	struct kvm_coalesced_mmio_zone zone = { .addr = port, .size = len, .pio = 1 };

	if (!kvm->coalesced_page || !kvm_check_extension(kvm, KVM_CAP_COALESCED_PIO))
		return;
	if (kvm_vm_ioctl(kvm, KVM_REGISTER_COALESCED_MMIO, &zone) < 0)
		return;
}

static void replay(struct vcpu *vcpu, const struct kvm_coalesced_mmio *write)
{
	bus_write(write->pio ? vcpu->pio : vcpu->mmio, write->phys_addr, write->data, write->len);
}

/*
 * All vCPUs share the ring: KVM fills it at `last`, and a vCPU drains it at `first`, under the
 * lock, so that writes reach their device in order.
 */
void vcpu_drain_coalesced(struct vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_coalesced_mmio_ring *ring;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t first;

	if (!kvm->coalesced_page)
		return;
	ring = (void *)((char *)vcpu->run + kvm->coalesced_page * page);
	/* Another vCPU that handles an entry moves `first` only when it has finished. */
	if (__atomic_load_n(&ring->first, __ATOMIC_ACQUIRE) ==
	    __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE))
		return;

	pthread_mutex_lock(&kvm->coalesced_lock);
	first = ring->first;
	while (first != __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE)) {
		replay(vcpu, &ring->coalesced_mmio[first]);
		first = (first + 1) % ((page - sizeof(*ring)) / sizeof(ring->coalesced_mmio[0]));
		/* The entry returns to KVM only after it was read. */
		__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&kvm->coalesced_lock);
}
