/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "silence.h"

#include <stdlib.h>

#include "array.h"

void silence_note(struct silence *s, pid_t pid, uint64_t until_ns)
{
	const struct silent one = {.pid = pid, .until_ns = until_ns};

	/* Not noted, for want of room or memory: it only costs another second. */
	if (s->n < SILENCE_MAX)
		(void)ARRAY_APPEND(&s->list, &s->n, &one);
}

void silence_forget(struct silence *s, uint64_t now_ns)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].until_ns > now_ns)
			s->list[kept++] = s->list[i];
	s->n = kept;
}

bool silence_covers(const struct silence *s, pid_t pid)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->list[i].pid == pid)
			return true;
	return false;
}

void silence_clear(struct silence *s)
{
	free(s->list);
	*s = (struct silence){NULL, 0};
}
