/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "array.h"
#include "cleanup.h"
#include "entries.h"
#include "parse.h"
#include "scout.h"

/* An honest process answers within a millisecond. */
enum { DEADLINE_MS = 1000 };

struct identity {
	uint32_t major, minor;
	uint64_t inode;
};

struct subject {
	pid_t pid;
	struct identity file;
};

struct search {
	struct identity file;
	bool is_found;
};

static bool read_identity(int dir, const char *name, int flags, struct identity *ret)
{
	struct statx st;

	/* Not synced: a file system of the process's own must not be asked. */
	if (statx(dir, name, flags | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_INO, &st) < 0)
		return false;
	*ret = (struct identity){st.stx_dev_major, st.stx_dev_minor, st.stx_ino};
	return true;
}

static bool match(void *userdata, int dir, const char *name)
{
	struct search *s = userdata;
	struct identity i;

	s->is_found = read_identity(dir, name, 0, &i) && i.inode == s->file.inode &&
		      i.major == s->file.major && i.minor == s->file.minor;
	return !s->is_found;
}

/* The links of /proc/PID/fd or /proc/PID/map_files. */
static bool has_link_to(struct sys *sys, pid_t pid, const char *what, const struct identity *file)
{
	struct search s = {.file = *file};
	_cleanup_close_ int dir = -EBADF;
	char path[64];

	(void)snprintf(path, sizeof(path), "proc/%d/%s", (int)pid, what);
	dir = sys_open_directory_at(sys->rootfd, path);
	if (dir >= 0)
		(void)entries_visit(dir, match, &s);
	return s.is_found;
}

static void ask(struct sys *sys, const void *subjects, size_t index, struct scout_report *ret)
{
	const struct subject *s = (const struct subject *)subjects + index;

	ret->has_file_open = has_link_to(sys, s->pid, "fd", &s->file);
	ret->has_file_mapped = has_link_to(sys, s->pid, "map_files", &s->file);
}

struct listing {
	struct subject *items; /* owned */
	size_t n_items;
	struct identity file;
	int error;
};

static bool list_one(void *userdata, int dir, const char *name)
{
	struct listing *l = userdata;
	struct subject s = {.file = l->file};

	(void)dir;
	if (parse_pid(name, &s.pid) == 0 && s.pid != getpid())
		l->error = ARRAY_APPEND(&l->items, &l->n_items, &s);
	return l->error == 0;
}

static int list_processes(struct sys *sys, int fd, struct listing *l)
{
	_cleanup_close_ int proc = sys_open_directory_at(sys->rootfd, "proc");
	int r;

	if (proc < 0)
		return proc;
	if (!read_identity(fd, "", AT_EMPTY_PATH, &l->file))
		return -errno;
	r = entries_visit(proc, list_one, l);
	return r < 0 ? r : l->error;
}

/* Hears what the scout says until it is silent; *next is the one that is not answered for. */
static int hear(const struct scout *scout, const struct listing *l, size_t *next,
		struct file_user **users, size_t *n_users)
{
	struct pollfd p = {.fd = scout->reports_fd, .events = POLLIN};
	struct scout_report report;

	while (*next < l->n_items && poll(&p, 1, DEADLINE_MS) > 0) {
		struct file_user user;
		int r = scout_hear(scout, &report);

		if (r != 1 || report.index >= l->n_items)
			break;
		*next = report.index + 1;
		user = (struct file_user){l->items[report.index].pid, report.has_file_open,
					  report.has_file_mapped};
		if ((user.has_open || user.has_mapped) && ARRAY_APPEND(users, n_users, &user) < 0)
			return -ENOMEM;
	}
	return 0;
}

int users_find(struct sys *sys, int fd, struct file_user **ret, size_t *ret_n)
{
	_cleanup_free_ struct file_user *users = NULL;
	struct listing l = {.items = NULL};
	size_t n_users = 0, next = 0;
	int r = list_processes(sys, fd, &l);

	while (r == 0 && next < l.n_items) {
		struct scout scout = SCOUT_INIT;
		size_t first = next;

		r = scout_send(sys, ask, l.items, next, l.n_items, &scout);
		if (r == 0)
			r = hear(&scout, &l, &next, &users, &n_users);
		scout_recall(&scout);
		/* The one that kept it waiting is passed over. */
		if (next == first || next < l.n_items)
			next++;
	}
	free(l.items);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(users);
	*ret_n = n_users;
	return 0;
}
