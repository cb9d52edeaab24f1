/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One connection of a VMM, whose end the test holds: raw messages, honest and not. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "bits.h"
#include "cleanup.h"
#include "vmm_peer.h"
#include "wire.h"

#define SECOND UINT64_C(1000000000)

struct bench {
	struct vmm_peer *peer;
	int fd; /* the VMM's end */
	const char *why;
};

static int begin(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	b->fd = fds[0];
	b->peer = vmm_peer_new(fds[1], &(struct vmm_identity){.pid = 1, .pidfd = -EBADF}, SECOND);
	assert_non_null(b->peer);
	*state = b;
	return 0;
}

static int end(void **state)
{
	struct bench *b = *state;

	b->peer = vmm_peer_free(b->peer);
	(void)close_fd(b->fd);
	free(b);
	return 0;
}

static void send_raw(const struct bench *b, const void *bytes, size_t n)
{
	assert_int_equal(send(b->fd, bytes, n, MSG_NOSIGNAL), n);
}

static int hear(struct bench *b)
{
	b->why = NULL;
	return vmm_peer_read(b->peer, 2 * SECOND, &b->why);
}

/* What the daemon's end makes of a message. */
static int tell(struct bench *b, union wire_message *m, enum wire_type type, size_t bytes,
		uint32_t serial)
{
	wire_seal(m, type, bytes, serial);
	send_raw(b, m, bytes);
	return hear(b);
}

static int say_hello(struct bench *b)
{
	union wire_message m = {0};

	(void)snprintf(m.hello.library, sizeof(m.hello.library), "1.2.3");
	return tell(b, &m, WIRE_HELLO, sizeof(m.hello), 0);
}

static int say_vm(struct bench *b, uint32_t vm, uint32_t flags)
{
	union wire_message m = {.vm = {.vm = vm, .flags = flags}};

	return tell(b, &m, WIRE_VM, sizeof(m.vm), 0);
}

static int say_gone(struct bench *b, uint32_t vm)
{
	union wire_message m = {.vm_gone = {.vm = vm}};

	return tell(b, &m, WIRE_VM_GONE, sizeof(m.vm_gone), 0);
}

static int say_slots(struct bench *b, uint32_t vm, uint32_t first, uint32_t n, uint32_t total)
{
	union wire_message m = {0};

	m.slots.vm = vm;
	m.slots.first = first;
	m.slots.n = n;
	m.slots.total = total;
	for (uint32_t i = 0; i < n && i < WIRE_SLOTS_MAX; i++)
		m.slots.slots[i] = (struct wire_slot){
			.gpa = (first + i) * UINT64_C(4096),
			.bytes = 4096,
			.hva = 0x1000,
			.flags = 1,
			.slot = (uint16_t)(first + i),
		};
	return tell(b, &m, WIRE_SLOTS, wire_slots_bytes(n), 0);
}

static int say_table(struct bench *b, uint32_t vm, uint32_t total)
{
	int r = VMM_NOTHING;

	for (uint32_t first = 0; first < total && r == VMM_NOTHING; first += WIRE_SLOTS_MAX)
		r = say_slots(b, vm, first, (uint32_t)min_u64(WIRE_SLOTS_MAX, total - first),
			      total);
	return r;
}

static int say_counts(struct bench *b, uint32_t vm, uint32_t serial, int err, uint64_t pages)
{
	union wire_message m = {.counts = {.vm = vm, .err = err, .pages_2m = pages}};

	return tell(b, &m, WIRE_COUNTS, sizeof(m.counts), serial);
}

static void receive(const struct bench *b, enum wire_type type, union wire_message *ret)
{
	ssize_t n = recv(b->fd, ret, sizeof(*ret), MSG_DONTWAIT);

	assert_true(n > 0);
	assert_int_equal(wire_check(ret, (size_t)n, false, NULL), 0);
	assert_int_equal(ret->header.type, type);
}

static uint32_t asked_of(const struct bench *b, uint32_t vm)
{
	union wire_message m;

	receive(b, WIRE_COUNT, &m);
	assert_int_equal(m.count.vm, vm);
	assert_int_not_equal(m.header.serial, 0);
	return m.header.serial;
}

