/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

static void free_regions(struct snapshot *s)
{
	for (size_t i = 0; i < s->n_regions; i++)
		free(s->regions[i].path);
	free(s->regions);
	free(s->extents);
}

void snapshot_take_regions(struct snapshot *to, struct snapshot *from)
{
	free_regions(to);
	to->regions = from->regions;
	to->n_regions = from->n_regions;
	to->extents = from->extents;
	to->n_extents = from->n_extents;
	to->is_truncated = from->is_truncated;
	from->regions = NULL;
	from->extents = NULL;
	from->n_regions = from->n_extents = 0;
}

void snapshot_clear(struct snapshot *s)
{
	free_regions(s);
	free(s->sights);
	free(s->holds);
	free(s->vcpus);
	free(s->guest_spans);
	free(s->memslots);
	*s = (struct snapshot)SNAPSHOT_INIT;
}

/* Leaves out what overlaps, and what is too much. */
static size_t make_disjoint(struct guest_span *spans, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n && kept < SNAPSHOT_GUEST_SPANS_MAX; i++)
		if (kept == 0 || spans[i].start >= spans[kept - 1].start + spans[kept - 1].bytes)
			spans[kept++] = spans[i];
	return kept;
}

static void take_guest_cpus(struct snapshot *s, const struct guest_map *map)
{
	vcpus_sort(s->vcpus, s->n_vcpus);
	for (size_t i = 0; i < s->n_vcpus; i++)
		s->vcpus[i].guest_node = -1;
	for (size_t i = 0; i < map->n_cpus; i++) {
		const struct guest_cpu *cpu = &map->cpus[i];
		struct vcpu *v = vcpus_find(s->vcpus, s->n_vcpus, cpu->tid);

		if (v && cpu->guest_node >= 0 && cpu->guest_node < GUEST_NODES_MAX)
			v->guest_node = cpu->guest_node;
	}
}

int snapshot_take_guest_map(struct snapshot *s, const struct guest_map *map)
{
	struct guest_span *spans = NULL;
	size_t n = 0;

	for (size_t i = 0; i < map->n_spans; i++) {
		int r = guest_span_is_lawful(&map->spans[i])
				? ARRAY_APPEND(&spans, &n, &map->spans[i])
				: 0;

		if (r < 0) {
			free(spans);
			return r;
		}
	}
	guest_spans_sort(spans, n);
	free(s->guest_spans);
	s->guest_spans = spans;
	s->n_guest_spans = make_disjoint(spans, n);
	take_guest_cpus(s, map);
	return 0;
}

/* The law that is broken by what is known, or NULL. */
static const char *memslots_fault(const struct memslot *slots, size_t n,
				  const struct mmu_geometry *g)
{
	if (n > SNAPSHOT_MEMSLOTS_MAX)
		return "too many memslots";
	for (size_t i = 0; i < n; i++) {
		if (!memslot_is_lawful(&slots[i], page_bytes(g)))
			return "a memslot is empty, not of whole pages, out of bounds, or unknown "
			       "in kind";
		if (i > 0 && slots[i].address_space < slots[i - 1].address_space)
			return "memslots overlap or are not sorted";
		if (i > 0 && slots[i].address_space == slots[i - 1].address_space &&
		    slots[i].gpa < slots[i - 1].gpa + slots[i - 1].bytes)
			return "memslots overlap or are not sorted";
	}
	return NULL;
}

void snapshot_forget_memslots(struct snapshot *s)
{
	free(s->memslots);
	s->memslots = NULL;
	s->n_memslots = 0;
	s->are_memslots_known = false;
	s->memslots_inferred_ns = 0;
}

static int replace_memslots(struct snapshot *s, struct memslot **slots, size_t n)
{
	snapshot_forget_memslots(s);
	memslots_sort(*slots, n);
	if (memslots_fault(*slots, n, &s->geometry))
		return -EINVAL;
	s->memslots = *slots;
	*slots = NULL;
	s->n_memslots = n;
	return 0;
}

int snapshot_take_memslots(struct snapshot *s, struct memslot **slots, size_t n)
{
	int r = replace_memslots(s, slots, n);

	s->are_memslots_known = r == 0;
	return r;
}

int snapshot_infer_memslots(struct snapshot *s, struct memslot **slots, size_t n, uint64_t now_ns)
{
	int r = replace_memslots(s, slots, n);

	s->memslots_inferred_ns = r == 0 ? now_ns : 0;
	return r;
}

