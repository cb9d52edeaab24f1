/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* thpd.h: files and devices of guests looked at. What makes or changes files is in thpd_dax_make.c.
 */
#include "thpd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "align.h"
#include "answer.h"
#include "cleanup.h"
#include "devdax.h"
#include "device_checkup.h"
#include "extents.h"
#include "filemaps.h"
#include "inspect.h"
#include "json_add.h"
#include "layout_json.h"
#include "probe.h"
#include "storagefacts.h"
#include "users.h"

static const struct mmu_geometry geometry = {.base_shift = 12, .pmd_order = 9, .pud_order = 18};

static int check_file(struct sys *sys, const char *path, char **ret_json, const char **ret_why)
{
	_cleanup_(inspection_clear) struct inspection inspection = {0};
	_cleanup_close_ int fd = inspect_open(path, O_RDONLY, ret_why);
	int r = fd;

	if (r >= 0)
		r = inspect(sys, fd, &inspection, ret_why);
	if (r < 0)
		return r;
	r = filemaps_read(sys, fd, &inspection.mappings, &inspection.n_mappings);
	return r < 0 ? answer_fail(ret_why, r, "The processes cannot be listed.")
		     : inspection_answer(&inspection, &(struct effort){0}, ret_json, ret_why);
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
	_cleanup_close_ int fd = inspect_open_any(path, O_RDONLY, ret_why);
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
	int r = inspect_host(&sys, ret_why);

	if (r < 0)
		return r;
	if (open_device(&sys, path, &device) == 0)
		return check_device(&sys, path, &device, ret_json, ret_why);
	return check_file(&sys, path, ret_json, ret_why);
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
	_cleanup_close_ int fd = inspect_open(path, O_RDONLY, ret_why);
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
	int r = inspect_host(&sys, ret_why);

	if (r < 0)
		return r;
	return find_users(&sys, path, ret_json, ret_why);
}

enum { PROBE_BYTES_MAX = 1 << 30 };

static int probe(struct sys *sys, const char *path, struct probe *ret, const char **ret_why)
{
	_cleanup_(inspection_clear) struct inspection inspection = {0};
	_cleanup_close_ int fd = inspect_open(path, O_RDONLY, ret_why);
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
	int r = inspect_host(&sys, ret_why);

	if (r < 0)
		return r;
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
	_cleanup_close_ int fd = inspect_open(path, O_RDONLY, ret_why);
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
	int r = inspect_host(&sys, ret_why);

	if (r < 0)
		return r;
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
