/* SPDX-License-Identifier: Apache-2.0 */
#include "core/irq.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

/* Bounds the table if KVM allows more; far beyond what 32 devices can use. */
enum { MAX_ROUTES = 4096 };

int irqs_init(struct irqs *irqs, struct kvm *kvm, struct loop *loop,
	      const struct kvm_irq_routing_entry *routes, unsigned count)
{
	int max = kvm_check_extension(kvm, KVM_CAP_IRQ_ROUTING);

	*irqs = (struct irqs){
		.kvm = kvm,
		.loop = loop,
		.fixed = count,
		.capacity = max > MAX_ROUTES ? MAX_ROUTES : (unsigned)max,
		.needs_devid = kvm_check_extension(kvm, KVM_CAP_MSI_DEVID),
	};
	if (irqs->capacity < count)
		irqs->capacity = count;
	irqs->table = calloc(1, sizeof(*irqs->table) +
					irqs->capacity * sizeof(irqs->table->entries[0]));
	if (!irqs->table)
		return -ENOMEM;
	if (count)
		memcpy(irqs->table->entries, routes, count * sizeof(*routes));
	irqs->table->nr = count;
	return -pthread_mutex_init(&irqs->lock, NULL);
}

void irqs_destroy(struct irqs *irqs)
{
	free(irqs->table);
	irqs->table = NULL;
	pthread_mutex_destroy(&irqs->lock);
}

unsigned irqs_msi_count(struct irqs *irqs)
{
	unsigned count;

	pthread_mutex_lock(&irqs->lock);
	count = irqs->table->nr - irqs->fixed;
	pthread_mutex_unlock(&irqs->lock);
	return count;
}

int irqs_set_level(struct irqs *irqs, uint32_t gsi, bool level)
{
	struct kvm_irq_level irq = { .irq = gsi, .level = level };

	return kvm_vm_ioctl(irqs->kvm, KVM_IRQ_LINE, &irq);
}

/* The lowest GSI after the pins that no route uses. Lock held. */
static uint32_t free_gsi(const struct irqs *irqs)
{
	uint32_t gsi = IRQ_LEGACY_GSIS;

	for (unsigned i = irqs->fixed; i < irqs->table->nr; i++) {
		if (irqs->table->entries[i].gsi == gsi) {
			gsi++;
			i = irqs->fixed - 1;
		}
	}
	return gsi < irqs->capacity ? gsi : IRQ_NO_GSI;
}

static struct kvm_irq_routing_entry *find_route(struct irqs *irqs, uint32_t gsi)
{
	for (unsigned i = irqs->fixed; i < irqs->table->nr; i++)
		if (irqs->table->entries[i].gsi == gsi)
			return &irqs->table->entries[i];
	return NULL;
}

static struct kvm_irq_routing_entry msi_route(const struct irqs *irqs, uint32_t gsi,
					      const struct msi_message *message)
{
	struct kvm_irq_routing_entry entry = {
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi.address_lo = (uint32_t)message->address,
		.u.msi.address_hi = (uint32_t)(message->address >> 32),
		.u.msi.data = message->data,
	};

	if (irqs->needs_devid) {
		entry.flags = KVM_MSI_VALID_DEVID;
		entry.u.msi.devid = message->devid;
	}
	return entry;
}

/* KVM api.rst 4.52: the table is replaced whole. Lock held. */
static int commit_routes(struct irqs *irqs)
{
	return kvm_vm_ioctl(irqs->kvm, KVM_SET_GSI_ROUTING, irqs->table);
}

static int note_route(struct irqs *irqs, const struct msi_message *message, uint32_t *gsi)
{
	uint32_t found = free_gsi(irqs);

	if (found == IRQ_NO_GSI || irqs->table->nr == irqs->capacity)
		return -ENOSPC;
	irqs->table->entries[irqs->table->nr++] = msi_route(irqs, found, message);
	*gsi = found;
	return 0;
}

static int add_route(struct irqs *irqs, const struct msi_message *message, uint32_t *gsi)
{
	int ret = note_route(irqs, message, gsi);

	if (!ret)
		ret = commit_routes(irqs);
	if (ret < 0 && *gsi != IRQ_NO_GSI) {
		irqs->table->nr--;
		*gsi = IRQ_NO_GSI;
	}
	return ret < 0 ? ret : 0;
}

static int change_route(struct irqs *irqs, const struct msi_message *message, uint32_t gsi)
{
	struct kvm_irq_routing_entry *entry = find_route(irqs, gsi);
	struct kvm_irq_routing_entry before = *entry;
	int ret;

	*entry = msi_route(irqs, gsi, message);
	ret = commit_routes(irqs);
	if (ret < 0)
		*entry = before;
	return ret < 0 ? ret : 0;
}

/* Not committed to KVM: a route without an irqfd is inert, and the next change drops it. */
static void drop_route(struct irqs *irqs, uint32_t gsi)
{
	struct kvm_irq_routing_entry *entry;

	pthread_mutex_lock(&irqs->lock);
	entry = find_route(irqs, gsi);
	*entry = irqs->table->entries[--irqs->table->nr];
	pthread_mutex_unlock(&irqs->lock);
}

static bool same_message(const struct msi_message *a, const struct msi_message *b)
{
	return a->address == b->address && a->data == b->data && a->devid == b->devid;
}

