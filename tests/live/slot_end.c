/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * thpd's end of what the library in a VMM says, without thpd: it believes everything that is lawful
 * and ends with status 1 at what is not.
 *
 *   slot_end SOCKET
 *
 * It says `ready` and obeys commands on stdin, each answered by one line that begins with `ok` or
 * `failed`. They are about the VMM that came last. V is its number of a VM.
 *
 *   state     `ok met=N here=N vms=N`: VMMs that came, that are still here; VMs of the last one
 *   table V   `ok total=N sum=0x...`: the last whole table (slot_sum.h)
 *   flags V   `ok flags=N`
 *   count V   `ok err=N pages_4k=N`
 *   nudge V   `ok result=N err=N toggled=N passed_over=N`
 *   ask V     asks for a nudge and does not wait for the answer
 *   answered  `ok answered=1` if it has come since, else 0
 *   quit
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "slot_sum.h"
#include "wire.h"

enum { ANSWERED = 1, DEADLINE_MS = 60000, VMMS = 512 };

struct table {
	bool is_there, is_whole;
	uint32_t flags, generation, n, total;
	uint64_t sum, whole_sum;
	uint32_t whole_total;
};

static struct end {
	int listener;
	int vmms[VMMS]; /* all that came, in order; -1: gone */
	int n_met;
	struct table tables[WIRE_VMS_MAX]; /* of the last */
	uint32_t serial;
	union wire_message got; /* the last answer */
} e;

#define answer(...) (printf(__VA_ARGS__), ANSWERED)

static void unlawful(const char *why)
{
	fprintf(stderr, "slot_end: %s\n", why);
	exit(1);
}

/* --- what a VMM says ------------------------------------------------------------------------- */

static void take_slots(const struct wire_slots *t)
{
	struct table *table = &e.tables[t->vm];

	if (!table->is_there)
		unlawful("a table of no VM");
	if (t->first == 0) {
		table->n = 0;
		table->sum = 0;
		table->generation = t->generation;
		table->total = t->total;
	}
	if (t->first != table->n || t->generation != table->generation || t->total != table->total)
		unlawful("a part of another table");
	for (uint32_t i = 0; i < t->n; i++) {
		const struct wire_slot *s = &t->slots[i];
		const struct slot_facts f = {(uint64_t)s->address_space << 16 | s->slot, s->gpa,
					     s->bytes, s->hva, s->flags};

		table->sum = slot_sum_add(table->sum, &f);
	}
	table->n += t->n;
	if (table->n == t->total) {
		table->is_whole = true;
		table->whole_sum = table->sum;
		table->whole_total = table->total;
	}
}

static void take(int fd, const union wire_message *m)
{
	union wire_message welcome = {0};

	switch (m->header.type) {
	case WIRE_HELLO:
		wire_seal(&welcome, WIRE_WELCOME, sizeof(welcome.welcome), 0);
		(void)!send(fd, &welcome, sizeof(welcome.welcome), MSG_NOSIGNAL);
		break;
	case WIRE_VM:
		e.tables[m->vm.vm].is_there = true;
		e.tables[m->vm.vm].flags = m->vm.flags;
		break;
	case WIRE_VM_GONE:
		if (!e.tables[m->vm_gone.vm].is_there)
			unlawful("no VM is gone");
		e.tables[m->vm_gone.vm] = (struct table){0};
		break;
	case WIRE_SLOTS:
		take_slots(&m->slots);
		break;
	default:
		e.got = *m;
	}
}

static void hear(int *vmm)
{
	union wire_message m;
	const char *why;
	ssize_t n = recv(*vmm, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		(void)close(*vmm);
		*vmm = -1;
		return;
	}
	if (wire_check(&m, (size_t)n, true, &why) < 0)
		unlawful(why);
	take(*vmm, &m);
}

