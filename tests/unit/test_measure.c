/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The nudge by QEMU: what a worker asks, and what it tells. The made-up QEMU is a
 * child behind a socket on which this process listens, so that it is the VM's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bits.h"
#include "job.h"
#include "measure.h"
#include "text.h"

/* ---- The made-up QEMU ----------------------------------------------------------------------- */

/* The text of a JSON value; "" is QEMU's error. */
struct line {
	const char *question; /* that occurs in what was asked */
	const char *answer;
};

#define DEVICES                                                                                 \
	"[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"n\",\"type\":\"child<virtio-net-" \
	"pci>\"}]"
#define STATS                                                                      \
	"[{\"provider\":\"kvm\",\"stats\":[{\"name\":\"pages_4k\",\"value\":512}," \
	"{\"name\":\"pages_2m\",\"value\":34},{\"name\":\"pages_1g\",\"value\":0}]}]"
#define MEASURED_BY(mode) "{\"status\":\"measured\",\"mode\":\"" mode "\",\"start-time\":7}"

/* All that is asked, and nothing is wrong. What comes before it goes first. */
static const struct line honest[] = {
	{"qmp_capabilities", "{}"},
	{"query-migrate", "{}"},
	{"query-stats", STATS},
	{"qom-list", DEVICES},
	{"info network", "\"n: index=0,type=tap,ifname=t\\r\\n\""},
	{"query-dirty-rate", "{\"status\":\"unstarted\",\"mode\":\"page-sampling\"}"},
	{"query-kvm", "{\"enabled\":true,\"present\":true}"},
	{"query-status", "{\"running\":true,\"status\":\"running\"}"},
	{"calc-dirty-rate", "{}"},
};

#define HANGS_UP "hangs up"

static const char *find(const struct line *lines, size_t n, const char *question)
{
	for (size_t i = 0; i < n; i++)
		if (lines[i].question && strstr(question, lines[i].question))
			return lines[i].answer;
	return NULL;
}

static void answer(int fd, const struct line *other, const char *question, unsigned int id)
{
	struct text t = TEXT_INIT;
	const char *words = find(other, 1, question);

	if (!words)
		words = find(honest, ARRAY_SIZE(honest), question);
	if (words && strcmp(words, HANGS_UP) == 0)
		_exit(0);
	if (words && words[0]) {
		text_add(&t, "{\"return\":");
		text_add(&t, words);
	} else {
		text_add(&t, "{\"error\":{\"desc\":\"I do \\u001b[31mnot\"}");
	}
	text_add(&t, ",\"id\":");
	text_add_u64(&t, id);
	text_add(&t, "}\r\n");
	(void)send(fd, t.data, t.length, MSG_NOSIGNAL);
	text_clear(&t);
}

/* Each question goes to `log` as well. */
static void serve(int fd, const struct line *other, int log)
{
	static const char greeting[] = "{\"QMP\":{}}\r\n";
	char question[1024];
	unsigned int id = 0;
	ssize_t n;

	(void)send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL);
	while ((n = recv(fd, question, sizeof(question) - 1, 0)) > 0) {
		question[n] = '\0';
		(void)!write(log, question, (size_t)n);
		answer(fd, other, question, ++id);
	}
}

static _Noreturn void be_qemu(int listener, const struct line *other, int log)
{
	int client;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	while ((client = accept(listener, NULL, NULL)) >= 0) {
		serve(client, other, log);
		(void)close(client);
	}
	_exit(0);
}

/* ---- The VM ---------------------------------------------------------------------------------- */

struct bench {
	struct sys sys;
	struct sys_ops ops;
	struct process process;
	char directory[64], path[96];
	int listener, log;
	pid_t qemu;
	char asked[16384];
};

