/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What KVM maps, by its own statistics: entries of its page tables now. */

#include <stdint.h>

/* Who was asked. */
enum kvm_source {
	KVM_SOURCE_NONE = 0, /* nobody who knows */
	KVM_SOURCE_VMM,	     /* the statistics file that libthpd-vmm handed over */
	KVM_SOURCE_QMP,	     /* QEMU's monitor */
	KVM_SOURCE_DEBUGFS,
	KVM_SOURCE_MAX,
};

struct kvm_counts {
	enum kvm_source source; /* none: the rest is not known */
	uint64_t read_ns;	/* CLOCK_MONOTONIC */
	uint64_t pages_4k, pages_2m, pages_1g;
	uint64_t nx_splits; /* huge pages taken apart since they hold code (nx_lpage_splits) */
};

const char *kvm_source_name(enum kvm_source source); /* "none", "vmm", "qmp", "debugfs" */
