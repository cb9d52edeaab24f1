/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "expect.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "memgrip.h"

enum { DEADLINE_SECONDS = 60 };

static const char lock_path[] = "/run/lock/thpd-test-sysfs";
static const char lock_path_user[] = "/tmp/thpd-test-sysfs.lock";

/* Waits for a file lock with a deadline: flock has none, so try and wait in small steps. */
static void lock_wait(int fd, int operation)
{
	const struct timespec step = {.tv_nsec = 5 * 1000 * 1000};

	for (int left = DEADLINE_SECONDS * 200; flock(fd, operation | LOCK_NB) < 0; left--) {
		if (left == 0)
			(void)expect_setup(-ETIMEDOUT, "lock against other tests' sysfs knobs");
		(void)nanosleep(&step, NULL);
	}
}

expect expect_begin(unsigned int planned)
{
	expect t = {.planned = planned};

	t.lock_fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (t.lock_fd < 0)
		t.lock_fd = open(lock_path_user, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)printf("1..%u\n", planned);
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0)
		exit(expect_skip_rest(&t, "kernel without transparent huge pages"));
	if (expect_kernel_before(6, 1))
		exit(expect_skip_rest(&t, "kernel < 6.1: no MADV_COLLAPSE"));
	if (geteuid() != 0)
		exit(expect_skip_rest(&t, "not root"));
	if (t.lock_fd >= 0)
		lock_wait(t.lock_fd, LOCK_SH);
	return t;
}

const char *expect_errno_name(int64_t r, char buffer[24])
{
	const char *name = r < 0 && r > -4096 ? strerrorname_np((int)-r) : NULL;

	if (name)
		return name;
	(void)snprintf(buffer, 24, "%" PRId64, r);
	return buffer;
}

static void report(expect *t, bool is_ok, const char *text, const char *mark, const char *why)
{
	t->done++;
	t->failed += !is_ok;
	(void)printf("%s %u - %s%s%s\n", is_ok ? "ok" : "not ok", t->done, text, mark, why);
}

void expect_ok(expect *t, bool is_ok, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	report(t, is_ok, text, is_ok ? "" : " # ", is_ok ? "" : "not so on this kernel");
}

void expect_is(expect *t, int64_t got, int64_t want, const char *format, ...)
{
	char text[256], why[80], a[24], b[24];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	(void)snprintf(why, sizeof(why), "got %s, want %s", expect_errno_name(got, a),
		       expect_errno_name(want, b));
	report(t, got == want, text, got == want ? "" : " # ", got == want ? "" : why);
}

void expect_skip(expect *t, const char *missing, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	report(t, true, text, " # SKIP ", missing);
}

int expect_skip_rest(expect *t, const char *missing)
{
	while (t->done < t->planned)
		expect_skip(t, missing, "not run");
	return expect_end(t);
}

int expect_end(expect *t)
{
	if (t->lock_fd >= 0)
		(void)close(t->lock_fd);
	if (t->done != t->planned)
		(void)printf("Bail out! planned %u, ran %u\n", t->planned, t->done);
	return t->failed > 0 || t->done != t->planned;
}

void expect_note(const char *format, ...)
{
	va_list ap;

	(void)printf("# ");
	va_start(ap, format);
	(void)vprintf(format, ap);
	va_end(ap);
	(void)printf("\n");
}

int64_t expect_setup(int64_t r, const char *what)
{
	char buffer[24];

	if (r >= 0)
		return r;
	(void)printf("Bail out! %s: %s\n", what, expect_errno_name(r, buffer));
	exit(1);
}

bool expect_kernel_before(int major, int minor)
{
	struct utsname name;
	int a = 0, b = 0;

	if (uname(&name) < 0 || sscanf(name.release, "%d.%d", &a, &b) != 2)
		return false;
	return a < major || (a == major && b < minor);
}

bool expect_has_scan(void)
{
	memstate_scan scan = {.start = 0, .end = memstate_page_bytes(), .mask = MEMSTATE_PRESENT};

	return memstate_scan_pages(0, &scan) == 0;
}

/* Target processes */

struct call {
	expect_fn *fn;
	uint64_t arg[4];
};

