/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: which memory backend is which guest node stands on the command line, and,
 * for memory that was plugged in, in query-memory-devices. Where QEMU has a backend in its own
 * address space is in newer QEMU's `info ramblock` (10.0 has it, 7.2 has not); else a place of it
 * in guest memory is looked up in `info mtree -f`, and gpa2hva asked for that one. Every command
 * runs in QEMU's main loop, under the lock that the guest's devices need: so there are few of them,
 * and the long ones only for guests with nodes, and where nobody else tells the memslots. */
#include "qemu_facts.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"
#include "memdevs.h"
#include "snapshot.h"

enum { CMDLINE_BYTES_MAX = 256 << 10 };

static void json_object_putp(struct json_object **object)
{
	json_object_put(*object);
}

#define _cleanup_json_ _cleanup_(json_object_putp)

static size_t length_of(struct json_object *value)
{
	return json_object_is_type(value, json_type_array) ? json_object_array_length(value) : 0;
}

/* What is being put together, on the heap: it is large for a worker's stack. Results of the
 * functions below: 0, negative (the session is over), or MAP_UNKNOWN with `why`. */
struct session {
	struct qmp qmp;
	char *mtree; /* owned: QEMU's answer to `info mtree -f`; NULL: it was not asked */
	struct memdevs memdevs;
	struct guest_map map;
	const char *why;
};

/* ---- Numbers -------------------------------------------------------------------------------- */

static bool status_is_idle(const char *status)
{
	static const char *const idle[] = {"none", "completed", "failed", "cancelled"};

	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		if (strcmp(status, idle[i]) == 0)
			return true;
	return false;
}

/* A QEMU that never migrated has no status. A status that thpd does not know may be a migration. */
int qemu_facts_read_migration(struct qmp *q, enum answer *ret)
{
	_cleanup_json_ struct json_object *answer = NULL;
	const char *status;
	int r = qmp_execute(q, "query-migrate", NULL, &answer);

	if (r != 0 || !json_object_is_type(answer, json_type_object))
		return r < 0 ? r : 0;
	status = qmp_text(answer, "status");
	if (status)
		*ret = status_is_idle(status) ? ANSWER_NO : ANSWER_YES;
	else if (!qmp_member(answer, "status"))
		*ret = ANSWER_NO;
	return 0;
}

/* Refused where there is no balloon. */
static int read_balloon(struct qmp *q, struct qemu_facts *facts)
{
	_cleanup_json_ struct json_object *answer = NULL;
	int r = qmp_execute(q, "query-balloon", NULL, &answer);

	if (r == 0)
		(void)qmp_number(answer, "actual", &facts->balloon_bytes);
	return r < 0 ? r : 0;
}

/* So that no number of bytes overflows. */
#define STAT_PAGES_MAX (UINT64_MAX >> 30)

enum { STAT_4K, STAT_2M, STAT_1G, STAT_NX, N_STATS };

static void take_stat(struct json_object *stat, uint64_t *values, bool *is_there)
{
	static const char *const names[N_STATS] = {
		[STAT_4K] = "pages_4k",
		[STAT_2M] = "pages_2m",
		[STAT_1G] = "pages_1g",
		[STAT_NX] = "nx_lpage_splits",
	};
	const char *name = qmp_text(stat, "name");

	for (size_t i = 0; name && i < N_STATS; i++)
		if (strcmp(name, names[i]) == 0)
			is_there[i] = qmp_number(stat, "value", &values[i]) &&
				      values[i] <= STAT_PAGES_MAX;
}

