/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "reason.h"

static void every_reason_speaks(void **state)
{
	(void)state;
	for (enum reason i = REASON_NONE + 1; i < REASON_MAX; i++) {
		const char *sentence = reason_sentence(i), *cure = reason_cure(i);

		assert_true(strlen(sentence) > 20);
		assert_int_equal(sentence[strlen(sentence) - 1], '.');
		assert_true(strlen(cure) > 5);
		assert_null(strchr(sentence, '\n'));
		assert_null(strchr(cure, '\n'));
	}
}

static void slugs_are_unique_words(void **state)
{
	(void)state;
	for (enum reason i = REASON_NONE; i < REASON_MAX; i++) {
		const char *slug = reason_slug(i);

		assert_true(islower((unsigned char)slug[0]));
		assert_int_equal(strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-"),
				 strlen(slug));
		assert_string_not_equal(slug,
					"unknown"); /* the word for what is beyond the table */
		for (enum reason j = REASON_NONE; j < i; j++)
			assert_string_not_equal(slug, reason_slug(j));
	}
}

static void slugs_lead_back(void **state)
{
	enum reason reason;

	(void)state;
	for (enum reason i = REASON_NONE; i < REASON_MAX; i++) {
		reason = REASON_MAX;
		assert_int_equal(reason_from_slug(reason_slug(i), &reason), 0);
		assert_int_equal(reason, i);
	}
	reason = REASON_KSM;
	assert_int_equal(reason_from_slug("no-such", &reason), -ENOENT);
	assert_int_equal(reason_from_slug("", &reason), -ENOENT);
	assert_int_equal(reason_from_slug("ksm ", &reason), -ENOENT);
	assert_int_equal(reason, REASON_KSM);
}

static void none_is_silent_and_nonsense_is_safe(void **state)
{
	(void)state;
	assert_string_equal(reason_slug(REASON_NONE), "none");
	assert_string_equal(reason_sentence(REASON_NONE), "");
	assert_string_equal(reason_cure(REASON_NONE), "");
	assert_string_equal(reason_slug(REASON_MAX), "unknown");
	assert_string_equal(reason_sentence((enum reason)9999), "");
	assert_string_equal(reason_cure((enum reason)9999), "");
}

/* The reasons that issue 2 asks for by name. */
static void the_promised_slugs_exist(void **state)
{
	static const char *const promised[] = {
		"misaligned-mapping",
		"hva-too-short",
		"sparse",
		"never-touched",
		"swapped",
		"small-folios",
		"pte-mapped-folio",
		"nohugepage",
		"thp-disabled-by-prctl",
		"shmem-knob-never",
		"shmem-deny",
		"userfaultfd",
		"ksm",
		"private-file",
		"cow-page",
		"hugetlb",
		"dax",
		"device-dax-1g",
		"secret-or-guest-memfd",
		"guard-region",
		"pinned-suspected",
		"memcg-limit",
		"no-free-huge-page",
		"vanished",
		"no-permission",
		"kernel-too-old",
	};
	enum reason reason;

	(void)state;
	for (size_t i = 0; i < sizeof(promised) / sizeof(promised[0]); i++)
		if (reason_from_slug(promised[i], &reason) < 0)
			fail_msg("no reason %s", promised[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_speaks),
		cmocka_unit_test(slugs_are_unique_words),
		cmocka_unit_test(slugs_lead_back),
		cmocka_unit_test(none_is_silent_and_nonsense_is_safe),
		cmocka_unit_test(the_promised_slugs_exist),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
