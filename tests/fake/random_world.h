/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A host with a few VMs, made up from a seed, and things that happen to it. */

#include "driver.h"
#include "laws.h"

enum { WORLD_VMS_MAX = 3, WORLD_REGIONS_MAX = 4 };

struct world_region {
	hva_t start;
	uint64_t bytes;
	enum model_backing backing;
	bool is_private;
	bool is_lively; /* the guest and the host do things to it */
};

struct world_vm {
	struct driver_vm driven;
	struct model_vm born;
	uint64_t born_ns;
	struct world_region regions[WORLD_REGIONS_MAX];
	size_t n_regions;
};

struct world {
	uint64_t seed, state; /* state of the generator */
	struct model *m;
	struct driver d;
	struct laws laws;
	struct world_vm vms[WORLD_VMS_MAX];
	size_t n_vms;
	bool is_uffd_safe;
	bool is_tracing; /* THPD_TRACE: what happens, to stderr */
};

void world_init(struct world *w, uint64_t seed);
void world_clear(struct world *w);

uint64_t world_random(struct world *w, uint64_t below); /* 0 .. below - 1 */

/* What guests, VMMs and the host do between two cycles. */
void world_live(struct world *w);

/* How old it is by now, and whether somebody asks for its holes to be filled. */
void world_ask(struct world *w, struct world_vm *vm);

/* Begins anew: the pid is there, without memory. */
void world_spawn(struct world *w, struct world_vm *vm);

/* Perhaps a fault for the next cycle. */
void world_add_fault(struct world *w, pid_t pid);

/* Everything that stands in the way goes: flags, pins, knobs, limits, faults. Memory stays as it
 * is. */
void world_calm(struct world *w);
