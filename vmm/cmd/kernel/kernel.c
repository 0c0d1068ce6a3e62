/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "base/log.h"
#include "cmd/exec_image.h"
#include "cmd/kernels.h"

#include <string.h>

struct kernel_options {
	struct common_options common;
	bool list;
};

static int take_word(struct common_options *common, const char *word)
{
	struct kernel_options *options = container_of(common, struct kernel_options, common);

	if (strcmp(word, "list") != 0) {
		log_error("%.80s: unknown; write kinglet kernel list", word);
		return -EINVAL;
	}
	options->list = true;
	return 0;
}

static int finish(struct common_options *common, int argc, char **argv)
{
	const struct kernel_options *options = container_of(common, struct kernel_options, common);

	(void)argv;
	if (options->list && argc < 0)
		return 0;
	log_error("write kinglet kernel list");
	return -EINVAL;
}

/* What exec needs and the kernel lacks; "nothing" if complete. */
static int describe_missing(const struct kernel *kernel, char *text, size_t len)
{
	struct kernel_modules modules;
	const char *missing = NULL;
	int ret;

	if (!kernel->readable) {
		snprintf(text, len, "read permission: chmod +r, as root");
		return 0;
	}
	if (!kernel->modules) {
		snprintf(text, len, "modules, unless virtio is built in");
		return 0;
	}
	ret = kernel_modules_find(kernel->modules, exec_needed_modules, EXEC_NEEDED_MODULES,
				  &modules, &missing);
	kernel_modules_destroy(&modules);
	if (ret == -ENODATA)
		snprintf(text, len, "%s", missing);
	else if (ret == -ENOENT)
		snprintf(text, len, "modules.dep: depmod %s, as root", kernel->version);
	else
		snprintf(text, len, "%s", ret ? strerror(-ret) : "nothing");
	return ret == -ENOMEM ? ret : 0;
}

int kernels_print(FILE *out, const struct kernel_places *places)
{
	const struct kernel *taken;
	struct kernel_list list;
	int ret = kernel_list_init(&list, places);

	taken = ret ? NULL : kernel_list_default(&list);
	if (list.count)
		fprintf(out, "  %-40s %-26s %-34s %s\n", "KERNEL", "VERSION", "MODULES", "MISSING");
	for (unsigned i = 0; i < list.count && !ret; i++) {
		const struct kernel *kernel = &list.kernels[i];
		char missing[160];

		ret = describe_missing(kernel, missing, sizeof(missing));
		fprintf(out, "%c %-40s %-26s %-34s %s\n", kernel == taken ? '*' : ' ', kernel->path,
			kernel->version, kernel->modules ? kernel->modules : "-", missing);
	}
	if (taken)
		fputs("The one with a star is the default KERNEL.\n", out);
	else if (!ret && !list.count)
		fprintf(out,
			"%s has no vmlinuz-*. On Debian: apt-get install linux-image-cloud-amd64\n",
			places->boot);
	kernel_list_destroy(&list);
	return ret;
}

static int run(struct common_options *common)
{
	struct kernel_places places;
	struct utsname host;
	int ret;

	(void)common;
	kernels_host_places(&places, &host);
	ret = kernels_print(stdout, &places);
	if (ret) {
		log_error("kernel list: %s", strerror(-ret));
		return EXIT_HOST;
	}
	return flush_stdout();
}

static const struct option_list *const lists[] = { &common_option_list, NULL };

const struct command command_kernel = {
	.name = "kernel",
	.synopsis = "list",
	.words = "list",
	.summary = "list the installed kernels, and what they lack for exec",
	.options = lists,
	.options_size = sizeof(struct kernel_options),
	.argument = take_word,
	.finish = finish,
	.run = run,
};
