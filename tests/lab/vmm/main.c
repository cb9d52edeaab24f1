/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tiny virtual machine monitor: the instrument with which the lab looks at KVM.
 *
 *   vmm [--dirty-log=initially-set]
 *
 * It makes a KVM machine, prints `ready pid=N` and obeys commands on stdin, each answered by one
 * line that begins with `ok` or `failed`. ID is a memslot, 0 to 30. Sizes are bytes, or have K, M
 * or G at the end. The guest runs in 32 bits without paging: all of it lies below 4 GiB.
 *
 *   slot ID KIND bytes=N gpa=N [skew=N] [path=FILE] [offset=N] [page=2M|1G] [readonly=1]
 *               memory, and the memslot for it; KIND is one of slot.h. The host address is skew
 *               modulo 1 GiB: `ok addr=0xADDR bytes=N`
 *   drop ID     takes both away
 *   recreate ID takes the memslot away and gives it back; the memory stays
 *   state ID small|huge|pte [from=N bytes=N]
 *               what this process maps it by (tests/lib/memstate.h); small writes, too
 *   collapse ID asks the kernel to make it huge, and touches nothing
 *   touch ID store|update|check|call [from=N bytes=N] [stride=N]
 *               the guest steps through it, a word every 4 KiB or stride (guest.h):
 *               `ok passes=1 steps=N mismatches=N slowest_us=N`
 *   loop ID store|update|check [...]
 *               the same, pass after pass, until
 *   halt        which answers as touch does
 *   nest ID [from=N]
 *               the guest runs one of its own, for which it needs 20 KiB (nest.h)
 *   stall ID none|nudge|recreate [rounds=N]
 *               what a guest that loops feels of it (rounds.h):
 *               `ok call_us=N worst_us=N most_us=N step_ns=N`
 *   churn ID [rounds=N]
 *               under a guest that loops the mapping is taken apart and collapsed again and again:
 *               `ok left=ROUNDS most=PAGES refused=ROUNDS`
 *   log ID      dirty logging on
 *   unlog ID    and off
 *   nudge ID    on and off at once; refused while it is on
 *   dirty ID    reads the log: `ok pages=N`
 *   clear ID    clears what the last `dirty` read (initially-set only)
 *   pin ID, unpin ID
 *               a long-term pin, as for an assigned device (an io_uring registered buffer)
 *   arm ID, disarm ID
 *               a userfaultfd that another process holds, as during post-copy
 *   frames ID   `ok sum=0xN`: the same number as long as every page stays where it is
 *   nodes ID    `ok node0=BYTES ... node3=BYTES absent=BYTES`: which node each page is on,
 *               and what is not mapped by this process
 *   host ID     `ok huge=BYTES present=BYTES`: what this process's page table says. It walks the
 *               page table: not for device-dax with 1 GiB pages, which that would split
 *   counters    `ok pages_4k=N pages_2m=N pages_1g=N`: what KVM maps into the guest; two pages of
 *               4K are the guest's own
 *   quit
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"
#include "memstate.h"
#include "nest.h"
#include "rounds.h"
#include "slot.h"

enum { SLOTS = 31 };

struct vmm {
	struct machine machine;
	struct slot slots[SLOTS];
	struct slot *touched; /* where the guest is, or was last */
};

/* A command's words: the slot, the one without a name, and the ones with. */
struct request {
	struct slot *slot;
	const char *word;
	struct slot_plan plan;
	uint64_t from, stride, rounds, is_readonly;
};

/* A command returns 0 for a plain `ok`, negative errno, or this if it wrote its answer. */
enum { ANSWERED = 1 };

#define answer(...) (printf(__VA_ARGS__), ANSWERED)

static int choose(const char *word, const char *const *names, int count)
{
	for (int i = 0; word && i < count; i++)
		if (strcmp(word, names[i]) == 0)
			return i;
	return -EINVAL;
}

/* --- memory ----------------------------------------------------------------------------------- */

static int do_slot(struct vmm *v, struct request *q)
{
	struct slot_plan *plan = &q->plan;
	int r;

	plan->kind = q->word;
	if (plan->bytes == 0 || plan->gpa < (1 << 20) || plan->gpa + plan->bytes >= UINT32_MAX)
		return -ERANGE;
	if (plan->page == 0)
		plan->page = memstate_block_bytes();
	plan->is_readonly = q->is_readonly != 0;
	r = slot_add(q->slot, &v->machine, plan);
	return r < 0 ? r
		     : answer("ok addr=0x%" PRIxPTR " bytes=%" PRIu64 "\n", (uintptr_t)q->slot->hva,
			      q->slot->bytes);
}

