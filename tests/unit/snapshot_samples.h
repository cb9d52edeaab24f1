/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A snapshot with everything in it, and whether two are the same. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "snapshot.h"

#define BLOCK UINT64_C(0x200000)

/* A member that is added needs its row in snapshot_json.c, its value in full_snapshot() and its
 * line in the check below; these are here to stop whoever adds one. */
#if __SIZEOF_POINTER__ == 8
static_assert(sizeof(struct region) == 136, "struct region has changed");
static_assert(sizeof(struct sight) == 40, "struct sight has changed");
static_assert(sizeof(struct hold) == 32, "struct hold has changed");
static_assert(sizeof(struct dax_device) == 32, "struct dax_device has changed");
static_assert(sizeof(struct extent) == 32, "struct extent has changed");
static_assert(sizeof(struct policy) == 120 + POLICY_MONITOR_MAX, "struct policy has changed");
static_assert(sizeof(struct vcpu) == 40, "struct vcpu has changed");
static_assert(sizeof(struct guest_span) == 24, "struct guest_span has changed");
static_assert(sizeof(struct memslot) == 32, "struct memslot has changed");
static_assert(sizeof(struct host_node) == 104, "struct host_node has changed");
/* The trial is not part of a snapshot: no decision rests on it. */
static_assert(sizeof(struct host) == 6784 + sizeof(struct trial), "struct host has changed");
static_assert(sizeof(struct kvm_counts) == 48, "struct kvm_counts has changed");
static_assert(sizeof(struct vm) == 776, "struct vm has changed");
static_assert(sizeof(struct snapshot) == sizeof(struct host) + sizeof(struct vm) +
						 sizeof(struct policy) +
						 2 * sizeof(struct kvm_counts) + 168,
	      "struct snapshot has changed");
#endif

static inline void fill_host(struct host *h)
{
	*h = (struct host){
		.features = UINT32_MAX,
		.kernel_release = "6.18.0-test",
		.shmem_global = SHMEM_KNOB_DENY,
		.shmem_block = SHMEM_KNOB_WITHIN_SIZE,
		.thp_enabled = "madvise",
		.is_ksm_running = true,
		.is_numa_balancing = true,
		.is_uffd_seen = true,
		.mem_total_bytes = UINT64_MAX,
		.mem_available_bytes = INT64_MAX,
		.cpus = 192,
		.n_nodes = HOST_NODES_MAX,
	};
	for (int i = 0; i < HOST_NODES_MAX; i++)
		h->nodes[i] = (struct host_node){.id = (int16_t)(i * 500),
						 .free_block_bytes = UINT64_MAX - (unsigned int)i,
						 .free_bytes = UINT64_C(1) << i,
						 .total_bytes = UINT64_C(3) << i,
						 .has_cpus = i % 2 == 0,
						 .distances = "10 21 \"31\""};
	h->nodes[0].id = INT16_MIN;
}

static inline void fill_vm(struct vm *vm)
{
	*vm = (struct vm){
		.pid = INT32_MAX,
		.starttime = UINT64_C(1) << 63,
		.uid = UINT32_MAX,
		.name = "web \"1\" \\ </script> {}",
		.uuid = "01234567-89ab-cdef-0123-456789abcdef",
		.comm = "qemu-system-x86",
		.has_kvm = true,
		.has_uffd = true,
		.has_vfio = true,
		.has_sev = true,
		.has_device_dax_1g = true,
		.is_restored = true,
		.is_of_libvirt = true,
		.has_guest_nodes = true,
		.is_static = ANSWER_YES,
		.is_logged_for_life = ANSWER_NO,
		.is_thp_disabled = true,
		.age_ns = UINT64_MAX - 1,
		.allowed_nodes = UINT64_MAX - 2,
		.bound_nodes = UINT64_MAX - 3,
		.ksm_merged_pages = UINT64_C(9007199254740993), /* no double holds it */
		.memcg_headroom_bytes = UINT64_MAX,
	};
	memset(vm->exe, 'e', sizeof(vm->exe) - 1);
	memset(vm->cgroup, 'c', sizeof(vm->cgroup) - 1);
}

static inline void fill_policy(struct policy *p)
{
	*p = (struct policy){
		.mode = MODE_OFF,
		.may_copy = true,
		.may_ksm = true,
		.may_private_file = true,
		.may_dirty_rate = true,
		.may_dirty_logged = true,
		.min_populated_bp = 1,
		.min_region_bytes = UINT64_MAX,
		.remap_call_bytes = UINT64_MAX - 1,
		.copy_call_bytes = UINT64_MAX - 2,
		.hold_lost_ns = UINT64_MAX - 3,
		.placement = PLACEMENT_BIND,
		.nodes = UINT64_C(1) << 63 | 5,
		.stable_ns = 61,
		.min_gain_bytes = 62,
		.move_interval_ns = 63,
		.wide = WIDE_INTERLEAVE,
		.wide_stripe_bytes = 64,
		.populate = POPULATE_HUGE,
		.nudge = NUDGE_AUTO,
		.is_paused = true,
	};
}

