/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What QEMU's human monitor prints, and what it might print. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bits.h"
#include "hmp_text.h"
#include "monitor_samples.h"

/* One line in the view that counts. */
#define IN_MEMORY(line) "FlatView #0\r\n AS \"memory\", root: system\r\n" line "\r\n"

static bool is_text(struct scanner s, const char *text)
{
	return (size_t)(s.end - s.at) == strlen(text) && memcmp(s.at, text, strlen(text)) == 0;
}

/* The only range in it. */
static struct mtree_range only(const char *text)
{
	struct mtree m = mtree_of(text);
	struct mtree_range range, other;

	assert_true(mtree_next(&m, &range));
	assert_false(mtree_next(&m, &other));
	return range;
}

static void assert_range(const struct mtree_range *r, gpa_t gpa, uint64_t bytes, uint64_t offset,
			 const char *name)
{
	assert_int_equal(r->gpa, gpa);
	assert_int_equal(r->bytes, bytes);
	assert_int_equal(r->offset, offset);
	assert_true(is_text(r->name, name));
}

static void the_ranges_of_guest_memory_are_told(void **state)
{
	struct mtree m = mtree_of(MTREE);
	struct mtree_range r[8];
	size_t n = 0;

	(void)state;
	while (n < ARRAY_SIZE(r) && mtree_next(&m, &r[n]))
		n++;
	assert_int_equal(n, 6);
	assert_true(m.was_memory);
	assert_range(&r[0], 0, 0xc3000, 0, "m0");
	assert_true(r[0].is_readonly && !r[0].is_ram && !r[0].is_slot);
	assert_range(&r[2], 0xe8000, 0x8000, 0xe8000, "m0");
	assert_true(!r[2].is_readonly && r[2].is_ram && r[2].is_slot);
	assert_range(&r[4], 0x8000000, 0x8000000, 0, "m1"); /* nv-ram */
	assert_true(r[4].is_ram && !r[4].is_slot);
	assert_range(&r[5], 0xfffc0000, 0x40000, 0, "pc.bios");
	assert_true(r[5].is_readonly && !r[5].is_ram);
}

static void kinds_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		bool is_ram, is_readonly;
	} kinds[] = {
		{IN_MEMORY("  0-fff (prio 0, ram): m"), true, false},
		{IN_MEMORY("  0-fff (prio -5, nv-ram): m"), true, false},
		{IN_MEMORY("  0-fff (prio 0, ramd): m"), false, false},
		{IN_MEMORY("  0-fff (prio 0, rom): m"), false, true},
		{IN_MEMORY("  0-fff (prio 0, romd): m"), false, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct mtree_range r = only(kinds[i].text);

		assert_int_equal(r.is_ram, kinds[i].is_ram);
		assert_int_equal(r.is_readonly, kinds[i].is_readonly);
		assert_range(&r, 0, 0x1000, 0, "m");
	}
}

/* Nothing forbids blanks in a name; each of KVM's address spaces that has the view says so. */
static void names_are_read_from_the_end(void **state)
{
	struct mtree_range r;

	(void)state;
	r = only(IN_MEMORY("  1000-1fff (prio 0, ram): my @12 region @0000000000003000 KVM KVM"));
	assert_range(&r, 0x1000, 0x1000, 0x3000, "my @12 region");
	assert_true(r.is_slot);
	r = only(IN_MEMORY("  1000-1fff (prio 0, ram): a @beef"));
	assert_range(&r, 0x1000, 0x1000, 0, "a @beef");
	assert_false(r.is_slot);
	r = only(IN_MEMORY("  1000-1fff (prio 0, ram): a @000000000000300g"));
	assert_range(&r, 0x1000, 0x1000, 0, "a @000000000000300g");
	r = only(IN_MEMORY("  1000-1fff (prio 0, ram): m KVM-SMRAM"));
	assert_range(&r, 0x1000, 0x1000, 0, "m KVM-SMRAM");
	assert_false(r.is_slot);
}

