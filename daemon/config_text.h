/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The text of one configuration file, between the bytes and iniparser.
 *
 * iniparser drops a whole file for one bad line, joins a comment that ends in a backslash with the
 * line below, takes the start of a quoted value and ignores the rest, and says nothing of unknown
 * or repeated keys. So every line is judged here first: what is wrong is named with its line number
 * and blanked, and iniparser sees only lines that it cannot misread. */

#include <stdbool.h>
#include <iniparser/iniparser.h>

#include "config.h"

enum config_kind {
	CONFIG_KIND_MAIN, /* thpd.conf and thpd.conf.d */
	CONFIG_KIND_RULE, /* vm.d */
};

/* iniparser cuts lines at 1024 bytes; ours end well before. Per file, so many problems are named.
 */
enum { CONFIG_LINE_MAX = 1000, CONFIG_FILE_PROBLEMS_MAX = 16 };

struct config_text {
	const char *file;
	enum config_kind kind;
	char *text; /* size bytes; changed in place */
	size_t size;
	bool is_match_wrong; /* result: something in [Match] was refused */
};

/* Names what is wrong in c->problems and blanks it. 0 or -ENOMEM. */
int config_text_clean(struct config *c, struct config_text *t);

/* Parses cleaned text. Caller frees with iniparser_freedict(). 0 or -errno. */
int config_text_load(const struct config_text *t, dictionary **ret);
