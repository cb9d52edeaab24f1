/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "progress.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "field.h"
#include "format.h"

enum { BAR_CELLS = 30 };

static bool is_named(struct json_object *vm, const char *who)
{
	char pid[24];

	(void)snprintf(pid, sizeof(pid), "%" PRIu64, field_u64_or_0(vm, "pid"));
	return strcmp(field_text(vm, "name"), who) == 0 || strcmp(pid, who) == 0 ||
	       (*field_text(vm, "uuid") && strcasecmp(field_text(vm, "uuid"), who) == 0);
}

struct json_object *progress_find(struct json_object *status, const char *who)
{
	struct json_object *vms = field_array(status, "vms");

	for (size_t i = 0; i < field_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);

		if (is_named(vm, who))
			return vm;
	}
	return NULL;
}

size_t progress_count(struct json_object *status, const char *who)
{
	struct json_object *vms = field_array(status, "vms");
	size_t n = 0;

	for (size_t i = 0; i < field_array_length(vms); i++)
		n += is_named(json_object_array_get_idx(vms, i), who);
	return n;
}

void progress_read(struct json_object *vm, struct progress *ret)
{
	*ret = (struct progress){
		.cycles = field_u64_or_0(vm, "cycles"),
		.pid = field_u64_or_0(vm, "pid"),
		.huge_bytes = field_u64_or_0(vm, "huge_bytes"),
		.resident_bytes = field_u64_or_0(vm, "resident_bytes"),
		.remappable_bytes = field_u64_or_0(vm, "remappable_bytes"),
		.copyable_bytes = field_u64_or_0(vm, "copyable_bytes"),
		.to_populate_bytes = field_u64_or_0(field_object(vm, "reasons"), "to-populate"),
		.kvm_huge_bytes = field_u64_or_0(field_object(vm, "kvm"), "huge_bytes"),
		.kvm_mapped_bytes = field_u64_or_0(field_object(vm, "kvm"), "mapped_bytes"),
		.unknown_bytes = field_u64_or_0(vm, "unknown_bytes"),
		.is_paused = field_is_true(vm, "paused"),
	};
	(void)format_printable(field_text(vm, "phase"), ret->phase, sizeof(ret->phase));
}

bool progress_is_measurable(const struct progress *p)
{
	return p->resident_bytes > 0 || p->unknown_bytes > 0;
}

bool progress_meets(const struct progress *p, unsigned int target_bp)
{
	return progress_is_measurable(p) &&
	       (unsigned __int128)p->huge_bytes * 10000 >=
		       ((unsigned __int128)p->resident_bytes + p->unknown_bytes) * target_bp;
}

bool progress_differs(const struct progress *a, const struct progress *b)
{
	char x[160], y[160];

	progress_format(a, false, false, x, sizeof(x));
	progress_format(b, false, false, y, sizeof(y));
	return strcmp(x, y) != 0;
}

static size_t put_bar(const struct progress *p, char *bar)
{
	/* What is to be populated will be resident. */
	unsigned __int128 all = (unsigned __int128)p->resident_bytes + p->to_populate_bytes;
	size_t n = all == 0 ? 0 : (size_t)((unsigned __int128)p->huge_bytes * BAR_CELLS / all);

	if (n > BAR_CELLS)
		n = BAR_CELLS;
	bar[0] = '[';
	memset(bar + 1, '#', n);
	memset(bar + 1 + n, '.', BAR_CELLS - n);
	memcpy(bar + 1 + BAR_CELLS, "] ", 3);
	return n;
}

void progress_format(const struct progress *p, bool has_bar, bool is_raw, char *text, size_t size)
{
	char bar[BAR_CELLS + 4] = "", share[FORMAT_MAX], left[FORMAT_MAX];
	uint64_t left_bytes = p->remappable_bytes + p->copyable_bytes + p->to_populate_bytes;

	if (has_bar)
		(void)put_bar(p, bar);
	(void)snprintf(text, size, "%s%6s huge, %s left, %s", bar,
		       format_share(p->huge_bytes, p->resident_bytes, share),
		       format_bytes(left_bytes, is_raw, left), p->phase);
}
