/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include "watch.h"

#include "base/log.h"

#include <string.h>

static void print_number(FILE *out, uint64_t number, const char *after)
{
	fprintf(out, "<div><b>%llu</b><span>%s</span></div>\n", (unsigned long long)number, after);
}

static void print_run(FILE *out, const struct trace *trace, const cJSON *run)
{
	char buf[32];
	struct text memory = text_of(buf, sizeof(buf));

	text_add_bytes(&memory, trace_number(run, "memory"));
	fputs("<div class=\"facts\">\n", out);
	page_print(out, "<div><b>", trace_string(run, "kernel"), "</b><span>kernel</span></div>\n");
	page_print(out, "<div><b>", trace_string(run, "format"), "</b><span>format</span></div>\n");
	print_number(out, trace_number(run, "cpus"), "vCPUs");
	page_print(out, "<div><b>", buf, "</b><span>memory</span></div>\n");
	fprintf(out, "<div><b>%.1f ms</b><span>from start to end</span></div>\n",
		trace_ms(trace->end));
	print_number(out, trace_number(run, "status"), "exit status");
	fputs("</div>\n", out);
	if (*trace_string(run, "detail"))
		page_print(out, "<p>", trace_string(run, "detail"), "</p>\n");
}

static void print_timeline(FILE *out, const struct trace *trace)
{
	fputs("<h2>Timeline</h2>\n<div class=\"scroll\"><table>\n<tr><th>phase</th><th>what happens"
	      "</th><th class=\"n\">at ms</th><th class=\"n\">lasts ms</th><th></th></tr>\n",
	      out);
	for (unsigned i = 0; i < trace->phase_count; i++) {
		const struct trace_phase *phase = &trace->phases[i];

		page_print(out, "<tr><td><b>", phase->name, "</b></td>");
		page_print(out, "<td>", phase->what, "</td>");
		fprintf(out, "<td class=\"n\">%.2f</td><td class=\"n\">%.2f</td>",
			trace_ms(phase->at), trace_ms(phase->lasts));
		page_print_bar(out, "", phase->at, phase->lasts, trace->end);
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
	if (!trace_has_phase(trace, "kernel") || !trace_has_phase(trace, "init"))
		fputs("<p>The kernel&rsquo;s banner and the start of init are known by what the "
		      "guest prints; it did not print both.</p>\n",
		      out);
}

static void print_vcpus(FILE *out, const struct trace *trace)
{
	const struct costs *vcpus = &trace->sums[TRACE_GUEST];

	fputs("<h2>vCPUs</h2>\n<p><span class=\"swatch\" style=\"background:var(--bar)\"></span>"
	      "in the guest, or halted in KVM &nbsp; "
	      "<span class=\"swatch\" style=\"background:var(--bar2)\"></span>in Kinglet, with an "
	      "exit</p>\n<table>\n<tr><th>vCPU</th><th class=\"n\">KVM_RUNs"
	      "</th><th class=\"n\">guest ms</th><th class=\"n\">Kinglet ms</th><th></th></tr>\n",
	      out);
	for (unsigned i = 0; i < vcpus->count; i++) {
		const struct cost *vcpu = &vcpus->costs[i];
		uint64_t exits = costs_ns(&trace->sums[TRACE_KINGLET], vcpu->name);
		uint64_t whole = vcpu->ns + exits;

		page_print(out, "<tr><td>", vcpu->name, "</td>");
		fprintf(out,
			"<td class=\"n\">%llu</td><td class=\"n\">%.2f</td>"
			"<td class=\"n\">%.2f</td><td class=\"b\"><div class=\"bar\">"
			"<i style=\"width:%.2f%%\"></i>"
			"<i class=\"two\" style=\"width:%.2f%%\"></i></div></td></tr>\n",
			(unsigned long long)vcpu->count, trace_ms(vcpu->ns), trace_ms(exits),
			page_percent(vcpu->ns, whole), page_percent(exits, whole));
	}
	fputs("</table>\n", out);
}

static void print_costs(FILE *out, const struct costs *costs, const char *what)
{
	fprintf(out,
		"<div class=\"scroll\"><table>\n<tr><th>%s</th><th class=\"n\">number</th>"
		"<th class=\"n\">ms</th><th class=\"n\">&micro;s each</th><th></th></tr>\n",
		what);
	for (unsigned i = 0; i < costs->count; i++) {
		const struct cost *cost = &costs->costs[i];

		page_print(out, "<tr><td>", cost->name, "</td>");
		fprintf(out,
			"<td class=\"n\">%llu</td><td class=\"n\">%.2f</td>"
			"<td class=\"n\">%.1f</td>",
			(unsigned long long)cost->count, trace_ms(cost->ns),
			(double)cost->ns / 1e3 / (double)cost->count);
		page_print_bar(out, "", 0, cost->ns, costs->costs[0].ns);
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

void trace_print_page(FILE *out, const struct trace *trace)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n"
	      "<title>Kinglet: the life of a virtual machine</title>\n<style>\n",
	      out);
	fputs(page_style, out);
	fputs("</style>\n</head>\n<body>\n<h1>The life of a virtual machine</h1>\n", out);
	page_print(out, "<p>As traced by Kinglet ", trace->version, ".</p>\n");
	print_run(out, trace, cJSON_GetArrayItem(trace_facts(trace, "run"), 0));
	print_timeline(out, trace);
	print_vcpus(out, trace);
	fputs("<h2>Exits</h2>\n"
	      "<p>Why the guest was left for Kinglet, and how long it waited there.</p>\n",
	      out);
	print_costs(out, &trace->sums[TRACE_EXITS], "cause");
	page_print_moves(out, trace);
	page_print_machine(out, trace);
	fputs("<h2>Calls of the kernel</h2>\n<p>Every ioctl but KVM_RUN.</p>\n", out);
	print_costs(out, &trace->sums[TRACE_CALLS], "request");
	fputs("</body>\n</html>\n", out);
}

/* --- At run time ------------------------------------------------------------------------------ */

int page_open(struct watch *watch, const char *path)
{
	watch->page = fopen(path, "we");
	if (watch->page)
		return 0;
	log_error("--explain=html %s: %s", path, strerror(errno));
	return -errno;
}

bool page_close(struct watch *watch)
{
	const char *path = watch->config.explain_page;
	FILE *in = fmemopen(watch->facts_text, watch->facts_len, "r"), *out = watch->page;
	struct trace *trace = NULL;
	bool failed = !in || trace_new(&trace, in, path);

	if (trace)
		trace_print_page(out, trace);
	trace_free(trace);
	if (in)
		fclose(in);
	failed |= ferror(out) != 0;
	failed |= fclose(out) != 0;
	if (failed)
		log_error("--explain=html %s: write: %s", path, strerror(errno));
	watch->page = NULL;
	return !failed;
}
