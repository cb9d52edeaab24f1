/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checkup.h"

#include <stdio.h>
#include <string.h>

#include "lack.h"
#include "reason.h"
#include "release.h"

struct checkup {
	const struct host *host;
	const struct mmu_geometry *geometry;
	struct check_list *list;
};

static bool has(const struct checkup *c, uint32_t feature)
{
	return (c->host->features & feature) != 0;
}

/* KERNEL 11. Distributions repair without changing the number, so a known bug is a warning, never
 * a refusal; what is missing altogether is found by probing. */
enum level {
	LEVEL_REFUSED,	/* no collapse in another process */
	LEVEL_EARLY_61, /* B1 to B6 */
	LEVEL_UFFD,	/* B7 */
	LEVEL_MREMAP,	/* B8, B9 */
	LEVEL_USABLE,
	LEVEL_GOOD,
};

static enum level level_of(const struct release *r)
{
	if (release_is_before(r, 6, 1))
		return LEVEL_REFUSED;
	if (release_is_before(r, 6, 2) && r->patch < 8 && !r->is_patch_hidden)
		return LEVEL_EARLY_61;
	if (release_is_before(r, 6, 4))
		return LEVEL_UFFD;
	if (release_is_before(r, 6, 6))
		return LEVEL_USABLE;
	if (release_is_before(r, 6, 7) && r->patch >= 60)
		return LEVEL_USABLE;
	return release_is_before(r, 6, 12) ? LEVEL_MREMAP : LEVEL_GOOD;
}

static void check_kernel(struct checkup *c)
{
	const char *name = c->host->kernel_release;
	struct release r;

	if (release_parse(name, &r) < 0) {
		CHECK_ADD(c->list, "kernel", CHECK_NOTE, "", "The kernel release is not known.");
		return;
	}
	switch (level_of(&r)) {
	case LEVEL_REFUSED:
		CHECK_ADD(c->list, "kernel", CHECK_FAIL,
			  "Use Linux 6.1 or newer; 6.12 or newer is best.",
			  "Linux %s cannot collapse memory of another process.", name);
		break;
	case LEVEL_EARLY_61:
		CHECK_ADD(c->list, "kernel", CHECK_WARN, "Update to Linux 6.1.8 or newer.",
			  "Linux %s: the first 6.1 kernels collapse beyond the requested range and "
			  "miss "
			  "MMU notifiers.",
			  name);
		break;
	case LEVEL_UFFD:
		CHECK_ADD(c->list, "kernel", CHECK_NOTE, "Use Linux 6.12 or newer.",
			  "Linux %s: before 6.4 a collapse may fill holes under userfaultfd, so "
			  "VMs are "
			  "left "
			  "alone while one is seen.",
			  name);
		break;
	case LEVEL_MREMAP:
		CHECK_ADD(c->list, "kernel", CHECK_WARN,
			  "Update to 6.6.60 or newer, or 6.12; distributions may have repaired it.",
			  "Linux %s: by its number it lacks the fix of a race between mremap and "
			  "page "
			  "table "
			  "retraction (CVE-2024-50066).",
			  name);
		break;
	case LEVEL_USABLE:
		CHECK_ADD(c->list, "kernel", CHECK_OK, "",
			  "Linux %s; 6.12 or newer is better still.", name);
		break;
	case LEVEL_GOOD:
		CHECK_ADD(c->list, "kernel", CHECK_OK, "", "Linux %s", name);
		break;
	}
}

/* One feature: what it is good for, or why it is lost. */
static void check_feature(struct checkup *c, const char *id, enum feature feature,
			  enum check_result if_lost, const char *good)
{
	struct lack lack;

	if (has(c, feature)) {
		CHECK_ADD(c->list, id, CHECK_OK, "", "%s", good);
		return;
	}
	lack = host_lack(c->host, feature);
	CHECK_ADD(c->list, id, if_lost, lack.cure, "%s", lack.sentence);
}

static void check_features(struct checkup *c)
{
	check_feature(c, "collapse", FEATURE_COLLAPSE, CHECK_FAIL,
		      "Memory of another process can be collapsed.");
	check_feature(c, "collapse-shmem", FEATURE_COLLAPSE_SHMEM, CHECK_WARN,
		      "Shared memory (memfd) can be collapsed.");
	check_feature(c, "pagemap-scan", FEATURE_PAGEMAP_SCAN, CHECK_NOTE,
		      "PAGEMAP_SCAN works: looking is cheap.");
	check_feature(c, "pfn", FEATURE_PFN, CHECK_WARN, "Page frame numbers are readable.");
	check_feature(c, "kpageflags", FEATURE_KPAGEFLAGS, CHECK_WARN,
		      "/proc/kpageflags is readable.");
	if (c->host->n_nodes > 1)
		check_feature(c, "nodes", FEATURE_NODES, CHECK_WARN,
			      "On which node memory lies can be told.");
	check_feature(c, "other-processes", FEATURE_OTHER_PROCESSES, CHECK_FAIL,
		      "Processes of other users can be looked at.");
}

