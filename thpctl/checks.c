/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "checks.h"

#include <errno.h>
#include <string.h>

#include "field.h"
#include "format.h"

#define MISALIGNED "misaligned-mapping"
#define FOR_LIFE   "dirty-logging-for-life"

enum { SENTENCE_MAX = 1024 };

static int add_text(struct json_object *o, const char *key, const char *text)
{
	struct json_object *value = json_object_new_string(text);

	if (value && json_object_object_add(o, key, value) == 0)
		return 0;
	(void)json_object_put(value);
	return -ENOMEM;
}

int checks_add(struct json_object *report, const char *id, const char *result, const char *text,
	       const char *cure)
{
	struct json_object *check = json_object_new_object(), *list = field_array(report, "checks");

	if (!check || !list || add_text(check, "id", id) < 0 ||
	    add_text(check, "result", result) < 0 || add_text(check, "text", text) < 0 ||
	    add_text(check, "cure", cure) < 0 || json_object_array_add(list, check) < 0) {
		(void)json_object_put(check);
		return -ENOMEM;
	}
	if (strcmp(result, "fail") == 0 &&
	    json_object_object_add(report, "ok", json_object_new_boolean(0)) < 0)
		return -ENOMEM;
	return 0;
}

/* No fault of the guest: what thpd would know or do more of, were there a way. */
static int check_hint(struct json_object *report, struct json_object *vm)
{
	struct json_object *hint = field_object(vm, "hint");
	char text[SENTENCE_MAX], id[128], name[256];

	if (!hint)
		return 0;
	(void)snprintf(id, sizeof(id), "guest-%s", field_text(hint, "reason"));
	(void)snprintf(text, sizeof(text), "%s (pid %llu): %s",
		       format_printable(field_text(vm, "name"), name, sizeof(name)),
		       (unsigned long long)field_u64_or_0(vm, "pid"), field_text(hint, "sentence"));
	return checks_add(report, id, "note", text, field_text(hint, "cure"));
}

static int check_log(struct json_object *report, struct json_object *vm, const char *cure)
{
	char text[SENTENCE_MAX], name[256];

	if (strcmp(field_text(vm, "logged_for_life"), "yes") != 0)
		return 0;
	(void)snprintf(text, sizeof(text),
		       "%s (pid %llu): its VMM has KVM log what the guest writes for as long as it "
		       "lives, so that KVM maps all of its memory by small pages.",
		       format_printable(field_text(vm, "name"), name, sizeof(name)),
		       (unsigned long long)field_u64_or_0(vm, "pid"));
	return checks_add(report, "guest-" FOR_LIFE, "warn", text, cure);
}

static int check_alignment(struct json_object *report, struct json_object *vm, const char *cure)
{
	uint64_t misaligned = field_u64_or_0(field_object(vm, "reasons"), MISALIGNED);
	char text[SENTENCE_MAX], name[256], bytes[FORMAT_MAX];

	if (misaligned == 0)
		return 0;
	(void)snprintf(text, sizeof(text),
		       "%s (pid %llu): %s of its memory is mapped off a huge page boundary and can "
		       "never become huge.",
		       format_printable(field_text(vm, "name"), name, sizeof(name)),
		       (unsigned long long)field_u64_or_0(vm, "pid"),
		       format_bytes(misaligned, false, bytes));
	return checks_add(report, "guest-" MISALIGNED, "fail", text, cure);
}

static int check_guest(struct json_object *report, struct json_object *vm,
		       struct json_object *reasons)
{
	int r = check_alignment(report, vm,
				field_text(field_find(reasons, "slug", MISALIGNED), "cure"));

	if (r == 0)
		r = check_log(report, vm,
			      field_text(field_find(reasons, "slug", FOR_LIFE), "cure"));
	return r < 0 ? r : check_hint(report, vm);
}

static int check_daemon(struct json_object *report, struct json_object *host)
{
	struct json_object *lost = field_array(host, "lost");
	uint64_t n_problems = field_u64_or_0(host, "config_problems");
	int r = 0;

	for (size_t i = 0; r == 0 && i < field_array_length(lost); i++) {
		const char *text = json_object_get_string(json_object_array_get_idx(lost, i));

		r = checks_add(report, "daemon-rights", "warn", text ? text : "", "");
	}
	if (r == 0 && n_problems > 0)
		r = checks_add(report, "daemon-config", "warn",
			       "thpd found mistakes in its configuration and uses defaults there.",
			       "thpctl cat-config names them.");
	return r;
}

int checks_add_status(struct json_object *report, struct json_object *status,
		      struct json_object *reasons)
{
	struct json_object *vms = field_array(status, "vms"), *ok;
	bool was_ok = checks_are_ok(report);
	char text[64];
	int r = check_daemon(report, field_object(status, "host"));

	ok = json_object_new_boolean(1);
	if (!ok || json_object_object_add(report, "ok", ok) < 0)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < field_array_length(vms); i++)
		r = check_guest(report, json_object_array_get_idx(vms, i), reasons);
	if (r == 0 && checks_are_ok(report)) {
		(void)snprintf(text, sizeof(text), "%zu VMs, none with misaligned memory.",
			       field_array_length(vms));
		r = checks_add(report, "guests", "ok", text, "");
	}
	if (r == 0 && !was_ok)
		r = json_object_object_add(report, "ok", json_object_new_boolean(0));
	return r;
}

bool checks_are_ok(struct json_object *report)
{
	return field_is_true(report, "ok");
}

static const char *mark(const char *result)
{
	if (strcmp(result, "fail") == 0)
		return "FAIL";
	if (strcmp(result, "warn") == 0)
		return "warn";
	return strcmp(result, "ok") == 0 ? "ok" : "note";
}

static void print_check(FILE *f, struct json_object *check)
{
	char id[64], text[SENTENCE_MAX], line[SENTENCE_MAX];

	fprintf(f, "%-4s  %s\n", mark(field_text(check, "result")),
		format_printable(field_text(check, "id"), id, sizeof(id)));
	format_paragraph(f, 6, format_printable(field_text(check, "text"), text, sizeof(text)));
	if (!*field_text(check, "cure") || strcmp(field_text(check, "result"), "ok") == 0)
		return;
	(void)format_printable(field_text(check, "cure"), text, sizeof(text) - 16);
	(void)snprintf(line, sizeof(line), "What to do: %.*s", SENTENCE_MAX - 16, text);
	format_paragraph(f, 6, line);
}

void checks_print(FILE *f, struct json_object *report, bool has_legend)
{
	struct json_object *list = field_array(report, "checks");
	size_t n_failed = 0;

	for (size_t i = 0; i < field_array_length(list); i++) {
		struct json_object *check = json_object_array_get_idx(list, i);

		print_check(f, check);
		n_failed += strcmp(field_text(check, "result"), "fail") == 0;
	}
	if (!has_legend)
		return;
	if (n_failed == 0)
		fputs("\nNothing stands in the way.\n", f);
	else
		fprintf(f, "\n%zu of %zu checks failed.\n", n_failed, field_array_length(list));
}
