/* SPDX-License-Identifier: GPL-2.0-or-later */
/* thpctl's verbs against the real bus with a fake manager: answers, messages, exit status. */
#include "fake_bus.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "args.h"
#include "verbs.h"

enum { OUTPUT_MAX = 16384, WORDS_MAX = 16 };

struct result {
	int status;
	char out[OUTPUT_MAX], err[OUTPUT_MAX];
};

static int (*const verbs[VERB_MAX])(const struct args *) = {
	[VERB_STATUS] = verb_status,	 [VERB_SHOW] = verb_show,
	[VERB_EXPLAIN] = verb_explain,	 [VERB_NUMA] = verb_numa,
	[VERB_PLAN] = verb_plan,	 [VERB_MEMSLOTS] = verb_memslots,
	[VERB_COLLAPSE] = verb_collapse, [VERB_POPULATE] = verb_populate,
	[VERB_NUDGE] = verb_nudge,	 [VERB_PAUSE] = verb_pause,
	[VERB_RESUME] = verb_resume,	 [VERB_DOCTOR] = verb_doctor,
	[VERB_SNAPSHOT] = verb_snapshot, [VERB_CAT_CONFIG] = verb_cat_config,
	[VERB_RECORD] = verb_record,	 [VERB_RELOAD] = verb_reload,
};

/* In a child whose output goes to two files. */
static int run_words(int argc, char **argv)
{
	struct args a;
	char error[512];
	int status = EXIT_USAGE;

	if (args_parse(argc, argv, &a, error, sizeof(error)) == 0)
		status = verbs[a.verb](&a);
	else
		fprintf(stderr, "%s\n", error);
	(void)fflush(NULL);
	return status;
}

static void read_back(int fd, char *text)
{
	ssize_t n = pread(fd, text, OUTPUT_MAX - 1, 0);

	assert_true(n >= 0);
	text[n] = '\0';
	(void)close(fd);
}

