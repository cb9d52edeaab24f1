/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that look: status, show, explain, numa, plan, memslots, snapshot, cat-config. */
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "choice.h"
#include "client.h"
#include "document.h"
#include "field.h"
#include "format.h"
#include "scope.h"
#include "thpd.h"
#include "verbs.h"
#include "view_explain.h"
#include "view_kvm.h"
#include "view_memslots.h"
#include "view_numa.h"
#include "view_plan.h"
#include "view_show.h"
#include "view_status.h"

/* A snapshot of a VM has some hundred bytes a run. */
enum { SNAPSHOT_FILE_MAX_BYTES = 256 * 1024 * 1024 };

int verbs_ask(const struct args *a, const char *method, const char *first, const char *second,
	      char **ret_text)
{
	struct client *c __attribute__((cleanup(client_closep))) = NULL;
	_free_ char *problem = NULL;
	int r = client_open(a->runtime_dir, &c, &problem);

	if (r < 0) {
		fprintf(stderr, "thpctl: %s\n", problem ? problem : strerror(-r));
		return r;
	}
	r = client_call(c, method, first, second, ret_text);
	if (r < 0)
		fprintf(stderr, "thpctl: %s\n", client_problem(c));
	return r;
}

static int fail_memory(void)
{
	fputs("thpctl: out of memory\n", stderr);
	return EXIT_FAILED;
}

/* Asks for JSON and prints it as it is if --json says so (*ret stays NULL), else hands it out.
 * Returns an exit status. */
static int ask_document(const struct args *a, const char *method, const char *first,
			const char *second, struct json_object **ret)
{
	_free_ char *text = NULL;

	if (verbs_ask(a, method, first, second, &text) < 0)
		return EXIT_FAILED;
	if (a->json != JSON_FORM_NONE)
		return document_reprint(text, a->json);
	*ret = document_parse(text);
	return *ret ? EXIT_OK : document_reprint(text, JSON_FORM_PRETTY);
}

static uint64_t now_realtime_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int verb_status(const struct args *a)
{
	_put_ struct json_object *o = NULL;
	int status = ask_document(a, "GetStatus", NULL, NULL, &o);

	if (o && view_status_print(stdout, o, a, now_realtime_us()) < 0)
		return fail_memory();
	return status;
}

int verb_show(const struct args *a)
{
	_put_ struct json_object *o = NULL;
	int status = ask_document(a, "Show", a->words[0], NULL, &o);

	if (o && view_show_print(stdout, o, a) < 0)
		return fail_memory();
	return status;
}

int verb_explain(const struct args *a)
{
	const char *address = a->n_words > 1 ? a->words[1] : "";
	_put_ struct json_object *o = NULL;
	int status = ask_document(a, "Explain", a->words[0], address, &o);

	if (o && view_explain_print(stdout, o, a, *address != '\0') < 0)
		return fail_memory();
	return status;
}

/* Each word names one VM; else says on stderr what is wrong. */
static int check_choice(struct json_object *status, const struct args *a)
{
	for (int i = 0; i < a->n_words; i++) {
		struct json_object *vm;
		char problem[1024];
		int r = choice_find(status, a->words[i], &vm);

		if (r == 0)
			continue;
		choice_problem(r, status, a->words[i], problem, sizeof(problem));
		fprintf(stderr, "thpctl: %s\n", problem);
		return r;
	}
	return 0;
}

static int print_numa(struct json_object *numa, const struct args *a)
{
	_put_ struct json_object *reasons = NULL;
	_free_ char *text = NULL;

	if (a->json != JSON_FORM_NONE)
		return document_print(stdout, numa, a->json);
	/* Without them the slugs speak for themselves. */
	if (thpd_reasons(&text) == 0)
		reasons = document_parse(text);
	return view_numa_print(stdout, numa, reasons, a);
}

int verb_numa(const struct args *a)
{
	_put_ struct json_object *status = NULL, *numa = NULL;
	struct args as_document = *a;
	int r;

	as_document.json = JSON_FORM_NONE;
	r = ask_document(&as_document, "GetStatus", NULL, NULL, &status);
	if (!status)
		return r;
	if (check_choice(status, a) < 0)
		return EXIT_FAILED;
	numa = view_numa_reduce(status, a);
	return numa && print_numa(numa, a) == 0 ? EXIT_OK : fail_memory();
}

/* The whole of a file, malloc'ed; a directory or a device that never ends is refused by the
 * bound. */
static int read_file(const char *path, char **ret, size_t *ret_size)
{
	_fclose_ FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	_free_ char *text = NULL;
	size_t used = 0, capacity = 0;

	if (!f)
		return -errno;
	for (;;) {
		size_t n;

		if (capacity - used < 2) {
			char *more;

			if (capacity >= SNAPSHOT_FILE_MAX_BYTES)
				return -EFBIG;
			capacity = capacity > 0 ? 2 * capacity : 65536;
			more = realloc(text, capacity);
			if (!more)
				return -ENOMEM;
			text = more;
		}
		n = fread(text + used, 1, capacity - used - 1, f);
		used += n;
		if (n == 0)
			break;
	}
	if (ferror(f))
		return errno ? -errno : -EIO;
	text[used] = '\0';
	*ret = text;
	*ret_size = used;
	text = NULL;
	return 0;
}

