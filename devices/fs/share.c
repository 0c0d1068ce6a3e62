/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --share: a folder by a virtiofsd of Kinglet's own. It gets a listening socket as descriptor 3, at
 * which Kinglet's connection waits already: when that closes, it ends, so that it does not outlive
 * Kinglet even if that is killed.
 *
 * virtiofsd puts itself into namespaces of its own, in which the folder is all there is. The one in
 * C has to be root for that: for others it is so in a user namespace, where the user's files are
 * root's. A folder is read-only by a mount, in a mount namespace: over READONLY_AT, which virtiofsd
 * does not need, since a mount over / would not be seen. What is mounted in the folder is not there.
 */
#include "internal.h"

#include "base/log.h"
#include "host/child.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define READONLY_AT "/sys"

#define SHARE(member) OPTION_FIELD(struct share_config, member)

enum { SHARE_FOLDER, SHARE_TAG, SHARE_READONLY, SHARE_CACHE };

const struct option_word share_cache_words[] = {
	{ "auto", SHARE_CACHE_AUTO },
	{ "always", SHARE_CACHE_ALWAYS },
	{ "none", SHARE_CACHE_NONE },
	{ NULL, 0 },
};

static const struct option share_table[] = {
	[SHARE_FOLDER] = {
		.name = "folder", .metavar = "DIR", .kind = OPTION_STRING, .min = 1,
		.max = PATH_MAX - 1, .file = FILE_FOLDER,
		.help = "the folder; the guest has what its user may do in it",
		SHARE(folder),
	},
	[SHARE_TAG] = {
		.name = "tag", .metavar = "NAME", .kind = OPTION_STRING, .initial = "share",
		.min = 1, .max = VIRTIO_FS_TAG_MAX,
		.help = "what the guest mounts: mount -t virtiofs NAME DIR",
		SHARE(tag),
	},
	[SHARE_READONLY] = {
		.name = "readonly", .kind = OPTION_FLAG,
		.help = "refuse all changes; what is mounted in the folder is left out",
		SHARE(readonly),
	},
	[SHARE_CACHE] = {
		.name = "cache", .kind = OPTION_WORD, .words = share_cache_words, .initial = "auto",
		.help = "how long the guest relies on what it knows of files: for a second, until "
			"it forgets it (no one else changes them), or not at all",
		SHARE(cache),
	},
};

static const char *share_finish(void *item, uint64_t given)
{
	(void)item;
	return given >> SHARE_FOLDER & 1 ? NULL : "names no folder; write --share DIR";
}

static const struct option_keys share_keys = {
	.table = share_table,
	.count = ARRAY_SIZE(share_table),
	.finish = share_finish,
};

static void share_describe(FILE *out, const void *config)
{
	const struct share_config *share = config;

	fprintf(out, "%s as %s, by virtiofsd%s", share->folder, share->tag,
		share->readonly ? ", read-only" : "");
}

/* QEMU's, in C, which takes its options differently; the other one has a folder of its own. */
static bool is_old(const char *program)
{
	return strstr(program, "/qemu/");
}

static int find_daemon(const char *folder, char *path, size_t len)
{
	if (child_find("", "virtiofsd", path, len)) {
		log_error("share: no virtiofsd (apt install virtiofsd; Debian 12: apt install "
			  "qemu-system-common)");
		return -ENOENT;
	}
	if (!is_old(path) || !strpbrk(folder, ",\\"))
		return 0;
	log_error("share %s: this virtiofsd takes no path with a comma or backslash", folder);
	return -EINVAL;
}

/* Its path, without symbolic links. Logs. */
static int find_folder(const struct share_config *share, char path[PATH_MAX])
{
	struct stat st;
	int ret = 0;

	if (!realpath(share->folder, path) || stat(path, &st))
		ret = -errno;
	else if (!S_ISDIR(st.st_mode))
		ret = -ENOTDIR;
	if (ret)
		log_error("share %s: %s", share->folder, strerror(-ret));
	return ret;
}

static int share_check(const void *config, const struct device_ram *ram)
{
	char path[PATH_MAX], program[PATH_MAX];
	int ret = find_folder(config, path);

	(void)ram;
	if (ret)
		return ret;
	return find_daemon(path, program, sizeof(program));
}

static int share_conflict(const void *config, const void *before)
{
	const struct share_config *a = config, *b = before;

	if (a == b || strcmp(a->tag, b->tag) != 0)
		return 0;
	log_error("--share tag=%s: is given twice; each has a tag of its own", a->tag);
	return -EINVAL;
}

static const char *share_stays(const void *config)
{
	(void)config;
	return "the files that the guest has open are virtiofsd's; a machine with --share cannot "
	       "be saved or moved";
}

static bool share_shares_ram(const void *config)
{
	(void)config;
	return true;
}

/* --- The daemon ------------------------------------------------------------------------------- */

struct share {
	struct child child;
	char folder[PATH_MAX]; /* without symbolic links */
	char program[PATH_MAX];
};

static void device_gone(void *owner)
{
	struct share *share = owner;
	char how[240];

	child_let_end(&share->child, how, sizeof(how));
	free(share);
}

static void daemon_ended(struct child *child, const char *how)
{
	const struct share *share = container_of(child, struct share, child);

	log_error("share %s: virtiofsd has ended (%s)", share->folder, how);
}

