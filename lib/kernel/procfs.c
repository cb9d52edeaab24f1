/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "procfs.h"

#include <errno.h>
#include <string.h>

#include "bits.h"

static bool parse_permissions(struct scanner word, struct maps_line *l)
{
	const char *p = word.at;

	if (word.end - word.at != 4)
		return false;
	if ((p[0] != 'r' && p[0] != '-') || (p[1] != 'w' && p[1] != '-') ||
	    (p[2] != 'x' && p[2] != '-') || (p[3] != 's' && p[3] != 'p'))
		return false;
	l->is_readable = p[0] == 'r';
	l->is_writable = p[1] == 'w';
	l->is_executable = p[2] == 'x';
	l->is_shared = p[3] == 's';
	return true;
}

static bool scan_u32_hex(struct scanner *s, uint32_t *ret)
{
	uint64_t value;

	if (!scan_hex(s, &value) || value > UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

bool maps_parse_line(struct scanner line, struct maps_line *ret)
{
	struct maps_line l = {0};
	struct scanner word;

	if (!scan_hex(&line, &l.start) || !scan_char(&line, '-') || !scan_hex(&line, &l.end) ||
	    !scan_char(&line, ' ') || l.start >= l.end)
		return false;
	if (!scan_word(&line, &word) || !parse_permissions(word, &l) || !scan_char(&line, ' '))
		return false;
	if (!scan_hex(&line, &l.offset) || !scan_char(&line, ' '))
		return false;
	if (!scan_u32_hex(&line, &l.dev_major) || !scan_char(&line, ':') ||
	    !scan_u32_hex(&line, &l.dev_minor) || !scan_char(&line, ' '))
		return false;
	if (!scan_u64(&line, &l.inode) || (line.at < line.end && *line.at != ' '))
		return false;
	scan_blanks(&line);
	l.path = line.at;
	l.path_size = (size_t)(line.end - line.at);
	*ret = l;
	return true;
}

static uint32_t flag_from_letters(const char *letters)
{
	static const struct {
		char letters[3];
		uint32_t flag;
	} table[] = {
		{"nh", VMA_FLAG_NH}, {"hg", VMA_FLAG_HG}, {"um", VMA_FLAG_UM}, {"uw", VMA_FLAG_UW},
		{"ui", VMA_FLAG_UI}, {"ht", VMA_FLAG_HT}, {"pf", VMA_FLAG_PF}, {"io", VMA_FLAG_IO},
		{"mm", VMA_FLAG_MM}, {"de", VMA_FLAG_DE}, {"mg", VMA_FLAG_MG}, {"gu", VMA_FLAG_GU},
		{"lo", VMA_FLAG_LO}, {"nr", VMA_FLAG_NR},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (memcmp(letters, table[i].letters, 2) == 0)
			return table[i].flag;
	return 0;
}

bool smaps_parse_flags(struct scanner line, uint32_t *ret)
{
	struct scanner word;
	uint32_t flags = 0;

	if (!scan_text(&line, "VmFlags:"))
		return false;
	for (scan_blanks(&line); scan_word(&line, &word); scan_blanks(&line))
		if (word.end - word.at == 2)
			flags |= flag_from_letters(word.at);
	*ret = flags;
	return true;
}

bool smaps_parse_size(struct scanner line, struct scanner *ret_key, uint64_t *ret_bytes)
{
	struct scanner key;
	uint64_t kilobytes;

	if (!scan_word(&line, &key) || key.end - key.at < 2 || key.end[-1] != ':')
		return false;
	key.end--;
	scan_blanks(&line);
	if (!scan_u64(&line, &kilobytes) || kilobytes > UINT64_MAX / 1024)
		return false;
	if (!scan_text(&line, " kB") || line.at != line.end)
		return false;
	*ret_key = key;
	*ret_bytes = kilobytes * 1024;
	return true;
}

static bool next_field(struct scanner *s, struct scanner *ret)
{
	scan_blanks(s);
	return scan_word(s, ret);
}

/* A whole word that is a number; what else is there stays unknown (0). */
static bool word_u64(struct scanner word, uint64_t *ret)
{
	uint64_t value;

	if (!scan_u64(&word, &value) || word.at != word.end)
		return false;
	*ret = value;
	return true;
}

int stat_parse(const char *text, size_t size, struct proc_stat *ret)
{
	/* comm is the process's own text: the last parenthesis ends it, since none can follow. */
	const char *close = size ? memrchr(text, ')', size) : NULL;
	struct proc_stat stat = {.processor = UINT64_MAX};
	struct scanner s, word;

	if (!close)
		return -EINVAL;
	s = (struct scanner){.at = close + 1, .end = text + size};
	for (int field = 3; field <= 39; field++) {
		bool is_ok = next_field(&s, &word);

		if (!is_ok && field > 28)
			break; /* an old record */
		switch (is_ok ? field : 0) {
		case 0:
			return -EINVAL;
		case 9:
			is_ok = word_u64(word, &stat.flags);
			break;
		case 10:
			is_ok = word_u64(word, &stat.minor_faults);
			break;
		case 22:
			is_ok = word_u64(word, &stat.starttime);
			break;
		case 26:
			is_ok = word_u64(word, &stat.start_code);
			break;
		case 28:
			is_ok = word_u64(word, &stat.start_stack);
			break;
		case 39:
			is_ok = word_u64(word, &stat.processor);
			break;
		default:
			break;
		}
		if (!is_ok)
			return -EINVAL;
	}
	*ret = stat;
	return 0;
}

int statm_parse(const char *text, size_t size, uint64_t *ret_size_pages,
		uint64_t *ret_resident_pages)
{
	struct scanner s = {.at = text, .end = text + size};
	struct scanner first, second;
	uint64_t size_pages, resident_pages;

	if (!scan_word(&s, &first) || !next_field(&s, &second))
		return -EINVAL;
	if (!word_u64(first, &size_pages) || !word_u64(second, &resident_pages))
		return -EINVAL;
	*ret_size_pages = size_pages;
	*ret_resident_pages = resident_pages;
	return 0;
}

/* Appends c if there is room for it and the NUL. */
static void put_char(char *buffer, size_t size, size_t *used, char c)
{
	if (*used + 1 < size)
		buffer[(*used)++] = c;
}

bool cmdline_next_option(struct scanner *s, struct scanner *ret)
{
	if (s->at == s->end)
		return false;
	ret->at = s->at;
	while (s->at < s->end) {
		if (*s->at == ',') {
			if (s->end - s->at < 2 || s->at[1] != ',')
				break;
			s->at++;
		}
		s->at++;
	}
	ret->end = s->at;
	if (s->at < s->end)
		s->at++;
	return true;
}

static void copy_option(struct scanner value, char *buffer, size_t size)
{
	size_t used = 0;

	while (value.at < value.end) {
		if (*value.at == ',')
			value.at++;
		if (value.at < value.end)
			put_char(buffer, size, &used, *value.at++);
	}
	buffer[used] = '\0';
}

/* -name vm1,debug-threads=on or -name debug-threads=on,guest=vm1. */
static void parse_name_option(struct scanner argument, char *name, size_t size)
{
	struct scanner option;
	bool is_first = true;

	while (cmdline_next_option(&argument, &option)) {
		bool has_key = memchr(option.at, '=', (size_t)(option.end - option.at)) != NULL;

		if (scan_text(&option, "guest=") || (is_first && !has_key))
			copy_option(option, name, size);
		is_first = false;
	}
}

static bool is_uuid(struct scanner text)
{
	if (text.end - text.at != 36)
		return false;
	for (size_t i = 0; i < 36; i++) {
		char c = text.at[i];
		bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
		bool is_hex =
			(c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');

		if (is_dash ? c != '-' : !is_hex)
			return false;
	}
	return true;
}

bool cmdline_next(struct scanner *s, struct scanner *ret)
{
	const char *nul;

	if (s->at == s->end)
		return false;
	nul = memchr(s->at, '\0', (size_t)(s->end - s->at));
	*ret = (struct scanner){.at = s->at, .end = nul ? nul : s->end};
	s->at = nul ? nul + 1 : s->end;
	return true;
}

bool cmdline_is_option(struct scanner argument, const char *name)
{
	if (!scan_char(&argument, '-'))
		return false;
	(void)scan_char(&argument, '-');
	return scan_text(&argument, name) && argument.at == argument.end;
}

void cmdline_parse_qemu(const char *text, size_t size, char *name, size_t name_size, char *uuid,
			size_t uuid_size)
{
	struct scanner s = {.at = text, .end = text + size}, argument, value;

	name[0] = '\0';
	uuid[0] = '\0';
	while (cmdline_next(&s, &argument)) {
		if (cmdline_is_option(argument, "name") && cmdline_next(&s, &value)) {
			parse_name_option(value, name, name_size);
		} else if (cmdline_is_option(argument, "uuid") && cmdline_next(&s, &value)) {
			if (is_uuid(value) && uuid_size > 36) {
				memcpy(uuid, value.at, 36);
				uuid[36] = '\0';
			}
		}
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

/* systemd writes what a unit name may not hold as \xNN. */
static void unescape_unit(struct scanner s, char *buffer, size_t size)
{
	size_t used = 0;

	while (s.at < s.end) {
		if (s.end - s.at >= 4 && s.at[0] == '\\' && s.at[1] == 'x' &&
		    hex_digit(s.at[2]) >= 0 && hex_digit(s.at[3]) >= 0) {
			int c = hex_digit(s.at[2]) * 16 + hex_digit(s.at[3]);

			put_char(buffer, size, &used, c == 0 ? '?' : (char)c);
			s.at += 4;
		} else {
			put_char(buffer, size, &used, *s.at++);
		}
	}
	buffer[used] = '\0';
}

/* libvirt registers "qemu-<id>-<name>" (and lxc-, ch-): what follows the id is the machine's name.
 */
static const char *skip_driver_prefix(const char *name)
{
	const char *dash = strchr(name, '-');
	const char *p = dash ? dash + 1 : name;

	while (*p >= '0' && *p <= '9')
		p++;
	return dash && p > dash + 1 && *p == '-' && p[1] != '\0' ? p + 1 : name;
}

static bool component_is_machine(struct scanner *component)
{
	static const char suffix[] = ".scope";
	size_t n = sizeof(suffix) - 1;

	if (!scan_text(component, "machine-") || (size_t)(component->end - component->at) <= n ||
	    memcmp(component->end - n, suffix, n) != 0)
		return false;
	component->end -= n;
	return true;
}

bool cgroup_parse_machine(const char *path, char *name, size_t name_size)
{
	const char *at = path;

	/* Any user can make a scope of any name below his own slice. */
	if (strncmp(path, "/user.slice/", 12) == 0 || strncmp(path, "user.slice/", 11) == 0)
		return false;
	/* The outermost wins: inside its own scope a VMM may make what it likes. */
	while (*at) {
		size_t n = strcspn(at, "/");
		struct scanner component = {.at = at, .end = at + n};

		if (component_is_machine(&component)) {
			char text[256];

			unescape_unit(component, text, sizeof(text));
			(void)strncpy(name, skip_driver_prefix(text), name_size - 1);
			name[name_size - 1] = '\0';
			return true;
		}
		at += n;
		at += *at == '/';
	}
	return false;
}
