/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files for `kinglet report`: events put together from words that it knows and values of all kinds,
 * and the script's own bytes. What it reads it prints; no text of the file becomes markup.
 */
#include "fuzz.h"

#include "base/cleanup.h"
#include "trace/trace.h"

static const char *const categories[] = {
	"__metadata", "phase", "guest", "exit", "ioctl", "interrupt", "<script>",
};
static const char *const names[] = {
	"thread_name", "process_name", "cost", "run", "queue", "area", "port", "function", "bar",
	"kernel", "init", "<script>",
};
static const char *const keys[] = {
	"name", "what", "of", "count", "ns", "kernel", "cpus", "memory", "status", "detail",
	"device", "queue", "kick_fd", "kick_at", "runner", "gsi", "msi_data", "kind", "from", "to",
	"bytes", "function", "bar", "at", "msix", "ids",
};
static const char *const values[] = {
	"0", "1", "-1", "17", "1e17", "1e300", "-1e300", "9007199254740993", "\"\"", "\"exit\"",
	"\"guest\"", "\"local\"", "\"00:01.0\"", "\"\\\"><script>&\"", "\"\\u0001\\n\"", "null",
	"true", "[]", "[[1]]", "{\"name\":1}",
};

#define PICK(in, words) (words)[fuzz_pick(in, ARRAY_SIZE(words))]

static void write_event(struct fuzz_input *in, FILE *out)
{
	fprintf(out, "{\"cat\":\"%s\",\"name\":\"%s\"", PICK(in, categories), PICK(in, names));
	fprintf(out, ",\"ts\":%s,\"dur\":%s", PICK(in, values), PICK(in, values));
	fprintf(out, ",\"tid\":%s,\"args\":{\"\":0", PICK(in, values));
	for (unsigned n = fuzz_pick(in, 8); n--;)
		fprintf(out, ",\"%s\":%s", PICK(in, keys), PICK(in, values));
	fputs("}},\n", out);
}

static void write_trace(struct fuzz_input *in, FILE *out)
{
	fputs("{\"otherData\":{\"producer\":\"Kinglet 1\"},\n", out);
	while (in->left) {
		if (fuzz_pick(in, 16))
			write_event(in, out);
		else
			for (unsigned n = fuzz_pick(in, 32); n--;)
				fputc((int)fuzz_take(in, 1), out);
	}
}

static void check_page(const char *page, size_t len)
{
	if (strstr(page, "<script>") || len < 8 || strcmp(page + len - 8, "</html>\n") != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input script = { data, size };
	_cleanup_free_ char *text = NULL, *page = NULL, *report = NULL;
	size_t len, page_len, report_len;
	FILE *in = open_memstream(&text, &len), *out;
	struct trace *trace;

	write_trace(&script, in);
	fclose(in);
	in = fmemopen(text, len, "r");
	if (trace_new(&trace, in, "trace")) {
		fclose(in);
		return 0;
	}
	fclose(in);
	out = open_memstream(&page, &page_len);
	trace_print_page(out, trace);
	fclose(out);
	check_page(page, page_len);
	out = open_memstream(&report, &report_len);
	trace_print_report(out, trace);
	fclose(out);
	trace_free(trace);
	return 0;
}
