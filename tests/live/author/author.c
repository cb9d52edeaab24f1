/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VMM without a guest by somebody who has read thpd-vmm(3): linked with libthpd-vmm as it was
 * installed, with an event loop of its own that waits for its user and for the library alike.
 *
 * It makes a VM of 64 MiB that can be huge, says `ready pid=N` and obeys commands on stdin, each
 * answered by one line that begins with `ok` or `failed`:
 *
 *   populate   the memory, by the library
 *   set I N    N MiB of it, from 2 MiB * I on, become slot I; 0: the slot goes
 *   log I, unlog I
 *   cheap      dirty logs that cost nothing: KVM_DIRTY_LOG_INITIALLY_SET
 *   table      `ok total=N sum=0x...`: what was set (slot_sum.h)
 *   fds        `ok fds=N`: descriptors that are open
 *   gone       the VM is closed, and there is another one
 *   fork       `ok status=N`: of a child that frees the library's memory and ends
 *   free       the library is left: nothing is told any more
 *   quit
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thpd-vmm.h>
#include <unistd.h>

#include "slot_sum.h"

#define BLOCK_BYTES (UINT64_C(2) << 20)
#define RAM_BYTES   (UINT64_C(64) << 20)

enum { SLOTS = 32, ANSWERED = 1 };

static struct author {
	int kvm, vm;
	struct thpd_vmm *thpd; /* NULL: it was freed */
	uint8_t *ram;
	struct kvm_userspace_memory_region slots[SLOTS]; /* 0 bytes: none */
} a;

#define answer(...) (printf(__VA_ARGS__), ANSWERED)

/* At a multiple of 2 MiB, as it begins in its file. */
static void *map_ram(void)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uintptr_t room;
	void *ram;

	if (fd < 0 || ftruncate(fd, RAM_BYTES) < 0)
		return MAP_FAILED;
	room = (uintptr_t)mmap(NULL, RAM_BYTES + BLOCK_BYTES, PROT_NONE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if ((void *)room == MAP_FAILED)
		return MAP_FAILED;
	ram = mmap((void *)((room + BLOCK_BYTES - 1) & ~(BLOCK_BYTES - 1)), RAM_BYTES,
		   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	(void)close(fd);
	return ram;
}

static int vm_make(void)
{
	a.vm = ioctl(a.kvm, KVM_CREATE_VM, 0);
	return a.vm < 0 ? -errno : 0;
}

/* --- commands -------------------------------------------------------------------------------- */

static int do_populate(const long *unused)
{
	(void)unused;
	return thpd_vmm_populate(a.ram, RAM_BYTES, 0);
}

static int slot_set(struct kvm_userspace_memory_region m)
{
	int r = a.thpd ? thpd_vmm_ioctl(a.thpd, a.vm, KVM_SET_USER_MEMORY_REGION, &m)
		       : ioctl(a.vm, KVM_SET_USER_MEMORY_REGION, &m);

	if (r < 0)
		return -errno;
	a.slots[m.slot] = m;
	return 0;
}

static int do_set(const long *numbers)
{
	uint64_t offset = (uint64_t)numbers[0] * BLOCK_BYTES;

	return slot_set((struct kvm_userspace_memory_region){
		.slot = (uint32_t)numbers[0],
		.guest_phys_addr = offset,
		.memory_size = (uint64_t)numbers[1] << 20,
		.userspace_addr = (uintptr_t)a.ram + offset,
	});
}

static int set_flags(long slot, uint32_t flags)
{
	struct kvm_userspace_memory_region m = a.slots[slot];

	m.flags = flags;
	return slot_set(m);
}

static int do_log(const long *numbers)
{
	return set_flags(numbers[0], KVM_MEM_LOG_DIRTY_PAGES);
}

static int do_unlog(const long *numbers)
{
	return set_flags(numbers[0], 0);
}

static int do_cheap(const long *unused)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = {KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET},
	};

	(void)unused;
	return thpd_vmm_ioctl(a.thpd, a.vm, KVM_ENABLE_CAP, &cap) < 0 ? -errno : 0;
}

static int do_table(const long *unused)
{
	unsigned int n;
	uint64_t sum = slot_sum_of(a.slots, SLOTS, &n);

	(void)unused;
	return answer("ok total=%u sum=0x%" PRIx64 "\n", n, sum);
}

static int do_fds(const long *unused)
{
	DIR *d = opendir("/proc/self/fd");
	int n = -1; /* its own */

	(void)unused;
	if (!d)
		return -errno;
	for (const struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	(void)closedir(d);
	return answer("ok fds=%d\n", n);
}

static int do_gone(const long *unused)
{
	(void)unused;
	thpd_vmm_remove(a.thpd, a.vm);
	if (close(a.vm) < 0)
		return -errno;
	memset(a.slots, 0, sizeof(a.slots));
	if (vm_make() < 0)
		return -errno;
	return thpd_vmm_add(a.thpd, a.vm);
}

static int do_fork(const long *unused)
{
	pid_t pid = fork();
	int status = -1;

	(void)unused;
	if (pid == 0) {
		thpd_vmm_free(a.thpd);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return answer("ok status=%d\n", status);
}

static int do_free(const long *unused)
{
	(void)unused;
	a.thpd = thpd_vmm_free(a.thpd);
	return a.thpd ? -EIO : 0;
}

static const struct command {
	const char *verb;
	int (*run)(const long *numbers);
	int n_numbers;
} commands[] = {
	{"populate", do_populate, 0}, {"set", do_set, 2},     {"log", do_log, 1},
	{"unlog", do_unlog, 1},	      {"cheap", do_cheap, 0}, {"table", do_table, 0},
	{"fds", do_fds, 0},	      {"gone", do_gone, 0},   {"fork", do_fork, 0},
	{"free", do_free, 0},
};

static int obey(const char *line)
{
	char verb[16] = "";
	long numbers[2] = {0, 0};
	int n = sscanf(line, "%15s %ld %ld", verb, &numbers[0], &numbers[1]);

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (strcmp(verb, commands[i].verb) != 0)
			continue;
		if (n != commands[i].n_numbers + 1 || numbers[0] < 0 || numbers[0] >= SLOTS)
			return -EINVAL;
		return commands[i].run(numbers);
	}
	return -ENOSYS;
}

/* --- the event loop -------------------------------------------------------------------------- */

/* Whether it goes on. */
static bool hear_user(void)
{
	char line[128];
	int r;

	if (!fgets(line, sizeof(line), stdin) || strncmp(line, "quit", 4) == 0)
		return false;
	r = obey(line);
	if (r == 0)
		printf("ok\n");
	else if (r < 0)
		printf("failed %s\n", strerror(-r));
	return true;
}

static void run(void)
{
	bool goes_on = true;

	while (goes_on) {
		struct pollfd p[] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = a.thpd ? thpd_vmm_fd(a.thpd) : -1, .events = POLLIN},
		};

		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents)
			thpd_vmm_dispatch(a.thpd);
		if (p[0].revents)
			goes_on = hear_user();
	}
}

int main(void)
{
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)setvbuf(stdin, NULL, _IONBF, 0); /* what poll() would not see */
	a.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	a.ram = map_ram();
	if (a.kvm < 0 || a.ram == MAP_FAILED || vm_make() < 0 || thpd_vmm_new(&a.thpd) < 0 ||
	    thpd_vmm_add(a.thpd, a.vm) < 0) {
		perror("author");
		return 1;
	}
	printf("ready pid=%d\n", (int)getpid());
	run();
	thpd_vmm_free(a.thpd);
	return 0;
}
