/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How far a VM is on its way to huge memory. */

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	uint64_t cycles, pid;
	uint64_t huge_bytes, resident_bytes, remappable_bytes, copyable_bytes, unknown_bytes;
	uint64_t to_populate_bytes;
	uint64_t kvm_huge_bytes, kvm_mapped_bytes; /* 0: not known, or nothing */
	bool is_paused;
	char phase[16]; /* printable */
};

/* Finds the VM that `who` names (name, UUID or pid) in a status, the first if there are several;
 * NULL if there is none. */
struct json_object *progress_find(struct json_object *status, const char *who);
size_t progress_count(struct json_object *status, const char *who);

void progress_read(struct json_object *vm, struct progress *ret);

/* Something is resident, or may be: else no share of it can be told. */
bool progress_is_measurable(const struct progress *p);

/* At least the target's share of what is resident, or may be, is huge. Of nothing none is. */
bool progress_meets(const struct progress *p, unsigned int target_bp);

/* A reader would see the difference. */
bool progress_differs(const struct progress *a, const struct progress *b);

/* Writes "[######....]  61.2%  acting, 1.2G left". */
void progress_format(const struct progress *p, bool has_bar, bool is_raw, char *text, size_t size);
