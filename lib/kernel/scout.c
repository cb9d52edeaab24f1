/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "scout.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cleanup.h"
#include "hostfacts.h"
#include "inventory.h"

/* A child that was killed is gone within microseconds, on a busy host within milliseconds. */
enum { RECALL_MS = 20 };

void scout_identify(struct sys *sys, const void *subjects, size_t index, struct scout_report *ret)
{
	struct process p = ((const struct process *)subjects)[index];

	ret->err = process_read_identity(&p);
	if (ret->err == 0)
		ret->err = vm_identify(sys, &p, &ret->vm);
	ret->starttime = p.starttime;
	ret->mm_key = p.mm_key;
}

void scout_userfaultfd(struct sys *sys, const void *subjects, size_t index,
		       struct scout_report *ret)
{
	ret->may_hold_uffd = process_may_hold_userfaultfd(sys, ((const pid_t *)subjects)[index]);
}

/* The child. Whoever reads the reports may be slow, or be gone. */
static _Noreturn void work(struct sys *sys, scout_question *ask, const void *subjects, size_t first,
			   size_t n, int out)
{
	for (size_t i = first; i < n; i++) {
		struct scout_report report = {.index = (uint32_t)i};
		ssize_t sent;

		ask(sys, subjects, i, &report);
		do
			sent = send(out, &report, sizeof(report), MSG_NOSIGNAL);
		while (sent < 0 && errno == EINTR);
		if (sent < 0)
			_exit(1);
	}
	_exit(0);
}

static int open_pidfd(pid_t child)
{
	int fd = (int)syscall(SYS_pidfd_open, child, 0U);

	return fd < 0 ? -errno : fd;
}

int scout_send(struct sys *sys, scout_question *ask, const void *subjects, size_t first, size_t n,
	       struct scout *ret)
{
	_cleanup_close_ int reports = -EBADF, out = -EBADF, pidfd = -EBADF;
	pid_t parent = getpid(), child;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	reports = pair[0];
	out = pair[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		char go;

		(void)close(reports);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || read(out, &go, 1) != 1)
			_exit(1);
		work(sys, ask, subjects, first, n, out);
	}
	/* The child waits for a word, so that it is there to be opened even if nobody has to wait
	 * for a child that ended (SIGCHLD ignored). */
	pidfd = open_pidfd(child);
	if (pidfd < 0)
		return pidfd;
	if (send(reports, "", 1, MSG_NOSIGNAL) != 1)
		return -errno;
	ret->reports_fd = TAKE_FD(reports);
	ret->pidfd = TAKE_FD(pidfd);
	return 0;
}

int scout_hear(const struct scout *s, struct scout_report *ret)
{
	ssize_t n;

	do
		n = recv(s->reports_fd, ret, sizeof(*ret), MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? -EAGAIN : -ENODATA;
	return n == (ssize_t)sizeof(*ret) ? 1 : -ENODATA;
}

void scout_recall(struct scout *s)
{
	struct pollfd ended = {.fd = s->pidfd, .events = POLLIN};
	siginfo_t info;

	s->reports_fd = close_fd(s->reports_fd);
	if (s->pidfd < 0)
		return;
	(void)syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0U);
	(void)poll(&ended, 1, RECALL_MS);
	(void)waitid(P_PIDFD, (id_t)s->pidfd, &info, WEXITED | WNOHANG);
	s->pidfd = close_fd(s->pidfd);
}
