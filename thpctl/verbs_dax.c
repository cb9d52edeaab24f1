/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs on files that guests have as memory. */
#include <string.h>
#include <time.h>

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

/* What thpctl's own mapping of the file showed, as a part of the report. */
static int add_probe(const struct args *a, struct json_object *report)
{
	_free_ char *text = NULL;
	const char *why = NULL;
	int r = thpd_dax_probe(a->words[0], &text, &why);
	struct json_object *probe = r < 0 ? NULL : document_parse(text);

	if (r < 0)
		return fail(a->words[0], r, why);
	if (!probe || json_object_object_add(report, "probe", probe) < 0)
		return fail(a->words[0], -ENOMEM, NULL);
	return EXIT_OK;
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
	if (a->is_probing && add_probe(a, report) != EXIT_OK)
		return EXIT_FAILED;
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

/* A bar on stderr, with what is left to wait. */
struct bar {
	struct timespec began;
	bool is_shown;
};

static double seconds_since(const struct timespec *then)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static void show_progress(void *userdata, uint64_t done_bytes, uint64_t all_bytes)
{
	struct bar *bar = userdata;
	char done[FORMAT_MAX], all[FORMAT_MAX], share[FORMAT_MAX];
	double spent = seconds_since(&bar->began);

	if (all_bytes == 0)
		return;
	fprintf(stderr, "\r%s of %s moved (%s)", format_bytes(done_bytes, false, done),
		format_bytes(all_bytes, false, all), format_share(done_bytes, all_bytes, share));
	if (done_bytes > 0)
		fprintf(stderr, ", %.0f s left\033[K",
			spent * (double)(all_bytes - done_bytes) / (double)done_bytes);
	bar->is_shown = true;
}

/* A line for each, to go with a refusal. */
static void print_users(const char *path)
{
	_put_ struct json_object *users = NULL;
	_free_ char *text = NULL;

	if (thpd_dax_users(path, &text, NULL) == 0)
		users = document_parse(text);
	for (size_t i = 0; users && i < json_object_array_length(users); i++) {
		struct json_object *user = json_object_array_get_idx(users, i);

		fprintf(stderr, "thpctl: process %llu has it %s\n",
			(unsigned long long)field_u64_or_0(user, "pid"),
			field_is_true(user, "mapped") ? "mapped" : "open");
	}
}

int verb_dax_realign(const struct args *a)
{
	struct bar bar = {.is_shown = false};
	struct thpd_dax_request request = {.unit_bytes = a->align_bytes,
					   .holes = a->verb == VERB_DAX_PREALLOC,
					   .dry_run = a->is_dry_run,
					   .copy = a->is_copying,
					   .userdata = &bar};
	_free_ char *text = NULL;
	const char *why = NULL;
	int r;

	(void)clock_gettime(CLOCK_MONOTONIC, &bar.began);
	if (isatty(STDERR_FILENO) && a->json == JSON_FORM_NONE)
		request.progress = show_progress;
	r = thpd_dax_realign(a->words[0], &request, &text, &why);
	if (bar.is_shown)
		fputc('\n', stderr);
	if (r == -EBUSY)
		print_users(a->words[0]);
	return show(a, r, text, why);
}
