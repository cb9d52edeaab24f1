/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Strict text to value. The whole string must match; no leading or trailing blanks, no sign, no
 * locale. Every function returns 0, -EINVAL (not of the form) or -ERANGE (does not fit), and leaves
 * *ret alone on error. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

int parse_u64(const char *text, uint64_t *ret);	    /* decimal */
int parse_hex_u64(const char *text, uint64_t *ret); /* with or without 0x */
int parse_pid(const char *text, pid_t *ret);	    /* 1 .. INT32_MAX */
int parse_bool(const char *text, bool *ret); /* yes/no, true/false, on/off, 1/0; case-insensitive */
int parse_size(const char *text, uint64_t *ret); /* bytes: 4096, 64K, 64M, 1G, 2T (powers of 1024);
						    "infinity" = UINT64_MAX */
int parse_share(
	const char *text,
	uint16_t *ret_bp); /* "99.5%" or "100%": basis points, 0 .. 10000, at most two decimals */
int parse_duration(const char *text, uint64_t *ret_ns); /* 1500ms, 10s, 10min, 1h, 2d; bare number =
							   seconds; "infinity" = UINT64_MAX */

/* A cursor over text that is not NUL-terminated line by line, for /proc parsers: no allocation, no
 * copies. */
struct scanner {
	const char *at, *end;
};

bool scan_u64(struct scanner *s,
	      uint64_t *ret); /* decimal digits; false and unmoved if none or overflow */
bool scan_hex(struct scanner *s, uint64_t *ret);
/* "7" or "4-7", an item of the lists that the kernel writes; false and unmoved if it is none,
 * or goes down. */
bool scan_range(struct scanner *s, uint64_t *ret_first, uint64_t *ret_last);
bool scan_char(struct scanner *s, char c);	     /* exactly c */
bool scan_text(struct scanner *s, const char *text); /* exactly that; false and unmoved if not */
void scan_blanks(struct scanner *s);		     /* spaces and tabs */
bool scan_word(struct scanner *s,
	       struct scanner *ret); /* up to the next blank or newline; false if empty */
bool scan_line(struct scanner *s,
	       struct scanner *ret); /* next line without its newline; false at the end */
