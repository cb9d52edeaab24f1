/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that is asked of a monitor, of a made-up QEMU: this program again, with the command line of
 * one. */
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
#include "monitor_samples.h"
#include "qemu_facts.h"
#include "text.h"

/* ---- The made-up QEMU ----------------------------------------------------------------------- */

/* An answer is the text of a JSON value; "" is QEMU's error; HMP answers are plain text. */
struct line {
	const char *question; /* that occurs in what was asked */
	const char *answer;
	bool is_human;
};

#define CPUS                                                                               \
	"[{\"thread-id\":4711,\"cpu-index\":0,\"props\":{\"node-id\":0,\"thread-id\":0}}," \
	"{\"thread-id\":4712,\"cpu-index\":1,\"props\":{\"node-id\":1}},"                  \
	"{\"thread-id\":4713,\"cpu-index\":2,\"props\":{}}]"
#define MEMDEVS                                                  \
	"[{\"id\":\"m1\",\"size\":134217728,\"host-nodes\":[]}," \
	"{\"id\":\"m0\",\"size\":134217728},{\"size\":4096}]"
#define STATS                                                                       \
	"[{\"provider\":\"kvm\",\"stats\":[{\"name\":\"pages_4k\",\"value\":12},"   \
	"{\"name\":\"pages_2m\",\"value\":34},{\"name\":\"pages_1g\",\"value\":5}," \
	"{\"name\":\"nx_lpage_splits\",\"value\":6}]}]"

static const struct line new_qemu[] = {
	{"qmp_capabilities", "{}", false},
	{"query-migrate", "{\"status\":\"completed\"}", false},
	{"query-balloon", "{\"actual\":201326592}", false},
	{"query-stats", STATS, false},
	{"query-memory-devices", "[]", false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},
	{"info ramblock", RAMBLOCK_10, true},
};

