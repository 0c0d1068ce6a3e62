/* SPDX-License-Identifier: Apache-2.0 */
#include "trace_reader.h"

#include <string.h>

enum { WIDTH = 64, ROWS = 12 };

static void print_repeated(FILE *out, const char *what, unsigned times)
{
	while (times--)
		fputs(what, out);
}

static unsigned share(uint64_t part, uint64_t whole, unsigned width)
{
	return whole ? (unsigned)((double)part / (double)whole * width + 0.5) : 0;
}

/* One line: the width of each phase is its duration, with its name if that fits. */
static void print_flame(FILE *out, const struct trace *trace)
{
	unsigned column = 0;

	for (unsigned i = 0; i < trace->phase_count; i++) {
		const struct trace_phase *row = &trace->phases[i];
		unsigned end = share(row->at + row->lasts, trace->end, WIDTH), width = end - column;
		unsigned name = (unsigned)strlen(row->name);

		if (end <= column)
			continue;
		if (width < name + 2) {
			fputc('[', out);
			print_repeated(out, "=", width - 1);
		} else {
			fprintf(out, "[%s", row->name);
			print_repeated(out, "=", width - 1 - name);
		}
		column = end;
	}
	fprintf(out, "] %.1f ms\n", trace_ms(trace->end));
}

static void print_phases(FILE *out, const struct trace *trace)
{
	if (!trace->phase_count) {
		fputs("The trace has no phases: the run was cut off before its end.\n", out);
		return;
	}
	print_flame(out, trace);
	fprintf(out, "\n%-8s %10s %10s  %s\n", "phase", "at ms", "lasts ms", "what happens");
	for (unsigned i = 0; i < trace->phase_count; i++) {
		const struct trace_phase *row = &trace->phases[i];

		fprintf(out, "%-8s %10.2f %10.2f  %s\n", row->name, trace_ms(row->at),
			trace_ms(row->lasts), row->what);
	}
	for (unsigned i = 0; i < 2; i++) {
		static const char *const printed[] = { "kernel", "init" };

		if (!trace_has_phase(trace, printed[i]))
			fprintf(out, "%-8s %10s %10s  unknown: the guest did not print it\n",
				printed[i], "-", "-");
	}
}

static void print_vcpus(FILE *out, const struct trace *trace)
{
	const struct costs *vcpus = &trace->sums[TRACE_GUEST];

	if (vcpus->count)
		fprintf(out, "\n%-10s %10s %10s  # guest or halted, . Kinglet\n", "vCPU",
			"guest ms", "Kinglet ms");
	for (unsigned i = 0; i < vcpus->count; i++) {
		const struct cost *vcpu = &vcpus->costs[i];
		uint64_t exits = costs_ns(&trace->sums[TRACE_KINGLET], vcpu->name);
		unsigned guest = share(vcpu->ns, vcpu->ns + exits, WIDTH / 2);

		fprintf(out, "%-10s %10.2f %10.2f  ", vcpu->name, trace_ms(vcpu->ns),
			trace_ms(exits));
		print_repeated(out, "#", guest);
		print_repeated(out, ".", WIDTH / 2 - guest);
		fputc('\n', out);
	}
}

static void print_costs(FILE *out, const struct costs *costs, const char *what)
{
	if (!costs->count)
		return;
	fprintf(out, "\n%-42s %9s %10s %9s\n", what, "number", "ms", "us each");
	for (unsigned i = 0; i < costs->count && i < ROWS; i++) {
		const struct cost *cost = &costs->costs[i];

		fprintf(out, "%-42s %9llu %10.2f %9.1f\n", cost->name,
			(unsigned long long)cost->count, trace_ms(cost->ns),
			(double)cost->ns / 1e3 / (double)cost->count);
	}
	if (costs->count > ROWS)
		fprintf(out, "and %u more\n", costs->count - ROWS);
}

static void print_interrupts(FILE *out, const struct costs *interrupts)
{
	if (!interrupts->count)
		return;
	fprintf(out, "\n%-60s %9s\n", "interrupts that Kinglet raised", "number");
	for (unsigned i = 0; i < interrupts->count; i++)
		fprintf(out, "%-60s %9llu\n", interrupts->costs[i].name,
			(unsigned long long)interrupts->costs[i].count);
}

void trace_print_report(FILE *out, const struct trace *trace)
{
	print_phases(out, trace);
	print_vcpus(out, trace);
	print_costs(out, &trace->sums[TRACE_EXITS], "exit");
	print_costs(out, &trace->sums[TRACE_CALLS], "call of the kernel");
	print_interrupts(out, &trace->sums[TRACE_INTERRUPTS]);
}
