/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vcpu.h"

#include "bits.h"

int vcpu_node(const struct vcpu *v)
{
	return node_set_is_single(v->allowed) ? node_set_first(v->allowed) : v->node;
}

static const struct vcpu *find(const struct vcpu *list, size_t n, pid_t tid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].tid == tid)
			return &list[i];
	return NULL;
}

static uint32_t share(uint64_t part, uint64_t whole, uint32_t of)
{
	double value = (double)part / (double)whole * of;

	return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX - 1;
}

void vcpus_compare(struct vcpu *news, size_t n_news, const struct vcpu *olds, size_t n_olds,
		   uint64_t ns)
{
	for (size_t i = 0; i < n_news; i++) {
		/* As a rule threads come in the same order. */
		const struct vcpu *old = i < n_olds && olds[i].tid == news[i].tid
						 ? &olds[i]
						 : find(olds, n_olds, news[i].tid);

		if (!old || ns == 0)
			continue;
		news[i].busy_bp = share(sat_sub_u64(news[i].ran_ns, old->ran_ns), ns, 10000);
		news[i].migrated_pages_per_s = share(
			sat_sub_u64(news[i].migrated_pages, old->migrated_pages), ns, 1000000000);
	}
}
