/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The JSON form of snapshots: nothing is lost on the way out and back, and nothing unlawful comes
 * in. */
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
						 2 * sizeof(struct kvm_counts) + 160,
	      "struct snapshot has changed");
#endif

static void fill_host(struct host *h)
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

static void fill_vm(struct vm *vm)
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

static void fill_policy(struct policy *p)
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

static void add_region(struct snapshot *s, const struct region *r, const char *path)
{
	struct region copy = *r;

	copy.path = path ? strdup(path) : NULL;
	assert_int_equal(ARRAY_APPEND(&s->regions, &s->n_regions, &copy), 0);
}

static void fill_regions(struct snapshot *s)
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

static void fill_sights(struct snapshot *s)
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

static void fill_holds(struct snapshot *s)
{
	for (enum reason i = REASON_NONE; i < REASON_MAX; i++) {
		struct hold h = {i * BLOCK, (i + 1) * BLOCK, UINT64_MAX - i, (uint8_t)(255 - i), i};

		assert_int_equal(ARRAY_APPEND(&s->holds, &s->n_holds, &h), 0);
	}
}

static void fill_vcpus(struct snapshot *s)
{
	struct vcpu v = {INT32_MAX,	    -1,	       3, UINT64_MAX, UINT64_MAX, 1,
			 VCPU_BUSY_UNKNOWN, UINT32_MAX};

	assert_int_equal(ARRAY_APPEND(&s->vcpus, &s->n_vcpus, &v), 0);
	v = (struct vcpu){1, INT16_MAX, -1, 0, 0, UINT64_MAX, 0, 7};
	assert_int_equal(ARRAY_APPEND(&s->vcpus, &s->n_vcpus, &v), 0);
}

static void fill_guest_spans(struct snapshot *s)
{
	struct guest_span span = {4096, 1, GUEST_NODES_MAX - 1};

	assert_int_equal(ARRAY_APPEND(&s->guest_spans, &s->n_guest_spans, &span), 0);
	span = (struct guest_span){4097, INT64_MAX - 4097, 0};
	assert_int_equal(ARRAY_APPEND(&s->guest_spans, &s->n_guest_spans, &span), 0);
}

static void fill_memslots(struct snapshot *s)
{
	struct memslot m = {0, 4096, INT64_MAX - 4095 - 4096, MEMSLOT_FLAGS, UINT16_MAX, 0};

	assert_int_equal(ARRAY_APPEND(&s->memslots, &s->n_memslots, &m), 0);
	m = (struct memslot){4096, INT64_MAX - 8191, 0, MEMSLOT_READONLY, 7, 1};
	assert_int_equal(ARRAY_APPEND(&s->memslots, &s->n_memslots, &m), 0);
	s->are_memslots_known = true;
}

static void fill_extents(struct snapshot *s)
{
	struct extent x = {BLOCK - 4096, INT64_MAX, 4096, UINT32_MAX};

	assert_int_equal(ARRAY_APPEND(&s->extents, &s->n_extents, &x), 0);
	x = (struct extent){100 * BLOCK, 1, BLOCK + 1, 1};
	assert_int_equal(ARRAY_APPEND(&s->extents, &s->n_extents, &x), 0);
}

/* Every member is neither its default nor its neighbour's value. */
static struct snapshot full_snapshot(void)
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

static void check_host(const struct host *a, const struct host *b)
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

static void check_vm(const struct vm *a, const struct vm *b)
{
	SAME(pid), SAME(starttime), SAME(uid), SAME_TEXT(name), SAME_TEXT(uuid), SAME_TEXT(comm);
	SAME_TEXT(exe), SAME_TEXT(cgroup), SAME(has_kvm), SAME(has_uffd), SAME(has_vfio);
	SAME(has_device_dax_1g), SAME(is_thp_disabled), SAME(is_restored), SAME(age_ns),
		SAME(ksm_merged_pages), SAME(allowed_nodes), SAME(bound_nodes);
	SAME(memcg_headroom_bytes), SAME(is_of_libvirt), SAME(has_guest_nodes), SAME(is_static);
	SAME(is_logged_for_life);
}

