/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "lack.h"

#include <errno.h>

#include "release.h"

#define LACK(sentence, cure) ((struct lack){sentence, cure, sentence " " cure})

#define TRY_AGAIN      "See that thpd may fork and has some MiB of memory, and start it anew."
#define COLLAPSE_FIRST "Cure that first: see what is said of collapse."

static bool is_permission(int err)
{
	return err == EPERM || err == EACCES;
}

bool host_is_too_old(const struct host *h)
{
	return !(h->features & FEATURE_COLLAPSE) && h->trial.helper_error == 0 &&
	       !is_permission(h->trial.collapse_error) && release_lacks_collapse(h->kernel_release);
}

/* A kernel that has the call answers EBADF to a bad pidfd before it looks at rights or advice. */
static struct lack lack_of_filter(int err)
{
#define FILTERED(name)                                                                           \
	LACK("Nothing can be collapsed: process_madvise is refused (" name                       \
	     ") before the kernel sees it, which is new enough: a seccomp filter forbids it (a " \
	     "container runtime, or SystemCallFilter= of systemd).",                             \
	     "Allow process_madvise in that filter, and start thpd anew.")
	switch (err) {
	case ENOSYS:
		return LACK(
			"Nothing can be collapsed: process_madvise is refused (ENOSYS) although "
			"the kernel is new enough: a seccomp filter hides it (a container "
			"runtime, or SystemCallFilter= of systemd), or the kernel was built "
			"without CONFIG_ADVISE_SYSCALLS.",
			"Allow process_madvise in that filter, or use a kernel with "
			"CONFIG_ADVISE_SYSCALLS=y; then start thpd anew.");
	case EPERM:
		return FILTERED("EPERM");
	case EACCES:
		return FILTERED("EACCES");
	case EINVAL:
		return FILTERED("EINVAL");
	default:
		return FILTERED("an unusual error");
	}
#undef FILTERED
}

static struct lack lack_of_right(const struct host *h)
{
	if (!(h->trial.rights & RIGHT_NICE))
		return LACK("Nothing can be collapsed: process_madvise on another process needs "
			    "CAP_SYS_NICE, which thpd lacks.",
			    "Run thpd with CAP_SYS_NICE and CAP_SYS_PTRACE in the initial user "
			    "namespace.");
	return LACK(
		"Nothing can be collapsed: the kernel refuses process_madvise on another process "
		"(EPERM or EACCES) although thpd has CAP_SYS_NICE: it is in a user namespace, "
		"or a security module or seccomp filter forbids it.",
		"Run thpd in the initial user namespace, with CAP_SYS_NICE and CAP_SYS_PTRACE, "
		"and let no filter forbid process_madvise.");
}

/* The call gets to the kernel, and is refused for ordinary memory. */
static struct lack lack_of_kernel(int err)
{
	if (err == 0)
		return LACK(
			"Nothing can be collapsed: MADV_COLLAPSE on another process says that it "
			"succeeds, but its memory does not become huge: not the kernel answers, "
			"but a sandbox.",
			"Run thpd on the host itself.");
	if (err == EINVAL)
		return LACK("Nothing can be collapsed: MADV_COLLAPSE on another process is refused "
			    "(EINVAL) although the kernel is new enough: it was built without "
			    "CONFIG_TRANSPARENT_HUGEPAGE, or a seccomp filter forbids this advice.",
			    "Use a kernel with CONFIG_TRANSPARENT_HUGEPAGE=y, let no filter forbid "
			    "process_madvise, and start thpd anew.");
	return LACK(
		"Nothing can be collapsed: MADV_COLLAPSE on another process is refused with an "
		"unusual error although the kernel is new enough: a seccomp filter or a sandbox "
		"may forbid it.",
		"Let no filter forbid process_madvise, and start thpd anew.");
}

static struct lack lack_of_collapse(const struct host *h)
{
	const struct trial *t = &h->trial;

	if (t->helper_error != 0)
		return LACK("Nothing can be collapsed: the helper process on which thpd tries what "
			    "the kernel can do failed.",
			    TRY_AGAIN);
	if (host_is_too_old(h))
		return LACK("Nothing can be collapsed: this kernel has no MADV_COLLAPSE on another "
			    "process; thpd needs Linux 6.1 or newer.",
			    "Use Linux 6.1 or newer; 6.12 or newer is best.");
	if (t->is_call_filtered)
		return lack_of_filter(t->collapse_error);
	if (is_permission(t->collapse_error))
		return lack_of_right(h);
	return lack_of_kernel(t->collapse_error);
}

static struct lack lack_of_shmem(const struct host *h)
{
	if (!(h->features & FEATURE_COLLAPSE))
		return LACK("Shared memory (memfd) was not tried, since nothing can be collapsed.",
			    COLLAPSE_FIRST);
	if (!h->trial.is_shmem_offered)
		return LACK(
			"Whether shared memory can be collapsed is not known: no memfd could be "
			"made for a trial.",
			TRY_AGAIN);
	if (h->shmem_global == SHMEM_KNOB_DENY)
		return LACK(
			"Shared memory cannot be collapsed: the knob shmem_enabled=deny forbids "
			"it.",
			"See `thpctl doctor`: shmem-deny.");
	if (h->shmem_block == SHMEM_KNOB_NEVER || h->shmem_block == SHMEM_KNOB_ADVISE)
		return LACK(
			"Memfds cannot be collapsed where the VMM did not ask for huge pages: the "
			"knob hugepages-*/shmem_enabled forbids it.",
			"See `thpctl doctor`: shmem-knob.");
	return LACK("A trial collapse of shared memory (memfd) failed, and no knob explains it.",
		    "See what `thpctl explain` says of VMs with shared memory.");
}

