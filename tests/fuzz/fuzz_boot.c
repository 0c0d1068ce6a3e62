/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel images: a small valid one of each format, which the script then patches and cuts, or the
 * script's own bytes; with and without an initrd, in RAM of several sizes.
 */
#include "fuzz.h"
#include "fake_sys.h"

#include "arch/arch.h"
#include "base/checked.h"
#include "base/le.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>

enum { IMAGE_MAX = 0x4000 };

struct image {
	uint8_t bytes[IMAGE_MAX];
	size_t len;
};

#define MIB (1ULL << 20)

/* Each is loaded at `base`, except Linux, which has its own address. */
static void make_bzimage(struct image *image, uint32_t base)
{
	struct setup_header *h = (void *)(image->bytes + offsetof(struct boot_params, hdr));

	(void)base;
	image->len = 0x2000;
	h->setup_sects = 1;
	h->boot_flag = 0xaa55;
	h->jump = 0x6eeb; /* jmp over the header */
	memcpy(&h->header, "HdrS", 4);
	h->version = 0x20f;
	h->loadflags = LOADED_HIGH;
	h->xloadflags = XLF_KERNEL_64;
	h->relocatable_kernel = 1;
	h->kernel_alignment = 0x1000;
	h->pref_address = 2 * MIB;
	h->init_size = 0x8000;
	h->initrd_addr_max = 0x7fffffff;
	h->cmdline_size = 255;
}

/* Two segments, the first with an entry at its start. */
static void make_elf64(struct image *image, uint32_t base)
{
	Elf64_Ehdr *e = (void *)image->bytes;
	Elf64_Phdr *p = (void *)(image->bytes + sizeof(*e));

	image->len = 0x2000;
	*e = (Elf64_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = base,
		.e_phoff = sizeof(*e),
		.e_ehsize = sizeof(*e),
		.e_phentsize = sizeof(*p),
		.e_phnum = 3,
	};
	p[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_vaddr = base,
			     .p_paddr = base, .p_filesz = 0x800, .p_memsz = 0x2000 };
	p[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1800, .p_vaddr = ~0xfffffULL,
			     .p_paddr = base + 0x4000, .p_filesz = 0x800, .p_memsz = 0x800 };
}

static void make_pvh(struct image *image, uint32_t base)
{
	Elf64_Phdr *p = (void *)(image->bytes + sizeof(Elf64_Ehdr));
	Elf64_Nhdr *note = (void *)(image->bytes + 0x400);

	make_elf64(image, base);
	p[2] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = 0x400, .p_filesz = 20, .p_align = 4 };
	*note = (Elf64_Nhdr){ .n_namesz = 4, .n_descsz = 4, .n_type = 18 };
	memcpy(note + 1, "Xen", 4);
	put_le32((uint8_t *)(note + 1) + 4, base);
}

/* By the addresses in its own header. */
static void make_multiboot(struct image *image, uint32_t base)
{
	const uint32_t header[] = { 0x1badb002, 0x10003, 0 - 0x1badb002u - 0x10003,
					   base + 0x40, base, base + 0x1000, base + 0x2000,
					   base + 0x80 };

	image->len = 0x1000;
	for (unsigned i = 0; i < ARRAY_SIZE(header); i++)
		put_le32(image->bytes + 0x40 + 4 * i, header[i]);
}

static void make_multiboot_elf32(struct image *image, uint32_t base)
{
	Elf32_Ehdr *e = (void *)image->bytes;
	Elf32_Phdr *p = (void *)(image->bytes + sizeof(*e));

	make_multiboot(image, base);
	put_le32(image->bytes + 0x100, 0x1badb002);
	put_le32(image->bytes + 0x104, 3);
	put_le32(image->bytes + 0x108, 0 - 0x1badb002u - 3);
	memset(image->bytes + 0x40, 0, 0x20);
	*e = (Elf32_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
			     EV_CURRENT },
		.e_type = ET_EXEC,
		.e_machine = EM_386,
		.e_version = EV_CURRENT,
		.e_entry = base,
		.e_phoff = sizeof(*e),
		.e_ehsize = sizeof(*e),
		.e_phentsize = sizeof(*p),
		.e_phnum = 1,
	};
	p[0] = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = 0x100, .p_vaddr = base, .p_paddr = base,
			     .p_filesz = 0x800, .p_memsz = 0x1000 };
}

static void make_nothing(struct image *image, uint32_t base)
{
	(void)base;
	image->len = 0;
}

static void (*const makers[])(struct image *image, uint32_t base) = {
	make_bzimage, make_elf64, make_pvh, make_multiboot, make_multiboot_elf32, make_nothing,
};