const struct region *snapshot_find_region(const struct snapshot *s, hva_t address)
{
	size_t low = 0, high = s->n_regions;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->regions[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == s->n_regions || s->regions[low].start > address)
		return NULL;
	return &s->regions[low];
}

/* The laws: each function returns the law that is broken, or NULL. */

/* Terminated within its array and printable (vm_sanitize): it is shown on terminals. */
static bool is_text(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\0')
			return true;
		if (text[i] < ' ' || text[i] > '~')
			return false;
	}
	return false;
}

static const char *check_vm(const struct vm *vm)
{
	if (!is_text(vm->name, sizeof(vm->name)) || !is_text(vm->uuid, sizeof(vm->uuid)) ||
	    !is_text(vm->comm, sizeof(vm->comm)) || !is_text(vm->exe, sizeof(vm->exe)) ||
	    !is_text(vm->cgroup, sizeof(vm->cgroup)))
		return "a text of the VM is not terminated, printable ASCII";
	return NULL;
}

static const char *check_host(const struct host *h)
{
	if (!is_text(h->kernel_release, sizeof(h->kernel_release)) ||
	    !is_text(h->thp_enabled, sizeof(h->thp_enabled)))
		return "a text of the host is not terminated, printable ASCII";
	if (h->n_nodes > HOST_NODES_MAX)
		return "the host has too many nodes";
	for (uint16_t i = 0; i < h->n_nodes; i++)
		if (!is_text(h->nodes[i].distances, sizeof(h->nodes[i].distances)))
			return "a text of a node is not terminated, printable ASCII";
	if (h->shmem_global >= SHMEM_KNOB_MAX || h->shmem_block >= SHMEM_KNOB_MAX)
		return "a shmem knob has no such value";
	return NULL;
}

static const char *check_policy(const struct policy *p)
{
	if (p->mode >= MODE_MAX)
		return "the policy has no such mode";
	if (p->placement >= PLACEMENT_MAX)
		return "the policy has no such placement";
	if (p->wide >= WIDE_MAX)
		return "the policy has no such way with a wide VM";
	if (p->min_populated_bp > 10000)
		return "min_populated_bp is more than 10000";
	return NULL;
}

/* Addresses of user space, so that the decisions can add sizes without wrapping. */
static bool is_user_range(uint64_t start, uint64_t end)
{
	return start < end && end <= INT64_MAX;
}

static const char *check_region(const struct region *r, const struct mmu_geometry *g)
{
	if (!is_user_range(r->start, r->end))
		return "a region is empty or beyond user space";
	if (!is_aligned(r->start | r->end | r->file_offset, page_bytes(g)))
		return "a region is not page aligned";
	if (r->backing >= BACKING_MAX || r->eligibility >= ELIGIBILITY_MAX)
		return "a region has no such backing or eligibility";
	if (r->is_dax >= ANSWER_MAX || r->can_dax >= ANSWER_MAX)
		return "a region has no such answer about DAX";
	if (r->edge_present_pages != UINT64_MAX &&
	    r->edge_present_pages > (r->end - r->start) / page_bytes(g))
		return "a region has more edge pages than pages";
	return NULL;
}

static const char *check_regions(const struct snapshot *s)
{
	if (s->n_regions > SNAPSHOT_REGIONS_MAX)
		return "too many regions";
	for (size_t i = 0; i < s->n_regions; i++) {
		const char *why = check_region(&s->regions[i], &s->geometry);

		if (why)
			return why;
		if (i > 0 && s->regions[i].start < s->regions[i - 1].end)
			return "regions overlap or are not sorted";
	}
	return NULL;
}

static const char *check_sight(const struct sight *v, const struct mmu_geometry *g)
{
	uint64_t pages = v->blocks * block_pages(g);

	if (v->blocks == 0 || !is_aligned(v->start, block_bytes(g)))
		return "a sight is empty or not block aligned";
	if (v->seen >= SEEN_MAX)
		return "a sight has no such class";
	if (v->fill > FILL_FULL && v->fill != FILL_UNKNOWN)
		return "a sight is filled with more than sixteen sixteenths";
	if (v->fill != FILL_UNKNOWN && (v->present_pages > pages || v->swapped_pages > pages))
		return "a sight has more pages present or swapped than it holds";
	if (v->node < -1)
		return "a sight is on a negative node";
	return NULL;
}

