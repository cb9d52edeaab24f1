/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Cheap signs that something changed, so that nothing is looked at that did not. Cost in
 * docs/ARCHITECTURE.md. */

#include "process.h"

struct host_pulse {
	uint64_t split_pmd, split_page; /* /proc/vmstat thp_split_pmd, thp_split_page */
	/* Pages that processes map, /proc/vmstat nr_anon_pages and nr_mapped. Each is summed up per
	 * CPU once a second: it lags behind by up to 125 pages a CPU (mm/vmstat.c). */
	uint64_t anon_pages, file_pages;
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

/* Do processes map more or less memory than then, by so many pages or more? A process whose
 * resident size changes moves one of the two sums, unless another process undoes that, or has the
 * same pages of a file mapped anyway. */
bool host_pulse_has_moved(const struct host_pulse *then, const struct host_pulse *now,
			  uint64_t pages);

int pulse_read(const struct process *p, struct pulse *ret); /* statm only: about 2 us */
int pulse_read_faults(const struct process *p,
		      struct pulse *ret); /* fills minor_faults: about 10 us */
