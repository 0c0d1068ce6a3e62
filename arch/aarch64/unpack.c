/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack.h"

#include "base/checked.h"

#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { INPUT_LEN = 128 * 1024 };

struct unpack_ops {
	const char *magic;
	size_t magic_len;
	/* NULL when out of memory. */
	void *(*open)(void);
	void (*close)(void *state);
	/*
	 * Continues from in/in_len to out/out_len and advances both. False when the data is
	 * damaged; sets unpack->ended at its end.
	 */
	bool (*step)(struct unpack *unpack, const uint8_t **in, size_t *in_len, uint8_t **out,
		     size_t *out_len);
};

/* --- Uncompressed ---------------------------------------------------------------------------- */

static void *plain_open(void)
{
	return malloc(1);
}

static bool plain_step(struct unpack *unpack, const uint8_t **in, size_t *in_len, uint8_t **out,
		       size_t *out_len)
{
	size_t len = *in_len < *out_len ? *in_len : *out_len;

	memcpy(*out, *in, len);
	*in += len;
	*in_len -= len;
	*out += len;
	*out_len -= len;
	unpack->ended = !*in_len && !unpack->left;
	return true;
}

static const struct unpack_ops plain = { .open = plain_open, .close = free, .step = plain_step };

/* --- gzip (RFC 1952) ------------------------------------------------------------------------- */

static void *gzip_open(void)
{
	z_stream *stream = calloc(1, sizeof(*stream));

	if (stream && inflateInit2(stream, 16 + MAX_WBITS) != Z_OK) {
		free(stream);
		stream = NULL;
	}
	return stream;
}

static void gzip_close(void *state)
{
	inflateEnd(state);
	free(state);
}

static bool gzip_step(struct unpack *unpack, const uint8_t **in, size_t *in_len, uint8_t **out,
		      size_t *out_len)
{
	z_stream *stream = unpack->state;
	unsigned room = *out_len < UINT32_MAX ? (unsigned)*out_len : UINT32_MAX;
	int ret;

	stream->next_in = (uint8_t *)*in;
	stream->avail_in = (unsigned)*in_len;
	stream->next_out = *out;
	stream->avail_out = room;
	ret = inflate(stream, Z_NO_FLUSH);
	*in = stream->next_in;
	*in_len = stream->avail_in;
	*out = stream->next_out;
	*out_len -= room - stream->avail_out;
	unpack->ended = ret == Z_STREAM_END;
	return ret == Z_OK || ret == Z_STREAM_END;
}

static const struct unpack_ops gzip = {
	.magic = "\x1f\x8b",
	.magic_len = 2,
	.open = gzip_open,
	.close = gzip_close,
	.step = gzip_step,
};

/* --- Zstandard (RFC 8878) -------------------------------------------------------------------- */

static void *zstd_open(void)
{
	return ZSTD_createDStream();
}

static void zstd_close(void *state)
{
	ZSTD_freeDStream(state);
}

static bool zstd_step(struct unpack *unpack, const uint8_t **in, size_t *in_len, uint8_t **out,
		      size_t *out_len)
{
	ZSTD_inBuffer input = { .src = *in, .size = *in_len };
	ZSTD_outBuffer output = { .dst = *out, .size = *out_len };
	size_t ret = ZSTD_decompressStream(unpack->state, &output, &input);

	*in += input.pos;
	*in_len -= input.pos;
	*out += output.pos;
	*out_len -= output.pos;
	unpack->ended = ret == 0;
	return !ZSTD_isError(ret);
}

static const struct unpack_ops zstd = {
	.magic = "\x28\xb5\x2f\xfd",
	.magic_len = 4,
	.open = zstd_open,
	.close = zstd_close,
	.step = zstd_step,
};

/* --- All of them ----------------------------------------------------------------------------- */

static const struct unpack_ops *recognise(const uint8_t *magic)
{
	static const struct unpack_ops *const packings[] = { &gzip, &zstd };

	for (unsigned i = 0; i < ARRAY_SIZE(packings); i++)
		if (!memcmp(magic, packings[i]->magic, packings[i]->magic_len))
			return packings[i];
	return &plain;
}

int unpack_open(struct unpack *unpack, const struct boot_file *file, uint64_t off, uint64_t len)
{
	uint8_t magic[4] = { 0 };
	int ret;

	*unpack = (struct unpack){ .file = file, .off = off, .left = len };
	ret = boot_file_read(file, off, magic, len < sizeof(magic) ? len : sizeof(magic));
	if (ret)
		return ret;
	if (!range_fits(off, len, file->size))
		return boot_refuse(file, -ENOEXEC, "is truncated: its kernel ends after its end");
	unpack->ops = recognise(magic);
	unpack->state = unpack->ops->open();
	unpack->input = malloc(INPUT_LEN);
	if (!unpack->state || !unpack->input)
		return boot_refuse(file, -ENOMEM, "out of memory");
	return 0;
}

void unpack_close(struct unpack *unpack)
{
	if (unpack->state)
		unpack->ops->close(unpack->state);
	free(unpack->input);
	unpack->state = NULL;
	unpack->input = NULL;
}

static int fill_input(struct unpack *unpack)
{
	size_t len = unpack->left < INPUT_LEN ? unpack->left : INPUT_LEN;
	int ret = boot_file_read(unpack->file, unpack->off, unpack->input, len);

	if (ret)
		return ret;
	unpack->off += len;
	unpack->left -= len;
	unpack->input_at = 0;
	unpack->input_len = len;
	return 0;
}

int unpack_read(struct unpack *unpack, void *buf, uint64_t len, uint64_t *got)
{
	uint8_t *out = buf;
	size_t room = len;

	while (room && !unpack->ended) {
		const uint8_t *in;
		size_t in_len = unpack->input_len - unpack->input_at, had = in_len + room;

		if (!in_len) {
			int ret = fill_input(unpack);

			if (ret)
				return ret;
			in_len = unpack->input_len;
			had = in_len + room;
		}
		in = unpack->input + unpack->input_at;
		if (!unpack->ops->step(unpack, &in, &in_len, &out, &room) ||
		    (!unpack->ended && in_len + room == had))
			return boot_refuse(unpack->file, -ENOEXEC,
					   "is damaged or truncated: it cannot be unpacked");
		unpack->input_at = unpack->input_len - in_len;
	}
	*got = len - room;
	return 0;
}
