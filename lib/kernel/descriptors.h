/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What a process's open files say about it. */

#include <stdbool.h>

#include "sys.h"

struct descriptors {
	bool has_kvm, has_uffd, has_vfio;
	bool has_sev;	      /* /dev/sev: a guest of SEV, SEV-ES or SEV-SNP */
	bool has_guest_memfd; /* memory of a guest's alone: not of SEV and SEV-ES */
	bool is_complete;     /* all were listed; else nothing of the above can be ruled out */
};

/* KVM has pinned all of the guest's memory: of SEV and SEV-ES. Of SEV-SNP's nothing that the VMM
 * maps. */
static inline bool descriptors_are_of_pinned(const struct descriptors *d)
{
	return d->has_sev && !d->has_guest_memfd;
}

/* Reads the links of DIR/fd, where dirfd is /proc/PID. 0, -ESRCH, or -errno; a process whose fds
 * may not be read is an incomplete one, not an error. */
int descriptors_read(int dirfd, struct descriptors *ret);