static void is_asked_nothing(const struct bench *b)
{
	union wire_message m;

	assert_int_equal(recv(b->fd, &m, sizeof(m), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static int begin_greeted(void **state)
{
	union wire_message m;

	(void)begin(state);
	assert_int_equal(say_hello(*state), VMM_GREETED);
	receive(*state, WIRE_WELCOME, &m);
	return 0;
}

/* ---- what is told ---------------------------------------------------------------------- */

static void who_greets_is_welcome(void **state)
{
	struct bench *b = *state;
	union wire_message m;

	assert_null(vmm_peer_library(b->peer));
	assert_int_equal(hear(b), VMM_NOTHING);
	assert_false(vmm_peer_is_silent(b->peer, 6 * SECOND - 1));
	assert_true(vmm_peer_is_silent(b->peer, 6 * SECOND));
	assert_int_equal(say_hello(b), VMM_GREETED);
	receive(b, WIRE_WELCOME, &m);
	assert_string_equal(vmm_peer_library(b->peer), "1.2.3");
	assert_false(vmm_peer_is_silent(b->peer, 6 * SECOND));
}

static void a_table_is_known_when_it_is_whole(void **state)
{
	struct bench *b = *state;
	struct memslot *slots = NULL;
	size_t n = 0;

	assert_false(vmm_peer_is_complete(b->peer));
	assert_int_equal(say_vm(b, 3, 0), VMM_TOLD);
	assert_false(vmm_peer_is_complete(b->peer));
	assert_int_equal(say_slots(b, 3, 0, 64, 100), VMM_NOTHING);
	assert_false(vmm_peer_is_complete(b->peer));
	assert_int_equal(vmm_peer_slots(b->peer), 0);
	assert_int_equal(say_slots(b, 3, 64, 36, 100), VMM_TOLD);
	assert_true(vmm_peer_is_complete(b->peer));
	assert_int_equal(vmm_peer_copy_slots(b->peer, &slots, &n), 0);
	assert_int_equal(n, 100);
	assert_int_equal(slots[99].gpa, 99 * 4096);
	assert_int_equal(slots[99].hva, 0x1000);
	assert_int_equal(slots[99].slot, 99);
	assert_int_equal(slots[99].flags, MEMSLOT_LOG_DIRTY);
	free(slots);
}

static void all_vms_have_to_be_known(void **state)
{
	struct bench *b = *state;

	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	assert_int_equal(say_slots(b, 0, 0, 0, 0), VMM_TOLD);
	assert_true(vmm_peer_is_complete(b->peer));
	assert_int_equal(say_vm(b, 15, 0), VMM_TOLD);
	assert_false(vmm_peer_is_complete(b->peer));
	assert_int_equal(say_table(b, 15, 10), VMM_TOLD);
	assert_true(vmm_peer_is_complete(b->peer));
	assert_int_equal(say_vm(b, 15, WIRE_VM_INCOMPLETE), VMM_TOLD);
	assert_false(vmm_peer_is_complete(b->peer));
	assert_int_equal(say_gone(b, 15), VMM_TOLD);
	assert_true(vmm_peer_is_complete(b->peer));
	assert_int_equal(vmm_peer_held_slots(b->peer), 0);
	assert_int_equal(say_gone(b, 0), VMM_TOLD);
	assert_false(vmm_peer_is_complete(b->peer));
}

static void half_a_table_and_then_nobody(void **state)
{
	struct bench *b = *state;

	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	assert_int_equal(say_slots(b, 0, 0, 64, 100), VMM_NOTHING);
	b->fd = close_fd(b->fd);
	assert_int_equal(hear(b), -ECONNRESET);
	assert_false(vmm_peer_is_complete(b->peer));
}

/* ---- what is not believed -------------------------------------------------------------- */

static void each_law_is_a_reason_to_close(void **state)
{
	struct bench *b = *state;

	/* Its number is no VM's: wire_check()'s law; the others are this end's. */
	assert_int_equal(say_vm(b, WIRE_VMS_MAX, 0), -EPROTO);
	assert_non_null(b->why);
	assert_int_equal(say_slots(b, 0, 0, 1, 1), -EPROTO);
	assert_non_null(strstr(b->why, "not told of"));
	assert_int_equal(say_gone(b, 0), -EPROTO);
	assert_int_equal(say_hello(b), -EPROTO);
	assert_non_null(strstr(b->why, "twice"));
	assert_int_equal(say_counts(b, 0, 0, 0, 0), -EPROTO);
	assert_non_null(strstr(b->why, "not asked"));
	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	assert_int_equal(say_slots(b, 0, 1, 1, 2), -EPROTO);
	assert_non_null(strstr(b->why, "no table"));
}

static void nothing_comes_before_the_greeting(void **state)
{
	struct bench *b = *state;

	assert_int_equal(say_vm(b, 0, 0), -EPROTO);
	assert_non_null(strstr(b->why, "greet first"));
}

static void noise_and_lengths(void **state)
{
	struct bench *b = *state;
	unsigned char noise[WIRE_MESSAGE_MAX + 1] = {0};
	union wire_message m = {0};

	send_raw(b, noise, 1);
	assert_int_equal(hear(b), -EPROTO);
	wire_seal((union wire_message *)(void *)noise, WIRE_HELLO, sizeof(noise), 0);
	send_raw(b, noise, sizeof(noise));
	assert_int_equal(hear(b), -EPROTO);
	assert_non_null(strstr(b->why, "too long"));
	wire_seal(&m, WIRE_HELLO, sizeof(m.hello), 0);
	m.header.version = WIRE_VERSION + 1;
	send_raw(b, &m, sizeof(m.hello));
	assert_int_equal(hear(b), -EPROTONOSUPPORT);
	/* What only thpd may say. */
	assert_int_equal(tell(b, &m, WIRE_COUNT, sizeof(m.count), 1), -EPROTO);
}

/* Descriptors are not received: who sends them loses them. */
static void descriptors_are_not_taken(void **state)
{
	struct bench *b = *state;
	union wire_message m = {.vm = {.vm = 1}};
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {&m, sizeof(m.vm)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int pipefds[2];
	char byte;

	assert_int_equal(pipe2(pipefds, O_CLOEXEC | O_NONBLOCK), 0);
	wire_seal(&m, WIRE_VM, sizeof(m.vm), 0);
	memcpy(CMSG_DATA(&control.head), &pipefds[1], sizeof(int));
	assert_int_equal(sendmsg(b->fd, &message, 0), sizeof(m.vm));
	(void)close_fd(pipefds[1]);
	assert_int_equal(hear(b), VMM_TOLD);
	assert_int_equal(read(pipefds[0], &byte, 1), 0);
	(void)close_fd(pipefds[0]);
}

/* Over all of its VMs, whole tables and those that are begun. */
static void slots_are_bounded_over_all_vms(void **state)
{
	struct bench *b = *state;

	for (uint32_t vm = 0; vm < WIRE_VMS_MAX; vm++)
		assert_int_equal(say_vm(b, vm, 0), VMM_TOLD);
	assert_int_equal(say_table(b, 0, WIRE_TABLE_MAX - 64), VMM_TOLD);
	assert_int_equal(say_slots(b, 1, 0, 1, 64), VMM_NOTHING);
	assert_int_equal(say_slots(b, 2, 0, 1, 2), -ENOSPC);
	assert_int_equal(say_table(b, 1, 64), VMM_TOLD);
	assert_int_equal(vmm_peer_slots(b->peer), WIRE_TABLE_MAX);
	assert_int_equal(say_slots(b, 1, 0, 1, 65), -ENOSPC);
	/* In place of itself. */
	assert_int_equal(say_table(b, 0, WIRE_TABLE_MAX - 64), VMM_TOLD);
	assert_true(vmm_peer_held_slots(b->peer) <= 2 * WIRE_TABLE_MAX);
}

/* ---- questions ------------------------------------------------------------------------- */

static void who_has_no_vm_is_asked_nothing(void **state)
{
	struct bench *b = *state;

	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), -ENOENT);
	is_asked_nothing(b);
}

static void the_counts_of_all_vms_are_one_answer(void **state)
{
	struct bench *b = *state;
	uint32_t serial;

	assert_int_equal(say_vm(b, 2, 0), VMM_TOLD);
	assert_int_equal(say_vm(b, 7, 0), VMM_TOLD);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), 0);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), -EBUSY);
	serial = asked_of(b, 2);
	is_asked_nothing(b);
	assert_int_equal(say_counts(b, 2, serial, 0, UINT64_MAX - 5), VMM_NOTHING);
	serial = asked_of(b, 7);
	assert_int_equal(say_counts(b, 7, serial, 0, 3), VMM_ANSWERED);
	assert_int_equal(vmm_peer_answer(b->peer)->err, 0);
	assert_int_equal(vmm_peer_answer(b->peer)->counts.source, KVM_SOURCE_VMM);
	assert_int_equal(vmm_peer_answer(b->peer)->counts.pages_2m, UINT64_MAX - 2);
	assert_int_equal(vmm_peer_answer(b->peer)->counts.read_ns, 2 * SECOND);
	is_asked_nothing(b);
	/* No sum wraps, and the next one begins at nothing. */
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), 0);
	assert_int_equal(say_counts(b, 2, asked_of(b, 2), 0, 1), VMM_NOTHING);
	assert_int_equal(say_counts(b, 7, asked_of(b, 7), 0, UINT64_MAX), VMM_ANSWERED);
	assert_int_equal(vmm_peer_answer(b->peer)->counts.pages_2m, UINT64_MAX);
}

