/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The manager's state, shared by the files that make up the manager: manager.c (timers, life),
 * requests.c, discovery.c (who is there), sweep.c (who holds a userfaultfd), cycle.c, looking.c and
 * acting.c (one VM's cycle), hearing.c (what VMMs tell), report.c (JSON). */

#include "executor.h"
#include "governor.h"
#include "guest.h"
#include "manager.h"
#include "pulse.h"
#include "scouting.h"
#include "silence.h"
#include "vmm_server.h"

/* Pids that were looked at and are no VMs: not identified again for a while, unless their size
 * changed. */
struct stranger {
	pid_t pid;
	uint64_t first_ns, seen_ns;
	uint64_t suspected_ns; /* it connected; 0: never */
	unsigned silent_times; /* in a row that it did not let itself be identified */
};

struct discovery {
	struct stranger *strangers; /* owned; sorted by pid */
	size_t n_strangers;
	struct process *candidates; /* owned; held while the scout is out */
	size_t n_candidates;
	struct scouting *scouting; /* NULL: no scout is out */
	uint64_t full_ns;	   /* every stranger seen before that is asked again; 0: none yet */
	struct host_pulse pulse;   /* at that time */
	bool has_young;		   /* strangers that are examined again at the next tick */
	bool has_more;		   /* there were too many candidates for one pass */
	bool has_missed;	   /* pids that were made while the scout was out */
	uint64_t suspected_ns;	   /* a pass was made for a process that connected */
	bool is_wanted;		   /* by somebody who could not wait for the next full pass */
	bool is_done;		   /* every process was examined once */
};

struct sweep {
	pid_t *pids; /* owned, while the scout is out */
	struct scouting *scouting;
	struct silence silence; /* who is not asked for a while */
	bool is_uffd_seen;	/* so far */
	bool is_done;		/* once */
	uint64_t done_ns, began_ns;
};

struct counters {
#define COUNTER(id, name, sentence) uint64_t id;
#include "counters.def"
#undef COUNTER
};

struct manager {
	sd_event *event;
	struct sys *sys;
	struct manager_options options;
	struct config config;
	struct mmu_geometry geometry;
	struct host host;
	struct governor governor;
	struct executor *executor;
	struct counters counters;

	struct guest *guests; /* owned list, by adoption */
	uint64_t next_guest_id;
	uint32_t next_action_id;

	struct host_pulse_reader pulse_reader;
	struct host_pulse pulse;
	struct host_pulse pulse_of_sizes; /* when the sizes of all VMs were read last */
	uint64_t ticks, faults_read_ns;
	struct discovery discovery;
	struct sweep sweep;
	struct vmm_server *vmms; /* owned; NULL: nobody listens */

	sd_event_source *tick, *results;
};

uint64_t manager_now_ns(const struct manager *m);
uint64_t manager_realtime_us(void);
void manager_wake_at(struct manager *m,
		     uint64_t when_ns); /* the tick comes at that time at the latest */
/* Processes map more or less memory than then, by half a block or more: the counters lag behind. */
bool manager_has_moved(const struct manager *m, const struct host_pulse *since);
struct guest *manager_find_guest(struct manager *m, uint64_t id);
bool manager_may_start(const struct manager *m, const struct guest *g); /* a cycle of it, now */
void manager_drop_guest(struct manager *m, struct guest *g,
			const char *why);	/* now, or when its jobs are back */
void manager_apply_policies(struct manager *m); /* of a configuration that is new */

/* discovery.c */
int discovery_run(struct manager *m, bool has_new_pids);     /* starts a pass if one is due */
void discovery_identify(struct manager *m, struct guest *g); /* it executes another program */
void discovery_forget_strangers(struct manager *m);
void discovery_suspect(struct manager *m, pid_t pid); /* it may be a VM: examined at once */
void discovery_stop(struct manager *m);

/* sweep.c */
void sweep_run(struct manager *m);	      /* starts a sweep if one is due */
bool sweep_is_fresh(const struct manager *m); /* a cycle may begin, going by what it found */
void sweep_stop(struct manager *m);

/* cycle.c */
void cycle_start(struct manager *m, struct guest *g);	   /* IDLE: survey anew */
void cycle_resume(struct manager *m, struct guest *g);	   /* WAIT: decide again */
void cycle_read_signs(struct manager *m, struct guest *g); /* IDLE: faults, vCPUs */
void cycle_take_result(struct manager *m, struct guest *g, struct job *j);
void cycle_pause(struct manager *m, struct guest *g);	/* what has not begun is not done */
void cycle_give_up(struct manager *m, struct guest *g); /* a worker hangs on this VM */

/* hearing.c */
void hearing_join(struct manager *m, struct guest *g); /* with its connection, if there is one */
void hearing_leave(struct guest *g);
void hearing_take(struct manager *m, struct guest *g); /* what was told since into the snapshot */
/* The answer is on its way, and nobody else is to be asked. */
bool hearing_ask_counts(struct manager *m, struct guest *g);
void hearing_tend(struct manager *m); /* each tick */

/* nudging.c */
void nudging_go_on(struct manager *m, struct guest *g,
		   const struct vmm_answer *a);		    /* of any kind */
void nudging_break_off(struct manager *m, struct guest *g); /* the connection is gone */
void nudging_observe(struct guest *g);			    /* a new sample of KVM's counts */

/* measuring.c */
void measuring_tend(struct manager *m, struct guest *g); /* each tick */

/* report.c */
struct json_object;
struct json_object *report_guest(const struct manager *m, const struct guest *g);
struct json_object *report_status(struct manager *m);
struct json_object *report_show(const struct manager *m, const struct guest *g);
struct json_object *report_explain(const struct guest *g, hva_t only, bool has_only);
struct json_object *report_plan(const struct manager *m, const struct guest *g);
