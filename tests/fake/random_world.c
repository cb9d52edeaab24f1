/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "random_world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t world_random(struct world *w, uint64_t below)
{
	/* splitmix64 */
	uint64_t z = w->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return below ? (z ^ (z >> 31)) % below : 0;
}

static bool chance(struct world *w, unsigned percent)
{
	return world_random(w, 100) < percent;
}

/* ---- Birth ---- */

static struct mmu_geometry random_geometry(struct world *w)
{
	static const struct mmu_geometry rare[] = {
		{16, 13, 26}, /* arm64, 64K pages: 512 MiB blocks */
		{14, 11, 22}, /* arm64, 16K pages: 32 MiB blocks */
		{12, 5, 10},  /* the smallest that is valid */
	};

	if (chance(w, 70))
		return (struct mmu_geometry){12, 9, 18};
	return rare[world_random(w, ARRAY_SIZE(rare))];
}

static struct model_options random_options(struct world *w)
{
	struct model_options o = MODEL_OPTIONS_INIT;

	o.geometry = random_geometry(w);
	o.mem_total_bytes = UINT64_C(1) << 42;
	o.free_blocks = chance(w, 20) ? world_random(w, 40) : 100000;
	o.has_pfn_right = !chance(w, 10);
	o.has_scan = !chance(w, 5);
	o.has_guard = !chance(w, 20);
	o.has_collapse_right = !chance(w, 2);
	o.is_uffd_safe = !chance(w, 20);
	o.can_copy_large = !chance(w, 20);
	o.has_block_knob = !chance(w, 20);
	return o;
}

static struct policy random_policy(struct world *w, bool may_refill)
{
	uint64_t block = block_bytes(model_geometry(w->m));
	struct policy p = POLICY_INIT;

	p.min_region_bytes = block;
	p.copy_call_bytes = block * (1 + world_random(w, 8));
	p.remap_call_bytes = block * (1 + world_random(w, 16));
	p.mode = chance(w, 5) ? MODE_REPORT : MODE_FULL;
	p.may_remap = !chance(w, 5);
	p.may_copy = !chance(w, 10);
	if (chance(w, 50))
		p.populate = POPULATE_HUGE;
	if (may_refill)
		p.min_populated_bp = (uint16_t)world_random(w, 10001);
	return p;
}

static enum model_backing random_backing(struct world *w)
{
	uint64_t r = world_random(w, 100);

	if (r < 40)
		return MODEL_MEMFD;
	if (r < 60)
		return MODEL_TMPFS;
	if (r < 88)
		return MODEL_ANON;
	return (enum model_backing)(MODEL_REGULAR_FILE +
				    world_random(w, MODEL_BACKING_MAX - MODEL_REGULAR_FILE));
}

static bool is_collapsible_kind(enum model_backing b)
{
	return b == MODEL_MEMFD || b == MODEL_TMPFS || b == MODEL_ANON;
}

static struct model_map random_map(struct world *w, hva_t base)
{
	uint64_t page = page_bytes(model_geometry(w->m)), block = block_bytes(model_geometry(w->m));
	struct model_map map = {.start = base,
				.bytes = block * (1 + world_random(w, 24)),
				.backing = random_backing(w)};

	if (map.backing == MODEL_DEVDAX_1G) {
		map.start = align_up(base, pud_bytes(model_geometry(w->m)));
		map.bytes = pud_bytes(model_geometry(w->m));
		return map;
	}
	if (chance(w, 15)) { /* where QEMU puts memfds */
		map.start -= page;
		map.bytes += page;
	}
	if (chance(w, 15))
		map.bytes += page * world_random(w, block / page);
	if (chance(w, 10))
		map.file_offset = block * world_random(w, 3);
	if (chance(w, 5))
		map.is_private = map.backing == MODEL_MEMFD || map.backing == MODEL_TMPFS;
	return map;
}

