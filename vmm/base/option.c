/* SPDX-License-Identifier: Apache-2.0 */
#include "base/option.h"

const struct option_word option_on_off[] = {
	{ "on", true },
	{ "off", false },
	{ NULL, 0 },
};
