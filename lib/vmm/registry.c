/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. The ioctl is made under the lock and recorded before it is dropped, so that
 * the table is KVM's whenever nobody holds it, and a nudge never sets a slot that is not there any
 * more: KVM would make it anew. What the ioctl said is read after KVM took it, so that a bad
 * pointer is KVM's to refuse.
 *
 * Not seen, and why it does no harm: a VM that is closed by other ways than those that are told of
 * stays in the record until KVM_CREATE_VM returns its number again, or until a nudge asks KVM and
 * hears that this is no VM. A VM that comes by a duplicate of its descriptor is incomplete, with
 * all others. What would do harm: memslots that are set past the ioctl() of the C library, of a VM
 * that was made by it. */

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "registry.h"

/* Linux 6.8; it begins like the structure of the older one. */
#define SET_MEMORY_REGION2 _IOC(_IOC_WRITE, KVMIO, 0x49, 160)

enum {
	NO_VM = -1,
	ROOM_FIRST = 128, /* slots: one page */
	ROOM_MAX = 65536, /* WIRE_TABLE_MAX and the least that doubling gives */
	KNOWN_FLAGS = 1 << 0 | 1 << 1 | 1 << 2,
};

static_assert(ROOM_MAX >= (int)WIRE_TABLE_MAX, "the largest table has room");

static void tell_change(struct registry *r)
{
	const uint64_t one = 1;
	int fd = atomic_load(&r->changed_fd);

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return; /* it is full: nobody has looked since the last one */
}

static void table_changed(struct registry *r, struct registry_vm *v)
{
	v->generation++;
	tell_change(r);
}

static void table_uncertain(struct registry *r, struct registry_vm *v)
{
	v->flags |= WIRE_VM_INCOMPLETE;
	tell_change(r);
}

/* --- VMs ------------------------------------------------------------------------------------- */

static void forget_in_child(void *userdata)
{
	struct registry *r = userdata;

	for (size_t i = 0; i < WIRE_VMS_MAX; i++)
		atomic_store(&r->fds[i], NO_VM);
	atomic_store(&r->changed_fd, -1);
	if (r->forget)
		r->forget(r->userdata);
}

void registry_init(struct registry *r, registry_ask *ask)
{
	memset(r, 0, sizeof(*r));
	r->ask = ask;
	for (size_t i = 0; i < WIRE_VMS_MAX; i++)
		atomic_init(&r->fds[i], NO_VM);
	atomic_init(&r->changed_fd, -1);
	forklock_init(&r->lock, forget_in_child, r);
}

static void table_free(struct registry_vm *v)
{
	if (v->slots)
		munmap(v->slots, v->room * sizeof(*v->slots));
}

void registry_done(struct registry *r)
{
	forklock_done(&r->lock);
	for (size_t i = 0; i < WIRE_VMS_MAX; i++)
		table_free(&r->vms[i]);
}

void registry_tell(struct registry *r, int changed_fd, void (*forget)(void *userdata),
		   void *userdata)
{
	if (!forklock_take(&r->lock))
		return;
	atomic_store(&r->changed_fd, changed_fd);
	r->forget = forget;
	r->userdata = userdata;
	forklock_drop(&r->lock);
}

static size_t index_of(const struct registry *r, int fd)
{
	size_t i = 0;

	while (i < WIRE_VMS_MAX && atomic_load_explicit(&r->fds[i], memory_order_relaxed) != fd)
		i++;
	return i;
}

bool registry_knows(const struct registry *r, int fd)
{
	return fd >= 0 && index_of(r, fd) < WIRE_VMS_MAX;
}

static struct registry_vm *vm_of(struct registry *r, int fd)
{
	size_t i = index_of(r, fd);

	return i < WIRE_VMS_MAX ? &r->vms[i] : NULL;
}

static int vm_add(struct registry *r, int fd, uint32_t flags)
{
	size_t i = index_of(r, NO_VM);

	if (registry_knows(r, fd))
		return -EEXIST;
	if (i == WIRE_VMS_MAX)
		return -ENOSPC;
	r->vms[i] = (struct registry_vm){.birth = ++r->births, .fd = fd, .flags = flags};
	atomic_store(&r->fds[i], fd);
	tell_change(r);
	return 0;
}

