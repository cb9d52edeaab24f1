/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules of vm.d, and the configuration as text. */
#include "config_bench.h"

/* ---- Rules
 * --------------------------------------------------------------------------------------- */

static struct vm make_vm(void)
{
	struct vm vm = {.pid = 7, .uid = 0, .has_kvm = true};

	strcpy(vm.name, "db1");
	strcpy(vm.uuid, "6f7c0b4e-0000-4000-8000-00000000abcd");
	strcpy(vm.comm, "qemu-system-x86");
	strcpy(vm.exe, "/usr/bin/qemu-system-x86_64");
	strcpy(vm.cgroup, "/machine.slice/machine-qemu-1-db1.scope");
	return vm;
}

static bool rule_matches(struct fixture *f, const char *match, const struct vm *vm)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "[Match]\n%s\n", match);
	load_rule(f, text);
	assert_no_problem(&f->config);
	return config_find_rule(&f->config, vm) != NULL;
}

static void test_each_match_key(void **state)
{
	struct fixture *f = *state;
	struct vm vm = make_vm();

	assert_true(rule_matches(f, "Name=db*", &vm));
	assert_false(rule_matches(f, "Name=DB*", &vm));
	assert_false(rule_matches(f, "Name=db", &vm));
	assert_true(rule_matches(f, "UUID=6F7C0B4E-*", &vm));
	assert_false(rule_matches(f, "UUID=7*", &vm));
	assert_true(rule_matches(f, "Comm=qemu-system-*", &vm));
	assert_false(rule_matches(f, "Comm=crosvm", &vm));
	assert_true(rule_matches(f, "Exe=/usr/bin/*", &vm));
	assert_false(rule_matches(f, "Exe=/opt/*", &vm));
	assert_true(rule_matches(f, "Cgroup=/machine.slice/*", &vm));
	assert_false(rule_matches(f, "Cgroup=/user.slice/*", &vm));
	assert_true(rule_matches(f, "name=db[0-9]\nuser=root", &vm));
	assert_true(rule_matches(f, "Name=db1 # not db2", &vm));
	strcpy(vm.name, "a;#1 ");
	assert_true(rule_matches(f, "Name=\"a;#1 \" ; quoted", &vm));
	assert_false(rule_matches(f, "Name='a;#1'", &vm));
	strcpy(vm.name, "db1");
	assert_false(rule_matches(f, "Name=db1\nUser=nobody", &vm));
}

static void test_user_by_name_number_and_pattern(void **state)
{
	struct fixture *f = *state;
	struct vm vm = make_vm();

	assert_true(rule_matches(f, "User=root", &vm));
	assert_true(rule_matches(f, "User=0", &vm));
	assert_true(rule_matches(f, "User=ro?t", &vm));
	assert_false(rule_matches(f, "User=00", &vm));
	assert_false(rule_matches(f, "User=1", &vm));
	vm.uid = 4000000; /* has no name */
	assert_true(rule_matches(f, "User=4000000", &vm));
	assert_true(rule_matches(f, "User=*", &vm));
	assert_false(rule_matches(f, "User=root", &vm));
}

static void test_name_and_uuid_are_believed_of_vmms_only(void **state)
{
	static const char *const vmms[] = {"qemu-system-arm", "qemu-kvm", "cloud-hyperviso",
					   "firecracker", "crosvm"};
	struct fixture *f = *state;
	struct vm vm = make_vm();

	vm.has_kvm = false;
	strcpy(vm.comm, "python3");
	strcpy(vm.exe, "/usr/bin/python3.11");
	assert_false(rule_matches(f, "Name=db1", &vm));
	assert_false(rule_matches(f, "UUID=6*", &vm));
	assert_false(rule_matches(f, "Name=db1\nUser=root", &vm));
	assert_true(rule_matches(f, "Comm=python3", &vm));
	vm.has_kvm = true;
	assert_true(rule_matches(f, "Name=db1", &vm));
	vm.has_kvm = false;
	for (size_t i = 0; i < ARRAY_SIZE(vmms); i++) {
		strcpy(vm.comm, vmms[i]);
		assert_true(rule_matches(f, "Name=db1", &vm));
	}
	/* -name VM,process=COMM */
	strcpy(vm.comm, "db1");
	assert_false(rule_matches(f, "Name=db1", &vm));
	strcpy(vm.exe, "/usr/bin/qemu-system-x86_64");
	assert_true(rule_matches(f, "Name=db1", &vm));
	strcpy(vm.exe, "/srv/me/qemu-system-x/sh");
	assert_false(rule_matches(f, "Name=db1", &vm));
}

