/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bits.h"
#include "cleanup.h"
#include "config.h"
#include "config_file.h"
#include "config_key.h"
#include "config_value.h"

/* ---- A configuration directory for each test ---------------------------------------------------
 */

struct fixture {
	char dir[64];
	struct config config;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/thpd-test-config-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	*state = f;
	return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	config_clear(&f->config);
	(void)nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static void make_dir(const struct fixture *f, const char *name)
{
	assert_true(mkdir(path_of(f, name), 0755) == 0 || errno == EEXIST);
}

static void write_bytes(const struct fixture *f, const char *name, const void *bytes, size_t size)
{
	_cleanup_fclose_ FILE *out = fopen(path_of(f, name), "w");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, size, out), size);
}

static void write_file(const struct fixture *f, const char *name, const char *text)
{
	write_bytes(f, name, text, strlen(text));
}

static void load(struct fixture *f)
{
	config_clear(&f->config);
	assert_int_equal(config_load(f->dir, &f->config), 0);
}

static void load_text(struct fixture *f, const char *text)
{
	write_file(f, "thpd.conf", text);
	load(f);
}

static void load_rule(struct fixture *f, const char *text)
{
	make_dir(f, "vm.d");
	write_file(f, "vm.d/10.conf", text);
	load(f);
}

static bool has_problem(const struct config *c, const char *part)
{
	for (size_t i = 0; i < c->n_problems; i++)
		if (strstr(c->problems[i].text, part))
			return true;
	return false;
}

#define assert_problem(c, part)                                                       \
	do {                                                                          \
		if (!has_problem(c, part)) {                                          \
			for (size_t i_ = 0; i_ < (c)->n_problems; i_++)               \
				print_error("problem: %s\n", (c)->problems[i_].text); \
			fail_msg("no problem says \"%s\"", part);                     \
		}                                                                     \
	} while (0)

static void assert_no_problem(const struct config *c)
{
	if (c->n_problems > 0)
		fail_msg("unexpected problem: %s", c->problems[0].text);
}

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

/* ---- Hostile files ------------------------------------------------------------------------------
 */

static void test_binary_file(void **state)
{
	static const char bytes[] = "[Collapse]\nMode=off\n\0\177ELF";
	struct fixture *f = *state;

	write_bytes(f, "thpd.conf", bytes, sizeof(bytes));
	load(f);
	assert_int_equal(f->config.n_problems, 1);
	assert_problem(&f->config,
		       "thpd.conf: holds NUL bytes: not a text file; the file is ignored");
	assert_int_equal(f->config.policy.mode, MODE_FULL);
}

static void test_huge_file(void **state)
{
	struct fixture *f = *state;
	size_t size = CONFIG_FILE_MAX_BYTES + 1;
	_cleanup_free_ char *bytes = malloc(size);

	assert_non_null(bytes);
	memset(bytes, '\n', size);
	memcpy(bytes, "[Collapse]\nMode=off\n", 20);
	write_bytes(f, "thpd.conf", bytes, size);
	load(f);
	assert_problem(&f->config, "is larger than 256K");
	assert_int_equal(f->config.policy.mode, MODE_FULL);

	write_bytes(f, "thpd.conf", bytes, size - 1);
	load(f);
	assert_no_problem(&f->config);
	assert_int_equal(f->config.policy.mode, MODE_OFF);
}

static void test_things_that_are_no_files(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "vm.d");
	make_dir(f, "vm.d/10-dir.conf");
	assert_int_equal(mkfifo(path_of(f, "vm.d/20-fifo.conf"), 0600), 0);
	assert_int_equal(symlink("/nowhere", path_of(f, "vm.d/30-dangling.conf")), 0);
	assert_int_equal(symlink("/dev/zero", path_of(f, "vm.d/40-zero.conf")), 0);
	assert_int_equal(symlink("50-loop.conf", path_of(f, "vm.d/50-loop.conf")), 0);
	write_file(f, "vm.d/60-good.conf", "[Match]\nName=x\n");
	load(f);
	assert_int_equal(f->config.n_problems, 5);
	assert_problem(&f->config, "10-dir.conf: is a directory");
	assert_problem(&f->config, "20-fifo.conf: is not a regular file");
	assert_problem(&f->config, "30-dangling.conf: cannot be read: No such file");
	assert_problem(&f->config, "40-zero.conf: is not a regular file");
	assert_problem(&f->config, "50-loop.conf: cannot be read: Too many levels");
	assert_int_equal(f->config.n_rules, 1);
}

static void test_unreadable_file(void **state)
{
	struct fixture *f = *state;

	write_file(f, "thpd.conf", "[Collapse]\nMode=off\n");
	assert_int_equal(chmod(path_of(f, "thpd.conf"), 0), 0);
	if (geteuid() == 0 && seteuid(65534) < 0)
		skip();
	assert_int_equal(chmod(f->dir, 0755) == 0 || errno == EPERM, 1);
	load(f);
	if (getuid() == 0)
		assert_int_equal(seteuid(0), 0);
	assert_int_equal(f->config.n_problems > 0, 1);
	assert_problem(&f->config, "Permission denied");
	assert_int_equal(f->config.policy.mode, MODE_FULL);
}

