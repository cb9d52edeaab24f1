/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The QMP client against a hostile monitor: what is said in advance comes over a socket pair; who
 * has to go on saying it, or to listen, is a child. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "qmp.h"

#define GREETING "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n"
#define ACCEPTED GREETING "{\"return\": {}, \"id\": 1}\r\n"
#define EVENT	 "{\"event\": \"RESUME\", \"data\": {}}\r\n"

static struct sys host(void)
{
	struct sys sys = SYS_INIT;

	assert_int_equal(sys_open_host(&sys), 0);
	return sys;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void put_text(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* ---- A monitor whose words are known in advance ---------------------------------------------- */

struct talk {
	struct sys sys;
	struct qmp q;
	int peer;
	int opened; /* result of qmp_open_fd() */
};

/* closes: the peer hangs up behind its last word. */
static void talk_begin(struct talk *t, const char *words, bool closes)
{
	int pair[2];

	t->sys = host();
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	put_text(pair[1], words);
	if (closes)
		assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
	t->peer = pair[1];
	t->opened = qmp_open_fd(&t->sys, pair[0], &t->q);
}

static void talk_end(struct talk *t)
{
	qmp_close(&t->q);
	(void)close(t->peer);
	sys_close(&t->sys);
}

static int ask(struct talk *t, struct json_object **ret)
{
	return qmp_execute(&t->q, "query-status", NULL, ret);
}

static void a_session_is_greeting_questions_and_answers(void **state)
{
	(void)state;
	struct json_object *answer = NULL;
	struct talk t;
	char said[1024];
	char *text = NULL;
	ssize_t n;

	talk_begin(
		&t,
		ACCEPTED EVENT EVENT
		"{\"return\": {\"status\": \"running\"}, \"id\": 2}\r\n"
		"{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 3}\r\n" EVENT
		"{\r\n \"return\":\r\n \"a\\r\\nb\", \"id\": 4}",
		false);
	assert_int_equal(t.opened, 0);
	assert_int_equal(ask(&t, &answer), 0);
	assert_string_equal(qmp_text(answer, "status"), "running");
	json_object_put(answer);
	answer = NULL;
	assert_int_equal(ask(&t, &answer), QMP_REFUSED);
	assert_null(answer);
	assert_string_equal(t.q.refusal, "no");
	assert_int_equal(qmp_human(&t.q, "info numa", &text), 0);
	assert_string_equal(text, "a\r\nb");
	free(text);
	n = recv(t.peer, said, sizeof(said) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	said[n] = '\0';
	assert_string_equal(said, "{\"execute\":\"qmp_capabilities\",\"arguments\":{},\"id\":1}\n"
				  "{\"execute\":\"query-status\",\"arguments\":{},\"id\":2}\n"
				  "{\"execute\":\"query-status\",\"arguments\":{},\"id\":3}\n"
				  "{\"execute\":\"human-monitor-command\",\"arguments\":"
				  "{\"command-line\":\"info numa\"},\"id\":4}\n");
	talk_end(&t);
}

static void what_is_no_qmp_does_not_open(void **state)
{
	(void)state;
	static const struct {
		const char *words;
		int error;
	} cases[] = {
		{"SSH-2.0-OpenSSH_9.2\r\n", -EPROTO},
		{"[]", -EPROTO},
		{"null\n", -EPROTO},
		{"{}\n", -EPROTO},
		{"{'QMP': {}}\n", -EPROTO},
		{"{\"QMP\": [[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]}\n", -EPROTO},
		{"", -ECONNRESET},
		{"{\"QMP\": {\"vers", -ECONNRESET},
		{GREETING, -ECONNRESET},
		{GREETING "{\"error\": {}, \"id\": 1}\n", -EPROTO},
		{GREETING "{\"return\": {}}\n", -EPROTO},
		{GREETING "{\"return\": {}, \"id\": 2}\n", -EPROTO},
		{GREETING "{\"return\": {}, \"id\": \"1\"}\n", -EPROTO},
		{GREETING "{\"return\": {}, \"id\": 1.0}\n", -EPROTO},
		{GREETING "{\"id\": 1}\n", -EPROTO},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct json_object *answer = NULL;
		struct talk t;

		talk_begin(&t, cases[i].words, true);
		if (t.opened != cases[i].error)
			fail_msg("case %zu: %d", i, t.opened);
		assert_non_null(t.q.why);
		/* It stays over. */
		assert_int_equal(ask(&t, &answer), cases[i].error);
		talk_end(&t);
	}
}

static void numbers_are_whole_and_not_negative(void **state)
{
	(void)state;
	static const char text[] = "{\"a\": 7, \"b\": -1, \"c\": 1.5, \"d\": \"7\", \"e\": null,"
				   "\"f\": 99999999999999999999999, \"g\": \"x\\u0000y\", \"h\": "
				   "1e3}";
	struct json_object *o = NULL;
	uint64_t value = 4711;

	assert_int_equal(qmp_parse(text, sizeof(text) - 1, &o), sizeof(text) - 1);
	assert_true(qmp_number(o, "a", &value));
	assert_int_equal(value, 7);
	for (const char *key = "bcdegh"; *key; key++)
		assert_false(qmp_number(o, (char[]){*key, '\0'}, &value));
	assert_int_equal(value, 7);
	assert_true(qmp_number(o, "f", &value));
	assert_int_equal(value, INT64_MAX);
	assert_false(qmp_number(NULL, "a", &value));
	assert_null(qmp_text(o, "a"));
	assert_null(qmp_text(o, "g"));
	assert_string_equal(qmp_text(o, "d"), "7");
	json_object_put(o);
}

static void fill(char *text, size_t size, const char *unit)
{
	for (size_t i = 0; i < size; i++)
		text[i] = unit[i % strlen(unit)];
}

/* What a message becomes in memory is bounded before json-c sees it. */
static void values_are_counted(void **state)
{
	(void)state;
	struct json_object *o = NULL;
	size_t size = 4 * QMP_CONTAINERS_MAX;
	char *text = malloc(size);

	assert_non_null(text);
	fill(text, size, "{},");
	text[0] = '[';
	assert_int_equal(qmp_parse(text, size, &o), -EMSGSIZE);
	text[0] = '"';
	assert_int_equal(qmp_parse(text, size, &o), -EAGAIN); /* a string is one value */
	memcpy(text, "{'\"':[", 6); /* to json-c a key, to a naive count the begin of a string */
	assert_int_equal(qmp_parse(text, size, &o), -EPROTO);
	free(text);
	size = 3 * QMP_COMMAS_MAX;
	text = malloc(size);
	assert_non_null(text);
	fill(text, size, "1,");
	text[0] = '[';
	assert_int_equal(qmp_parse(text, size, &o), -EMSGSIZE);
	free(text);
}

/* ---- A monitor that does not end ------------------------------------------------------------- */

static void say_nothing(int fd)
{
	char c;

	while (recv(fd, &c, 1, 0) > 0)
		;
}

static void say_without_end(int fd, const char *first, const char *unit)
{
	char text[65536];
	size_t whole = sizeof(text) - sizeof(text) % strlen(unit);

	fill(text, sizeof(text), unit);
	(void)send(fd, first, strlen(first), MSG_NOSIGNAL);
	while (send(fd, text, whole, MSG_NOSIGNAL) > 0)
		;
}

static void say_a_line_without_end(int fd)
{
	say_without_end(fd, GREETING "{\"return\": \"", "a");
}

static void say_events_without_end(int fd)
{
	say_without_end(fd, GREETING, EVENT);
}

static void say_blanks_without_end(int fd)
{
	say_without_end(fd, GREETING, " ");
}

/* Each word comes before anybody loses patience with the one before. */
static void say_it_slowly(int fd)
{
	for (const char *c = ACCEPTED; *c; c++) {
		(void)send(fd, c, 1, MSG_NOSIGNAL);
		(void)usleep(50000);
	}
	(void)pause();
}

/* A test that fails leaves nobody behind, who would keep its output open. */
static pid_t fork_bound(void)
{
	pid_t pid = fork();

	if (pid == 0)
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static pid_t run_child(void (*monitor)(int fd), int fd)
{
	pid_t pid = fork_bound();

	assert_true(pid >= 0);
	if (pid == 0) {
		monitor(fd);
		_exit(0);
	}
	return pid;
}

static void end_child(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* Returns why, a static text. */
static const char *try_without_end(void (*monitor)(int fd), int error)
{
	struct sys sys = host();
	struct qmp q;
	uint64_t start = now_ns();
	int pair[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = run_child(monitor, pair[1]);
	(void)close(pair[1]);
	assert_int_equal(qmp_open_fd(&sys, pair[0], &q), error);
	assert_true(now_ns() - start < QMP_SESSION_NS + 500000000);
	qmp_close(&q);
	end_child(pid);
	sys_close(&sys);
	assert_non_null(q.why);
	/* By the bound of its own, and not by the last one. */
	assert_true(q.n_received <= QMP_MESSAGE_BYTES_MAX + 2 * sizeof(q.buffer));
	return q.why;
}

static void nobody_is_waited_for_without_end(void **state)
{
	(void)state;
	assert_non_null(strstr(try_without_end(say_nothing, -ETIMEDOUT), "another client"));
	(void)try_without_end(say_it_slowly, -ETIMEDOUT);
}

static void nobody_is_listened_to_without_end(void **state)
{
	(void)state;
	(void)try_without_end(say_a_line_without_end, -EMSGSIZE);
	(void)try_without_end(say_events_without_end, -EMSGSIZE);
	(void)try_without_end(say_blanks_without_end, -EMSGSIZE);
}

/* ---- Sockets in the file system ---------------------------------------------------------------
 */

struct place {
	struct sys sys;
	char directory[64], path[96];
	struct process process;
	pid_t monitor;
};

/* Listens, tells so, and serves whoever comes. */
static void listen_and_serve(const char *path, int ready)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		_exit(1);
	(void)!write(ready, "", 1);
	while ((client = accept(fd, NULL, NULL)) >= 0) {
		(void)send(client, ACCEPTED, strlen(ACCEPTED), MSG_NOSIGNAL);
		say_nothing(client);
		(void)close(client);
	}
	_exit(0);
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	int ready[2];
	char c;

	assert_non_null(p);
	p->sys = host();
	(void)snprintf(p->directory, sizeof(p->directory), "/tmp/test_qmp.XXXXXX");
	assert_non_null(mkdtemp(p->directory));
	(void)snprintf(p->path, sizeof(p->path), "%s/qmp", p->directory);
	assert_int_equal(pipe(ready), 0);
	p->monitor = fork_bound();
	assert_true(p->monitor >= 0);
	if (p->monitor == 0)
		listen_and_serve(p->path, ready[1]);
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
	assert_int_equal(process_open(&p->sys, p->monitor, &p->process), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;

	process_close(&p->process);
	if (p->monitor > 0)
		end_child(p->monitor);
	(void)unlink(p->path);
	(void)rmdir(p->directory);
	sys_close(&p->sys);
	free(p);
	return 0;
}

static int open_as(struct place *p, const char *path, uid_t uid)
{
	struct qmp_target target = {.process = &p->process, .uid = uid, .path = path};
	struct qmp q;
	int r = qmp_open(&p->sys, &target, &q);

	assert_int_equal(r == 0, q.why == NULL);
	qmp_close(&q);
	return r;
}

static void the_vm_itself_answers(void **state)
{
	struct place *p = *state;

	assert_int_equal(open_as(p, p->path, geteuid()), 0);
}

static void another_process_is_refused(void **state)
{
	struct place *p = *state;
	struct process vm = p->process;

	assert_int_equal(process_open(&p->sys, getpid(), &p->process), 0);
	assert_int_equal(open_as(p, p->path, geteuid()), -EXDEV);
	process_close(&p->process);
	p->process = vm;
}

static void a_dead_listener_is_refused(void **state)
{
	struct place *p = *state;

	end_child(p->monitor);
	p->monitor = 0;
	assert_int_equal(open_as(p, p->path, geteuid()), -ECONNREFUSED);
}

static void only_a_socket_will_do(void **state)
{
	struct place *p = *state;
	char other[128];
	int fd;

	assert_int_equal(open_as(p, "qmp", geteuid()), -EINVAL);
	assert_int_equal(open_as(p, p->directory, geteuid()), -ENOTSOCK);
	(void)snprintf(other, sizeof(other), "%s/other", p->directory);
	assert_int_equal(open_as(p, other, geteuid()), -ENOENT);
	assert_int_equal(symlink(p->path, other), 0);
	assert_int_equal(open_as(p, other, geteuid()), -ENOTSOCK);
	assert_int_equal(unlink(other), 0);
	fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
	assert_true(fd >= 0);
	(void)close(fd);
	assert_int_equal(open_as(p, other, geteuid()), -ENOTSOCK);
	assert_int_equal(unlink(other), 0);
}

static void only_roots_or_the_vms_socket_will_do(void **state)
{
	struct place *p = *state;

	if (geteuid() != 0)
		skip();
	assert_int_equal(open_as(p, p->path, 4711), 0); /* it is root's */
	assert_int_equal(chown(p->path, 4711, (gid_t)-1), 0);
	assert_int_equal(open_as(p, p->path, 4711), 0);
	assert_int_equal(open_as(p, p->path, 4712), -EPERM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_session_is_greeting_questions_and_answers),
		cmocka_unit_test(what_is_no_qmp_does_not_open),
		cmocka_unit_test(numbers_are_whole_and_not_negative),
		cmocka_unit_test(values_are_counted),
		cmocka_unit_test(nobody_is_waited_for_without_end),
		cmocka_unit_test(nobody_is_listened_to_without_end),
		cmocka_unit_test_setup_teardown(the_vm_itself_answers, setup, teardown),
		cmocka_unit_test_setup_teardown(another_process_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(a_dead_listener_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(only_a_socket_will_do, setup, teardown),
		cmocka_unit_test_setup_teardown(only_roots_or_the_vms_socket_will_do, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
