/* SPDX-License-Identifier: Apache-2.0 */
/* The debugger's socket, on a machine without vCPUs. */
#include "fake_sys.h"
#include "gdb/server.h"
#include "unit.h"

#include "core/loop.h"
#include "machine/machine.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

struct rig {
	char folder[32], path[64];
	struct loop loop;
	struct machine_config config;
	struct machine_parts parts;
	struct gdb_config gdb;
	struct gdb_server *server;
	unsigned fds; /* open before */
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->fds = fake_open_fds();
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/kinglet-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/gdb", rig->folder);
	assert_int_equal(loop_init(&rig->loop), 0);
	rig->gdb = (struct gdb_config){ .listen = rig->path, .nowait = true };
	rig->parts = (struct machine_parts){ .config = &rig->config, .loop = &rig->loop };
	assert_int_equal(gdb_server_new(&rig->server, &rig->gdb), 0);
	assert_int_equal(gdb_server_ops.built(rig->server, &rig->parts), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	const struct verdict verdict = { 0 };
	struct rig *rig = *state;

	gdb_server_ops.stopped(rig->server, &verdict);
	gdb_server_free(rig->server);
	loop_destroy(&rig->loop);
	assert_int_equal(rmdir(rig->folder), 0);
	assert_int_equal(fake_open_fds(), rig->fds);
	free(rig);
	return 0;
}

static void turn(struct rig *rig)
{
	loop_stop(&rig->loop);
	assert_int_equal(loop_run(&rig->loop), 0);
}

/* It waits in the queue until the loop lets it in. */
static int queue_up(const struct rig *rig)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", rig->path);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Beside its own end. */
static bool loop_has_work(struct rig *rig)
{
	struct epoll_event ready[2];

	loop_stop(&rig->loop);
	return epoll_wait(rig->loop.epoll_fd, ready, 2, 0) > 1;
}

/* It is tried again a tenth of a second later, and in between the loop has nothing to do. */
static void a_process_without_descriptors_waits_for_one(void **state)
{
	struct rig *rig = *state;
	int fd = queue_up(rig);
	struct rlimit before, none;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = (struct rlimit){ 0, before.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	for (unsigned tries = 0; tries < 2; tries++) {
		unsigned turns = 0;

		while (!loop_has_work(rig))
			;
		while (loop_has_work(rig) && turns++ < 1000)
			turn(rig);
		assert_true(turns < 1000);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_process_without_descriptors_waits_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
