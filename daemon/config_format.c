/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration in effect as text that thpd itself would read back: `thpctl cat-config`. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_key.h"

static const struct config_key *policy_key_find(enum policy_key index)
{
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t i = 0; i < n_keys; i++)
		if (keys[i].home == KEY_HOME_POLICY && keys[i].index == (unsigned)index)
			return &keys[i];
	return NULL;
}

const char *config_policy_key_name(enum policy_key key)
{
	static const char *const names[] = {
#define CONFIG_POLICY(id, section, key_, ...) [POLICY_KEY_##id] = section "." key_,
#define CONFIG_MAIN(...)
#include "config.def"
#undef CONFIG_POLICY
#undef CONFIG_MAIN
	};

	return (unsigned)key < POLICY_KEY_MAX ? names[key] : "?";
}

void config_format_policy_value(const struct policy *p, enum policy_key key, char *buffer,
				size_t size)
{
	const struct config_key *k = policy_key_find(key);

	if (k)
		config_key_format(k, p, buffer, size);
	else
		(void)snprintf(buffer, size, "?");
}

static void print_value(FILE *out, const struct config_key *key, const void *home,
			const char *origin)
{
	char value[CONFIG_VALUE_TEXT_MAX];
	int width;

	config_key_format(key, home, value, sizeof(value));
	width = fprintf(out, "%s=%s", key->name, value);
	(void)fprintf(out, "%*s # %s\n", width < 32 ? 32 - width : 0, "",
		      origin ? origin : "default");
}

static void print_sources(FILE *out, const struct config *c)
{
	(void)fprintf(out, "# Configuration in effect. Files read, in the order of application:\n");
	for (size_t i = 0; i < c->n_sources; i++)
		(void)fprintf(out, "#   %s\n", c->sources[i]);
	if (c->n_sources == 0)
		(void)fprintf(out, "#   (none: all values are defaults)\n");
}

static void print_main(FILE *out, const struct config *c)
{
	const char *section = "";
	size_t n_keys;
	const struct config_key *keys = config_keys(&n_keys);

	for (size_t i = 0; i < n_keys; i++) {
		const struct config_key *k = &keys[i];

		if (k->home == KEY_HOME_MATCH)
			continue;
		if (strcmp(section, k->section) != 0)
			(void)fprintf(out, "\n[%s]\n", k->section);
		section = k->section;
		if (k->home == KEY_HOME_CONFIG)
			print_value(out, k, c, c->main_origin[k->index]);
		else
			print_value(out, k, &c->policy, c->origin[k->index]);
	}
}

static void print_glob(FILE *out, const char *name, const char *glob)
{
	if (!glob)
		return;
	(void)fprintf(out, "%s=", name);
	for (; *glob; glob++)
		(void)fputc(*glob >= ' ' && *glob <= '~' ? *glob : '?', out);
	(void)fputc('\n', out);
}

/* Only what the file itself says; the rest is the policy above. */
static void print_rule_policy(FILE *out, const struct rule *r)
{
	const char *section = "";

	for (unsigned i = 0; i < POLICY_KEY_MAX; i++) {
		const struct config_key *k = policy_key_find((enum policy_key)i);

		if (!r->origin[i] || strcmp(r->origin[i], r->file) != 0)
			continue;
		if (strcmp(section, k->section) != 0)
			(void)fprintf(out, "[%s]\n", k->section);
		section = k->section;
		print_value(out, k, &r->policy, r->origin[i]);
	}
}

static void print_rule(FILE *out, const struct rule *r)
{
	const struct match *m = &r->match;

	(void)fprintf(out, "\n# %s\n[Match]\n", r->file);
	print_glob(out, "Name", m->name);
	print_glob(out, "UUID", m->uuid);
	print_glob(out, "Comm", m->comm);
	print_glob(out, "Exe", m->exe);
	print_glob(out, "Cgroup", m->cgroup);
	print_glob(out, "User", m->user);
	print_rule_policy(out, r);
}

static void print_config(FILE *out, const struct config *c)
{
	print_sources(out, c);
	print_main(out, c);
	if (c->n_rules > 0)
		(void)fprintf(out,
			      "\n# Files of vm.d: for each VM the first that matches counts.\n");
	for (size_t i = 0; i < c->n_rules; i++)
		print_rule(out, &c->rules[i]);
	if (c->n_problems > 0)
		(void)fprintf(out, "\n");
	for (size_t i = 0; i < c->n_problems; i++)
		(void)fprintf(out, "# problem: %s\n", c->problems[i].text);
}

int config_format(const struct config *c, char **ret)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int failed;

	if (!out)
		return -ENOMEM;
	print_config(out, c);
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(text);
		return -ENOMEM;
	}
	*ret = text;
	return 0;
}
