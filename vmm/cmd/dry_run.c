/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "arch/arch.h"
#include "base/log.h"
#include "cli/options.h"
#include "cmd/run_options.h"
#include "host/image.h"
#include "devices/lio.h"
#include "host/tap.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

static void print_row(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%-10s %s\n", name, text);
}

/* A size for people: three digits or so. */
static void format_bytes(uint64_t bytes, char *text, size_t len)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	unsigned unit = 0;

	for (; value >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
		value /= 1024;
	snprintf(text, len, unit && value < 10 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* --- What machine_run() would find out --------------------------------------------------------- */

/* Loads what shall boot, into RAM of no machine. */
static int check_boot(const struct machine_config *config, struct boot_summary *summary)
{
	const struct gmem_options options = { .shared = false };
	struct gmem_range ranges[2];
	int count = arch_ram_ranges(config->memory, ranges), ret;
	struct boot_state state;
	struct gmem mem;
	char size[32];

	if (count < 0) {
		option_format_value(OPTION_SIZE, config->memory, size, sizeof(size));
		log_error("--memory %s: cannot be laid out in the guest; give less", size);
		return count;
	}
	ret = gmem_init(&mem, ranges, (unsigned)count, &options);
	if (ret)
		return ret;
	ret = arch_boot_load(NULL, &mem, &config->boot, &state);
	gmem_destroy(&mem);
	*summary = state.summary;
	return ret;
}

static int check_net(const struct net_config *net)
{
	const struct tap_options options = { .name = net->tap, .multi_queue = net->queues > 1 };
	struct sys sys;

	sys_init(&sys);
	return net->tap && !net->create ? tap_check_exists(&sys, &options) : 0;
}

static int check(const struct machine_config *config, struct boot_summary *summary)
{
	int ret = machine_check(config);

	if (!ret)
		ret = check_boot(config, summary);
	for (unsigned i = 0; i < config->disk_count && !ret; i++)
		ret = image_check(&config->disks[i].image);
	for (unsigned i = 0; i < config->net_count && !ret; i++)
		ret = check_net(&config->nets[i]);
	for (unsigned i = 0; i < config->scsi_count && !ret; i++)
		if (config->scsis[i].image.path)
			ret = lio_check_image(&config->scsis[i].image);
	return ret;
}

/* --- The page --------------------------------------------------------------------------------- */

/* All were looked at before. */
static void print_file(FILE *out, const char *name, const char *path, const char *more)
{
	struct stat st = { 0 };
	char size[32] = "block device";

	if (stat(path, &st) || !S_ISBLK(st.st_mode))
		format_bytes((uint64_t)st.st_size, size, sizeof(size));
	fprintf(out, "%-10s %s (%s)%s\n", name, path, size, more);
}

static void print_memory(FILE *out, const struct machine_config *config)
{
	struct gmem_range ranges[2];
	char size[32];
	int count = arch_ram_ranges(config->memory, ranges);

	option_format_value(OPTION_SIZE, config->memory, size, sizeof(size));
	fprintf(out, "%-10s %s%s%s%s\n", "memory", size, config->shared_memory ? ", shared" : "",
		config->hugepages ? ", huge pages" : "",
		config->prefault ? ", allocated at the start" : "");
	for (int i = 0; i < count; i++)
		fprintf(out, "%-10s 0x%012" PRIx64 "-0x%012" PRIx64 "\n", "", ranges[i].gpa,
			ranges[i].gpa + ranges[i].len - 1);
}

static void print_disk(FILE *out, unsigned index, const struct disk_config *disk)
{
	char name[16], more[128];

	snprintf(name, sizeof(name), "disk %u", index);
	snprintf(more, sizeof(more), ", %s, %u queue%s, %s%s%s%s",
		 disk->image.readonly ? "read-only" : "writable", disk->queues,
		 disk->queues == 1 ? "" : "s", disk->image.threads ? "I/O threads" : "io_uring",
		 disk->image.direct ? ", direct" : "", disk->serial ? ", serial " : "",
		 disk->serial ? disk->serial : "");
	print_file(out, name, disk->image.path, more);
}

static void format_fds(char *text, size_t len, const struct fd_list *list)
{
	size_t used = (size_t)snprintf(text, len, "tap on fd");

	/* 16 numbers of 10 digits fit. */
	for (unsigned i = 0; i < list->count; i++)
		used += (size_t)snprintf(text + used, len - used, "%c%d", i ? ':' : ' ',
					 list->fds[i]);
}

static void print_net(FILE *out, unsigned index, const struct net_config *net)
{
	static const char *const vhosts[] = {
		[VHOST_AUTO] = "vhost if there",
		[VHOST_ON] = "vhost",
		[VHOST_OFF] = "no vhost",
	};
	char name[16], text[384], tap[256], mac[32] = "MAC of Kinglet's choice";

	snprintf(name, sizeof(name), "net %u", index);
	if (net->mac_set)
		snprintf(mac, sizeof(mac), "MAC %02x:%02x:%02x:%02x:%02x:%02x", net->mac[0],
			 net->mac[1], net->mac[2], net->mac[3], net->mac[4], net->mac[5]);
	if (net->tap)
		snprintf(tap, sizeof(tap), "tap %s", net->tap);
	else
		format_fds(tap, sizeof(tap), &net->fds);
	snprintf(text, sizeof(text), "%s, %s, %u queue pair%s, %s%s", tap, vhosts[net->vhost],
		 net->queues, net->queues == 1 ? "" : "s", net->offloads ? "" : "no offloads, ", mac);
	print_row(out, name, text);
}

static void print_scsi(FILE *out, unsigned index, const struct scsi_config *scsi)
{
	const char *plural = scsi->queues == 1 ? "" : "s";
	char name[16], text[320];

	snprintf(name, sizeof(name), "scsi %u", index);
	if (scsi->image.path) {
		snprintf(text, sizeof(text), ", %s, %u queue%s",
			 scsi->image.readonly ? "read-only" : "writable", scsi->queues, plural);
		print_file(out, name, scsi->image.path, text);
		return;
	}
	snprintf(text, sizeof(text), "target %s, %u queue%s", scsi->wwpn, scsi->queues, plural);
	print_row(out, name, text);
}

static void print_boot_format(FILE *out, const struct boot_options *boot)
{
	static const char *const modes[] = {
		[CPU_MODE_16] = "16", [CPU_MODE_32] = "32", [CPU_MODE_64] = "64"
	};

	if (boot->format == BOOT_FORMAT_FLAT)
		fprintf(out, "%-10s flat binary at %#" PRIx64 ", %s-bit\n", "", boot->flat_address,
			modes[boot->flat_mode]);
}

static void print_module(FILE *out, const struct boot_module *module)
{
	print_file(out, "module", module->path, "");
	if (module->args)
		print_row(out, "", module->args);
}

static void print_serial(FILE *out, const struct machine_config *config)
{
	const char *where = " on stdio";

	if (config->no_output)
		where = ", not shown";
	else if (config->output_on_stderr)
		where = " on stderr";
	fprintf(out, "%-10s %s%s\n", "serial",
		config->serial == SERIAL_STDIO ? arch_linux_words.serial : "off",
		config->serial == SERIAL_STDIO ? where : "");
}

static void print_gdb(FILE *out, const struct gdb_config *gdb)
{
	if (gdb->listen)
		fprintf(out, "%-10s %s%s%s\n", "gdb", gdb->port ? "127.0.0.1:" : "", gdb->listen,
			gdb->nowait ? "" : ", waits for it");
}

int dry_run_print(FILE *out, const struct run_options *options)
{
	const struct machine_config *config = &options->config;
	static const char *const consoles[] = {
		[CONSOLE_OFF] = "off",
		[CONSOLE_NULL] = "kinglet.status; hvc0 dropped",
		[CONSOLE_STDIO] = "hvc0 on stdio",
	};
	struct boot_summary summary = { .format = "" };
	char timeout[32] = "none", format[40] = "";
	int ret = check(config, &summary);

	if (ret)
		return ret;
	fprintf(out, "%-10s %u\n", "cpus", config->cpus);
	print_memory(out, config);
	if (config->boot.format != BOOT_FORMAT_FLAT)
		snprintf(format, sizeof(format), ", %s", summary.format);
	print_file(out, "kernel", config->boot.kernel, format);
	print_boot_format(out, &config->boot);
	if (config->boot.initrd)
		print_file(out, "initrd", config->boot.initrd, "");
	for (unsigned i = 0; i < config->boot.module_count; i++)
		print_module(out, &config->boot.modules[i]);
	print_row(out, "cmdline", config->boot.cmdline);
	print_row(out, "acpi", config->acpi ? "on" : "off");
	print_row(out, "irqchip", config->irqchip ? "on" : "off");
	print_serial(out, config);
	print_row(out, "console", consoles[config->console]);
	if (config->program)
		print_row(out, "program", "stdin, stdout and stderr on ports of the console");
	print_row(out, "rng", config->rng ? "on" : "off");
	for (unsigned i = 0; i < config->disk_count; i++)
		print_disk(out, i, &config->disks[i]);
	for (unsigned i = 0; i < config->net_count; i++)
		print_net(out, i, &config->nets[i]);
	for (unsigned i = 0; i < config->scsi_count; i++)
		print_scsi(out, i, &config->scsis[i]);
	if (config->vsock.cid)
		fprintf(out, "%-10s CID %u\n", "vsock", config->vsock.cid);
	print_row(out, "on-reboot", config->on_reboot == ON_REBOOT_EXIT ? "exit" : "restart");
	print_gdb(out, &options->gdb);
	if (config->timeout_ns)
		option_format_value(OPTION_DURATION, config->timeout_ns, timeout, sizeof(timeout));
	print_row(out, "timeout", timeout);
	return 0;
}
