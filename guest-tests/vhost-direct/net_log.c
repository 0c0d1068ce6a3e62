/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost-net's write log beside what it writes. All memory is compared with a copy of it: each page
 * that has changed must be in the log, and no other.
 */
#include "net.h"
#include "pages.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { BATCH = RING_CHAINS / 2 };
enum { FILL = 0xa5 };

struct proof {
	struct net net;
	unsigned frame; /* number of the next one */
	unsigned pages; /* found written and logged */
};

static void fill_buffers(const struct net *net)
{
	for (unsigned i = 0; i < RING_CHAINS; i++)
		memset(host_ptr(net->host, net_buffer(net, RX, i), BUFFER), FILL, BUFFER);
}

/* The driver writes to no memory while the batch is on its way. */
static void prove_batch(struct proof *proof)
{
	struct net *net = &proof->net;
	unsigned chains[BATCH];
	struct pages pages;
	struct tally tally;

	fill_buffers(net);
	for (unsigned i = 0; i < QUEUES; i++)
		ring_call_after(&net->rings[i], BATCH);
	net_transmit(net, proof->frame, BATCH);
	pages_begin(&pages, net->host);
	ring_kick(&net->rings[TX]);
	net_inject(net, proof->frame, BATCH);
	for (unsigned i = 0; i < BATCH; i++)
		chains[i] = net_receive(net, proof->frame + i);
	net_transmitted(net, proof->frame, BATCH);
	/* A chain may be seen in the used ring before its pages are in the log. */
	virtio_freeze(&net->dev);
	pages_end(&pages);
	virtio_thaw(&net->dev);

	for (unsigned i = 0; i < BATCH; i++)
		require(pages_of(&pages, net_buffer(net, RX, chains[i]), 1).both == 1,
			"a buffer's page is not in the log");
	tally = pages_all(&pages);
	require(tally.both == tally.written, "a page that was written is not in the log");
	require(tally.both == tally.logged, "the log has a page that was not written");
	pages_free(&pages);
	proof->pages += tally.both;
	proof->frame += BATCH;
	for (unsigned i = 0; i < BATCH; i++)
		net_offer(net, chains[i]);
	ring_kick(&net->rings[RX]);
}

/* As often as the rings have entries; the log is turned off and on again while they run. */
static void prove_ring(struct proof *proof)
{
	for (unsigned i = 0; i < RING_SIZE / BATCH; i++) {
		log_turn(proof->net.host, false);
		log_turn(proof->net.host, true);
		prove_batch(proof);
	}
}

/*
 * The second used ring has entries on two pages, and one in the middle of both; so have buffers.
 * Nothing else is on the second of the pages.
 */
static void start(struct proof *proof, uint64_t features)
{
	struct host *host = proof->net.host;

	host->next = (host->next / PAGE + 2) * PAGE - 3100;
	net_start(&proof->net, features);
	net_offer_all(&proof->net);
}

static void prove_features(struct proof *proof, const char *name, uint64_t features)
{
	proof->pages = 0;
	start(proof, features);
	prove_ring(proof);
	log_turn(proof->net.host, false);
	driver_stop(&proof->net.dev);
	printf("net: %s: %u pages written, the same in the log\n", name, proof->pages);
}

/* --- Memory that comes and goes --------------------------------------------------------------- */

/* What gmem would do. */
static void add_memory(struct gmem *mem, uint64_t gpa, uint64_t len)
{
	struct gmem_slot *slot = &mem->slots[mem->count++];

	*slot = (struct gmem_slot){ .gpa = gpa, .len = len };
	slot->hva = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(slot->hva != MAP_FAILED, "no memory");
	for (struct gmem_listener *l = mem->listeners; l; l = l->next)
		require(!l->add(l, slot), "memory was not added");
}

static void remove_memory(struct gmem *mem)
{
	struct gmem_slot *slot = &mem->slots[--mem->count];

	for (struct gmem_listener *l = mem->listeners; l; l = l->next)
		l->remove(l, slot);
	munmap(slot->hva, slot->len);
}

static void use_all_buffers(struct proof *proof)
{
	net_inject(&proof->net, proof->frame, RING_CHAINS);
	for (unsigned i = 0; i < RING_CHAINS; i++)
		net_receive(&proof->net, proof->frame++);
}

/* All while the rings run. */
static void prove_memory(struct proof *proof)
{
	struct net *net = &proof->net;
	struct gmem *mem = &net->host->mem;
	uint64_t buffers = net->buffers[RX];

	proof->pages = 0;
	start(proof, 0);
	log_turn(net->host, true);
	use_all_buffers(proof);
	add_memory(mem, 2 * HOST_HIGH, 64 * PAGE);
	net->buffers[RX] = 2 * HOST_HIGH + 32 * PAGE - BUFFER - 1;
	net_offer_all(net);
	prove_batch(proof);
	use_all_buffers(proof);
	remove_memory(mem);
	net->buffers[RX] = buffers;
	net_offer_all(net);
	prove_batch(proof);
	log_turn(net->host, false);
	driver_stop(&net->dev);
	printf("net: memory added, then removed: %u pages written, the same in the log\n",
	       proof->pages);
}