static const struct line old_qemu[] = {
	{"qmp_capabilities", "{}", false},	 {"query-migrate", "{}", false},
	{"query-memory-devices", "[]", false},	 {"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},	 {"info ramblock", RAMBLOCK_7_2, true},
	{"info mtree -f", MTREE, true},		 {"gpa2hva 0xe8000", GPA2HVA_M0, true},
	{"gpa2hva 0x8000000", GPA2HVA_M1, true},
};

static const struct line plugged[] = {
	{"qmp_capabilities", "{}", false},
	{"query-migrate", "{\"status\":\"active\"}", false},
	{"query-memory-devices",
	 "[{\"type\":\"dimm\",\"data\":{\"memdev\":\"/objects/m1\",\"node\":3,\"addr\":7}},"
	 "{\"type\":\"nvdimm\",\"data\":{\"memdev\":\"/objects/x\",\"node\":3}}]",
	 false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},
	{"info ramblock", RAMBLOCK_10, true},
};

static const struct line liar[] = {
	{"qmp_capabilities", "{}", false},
	{"query-migrate", "{\"status\":7}", false},
	{"query-balloon", "{\"actual\":-1}", false},
	{"query-stats",
	 "[{\"provider\":\"kvm\",\"stats\":[{\"name\":\"pages_4k\",\"value\":12},"
	 "{\"name\":\"pages_2m\",\"value\":9223372036854775807},"
	 "{\"name\":\"pages_1g\",\"value\":5}]}]",
	 false},
	{"query-memory-devices", "{}", false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", "[{\"thread-id\":99999999999}]", false},
	{"info ramblock", RAMBLOCK_10, true},
};

/* ROM in the middle of RAM, and two regions of the same name. */
#define MTREE_KVM                                                                         \
	"FlatView #0\r\n AS \"memory\", root: system\r\n"                                 \
	"  0000000000000000-000000000009ffff (prio 0, ram): m0 KVM\r\n"                   \
	"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\r\n"               \
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom KVM\r\n"               \
	"  0000000000100000-0000000007ffffff (prio 0, ram): m0 @0000000000100000 KVM\r\n" \
	"  00000000f0000000-00000000f0ffffff (prio 1, ram): vga.vram KVM\r\n"             \
	"  00000000f1000000-00000000f1ffffff (prio 1, ram): vga.vram KVM\r\n"             \
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
#define HVA(gpa, region, hva)                                                                   \
	{                                                                                       \
		"gpa2hva " gpa, "Host virtual address for " gpa " (" region ") is " hva "\r\n", \
			true                                                                    \
	}
#define LOW_SLOTS                                                              \
	{"qmp_capabilities", "{}", false}, {"info mtree -f", MTREE_KVM, true}, \
		HVA("0xc0000", "pc.rom", "0x7f0000200000"),                    \
		HVA("0x100000", "m0", "0x7f0001300000"),                       \
		HVA("0xf0000000", "vga.vram", "0x7f0010000000")

static const struct line with_kvm[] = {
	LOW_SLOTS,
	HVA("0xf1000000", "vga.vram", "0x7f0020000000"),
	HVA("0x0", "m0", "0x7f0001200000"),
};

/* The second display went away in between. */
static const struct line changing[] = {
	LOW_SLOTS,
	{"gpa2hva 0xf1000000", "No memory is mapped at address 0xf1000000\r\n", true},
	HVA("0x0", "m0", "0x7f0001200000"),
};

/* And something else came. */
static const struct line replaced[] = {
	LOW_SLOTS,
	HVA("0xf1000000", "vga.vram2", "0x7f0020000000"),
	HVA("0x0", "m0", "0x7f0001200000"),
};

/* Both backends at the same place. */
static const struct line overlapping[] = {
	{"qmp_capabilities", "{}", false},
	{"query-memory-devices", "[]", false},
	{"query-memdev", MEMDEVS, false},
	{"query-cpus-fast", CPUS, false},
	{"info ramblock",
	 "m0 4 KiB 0x0 0x0 0x8000000 0x7000 rw\nm1 4 KiB 0x0 0x0 0x8000000 0x7000 rw\n", true},
};

/* What QEMU would never print. The first slot of each could be asked about, and is not: there is no
 * answer to it. */
#define VIEW "FlatView #0\r\n AS \"memory\", root: system\r\n 0-9ffff (prio 0, ram): m0 KVM\r\n"
static const struct line unordered[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", VIEW " 90000-fffff (prio 0, ram): m0 KVM\r\n", true},
};
static const struct line odd[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", VIEW " 100000-1007ff (prio 0, ram): m0 KVM\r\n", true},
};

static const struct line none[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", "FlatView #0\r\n AS \"memory\", root: system\r\n", true},
};

/* It shows what it has, and tells no place of it. */
static const struct line mute[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", VIEW, true},
};

/* One slot more than are asked about, made up by add_many(): then none is. */
static const struct line many[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", "", true},
};

static const struct script {
	const char *name;
	const struct line *lines;
	size_t n;
} scripts[] = {
	{"new", new_qemu, ARRAY_SIZE(new_qemu)},
	{"old", old_qemu, ARRAY_SIZE(old_qemu)},
	{"plugged", plugged, ARRAY_SIZE(plugged)},
	{"liar", liar, ARRAY_SIZE(liar)},
	{"overlapping", overlapping, ARRAY_SIZE(overlapping)},
	{"hangs-up", new_qemu, 5},
	{"with-kvm", with_kvm, ARRAY_SIZE(with_kvm)},
	{"changing", changing, ARRAY_SIZE(changing)},
	{"replaced", replaced, ARRAY_SIZE(replaced)},
	{"many", many, ARRAY_SIZE(many)},
	{"unordered", unordered, ARRAY_SIZE(unordered)},
	{"odd", odd, ARRAY_SIZE(odd)},
	{"none", none, ARRAY_SIZE(none)},
	{"mute", mute, ARRAY_SIZE(mute)},
};

static void add_many(struct text *ret)
{
	char line[64];

	text_add(ret, "\"FlatView #0\\r\\n AS \\\"memory\\\", root: system");
	for (unsigned i = 0; i <= QEMU_SLOTS_MAX; i++) {
		(void)snprintf(line, sizeof(line), "\\r\\n %x000-%xfff (prio 0, ram): m KVM", i, i);
		text_add(ret, line);
	}
	text_add(ret, "\"");
}

/* False: it hangs up instead. */
static bool answer(int fd, const struct script *script, const char *question, unsigned id)
{
	static unsigned int n_views;
	struct text t = TEXT_INIT;
	const struct line *line = NULL;

	if (strstr(question, "info mtree -f") && ++n_views > 1)
		question = "once is enough";
	for (size_t i = 0; !line && i < script->n; i++)
		if (strstr(question, script->lines[i].question))
			line = &script->lines[i];
	if (!line && strcmp(script->name, "hangs-up") == 0)
		return false;
	text_add(&t, line ? "{\"return\":" : "{\"error\":{}");
	if (line && line->is_human && script->lines == many)
		add_many(&t);
	else if (line && line->is_human)
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

static void serve(int fd, const struct script *script)
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

static int be_qemu(const char *path, const char *name)
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

#define NODES "-numa", "node,nodeid=0,memdev=m0", "-numa", "node,nodeid=1,memdev=m1"

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

static void start(struct guest *g, char *const options[])
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

static void ask(struct guest *g, const char *script, char *const numa[])
{
	char *options[16] = {(char *)"qemu", g->path, (char *)script};

	for (size_t i = 0; numa[i]; i++)
		options[3 + i] = numa[i];
	(void)snprintf(g->directory, sizeof(g->directory), "/tmp/test_qemu_facts.XXXXXX");
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

static void finish(struct guest *g)
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

static void assert_two_nodes(const struct guest_map *map, hva_t m0, hva_t m1)
{
	assert_int_equal(map->n_spans, 2);
	/* Sorted by address. */
	assert_int_equal(map->spans[0].start, m1);
	assert_int_equal(map->spans[0].bytes, 128 << 20);
	assert_int_equal(map->spans[0].guest_node, 1);
	assert_int_equal(map->spans[1].start, m0);
	assert_int_equal(map->spans[1].guest_node, 0);
	assert_int_equal(map->n_cpus, 2);
	assert_int_equal(map->cpus[0].tid, 4711);
	assert_int_equal(map->cpus[0].guest_node, 0);
	assert_int_equal(map->cpus[1].tid, 4712);
	assert_int_equal(map->cpus[1].guest_node, 1);
}

static void new_qemu_tells_all(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "new", NODES);
	assert_int_equal(g.result, 0);
	assert_null(g.facts.map_why);
	assert_two_nodes(&g.facts.map, 0x7f858bfff000, 0x7f8583ffe000);
	assert_int_equal(g.facts.is_migrating, ANSWER_NO);
	assert_int_equal(g.facts.balloon_bytes, 192 << 20);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_QMP);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	assert_int_equal(g.facts.kvm.pages_2m, 34);
	assert_int_equal(g.facts.kvm.pages_1g, 5);
	assert_int_equal(g.facts.kvm.nx_splits, 6);
	assert_true(g.facts.kvm.read_ns > 0);
	finish(&g);
}

static void old_qemu_tells_less_but_the_map(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "old", NODES);
	assert_int_equal(g.result, 0);
	assert_two_nodes(&g.facts.map, 0x7fe237fff000, 0x7fe22fffe000);
	assert_int_equal(g.facts.is_migrating, ANSWER_NO);
	assert_true(g.facts.balloon_bytes == UINT64_MAX);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_NONE);
	finish(&g);
}

static void only_what_is_wanted_is_asked(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP};

	ASK(&g, "new", NODES);
	assert_int_equal(g.result, 0);
	assert_two_nodes(&g.facts.map, 0x7f858bfff000, 0x7f8583ffe000);
	assert_int_equal(g.facts.is_migrating, ANSWER_UNKNOWN);
	assert_true(g.facts.balloon_bytes == UINT64_MAX);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_NONE);
	finish(&g);
	g = (struct guest){.want = QEMU_WANT_NUMBERS};
	ASK(&g, "new", NODES);
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.map.n_spans, 0);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	finish(&g);
}

