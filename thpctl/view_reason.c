/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "view_reason.h"

#include "format.h"

void view_reason_words(FILE *f, const char *sentence, const char *cure)
{
	char text[1024];

	if (*sentence)
		format_paragraph(f, 4, format_printable(sentence, text, sizeof(text)));
	if (*cure) {
		char line[1024 + 16] = "What to do: ";

		(void)format_printable(cure, line + 12, sizeof(line) - 12);
		format_paragraph(f, 4, line);
	}
}

void view_reason_print(FILE *f, const struct reason_sum *sum, bool is_raw)
{
	char text[1024], bytes[FORMAT_MAX];

	fprintf(f, "\n%s (%s%s)\n", format_printable(sum->slug, text, sizeof(text)),
		format_bytes(sum->bytes, is_raw, bytes),
		sum->is_inferred ? ", inferred from QEMU's monitor" : "");
	view_reason_words(f, sum->sentence, sum->cure);
}
