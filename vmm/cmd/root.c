/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/root.h"

#include "base/log.h"
#include "cmd/cmdline.h"
#include "cmd/exec_base.h"
#include "cmd/guest_init.h"
#include "cmd/run_options.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Of the initramfs; a kernel's modules for all devices are some 2 MiB. */
enum { BASE_MAX = 256 << 20 };

#define ROOT(member) OPTION_FIELD(struct root_options, member)

enum { ROOT_FOLDER };

static const struct option root_table[] = {
	[ROOT_FOLDER] = {
		.name = "folder", .metavar = "DIR", .kind = OPTION_STRING, .min = 1,
		.max = PATH_MAX - 1, .file = FILE_FOLDER,
		.help = "the folder, with an init; run as root for files of several users",
		ROOT(share.folder),
	},
	{
		.name = "readonly", .kind = OPTION_FLAG,
		.help = "refuse all changes; what is mounted in the folder is left out",
		ROOT(share.readonly),
	},
	{
		.name = "cache", .kind = OPTION_WORD, .words = share_cache_words, .initial = "auto",
		.help = "as of --share",
		ROOT(share.cache),
	},
	{
		.name = "modules", .metavar = "DIR", .kind = OPTION_STRING, .min = 1, .max = 4095,
		.help = "the folder of KERNEL's modules, from which those of the machine's devices "
			"are loaded; without it /lib/modules/VERSION, with the version in KERNEL",
		ROOT(modules),
	},
};

static const char *root_finish(void *item, uint64_t given)
{
	(void)item;
	return given >> ROOT_FOLDER & 1 ? NULL : "names no folder; write --root DIR";
}

static const struct option_keys root_keys = {
	.table = root_table,
	.count = ARRAY_SIZE(root_table),
	.finish = root_finish,
};

static const struct option root_list[] = {
	{
		.name = "root", .metavar = "DIR", .kind = OPTION_KEYS, .keys = &root_keys,
		.help = "a folder of the host is the root file system, by a virtiofsd that is "
			"started for it and an initramfs made for it. The command line can have "
			"init=",
		.saved = true, OPTION_FIELD(struct run_options, root),
	},
};

const struct option_list root_option_list = {
	.name = "root",
	.title = "A folder as the root file system",
	.table = root_list,
	.count = ARRAY_SIZE(root_list),
};

/* --- The machine ------------------------------------------------------------------------------ */

static int check_alone(const struct run_options *options)
{
	static const char *const others[] = { "initrd", "flat", "module" };
	static const char *const words[] = { "root", "rootfstype", "rdinit" };

	for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
		if (!options_given(&options->common, others[i]))
			continue;
		log_error("--%s: --root boots Linux by an initramfs of its own; leave one of them "
			  "out", others[i]);
		return -EINVAL;
	}
	for (unsigned i = 0; options->append && i < ARRAY_SIZE(words); i++) {
		size_t len;

		if (!cmdline_value(options->append, words[i], &len))
			continue;
		log_error("--append: %s= is set by --root; leave one of them out", words[i]);
		return -EINVAL;
	}
	return 0;
}

int root_add(struct run_options *options)
{
	int ret = check_alone(options);
	struct share_config *share;

	if (ret)
		return ret;
	share = device_set_add(&options->config.devices, &share_kind);
	if (!share) {
		log_error("--root %.80s: too many --share", options->root.share.folder);
		return -EINVAL;
	}
	options->root.share.tag = GUEST_INIT_TAG;
	*share = options->root.share;
	return 0;
}

/* --- The initramfs ---------------------------------------------------------------------------- */

/* Those that Linux tries; or that of the command line alone. */
static int name_inits(const char *line, char **given, const char *inits[5])
{
	static const char *const usual[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh" };
	size_t len;
	const char *value = cmdline_value(line, "init", &len);

	*given = value ? strndup(value, len) : NULL;
	if (value && !*given)
		return -ENOMEM;
	memcpy(inits, usual, sizeof(usual));
	inits[ARRAY_SIZE(usual)] = NULL;
	if (value) {
		inits[0] = *given;
		inits[1] = NULL;
	}
	return 0;
}

static int fill(struct root_options *root, const struct machine_config *config)
{
	_cleanup_free_ char *given = NULL;
	const char *inits[5];
	const struct exec_needs needs = {
		.kernel = config->boot.kernel,
		.modules = root->modules,
		.devices = &config->devices,
		.inits = inits,
		.readonly = root->share.readonly,
	};
	bool without = false;
	int ret = name_inits(config->boot.cmdline, &given, inits);

	if (!ret)
		ret = exec_base_make(&root->base, &needs, &without);
	if (!ret && without)
		log_warning("--root: no modules of %.200s were found in /lib/modules; if virtiofs is "
			    "not built in, give their folder as modules=DIR",
			    config->boot.kernel);
	return ret;
}

int root_build(struct run_options *options)
{
	struct root_options *root = &options->root;
	int ret = cpio_init(&root->base, BASE_MAX);

	if (ret) {
		log_error("the guest's files: memfd_create: %s", strerror(-ret));
		return -ENOMEM;
	}
	ret = fill(root, &options->config);
	if (ret) {
		cpio_destroy(&root->base);
		return ret;
	}
	snprintf(root->initrd, sizeof(root->initrd), "/proc/self/fd/%d", root->base.fd);
	options->config.boot.initrd = root->initrd;
	return 0;
}

void root_destroy(struct root_options *root)
{
	if (*root->initrd)
		cpio_destroy(&root->base);
	*root->initrd = '\0';
}
