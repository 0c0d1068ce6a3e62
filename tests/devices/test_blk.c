/* SPDX-License-Identifier: Apache-2.0 */
/* The block device, virtio 1.2 §5.2. */
#include "backend/local.h"
#include "base/checked.h"
#include "capture.h"
#include "mock_ring.h"
#include "devices/blk.h"
#include "saved.h"
#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

enum {
	SECTOR = 512,
	SECTORS = 2048,
	RING_SIZE = 128,
	QUEUES = 3,
	PATIENCE_MS = 60000,
	MAX_BUFS = 24,
};

static const uint64_t ALL_FEATURES = VIRTQ_FEATURES | 1ULL << VIRTIO_BLK_F_SEG_MAX |
				     1ULL << VIRTIO_BLK_F_FLUSH | 1ULL << VIRTIO_BLK_F_DISCARD |
				     1ULL << VIRTIO_BLK_F_WRITE_ZEROES | 1ULL << VIRTIO_BLK_F_MQ;

struct fixture {
	struct mock_env env;
	struct mock_ring rings[QUEUES];
	struct mock_transport transport;
	struct disk_config options;
	struct virtio_dev *dev;
	char path[64];
	uint64_t header, status, data; /* GPAs; data: 64 KiB */
};

static unsigned fdatasyncs;

/* Replaces the C library's, to count the thread engine's calls. */
int fdatasync(int fd)
{
	__atomic_fetch_add(&fdatasyncs, 1, __ATOMIC_SEQ_CST);
	return (int)syscall(SYS_fdatasync, fd);
}

static unsigned syncs_so_far(void)
{
	return __atomic_load_n(&fdatasyncs, __ATOMIC_SEQ_CST);
}

/* --- Set-up --- */

static void open_device(struct fixture *f)
{
	assert_int_equal(virtio_blk_new(&f->dev, &f->env.virtio, 0, &f->options), 0);
	assert_int_equal(local_backend_bind(f->dev, 0, f->options.queues), 0);
}

static void close_device(struct fixture *f)
{
	mock_driver_status(f->dev, 0);
	f->dev->model->destroy(f->dev);
}

static void bind_rings(struct fixture *f)
{
	for (unsigned i = 0; i < f->options.queues; i++) {
		mock_ring_init(&f->rings[i], &f->env, RING_SIZE);
		mock_ring_bind(&f->rings[i], &f->dev->queues[i]);
	}
}

static void start_with(struct fixture *f, uint64_t features)
{
	bind_rings(f);
	assert_true(mock_driver_start(f->dev, &f->transport, features & f->dev->offered) &
		    VIRTIO_CONFIG_S_DRIVER_OK);
}

static void start(struct fixture *f)
{
	start_with(f, ALL_FEATURES);
}

