/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trace says of the run as a whole: its phases, and metadata events, a fact each, about the
 * machine, the costs and the verdict. With a trace's head and tail around it, it is a small trace
 * by itself, of which the page is made. Addresses are strings, for a JSON number has 53 bits.
 */
#include "watch.h"

#include "base/le.h"
#include "base/log.h"
#include "pci/pci.h"
#include "virtio/virtio.h"

#include <limits.h>
#include <stdarg.h>
#include <string.h>

#define ULL(x) ((unsigned long long)(x))

/* The track of the phases: no thread can have this number (Linux, PID_MAX_LIMIT). */
enum { PHASE_TRACK = (4 << 20) + 1, MOVES_MAX = 1000 };

/* `fmt` are its arguments in JSON. */
static void __printf(3, 4) tell(struct watch *watch, const char *name, const char *fmt, ...)
{
	va_list args;

	fprintf(watch->facts,
		",\n{\"name\":\"%s\",\"cat\":\"__metadata\",\"ph\":\"M\",\"ts\":0,\"pid\":%d,"
		"\"tid\":%d,\"args\":{",
		name, getpid(), PHASE_TRACK);
	va_start(args, fmt);
	vfprintf(watch->facts, fmt, args);
	va_end(args);
	fputs("}}", watch->facts);
}

int trace_begin(struct watch *watch)
{
	watch->facts = open_memstream(&watch->facts_text, &watch->facts_len);
	if (!watch->facts)
		return -errno;
	fprintf(watch->facts,
		"{\"otherData\":{\"producer\":\"Kinglet " KINGLET_VERSION "\"},\n"
		"\"displayTimeUnit\":\"ns\",\n\"traceEvents\":[\n"
		"{\"name\":\"process_name\",\"cat\":\"__metadata\",\"ph\":\"M\",\"ts\":0,"
		"\"pid\":%d,\"tid\":%d,\"args\":{\"name\":\"kinglet\"}}",
		getpid(), gettid());
	tell(watch, "thread_name", "\"name\":\"phases\"");
	return fflush(watch->facts) ? -errno : 0;
}

/* --- Addresses -------------------------------------------------------------------------------- */

struct area {
	uint64_t base, len;
	const char *kind, *name;
};

struct areas {
	struct area areas[128];
	unsigned count;
};

/* Sorted by address; those that do not fit are left out. */
static void add_area(struct areas *areas, const char *kind, const char *name, uint64_t base,
		     uint64_t len)
{
	unsigned at = areas->count;

	if (!len || areas->count == ARRAY_SIZE(areas->areas))
		return;
	for (; at && areas->areas[at - 1].base > base; at--)
		areas->areas[at] = areas->areas[at - 1];
	areas->areas[at] = (struct area){ base, len, kind, name };
	areas->count++;
}

static void find_areas(struct areas *areas, const struct machine_parts *parts)
{
	const struct boot_summary *loaded = parts->loaded;

	for (unsigned i = 0; i < parts->mem->count; i++)
		add_area(areas, "ram", "RAM", parts->mem->slots[i].gpa, parts->mem->slots[i].len);
	add_area(areas, "ram", "· kernel, as loaded", loaded->kernel_start,
		 loaded->kernel_end - loaded->kernel_start);
	add_area(areas, "ram", "· initrd", loaded->initrd_start, loaded->initrd_len);
	add_area(areas, "pci", "PCI window", parts->pci->mmio32.base, parts->pci->mmio32.len);
	add_area(areas, "pci", "PCI window, 64-bit", parts->pci->mmio64.base,
		 parts->pci->mmio64.len);
	for (unsigned i = 0; i < parts->mmio->count; i++)
		add_area(areas, "mmio", parts->mmio->regions[i]->name,
			 parts->mmio->regions[i]->base, parts->mmio->regions[i]->len);
}

