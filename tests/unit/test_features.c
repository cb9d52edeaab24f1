/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "features.h"
#include "hostfacts.h"

/* The real kernel with single answers replaced. */
static int old_scan(struct sys *sys, int fd, pid_t pid, struct pm_scan_arg *arg)
{
	(void)sys, (void)fd, (void)pid, (void)arg;
	return -ENOTTY;
}

static ssize_t no_collapse(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes)
{
	(void)sys, (void)fd, (void)pid, (void)start, (void)bytes;
	return -EINVAL;
}

static ssize_t lying_collapse(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes)
{
	(void)sys, (void)fd, (void)pid, (void)start;
	return (ssize_t)bytes;
}

static ssize_t forbidden_collapse(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes)
{
	(void)sys, (void)fd, (void)pid, (void)start, (void)bytes;
	return -EPERM;
}

static ssize_t starved_collapse(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes)
{
	(void)sys, (void)fd, (void)pid, (void)start, (void)bytes;
	return -ENOMEM;
}

static int old_release(struct sys *sys, char *buffer, size_t size)
{
	(void)sys;
	(void)snprintf(buffer, size, "5.15.0-91-generic");
	return 0;
}

static int release_6_1(struct sys *sys, char *buffer, size_t size)
{
	(void)sys;
	(void)snprintf(buffer, size, "6.1.192");
	return 0;
}

struct fixture {
	struct sys sys;
	struct sys_ops ops;
	struct mmu_geometry geometry;
	struct host host;
};

static int start(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	if (sys_open_host(&f.sys) < 0)
		return -1;
	f.ops = sys_real_ops;
	f.sys.ops = &f.ops;
	f.geometry = (struct mmu_geometry){12, 9, 18};
	(void)host_read_geometry(&f.sys, &f.geometry);
	*state = &f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	sys_close(&f->sys);
	return 0;
}

static int probe(struct fixture *f, const char **ret_why)
{
	return features_probe(&f->sys, &f->geometry, &f->host, ret_why);
}

/* The helper was reaped and nothing is left open: the lowest free fd is where it was. */
static void nothing_stays_behind(void **state)
{
	struct fixture *f = *state;
	int before = dup(0), after;

	(void)close(before);
	(void)probe(f, NULL);
	after = dup(0);
	(void)close(after);
	assert_int_equal(before, after);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void probing_is_quick(void **state)
{
	struct fixture *f = *state;
	uint64_t best_ns = UINT64_MAX;

	/* The best of some: the machine may be busy, the probe must not be. */
	for (int i = 0; i < 5; i++) {
		uint64_t before_ns = f->ops.now_ns(&f->sys);

		(void)probe(f, NULL);
		best_ns = min_u64(best_ns, f->ops.now_ns(&f->sys) - before_ns);
	}
	assert_true(best_ns < 20 * UINT64_C(1000000));
}

static void release_is_noted(void **state)
{
	struct fixture *f = *state;
	char release[65];

	(void)probe(f, NULL);
	assert_int_equal(f->ops.release(&f->sys, release, sizeof(release)), 0);
	assert_string_equal(f->host.kernel_release, release);
}

static void old_kernel_is_refused(void **state)
{
	struct fixture *f = *state;
	const char *why = NULL;

	f->ops.collapse = no_collapse;
	f->ops.release = old_release;
	assert_int_equal(probe(f, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "6.1"));
	assert_false(f->host.features & (FEATURE_COLLAPSE | FEATURE_UFFD_SAFE));
}

static void success_without_effect_is_no_ability(void **state)
{
	struct fixture *f = *state;

	(void)probe(f, NULL);
	if (!(f->host.features & FEATURE_PAGEMAP_SCAN))
		skip();
	/* A host whose knobs make the helper's memory huge by itself would hide the lie. */
	assert_int_equal(host_read_knobs(&f->sys, &f->geometry, &f->host), 0);
	if (strcmp(f->host.thp_enabled, "always") == 0)
		skip();
	f->ops.collapse = lying_collapse;
	assert_int_equal(probe(f, NULL), -EOPNOTSUPP);
	assert_false(f->host.features & (FEATURE_COLLAPSE | FEATURE_ELIGIBILITY_PROBE));
}

static void missing_right_is_named(void **state)
{
	struct fixture *f = *state;
	const char *why = NULL;

	f->ops.collapse = forbidden_collapse;
	assert_int_equal(probe(f, &why), -EPERM);
	assert_non_null(strstr(why, "CAP_SYS_NICE"));
	assert_false(f->host.features & (FEATURE_COLLAPSE | FEATURE_ELIGIBILITY_PROBE));
}

/* A host without a free huge page at the moment is still able. */
static void shortage_is_not_inability(void **state)
{
	struct fixture *f = *state;

	f->ops.collapse = starved_collapse;
	assert_int_equal(probe(f, NULL), 0);
	assert_true(f->host.features & FEATURE_COLLAPSE);
	assert_false(f->host.features & FEATURE_ELIGIBILITY_PROBE);
}

static void missing_scan_is_named(void **state)
{
	struct fixture *f = *state;
	const char *why = NULL;

	if (probe(f, NULL) < 0)
		skip();
	f->ops.pagemap_scan = old_scan;
	f->ops.release = release_6_1;
	assert_int_equal(probe(f, &why), 0);
	assert_non_null(strstr(why, "PAGEMAP_SCAN"));
	assert_false(f->host.features &
		     (FEATURE_PAGEMAP_SCAN | FEATURE_SCAN_GUARD | FEATURE_UFFD_SAFE));
	assert_true(f->host.features & FEATURE_COLLAPSE);
}

int main(void)
{
#define FEATURES_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		FEATURES_TEST(nothing_stays_behind),
		FEATURES_TEST(probing_is_quick),
		FEATURES_TEST(release_is_noted),
		FEATURES_TEST(old_kernel_is_refused),
		FEATURES_TEST(success_without_effect_is_no_ability),
		FEATURES_TEST(missing_right_is_named),
		FEATURES_TEST(shortage_is_not_inability),
		FEATURES_TEST(missing_scan_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
