/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Pids that did not answer a scout: who asks often does not wait a second for each of them anew. A
 * pid that another process gets meanwhile is passed over with it, for as long as the time that was
 * noted. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct silence {
	struct silent {
		pid_t pid;
		uint64_t until_ns;
	} * list; /* owned */
	size_t n;
};

/* Any user can make such processes: who comes when this many are noted is asked again. */
enum { SILENCE_MAX = 1024 };

void silence_note(struct silence *s, pid_t pid, uint64_t until_ns);
void silence_forget(struct silence *s, uint64_t now_ns); /* whose time is over */
bool silence_covers(const struct silence *s, pid_t pid);
void silence_clear(struct silence *s);
