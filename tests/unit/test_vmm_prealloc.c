/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Populating shared memory by huge pages, on the real kernel, and on one that refuses by a filter.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memstate.h"
#include "prealloc.h"

#define BLOCK UINT64_C(2097152)

enum { PAGE = 4096, BLOCKS = 100 /* some chunks, the last of them not whole */ };

static void must_be(const memstate_map *m, int64_t huge_blocks)
{
	assert_int_equal(memstate_count_huge(0, m->addr, m->bytes), huge_blocks);
}

static memstate_map fresh(uint64_t blocks)
{
	memstate_map m = MEMSTATE_MAP_INIT;

	assert_int_equal(memstate_map_memfd(&m, blocks * BLOCK, 0), 0);
	return m;
}

static void is_huge_and_zero_with(unsigned int threads)
{
	memstate_map m = fresh(BLOCKS);

	errno = ENOTTY;
	assert_int_equal(prealloc_huge(m.addr, m.bytes, threads), 0);
	assert_int_equal(errno, ENOTTY);
	must_be(&m, BLOCKS);
	for (uint64_t i = 0; i < m.bytes; i += sizeof(uint64_t))
		if (*(uint64_t *)(m.addr + i))
			fail_msg("byte %lu is not 0", i);
	memstate_unmap(&m);
}

static void all_of_it_is_huge_and_zero(void **state)
{
	(void)state;
	is_huge_and_zero_with(1);
	is_huge_and_zero_with(2);
	is_huge_and_zero_with(1000);
}

static void only_whole_blocks_inside_are_touched(void **state)
{
	memstate_map m = fresh(5);

	(void)state;
	assert_int_equal(prealloc_huge(m.addr + PAGE, 3 * BLOCK, 1), 0);
	must_be(&m, 2);
	assert_int_equal(memstate_count_present(0, m.addr, BLOCK), 0);
	assert_int_equal(memstate_count_present(0, m.addr + 3 * BLOCK, 2 * BLOCK), 0);
	assert_int_equal(prealloc_huge(m.addr + 4 * BLOCK, BLOCK - PAGE, 1), 0);
	assert_int_equal(prealloc_huge(m.addr + 4 * BLOCK, 0, 1), 0);
	assert_int_equal(memstate_count_present(0, m.addr + 3 * BLOCK, 2 * BLOCK), 0);
	memstate_unmap(&m);
}

static void what_the_file_holds_stays(void **state)
{
	memstate_map m = fresh(4);
	char text[] = "what was there";

	(void)state;
	assert_int_equal(memstate_fill_small(m.addr, BLOCK, 77), 0);
	assert_int_equal(pwrite(m.fd, text, sizeof(text), BLOCK + 5 * PAGE + 3), sizeof(text));
	assert_int_equal(pwrite(m.fd, text, sizeof(text), 2 * BLOCK), sizeof(text));
	assert_int_equal(prealloc_huge(m.addr, m.bytes, 2), 0);
	must_be(&m, 4);
	assert_int_equal(memstate_check_filled(m.addr, BLOCK, 77), 0);
	assert_memory_equal(m.addr + BLOCK + 5 * PAGE + 3, text, sizeof(text));
	assert_memory_equal(m.addr + 2 * BLOCK, text, sizeof(text));
	assert_int_equal(m.addr[BLOCK + 5 * PAGE + 2] | m.addr[BLOCK] | m.addr[3 * BLOCK], 0);
	memstate_unmap(&m);
}

static void a_second_time_is_harmless(void **state)
{
	memstate_map m = fresh(2);

	(void)state;
	assert_int_equal(prealloc_huge(m.addr, m.bytes, 2), 0);
	memset(m.addr, 0x5a, m.bytes);
	assert_int_equal(prealloc_huge(m.addr, m.bytes, 2), 0);
	must_be(&m, 2);
	assert_int_equal(m.addr[m.bytes - 1], 0x5a);
	memstate_unmap(&m);
}

