/* SPDX-License-Identifier: GPL-2.0-or-later */
/* maps as a hostile process would have it: what is accepted must be a mapping inside the text. */
#include <stdlib.h>

#include "backing.h"
#include "procfs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char mountinfo[] = "1 1 0:23 / /dev/shm rw - tmpfs tmpfs rw\n"
				"1 1 259:1 / /pmem rw - xfs /dev/pmem0 rw,dax\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct scanner s = {text, text + size}, line, name;
	struct mounts m = {0};

	if (mounts_parse(&m, mountinfo, sizeof(mountinfo) - 1, true) < 0 ||
	    mounts_parse(&m, text, size, true) < 0)
		abort();
	while (scan_line(&s, &line)) {
		struct maps_line l;

		if (!maps_parse_line(line, &l))
			continue;
		if (l.start >= l.end || l.path < line.at || l.path + l.path_size != line.end)
			abort();
		if (mapping_backing(&l, &m) >= BACKING_MAX)
			abort();
		if (mapping_is_devdax(&l, &name) && (name.at < l.path || name.end > line.end))
			abort();
		(void)mapping_may_be_ram(&l, 1 << 20);
		(void)mapping_is_unlinked_or_memfd(&l);
	}
	mounts_clear(&m);
	return 0;
}
