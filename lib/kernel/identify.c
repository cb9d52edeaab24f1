/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "descriptors.h"
#include "inventory.h"
#include "memcg.h"
#include "memdevs.h"
#include "procfs.h"
#include "qemu_nodes.h"

/* QEMU under libvirt has some ten thousand characters; the kernel would pass millions. */
enum { CMDLINE_BYTES_MAX = 256 << 10 };

static int read_comm(const struct process *p, struct vm *vm)
{
	char text[64];
	ssize_t n = sys_read_at(p->dirfd, "comm", text, sizeof(text));

	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	vm_sanitize(vm->comm, sizeof(vm->comm), text);
	return 0;
}

static void read_exe(const struct process *p, struct vm *vm)
{
	char target[512];

	if (sys_readlink_at(p->dirfd, "exe", target, sizeof(target)) > 0)
		vm_sanitize(vm->exe, sizeof(vm->exe), target);
}

/* "Mems_allowed_list:	0-1". The kernel can have 1024 nodes; of a list that is cut the last number
 * would be another one. */
static void take_allowed_nodes(struct scanner rest, struct vm *vm)
{
	char text[4096];
	int n;

	scan_blanks(&rest);
	n = snprintf(text, sizeof(text), "%.*s", (int)(rest.end - rest.at), rest.at);
	if (n < 0 || (size_t)n >= sizeof(text) || node_set_parse(text, &vm->allowed_nodes) < 0)
		vm->allowed_nodes = 0;
}

static bool scan_number(struct scanner *s, uint64_t *ret)
{
	scan_blanks(s);
	return scan_u64(s, ret);
}

/* "Uid:	real effective saved fs": who the process acts as is the effective one. */
static void judge_status_line(struct scanner line, struct vm *vm)
{
	uint64_t value;

	if (scan_text(&line, "Mems_allowed_list:")) {
		take_allowed_nodes(line, vm);
	} else if (scan_text(&line, "Uid:")) {
		if (scan_number(&line, &value) && scan_number(&line, &value))
			vm->uid = (uid_t)value;
	} else if (scan_text(&line, "THP_enabled:")) {
		if (scan_number(&line, &value))
			vm->is_thp_disabled = value == 0;
	}
}

static int read_status(const struct process *p, struct vm *vm)
{
	char text[16384];
	ssize_t n = sys_read_at(p->dirfd, "status", text, sizeof(text));
	struct scanner s = {.at = text, .end = text + (n > 0 ? n : 0)}, line;

	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	while (scan_line(&s, &line))
		judge_status_line(line, vm);
	return 0;
}

static void read_cgroup(const struct process *p, struct vm *vm)
{
	char path[512], machine[512], name[512];
	bool is_unified;

	if (memcg_read_paths(p, path, machine, sizeof(path), &is_unified) < 0)
		return;
	/* The path that names the machine is the one to match and to show. */
	vm_sanitize(vm->cgroup, sizeof(vm->cgroup), machine[0] ? machine : path);
	if (cgroup_parse_machine(machine, name, sizeof(name)))
		vm_sanitize(vm->name, sizeof(vm->name), name);
}

static bool is_qemu(const struct vm *vm)
{
	const char *slash = strrchr(vm->exe, '/');
	const char *program = slash ? slash + 1 : vm->exe;

	return strstr(program, "qemu") || strstr(program, "kvm");
}

/* It waits for a migration, or starts from an image: its guest ran before. */
static bool is_to_be_restored(const char *text, size_t size)
{
	struct scanner s = {.at = text, .end = text + size}, argument;

	while (cmdline_next(&s, &argument))
		if (cmdline_is_option(argument, "incoming") ||
		    cmdline_is_option(argument, "loadvm") || cmdline_is_option(argument, "restore"))
			return true;
	return false;
}

/* libvirt's own monitor, which serves nobody else. */
static bool is_monitor_of_libvirt(struct scanner value)
{
	struct scanner option;

	while (cmdline_next_option(&value, &option))
		if (scan_text(&option, "chardev=charmonitor") && option.at == option.end)
			return true;
	return false;
}

static bool is_guest_node(struct scanner value)
{
	struct scanner option;

	return cmdline_next_option(&value, &option) && memdevs_is_node(option);
}