static void a_guest_without_nodes_has_no_map(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "new");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.map.n_spans, 0);
	assert_int_equal(g.facts.map.n_cpus, 0);
	assert_null(g.facts.map_why);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	finish(&g);
}

static void plugged_memory_has_its_own_node(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "plugged", "-numa", "node,memdev=m0");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.map.n_spans, 2);
	assert_int_equal(g.facts.map.spans[0].guest_node, 3);
	assert_int_equal(g.facts.map.spans[1].guest_node, 0);
	assert_int_equal(g.facts.is_migrating, ANSWER_YES);
	finish(&g);
}

static void assert_no_map(struct guest *g)
{
	assert_int_equal(g->result, 0);
	assert_int_equal(g->facts.map.n_spans, 0);
	assert_int_equal(g->facts.map.n_cpus, 0);
	assert_non_null(g->facts.map_why);
}

static void half_a_map_is_none(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "overlapping", NODES);
	assert_no_map(&g);
	/* It does not say. */
	assert_int_equal(g.facts.is_migrating, ANSWER_UNKNOWN);
	finish(&g);
	ASK(&g, "new", "-numa", "node,memdev=m0", "-numa", "node,memdev=unknown");
	assert_no_map(&g);
	finish(&g);
	ASK(&g, "new", "-numa", "node,memdev=m0", "-numa", "node,mem=128M");
	assert_no_map(&g);
	finish(&g);
	ASK(&g, "plugged", NODES); /* m1 is node 1 and node 3 */
	assert_no_map(&g);
	finish(&g);
}

static void numbers_that_cannot_be_are_not_known(void **state)
{
	(void)state;
	struct guest g = {.result = 0};

	ASK(&g, "liar", NODES);
	assert_no_map(&g);
	assert_int_equal(g.facts.is_migrating, ANSWER_UNKNOWN);
	assert_true(g.facts.balloon_bytes == UINT64_MAX);
	assert_int_equal(g.facts.kvm.source, KVM_SOURCE_NONE);
	finish(&g);
}

static void assert_slot(const struct memslot *m, gpa_t gpa, uint64_t bytes, hva_t hva,
			uint32_t flags)
{
	assert_int_equal(m->gpa, gpa);
	assert_int_equal(m->bytes, bytes);
	assert_int_equal(m->hva, hva);
	assert_int_equal(m->flags, flags);
	assert_int_equal(m->address_space, 0);
}