static void take_stats(struct json_object *result, struct kvm_counts *ret)
{
	struct json_object *stats = qmp_member(result, "stats");
	const char *provider = qmp_text(result, "provider");
	uint64_t values[N_STATS] = {0};
	bool is_there[N_STATS] = {false};

	if (!provider || strcmp(provider, "kvm") != 0)
		return;
	for (size_t i = 0; i < length_of(stats); i++)
		take_stat(json_object_array_get_idx(stats, i), values, is_there);
	if (!is_there[STAT_4K] || !is_there[STAT_2M] || !is_there[STAT_1G])
		return;
	*ret = (struct kvm_counts){
		.source = KVM_SOURCE_QMP,
		.pages_4k = values[STAT_4K],
		.pages_2m = values[STAT_2M],
		.pages_1g = values[STAT_1G],
		.nx_splits = values[STAT_NX],
	};
}

/* Refused before QEMU 7.1; empty without KVM. */
static int read_stats(struct qmp *q, struct qemu_facts *facts)
{
	static const char question[] =
		"{\"target\":\"vm\",\"providers\":[{\"provider\":\"kvm\",\"names\":"
		"[\"pages_4k\",\"pages_2m\",\"pages_1g\",\"nx_lpage_splits\"]}]}";
	_cleanup_json_ struct json_object *answer = NULL;
	int r = qmp_execute(q, "query-stats", question, &answer);

	if (r != 0)
		return r < 0 ? r : 0;
	for (size_t i = 0; i < length_of(answer); i++)
		take_stats(json_object_array_get_idx(answer, i), &facts->kvm);
	facts->kvm.read_ns = q->sys->ops->now_ns(q->sys);
	return 0;
}

/* ---- The map of the guest's nodes ----------------------------------------------------------- */

enum { MAP_UNKNOWN = 1 };

static int map_unknown(struct session *m, const char *why)
{
	m->why = why;
	return MAP_UNKNOWN;
}

static int ask(struct session *m, const char *command, struct json_object **ret)
{
	int r = qmp_execute(&m->qmp, command, NULL, ret);

	return r == QMP_REFUSED ? map_unknown(m, "QEMU refuses to answer") : r;
}

static int take_cpu(struct session *m, struct json_object *cpu)
{
	uint64_t tid, node;
	struct guest_cpu c;

	if (!qmp_number(cpu, "thread-id", &tid) || tid == 0 || tid > INT32_MAX)
		return map_unknown(m, "QEMU does not say which thread a vCPU is");
	/* One that was plugged in where the guest has no node for it. */
	if (!qmp_number(qmp_member(cpu, "props"), "node-id", &node) || node >= GUEST_NODES_MAX)
		return 0;
	c = (struct guest_cpu){.tid = (pid_t)tid, .guest_node = (int16_t)node};
	return ARRAY_APPEND(&m->map.cpus, &m->map.n_cpus, &c);
}

static int read_cpus(struct session *m)
{
	_cleanup_json_ struct json_object *answer = NULL;
	int r = ask(m, "query-cpus-fast", &answer);
	size_t n = length_of(answer);

	if (r == 0 && n > SNAPSHOT_VCPUS_MAX)
		return map_unknown(m, "there are too many vCPUs");
	for (size_t i = 0; r == 0 && i < n; i++)
		r = take_cpu(m, json_object_array_get_idx(answer, i));
	return r;
}

/* A DIMM or virtio-mem device has its node and its backend. */
static int take_device(struct session *m, struct json_object *device)
{
	struct json_object *data = qmp_member(device, "data");
	const char *type = qmp_text(device, "type"), *memdev = qmp_text(data, "memdev"), *slash;
	uint64_t node;

	if (!type || (strcmp(type, "dimm") != 0 && strcmp(type, "virtio-mem") != 0))
		return 0;
	if (!memdev || !qmp_number(data, "node", &node))
		return map_unknown(m, "QEMU does not say of which node a memory device is");
	slash = strrchr(memdev, '/');
	memdev = slash ? slash + 1 : memdev;
	if (memdevs_add(&m->memdevs, memdev, strlen(memdev), node) < 0)
		return map_unknown(m, "a memory device contradicts the command line");
	return 0;
}

