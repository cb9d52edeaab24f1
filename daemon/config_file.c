/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "array.h"
#include "cleanup.h"
#include "config_problem.h"

/* 0: a regular file; else as config_file_read(). */
static int judge_file(int fd, const char **ret_why)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3))
		return CONFIG_MASKED;
	if (!S_ISREG(st.st_mode)) {
		*ret_why = S_ISDIR(st.st_mode) ? "is a directory" : "is not a regular file";
		return -EINVAL;
	}
	return 0;
}

/* Up to size bytes; fewer only at the end of the file. */
static ssize_t read_up_to(int fd, char *buffer, size_t size)
{
	size_t total = 0;

	while (total < size) {
		ssize_t n = read(fd, buffer + total, size - total);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		total += (size_t)n;
	}
	return (ssize_t)total;
}

int config_file_read(const char *path, char **ret, size_t *ret_size, const char **ret_why)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = NULL;
	ssize_t n;
	int r;

	*ret_why = NULL;
	if (fd < 0)
		return -errno;
	r = judge_file(fd, ret_why);
	if (r != 0)
		return r;
	text = malloc(CONFIG_FILE_MAX_BYTES + 1);
	if (!text)
		return -ENOMEM;
	n = read_up_to(fd, text, CONFIG_FILE_MAX_BYTES + 1);
	if (n < 0)
		return (int)n;
	if (n > CONFIG_FILE_MAX_BYTES) {
		*ret_why = "is larger than 256K";
		return -EFBIG;
	}
	if (memchr(text, '\0', (size_t)n)) {
		*ret_why = "holds NUL bytes: not a text file";
		return -EINVAL;
	}
	text[n] = '\0';
	*ret = TAKE_PTR(text);
	*ret_size = (size_t)n;
	return 0;
}

int config_file_find(const struct config_roots *roots, const char *name, char **ret)
{
	for (size_t i = 0; i < roots->n_dirs; i++) {
		char *path;
		struct stat st;

		if (asprintf(&path, "%s/%s", roots->dirs[i], name) < 0)
			return -ENOMEM;
		/* A dangling link and an unreadable file are found too: they have to be named, not
		 * passed over for a file of lower rank. */
		if (lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
			*ret = path;
			return 0;
		}
		free(path);
	}
	*ret = NULL;
	return 0;
}

struct entry {
	char *path;	  /* owned */
	const char *name; /* into path */
	size_t rank;	  /* of its root; 0 is highest */
};

struct listing {
	struct entry *entries;
	size_t n_entries;
};

static void listing_clear(struct listing *l)
{
	for (size_t i = 0; i < l->n_entries; i++)
		free(l->entries[i].path);
	free(l->entries);
	*l = (struct listing){0};
}

static bool is_config_name(const char *name)
{
	size_t n = strlen(name);

	return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".conf") == 0;
}

static int listing_add(struct listing *l, const char *dir, const char *name, size_t rank)
{
	struct entry e = {.rank = rank};
	int r;

	if (asprintf(&e.path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	e.name = strrchr(e.path, '/') + 1;
	r = ARRAY_APPEND(&l->entries, &l->n_entries, &e);
	if (r < 0)
		free(e.path);
	return r;
}

static int listing_add_dir(struct config *c, struct listing *l, const char *dir, size_t rank)
{
	_cleanup_closedir_ DIR *d = opendir(dir);
	const struct dirent *entry;
	int r = 0;

	if (!d && errno == ENOENT)
		return 0;
	if (!d) {
		c->is_incomplete = true;
		return config_problem_add(c, "%s: cannot be read: %s", dir, strerror(errno));
	}
	while (r == 0 && (entry = readdir(d)))
		if (is_config_name(entry->d_name))
			r = listing_add(l, dir, entry->d_name, rank);
	return r;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int by_name = strcmp(x->name, y->name);

	return by_name != 0 ? by_name : (x->rank > y->rank) - (x->rank < y->rank);
}

/* Moves the paths that count out of the sorted listing. */
static int listing_take(struct listing *l, char ***ret, size_t *ret_n)
{
	char **paths = calloc(l->n_entries + 1, sizeof(*paths));
	const char *last = "";
	size_t n = 0;

	if (!paths)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_entries; i++) {
		if (strcmp(l->entries[i].name, last) == 0)
			continue;
		last = l->entries[i].name;
		paths[n++] = TAKE_PTR(l->entries[i].path); /* freed by the caller: last stays */
	}
	*ret = paths;
	*ret_n = n;
	return 0;
}

int config_file_list(struct config *c, const struct config_roots *roots, const char *subdir,
		     char ***ret, size_t *ret_n)
{
	_cleanup_(listing_clear) struct listing l = {0};

	for (size_t i = 0; i < roots->n_dirs; i++) {
		_cleanup_free_ char *dir = NULL;
		int r;

		if (asprintf(&dir, "%s/%s", roots->dirs[i], subdir) < 0) {
			dir = NULL; /* undefined after a failure */
			return -ENOMEM;
		}
		r = listing_add_dir(c, &l, dir, i);
		if (r < 0)
			return r;
	}
	if (l.n_entries > 0)
		qsort(l.entries, l.n_entries, sizeof(*l.entries), compare_entries);
	return listing_take(&l, ret, ret_n);
}

void config_file_list_free(char **paths, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(paths[i]);
	free(paths);
}
