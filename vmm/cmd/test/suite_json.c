/* SPDX-License-Identifier: Apache-2.0 */
#include "suite_json.h"

#include "base/cleanup.h"
#include "base/utf8.h"

#include <string.h>

cJSON *json_text(const char *text)
{
	size_t len = strlen(text), size = 3 * len + 1; /* each byte may become U+FFFD */
	_cleanup_free_ char *clean = malloc(size);

	if (!clean)
		return NULL;
	utf8_clean(clean, size, text, len);
	return cJSON_CreateString(clean);
}

void json_set(cJSON *object, const char *key, cJSON *value)
{
	if (!cJSON_AddItemToObject(object, key, value))
		cJSON_Delete(value);
}

void json_append(cJSON *array, cJSON *value)
{
	if (!cJSON_AddItemToArray(array, value))
		cJSON_Delete(value);
}

void json_set_text(cJSON *object, const char *key, const char *text)
{
	json_set(object, key, text ? json_text(text) : cJSON_CreateNull());
}

const char *result_text(const cJSON *result, const char *key)
{
	const char *text = cJSON_GetStringValue(json_get(result, key));

	return text ? text : "";
}

double result_number(const cJSON *result, const char *key)
{
	const cJSON *value = json_get(result, key);

	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}