/* from and bytes within the slot; no bytes: to its end. */
static int range_of(const struct request *q, uint64_t *ret_bytes)
{
	const uint64_t bytes = q->plan.bytes;

	if (q->from > q->slot->bytes || bytes > q->slot->bytes - q->from)
		return -ERANGE;
	*ret_bytes = bytes ? bytes : q->slot->bytes - q->from;
	return 0;
}

static int fill_small(void *addr, uint64_t bytes)
{
	return memstate_fill_small(addr, bytes, 0);
}

static int do_state(struct vmm *v, struct request *q)
{
	static const char *const names[] = {"small", "huge", "pte"};
	static int (*const makers[])(void *, uint64_t) = {fill_small, memstate_make_huge,
							  memstate_make_pte_mapped};
	const int maker = choose(q->word, names, 3);
	uint64_t bytes;
	int r = range_of(q, &bytes);

	(void)v;
	return maker < 0 ? maker : r < 0 ? r : makers[maker](q->slot->hva + q->from, bytes);
}

static int do_frames(struct vmm *v, struct request *q)
{
	uint64_t sum;
	int r = slot_sum_frames(q->slot, &sum);

	(void)v;
	return r < 0 ? r : answer("ok sum=0x%" PRIx64 "\n", sum);
}

static int do_nodes(struct vmm *v, struct request *q)
{
	struct slot_nodes n;
	int r = slot_count_nodes(q->slot, &n);

	(void)v;
	if (r < 0)
		return r;
	printf("ok");
	for (int node = 0; node < SLOT_NODES; node++)
		printf(" node%d=%" PRIu64, node, n.bytes[node]);
	return answer(" absent=%" PRIu64 "\n", n.absent_bytes);
}

static int do_collapse(struct vmm *v, struct request *q)
{
	(void)v;
	return slot_collapse(q->slot);
}

static int do_host(struct vmm *v, struct request *q)
{
	const int64_t huge = memstate_count_huge(0, q->slot->hva, q->slot->bytes);
	const int64_t present = memstate_count_present(0, q->slot->hva, q->slot->bytes);

	(void)v;
	if (huge < 0 || present < 0)
		return (int)(huge < 0 ? huge : present);
	return answer("ok huge=%" PRIu64 " present=%" PRIu64 "\n",
		      (uint64_t)huge * memstate_block_bytes(),
		      (uint64_t)present * memstate_page_bytes());
}

/* --- the guest -------------------------------------------------------------------------------- */

static int begin(struct vmm *v, const struct request *q, bool is_repeated)
{
	static const char *const names[] = {"store", "update", "check", "call"};
	const uint64_t stride = q->stride ? q->stride : memstate_page_bytes();
	const uint64_t first = q->slot->gpa + q->from;
	const int op = choose(q->word, names, 4);
	struct guest_page task = {0};
	uint64_t bytes;
	int r = range_of(q, &bytes);

	if (op < 0 || r < 0)
		return op < 0 ? op : r;
	/* The step after the last must not begin at 0 again. */
	if (first + bytes + stride > UINT32_MAX)
		return -ERANGE;
	task.first = (uint32_t)first;
	task.end = (uint32_t)(first + bytes);
	task.stride = (uint32_t)stride;
	task.generation = q->slot->generation;
	task.op = (uint32_t)op;
	r = machine_begin(&v->machine, &task, is_repeated);
	if (r == 0)
		v->touched = q->slot;
	return r;
}

/* The guest has come to its end, or to one that nobody wanted. */
static int end(struct vmm *v)
{
	const struct guest_page *page = v->machine.page;
	int r = machine_end(&v->machine);

	if (r < 0)
		return r;
	if (r > 0)
		return answer("failed the guest ended with KVM's exit reason %d\n", r);
	v->touched->generation = page->generation;
	return answer("ok passes=%" PRIu32 " steps=%" PRIu32 " mismatches=%" PRIu32
		      " slowest_us=%" PRIu64 "\n",
		      page->passes, page->steps, page->mismatches,
		      page->slowest * 1000 / v->machine.khz);
}