static int set_up(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct bench *b = calloc(1, sizeof(*b));

	if (!b || sys_open_host(&b->sys) < 0 || process_open(&b->sys, getpid(), &b->process) < 0)
		return -1;
	(void)snprintf(b->directory, sizeof(b->directory), "/tmp/test_measure.XXXXXX");
	if (!mkdtemp(b->directory))
		return -1;
	(void)snprintf(b->path, sizeof(b->path), "%s/qmp", b->directory);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", b->path);
	b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(b->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(b->listener, 4) < 0)
		return -1;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	(void)close(b->listener);
	(void)unlink(b->path);
	(void)rmdir(b->directory);
	process_close(&b->process);
	sys_close(&b->sys);
	free(b);
	return 0;
}

static struct job *new_job(struct bench *b, bool is_told)
{
	struct job *j = job_new(JOB_MEASURE, 1, &b->process);

	assert_non_null(j);
	j->is_told = is_told;
	j->want_counts = j->want_counts_of_monitor = true;
	j->survey.vm.uid = geteuid();
	(void)snprintf(j->survey.policy.monitor, sizeof(j->survey.policy.monitor), "%s", b->path);
	return j;
}

/* Runs the job against a QEMU that is honest but for one answer. */
static struct job *run(struct bench *b, bool is_told, struct line other)
{
	struct job *j = new_job(b, is_told);
	int log[2];
	ssize_t n;

	assert_int_equal(pipe(log), 0);
	b->qemu = fork();
	assert_true(b->qemu >= 0);
	if (b->qemu == 0)
		be_qemu(b->listener, &other, log[1]);
	(void)close(log[1]);
	measure_run(&b->sys, j);
	(void)kill(b->qemu, SIGKILL);
	assert_int_equal(waitpid(b->qemu, NULL, 0), b->qemu);
	n = read(log[0], b->asked, sizeof(b->asked) - 1);
	b->asked[n > 0 ? n : 0] = '\0';
	(void)close(log[0]);
	assert_int_equal(j->err, 0);
	return j;
}

static const struct line nothing = {NULL, NULL};

