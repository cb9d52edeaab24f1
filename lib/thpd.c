/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thpd.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "answer.h"
#include "checkup.h"
#include "cleanup.h"
#include "diagnose.h"
#include "features.h"
#include "hostfacts.h"
#include "json_add.h"
#include "kvm_view.h"
#include "nudge.h"
#include "plan.h"
#include "record.h"
#include "report_json.h"
#include "snapshot.h"

const char *thpd_version(void)
{
	return THPD_VERSION;
}

/* Where nothing is known of it: null, as in `thpctl status`. */
static int add_kvm(struct json_object *object, const struct snapshot *s,
		   const struct kvm_view *view)
{
	struct json_object *kvm;

	if (!view->is_known && view->n_findings == 0)
		return json_object_object_add(object, "kvm", NULL) < 0 ? -ENOMEM : 0;
	kvm = json_object_new_object();
	if (!kvm)
		return -ENOMEM;
	return json_add(object, "kvm", json_filled(kvm, kvm_add_to_json(kvm, &s->kvm, view)));
}

static int decisions_to_json(const struct snapshot *s, const struct diagnosis *d,
			     const struct plan *p, char **ret_json)
{
	_cleanup_(answer_putp) struct json_object *object = json_object_new_object();
	const struct kvm_view view = kvm_view_of(s, &d->totals);
	int r = object ? json_add(object, "totals", totals_to_json(&d->totals)) : -ENOMEM;

	if (r == 0)
		r = json_add(object, "runs", runs_to_json(d->runs, d->n_runs));
	if (r == 0)
		r = json_add(object, "actions", actions_to_json(p->actions, p->n_actions));
	if (r == 0)
		r = add_kvm(object, s, &view);
	if (r == 0)
		r = json_add_held(object, "nudge_held", nudge_held_in(s, &view));
	return r < 0 ? r : answer_take_text(TAKE_PTR(object), ret_json);
}

/* No governor: a snapshot does not say what else the host has to do, so everything that pays is
 * planned. */
static int plan_to_json(const struct snapshot *s, char **ret_json)
{
	const struct plan_limits limits = {.copy_allowance_bytes = UINT64_MAX, .first_id = 1};
	_cleanup_(diagnosis_clear) struct diagnosis d = DIAGNOSIS_INIT;
	_cleanup_(plan_clear) struct plan p = PLAN_INIT;
	int r = diagnose(s, s->taken_ns, &d);

	if (r == 0)
		r = plan_make(s, &d, &limits, &p);
	return r < 0 ? r : decisions_to_json(s, &d, &p, ret_json);
}

int thpd_plan_snapshot(const char *text, size_t size, char **ret_json, const char **ret_why)
{
	_cleanup_(snapshot_clear) struct snapshot s = SNAPSHOT_INIT;
	int r;

	if (ret_why)
		*ret_why = ANSWER_NO_MEMORY;
	r = snapshot_from_json(text, size, &s, ret_why);
	if (r == 0)
		r = snapshot_validate(&s, ret_why);
	if (r < 0)
		return r;
	r = plan_to_json(&s, ret_json);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

static int checkup_to_json(const struct check_list *list, char **ret_json)
{
	_cleanup_(answer_putp) struct json_object *object = json_object_new_object();
	int r = object ? json_add(object, "checks", answer_checks(list)) : -ENOMEM;

	if (r == 0)
		r = json_add(object, "ok", json_object_new_boolean(!answer_has_failed(list)));
	return r < 0 ? r : answer_take_text(TAKE_PTR(object), ret_json);
}

/* What cannot be read is unknown and shows in the checks: only the page geometry is needed. */
static int read_host(struct sys *sys, struct mmu_geometry *g, struct host *h, const char **ret_why)
{
	int r = host_read_geometry(sys, g);

	if (r == -EOPNOTSUPP)
		return answer_fail(ret_why, r, "This kernel has no transparent huge pages.");
	if (r < 0)
		return answer_fail(ret_why, r,
				   "The size of a huge page could not be read below /sys.");
	(void)host_read_knobs(sys, g, h);
	(void)host_read_memory(sys, g, h);
	(void)features_probe(sys, g, h, NULL);
	h->is_uffd_seen = host_has_userfaultfd(sys);
	return 0;
}

int thpd_doctor(char **ret_json, const char **ret_why)
{
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	struct mmu_geometry geometry = {0};
	struct check_list list;
	struct host host = {0};
	int r = sys_open_host(&sys);

	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	r = read_host(&sys, &geometry, &host, ret_why);
	if (r < 0)
		return r;
	checkup_host(&host, &geometry, &list);
	r = checkup_to_json(&list, ret_json);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

int thpd_record(int dirfd, const pid_t *pids, size_t n_pids, int scrub, const char **ret_why)
{
	const struct record_options options = {.pids = pids, .n_pids = n_pids, .scrub = scrub != 0};
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	int r = sys_open_host(&sys);

	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	r = host_record(&sys, dirfd, &options);
	return r < 0 ? answer_fail(ret_why, r, "The host could not be recorded.") : 0;
}

int thpd_reasons(char **ret_json)
{
	return answer_take_text(reasons_to_json(), ret_json);
}
