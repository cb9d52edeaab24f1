/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The real bus with a fake manager, in a process of its own. For one test program each: it defines
 * the manager's functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "bus.h"
#include "cleanup.h"
#include "manager.h"
#include "runtime_dir.h"
#include "thpd.h"

/* ---- The fake manager ---------------------------------------------------------------------- */

enum { TICKET = 42, TICKET_FORCED = 43 };

/* State of the fake, in the server's process. */
static struct {
	uint64_t cycles;
	unsigned int huge_mib;
	bool is_paused;
} fake = {.cycles = TICKET - 1, .huge_mib = 10};

__attribute__((weak)) const char *thpd_version(void)
{
	return "test";
}

static __attribute__((unused)) int look_up(const char *who)
{
	if (strcmp(who, "twins") == 0)
		return -ENOTUNIQ;
	return strcmp(who, "guest-a") == 0 || strcmp(who, "100") == 0 ||
			       strcmp(who, "hollow") == 0 || strcmp(who, "old") == 0
		       ? 0
		       : -ENOENT;
}

static __attribute__((unused)) int answer(const char *text, char **ret)
{
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

#define MIB(n) ((unsigned long long)(n) << 20)

/* guest-a gets huger with each look, to 95 of 100 MiB. The second one's name has bytes that are no
 * UTF-8, as a careless manager might let through; the third calls itself an escape sequence;
 * of the fourth nothing is resident, and nothing ever will be.
 * Padded, so that unread answers fill a socket soon. */
int manager_status_json(struct manager *m, char **ret)
{
	static const char format[] =
		"{\"vms\":[{\"name\":\"guest-a\",\"pid\":100,\"uuid\":\"c0ffee\",\"backing\":"
		"\"shmem\","
		"\"mode\":\"full\",\"paused\":%s,\"phase\":\"%s\",\"cycles\":%llu,"
		"\"ram_bytes\":%llu,\"resident_bytes\":%llu,\"huge_bytes\":%llu,"
		"\"remappable_bytes\":%llu,\"copyable_bytes\":0,\"held_back_bytes\":0,"
		"\"barred_bytes\":0,\"reasons\":{},\"last_action\":null,"
		"\"kvm\":{\"huge_bytes\":%llu,\"mapped_bytes\":%llu,\"nudge\":{"
		"\"means\":\"qmp/calc-dirty-rate\",\"result\":\"done\"}"
		"},"
		"\"numa\":{\"home\":[0],\"home_source\":\"vcpus\",\"vcpus\":[],\"nodes\":"
		"[{\"node\":1,\"bytes\":4096}],\"unknown_bytes\":0,\"verdict\":\"remote\","
		"\"findings\":[{\"reason\":\"ksm\",\"node\":1,\"bytes\":4096}]}},"
		"{\"name\":\"\xff\xc3\xa9\xed\xa0\x80\",\"pid\":101,\"reasons\":{}},"
		"{\"name\":\"evil\\u001b[31m\\u009b\\u202e\",\"pid\":102,\"cycles\":1,"
		"\"reasons\":{\"misaligned-mapping\":8388608}},"
		"{\"name\":\"hollow\",\"pid\":103,\"phase\":\"idle\",\"cycles\":42,"
		"\"ram_bytes\":4096,\"resident_bytes\":0,\"huge_bytes\":0,\"unknown_bytes\":0,"
		"\"kvm\":{\"nudge_refused\":{\"reason\":\"memslots-not-told\",\"sentence\":"
		"\"Nobody tells.\",\"cure\":\"Load it.\"}},"
		"\"reasons\":{\"hugetlb\":4096}},"
		"{\"name\":\"old\",\"pid\":104,\"phase\":\"idle\",\"cycles\":42,"
		"\"kvm\":{\"nudge\":{\"means\":\"qmp/calc-dirty-rate\",\"result\":\"refused\","
		"\"refusal\":\"No \\u001b[31mmode.\"}},\"reasons\":{}}],"
		"\"host\":{\"lost\":[\"No PFNs.\"],\"nodes\":[{\"node\":0},{\"node\":1}],"
		"\"numa_balancing\":true}}%1500s";

	(void)m;
	if (fake.cycles == TICKET - 1 && fake.huge_mib > 10 && (fake.huge_mib += 17) >= 95) {
		fake.huge_mib = 95;
		fake.cycles = TICKET;
	}
	return asprintf(ret, format, fake.is_paused ? "true" : "false",
			fake.cycles < TICKET ? "acting" : "idle", (unsigned long long)fake.cycles,
			MIB(128), MIB(100), MIB(fake.huge_mib), MIB(95 - fake.huge_mib),
			MIB(fake.huge_mib), MIB(100), "") < 0
		       ? -ENOMEM
		       : 0;
}

int manager_show_json(struct manager *m, const char *who, char **ret)
{
	int r = look_up(who);

	(void)m;
	return r < 0 ? r
		     : answer("{\"vm\":{\"name\":\"guest-a\",\"ram_bytes\":134217728},"
			      "\"policy\":[{\"key\":\"Collapse.Mode\",\"value\":\"full\","
			      "\"origin\":\"default\"}],"
			      "\"regions\":[{\"start\":\"0x7f0000001000\",\"bytes\":134217728,"
			      "\"backing\":\"shmem\","
			      "\"file_offset\":0,\"congruent\":false,\"misaligned_bytes\":4096,"
			      "\"path\":\"/x\"}]}",
			      ret);
}

int manager_explain_json(struct manager *m, const char *who, const char *address, char **ret)
{
	int r = look_up(who);

	(void)m;
	if (r < 0)
		return r;
	if (strcmp(address, "nonsense") == 0)
		return -EINVAL;
	return answer(*address ? "{\"name\":\"guest-a\",\"runs\":[]}"
			       : "{\"name\":\"guest-a\",\"runs\":[{\"start\":\"0x7f0000000000\","
				 "\"bytes\":4194304,"
				 "\"state\":\"barred\",\"reason\":\"ksm\",\"sentence\":\"Kernel "
				 "samepage merging.\","
				 "\"cure\":\"Turn KSM off.\",\"resident_bytes\":4194304}],"
				 "\"totals\":{\"huge_bytes\":0,\"resident_bytes\":4194304}}",
		      ret);
}

int manager_plan_json(struct manager *m, const char *who, char **ret)
{
	int r = look_up(who);

	(void)m;
	return r < 0 ? r
		     : answer("{\"name\":\"guest-a\",\"actions\":[{\"id\":7,\"kind\":\"remap\","
			      "\"start\":\"0x7f0000000000\",\"bytes\":2097152,\"gain_bytes\":"
			      "2097152}]}",
			      ret);
}

int manager_snapshot_json(struct manager *m, const char *who, char **ret)
{
	int r = look_up(who);

	(void)m;
	return r < 0 ? r
		     : answer("{\"version\": 1, \"taken_ns\": 5, \"geometry\": {\"base_shift\": "
			      "12, "
			      "\"pmd_order\": 9, \"pud_order\": 18}, \"vm\": {\"name\": "
			      "\"guest-a\", "
			      "\"pid\": 100}, \"are_memslots_known\": true, \"memslots\": "
			      "[{\"gpa\": "
			      "\"0x100000\", \"bytes\": 8388608, \"hva\": \"0x7f00000ff000\", "
			      "\"slot\": 3, \"flags\": 3}]}",
			      ret);
}

int manager_config_text(struct manager *m, char **ret)
{
	(void)m;
	return answer("[Manager]\nInterval=1s\n", ret);
}

int manager_collapse(struct manager *m, const char *who, uint64_t *ret_ticket)
{
	int r = look_up(who);

	(void)m;
	if (r < 0)
		return r;
	fake.huge_mib = 11;
	*ret_ticket = TICKET;
	return 0;
}

int manager_nudge(struct manager *m, const char *who, uint64_t *ret_ticket)
{
	return manager_collapse(m, who, ret_ticket);
}

int manager_populate(struct manager *m, const char *who, bool is_forced, uint64_t *ret_ticket)
{
	int r = manager_collapse(m, who, ret_ticket);

	if (r == 0 && is_forced)
		*ret_ticket = TICKET_FORCED;
	return r;
}

int manager_pause(struct manager *m, const char *who, bool is_paused)
{
	(void)m;
	fake.is_paused = is_paused;
	return look_up(who);
}

int manager_reload(struct manager *m)
{
	(void)m;
	return 0;
}

/* ---- The server ---------------------------------------------------------------------------- */

struct server {
	char base[64], directory[80], socket[96];
	pid_t pid;
};

static __attribute__((unused)) int on_term(sd_event_source *source,
					   const struct signalfd_siginfo *info, void *userdata)
{
	(void)info, (void)userdata;
	return sd_event_exit(sd_event_source_get_event(source), 0);
}

static __attribute__((unused)) int run_server(const char *directory, int ready_fd)
{
	struct runtime_dir dir = RUNTIME_DIR_INIT;
	sd_event *event = NULL;
	struct bus *bus = NULL;
	sigset_t term;
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &term, NULL);
	if (sd_event_new(&event) < 0 ||
	    sd_event_add_signal(event, NULL, SIGTERM, on_term, NULL) < 0)
		return 1;
	r = runtime_dir_open(directory, &dir);
	if (r == 0)
		r = bus_new(event, NULL, &dir, &bus);
	if (r < 0) {
		fprintf(stderr, "bus_new: %s\n", strerror(-r));
		return 2;
	}
	(void)close(ready_fd);
	r = sd_event_loop(event);
	(void)bus_free(bus);
	runtime_dir_close(&dir);
	sd_event_unref(event);
	return r < 0 ? 3 : 0;
}

