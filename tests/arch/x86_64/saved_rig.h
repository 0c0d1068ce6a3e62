/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the saved state of x86_64: two machines on fake kernels, and a state between them. */
#ifndef KINGLET_TESTS_ARCH_SAVED_RIG_H
#define KINGLET_TESTS_ARCH_SAVED_RIG_H

#include "vm_rig.h"

#include "saved.h"

struct saved_rig {
	struct vm_rig *from, *to;
};

static inline int setup_two(void **state)
{
	struct saved_rig *rig = test_calloc(1, sizeof(*rig));

	setup((void **)&rig->from);
	setup((void **)&rig->to);
	*state = rig;
	return 0;
}

static inline int teardown_two(void **state)
{
	struct saved_rig *rig = *state;

	teardown((void **)&rig->from);
	teardown((void **)&rig->to);
	test_free(rig);
	return 0;
}

/* Loads what was saved, to the end; frees it. */
static inline int load(saved_fn *fn, struct vm_rig *rig, struct saved saved)
{
	int ret = saved_load(&saved, fn, rig);

	saved_free(&saved);
	return ret;
}

/* The same, refused with a line that has `why` in it. */
static inline void refuses(saved_fn *fn, struct vm_rig *rig, struct saved saved, const char *why)
{
	struct capture capture;
	char said[512];
	int ret;

	capture_stderr_begin(&capture);
	ret = load(fn, rig, saved);
	capture_stderr_end(&capture, said, sizeof(said));
	assert_int_equal(ret, -EBADMSG);
	assert_one_line(said);
	if (!strstr(said, why))
		fail_msg("\"%s\" is not in: %s", why, said);
}

static inline void assert_same_when_saved(saved_fn *fn, struct vm_rig *a, struct vm_rig *b)
{
	struct saved saved = saved_take(fn, a);

	saved_expect_same(&saved, fn, b);
	saved_free(&saved);
}

/* Each `step`th byte of what was saved becomes another: loaded, or refused with one line. */
static inline void damage_each(saved_fn *fn, struct vm_rig *rig, struct saved saved, size_t step)
{
	static const uint8_t values[] = { 0, 0xff };
	struct capture capture;
	char said[512];
	uint8_t *byte;

	for (size_t n = 0; (byte = saved_byte(&saved, n)); n += step) {
		uint8_t was = *byte;

		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			int ret;

			*byte = values[i];
			capture_stderr_begin(&capture);
			ret = saved_load(&saved, fn, rig);
			capture_stderr_end(&capture, said, sizeof(said));
			assert_true(!ret || ret == -EBADMSG);
			if (ret)
				assert_one_line(said);
			else
				assert_string_equal(said, "");
		}
		*byte = was;
	}
	saved_free(&saved);
}

/*
 * Each ioctl of `part` fails in turn: its errno, one line. Where that means that KVM has no such
 * thing, it goes on, or the state does not fit. Returns how many failed.
 */
static inline unsigned fail_each(struct vm_rig *rig, int (*part)(void *arg), void *arg)
{
	unsigned failures = 0;

	for (unsigned n = 1;; n++) {
		struct capture capture;
		char said[512];
		int ret;

		rig->fake.fail_at = rig->fake.calls + n;
		rig->fake.fail_errno = EXFULL;
		capture_stderr_begin(&capture);
		ret = part(arg);
		capture_stderr_end(&capture, said, sizeof(said));
		if (ret) {
			assert_one_line(said);
			failures += ret != -EBADMSG;
			assert_true(ret == -EXFULL || ret == -EBADMSG);
		} else if (rig->fake.calls < rig->fake.fail_at) {
			rig->fake.fail_at = 0;
			return failures;
		}
	}
}

#endif
