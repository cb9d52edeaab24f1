/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "thpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "align.h"
#include "answer.h"
#include "bits.h"
#include "cleanup.h"
#include "devdax.h"
#include "device_checkup.h"
#include "extents.h"
#include "filemaps.h"
#include "json_add.h"
#include "layout_checkup.h"
#include "layout_json.h"
#include "prepare.h"
#include "probe.h"
#include "realign.h"
#include "space.h"
#include "storagefacts.h"
#include "users.h"

/* x86-64's, and what DAX maps by elsewhere with pages of 4 KiB. */
enum { HUGE_BYTES = 2 << 20, GIGANTIC_BYTES = 1 << 30 };

static const struct mmu_geometry geometry = {.base_shift = 12, .pmd_order = 9, .pud_order = 18};

/* A file, all that is known of it, and the judgement. */
struct inspection {
	struct storage storage;
	struct layout layout;
	struct alignment huge, gigantic;
	struct mapping *mappings; /* owned; of who has it mapped now, where that was asked */
	size_t n_mappings;
};

static void inspection_clear(struct inspection *i)
{
	layout_clear(&i->layout);
	alignment_clear(&i->huge);
	alignment_clear(&i->gigantic);
	free(i->mappings);
}

/* Without O_NONBLOCK the open of a FIFO would wait. It is taken away again: on Linux 6.1 io_uring
 * answers -EAGAIN for ever to who reads a DAX file with it. */
