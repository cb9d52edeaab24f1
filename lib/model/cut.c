/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cut.h"

#include <stdlib.h>

void shape_clear(struct shape *s)
{
	free(s->cuts);
	*s = (struct shape)SHAPE_INIT;
}
