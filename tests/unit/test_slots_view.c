/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What KVM can never map huge because of memslots: which bytes of which slots. */
#include "slots_view.h"

#include "kvm_view.h"
#include "snapshot_builder.h"

#define SECOND UINT64_C(1000000000)
#define GIB    (UINT64_C(1) << 30)

enum { PAGES_OF_MIB = 256 };

/* 64 MiB of huge pages. */
static struct snapshot begin(void)
{
	struct snapshot s;

	build_begin(&s);
	build_region(&s, BASE, 32 * BLOCK, BACKING_SHMEM);
	build_sight(&s, BASE, 32, SEEN_HUGE, FILL_FULL);
	return s;
}

static void tell(struct snapshot *s, const struct memslot *slots, size_t n)
{
	struct memslot *copy = malloc(n * sizeof(*copy));

	assert_non_null(copy);
	memcpy(copy, slots, n * sizeof(*copy));
	assert_int_equal(snapshot_take_memslots(s, &copy, n), 0);
}

#define TELL(s, ...)                                   \
	tell(s, (const struct memslot[]){__VA_ARGS__}, \
	     sizeof((const struct memslot[]){__VA_ARGS__}) / sizeof(struct memslot))

static void check_view(const struct snapshot *s, uint64_t not_congruent, uint64_t head_tail,
		       uint64_t private)
{
	struct slots_view v;

	assert_int_equal(slots_view_of(s, &v), 0);
	assert_true(v.is_known);
	assert_int_equal(v.is_inferred, !s->are_memslots_known);
	assert_int_equal(v.not_congruent_bytes, not_congruent);
	assert_int_equal(v.head_tail_bytes, head_tail);
	assert_int_equal(v.private_bytes, private);
}

static void nothing_is_guessed(void **state)
{
	struct snapshot s = begin();
	struct slots_view v;

	(void)state;
	assert_int_equal(slots_view_of(&s, &v), 0);
	assert_false(v.is_known);
	assert_int_equal(v.not_congruent_bytes + v.head_tail_bytes + v.private_bytes, 0);
	assert_int_equal(snapshot_take_memslots(&s, &(struct memslot *){NULL}, 0), 0);
	check_view(&s, 0, 0, 0);
	snapshot_clear(&s);
}

static void addresses_that_agree_are_fine(void **state)
{
	struct snapshot s = begin();

	(void)state;
	TELL(&s, {4 * GIB + 3 * BLOCK, 32 * BLOCK, BASE, 0, 0, 0});
	check_view(&s, 0, 0, 0);
	snapshot_clear(&s);
}

static void a_page_off_is_all_of_the_slot(void **state)
{
	struct snapshot s = begin();

	(void)state;
	TELL(&s, {PAGE, 32 * BLOCK, BASE, 0, 0, 0});
	check_view(&s, 32 * BLOCK, 0, 0);
	TELL(&s, {0, 31 * BLOCK, BASE + PAGE, 0, 0, 0});
	check_view(&s, 31 * BLOCK, 0, 0);
	/* One that is fine beside one that is not. */
	TELL(&s, {0, 16 * BLOCK, BASE, 0, 0, 0},
	     {GIB - PAGE, 16 * BLOCK, BASE + 16 * BLOCK, 0, 1, 0});
	check_view(&s, 16 * BLOCK, 0, 0);
	snapshot_clear(&s);
}

/* Addresses that agree would not help a slot that holds no whole block of the guest's. */
static void a_slot_without_a_block_is_an_edge(void **state)
{
	struct snapshot s = begin();

	(void)state;
	TELL(&s, {PAGE, 2 * BLOCK - 2 * PAGE, BASE, 0, 0, 0});
	check_view(&s, 0, 2 * BLOCK - 2 * PAGE, 0);
	TELL(&s, {PAGE, 2 * BLOCK - PAGE, BASE, 0, 0, 0});
	check_view(&s, 2 * BLOCK - PAGE, 0, 0);
	TELL(&s, {PAGE, PAGE, BASE + PAGE, 0, 0, 0});
	check_view(&s, 0, PAGE, 0);
	snapshot_clear(&s);
}

/* As a PC has it: 640 KiB, a hole, and all above 1 MiB; and an odd size. */
static void heads_and_tails(void **state)
{
	struct snapshot s = begin();

	(void)state;
	TELL(&s, {0, 160 * PAGE, BASE, 0, 0, 0}, {MIB, 31 * BLOCK - PAGE, BASE + MIB, 0, 1, 0});
	check_view(&s, 0, 160 * PAGE + MIB + MIB - PAGE, 0);
	snapshot_clear(&s);
}

