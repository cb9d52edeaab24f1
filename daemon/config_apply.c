/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_apply.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "bits.h"
#include "config_key.h"
#include "config_match.h"
#include "config_problem.h"
#include "config_text.h"

/* Where the values of a file go. A home that is NULL takes none. */
struct destination {
	void *homes[KEY_HOME_MATCH + 1];
	const char **main_origin, **policy_origin;
};

int config_set_defaults(struct config *c)
{
	const struct policy policy = POLICY_INIT;
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	c->policy = policy;
	for (size_t i = 0; i < n_keys; i++) {
		int r = 0;

		if (keys[i].home == KEY_HOME_CONFIG)
			r = config_key_parse(&keys[i], keys[i].default_text, c);
		else if (keys[i].home == KEY_HOME_POLICY)
			r = config_key_parse(&keys[i], keys[i].default_text, &c->policy);
		if (r < 0)
			return r;
	}
	return 0;
}

static const char *find_origin(const struct destination *to, const struct config_key *key)
{
	return key->home == KEY_HOME_CONFIG ? to->main_origin[key->index]
					    : to->policy_origin[key->index];
}

static int name_bad_value(struct config *c, const char *file, const struct destination *to,
			  const struct config_key *key, const char *text)
{
	char expected[160], current[CONFIG_VALUE_TEXT_MAX];
	char kept[CONFIG_VALUE_TEXT_MAX + 32] = "the key is ignored";

	config_key_describe(key, expected, sizeof(expected));
	if (key->home != KEY_HOME_MATCH) {
		config_key_format(key, to->homes[key->home], current, sizeof(current));
		(void)snprintf(kept, sizeof(kept), "%s %s kept",
			       find_origin(to, key) ? "earlier value" : "default", current);
	}
	return config_problem_add(c, "%s: [%s] %s=%.80s: expected %s; %s", file, key->section,
				  key->name, text, expected, kept);
}

static void set_origin(const struct destination *to, const struct config_key *key, const char *file)
{
	if (key->home == KEY_HOME_CONFIG)
		to->main_origin[key->index] = file;
	else if (key->home == KEY_HOME_POLICY)
		to->policy_origin[key->index] = file;
}

/* 1: set, 0: bad value, named. */
static int apply_value(struct config *c, const struct config_text *t, const struct destination *to,
		       const struct config_key *key, const char *text)
{
	int r = config_key_parse(key, text, to->homes[key->home]);

	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return name_bad_value(c, t->file, to, key, text);
	set_origin(to, key, t->file);
	return 1;
}

static int apply_values(struct config *c, struct config_text *t, const struct destination *to,
			const dictionary *values)
{
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t i = 0; i < n_keys; i++) {
		char path[128];
		const char *text;
		int r;

		(void)snprintf(path, sizeof(path), "%s:%s", keys[i].section, keys[i].name);
		text = iniparser_getstring(values, path, NULL);
		if (!text || !to->homes[keys[i].home])
			continue;
		r = apply_value(c, t, to, &keys[i], text);
		if (r < 0)
			return r;
		if (r == 0 && keys[i].home == KEY_HOME_MATCH)
			t->is_match_wrong = true;
	}
	return 0;
}

static int apply_text(struct config *c, struct config_text *t, const struct destination *to)
{
	dictionary *values = NULL;
	int r = config_text_clean(c, t);

	if (r < 0)
		return r;
	r = config_text_load(t, &values);
	if (r < 0)
		return config_problem_add(c, "%s: cannot be parsed: %s; the file is ignored",
					  t->file, strerror(-r));
	r = apply_values(c, t, to, values);
	iniparser_freedict(values);
	return r;
}

int config_apply_main(struct config *c, const char *file, char *text, size_t size)
{
	struct config_text t = {.file = file, .kind = CONFIG_KIND_MAIN, .text = text, .size = size};
	const struct destination to = {.homes = {c, &c->policy, NULL},
				       .main_origin = c->main_origin,
				       .policy_origin = c->origin};

	return apply_text(c, &t, &to);
}

/* A rule that lost part of its [Match] would match more than its author meant, one without [Match]
 * everything: both match nothing. */
static int judge_match(struct config *c, const struct config_text *t, struct match *m)
{
	if (t->is_match_wrong) {
		match_clear(m);
		return config_problem_add(
			c, "%s: matches no VM until the problem in its [Match] section is solved",
			t->file);
	}
	if (match_is_empty(m))
		return config_problem_add(c, "%s: has no [Match] key, so it matches no VM",
					  t->file);
	return 0;
}

static int fill_rule(struct config *c, char *text, size_t size, struct rule *rule)
{
	struct config_text t = {
		.file = rule->file, .kind = CONFIG_KIND_RULE, .text = text, .size = size};
	const struct destination to = {.homes = {NULL, &rule->policy, &rule->match},
				       .policy_origin = rule->origin};
	int r = apply_text(c, &t, &to);

	return r < 0 ? r : judge_match(c, &t, &rule->match);
}

int config_apply_rule(struct config *c, const char *file, char *text, size_t size)
{
	struct rule rule = {.policy = c->policy, .file = strdup(file)};
	int r = rule.file ? 0 : -ENOMEM;

	memcpy(rule.origin, c->origin, sizeof(rule.origin));
	if (r == 0)
		r = fill_rule(c, text, size, &rule);
	if (r == 0)
		r = ARRAY_APPEND(&c->rules, &c->n_rules, &rule);
	if (r < 0)
		rule_clear(&rule);
	return r;
}
