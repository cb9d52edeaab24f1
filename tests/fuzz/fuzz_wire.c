/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One packet between a VMM and thpd. The first byte says which end has it, and whether its header
 * is made right, so that what is random is the body. What passed can be used: every number and text
 * is read, and keeps its laws; not a byte beyond the packet is looked at. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

enum { FROM_VMM = 1 << 0, RIGHT_HEADER = 1 << 1, PAGE = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
	if (!is_true)
		abort();
}

static uint64_t end_of(uint64_t start, uint64_t bytes)
{
	expect(start <= UINT64_MAX - bytes);
	return start + bytes;
}

static void use_slots(const struct wire_slots *t)
{
	expect(t->vm < WIRE_VMS_MAX && t->n <= WIRE_SLOTS_MAX && t->total <= WIRE_TABLE_MAX);
	expect((uint64_t)t->first + t->n <= t->total && (t->n > 0 || t->total == 0));
	for (uint32_t i = 0; i < t->n; i++) {
		const struct wire_slot *s = &t->slots[i];

		expect(s->bytes >= PAGE && s->address_space <= 1);
		expect(end_of(s->gpa, s->bytes) % PAGE == 0 &&
		       end_of(s->hva, s->bytes) % PAGE == 0);
	}
}

static void use_counts(const struct wire_counts *c)
{
	expect(c->vm < WIRE_VMS_MAX && c->err >= 0);
	expect(c->err == 0 || (c->pages_4k | c->pages_2m | c->pages_1g | c->nx_splits) == 0);
}

static void use_nudged(const struct wire_nudged *n)
{
	expect(n->vm < WIRE_VMS_MAX && n->result < WIRE_NUDGE_RESULT_MAX && n->err >= 0);
	expect((n->result == WIRE_NUDGE_FAILED) == (n->err > 0));
}

static void use(const union wire_message *m)
{
	switch (m->header.type) {
	case WIRE_HELLO:
		expect(strlen(m->hello.library) < sizeof(m->hello.library));
		break;
	case WIRE_VM:
		expect(m->vm.vm < WIRE_VMS_MAX && (m->vm.flags & ~(uint32_t)WIRE_VM_FLAGS) == 0);
		break;
	case WIRE_VM_GONE:
		expect(m->vm_gone.vm < WIRE_VMS_MAX);
		break;
	case WIRE_SLOTS:
		use_slots(&m->slots);
		break;
	case WIRE_COUNTS:
		use_counts(&m->counts);
		break;
	case WIRE_NUDGED:
		use_nudged(&m->nudged);
		break;
	case WIRE_WELCOME:
		break;
	case WIRE_COUNT:
		expect(m->count.vm < WIRE_VMS_MAX);
		break;
	case WIRE_NUDGE:
		expect(m->nudge.vm < WIRE_VMS_MAX);
		(void)end_of(m->nudge.start, m->nudge.bytes);
		break;
	default:
		abort();
	}
}

/* What is sealed with its own type and size is the same message. */
static void seal_again(const union wire_message *m, size_t bytes, bool is_from_vmm)
{
	union wire_message again = {0};

	memcpy(&again, m, bytes);
	wire_seal(&again, (enum wire_type)m->header.type, bytes, m->header.serial);
	expect(memcmp(&again, m, bytes) == 0 && wire_check(&again, bytes, is_from_vmm, NULL) == 0);
}

static void try(const union wire_message *m, size_t bytes, bool is_from_vmm)
{
	const char *why = "";
	int r = wire_check(m, bytes, is_from_vmm, &why);

	expect(r == 0 || r == -EPROTO || r == -EPROTONOSUPPORT);
	expect((r == 0) == !why && wire_check(m, bytes, is_from_vmm, NULL) == r);
	if (r < 0)
		return;
	expect(wire_check(m, bytes, !is_from_vmm, NULL) == -EPROTO);
	use(m);
	seal_again(m, bytes, is_from_vmm);
}

/* The packet alone is allocated, not the room that a receiver has for the longest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union wire_message *m;
	size_t bytes;

	if (size == 0)
		return 0;
	bytes = size - 1;
	m = malloc(bytes + 1);
	if (!m)
		abort();
	memcpy(m, data + 1, bytes);
	if ((data[0] & RIGHT_HEADER) && bytes >= sizeof(m->header) && bytes <= sizeof(*m))
		wire_seal(m, (enum wire_type)m->header.type, bytes, m->header.serial);
	try(m, bytes, data[0] & FROM_VMM);
	free(m);
	return 0;
}
