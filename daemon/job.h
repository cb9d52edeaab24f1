/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One piece of work for a worker thread, with its answer. A job owns what it points to, except the
 * process: the guest keeps that open until its last job is back, and lets no other job run beside a
 * survey, which may change it. */

#include "action.h"
#include "look.h"
#include "policy.h"
#include "pulse.h"
#include "qemu_dirty_rate.h"
#include "qemu_facts.h"
#include "snapshot.h"

enum job_kind {
	JOB_SIGNS,   /* read the minor faults, and the vCPUs: `pulse` is filled */
	JOB_SURVEY,  /* read the mappings anew, and the vCPUs: `survey` is filled */
	JOB_LOOK,    /* ladder over [start, end): sights */
	JOB_COUNT,   /* every page of [start, end): sights */
	JOB_EDGES,   /* present pages of [start, end): edge_pages of region */
	JOB_ACT,     /* action: before, outcome, sights (the second look) */
	JOB_MEASURE, /* have QEMU measure the dirty rate, or see whether it has: step (measure.h) */
};

struct job {
	enum job_kind kind;
	uint64_t guest;		 /* id */
	struct process *process; /* not owned */
	struct look look;	 /* for LOOK, COUNT, EDGES, ACT */
	hva_t start, end;
	uint32_t region;
	bool want_flags;	     /* SURVEY */
	bool want_vmm_config;	     /* SURVEY: what its VMM was told at its start */
	bool want_vcpus;	     /* SIGNS, SURVEY */
	bool want_facts;	     /* SURVEY: by the monitor that the policy names */
	bool want_slots;	     /* SURVEY: by the same: KVM's memslots */
	bool want_counts;	     /* SIGNS, SURVEY: of what KVM maps */
	bool want_counts_of_monitor; /* ... and the monitor is asked first */
	bool want_migrations;	     /* SIGNS, SURVEY: of vCPUs, by the kernel\'s NUMA balancing */
	uint16_t min_populated_bp;   /* ACT copy: what each block must still have */
	uint64_t free_reserve_bytes; /* ACT place: what the node must have left */
	bool had_uffd;		     /* ACT: the VMM held a userfaultfd at the survey */
	bool must_confirm;	     /* ACT: look once more before the call */
	bool is_alone;		     /* ACT: never beside another such job of its guest */
	bool is_dry_run;	     /* ACT: everything but the call */
	bool is_told;		     /* MEASURE: it was told before; what came of it? */
	bool is_wished;		     /* MEASURE: an operator asks for it */
	struct action action;
	struct region ground; /* ACT populate: the mapping; its path is not here */
	/* ACT: the second look covers this and is cut to [start, end): the region, where the kernel
	 * has no PAGEMAP_SCAN and tells huge from small only for a whole VMA. Else empty. */
	hva_t wide_start, wide_end;

	/* answers */
	int err;	       /* 0 or negative errno; -ECANCELED: it was never begun */
	bool is_other_program; /* SURVEY: the process has executed another one; nothing was read */
	struct pulse pulse;
	struct snapshot survey; /* its vm is refreshed */
	struct vcpu *vcpus;
	size_t n_vcpus;
	struct qemu_facts facts;
	int facts_err;		  /* 0: QEMU told; or negative errno */
	const char *facts_why;	  /* a static text */
	struct kvm_counts counts; /* source none: nobody knows */
	/* MEASURE. If it was to be told, with KVM's counts from before; if it is done, from after.
	 */
	enum dirty_rate_step step;
	enum reason held;	       /* HELD: why */
	int step_err;		       /* a negative errno: the monitor did not tell */
	const char *step_why;	       /* of that; a static text */
	char refusal[QMP_REFUSAL_MAX]; /* REFUSED: QEMU's words */
	bool may_be_told;	       /* it was, or nobody knows whether it was */
	struct sight *sights;
	size_t n_sights;
	struct sight *before;
	size_t n_before;
	struct outcome outcome;
	uint64_t edge_pages;
	uint64_t cpu_ns; /* what it cost the worker */

	struct job *next; /* the executor's */
};

struct job *job_new(enum job_kind kind, uint64_t guest,
		    struct process *process); /* NULL: no memory */
struct job *job_free(struct job *j);

void job_run(struct sys *sys, struct job *j); /* on a worker thread; fills the answers */

/* What its monitor, or debugfs, tells of what the job wants of them. */
void job_ask_around(struct sys *sys, struct job *j);

/* The monitor is asked by that. */
bool job_asks_monitor(const struct job *j);

/* Where its monitor listens, by the policy: 0, or a negative errno with *ret_why. */
struct monitor_path {
	char text[POLICY_MONITOR_MAX + VM_TEXT_MAX];
};
int job_monitor_path(const struct job *j, struct monitor_path *ret, const char **ret_why);
