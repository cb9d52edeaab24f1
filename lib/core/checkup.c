/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checkup.h"

#include <stdio.h>

#include "reason.h"
#include "release.h"

/* A list under construction. Each check below looks at one fact and adds one entry. */
struct checkup {
	const struct host *host;
	const struct mmu_geometry *geometry;
	struct check *checks;
	size_t n_checks;
};

static struct check *next_check(struct checkup *c, const char *id, enum check_result result,
				const char *cure)
{
	struct check *check = &c->checks[c->n_checks < CHECKS_MAX ? c->n_checks++ : CHECKS_MAX - 1];

	*check = (struct check){.id = id, .result = result, .cure = cure};
	return check;
}

#define ADD(c, id, result, cure, ...)                                            \
	do {                                                                     \
		struct check *check_ = next_check(c, id, result, cure);          \
		(void)snprintf(check_->text, sizeof(check_->text), __VA_ARGS__); \
	} while (0)

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
		ADD(c, "kernel", CHECK_NOTE, "", "The kernel release is not known.");
		return;
	}
	switch (level_of(&r)) {
	case LEVEL_REFUSED:
		ADD(c, "kernel", CHECK_FAIL, "Use Linux 6.1 or newer; 6.12 or newer is best.",
		    "Linux %s cannot collapse memory of another process.", name);
		break;
	case LEVEL_EARLY_61:
		ADD(c, "kernel", CHECK_WARN, "Update to Linux 6.1.8 or newer.",
		    "Linux %s: the first 6.1 kernels collapse beyond the requested range and miss "
		    "MMU notifiers.",
		    name);
		break;
	case LEVEL_UFFD:
		ADD(c, "kernel", CHECK_NOTE, "Use Linux 6.12 or newer.",
		    "Linux %s: before 6.4 a collapse may fill holes under userfaultfd, so VMs are "
		    "left "
		    "alone while one is seen.",
		    name);
		break;
	case LEVEL_MREMAP:
		ADD(c, "kernel", CHECK_WARN,
		    "Update to 6.6.60 or newer, or 6.12; distributions may have repaired it.",
		    "Linux %s: by its number it lacks the fix of a race between mremap and page "
		    "table "
		    "retraction (CVE-2024-50066).",
		    name);
		break;
	case LEVEL_USABLE:
		ADD(c, "kernel", CHECK_OK, "", "Linux %s; 6.12 or newer is better still.", name);
		break;
	case LEVEL_GOOD:
		ADD(c, "kernel", CHECK_OK, "", "Linux %s", name);
		break;
	}
}

static void check_collapse(struct checkup *c)
{
	if (has(c, FEATURE_COLLAPSE)) {
		ADD(c, "collapse", CHECK_OK, "", "Memory of another process can be collapsed.");
		return;
	}
	ADD(c, "collapse", CHECK_FAIL,
	    reason_cure(release_lacks_collapse(c->host->kernel_release) ? REASON_KERNEL_TOO_OLD
									: REASON_NO_PERMISSION),
	    "A trial collapse of another process' memory failed.");
}

static void check_shmem_collapse(struct checkup *c)
{
	if (!has(c, FEATURE_COLLAPSE))
		return; /* said already */
	if (has(c, FEATURE_COLLAPSE_SHMEM))
		ADD(c, "collapse-shmem", CHECK_OK, "", "Shared memory (memfd) can be collapsed.");
	else
		ADD(c, "collapse-shmem", CHECK_WARN, "See the checks of the shmem knobs.",
		    "A trial collapse of shared memory (memfd) failed.");
}

static void check_pagemap_scan(struct checkup *c)
{
	if (has(c, FEATURE_PAGEMAP_SCAN))
		ADD(c, "pagemap-scan", CHECK_OK, "", "PAGEMAP_SCAN works: looking is cheap.");
	else
		ADD(c, "pagemap-scan", CHECK_NOTE, "Use Linux 6.7 or newer.",
		    "No PAGEMAP_SCAN: looking is slower.");
}

static void check_pfn(struct checkup *c)
{
	if (has(c, FEATURE_PFN))
		ADD(c, "pfn", CHECK_OK, "", "Page frame numbers are readable.");
	else
		ADD(c, "pfn", CHECK_WARN, reason_cure(REASON_FOLIO_UNKNOWN),
		    "Page frame numbers are not readable: remaps cannot be told from copies.");
}

static void check_kpageflags(struct checkup *c)
{
	if (has(c, FEATURE_KPAGEFLAGS))
		ADD(c, "kpageflags", CHECK_OK, "", "/proc/kpageflags is readable.");
	else
		ADD(c, "kpageflags", CHECK_WARN, "Run as root with CAP_SYS_ADMIN.",
		    "/proc/kpageflags is not readable: remaps cannot be told from copies.");
}

