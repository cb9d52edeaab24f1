/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A made-up host: files of /proc and /sys below a temporary directory. What cannot be made ends the
 * test program. */

enum { TREE_PATH_MAX = 64 };

/* A new directory; `word` is part of its name, which is written to path. Returns it open. */
int tree_open(char path[TREE_PATH_MAX], const char *word);
void tree_remove(const char *path);

/* Below rootfd, with the directories that the path needs. A file is written anew. */
void tree_put(int rootfd, const char *path, const char *text);
void tree_put_link(int rootfd, const char *path, const char *target);
void tree_put_directory(int rootfd, const char *path);
