/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys and values, and the lines of one file. */
#include "config_bench.h"

/* ---- Defaults ----------------------------------------------------------------------------------
 */

static void test_defaults_equal_policy_init(void **state)
{
	const struct policy expected = POLICY_INIT;
	struct fixture *f = *state;
	const struct config *c = &f->config;

	load(f);
	assert_no_problem(c);
	assert_int_equal(c->n_sources, 0);
	assert_int_equal(c->policy.mode, expected.mode);
	assert_int_equal(c->policy.may_remap, expected.may_remap);
	assert_int_equal(c->policy.may_copy, expected.may_copy);
	assert_int_equal(c->policy.may_ksm, expected.may_ksm);
	assert_int_equal(c->policy.may_private_file, expected.may_private_file);
	assert_int_equal(c->policy.may_dirty_logged, expected.may_dirty_logged);
	assert_int_equal(c->policy.min_populated_bp, expected.min_populated_bp);
	assert_int_equal(c->policy.min_region_bytes, expected.min_region_bytes);
	assert_int_equal(c->policy.remap_call_bytes, expected.remap_call_bytes);
	assert_int_equal(c->policy.copy_call_bytes, expected.copy_call_bytes);
	assert_int_equal(c->policy.hold_lost_ns, expected.hold_lost_ns);
	assert_int_equal(c->policy.placement, expected.placement);
	assert_int_equal(c->policy.nodes, expected.nodes);
	assert_int_equal(c->policy.stable_ns, expected.stable_ns);
	assert_int_equal(c->policy.min_gain_bytes, expected.min_gain_bytes);
	assert_int_equal(c->policy.move_interval_ns, expected.move_interval_ns);
	assert_int_equal(c->policy.wide, expected.wide);
	assert_int_equal(c->policy.wide_stripe_bytes, expected.wide_stripe_bytes);
	assert_int_equal(c->policy.nudge, NUDGE_OFF);
	assert_int_equal(c->interval_ns, NS_PER_S);
	assert_int_equal(c->max_age_ns, 10 * NS_PER_MIN);
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->budget.copy_bytes_per_s, 256 * MIB);
	assert_int_equal(c->budget.free_reserve_bytes, 256 * MIB);
	assert_null(c->origin[POLICY_KEY_MODE]);
}

static void test_every_default_is_within_its_limits_and_round_trips(void **state)
{
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	(void)state;
	for (size_t i = 0; i < n_keys; i++) {
		char text[CONFIG_VALUE_TEXT_MAX];
		uint64_t value, again;

		if (keys[i].type == KEY_TYPE_GLOB || keys[i].type == KEY_TYPE_PATHS ||
		    keys[i].type == KEY_TYPE_MONITOR)
			continue;
		assert_int_equal(value_parse(keys[i].type, keys[i].default_text, &value), 0);
		value_format(keys[i].type, value, text, sizeof(text));
		assert_string_equal(text, keys[i].default_text);
		assert_int_equal(value_parse(keys[i].type, text, &again), 0);
		assert_int_equal(value, again);
	}
}

/* ---- Values ------------------------------------------------------------------------------------
 */

static void test_values_of_every_type_are_set(void **state)
{
	struct fixture *f = *state;
	const struct config *c = &f->config;

	load_text(f,
		  "[Manager]\nInterval=1500ms\nMaxAge=2h\nWorkers=3\n"
		  "[Budget]\nCopyBandwidth=infinity\nFreeReserve=1G\n"
		  "[DAX]\nPrepareDirectories= /a  /b/c\nPreallocate=yes\n"
		  "[Collapse]\nMode=report\nRemap=no\nCopy=off\nMinPopulated=87.5%\nMinRegion=8M\n"
		  "RemapCallSize=1G\nCopyCallSize=64M\nHoldLost=2d\nKsm=yes\nPrivateFile="
		  "1\nDirtyLogged=yes\n"
		  "[NUMA]\nPlacement=bind\nNodes=0-1,63\nStableFor=90\nMinGain=2G\n"
		  "MoveInterval=infinity\nWide=interleave\nWideStripe=32M\n"
		  "[Nudge]\nMode=auto\n");
	assert_no_problem(c);
	assert_int_equal(c->interval_ns, 1500 * NS_PER_MS);
	assert_int_equal(c->max_age_ns, 2 * NS_PER_HOUR);
	assert_int_equal(c->workers, 3);
	assert_string_equal(c->prepare_directories, "/a  /b/c");
	assert_true(c->may_preallocate);
	assert_true(c->budget.copy_bytes_per_s == UINT64_MAX);
	assert_int_equal(c->budget.free_reserve_bytes, GIB);
	assert_int_equal(c->policy.mode, MODE_REPORT);
	assert_false(c->policy.may_remap);
	assert_false(c->policy.may_copy);
	assert_int_equal(c->policy.min_populated_bp, 8750);
	assert_int_equal(c->policy.min_region_bytes, 8 * MIB);
	assert_int_equal(c->policy.remap_call_bytes, GIB);
	assert_int_equal(c->policy.copy_call_bytes, 64 * MIB);
	assert_int_equal(c->policy.hold_lost_ns, 2 * NS_PER_DAY);
	assert_true(c->policy.may_ksm);
	assert_true(c->policy.may_private_file);
	assert_true(c->policy.may_dirty_logged);
	assert_int_equal(c->policy.placement, PLACEMENT_BIND);
	assert_int_equal(c->policy.nodes, UINT64_C(1) << 63 | 3);
	assert_int_equal(c->policy.stable_ns, 90 * NS_PER_S);
	assert_int_equal(c->policy.min_gain_bytes, 2 * GIB);
	assert_true(c->policy.move_interval_ns == UINT64_MAX);
	assert_int_equal(c->policy.wide, WIDE_INTERLEAVE);
	assert_int_equal(c->policy.wide_stripe_bytes, 32 * MIB);
	assert_int_equal(c->policy.nudge, NUDGE_AUTO);
	assert_string_equal(c->origin[POLICY_KEY_MODE], c->sources[0]);
	assert_string_equal(c->main_origin[MAIN_KEY_WORKERS], c->sources[0]);
}