int registry_add(struct registry *r, int fd, uint32_t flags)
{
	int saved = errno, e;

	if (!forklock_take(&r->lock))
		return 0;
	e = vm_add(r, fd, flags);
	if (e != -EEXIST && (flags & WIRE_VM_INCOMPLETE))
		for (size_t i = 0; i < WIRE_VMS_MAX; i++)
			if (r->vms[i].birth)
				table_uncertain(r, &r->vms[i]);
	forklock_drop(&r->lock);
	errno = saved;
	return e;
}

void registry_wake(struct registry *r)
{
	int saved = errno;

	if (!forklock_take(&r->lock))
		return;
	tell_change(r);
	forklock_drop(&r->lock);
	errno = saved;
}

void registry_forget(struct registry *r, struct registry_vm *v)
{
	atomic_store(&r->fds[v - r->vms], NO_VM);
	table_free(v);
	*v = (struct registry_vm){0};
	tell_change(r);
}

void registry_remove(struct registry *r, int fd)
{
	struct registry_vm *v;
	int saved = errno;

	if (!registry_knows(r, fd) || !forklock_take(&r->lock))
		return;
	v = vm_of(r, fd);
	if (v)
		registry_forget(r, v);
	forklock_drop(&r->lock);
	errno = saved;
}

void registry_remove_range(struct registry *r, unsigned int first, unsigned int last)
{
	for (size_t i = 0; i < WIRE_VMS_MAX; i++) {
		int fd = atomic_load_explicit(&r->fds[i], memory_order_relaxed);

		if (fd >= 0 && (unsigned int)fd >= first && (unsigned int)fd <= last)
			registry_remove(r, fd);
	}
}

/* --- slots ----------------------------------------------------------------------------------- */

static uint32_t key_of(uint32_t address_space, uint32_t slot)
{
	return address_space << 16 | slot;
}

uint32_t registry_key(const struct wire_slot *s)
{
	return key_of(s->address_space, s->slot);
}