static void test_directories_that_are_none(void **state)
{
	struct fixture *f = *state;
	struct config c;

	write_file(f, "vm.d", "no directory");
	write_file(f, "thpd.conf.d", "no directory");
	load(f);
	assert_int_equal(f->config.n_problems, 2);
	assert_problem(&f->config, "/vm.d: cannot be read: Not a directory");
	assert_int_equal(config_load("/nowhere/at/all", &c), 0);
	assert_problem(&c, "/nowhere/at/all: cannot be read: No such file");
	config_clear(&c);
}

/* ---- Places and order
 * ---------------------------------------------------------------------------- */

static void test_drop_ins_apply_by_name_after_the_main_file(void **state)
{
	struct fixture *f = *state;
	const struct config *c = &f->config;

	make_dir(f, "thpd.conf.d");
	write_file(f, "thpd.conf.d/90.conf", "[Collapse]\nMode=off\n");
	write_file(f, "thpd.conf.d/10.conf", "[Collapse]\nMode=full\nCopy=no\n");
	write_file(f, "thpd.conf.d/.hidden.conf", "[Collapse]\nKsm=yes\n");
	write_file(f, "thpd.conf.d/note.txt", "[Collapse]\nKsm=yes\n");
	write_file(f, "thpd.conf.d/99.conf~", "[Collapse]\nKsm=yes\n");
	load_text(f, "[Collapse]\nMode=report\nRemap=no\n");
	assert_no_problem(c);
	assert_int_equal(c->n_sources, 3);
	assert_int_equal(c->policy.mode, MODE_OFF);
	assert_false(c->policy.may_copy);
	assert_false(c->policy.may_remap);
	assert_false(c->policy.may_ksm);
	assert_string_equal(c->origin[POLICY_KEY_MODE], path_of(f, "thpd.conf.d/90.conf"));
	assert_string_equal(c->origin[POLICY_KEY_COPY], path_of(f, "thpd.conf.d/10.conf"));
	assert_string_equal(c->origin[POLICY_KEY_REMAP], path_of(f, "thpd.conf"));
}

static void test_link_to_dev_null_masks(void **state)
{
	struct fixture *f = *state;

	make_dir(f, "thpd.conf.d");
	assert_int_equal(symlink("/dev/null", path_of(f, "thpd.conf.d/10.conf")), 0);
	load(f);
	assert_no_problem(&f->config);
	assert_int_equal(f->config.n_sources, 0);
}

/* Three roots below the fixture, as /etc, /run and /usr/lib would be. */
static void make_roots(struct fixture *f, char paths[3][80], const char *dirs[3])
{
	static const char *const names[] = {"etc", "run", "lib"};

	for (size_t i = 0; i < 3; i++) {
		make_dir(f, names[i]);
		(void)snprintf(paths[i], 80, "%s/%s", f->dir, names[i]);
		dirs[i] = paths[i];
	}
}

static void test_main_file_of_the_highest_directory_counts(void **state)
{
	struct fixture *f = *state;
	char paths[3][80];
	const char *dirs[3];
	const struct config_roots roots = {.dirs = dirs, .n_dirs = 3};
	char *found;

	make_roots(f, paths, dirs);
	assert_int_equal(config_file_find(&roots, "thpd.conf", &found), 0);
	assert_null(found);
	write_file(f, "lib/thpd.conf", "");
	assert_int_equal(config_file_find(&roots, "thpd.conf", &found), 0);
	assert_string_equal(found, path_of(f, "lib/thpd.conf"));
	free(found);
	assert_int_equal(symlink("/nowhere", path_of(f, "run/thpd.conf")), 0);
	assert_int_equal(config_file_find(&roots, "thpd.conf", &found), 0);
	assert_string_equal(found, path_of(f, "run/thpd.conf"));
	free(found);
}

static void test_drop_ins_merge_by_name_across_directories(void **state)
{
	struct fixture *f = *state;
	char paths[3][80];
	const char *dirs[3];
	const struct config_roots roots = {.dirs = dirs, .n_dirs = 3};
	char **list;
	size_t n;

	make_roots(f, paths, dirs);
	make_dir(f, "etc/vm.d");
	make_dir(f, "lib/vm.d");
	write_file(f, "lib/vm.d/10.conf", "");
	write_file(f, "lib/vm.d/30.conf", "");
	write_file(f, "etc/vm.d/20.conf", "");
	write_file(f, "etc/vm.d/30.conf", "");
	assert_int_equal(config_file_list(&f->config, &roots, "vm.d", &list, &n), 0);
	assert_int_equal(n, 3);
	assert_string_equal(list[0], path_of(f, "lib/vm.d/10.conf"));
	assert_string_equal(list[1], path_of(f, "etc/vm.d/20.conf"));
	assert_string_equal(list[2], path_of(f, "etc/vm.d/30.conf"));
	config_file_list_free(list, n);
	assert_no_problem(&f->config);
}

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

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

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
		TEST(binary_file),
		TEST(huge_file),
		TEST(things_that_are_no_files),
		TEST(unreadable_file),
		TEST(directories_that_are_none),
		TEST(drop_ins_apply_by_name_after_the_main_file),
		TEST(link_to_dev_null_masks),
		TEST(main_file_of_the_highest_directory_counts),
		TEST(drop_ins_merge_by_name_across_directories),
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

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
