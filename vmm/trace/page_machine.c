/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <string.h>

static void print(FILE *out, const char *before, const cJSON *fact, const char *key,
		  const char *after)
{
	page_print(out, before, trace_string(fact, key), after);
}

static void print_bytes(FILE *out, const cJSON *fact)
{
	char buf[32];
	struct text size = text_of(buf, sizeof(buf));

	text_add_bytes(&size, trace_number(fact, "bytes"));
	fputs(buf, out);
}

static unsigned number(const cJSON *fact, const char *key)
{
	return (unsigned)trace_number(fact, key);
}

/* --- Addresses -------------------------------------------------------------------------------- */

static void print_range(FILE *out, const cJSON *fact)
{
	print(out, "<td class=\"a\">", fact, "from", "</td>");
	print(out, "<td class=\"a\">", fact, "to", "</td>");
}

static void print_memory_map(FILE *out, const struct trace *trace)
{
	const cJSON *area;

	fputs("<h2>Memory map</h2>\n<p>Guest-physical addresses. An access to RAM stays in the guest; "
	      "one to a device is an exit.</p>\n<div class=\"scroll\"><table>\n"
	      "<tr><th>what</th><th>from</th><th>to</th><th class=\"n\">size</th></tr>\n",
	      out);
	cJSON_ArrayForEach(area, trace_facts(trace, "area")) {
		print(out, "<tr><td><span class=\"swatch ", area, "kind", "\"></span>");
		print(out, "", area, "name", "</td>");
		print_range(out, area);
		fputs("<td class=\"n\">", out);
		print_bytes(out, area);
		fputs("</td></tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

static void print_ports(FILE *out, const struct trace *trace)
{
	const cJSON *ports = trace_facts(trace, "port"), *port;

	if (!ports)
		return;
	fputs("<h2>I/O ports</h2>\n<table>\n<tr><th>device</th><th>from</th><th>to</th></tr>\n",
	      out);
	cJSON_ArrayForEach(port, ports) {
		print(out, "<tr><td>", port, "name", "</td>");
		print_range(out, port);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

/* --- PCI -------------------------------------------------------------------------------------- */

static void print_bars(FILE *out, const struct trace *trace, const char *function)
{
	const cJSON *bar;

	cJSON_ArrayForEach(bar, trace_facts(trace, "bar")) {
		if (strcmp(trace_string(bar, "function"), function) != 0)
			continue;
		fprintf(out, "<br><small>BAR %u: ", number(bar, "bar"));
		print_bytes(out, bar);
		print(out, " at <code>", bar, "at", "</code>");
		fprintf(out, "%s%s</small>", number(bar, "is_64bit") ? ", 64-bit" : "",
			number(bar, "mapped") ? "" : ", not mapped");
	}
}

static void print_pci(FILE *out, const struct trace *trace)
{
	const cJSON *function;

	fputs("<h2>PCI</h2>\n<ul class=\"tree\">\n", out);
	cJSON_ArrayForEach(function, trace_facts(trace, "function")) {
		print(out, "<li><code>", function, "function", "</code> <b>");
		print(out, "", function, "name", "</b> <small>");
		print(out, "", function, "ids", ", class ");
		print(out, "", function, "class", "</small>");
		print_bars(out, trace, trace_string(function, "function"));
		if (trace_has(function, "gsi"))
			fprintf(out, "<br><small>INTA to GSI %u%s</small>", number(function, "gsi"),
				number(function, "msix") ? ", or MSI-X" : "");
		fputs("</li>\n", out);
	}
	fputs("</ul>\n", out);
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void print_kick(FILE *out, const cJSON *queue)
{
	bool ioeventfd = trace_has(queue, "kick_at");

	if (ioeventfd)
		print(out, "<span>write to <code>", queue, "kick_at",
		      "</code><small>the driver's kick</small>");
	else
		fputs("<span>the driver's kick<small>an exit each</small>", out);
	fprintf(out, "</span><i>&rarr;</i><span>eventfd %u<small>%s</small></span>",
		number(queue, "kick_fd"), ioeventfd ? "ioeventfd: no exit" : "no ioeventfd");
}

static void print_runner(FILE *out, const cJSON *queue)
{
	const char *name = trace_string(queue, "runner");

	fputs("<i>&rarr;</i><span class=\"who\">", out);
	if (!*name)
		fputs("nobody", out);
	else if (strcmp(name, "local") == 0)
		fputs("Kinglet&rsquo;s event loop<small>machine&rsquo;s thread</small>", out);
	else
		print(out, "", queue, "runner", "<small>in the kernel</small>");
	fputs("</span>", out);
}

static void print_interrupt(FILE *out, const cJSON *queue)
{
	bool irqfd = trace_has(queue, "gsi");

	fprintf(out, "<i>&rarr;</i><span>eventfd %u<small>%s</small></span><i>&rarr;</i>",
		number(queue, "irq_fd"), irqfd ? "irqfd: no thread wakes" : "no irqfd");
	if (!irqfd) {
		fputs("<span>INTx, or none<small>by the event loop</small></span>", out);
		return;
	}
	fprintf(out, "<span>GSI %u<small>MSI-X: ", number(queue, "gsi"));
	print(out, "", queue, "msi_data", " to <code>");
	print(out, "", queue, "msi_at", "</code></small></span>");
}

static void print_queues(FILE *out, const struct trace *trace)
{
	const cJSON *queues = trace_facts(trace, "queue"), *queue;
	const char *device = "";

	if (!queues)
		return;
	fputs("<h2>Queues</h2>\n<p>Which way a request goes, from the driver and back to it; where it "
	      "was wired when the queue last ran.</p>\n",
	      out);
	cJSON_ArrayForEach(queue, queues) {
		if (strcmp(trace_string(queue, "device"), device) != 0)
			print(out, "<h3>", queue, "device", "</h3>\n");
		device = trace_string(queue, "device");
		fprintf(out, "<div class=\"flow\"><b>queue %u</b>", number(queue, "queue"));
		if (!trace_has(queue, "kick_fd")) {
			fputs("<i>has not run: no driver has enabled it</i></div>\n", out);
			continue;
		}
		print_kick(out, queue);
		print_runner(out, queue);
		print_interrupt(out, queue);
		fputs("</div>\n", out);
	}
}

void page_print_machine(FILE *out, const struct trace *trace)
{
	print_queues(out, trace);
	print_memory_map(out, trace);
	print_pci(out, trace);
	print_ports(out, trace);
}
