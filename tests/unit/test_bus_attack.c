/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The private socket under attack: whatever one client does, others are answered at once, memory
 * and descriptors stay bounded, and nobody gets what is not his. */
#include <grp.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "bus_inlet.h"
#include "bus_peer.h"

/* ---- Hostile clients ----------------------------------------------------------------------- */

static void drops_garbage(void **state)
{
	static const char *const garbage[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\r\n\r\n\r\n",
		"BEGIN\r\n",
		("\x7f"
		 "ELF\n"),
	};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
		_cleanup_close_ int fd = connect_raw(*state);

		assert_true(send(fd, garbage[i], strlen(garbage[i]), MSG_NOSIGNAL) > 0);
		assert_true(is_hung_up(fd, 3));
	}
	assert_answers(*state);
}

static void drops_noise_of_every_kind(void **state)
{
	unsigned int seed = 1;

	for (size_t i = 0; i < 300; i++) {
		_cleanup_close_ int fd = connect_raw(*state);
		uint8_t noise[600];
		size_t begin = 0;

		if (i % 2 == 0)
			shake_hands(fd);
		if (i % 4 == 0)
			begin = build_call(noise, "GetStatus", 0);
		for (size_t k = begin; k < sizeof(noise); k++)
			noise[k] = (uint8_t)rand_r(&seed);
		if (begin > 0)
			noise[(size_t)rand_r(&seed) % begin] ^= (uint8_t)(1 + rand_r(&seed) % 255);
		(void)send(fd, noise, sizeof(noise), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	assert_answers(*state);
}

static void drops_endless_handshakes(void **state)
{
	_cleanup_close_ int one_line = connect_raw(*state), many_lines = connect_raw(*state);
	char line[INLET_LINE_MAX_BYTES + 1] = "";

	memset(line + 1, 'A', sizeof(line) - 1);
	assert_true(send(one_line, line, sizeof(line), MSG_NOSIGNAL) > 0);
	assert_true(is_hung_up(one_line, 3));
	assert_true(send(many_lines, "", 1, MSG_NOSIGNAL) == 1);
	for (size_t i = 0; i < INLET_HANDSHAKE_MAX_BYTES / 6 + 1; i++)
		(void)send(many_lines, "AUTH\r\n", 6, MSG_NOSIGNAL);
	assert_true(is_hung_up(many_lines, 3));
	assert_answers(*state);
}

static void drops_a_client_that_does_not_finish_its_handshake(void **state)
{
	_cleanup_close_ int half = connect_raw(*state), silent = connect_raw(*state);
	double begin = now_s();

	assert_true(send(half, "\0AUTH EXTERNAL\r\n", 16, MSG_NOSIGNAL) == 16);
	assert_answers(*state);
	assert_true(is_hung_up(half, 8));
	assert_true(is_hung_up(silent, 2));
	assert_true(now_s() - begin > 4.5);
}

static void keeps_a_silent_client_that_has_shaken_hands(void **state)
{
	_cleanup_close_ int fd = connect_raw(*state);

	shake_hands(fd);
	assert_false(is_hung_up(fd, 5.6));
}

static void drops_large_messages(void **state)
{
	_cleanup_close_ int fd = connect_raw(*state);
	uint8_t message[512];
	size_t n = build_call(message, "GetStatus", 100 * 1024 * 1024);

	shake_hands(fd);
	assert_true(send(fd, message, n, MSG_NOSIGNAL) > 0);
	assert_true(is_hung_up(fd, 3));
	assert_answers(*state);
}

static void survives_200_idle_connections(void **state)
{
	struct server *s = *state;
	int fds[200];

	for (size_t i = 0; i < 200; i++) {
		fds[i] = connect_raw(s);
		if (i % 20 == 0)
			assert_answers(s);
	}
	assert_answers(s);
	/* At most 16 of one user, four descriptors each, and those of the server itself. */
	assert_true(count_fds(s->pid) < 16 * 4 + 30);
	for (size_t i = 0; i < 200; i++)
		(void)close(fds[i]);
	assert_answers(s);
}

/* Sends without reading until the server hangs up; how many were taken. */
static size_t send_calls(int fd, size_t n_calls)
{
	uint8_t message[512];
	size_t n = build_call(message, "GetStatus", 0);

	for (uint32_t i = 0; i < n_calls; i++) {
		memcpy(message + 8, &(uint32_t){i + 1}, sizeof(i));
		if (send(fd, message, n, MSG_NOSIGNAL) < 0)
			return i;
	}
	return n_calls;
}

static void drops_a_client_that_never_reads(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int fd = connect_raw(s);
	size_t before_kb = resident_kb(s->pid);

	shake_hands(fd);
	assert_true(send_calls(fd, 10000) < 10000);
	assert_answers(s);
	assert_true(resident_kb(s->pid) < before_kb + 4096);
	assert_true(is_hung_up(fd, 3));
}

/* Sends one call and waits until the server has taken it; false if it hung up. */
static bool send_one_call(int fd)
{
	double end = now_s() + 5;
	int unread = 1;

	if (send_calls(fd, 1) < 1)
		return false;
	while (ioctl(fd, SIOCOUTQ, &unread) == 0 && unread > 0) {
		struct pollfd p = {.fd = fd};

		if ((poll(&p, 1, 1) > 0 && (p.revents & POLLHUP)) || now_s() > end)
			return false;
	}
	return true;
}

/* How many unread answers the server bears. */
static size_t find_edge(const struct server *s)
{
	_cleanup_close_ int fd = connect_raw(s);
	size_t n = 0;

	shake_hands(fd);
	while (n < 10000 && send_one_call(fd))
		n++;
	return n;
}

static void ends_at_once_although_a_client_does_not_read(void **state)
{
	struct server *s = *state;
	size_t edge = find_edge(s);
	_cleanup_close_ int fd = connect_raw(s);

	assert_in_range(edge, 10, 9999);
	shake_hands(fd);
	/* Some answers are queued now, behind a full socket. */
	for (size_t i = 0; i < edge - 4; i++)
		assert_true(send_one_call(fd));
	assert_answers(s);
	(void)kill(s->pid, SIGTERM);
	assert_int_equal(wait_exit(s->pid, 3), 0);
	s->pid = 0;
}

static void closes_file_descriptors_that_are_sent(void **state)
{
	struct server *s = *state;
	_cleanup_close_ int fd = connect_raw(s);
	size_t before;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 10)];
	} control = {0};
	int sent[10];
	struct iovec part = {.iov_base = "l", .iov_len = 1};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = &control,
			   .msg_controllen = sizeof(control)};

	shake_hands(fd);
	assert_answers(s);
	before = count_fds(s->pid);
	for (size_t i = 0; i < 10; i++)
		sent[i] = fd;
	control.header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(sent)),
					  .cmsg_level = SOL_SOCKET,
					  .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), sent, sizeof(sent));
	assert_int_equal(sendmsg(fd, &m, MSG_NOSIGNAL), 1);
	assert_answers(s);
	assert_in_range(count_fds(s->pid), before - 4, before + 4);
}

