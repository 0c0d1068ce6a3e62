/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The committed documentation matches the tables of commands and options. Runs in the source
 * folder.
 */
#include "cmd/commands.h"
#include "cli/help.h"
#include "core/state.h"
#include "machine/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The whole of a file; the caller frees it. */
static char *read_file(const char *path)
{
	FILE *in = fopen(path, "re");
	char *text = NULL;
	size_t len = 0;

	if (!in)
		fail_msg("%s: %s", path, strerror(errno));
	/* getdelim up to a byte that does not occur reads the whole file. */
	assert_true(getdelim(&text, &len, '\0', in) > 0);
	fclose(in);
	return text;
}

static char *printed(void (*print)(FILE *))
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	print(out);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* The text between `.\" NAME begin` and `.\" NAME end` is the output of `print`. */
static void assert_generated(const char *page, const char *name, void (*print)(FILE *))
{
	_cleanup_free_ char *expected = printed(print);
	char begin[40], end[40];
	const char *start, *stop;
	size_t len;

	snprintf(begin, sizeof(begin), ".\\\" %s begin\n", name);
	snprintf(end, sizeof(end), ".\\\" %s end\n", name);
	start = strstr(page, begin);
	stop = strstr(page, end);
	assert_non_null(start);
	assert_non_null(stop);
	start += strlen(begin);
	len = (size_t)(stop - start);
	if (strlen(expected) != len || memcmp(start, expected, len) != 0)
		fail_msg("docs/kinglet.1 is out of date: run `make man` and commit the result");
}

static void the_man_page_is_up_to_date(void **state)
{
	_cleanup_free_ char *page = read_file("docs/kinglet.1");

	(void)state;
	assert_generated(page, "commands", docs_print_man_commands);
	assert_generated(page, "options", docs_print_man_options);
}

static void the_completion_is_up_to_date(void **state)
{
	_cleanup_free_ char *script = read_file("docs/kinglet.bash");
	_cleanup_free_ char *expected = printed(docs_print_completion);

	(void)state;
	if (strcmp(script, expected) != 0)
		fail_msg("docs/kinglet.bash is out of date: run `make man` and commit the result");
}

static void the_page_names_the_version(void **state)
{
	_cleanup_free_ char *page = read_file("docs/kinglet.1");

	(void)state;
	assert_non_null(strstr(page, "\"Kinglet " KINGLET_VERSION "\""));
}

static void the_page_of_states_has_every_table(void **state)
{
	_cleanup_free_ char *page = read_file("docs/state.md");
	const struct state_table *table;
	unsigned count = 0;

	(void)state;
	for (; (table = snapshot_table_at(count)); count++) {
		char row[STATE_NAME_MAX + 20];

		assert_ptr_equal(snapshot_table(table->name), table);
		snprintf(row, sizeof(row), "\n| `%s` | %u |", table->name, table->version);
		if (!strstr(page, row))
			fail_msg("docs/state.md has no row %s", row + 1);
	}
	assert_true(count > 16);
	assert_null(snapshot_table("nonesuch"));
}

/* The source that a row names has a table of the row's name, also for the other architecture. */
static void the_page_of_states_has_no_other_table(void **state)
{
	_cleanup_free_ char *page = read_file("docs/state.md");
	char *row = strstr(page, "### Of every machine"), *end;
	unsigned count = 0;

	(void)state;
	assert_non_null(row);
	end = strstr(row, "### What is not saved");
	assert_non_null(end);
	*end = '\0';
	for (; (row = strstr(row, "\n| `")); count++) {
		char name[STATE_NAME_MAX + 1], path[100], text[STATE_NAME_MAX + 20];
		_cleanup_free_ char *source = NULL;

		assert_int_equal(sscanf(row, "\n| `%63[^`]`", name), 1);
		row = strchr(row + 1, '\n');
		assert_non_null(row);
		for (end = row - 4; *end != '`'; end--)
			;
		assert_int_equal(sscanf(end, "`%99[^`]`", path), 1);
		source = read_file(path);
		snprintf(text, sizeof(text), ".name = \"%s\",", name);
		if (!strstr(source, text))
			fail_msg("docs/state.md: %s has no table %s", path, name);
	}
	assert_true(count > 32);
}

