/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Why a block is not huge. One table, reasons.def, is the source of the enum, the slugs, the
 * sentences, the cures, the JSON and the man page. */

enum reason {
	REASON_NONE = 0, /* huge, or nothing stands in the way */
#define REASON(id, slug, sentence, cure) REASON_##id,
#include "reasons.def"
#undef REASON
	REASON_MAX,
};

const char *reason_slug(enum reason reason);	 /* "none" for REASON_NONE; never NULL */
const char *reason_sentence(enum reason reason); /* one sentence; "" for REASON_NONE */
const char *reason_cure(enum reason reason);	 /* what the operator can do; "" for REASON_NONE */
int reason_from_slug(const char *slug, enum reason *ret); /* 0 or -ENOENT */
