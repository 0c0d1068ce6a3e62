/* SPDX-License-Identifier: Apache-2.0 */
#include "migrate_rate.h"

#include "migrate_pages.h"

#include <stdio.h>

#define SECOND 1e9

/* `bytes` in `ns` make how many in `per`. */
static uint64_t scale(uint64_t bytes, double per, uint64_t ns)
{
	return (uint64_t)((double)bytes * per / (double)ns);
}

/* How fast the last round was says how long the pages that it has left behind will take. */
void rate_measure(struct machine_progress *progress, uint64_t took_ns, uint64_t sent,
		  uint64_t pages)
{
	uint64_t bytes = pages * (MIGRATE_PAGE + sizeof(struct pages_header));

	if (sent && took_ns)
		progress->rate = scale(sent, SECOND, took_ns);
	if (took_ns)
		progress->written = scale(pages * MIGRATE_PAGE, SECOND, took_ns);
	progress->expected_ns = progress->rate ? scale(bytes, SECOND, progress->rate) :
				bytes	       ? UINT64_MAX :
						 0;
}

void rate_explain(const struct machine_progress *progress, char *text, size_t len)
{
	const double mib = 1 << 20;
	uint64_t enough_ns = progress->expected_ns / 4 * 5 + 1000000;
	char remedy[64] = "";

	if (enough_ns < MACHINE_DOWNTIME_MAX_NS)
		snprintf(remedy, sizeof(remedy), ", or let it stand still for longer: --downtime %llums",
			 (unsigned long long)enough_ns / 1000000);
	snprintf(text, len,
		 "after %u rounds the guest still writes %.1f MiB/s, and the connection takes %.1f; "
		 "give it less to do%s",
		 progress->round, (double)progress->written / mib, (double)progress->rate / mib,
		 remedy);
}
