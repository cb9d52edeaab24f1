/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "procfs.h"
#include "qemu_nodes.h"
#include "region_flags.h"

static struct scanner whole(const char *text)
{
	return (struct scanner){text, text + strlen(text)};
}

static void maps_line_is_read(void **state)
{
	struct maps_line l;

	(void)state;
	assert_true(maps_parse_line(whole("7f0000200000-7f0040200000 rw-s 00001000 00:01 4242"
					  "                       /memfd:pc.ram (deleted)"),
				    &l));
	assert_true(l.start == 0x7f0000200000 && l.end == 0x7f0040200000);
	assert_true(l.is_readable && l.is_writable && !l.is_executable && l.is_shared);
	assert_int_equal(l.offset, 0x1000);
	assert_int_equal(l.dev_major, 0);
	assert_int_equal(l.dev_minor, 1);
	assert_int_equal(l.inode, 4242);
	assert_int_equal(l.path_size, strlen("/memfd:pc.ram (deleted)"));
	assert_memory_equal(l.path, "/memfd:pc.ram (deleted)", l.path_size);
}

static void maps_line_without_path_is_read(void **state)
{
	struct maps_line l;

	(void)state;
	assert_true(maps_parse_line(whole("1000-2000 ---p 00000000 fd:1f 0 "), &l));
	assert_false(l.is_readable || l.is_writable || l.is_executable || l.is_shared);
	assert_int_equal(l.dev_major, 0xfd);
	assert_int_equal(l.dev_minor, 0x1f);
	assert_int_equal(l.path_size, 0);
	assert_true(maps_parse_line(whole("1000-2000 r-xp 00000000 fd:01 7"), &l));
	assert_int_equal(l.inode, 7);
}

static void path_keeps_what_the_process_wrote(void **state)
{
	struct maps_line l;

	(void)state;
	assert_true(maps_parse_line(
		whole("1000-2000 rw-p 0 00:00 0    [anon:a b\\012 1000-2000 rw-p 0 00:00 0]"), &l));
	assert_int_equal(l.path_size, strlen("[anon:a b\\012 1000-2000 rw-p 0 00:00 0]"));
}

static void hostile_maps_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"-",
		"1000",
		"1000-",
		"1000-2000",
		"1000-2000 rw-p",
		"2000-1000 rw-p 0 00:00 0",
		"1000-1000 rw-p 0 00:00 0",
		"-1000-2000 rw-p 0 00:00 0",
		" 1000-2000 rw-p 0 00:00 0",
		"1000 -2000 rw-p 0 00:00 0",
		"1000-2000rw-p 0 00:00 0",
		"1000-2000 rw-p0 00:00 0",
		"1000-2000 wr-p 0 00:00 0",
		"1000-2000 rw-x 0 00:00 0",
		"1000-2000 rw- 0 00:00 0",
		"1000-2000 rw-pp 0 00:00 0",
		"1000-2000 RW-P 0 00:00 0",
		"1000-2000 rw-p zz 00:00 0",
		"1000-2000 rw-p 0 0000 0",
		"1000-2000 rw-p 0 00: 0",
		"1000-2000 rw-p 0 :00 0",
		"1000-2000 rw-p 0 100000000:00 0",
		"1000-2000 rw-p 0 00:100000000 0",
		"1000-2000 rw-p 0 00:00",
		"1000-2000 rw-p 0 00:00 ",
		"1000-2000 rw-p 0 00:00 x",
		"1000-2000 rw-p 0 00:00 12x /a",
		"1000-2000 rw-p 0 00:00 18446744073709551616 /a",
		"10000000000000000-20000000000000000 rw-p 0 00:00 0",
		"1000-10000000000000000 rw-p 0 00:00 0",
		"1000-2000 rw-p 10000000000000000 00:00 0",
		"Rss:                 100 kB",
		"VmFlags: rd wr",
		"\xff\xff\xff-\xff rw-p 0 00:00 0",
	};
	struct maps_line l = {.inode = 4711};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (maps_parse_line(whole(lines[i]), &l))
			fail_msg("taken for a mapping: \"%s\"", lines[i]);
		assert_int_equal(l.inode, 4711);
	}
}

static void every_cut_of_a_line_is_survived(void **state)
{
	static const char line[] = "7f0000200000-7f0040200000 rw-s 00001000 00:01 4242 /memfd:x";
	struct maps_line l;

	(void)state;
	for (size_t n = 0; n < sizeof(line); n++) {
		char *copy = strndup(line, n);

		assert_non_null(copy);
		(void)maps_parse_line((struct scanner){copy, copy + n}, &l);
		free(copy);
	}
}

