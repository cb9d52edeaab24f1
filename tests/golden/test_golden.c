/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Recorded hosts: what thpd says of each VM in tests/golden/hosts/NAME must be what expected.json
 * says. UPDATE_GOLDEN=1 writes expected.json anew: read the difference before you commit it.
 * Sentences and cures are left out, so that they can be improved freely. A record is made by
 * record.sh, or by `thpctl record`. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "cleanup.h"
#include "driver.h"
#include "hostfacts.h"
#include "kvm_debugfs.h"
#include "kvm_view.h"
#include "parse.h"
#include "report_json.h"

#define HOSTS "tests/golden/hosts"

enum { HOSTS_MAX = 64, PIDS_MAX = 64 };

/* ---- The record's own words ---- */

static const char *value_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);

	assert_non_null(at);
	return at + strlen(key);
}

static uint8_t log2_of(uint64_t value)
{
	assert_true(value && (value & (value - 1)) == 0);
	return (uint8_t)__builtin_ctzll(value);
}

static void read_options(int fd, struct model_options *o)
{
	char text[1024], size[64];
	uint64_t features;

	assert_true(sys_read_at(fd, "thpd-record", text, sizeof(text)) > 0);
	assert_true(sys_read_at(fd, "sys/kernel/mm/transparent_hugepage/hpage_pmd_size", size,
				sizeof(size)) > 0);
	assert_int_equal(strncmp(text, "version 1\n", 10), 0);
	o->geometry.base_shift = log2_of(strtoull(value_of(text, "\npage_bytes "), NULL, 10));
	o->geometry.pmd_order =
		(uint8_t)(log2_of(strtoull(size, NULL, 10)) - o->geometry.base_shift);
	o->geometry.pud_order = (uint8_t)(2 * o->geometry.pmd_order);
	features = strtoull(value_of(text, "\nfeatures "), NULL, 0);
	o->has_pfn_right = (features & FEATURE_PFN) && (features & FEATURE_KPAGEFLAGS);
	o->has_scan = features & FEATURE_PAGEMAP_SCAN;
	o->has_guard = features & FEATURE_SCAN_GUARD;
	o->has_collapse_right = features & FEATURE_COLLAPSE;
	o->is_uffd_safe = features & FEATURE_UFFD_SAFE;
	assert_int_equal(sscanf(value_of(text, "\nrelease "), "%64s", o->release), 1);
}

/* ---- What is said ---- */

static struct json_object *region_json(const struct region *r)
{
	struct json_object *o = json_object_new_object();
	char text[64];

	(void)snprintf(text, sizeof(text), "0x%llx-0x%llx", (unsigned long long)r->start,
		       (unsigned long long)r->end);
	json_object_object_add(o, "range", json_object_new_string(text));
	json_object_object_add(o, "backing", json_object_new_string(backing_name(r->backing)));
	json_object_object_add(o, "shared", json_object_new_boolean(r->is_shared));
	json_object_object_add(o, "eligibility", json_object_new_int((int)r->eligibility));
	return o;
}

static struct json_object *regions_json(const struct snapshot *s)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < s->n_regions; i++)
		json_object_array_add(list, region_json(&s->regions[i]));
	return list;
}

static void drop_words(struct json_object *o)
{
	json_object_object_del(o, "sentence");
	json_object_object_del(o, "cure");
}

static struct json_object *runs_json(const struct diagnosis *d)
{
	struct json_object *list = runs_to_json(d->runs, d->n_runs);

	assert_non_null(list);
	for (size_t i = 0; i < d->n_runs; i++)
		drop_words(json_object_array_get_idx(list, i));
	return list;
}

static struct json_object *identity_json(const struct vm *vm)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "pid", json_object_new_int(vm->pid));
	json_object_object_add(o, "name", json_object_new_string(vm->name));
	json_object_object_add(o, "uuid", json_object_new_string(vm->uuid));
	json_object_object_add(o, "comm", json_object_new_string(vm->comm));
	json_object_object_add(o, "exe", json_object_new_string(vm->exe));
	json_object_object_add(o, "uid", json_object_new_int64(vm->uid));
	json_object_object_add(o, "kvm", json_object_new_boolean(vm->has_kvm));
	json_object_object_add(o, "vfio", json_object_new_boolean(vm->has_vfio));
	json_object_object_add(o, "sev", json_object_new_boolean(vm->has_sev));
	json_object_object_add(o, "userfaultfd", json_object_new_boolean(vm->has_uffd));
	json_object_object_add(o, "thp_disabled", json_object_new_boolean(vm->is_thp_disabled));
	if (vm->memcg_headroom_bytes != UINT64_MAX)
		json_object_object_add(o, "memcg_headroom_bytes",
				       json_object_new_uint64(vm->memcg_headroom_bytes));
	return o;
}

/* Of one sample: a record has no other. */
static struct json_object *kvm_json(struct sys *sys, struct driver_vm *vm)
{
	struct snapshot *s = &vm->snapshot;
	struct json_object *o, *findings;
	struct kvm_view view;

	if (kvm_debugfs_read(sys, &vm->process, &s->kvm) < 0)
		return NULL;
	view = kvm_view_of(s, &vm->diagnosis.totals);
	o = json_object_new_object();
	assert_int_equal(kvm_add_to_json(o, &s->kvm, &view), 0);
	findings = json_object_object_get(o, "findings");
	for (size_t i = 0; i < json_object_array_length(findings); i++)
		drop_words(json_object_array_get_idx(findings, i));
	return o;
}

