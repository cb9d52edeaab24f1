/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "checkup.h"
#include "release.h"
#include "snapshot_builder.h"

struct bench {
	struct host host;
	struct mmu_geometry geometry;
	struct check_list list;
};

static struct bench good_host(void)
{
	struct bench b = {.geometry = geometry_4k};
	struct snapshot s;

	build_begin(&s);
	b.host = s.host;
	b.host.shmem_global = SHMEM_KNOB_NEVER;
	b.host.shmem_block = SHMEM_KNOB_INHERIT;
	b.host.n_nodes = 2;
	b.host.nodes[0] = (struct host_node){.id = 0, .free_block_bytes = 300 * MIB};
	b.host.nodes[1] = (struct host_node){.id = 3, .free_block_bytes = 100 * MIB};
	return b;
}

static void run(struct bench *b)
{
	checkup_host(&b->host, &b->geometry, &b->list);
	assert_true(b->list.n_items <= CHECKS_MAX);
}

/* Runs, finds the check, and wants result and a word of the text. */
static void expect(struct bench *b, const char *id, enum check_result result, const char *word)
{
	run(b);
	for (size_t i = 0; i < b->list.n_items; i++) {
		if (strcmp(b->list.items[i].id, id) != 0)
			continue;
		assert_int_equal(b->list.items[i].result, result);
		if (!strstr(b->list.items[i].text, word))
			fail_msg("%s: \"%s\" lacks \"%s\"", id, b->list.items[i].text, word);
		if (result == CHECK_FAIL)
			assert_string_not_equal(b->list.items[i].cure, "");
		return;
	}
	fail_msg("there is no check %s", id);
}

static void expect_kernel(const char *release, enum check_result result, const char *word)
{
	struct bench b = good_host();

	strcpy(b.host.kernel_release, release);
	expect(&b, "kernel", result, word);
}

static void test_good_host_is_all_ok(void **state)
{
	struct bench b = good_host();

	(void)state;
	run(&b);
	assert_int_equal(b.list.n_items, 13);
	for (size_t i = 0; i < b.list.n_items; i++) {
		if (b.list.items[i].result != CHECK_OK)
			fail_msg("%s: %s", b.list.items[i].id, b.list.items[i].text);
		assert_string_equal(b.list.items[i].cure, "");
		assert_string_not_equal(b.list.items[i].text, "");
	}
}

static void test_kernel_levels(void **state)
{
	(void)state;
	expect_kernel("5.10.0-30-amd64", CHECK_FAIL, "cannot collapse");
	expect_kernel("6.0.19", CHECK_FAIL, "cannot collapse");
	expect_kernel("6.1.3", CHECK_WARN, "6.1.3");
	expect_kernel("6.1.0-40-amd64", CHECK_NOTE, "userfaultfd"); /* patch level not told */
	expect_kernel("6.1.120", CHECK_NOTE, "userfaultfd");
	expect_kernel("6.3.1", CHECK_NOTE, "userfaultfd");
	expect_kernel("6.5.0", CHECK_OK, "6.5.0");
	expect_kernel("6.6.59", CHECK_WARN, "CVE-2024-50066");
	expect_kernel("6.6.60", CHECK_OK, "6.6.60");
	expect_kernel("6.11.2", CHECK_WARN, "CVE-2024-50066");
	expect_kernel("6.12.0", CHECK_OK, "6.12.0");
	expect_kernel("7.0-rc3", CHECK_OK, "7.0-rc3");
	expect_kernel("gibberish", CHECK_NOTE, "not known");
	expect_kernel("", CHECK_NOTE, "not known");
}

static void test_missing_features(void **state)
{
	static const struct {
		enum feature feature;
		const char *id;
		enum check_result result;
	} rows[] = {
		{FEATURE_COLLAPSE, "collapse", CHECK_FAIL},
		{FEATURE_COLLAPSE_SHMEM, "collapse-shmem", CHECK_WARN},
		{FEATURE_PAGEMAP_SCAN, "pagemap-scan", CHECK_NOTE},
		{FEATURE_PFN, "pfn", CHECK_WARN},
		{FEATURE_KPAGEFLAGS, "kpageflags", CHECK_WARN},
		{FEATURE_OTHER_PROCESSES, "other-processes", CHECK_FAIL},
		{FEATURE_NODES, "nodes", CHECK_WARN},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct bench b = good_host();

		b.host.n_nodes = 2;
		expect(&b, rows[i].id, CHECK_OK, "");
		b.host.features &= ~(uint32_t)rows[i].feature;
		expect(&b, rows[i].id, rows[i].result, "");
	}
}

/* Without the right nothing is left out, and the kernel is not blamed. */
static void test_without_rights(void **state)
{
	struct bench b = good_host();

	(void)state;
	b.host.features = FEATURE_PAGEMAP_SCAN | FEATURE_UFFD_SAFE;
	strcpy(b.host.kernel_release, "6.18.1");
	b.host.trial = (struct trial){.collapse_error = EPERM, .has_kpageflags_file = true};
	expect(&b, "collapse", CHECK_FAIL, "CAP_SYS_NICE, which thpd lacks");
	expect(&b, "collapse-shmem", CHECK_WARN, "was not tried");
	expect(&b, "pfn", CHECK_WARN, "CAP_SYS_ADMIN, which thpd lacks");
	expect(&b, "kpageflags", CHECK_WARN, "may not read");
	expect(&b, "other-processes", CHECK_FAIL, "lacks CAP_SYS_PTRACE");
	assert_int_equal(b.list.n_items, 13);
	b.host.trial = (struct trial){.collapse_error = EINVAL, .is_call_filtered = true};
	expect(&b, "collapse", CHECK_FAIL, "a seccomp filter forbids it");
	strcpy(b.host.kernel_release, "5.10.0");
	expect(&b, "collapse", CHECK_FAIL, "needs Linux 6.1");
}