static void flags_are_read(void **state)
{
	uint32_t flags = 0;

	(void)state;
	assert_true(smaps_parse_flags(whole("VmFlags: rd wr sh mr mw me ms hg um uw ui mg sd "),
				      &flags));
	assert_int_equal(flags, VMA_FLAG_HG | VMA_FLAGS_UFFD | VMA_FLAG_MG);
	assert_true(smaps_parse_flags(whole("VmFlags: nh ht pf io mm de gu lo nr zz"), &flags));
	assert_int_equal(flags, VMA_FLAG_NH | VMA_FLAG_HT | VMA_FLAGS_SPECIAL | VMA_FLAG_DE |
					VMA_FLAG_GU | VMA_FLAG_LO | VMA_FLAG_NR);
	assert_true(smaps_parse_flags(whole("VmFlags:"), &flags));
	assert_int_equal(flags, 0);
}

static void words_of_other_length_are_no_flags(void **state)
{
	uint32_t flags;

	(void)state;
	assert_true(smaps_parse_flags(whole("VmFlags: nhht n h nhx NH"), &flags));
	assert_int_equal(flags, 0);
	assert_false(smaps_parse_flags(whole("VmFlag: nh"), &flags));
	assert_false(smaps_parse_flags(whole(" VmFlags: nh"), &flags));
	assert_false(smaps_parse_flags(whole(""), &flags));
}

static void sizes_are_read(void **state)
{
	struct scanner key;
	uint64_t bytes = 0;

	(void)state;
	assert_true(smaps_parse_size(whole("Rss:                1234 kB"), &key, &bytes));
	assert_int_equal(bytes, 1234 * 1024);
	assert_int_equal(key.end - key.at, 3);
	assert_true(smaps_parse_size(whole("ShmemPmdMapped:        0 kB"), &key, &bytes));
	assert_int_equal(bytes, 0);
}

static void hostile_sizes_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		":",
		": 1 kB",
		"Rss",
		"Rss:",
		"Rss: 1",
		"Rss: kB",
		"Rss: 1kB",
		"Rss: 1 MB",
		"Rss: 1 kB ",
		"Rss: -1 kB",
		"Rss: 18014398509481984 kB",
		"Rss 12 kB",
		"Rss: 1 kBx",
		"THPeligible: 1",
		"Rss: 99999999999999999999 kB",
		"VmFlags: rd",
		"ProtectionKey: 0",
	};
	struct scanner key;
	uint64_t bytes = 4711;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		if (smaps_parse_size(whole(lines[i]), &key, &bytes))
			fail_msg("taken for a size: \"%s\"", lines[i]);
		assert_int_equal(bytes, 4711);
	}
}

static void stat_survives_any_name(void **state)
{
	static const char *const names[] = {"qemu", "a b", ") R 1 1", "((", "))", ""};
	struct proc_stat stat;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char text[512];
		int n = snprintf(
			text, sizeof(text),
			"77 (%s) S 1 2 3 0 -1 4194560 901 11 0 0 1 2 3 4 20 0 1 0 5555 6 7 "
			"18446744073709551615 94000 95000 140000 0 0\n",
			names[i]);

		assert_int_equal(stat_parse(text, (size_t)n, &stat), 0);
		assert_int_equal(stat.flags, 4194560);
		assert_int_equal(stat.minor_faults, 901);
		assert_int_equal(stat.starttime, 5555);
		assert_int_equal(stat.start_code, 94000);
		assert_int_equal(stat.start_stack, 140000);
	}
}

#define STAT_TO_28                                                          \
	"77 (q) S 1 2 3 0 -1 4194560 901 11 0 0 1 2 3 4 20 0 1 0 5555 6 7 " \
	"9 94000 95000 140000"

