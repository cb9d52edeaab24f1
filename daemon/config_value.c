/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bits.h"
#include "parse.h"
#include "policy.h"

static int share_parse(const char *text, uint64_t *ret)
{
	uint16_t share_bp;
	int r = parse_share(text, &share_bp);

	if (r == 0)
		*ret = share_bp;
	return r;
}

static int bool_parse(const char *text, uint64_t *ret)
{
	bool is_set;
	int r = parse_bool(text, &is_set);

	if (r == 0)
		*ret = is_set;
	return r;
}

static int mode_parse(const char *text, uint64_t *ret)
{
	enum mode mode;

	if (mode_from_name(text, &mode) < 0)
		return -EINVAL;
	*ret = mode;
	return 0;
}

static int placement_parse(const char *text, uint64_t *ret)
{
	enum placement placement;

	if (placement_from_name(text, &placement) < 0)
		return -EINVAL;
	*ret = placement;
	return 0;
}

static int wide_parse(const char *text, uint64_t *ret)
{
	enum wide wide;

	if (wide_from_name(text, &wide) < 0)
		return -EINVAL;
	*ret = wide;
	return 0;
}

static int populate_parse(const char *text, uint64_t *ret)
{
	enum populate populate;

	if (populate_from_name(text, &populate) < 0)
		return -EINVAL;
	*ret = populate;
	return 0;
}

static int nudge_parse(const char *text, uint64_t *ret)
{
	enum nudge nudge;

	if (nudge_from_name(text, &nudge) < 0)
		return -EINVAL;
	*ret = nudge;
	return 0;
}

static const char no_nodes[] = "none";

static int nodes_parse(const char *text, uint64_t *ret)
{
	if (strcmp(text, no_nodes) == 0) {
		*ret = 0;
		return 0;
	}
	/* An empty list is a value that somebody forgot. */
	return *text ? node_set_parse_whole(text, ret) : -EINVAL;
}

static int count_parse(const char *text, uint64_t *ret)
{
	uint64_t count;
	int r = parse_u64(text, &count);

	if (r < 0)
		return r;
	if (count > UINT32_MAX)
		return -ERANGE;
	*ret = count;
	return 0;
}