static void test_every_placement_and_list_of_nodes(void **state)
{
	static const struct {
		const char *text;
		enum placement placement;
		node_set_t nodes;
	} cases[] = {
		{"Placement=report\nNodes=none\n", PLACEMENT_REPORT, 0},
		{"Placement=off\nNodes=0\n", PLACEMENT_OFF, 1},
		{"Placement=follow\nNodes=3,0-1\n", PLACEMENT_FOLLOW, 11},
		{"Placement=bind\nNodes=0-63\n", PLACEMENT_BIND, UINT64_MAX},
	};
	struct fixture *f = *state;
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)snprintf(text, sizeof(text), "[NUMA]\n%s", cases[i].text);
		load_text(f, text);
		assert_no_problem(&f->config);
		assert_int_equal(f->config.policy.placement, cases[i].placement);
		assert_int_equal(f->config.policy.nodes, cases[i].nodes);
	}
}

static void test_forms_that_an_operator_may_write(void **state)
{
	struct fixture *f = *state;

	load_text(f, "# comment\n; comment\n\n  [collapse]  \r\n\tMODE = report   # why\n"
		     "copy=\"no\" ; quoted\nRemap='no'\nKsm=yes");
	assert_no_problem(&f->config);
	assert_int_equal(f->config.policy.mode, MODE_REPORT);
	assert_false(f->config.policy.may_copy);
	assert_false(f->config.policy.may_remap);
	assert_true(f->config.policy.may_ksm);
}

