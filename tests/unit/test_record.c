/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memstate.h"
#include "record.h"
#include "record_scrub.h"
#include "tree.h"

static char *finish(struct text *t)
{
	char *text = NULL;

	assert_int_equal(text_take(t, &text), 0);
	return text;
}

typedef void (*scrub_function)(struct text *out, const char *text, size_t size);

static void check_scrub(scrub_function scrub, const char *text, const char *expected)
{
	struct text out = TEXT_INIT;
	char *result;

	scrub(&out, text, strlen(text));
	result = finish(&out);
	assert_string_equal(result, expected);
	free(result);
}

static void paths_lose_names_and_keep_kinds(void **state)
{
	(void)state;
	check_scrub(scrub_maps,
		    "1000-2000 rw-s 00000000 00:01 42      /memfd:secret-customer (deleted)\n"
		    "2000-3000 rw-s 00000000 00:17 43      /dev/shm/customer\n"
		    "3000-4000 r-xp 00000000 08:01 44      /opt/customer/bin/vmm\n"
		    "4000-5000 rw-p 00000000 00:00 0       [anon:customer]\n"
		    "5000-6000 rw-p 00000000 00:00 0       [heap]\n"
		    "6000-7000 rw-s 00000000 00:06 45      /dev/dax0.0\n"
		    "7000-8000 rw-p 00000000 00:00 0 \n"
		    "8000-9000 rw-s 00000000 00:10 46      /[kvm-gmem] (deleted)\n"
		    "VmFlags: rd wr\n",
		    "1000-2000 rw-s 00000000 00:01 42      /memfd:ram-42 (deleted)\n"
		    "2000-3000 rw-s 00000000 00:17 43      /dev/shm/ram-43\n"
		    "3000-4000 r-xp 00000000 08:01 44      /file-44\n"
		    "4000-5000 rw-p 00000000 00:00 0       [anon:ram]\n"
		    "5000-6000 rw-p 00000000 00:00 0       [heap]\n"
		    "6000-7000 rw-s 00000000 00:06 45      /dev/dax0.0\n"
		    "7000-8000 rw-p 00000000 00:00 0 \n"
		    "8000-9000 rw-s 00000000 00:10 46      /[kvm-gmem] (deleted)\n"
		    "VmFlags: rd wr\n");
}

static void mounts_lose_places_and_keep_types(void **state)
{
	(void)state;
	check_scrub(scrub_mountinfo,
		    "25 24 0:23 / /dev/shm rw,relatime shared:4 - tmpfs customer rw,size=1k\n"
		    "28 24 259:1 /c /srv/customer rw - xfs /dev/mapper/customer rw,dax=always,x=y\n"
		    "30 24 0:40 /c /sys/fs/cgroup rw - cgroup cgroup rw,memory\n"
		    "garbage customer\n",
		    "25 24 0:23 / /dev/shm rw - tmpfs none rw\n"
		    "28 24 259:1 / /mnt/28 rw - xfs none rw,dax=always\n"
		    "30 24 0:40 / /sys/fs/cgroup rw - cgroup none rw,memory\n");
}