static void check_policy(const struct policy *a, const struct policy *b)
{
	SAME(mode), SAME(may_remap), SAME(may_copy), SAME(may_ksm), SAME(may_private_file),
		SAME(may_dirty_rate);
	SAME(min_populated_bp), SAME(min_region_bytes), SAME(remap_call_bytes);
	SAME(copy_call_bytes), SAME(hold_lost_ns), SAME(is_paused);
	SAME(placement), SAME(nodes), SAME(stable_ns), SAME(min_gain_bytes), SAME(move_interval_ns);
	SAME(may_dirty_logged), SAME(wide), SAME(wide_stripe_bytes), SAME(populate), SAME(nudge);
}

static void check_region(const struct region *a, const struct region *b)
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

static void check_sight(const struct sight *a, const struct sight *b)
{
	SAME(start), SAME(blocks), SAME(seen), SAME(fill), SAME(flags), SAME(node);
	SAME(present_pages), SAME(swapped_pages);
}

static void check_hold(const struct hold *a, const struct hold *b)
{
	SAME(start), SAME(end), SAME(until_ns), SAME(strikes), SAME(reason);
}

static void check_extent(const struct extent *a, const struct extent *b)
{
	SAME(logical), SAME(physical), SAME(bytes), SAME(flags);
}

static void check_vcpu(const struct vcpu *a, const struct vcpu *b)
{
	SAME(tid), SAME(node), SAME(allowed), SAME(ran_ns), SAME(migrated_pages), SAME(busy_bp);
	SAME(migrated_pages_per_s), SAME(guest_node);
}

static void check_guest_span(const struct guest_span *a, const struct guest_span *b)
{
	SAME(start), SAME(bytes), SAME(guest_node);
}

static void check_memslot(const struct memslot *a, const struct memslot *b)
{
	SAME(gpa), SAME(bytes), SAME(hva), SAME(flags), SAME(slot), SAME(address_space);
}

static void check_counts(const struct kvm_counts *a, const struct kvm_counts *b)
{
	SAME(source), SAME(read_ns), SAME(pages_4k), SAME(pages_2m), SAME(pages_1g),
		SAME(nx_splits);
}

