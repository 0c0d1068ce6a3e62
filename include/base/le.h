/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Little-endian wire types. Wrapped in structs so that the compiler refuses a forgotten conversion;
 * byte-aligned, so that they may sit anywhere in a packed table. Pure functions, any thread.
 */
#ifndef KINGLET_BASE_LE_H
#define KINGLET_BASE_LE_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

struct le16 {
	uint8_t b[2];
};
struct le32 {
	uint8_t b[4];
};
struct le64 {
	uint8_t b[8];
};

/* Reads and writes at any address, aligned or not. */
#define DEFINE_LE(bits)                                                                            \
	static inline uint##bits##_t get_le##bits(const void *p)                                   \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		memcpy(&v, p, sizeof(v));                                                          \
		return le##bits##toh(v);                                                           \
	}                                                                                          \
	static inline void put_le##bits(void *p, uint##bits##_t v)                                 \
	{                                                                                          \
		v = htole##bits(v);                                                                \
		memcpy(p, &v, sizeof(v));                                                          \
	}                                                                                          \
	static inline uint##bits##_t le##bits##_get(struct le##bits v)                             \
	{                                                                                          \
		return get_le##bits(v.b);                                                          \
	}                                                                                          \
	static inline struct le##bits le##bits##_of(uint##bits##_t v)                              \
	{                                                                                          \
		struct le##bits w;                                                                 \
		put_le##bits(w.b, v);                                                              \
		return w;                                                                          \
	}

DEFINE_LE(16)
DEFINE_LE(32)
DEFINE_LE(64)
#undef DEFINE_LE

/*
 * A register access of 1 to 8 bytes as one number, for devices whose registers are bytes in
 * memory: bytes beyond `len` read as zero and are not written. len > 8 counts as 8.
 */
static inline uint64_t get_le_bytes(const void *p, unsigned len)
{
	uint64_t v = 0;

	memcpy(&v, p, len < 8 ? len : 8);
	return le64toh(v);
}

static inline void put_le_bytes(void *p, uint64_t v, unsigned len)
{
	v = htole64(v);
	memcpy(p, &v, len < 8 ? len : 8);
}

#endif
