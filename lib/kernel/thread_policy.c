/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thread_policy.h"

#include <errno.h>
#include <numaif.h>
#include <stddef.h>

enum { BITS = 8 * sizeof(unsigned long) };

static int set(const struct thread_policy *p)
{
	/* The kernel takes the last bit of what it is told for none. */
	return set_mempolicy(p->mode, p->nodes, THREAD_POLICY_NODES_MAX + 1) < 0 ? -errno : 0;
}

int thread_policy_prefer(int node, struct thread_policy *ret_before)
{
	struct thread_policy before = {0}, wanted = {.mode = MPOL_PREFERRED};

	if (node < 0 || node >= THREAD_POLICY_NODES_MAX)
		return -EINVAL;
	if (get_mempolicy(&before.mode, before.nodes, THREAD_POLICY_NODES_MAX, NULL, 0) < 0)
		return -errno;
	wanted.nodes[node / BITS] = 1UL << node % BITS;
	*ret_before = before;
	return set(&wanted);
}

void thread_policy_restore(const struct thread_policy *before)
{
	(void)set(before);
}
