/* SPDX-License-Identifier: Apache-2.0 */
/* The SCSI host device, virtio 1.2 §5.6, except what the kernel implements. */
#include "capture.h"
#include "saved.h"
#include "mock_ring.h"
#include "devices/scsi.h"

#include "base/le.h"
#include "unit.h"

#include <linux/virtio_scsi.h>
#include <string.h>

struct fixture {
	struct mock_env env;
	struct mock_transport transport;
};

static int setup(void **state)
{
	static const struct virtio_scsi_options options = {
		.features = 1ULL << VIRTIO_SCSI_F_HOTPLUG | VIRTQ_FEATURES,
		.request_queues = 4,
		.max_target = 255,
	};
	struct fixture *f = test_calloc(1, sizeof(*f));

	mock_env_init(&f->env);
	assert_int_equal(virtio_scsi_new(&f->env.dev, &f->env.virtio, 0, &options), 0);
	mock_transport_init(&f->transport, f->env.dev);
	*state = f;
	return 0;
}

static uint32_t read32(struct fixture *f, unsigned off)
{
	uint8_t data[4];

	virtio_config_read(f->env.dev, off, data, sizeof(data));
	return get_le32(data);
}

static void write32(struct fixture *f, unsigned off, uint32_t value)
{
	uint8_t data[4];

	put_le32(data, value);
	pthread_mutex_lock(&f->env.dev->lock);
	virtio_config_write(f->env.dev, off, data, sizeof(data));
	pthread_mutex_unlock(&f->env.dev->lock);
}

#define FIELD(member) offsetof(struct virtio_scsi_config, member)

static void test_5_6_2_queues(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->env.dev->model->id, 8);
	/* Control, event, requests. */
	assert_int_equal(f->env.dev->queue_count, 2 + 4);
	assert_int_equal(f->env.dev->config_len, 36);
	assert_int_equal(virtio_offered(f->env.dev),
			 1ULL << VIRTIO_SCSI_F_HOTPLUG | VIRTQ_FEATURES |
				 1ULL << VIRTIO_F_VERSION_1);
}

static void test_5_6_4_configuration(void **state)
{
	struct fixture *f = *state;
	uint8_t target[2];

	assert_int_equal(read32(f, FIELD(num_queues)), 4);
	assert_int_equal(read32(f, FIELD(seg_max)), f->env.dev->queues[2].max_size - 2);
	assert_int_equal(read32(f, FIELD(cmd_per_lun)), f->env.dev->queues[2].max_size);
	assert_int_equal(read32(f, FIELD(event_info_size)), 16);
	assert_int_equal(read32(f, FIELD(sense_size)), 96);
	assert_int_equal(read32(f, FIELD(cdb_size)), 32);
	assert_int_equal(read32(f, FIELD(max_channel)) & 0xffff, 0);
	virtio_config_read(f->env.dev, FIELD(max_target), target, sizeof(target));
	assert_int_equal(get_le16(target), 255);
	assert_int_equal(read32(f, FIELD(max_lun)), 16383);
}

/* vhost-scsi refuses a command whose buffers touch more than 2048 pages. */
static void test_longest_command_is_one_that_vhost_takes(void **state)
{
	struct fixture *f = *state;
	uint32_t pages = read32(f, FIELD(max_sectors)) / 8;

	assert_true(pages + 2 * read32(f, FIELD(seg_max)) <= 2048);
	assert_true(pages >= 1024);
}

/* As Linux does at every start. */
static void test_5_6_4_writing_the_defaults_changes_nothing(void **state)
{
	struct fixture *f = *state;

	write32(f, FIELD(cdb_size), 32);
	write32(f, FIELD(sense_size), 96);
	assert_int_equal(f->env.dev->status, 0);
	assert_false(mock_driver_start(f->env.dev, &f->transport, VIRTQ_FEATURES) &
		     VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The kernel would still use the default layout, and sense data would be taken for data. */
static void test_5_6_4_other_sizes_break_the_device(void **state)
{
	static const struct {
		unsigned off;
		uint32_t value;
	} cases[] = {
		{ FIELD(sense_size), 252 }, { FIELD(sense_size), 0 },
		{ FIELD(cdb_size), 16 },    { FIELD(cdb_size), 260 },
	};
	struct fixture *f = *state;

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		struct capture capture;

		capture_stderr_begin(&capture);
		write32(f, cases[i].off, cases[i].value);
		capture_expect(&capture, "virtio-scsi 0: sense_size and cdb_size");
		assert_true(f->env.dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(read32(f, FIELD(sense_size)), 96);
		assert_int_equal(read32(f, FIELD(cdb_size)), 32);
		assert_true(mock_driver_start(f->env.dev, &f->transport, 0) &
			    VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_false(f->env.dev->started);
		mock_driver_status(f->env.dev, 0);
	}
}

static void test_2_5_read_only_fields_stay(void **state)
{
	struct fixture *f = *state;

	write32(f, FIELD(num_queues), 9);
	write32(f, FIELD(max_lun), 0);
	write32(f, FIELD(max_channel), 0xffffffff);
	assert_int_equal(f->env.dev->status, 0);
	test_5_6_4_configuration(state);
}

static void test_2_5_access_past_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(read32(f, 34), 0);
	assert_int_equal(read32(f, 0xfffffffe), 0);
	write32(f, 34, 0xffffffff);
	write32(f, 0xfffffffe, 0xffffffff);
	assert_int_equal(f->env.dev->status, 0);
}

static void test_another_kind_of_target_is_refused(void **state)
{
	struct fixture *f = *state;
	struct saved saved;

	device_save(&saved, f->env.dev);
	assert_int_equal(device_load(&saved, f->env.dev), 0);
	device_expect_same(&saved, f->env.dev);
	device_set(&saved, f->env.dev, virtio_scsi_state_tables[0], "max_target", 0, 1);
	device_expect_refused(&saved, f->env.dev, "max_target is 1, that of this machine 255");
	device_set(&saved, f->env.dev, virtio_scsi_state_tables[0], "max_target", 0, 255);
	device_set(&saved, f->env.dev, virtio_scsi_state_tables[0], "sectors", 0, 8);
	device_expect_refused(&saved, f->env.dev, "the disk has 8 sectors, the image 0");
	saved_free(&saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		DEVICE_TEST(test_5_6_2_queues),
		DEVICE_TEST(test_5_6_4_configuration),
		DEVICE_TEST(test_longest_command_is_one_that_vhost_takes),
		DEVICE_TEST(test_5_6_4_writing_the_defaults_changes_nothing),
		DEVICE_TEST(test_5_6_4_other_sizes_break_the_device),
		DEVICE_TEST(test_2_5_read_only_fields_stay),
		DEVICE_TEST(test_2_5_access_past_the_end),
		DEVICE_TEST(test_another_kind_of_target_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
