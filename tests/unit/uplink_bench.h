/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The library's connection to thpd, against an end that is made here. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "fake_kvm.h"
#include "registry.h"
#include "uplink.h"
#include "wire.h"

enum { FD = 100, DEADLINE_MS = 30000 };

static struct {
	struct registry r;
	char dir[32], path[48];
	int listener, fd;
	struct uplink u;
} b;

/* --- thpd's end ------------------------------------------------------------------------------ */

static inline int listen_at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 8) < 0)
		return -1;
	return fd;
}

static inline bool is_due(int timeout_ms)
{
	struct pollfd p = {.fd = uplink_fd(&b.u), .events = POLLIN};

	return poll(&p, 1, timeout_ms) == 1;
}

/* Waits until something is due, and has it done. */
static inline void step(void)
{
	assert_true(is_due(DEADLINE_MS));
	errno = ENOTTY;
	uplink_dispatch(&b.u);
	assert_int_equal(errno, ENOTTY);
}

/* All that is due without waiting. */
static inline void settle(void)
{
	while (is_due(0))
		uplink_dispatch(&b.u);
}

static inline ssize_t receive(union wire_message *m)
{
	ssize_t n = recv(b.fd, m, sizeof(*m), MSG_DONTWAIT);

	if (n > 0)
		assert_int_equal(wire_check(m, (size_t)n, true, NULL), 0);
	return n;
}

/* The next message, of that type. */
static inline union wire_message expect(enum wire_type type)
{
	union wire_message m = {0};

	while (receive(&m) < 0) {
		assert_int_equal(errno, EAGAIN);
		step();
	}
	assert_int_equal(m.header.type, type);
	return m;
}

static inline void expect_nothing(void)
{
	union wire_message m;

	settle();
	assert_int_equal(receive(&m), -1);
	assert_int_equal(errno, EAGAIN);
}

static inline void expect_end(void)
{
	union wire_message m;

	settle();
	assert_int_equal(receive(&m), 0);
}

static inline void say(union wire_message *m, enum wire_type type, size_t bytes, uint32_t serial)
{
	wire_seal(m, type, bytes, serial);
	assert_int_equal(send(b.fd, m, bytes, MSG_NOSIGNAL), bytes);
}

static inline void welcome(void)
{
	union wire_message m = {0};

	say(&m, WIRE_WELCOME, sizeof(m.welcome), 0);
}

static inline void meet(void)
{
	union wire_message m;

	while ((b.fd = accept4(b.listener, NULL, NULL, SOCK_CLOEXEC)) < 0)
		step();
	m = expect(WIRE_HELLO);
	assert_string_equal(m.hello.library, THPD_VERSION);
}

static inline void part(void)
{
	if (b.fd >= 0)
		close(b.fd);
	b.fd = -1;
}

static inline void ask_nudge(uint32_t vm, uint32_t serial)
{
	union wire_message m = {0};

	m.nudge.vm = vm;
	m.nudge.bytes = UINT64_MAX;
	say(&m, WIRE_NUDGE, sizeof(m.nudge), serial);
}

/* --- before and after ------------------------------------------------------------------------ */

static inline int begin_without_thpd(void **state)
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

static inline int begin(void **state)
{
	begin_without_thpd(state);
	b.listener = listen_at(b.path);
	assert_true(b.listener >= 0);
	return 0;
}

static inline int begin_met(void **state)
{
	begin(state);
	meet();
	welcome();
	return 0;
}

static inline int end(void **state)
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

static inline void set(uint32_t id)
{
	assert_int_equal(fake_set_slot(&b.r, FD, id, 0, FAKE_SLOT_BYTES), 0);
}

/* The next whole table, made of parts that are lawful one after another; ret_n_begun (NULL is
 * allowed): how many were begun for it. */
static inline uint32_t expect_table(uint32_t vm, uint32_t *ret_n_begun)
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

#define TEST(name)	   cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_MET(name)	   cmocka_unit_test_setup_teardown(name, begin_met, end)
#define TEST_WITHOUT(name) cmocka_unit_test_setup_teardown(name, begin_without_thpd, end)
