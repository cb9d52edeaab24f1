/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the daemon tells of one VM: its policy, and its move. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "config_apply.h"
#include "report_kvm.h"
#include "report_numa.h"
#include "state.h"

static struct json_object *find_policy(struct json_object *show, const char *key)
{
	struct json_object *list = json_object_object_get(show, "policy");

	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);

		if (strcmp(json_object_get_string(json_object_object_get(o, "key")), key) == 0)
			return o;
	}
	fail_msg("no key %s", key);
	return NULL;
}

static void assert_policy(struct json_object *show, const char *key, const char *value,
			  const char *origin)
{
	struct json_object *o = find_policy(show, key);

	assert_string_equal(json_object_get_string(json_object_object_get(o, "value")), value);
	assert_string_equal(json_object_get_string(json_object_object_get(o, "origin")), origin);
}

/* The longest list of nodes as well, which is longer than any other value. */
static void show_tells_every_key_of_the_policy(void **state)
{
	static const char nodes[] =
		"0-1,3-4,6-7,9-10,12-13,15-16,18-19,21-22,24-25,27-28,30-31,"
		"33-34,36-37,39-40,42-43,45-46,48-49,51-52,54-55,57-58,60-61,63";
	static struct manager m;
	static struct guest g;
	char text[512];
	struct json_object *show;

	(void)state;
	(void)snprintf(text, sizeof(text), "[NUMA]\nPlacement=bind\nNodes=%s\n", nodes);
	assert_int_equal(config_set_defaults(&m.config), 0);
	assert_int_equal(config_apply_main(&m.config, "/etc/x", text, strlen(text)), 0);
	assert_int_equal(m.config.n_problems, 0);
	g.snapshot.policy = m.config.policy;
	show = report_show(&m, &g);
	assert_int_equal(json_object_array_length(json_object_object_get(show, "policy")),
			 POLICY_KEY_MAX);
	assert_policy(show, "Collapse.Mode", "full", "default");
	assert_policy(show, "NUMA.Placement", "bind", "/etc/x");
	assert_policy(show, "NUMA.Nodes", nodes, "/etc/x");
	assert_policy(show, "NUMA.StableFor", "1min", "default");
	assert_policy(show, "NUMA.MinGain", "64M", "default");
	assert_policy(show, "NUMA.MoveInterval", "10min", "default");
	json_object_put(show);
	config_clear(&m.config);
}

static void assert_move(const struct manager *m, const struct guest *g, bool is_moving,
			const char *held)
{
	struct json_object *numa = report_numa(m, g);

	assert_int_equal(json_object_get_boolean(json_object_object_get(numa, "moving")),
			 is_moving);
	assert_string_equal(json_object_get_string(json_object_object_get(numa, "moves_held")),
			    held);
	json_object_put(numa);
}

static void only_a_move_under_way_is_held(void **state)
{
	static struct sys sys = {.ops = &sys_real_ops};
	static struct manager m = {.sys = &sys, .host = {.n_nodes = 2, .features = FEATURE_NODES}};
	static struct guest g = {.cycles = 1, .mover.target = 1};

	(void)state;
	assert_move(&m, &g, true, "none");
	g.moves_held = REASON_NODE_FULL;
	assert_move(&m, &g, false, "node-full");
	g.mover.target = 0; /* it ended between two cycles */
	assert_move(&m, &g, false, "none");
}

static void assert_number(struct json_object *o, const char *key, uint64_t expected)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(o, key, &value));
	assert_int_equal(json_object_get_uint64(value), expected);
}

static void what_kvm_maps_is_told_with_its_source(void **state)
{
	static struct guest g;
	struct json_object *o, *finding;

	(void)state;
	assert_null(report_kvm(&g));
	g.snapshot.kvm = (struct kvm_counts){.source = KVM_SOURCE_QMP};
	o = report_kvm(&g);
	assert_number(o, "mapped_bytes", 0);
	assert_false(json_object_object_get_ex(o, "coverage_bp", NULL));
	json_object_put(o);
	g.snapshot.kvm = (struct kvm_counts){KVM_SOURCE_DEBUGFS, .pages_4k = 512, .pages_2m = 3,
					     .pages_1g = 0, .nx_splits = 1};
	g.diagnosis.totals.resident_bytes = 8 << 20;
	o = report_kvm(&g);
	assert_string_equal(json_object_get_string(json_object_object_get(o, "source")), "debugfs");
	assert_number(o, "coverage_bp", 7500);
	assert_number(o, "mapped_bytes", 8 << 20);
	assert_number(o, "huge_bytes", 6 << 20);
	assert_number(o, "pages_4k", 512);
	assert_number(o, "pages_2m", 3);
	assert_number(o, "pages_1g", 0);
	assert_number(o, "nx_splits", 1);
	finding = json_object_array_get_idx(json_object_object_get(o, "findings"), 0);
	assert_string_equal(json_object_get_string(json_object_object_get(finding, "reason")),
			    "nx-split");
	assert_number(finding, "bytes", 2 << 20);
	assert_string_equal(json_object_get_string(json_object_object_get(finding, "cure")),
			    reason_cure(REASON_NX_SPLIT));
	assert_false(json_object_get_boolean(json_object_object_get(o, "lacks_sample")));
	json_object_put(o);
}

static void a_wish_that_was_refused_is_told(void **state)
{
	static struct guest g;
	struct json_object *o, *refused;

	(void)state;
	g.nudge_refused = REASON_MEMSLOTS_NOT_TOLD;
	o = report_kvm(&g);
	refused = json_object_object_get(o, "nudge_refused");
	assert_string_equal(json_object_get_string(json_object_object_get(refused, "reason")),
			    "memslots-not-told");
	assert_non_null(json_object_object_get(refused, "cure"));
	assert_null(json_object_object_get(o, "nudge"));
	json_object_put(o);
}

static const char *text_of(struct json_object *o, const char *key)
{
	return json_object_get_string(json_object_object_get(o, key));
}

/* By which means it was done; what QEMU does not tell is not there. */
static void a_nudge_is_told_with_its_means(void **state)
{
	static struct guest g = {
		.last_nudge = {.is_set = true, .step = DIRTY_RATE_REFUSED, .refusal = "no"},
	};
	struct json_object *o, *nudge;

	(void)state;
	o = report_kvm(&g);
	nudge = json_object_object_get(o, "nudge");
	assert_string_equal(text_of(nudge, "means"), "vmm");
	assert_string_equal(text_of(nudge, "result"), "done");
	assert_true(json_object_object_get_ex(nudge, "slots", NULL));
	json_object_put(o);
	g.last_nudge.means = NUDGE_BY_DIRTY_RATE;
	g.last_nudge.err = -7;
	o = report_kvm(&g);
	nudge = json_object_object_get(o, "nudge");
	assert_string_equal(text_of(nudge, "means"), "qmp/calc-dirty-rate");
	assert_string_equal(text_of(nudge, "result"), "refused");
	assert_string_equal(text_of(nudge, "refusal"), "no");
	assert_number(nudge, "errno", 7);
	assert_false(json_object_object_get_ex(nudge, "slots", NULL));
	json_object_put(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(show_tells_every_key_of_the_policy),
		cmocka_unit_test(a_wish_that_was_refused_is_told),
		cmocka_unit_test(a_nudge_is_told_with_its_means),
		cmocka_unit_test(only_a_move_under_way_is_held),
		cmocka_unit_test(what_kvm_maps_is_told_with_its_source),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
