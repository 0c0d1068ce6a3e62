/* SPDX-License-Identifier: Apache-2.0 */
/* The debugger's requests, by packet. (gdb manual, appendix E.2 to E.6) */
#include "internal.h"

#include "machine/machine.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* Takes what follows the packet's name; false: no reply now. */
typedef bool command_fn(struct gdb *gdb, const char *args, struct gdb_reply *reply);

/* The errno is all that gdb shows. */
static bool refuse(struct gdb_reply *reply, int err)
{
	reply->len = 0;
	gdb_reply_format(reply, "E%02x", (unsigned)-err & 0xff);
	return true;
}

static bool answer(struct gdb_reply *reply, int err)
{
	if (err < 0)
		return refuse(reply, err);
	gdb_reply_format(reply, "OK");
	return true;
}

static struct vcpu *current(struct gdb *gdb)
{
	return gdb_vcpu(gdb, gdb->current);
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* A thread's number: -1 is all threads, 0 any. */
static bool take_thread(struct gdb *gdb, const char **text, int *index)
{
	uint64_t number;

	*index = -1;
	if (gdb_take_char(text, '-'))
		return gdb_take_char(text, '1');
	if (!gdb_take_hex(text, &number) || number > gdb->options.parts->vcpu_count)
		return false;
	*index = (int)number - 1;
	return true;
}

static bool select_thread(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	bool for_memory = gdb_take_char(&args, 'g');
	int index;

	if ((!for_memory && !gdb_take_char(&args, 'c')) || !take_thread(gdb, &args, &index))
		return refuse(reply, -EINVAL);
	if (for_memory && index >= 0)
		gdb->current = (unsigned)index;
	return answer(reply, 0);
}

static bool is_alive(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	int index;

	return answer(reply, take_thread(gdb, &args, &index) && index >= 0 ? 0 : -ESRCH);
}

static bool current_thread(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	(void)args;
	gdb_reply_format(reply, "QC%x", gdb->current + 1);
	return true;
}

static bool list_more_threads(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	unsigned first = gdb->listed;

	(void)args;
	if (first == gdb->options.parts->vcpu_count)
		gdb_reply_format(reply, "l");
	while (gdb->listed < gdb->options.parts->vcpu_count && reply->len < GDB_PACKET_MAX - 8) {
		gdb_reply_format(reply, "%c%x", gdb->listed == first ? 'm' : ',', gdb->listed + 1);
		gdb->listed++;
	}
	return true;
}

static bool list_threads(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	gdb->listed = 0;
	return list_more_threads(gdb, args, reply);
}

static bool describe_thread(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	struct arch_vcpu_state state;
	char text[80];
	int index;

	if (!take_thread(gdb, &args, &index) || index < 0)
		return refuse(reply, -ESRCH);
	if (arch_vcpu_state(gdb_vcpu(gdb, (unsigned)index), &state) < 0)
		return refuse(reply, -EIO);
	snprintf(text, sizeof(text), "vCPU %d: %s, %s", index, state.activity, state.mode);
	gdb_reply_hex(reply, text, strlen(text));
	return true;
}

/* --- Registers -------------------------------------------------------------------------------- */

static bool read_registers(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];
	int ret = arch_debug_get_registers(current(gdb), block);

	(void)args;
	if (ret < 0)
		return refuse(reply, ret);
	gdb_reply_hex(reply, block, arch_debug_registers_size());
	return true;
}

static bool write_registers(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];

	if (!gdb_take_bytes(&args, block, arch_debug_registers_size()) || *args)
		return refuse(reply, -EINVAL);
	return answer(reply, arch_debug_set_registers(current(gdb), block));
}

/* Parses a register number: reads the block and returns the register's offset. */
static int find_register(struct gdb *gdb, const char **args, uint8_t *block, size_t *offset,
			 size_t *size)
{
	uint64_t number;

	if (!gdb_take_hex(args, &number) || number > UINT16_MAX ||
	    !arch_debug_register((unsigned)number, offset, size))
		return -EINVAL;
	return arch_debug_get_registers(current(gdb), block);
}

static bool read_register(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];
	size_t offset, size;
	int ret = find_register(gdb, &args, block, &offset, &size);

	if (ret < 0)
		return refuse(reply, ret);
	gdb_reply_hex(reply, block + offset, size);
	return true;
}

static bool write_register(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint8_t block[ARCH_DEBUG_REGISTERS_MAX];
	size_t offset, size;
	int ret = find_register(gdb, &args, block, &offset, &size);

	if (ret < 0)
		return refuse(reply, ret);
	if (!gdb_take_char(&args, '=') || !gdb_take_bytes(&args, block + offset, size) || *args)
		return refuse(reply, -EINVAL);
	return answer(reply, arch_debug_set_registers(current(gdb), block));
}

