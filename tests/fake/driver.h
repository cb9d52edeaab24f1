/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A whole cycle in one thread and one function: survey, look, count, decide, act, look again,
 * learn. The same pure core and the same kernel layer as the daemon's, without its loop: the
 * reference for what a cycle is, and the harness that drives it against the model kernel. */

#include "governor.h"
#include "ledger.h"
#include "model_kernel.h"
#include "mover.h"
#include "plan.h"
#include "populate.h"
#include "process.h"
#include "run.h"
#include "snapshot.h"
#include "whereabouts.h"

enum driver_step {
	DRIVER_LOOKED = 0, /* plan made, nothing done yet */
	DRIVER_CONFIRMED,  /* before the call; *action is set */
	DRIVER_ACTED,	   /* after the call, before the second look */
};

struct driver;
struct driver_vm;
typedef void (*driver_hook)(struct driver *d, struct driver_vm *vm, enum driver_step step,
			    const struct action *a, void *userdata);

/* One action and everything that was said and is true about it. */
struct driver_act {
	struct action action;
	struct outcome outcome;
	struct verdict verdict;
	bool is_verified; /* there was a second look */
	uint64_t at_ns;
	uint64_t true_huge_before, true_huge_after; /* at the two looks */
};

struct driver_vm {
	pid_t pid;
	struct policy policy;
	bool is_open;
	struct process process;
	struct snapshot snapshot;
	struct diagnosis diagnosis; /* after the cycle */
	struct ledger ledger;
	struct populate_history populate;
	uint64_t age_ns; /* of the process at the surveys; the test's */
	struct mover mover;
	struct whereabouts whereabouts; /* after the cycle; where there are several nodes */
	struct vcpu vcpus[4];		/* what a reading of them would say; the test's */
	size_t n_vcpus;
	struct plan plan;	 /* of the last cycle */
	struct driver_act *acts; /* owned; of the last cycle */
	size_t n_acts;
	uint64_t cycles;
};

struct driver {
	struct model *model;
	struct sys sys;
	struct mmu_geometry geometry;
	struct host host;
	struct governor governor;
	uint32_t next_action_id;
	uint64_t confirm_canceled; /* actions that the look before the call stopped */
	driver_hook hook;	   /* may be NULL */
	void *userdata;
	bool is_dry_run; /* the plan is made, and nothing else */
};

int driver_init(struct driver *d, struct model *m, const struct budget *budget);
void driver_clear(struct driver *d);

void driver_vm_init(struct driver_vm *vm, pid_t pid, const struct policy *policy);
void driver_vm_clear(struct driver_vm *vm);

/* What the daemon does between cycles: reads where the vCPUs run. True if a move may begin. */
bool driver_sample(struct driver *d, struct driver_vm *vm);

/* One cycle. 0, or -errno of what could not be looked at: then nothing was done, and the VM is
 * closed if it is gone (-ESRCH). */
int driver_cycle(struct driver *d, struct driver_vm *vm);
