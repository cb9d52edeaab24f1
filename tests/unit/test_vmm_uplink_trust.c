/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom the library's connection believes, and that it is its own process's: not a child's, and the
 * same for authors of VMMs. */
#include "uplink_bench.h"

#include <fcntl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "thpd-vmm.h"

enum { NOBODY = 65534 };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