static void check_same(const struct snapshot *a, const struct snapshot *b)
{
	SAME(taken_ns), SAME(is_truncated), SAME(copies_held), SAME(populate_held), SAME(n_regions),
		SAME(n_sights), SAME(n_holds), SAME(n_extents), SAME(n_vcpus), SAME(n_guest_spans);
	SAME(n_memslots), SAME(are_memslots_known), SAME(has_library), SAME(has_monitor),
		SAME(nudge_held);
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

static void check_round_trip(const struct snapshot *s, bool pretty)
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

static void nothing_is_lost_on_the_way(void **state)
{
	struct snapshot s = full_snapshot(), empty = SNAPSHOT_INIT;

	(void)state;
	check_round_trip(&s, true);
	check_round_trip(&s, false);
	snapshot_clear(&s);
	empty.geometry = (struct mmu_geometry){16, 13, 26};
	check_round_trip(&empty, true);
	check_round_trip(&empty, false);
}

/* D-Bus refuses what is no UTF-8; the file name of a hostile process may be none. */
static void the_text_is_plain_ascii(void **state)
{
	struct snapshot s = full_snapshot();
	char *text = NULL;

	(void)state;
	assert_int_equal(snapshot_to_json(&s, false, &text), 0);
	for (const char *c = text; *c; c++)
		assert_in_range(*c, ' ', '~');
	free(text);
	snapshot_clear(&s);
}

static void pretty_has_a_line_for_each_sight(void **state)
{
	struct snapshot s = full_snapshot();
	char *text = NULL;
	size_t lines = 0;

	(void)state;
	assert_int_equal(snapshot_to_json(&s, true, &text), 0);
	for (const char *c = strstr(text, "\"sights\""); c; c = strchr(c + 1, '\n'))
		lines++;
	/* key, sights, "],", key, holds, "],", key, extents, "],", key, vcpus, "],", key, spans,
	 * "],", are known, key, memslots, "]", "}", end */
	assert_int_equal(lines, s.n_sights + s.n_holds + s.n_extents + s.n_vcpus + s.n_guest_spans +
					s.n_memslots + 15);
	assert_int_equal(text[strlen(text) - 1], '\n');
	free(text);
	snapshot_clear(&s);
}

/* A list that was read can be used like one that was built. */
static void what_was_read_can_grow(void **state)
{
	struct snapshot s = full_snapshot(), back = SNAPSHOT_INIT;
	struct hold hold = {0, BLOCK, 0, 0, REASON_NONE};
	char *text = NULL;

	(void)state;
	assert_int_equal(snapshot_to_json(&s, false, &text), 0);
	assert_int_equal(snapshot_from_json(text, strlen(text), &back, NULL), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(ARRAY_APPEND(&back.holds, &back.n_holds, &hold), 0);
	free(text);
	snapshot_clear(&s);
	snapshot_clear(&back);
}

/* ---- What comes in ---- */

#define GEOMETRY     "\"geometry\":{\"base_shift\":12,\"pmd_order\":9,\"pud_order\":18}"
#define HEAD	     "{\"version\":1,\"taken_ns\":5," GEOMETRY
#define REGION	     "{\"start\":\"0x200000\",\"end\":\"0xa00000\",\"backing\":\"shmem\"}"
#define SIGHTS(list) HEAD ",\"regions\":[" REGION "],\"sights\":[" list "]}"
#define SLOT(gpa, space) \
	"{\"gpa\":\"" gpa "\",\"bytes\":4096,\"hva\":\"0x200000\",\"address_space\":" space "}"
#define SIGHT(more) SIGHTS("{\"start\":\"0x200000\",\"blocks\":1" more "}")

static void check_refused(const char *text, size_t size, const char *expected_why)
{
	struct snapshot s = SNAPSHOT_INIT;
	const char *why = "";

	s.taken_ns = 4711;
	if (snapshot_from_json(text, size, &s, &why) != -EINVAL)
		fail_msg("accepted: %.200s", text);
	if (!strstr(why, expected_why))
		fail_msg("expected \"%s\", it says \"%s\": %.200s", expected_why, why, text);
	assert_int_equal(s.taken_ns, 4711);
	assert_null(s.regions);
	assert_int_equal(snapshot_from_json(text, size, &s, NULL), -EINVAL);
}

static void check_accepted(const char *text, struct snapshot *ret)
{
	const char *why = "";

	if (snapshot_from_json(text, strlen(text), ret, &why) != 0)
		fail_msg("refused: %s: %s", why, text);
}

static void missing_is_unknown(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(SIGHT(""), &s);
	assert_int_equal(s.taken_ns, 5);
	assert_true(s.host.is_uffd_seen);
	assert_int_equal(s.vm.memcg_headroom_bytes, UINT64_MAX);
	assert_int_equal(s.policy.min_populated_bp, 10000);
	assert_int_equal(s.regions[0].edge_present_pages, UINT64_MAX);
	assert_int_equal(s.regions[0].eligibility, ELIGIBILITY_UNKNOWN);
	assert_false(s.regions[0].are_flags_known);
	assert_null(s.regions[0].path);
	assert_int_equal(s.sights[0].seen, SEEN_UNKNOWN);
	assert_int_equal(s.sights[0].fill, FILL_UNKNOWN);
	assert_int_equal(s.sights[0].node, -1);
	assert_false(s.are_memslots_known);
	assert_int_equal(s.populate_held, REASON_POLICY_OFF);
	assert_int_equal(s.nudge_held, REASON_POLICY_OFF);
	snapshot_clear(&s);
}

static void a_vm_without_memslots_is_another_one_than_one_that_tells_none(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(HEAD ",\"are_memslots_known\":true,\"memslots\":[]}", &s);
	assert_true(s.are_memslots_known);
	assert_int_equal(s.n_memslots, 0);
	check_round_trip(&s, false);
	snapshot_clear(&s);
	check_accepted(HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "0") "]}",
		       &s);
	assert_int_equal(s.memslots[0].flags | s.memslots[0].slot | s.memslots[0].address_space, 0);
	snapshot_clear(&s);
}

static void unknown_is_skipped(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(SIGHT(",\"colour\":{\"deep\":[1.5,null,{\"er\":[]}]},\"node\":3"), &s);
	assert_int_equal(s.sights[0].node, 3);
	snapshot_clear(&s);
	check_accepted(HEAD ",\"x\":[0.99999999999999999999999,1e400,99999999999999999999.5,-1]}",
		       &s);
	snapshot_clear(&s);
	check_accepted(HEAD ",\"x\":\"\\\"99999999999999999999999\"}", &s);
	snapshot_clear(&s);
	check_accepted(" " HEAD ",\"future\":\"\\u0000\"}\n\n", &s);
	snapshot_clear(&s);
}

static void the_last_of_two_equal_keys_counts(void **state)
{
	struct snapshot s = SNAPSHOT_INIT;

	(void)state;
	check_accepted(HEAD
		       ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		       "\"path\":\"a\",\"path\":\"b\"}],\"regions\":[" REGION "]}",
		       &s);
	assert_int_equal(s.n_regions, 1);
	assert_int_equal(s.regions[0].backing, BACKING_SHMEM);
	snapshot_clear(&s);
}

static void wrong_members_are_named(void **state)
{
	static const char *const cases[][2] = {
		{SIGHT(",\"fill\":256"), "sight.fill"},
		{SIGHT(",\"fill\":-1"), "sight.fill"},
		{SIGHT(",\"fill\":\"16\""), "sight.fill"},
		{SIGHT(",\"fill\":1.0"), "sight.fill"},
		{SIGHT(",\"fill\":1e1"), "sight.fill"},
		{SIGHT(",\"fill\":true"), "sight.fill"},
		{SIGHT(",\"fill\":null"), "sight.fill"},
		{SIGHT(",\"fill\":[1]"), "sight.fill"},
		{SIGHT(",\"node\":32768"), "sight.node"},
		{SIGHT(",\"node\":-32769"), "sight.node"},
		{SIGHT(",\"node\":18446744073709551615"), "sight.node"},
		{SIGHT(",\"blocks\":4294967296"), "sight.blocks"},
		{SIGHT(",\"seen\":\"HUGE\""), "sight.seen"},
		{SIGHT(",\"seen\":\"huge\\u0000\""), "sight.seen"},
		{SIGHT(",\"seen\":1"), "sight.seen"},
		{SIGHT(",\"start\":2097152"), "sight.start"},
		{SIGHT(",\"start\":\"200000\""), "sight.start"},
		{SIGHT(",\"start\":\"0x200000 \""), "sight.start"},
		{SIGHT(",\"start\":\"0x10000000000200000\""), "sight.start"},
		{SIGHTS("{\"blocks\":1}"), "sight.start"},
		{SIGHTS("{\"start\":\"0x200000\"}"), "sight.blocks"},
		{SIGHTS("7"), "snapshot.sights"},
		{SIGHTS("null"), "snapshot.sights"},
		{HEAD ",\"sights\":{}}", "snapshot.sights"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\"}]}", "region.backing"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		      "\"path\":7}]}",
		 "region.path"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		      "\"path\":\"\\u0000\"}]}",
		 "region.path"},
		{HEAD ",\"regions\":[{\"start\":\"0x0\",\"end\":\"0x1000\",\"backing\":\"anon\","
		      "\"path\":\"\\u0100\"}]}",
		 "region.path"},
		{HEAD ",\"holds\":[{\"start\":\"0x0\",\"end\":\"0x200000\",\"until_ns\":1}]}",
		 "hold.reason"},
		{HEAD ",\"memslots\":[{\"gpa\":\"0x0\",\"bytes\":4096}]}", "memslot.hva"},
		{HEAD ",\"memslots\":[{\"gpa\":\"0x0\",\"hva\":\"0x0\"}]}", "memslot.bytes"},
		{HEAD ",\"memslots\":[{\"bytes\":4096,\"hva\":\"0x0\"}]}", "memslot.gpa"},
		{HEAD ",\"memslots\":[" SLOT("0x0", "65536") "]}", "memslot.address_space"},
		{HEAD ",\"are_memslots_known\":\"yes\"}", "snapshot.are_memslots_known"},
		{HEAD ",\"host\":7}", "snapshot.host"},
		{HEAD ",\"host\":null}", "snapshot.host"},
		{HEAD ",\"host\":{\"is_ksm_running\":1}}", "host.is_ksm_running"},
		{HEAD ",\"host\":{\"thp_enabled\":\"0123456789abcdef\"}}", "host.thp_enabled"},
		{HEAD ",\"host\":{\"shmem_block\":\"unknown\"}}", "host.shmem_block"},
		{HEAD ",\"host\":{\"nodes\":[{\"id\":\"0\"}]}}", "host_node.id"},
		{HEAD ",\"vm\":{\"pid\":2147483648}}", "vm.pid"},
		{HEAD ",\"vm\":{\"uuid\":\"0123456789012345678901234567890123456\"}}", "vm.uuid"},
		{HEAD ",\"policy\":{\"mode\":\"on\"}}", "policy.mode"},
		{HEAD ",\"taken_ns\":-1}", "snapshot.taken_ns"},
		{"{\"version\":1," GEOMETRY "}", "snapshot.taken_ns"},
		{"{\"version\":1,\"taken_ns\":1}", "snapshot.geometry"},
		{"{\"version\":1,\"taken_ns\":1,\"geometry\":{\"base_shift\":12}}",
		 "mmu_geometry.pmd_order"},
		{"{\"taken_ns\":5," GEOMETRY "}", "version"},
		{"{\"version\":2,\"taken_ns\":5," GEOMETRY "}", "version"},
		{"{\"version\":4294967297,\"taken_ns\":5," GEOMETRY "}", "version"},
		{"[]", "an object"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void lies_are_caught_by_the_laws(void **state)
{
	static const char *const cases[][2] = {
		{"{\"version\":1,\"taken_ns\":5,\"geometry\":{\"base_shift\":63,\"pmd_order\":9,"
		 "\"pud_order\":18}}",
		 "geometry"},
		{SIGHT("},{\"start\":\"0x200000\",\"blocks\":1"), "overlap"},
		{SIGHTS("{\"start\":\"0x200000\",\"blocks\":3},{\"start\":\"0x400000\",\"blocks\":"
			"1}"),
		 "overlap"},
		{SIGHTS("{\"start\":\"0x200000\",\"blocks\":5}"), "inside"},
		{SIGHTS("{\"start\":\"0xffffffffffe00000\",\"blocks\":4294967295}"), "inside"},
		{SIGHT(",\"fill\":16,\"present_pages\":18446744073709551615"), "more pages"},
		{SIGHT(",\"fill\":17"), "sixteen"},
		{HEAD ",\"regions\":[" REGION "," REGION "]}", "regions overlap"},
		{HEAD ",\"memslots\":[" SLOT("0x0", "0") "]}", "nobody told"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "2") "]}",
		 "a memslot is"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x1", "0") "]}",
		 "a memslot is"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "0") "," SLOT(
			 "0x0", "0") "]}",
		 "memslots overlap"},
		{HEAD ",\"are_memslots_known\":true,\"memslots\":[" SLOT("0x0", "1") "," SLOT(
			 "0x1000", "0") "]}",
		 "memslots overlap"},
		{HEAD ",\"vm\":{\"name\":\"\\u001b[2J\"}}", "printable"},
		{HEAD ",\"policy\":{\"min_populated_bp\":10001}}", "min_populated_bp"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void what_is_not_json_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		" ",
		"{",
		"}",
		"{]",
		"nul",
		"\"",
		HEAD,
		HEAD "}}",
		HEAD "} x",
		HEAD "}{}",
		HEAD ",}",
		HEAD ",\"x\":18446744073709551616}",
		HEAD ",\"x\":[\"\\\"\",-99999999999999999999]}",
		HEAD ",\"x\":'y'}",
		HEAD ",\"x\":\"\xff\"}",
		HEAD ",\"x\":0x5}",
		HEAD ",\"x\":01}",
	};
	static const char with_nul[] = HEAD "}\0{\"more\":1}",
			  inner_nul[] = HEAD ",\"x\":\"a\0b\"}";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_refused(cases[i], strlen(cases[i]), "not a JSON document");
	check_refused(with_nul, sizeof(with_nul) - 1, "not a JSON document");
	check_refused(inner_nul, sizeof(inner_nul) - 1, "not a JSON document");
}

/* Every beginning of a good text is either refused or, with only blanks missing, read. */
static void cut_texts_are_refused(void **state)
{
	struct snapshot s = full_snapshot(), back = SNAPSHOT_INIT;
	char *text = NULL;
	size_t size;

	(void)state;
	s.host.n_nodes = 1; /* shorter: the test is quadratic */
	s.n_holds = 2;
	assert_int_equal(snapshot_to_json(&s, false, &text), 0);
	size = strlen(text);
	for (size_t i = 0; i < size; i++) {
		char *cut = malloc(i + 1); /* ASan sees a read beyond */

		assert_non_null(cut);
		memcpy(cut, text, i);
		assert_int_equal(snapshot_from_json(cut, i, &back, NULL), -EINVAL);
		free(cut);
	}
	assert_int_equal(snapshot_from_json(text, size, &back, NULL), 0); /* no NUL needed */
	free(text);
	snapshot_clear(&s);
	snapshot_clear(&back);
}

static char *repeated(const char *head, const char *part, size_t n, const char *tail)
{
	size_t part_size = strlen(part), size = strlen(head) + n * part_size + strlen(tail) + 1;
	char *text = malloc(size), *at;

	assert_non_null(text);
	at = stpcpy(text, head);
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, part);
	(void)stpcpy(at, tail);
	return text;
}