/* No sentence is cut off. */
static void test_sentences_fit(void **state)
{
	static const int errors[] = {0, EPERM, EACCES, EINVAL, ENOSYS, ENOTTY};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(errors); i++) {
		struct bench b = good_host();

		b.host.features = 0;
		b.host.trial =
			(struct trial){.collapse_error = errors[i / 2], .is_call_filtered = i % 2};
		run(&b);
		for (size_t n = 0; n < b.list.n_items; n++)
			assert_true(strlen(b.list.items[n].text) <
				    sizeof(b.list.items[n].text) - 1);
	}
}

static void test_shmem_deny(void **state)
{
	struct bench b = good_host();

	(void)state;
	b.host.shmem_global = SHMEM_KNOB_DENY;
	expect(&b, "shmem-deny", CHECK_FAIL, "deny");
	b.host.shmem_global = SHMEM_KNOB_ALWAYS;
	expect(&b, "shmem-deny", CHECK_OK, "always");
	b.host.shmem_global = SHMEM_KNOB_ABSENT;
	expect(&b, "shmem-deny", CHECK_NOTE, "could not");
}

static void test_shmem_knob(void **state)
{
	struct bench b = good_host();

	(void)state;
	b.host.shmem_block = SHMEM_KNOB_NEVER;
	expect(&b, "shmem-knob", CHECK_FAIL, "hugepages-2048kB/shmem_enabled=never");
	b.geometry = geometry_64k;
	expect(&b, "shmem-knob", CHECK_FAIL, "hugepages-524288kB");
	b.host.shmem_block = SHMEM_KNOB_ADVISE;
	expect(&b, "shmem-knob", CHECK_NOTE, "advise");
	b.host.shmem_block = SHMEM_KNOB_ABSENT;
	expect(&b, "shmem-knob", CHECK_OK, "memfd");
}

static void test_ksm(void **state)
{
	struct bench b = good_host();

	(void)state;
	b.host.is_ksm_running = true;
	expect(&b, "ksm", CHECK_NOTE, "left alone");
}

static void test_userfaultfd(void **state)
{
	struct bench b = good_host();

	(void)state;
	b.host.is_uffd_seen = true;
	expect(&b, "userfaultfd", CHECK_NOTE, "left alone.");
	b.host.features &= ~(uint32_t)FEATURE_UFFD_SAFE;
	expect(&b, "userfaultfd", CHECK_NOTE, "everything else too");
}

static void test_free_blocks(void **state)
{
	struct bench b = good_host();

	(void)state;
	expect(&b, "free-blocks", CHECK_OK, "400 MiB");
	expect(&b, "free-blocks", CHECK_OK, ": node 0: 300 MiB, node 3: 100 MiB.");
	b.host.nodes[1].free_block_bytes = BLOCK - 1;
	expect(&b, "free-blocks", CHECK_WARN, "1 of 2 nodes have no free block");
	expect(&b, "free-blocks", CHECK_WARN, ": node 0: 300 MiB, node 3: 1 MiB.");
	b.host.n_nodes = 0;
	expect(&b, "free-blocks", CHECK_NOTE, "could not");
	b.host.n_nodes = HOST_NODES_MAX;
	for (int16_t i = 0; i < HOST_NODES_MAX; i++)
		b.host.nodes[i] = (struct host_node){.id = INT16_MIN};
	expect(&b, "free-blocks", CHECK_WARN, "64 of 64 nodes");
	expect(&b, "free-blocks", CHECK_WARN, "node -32768: 0 MiB, ...");
}

static void test_release_parse(void **state)
{
	struct release r = {0};

	(void)state;
	assert_int_equal(release_parse("6.18.44-custom", &r), 0);
	assert_int_equal(r.major, 6);
	assert_int_equal(r.minor, 18);
	assert_int_equal(r.patch, 44);
	assert_false(r.is_patch_hidden);
	assert_int_equal(release_parse("6.1.0-40-amd64", &r), 0);
	assert_true(r.is_patch_hidden);
	assert_true(release_parse("6", &r) < 0);
	assert_true(release_parse("6.", &r) < 0);
	assert_true(release_parse("6.1.", &r) < 0);
	assert_true(release_parse("x6.1", &r) < 0);
	assert_true(release_parse("99999999999999999999.1", &r) < 0);
	assert_true(release_lacks_collapse("6.0.1"));
	assert_false(release_lacks_collapse("6.1.0"));
	assert_false(release_lacks_collapse(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_host_is_all_ok), cmocka_unit_test(test_kernel_levels),
		cmocka_unit_test(test_missing_features),    cmocka_unit_test(test_shmem_deny),
		cmocka_unit_test(test_shmem_knob),	    cmocka_unit_test(test_ksm),
		cmocka_unit_test(test_userfaultfd),	    cmocka_unit_test(test_free_blocks),
		cmocka_unit_test(test_release_parse),	    cmocka_unit_test(test_without_rights),
		cmocka_unit_test(test_sentences_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
