/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The signals of a service: SIGTERM and SIGINT end it, SIGHUP has it read its configuration again.
 */

#include <systemd/sd-event.h>

/* Blocks them, to be called before threads start, and has the loop take them: it ends with 0, which
 * systemd is told, or on_reload is called. SIGPIPE is ignored. 0 or a negative errno. */
int signals_take(sd_event *event, sd_event_signal_handler_t on_reload, void *userdata);
