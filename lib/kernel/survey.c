/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "array.h"
#include "backing.h"
#include "cleanup.h"
#include "collapse.h"
#include "devdax.h"
#include "inventory.h"
#include "mapped_file.h"
#include "memcg.h"
#include "region_flags.h"

/* Theory of operation. maps costs nothing in the VMM and is read first; it says which mappings can
 * be guest RAM and whether a 1 GiB device-dax mapping is among them. Then the kernel is asked, by a
 * collapse of nothing, whether each region can be collapsed at all (1 us each). smaps walks every
 * page table of the process (13 ms per GiB), so it is read only if something hints that flags
 * matter, and never where the walk itself would do harm. */

/* A VMM has hundreds of lines, the kernel's limit is 65530 mappings by default; smaps has some 700
 * bytes for each. */
enum { MAPS_BYTES_MAX = 64 << 20, SMAPS_BYTES_MAX = 64 << 20 };

struct survey {
	struct sys *sys;
	const struct process *process;
	const struct survey_options *options;
	struct mounts mounts;
	struct snapshot *snapshot; /* geometry, host, vm */
	struct region *regions;	   /* owned until handed over */
	size_t n_regions;
	struct extent *extents; /* owned until handed over */
	size_t n_extents;
	bool has_device_dax_1g, is_truncated;
	bool has_program, has_library; /* code of some file; of a shared object */
};

static void survey_clear(struct survey *v)
{
	for (size_t i = 0; i < v->n_regions; i++)
		free(v->regions[i].path);
	free(v->regions);
	free(v->extents);
	mounts_clear(&v->mounts);
}

/* XFS or ext4, that is, whose files may be mapped directly. */
static bool is_on_disk(const struct survey *v, const struct region *r)
{
	enum mount_kind kind = mounts_find(&v->mounts, r->dev_major, r->dev_minor);

	return (r->backing == BACKING_FILE || r->backing == BACKING_FSDAX) &&
	       (kind == MOUNT_DAX || kind == MOUNT_MAYBE_DAX);
}

static int ask_storage(struct survey *v, const struct maps_line *l, struct region *r)
{
	if (r->backing == BACKING_DEVDAX)
		devdax_read(v->sys, v->process, l, &r->device);
	if (!is_on_disk(v, r))
		return 0;
	return mapped_file_read(v->sys, v->process, r, &v->extents, &v->n_extents,
				SNAPSHOT_EXTENTS_MAX);
}

static int add_region(struct survey *v, const struct maps_line *l)
{
	struct region r = {
		.start = l->start,
		.end = l->end,
		.backing = mapping_backing(l, &v->mounts),
		.is_shared = l->is_shared,
		.is_writable = l->is_writable,
		.dev_major = l->dev_major,
		.dev_minor = l->dev_minor,
		.inode = l->inode,
		.device = DAX_DEVICE_INIT,
		.edge_present_pages = UINT64_MAX,
	};
	int e;

	if (r.backing != BACKING_ANON)
		r.file_offset = l->offset;
	r.is_unlinked_or_memfd = r.backing == BACKING_SHMEM && mapping_is_unlinked_or_memfd(l);
	if (l->path_size) {
		r.path = strndup(l->path, l->path_size);
		if (!r.path)
			return -ENOMEM;
	}
	e = ask_storage(v, l, &r);
	if (e == 0)
		e = ARRAY_APPEND(&v->regions, &v->n_regions, &r);
	if (e < 0)
		free(r.path);
	return e;
}

/* Every program that is not static has at least its loader. */
static void note_code(struct survey *v, const struct maps_line *l)
{
	if (!l->is_executable || l->inode == 0)
		return;
	v->has_program = true;
	v->has_library |= mapping_is_shared_object(l);
}

static enum answer is_static(const struct survey *v)
{
	if (!v->has_program)
		return ANSWER_UNKNOWN;
	return v->has_library ? ANSWER_NO : ANSWER_YES;
}

static int take_line(struct survey *v, const struct maps_line *l)
{
	note_code(v, l);
	/* Any mapping, of whatever protection: smaps walks them all. */
	if (mapping_is_devdax_1g(v->sys, v->process, l, &v->mounts, &v->snapshot->geometry))
		v->has_device_dax_1g = true;
	if (!mapping_may_be_ram(l, v->options->min_region_bytes))
		return 0;
	/* The kernel lists mappings in order; what is not was garbled on the way. */
	if (v->n_regions && l->start < v->regions[v->n_regions - 1].end)
		return 0;
	if (v->n_regions == SNAPSHOT_REGIONS_MAX) {
		v->is_truncated = true;
		return 0;
	}
	return add_region(v, l);
}