/* roff_text() does not escape dots and backslashes that roff would interpret. */
static void assert_plain_to_roff(const struct option *option)
{
	assert_null(strpbrk(option->help, "\\`\n"));
	assert_false(option->help[0] == '.' || option->help[0] == '\'');
	for (unsigned i = 0; option->keys && i < option->keys->count; i++)
		assert_plain_to_roff(&option->keys->table[i]);
}

static void help_texts_are_plain_to_roff(void **state)
{
	(void)state;
	for (unsigned c = 0; command_table[c]; c++) {
		const struct option_list *const *list = command_table[c]->options;

		for (; *list; list++)
			for (unsigned i = 0; option_at(*list, i); i++)
				assert_plain_to_roff(option_at(*list, i));
		assert_true(list - command_table[c]->options <= OPTION_LISTS_MAX);
	}
}

/* bash's completions for a line of words, the last of which is being typed. */
static void assert_offers(const char *words, const char *expected)
{
	char command[512], got[2048] = "";
	size_t len;
	FILE *pipe;

	snprintf(
		command, sizeof(command),
		"bash -c '. docs/kinglet.bash; COMP_WORDS=(%s); COMP_CWORD=$((${#COMP_WORDS[@]}-1));"
		"_kinglet; echo \"${COMPREPLY[@]}\"'",
		words);
	pipe = popen(command, "re");
	assert_non_null(pipe);
	len = fread(got, 1, sizeof(got) - 1, pipe);
	got[len] = '\0';
	assert_int_equal(pclose(pipe), 0);
	assert_string_equal(got, expected);
}

static void bash_completes_commands_options_and_words(void **state)
{
	(void)state;
	assert_offers("kinglet ru", "run\n");
	assert_offers("kinglet run --ini", "--initrd\n");
	assert_offers("kinglet run --acpi \"\"", "on off\n");
	assert_offers("kinglet run --acpi of", "off\n");
	assert_offers("kinglet run --on-reboot = r", "restart\n");
	assert_offers("kinglet run --on-reboot =", "exit restart\n");
	assert_offers("kinglet run docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet run --initrd docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet run --cpus \"\"", "\n");
	assert_offers("kinglet run --cpus \"\"", "\n");
	assert_offers("kinglet kernel \"\"", "list\n");
	assert_offers("kinglet help --ini", "\n");
	assert_offers("kinglet help ver", "version\n");
	assert_offers("kinglet version --v", "--version\n");
	assert_offers("kinglet nonesuch --v", "\n");
}

/* Words are as bash splits them: = and : are separate words. */
static void bash_completes_keys_and_their_values(void **state)
{
	(void)state;
	assert_offers("kinglet run --disk docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet run --disk = docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet run --disk path = docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet run --disk root.img,rea", "root.img,readonly\n");
	assert_offers("kinglet run --disk = root.img,direct,a", "root.img,direct,aio=\n");
	assert_offers("kinglet run --disk root.img,aio = \"\"", "uring threads\n");
	assert_offers("kinglet run --disk root.img,aio =", "uring threads\n");
	assert_offers("kinglet run --disk root.img,aio = t", "threads\n");
	assert_offers("kinglet run --disk path = root.img,rea", "root.img,readonly\n");
	assert_offers("kinglet run --net = tap = tap0,vhost = of", "off\n");
	assert_offers("kinglet run --net tap = tap0,mac = 52 : 54 : 00 : 00 : 00 : 01,q", "01,queues=\n");
	assert_offers("kinglet run --vsock \"\"", "cid=\n");
	assert_offers("kinglet run --budget init = 1s,ker", "1s,kernel=\n");
	assert_offers("kinglet run --scsi disk.img,q", "disk.img,queues=\n");
	assert_offers("kinglet run --explain = html docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet run --acpi = of", "off\n");
	assert_offers("kinglet exec --root docs/less", "docs/lessons\n");
	assert_offers("kinglet run --root docs/less", "docs/lessons\n");
	assert_offers("kinglet run --root docs,modules = docs/less", "docs/lessons\n");
	assert_offers("kinglet run --share docs/less", "docs/lessons\n");
}

