/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "choice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "field.h"
#include "format.h"

enum { LIST_MAX = 512, PROBLEM_MAX = 1024 };

static struct json_object *vm_at(struct json_object *status, size_t i)
{
	return json_object_array_get_idx(field_array(status, "vms"), i);
}

static size_t count_vms(struct json_object *status)
{
	return field_array_length(field_array(status, "vms"));
}

static struct json_object *find_by_pid(struct json_object *status, const char *who)
{
	for (size_t i = 0; i < count_vms(status); i++) {
		char text[24];
		uint64_t pid;

		if (!field_u64(vm_at(status, i), "pid", &pid))
			continue;
		(void)snprintf(text, sizeof(text), "%" PRIu64, pid);
		if (strcmp(text, who) == 0)
			return vm_at(status, i);
	}
	return NULL;
}

static bool is_called(struct json_object *vm, const char *who)
{
	return *who && (strcmp(field_text(vm, "name"), who) == 0 ||
			strcasecmp(field_text(vm, "uuid"), who) == 0);
}

int choice_find(struct json_object *status, const char *who, struct json_object **ret)
{
	struct json_object *found = find_by_pid(status, who);

	for (size_t i = 0, n = found ? 0 : count_vms(status); i < n; i++) {
		if (!is_called(vm_at(status, i), who))
			continue;
		if (found)
			return -ENOTUNIQ;
		found = vm_at(status, i);
	}
	if (!found)
		return -ENOENT;
	*ret = found;
	return 0;
}

/* "a, b, c": the VMs that there are, or "none". Not fit for a terminal as it is. */
static void list_known(struct json_object *status, char *list, size_t size)
{
	size_t used = 0;

	(void)snprintf(list, size, "none");
	for (size_t i = 0; i < count_vms(status) && used < size; i++)
		used += (size_t)snprintf(list + used, size - used, "%s%s", i > 0 ? ", " : "",
					 field_text(vm_at(status, i), "name"));
}

void choice_problem(int r, struct json_object *status, const char *who, char *text, size_t size)
{
	char list[LIST_MAX], problem[PROBLEM_MAX];

	list_known(status, list, sizeof(list));
	if (r == -ENOTUNIQ)
		(void)snprintf(problem, sizeof(problem),
			       "Several VMs are called '%.256s'; use the UUID or the pid.", who);
	else
		(void)snprintf(problem, sizeof(problem), "There is no VM '%.256s'. Known: %s.", who,
			       list);
	(void)format_printable(problem, text, size);
}
