/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Verbs that steer: collapse, populate, nudge, pause, resume, reload. */
#include <string.h>
#include <time.h>

#include "client.h"
#include "document.h"
#include "field.h"
#include "format.h"
#include "progress.h"
#include "scope.h"
#include "verbs.h"

enum { POLL_NS = 200 * 1000 * 1000, NAME_MAX_BYTES = 256 };

int verb_pause(const struct args *a)
{
	return verbs_ask(a, "Pause", a->words[0], NULL, NULL) < 0 ? EXIT_FAILED : EXIT_OK;
}

int verb_resume(const struct args *a)
{
	return verbs_ask(a, "Resume", a->words[0], NULL, NULL) < 0 ? EXIT_FAILED : EXIT_OK;
}

int verb_reload(const struct args *a)
{
	return verbs_ask(a, "Reload", NULL, NULL, NULL) < 0 ? EXIT_FAILED : EXIT_OK;
}

/* A request whose end can be waited for. */
struct wait {
	const char *method, *how; /* how: NULL where the method takes none */
	bool is_of_kvm;		  /* it changes what KVM maps, not what the host does */
	const struct args *args;
	struct client *client;
	char name[NAME_MAX_BYTES]; /* printable */
	char pid[24];		   /* names the VM from the first answer on */
	uint64_t ticket;
	bool has_shown, is_terminal;
	struct progress first, shown, now;
	struct json_object *status; /* owned; the last one */
};

static int fail(const char *problem)
{
	fprintf(stderr, "thpctl: %s\n", problem);
	return -EIO;
}

static int refresh(struct wait *w, const char *who, struct json_object **ret_vm)
{
	_free_ char *text = NULL;
	struct json_object *status;

	if (client_call(w->client, "GetStatus", NULL, NULL, &text) < 0)
		return fail(client_problem(w->client));
	status = document_parse(text);
	if (!status)
		return fail("thpd's answer is not JSON");
	(void)json_object_put(w->status);
	w->status = status;
	*ret_vm = progress_find(status, who);
	if (*ret_vm)
		progress_read(*ret_vm, &w->now);
	return 0;
}

/* On a terminal a bar that moves; else a line for each change. Never on stdout. */
static void show(struct wait *w)
{
	char line[160];

	if (w->args->json != JSON_FORM_NONE ||
	    (w->has_shown && !progress_differs(&w->shown, &w->now)))
		return;
	progress_format(&w->now, w->is_terminal, w->args->is_raw, line, sizeof(line));
	fprintf(stderr, w->is_terminal ? "\r%s: %s\033[K" : "%s: %s\n", w->name, line);
	w->shown = w->now;
	w->has_shown = true;
}

static int begin(struct wait *w, const char *who)
{
	struct json_object *vm;

	if (refresh(w, who, &vm) < 0)
		return -EIO;
	/* The call comes first in any case: it is the daemon that knows names. */
	if (client_call_u64(w->client, w->method, who, w->how, &w->ticket) < 0)
		return fail(client_problem(w->client));
	if (!vm && (refresh(w, who, &vm) < 0 || !vm))
		return fail("the VM ended");
	w->first = w->now;
	(void)format_printable(field_text(vm, "name"), w->name, sizeof(w->name));
	(void)snprintf(w->pid, sizeof(w->pid), "%llu", (unsigned long long)w->now.pid);
	return 0;
}

