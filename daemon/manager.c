/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The manager: who is under care, and when each is looked at again.
 *
 * Theory of operation. Every Interval= the tick reads cheap signs: a few counters of /proc/vmstat
 * and the last pid of /proc/loadavg; where the counters say that somebody maps more or less memory
 * than before, one line of statm per VM; every tenth tick the minor faults too. A VM is due when
 * its signs moved, when huge mappings were split anywhere on the host, when
 * it is young, when its last look is older than MaxAge=, or when a hold is over; it is never looked
 * at more often than the cost of a look allows (LOOK_DUTY in cycle.c). Looks and calls run on the
 * executor's threads; their results come back through one eventfd, and only this thread changes
 * state. It reads nothing of a process that might keep it waiting (process.h). */

#include "manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "bits.h"
#include "cleanup.h"
#include "features.h"
#include "hostfacts.h"
#include "log.h"
#include "state.h"

#define NS_PER_S	   UINT64_C(1000000000)
#define FAULTS_EVERY_TICKS 10
/* A VM's size is read in each tick in which the host's counters moved, else when it is its turn:
 * what one process maps and another unmaps at the same time does not move them. */
enum { SIZE_TURNS = 8 };
/* A VM's memory is often touched first in the seconds after it was found. */
#define YOUNG_NS      (30 * NS_PER_S)
#define YOUNG_LOOK_NS (5 * NS_PER_S)
/* No honest call or look takes so long, not even on the largest VM of the oldest kernel. */
#define STUCK_NS (30 * NS_PER_S)
/* How long the calls in flight are waited for at the end. */
#define STOP_NS (10 * NS_PER_S)

uint64_t manager_now_ns(const struct manager *m)
{
	return m->sys->ops->now_ns(m->sys);
}

uint64_t manager_realtime_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

struct guest *manager_find_guest(struct manager *m, uint64_t id)
{
	for (struct guest *g = m->guests; g; g = g->next)
		if (g->id == id)
			return g;
	return NULL;
}

static void unlink_guest(struct manager *m, struct guest *g)
{
	struct guest **at = &m->guests;

	while (*at && *at != g)
		at = &(*at)->next;
	if (*at)
		*at = g->next;
}

void manager_drop_guest(struct manager *m, struct guest *g, const char *why)
{
	if (!g->is_doomed) {
		log_vm(LOG_INFO, g->snapshot.vm.name, "pid %d is no longer looked after: %s",
		       (int)g->process.pid, why);
		m->counters.vms_gone++;
		g->is_doomed = true;
		hearing_leave(g);
	}
	if (g->jobs_in_flight > 0)
		return;
	unlink_guest(m, g);
	guest_free(g);
}

/* -EOPNOTSUPP: the kernel is too old. What else is missing is said and done without. */
static int probe_features(struct manager *m)
{
	const char *why;
	int r = features_probe(m->sys, &m->geometry, &m->host, &why);

	if (r == -EOPNOTSUPP) {
		log_error("thpd needs Linux 6.1 or newer; this is %s", m->host.kernel_release);
		return r;
	}
	if (why)
		log_warning("%s", why);
	return 0;
}

/* ---- the tick -------------------------------------------------------------------------- */

void manager_wake_at(struct manager *m, uint64_t when_ns)
{
	uint64_t usec = when_ns / 1000 + 1, planned;

	if (m->tick && sd_event_source_get_time(m->tick, &planned) >= 0 && usec < planned)
		(void)sd_event_source_set_time(m->tick, usec);
}

/* Since the last look: the ledger keeps holds that are over for their strikes. */
static bool has_ended(const struct guest *g, uint64_t until_ns, uint64_t now_ns)
{
	return until_ns <= now_ns && until_ns > g->looked_ns;
}

