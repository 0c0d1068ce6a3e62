/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/vmgenid.h"

#include "mock_ring.h"
#include "unit.h"

#include <errno.h>
#include <string.h>

enum { GPA = 0x7fff0 };

struct fixture {
	struct mock_env env;
	struct vmgenid vmgenid;
	uint8_t seen[VMGENID_LEN]; /* by the guest, when it was notified */
	unsigned notified;
	int error; /* of the notification */
};

static uint8_t *id_of(struct fixture *f)
{
	return gmem_ptr(&f->env.mem, f->vmgenid.gpa, VMGENID_LEN);
}

static int notify(void *owner)
{
	struct fixture *f = owner;

	memcpy(f->seen, id_of(f), VMGENID_LEN);
	f->notified++;
	return f->error;
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	f->vmgenid = (struct vmgenid){
		.mem = &f->env.mem, .gpa = GPA, .notify = notify, .owner = f,
	};
	*state = f;
	return 0;
}

static void each_boot_has_an_id_of_its_own(void **state)
{
	static const uint8_t zero[VMGENID_LEN];
	struct fixture *f = *state;
	uint8_t first[VMGENID_LEN];

	assert_int_equal(vmgenid_boot(&f->vmgenid), 0);
	memcpy(first, id_of(f), sizeof(first));
	assert_memory_not_equal(first, zero, VMGENID_LEN);
	assert_int_equal(vmgenid_boot(&f->vmgenid), 0);
	assert_memory_not_equal(first, id_of(f), VMGENID_LEN);
	assert_int_equal(f->notified, 0);
	/* Not a byte beyond it. */
	assert_memory_equal(id_of(f) - VMGENID_LEN, zero, VMGENID_LEN);
	assert_memory_equal(id_of(f) + VMGENID_LEN, zero, VMGENID_LEN);
}

/* When the guest is told, the new id is there. */
static void a_copy_is_told_of_its_new_id(void **state)
{
	struct fixture *f = *state;
	uint8_t first[VMGENID_LEN];

	assert_int_equal(vmgenid_boot(&f->vmgenid), 0);
	memcpy(first, id_of(f), sizeof(first));
	assert_int_equal(vmgenid_renew(&f->vmgenid), 0);
	assert_int_equal(f->notified, 1);
	assert_memory_not_equal(f->seen, first, VMGENID_LEN);
	assert_memory_equal(f->seen, id_of(f), VMGENID_LEN);
}

static void failures_are_told(void **state)
{
	struct fixture *f = *state;

	f->error = -ENXIO;
	assert_int_equal(vmgenid_renew(&f->vmgenid), -ENXIO);
	f->vmgenid.gpa = MOCK_HOLE;
	assert_int_equal(vmgenid_boot(&f->vmgenid), -EFAULT);
	assert_int_equal(vmgenid_renew(&f->vmgenid), -EFAULT);
	assert_int_equal(f->notified, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(each_boot_has_an_id_of_its_own),
		DEVICE_TEST(a_copy_is_told_of_its_new_id),
		DEVICE_TEST(failures_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
