/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Puts another file in the place of one, under its name, so that the name leads to a whole file at
 * any moment. */

#include <stdbool.h>

struct replacement {
	int directory_fd; /* owned */
	char name[256];	  /* of the file in it */
	char spare[256];  /* ".thpd-realign.NAME": what carries the other file meanwhile */
};

#define REPLACEMENT_INIT                \
	{                               \
		.directory_fd = -EBADF, \
	}

/* Finds the name by which the open file is called now, and removes what a run that was cut off has
 * left there. 0, -EMLINK (it has more names than one, or none), -ENAMETOOLONG, or another negative
 * errno. */
int replace_open(int fd, struct replacement *ret);
void replace_close(struct replacement *r);

/* Gives an unnamed file the spare name. 0 or a negative errno. */
int replace_name(const struct replacement *r, int new_fd);

/* Lets the two change names, on the medium when it returns; the same once more takes it back. 0 or
 * a negative errno. */
int replace_swap(const struct replacement *r);

/* Removes what has the spare name. 0 or a negative errno. */
int replace_drop(const struct replacement *r);
