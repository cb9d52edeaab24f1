/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "entries.h"

#include <dirent.h>
#include <errno.h>
#include <sys/types.h>

int entries_visit(int dir, entries_visitor *visit, void *userdata)
{
	_Alignas(struct dirent64) char buffer[8192];
	ssize_t size;

	while ((size = getdents64(dir, buffer, sizeof(buffer))) > 0) {
		const char *at = buffer, *end = buffer + size;

		while (at < end) {
			const struct dirent64 *entry = (const struct dirent64 *)(const void *)at;

			at += entry->d_reclen;
			if (entry->d_name[0] != '.' && !visit(userdata, dir, entry->d_name))
				return 0;
		}
	}
	return size < 0 ? -errno : 0;
}