static inline void add_region(struct snapshot *s, const struct region *r, const char *path)
{
	struct region copy = *r;

	copy.path = path ? strdup(path) : NULL;
	assert_int_equal(ARRAY_APPEND(&s->regions, &s->n_regions, &copy), 0);
}

static inline void fill_regions(struct snapshot *s)
{
	struct region r = {
		.start = BLOCK - 4096,
		.end = 64 * BLOCK + 4096,
		.file_offset = ~UINT64_C(4095),
		.backing = BACKING_SPECIAL,
		.is_shared = true,
		.has_anon_pages = true,
		.are_flags_known = true,
		.flags = UINT32_MAX,
		.eligibility = ELIGIBILITY_NO_RIGHT,
		.dev_major = UINT32_MAX,
		.dev_minor = 1,
		.inode = UINT64_MAX,
		.is_dax = ANSWER_YES,
		.can_dax = ANSWER_NO,
		.are_extents_known = true,
		.file_bytes = UINT64_MAX - 4,
		.device = {UINT64_MAX - 5, UINT64_MAX - 6, UINT64_MAX - 7, INT16_MAX},
		.edge_present_pages = 2,
	};

	add_region(s, &r, "/dev/shm/\xff\xfe \\012 \xc3\xa4\t\"quoted\" (deleted)");
	r = (struct region){.start = 100 * BLOCK,
			    .end = UINT64_C(1) << 62,
			    .is_writable = true,
			    .is_unlinked_or_memfd = true,
			    .edge_present_pages = UINT64_MAX};
	add_region(s, &r, NULL);
	r.start = r.end;
	r.end += 4096;
	add_region(s, &r, "");
}

static inline void fill_sights(struct snapshot *s)
{
	struct sight v = {.node = -1};

	for (uint8_t i = 0; i < SEEN_MAX; i++) {
		v = (struct sight){.start = (2 + 2 * (hva_t)i) * BLOCK,
				   .blocks = 1,
				   .seen = i,
				   .fill = i,
				   .flags = (uint8_t)(37 * i),
				   .node = (int16_t)(i - 1),
				   .present_pages = i,
				   .swapped_pages = 512};
		assert_int_equal(ARRAY_APPEND(&s->sights, &s->n_sights, &v), 0);
	}
	v = (struct sight){.start = 200 * BLOCK,
			   .blocks = UINT32_MAX,
			   .fill = FILL_UNKNOWN,
			   .flags = UINT8_MAX,
			   .node = INT16_MAX,
			   .present_pages = UINT64_MAX};
	assert_int_equal(ARRAY_APPEND(&s->sights, &s->n_sights, &v), 0);
}

static inline void fill_holds(struct snapshot *s)
{
	for (enum reason i = REASON_NONE; i < REASON_MAX; i++) {
		struct hold h = {i * BLOCK, (i + 1) * BLOCK, UINT64_MAX - i, (uint8_t)(255 - i), i};

		assert_int_equal(ARRAY_APPEND(&s->holds, &s->n_holds, &h), 0);
	}
}

static inline void fill_vcpus(struct snapshot *s)
{
	struct vcpu v = {INT32_MAX,	    -1,	       3, UINT64_MAX, UINT64_MAX, 1,
			 VCPU_BUSY_UNKNOWN, UINT32_MAX};

	assert_int_equal(ARRAY_APPEND(&s->vcpus, &s->n_vcpus, &v), 0);
	v = (struct vcpu){1, INT16_MAX, -1, 0, 0, UINT64_MAX, 0, 7};
	assert_int_equal(ARRAY_APPEND(&s->vcpus, &s->n_vcpus, &v), 0);
}

static inline void fill_guest_spans(struct snapshot *s)
{
	struct guest_span span = {4096, 1, GUEST_NODES_MAX - 1};

	assert_int_equal(ARRAY_APPEND(&s->guest_spans, &s->n_guest_spans, &span), 0);
	span = (struct guest_span){4097, INT64_MAX - 4097, 0};
	assert_int_equal(ARRAY_APPEND(&s->guest_spans, &s->n_guest_spans, &span), 0);
}