static _Noreturn void target_main(int sock, pid_t parent)
{
	struct call call;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	while (recv(sock, &call, sizeof(call), 0) == sizeof(call)) {
		const int64_t result = call.fn(call.arg);

		if (send(sock, &result, sizeof(result), MSG_NOSIGNAL) != sizeof(result))
			break;
	}
	_exit(0);
}

expect_target expect_target_start(void)
{
	expect_target target = {.fd = -EBADF};
	const struct timeval deadline = {.tv_sec = DEADLINE_SECONDS};
	const pid_t parent = getpid();
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		(void)expect_setup(-errno, "socketpair");
	(void)setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &deadline, sizeof(deadline));
	(void)fflush(stdout);
	target.pid = fork();
	if (target.pid == 0) {
		(void)close(pair[0]);
		target_main(pair[1], parent);
	}
	(void)expect_setup(target.pid < 0 ? -errno : 0, "fork");
	(void)close(pair[1]);
	target.sock = pair[0];
	target.pidfd = (int)syscall(SYS_pidfd_open, target.pid, 0);
	(void)expect_setup(target.pidfd < 0 ? -errno : 0, "pidfd_open");
	return target;
}

int64_t expect_target_run(expect_target *target, expect_fn *fn, const uint64_t arg[4])
{
	struct call call = {.fn = fn};
	int64_t result;

	memcpy(call.arg, arg, sizeof(call.arg));
	if (send(target->sock, &call, sizeof(call), MSG_NOSIGNAL) != sizeof(call) ||
	    recv(target->sock, &result, sizeof(result), 0) != sizeof(result))
		return expect_setup(-ESRCH, "target process died or hangs");
	return result;
}

static int64_t do_map_anon(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;
	const int r = memstate_map_anon(&map, arg[0], arg[1]);

	return r < 0 ? r : (int64_t)(uintptr_t)map.addr;
}

static int64_t do_map_fd(const uint64_t arg[4])
{
	memstate_map map = MEMSTATE_MAP_INIT;
	const int r = memstate_map_fd(&map, (int)arg[0], 0, arg[1], arg[2], (int)arg[3]);

	return r < 0 ? r : (int64_t)(uintptr_t)map.addr;
}