static void test_bad_values_keep_the_default(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"[Collapse]\nMode=fast\n", "thpd.conf: [Collapse] Mode=fast: expected full, "
					    "report or off; default full kept"},
		{"[Collapse]\nMode=\n", "[Collapse] Mode=: expected full"},
		{"[Nudge]\nMode=on\n", "[Nudge] Mode=on: expected off or auto; default off kept"},
		{"[Collapse]\nCopy=maybe\n", "Copy=maybe: expected yes or no; default yes kept"},
		{"[Collapse]\nMinPopulated=101%\n", "expected a share"},
		{"[Collapse]\nMinPopulated=0.5\n", "default 100% kept"},
		{"[Collapse]\nHoldLost=1 h\n", "expected a duration"},
		{"[Collapse]\nRemapCallSize=2G\n",
		 "a power of two, from 1M to 1G; default 64M kept"},
		{"[Collapse]\nRemapCallSize=0\n", "RemapCallSize=0: expected"},
		{"[Collapse]\nCopyCallSize=128M\n", "a power of two, from 1M to 64M"},
		{"[Collapse]\nCopyCallSize=48M\n", "CopyCallSize=48M: expected"},
		{"[Collapse]\nMinRegion=4K\n", "from 1M to infinity"},
		{"[NUMA]\nPlacement=move\n", "thpd.conf: [NUMA] Placement=move: expected report, "
					     "follow, bind or off; default report kept"},
		{"[NUMA]\nNodes=64\n", "thpd.conf: [NUMA] Nodes=64: expected nodes from 0 to 63 "
				       "such as 0-1,3, or none; default none kept"},
		{"[NUMA]\nNodes=0-64\n", "[NUMA] Nodes=0-64: expected nodes"},
		{"[NUMA]\nNodes=1,99999999999999999999\n",
		 "Nodes=1,99999999999999999999: expected"},
		{"[NUMA]\nNodes=\n", "[NUMA] Nodes=: expected nodes"},
		{"[NUMA]\nNodes=\"\"\n", "[NUMA] Nodes=: expected nodes"},
		{"[NUMA]\nNodes=1,\n", "[NUMA] Nodes=1,: expected nodes"},
		{"[NUMA]\nNodes=2-1\n", "[NUMA] Nodes=2-1: expected nodes"},
		{"[NUMA]\nNodes=0, 1\n", "[NUMA] Nodes=0, 1: expected nodes"},
		{"[NUMA]\nNodes=none,1\n", "[NUMA] Nodes=none,1: expected nodes"},
		{"[NUMA]\nStableFor=long\n", "StableFor=long: expected a duration such as 1500ms, "
					     "10s, 10min or 1h; default 1min kept"},
		{"[NUMA]\nMinGain=-1\n", "MinGain=-1: expected a size in bytes such as 4096, 64M "
					 "or 1G; default 64M kept"},
		{"[NUMA]\nMoveInterval=1 h\n", "[NUMA] MoveInterval=1 h: expected a duration such "
					       "as 1500ms, 10s, 10min or 1h; default 10min kept"},
		{"[DAX]\nPrepareDirectories=/a b\n", "default none kept"},
		{"[DAX]\nPrepareDirectories=./a\n", "expected absolute paths"},
		{"[Manager]\nInterval=0\n", "from 100ms to 1h; default 1s kept"},
		{"[Manager]\nWorkers=65\n", "a number, from 0 to 64"},
		{"[Manager]\nWorkers=-1\n", "Workers=-1: expected"},
		{"[Manager]\nWorkers=4294967296\n", "Workers=4294967296: expected"},
		{"[Budget]\nCopyBandwidth=1X\n", "CopyBandwidth=1X: expected a size"},
		{"[Budget]\nCopyBandwidth=99999999999999999999\n", "expected a size"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct config *c = &f->config;

		load_text(f, cases[i].text);
		assert_int_equal(c->n_problems, 1);
		assert_problem(c, cases[i].problem);
		assert_int_equal(c->policy.mode, MODE_FULL);
		assert_int_equal(c->policy.placement, PLACEMENT_REPORT);
		assert_int_equal(c->policy.nodes, 0);
		assert_int_equal(c->policy.stable_ns, NS_PER_MIN);
		assert_int_equal(c->policy.min_gain_bytes, 64 * MIB);
		assert_int_equal(c->policy.move_interval_ns, 10 * NS_PER_MIN);
		assert_null(c->origin[POLICY_KEY_NODES]);
		assert_int_equal(c->policy.remap_call_bytes, 64 * MIB);
		assert_int_equal(c->policy.copy_call_bytes, 32 * MIB);
		assert_int_equal(c->interval_ns, NS_PER_S);
		assert_int_equal(c->workers, 0);
		assert_null(c->origin[POLICY_KEY_MODE]);
	}
}

static void test_bad_value_in_a_drop_in_keeps_the_earlier_one(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "thpd.conf.d");
	write_file(f, "thpd.conf.d/50.conf", "[Budget]\nCopyBandwidth=much\n");
	load_text(f, "[Budget]\nCopyBandwidth=64M\n");
	assert_problem(&f->config, "50.conf: [Budget] CopyBandwidth=much: expected a size");
	assert_problem(&f->config, "earlier value 64M kept");
	assert_int_equal(f->config.budget.copy_bytes_per_s, 64 * MIB);
}

/* ---- Lines -------------------------------------------------------------------------------------
 */

static void test_lines_that_are_refused(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"[Collapse]\nMod=off\n", "thpd.conf:2: [Collapse] Mod: unknown key, ignored; did "
					  "you mean [Collapse] Mode?"},
		{"[Collapse]\nCopyBandwidht=1\n", "did you mean [Budget] CopyBandwidth?"},
		{"[Collapse]\nWorkers=1\n", "did you mean [Manager] Workers?"},
		{"[Collapse]\nTurbo=1\n", "[Collapse] Turbo: unknown key, ignored"},
		{"[Colapse]\nMode=off\n",
		 "thpd.conf:1: [Colapse]: unknown section, ignored; did you mean [Collapse]?"},
		{"[NUMA]\nNode=0\n", ":2: [NUMA] Node: unknown key, ignored; did you mean [NUMA] "
				     "Nodes?"},
		{"[Collapse]\nPlacement=off\n", "did you mean [NUMA] Placement?"},
		{"[NMUA]\nNodes=0\n", "[NMUA]: unknown section, ignored; did you mean [NUMA]?"},
		{"[Unit]\nMode=off\nAfter=x\n", ":1: [Unit]: unknown section, ignored"},
		{"Mode=off\n", ":1: stands before the first [Section]"},
		{"[Collapse\nMode=off\n", ":1: a section header is [Name] alone"},
		{"[Collapse] # all\nMode=off\n", ":1: a section header is [Name] alone"},
		{"[Collapse]\nMode off\n", ":2: neither [Section], Key=value nor # comment"},
		{"[Collapse]\n=off\n", ":2: [Collapse] : unknown key"},
		{"[Collapse]\nMode=\"off\" or so\n", ":2: [Collapse] Mode: text in quotes"},
		{"[Collapse]\nMode='off\n", ":2: [Collapse] Mode: text in quotes"},
		{"[Collapse]\nMode=off\\\n", ":2: [Collapse] Mode: a line cannot go on below"},
		{"[Match]\nName=x\n", ":1: [Match] belongs into files of vm.d only"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		load_text(f, cases[i].text);
		assert_int_equal(f->config.n_problems, 1);
		assert_problem(&f->config, cases[i].problem);
		assert_int_equal(f->config.policy.mode, MODE_FULL);
	}
}

