/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's memslots by a monitor, of a made-up QEMU. */
#include "made_up_qemu.h"

/* ---- What it says --------------------------------------------------------------------------- */

/* ROM in the middle of RAM, and two regions of the same name. */
#define MTREE_KVM                                                                         \
	"FlatView #0\r\n AS \"memory\", root: system\r\n"                                 \
	"  0000000000000000-000000000009ffff (prio 0, ram): m0 KVM\r\n"                   \
	"  00000000000a0000-00000000000bffff (prio 1, i/o): vga-lowmem\r\n"               \
	"  00000000000c0000-00000000000dffff (prio 1, rom): pc.rom KVM\r\n"               \
	"  0000000000100000-0000000007ffffff (prio 0, ram): m0 @0000000000100000 KVM\r\n" \
	"  00000000f0000000-00000000f0ffffff (prio 1, ram): vga.vram KVM\r\n"             \
	"  00000000f1000000-00000000f1ffffff (prio 1, ram): vga.vram KVM\r\n"             \
	"  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\r\n"
#define HVA(gpa, region, hva)                                                                   \
	{                                                                                       \
		"gpa2hva " gpa, "Host virtual address for " gpa " (" region ") is " hva "\r\n", \
			true                                                                    \
	}
#define LOW_SLOTS                                                              \
	{"qmp_capabilities", "{}", false}, {"info mtree -f", MTREE_KVM, true}, \
		HVA("0xc0000", "pc.rom", "0x7f0000200000"),                    \
		HVA("0x100000", "m0", "0x7f0001300000"),                       \
		HVA("0xf0000000", "vga.vram", "0x7f0010000000")

static const struct line with_kvm[] = {
	LOW_SLOTS,
	HVA("0xf1000000", "vga.vram", "0x7f0020000000"),
	HVA("0x0", "m0", "0x7f0001200000"),
};

/* The second display went away in between. */
static const struct line changing[] = {
	LOW_SLOTS,
	{"gpa2hva 0xf1000000", "No memory is mapped at address 0xf1000000\r\n", true},
	HVA("0x0", "m0", "0x7f0001200000"),
};

/* And something else came. */
static const struct line replaced[] = {
	LOW_SLOTS,
	HVA("0xf1000000", "vga.vram2", "0x7f0020000000"),
	HVA("0x0", "m0", "0x7f0001200000"),
};

/* What QEMU would never print. The first slot of each could be asked about, and is not: there is no
 * answer to it. */
#define VIEW "FlatView #0\r\n AS \"memory\", root: system\r\n 0-9ffff (prio 0, ram): m0 KVM\r\n"
static const struct line unordered[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", VIEW " 90000-fffff (prio 0, ram): m0 KVM\r\n", true},
};
static const struct line odd[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", VIEW " 100000-1007ff (prio 0, ram): m0 KVM\r\n", true},
};

static const struct line none[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", "FlatView #0\r\n AS \"memory\", root: system\r\n", true},
};

/* It shows what it has, and tells no place of it. */
static const struct line mute[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", VIEW, true},
};

/* One slot more than are asked about, made by fill_many(): then none is. */
static char many_slots[(QEMU_SLOTS_MAX + 2) * 48];
static const struct line many[] = {
	{"qmp_capabilities", "{}", false},
	{"info mtree -f", many_slots, true},
};

static void fill_many(void)
{
	size_t used = (size_t)snprintf(many_slots, sizeof(many_slots),
				       "FlatView #0\r\n AS \"memory\", root: system\r\n");

	for (unsigned i = 0; i <= QEMU_SLOTS_MAX; i++)
		used += (size_t)snprintf(many_slots + used, sizeof(many_slots) - used,
					 " %x000-%xfff (prio 0, ram): m KVM\r\n", i, i);
	assert_true(used < sizeof(many_slots));
}

static const struct script scripts[] = {
	{"with-kvm", with_kvm, ARRAY_SIZE(with_kvm), false},
	{"changing", changing, ARRAY_SIZE(changing), false},
	{"replaced", replaced, ARRAY_SIZE(replaced), false},
	{"many", many, ARRAY_SIZE(many), false},
	{"unordered", unordered, ARRAY_SIZE(unordered), false},
	{"odd", odd, ARRAY_SIZE(odd), false},
	{"none", none, ARRAY_SIZE(none), false},
	{"mute", mute, ARRAY_SIZE(mute), false},
	{"blind", mute, 1, false},
};

/* ---- Asking it ------------------------------------------------------------------------------ */

static void assert_slot(const struct memslot *m, gpa_t gpa, uint64_t bytes, hva_t hva,
			uint32_t flags)
{
	assert_int_equal(m->gpa, gpa);
	assert_int_equal(m->bytes, bytes);
	assert_int_equal(m->hva, hva);
	assert_int_equal(m->flags, flags);
	assert_int_equal(m->address_space, 0);
}

static void memslots_are_what_kvm_has(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_SLOTS};
	const struct memslot *m;

	ASK(&g, "with-kvm");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.slots_err, 0);
	assert_int_equal(g.facts.slots.n, 5);
	m = g.facts.slots.items;
	assert_slot(&m[0], 0, 0xa0000, 0x7f0001200000, 0);
	assert_slot(&m[1], 0xc0000, 0x20000, 0x7f0000200000, MEMSLOT_READONLY);
	assert_slot(&m[2], 0x100000, 0x7f00000, 0x7f0001300000, 0);
	assert_slot(&m[3], 0xf0000000, 0x1000000, 0x7f0010000000, 0);
	assert_slot(&m[4], 0xf1000000, 0x1000000, 0x7f0020000000, 0);
	assert_true(g.facts.balloon_bytes == UINT64_MAX); /* was not asked */
	finish(&g);
}

static void half_a_table_of_memslots_is_none(void **state)
{
	static const struct {
		const char *script;
		int error;
		const char *why;
	} cases[] = {
		{"changing", -EAGAIN, "came or went"},	{"replaced", -EAGAIN, "came or went"},
		{"many", -ENODATA, "too many"},		{"unordered", -ENODATA, "cannot be"},
		{"odd", -ENODATA, "cannot be"},		{"none", -ENODATA, "no memslot"},
		{"mute", -ENODATA, "no human monitor"}, {"blind", -ENODATA, "no human monitor"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest g = {.want = QEMU_WANT_SLOTS};

		ask(&g, cases[i].script, (char *const[]){NULL});
		assert_int_equal(g.result, 0);
		assert_int_equal(g.facts.slots_err, cases[i].error);
		assert_int_equal(g.facts.slots.n, 0);
		assert_null(g.facts.slots.items);
		assert_non_null(strstr(g.facts.slots_why, cases[i].why));
		finish(&g);
	}
}

static void who_is_not_asked_for_memslots_tells_none(void **state)
{
	(void)state;
	struct guest g = {.want = QEMU_WANT_NUMBERS};

	ASK(&g, "with-kvm");
	assert_int_equal(g.result, 0);
	assert_int_equal(g.facts.slots.n, 0);
	assert_int_equal(g.facts.slots_err, -EAGAIN);
	finish(&g);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memslots_are_what_kvm_has),
		cmocka_unit_test(half_a_table_of_memslots_is_none),
		cmocka_unit_test(who_is_not_asked_for_memslots_tells_none),
	};

	fill_many();
	if (argc >= 3)
		return be_qemu(scripts, argv[1], argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
