/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VMM without a guest: makes VMs of /dev/kvm, and memslots by the thousand.
 *
 * It says `ready pid=N` and obeys commands on stdin, each answered by one line that begins with
 * `ok` or `failed`. V is a VM by its order, from 0; slots are of one page each, ID apart from the
 * next.
 *
 *   vm                a VM: `ok fd=N`
 *   cheap V           dirty logs that cost nothing: KVM_DIRTY_LOG_INITIALLY_SET
 *   add V FIRST N     slots [FIRST, FIRST + N)
 *   remove V FIRST N  every second one of them
 *   move V ID GPA     a slot to another guest-physical address
 *   log V FIRST N, unlog V FIRST N
 *   again V N         one slot more, removed and set again N times, while other things go on
 *   wait              until that is done
 *   table V           `ok total=N sum=0x...`: what was set (slot_sum.h)
 *   logging V         `ok slots=N`: how many of them KVM logs
 *   close V, range V, replace V
 *                     the VM's descriptor: closed, by a range, by another one in its place
 *   lose V            its descriptor is closed past the C library
 *   closeall          closes all from 3 on, in three ways, as programs do that want to be sure
 *   vfork V           a child closes the VM's descriptor, which is its own
 *   fork              a child closes the VMs, makes one with a slot, and stays: `ok child=PID`
 *   reap              ends it
 *   foreign           a VM that the C library's ioctl() does not see made: `ok fd=N`
 *   exec              becomes itself anew
 *   quit
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "slot_sum.h"

enum { VMS = 16, SLOTS = 8192, PAGE = 4096, ANSWERED = 1 };

struct vm {
	int fd;
	struct kvm_userspace_memory_region slots[SLOTS]; /* 0 bytes: none */
};

static struct slotter {
	char **argv;
	int kvm_fd, n_vms;
	struct vm vms[VMS];
	uint8_t *memory;
	pid_t child;
	int child_stays; /* a pipe's end */
	pthread_t thread;
	bool is_running;
	struct vm *again;
	long n_again;
	int outcome;
} s = {.kvm_fd = -1};

struct request {
	struct vm *vm;
	long numbers[2];
};

#define answer(...) (printf(__VA_ARGS__), ANSWERED)

static int ask(int fd, unsigned long request, void *argument)
{
	int r = ioctl(fd, request, argument);

	return r < 0 ? -errno : r;
}

/* --- VMs ------------------------------------------------------------------------------------- */

static int open_kvm(void)
{
	if (s.kvm_fd < 0)
		s.kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	return s.kvm_fd < 0 ? -errno : 0;
}

static int vm_take(int fd)
{
	s.vms[s.n_vms++].fd = fd;
	return answer("ok fd=%d\n", fd);
}

static int do_vm(const struct request *q)
{
	int r = open_kvm();

	(void)q;
	if (r == 0)
		r = s.n_vms < VMS ? ask(s.kvm_fd, KVM_CREATE_VM, NULL) : -ENOSPC;
	return r < 0 ? r : vm_take(r);
}

static int do_foreign(const struct request *q)
{
	int r = open_kvm();

	(void)q;
	if (r < 0)
		return r;
	r = (int)syscall(SYS_ioctl, s.kvm_fd, KVM_CREATE_VM, 0);
	return r < 0 ? -errno : vm_take(r);
}

static int do_cheap(const struct request *q)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = {KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET},
	};

	return ask(q->vm->fd, KVM_ENABLE_CAP, &cap);
}

static int do_close(const struct request *q)
{
	return close(q->vm->fd) < 0 ? -errno : 0;
}

static int do_range(const struct request *q)
{
	unsigned int fd = (unsigned int)q->vm->fd;

	return close_range(fd, fd, 0) < 0 ? -errno : 0;
}

static int do_replace(const struct request *q)
{
	return dup2(STDERR_FILENO, q->vm->fd) < 0 ? -errno : 0;
}

static int do_lose(const struct request *q)
{
	return syscall(SYS_close, q->vm->fd) < 0 ? -errno : 0;
}

