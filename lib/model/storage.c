/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "storage.h"

#include "bits.h"
#include "names.h"

const char *answer_name(enum answer answer)
{
	static const char *const names[ANSWER_MAX] = {
		[ANSWER_UNKNOWN] = "unknown", [ANSWER_NO] = "no", [ANSWER_YES] = "yes"};

	return name_of(names, ARRAY_SIZE(names), answer);
}
