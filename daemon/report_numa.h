/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What status tells of nodes. Formats in docs/ARCHITECTURE.md, "Interface". */

#include "state.h"

struct json_object;

struct json_object *report_nodes(const struct host *h);
/* NULL (null) where nodes are not looked at, or nothing was seen yet. */
struct json_object *report_numa(const struct manager *m, const struct guest *g);