static void one_that_does_not_tell_spoils_the_sum(void **state)
{
	struct bench *b = *state;

	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	assert_int_equal(say_vm(b, 1, 0), VMM_TOLD);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), 0);
	assert_int_equal(say_counts(b, 0, asked_of(b, 0), ENOENT, 0), VMM_ANSWERED);
	assert_int_equal(vmm_peer_answer(b->peer)->err, -ENOENT);
	assert_int_equal(vmm_peer_answer(b->peer)->counts.source, KVM_SOURCE_NONE);
	is_asked_nothing(b);
}

static void an_answer_is_of_its_question(void **state)
{
	struct bench *b = *state;
	uint32_t serial;

	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	assert_int_equal(say_vm(b, 1, 0), VMM_TOLD);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), 0);
	serial = asked_of(b, 0);
	assert_int_equal(say_counts(b, 0, serial + 1, 0, 1), -EPROTO);
	assert_int_equal(say_counts(b, 1, serial, 0, 1), -EPROTO);
}

static void an_answer_that_is_late_is_waited_for_but_not_taken(void **state)
{
	struct bench *b = *state;
	uint32_t serial;

	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	assert_false(vmm_peer_give_up(b->peer, 100 * SECOND));
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), 0);
	serial = asked_of(b, 0);
	assert_false(vmm_peer_give_up(b->peer, 6 * SECOND - 1));
	assert_true(vmm_peer_give_up(b->peer, 6 * SECOND));
	assert_int_equal(vmm_peer_answer(b->peer)->err, -ETIMEDOUT);
	assert_false(vmm_peer_give_up(b->peer, 7 * SECOND));
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, 7 * SECOND), -EBUSY);
	assert_int_equal(say_counts(b, 0, serial, 0, 5), VMM_NOTHING);
	assert_int_equal(vmm_peer_answer(b->peer)->err, -ETIMEDOUT);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, 8 * SECOND), 0);
	assert_int_equal(say_counts(b, 0, asked_of(b, 0), 0, 5), VMM_ANSWERED);
	assert_int_equal(vmm_peer_answer(b->peer)->counts.pages_2m, 5);
}

