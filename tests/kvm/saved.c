/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saved - is a machine that was saved, and loaded into another one, as it was? For each case of the
 * architecture; prints what differs, and status 1 if anything does.
 */
#include "saved.h"

#include "core/state.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void transfer(struct machine *m, struct state *state)
{
	require(!arch_vm_saved(&m->arch, state), "arch_vm_saved");
	for (unsigned i = 0; i < CPUS; i++)
		require(!arch_vcpu_saved(&m->arch, &m->vcpus[i], state), "arch_vcpu_saved");
}

static void save(struct machine *m, int fd)
{
	struct state *state;

	require(!state_new(&state), "state_new");
	transfer(m, state);
	require(!state_write(state, fd), "state_write");
	state_free(state);
}

static void load(struct machine *m, int fd)
{
	struct state *state;

	require(!state_open(&state, fd, "state"), "state_open");
	transfer(m, state);
	require(!state_end(state), "state_end");
	require(!arch_clock_start(&m->arch, m->vcpus, CPUS, 0), "arch_clock_start");
	state_free(state);
}

/* After the state, which is partly in RAM. */
static void copy_ram(const struct machine *from, struct machine *to)
{
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(RAM_SIZE, ranges);

	for (int i = 0; i < count; i++)
		require(!gmem_write(&to->mem, ranges[i].gpa,
				    gmem_ptr(&from->mem, ranges[i].gpa, ranges[i].len),
				    ranges[i].len),
			"gmem_write");
}

static unsigned run_case(const struct saved_case *c)
{
	static struct inventory before, after;
	static struct machine from, to;
	int fd = memfd_create("state", MFD_CLOEXEC);
	unsigned differ;

	require(fd >= 0, "memfd_create");
	build(&from);
	build(&to);
	c->prepare(&from);
	take_inventory(&from, &before);
	save(&from, fd);
	copy_ram(&from, &to);
	load(&to, fd);
	take_inventory(&to, &after);
	differ = compare(&before, &after, true);
	if (c->check && !c->check(&to)) {
		printf("%s: is lost\n", c->name);
		differ++;
	}
	close(fd);
	take_down(&from);
	take_down(&to);
	printf("saved, %s: %u values, %u not as they were\n", c->name, before.count, differ);
	return differ;
}

int main(void)
{
	unsigned differ = 0;

	for (const struct saved_case *c = saved_cases; c->name; c++)
		differ += run_case(c);
	return differ ? 1 : 0;
}
