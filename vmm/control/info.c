/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine is, and its state. */
#include "internal.h"

#include <stdio.h>

/* Its name, and why a machine in it cannot move. */
static const struct {
	const char *name, *stays;
} states[] = {
	[STATE_BUILDING] = { "building", "it is being built" },
	[STATE_RUNNING] = { "running", "" },
	[STATE_PAUSED] = { "paused", "it is paused; kinglet resume lets it run on" },
	[STATE_MOVING] = { "moving", "it is moving" },
	[STATE_FROZEN] = { "frozen", "it may have moved; kinglet resume lets it run on here" },
	[STATE_ENDING] = { "ending", "it is ending" },
};

static void add_can_move(const struct control_server *server, cJSON *info)
{
	char why[200] = "";

	if (machine_can_move(server->parts->config, why, sizeof(why)))
		snprintf(why, sizeof(why), "%s", states[server->state].stays);
	cJSON_AddBoolToObject(info, "can_move", !*why);
	if (*why)
		json_put_text(info, "stays_because", why);
}

cJSON *info_json(struct control_server *server)
{
	const struct machine_config *config = server->parts->config;
	cJSON *info = cJSON_CreateObject(), *devices;

	cJSON_AddStringToObject(info, "name", server->sock.name);
	cJSON_AddNumberToObject(info, "pid", getpid());
	cJSON_AddStringToObject(info, "version", KINGLET_VERSION);
	cJSON_AddNumberToObject(info, "cpus", config->cpus);
	cJSON_AddNumberToObject(info, "memory", (double)config->memory);
	json_put_text(info, "kernel", config->boot.kernel);
	cJSON_AddStringToObject(info, "state", states[server->state].name);
	pthread_mutex_lock(&server->lock);
	devices = cJSON_Duplicate(server->devices, true);
	pthread_mutex_unlock(&server->lock);
	cJSON_AddItemToObject(info, "devices", devices ? devices : cJSON_CreateArray());
	add_can_move(server, info);
	return info;
}
