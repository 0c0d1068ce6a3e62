/* SPDX-License-Identifier: Apache-2.0 */
/* The list of kinds, and the device sets built from it. */
#include "devices/blk.h"
#include "devices/console.h"
#include "devices/fs.h"
#include "devices/generic.h"
#include "devices/net.h"
#include "devices/rng.h"
#include "devices/vsock.h"
#include "unit.h"

#include <string.h>

static void assert_whole_need(const struct host_need *need)
{
	assert_non_null(need->use);
	if (need->program) {
		assert_true(need->install && !need->node && !need->folder);
		return;
	}
	assert_true(!need->node != !need->folder);
	assert_true(!need->folder || (need->mount && need->unmounted));
	assert_non_null(need->modules[0]);
	assert_non_null(need->config);
	assert_true(!need->find_leftovers == !need->remove_leftovers);
}

static void every_kind_says_all_that_is_asked_of_it(void **state)
{
	unsigned all = 0;

	(void)state;
	for (unsigned i = 0; device_kinds[i]; i++) {
		const struct device_kind *kind = device_kinds[i];
		const struct option *option = &kind->option;

		assert_true(option->name && option->help && kind->describe && kind->create);
		assert_true(!kind->guest_modules[DEVICE_MODULES_MAX]);
		assert_true(option->kind != OPTION_KEYS || option->keys->count <= 64);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(option->name, device_kinds[k]->option.name);
		for (const struct host_need *need = kind->needs; need && need->name; need++)
			assert_whole_need(need);
		all += option->max_items ? option->max_items : 1;
	}
	assert_in_range(all, 1, DEVICES_MAX);
}

/* A section's table is found by its name (kinglet state show). */
static void tables_of_states_have_names_of_their_own(void **state)
{
	const struct state_table *all[4 * DEVICES_MAX];
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; device_kinds[i]; i++) {
		const struct state_table *const *at = device_kinds[i]->state_tables;

		for (; at && *at; at++)
			all[count++] = *at;
	}
	for (const struct state_table *const *at = virtio_console_state_tables; *at; at++)
		all[count++] = *at;
	for (const struct state_table *const *at = virtio_state_tables; *at; at++)
		all[count++] = *at;
	assert_in_range(count, 8, ARRAY_SIZE(all));
	for (unsigned i = 0; i < count; i++) {
		assert_in_range(strlen(all[i]->name), 1, STATE_NAME_MAX);
		assert_true(all[i]->version && state_object_len(all[i], all[i]->version));
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(all[i]->name, all[k]->name);
	}
}

/* In any order of options; numbers count within a kind. */
static void devices_are_in_the_order_of_the_kinds(void **state)
{
	static const struct {
		const struct device_kind *kind;
		unsigned instance;
	} wanted[] = {
		{ &rng_kind, 0 }, { &blk_kind, 0 }, { &blk_kind, 1 },
		{ &net_kind, 0 }, { &net_kind, 1 }, { &vsock_kind, 0 },
	};
	static const struct device_kind *const given[] = {
		&vsock_kind, &net_kind, &blk_kind, &rng_kind, &net_kind, &blk_kind,
	};
	struct device_set set = { 0 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(given); i++) {
		unsigned *number = device_set_add(&set, given[i]);

		assert_int_equal(*number, 0);
		*number = i + 1;
	}
	assert_int_equal(set.count, ARRAY_SIZE(wanted));
	for (unsigned i = 0; i < set.count; i++) {
		assert_ptr_equal(set.items[i].kind, wanted[i].kind);
		assert_int_equal(set.items[i].instance, wanted[i].instance);
		assert_ptr_equal(device_set_get(&set, wanted[i].kind, wanted[i].instance),
				 set.items[i].config);
	}
	assert_int_equal(*(const unsigned *)device_set_get(&set, &net_kind, 0), 2);
	assert_int_equal(*(const unsigned *)device_set_get(&set, &net_kind, 1), 5);
	assert_null(device_set_get(&set, &net_kind, 2));
}

static void what_there_can_be_one_of_is_given_anew(void **state)
{
	struct device_set set = { 0 };
	struct vsock_config *vsock = device_set_add(&set, &vsock_kind);

	(void)state;
	vsock->cid = 3;
	assert_non_null(device_set_add(&set, &blk_kind));
	vsock = device_set_add(&set, &vsock_kind);
	assert_int_equal(vsock->cid, 0);
	assert_int_equal(set.count, 2);
}

static void a_kind_has_an_end(void **state)
{
	struct device_set set = { 0 };

	(void)state;
	for (unsigned i = 0; i < blk_kind.option.max_items; i++)
		assert_non_null(device_set_add(&set, &blk_kind));
	assert_null(device_set_add(&set, &blk_kind));
	assert_non_null(device_set_add(&set, &net_kind));
	assert_int_equal(set.count, blk_kind.option.max_items + 1);
}

/* Before a move or a snapshot begins: what a daemon keeps of its device, no file has. */
static void a_device_whose_daemon_keeps_something_stays(void **state)
{
	static const struct {
		const struct device_kind *kind;
		bool stays;
	} rows[] = { { &fs_kind, true }, { &generic_kind, true }, { &blk_kind, false } };

	(void)state;
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct device_set set = { 0 };
		const char *name = NULL;

		if (rows[i].kind == &blk_kind)
			((struct disk_config *)device_set_add(&set, &blk_kind))->vhost_user = "socket";
		else
			device_set_add(&set, rows[i].kind);
		assert_true(device_set_shares_ram(&set));
		assert_true(!device_set_stays(&set, &name) == !rows[i].stays);
		if (rows[i].stays)
			assert_string_equal(name, rows[i].kind->option.name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_says_all_that_is_asked_of_it),
		cmocka_unit_test(tables_of_states_have_names_of_their_own),
		cmocka_unit_test(devices_are_in_the_order_of_the_kinds),
		cmocka_unit_test(what_there_can_be_one_of_is_given_anew),
		cmocka_unit_test(a_kind_has_an_end),
		cmocka_unit_test(a_device_whose_daemon_keeps_something_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