static void test_one_bad_line_does_not_cost_the_others(void **state)
{
	struct fixture *f = *state;

	load_text(f, "[Collapse]\n# joined by iniparser \\\nMode=report\nnonsense\nCopy=no\n");
	assert_int_equal(f->config.n_problems, 1);
	assert_problem(&f->config, ":4: neither");
	assert_int_equal(f->config.policy.mode, MODE_REPORT);
	assert_false(f->config.policy.may_copy);
}

static void test_repeated_key_last_wins_and_is_named(void **state)
{
	struct fixture *f = *state;

	load_text(f, "[Collapse]\nMode=off\n[Manager]\nWorkers=1\n[Collapse]\nmode=report\n");
	assert_int_equal(f->config.n_problems, 1);
	assert_problem(&f->config, ":6: [Collapse] Mode: set before in this file; this one counts");
	assert_int_equal(f->config.policy.mode, MODE_REPORT);
}

static void test_long_lines_are_named_with_their_number(void **state)
{
	struct fixture *f = *state;
	char text[8192] = "[Collapse]\nCopy=no\n#";
	size_t n = strlen(text);

	memset(text + n, 'x', 5000);
	(void)snprintf(text + n + 5000, sizeof(text) - n - 5000, "\nMode=report\n");
	load_text(f, text);
	assert_int_equal(f->config.n_problems, 1);
	assert_problem(&f->config, "thpd.conf:3: line is longer than 1000 bytes");
	assert_false(f->config.policy.may_copy);
	assert_int_equal(f->config.policy.mode, MODE_REPORT);
}

static void test_line_of_greatest_length_is_read(void **state)
{
	struct fixture *f = *state;
	char text[2048];
	int n = snprintf(text, sizeof(text), "[Collapse]\nMode=off ;");

	memset(text + n, 'x', 1000 - strlen("Mode=off ;"));
	text[11 + 1000] = '\0';
	load_text(f, text);
	assert_no_problem(&f->config);
	assert_int_equal(f->config.policy.mode, MODE_OFF);
}

static void test_problems_per_file_are_bounded(void **state)
{
	struct fixture *f = *state;
	char text[4096] = "[Collapse]\n";

	for (int i = 0; i < 200; i++)
		strcat(text, "a=b\n");
	strcat(text, "Mode=off\n");
	load_text(f, text);
	assert_int_equal(f->config.n_problems, 16);
	assert_problem(&f->config, "further problems of this file are not listed");
	assert_int_equal(f->config.policy.mode, MODE_OFF);
}

static void test_all_problems_are_bounded(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "vm.d");
	for (int i = 0; i < CONFIG_PROBLEMS_MAX + 50; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "vm.d/%04d.conf", i);
		write_file(f, name, "");
	}
	load(f);
	assert_int_equal(f->config.n_problems, CONFIG_PROBLEMS_MAX);
	assert_string_equal(f->config.problems[CONFIG_PROBLEMS_MAX - 1].text,
			    "further problems are not listed");
}

static void test_what_is_not_printable_is_masked(void **state)
{
	struct fixture *f = *state;

	load_text(f, "[Collapse]\nMode=\033[31mred\n");
	assert_problem(&f->config, "Mode=?[31mred: expected");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(defaults_equal_policy_init),
		TEST(every_default_is_within_its_limits_and_round_trips),
		TEST(values_of_every_type_are_set),
		TEST(every_placement_and_list_of_nodes),
		TEST(forms_that_an_operator_may_write),
		TEST(bad_values_keep_the_default),
		TEST(bad_value_in_a_drop_in_keeps_the_earlier_one),
		TEST(lines_that_are_refused),
		TEST(one_bad_line_does_not_cost_the_others),
		TEST(repeated_key_last_wins_and_is_named),
		TEST(long_lines_are_named_with_their_number),
		TEST(line_of_greatest_length_is_read),
		TEST(problems_per_file_are_bounded),
		TEST(all_problems_are_bounded),
		TEST(what_is_not_printable_is_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
