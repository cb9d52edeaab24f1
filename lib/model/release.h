/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* uname -r as numbers. What a kernel can do is probed (host.features), never read off these: they
 * only name known bugs, and why a probe failed. */

#include <stdbool.h>
#include <stdint.h>

struct release {
	uint32_t major, minor, patch;
	bool is_patch_hidden; /* a distribution's name such as 6.1.0-40-amd64: the patch level is
				 not told */
};

/* "6.6.60", "6.18.44-foo", "7.0-rc3". 0, or -EINVAL if it does not begin with two numbers. */
int release_parse(const char *text, struct release *ret);

bool release_is_before(const struct release *r, uint32_t major, uint32_t minor);

/* Remote MADV_COLLAPSE came with Linux 6.1. false if the text is no release. */
bool release_lacks_collapse(const char *text);
