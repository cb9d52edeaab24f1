/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reads what a file lies on, from the file itself, mountinfo and sysfs. */

#include "storage.h"
#include "sys.h"

/* What cannot be read is unknown. 0, or a negative errno if the file itself cannot be asked. */
int storage_read(struct sys *sys, int fd, struct storage *ret);

/* Whether the device can map files directly; of a partition, its disk. */
enum answer storage_device_can_dax(struct sys *sys, uint32_t major, uint32_t minor);
