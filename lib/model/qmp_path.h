/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The path of a VM's own monitor socket, out of what the configuration says for many. */

#include <stdbool.h>
#include <stddef.h>

#include "vm.h"

/* An absolute path of printable characters in which % stands only before n, u, p or %. */
bool qmp_path_is_form(const char *form);

/* Replaces %n by the VM's name, %u by its UUID, %p by its pid and %% by %. 0; -ENODATA: the form is
 * empty, so the VM is not asked; -EINVAL: it is no form, or it needs a name or UUID that the VM has
 * not, or has one that is no plain file name (a slash, a leading dot): a VM chooses its name;
 * -ENAMETOOLONG; -EPERM: it is the monitor that libvirt made for itself. */
int qmp_path(const char *form, const struct vm *vm, char *ret, size_t size);