/* What Linux writes behind field 28, up to 39 where the processor is. */
static void processor_is_read_where_it_is(void **state)
{
	static const struct {
		const char *rest;
		uint64_t processor;
	} cases[] = {
		{"", UINT64_MAX},
		{" 0", UINT64_MAX},
		{" 0 0 0 0 0 0 0 0 0 -1", UINT64_MAX},
		{" 0 0 0 0 0 0 0 0 0 -1 ", UINT64_MAX},
		{" 0 0 0 0 0 0 0 0 0 -1\n", UINT64_MAX},
		{" 0 0 0 0 0 0 0 0 0 -1 5", 5},
		{" 0 0 0 0 0 0 0 0 0 -1 5\n", 5},
		{" 0 0 0 0 0 0 0 18446744073709551615 0 17 0 7 0 0 0 0 0\n", 0},
		{" 1 2 3 4 5 6 7 8 9 10 18446744073709551615 12", UINT64_MAX},
	};
	struct proc_stat stat;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[512];
		int n = snprintf(text, sizeof(text), STAT_TO_28 "%s", cases[i].rest);

		stat.processor = 4711;
		assert_int_equal(stat_parse(text, (size_t)n, &stat), 0);
		if (stat.processor != cases[i].processor)
			fail_msg("\"%s\": %llu", cases[i].rest, (unsigned long long)stat.processor);
		assert_int_equal(stat.starttime, 5555);
	}
}

static void broken_processor_is_refused(void **state)
{
	static const char *const words[] = {"x", "-1", "5x", "0x5", "18446744073709551616"};
	struct proc_stat stat = {.processor = 4711};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char text[512];
		int n = snprintf(text, sizeof(text), STAT_TO_28 " 0 0 0 0 0 0 0 0 0 17 %s 0 0\n",
				 words[i]);

		assert_int_equal(stat_parse(text, (size_t)n, &stat), -EINVAL);
		assert_int_equal(stat.processor, 4711);
	}
}

static void broken_stat_is_refused(void **state)
{
	static const char good[] = STAT_TO_28;
	struct proc_stat stat = {.starttime = 4711};

	(void)state;
	for (size_t n = 0; n < sizeof(good) - 7; n++)
		assert_int_equal(stat_parse(good, n, &stat), -EINVAL);
	assert_int_equal(stat_parse("1 q S 2", 7, &stat), -EINVAL);
	assert_int_equal(stat_parse("1 (q) S 2 3 4 5 6 x 8 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9",
				    61, &stat),
			 -EINVAL);
	assert_int_equal(stat.starttime, 4711);
	assert_int_equal(stat_parse(good, sizeof(good) - 1, &stat), 0);
}

static void statm_is_strict(void **state)
{
	uint64_t size = 0, resident = 0;

	(void)state;
	assert_int_equal(statm_parse("1000 20 3 4 0 6 0\n", 18, &size, &resident), 0);
	assert_int_equal(size, 1000);
	assert_int_equal(resident, 20);
	assert_int_equal(statm_parse("", 0, &size, &resident), -EINVAL);
	assert_int_equal(statm_parse("1000", 4, &size, &resident), -EINVAL);
	assert_int_equal(statm_parse("1000 x", 6, &size, &resident), -EINVAL);
	assert_int_equal(statm_parse("-1 5", 4, &size, &resident), -EINVAL);
	assert_int_equal(statm_parse("1x 5", 4, &size, &resident), -EINVAL);
	assert_int_equal(size, 1000);
}

#define PARSE_QEMU(text, name, uuid) \
	cmdline_parse_qemu(text, sizeof(text) - 1, name, sizeof(name), uuid, sizeof(uuid))

static void qemu_names_are_found(void **state)
{
	char name[32], uuid[37];

	(void)state;
	PARSE_QEMU("qemu\0-name\0guest=vm1,debug-threads=on\0-uuid\0"
		   "c7a5fdbd-edaf-9455-926a-d65c16db1809\0",
		   name, uuid);
	assert_string_equal(name, "vm1");
	assert_string_equal(uuid, "c7a5fdbd-edaf-9455-926a-d65c16db1809");
	PARSE_QEMU("qemu\0-name\0web,debug-threads=on\0", name, uuid);
	assert_string_equal(name, "web");
	assert_string_equal(uuid, "");
	PARSE_QEMU("qemu\0--name\0debug-threads=on,guest=db", name, uuid);
	assert_string_equal(name, "db");
	PARSE_QEMU("qemu\0-name\0a,,b,process=x\0", name, uuid);
	assert_string_equal(name, "a,b");
}

