/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What thpd may do with one VM. Defaults are POLICY_INIT; values come from thpd.conf and the first
 * matching vm.d file. */

#include <stdbool.h>
#include <stdint.h>

#include "node_set.h"

enum mode {
	MODE_FULL = 0, /* look, explain, act */
	MODE_REPORT,   /* look and explain only */
	MODE_OFF,      /* do not look */
	MODE_MAX,
};

const char *mode_name(enum mode mode); /* "full", "report", "off" */
int mode_from_name(const char *name, enum mode *ret);

/* What is done about memory that lies on another node than the VM runs on. */
enum placement {
	PLACEMENT_REPORT = 0, /* told, not moved */
	PLACEMENT_OFF,	      /* not even looked for */
	PLACEMENT_FOLLOW,     /* moved to where the vCPUs run, within what the VM is bound to */
	PLACEMENT_BIND,	      /* moved to what the VM is bound to; wherever its vCPUs run */
	PLACEMENT_MAX,
};

const char *placement_name(enum placement placement); /* "report", "off", ... */
int placement_from_name(const char *name, enum placement *ret);

/* What is done about a VM that is at home on several nodes, where the nodes that its guest was told
 * of do not say which memory belongs to which. */
enum wide {
	WIDE_LEAVE = 0,	 /* on which of them a page lies is left as it is */
	WIDE_INTERLEAVE, /* in stripes, on one after the other */
	WIDE_MAX,
};

const char *wide_name(enum wide wide); /* "leave", "interleave" */
int wide_from_name(const char *name, enum wide *ret);

enum { POLICY_MONITOR_MAX = 256 };

/* Memory that was never there: left to the guest's first touch, or given huge pages at the start.
 */
enum populate {
	POPULATE_OFF = 0,
	POPULATE_HUGE,
	POPULATE_MAX,
};

const char *populate_name(enum populate populate); /* "off", "huge" */
int populate_from_name(const char *name, enum populate *ret);

/* KVM is made to map anew what it maps by small pages (core/nudge.h): on request only, or where the
 * evidence says that it helps. */
enum nudge {
	NUDGE_OFF = 0,
	NUDGE_AUTO,
	NUDGE_MAX,
};

const char *nudge_name(enum nudge nudge); /* "off", "auto" */
int nudge_from_name(const char *name, enum nudge *ret);

struct policy {
	enum mode mode;
	bool may_remap;
	bool may_copy;
	bool may_ksm;	       /* collapse KSM-merged memory */
	bool may_private_file; /* collapse private file mappings */
	bool may_dirty_logged; /* collapse where KVM logs for life, and only the host gains */
	bool may_dirty_rate;   /* nudge by QEMU's measuring of dirty rates, for want of a library */
	uint16_t min_populated_bp; /* share of a block that must be present before it is copied */
	uint64_t min_region_bytes; /* smaller mappings are not guest RAM */
	uint64_t remap_call_bytes; /* bound of one remap call; block multiple, at most 1 GiB */
	uint64_t copy_call_bytes;  /* bound of one copy call; block multiple, at most 64 MiB */
	uint64_t hold_lost_ns; /* how long a block is left alone after the guest gave memory of it
				  back */
	enum placement placement;
	node_set_t nodes;	 /* where its memory shall be, by the administrator; 0: not said */
	uint64_t stable_ns;	 /* the home must have been the same for so long */
	uint64_t min_gain_bytes; /* less on wrong nodes is not worth a move */
	uint64_t move_interval_ns; /* from the end of one move to the next */
	enum wide wide;
	uint64_t wide_stripe_bytes; /* whole blocks of it, at least one */
	enum populate populate;
	enum nudge nudge;
	bool is_paused; /* by thpctl pause, not by configuration */
	/* A QMP socket of its QEMU for thpd alone (qmp_path()); "": none. Where to ask is no fact
	 * that a plan needs: it is not in a snapshot's JSON, but for whether there is one. */
	char monitor[POLICY_MONITOR_MAX];
};

#define POLICY_INIT                                                                                \
	{                                                                                          \
		.mode = MODE_FULL, .may_remap = true, .may_copy = true, .min_populated_bp = 10000, \
		.min_region_bytes = UINT64_C(64) << 20, .remap_call_bytes = UINT64_C(64) << 20,    \
		.copy_call_bytes = UINT64_C(32) << 20,                                             \
		.hold_lost_ns = UINT64_C(3600) * 1000000000,                                       \
		.stable_ns = UINT64_C(60) * 1000000000, .min_gain_bytes = UINT64_C(64) << 20,      \
		.move_interval_ns = UINT64_C(600) * 1000000000,                                    \
		.wide_stripe_bytes = UINT64_C(1) << 30,                                            \
	}