/* --- Off -------------------------------------------------------------------------------------- */

/* The kernel writes no more where the log was. */
static void prove_off(struct proof *proof)
{
	struct net *net = &proof->net;
	uintptr_t page;
	const uint8_t *log;
	size_t len;

	start(proof, 0);
	log_turn(net->host, true);
	page = (uintptr_t)net->vhost->log.words / PAGE * PAGE;
	len = net->vhost->log.count * sizeof(uint64_t);
	log_turn(net->host, false);
	/* malloc() has unmapped it: see net_log(). */
	log = mmap((void *)page, len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	require(log == (void *)page, "the log's memory is still mapped");
	net_transmit(net, proof->frame, BATCH);
	ring_kick(&net->rings[TX]);
	net_transmitted(net, proof->frame, BATCH);
	use_all_buffers(proof);
	driver_stop(&net->dev);
	for (size_t i = 0; i < len; i++)
		require(!log[i], "the kernel wrote to a log that was off");
	munmap((void *)page, len);
	puts("net: log off: nothing written where it was");
}

int net_log(struct host *host, const char *tap_name)
{
	struct proof proof = { 0 };

	/* Each log is a mapping of its own. */
	mallopt(M_MMAP_THRESHOLD, PAGE);
	host->next = HOST_HIGH + PAGE - 1;
	if (!net_open(&proof.net, host, tap_name))
		return 1;
	host->next = 0;
	prove_features(&proof, "plain", 0);
	prove_features(&proof, "event index", 1ULL << VIRTIO_RING_F_EVENT_IDX);
	prove_features(&proof, "mergeable buffers", 1ULL << VIRTIO_NET_F_MRG_RXBUF);
	prove_memory(&proof);
	prove_off(&proof);
	net_close(&proof.net);
	return 0;
}

/* --- On and off under load -------------------------------------------------------------------- */

/* `count` frames each way. */
static void send_both(struct net *net, unsigned frame, unsigned count)
{
	net_transmit(net, frame, count);
	ring_kick(&net->rings[TX]);
	net_inject(net, frame, count);
}

/* The same frames, in order; a chain is offered again by the caller. */
static void await_both(struct net *net, unsigned frame, unsigned *chains, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		chains[i] = net_receive(net, frame + i);
	net_transmitted(net, frame, count);
}

static void offer(struct net *net, const unsigned *chains, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		net_offer(net, chains[i]);
	ring_kick(&net->rings[RX]);
}

/* Of frames sent since it was on; the last one may be seen before its page is in the log. */
static void check_log(const struct net *net, const struct pages *pages, const unsigned *chains)
{
	for (unsigned i = 0; i < BATCH - 1; i++)
		require(pages_of(pages, net_buffer(net, RX, chains[i]), 1).logged == 1,
			"a buffer's page is not in the log");
	for (unsigned i = 0; i < QUEUES; i++)
		require(pages_of(pages, net->rings[i].q->state.used, 1).logged == 1,
			"a used ring is not in the log");
}

/* `busy` frames each way are underway at each switch. */
static void switch_log(struct net *net, unsigned frame, unsigned busy)
{
	unsigned chains[RING_CHAINS];
	struct pages pages;

	send_both(net, frame, busy);
	log_turn(net->host, true);
	pages_begin(&pages, net->host);
	send_both(net, frame + busy, BATCH);
	await_both(net, frame, chains, busy + BATCH);
	pages_end(&pages);
	check_log(net, &pages, chains + busy);
	pages_free(&pages);
	offer(net, chains, busy + BATCH);

	frame += busy + BATCH;
	send_both(net, frame, busy);
	log_turn(net->host, false);
	await_both(net, frame, chains, busy);
	offer(net, chains, busy);
}

int net_switch(struct host *host, const char *tap_name, unsigned times)
{
	unsigned frame = 0;
	struct net net;

	host->sys.trace = NULL;
	if (!net_open(&net, host, tap_name))
		return 1;
	net_start(&net, 0);
	net_offer_all(&net);
	for (unsigned i = 0; i < times; i++) {
		unsigned busy = i % BATCH;

		switch_log(&net, frame, busy);
		frame += 2 * busy + BATCH;
	}
	require(!(net.dev.status & VIRTIO_CONFIG_S_NEEDS_RESET), "the device broke");
	driver_stop(&net.dev);
	net_close(&net);
	printf("net: log on and off %u times, %u frames each way, each as it was sent\n", times,
	       frame);
	return 0;
}
