/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's migrations: their rounds over time. */
#include "page.h"

static uint64_t since(const cJSON *from, const cJSON *to, const char *key)
{
	uint64_t begin = trace_number(from, key), end = trace_number(to, key);

	return end > begin ? end - begin : 0;
}

/* It ends with the fact that follows; the last one of a migration that failed has no end. */
static void print_round(FILE *out, const cJSON *round, const cJSON *next, uint64_t whole)
{
	const double mib = 1 << 20;
	uint64_t lasts = since(round, next, "total_ns");
	double sent = (double)since(round, next, "sent") / mib;
	bool stands = trace_number(round, "stands");

	fprintf(out,
		"<tr><td>%llu%s</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td>"
		"<td class=\"n\">%.1f</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td>",
		(unsigned long long)trace_number(round, "round"), stands ? ", standing still" : "",
		(double)trace_number(round, "bytes") / mib, sent,
		lasts ? sent * 1e9 / (double)lasts : 0, trace_ms(trace_number(round, "total_ns")),
		trace_ms(lasts));
	page_print_bar(out, stands ? " class=\"two\"" : "", trace_number(round, "total_ns"), lasts,
		       whole);
	fputs("</tr>\n", out);
}

/* The first fact of the next one, or NULL. */
static const cJSON *print_migration(FILE *out, const cJSON *fact)
{
	const cJSON *last = fact;

	while (last->next && trace_number(last->next, "round") != 1)
		last = last->next;
	fputs("<div class=\"scroll\"><table>\n<tr><th>round</th><th class=\"n\">MiB of RAM</th>"
	      "<th class=\"n\">MiB sent</th><th class=\"n\">MiB/s</th><th class=\"n\">at ms</th>"
	      "<th class=\"n\">lasts ms</th><th></th></tr>\n",
	      out);
	for (; fact != last; fact = fact->next)
		print_round(out, fact, fact->next, trace_number(last, "total_ns"));
	if (!trace_number(last, "stood_ns"))
		print_round(out, last, last, trace_number(last, "total_ns"));
	fputs("</table></div>\n", out);
	if (trace_number(last, "stood_ns"))
		fprintf(out, "<p>It stood still for %.1f ms, and then ran at the target.</p>\n",
			trace_ms(trace_number(last, "stood_ns")));
	else
		fputs("<p>It did not get to the target.</p>\n", out);
	return last->next;
}

void page_print_moves(FILE *out, const struct trace *trace)
{
	const cJSON *moves = trace_facts(trace, "move");
	const cJSON *fact = moves ? moves->child : NULL;

	if (!fact)
		return;
	fputs("<h2>Migration</h2>\n<p>All of RAM, then in each round what was written in the one "
	      "before; pages of zeros are not sent. After the last one, the devices&rsquo; state."
	      "</p>\n",
	      out);
	while (fact)
		fact = print_migration(out, fact);
}
