/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of thpd's socket that does not behave: rude_client SOCKET MODE
 *
 *   idle N        connects N times and says nothing
 *   greeted N     connects N times, authenticates, says nothing more
 *   garbage N     connects N times and sends 64 KiB of noise each time
 *   deaf N        authenticates, asks for the status N times and never reads an answer
 *   half          authenticates and sends the first half of a call
 *
 * Prints `ready CONNECTED` when all is said, or refused by the peer, and keeps what it has open
 * until its stdin ends.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CALL_BYTES_MAX = 512, NOISE_BYTES = 65536 };

static int dial(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		(void)close(fd);
		return -errno;
	}
	return fd;
}

/* Sends until done or until the peer has had enough; never waits for it. */
static bool say(int fd, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	while (length > 0) {
		ssize_t n = send(fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n <= 0)
			return false;
		at += n;
		length -= (size_t)n;
	}
	return true;
}

/* SASL EXTERNAL with the uid in hexadecimal digits of its ASCII digits, then over to messages. */
static bool greet(int fd)
{
	char uid[16], line[128];
	size_t n = 0;

	(void)snprintf(uid, sizeof(uid), "%u", (unsigned)getuid());
	line[n++] = '\0';
	n += (size_t)snprintf(line + n, sizeof(line) - n, "AUTH EXTERNAL ");
	for (const char *c = uid; *c; c++)
		n += (size_t)snprintf(line + n, sizeof(line) - n, "%02x", (unsigned)*c);
	n += (size_t)snprintf(line + n, sizeof(line) - n, "\r\nBEGIN\r\n");
	return say(fd, line, n);
}

static size_t put_u32(uint8_t *to, size_t at, uint32_t value)
{
	memcpy(to + at, &value, sizeof(value));
	return at + sizeof(value);
}

/* One header field of type s or o; each begins on an 8-byte boundary. */
static size_t put_field(uint8_t *to, size_t at, uint8_t code, char type, const char *text)
{
	const size_t length = strlen(text);

	at = (at + 7) / 8 * 8;
	to[at++] = code;
	to[at++] = 1;
	to[at++] = (uint8_t)type;
	to[at++] = 0;
	at = put_u32(to, at, (uint32_t)length);
	memcpy(to + at, text, length + 1);
	return at + length + 1;
}

/* org.thpd1.Manager.GetStatus(), by hand: D-Bus specification, "Message Protocol". */
static size_t make_call(uint8_t to[CALL_BYTES_MAX], uint32_t serial)
{
	const uint16_t order = 1;
	size_t at = 4;

	memset(to, 0, CALL_BYTES_MAX);
	to[0] = *(const uint8_t *)&order ? 'l' : 'B';
	to[1] = 1; /* method call */
	to[3] = 1; /* protocol version */
	at = put_u32(to, at, 0);
	at = put_u32(to, at, serial);
	at = put_u32(to, at, 0);
	at = put_field(to, at, 1, 'o', "/org/thpd1");
	at = put_field(to, at, 2, 's', "org.thpd1.Manager");
	at = put_field(to, at, 3, 's', "GetStatus");
	(void)put_u32(to, 12, (uint32_t)(at - 16));
	return (at + 7) / 8 * 8;
}

static bool be_deaf(int fd, unsigned calls)
{
	uint8_t call[CALL_BYTES_MAX];

	if (!greet(fd))
		return false;
	for (unsigned i = 1; i <= calls; i++)
		if (!say(fd, call, make_call(call, i)))
			break;
	return true;
}

static bool be_half(int fd)
{
	uint8_t call[CALL_BYTES_MAX];

	return greet(fd) && say(fd, call, make_call(call, 1) / 2);
}

static bool make_noise(int fd)
{
	static uint8_t noise[NOISE_BYTES];
	uint32_t x = 2463534242U + (uint32_t)fd;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		noise[i] = (uint8_t)x;
	}
	(void)say(fd, noise, sizeof(noise));
	return true;
}

static bool misbehave(int fd, const char *mode, unsigned count)
{
	if (strcmp(mode, "idle") == 0)
		return true;
	if (strcmp(mode, "greeted") == 0)
		return greet(fd);
	if (strcmp(mode, "garbage") == 0)
		return make_noise(fd);
	return strcmp(mode, "deaf") == 0 ? be_deaf(fd, count) : be_half(fd);
}

int main(int argc, char **argv)
{
	const unsigned count = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
	unsigned connections, connected = 0;

	if (argc < 3) {
		(void)fprintf(stderr,
			      "usage: rude_client SOCKET idle|greeted|garbage|deaf|half [N]\n");
		return EXIT_FAILURE;
	}
	connections = strcmp(argv[2], "deaf") == 0 || strcmp(argv[2], "half") == 0 ? 1 : count;
	for (unsigned i = 0; i < connections; i++) {
		int fd = dial(argv[1]);

		if (fd < 0)
			break;
		connected += misbehave(fd, argv[2], count);
	}
	printf("ready %u\n", connected);
	(void)fflush(stdout);
	while (getchar() != EOF)
		continue;
	return EXIT_SUCCESS;
}
