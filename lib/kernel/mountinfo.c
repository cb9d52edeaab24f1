/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "mountinfo.h"

#include <string.h>

static bool next_word(struct scanner *s, struct scanner *ret)
{
	scan_blanks(s);
	return scan_word(s, ret);
}

bool mountinfo_word_is(struct scanner word, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(word.end - word.at) == n && memcmp(word.at, text, n) == 0;
}

static bool parse_device(struct scanner word, struct mountinfo_line *l)
{
	uint64_t major, minor;

	if (!scan_u64(&word, &major) || !scan_char(&word, ':') || !scan_u64(&word, &minor) ||
	    word.at != word.end || major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	l->major = (uint32_t)major;
	l->minor = (uint32_t)minor;
	return true;
}

bool mountinfo_parse_line(struct scanner line, struct mountinfo_line *ret)
{
	struct scanner word;

	if (!next_word(&line, &word) || !next_word(&line, &word) || !next_word(&line, &word) ||
	    !parse_device(word, ret))
		return false;
	if (!next_word(&line, &ret->root) || !next_word(&line, &ret->point) ||
	    !next_word(&line, &ret->options))
		return false;
	/* Optional fields end with a dash. */
	do
		if (!next_word(&line, &word))
			return false;
	while (!mountinfo_word_is(word, "-"));
	return next_word(&line, &ret->type) && next_word(&line, &word) &&
	       next_word(&line, &ret->super_options);
}

/* The next of a comma separated list; false at its end. */
static bool next_option(struct scanner *list, struct scanner *ret)
{
	const char *comma;

	if (list->at >= list->end)
		return false;
	comma = memchr(list->at, ',', (size_t)(list->end - list->at));
	*ret = (struct scanner){.at = list->at, .end = comma ? comma : list->end};
	list->at = comma ? comma + 1 : list->end;
	return true;
}

bool mountinfo_has_option(struct scanner list, const char *name)
{
	struct scanner option;

	while (next_option(&list, &option))
		if (mountinfo_word_is(option, name))
			return true;
	return false;
}

bool mountinfo_option_u64(struct scanner list, const char *name, uint64_t *ret)
{
	size_t n = strlen(name);
	struct scanner option;
	uint64_t value;

	while (next_option(&list, &option)) {
		struct scanner number = {.at = option.at + n + 1, .end = option.end};

		if ((size_t)(option.end - option.at) <= n || option.at[n] != '=' ||
		    memcmp(option.at, name, n) != 0 || !scan_u64(&number, &value) ||
		    number.at != number.end)
			continue;
		*ret = value;
		return true;
	}
	return false;
}
