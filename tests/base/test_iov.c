/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/iov.h"
#include "unit.h"

#include <string.h>

struct pieces {
	char a[3], b[1], c[4];
	struct iovec iov[4];
};

static void pieces_init(struct pieces *p)
{
	memcpy(p->a, "abc", 3);
	memcpy(p->b, "d", 1);
	memcpy(p->c, "efgh", 4);
	p->iov[0] = (struct iovec){ p->a, 3 };
	p->iov[1] = (struct iovec){ p->b, 1 };
	p->iov[2] = (struct iovec){ NULL, 0 };
	p->iov[3] = (struct iovec){ p->c, 4 };
}

static void test_read_every_range(void **state)
{
	struct pieces p;

	(void)state;
	pieces_init(&p);
	for (size_t off = 0; off <= 10; off++) {
		for (size_t len = 0; len <= 10; len++) {
			size_t want = off >= 8 ? 0 : len < 8 - off ? len : 8 - off;
			char buf[12] = "............";

			assert_int_equal(iov_read(p.iov, 4, off, buf, len), want);
			assert_memory_equal(buf, &"abcdefgh"[off < 8 ? off : 8], want);
			assert_int_equal(buf[want], '.');
		}
	}
}

static void test_write_every_range(void **state)
{
	(void)state;
	for (size_t off = 0; off <= 10; off++) {
		for (size_t len = 0; len <= 10; len++) {
			size_t want = off >= 8 ? 0 : len < 8 - off ? len : 8 - off;
			char expect[] = "abcdefgh", after[8];
			struct pieces p;

			pieces_init(&p);
			assert_int_equal(iov_write(p.iov, 4, off, "0123456789", len), want);
			memcpy(expect + (off < 8 ? off : 8), "0123456789", want);
			assert_int_equal(iov_read(p.iov, 4, 0, after, 8), 8);
			assert_memory_equal(after, expect, 8);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_every_range),
		cmocka_unit_test(test_write_every_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
