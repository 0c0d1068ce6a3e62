/* SPDX-License-Identifier: Apache-2.0 */
/* A machine without devices, and what KVM tells of it, for reset.c and saved.c. */
#include "machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "reset: %s\n", what);
	exit(1);
}

void add_value(struct inventory *inventory, uint64_t value, const char *fmt, ...)
{
	struct value *to = &inventory->values[inventory->count++];
	va_list args;

	require(inventory->count < VALUES_MAX, "VALUES_MAX is too small");
	va_start(args, fmt);
	vsnprintf(to->name, sizeof(to->name), fmt, args);
	va_end(args);
	to->value = value;
}

void add_words(struct inventory *inventory, const char *name, const void *data, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint32_t)) {
		uint32_t word;

		memcpy(&word, (const char *)data + i, sizeof(word));
		add_value(inventory, word, "%s+0x%zx", name, i);
	}
}

void build(struct machine *m)
{
	const struct arch_vm_options options = { .cpus = CPUS, .irqchip = true };
	const struct gmem_options private = { 0 };
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(RAM_SIZE, ranges);

	sys_init(&m->sys);
	require(!gmem_init(&m->mem, ranges, (unsigned)count, &private), "no memory");
	require(!kvm_init(&m->kvm, &m->sys, arch_machine_type(RAM_SIZE)), "no KVM");
	require(!gmem_kvm_attach(&m->memslots, &m->mem, &m->kvm), "no memory slot");
	require(!bus_init(&m->pio) && !bus_init(&m->mmio), "no bus");
	require(!arch_vm_init(&m->arch, &m->kvm, &options), "no machine");
	for (unsigned i = 0; i < CPUS; i++)
		require(!vcpu_init(&m->vcpus[i], &m->kvm, i, &m->pio, &m->mmio, NULL, NULL) &&
				!arch_vcpu_init(&m->arch, &m->vcpus[i]),
			"no vCPU");
	require(!arch_vm_reset(&m->arch), "no power-on");
}

void take_down(struct machine *m)
{
	for (unsigned i = 0; i < CPUS; i++)
		vcpu_destroy(&m->vcpus[i]);
	arch_vm_destroy(&m->arch);
	bus_destroy(&m->pio);
	bus_destroy(&m->mmio);
	gmem_del_listener(&m->mem, &m->memslots.listener);
	kvm_destroy(&m->kvm);
	gmem_destroy(&m->mem);
}

static bool may_differ(const char *name)
{
	for (const struct exception *may = exceptions; may->name; may++)
		if (strcmp(name, may->name) == 0)
			return true;
	return false;
}

unsigned compare(const struct inventory *before, const struct inventory *after, bool same)
{
	unsigned differ = 0;

	require(before->count == after->count, "KVM tells of more or less than before");
	for (unsigned i = 0; i < before->count; i++) {
		const struct value *was = &before->values[i], *is = &after->values[i];

		require(strcmp(was->name, is->name) == 0, "KVM tells of something else");
		if (was->value == is->value || (same && may_differ(was->name)))
			continue;
		differ++;
		if (same)
			printf("%s: before 0x%llx, now 0x%llx\n", was->name,
			       (unsigned long long)was->value, (unsigned long long)is->value);
	}
	return differ;
}
