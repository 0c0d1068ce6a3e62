/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cmdline.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

/*
 * Without --append: see the boot on whatever is connected, end at once on panic (the kernel then
 * reboots, which ends the run), and take the first disk as root where there is one.
 */
static void write_default(FILE *out, const struct machine_config *config)
{
	/* A program that is no Linux kernel reads its own arguments here, if any. */
	if (config->boot.format == BOOT_FORMAT_FLAT ||
	    !arch_kernel_may_be_linux(config->boot.kernel))
		return;
	if (config->serial == SERIAL_STDIO)
		fprintf(out, "console=%s ", arch_linux_words.serial);
	else if (config->console == CONSOLE_STDIO)
		fputs("console=hvc0 ", out);
	fputs("panic=-1", out);
	if (!config->acpi && arch_linux_words.without_tables)
		fprintf(out, " %s", arch_linux_words.without_tables);
	if (config->disk_count)
		fprintf(out, " root=/dev/vda %s", config->disks[0].readonly ? "ro" : "rw");
}

/*
 * Linux splits at white space, where its isspace() takes 0xa0 for one as well (Latin-1), which is
 * a byte of many UTF-8 characters; one pair of quotes around the whole argument protects both.
 */
static bool needs_quotes(const char *arg)
{
	if (!*arg)
		return true;
	for (; *arg; arg++) {
		if ((unsigned char)*arg <= ' ' || (unsigned char)*arg >= 0x80)
			return true;
	}
	return false;
}

int cmdline_build(const struct run_options *options, int init_argc, char **init_argv, char **line)
{
	size_t len;
	FILE *out;

	for (int i = 0; i < init_argc; i++) {
		if (strchr(init_argv[i], '"')) {
			log_error("-- %.80s: a double quote cannot be passed on a kernel command line; "
				  "put the argument into a script of the guest",
				  init_argv[i]);
			return -EINVAL;
		}
	}
	out = open_memstream(line, &len);
	if (!out)
		return -ENOMEM;
	if (options->append)
		fputs(options->append, out);
	else
		write_default(out, &options->config);
	if (init_argc > 0)
		fputs(ftell(out) ? " --" : "--", out);
	for (int i = 0; i < init_argc; i++)
		fprintf(out, needs_quotes(init_argv[i]) ? " \"%s\"" : " %s", init_argv[i]);
	if (fclose(out) == EOF) {
		free(*line);
		return -ENOMEM;
	}
	return 0;
}
