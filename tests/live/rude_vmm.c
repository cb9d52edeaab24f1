/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VMM that speaks to thpd's socket by hand, honest or not: rude_vmm SOCKET MIB
 *
 * It has so much anonymous memory, prints `ready`, and obeys commands on stdin, each answered by
 * one line that begins with `ok` or `failed`:
 *
 *   kvm            makes a VM of KVM with its memory as one slot, so that thpd takes it for a VM
 *   grow MIB       has more memory
 *   connect        fails if thpd closes the connection before WIRE_WELCOME
 *   dial           connects and says nothing
 *   honest         tells of the VM and its slot
 *   vm N FLAGS     WIRE_VM
 *   gone N         WIRE_VM_GONE
 *   part N FIRST COUNT TOTAL FLAGS
 *                  WIRE_SLOTS of slots of 2 MiB one after the other, from 4 GiB on
 *   table N TOTAL FLAGS
 *                  all parts of such a table
 *   elsewhere N    a slot at addresses that nobody has
 *   answer PAGES ERR
 *                  waits for a question about counts and answers it: so many of 2 MiB
 *   nudged RESULT SLOTS
 *                  the same for a nudge; counts that are asked for before it are 40
 *   serve          counts are 4000 for whoever asks; there is no answer to the command, and an end
 *                  of it with the connection only
 *   noise BYTES    so many bytes that mean nothing
 *   answerless     an answer to what was not asked
 *   flood COUNT    so many messages: `ok MS`
 *   second         another connection is refused
 *   many COUNT     connects so often: `ok N`: so many were not closed at once
 *   swarm COUNT HOW
 *                  so many processes, each of which connects, greets and (HOW=hog) tells of as
 *                  many slots as there may be: `ok N`: so many were not closed; they stay
 *   unswarm        ends them
 *   mortals COUNT  so many processes that die after 0, 1, 2, ... messages
 *   pester COUNT   connects, greets and hangs up so often
 *   orphan         a child that keeps the connection outlives the process that made it, and goes on
 *                  speaking: thpd closes it
 *   closed         waits until thpd has closed the connection
 *   open           thpd has not
 *   close
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire.h"

enum { WAIT_MS = 30000, GPA_START_MIB = 4096, SLOT_MIB = 2, SWARM_MAX = 4096 };
#define MIB (UINT64_C(1) << 20)

static const char *socket_path;
static uint64_t memory, memory_bytes;
static int connection = -1;
static pid_t swarm[SWARM_MAX];
static unsigned swarm_size;

static int dial(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(to.sun_path, sizeof(to.sun_path), "%s", socket_path);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static bool say(int fd, union wire_message *m, enum wire_type type, size_t bytes, uint32_t serial)
{
	m->header = (struct wire_header){.magic = WIRE_MAGIC,
					 .version = WIRE_VERSION,
					 .type = (uint16_t)type,
					 .bytes = (uint32_t)bytes,
					 .serial = serial};
	return send(fd, m, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool hear_any(int fd, union wire_message *m)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, WAIT_MS) == 1 && recv(fd, m, sizeof(*m), 0) > 0;
}

static bool hear(int fd, enum wire_type type, union wire_message *m)
{
	return hear_any(fd, m) && m->header.type == type;
}

static bool is_closed(int fd, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, wait_ms) == 1 && (p.revents & (POLLRDHUP | POLLHUP));
}

static bool greet(int fd)
{
	union wire_message m = {0};

	(void)snprintf(m.hello.library, sizeof(m.hello.library), "rude");
	return say(fd, &m, WIRE_HELLO, sizeof(m.hello), 0) && hear(fd, WIRE_WELCOME, &m);
}

static bool say_vm(int fd, uint32_t vm, uint32_t flags)
{
	union wire_message m = {.vm = {.vm = vm, .flags = flags}};

	return say(fd, &m, WIRE_VM, sizeof(m.vm), 0);
}