static void test_rule_without_match_matches_nothing(void **state)
{
	static const char *const texts[] = {"", "[Collapse]\nMode=off\n", "[Match]\n"};
	struct fixture *f = *state;
	struct vm vm = make_vm();

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		load_rule(f, texts[i]);
		assert_int_equal(f->config.n_problems, 1);
		assert_problem(&f->config, "10.conf: has no [Match] key, so it matches no VM");
		assert_null(config_find_rule(&f->config, &vm));
	}
}

/* Losing half of a [Match] must not widen it. */
static void test_rule_with_a_wrong_match_matches_nothing(void **state)
{
	static const char *const texts[] = {"[Match]\nComm=qemu*\nNmae=db7\n",
					    "[Match]\nComm=qemu*\nName=\n",
					    "[Match]\nComm=qemu*\nName=db7\\\n",
					    "[Match]\nComm=qemu*\n[Mtach]\nName=db7\n",
					    "[Match]\nComm=qemu*\n[Match\nName=db7\n",
					    "[Match]\nComm=qemu*\nComm=*\n"};
	struct fixture *f = *state;
	struct vm vm = make_vm();

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		load_rule(f, texts[i]);
		assert_problem(&f->config, "matches no VM until the problem");
		assert_null(config_find_rule(&f->config, &vm));
	}
}

static void test_problem_in_policy_leaves_the_match_alone(void **state)
{
	struct fixture *f = *state;
	struct vm vm = make_vm();
	const struct rule *rule;

	load_rule(f,
		  "[Match]\nName=db1\n[Collapse]\nMode=wrong\nCopy=no\n[Budget]\nFreeReserve=1G\n");
	assert_int_equal(f->config.n_problems, 2);
	assert_problem(&f->config,
		       "10.conf:6: [Budget] is for the whole daemon: set it in thpd.conf");
	rule = config_find_rule(&f->config, &vm);
	assert_non_null(rule);
	assert_false(rule->policy.may_copy);
	assert_int_equal(f->config.budget.free_reserve_bytes, 256 * MIB);
}

static void test_first_rule_by_file_name_wins_over_main_policy(void **state)
{
	struct fixture *f = *state;
	struct vm vm = make_vm();
	const struct rule *rule;

	make_dir(f, "vm.d");
	write_file(f, "vm.d/20-all.conf", "[Match]\nComm=*\n[Collapse]\nMode=off\n");
	write_file(f, "vm.d/10-db.conf", "[Match]\nName=db*\n[Collapse]\nCopy=no\n");
	load_text(f, "[Collapse]\nMode=report\n");
	assert_no_problem(&f->config);
	rule = config_find_rule(&f->config, &vm);
	assert_non_null(rule);
	assert_string_equal(rule->file, path_of(f, "vm.d/10-db.conf"));
	assert_int_equal(rule->policy.mode, MODE_REPORT);
	assert_false(rule->policy.may_copy);
	assert_string_equal(rule->origin[POLICY_KEY_COPY], path_of(f, "vm.d/10-db.conf"));
	assert_string_equal(rule->origin[POLICY_KEY_MODE], path_of(f, "thpd.conf"));
	assert_null(rule->origin[POLICY_KEY_KSM]);
	strcpy(vm.name, "web");
	assert_int_equal(config_find_rule(&f->config, &vm)->policy.mode, MODE_OFF);
}

