/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include "base/le.h"
#include "pci/pci.h"
#include "virtio/virtio.h"

#include <inttypes.h>
#include <string.h>

/* --- Addresses -------------------------------------------------------------------------------- */

static void print_range(FILE *out, uint64_t base, uint64_t len, int digits)
{
	fprintf(out, "<td class=\"a\">0x%0*" PRIx64 "</td><td class=\"a\">0x%0*" PRIx64 "</td>",
		digits, base, digits, base + len - 1);
}

static void print_size(FILE *out, uint64_t len)
{
	char buf[32];
	struct text size = text_of(buf, sizeof(buf));

	text_add_bytes(&size, len);
	fprintf(out, "<td class=\"n\">%s</td>", buf);
}

struct area {
	uint64_t base, len;
	const char *kind; /* of swatch */
	const char *name;
};

enum { AREAS_MAX = 128 };

/* In order of address; those that do not fit are left out. */
static void add_area(struct area *areas, unsigned *count, struct area area)
{
	unsigned at = *count;

	if (!area.len || *count == AREAS_MAX)
		return;
	for (; at && areas[at - 1].base > area.base; at--)
		areas[at] = areas[at - 1];
	areas[at] = area;
	++*count;
}

static void print_memory_map(FILE *out, const struct machine_parts *parts)
{
	const struct boot_summary *loaded = parts->loaded;
	struct area areas[AREAS_MAX];
	unsigned count = 0;

	for (unsigned i = 0; i < parts->mem->count; i++)
		add_area(areas, &count,
			 (struct area){ parts->mem->slots[i].gpa, parts->mem->slots[i].len, "ram", "RAM" });
	add_area(areas, &count,
		 (struct area){ loaded->kernel_start, loaded->kernel_end - loaded->kernel_start, "ram",
				"· kernel, as loaded" });
	add_area(areas, &count,
		 (struct area){ loaded->initrd_start, loaded->initrd_len, "ram", "· initrd" });
	add_area(areas, &count,
		 (struct area){ parts->pci->mmio32.base, parts->pci->mmio32.len, "pci", "PCI window" });
	add_area(areas, &count,
		 (struct area){ parts->pci->mmio64.base, parts->pci->mmio64.len, "pci",
				"PCI window, 64-bit" });
	for (unsigned i = 0; i < parts->mmio->count; i++)
		add_area(areas, &count,
			 (struct area){ parts->mmio->regions[i]->base, parts->mmio->regions[i]->len, "mmio",
					parts->mmio->regions[i]->name });

	fputs("<h2>Memory map</h2>\n<p>Guest-physical addresses. An access to RAM stays in the guest; "
	      "one to a device is an exit.</p>\n<div class=\"scroll\"><table>\n"
	      "<tr><th>what</th><th>from</th><th>to</th><th class=\"n\">size</th></tr>\n",
	      out);
	for (unsigned i = 0; i < count; i++) {
		fprintf(out, "<tr><td><span class=\"swatch %s\"></span>", areas[i].kind);
		page_text(out, areas[i].name);
		fputs("</td>", out);
		print_range(out, areas[i].base, areas[i].len, 10);
		print_size(out, areas[i].len);
		fputs("</tr>\n", out);
	}
	fputs("</table></div>\n", out);
}

static void print_ports(FILE *out, const struct machine_parts *parts)
{
	if (!parts->pio->count)
		return;
	fputs("<h2>I/O ports</h2>\n<table>\n"
	      "<tr><th>device</th><th>from</th><th>to</th></tr>\n",
	      out);
	for (unsigned i = 0; i < parts->pio->count; i++) {
		fputs("<tr><td>", out);
		page_text(out, parts->pio->regions[i]->name);
		fputs("</td>", out);
		print_range(out, parts->pio->regions[i]->base, parts->pio->regions[i]->len, 4);
		fputs("</tr>\n", out);
	}
	fputs("</table>\n", out);
}

/* --- PCI -------------------------------------------------------------------------------------- */

static void print_bars(FILE *out, const struct pci_dev *dev)
{
	for (unsigned i = 0; i < PCI_BARS; i++) {
		const struct pci_bar *bar = &dev->bars[i];
		char buf[32];
		struct text size = text_of(buf, sizeof(buf));

		if (!bar->size)
			continue;
		text_add_bytes(&size, bar->size);
		fprintf(out, "<br><small>BAR %u: %s at <code>0x%" PRIx64 "</code>%s%s</small>", i, buf,
			bar->region.base, bar->is_64bit ? ", 64-bit" : "",
			bar->mapped ? "" : ", not mapped");
	}
}

