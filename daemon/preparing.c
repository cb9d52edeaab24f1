/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Theory of operation. A directory is watched by inotify; a name that was made, moved in or closed
 * after writing waits until nothing more has happened to it for a while, and is then opened without
 * following a link. What it is from then on is the open file, whatever the name leads to: those who
 * may write here may be guests' users. The file is checked, and given space if that is wanted and
 * nobody has it open; who opens it in the middle gets it at once. One that somebody has is tried
 * again, less and less often, or when it is closed (postponed.h). All of it one after the other:
 * nothing here is in a hurry. */
#include "preparing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>
#include <unistd.h>

#include "array.h"
#include "bits.h"
#include "cleanup.h"
#include "config.h"
#include "entries.h"
#include "examine.h"
#include "log.h"
#include "postponed.h"
#include "signals.h"
#include "sys.h"
#include "thpd.h"

enum {
	HUGE_BYTES = 2 << 20,
	QUIET_US = 2000000,  /* nothing happened to a file for so long */
	RETRY_US = 10000000, /* for a directory that is not there */
	WAITING_MAX = 4096,
	DONE_MAX = 1024,
};

/* Which file, and of which moment; of a directory the moment is left out. */
struct identity {
	uint32_t dev_major, dev_minor;
	uint64_t ino;
	struct statx_timestamp ctime;
};

/* Not held open, so that its file system can be unmounted; what is there now is compared. */
struct directory {
	char *path; /* owned */
	struct identity identity;
	sd_event_source *watch; /* NULL: it is not there, or not any more */
};

struct waiting {
	size_t directory;
	char name[256];
	uint64_t due_us;
};

struct preparing {
	sd_event *event;
	const char *config_dir;
	struct config config;
	struct directory *directories; /* owned; their number stays until a reload */
	size_t n_directories;
	struct waiting *waiting; /* owned */
	size_t n_waiting;
	struct postponed_list postponed;
	/* What was done with, as it was then: thpd's own opening and closing is an event, too. A
	 * ring. */
	struct identity done[DONE_MAX];
	size_t n_done;
	struct tally tally;
	bool has_overflowed;
	sd_event_source *timer;
};

static uint64_t now_us(const struct preparing *p)
{
	uint64_t us = 0;

	(void)sd_event_now(p->event, CLOCK_MONOTONIC, &us);
	return us;
}

static void tell_status(const struct preparing *p)
{
	size_t n_watched = 0;

	for (size_t i = 0; i < p->n_directories; i++)
		n_watched += p->directories[i].watch != NULL;
	(void)sd_notifyf(0,
			 "STATUS=%zu of %zu directories watched; files found right: %llu, off: "
			 "%llu; %llu were given space",
			 n_watched, p->n_directories, (unsigned long long)p->tally.right,
			 (unsigned long long)p->tally.off,
			 (unsigned long long)p->tally.given_space);
}

/* ---- one file -------------------------------------------------------------------------- */

static bool read_identity(int fd, struct statx *ret)
{
	/* Not synced: a file system that a user has mounted here must not be asked. */
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, ret) == 0;
}

static struct identity identity_of(const struct statx *st)
{
	return (struct identity){st->stx_dev_major, st->stx_dev_minor, st->stx_ino, st->stx_ctime};
}

static bool is_same(const struct identity *a, const struct identity *b)
{
	return a->dev_major == b->dev_major && a->dev_minor == b->dev_minor && a->ino == b->ino;
}

static bool is_done(const struct preparing *p, const struct identity *i)
{
	for (size_t k = 0; k < p->n_done && k < DONE_MAX; k++)
		if (is_same(&p->done[k], i) && p->done[k].ctime.tv_sec == i->ctime.tv_sec &&
		    p->done[k].ctime.tv_nsec == i->ctime.tv_nsec)
			return true;
	return false;
}

