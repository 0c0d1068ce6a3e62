/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include "base/log.h"
#include "devices/kind.h"

#include <stdio.h>
#include <string.h>

const struct device_kind *option_device_kind(const struct option *option)
{
	const struct device_kind *const *kind = device_kinds;

	while (*kind && &(*kind)->option != option)
		kind++;
	return *kind;
}

int options_own(struct common_options *options, char *text)
{
	char **owned = text ? reallocarray(options->owned, options->owned_count + 1, sizeof(*owned))
			    : NULL;

	if (!owned) {
		free(text);
		return -ENOMEM;
	}
	options->owned = owned;
	owned[options->owned_count++] = text;
	return 0;
}

bool option_has_word(const struct option *option, const char *word)
{
	size_t len = strlen(option->name);

	return !strncmp(word, "--", 2) && !strncmp(word + 2, option->name, len) &&
	       (!word[2 + len] || word[2 + len] == '=');
}

int options_record_word(struct common_options *options, const char *word, unsigned at)
{
	if (at == OPTIONS_SAVED_MAX) {
		log_error("%.80s: too many options for a snapshot", word);
		return -EINVAL;
	}
	options->saved[at] = word;
	options->saved_count += at == options->saved_count;
	return 0;
}

int options_record(struct common_options *options, const struct option *option, const char *text)
{
	unsigned at = options->saved_count;
	char *word;
	int ret;

	if (!option->saved && !option_device_kind(option))
		return 0;
	if (asprintf(&word, "--%s%s%s", option->name, text ? "=" : "", text ? text : "") < 0)
		return -ENOMEM;
	ret = options_own(options, word);
	if (ret)
		return ret;
	for (unsigned i = 0; i < options->saved_count && !option_is_repeatable(option); i++)
		if (option_has_word(option, options->saved[i]))
			at = i;
	return options_record_word(options, word, at);
}