static int setup(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	_cleanup_close_ int fd = -1;

	strcpy(f->path, "/tmp/kinglet-blk-XXXXXX");
	fd = mkostemp(f->path, O_CLOEXEC);
	assert_true(fd >= 0);
	for (unsigned i = 0; i < SECTORS; i++) {
		uint8_t sector[SECTOR];

		memset(sector, (int)(i % 251 + 1), sizeof(sector));
		assert_int_equal(write(fd, sector, sizeof(sector)), sizeof(sector));
	}
	mock_env_init(&f->env);
	f->header = mock_alloc(&f->env, 4096, 4096);
	f->status = mock_alloc(&f->env, 512, 512);
	f->data = mock_alloc(&f->env, 64 << 10, 4096);
	f->options = (struct disk_config){
		.image = { .path = f->path, .threads = *state != NULL },
		.serial = "kinglet-1",
		.queues = 1,
	};
	open_device(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close_device(f);
	mock_env_destroy(&f->env);
	unlink(f->path);
	test_free(f);
	return 0;
}

/* Reopens the device with other options. */
static void reopen(struct fixture *f)
{
	close_device(f);
	open_device(f);
}

/* --- Driver --- */

static uint8_t *ram(struct fixture *f, uint64_t gpa, uint64_t len)
{
	uint8_t *p = gmem_ptr(&f->env.mem, gpa, len);

	assert_non_null(p);
	return p;
}

static void put_header(struct fixture *f, uint64_t gpa, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = {
		.type = htole32(type),
		.sector = htole64(sector),
	};

	assert_int_equal(gmem_write(&f->env.mem, gpa, &header, sizeof(header)), 0);
}

static void put_range(struct fixture *f, uint64_t gpa, uint64_t sector, uint32_t count,
		      uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = {
		.sector = htole64(sector),
		.num_sectors = htole32(count),
		.flags = htole32(flags),
	};

	assert_int_equal(gmem_write(&f->env.mem, gpa, &range, sizeof(range)), 0);
}

static void kick(struct fixture *f, struct mock_ring *ring)
{
	mock_ring_kick(ring);
	mock_env_wait(&f->env, 0);
}

/* Waits for the next used chain. */
static uint16_t wait_used(struct fixture *f, struct mock_ring *ring, uint32_t *written)
{
	uint16_t head;

	while (!mock_ring_reap(ring, &head, written))
		assert_true(mock_env_wait(&f->env, PATIENCE_MS));
	return head;
}

/* One chain to its end on queue 0; returns its status byte, which is at f->status. */
static uint8_t run_chain(struct fixture *f, const struct mock_buf *bufs, unsigned n,
			 uint32_t *written)
{
	uint8_t *status = ram(f, f->status, 1);
	uint16_t head;

	*status = 0xee;
	head = mock_ring_add(&f->rings[0], bufs, n);
	kick(f, &f->rings[0]);
	assert_int_equal(wait_used(f, &f->rings[0], written), head);
	assert_false(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	return *status;
}

/* The usual framing: header, at most one data buffer at f->data, status. */
static uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
		       bool writable, uint32_t *written)
{
	struct mock_buf bufs[3] = { { f->header, 16, false } };
	unsigned n = 1;
	uint32_t ignored;

	put_header(f, f->header, type, sector);
	if (len)
		bufs[n++] = (struct mock_buf){ f->data, len, writable };
	bufs[n++] = (struct mock_buf){ f->status, 1, true };
	return run_chain(f, bufs, n, written ? written : &ignored);
}

static uint8_t do_read(struct fixture *f, uint64_t sector, uint32_t len)
{
	return request(f, VIRTIO_BLK_T_IN, sector, len, true, NULL);
}

static uint8_t do_write(struct fixture *f, uint64_t sector, uint32_t len)
{
	return request(f, VIRTIO_BLK_T_OUT, sector, len, false, NULL);
}

static uint8_t do_range(struct fixture *f, uint32_t type, uint64_t sector, uint32_t count,
			uint32_t flags)
{
	put_range(f, f->data, sector, count, flags);
	return request(f, type, 0, sizeof(struct virtio_blk_discard_write_zeroes), false, NULL);
}

/* Sector `i` of the image holds `value` throughout. */
static void assert_sector(const struct fixture *f, unsigned i, uint8_t value)
{
	_cleanup_close_ int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	uint8_t sector[SECTOR];

	assert_int_equal(pread(fd, sector, SECTOR, (off_t)i * SECTOR), SECTOR);
	for (unsigned k = 0; k < SECTOR; k++)
		assert_int_equal(sector[k], value);
}

static uint8_t original(unsigned i)
{
	return (uint8_t)(i % 251 + 1);
}

/* --- Configuration --- */

static void configuration_describes_the_image(void **state)
{
	struct fixture *f = *state;
	struct virtio_blk_config config = { 0 };
	unsigned len = f->dev->config_len;

	assert_true(len <= sizeof(config));
	virtio_config_read(f->dev, 0, &config, len);
	assert_int_equal(le64toh(config.capacity), SECTORS);
	assert_int_equal(le32toh(config.seg_max), RING_SIZE - 2);
	assert_int_equal(le32toh(config.blk_size), SECTOR);
	assert_int_equal(le16toh(config.num_queues), 1);
	assert_int_equal(le32toh(config.max_discard_seg), 1);
	assert_int_equal(le32toh(config.max_write_zeroes_seg), 1);
	assert_true(config.write_zeroes_may_unmap);
	assert_int_equal(SECTOR << config.physical_block_exp,
			 le16toh(config.min_io_size) * SECTOR);
	assert_false(f->dev->offered >> VIRTIO_BLK_F_MQ & 1);
	assert_false(f->dev->offered >> VIRTIO_BLK_F_RO & 1);
	assert_true(f->dev->offered >> VIRTIO_BLK_F_FLUSH & 1);
}

static void wrong_options_are_usage_errors(void **state)
{
	struct fixture *f = *state;
	struct disk_config options = f->options;
	struct virtio_dev *dev;

	options.image.readonly = true;
	options.queues = 0;
	assert_int_equal(virtio_blk_new(&dev, &f->env.virtio, 0, &options), -EINVAL);
	options.queues = VIRTIO_BLK_MAX_QUEUES + 1;
	assert_int_equal(virtio_blk_new(&dev, &f->env.virtio, 0, &options), -EINVAL);
	options.queues = 1;
	options.serial = "123456789012345678901";
	assert_int_equal(virtio_blk_new(&dev, &f->env.virtio, 0, &options), -EINVAL);
	options.serial = NULL;
	options.image.path = "/nonexistent/disk";
	assert_int_equal(virtio_blk_new(&dev, &f->env.virtio, 0, &options), -ENOENT);
}

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void nothing_is_left_open(void **state)
{
	struct fixture *f = *state;
	unsigned before = count_fds();

	f->options.queues = QUEUES;
	for (unsigned i = 0; i < 3; i++) {
		f->options.image.threads = i & 1;
		f->options.image.direct = i & 2;
		reopen(f);
	}
	f->options.queues = 1;
	f->options.image.threads = f->options.image.direct = false;
	reopen(f);
	assert_int_equal(count_fds(), before);
}

/* --- Commands --- */

static void reads_and_writes(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = ram(f, f->data, 4096);
	uint32_t written;

	start(f);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 5, 1024, true, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1025);
	assert_int_equal(data[0], original(5));
	assert_int_equal(data[1023], original(6));

	memset(data, 0xa5, 1024);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, SECTORS - 2, 1024, false, &written),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(written, 1);
	assert_sector(f, SECTORS - 3, original(SECTORS - 3));
	assert_sector(f, SECTORS - 2, 0xa5);
	assert_sector(f, SECTORS - 1, 0xa5);
	assert_true(mock_irq_taken(&f->dev->queues[0].irq));
}