/* Small files have no piece to be aligned; one with other names may be somebody else's. */
static bool is_of_interest(const struct statx *st, const struct directory *d)
{
	const struct identity i = identity_of(st);

	return S_ISREG(st->stx_mode) && st->stx_nlink == 1 && st->stx_size >= HUGE_BYTES &&
	       i.dev_major == d->identity.dev_major && i.dev_minor == d->identity.dev_minor;
}

static int open_directory(const struct directory *d)
{
	_cleanup_close_ int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct identity i;
	struct statx st;

	if (fd < 0 || !read_identity(fd, &st))
		return -ENOENT;
	i = identity_of(&st);
	return is_same(&i, &d->identity) ? TAKE_FD(fd) : -ENOENT;
}

/* Not the loop's time: looking at the file took its own. */
static uint64_t clock_us(void)
{
	struct timespec t = {0};

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Somebody has it: when to try again. 0: done. */
static uint64_t examine_held(struct preparing *p, const struct waiting *w, int fd)
{
	const struct directory *d = &p->directories[w->directory];
	char path[32], clean[256], shown[CONFIG_PATHS_MAX + sizeof(clean)];
	struct statx st;
	uint64_t until_us = 0;
	int r;

	vm_sanitize(clean, sizeof(clean), w->name);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	(void)snprintf(shown, sizeof(shown), "%s/%s", d->path, clean);
	r = examine(path, shown, p->config.may_preallocate, &p->tally);
	if (r == -EBUSY &&
	    postponed_add(&p->postponed, w->directory, w->name, clock_us(), &until_us))
		log_info("%s: not given space while it is in use", shown);
	else if (r != -EBUSY && read_identity(fd, &st))
		p->done[p->n_done++ % DONE_MAX] = identity_of(&st);
	tell_status(p);
	return until_us;
}

/* When to visit it again. 0: done. */
static uint64_t visit(struct preparing *p, const struct waiting *w)
{
	const struct directory *d = &p->directories[w->directory];
	_cleanup_close_ int dir = open_directory(d);
	_cleanup_close_ int fd =
		dir < 0 ? -EBADF : openat(dir, w->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct identity i;
	struct statx st;

	if (fd < 0 || !read_identity(fd, &st) || !is_of_interest(&st, d))
		return 0;
	i = identity_of(&st);
	return is_done(p, &i) ? 0 : examine_held(p, w, fd);
}

/* ---- what waits ------------------------------------------------------------------------ */

static void wake_at(struct preparing *p, uint64_t us)
{
	uint64_t then = UINT64_MAX;
	int enabled = SD_EVENT_OFF;

	(void)sd_event_source_get_enabled(p->timer, &enabled);
	(void)sd_event_source_get_time(p->timer, &then);
	if (enabled != SD_EVENT_OFF && then <= us)
		return;
	(void)sd_event_source_set_time(p->timer, us);
	(void)sd_event_source_set_enabled(p->timer, SD_EVENT_ONESHOT);
}

/* At that time at the earliest; one that waits already waits anew. */
static void await_until(struct preparing *p, size_t directory, const char *name, uint64_t due_us)
{
	struct waiting w = {.directory = directory, .due_us = due_us};

	wake_at(p, w.due_us);
	for (size_t i = 0; i < p->n_waiting; i++)
		if (p->waiting[i].directory == directory && strcmp(p->waiting[i].name, name) == 0) {
			p->waiting[i].due_us = w.due_us;
			return;
		}
	(void)snprintf(w.name, sizeof(w.name), "%s", name);
	if (p->n_waiting < WAITING_MAX && ARRAY_APPEND(&p->waiting, &p->n_waiting, &w) == 0)
		return;
	if (!p->has_overflowed)
		log_warning("too many new files at once: not all are checked");
	p->has_overflowed = true;
}

/* Hidden names are those of files in the making, thpd's own among them. */
static void await(struct preparing *p, size_t directory, const char *name)
{
	struct waiting w;

	if (name[0] == '.' || strlen(name) >= sizeof(w.name))
		return;
	postponed_touch(&p->postponed, directory, name, now_us(p));
	await_until(p, directory, name,
		    max_u64(now_us(p) + QUIET_US, postponed_until(&p->postponed, directory, name)));
}

static void visit_one(struct preparing *p, const struct waiting *w)
{
	uint64_t again_us;

	if (!p->directories[w->directory].watch)
		return;
	again_us = visit(p, w);
	if (again_us == 0)
		postponed_remove(&p->postponed, w->directory, w->name);
	else
		await_until(p, w->directory, w->name, again_us);
}

static void visit_due(struct preparing *p)
{
	uint64_t now = now_us(p);

	for (size_t i = 0; i < p->n_waiting;) {
		struct waiting w = p->waiting[i];

		if (w.due_us > now) {
			wake_at(p, w.due_us);
			i++;
			continue;
		}
		p->waiting[i] = p->waiting[--p->n_waiting];
		visit_one(p, &w);
	}
	if (p->n_waiting == 0)
		p->has_overflowed = false;
}

/* ---- directories ----------------------------------------------------------------------- */

static void forget_watch(struct directory *d)
{
	d->watch = sd_event_source_disable_unref(d->watch);
}

static struct directory *find_directory(struct preparing *p, const sd_event_source *watch)
{
	for (size_t i = 0; i < p->n_directories; i++)
		if (p->directories[i].watch == watch)
			return &p->directories[i];
	return NULL;
}

struct listing {
	struct preparing *preparing;
	size_t directory;
};

static bool await_listed(void *userdata, int dir, const char *name)
{
	const struct listing *l = userdata;

	(void)dir;
	await(l->preparing, l->directory, name);
	return true;
}

/* What was made while nobody watched. */
static void list(struct preparing *p, const struct directory *d)
{
	struct listing l = {p, (size_t)(d - p->directories)};
	_cleanup_close_ int fd = open_directory(d);

	if (fd >= 0)
		(void)entries_visit(fd, await_listed, &l);
}

static void lose(struct preparing *p, struct directory *d)
{
	log_warning("%s is not there any more", d->path);
	forget_watch(d);
	tell_status(p);
}

static int on_change(sd_event_source *source, const struct inotify_event *e, void *userdata)
{
	struct preparing *p = userdata;
	struct directory *d = find_directory(p, source);

	if (!d)
		return 0;
	if (e->mask & (IN_IGNORED | IN_UNMOUNT | IN_DELETE_SELF | IN_MOVE_SELF)) {
		lose(p, d);
	} else if (e->mask & IN_Q_OVERFLOW) {
		list(p, d);
	} else if (e->len > 0) {
		await(p, (size_t)(d - p->directories), e->name);
	}
	return 0;
}

static void hint(const struct directory *d)
{
	const char *why = NULL;
	int r = thpd_dax_hint(d->path, HUGE_BYTES, &why);

	if (r == -EOPNOTSUPP)
		log_info("%s: %s", d->path, why);
	else if (r < 0)
		log_warning("%s: %s %s", d->path, why ? why : "", strerror(-r));
}

static int watch(struct preparing *p, struct directory *d)
{
	const uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF |
			      IN_MOVE_SELF | IN_EXCL_UNLINK | IN_ONLYDIR;
	_cleanup_close_ int fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statx st;
	int r;

	if (fd < 0)
		return -errno;
	if (!read_identity(fd, &st))
		return -EIO;
	r = sd_event_add_inotify(p->event, &d->watch, d->path, mask, on_change, p);
	if (r < 0)
		return r;
	d->identity = identity_of(&st);
	hint(d);
	list(p, d);
	log_info("watching %s", d->path);
	return 0;
}

/* Something else was mounted there since, or is not any more. */
static bool has_changed(const struct directory *d)
{
	_cleanup_close_ int fd = open_directory(d);

	return fd < 0;
}

/* File systems come and go: asked again and again, but told once. */
static void watch_all(struct preparing *p, bool is_first)
{
	for (size_t i = 0; i < p->n_directories; i++) {
		struct directory *d = &p->directories[i];
		int r;

		if (d->watch && has_changed(d))
			lose(p, d);
		r = d->watch ? 0 : watch(p, d);
		if (r < 0 && is_first)
			log_warning("%s cannot be watched yet: %s", d->path, strerror(-r));
	}
	if (p->n_directories > 0)
		wake_at(p, now_us(p) + RETRY_US);
	tell_status(p);
}

static int on_timer(sd_event_source *source, uint64_t us, void *userdata)
{
	struct preparing *p = userdata;

	(void)source;
	(void)us;
	visit_due(p);
	watch_all(p, false);
	return 0;
}

/* ---- the configuration ----------------------------------------------------------------- */

static void forget_directories(struct preparing *p)
{
	for (size_t i = 0; i < p->n_directories; i++) {
		forget_watch(&p->directories[i]);
		free(p->directories[i].path);
	}
	free(p->directories);
	free(p->waiting);
	postponed_clear(&p->postponed);
	p->directories = NULL;
	p->waiting = NULL;
	p->n_directories = p->n_waiting = p->n_done = 0;
}

static int add_directory(struct preparing *p, const char *word, size_t size)
{
	struct directory d = {.path = strndup(word, size)};
	int r = d.path ? ARRAY_APPEND(&p->directories, &p->n_directories, &d) : -ENOMEM;

	if (r < 0)
		free(d.path);
	return r;
}

static int take_directories(struct preparing *p)
{
	static const char blanks[] = " \t";
	const char *word = p->config.prepare_directories;
	int r = 0;

	for (word += strspn(word, blanks); r == 0 && *word; word += strspn(word, blanks)) {
		size_t n = strcspn(word, blanks);

		r = add_directory(p, word, n);
		word += n;
	}
	return r;
}

/* Problems of other sections are told by the daemon that goes by them. */
static int load(struct preparing *p)
{
	struct config config;
	int r = config_load(p->config_dir, &config);

	if (r < 0)
		return r;
	for (size_t i = 0; i < config.n_problems; i++)
		if (strstr(config.problems[i].text, "[DAX]"))
			log_warning("%s", config.problems[i].text);
	config_clear(&p->config);
	p->config = config;
	forget_directories(p);
	r = take_directories(p);
	if (r < 0)
		return r;
	if (p->n_directories == 0)
		log_warning("nothing to do: PrepareDirectories= in section [DAX] of thpd.conf "
			    "names no directory");
	watch_all(p, true);
	return 0;
}

/* ---- life ------------------------------------------------------------------------------ */

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	(void)source;
	(void)si;
	(void)sd_notify(0, "RELOADING=1");
	if (load(userdata) < 0)
		log_error("out of memory while reading the configuration");
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int add_sources(struct preparing *p)
{
	int r = signals_take(p->event, on_reload, p);

	if (r == 0)
		r = sd_event_add_time(p->event, &p->timer, CLOCK_MONOTONIC, UINT64_MAX, 0, on_timer,
				      p);
	return r < 0 ? r : 0;
}

static int serve(struct preparing *p)
{
	int r = sd_event_default(&p->event);

	if (r >= 0)
		r = add_sources(p);
	if (r == 0)
		r = load(p);
	if (r == 0) {
		(void)sd_notify(0, "READY=1");
		r = sd_event_loop(p->event);
	}
	if (r < 0)
		log_error("stopped: %s", strerror(-r));
	return r;
}

int preparing_run(const char *config_dir)
{
	struct preparing p = {.config_dir = config_dir};
	int r = serve(&p);

	forget_directories(&p);
	config_clear(&p.config);
	(void)sd_event_source_disable_unref(p.timer);
	(void)sd_event_unref(p.event);
	return r;
}