static int open_any(const char *path, int access, const char **ret_why)
{
	int fd = open(path, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? answer_fail(ret_why, -errno, "The file cannot be opened.") : fd;
}

static int open_file(const char *path, int access, const char **ret_why)
{
	_cleanup_close_ int fd = open_any(path, access, ret_why);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return answer_fail(ret_why, -EINVAL, "This is no regular file.");
	if (fcntl(fd, F_SETFL, 0) < 0)
		return answer_fail(ret_why, -errno, "The file cannot be read in the ordinary way.");
	return TAKE_FD(fd);
}

static int inspect(struct sys *sys, int fd, struct inspection *i, const char **ret_why)
{
	int r = storage_read(sys, fd, &i->storage);

	if (r < 0)
		return answer_fail(ret_why, r, "The file system does not answer.");
	r = extents_read(fd, i->storage.base_bytes, &i->layout);
	if (r < 0)
		return answer_fail(ret_why, r, "The file system does not tell the file's extents.");
	r = align_judge(&i->layout, HUGE_BYTES, &i->huge);
	if (r == 0)
		r = align_judge(&i->layout, GIGANTIC_BYTES, &i->gigantic);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

static int fill_answer(struct json_object *object, const struct inspection *i)
{
	struct check_list checks;
	int r = json_add_u64(object, "size_bytes", i->layout.size_bytes);

	layout_checkup(&i->storage, &i->huge, &(struct mapping_list){i->mappings, i->n_mappings},
		       &checks);
	if (r == 0)
		r = json_add_u64(object, "extents", i->layout.n_extents);
	if (r == 0)
		r = json_add_bool(object, "aligned", alignment_is_whole(&i->huge));
	if (r == 0)
		r = json_add_bool(object, "mapping_applies", layout_decides_mappings(&i->storage));
	if (r == 0)
		r = json_add(object, "storage", storage_to_json(&i->storage));
	if (r == 0)
		r = json_add(object, "huge", alignment_to_json(&i->huge));
	if (r == 0)
		r = json_add(object, "gigantic", alignment_to_json(&i->gigantic));
	if (r == 0)
		r = json_add(object, "pieces", pieces_to_json(&i->huge));
	if (r == 0)
		r = json_add(object, "mappings",
			     mappings_to_json(i->mappings, i->n_mappings, i->huge.unit));
	return r < 0 ? r : json_add(object, "checks", answer_checks(&checks));
}

/* What was done to come to the answer; what is 0 is not told. */
struct effort {
	uint64_t searched_bytes, to_move_bytes, moved_bytes, copied_bytes;
	bool is_replaced; /* a copy has taken the file's place */
};

static int add_effort(struct json_object *object, const struct effort *e)
{
	const struct {
		const char *key;
		uint64_t bytes;
	} items[] = {
		{"searched_bytes", e->searched_bytes},
		{"to_move_bytes", e->to_move_bytes},
		{"moved_bytes", e->moved_bytes},
		{"copied_bytes", e->copied_bytes},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(items); i++)
		if (items[i].bytes > 0)
			r = json_add_u64(object, items[i].key, items[i].bytes);
	if (r == 0 && e->is_replaced)
		r = json_add_bool(object, "replaced", true);
	return r;
}

/* The answer of every function here: the file as it is now, and what it took. */
static int answer_inspection(const struct inspection *i, const struct effort *e, char **ret_json,
			     const char **ret_why)
{
	_cleanup_(answer_putp) struct json_object *object = json_object_new_object();
	int r = object ? fill_answer(object, i) : -ENOMEM;

	if (r == 0)
		r = add_effort(object, e);
	if (r == 0)
		r = answer_take_text(TAKE_PTR(object), ret_json);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

static int check_file(struct sys *sys, const char *path, char **ret_json, const char **ret_why)
{
	_cleanup_(inspection_clear) struct inspection inspection = {0};
	_cleanup_close_ int fd = open_file(path, O_RDONLY, ret_why);
	int r = fd;

	if (r >= 0)
		r = inspect(sys, fd, &inspection, ret_why);
	if (r < 0)
		return r;
	r = filemaps_read(sys, fd, &inspection.mappings, &inspection.n_mappings);
	return r < 0 ? answer_fail(ret_why, r, "The processes cannot be listed.")
		     : answer_inspection(&inspection, &(struct effort){0}, ret_json, ret_why);
}

static int fill_device(struct json_object *object, const struct dax_device *d,
		       const struct mapping_list *mappings)
{
	struct check_list checks;
	int r = json_add_u64(object, "size_bytes", d->bytes);

	device_checkup(d, mappings, &geometry, &checks);
	if (r == 0)
		r = json_add_u64(object, "align_bytes", d->align_bytes);
	if (r == 0 && d->address != DAX_ADDRESS_UNKNOWN)
		r = json_add_address(object, "address", d->address);
	if (r == 0 && d->node >= 0)
		r = json_add_u64(object, "node", (uint64_t)d->node);
	if (r == 0)
		r = json_add_bool(object, "aligned", !dax_device_is_small(d, d->bytes, &geometry));
	if (r == 0)
		r = json_add(object, "mappings",
			     mappings_to_json(mappings->items, mappings->n_items, d->align_bytes));
	return r < 0 ? r : json_add(object, "checks", answer_checks(&checks));
}

static int check_device(struct sys *sys, const char *path, const struct dax_device *d,
			char **ret_json, const char **ret_why)
{
	_cleanup_(answer_putp) struct json_object *object = json_object_new_object();
	_cleanup_close_ int fd = open_any(path, O_RDONLY, ret_why);
	_cleanup_free_ struct mapping *mappings = NULL;
	size_t n_mappings = 0;
	int r = fd;

	if (fd < 0)
		return r;
	r = filemaps_read(sys, fd, &mappings, &n_mappings);
	if (r < 0)
		return answer_fail(ret_why, r, "The processes cannot be listed.");
	r = object ? fill_device(object, d, &(struct mapping_list){mappings, n_mappings}) : -ENOMEM;
	if (r == 0)
		r = answer_take_text(TAKE_PTR(object), ret_json);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

/* Of other devices an open can have effects: what it is is asked first. */
static int open_device(struct sys *sys, const char *path, struct dax_device *ret)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);

	return fd < 0 ? -errno : devdax_read_open(sys, fd, ret);
}

int thpd_dax_check(const char *path, char **ret_json, const char **ret_why)
{
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	struct dax_device device;
	int r = sys_open_host(&sys);

	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	if (open_device(&sys, path, &device) == 0)
		return check_device(&sys, path, &device, ret_json, ret_why);
	return check_file(&sys, path, ret_json, ret_why);
}

static int check_request(const char *path, uint64_t size_bytes, uint64_t unit, const char **ret_why)
{
	if (unit != HUGE_BYTES && unit != GIGANTIC_BYTES)
		return answer_fail(ret_why, -EINVAL, "The alignment is neither 2M nor 1G.");
	if (size_bytes == 0 || !is_aligned(size_bytes, unit) || size_bytes > INT64_MAX / 2)
		return answer_fail(ret_why, -EINVAL,
				   "The size is not a multiple of the alignment.");
	if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return answer_fail(ret_why, -EEXIST,
				   "The file exists already, and is never replaced.");
	return 0;
}

static int make_aligned(struct sys *sys, int fd, uint64_t size_bytes, uint64_t unit,
			uint64_t *ret_searched, const char **ret_why)
{
	struct storage storage;
	int r = storage_read(sys, fd, &storage);

	if (r < 0)
		return answer_fail(ret_why, r, "The file system does not answer.");
	if (storage.filesystem == FILESYSTEM_OTHER)
		return answer_fail(ret_why, -EOPNOTSUPP,
				   "Only XFS and ext4 let a file be given aligned space.");
	r = prepare_aligned(fd, &storage, unit, size_bytes, ret_searched);
	if (r == -ENOSPC)
		return answer_fail(ret_why, r,
				   "The free space, without a hundredth that is left alone, does "
				   "not hold so many aligned pieces.");
	return r < 0 ? answer_fail(ret_why, r, "The file system refused the space.") : 0;
}

/* Named only when it is whole and on the medium: what is cut off before leaves nothing. */
static int create(struct sys *sys, const char *path, uint64_t size_bytes, uint64_t unit,
		  char **ret_json, const char **ret_why)
{
	_cleanup_(inspection_clear) struct inspection inspection = {0};
	_cleanup_close_ int fd = space_open_unnamed(path);
	struct effort effort = {0};
	int r = fd;

	if (r < 0)
		return answer_fail(ret_why, r, "No file can be made in that directory.");
	r = make_aligned(sys, fd, size_bytes, unit, &effort.searched_bytes, ret_why);
	if (r == 0)
		r = inspect(sys, fd, &inspection, ret_why);
	if (r < 0)
		return r;
	if ((unit == HUGE_BYTES ? &inspection.huge : &inspection.gigantic)
		    ->by_state[PIECE_ALIGNED] != size_bytes)
		return answer_fail(ret_why, -EIO,
				   "The file system did not keep the pieces as it had told them.");
	r = space_sync(fd);
	if (r == 0)
		r = space_name(fd, path);
	if (r < 0)
		return answer_fail(ret_why, r, "The file cannot be given its name.");
	return answer_inspection(&inspection, &effort, ret_json, ret_why);
}

int thpd_dax_create(const char *path, uint64_t size_bytes, uint64_t unit_bytes, char **ret_json,
		    const char **ret_why)
{
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	int r = check_request(path, size_bytes, unit_bytes, ret_why);

	if (r < 0)
		return r;
	r = sys_open_host(&sys);
	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	return create(&sys, path, size_bytes, unit_bytes, ret_json, ret_why);
}

static const struct relocation_limits limits = {.batch_bytes = 256 << 20, .move_bytes = 16 << 20};

static int plan_moves(const struct inspection *i, const struct thpd_dax_request *request,
		      struct moves *ret, const char **ret_why)
{
	const struct alignment *a = request->unit_bytes == HUGE_BYTES ? &i->huge : &i->gigantic;
	int r = relocate_plan(a, request->holes ? RELOCATE_HOLES : RELOCATE_MISPLACED, &limits,
			      ret);

	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

static int realign_opened(struct sys *sys, const char *path, int fd,
			  const struct thpd_dax_request *request, char **ret_json,
			  const char **ret_why)
{
	_cleanup_(inspection_clear) struct inspection before = {0}, after = {0};
	_cleanup_(moves_clear) struct moves moves = MOVES_INIT;
	struct realign realign = {.sys = sys,
				  .fd = fd,
				  .path = path,
				  .storage = &before.storage,
				  .alignment = request->unit_bytes == HUGE_BYTES ? &before.huge
										 : &before.gigantic,
				  .unit = request->unit_bytes,
				  .fills_holes = request->holes,
				  .is_copying = request->copy,
				  .new_fd = -EBADF,
				  .progress = request->progress,
				  .userdata = request->userdata};
	_cleanup_close_ int new_fd = -EBADF;
	struct effort effort;
	int r = realign_hold(&realign);

	if (r < 0)
		return answer_fail(ret_why, r, realign.why);
	r = inspect(sys, fd, &before, ret_why);
	if (r == 0)
		r = plan_moves(&before, request, &moves, ret_why);
	if (r < 0)
		return r;
	if (!request->dry_run)
		r = realign_run(&realign, &moves);
	new_fd = realign.new_fd;
	if (r < 0)
		return answer_fail(ret_why, r, realign.why);
	r = inspect(sys, new_fd >= 0 ? new_fd : fd, &after, ret_why);
	if (r < 0)
		return r;
	effort = (struct effort){.to_move_bytes = moves.bytes,
				 .moved_bytes = realign.moved_bytes,
				 .copied_bytes = realign.copied_bytes,
				 .is_replaced = new_fd >= 0};
	return answer_inspection(&after, &effort, ret_json, ret_why);
}

static struct json_object *user_to_json(const struct file_user *user)
{
	struct json_object *object = json_object_new_object();
	int r = object ? json_add_u64(object, "pid", (uint64_t)user->pid) : -ENOMEM;

	if (r == 0)
		r = json_add_bool(object, "open", user->has_open);
	if (r == 0)
		r = json_add_bool(object, "mapped", user->has_mapped);
	return json_filled(object, r);
}

static int find_users(struct sys *sys, const char *path, char **ret_json, const char **ret_why)
{
	_cleanup_free_ struct file_user *users = NULL;
	_cleanup_close_ int fd = open_file(path, O_RDONLY, ret_why);
	struct json_object *array;
	size_t n;
	int r;

	if (fd < 0)
		return fd;
	r = users_find(sys, fd, &users, &n);
	if (r < 0)
		return answer_fail(ret_why, r, "The processes cannot be listed.");
	array = json_object_new_array();
	r = array ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = json_append(array, user_to_json(&users[i]));
	array = json_filled(array, r);
	return answer_take_text(array, ret_json) < 0
		       ? answer_fail(ret_why, -ENOMEM, ANSWER_NO_MEMORY)
		       : 0;
}

int thpd_dax_users(const char *path, char **ret_json, const char **ret_why)
{
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	int r = sys_open_host(&sys);

	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	return find_users(&sys, path, ret_json, ret_why);
}

static char *path_of(int fd)
{
	char self[32];

	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return realpath(self, NULL);
}

int thpd_dax_realign(const char *path, const struct thpd_dax_request *request, char **ret_json,
		     const char **ret_why)
{
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	_cleanup_free_ char *real = NULL;
	_cleanup_close_ int fd = -EBADF;
	int r;

	if (request->unit_bytes != HUGE_BYTES && request->unit_bytes != GIGANTIC_BYTES)
		return answer_fail(ret_why, -EINVAL, "The alignment is neither 2M nor 1G.");
	r = sys_open_host(&sys);
	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	fd = open_file(path, O_RDWR, ret_why);
	if (fd < 0)
		return fd;
	/* What is made for it has to lie beside the file itself, not beside a link to it. */
	real = path_of(fd);
	if (!real)
		return answer_fail(ret_why, -ENOENT, "The file has no name.");
	return realign_opened(&sys, real, fd, request, ret_json, ret_why);
}

int thpd_dax_hint(const char *directory, uint64_t unit_bytes, const char **ret_why)
{
	_cleanup_close_ int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (fd < 0)
		return answer_fail(ret_why, -errno, "The directory cannot be opened.");
	r = space_hint(fd, unit_bytes);
	if (r == -EOPNOTSUPP)
		return answer_fail(ret_why, r,
				   "The file system takes no hint for the size of extents.");
	return r < 0 ? answer_fail(ret_why, r, "The hint for the size of extents cannot be set.")
		     : 0;
}

enum { PROBE_BYTES_MAX = 1 << 30 };

static int probe(struct sys *sys, const char *path, struct probe *ret, const char **ret_why)
{
	_cleanup_(inspection_clear) struct inspection inspection = {0};
	_cleanup_close_ int fd = open_file(path, O_RDONLY, ret_why);
	int r = fd;

	if (r >= 0)
		r = inspect(sys, fd, &inspection, ret_why);
	if (r < 0)
		return r;
	if (inspection.storage.is_dax != ANSWER_YES)
		return answer_fail(ret_why, -EOPNOTSUPP, "The file is not mapped directly (DAX).");
	r = probe_file(fd, &inspection.huge, PROBE_BYTES_MAX, ret);
	return r < 0 ? answer_fail(ret_why, r, "The file cannot be mapped and read.") : 0;
}

int thpd_dax_probe(const char *path, char **ret_json, const char **ret_why)
{
	_cleanup_(answer_putp) struct json_object *object = json_object_new_object();
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	struct probe p = {0};
	int r = sys_open_host(&sys);

	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	r = probe(&sys, path, &p, ret_why);
	if (r < 0)
		return r;
	r = object ? json_add_u64(object, "tried_bytes", p.tried_bytes) : -ENOMEM;
	if (r == 0)
		r = json_add_u64(object, "huge_bytes", p.huge_bytes);
	if (r == 0)
		r = answer_take_text(TAKE_PTR(object), ret_json);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

enum { SUMS_EXTENTS_MAX = 32768 };

static int read_sums(struct sys *sys, const char *path, struct alignment *ret, const char **ret_why)
{
	_cleanup_(layout_clear) struct layout layout = LAYOUT_INIT;
	_cleanup_close_ int fd = open_file(path, O_RDONLY, ret_why);
	struct storage storage;
	int r = fd;

	if (r < 0)
		return r;
	r = storage_read(sys, fd, &storage);
	if (r == 0)
		r = extents_read_range(fd, storage.base_bytes, 0, INT64_MAX, SUMS_EXTENTS_MAX,
				       &layout);
	if (r == -EFBIG)
		return answer_fail(ret_why, r,
				   "The file is in too many pieces to be checked in passing.");
	if (r < 0)
		return answer_fail(ret_why, r, "The file system does not tell the file's extents.");
	r = align_judge(&layout, HUGE_BYTES, ret);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}

int thpd_dax_sums(const char *path, char **ret_json, const char **ret_why)
{
	_cleanup_(answer_putp) struct json_object *object = json_object_new_object();
	_cleanup_(alignment_clear) struct alignment sums = ALIGNMENT_INIT;
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	int r = sys_open_host(&sys);

	if (r < 0)
		return answer_fail(ret_why, r, "The host's files could not be opened.");
	r = read_sums(&sys, path, &sums, ret_why);
	if (r < 0)
		return r;
	r = object ? json_add_u64(object, "size_bytes", sums.size_bytes) : -ENOMEM;
	if (r == 0)
		r = json_add_bool(object, "aligned", alignment_is_whole(&sums));
	if (r == 0)
		r = json_add(object, "huge", alignment_to_json(&sums));
	if (r == 0)
		r = answer_take_text(TAKE_PTR(object), ret_json);
	return r < 0 ? answer_fail(ret_why, r, ANSWER_NO_MEMORY) : 0;
}
