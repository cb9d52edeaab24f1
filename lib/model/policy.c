/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy.h"

#include <assert.h>

#include "bits.h"
#include "names.h"

static const char *const mode_names[] = {
	[MODE_FULL] = "full",
	[MODE_REPORT] = "report",
	[MODE_OFF] = "off",
};

static_assert(ARRAY_SIZE(mode_names) == MODE_MAX, "every mode has a name");

const char *mode_name(enum mode mode)
{
	return name_of(mode_names, ARRAY_SIZE(mode_names), mode);
}

int mode_from_name(const char *name, enum mode *ret)
{
	int r = name_find(mode_names, ARRAY_SIZE(mode_names), name);

	if (r < 0)
		return r;
	*ret = (enum mode)r;
	return 0;
}

static const char *const placement_names[] = {
	[PLACEMENT_REPORT] = "report",
	[PLACEMENT_OFF] = "off",
	[PLACEMENT_FOLLOW] = "follow",
	[PLACEMENT_BIND] = "bind",
};

static_assert(ARRAY_SIZE(placement_names) == PLACEMENT_MAX, "every placement has a name");

const char *placement_name(enum placement placement)
{
	return name_of(placement_names, ARRAY_SIZE(placement_names), placement);
}

int placement_from_name(const char *name, enum placement *ret)
{
	int r = name_find(placement_names, ARRAY_SIZE(placement_names), name);

	if (r < 0)
		return r;
	*ret = (enum placement)r;
	return 0;
}

static const char *const wide_names[] = {
	[WIDE_LEAVE] = "leave",
	[WIDE_INTERLEAVE] = "interleave",
};

static_assert(ARRAY_SIZE(wide_names) == WIDE_MAX, "every way with a wide VM has a name");

const char *wide_name(enum wide wide)
{
	return name_of(wide_names, ARRAY_SIZE(wide_names), wide);
}

int wide_from_name(const char *name, enum wide *ret)
{
	int r = name_find(wide_names, ARRAY_SIZE(wide_names), name);

	if (r < 0)
		return r;
	*ret = (enum wide)r;
	return 0;
}

static const char *const populate_names[] = {
	[POPULATE_OFF] = "off",
	[POPULATE_HUGE] = "huge",
};

static_assert(ARRAY_SIZE(populate_names) == POPULATE_MAX, "every way to populate has a name");

const char *populate_name(enum populate populate)
{
	return name_of(populate_names, ARRAY_SIZE(populate_names), populate);
}

int populate_from_name(const char *name, enum populate *ret)
{
	int r = name_find(populate_names, ARRAY_SIZE(populate_names), name);

	if (r < 0)
		return r;
	*ret = (enum populate)r;
	return 0;
}

static const char *const nudge_names[] = {
	[NUDGE_OFF] = "off",
	[NUDGE_AUTO] = "auto",
};

static_assert(ARRAY_SIZE(nudge_names) == NUDGE_MAX, "every way to nudge has a name");

const char *nudge_name(enum nudge nudge)
{
	return name_of(nudge_names, ARRAY_SIZE(nudge_names), nudge);
}

int nudge_from_name(const char *name, enum nudge *ret)
{
	int r = name_find(nudge_names, ARRAY_SIZE(nudge_names), name);

	if (r < 0)
		return r;
	*ret = (enum nudge)r;
	return 0;
}
