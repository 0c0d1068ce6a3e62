/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/commands.h"

#include "arch/arch.h"
#include "base/files.h"
#include "base/log.h"
#include "cli/options.h"
#include "cmd/run_options.h"

#include <inttypes.h>
#include <string.h>

static void print_row(FILE *out, const char *name, const char *text)
{
	fprintf(out, "%-10s %s\n", name, text);
}

/* --- The checks of machine_run() -------------------------------------------------------------- */

/* Loads the kernel into RAM without a machine. */
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

static int check(const struct machine_config *config, struct boot_summary *summary)
{
	const struct device_set *devices = &config->devices;
	const struct device_ram ram = { config->memory, config->hugepages };
	int ret = machine_check(config);

	if (!ret && !config->restore)
		ret = check_boot(config, summary);
	for (unsigned i = 0; i < devices->count && !ret; i++)
		if (devices->items[i].kind->check)
			ret = devices->items[i].kind->check(devices->items[i].config, &ram);
	return ret;
}

/* --- The page --------------------------------------------------------------------------------- */

static void print_file(FILE *out, const char *name, const char *path, const char *more)
{
	fprintf(out, "%-10s ", name);
	file_describe(out, path);
	fprintf(out, "%s\n", more);
}

static void print_memory(FILE *out, const struct machine_config *config)
{
	struct gmem_range ranges[2];
	char size[32];
	int count = arch_ram_ranges(config->memory, ranges);

	option_format_value(OPTION_SIZE, config->memory, size, sizeof(size));
	fprintf(out, "%-10s %s%s%s%s\n", "memory", size,
		config->shared_memory || device_set_shares_ram(&config->devices) ? ", shared" : "",
		config->hugepages ? ", huge pages" : "",
		config->prefault ? ", allocated at the start" : "");
	for (int i = 0; i < count; i++)
		fprintf(out, "%-10s 0x%012" PRIx64 "-0x%012" PRIx64 "\n", "", ranges[i].gpa,
			ranges[i].gpa + ranges[i].len - 1);
}

static void print_device(FILE *out, const struct device_config *device)
{
	const struct option *option = &device->kind->option;
	char name[32];

	snprintf(name, sizeof(name), option_is_repeatable(option) ? "%s %u" : "%s", option->name,
		 device->instance);
	fprintf(out, "%-10s ", name);
	device->kind->describe(out, device->config);
	fputc('\n', out);
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

static void print_control(FILE *out, const struct control_config *control)
{
	char where[256];

	if (control_config_describe(control, where, sizeof(where)))
		print_row(out, "control", where);
}

static void print_boot(FILE *out, const struct machine_config *config,
		       const struct boot_summary *summary)
{
	char format[40] = "";

	if (config->boot.format != BOOT_FORMAT_FLAT)
		snprintf(format, sizeof(format), ", %s", summary->format);
	print_file(out, "kernel", config->boot.kernel, format);
	print_boot_format(out, &config->boot);
	if (config->boot.initrd)
		print_file(out, "initrd", config->boot.initrd, "");
	for (unsigned i = 0; i < config->boot.module_count; i++)
		print_module(out, &config->boot.modules[i]);
	print_row(out, "cmdline", config->boot.cmdline);
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
	char timeout[32] = "none", stays[200];
	int ret = check(config, &summary);

	if (ret)
		return ret;
	fprintf(out, "%-10s %u\n", "cpus", config->cpus);
	print_memory(out, config);
	if (config->restore)
		print_row(out, "restores", config->boot.kernel);
	else
		print_boot(out, config, &summary);
	print_row(out, "acpi", config->acpi ? "on" : "off");
	print_row(out, "irqchip", config->irqchip ? "on" : "off");
	print_serial(out, config);
	print_row(out, "console", consoles[config->console]);
	if (config->program)
		print_row(out, "program", "stdin, stdout and stderr on ports of the console");
	for (unsigned i = 0; i < config->devices.count; i++)
		print_device(out, &config->devices.items[i]);
	print_row(out, "can move", machine_can_move(config, stays, sizeof(stays)) ? "yes" : stays);
	print_row(out, "on-reboot", config->on_reboot == ON_REBOOT_EXIT ? "exit" : "restart");
	print_gdb(out, &options->gdb);
	print_control(out, &options->control);
	if (config->timeout_ns)
		option_format_value(OPTION_DURATION, config->timeout_ns, timeout, sizeof(timeout));
	print_row(out, "timeout", timeout);
	return 0;
}
