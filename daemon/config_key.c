/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_key.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bits.h"
#include "config.h"
#include "config_value.h"
#include "qmp_path.h"

#define MATCH_KEY(name_, field)                                                                   \
	{                                                                                         \
		.section = "Match", .name = name_, .home = KEY_HOME_MATCH, .type = KEY_TYPE_GLOB, \
		.offset = offsetof(struct match, field), .default_text = ""                       \
	}

static const struct config_key keys[] = {
#define CONFIG_MAIN(id, section_, key_, type_, field, text, sentence) \
	{.section = section_,                                         \
	 .name = key_,                                                \
	 .home = KEY_HOME_CONFIG,                                     \
	 .type = KEY_TYPE_##type_,                                    \
	 .index = MAIN_KEY_##id,                                      \
	 .offset = offsetof(struct config, field),                    \
	 .default_text = text},
#define CONFIG_POLICY(id, section_, key_, type_, field, text, sentence) \
	{.section = section_,                                           \
	 .name = key_,                                                  \
	 .home = KEY_HOME_POLICY,                                       \
	 .type = KEY_TYPE_##type_,                                      \
	 .index = POLICY_KEY_##id,                                      \
	 .offset = offsetof(struct policy, field),                      \
	 .default_text = text},
#include "config.def"
#undef CONFIG_POLICY
#undef CONFIG_MAIN
	MATCH_KEY("Name", name), MATCH_KEY("UUID", uuid),     MATCH_KEY("Comm", comm),
	MATCH_KEY("Exe", exe),	 MATCH_KEY("Cgroup", cgroup), MATCH_KEY("User", user),
};

/* The field behind each key has the width that its type is stored with. */
#define FIELD_SIZE(type, field) sizeof(((type *)0)->field)
#define SIZE_OF_SIZE		sizeof(uint64_t)
#define SIZE_OF_DURATION	sizeof(uint64_t)
#define SIZE_OF_SHARE		sizeof(uint16_t)
#define SIZE_OF_BOOL		sizeof(bool)
#define SIZE_OF_MODE		sizeof(enum mode)
#define SIZE_OF_PLACEMENT	sizeof(enum placement)
#define SIZE_OF_NODES		sizeof(node_set_t)
#define SIZE_OF_WIDE		sizeof(enum wide)
#define SIZE_OF_POPULATE	sizeof(enum populate)
#define SIZE_OF_NUDGE		sizeof(enum nudge)
#define SIZE_OF_COUNT		sizeof(uint32_t)
#define SIZE_OF_PATHS		CONFIG_PATHS_MAX
#define SIZE_OF_MONITOR		POLICY_MONITOR_MAX
#define CONFIG_MAIN(id, section, key, type, field, ...) \
	_Static_assert(FIELD_SIZE(struct config, field) == SIZE_OF_##type, key);
#define CONFIG_POLICY(id, section, key, type, field, ...) \
	_Static_assert(FIELD_SIZE(struct policy, field) == SIZE_OF_##type, key);
#include "config.def"
#undef CONFIG_POLICY
#undef CONFIG_MAIN

const struct config_key *config_keys(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(keys);
	return keys;
}

const struct config_key *config_key_find(const char *section, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcasecmp(keys[i].section, section) == 0 &&
		    strcasecmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

enum { NAME_MAX_BYTES = 32, NEAR = 2 };

/* Levenshtein distance without regard to case; NEAR + 1 for names longer than any key. */
static unsigned name_distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_BYTES + 1];
	size_t n_a = strnlen(a, NAME_MAX_BYTES + 1), n_b = strnlen(b, NAME_MAX_BYTES + 1);

	if (n_a > NAME_MAX_BYTES || n_b > NAME_MAX_BYTES)
		return NEAR + 1;
	for (size_t j = 0; j <= n_b; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n_a; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= n_b; j++) {
			unsigned change = to_lower(a[i - 1]) == to_lower(b[j - 1]) ? 0 : 1;
			unsigned next = min3(row[j] + 1, row[j - 1] + 1, diagonal + change);

			diagonal = row[j];
			row[j] = next;
		}
	}
	return row[n_b];
}

const struct config_key *config_key_nearest(const char *section, const char *name)
{
	const struct config_key *nearest = NULL;
	unsigned best = 2 * NEAR + 2;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		unsigned distance = name_distance(keys[i].name, name);
		unsigned elsewhere = strcasecmp(keys[i].section, section) == 0 ? 0 : 1;

		if (distance > NEAR || 2 * distance + elsewhere >= best)
			continue;
		best = 2 * distance + elsewhere;
		nearest = &keys[i];
	}
	return nearest;
}

