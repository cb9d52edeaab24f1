/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "inspect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "align.h"
#include "answer.h"
#include "bits.h"
#include "cleanup.h"
#include "extents.h"
#include "json_add.h"
#include "layout_checkup.h"
#include "layout_json.h"
#include "storagefacts.h"

int inspect_host(struct sys *ret, const char **ret_why)
{
	int r = sys_open_host(ret);

	return r < 0 ? answer_fail(ret_why, r, "The host's files could not be opened.") : 0;
}

void inspection_clear(struct inspection *i)
{
	layout_clear(&i->layout);
	alignment_clear(&i->huge);
	alignment_clear(&i->gigantic);
	free(i->mappings);
}

/* Without O_NONBLOCK the open of a FIFO would wait. It is taken away again: on Linux 6.1 io_uring
 * answers -EAGAIN for ever to who reads a DAX file with it. */
int inspect_open_any(const char *path, int access, const char **ret_why)
{
	int fd = open(path, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? answer_fail(ret_why, -errno, "The file cannot be opened.") : fd;
}

int inspect_open(const char *path, int access, const char **ret_why)
{
	_cleanup_close_ int fd = inspect_open_any(path, access, ret_why);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return answer_fail(ret_why, -EINVAL, "This is no regular file.");
	if (fcntl(fd, F_SETFL, 0) < 0)
		return answer_fail(ret_why, -errno, "The file cannot be read in the ordinary way.");
	return TAKE_FD(fd);
}

int inspect(struct sys *sys, int fd, struct inspection *i, const char **ret_why)
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

int inspection_answer(const struct inspection *i, const struct effort *e, char **ret_json,
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
