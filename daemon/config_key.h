/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One configuration key: what it is called, what it accepts, where its value lives. The table is
 * config.def plus the keys of [Match]. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

enum key_home {
	KEY_HOME_CONFIG, /* struct config; in thpd.conf only */
	KEY_HOME_POLICY, /* struct policy; everywhere */
	KEY_HOME_MATCH,	 /* struct match; in vm.d only */
};

enum key_type {
	KEY_TYPE_SIZE,
	KEY_TYPE_DURATION,
	KEY_TYPE_SHARE,
	KEY_TYPE_BOOL,
	KEY_TYPE_MODE,
	KEY_TYPE_PLACEMENT,
	KEY_TYPE_NODES,
	KEY_TYPE_WIDE,
	KEY_TYPE_POPULATE,
	KEY_TYPE_NUDGE,
	KEY_TYPE_COUNT,
	KEY_TYPE_GLOB,
	KEY_TYPE_PATHS,
	KEY_TYPE_MONITOR,
};

struct config_key {
	const char *section, *name;
	enum key_home home;
	enum key_type type;
	unsigned index;		  /* enum main_key or enum policy_key */
	size_t offset;		  /* of the field in its home */
	const char *default_text; /* "" for a glob */
};

/* Longest value of a [Match] key: what it is compared with is shorter. */
enum { CONFIG_GLOB_MAX = 255, CONFIG_VALUE_TEXT_MAX = CONFIG_PATHS_MAX };

/* The whole table. */
const struct config_key *config_keys(size_t *ret_n);

/* Upper and lower case are the same. NULL if there is no such key. */
const struct config_key *config_key_find(const char *section, const char *name);

/* The key that somebody who wrote this may have meant: at most two letters off, the same section
 * preferred. NULL if there is none. */
const struct config_key *config_key_nearest(const char *section, const char *name);

/* The name of the section as it is spelled in the manual, or NULL. is_near: accepts two letters
 * off. */
const char *config_section_find(const char *name, bool is_near);

/* A section of what may differ between VMs: it may also stand in files of vm.d. */
bool config_section_is_policy(const char *section);

/* Parses text into the key's field of its home. 0, -ENOMEM, -EINVAL (not of the form), -ERANGE. */
int config_key_parse(const struct config_key *key, const char *text, void *home);

/* What the key accepts, for a message: "a size from 1M to 1G, a power of two". */
void config_key_describe(const struct config_key *key, char *buffer, size_t size);

/* The value as text that config_key_parse() accepts. Not for globs. */
void config_key_format(const struct config_key *key, const void *home, char *buffer, size_t size);
