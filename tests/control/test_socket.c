/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control socket is, and whom it lets in. */
#include "../../vmm/control/socket.h"
#include "fake_sys.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

struct rig {
	char folder[32], path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	unsigned fds;
};

static int setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->fds = fake_open_fds();
	snprintf(rig->folder, sizeof(rig->folder), "/tmp/kinglet-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->path, sizeof(rig->path), "%s/kinglet/m.sock", rig->folder);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", rig->folder, 1), 0);
	*state = rig;
	return 0;
}

static int teardown(void **state)
{
	struct rig *rig = *state;
	char folder[64];

	snprintf(folder, sizeof(folder), "%s/kinglet", rig->folder);
	rmdir(folder);
	assert_int_equal(rmdir(rig->folder), 0);
	assert_int_equal(fake_open_fds(), rig->fds);
	free(rig);
	return 0;
}

static const struct control_config named = { .name = "m" };

static mode_t mode_of(const char *path)
{
	struct stat file;

	assert_int_equal(lstat(path, &file), 0);
	return file.st_mode;
}

static bool answers(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	return !connect(fd, (const struct sockaddr *)&address, sizeof(address));
}

static void a_socket_is_for_its_user_and_goes_at_the_end(void **state)
{
	struct rig *rig = *state;
	struct control_socket sock;
	char folder[64];

	assert_int_equal(control_socket_open(&sock, &named), 0);
	assert_string_equal(sock.name, "m");
	assert_int_equal(mode_of(rig->path), S_IFSOCK | 0600);
	snprintf(folder, sizeof(folder), "%s/kinglet", rig->folder);
	assert_int_equal(mode_of(folder), S_IFDIR | 0700);
	assert_true(answers(rig->path));
	control_socket_close(&sock);
	assert_int_equal(access(rig->path, F_OK), -1);
	control_socket_close(&sock);
}

static void a_machine_has_the_name_of_its_process(void **state)
{
	const struct control_config config = { .wanted = true };
	struct control_socket sock;
	char pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	assert_int_equal(control_socket_open(&sock, &config), 0);
	assert_string_equal(sock.name, pid);
	control_socket_close(&sock);
}

static void a_live_machine_keeps_its_name(void **state)
{
	struct rig *rig = *state;
	struct control_socket first, second;

	assert_int_equal(control_socket_open(&first, &named), 0);
	assert_int_equal(control_socket_open(&second, &named), -EADDRINUSE);
	control_socket_close(&second);
	assert_true(answers(rig->path));
	control_socket_close(&first);
}

static void a_dead_machine_s_socket_is_replaced(void **state)
{
	struct rig *rig = *state;
	struct control_socket dead, sock;
	char kept[64];

	assert_int_equal(control_socket_open(&dead, &named), 0);
	/* Or the next one may get its inode. */
	snprintf(kept, sizeof(kept), "%s/kept", rig->folder);
	assert_int_equal(link(rig->path, kept), 0);
	close_fd(&dead.fd);
	assert_false(answers(rig->path));
	assert_int_equal(control_socket_open(&sock, &named), 0);
	assert_true(answers(rig->path));
	/* What is there now is not the dead one's to remove. */
	control_socket_close(&dead);
	assert_true(answers(rig->path));
	control_socket_close(&sock);
	assert_int_equal(unlink(kept), 0);
}

static void another_file_is_kept(void **state)
{
	struct rig *rig = *state;
	struct control_config config = { .where = rig->path };
	struct control_socket sock;
	int fd;

	snprintf(rig->path, sizeof(rig->path), "%s/file", rig->folder);
	fd = open(rig->path, O_CREAT | O_CLOEXEC, 0600);
	close_fd(&fd);
	assert_int_equal(control_socket_open(&sock, &config), -EEXIST);
	control_socket_close(&sock);
	assert_int_equal(unlink(rig->path), 0);
	/* Nor is it followed. */
	assert_int_equal(symlink("elsewhere", rig->path), 0);
	assert_int_equal(control_socket_open(&sock, &config), -EEXIST);
	control_socket_close(&sock);
	assert_int_equal(unlink(rig->path), 0);
}

/* As one that sudo has passed on. */
static void another_user_s_runtime_folder_is_left_alone(void **state)
{
	struct control_socket sock;
	struct rig *rig = *state;

	if (geteuid())
		assert_int_equal(setenv("XDG_RUNTIME_DIR", "/", 1), 0);
	else
		assert_int_equal(chown(rig->folder, 65534, (gid_t)-1), 0);
	assert_int_equal(control_socket_open(&sock, &named), -ENOENT);
	assert_int_equal(sock.fd, -1);
}

static void a_path_has_its_limit(void **state)
{
	char path[200];
	const struct control_config config = { .where = path };
	struct control_socket sock;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(control_socket_open(&sock, &config), -ENAMETOOLONG);
	assert_int_equal(sock.fd, -1);
}

