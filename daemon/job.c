/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "job.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "collapse.h"
#include "confirm.h"
#include "descriptors.h"
#include "fill.h"
#include "firecracker.h"
#include "hostfacts.h"
#include "inventory.h"
#include "kvm_debugfs.h"
#include "measure.h"
#include "place.h"
#include "qmp_path.h"
#include "vcpus.h"
#include "vmm.h"

struct job *job_new(enum job_kind kind, uint64_t guest, struct process *process)
{
	struct job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	*j = (struct job){
		.kind = kind,
		.guest = guest,
		.process = process,
		.survey = SNAPSHOT_INIT,
		.facts = QEMU_FACTS_INIT,
	};
	return j;
}

struct job *job_free(struct job *j)
{
	if (!j)
		return NULL;
	snapshot_clear(&j->survey);
	qemu_facts_clear(&j->facts);
	free(j->vcpus);
	free(j->sights);
	free(j->before);
	free(j);
	return NULL;
}

/* A VM whose threads cannot be read has no vCPUs that are known. */
static int read_vcpus(struct sys *sys, struct job *j)
{
	int r = 0;

	if (j->want_vcpus)
		r = vcpus_read(sys, j->process, j->want_migrations, &j->vcpus, &j->n_vcpus);
	return r == -ENOMEM || r == -ESRCH ? r : 0;
}

int job_monitor_path(const struct job *j, struct monitor_path *ret, const char **ret_why)
{
	int r = qmp_path(j->survey.policy.monitor, &j->survey.vm, ret->text, sizeof(ret->text));

	if (r < 0)
		*ret_why = r == -EPERM ? "Monitor= names the monitor that is libvirt's own"
				       : "its name or UUID makes no path of a socket";
	return r;
}

bool job_asks_monitor(const struct job *j)
{
	return j->want_facts || j->want_slots || j->want_counts_of_monitor;
}

/* What QEMU itself tells is never a reason to give up on a VM. */
static void ask_monitor(struct sys *sys, struct job *j)
{
	const struct vm *vm = &j->survey.vm;
	unsigned int want = (j->want_facts ? QEMU_WANT_MAP : 0) |
			    (j->want_slots ? QEMU_WANT_SLOTS : 0) |
			    (j->want_counts_of_monitor ? QEMU_WANT_NUMBERS : 0);
	struct monitor_path path;
	struct qmp_target target = {.process = j->process, .uid = vm->uid, .path = path.text};

	if (!job_asks_monitor(j))
		return;
	j->facts_err = job_monitor_path(j, &path, &j->facts_why);
	if (j->facts_err == 0)
		j->facts_err = qemu_facts_read(sys, &target, want, &j->facts, &j->facts_why);
}

/* A monitor that was asked of KVM's counts, and knows them, is whom they are taken from. */
static void read_counts(struct sys *sys, struct job *j)
{
	j->counts = j->facts.kvm;
	if (j->want_counts && j->counts.source == KVM_SOURCE_NONE)
		(void)kvm_debugfs_read(sys, j->process, &j->counts);
}

void job_ask_around(struct sys *sys, struct job *j)
{
	ask_monitor(sys, j);
	read_counts(sys, j);
}

static void run_signs(struct sys *sys, struct job *j)
{
	j->err = pulse_read_faults(j->process, &j->pulse);
	if (j->err == 0)
		j->err = read_vcpus(sys, j);
	if (j->err == 0)
		job_ask_around(sys, j);
}

static void read_vmm_config(struct job *j)
{
	struct vm *vm = &j->survey.vm;

	if (j->want_vmm_config && vmm_kind_of(vm) == VMM_FIRECRACKER)
		vm->is_logged_for_life = firecracker_is_logged_for_life(j->process, vm->uid);
}

static void run_survey(struct sys *sys, struct job *j)
{
	struct survey_options o = {
		.min_region_bytes = j->survey.policy.min_region_bytes,
		.want_flags = j->want_flags,
	};

	j->err = process_attach(sys, j->process);
	if (j->err > 0) {
		j->is_other_program = true;
		j->err = 0;
		return;
	}
	if (j->err == 0)
		j->err = vm_refresh(sys, j->process, &j->survey.vm);
	if (j->err == 0)
		read_vmm_config(j);
	if (j->err == 0)
		j->err = region_survey(sys, j->process, &o, &j->survey);
	if (j->err == 0)
		j->err = read_vcpus(sys, j);
	if (j->err == 0)
		job_ask_around(sys, j);
}