/* ---- Other users --------------------------------------------------------------------------- */

/* Exit status of what nobody finds: 0 as it must be, else the line that failed. */
#define REQUIRE(x)                                 \
	do {                                       \
		if (!(x))                          \
			_exit(__LINE__ % 250 + 1); \
	} while (0)

static void be_nobody(const struct server *s)
{
	static const char *const denied[] = {"Pause", "Resume",	  "Show",
					     "Plan",  "Snapshot", "Collapse"};
	sd_bus *bus;
	char error[128];
	int fds[40];

	REQUIRE(setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
		setresuid(65534, 65534, 65534) == 0);
	REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	bus = connect_bus(s);
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		REQUIRE(!call(bus, denied[i], "guest-a", NULL, error, sizeof(error)));
		REQUIRE(strcmp(error, SD_BUS_ERROR_ACCESS_DENIED) == 0);
	}
	/* What exists is not told either. */
	REQUIRE(!call(bus, "Show", "nothing", NULL, error, sizeof(error)));
	REQUIRE(strcmp(error, SD_BUS_ERROR_ACCESS_DENIED) == 0);
	REQUIRE(!call(bus, "Explain", "guest-a", "", error, sizeof(error)));
	REQUIRE(strcmp(error, SD_BUS_ERROR_ACCESS_DENIED) == 0);
	REQUIRE(!call(bus, "Reload", NULL, NULL, error, sizeof(error)));
	REQUIRE(strcmp(error, SD_BUS_ERROR_ACCESS_DENIED) == 0);
	REQUIRE(!call(bus, "CatConfig", NULL, NULL, error, sizeof(error)));
	REQUIRE(strcmp(error, SD_BUS_ERROR_ACCESS_DENIED) == 0);
	free(call(bus, "GetStatus", NULL, NULL, error, sizeof(error)));
	REQUIRE(error[0] == '\0');
	sd_bus_close_unref(bus);
	/* Stays connected as often as it can until it is killed. */
	for (size_t i = 0; i < 40; i++)
		fds[i] = connect_raw(s);
	for (size_t i = 0, n_alive = 0; i < 40; i++) {
		n_alive += !is_hung_up(fds[i], i < 24 ? 2 : 0.01);
		REQUIRE(n_alive <= 16);
	}
	_exit(0);
}

static void lets_other_users_see_the_status_and_nothing_else(void **state)
{
	struct server *s = *state;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0)
		be_nobody(s);
	assert_answers(s);
	assert_int_equal(wait_exit(pid, 20), 0);
	assert_answers(s);
}

static void crowd_of_users(const struct server *s, uid_t first)
{
	for (uid_t uid = first; uid < first + 6; uid++) {
		if (fork() != 0)
			continue;
		REQUIRE(setresuid(uid, uid, uid) == 0);
		/* A change of user clears it, so after that. */
		REQUIRE(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		for (size_t i = 0; i < 16; i++)
			(void)connect_raw(s);
		(void)pause();
	}
}

static void keeps_room_for_root_when_others_take_all(void **state)
{
	struct server *s = *state;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		crowd_of_users(s, 60001);
		(void)pause();
	}
	for (size_t i = 0; i < 20; i++) {
		assert_answers(s);
		(void)usleep(10000);
	}
	assert_true(count_fds(s->pid) < 64 * 4 + 30);
	(void)kill(pid, SIGKILL);
	(void)wait_exit(pid, 5);
}

#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(drops_garbage),
		WITH_SERVER(drops_noise_of_every_kind),
		WITH_SERVER(drops_endless_handshakes),
		WITH_SERVER(drops_a_client_that_does_not_finish_its_handshake),
		WITH_SERVER(keeps_a_silent_client_that_has_shaken_hands),
		WITH_SERVER(drops_large_messages),
		WITH_SERVER(survives_200_idle_connections),
		WITH_SERVER(drops_a_client_that_never_reads),
		WITH_SERVER(ends_at_once_although_a_client_does_not_read),
		WITH_SERVER(closes_file_descriptors_that_are_sent),
		WITH_SERVER(lets_other_users_see_the_status_and_nothing_else),
		WITH_SERVER(keeps_room_for_root_when_others_take_all),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
