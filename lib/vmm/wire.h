/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the library inside a VMM and thpd say to each other, over a SOCK_SEQPACKET socket in thpd's
 * runtime directory: one message a packet, numbers in the machine's own order, since both ends run
 * on it. The VMM connects, says WIRE_HELLO, and is answered WIRE_WELCOME; then it tells of its VMs
 * and memslots whenever they change, and thpd may ask for KVM's counts and for nudges, one question
 * at a time. Descriptors are never sent: one of KVM's statistics would keep a VM that was closed
 * (Linux 6.5), and what a hostile VMM sent in its place could block. Either end may vanish at any
 * time. Neither believes the other: wire_check() comes before anything is used. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WIRE_MAGIC = 0x76706874, /* "thpv" in memory */
	WIRE_VERSION = 1,
	WIRE_SLOTS_MAX = 64,	    /* in one message */
	WIRE_TABLE_MAX = 2 * 32764, /* slots of one VM: KVM's bound in each of two address spaces */
	WIRE_VMS_MAX = 16,	    /* of one VMM */
	WIRE_MESSAGE_MAX = 4096,    /* bytes */
};

enum wire_type {
	/* From the VMM. */
	WIRE_HELLO = 1,
	WIRE_VM,      /* there is a VM, or something of it but its slots changed */
	WIRE_VM_GONE, /* its fd was closed */
	WIRE_SLOTS,   /* a part of a VM's table of memslots, in order; the table counts when it is
			 whole */
	WIRE_COUNTS,  /* the answer to WIRE_COUNT of the same serial */
	WIRE_NUDGED,  /* the answer to WIRE_NUDGE of the same serial */
	/* From thpd. */
	WIRE_WELCOME = 64,
	WIRE_COUNT,
	WIRE_NUDGE,
};

struct wire_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint32_t bytes;	 /* of the whole message */
	uint32_t serial; /* of a question and its answer; else 0 */
};

struct wire_hello {
	struct wire_header header;
	char library[32]; /* version of the library; NUL-terminated, printable ASCII */
};

struct wire_welcome {
	struct wire_header header;
};

enum {
	WIRE_VM_INCOMPLETE = 1 << 0,	 /* slots were set before the library saw the VM */
	WIRE_VM_MANUAL_PROTECT = 1 << 1, /* KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 is on */
	WIRE_VM_INITIALLY_SET = 1 << 2,	 /* with KVM_DIRTY_LOG_INITIALLY_SET */
	WIRE_VM_DIRTY_RING = 1 << 3,	 /* KVM_CAP_DIRTY_LOG_RING is on */
	WIRE_VM_FLAGS = (1 << 4) - 1,
};

struct wire_vm {
	struct wire_header header;
	uint32_t vm; /* the library's number for it, below WIRE_VMS_MAX */
	uint32_t flags;
};

struct wire_vm_gone {
	struct wire_header header;
	uint32_t vm;
	uint32_t reserved; /* 0 */
};

struct wire_slot {
	uint64_t gpa, bytes, hva; /* bytes > 0; each a multiple of 4096; no sum overflows */
	uint32_t flags;		  /* KVM_MEM_LOG_DIRTY_PAGES, _READONLY, _GUEST_MEMFD */
	uint16_t slot, address_space;
};

struct wire_slots {
	struct wire_header header;
	uint32_t vm;
	uint32_t generation;	  /* of the table: parts of two are never mixed */
	uint32_t first, n, total; /* slots [first, first + n) of total; n = 0 only if total = 0 */
	uint32_t reserved;	  /* 0 */
	struct wire_slot slots[];
};

/* A question about one VM, which needs to say no more. */
struct wire_count {
	struct wire_header header;
	uint32_t vm;
	uint32_t reserved; /* 0 */
};

struct wire_counts {
	struct wire_header header;
	uint32_t vm;
	int32_t err; /* positive errno: nothing is known, and the rest is 0; ENOENT: no such VM (any
			more), or KVM does not count pages there */
	uint64_t pages_4k, pages_2m, pages_1g, nx_splits;
};

struct wire_nudge {
	struct wire_header header;
	uint32_t vm;
	uint32_t reserved;     /* 0 */
	uint64_t start, bytes; /* slots that lie within this range of host virtual addresses, or
				  reach into it */
};

enum wire_nudge_result {
	WIRE_NUDGE_DONE = 0,
	WIRE_NUDGE_NO_SLOT, /* no slot in the range may be nudged */
	WIRE_NUDGE_LOGGING, /* the VMM logs dirty pages: a migration */
	WIRE_NUDGE_UNCHEAP, /* INITIALLY_SET is not on: the toggle would split all of it */
	WIRE_NUDGE_RING,    /* a dirty ring is used */
	WIRE_NUDGE_NO_VM,   /* no such VM (any more) */
	WIRE_NUDGE_FAILED,  /* the kernel refused: err */
	WIRE_NUDGE_RESULT_MAX,
};

struct wire_nudged {
	struct wire_header header;
	uint32_t vm;
	uint32_t result; /* enum wire_nudge_result */
	int32_t err;	 /* positive errno of WIRE_NUDGE_FAILED; else 0 */
	uint32_t n_toggled, n_passed_over;
	uint32_t reserved; /* 0 */
	uint64_t toggled_bytes;
	uint64_t took_ns, worst_call_ns;
};

/* A message of any type, and room for the longest. */
union wire_message {
	struct wire_header header;
	struct wire_hello hello;
	struct wire_welcome welcome;
	struct wire_vm vm;
	struct wire_vm_gone vm_gone;
	struct wire_slots slots;
	struct wire_count count;
	struct wire_counts counts;
	struct wire_nudge nudge;
	struct wire_nudged nudged;
	unsigned char room[WIRE_MESSAGE_MAX];
};

/* Whether the bytes that were received are one message that keeps all the laws above, for the end
 * that is (not) the VMM's. 0, -EPROTO, or -EPROTONOSUPPORT: another version. *ret_why (may be
 * NULL): the law that was broken, a static text. What two messages must be to each other (the parts
 * of a table, a known VM) is the receiver's to check. Pure, and safe in a signal handler. */
int wire_check(const union wire_message *m, size_t bytes, bool is_from_vmm, const char **ret_why);

/* Fills in the header; bytes: of the whole message. */
void wire_seal(union wire_message *m, enum wire_type type, size_t bytes, uint32_t serial);

/* The size of a message with n slots. */
size_t wire_slots_bytes(uint32_t n);