static void test_numa_section_of_a_rule_is_laid_over_the_main_one(void **state)
{
	struct fixture *f = *state;
	struct vm vm = make_vm();
	const struct rule *rule;

	make_dir(f, "thpd.conf.d");
	write_file(f, "thpd.conf.d/50.conf", "[numa]\nmingain=1G\n");
	make_dir(f, "vm.d");
	write_file(f, "vm.d/10.conf",
		   "[Match]\nName=db*\n[Collapse]\nCopy=no\n[NUMA]\nPlacement=bind\nNodes=1\n");
	load_text(f, "[NUMA]\nPlacement=follow\nNodes=0-3\nMinGain=8M\nStableFor=5min\n");
	assert_no_problem(&f->config);
	rule = config_find_rule(&f->config, &vm);
	assert_non_null(rule);
	assert_false(rule->policy.may_copy);
	assert_int_equal(rule->policy.placement, PLACEMENT_BIND);
	assert_int_equal(rule->policy.nodes, 2);
	assert_int_equal(rule->policy.min_gain_bytes, GIB);
	assert_int_equal(rule->policy.stable_ns, 5 * NS_PER_MIN);
	assert_string_equal(rule->origin[POLICY_KEY_NODES], path_of(f, "vm.d/10.conf"));
	assert_string_equal(rule->origin[POLICY_KEY_MIN_GAIN], path_of(f, "thpd.conf.d/50.conf"));
	assert_string_equal(rule->origin[POLICY_KEY_STABLE_FOR], path_of(f, "thpd.conf"));
	assert_null(rule->origin[POLICY_KEY_MOVE_INTERVAL]);
	assert_int_equal(f->config.policy.placement, PLACEMENT_FOLLOW);
	assert_int_equal(f->config.policy.nodes, 15);
}

static void test_bad_numa_values_of_a_rule_are_named_and_keep_the_earlier_ones(void **state)
{
	struct fixture *f = *state;
	struct vm vm = make_vm();
	const struct rule *rule;

	write_file(f, "thpd.conf", "[NUMA]\nPlacement=bind\nNodes=2\n");
	load_rule(f, "[Match]\nName=db1\n[NUMA]\nPlacement=yes\nNodes=1,64\nMinGain=1M\n");
	assert_int_equal(f->config.n_problems, 2);
	assert_problem(&f->config, "vm.d/10.conf: [NUMA] Placement=yes: expected report, follow, "
				   "bind or off; earlier value bind kept");
	assert_problem(&f->config, "vm.d/10.conf: [NUMA] Nodes=1,64: expected nodes from 0 to 63 "
				   "such as 0-1,3, or none; earlier value 2 kept");
	rule = config_find_rule(&f->config, &vm);
	assert_non_null(rule);
	assert_int_equal(rule->policy.placement, PLACEMENT_BIND);
	assert_int_equal(rule->policy.nodes, 4);
	assert_int_equal(rule->policy.min_gain_bytes, MIB);
}

static void test_glob_of_256_characters_is_refused(void **state)
{
	struct fixture *f = *state;
	char text[512];
	int n = snprintf(text, sizeof(text), "[Match]\nName=");

	memset(text + n, 'x', 256);
	text[n + 256] = '\0';
	load_rule(f, text);
	assert_problem(&f->config, "expected a pattern of 1 to 255 characters");
	text[n + 255] = '\0';
	load_rule(f, text);
	assert_no_problem(&f->config);
}

/* ---- Text
 * ----------------------------------------------------------------------------------------- */

static void test_format_names_values_origins_and_problems(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;

	make_dir(f, "vm.d");
	write_file(f, "vm.d/10.conf", "[Match]\nName=db*\n[Collapse]\nMode=off\n");
	load_text(f, "[Manager]\nWorkers=2\n[Collapse]\nMinPopulated=99.5%\nTypo=1\n");
	assert_int_equal(config_format(&f->config, &text), 0);
	assert_non_null(strstr(text, "[Manager]\nInterval=1s"));
	assert_non_null(strstr(text, "# default\n"));
	assert_non_null(strstr(text, "MinPopulated=99.50%"));
	assert_non_null(strstr(text, path_of(f, "thpd.conf\n")));
	assert_non_null(strstr(text, "[Match]\nName=db*\n[Collapse]\nMode=off"));
	assert_non_null(strstr(text, "# problem: /tmp/"));
}

static void test_formatted_configuration_reads_back_equal(void **state)
{
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL;
	struct policy first;

	load_text(f, "[Collapse]\nMode=report\nHoldLost=90s\nMinRegion=1500K\n"
		     "MinPopulated=12.34%\n[Budget]\nCopyBandwidth=infinity\n");
	assert_no_problem(&f->config);
	first = f->config.policy;
	assert_int_equal(config_format(&f->config, &text), 0);
	load_text(f, text);
	assert_no_problem(&f->config);
	assert_int_equal(f->config.policy.mode, first.mode);
	assert_int_equal(f->config.policy.hold_lost_ns, 90 * NS_PER_S);
	assert_int_equal(f->config.policy.min_populated_bp, 1234);
	assert_true(f->config.budget.copy_bytes_per_s == UINT64_MAX);
}

