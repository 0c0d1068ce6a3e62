/* SPDX-License-Identifier: Apache-2.0 */
/*
 * --explain=html: one page about the run that needs nothing else, neither scripts nor files. What
 * the machine was is put down when its vCPUs have stopped, for then it is still there; the rest
 * when it is gone, for then all is counted.
 */
#include "page.h"

#include "base/log.h"

#include <string.h>

void page_text(FILE *out, const char *text)
{
	for (; text && *text; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else
			fputc((unsigned char)*text < ' ' ? '?' : *text, out);
	}
}

void page_take_machine(struct watch *watch)
{
	size_t len;
	FILE *out = open_memstream(&watch->machine_page, &len);

	if (!out)
		return;
	page_print_machine(out, watch);
	fclose(out);
}

/* --- The run ---------------------------------------------------------------------------------- */

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static uint64_t since_start(const struct watch *watch, enum phase phase)
{
	uint64_t ns = 0;

	return phases_since_start(&watch->phases, phase, &ns) ? ns : 0;
}

static void print_fact(FILE *out, const char *what, const char *value)
{
	fputs("<div><b>", out);
	page_text(out, value);
	fprintf(out, "</b><span>%s</span></div>\n", what);
}

static void print_facts(FILE *out, const struct watch *watch, const struct verdict *verdict)
{
	const struct machine_config *config = watch->parts->config;
	char buf[64];
	struct text text = text_of(buf, sizeof(buf));

	fputs("<div class=\"facts\">\n", out);
	print_fact(out, "kernel", config->boot.kernel);
	print_fact(out, "format", watch->parts->loaded->format);
	text_add(&text, "%u", config->cpus);
	print_fact(out, "vCPUs", buf);
	text = text_of(buf, sizeof(buf));
	text_add_bytes(&text, config->memory);
	print_fact(out, "memory", buf);
	text = text_of(buf, sizeof(buf));
	text_add(&text, "%.1f ms", ms(since_start(watch, PHASE_GONE)));
	print_fact(out, "from start to end", buf);
	text = text_of(buf, sizeof(buf));
	text_add(&text, "%d", verdict->status);
	print_fact(out, "exit status", buf);
	fputs("</div>\n", out);
	if (*verdict->detail) {
		fputs("<p>", out);
		page_text(out, verdict->detail);
		fputs("</p>\n", out);
	}
}

/* A bar of the width that `part` has in `whole`, which begins at `from`. */
static void print_bar(FILE *out, uint64_t from, uint64_t part, uint64_t whole)
{
	fprintf(out,
		"<td class=\"b\"><div class=\"bar\"><i class=\"skip\" style=\"width:%.2f%%\"></i>"
		"<i style=\"width:%.2f%%\"></i></div></td>",
		percent(from, whole), percent(part, whole));
}

