/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What is to be done, what happened, and what it was worth. Plain values: they cross threads by
 * copy. */

#include <stdbool.h>
#include <sys/types.h>

#include "address.h"
#include "reason.h"

enum action_kind {
	ACTION_REMAP = 0, /* PTE-mapped folio of block size: map it huge in place, no copy */
	ACTION_COPY,	  /* small folios: copy into a huge one */
	ACTION_PLACE,	  /* move to another node, whole folios */
	ACTION_POPULATE,  /* give holes of a shared file that were never filled huge folios */
	ACTION_KIND_MAX,
};

const char *action_kind_name(enum action_kind kind);

struct action;
/* The kind in words; "collapse" where it is not known which of the two it will be. */
const char *action_name(const struct action *a);

struct target {
	pid_t pid;
	uint64_t starttime; /* a recycled pid is refused */
	hva_t start;	    /* block aligned */
	uint64_t bytes;	    /* whole blocks */
};

struct action {
	uint32_t id;
	enum action_kind kind;
	bool is_folio_unknown; /* planned as a copy, since it may be one */
	struct target target;
	int16_t node;	     /* where it is, -1: several; of ACTION_PLACE: where it shall be; of
				ACTION_POPULATE: too, -1: nobody says */
	uint64_t cost_ns;    /* estimate, for ordering only */
	uint64_t gain_bytes; /* what becomes huge (is moved) if all goes well */
};

struct outcome {
	uint32_t action;
	int err; /* 0 or positive errno of the call; evidence of nothing but the refusal's kind */
	uint64_t took_ns;
	uint64_t worst_call_ns;
};

enum effect {
	EFFECT_NONE = 0, /* nothing became huge (came to the node) */
	EFFECT_PARTIAL,
	EFFECT_DONE,  /* every block of the action is huge (there) now */
	EFFECT_WORSE, /* less is huge than before */
	EFFECT_MAX,
};

const char *effect_name(enum effect effect);

struct verdict {
	uint32_t action;
	enum effect effect;
	int64_t huge_bytes_delta; /* second look minus first */
	uint64_t placed_bytes;	  /* came to the node, by the two looks */
	uint64_t refilled_bytes;  /* resident afterwards that was not before, in blocks that had
				     holes; 0 by rule */
	enum reason reason;	  /* why it is not EFFECT_DONE */
};