/* Runs `thpctl --runtime-dir=DIRECTORY line`. */
static void run(const char *directory, const char *line, struct result *ret)
{
	char copy[512], *argv[WORDS_MAX], option[128];
	int out = memfd_create("out", 0), err = memfd_create("err", 0), argc = 2;
	pid_t pid;

	(void)snprintf(copy, sizeof(copy), "%s", line);
	(void)snprintf(option, sizeof(option), "--runtime-dir=%s", directory);
	argv[0] = copy;
	argv[1] = option;
	for (char *word = strtok(copy, " "); word && argc < WORDS_MAX - 1; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	pid = fork();
	if (pid == 0) {
		(void)dup2(out, STDOUT_FILENO);
		(void)dup2(err, STDERR_FILENO);
		_exit(run_words(argc, argv));
	}
	ret->status = wait_exit(pid, 30);
	read_back(out, ret->out);
	read_back(err, ret->err);
}

static void assert_run(const struct server *s, const char *line, int status, const char *out,
		       const char *err)
{
	struct result result;

	run(s->directory, line, &result);
	if (result.status != status || !strstr(result.out, out) || !strstr(result.err, err) ||
	    (!*err && *result.err) || (!*out && *result.out))
		fail_msg("%s: status %d\n%s\n%s", line, result.status, result.out, result.err);
	assert_null(strchr(result.out, '\033'));
	assert_null(strchr(result.err, '\033'));
}

static void every_verb_answers(void **state)
{
	assert_run(*state, "", EXIT_OK, "guest-a", "");
	assert_run(*state, "status --no-legend --bytes", EXIT_OK, " 134217728 ", "");
	assert_run(*state, "show guest-a", EXIT_OK, "no, 4.0K off", "");
	assert_run(*state, "explain guest-a", EXIT_OK, "What to do: Turn KSM off.", "");
	assert_run(*state, "explain guest-a 0x1000", EXIT_OK, "no memory of this guest", "");
	assert_run(*state, "numa", EXIT_OK, "evil?[31m??", "");
	assert_run(*state, "plan guest-a", EXIT_OK, "1 to remap", "");
	assert_run(*state, "snapshot guest-a", EXIT_OK, "{\"version\":1,\"taken_ns\":5,", "");
	assert_run(*state, "memslots guest-a", EXIT_OK,
		   "SLOT AS      GPA SIZE            HVA FLAGS              HUGE\n"
		   "   3  0 0x100000 8.0M 0x7f00000ff000 log-dirty,readonly no, 2.0M off\n",
		   "");
	assert_run(*state, "cat-config", EXIT_OK, "Interval=1s\n", "");
	assert_run(*state, "pause guest-a", EXIT_OK, "", "");
	assert_run(*state, "status", EXIT_OK, "paused", "");
	assert_run(*state, "resume guest-a", EXIT_OK, "", "");
	assert_run(*state, "reload", EXIT_OK, "", "");
}

static void json_is_handed_on(void **state)
{
	assert_run(*state, "--json=short", EXIT_OK, "{\"vms\":[{\"name\":\"guest-a\",\"pid\":100,",
		   "");
	assert_run(*state, "--json", EXIT_OK, "\n  \"vms\": [\n", "");
	assert_run(*state, "status --json=short", EXIT_OK, "evil\\u001b[31m\\u009b\\u202e\"", "");
	assert_run(*state, "explain guest-a --json=short", EXIT_OK, "\"resident_bytes\":4194304",
		   "");
	assert_run(*state, "cat-config --json=short", EXIT_OK, "{\"config\":\"[Manager]\\n", "");
	assert_run(*state, "collapse guest-a --json=short", EXIT_OK, "{\"ticket\":42}\n", "");
	assert_run(*state, "populate guest-a --json=short", EXIT_OK, "{\"ticket\":42}\n", "");
	assert_run(*state, "nudge guest-a --json=short", EXIT_OK, "{\"ticket\":42}\n", "");
	assert_run(*state, "populate guest-a --force --json=short", EXIT_OK, "{\"ticket\":43}\n",
		   "");
}

static void numa_shows_the_vms_that_are_named(void **state)
{
	static const char *const lines[] = {"numa guest-a", "numa 100", "numa C0FFEE 100"};
	struct result result;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_run(*state, lines[i], EXIT_OK,
			   "VM      PID  RAM HOME      VCPUS NODE 0      NODE 1 VERDICT\n"
			   "guest-a 100 4.0K 0 (vcpus) -         0B 4.0K 100.0% remote\n"
			   "\n"
			   "guest-a: ksm (4.0K, node 1)\n"
			   "    Kernel samepage merging is at work on this memory;",
			   "");
		run(((struct server *)*state)->directory, lines[i], &result);
		assert_null(strstr(result.out, "hollow"));
	}
	assert_run(*state, "numa guest-a hollow --no-legend --bytes", EXIT_OK,
		   "guest-a 100 4096 0 (vcpus) -          0 4096 100.0% remote\n"
		   "hollow  103    - -         -          -           - -\n",
		   "");
	assert_run(*state, "numa hollow --json=short", EXIT_OK,
		   "{\"host\":{\"nodes\":[{\"node\":0},{\"node\":1}],\"numa_balancing\":true},"
		   "\"vms\":[{\"name\":\"hollow\",\"pid\":103,\"numa\":null}]}\n",
		   "");
	assert_run(
		*state, "numa guest-a nobody", EXIT_FAILED, "",
		"There is no VM 'nobody'. Known: guest-a, ?\xc3\xa9???, evil?[31m??, hollow, old.");
	assert_run(*state, "numa nobody --json", EXIT_FAILED, "", "There is no VM 'nobody'.");
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

#define UNTOLD                                                                           \
	"{\"version\":1,\"taken_ns\":5,\"geometry\":{\"base_shift\":12,\"pmd_order\":9," \
	"\"pud_order\":18},\"vm\":{\"name\":\"web1\",\"pid\":7}}"

#define INFERRED                                                                                  \
	"{\"version\":1,\"taken_ns\":5000000007,\"geometry\":{\"base_shift\":12,\"pmd_order\":9," \
	"\"pud_order\":18},\"memslots_inferred_ns\":7,\"memslots\":[{\"gpa\":\"0x0\","            \
	"\"bytes\":4194304,\"hva\":\"0x201000\",\"flags\":2}]}"

/* Where nobody tells the memslots that is the answer, with what to do, and no success. */
static void memslots_that_nobody_tells_are_status_1(void **state)
{
	const struct server *s = *state;
	char path[160], line[256];

	(void)snprintf(path, sizeof(path), "%s/untold.json", s->directory);
	write_file(path, UNTOLD);
	(void)snprintf(line, sizeof(line), "memslots --snapshot=%s", path);
	assert_run(s, line, EXIT_FAILED, "", "Start the VMM by thpd-run(1)");
	(void)snprintf(line, sizeof(line), "memslots --json=short --snapshot=%s", path);
	assert_run(
		s, line, EXIT_FAILED,
		"{\"name\":\"web1\",\"pid\":7,\"known\":false,\"inferred\":false,\"reason\":"
		"\"memslots-not-told\","
		"\"sentence\":\"No library inside this VMM tells thpd the VM's memslots; it would "
		"do so, and could have KVM map memory anew at next to no cost.\",\"cure\":"
		"\"Start the VMM by thpd-run(1). Of a QEMU without it thpd infers the memslots by "
		"a "
		"monitor (Monitor= in thpd.conf(5)), and may nudge it by DirtyRate=, which costs "
		"the "
		"guest more.\",\"memslots\":[]}\n",
		"");
	write_file(path, "{}");
	assert_run(s, line, EXIT_FAILED, "", "untold.json is no snapshot");
	assert_int_equal(unlink(path), 0);
	assert_run(s, line, EXIT_FAILED, "", "untold.json: No such file");
	assert_run(s, "memslots nobody", EXIT_FAILED, "", "There is no VM 'nobody'.");
}

static void memslots_that_are_inferred_say_so(void **state)
{
	const struct server *s = *state;
	char path[160], line[256];

	(void)snprintf(path, sizeof(path), "%s/inferred.json", s->directory);
	write_file(path, INFERRED);
	(void)snprintf(line, sizeof(line), "memslots --snapshot=%s", path);
	assert_run(s, line, EXIT_OK,
		   "SLOT AS GPA SIZE      HVA FLAGS    HUGE\n"
		   "   -  0 0x0 4.0M 0x201000 readonly no, 4.0K off\n"
		   "KVM can never map 1 of 1 slots huge (slot-not-congruent; see thpctl explain).\n"
		   "Inferred from QEMU's monitor, at most 5s before the last look: ",
		   "");
	assert_int_equal(unlink(path), 0);
}

static void collapse_waits_and_judges(void **state)
{
	assert_run(*state, "collapse guest-a --wait", EXIT_OK,
		   "guest-a: 95.0% of 100.0M resident is huge (was 10.0%)\n",
		   "guest-a:  62.0% huge");
}

/* What counts is what KVM maps. */
static void a_nudge_waits_and_tells_of_kvm(void **state)
{
	assert_run(*state, "nudge guest-a --wait", EXIT_OK,
		   "guest-a: nudged by qmp/calc-dirty-rate\n"
		   "guest-a: 95.0% of the 100.0M that KVM maps is huge (was 10.0%)\n",
		   "guest-a:  62.0% huge");
}

static void a_qemu_that_refuses_is_quoted(void **state)
{
	assert_run(*state, "nudge old --wait", EXIT_FAILED, "old: what KVM maps is not known yet",
		   "QEMU refuses to measure the dirty rate of old: No ");
}

static void a_nudge_that_is_refused_says_why(void **state)
{
	assert_run(*state, "nudge hollow --wait", EXIT_FAILED,
		   "hollow: what KVM maps is not known yet; thpctl status shows it\n",
		   "hollow was not nudged (memslots-not-told): Nobody tells.\nLoad it.\n");
}

static void who_is_not_there_is_not_nudged(void **state)
{
	assert_run(*state, "nudge nobody", EXIT_FAILED, "", "There is no VM 'nobody'.");
}

static void a_missed_target_is_status_3(void **state)
{
	assert_run(*state, "collapse 100 --target=95.01%", EXIT_TARGET_MISSED, "95.0% of",
		   "below the target of 95.01%; why: thpctl explain guest-a");
}

/* Hugetlb only, never touched, or no RAM known: no share of nothing is huge. */
static void a_target_of_nothing_is_status_3(void **state)
{
	assert_run(*state, "collapse hollow --wait", EXIT_OK, "- of 0B resident is huge",
		   "hollow: ");
	assert_run(*state, "collapse hollow --wait --target=95", EXIT_TARGET_MISSED,
		   "- of 0B resident",
		   "the target of 95.00% cannot be reached: no memory of hollow is known to be "
		   "resident");
	assert_run(*state, "collapse hollow --target=0% --json=short", EXIT_TARGET_MISSED,
		   "\"name\":\"hollow\"", "nothing to measure; why: thpctl explain hollow");
}

static void a_met_target_is_status_0(void **state)
{
	assert_run(*state, "collapse guest-a --target=95% --json=short", EXIT_OK,
		   "{\"name\":\"guest-a\",", "");
}

static void errors_name_thing_and_cure(void **state)
{
	struct server *s = *state;
	struct result result;

	assert_run(
		s, "show nobody", EXIT_FAILED, "",
		"There is no VM 'nobody'. Known: guest-a, ?\xc3\xa9???, evil?[31m??, hollow, old.");
	assert_run(s, "collapse nobody --wait", EXIT_FAILED, "", "Known: guest-a");
	assert_run(s, "pause twins", EXIT_FAILED, "", "use the UUID or the pid");
	assert_run(s, "explain guest-a nonsense", EXIT_FAILED, "", "'nonsense' is not an address");
	assert_run(s, "record /tmp/x nobody", EXIT_FAILED, "", "no VM 'nobody'");
	assert_run(s, "plan --snapshot=/no/such", EXIT_FAILED, "", "/no/such: No such file");
	assert_run(s, "plan --snapshot=/", EXIT_FAILED, "", "Is a directory");
	assert_run(s, "explain", EXIT_USAGE, "", "thpctl explain VM [ADDR]");
	run("/no/such", "status", &result);
	assert_int_equal(result.status, EXIT_FAILED);
	assert_non_null(strstr(result.err, "thpd is not running"));
	assert_non_null(strstr(result.err, "systemctl start thpd"));
}

static void other_users_are_told_what_to_do(void **state)
{
	struct server *s = *state;
	pid_t pid;

	if (geteuid() != 0)
		skip();
	pid = fork();
	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(9);
		assert_run(s, "status", EXIT_OK, "guest-a", "");
		assert_run(s, "show guest-a", EXIT_FAILED, "", "Run thpctl as root.");
		_exit(0);
	}
	assert_int_equal(wait_exit(pid, 30), 0);
}

