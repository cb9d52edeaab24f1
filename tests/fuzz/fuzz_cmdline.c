/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A command line as any process may write it over its own: the results are terminated texts. */
#include <stdlib.h>
#include <string.h>

#include "procfs.h"
#include "qemu_nodes.h"
#include "vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[12], uuid[37], shown[8];

	memset(name, 'x', sizeof(name));
	memset(uuid, 'x', sizeof(uuid));
	cmdline_parse_qemu((const char *)data, size, name, sizeof(name), uuid, sizeof(uuid));
	(void)qemu_bound_nodes((const char *)data, size);
	if (strnlen(name, sizeof(name)) == sizeof(name))
		abort();
	if (strnlen(uuid, sizeof(uuid)) != 0 && strnlen(uuid, sizeof(uuid)) != 36)
		abort();
	vm_sanitize(shown, sizeof(shown), name);
	for (const char *c = shown; *c; c++)
		if (*c < ' ' || *c > '~')
			abort();
	return 0;
}