void expect_target_map_fd(expect_target *target, int fd, uint64_t bytes, uint64_t skew_bytes,
			  int flags)
{
	target->addr = (uint8_t *)(uintptr_t)expect_setup(
		EXPECT_RUN(target, do_map_fd, (uint64_t)fd, bytes, skew_bytes, (uint64_t)flags),
		"map the fd");
	target->bytes = bytes;
	target->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

expect_target expect_target_holding(enum expect_kind kind, uint64_t blocks, uint64_t skew_bytes)
{
	const uint64_t bytes = blocks * memstate_block_bytes();
	expect_target target;

	if (kind == EXPECT_MEMFD) {
		const int fd = memfd_create("thpd-expect", MFD_CLOEXEC);

		(void)expect_setup(fd < 0 || ftruncate(fd, (off_t)bytes) < 0 ? -errno : 0, "memfd");
		target = expect_target_start();
		expect_target_map_fd(&target, fd, bytes, skew_bytes, MAP_SHARED);
		(void)close(fd);
	} else {
		target = expect_target_start();
		target.bytes = bytes;
		target.addr = (uint8_t *)(uintptr_t)expect_setup(
			EXPECT_RUN(&target, do_map_anon, bytes, skew_bytes),
			"map anonymous memory");
	}
	return target;
}

static int64_t do_exec(const uint64_t arg[4])
{
	(void)arg;
	(void)execlp("sleep", "sleep", "600", (char *)NULL);
	return -errno;
}

void expect_target_exec(expect_target *target)
{
	const struct call call = {.fn = do_exec};
	int64_t result;
	ssize_t n;

	/* The socket is close-on-exec: its end is the news that the exec has happened. */
	n = send(target->sock, &call, sizeof(call), MSG_NOSIGNAL);
	if (n == sizeof(call))
		n = recv(target->sock, &result, sizeof(result), 0);
	(void)expect_setup(n == 0 ? 0 : n > 0 ? result : -errno, "exec sleep in the target");
}

void expect_target_stop(expect_target *target)
{
	if (target->pid <= 0)
		return;
	(void)kill(target->pid, SIGKILL);
	(void)waitpid(target->pid, NULL, 0);
	(void)close(target->pidfd);
	(void)close(target->sock);
	if (target->fd >= 0)
		(void)close(target->fd);
	target->pid = 0;
}

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

int64_t expect_fill(const uint64_t arg[4])
{
	return memstate_fill_small(pointer(arg[0]), arg[1], arg[2]);
}

int64_t expect_check(const uint64_t arg[4])
{
	return memstate_check_filled(pointer(arg[0]), arg[1], arg[2]);
}

int64_t expect_make_huge(const uint64_t arg[4])
{
	return memstate_make_huge(pointer(arg[0]), arg[1]);
}

int64_t expect_make_pte_mapped(const uint64_t arg[4])
{
	return memstate_make_pte_mapped(pointer(arg[0]), arg[1]);
}

int64_t expect_read(const uint64_t arg[4])
{
	int64_t sum = 0;

	for (uint64_t at = 0; at < arg[1]; at += memstate_page_bytes())
		sum |= *(volatile uint8_t *)pointer(arg[0] + at);
	return sum & 0;
}

int64_t expect_madvise(const uint64_t arg[4])
{
	return madvise(pointer(arg[0]), arg[1], (int)arg[2]) < 0 ? -errno : 0;
}

int64_t expect_prctl(const uint64_t arg[4])
{
	int r = prctl((int)arg[0], (unsigned long)arg[1], (unsigned long)arg[2], 0UL, 0UL);

	return r < 0 ? -errno : r;
}

int64_t expect_pin(const uint64_t arg[4])
{
	return memgrip_pin(pointer(arg[0]), arg[1]);
}

int64_t expect_unpin(const uint64_t arg[4])
{
	return close((int)arg[0]) < 0 ? -errno : 0;
}

int64_t expect_arm_uffd(const uint64_t arg[4])
{
	return memgrip_arm(pointer(arg[0]), arg[1], arg[2]);
}

uint8_t *expect_block(const expect_target *target, uint64_t index)
{
	return target->addr + index * memstate_block_bytes();
}

int64_t expect_run_blocks(expect_target *target, expect_fn *fn, uint64_t index, uint64_t count,
			  uint64_t extra)
{
	return EXPECT_RUN(target, fn, (uint64_t)(uintptr_t)expect_block(target, index),
			  count * memstate_block_bytes(), extra);
}

static int64_t do_count_huge(const uint64_t arg[4])
{
	return memstate_count_huge(0, pointer(arg[0]), arg[1]);
}

int64_t expect_is_huge(expect_target *target, uint64_t index)
{
	return expect_setup(expect_run_blocks(target, do_count_huge, index, 1, 0), "count huge");
}

int64_t expect_count_huge(expect_target *target)
{
	return expect_setup(
		EXPECT_RUN(target, do_count_huge, (uint64_t)(uintptr_t)target->addr, target->bytes),
		"count huge");
}

int64_t expect_pfn(const expect_target *target, uint64_t index)
{
	uint64_t pfn = 0;

	(void)expect_setup(memstate_first_pfn(target->pid, expect_block(target, index), &pfn),
			   "read a PFN (CAP_SYS_ADMIN)");
	return (int64_t)pfn;
}

int64_t expect_count_present(const expect_target *target, uint64_t index, uint64_t count)
{
	return expect_setup(memstate_count_present(target->pid, expect_block(target, index),
						   count * memstate_block_bytes()),
			    "count present pages");
}

void expect_target_fill(expect_target *target)
{
	(void)expect_setup(EXPECT_RUN(target, expect_fill, (uint64_t)(uintptr_t)target->addr,
				      target->bytes, 1),
			   "fill with small pages");
}

/* Collapse */

/* A page on its way between LRU lists is enough for one EAGAIN (seen about once in 1000 runs of the
 * whole tier): here EAGAIN means one that stays. */
int64_t expect_collapse_iov(int pidfd, const struct iovec *iov, uint64_t count, int advice)
{
	const struct timespec step = {.tv_nsec = 2 * 1000 * 1000};
	long r;

	for (int left = 10;; left--) {
		r = syscall(SYS_process_madvise, pidfd, iov, count, advice, 0);
		if (r >= 0 || errno != EAGAIN || left == 0)
			return r < 0 ? -errno : r;
		(void)nanosleep(&step, NULL);
	}
}

int64_t expect_collapse(const expect_target *target, const void *addr, uint64_t bytes)
{
	const struct iovec iov = {.iov_base = (void *)(uintptr_t)addr, .iov_len = bytes};

	return expect_collapse_iov(target->pidfd, &iov, 1, MADV_COLLAPSE);
}

int64_t expect_collapse_blocks(const expect_target *target, uint64_t index, uint64_t count)
{
	return expect_collapse(target, expect_block(target, index), count * memstate_block_bytes());
}

int64_t expect_collapse_until(const expect_target *target, uint64_t index, uint64_t count,
			      int64_t want)
{
	const struct timespec step = {.tv_nsec = 5 * 1000 * 1000};
	int64_t got = expect_collapse_blocks(target, index, count);

	for (int left = 2000; got != want && left > 0; left--) {
		(void)nanosleep(&step, NULL);
		got = expect_collapse_blocks(target, index, count);
	}
	return got;
}

/* Knobs */

/* "always [madvise] never" means madvise; other knobs hold one word. */
static int knob_read(const char *path, char value[64])
{
	char line[256] = "", *open_bracket, *close_bracket;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (fd >= 0)
		(void)close(fd);
	if (n <= 0)
		return fd < 0 ? -errno : -EIO;
	open_bracket = strchr(line, '[');
	close_bracket = open_bracket ? strchr(open_bracket, ']') : NULL;
	if (close_bracket)
		*close_bracket = '\0';
	else
		line[strcspn(line, "\n")] = '\0';
	(void)snprintf(value, 64, "%.63s", open_bracket && close_bracket ? open_bracket + 1 : line);
	return 0;
}

static int knob_write(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, value, strlen(value));
	const int r = n < 0 ? -errno : 0;

	if (fd >= 0)
		(void)close(fd);
	return r;
}