static int say_nudged(struct bench *b, uint32_t vm, uint32_t serial, uint32_t result, uint64_t n)
{
	union wire_message m = {.nudged = {.vm = vm,
					   .result = result,
					   .err = result == WIRE_NUDGE_FAILED ? EINVAL : 0,
					   .n_toggled = (uint32_t)n,
					   .toggled_bytes = n << 21,
					   .worst_call_ns = n}};

	return tell(b, &m, WIRE_NUDGED, sizeof(m.nudged), serial);
}

static uint32_t nudged_of(const struct bench *b, uint32_t vm)
{
	union wire_message m;

	receive(b, WIRE_NUDGE, &m);
	assert_int_equal(m.nudge.vm, vm);
	assert_int_equal(m.nudge.start, 0);
	assert_int_equal(m.nudge.bytes, UINT64_MAX);
	return m.header.serial;
}

static void a_nudge_is_of_all_vms(void **state)
{
	struct bench *b = *state;
	const struct vmm_nudged *n = &vmm_peer_answer(b->peer)->nudged;

	for (uint32_t vm = 0; vm < 3; vm++)
		assert_int_equal(say_vm(b, vm, 0), VMM_TOLD);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_NUDGE, SECOND), 0);
	assert_false(vmm_peer_give_up(b->peer, 31 * SECOND - 1));
	assert_int_equal(say_nudged(b, 0, nudged_of(b, 0), WIRE_NUDGE_NO_SLOT, 0), VMM_NOTHING);
	assert_int_equal(say_nudged(b, 1, nudged_of(b, 1), WIRE_NUDGE_DONE, 5), VMM_NOTHING);
	assert_int_equal(say_nudged(b, 2, nudged_of(b, 2), WIRE_NUDGE_RING, 2), VMM_ANSWERED);
	assert_int_equal(vmm_peer_answer(b->peer)->question, WIRE_NUDGE);
	assert_int_equal(vmm_peer_answer(b->peer)->err, 0);
	assert_int_equal(n->result, WIRE_NUDGE_DONE);
	assert_int_equal(n->n_toggled, 7);
	assert_int_equal(n->toggled_bytes, 14 << 20);
	assert_int_equal(n->worst_call_ns, 5);
}