static bool say_slots(int fd, uint32_t vm, const struct wire_slot *slots, uint32_t n,
		      uint32_t first, uint32_t total)
{
	union wire_message m = {0};

	m.slots.vm = vm;
	m.slots.first = first;
	m.slots.n = n;
	m.slots.total = total;
	memcpy(m.slots.slots, slots, n * sizeof(*slots));
	return say(fd, &m, WIRE_SLOTS, offsetof(struct wire_slots, slots) + n * sizeof(*slots), 0);
}

static bool say_part(int fd, const unsigned long a[5])
{
	struct wire_slot slots[WIRE_SLOTS_MAX];
	uint32_t n = a[2] > WIRE_SLOTS_MAX ? WIRE_SLOTS_MAX : (uint32_t)a[2];

	for (uint32_t i = 0; i < n; i++)
		slots[i] = (struct wire_slot){
			.gpa = (GPA_START_MIB + (a[1] + i) * SLOT_MIB) * MIB,
			.bytes = SLOT_MIB * MIB,
			.hva = memory,
			.flags = (uint32_t)a[4],
			.slot = (uint16_t)(a[1] + i),
		};
	return say_slots(fd, (uint32_t)a[0], slots, n, (uint32_t)a[1], (uint32_t)a[3]);
}

static bool say_table(int fd, unsigned long vm, unsigned long total, unsigned long flags)
{
	for (unsigned long first = 0; first < total; first += WIRE_SLOTS_MAX) {
		unsigned long n = total - first < WIRE_SLOTS_MAX ? total - first : WIRE_SLOTS_MAX;

		if (!say_part(fd, (unsigned long[5]){vm, first, n, total, flags}))
			return false;
	}
	return true;
}

static bool say_one(int fd, uint32_t vm, uint64_t hva, uint64_t bytes)
{
	const struct wire_slot slot = {.bytes = bytes, .hva = hva};

	return say_slots(fd, vm, &slot, 1, 0, 1);
}

static bool make_kvm(void)
{
	struct kvm_userspace_memory_region region = {.memory_size = memory_bytes,
						     .userspace_addr = memory};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);

	return vm >= 0 && ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) == 0;
}

static bool have_memory(unsigned long mib)
{
	void *m = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (m == MAP_FAILED)
		return false;
	memset(m, 1, mib * MIB);
	memory = (uint64_t)(uintptr_t)m;
	memory_bytes = mib * MIB;
	return true;
}

static bool count(const union wire_message *m, unsigned long pages, unsigned long err)
{
	union wire_message a = {0};

	a.counts.vm = m->count.vm;
	a.counts.err = (int32_t)err;
	a.counts.pages_2m = pages;
	return say(connection, &a, WIRE_COUNTS, sizeof(a.counts), m->header.serial);
}

static bool answer(unsigned long pages, unsigned long err)
{
	union wire_message m;

	return hear(connection, WIRE_COUNT, &m) && count(&m, pages, err);
}

static bool answer_nudge(unsigned long result, unsigned long slots)
{
	union wire_message m, a = {0};

	do
		if (!hear_any(connection, &m) || (m.header.type == WIRE_COUNT && !count(&m, 40, 0)))
			return false;
	while (m.header.type != WIRE_NUDGE);
	a.nudged.vm = m.nudge.vm;
	a.nudged.result = (uint32_t)result;
	a.nudged.n_toggled = (uint32_t)slots;
	a.nudged.toggled_bytes = slots * SLOT_MIB * MIB;
	return say(connection, &a, WIRE_NUDGED, sizeof(a.nudged), m.header.serial);
}

static void serve(void)
{
	union wire_message m;

	while (hear_any(connection, &m))
		(void)count(&m, 4000, 0);
}

static bool make_noise(unsigned long bytes)
{
	unsigned char noise[2 * WIRE_MESSAGE_MAX];

	memset(noise, 0xa5, sizeof(noise));
	if (bytes > sizeof(noise))
		bytes = sizeof(noise);
	return send(connection, noise, bytes, MSG_NOSIGNAL) == (ssize_t)bytes;
}

