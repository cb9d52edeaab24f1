/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a VM lacks for want of a way to its VMM, and which way it is told. */
#include "vmm_hint.h"

#include "snapshot_builder.h"

static const struct kvm_view fine = {.is_known = true};
static const struct kvm_view small = {
	.is_known = true,
	.n_findings = 1,
	.findings = {{.reason = REASON_KVM_SMALL_UNDER_HUGE_HOST, .bytes = MIB}},
};

/* A domain of libvirt, of two guest nodes, on a host of two; nobody is asked of anything. */
static struct snapshot begin(void)
{
	struct snapshot s;

	build_begin(&s);
	strcpy(s.vm.exe, "/usr/bin/qemu-system-x86_64");
	s.vm.has_kvm = true;
	s.vm.is_of_libvirt = true;
	s.vm.has_guest_nodes = true;
	s.host.n_nodes = 2;
	return s;
}

static void check_hint(const struct snapshot *s, const struct kvm_view *view, bool is_uncounted,
		       struct vmm_hint expected)
{
	struct vmm_hint h = vmm_hint_of(s, view, is_uncounted);

	assert_string_equal(reason_slug(h.reason), reason_slug(expected.reason));
	assert_int_equal(h.lacks_counts, expected.lacks_counts);
	assert_int_equal(h.lacks_nodes, expected.lacks_nodes);
	assert_int_equal(h.lacks_nudge, expected.lacks_nudge);
}

static void a_domain_is_asked_through_libvirt(void **state)
{
	struct snapshot s = begin();

	(void)state;
	check_hint(&s, &fine, true, (struct vmm_hint){REASON_THROUGH_LIBVIRT, true, true, false});
	check_hint(&s, &small, false, (struct vmm_hint){REASON_THROUGH_LIBVIRT, false, true, true});
	s.vm.has_guest_nodes = false;
	check_hint(&s, &fine, true, (struct vmm_hint){REASON_THROUGH_LIBVIRT, true, false, false});
	check_hint(&s, &small, false,
		   (struct vmm_hint){REASON_THROUGH_LIBVIRT, false, false, true});
	check_hint(&s, &fine, false, (struct vmm_hint){.reason = REASON_NONE});
	snapshot_clear(&s);
}

/* To know the memslots by the monitor is no way to nudge. */
static void inferred_memslots_nudge_nobody(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.vm.has_guest_nodes = false;
	s.memslots_inferred_ns = 1;
	check_hint(&s, &small, false,
		   (struct vmm_hint){REASON_THROUGH_LIBVIRT, false, false, true});
	s.memslots_inferred_ns = 0;
	s.are_memslots_known = true;
	check_hint(&s, &small, false, (struct vmm_hint){.reason = REASON_NONE});
	snapshot_clear(&s);
}

static void nodes_matter_where_there_are_several(void **state)
{
	struct snapshot s = begin();
	const struct guest_span span = {.start = BASE, .bytes = BLOCK};

	(void)state;
	s.host.n_nodes = 1;
	check_hint(&s, &fine, false, (struct vmm_hint){.reason = REASON_NONE});
	s.host.n_nodes = 2;
	s.policy.placement = PLACEMENT_OFF;
	check_hint(&s, &fine, false, (struct vmm_hint){.reason = REASON_NONE});
	s.policy.placement = PLACEMENT_REPORT;
	check_hint(&s, &fine, false, (struct vmm_hint){REASON_THROUGH_LIBVIRT, false, true, false});
	assert_int_equal(ARRAY_APPEND(&s.guest_spans, &s.n_guest_spans, &span), 0);
	check_hint(&s, &fine, false, (struct vmm_hint){.reason = REASON_NONE});
	snapshot_clear(&s);
}

/* A monitor tells all but how to nudge, and that it may be used for as well. */
static void a_second_monitor_is_enough(void **state)
{
	struct snapshot s = begin();

	(void)state;
	strcpy(s.policy.monitor, "/run/vms/%n");
	check_hint(&s, &fine, true, (struct vmm_hint){.reason = REASON_NONE});
	check_hint(&s, &small, true, (struct vmm_hint){REASON_THROUGH_LIBVIRT, false, false, true});
	s.policy.may_dirty_rate = true;
	check_hint(&s, &small, true, (struct vmm_hint){.reason = REASON_NONE});
	s.policy.may_dirty_rate = false;
	s.are_memslots_known = true;
	check_hint(&s, &small, true, (struct vmm_hint){.reason = REASON_NONE});
	snapshot_clear(&s);
}

/* They are told of the nudge alone, where it would help. */
static void others_are_told_by_their_kind(void **state)
{
	struct snapshot s = begin();

	(void)state;
	s.vm.is_of_libvirt = false;
	check_hint(&s, &fine, true, (struct vmm_hint){.reason = REASON_NONE});
	check_hint(&s, &small, true,
		   (struct vmm_hint){REASON_MEMSLOTS_NOT_TOLD, false, false, true});
	s.vm.is_static = ANSWER_YES;
	check_hint(&s, &small, true, (struct vmm_hint){REASON_VMM_IS_STATIC, false, false, true});
	strcpy(s.vm.exe, "/usr/bin/cloud-hypervisor");
	strcpy(s.policy.monitor, "/run/vms/%n"); /* of all VMs, which this one has not */
	s.policy.may_dirty_rate = true;
	check_hint(&s, &small, true, (struct vmm_hint){REASON_VMM_HAS_NO_WAY, false, false, true});
	snapshot_clear(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_domain_is_asked_through_libvirt),
		cmocka_unit_test(inferred_memslots_nudge_nobody),
		cmocka_unit_test(nodes_matter_where_there_are_several),
		cmocka_unit_test(a_second_monitor_is_enough),
		cmocka_unit_test(others_are_told_by_their_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
