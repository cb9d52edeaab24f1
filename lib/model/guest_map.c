/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "guest_map.h"

#include <stdlib.h>

void guest_map_clear(struct guest_map *m)
{
	free(m->spans);
	free(m->cpus);
	*m = (struct guest_map){0};
}
