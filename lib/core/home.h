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

/* Which of its nodes a part of the memory belongs to. */
enum home_rule {
	HOME_WHOLE = 0,	  /* any of them, in one set: there is one, or none is known */
	HOME_LEFT,	  /* any of several */
	HOME_INTERLEAVED, /* stripes, one node after the other */
	HOME_BY_GUEST,	  /* where the vCPUs of the guest node run that the memory is of */
	HOME_RULE_MAX,
};

const char *home_rule_name(enum home_rule rule); /* "whole", "left", ... */

struct home {
	node_set_t nodes;      /* 0: not known. Several: the VM is wider than a node */
	node_set_t vcpu_nodes; /* where its vCPUs run, whatever it is bound to; 0: not known */
	enum home_source source;
	enum home_rule rule;
	uint64_t stripe_bytes; /* HOME_INTERLEAVED: whole blocks */
	/* HOME_BY_GUEST: of each guest node one of the nodes, or all of them. guest_mark: a digest
	 * of which memory is of which guest node. */
	node_set_t by_guest_node[GUEST_NODES_MAX];
	uint64_t guest_mark;
};

/* What binds it comes first: Nodes=, then what its VMM was told to bind it to (of either what
 * the cpuset allows, unless that is nothing), then a cpuset that leaves out nodes of the host. Then
 * where the vCPUs run, weighted by how busy they are; a node with less than a tenth of that counts
 * nothing. Placement=follow: within what binds it, where it runs; bind: what binds it and nothing
 * else. Only nodes with memory are a home.
 *
 * A home of several nodes is divided as the guest was told, if it was told of several nodes: memory
 * of a guest node belongs where the vCPUs of that guest node run, weighted as above, if that is one
 * node of the home, else to all of the home. Where the guest was not told, as Wide= says. */
struct home home_of(const struct snapshot *s);

/* Whether memory belongs to the same nodes by both: the same nodes, divided in the same way. */
bool home_is_same(const struct home *a, const struct home *b);

/* The node of the set with the most free memory in blocks; -1 if the set is empty. */
int home_best_node(node_set_t nodes, const struct host *h);
