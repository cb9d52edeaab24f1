/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One VM under care: what is held open, what was seen last, what is remembered, and where its cycle
 * stands. Written by the event loop's thread only. */

#include <systemd/sd-event.h>

#include "action.h"
#include "config.h"
#include "ledger.h"
#include "mover.h"
#include "nudge.h"
#include "plan.h"
#include "populate.h"
#include "process.h"
#include "pulse.h"
#include "qemu_dirty_rate.h"
#include "run.h"
#include "snapshot.h"
#include "vmm_peer.h"
#include "whereabouts.h"

/* The cycle of one VM:
 *
 *   IDLE ──due──► SURVEY ──► LOOK ──► COUNT ──► ACT ──► (decide again) ──► IDLE
 *                                                 └─► WAIT (budget) ──time──► decide again
 *
 * While a move to another node is under way, "decide again" is SIGNS first, now and then: where do
 * the vCPUs run?
 *
 * A cycle may end with NUDGE: it is over when the library inside the VMM has answered, or its QEMU,
 * told by jobs, is done.
 *
 * In every other state but IDLE, WAIT and NUDGE, jobs are in flight; the next step is taken when
 * the last of them is back. */
enum phase {
	PHASE_IDLE = 0,
	PHASE_SURVEY,
	PHASE_LOOK,
	PHASE_COUNT,
	PHASE_ACT,
	PHASE_WAIT,
	PHASE_SIGNS,
	PHASE_NUDGE,
};

/* What the library in the VMM was asked, in PHASE_NUDGE, or its QEMU told. */
enum nudging {
	NUDGING_NONE = 0,
	NUDGING_COUNTS_BEFORE,
	NUDGING_ASKED,
	NUDGING_COUNTS_AFTER,
	NUDGING_TELLING,   /* QEMU: a job is about to */
	NUDGING_MEASURING, /* QEMU does; it is asked now and then whether it is done */
};

/* What came of the last nudge. */
struct last_nudge {
	bool is_set;
	enum nudge_means means;
	struct vmm_answer answer; /* of the library */
	/* Of QEMU: */
	enum dirty_rate_step step;
	int err;		       /* of FAILED: a negative errno; 0: it made no sense */
	uint64_t took_ns;	       /* until its end was seen */
	char refusal[QMP_REFUSAL_MAX]; /* of REFUSED */
};

struct last_action {
	bool is_set;
	struct action action;	 /* the last one */
	uint64_t actions, bytes; /* of the whole cycle; bytes: but for moves to another node */
	int64_t huge_bytes_delta;
	uint64_t placed_bytes;
	uint64_t worst_call_ns;
	uint64_t cycle_ns; /* from the survey to the last second look */
	int err;	   /* of the last call that failed; 0 */
	enum effect effect;
	enum reason reason;
	uint64_t ended_realtime_us;
};

struct job;

struct guest {
	uint64_t id;
	struct process process;
	sd_event_source *gone;	  /* its process ends; NULL: known by the pulse only */
	struct snapshot snapshot; /* survey + sights of the last look; vm identity */
	struct diagnosis diagnosis;
	struct ledger ledger;
	struct populate_history populate;
	enum reason populating_held; /* why nothing more was populated now, by the budget */
	uint64_t populate_ticket;    /* the wish to populate is over with this cycle */
	/* Where there are several nodes (guest_has_nodes()). */
	struct mover mover;
	struct whereabouts whereabouts; /* as of the last diagnosis, or reading of the vCPUs */
	enum reason moves_held;		/* why a move under way does not go on; none: it does */
	uint64_t vcpus_ns;		/* when they were read; 0: never */
	uint64_t vcpus_not_before_ns;	/* reading them costs no more than looks may */
	uint64_t monitor_due_ns; /* its monitor was not reached, and is left alone until then; 0 */
	const char *monitor_why; /* why it was not; NULL: it was, or nobody asked */
	uint64_t facts_due_ns;	 /* when it may be asked again of the guest's nodes */
	const char *facts_why;	 /* they are not known; NULL: they are, or nobody asked */
	uint64_t slots_asked_ns, slots_due_ns; /* when it was asked of memslots, and may be again */
	const char *slots_why;		 /* it does not tell them; NULL: it does, or nobody asked */
	uint64_t counts_due_ns;		 /* when KVM's counts may be read again */
	uint64_t counts_of_library_ns;	 /* and the library in it */
	bool awaits_counts;		 /* that one was asked */
	enum answer migrates_by_monitor; /* as of the last time that it was asked */
	struct vmm_peer *library;	 /* not owned: the connection of its process; NULL: none */
	struct nudge_history nudge;
	enum nudging nudging;
	struct last_nudge last_nudge;
	uint64_t measuring_ns,
		measure_due_ns;	   /* NUDGING_MEASURING: since when; when to ask again */
	enum reason nudge_refused; /* why what was wished for last was not done; none: it was */
	bool has_told;		   /* once: not logged each time, and never nudged by QEMU */
	bool has_news;		   /* it told more than the snapshot has */
	const struct rule *rule;   /* into the config; NULL = main policy */
	struct last_action last_action;