static void depth_is_bounded(void **state)
{
	char *text = repeated(HEAD ",\"x\":", "[", 100000, "");

	(void)state;
	check_refused(text, strlen(text), "too deep");
	free(text);
}

/* As many as KVM has, in both directions. */
static void the_largest_table_of_memslots_comes_back(void **state)
{
	struct snapshot s = SNAPSHOT_INIT, back = SNAPSHOT_INIT;
	struct memslot *slots = calloc(SNAPSHOT_MEMSLOTS_MAX, sizeof(*slots));
	char *text = NULL;

	(void)state;
	assert_non_null(slots);
	for (unsigned int i = 0; i < SNAPSHOT_MEMSLOTS_MAX; i++)
		slots[i] = (struct memslot){UINT64_C(4096) * (i / 2), 4096,
					    UINT64_C(4096) * i,	      0,
					    (uint16_t)(i / 2),	      (uint16_t)(i % 2)};
	s.geometry = (struct mmu_geometry){12, 9, 18};
	assert_int_equal(snapshot_take_memslots(&s, &slots, SNAPSHOT_MEMSLOTS_MAX), 0);
	assert_int_equal(snapshot_to_json(&s, true, &text), 0);
	assert_int_equal(snapshot_from_json(text, strlen(text), &back, NULL), 0);
	check_same(&s, &back);
	assert_int_equal(back.n_memslots, 65528);
	free(text);
	snapshot_clear(&s);
	snapshot_clear(&back);
}

