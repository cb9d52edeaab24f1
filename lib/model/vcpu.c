/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vcpu.h"

#include <stdlib.h>

#include "bits.h"

int vcpu_node(const struct vcpu *v)
{
	return node_set_is_single(v->allowed) ? node_set_first(v->allowed) : v->node;
}

static int compare_threads(const void *a, const void *b)
{
	const struct vcpu *x = a, *y = b;

	return x->tid < y->tid ? -1 : x->tid > y->tid;
}

void vcpus_sort(struct vcpu *vcpus, size_t n)
{
	if (n > 0)
		qsort(vcpus, n, sizeof(*vcpus), compare_threads);
}

struct vcpu *vcpus_find(struct vcpu *sorted, size_t n, pid_t tid)
{
	const struct vcpu wanted = {.tid = tid};

	return n > 0 ? bsearch(&wanted, sorted, n, sizeof(*sorted), compare_threads) : NULL;
}

static uint32_t share(uint64_t part, uint64_t whole, uint32_t of)
{
	double value = (double)part / (double)whole * of;

	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX - 1;
}

void vcpus_compare(struct vcpu *news, size_t n_news, struct vcpu *olds, size_t n_olds, uint64_t ns)
{
	vcpus_sort(olds, n_olds);
	for (size_t i = 0; i < n_news; i++) {
		const struct vcpu *old = vcpus_find(olds, n_olds, news[i].tid);

		if (!old)
			continue;
		news[i].guest_node = old->guest_node;
		if (ns == 0)
			continue;
		news[i].busy_bp = share(sat_sub_u64(news[i].ran_ns, old->ran_ns), ns, 10000);
		news[i].migrated_pages_per_s = share(
			sat_sub_u64(news[i].migrated_pages, old->migrated_pages), ns, 1000000000);
	}
}