static int do_touch(struct vmm *v, struct request *q)
{
	int r = begin(v, q, false);

	return r < 0 ? r : end(v);
}

static int do_loop(struct vmm *v, struct request *q)
{
	return begin(v, q, true);
}

static int do_halt(struct vmm *v, struct request *q)
{
	(void)q;
	return end(v);
}

static int do_nest(struct vmm *v, struct request *q)
{
	struct guest_page task = {.first = (uint32_t)(q->slot->gpa + q->from), .op = GUEST_NEST};
	uint8_t *at = q->slot->hva + q->from;
	int r = q->from + NEST_BYTES <= q->slot->bytes ? 0 : -ERANGE;

	if (r == 0)
		nest_prepare(at, task.first);
	r = r < 0 ? r : machine_begin(&v->machine, &task, false);
	r = r < 0 ? r : machine_end(&v->machine);
	if (r > 0)
		return answer("failed the guest ended with KVM's exit reason %d\n", r);
	return r < 0 ? r : nest_has_halted(at) ? 0 : -EPROTO;
}

/* --- a guest at work -------------------------------------------------------------------------- */

static int nudge(struct slot *s, struct machine *m)
{
	return slot_nudge(s, m);
}

/* Between the two the guest would find nothing there. */
static int recreate(struct slot *s, struct machine *m)
{
	int r;

	machine_pause(m);
	r = slot_recreate(s, m);
	machine_resume(m);
	return r;
}

static int do_stall(struct vmm *v, struct request *q)
{
	static const char *const names[] = {"none", "nudge", "recreate"};
	static int (*const calls[])(struct slot *, struct machine *) = {NULL, nudge, recreate};
	const int which = choose(q->word, names, 3);
	const int rounds = q->rounds ? (int)q->rounds : 20;
	struct stall t;
	int r = which < 0 ? which : v->machine.is_running ? 0 : -ESRCH;

	r = r < 0 ? r : rounds_stall(q->slot, &v->machine, rounds, calls[which], &t);
	return r < 0 ? r
		     : answer("ok call_us=%" PRIu64 " worst_us=%" PRIu64 " most_us=%" PRIu64
			      " step_ns=%" PRIu64 "\n",
			      t.call_us, t.worst_us, t.most_us, t.step_ns);
}

static int do_churn(struct vmm *v, struct request *q)
{
	const int rounds = q->rounds ? (int)q->rounds : 100;
	struct churn c;
	int r = v->machine.is_running ? rounds_churn(q->slot, &v->machine, rounds, &c) : -ESRCH;

	return r < 0 ? r
		     : answer("ok left=%d most=%" PRIu64 " refused=%d\n", c.left_over, c.most_left,
			      c.refused);
}

/* --- KVM's side ------------------------------------------------------------------------------- */

static int do_dirty(struct vmm *v, struct request *q)
{
	int64_t n = slot_count_dirty(q->slot, &v->machine);

	return n < 0 ? (int)n : answer("ok pages=%" PRIi64 "\n", n);
}

static int do_counters(struct vmm *v, struct request *q)
{
	uint64_t n[3];
	int r = machine_count_pages(&v->machine, n);

	(void)q;
	return r < 0 ? r
		     : answer("ok pages_4k=%" PRIu64 " pages_2m=%" PRIu64 " pages_1g=%" PRIu64 "\n",
			      n[0], n[1], n[2]);
}

/* --- commands --------------------------------------------------------------------------------- */

/* Either for the whole machine, or for a slot that has memory, or (slot) makes one. */
static const struct command {
	const char *verb;
	bool has_slot;
	int (*run)(struct vmm *v, struct request *q);
	int (*run_on_slot)(struct slot *s, const struct machine *m);
} commands[] = {
	{"slot", true, do_slot, NULL},		 {"drop", true, NULL, slot_drop},
	{"recreate", true, NULL, slot_recreate}, {"state", true, do_state, NULL},
	{"touch", true, do_touch, NULL},	 {"loop", true, do_loop, NULL},
	{"halt", false, do_halt, NULL},		 {"log", true, NULL, slot_log},
	{"unlog", true, NULL, slot_unlog},	 {"dirty", true, do_dirty, NULL},
	{"clear", true, NULL, slot_clear_dirty}, {"pin", true, NULL, slot_pin},
	{"unpin", true, NULL, slot_unpin},	 {"arm", true, NULL, slot_arm},
	{"disarm", true, NULL, slot_disarm},	 {"frames", true, do_frames, NULL},
	{"nodes", true, do_nodes, NULL},	 {"host", true, do_host, NULL},
	{"counters", false, do_counters, NULL},	 {"nudge", true, NULL, slot_nudge},
	{"collapse", true, do_collapse, NULL},	 {"nest", true, do_nest, NULL},
	{"stall", true, do_stall, NULL},	 {"churn", true, do_churn, NULL},
};

