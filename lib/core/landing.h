/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* On which node memory lands that thpd has the kernel allocate for a VM. Pure. */

#include "home.h"

/* Where memory lands that is populated: on each of these, or on any; 0: the host has no choice, or
 * its nodes are not known. What the VMM was told to bind its memory to (the file has that policy
 * whoever fills it); else that node of the home which has most room, since who fills asks for it
 * (kernel/hole.h); where no home is known, that of its cpuset, those with processors first. What a
 * VMM says of itself never has anybody ask for a node outside its cpuset. *host: of now. */
node_set_t landing_nodes(const struct snapshot *s, const struct home *home,
			 const struct host *host);

/* The one that who fills has to ask for; -1: there is no choice, or it is not known. */
int landing_node(node_set_t nodes, const struct host *host);

/* What the one of them has above the reserve that has least; UINT64_MAX if there is none. */
uint64_t landing_room_bytes(node_set_t nodes, const struct host *host, uint64_t reserve_bytes);
