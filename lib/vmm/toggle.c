/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. When a slot's dirty log is switched off, KVM (x86) gives back the huge
 * mappings that a log forbids, wherever the host has huge pages (KERNEL.md 4.4). Switching it on is
 * dear by default: all of the slot is split and write-protected. With
 * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 and INITIALLY_SET nothing is before a part of the log is
 * cleared, and here none ever is, so that it costs a bitmap and two changes of the memslots. That
 * is the VMM's to ask for, QEMU does: it changes what the VMM reads from its log, and so is never
 * switched on for it.
 *
 * A VMM that logs has reasons, and a slot that logs is left alone. If that is half of the memory or
 * more, it is a migration or the like, and nothing is done at all; less is a display, whose memory
 * QEMU logs as long as it is there (KERNEL.md 4.8). While a log is being switched on everywhere,
 * slot by slot, the lock is between that and this. Nor is anything done where the table may not be
 * KVM's, or with a dirty ring, which every vCPU's writes would fill.
 *
 * A slot that is deleted and made anew was measured as well (docs/NUDGE.md; here of 6.12 and 7).
 * The calls took 1.6 to 3.3 times as long as a nudge's, and the slowest step of a guest of the same
 * size was, by the median, 1.5 to 12.4 times that of one that is left alone, instead of 1.2 to 1.8
 * times. It was not chosen, since the guest finds nothing there in between, and to stop its vCPUs
 * meanwhile, as was done there, is for the VMM and not for a library in it.
 *
 * One slot at a time: the lock is dropped in between and given to who waits for it, so that the
 * VMM's own calls wait for one slot; what may be is then judged anew. Whatever ends the process
 * ends the log with it. */

#include <errno.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <time.h>

#include "toggle.h"

enum {
	OFF_TRIES = 3, /* memory is short for a moment: KVM copies its slots at each change */
	/* KVM_MEM_READONLY: nothing is given back; KVM_MEM_GUEST_MEMFD: never changed. */
	PASSED_OVER = KVM_MEM_LOG_DIRTY_PAGES | 1 << 1 | 1 << 2,
};

struct toggle {
	struct registry *r;
	const struct wire_nudge *q;
	struct wire_nudged *ret;
	uint64_t birth; /* of the VM; 0: not begun */
	uint32_t key;	/* the next slot is not below */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* 0 or a negative errno. */
static int slot_set(const struct registry *r, int fd, const struct wire_slot *s, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = registry_key(s),
		.flags = flags,
		.guest_phys_addr = s->gpa,
		.memory_size = s->bytes,
		.userspace_addr = s->hva,
	};

