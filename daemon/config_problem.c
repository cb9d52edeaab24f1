/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"

static void make_printable(char *text)
{
	for (char *p = text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

int config_problem_add(struct config *c, const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n, r;

	if (c->n_problems >= CONFIG_PROBLEMS_MAX)
		return 0;
	if (c->n_problems == CONFIG_PROBLEMS_MAX - 1)
		format = "further problems are not listed";

	va_start(ap, format);
	n = vasprintf(&text, format, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL; /* undefined after a failure */
		return -ENOMEM;
	}
	make_printable(text);

	struct config_problem problem = {.text = text};

	r = ARRAY_APPEND(&c->problems, &c->n_problems, &problem);
	if (r < 0)
		return r;
	text = NULL;
	return 0;
}