/* What else QEMU was told that matters here. */
static void take_qemu_options(const char *text, size_t size, struct vm *vm)
{
	struct scanner s = {.at = text, .end = text + size}, argument, value;
	size_t n_nodes = 0;

	vm->is_of_libvirt = false;
	while (cmdline_next(&s, &argument)) {
		if (cmdline_is_option(argument, "mon") && cmdline_next(&s, &value))
			vm->is_of_libvirt |= is_monitor_of_libvirt(value);
		else if (cmdline_is_option(argument, "numa") && cmdline_next(&s, &value))
			n_nodes += is_guest_node(value);
	}
	vm->has_guest_nodes = n_nodes > 1;
}

static void take_cmdline(const char *text, size_t size, struct vm *vm)
{
	char name[VM_TEXT_MAX], uuid[sizeof(vm->uuid)];

	cmdline_parse_qemu(text, size, name, sizeof(name), uuid, sizeof(uuid));
	vm_sanitize(vm->uuid, sizeof(vm->uuid), uuid);
	vm->bound_nodes = qemu_bound_nodes(text, size);
	vm->is_restored = is_to_be_restored(text, size);
	take_qemu_options(text, size, vm);
	if (vm->name[0] == '\0')
		vm_sanitize(vm->name, sizeof(vm->name), name);
}

/* The command line is the process's own memory: it says what the process likes, and reading it may
 * fault there. So it is read of QEMU and of processes that hold a KVM VM only. The buffer is a
 * mapping of its own, because a scout must not allocate. */
static void read_cmdline(const struct process *p, struct vm *vm)
{
	char *text;
	ssize_t n;

	if (!vm->has_kvm && !is_qemu(vm))
		return;
	text = mmap(NULL, CMDLINE_BYTES_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	if (text == MAP_FAILED)
		return;
	n = sys_read_at(p->dirfd, "cmdline", text, CMDLINE_BYTES_MAX);
	if (n > 0)
		take_cmdline(text, (size_t)n, vm);
	(void)munmap(text, CMDLINE_BYTES_MAX);
}

static void read_ksm(const struct process *p, struct vm *vm)
{
	char text[32];
	ssize_t n = sys_read_at(p->dirfd, "ksm_merging_pages", text, sizeof(text));

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	if (n <= 0 || parse_u64(text, &vm->ksm_merged_pages) < 0)
		vm->ksm_merged_pages = 0;
}

/* All but what the command line says. The name is set where the cgroup has one. */
static int read_facts(struct sys *sys, const struct process *p, struct vm *vm)
{
	struct descriptors d;
	int r = read_comm(p, vm);

	if (r == 0)
		r = read_status(p, vm);
	if (r == 0)
		r = descriptors_read(p->dirfd, &d);
	if (r < 0)
		return r;
	vm->has_kvm = d.has_kvm;
	vm->has_uffd = d.has_uffd;
	vm->has_vfio = d.has_vfio;
	vm->has_sev = descriptors_are_of_pinned(&d);
	read_exe(p, vm);
	read_cgroup(p, vm);
	read_ksm(p, vm);
	return process_is_alive(sys, p) ? 0 : -ESRCH;
}

int vm_identify(struct sys *sys, const struct process *p, struct vm *ret)
{
	struct vm vm = {
		.pid = p->pid,
		.starttime = p->starttime,
		.memcg_headroom_bytes = UINT64_MAX,
		.age_ns = UINT64_MAX,
	};
	int r = read_facts(sys, p, &vm);

	if (r < 0)
		return r;
	read_cmdline(p, &vm);
	if (vm.name[0] == '\0')
		vm_sanitize(vm.name, sizeof(vm.name), vm.comm);
	*ret = vm;
	return 0;
}

int vm_refresh(struct sys *sys, const struct process *p, struct vm *vm)
{
	struct vm fresh = *vm;
	int r;

	fresh.is_thp_disabled = false;
	fresh.allowed_nodes = 0;
	fresh.age_ns = process_age_ns(sys, p);
	r = read_facts(sys, p, &fresh);
	if (r < 0)
		return r;
	*vm = fresh;
	return 0;
}

bool process_is_smaller_than(struct sys *sys, pid_t pid, uint64_t bytes)
{
	uint64_t size_pages, resident_pages;
	char path[32], text[256];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "proc/%d/statm", (int)pid);
	n = sys_read_at(sys->rootfd, path, text, sizeof(text));
	/* What is gone holds nothing. */
	if (n < 0 || statm_parse(text, (size_t)n, &size_pages, &resident_pages) < 0)
		return true;
	return size_pages < bytes / sys->ops->page_bytes(sys);
}
