/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
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

/* The kernel's own answers: the pidfd is looked at first. */
static ssize_t kernel_refusal(int fd, int err)
{
	return fd < 0 ? -EBADF : -err;
}

static ssize_t no_collapse(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes)
{
	(void)sys, (void)pid, (void)start, (void)bytes;
	return kernel_refusal(fd, EINVAL);
}

static ssize_t lying_collapse(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes)
{
	(void)sys, (void)fd, (void)pid, (void)start;
	return (ssize_t)bytes;
}

static ssize_t forbidden_collapse(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes)
{
	(void)sys, (void)pid, (void)start, (void)bytes;
	return kernel_refusal(fd, EPERM);
}

/* A seccomp filter answers whatever it was given. */
#define FILTER(name, err)                                                                    \
	static ssize_t name(struct sys *sys, int fd, pid_t pid, hva_t start, uint64_t bytes) \
	{                                                                                    \
		(void)sys, (void)fd, (void)pid, (void)start, (void)bytes;                    \
		return -(err);                                                               \
	}

FILTER(filtered_einval, EINVAL)
FILTER(filtered_enosys, ENOSYS)
FILTER(filtered_eperm, EPERM)
FILTER(filtered_eacces, EACCES)
FILTER(filtered_enotty, ENOTTY)

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
	assert_null(strstr(why, "seccomp"));
	assert_false(f->host.features & (FEATURE_COLLAPSE | FEATURE_UFFD_SAFE));
	/* Older still: no process_madvise at all. */
	f->ops.collapse = filtered_enosys;
	assert_int_equal(probe(f, &why), -EOPNOTSUPP);
	assert_non_null(strstr(why, "6.1"));
}

/* Refused to this process: thpd may run and look, and the truth is told. */
static void expect_refusal(struct fixture *f, const char *word, const char *other)
{
	const char *why = NULL;

	assert_int_equal(probe(f, &why), -EPERM);
	assert_non_null(why);
	if (!strstr(why, word) || !strstr(why, other))
		fail_msg("\"%s\" lacks \"%s\" or \"%s\"", why, word, other);
	assert_null(strstr(why, "needs Linux 6.1"));
	assert_false(f->host.features &
		     (FEATURE_COLLAPSE | FEATURE_COLLAPSE_SHMEM | FEATURE_ELIGIBILITY_PROBE));
	assert_int_equal(f->host.trial.helper_error, 0);
}

static void filter_on_a_new_kernel_is_not_called_an_old_kernel(void **state)
{
	struct fixture *f = *state;

	f->ops.release = release_6_1;
	f->ops.collapse = filtered_einval;
	expect_refusal(f, "(EINVAL)", "seccomp");
	f->ops.collapse = filtered_enosys;
	expect_refusal(f, "(ENOSYS)", "CONFIG_ADVISE_SYSCALLS");
	expect_refusal(f, "although the kernel is new enough", "SystemCallFilter=");
	f->ops.collapse = filtered_eperm;
	expect_refusal(f, "(EPERM)", "seccomp");
	f->ops.collapse = filtered_eacces;
	expect_refusal(f, "(EACCES)", "seccomp");
	f->ops.collapse = filtered_enotty;
	expect_refusal(f, "an unusual error", "seccomp");
	assert_true(f->host.trial.is_call_filtered);
	assert_int_equal(f->host.trial.collapse_error, ENOTTY);
}

static void new_kernel_that_refuses_is_not_called_old(void **state)
{
	struct fixture *f = *state;

	f->ops.release = release_6_1;
	f->ops.collapse = no_collapse;
	expect_refusal(f, "(EINVAL) although the kernel is new enough",
		       "CONFIG_TRANSPARENT_HUGEPAGE");
	assert_false(f->host.trial.is_call_filtered);
}

/* The real filter, in a child: seccomp cannot be taken back. */
static void refuse_for_real(unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		_exit(77);
}

static void real_filter_is_recognised(void **state)
{
	static const unsigned errors[] = {EPERM, EINVAL, ENOSYS};
	struct fixture *f = *state;

	if (probe(f, NULL) < 0)
		skip();
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			refuse_for_real(errors[i]);
			_exit(probe(f, NULL) == -EPERM && f->host.trial.is_call_filtered &&
					      f->host.trial.collapse_error == (int)errors[i]
				      ? 0
				      : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 77)
			skip();
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

static void drop_nice(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data) < 0)
		_exit(77);
	data[0].effective &= ~(1U << CAP_SYS_NICE);
	if (syscall(SYS_capset, &header, data) < 0)
		_exit(77);
}

static void real_missing_right_is_recognised(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	if (probe(f, NULL) < 0)
		skip();
	pid = fork();
	if (pid == 0) {
		const char *why = "";

		drop_nice();
		_exit(probe(f, &why) == -EPERM && !f->host.trial.is_call_filtered &&
				      strstr(why, "needs CAP_SYS_NICE, which thpd lacks")
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* And the kernel itself is not taken for a filter. */
static void kernel_answers_to_a_bad_pidfd(void **state)
{
	struct fixture *f = *state;

	if (probe(f, NULL) < 0)
		skip();
	assert_int_equal(f->ops.collapse(&f->sys, -1, getpid(), 0, UINT64_C(1) << 12), -EBADF);
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
	expect_refusal(f, "does not become huge", "sandbox");
}

static void missing_right_is_named(void **state)
{
	struct fixture *f = *state;

	f->ops.collapse = forbidden_collapse;
	expect_refusal(f, "CAP_SYS_NICE", "initial user namespace");
	assert_false(f->host.trial.is_call_filtered);
	/* The release does not matter: the rights come first. */
	f->ops.release = old_release;
	expect_refusal(f, "CAP_SYS_NICE", "");
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
		FEATURES_TEST(release_is_noted),
		FEATURES_TEST(old_kernel_is_refused),
		FEATURES_TEST(success_without_effect_is_no_ability),
		FEATURES_TEST(filter_on_a_new_kernel_is_not_called_an_old_kernel),
		FEATURES_TEST(new_kernel_that_refuses_is_not_called_old),
		FEATURES_TEST(real_filter_is_recognised),
		FEATURES_TEST(real_missing_right_is_recognised),
		FEATURES_TEST(kernel_answers_to_a_bad_pidfd),
		FEATURES_TEST(missing_right_is_named),
		FEATURES_TEST(shortage_is_not_inability),
		FEATURES_TEST(missing_scan_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