/* Whoever wants all slots has to know that there is one more. */
static void a_slot_that_cannot_be_read_is_noted(void **state)
{
	static const struct {
		const char *text;
		bool is_odd;
	} cases[] = {
		{IN_MEMORY("  0-fff (prio 0, ram): m KVM"), false},
		{IN_MEMORY("  0-fff (prio 0, i/o): m"), false},
		{IN_MEMORY("  0-fff (prio 0, new): m KVM"), true},
		{IN_MEMORY("  0-fff (prio 0, ram): \xc3\xa4 KVM"), true},
		{"FlatView #0\r\n AS \"I/O\", root: io\r\n  0-fff (prio 0, new): m KVM\r\n", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mtree m = mtree_of(cases[i].text);
		struct mtree_range r;

		while (mtree_next(&m, &r))
			;
		assert_int_equal(m.has_odd_slot, cases[i].is_odd);
	}
}

static void what_is_no_range_is_passed_over(void **state)
{
	static const char *const texts[] = {
		"",
		"\r\n",
		"  0-fff (prio 0, ram): before any view",
		"FlatView #0\r\n AS \"cpu-smm-0\", root: memory\r\n  0-fff (prio 0, ram): m "
		"KVM\r\n",
		IN_MEMORY("  0-fff (prio 0, i/o): m"),
		IN_MEMORY("  0-fff (prio 0, ram): "),
		IN_MEMORY("  0-fff (prio 0, ram):  KVM"),
		IN_MEMORY("  0-fff (prio 0, ram): \033[31mred"),
		IN_MEMORY("  0-fff (prio x, ram): m"),
		IN_MEMORY("  0-fff (prio 0, rom"),
		IN_MEMORY("  1000-fff (prio 0, ram): m"),
		IN_MEMORY("  0-ffffffffffffffff (prio 0, ram): m"),
		IN_MEMORY("  0-1ffffffffffffffff (prio 0, ram): m"),
		IN_MEMORY("  -1-fff (prio 0, ram): m"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct mtree m = mtree_of(texts[i]);
		struct mtree_range r;

		if (mtree_next(&m, &r))
			fail_msg("%s", texts[i]);
	}
}

static void an_address_is_that_of_the_range(void **state)
{
	struct scanner region;
	hva_t hva = 0;

	(void)state;
	assert_true(hmp_read_gpa2hva(GPA2HVA_M0, 0xe8000, &region, &hva));
	assert_true(is_text(region, "m0"));
	assert_int_equal(hva, 0x7fe2380e7000);
	assert_true(hmp_read_gpa2hva("Host virtual address for 0x0 (a) is 0x1) is 0x2000\r\n", 0,
				     &region, &hva));
	assert_true(is_text(region, "a) is 0x1"));
	assert_int_equal(hva, 0x2000);
}

static void what_is_no_address_is_none(void **state)
{
	static const char *const texts[] = {
		"",
		"Memory at address 0x1000 is not RAM\r\n",
		"Host virtual address for 0x2000 (m0) is 0x7000\r\n",
		"Host virtual address for 0x1000 (m0) is (nil)\r\n",
		"Host virtual address for 0x1000 (m0) is 0x\r\n",
		"Host virtual address for 0x1000 (m0) is 0x7000 or so\r\n",
		"Host virtual address for 0x1000 (m0\r\n) is 0x7000\r\n",
		"Host virtual address for 0x1000 ",
	};
	struct scanner region;
	hva_t hva;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (hmp_read_gpa2hva(texts[i], 0x1000, &region, &hva))
			fail_msg("%s", texts[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ranges_of_guest_memory_are_told),
		cmocka_unit_test(kinds_are_told_apart),
		cmocka_unit_test(names_are_read_from_the_end),
		cmocka_unit_test(a_slot_that_cannot_be_read_is_noted),
		cmocka_unit_test(what_is_no_range_is_passed_over),
		cmocka_unit_test(an_address_is_that_of_the_range),
		cmocka_unit_test(what_is_no_address_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
