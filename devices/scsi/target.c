/* SPDX-License-Identifier: Apache-2.0 */
#include "target.h"

#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

static const char mounts[] = "/proc/mounts";

/* A host error, even if its errno means an input error elsewhere. */
static int host_error(int err)
{
	return err ? -EIO : 0;
}

int scsi_target_check(const char *wwpn)
{
	struct lio lio;

	return lio_find(&lio, mounts) ? 0 : host_error(lio_check_target(&lio, wwpn));
}

int scsi_target_new(struct scsi_target **out, const struct image_options *image, unsigned index)
{
	_cleanup_free_ struct scsi_target *target = calloc(1, sizeof(*target));
	int ret;

	if (!target)
		return -ENOMEM;
	ret = lio_find(&target->lio, mounts);
	if (ret) {
		lio_log_not_found(ret);
		return host_error(ret);
	}
	lio_remove_stale(&target->lio);
	ret = lio_target_create(&target->made, &target->lio, image, index);
	if (!ret)
		*out = steal_ptr(target);
	return ret;
}

int scsi_target_let_go(struct scsi_target *target)
{
	return lio_target_let_go(&target->made);
}

/* One that was killed with it has left a target. */
int scsi_target_take(struct scsi_target *target)
{
	if (target->made.taken)
		return 0;
	lio_remove_stale(&target->lio);
	return lio_target_take(&target->made);
}

void scsi_target_destroy(struct scsi_target *target)
{
	if (target)
		lio_target_destroy(&target->made);
	free(target);
}

/* In a separate process without open files: a target in use cannot be removed. */
static _Noreturn void remove_after(int process, const struct lio *lio)
{
	struct pollfd gone = { .fd = STDERR_FILENO + 1, .events = POLLIN };

	setsid();
	if (dup2(process, gone.fd) < 0 || close_range((unsigned)gone.fd + 1, ~0U, 0))
		_exit(1);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
	while (poll(&gone, 1, -1) != 1)
		;
	lio_remove_stale(lio);
	_exit(0);
}

bool scsi_targets_abandon(void)
{
	_cleanup_close_ int process = -1;
	struct lio lio;

	if (lio_find(&lio, mounts))
		return false;
	process = pidfd_open(getpid(), 0);
	if (process >= 0 && fork() == 0)
		remove_after(process, &lio);
	return true;
}

void scsi_targets_remove_stale(void)
{
	struct lio lio;

	if (!lio_find(&lio, mounts))
		lio_remove_stale(&lio);
}
