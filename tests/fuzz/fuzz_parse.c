/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The strict parsers: what is accepted is in its range, and a number is the same after printing. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_values(const char *text)
{
	uint64_t value, size_bytes, again;
	uint16_t share_bp;
	char digits[32];
	pid_t pid;
	bool is;

	if (parse_u64(text, &value) == 0) {
		(void)snprintf(digits, sizeof(digits), "%" PRIu64, value);
		expect(parse_u64(digits, &again) == 0 && again == value);
		expect(parse_size(text, &size_bytes) == 0 && size_bytes == value);
		expect(parse_duration(text, &again) != 0 || again == value * 1000000000);
	}
	expect(parse_share(text, &share_bp) != 0 || share_bp <= 10000);
	expect(parse_pid(text, &pid) != 0 || pid > 0);
	expect(parse_hex_u64(text, &value) != 0 || strlen(text) > 0);
	(void)parse_bool(text, &is);
	(void)parse_duration(text, &value);
}

/* Every scan either fails and stays, or moves forward within the text. */
static void check_scanner(const char *data, size_t size)
{
	struct scanner text = {data, data + size}, line = text, word = text;
	uint64_t value;

	while (scan_line(&text, &line)) {
		expect(line.at <= line.end && line.end <= text.at && text.at <= text.end);
		while (line.at < line.end) {
			const char *before = line.at;
			bool has_moved = scan_u64(&line, &value) || scan_char(&line, '-') ||
					 scan_hex(&line, &value) || scan_word(&line, &word);

			expect(has_moved == (line.at > before) && line.at <= line.end);
			scan_blanks(&line);
			expect(line.at > before);
		}
	}
	expect(text.at == text.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	check_values(text);
	check_scanner((const char *)data, size);
	free(text);
	return 0;
}
