/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ask PID UID SOCKET: what the monitor of a QEMU tells thpd, a line a fact. Exit status 1, with the
 * reason: it was not asked.
 * ask PID UID SOCKET measure: what speaks against having it measure its guest's dirty rate, then
 * how that went, whatever speaks against it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "qemu_dirty_rate.h"
#include "qemu_facts.h"

static void print_map(const struct guest_map *map)
{
	for (size_t i = 0; i < map->n_spans; i++) {
		const struct guest_span *s = &map->spans[i];

		printf("span %" PRIx64 "-%" PRIx64 " node %d\n", s->start, s->start + s->bytes,
		       s->guest_node);
	}
	for (size_t i = 0; i < map->n_cpus; i++)
		printf("cpu %d node %d\n", (int)map->cpus[i].tid, map->cpus[i].guest_node);
}

static void print_slots(const struct qemu_slots *slots, int error, const char *why)
{
	for (size_t i = 0; i < slots->n; i++) {
		const struct memslot *m = &slots->items[i];

		printf("slot gpa %" PRIx64 " size %" PRIx64 " hva %" PRIx64 " %s\n", m->gpa,
		       m->bytes, m->hva, m->flags & MEMSLOT_READONLY ? "readonly" : "rw");
	}
	printf("slots %s\n", error < 0 ? why : "whole");
}

static void print_facts(const struct qemu_facts *facts)
{
	const struct kvm_counts *k = &facts->kvm;

	print_map(&facts->map);
	printf("map %s\n", facts->map_why ? facts->map_why : "whole");
	print_slots(&facts->slots, facts->slots_err, facts->slots_why);
	printf("migrating %s\n", answer_name(facts->is_migrating));
	if (facts->balloon_bytes != UINT64_MAX)
		printf("balloon %" PRIu64 "\n", facts->balloon_bytes);
	if (k->source == KVM_SOURCE_QMP)
		printf("kvm 4k %" PRIu64 " 2m %" PRIu64 " 1g %" PRIu64 " nx %" PRIu64 "\n",
		       k->pages_4k, k->pages_2m, k->pages_1g, k->nx_splits);
}

static int ask(struct sys *sys, const struct qmp_target *target)
{
	struct qemu_facts facts = QEMU_FACTS_INIT;
	uint64_t start = sys->ops->now_ns(sys);
	const char *why;
	int r = qemu_facts_read(sys, target, QEMU_WANT_MAP | QEMU_WANT_SLOTS | QEMU_WANT_NUMBERS,
				&facts, &why);

	printf("took_us %" PRIu64 "\n", (sys->ops->now_ns(sys) - start) / 1000);
	if (r < 0)
		printf("refused: %s (%s)\n", why, strerror(-r));
	else
		print_facts(&facts);
	qemu_facts_clear(&facts);
	return r < 0;
}

/* ---- measure ---- */

static void print_state(const struct qemu_state *s)
{
	printf("enabled %s\n", answer_name(s->has_kvm));
	printf("running %s\nmigrating %s\nmeasuring %s\nvhost %s\nvfio %s\nring %s\n",
	       answer_name(s->is_running), answer_name(s->is_migrating),
	       answer_name(s->is_measuring), answer_name(s->has_vhost), answer_name(s->has_vfio),
	       answer_name(s->has_dirty_ring));
	if (s->measured_ago_ns != UINT64_MAX)
		printf("measured_s_ago %" PRIu64 "\n", s->measured_ago_ns / 1000000000);
}

static int in_session(struct sys *sys, const struct qmp_target *target, bool is_told,
		      enum dirty_rate_step *ret)
{
	struct qemu_state state = QEMU_STATE_INIT;
	struct qmp q = QMP_INIT;
	int r = qmp_open(sys, target, &q);

	if (r == 0 && is_told) {
		r = dirty_rate_poll(&q, ret);
	} else if (r == 0) {
		r = dirty_rate_read_state(&q, target->process, &state);
		print_state(&state);
		if (r == 0)
			r = dirty_rate_begin(&q);
		*ret = DIRTY_RATE_MEASURING;
	}
	if (r == QMP_REFUSED)
		printf("refused: %s\n", q.refusal);
	else if (r < 0)
		printf("failed: %s (%s)\n", q.why, strerror(-r));
	qmp_close(&q);
	return r;
}

static int measure(struct sys *sys, const struct qmp_target *target)
{
	const struct timespec moment = {.tv_nsec = 200 * 1000 * 1000};
	enum dirty_rate_step step = DIRTY_RATE_NONE;
	int r = in_session(sys, target, false, &step);

	for (int i = 0; r == 0 && step == DIRTY_RATE_MEASURING && i < 100; i++) {
		(void)nanosleep(&moment, NULL);
		r = in_session(sys, target, true, &step);
	}
	printf("step %s\n", dirty_rate_step_name(step));
	return r != 0;
}

int main(int argc, char **argv)
{
	struct sys sys = SYS_INIT;
	struct process p = PROCESS_INIT;
	struct qmp_target target;
	int r;

	if (argc < 4 || argc > 5 || sys_open_host(&sys) < 0)
		return 2;
	r = process_open(&sys, (pid_t)atoi(argv[1]), &p);
	if (r < 0)
		return 2;
	target = (struct qmp_target){.process = &p, .uid = (uid_t)atoi(argv[2]), .path = argv[3]};
	r = argc == 5 ? measure(&sys, &target) : ask(&sys, &target);
	process_close(&p);
	sys_close(&sys);
	return r;
}
