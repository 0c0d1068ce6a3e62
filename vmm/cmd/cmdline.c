/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmdline.h"

#include "base/log.h"
#include "cmd/guest_init.h"
#include "devices/blk.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/*
 * Without --append: show the boot on the connected console, end at once on panic (the kernel then
 * reboots, which ends the run), and use the first disk, if any, as root.
 */
static void write_default(FILE *out, const struct run_options *options)
{
	const struct machine_config *config = &options->config;
	const struct disk_config *disk = device_set_get(&config->devices, &blk_kind, 0);

	/* A program other than a Linux kernel reads its arguments here, if any. */
	if (config->boot.format == BOOT_FORMAT_FLAT ||
	    !arch_kernel_may_be_linux(config->boot.kernel))
		return;
	if (config->serial == SERIAL_STDIO)
		fprintf(out, "console=%s ", arch_linux_words.serial);
	else if (config->console == CONSOLE_STDIO)
		fputs("console=hvc0 ", out);
	fputs("panic=-1", out);
	if (options->shows_warnings)
		fputs(" loglevel=7", out);
	if (!config->acpi && arch_linux_words.without_tables)
		fprintf(out, " %s", arch_linux_words.without_tables);
	if (disk && !options->root.share.folder)
		fprintf(out, " root=/dev/vda %s", disk->image.readonly ? "ro" : "rw");
}

/*
 * A kernel that takes no initramfs mounts it by itself; any other one starts Kinglet's init, since
 * virtiofs is mostly a module. It comes first: `append` may end in arguments of init.
 */
static void write_root(FILE *out, const struct share_config *share)
{
	if (share->folder)
		fprintf(out, "rootfstype=virtiofs root=" GUEST_INIT_TAG " %s rdinit=" GUEST_INIT_PATH
			" ", share->readonly ? "ro" : "rw");
}

/*
 * Linux splits at white space, and its isspace() includes 0xa0 (Latin-1), which is a byte of many
 * UTF-8 characters; one pair of quotes around the whole argument protects both.
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
	write_root(out, &options->root.share);
	if (options->append)
		fputs(options->append, out);
	else
		write_default(out, options);
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

/* Up to white space outside of quotes. */
static size_t word_len(const char *word)
{
	bool quoted = false;
	size_t len = 0;

	for (; word[len] && (quoted || !isspace((unsigned char)word[len])); len++)
		quoted ^= word[len] == '"';
	return len;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(text, word, len);
}

/* The next word before the arguments of init; NULL: there is none. */
static const char *next_word(const char **line, size_t *len)
{
	const char *word = *line + strspn(*line, " \t\n");

	*len = word_len(word);
	*line = word + *len;
	return *len && !is_word(word, *len, "--") ? word : NULL;
}

const char *cmdline_value(const char *line, const char *name, size_t *len)
{
	const size_t before = strlen(name) + 1;
	const char *word, *value = NULL;
	size_t word_len;

	while ((word = next_word(&line, &word_len))) {
		if (word_len < before || memcmp(word, name, before - 1) || word[before - 1] != '=')
			continue;
		value = word + before;
		*len = word_len - before;
	}
	return value;
}

/* Linux, kernel/printk/printk.c and init/main.c: later words override earlier ones. */
int cmdline_loglevel(const char *line)
{
	static const struct {
		const char *word;
		int level;
	} words[] = { { "quiet", 4 }, { "debug", 10 } };
	const char *word;
	int level = -1;
	size_t len;

	while ((word = next_word(&line, &len))) {
		if (is_word(word, len, "ignore_loglevel"))
			return INT_MAX;
		for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
			if (is_word(word, len, words[i].word))
				level = words[i].level;
		if (!strncmp(word, "loglevel=", 9) && isdigit((unsigned char)word[9]))
			level = (int)strtol(word + 9, NULL, 0);
	}
	return level;
}
