/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include "trace/trace_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEAD "{\"otherData\":{\"producer\":\"Kinglet 9\"},\n\"traceEvents\":[\n"
#define THREAD "{\"name\":\"thread_name\",\"cat\":\"__metadata\",\"ph\":\"M\",\"pid\":1,\"tid\":2,\"ts\":0," \
	       "\"args\":{\"name\":\"vCPU 0\"}}"
#define SPAN(name, cat, ts, dur)                                                                   \
	",\n{\"name\":\"" name "\",\"cat\":\"" cat "\",\"ph\":\"X\",\"pid\":1,\"tid\":2,\"ts\":" ts      \
	",\"dur\":" dur ",\"args\":{\"what\":\"what " name " is\"}}"

static char printed[4096], said[400];

/* Its result; what it prints and logs is kept. */
static int report(const char *trace)
{
	FILE *in = fmemopen((void *)trace, strlen(trace), "r"), *out;
	struct capture capture;
	int ret;

	memset(printed, 0, sizeof(printed));
	out = fmemopen(printed, sizeof(printed), "w");
	assert_non_null(in);
	assert_non_null(out);
	capture_stderr_begin(&capture);
	ret = trace_report(out, in, "t.json");
	capture_stderr_end(&capture, said, sizeof(said));
	fclose(in);
	fclose(out);
	return ret;
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

/* What is missing or of another type counts as nothing. */
static void test_odd_events_do_no_harm(void **state)
{
	(void)state;
	assert_int_equal(report(HEAD "{},\n{\"cat\":5},\n{\"cat\":\"exit\",\"dur\":\"x\",\"tid\":[]},\n"
				     "{\"cat\":\"phase\",\"ts\":-1,\"dur\":1e300}\n]}\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_phases),
		cmocka_unit_test(test_costs),
		cmocka_unit_test(test_refuses_what_is_no_trace),
		cmocka_unit_test(test_odd_events_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