static int read_devices(struct session *m)
{
	_cleanup_json_ struct json_object *answer = NULL;
	int r = ask(m, "query-memory-devices", &answer);

	for (size_t i = 0; r == 0 && i < length_of(answer); i++)
		r = take_device(m, json_object_array_get_idx(answer, i));
	return r;
}

static void take_size(struct memdevs *memdevs, struct json_object *backend)
{
	const char *id = qmp_text(backend, "id");
	struct memdev *d = id ? memdevs_find(memdevs, id, strlen(id)) : NULL;

	if (d)
		d->has_bytes = qmp_number(backend, "size", &d->bytes);
}

static int read_sizes(struct session *m)
{
	_cleanup_json_ struct json_object *answer = NULL;
	int r = ask(m, "query-memdev", &answer);

	for (size_t i = 0; r == 0 && i < length_of(answer); i++)
		take_size(&m->memdevs, json_object_array_get_idx(answer, i));
	for (size_t i = 0; r == 0 && i < m->memdevs.n; i++)
		if (!m->memdevs.items[i].has_bytes)
			r = map_unknown(m,
					"QEMU does not know a memory backend of its command line");
	return r;
}

static int ask_human(struct session *m, const char *line, char **ret)
{
	int r = qmp_human(&m->qmp, line, ret);

	return r == QMP_REFUSED ? map_unknown(m, "QEMU has no human monitor") : r;
}

static int read_gpa2hva(struct session *m, struct memdev *d)
{
	_cleanup_free_ char *text = NULL;
	char line[64];
	int r;

	(void)snprintf(line, sizeof(line), "gpa2hva 0x%" PRIx64, d->gpa);
	r = ask_human(m, line, &text);
	if (r == 0 && memdev_read_gpa2hva(d, text) < 0)
		r = map_unknown(m, "QEMU's gpa2hva is not understood");
	return r;
}

/* Once: it is the longest of all. */
static int ask_mtree(struct session *m)
{
	return m->mtree ? 0 : ask_human(m, "info mtree -f", &m->mtree);
}

static int read_places_of_old(struct session *m)
{
	int r = ask_mtree(m);

	if (r == 0 && memdevs_read_mtree(&m->memdevs, m->mtree) < 0)
		r = map_unknown(m, "not all memory backends are in QEMU's `info mtree -f`");
	for (size_t i = 0; r == 0 && i < m->memdevs.n; i++)
		r = read_gpa2hva(m, &m->memdevs.items[i]);
	return r;
}

static int read_places(struct session *m)
{
	_cleanup_free_ char *text = NULL;
	int r = ask_human(m, "info ramblock", &text);

	if (r != 0)
		return r;
	r = memdevs_read_ramblock(&m->memdevs, text);
	if (r == -ENODATA)
		return read_places_of_old(m);
	return r < 0 ? map_unknown(m, "QEMU's `info ramblock` is not understood") : 0;
}

static int settle(struct session *m)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < m->memdevs.n; i++) {
		const struct memdev *d = &m->memdevs.items[i];
		struct guest_span span = {
			.start = d->start,
			.bytes = d->bytes,
			.guest_node = d->guest_node,
		};

		r = ARRAY_APPEND(&m->map.spans, &m->map.n_spans, &span);
	}
	if (r == 0 && guest_map_settle(&m->map, m->qmp.sys->ops->page_bytes(m->qmp.sys)) < 0)
		r = map_unknown(m, "QEMU's memory backends overlap or are not of whole pages");
	return r;
}

static int read_everything(struct session *m)
{
	static int (*const steps[])(struct session *) = {
		read_devices, read_sizes, read_cpus, read_places, settle,
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++)
		r = steps[i](m);
	return r;
}

/* What ended the session. */
static const char *why_over(const struct session *m)
{
	return m->qmp.why ? m->qmp.why : "no memory";
}

