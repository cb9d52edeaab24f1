/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "wire.h"

enum { PAGE = 4096, SLOT_FLAGS = 1 << 0 | 1 << 1 | 1 << 2, ERRNO_MAX = 4095 };

static_assert(offsetof(struct wire_slots, slots) + WIRE_SLOTS_MAX * sizeof(struct wire_slot) <=
		      WIRE_MESSAGE_MAX,
	      "a full message fits");

size_t wire_slots_bytes(uint32_t n)
{
	return offsetof(struct wire_slots, slots) + n * sizeof(struct wire_slot);
}

void wire_seal(union wire_message *m, enum wire_type type, size_t bytes, uint32_t serial)
{
	m->header = (struct wire_header){
		.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.type = (uint16_t)type,
		.bytes = (uint32_t)bytes,
		.serial = serial,
	};
}

static const char *hello_fault(const struct wire_hello *h)
{
	const char *end = memchr(h->library, '\0', sizeof(h->library));

	if (!end)
		return "the library's version does not end";
	for (const char *c = h->library; c < end; c++)
		if (*c < 0x20 || *c > 0x7e)
			return "the library's version is not printable";
	return NULL;
}

static const char *slot_fault(const struct wire_slot *s)
{
	uint64_t end;

	if (s->bytes == 0 || (s->gpa | s->bytes | s->hva) % PAGE != 0)
		return "a slot is not whole pages";
	if (__builtin_add_overflow(s->gpa, s->bytes, &end) ||
	    __builtin_add_overflow(s->hva, s->bytes, &end))
		return "a slot goes beyond the address space";
	if (s->flags & ~(uint32_t)SLOT_FLAGS)
		return "a slot has unknown flags";
	if (s->address_space > 1)
		return "a slot's address space is unknown";
	return NULL;
}

static const char *slots_fault(const struct wire_slots *t)
{
	if (t->n > WIRE_SLOTS_MAX || t->header.bytes != wire_slots_bytes(t->n))
		return "the number of slots is not that of the bytes";
	if (t->vm >= WIRE_VMS_MAX)
		return "too many VMs";
	if (t->total > WIRE_TABLE_MAX || t->first > t->total || t->n > t->total - t->first)
		return "a part of a table lies outside of it";
	if ((t->n == 0) != (t->total == 0))
		return "a part of a table is empty";
	if (t->reserved != 0)
		return "a reserved field is used";
	for (uint32_t i = 0; i < t->n; i++) {
		const char *fault = slot_fault(&t->slots[i]);

		if (fault)
			return fault;
	}
	return NULL;
}

static const char *vm_fault(const struct wire_vm *v)
{
	if (v->vm >= WIRE_VMS_MAX)
		return "too many VMs";
	return v->flags & ~(uint32_t)WIRE_VM_FLAGS ? "a VM has unknown flags" : NULL;
}

static const char *vm_gone_fault(const struct wire_vm_gone *v)
{
	if (v->vm >= WIRE_VMS_MAX)
		return "too many VMs";
	return v->reserved != 0 ? "a reserved field is used" : NULL;
}

static const char *count_fault(const struct wire_count *c)
{
	if (c->vm >= WIRE_VMS_MAX)
		return "too many VMs";
	return c->reserved != 0 ? "a reserved field is used" : NULL;
}

static const char *counts_fault(const struct wire_counts *c)
{
	if (c->vm >= WIRE_VMS_MAX)
		return "too many VMs";
	if (c->err < 0 || c->err > ERRNO_MAX)
		return "an error is none";
	return c->err != 0 && (c->pages_4k | c->pages_2m | c->pages_1g | c->nx_splits) != 0
		       ? "counts come with an error"
		       : NULL;
}

static const char *nudge_fault(const struct wire_nudge *n)
{
	uint64_t end;

	if (n->vm >= WIRE_VMS_MAX)
		return "too many VMs";
	if (n->reserved != 0)
		return "a reserved field is used";
	return __builtin_add_overflow(n->start, n->bytes, &end)
		       ? "a range goes beyond the address space"
		       : NULL;
}

static const char *nudged_fault(const struct wire_nudged *n)
{
	if (n->vm >= WIRE_VMS_MAX)
		return "too many VMs";
	if (n->reserved != 0)
		return "a reserved field is used";
	if (n->result >= WIRE_NUDGE_RESULT_MAX)
		return "a nudge ended in an unknown way";
	if ((n->err != 0) != (n->result == WIRE_NUDGE_FAILED) || n->err < 0 || n->err > ERRNO_MAX)
		return "a nudge's error is none";
	return NULL;
}

/* Bytes of a message of that type; 0: it says itself; SIZE_MAX: there is no such type. */
static size_t size_of(uint16_t type)
{
	switch (type) {
	case WIRE_HELLO:
		return sizeof(struct wire_hello);
	case WIRE_VM:
		return sizeof(struct wire_vm);
	case WIRE_VM_GONE:
		return sizeof(struct wire_vm_gone);
	case WIRE_SLOTS:
		return 0;
	case WIRE_COUNTS:
		return sizeof(struct wire_counts);
	case WIRE_NUDGED:
		return sizeof(struct wire_nudged);
	case WIRE_WELCOME:
		return sizeof(struct wire_welcome);
	case WIRE_COUNT:
		return sizeof(struct wire_count);
	case WIRE_NUDGE:
		return sizeof(struct wire_nudge);
	default:
		return SIZE_MAX;
	}
}

static const char *body_fault(const union wire_message *m)
{
	switch (m->header.type) {
	case WIRE_HELLO:
		return hello_fault(&m->hello);
	case WIRE_VM:
		return vm_fault(&m->vm);
	case WIRE_VM_GONE:
		return vm_gone_fault(&m->vm_gone);
	case WIRE_SLOTS:
		return slots_fault(&m->slots);
	case WIRE_COUNT:
		return count_fault(&m->count);
	case WIRE_COUNTS:
		return counts_fault(&m->counts);
	case WIRE_NUDGE:
		return nudge_fault(&m->nudge);
	case WIRE_NUDGED:
		return nudged_fault(&m->nudged);
	default:
		return NULL;
	}
}

static const char *fault_of(const union wire_message *m, size_t bytes, bool is_from_vmm)
{
	size_t wanted = size_of(m->header.type);

	if (m->header.bytes != bytes)
		return "the length is not that of the packet";
	if (wanted == SIZE_MAX || (m->header.type < WIRE_WELCOME) != is_from_vmm)
		return "the type is unknown here";
	if (wanted ? bytes != wanted : bytes < wire_slots_bytes(0))
		return "the length is not that of the type";
	return body_fault(m);
}

int wire_check(const union wire_message *m, size_t bytes, bool is_from_vmm, const char **ret_why)
{
	const char *why = NULL;
	int r = 0;

	if (bytes < sizeof(m->header) || bytes > sizeof(*m) || m->header.magic != WIRE_MAGIC) {
		why = "no message of thpd's";
		r = -EPROTO;
	} else if (m->header.version != WIRE_VERSION) {
		why = "another version of the protocol";
		r = -EPROTONOSUPPORT;
	} else {
		why = fault_of(m, bytes, is_from_vmm);
		r = why ? -EPROTO : 0;
	}
	if (ret_why)
		*ret_why = why;
	return r;
}
