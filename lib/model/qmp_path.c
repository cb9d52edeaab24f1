/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool qmp_path_is_form(const char *form)
{
	if (form[0] != '/')
		return false;
	for (const char *c = form; *c; c++) {
		if (*c < ' ' || *c > '~')
			return false;
		if (*c != '%')
			continue;
		c++;
		if (*c == '\0' || !strchr("nup%", *c))
			return false;
	}
	return true;
}

/* What stands for %which; pid: room for a number. NULL: the VM has nothing that may stand there. */
static const char *value_of(char which, const struct vm *vm, char pid[16])
{
	const char *text = which == 'n' ? vm->name : vm->uuid;

	if (which == '%')
		return "%";
	if (which == 'p') {
		(void)snprintf(pid, 16, "%d", (int)vm->pid);
		return pid;
	}
	return text[0] == '\0' || text[0] == '.' || strchr(text, '/') ? NULL : text;
}

static bool put(char *ret, size_t size, size_t *used, const char *text, size_t n)
{
	if (n >= size - *used)
		return false;
	memcpy(ret + *used, text, n);
	*used += n;
	ret[*used] = '\0';
	return true;
}

/* ".../domain-12-name/monitor.sock": it serves one client, and libvirt must never find it taken. */
static bool is_of_libvirt(const char *path)
{
	static const char name[] = "/monitor.sock", directory[] = "/domain-";
	size_t n = strlen(path), m = sizeof(name) - 1;
	const char *end = n > m ? path + n - m : path, *start = end;

	if (strcmp(end, name) != 0)
		return false;
	while (start > path && *--start != '/')
		;
	return strncmp(start, directory, sizeof(directory) - 1) == 0;
}

int qmp_path(const char *form, const struct vm *vm, char *ret, size_t size)
{
	size_t used = 0;
	char pid[16];

	if (form[0] == '\0')
		return -ENODATA;
	if (!qmp_path_is_form(form))
		return -EINVAL;
	for (const char *c = form; *c; c++) {
		const char *text = c;
		size_t n = 1;

		if (*c == '%') {
			text = value_of(*++c, vm, pid);
			if (!text)
				return -EINVAL;
			n = strlen(text);
		}
		if (!put(ret, size, &used, text, n))
			return -ENAMETOOLONG;
	}
	return is_of_libvirt(ret) ? -EPERM : 0;
}
