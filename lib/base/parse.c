/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "bits.h"

struct unit {
	const char *suffix;
	uint64_t factor;
};

static const struct unit size_units[] = {
	{"", 1},
	{"K", UINT64_C(1) << 10},
	{"M", UINT64_C(1) << 20},
	{"G", UINT64_C(1) << 30},
	{"T", UINT64_C(1) << 40},
};

/* No "m": it is a month to some and a minute to others. */
static const struct unit duration_units[] = {
	{"", UINT64_C(1000000000)},	    {"ms", UINT64_C(1000000)},
	{"s", UINT64_C(1000000000)},	    {"min", UINT64_C(60) * 1000000000},
	{"h", UINT64_C(3600) * 1000000000}, {"d", UINT64_C(86400) * 1000000000},
};

/* 255, which no base has, for what is not a digit. */
static unsigned int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	if (c >= 'A' && c <= 'F')
		return (unsigned int)(c - 'A') + 10;
	return 255;
}

/* Eats all digits, also those that do not fit, so that the caller can tell a wrong form from a
 * large number. 0, -EINVAL (no digit) or -ERANGE. */
static int take_digits(struct scanner *s, unsigned int base, uint64_t *ret)
{
	const char *start = s->at;
	uint64_t value = 0;
	bool fits = true;

	for (; s->at < s->end && digit_value(*s->at) < base; s->at++)
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit_value(*s->at), &value))
			fits = false;
	if (s->at == start)
		return -EINVAL;
	if (!fits)
		return -ERANGE;
	*ret = value;
	return 0;
}

static struct scanner scanner_of(const char *text)
{
	return (struct scanner){text, text + strlen(text)};
}

static int parse_digits(struct scanner s, unsigned int base, uint64_t *ret)
{
	uint64_t value;
	int r = take_digits(&s, base, &value);

	if (s.at != s.end)
		return -EINVAL;
	if (r == 0)
		*ret = value;
	return r;
}

int parse_u64(const char *text, uint64_t *ret)
{
	return parse_digits(scanner_of(text), 10, ret);
}

int parse_hex_u64(const char *text, uint64_t *ret)
{
	struct scanner s = scanner_of(text);

	if (s.end - s.at > 2 && s.at[0] == '0' && (s.at[1] == 'x' || s.at[1] == 'X'))
		s.at += 2;
	return parse_digits(s, 16, ret);
}

int parse_pid(const char *text, pid_t *ret)
{
	uint64_t value;
	int r = parse_u64(text, &value);

	if (r < 0)
		return r;
	if (value == 0 || value > INT32_MAX)
		return -ERANGE;
	*ret = (pid_t)value;
	return 0;
}

int parse_bool(const char *text, bool *ret)
{
	static const char *const no[] = {"no", "false", "off", "0"};
	static const char *const yes[] = {"yes", "true", "on", "1"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(text, yes[i]) != 0 && strcasecmp(text, no[i]) != 0)
			continue;
		*ret = strcasecmp(text, yes[i]) == 0;
		return 0;
	}
	return -EINVAL;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t n_units,
			   uint64_t *ret)
{
	struct scanner s = scanner_of(text);
	uint64_t value = 0;
	int r;

	if (strcmp(text, "infinity") == 0) {
		*ret = UINT64_MAX;
		return 0;
	}
	r = take_digits(&s, 10, &value);
	if (r == -EINVAL)
		return r;
	for (size_t i = 0; i < n_units; i++) {
		if (strcmp(s.at, units[i].suffix) != 0)
			continue;
		if (r < 0 || __builtin_mul_overflow(value, units[i].factor, &value))
			return -ERANGE;
		*ret = value;
		return 0;
	}
	return -EINVAL;
}

int parse_size(const char *text, uint64_t *ret)
{
	return parse_with_unit(text, size_units, ARRAY_SIZE(size_units), ret);
}

int parse_duration(const char *text, uint64_t *ret_ns)
{
	return parse_with_unit(text, duration_units, ARRAY_SIZE(duration_units), ret_ns);
}

/* ".5" and ".50" are 50 basis points, nothing is 0. */
static int take_hundredths(struct scanner *s, uint64_t *ret)
{
	const char *start;
	uint64_t value;

	*ret = 0;
	if (!scan_char(s, '.'))
		return 0;
	start = s->at;
	if (take_digits(s, 10, &value) < 0 || s->at - start > 2)
		return -EINVAL;
	*ret = s->at - start == 1 ? value * 10 : value;
	return 0;
}

int parse_share(const char *text, uint16_t *ret_bp)
{
	struct scanner s = scanner_of(text);
	uint64_t percent = 0, hundredths;
	int r = take_digits(&s, 10, &percent);

	if (r == -EINVAL || take_hundredths(&s, &hundredths) < 0)
		return -EINVAL;
	if (!scan_char(&s, '%') || s.at != s.end)
		return -EINVAL;
	if (r < 0 || percent > 100 || percent * 100 + hundredths > 10000)
		return -ERANGE;
	*ret_bp = (uint16_t)(percent * 100 + hundredths);
	return 0;
}

static bool scan_digits(struct scanner *s, unsigned int base, uint64_t *ret)
{
	struct scanner ahead = *s;

	if (take_digits(&ahead, base, ret) < 0)
		return false;
	*s = ahead;
	return true;
}

bool scan_u64(struct scanner *s, uint64_t *ret)
{
	return scan_digits(s, 10, ret);
}

bool scan_hex(struct scanner *s, uint64_t *ret)
{
	return scan_digits(s, 16, ret);
}

bool scan_char(struct scanner *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

bool scan_text(struct scanner *s, const char *text)
{
	size_t n = strlen(text);

	if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
		return false;
	s->at += n;
	return true;
}

bool scan_range(struct scanner *s, uint64_t *ret_first, uint64_t *ret_last)
{
	struct scanner ahead = *s;
	uint64_t first, last;

	if (!scan_u64(&ahead, &first))
		return false;
	last = first;
	if (scan_char(&ahead, '-') && !scan_u64(&ahead, &last))
		return false;
	if (last < first)
		return false;
	*s = ahead;
	*ret_first = first;
	*ret_last = last;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

void scan_blanks(struct scanner *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
}

bool scan_word(struct scanner *s, struct scanner *ret)
{
	const char *start = s->at;

	while (s->at < s->end && !is_blank(*s->at) && *s->at != '\n')
		s->at++;
	if (s->at == start)
		return false;
	*ret = (struct scanner){start, s->at};
	return true;
}

bool scan_line(struct scanner *s, struct scanner *ret)
{
	const char *newline;

	if (s->at == s->end)
		return false;
	newline = memchr(s->at, '\n', (size_t)(s->end - s->at));
	*ret = (struct scanner){s->at, newline ? newline : s->end};
	s->at = newline ? newline + 1 : s->end;
	return true;
}
