/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation. NEW, until it has said WIRE_HELLO and was sent WIRE_WELCOME; then GREETED.
 * Its VMs are told by WIRE_VM, and forgotten by WIRE_VM_GONE; each has a table of slots. A question
 * goes to one VM after the other; if the answers take too long it is given up, but what is owed is
 * waited for before the next one is asked: a VMM that stands still finds one message, not many.
 * Whoever breaks a law is closed by the server: there is no way back. */
#include "vmm_peer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bits.h"
#include "cleanup.h"
#include "slot_table.h"

#define NS_PER_S UINT64_C(1000000000)
/* The library greets as soon as it is connected, and answers by a thread of its own. */
#define GREET_NS  (5 * NS_PER_S)
#define ANSWER_NS (5 * NS_PER_S)
/* It takes milliseconds, on a large VM of an old kernel some hundred. */
#define NUDGE_NS (30 * NS_PER_S)

struct told_vm {
	bool is_there;
	uint32_t flags; /* WIRE_VM_... */
	struct slot_table table;
};

struct question {
	bool is_owed; /* the answer to `serial`, for `vm` */
	bool is_given_up;
	uint32_t serial; /* of the last one; 0: there was none */
	uint32_t vm;
	uint64_t since_ns; /* of the first VM's */
};

struct vmm_peer {
	int fd;
	struct vmm_identity who;
	void *owner; /* not owned */
	uint64_t since_ns;
	char library[sizeof(((struct wire_hello *)NULL)->library)];
	bool is_greeted;
	struct told_vm vms[WIRE_VMS_MAX];
	struct question question;
	struct vmm_answer answer;
};

const char *nudge_result_name(enum wire_nudge_result result)
{
	static const char *const names[WIRE_NUDGE_RESULT_MAX] = {
		[WIRE_NUDGE_DONE] = "done",	  [WIRE_NUDGE_NO_SLOT] = "no-slot",
		[WIRE_NUDGE_LOGGING] = "logging", [WIRE_NUDGE_UNCHEAP] = "uncheap",
		[WIRE_NUDGE_RING] = "ring",	  [WIRE_NUDGE_NO_VM] = "no-vm",
		[WIRE_NUDGE_FAILED] = "failed",
	};

	return result < WIRE_NUDGE_RESULT_MAX ? names[result] : "none";
}

struct vmm_peer *vmm_peer_new(int fd, const struct vmm_identity *who, uint64_t now_ns)
{
	struct vmm_peer *p = calloc(1, sizeof(*p));

	if (!p) {
		(void)close_fd(fd);
		(void)close_fd(who->pidfd);
		return NULL;
	}
	p->fd = fd;
	p->who = *who;
	p->since_ns = now_ns;
	return p;
}

struct vmm_peer *vmm_peer_free(struct vmm_peer *p)
{
	if (!p)
		return NULL;
	/* A scout that is out has its own descriptors: closing alone would not reach the VMM. */
	(void)shutdown(p->fd, SHUT_RDWR);
	(void)close_fd(p->fd);
	(void)close_fd(p->who.pidfd);
	for (size_t i = 0; i < ARRAY_SIZE(p->vms); i++)
		slot_table_clear(&p->vms[i].table);
	free(p);
	return NULL;
}

/* ---- what is known --------------------------------------------------------------------- */

int vmm_peer_fd(const struct vmm_peer *p)
{
	return p->fd;
}

const struct vmm_identity *vmm_peer_identity(const struct vmm_peer *p)
{
	return &p->who;
}

const char *vmm_peer_library(const struct vmm_peer *p)
{
	return p->is_greeted ? p->library : NULL;
}

void vmm_peer_set_owner(struct vmm_peer *p, void *owner)
{
	p->owner = owner;
}

void *vmm_peer_owner(const struct vmm_peer *p)
{
	return p->owner;
}

size_t vmm_peer_held_slots(const struct vmm_peer *p)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(p->vms); i++)
		n += slot_table_held(&p->vms[i].table);
	return n;
}

size_t vmm_peer_slots(const struct vmm_peer *p)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(p->vms); i++)
		n += p->vms[i].table.n;
	return n;
}

bool vmm_peer_is_complete(const struct vmm_peer *p)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(p->vms); i++) {
		const struct told_vm *vm = &p->vms[i];

		if (!vm->is_there)
			continue;
		if (!vm->table.is_whole || (vm->flags & WIRE_VM_INCOMPLETE))
			return false;
		n++;
	}
	return n > 0;
}

int vmm_peer_copy_slots(const struct vmm_peer *p, struct memslot **ret, size_t *ret_n)
{
	size_t n = 0, all = vmm_peer_slots(p);
	struct memslot *slots = all > 0 ? reallocarray(NULL, all, sizeof(*slots)) : NULL;

	if (all > 0 && !slots)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(p->vms); i++) {
		const struct slot_table *t = &p->vms[i].table;

		if (t->n > 0)
			memcpy(slots + n, t->slots, t->n * sizeof(*slots));
		n += t->n;
	}
	*ret = slots;
	*ret_n = n;
	return 0;
}

