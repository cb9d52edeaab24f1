/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void need(bool is_done, const char *what)
{
	if (is_done)
		return;
	perror(what);
	abort();
}

static void make_parents(int rootfd, const char *path)
{
	char copy[512];

	need(strlen(path) < sizeof(copy), path);
	strcpy(copy, path);
	for (char *slash = strchr(copy, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		need(mkdirat(rootfd, copy, 0755) == 0 || errno == EEXIST, copy);
		*slash = '/';
	}
}

int tree_open(char path[TREE_PATH_MAX], const char *word)
{
	int fd;

	(void)snprintf(path, TREE_PATH_MAX, "/tmp/thpd-%s-XXXXXX", word);
	need(mkdtemp(path) != NULL, path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	need(fd >= 0, path);
	return fd;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void tree_remove(const char *path)
{
	(void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

void tree_put(int rootfd, const char *path, const char *text)
{
	int fd;

	make_parents(rootfd, path);
	fd = openat(rootfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	need(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
	(void)close(fd);
}

void tree_put_link(int rootfd, const char *path, const char *target)
{
	make_parents(rootfd, path);
	need(symlinkat(target, rootfd, path) == 0, path);
}

void tree_put_directory(int rootfd, const char *path)
{
	make_parents(rootfd, path);
	need(mkdirat(rootfd, path, 0755) == 0 || errno == EEXIST, path);
}
