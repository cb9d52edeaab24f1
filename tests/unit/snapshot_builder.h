/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Snapshots made by hand, for the tests of the core. The start is a VM on a host where nothing
 * stands in the way; each test spoils what it is about. */

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "diagnose.h"
#include "snapshot.h"

#define PAGE  UINT64_C(4096)
#define BLOCK (UINT64_C(2) << 20)
#define MIB   (UINT64_C(1) << 20)
#define BASE  (UINT64_C(0x7f) << 40)

static const struct mmu_geometry geometry_4k = {.base_shift = 12, .pmd_order = 9, .pud_order = 18};
static const struct mmu_geometry geometry_64k = {
	.base_shift = 16, .pmd_order = 13, .pud_order = 26};

static inline void build_begin(struct snapshot *s)
{
	*s = (struct snapshot)SNAPSHOT_INIT;
	s->taken_ns = 1000;
	s->geometry = geometry_4k;
	s->host.features = FEATURE_COLLAPSE | FEATURE_COLLAPSE_SHMEM | FEATURE_PAGEMAP_SCAN |
			   FEATURE_PFN | FEATURE_KPAGEFLAGS | FEATURE_UFFD_SAFE |
			   FEATURE_OTHER_PROCESSES | FEATURE_NODES;
	strcpy(s->host.kernel_release, "6.18.0");
	s->vm.pid = 4242;
	s->vm.starttime = 77;
	s->vm.memcg_headroom_bytes = UINT64_MAX;
}

/* A writable, shared (anon: private) region whose flags are known and which the kernel accepts. */
static inline struct region *build_region(struct snapshot *s, hva_t start, uint64_t bytes,
					  enum backing backing)
{
	const struct region r = {
		.start = start,
		.end = start + bytes,
		.backing = backing,
		.is_shared = backing != BACKING_ANON,
		.is_writable = true,
		.are_flags_known = true,
		.eligibility = ELIGIBILITY_YES,
		.inode = backing == BACKING_ANON ? 0 : 1 + s->n_regions,
	};

	assert_int_equal(ARRAY_APPEND(&s->regions, &s->n_regions, &r), 0);
	return &s->regions[s->n_regions - 1];
}

/* fill: sixteenths or FILL_UNKNOWN; present pages follow from it. */
static inline struct sight *build_sight(struct snapshot *s, hva_t start, uint32_t blocks,
					enum seen seen, uint8_t fill)
{
	struct sight v = {.start = start, .blocks = blocks, .seen = (uint8_t)seen, .fill = fill};

	if (fill != FILL_UNKNOWN)
		v.present_pages = blocks * block_pages(&s->geometry) * fill / FILL_FULL;
	assert_int_equal(ARRAY_APPEND(&s->sights, &s->n_sights, &v), 0);
	return &s->sights[s->n_sights - 1];
}

/* An extent that is mapped at `start`. */
static inline void build_extent(struct snapshot *s, hva_t start, uint64_t bytes, uint64_t physical,
				uint32_t flags)
{
	const struct extent x = {start, physical, bytes, flags};

	assert_int_equal(ARRAY_APPEND(&s->extents, &s->n_extents, &x), 0);
}

static inline void build_hold(struct snapshot *s, hva_t start, hva_t end, uint64_t until_ns,
			      enum reason reason)
{
	const struct hold h = {start, end, until_ns, 1, reason};

	assert_int_equal(ARRAY_APPEND(&s->holds, &s->n_holds, &h), 0);
}

/* ---- Random snapshots: lawful, otherwise anything goes ---- */

static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13; /* xorshift64: fixed seeds give the same snapshots everywhere */
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return next_random(state) % n;
}

static inline bool one_in(uint64_t *state, uint64_t n)
{
	return random_below(state, n) == 0;
}

static inline struct sight random_sight(uint64_t *seed, const struct mmu_geometry *g, hva_t start,
					uint32_t blocks)
{
	uint64_t pages = blocks * block_pages(g);
	struct sight v = {.start = start, .blocks = blocks, .node = -1};

	v.seen = (uint8_t)random_below(seed, SEEN_MAX);
	v.fill = one_in(seed, 2) ? FILL_FULL : (uint8_t)random_below(seed, FILL_FULL);
	v.present_pages = v.fill == FILL_FULL ? pages : pages * v.fill / FILL_FULL;
	if (one_in(seed, 3))
		v.fill = FILL_UNKNOWN;
	if (v.seen == SEEN_HUGE) {
		v.fill = FILL_FULL;
		v.present_pages = pages;
	}
	if (v.seen == SEEN_NOTHING || v.seen == SEEN_SWAPPED) {
		v.fill = 0;
		v.present_pages = 0;
	}
	if (v.seen == SEEN_SWAPPED)
		v.swapped_pages = 1 + random_below(seed, pages);
	if (one_in(seed, 4))
		v.flags = (uint8_t)random_below(seed, 32);
	if (one_in(seed, 2))
		v.node = (int16_t)random_below(seed, 3);
	return v;
}

static inline void random_sights(uint64_t *seed, struct snapshot *s, const struct region *r)
{
	uint64_t block = block_bytes(&s->geometry);
	hva_t at = region_first_block(r, &s->geometry), end = region_last_block(r, &s->geometry);

	while (at < end) {
		uint64_t left = (end - at) / block;
		uint32_t blocks = (uint32_t)(1 + random_below(seed, left < 9 ? left : 9));
		struct sight v = random_sight(seed, &s->geometry, at, blocks);

		if (!one_in(seed, 6))
			assert_int_equal(ARRAY_APPEND(&s->sights, &s->n_sights, &v), 0);
		at += blocks * block;
	}
}

