/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a client sends, cut into whole pieces of bounded size: first the lines of the D-Bus
 * handshake, then messages. sd-bus takes messages of up to 128 MiB from anybody; it gets only what
 * passed here. File descriptors that come along are not received, so the kernel closes them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	INLET_LINE_MAX_BYTES = 512,
	INLET_HANDSHAKE_MAX_BYTES = 2048,
	/* A call has one or two short strings: a VM's name and an address. */
	INLET_MESSAGE_MAX_BYTES = 4096,
};

struct bus_inlet {
	uint8_t buffer[INLET_MESSAGE_MAX_BYTES];
	size_t have;		 /* bytes in buffer */
	size_t handshake_bytes;	 /* received so far, over all lines */
	bool is_handshake_ended; /* set by the owner when its bus says so */
};

/* Reads from the non-blocking socket fd up to the end of the piece begun. Returns 1 with the whole
 * piece in buffer (have bytes), 0 if it is not complete yet, -ECONNRESET (end of the stream),
 * -EMSGSIZE (longer than allowed), -EBADMSG (no D-Bus message), or an errno of recv. */
int bus_inlet_read(struct bus_inlet *in, int fd);

/* The piece was handed on; the next may come. */
void bus_inlet_next(struct bus_inlet *in);

/* Bytes of the message that begins with this header of 16 bytes. 0, -EBADMSG or -EMSGSIZE. */
int bus_inlet_message_bytes(const uint8_t *header, size_t *ret);
