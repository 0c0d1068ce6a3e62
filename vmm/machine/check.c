/* SPDX-License-Identifier: Apache-2.0 */
/* What is wrong with a config whatever the host can do. */
#include "base/log.h"
#include "machine/machine.h"

/*
 * A machine without interrupt controllers is for bare metal: no driver could run a device, and no
 * second vCPU be started.
 */
static int check_without_irqchip(const struct machine_config *config)
{
	if (!arch_irqchip_is_optional())
		log_error("--irqchip off: this architecture's machines always have one; leave it out");
	else if (config->cpus > 1)
		log_error("--cpus %u needs --irqchip on", config->cpus);
	else if (config->disk_count || config->net_count || config->scsi_count ||
		 config->vsock.cid || config->console == CONSOLE_STDIO)
		log_error("--irqchip off: --disk, --net, --scsi, --vsock and --console stdio need "
			  "it on");
	else
		return 0;
	return -EINVAL;
}

int machine_check(const struct machine_config *config)
{
	return config->irqchip ? 0 : check_without_irqchip(config);
}