int value_parse(enum key_type type, const char *text, uint64_t *ret)
{
	switch (type) {
	case KEY_TYPE_SIZE:
		return parse_size(text, ret);
	case KEY_TYPE_DURATION:
		return parse_duration(text, ret);
	case KEY_TYPE_SHARE:
		return share_parse(text, ret);
	case KEY_TYPE_BOOL:
		return bool_parse(text, ret);
	case KEY_TYPE_MODE:
		return mode_parse(text, ret);
	case KEY_TYPE_PLACEMENT:
		return placement_parse(text, ret);
	case KEY_TYPE_NODES:
		return nodes_parse(text, ret);
	case KEY_TYPE_WIDE:
		return wide_parse(text, ret);
	case KEY_TYPE_POPULATE:
		return populate_parse(text, ret);
	case KEY_TYPE_NUDGE:
		return nudge_parse(text, ret);
	case KEY_TYPE_COUNT:
		return count_parse(text, ret);
	case KEY_TYPE_GLOB:
	case KEY_TYPE_PATHS:
	case KEY_TYPE_MONITOR:
		break;
	}
	return -EINVAL;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_units[] = {{"T", TIB}, {"G", GIB}, {"M", MIB}, {"K", KIB}, {"", 1}};
static const struct unit duration_units[] = {{"d", NS_PER_DAY},	  {"h", NS_PER_HOUR},
					     {"min", NS_PER_MIN}, {"s", NS_PER_S},
					     {"ms", NS_PER_MS},	  {"ns", 1}};

static void format_in_units(const struct unit *units, uint64_t value, char *buffer, size_t size)
{
	if (value == UINT64_MAX) {
		(void)snprintf(buffer, size, "infinity");
		return;
	}
	if (value == 0) {
		(void)snprintf(buffer, size, "0");
		return;
	}
	while (value % units->factor != 0) /* ends: the last factor is 1 */
		units++;
	(void)snprintf(buffer, size, "%" PRIu64 "%s", value / units->factor, units->name);
}

static void format_share(uint64_t share_bp, char *buffer, size_t size)
{
	if (share_bp % 100 == 0)
		(void)snprintf(buffer, size, "%" PRIu64 "%%", share_bp / 100);
	else
		(void)snprintf(buffer, size, "%" PRIu64 ".%02" PRIu64 "%%", share_bp / 100,
			       share_bp % 100);
}

static void format_nodes(node_set_t nodes, char *buffer, size_t size)
{
	char list[NODE_SET_TEXT_MAX];

	(void)snprintf(buffer, size, "%s", nodes ? node_set_format(nodes, list) : no_nodes);
}

void value_format(enum key_type type, uint64_t value, char *buffer, size_t size)
{
	switch (type) {
	case KEY_TYPE_SIZE:
		format_in_units(size_units, value, buffer, size);
		return;
	case KEY_TYPE_DURATION:
		format_in_units(duration_units, value, buffer, size);
		return;
	case KEY_TYPE_SHARE:
		format_share(value, buffer, size);
		return;
	case KEY_TYPE_BOOL:
		(void)snprintf(buffer, size, "%s", value ? "yes" : "no");
		return;
	case KEY_TYPE_MODE:
		(void)snprintf(buffer, size, "%s", mode_name((enum mode)value));
		return;
	case KEY_TYPE_PLACEMENT:
		(void)snprintf(buffer, size, "%s", placement_name((enum placement)value));
		return;
	case KEY_TYPE_NODES:
		format_nodes(value, buffer, size);
		return;
	case KEY_TYPE_WIDE:
		(void)snprintf(buffer, size, "%s", wide_name((enum wide)value));
		return;
	case KEY_TYPE_POPULATE:
		(void)snprintf(buffer, size, "%s", populate_name((enum populate)value));
		return;
	case KEY_TYPE_NUDGE:
		(void)snprintf(buffer, size, "%s", nudge_name((enum nudge)value));
		return;
	case KEY_TYPE_COUNT:
		(void)snprintf(buffer, size, "%" PRIu64, value);
		return;
	case KEY_TYPE_GLOB:
	case KEY_TYPE_PATHS:
	case KEY_TYPE_MONITOR:
		break;
	}
	(void)snprintf(buffer, size, "?");
}

void value_store(enum key_type type, uint64_t value, void *field)
{
	switch (type) {
	case KEY_TYPE_SIZE:
	case KEY_TYPE_DURATION:
		*(uint64_t *)field = value;
		return;
	case KEY_TYPE_SHARE:
		*(uint16_t *)field = (uint16_t)value;
		return;
	case KEY_TYPE_BOOL:
		*(bool *)field = value != 0;
		return;
	case KEY_TYPE_MODE:
		*(enum mode *)field = (enum mode)value;
		return;
	case KEY_TYPE_PLACEMENT:
		*(enum placement *)field = (enum placement)value;
		return;
	case KEY_TYPE_NODES:
		*(node_set_t *)field = value;
		return;
	case KEY_TYPE_WIDE:
		*(enum wide *)field = (enum wide)value;
		return;
	case KEY_TYPE_POPULATE:
		*(enum populate *)field = (enum populate)value;
		return;
	case KEY_TYPE_NUDGE:
		*(enum nudge *)field = (enum nudge)value;
		return;
	case KEY_TYPE_COUNT:
		*(uint32_t *)field = (uint32_t)value;
		return;
	case KEY_TYPE_GLOB:
	case KEY_TYPE_PATHS:
	case KEY_TYPE_MONITOR:
		return;
	}
}

uint64_t value_load(enum key_type type, const void *field)
{
	switch (type) {
	case KEY_TYPE_SIZE:
	case KEY_TYPE_DURATION:
		return *(const uint64_t *)field;
	case KEY_TYPE_SHARE:
		return *(const uint16_t *)field;
	case KEY_TYPE_BOOL:
		return *(const bool *)field;
	case KEY_TYPE_MODE:
		return *(const enum mode *)field;
	case KEY_TYPE_PLACEMENT:
		return *(const enum placement *)field;
	case KEY_TYPE_NODES:
		return *(const node_set_t *)field;
	case KEY_TYPE_WIDE:
		return *(const enum wide *)field;
	case KEY_TYPE_POPULATE:
		return *(const enum populate *)field;
	case KEY_TYPE_NUDGE:
		return *(const enum nudge *)field;
	case KEY_TYPE_COUNT:
		return *(const uint32_t *)field;
	case KEY_TYPE_GLOB:
	case KEY_TYPE_PATHS:
	case KEY_TYPE_MONITOR:
		break;
	}
	return 0;
}

const char *value_form(enum key_type type)
{
	switch (type) {
	case KEY_TYPE_SIZE:
		return "a size in bytes such as 4096, 64M or 1G";
	case KEY_TYPE_DURATION:
		return "a duration such as 1500ms, 10s, 10min or 1h";
	case KEY_TYPE_SHARE:
		return "a share from 0% to 100%, such as 99.5%";
	case KEY_TYPE_BOOL:
		return "yes or no";
	case KEY_TYPE_MODE:
		return "full, report or off";
	case KEY_TYPE_PLACEMENT:
		return "report, follow, bind or off";
	case KEY_TYPE_NODES:
		return "nodes from 0 to 63 such as 0-1,3, or none";
	case KEY_TYPE_WIDE:
		return "leave or interleave";
	case KEY_TYPE_POPULATE:
		return "off or huge";
	case KEY_TYPE_NUDGE:
		return "off or auto";
	case KEY_TYPE_COUNT:
		return "a number";
	case KEY_TYPE_GLOB:
		return "a pattern of 1 to 255 characters";
	case KEY_TYPE_PATHS:
		return "absolute paths without blanks in them, with blanks between them, or none";
	case KEY_TYPE_MONITOR:
		return "the absolute path of a socket, with %n, %u or %p in it, or none";
	}
	return "";
}
