/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A made-up QEMU with a monitor, of which everything is asked: the test's own program again, with
 * the command line of one. */

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
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bits.h"
#include "qemu_facts.h"
#include "text.h"

/* ---- The made-up QEMU ----------------------------------------------------------------------- */

/* An answer is the text of a JSON value; "" is QEMU's error; HMP answers are plain text. */
struct line {
	const char *question; /* that occurs in what was asked */
	const char *answer;
	bool is_human;
};

struct script {
	const char *name;
	const struct line *lines;
	size_t n;
	bool hangs_up; /* at what is not in it; else that is refused */
};

/* False: it hangs up instead. */
static inline bool answer(int fd, const struct script *script, const char *question, unsigned id)
{
	static unsigned int n_views;
	struct text t = TEXT_INIT;
	const struct line *line = NULL;

	if (strstr(question, "info mtree -f") && ++n_views > 1)
		question = "once is enough";
	for (size_t i = 0; !line && i < script->n; i++)
		if (strstr(question, script->lines[i].question))
			line = &script->lines[i];
	if (!line && script->hangs_up)
		return false;
	text_add(&t, line ? "{\"return\":" : "{\"error\":{}");
	if (line && line->is_human)
		text_add_json_string(&t, line->answer, strlen(line->answer));
	else if (line)
		text_add(&t, line->answer);
	text_add(&t, ",\"id\":");
	text_add_u64(&t, id);
	text_add(&t, "}\r\n");
	(void)send(fd, t.data, t.length, MSG_NOSIGNAL);
	text_clear(&t);
	return true;
}

static inline void serve(int fd, const struct script *script)
{
	static const char greeting[] = "{\"QMP\":{}}\r\n";
	char question[1024];
	unsigned id = 0;
	ssize_t n;

	(void)send(fd, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL);
	while ((n = recv(fd, question, sizeof(question) - 1, 0)) > 0) {
		question[n] = '\0';
		if (!answer(fd, script, question, ++id))
			return;
	}
}

/* This program, started again as a QEMU that says what the script of that name has. */
static inline int be_qemu(const struct script *scripts, const char *path, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), client;
	size_t i = 0;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return 1;
	while (strcmp(scripts[i].name, name) != 0)
		i++;
	(void)!write(STDOUT_FILENO, "", 1);
	while ((client = accept(fd, NULL, NULL)) >= 0) {
		serve(client, &scripts[i]);
		(void)close(client);
	}
	return 0;
}

/* ---- Asking it ------------------------------------------------------------------------------ */

struct guest {
	struct sys sys;
	struct process process;
	char directory[64], path[96];
	pid_t pid;
	unsigned int want; /* 0: everything */
	struct qemu_facts facts;
	const char *why;
	int result;
};

static inline void start(struct guest *g, char *const options[])
{
	int ready[2];
	char c;

	assert_int_equal(pipe(ready), 0);
	g->pid = fork();
	assert_true(g->pid >= 0);
	if (g->pid == 0) {
		/* A test that fails leaves nobody behind, who would keep its output open. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(ready[1], STDOUT_FILENO);
		(void)execv("/proc/self/exe", options);
		_exit(127);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 1);
	(void)close(ready[0]);
}

static inline void ask(struct guest *g, const char *script, char *const numa[])
{
	char *options[16] = {(char *)"qemu", g->path, (char *)script};

	for (size_t i = 0; numa[i]; i++)
		options[3 + i] = numa[i];
	(void)snprintf(g->directory, sizeof(g->directory), "/tmp/test_made_up_qemu.XXXXXX");
	assert_non_null(mkdtemp(g->directory));
	(void)snprintf(g->path, sizeof(g->path), "%s/qmp", g->directory);
	assert_int_equal(sys_open_host(&g->sys), 0);
	start(g, options);
	assert_int_equal(process_open(&g->sys, g->pid, &g->process), 0);
	g->facts = (struct qemu_facts)QEMU_FACTS_INIT;
	g->result = qemu_facts_read(
		&g->sys,
		&(struct qmp_target){.process = &g->process, .uid = geteuid(), .path = g->path},
		g->want ? g->want : QEMU_WANT_MAP | QEMU_WANT_NUMBERS, &g->facts, &g->why);
}

static inline void finish(struct guest *g)
{
	qemu_facts_clear(&g->facts);
	process_close(&g->process);
	(void)kill(g->pid, SIGKILL);
	assert_int_equal(waitpid(g->pid, NULL, 0), g->pid);
	(void)unlink(g->path);
	(void)rmdir(g->directory);
	sys_close(&g->sys);
}

#define ASK(g, script, ...) ask(g, script, (char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})