static void memslots_are_what_kvm_has(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_SLOTS};
	const struct memslot *m;

	ASK(&g, "with-kvm");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.slots_err, 0);
	assert_int_equal(g.facts.slots.n, 5);
	m = g.facts.slots.items;
	assert_slot(&m[0], 0, 0xa0000, 0x7f0001200000, 0);
	assert_slot(&m[1], 0xc0000, 0x20000, 0x7f0000200000, MEMSLOT_READONLY);
	assert_slot(&m[2], 0x100000, 0x7f00000, 0x7f0001300000, 0);
	assert_slot(&m[3], 0xf0000000, 0x1000000, 0x7f0010000000, 0);
	assert_slot(&m[4], 0xf1000000, 0x1000000, 0x7f0020000000, 0);
	assert_true(g.facts.balloon_bytes == UINT64_MAX); /* was not asked */
	finish(&g);
}

static void half_a_table_of_memslots_is_none(void **state)
{
	static const struct {
		const char *script;
		int error;
		const char *why;
	} cases[] = {
		{"changing", -EAGAIN, "came or went"},	{"replaced", -EAGAIN, "came or went"},
		{"many", -ENODATA, "too many"},		{"unordered", -ENODATA, "cannot be"},
		{"odd", -ENODATA, "cannot be"},		{"none", -ENODATA, "no memslot"},
		{"mute", -ENODATA, "no human monitor"}, {"new", -ENODATA, "no human monitor"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest g = {.want = QEMU_WANT_SLOTS};

		ask(&g, cases[i].script, (char *const[]){NULL});
		assert_int_equal(g.result, 0);
		assert_int_equal(g.facts.slots_err, cases[i].error);
		assert_int_equal(g.facts.slots.n, 0);
		assert_null(g.facts.slots.items);
		assert_non_null(strstr(g.facts.slots_why, cases[i].why));
		finish(&g);
	}
}

/* Whose guest has nodes is asked for the view once, for the two of them. */
static void memslots_and_nodes_go_together(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP | QEMU_WANT_SLOTS};

	ASK(&g, "old", NODES);
	assert_int_equal(g.result, 0);
	assert_null(g.facts.map_why);
	assert_two_nodes(&g.facts.map, 0x7fe237fff000, 0x7fe22fffe000);
	/* One of the two slots is asked about, and is where it is not answered for. */
	assert_int_equal(g.facts.slots_err, -ENODATA);
	assert_non_null(strstr(g.facts.slots_why, "no human monitor"));
	assert_int_equal(g.facts.slots.n, 0);
	finish(&g);
}

static void who_is_not_asked_for_memslots_tells_none(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_NUMBERS};

	ASK(&g, "with-kvm");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.slots.n, 0);
	assert_int_equal(g.facts.slots_err, -EAGAIN);
	finish(&g);
}

/* The numbers, which were asked first, are not lost by what is asked after them. */
static void who_hangs_up_in_the_middle_told_the_first_half(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP | QEMU_WANT_SLOTS | QEMU_WANT_NUMBERS};

	ASK(&g, "hangs-up", NODES);
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.kvm.pages_4k, 12);
	assert_int_equal(g.facts.is_migrating, ANSWER_NO);
	assert_no_map(&g);
	assert_int_equal(g.facts.slots_err, -ECONNRESET);
	assert_non_null(g.facts.slots_why);
	finish(&g);
}

static void who_hangs_up_at_once_told_nothing(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_MAP | QEMU_WANT_SLOTS};

	ASK(&g, "hangs-up", NODES);
	assert_int_equal(g.result, -ECONNRESET);
	assert_non_null(g.why);
	assert_int_equal(g.facts.map.n_spans, 0);
	finish(&g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_qemu_tells_all),
		cmocka_unit_test(old_qemu_tells_less_but_the_map),
		cmocka_unit_test(only_what_is_wanted_is_asked),
		cmocka_unit_test(a_guest_without_nodes_has_no_map),
		cmocka_unit_test(plugged_memory_has_its_own_node),
		cmocka_unit_test(half_a_map_is_none),
		cmocka_unit_test(numbers_that_cannot_be_are_not_known),
		cmocka_unit_test(memslots_are_what_kvm_has),
		cmocka_unit_test(half_a_table_of_memslots_is_none),
		cmocka_unit_test(memslots_and_nodes_go_together),
		cmocka_unit_test(who_is_not_asked_for_memslots_tells_none),
		cmocka_unit_test(who_hangs_up_in_the_middle_told_the_first_half),
		cmocka_unit_test(who_hangs_up_at_once_told_nothing),
	};

	if (argc >= 3)
		return be_qemu(argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
