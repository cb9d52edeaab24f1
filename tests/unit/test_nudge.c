/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When a VM is nudged, when not, and whether it helped. */
#include "nudge.h"

#include "snapshot_builder.h"

#define SECOND UINT64_C(1000000000)
#define MINUTE (60 * SECOND)
#define NOW    (1000 * SECOND)

enum { PAGES_OF_MIB = 256 };

/* 64 MiB of huge pages, of which KVM maps these by small pages, and the rest by huge ones. */
static void count(struct snapshot *s, unsigned int small_mib, uint64_t read_ns)
{
	const struct kvm_counts counts = {.source = KVM_SOURCE_VMM,
					  .read_ns = read_ns,
					  .pages_4k = small_mib * PAGES_OF_MIB,
					  .pages_2m = (64 - small_mib) / 2};

	kvm_view_take(s, &counts);
}

static void tell(struct snapshot *s, const struct memslot *slots, size_t n)
{
	struct memslot *copy = malloc(n * sizeof(*copy));

	assert_non_null(copy);
	memcpy(copy, slots, n * sizeof(*copy));
	assert_int_equal(snapshot_take_memslots(s, &copy, n), 0);
}

/* All small since ten seconds: everything speaks for a nudge. */
static struct snapshot begin(void)
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

static struct kvm_view view_of(const struct snapshot *s)
{
	const struct totals t = {.resident_bytes = 64 * MIB, .huge_bytes = 64 * MIB};

	return kvm_view_of(s, &t);
}

static void check_held(const struct nudge_history *h, const struct snapshot *s, uint64_t now_ns,
		       enum reason expected)
{
	struct kvm_view view = view_of(s);

	assert_string_equal(reason_slug(nudge_held(h, s, &view, NUDGE_BY_LIBRARY, now_ns)),
			    reason_slug(expected));
}

static const struct nudge_history never = NUDGE_HISTORY_INIT, wished = {.is_wished = true};

static struct nudge_history nudged(struct snapshot *s)
{
	struct kvm_view view = view_of(s);
	struct nudge_history h = NUDGE_HISTORY_INIT;

	nudge_note(&h, &view, NOW);
	return h;
}

static bool observe(struct nudge_history *h, const struct snapshot *s)
{
	struct kvm_view view = view_of(s);

	return nudge_observe(h, s, &view);
}