static bool was_told(const struct bench *b)
{
	return strstr(b->asked, "\"calc-dirty-rate\"") != NULL;
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void qemu_is_told_with_the_counts_from_before(void **state)
{
	struct bench *b = *state;
	struct job *j = run(b, false, nothing);

	assert_int_equal(j->step, DIRTY_RATE_MEASURING);
	assert_true(j->may_be_told);
	assert_int_equal(j->counts.source, KVM_SOURCE_QMP);
	assert_int_equal(j->counts.pages_4k, 512);
	assert_non_null(strstr(b->asked, "{\"execute\":\"calc-dirty-rate\",\"arguments\":"
					 "{\"calc-time\":1,\"mode\":\"dirty-bitmap\"}"));
	job_free(j);
}

/* Of what is not told, and of what speaks against it, follows that QEMU is not told. */
static void who_is_held_is_told_nothing(void **state)
{
	static const struct {
		struct line other;
		enum reason held;
	} cases[] = {
		{{"query-status", "{\"running\":false,\"status\":\"paused\"}"},
		 REASON_VM_NOT_RUNNING},
		{{"query-status", "{\"status\":\"running\"}"}, REASON_MONITOR_UNCLEAR},
		{{"query-status", "{\"running\":1}"}, REASON_MONITOR_UNCLEAR},
		{{"query-status", ""}, REASON_MONITOR_UNCLEAR},
		{{"query-kvm", "{\"enabled\":false,\"present\":true}"}, REASON_KVM_NOT_COUNTED},
		{{"query-kvm", "{\"present\":true}"}, REASON_MONITOR_UNCLEAR},
		{{"query-kvm", ""}, REASON_MONITOR_UNCLEAR},
		{{"query-migrate", "{\"status\":\"active\"}"}, REASON_DIRTY_LOGGING_ON},
		{{"query-migrate", "{\"status\":\"new-word\"}"}, REASON_DIRTY_LOGGING_ON},
		{{"query-migrate", ""}, REASON_MONITOR_UNCLEAR},
		{{"query-dirty-rate", "{\"status\":\"measuring\",\"mode\":\"page-sampling\"}"},
		 REASON_DIRTY_LOGGING_ON},
		{{"query-dirty-rate", "{\"status\":\"new-word\"}"}, REASON_MONITOR_UNCLEAR},
		{{"query-dirty-rate", "[]"}, REASON_MONITOR_UNCLEAR},
		{{"query-dirty-rate", ""}, REASON_MONITOR_UNCLEAR},
		{{"info network", "\"n: index=0,type=vhost-user,chardev\""}, REASON_VHOST_DEVICE},
		{{"info network", "\"v: index=0,type=vhost-vdpa\""}, REASON_VHOST_DEVICE},
		{{"info network", ""}, REASON_MONITOR_UNCLEAR},
		{{"\"/machine/peripheral\"", "[{\"type\":\"child<vhost-user-blk-pci>\"}]"},
		 REASON_VHOST_DEVICE},
		{{"peripheral-anon", "[{\"type\":\"child<vhost-user-fs-pci>\"}]"},
		 REASON_VHOST_DEVICE},
		{{"unattached", "[{\"type\":\"child<vhost-scsi>\"}]"}, REASON_VHOST_DEVICE},
		{{"\"/objects\"", "[{\"type\":\"child<cryptodev-vhost-user>\"}]"},
		 REASON_VHOST_DEVICE},
		{{"\"/machine/peripheral\"", "[{\"type\":\"child<vfio-pci>\"}]"},
		 REASON_VFIO_DEVICE},
		{{"\"/machine/peripheral\"", "[{\"name\":\"x\"}]"}, REASON_MONITOR_UNCLEAR},
		{{"\"/machine/peripheral\"", "{}"}, REASON_MONITOR_UNCLEAR},
		{{"peripheral-anon", ""}, REASON_MONITOR_UNCLEAR},
		{{"query-stats", ""}, REASON_KVM_NOT_COUNTED},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct job *j = run(b, false, cases[i].other);

		if (j->step != DIRTY_RATE_HELD || j->held != cases[i].held || was_told(b))
			fail_msg("case %zu: %s, %s", i, dirty_rate_step_name(j->step),
				 reason_slug(j->held));
		assert_false(j->may_be_told);
		job_free(j);
	}
}

static void a_dirty_ring_is_seen_in_the_command_line(void **state)
{
#define CMDLINE(text) text, sizeof(text)
	(void)state;
	assert_true(dirty_rate_has_ring(CMDLINE("qemu\0-accel\0kvm,dirty-ring-size=4096")));
	assert_false(dirty_rate_has_ring(CMDLINE("qemu\0-accel\0kvm,dirty-ring-size=0")));
	assert_false(dirty_rate_has_ring(CMDLINE("qemu\0-accel\0kvm")));
	assert_false(dirty_rate_has_ring("dirty-ring-size=4", 16));
	assert_false(dirty_rate_has_ring("", 0));
}

/* Which clock that is depends on the version. */
static void qemu_says_when_it_last_measured(void **state)
{
	static const struct {
		const char *mode;
		clockid_t clock;
		int s_ago;
		enum dirty_rate_step step;
	} cases[] = {
		{"dirty-bitmap", CLOCK_MONOTONIC, 60, DIRTY_RATE_HELD},
		{"dirty-bitmap", CLOCK_REALTIME, 60, DIRTY_RATE_HELD},
		{"dirty-bitmap", CLOCK_REALTIME, 90000, DIRTY_RATE_MEASURING},
		/* By a clock that is not ours. */
		{"dirty-bitmap", CLOCK_MONOTONIC, -3600, DIRTY_RATE_MEASURING},
		{"dirty-bitmap", CLOCK_REALTIME, -3600, DIRTY_RATE_MEASURING},
		{"page-sampling", CLOCK_MONOTONIC, 60, DIRTY_RATE_MEASURING},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct timespec now;
		struct job *j;
		char answer[128];

		assert_int_equal(clock_gettime(cases[i].clock, &now), 0);
		(void)snprintf(answer, sizeof(answer),
			       "{\"status\":\"measured\",\"mode\":\"%s\",\"start-time\":%lld}",
			       cases[i].mode, (long long)now.tv_sec - cases[i].s_ago);
		j = run(b, false, (struct line){"query-dirty-rate", answer});
		if (j->step != cases[i].step)
			fail_msg("case %zu: %s, %s", i, dirty_rate_step_name(j->step),
				 reason_slug(j->held));
		job_free(j);
	}
}

static void a_refusal_comes_with_its_words(void **state)
{
	struct bench *b = *state;
	struct job *j = run(b, false, (struct line){"calc-dirty-rate", ""});

	assert_int_equal(j->step, DIRTY_RATE_REFUSED);
	assert_string_equal(j->refusal, "I do ?[31mnot");
	assert_false(j->may_be_told);
	job_free(j);
}

static void a_lost_answer_may_have_been_heard(void **state)
{
	struct bench *b = *state;
	struct job *j = run(b, false, (struct line){"calc-dirty-rate", HANGS_UP});

	assert_int_equal(j->step, DIRTY_RATE_FAILED);
	assert_true(j->may_be_told);
	assert_int_equal(j->step_err, -ECONNRESET);
	job_free(j);
	j = run(b, false, (struct line){"query-status", HANGS_UP});
	assert_int_equal(j->step, DIRTY_RATE_FAILED);
	assert_false(j->may_be_told);
	assert_false(was_told(b));
	job_free(j);
}

/* ---- Asking how far it is -------------------------------------------------------------------- */

static void how_far_it_is_is_told(void **state)
{
	static const struct {
		const char *answer;
		enum dirty_rate_step step;
	} cases[] = {
		{MEASURED_BY("dirty-bitmap"), DIRTY_RATE_DONE},
		{"{\"status\":\"measuring\",\"mode\":\"dirty-bitmap\"}", DIRTY_RATE_MEASURING},
		{"{\"status\":\"unstarted\",\"mode\":\"dirty-bitmap\"}", DIRTY_RATE_MEASURING},
		/* Somebody else's came after it. */
		{MEASURED_BY("page-sampling"), DIRTY_RATE_FAILED},
		{"{\"status\":\"measured\"}", DIRTY_RATE_FAILED},
		{"{\"status\":\"new-word\",\"mode\":\"dirty-bitmap\"}", DIRTY_RATE_FAILED},
		{"7", DIRTY_RATE_FAILED},
		{"", DIRTY_RATE_FAILED},
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct job *j = run(b, true, (struct line){"query-dirty-rate", cases[i].answer});

		if (j->step != cases[i].step || j->step_err != 0)
			fail_msg("case %zu: %s", i, dirty_rate_step_name(j->step));
		assert_false(was_told(b));
		assert_int_equal(j->counts.source,
				 j->step == DIRTY_RATE_DONE ? KVM_SOURCE_QMP : KVM_SOURCE_NONE);
		job_free(j);
	}
}

static void nobody_there_is_a_failure_that_may_pass(void **state)
{
	struct bench *b = *state;
	struct job *j = run(b, true, (struct line){"query-dirty-rate", HANGS_UP});

	assert_int_equal(j->step, DIRTY_RATE_FAILED);
	assert_int_equal(j->step_err, -ECONNRESET);
	job_free(j);
}

int main(void)
{
#define WITH_QEMU(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_QEMU(qemu_is_told_with_the_counts_from_before),
		WITH_QEMU(who_is_held_is_told_nothing),
		WITH_QEMU(a_dirty_ring_is_seen_in_the_command_line),
		WITH_QEMU(qemu_says_when_it_last_measured),
		WITH_QEMU(a_refusal_comes_with_its_words),
		WITH_QEMU(a_lost_answer_may_have_been_heard),
		WITH_QEMU(how_far_it_is_is_told),
		WITH_QEMU(nobody_there_is_a_failure_that_may_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
