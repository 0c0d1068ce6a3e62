/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

/* What one observer is shown; true when it has seen enough. */
struct sight {
	bool (*show)(const struct machine_observer *observer, const struct sight *sight,
		     struct verdict *end);
	enum guest_stream stream;
	const uint8_t *data;
	size_t len;
};

/* All of them see it; the first that has seen enough ends the run. */
static void show(struct vm *vm, const struct sight *sight)
{
	struct verdict end;
	bool enough = false;

	if (!vm->config->observer_count)
		return;
	pthread_mutex_lock(&vm->console_lock);
	for (unsigned i = 0; i < vm->config->observer_count; i++) {
		struct verdict its = { 0 };

		if (!sight->show(&vm->config->observers[i], sight, &its) || enough)
			continue;
		end = its;
		enough = true;
	}
	pthread_mutex_unlock(&vm->console_lock);
	if (enough)
		vm_end(vm, OUTCOME_OBSERVER, end.status, "%s", end.detail);
}

static bool show_console(const struct machine_observer *observer, const struct sight *sight,
			 struct verdict *end)
{
	return observer->ops->console &&
	       observer->ops->console(observer->owner, sight->stream, sight->data, sight->len, end);
}

void vm_show_console(struct vm *vm, enum guest_stream stream, const uint8_t *data, size_t len)
{
	const struct sight sight = {
		.show = show_console, .stream = stream, .data = data, .len = len
	};

	show(vm, &sight);
}

static bool show_tick(const struct machine_observer *observer, const struct sight *sight,
		      struct verdict *end)
{
	(void)sight;
	return observer->ops->tick && observer->ops->tick(observer->owner, end);
}

void vm_show_tick(struct vm *vm)
{
	const struct sight sight = { .show = show_tick };

	show(vm, &sight);
}

bool vm_has_ticks(const struct vm *vm)
{
	for (unsigned i = 0; i < vm->config->observer_count; i++)
		if (vm->config->observers[i].ops->tick)
			return true;
	return false;
}

void vm_show_vcpu(struct vm *vm, struct vcpu *vcpu)
{
	const struct machine_config *config = vm->config;
	struct arch_vcpu_state state;

	if (!config->observer_count || arch_vcpu_state(vcpu, &state) < 0)
		return;
	pthread_mutex_lock(&vm->console_lock);
	for (unsigned i = 0; i < config->observer_count; i++)
		if (config->observers[i].ops->vcpu)
			config->observers[i].ops->vcpu(config->observers[i].owner, vcpu->id, &state);
	pthread_mutex_unlock(&vm->console_lock);
}
