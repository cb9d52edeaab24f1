/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A process that keeps whoever wants to read it waiting for as long as it is told to. It has a FUSE
 * file open whose server, this program, does not answer. Two ways:
 *   exec: the file is closed by an execve(), which does not end before the FLUSH is answered;
 *         meanwhile the kernel lets nobody read the process's maps, fds or stat;
 *   lock: a page of the file is read through /proc/PID/mem, which holds the lock of the process's
 *         memory until the READ is answered, and a thread waits to write-lock it, so that no other
 *         reader comes in: command line, smaps and pagemap wait.
 *
 *   hanger FILE MIB exec|lock
 *                 prints "ready PID" of the victim: MIB of small pages, this program's name
 *   stdin: hang     prints "hanging" when the request is there
 *          release  prints "released"; exec: the same program, with memory anew
 *   stdin closed       the victim is killed
 *
 * Works in a mount namespace of its own. Exits 77 where FUSE cannot be mounted. */

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fuse_fd = -1;
static sem_t hung;
static _Atomic uint64_t waiting; /* the request that is not answered */
static _Atomic uint32_t waiting_bytes;
static _Atomic int is_released;

static void reply(uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + size), .error = error, .unique = unique};
	struct iovec parts[] = {{&h, sizeof(h)}, {(void *)(uintptr_t)data, size}};

	if (writev(fuse_fd, parts, 2) < 0)
		perror("hanger: reply");
}

static void make_wait(const struct fuse_in_header *h, uint32_t bytes)
{
	static const char zeros[4096];

	if (is_released) {
		reply(h->unique, 0, zeros, bytes);
		return;
	}
	waiting = h->unique;
	waiting_bytes = bytes;
	sem_post(&hung);
}

static void release(void)
{
	static const char zeros[4096];

	is_released = 1;
	reply(waiting, 0, zeros, waiting_bytes);
}

static void answer(const struct fuse_in_header *h)
{
	const struct fuse_init_out init = {.major = 7, .minor = 31, .max_write = 4096};
	const struct fuse_attr_out attr = {.attr_valid = 1000,
					   .attr = {.ino = 1,
						    .size = 4096,
						    .blocks = 8,
						    .mode = S_IFREG | 0666,
						    .nlink = 1,
						    .blksize = 4096}};
	const struct fuse_open_out open = {.fh = 1};

	switch (h->opcode) {
	case FUSE_INIT:
		reply(h->unique, 0, &init, sizeof(init));
		break;
	case FUSE_GETATTR:
		reply(h->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(h->unique, 0, &open, sizeof(open));
		break;
	case FUSE_FLUSH:
		make_wait(h, 0);
		break;
	case FUSE_READ:
		make_wait(h, 4096);
		break;
	case FUSE_RELEASE:
		reply(h->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(h->unique, -ENOSYS, NULL, 0);
	}
}

static void *serve(void *unused)
{
	static _Alignas(8) char buffer[1 << 20];

	for (;;) {
		ssize_t n = read(fuse_fd, buffer, sizeof(buffer));

		if (n >= (ssize_t)sizeof(struct fuse_in_header))
			answer((const struct fuse_in_header *)(const void *)buffer);
		else if (n < 0 && errno != EINTR && errno != ENOENT)
			return unused;
	}
}

static void hold_memory(size_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		_exit(1);
	(void)madvise(p, bytes, MADV_NOHUGEPAGE);
	memset(p, 1, bytes);
	(void)madvise(p, bytes, MADV_HUGEPAGE);
}

static _Noreturn void stay(const char *mib)
{
	hold_memory((size_t)strtoul(mib, NULL, 10) << 20);
	for (;;)
		(void)pause();
}

static void hang_in_exec(char **argv)
{
	char self[4096];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	self[n < 0 ? 0 : n] = '\0';
	(void)execl(self, argv[0], "--stay", argv[2], (char *)NULL);
}

static int open_file(const char *path)
{
	int file = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;

	/* The kernel asks for the size only now. */
	if (file < 0 || fstat(file, &st) < 0)
		_exit(1);
	return file;
}

/* On order: a page fault by another process, under the lock. */
static void fault_from_outside(const void *page, int orders)
{
	pid_t victim = getpid();
	char path[32], c;
	int memory;

	if (fork() != 0)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)prctl(PR_SET_NAME, "reader");
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)victim);
	memory = open(path, O_RDONLY | O_CLOEXEC);
	(void)!read(orders, &c, 1);
	(void)!pread(memory, &c, 1, (off_t)(uintptr_t)page);
	_exit(0);
}

