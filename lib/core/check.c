/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check.h"

#include "bits.h"
#include "names.h"

const char *check_result_name(enum check_result result)
{
	static const char *const names[] = {[CHECK_OK] = "ok",
					    [CHECK_NOTE] = "note",
					    [CHECK_WARN] = "warn",
					    [CHECK_FAIL] = "fail"};

	return name_of(names, ARRAY_SIZE(names), result);
}

struct check *check_next(struct check_list *list, const char *id, enum check_result result,
			 const char *cure)
{
	struct check *check =
		&list->items[list->n_items < CHECKS_MAX ? list->n_items++ : CHECKS_MAX - 1];

	*check = (struct check){.id = id, .result = result, .cure = cure};
	return check;
}
