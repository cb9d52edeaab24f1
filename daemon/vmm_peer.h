/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One connection of a VMM that loads libthpd-vmm: what it tells of its VMs, and the one question
 * that it may be asked at a time. It is believed about itself only, and only as far as the laws of
 * the protocol go: its slots are claims, and nothing is read or touched at their addresses. Nothing
 * here waits, and there is no clock.
 *
 * What a connection costs: this struct, some 2 KiB; a table and the next one, of WIRE_TABLE_MAX
 * slots over all VMs at most: 2 * 65528 * 32 bytes, and up to twice that while they grow; two
 * descriptors; and what the kernel keeps in a socket. How much all of them may cost is the
 * server's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kvm_counts.h"
#include "memslot.h"
#include "wire.h"

/* Who connected. */
struct vmm_identity {
	pid_t pid;
	uid_t uid;
	int pidfd; /* of the process of that pid */
};

enum vmm_event {
	VMM_NOTHING = 0,
	VMM_GREETED,  /* it said who it is, and was welcomed */
	VMM_TOLD,     /* of a VM or its slots */
	VMM_ANSWERED, /* the last of the answers is here: vmm_peer_answer() */
};

/* What a nudge did. */
struct vmm_nudged {
	enum wire_nudge_result
		result; /* DONE if any slot was toggled; else why the first VM was not */
	int err;	/* negative errno of FAILED */
	uint64_t n_toggled, n_passed_over;
	uint64_t toggled_bytes, took_ns, worst_call_ns;
};

/* What came of a question, over all VMs of the process. */
struct vmm_answer {
	enum wire_type question; /* WIRE_COUNT or WIRE_NUDGE */
	int err; /* 0; a negative errno: one of them did not tell, and the rest is not known */
	struct kvm_counts counts;
	struct vmm_nudged nudged;
};

const char *nudge_result_name(enum wire_nudge_result result); /* "done", "logging", ... */

struct vmm_peer;

/* Takes fd (a connected socket, non-blocking or not) and the pidfd in every case. NULL: no memory.
 */
struct vmm_peer *vmm_peer_new(int fd, const struct vmm_identity *who, uint64_t now_ns);
struct vmm_peer *vmm_peer_free(struct vmm_peer *p);

/* Reads one message, if there is one. What happened; or -ECONNRESET: it hung up; -EPROTO: it broke
 * a law, *ret_why says which; -EPROTONOSUPPORT: it speaks another version; -ENOSPC: more slots than
 * any VMM has; -EAGAIN: it does not read what it is sent; or another errno: the connection is to be
 * closed. */
int vmm_peer_read(struct vmm_peer *p, uint64_t now_ns, const char **ret_why);

/* It has not greeted in time. */
bool vmm_peer_is_silent(const struct vmm_peer *p, uint64_t now_ns);

int vmm_peer_fd(const struct vmm_peer *p);
const struct vmm_identity *vmm_peer_identity(const struct vmm_peer *p);
/* The version of its library, printable; NULL: it has not greeted. */
const char *vmm_peer_library(const struct vmm_peer *p);

/* Whose it is: not the peer's matter; NULL at first. */
void vmm_peer_set_owner(struct vmm_peer *p, void *owner);
void *vmm_peer_owner(const struct vmm_peer *p);

size_t vmm_peer_held_slots(const struct vmm_peer *p); /* that take memory */

/* The slots of all of its VMs are known. */
bool vmm_peer_is_complete(const struct vmm_peer *p);
size_t vmm_peer_slots(const struct vmm_peer *p); /* that are known */
/* A copy of them, VM by VM; *ret is malloc'ed, or NULL where there are none. 0 or -ENOMEM. */
int vmm_peer_copy_slots(const struct vmm_peer *p, struct memslot **ret, size_t *ret_n);

/* Asks each of its VMs, one after the other: for KVM's counts (WIRE_COUNT), or to nudge all of its
 * memory (WIRE_NUDGE). 0; -EBUSY: it owes the answer to a
 * question already; -ENOENT: it has no VM; -EAGAIN: it does not read. */
int vmm_peer_ask(struct vmm_peer *p, enum wire_type question, uint64_t now_ns);

/* It has not answered in time: true once. What it answers later is not taken, but it is asked
 * nothing else before. */
bool vmm_peer_give_up(struct vmm_peer *p, uint64_t now_ns);

const struct vmm_answer *vmm_peer_answer(const struct vmm_peer *p);