static int do_closeall(const struct request *q)
{
	(void)q;
	for (int fd = 3; fd < 1024; fd++)
		(void)close(fd);
	(void)close_range(3, 1023, 0);
	closefrom(3);
	s.kvm_fd = -1;
	return 0;
}

/* --- slots ----------------------------------------------------------------------------------- */

static int slot_set(struct vm *vm, struct kvm_userspace_memory_region m)
{
	int r = ask(vm->fd, KVM_SET_USER_MEMORY_REGION, &m);

	if (r == 0)
		vm->slots[m.slot] = m;
	return r;
}

static struct kvm_userspace_memory_region slot_new(long id)
{
	return (struct kvm_userspace_memory_region){
		.slot = (uint32_t)id,
		.guest_phys_addr = (uint64_t)id * 2 * PAGE,
		.memory_size = PAGE,
		.userspace_addr = (uintptr_t)s.memory + (uint64_t)id * PAGE,
	};
}

static int do_add(const struct request *q)
{
	int r = 0;

	for (long i = 0; r == 0 && i < q->numbers[1]; i++)
		r = slot_set(q->vm, slot_new(q->numbers[0] + i));
	return r;
}

static int do_remove(const struct request *q)
{
	int r = 0;

	for (long i = 0; r == 0 && i < q->numbers[1]; i += 2) {
		struct kvm_userspace_memory_region m = slot_new(q->numbers[0] + i);

		m.memory_size = 0;
		r = slot_set(q->vm, m);
	}
	return r;
}

static int do_move(const struct request *q)
{
	struct kvm_userspace_memory_region m = q->vm->slots[q->numbers[0]];

	m.guest_phys_addr = (uint64_t)q->numbers[1];
	return slot_set(q->vm, m);
}

static int set_log(const struct request *q, uint32_t flags)
{
	int r = 0;

	for (long i = 0; r == 0 && i < q->numbers[1]; i++) {
		struct kvm_userspace_memory_region m = q->vm->slots[q->numbers[0] + i];

		m.flags = flags;
		if (m.memory_size > 0)
			r = slot_set(q->vm, m);
	}
	return r;
}

static int do_log(const struct request *q)
{
	return set_log(q, KVM_MEM_LOG_DIRTY_PAGES);
}

static int do_unlog(const struct request *q)
{
	return set_log(q, 0);
}

static void *set_again(void *unused)
{
	struct kvm_userspace_memory_region m = slot_new(SLOTS - 1);
	int r = 0;

	(void)unused;
	for (long i = 0; r == 0 && i < s.n_again; i++) {
		m.memory_size = i % 2 ? 0 : PAGE;
		r = slot_set(s.again, m);
	}
	s.outcome = r;
	return NULL;
}

static int do_again(const struct request *q)
{
	s.again = q->vm;
	s.n_again = q->numbers[0];
	s.is_running = pthread_create(&s.thread, NULL, set_again, NULL) == 0;
	return s.is_running ? 0 : -EAGAIN;
}

static int do_wait(const struct request *q)
{
	(void)q;
	if (!s.is_running)
		return -ESRCH;
	pthread_join(s.thread, NULL);
	s.is_running = false;
	return s.outcome;
}

static int do_table(const struct request *q)
{
	unsigned int n;
	uint64_t sum = slot_sum_of(q->vm->slots, SLOTS, &n);

	return answer("ok total=%u sum=0x%" PRIx64 "\n", n, sum);
}

/* KVM has a log to give, or none. */
static int do_logging(const struct request *q)
{
	unsigned int n = 0;
	uint64_t bits;

	for (uint32_t i = 0; i < SLOTS; i++) {
		struct kvm_dirty_log log = {.slot = i, .dirty_bitmap = &bits};

		n += q->vm->slots[i].memory_size > 0 &&
		     ask(q->vm->fd, KVM_GET_DIRTY_LOG, &log) == 0;
	}
	return answer("ok slots=%u\n", n);
}

/* --- children -------------------------------------------------------------------------------- */