static void what_is_not_resident_does_not_count(void **state)
{
	struct snapshot s;

	(void)state;
	build_begin(&s);
	build_region(&s, BASE, 8 * BLOCK, BACKING_SHMEM);
	build_sight(&s, BASE, 1, SEEN_NOTHING, 0);
	build_sight(&s, BASE + BLOCK, 2, SEEN_SMALL, 8);
	build_sight(&s, BASE + 3 * BLOCK, 1, SEEN_PAGES, FILL_UNKNOWN)->present_pages = 512;
	build_sight(&s, BASE + 5 * BLOCK, 1, SEEN_FOLIO, FILL_FULL); /* 4 was not looked at */
	build_sight(&s, BASE + 6 * BLOCK, 1, SEEN_UNKNOWN, FILL_FULL);
	TELL(&s, {PAGE, 8 * BLOCK, BASE, 0, 0, 0});
	check_view(&s, BLOCK + BLOCK, 0, 0);
	/* A part of a block that is half there: half of it. */
	TELL(&s, {0, 4 * PAGE, BASE + BLOCK, 0, 0, 0});
	check_view(&s, 0, 2 * PAGE, 0);
	TELL(&s, {0, PAGE, BASE + BLOCK, 0, 0, 0});
	check_view(&s, 0, 0, 0);
	/* Pages that do not fall to the blocks evenly, and the largest sight there is. */
	s.n_sights = 0;
	build_sight(&s, BASE, 8, SEEN_SMALL, 0)->present_pages = 5;
	TELL(&s, {PAGE, 8 * BLOCK, BASE, 0, 0, 0});
	check_view(&s, 5 * PAGE, 0, 0);
	s.regions[0].end = BASE + UINT32_MAX * BLOCK;
	s.sights[0].blocks = UINT32_MAX;
	s.sights[0].present_pages = UINT32_MAX * UINT64_C(511) + 77;
	TELL(&s, {PAGE, UINT32_MAX * BLOCK, BASE, 0, 0, 0});
	check_view(&s, s.sights[0].present_pages * PAGE, 0, 0);
	snapshot_clear(&s);
}

static void a_slot_may_span_regions_and_holes(void **state)
{
	struct snapshot s = begin();

	(void)state;
	build_region(&s, BASE + 32 * BLOCK, 8 * BLOCK, BACKING_ANON);
	build_sight(&s, BASE + 32 * BLOCK, 8, SEEN_SMALL, FILL_FULL);
	build_region(&s, BASE + 50 * BLOCK, 8 * BLOCK, BACKING_ANON);
	build_sight(&s, BASE + 50 * BLOCK, 8, SEEN_HUGE, FILL_FULL);
	TELL(&s, {PAGE, 60 * BLOCK, BASE - BLOCK, 0, 0, 0});
	check_view(&s, 48 * BLOCK, 0, 0);
	TELL(&s, {PAGE, 20 * BLOCK, BASE + 31 * BLOCK, 0, 0, 0});
	check_view(&s, 10 * BLOCK, 0, 0);
	snapshot_clear(&s);
}

/* The same memory at several places of the guest is there once. */
static void aliases_are_counted_once(void **state)
{
	struct snapshot s = begin();

	(void)state;
	TELL(&s, {PAGE, 8 * BLOCK, BASE + 4 * BLOCK, 0, 0, 0},
	     {GIB + PAGE, 8 * BLOCK, BASE + 8 * BLOCK, 0, 1, 0},
	     {2 * GIB + PAGE, 8 * BLOCK, BASE, 0, 2, 0},
	     {3 * GIB + PAGE, 2 * BLOCK, BASE + BLOCK, 0, 3, 0});
	check_view(&s, 16 * BLOCK, 0, 0);
	TELL(&s, {0, MIB, BASE, 0, 0, 0}, {GIB, MIB, BASE, 0, 1, 0});
	check_view(&s, 0, MIB, 0);
	snapshot_clear(&s);
}

