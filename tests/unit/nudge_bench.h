/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A VM for which everything speaks for a nudge, and what spoils it. */

#include "nudge.h"

#include "snapshot_builder.h"

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define NOW    (1000 * SECOND)

enum { PAGES_OF_MIB = 256 };

/* 64 MiB of huge pages, of which KVM maps these by small pages, and the rest by huge ones. */
static inline void count(struct snapshot *s, unsigned int small_mib, uint64_t read_ns)
{
	const struct kvm_counts counts = {.source = KVM_SOURCE_VMM,
					  .read_ns = read_ns,
					  .pages_4k = small_mib * PAGES_OF_MIB,
					  .pages_2m = (64 - small_mib) / 2};

	kvm_view_take(s, &counts);
}

static inline void tell(struct snapshot *s, const struct memslot *slots, size_t n)
{
	struct memslot *copy = malloc(n * sizeof(*copy));

	assert_non_null(copy);
	memcpy(copy, slots, n * sizeof(*copy));
	assert_int_equal(snapshot_take_memslots(s, &copy, n), 0);
}

/* All small since ten seconds: everything speaks for a nudge. */
static inline struct snapshot begin(void)
{
	static const struct memslot ram = {0, 32 * BLOCK, BASE, 0, 0, 0};
	struct snapshot s;

	build_begin(&s);
	s.policy.nudge = NUDGE_AUTO;
	build_region(&s, BASE, 32 * BLOCK, BACKING_SHMEM);
	build_sight(&s, BASE, 32, SEEN_HUGE, FILL_FULL);
	tell(&s, &ram, 1);
	count(&s, 64, NOW - 10 * SECOND);
	count(&s, 64, NOW);
	return s;
}

static inline struct kvm_view view_of(const struct snapshot *s)
{
	const struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 64 * MIB};

	return kvm_view_of(s, &t);
}

static inline void check_held(const struct nudge_history *h, const struct snapshot *s,
			      uint64_t now_ns, enum reason expected)
{
	struct kvm_view view = view_of(s);

	assert_string_equal(reason_slug(nudge_held(h, s, &view, NUDGE_BY_LIBRARY, now_ns)),
			    reason_slug(expected));
}

static inline struct nudge_history nudged(struct snapshot *s)
{
	struct kvm_view view = view_of(s);
	struct nudge_history h = NUDGE_HISTORY_INIT;

	nudge_note(&h, &view, NOW);
	return h;
}

static inline bool observe(struct nudge_history *h, const struct snapshot *s)
{
	struct kvm_view view = view_of(s);

	return nudge_observe(h, s, &view);
}

/* The verdict on it is that it was in vain, and there is a sample more. */
static inline struct nudge_history nudged_in_vain(struct snapshot *s)
{
	struct nudge_history h = nudged(s);

	count(s, 64, NOW + 10 * SECOND);
	assert_true(observe(&h, s));
	assert_true(h.verdict.is_vain);
	count(s, 64, NOW + 20 * SECOND);
	return h;
}