/* A run needs none; but one that is asked for must come. */
static void without_a_folder_there_is_none(void **state)
{
	const struct control_config unnamed = { .wanted = true };
	struct control_socket sock;
	char where[64];

	(void)state;
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/nonexistent", 1), 0);
	assert_int_equal(control_socket_open(&sock, &unnamed), 0);
	assert_int_equal(sock.fd, -1);
	assert_int_equal(control_socket_open(&sock, &named), -ENOENT);
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(control_socket_open(&sock, &unnamed), 0);
	assert_int_equal(sock.fd, -1);
	assert_false(control_config_describe(&unnamed, where, sizeof(where)));
}

static void an_inherited_one_is_taken(void **state)
{
	char where[16];
	const struct control_config config = { .where = where };
	struct control_socket sock;
	int ends[2], null;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	snprintf(where, sizeof(where), "fd=%d", ends[0]);
	assert_int_equal(control_socket_open(&sock, &config), 0);
	assert_true(sock.connected);
	/* It is ours now, and would not have come from a parent. */
	assert_int_equal(control_socket_open(&sock, &config), -EBADF);
	close(ends[0]);
	close(ends[1]);
	null = open("/dev/null", O_RDWR);
	snprintf(where, sizeof(where), "fd=%d", null);
	assert_int_equal(control_socket_open(&sock, &config), -ENOTSOCK);
	close(null);
	null = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(where, sizeof(where), "fd=%d", null);
	assert_int_equal(control_socket_open(&sock, &config), -ENOTCONN);
	close(null);
}

static void an_inherited_one_may_listen(void **state)
{
	char where[16];
	const struct control_config config = { .where = where };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct rig *rig = *state;
	struct control_socket sock;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", rig->folder);
	assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	snprintf(where, sizeof(where), "fd=%d", fd);
	assert_int_equal(control_socket_open(&sock, &config), 0);
	assert_false(sock.connected);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	control_socket_close(&sock);
	/* Who made it removes it. */
	assert_int_equal(unlink(address.sun_path), 0);
}

static void other_users_are_not_let_in(void **state)
{
	(void)state;
	assert_true(control_socket_allows(1000, 1000));
	assert_true(control_socket_allows(0, 1000));
	assert_false(control_socket_allows(1001, 1000));
	assert_false(control_socket_allows(1000, 0));
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		struct control_config config;
		const char *why; /* NULL: nothing */
	} cases[] = {
		{ { .name = "a-B_3.x" }, NULL },
		{ { .name = ".x" }, "--name .x: a name has" },
		{ { .name = "a/b" }, "--name a/b: a name has" },
		{ { .where = "fd=3" }, NULL },
		{ { .where = "fd=2" }, "--control fd=2: is no inherited descriptor" },
		{ { .where = "fd=3x" }, "--control fd=3x: is no inherited descriptor" },
		{ { .where = "fd=" }, "--control fd=: is no inherited descriptor" },
		{ { .where = "off" }, NULL },
	};
	char why[200];

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret = control_config_check(&cases[i].config, why, sizeof(why));

		assert_int_equal(ret, cases[i].why ? -EINVAL : 0);
		if (cases[i].why)
			assert_memory_equal(why, cases[i].why, strlen(cases[i].why));
	}
	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(control_config_check(&named, why, sizeof(why)), -EINVAL);
}

static void dry_run_tells_where_it_would_be(void **state)
{
	const struct {
		struct control_config config;
		const char *end; /* NULL: there is none */
	} cases[] = {
		{ { .wanted = true }, "/kinglet/PID.sock" },
		{ { .name = "m" }, "/kinglet/m.sock" },
		{ { .where = "fd=4" }, "fd=4" },
		{ { .where = "off", .wanted = true }, NULL },
		{ { .wanted = false }, NULL },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		char where[128];
		bool some = control_config_describe(&cases[i].config, where, sizeof(where));

		assert_int_equal(some, cases[i].end != NULL);
		if (cases[i].end)
			assert_string_equal(where + strlen(where) - strlen(cases[i].end),
					    cases[i].end);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_socket_is_for_its_user_and_goes_at_the_end),
		TEST(a_machine_has_the_name_of_its_process),
		TEST(a_live_machine_keeps_its_name),
		TEST(a_dead_machine_s_socket_is_replaced),
		TEST(another_file_is_kept),
		TEST(another_user_s_runtime_folder_is_left_alone),
		TEST(a_path_has_its_limit),
		TEST(without_a_folder_there_is_none),
		TEST(an_inherited_one_is_taken),
		TEST(an_inherited_one_may_listen),
		TEST(other_users_are_not_let_in),
		TEST(what_cannot_be_is_refused),
		TEST(dry_run_tells_where_it_would_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
