/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The last slot of the smallest KVM: the others are the commands'. */
enum { HOME_SLOT = 31 };

static int ask(int fd, unsigned long request, void *arg)
{
	int r = ioctl(fd, request, arg);

	return r < 0 ? -errno : r;
}

int machine_ask(const struct machine *m, unsigned long request, void *arg)
{
	return ask(m->vm_fd, request, arg);
}

/* --- set up ----------------------------------------------------------------------------------- */

static int set_home(struct machine *m)
{
	uint8_t *home = mmap(NULL, GUEST_HOME_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct kvm_userspace_memory_region slot = {
		.slot = HOME_SLOT,
		.guest_phys_addr = GUEST_CODE,
		.memory_size = GUEST_HOME_BYTES,
		.userspace_addr = (uintptr_t)home,
	};

	if (home == MAP_FAILED)
		return -errno;
	/* Else a fork (a pager's) takes the guest's mappings of it away. */
	if (madvise(home, GUEST_HOME_BYTES, MADV_DONTFORK) < 0)
		return -errno;
	memcpy(home, guest_code, (size_t)(guest_code_end - guest_code));
	m->page = (struct guest_page *)(void *)(home + GUEST_PAGE - GUEST_CODE);
	return machine_ask(m, KVM_SET_USER_MEMORY_REGION, &slot);
}

static int set_registers(const struct machine *m)
{
	const struct kvm_segment flat = {
		.limit = UINT32_MAX, .present = 1, .db = 1, .s = 1, .g = 1};
	struct kvm_regs registers = {.rip = GUEST_CODE, .rflags = 2};
	struct kvm_sregs special;
	int r = ask(m->vcpu_fd, KVM_GET_SREGS, &special);

	special.cs = special.ds = flat;
	special.cs.type = 11; /* code, read, accessed */
	special.ds.type = 3;  /* data, written, accessed */
	special.cs.selector = 8;
	special.ds.selector = 16;
	special.es = special.fs = special.gs = special.ss = special.ds;
	special.cr0 |= 1;      /* protected mode */
	special.cr4 |= 1 << 4; /* 4 MiB pages, for a guest of its own (nest.h) */
	r = r < 0 ? r : ask(m->vcpu_fd, KVM_SET_SREGS, &special);
	return r < 0 ? r : ask(m->vcpu_fd, KVM_SET_REGS, &registers);
}

/* All that KVM has, the guest has: SVM is among it. */
static int set_features(const struct machine *m, int kvm_fd)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + ENTRIES * sizeof(struct kvm_cpuid_entry2));
	int r;

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = ENTRIES;
	r = ask(kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
	r = r < 0 ? r : ask(m->vcpu_fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return r;
}

static int set_vcpu(struct machine *m, int kvm_fd)
{
	int bytes = ask(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, NULL), khz, r;

	m->vcpu_fd = machine_ask(m, KVM_CREATE_VCPU, NULL);
	if (m->vcpu_fd < 0 || bytes < 0)
		return m->vcpu_fd < 0 ? m->vcpu_fd : bytes;
	m->run = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->vcpu_fd, 0);
	if (m->run == MAP_FAILED)
		return -errno;
	khz = ask(m->vcpu_fd, KVM_GET_TSC_KHZ, NULL);
	m->khz = khz > 0 ? (uint32_t)khz : 1;
	r = set_features(m, kvm_fd);
	return r < 0 ? r : set_registers(m);
}

int machine_new(struct machine *m, bool is_initially_set)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = {KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET},
	};
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), r;

	if (kvm_fd < 0)
		return -errno;
	*m = (struct machine){.vm_fd = ask(kvm_fd, KVM_CREATE_VM, NULL),
			      .lock = PTHREAD_MUTEX_INITIALIZER,
			      .changed = PTHREAD_COND_INITIALIZER};
	if (m->vm_fd < 0)
		return m->vm_fd;
	m->stats_fd = machine_ask(m, KVM_GET_STATS_FD, NULL);
	/* Intel only, harmless elsewhere: three pages that nobody else uses. */
	r = machine_ask(m, KVM_SET_TSS_ADDR, (void *)(uintptr_t)0xfffbd000);
	if (r == 0 && is_initially_set)
		r = machine_ask(m, KVM_ENABLE_CAP, &cap);
	r = r < 0 ? r : set_home(m);
	r = r < 0 ? r : set_vcpu(m, kvm_fd);
	return m->stats_fd < 0 ? m->stats_fd : r;
}

/* --- running ---------------------------------------------------------------------------------- */

