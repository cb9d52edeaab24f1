/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Mappings and the objects behind them: page caches that live as long as anything maps them. */

#include "model_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct object *object_new(struct model *m, enum model_backing backing, pid_t owner)
{
	struct object *o = model_alloc(sizeof(*o));

	o->backing = backing;
	o->owner = owner;
	o->inode = backing == MODEL_ANON ? 0 : m->next_inode++;
	o->next = m->objects;
	m->objects = o;
	return o;
}

static void object_destroy(struct object *o)
{
	page_runs_free(&o->pages);
	page_runs_free(&o->expected);
	page_runs_free(&o->raced);
	free(o->path);
	free(o);
}

static void object_unref(struct model *m, struct object *o)
{
	if (!o || --o->n_mappings > 0)
		return;
	m->free_blocks +=
		page_runs_count(&o->pages, PAGES_FOLIO, 0, UINT64_MAX) / model_block_pages(m);
	for (struct object **at = &m->objects; *at; at = &(*at)->next) {
		if (*at == o) {
			*at = o->next;
			break;
		}
	}
	object_destroy(o);
}

static void vma_release(struct model *m, struct vma *v)
{
	object_unref(m, v->object);
	object_unref(m, v->copies);
	page_runs_free(&v->table);
	page_runs_free(&v->had_table);
}

struct vma *vma_next(struct model_process *p, hva_t address)
{
	for (size_t i = 0; i < p->n_vmas; i++) {
		if (p->vmas[i].end > address)
			return &p->vmas[i];
	}
	return NULL;
}

struct vma *vma_at(struct model_process *p, hva_t address)
{
	struct vma *v = vma_next(p, address);

	return v && v->start <= address ? v : NULL;
}

static const struct {
	const char *path; /* %llu is the inode */
	uint32_t dev_major, dev_minor, flags;
} backings[MODEL_BACKING_MAX] = {
	[MODEL_ANON] = {"", 0, 0, 0},
	[MODEL_MEMFD] = {"/memfd:memory-backend-memfd (deleted)", 0, 1, 0},
	[MODEL_TMPFS] = {"/dev/shm/guest-%llu", 0, 0x1a, 0},
	[MODEL_REGULAR_FILE] = {"/var/lib/guests/guest-%llu.img", 8, 1, 0},
	[MODEL_FSDAX] = {"/mnt/pmem0/guest-%llu", 259, 0, 0},
	[MODEL_DEVDAX_1G] = {"/dev/dax0.0", 0, 6, 0},
	[MODEL_HUGETLB] = {"/dev/hugepages/guest-%llu", 0, 0x1c, VMA_FLAG_HT | VMA_FLAG_DE},
	[MODEL_SECRETMEM] = {"/secretmem (deleted)", 0, 0x0e, 0},
	[MODEL_GUEST_MEMFD] = {"anon_inode:[kvm-gmem]", 0, 0x0f, 0},
	[MODEL_DEVICE] = {"/dev/vfio/12", 0, 6, VMA_FLAG_PF | VMA_FLAG_IO | VMA_FLAG_DE},
};

static void object_name(struct object *o, const struct model_map *map)
{
	char path[128];

	o->dev_major = backings[o->backing].dev_major;
	o->dev_minor = map->dev_minor ? map->dev_minor : backings[o->backing].dev_minor;
	if (map->path) {
		o->path = model_strdup(map->path);
		return;
	}
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(path, sizeof(path), backings[o->backing].path, (unsigned long long)o->inode);
#pragma GCC diagnostic pop
	o->path = model_strdup(path);
}

static struct object *map_object(struct model *m, struct model_process *p,
				 const struct model_map *map)
{
	struct object *o;

	if (map->share_pid) {
		struct model_process *other = process_by_pid(m, map->share_pid);
		struct vma *v = other ? vma_at(other, map->share_start) : NULL;

		if (!v)
			abort();
		return v->object;
	}
	o = object_new(m, map->backing, p->pid);
	object_name(o, map);
	return o;
}

struct vma *process_add_vma(struct model *m, struct model_process *p, const struct model_map *map)
{
	struct vma v = {.start = map->start, .end = map->start + map->bytes};
	size_t at = 0;

	while (at < p->n_vmas && p->vmas[at].start < v.start)
		at++;
	if ((at > 0 && p->vmas[at - 1].end > v.start) ||
	    (at < p->n_vmas && p->vmas[at].start < v.end))
		abort(); /* a test that maps over a mapping is wrong */
	v.object = map_object(m, p, map);
	v.object->n_mappings++;
	v.first_page = v.object->backing == MODEL_ANON ? 0 : map->file_offset / model_page(m);
	v.flags = map->flags | backings[v.object->backing].flags;
	v.is_shared = v.object->backing != MODEL_ANON && !map->is_private;
	if (v.object->backing != MODEL_ANON && map->is_private) {
		v.copies = object_new(m, MODEL_ANON, p->pid);
		v.copies->n_mappings = 1;
	}
	p->vmas = realloc(p->vmas, (p->n_vmas + 1) * sizeof(v));
	if (!p->vmas)
		abort();
	memmove(&p->vmas[at + 1], &p->vmas[at], (p->n_vmas - at) * sizeof(v));
	p->vmas[at] = v;
	p->n_vmas++;
	return &p->vmas[at];
}

void process_remove_vma(struct model *m, struct model_process *p, struct vma *v)
{
	size_t at = (size_t)(v - p->vmas);

	vma_release(m, v);
	memmove(v, v + 1, (p->n_vmas - at - 1) * sizeof(*v));
	p->n_vmas--;
}