static void a_file_that_ends_before_is_said(void **state)
{
	memstate_map m = fresh(3);

	(void)state;
	assert_int_equal(ftruncate(m.fd, (off_t)BLOCK), 0);
	assert_int_equal(prealloc_huge(m.addr, m.bytes, 2), -EFAULT);
	memstate_unmap(&m);
}

static unsigned int threads_now(void)
{
	unsigned int n = 0;
	DIR *dir = opendir("/proc/self/task");

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void threads_are_gone_and_signals_as_they_were(void **state)
{
	memstate_map m = fresh(BLOCKS);
	sigset_t before, after;
	unsigned int threads = threads_now();

	(void)state;
	sigemptyset(&before);
	sigaddset(&before, SIGUSR2);
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
	assert_int_equal(prealloc_huge(m.addr, m.bytes, 4), 0);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &after), 0);
	assert_true(sigismember(&after, SIGUSR2) && !sigismember(&after, SIGTERM));
	assert_int_equal(threads_now(), threads);
	memstate_unmap(&m);
}

/* --- refused ------------------------------------------------------------------------------------
 */

/* Of all madvise(advice), or of system call nr where advice is 0: the errno instead. */
static void refuse(unsigned int nr, unsigned int advice, unsigned int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, advice ? offsetof(struct seccomp_data, args[2])
							  : offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, advice ? advice : nr, 0, 2),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(99);
}

/* prealloc_huge() under the filter says want, and leaves so many pages in the file. */
static void refused(unsigned int nr, unsigned int advice, unsigned int error, int want,
		    uint64_t want_pages)
{
	memstate_map m = fresh(BLOCKS);
	struct stat file;
	int status, r;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		refuse(nr, advice, error);
		if (nr == SYS_clone3)
			refuse(SYS_clone, 0, error);
		errno = ENOTTY;
		r = prealloc_huge(m.addr, m.bytes, 2);
		_exit(errno == ENOTTY ? -r : 98);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), -want);
	assert_int_equal(fstat(m.fd, &file), 0);
	assert_in_range(file.st_blocks * 512 / PAGE, want_pages ? want_pages : 1,
			want_pages ? want_pages : 64);
	memstate_unmap(&m);
}

static void a_refusal_is_said(void **state)
{
	(void)state;
	/* it ends with the chunks at hand, of 32 blocks each */
	refused(SYS_madvise, MADV_COLLAPSE, EINVAL, -EINVAL, 0);
	refused(SYS_madvise, MADV_COLLAPSE, ENOMEM, -ENOMEM, 0);
	refused(SYS_madvise, MADV_COLLAPSE, EAGAIN, -EAGAIN, BLOCKS);
	refused(SYS_madvise, MADV_COLLAPSE, EBUSY, -EBUSY, 0);
}

/* Work for more threads than there may be; each gives up at once. */
static void threads_have_a_limit(void **state)
{
	memstate_map m = fresh(3 * PREALLOC_MAX_THREADS * 32);
	int status;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		refuse(SYS_madvise, MADV_COLLAPSE, EINVAL);
		_exit(-prealloc_huge(m.addr, m.bytes, UINT_MAX));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EINVAL);
	memstate_unmap(&m);
}

static void without_threads_it_works_alone(void **state)
{
	(void)state;
	refused(SYS_clone3, 0, EAGAIN, 0, BLOCKS * BLOCK / PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_it_is_huge_and_zero),
		cmocka_unit_test(only_whole_blocks_inside_are_touched),
		cmocka_unit_test(what_the_file_holds_stays),
		cmocka_unit_test(a_second_time_is_harmless),
		cmocka_unit_test(a_file_that_ends_before_is_said),
		cmocka_unit_test(threads_are_gone_and_signals_as_they_were),
		cmocka_unit_test(a_refusal_is_said),
		cmocka_unit_test(threads_have_a_limit),
		cmocka_unit_test(without_threads_it_works_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
