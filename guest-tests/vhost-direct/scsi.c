/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-scsi and a target in the kernel (LIO): identifies the disk, writes standard input to it
 * from its beginning, and reads it back.
 */
#include "driver.h"
#include "pages.h"

#include "devices/vhost_scsi.h"
#include "base/le.h"

#include <linux/virtio_scsi.h>
#include <stdio.h>
#include <string.h>

enum { CONTROL, EVENT, REQUEST, QUEUES };
enum { TARGET = 1 }; /* the number of the portal group: tpgt_1 */
enum { BLOCK = 512, DATA = 128 * BLOCK, RESPONSE = sizeof(struct virtio_scsi_cmd_resp) };

/* SPC-4 and SBC-3 operation codes. */
enum {
	TEST_UNIT_READY = 0x00,
	INQUIRY = 0x12,
	READ_CAPACITY_10 = 0x25,
	READ_10 = 0x28,
	WRITE_10 = 0x2a,
	SYNCHRONIZE_CACHE_10 = 0x35,
};

enum direction { NO_DATA, DATA_OUT, DATA_IN };

struct scsi {
	struct host *host;
	struct virtio_dev dev;
	struct ring rings[QUEUES];
	struct vhost *vhost;
	uint64_t request, response, data; /* addresses; data: DATA bytes */
};

static const struct virtio_model model = { .name = "direct-scsi", .id = VIRTIO_ID_SCSI };

static void put_be(uint8_t *p, uint32_t value, unsigned len)
{
	while (len--) {
		p[len] = (uint8_t)value;
		value >>= 8;
	}
}

static uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* §5.6.6.1: the request, data to the device, the response, data from the device. Without a kick. */
static void send_command(struct scsi *scsi, const uint8_t cdb[10], enum direction direction,
			 uint32_t len)
{
	struct virtio_scsi_cmd_req *request =
		host_ptr(scsi->host, scsi->request, sizeof(*request));
	const struct buffer data = { scsi->data, len, direction == DATA_IN };
	struct buffer chain[3] = { { scsi->request, sizeof(*request), false } };
	unsigned count = 1;

	*request = (struct virtio_scsi_cmd_req){ .lun = { 1, TARGET, 0x40, 0 } };
	memcpy(request->cdb, cdb, 10);
	memset(host_ptr(scsi->host, scsi->response, RESPONSE), 0xff, RESPONSE);
	if (direction == DATA_OUT)
		chain[count++] = data;
	chain[count++] = (struct buffer){ scsi->response, RESPONSE, true };
	if (direction == DATA_IN)
		chain[count++] = data;
	ring_send(&scsi->rings[REQUEST], 0, chain, count);
}

/* True when GOOD. */
static bool finish_command(struct scsi *scsi)
{
	const struct virtio_scsi_cmd_resp *response = host_ptr(scsi->host, scsi->response, RESPONSE);
	uint32_t written;

	ring_kick(&scsi->rings[REQUEST]);
	ring_wait(&scsi->rings[REQUEST], &written);
	require(response->response == VIRTIO_SCSI_S_OK, "the target did not take the command");
	return !response->status;
}

static bool command(struct scsi *scsi, const uint8_t cdb[10], enum direction direction,
		    uint32_t len)
{
	send_command(scsi, cdb, direction, len);
	return finish_command(scsi);
}

static void transfer(struct scsi *scsi, uint8_t operation, uint32_t block, uint32_t len)
{
	uint8_t cdb[10] = { operation };

	put_be(cdb + 2, block, 4);
	put_be(cdb + 7, len / BLOCK, 2);
	require(command(scsi, cdb, operation == WRITE_10 ? DATA_OUT : DATA_IN, len),
		"a read or write failed");
}

static void identify(struct scsi *scsi)
{
	static const uint8_t inquiry[10] = { INQUIRY, [4] = 36 };
	static const uint8_t ready[10] = { TEST_UNIT_READY };
	static const uint8_t capacity[10] = { READ_CAPACITY_10 };
	const uint8_t *data = host_ptr(scsi->host, scsi->data, DATA);

	require(command(scsi, inquiry, DATA_IN, 36), "INQUIRY failed");
	printf("scsi: %.8s %.16s", (const char *)data + 8, (const char *)data + 16);
	/* The first answer may be a unit attention, for a new initiator. */
	if (!command(scsi, ready, NO_DATA, 0))
		require(command(scsi, ready, NO_DATA, 0), "the disk is not ready");
	require(command(scsi, capacity, DATA_IN, 8), "READ CAPACITY failed");
	printf(", %u blocks of %u bytes\n", get_be32(data) + 1, get_be32(data + 4));
	require(get_be32(data + 4) == BLOCK, "another block size");
}

