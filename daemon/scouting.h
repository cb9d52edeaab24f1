/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One question asked of many processes, without ever waiting for one of them: who does not answer
 * within a deadline is passed over, and a new scout goes on with the next. */

#include <systemd/sd-event.h>

#include "scout.h"

struct scouting;

/* Once for each subject, in order. r->err is -ETIMEDOUT for one that did not answer, -ECONNRESET
 * for one over which the scout ended. */
typedef void scouting_answer(void *userdata, const struct scout_report *r);

/* After the last answer; may free the scouting. */
typedef void scouting_end(void *userdata);

struct scouting_plan {
	scout_question *ask;
	const void *subjects; /* stay until the end */
	size_t n;
	scouting_answer *answer;
	scouting_end *end;
	void *userdata;
};

/* 0 or -errno; answers come from the event loop, never from within this call. */
int scouting_start(sd_event *event, struct sys *sys, const struct scouting_plan *plan,
		   struct scouting **ret);
struct scouting *scouting_free(struct scouting *s);
