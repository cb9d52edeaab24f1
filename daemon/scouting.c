/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "scouting.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

/* An honest process answers within a millisecond; with its command line in swap on a busy host,
 * within a few hundred. */
#define DEADLINE_US UINT64_C(1000000)

struct scouting {
	sd_event *event;
	struct sys *sys;
	struct scouting_plan plan;
	struct scout scout;
	size_t next; /* whose answer is awaited */
	sd_event_source *reports, *deadline;
};

static int on_reports(sd_event_source *source, int fd, uint32_t revents, void *userdata);
static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata);

static void dismiss_scout(struct scouting *s)
{
	s->reports = sd_event_source_disable_unref(s->reports);
	scout_recall(&s->scout);
}

static int send_scout(struct scouting *s)
{
	int r = scout_send(s->sys, s->plan.ask, s->plan.subjects, s->next, s->plan.n, &s->scout);

	if (r < 0)
		return r;
	r = sd_event_add_io(s->event, &s->reports, s->scout.reports_fd, EPOLLIN, on_reports, s);
	if (r < 0)
		dismiss_scout(s);
	return r;
}

static void extend_deadline(struct scouting *s)
{
	(void)sd_event_source_set_time_relative(s->deadline, DEADLINE_US);
	(void)sd_event_source_set_enabled(s->deadline, SD_EVENT_ONESHOT);
}

int scouting_start(sd_event *event, struct sys *sys, const struct scouting_plan *plan,
		   struct scouting **ret)
{
	struct scouting *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->event = sd_event_ref(event);
	s->sys = sys;
	s->plan = *plan;
	s->scout = (struct scout)SCOUT_INIT;
	r = sd_event_add_time_relative(event, &s->deadline, CLOCK_MONOTONIC, DEADLINE_US, 1000,
				       on_deadline, s);
	if (r >= 0)
		r = send_scout(s);
	if (r < 0) {
		scouting_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

struct scouting *scouting_free(struct scouting *s)
{
	if (!s)
		return NULL;
	dismiss_scout(s);
	sd_event_source_disable_unref(s->deadline);
	sd_event_unref(s->event);
	free(s);
	return NULL;
}

/* Nothing of s may be used after this. */
static void finish(struct scouting *s)
{
	dismiss_scout(s);
	(void)sd_event_source_set_enabled(s->deadline, SD_EVENT_OFF);
	s->plan.end(s->plan.userdata);
}

/* The one whose answer is awaited gets none; the others are asked by a new scout. */
static void pass_over(struct scouting *s, int err)
{
	struct scout_report report = {.index = (uint32_t)s->next, .err = err};

	dismiss_scout(s);
	s->plan.answer(s->plan.userdata, &report);
	s->next++;
	/* No new scout could be sent: nobody else is asked either. */
	while (s->next < s->plan.n && (report.err = send_scout(s)) < 0) {
		report.index = (uint32_t)s->next++;
		s->plan.answer(s->plan.userdata, &report);
	}
	if (s->next >= s->plan.n)
		finish(s);
	else
		extend_deadline(s);
}

static int on_reports(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct scouting *s = userdata;
	struct scout_report report;
	int r;

	(void)source;
	(void)fd;
	(void)revents;
	while ((r = scout_hear(&s->scout, &report)) > 0 && report.index == s->next) {
		s->plan.answer(s->plan.userdata, &report);
		if (++s->next >= s->plan.n) {
			finish(s);
			return 0;
		}
		extend_deadline(s);
	}
	if (r != -EAGAIN)
		pass_over(s, -ECONNRESET);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	pass_over(userdata, -ETIMEDOUT);
	return 0;
}
