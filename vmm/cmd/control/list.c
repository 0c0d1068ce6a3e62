/* SPDX-License-Identifier: Apache-2.0 */
/* The machines that run, by their sockets. A dead one is left for the next machine of its name. */
#include "client.h"
#include "control.h"

#include "control/place.h"

#include <dirent.h>
#include <limits.h>
#include <string.h>

static const char suffix[] = ".sock";

static const struct column {
	const char *heading, *key; /* of info's answer */
	unsigned width;
} columns[] = {
	{ "NAME", "name", 24 },	 { "PID", "pid", 8 },	      { "STATE", "state", 14 },
	{ "CPUS", "cpus", 5 },	 { "MEMORY", "memory", 10 }, { "KERNEL", "kernel", 0 },
};

static int is_socket(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name), suffix_len = strlen(suffix);

	return *entry->d_name != '.' && len > suffix_len &&
	       strcmp(entry->d_name + len - suffix_len, suffix) == 0;
}

static void print_machine(FILE *out, const cJSON *machine)
{
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(machine, "error");

	for (unsigned i = 0; i < ARRAY_SIZE(columns); i++) {
		const char *key = columns[i].key;
		const cJSON *value = cJSON_GetObjectItemCaseSensitive(machine, key);

		if (i)
			fputc(' ', out);
		control_print_value(out, error && !strcmp(key, "state") ? error : value,
				    columns[i].width);
	}
	fputc('\n', out);
}

/*
 * What info answers, or why it does not, in "error". The name is the socket's: it is the one to
 * speak to. NULL: there is no machine.
 */
static cJSON *ask_machine(const char *name, unsigned patience_ms)
{
	struct control_client client;
	cJSON *machine = NULL;
	const char *failure = NULL;
	int ret = control_client_open(&client, name, patience_ms);

	if (!ret)
		ret = control_client_ask(&client, "info", "{}", &machine);
	if (ret)
		failure = control_client_failure_word(&client, ret);
	if (failure)
		machine = cJSON_CreateObject();
	if (machine) {
		cJSON_DeleteItemFromObjectCaseSensitive(machine, "name");
		cJSON_AddStringToObject(machine, "name", name);
	}
	if (failure)
		cJSON_AddStringToObject(machine, "error", failure);
	control_client_close(&client);
	return machine;
}

static void list_machine(FILE *out, cJSON *list, const char *name, unsigned patience_ms)
{
	cJSON *machine = ask_machine(name, patience_ms);

	if (list && machine) {
		cJSON_AddItemToArray(list, machine);
		return;
	}
	if (machine)
		print_machine(out, machine);
	cJSON_Delete(machine);
}

/* Takes over *list. */
static int print_json(FILE *out, cJSON *list)
{
	char *text = cJSON_Print(list);
	int ret = text ? 0 : -ENOMEM;

	if (text)
		fprintf(out, "%s\n", text);
	cJSON_free(text);
	cJSON_Delete(list);
	return ret;
}

static void print_headings(FILE *out)
{
	for (unsigned i = 0; i < ARRAY_SIZE(columns); i++)
		fprintf(out, "%s%-*s", i ? " " : "", (int)columns[i].width, columns[i].heading);
	fputc('\n', out);
}

int control_print_list(FILE *out, bool json, unsigned patience_ms)
{
	char folder[PATH_MAX];
	struct dirent **entries;
	int ret = control_folder(folder, sizeof(folder));
	int count = ret ? 0 : scandir(folder, &entries, is_socket, versionsort);
	cJSON *list = json ? cJSON_CreateArray() : NULL;

	if (!ret && count < 0 && errno != ENOENT)
		ret = -errno;
	if (!ret && !json)
		print_headings(out);
	for (int i = 0; i < count; i++) {
		entries[i]->d_name[strlen(entries[i]->d_name) - strlen(suffix)] = '\0';
		list_machine(out, list, entries[i]->d_name, patience_ms);
		free(entries[i]);
	}
	if (!ret && count >= 0)
		free(entries);
	if (!ret && json)
		return print_json(out, list);
	cJSON_Delete(list);
	return ret;
}