bool vmm_peer_is_silent(const struct vmm_peer *p, uint64_t now_ns)
{
	return !p->is_greeted && now_ns >= p->since_ns + GREET_NS;
}

/* ---- what it is sent ------------------------------------------------------------------- */

/* The VMM may be slow, or not read at all: it is never waited for. */
static int say(struct vmm_peer *p, union wire_message *m, enum wire_type type, size_t bytes)
{
	wire_seal(m, type, bytes, type == WIRE_WELCOME ? 0 : p->question.serial);
	if (send(p->fd, m, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EPIPE ? -ECONNRESET : -errno;
	return 0;
}

static int ask_next(struct vmm_peer *p, uint32_t first)
{
	struct question *q = &p->question;
	union wire_message m = {0};
	int r;

	for (q->vm = first; q->vm < WIRE_VMS_MAX && !p->vms[q->vm].is_there; q->vm++)
		;
	if (q->vm == WIRE_VMS_MAX)
		return -ENOENT;
	q->serial = q->serial == UINT32_MAX ? 1 : q->serial + 1;
	if (p->answer.question == WIRE_NUDGE)
		m.nudge = (struct wire_nudge){.vm = q->vm, .bytes = UINT64_MAX};
	else
		m.count.vm = q->vm;
	r = say(p, &m, p->answer.question,
		p->answer.question == WIRE_NUDGE ? sizeof(m.nudge) : sizeof(m.count));
	q->is_owed = r == 0;
	return r;
}

int vmm_peer_ask(struct vmm_peer *p, enum wire_type question, uint64_t now_ns)
{
	if (p->question.is_owed)
		return -EBUSY;
	p->answer = (struct vmm_answer){.question = question,
					.counts.source = KVM_SOURCE_VMM,
					.nudged.result = WIRE_NUDGE_RESULT_MAX};
	p->question.is_given_up = false;
	p->question.since_ns = now_ns;
	return ask_next(p, 0);
}

static void fail(struct vmm_peer *p, int err)
{
	p->answer = (struct vmm_answer){.question = p->answer.question, .err = err};
}

bool vmm_peer_give_up(struct vmm_peer *p, uint64_t now_ns)
{
	struct question *q = &p->question;
	uint64_t patience_ns = p->answer.question == WIRE_NUDGE ? NUDGE_NS : ANSWER_NS;

	if (!q->is_owed || q->is_given_up || now_ns < q->since_ns + patience_ns)
		return false;
	q->is_given_up = true;
	fail(p, -ETIMEDOUT);
	return true;
}

const struct vmm_answer *vmm_peer_answer(const struct vmm_peer *p)
{
	return &p->answer;
}

/* ---- what it says ---------------------------------------------------------------------- */

static int breach(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EPROTO;
}

static int take_hello(struct vmm_peer *p, const struct wire_hello *h)
{
	union wire_message welcome = {0};
	int r = say(p, &welcome, WIRE_WELCOME, sizeof(welcome.welcome));

	if (r < 0)
		return r;
	memcpy(p->library, h->library, sizeof(p->library));
	p->is_greeted = true;
	return VMM_GREETED;
}

static int take_gone(struct told_vm *vm)
{
	slot_table_clear(&vm->table);
	*vm = (struct told_vm){0};
	return VMM_TOLD;
}

/* What the other VMs leave for this one. */
static size_t room_for(const struct vmm_peer *p, const struct slot_table *t)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(p->vms); i++)
		if (&p->vms[i].table != t)
			n += slot_table_claimed(&p->vms[i].table);
	return sat_sub_u64(WIRE_TABLE_MAX, n);
}

static int take_slots(struct vmm_peer *p, const struct wire_slots *w, const char **ret_why)
{
	struct slot_table *t = &p->vms[w->vm].table;
	struct memslot slots[WIRE_SLOTS_MAX];
	const struct slot_part part = {
		.generation = w->generation,
		.first = w->first,
		.total = w->total,
		.slots = slots,
		.n = w->n,
	};
	int r;

	static_assert(WIRE_SLOTS_MAX * sizeof(struct memslot) <= 4096, "on the stack");
	for (uint32_t i = 0; i < w->n; i++)
		slots[i] = (struct memslot){
			.gpa = w->slots[i].gpa,
			.bytes = w->slots[i].bytes,
			.hva = w->slots[i].hva,
			.flags = w->slots[i].flags,
			.slot = w->slots[i].slot,
			.address_space = w->slots[i].address_space,
		};
	r = slot_table_take(t, &part, room_for(p, t), ret_why);
	return r == 1 ? VMM_TOLD : r;
}