static void flush_reaches_the_disk(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	start(f);
	before = syncs_so_far();
	assert_int_equal(do_write(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(syncs_so_far(), before);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(syncs_so_far(), before + 1);
}

/* §5.2.6.2: a driver that does not accept FLUSH has stable writes. */
static void writes_are_stable_without_flush(void **state)
{
	struct fixture *f = *state;
	unsigned before;

	start_with(f, ALL_FEATURES & ~(1ULL << VIRTIO_BLK_F_FLUSH));
	before = syncs_so_far();
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(syncs_so_far(), before);
	assert_int_equal(do_write(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(syncs_so_far(), before + 1);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(syncs_so_far(), before + 2);
}

static void get_id_gives_the_serial(void **state)
{
	struct fixture *f = *state;
	static const char padded[VIRTIO_BLK_ID_BYTES] = "kinglet-1";
	uint8_t *data = ram(f, f->data, 64);
	uint32_t written;

	start(f);
	memset(data, 0xee, 64);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 21);
	assert_memory_equal(data, padded, 20);
	assert_int_equal(data[20], 0xee);

	memset(data, 0xee, 64);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 4, true, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 5);
	assert_memory_equal(data, "king\xee", 5);

	/* A buffer larger than the serial number: the remaining bytes are not written. */
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 32, true, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 20);
	assert_int_equal(data[20], 0xee);
}

static void write_zeroes_zeroes(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 3, 2, 0), VIRTIO_BLK_S_OK);
	assert_sector(f, 2, original(2));
	assert_sector(f, 3, 0);
	assert_sector(f, 4, 0);
	assert_sector(f, 5, original(5));
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 16, 8,
				  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP),
			 VIRTIO_BLK_S_OK);
	assert_sector(f, 15, original(15));
	assert_sector(f, 16, 0);
	assert_sector(f, 23, 0);
	assert_sector(f, 24, original(24));
}

static void discard_discards(void **state)
{
	struct fixture *f = *state;
	uint8_t status;

	start(f);
	status = do_range(f, VIRTIO_BLK_T_DISCARD, 16, 8, 0);
	if (status == VIRTIO_BLK_S_UNSUPP) /* a file system without holes */
		skip();
	assert_int_equal(status, VIRTIO_BLK_S_OK);
	assert_sector(f, 15, original(15));
	assert_sector(f, 16, 0);
	assert_sector(f, 23, 0);
	assert_sector(f, 24, original(24));
}

static void malformed_ranges_are_refused(void **state)
{
	static const struct {
		uint32_t type;
		uint64_t sector;
		uint32_t count, flags;
		uint8_t status;
	} cases[] = {
		{ VIRTIO_BLK_T_DISCARD, 0, 8, 1, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_DISCARD, 0, 8, 1u << 31, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2, VIRTIO_BLK_S_UNSUPP },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, SECTORS - 1, 2, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX / SECTOR, 2, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_WRITE_ZEROES, 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR },
		{ VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR },
	};
	struct fixture *f = *state;

	start(f);
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(do_range(f, cases[i].type, cases[i].sector, cases[i].count,
					  cases[i].flags),
				 cases[i].status);
	/* Two segments, half a segment, and none. */
	put_range(f, f->data, 0, 1, 0);
	put_range(f, f->data + 16, 1, 1, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 32, false, NULL),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 8, false, NULL), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 0, false, NULL), VIRTIO_BLK_S_IOERR);
	assert_sector(f, 0, original(0));
	assert_sector(f, SECTORS - 1, original(SECTORS - 1));
}