static bool has_hold_ended(const struct guest *g, uint64_t now_ns)
{
	for (size_t i = 0; i < g->ledger.n_holds; i++)
		if (has_ended(g, g->ledger.holds[i].until_ns, now_ns))
			return true;
	return has_ended(g, g->ledger.memcg_until_ns, now_ns);
}

static bool is_due_by_time(const struct manager *m, const struct guest *g, uint64_t now_ns)
{
	uint64_t age = sat_sub_u64(now_ns, g->looked_ns);

	if (age >= m->config.max_age_ns)
		return true;
	if (now_ns < g->adopted_ns + YOUNG_NS && age >= YOUNG_LOOK_NS)
		return true;
	return has_hold_ended(g, now_ns);
}

/* Reads the VM's signs; -ESRCH when it is gone. */
static int read_pulse(struct guest *g)
{
	struct pulse p = g->pulse;
	int r = pulse_read(&g->process, &p);

	if (r < 0)
		return r;
	if (p.size_pages != g->pulse.size_pages || p.resident_pages != g->pulse.resident_pages)
		g->is_due = true;
	g->pulse = p;
	return 0;
}

bool manager_may_start(const struct manager *m, const struct guest *g)
{
	return g->phase == PHASE_IDLE && g->jobs_in_flight == 0 && !g->must_identify &&
	       sweep_is_fresh(m);
}

/* What a tick found out about the host. */
struct signs {
	bool has_splits;   /* of huge mappings or folios */
	bool has_moved;	   /* processes map more or less memory */
	bool has_new_pids; /* processes or threads were made */
	bool with_faults;  /* it is time to read them */
};

static void tend_guest(struct manager *m, struct guest *g, const struct signs *signs)
{
	uint64_t now_ns = manager_now_ns(m);
	bool with_size = signs->has_moved || (g->id + m->ticks) % SIZE_TURNS == 0;

	if (g->is_doomed)
		return;
	hearing_take(m, g);
	if (with_size && read_pulse(g) == -ESRCH) {
		manager_drop_guest(m, g, "process gone");
		return;
	}
	measuring_tend(m, g);
	if (!guest_is_tended(g))
		return;
	if (signs->has_splits || is_due_by_time(m, g, now_ns))
		g->is_due = true;
	if (g->phase == PHASE_WAIT && now_ns >= g->retry_ns)
		cycle_resume(m, g);
	else if (g->phase == PHASE_WAIT)
		manager_wake_at(m, g->retry_ns);
	else if (manager_may_start(m, g) && g->is_due && now_ns >= g->not_before_ns)
		cycle_start(m, g);
	else if (manager_may_start(m, g) && signs->with_faults)
		cycle_read_signs(m, g);
}

/* A process can make the kernel wait for as long as it likes (process.h). A worker that hangs is
 * lost until the process lets go; the other VMs go on with others. */
static void give_up_on_stuck(struct manager *m)
{
	uint64_t now_ns = manager_now_ns(m);

	for (struct guest *g = m->guests; g; g = g->next) {
		uint64_t since_ns;

		if (g->jobs_in_flight == 0 || g->is_stuck)
			continue;
		since_ns = executor_busy_since(m->executor, g->id);
		if (since_ns == 0 || now_ns < since_ns + STUCK_NS)
			continue;
		cycle_give_up(m, g);
		m->counters.stuck_vms++;
		log_vm(LOG_WARNING, g->snapshot.vm.name,
		       "pid %d has not let itself be read for %llu s (it hangs in execve, or its "
		       "memory lock is held): left alone until it does",
		       (int)g->process.pid, (unsigned long long)((now_ns - since_ns) / NS_PER_S));
	}
}

/* All spare workers hang as well: a new process starts without them, and identifies nobody who
 * hangs. */
static void watch_workers(struct manager *m)
{
	give_up_on_stuck(m);
	if (executor_keep_moving(m->executor))
		return;
	log_error("every worker hangs on a VM that does not let itself be read: ending, to be "
		  "started anew");
	(void)sd_event_exit(m->event, -EDEADLK);
}

