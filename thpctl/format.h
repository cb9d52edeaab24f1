/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Values as people read them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { FORMAT_MAX = 32 };

/* "512.0M", "17B"; the number alone if is_raw. Returns buffer (FORMAT_MAX). */
const char *format_bytes(uint64_t bytes, bool is_raw, char *buffer);

/* "99.9%": never 100 unless it is all, never 0 unless it is nothing, and above one half never more
 * than it is. "-" if there is no whole. Returns buffer (FORMAT_MAX). */
const char *format_share(uint64_t part, uint64_t whole, char *buffer);

/* "3s ago", "5min ago", "2h ago", "4d ago"; "-" if then is 0. Returns buffer (FORMAT_MAX). */
const char *format_age(uint64_t then_us, uint64_t now_us, char *buffer);

/* "40s", "5min", "2h", "4d", never less than it is. Returns buffer (FORMAT_MAX). */
const char *format_wait(uint64_t ns, char *buffer);

/* The character of UTF-8 at text: its bytes (at least 1, unless text is at its end) and code;
 * *ret_is_safe unless it could do more to a terminal than be seen: control characters, text
 * direction, invisible ones, and broken UTF-8, which is one byte long and U+FFFD. */
size_t format_character(const char *text, uint32_t *ret_code, bool *ret_is_safe);

/* Copies text into dst (size bytes, terminated), with '?' for every character that is not safe.
 * Returns dst. */
const char *format_printable(const char *text, char *dst, size_t size);

/* Writes text word by word in lines of at most 80 columns, each behind `indent` blanks. */
void format_paragraph(FILE *f, unsigned int indent, const char *text);
