/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom a lost feature is blamed on: the kernel, a right, a knob, a filter. */
#include <errno.h>

#include "lack.h"
#include "snapshot_builder.h"

static struct host new_host(void)
{
	struct host h = {
		.kernel_release = "6.18.1",
		.shmem_global = SHMEM_KNOB_NEVER,
		.shmem_block = SHMEM_KNOB_INHERIT,
		.trial = {.rights = RIGHT_PTRACE | RIGHT_NICE | RIGHT_ADMIN,
			  .is_shmem_offered = true,
			  .has_kpageflags_file = true},
	};

	return h;
}

static void expect(const struct host *h, enum feature feature, const char *word, const char *no)
{
	struct lack lack = host_lack(h, feature);

	assert_non_null(lack.sentence);
	assert_string_not_equal(lack.cure, "");
	assert_non_null(strstr(lack.text, lack.sentence));
	assert_non_null(strstr(lack.text, lack.cure));
	if (!strstr(lack.sentence, word))
		fail_msg("\"%s\" lacks \"%s\"", lack.sentence, word);
	if (*no && strstr(lack.text, no))
		fail_msg("\"%s\" has \"%s\"", lack.text, no);
}

static void test_every_feature_has_its_sentence(void **state)
{
	(void)state;
	for (uint32_t bit = 1; bit <= FEATURE_NODES; bit <<= 1) {
		struct host h = new_host();

		if (bit == FEATURE_SCAN_GUARD)
			assert_null(host_lack(&h, (enum feature)bit).text);
		else
			expect(&h, (enum feature)bit, ".", "");
	}
}

static void test_collapse(void **state)
{
	struct host h = new_host();

	(void)state;
	h.trial.collapse_error = EPERM;
	expect(&h, FEATURE_COLLAPSE, "although thpd has CAP_SYS_NICE", "lacks");
	h.trial.rights = RIGHT_PTRACE | RIGHT_ADMIN;
	expect(&h, FEATURE_COLLAPSE, "needs CAP_SYS_NICE, which thpd lacks", "filter");
	h.trial.is_call_filtered = true;
	expect(&h, FEATURE_COLLAPSE, "(EPERM) before the kernel sees it", "6.1");
	h.trial.collapse_error = ENOSYS;
	expect(&h, FEATURE_COLLAPSE, "CONFIG_ADVISE_SYSCALLS", "6.1");
	assert_false(host_is_too_old(&h));
	strcpy(h.kernel_release, "5.4.0");
	expect(&h, FEATURE_COLLAPSE, "needs Linux 6.1", "seccomp");
	assert_true(host_is_too_old(&h));
	h.trial.helper_error = ENOMEM;
	expect(&h, FEATURE_COLLAPSE, "helper", "6.1");
	assert_false(host_is_too_old(&h));
}

/* An old kernel with the call brought back is as good as a new one. */
static void test_what_works_is_not_old(void **state)
{
	struct host h = new_host();

	(void)state;
	strcpy(h.kernel_release, "5.14.0-503.el9");
	h.features = FEATURE_COLLAPSE;
	assert_false(host_is_too_old(&h));
}

static void test_shmem(void **state)
{
	struct host h = new_host();

	(void)state;
	expect(&h, FEATURE_COLLAPSE_SHMEM, "was not tried", "knob");
	h.features = FEATURE_COLLAPSE;
	expect(&h, FEATURE_COLLAPSE_SHMEM, "no knob explains it", "");
	h.shmem_block = SHMEM_KNOB_ADVISE;
	expect(&h, FEATURE_COLLAPSE_SHMEM, "hugepages-*/shmem_enabled", "");
	h.shmem_block = SHMEM_KNOB_NEVER;
	expect(&h, FEATURE_COLLAPSE_SHMEM, "hugepages-*/shmem_enabled", "");
	h.shmem_global = SHMEM_KNOB_DENY;
	expect(&h, FEATURE_COLLAPSE_SHMEM, "shmem_enabled=deny", "");
	h.trial.is_shmem_offered = false;
	expect(&h, FEATURE_COLLAPSE_SHMEM, "no memfd could be made", "deny");
}

static void test_looking(void **state)
{
	struct host h = new_host();

	(void)state;
	expect(&h, FEATURE_PAGEMAP_SCAN, "although the kernel is new enough", "6.7");
	expect(&h, FEATURE_PFN, "although thpd has CAP_SYS_ADMIN", "lacks");
	expect(&h, FEATURE_KPAGEFLAGS, "may not read /proc/kpageflags", "CONFIG");
	strcpy(h.kernel_release, "6.6.60");
	h.trial.rights = 0;
	h.trial.has_kpageflags_file = false;
	expect(&h, FEATURE_PAGEMAP_SCAN, "needs Linux 6.7", "filter");
	expect(&h, FEATURE_PFN, "need CAP_SYS_ADMIN, which thpd lacks", "namespace");
	expect(&h, FEATURE_KPAGEFLAGS, "CONFIG_PROC_PAGE_MONITOR", "");
}

static void test_eligibility_probe(void **state)
{
	struct host h = new_host();

	(void)state;
	expect(&h, FEATURE_ELIGIBILITY_PROBE, "where nothing can be collapsed", "this host");
	h.features = FEATURE_COLLAPSE;
	expect(&h, FEATURE_ELIGIBILITY_PROBE, "on this host", "");
}

static void test_uffd_safety(void **state)
{
	struct host h = new_host();

	(void)state;
	strcpy(h.kernel_release, "6.1.9");
	expect(&h, FEATURE_UFFD_SAFE, "older than 6.4", "");
	strcpy(h.kernel_release, "");
	expect(&h, FEATURE_UFFD_SAFE, "not known", "older");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_feature_has_its_sentence),
		cmocka_unit_test(test_collapse),
		cmocka_unit_test(test_what_works_is_not_old),
		cmocka_unit_test(test_shmem),
		cmocka_unit_test(test_looking),
		cmocka_unit_test(test_eligibility_probe),
		cmocka_unit_test(test_uffd_safety),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
