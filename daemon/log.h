/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Log lines. Under systemd they go to the journal with fields (PRIORITY, MESSAGE, THPD_VM,
 * THPD_RESULT); in the foreground to stderr as "warning: db1: text". The level is a syslog
 * priority: LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG. Only the shell logs: lib/ never does. */

#include <stdbool.h>
#include <syslog.h>

/* Finds out whether stderr is the journal, and the level: debug if is_verbose, else THPD_LOG_LEVEL
 * (error, warning, info, debug), else info. Call it once, before threads start; without it: info,
 * stderr. */
void log_open(bool is_verbose);

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* About one VM; vm_name may be NULL. */
void log_vm(int level, const char *vm_name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with a word for what came out of an action ("done", "EAGAIN", "vanished"), so that a
 * journal can be filtered by it: THPD_RESULT=. */
void log_result(int level, const char *vm_name, const char *result, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
