/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files are read, in which order, and what is none. */
#include "config_bench.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(binary_file),
		TEST(huge_file),
		TEST(things_that_are_no_files),
		TEST(unreadable_file),
		TEST(directories_that_are_none),
		TEST(drop_ins_apply_by_name_after_the_main_file),
		TEST(link_to_dev_null_masks),
		TEST(main_file_of_the_highest_directory_counts),
		TEST(drop_ins_merge_by_name_across_directories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
