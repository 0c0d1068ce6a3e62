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

/* What a machine that does not stop still uses. */
struct kept {
	struct machine_config config;
	char path[32];
	int fd; /* of the code, owned */
};

static int keep(const struct arch_probe *probe, struct kept **out)
{
	_cleanup_free_ struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return -ENOMEM;
	kept->fd = code_to_file(probe, kept->path, sizeof(kept->path));
	if (kept->fd < 0)
		return kept->fd;
	kept->config = (struct machine_config){
		.boot = {
			.kernel = kept->path,
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
	*out = steal_ptr(kept);
	return 0;
}

void machine_run_probe(const struct arch_probe *probe, struct sys *sys, struct verdict *verdict)
{
	struct kept *kept;
	sigset_t before;
	int ret = keep(probe, &kept);

	if (ret) {
		*verdict = (struct verdict){ .outcome = OUTCOME_HOST, .status = 101 };
		snprintf(verdict->detail, sizeof(verdict->detail), "memory: %s", strerror(-ret));
		return;
	}
	/* The command continues after this verdict, so signals are handled as before. */
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	if (machine_run(&kept->config, sys, verdict)) {
		close(kept->fd);
		free(kept);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