static void sum_up(struct kvm_counts *sum, const struct wire_counts *c)
{
	sum->pages_4k = sat_add_u64(sum->pages_4k, c->pages_4k);
	sum->pages_2m = sat_add_u64(sum->pages_2m, c->pages_2m);
	sum->pages_1g = sat_add_u64(sum->pages_1g, c->pages_1g);
	sum->nx_splits = sat_add_u64(sum->nx_splits, c->nx_splits);
}

static void add_up(struct vmm_nudged *sum, const struct wire_nudged *n)
{
	bool is_first = sum->result == WIRE_NUDGE_RESULT_MAX;

	if (n->result == WIRE_NUDGE_DONE || is_first) {
		sum->result = (enum wire_nudge_result)n->result;
		sum->err = -n->err;
	}
	sum->n_toggled += n->n_toggled;
	sum->n_passed_over += n->n_passed_over;
	sum->toggled_bytes = sat_add_u64(sum->toggled_bytes, n->toggled_bytes);
	sum->took_ns = sat_add_u64(sum->took_ns, n->took_ns);
	sum->worst_call_ns = max_u64(sum->worst_call_ns, n->worst_call_ns);
}

/* Goes on with the next VM, if there is one. */
static int take_part_of_answer(struct vmm_peer *p, const union wire_message *m, uint64_t now_ns)
{
	bool is_nudged = m->header.type == WIRE_NUDGED;
	int err = is_nudged ? 0 : -m->counts.err, r;

	p->question.is_owed = false;
	if (p->question.is_given_up)
		return VMM_NOTHING;
	if (is_nudged)
		add_up(&p->answer.nudged, &m->nudged);
	else
		sum_up(&p->answer.counts, &m->counts);
	p->answer.counts.read_ns = now_ns;
	r = err < 0 ? err : ask_next(p, p->question.vm + 1);
	if (r == 0)
		return VMM_NOTHING;
	/* ENOENT of ours: there is no further VM. */
	if (r != -ENOENT || err < 0)
		fail(p, r);
	return VMM_ANSWERED;
}

static int take_answer(struct vmm_peer *p, const union wire_message *m, uint64_t now_ns,
		       const char **ret_why)
{
	uint16_t wanted = p->answer.question == WIRE_NUDGE ? WIRE_NUDGED : WIRE_COUNTS;

	static_assert(offsetof(struct wire_counts, vm) == offsetof(struct wire_nudged, vm), "");
	if (!p->question.is_owed || m->header.type != wanted ||
	    m->header.serial != p->question.serial || m->counts.vm != p->question.vm)
		return breach("an answer to what was not asked", ret_why);
	return take_part_of_answer(p, m, now_ns);
}

static int take_told(struct vmm_peer *p, const union wire_message *m, const char **ret_why)
{
	/* Each of the three has the number in the same place. */
	struct told_vm *vm = &p->vms[m->vm.vm];

	static_assert(offsetof(struct wire_vm, vm) == offsetof(struct wire_slots, vm) &&
			      offsetof(struct wire_vm, vm) == offsetof(struct wire_vm_gone, vm),
		      "");
	if (m->header.type != WIRE_VM && !vm->is_there)
		return breach("a VM that it has not told of", ret_why);
	if (m->header.type == WIRE_VM_GONE)
		return take_gone(vm);
	if (m->header.type == WIRE_SLOTS)
		return take_slots(p, &m->slots, ret_why);
	vm->is_there = true;
	vm->flags = m->vm.flags;
	return VMM_TOLD;
}

static int take_message(struct vmm_peer *p, const union wire_message *m, uint64_t now_ns,
			const char **ret_why)
{
	bool is_hello = m->header.type == WIRE_HELLO;

	if (is_hello && p->is_greeted)
		return breach("it greets twice", ret_why);
	if (!is_hello && !p->is_greeted)
		return breach("it does not greet first", ret_why);
	if (is_hello)
		return take_hello(p, &m->hello);
	if (m->header.type == WIRE_COUNTS || m->header.type == WIRE_NUDGED)
		return take_answer(p, m, now_ns, ret_why);
	return take_told(p, m, ret_why);
}

/* Descriptors that come along are not received, so the kernel closes them. */
int vmm_peer_read(struct vmm_peer *p, uint64_t now_ns, const char **ret_why)
{
	union wire_message m;
	ssize_t n = recv(p->fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);
	int r;

	if (n == 0)
		return -ECONNRESET;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? VMM_NOTHING : -errno;
	if ((size_t)n > sizeof(m))
		return breach("a message is too long", ret_why);
	r = wire_check(&m, (size_t)n, true, ret_why);
	return r < 0 ? r : take_message(p, &m, now_ns, ret_why);
}