static void why_nothing_was_nudged(void **state)
{
	struct bench *b = *state;
	const struct vmm_nudged *n = &vmm_peer_answer(b->peer)->nudged;

	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	assert_int_equal(say_vm(b, 1, 0), VMM_TOLD);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_NUDGE, SECOND), 0);
	assert_int_equal(say_nudged(b, 0, nudged_of(b, 0), WIRE_NUDGE_FAILED, 0), VMM_NOTHING);
	assert_int_equal(say_nudged(b, 1, nudged_of(b, 1), WIRE_NUDGE_LOGGING, 0), VMM_ANSWERED);
	assert_int_equal(n->result, WIRE_NUDGE_FAILED);
	assert_int_equal(n->err, -EINVAL);
	/* The answer to another question is none. */
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_NUDGE, SECOND), 0);
	assert_int_equal(say_counts(b, 0, nudged_of(b, 0), 0, 1), -EPROTO);
}

/* Its receive buffer is full of our messages: as if it stood still. */
static void who_does_not_read_is_not_waited_for(void **state)
{
	struct bench *b = *state;
	union wire_message m = {0};

	assert_int_equal(say_vm(b, 0, 0), VMM_TOLD);
	wire_seal(&m, WIRE_WELCOME, sizeof(m.welcome), 0);
	while (send(vmm_peer_fd(b->peer), &m, sizeof(m.welcome), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), -EAGAIN);
	/* Nothing is owed. */
	while (recv(b->fd, &m, sizeof(m), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(vmm_peer_ask(b->peer, WIRE_COUNT, SECOND), 0);
	(void)asked_of(b, 0);
}

#define ALONE(f)   cmocka_unit_test_setup_teardown(f, begin, end)
#define GREETED(f) cmocka_unit_test_setup_teardown(f, begin_greeted, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALONE(who_greets_is_welcome),
		GREETED(a_table_is_known_when_it_is_whole),
		GREETED(all_vms_have_to_be_known),
		GREETED(half_a_table_and_then_nobody),
		GREETED(each_law_is_a_reason_to_close),
		ALONE(nothing_comes_before_the_greeting),
		ALONE(noise_and_lengths),
		GREETED(descriptors_are_not_taken),
		GREETED(slots_are_bounded_over_all_vms),
		GREETED(who_has_no_vm_is_asked_nothing),
		GREETED(the_counts_of_all_vms_are_one_answer),
		GREETED(one_that_does_not_tell_spoils_the_sum),
		GREETED(an_answer_is_of_its_question),
		GREETED(an_answer_that_is_late_is_waited_for_but_not_taken),
		GREETED(a_nudge_is_of_all_vms),
		GREETED(why_nothing_was_nudged),
		GREETED(who_does_not_read_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
