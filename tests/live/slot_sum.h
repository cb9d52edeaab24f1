/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A number for a table of memslots, whatever their order: what a VMM has set and what thpd's end
 * was told are the same if their numbers are. */

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

struct slot_facts {
	uint64_t id, gpa, bytes, hva, flags; /* id: the address space in its upper half */
};

static inline uint64_t slot_sum_mix(uint64_t n)
{
	n ^= n >> 31;
	n *= UINT64_C(0x9e3779b97f4a7c15);
	return n ^ n >> 29;
}

static inline uint64_t slot_sum_add(uint64_t sum, const struct slot_facts *s)
{
	const uint64_t facts[] = {s->id, s->gpa, s->bytes, s->hva, s->flags};
	uint64_t n = 0;

	for (int i = 0; i < 5; i++)
		n = slot_sum_mix(n + facts[i] + 1);
	return sum + n;
}

/* Of what a VMM has set; those without bytes are none. */
static inline uint64_t slot_sum_of(const struct kvm_userspace_memory_region *slots, size_t n,
				   unsigned int *ret_total)
{
	uint64_t sum = 0;

	*ret_total = 0;
	for (const struct kvm_userspace_memory_region *m = slots; m < slots + n; m++) {
		const struct slot_facts f = {m->slot, m->guest_phys_addr, m->memory_size,
					     m->userspace_addr, m->flags};

		if (m->memory_size == 0)
			continue;
		++*ret_total;
		sum = slot_sum_add(sum, &f);
	}
	return sum;
}
