/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the parts of a cycle ask of each other: looking.c is its first half, acting.c its second,
 * placing.c knows about nodes, nudging.c and measuring.c come at its end, cycle.c decides and takes
 * results. What the rest of the manager asks of a cycle is in state.h. */

#include "state.h"

/* What the governor said: why nothing, and when to ask again. */
struct allowance {
	enum reason reason;
	uint64_t retry_ns; /* UINT64_MAX: never */
};

/* cycle.c */
struct job *cycle_new_job(struct manager *m, struct guest *g, enum job_kind kind); /* or NULL */
void cycle_submit(struct manager *m, struct guest *g, struct job *j);
void cycle_decide(struct manager *m, struct guest *g); /* the looks are complete: what now? */
void cycle_end(struct manager *m, struct guest *g);    /* with a nudge, if it is to be */
void cycle_finish(struct manager *m, struct guest *g); /* after that */

/* looking.c */
bool may_hold_copies(const struct region *r); /* a private mapping of a file: of its pages */
void looking_take_survey(struct manager *m, struct guest *g, struct job *j);
void looking_take_counts(struct manager *m, struct guest *g, const struct job *j);
void looking_report_no_right(struct manager *m, struct guest *g);
void looking_go_on(struct manager *m, struct guest *g); /* LOOK: more chunks, or the end */
void looking_count(struct manager *m, struct guest *g); /* what the diagnosis wants counted */
void looking_go_on_counting(struct manager *m, struct guest *g);

/* acting.c */
void acting_start(struct manager *m, struct guest *g); /* the plan of g */
void acting_go_on(struct manager *m, struct guest *g); /* more actions, if there are */
int acting_take(struct manager *m, struct guest *g, struct job *j);
void acting_settle(struct manager *m, struct guest *g,
		   const struct job *j); /* the budget only; any job */
void acting_abandon(struct manager *m, struct guest *g);

/* nudging.c */
bool nudging_start(struct manager *m, struct guest *g); /* true: cycle_finish() comes later */
/* Why it would not be nudged as things are; none: it would be. */
enum reason nudging_foresee(const struct manager *m, const struct guest *g);
void nudging_note_history(const struct manager *m, struct guest *g); /* into its snapshot */
struct kvm_view nudging_view(const struct guest *g);
void nudging_refuse(struct guest *g, enum reason held, bool is_wished);
void nudging_end(struct manager *m, struct guest *g, bool was_wished);

/* measuring.c */
bool measuring_start(struct manager *m, struct guest *g); /* true: nudging_end() comes later */
void measuring_take(struct manager *m, struct guest *g, const struct job *j);
void measuring_give_up(struct manager *m, struct guest *g); /* its job hangs */

/* placing.c; each does nothing where the VM's nodes are not looked at */
void placing_judge(struct manager *m, struct guest *g); /* where it lies, where its home is now */
/* What a move under way, or one that begins, may do now. */
void placing_limit(struct manager *m, struct guest *g, struct plan_limits *limits,
		   struct allowance *ret);
/* What the move under way would do without a budget; nothing is begun or ended. */
void placing_foresee(const struct manager *m, const struct guest *g, struct plan_limits *limits);
/* A move is under way, and it is some time ago that the vCPUs were read. */
bool placing_must_ask(const struct manager *m, const struct guest *g);
