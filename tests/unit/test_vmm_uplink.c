/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The library's connection to thpd, against an end that is made here: what it tells and when, and
 * that it neither believes nor waits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "fake_kvm.h"
#include "registry.h"
#include "thpd-vmm.h"
#include "uplink.h"
#include "wire.h"

enum { FD = 100, DEADLINE_MS = 30000, NOBODY = 65534, HUGE_TABLE = 20000 };

static struct {
	struct registry r;
	char dir[32], path[48];
	int listener, fd;
	struct uplink u;
} b;

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- thpd's end ------------------------------------------------------------------------------ */

static int listen_at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0)
		return -1;
	return fd;
}

static bool is_due(int timeout_ms)
{
	struct pollfd p = {.fd = uplink_fd(&b.u), .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

/* Waits until something is due, and has it done. */
static void step(void)
{
	assert_true(is_due(DEADLINE_MS));
	errno = ENOTTY;
	uplink_dispatch(&b.u);
	assert_int_equal(errno, ENOTTY);
}

/* All that is due without waiting. */
static void settle(void)
{
	while (is_due(0))
		uplink_dispatch(&b.u);
}

static ssize_t receive(union wire_message *m)
{
	ssize_t n = recv(b.fd, m, sizeof(*m), MSG_DONTWAIT);

	if (n > 0)
		assert_int_equal(wire_check(m, (size_t)n, true, NULL), 0);
	return n;
}

/* The next message, of that type. */
static union wire_message expect(enum wire_type type)
{
	union wire_message m = {0};

	while (receive(&m) < 0) {
		assert_int_equal(errno, EAGAIN);
		step();
	}
	assert_int_equal(m.header.type, type);
	return m;
}

static void expect_nothing(void)
{
	union wire_message m;

	settle();
	assert_int_equal(receive(&m), -1);
	assert_int_equal(errno, EAGAIN);
}

static void expect_end(void)
{
	union wire_message m;

	settle();
	assert_int_equal(receive(&m), 0);
}

static void say(union wire_message *m, enum wire_type type, size_t bytes, uint32_t serial)
{
	wire_seal(m, type, bytes, serial);
	assert_int_equal(send(b.fd, m, bytes, MSG_NOSIGNAL), bytes);
}

static void welcome(void)
{
	union wire_message m = {0};

	say(&m, WIRE_WELCOME, sizeof(m.welcome), 0);
}

static void meet(void)
{
	union wire_message m;

	while ((b.fd = accept4(b.listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		step();
	m = expect(WIRE_HELLO);
	assert_string_equal(m.hello.library, THPD_VERSION);
}

static void part(void)
{
	if (b.fd >= 0)
		close(b.fd);
	b.fd = -1;
}

/* --- before and after ------------------------------------------------------------------------ */

static int begin_without_thpd(void **state)
{
	(void)state;
	memset(&b, 0, sizeof(b));
	b.listener = b.fd = -1;
	strcpy(b.dir, "/tmp/thpd-uplink.XXXXXX");
	assert_non_null(mkdtemp(b.dir));
	snprintf(b.path, sizeof(b.path), "%s/vmm", b.dir);
	setenv("THPD_VMM_SOCKET", b.path, 1);
	unsetenv("THPD_VMM_DAEMON_UID");
	fake_kvm_reset();
	registry_init(&b.r, fake_ioctl);
	assert_int_equal(uplink_init(&b.u, &b.r), 0);
	return 0;
}

static int begin(void **state)
{
	begin_without_thpd(state);
	b.listener = listen_at(b.path);
	assert_true(b.listener >= 0);
	return 0;
}

static int begin_met(void **state)
{
	begin(state);
	meet();
	welcome();
	return 0;
}

static int end(void **state)
{
	(void)state;
	uplink_done(&b.u);
	registry_done(&b.r);
	part();
	if (b.listener >= 0)
		close(b.listener);
	(void)unlink(b.path);
	return rmdir(b.dir);
}

static void set(uint32_t id)
{
	assert_int_equal(fake_set_slot(&b.r, FD, id, 0, FAKE_SLOT_BYTES), 0);
}

/* The next whole table, made of parts that are lawful one after another; ret_n_begun (NULL is
 * allowed): how many were begun for it. */
static uint32_t expect_table(uint32_t vm, uint32_t *ret_n_begun)
{
	uint32_t next = 0, generation = 0, n_begun = 0;
	union wire_message m;

	do {
		m = expect(WIRE_SLOTS);
		assert_int_equal(m.slots.vm, vm);
		if (m.slots.first == 0) {
			assert_true(n_begun == 0 || m.slots.generation != generation);
			generation = m.slots.generation;
			next = 0;
			n_begun++;
		}
		assert_int_equal(m.slots.generation, generation);
		assert_int_equal(m.slots.first, next);
		for (uint32_t i = 0; i < m.slots.n; i++)
			assert_int_equal(m.slots.slots[i].slot, next + i);
		next += m.slots.n;
	} while (next < m.slots.total);
	if (ret_n_begun)
		*ret_n_begun = n_begun;
	return m.slots.total;
}

/* --- coming and going ------------------------------------------------------------------------ */

static void thpd_is_found_when_it_appears(void **state)
{
	(void)state;
	step();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	assert_int_equal(b.u.wait_s, 2);
	assert_false(is_due(0));
	b.listener = listen_at(b.path);
	meet();
}

static void waiting_grows_to_its_bound(void **state)
{
	struct itimerspec left;

	(void)state;
	for (int i = 0; i < 6; i++) {
		const struct itimerspec now = {.it_value = {0, 1}};

		assert_int_equal(timerfd_settime(b.u.timer_fd, 0, &now, NULL), 0);
		step();
	}
	assert_int_equal(b.u.wait_s, UPLINK_WAIT_MAX_S);
	assert_int_equal(timerfd_gettime(b.u.timer_fd, &left), 0);
	assert_true(left.it_value.tv_sec >= UPLINK_WAIT_MAX_S / 2);
}

static void all_is_told_again_to_the_next_one(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	set(0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	part();
	step();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	set(1);
	meet();
	welcome();
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 2);
}

static void nothing_is_told_before_the_welcome(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	meet();
	set(0);
	expect_nothing();
	welcome();
	assert_int_equal(expect(WIRE_VM).vm.flags, 0);
	assert_int_equal(expect_table(0, NULL), 1);
	expect_nothing();
}

/* --- tables ---------------------------------------------------------------------------------- */

static void a_long_table_comes_in_parts(void **state)
{
	union wire_message m;

	(void)state;
	registry_add(&b.r, FD, 0);
	for (uint32_t i = 0; i < 2 * WIRE_SLOTS_MAX + 1; i++)
		set(i);
	expect(WIRE_VM);
	for (uint32_t i = 0; i < 3; i++) {
		m = expect(WIRE_SLOTS);
		assert_int_equal(m.slots.first, i * WIRE_SLOTS_MAX);
		assert_int_equal(m.slots.n, i < 2 ? WIRE_SLOTS_MAX : 1);
		assert_int_equal(m.slots.total, 2 * WIRE_SLOTS_MAX + 1);
	}
	assert_int_equal(m.slots.slots[0].hva, fake_hva(2 * WIRE_SLOTS_MAX));
	expect_nothing();
}

static void an_empty_table_is_told_too(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 0);
	set(0);
	assert_int_equal(expect_table(0, NULL), 1);
	fake_set_slot(&b.r, FD, 0, 0, 0);
	assert_int_equal(expect_table(0, NULL), 0);
}

static void many_changes_are_told_in_few_tables(void **state)
{
	uint64_t start = now_ms();
	uint32_t n_tables = 0, total;

	(void)state;
	registry_add(&b.r, FD, 0);
	expect(WIRE_VM);
	for (uint32_t i = 0; i < 300; i++) {
		set(i);
		settle();
	}
	do {
		total = expect_table(0, NULL);
		n_tables++;
	} while (total < 300);
	assert_true(n_tables <= (now_ms() - start) / 100 + 1);
	expect_nothing();
}

static void a_slow_reader_costs_one_message(void **state)
{
	uint32_t n_begun;

	(void)state;
	registry_add(&b.r, FD, 0);
	for (uint32_t i = 0; i < HUGE_TABLE; i++)
		set(i);
	settle();
	assert_true(b.u.out_bytes > 0);
	assert_int_equal(b.u.state, UPLINK_UP);
	set(HUGE_TABLE);
	settle();
	assert_true(b.u.out_bytes > 0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, &n_begun), HUGE_TABLE + 1);
	assert_true(n_begun > 1);
	expect_nothing();
}

/* The end of one that reads nothing is noticed, and does not keep the processor busy. */
static void a_slow_reader_may_vanish(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	for (uint32_t i = 0; i < HUGE_TABLE; i++)
		set(i);
	settle();
	part();
	step();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	assert_false(is_due(0));
}

/* --- VMs ------------------------------------------------------------------------------------- */

static void vms_come_change_and_go(void **state)
{
	union wire_message m;

	(void)state;
	registry_add(&b.r, FD, 0);
	registry_add(&b.r, FD + 1, 0);
	assert_int_equal(expect(WIRE_VM).vm.vm, 0);
	assert_int_equal(expect_table(0, NULL), 0);
	assert_int_equal(expect(WIRE_VM).vm.vm, 1);
	assert_int_equal(expect_table(1, NULL), 0);
	fake_enable(&b.r, FD + 1, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	m = expect(WIRE_VM);
	assert_int_equal(m.vm.vm, 1);
	assert_int_equal(m.vm.flags, WIRE_VM_MANUAL_PROTECT | WIRE_VM_INITIALLY_SET);
	registry_remove(&b.r, FD);
	assert_int_equal(expect(WIRE_VM_GONE).vm_gone.vm, 0);
	expect_nothing();
}

static void another_vm_in_its_place_is_another(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	set(0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	registry_remove(&b.r, FD);
	registry_add(&b.r, FD, 0);
	assert_int_equal(expect(WIRE_VM_GONE).vm_gone.vm, 0);
	assert_int_equal(expect(WIRE_VM).vm.vm, 0);
	assert_int_equal(expect_table(0, NULL), 0);
}

/* --- questions ------------------------------------------------------------------------------- */

static void ask_nudge(uint32_t vm, uint32_t serial)
{
	union wire_message m = {0};

	m.nudge.vm = vm;
	m.nudge.bytes = UINT64_MAX;
	say(&m, WIRE_NUDGE, sizeof(m.nudge), serial);
}

static void questions_are_answered_by_their_serial(void **state)
{
	union wire_message m = {0};

	(void)state;
	registry_add(&b.r, FD, 0);
	fake_enable(&b.r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	set(0);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	say(&m, WIRE_COUNT, sizeof(m.count), 77);
	m = expect(WIRE_COUNTS);
	assert_int_equal(m.header.serial, 77);
	assert_int_equal(m.counts.err, ENOTTY);
	ask_nudge(0, 78);
	m = expect(WIRE_NUDGED);
	assert_int_equal(m.header.serial, 78);
	assert_int_equal(m.nudged.result, WIRE_NUDGE_DONE);
	assert_int_equal(m.nudged.n_toggled, 1);
	ask_nudge(1, 79);
	assert_int_equal(expect(WIRE_NUDGED).nudged.result, WIRE_NUDGE_NO_VM);
	expect_nothing();
}

/* More of them than are answered in one go. */
static void many_questions_are_all_answered(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 20; i++)
		ask_nudge(0, i);
	for (uint32_t i = 0; i < 20; i++)
		assert_int_equal(expect(WIRE_NUDGED).header.serial, i);
}

static void what_a_nudge_left_on_is_settled_by_the_next_question(void **state)
{
	union wire_message m = {0};

	(void)state;
	registry_add(&b.r, FD, 0);
	fake_enable(&b.r, FD, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 3);
	set(0);
	fake_kvm_fail(1, 3, EINTR);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 1);
	ask_nudge(0, 1);
	m = expect(WIRE_NUDGED);
	assert_int_equal(m.nudged.result, WIRE_NUDGE_FAILED);
	assert_int_equal(m.nudged.err, EINTR);
	assert_int_equal(expect(WIRE_SLOTS).slots.slots[0].flags, KVM_MEM_LOG_DIRTY_PAGES);
	m = (union wire_message){0};
	say(&m, WIRE_COUNT, sizeof(m.count), 2);
	expect(WIRE_COUNTS);
	assert_int_equal(expect(WIRE_SLOTS).slots.slots[0].flags, 0);
}

/* --- what is not believed -------------------------------------------------------------------- */

static void it_is_shunned(void)
{
	struct itimerspec left;

	expect_end();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	assert_int_equal(timerfd_gettime(b.u.timer_fd, &left), 0);
	assert_true(left.it_value.tv_sec >= UPLINK_WAIT_MAX_S / 2);
}

static void another_version_is_shunned(void **state)
{
	union wire_message m = {0};

	(void)state;
	meet();
	wire_seal(&m, WIRE_WELCOME, sizeof(m.welcome), 0);
	m.header.version++;
	assert_int_equal(send(b.fd, &m, sizeof(m.welcome), 0), sizeof(m.welcome));
	it_is_shunned();
}

static void garbage_is_shunned(void **state)
{
	(void)state;
	meet();
	assert_int_equal(send(b.fd, "thpd", 4, 0), 4);
	it_is_shunned();
}

static void what_is_too_long_is_shunned(void **state)
{
	static union {
		union wire_message m;
		char bytes[2 * WIRE_MESSAGE_MAX];
	} m;

	(void)state;
	meet();
	wire_seal(&m.m, WIRE_WELCOME, sizeof(m.m.welcome), 0);
	assert_int_equal(send(b.fd, &m, sizeof(m), 0), sizeof(m));
	it_is_shunned();
}

static void a_question_before_the_welcome_is_shunned(void **state)
{
	(void)state;
	registry_add(&b.r, FD, 0);
	meet();
	ask_nudge(0, 1);
	it_is_shunned();
	assert_int_equal(fake_kvm.n_calls, 0);
}

static void a_second_welcome_is_shunned(void **state)
{
	(void)state;
	welcome();
	it_is_shunned();
}

static void a_vmms_message_is_shunned(void **state)
{
	union wire_message m = {0};

	(void)state;
	say(&m, WIRE_VM_GONE, sizeof(m.vm_gone), 0);
	it_is_shunned();
}

/* A listener of another user; it ends when the pipe does. */
static pid_t listen_as_nobody(int *ret_pipe)
{
	int ready[2], stay[2];
	char c;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC) | pipe2(stay, O_CLOEXEC), 0);
	assert_int_equal(chmod(b.dir, 0777), 0);
	pid = fork();
	if (pid == 0) {
		int fd;

		(void)umask(0);
		close(stay[1]);
		if (setresuid(NOBODY, NOBODY, NOBODY) < 0 || (fd = listen_at(b.path)) < 0)
			_exit(1);
		if (write(ready[1], "r", 1) == 1)
			(void)!read(stay[0], &c, 1);
		_exit(0);
	}
	close(ready[1]);
	close(stay[0]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	*ret_pipe = stay[1];
	return pid;
}

static void another_user_is_not_believed_unless_named(void **state)
{
	int stay;
	pid_t pid;

	(void)state;
	if (geteuid() != 0) {
		print_message("needs root\n");
		skip();
	}
	pid = listen_as_nobody(&stay);
	step();
	assert_int_equal(b.u.state, UPLINK_AWAY);
	assert_int_equal(b.u.wait_s, UPLINK_WAIT_MAX_S);
	uplink_done(&b.u);
	setenv("THPD_VMM_DAEMON_UID", "65534", 1);
	assert_int_equal(uplink_init(&b.u, &b.r), 0);
	step();
	assert_int_equal(b.u.state, UPLINK_GREETING);
	close(stay);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void only_numbers_name_a_user(void **state)
{
	static const char *const texts[] = {"", "-1", "root", "0x1", "4294967296", " 1", "1 "};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct uplink u;

		setenv("THPD_VMM_DAEMON_UID", texts[i], 1);
		assert_int_equal(uplink_init(&u, &b.r), 0);
		assert_int_equal(u.daemon_uid, -1);
		uplink_done(&u);
	}
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	char path[200];
	struct uplink u;

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	setenv("THPD_VMM_SOCKET", path, 1);
	assert_int_equal(uplink_init(&u, &b.r), -ENAMETOOLONG);
	path[sizeof(u.address.sun_path)] = '\0';
	setenv("THPD_VMM_SOCKET", path, 1);
	assert_int_equal(uplink_init(&u, &b.r), -ENAMETOOLONG);
	path[sizeof(u.address.sun_path) - 1] = '\0';
	setenv("THPD_VMM_SOCKET", path, 1);
	assert_int_equal(uplink_init(&u, &b.r), 0);
	uplink_done(&u);
	unsetenv("THPD_VMM_SOCKET");
	assert_int_equal(uplink_init(&u, &b.r), 0);
	assert_string_equal(u.address.sun_path, "/run/thpd/vmm");
	uplink_done(&u);
}

/* --- over a fork ----------------------------------------------------------------------------- */

/* The child lives on; thpd hears the end of its parent's connection all the same. */
static void a_child_has_no_part_in_it(void **state)
{
	int own[] = {b.u.epoll_fd, b.u.timer_fd, b.u.changed_fd, b.u.socket_fd};
	int stay[2], status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe2(stay, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		char c;
		int bad = uplink_fd(&b.u) != -1;

		for (size_t i = 0; i < 4; i++)
			bad |= fcntl(own[i], F_GETFD) < 0 ? 0 : 2;
		uplink_dispatch(&b.u);
		bad |= read(stay[0], &c, 1) == 1 ? 0 : 4;
		_exit(bad);
	}
	registry_add(&b.r, FD, 0);
	expect(WIRE_VM);
	uplink_done(&b.u);
	while (recv(b.fd, &(union wire_message){0}, WIRE_MESSAGE_MAX, 0) > 0)
		;
	assert_int_equal(write(stay[1], "x", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(stay[0]);
	close(stay[1]);
}

/* As a child of clone() does. */
static void the_end_is_heard_though_another_has_the_socket(void **state)
{
	int copy = dup(b.u.socket_fd);

	(void)state;
	assert_int_equal(send(b.fd, "thpd", 4, 0), 4);
	it_is_shunned();
	close(copy);
	part();
	uplink_done(&b.u);
	assert_int_equal(uplink_init(&b.u, &b.r), 0);
	meet();
	copy = dup(b.u.socket_fd);
	uplink_done(&b.u);
	assert_int_equal(recv(b.fd, &(union wire_message){0}, WIRE_MESSAGE_MAX, MSG_DONTWAIT), 0);
	close(copy);
}

static void its_own_descriptors_are_known(void **state)
{
	(void)state;
	assert_true(uplink_owns(&b.u, b.u.socket_fd));
	assert_true(uplink_owns(&b.u, b.u.epoll_fd));
	assert_false(uplink_owns(&b.u, b.fd));
	assert_false(uplink_owns(&b.u, -1));
	assert_int_equal(uplink_own_in(&b.u, 0, UINT32_MAX), b.u.epoll_fd);
	assert_int_equal(uplink_own_in(&b.u, (unsigned int)b.u.epoll_fd + 1, UINT32_MAX),
			 b.u.timer_fd);
	assert_int_equal(uplink_own_in(&b.u, 1 << 20, UINT32_MAX), -1);
}

/* --- the functions for authors --------------------------------------------------------------- */

static void authors_functions_do_the_same(void **state)
{
	struct thpd_vmm *v;

	(void)state;
	assert_int_equal(thpd_vmm_new(&v), 0);
	assert_true(thpd_vmm_fd(v) >= 0);
	assert_int_equal(thpd_vmm_add(v, 200), 0);
	assert_int_equal(thpd_vmm_add(v, 200), -EEXIST);
	assert_int_equal(thpd_vmm_ioctl(v, -1, KVM_SET_USER_MEMORY_REGION, NULL), -1);
	assert_int_equal(errno, EBADF);
	thpd_vmm_remove(v, 200);
	assert_int_equal(thpd_vmm_add(v, 200), 0);
	thpd_vmm_dispatch(v);
	b.fd = accept4(b.listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(b.fd >= 0);
	expect(WIRE_HELLO);
	welcome();
	thpd_vmm_dispatch(v);
	expect(WIRE_VM);
	assert_int_equal(expect_table(0, NULL), 0);
	assert_null(thpd_vmm_free(v));
	expect_end();
	assert_null(thpd_vmm_free(NULL));
}

static void a_child_may_free_its_copy(void **state)
{
	struct thpd_vmm *v;
	int status = -1;
	pid_t pid;

	(void)state;
	assert_int_equal(thpd_vmm_new(&v), 0);
	assert_int_equal(thpd_vmm_add(v, 200), 0);
	pid = fork();
	if (pid == 0)
		_exit(thpd_vmm_fd(v) != -1 || thpd_vmm_free(v) != NULL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(thpd_vmm_add(v, 200), -EEXIST);
	thpd_vmm_free(v);
}

#define TEST(name)	   cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_MET(name)	   cmocka_unit_test_setup_teardown(name, begin_met, end)
#define TEST_WITHOUT(name) cmocka_unit_test_setup_teardown(name, begin_without_thpd, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITHOUT(thpd_is_found_when_it_appears),
		TEST_WITHOUT(waiting_grows_to_its_bound),
		TEST_MET(all_is_told_again_to_the_next_one),
		TEST(nothing_is_told_before_the_welcome),
		TEST_MET(a_long_table_comes_in_parts),
		TEST_MET(an_empty_table_is_told_too),
		TEST_MET(many_changes_are_told_in_few_tables),
		TEST_MET(a_slow_reader_costs_one_message),
		TEST_MET(a_slow_reader_may_vanish),
		TEST_MET(vms_come_change_and_go),
		TEST_MET(another_vm_in_its_place_is_another),
		TEST_MET(questions_are_answered_by_their_serial),
		TEST_MET(many_questions_are_all_answered),
		TEST_MET(what_a_nudge_left_on_is_settled_by_the_next_question),
		TEST(another_version_is_shunned),
		TEST(garbage_is_shunned),
		TEST(what_is_too_long_is_shunned),
		TEST(a_question_before_the_welcome_is_shunned),
		TEST_MET(a_second_welcome_is_shunned),
		TEST_MET(a_vmms_message_is_shunned),
		TEST_WITHOUT(another_user_is_not_believed_unless_named),
		TEST(only_numbers_name_a_user),
		TEST(a_path_that_is_too_long_is_refused),
		TEST_MET(a_child_has_no_part_in_it),
		TEST_MET(the_end_is_heard_though_another_has_the_socket),
		TEST_MET(its_own_descriptors_are_known),
		TEST(authors_functions_do_the_same),
		TEST(a_child_may_free_its_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
