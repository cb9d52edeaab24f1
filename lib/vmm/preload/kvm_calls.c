/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Theory of operation. Until the first KVM_CREATE_VM succeeds nothing is done but to compare
 * numbers. Then the registry and the connection are made, and one thread, that stays: with all
 * signals blocked, so that the VMM's handlers run where they ever did, and started past the
 * interposed pthread_create(), which takes a thread for the mark of memory that is set up.
 *
 * Of the ways to lose a descriptor, those that close one or a range are seen, and what dup2() and
 * dup3() put another in place of; what the C library closes by itself is not. That does no harm:
 * see registry.c. A VMM that closes whatever may be open in a loop hears that the library's own
 * descriptors are not. A child made by vfork() has its own table of descriptors, but shares this
 * memory: it is known by its pid, and closes what it likes. dup2() onto one of the library's own,
 * which nobody has been given by the kernel, is done as asked, and may end the connection.
 *
 * A VMM that is linked with the library of thpd-vmm.h tells by that, and not by this one as well:
 * thpd takes one connection of a process; and an ioctl that is recorded by both would be made under
 * both locks, which fork() might draw in the other order.
 *
 * A VM that came otherwise, from another library's raw call or over a socket, is told of as soon as
 * it is given a memslot, as one of which not all is known. */

#include <errno.h>
#include <limits.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kvm_calls.h"
#include "toggle.h"
#include "uplink.h"

enum { STACK_BYTES = 256 << 10 };

static struct {
	registry_ask *ask;
	kvm_thread_create *create;
	bool is_off;
	pthread_once_t once;
	atomic_bool is_serving;	 /* the registry and the connection are there */
	atomic_bool has_yielded; /* nothing is told any more */
	struct registry registry;
	struct uplink uplink;
} kvm = {.once = PTHREAD_ONCE_INIT};

void kvm_calls_init(registry_ask *ask, kvm_thread_create *create)
{
	const char *text = getenv("THPD_VMM");

	kvm.ask = ask;
	kvm.create = create;
	kvm.is_off = text && strcmp(text, "off") == 0;
}

/* --- the thread ------------------------------------------------------------------------------ */

static void *serve(void *argument)
{
	struct epoll_event event;

	(void)argument;
	prctl(PR_SET_NAME, "thpd-vmm");
	while (!atomic_load(&kvm.has_yielded) &&
	       (epoll_wait(uplink_fd(&kvm.uplink), &event, 1, -1) >= 0 || errno == EINTR))
		uplink_dispatch(&kvm.uplink);
	/* Otherwise somebody has closed it: there is nothing to wait for. */
	if (atomic_load(&kvm.has_yielded))
		uplink_done(&kvm.uplink);
	return NULL;
}

static bool thread_start(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int e;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_BYTES + (size_t)PTHREAD_STACK_MIN);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	e = kvm.create(&thread, &attributes, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return e == 0;
}

static void start(void)
{
	registry_init(&kvm.registry, kvm.ask);
	if (uplink_init(&kvm.uplink, &kvm.registry) < 0) {
		registry_done(&kvm.registry);
		return;
	}
	if (!thread_start()) {
		uplink_done(&kvm.uplink);
		registry_done(&kvm.registry);
		return;
	}
	atomic_store(&kvm.is_serving, true);
}

static bool tells_nothing(void)
{
	return kvm.is_off || atomic_load(&kvm.has_yielded);
}

static bool begin(void)
{
	if (tells_nothing())
		return false;
	pthread_once(&kvm.once, start);
	return atomic_load(&kvm.is_serving);
}

void kvm_calls_yield(void)
{
	atomic_store(&kvm.has_yielded, true);
	if (!atomic_load(&kvm.is_serving))
		return;
	for (uint32_t vm = 0; vm < WIRE_VMS_MAX; vm++)
		toggle_settle(&kvm.registry, vm);
	registry_remove_range(&kvm.registry, 0, INT_MAX);
	registry_wake(&kvm.registry);
}

/* --- what the VMM does ----------------------------------------------------------------------- */

static int create_vm(int fd, void *argument)
{
	int vm_fd = kvm.ask(fd, KVM_CREATE_VM, argument), saved = errno;

	if (vm_fd >= 0 && begin()) {
		registry_remove(&kvm.registry, vm_fd);
		registry_add(&kvm.registry, vm_fd, 0);
	}
	errno = saved;
	return vm_fd;
}

static bool is_vm(int fd)
{
	static const char name[] = "anon_inode:kvm-vm";
	char path[32], target[sizeof(name)];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return readlink(path, target, sizeof(target)) == sizeof(name) - 1 &&
	       memcmp(target, name, sizeof(name) - 1) == 0;
}

int kvm_calls_ioctl(int fd, unsigned long request, void *argument)
{
	int saved = errno;

	if (request == KVM_CREATE_VM)
		return create_vm(fd, argument);
	if (tells_nothing() || !registry_wants(request))
		return kvm.ask(fd, request, argument);
	if ((!atomic_load(&kvm.is_serving) || !registry_knows(&kvm.registry, fd)) && is_vm(fd) &&
	    begin())
		registry_add(&kvm.registry, fd, WIRE_VM_INCOMPLETE);
	errno = saved;
	if (!atomic_load(&kvm.is_serving))
		return kvm.ask(fd, request, argument);
	return registry_ioctl(&kvm.registry, fd, request, argument);
}

static bool is_own(int fd)
{
	return uplink_owns(&kvm.uplink, fd) && forklock_is_ours(&kvm.registry.lock);
}

bool kvm_calls_may_close(int fd)
{
	if (!atomic_load(&kvm.is_serving))
		return true;
	if (is_own(fd))
		return false;
	registry_remove(&kvm.registry, fd);
	return true;
}

int kvm_calls_before_close_range(unsigned int first, unsigned int last)
{
	if (!atomic_load(&kvm.is_serving) || !forklock_is_ours(&kvm.registry.lock))
		return -1;
	registry_remove_range(&kvm.registry, first, last);
	return uplink_own_in(&kvm.uplink, first, last);
}
