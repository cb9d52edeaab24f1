/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What QEMU says of itself, as far as it decides whether it may log the dirty pages of its guest
 * for a moment (core/nudge_qemu.h). Unknown: it does not say, or nothing that is understood. */

#include <stdint.h>

#include "storage.h"

struct qemu_state {
	enum answer has_kvm;	    /* it is what runs the guest */
	enum answer is_running;	    /* its vCPUs are */
	enum answer is_migrating;   /* or about to */
	enum answer is_measuring;   /* the dirty rate, whoever asked for it */
	enum answer has_vhost;	    /* devices by vhost-user, vhost-vdpa and the like */
	enum answer has_vfio;	    /* devices of the host */
	enum answer has_dirty_ring; /* of KVM, in place of the log */
	uint64_t measured_ago_ns;   /* since it last did so by a log; UINT64_MAX: not known */
};

#define QEMU_STATE_INIT                       \
	{                                     \
		.measured_ago_ns = UINT64_MAX \
	}