static int do_vfork(const struct request *q)
{
	int status = -1;
	pid_t pid = vfork();

	if (pid == 0) {
		(void)close(q->vm->fd);
		_exit(fcntl(q->vm->fd, F_GETFD) < 0 ? 0 : 1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return status == 0 ? 0 : -EIO;
}

static void be_child(int stays, int ready)
{
	const struct request q = {.vm = &s.vms[0], .numbers = {0, 1}};
	char c;

	for (int i = 0; i < s.n_vms; i++)
		(void)close(s.vms[i].fd);
	(void)close(s.kvm_fd);
	s.kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	s.vms[0].fd = ask(s.kvm_fd, KVM_CREATE_VM, NULL);
	c = s.vms[0].fd >= 0 && do_add(&q) == 0 ? '+' : '-';
	if (write(ready, &c, 1) == 1)
		(void)!read(stays, &c, 1);
	_exit(0);
}

static int do_fork(const struct request *q)
{
	int stays[2], ready[2];
	char c = '-';

	(void)q;
	if (pipe2(stays, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	s.child = fork();
	if (s.child == 0) {
		(void)close(stays[1]);
		be_child(stays[0], ready[1]);
	}
	(void)close(stays[0]);
	(void)close(ready[1]);
	s.child_stays = stays[1];
	if (read(ready[0], &c, 1) != 1 || c != '+')
		return -EIO;
	(void)close(ready[0]);
	return answer("ok child=%d\n", (int)s.child);
}

static int do_reap(const struct request *q)
{
	(void)q;
	(void)close(s.child_stays);
	return waitpid(s.child, NULL, 0) == s.child ? 0 : -errno;
}

static int do_exec(const struct request *q)
{
	(void)q;
	(void)execv(s.argv[0], s.argv);
	return -errno;
}

/* --- commands -------------------------------------------------------------------------------- */

static const struct command {
	const char *verb;
	int (*run)(const struct request *q);
	int n_numbers; /* -1: not even a VM */
} commands[] = {
	{"vm", do_vm, -1},	{"foreign", do_foreign, -1}, {"cheap", do_cheap, 0},
	{"add", do_add, 2},	{"remove", do_remove, 2},    {"move", do_move, 2},
	{"log", do_log, 2},	{"unlog", do_unlog, 2},	     {"again", do_again, 1},
	{"wait", do_wait, -1},	{"table", do_table, 0},	     {"logging", do_logging, 0},
	{"close", do_close, 0}, {"range", do_range, 0},	     {"replace", do_replace, 0},
	{"lose", do_lose, 0},	{"vfork", do_vfork, 0},	     {"closeall", do_closeall, -1},
	{"fork", do_fork, -1},	{"reap", do_reap, -1},	     {"exec", do_exec, -1},
};

static int obey(const char *line)
{
	struct request q = {0};
	char verb[16] = "";
	int vm = 0, n = sscanf(line, "%15s %d %ld %ld", verb, &vm, &q.numbers[0], &q.numbers[1]);

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		const struct command *c = &commands[i];

		if (strcmp(verb, c->verb) != 0)
			continue;
		if (n != c->n_numbers + 2 || (c->n_numbers >= 0 && (vm < 0 || vm >= s.n_vms)))
			return -EINVAL;
		if (q.numbers[0] < 0 ||
		    (c->n_numbers > 0 && c->run != do_again && q.numbers[0] >= SLOTS))
			return -ERANGE;
		q.vm = &s.vms[vm];
		return c->run(&q);
	}
	return -ENOSYS;
}

int main(int argc, char **argv)
{
	char line[128];

	(void)argc;
	s.argv = argv;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	(void)setvbuf(stdin, NULL, _IONBF, 0); /* what exec() would throw away */
	s.memory = mmap(NULL, (size_t)SLOTS * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (s.memory == MAP_FAILED)
		return 1;
	printf("ready pid=%d\n", (int)getpid());
	while (fgets(line, sizeof(line), stdin) && strncmp(line, "quit", 4) != 0) {
		int r = obey(line);

		if (r == 0)
			printf("ok\n");
		else if (r < 0)
			printf("failed %s\n", strerror(-r));
	}
	return 0;
}
