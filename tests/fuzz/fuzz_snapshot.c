/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What snapshot_from_json() accepts is lawful, and is the same after a way out and back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_round_trip(const struct snapshot *s, bool pretty)
{
	struct snapshot back = SNAPSHOT_INIT;
	char *text = NULL, *again = NULL;

	expect(snapshot_to_json(s, pretty, &text) == 0);
	expect(snapshot_from_json(text, strlen(text), &back, NULL) == 0);
	expect(snapshot_to_json(&back, pretty, &again) == 0);
	expect(strcmp(text, again) == 0);
	free(text);
	free(again);
	snapshot_clear(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct snapshot s = SNAPSHOT_INIT;
	const char *why = NULL;

	if (snapshot_from_json((const char *)data, size, &s, &why) < 0) {
		expect(why != NULL && s.regions == NULL);
		return 0;
	}
	expect(snapshot_validate(&s, NULL) == 0);
	check_round_trip(&s, true);
	check_round_trip(&s, false);
	snapshot_clear(&s);
	return 0;
}