static void meet(void)
{
	int fd = accept4(e.listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	if (e.n_met == VMMS)
		unlawful("too many have come");
	e.vmms[e.n_met++] = fd;
	memset(e.tables, 0, sizeof(e.tables));
}

/* Whether stdin has a command; or where it is not heard, whether an answer's deadline has come. */
static bool listen_once(bool is_stdin_heard)
{
	struct pollfd p[VMMS + 2] = {{is_stdin_heard ? STDIN_FILENO : -1, POLLIN, 0},
				     {e.listener, POLLIN, 0}};

	for (int i = 0; i < e.n_met; i++)
		p[i + 2] = (struct pollfd){e.vmms[i], POLLIN, 0};
	if (poll(p, (nfds_t)e.n_met + 2, is_stdin_heard ? -1 : DEADLINE_MS) == 0)
		return true;
	for (int i = 0; i < e.n_met; i++)
		if (e.vmms[i] >= 0 && p[i + 2].revents)
			hear(&e.vmms[i]);
	if (p[1].revents)
		meet();
	return p[0].revents != 0;
}

/* --- commands -------------------------------------------------------------------------------- */

static int ask(union wire_message *m, enum wire_type type, size_t bytes)
{
	int fd = e.n_met > 0 ? e.vmms[e.n_met - 1] : -1;

	if (fd < 0)
		return -ENOTCONN;
	e.got = (union wire_message){0};
	wire_seal(m, type, bytes, ++e.serial);
	return send(fd, m, bytes, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int await(enum wire_type type)
{
	while (e.got.header.serial != e.serial) {
		if (e.vmms[e.n_met - 1] < 0)
			return -ECONNRESET;
		if (listen_once(false))
			return -ETIMEDOUT;
	}
	return e.got.header.type == type ? 0 : -EPROTO;
}

static int do_state(uint32_t vm)
{
	int n_here = 0, n_vms = 0;

	(void)vm;
	for (int i = 0; i < e.n_met; i++)
		n_here += e.vmms[i] >= 0;
	for (size_t i = 0; i < WIRE_VMS_MAX; i++)
		n_vms += e.tables[i].is_there;
	return answer("ok met=%d here=%d vms=%d\n", e.n_met, n_here, n_vms);
}

static int do_table(uint32_t vm)
{
	const struct table *t = &e.tables[vm];

	if (!t->is_there || !t->is_whole)
		return -ENOENT;
	return answer("ok total=%u sum=0x%" PRIx64 "\n", t->whole_total, t->whole_sum);
}

static int do_flags(uint32_t vm)
{
	return e.tables[vm].is_there ? answer("ok flags=%u\n", e.tables[vm].flags) : -ENOENT;
}

static int do_count(uint32_t vm)
{
	union wire_message m = {.count = {.vm = vm}};
	int r = ask(&m, WIRE_COUNT, sizeof(m.count));

	if (r == 0)
		r = await(WIRE_COUNTS);
	return r < 0 ? r
		     : answer("ok err=%d pages_4k=%" PRIu64 "\n", e.got.counts.err,
			      e.got.counts.pages_4k);
}

static int do_ask(uint32_t vm)
{
	union wire_message m = {.nudge = {.vm = vm, .bytes = UINT64_MAX}};

	return ask(&m, WIRE_NUDGE, sizeof(m.nudge));
}

static int do_answered(uint32_t vm)
{
	(void)vm;
	return answer("ok answered=%d\n", e.got.header.serial == e.serial);
}

static int do_nudge(uint32_t vm)
{
	int r = do_ask(vm);

	if (r == 0)
		r = await(WIRE_NUDGED);
	return r < 0 ? r
		     : answer("ok result=%u err=%d toggled=%u passed_over=%u\n",
			      e.got.nudged.result, e.got.nudged.err, e.got.nudged.n_toggled,
			      e.got.nudged.n_passed_over);
}

static const struct command {
	const char *verb;
	int (*run)(uint32_t vm);
} commands[] = {
	{"state", do_state}, {"table", do_table}, {"flags", do_flags},	     {"count", do_count},
	{"nudge", do_nudge}, {"ask", do_ask},	  {"answered", do_answered},
};

static int obey(const char *line)
{
	char verb[16] = "";
	uint32_t vm = 0;

	if (sscanf(line, "%15s %" SCNu32, verb, &vm) < 1 || vm >= WIRE_VMS_MAX)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(verb, commands[i].verb) == 0)
			return commands[i].run(vm);
	return -ENOSYS;
}

static void serve(void)
{
	char line[64];
	int r;

	for (;;) {
		if (!listen_once(true))
			continue;
		if (!fgets(line, sizeof(line), stdin) || strncmp(line, "quit", 4) == 0)
			return;
		r = obey(line);
		if (r == 0)
			printf("ok\n");
		else if (r < 0)
			printf("failed %s\n", strerror(-r));
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (argc != 2 || strlen(argv[1]) >= sizeof(a.sun_path))
		return 2;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)setvbuf(stdin, NULL, _IONBF, 0);
	strcpy(a.sun_path, argv[1]);
	(void)unlink(argv[1]);
	e.listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(e.listener, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(e.listener, VMMS) < 0) {
		perror("slot_end");
		return 1;
	}
	printf("ready\n");
	serve();
	return 0;
}
