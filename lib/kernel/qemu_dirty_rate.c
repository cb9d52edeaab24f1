/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Theory of operation: a log goes to everybody who listens for it, and QEMU before 10.0.4 aborts
 * where a vhost backend does not take it (KERNEL.md 6.1). No question tells which backends do. So
 * devices are looked for by the names of their types, where -device, device_add and machines put
 * them, and netdevs in `info network`, which has no other form: a text with "vhost" in it is one
 * too many, whoever wrote it. The kernel's own vhost-net, an option of a tap device that shows in
 * neither, takes logs, as in every migration. */
#include "qemu_dirty_rate.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bits.h"
#include "cleanup.h"
#include "names.h"
#include "qemu_facts.h"

enum { CMDLINE_BYTES_MAX = 256 << 10 };

#define NS_PER_S UINT64_C(1000000000)
/* 2001; thirty years of uptime. */
#define WALL_CLOCK_MIN_S UINT64_C(1000000000)

static void json_object_putp(struct json_object **object)
{
	json_object_put(*object);
}

#define _cleanup_json_ _cleanup_(json_object_putp)

const char *dirty_rate_step_name(enum dirty_rate_step step)
{
	static const char *const names[DIRTY_RATE_STEP_MAX] = {
		[DIRTY_RATE_NONE] = "none",	      [DIRTY_RATE_HELD] = "held",
		[DIRTY_RATE_REFUSED] = "refused",     [DIRTY_RATE_FAILED] = "failed",
		[DIRTY_RATE_MEASURING] = "measuring", [DIRTY_RATE_DONE] = "done",
		[DIRTY_RATE_STOPPED] = "stopped",
	};

	return name_of(names, ARRAY_SIZE(names), step);
}

static enum answer answer_of(bool is_so)
{
	return is_so ? ANSWER_YES : ANSWER_NO;
}

/* ---- Is it at work? ------------------------------------------------------------------------- */

/* A member that says yes or no, of the answer to a question. */
static int read_answer(struct qmp *q, const char *question, const char *key, enum answer *ret)
{
	_cleanup_json_ struct json_object *answer = NULL;
	struct json_object *value;
	int r = qmp_execute(q, question, NULL, &answer);

	if (r != 0)
		return r < 0 ? r : 0;
	value = qmp_member(answer, key);
	if (json_object_is_type(value, json_type_boolean))
		*ret = answer_of(json_object_get_boolean(value));
	return 0;
}

static int read_running(struct qmp *q, enum answer *ret)
{
	return read_answer(q, "query-status", "running", ret);
}

/* "unstarted" is also what a QEMU says whose measuring is about to begin. */
static enum answer is_measuring(const char *status)
{
	if (strcmp(status, "measuring") == 0)
		return ANSWER_YES;
	return strcmp(status, "measured") == 0 || strcmp(status, "unstarted") == 0 ? ANSWER_NO
										   : ANSWER_UNKNOWN;
}

static uint64_t seconds_of(clockid_t clock)
{
	struct timespec t;

	return clock_gettime(clock, &t) == 0 && t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0;
}

/* Since the last one that went by a log began. QEMU 7.2 tells it by CLOCK_MONOTONIC, 10.0 by
 * CLOCK_REALTIME; no host runs for as long as from 1970 on. Neither may be ours, in a container. */
static uint64_t measured_ago_ns(struct json_object *answer)
{
	const char *mode = qmp_text(answer, "mode");
	uint64_t start, now = seconds_of(CLOCK_MONOTONIC);

	if (!mode || strcmp(mode, "dirty-bitmap") != 0 || !qmp_number(answer, "start-time", &start))
		return UINT64_MAX;
	if (start >= WALL_CLOCK_MIN_S)
		now = seconds_of(CLOCK_REALTIME);
	return start <= now ? (now - start) * NS_PER_S : UINT64_MAX;
}

static int read_measuring(struct qmp *q, struct qemu_state *ret)
{
	_cleanup_json_ struct json_object *answer = NULL;
	const char *status;
	int r = qmp_execute(q, "query-dirty-rate", NULL, &answer);

	if (r != 0)
		return r < 0 ? r : 0;
	status = qmp_text(answer, "status");
	if (status)
		ret->is_measuring = is_measuring(status);
	ret->measured_ago_ns = measured_ago_ns(answer);
	return 0;
}

/* ---- Its devices ----------------------------------------------------------------------------- */

/* An element without a type is of none that is known: then nothing is. */
static bool take_type(struct json_object *element, struct qemu_state *state)
{
	const char *type = qmp_text(element, "type");

	if (!type)
		return false;
	if (strstr(type, "vhost"))
		state->has_vhost = ANSWER_YES;
	if (strstr(type, "vfio"))
		state->has_vfio = ANSWER_YES;
	return true;
}

