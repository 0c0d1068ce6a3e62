/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Results and reports as JSON. Out of memory is not checked at each step: NULL values are left out,
 * and missing keys are read with defaults.
 */
#ifndef KINGLET_CMD_TEST_SUITE_JSON_H
#define KINGLET_CMD_TEST_SUITE_JSON_H

#include <cjson/cJSON.h>

/* A string of valid UTF-8, for any text. */
cJSON *json_text(const char *text);

/* Takes over the value. */
void json_set(cJSON *object, const char *key, cJSON *value);
void json_append(cJSON *array, cJSON *value);

/* NULL becomes null. */
void json_set_text(cJSON *object, const char *key, const char *text);

/* The member, or NULL. */
static inline cJSON *json_get(const cJSON *object, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* A member's value: "" or 0 when there is none. */
const char *result_text(const cJSON *result, const char *key);
double result_number(const cJSON *result, const char *key);

/* The first member of an array or object; NULL if there is none. */
static inline const cJSON *json_first(const cJSON *list)
{
	return list ? list->child : NULL;
}

#define json_each(item, list)                                                                      \
	for (const cJSON *(item) = json_first(list); (item); (item) = (item)->next)

#endif