static void print_pci(FILE *out, const struct machine_parts *parts)
{
	fputs("<h2>PCI</h2>\n<ul class=\"tree\">\n", out);
	for (unsigned i = 0; i < PCI_SLOTS; i++) {
		const struct pci_dev *dev = parts->pci->devs[i];

		if (!dev)
			continue;
		fprintf(out, "<li><code>00:%02x.0</code> <b>", i);
		page_text(out, dev->name);
		fprintf(out, "</b> <small>%04x:%04x, class %06x</small>",
			get_le16(dev->cfg + PCI_VENDOR_ID), get_le16(dev->cfg + PCI_DEVICE_ID),
			get_le32(dev->cfg + PCI_CLASS_REVISION) >> 8);
		print_bars(out, dev);
		if (dev->cfg[PCI_INTERRUPT_PIN])
			fprintf(out, "<br><small>INTA to GSI %u%s</small>",
				parts->pci->intx_gsis[(i + dev->cfg[PCI_INTERRUPT_PIN] - 1) % 4],
				dev->msix ? ", or MSI-X" : "");
		fputs("</li>\n", out);
	}
	fputs("</ul>\n", out);
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void print_kick(FILE *out, const struct virtq *q, const struct wire *wire)
{
	if (wire && wire->kick_gpa)
		fprintf(out,
			"<span>write to <code>0x%" PRIx64 "</code>"
			"<small>the driver's kick</small></span><i>&rarr;</i><span>eventfd %d<small>ioeventfd: no exit</small></span>",
			wire->kick_gpa, q->kick_fd);
	else
		fprintf(out,
			"<span>the driver's kick<small>an exit each</small></span><i>&rarr;</i>"
			"<span>eventfd %d<small>no ioeventfd</small></span>",
			q->kick_fd);
}

static void print_runner(FILE *out, const struct virtq *q)
{
	const char *name = q->backend ? q->backend->ops->name : NULL;
	bool local = name && strcmp(name, "local") == 0;

	fputs("<i>&rarr;</i><span class=\"who\">", out);
	if (!name)
		fputs("nobody", out);
	else if (local)
		fputs("Kinglet&rsquo;s event loop<small>machine&rsquo;s thread</small>", out);
	else
		fprintf(out, "%s<small>in the kernel</small>", name);
	fputs("</span>", out);
}

static void print_interrupt(FILE *out, const struct virtq *q, const struct wire *wire)
{
	fprintf(out, "<i>&rarr;</i><span>eventfd %d<small>%s</small></span><i>&rarr;</i>", q->irq.fd,
		wire && wire->gsi != IRQ_NO_GSI ? "irqfd: no thread wakes" : "no irqfd");
	if (wire && wire->gsi != IRQ_NO_GSI)
		fprintf(out,
			"<span>GSI %u<small>MSI-X: 0x%x to <code>0x%" PRIx64 "</code></small></span>",
			wire->gsi, wire->msi_data, wire->msi_address);
	else
		fputs("<span>INTx, or none<small>by the event loop</small></span>", out);
}

static void print_device(FILE *out, const struct watch *watch, const struct virtio_dev *dev)
{
	fputs("<h3>", out);
	page_text(out, dev->name);
	fputs("</h3>\n", out);
	for (unsigned i = 0; i < dev->queue_count; i++) {
		const struct virtq *q = &dev->queues[i];
		const struct wire *kick = wiring_find(&watch->wiring, q->kick_fd);

		fprintf(out, "<div class=\"flow\"><b>queue %u</b>", i);
		if (!kick) {
			fputs("<i>has not run: no driver has enabled it</i></div>\n", out);
			continue;
		}
		print_kick(out, q, kick);
		print_runner(out, q);
		print_interrupt(out, q, wiring_find(&watch->wiring, q->irq.fd));
		fputs("</div>\n", out);
	}
}

static void print_queues(FILE *out, const struct watch *watch)
{
	const struct machine_parts *parts = watch->parts;

	if (!parts->device_count)
		return;
	fputs("<h2>Queues</h2>\n<p>Which way a request goes, from the driver and back to it; where it "
	      "was wired when the queue last ran.</p>\n",
	      out);
	for (unsigned i = 0; i < parts->device_count; i++)
		print_device(out, watch, parts->devices[i]);
}

void page_print_machine(FILE *out, const struct watch *watch)
{
	print_queues(out, watch);
	print_memory_map(out, watch->parts);
	print_pci(out, watch->parts);
	print_ports(out, watch->parts);
}