/* *is_whole becomes false where not all of them were told. */
static int read_types(struct qmp *q, const char *path, struct qemu_state *state, bool *is_whole)
{
	_cleanup_json_ struct json_object *answer = NULL;
	char arguments[128];
	int r;

	(void)snprintf(arguments, sizeof(arguments), "{\"path\":\"%s\"}", path);
	r = qmp_execute(q, "qom-list", arguments, &answer);
	if (r != 0 || !json_object_is_type(answer, json_type_array)) {
		*is_whole = false;
		return r < 0 ? r : 0;
	}
	for (size_t i = 0; i < json_object_array_length(answer); i++)
		*is_whole &= take_type(json_object_array_get_idx(answer, i), state);
	return 0;
}

static int read_netdevs(struct qmp *q, struct qemu_state *state, bool *is_whole)
{
	_cleanup_free_ char *text = NULL;
	int r = qmp_human(q, "info network", &text);

	if (r != 0) {
		*is_whole = false;
		return r < 0 ? r : 0;
	}
	if (strstr(text, "vhost"))
		state->has_vhost = ANSWER_YES;
	return 0;
}

static int read_devices(struct qmp *q, struct qemu_state *state)
{
	static const char *const paths[] = {"/machine/peripheral", "/machine/peripheral-anon",
					    "/machine/unattached", "/objects"};
	bool is_whole = true;
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(paths); i++)
		r = read_types(q, paths[i], state, &is_whole);
	if (r == 0)
		r = read_netdevs(q, state, &is_whole);
	if (r == 0 && is_whole && state->has_vhost == ANSWER_UNKNOWN)
		state->has_vhost = ANSWER_NO;
	if (r == 0 && is_whole && state->has_vfio == ANSWER_UNKNOWN)
		state->has_vfio = ANSWER_NO;
	return r;
}

/* ---- Its command line ------------------------------------------------------------------------ */

bool dirty_rate_has_ring(const char *cmdline, size_t size)
{
	static const char key[] = "dirty-ring-size=";
	const char *at = memmem(cmdline, size, key, strlen(key)), *end = cmdline + size;

	return at && at + strlen(key) < end && at[strlen(key)] != '0';
}

/* No question tells. Where the option is in a file instead, QEMU itself refuses. */
static void read_dirty_ring(const struct process *p, struct qemu_state *state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	if (sys_read_all_at(p->dirfd, "cmdline", CMDLINE_BYTES_MAX, &text, &size) == 0)
		state->has_dirty_ring = answer_of(dirty_rate_has_ring(text, size));
}

/* ---- All --------------------------------------------------------------------------------------
 */

int dirty_rate_read_state(struct qmp *q, const struct process *p, struct qemu_state *ret)
{
	struct qemu_state state = QEMU_STATE_INIT;
	int r;

	read_dirty_ring(p, &state);
	r = read_answer(q, "query-kvm", "enabled", &state.has_kvm);
	if (r == 0)
		r = read_devices(q, &state);
	if (r == 0)
		r = read_measuring(q, &state);
	if (r == 0)
		r = qemu_facts_read_migration(q, &state.is_migrating);
	if (r == 0)
		r = read_running(q, &state.is_running);
	if (r == 0)
		*ret = state;
	return r;
}

int dirty_rate_begin(struct qmp *q)
{
	_cleanup_json_ struct json_object *answer = NULL;
	char arguments[64];

	(void)snprintf(arguments, sizeof(arguments), "{\"calc-time\":%d,\"mode\":\"dirty-bitmap\"}",
		       DIRTY_RATE_SECONDS);
	return qmp_execute(q, "calc-dirty-rate", arguments, &answer);
}

/* Ours is the last one by a log, unless somebody asked for another one since: then the log was not
 * ours alone, and what is known of its end is nothing. */
static enum dirty_rate_step step_of(struct json_object *answer)
{
	const char *status = qmp_text(answer, "status"), *mode = qmp_text(answer, "mode");

	if (!status || !mode || strcmp(mode, "dirty-bitmap") != 0)
		return DIRTY_RATE_FAILED;
	if (strcmp(status, "measured") == 0)
		return DIRTY_RATE_DONE;
	return strcmp(status, "measuring") == 0 || strcmp(status, "unstarted") == 0
		       ? DIRTY_RATE_MEASURING
		       : DIRTY_RATE_FAILED;
}

static enum dirty_rate_step end_of(enum answer is_running)
{
	if (is_running == ANSWER_UNKNOWN)
		return DIRTY_RATE_FAILED;
	return is_running == ANSWER_YES ? DIRTY_RATE_DONE : DIRTY_RATE_STOPPED;
}

int dirty_rate_poll(struct qmp *q, enum dirty_rate_step *ret)
{
	_cleanup_json_ struct json_object *answer = NULL;
	enum answer is_running = ANSWER_UNKNOWN;
	enum dirty_rate_step step;
	int r = qmp_execute(q, "query-dirty-rate", NULL, &answer);

	if (r != 0)
		return r;
	step = step_of(answer);
	if (step == DIRTY_RATE_DONE)
		r = read_running(q, &is_running);
	if (r == 0)
		*ret = step == DIRTY_RATE_DONE ? end_of(is_running) : step;
	return r;
}
