/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A daemon that says whatever it likes, over a real socket, to the library inside a VMM, while the
 * VMM changes its memslots. The input is a sequence of steps: what to do, a length in two bytes,
 * and as many bytes for it. KVM is a model: slots that do not overlap, ioctls that fail at times,
 * and a statistics file of the input's bytes. Whatever is said to it, the library says what the
 * protocol lets it say, answers what was asked and nothing else, tells slots as the VMM set them,
 * and hangs up on whoever breaks a law, and on nobody else. */
#include <errno.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "registry.h"
#include "uplink.h"
#include "wire.h"

enum step {
	STEP_PACKET,   /* as it is */
	STEP_SEALED,   /* with a header that is right for its type and size */
	STEP_DISPATCH, /* nothing is said */
	STEP_ADD,
	STEP_REMOVE,
	STEP_SLOT,
	STEP_CAPABILITY,
	STEP_KVM, /* from now on it fails where a bit is set; its statistics */
	STEP_MAX,
};

enum {
	FIRST_VM = 1000000, /* no descriptor of this process */
	N_VMS = 4,
	STEPS_MAX = 200, /* each is a few system calls */
};

/* Bytes that a step reads, missing ones being 0. */
struct input {
	const uint8_t *at;
	size_t n;
};

static struct {
	uint32_t failing; /* bit n: the ioctl n from now */
	struct input statistics;
} kvm;

struct talk {
	struct registry registry;
	int fd; /* the daemon's end; -1: the library hung up */
	bool is_welcomed, must_end;
	uint32_t serial; /* of the question */
	uint16_t wanted; /* the type of its answer; 0: none */
	struct uplink uplink;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
	if (!is_true)
		abort();
}

static uint64_t take(struct input *in, size_t bytes)
{
	uint64_t value = 0;

	for (size_t i = 0; i < bytes && in->n > 0; i++, in->at++, in->n--)
		value |= (uint64_t)*in->at << (8 * i);
	return value;
}

/* --- KVM ------------------------------------------------------------------------------------- */

static int statistics_fd(void)
{
	int fd = memfd_create("statistics", MFD_CLOEXEC);

	expect(fd >= 0);
	expect(write(fd, kvm.statistics.at, kvm.statistics.n) == (ssize_t)kvm.statistics.n);
	return fd;
}

static int ask_kvm(int fd, unsigned long request, ...)
{
	bool fails = kvm.failing & 1;

	expect(fd >= FIRST_VM && fd < FIRST_VM + N_VMS);
	kvm.failing >>= 1;
	if (fails) {
		errno = ENOMEM;
		return -1;
	}
	if (request == KVM_GET_STATS_FD)
		return statistics_fd();
	return request == KVM_CHECK_EXTENSION ? 1 : 0;
}

/* --- the VMM --------------------------------------------------------------------------------- */

/* Each number has a place of its own in the guest. */
static void set_slot(struct talk *t, int vm, struct input *in)
{
	uint32_t slot = (uint32_t)take(in, 2) % 512, space = (uint32_t)take(in, 1) % 2;
	struct kvm_userspace_memory_region m = {
		.slot = space << 16 | slot,
		.flags = (uint32_t)take(in, 1),
		.guest_phys_addr = (uint64_t)slot << 30,
		.memory_size = take(in, 2) << 12,
		.userspace_addr = take(in, 6) << 12,
	};

	(void)registry_ioctl(&t->registry, vm, KVM_SET_USER_MEMORY_REGION, &m);
}

static void enable(struct talk *t, int vm, struct input *in)
{
	static const uint32_t caps[] = {KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_DIRTY_LOG_RING,
					KVM_CAP_SPLIT_IRQCHIP};
	struct kvm_enable_cap c = {.cap = caps[take(in, 1) % 3], .args = {take(in, 1)}};

	(void)registry_ioctl(&t->registry, vm, KVM_ENABLE_CAP, &c);
}

/* --- the daemon ------------------------------------------------------------------------------ */

/* What is to come of a packet. */
static void judge(struct talk *t, const union wire_message *m, size_t n)
{
	bool is_welcome;

	t->must_end = wire_check(m, n, false, NULL) < 0;
	if (t->must_end)
		return;
	is_welcome = m->header.type == WIRE_WELCOME;
	t->must_end = is_welcome == t->is_welcomed;
	t->is_welcomed |= is_welcome;
	if (is_welcome || t->must_end)
		return;
	t->serial = m->header.serial;
	t->wanted = m->header.type == WIRE_COUNT ? WIRE_COUNTS : WIRE_NUDGED;
}

static void say(struct talk *t, enum step step, const struct input *in)
{
	static union wire_message m;
	bool is_short = in->n <= sizeof(m);

	if (in->n == 0)
		return;
	memcpy(&m, in->at, is_short ? in->n : sizeof(m));
	if (step == STEP_SEALED && is_short && in->n >= sizeof(m.header))
		wire_seal(&m, (enum wire_type)m.header.type, in->n, m.header.serial);
	judge(t, &m, in->n);
	expect(send(t->fd, is_short ? m.room : in->at, in->n, MSG_NOSIGNAL) == (ssize_t)in->n);
}