static void as_many_slots_as_there_can_be_at_one_place(void **state)
{
	struct snapshot s = begin();
	struct memslot *slots = calloc(SNAPSHOT_MEMSLOTS_MAX, sizeof(*slots));

	(void)state;
	assert_non_null(slots);
	for (size_t i = 0; i < SNAPSHOT_MEMSLOTS_MAX; i++)
		slots[i] = (struct memslot){i * GIB + PAGE, 32 * BLOCK, BASE, 0, 0, 0};
	assert_int_equal(snapshot_take_memslots(&s, &slots, SNAPSHOT_MEMSLOTS_MAX), 0);
	check_view(&s, 32 * BLOCK, 0, 0);
	snapshot_clear(&s);
}

/* The other address space has the same memory once more; ROM is not memory of the guest's. */
static void slots_that_are_no_ram_of_their_own(void **state)
{
	struct snapshot s = begin();

	(void)state;
	TELL(&s, {PAGE, 8 * BLOCK, BASE, MEMSLOT_READONLY, 0, 0},
	     {GIB, MIB, BASE, MEMSLOT_READONLY, 1, 0},
	     {PAGE, 8 * BLOCK, BASE, MEMSLOT_GUEST_MEMFD, 0, 1}, {GIB, MIB, BASE, 0, 1, 1});
	check_view(&s, 0, 0, 0);
	/* A log ends; that addresses disagree does not. */
	TELL(&s, {PAGE, 8 * BLOCK, BASE, MEMSLOT_LOG_DIRTY, 0, 0});
	check_view(&s, 8 * BLOCK, 0, 0);
	snapshot_clear(&s);
}

static void hostile_slots_far_outside(void **state)
{
	struct snapshot s = begin();

	(void)state;
	TELL(&s, {PAGE, INT64_MAX - 4095 - 2 * PAGE, 0, 0, 0, 0},
	     {INT64_MAX - 4095 - 4096, 4096, INT64_MAX - 4095 - 4096, 0, 1, 0});
	check_view(&s, 32 * BLOCK, 0, 0);
	TELL(&s, {0, BLOCK, INT64_MAX - 4095 - BLOCK, 0, 1, 0});
	check_view(&s, 0, 0, 0);
	TELL(&s, {0, INT64_MAX - 4095, 0, MEMSLOT_GUEST_MEMFD, 1, 0});
	check_view(&s, 0, 0, INT64_MAX - 4095);
	snapshot_clear(&s);
}

static void other_machines_have_other_blocks(void **state)
{
	struct snapshot s;
	const uint64_t block = UINT64_C(512) * MIB;

	(void)state;
	build_begin(&s);
	s.geometry = geometry_64k;
	build_region(&s, BASE, 4 * block, BACKING_SHMEM);
	build_sight(&s, BASE, 4, SEEN_HUGE, FILL_FULL);
	TELL(&s, {BLOCK, 4 * block, BASE, 0, 0, 0});
	check_view(&s, 4 * block, 0, 0);
	TELL(&s, {BLOCK, 4 * block - BLOCK, BASE + BLOCK, 0, 0, 0});
	check_view(&s, 0, block - BLOCK, 0);
	snapshot_clear(&s);
}

/* ---- Against a page by page search, in worlds at random ---- */

enum { WORLD_BLOCKS = 12 };

static bool is_resident(const struct snapshot *s, hva_t page)
{
	for (size_t i = 0; i < s->n_sights; i++) {
		const struct sight *v = &s->sights[i];

		if (v->seen == SEEN_HUGE && page >= v->start && page < v->start + v->blocks * BLOCK)
			return true;
	}
	return false;
}

/* The whole block around the page, where it is in the guest, is in the slot. */
static bool is_in_whole_block(const struct memslot *m, hva_t page)
{
	gpa_t block = align_down(page - m->hva + m->gpa, BLOCK);

	return block >= m->gpa && block + BLOCK <= m->gpa + m->bytes;
}

static bool has_whole_block(const struct memslot *m)
{
	for (hva_t page = m->hva; page < m->hva + m->bytes; page += PAGE)
		if (is_in_whole_block(m, page))
			return true;
	return false;
}

static void search(const struct snapshot *s, uint64_t *not_congruent, uint64_t *head_tail)
{
	*not_congruent = *head_tail = 0;
	for (hva_t page = BASE; page < BASE + WORLD_BLOCKS * BLOCK; page += PAGE) {
		bool is_off = false, is_edge = false;

		for (size_t i = 0; i < s->n_memslots && is_resident(s, page); i++) {
			const struct memslot *m = &s->memslots[i];
			bool agrees = m->gpa % BLOCK == m->hva % BLOCK || !has_whole_block(m);

			if (page < m->hva || page >= m->hva + m->bytes || m->address_space > 0)
				continue;
			is_off |= !agrees;
			is_edge |= agrees && !is_in_whole_block(m, page);
		}
		*not_congruent += is_off ? PAGE : 0;
		*head_tail += is_edge ? PAGE : 0;
	}
}