/* Part of the memory of another VM, as vhost-user and friends map it; congruent or not. */
static void share(struct world *w, struct model_map *map)
{
	const struct world_region *r = &w->vms[0].regions[0];
	bool is_shareable = r->backing == MODEL_MEMFD || r->backing == MODEL_TMPFS;

	if (w->vms[0].n_regions == 0 || !is_shareable || r->is_private || !chance(w, 50))
		return;
	if (map->backing == MODEL_DEVDAX_1G)
		return; /* as memory it would be terabytes */
	map->backing = r->backing;
	map->share_pid = w->vms[0].born.pid;
	map->share_start = r->start;
	map->is_private = false;
}

static void add_region(struct world *w, struct world_vm *vm, hva_t base)
{
	struct model_map map = random_map(w, base);

	if (vm->n_regions == 0)
		share(w, &map);
	model_mmap(w->m, vm->born.pid, &map);
	vm->regions[vm->n_regions++] =
		(struct world_region){map.start, map.bytes, map.backing, map.is_private,
				      is_collapsible_kind(map.backing)};
}

static void populate(struct world *w, struct world_vm *vm, const struct world_region *r)
{
	uint64_t block = block_bytes(model_geometry(w->m)), first = align_up(r->start, block);

	if (r->backing == MODEL_HUGETLB || r->backing == MODEL_FSDAX) {
		model_touch(w->m, vm->born.pid, r->start, r->bytes);
		return;
	}
	if (!r->is_lively)
		return;
	/* Holes are what is populated. */
	if (chance(w, vm->driven.policy.populate == POPULATE_HUGE ? 25 : 70))
		model_touch(w->m, vm->born.pid, r->start, r->bytes);
	if (!r->is_private && chance(w, 40) && first + block <= r->start + r->bytes)
		model_make_huge(w->m, vm->born.pid, first,
				align_down(r->start + r->bytes - first, block));
}

void world_spawn(struct world *w, struct world_vm *vm)
{
	(void)model_spawn(w->m, &vm->born);
	vm->born_ns = model_now(w->m);
	vm->n_regions = 0;
}

static void give_birth(struct world *w, struct world_vm *vm)
{
	uint64_t gap = 4 * pud_bytes(model_geometry(w->m)) + 64 * block_bytes(model_geometry(w->m));

	world_spawn(w, vm);
	for (uint64_t i = 0; i < 1 + world_random(w, WORLD_REGIONS_MAX); i++) {
		add_region(w, vm, gap * (i + 1));
		populate(w, vm, &vm->regions[vm->n_regions - 1]);
	}
}

/* Room for a few blocks more than what is left free in any case. */
static uint64_t random_limit(struct world *w)
{
	return block_bytes(model_geometry(w->m)) * (1 + world_random(w, 64)) + (64 << 20);
}

static void add_vm(struct world *w, bool may_refill)
{
	static const char *const cgroups[WORLD_VMS_MAX] = {
		"/machine.slice/machine-qemu\\x2d1\\x2done.scope",
		"/machine.slice/machine-qemu\\x2d2\\x2dtwo.scope", NULL};
	struct world_vm *vm = &w->vms[w->n_vms];
	struct policy policy = random_policy(w, may_refill);

	vm->born = (struct model_vm){
		.pid = (pid_t)(100 + w->n_vms),
		.cgroup = cgroups[w->n_vms],
		.has_kvm = chance(w, 80),
		.has_uffd = chance(w, 20),
		.has_vfio = chance(w, 10),
		.has_sev = chance(w, 5),
		.is_thp_disabled = chance(w, 2),
	};
	if (vm->born.cgroup && chance(w, 30))
		vm->born.memcg_max_bytes = random_limit(w);
	driver_vm_init(&vm->driven, vm->born.pid, &policy);
	give_birth(w, vm);
	w->n_vms++;
}

