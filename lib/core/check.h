/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A list of findings, each with what helps: what `thpctl doctor` and `thpctl dax check` print. */

#include <stddef.h>
#include <stdio.h>

enum check_result { CHECK_OK = 0, CHECK_NOTE, CHECK_WARN, CHECK_FAIL };

const char *check_result_name(enum check_result result); /* "ok", "note", "warn", "fail" */

struct check {
	const char *id; /* "kernel", "shmem-knob", "pfn", ...: interface, static */
	enum check_result result;
	char text[384];	  /* what was found */
	const char *cure; /* static; "" if nothing is to be done */
};

enum { CHECKS_MAX = 20 };

struct check_list {
	struct check items[CHECKS_MAX];
	size_t n_items;
};

/* The next entry, its text empty; the last one again if the list is full. */
struct check *check_next(struct check_list *list, const char *id, enum check_result result,
			 const char *cure);

#define CHECK_ADD(list, id, result, cure, ...)                                   \
	do {                                                                     \
		struct check *check_ = check_next(list, id, result, cure);       \
		(void)snprintf(check_->text, sizeof(check_->text), __VA_ARGS__); \
	} while (0)