static struct snapshot random_world(uint64_t *seed)
{
	struct memslot slots[5];
	struct snapshot s;

	build_begin(&s);
	build_region(&s, BASE, WORLD_BLOCKS * BLOCK, BACKING_SHMEM);
	for (hva_t at = BASE; at < BASE + WORLD_BLOCKS * BLOCK; at += BLOCK)
		if (!one_in(seed, 4))
			build_sight(&s, at, 1, one_in(seed, 4) ? SEEN_NOTHING : SEEN_HUGE,
				    FILL_FULL);
	for (size_t i = 0; i < ARRAY_SIZE(slots); i++) {
		uint64_t off = one_in(seed, 2) ? 0 : random_below(seed, 512) * PAGE;

		slots[i] = (struct memslot){
			.gpa = i * GIB + random_below(seed, 4) * 300 * PAGE,
			.bytes = (1 + random_below(seed, one_in(seed, 3) ? 1000 : 4000)) * PAGE,
			.address_space = one_in(seed, 6),
		};
		slots[i].hva = BASE - 2 * BLOCK + random_below(seed, WORLD_BLOCKS + 2) * BLOCK +
			       slots[i].gpa % BLOCK + off;
	}
	tell(&s, slots, ARRAY_SIZE(slots));
	return s;
}

static void a_search_page_by_page_finds_the_same(void **state)
{
	uint64_t seed = 4711, n_off = 0, n_edge = 0;

	(void)state;
	for (int i = 0; i < 300; i++) {
		struct snapshot s = random_world(&seed);
		uint64_t not_congruent, head_tail;

		search(&s, &not_congruent, &head_tail);
		check_view(&s, not_congruent, head_tail, 0);
		n_off += not_congruent > 0;
		n_edge += head_tail > 0;
		snapshot_clear(&s);
	}
	/* The worlds are not all alike. */
	assert_true(n_off > 100 && n_edge > 100);
}

/* ---- What becomes of it beside KVM's counts ---- */

static void assert_finding(const struct kvm_view *v, size_t i, enum reason reason, uint64_t bytes)
{
	assert_true(i < v->n_findings);
	assert_string_equal(reason_slug(v->findings[i].reason), reason_slug(reason));
	assert_int_equal(v->findings[i].bytes, bytes);
}

/* KVM maps the 64 MiB: these by small pages, the rest by huge ones, since ten seconds. */
static struct kvm_view view_of(struct snapshot *s, unsigned int small_mib)
{
	const struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 64 * MIB};

	s->kvm = (struct kvm_counts){.source = KVM_SOURCE_DEBUGFS,
				     .read_ns = 20 * SECOND,
				     .pages_4k = small_mib * PAGES_OF_MIB,
				     .pages_2m = (64 - small_mib) / 2};
	s->kvm_before = s->kvm;
	s->kvm_before.read_ns = 10 * SECOND;
	return kvm_view_of(s, &t);
}

static void addresses_that_disagree_are_found_without_counts(void **state)
{
	const struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 64 * MIB};
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	TELL(&s, {PAGE, 32 * BLOCK, BASE, 0, 0, 0});
	v = kvm_view_of(&s, &t);
	assert_false(v.is_known);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_SLOT_NOT_CONGRUENT, 64 * MIB);
	snapshot_clear(&s);
}

static void what_is_inferred_is_marked(void **state)
{
	const struct memslot slots[] = {{PAGE, 16 * BLOCK, BASE, 0, 0, 0},
					{GIB - PAGE, BLOCK, BASE + 17 * BLOCK - PAGE, 0, 0, 0}};
	struct memslot *copy = malloc(sizeof(slots));
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	assert_non_null(copy);
	memcpy(copy, slots, sizeof(slots));
	assert_int_equal(snapshot_infer_memslots(&s, &copy, 2, SECOND), 0);
	check_view(&s, 32 * MIB, 2 * MIB, 0);
	v = view_of(&s, 64);
	assert_int_equal(v.n_findings, 3);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 30 * MIB);
	assert_true(v.findings[0].is_inferred); /* how much of what KVM counts */
	assert_finding(&v, 1, REASON_SLOT_NOT_CONGRUENT, 32 * MIB);
	assert_true(v.findings[1].is_inferred);
	assert_finding(&v, 2, REASON_SLOT_HEAD_TAIL, 2 * MIB);
	assert_true(v.findings[2].is_inferred);
	tell(&s, slots, 2);
	v = view_of(&s, 64);
	assert_int_equal(v.n_findings, 3);
	for (size_t i = 0; i < v.n_findings; i++)
		assert_false(v.findings[i].is_inferred);
	snapshot_clear(&s);
}

