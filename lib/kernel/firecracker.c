/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: with track_dirty_pages Firecracker sets KVM_MEM_LOG_DIRTY_PAGES on all of
 * its memslots when it makes them, and has no way to take it back (KERNEL.md 6.4). It is told so by
 * its configuration file, by PUT and PATCH of /machine-config on its API socket, or when it loads a
 * snapshot. Only the first is read here. The socket serves one connection at a time, and what its
 * owner wants while thpd asks would wait: so it is left alone, and what was said there is unknown.
 *
 * The file is the VMM's own claim, and hostile: it is looked up beneath the process's root, nothing
 * is opened but a regular file whose mode lets the process read it (or else its command line would
 * make thpd read for it what it may not; the folders above are not asked), and all that comes of it
 * is one bit, by which thpd does less for that VM. */
#include "firecracker.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "procfs.h"
#include "qmp.h"

enum { CMDLINE_BYTES_MAX = 64 << 10 };

struct arguments {
	char config_file[PATH_MAX]; /* "": none */
	bool is_without_api;
};

static bool is_blank(const char *text, size_t size)
{
	struct scanner rest = {.at = text, .end = text + size};

	while (rest.at < rest.end && strchr(" \t\r\n", *rest.at) && *rest.at != '\0')
		rest.at++;
	return rest.at == rest.end;
}

/* By the bounded parser of answers of QEMU: its bounds do for this as well. */
enum answer firecracker_read_config(const char *text, size_t size)
{
	struct json_object *config = NULL, *value;
	ssize_t taken = qmp_parse(text, size, &config);
	enum answer answer = ANSWER_UNKNOWN;

	if (taken >= 0 && is_blank(text + taken, size - (size_t)taken)) {
		value = qmp_member(qmp_member(config, "machine-config"), "track_dirty_pages");
		answer = json_object_is_type(value, json_type_boolean) &&
					 json_object_get_boolean(value)
				 ? ANSWER_YES
				 : ANSWER_NO;
	}
	(void)json_object_put(config);
	return answer;
}

/* What follows "--" is nobody's option. */
static void read_arguments(const char *text, size_t size, struct arguments *ret)
{
	struct scanner s = {.at = text, .end = text + size}, argument, value;

	while (cmdline_next(&s, &argument)) {
		size_t n;

		if (cmdline_is_option(argument, ""))
			return;
		ret->is_without_api |= cmdline_is_option(argument, "no-api");
		if (!cmdline_is_option(argument, "config-file") || !cmdline_next(&s, &value))
			continue;
		n = (size_t)(value.end - value.at);
		if (n == 0 || n >= sizeof(ret->config_file))
			return;
		memcpy(ret->config_file, value.at, n);
		ret->config_file[n] = '\0';
	}
}

/* As the process would find it, but never outside of its root, and through no magic link: those are
 * thpd's own, or lead out. A relative path has to stay below where the process is. */
static int hold(const struct process *p, const char *path)
{
	bool is_absolute = path[0] == '/';
	_cleanup_close_ int top =
		openat(p->dirfd, is_absolute ? "root" : "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve =
			RESOLVE_NO_MAGICLINKS | (is_absolute ? RESOLVE_IN_ROOT : RESOLVE_BENEATH),
	};
	long fd;

	if (top < 0)
		return -errno;
	fd = syscall(SYS_openat2, top, path, &how, sizeof(how));
	return fd < 0 ? -errno : (int)fd;
}

/* Files of procfs and tracefs have no size: some are emptied by whoever reads them. */
static bool may_be_read_by(const struct stat *st, uid_t uid)
{
	return S_ISREG(st->st_mode) && st->st_size > 0 &&
	       st->st_size <= FIRECRACKER_CONFIG_BYTES_MAX &&
	       ((st->st_mode & S_IROTH) || st->st_uid == uid);
}

static enum answer read_file(const struct process *p, uid_t uid, const char *path)
{
	_cleanup_close_ int held_fd = hold(p, path), fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t size;

	if (held_fd < 0 || fstat(held_fd, &st) < 0 || !may_be_read_by(&st, uid))
		return ANSWER_UNKNOWN;
	fd = sys_reopen(held_fd, O_RDONLY);
	if (fd < 0 || sys_read_all(fd, FIRECRACKER_CONFIG_BYTES_MAX, &text, &size) < 0)
		return ANSWER_UNKNOWN;
	return firecracker_read_config(text, size);
}

enum answer firecracker_is_logged_for_life(const struct process *p, uid_t uid)
{
	struct arguments arguments = {.config_file = ""};
	_cleanup_free_ char *text = NULL;
	enum answer answer;
	size_t size;

	if (sys_read_all_at(p->dirfd, "cmdline", CMDLINE_BYTES_MAX, &text, &size) < 0)
		return ANSWER_UNKNOWN;
	read_arguments(text, size, &arguments);
	if (!arguments.config_file[0])
		return ANSWER_UNKNOWN;
	answer = read_file(p, uid, arguments.config_file);
	return answer == ANSWER_NO && !arguments.is_without_api ? ANSWER_UNKNOWN : answer;
}
