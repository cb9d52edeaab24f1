/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What operators ask of the manager, by name, UUID or pid: the answers are report.c's JSON. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "cycle.h"
#include "log.h"
#include "parse.h"
#include "state.h"

static bool is_called(const struct guest *g, const char *name)
{
	return strcmp(g->snapshot.vm.name, name) == 0 ||
	       (g->snapshot.vm.uuid[0] && strcasecmp(g->snapshot.vm.uuid, name) == 0);
}

/* A pid goes before names: a VM may call itself by another one's pid. */
static struct guest *find_by_pid(struct manager *m, const char *who)
{
	pid_t pid;

	if (parse_pid(who, &pid) < 0)
		return NULL;
	for (struct guest *g = m->guests; g; g = g->next)
		if (!g->is_doomed && g->process.pid == pid)
			return g;
	return NULL;
}

static int find_called(struct manager *m, const char *who, struct guest **ret)
{
	struct guest *found = find_by_pid(m, who);

	for (struct guest *g = found ? NULL : m->guests; g; g = g->next) {
		if (g->is_doomed || !is_called(g, who))
			continue;
		if (found)
			return -ENOTUNIQ;
		found = g;
	}
	if (!found)
		return -ENOENT;
	hearing_take(m, found);
	*ret = found;
	return 0;
}

/* Takes the object. */
static int to_text(struct json_object *o, char **ret)
{
	const char *text;

	if (!o)
		return -ENOMEM;
	text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE);
	*ret = text ? strdup(text) : NULL;
	json_object_put(o);
	return *ret ? 0 : -ENOMEM;
}

int manager_status_json(struct manager *m, char **ret)
{
	return to_text(report_status(m), ret);
}

int manager_show_json(struct manager *m, const char *who, char **ret)
{
	struct guest *g;
	int r = find_called(m, who, &g);

	return r < 0 ? r : to_text(report_show(m, g), ret);
}

int manager_explain_json(struct manager *m, const char *who, const char *address, char **ret)
{
	struct guest *g;
	hva_t only = 0;
	int r = find_called(m, who, &g);

	if (r == 0 && address[0])
		r = parse_hex_u64(address, &only);
	return r < 0 ? r : to_text(report_explain(g, only, address[0] != 0), ret);
}

int manager_plan_json(struct manager *m, const char *who, char **ret)
{
	struct guest *g;
	int r = find_called(m, who, &g);

	return r < 0 ? r : to_text(report_plan(m, g), ret);
}

int manager_snapshot_json(struct manager *m, const char *who, char **ret)
{
	struct guest *g;
	int r = find_called(m, who, &g);

	if (r < 0)
		return r;
	nudging_note_history(m, g);
	return snapshot_to_json(&g->snapshot, true, ret);
}

int manager_config_text(struct manager *m, char **ret)
{
	return config_format(&m->config, ret);
}

/* Who asks may know that what was in the way is gone. */
static void drop_holds_of_refusals(struct ledger *l)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n_holds; i++)
		if (l->holds[i].reason != REASON_BUSY_RETRY &&
		    l->holds[i].reason != REASON_KERNEL_REFUSED &&
		    !populate_is_refusal(l->holds[i].reason))
			l->holds[kept++] = l->holds[i];
	l->n_holds = kept;
}

static uint64_t start_asked(struct manager *m, struct guest *g)
{
	uint64_t ticket = g->cycles + (g->phase == PHASE_IDLE ? 1 : 2);

	drop_holds_of_refusals(&g->ledger);
	g->is_due = true;
	g->is_asked_for = true;
	g->not_before_ns = 0;
	if (manager_may_start(m, g))
		cycle_start(m, g);
	manager_wake_at(m, 0);
	return ticket;
}

int manager_collapse(struct manager *m, const char *who, uint64_t *ret_ticket)
{
	struct guest *g;
	int r = find_called(m, who, &g);

	if (r == 0)
		*ret_ticket = start_asked(m, g);
	return r;
}

/* The survey of the cycle that comes takes the wish into the policy (guest_apply_policy()). */
int manager_populate(struct manager *m, const char *who, bool is_forced, uint64_t *ret_ticket)
{
	struct guest *g;
	int r = find_called(m, who, &g);

	if (r < 0)
		return r;
	g->populate.wish = is_forced ? POPULATE_WISH_FORCED : POPULATE_WISH_ASKED;
	g->populate_ticket = *ret_ticket = start_asked(m, g);
	return 0;
}

/* At the end of the cycle that comes. */
int manager_nudge(struct manager *m, const char *who, uint64_t *ret_ticket)
{
	struct guest *g;
	int r = find_called(m, who, &g);

	if (r < 0)
		return r;
	g->nudge.is_wished = true;
	g->nudge_refused = REASON_NONE;
	/* What came of an earlier one is no answer to this one, whose library may hang up. */
	g->last_nudge.is_set = false;
	*ret_ticket = start_asked(m, g);
	return 0;
}

int manager_pause(struct manager *m, const char *who, bool is_paused)
{
	struct guest *g;
	int r = find_called(m, who, &g);

	if (r < 0)
		return r;
	g->snapshot.policy.is_paused = is_paused;
	log_vm(LOG_INFO, g->snapshot.vm.name, is_paused ? "paused" : "resumed");
	if (is_paused)
		cycle_pause(m, g);
	else {
		g->is_due = true;
		g->not_before_ns = 0;
		manager_wake_at(m, 0);
	}
	return 0;
}