/* 16 MiB are small for ever. Without them KVM maps 40 of 48 MiB small, or 24 or 23 of 48. */
static void what_slots_explain_is_not_blamed_on_kvm(void **state)
{
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	TELL(&s, {0, 24 * BLOCK, BASE, 0, 0, 0},
	     {GIB + PAGE, 8 * BLOCK, BASE + 24 * BLOCK, 0, 1, 0});
	v = view_of(&s, 56);
	assert_int_equal(v.n_findings, 2);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 40 * MIB);
	assert_finding(&v, 1, REASON_SLOT_NOT_CONGRUENT, 16 * MIB);
	v = view_of(&s, 42); /* more than half of all, 26 of 48 of what can be huge */
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 26 * MIB);
	v = view_of(&s, 40); /* more than half of all, and half of what can be huge */
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_SLOT_NOT_CONGRUENT, 16 * MIB);
	v = view_of(&s, 0);
	assert_int_equal(v.n_findings, 1);
	snapshot_clear(&s);
}

/* KVM has entries of a fair part of what can be huge, if not of all. */
static void a_fair_share_is_of_what_can_be_huge(void **state)
{
	const struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 64 * MIB};
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	TELL(&s, {0, 8 * BLOCK, BASE, 0, 0, 0},
	     {GIB + PAGE, 24 * BLOCK, BASE + 8 * BLOCK, 0, 1, 0});
	s.kvm = (struct kvm_counts){.source = KVM_SOURCE_DEBUGFS,
				    .read_ns = 20 * SECOND,
				    .pages_4k = (48 + 4) * PAGES_OF_MIB};
	s.kvm_before = s.kvm;
	s.kvm_before.read_ns = 10 * SECOND;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 2);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 4 * MIB);
	s.kvm.pages_4k--;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	snapshot_clear(&s);
}

static void edges_are_worth_a_word_in_a_vm_of_small_slots_only(void **state)
{
	struct totals t = {.resident_bytes = 200 * MIB, .huge_bytes = 200 * MIB};
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	TELL(&s, {MIB, 31 * BLOCK, BASE + MIB, 0, 0, 0}); /* a MiB at either end */
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_SLOT_HEAD_TAIL, 2 * MIB);
	t.resident_bytes++;
	assert_int_equal(kvm_view_of(&s, &t).n_findings, 0);
	/* Told or not, it is no fault of KVM's. */
	v = view_of(&s, 40);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 38 * MIB);
	snapshot_clear(&s);
}

static void memory_of_the_guests_alone_is_said_to_be(void **state)
{
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	TELL(&s, {0, 16 * BLOCK, BASE, MEMSLOT_GUEST_MEMFD, 0, 0},
	     {GIB, 16 * BLOCK, BASE + 16 * BLOCK, 0, 1, 0});
	v = view_of(&s, 32); /* 32 of guest_memfd, 32 huge */
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_SEV_OR_GUEST_MEMFD, 32 * MIB);
	v = view_of(&s, 64);
	assert_int_equal(v.n_findings, 2);
	assert_finding(&v, 0, REASON_KVM_SMALL_UNDER_HUGE_HOST, 32 * MIB);
	snapshot_clear(&s);
}

