/* SPDX-License-Identifier: Apache-2.0 */
#include "base/iov.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static size_t iov_copy(const struct iovec *iov, unsigned count, size_t offset, uint8_t *buf,
		       size_t len, bool into_list)
{
	size_t done = 0;

	for (unsigned i = 0; i < count && done < len; i++) {
		size_t n = iov[i].iov_len;

		if (offset >= n) {
			offset -= n;
			continue;
		}
		n -= offset;
		if (n > len - done)
			n = len - done;
		if (into_list)
			memcpy((uint8_t *)iov[i].iov_base + offset, buf + done, n);
		else
			memcpy(buf + done, (uint8_t *)iov[i].iov_base + offset, n);
		offset = 0;
		done += n;
	}
	return done;
}

size_t iov_read(const struct iovec *iov, unsigned count, size_t offset, void *buf, size_t len)
{
	return iov_copy(iov, count, offset, buf, len, false);
}

size_t iov_write(const struct iovec *iov, unsigned count, size_t offset, const void *buf,
		 size_t len)
{
	/* Only read from when into_list. */
	return iov_copy(iov, count, offset, (void *)(uintptr_t)buf, len, true);
}