static void names_are_made_up(void **state)
{
	static const char cgroup[] = "4:memory:/customer\n"
				     "0::/machine.slice/machine-qemu\\x2d7\\x2dcustomer.scope\n"
				     "1:name=systemd:/\n";
	static const char cmdline[] =
		"/opt/customer/qemu\0-name\0guest=customer\0-uuid\0"
		"c7a5fdbd-edaf-9455-926a-d65c16db1809\0-drive\0file=customer\0";
	struct text out = TEXT_INIT;
	char *result;

	(void)state;
	scrub_cgroup(&out, cgroup, sizeof(cgroup) - 1, 3);
	result = finish(&out);
	assert_string_equal(result, "4:memory:/vm3\n"
				    "0::/machine.slice/machine-qemu\\x2d3\\x2dvm3.scope\n"
				    "1:name=systemd:/\n");
	free(result);
	scrub_cmdline(&out, cmdline, sizeof(cmdline) - 1, "kvm", 3);
	assert_int_equal(out.length, sizeof("kvm\0-name\0guest=vm3\0-uuid\0"
					    "00000000-0000-4000-8000-000000000003"));
	result = finish(&out);
	assert_memory_equal(result,
			    "kvm\0-name\0guest=vm3\0-uuid\0"
			    "00000000-0000-4000-8000-000000000003",
			    sizeof("kvm\0-name\0guest=vm3\0-uuid\0") + 36);
	free(result);
	scrub_status(&out,
		     "Name:\tcustomer\nUid:\t0\t64055\t0\t7\nGroups:\t64055\nTHP_enabled:\t1\n", 62,
		     "vmm");
	result = finish(&out);
	assert_string_equal(result, "Name:\tvmm\nUid:\t0\t1000\t0\t1000\nTHP_enabled:\t1\n");
	free(result);
	scrub_stat(&out, "7 (cust) (omer) S 1\n", 20, "vmm");
	result = finish(&out);
	assert_string_equal(result, "7 (vmm) S 1\n");
	free(result);
	assert_string_equal(scrub_comm("firecracker"), "firecracker");
	assert_string_equal(scrub_comm("customer"), "vmm");
}

struct fixture {
	char path[TREE_PATH_MAX];
	struct sys sys;
	int dirfd;
	pid_t pid;
	uint64_t addresses[1];
};

/* A process with guest RAM: a huge block, a folio, small pages with a hole, nothing. */
static void run_guest(int fd)
{
	uint64_t block = memstate_block_bytes(), address = 0;
	const uint64_t page = memstate_page_bytes();
	memstate_map m = MEMSTATE_MAP_INIT;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "customer");
	if (memstate_map_memfd(&m, 4 * block, 0) == 0 &&
	    memstate_fill_small(m.addr, 2 * block, 1) == 0 &&
	    memstate_make_huge(m.addr, 2 * block) == 0 &&
	    memstate_make_pte_mapped(m.addr + block, block) == 0 &&
	    memstate_fill_small(m.addr + 2 * block, 3 * page, 1) == 0 &&
	    memstate_fill_small(m.addr + 2 * block + 5 * page, page, 1) == 0) {
		address = (uint64_t)(uintptr_t)m.addr;
	}
	(void)!write(fd, &address, sizeof(address));
	for (;;)
		(void)pause();
}

static int start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	if (!f || sys_open_host(&f->sys) < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	f->dirfd = tree_open(f->path, "record");
	f->pid = fork();
	if (f->pid == 0)
		run_guest(fds[1]);
	if (read(fds[0], f->addresses, sizeof(f->addresses)) != (ssize_t)sizeof(f->addresses))
		return -1;
	(void)close(fds[0]);
	(void)close(fds[1]);
	*state = f;
	return 0;
}

static int stop(void **state)
{
	struct fixture *f = *state;

	(void)kill(f->pid, SIGKILL);
	(void)waitpid(f->pid, NULL, 0);
	(void)close(f->dirfd);
	tree_remove(f->path);
	sys_close(&f->sys);
	free(f);
	return 0;
}

/* A recorded file; "@" is the guest's own directory. */
static char *read_record(const struct fixture *f, const char *name)
{
	char path[64], *text = NULL;
	size_t size;

	if (name[0] == '@')
		(void)snprintf(path, sizeof(path), "proc/%d/%s", (int)f->pid, name + 1);
	else
		(void)snprintf(path, sizeof(path), "%s", name);
	if (sys_read_all_at(f->dirfd, path, 1 << 24, &text, &size) < 0)
		fail_msg("%s was not recorded", path);
	return text;
}

static void record(struct fixture *f, bool scrub)
{
	struct record_options o = {.pids = &f->pid, .n_pids = 1, .scrub = scrub};

	if (f->addresses[0] == 0) {
		print_message("SKIP: MADV_COLLAPSE did not make the guest's memory huge\n");
		skip();
	}
	assert_int_equal(host_record(&f->sys, f->dirfd, &o), 0);
}