uint32_t registry_find(const struct registry_vm *v, uint32_t key)
{
	uint32_t low = 0, high = v->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (registry_key(&v->slots[middle]) < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool table_grow(struct registry_vm *v)
{
	uint32_t room = v->room ? 2 * v->room : ROOM_FIRST;
	void *slots;

	if (v->n < v->room)
		return true;
	if (room > ROOM_MAX)
		return false;
	if (v->slots)
		slots = mremap(v->slots, v->room * sizeof(*v->slots), room * sizeof(*v->slots),
			       MREMAP_MAYMOVE);
	else
		slots = mmap(NULL, room * sizeof(*v->slots), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED)
		return false;
	v->slots = slots;
	v->room = room;
	return true;
}

static uint64_t logging_bytes(const struct wire_slot *s)
{
	return s->flags & KVM_MEM_LOG_DIRTY_PAGES ? s->bytes : 0;
}

/* Before a slot is another one or gone, and after it has become that. */
static void count_out(struct registry_vm *v, const struct wire_slot *s)
{
	v->bytes -= s->bytes;
	v->logging_bytes -= logging_bytes(s);
}

static void count_in(struct registry_vm *v, const struct wire_slot *s)
{
	v->bytes += s->bytes;
	v->logging_bytes += logging_bytes(s);
}

static struct wire_slot *slot_insert(struct registry_vm *v, uint32_t at)
{
	if (v->n == WIRE_TABLE_MAX || !table_grow(v))
		return NULL;
	memmove(&v->slots[at + 1], &v->slots[at], (v->n - at) * sizeof(*v->slots));
	v->slots[at] = (struct wire_slot){0};
	v->n++;
	return &v->slots[at];
}

static void slot_delete(struct registry_vm *v, uint32_t at)
{
	count_out(v, &v->slots[at]);
	v->n--;
	memmove(&v->slots[at], &v->slots[at + 1], (v->n - at) * sizeof(*v->slots));
}

void registry_reflag(struct registry *r, struct registry_vm *v, struct wire_slot *s, uint32_t flags,
		     bool is_told)
{
	count_out(v, s);
	s->flags = flags;
	count_in(v, s);
	if (is_told)
		table_changed(r, v);
}

/* What the VMM says of a slot settles what a nudge left there. */
static void learn_slot(struct registry *r, struct registry_vm *v,
		       const struct kvm_userspace_memory_region *m)
{
	uint32_t at = registry_find(v, m->slot);
	bool is_there = at < v->n && registry_key(&v->slots[at]) == m->slot;
	struct wire_slot *s = is_there ? &v->slots[at] : NULL;

	v->is_left_on = v->is_left_on && v->left_key != m->slot;
	if (m->memory_size == 0) {
		if (is_there)
			slot_delete(v, at);
		table_changed(r, v);
		return;
	}
	if (!s && m->slot >> 16 <= 1)
		s = slot_insert(v, at);
	if (!s) {
		table_uncertain(r, v);
		return;
	}
	count_out(v, s);
	*s = (struct wire_slot){
		.gpa = m->guest_phys_addr,
		.bytes = m->memory_size,
		.hva = m->userspace_addr,
		.flags = m->flags & KNOWN_FLAGS,
		.slot = (uint16_t)m->slot,
		.address_space = (uint16_t)(m->slot >> 16),
	};
	count_in(v, s);
	/* Flags of a later kernel: a nudge, which sets the slot anew, would take them away. */
	if (m->flags & ~(uint32_t)KNOWN_FLAGS)
		table_uncertain(r, v);
	table_changed(r, v);
}

static void learn_capability(struct registry *r, struct registry_vm *v,
			     const struct kvm_enable_cap *c)
{
	if (c->cap == KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) {
		v->flags &= ~(uint32_t)(WIRE_VM_MANUAL_PROTECT | WIRE_VM_INITIALLY_SET);
		if (c->args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
			v->flags |= WIRE_VM_MANUAL_PROTECT;
		if (c->args[0] & KVM_DIRTY_LOG_INITIALLY_SET)
			v->flags |= WIRE_VM_INITIALLY_SET;
		tell_change(r);
	} else if (c->cap == KVM_CAP_DIRTY_LOG_RING || c->cap == KVM_CAP_DIRTY_LOG_RING_ACQ_REL) {
		v->flags |= WIRE_VM_DIRTY_RING;
		tell_change(r);
	}
}

bool registry_wants(unsigned long request)
{
	return request == KVM_SET_USER_MEMORY_REGION || request == SET_MEMORY_REGION2 ||
	       request == KVM_ENABLE_CAP;
}

int registry_ioctl(struct registry *r, int fd, unsigned long request, void *argument)
{
	struct registry_vm *v;
	int result, saved;

	if (!registry_wants(request) || !registry_knows(r, fd) || !forklock_take(&r->lock))
		return r->ask(fd, request, argument);
	result = r->ask(fd, request, argument);
	saved = errno;
	v = vm_of(r, fd);
	if (v && result == 0 && request == KVM_ENABLE_CAP)
		learn_capability(r, v, argument);
	else if (v && result == 0)
		learn_slot(r, v, argument);
	forklock_drop(&r->lock);
	errno = saved;
	return result;
}

/* --- reading --------------------------------------------------------------------------------- */

struct registry_vm *registry_hold(struct registry *r, uint32_t vm)
{
	if (vm >= WIRE_VMS_MAX || !forklock_take(&r->lock))
		return NULL;
	if (r->vms[vm].birth)
		return &r->vms[vm];
	forklock_drop(&r->lock);
	return NULL;
}

void registry_release(struct registry *r)
{
	forklock_drop(&r->lock);
}

uint32_t registry_read(struct registry *r, uint32_t vm, uint32_t first, uint32_t max,
		       struct wire_slot *ret_slots, struct registry_view *ret_view)
{
	const struct registry_vm *v = registry_hold(r, vm);
	uint32_t n = 0;

	*ret_view = (struct registry_view){0};
	if (!v)
		return 0;
	if (first < v->n)
		n = v->n - first < max ? v->n - first : max;
	if (n > 0)
		memcpy(ret_slots, &v->slots[first], n * sizeof(*ret_slots));
	*ret_view = (struct registry_view){v->birth, v->flags, v->generation, v->n};
	registry_release(r);
	return n;
}
