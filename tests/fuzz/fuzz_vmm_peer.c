/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VMM that says whatever it likes, over a real socket, to the daemon's end of a connection. The
 * input is a sequence of steps: what to do, a length in two bytes, and as many bytes of a packet,
 * or none. Memory is held for what was told, not for what was announced; what is known keeps its
 * laws; and the daemon says nothing that is none of the protocol's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm_peer.h"
#include "wire.h"

enum step {
	STEP_PACKET,	/* as it is */
	STEP_SEALED,	/* with a header that is right for its type and size */
	STEP_ANSWER,	/* sealed, and for what was asked last */
	STEP_ASK,	/* the daemon asks for counts */
	STEP_TIME_GOES, /* three seconds */
	STEP_NUDGE,	/* it asks for a nudge */
	STEP_MAX,
};

struct talk {
	struct vmm_peer *peer;
	int fd; /* the VMM's end */
	uint64_t now_ns;
	uint32_t serial, vm; /* of the last question */
	size_t n_slots;	     /* that can have been told */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
	if (!is_true)
		abort();
}

/* The packet's own length is in the input: the daemon sees no more of it. */
static void send_packet(struct talk *t, enum step step, const uint8_t *bytes, size_t n)
{
	static union wire_message m;

	t->n_slots += n / sizeof(struct wire_slot);
	if (n > sizeof(m) || n < sizeof(m.header)) {
		expect(send(t->fd, bytes, n, 0) == (ssize_t)n);
		return;
	}
	memcpy(&m, bytes, n);
	if (step != STEP_PACKET)
		wire_seal(&m, (enum wire_type)m.header.type, n, m.header.serial);
	if (step == STEP_ANSWER) {
		m.header.serial = t->serial;
		if (n >= sizeof(m.count)) /* where the answers have it, too */
			m.count.vm = t->vm;
	}
	expect(send(t->fd, &m, n, 0) == (ssize_t)n);
}

static void hear(struct talk *t)
{
	static union wire_message m;
	ssize_t n;

	while ((n = recv(t->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC)) > 0) {
		expect(wire_check(&m, (size_t)n, false, NULL) == 0);
		if (m.header.type == WIRE_WELCOME)
			continue;
		expect(m.header.type == WIRE_COUNT || m.header.type == WIRE_NUDGE);
		t->serial = m.header.serial;
		t->vm = m.header.type == WIRE_COUNT ? m.count.vm : m.nudge.vm;
	}
}

static void use_slots(const struct vmm_peer *p)
{
	struct memslot *slots = NULL;
	size_t n = 0;

	expect(vmm_peer_copy_slots(p, &slots, &n) == 0);
	expect(n == vmm_peer_slots(p) && (n > 0) == (slots != NULL));
	for (size_t i = 0; i < n; i++) {
		expect(slots[i].bytes > 0 && slots[i].address_space <= 1);
		expect(slots[i].gpa + slots[i].bytes > slots[i].gpa);
		expect(slots[i].hva + slots[i].bytes > slots[i].hva);
	}
	free(slots);
}

static void use(const struct talk *t)
{
	const struct vmm_peer *p = t->peer;
	const char *library = vmm_peer_library(p);

	expect(!library || strlen(library) < sizeof(((struct wire_hello *)NULL)->library));
	expect(vmm_peer_slots(p) <= vmm_peer_held_slots(p));
	expect(vmm_peer_held_slots(p) <= t->n_slots);
	expect(library || (vmm_peer_slots(p) == 0 && !vmm_peer_is_complete(p)));
	use_slots(p);
}

/* Whether the connection goes on. */
static bool read_packet(struct talk *t)
{
	const char *why = NULL;
	int r = vmm_peer_read(t->peer, t->now_ns, &why);

	expect(r < 0 || r <= VMM_ANSWERED);
	expect(r != -EPROTO || why);
	expect(r >= 0 || r == -EPROTO || r == -EPROTONOSUPPORT || r == -ENOSPC || r == -ECONNRESET);
	use(t);
	if (r == VMM_ANSWERED)
		expect(vmm_peer_answer(t->peer)->err <= 0);
	return r >= 0;
}

static void ask(struct talk *t, enum wire_type question)
{
	int r = vmm_peer_ask(t->peer, question, t->now_ns);

	expect(r == 0 || r == -EBUSY || r == -ENOENT);
}

static void let_time_go(struct talk *t)
{
	t->now_ns += UINT64_C(3000000000);
	if (vmm_peer_give_up(t->peer, t->now_ns))
		expect(vmm_peer_answer(t->peer)->err < 0 && !vmm_peer_give_up(t->peer, t->now_ns));
	(void)vmm_peer_is_silent(t->peer, t->now_ns);
}

static bool do_step(struct talk *t, enum step step, const uint8_t *bytes, size_t n)
{
	bool goes_on = true;

	if (step == STEP_ASK) {
		ask(t, WIRE_COUNT);
	} else if (step == STEP_NUDGE) {
		ask(t, WIRE_NUDGE);
	} else if (step == STEP_TIME_GOES) {
		let_time_go(t);
	} else if (n > 0) { /* nothing would be the end of it */
		send_packet(t, step, bytes, n);
		goes_on = read_packet(t);
	}
	hear(t);
	return goes_on;
}

static void talk(struct talk *t, const uint8_t *data, size_t size)
{
	bool goes_on = true;

	while (size >= 3 && goes_on) {
		size_t n = (size_t)data[1] | (size_t)data[2] << 8;

		n = n < size - 3 ? n : size - 3;
		goes_on = do_step(t, data[0] % STEP_MAX, data + 3, n);
		data += 3 + n;
		size -= 3 + n;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vmm_identity who = {.pid = 4711, .pidfd = -EBADF};
	struct talk t = {0};
	int fds[2];

	expect(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
	t.fd = fds[0];
	t.peer = vmm_peer_new(fds[1], &who, 0);
	expect(t.peer);
	talk(&t, data, size);
	vmm_peer_free(t.peer);
	expect(close(t.fd) == 0);
	return 0;
}