static void tell_areas(struct watch *watch)
{
	struct areas areas = { .count = 0 };

	find_areas(&areas, watch->parts);
	for (unsigned i = 0; i < areas.count; i++) {
		const struct area *area = &areas.areas[i];

		tell(watch, "area",
		     "\"kind\":\"%s\",\"name\":\"%s\",\"from\":\"0x%010llx\","
		     "\"to\":\"0x%010llx\",\"bytes\":%llu",
		     area->kind, area->name, ULL(area->base), ULL(area->base + area->len - 1),
		     ULL(area->len));
	}
}

static void tell_ports(struct watch *watch)
{
	const struct bus *pio = watch->parts->pio;

	for (unsigned i = 0; i < pio->count; i++) {
		const struct bus_region *region = pio->regions[i];

		tell(watch, "port", "\"name\":\"%s\",\"from\":\"0x%04llx\",\"to\":\"0x%04llx\"",
		     region->name, ULL(region->base), ULL(region->base + region->len - 1));
	}
}

/* --- PCI -------------------------------------------------------------------------------------- */

static void tell_bars(struct watch *watch, unsigned slot, const struct pci_dev *dev)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &dev->bars[i];

		if (bar->size)
			tell(watch, "bar",
			     "\"function\":\"00:%02x.0\",\"bar\":%u,\"bytes\":%llu,"
			     "\"at\":\"0x%llx\",\"is_64bit\":%u,\"mapped\":%u",
			     slot, i, ULL(bar->size), ULL(bar->region.base), bar->is_64bit,
			     bar->mapped);
	}
}

static void tell_functions(struct watch *watch)
{
	const struct pci_bus *pci = watch->parts->pci;

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		const struct pci_dev *dev = pci->devs[slot];
		char buf[32] = "";
		struct text gsi = text_of(buf, sizeof(buf));

		if (!dev)
			continue;
		if (dev->cfg[PCI_INTERRUPT_PIN])
			text_add(&gsi, ",\"gsi\":%u",
				 pci->intx_gsis[(slot + dev->cfg[PCI_INTERRUPT_PIN] - 1) % 4]);
		tell(watch, "function",
		     "\"function\":\"00:%02x.0\",\"name\":\"%s\",\"ids\":\"%04x:%04x\","
		     "\"class\":\"%06x\",\"msix\":%u%s",
		     slot, dev->name, get_le16(dev->cfg + PCI_VENDOR_ID),
		     get_le16(dev->cfg + PCI_DEVICE_ID),
		     get_le32(dev->cfg + PCI_CLASS_REVISION) >> 8, dev->msix != NULL, buf);
		tell_bars(watch, slot, dev);
	}
}

/* --- Queues ----------------------------------------------------------------------------------- */

/* The path of a request, as last wired. */
static void add_way(struct text *out, const struct virtq *q, const struct wire *kick,
		    const struct wire *interrupt)
{
	text_add(out, ",\"kick_fd\":%d,\"irq_fd\":%d", q->kick_fd, q->irq.fd);
	if (kick->kick_gpa)
		text_add(out, ",\"kick_at\":\"0x%llx\"", ULL(kick->kick_gpa));
	if (q->backend)
		text_add(out, ",\"runner\":\"%s\"", q->backend->ops->name);
	if (interrupt && interrupt->gsi != IRQ_NO_GSI)
		text_add(out, ",\"gsi\":%u,\"msi_data\":\"0x%x\",\"msi_at\":\"0x%llx\"",
			 interrupt->gsi, interrupt->msi_data, ULL(interrupt->msi_address));
}

/* A queue that has not run has no path yet. */
static void tell_queues(struct watch *watch, const struct virtio_dev *dev)
{
	for (unsigned i = 0; i < dev->queue_count; i++) {
		const struct virtq *q = &dev->queues[i];
		const struct wire *kick = wiring_find(&watch->wiring, q->kick_fd);
		char buf[240];
		struct text way = text_of(buf, sizeof(buf));

		if (kick)
			add_way(&way, q, kick, wiring_find(&watch->wiring, q->irq.fd));
		tell(watch, "queue", "\"device\":\"%s\",\"queue\":%u%s", dev->name, i, buf);
	}
}