static bool say_unasked(void)
{
	union wire_message m = {0};

	return say(connection, &m, WIRE_COUNTS, sizeof(m.counts), 77);
}

static long flood(unsigned long count)
{
	struct timespec from, to;

	(void)clock_gettime(CLOCK_MONOTONIC, &from);
	for (unsigned long i = 0; i < count; i++)
		if (!say_vm(connection, 0, 0))
			return -1;
	(void)clock_gettime(CLOCK_MONOTONIC, &to);
	return (to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000;
}

static unsigned connect_often(unsigned long count)
{
	static int fds[SWARM_MAX];
	unsigned long n = 0;
	unsigned left = 0;

	for (; n < count && n < SWARM_MAX; n++)
		if ((fds[n] = dial()) < 0 || (n > 0 && !is_closed(fds[n], WAIT_MS) && ++left))
			break;
	for (unsigned long i = 0; i < n; i++) {
		left += i == 0 && !is_closed(fds[i], 0);
		(void)close(fds[i]);
	}
	return left;
}

/* Child: connects, greets, tells, says over the pipe whether it was let in, and stays. */
static void live_in_swarm(int out, bool is_hog)
{
	int fd = dial();
	char is_in = fd >= 0 && greet(fd) ? 'y' : 'n';

	if (is_in == 'y' && is_hog)
		(void)(say_vm(fd, 0, 0) && say_table(fd, 0, WIRE_TABLE_MAX, 0));
	/* What was said is read, and what is refused is closed, before long. */
	if (is_in == 'y' && is_hog && is_closed(fd, 3000))
		is_in = 'n';
	if (write(out, &is_in, 1) == 1)
		for (;;)
			(void)pause();
	_exit(1);
}

static int make_swarm(unsigned long count, bool is_hog)
{
	int fds[2], n_in = 0;
	char is_in;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	for (swarm_size = 0; swarm_size < count && swarm_size < SWARM_MAX; swarm_size++) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			(void)munmap((void *)(uintptr_t)memory, memory_bytes);
			live_in_swarm(fds[1], is_hog);
		}
		swarm[swarm_size] = pid;
	}
	for (unsigned i = 0; i < swarm_size; i++)
		n_in += read(fds[0], &is_in, 1) == 1 && is_in == 'y';
	(void)close(fds[0]);
	(void)close(fds[1]);
	return n_in;
}

static void end_swarm(void)
{
	for (unsigned i = 0; i < swarm_size; i++)
		(void)kill(swarm[i], SIGKILL);
	for (unsigned i = 0; i < swarm_size; i++)
		(void)waitpid(swarm[i], NULL, 0);
	swarm_size = 0;
}

/* Child number i says i things. */
static void live_briefly(unsigned i)
{
	int fd = dial();

	if (fd < 0 || i == 0)
		_exit(0);
	(void)greet(fd);
	if (i > 1)
		(void)say_vm(fd, 0, 0);
	for (unsigned n = 2; n < i; n++)
		(void)say_part(fd, (unsigned long[5]){0, (n - 2) * 64, 64, 640, 0});
	_exit(0);
}

static void make_mortals(unsigned long count)
{
	for (unsigned i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid == 0)
			live_briefly(i % 14);
		if (pid > 0)
			(void)waitpid(pid, NULL, 0);
	}
}

/* A full queue of those who wait to be let in is no failure: connect() waits. */
static long pester(unsigned long count)
{
	for (unsigned long i = 0; i < count; i++) {
		int fd = dial();

		/* Closed at once where the last one has not been noticed to be gone. */
		if (fd < 0)
			return -1;
		(void)greet(fd);
		(void)close(fd);
	}
	return 0;
}

static bool speaks_until_closed(int fd)
{
	for (int i = 0; i < WAIT_MS / 10; i++)
		if (!say_vm(fd, 0, 0) || is_closed(fd, 10))
			return true;
	return false;
}

