/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a machine's state: each is sound, and each version of it stays what it was, as
 * tests/machine/stored/tables-ARCH has it. Runs in the source folder; `--write` writes that file
 * anew (make state-tables).
 */
#include "arch/arch.h"
#include "core/state.h"
#include "machine/snapshot.h"
#include "unit.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *stored_path(void)
{
	return arch_elf_machine == EM_X86_64 ? "tests/machine/stored/tables-x86_64" :
					       "tests/machine/stored/tables-aarch64";
}

/* --- Each table ------------------------------------------------------------------------------- */

static size_t end_of(const struct state_field *field)
{
	return field->offset + (size_t)field->size * field->count;
}

static uint64_t largest(unsigned size)
{
	return UINT64_MAX >> (64 - 8 * size);
}

static const char *wrong_in_kind(const struct state_field *field)
{
	bool is_power = field->size && !(field->size & (field->size - 1)) && field->size <= 8;

	switch (field->kind) {
	case STATE_FIELD_NUMBER:
		if (!is_power)
			return "is a number, but not of 1, 2, 4 or 8 bytes";
		return field->max == UINT64_MAX || field->max <= largest(field->size) ?
			       NULL :
			       "has a limit above its largest number";
	case STATE_FIELD_FLAG:
		return field->size == 1 && field->count == 1 ? NULL : "is a flag, but not one byte";
	case STATE_FIELD_BYTES:
		return field->size == 1 ? NULL : "has bytes of more than 8 bits";
	default:
		return "is of an unknown kind";
	}
}

static const char *wrong_among(const struct state_field *a, const struct state_field *b)
{
	if (!strcmp(a->name, b->name))
		return "has the name of another field";
	if (a->offset < end_of(b) && b->offset < end_of(a))
		return "has bytes of another field";
	return a->since <= b->since ? NULL : "is older than a field before it: new ones come last";
}

static const char *wrong_with(const struct state_table *table, unsigned n)
{
	const struct state_field *field = &table->fields[n];
	const char *wrong = wrong_in_kind(field);

	if (!field->count)
		return "has no elements";
	if (end_of(field) > table->size)
		return "ends after the object";
	if (field->since > table->version)
		return "is of a later version than the table";
	for (unsigned i = 0; i < n && !wrong; i++)
		wrong = wrong_among(&table->fields[i], field);
	return wrong;
}

static void test_each_table_is_sound(void **state)
{
	const struct state_table *table;

	(void)state;
	for (unsigned i = 0; (table = snapshot_table_at(i)); i++) {
		unsigned n = 0;

		assert_in_range(strlen(table->name), 1, STATE_NAME_MAX);
		assert_int_not_equal(table->version, 0);
		for (; table->fields[n].name; n++) {
			const char *wrong = wrong_with(table, n);

			if (wrong)
				fail_msg("table %s: %s %s", table->name, table->fields[n].name,
					 wrong);
		}
		/* An object of version 1 has a length. */
		assert_true(state_object_len(table, 1) > 0);
	}
}

/* --- Their versions --------------------------------------------------------------------------- */

/* The lines of the stored file: what an object of this version has. */
static void print_table(FILE *out, const struct state_table *table, unsigned version)
{
	static const char *const kinds[] = {
		[STATE_FIELD_NUMBER] = "number",
		[STATE_FIELD_FLAG] = "flag",
		[STATE_FIELD_BYTES] = "bytes",
	};

	fprintf(out, "%s, version %u, %zu bytes\n", table->name, version,
		state_object_len(table, (uint16_t)version));
	for (const struct state_field *field = table->fields; field->name; field++)
		if (field->since <= version)
			fprintf(out, "\t%s: %s, %u x %u\n", field->name, kinds[field->kind],
				field->count, field->size);
}

static char *all_tables(void)
{
	const struct state_table *table;
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	for (unsigned i = 0; (table = snapshot_table_at(i)); i++)
		print_table(out, table, table->version);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* Empty if there is no such file, as for a new architecture. */
static char *stored_tables(void)
{
	FILE *in = fopen(stored_path(), "re");
	char *text = NULL;
	size_t len = 0;

	if (in && getdelim(&text, &len, '\0', in) < 0)
		*text = '\0';
	if (in)
		fclose(in);
	return text ? text : strdup("");
}

/* The line after those of the table that begins here. */
static const char *next_table(const char *at)
{
	do {
		at += strcspn(at, "\n");
		at += *at == '\n';
	} while (*at == '\t');
	return at;
}

static void check_stored(const char *at, size_t len)
{
	const struct state_table *table;
	char name[STATE_NAME_MAX + 1], *now;
	size_t now_len;
	unsigned version;
	int name_len;
	FILE *out;

	assert_int_equal(sscanf(at, "%63[^,], version %n", name, &name_len), 1);
	version = (unsigned)strtoul(at + name_len, NULL, 10);
	table = snapshot_table(name);
	if (!table || table->version < version)
		fail_msg("table %s, version %u: is gone; this Kinglet would refuse each state that "
			 "has it (docs/state.md, When a table changes)", name, version);
	out = open_memstream(&now, &now_len);
	assert_non_null(out);
	print_table(out, table, version);
	assert_int_equal(fclose(out), 0);
	if (now_len != len || memcmp(now, at, len) != 0)
		fail_msg("table %s, version %u: its fields have changed, and states of that "
			 "version would be misread. Let the old fields be as they were, add new "
			 "ones at the end with .since = %u, and make the table's .version %u "
			 "(docs/state.md, When a table changes).\n"
			 "These it had:\n%.*sand these it has:\n%s",
			 name, version, version + 1, version + 1, (int)len, at, now);
	free(now);
}

static void test_a_version_of_a_table_stays_as_it_was(void **state)
{
	_cleanup_free_ char *stored = stored_tables();

	(void)state;
	for (const char *at = stored, *next; *at; at = next) {
		next = next_table(at);
		check_stored(at, (size_t)(next - at));
	}
}

static void test_the_stored_tables_are_up_to_date(void **state)
{
	_cleanup_free_ char *stored = stored_tables(), *now = all_tables();

	(void)state;
	if (strcmp(stored, now) != 0)
		fail_msg("%s is out of date: run `make state-tables` and commit the result",
			 stored_path());
}

static int write_tables(void)
{
	_cleanup_free_ char *now = all_tables();
	FILE *out = fopen(stored_path(), "we");

	if (out && fputs(now, out) >= 0 && !fclose(out))
		return 0;
	perror(stored_path());
	return 1;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest sound[] = {
		cmocka_unit_test(test_each_table_is_sound),
		cmocka_unit_test(test_a_version_of_a_table_stays_as_it_was),
	};
	const struct CMUnitTest current[] = {
		cmocka_unit_test(test_the_stored_tables_are_up_to_date),
	};
	int failed = cmocka_run_group_tests(sound, NULL, NULL);

	if (failed)
		return failed;
	if (argc == 2 && !strcmp(argv[1], "--write"))
		return write_tables();
	return cmocka_run_group_tests(current, NULL, NULL);
}
