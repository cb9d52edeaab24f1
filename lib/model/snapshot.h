/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Everything that decisions about one VM rest on, at one moment: plain data, owned by the snapshot,
 * no pointers into anything else. It can be written as JSON, read back and replayed: the same
 * decisions follow without root. */

#include <stddef.h>

#include "address.h"
#include "guest_map.h"
#include "hold.h"
#include "host.h"
#include "kvm_counts.h"
#include "layout.h"
#include "memslot.h"
#include "policy.h"
#include "region.h"
#include "sight.h"
#include "storage.h"
#include "vcpu.h"
#include "vm.h"

/* Bounds on what a hostile VMM can make thpd keep: beyond them the rest of the VM is reported as
 * table-full. */
enum {
	SNAPSHOT_REGIONS_MAX = 4096,
	SNAPSHOT_SIGHTS_MAX = 262144,
	SNAPSHOT_HOLDS_MAX = 262144,
	SNAPSHOT_EXTENTS_MAX = 65536,
	SNAPSHOT_VCPUS_MAX = 4096,
	SNAPSHOT_GUEST_SPANS_MAX = 1024,
	SNAPSHOT_MEMSLOTS_MAX = 2 * 32764, /* KVM's own bound in each of two address spaces */
};

struct snapshot {
	uint64_t taken_ns; /* CLOCK_MONOTONIC */
	struct mmu_geometry geometry;
	struct host host;
	struct vm vm;
	struct policy policy;
	struct region *regions; /* owned; sorted by start, disjoint */
	size_t n_regions;
	struct sight *sights; /* owned; sorted by start, disjoint, inside the whole blocks of
				 one region */
	size_t n_sights;
	struct hold *holds; /* owned; sorted by start, disjoint */
	size_t n_holds;
	/* Of files that are mapped directly: `logical` is the address at which the extent is
	 * mapped. Owned; sorted, disjoint, each inside one region. */
	struct extent *extents;
	size_t n_extents;
	/* Owned; empty where nobody asked for them: a host with one node. */
	struct vcpu *vcpus;
	size_t n_vcpus;
	struct guest_span *guest_spans; /* owned; sorted by start, disjoint; none: not known */
	size_t n_guest_spans;
	/* What the library inside the VMM told, all or nothing, or else QEMU's monitor. Owned;
	 * sorted by address space and gpa, disjoint in gpa within an address space; several may be
	 * at the same hva. */
	struct memslot *memslots;
	size_t n_memslots;
	/* When the monitor told; 0: it did not. It tells the slots of the first address space only,
	 * without numbers, and of the flags only read-only. */
	uint64_t memslots_inferred_ns;
	bool are_memslots_known; /* exactly: the library told */
	bool has_library;	 /* or once had: who told */
	bool has_monitor;	 /* the policy names one, which is not in a snapshot's JSON */
	/* What KVM maps, now and once before; nothing was done to the memory in between. */
	struct kvm_counts kvm, kvm_before;
	enum answer is_migrating; /* the VMM says so; unknown: nobody was asked */
	enum reason copies_held;  /* why no copy may start on this host now; none = they may */
	/* Why holes are not populated where the policy says so; none = they may be. */
	enum reason populate_held;
	enum reason
		nudge_held; /* what came of nudges speaks against another one; none: it does not */
	bool is_truncated;  /* a bound above was met */
};

#define SNAPSHOT_INIT                 \
	{                             \
		.policy = POLICY_INIT \
	}

void snapshot_clear(struct snapshot *s); /* frees what it owns and makes it SNAPSHOT_INIT again */

/* Gives `to` what a survey found, in place of what it had: the regions and the extents below them,
 * and whether they are all. What was seen of them stays. */
void snapshot_take_regions(struct snapshot *to, struct snapshot *from);

/* Takes what the VMM says of the nodes of its guest, in place of what it said before: the memory,
 * and of each vCPU that is known the node (-1: not said). It is not trusted: what is out of bounds,
 * or overlaps what comes before it, is left out. 0, or -ENOMEM with nothing changed. */
int snapshot_take_guest_map(struct snapshot *s, const struct guest_map *map);

/* Takes the table of all memslots that the VMM told, in place of what was there: *slots (malloc'ed;
 * NULL if n is 0) is sorted and from then on the snapshot's, and NULL. The geometry has to be
 * there. -EINVAL: they break a law, so that nothing is known of its slots any more; *slots stays
 * the caller's. */
int snapshot_take_memslots(struct snapshot *s, struct memslot **slots, size_t n);

/* The same of what QEMU's monitor told at `now_ns` (> 0). */
int snapshot_infer_memslots(struct snapshot *s, struct memslot **slots, size_t n, uint64_t now_ns);

/* Nobody tells the memslots. */
void snapshot_forget_memslots(struct snapshot *s);

static inline bool snapshot_has_memslots(const struct snapshot *s)
{
	return s->are_memslots_known || s->memslots_inferred_ns > 0;
}

/* The region that holds address, or NULL. */
const struct region *snapshot_find_region(const struct snapshot *s, hva_t address);

/* Checks the laws above (order, bounds, alignment): what comes from a file must pass before it is
 * used. 0 or -EINVAL; *ret_why (may be NULL) names the law that was broken. */
int snapshot_validate(const struct snapshot *s, const char **ret_why);

/* JSON form, version 1. to_json: *ret is malloc'ed text (pretty: with newlines). 0 or -ENOMEM.
 * from_json: strict in what it uses (types, ranges), lenient in what it does not know; unknown
 * fields are skipped, missing ones are unknown. 0, -EINVAL (with *ret_why, a static text, may be
 * NULL) or -ENOMEM. */
int snapshot_to_json(const struct snapshot *s, bool pretty, char **ret);
int snapshot_from_json(const char *text, size_t size, struct snapshot *ret, const char **ret_why);
