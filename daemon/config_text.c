/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_text.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "bits.h"
#include "cleanup.h"
#include "config_key.h"
#include "config_problem.h"

enum { SECTION_TEXT_MAX = 64, KEYS_MAX = 64 };

struct cleaner {
	struct config *config;
	struct config_text *text;
	unsigned line_number;
	unsigned n_problems;
	const char *section; /* spelled as in the manual; NULL: none yet, or one that is refused */
	bool has_section;    /* some header was seen */
	uint64_t seen_keys;  /* bit per entry of config_keys() */
};

/* Names one problem of the current line, and remembers whether it makes [Match] wider than meant.
 */
static int complain(struct cleaner *c, const char *sentence)
{
	const char *file = c->text->file;

	if (c->section && strcmp(c->section, "Match") == 0)
		c->text->is_match_wrong = true;
	if (++c->n_problems > CONFIG_FILE_PROBLEMS_MAX)
		return 0;
	if (c->n_problems == CONFIG_FILE_PROBLEMS_MAX)
		sentence = "further problems of this file are not listed";
	return config_problem_add(c->config, "%s:%u: %s", file, c->line_number, sentence);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Takes blanks off both ends of [*at, *end). */
static void strip(char **at, char **end)
{
	while (*at < *end && is_blank(**at))
		(*at)++;
	while (*end > *at && is_blank((*end)[-1]))
		(*end)--;
}

/* Copies [at, end) as a string, cut to size. */
static void copy_text(char *buffer, size_t size, const char *at, const char *end)
{
	(void)snprintf(buffer, size, "%.*s", (int)(end - at), at);
}

static int judge_section_place(struct cleaner *c, const char *section)
{
	bool is_match = strcmp(section, "Match") == 0;
	char sentence[128];

	if (c->text->kind == CONFIG_KIND_MAIN ? !is_match
					      : is_match || config_section_is_policy(section)) {
		c->section = section;
		return 1;
	}
	(void)snprintf(
		sentence, sizeof(sentence),
		is_match ? "[%s] belongs into files of vm.d only; the section is ignored"
			 : "[%s] is for the whole daemon: set it in thpd.conf; the section is "
			   "ignored",
		section);
	return complain(c, sentence);
}

static int refuse_section(struct cleaner *c, const char *name)
{
	const char *near = config_section_find(name, true);
	char sentence[SECTION_TEXT_MAX + 128];

	c->text->is_match_wrong |= near && strcmp(near, "Match") == 0;
	(void)snprintf(sentence, sizeof(sentence), "[%s]: unknown section, ignored%s%s%s", name,
		       near ? "; did you mean [" : "", near ? near : "", near ? "]?" : "");
	return complain(c, sentence);
}

/* The judges return 1 for a line that iniparser may see, 0 for one that it may not, or -ENOMEM. */
static int judge_header(struct cleaner *c, char *at, char *end)
{
	char name[SECTION_TEXT_MAX];
	const char *section;

	c->section = NULL;
	c->has_section = true;
	if (memchr(at, ']', (size_t)(end - at)) != end - 1) {
		c->text->is_match_wrong = true; /* it may have meant [Match] */
		return complain(c, "a section header is [Name] alone on its line; what follows is "
				   "ignored up to the next header");
	}
	at++;
	end--;
	strip(&at, &end);
	copy_text(name, sizeof(name), at, end);
	section = config_section_find(name, false);
	return section ? judge_section_place(c, section) : refuse_section(c, name);
}

static int refuse_key(struct cleaner *c, const char *name)
{
	const struct config_key *near = config_key_nearest(c->section, name);
	char sentence[256];

	if (near)
		(void)snprintf(sentence, sizeof(sentence),
			       "[%s] %s: unknown key, ignored; did you mean [%s] %s?", c->section,
			       name, near->section, near->name);
	else
		(void)snprintf(sentence, sizeof(sentence), "[%s] %s: unknown key, ignored",
			       c->section, name);
	return complain(c, sentence);
}

/* iniparser would take what is inside the first pair of quotes and drop the rest. */
static bool is_quoting_sound(char *at, char *end)
{
	char *close;

	if (at == end || (*at != '"' && *at != '\''))
		return true;
	close = memchr(at + 1, *at, (size_t)(end - at - 1));
	if (!close)
		return false;
	at = close + 1;
	strip(&at, &end);
	return at == end || *at == '#' || *at == ';';
}

static int note_repetition(struct cleaner *c, const struct config_key *key)
{
	size_t n_keys;
	uint64_t bit = UINT64_C(1) << (key - config_keys(&n_keys));
	char sentence[128];

	if (!(c->seen_keys & bit)) {
		c->seen_keys |= bit;
		return 0;
	}
	(void)snprintf(sentence, sizeof(sentence),
		       "[%s] %s: set before in this file; this one counts", key->section,
		       key->name);
	return complain(c, sentence);
}

static int judge_assignment(struct cleaner *c, char *at, char *equals, char *end)
{
	const struct config_key *key;
	char *name_end = equals, *value = equals + 1;
	char name[SECTION_TEXT_MAX], sentence[SECTION_TEXT_MAX + 128];
	int r;

	strip(&at, &name_end);
	strip(&value, &end);
	copy_text(name, sizeof(name), at, name_end);
	key = config_key_find(c->section, name);
	if (!key)
		return refuse_key(c, name);
	if (end[-1] == '\\' || !is_quoting_sound(value, end)) {
		(void)snprintf(sentence, sizeof(sentence), "[%s] %s: %s; the line is ignored",
			       key->section, key->name,
			       end[-1] == '\\' ? "a line cannot go on below (backslash)"
					       : "text in quotes has to end on its line, with "
						 "nothing but a comment behind it");
		return complain(c, sentence);
	}
	r = note_repetition(c, key);
	return r < 0 ? r : 1;
}

static int judge_line(struct cleaner *c, char *at, char *end)
{
	char *equals;

	if (end - at > CONFIG_LINE_MAX)
		return complain(c, "line is longer than 1000 bytes, ignored");
	strip(&at, &end);
	if (at == end || *at == '#' || *at == ';')
		return 0;
	if (*at == '[')
		return judge_header(c, at, end);
	if (!c->section)
		return c->has_section ? 0
				      : complain(c, "stands before the first [Section], ignored");
	equals = memchr(at, '=', (size_t)(end - at));
	if (!equals)
		return complain(c, "neither [Section], Key=value nor # comment; ignored");
	return judge_assignment(c, at, equals, end);
}

int config_text_clean(struct config *config, struct config_text *t)
{
	struct cleaner c = {.config = config, .text = t};
	char *end = t->text + t->size;
	size_t n_keys;

	(void)config_keys(&n_keys);
	if (n_keys > KEYS_MAX) /* seen_keys has a bit for each; constant, so gone after compiling */
		return -EOVERFLOW;
	for (char *at = t->text; at < end;) {
		char *newline = memchr(at, '\n', (size_t)(end - at));
		char *line_end = newline ? newline : end;
		int r;

		c.line_number++;
		r = judge_line(&c, at, line_end);
		if (r < 0)
			return r;
		if (r == 0) /* newlines, since a long line of blanks is still too long */
			memset(at, '\n', (size_t)(line_end - at));
		at = newline ? newline + 1 : end;
	}
	return 0;
}

static int stay_silent(const char *format, ...)
{
	(void)format;
	return 0;
}

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, text, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		text += n;
		size -= (size_t)n;
	}
	return 0;
}

/* iniparser 4.1 reads by path only: the checked text goes to it through a memfd, so that what was
 * checked is what is used, whatever happens to the file meanwhile. */
int config_text_load(const struct config_text *t, dictionary **ret)
{
	_cleanup_close_ int fd = memfd_create("thpd.conf", MFD_CLOEXEC);
	char path[64];
	dictionary *d;
	int r;

	if (fd < 0)
		return -errno;
	r = write_all(fd, t->text, t->size);
	if (r < 0)
		return r;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	iniparser_set_error_callback(stay_silent);
	d = iniparser_load(path);
	if (!d)
		return -EIO;
	*ret = d;
	return 0;
}