	enum phase phase;
	uint32_t jobs_in_flight;
	bool is_doomed;	    /* the process is gone: freed when the last job is back */
	bool is_stuck;	    /* a worker has hung on it for long: no new job until all are back */
	bool must_identify; /* it executes another program: who it is now is asked first */
	bool is_due;
	bool is_asked_for;    /* an operator wants a cycle, whatever the mode */
	bool want_flags;      /* the next survey reads smaps */
	bool has_vmm_config;  /* what its VMM was told at its start was read, or cannot be */
	uint64_t cycles;      /* completed */
	bool is_counted;      /* the wants of the last diagnosis were counted */
	unsigned vain_rounds; /* plans in a row that changed nothing */
	bool has_acted;	      /* in this cycle */

	struct pulse pulse;
	uint64_t adopted_ns, looked_ns, cycle_began_ns;
	uint64_t look_cpu_ns;	/* what the looks of the last cycle cost */
	uint64_t not_before_ns; /* looks may not cost more than about 1 % of a CPU per VM */
	uint64_t retry_ns;	/* WAIT: when to decide again */

	struct plan plan; /* ACT: actions still to be handed out */
	size_t plan_next;
	uint32_t in_flight[ACTION_KIND_MAX];

	/* LOOK: where the next chunk starts. COUNT: next want. */
	size_t next_region;
	hva_t next_address;
	size_t next_want;
	struct sight
		*news; /* sights gathered by LOOK jobs, unsorted chunks appended as they come */
	size_t n_news;

	struct guest *next;
};

struct guest *guest_new(uint64_t id, struct process *process /* taken */, const struct vm *vm);
struct guest *guest_free(struct guest *g);

/* Not one whose policy is off and whom nobody asks for. */
bool guest_is_tended(const struct guest *g);

/* It is nudged by its QEMU now. */
bool guest_is_measured(const struct guest *g);

/* Puts the rule's (or the main) policy into the snapshot, keeping what is not configuration
 * (pause). */
void guest_apply_policy(struct guest *g, const struct config *c);

/* Where its memory lies is looked at. */
bool guest_has_nodes(const struct guest *g, const struct host *h);

/* Its policy lets its memory be moved to its home. */
bool guest_may_move(const struct guest *g);

/* Takes what a job read of the vCPUs, in place of the last reading. */
void guest_take_vcpus(struct guest *g, struct vcpu **vcpus /* taken */, size_t n, uint64_t now_ns);

/* Whether the monitor that the job asked was reached: one that was not is asked of nothing for a
 * minute. Returns why it was not, if that is news; else NULL. */
const char *guest_note_monitor(struct guest *g, const struct job *j, uint64_t now_ns);

/* Its QEMU is to be asked of the guest's nodes now: they matter, and the policy names a monitor. */
bool guest_wants_facts(const struct guest *g, const struct host *h, uint64_t now_ns);

/* Takes what a job was told: the map of the guest's nodes, which is empty if the guest was told of
 * none. Where that cannot be known now, what is known from before is kept. Returns why it cannot,
 * if that is news; else NULL. */
const char *guest_take_facts(struct guest *g, const struct job *j, uint64_t now_ns);

/* Its QEMU is to be asked of KVM's memslots now: nobody else tells, and the policy names a monitor.
 */
bool guest_wants_slots(const struct guest *g, uint64_t now_ns);

/* Takes what a job was told of them. What is known from before is kept, and ages, where they could
 * not be told now. Returns why they are not told, if that is news; else NULL. */
const char *guest_take_slots(struct guest *g, struct job *j, uint64_t now_ns);

/* Forgets what is too old of it. */
void guest_age_slots(struct guest *g, uint64_t now_ns);

/* As if it had never been asked. */
void guest_forget_facts(struct guest *g);

/* Whether KVM's counts are to be read with a survey. Between surveys they are read again only as
 * long as there is one sample, of the two that it takes to judge, while the VM migrates, or for ten
 * minutes after a nudge that may still be judged. */
bool guest_wants_counts(const struct guest *g, uint64_t now_ns);
bool guest_wants_counts_between(const struct guest *g, uint64_t now_ns);

/* What the job is to ask for, as either of the above says. */
void guest_ask_counts(const struct guest *g, struct job *j, uint64_t now_ns);

/* Takes what a job read of them, if it did. */
void guest_take_counts(struct guest *g, const struct job *j, uint64_t now_ns);

/* Takes what the library in the VMM was asked for; NULL: it did not tell. True: that is news. What
 * came too late, and was asked for before something was done to the memory, is not taken. */
bool guest_take_told_counts(struct guest *g, const struct kvm_counts *counts, uint64_t now_ns);

/* The connection is gone: nothing is known by it any more. */
void guest_forget_library(struct guest *g);

/* Takes what it told of all of its memslots: *slots is the snapshot's then, and NULL. Where
 * they are not known (is_known false) what the monitor told stays; a table that breaks a law leaves
 * nothing. */
void guest_take_memslots(struct guest *g, struct memslot **slots, size_t n, bool is_known);

/* All who could tell what KVM maps were asked, and nobody knew. */
bool guest_is_uncounted(const struct guest *g);

/* Something was done to the memory: what KVM mapped before says nothing of what it maps now. */
void guest_forget_counts(struct guest *g);

/* "shmem", "anon", "mixed", ...: by bytes of RAM. */
const char *guest_backing(const struct guest *g);
