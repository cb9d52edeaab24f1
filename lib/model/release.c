/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "release.h"

#include <errno.h>
#include <string.h>

#include "parse.h"

static bool scan_number(struct scanner *s, uint32_t *ret)
{
	uint64_t value;

	if (!scan_u64(s, &value) || value > UINT16_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

int release_parse(const char *text, struct release *ret)
{
	struct scanner s = {text, text + strlen(text)};
	struct release r = {0};

	if (!scan_number(&s, &r.major) || !scan_char(&s, '.') || !scan_number(&s, &r.minor))
		return -EINVAL;
	if (scan_char(&s, '.') && !scan_number(&s, &r.patch))
		return -EINVAL;
	r.is_patch_hidden = r.patch == 0 && s.at < s.end;
	*ret = r;
	return 0;
}

bool release_is_before(const struct release *r, uint32_t major, uint32_t minor)
{
	return r->major < major || (r->major == major && r->minor < minor);
}

bool release_lacks_collapse(const char *text)
{
	struct release r;

	return release_parse(text, &r) == 0 && release_is_before(&r, 6, 1);
}
