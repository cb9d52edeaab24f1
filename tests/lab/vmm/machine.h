/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A KVM virtual machine with one virtual processor that runs the guest of guest.h.
 *
 * Functions return 0 or negative errno. One thread commands; machine_begin() starts the vCPU thread
 * ("CPU 0/KVM", as QEMU calls it) and machine_end() joins it.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest.h"

struct machine {
	int vm_fd, vcpu_fd, stats_fd;
	struct kvm_run *run;
	struct guest_page *page;
	uint32_t khz; /* of the guest's time-stamp counter */
	pthread_t vcpu;
	bool is_running, is_repeated;
	bool is_halted; /* set by one thread, read by the other */
	int outcome;	/* of the vCPU thread */
	/* Under the lock: that the vCPU is to stand still, and that it does. */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool is_paused, is_still;
};

/* is_initially_set: dirty logs with KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE and INITIALLY_SET, as QEMU
 * has them; else as KVM has them by default. The process's end is the machine's. */
int machine_new(struct machine *m, bool is_initially_set);

/* A request to the VM: what ioctl() says, or negative errno. */
int machine_ask(const struct machine *m, unsigned long request, void *arg);

/* Runs the guest as the task says (guest.h; what it saw is 0 there), once or pass after pass. What
 * it saw is in m->page after machine_end(), which ends repeated passes after the one under way, and
 * says 0, -errno, or an exit reason of KVM that nobody expected. */
int machine_begin(struct machine *m, const struct guest_page *task, bool is_repeated);
int machine_end(struct machine *m);

/* While the guest runs pass after pass: its vCPU stands still from one to the other. */
void machine_pause(struct machine *m);
void machine_resume(struct machine *m);

/* How much is mapped into the guest by pages of each size: pages_4k, pages_2m, pages_1g, from the
 * kernel's statistics of the VM. The guest's own two pages are among them once it ran. */
int machine_count_pages(const struct machine *m, uint64_t ret_counts[3]);