/* A VMM that was not paged at the survey may be by now: postcopy, a snapshot. And one that had just
 * made its VM may have asked for SEV since. */
static bool is_barred_since(const struct job *j)
{
	struct descriptors d;

	if (descriptors_read(j->process->dirfd, &d) < 0)
		return !j->had_uffd;
	return (d.has_uffd && !j->had_uffd) || descriptors_are_of_pinned(&d);
}

/* Without PAGEMAP_SCAN only the sums of the whole mapping tell huge from not huge. */
static int look_wide(const struct job *j, struct sight **ret, size_t *ret_n)
{
	struct sight *all = NULL;
	size_t n = 0;
	int r;

	if (j->wide_start == j->wide_end)
		return look_blocks(&j->look, j->start, j->end, ret, ret_n);
	r = look_blocks(&j->look, j->wide_start, j->wide_end, &all, &n);
	if (r == 0)
		r = sight_list_slice(all, n, j->start, j->end, ret, ret_n, &j->look.geometry);
	free(all);
	return r;
}

/* What each kind must know of the blocks: how full they are, that they are folios, or whether they
 * are huge and where. */
static int look_before(struct job *j)
{
	switch (j->action.kind) {
	case ACTION_COPY:
		return look_pages(&j->look, j->start, j->end, &j->before, &j->n_before);
	case ACTION_PLACE:
		return look_wide(j, &j->before, &j->n_before);
	case ACTION_POPULATE:
	case ACTION_REMAP:
	case ACTION_KIND_MAX:
		break;
	}
	return look_blocks(&j->look, j->start, j->end, &j->before, &j->n_before);
}

/* A folio that finds no free block on the node is taken apart, and the kernel does not say so
 * (kernel/place.h); for one that is populated the kernel would compact: others may have taken what
 * was free when the plan was made. */
static bool has_room(struct sys *sys, const struct job *j)
{
	struct host host = {0};

	if (action_needs_room(&j->action))
		(void)host_read_memory(sys, &j->look.geometry, &host);
	return action_has_room(&j->action, &host, j->free_reserve_bytes);
}

/* Is the memory still what the plan saw? A guest may give memory back at any moment; the time
 * between this look and the call is as short as it can be from outside. */
static bool confirm(struct sys *sys, struct job *j)
{
	int r;

	if (is_barred_since(j)) {
		j->outcome.err = ECANCELED;
		return false;
	}
	r = look_before(j);
	if (r < 0) {
		j->outcome.err = -r;
		return false;
	}
	if (!action_is_confirmed(&j->action, j->before, j->n_before, j->min_populated_bp,
				 &j->look.geometry) ||
	    !has_room(sys, j)) {
		j->outcome.err = ECANCELED;
		return false;
	}
	return true;
}

static struct outcome act(struct sys *sys, const struct job *j)
{
	if (j->action.kind == ACTION_PLACE)
		return place_act(sys, j->process, &j->action, j->before, j->n_before,
				 &j->look.geometry);
	if (j->action.kind == ACTION_POPULATE)
		return fill_act(sys, j->process, &j->action, &j->ground, j->before, j->n_before,
				&j->look.geometry);
	return collapse_act(sys, j->process, &j->action, &j->look.geometry);
}

static void run_act(struct sys *sys, struct job *j)
{
	j->outcome.action = j->action.id;
	if (!j->must_confirm || confirm(sys, j)) {
		if (!j->is_dry_run)
			j->outcome = act(sys, j);
	}
	/* Never believe the return value: look. */
	j->err = look_wide(j, &j->sights, &j->n_sights);
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

void job_run(struct sys *sys, struct job *j)
{
	uint64_t began_ns = thread_cpu_ns();

	switch (j->kind) {
	case JOB_SIGNS:
		run_signs(sys, j);
		break;
	case JOB_SURVEY:
		run_survey(sys, j);
		break;
	case JOB_LOOK:
		j->err = look_blocks(&j->look, j->start, j->end, &j->sights, &j->n_sights);
		break;
	case JOB_COUNT:
		j->err = look_pages(&j->look, j->start, j->end, &j->sights, &j->n_sights);
		break;
	case JOB_EDGES:
		j->err = look_count(&j->look, j->start, j->end, &j->edge_pages);
		break;
	case JOB_ACT:
		run_act(sys, j);
		break;
	case JOB_MEASURE:
		measure_run(sys, j);
		break;
	}
	j->cpu_ns = thread_cpu_ns() - began_ns;
}
