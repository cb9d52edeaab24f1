/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Makes a file like another in all but its data: owner, mode, extended attributes (ACLs and labels
 * among them), flags, project, times of access and of change. 0 or a negative errno; -EOPNOTSUPP
 * for what cannot be made anew (verity). */
int likeness_copy(int from_fd, int to_fd);
