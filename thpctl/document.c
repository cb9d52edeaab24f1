/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "document.h"

#include <errno.h>
#include <string.h>

#include "format.h"
#include "scope.h"

struct json_object *document_parse(const char *text)
{
	enum json_tokener_error error;

	return json_tokener_parse_verbose(text, &error);
}

static void write_escape(FILE *f, uint32_t code)
{
	if (code < 0x10000)
		fprintf(f, "\\u%04x", code);
	else
		fprintf(f, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
			0xdc00 + ((code - 0x10000) & 0x3ff));
}

/* json-c escapes controls inside strings; the others that a terminal acts on occur only there too.
 * Line feeds are its own layout. */
static void write_escaped(FILE *f, const char *text)
{
	while (*text) {
		uint32_t code;
		bool is_safe;
		size_t n = format_character(text, &code, &is_safe);

		if (is_safe || code == '\n')
			(void)fwrite(text, 1, n, f);
		else
			write_escape(f, code);
		text += n;
	}
	fputc('\n', f);
}

int document_print(FILE *f, struct json_object *o, enum json_form form)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *text;

	flags |= form == JSON_FORM_SHORT ? JSON_C_TO_STRING_PLAIN
					 : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	text = json_object_to_json_string_ext(o, flags);
	if (!text)
		return -ENOMEM;
	write_escaped(f, text);
	return 0;
}

int document_reprint(const char *text, enum json_form form)
{
	_put_ struct json_object *o = document_parse(text);

	if (o && document_print(stdout, o, form) == 0)
		return EXIT_OK;
	fprintf(stderr,
		"thpctl: thpd's answer is not JSON; are thpd and thpctl of the same version?\n");
	return EXIT_FAILED;
}
