/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A whole JSON text. */

#include <json-c/json.h>
#include <stdio.h>

#include "args.h"

/* NULL if it is not JSON. */
struct json_object *document_parse(const char *text);

/* Writes it short or pretty, with everything escaped that a terminal could act on. 0 or -ENOMEM. */
int document_print(FILE *f, struct json_object *o, enum json_form form);

/* Parses and prints; EXIT_OK or EXIT_FAILED with a message. */
int document_reprint(const char *text, enum json_form form);
