/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs on this host rather than on the daemon: doctor, record. */
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "checks.h"
#include "client.h"
#include "document.h"
#include "field.h"
#include "progress.h"
#include "scope.h"
#include "thpd.h"
#include "verbs.h"

/* The daemon's status, or NULL if none answers. */
static struct json_object *try_status(const struct args *a)
{
	struct client *c __attribute__((cleanup(client_closep))) = NULL;
	_free_ char *problem = NULL, *text = NULL;

	if (client_open(a->runtime_dir, &c, &problem) < 0 ||
	    client_call(c, "GetStatus", NULL, NULL, &text) < 0)
		return NULL;
	return document_parse(text);
}

static int add_guests(const struct args *a, struct json_object *report)
{
	_put_ struct json_object *status = try_status(a), *reasons = NULL;
	_free_ char *text = NULL;

	if (!status)
		return checks_add(report, "guests", "note",
				  "thpd does not answer, so its VMs were not checked.",
				  "Start it: systemctl start thpd.");
	if (thpd_reasons(&text) == 0)
		reasons = document_parse(text);
	return checks_add_status(report, status, reasons);
}

int verb_doctor(const struct args *a)
{
	_put_ struct json_object *report = NULL;
	_free_ char *text = NULL;
	const char *why = NULL;
	int r = thpd_doctor(&text, &why);

	if (r < 0) {
		fprintf(stderr, "thpctl: the host cannot be checked: %s%s\n",
			why ? why : strerror(-r), geteuid() != 0 ? " Run thpctl as root." : "");
		return EXIT_FAILED;
	}
	report = document_parse(text);
	if (!report || add_guests(a, report) < 0) {
		fputs("thpctl: out of memory\n", stderr);
		return EXIT_FAILED;
	}
	if (a->json != JSON_FORM_NONE)
		(void)document_print(stdout, report, a->json);
	else
		checks_print(stdout, report, a->has_legend);
	return checks_are_ok(report) ? EXIT_OK : EXIT_FAILED;
}

static int parse_pid(const char *text, pid_t *ret)
{
	char *end;
	long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtol(text, &end, 10);
	if (errno != 0 || *end != '\0' || value < 1 || value > INT_MAX)
		return -EINVAL;
	*ret = (pid_t)value;
	return 0;
}

/* Pids stand for themselves, with or without a daemon; names are the daemon's to know. */
static int find_pid(const struct args *a, const char *who, struct json_object **status, pid_t *ret)
{
	struct json_object *vm;

	if (parse_pid(who, ret) == 0)
		return 0;
	if (!*status) {
		_free_ char *text = NULL;

		if (verbs_ask(a, "GetStatus", NULL, NULL, &text) < 0)
			return -ENOTCONN;
		*status = document_parse(text);
	}
	vm = progress_find(*status, who);
	if (!vm) {
		fprintf(stderr, "thpctl: there is no VM '%s'; thpctl status lists them\n", who);
		return -ENOENT;
	}
	if (progress_count(*status, who) > 1) {
		fprintf(stderr, "thpctl: several VMs are called '%s'; use the UUID or the pid\n",
			who);
		return -ENOTUNIQ;
	}
	*ret = (pid_t)field_u64_or_0(vm, "pid");
	return 0;
}

static int open_directory(const char *path)
{
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		fprintf(stderr, "thpctl: %s cannot be made: %s\n", path, strerror(errno));
		return -EBADF;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		fprintf(stderr, "thpctl: %s cannot be opened: %s\n", path, strerror(errno));
	return fd;
}

static int record(const struct args *a, const pid_t *pids, size_t n)
{
	_close_ int dirfd = open_directory(a->words[0]);
	const char *why = NULL;
	int r;

	if (dirfd < 0)
		return EXIT_FAILED;
	r = thpd_record(dirfd, pids, n, a->is_scrubbed, &why);
	if (r < 0) {
		fprintf(stderr, "thpctl: %s: %s (%s)%s\n", a->words[0],
			why ? why : "The host could not be recorded.", strerror(-r),
			r == -ENOTEMPTY || r == -EEXIST ? " Give an empty directory." : "");
		return EXIT_FAILED;
	}
	if (a->has_legend && a->json == JSON_FORM_NONE)
		printf("Recorded into %s%s\n", a->words[0],
		       a->is_scrubbed ? "" : " (with names and paths: --scrub leaves them out)");
	return EXIT_OK;
}

int verb_record(const struct args *a)
{
	_put_ struct json_object *status = NULL;
	size_t n = (size_t)a->n_words - 1;
	_free_ pid_t *pids = calloc(n, sizeof(*pids));

	if (!pids)
		return EXIT_FAILED;
	for (size_t i = 0; i < n; i++)
		if (find_pid(a, a->words[i + 1], &status, &pids[i]) < 0)
			return EXIT_FAILED;
	return record(a, pids, n);
}