void world_init(struct world *w, uint64_t seed)
{
	struct budget budget = {.copy_bytes_per_s = UINT64_MAX};
	struct model_options o;
	bool may_refill;

	*w = (struct world){.seed = seed, .state = seed, .is_tracing = getenv("THPD_TRACE")};
	o = random_options(w);
	w->is_uffd_safe = o.is_uffd_safe;
	w->m = model_new(&o);
	if (chance(w, 60))
		budget.copy_bytes_per_s =
			block_bytes(&o.geometry) * world_random(w, 30) + world_random(w, 100000);
	if (chance(w, 30))
		budget.free_reserve_bytes = block_bytes(&o.geometry) * world_random(w, 30);
	if (driver_init(&w->d, w->m, &budget) < 0)
		abort();
	laws_init(&w->laws, &w->d);
	w->d.hook = laws_hook;
	w->d.userdata = &w->laws;
	may_refill = chance(w, 10);
	w->laws.may_refill = may_refill;
	for (uint64_t i = 0; i < 1 + world_random(w, WORLD_VMS_MAX); i++)
		add_vm(w, may_refill);
}

void world_clear(struct world *w)
{
	laws_clear(&w->laws);
	for (size_t i = 0; i < w->n_vms; i++)
		driver_vm_clear(&w->vms[i].driven);
	driver_clear(&w->d);
	w->m = model_free(w->m);
}

/* ---- Life ---- */

struct range {
	pid_t pid;
	const struct world_vm *vm;
	const struct world_region *region;
	hva_t start;
	uint64_t bytes;
	hva_t block; /* whole blocks around it; block_bytes may be 0 */
	uint64_t block_bytes;
};

static bool pick_range(struct world *w, struct range *ret)
{
	struct world_vm *vm = &w->vms[world_random(w, w->n_vms)];
	uint64_t page = page_bytes(model_geometry(w->m)), block = block_bytes(model_geometry(w->m));
	const struct world_region *r;
	uint64_t pages, first, count;

	if (vm->n_regions == 0)
		return false;
	r = &vm->regions[world_random(w, vm->n_regions)];
	if (!r->is_lively)
		return false;
	pages = r->bytes / page;
	first = world_random(w, pages);
	count = chance(w, 30) ? 1 : 1 + world_random(w, min_u64(pages - first, 3 * block / page));
	*ret = (struct range){.pid = vm->born.pid,
			      .vm = vm,
			      .region = r,
			      .start = r->start + first * page,
			      .bytes = count * page};
	ret->block = max_u64(align_down(ret->start, block), align_up(r->start, block));
	ret->block_bytes = sat_sub_u64(
		align_down(min_u64(align_up(ret->start + ret->bytes, block), r->start + r->bytes),
			   block),
		ret->block);
	return true;
}

static void touch(struct world *w, const struct range *r)
{
	model_touch(w->m, r->pid, r->start, r->bytes);
}

static void touch_all(struct world *w, const struct range *r)
{
	model_touch(w->m, r->pid, r->region->start, r->region->bytes);
}

static void discard(struct world *w, const struct range *r)
{
	model_discard(w->m, r->pid, r->start, r->bytes);
}

static void split(struct world *w, const struct range *r)
{
	model_split(w->m, r->pid, r->start, r->bytes);
}

static void split_all(struct world *w, const struct range *r)
{
	model_split(w->m, r->pid, r->region->start, r->region->bytes);
}

static void zap(struct world *w, const struct range *r)
{
	if (r->region->backing != MODEL_ANON && !r->region->is_private)
		model_zap(w->m, r->pid, r->start, r->bytes);
}

static void swap_out(struct world *w, const struct range *r)
{
	if (!r->region->is_private)
		model_swap_out(w->m, r->pid, r->start, r->bytes);
}

static void pin(struct world *w, const struct range *r)
{
	model_pin(w->m, r->pid, r->start, r->bytes, chance(w, 50));
}

static void make_huge(struct world *w, const struct range *r)
{
	if (r->block_bytes > 0 && !r->region->is_private)
		model_make_huge(w->m, r->pid, r->block, r->block_bytes);
}

static void make_large(struct world *w, const struct range *r)
{
	if (!r->region->is_private)
		model_make_large(w->m, r->pid, r->start, r->bytes);
}

static void make_contiguous(struct world *w, const struct range *r)
{
	if (r->block_bytes > 0 && !r->region->is_private)
		model_make_contiguous(w->m, r->pid, r->block, r->block_bytes);
}