static void tables_are_bounded(void **state)
{
	char *text = repeated(HEAD ",\"regions\":[" REGION, "," REGION, SNAPSHOT_REGIONS_MAX, "]}");

	(void)state;
	check_refused(text, strlen(text), "within its bound");
	free(text);
	text = repeated(HEAD ",\"sights\":[7", ",7", SNAPSHOT_SIGHTS_MAX, "]}");
	check_refused(text, strlen(text), "within its bound");
	free(text);
	text = repeated(HEAD ",\"memslots\":[7", ",7", SNAPSHOT_MEMSLOTS_MAX, "]}");
	check_refused(text, strlen(text), "within its bound");
	free(text);
	text = repeated(HEAD ",\"host\":{\"nodes\":[{}", ",{}", HOST_NODES_MAX, "]}}");
	check_refused(text, strlen(text), "host.nodes");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_on_the_way),
		cmocka_unit_test(the_text_is_plain_ascii),
		cmocka_unit_test(pretty_has_a_line_for_each_sight),
		cmocka_unit_test(what_was_read_can_grow),
		cmocka_unit_test(missing_is_unknown),
		cmocka_unit_test(a_vm_without_memslots_is_another_one_than_one_that_tells_none),
		cmocka_unit_test(unknown_is_skipped),
		cmocka_unit_test(the_last_of_two_equal_keys_counts),
		cmocka_unit_test(wrong_members_are_named),
		cmocka_unit_test(lies_are_caught_by_the_laws),
		cmocka_unit_test(what_is_not_json_is_refused),
		cmocka_unit_test(cut_texts_are_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(the_largest_table_of_memslots_comes_back),
		cmocka_unit_test(tables_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
