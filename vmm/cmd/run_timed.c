/* SPDX-License-Identifier: Apache-2.0 */
/* One run of a machine: the only place where observers are attached. */
#include "cmd/commands.h"

#include "base/log.h"
#include "cmd/run_options.h"
#include "cmd/snapshot_on.h"
#include "guestlog/guest_log.h"

#include <string.h>

/* Final messages must not be lost because of a slow reader. */
enum { SETTLE_MS = 500 };

/* Used by the machine during its lifetime. */
struct kept {
	struct machine_config config;
	struct sys sys;
	struct stats stats;
	struct watch *watch;	       /* owned, or NULL */
	struct guest_log log; /* if the command has none */
	struct snapshot_on snapshot_on;
	struct gdb_server *gdb_server; /* owned, or NULL */
	struct control_server *control; /* owned, or NULL */
};

static void attach(struct kept *kept, const struct machine_observer_ops *ops, void *owner)
{
	struct machine_config *config = &kept->config;

	config->observers[config->observer_count++] = (struct machine_observer){ ops, owner };
}

/* After those of the command, which can thus end the run before a panic does. */
static int attach_all(struct kept *kept, const struct run_options *options, struct guest_log *log)
{
	int ret = watch_new(&kept->watch, &options->watch);

	if (!ret)
		ret = gdb_server_new(&kept->gdb_server, &options->gdb);
	if (!ret)
		ret = control_server_new(&kept->control, &options->control);
	if (ret)
		return ret;
	/* A machine whose name is taken is refused before files are written. */
	if (kept->control)
		attach(kept, &control_server_ops, kept->control);
	if (options->stats)
		attach(kept, &stats_ops, &kept->stats);
	if (kept->watch) {
		attach(kept, &watch_ops, kept->watch);
		guest_log_listen(log, watch_listener(kept->watch));
	}
	if (options->config.snapshot && strcmp(options->snapshot_on, "port") != 0) {
		kept->snapshot_on.text = options->snapshot_on;
		attach(kept, &snapshot_on_ops, &kept->snapshot_on);
		guest_log_listen(log, snapshot_on_listener(&kept->snapshot_on));
	}
	attach(kept, &guest_log_ops, log);
	if (kept->gdb_server)
		attach(kept, &gdb_server_ops, kept->gdb_server);
	return 0;
}

static void destroy(struct kept *kept)
{
	control_server_free(kept->control);
	gdb_server_free(kept->gdb_server);
	watch_free(kept->watch);
	free(kept);
}

static struct kept *prepare(const struct run_options *options, struct guest_log *log)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (!kept)
		return NULL;
	kept->config = options->config;
	sys_init(&kept->sys);
	if (!attach_all(kept, options, log ? log : &kept->log))
		return kept;
	destroy(kept);
	return NULL;
}

int run_timed(const struct run_options *options, struct guest_log *log, struct verdict *verdict,
	      double *seconds)
{
	uint64_t started_ns = options->config.started_ns;
	uint64_t start = started_ns ? started_ns : sys_now_ns();
	struct kept *kept = prepare(options, log);
	bool gone = true;

	*verdict = (struct verdict){ .outcome = OUTCOME_HOST, .status = EXIT_HOST };
	if (kept)
		gone = machine_run(&kept->config, &kept->sys, verdict);
	else
		log_error("machine: %s", strerror(ENOMEM));
	if (kept)
		control_server_end(kept->control, verdict, outcome_word(verdict->outcome));
	*seconds = (double)(sys_now_ns() - start) / 1e9;
	log_settle(SETTLE_MS);
	if (!gone)
		return COMMAND_LEAVE;
	if (kept)
		destroy(kept);
	return 0;
}