static void check_shmem_deny(struct checkup *c)
{
	enum shmem_knob knob = c->host->shmem_global;

	if (knob == SHMEM_KNOB_DENY)
		CHECK_ADD(c->list, "shmem-deny", CHECK_FAIL, reason_cure(REASON_SHMEM_DENY),
			  "shmem_enabled=deny forbids huge pages for all shared memory.");
	else if (knob == SHMEM_KNOB_ABSENT)
		CHECK_ADD(c->list, "shmem-deny", CHECK_NOTE, "",
			  "shmem_enabled could not be read.");
	else
		CHECK_ADD(c->list, "shmem-deny", CHECK_OK, "", "shmem_enabled=%s",
			  shmem_knob_name(knob));
}

static void check_shmem_knob(struct checkup *c)
{
	enum shmem_knob knob = c->host->shmem_block;
	unsigned long long kib = block_bytes(c->geometry) / 1024;

	if (knob == SHMEM_KNOB_ABSENT)
		CHECK_ADD(c->list, "shmem-knob", CHECK_OK, "",
			  "No hugepages-%llukB/shmem_enabled: nothing forbids memfd.", kib);
	else if (knob == SHMEM_KNOB_NEVER)
		CHECK_ADD(c->list, "shmem-knob", CHECK_FAIL, reason_cure(REASON_SHMEM_KNOB_NEVER),
			  "hugepages-%llukB/shmem_enabled=never forbids huge pages for memfd.",
			  kib);
	else if (knob == SHMEM_KNOB_ADVISE)
		CHECK_ADD(
			c->list, "shmem-knob", CHECK_NOTE, reason_cure(REASON_SHMEM_KNOB_NEVER),
			"hugepages-%llukB/shmem_enabled=advise: only where the VMM asked for huge "
			"pages.",
			kib);
	else
		CHECK_ADD(c->list, "shmem-knob", CHECK_OK, "", "hugepages-%llukB/shmem_enabled=%s",
			  kib, shmem_knob_name(knob));
}

static void check_ksm(struct checkup *c)
{
	if (c->host->is_ksm_running)
		CHECK_ADD(c->list, "ksm", CHECK_NOTE, reason_cure(REASON_KSM),
			  "KSM is running: private memory that may be merged is left alone.");
	else
		CHECK_ADD(c->list, "ksm", CHECK_OK, "", "KSM is not running.");
}

static void check_userfaultfd(struct checkup *c)
{
	if (!c->host->is_uffd_seen)
		CHECK_ADD(c->list, "userfaultfd", CHECK_OK, "", "No process holds a userfaultfd.");
	else
		CHECK_ADD(c->list, "userfaultfd", CHECK_NOTE, "",
			  "A process may hold a userfaultfd: memory under it is left alone%s.",
			  has(c, FEATURE_UFFD_SAFE) ? ""
						    : ", and on this kernel everything else too");
}

/* " node 0: 300 MiB, node 1: 0 MiB", whole entries only. */
static void list_nodes(const struct host *h, char *text, size_t size)
{
	static const char more[] = ", ...";
	size_t used = 0;

	text[0] = '\0';
	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX; i++) {
		char entry[48];
		size_t n = (size_t)snprintf(entry, sizeof(entry), "%s node %d: %llu MiB",
					    i ? "," : "", h->nodes[i].id,
					    (unsigned long long)h->nodes[i].free_block_bytes >> 20);

		if (used + n + sizeof(more) > size) {
			memcpy(text + used, more, sizeof(more));
			return;
		}
		memcpy(text + used, entry, n + 1);
		used += n;
	}
}

static uint16_t count_empty_nodes(const struct checkup *c)
{
	uint16_t n = 0;

	for (uint16_t i = 0; i < c->host->n_nodes && i < HOST_NODES_MAX; i++)
		n = (uint16_t)(n + (c->host->nodes[i].free_block_bytes < block_bytes(c->geometry)));
	return n;
}

static void check_free_blocks(struct checkup *c)
{
	unsigned long long mib = host_free_block_bytes(c->host) >> 20;
	unsigned empty = count_empty_nodes(c);
	char nodes[256];

	if (c->host->n_nodes == 0) {
		CHECK_ADD(c->list, "free-blocks", CHECK_NOTE, "", "Free blocks could not be read.");
		return;
	}
	list_nodes(c->host, nodes, sizeof(nodes));
	if (empty > 0)
		CHECK_ADD(
			c->list, "free-blocks", CHECK_WARN, reason_cure(REASON_NO_FREE_HUGE_PAGE),
			"%u of %u nodes have no free block of huge page size (%llu MiB in all):%s.",
			empty, c->host->n_nodes, mib, nodes);
	else
		CHECK_ADD(c->list, "free-blocks", CHECK_OK, "",
			  "%llu MiB free in blocks of huge page size:%s.", mib, nodes);
}

void checkup_host(const struct host *h, const struct mmu_geometry *g, struct check_list *ret)
{
	struct checkup c = {.host = h, .geometry = g, .list = ret};

	ret->n_items = 0;
	check_kernel(&c);
	check_features(&c);
	check_shmem_deny(&c);
	check_shmem_knob(&c);
	check_ksm(&c);
	check_userfaultfd(&c);
	check_free_blocks(&c);
}