static struct json_object *vm_json(struct sys *sys, struct driver_vm *vm)
{
	struct json_object *o = identity_json(&vm->snapshot.vm);

	json_object_object_add(o, "regions", regions_json(&vm->snapshot));
	json_object_object_add(o, "totals", totals_to_json(&vm->diagnosis.totals));
	json_object_object_add(o, "runs", runs_json(&vm->diagnosis));
	json_object_object_add(o, "kvm_view", kvm_json(sys, vm));
	json_object_object_add(o, "plan", actions_to_json(vm->plan.actions, vm->plan.n_actions));
	return o;
}

static struct json_object *host_json(const struct host *h, const struct mmu_geometry *g)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "release", json_object_new_string(h->kernel_release));
	json_object_object_add(o, "page_bytes", json_object_new_uint64(page_bytes(g)));
	json_object_object_add(o, "block_bytes", json_object_new_uint64(block_bytes(g)));
	json_object_object_add(o, "shmem_enabled",
			       json_object_new_string(shmem_knob_name(h->shmem_global)));
	json_object_object_add(o, "block_shmem_enabled",
			       json_object_new_string(shmem_knob_name(h->shmem_block)));
	json_object_object_add(o, "free_block_bytes",
			       json_object_new_uint64(host_free_block_bytes(h)));
	json_object_object_add(o, "cpus", json_object_new_int64(h->cpus));
	return o;
}

/* ---- One recorded host ---- */

struct record {
	const char *name;
	struct model *m;
	struct driver d;
};

static struct json_object *look_at_vm(struct record *r, pid_t pid)
{
	struct policy policy = POLICY_INIT;
	struct json_object *o;
	struct driver_vm vm;

	driver_vm_init(&vm, pid, &policy);
	assert_int_equal(driver_cycle(&r->d, &vm), 0);
	o = vm_json(&r->d.sys, &vm);
	driver_vm_clear(&vm);
	return o;
}

static struct json_object *look_at_host(struct record *r)
{
	struct json_object *o = json_object_new_object(), *vms = json_object_new_array();
	pid_t *pids;
	size_t n;

	assert_int_equal(process_list(&r->d.sys, &pids, &n), 0);
	for (size_t i = 0; i < n; i++) {
		if (model_find(r->m, pids[i]))
			json_object_array_add(vms, look_at_vm(r, pids[i]));
	}
	free(pids);
	json_object_object_add(o, "host", host_json(&r->d.host, &r->d.geometry));
	json_object_object_add(o, "vms", vms);
	return o;
}

static void record_open(struct record *r, const char *path)
{
	const struct budget budget = {.copy_bytes_per_s = UINT64_MAX};
	struct model_options o = MODEL_OPTIONS_INIT;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	read_options(fd, &o);
	(void)close_fd(fd);
	r->m = model_new(&o);
	assert_int_equal(model_load_tree(r->m, path), 0);
	assert_int_equal(driver_init(&r->d, r->m, &budget), 0);
	r->d.is_dry_run = true;
}

static void record_close(struct record *r)
{
	driver_clear(&r->d);
	r->m = model_free(r->m);
}

static const char *json_text(struct json_object *o)
{
	return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
							 JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* The first line that differs says more than two long texts. */
static void fail_with_difference(const char *path, const char *expected, const char *actual)
{
	unsigned line = 1;

	while (*expected && *expected == *actual) {
		line += *expected == '\n';
		expected++;
		actual++;
	}
	fail_msg("%s line %u:\n expected ...%.200s\n actual   ...%.200s", path, line, expected,
		 actual);
}

static void compare(const char *path, struct json_object *actual)
{
	struct json_object *expected;

	if (getenv("UPDATE_GOLDEN")) {
		FILE *f = fopen(path, "we");

		assert_non_null(f);
		assert_true(fprintf(f, "%s\n", json_text(actual)) > 0);
		assert_int_equal(fclose(f), 0);
		return;
	}
	expected = json_object_from_file(path);
	if (!expected)
		fail_msg("%s cannot be read; UPDATE_GOLDEN=1 writes it", path);
	if (!json_object_equal(expected, actual))
		fail_with_difference(path, json_text(expected), json_text(actual));
	json_object_put(expected);
}

static void test_host(void **state)
{
	struct record *r = *state;
	struct json_object *actual;
	char path[512];

	(void)snprintf(path, sizeof(path), HOSTS "/%s", r->name);
	record_open(r, path);
	actual = look_at_host(r);
	(void)snprintf(path, sizeof(path), HOSTS "/%s/expected.json", r->name);
	compare(path, actual);
	json_object_put(actual);
	record_close(r);
}

static int teardown(void **state)
{
	struct record *r = *state;

	if (r->m)
		record_close(r);
	return 0;
}

/* ---- All of them ---- */

static int is_host(const struct dirent *e)
{
	return e->d_name[0] != '.' && e->d_type == DT_DIR;
}

int main(void)
{
	struct CMUnitTest tests[HOSTS_MAX] = {0};
	struct record records[HOSTS_MAX] = {0};
	struct dirent **names;
	int n = scandir(HOSTS, &names, is_host, alphasort), failed;

	if (n < 1 || n > HOSTS_MAX) {
		(void)fprintf(stderr, "%s: run this from the top of the repository\n", HOSTS);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		records[i].name = names[i]->d_name;
		tests[i] = (struct CMUnitTest){names[i]->d_name, test_host, NULL, teardown,
					       &records[i]};
	}
	failed = _cmocka_run_group_tests("golden", tests, (size_t)n, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return failed;
}
