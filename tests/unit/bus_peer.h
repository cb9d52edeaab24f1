/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Clients of the bus, well-behaved and raw. */
#include <dirent.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>

#include "fake_bus.h"

/* ---- Clients ------------------------------------------------------------------------------- */

static __attribute__((unused)) int connect_raw(const struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 10};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

static __attribute__((unused)) bool is_hung_up(int fd, double timeout_s)
{
	double end = now_s() + timeout_s;
	char buffer[4096];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		double left = end - now_s();
		ssize_t n;

		if (left <= 0 || poll(&p, 1, (int)(left * 1000) + 1) <= 0)
			return false;
		n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return true;
	}
}

static __attribute__((unused)) void shake_hands(int fd)
{
	static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	char text[256] = "";
	size_t n = 0;

	assert_int_equal(send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL), sizeof(hello) - 1);
	while (!strstr(text, "OK ") || text[n - 1] != '\n') {
		assert_int_equal(recv(fd, text + n, 1, 0), 1);
		n++;
	}
}

/* A GetStatus call as bytes; serial is patched by the caller. */
static __attribute__((unused)) size_t build_call(uint8_t *ret, const char *member,
						 uint32_t body_bytes)
{
	static const char *const names[] = {"/org/thpd1", "org.thpd1.Manager"};
	size_t n = 16;
	uint32_t length;

	memset(ret, 0, 512);
	memcpy(ret, "l\1\0\1", 4);
	memcpy(ret + 4, &body_bytes, 4);
	ret[8] = 1;
	for (size_t i = 0; i < 3; i++) {
		const char *text = i < 2 ? names[i] : member;

		memcpy(ret + n, i == 0 ? "\1\1o" : i == 1 ? "\2\1s" : "\3\1s", 4);
		length = (uint32_t)strlen(text);
		memcpy(ret + n + 4, &length, 4);
		memcpy(ret + n + 8, text, length + 1);
		n += 8 + length + 1;
		length = (uint32_t)(n - 16);
		n = (n + 7) & ~(size_t)7;
	}
	memcpy(ret + 12, &length, 4);
	return n;
}

static __attribute__((unused)) sd_bus *connect_bus(const struct server *s)
{
	char address[128];
	sd_bus *bus = NULL;

	(void)snprintf(address, sizeof(address), "unix:path=%s", s->socket);
	assert_true(sd_bus_new(&bus) >= 0);
	assert_true(sd_bus_set_address(bus, address) >= 0);
	assert_true(sd_bus_start(bus) >= 0);
	(void)sd_bus_set_method_call_timeout(bus, 5 * 1000 * 1000);
	return bus;
}

/* Calls and returns the text of the answer (to be freed), or the error's name in *ret_error. */
static __attribute__((unused)) char *call(sd_bus *bus, const char *member, const char *who,
					  const char *address, char *ret_error, size_t error_size)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *reply = NULL, *m = NULL;
	const char *text = "";
	char *copy = NULL;
	int r;

	assert_true(sd_bus_message_new_method_call(bus, &m, NULL, "/org/thpd1", "org.thpd1.Manager",
						   member) >= 0);
	if (who)
		assert_true(sd_bus_message_append(m, "s", who) >= 0);
	if (address)
		assert_true(sd_bus_message_append(m, "s", address) >= 0);
	r = sd_bus_call(bus, m, 0, &error, &reply);
	ret_error[0] = '\0';
	if (r < 0)
		(void)snprintf(ret_error, error_size, "%s", error.name ? error.name : "?");
	else if (sd_bus_message_has_signature(reply, "s"))
		assert_true(sd_bus_message_read(reply, "s", &text) >= 0);
	if (r >= 0)
		copy = strdup(text);
	sd_bus_error_free(&error);
	sd_bus_message_unref(m);
	sd_bus_message_unref(reply);
	return copy;
}

static __attribute__((unused)) void assert_answers(const struct server *s)
{
	sd_bus *bus = connect_bus(s);
	double begin = now_s();
	char error[128];
	_cleanup_free_ char *text = call(bus, "GetStatus", NULL, NULL, error, sizeof(error));

	assert_string_equal(error, "");
	assert_non_null(text);
	assert_true(now_s() - begin < 2);
	sd_bus_close_unref(bus);
}

static __attribute__((unused)) size_t count_fds(pid_t pid)
{
	char path[64];
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static __attribute__((unused)) size_t resident_kb(pid_t pid)
{
	char path[64], line[256];
	size_t kb = 0;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %zu kB", &kb) == 1)
			break;
	(void)fclose(f);
	return kb;
}