/* --- Memory ----------------------------------------------------------------------------------- */

static bool take_range(const char **args, uint64_t *address, uint64_t *len)
{
	return gdb_take_hex(args, address) && gdb_take_char(args, ',') && gdb_take_hex(args, len);
}

static bool read_memory(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint8_t data[GDB_PACKET_MAX / 2];
	uint64_t address, len;
	int ret;

	if (!take_range(&args, &address, &len) || *args)
		return refuse(reply, -EINVAL);
	/* A short answer is allowed. */
	if (len > sizeof(data))
		len = sizeof(data);
	ret = gdb_memory_read(gdb->options.parts->mem, current(gdb), address, data, len);
	if (ret < 0)
		return refuse(reply, ret);
	gdb_reply_hex(reply, data, (size_t)ret);
	return true;
}

static bool write_bytes(struct gdb *gdb, uint64_t address, const void *data, size_t len,
			struct gdb_reply *reply)
{
	int ret = gdb_memory_write(gdb->options.parts->mem, current(gdb), address, data, len);

	return answer(reply, ret < 0 || (size_t)ret == len ? ret : -EFAULT);
}

static bool write_memory(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint8_t data[GDB_PACKET_MAX / 2];
	uint64_t address, len;

	if (!take_range(&args, &address, &len) || len > sizeof(data) || !gdb_take_char(&args, ':') ||
	    !gdb_take_bytes(&args, data, len) || *args)
		return refuse(reply, -EINVAL);
	return write_bytes(gdb, address, data, len, reply);
}

/* Binary data; the parser has removed the escapes. */
static bool write_binary(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint64_t address, len;

	if (!take_range(&args, &address, &len) || !gdb_take_char(&args, ':') ||
	    len != (size_t)(gdb->parser.data + gdb->parser.len - args))
		return refuse(reply, -EINVAL);
	return write_bytes(gdb, address, args, len, reply);
}

/* --- Breakpoints ------------------------------------------------------------------------------ */

static bool take_point(const char **args, uint64_t *type, uint64_t *address, uint64_t *len)
{
	return gdb_take_hex(args, type) && gdb_take_char(args, ',') && take_range(args, address, len);
}

static bool insert_point(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint64_t type, address, len;
	int ret;

	if (!take_point(&args, &type, &address, &len))
		return refuse(reply, -EINVAL);
	/*
	 * An empty reply: not supported. Nor are conditions and commands, which are not announced.
	 */
	if (type > GDB_POINT_ACCESS || *args)
		return true;
	ret = gdb_points_add(&gdb->points, gdb->options.parts->mem, current(gdb),
			     (enum gdb_point_type)type, address, len);
	return ret == -EOPNOTSUPP || answer(reply, ret);
}

static bool remove_point(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint64_t type, address, len;

	if (!take_point(&args, &type, &address, &len))
		return refuse(reply, -EINVAL);
	if (type > GDB_POINT_ACCESS)
		return true;
	gdb_points_remove(&gdb->points, (enum gdb_point_type)type, address, len);
	return answer(reply, 0);
}

/* --- Running ---------------------------------------------------------------------------------- */

static bool tell_stop(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	(void)args;
	gdb_reply_format(reply, "%s", gdb->stop);
	return true;
}

/* The reply comes when something stops. */
static bool resume(struct gdb *gdb, struct gdb_reply *reply)
{
	int ret = gdb_resume(gdb);

	return ret < 0 && refuse(reply, ret);
}

static bool list_actions(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	(void)gdb;
	(void)args;
	/* Without C and S gdb would not use c and s. */
	gdb_reply_format(reply, "vCont;c;C;s;S");
	return true;
}

/* "c", "s"; and "C05", "S05", whose signals do not exist for a machine. */
static bool take_action(const char **text, enum gdb_action *action)
{
	uint64_t signal;
	char c = **text;

	if (!c || !strchr("cCsS", c))
		return false;
	(*text)++;
	*action = c == 'c' || c == 'C' ? GDB_RUN : GDB_STEP;
	return c == 'c' || c == 's' || gdb_take_hex(text, &signal);
}

static void set_action(struct gdb *gdb, int index, enum gdb_action action, bool set[])
{
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		if (set[i] || (index >= 0 && i != (unsigned)index))
			continue;
		gdb->vcpus[i].action = action;
		set[i] = true;
	}
}

/* "s:1;c": a thread gets the first action for it, or for all threads. */
static bool resume_by_list(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	_cleanup_free_ bool *set = calloc(gdb->options.parts->vcpu_count, sizeof(*set));
	bool any = false;

	if (!set)
		return refuse(reply, -ENOMEM);
	do {
		enum gdb_action action;
		int index = -1;

		if (!take_action(&args, &action) ||
		    (gdb_take_char(&args, ':') && !take_thread(gdb, &args, &index)))
			return refuse(reply, -EINVAL);
		set_action(gdb, index, action, set);
	} while (gdb_take_char(&args, ';'));
	if (*args)
		return refuse(reply, -EINVAL);
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++) {
		if (!set[i])
			gdb->vcpus[i].action = GDB_STAY;
		any |= set[i];
	}
	return any ? resume(gdb, reply) : refuse(reply, -EINVAL);
}

