/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of the saved state of x86_64: two machines on fake kernels, and a state between them. */
#ifndef KINGLET_TESTS_ARCH_SAVED_RIG_H
#define KINGLET_TESTS_ARCH_SAVED_RIG_H

#include "vm_rig.h"

#include "core/state.h"

#include <sys/mman.h>
#include <unistd.h>

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

/* Turns a state that was saved into one to load; `data` (may be NULL) gets its bytes. */
static inline void turn_round(struct state **state, uint8_t *data, size_t room, size_t *len)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_int_equal(state_write(*state, fd), 0);
	state_free(*state);
	assert_int_equal(state_open(state, fd, "test.state"), 0);
	if (data) {
		*len = (size_t)pread(fd, data, room, 0);
		assert_in_range(*len, 1, room - 1);
	}
	close(fd);
}

/* What a machine's part saves, to be loaded. */
static inline struct state *save(int (*saved)(struct vm_rig *rig, struct state *state),
				 struct vm_rig *rig)
{
	struct state *state;

	assert_int_equal(state_new(&state), 0);
	assert_int_equal(saved(rig, state), 0);
	turn_round(&state, NULL, 0, NULL);
	return state;
}

/* Loads it, to the end; frees it. */
static inline int load(int (*saved)(struct vm_rig *rig, struct state *state), struct vm_rig *rig,
		       struct state *state)
{
	int ret = saved(rig, state);

	if (!ret)
		ret = state_end(state);
	state_free(state);
	return ret;
}

/* The same, refused with a line that has `why` in it. */
static inline void refuses(int (*saved)(struct vm_rig *rig, struct state *state),
			   struct vm_rig *rig, struct state *state, const char *why)
{
	struct capture capture;
	char said[512];
	int ret;

	capture_stderr_begin(&capture);
	ret = load(saved, rig, state);
	capture_stderr_end(&capture, said, sizeof(said));
	assert_int_equal(ret, -EBADMSG);
	assert_one_line(said);
	if (!strstr(said, why))
		fail_msg("\"%s\" is not in: %s", why, said);
}

static inline void assert_same_when_saved(int (*saved)(struct vm_rig *rig, struct state *state),
					  struct vm_rig *a, struct vm_rig *b)
{
	enum { ROOM = 65536 };
	uint8_t *data[2] = { test_malloc(ROOM), test_malloc(ROOM) };
	size_t len[2];

	for (unsigned i = 0; i < 2; i++) {
		struct state *state;

		assert_int_equal(state_new(&state), 0);
		assert_int_equal(saved(i ? b : a, state), 0);
		turn_round(&state, data[i], ROOM, &len[i]);
		state_free(state);
	}
	assert_int_equal(len[0], len[1]);
	assert_memory_equal(data[0], data[1], len[0]);
	test_free(data[0]);
	test_free(data[1]);
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
