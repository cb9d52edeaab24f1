/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Theory of operation: thpd.conf of the highest directory that has one, then the drop-ins of all
 * directories by file name, are laid over the defaults one after the other; each file of vm.d then
 * becomes a rule on top of the result. Files are read into memory first (config_file.c), their
 * lines judged (config_text.c), their values applied (config_apply.c). Whatever is wrong becomes a
 * problem, never an error: a daemon that does not start over a typo helps nobody. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"
#include "config_apply.h"
#include "config_file.h"
#include "config_match.h"
#include "config_problem.h"

static const char *const standard_dirs[] = {"/etc/thpd", "/run/thpd", "/usr/lib/thpd"};

typedef int (*apply_fn)(struct config *c, const char *file, char *text, size_t size);

/* Remembers a path for as long as the configuration lives. */
static int keep_source(struct config *c, const char *path, const char **ret)
{
	char *copy = strdup(path);
	int r;

	if (!copy)
		return -ENOMEM;
	r = ARRAY_APPEND(&c->sources, &c->n_sources, &copy);
	if (r < 0) {
		free(copy);
		return r;
	}
	*ret = copy;
	return 0;
}

static int load_file(struct config *c, const char *path, apply_fn apply)
{
	_cleanup_free_ char *text = NULL;
	const char *why, *file;
	size_t size = 0;
	int r = config_file_read(path, &text, &size, &why);

	if (r == CONFIG_MASKED)
		return 0;
	if (r == -ENOMEM)
		return r;
	c->is_incomplete |= r < 0;
	if (r < 0 && why)
		return config_problem_add(c, "%s: %s; the file is ignored", path, why);
	if (r < 0)
		return config_problem_add(c, "%s: cannot be read: %s; the file is ignored", path,
					  strerror(-r));
	r = keep_source(c, path, &file);
	return r < 0 ? r : apply(c, file, text, size);
}

static int load_main(struct config *c, const struct config_roots *roots)
{
	_cleanup_free_ char *path = NULL;
	int r = config_file_find(roots, "thpd.conf", &path);

	if (r < 0 || !path)
		return r;
	return load_file(c, path, config_apply_main);
}

static int load_directory(struct config *c, const struct config_roots *roots, const char *subdir,
			  apply_fn apply)
{
	char **paths;
	size_t n;
	int r = config_file_list(c, roots, subdir, &paths, &n);

	if (r < 0)
		return r;
	if (n > CONFIG_RULES_MAX)
		r = config_problem_add(c, "%s: only the first %d of %zu files are read", subdir,
				       CONFIG_RULES_MAX, n);
	for (size_t i = 0; r == 0 && i < n && i < CONFIG_RULES_MAX; i++)
		r = load_file(c, paths[i], apply);
	config_file_list_free(paths, n);
	return r;
}

/* A directory that was asked for by name and cannot be used is worth a word; the standard ones may
 * be missing. */
static int judge_given_directory(struct config *c, const char *dir)
{
	_cleanup_closedir_ DIR *d = opendir(dir);

	c->is_incomplete |= !d;
	return d ? 0 : config_problem_add(c, "%s: cannot be read: %s", dir, strerror(errno));
}

static int load_all(struct config *c, const char *dir)
{
	const char *const given[] = {dir};
	const struct config_roots roots = {.dirs = dir ? given : standard_dirs,
					   .n_dirs = dir ? 1 : ARRAY_SIZE(standard_dirs)};
	int r = config_set_defaults(c);

	if (r == 0 && dir)
		r = judge_given_directory(c, dir);
	if (r == 0)
		r = load_main(c, &roots);
	if (r == 0)
		r = load_directory(c, &roots, "thpd.conf.d", config_apply_main);
	if (r == 0)
		r = load_directory(c, &roots, "vm.d", config_apply_rule);
	return r;
}

int config_load(const char *dir, struct config *ret)
{
	struct config c = {0};
	int r = load_all(&c, dir);

	if (r < 0) {
		config_clear(&c);
		return r;
	}
	*ret = c;
	return 0;
}

void config_clear(struct config *c)
{
	for (size_t i = 0; i < c->n_rules; i++)
		rule_clear(&c->rules[i]);
	for (size_t i = 0; i < c->n_problems; i++)
		free(c->problems[i].text);
	for (size_t i = 0; i < c->n_sources; i++)
		free(c->sources[i]);
	free(c->rules);
	free(c->problems);
	free(c->sources);
	*c = (struct config){0};
}