static void check_other_processes(struct checkup *c)
{
	if (has(c, FEATURE_OTHER_PROCESSES))
		ADD(c, "other-processes", CHECK_OK, "",
		    "Processes of other users can be looked at.");
	else
		ADD(c, "other-processes", CHECK_FAIL, reason_cure(REASON_NO_PERMISSION),
		    "Processes of other users cannot be looked at.");
}

static void check_shmem_deny(struct checkup *c)
{
	enum shmem_knob knob = c->host->shmem_global;

	if (knob == SHMEM_KNOB_DENY)
		ADD(c, "shmem-deny", CHECK_FAIL, reason_cure(REASON_SHMEM_DENY),
		    "shmem_enabled=deny forbids huge pages for all shared memory.");
	else if (knob == SHMEM_KNOB_ABSENT)
		ADD(c, "shmem-deny", CHECK_NOTE, "", "shmem_enabled could not be read.");
	else
		ADD(c, "shmem-deny", CHECK_OK, "", "shmem_enabled=%s", shmem_knob_name(knob));
}

static void check_shmem_knob(struct checkup *c)
{
	enum shmem_knob knob = c->host->shmem_block;
	unsigned long long kib = block_bytes(c->geometry) / 1024;

	if (knob == SHMEM_KNOB_ABSENT)
		ADD(c, "shmem-knob", CHECK_OK, "",
		    "No hugepages-%llukB/shmem_enabled: nothing forbids memfd.", kib);
	else if (knob == SHMEM_KNOB_NEVER)
		ADD(c, "shmem-knob", CHECK_FAIL, reason_cure(REASON_SHMEM_KNOB_NEVER),
		    "hugepages-%llukB/shmem_enabled=never forbids huge pages for memfd.", kib);
	else if (knob == SHMEM_KNOB_ADVISE)
		ADD(c, "shmem-knob", CHECK_NOTE, reason_cure(REASON_SHMEM_KNOB_NEVER),
		    "hugepages-%llukB/shmem_enabled=advise: only where the VMM asked for huge "
		    "pages.",
		    kib);
	else
		ADD(c, "shmem-knob", CHECK_OK, "", "hugepages-%llukB/shmem_enabled=%s", kib,
		    shmem_knob_name(knob));
}

static void check_ksm(struct checkup *c)
{
	if (c->host->is_ksm_running)
		ADD(c, "ksm", CHECK_NOTE, reason_cure(REASON_KSM),
		    "KSM is running: private memory that may be merged is left alone.");
	else
		ADD(c, "ksm", CHECK_OK, "", "KSM is not running.");
}

static void check_userfaultfd(struct checkup *c)
{
	if (!c->host->is_uffd_seen)
		ADD(c, "userfaultfd", CHECK_OK, "", "No process holds a userfaultfd.");
	else
		ADD(c, "userfaultfd", CHECK_NOTE, "",
		    "A process may hold a userfaultfd: memory under it is left alone%s.",
		    has(c, FEATURE_UFFD_SAFE) ? "" : ", and on this kernel everything else too");
}

static void check_free_blocks(struct checkup *c)
{
	const struct host *h = c->host;
	unsigned long long mib = host_free_block_bytes(h) >> 20;
	char empty[64] = "", all[128] = "";
	size_t used = 0, listed = 0;

	if (h->n_nodes == 0) {
		ADD(c, "free-blocks", CHECK_NOTE, "", "Free blocks could not be read.");
		return;
	}
	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX && listed < sizeof(all); i++)
		listed += (size_t)snprintf(all + listed, sizeof(all) - listed,
					   "%s node %d: %llu MiB", i ? "," : "", h->nodes[i].id,
					   (unsigned long long)h->nodes[i].free_block_bytes >> 20);
	for (uint16_t i = 0; i < h->n_nodes && i < HOST_NODES_MAX && used < sizeof(empty); i++)
		if (h->nodes[i].free_block_bytes < block_bytes(c->geometry))
			used += (size_t)snprintf(empty + used, sizeof(empty) - used, " %d",
						 h->nodes[i].id);
	if (used > 0)
		ADD(c, "free-blocks", CHECK_WARN, reason_cure(REASON_NO_FREE_HUGE_PAGE),
		    "No free block of huge page size on node%s (%llu MiB in all).", empty, mib);
	else
		ADD(c, "free-blocks", CHECK_OK, "", "%llu MiB free in blocks of huge page size:%s.",
		    mib, all);
}

size_t checkup_host(const struct host *h, const struct mmu_geometry *g, struct check *checks)
{
	struct checkup c = {.host = h, .geometry = g, .checks = checks};

	check_kernel(&c);
	check_collapse(&c);
	check_shmem_collapse(&c);
	check_pagemap_scan(&c);
	check_pfn(&c);
	check_kpageflags(&c);
	check_other_processes(&c);
	check_shmem_deny(&c);
	check_shmem_knob(&c);
	check_ksm(&c);
	check_userfaultfd(&c);
	check_free_blocks(&c);
	return c.n_checks;
}
