/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Files that could not be dealt with because somebody had them: each is tried again after twice as
 * long as before, up to an hour, and at once when somebody else than thpd has closed it. Times are
 * microseconds of CLOCK_MONOTONIC. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct postponed {
	size_t directory; /* by number */
	char name[256];
	uint64_t until_us, delay_us;
	uint64_t ours_until_us; /* what happens to it until then is thpd's own closing */
};

struct postponed_list {
	struct postponed *items; /* owned */
	size_t n_items;
};

void postponed_clear(struct postponed_list *l);

/* Tried just now, in vain. *ret_until_us: when to try again. True: for the first time (or there is
 * no room to remember it): worth telling. */
bool postponed_add(struct postponed_list *l, size_t directory, const char *name, uint64_t now_us,
		   uint64_t *ret_until_us);

void postponed_remove(struct postponed_list *l, size_t directory, const char *name); /* done */

/* When it is to be tried again; 0: it is not postponed. */
uint64_t postponed_until(const struct postponed_list *l, size_t directory, const char *name);

/* Something happened to it: unless that was thpd itself, it may be tried at once, and begins anew.
 */
void postponed_touch(struct postponed_list *l, size_t directory, const char *name, uint64_t now_us);