/* The vCPU thread waits here while the machine is paused. */
static void wait_paused(struct machine *m)
{
	(void)pthread_mutex_lock(&m->lock);
	m->is_still = true;
	(void)pthread_cond_broadcast(&m->changed);
	while (m->is_paused)
		(void)pthread_cond_wait(&m->changed, &m->lock);
	m->is_still = false;
	(void)pthread_mutex_unlock(&m->lock);
}

/* One pass: 0, -errno, or the exit reason. */
static int run_pass(struct machine *m)
{
	int r;

	do {
		r = ask(m->vcpu_fd, KVM_RUN, NULL);
		if (r == -EINTR)
			wait_paused(m);
	} while (r == -EINTR || r == -EAGAIN);
	if (r == 0 && m->run->exit_reason == KVM_EXIT_IO && m->run->io.port == GUEST_PORT)
		return 0;
	return r < 0 ? r : (int)m->run->exit_reason;
}

/* The guest comes back after each pass, so that it can be told to end. */
static void *vcpu_thread(void *userdata)
{
	struct machine *m = userdata;

	do
		m->outcome = run_pass(m);
	while (m->outcome == 0 && m->is_repeated &&
	       !__atomic_load_n(&m->is_halted, __ATOMIC_ACQUIRE));
	return NULL;
}

int machine_begin(struct machine *m, const struct guest_page *task, bool is_repeated)
{
	int r;

	if (m->is_running)
		return -EBUSY;
	*m->page = *task;
	m->is_repeated = is_repeated;
	m->is_halted = false;
	r = pthread_create(&m->vcpu, NULL, vcpu_thread, m);
	if (r != 0)
		return -r;
	(void)pthread_setname_np(m->vcpu, "CPU 0/KVM");
	m->is_running = true;
	return 0;
}

int machine_end(struct machine *m)
{
	if (!m->is_running)
		return -ESRCH;
	__atomic_store_n(&m->is_halted, true, __ATOMIC_RELEASE);
	(void)pthread_join(m->vcpu, NULL);
	m->is_running = false;
	return m->outcome;
}

static void do_nothing(int signal)
{
	(void)signal;
}

/* The flag takes it out of KVM_RUN or keeps it from going in, the signal makes it look. */
void machine_pause(struct machine *m)
{
	(void)sigaction(SIGUSR1, &(struct sigaction){.sa_handler = do_nothing}, NULL);
	(void)pthread_mutex_lock(&m->lock);
	m->is_paused = true;
	__atomic_store_n(&m->run->immediate_exit, 1, __ATOMIC_RELEASE);
	(void)pthread_kill(m->vcpu, SIGUSR1);
	while (!m->is_still)
		(void)pthread_cond_wait(&m->changed, &m->lock);
	(void)pthread_mutex_unlock(&m->lock);
}

void machine_resume(struct machine *m)
{
	(void)pthread_mutex_lock(&m->lock);
	__atomic_store_n(&m->run->immediate_exit, 0, __ATOMIC_RELEASE);
	m->is_paused = false;
	(void)pthread_cond_broadcast(&m->changed);
	(void)pthread_mutex_unlock(&m->lock);
}

/* --- counters --------------------------------------------------------------------------------- */

static int read_at(int fd, void *into, size_t bytes, uint64_t offset)
{
	ssize_t n = pread(fd, into, bytes, (off_t)offset);

	return n < 0 ? -errno : (size_t)n == bytes ? 0 : -EIO;
}

/* The file: a header, the descriptors with their names, then the data that they point into. */
static int read_counter(int fd, const struct kvm_stats_header *h, const char *name, uint64_t *ret)
{
	const size_t bytes = sizeof(struct kvm_stats_desc) + h->name_size;
	union {
		struct kvm_stats_desc desc;
		char bytes[256];
	} d = {.bytes = ""};
	int r = bytes < sizeof(d) ? 0 : -E2BIG;

	for (uint32_t i = 0; r == 0 && i < h->num_desc; i++) {
		r = read_at(fd, &d, bytes, h->desc_offset + i * bytes);
		if (r == 0 && strncmp(d.desc.name, name, h->name_size) == 0)
			return read_at(fd, ret, sizeof(*ret), h->data_offset + d.desc.offset);
	}
	return r < 0 ? r : -ENOENT;
}

int machine_count_pages(const struct machine *m, uint64_t ret_counts[3])
{
	static const char *const names[] = {"pages_4k", "pages_2m", "pages_1g"};
	struct kvm_stats_header header;
	int r = read_at(m->stats_fd, &header, sizeof(header), 0);

	for (size_t i = 0; r == 0 && i < 3; i++)
		r = read_counter(m->stats_fd, &header, names[i], &ret_counts[i]);
	return r;
}
