/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a config that do not depend on the host. */
#include "base/log.h"
#include "base/text.h"
#include "machine/machine.h"

#include <stdio.h>

/* Logs which devices need interrupt controllers, if one of them is given. */
static bool refuse_devices(const struct machine_config *config)
{
	const struct device_set *devices = &config->devices;
	bool given = config->console == CONSOLE_STDIO;
	char buf[200];
	struct text names = text_of(buf, sizeof(buf));

	for (unsigned i = 0; i < devices->count; i++)
		given = given || devices->items[i].kind->needs_irqchip;
	if (!given)
		return false;
	for (unsigned i = 0; device_kinds[i]; i++)
		if (device_kinds[i]->needs_irqchip)
			text_add(&names, "%s--%s", names.len ? ", " : "",
				 device_kinds[i]->option.name);
	log_error("--irqchip off: %s and --console stdio need it on", buf);
	return true;
}

/*
 * A machine without interrupt controllers is for bare-metal guests: no driver could run a device,
 * and no second vCPU could be started.
 */
static int check_without_irqchip(const struct machine_config *config)
{
	if (!arch_irqchip_is_optional())
		log_error("--irqchip off: this architecture's machines always have one; leave it out");
	else if (config->cpus > 1)
		log_error("--cpus %u needs --irqchip on", config->cpus);
	else if (!refuse_devices(config))
		return 0;
	return -EINVAL;
}

int machine_check(const struct machine_config *config)
{
	return config->irqchip ? 0 : check_without_irqchip(config);
}

bool machine_can_move(const struct machine_config *config, char *why, size_t len)
{
	const char *name, *text = device_set_stays(&config->devices, &name);

	/* Its breakpoints may be instructions in the guest's RAM. */
	if (!text && config->debugged) {
		name = "gdb";
		text = "a debugger's machine stays where that is; leave it out";
	}
	if (text)
		snprintf(why, len, "--%s: %s", name, text);
	return !text;
}