/* A daemon that accepts and says nothing sensible: the client ends with a message. */
static void a_broken_daemon_is_survived(void **state)
{
	struct server *s = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t pid;

	(void)kill(s->pid, SIGTERM);
	assert_int_equal(wait_exit(s->pid, 10), 0);
	s->pid = 0;
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", s->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	pid = fork();
	if (pid == 0)
		for (;;) {
			int client = accept(fd, NULL, NULL);

			(void)!write(client, "HTTP/1.1 200 OK\r\n\r\n", 19);
			(void)usleep(50000);
			(void)close(client);
		}
	assert_run(s, "status", EXIT_FAILED, "", "thpctl: ");
	(void)kill(pid, SIGKILL);
	(void)wait_exit(pid, 5);
	(void)close(fd);
}

#define WITH_SERVER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SERVER(every_verb_answers),
		WITH_SERVER(json_is_handed_on),
		WITH_SERVER(numa_shows_the_vms_that_are_named),
		WITH_SERVER(memslots_that_nobody_tells_are_status_1),
		WITH_SERVER(memslots_that_are_inferred_say_so),
		WITH_SERVER(collapse_waits_and_judges),
		WITH_SERVER(a_nudge_waits_and_tells_of_kvm),
		WITH_SERVER(a_nudge_that_is_refused_says_why),
		WITH_SERVER(a_qemu_that_refuses_is_quoted),
		WITH_SERVER(who_is_not_there_is_not_nudged),
		WITH_SERVER(a_missed_target_is_status_3),
		WITH_SERVER(a_target_of_nothing_is_status_3),
		WITH_SERVER(a_met_target_is_status_0),
		WITH_SERVER(errors_name_thing_and_cure),
		WITH_SERVER(other_users_are_told_what_to_do),
		WITH_SERVER(a_broken_daemon_is_survived),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