/* Routes are kept over mask and unmask: KVM_SET_GSI_ROUTING is by far the most expensive step. */
static int route_line(struct irq_line *line, const struct msi_message *message)
{
	struct irqs *irqs = line->irqs;
	int ret = 0;

	pthread_mutex_lock(&irqs->lock);
	if (line->gsi == IRQ_NO_GSI)
		ret = add_route(irqs, message, &line->gsi);
	else if (!same_message(&line->message, message))
		ret = change_route(irqs, message, line->gsi);
	pthread_mutex_unlock(&irqs->lock);
	if (!ret)
		line->message = *message;
	return ret;
}

bool irq_line_note_route(struct irq_line *line, const struct msi_message *message)
{
	struct irqs *irqs = line->irqs;
	bool noted;

	pthread_mutex_lock(&irqs->lock);
	noted = line->gsi == IRQ_NO_GSI && !note_route(irqs, message, &line->gsi);
	pthread_mutex_unlock(&irqs->lock);
	if (noted)
		line->message = *message;
	return noted;
}

int irqs_commit(struct irqs *irqs)
{
	int ret;

	pthread_mutex_lock(&irqs->lock);
	ret = commit_routes(irqs);
	pthread_mutex_unlock(&irqs->lock);
	return ret < 0 ? ret : 0;
}

static int set_irqfd(struct irq_line *line, uint32_t flags)
{
	struct kvm_irqfd irqfd = { .fd = (uint32_t)line->fd, .gsi = line->gsi, .flags = flags };

	return kvm_vm_ioctl(line->irqs->kvm, KVM_IRQFD, &irqfd);
}

static void relay_event(struct loop_event *event, uint32_t events)
{
	struct irq_line *line = container_of(event, struct irq_line, relay);

	(void)events;
	if (eventfd_drain(line->fd))
		line->relay_fn(line);
}

int irq_line_init(struct irq_line *line, struct irqs *irqs, void (*relay_fn)(struct irq_line *))
{
	*line = (struct irq_line){
		.irqs = irqs,
		.gsi = IRQ_NO_GSI,
		.relay = { .fn = relay_event },
		.relay_fn = relay_fn,
	};
	line->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	line->relay.fd = line->fd;
	return line->fd < 0 ? -errno : 0;
}

static bool has_irqfd(const struct irq_line *line)
{
	return line->sink == IRQ_KVM || line->sink == IRQ_RESTING;
}

void irq_line_forget_route(struct irq_line *line)
{
	if (line->gsi == IRQ_NO_GSI || has_irqfd(line))
		return;
	drop_route(line->irqs, line->gsi);
	line->gsi = IRQ_NO_GSI;
}

void irq_line_destroy(struct irq_line *line)
{
	if (line->fd < 0)
		return;
	if (line->sink == IRQ_RELAY)
		irq_line_hold(line);
	line->sink = IRQ_HELD;
	irq_line_forget_route(line);
	/* KVM lets go of an eventfd that is closed, in its own time (see irq_line_rest()). */
	close_fd(&line->fd);
}

void irq_line_raise(struct irq_line *line)
{
	static const char *const ways[] = {
		[IRQ_HELD] = "it is masked, so the event waits in the eventfd",
		[IRQ_KVM] = "its irqfd injects the MSI, no thread of Kinglet's wakes",
		[IRQ_RESTING] = "it has no vector, so the event is lost",
		[IRQ_RELAY] = "the event loop will read it and raise INTx",
	};

	sys_note(line->irqs->kvm->sys, SYS_TOPIC_INTERRUPT, line->fd, "%s", ways[line->sink]);
	if (line->sink != IRQ_RESTING)
		eventfd_signal(line->fd);
}

void irq_line_hold(struct irq_line *line)
{
	if (line->sink == IRQ_RELAY)
		loop_remove(line->irqs->loop, &line->relay);
	/* Deassigning an existing irqfd cannot fail (KVM api.rst 4.75). */
	if (has_irqfd(line) && set_irqfd(line, KVM_IRQFD_FLAG_DEASSIGN) < 0)
		return;
	line->sink = IRQ_HELD;
}

void irq_line_rest(struct irq_line *line)
{
	if (line->sink == IRQ_KVM)
		line->sink = IRQ_RESTING;
}

void irq_line_wake(struct irq_line *line)
{
	if (line->sink == IRQ_RESTING)
		irq_line_hold(line);
}

int irq_line_to_kvm(struct irq_line *line, const struct msi_message *message)
{
	int ret;

	if (line->sink == IRQ_RELAY)
		irq_line_hold(line);
	ret = route_line(line, message);
	if (!ret && line->sink == IRQ_HELD)
		ret = set_irqfd(line, 0);
	if (ret < 0) {
		irq_line_hold(line);
		return ret;
	}
	line->sink = IRQ_KVM;
	return 0;
}

int irq_line_to_relay(struct irq_line *line)
{
	int ret;

	if (line->sink == IRQ_RELAY)
		return 0;
	irq_line_hold(line);
	ret = loop_add(line->irqs->loop, &line->relay, EPOLLIN);
	if (!ret)
		line->sink = IRQ_RELAY;
	return ret;
}

bool irq_line_raised(const struct irq_line *line)
{
	struct pollfd pfd = { .fd = line->fd, .events = POLLIN };

	/* KVM takes it at once; older kernels leave the count in the eventfd. */
	return !has_irqfd(line) && poll(&pfd, 1, 0) == 1;
}

bool irq_line_pending(const struct irq_line *line)
{
	return line->sink == IRQ_HELD && irq_line_raised(line);
}

void irq_line_clear(struct irq_line *line)
{
	eventfd_drain(line->fd);
}
