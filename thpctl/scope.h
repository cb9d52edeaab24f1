/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Scope-bound ownership for the command, which may not use the library's own headers. */

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void scope_free(void *p)
{
	free(*(void **)p);
}

static inline void scope_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void scope_fclose(FILE **f)
{
	if (*f && *f != stdin)
		(void)fclose(*f);
}

static inline void scope_put(struct json_object **o)
{
	(void)json_object_put(*o);
}

#define _free_	 __attribute__((cleanup(scope_free)))
#define _close_	 __attribute__((cleanup(scope_close)))
#define _fclose_ __attribute__((cleanup(scope_fclose)))
#define _put_	 __attribute__((cleanup(scope_put)))
