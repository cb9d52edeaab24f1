/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A configuration directory for each test. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bits.h"
#include "cleanup.h"
#include "config.h"
#include "config_file.h"
#include "config_key.h"
#include "config_value.h"

struct fixture {
	char dir[64];
	struct config config;
};

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/thpd-test-config-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	*state = f;
	return 0;
}

static inline int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	config_clear(&f->config);
	(void)nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

static const char *path_of(const struct fixture *f, const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	return path;
}

static inline void make_dir(const struct fixture *f, const char *name)
{
	assert_true(mkdir(path_of(f, name), 0755) == 0 || errno == EEXIST);
}

static inline void write_bytes(const struct fixture *f, const char *name, const void *bytes,
			       size_t size)
{
	_cleanup_fclose_ FILE *out = fopen(path_of(f, name), "w");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, size, out), size);
}

static inline void write_file(const struct fixture *f, const char *name, const char *text)
{
	write_bytes(f, name, text, strlen(text));
}

static inline void load(struct fixture *f)
{
	config_clear(&f->config);
	assert_int_equal(config_load(f->dir, &f->config), 0);
}

static inline void load_text(struct fixture *f, const char *text)
{
	write_file(f, "thpd.conf", text);
	load(f);
}

static inline void load_rule(struct fixture *f, const char *text)
{
	make_dir(f, "vm.d");
	write_file(f, "vm.d/10.conf", text);
	load(f);
}

static inline bool has_problem(const struct config *c, const char *part)
{
	for (size_t i = 0; i < c->n_problems; i++)
		if (strstr(c->problems[i].text, part))
			return true;
	return false;
}

#define assert_problem(c, part)                                                       \
	do {                                                                          \
		if (!has_problem(c, part)) {                                          \
			for (size_t i_ = 0; i_ < (c)->n_problems; i_++)               \
				print_error("problem: %s\n", (c)->problems[i_].text); \
			fail_msg("no problem says \"%s\"", part);                     \
		}                                                                     \
	} while (0)

static inline void assert_no_problem(const struct config *c)
{
	if (c->n_problems > 0)
		fail_msg("unexpected problem: %s", c->problems[0].text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
