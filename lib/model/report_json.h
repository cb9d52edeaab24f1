/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Diagnosis and plan as JSON, the same for thpctl, the daemon and the library. Addresses are text
 * in hexadecimal, sizes are bytes. Every function returns NULL (or -ENOMEM) if memory is short; the
 * caller owns the result (json_object_put). */

#include <json-c/json.h>

#include "action.h"
#include "kvm_counts.h"
#include "kvm_finding.h"
#include "run.h"

/* {"start":"0x...","bytes","state","reason","sentence","cure"(,"resident_bytes")}; resident_bytes
 * only where it was counted. */
struct json_object *run_to_json(const struct run *run);
struct json_object *runs_to_json(const struct run *runs, size_t n);

/* Adds the fields of `status --json` to an object: ram_bytes, resident_bytes, huge_bytes,
 * remappable_bytes, copyable_bytes, held_back_bytes (sparse), barred_bytes, swapped_bytes: resident
 * parts (swapped: and what is in swap; barred: and the range of what is never looked at, such as
 * hugetlb); empty_bytes: range; unknown_bytes: range whose residency was not counted; reasons
 * {slug:bytes} without zeros. 0 or -ENOMEM. */
int totals_add_to_json(struct json_object *object, const struct totals *totals);
struct json_object *totals_to_json(const struct totals *totals);

/* {"id","kind","start","bytes","gain_bytes"} */
struct json_object *action_to_json(const struct action *action);
struct json_object *actions_to_json(const struct action *actions, size_t n);

/* Adds what is known of KVM as `status --json` has it: source, coverage_bp (of something only),
 * mapped_bytes, huge_bytes, pages_4k, pages_2m, pages_1g, nx_splits, lacks_sample, findings
 * [{"bytes","inferred","reason","sentence","cure"}]. 0 or -ENOMEM. */
int kvm_add_to_json(struct json_object *object, const struct kvm_counts *counts,
		    const struct kvm_view *view);

/* Adds reason, sentence and cure. 0 or -ENOMEM. */
int reason_add_to_json(struct json_object *object, enum reason reason);

/* {"reason","sentence","cure"} of why something is not done; JSON's null for none: it is. */
int json_add_held(struct json_object *object, const char *key, enum reason held);

/* [{"slug","sentence","cure"}]: the whole table of reasons. */
struct json_object *reasons_to_json(void);
