/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * refuse ERRNO PROGRAM [ARGUMENT...]: runs the program with every process_madvise failing, and
 * every madvise(MADV_COLLAPSE).
 *
 * A seccomp filter, not a tracer: it costs nothing, holds for all threads and children, does not
 * fight the leak sanitizer, and the program under test needs no switch for it.  ERRNO is a number.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static int refuse(unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_process_madvise, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_COLLAPSE, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = sizeof(code) / sizeof(*code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	const int error = argc > 2 ? atoi(argv[1]) : 0;

	if (error <= 0) {
		(void)fprintf(stderr, "usage: refuse ERRNO PROGRAM [ARGUMENT...]\n");
		return EXIT_FAILURE;
	}
	if (refuse((unsigned)error) < 0) {
		perror("refuse: seccomp");
		return EXIT_FAILURE;
	}
	(void)execvp(argv[2], argv + 2);
	perror(argv[2]);
	return EXIT_FAILURE;
}
