/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the daemon tells of KVM: how much of a VM it maps huge, beside what the host does. */

#include <json-c/json.h>

#include "guest.h"

/* NULL where nothing is known of it. */
struct json_object *report_kvm(const struct guest *g);
