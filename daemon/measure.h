/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A JOB_MEASURE, on a worker thread: QEMU is told to measure its guest's dirty rate, unless
 * something speaks against it, or asked how far it is. Two sessions of its monitor at most. */

#include "job.h"

void measure_run(struct sys *sys, struct job *j);
