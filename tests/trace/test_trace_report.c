/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include "trace/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define FACT(name, args)                                                                           \
	",\n{\"name\":\"" name "\",\"cat\":\"__metadata\",\"ph\":\"M\",\"pid\":1,\"tid\":9,\"ts\":0,"       \
	"\"args\":{" args "}}"
#define HEAD "{\"otherData\":{\"producer\":\"Kinglet 9\"},\n\"traceEvents\":[\n"
#define THREAD "{\"name\":\"thread_name\",\"cat\":\"__metadata\",\"ph\":\"M\",\"pid\":1,\"tid\":2,\"ts\":0," \
	       "\"args\":{\"name\":\"vCPU 0\"}}"
#define SPAN(name, cat, ts, dur)                                                                   \
	",\n{\"name\":\"" name "\",\"cat\":\"" cat "\",\"ph\":\"X\",\"pid\":1,\"tid\":2,\"ts\":" ts      \
	",\"dur\":" dur ",\"args\":{\"what\":\"what " name " is\"}}"

static char printed[16384], said[400];

/* The result of reading; what is printed and logged is kept. */
static int print(const char *text, void (*print_trace)(FILE *out, const struct trace *trace))
{
	FILE *in = fmemopen((void *)text, strlen(text), "r"), *out;
	struct capture capture;
	struct trace *trace;
	int ret;

	memset(printed, 0, sizeof(printed));
	out = fmemopen(printed, sizeof(printed), "w");
	assert_non_null(in);
	assert_non_null(out);
	capture_stderr_begin(&capture);
	ret = trace_new(&trace, in, "t.json");
	if (!ret)
		print_trace(out, trace);
	capture_stderr_end(&capture, said, sizeof(said));
	if (!ret)
		trace_free(trace);
	fclose(in);
	fclose(out);
	return ret;
}

static int report(const char *text)
{
	return print(text, trace_print_report);
}

static void assert_printed(const char *text)
{
	if (!strstr(printed, text))
		fail_msg("not printed: %s\n%s", text, printed);
}

static void test_phases(void **state)
{
	(void)state;
	assert_int_equal(report(HEAD THREAD SPAN("load", "phase", "25000.000", "50000.000")
				SPAN("exec", "phase", "0.000", "25000.000")
				SPAN("init", "phase", "75000.000", "25000.500") "\n]}\n"), 0);
	assert_string_equal(said, "");
	/* In order of time, each as wide as it was long. */
	assert_printed("[exec===========[load===========================[init===========] 100.0 ms\n");
	assert_printed("\nload          25.00      50.00  what load is\n");
	assert_printed("\nkernel            -          -  unknown: the guest did not print it\n");
	assert_null(strstr(printed, "\ninit              -"));
}

static void test_costs(void **state)
{
	(void)state;
	assert_int_equal(report(HEAD THREAD SPAN("KVM_RUN", "guest", "0.0", "3000.000")
				SPAN("write to COM1", "exit", "3000.0", "600.000")
				SPAN("write to COM1", "exit", "3600.0", "400.000")
				SPAN("KVM_CREATE_VM", "ioctl", "1.0", "12.000") "\n]}\n"), 0);
	assert_printed("vCPU 0           3.00       1.00  ########################........\n");
	assert_printed("write to COM1                                      2       1.00     500.0\n");
	assert_printed("KVM_CREATE_VM                                      1       0.01      12.0\n");
	/* Killed before its end. */
	assert_printed("no phases: the run was cut off");
}

static void assert_refused(const char *trace, const char *message)
{
	assert_int_equal(report(trace), -EINVAL);
	assert_string_equal(said, message);
	assert_string_equal(printed, "");
}

static void test_refuses_what_is_no_trace(void **state)
{
	static const char other[] = "kinglet: t.json: not a trace of Kinglet's; write one with kinglet "
				    "run --trace FILE\n";

	(void)state;
	assert_refused("\n", other);
	assert_refused("{\"traceEvents\":[]}\n", other);
	assert_refused(HEAD "{\"name\":\n]}\n", "kinglet: t.json: line 3: not an event\n");
}

/* The run's own sums count, not those of the events, because a pipe may lose events. */
static void test_costs_of_the_whole_run(void **state)
{
	(void)state;
	assert_int_equal(report(HEAD THREAD SPAN("KVM_RUN", "guest", "0.0", "3000.000")
				SPAN("write to COM1", "exit", "3000.0", "600.000")
				FACT("cost", "\"of\":\"guest\",\"what\":\"vCPU 0\",\"count\":3,\"ns\":1e6")
				FACT("cost", "\"of\":\"exit\",\"what\":\"HLT\",\"count\":2,\"ns\":5e6")
				"\n]}\n"), 0);
	assert_printed("vCPU 0           1.00       0.00  ################################\n");
	assert_printed("HLT                                                2       5.00    2500.0\n");
	assert_null(strstr(printed, "COM1"));
}

static void test_page(void **state)
{
	static const char *const shown[] = {
		"<p>As traced by Kinglet 9.</p>",
		"<b>a&lt;b&gt;&amp;&quot;é?</b><span>kernel</span>",
		"<b>64 MiB</b><span>memory</span>",
		"<b>7</b><span>exit status</span>",
		"<p>a &lt;b&gt;</p>",
		"<b>e&lt;i&gt;</b></td><td>what e&lt;i&gt; is</td>",
		"<td>&lt;x&gt;</td><td class=\"n\">1</td>",
		"<h3>rng &lt;0&gt;</h3>\n<div class=\"flow\"><b>queue 0</b><i>has not run",
		"<div class=\"flow\"><b>queue 1</b><span>write to <code>0xc0</code><small>the",
		"<span class=\"who\">vhost-net<small>in the kernel</small></span>",
		"<span>GSI 24<small>MSI-X: 0x&lt; to <code>0xfee</code>",
		("<span class=\"swatch &quot;&gt;\"></span>RAM</td><td class=\"a\">0x00</td>"
		 "<td class=\"a\">0x0f</td><td class=\"n\">16 bytes</td>"),
		("<br><small>BAR 4: 16 KiB at <code>0x10</code>, not mapped</small>"
		 "<br><small>INTA to GSI 10, or MSI-X</small></li>"),
	};

	(void)state;
	assert_int_equal(print(HEAD THREAD SPAN("e<i>", "phase", "0.000", "25000.000")
		SPAN("<x>", "exit", "1.0", "600.000")
		FACT("queue", "\"device\":\"rng <0>\",\"queue\":0")
		FACT("queue", "\"device\":\"rng <0>\",\"queue\":1,\"kick_fd\":17,\"irq_fd\":18,"
			      "\"kick_at\":\"0xc0\",\"runner\":\"vhost-net\",\"gsi\":24,"
			      "\"msi_data\":\"0x<\",\"msi_at\":\"0xfee\"")
		FACT("area", "\"kind\":\"\\\">\",\"name\":\"RAM\",\"from\":\"0x00\",\"to\":\"0x0f\","
			     "\"bytes\":16")
		FACT("function", "\"function\":\"00:01.0\",\"name\":\"rng\",\"gsi\":10,\"msix\":1")
		FACT("bar", "\"function\":\"00:02.0\",\"bar\":2,\"bytes\":1")
		FACT("bar", "\"function\":\"00:01.0\",\"bar\":4,\"bytes\":16384,\"at\":\"0x10\"")
		FACT("run", "\"kernel\":\"a<b>&\\\"é\\u0001\",\"memory\":67108864,\"status\":7,"
			    "\"detail\":\"a <b>\"")
		"\n]}\n", trace_print_page), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(shown); i++)
		assert_printed(shown[i]);
	assert_null(strstr(printed, "BAR 2"));
	assert_string_equal(printed + strlen(printed) - 8, "</html>\n");
}

#define MOVE(round, bytes, sent, ns, more)                                                         \
	FACT("move", "\"round\":" round ",\"bytes\":" bytes ",\"sent\":" sent ",\"total_ns\":" ns more)
#define ROUND(name, numbers) "<tr><td>" name "</td><td class=\"n\">" numbers "</td><td class=\"b\">"
#define NEXT "</td><td class=\"n\">"

/* A migration that failed in its first round; one that got there in 4 s. */
static void test_page_of_migrations(void **state)
{
	static const char *const shown[] = {
		ROUND("1", "2.0" NEXT "0.0" NEXT "0.0" NEXT "0.0" NEXT "0.0"),
		"</table></div>\n<p>It did not get to the target.</p>\n<div class=\"scroll\">",
		ROUND("1", "3.0" NEXT "2.0" NEXT "2.0" NEXT "0.0" NEXT "1000.0")
			"<div class=\"bar\"><i class=\"skip\" style=\"width:0.00%\"></i>"
			"<i style=\"width:25.00%\"></i></div></td></tr>\n",
		ROUND("2, standing still", "1.5" NEXT "1.0" NEXT "0.3" NEXT "1000.0" NEXT "3000.0")
			"<div class=\"bar\"><i class=\"skip\" style=\"width:25.00%\"></i>"
			"<i class=\"two\" style=\"width:75.00%\"></i></div></td></tr>\n</table></div>\n"
			"<p>It stood still for 2500.0 ms, and then ran at the target.</p>\n",
	};

	(void)state;
	assert_int_equal(print(HEAD THREAD
		MOVE("1", "2097152", "0", "0", "")
		MOVE("1", "3145728", "1048576", "0", "")
		MOVE("2", "1572864", "3145728", "1000000000", ",\"stands\":1")
		MOVE("2", "0", "4194304", "4000000000", ",\"stands\":1,\"stood_ns\":2500000000")
		"\n]}\n", trace_print_page), 0);
	for (unsigned i = 0; i < ARRAY_SIZE(shown); i++)
		assert_printed(shown[i]);
	assert_int_equal(print(HEAD THREAD FACT("move", "") "\n]}\n", trace_print_page), 0);
	assert_int_equal(print(HEAD THREAD "\n]}\n", trace_print_page), 0);
	assert_null(strstr(printed, "Migration"));
}

static bool is_whole(const char *text)
{
	FILE *in = fmemopen((void *)text, strlen(text), "r");
	struct trace *trace;
	bool whole;

	assert_non_null(in);
	assert_int_equal(trace_new(&trace, in, "t.json"), 0);
	whole = trace_is_whole(trace);
	trace_free(trace);
	fclose(in);
	return whole;
}

static void test_a_trace_that_was_cut_off(void **state)
{
	(void)state;
	assert_false(is_whole(HEAD THREAD FACT("area", "")));
	assert_true(is_whole(HEAD THREAD FACT("run", "")));
}

/* Memory use is bounded, whatever the file contains. */
static void test_too_much_is_refused(void **state)
{
	static char text[1 << 20] = HEAD;
	size_t len = strlen(text);

	(void)state;
	memset(text + len, 'x', 70000);
	assert_int_equal(report(text), -EINVAL);
	assert_string_equal(said, "kinglet: t.json: line 3: not an event\n");
	memset(text + len, 0, 70000);
	while (len < sizeof(text) - 100)
		len += (size_t)sprintf(text + len, "{\"name\":\"a\",\"cat\":\"__metadata\","
						  "\"args\":{}},\n");
	assert_int_equal(report(text), -EINVAL);
	assert_non_null(strstr(said, ": not an event\n"));
}

/* Missing fields and those of another type are ignored. */
static void test_odd_events_do_no_harm(void **state)
{
	(void)state;
	assert_int_equal(report(HEAD "{},\n{\"cat\":5},\n{\"cat\":\"exit\",\"dur\":\"x\",\"tid\":[]},\n"
				     "{\"cat\":\"phase\",\"ts\":-1,\"dur\":1e300}\n]}\n"), 0);
	assert_int_equal(print(HEAD "{}" FACT("run", "\"cpus\":\"x\",\"memory\":-1") FACT("queue", "")
			       FACT("function", "\"gsi\":[]") FACT("cost", "\"of\":\"exit\"")
			       ",\n{\"cat\":\"__metadata\",\"name\":\"area\"}\n]}\n",
			       trace_print_page), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phases),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_costs_of_the_whole_run),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_page_of_migrations),
		cmocka_unit_test(test_a_trace_that_was_cut_off),
		cmocka_unit_test(test_too_much_is_refused),
		cmocka_unit_test(test_refuses_what_is_no_trace),
		cmocka_unit_test(test_odd_events_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
