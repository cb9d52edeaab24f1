/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The memory backends of a QEMU guest: which is memory of which guest node, and where it lies. Told
 * piece by piece, by the command line, QMP and the human monitor; all of it is the VMM's own word.
 * Pure functions on text, so that they can be fuzzed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "parse.h"

enum {
	MEMDEVS_MAX = 256, /* 128 nodes, and what was plugged in */
	MEMDEV_ID_MAX = 64,
};

struct memdev {
	char id[MEMDEV_ID_MAX];
	int16_t guest_node;
	bool has_bytes, has_gpa, has_start;
	uint64_t bytes;
	/* Some place where the guest sees it, and which place of the memdev that is. */
	uint64_t gpa, gpa_offset;
	hva_t start; /* where the VMM has it */
};

struct memdevs {
	struct memdev items[MEMDEVS_MAX];
	size_t n;
};

/* -EINVAL: the id is none that is supported, or the node is none, or it is there already; -E2BIG.
 */
int memdevs_add(struct memdevs *m, const char *id, size_t id_size, uint64_t guest_node);

/* By its id, or by the path that old machine types name it with (/objects/ID). NULL: not there. */
struct memdev *memdevs_find(struct memdevs *m, const char *name, size_t size);

/* Of the value of a -numa: its first option says that it is a guest node. */
bool memdevs_is_node(struct scanner first);

/* Adds what a QEMU command line (NUL-separated) says: -numa node,nodeid=N,memdev=ID. 0: also where
 * the guest has no nodes; -ENOTSUP: a node has memory of no backend (mem=), or has it in a way not
 * known here; or as memdevs_add(). */
int memdevs_read_cmdline(struct memdevs *m, const char *text, size_t size);

/* `info ramblock`: fills start; the size of each must be the one that is known. 0: of all;
 * -ENODATA: QEMU is too old to say (10.0 says, 7.2 does not); -EPROTO: what is told is no such
 * table, or some memdev is not in it, or twice, or of another size. */
int memdevs_read_ramblock(struct memdevs *m, const char *text);

/* `info mtree -f`: fills gpa. 0: of all; -ENODATA: the guest does not see some of them; -EPROTO. */
int memdevs_read_mtree(struct memdevs *m, const char *text);

/* `gpa2hva`, asked with d->gpa: fills start. 0 or -EPROTO. */
int memdev_read_gpa2hva(struct memdev *d, const char *text);