static void bash_completes_what_stands_behind_two_dashes(void **state)
{
	(void)state;
	assert_offers("kinglet exec vmlinuz -- compop", "compopt\n"); /* bash's default */
	assert_offers("kinglet exec -- cat docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet run vmlinuz -- docs/kinglet.b", "\n");
}

/* A name is what a machine can be called: bash would run a command in one. */
static void bash_completes_the_names_of_machines(void **state)
{
	static const char make[] = "mkdir $XDG_RUNTIME_DIR/kinglet && cd $XDG_RUNTIME_DIR/kinglet && "
				   "touch alpha.sock al-2.sock beta.sock other '$(touch evil).sock'";
	char folder[] = "/tmp/test_docs.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
	assert_offers("kinglet stop docs/kinglet.b", "docs/kinglet.bash\n");
	assert_int_equal(system(make), 0);
	assert_offers("kinglet stop \"\"", "al-2 alpha beta\n");
	assert_offers("kinglet stop --now al", "al-2 alpha\n");
	assert_offers("kinglet info be", "beta\n");
	assert_offers("kinglet wait docs/kinglet.b", "docs/kinglet.bash\n");
	assert_offers("kinglet stop --n", "--now\n");
	assert_int_equal(system("rm -r $XDG_RUNTIME_DIR"), 0);
}

static void assert_fits_a_terminal(const char *help)
{
	for (const char *line = help; *line; line += strcspn(line, "\n") + 1) {
		size_t len = strcspn(line, "\n");

		if (len > 79)
			fail_msg("too wide: %.*s", (int)len, line);
	}
}

static char *command_help_text(const struct command *command)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	help_print_command(out, command);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void help_fits_a_terminal_and_names_every_command_and_option(void **state)
{
	_cleanup_free_ char *all = printed(help_print);
	_cleanup_free_ char *run = command_help_text(&command_run);
	char name[64];

	(void)state;
	assert_fits_a_terminal(all);
	for (unsigned c = 0; command_table[c]; c++) {
		_cleanup_free_ char *help = command_help_text(command_table[c]);
		const struct option_list *const *list = command_table[c]->options;

		assert_fits_a_terminal(help);
		snprintf(name, sizeof(name), "\n  %s ", command_table[c]->name);
		assert_non_null(strstr(all, name));
		for (; *list; list++) {
			for (unsigned i = 0; option_at(*list, i); i++) {
				snprintf(name, sizeof(name), "\n  --%s", option_at(*list, i)->name);
				if (!strstr(help, name))
					fail_msg("%s --help does not name%s",
						 command_table[c]->name, name + 2);
			}
		}
	}
	assert_non_null(strstr(run, "(default 256M)"));
	assert_non_null(strstr(run, "aio=uring|threads"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_man_page_is_up_to_date),
		cmocka_unit_test(the_completion_is_up_to_date),
		cmocka_unit_test(the_page_names_the_version),
		cmocka_unit_test(the_page_of_states_has_every_table),
		cmocka_unit_test(the_page_of_states_has_no_other_table),
		cmocka_unit_test(help_texts_are_plain_to_roff),
		cmocka_unit_test(bash_completes_commands_options_and_words),
		cmocka_unit_test(bash_completes_keys_and_their_values),
		cmocka_unit_test(bash_completes_what_stands_behind_two_dashes),
		cmocka_unit_test(bash_completes_the_names_of_machines),
		cmocka_unit_test(help_fits_a_terminal_and_names_every_command_and_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