/* A part of a table is as the VMM set it, unless that has changed since. */
static void compare(struct talk *t, const struct wire_slots *s)
{
	struct wire_slot slots[WIRE_SLOTS_MAX];
	struct registry_view view;
	uint32_t n = registry_read(&t->registry, s->vm, s->first, WIRE_SLOTS_MAX, slots, &view);

	if (view.birth && view.generation == s->generation && view.total == s->total)
		expect(n == s->n && memcmp(slots, s->slots, n * sizeof(*slots)) == 0);
}

static void hear_one(struct talk *t, const union wire_message *m, size_t n)
{
	expect(wire_check(m, n, true, NULL) == 0);
	expect(t->is_welcomed || m->header.type == WIRE_HELLO);
	if (m->header.type == WIRE_SLOTS)
		compare(t, &m->slots);
	if (m->header.type == WIRE_COUNTS || m->header.type == WIRE_NUDGED) {
		expect(m->header.type == t->wanted && m->header.serial == t->serial);
		t->wanted = 0;
	} else {
		expect(m->header.serial == 0);
	}
}

/* Whether there was something. */
static bool hear(struct talk *t)
{
	static union wire_message m;
	bool was_there = false;
	ssize_t n;

	while (t->fd >= 0 && (n = recv(t->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC)) >= 0) {
		if (n > 0) {
			hear_one(t, &m, (size_t)n);
		} else {
			close(t->fd);
			t->fd = -1;
		}
		was_there = true;
	}
	return was_there;
}

/* Until the library has no more to say. */
static void converse(struct talk *t)
{
	do
		uplink_dispatch(&t->uplink);
	while (hear(t));
	expect((t->fd < 0) == t->must_end && (t->fd < 0 || !t->wanted));
}

/* --- the steps ------------------------------------------------------------------------------- */

static void do_step(struct talk *t, enum step step, struct input in)
{
	int vm = step == STEP_PACKET ? 0 : FIRST_VM + (int)(in.n > 0 ? in.at[0] % N_VMS : 0);
	struct input rest = in;

	(void)take(&rest, 1);
	switch (step) {
	case STEP_PACKET:
	case STEP_SEALED:
		say(t, step, &in);
		break;
	case STEP_ADD:
		(void)registry_add(&t->registry, vm, take(&rest, 1) & WIRE_VM_INCOMPLETE);
		break;
	case STEP_REMOVE:
		registry_remove(&t->registry, vm);
		break;
	case STEP_SLOT:
		set_slot(t, vm, &rest);
		break;
	case STEP_CAPABILITY:
		enable(t, vm, &rest);
		break;
	case STEP_KVM:
		kvm.failing = (uint32_t)take(&in, 2);
		kvm.statistics = in;
		break;
	case STEP_DISPATCH:
	case STEP_MAX:
		break;
	}
	if (step <= STEP_DISPATCH)
		converse(t);
}

static void talk(struct talk *t, const uint8_t *data, size_t size)
{
	for (int i = 0; i < STEPS_MAX && size >= 3 && t->fd >= 0; i++) {
		size_t n = (size_t)data[1] | (size_t)data[2] << 8;

		n = n < size - 3 ? n : size - 3;
		do_step(t, data[0] % STEP_MAX, (struct input){data + 3, n});
		data += 3 + n;
		size -= 3 + n;
	}
}

static char listener_dir[] = "/tmp/thpd-fuzz.XXXXXX";

static void listener_remove(void)
{
	char path[sizeof(listener_dir) + 4];

	(void)snprintf(path, sizeof(path), "%s/vmm", listener_dir);
	(void)unlink(path);
	(void)rmdir(listener_dir);
}

/* One socket for all inputs: the library finds it by the environment. */
static int listener(void)
{
	static int fd = -1;
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (fd >= 0)
		return fd;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	expect(fd >= 0 && mkdtemp(listener_dir) && atexit(listener_remove) == 0);
	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/vmm", listener_dir);
	expect(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 16) == 0);
	expect(setenv("THPD_VMM_SOCKET", a.sun_path, 1) == 0);
	return fd;
}

/* The library connects when its timer says so, which it does at once. */
static void greet(struct talk *t)
{
	struct pollfd p = {.fd = uplink_fd(&t->uplink), .events = POLLIN};

	expect(poll(&p, 1, 10000) == 1);
	uplink_dispatch(&t->uplink);
	t->fd = accept4(listener(), NULL, NULL, SOCK_CLOEXEC);
	expect(t->fd >= 0);
	hear(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct talk t;

	t = (struct talk){0};
	memset(&kvm, 0, sizeof(kvm));
	(void)listener();
	registry_init(&t.registry, ask_kvm);
	expect(uplink_init(&t.uplink, &t.registry) == 0);
	greet(&t);
	talk(&t, data, size);
	uplink_done(&t.uplink);
	registry_done(&t.registry);
	if (t.fd >= 0)
		close(t.fd);
	return 0;
}