static bool resume_all(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++)
		gdb->vcpus[i].action = GDB_RUN;
	return *args ? refuse(reply, -EINVAL) : resume(gdb, reply);
}

static bool step_current(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	for (unsigned i = 0; i < gdb->options.parts->vcpu_count; i++)
		gdb->vcpus[i].action = i == gdb->current ? GDB_STEP : GDB_STAY;
	return *args ? refuse(reply, -EINVAL) : resume(gdb, reply);
}

static bool detach(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	(void)args;
	answer(reply, 0);
	gdb_let_go(gdb);
	gdb_send(gdb, reply);
	gdb->options.ops->leaves(gdb->options.owner);
	return false;
}

static bool kill_guest(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	static const struct verdict end = {
		.outcome = OUTCOME_SIGNAL, .status = SIGKILL, .detail = "killed by gdb"
	};
	const struct machine_parts *parts = gdb->options.parts;

	if (*args)
		return refuse(reply, -EINVAL);
	gdb->attached = false;
	parts->ops->end(parts->vm, &end);
	gdb->options.ops->leaves(gdb->options.owner);
	return false;
}

static bool kill_by_number(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	(void)args; /* there is only one process */
	answer(reply, 0);
	gdb_send(gdb, reply);
	return kill_guest(gdb, "", reply);
}

/* --- Introduction ----------------------------------------------------------------------------- */

static bool tell_features(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	gdb->tells_breaks = strstr(args, "swbreak+") && strstr(args, "hwbreak+");
	gdb_reply_format(reply, "PacketSize=%x;QStartNoAckMode+;qXfer:features:read+;swbreak+;hwbreak+",
			 GDB_PACKET_MAX);
	return true;
}

static bool stop_acknowledging(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	(void)args;
	gdb->no_ack = true;
	return answer(reply, 0);
}

static bool read_target(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	uint64_t offset, len;
	size_t total = strlen(gdb->target);

	if (!take_range(&args, &offset, &len) || *args || offset > total)
		return refuse(reply, -EINVAL);
	/* gdb counts escapes, which are few. */
	if (len > GDB_PACKET_MAX / 2)
		len = GDB_PACKET_MAX / 2;
	if (len >= total - offset)
		len = total - offset;
	gdb_reply_format(reply, offset + len == total ? "l" : "m");
	gdb_reply_add(reply, gdb->target + offset, len);
	return true;
}

/* Not started by the debugger: on exit gdb detaches instead of killing. */
static bool tell_attached(struct gdb *gdb, const char *args, struct gdb_reply *reply)
{
	(void)gdb;
	(void)args;
	gdb_reply_format(reply, "1");
	return true;
}

/* The first whose name the packet begins with. */
static const struct command_row {
	const char *name;
	command_fn *fn;
} commands[] = {
	{ "?", tell_stop },
	{ "g", read_registers },
	{ "G", write_registers },
	{ "p", read_register },
	{ "P", write_register },
	{ "m", read_memory },
	{ "M", write_memory },
	{ "X", write_binary },
	{ "Z", insert_point },
	{ "z", remove_point },
	{ "H", select_thread },
	{ "T", is_alive },
	{ "vCont?", list_actions },
	{ "vCont;", resume_by_list },
	{ "c", resume_all },
	{ "s", step_current },
	{ "D", detach },
	{ "k", kill_guest },
	{ "vKill;", kill_by_number },
	{ "qSupported", tell_features },
	{ "QStartNoAckMode", stop_acknowledging },
	{ "qXfer:features:read:target.xml:", read_target },
	{ "qfThreadInfo", list_threads },
	{ "qsThreadInfo", list_more_threads },
	{ "qThreadExtraInfo,", describe_thread },
	{ "qC", current_thread },
	{ "qAttached", tell_attached },
};

/* While the guest runs, only Ctrl-C, which is not a packet, and a kill are handled. */
bool gdb_obey(struct gdb *gdb, struct gdb_reply *reply)
{
	const char *packet = gdb->parser.data;

	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++) {
		size_t len = strlen(commands[i].name);

		if (strncmp(packet, commands[i].name, len) != 0)
			continue;
		if (gdb->running && commands[i].fn != kill_guest && commands[i].fn != kill_by_number)
			return refuse(reply, -EBUSY);
		return commands[i].fn(gdb, packet + len, reply);
	}
	return true; /* an empty reply: unknown packet */
}