static inline void fill_memslots(struct snapshot *s)
{
	struct memslot m = {0, 4096, INT64_MAX - 4095 - 4096, MEMSLOT_FLAGS, UINT16_MAX, 0};

	assert_int_equal(ARRAY_APPEND(&s->memslots, &s->n_memslots, &m), 0);
	m = (struct memslot){4096, INT64_MAX - 8191, 0, MEMSLOT_READONLY, 7, 1};
	assert_int_equal(ARRAY_APPEND(&s->memslots, &s->n_memslots, &m), 0);
	s->are_memslots_known = true;
}

static inline void fill_extents(struct snapshot *s)
{
	struct extent x = {BLOCK - 4096, INT64_MAX, 4096, UINT32_MAX};

	assert_int_equal(ARRAY_APPEND(&s->extents, &s->n_extents, &x), 0);
	x = (struct extent){100 * BLOCK, 1, BLOCK + 1, 1};
	assert_int_equal(ARRAY_APPEND(&s->extents, &s->n_extents, &x), 0);
}

/* Every member is neither its default nor its neighbour's value. */
static inline struct snapshot full_snapshot(void)
{
	struct snapshot s = SNAPSHOT_INIT;

	s.taken_ns = UINT64_C(18446744073709551614);
	s.geometry = (struct mmu_geometry){12, 9, 18};
	s.kvm = (struct kvm_counts){KVM_SOURCE_DEBUGFS, UINT64_MAX, 81, 82, 83, 84};
	s.kvm_before = (struct kvm_counts){KVM_SOURCE_QMP, 85, UINT64_MAX - 1, 86, 87, 88};
	s.is_migrating = ANSWER_YES;
	s.copies_held = REASON_NO_FREE_HUGE_PAGE;
	s.populate_held = REASON_GAVE_BACK;
	s.nudge_held = REASON_NUDGED_IN_VAIN;
	s.has_library = true;
	s.has_monitor = true;
	s.is_truncated = true;
	fill_host(&s.host);
	fill_vm(&s.vm);
	fill_policy(&s.policy);
	fill_regions(&s);
	fill_sights(&s);
	fill_holds(&s);
	fill_extents(&s);
	fill_vcpus(&s);
	fill_guest_spans(&s);
	fill_memslots(&s);
	return s;
}

#define SAME(member)	  assert_int_equal(a->member, b->member)
#define SAME_TEXT(member) assert_string_equal(a->member, b->member)

static inline void check_host(const struct host *a, const struct host *b)
{
	SAME(features), SAME_TEXT(kernel_release), SAME(shmem_global), SAME(shmem_block);
	SAME_TEXT(thp_enabled), SAME(is_ksm_running), SAME(is_numa_balancing), SAME(is_uffd_seen),
		SAME(mem_total_bytes);
	SAME(mem_available_bytes), SAME(cpus), SAME(n_nodes);
	for (size_t i = 0; i < a->n_nodes; i++) {
		SAME(nodes[i].id), SAME(nodes[i].free_block_bytes), SAME(nodes[i].free_bytes);
		SAME(nodes[i].total_bytes), SAME(nodes[i].has_cpus), SAME_TEXT(nodes[i].distances);
	}
}

static inline void check_vm(const struct vm *a, const struct vm *b)
{
	SAME(pid), SAME(starttime), SAME(uid), SAME_TEXT(name), SAME_TEXT(uuid), SAME_TEXT(comm);
	SAME_TEXT(exe), SAME_TEXT(cgroup), SAME(has_kvm), SAME(has_uffd), SAME(has_vfio);
	SAME(has_sev);
	SAME(has_device_dax_1g), SAME(is_thp_disabled), SAME(is_restored), SAME(age_ns),
		SAME(ksm_merged_pages), SAME(allowed_nodes), SAME(bound_nodes);
	SAME(memcg_headroom_bytes), SAME(is_of_libvirt), SAME(has_guest_nodes), SAME(is_static);
	SAME(is_logged_for_life);
}

static inline void check_policy(const struct policy *a, const struct policy *b)
{
	SAME(mode), SAME(may_remap), SAME(may_copy), SAME(may_ksm), SAME(may_private_file),
		SAME(may_dirty_rate);
	SAME(min_populated_bp), SAME(min_region_bytes), SAME(remap_call_bytes);
	SAME(copy_call_bytes), SAME(hold_lost_ns), SAME(is_paused);
	SAME(placement), SAME(nodes), SAME(stable_ns), SAME(min_gain_bytes), SAME(move_interval_ns);
	SAME(may_dirty_logged), SAME(wide), SAME(wide_stripe_bytes), SAME(populate), SAME(nudge);
}

