/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as text: a line for each member, or for each item of a member. What is deeper is JSON. */
#include "control.h"

#include "base/text.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

enum { KEY_WIDTH = 20, INDENT = 2 };

void control_print_text(FILE *out, const char *text, unsigned width)
{
	size_t size = 3 * strlen(text) + 1; /* each byte may become U+FFFD */
	_cleanup_free_ char *clean = malloc(size);

	if (clean)
		utf8_clean(clean, size, text, strlen(text));
	fprintf(out, "%-*s", (int)width, clean ? clean : "-");
}

static void format_number(const cJSON *number, char *buf, size_t size)
{
	double value = number->valuedouble;
	bool is_whole = value >= 0 && value < 1e15 && value == (double)(uint64_t)value;
	struct text text = text_of(buf, size);

	if (is_whole && number->string && strcmp(number->string, "memory") == 0)
		text_add_bytes(&text, (uint64_t)value);
	else
		text_add(&text, is_whole ? "%.0f" : "%g", value);
}

void control_print_value(FILE *out, const cJSON *value, unsigned width)
{
	char number[40], *json = NULL;
	const char *text = cJSON_GetStringValue(value);

	if (cJSON_IsNumber(value)) {
		format_number(value, number, sizeof(number));
		text = number;
	} else if (value && !text) {
		text = json = cJSON_PrintUnformatted(value);
	}
	control_print_text(out, text ? text : "-", width);
	cJSON_free(json);
}

/* Key and value of the members from this one on. */
static void print_pairs(FILE *out, const cJSON *member)
{
	for (const char *between = " "; member; member = member->next, between = "  ") {
		fputs(between, out);
		control_print_text(out, member->string, 0);
		fputc(' ', out);
		control_print_value(out, member, 0);
	}
}

static void print_member(FILE *out, const cJSON *member, unsigned indent)
{
	fprintf(out, "%*s", (int)indent, "");
	control_print_text(out, member->string, KEY_WIDTH - indent);
	if (indent && cJSON_IsObject(member)) {
		print_pairs(out, member->child);
	} else {
		fputc(' ', out);
		control_print_value(out, member, 0);
	}
	fputc('\n', out);
}

/* An object's first member is its name. */
static void print_element(FILE *out, const cJSON *element)
{
	const cJSON *first = cJSON_IsObject(element) ? element->child : NULL;

	fprintf(out, "%*s", INDENT, "");
	control_print_value(out, first ? first : element, first ? KEY_WIDTH - INDENT : 0);
	print_pairs(out, first ? first->next : NULL);
	fputc('\n', out);
}

static void print_group(FILE *out, const cJSON *group)
{
	control_print_text(out, group->string, 0);
	fputc('\n', out);
	for (const cJSON *item = group->child; item; item = item->next) {
		if (cJSON_IsArray(group))
			print_element(out, item);
		else
			print_member(out, item, INDENT);
	}
}

void control_print_answer(FILE *out, const cJSON *answer)
{
	for (const cJSON *member = answer->child; member; member = member->next) {
		if (cJSON_IsArray(member) || cJSON_IsObject(member))
			print_group(out, member);
		else
			print_member(out, member, 0);
	}
}