static int print_offline_plan(struct json_object *o, const struct args *a)
{
	struct json_object *kvm = field_object(o, "kvm");
	int r;

	view_explain_summary(stdout, o, "The VM of the snapshot", false, a->is_raw);
	view_kvm_print(stdout, kvm, a->is_raw);
	fputc('\n', stdout);
	r = view_plan_print(stdout, o, a);
	if (r == 0)
		view_kvm_print_findings(stdout, kvm, a->is_raw);
	return r < 0 ? fail_memory() : EXIT_OK;
}

/* Of --snapshot, or of the VM as thpd has it; else says on stderr what went wrong. */
static int get_snapshot(const struct args *a, char **ret, size_t *ret_size)
{
	int r;

	if (!a->snapshot_file) {
		r = verbs_ask(a, "Snapshot", a->words[0], NULL, ret);
		*ret_size = r < 0 ? 0 : strlen(*ret);
		return r;
	}
	r = read_file(a->snapshot_file, ret, ret_size);
	if (r < 0)
		fprintf(stderr, "thpctl: %s: %s\n", a->snapshot_file, strerror(-r));
	return r;
}

/* What the library makes of a snapshot; NULL, and it is said on stderr what went wrong. */
static char *decide(const struct args *a,
		    int (*function)(const char *, size_t, char **, const char **))
{
	_free_ char *text = NULL;
	const char *why = NULL;
	char *answer = NULL;
	size_t size = 0;
	int r;

	if (get_snapshot(a, &text, &size) < 0)
		return NULL;
	r = function(text, size, &answer, &why);
	if (r < 0)
		fprintf(stderr, "thpctl: %s is no snapshot as `thpctl snapshot` writes it: %s\n",
			a->snapshot_file ? a->snapshot_file : "thpd's answer",
			why ? why : strerror(-r));
	return answer;
}

static int plan_offline(const struct args *a)
{
	_free_ char *answer = decide(a, thpd_plan_snapshot);
	_put_ struct json_object *o = NULL;

	if (!answer)
		return EXIT_FAILED;
	if (a->json != JSON_FORM_NONE)
		return document_reprint(answer, a->json);
	o = document_parse(answer);
	return o ? print_offline_plan(o, a) : fail_memory();
}

int verb_plan(const struct args *a)
{
	_put_ struct json_object *o = NULL;
	int status;

	if (a->snapshot_file)
		return plan_offline(a);
	status = ask_document(a, "Plan", a->words[0], NULL, &o);
	if (o && view_plan_print(stdout, o, a) < 0)
		return fail_memory();
	return status;
}

static int print_memslots(struct json_object *table, const struct args *a)
{
	if (a->json != JSON_FORM_NONE)
		return document_print(stdout, table, a->json);
	if (view_memslots_are_known(table))
		return view_memslots_print(stdout, table, a);
	view_memslots_print_unknown(stderr, table);
	return 0;
}

int verb_memslots(const struct args *a)
{
	_free_ char *answer = decide(a, thpd_memslots);
	_put_ struct json_object *table = answer ? document_parse(answer) : NULL;

	if (!answer)
		return EXIT_FAILED;
	if (!table || print_memslots(table, a) < 0)
		return fail_memory();
	return view_memslots_are_known(table) ? EXIT_OK : EXIT_FAILED;
}

int verb_snapshot(const struct args *a)
{
	_free_ char *text = NULL;

	if (verbs_ask(a, "Snapshot", a->words[0], NULL, &text) < 0)
		return EXIT_FAILED;
	return document_reprint(text, a->json == JSON_FORM_NONE ? JSON_FORM_SHORT : a->json);
}

/* Line by line, because a line end is what no value may contain. */
static void print_printable_lines(char *text)
{
	for (char *line = text, *end; *line; line = end) {
		size_t n = strcspn(line, "\n");
		char *copy = malloc(n + 1);

		end = line + n + (line[n] == '\n');
		line[n] = '\0';
		if (copy)
			puts(format_printable(line, copy, n + 1));
		free(copy);
	}
}

static int print_as_json(const char *text, enum json_form form)
{
	_put_ struct json_object *o = json_object_new_object();
	struct json_object *value = json_object_new_string(text);

	if (!o || !value || json_object_object_add(o, "config", value) < 0 ||
	    document_print(stdout, o, form) < 0)
		return fail_memory();
	return EXIT_OK;
}

int verb_cat_config(const struct args *a)
{
	_free_ char *text = NULL;

	if (verbs_ask(a, "CatConfig", NULL, NULL, &text) < 0)
		return EXIT_FAILED;
	if (a->json != JSON_FORM_NONE)
		return print_as_json(text, a->json);
	print_printable_lines(text);
	return EXIT_OK;
}
