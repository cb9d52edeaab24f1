/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The command line: options, a verb, and its words. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_TARGET_MISSED = 3 };

enum verb {
	VERB_STATUS = 0,
	VERB_SHOW,
	VERB_EXPLAIN,
	VERB_NUMA,
	VERB_PLAN,
	VERB_MEMSLOTS,
	VERB_COLLAPSE,
	VERB_POPULATE,
	VERB_NUDGE,
	VERB_PAUSE,
	VERB_RESUME,
	VERB_DOCTOR,
	VERB_SNAPSHOT,
	VERB_CAT_CONFIG,
	VERB_RECORD,
	VERB_RELOAD,
	VERB_DAX_CHECK,
	VERB_DAX_CREATE,
	VERB_DAX_PREALLOC,
	VERB_DAX_REALIGN,
	VERB_MAX,
};

enum json_form { JSON_FORM_NONE = 0, JSON_FORM_SHORT, JSON_FORM_PRETTY };

struct args {
	const char *runtime_dir; /* all texts point into argv */
	enum json_form json;
	bool has_legend; /* headings and closing notes */
	bool is_raw;	 /* sizes in bytes */
	bool is_help, is_version;
	bool is_waiting;	   /* --wait, or implied by --target */
	bool has_target;	   /* --target */
	unsigned int target_bp;	   /* basis points of resident memory */
	const char *snapshot_file; /* --snapshot; "-" = stdin */
	bool is_scrubbed;	   /* --scrub */
	bool is_dry_run;	   /* --dry-run */
	bool is_probing;	   /* --probe */
	bool is_copying;	   /* --copy */
	bool is_forced;		   /* --force */
	uint64_t size_bytes;	   /* --size; 0: not given */
	uint64_t align_bytes;	   /* --align: 2 MiB or 1 GiB */
	enum verb verb;
	char **words; /* behind the verb */
	int n_words;
};

/* Reorders argv. Returns 0, or -EINVAL with a sentence in error. */
int args_parse(int argc, char **argv, struct args *ret, char *error, size_t error_size);

/* "99%", "99.5%" or "99": basis points, 0 .. 10000, at most two decimals. 0 or -EINVAL. */
int args_parse_share(const char *text, unsigned int *ret_bp);

/* "64M", "2G": powers of 1024, above 0. 0 or -EINVAL. */
int args_parse_size(const char *text, uint64_t *ret);

const char *args_verb_name(enum verb verb);
void args_print_help(FILE *f);