/* Equal neighbours are one sight even where one VMA ends and the next begins. */
static bool sight_is_inside(const struct snapshot *s, const struct sight *v)
{
	const struct mmu_geometry *g = &s->geometry;
	hva_t at = v->start, end = v->start + v->blocks * block_bytes(g);

	if (end <= at)
		return false;
	while (at < end) {
		const struct region *r = snapshot_find_region(s, at);

		if (!r || at < region_first_block(r, g) || at >= region_last_block(r, g))
			return false;
		at = region_last_block(r, g);
	}
	return true;
}

static const char *check_sights(const struct snapshot *s)
{
	hva_t free_from = 0;

	if (s->n_sights > SNAPSHOT_SIGHTS_MAX)
		return "too many sights";
	for (size_t i = 0; i < s->n_sights; i++) {
		const struct sight *v = &s->sights[i];
		const char *why = check_sight(v, &s->geometry);

		if (why)
			return why;
		if (!sight_is_inside(s, v))
			return "a sight is not inside the whole blocks of regions";
		if (v->start < free_from)
			return "sights overlap or are not sorted";
		free_from = v->start + v->blocks * block_bytes(&s->geometry);
	}
	return NULL;
}

static const char *check_holds(const struct snapshot *s)
{
	if (s->n_holds > SNAPSHOT_HOLDS_MAX)
		return "too many holds";
	for (size_t i = 0; i < s->n_holds; i++) {
		const struct hold *h = &s->holds[i];

		if (!is_user_range(h->start, h->end))
			return "a hold is empty or beyond user space";
		if (!is_aligned(h->start | h->end, block_bytes(&s->geometry)))
			return "a hold is not block aligned";
		if (h->reason >= REASON_MAX)
			return "a hold has no such reason";
		if (i > 0 && h->start < s->holds[i - 1].end)
			return "holds overlap or are not sorted";
	}
	return NULL;
}

static const char *check_extents(const struct snapshot *s)
{
	if (s->n_extents > SNAPSHOT_EXTENTS_MAX)
		return "too many extents";
	for (size_t i = 0; i < s->n_extents; i++) {
		const struct extent *x = &s->extents[i];
		const struct region *r = snapshot_find_region(s, x->logical);

		if (!r || x->bytes == 0 || x->bytes > r->end - x->logical)
			return "an extent is empty or not inside a region";
		if (x->physical > INT64_MAX)
			return "an extent lies beyond every device";
		if (i > 0 && x->logical < s->extents[i - 1].logical + s->extents[i - 1].bytes)
			return "extents overlap or are not sorted";
	}
	return NULL;
}

static const char *check_guest_spans(const struct snapshot *s)
{
	if (s->n_guest_spans > SNAPSHOT_GUEST_SPANS_MAX)
		return "too many guest spans";
	for (size_t i = 0; i < s->n_guest_spans; i++) {
		const struct guest_span *span = &s->guest_spans[i];

		if (!guest_span_is_lawful(span))
			return "a guest span is empty, beyond user space, or of no guest node";
		if (i > 0 && span->start < span[-1].start + span[-1].bytes)
			return "guest spans overlap or are not sorted";
	}
	return NULL;
}

/* That is all that the monitor knows. */
static bool may_be_inferred(const struct memslot *m)
{
	return m->address_space == 0 && (m->flags & ~(uint32_t)MEMSLOT_READONLY) == 0;
}

static const char *check_memslots(const struct snapshot *s)
{
	if (!snapshot_has_memslots(s) && s->n_memslots > 0)
		return "there are memslots that nobody told";
	if (s->are_memslots_known && s->memslots_inferred_ns > 0)
		return "memslots are both told and inferred";
	for (size_t i = 0; s->memslots_inferred_ns > 0 && i < s->n_memslots; i++)
		if (!may_be_inferred(&s->memslots[i]))
			return "a memslot is inferred with what nobody can infer";
	return memslots_fault(s->memslots, s->n_memslots, &s->geometry);
}

static const char *find_broken_law(const struct snapshot *s)
{
	const char *why;

	if (!mmu_geometry_is_valid(&s->geometry))
		return "no such page geometry";
	why = check_host(&s->host);
	if (!why)
		why = check_vm(&s->vm);
	if (!why)
		why = check_policy(&s->policy);
	if (!why)
		why = check_regions(s);
	if (!why)
		why = check_sights(s);
	if (!why)
		why = check_holds(s);
	if (!why)
		why = check_extents(s);
	if (!why)
		why = check_guest_spans(s);
	if (!why)
		why = check_memslots(s);
	return why;
}

int snapshot_validate(const struct snapshot *s, const char **ret_why)
{
	const char *why = find_broken_law(s);

	if (!why)
		return 0;
	if (ret_why)
		*ret_why = why;
	return -EINVAL;
}
