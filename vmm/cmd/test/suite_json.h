/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing JSON without asking at each step whether there is memory: what is NULL is left out, and
 * an object that lacks a key is the same as one for a process that died. Its reader finds defaults.
 */
#ifndef KINGLET_CMD_TEST_SUITE_JSON_H
#define KINGLET_CMD_TEST_SUITE_JSON_H

#include <cjson/cJSON.h>

/* A string of valid UTF-8, whatever the text. */
cJSON *json_text(const char *text);

/* The value is taken. */
void json_set(cJSON *object, const char *key, cJSON *value);
void json_append(cJSON *array, cJSON *value);

/* NULL becomes null. */
void json_set_text(cJSON *object, const char *key, const char *text);

#endif
