/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A file's alignment and storage as JSON. Sizes and offsets are bytes. Every function returns NULL
 * if memory is short; the caller owns the result. */

#include <json-c/json.h>

#include "mapping.h"
#include "piece.h"
#include "storage.h"

/* {"unit_bytes","aligned_bytes","misaligned_bytes","split_bytes","hole_bytes","tail_bytes",
 * "unplaced_bytes","unwritten_bytes","shared_bytes"} */
struct json_object *alignment_to_json(const struct alignment *a);

/* [{"offset","bytes","state"(,"off_by_bytes")(,"reason"),"unwritten","shared"}] */
struct json_object *pieces_to_json(const struct alignment *a);

/* [{"pid","start":"0x...","bytes","offset","shared","off_by_bytes"(,"huge_bytes")}]; huge_bytes
 * only where it is known. */
struct json_object *mappings_to_json(const struct mapping *mappings, size_t n, uint64_t unit);

/* {"filesystem","device","block_bytes","stripe_bytes"(,"dax")(,"dax_possible")(,"base_bytes")}:
 * what is not known has no field. */
struct json_object *storage_to_json(const struct storage *s);
