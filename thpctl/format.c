/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format.h"

#include <inttypes.h>
#include <string.h>

const char *format_bytes(uint64_t bytes, bool is_raw, char *buffer)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0;
	uint64_t tenths;

	if (is_raw || bytes < 1024) {
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "%s", bytes, is_raw ? "" : "B");
		return buffer;
	}
	while (unit < 6 && bytes >> (10 * (unit + 1)) > 0)
		unit++;
	for (;; unit++) {
		unsigned __int128 scaled = (unsigned __int128)bytes * 10;

		tenths = (uint64_t)((scaled + (UINT64_C(1) << (10 * unit - 1))) >> (10 * unit));
		/* 1023.96K is 1.0M. */
		if (tenths < 10240 || unit == 6)
			break;
	}
	(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 ".%" PRIu64 "%c", tenths / 10, tenths % 10,
		       units[unit]);
	return buffer;
}

const char *format_share(uint64_t part, uint64_t whole, char *buffer)
{
	unsigned __int128 scaled = (unsigned __int128)part * 1000;
	uint64_t tenths;

	if (whole == 0) {
		(void)snprintf(buffer, FORMAT_MAX, "-");
		return buffer;
	}
	tenths = (uint64_t)(scaled / whole);
	if (part > whole)
		tenths = 1000;
	else if (tenths < 500 && scaled % whole != 0)
		tenths++;
	(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 ".%" PRIu64 "%%", tenths / 10, tenths % 10);
	return buffer;
}

const char *format_age(uint64_t then_us, uint64_t now_us, char *buffer)
{
	uint64_t s = now_us > then_us ? (now_us - then_us) / 1000000 : 0;

	if (then_us == 0)
		(void)snprintf(buffer, FORMAT_MAX, "-");
	else if (s < 120)
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "s ago", s);
	else if (s < 2 * 3600)
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "min ago", s / 60);
	else if (s < 2 * 86400)
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "h ago", s / 3600);
	else
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "d ago", s / 86400);
	return buffer;
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
	return value / by + (value % by > 0);
}

const char *format_wait(uint64_t ns, char *buffer)
{
	uint64_t s = divide_up(ns, 1000000000);

	if (s < 120)
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "s", s);
	else if (s < 2 * 3600)
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "min", divide_up(s, 60));
	else if (s < 2 * 86400)
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "h", divide_up(s, 3600));
	else
		(void)snprintf(buffer, FORMAT_MAX, "%" PRIu64 "d", divide_up(s, 86400));
	return buffer;
}

/* Decodes one character of UTF-8: its bytes, or 0 if it is broken. */
static size_t decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] < 0x80	       ? 1
		   : s[0] >> 5 == 0x06 ? 2
		   : s[0] >> 4 == 0x0e ? 3
		   : s[0] >> 3 == 0x1e ? 4
				       : 0;
	uint32_t code = n == 1 ? s[0] : n > 1 ? s[0] & (0x7fu >> n) : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if (n == 0 || code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	*ret = code;
	return n;
}

static bool is_harmless(uint32_t code)
{
	return !(code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
		 (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
		 (code >= 0x2060 && code <= 0x206f) || code == 0xfeff || code >= 0xe0000 ||
		 (code >= 0xe000 && code < 0xf900));
}

size_t format_character(const char *text, uint32_t *ret_code, bool *ret_is_safe)
{
	uint32_t code = 0xfffd;
	size_t n = decode((const unsigned char *)text, &code);

	*ret_code = code;
	*ret_is_safe = n > 0 && is_harmless(code);
	return n > 0 ? n : 1;
}

const char *format_printable(const char *text, char *dst, size_t size)
{
	size_t used = 0;

	while (*text) {
		uint32_t code;
		bool is_safe;
		size_t n = format_character(text, &code, &is_safe);
		size_t n_out = is_safe ? n : 1;

		if (used + n_out >= size)
			break;
		memcpy(dst + used, is_safe ? text : "?", n_out);
		used += n_out;
		text += n;
	}
	dst[used] = '\0';
	return dst;
}

void format_paragraph(FILE *f, unsigned int indent, const char *text)
{
	unsigned int column = 0;

	while (*text) {
		size_t n = strcspn(text, " ");

		if (column > 0 && column + 1 + n > 80) {
			fputc('\n', f);
			column = 0;
		}
		if (column == 0)
			column = (unsigned int)fprintf(f, "%*s", (int)indent, "");
		else
			column += (unsigned int)fprintf(f, " ");
		column += (unsigned int)fprintf(f, "%.*s", (int)n, text);
		text += n + strspn(text + n, " ");
	}
	fputc('\n', f);
}
