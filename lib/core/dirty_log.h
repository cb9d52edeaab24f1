/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Whether a VM's memslots say that its memory is being sent somewhere. Pure. */

#include "fields.h"
#include "snapshot.h"

/* YES: KVM logs what is written of most of the memory that the guest may write. The memory of a
 * display is logged all the time, by QEMU for one: it is a small part. UNKNOWN: the slots are. */
enum answer dirty_log_is_on(const struct snapshot *s);