static struct lack lack_of_scan(const struct host *h)
{
	struct release r;

	if (h->trial.helper_error != 0)
		return LACK("Looking is slow: the trial of PAGEMAP_SCAN failed with its helper.",
			    TRY_AGAIN);
	if (release_parse(h->kernel_release, &r) == 0 && !release_is_before(&r, 6, 7))
		return LACK(
			"Looking is slow: PAGEMAP_SCAN does not work although the kernel is new "
			"enough; a seccomp filter or a sandbox may forbid this ioctl.",
			"Let no filter forbid ioctl on /proc/PID/pagemap.");
	return LACK("Looking is slow: PAGEMAP_SCAN needs Linux 6.7.", "Use Linux 6.7 or newer.");
}

static struct lack lack_of_pfn(const struct host *h)
{
	if (h->trial.helper_error != 0)
		return LACK("Huge folios cannot be told from small ones: the trial failed with its "
			    "helper.",
			    TRY_AGAIN);
	if (!(h->trial.rights & RIGHT_ADMIN))
		return LACK("Huge folios cannot be told from small ones: page frame numbers need "
			    "CAP_SYS_ADMIN, which thpd lacks.",
			    "Give thpd CAP_SYS_ADMIN (see the unit file).");
	return LACK(
		"Huge folios cannot be told from small ones: the kernel hides page frame numbers "
		"although thpd has CAP_SYS_ADMIN: it is in a user namespace.",
		"Run thpd in the initial user namespace.");
}

static struct lack lack_of_kpageflags(const struct host *h)
{
	if (!h->trial.has_kpageflags_file)
		return LACK("Huge folios cannot be told from small ones: there is no "
			    "/proc/kpageflags (CONFIG_PROC_PAGE_MONITOR, or a container without "
			    "it).",
			    "Use a kernel with CONFIG_PROC_PAGE_MONITOR=y, and the host's /proc.");
	return LACK(
		"Huge folios cannot be told from small ones: thpd may not read /proc/kpageflags.",
		"Run thpd as root, on the host itself.");
}

static struct lack lack_of_probe(const struct host *h)
{
	if (!(h->features & FEATURE_COLLAPSE))
		return LACK("smaps is read in every survey: where nothing can be collapsed, the "
			    "kernel cannot be asked what could be.",
			    COLLAPSE_FIRST);
	return LACK(
		"smaps is read in every survey: on this host a collapse of nothing does not tell "
		"what can be collapsed.",
		"None is known; surveys cost more time.");
}

static struct lack lack_of_uffd_safety(const struct host *h)
{
	struct release r;

	if (release_parse(h->kernel_release, &r) < 0)
		return LACK("VMs are left alone while any userfaultfd exists: the kernel's release "
			    "is not known.",
			    "Use Linux 6.4 or newer.");
	return LACK(
		"VMs are left alone while any userfaultfd exists: this kernel is older than 6.4.",
		"Use Linux 6.4 or newer.");
}

static struct lack lack_of_nodes(const struct host *h)
{
	if (h->trial.helper_error != 0)
		return LACK("On which node memory lies cannot be told: the trial failed with its "
			    "helper.",
			    TRY_AGAIN);
	return LACK(
		"On which node memory lies cannot be told, and nothing can be moved: move_pages on "
		"another process is refused; a seccomp filter or a sandbox may forbid it, or the "
		"kernel was built without CONFIG_NUMA.",
		"Let no filter (container runtime, SystemCallFilter=) forbid move_pages; on a host "
		"with one node nothing is lost.");
}

struct lack host_lack(const struct host *h, enum feature feature)
{
	switch (feature) {
	case FEATURE_COLLAPSE:
		return lack_of_collapse(h);
	case FEATURE_COLLAPSE_SHMEM:
		return lack_of_shmem(h);
	case FEATURE_PAGEMAP_SCAN:
		return lack_of_scan(h);
	case FEATURE_PFN:
		return lack_of_pfn(h);
	case FEATURE_KPAGEFLAGS:
		return lack_of_kpageflags(h);
	case FEATURE_ELIGIBILITY_PROBE:
		return lack_of_probe(h);
	case FEATURE_UFFD_SAFE:
		return lack_of_uffd_safety(h);
	case FEATURE_OTHER_PROCESSES:
		return LACK("VMs of other users may not be recognized or looked at: thpd lacks "
			    "CAP_SYS_PTRACE.",
			    "Run thpd with CAP_SYS_PTRACE in the initial user namespace.");
	case FEATURE_NODES:
		return lack_of_nodes(h);
	case FEATURE_SCAN_GUARD:
		break;
	}
	return (struct lack){NULL, NULL, NULL};
}