void trace_machine(struct watch *watch)
{
	if (!watch->facts)
		return;
	for (unsigned i = 0; i < watch->parts->device_count; i++)
		tell_queues(watch, watch->parts->devices[i]);
	tell_areas(watch);
	tell_functions(watch);
	tell_ports(watch);
}

/* --- Migrations ------------------------------------------------------------------------------- */

/* One begins with round 1. A client may try as often as it likes; a trace has so many facts. */
void trace_move(struct watch *watch, const struct machine_progress *progress)
{
	if (!watch->facts || watch->moves == MOVES_MAX)
		return;
	watch->moves++;
	tell(watch, "move",
	     "\"round\":%u,\"bytes\":%llu,\"sent\":%llu,\"total_ns\":%llu,\"stands\":%u,"
	     "\"stood_ns\":%llu",
	     progress->round, ULL(progress->left), ULL(progress->sent), ULL(progress->total_ns),
	     progress->stands, ULL(progress->stood_ns));
}

/* --- The run ---------------------------------------------------------------------------------- */

static void tell_costs(struct watch *watch, const char *of, const struct costs *costs)
{
	for (unsigned i = 0; i < costs->count; i++)
		tell(watch, "cost", "\"of\":\"%s\",\"what\":\"%s\",\"count\":%llu,\"ns\":%llu", of,
		     costs->costs[i].name, ULL(costs->costs[i].count), ULL(costs->costs[i].ns));
}

static void tell_phases(struct watch *watch)
{
	uint64_t start = atomic_load(&watch->phases.at[PHASE_EXEC]);

	for (enum phase phase = phases_next(&watch->phases, PHASES); phase != PHASES;
	     phase = phases_next(&watch->phases, phase)) {
		enum phase next = phases_next(&watch->phases, phase);
		uint64_t at = atomic_load(&watch->phases.at[phase]);
		uint64_t ns = next == PHASES ? 0 : atomic_load(&watch->phases.at[next]) - at;

		fprintf(watch->facts,
			",\n{\"name\":\"%s\",\"cat\":\"phase\",\"ph\":\"X\",\"pid\":%d,\"tid\":%d,"
			"\"ts\":%llu.%03u,\"dur\":%llu.%03u,\"args\":{\"what\":\"%s\"}}",
			phase_name(phase), getpid(), PHASE_TRACK, ULL((at - start) / 1000),
			(unsigned)((at - start) % 1000), ULL(ns / 1000), (unsigned)(ns % 1000),
			phase_meaning(phase, watch->parts->config->restore));
	}
}

void trace_totals(struct watch *watch, const struct verdict *verdict)
{
	const struct machine_config *config = watch->parts->config;
	const char *format = watch->parts->loaded->format;
	char kernel_buf[3 * PATH_MAX], detail_buf[3 * sizeof(verdict->detail)];
	struct text kernel = text_of(kernel_buf, sizeof(kernel_buf));
	struct text detail = text_of(detail_buf, sizeof(detail_buf));

	if (!watch->facts)
		return;
	tell_phases(watch);
	tell_costs(watch, "exit", &watch->exits);
	tell_costs(watch, "ioctl", &watch->calls);
	tell_costs(watch, "guest", &watch->in_guest);
	tell_costs(watch, "kinglet", &watch->in_exits);
	trace_add_string(&kernel, config->boot.kernel);
	trace_add_string(&detail, verdict->detail);
	tell(watch, "run",
	     "\"kernel\":\"%s\",\"format\":\"%s\",\"cpus\":%u,\"memory\":%llu,\"status\":%d,"
	     "\"detail\":\"%s\"",
	     kernel_buf, format ? format : "", config->cpus, ULL(config->memory), verdict->status,
	     detail_buf);
	fputs(TRACE_TAIL, watch->facts);
	if (fclose(watch->facts))
		log_error("trace: %s", strerror(errno));
	watch->facts = NULL;
}
