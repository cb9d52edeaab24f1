/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "postponed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "bits.h"

#define SECOND_US UINT64_C(1000000)

enum { POSTPONED_MAX = 1024 };

static const uint64_t first_delay_us = 4 * SECOND_US, last_delay_us = 3600 * SECOND_US;
/* By then the event of thpd's own closing has come. */
static const uint64_t ours_us = SECOND_US / 2;

void postponed_clear(struct postponed_list *l)
{
	free(l->items);
	*l = (struct postponed_list){NULL, 0};
}

static struct postponed *find(const struct postponed_list *l, size_t directory, const char *name)
{
	for (size_t i = 0; i < l->n_items; i++)
		if (l->items[i].directory == directory && strcmp(l->items[i].name, name) == 0)
			return &l->items[i];
	return NULL;
}

bool postponed_add(struct postponed_list *l, size_t directory, const char *name, uint64_t now_us,
		   uint64_t *ret_until_us)
{
	struct postponed *old = find(l, directory, name);
	struct postponed p = {.directory = directory, .delay_us = first_delay_us};

	if (old)
		p.delay_us = min_u64(old->delay_us * 2, last_delay_us);
	(void)snprintf(p.name, sizeof(p.name), "%s", name);
	p.until_us = *ret_until_us = now_us + p.delay_us;
	p.ours_until_us = now_us + ours_us;
	if (old)
		*old = p;
	else if (l->n_items < POSTPONED_MAX)
		(void)ARRAY_APPEND(&l->items, &l->n_items, &p); /* else it begins anew each time */
	return !old;
}

void postponed_remove(struct postponed_list *l, size_t directory, const char *name)
{
	struct postponed *p = find(l, directory, name);

	if (p)
		*p = l->items[--l->n_items];
}

uint64_t postponed_until(const struct postponed_list *l, size_t directory, const char *name)
{
	const struct postponed *p = find(l, directory, name);

	return p ? p->until_us : 0;
}

void postponed_touch(struct postponed_list *l, size_t directory, const char *name, uint64_t now_us)
{
	struct postponed *p = find(l, directory, name);

	if (!p || now_us < p->ours_until_us)
		return;
	p->until_us = 0;
	p->delay_us = first_delay_us / 2;
}