static _Noreturn void guardian_main(expect_undo_fn *undo, const char *path, const char *value,
				    int pipe_fd)
{
	sigset_t all;
	struct pollfd end = {.fd = pipe_fd};

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_BLOCK, &all, NULL);
	(void)setsid();
	/* No data is ever asked for: POLLIN is the release, POLLHUP the end of the test. */
	end.events = POLLIN;
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
	_exit(undo(path, value) < 0);
}

expect_guard expect_guard_start(expect_undo_fn *undo, const char *path, const char *value)
{
	expect_guard guard;
	int fds[2];

	(void)expect_setup(pipe2(fds, O_CLOEXEC) < 0 ? -errno : 0, "pipe");
	(void)fflush(stdout);
	guard = (expect_guard){.pid = fork(), .pipe_fd = fds[1]};
	(void)expect_setup(guard.pid < 0 ? -errno : 0, "fork");
	if (guard.pid == 0) {
		(void)close(fds[1]);
		guardian_main(undo, path, value, fds[0]);
	}
	(void)close(fds[0]);
	return guard;
}

void expect_guard_release(expect_guard *guard)
{
	const pid_t pid = guard->pid;
	int status = 0;

	if (pid <= 0)
		return;
	guard->pid = 0;
	/* Our children hold the pipe too, so closing it would tell nothing. */
	(void)expect_setup(write(guard->pipe_fd, "u", 1) < 0 ? -errno : 0, "tell the guardian");
	(void)close(guard->pipe_fd);
	(void)waitpid(pid, &status, 0);
	(void)expect_setup(status == 0 ? 0 : -EIO, "undo what the test changed");
}

int expect_knob_push(expect *t, expect_guard *ret_guard, const char *path, const char *value)
{
	char old[64];
	int r;

	*ret_guard = (expect_guard){.pipe_fd = -EBADF};
	if (access(path, F_OK) < 0)
		return -errno;
	if (t->lock_fd >= 0)
		lock_wait(t->lock_fd, LOCK_EX);
	r = knob_read(path, old);
	if (r < 0)
		return r;
	/* The guardian inherits the lock, so nobody comes in between if we die. */
	*ret_guard = expect_guard_start(knob_write, path, old);
	r = knob_write(path, value);
	if (r < 0)
		expect_knob_pop(t, ret_guard);
	return r;
}

void expect_knob_pop(expect *t, expect_guard *guard)
{
	expect_guard_release(guard);
	if (t->lock_fd >= 0)
		lock_wait(t->lock_fd, LOCK_SH);
}
