/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout.h"

#include <stdlib.h>

void layout_clear(struct layout *l)
{
	free(l->extents);
	*l = (struct layout)LAYOUT_INIT;
}