/* Pinned before it was huge: no memslot tells it, and it needs none. */
static void what_kvm_has_pinned_is_no_fault_of_kvms(void **state)
{
	struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 60 * MIB};
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	s.vm.has_sev = true;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_SEV_OR_GUEST_MEMFD, 4 * MIB);
	s.kvm = (struct kvm_counts){.source = KVM_SOURCE_DEBUGFS,
				    .read_ns = 100 * SECOND,
				    .pages_2m = 30,
				    .pages_4k = 4 * PAGES_OF_MIB};
	s.kvm_before = s.kvm;
	s.kvm_before.read_ns = 10 * SECOND;
	assert_int_equal(kvm_view_of(&s, &t).curable_bytes, 0);
	s.vm.has_sev = false;
	assert_int_equal(kvm_view_of(&s, &t).curable_bytes, 4 * MIB);
	assert_int_equal(kvm_view_of(&s, &t).n_findings, 0);
	/* Both are said at once: once, together, and as of the library's own knowledge. */
	s.vm.has_sev = true;
	TELL(&s, {0, 16 * BLOCK, BASE, MEMSLOT_GUEST_MEMFD, 0, 0});
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 1);
	assert_finding(&v, 0, REASON_SEV_OR_GUEST_MEMFD, 36 * MIB);
	assert_false(v.findings[0].is_inferred);
	/* Huge since its birth: nothing is wrong with it. */
	TELL(&s, {0, 16 * BLOCK, BASE, 0, 0, 0});
	t.huge_bytes = t.resident_bytes;
	assert_int_equal(kvm_view_of(&s, &t).n_findings, 0);
	snapshot_clear(&s);
}

/* Of slots that the monitor told only the geometry is inferred. */
static void a_pin_is_never_inferred(void **state)
{
	struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 32 * MIB};
	struct memslot *slot = malloc(sizeof(*slot));
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	assert_non_null(slot);
	*slot = (struct memslot){PAGE, 8 * BLOCK, BASE, 0, 0, 0};
	assert_int_equal(snapshot_infer_memslots(&s, &slot, 1, SECOND), 0);
	s.vm.has_sev = true;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, 2);
	assert_finding(&v, 0, REASON_SLOT_NOT_CONGRUENT, 16 * MIB);
	assert_true(v.findings[0].is_inferred);
	assert_finding(&v, 1, REASON_SEV_OR_GUEST_MEMFD, 32 * MIB);
	assert_false(v.findings[1].is_inferred);
	snapshot_clear(&s);
}

/* Whatever is wrong at once has its place. */
static void all_findings_together(void **state)
{
	struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 64 * MIB};
	struct snapshot s = begin();
	struct kvm_view v;

	(void)state;
	TELL(&s, {PAGE, 8 * BLOCK, BASE, MEMSLOT_GUEST_MEMFD, 0, 0},
	     {GIB, MIB, BASE + 16 * BLOCK, 0, 1, 0});
	v = view_of(&s, 64);
	s.kvm.nx_splits = 3;
	v = kvm_view_of(&s, &t);
	assert_int_equal(v.n_findings, KVM_FINDINGS_MAX);
	assert_finding(&v, 0, REASON_NX_SPLIT, 6 * MIB);
	assert_finding(&v, 1, REASON_KVM_SMALL_UNDER_HUGE_HOST, (64 - 6 - 16 - 16 - 1) * MIB);
	assert_finding(&v, 2, REASON_SLOT_NOT_CONGRUENT, 16 * MIB);
	assert_finding(&v, 3, REASON_SLOT_HEAD_TAIL, MIB);
	assert_finding(&v, 4, REASON_SEV_OR_GUEST_MEMFD, 16 * MIB);
	snapshot_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_guessed),
		cmocka_unit_test(addresses_that_agree_are_fine),
		cmocka_unit_test(a_page_off_is_all_of_the_slot),
		cmocka_unit_test(a_slot_without_a_block_is_an_edge),
		cmocka_unit_test(heads_and_tails),
		cmocka_unit_test(what_is_not_resident_does_not_count),
		cmocka_unit_test(a_slot_may_span_regions_and_holes),
		cmocka_unit_test(aliases_are_counted_once),
		cmocka_unit_test(as_many_slots_as_there_can_be_at_one_place),
		cmocka_unit_test(slots_that_are_no_ram_of_their_own),
		cmocka_unit_test(hostile_slots_far_outside),
		cmocka_unit_test(other_machines_have_other_blocks),
		cmocka_unit_test(a_search_page_by_page_finds_the_same),
		cmocka_unit_test(addresses_that_disagree_are_found_without_counts),
		cmocka_unit_test(what_is_inferred_is_marked),
		cmocka_unit_test(what_slots_explain_is_not_blamed_on_kvm),
		cmocka_unit_test(a_fair_share_is_of_what_can_be_huge),
		cmocka_unit_test(edges_are_worth_a_word_in_a_vm_of_small_slots_only),
		cmocka_unit_test(memory_of_the_guests_alone_is_said_to_be),
		cmocka_unit_test(what_kvm_has_pinned_is_no_fault_of_kvms),
		cmocka_unit_test(a_pin_is_never_inferred),
		cmocka_unit_test(all_findings_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
