/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Puts another file in the place of one, under its name, so that the name leads to a whole file at
 * any moment. Others may do as they like in the directory meanwhile: a name counts only as long as
 * it leads to the file it was for. */

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
 * left there, unless somebody has that open. 0, -EMLINK (it has more names than one, or none),
 * -ENAMETOOLONG, -EBUSY (what was left is in use, or no file of ours), or another negative errno.
 */
int replace_open(int fd, struct replacement *ret);
void replace_close(struct replacement *r);

/* Gives an unnamed file the spare name. 0 or a negative errno. */
int replace_name(const struct replacement *r, int new_fd);

bool replace_has_name(const struct replacement *r, int fd); /* the name leads to the open file */

/* The name leads to the one open file, the spare name to the other. */
bool replace_leads_to(const struct replacement *r, int name_fd, int spare_fd);

/* Lets the two change names; the same once more takes it back. 0 or a negative errno. */
int replace_swap(const struct replacement *r);

int replace_sync(
	const struct replacement *r); /* the directory is on the medium. 0 or a negative errno */

/* Takes the spare name from the open file. 0, -ESTALE if it leads elsewhere, or another negative
 * errno. */
int replace_drop(const struct replacement *r, int fd);

/* Gives what has the spare name a lasting one that no run removes: NAME.thpd-kept, or with a number
 * behind it. 0 or a negative errno. */
int replace_keep(const struct replacement *r);
