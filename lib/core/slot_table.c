/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "slot_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "cleanup.h"

static void drop_parts(struct slot_table *t)
{
	free(t->parts);
	t->parts = NULL;
	t->n_parts = 0;
	t->is_begun = false;
}

static bool has_overlap(const struct memslot *s, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (s[i].address_space == s[i - 1].address_space &&
		    s[i].gpa - s[i - 1].gpa < s[i - 1].bytes)
			return true;
	return false;
}

static int check_part(const struct slot_table *t, const struct slot_part *p, const char **ret_why)
{
	if (p->n > p->total || p->first > p->total - p->n)
		*ret_why = "a part of a table lies outside of it";
	else if (p->first == 0)
		return 0;
	else if (!t->is_begun || p->generation != t->generation || p->total != t->total)
		*ret_why = "a part of a table belongs to no table";
	else if (p->first != t->n_parts)
		*ret_why = "the parts of a table are not in order";
	else
		return 0;
	return -EPROTO;
}

static void begin(struct slot_table *t, const struct slot_part *p)
{
	drop_parts(t);
	t->is_begun = true;
	t->total = p->total;
	t->generation = p->generation;
}

static int append(struct slot_table *t, const struct slot_part *p)
{
	int r = array_reserve((void **)&t->parts, t->n_parts, p->n, sizeof(*t->parts));

	if (r < 0 || p->n == 0)
		return r;
	memcpy(t->parts + t->n_parts, p->slots, p->n * sizeof(*p->slots));
	t->n_parts += p->n;
	return 0;
}

static int finish(struct slot_table *t, const char **ret_why)
{
	memslots_sort(t->parts, t->n_parts);
	if (has_overlap(t->parts, t->n_parts)) {
		*ret_why = "slots of a table overlap";
		return -EPROTO;
	}
	free(t->slots);
	t->slots = TAKE_PTR(t->parts);
	t->n = t->n_parts;
	t->is_whole = true;
	drop_parts(t);
	return 1;
}

static int take(struct slot_table *t, const struct slot_part *p, size_t room, const char **ret_why)
{
	int r = check_part(t, p, ret_why);

	if (r < 0)
		return r;
	if (p->total > room)
		return -ENOSPC;
	if (p->first == 0)
		begin(t, p);
	r = append(t, p);
	if (r < 0)
		return r;
	return t->n_parts == t->total ? finish(t, ret_why) : 0;
}

int slot_table_take(struct slot_table *t, const struct slot_part *p, size_t room,
		    const char **ret_why)
{
	int r = take(t, p, room, ret_why);

	if (r < 0)
		drop_parts(t);
	return r;
}

size_t slot_table_held(const struct slot_table *t)
{
	return t->n + t->n_parts;
}

size_t slot_table_claimed(const struct slot_table *t)
{
	return t->is_begun && t->total > t->n ? t->total : t->n;
}

void slot_table_clear(struct slot_table *t)
{
	free(t->slots);
	drop_parts(t);
	*t = (struct slot_table){0};
}
