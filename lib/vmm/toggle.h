/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The nudge: dirty logging of memslots switched on and off again, upon which KVM maps by huge pages
 * what the host maps by huge pages. */

#include "registry.h"
#include "wire.h"

/* Does what was asked for, as far as it may, and says so in all fields of the answer but the
 * header. errno stays. */
void toggle_nudge(struct registry *r, const struct wire_nudge *q, struct wire_nudged *ret);

/* Tries once more to switch off what a nudge could not. */
void toggle_settle(struct registry *r, uint32_t vm);