/* Writes standard input and returns its length in blocks; keeps a copy for comparison. */
static uint32_t write_input(struct scsi *scsi, FILE *copy)
{
	uint8_t *data = host_ptr(scsi->host, scsi->data, DATA);
	uint32_t block = 0;
	size_t len;

	while ((len = fread(data, 1, DATA, stdin)) > 0) {
		require(len % BLOCK == 0, "standard input is no whole number of blocks");
		require(fwrite(data, 1, len, copy) == len, "no room for a copy");
		transfer(scsi, WRITE_10, block, (uint32_t)len);
		block += (uint32_t)len / BLOCK;
	}
	return block;
}

static void compare(struct scsi *scsi, FILE *copy)
{
	const uint8_t *data = host_ptr(scsi->host, scsi->data, DATA);
	static uint8_t expected[DATA];
	uint32_t block = 0;
	size_t len;

	rewind(copy);
	while ((len = fread(expected, 1, DATA, copy)) > 0) {
		transfer(scsi, READ_10, block, (uint32_t)len);
		require(!memcmp(data, expected, len), "other bytes were read than written");
		block += (uint32_t)len / BLOCK;
	}
}

static void exchange(struct scsi *scsi)
{
	static const uint8_t synchronize[10] = { SYNCHRONIZE_CACHE_10 };
	FILE *copy = tmpfile();
	uint32_t blocks;

	require(copy, "no temporary file");
	identify(scsi);
	blocks = write_input(scsi, copy);
	require(command(scsi, synchronize, NO_DATA, 0), "SYNCHRONIZE CACHE failed");
	compare(scsi, copy);
	fclose(copy);
	printf("scsi: %u blocks written and read back\n", blocks);
}

static bool start(struct scsi *scsi, struct host *host, const char *wwpn)
{
	int err;

	*scsi = (struct scsi){ .host = host };
	if (vhost_scsi_open(&scsi->vhost, &host->sys, wwpn, false))
		return false;
	err = virtio_dev_init(&scsi->dev, &model, &host->env, 0, vhost_scsi_features(scsi->vhost), 0,
			      QUEUES, RING_SIZE);
	require(!err, "no device");
	require(!vhost_bind(scsi->vhost, &scsi->dev, 0, scsi->dev.queue_count), "no vhost");
	scsi->request = host_alloc(host, sizeof(struct virtio_scsi_cmd_req), 8);
	for (unsigned i = 0; i < QUEUES; i++)
		ring_init(&scsi->rings[i], host, &scsi->dev.queues[i]);
	scsi->response = host_alloc(host, RESPONSE, PAGE);
	scsi->data = host_alloc(host, DATA, PAGE);
	driver_start(&scsi->dev, host, 0);
	return true;
}

static void stop(struct scsi *scsi)
{
	driver_stop(&scsi->dev);
	virtio_dev_destroy(&scsi->dev);
}

int scsi_run(struct host *host, const char *wwpn)
{
	struct scsi scsi;

	if (!start(&scsi, host, wwpn))
		return 1;
	exchange(&scsi);
	stop(&scsi);
	return 0;
}

/* Of one command that reads all of DATA. */
int scsi_log(struct host *host, const char *wwpn)
{
	static const uint8_t read[10] = { READ_10, [8] = DATA / BLOCK };
	struct vhost_kind kind;
	struct pages pages;
	struct scsi scsi;

	if (!start(&scsi, host, wwpn))
		return 1;
	identify(&scsi);
	log_anyway(scsi.vhost, &kind);
	log_turn(host, true);
	send_command(&scsi, read, DATA_IN, DATA);
	memset(host_ptr(host, scsi.data, DATA), 0xa5, DATA);
	pages_begin(&pages, host);
	require(finish_command(&scsi), "a read failed");
	virtio_freeze(&scsi.dev);
	pages_end(&pages);
	tally_say("scsi used ring", pages_of(&pages, scsi.rings[REQUEST].q->state.used, 1));
	tally_say("scsi response", pages_of(&pages, scsi.response, RESPONSE));
	tally_say("scsi data", pages_of(&pages, scsi.data, DATA));
	tally_say("scsi", pages_all(&pages));
	pages_free(&pages);
	stop(&scsi);
	return 0;
}
