/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the guest needs to run a guest of its own under AMD's SVM with nested paging: five pages, of
 * which the first is the table by which that guest's addresses are the outer one's. KVM shadows
 * it, and write-protects it for that. The inner guest halts at once. */

#include <stdbool.h>
#include <stdint.h>

enum {
	NEST_TABLE = 0, /* one directory of 4 MiB pages */
	NEST_VMCB = 0x1000,
	NEST_SAVE = 0x2000, /* where the processor keeps the outer guest */
	NEST_CODE = 0x3000,
	NEST_OUTER_TABLE = 0x4000, /* the outer guest's own, of the same kind */
	NEST_BYTES = 0x5000,
};

/* Writes it to memory that the guest sees at gpa, below 4 GiB. */
void nest_prepare(uint8_t *at, uint32_t gpa);

/* Whether the inner guest came to its halt. */
bool nest_has_halted(const uint8_t *at);
