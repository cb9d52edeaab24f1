/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cheap signs that something changed, so that nothing is looked at that did not. Cost in
 * docs/ARCHITECTURE.md. */

#include "process.h"

struct host_pulse {
	uint64_t split_pmd, split_page; /* /proc/vmstat thp_split_pmd, thp_split_page */
	uint64_t
		last_pid; /* last field of /proc/loadavg: moves when a process or thread was made */
};

struct pulse {
	uint64_t size_pages, resident_pages; /* /proc/PID/statm */
	uint64_t minor_faults; /* /proc/PID/stat field 10 (thread group); read on demand */
};

struct host_pulse_reader {
	int vmstat_fd, loadavg_fd;
};

int host_pulse_open(struct sys *sys, struct host_pulse_reader *ret);
void host_pulse_close(struct host_pulse_reader *r);
int host_pulse_read(const struct host_pulse_reader *r, struct host_pulse *ret);

int pulse_read(const struct process *p, struct pulse *ret); /* statm only: about 2 us */
int pulse_read_faults(const struct process *p,
		      struct pulse *ret); /* fills minor_faults: about 10 us */