/* fds[0] is connected to fds[1], which listens and has no name any more. */
static int connect_unnamed(int fds[2])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct sockaddr *at = (const struct sockaddr *)&address;
	char folder[] = "/tmp/kinglet-XXXXXX";
	int ret = 0;

	fds[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	fds[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fds[0] < 0 || fds[1] < 0 || !mkdtemp(folder))
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	if (bind(fds[1], at, sizeof(address)) || listen(fds[1], 1) ||
	    connect(fds[0], at, sizeof(address)))
		ret = -errno;
	unlink(address.sun_path);
	rmdir(folder);
	return ret;
}

struct command {
	const char *args[20]; /* as many as there can be, and NULL */
	unsigned count;
};

#define ADD(command, ...)                                                                          \
	add(command, (const char *const[]){ __VA_ARGS__ },                                         \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void add(struct command *command, const char *const words[], size_t count)
{
	memcpy(command->args + command->count, words, count * sizeof(*words));
	command->count += (unsigned)count;
}

static int start_daemon(struct share *share, const struct share_config *config, int listener)
{
	static const char *const caches[2][3] = {
		{ "--cache=auto", "--cache=always", "--cache=never" },
		{ "cache=auto", "cache=always", "cache=none" },
	};
	const bool old = is_old(share->program);
	/* The other one makes its user namespace itself. */
	const bool user = geteuid() && (old || config->readonly);
	const char *cache = caches[old][config->cache];
	struct command command = { .count = 0 };
	char source[PATH_MAX + 16], why[8];

	if (user || config->readonly)
		ADD(&command, "unshare");
	if (user)
		ADD(&command, "--user", "--map-root-user");
	if (config->readonly)
		ADD(&command, "--mount", "sh", "-c",
		    "mount --bind \"$0\" " READONLY_AT " 2>/dev/null && "
		    "mount -o remount,bind,ro " READONLY_AT " && exec \"$@\"\n"
		    "echo cannot be mounted read-only: without root, nothing may be mounted below it "
		    ">&2; exit 1", share->folder);
	snprintf(source, sizeof(source), old ? "source=%s" : "--shared-dir=%s",
		 config->readonly ? READONLY_AT : share->folder);
	ADD(&command, share->program, "--fd=3");
	if (old)
		ADD(&command, "-o", source, "-o", cache);
	else
		ADD(&command, source, cache);
	return child_start(&share->child, command.args, listener, 0, why, sizeof(why));
}

/* Starts it, with Kinglet's connection waiting at its socket: *fd is Kinglet's. Logs. */
static int start(struct share *share, const struct share_config *config, int *fd)
{
	int fds[2] = { -1, -1 };
	int ret = find_daemon(share->folder, share->program, sizeof(share->program));

	if (ret)
		return ret;
	ret = connect_unnamed(fds);
	if (!ret)
		ret = start_daemon(share, config, fds[1]);
	close_fd(&fds[1]);
	*fd = fds[0];
	if (ret)
		log_error("share %s: starting virtiofsd: %s", config->folder, strerror(-ret));
	return ret;
}

/* It ends when the connection closes, at the latest when the caller has closed fd. Logs. */
static int make_device(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
		       const struct share_config *config, struct share *share, int fd)
{
	const struct fs_config fs = { .tag = config->tag, .vhost_user = share->program, .queues = 1 };
	const struct fs_daemon daemon = {
		.unsaved = share_stays(config),
		.final = "its virtiofsd has ended",
		.fd = fd,
		.gone = device_gone,
		.owner = share,
	};

	return fs_new(out, env, instance, &fs, &daemon);
}

static int share_create(struct virtio_dev **out, const struct virtio_env *env, unsigned instance,
			const void *config)
{
	_cleanup_free_ struct share *share = calloc(1, sizeof(*share));
	_cleanup_close_ int fd = -1;
	char how[240];
	int ret;

	if (!share)
		return -ENOMEM;
	ret = find_folder(config, share->folder);
	if (ret)
		return ret;
	/* Any other failure is a host error, even if its errno is ENOENT. */
	share->child.ended = daemon_ended;
	if (start(share, config, &fd))
		return -EIO;
	if (make_device(out, env, instance, config, share, fd)) {
		close_fd(&fd);
		child_let_end(&share->child, how, sizeof(how));
		log_error("share %s: virtiofsd: %s", share->folder, how);
		return -EIO;
	}
	if (!child_watch(&steal_ptr(share)->child, env->loop))
		return 0;
	log_error("%s: virtiofsd cannot be watched", (*out)->name);
	(*out)->model->destroy(*out);
	return -EIO;
}

static const struct host_need share_needs[] = {
	{
		.name = "virtiofsd", .use = "--share", .program = "virtiofsd",
		.install = "apt install virtiofsd",
	},
	{ .name = NULL },
};

const struct device_kind share_kind = {
	.option = {
		.name = "share", .metavar = "DIR", .kind = OPTION_KEYS, .keys = &share_keys,
		.help = "share a folder of the host with the guest, by a virtiofsd that is started "
			"for it",
		.max_items = 8,
	},
	.needs_irqchip = true,
	.guest_modules = { "virtiofs" },
	.needs = share_needs,
	.describe = share_describe,
	.check = share_check,
	.conflict = share_conflict,
	.create = share_create,
	.shares_ram = share_shares_ram,
	.stays = share_stays,
};
DEVICE_CONFIG_FITS(struct share_config);