/* All or nothing: half a map would split the guest the wrong way. */
static int read_map(struct session *m, struct qemu_facts *facts)
{
	int r = m->memdevs.n > 0 ? read_everything(m) : 0;

	if (r == 0 && m->memdevs.n > 0)
		facts->map = m->map;
	else
		guest_map_clear(&m->map);
	facts->map_why = r < 0 ? why_over(m) : m->why;
	return r < 0 ? r : 0;
}

/* ---- Memslots ------------------------------------------------------------------------------- */

static int read_slots(struct session *m, struct qemu_facts *facts)
{
	int r = ask_mtree(m);

	if (r == MAP_UNKNOWN) {
		facts->slots_err = -ENODATA;
		facts->slots_why = m->why;
		return 0;
	}
	facts->slots_why = why_over(m);
	if (r == 0)
		r = qemu_slots_read(&m->qmp, m->mtree, &facts->slots, &facts->slots_why);
	facts->slots_err = r;
	return m->qmp.error;
}

/* ---- All ------------------------------------------------------------------------------------ */

static int read_cmdline(const struct process *p, struct session *m)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r = sys_read_all_at(p->dirfd, "cmdline", CMDLINE_BYTES_MAX, &text, &size);

	if (r < 0)
		return r;
	if (memdevs_read_cmdline(&m->memdevs, text, size) < 0) {
		m->memdevs.n = 0;
		m->why = "a guest node has memory that is no memory backend";
	}
	return 0;
}

static int read_numbers(struct session *m, struct qemu_facts *facts)
{
	int r = qemu_facts_read_migration(&m->qmp, &facts->is_migrating);

	if (r == 0)
		r = read_balloon(&m->qmp, facts);
	return r == 0 ? read_stats(&m->qmp, facts) : r;
}

/* The numbers first: they are the cheapest, and matter most. Of what was told before the session
 * came to its end, nothing is lost by that. */
static int read_session(struct session *m, unsigned int want, struct qemu_facts *facts)
{
	static const struct {
		unsigned int want;
		int (*read)(struct session *m, struct qemu_facts *facts);
	} parts[] = {
		{QEMU_WANT_NUMBERS, read_numbers},
		{QEMU_WANT_MAP, read_map},
		{QEMU_WANT_SLOTS, read_slots},
	};
	bool is_told = false;
	int error = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int r;

		if (!(want & parts[i].want))
			continue;
		r = parts[i].read(m, facts);
		if (r == 0)
			is_told = true;
		else if (error == 0)
			error = r;
	}
	return is_told ? 0 : error;
}

static int ask_monitor(struct sys *sys, const struct qmp_target *target, unsigned int want,
		       struct session *m, struct qemu_facts *facts)
{
	int r = qmp_open(sys, target, &m->qmp);

	if (r == 0)
		r = read_session(m, want, facts);
	qmp_close(&m->qmp);
	free(m->mtree);
	if (r < 0)
		m->why = why_over(m);
	return r;
}

int qemu_facts_read(struct sys *sys, const struct qmp_target *target, unsigned int want,
		    struct qemu_facts *ret, const char **ret_why)
{
	struct qemu_facts facts = QEMU_FACTS_INIT;
	_cleanup_free_ struct session *m = calloc(1, sizeof(*m));
	int r;

	*ret_why = "no memory";
	if (!m)
		return -ENOMEM;
	r = read_cmdline(target->process, m);
	*ret_why = "the VM's command line cannot be read";
	if (r < 0)
		return r;
	r = ask_monitor(sys, target, want, m, &facts);
	if (r == 0 && !process_is_alive(sys, target->process))
		r = -ESRCH;
	*ret_why = m->why ? m->why : "the VM went away";
	if (r < 0)
		qemu_facts_clear(&facts);
	else
		*ret = facts;
	return r;
}

void qemu_facts_clear(struct qemu_facts *facts)
{
	guest_map_clear(&facts->map);
	qemu_slots_clear(&facts->slots);
	*facts = (struct qemu_facts)QEMU_FACTS_INIT;
}
