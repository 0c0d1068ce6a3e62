/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include "base/log.h"
#include "devices/console.h"
#include "platform/serial.h"

static bool has_terminal(const struct console *console, enum guest_stream stream)
{
	return config_has_terminal(console->options.config, stream);
}

static size_t input(void *owner, const uint8_t *data, size_t len)
{
	const struct console *console = owner;

	if (has_terminal(console, GUEST_HVC))
		return virtio_console_input(console->options.hvc, VIRTIO_CONSOLE_PORT, data, len);
	return serial_input(console->options.serial, data, len);
}

size_t console_type(struct console *console, const uint8_t *keys, size_t len)
{
	size_t taken;

	/* Before: room may be there as soon as they are refused. */
	atomic_store(&console->keys_wait, true);
	taken = input(console, keys, len);
	if (taken == len)
		atomic_store(&console->keys_wait, false);
	return taken;
}

static void output_ready(void *owner)
{
	const struct console *console = owner;

	if (has_terminal(console, GUEST_HVC))
		virtio_console_output_ready(console->options.hvc, VIRTIO_CONSOLE_PORT);
	else
		serial_output_ready(console->options.serial);
}

static void output_lost(void *owner, int error)
{
	const struct console_options *options = &((const struct console *)owner)->options;

	ending_output_lost(options->ending,
			   options->config->output_on_stderr ? "standard error" : "standard output",
			   error);
}

static void quit(void *owner)
{
	const struct console *console = owner;

	ending_decide(console->options.ending, OUTCOME_QUIT, 0, "ended by Ctrl-A x");
}

int console_init(struct console *console, const struct console_options *options)
{
	const struct machine_config *config = options->config;
	bool interactive = config->console == CONSOLE_STDIO || config->serial == SERIAL_STDIO;
	const struct terminal_options of_terminal = {
		.loop = options->loop,
		.in_fd = interactive && !config->no_input ? STDIN_FILENO : -1,
		.out_fd = config->output_on_stderr ? STDERR_FILENO : STDOUT_FILENO,
		.input = input,
		.output_ready = output_ready,
		.output_lost = output_lost,
		.quit = quit,
		.owner = console,
	};
	int ret;

	console->options = *options;
	ret = terminal_init(&console->terminal, &of_terminal);
	if (ret)
		return ret;
	atomic_fetch_add(&options->ending->unfinished, 1);
	crash_guard(&console->terminal);
	console_resized(console);
	return 0;
}

void console_destroy(struct console *console)
{
	crash_unguard();
	terminal_destroy(&console->terminal);
	atomic_fetch_sub(&console->options.ending->unfinished, 1);
}

void console_resized(struct console *console)
{
	uint16_t columns, rows;

	if (has_terminal(console, GUEST_HVC) &&
	    !terminal_get_size(&console->terminal, &columns, &rows))
		virtio_console_resize(console->options.hvc, columns, rows);
}

void console_greet(const struct console *console)
{
	if (console->terminal.raw && isatty(STDERR_FILENO))
		log_plain("kinglet: Ctrl-A x ends the run, Ctrl-A h lists the keys");
}

size_t console_write(struct console *console, enum guest_stream stream, const uint8_t *data,
		     size_t len)
{
	bool shown = has_terminal(console, stream) && !console->options.config->no_output;
	size_t taken = shown ? terminal_write(&console->terminal, data, len) : len;

	observers_console(console->options.observers, stream, data, taken);
	return taken;
}

void console_input_wanted(struct console *console, enum guest_stream stream)
{
	if (!has_terminal(console, stream))
		return;
	terminal_resume_input(&console->terminal);
	if (atomic_exchange(&console->keys_wait, false))
		observers_happened(console->options.observers, MACHINE_TAKES_KEYS, "");
}