static inline void check_region(const struct region *a, const struct region *b)
{
	SAME(start), SAME(end), SAME(file_offset), SAME(backing), SAME(is_shared);
	SAME(is_writable), SAME(has_anon_pages), SAME(is_unlinked_or_memfd);
	SAME(are_flags_known), SAME(flags), SAME(eligibility), SAME(dev_major), SAME(dev_minor);
	SAME(is_dax), SAME(can_dax), SAME(are_extents_known), SAME(file_bytes);
	SAME(device.align_bytes), SAME(device.bytes), SAME(device.address), SAME(device.node);
	SAME(inode), SAME(edge_present_pages);
	assert_int_equal(a->path == NULL, b->path == NULL);
	if (a->path)
		SAME_TEXT(path);
}

static inline void check_sight(const struct sight *a, const struct sight *b)
{
	SAME(start), SAME(blocks), SAME(seen), SAME(fill), SAME(flags), SAME(node);
	SAME(present_pages), SAME(swapped_pages);
}

static inline void check_hold(const struct hold *a, const struct hold *b)
{
	SAME(start), SAME(end), SAME(until_ns), SAME(strikes), SAME(reason);
}

static inline void check_extent(const struct extent *a, const struct extent *b)
{
	SAME(logical), SAME(physical), SAME(bytes), SAME(flags);
}

static inline void check_vcpu(const struct vcpu *a, const struct vcpu *b)
{
	SAME(tid), SAME(node), SAME(allowed), SAME(ran_ns), SAME(migrated_pages), SAME(busy_bp);
	SAME(migrated_pages_per_s), SAME(guest_node);
}

static inline void check_guest_span(const struct guest_span *a, const struct guest_span *b)
{
	SAME(start), SAME(bytes), SAME(guest_node);
}

static inline void check_memslot(const struct memslot *a, const struct memslot *b)
{
	SAME(gpa), SAME(bytes), SAME(hva), SAME(flags), SAME(slot), SAME(address_space);
}

static inline void check_counts(const struct kvm_counts *a, const struct kvm_counts *b)
{
	SAME(source), SAME(read_ns), SAME(pages_4k), SAME(pages_2m), SAME(pages_1g),
		SAME(nx_splits);
}

static inline void check_same(const struct snapshot *a, const struct snapshot *b)
{
	SAME(taken_ns), SAME(is_truncated), SAME(copies_held), SAME(populate_held), SAME(n_regions),
		SAME(n_sights), SAME(n_holds), SAME(n_extents), SAME(n_vcpus), SAME(n_guest_spans);
	SAME(n_memslots), SAME(are_memslots_known), SAME(memslots_inferred_ns), SAME(has_library),
		SAME(has_monitor), SAME(nudge_held);
	SAME(geometry.base_shift), SAME(geometry.pmd_order), SAME(geometry.pud_order);
	check_host(&a->host, &b->host);
	check_vm(&a->vm, &b->vm);
	check_policy(&a->policy, &b->policy);
	check_counts(&a->kvm, &b->kvm);
	check_counts(&a->kvm_before, &b->kvm_before);
	SAME(is_migrating);
	for (size_t i = 0; i < a->n_regions; i++)
		check_region(&a->regions[i], &b->regions[i]);
	for (size_t i = 0; i < a->n_sights; i++)
		check_sight(&a->sights[i], &b->sights[i]);
	for (size_t i = 0; i < a->n_holds; i++)
		check_hold(&a->holds[i], &b->holds[i]);
	for (size_t i = 0; i < a->n_extents; i++)
		check_extent(&a->extents[i], &b->extents[i]);
	for (size_t i = 0; i < a->n_vcpus; i++)
		check_vcpu(&a->vcpus[i], &b->vcpus[i]);
	for (size_t i = 0; i < a->n_guest_spans; i++)
		check_guest_span(&a->guest_spans[i], &b->guest_spans[i]);
	for (size_t i = 0; i < a->n_memslots; i++)
		check_memslot(&a->memslots[i], &b->memslots[i]);
}

static inline void check_round_trip(const struct snapshot *s, bool pretty)
{
	struct snapshot back = SNAPSHOT_INIT;
	const char *why = "";
	char *text = NULL, *again = NULL;

	assert_int_equal(snapshot_to_json(s, pretty, &text), 0);
	if (snapshot_from_json(text, strlen(text), &back, &why) != 0)
		fail_msg("not read back: %s", why);
	check_same(s, &back);
	assert_int_equal(snapshot_to_json(&back, pretty, &again), 0);
	assert_string_equal(text, again);
	free(text);
	free(again);
	snapshot_clear(&back);
}