static void read_zero(struct world *w, const struct range *r)
{
	if (r->region->backing == MODEL_ANON)
		model_read_zero(w->m, r->pid, r->start, r->bytes);
}

static void copy_on_write(struct world *w, const struct range *r)
{
	if (r->region->is_private)
		model_copy_on_write(w->m, r->pid, r->start, r->bytes);
}

static void guard(struct world *w, const struct range *r)
{
	if (r->region->backing == MODEL_ANON && chance(w, 20))
		model_guard(w->m, r->pid, r->start, page_bytes(model_geometry(w->m)));
}

static void change_advice(struct world *w, const struct range *r)
{
	static const uint32_t flags[] = {VMA_FLAG_NH, VMA_FLAG_HG, VMA_FLAG_MG, VMA_FLAG_LO};
	uint32_t flag = flags[world_random(w, ARRAY_SIZE(flags))];

	model_change_flags(w->m, r->pid, r->region->start, chance(w, 50) ? flag : 0, flag);
}

/* A pager comes and goes. Only a process with a userfaultfd has one: thpd goes by that. */
static void change_pager(struct world *w, const struct range *r)
{
	static const uint32_t flags[] = {VMA_FLAG_UM, VMA_FLAG_UW, VMA_FLAG_UI};

	if (!r->vm->born.has_uffd)
		return;
	if (chance(w, 50)) {
		model_deliver_remote(w->m, r->pid, r->region->start, r->region->bytes);
		model_change_flags(w->m, r->pid, r->region->start, 0, VMA_FLAGS_UFFD);
		return;
	}
	model_change_flags(w->m, r->pid, r->region->start,
			   flags[world_random(w, ARRAY_SIZE(flags))], VMA_FLAGS_UFFD);
	if (chance(w, 50) && !r->region->is_private)
		model_expect_remote(w->m, r->pid, r->start, r->bytes);
}

static void change_host(struct world *w, const struct range *r)
{
	static const char *const global[] = {"never", "advise", "deny", "always"};
	static const char *const per_size[] = {"inherit", "never", "advise", "always"};

	switch (world_random(w, 4)) {
	case 0:
		model_set_free_blocks(w->m, world_random(w, 200));
		break;
	case 1:
		model_set_shmem_knobs(w->m, global[world_random(w, ARRAY_SIZE(global))],
				      per_size[world_random(w, ARRAY_SIZE(per_size))]);
		break;
	case 2:
		model_set_ksm(w->m, chance(w, 50));
		break;
	default:
		if (r->vm->born.cgroup)
			model_set_memcg_max(w->m, r->pid, chance(w, 50) ? 0 : random_limit(w));
	}
}

static void replace_process(struct world *w, const struct range *r)
{
	struct world_vm *vm = &w->vms[r->pid - 100];

	if (chance(w, 70))
		return;
	model_exit(w->m, r->pid);
	vm->n_regions = 0;
	if (r->pid != w->vms[0].born.pid || w->n_vms == 1)
		give_birth(w, vm);
	else
		world_spawn(w, vm); /* others may want to share its memory */
}

static void exec_process(struct world *w, const struct range *r)
{
	struct world_vm *vm = &w->vms[r->pid - 100];

	if (chance(w, 70))
		return;
	model_exec(w->m, r->pid);
	vm->n_regions = 0;
	add_region(w, vm, UINT64_C(1) << 44);
	populate(w, vm, &vm->regions[0]);
}

static void let_time_pass(struct world *w, const struct range *r)
{
	(void)r;
	model_advance(w->m, chance(w, 50) ? world_random(w, 10 * MODEL_SECOND)
					  : world_random(w, 90 * MODEL_MINUTE));
}

