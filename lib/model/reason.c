/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "reason.h"

#include <assert.h>

#include "bits.h"
#include "names.h"

static const char *const slugs[] = {
	[REASON_NONE] = "none",
#define REASON(id, slug, sentence, cure) [REASON_##id] = slug,
#include "reasons.def"
#undef REASON
};

static const char *const sentences[] = {
	[REASON_NONE] = "",
#define REASON(id, slug, sentence, cure) [REASON_##id] = sentence,
#include "reasons.def"
#undef REASON
};

static const char *const cures[] = {
	[REASON_NONE] = "",
#define REASON(id, slug, sentence, cure) [REASON_##id] = cure,
#include "reasons.def"
#undef REASON
};

static_assert(ARRAY_SIZE(slugs) == REASON_MAX && ARRAY_SIZE(sentences) == REASON_MAX &&
		      ARRAY_SIZE(cures) == REASON_MAX,
	      "every reason has its three texts");

const char *reason_slug(enum reason reason)
{
	return name_of(slugs, ARRAY_SIZE(slugs), reason);
}

const char *reason_sentence(enum reason reason)
{
	return reason < REASON_MAX ? sentences[reason] : "";
}

const char *reason_cure(enum reason reason)
{
	return reason < REASON_MAX ? cures[reason] : "";
}

int reason_from_slug(const char *slug, enum reason *ret)
{
	int r = name_find(slugs, ARRAY_SIZE(slugs), slug);

	if (r < 0)
		return r;
	*ret = (enum reason)r;
	return 0;
}
