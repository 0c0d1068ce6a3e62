/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options as the words of a snapshot, which are parsed again when it is restored. Private to
 * vmm/cli.
 */
#ifndef KINGLET_CLI_WORDS_H
#define KINGLET_CLI_WORDS_H

#include "cli/options.h"

struct device_kind;

/* The kind of devices whose option this is; or NULL. */
const struct device_kind *option_device_kind(const struct option *option);

/*
 * Keeps the word of an option, if it belongs to a snapshot; of one that is not repeatable the last
 * one counts. -ENOMEM; -EINVAL after one logged line: there are too many.
 */
/* The same of a word that is whole and owned already, at this place. */
__must_check int options_record_word(struct common_options *options, const char *word, unsigned at);
__must_check int options_record(struct common_options *options, const struct option *option,
				const char *text);

#endif