static void evidence_suffices(void **state)
{
	struct snapshot s = begin();

	(void)state;
	check_held(&never, &s, NOW, REASON_NONE);
	s.is_migrating = ANSWER_NO;
	check_held(&never, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* [Nudge] Mode=off, which is the default. */
static void without_leave_only_a_wish_does_it(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.policy.nudge = ((struct policy)POLICY_INIT).nudge;
	check_held(&never, &s, NOW, REASON_POLICY_OFF);
	check_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

static void without_evidence_only_a_wish_does_it(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.kvm_before.read_ns++; /* not ten seconds */
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_held(&wished, &s, NOW, REASON_NONE);
	s.kvm_before.read_ns--;
	check_held(&never, &s, NOW, REASON_NONE);
	s.kvm.pages_4k = 0;
	s.kvm.pages_2m = 32;
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_held(&wished, &s, NOW, REASON_NONE);
	s.kvm.source = s.kvm_before.source = KVM_SOURCE_NONE;
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* What a VM lacks to be nudged depends on its VMM, and so does what helps. */
static void who_tells_no_slots_is_told_why(void **state)
{
	static const struct {
		const char *exe, *comm;
		bool is_of_libvirt;
		enum answer is_static;
		enum reason expected;
	} cases[] = {
		{"/usr/bin/qemu-system-x86_64", "q", false, ANSWER_NO, REASON_MEMSLOTS_NOT_TOLD},
		{"/usr/bin/qemu-system-x86_64", "q", true, ANSWER_NO, REASON_THROUGH_LIBVIRT},
		{"/usr/bin/qemu-system-x86_64", "q", false, ANSWER_YES, REASON_VMM_IS_STATIC},
		{"/usr/bin/cloud-hypervisor", "vmm", false, ANSWER_NO, REASON_VMM_HAS_NO_WAY},
		{"/usr/bin/cloud-hypervisor-static", "c", false, ANSWER_YES, REASON_VMM_HAS_NO_WAY},
		{"/firecracker", "firecracker", false, ANSWER_YES, REASON_VMM_HAS_NO_WAY},
		{"", "firecracker", false, ANSWER_UNKNOWN, REASON_VMM_HAS_NO_WAY},
		{"/usr/bin/crosvm", "crosvm", false, ANSWER_NO, REASON_MEMSLOTS_NOT_TOLD},
		{"/opt/mine", "mine", false, ANSWER_YES, REASON_VMM_IS_STATIC},
		{"/opt/mine", "mine", false, ANSWER_UNKNOWN, REASON_MEMSLOTS_NOT_TOLD},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct snapshot s = begin();

		strcpy(s.vm.exe, cases[i].exe);
		strcpy(s.vm.comm, cases[i].comm);
		s.vm.is_of_libvirt = cases[i].is_of_libvirt;
		s.vm.is_static = cases[i].is_static;
		/* Who tells them has loaded the library, whatever it is. */
		check_held(&wished, &s, NOW, REASON_NONE);
		snapshot_forget_memslots(&s);
		check_held(&wished, &s, NOW, cases[i].expected);
		check_held(&never, &s, NOW, cases[i].expected);
		snapshot_clear(&s);
	}
}

static void a_log_for_life_is_not_touched(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.vm.is_logged_for_life = ANSWER_YES;
	check_held(&wished, &s, NOW, REASON_DIRTY_LOGGING_FOR_LIFE);
	s.is_migrating = ANSWER_YES;
	check_held(&wished, &s, NOW, REASON_DIRTY_LOGGING_FOR_LIFE);
	s.is_migrating = ANSWER_NO;
	s.vm.is_logged_for_life = ANSWER_NO;
	check_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* Small for ever is nothing that a nudge could cure. */
static void what_slots_explain_is_no_evidence(void **state)
{
	static const struct memslot off = {PAGE, 32 * BLOCK, BASE, 0, 0, 0};
	struct snapshot s = begin();

	(void)state;
	tell(&s, &off, 1);
	check_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	snapshot_clear(&s);
}

/* The one left-over on x86 that a nudge is good for (docs/NUDGE.md): the guest has executed in all
 * of its memory, and does so no more, or does. */
static void what_was_split_for_code_is_evidence(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h, other;

	(void)state;
	s.kvm.nx_splits = 32;
	check_held(&never, &s, NOW, REASON_NONE);
	h = other = nudged(&s);
	assert_int_equal(h.verdict.small_before_bytes, 64 * MIB);
	count(&s, 64, NOW + 10 * SECOND);
	s.kvm.nx_splits = 32;
	assert_true(observe(&h, &s));
	assert_int_equal(h.verdict.small_after_bytes, 64 * MIB);
	assert_true(h.verdict.is_vain);
	check_held(&h, &s, NOW + 1000 * MINUTE, REASON_NUDGED_IN_VAIN);
	count(&s, 0, NOW + 10 * SECOND);
	assert_true(observe(&other, &s));
	assert_false(other.verdict.is_vain);
	snapshot_clear(&s);
}

/* Spoils the snapshot, and expects that neither evidence nor a wish helps. */
#define CHECK_GUARD(reason, ...)                      \
	do {                                          \
		struct snapshot s = begin();          \
		__VA_ARGS__;                          \
		check_held(&never, &s, NOW, reason);  \
		check_held(&wished, &s, NOW, reason); \
		snapshot_clear(&s);                   \
	} while (0)

static void guards_hold_against_a_wish(void **state)
{
	(void)state;
	CHECK_GUARD(REASON_PAUSED, s.policy.is_paused = true);
	CHECK_GUARD(REASON_POLICY_OFF, s.policy.mode = MODE_REPORT);
	CHECK_GUARD(REASON_POLICY_OFF, s.policy.mode = MODE_OFF);
	CHECK_GUARD(REASON_USERFAULTFD, s.vm.has_uffd = true);
	CHECK_GUARD(REASON_DIRTY_LOGGING_ON, s.is_migrating = ANSWER_YES);
	CHECK_GUARD(REASON_MEMSLOTS_NOT_TOLD, snapshot_forget_memslots(&s));
	CHECK_GUARD(REASON_DIRTY_LOGGING_ON, s.memslots[0].flags = MEMSLOT_LOG_DIRTY);
}

static void check_logged(hva_t hva, uint64_t bytes, bool is_ram)
{
	const struct memslot slots[] = {
		{0, BLOCK, BASE + BLOCK, 0, 0, 0},
		{64 * BLOCK, bytes, hva, MEMSLOT_LOG_DIRTY, 1, 1},
	};
	struct snapshot s = begin();

	build_region(&s, BASE + 64 * BLOCK, 32 * BLOCK, BACKING_SHMEM);
	tell(&s, slots, 2);
	check_held(&wished, &s, NOW, is_ram ? REASON_DIRTY_LOGGING_ON : REASON_NONE);
	snapshot_clear(&s);
}

/* A display is logged for ever, outside of what is RAM. */
static void only_a_log_on_ram_counts(void **state)
{
	(void)state;
	check_logged(BASE + 32 * BLOCK, 32 * BLOCK, false);
	check_logged(BASE + 32 * BLOCK - PAGE, 2 * PAGE, true);
	check_logged(BASE + 63 * BLOCK, BLOCK + PAGE, true);
	check_logged(BASE + 96 * BLOCK, BLOCK, false);
	check_logged(BASE - 8 * BLOCK, 8 * BLOCK, false);
	check_logged(BASE - 8 * BLOCK, 200 * BLOCK, true);
	check_logged(PAGE, PAGE, false);
}

static void not_twice_in_ten_minutes(void **state)
{
	struct snapshot s = begin();
	struct kvm_view view = view_of(&s);
	struct nudge_history h = NUDGE_HISTORY_INIT;

	(void)state;
	nudge_note(&h, &view, NOW);
	check_held(&h, &s, NOW, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	h.is_wished = true;
	check_held(&h, &s, NOW + 1, REASON_NONE);
	/* It is done, and the wish with it. */
	nudge_note(&h, &view, NOW + 1);
	assert_false(h.is_wished);
	snapshot_clear(&s);
}

/* What a snapshot says of a history. */
static void check_replayed(const struct nudge_history *h, struct snapshot *s, uint64_t now_ns,
			   enum reason expected)
{
	struct kvm_view view = view_of(s);

	s->nudge_held = nudge_held_by_history(h, NUDGE_BY_LIBRARY, now_ns);
	check_held(h, s, now_ns, expected);
	assert_string_equal(reason_slug(nudge_held_in(s, &view)), reason_slug(expected));
}

static void a_snapshot_says_the_same(void **state)
{
	struct snapshot s = begin();
	struct kvm_view view = view_of(&s);
	struct nudge_history h = NUDGE_HISTORY_INIT;

	(void)state;
	check_replayed(&h, &s, NOW, REASON_NONE);
	nudge_note(&h, &view, NOW);
	check_replayed(&h, &s, NOW + 10 * MINUTE - 1, REASON_NUDGED_LATELY);
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	h.verdict.is_vain = true;
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_NUDGED_IN_VAIN);
	s.policy.nudge = NUDGE_OFF;
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_POLICY_OFF);
	s.is_migrating = ANSWER_YES;
	check_replayed(&h, &s, NOW + 10 * MINUTE, REASON_DIRTY_LOGGING_ON);
	snapshot_clear(&s);
}

static void a_gain_is_told(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s);

	(void)state;
	assert_true(h.has_nudged && h.awaits_verdict && !h.verdict.is_known);
	count(&s, 4, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_known);
	assert_false(h.verdict.is_vain);
	assert_int_equal(h.verdict.small_before_bytes, 64 * MIB);
	assert_int_equal(h.verdict.huge_before_bytes, 0);
	assert_int_equal(h.verdict.small_after_bytes, 4 * MIB);
	assert_int_equal(h.verdict.huge_after_bytes, 60 * MIB);
	/* The next samples are of something else. */
	count(&s, 64, NOW + 20 * SECOND);
	assert_false(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	snapshot_clear(&s);
}

static void a_sample_from_before_says_nothing(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s), none = NUDGE_HISTORY_INIT;

	(void)state;
	assert_false(observe(&h, &s));
	count(&s, 64, NOW + 10 * SECOND - 1);
	assert_false(observe(&h, &s));
	s.kvm.read_ns = NOW - SECOND;
	assert_false(observe(&h, &s));
	s.kvm.source = KVM_SOURCE_NONE;
	s.kvm.read_ns = NOW + MINUTE;
	assert_false(observe(&h, &s));
	assert_true(h.awaits_verdict);
	s.kvm.source = KVM_SOURCE_VMM;
	assert_true(observe(&h, &s));
	assert_false(observe(&none, &s));
	snapshot_clear(&s);
}

/* 60 of 64 MiB were small; a tenth of that is 6 MiB. */
static void a_tenth_is_not_in_vain(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h;

	(void)state;
	count(&s, 60, NOW);
	h = nudged(&s);
	count(&s, 54, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	h = nudged(&s);
	s.kvm.read_ns = NOW + 10 * SECOND;
	h.verdict.small_before_bytes = 60 * MIB;
	h.verdict.huge_before_bytes = 4 * MIB;
	s.kvm.pages_4k = 56 * PAGES_OF_MIB;
	s.kvm.pages_2m = 4;
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	snapshot_clear(&s);
}

static void what_was_in_vain_is_not_repeated(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s);

	(void)state;
	count(&s, 64, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	count(&s, 64, NOW + 20 * SECOND);
	check_held(&h, &s, NOW + 9 * MINUTE, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 1000 * MINUTE, REASON_NUDGED_IN_VAIN);
	h.is_wished = true;
	check_held(&h, &s, NOW + 9 * MINUTE, REASON_NONE);
	h.is_wished = false;
	nudge_forget(&h);
	check_held(&h, &s, NOW + 9 * MINUTE, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	snapshot_clear(&s);
}

/* Entries that were dropped come back as the guest touches its memory: what counts is their kind.
 */
static void a_guest_that_sleeps_is_waited_for(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s), other = h;

	(void)state;
	count(&s, 64, NOW + 10 * SECOND);
	s.kvm.pages_4k = 16 * PAGES_OF_MIB - 1;
	assert_false(observe(&h, &s));
	assert_true(h.awaits_verdict);
	s.kvm.pages_4k++; /* a quarter came back, and all of it small */
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	s.kvm.pages_4k = 4 * PAGES_OF_MIB;
	s.kvm.pages_2m = 6;
	assert_true(observe(&other, &s));
	assert_false(other.verdict.is_vain);
	snapshot_clear(&s);
}

/* thpd collapsed something between the nudge and the sample. */
static void a_verdict_is_of_the_nudge_alone(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = nudged(&s);

	(void)state;
	nudge_forget(&h);
	count(&s, 64, NOW + 10 * SECOND);
	assert_false(observe(&h, &s));
	assert_false(h.verdict.is_vain || h.verdict.is_known);
	assert_true(h.has_nudged);
	snapshot_clear(&s);
}

/* By wish: of what was not small nothing can be gained, nor judged. */
static void a_nudge_without_need_is_not_in_vain(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h;

	(void)state;
	count(&s, 0, NOW);
	h = nudged(&s);
	count(&s, 4, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	/* KVM had not a single entry: a sample is one all the same, and none is none. */
	s.kvm.pages_4k = s.kvm.pages_2m = 0;
	h = nudged(&s);
	s.kvm.source = KVM_SOURCE_NONE;
	assert_false(observe(&h, &s));
	s.kvm.source = KVM_SOURCE_VMM;
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	s.kvm.source = KVM_SOURCE_NONE;
	h = nudged(&s);
	assert_false(h.awaits_verdict);
	snapshot_clear(&s);
}

static void impossible_numbers_do_not_wrap(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h;

	(void)state;
	s.kvm.pages_4k = UINT64_MAX;
	h = nudged(&s);
	assert_true(h.verdict.small_before_bytes == UINT64_MAX);
	s.kvm.read_ns = UINT64_MAX;
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	h = nudged(&s);
	s.kvm.pages_4k = 0;
	s.kvm.pages_2m = UINT64_MAX;
	assert_true(observe(&h, &s));
	assert_false(h.verdict.is_vain);
	h.nudged_ns = UINT64_MAX;
	check_held(&h, &s, NOW, REASON_NOTHING_TO_NUDGE);
	snapshot_clear(&s);
}

/* ---- By QEMU --------------------------------------------------------------------------------- */

#define HOUR (60 * MINUTE)
#define DAY  (24 * HOUR)

/* Nobody tells the memslots, and QEMU has a monitor. */
static struct snapshot begin_without_library(void)
{
	struct snapshot s = begin();

	s.policy.may_dirty_rate = true;
	(void)strcpy(s.policy.monitor, "/run/%n");
	snapshot_forget_memslots(&s);
	return s;
}

static void check_qemu_held(const struct nudge_history *h, const struct snapshot *s,
			    uint64_t now_ns, enum reason expected)
{
	struct kvm_view view = view_of(s);

	assert_string_equal(reason_slug(nudge_held(h, s, &view, NUDGE_BY_DIRTY_RATE, now_ns)),
			    reason_slug(expected));
}

static void check_qemu_replayed(const struct snapshot *s, enum reason expected)
{
	struct kvm_view view = view_of(s);

	assert_string_equal(reason_slug(nudge_held_in(s, &view)), reason_slug(expected));
}

static void with_a_library_qemu_is_never_asked(void **state)
{
	struct policy p = POLICY_INIT;

	(void)state;
	assert_int_equal(nudge_means_of(&p, false), NUDGE_BY_LIBRARY); /* the default */
	assert_int_equal(nudge_means_of(&p, true), NUDGE_BY_LIBRARY);
	p.may_dirty_rate = true;
	assert_int_equal(nudge_means_of(&p, false), NUDGE_BY_DIRTY_RATE);
	assert_int_equal(nudge_means_of(&p, true), NUDGE_BY_LIBRARY);
	assert_string_equal(nudge_means_name(NUDGE_BY_LIBRARY), "vmm");
	assert_string_equal(nudge_means_name(NUDGE_BY_DIRTY_RATE), "qmp/calc-dirty-rate");
}

static void qemu_needs_leave_and_evidence_or_a_wish(void **state)
{
	struct snapshot s = begin_without_library();

	(void)state;
	check_qemu_held(&never, &s, NOW, REASON_NONE);
	check_qemu_replayed(&s, REASON_NO_MONITOR);
	s.has_monitor = true;
	check_qemu_replayed(&s, REASON_NONE);
	s.has_library = true; /* and does not tell, for now */
	check_qemu_replayed(&s, REASON_MEMSLOTS_NOT_TOLD);
	s.has_library = false;
	s.policy.nudge = NUDGE_OFF;
	check_qemu_held(&never, &s, NOW, REASON_POLICY_OFF);
	check_qemu_replayed(&s, REASON_POLICY_OFF);
	check_qemu_held(&wished, &s, NOW, REASON_NONE);
	s.policy.nudge = NUDGE_AUTO;
	s.kvm_before.read_ns++; /* not ten seconds */
	check_qemu_held(&never, &s, NOW, REASON_NOTHING_TO_NUDGE);
	check_qemu_held(&wished, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

/* Spoils the snapshot, and expects that neither evidence nor a wish helps. */
#define CHECK_QEMU_GUARD(reason, ...)                        \
	do {                                                 \
		struct snapshot s = begin_without_library(); \
		__VA_ARGS__;                                 \
		check_qemu_held(&never, &s, NOW, reason);    \
		check_qemu_held(&wished, &s, NOW, reason);   \
		snapshot_clear(&s);                          \
	} while (0)

static void guards_hold_qemu_against_a_wish(void **state)
{
	(void)state;
	CHECK_QEMU_GUARD(REASON_PAUSED, s.policy.is_paused = true);
	CHECK_QEMU_GUARD(REASON_POLICY_OFF, s.policy.mode = MODE_REPORT);
	CHECK_QEMU_GUARD(REASON_USERFAULTFD, s.vm.has_uffd = true);
	CHECK_QEMU_GUARD(REASON_DIRTY_LOGGING_ON, s.is_migrating = ANSWER_YES);
	CHECK_QEMU_GUARD(REASON_NO_MONITOR, s.policy.monitor[0] = '\0');
	CHECK_QEMU_GUARD(REASON_NO_MONITOR, s.policy.monitor[0] = '\0',
			 s.vm.is_static = ANSWER_YES);
	CHECK_QEMU_GUARD(REASON_THROUGH_LIBVIRT, s.policy.monitor[0] = '\0',
			 s.vm.is_of_libvirt = true);
	CHECK_QEMU_GUARD(REASON_VMM_HAS_NO_WAY, strcpy(s.vm.exe, "/usr/bin/cloud-hypervisor"));
	CHECK_QEMU_GUARD(REASON_DIRTY_LOGGING_FOR_LIFE, s.vm.is_logged_for_life = ANSWER_YES);
	CHECK_QEMU_GUARD(REASON_VFIO_DEVICE, s.vm.has_vfio = true);
}

static struct nudge_history measured(const struct snapshot *s)
{
	struct kvm_view view = view_of(s);
	struct nudge_history h = NUDGE_HISTORY_INIT;

	nudge_note(&h, &view, NOW);
	return h;
}

static void qemu_measures_once_a_day_at_most(void **state)
{
	struct snapshot s = begin_without_library();
	struct nudge_history h = measured(&s);

	(void)state;
	check_qemu_held(&h, &s, NOW + 10 * MINUTE, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + DAY - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + DAY, REASON_NONE);
	/* Not even on request, as long as nobody can have seen what it did. */
	h.is_wished = true;
	check_qemu_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	snapshot_clear(&s);
}

static void a_library_that_comes_is_not_held_for_a_day(void **state)
{
	struct snapshot s = begin();
	struct nudge_history h = measured(&s);

	(void)state;
	check_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_NUDGED_LATELY);
	check_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	h.is_wished = true;
	check_held(&h, &s, NOW + 1, REASON_NONE);
	snapshot_clear(&s);
}

/* What was only asked is no measuring: an operator may try again at once. */
static void what_came_to_nothing_is_put_off(void **state)
{
	struct snapshot s = begin_without_library();
	struct nudge_history h = NUDGE_HISTORY_INIT;

	(void)state;
	nudge_put_off(&h, false, NOW);
	check_qemu_held(&h, &s, NOW + 10 * MINUTE - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + 10 * MINUTE, REASON_NONE);
	nudge_put_off(&h, true, NOW);
	nudge_put_off(&h, false, NOW + 1); /* no sooner for that */
	check_qemu_held(&h, &s, NOW + DAY - 1, REASON_MEASURED_LATELY);
	check_qemu_held(&h, &s, NOW + DAY, REASON_NONE);
	h.is_wished = true;
	check_qemu_held(&h, &s, NOW, REASON_NONE);
	snapshot_clear(&s);
}

static void a_measuring_in_vain_is_not_repeated(void **state)
{
	struct snapshot s = begin_without_library();
	struct nudge_history h = measured(&s);

	(void)state;
	count(&s, 64, NOW + 10 * SECOND);
	assert_true(observe(&h, &s));
	assert_true(h.verdict.is_vain);
	count(&s, 64, NOW + 20 * SECOND);
	check_qemu_held(&h, &s, NOW + 2 * DAY, REASON_NUDGED_IN_VAIN);
	snapshot_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(evidence_suffices),
		cmocka_unit_test(without_leave_only_a_wish_does_it),
		cmocka_unit_test(without_evidence_only_a_wish_does_it),
		cmocka_unit_test(who_tells_no_slots_is_told_why),
		cmocka_unit_test(a_log_for_life_is_not_touched),
		cmocka_unit_test(what_slots_explain_is_no_evidence),
		cmocka_unit_test(what_was_split_for_code_is_evidence),
		cmocka_unit_test(guards_hold_against_a_wish),
		cmocka_unit_test(only_a_log_on_ram_counts),
		cmocka_unit_test(not_twice_in_ten_minutes),
		cmocka_unit_test(a_snapshot_says_the_same),
		cmocka_unit_test(a_gain_is_told),
		cmocka_unit_test(a_sample_from_before_says_nothing),
		cmocka_unit_test(a_tenth_is_not_in_vain),
		cmocka_unit_test(what_was_in_vain_is_not_repeated),
		cmocka_unit_test(a_guest_that_sleeps_is_waited_for),
		cmocka_unit_test(a_verdict_is_of_the_nudge_alone),
		cmocka_unit_test(a_nudge_without_need_is_not_in_vain),
		cmocka_unit_test(impossible_numbers_do_not_wrap),
		cmocka_unit_test(with_a_library_qemu_is_never_asked),
		cmocka_unit_test(qemu_needs_leave_and_evidence_or_a_wish),
		cmocka_unit_test(guards_hold_qemu_against_a_wish),
		cmocka_unit_test(qemu_measures_once_a_day_at_most),
		cmocka_unit_test(a_library_that_comes_is_not_held_for_a_day),
		cmocka_unit_test(what_came_to_nothing_is_put_off),
		cmocka_unit_test(a_measuring_in_vain_is_not_repeated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
