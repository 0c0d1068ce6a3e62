/* SPDX-License-Identifier: Apache-2.0 */
#include "guestlog/symbols.h"

#include "base/checked.h"
#include "base/elf.h"
#include "base/files.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The largest table read: a debug kernel has some 300,000 symbols, of 24 bytes and a name. */
enum { TABLE_MAX = 256 << 20 };
/* The assumed size of the last symbol, or of one of unknown size before a gap. */
enum { REACH = 1 << 20 };

struct symbol {
	uint64_t address, size; /* size 0: up to the next one */
	const char *name;	/* in names */
};

struct symbols {
	char *names; /* owned */
	struct symbol *table; /* owned, by address */
	size_t count;
};

static int by_address(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	return (left->address > right->address) - (left->address < right->address);
}

void symbols_destroy(struct symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->names);
	free(symbols->table);
	free(symbols);
}

/* Reads [off, off + len) of the file, which has `size` bytes; the caller frees it, with a NUL. */
static int read_part(int fd, uint64_t size, uint64_t off, uint64_t len, char **part)
{
	_cleanup_free_ char *buf = NULL;
	int ret;

	if (!range_fits(off, len, size) || len > TABLE_MAX)
		return -ENOEXEC;
	buf = calloc(1, len + 1);
	if (!buf)
		return -ENOMEM;
	ret = pread_exactly(fd, buf, len, off);
	if (ret)
		return ret == -ENODATA ? -ENOEXEC : ret; /* the file shrank */
	*part = steal_ptr(buf);
	return 0;
}

/* --- ELF -------------------------------------------------------------------------------------- */

static bool is_wanted(const Elf64_Sym *sym, uint64_t names_len)
{
	unsigned type = ELF64_ST_TYPE(sym->st_info);

	return sym->st_shndx != SHN_UNDEF && sym->st_shndx != SHN_ABS && sym->st_value &&
	       sym->st_name && sym->st_name < names_len &&
	       (type == STT_FUNC || type == STT_NOTYPE);
}

/* Takes over the names. */
static int take_elf_table(struct symbols *symbols, const char *syms, size_t count, char *names,
			  uint64_t names_len)
{
	symbols->names = names;
	symbols->table = calloc(count ? count : 1, sizeof(*symbols->table));
	if (!symbols->table)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		Elf64_Sym sym;

		memcpy(&sym, syms + i * sizeof(sym), sizeof(sym));
		if (is_wanted(&sym, names_len))
			symbols->table[symbols->count++] = (struct symbol){
				.address = sym.st_value,
				.size = sym.st_size,
				.name = names + sym.st_name,
			};
	}
	return 0;
}

static int load_elf(const struct elf_file *elf, struct symbols *symbols)
{
	Elf64_Shdr table, names;
	unsigned i = 0;
	_cleanup_free_ char *syms = NULL;
	char *text;
	int ret;

	if (!elf->is_64bit || elf->header.e_ident[EI_DATA] != ELFDATA2LSB || !elf->header.e_shoff)
		return -ENODATA;
	do {
		if (i == elf->header.e_shnum)
			return -ENODATA;
		ret = elf_section(elf, i++, &table);
	} while (!ret && table.sh_type != SHT_SYMTAB);
	if (!ret)
		ret = elf_section(elf, table.sh_link, &names);
	if (!ret)
		ret = read_part(elf->fd, elf->size, table.sh_offset, table.sh_size, &syms);
	if (!ret)
		ret = read_part(elf->fd, elf->size, names.sh_offset, names.sh_size, &text);
	return ret ? ret :
		     take_elf_table(symbols, syms, table.sh_size / sizeof(Elf64_Sym), text,
				    names.sh_size);
}

/* --- System.map ------------------------------------------------------------------------------- */

/* "ffffffff81000000 T _text", perhaps "… [module]" as in /proc/kallsyms; text symbols only. */
static bool take_map_line(struct symbols *symbols, char *line)
{
	char *end, type, *name;
	uint64_t address = strtoull(line, &end, 16);

	if (end == line || *end != ' ' || !end[1] || end[2] != ' ')
		return false;
	type = end[1];
	name = end + 3;
	name[strcspn(name, " \t\r")] = '\0';
	if (*name && address && strchr("tTwW", type))
		symbols->table[symbols->count++] =
			(struct symbol){ .address = address, .name = name };
	return true;
}

static int load_map(int fd, uint64_t size, struct symbols *symbols)
{
	size_t lines = 1;
	char *rest, *line;
	int ret = read_part(fd, size, 0, size, &symbols->names);

	if (ret)
		return ret;
	for (const char *p = symbols->names; (p = strchr(p, '\n')); p++)
		lines++;
	symbols->table = calloc(lines, sizeof(*symbols->table));
	if (!symbols->table)
		return -ENOMEM;
	rest = symbols->names;
	while ((line = strsep(&rest, "\n")))
		if (*line && !take_map_line(symbols, line))
			return -ENODATA;
	return 0;
}

/* --- Both ------------------------------------------------------------------------------------- */

static int load(int fd, struct symbols *symbols)
{
	struct elf_file elf;
	struct stat st;
	int ret;

	if (fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -ENODATA;
	ret = elf_open(&elf, fd, (uint64_t)st.st_size);
	if (!ret)
		ret = load_elf(&elf, symbols);
	else if (ret == -ENODATA)
		ret = load_map(fd, (uint64_t)st.st_size, symbols);
	if (!ret && !symbols->count)
		ret = -ENODATA;
	if (!ret)
		qsort(symbols->table, symbols->count, sizeof(*symbols->table), by_address);
	return ret;
}

int symbols_load(const char *path, struct symbols **symbols)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct symbols *loaded;
	int ret;

	if (fd < 0)
		return -errno;
	loaded = calloc(1, sizeof(*loaded));
	if (!loaded)
		return -ENOMEM;
	ret = load(fd, loaded);
	if (ret) {
		symbols_destroy(loaded);
		return ret;
	}
	*symbols = loaded;
	return 0;
}

const char *symbols_find(const struct symbols *symbols, uint64_t address, uint64_t *offset)
{
	size_t low = 0, high = symbols->count;
	const struct symbol *found;

	/* The last one that starts at or below the address. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (symbols->table[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	found = &symbols->table[low - 1];
	*offset = address - found->address;
	return *offset < (found->size ? found->size : REACH) ? found->name : NULL;
}

uint64_t symbols_address(const struct symbols *symbols, const char *name)
{
	for (size_t i = 0; i < symbols->count; i++)
		if (strcmp(symbols->table[i].name, name) == 0)
			return symbols->table[i].address;
	return 0;
}