static int read_maps(struct survey *v)
{
	_cleanup_free_ char *text = NULL;
	struct scanner s, line;
	size_t size;
	int r = sys_read_all_at(v->process->dirfd, "maps", MAPS_BYTES_MAX, &text, &size);

	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	s = (struct scanner){.at = text, .end = text + size};
	while (r == 0 && scan_line(&s, &line)) {
		struct maps_line l;

		if (maps_parse_line(line, &l))
			r = take_line(v, &l);
	}
	return r;
}

/* Backings that thpd asks the kernel about; the others are never touched. */
static bool may_be_asked(const struct region *r)
{
	return r->backing == BACKING_ANON || r->backing == BACKING_SHMEM ||
	       r->backing == BACKING_FILE;
}

/* Refusals that need no flags to be explained. */
static bool is_barred_by_geometry(const struct region *r, const struct mmu_geometry *g)
{
	return region_first_block(r, g) == region_last_block(r, g) || !region_is_congruent(r, g);
}

static void ask_eligibility(struct survey *v)
{
	const struct mmu_geometry *g = &v->snapshot->geometry;

	if (!(v->snapshot->host.features & FEATURE_ELIGIBILITY_PROBE))
		return;
	for (size_t i = 0; i < v->n_regions; i++) {
		struct region *r = &v->regions[i];

		if (may_be_asked(r) && region_first_block(r, g) < region_last_block(r, g))
			r->eligibility =
				collapse_probe(v->sys, v->process, region_first_block(r, g), g);
	}
}

/* Whether flags could tell something about this region. */
static bool is_hint(const struct survey *v, const struct region *r)
{
	const struct snapshot *s = v->snapshot;
	bool is_ksm_near = s->host.is_ksm_running || s->vm.ksm_merged_pages > 0;

	if (!may_be_asked(r) || is_barred_by_geometry(r, &s->geometry))
		return false;
	if (s->host.is_uffd_seen || s->vm.has_uffd || (is_ksm_near && r->backing == BACKING_ANON))
		return true;
	/* That a regular file is refused needs no further explanation. */
	return r->backing != BACKING_FILE && r->eligibility != ELIGIBILITY_YES &&
	       r->eligibility != ELIGIBILITY_NO_RIGHT;
}

static bool wants_smaps(const struct survey *v)
{
	if (v->has_device_dax_1g)
		return false;
	if (v->options->want_flags)
		return true;
	for (size_t i = 0; i < v->n_regions; i++)
		if (is_hint(v, &v->regions[i]))
			return true;
	return false;
}

static int read_flags(struct survey *v)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	int r;

	if (!wants_smaps(v))
		return 0;
	r = sys_read_all_at(v->process->dirfd, "smaps", SMAPS_BYTES_MAX, &text, &size);
	if (r == -ENOMEM || r == -ESRCH)
		return r;
	/* Not permitted, or too long: the flags stay unknown. */
	if (r == 0)
		regions_apply_smaps(v->regions, v->n_regions, text, size);
	return 0;
}

/* The text of maps is empty for a process that has ended, or has no memory of its own. */
static int check_alive(const struct survey *v)
{
	return process_is_alive(v->sys, v->process) ? 0 : -ESRCH;
}

static void hand_over(struct survey *v, struct snapshot *s)
{
	struct snapshot found = SNAPSHOT_INIT;

	found.regions = v->regions;
	found.n_regions = v->n_regions;
	found.extents = v->extents;
	found.n_extents = v->n_extents;
	found.is_truncated = v->is_truncated;
	v->regions = NULL;
	v->extents = NULL;
	v->n_regions = v->n_extents = 0;
	snapshot_take_regions(s, &found);
	s->vm.has_device_dax_1g = v->has_device_dax_1g;
	s->vm.is_static = is_static(v);
}

static int survey_fill(struct survey *v, struct snapshot *s)
{
	int r = mounts_read(v->sys, v->process, &v->mounts);

	if (r == 0)
		r = read_maps(v);
	if (r < 0)
		return r;
	ask_eligibility(v);
	r = read_flags(v);
	if (r == 0)
		r = check_alive(v);
	if (r < 0)
		return r;
	s->vm.memcg_headroom_bytes = memcg_read_headroom(v->sys, v->process, &v->mounts);
	hand_over(v, s);
	return 0;
}

int region_survey(struct sys *sys, const struct process *p, const struct survey_options *o,
		  struct snapshot *s)
{
	struct survey v = {.sys = sys, .process = p, .options = o, .snapshot = s};
	int r = survey_fill(&v, s);

	survey_clear(&v);
	return r;
}