/* An administrator turns a knob while thpd runs: what can be done then may be more or less. */
static void reread_knobs(struct manager *m)
{
	struct host before = m->host;

	host_read_nodes(m->sys, &m->host);
	if (host_read_knobs(m->sys, &m->geometry, &m->host) < 0 ||
	    host_has_same_knobs(&before, &m->host))
		return;
	log_info("a knob of huge pages or KSM was changed: everything is looked at again");
	(void)probe_features(m);
	for (struct guest *g = m->guests; g; g = g->next)
		g->is_due = true;
}

bool manager_has_moved(const struct manager *m, const struct host_pulse *since)
{
	return host_pulse_has_moved(since, &m->pulse,
				    block_bytes(&m->geometry) / page_bytes(&m->geometry) / 2);
}

static struct signs read_signs(struct manager *m, uint64_t now_ns)
{
	const struct host_pulse before = m->pulse;
	bool is_read = host_pulse_read(&m->pulse_reader, &m->pulse) == 0;
	struct signs s = {
		.has_splits = m->pulse.split_pmd != before.split_pmd ||
			      m->pulse.split_page != before.split_page,
		.has_moved = !is_read || manager_has_moved(m, &m->pulse_of_sizes),
		.has_new_pids = m->pulse.last_pid != before.last_pid,
		.with_faults =
			now_ns >= m->faults_read_ns + FAULTS_EVERY_TICKS * m->config.interval_ns,
	};

	if (s.has_moved)
		m->pulse_of_sizes = m->pulse;
	if (s.with_faults)
		m->faults_read_ns = now_ns;
	m->ticks++;
	return s;
}

