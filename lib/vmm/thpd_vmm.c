/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The functions of thpd-vmm.h, each a line or two about the nouns beside it. */

#include "thpd-vmm.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "prealloc.h"
#include "registry.h"
#include "uplink.h"

/* Of libthpd-vmm-preload.so, where that is loaded: else NULL, in a static program always. */
__attribute__((weak, visibility("default"))) void thpd_vmm_preload_yield(void);

/* As the C library's own ioctl() has it: musl's takes an int, as POSIX does. */
#ifdef __GLIBC__
typedef unsigned long ioctl_request;
#else
typedef int ioctl_request;
#endif

struct thpd_vmm {
	struct registry registry;
	struct uplink uplink;
};

static int ask(int fd, unsigned long request, ...)
{
	void *argument;
	va_list rest;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	return ioctl(fd, (ioctl_request)request, argument);
}

int thpd_vmm_new(struct thpd_vmm **ret)
{
	int saved = errno, e;
	struct thpd_vmm *v = malloc(sizeof(*v));

	errno = saved;
	if (!v)
		return -ENOMEM;
	registry_init(&v->registry, ask);
	e = uplink_init(&v->uplink, &v->registry);
	if (e < 0) {
		registry_done(&v->registry);
		free(v);
		return e;
	}
	if (thpd_vmm_preload_yield)
		thpd_vmm_preload_yield();
	*ret = v;
	return 0;
}

struct thpd_vmm *thpd_vmm_free(struct thpd_vmm *v)
{
	if (!v)
		return NULL;
	uplink_done(&v->uplink);
	registry_done(&v->registry);
	free(v);
	return NULL;
}

int thpd_vmm_fd(const struct thpd_vmm *v)
{
	return uplink_fd(&v->uplink);
}

void thpd_vmm_dispatch(struct thpd_vmm *v)
{
	uplink_dispatch(&v->uplink);
}

int thpd_vmm_add(struct thpd_vmm *v, int vm_fd)
{
	return registry_add(&v->registry, vm_fd, 0);
}

void thpd_vmm_remove(struct thpd_vmm *v, int vm_fd)
{
	registry_remove(&v->registry, vm_fd);
}

int thpd_vmm_ioctl(struct thpd_vmm *v, int vm_fd, unsigned long request, void *argument)
{
	return registry_ioctl(&v->registry, vm_fd, request, argument);
}

int thpd_vmm_populate(void *start, uint64_t bytes, unsigned int threads)
{
	return prealloc_huge(start, bytes, threads ? threads : prealloc_threads());
}