static int follow(struct wait *w)
{
	static const struct timespec pause = {.tv_nsec = POLL_NS};
	struct json_object *vm;

	for (;;) {
		if (refresh(w, w->pid, &vm) < 0)
			return -EIO;
		if (!vm)
			return fail("the VM ended before it was done");
		show(w);
		if (strcmp(w->now.phase, "stuck") == 0)
			return fail("the VM does not let itself be read (see thpd's log), so that "
				    "nothing is done until it does");
		if (w->now.cycles >= w->ticket)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
}

static void print_host(const struct wait *w)
{
	char now[FORMAT_MAX], before[FORMAT_MAX], resident[FORMAT_MAX];

	printf("%s: %s of %s resident is huge (was %s)\n", w->name,
	       format_share(w->now.huge_bytes, w->now.resident_bytes, now),
	       format_bytes(w->now.resident_bytes, w->args->is_raw, resident),
	       format_share(w->first.huge_bytes, w->first.resident_bytes, before));
}

static bool is_by_qemu(struct json_object *nudge)
{
	return strcmp(field_text(nudge, "means"), "qmp/calc-dirty-rate") == 0;
}

/* By which means, where it was done. */
static void print_means(const struct wait *w)
{
	struct json_object *kvm = field_object(progress_find(w->status, w->pid), "kvm"),
			   *nudge = field_object(kvm, "nudge");
	const char *means = field_text(nudge, "means");

	if (strcmp(field_text(nudge, "result"), "done") == 0 && *means)
		printf("%s: nudged by %s\n", w->name, means);
}

static void print_kvm(const struct wait *w)
{
	char now[FORMAT_MAX], before[FORMAT_MAX], mapped[FORMAT_MAX];

	if (w->now.kvm_mapped_bytes == 0)
		printf("%s: what KVM maps is not known yet; thpctl status shows it\n", w->name);
	else
		printf("%s: %s of the %s that KVM maps is huge (was %s)\n", w->name,
		       format_share(w->now.kvm_huge_bytes, w->now.kvm_mapped_bytes, now),
		       format_bytes(w->now.kvm_mapped_bytes, w->args->is_raw, mapped),
		       format_share(w->first.kvm_huge_bytes, w->first.kvm_mapped_bytes, before));
}

static void print_result(struct wait *w)
{
	if (w->args->json != JSON_FORM_NONE) {
		(void)document_print(stdout, progress_find(w->status, w->pid), w->args->json);
		return;
	}
	if (w->is_terminal)
		fputc('\n', stderr);
	if (w->is_of_kvm) {
		print_means(w);
		print_kvm(w);
	} else {
		print_host(w);
	}
	if (w->now.is_paused)
		fprintf(stderr, "thpctl: %s is paused, so nothing was done; thpctl resume %s\n",
			w->name, w->name);
}

static int judge_target(const struct wait *w)
{
	unsigned int target_bp = w->args->target_bp;

	if (!w->args->has_target || progress_meets(&w->now, target_bp))
		return EXIT_OK;
	if (!progress_is_measurable(&w->now))
		fprintf(stderr,
			"thpctl: the target of %u.%02u%% cannot be reached: no memory of %s is "
			"known to be "
			"resident, so there is nothing to measure; why: thpctl explain %s\n",
			target_bp / 100, target_bp % 100, w->name, w->name);
	else
		fprintf(stderr,
			"thpctl: %s is below the target of %u.%02u%%; why: thpctl explain %s\n",
			w->name, target_bp / 100, target_bp % 100, w->name);
	return EXIT_TARGET_MISSED;
}

static void complain_of_nudge(const char *name, struct json_object *nudge)
{
	char result[FORMAT_MAX], refusal[256];

	field_cell(nudge, "result", result, sizeof(result));
	field_cell(nudge, "refusal", refusal, sizeof(refusal));
	if (is_by_qemu(nudge) && *field_text(nudge, "refusal"))
		fprintf(stderr, "thpctl: QEMU refuses to measure the dirty rate of %s: %s\n", name,
			refusal);
	else if (is_by_qemu(nudge))
		fprintf(stderr, "thpctl: QEMU's measuring of the dirty rate of %s: %s\n", name,
			result);
	else
		fprintf(stderr, "thpctl: the VMM of %s was asked, and did nothing: %s\n", name,
			*field_text(nudge, "result") ? result : "no answer");
}

/* What came of it, if that is not what was asked for. */
static int judge_nudge(const struct wait *w)
{
	struct json_object *kvm = field_object(progress_find(w->status, w->pid), "kvm"),
			   *refused = field_object(kvm, "nudge_refused"),
			   *nudge = field_object(kvm, "nudge");

	if (refused)
		fprintf(stderr, "thpctl: %s was not nudged (%s): %s\n%s\n", w->name,
			field_text(refused, "reason"), field_text(refused, "sentence"),
			field_text(refused, "cure"));
	else if (strcmp(field_text(nudge, "result"), "done") != 0)
		complain_of_nudge(w->name, nudge);
	else
		return EXIT_OK;
	return EXIT_FAILED;
}

static int wait_for_end(struct wait *w, const char *who)
{
	if (begin(w, who) < 0 || follow(w) < 0)
		return EXIT_FAILED;
	print_result(w);
	return w->is_of_kvm ? judge_nudge(w) : judge_target(w);
}

static int request(struct wait *w, const char *who)
{
	if (client_call_u64(w->client, w->method, who, w->how, &w->ticket) < 0) {
		(void)fail(client_problem(w->client));
		return EXIT_FAILED;
	}
	if (w->args->json != JSON_FORM_NONE)
		printf("{\"ticket\":%llu}\n", (unsigned long long)w->ticket);
	return EXIT_OK;
}

static int ask(struct wait *w)
{
	const struct args *a = w->args;
	_free_ char *problem = NULL;
	int status;

	w->is_terminal = isatty(STDERR_FILENO);
	if (client_open(a->runtime_dir, &w->client, &problem) < 0) {
		(void)fail(problem ? problem : "out of memory");
		return EXIT_FAILED;
	}
	status = a->is_waiting ? wait_for_end(w, a->words[0]) : request(w, a->words[0]);
	(void)json_object_put(w->status);
	(void)client_close(w->client);
	return status;
}

int verb_collapse(const struct args *a)
{
	return ask(&(struct wait){.method = "Collapse", .args = a});
}

int verb_populate(const struct args *a)
{
	return ask(&(struct wait){
		.method = "Populate", .how = a->is_forced ? "force" : "", .args = a});
}

int verb_nudge(const struct args *a)
{
	return ask(&(struct wait){.method = "Nudge", .is_of_kvm = true, .args = a});
}
