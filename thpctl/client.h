/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The connection to thpd. */

#include <stdbool.h>
#include <stdint.h>

struct client;

/* Returns 0 or a negative errno; *ret_problem (malloc'ed, may be NULL) then says what is wrong and
 * what helps. */
int client_open(const char *runtime_dir, struct client **ret, char **ret_problem);
struct client *client_close(struct client *c);

/* Calls a method with up to two texts (NULL: not sent). The answer's text is malloc'ed into
 * *ret_text unless ret_text is NULL. Returns 0 or a negative errno, which client_problem()
 * explains. */
int client_call(struct client *c, const char *method, const char *first, const char *second,
		char **ret_text);

/* The same for an answer that is a number. */
int client_call_u64(struct client *c, const char *method, const char *first, const char *second,
		    uint64_t *ret);

/* What went wrong in the last call, and what helps. Printable. */
const char *client_problem(const struct client *c);

static inline void client_closep(struct client **c)
{
	*c = client_close(*c);
}