static void hostile_command_lines_are_survived(void **state)
{
	char name[8], uuid[37];

	(void)state;
	PARSE_QEMU("", name, uuid);
	assert_string_equal(name, "");
	PARSE_QEMU("-name", name, uuid);
	assert_string_equal(name, "");
	PARSE_QEMU("-name\0\0-uuid\0\0", name, uuid);
	assert_string_equal(name, "");
	assert_string_equal(uuid, "");
	PARSE_QEMU("q\0-name\0a-name-that-does-not-fit\0", name, uuid);
	assert_string_equal(name, "a-name-");
	PARSE_QEMU("q\0-uuid\0c7a5fdbd-edaf-9455-926a-d65c16db180x\0", name, uuid);
	assert_string_equal(uuid, "");
	PARSE_QEMU("q\0-uuid\0c7a5fdbdeedaf-9455-926a-d65c16db1809\0", name, uuid);
	assert_string_equal(uuid, "");
	PARSE_QEMU("q\0-uuid\0c7a5fdbd-edaf-9455-926a-d65c16db18091\0", name, uuid);
	assert_string_equal(uuid, "");
	PARSE_QEMU("q\0-name\0,,,,\0", name, uuid);
	assert_string_equal(name, ",,");
	PARSE_QEMU("q\0-name\0,\0", name, uuid);
	assert_string_equal(name, "");
	PARSE_QEMU("q\0xname\0vm\0-names\0vm\0", name, uuid);
	assert_string_equal(name, "");
}

static void machines_are_found_in_cgroups(void **state)
{
	static const struct {
		const char *path, *name;
	} cases[] = {
		{"/machine.slice/machine-qemu\\x2d1\\x2dvm1.scope", "vm1"},
		{"/machine.slice/machine-qemu\\x2d12\\x2dweb\\x2dserver.scope/libvirt/emulator",
		 "web-server"},
		{"/machine.slice/machine-plain.scope", "plain"},
		{"/machine.slice/machine-qemu\\x2dx\\x2dvm.scope", "qemu-x-vm"},
		{"/machine.slice/machine-lxc\\x2d7\\x2dct.scope", "ct"},
		{"/a/machine-one.scope/machine-two.scope", "one"},
		{"/machine.slice/machine-a\\x2.scope", "a\\x2"},
		{"/machine.slice/machine-a\\x00b.scope", "a?b"},
	};
	char name[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(cgroup_parse_machine(cases[i].path, name, sizeof(name)));
		assert_string_equal(name, cases[i].name);
	}
}

static void other_cgroups_name_no_machine(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		"//",
		"/system.slice/qemu.service",
		"/machine.slice/machine-.scope",
		"/machine.slice/machine-vm.slice",
		"/machine.slice/xmachine-vm.scope",
		"/user.slice/user-1000.slice/machine-qemu\\x2d1\\x2dvm1.scope",
	};
	char name[64] = "kept", small[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_false(cgroup_parse_machine(paths[i], name, sizeof(name)));
	assert_string_equal(name, "kept");
	assert_true(
		cgroup_parse_machine("/machine-qemu\\x2d1\\x2dlong.scope", small, sizeof(small)));
	assert_string_equal(small, "lon");
}

static const char smaps[] = "100000-400000 rw-p 00000000 00:00 0 \n"
			    "Size:               3072 kB\n"
			    "Rss:                   0 kB\n"
			    "Anonymous:             0 kB\n"
			    "VmFlags: rd wr mr mw me ac \n"
			    "400000-800000 rw-p 00000000 00:05 9 /memfd:a\n"
			    "Rss:                 100 kB\n"
			    "Anonymous:             4 kB\n"
			    "VmFlags: rd wr uw nh\n"
			    "800000-a00000 rw-s 00000000 00:05 9 /memfd:h\n"
			    "VmFlags: rd wr ht\n"
			    "a00000-c00000 rw-s 00000000 08:01 9 /pmem/file\n"
			    "VmFlags: rd wr mm\n"
			    "c00000-e00000 rw-p 00000000 00:00 0\n"
			    "Rss:                   8 kB\n"
			    "VmFlags: rd wr nh\n"
			    "garbage\n";

static void smaps_fills_regions(void **state)
{
	struct region r[] = {
		{.start = 0x100000, .end = 0x400000, .eligibility = ELIGIBILITY_NO},
		{.start = 0x400000, .end = 0x800000, .backing = BACKING_SHMEM},
		{.start = 0x800000, .end = 0xa00000, .backing = BACKING_SHMEM},
		{.start = 0xa00000, .end = 0xc00000, .backing = BACKING_FILE},
		{.start = 0xc00000, .end = 0xe00000, .eligibility = ELIGIBILITY_NO},
	};

	(void)state;
	regions_apply_smaps(r, ARRAY_SIZE(r), smaps, sizeof(smaps) - 1);
	for (size_t i = 0; i < ARRAY_SIZE(r); i++)
		assert_true(r[i].are_flags_known);
	/* Never touched: the refusal says nothing about what comes. */
	assert_int_equal(r[0].eligibility, ELIGIBILITY_UNKNOWN);
	assert_false(r[0].has_anon_pages);
	assert_true(r[1].has_anon_pages);
	assert_int_equal(r[1].flags, VMA_FLAG_UW | VMA_FLAG_NH);
	assert_int_equal(r[2].backing, BACKING_HUGETLB);
	assert_int_equal(r[3].backing, BACKING_FSDAX);
	assert_int_equal(r[4].eligibility, ELIGIBILITY_NO);
}

