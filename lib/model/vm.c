/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "vm.h"

void vm_sanitize(char *dst, size_t size, const char *text)
{
	size_t i;

	if (size == 0)
		return;
	for (i = 0; i < size - 1 && text[i] != '\0'; i++)
		dst[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	dst[i] = '\0';
}
