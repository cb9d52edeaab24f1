/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Regions of a made-up process, and what is known of them. */
#include "inventory_bench.h"

#include <string.h>

#include "backing.h"

static const struct region *region_at(const struct tree *t, hva_t start)
{
	for (size_t i = 0; i < t->snapshot.n_regions; i++)
		if (t->snapshot.regions[i].start == start)
			return &t->snapshot.regions[i];
	return NULL;
}

static void backings_are_told_apart(void **state)
{
	static const struct {
		const char *line;
		enum backing backing;
		bool obeys_size_knob;
	} cases[] = {
		{"rw-p 00000000 00:00 0", BACKING_ANON, false},
		{"rw-p 00000000 00:00 0    [anon:guest ram]", BACKING_ANON, false},
		{"rw-s 00000000 00:01 5    /memfd:pc.ram (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:01 5    /dev/zero (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:01 5    [anon_shmem:x]", BACKING_SHMEM, true},
		{"rw-s 00000000 00:01 5    /SYSV00000000 (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:17 5    /dev/shm/guest", BACKING_SHMEM, false},
		{"rw-s 00000000 00:17 5    /dev/shm/guest (deleted)", BACKING_SHMEM, true},
		{"rw-s 00000000 00:17 5    /anywhere/else", BACKING_SHMEM, false},
		{"rw-s 00000000 00:0f 5    /anon_hugepage (deleted)", BACKING_HUGETLB, false},
		{"rw-s 00000000 00:1e 5    /dev/hugepages/g", BACKING_HUGETLB, false},
		{"rw-s 00000000 103:01 5   /pmem/g", BACKING_FSDAX, false},
		{"rw-s 00000000 103:02 5   /old/g", BACKING_FILE, false},
		{"rw-s 00000000 08:01 5    /var/g", BACKING_FILE, false},
		{"rw-p 00000000 08:01 5    /memfd:forged", BACKING_FILE, false},
		{"rw-s 00000000 00:06 5    /dev/dax0.0", BACKING_DEVDAX, false},
		{"rw-s 00000000 00:06 5    /dev/nvidia0", BACKING_SPECIAL, false},
		{"rw-s 00000000 00:01 5    /secretmem (deleted)", BACKING_SECRET, false},
		{"rw-s 00000000 00:0e 5    anon_inode:[guest_memfd]", BACKING_SECRET, false},
		{"rw-s 00000000 00:0e 5    anon_inode:[kvm-gmem]", BACKING_SECRET, false},
		{"rw-s 00000000 00:10 5    /[kvm-gmem] (deleted)", BACKING_SECRET, false},
		{"rw-s 00000000 00:0e 5    [guest_memfd]", BACKING_SECRET, false},
		{"rw-s 00000000 00:0e 5    /dmabuf:", BACKING_FILE, false},
	};
	struct tree *t = *state;
	char maps[4096] = "";

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t n = strlen(maps);

		(void)snprintf(maps + n, sizeof(maps) - n, "%llx-%llx %s\n",
			       (unsigned long long)((i + 1) * 2 * GIB),
			       (unsigned long long)((i + 1) * 2 * GIB + GIB / 2), cases[i].line);
	}
	put_process(t, maps);
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.n_regions, ARRAY_SIZE(cases));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct region *r = region_at(t, (i + 1) * 2 * GIB);

		if (!r || r->backing != cases[i].backing ||
		    r->is_unlinked_or_memfd != cases[i].obeys_size_knob)
			fail_msg("%s: taken for %s", cases[i].line,
				 backing_name(r ? r->backing : 0));
		/* Memory that is never touched is not even asked about. */
		assert_int_equal(r->eligibility == ELIGIBILITY_YES,
				 r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
					 r->backing == BACKING_FILE);
	}
}

static void only_large_data_is_guest_ram(void **state)
{
	struct tree *t = *state;

	put_process(t, "100000000-104000000 rw-p 00000000 00:00 0\n"
		       "200000000-203fff000 rw-p 00000000 00:00 0\n"
		       "300000000-340000000 r--p 00000000 00:00 0\n"
		       "400000000-440000000 rwxp 00000000 00:00 0\n"
		       "500000000-540000000 ---p 00000000 00:00 0\n"
		       "600000000-640000000 rw-p 00000000 00:00 0 [heap]\n"
		       "700000000-740000000 rw-p 00000000 00:00 0 [stack]\n"
		       "not a line\n"
		       "800000000-840000000 rw-p 00000000 00:00 0\n"
		       "840000000-880000000 rw-p 00000000 00:00 0\n"
		       "100000000-140000000 rw-p 00000000 00:00 0\n");
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.n_regions, 3);
	assert_non_null(region_at(t, 0x100000000));
	assert_non_null(region_at(t, 0x800000000));
	assert_non_null(region_at(t, 0x840000000));
	assert_int_equal(snapshot_validate(&t->snapshot, NULL), 0);
}

static const char misaligned[] =
	"7f00001ff000-7f00401ff000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n";