static inline void random_extents(uint64_t *seed, struct snapshot *s, struct region *r)
{
	uint64_t page = page_bytes(&s->geometry), block = block_bytes(&s->geometry);
	hva_t at = r->start;

	r->is_dax = ANSWER_YES;
	r->are_extents_known = !one_in(seed, 6);
	r->file_bytes = r->file_offset + random_below(seed, 2 * (r->end - r->start));
	while (r->are_extents_known && at < r->end) {
		uint64_t left = (r->end - at) / page;
		uint64_t bytes = (1 + random_below(seed, left < 1500 ? left : 1500)) * page;
		uint64_t physical = random_below(seed, 1000) * block +
				    (one_in(seed, 2) ? 0 : random_below(seed, 512) * page);

		if (!one_in(seed, 5))
			build_extent(s, at, bytes, physical, (uint32_t)random_below(seed, 8));
		at += bytes;
	}
}

static inline void random_region(uint64_t *seed, struct snapshot *s, hva_t *at)
{
	uint64_t page = page_bytes(&s->geometry), block = block_bytes(&s->geometry);
	hva_t start = *at + random_below(seed, 3) * block +
		      (one_in(seed, 3) ? random_below(seed, block / page) * page : 0);
	uint64_t bytes = random_below(seed, 40) * block +
			 (one_in(seed, 3) ? (1 + random_below(seed, block / page)) * page : block);
	struct region *r =
		build_region(s, start, bytes,
			     one_in(seed, 5) ? (enum backing)random_below(seed, BACKING_MAX)
					     : (enum backing)random_below(seed, 2));

	r->file_offset = r->backing == BACKING_ANON ? 0 : start % block;
	if (one_in(seed, 8))
		r->file_offset += page;
	r->is_shared = one_in(seed, 10) ? !r->is_shared : r->is_shared;
	r->are_flags_known = !one_in(seed, 8);
	r->flags = one_in(seed, 5) ? (uint32_t)next_random(seed) & 0x1fff : 0;
	r->eligibility = one_in(seed, 6) ? (enum eligibility)random_below(seed, 4) : r->eligibility;
	r->is_unlinked_or_memfd = one_in(seed, 2);
	r->edge_present_pages = one_in(seed, 3) ? UINT64_MAX : random_below(seed, bytes / page + 1);
	if (r->backing == BACKING_FSDAX)
		random_extents(seed, s, r);
	random_sights(seed, s, r);
	*at = r->end;
}

static inline void random_holds(uint64_t *seed, struct snapshot *s)
{
	uint64_t block = block_bytes(&s->geometry);
	hva_t at = BASE;

	for (uint64_t n = random_below(seed, 12); n > 0; n--) {
		hva_t start = at + random_below(seed, 12) * block,
		      end = start + (1 + random_below(seed, 6)) * block;

		build_hold(s, start, end, random_below(seed, 2000),
			   one_in(seed, 2) ? REASON_LOST_PAGES : REASON_BUSY_RETRY);
		at = end;
	}
}

static inline void random_surroundings(uint64_t *seed, struct snapshot *s)
{
	if (one_in(seed, 6))
		s->host.features &= (uint32_t)next_random(seed);
	s->host.shmem_global = (enum shmem_knob)random_below(seed, SHMEM_KNOB_MAX);
	s->host.shmem_block = (enum shmem_knob)random_below(seed, SHMEM_KNOB_MAX);
	s->host.is_ksm_running = one_in(seed, 4);
	s->host.is_uffd_seen = one_in(seed, 8);
	s->vm.has_uffd = one_in(seed, 12);
	s->vm.has_vfio = one_in(seed, 6);
	s->vm.has_sev = one_in(seed, 12);
	s->vm.is_thp_disabled = one_in(seed, 8);
	s->vm.is_logged_for_life = one_in(seed, 8) ? ANSWER_YES : ANSWER_UNKNOWN;
	s->vm.memcg_headroom_bytes =
		one_in(seed, 3) ? random_below(seed, 40 * block_bytes(&s->geometry) + 128 * MIB)
				: UINT64_MAX;
	s->is_truncated = one_in(seed, 10);
}

static inline void random_policy(uint64_t *seed, struct policy *p, uint64_t block)
{
	p->mode = one_in(seed, 8) ? MODE_REPORT : MODE_FULL;
	p->is_paused = one_in(seed, 12);
	p->may_remap = !one_in(seed, 8);
	p->may_copy = !one_in(seed, 8);
	p->may_ksm = one_in(seed, 4);
	p->may_private_file = one_in(seed, 4);
	p->may_dirty_logged = one_in(seed, 4);
	p->min_populated_bp = one_in(seed, 3) ? (uint16_t)random_below(seed, 10001) : 10000;
	if (one_in(seed, 2))
		p->remap_call_bytes = (1 + random_below(seed, 16)) * block;
	if (one_in(seed, 2))
		p->copy_call_bytes = (1 + random_below(seed, 8)) * block;
}

static inline void build_random(struct snapshot *s, uint64_t *seed)
{
	hva_t at = BASE;

	build_begin(s);
	if (one_in(seed, 4))
		s->geometry = geometry_64k;
	random_surroundings(seed, s);
	random_policy(seed, &s->policy, block_bytes(&s->geometry));
	for (uint64_t n = random_below(seed, 6); n > 0; n--)
		random_region(seed, s, &at);
	random_holds(seed, s);
}