const char *config_section_find(const char *name, bool is_near)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (name_distance(keys[i].section, name) <= (is_near ? NEAR : 0u))
			return keys[i].section;
	return NULL;
}

bool config_section_is_policy(const char *section)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i].home == KEY_HOME_POLICY && strcasecmp(keys[i].section, section) == 0)
			return true;
	return false;
}

/* Limits beyond what the type says. Calls have to be powers of two because every block size is
 * one: such a size holds whole blocks on every machine, or is smaller than one block, and then a
 * call takes one block. */
struct key_limits {
	const char *name;
	uint64_t min, max;
	bool is_power_of_two;
};

static const struct key_limits limits[] = {
	{"Interval", 100 * NS_PER_MS, NS_PER_HOUR, false}, /* less is polling, more is asleep */
	{"MaxAge", NS_PER_S, UINT64_MAX, false},
	{"Workers", 0, 64, false},
	{"MinRegion", MIB, UINT64_MAX, false}, /* less takes the VMM's own heap for guest RAM */
	{"RemapCallSize", MIB, GIB, true},
	{"CopyCallSize", MIB, 64 * MIB, true}, /* a call holds the VMM's mmap lock */
};

static const struct key_limits *key_limits_find(const struct config_key *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (key->home != KEY_HOME_MATCH && strcmp(limits[i].name, key->name) == 0)
			return &limits[i];
	return NULL;
}

static int glob_parse(const char *text, char **field)
{
	size_t n = strlen(text);
	char *copy;

	if (n == 0)
		return -EINVAL;
	if (n > CONFIG_GLOB_MAX)
		return -ERANGE;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

static const char no_paths[] = "none";

static int paths_parse(const char *text, char *field)
{
	static const char blanks[] = " \t";
	size_t n = strlen(text);

	if (strcmp(text, no_paths) == 0) {
		field[0] = '\0';
		return 0;
	}
	if (n >= CONFIG_PATHS_MAX)
		return -ERANGE;
	if (text[strspn(text, blanks)] == '\0')
		return -EINVAL;
	for (const char *word = text + strspn(text, blanks); *word; word += strspn(word, blanks)) {
		if (*word != '/')
			return -EINVAL;
		word += strcspn(word, blanks);
	}
	memcpy(field, text, n + 1);
	return 0;
}

static int monitor_parse(const char *text, char *field)
{
	size_t n = strlen(text);

	if (strcmp(text, no_paths) == 0) {
		field[0] = '\0';
		return 0;
	}
	if (n >= POLICY_MONITOR_MAX)
		return -ERANGE;
	if (!qmp_path_is_form(text))
		return -EINVAL;
	memcpy(field, text, n + 1);
	return 0;
}

int config_key_parse(const struct config_key *key, const char *text, void *home)
{
	const struct key_limits *limit = key_limits_find(key);
	void *field = (char *)home + key->offset;
	uint64_t value;
	int r;

	if (key->type == KEY_TYPE_GLOB)
		return glob_parse(text, field);
	if (key->type == KEY_TYPE_PATHS)
		return paths_parse(text, field);
	if (key->type == KEY_TYPE_MONITOR)
		return monitor_parse(text, field);
	r = value_parse(key->type, text, &value);
	if (r < 0)
		return r;
	if (limit && (value < limit->min || value > limit->max))
		return -ERANGE;
	if (limit && limit->is_power_of_two && (value & (value - 1)) != 0)
		return -EINVAL;
	value_store(key->type, value, field);
	return 0;
}

void config_key_describe(const struct config_key *key, char *buffer, size_t size)
{
	const struct key_limits *limit = key_limits_find(key);
	char min[CONFIG_VALUE_TEXT_MAX], max[CONFIG_VALUE_TEXT_MAX];

	if (!limit) {
		(void)snprintf(buffer, size, "%s", value_form(key->type));
		return;
	}
	value_format(key->type, limit->min, min, sizeof(min));
	value_format(key->type, limit->max, max, sizeof(max));
	(void)snprintf(buffer, size, "%s%s, from %s to %s", value_form(key->type),
		       limit->is_power_of_two ? ", a power of two" : "", min, max);
}

void config_key_format(const struct config_key *key, const void *home, char *buffer, size_t size)
{
	const char *field = (const char *)home + key->offset;

	if (key->type == KEY_TYPE_PATHS || key->type == KEY_TYPE_MONITOR)
		(void)snprintf(buffer, size, "%s", field[0] ? field : no_paths);
	else
		value_format(key->type, value_load(key->type, field), buffer, size);
}
