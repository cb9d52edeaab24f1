/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Lines of mountinfo. Pure. */

#include <stdbool.h>
#include <stdint.h>

#include "parse.h"

/* "36 35 98:0 /root /mnt rw,noatime master:1 - ext4 /dev/sda rw,dax=always" */
struct mountinfo_line {
	uint32_t major, minor;
	struct scanner root, point, options, type, super_options; /* into the text */
};

bool mountinfo_parse_line(struct scanner line, struct mountinfo_line *ret);

bool mountinfo_word_is(struct scanner word, const char *text);

/* One of a comma separated list of options: the name alone. */
bool mountinfo_has_option(struct scanner list, const char *name);

/* name=NUMBER among the options; false if there is none. */
bool mountinfo_option_u64(struct scanner list, const char *name, uint64_t *ret);
