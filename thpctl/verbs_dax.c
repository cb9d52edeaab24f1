/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs on files that guests have as memory: dax check. */
#include <string.h>

#include "document.h"
#include "field.h"
#include "format.h"
#include "scope.h"
#include "thpd.h"
#include "verbs.h"
#include "view_dax.h"

enum { NAME_BYTES = 4096 };

static int fail(const char *path, int err, const char *why)
{
	char name[NAME_BYTES];

	fprintf(stderr, "thpctl: %s: %s (%s)\n", format_printable(path, name, sizeof(name)),
		why ? why : "It did not work.", strerror(-err));
	return EXIT_FAILED;
}

/* Prints what was answered about the file. */
static int show(const struct args *a, int r, const char *text, const char *why)
{
	_put_ struct json_object *report = NULL;

	if (r < 0)
		return fail(a->words[0], r, why);
	report = document_parse(text);
	if (!report)
		return fail(a->words[0], -ENOMEM, NULL);
	if (a->json != JSON_FORM_NONE)
		r = document_print(stdout, report, a->json);
	else
		r = view_dax_print(stdout, report, a);
	if (r < 0)
		return fail(a->words[0], r, NULL);
	return field_is_true(report, "aligned") ? EXIT_OK : EXIT_TARGET_MISSED;
}

int verb_dax_check(const struct args *a)
{
	_free_ char *text = NULL;
	const char *why = NULL;
	int r = thpd_dax_check(a->words[0], &text, &why);

	return show(a, r, text, why);
}

int verb_dax_create(const struct args *a)
{
	_free_ char *text = NULL;
	const char *why = NULL;
	int r = thpd_dax_create(a->words[0], a->size_bytes, a->align_bytes, &text, &why);

	return show(a, r, text, why);
}