	return r->ask(fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

static int timed_set(struct toggle *t, int fd, const struct wire_slot *s, uint32_t flags)
{
	uint64_t start = now_ns(), took;
	int e = slot_set(t->r, fd, s, flags);

	took = now_ns() - start;
	if (took > t->ret->worst_call_ns)
		t->ret->worst_call_ns = took;
	return e;
}

/* --- what may be done ------------------------------------------------------------------------ */

static bool is_vm(struct registry *r, struct registry_vm *v)
{
	if (r->ask(v->fd, KVM_CHECK_EXTENSION, (void *)(uintptr_t)KVM_CAP_USER_MEMORY) > 0)
		return true;
	registry_forget(r, v);
	return false;
}

static bool is_logging(const struct registry_vm *v)
{
	return v->is_left_on || (v->bytes > 0 && v->logging_bytes >= v->bytes - v->logging_bytes);
}

static enum wire_nudge_result judge(struct toggle *t, struct registry_vm *v)
{
	const uint32_t cheap = WIRE_VM_MANUAL_PROTECT | WIRE_VM_INITIALLY_SET;

	if ((t->birth && t->birth != v->birth) || !is_vm(t->r, v))
		return WIRE_NUDGE_NO_VM;
	if (v->flags & WIRE_VM_INCOMPLETE)
		return WIRE_NUDGE_NO_SLOT;
	if (is_logging(v))
		return WIRE_NUDGE_LOGGING;
	if (v->flags & WIRE_VM_DIRTY_RING)
		return WIRE_NUDGE_RING;
	return (v->flags & cheap) == cheap ? WIRE_NUDGE_DONE : WIRE_NUDGE_UNCHEAP;
}

static bool is_in_range(const struct wire_nudge *q, const struct wire_slot *s)
{
	return s->hva < q->start + q->bytes && q->start < s->hva + s->bytes;
}

static struct wire_slot *next_slot(struct toggle *t, struct registry_vm *v)
{
	for (uint32_t i = registry_find(v, t->key); i < v->n; i++) {
		struct wire_slot *s = &v->slots[i];

		if (!is_in_range(t->q, s))
			continue;
		t->key = registry_key(s) + 1;
		if (!(s->flags & PASSED_OVER))
			return s;
		t->ret->n_passed_over++;
	}
	return NULL;
}

/* --- doing it -------------------------------------------------------------------------------- */

static int switch_off(struct toggle *t, struct registry_vm *v, const struct wire_slot *s)
{
	int e = -EINVAL;

	for (int i = 0; i < OFF_TRIES && e < 0; i++)
		e = timed_set(t, v->fd, s, s->flags & ~(uint32_t)KVM_MEM_LOG_DIRTY_PAGES);
	return e;
}

static void left_on(struct toggle *t, struct registry_vm *v, struct wire_slot *s)
{
	v->is_left_on = true;
	v->left_key = registry_key(s);
	registry_reflag(t->r, v, s, s->flags, true);
}

static int toggle_slot(struct toggle *t, struct registry_vm *v, struct wire_slot *s)
{
	const uint32_t flags = s->flags;
	int e = timed_set(t, v->fd, s, flags | KVM_MEM_LOG_DIRTY_PAGES);

	if (e < 0)
		return e;
	registry_reflag(t->r, v, s, flags | KVM_MEM_LOG_DIRTY_PAGES, false);
	e = switch_off(t, v, s);
	if (e < 0) {
		left_on(t, v, s);
		return e;
	}
	registry_reflag(t->r, v, s, flags, false);
	t->ret->n_toggled++;
	t->ret->toggled_bytes += s->bytes;
	return 0;
}

/* Whether there may be another one. */
static bool toggle_next(struct toggle *t, struct registry_vm *v)
{
	enum wire_nudge_result result = judge(t, v);
	struct wire_slot *s;
	int e;

	t->ret->result = result;
	if (result != WIRE_NUDGE_DONE)
		return false;
	t->birth = v->birth;
	s = next_slot(t, v);
	if (!s)
		return false;
	e = toggle_slot(t, v, s);
	if (e < 0) {
		t->ret->result = WIRE_NUDGE_FAILED;
		t->ret->err = -e;
	}
	return e == 0;
}

static bool toggle_step(struct toggle *t)
{
	struct registry_vm *v = registry_hold(t->r, t->q->vm);
	bool is_more;

	if (!v) {
		t->ret->result = WIRE_NUDGE_NO_VM;
		return false;
	}
	is_more = toggle_next(t, v);
	registry_release(t->r);
	return is_more;
}

void toggle_nudge(struct registry *r, const struct wire_nudge *q, struct wire_nudged *ret)
{
	struct toggle t = {.r = r, .q = q, .ret = ret};
	uint64_t start = now_ns();
	int saved = errno;

	*ret = (struct wire_nudged){.header = ret->header, .vm = q->vm};
	while (toggle_step(&t))
		;
	if (ret->result == WIRE_NUDGE_DONE && ret->n_toggled == 0)
		ret->result = WIRE_NUDGE_NO_SLOT;
	ret->took_ns = now_ns() - start;
	errno = saved;
}

void toggle_settle(struct registry *r, uint32_t vm)
{
	struct registry_vm *v = registry_hold(r, vm);
	int saved = errno;

	if (!v)
		return;
	if (v->is_left_on) {
		struct wire_slot *s = &v->slots[registry_find(v, v->left_key)];
		uint32_t flags = s->flags & ~(uint32_t)KVM_MEM_LOG_DIRTY_PAGES;

		if (slot_set(r, v->fd, s, flags) == 0) {
			v->is_left_on = false;
			registry_reflag(r, v, s, flags, true);
		}
	}
	registry_release(r);
	errno = saved;
}
