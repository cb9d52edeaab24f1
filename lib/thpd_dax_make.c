/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* thpd.h: files of guests made, given space and realigned. */
#include "thpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "answer.h"
#include "bits.h"
#include "cleanup.h"
#include "inspect.h"
#include "prepare.h"
#include "realign.h"
#include "space.h"
#include "storagefacts.h"

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
	return inspection_answer(&inspection, &effort, ret_json, ret_why);
}

int thpd_dax_create(const char *path, uint64_t size_bytes, uint64_t unit_bytes, char **ret_json,
		    const char **ret_why)
{
	_cleanup_(sys_close) struct sys sys = SYS_INIT;
	int r = check_request(path, size_bytes, unit_bytes, ret_why);

	if (r < 0)
		return r;
	r = inspect_host(&sys, ret_why);
	if (r < 0)
		return r;
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
	return inspection_answer(&after, &effort, ret_json, ret_why);
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
	r = inspect_host(&sys, ret_why);
	if (r < 0)
		return r;
	fd = inspect_open(path, O_RDWR, ret_why);
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