/* The limits of the configuration space, on an image that is larger. */
static void one_request_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct virtio_blk_config config = { 0 };
	uint32_t zero_max, discard_max;

	assert_int_equal(truncate(f->path, 2LL << 30), 0);
	reopen(f);
	virtio_config_read(f->dev, 0, &config, f->dev->config_len);
	zero_max = le32toh(config.max_write_zeroes_sectors);
	discard_max = le32toh(config.max_discard_sectors);
	start(f);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, SECTORS, zero_max, 0),
			 VIRTIO_BLK_S_OK);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, SECTORS, zero_max + 1, 0),
			 VIRTIO_BLK_S_IOERR);
	assert_int_not_equal(do_range(f, VIRTIO_BLK_T_DISCARD, SECTORS, discard_max, 0),
			     VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, SECTORS, discard_max + 1, 0),
			 VIRTIO_BLK_S_IOERR);
}

/* Reads, writes, flushes and the serial number work for every driver, even without VERSION_1. */
static void driver_without_features_is_served(void **state)
{
	struct fixture *f = *state;

	bind_rings(f);
	mock_driver_start_exactly(f->dev, &f->transport, 0);
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(do_write(f, 1, SECTOR), VIRTIO_BLK_S_OK);
	assert_sector(f, 1, original(0));
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20, true, NULL), VIRTIO_BLK_S_OK);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
}

static void commands_not_negotiated_are_unsupported(void **state)
{
	struct fixture *f = *state;

	start_with(f, VIRTQ_FEATURES);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_sector(f, 0, original(0));
}

static void unknown_commands_are_unsupported(void **state)
{
	static const uint32_t types[] = { 2, 3, 5, VIRTIO_BLK_T_SECURE_ERASE, 0x80000000,
					  UINT32_MAX };
	struct fixture *f = *state;
	uint32_t written;

	start(f);
	for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
		assert_int_equal(request(f, types[i], 0, SECTOR, true, &written),
				 VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(written, 0); /* the data before the status is not written */
	}
}

static void out_of_range_is_an_error(void **state)
{
	static const uint64_t sectors[] = {
		SECTORS, SECTORS - 1, UINT64_MAX, UINT64_MAX / SECTOR, 1ULL << 55, 1ULL << 63,
	};
	struct fixture *f = *state;

	start(f);
	for (unsigned i = 0; i < ARRAY_SIZE(sectors); i++) {
		assert_int_equal(do_read(f, sectors[i], 1024), VIRTIO_BLK_S_IOERR);
		assert_int_equal(do_write(f, sectors[i], 1024), VIRTIO_BLK_S_IOERR);
	}
	assert_sector(f, 0, original(0));
	assert_sector(f, SECTORS - 1, original(SECTORS - 1));
}