/* Most patches go to where the headers are. */
static void patch(struct image *image, struct fuzz_input *in)
{
	static const uint16_t headers[] = { 0, 0x1f0, 0x240, 0x40, 0x100, 0x400 };
	size_t off = headers[fuzz_pick(in, ARRAY_SIZE(headers))] + fuzz_take(in, 1);
	unsigned size = fuzz_size(in);
	uint64_t value = fuzz_take(in, size);

	switch (fuzz_pick(in, 8)) {
	case 0:
		off = fuzz_take(in, 2);
		break;
	case 1:
		value = ~value;
		break;
	case 2: /* a plausible address or length */
	case 3:
	case 4:
		off &= ~3UL;
		value <<= 12;
		break;
	case 5:
	case 6:
		off &= ~3UL;
		break;
	default:
		break;
	}
	if (range_fits(off, size, image->len))
		put_le_bytes(image->bytes + off, value, size);
}

static int file_of(const void *bytes, size_t len, char path[32])
{
	int fd = memfd_create("fuzzed", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	snprintf(path, 32, "/proc/self/fd/%d", fd);
	return fd;
}

static struct gmem *ram_of(unsigned which)
{
	static const uint64_t sizes[] = { MIB, 2 * MIB, 3 * MIB, 8 * MIB };
	static struct gmem mem[ARRAY_SIZE(sizes)];
	static const struct gmem_options options;
	struct gmem *ram = &mem[which % ARRAY_SIZE(sizes)];
	struct gmem_range range = { .gpa = 0, .len = sizes[which % ARRAY_SIZE(sizes)] };

	if (!ram->count)
		FUZZ_CHECK(!gmem_init(ram, &range, 1, &options));
	else
		FUZZ_CHECK(!gmem_clear(ram));
	return ram;
}

/* What a kernel may rely on: it and its initrd are in RAM, disjoint, and clear of the tables. */
static void check_summary(const struct boot_summary *s, const struct boot_options *options,
			  const struct gmem *mem)
{
	FUZZ_CHECK(s->format && s->kernel_start < s->kernel_end && s->kernel_end <= mem->size);
	FUZZ_CHECK(s->entry >= s->kernel_start && s->entry < s->kernel_end);
	if (!options->initrd)
		return;
	FUZZ_CHECK(s->initrd_len && range_fits(s->initrd_start, s->initrd_len, mem->size));
	FUZZ_CHECK(s->initrd_start >= MIB && s->initrd_start >= s->kernel_end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct image image;
	struct fuzz_input in = { data, size };
	struct arch_vm arch = { .cpus = 1 };
	struct boot_state state;
	char kernel[32], initrd[32];
	struct gmem *mem = ram_of(fuzz_pick(&in, 8)); /* stays open */
	unsigned fds = fake_open_fds();
	struct boot_options options = {
		.kernel = kernel,
		.initrd = fuzz_pick(&in, 2) ? initrd : NULL,
		.cmdline = fuzz_pick(&in, 2) ? "" : "console=ttyS0",
		.format = fuzz_pick(&in, 8) ? BOOT_FORMAT_AUTO : BOOT_FORMAT_FLAT,
		.flat_mode = (enum cpu_mode)fuzz_pick(&in, 3),
		.firmware_tables = fuzz_pick(&in, 2),
		.cpus = 1 + fuzz_pick(&in, 8),
	};
	size_t initrd_len = fuzz_pick(&in, 4) ? fuzz_take(&in, 2) : fuzz_take(&in, 3) % (3 * MIB);
	unsigned patches = fuzz_pick(&in, 12);
	bool cut = !fuzz_pick(&in, 8);
	int kernel_fd, initrd_fd;

	memset(&image, 0, sizeof(image));
	if (options.format == BOOT_FORMAT_FLAT)
		options.flat_address = fuzz_take(&in, fuzz_pick(&in, 4) ? 3 : 8);
	makers[fuzz_pick(&in, ARRAY_SIZE(makers))](&image, fuzz_pick(&in, 4) ? MIB : 0x10000);
	if (image.len && cut)
		image.len = fuzz_take(&in, 2) % image.len;
	if (image.len) {
		while (patches--)
			patch(&image, &in);
	} else {
		image.len = in.left < IMAGE_MAX ? in.left : IMAGE_MAX;
		memcpy(image.bytes, in.data, image.len);
	}

	kernel_fd = file_of(image.bytes, image.len, kernel);
	initrd_fd = file_of("", 0, initrd);
	FUZZ_CHECK(!ftruncate(initrd_fd, (off_t)initrd_len));
	if (!arch_boot_load(&arch, mem, &options, &state))
		check_summary(&state.summary, &options, mem);
	close(kernel_fd);
	close(initrd_fd);
	FUZZ_CHECK(fake_open_fds() == fds);
	return 0;
}
