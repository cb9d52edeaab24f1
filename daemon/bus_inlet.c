/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "bus_inlet.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "bits.h"

enum { HEADER_BYTES = 16 };

static uint32_t header_u32(const uint8_t *header, size_t offset)
{
	uint32_t value;

	memcpy(&value, header + offset, sizeof(value));
	return header[0] == 'l' ? le32toh(value) : be32toh(value);
}

/* D-Bus specification, "Message format": byte order, type, flags, version, length of the body,
 * serial, length of the fields; the fields are padded to 8. */
int bus_inlet_message_bytes(const uint8_t *header, size_t *ret)
{
	uint64_t bytes;

	if (header[0] != 'l' && header[0] != 'B')
		return -EBADMSG;
	bytes = HEADER_BYTES + align_up(header_u32(header, 12), 8) + header_u32(header, 4);
	if (bytes > INLET_MESSAGE_MAX_BYTES)
		return -EMSGSIZE;
	*ret = (size_t)bytes;
	return 0;
}

/* Receives at most `want` bytes behind those in the buffer: 1 got some, 0 none there now. */
static int receive(struct bus_inlet *in, int fd, size_t want)
{
	ssize_t n = recv(fd, in->buffer + in->have, want, MSG_DONTWAIT);

	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	in->have += (size_t)n;
	return 1;
}

/* Byte by byte, because what follows the last line is not ours to read yet; a handshake has some
 * sixty bytes. */
static int read_line(struct bus_inlet *in, int fd)
{
	for (;;) {
		int r = receive(in, fd, 1);

		if (r <= 0)
			return r;
		if (++in->handshake_bytes > INLET_HANDSHAKE_MAX_BYTES)
			return -EMSGSIZE;
		if (in->buffer[in->have - 1] == '\n')
			return 1;
		if (in->have == INLET_LINE_MAX_BYTES)
			return -EMSGSIZE;
	}
}

static int read_message(struct bus_inlet *in, int fd)
{
	size_t bytes;
	int r;

	if (in->have < HEADER_BYTES) {
		r = receive(in, fd, HEADER_BYTES - in->have);
		if (r <= 0 || in->have < HEADER_BYTES)
			return r < 0 ? r : 0;
	}
	r = bus_inlet_message_bytes(in->buffer, &bytes);
	if (r < 0)
		return r;
	if (in->have < bytes) {
		r = receive(in, fd, bytes - in->have);
		if (r <= 0)
			return r;
	}
	return in->have == bytes;
}

int bus_inlet_read(struct bus_inlet *in, int fd)
{
	return in->is_handshake_ended ? read_message(in, fd) : read_line(in, fd);
}

void bus_inlet_next(struct bus_inlet *in)
{
	in->have = 0;
}