/* Why it is refused is known from its address: no walk of 13 ms per GiB for that. */
static void misaligned_region_needs_no_smaps(void **state)
{
	struct tree *t = *state;

	put_process(t, misaligned);
	put(t, "proc/77/smaps",
	    "7f00001ff000-7f00401ff000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n"
	    "VmFlags: rd wr nh\n");
	t->refused = 0x7f0000200000;
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.regions[0].eligibility, ELIGIBILITY_NO);
	assert_false(t->snapshot.regions[0].are_flags_known);
	assert_int_equal(region_misalignment(&t->snapshot.regions[0], &t->snapshot.geometry),
			 0x1ff000);
	assert_int_equal(survey(t, true), 0);
	assert_true(t->snapshot.regions[0].are_flags_known);
}

static const char plain_smaps[] = "100000000-140000000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n"
				  "Rss:    4 kB\n"
				  "VmFlags: rd wr nh\n";

static void smaps_is_read_on_a_hint_only(void **state)
{
	struct tree *t = *state;
	struct snapshot *s = &t->snapshot;

	put_process(t, plain);
	put(t, "proc/77/smaps", plain_smaps);
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->probes, 1);
	assert_false(s->regions[0].are_flags_known);
	t->refused = 0x100000000;
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(s->regions[0].eligibility, ELIGIBILITY_NO);
	assert_true(s->regions[0].are_flags_known);
	assert_int_equal(s->regions[0].flags, VMA_FLAG_NH);
	t->refused = 0;
	s->host.is_uffd_seen = true;
	assert_int_equal(survey(t, false), 0);
	assert_true(s->regions[0].are_flags_known);
	s->host.is_uffd_seen = false;
	s->host.features = 0;
	t->probes = 0;
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->probes, 0);
	assert_int_equal(s->regions[0].eligibility, ELIGIBILITY_UNKNOWN);
	assert_true(s->regions[0].are_flags_known);
}

static void unreadable_smaps_leaves_flags_unknown(void **state)
{
	struct tree *t = *state;

	put_process(t, plain);
	assert_int_equal(survey(t, true), 0);
	assert_int_equal(t->snapshot.n_regions, 1);
	assert_false(t->snapshot.regions[0].are_flags_known);
}

static const char devdax[] = "100000000-140000000 rw-s 00000000 00:01 5 /memfd:r (deleted)\n"
			     "200000000-280000000 rw-s 00000000 00:06 5 /dev/dax0.0\n";

static void gigabyte_device_dax_is_never_walked(void **state)
{
	struct tree *t = *state;

	put_process(t, devdax);
	put(t, "proc/77/smaps", plain_smaps);
	put(t, "sys/bus/dax/devices/dax0.0/align", "1073741824\n");
	assert_int_equal(survey(t, true), 0);
	assert_true(t->snapshot.vm.has_device_dax_1g);
	assert_false(t->snapshot.regions[0].are_flags_known);
	assert_int_equal(t->snapshot.regions[1].backing, BACKING_DEVDAX);
	put(t, "sys/bus/dax/devices/dax0.0/align", "2097152\n");
	assert_int_equal(survey(t, true), 0);
	assert_false(t->snapshot.vm.has_device_dax_1g);
	assert_true(t->snapshot.regions[0].are_flags_known);
}

static void device_dax_of_unknown_alignment_counts_as_gigabyte(void **state)
{
	struct tree *t = *state;

	put_process(t, devdax);
	put(t, "proc/77/smaps", plain_smaps);
	assert_int_equal(survey(t, true), 0);
	assert_true(t->snapshot.vm.has_device_dax_1g);
	assert_false(t->snapshot.regions[0].are_flags_known);
}

static void too_many_regions_are_cut(void **state)
{
	struct tree *t = *state;
	size_t n = SNAPSHOT_REGIONS_MAX + 5, size = n * 64;
	char *maps = malloc(size);
	size_t used = 0;

	assert_non_null(maps);
	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(maps + used, size - used,
					 "%llx-%llx rw-p 00000000 00:00 0\n",
					 (unsigned long long)((2 * i + 1) << 26),
					 (unsigned long long)((2 * i + 2) << 26));
	put_process(t, maps);
	free(maps);
	assert_int_equal(survey(t, false), 0);
	assert_int_equal(t->snapshot.n_regions, SNAPSHOT_REGIONS_MAX);
	assert_true(t->snapshot.is_truncated);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE_TEST(backings_are_told_apart),
		TREE_TEST(only_large_data_is_guest_ram),
		TREE_TEST(misaligned_region_needs_no_smaps),
		TREE_TEST(smaps_is_read_on_a_hint_only),
		TREE_TEST(unreadable_smaps_leaves_flags_unknown),
		TREE_TEST(gigabyte_device_dax_is_never_walked),
		TREE_TEST(device_dax_of_unknown_alignment_counts_as_gigabyte),
		TREE_TEST(too_many_regions_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
