/* SPDX-License-Identifier: Apache-2.0 */
#include "show.h"

#include "base/le.h"

#include <inttypes.h>

/* How an object is written: what stands around and between its parts. */
struct form {
	const char *object, *object_end, *field, *array, *array_end;
	bool json;
};

/* Words, each with its NUL, or one in a field that NULs fill up. */
static bool are_words(const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] && (data[i] < ' ' || data[i] > '~'))
			return false;
	return len && data[0];
}

static void print_words(FILE *out, const uint8_t *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i])
			fputc(data[i], out);
		else if (i + 1 < len && data[i + 1])
			fputc(' ', out);
	}
}

static void print_bytes(FILE *out, const uint8_t *data, size_t len, const struct form *form)
{
	if (!form->json && are_words(data, len)) {
		print_words(out, data, len);
		return;
	}
	fputs(form->json ? "\"" : "", out);
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", data[i]);
	fputs(form->json ? "\"" : "", out);
}

static void print_number(FILE *out, const struct state_field *field, const uint8_t *data,
			 const struct form *form)
{
	uint64_t value = get_le_bytes(data, field->size);

	if (field->kind == STATE_FIELD_FLAG)
		fputs(value ? "true" : "false", out);
	else if (form->json || value < 10)
		fprintf(out, "%" PRIu64, value);
	else
		fprintf(out, "0x%" PRIx64, value);
}

static void print_field(FILE *out, const struct state_field *field, const uint8_t *data,
			const struct form *form)
{
	if (field->kind == STATE_FIELD_BYTES) {
		print_bytes(out, data, field->count, form);
		return;
	}
	fputs(field->count > 1 ? form->array : "", out);
	for (unsigned i = 0; i < field->count; i++) {
		fputs(i ? (form->json ? "," : " ") : "", out);
		print_number(out, field, data + (size_t)i * field->size, form);
	}
	fputs(field->count > 1 ? form->array_end : "", out);
}

static void print_object(FILE *out, const struct state_table *table, uint16_t version,
			 const uint8_t *data, const struct form *form)
{
	const char *between = "";

	fputs(form->object, out);
	for (const struct state_field *field = table->fields; field->name; field++) {
		if (field->since > version)
			continue;
		fprintf(out, form->field, between, field->name);
		print_field(out, field, data, form);
		data += (size_t)field->size * field->count;
		between = form->json ? "," : "\n";
	}
	fputs(form->object_end, out);
}

/* Objects that the section has; 0: none, or it does not fit the table. */
static size_t count_of(const struct state_view *view, const struct state_table *table)
{
	size_t step;

	if (!table || !view->version || view->version > table->version)
		return 0;
	step = state_object_len(table, view->version);
	return step && view->len % step == 0 ? view->len / step : 0;
}

static void print_objects(FILE *out, const struct state_view *view, const struct state_table *table,
			  const struct form *form)
{
	size_t count = count_of(view, table);

	if (!view->len)
		return;
	if (!count) {
		print_bytes(out, view->data, view->len, form);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		fputs(i ? (form->json ? "," : "\n") : "", out);
		print_object(out, table, view->version, view->data + i * (view->len / count), form);
	}
}

void state_show_text(FILE *out, const struct state_view *view, const struct state_table *table)
{
	static const struct form form = {
		.object = "",
		.object_end = "\n",
		.field = "%s    %-24s ",
		.array = "",
		.array_end = "",
	};

	fprintf(out, "%s%s%s (version %u, %zu bytes)\n", view->table, *view->name ? " " : "",
		view->name, view->version, view->len);
	if (view->len && !count_of(view, table))
		fputs("    ", out);
	print_objects(out, view, table, &form);
	fputs(view->len && count_of(view, table) ? "" : "\n", out);
}

void state_show_json(FILE *out, const struct state_view *view, const struct state_table *table)
{
	static const struct form form = {
		.object = "{",
		.object_end = "}",
		.field = "%s\"%s\":",
		.array = "[",
		.array_end = "]",
		.json = true,
	};

	fprintf(out, "{\"section\":\"%s\",\"name\":\"%s\",\"version\":%u,\"objects\":[",
		view->table, view->name, view->version);
	print_objects(out, view, table, &form);
	fputs("]}", out);
}