static void page_table_is_recorded(void **state)
{
	struct fixture *f = *state;
	uint64_t block = memstate_block_bytes(), pages = block / memstate_page_bytes();
	char *text, expected[256];

	record(f, false);
	text = read_record(f, "@thpd-pages");
	(void)snprintf(
		expected, sizeof(expected),
		"%llx %llu huge\n%llx %llu folio\n%llx 3 small\n%llx 1 small\n",
		(unsigned long long)f->addresses[0], (unsigned long long)pages,
		(unsigned long long)(f->addresses[0] + block), (unsigned long long)pages,
		(unsigned long long)(f->addresses[0] + 2 * block),
		(unsigned long long)(f->addresses[0] + 2 * block + 5 * memstate_page_bytes()));
	if (!strstr(text, expected))
		fail_msg("%s is not in:\n%s", expected, text);
	free(text);
}

static void record_holds_what_thpd_reads(void **state)
{
	static const char *const names[] = {
		"proc/meminfo",
		"proc/buddyinfo",
		"proc/zoneinfo",
		"proc/vmstat",
		"proc/loadavg",
		"proc/self/mountinfo",
		"sys/kernel/mm/transparent_hugepage/enabled",
		"sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
		"sys/kernel/mm/transparent_hugepage/shmem_enabled",
		"@maps",
		"@smaps",
		"@stat",
		"@statm",
		"@status",
		"@comm",
		"@cgroup",
		"@cmdline",
	};
	struct fixture *f = *state;
	char *text;

	record(f, false);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		free(read_record(f, names[i]));
	text = read_record(f, "thpd-record");
	assert_non_null(strstr(text, "version 1\npage_bytes "));
	free(text);
	text = read_record(f, "@comm");
	assert_string_equal(text, "customer\n");
	free(text);
}

static void scrubbed_record_names_nobody(void **state)
{
	static const char *const names[] = {"@maps",   "@smaps", "@stat",
					    "@status", "@comm",	 "@cmdline"};
	struct fixture *f = *state;
	char *text, link[64], target[256];
	ssize_t n;

	record(f, true);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		text = read_record(f, names[i]);
		assert_null(strstr(text, "customer"));
		assert_null(strstr(text, "test_record"));
		free(text);
	}
	text = read_record(f, "@maps");
	assert_non_null(strstr(text, "/memfd:ram-"));
	free(text);
	(void)snprintf(link, sizeof(link), "proc/%d/exe", (int)f->pid);
	n = sys_readlink_at(f->dirfd, link, target, sizeof(target));
	assert_true(n > 0);
	assert_string_equal(target, "/usr/bin/vmm");
}

static void vanished_process_fails(void **state)
{
	struct fixture *f = *state;
	struct record_options o = {.pids = &f->pid, .n_pids = 1};

	assert_int_equal(kill(f->pid, SIGKILL), 0);
	assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
	assert_int_equal(host_record(&f->sys, f->dirfd, &o), -ESRCH);
}

static void full_directory_is_not_overwritten(void **state)
{
	struct fixture *f = *state;
	struct record_options o = {.pids = NULL, .n_pids = 0};

	assert_int_equal(host_record(&f->sys, f->dirfd, &o), 0);
	assert_int_equal(host_record(&f->sys, f->dirfd, &o), -EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths_lose_names_and_keep_kinds),
		cmocka_unit_test(mounts_lose_places_and_keep_types),
		cmocka_unit_test(names_are_made_up),
		cmocka_unit_test_setup_teardown(page_table_is_recorded, start, stop),
		cmocka_unit_test_setup_teardown(record_holds_what_thpd_reads, start, stop),
		cmocka_unit_test_setup_teardown(scrubbed_record_names_nobody, start, stop),
		cmocka_unit_test_setup_teardown(vanished_process_fails, start, stop),
		cmocka_unit_test_setup_teardown(full_directory_is_not_overwritten, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