/* The grandchild has what the child connected. */
static bool is_orphan_closed(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = dial();

		if (fd < 0 || !greet(fd))
			_exit(1);
		if (fork() == 0) {
			(void)kill(getppid(), SIGKILL);
			_exit(speaks_until_closed(fd) ? 0 : 1);
		}
		(void)pause();
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return false;
	return waitpid(-1, &status, 0) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool obey_number(const char *word, const unsigned long a[5])
{
	if (strcmp(word, "grow") == 0)
		return have_memory(a[0]);
	if (strcmp(word, "vm") == 0)
		return say_vm(connection, (uint32_t)a[0], (uint32_t)a[1]);
	if (strcmp(word, "gone") == 0) {
		union wire_message m = {.vm_gone = {.vm = (uint32_t)a[0]}};

		return say(connection, &m, WIRE_VM_GONE, sizeof(m.vm_gone), 0);
	}
	if (strcmp(word, "part") == 0)
		return say_part(connection, a);
	if (strcmp(word, "table") == 0)
		return say_table(connection, a[0], a[1], a[2]);
	if (strcmp(word, "elsewhere") == 0)
		return say_one(connection, (uint32_t)a[0], UINT64_C(0x123456000), 1 << 21);
	if (strcmp(word, "answer") == 0)
		return answer(a[0], a[1]);
	if (strcmp(word, "nudged") == 0)
		return answer_nudge(a[0], a[1]);
	return strcmp(word, "noise") == 0 && make_noise(a[0]);
}

static bool obey_word(const char *word, const unsigned long a[5])
{
	if (strcmp(word, "kvm") == 0)
		return make_kvm();
	if (strcmp(word, "dial") == 0)
		return (connection = dial()) >= 0;
	if (strcmp(word, "connect") == 0)
		return (connection = dial()) >= 0 && greet(connection);
	if (strcmp(word, "honest") == 0)
		return say_vm(connection, 0, 0) && say_one(connection, 0, memory, memory_bytes);
	if (strcmp(word, "answerless") == 0)
		return say_unasked();
	if (strcmp(word, "second") == 0)
		return is_closed(dial(), WAIT_MS);
	if (strcmp(word, "orphan") == 0)
		return is_orphan_closed();
	if (strcmp(word, "closed") == 0)
		return is_closed(connection, WAIT_MS);
	if (strcmp(word, "open") == 0)
		return !is_closed(connection, 0);
	if (strcmp(word, "close") == 0)
		return close(connection) == 0;
	return obey_number(word, a);
}

static void obey(const char *word, const unsigned long a[5], const char *how)
{
	long n = 0;
	bool is_done = true;

	if (strcmp(word, "flood") == 0)
		n = flood(a[0]);
	else if (strcmp(word, "pester") == 0)
		n = pester(a[0]);
	else if (strcmp(word, "many") == 0)
		n = connect_often(a[0]);
	else if (strcmp(word, "swarm") == 0)
		n = make_swarm(a[0], strcmp(how, "hog") == 0);
	else if (strcmp(word, "serve") == 0)
		serve();
	else if (strcmp(word, "unswarm") == 0)
		end_swarm();
	else if (strcmp(word, "mortals") == 0)
		make_mortals(a[0]);
	else
		is_done = obey_word(word, a);
	if (is_done && n >= 0)
		printf("ok %ld\n", n);
	else
		printf("failed: %s\n", strerror(errno));
	(void)fflush(stdout);
}

int main(int argc, char **argv)
{
	char line[256];

	if (argc != 3 || (socket_path = argv[1], !have_memory(strtoul(argv[2], NULL, 10)))) {
		(void)fprintf(stderr, "usage: rude_vmm SOCKET MIB\n");
		return EXIT_FAILURE;
	}
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	puts("ready");
	(void)fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		char word[32] = "", how[32] = "";
		unsigned long a[5] = {0};

		(void)sscanf(line, "%31s %lu %lu %lu %lu %lu", word, &a[0], &a[1], &a[2], &a[3],
			     &a[4]);
		(void)sscanf(line, "%*s %*u %31s", how);
		obey(word, a, how);
	}
	return EXIT_SUCCESS;
}