static __attribute__((unused)) void start_server(struct server *s)
{
	struct pollfd ready;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)close(fds[0]);
		exit(run_server(s->directory, fds[1]));
	}
	(void)close(fds[1]);
	ready = (struct pollfd){.fd = fds[0], .events = POLLIN};
	assert_int_equal(poll(&ready, 1, 10000), 1);
	(void)close(fds[0]);
}

static __attribute__((unused)) double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Waits for the child's end; its exit status, or -1 after timeout_s. */
static __attribute__((unused)) int wait_exit(pid_t pid, double timeout_s)
{
	double end = now_s() + timeout_s;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_s() > end)
			return -1;
		(void)usleep(5000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static __attribute__((unused)) int set_up(void **state)
{
	struct server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	(void)snprintf(s->base, sizeof(s->base), "/tmp/thpd-test-bus.XXXXXX");
	assert_non_null(mkdtemp(s->base));
	assert_int_equal(chmod(s->base, 0755), 0);
	(void)snprintf(s->directory, sizeof(s->directory), "%s/run", s->base);
	(void)snprintf(s->socket, sizeof(s->socket), "%s/bus", s->directory);
	start_server(s);
	*state = s;
	return 0;
}

static __attribute__((unused)) int tear_down(void **state)
{
	struct server *s = *state;
	char lock[128];
	int status = 0;

	if (s->pid > 0) {
		(void)kill(s->pid, SIGTERM);
		status = wait_exit(s->pid, 10);
		if (status < 0) {
			(void)kill(s->pid, SIGKILL);
			(void)wait_exit(s->pid, 5);
		}
	}
	(void)snprintf(lock, sizeof(lock), "%s/lock", s->directory);
	(void)unlink(lock);
	(void)unlink(s->socket);
	(void)rmdir(s->directory);
	(void)rmdir(s->base);
	free(s);
	return status; /* a leak found by a sanitizer fails here */
}
