/* SPDX-License-Identifier: Apache-2.0 */
/* The machines that run, by their sockets. A dead one is left for the next machine of its name. */
#include "control.h"

#include "client.h"
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

/* What info has answered, or why it has not. */
static void print_machine(FILE *out, const char *name, const cJSON *info, const char *failure)
{
	for (unsigned i = 0; i < ARRAY_SIZE(columns); i++) {
		const char *key = columns[i].key;

		if (i)
			fputc(' ', out);
		if (!i)
			control_print_text(out, name, columns[i].width);
		else if (failure && strcmp(key, "state") == 0)
			control_print_text(out, failure, columns[i].width);
		else
			control_print_value(out, cJSON_GetObjectItemCaseSensitive(info, key),
					    columns[i].width);
	}
	fputc('\n', out);
}

static void list_machine(FILE *out, const char *name, unsigned patience_ms)
{
	struct control_client client;
	cJSON *info = NULL;
	const char *failure = NULL;
	int ret = control_client_open(&client, name, patience_ms);

	if (!ret)
		ret = control_client_ask(&client, "info", "{}", &info);
	if (ret)
		failure = control_client_failure_word(&client, ret);
	if (!ret || failure)
		print_machine(out, name, info, failure);
	cJSON_Delete(info);
	control_client_close(&client);
}

int control_print_list(FILE *out, unsigned patience_ms)
{
	char folder[PATH_MAX];
	struct dirent **entries;
	int ret = control_folder(folder, sizeof(folder));
	int count = ret ? 0 : scandir(folder, &entries, is_socket, versionsort);

	if (count < 0 && errno != ENOENT)
		return -errno;
	if (ret)
		return ret;
	for (unsigned i = 0; i < ARRAY_SIZE(columns); i++)
		fprintf(out, "%s%-*s", i ? " " : "", (int)columns[i].width, columns[i].heading);
	fputc('\n', out);
	for (int i = 0; i < count; i++) {
		entries[i]->d_name[strlen(entries[i]->d_name) - strlen(suffix)] = '\0';
		list_machine(out, entries[i]->d_name, patience_ms);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return 0;
}
