/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files of test results: ktap.c (parsing lines), ktap_tree.c (assigning results).
 * `indent`: in columns.
 */
#ifndef KINGLET_GUESTLOG_KTAP_INTERNAL_H
#define KINGLET_GUESTLOG_KTAP_INTERNAL_H

#include "guestlog/ktap.h"

#include "base/cleanup.h"

/* Records a format error. */
void ktap_complain(struct ktap *ktap, const char *fmt, ...) __printf(2, 3);

/* Takes over name and reason, which may be NULL. Returns NULL if there are too many. */
struct ktap_test *ktap_new_test(struct ktap *ktap, char *name, char *reason,
				enum ktap_status status);

/* These take over the name, the reason and the test; name and reason may be NULL. */
void ktap_announce(struct ktap *ktap, unsigned indent, char *name);
void ktap_add_version(struct ktap *ktap, unsigned indent, bool is_ktap);
void ktap_add_plan(struct ktap *ktap, unsigned indent, long plan, char *reason);
void ktap_add_result(struct ktap *ktap, unsigned indent, struct ktap_test *test);

/* A line of YAML (`indent`: inside it) or a comment: may say why a test failed. */
void ktap_remark(struct ktap *ktap, bool yaml, unsigned indent, const char *text);

/* This document ends here, and nothing in it counts as missing. */
void ktap_bail_out(struct ktap *ktap);

static inline struct ktap_level *ktap_innermost(struct ktap *ktap)
{
	return &ktap->levels[ktap->depth - 1];
}

#endif