static void odd_lengths_are_errors(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(do_read(f, 0, 511), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_write(f, 0, 513), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_read(f, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_write(f, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_sector(f, 0, original(0));
}

static void readonly_device_refuses_writes(void **state)
{
	struct fixture *f = *state;

	f->options.image.readonly = true;
	reopen(f);
	assert_true(f->dev->offered >> VIRTIO_BLK_F_RO & 1);
	assert_false(f->dev->offered >> VIRTIO_BLK_F_DISCARD & 1);
	assert_false(f->dev->offered >> VIRTIO_BLK_F_WRITE_ZEROES & 1);
	start(f);
	memset(ram(f, f->data, SECTOR), 0x11, SECTOR);
	assert_int_equal(do_write(f, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(*ram(f, f->data, 1), original(0));
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
	assert_sector(f, 0, original(0));
}

static void truncated_image_gives_errors(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(truncate(f->path, SECTOR), 0);
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(do_read(f, 0, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_read(f, 100, SECTOR), VIRTIO_BLK_S_IOERR);
}

/* --- Framing, §2.7.4 --- */

static void header_may_be_in_pieces(void **state)
{
	struct fixture *f = *state;
	struct mock_buf bufs[MAX_BUFS];
	unsigned n = 0;
	uint32_t written;

	start(f);
	put_header(f, f->header, VIRTIO_BLK_T_IN, 9);
	for (; n < 16; n++)
		bufs[n] = (struct mock_buf){ f->header + n, 1, false };
	bufs[n++] = (struct mock_buf){ f->data, 100, true };
	bufs[n++] = (struct mock_buf){ f->data + 100, 412, true };
	bufs[n++] = (struct mock_buf){ f->status, 1, true };
	assert_int_equal(run_chain(f, bufs, n, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, 513);
	assert_int_equal(ram(f, f->data, SECTOR)[0], original(9));
	assert_int_equal(ram(f, f->data, SECTOR)[511], original(9));
}

static void parts_may_share_a_descriptor(void **state)
{
	struct fixture *f = *state;
	struct mock_buf bufs[2];
	uint32_t written;

	start(f);
	/* Header and data in one, status alone. */
	put_header(f, f->data, VIRTIO_BLK_T_OUT, 4);
	memset(ram(f, f->data + 16, SECTOR), 0x77, SECTOR);
	bufs[0] = (struct mock_buf){ f->data, 16 + SECTOR, false };
	bufs[1] = (struct mock_buf){ f->status, 1, true };
	assert_int_equal(run_chain(f, bufs, 2, &written), VIRTIO_BLK_S_OK);
	assert_sector(f, 4, 0x77);
	assert_sector(f, 5, original(5));

	/* Data and status in one: the status is the last byte. */
	put_header(f, f->header, VIRTIO_BLK_T_IN, 6);
	bufs[0] = (struct mock_buf){ f->header, 16, false };
	bufs[1] = (struct mock_buf){ f->status - SECTOR, SECTOR + 1, true };
	assert_int_equal(run_chain(f, bufs, 2, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(written, SECTOR + 1);
	assert_int_equal(*ram(f, f->status - 1, 1), original(6));
}

static void buffers_may_span_slots_of_ram(void **state)
{
	struct fixture *f = *state;
	struct mock_buf bufs[3];
	uint32_t written;
	uint8_t data[SECTOR];

	start(f);
	put_header(f, MOCK_SEAM - 5, VIRTIO_BLK_T_IN, 12);
	bufs[0] = (struct mock_buf){ MOCK_SEAM - 5, 16, false };
	bufs[1] = (struct mock_buf){ MOCK_SEAM - 300, SECTOR, true };
	bufs[2] = (struct mock_buf){ f->status, 1, true };
	assert_int_equal(run_chain(f, bufs, 3, &written), VIRTIO_BLK_S_OK);
	assert_int_equal(gmem_read(&f->env.mem, MOCK_SEAM - 300, data, SECTOR), 0);
	for (unsigned i = 0; i < SECTOR; i++)
		assert_int_equal(data[i], original(12));
}

static void short_header_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct mock_buf bufs[2];
	uint32_t written;

	start(f);
	bufs[0] = (struct mock_buf){ f->header, 15, false };
	bufs[1] = (struct mock_buf){ f->status, 1, true };
	assert_int_equal(run_chain(f, bufs, 2, &written), VIRTIO_BLK_S_IOERR);
	assert_int_equal(written, 1);
	assert_int_equal(run_chain(f, &bufs[1], 1, &written), VIRTIO_BLK_S_IOERR);
}

/* A separate indirect table, because it is longer than a ring. */
static void too_many_segments_are_an_error(void **state)
{
	enum { SEGMENTS = 512 };
	struct fixture *f = *state;
	struct mock_ring *ring = &f->rings[0];
	uint64_t table = mock_alloc(&f->env, (SEGMENTS + 2) * sizeof(struct vring_desc), 16);
	uint32_t written;

	start(f);
	put_header(f, f->header, VIRTIO_BLK_T_IN, 0);
	for (unsigned i = 0; i < SEGMENTS + 2; i++) {
		bool last = i == SEGMENTS + 1;
		struct vring_desc desc = {
			.addr = htole64(!i ? f->header : last ? f->status : f->data + i),
			.len = htole32(!i ? 16 : 1),
			.flags = htole16((i ? VRING_DESC_F_WRITE : 0) |
					 (last ? 0 : VRING_DESC_F_NEXT)),
			.next = htole16((uint16_t)(i + 1)),
		};

		assert_int_equal(gmem_write(&f->env.mem, table + i * sizeof(desc), &desc,
					    sizeof(desc)),
				 0);
	}
	mock_ring_set_desc(ring, 0, table, (SEGMENTS + 2) * sizeof(struct vring_desc),
			   VRING_DESC_F_INDIRECT, 0);
	mock_ring_offer(ring, 0);
	kick(f, ring);
	assert_int_equal(wait_used(f, ring, &written), 0);
	assert_int_equal(*ram(f, f->status, 1), VIRTIO_BLK_S_IOERR);
}

/* --- Queues --- */

static void chain_without_status_breaks_the_device(void **state)
{
	struct fixture *f = *state;
	struct mock_buf buf = { f->header, 16, false };

	start(f);
	put_header(f, f->header, VIRTIO_BLK_T_FLUSH, 0);
	mock_ring_add(&f->rings[0], &buf, 1);
	kick(f, &f->rings[0]);
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(f->transport.config_changes, 1);

	/* After a reset it works again. */
	mock_driver_status(f->dev, 0);
	start(f);
	assert_int_equal(do_read(f, 1, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(*ram(f, f->data, 1), original(1));
}

static void damaged_ring_breaks_the_device(void **state)
{
	struct fixture *f = *state;

	start(f);
	mock_ring_set_avail_index(&f->rings[0], RING_SIZE + 1);
	kick(f, &f->rings[0]);
	assert_true(f->dev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* As many requests as the ring holds, each with its own header, data and status. */
static void fill_ring(struct fixture *f, uint32_t type, uint64_t block)
{
	for (unsigned i = 0; i < RING_SIZE; i++) {
		struct mock_buf bufs[] = {
			{ block + 1024 * i, 16, false },
			{ block + 1024 * i + 16, SECTOR, type == VIRTIO_BLK_T_IN },
			{ block + 1024 * i + 16 + SECTOR, 1, true },
		};

		put_header(f, bufs[0].gpa, type, i * 3);
		memset(ram(f, bufs[1].gpa, SECTOR), (int)(200 - i), SECTOR);
		*ram(f, bufs[2].gpa, 1) = 0xee;
		assert_int_equal(mock_ring_add_indirect(&f->rings[0], bufs, 3), i);
	}
}

static void full_ring_is_served(void **state)
{
	struct fixture *f = *state;
	uint64_t block = mock_alloc(&f->env, 1024 * RING_SIZE, 4096);
	bool seen[RING_SIZE] = { false };

	start(f);
	fill_ring(f, VIRTIO_BLK_T_IN, block);
	kick(f, &f->rings[0]);
	for (unsigned i = 0; i < RING_SIZE; i++) {
		uint32_t written;
		uint16_t head = wait_used(f, &f->rings[0], &written);

		assert_false(seen[head]);
		seen[head] = true;
		assert_int_equal(written, SECTOR + 1);
		assert_int_equal(*ram(f, block + 1024 * head + 16 + SECTOR, 1), VIRTIO_BLK_S_OK);
		assert_int_equal(*ram(f, block + 1024 * head + 16, 1), original(head * 3U));
	}
	assert_true(mock_irq_taken(&f->dev->queues[0].irq));
	assert_int_equal(do_read(f, 8, SECTOR), VIRTIO_BLK_S_OK);
}

static void one_interrupt_for_a_batch(void **state)
{
	struct fixture *f = *state;
	struct mock_buf bufs[3];

	start_with(f, ALL_FEATURES & ~(1ULL << VIRTIO_RING_F_EVENT_IDX));
	put_header(f, f->header, VIRTIO_BLK_T_GET_ID, 0);
	bufs[0] = (struct mock_buf){ f->header, 16, false };
	bufs[1] = (struct mock_buf){ f->data, 20, true };
	bufs[2] = (struct mock_buf){ f->status, 1, true };
	for (unsigned i = 0; i < 8; i++)
		mock_ring_add(&f->rings[0], bufs, 3);
	eventfd_drain(f->dev->queues[0].irq.fd);
	kick(f, &f->rings[0]);
	assert_int_equal(mock_ring_used_index(&f->rings[0]), 8);
	assert_int_equal(eventfd_drain(f->dev->queues[0].irq.fd), 1);
}

/* Takes chains, but the loop does not process what has finished. */
static void serve_only(struct fixture *f)
{
	mock_ring_kick(&f->rings[0]);
	pthread_mutex_lock(&f->dev->lock);
	f->dev->model->serve(f->dev, &f->dev->queues[0]);
	pthread_mutex_unlock(&f->dev->lock);
}

static void reset_waits_for_what_is_in_flight(void **state)
{
	struct fixture *f = *state;
	uint64_t block = mock_alloc(&f->env, 1024 * RING_SIZE, 4096);

	start(f);
	fill_ring(f, VIRTIO_BLK_T_OUT, block);
	serve_only(f);
	mock_driver_status(f->dev, 0);
	/* Each buffer belongs to the driver again, and each write took place. */
	assert_int_equal(mock_ring_used_index(&f->rings[0]), RING_SIZE);
	memset(ram(f, block, 1024 * RING_SIZE), 0, 1024 * RING_SIZE);
	for (unsigned i = 0; i < RING_SIZE; i++)
		assert_sector(f, i * 3, (uint8_t)(200 - i));
	/* Late callbacks of the loop find nothing. */
	mock_env_dispatch(&f->env);

	start(f);
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(*ram(f, f->data, 1), 200);
}

/* Begins one request of 500 MiB, over the same memory again and again. */
static void begin_huge(struct fixture *f)
{
	enum { SEGMENTS = 125 };
	struct mock_buf bufs[SEGMENTS + 2];

	assert_int_equal(truncate(f->path, (off_t)SEGMENTS * MOCK_SLOT_LEN), 0);
	reopen(f);
	start(f);
	put_header(f, f->header, VIRTIO_BLK_T_IN, 0);
	*ram(f, f->status, 1) = 0xee;
	bufs[0] = (struct mock_buf){ f->header, 16, false };
	for (unsigned i = 1; i <= SEGMENTS; i++)
		bufs[i] = (struct mock_buf){ MOCK_HIGH, MOCK_SLOT_LEN, true };
	bufs[SEGMENTS + 1] = (struct mock_buf){ f->status, 1, true };
	mock_ring_add(&f->rings[0], bufs, ARRAY_SIZE(bufs));
	serve_only(f);
}

static void reset_cancels_what_is_left(void **state)
{
	struct fixture *f = *state;

	begin_huge(f);
	mock_driver_status(f->dev, 0);
	assert_int_equal(mock_ring_used_index(&f->rings[0]), 1);
	assert_int_equal(*ram(f, f->status, 1), VIRTIO_BLK_S_IOERR);

	start(f);
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
}

/* The rings are another kernel's next time. */
static void losing_memory_access_cancels_what_is_left(void **state)
{
	struct fixture *f = *state;

	begin_huge(f);
	pthread_mutex_lock(&f->dev->lock);
	virtio_allow_dma(f->dev, false);
	pthread_mutex_unlock(&f->dev->lock);
	assert_int_equal(*ram(f, f->status, 1), VIRTIO_BLK_S_IOERR);
}

/* --- Save and restore --- */

static void freeze_completes_what_is_left(void **state)
{
	struct fixture *f = *state;
	uint32_t written;
	uint16_t head;

	begin_huge(f);
	virtio_freeze(f->dev);
	assert_int_equal(mock_ring_used_index(&f->rings[0]), 1);
	assert_int_equal(*ram(f, f->status, 1), VIRTIO_BLK_S_OK);
	assert_true(mock_irq_taken(&f->dev->queues[0].irq));
	virtio_thaw(f->dev);
	mock_env_dispatch(&f->env);
	assert_true(mock_ring_reap(&f->rings[0], &head, &written));
	assert_false(mock_ring_reap(&f->rings[0], &head, &written));
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
}

static void move_to_another_device(struct fixture *f)
{
	struct saved saved;

	virtio_freeze(f->dev);
	device_save(&saved, f->dev);
	reopen(f);
	assert_int_equal(device_load(&saved, f->dev), 0);
	device_expect_same(&saved, f->dev);
	mock_transport_init(&f->transport, f->dev);
	f->rings[0].q = &f->dev->queues[0];
	virtio_thaw(f->dev);
	saved_free(&saved);
}

/* Half of the ring is in flight, half not yet taken: each write takes place once. */
static void requests_survive_a_move(void **state)
{
	struct fixture *f = *state;
	uint64_t block = mock_alloc(&f->env, 1024 * RING_SIZE, 4096);
	bool seen[RING_SIZE] = { false };
	unsigned before;

	start(f);
	fill_ring(f, VIRTIO_BLK_T_OUT, block);
	mock_ring_set_avail_index(&f->rings[0], RING_SIZE / 2);
	serve_only(f);
	mock_ring_set_avail_index(&f->rings[0], RING_SIZE);
	move_to_another_device(f);
	before = mock_ring_used_index(&f->rings[0]);
	assert_int_equal(before, RING_SIZE / 2);
	for (unsigned i = 0; i < RING_SIZE; i++) {
		uint32_t written;
		uint16_t head = wait_used(f, &f->rings[0], &written);

		assert_false(seen[head]);
		seen[head] = true;
		assert_sector(f, head * 3U, (uint8_t)(200 - head));
	}
	assert_int_equal(mock_ring_used_index(&f->rings[0]), RING_SIZE);
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
}

static void another_disk_is_refused(void **state)
{
	struct fixture *f = *state;
	struct saved saved;

	device_save(&saved, f->dev);
	device_set(&saved, f->dev, virtio_blk_state_tables[0], "block", 0, 4096);
	device_expect_refused(&saved, f->dev, "has blocks of 512 bytes, the disk of 4096");
	saved_free(&saved);
	device_save(&saved, f->dev);
	f->options.serial = "kinglet-2";
	reopen(f);
	device_expect_refused(&saved, f->dev, "serial= is not that of the disk");
	saved_free(&saved);
	device_save(&saved, f->dev);
	assert_int_equal(truncate(f->path, (off_t)(SECTORS + 8) * SECTOR), 0);
	reopen(f);
	device_expect_refused(&saved, f->dev, "has 2056 sectors, the disk 2048");
	saved_free(&saved);
}

static void reset_forgets_the_driver(void **state)
{
	struct fixture *f = *state;
	struct saved saved;

	device_save(&saved, f->dev);
	start(f);
	assert_int_equal(do_read(f, 0, SECTOR), VIRTIO_BLK_S_OK);
	mock_driver_status(f->dev, 0);
	device_expect_same(&saved, f->dev);
	saved_free(&saved);
}

static void queues_are_independent(void **state)
{
	struct fixture *f = *state;
	struct virtio_blk_config config = { 0 };

	f->options.queues = QUEUES;
	reopen(f);
	assert_true(f->dev->offered >> VIRTIO_BLK_F_MQ & 1);
	virtio_config_read(f->dev, 0, &config, f->dev->config_len);
	assert_int_equal(le16toh(config.num_queues), QUEUES);
	start(f);
	for (unsigned i = 0; i < QUEUES; i++) {
		struct mock_buf bufs[] = {
			{ f->header + 16 * i, 16, false },
			{ f->data + 4096 * i, SECTOR, true },
			{ f->status + i, 1, true },
		};

		put_header(f, bufs[0].gpa, VIRTIO_BLK_T_IN, 20 + i);
		assert_int_equal(mock_ring_add(&f->rings[i], bufs, 3), 0); /* the same head */
		mock_ring_kick(&f->rings[i]);
	}
	for (unsigned i = QUEUES; i--;) {
		uint32_t written;

		wait_used(f, &f->rings[i], &written);
		assert_int_equal(written, SECTOR + 1);
		assert_int_equal(*ram(f, f->status + i, 1), VIRTIO_BLK_S_OK);
		assert_int_equal(*ram(f, f->data + 4096 * i, 1), original(20 + i));
		assert_true(mock_irq_taken(&f->dev->queues[i].irq));
	}
}

static void a_copy_is_not_saved(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	struct state *saved;
	int ret;

	f->options.image.copy = true;
	reopen(f);
	assert_int_equal(state_new(&saved), 0);
	capture_stderr_begin(&capture);
	ret = f->dev->model->state(f->dev, saved);
	capture_expect(&capture, "leave copy out in the run that is saved");
	state_free(saved);
	assert_int_equal(ret, -EOPNOTSUPP);
}

int main(void)
{
	static bool threads;
/* fdatasync(2) can be counted when threads call it; the rest is for io_uring where it is had. */
#define ON_THREADS(test) { #test " (threads)", test, setup, teardown, &threads }
	const struct CMUnitTest tests[] = {
		TEST(configuration_describes_the_image),
		TEST(wrong_options_are_usage_errors),
		TEST(nothing_is_left_open),
		TEST(reads_and_writes),
		ON_THREADS(reads_and_writes),
		ON_THREADS(flush_reaches_the_disk),
		ON_THREADS(writes_are_stable_without_flush),
		TEST(get_id_gives_the_serial),
		TEST(write_zeroes_zeroes),
		TEST(discard_discards),
		TEST(malformed_ranges_are_refused),
		TEST(one_request_is_bounded),
		TEST(driver_without_features_is_served),
		TEST(commands_not_negotiated_are_unsupported),
		TEST(unknown_commands_are_unsupported),
		TEST(out_of_range_is_an_error),
		TEST(odd_lengths_are_errors),
		TEST(readonly_device_refuses_writes),
		TEST(truncated_image_gives_errors),
		TEST(header_may_be_in_pieces),
		TEST(parts_may_share_a_descriptor),
		TEST(buffers_may_span_slots_of_ram),
		TEST(short_header_is_an_error),
		TEST(too_many_segments_are_an_error),
		TEST(chain_without_status_breaks_the_device),
		TEST(damaged_ring_breaks_the_device),
		TEST(full_ring_is_served),
		ON_THREADS(full_ring_is_served),
		TEST(one_interrupt_for_a_batch),
		TEST(reset_waits_for_what_is_in_flight),
		ON_THREADS(reset_waits_for_what_is_in_flight),
		TEST(reset_cancels_what_is_left),
		ON_THREADS(reset_cancels_what_is_left),
		TEST(losing_memory_access_cancels_what_is_left),
		TEST(freeze_completes_what_is_left),
		ON_THREADS(freeze_completes_what_is_left),
		TEST(requests_survive_a_move),
		ON_THREADS(requests_survive_a_move),
		TEST(another_disk_is_refused),
		TEST(a_copy_is_not_saved),
		TEST(reset_forgets_the_driver),
		TEST(queues_are_independent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
