/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* On which nodes the memory of a VM shall lie. Pure. */

#include "snapshot.h"

enum home_source {
	HOME_UNKNOWN = 0, /* nobody says, and no vCPU is seen to run */
	HOME_POLICY,	  /* Nodes= */
	HOME_VMM,	  /* the VMM was told to bind it (QEMU: host-nodes=) */
	HOME_CPUSET,	  /* cpuset.mems leaves it no other nodes */
	HOME_VCPUS,	  /* where its vCPUs run */
	HOME_SOURCE_MAX,
};

const char *home_source_name(enum home_source source); /* "none", "policy", ... */

struct home {
	node_set_t nodes;      /* 0: not known. Several: the VM is wider than a node */
	node_set_t vcpu_nodes; /* where its vCPUs run, whatever it is bound to; 0: not known */
	enum home_source source;
};

/* What binds it comes first: Nodes=, then what its VMM was told to bind it to (of either what
 * the cpuset allows, unless that is nothing), then a cpuset that leaves out nodes of the host. Then
 * where the vCPUs run, weighted by how busy they are; a node with less than a tenth of that counts
 * nothing. Placement=follow: within what binds it, where it runs; bind: what binds it and nothing
 * else. Only nodes with memory are a home. */
struct home home_of(const struct snapshot *s);

/* The node of the set with the most free memory in blocks; -1 if the set is empty. */
int home_best_node(node_set_t nodes, const struct host *h);