static void test_formatted_numa_section_reads_back_equal(void **state)
{
	static const char rule_text[] = "[Match]\nName=db*\n[Collapse]\nCopy=no\n"
					"[NUMA]\nPlacement=off\nNodes=none\nMinGain=0\n";
	struct fixture *f = *state;
	_cleanup_free_ char *text = NULL, *again = NULL;
	char *rule;

	write_file(f, "thpd.conf",
		   "[NUMA]\nPlacement=follow\nNodes=4,0,1,63\nStableFor=90s\n"
		   "MinGain=1500K\nMoveInterval=infinity\n");
	load_rule(f, rule_text);
	assert_no_problem(&f->config);
	assert_int_equal(config_format(&f->config, &text), 0);
	assert_non_null(strstr(text, "\n[NUMA]\nPlacement=follow "));
	assert_non_null(strstr(text, "\nNodes=0-1,4,63 "));
	rule = strstr(text, "[Match]");
	assert_non_null(rule);
	write_file(f, "vm.d/10.conf", rule);
	*rule = '\0';
	load_text(f, text);
	assert_no_problem(&f->config);
	assert_int_equal(f->config.policy.placement, PLACEMENT_FOLLOW);
	assert_int_equal(f->config.policy.nodes, UINT64_C(1) << 63 | 0x13);
	assert_int_equal(f->config.policy.stable_ns, 90 * NS_PER_S);
	assert_int_equal(f->config.policy.min_gain_bytes, 1500 * KIB);
	assert_true(f->config.policy.move_interval_ns == UINT64_MAX);
	assert_int_equal(f->config.n_rules, 1);
	assert_false(f->config.rules[0].policy.may_copy);
	assert_int_equal(f->config.rules[0].policy.placement, PLACEMENT_OFF);
	assert_int_equal(f->config.rules[0].policy.nodes, 0);
	assert_int_equal(f->config.rules[0].policy.min_gain_bytes, 0);
	assert_int_equal(config_format(&f->config, &again), 0);
	assert_non_null(strstr(again, "[Collapse]\nCopy=no"));
	assert_non_null(strstr(again, "[NUMA]\nPlacement=off"));
}

static void test_policy_key_names_and_values(void **state)
{
	const struct policy p = POLICY_INIT;
	char value[CONFIG_VALUE_TEXT_MAX];

	(void)state;
	assert_string_equal(config_policy_key_name(POLICY_KEY_MODE), "Collapse.Mode");
	assert_string_equal(config_policy_key_name(POLICY_KEY_PRIVATE_FILE),
			    "Collapse.PrivateFile");
	assert_string_equal(config_policy_key_name(POLICY_KEY_STABLE_FOR), "NUMA.StableFor");
	assert_string_equal(config_policy_key_name(POLICY_KEY_MAX), "?");
	config_format_policy_value(&p, POLICY_KEY_COPY_CALL_SIZE, value, sizeof(value));
	assert_string_equal(value, "32M");
	config_format_policy_value(&p, POLICY_KEY_PLACEMENT, value, sizeof(value));
	assert_string_equal(value, "report");
	config_format_policy_value(&p, POLICY_KEY_NODES, value, sizeof(value));
	assert_string_equal(value, "none");
	config_format_policy_value(&p, POLICY_KEY_WIDE, value, sizeof(value));
	assert_string_equal(value, "leave");
	config_format_policy_value(&p, POLICY_KEY_WIDE_STRIPE, value, sizeof(value));
	assert_string_equal(value, "1G");
	config_format_policy_value(&p, POLICY_KEY_MAX, value, sizeof(value));
	assert_string_equal(value, "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_match_key),
		TEST(user_by_name_number_and_pattern),
		TEST(name_and_uuid_are_believed_of_vmms_only),
		TEST(rule_without_match_matches_nothing),
		TEST(rule_with_a_wrong_match_matches_nothing),
		TEST(problem_in_policy_leaves_the_match_alone),
		TEST(first_rule_by_file_name_wins_over_main_policy),
		TEST(numa_section_of_a_rule_is_laid_over_the_main_one),
		TEST(bad_numa_values_of_a_rule_are_named_and_keep_the_earlier_ones),
		TEST(glob_of_256_characters_is_refused),
		TEST(format_names_values_origins_and_problems),
		TEST(formatted_configuration_reads_back_equal),
		TEST(formatted_numa_section_reads_back_equal),
		TEST(policy_key_names_and_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