static const struct {
	const char *name;
	void (*happen)(struct world *w, const struct range *r);
	unsigned weight;
} events[] = {
	{"touch", touch, 2},
	{"touch all", touch_all, 2},
	{"discard", discard, 2},
	{"split", split, 1},
	{"split all", split_all, 1},
	{"zap", zap, 1},
	{"swap out", swap_out, 1},
	{"pin", pin, 1},
	{"make huge", make_huge, 1},
	{"make large", make_large, 1},
	{"make contiguous", make_contiguous, 1},
	{"read zero", read_zero, 1},
	{"copy on write", copy_on_write, 1},
	{"guard", guard, 1},
	{"advice", change_advice, 1},
	{"pager", change_pager, 1},
	{"host", change_host, 1},
	{"replace", replace_process, 1},
	{"exec", exec_process, 1},
	{"time", let_time_pass, 2},
};

static size_t pick_event(struct world *w)
{
	uint64_t sum = 0, at;

	for (size_t i = 0; i < ARRAY_SIZE(events); i++)
		sum += events[i].weight;
	at = world_random(w, sum);
	for (size_t i = 0;; i++) {
		if (at < events[i].weight)
			return i;
		at -= events[i].weight;
	}
}

static void happen(struct world *w, const struct range *r)
{
	size_t event = pick_event(w);

	if (w->is_tracing)
		(void)fprintf(stderr, "pid %d %s %" PRIx64 "+%" PRIx64 "\n", (int)r->pid,
			      events[event].name, r->start, r->bytes);
	events[event].happen(w, r);
	if (w->is_tracing && model_check_data(w->m) > 0)
		(void)fprintf(stderr, "... and data is lost: the model is wrong\n");
}

void world_live(struct world *w)
{
	for (uint64_t i = world_random(w, 5); i > 0; i--) {
		struct range r;

		if (pick_range(w, &r))
			happen(w, &r);
	}
	model_advance(w->m, 1 + world_random(w, 2 * MODEL_SECOND));
}

void world_ask(struct world *w, struct world_vm *vm)
{
	bool is_asked = vm->driven.policy.populate == POPULATE_HUGE && chance(w, 30);

	vm->driven.age_ns = model_now(w->m) - vm->born_ns;
	vm->driven.populate.wish = is_asked ? POPULATE_WISH_ASKED : POPULATE_WISH_NONE;
}

/* Of a page for a hole. */
static int random_refusal(struct world *w)
{
	static const int errors[] = {-EINVAL, -ENOMEM, -EPERM, -EACCES, -ENOSPC, -EAGAIN, -ESRCH};

	return chance(w, 15) ? errors[world_random(w, ARRAY_SIZE(errors))] : 0;
}

void world_add_fault(struct world *w, pid_t pid)
{
	struct model_fault f = {.pid = pid};

	model_clear_faults(w->m);
	model_fail_seeds(w->m, random_refusal(w));
	if (!chance(w, 50))
		return;
	f.kind = (enum model_fault_kind)world_random(w, MODEL_FAULT_MAX);
	f.skip = (uint32_t)world_random(w, 3);
	f.calls = (uint32_t)(1 + world_random(w, 3));
	model_add_fault(w->m, &f);
	if (w->is_tracing)
		(void)fprintf(stderr, "pid %d fault %s after %u calls\n", (int)pid,
			      model_fault_name(f.kind), f.skip);
}

void world_calm(struct world *w)
{
	model_clear_faults(w->m);
	model_fail_seeds(w->m, 0);
	model_set_free_blocks(w->m, 1000000);
	model_set_shmem_knobs(w->m, "never", "inherit");
	model_set_ksm(w->m, false);
	for (size_t i = 0; i < w->n_vms; i++) {
		struct world_vm *vm = &w->vms[i];

		model_set_memcg_max(w->m, vm->born.pid, 0);
		for (size_t j = 0; j < vm->n_regions; j++) {
			const struct world_region *r = &vm->regions[j];

			if (!r->is_lively)
				continue;
			model_deliver_remote(w->m, vm->born.pid, r->start, r->bytes);
			model_change_flags(w->m, vm->born.pid, r->start, 0,
					   VMA_FLAGS_UFFD | VMA_FLAG_NH | VMA_FLAG_GU);
			model_pin(w->m, vm->born.pid, r->start, r->bytes, false);
		}
	}
}
