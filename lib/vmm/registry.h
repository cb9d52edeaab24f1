/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The VMs of this process and their memslots, learned from the ioctls that set them: KVM tells
 * nobody afterwards. All of it may be called by any thread and in a signal handler, but for
 * registry_init() and registry_done(), and changes no errno but that of the ioctl that is made. In
 * a child of the process nothing is recorded, and ioctls are made as they come. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "forklock.h"
#include "wire.h"

typedef int registry_ask(int fd, unsigned long request, ...);

struct registry_vm {
	uint64_t birth; /* 0: none is here; no two VMs have the same */
	int fd;
	uint32_t flags;		 /* WIRE_VM_* */
	uint32_t generation;	 /* of the table: another one after each change */
	struct wire_slot *slots; /* sorted by key; a mapping of its own: no heap in a handler */
	uint32_t n, room;
	uint64_t bytes, logging_bytes; /* of all slots; with KVM_MEM_LOG_DIRTY_PAGES */
	bool is_left_on;	       /* a nudge could not switch left_key's log off again */
	uint32_t left_key;
};

struct registry {
	struct forklock lock;
	registry_ask *ask;
	uint64_t births;
	struct registry_vm vms[WIRE_VMS_MAX];
	atomic_int fds[WIRE_VMS_MAX];	/* -1: none; so that other descriptors cost no lock */
	atomic_int changed_fd;		/* an eventfd; -1: nobody wants to know */
	void (*forget)(void *userdata); /* in the child of a fork() */
	void *userdata;
};

/* What is there of a VM. */
struct registry_view {
	uint64_t birth; /* 0: no VM */
	uint32_t flags, generation, total;
};

/* ask: how ioctls are made. */
void registry_init(struct registry *r, registry_ask *ask);
void registry_done(struct registry *r);

/* An eventfd to be written after changes, or -1; what is to be called in the child of a fork(), or
 * NULL. */
void registry_tell(struct registry *r, int changed_fd, void (*forget)(void *userdata),
		   void *userdata);

/* Writes that eventfd, whether anything has changed or not: whoever polls it wakes up. errno stays.
 */
void registry_wake(struct registry *r);

/* flags: WIRE_VM_INCOMPLETE, or 0 if it has just been made. 0; -EEXIST; -ENOSPC: WIRE_VMS_MAX are
 * there. One that came otherwise may be one of those that are known, by another descriptor: then
 * none of the tables is certain any more, and all VMs are incomplete from then on. */
int registry_add(struct registry *r, int fd, uint32_t flags);
void registry_remove(struct registry *r, int fd);
void registry_remove_range(struct registry *r, unsigned int first, unsigned int last);

bool registry_knows(const struct registry *r, int fd);

/* Whether what this ioctl does is recorded. */
bool registry_wants(unsigned long request);

/* Makes the ioctl, of any descriptor, and records it if the kernel took it. */
int registry_ioctl(struct registry *r, int fd, unsigned long request, void *argument);

/* Copies slots [first, first + max) of the VM, as far as there are any; returns their number. */
uint32_t registry_read(struct registry *r, uint32_t vm, uint32_t first, uint32_t max,
		       struct wire_slot *ret_slots, struct registry_view *ret_view);

/* --- for what acts on slots ------------------------------------------------------------------ */

/* The VM, and nothing changes until it is released; NULL, and nothing is held: there is none. */
struct registry_vm *registry_hold(struct registry *r, uint32_t vm);
void registry_release(struct registry *r);

/* While it is held. The first slot whose key is at least this; n: none. */
uint32_t registry_find(const struct registry_vm *v, uint32_t key);
uint32_t registry_key(const struct wire_slot *s);

/* While it is held: KVM does not know its descriptor any more. */
void registry_forget(struct registry *r, struct registry_vm *v);

/* While it is held: a slot has other flags now. is_told: as far as thpd is concerned, too. */
void registry_reflag(struct registry *r, struct registry_vm *v, struct wire_slot *s, uint32_t flags,
		     bool is_told);