static void tend_all(struct manager *m)
{
	struct signs s = read_signs(m, manager_now_ns(m));

	hearing_tend(m);
	sweep_run(m); /* the scout is out while this thread lists processes */
	if (discovery_run(m, s.has_new_pids) < 0)
		log_warning("cannot list processes");
	if (s.with_faults)
		reread_knobs(m);
	for (struct guest *g = m->guests, *next; g; g = next) {
		next = g->next;
		tend_guest(m, g, &s);
	}
	sweep_run(m); /* for who has become due */
	watch_workers(m);
	/* Scouts that stayed behind: this program has no other children by now. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void stop_if_done(struct manager *m)
{
	if (m->options.is_once && manager_is_done(m))
		(void)sd_event_exit(m->event, 0);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)usec;
	(void)sd_event_source_set_time(source,
				       manager_now_ns(m) / 1000 + m->config.interval_ns / 1000);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	tend_all(m);
	stop_if_done(m);
	return 0;
}

static int on_results(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	struct job *j;

	(void)source;
	(void)fd;
	(void)revents;
	while ((j = executor_collect(m->executor))) {
		struct guest *g = manager_find_guest(m, j->guest);

		if (g)
			cycle_take_result(m, g, j);
		job_free(j);
	}
	stop_if_done(m);
	return 0;
}

/* What hangs is not waited for. */
bool manager_is_done(const struct manager *m)
{
	if (!m->discovery.is_done || !m->sweep.is_done)
		return false;
	for (const struct guest *g = m->guests; g; g = g->next)
		if (g->snapshot.policy.mode != MODE_OFF && !g->is_doomed && !g->is_stuck &&
		    (g->phase != PHASE_IDLE || g->cycles == 0))
			return false;
	return true;
}

/* ---- life ------------------------------------------------------------------------------ */

static void log_problems(const struct config *c)
{
	for (size_t i = 0; i < c->n_problems; i++)
		log_warning("%s", c->problems[i].text);
}

static int read_host(struct manager *m)
{
	int r = host_read_geometry(m->sys, &m->geometry);

	if (r < 0) {
		log_error(
			"this kernel has no transparent huge pages (CONFIG_TRANSPARENT_HUGEPAGE)");
		return r;
	}
	r = host_read_knobs(m->sys, &m->geometry, &m->host);
	if (r < 0)
		return r;
	(void)host_read_memory(m->sys, &m->geometry, &m->host);
	host_read_nodes(m->sys, &m->host);
	return probe_features(m);
}

static void set_budget(struct manager *m)
{
	struct budget b = m->config.budget;

	b.block_bytes = block_bytes(&m->geometry);
	if (m->options.is_once)
		b.copy_bytes_per_s = UINT64_MAX;
	governor_set_budget(&m->governor, &b, manager_now_ns(m));
}

static uint32_t worker_count(const struct manager *m)
{
	if (m->config.workers > 0)
		return m->config.workers;
	return m->host.cpus < 1 ? 1 : m->host.cpus > 4 ? 4 : m->host.cpus;
}

int manager_new(sd_event *event, struct sys *sys, const struct manager_options *o,
		struct manager **ret)
{
	struct manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	m->event = sd_event_ref(event);
	m->sys = sys;
	m->options = *o;
	m->next_guest_id = 1;
	m->pulse_reader = (struct host_pulse_reader){-EBADF, -EBADF};
	r = config_load(o->config_dir, &m->config);
	if (r == 0)
		r = read_host(m);
	if (r == 0) {
		log_problems(&m->config);
		governor_init(&m->governor, &m->config.budget, manager_now_ns(m));
		set_budget(m);
		r = executor_new(sys, worker_count(m), &m->executor);
	}
	if (r < 0) {
		manager_free(m);
		return r;
	}
	*ret = m;
	return 0;
}

bool manager_stop(struct manager *m)
{
	return !m->executor || executor_stop(m->executor, STOP_NS);
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	sd_event_source_unref(m->tick);
	sd_event_source_unref(m->results);
	discovery_stop(m);
	sweep_stop(m);
	executor_free(m->executor); /* before the guests: its jobs use their fds */
	while (m->guests) {
		struct guest *g = m->guests;

		m->guests = g->next;
		guest_free(g);
	}
	host_pulse_close(&m->pulse_reader);
	config_clear(&m->config);
	sd_event_unref(m->event);
	free(m);
	return NULL;
}

int manager_start(struct manager *m)
{
	int r = host_pulse_open(m->sys, &m->pulse_reader);

	if (r < 0)
		return r;
	r = sd_event_add_io(m->event, &m->results, executor_fd(m->executor), EPOLLIN, on_results,
			    m);
	if (r < 0)
		return r;
	return sd_event_add_time(m->event, &m->tick, CLOCK_MONOTONIC, 0, 1000, on_tick, m);
}

/* What the new policy says is decided anew, and what the old one granted and has not begun is not
 * done: an administrator may have forbidden it. */
void manager_apply_policies(struct manager *m)
{
	for (struct guest *g = m->guests, *next; g; g = next) {
		next = g->next;
		guest_apply_policy(g, &m->config);
		cycle_pause(m, g);
		g->is_due = true;
		g->not_before_ns = 0;
		if (!g->snapshot.vm.has_kvm && !g->rule)
			manager_drop_guest(m, g, "it is no VM any more");
	}
}

int manager_reload(struct manager *m)
{
	struct config fresh;
	int r = config_load(m->options.config_dir, &fresh);

	if (r < 0)
		return r;
	log_problems(&fresh);
	if (fresh.is_incomplete) {
		/* Defaults in place of what an administrator wrote could do what was forbidden. */
		config_clear(&fresh);
		return -EIO;
	}
	config_clear(&m->config);
	m->config = fresh;
	set_budget(m);
	if (host_read_knobs(m->sys, &m->geometry, &m->host) == 0)
		(void)probe_features(m); /* a right may have come or gone, too */
	discovery_forget_strangers(m);
	manager_apply_policies(m);
	manager_wake_at(m, 0);
	return 0;
}