static int read_bytes(const char *text, uint64_t *ret)
{
	static const char suffixes[] = "KMG";
	const char *suffix;
	char *rest;

	errno = 0;
	*ret = strtoull(text, &rest, 0);
	if (errno || rest == text)
		return -EINVAL;
	if (*rest == '\0')
		return 0;
	suffix = strchr(suffixes, *rest);
	if (!suffix || rest[1] != '\0')
		return -EINVAL;
	*ret <<= 10 * (suffix - suffixes + 1);
	return 0;
}

static int read_setting(struct request *q, const char *key, const char *value)
{
	const struct {
		const char *key;
		uint64_t *into;
	} numbers[] = {
		{"bytes", &q->plan.bytes},     {"gpa", &q->plan.gpa},
		{"skew", &q->plan.skew},       {"page", &q->plan.page},
		{"offset", &q->plan.offset},   {"from", &q->from},
		{"stride", &q->stride},	       {"rounds", &q->rounds},
		{"readonly", &q->is_readonly},
	};

	if (strcmp(key, "path") == 0) {
		q->plan.path = value;
		return 0;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (strcmp(key, numbers[i].key) == 0)
			return read_bytes(value, numbers[i].into);
	return -EINVAL;
}

static int read_slot(struct vmm *v, const char *word, struct slot **ret)
{
	uint64_t id;

	if (!word || read_bytes(word, &id) < 0 || id >= SLOTS)
		return -EINVAL;
	*ret = &v->slots[id];
	return 0;
}

static int read_request(struct vmm *v, bool has_slot, char *rest, struct request *q)
{
	int r = has_slot ? read_slot(v, strtok_r(rest, " \n", &rest), &q->slot) : 0;
	char *word;

	while (r == 0 && (word = strtok_r(rest, " \n", &rest))) {
		char *equals = strchr(word, '=');

		if (!equals) {
			q->word = word;
			continue;
		}
		*equals = '\0';
		r = read_setting(q, word, equals + 1);
	}
	return r;
}

static int run(struct vmm *v, const struct command *c, struct request *q)
{
	if (c->has_slot && !q->slot->hva && c->run != do_slot)
		return -ENOENT;
	return c->run ? c->run(v, q) : c->run_on_slot(q->slot, &v->machine);
}

static int obey(struct vmm *v, char *line)
{
	struct request q = {0};
	char *rest, *verb = strtok_r(line, " \n", &rest);
	int r;

	for (size_t i = 0; verb && i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(verb, commands[i].verb) == 0) {
			r = read_request(v, commands[i].has_slot, rest, &q);
			return r < 0 ? r : run(v, &commands[i], &q);
		}
	return -EINVAL;
}

static void serve(struct vmm *v)
{
	char line[512];

	printf("ready pid=%d\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin) && strncmp(line, "quit", 4) != 0) {
		int r = obey(v, line);

		if (r == 0)
			printf("ok\n");
		else if (r < 0)
			printf("failed %s\n", strerror(-r));
	}
}

int main(int argc, char **argv)
{
	const bool is_initially_set =
		argc == 2 && strcmp(argv[1], "--dirty-log=initially-set") == 0;
	static struct vmm v;
	int r;

	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1 && !is_initially_set) {
		fprintf(stderr, "usage: %s [--dirty-log=initially-set]\n", argv[0]);
		return 2;
	}
	for (uint32_t id = 0; id < SLOTS; id++)
		v.slots[id] = (struct slot)SLOT_INIT(id);
	r = machine_new(&v.machine, is_initially_set);
	if (r < 0) {
		printf("failed to make a machine of /dev/kvm: %s\n", strerror(-r));
		return EXIT_FAILURE;
	}
	serve(&v);
	return EXIT_SUCCESS;
}