static void tell_ready(int ready)
{
	if (write(ready, "x", 1) != 1)
		_exit(1);
}

static _Atomic unsigned mappings_made;

static void *map_without_end(void *unused)
{
	for (;;) {
		void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		(void)munmap(p, 4096);
		mappings_made++;
		(void)usleep(1000);
	}
	return unused;
}

static bool are_mappings_made(void)
{
	unsigned before = mappings_made;

	(void)usleep(1000 * 1000);
	return mappings_made != before;
}

/* Under its name only when it hangs: nobody shall have identified it before. From then on this
 * thread may touch nothing that it has not touched since the fork: a page fault would hang, too. */
static void hang_in_lock(const char *file, const char *name, int orders, int ready)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, open_file(file), 0);
	pthread_t mapper;

	if (page == MAP_FAILED)
		_exit(1);
	fault_from_outside(page, orders);
	if (pthread_create(&mapper, NULL, map_without_end, NULL) != 0)
		_exit(1);
	/* Once round, so that all is touched, before any order can come. */
	if (!are_mappings_made())
		_exit(1);
	tell_ready(ready);
	while (are_mappings_made())
		;
	(void)prctl(PR_SET_NAME, name);
	for (;;)
		(void)pause();
}

static _Noreturn void be_victim(char **argv, int orders, int ready)
{
	const char *slash = strrchr(argv[0], '/');
	bool is_lock = strcmp(argv[3], "lock") == 0;
	char c;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)close(fuse_fd); /* else its own requests would outlive the server */
	if (is_lock)
		(void)prctl(PR_SET_NAME, "calm");
	hold_memory((size_t)strtoul(argv[2], NULL, 10) << 20);
	if (is_lock)
		hang_in_lock(argv[1], slash ? slash + 1 : argv[0], orders, ready);
	tell_ready(ready);
	if (read(orders, &c, 1) != 1)
		_exit(1);
	(void)open_file(argv[1]);
	hang_in_exec(argv);
	_exit(1);
}

static int mount_fuse(const char *file)
{
	char options[128];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -1;
	fuse_fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=100666,user_id=%u,group_id=0", fuse_fd,
		 (unsigned)getuid());
	return fuse_fd < 0 ? -1 : mount("hanger", file, "fuse", MS_NOSUID | MS_NODEV, options);
}

static void obey(int orders)
{
	char line[64];

	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "hang\n") == 0) {
			if (write(orders, "x", 1) != 1)
				return;
			while (sem_wait(&hung) < 0)
				;
			puts("hanging");
		} else if (strcmp(line, "release\n") == 0) {
			release();
			puts("released");
		}
		(void)fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	pthread_t server;
	pid_t victim;
	int orders[2], ready[2];
	char c;

	if (argc == 3 && strcmp(argv[1], "--stay") == 0)
		stay(argv[2]);
	if (argc != 4)
		return 2;
	if (mount_fuse(argv[1]) < 0) {
		perror("hanger: FUSE");
		return 77;
	}
	if (pipe2(orders, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0 ||
	    sem_init(&hung, 0, 0) < 0)
		return 1;
	victim = fork();
	if (victim == 0)
		be_victim(argv, orders[0], ready[1]);
	if (victim < 0 || pthread_create(&server, NULL, serve, NULL) != 0)
		return 1;
	(void)close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		return 1;
	printf("ready %d\n", (int)victim);
	(void)fflush(stdout);
	obey(orders[1]);
	(void)kill(victim, SIGKILL);
	return 0; /* the end of /dev/fuse lets it die */
}
