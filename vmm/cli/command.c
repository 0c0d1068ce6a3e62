/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include "devices/kind.h"

bool command_takes(const struct command *command, const struct option_list *list)
{
	const struct option_list *const *taken = command->options;

	while (*taken && *taken != list)
		taken++;
	return *taken;
}

const struct option *option_list_devices(const struct option_list *list)
{
	for (unsigned i = 0; i < list->count; i++)
		if (list->table[i].kind == OPTION_DEVICES)
			return &list->table[i];
	return NULL;
}

bool command_runs_machine(const struct command *command)
{
	const struct option_list *const *list = command->options;

	while (*list && !option_list_devices(*list))
		list++;
	return *list;
}

/* The option of the kind at *i, or NULL and *i minus their number. */
static const struct option *device_option_at(unsigned *i)
{
	for (int unasked = 0; unasked <= 1; unasked++) {
		for (const struct device_kind *const *kind = device_kinds; *kind; kind++) {
			const struct option *option = &(*kind)->option;

			if ((option->initial != NULL) == unasked && !(*i)--)
				return option;
		}
	}
	return NULL;
}

const struct option *option_at(const struct option_list *list, unsigned i)
{
	const struct option *option = list->table;

	for (; option < list->table + list->count; option++) {
		const struct option *device;

		if (option->kind != OPTION_DEVICES && !i--)
			return option;
		device = option->kind == OPTION_DEVICES ? device_option_at(&i) : NULL;
		if (device)
			return device;
	}
	return NULL;
}