static void print_timeline(FILE *out, const struct watch *watch)
{
	uint64_t whole = since_start(watch, PHASE_GONE);

	fputs("<h2>Timeline</h2>\n<div class=\"scroll\"><table>\n<tr><th>phase</th><th>what happens"
	      "</th><th class=\"n\">at ms</th><th class=\"n\">lasts ms</th><th></th></tr>\n",
	      out);
	for (enum phase phase = phases_next(&watch->phases, PHASES); phase != PHASES;
	     phase = phases_next(&watch->phases, phase)) {
		enum phase next = phases_next(&watch->phases, phase);
		uint64_t at = since_start(watch, phase);
		uint64_t lasts = next == PHASES ? 0 : since_start(watch, next) - at;

		fprintf(out,
			"<tr><td><b>%s</b></td><td>%s</td><td class=\"n\">%.2f</td>"
			"<td class=\"n\">%.2f</td>",
			phase_name(phase), phase_meaning(phase), ms(at), ms(lasts));
		print_bar(out, at, lasts, whole);
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
	if (!since_start(watch, PHASE_KERNEL) || !since_start(watch, PHASE_INIT))
		fputs("<p>The kernel&rsquo;s banner and the start of init are known by what the "
		      "guest prints; it did not print both.</p>\n",
		      out);
}

static void print_vcpus(FILE *out, const struct watch *watch)
{
	fputs("<h2>vCPUs</h2>\n<p><span class=\"swatch\" style=\"background:var(--bar)\"></span>"
	      "in the guest, or halted in KVM &nbsp; <span class=\"swatch\" style=\"background:var(--bar2)\">"
	      "</span>in Kinglet, with an exit</p>\n<table>\n<tr><th>vCPU</th><th class=\"n\">KVM_RUNs"
	      "</th><th class=\"n\">guest ms</th><th class=\"n\">Kinglet ms</th><th></th></tr>\n",
	      out);
	for (unsigned i = 0; i < watch->in_guest.count; i++) {
		const struct cost *guest = &watch->in_guest.costs[i];
		const struct cost *kinglet = &watch->in_exits.costs[i];
		uint64_t whole = guest->ns + kinglet->ns;

		fprintf(out,
			"<tr><td>%s</td><td class=\"n\">%llu</td><td class=\"n\">%.2f</td>"
			"<td class=\"n\">%.2f</td><td class=\"b\"><div class=\"bar\">"
			"<i style=\"width:%.2f%%\"></i>"
			"<i class=\"two\" style=\"width:%.2f%%\"></i></div></td></tr>\n",
			guest->name, (unsigned long long)guest->count, ms(guest->ns),
			ms(kinglet->ns), percent(guest->ns, whole), percent(kinglet->ns, whole));
	}
	fputs("</table>\n", out);
}

/* The dearest first. Sorts a copy. */
static void print_costs(FILE *out, const struct costs *unsorted, const char *what)
{
	struct costs costs = *unsorted;
	uint64_t dearest;

	costs_sort(&costs);
	dearest = costs.count ? costs.costs[0].ns : 0;
	fprintf(out,
		"<div class=\"scroll\"><table>\n<tr><th>%s</th><th class=\"n\">number</th>"
		"<th class=\"n\">ms</th><th class=\"n\">&micro;s each</th><th></th></tr>\n",
		what);
	for (unsigned i = 0; i < costs.count; i++) {
		const struct cost *cost = &costs.costs[i];

		fputs("<tr><td>", out);
		page_text(out, cost->name);
		fprintf(out,
			"</td><td class=\"n\">%llu</td><td class=\"n\">%.2f</td>"
			"<td class=\"n\">%.1f</td>",
			(unsigned long long)cost->count, ms(cost->ns),
			(double)cost->ns / 1e3 / (double)cost->count);
		print_bar(out, 0, cost->ns, dearest);
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

static void print_page(FILE *out, const struct watch *watch, const struct verdict *verdict)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n"
	      "<title>Kinglet: the life of a virtual machine</title>\n<style>\n",
	      out);
	fputs(page_style, out);
	fputs("</style>\n</head>\n<body>\n<h1>The life of a virtual machine</h1>\n"
	      "<p>Written by Kinglet " KINGLET_VERSION " (<code>--explain=html</code>).</p>\n",
	      out);
	print_facts(out, watch, verdict);
	print_timeline(out, watch);
	print_vcpus(out, watch);
	fputs("<h2>Exits</h2>\n"
	      "<p>Why the guest was left for Kinglet, and how long it waited there.</p>\n",
	      out);
	print_costs(out, &watch->exits, "cause");
	if (watch->machine_page)
		fputs(watch->machine_page, out);
	fputs("<h2>Calls of the kernel</h2>\n<p>Every ioctl but KVM_RUN.</p>\n", out);
	print_costs(out, &watch->calls, "request");
	fputs("</body>\n</html>\n", out);
}

int page_open(struct watch *watch, const char *path)
{
	watch->page = fopen(path, "we");
	if (watch->page)
		return 0;
	log_error("--explain=html %s: %s", path, strerror(errno));
	return -errno;
}

bool page_close(struct watch *watch, const struct verdict *verdict)
{
	FILE *out = watch->page;
	bool failed;

	print_page(out, watch, verdict);
	failed = ferror(out);
	failed |= fclose(out) != 0;
	if (failed)
		log_error("--explain=html %s: write: %s", watch->config.explain_page,
			  strerror(errno));
	watch->page = NULL;
	return !failed;
}
