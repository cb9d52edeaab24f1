/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Each verb prints its answer, or why there is none to stderr, and returns the exit status. */

#include "args.h"

int verb_status(const struct args *a);
int verb_show(const struct args *a);
int verb_explain(const struct args *a);
int verb_numa(const struct args *a);
int verb_plan(const struct args *a);
int verb_memslots(const struct args *a);
int verb_collapse(const struct args *a);
int verb_populate(const struct args *a);
int verb_nudge(const struct args *a);
int verb_pause(const struct args *a);
int verb_resume(const struct args *a);
int verb_doctor(const struct args *a);
int verb_snapshot(const struct args *a);
int verb_cat_config(const struct args *a);
int verb_record(const struct args *a);
int verb_reload(const struct args *a);
int verb_dax_check(const struct args *a);
int verb_dax_create(const struct args *a);
int verb_dax_realign(const struct args *a); /* and prealloc */

/* Connects, calls, and hands out the answer's text (malloc'ed; NULL wanted: none), or says on
 * stderr what went wrong. 0 or a negative errno. */
int verbs_ask(const struct args *a, const char *method, const char *first, const char *second,
	      char **ret_text);