static void changed_mappings_stay_unknown(void **state)
{
	struct region r[] = {
		{.start = 0x100000, .end = 0x300000},
		{.start = 0x300000, .end = 0x400000},
		{.start = 0x400000, .end = 0x800000},
		{.start = 0xf00000, .end = 0xf10000},
	};

	(void)state;
	regions_apply_smaps(r, ARRAY_SIZE(r), smaps, sizeof(smaps) - 1);
	assert_false(r[0].are_flags_known);
	assert_false(r[1].are_flags_known);
	assert_true(r[2].are_flags_known);
	assert_false(r[3].are_flags_known);
}

static void cut_smaps_is_survived(void **state)
{
	(void)state;
	for (size_t n = 0; n < sizeof(smaps); n++) {
		struct region r = {.start = 0x400000, .end = 0x800000};
		char *copy = strndup(smaps, n);

		assert_non_null(copy);
		regions_apply_smaps(&r, 1, copy, n);
		free(copy);
	}
}

#define BOUND(text) qemu_bound_nodes(text, sizeof(text) - 1)

static void qemu_binds_memory(void **state)
{
	(void)state;
	assert_int_equal(BOUND("qemu\0-object\0memory-backend-ram,id=m,size=1G,host-nodes=1,"
			       "policy=bind\0-m\0001G\0"),
			 2);
	assert_int_equal(BOUND("qemu\0--object\0memory-backend-memfd,id=m,policy=interleave,"
			       "host-nodes=0-1,host-nodes=3"),
			 11);
	assert_int_equal(BOUND("q\0-object\0{\"qom-type\":\"memory-backend-memfd\",\"id\":\"a\","
			       "\"host-nodes\":[0,2],\"policy\":\"bind\"}\0-object\0"
			       "{\"qom-type\":\"memory-backend-ram\",\"host-nodes\":[1],"
			       "\"policy\":\"bind\"}"),
			 7);
	/* One that is free makes all of it so; what is preferred only is free. */
	assert_int_equal(BOUND("q\0-object\0memory-backend-ram,id=m,host-nodes=1,policy=bind\0"
			       "-object\0memory-backend-ram,id=n"),
			 0);
	assert_int_equal(BOUND("q\0-object\0memory-backend-ram,host-nodes=1,policy=preferred"), 0);
	assert_int_equal(BOUND("q\0-object\0rng-random,id=r,host-nodes=1,policy=bind"), 0);
	assert_int_equal(BOUND("q\0memory-backend-ram,host-nodes=1,policy=bind"), 0);
	assert_int_equal(BOUND("q\0-object\0memory-backend-ram,host-nodes=,policy=bind"), 0);
	assert_int_equal(BOUND("q\0-object\0memory-backend-ram,host-nodes=5-2,policy=bind"), 0);
	assert_int_equal(BOUND("-object"), 0);
	assert_int_equal(BOUND(""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(maps_line_is_read),
		cmocka_unit_test(maps_line_without_path_is_read),
		cmocka_unit_test(path_keeps_what_the_process_wrote),
		cmocka_unit_test(hostile_maps_lines_are_refused),
		cmocka_unit_test(every_cut_of_a_line_is_survived),
		cmocka_unit_test(flags_are_read),
		cmocka_unit_test(words_of_other_length_are_no_flags),
		cmocka_unit_test(sizes_are_read),
		cmocka_unit_test(hostile_sizes_are_refused),
		cmocka_unit_test(stat_survives_any_name),
		cmocka_unit_test(processor_is_read_where_it_is),
		cmocka_unit_test(broken_processor_is_refused),
		cmocka_unit_test(broken_stat_is_refused),
		cmocka_unit_test(statm_is_strict),
		cmocka_unit_test(qemu_names_are_found),
		cmocka_unit_test(hostile_command_lines_are_survived),
		cmocka_unit_test(machines_are_found_in_cgroups),
		cmocka_unit_test(other_cgroups_name_no_machine),
		cmocka_unit_test(smaps_fills_regions),
		cmocka_unit_test(changed_mappings_stay_unknown),
		cmocka_unit_test(cut_smaps_is_survived),
		cmocka_unit_test(qemu_binds_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
