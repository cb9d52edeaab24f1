/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* On which node the kernel allocates what a thread asks it for, where nothing else says so. */

/* The kernel's own bound on nodes is 1024 (CONFIG_NODES_SHIFT). */
enum { THREAD_POLICY_NODES_MAX = 1024 };

struct thread_policy {
	int mode;
	unsigned long nodes[THREAD_POLICY_NODES_MAX / (8 * sizeof(unsigned long))];
};

/* Has what this thread asks for come from the node as long as that has any free page; what was said
 * before is kept, for thread_policy_restore(). 0 or -errno, with nothing changed. */
int thread_policy_prefer(int node, struct thread_policy *ret_before);
void thread_policy_restore(const struct thread_policy *before);
