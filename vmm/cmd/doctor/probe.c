/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/probe.h"

#include "base/files.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* The loader needs a path. The caller owns the fd; negative errno. */
static int code_to_file(const struct arch_probe *probe, char *path, size_t len)
{
	_cleanup_close_ int fd = memfd_create("probe", MFD_CLOEXEC);
	size_t size = (size_t)(probe->end - probe->code);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write_all(fd, probe->code, size);
	if (ret)
		return ret;
	snprintf(path, len, "/proc/self/fd/%d", fd);
	return steal_fd(&fd);
}

void machine_run_probe(const struct arch_probe *probe, struct sys *sys, struct verdict *verdict)
{
	char path[32];
	_cleanup_close_ int fd = code_to_file(probe, path, sizeof(path));
	struct machine_config *config = fd < 0 ? NULL : malloc(sizeof(*config));
	sigset_t before;

	if (!config) {
		*verdict = (struct verdict){ .outcome = OUTCOME_HOST, .status = 101 };
		snprintf(verdict->detail, sizeof(verdict->detail), "memory: %s",
			 strerror(fd < 0 ? -fd : ENOMEM));
		return;
	}
	*config = (struct machine_config){
		.boot = {
			.kernel = path,
			.cmdline = "",
			.format = BOOT_FORMAT_FLAT,
			.flat_address = probe->address,
			.flat_mode = probe->mode,
			.cpus = 1,
		},
		.cpus = 1,
		.memory = 16ULL << 20,
		.irqchip = true,
		.serial = SERIAL_OFF,
		.timeout_ns = 10ULL * 1000 * 1000 * 1000,
	};
	/* The command continues after this verdict, so signals are handled as before. */
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	if (machine_run(config, sys, verdict))
		free(config);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
