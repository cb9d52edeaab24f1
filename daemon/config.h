/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Configuration: thpd.conf, thpd.conf.d/, vm.d/. A wrong key or value never stops the daemon: it is
 * named (file, section, key, what was expected), counted, and the default stays. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "governor.h"
#include "policy.h"
#include "vm.h"

enum {
	CONFIG_FILE_MAX_BYTES = 256 * 1024,
	CONFIG_RULES_MAX = 4096,
	CONFIG_PROBLEMS_MAX = 1000,
	CONFIG_PATHS_MAX = 1024, /* text of a list of paths, with the NUL */
};

/* Keys of the daemon's own sections and of the policy sections, in the order of config.def: for
 * "which file does this value come from". */
enum main_key {
#define CONFIG_MAIN(id, section, key, ...) MAIN_KEY_##id,
#define CONFIG_POLICY(...)
#include "config.def"
#undef CONFIG_POLICY
#undef CONFIG_MAIN
	MAIN_KEY_MAX,
};

enum policy_key {
#define CONFIG_POLICY(id, section, key, ...) POLICY_KEY_##id,
#define CONFIG_MAIN(...)
#include "config.def"
#undef CONFIG_POLICY
#undef CONFIG_MAIN
	POLICY_KEY_MAX,
};

/* [Match]: globs (fnmatch); an absent key matches everything, a rule without any key matches
 * nothing. */
struct match {
	char *name, *uuid, *comm, *exe, *cgroup, *user; /* owned; NULL = absent */
};

/* One vm.d file. */
struct rule {
	char *file; /* owned; full path */
	struct match match;
	struct policy policy;		    /* the main policy with this file's values on top */
	const char *origin[POLICY_KEY_MAX]; /* file of each value, or NULL = default; points into
					       file / config->sources */
};

struct config_problem {
	char *text; /* owned: "FILE: [Section] Key=value: expected ...; default ... kept" */
};

struct config {
	uint64_t interval_ns; /* how often signs of change are read */
	uint64_t max_age_ns;  /* a VM is looked at again at least this often */
	uint32_t workers;     /* 0 = by the number of CPUs */
	struct budget budget;
	char prepare_directories[CONFIG_PATHS_MAX]; /* absolute paths between blanks; "": none */
	bool may_preallocate;
	const char *main_origin[MAIN_KEY_MAX]; /* file of each value above, or NULL = default */
	struct policy policy;		       /* for VMs that no rule matches */
	const char *origin[POLICY_KEY_MAX];    /* likewise, of the policy's values */
	struct rule *rules;		       /* owned; by file name */
	size_t n_rules;
	struct config_problem *problems; /* owned */
	size_t n_problems;
	bool is_incomplete; /* something is there that could not be read: nobody knows what it says
			     */
	char **sources;	    /* owned: every file read, in the order of application */
	size_t n_sources;
};

/* Loads from dir (the only place searched), or, if dir is NULL, from the standard places: thpd.conf
 * of the first of /etc/thpd, /run/thpd, /usr/lib/thpd; every thpd.conf.d/ *.conf and vm.d/ *.conf
 * merged by file name across them (the higher directory replaces, a link to /dev/null masks).
 * Missing files are fine. Problems are collected, not errors. Returns 0 or -ENOMEM; ret is always a
 * usable configuration otherwise. */
int config_load(const char *dir, struct config *ret);
void config_clear(struct config *c);

/* The first rule that matches, or NULL. Name= and UUID= only match processes that hold a KVM VM or
 * run a known VMM, since any process can call itself anything. */
const struct rule *config_find_rule(const struct config *c, const struct vm *vm);

/* The whole effective configuration as text, each value with a comment naming its origin; problems
 * marked at the end. *ret is malloc'ed. 0 or -ENOMEM. */
int config_format(const struct config *c, char **ret);

/* Name and value of one policy key, for `thpctl show`: value formatted into buffer. */
const char *config_policy_key_name(enum policy_key key); /* "Collapse.Mode" */
void config_format_policy_value(const struct policy *p, enum policy_key key, char *buffer,
				size_t size);
